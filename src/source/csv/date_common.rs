//! Dates and timestamps as people write them, beyond ISO 8601.
//!
//! Days and months have one or two digits, years four. A time of day may follow after a space or `T`: `H:MM`,
//! optionally `:SS` and a fraction, optionally `AM` or `PM`, optionally a time zone.

use super::datetime::{MICROS_PER_DAY, day_number, time_from_hour, zone_micros};
use crate::expr::civil::MONTHS;

/// In which order the parts of a date stand, and what stands between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    YearMonthDay,
    MonthDayYear,
    DayMonthYear,
    /// The month is a name, at least its first three letters, in English.
    DayNameYear,
}

/// Days since 1970-01-01 of a date without time of day.
pub(super) fn parse_common_date(text: &[u8], order: Order, separator: u8) -> Option<i32> {
    let (day, rest) = take_date(text, order, separator)?;
    rest.is_empty().then_some(day)
}

/// Microseconds since 1970-01-01T00:00:00 of a date, with or without time of day.
pub(super) fn parse_common_timestamp(text: &[u8], order: Order, separator: u8) -> Option<i64> {
    let (day, rest) = take_date(text, order, separator)?;
    let day = i64::from(day) * MICROS_PER_DAY;
    let time = match rest {
        [] => return Some(day),
        [b' ' | b'T', time @ ..] => time,
        _ => return None,
    };
    let (hour, rest) = take_number(time, 1, 2)?;
    let (micros, rest) = time_from_hour(hour, rest)?;
    let Some((is_afternoon, rest)) = take_half(rest.strip_prefix(b" ").unwrap_or(rest)) else {
        return Some(day + micros - zone_micros(rest)?);
    };
    if !(1..=12).contains(&hour) {
        return None;
    }
    let noon = if is_afternoon { MICROS_PER_DAY / 2 } else { 0 };
    Some(day + micros % (MICROS_PER_DAY / 2) + noon - zone_micros(rest)?)
}

fn take_date(text: &[u8], order: Order, separator: u8) -> Option<(i32, &[u8])> {
    let separated = |text| take_separator(text, separator);
    let (year, month, day, rest) = match order {
        Order::YearMonthDay => {
            let (year, rest) = take_number(text, 4, 4)?;
            let (month, rest) = take_number(separated(rest)?, 1, 2)?;
            let (day, rest) = take_number(separated(rest)?, 1, 2)?;
            (year, month, day, rest)
        }
        Order::MonthDayYear => {
            let (month, rest) = take_number(text, 1, 2)?;
            let (day, rest) = take_number(separated(rest)?, 1, 2)?;
            let (year, rest) = take_number(separated(rest)?, 4, 4)?;
            (year, month, day, rest)
        }
        Order::DayMonthYear => {
            let (day, rest) = take_number(text, 1, 2)?;
            let (month, rest) = take_number(separated(rest)?, 1, 2)?;
            let (year, rest) = take_number(separated(rest)?, 4, 4)?;
            (year, month, day, rest)
        }
        Order::DayNameYear => {
            let (day, rest) = take_number(text, 1, 2)?;
            let (month, rest) = take_name(separated(rest)?, &MONTHS)?;
            let (year, rest) = take_number(separated(rest)?, 4, 4)?;
            (year, month + 1, day, rest)
        }
    };
    Some((day_number(year, month, day)?, rest))
}

fn take_separator(text: &[u8], separator: u8) -> Option<&[u8]> {
    text.split_first().filter(|(first, _)| **first == separator).map(|(_, rest)| rest)
}

/// A number of at least `least` and at most `most` ≤ 9 digits, as many as there are, and the text behind it.
pub(super) fn take_number(text: &[u8], least: usize, most: usize) -> Option<(i32, &[u8])> {
    let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    (length >= least).then(|| (digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')), rest))
}

/// Whether `AM` or `PM` comes next, in any case, is the latter; and the text behind it.
pub(super) fn take_half(text: &[u8]) -> Option<(bool, &[u8])> {
    let (half, rest) = text.split_at_checked(2)?;
    let is_afternoon = half.eq_ignore_ascii_case(b"pm");
    (is_afternoon || half.eq_ignore_ascii_case(b"am")).then_some((is_afternoon, rest))
}

/// The number of the name that comes next, whole or its first three letters, in any case; and the text behind it.
pub(super) fn take_name<'a>(text: &'a [u8], names: &[&str]) -> Option<(i32, &'a [u8])> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    let (number, name) = names.iter().enumerate().find(|(_, name)| starts(&name[..3]))?;
    let length = if starts(name) { name.len() } else { 3 };
    Some((number as i32, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2001-02-03.
    const DAY: i32 = 11_356;

    #[test]
    fn dates_in_every_order() {
        for (text, order, separator) in [
            ("2001/02/03", Order::YearMonthDay, b'/'),
            ("2001/2/3", Order::YearMonthDay, b'/'),
            ("03.02.2001", Order::DayMonthYear, b'.'),
            ("3.2.2001", Order::DayMonthYear, b'.'),
            ("02/03/2001", Order::MonthDayYear, b'/'),
            ("3-Feb-2001", Order::DayNameYear, b'-'),
            ("03-FEBRUARY-2001", Order::DayNameYear, b'-'),
        ] {
            assert_eq!(parse_common_date(text.as_bytes(), order, separator), Some(DAY), "{text}");
            let midnight = Some(i64::from(DAY) * MICROS_PER_DAY);
            assert_eq!(parse_common_timestamp(text.as_bytes(), order, separator), midnight, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["30.02.2001", "1.13.2001", "0.1.2001", "1.1.01", "1.1.20011", "1.1.", "1.1", "1/1/2001", "", "192.168.1.1"]
        {
            assert_eq!(parse_common_date(text.as_bytes(), Order::DayMonthYear, b'.'), None, "{text}");
        }
        for text in ["3-Fe-2001", "3-Febr-2001", "3-XXX-2001", "3-Feb-01", "3-Maybe-2001"] {
            assert_eq!(parse_common_date(text.as_bytes(), Order::DayNameYear, b'-'), None, "{text}");
        }
    }

    #[test]
    fn times_may_have_halves_and_zones() {
        let seconds = |time: &str| {
            let text = format!("3.2.2001{time}");
            let micros = parse_common_timestamp(text.as_bytes(), Order::DayMonthYear, b'.')?;
            Some((micros - i64::from(DAY) * MICROS_PER_DAY) as f64 / 1e6)
        };
        for (time, expected) in [
            (" 7:08", Some(25_680.0)),
            ("T07:08:09.5", Some(25_689.5)),
            (" 12:00 AM", Some(0.0)),
            (" 12:30:00pm", Some(45_000.0)),
            (" 1:00 PM", Some(46_800.0)),
            (" 02:00+02:00", Some(0.0)),
            (" 1:00 AM +01", Some(0.0)),
            (" 13:00 PM", None),
            (" 0:30 AM", None),
            (" 24:00", None),
            (" 7", None),
            (" 7:8", None),
            (" ", None),
            ("  7:08", None),
        ] {
            assert_eq!(seconds(time), expected, "{time:?}");
        }
    }
}
