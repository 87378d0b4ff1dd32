//! Text in ISO 8601 to dates and timestamps, without surrounding spaces; and the arithmetic of days and times.

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01 of a date `YYYY-MM-DD` in the proleptic Gregorian calendar; `None` for anything else.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else {
        return None;
    };
    let year = two_digits(y0, y1)? * 100 + two_digits(y2, y3)?;
    let (month, day) = (two_digits(m0, m1)?, two_digits(d0, d1)?);
    day_number(year, month, day)
}

/// Microseconds since 1970-01-01T00:00:00 of a date, or of a date and a time of day: `YYYY-MM-DD`, then optionally
/// `T` or a space, `HH:MM`, optionally `:SS`, optionally a point and one to nine digits, optionally a time zone as in
/// `zone_micros`, which is taken off: with a zone, the moment is that of UTC. Digits beyond the sixth are cut off;
/// there are no leap seconds. `None` for anything else.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = i64::from(parse_date(date)?) * MICROS_PER_DAY;
    match rest {
        [] => Some(day),
        &[b'T' | b' ', h0, h1, ref rest @ ..] => {
            let (micros, rest) = time_from_hour(two_digits(h0, h1)?, rest)?;
            Some(day + micros - zone_micros(rest)?)
        }
        _ => None,
    }
}

/// Microseconds of a time of day whose hour has been read, from `:MM` on, and the text behind it.
pub(super) fn time_from_hour(hour: i32, text: &[u8]) -> Option<(i64, &[u8])> {
    let (minute, rest) = match text {
        &[b':', m0, m1, ref rest @ ..] => (two_digits(m0, m1)?, rest),
        _ => return None,
    };
    let (second, rest) = match rest {
        &[b':', s0, s1, ref rest @ ..] => (two_digits(s0, s1)?, rest),
        _ => return Some((micros_of_day(hour, minute, 0)?, rest)),
    };
    let micros = micros_of_day(hour, minute, second)?;
    match rest {
        [b'.', rest @ ..] => {
            let (fraction, rest) = take_fraction(rest)?;
            Some((micros + fraction, rest))
        }
        rest => Some((micros, rest)),
    }
}

/// Microseconds since midnight; `None` for a time that does not exist.
pub(super) fn micros_of_day(hour: i32, minute: i32, second: i32) -> Option<i64> {
    let exists = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    exists.then(|| i64::from((hour * 60 + minute) * 60 + second) * 1_000_000)
}

/// Microseconds of one to nine digits after the decimal point of a second, those beyond the sixth cut off, and the
/// text behind them.
pub(super) fn take_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let digit = |place: usize| digits.get(place).map_or(0, |&digit| i64::from(digit - b'0'));
    (1..=9).contains(&length).then(|| ((0..6).fold(0, |value, place| value * 10 + digit(place)), rest))
}

/// Microseconds that a time zone is ahead of UTC: nothing or `Z`, else, after an optional space, a sign and `HH`,
/// `HHMM` or `HH:MM`. `None` for anything else.
pub(super) fn zone_micros(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [] | [b'Z'] => return Some(0),
        [b' ', sign @ (b'+' | b'-'), digits @ ..] | [sign @ (b'+' | b'-'), digits @ ..] => (*sign, digits),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h0, h1] => (two_digits(h0, h1)?, 0),
        [h0, h1, m0, m1] | [h0, h1, b':', m0, m1] => (two_digits(h0, h1)?, two_digits(m0, m1)?),
        _ => return None,
    };
    let micros = micros_of_day(hours, minutes, 0)?;
    Some(if sign == b'-' { -micros } else { micros })
}

/// Days since 1970-01-01; `None` for a day that does not exist or a year beyond 0 to 9999.
pub(super) fn day_number(year: i32, month: i32, day: i32) -> Option<i32> {
    let exists = (0..10_000).contains(&year) && day >= 1 && day <= days_in_month(year, month)?;
    exists.then(|| days_from_civil(year, month, day))
}

fn two_digits(tens: u8, ones: u8) -> Option<i32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

fn days_in_month(year: i32, month: i32) -> Option<i32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 29 } else { 28 }),
        _ => None,
    }
}

/// The days of whole years and of whole months, counted from March so that the leap day comes last.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    // 400 is added, a whole cycle of the calendar, so that divisions round down in year 0 too.
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let days_of_years = 365 * year + year / 4 - year / 100 + year / 400;
    let days_of_months = (153 * month + 2) / 5;
    // 0400-03-01, in this count, to 1970-01-01, and the cycle that was added.
    days_of_years + days_of_months + day - 1 - 719_468 - 146_097
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{NaiveDate, NaiveDateTime};

    #[test]
    fn every_day_of_ten_thousand_years_counts_up_by_one() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut day = NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        while day <= NaiveDate::from_ymd_opt(9999, 12, 31).unwrap() {
            let text = day.format("%Y-%m-%d").to_string();
            let expected = day.signed_duration_since(epoch).num_days();
            assert_eq!(parse_date(text.as_bytes()).map(i64::from), Some(expected), "{text}");
            day = day.succ_opt().unwrap();
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in
            ["2001-02-29", "1900-02-29", "2000-13-01", "2000-00-01", "2000-04-31", "2000-01-00", "2000-1-1", "20000101"]
        {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
        assert!(parse_date(b"2000-02-29").is_some());
    }

    #[test]
    fn timestamps_have_optional_parts() {
        let micros = |text: &str| parse_timestamp(text.as_bytes());
        let expected = |text: &str| {
            Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").unwrap().and_utc().timestamp_micros())
        };
        assert_eq!(micros("2004-05-06"), expected("2004-05-06T00:00:00"));
        assert_eq!(micros("2004-05-06 07:08"), expected("2004-05-06T07:08:00"));
        assert_eq!(micros("2004-05-06T07:08:09Z"), expected("2004-05-06T07:08:09"));
        assert_eq!(micros("1960-05-06T07:08:09.5"), expected("1960-05-06T07:08:09.5"));
        assert_eq!(micros("2004-05-06T07:08:09.123456789Z"), expected("2004-05-06T07:08:09.123456"));
    }

    #[test]
    fn zones_are_converted_to_utc() {
        for zone in ["Z", "+00:00", "+0000", "-00"] {
            assert_eq!(parse_timestamp(format!("1970-01-01 00:00:01{zone}").as_bytes()), Some(1_000_000), "{zone}");
        }
        for (text, hours) in [
            ("1970-01-01T02:00+02:00", 0.0),
            ("1970-01-01T02:00:00.000 -0530", 7.5),
            ("1970-01-01T00:00+01", -1.0),
            ("1969-12-31T23:30-00:30", 0.0),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), Some((hours * 3.6e9) as i64), "{text}");
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        let bad = [
            "24:00",
            "12:60",
            "12:00:60",
            "12",
            "12:0",
            "12:00:",
            "12:00:00.",
            "12:00:00.1234567890",
            "12:00.5",
            "Z",
            "",
            "12:00+",
            "12:00+2",
            "12:00+24:00",
            "12:00+02:60",
            "12:00 02:00",
            "12:00z",
            "12:00ZZ",
        ];
        for time in bad {
            assert_eq!(parse_timestamp(format!("2004-05-06T{time}").as_bytes()), None, "{time}");
        }
        assert_eq!(parse_timestamp(b"2004-05-06Z"), None);
    }
}
