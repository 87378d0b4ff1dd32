//! Functions that look into texts, pad them, and write dates as texts.

use super::bound::{BoundExpr, Node};
use super::call::texts;
use super::civil::{self, DAY_MICROS, MONTHS};
use super::coerce::widen;
use super::function::Function;
use super::tree::Expr;
use super::value::{Numbers, Texts, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::PrimitiveArray;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use std::fmt::Write;

/// Characters of a padded text, at most.
const MOST_PADDED: i64 = 1 << 20;

/// Which character of a text a part of it begins at, from 1; 0 where it is not in it.
pub(super) fn position(text: &Value, part: &Value) -> Result<Value> {
    let all = [text, part];
    let rows = result_rows(&all);
    let (text, part) = (Texts::of(text)?, Texts::of(part)?);
    let place = |row: usize| {
        let text = text.at(row);
        text.find(part.at(row)).map_or(0, |byte| text[..byte].chars().count() as i64 + 1)
    };
    let places: Vec<i64> = (0..rows).map(place).collect();
    Ok(Value::like(&all, PrimitiveArray::<Int64Type>::new(places.into(), valid_everywhere(&all, rows))))
}

/// A text of so many characters: cut, or with another text before or behind it, again and again.
pub(super) fn padded(call: &str, function: Function, args: &[Value]) -> Result<Value> {
    let [text, length, pad @ ..] = args else { return Err(Error::internal("a text to pad")) };
    let all: Vec<&Value> = args.iter().collect();
    let (text, length, pad) =
        (Texts::of(text)?, Numbers::<Int64Type>::of(length)?, pad.first().map(Texts::of).transpose()?);
    texts(&all, |row| {
        let (text, wanted) = (text.at(row), length.at(row));
        if wanted > MOST_PADDED {
            let message = format!("`{call}` would have {wanted} characters, and there may be {MOST_PADDED}");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let missing = wanted.saturating_sub(text.chars().count());
        let padding: String = pad.as_ref().map_or(" ", |pad| pad.at(row)).chars().cycle().take(missing).collect();
        let kept = text.chars().take(wanted);
        Ok(match function {
            Function::Lpad => padding.chars().chain(kept).collect::<String>().into(),
            _ => kept.chain(padding.chars()).collect::<String>().into(),
        })
    })
}

/// The part of that number between separators, from 1, or from the end for a negative one; empty where there is none.
pub(super) fn split_part(text: &Value, separator: &Value, number: &Value) -> Result<Value> {
    let all = [text, separator, number];
    let (text, separator, number) = (Texts::of(text)?, Texts::of(separator)?, Numbers::<Int64Type>::of(number)?);
    texts(&all, |row| {
        let (text, separator) = (text.at(row), separator.at(row));
        let number = number.at(row);
        let skip = usize::try_from(number.unsigned_abs()).ok().and_then(|number| number.checked_sub(1));
        let part = match (skip, separator) {
            (None, _) => None,
            (Some(skip), "") => (skip == 0).then_some(text),
            (Some(skip), separator) if number > 0 => text.split(separator).nth(skip),
            (Some(skip), separator) => text.rsplit(separator).nth(skip),
        };
        Ok(part.unwrap_or("").into())
    })
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A piece of a format.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field(char),
}

/// The letters behind `%`, and what else stands in a format.
fn pieces(format: &str) -> Option<Vec<Piece>> {
    let (mut pieces, mut text) = (Vec::new(), String::new());
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '%' => match signs.next()? {
                '%' => text.push('%'),
                letter if "YymdjHIMSfpaAbBuwFT".contains(letter) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Field(letter));
                }
                _ => return None,
            },
            other => text.push(other),
        }
    }
    pieces.push(Piece::Text(text));
    Some(pieces)
}

/// `strftime(d, '%Y-%m')`.
pub(super) fn bind_strftime(whole: &Expr, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let [date, format] = <[BoundExpr; 2]>::try_from(args).map_err(|_| Error::internal("strftime takes two"))?;
    // DuckDB takes them in either order; of two constants a date has no `%`.
    let is_swapped = match (date.constant_text(), format.constant_text()) {
        (Some(first), Some(second)) => first.contains('%') && !second.contains('%'),
        (first, _) => first.is_some(),
    };
    let (date, format) = if is_swapped { (format, date) } else { (date, format) };
    if format.constant_text().and_then(pieces).is_none() {
        let message = format!("`strftime` takes a date and a constant format, in `{whole}`");
        return Err(Error::new(ErrorKind::Type, message)
            .hint("such as strftime(d, '%Y-%m-%d'); there are %Y %y %m %d %j %H %I %M %S %f %p %a %A %b %B %u %w %F %T and %%"));
    }
    let date = match date.column_type {
        ColumnType::Timestamp => date,
        ColumnType::Date | ColumnType::Null => date.to(ColumnType::Timestamp, whole),
        _ => widen(whole, date, ColumnType::Date)?,
    };
    Ok(BoundExpr::new(Node::Call(Function::Strftime, vec![date, format]), ColumnType::Utf8, whole))
}

/// Dates and times as texts of a format.
pub(super) fn strftime(date: &Value, format: &Value) -> Result<Value> {
    let pieces = format.scalar_text().and_then(pieces);
    let pieces = pieces.ok_or_else(|| Error::internal("the format of strftime was not checked"))?;
    let times = match date.array().data_type() {
        DataType::Date32 => {
            let days = Numbers::<Date32Type>::of(date)?;
            let midnight = |row: usize| i64::from(days.at(row)).saturating_mul(DAY_MICROS);
            return texts(&[date], |row| Ok(written(&pieces, midnight(row)).into()));
        }
        _ => Numbers::<TimestampMicrosecondType>::of(date)?,
    };
    texts(&[date], |row| Ok(written(&pieces, times.at(row)).into()))
}

fn written(pieces: &[Piece], micros: i64) -> String {
    let (days, of_day) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    let (year, month, day) = civil::from_days(days);
    let (hour, minute, second) = (of_day / 3_600_000_000, of_day / 60_000_000 % 60, of_day / 1_000_000 % 60);
    let weekday = civil::iso_day_of_week(days);
    let month_name = MONTHS[(month - 1).rem_euclid(12) as usize];
    let day_name = DAYS[(weekday - 1).rem_euclid(7) as usize];
    let mut text = String::new();
    for piece in pieces {
        // Writing into a text does not fail.
        let _ = match piece {
            Piece::Text(own) => text.write_str(own),
            Piece::Field('Y') => write!(text, "{year:04}"),
            Piece::Field('y') => write!(text, "{:02}", year.rem_euclid(100)),
            Piece::Field('m') => write!(text, "{month:02}"),
            Piece::Field('d') => write!(text, "{day:02}"),
            Piece::Field('j') => write!(text, "{:03}", days - civil::to_days(year, 1, 1) + 1),
            Piece::Field('H') => write!(text, "{hour:02}"),
            Piece::Field('I') => write!(text, "{:02}", (hour + 11) % 12 + 1),
            Piece::Field('M') => write!(text, "{minute:02}"),
            Piece::Field('S') => write!(text, "{second:02}"),
            Piece::Field('f') => write!(text, "{:06}", of_day % 1_000_000),
            Piece::Field('p') => text.write_str(if hour < 12 { "AM" } else { "PM" }),
            Piece::Field('a') => text.write_str(&day_name[..3]),
            Piece::Field('A') => text.write_str(day_name),
            Piece::Field('b') => text.write_str(&month_name[..3]),
            Piece::Field('B') => text.write_str(month_name),
            Piece::Field('u') => write!(text, "{weekday}"),
            Piece::Field('w') => write!(text, "{}", weekday % 7),
            Piece::Field('F') => write!(text, "{year:04}-{month:02}-{day:02}"),
            Piece::Field(_) => write!(text, "{hour:02}:{minute:02}:{second:02}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_chrono_writes_them() {
        let format = "%Y %y %m %d %j %H %I %M %S %f %p %a %A %b %B %u %w %F %T %%x";
        let own = pieces(format).unwrap();
        for (micros, expected) in [
            (0, "1970 70 01 01 001 00 12 00 00 000000 AM Thu Thursday Jan January 4 4 1970-01-01 00:00:00 %x"),
            (
                1_009_843_199_000_001,
                "2001 01 12 31 365 23 11 59 59 000001 PM Mon Monday Dec December 1 1 2001-12-31 23:59:59 %x",
            ),
            (-1, "1969 69 12 31 365 23 11 59 59 999999 PM Wed Wednesday Dec December 3 3 1969-12-31 23:59:59 %x"),
        ] {
            assert_eq!(written(&own, micros), expected);
        }
        assert_eq!(pieces("%q"), None);
        assert_eq!(pieces("50%"), None);
    }
}
