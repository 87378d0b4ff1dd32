//! Days and microseconds to civil dates and back, in the proleptic Gregorian calendar, over the whole range of the
//! integers that hold them (calendar libraries stop earlier).
//!
//! The conversions are those of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013): years are
//! counted from 1 March, in eras of 400 years that all have the same number of days.

use std::fmt;

/// Days in 400 years.
const ERA_DAYS: i64 = 146_097;
/// Microseconds in a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The months in English.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Year, month and day of a day number.
pub(crate) fn from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day number of a year, month and day known to exist.
pub(crate) fn to_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA_DAYS + day_of_era - 719_468
}

/// The day number of a date, or `None` if there is no such date or it is beyond the range of Date.
pub(crate) fn checked_days(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(-6_000_000..=6_000_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = to_days(year, month, day);
    // A day that the month does not have comes back as one of the next month.
    if from_days(days) == (year, month, day) { i32::try_from(days).ok() } else { None }
}

/// Day of the week, Monday = 1.
pub(crate) fn iso_day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// ISO 8601 week number: the week belongs to the year its Thursday is in.
pub(crate) fn iso_week(days: i64) -> i64 {
    let thursday = days - iso_day_of_week(days) + 4;
    (thursday - to_days(from_days(thursday).0, 1, 1)) / 7 + 1
}

/// A day number, shown as `2001-12-31`.
pub(crate) struct Date(pub(crate) i32);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, i64::from(self.0))
    }
}

fn write_date(f: &mut fmt::Formatter<'_>, days: i64) -> fmt::Result {
    let (year, month, day) = from_days(days);
    match year {
        0..=9999 => write!(f, "{year:04}")?,
        _ => write!(f, "{year:+05}")?,
    }
    write!(f, "-{month:02}-{day:02}")
}

/// Microseconds since 1970, shown as `2001-12-31T23:59:00`, with a fraction only where there is one.
pub(crate) struct Timestamp(pub(crate) i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.0.div_euclid(DAY_MICROS))?;
        let micros = self.0.rem_euclid(DAY_MICROS);
        let seconds = micros / 1_000_000;
        write!(f, "T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        match micros % 1_000_000 {
            0 => Ok(()),
            fraction if fraction % 1000 == 0 => write!(f, ".{:03}", fraction / 1000),
            fraction => write!(f, ".{fraction:06}"),
        }
    }
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `2001-12-31`; years beyond four digits carry a sign.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = rest.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() < 4 || (year.len() > 4 && rest.len() == text.len()) || month.len() != 2 || day.len() != 2 {
        return None;
    }
    checked_days(sign * digits(year)?, digits(month)?, digits(day)?)
}

/// `2001-12-31T23:59`, with optional seconds and up to six decimals; a blank may stand for `T`.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00"),
    };
    // In 128 bits, for the first midnight of the range lies before it.
    let midnight = i128::from(parse_date(date)?) * i128::from(DAY_MICROS);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    if parts.next().is_some() || [hour, minute, second].iter().any(|part| part.len() != 2) || fraction.len() > 6 {
        return None;
    }
    let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = digits(fraction)? * 10_i64.pow(6 - u32::try_from(fraction.len()).ok()?);
    i64::try_from(midnight + i128::from(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_with_chrono_over_its_range() {
        use chrono::{Datelike, NaiveDate};
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-1_000_000_i64..1_000_000).step_by(37).chain(-800..800) {
            let date = epoch + chrono::Duration::days(days);
            let civil = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(from_days(days), civil);
            assert_eq!(to_days(civil.0, civil.1, civil.2), days);
            assert_eq!(iso_week(days), i64::from(date.iso_week().week()), "{date}");
            assert_eq!(iso_day_of_week(days), i64::from(date.weekday().number_from_monday()));
        }
    }

    #[test]
    fn text_round_trips_at_the_extremes() {
        for days in [i32::MIN, -1, 0, 11_687, i32::MAX] {
            assert_eq!(parse_date(&Date(days).to_string()), Some(days), "{}", Date(days));
        }
        for micros in [i64::MIN, -1, 0, 1, 1_000, 1_009_843_199_000_000, i64::MAX] {
            assert_eq!(parse_timestamp(&Timestamp(micros).to_string()), Some(micros), "{}", Timestamp(micros));
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in
            ["2001-02-29", "2001-13-01", "2001-00-01", "2001-1-01", "20010101", "", "-", "12001-01-01", "2001-01-0é"]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert_eq!(parse_date("2000-02-29"), Some(11_016));
        for text in
            ["2001-01-01T24:00", "2001-01-01T1:00", "2001-01-01T10", "2001-01-01T10:00:00.1234567", "2001-01-01T"]
        {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
