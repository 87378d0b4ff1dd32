//! Intervals: lengths of time in months, days and microseconds, which do not convert into each other.
//!
//! There is no column of intervals: one is a constant, added to a Date or a Timestamp.

use super::arithmetic::{Fault, each, each_pair};
use super::bound::{BoundExpr, Node};
use super::call::TruncUnit;
use super::civil::{self, DAY_MICROS};
use super::coerce::{to_common, widen};
use super::function::Function;
use super::tree::Expr;
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::fmt;

const HOUR_MICROS: i64 = 3_600_000_000;
/// No date is so far from another.
const MOST_MONTHS: u64 = 200_000_000;

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    months: i64,
    days: i64,
    micros: i64,
}

impl Interval {
    /// One of a unit, such as `month`, in any case, also with an `s`; and whether it can be divided.
    fn unit(name: &str) -> Option<Interval> {
        let lower = name.to_lowercase();
        let months = |months| Some(Interval { months, ..Interval::default() });
        let days = |days| Some(Interval { days, ..Interval::default() });
        let micros = |micros| Some(Interval { micros, ..Interval::default() });
        match lower.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(&lower) {
            "millennium" | "millennia" => months(12_000),
            "century" | "centurie" => months(1_200),
            "decade" => months(120),
            "year" | "yr" | "y" => months(12),
            "quarter" => months(3),
            "month" | "mon" => months(1),
            "week" | "w" => days(7),
            "day" | "d" => days(1),
            "hour" | "hr" | "h" => micros(HOUR_MICROS),
            "minute" | "min" | "m" => micros(60_000_000),
            "second" | "sec" | "s" => micros(1_000_000),
            "millisecond" | "msec" | "ms" => micros(1_000),
            "microsecond" | "usec" | "us" => micros(1),
            _ => None,
        }
    }

    /// `1 year 2 days`, `-90 minutes`, `1 day 02:30:00`; a number without a unit counts `bare` ones, if there are such.
    pub(crate) fn parse(text: &str, bare: Option<&str>) -> Option<Interval> {
        let mut sum = Interval::default();
        let mut words = text.split_whitespace().peekable();
        words.peek()?;
        while let Some(word) = words.next() {
            if word.contains(':') {
                sum = sum.plus(Interval { micros: clock(word)?, ..Interval::default() })?;
                continue;
            }
            // `3days` is `3 days`.
            let digits = word.find(|sign: char| sign.is_alphabetic()).unwrap_or(word.len());
            let (number, glued) = word.split_at(digits);
            let unit = match (glued, bare) {
                ("", None) => words.next()?,
                ("", Some(unit)) => unit,
                (unit, _) => unit,
            };
            sum = sum.plus(Interval::unit(unit)?.times_decimal(number)?)?;
        }
        Some(sum)
    }

    /// Months, days and microseconds.
    pub(crate) fn parts(self) -> (i64, i64, i64) {
        (self.months, self.days, self.micros)
    }

    /// The interval of these parts.
    pub(crate) fn of_parts(months: i64, days: i64, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    fn plus(self, other: Interval) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            micros: self.micros.checked_add(other.micros)?,
        })
    }

    fn times(self, count: i64) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_mul(count)?,
            days: self.days.checked_mul(count)?,
            micros: self.micros.checked_mul(count)?,
        })
    }

    /// A unit so many times; parts of one only of what is as long as microseconds say.
    fn times_decimal(self, number: &str) -> Option<Interval> {
        let Some((whole, part)) = number.split_once('.') else { return self.times(number.parse().ok()?) };
        let sign = if whole.starts_with('-') { -1 } else { 1 };
        let is_fraction = !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
        if self.micros == 0 || !is_fraction {
            return None;
        }
        let whole: i64 = if matches!(whole, "" | "-" | "+") { 0 } else { whole.parse().ok()? };
        let rest = i128::from(self.micros) * i128::from(part.parse::<i64>().ok()?) / 10_i128.pow(part.len() as u32);
        self.times(whole)?.plus(Interval { micros: sign * i64::try_from(rest).ok()?, ..Interval::default() })
    }

    /// As far the other way.
    pub(crate) fn negated(self) -> Option<Interval> {
        self.times(-1)
    }

    /// A day later by this.
    fn later_day(self, days: i64) -> Option<i64> {
        let mut days = days;
        if self.months != 0 {
            if self.months.unsigned_abs() > MOST_MONTHS {
                return None;
            }
            let (year, month, day) = civil::from_days(days);
            let months = year * 12 + month - 1 + self.months;
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
            let next = if month == 12 { civil::to_days(year + 1, 1, 1) } else { civil::to_days(year, month + 1, 1) };
            let first = civil::to_days(year, month, 1);
            days = first + day.min(next - first) - 1;
        }
        days.checked_add(self.days)
    }

    fn later_date(self, days: i32) -> Option<i32> {
        self.later_day(i64::from(days)).and_then(|days| i32::try_from(days).ok())
    }

    /// A time, in microseconds, later by this; `None` beyond all times.
    pub(crate) fn later_timestamp(self, micros: i64) -> Option<i64> {
        let days = self.later_day(micros.div_euclid(DAY_MICROS))?;
        days.checked_mul(DAY_MICROS)?.checked_add(micros.rem_euclid(DAY_MICROS))?.checked_add(self.micros)
    }
}

/// Microseconds of `[-]hours:minutes[:seconds[.decimals]]`.
fn clock(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    let whole = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let second = Interval { micros: 1_000_000, ..Interval::default() }.times_decimal(seconds)?.micros;
    if parts.next().is_some() || whole(minutes)? > 59 || !(0..60_000_000).contains(&second) {
        return None;
    }
    Some(sign * (whole(hours)?.checked_mul(HOUR_MICROS)? + whole(minutes)? * 60_000_000 + second))
}

/// As text that reads back as the same.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(HOUR_MICROS, "hour"), (60_000_000, "minute"), (1_000_000, "second"), (1, "microsecond")];
        let (size, name) = units.into_iter().find(|(size, _)| self.micros % size == 0).unwrap_or(units[3]);
        let years = if self.months % 12 == 0 { (self.months / 12, "year") } else { (self.months, "month") };
        let parts = [years, (self.days, "day"), (self.micros / size, name)];
        let mut parts: Vec<(i64, &str)> = parts.into_iter().filter(|(count, _)| *count != 0).collect();
        if parts.is_empty() {
            parts.push((0, "day"));
        }
        for (at, (count, unit)) in parts.into_iter().enumerate() {
            let plural = if count.unsigned_abs() == 1 { "" } else { "s" };
            write!(f, "{}{count} {unit}{plural}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// `date_add(d, '1 month')`, and so many of them with a third argument.
pub(super) fn date_add(whole: &Expr, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let mut args = args.into_iter();
    let missing = || Error::internal("date_add takes two");
    let (value, by, times) = (args.next().ok_or_else(missing)?, args.next().ok_or_else(missing)?, args.next());
    let interval = by.constant_text().and_then(|text| Interval::parse(text, None)).ok_or_else(|| {
        let message = format!("the second argument of `date_add` is an interval, in `{whole}`");
        Error::new(ErrorKind::Type, message).hint("such as date_add(d, '1 month'), or d + interval '1 month'")
    })?;
    let result = match value.column_type {
        ColumnType::Date | ColumnType::Null if interval.micros == 0 => ColumnType::Date,
        ColumnType::Date | ColumnType::Timestamp | ColumnType::Null => ColumnType::Timestamp,
        other => {
            let message = format!("an interval is added to Date or Timestamp, not {other}, in `{whole}`");
            return Err(
                Error::new(ErrorKind::Type, message).hint("convert with cast(… as date) or cast(… as timestamp)")
            );
        }
    };
    let times = times.map(|times| widen(whole, times, ColumnType::Int64)).transpose()?.map(Box::new);
    let node = Node::Later(interval, Box::new(value.to(result, whole)), times);
    Ok(BoundExpr::new(node, result, whole))
}

/// Dates or times later by `times` intervals.
pub(super) fn later(text: &str, by: Interval, value: &Value, times: Option<&Value>) -> Result<Value> {
    let of_days = |by: Option<Interval>, days| by.and_then(|by| by.later_date(days)).ok_or(Fault::Overflow);
    let of_micros = |by: Option<Interval>, micros| by.and_then(|by| by.later_timestamp(micros)).ok_or(Fault::Overflow);
    match (value.array().data_type(), times) {
        (DataType::Date32, None) => each::<Date32Type, Date32Type>(text, value, |days| of_days(Some(by), days)),
        (DataType::Date32, Some(times)) => {
            each_pair::<Date32Type, Int64Type, Date32Type>(text, value, times, |days, count| {
                of_days(by.times(count), days)
            })
        }
        (_, None) => each::<TimestampMicrosecondType, TimestampMicrosecondType>(text, value, |micros| {
            of_micros(Some(by), micros)
        }),
        (_, Some(times)) => each_pair::<TimestampMicrosecondType, Int64Type, TimestampMicrosecondType>(
            text,
            value,
            times,
            |micros, count| of_micros(by.times(count), micros),
        ),
    }
}

/// Seconds from `right` to `left`.
pub(super) fn seconds_between(text: &str, left: &Value, right: &Value) -> Result<Value> {
    each_pair::<TimestampMicrosecondType, TimestampMicrosecondType, Float64Type>(text, left, right, |a, b| {
        Ok((i128::from(a) - i128::from(b)) as f64 / 1e6)
    })
}

/// Seconds since 1970.
pub(super) fn epoch(text: &str, value: &Value) -> Result<Value> {
    each::<TimestampMicrosecondType, Float64Type>(text, value, |micros| Ok(micros as f64 / 1e6))
}

/// A unit that `date_diff` counts.
fn counted(name: &str) -> Option<TruncUnit> {
    let lower = name.to_lowercase();
    match lower.strip_suffix('s').unwrap_or(&lower) {
        "millisecond" => Some(TruncUnit::Even(1_000)),
        "microsecond" => Some(TruncUnit::Even(1)),
        "decade" => Some(TruncUnit::Years(10)),
        "century" | "centurie" => Some(TruncUnit::Years(100)),
        other => TruncUnit::find(other),
    }
}

/// `date_diff('month', a, b)`.
pub(super) fn date_diff(whole: &Expr, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let [unit, from, to] = <[BoundExpr; 3]>::try_from(args).map_err(|_| Error::internal("date_diff takes three"))?;
    if unit.constant_text().and_then(counted).is_none() {
        let said = unit.constant_text().map_or("an expression".to_owned(), |unit| format!("'{unit}'"));
        let message = format!("{said} is not a unit of date_diff in `{whole}`");
        return Err(Error::new(ErrorKind::Type, message).hint(
            "units are 'century', 'decade', 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second', \
             'millisecond' and 'microsecond'",
        ));
    }
    let (both, _) = to_common(whole, "count units between", vec![from, to])?;
    let [from, to] = <[BoundExpr; 2]>::try_from(both).map_err(|_| Error::internal("two operands stay two"))?;
    let is_time =
        |value: &BoundExpr| matches!(value.column_type, ColumnType::Date | ColumnType::Timestamp | ColumnType::Null);
    if let Some(other) = [&from, &to].into_iter().find(|value| !is_time(value)) {
        let message = format!("`date_diff` takes Dates and Timestamps, not {}, in `{whole}`", other.column_type);
        return Err(Error::new(ErrorKind::Type, message).hint("convert with cast(… as date) or cast(… as timestamp)"));
    }
    let args = vec![unit, from.to(ColumnType::Timestamp, whole), to.to(ColumnType::Timestamp, whole)];
    Ok(BoundExpr::new(Node::Call(Function::DateDiff, args), ColumnType::Int64, whole))
}

/// Which unit since 1970 a time is in; for weeks, which day.
fn number(unit: TruncUnit, micros: i64) -> i64 {
    let days = micros.div_euclid(DAY_MICROS);
    let (year, month, _) = civil::from_days(days);
    match unit {
        TruncUnit::Years(many) => year.div_euclid(many),
        TruncUnit::Quarter => year * 4 + (month - 1) / 3,
        TruncUnit::Month => year * 12 + month,
        TruncUnit::Week => days,
        TruncUnit::Even(length) => micros.div_euclid(length),
    }
}

/// How many beginnings of a unit lie behind one time, up to another; of weeks, how many times seven days, as in DuckDB.
fn between(unit: TruncUnit, from: i64, to: i64) -> Option<i64> {
    let count = number(unit, to).checked_sub(number(unit, from))?;
    Some(if unit == TruncUnit::Week { count / 7 } else { count })
}

/// The counts of units from some times to others.
pub(super) fn units_between(text: &str, unit: &Value, from: &Value, to: &Value) -> Result<Value> {
    let unit = unit.scalar_text().and_then(counted);
    let unit = unit.ok_or_else(|| Error::internal("the unit of date_diff was not checked"))?;
    each_pair::<TimestampMicrosecondType, TimestampMicrosecondType, Int64Type>(text, from, to, |from, to| {
        between(unit, from, to).ok_or(Fault::Overflow)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_back_as_they_are_shown() {
        for (text, shown) in [
            ("1 month", "1 month"),
            ("14 months", "14 months"),
            ("2 years", "2 years"),
            ("1 quarter -2 weeks", "3 months -14 days"),
            ("90 min", "90 minutes"),
            ("1.5 hours", "90 minutes"),
            ("-0.25 s", "-250000 microseconds"),
            ("3days", "3 days"),
            ("1 day 02:30:00.5", "1 day 9000500000 microseconds"),
            ("-00:30", "-30 minutes"),
            ("0 days", "0 days"),
            ("1 century", "100 years"),
            ("-9223372036854775808 months", "-9223372036854775808 months"),
            ("-9223372036854775808 days", "-9223372036854775808 days"),
        ] {
            let interval = Interval::parse(text, None).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(interval.to_string(), shown, "{text}");
            assert_eq!(Interval::parse(shown, None), Some(interval), "{text}");
        }
        assert_eq!(Interval::parse("3", Some("week")), Interval::parse("21 days", None));
        for wrong in ["", "3", "x days", "1.5 months", "3 fortnights", "1:99", "9223372036854775807 weeks", "1 day day"]
        {
            assert_eq!(Interval::parse(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_month_too_short_ends_with_its_last_day() {
        let later = |date: &str, by: &str| {
            let days = Interval::parse(by, None).unwrap().later_date(civil::parse_date(date).unwrap());
            days.map(|days| civil::Date(days).to_string())
        };
        for (date, by, expected) in [
            ("2001-01-31", "1 month", "2001-02-28"),
            ("2000-01-31", "1 month", "2000-02-29"),
            ("2000-02-29", "1 year", "2001-02-28"),
            ("2001-03-31", "-1 month", "2001-02-28"),
            ("2001-12-31", "2 months 1 day", "2002-03-01"),
            ("1970-01-01", "-24000 months", "-0030-01-01"),
        ] {
            assert_eq!(later(date, by).as_deref(), Some(expected), "{date} + {by}");
        }
        assert_eq!(later("2001-01-01", "9000000 years"), None);
        assert_eq!(later("2001-01-01", "3000000000 days"), None);
        assert_eq!(later("2001-01-01", "-9223372036854775808 months"), None);
    }

    #[test]
    fn units_are_counted_by_their_beginnings() {
        let count = |unit: &str, from: &str, to: &str| {
            let at = |text| civil::parse_timestamp(text).unwrap();
            between(counted(unit).unwrap(), at(from), at(to)).unwrap()
        };
        assert_eq!(count("year", "2001-12-31", "2002-01-01"), 1);
        assert_eq!(count("quarter", "2001-12-31", "2001-01-01"), -3);
        assert_eq!(count("months", "2001-01-31", "2001-02-01"), 1);
        assert_eq!(count("week", "2001-02-04", "2001-02-11"), 1);
        assert_eq!(count("week", "2001-02-11", "2001-02-05"), 0);
        assert_eq!(count("week", "2001-02-11", "2001-02-04"), -1);
        assert_eq!(count("hour", "2001-01-01 00:59", "2001-01-01 01:00"), 1);
        assert_eq!(count("day", "1969-12-31 23:59", "1970-01-01"), 1);
        assert_eq!(count("decades", "1999-12-31", "2001-01-01"), 1);
        assert_eq!(count("century", "1999-12-31", "2000-01-01"), 1);
        assert_eq!(count("centuries", "2000-01-01", "1899-01-01"), -2);
        assert_eq!(count("milliseconds", "2001-01-01 00:00:01", "2001-01-01 00:00:00"), -1000);
        assert_eq!(count("microseconds", "2001-01-01", "2001-01-01 00:00:01"), 1_000_000);
    }
}
