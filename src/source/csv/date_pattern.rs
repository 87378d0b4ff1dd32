//! Dates and timestamps in a format that the user gives: `%` codes with the meaning they have in `strftime` and chrono,
//! compiled once to a list of steps.

use super::date_common::{take_half, take_name, take_number};
use super::datetime::{MICROS_PER_DAY, day_number, micros_of_day, take_fraction, zone_micros};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::civil::MONTHS;

/// One step of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Literal(u8),
    /// Any number of spaces and tabs, none included.
    Space,
    Year,
    YearOfCentury,
    Month,
    MonthName,
    Day,
    DayOfYear,
    WeekdayName,
    Hour,
    HourOfHalf,
    Half,
    Minute,
    Second,
    Fraction,
    /// A point and a fraction, or nothing.
    PointFraction,
    Zone,
}

/// A compiled format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Box<str>,
    /// Steps, and for numbers whether they have all their digits because another number stands next to them.
    steps: Vec<(Step, bool)>,
    has_time: bool,
}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    year: i32,
    month: i32,
    day: i32,
    day_of_year: Option<i32>,
    weekday: Option<i32>,
    hour: i32,
    is_afternoon: Option<bool>,
    minute: i32,
    second: i32,
    fraction_micros: i64,
    zone_micros: i64,
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Pattern {
    /// Compiles a format.
    ///
    /// # Errors
    /// `Unsupported` for codes that are not known, given twice, or together make no date.
    pub(super) fn compile(format: &str) -> Result<Self> {
        let refused = |message: String| {
            Error::new(ErrorKind::Unsupported, format!("the date format `{format}` {message}")).hint(
                "codes are %Y %y %m %b %d %j %a, %H %I %p %M %S %f %z, and %F %T %R %D; such as %d.%m.%Y or %m/%d/%y %H:%M",
            )
        };
        let mut steps = Vec::new();
        let mut rest = format.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            match first {
                b'%' => rest = code(after, &mut steps).ok_or_else(|| refused("has a code that is not known".into()))?,
                b' ' | b'\t' => steps.push(Step::Space),
                byte => steps.push(Step::Literal(*byte)),
            }
        }
        check(&steps).map_err(|message| refused(message.into()))?;
        let has_time = steps.iter().any(|step| matches!(step, Step::Hour | Step::HourOfHalf));
        let is_number = |at: usize| steps.get(at).is_some_and(|step| step.is_number());
        let abutting = |at: usize| is_number(at + 1) || at > 0 && is_number(at - 1);
        let steps = steps.iter().enumerate().map(|(at, &step)| (step, abutting(at))).collect();
        Ok(Pattern { text: format.into(), steps, has_time })
    }

    /// The format as it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the format has a time of day, so that it makes timestamps.
    pub(super) fn has_time(&self) -> bool {
        self.has_time
    }

    /// Days since 1970-01-01 and microseconds since the midnight before or, when a zone moves them, beyond it.
    pub(super) fn read(&self, text: &[u8]) -> Option<(i32, i64)> {
        let mut parts = Parts::default();
        let mut rest = text;
        for &(step, abutting) in &self.steps {
            rest = parts.take(step, abutting, rest)?;
        }
        if rest.is_empty() { parts.moment() } else { None }
    }
}

impl Step {
    fn is_number(self) -> bool {
        use Step::*;
        matches!(self, Year | YearOfCentury | Month | Day | DayOfYear | Hour | HourOfHalf | Minute | Second | Fraction)
    }
}

/// Compiles the code behind a `%`; returns what stands behind it, `None` for an unknown code.
fn code<'a>(text: &'a [u8], steps: &mut Vec<Step>) -> Option<&'a [u8]> {
    let (&[first], rest) = text.split_first_chunk::<1>()?;
    let one = match first {
        b'Y' => Step::Year,
        b'y' => Step::YearOfCentury,
        b'm' => Step::Month,
        b'b' | b'B' | b'h' => Step::MonthName,
        b'd' | b'e' => Step::Day,
        b'j' => Step::DayOfYear,
        b'a' | b'A' => Step::WeekdayName,
        b'H' | b'k' => Step::Hour,
        b'I' | b'l' => Step::HourOfHalf,
        b'p' | b'P' => Step::Half,
        b'M' => Step::Minute,
        b'S' => Step::Second,
        b'f' => Step::Fraction,
        b'z' => Step::Zone,
        b'n' | b't' => Step::Space,
        b'%' => Step::Literal(b'%'),
        b'.' => {
            steps.push(Step::PointFraction);
            return rest.strip_prefix(b"f");
        }
        b':' => {
            steps.push(Step::Zone);
            return rest.strip_prefix(b"z");
        }
        _ => {
            let several: &[Step] = match first {
                b'F' => &[Step::Year, Step::Literal(b'-'), Step::Month, Step::Literal(b'-'), Step::Day],
                b'D' => &[Step::Month, Step::Literal(b'/'), Step::Day, Step::Literal(b'/'), Step::YearOfCentury],
                b'T' => &[Step::Hour, Step::Literal(b':'), Step::Minute, Step::Literal(b':'), Step::Second],
                b'R' => &[Step::Hour, Step::Literal(b':'), Step::Minute],
                _ => return None,
            };
            steps.extend_from_slice(several);
            return Some(rest);
        }
    };
    if matches!(first, b'e' | b'k' | b'l') {
        // Padded with a space.
        steps.push(Step::Space);
    }
    steps.push(one);
    Some(rest)
}

/// Whether the steps make a date, or a date and a time of day, each part given once.
fn check(steps: &[Step]) -> std::result::Result<(), &'static str> {
    use Step::*;
    let count = |of: &[Step]| steps.iter().filter(|step| of.contains(step)).count();
    let once: [&[Step]; 11] = [
        &[Year, YearOfCentury],
        &[Month, MonthName, DayOfYear],
        &[Day, DayOfYear],
        &[WeekdayName],
        &[Hour, HourOfHalf],
        &[Hour, Half],
        &[Half],
        &[Minute],
        &[Second],
        &[Fraction, PointFraction],
        &[Zone],
    ];
    if once.iter().any(|kind| count(kind) > 1) {
        return Err("gives a part twice");
    }
    if once[..3].iter().any(|kind| count(kind) == 0) {
        return Err("does not give year, month and day");
    }
    let needs = |part: &[Step], needed: &[Step]| count(part) > 0 && count(needed) == 0;
    if needs(&[Minute, Zone, Half], &[Hour, HourOfHalf]) || needs(&[HourOfHalf], &[Half]) {
        return Err("gives no hour, or half of a day");
    }
    if needs(&[Second], &[Minute]) || needs(&[Fraction, PointFraction], &[Second]) {
        return Err("gives a part of an hour or minute without what comes before it");
    }
    Ok(())
}

impl Parts {
    /// Takes a step at the front of `text` and returns what stands behind.
    fn take<'a>(&mut self, step: Step, abutting: bool, text: &'a [u8]) -> Option<&'a [u8]> {
        let number = |most: usize, least: usize| take_number(text, if abutting { most } else { least }, most);
        let rest;
        match step {
            Step::Literal(byte) => {
                return text.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest);
            }
            Step::Space => return Some(text.trim_ascii_start()),
            Step::Year => (self.year, rest) = number(4, 4)?,
            Step::YearOfCentury => {
                (self.year, rest) = number(2, 2)?;
                self.year += if self.year < 70 { 2000 } else { 1900 };
            }
            Step::Month => (self.month, rest) = number(2, 1)?,
            Step::MonthName => {
                (self.month, rest) = take_name(text, &MONTHS)?;
                self.month += 1;
            }
            Step::Day => (self.day, rest) = number(2, 1)?,
            Step::DayOfYear => {
                let (day, behind) = number(3, 1)?;
                (self.day_of_year, rest) = (Some(day), behind);
            }
            Step::WeekdayName => {
                let (weekday, behind) = take_name(text, &WEEKDAYS)?;
                (self.weekday, rest) = (Some(weekday), behind);
            }
            Step::Hour | Step::HourOfHalf => (self.hour, rest) = number(2, 1)?,
            Step::Half => {
                let (is_afternoon, behind) = take_half(text)?;
                (self.is_afternoon, rest) = (Some(is_afternoon), behind);
            }
            Step::Minute => (self.minute, rest) = number(2, 1)?,
            Step::Second => (self.second, rest) = number(2, 1)?,
            Step::Fraction => (self.fraction_micros, rest) = take_fraction(text)?,
            Step::PointFraction => match text {
                [b'.', fraction @ ..] => (self.fraction_micros, rest) = take_fraction(fraction)?,
                text => rest = text,
            },
            Step::Zone => {
                let is_zone = |byte: &&u8| byte.is_ascii_digit() || b"+-:Z".contains(byte);
                let (zone, behind) = text.split_at(text.iter().take_while(is_zone).count());
                if zone.is_empty() {
                    return None;
                }
                (self.zone_micros, rest) = (zone_micros(zone)?, behind);
            }
        }
        Some(rest)
    }

    fn moment(&self) -> Option<(i32, i64)> {
        let day = match self.day_of_year {
            None => day_number(self.year, self.month, self.day)?,
            Some(day) => {
                let new_year = day_number(self.year, 1, 1)?;
                let in_year = day >= 1 && new_year + day - 1 <= day_number(self.year, 12, 31)?;
                in_year.then_some(new_year + day - 1)?
            }
        };
        // 1970-01-01 was a Thursday.
        if self.weekday.is_some_and(|weekday| weekday != (day + 4).rem_euclid(7)) {
            return None;
        }
        let hour = match self.is_afternoon {
            None => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(is_afternoon) => self.hour % 12 + if is_afternoon { 12 } else { 0 },
        };
        let time = micros_of_day(hour, self.minute, self.second)?;
        Some((day, time + self.fraction_micros - self.zone_micros))
    }
}

/// Microseconds since 1970-01-01T00:00:00.
pub(super) fn timestamp((day, micros): (i32, i64)) -> i64 {
    i64::from(day) * MICROS_PER_DAY + micros
}

#[cfg(test)]
mod tests;
