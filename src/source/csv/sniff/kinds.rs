//! What sort of value a field holds, as far as it is evidence for a dialect.

use super::reading::Reading;
use crate::source::csv::fields::{Format, trim, unquote};
use crate::source::csv::infer::TypeGuess;
use crate::types::ColumnType;
use std::ops::Range;

/// A sort of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Number,
    Truth,
    Time,
    Text,
}

/// A column is of the kind of so many of its values.
const SHARE: f64 = 0.9;
/// A column in which so many values are numbers tells how numbers are written.
const NUMBERS_SHARE: f64 = 0.5;

/// The kind of a raw field. A number with a decimal comma is one wherever the comma does not delimit.
pub(super) fn kind(raw: &[u8], format: &Format) -> Kind {
    if format.dialect.delimiter() != b',' && comma(raw, format).is_some() {
        return Kind::Number;
    }
    let mut guess = TypeGuess::default();
    guess.observe(raw, format);
    match guess.column_type() {
        ColumnType::Null => Kind::Null,
        ColumnType::Int64 | ColumnType::Float64 => Kind::Number,
        ColumnType::Boolean => Kind::Truth,
        ColumnType::Date | ColumnType::Timestamp => Kind::Time,
        // Which of its numbers is the month does not matter here.
        ColumnType::Utf8 if !guess.ambiguous_dates().is_empty() => Kind::Time,
        ColumnType::Utf8 | ColumnType::List(_) => Kind::Text,
    }
}

/// The kind of nearly all values of a column; text when there is none.
pub(super) fn of_column(rows: &[Vec<Range<usize>>], field: usize, text: &[u8], format: &Format) -> Kind {
    of_most(SHARE, rows, field, text, format)
}

/// The kind of at least this share of the values of a column.
fn of_most(share: f64, rows: &[Vec<Range<usize>>], field: usize, text: &[u8], format: &Format) -> Kind {
    let mut counts = [0_usize; 4];
    let mut values = 0;
    for range in rows.iter().filter_map(|row| row.get(field)) {
        let slot = match kind(&text[range.clone()], format) {
            Kind::Null => continue,
            Kind::Number => 0,
            Kind::Truth => 1,
            Kind::Time => 2,
            Kind::Text => 3,
        };
        counts[slot] += 1;
        values += 1;
    }
    let common = |slot: usize| counts[slot] as f64 >= share * f64::from(values);
    match values {
        0 => Kind::Null,
        _ if common(0) => Kind::Number,
        _ if common(1) => Kind::Truth,
        _ if common(2) => Kind::Time,
        _ => Kind::Text,
    }
}

/// The decimal mark, where numbers of the table have one: a comma if it delimits no fields, some column holds integers
/// and values such as `3,14`, not all of which could be thousands, and no column holds values such as `3.14`.
pub(super) fn decimal_mark(reading: &Reading, text: &[u8], format: &Format) -> Option<u8> {
    let rows = reading.data();
    let (mut commas, mut points) = (false, false);
    for field in 0..reading.fields {
        if of_most(NUMBERS_SHARE, rows, field, text, format) != Kind::Number {
            continue;
        }
        for raw in rows.iter().filter_map(|row| row.get(field)).map(|range| &text[range.clone()]) {
            let comma = comma(raw, format).filter(|_| format.dialect.delimiter() != b',');
            commas |= comma == Some(true);
            points |= comma.is_none() && raw.contains(&b'.') && !is_grouped(bare(raw, format), b'.');
        }
    }
    match (commas, points) {
        (true, false) => Some(b','),
        (_, true) => Some(b'.'),
        (false, false) => None,
    }
}

/// Whether some number of a column of numbers has points between thousands and a decimal comma.
pub(super) fn has_grouped_commas(reading: &Reading, text: &[u8], format: &Format) -> bool {
    let is_grouped_comma = |raw: &[u8]| {
        let comma = comma(raw, format) == Some(true);
        comma && memchr::memchr(b'.', raw).is_some()
    };
    let rows = reading.data();
    let numeric = |&field: &usize| of_most(NUMBERS_SHARE, rows, field, text, format) == Kind::Number;
    (0..reading.fields)
        .filter(numeric)
        .any(|field| rows.iter().filter_map(|row| row.get(field)).any(|range| is_grouped_comma(&text[range.clone()])))
}

/// Whether the field is a number with a comma, `3,14` or `1.234,5`; `Some(false)` when the comma might as well stand
/// between thousands, as in `1,234`.
fn comma(raw: &[u8], format: &Format) -> Option<bool> {
    let value = bare(raw, format);
    let digits = value.strip_prefix(b"-").or(value.strip_prefix(b"+")).unwrap_or(value);
    let at = memchr::memchr(b',', digits)?;
    let (whole, fraction) = (&digits[..at], &digits[at + 1..]);
    if is_grouped(digits, b',') {
        // `0,123` and `0123,456` are no thousands.
        return Some(whole.first() == Some(&b'0'));
    }
    let is_whole = !whole.is_empty() && whole.iter().all(u8::is_ascii_digit);
    let is_number = (is_whole || is_grouped(whole, b'.')) && !fraction.is_empty();
    (is_number && fraction.iter().all(u8::is_ascii_digit)).then_some(true)
}

/// Groups of three digits with `mark` between, one to three digits first: `1.234.567`.
fn is_grouped(digits: &[u8], mark: u8) -> bool {
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    let mut groups = digits.split(|&byte| byte == mark);
    let all_digits = |group: &[u8]| group.iter().all(u8::is_ascii_digit);
    let first = groups.next().unwrap_or_default();
    let mut count = 0;
    let rest = groups.all(|group| {
        count += 1;
        group.len() == 3 && all_digits(group)
    });
    rest && count > 0 && (1..=3).contains(&first.len()) && all_digits(first)
}

/// The field without quotes and the spaces around it.
fn bare<'a>(raw: &'a [u8], format: &Format) -> &'a [u8] {
    match unquote(raw, &format.dialect) {
        Some(std::borrow::Cow::Borrowed(inner)) => trim(inner),
        Some(std::borrow::Cow::Owned(_)) => raw,
        None => trim(raw),
    }
}
