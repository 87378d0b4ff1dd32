use super::*;
use chrono::{DateTime, FixedOffset, NaiveDateTime};
use proptest::prelude::*;

fn micros(format: &str, text: &str) -> Option<i64> {
    Pattern::compile(format).unwrap().read(text.as_bytes()).map(timestamp)
}

const FORMATS: [&str; 16] = [
    "%d.%m.%Y",
    "%m/%d/%y %H:%M",
    "%Y%m%d",
    "%Y%m%d%H%M%S",
    "%e %B %Y, %k:%M",
    "%d-%b-%Y",
    "%b %d %Y %I:%M:%S %p",
    "%l:%M%P on %A, %F",
    "%Y-%j",
    "%j%y",
    "%D %T",
    "%a %b %e %T %Y",
    "%FT%T%.f",
    "%d/%m/%Y%t%R%%",
    "%F %T %z",
    "%d.%m.%Y %H:%M:%S%:z",
];

proptest! {
    /// chrono is the judge: what it writes we read, as it reads it.
    #[test]
    fn what_chrono_writes_is_read_as_chrono_reads_it(
        seconds in -2_000_000_000_i64..5_000_000_000,
        offset in -86_000..86_000_i32,
        format in prop::sample::select(&FORMATS[..]),
    ) {
        let zone = FixedOffset::east_opt(if format.contains('z') { offset / 60 * 60 } else { 0 }).unwrap();
        let text = DateTime::from_timestamp(seconds, 123_456_000).unwrap().with_timezone(&zone).format(format).to_string();
        let expected = if format.contains('z') {
            DateTime::parse_from_str(&text, format).unwrap().timestamp_micros()
        } else {
            let with_time = NaiveDateTime::parse_from_str(&text, format).or_else(|_| {
                NaiveDateTime::parse_from_str(&format!("{text} 00:00"), &format!("{format} %H:%M"))
            });
            with_time.unwrap().and_utc().timestamp_micros()
        };
        prop_assert_eq!(micros(format, &text), Some(expected), "{} {}", format, text);
    }

    /// What we read, chrono reads alike; it is laxer about years, spaces and digits that abut.
    #[test]
    fn what_is_read_chrono_reads_alike(
        text in "[0-3]?[0-9][./][01]?[0-9][./][0-9]{2,5}( [0-2]?[0-9]:[0-6]?[0-9])?",
        format in prop::sample::select(&["%d.%m.%Y", "%m/%d/%y", "%m/%d/%Y", "%m/%d/%y %H:%M", "%d.%m.%Y %H:%M"][..]),
    ) {
        if let Some(micros) = micros(format, &text) {
            let judged = NaiveDateTime::parse_from_str(&text, format).or_else(|_| {
                NaiveDateTime::parse_from_str(&format!("{text} 00:00"), &format!("{format} %H:%M"))
            });
            prop_assert_eq!(judged.unwrap().and_utc().timestamp_micros(), micros, "{} {}", format, text);
        }
    }

    #[test]
    fn no_text_and_no_format_panics(format in "([ -~]|%[a-zA-Z.:%]){0,12}", text in "[0-9A-Za-z:./+ -]{0,24}|.{0,12}") {
        if let Ok(pattern) = Pattern::compile(&format) {
            pattern.read(text.as_bytes());
        }
        for format in FORMATS {
            micros(format, &text);
        }
    }
}

#[test]
fn differences_from_chrono_are_on_the_strict_side() {
    assert_eq!(micros("%d.%m.%Y", "03.02.99"), None, "a year of two digits is %y");
    assert_eq!(micros("%Y%m%d", "2001203"), None, "digits that abut are all there");
    assert_eq!(micros("%F %T.%f", "1970-01-01 00:00:00.5"), Some(500_000), "%f is a fraction, not a count");
    assert_eq!(micros("%F %T %z", "1970-01-01 02:00:00 Z"), Some(7_200_000_000));
    assert_eq!(micros("%a %F", "Fri 1970-01-01"), None, "it was a Thursday");
    assert_eq!(micros("%y-%j", "01-366"), None);
}

#[test]
fn formats_that_make_no_date_are_refused() {
    for format in [
        "",
        "%",
        "%Q",
        "%d.%m.",
        "%Y",
        "%H:%M",
        "%Y-%m-%d %Y",
        "%F %M",
        "%F %I:%M",
        "%F %H %p",
        "%F %H:%S",
        "%F %R %f",
        "%j %d %Y",
        "%F %z",
        "%.",
        "%:",
    ] {
        assert_eq!(Pattern::compile(format).unwrap_err().kind(), ErrorKind::Unsupported, "{format}");
    }
}
