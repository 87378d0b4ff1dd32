//! Which ways of writing dates a column may have, and reading it in the one that is chosen.
//!
//! A way is a bit. Every value rules out the ways it is not written in, so that samples may come in any order; what is
//! left at the end decides. `03/04/2001` alone leaves two, and a column of such values is text: guessing between March
//! and April would be wrong in silence. One `13/04/2001` settles it for the whole column.

use super::date_common::{Order, parse_common_date, parse_common_timestamp};
use super::date_pattern::{Pattern, timestamp};
use super::datetime::{parse_date, parse_timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use std::sync::Arc;

/// How the dates and timestamps of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateFormat {
    /// `2001-02-03`.
    #[default]
    Iso,
    /// `2001/02/03`.
    YearSlash,
    /// `03.02.2001`.
    DayDot,
    /// `02/03/2001`, the month first.
    MonthSlash,
    /// `03/02/2001`, the day first.
    DaySlash,
    /// `02-03-2001`, the month first.
    MonthDash,
    /// `03-02-2001`, the day first.
    DayDash,
    /// `03-Feb-2001`.
    DayName,
    /// The format of this number in [`DateFormats`].
    Given(u8),
}

use DateFormat::*;

/// Those that are recognised without being asked for; their numbers are their bits.
const COMMON: [DateFormat; 8] = [Iso, YearSlash, DayDot, MonthSlash, DaySlash, MonthDash, DayDash, DayName];

/// More formats may not be given.
const MAX_GIVEN: usize = 24;
/// The bits of given formats without and with a time of day.
const FIRST_GIVEN_DATE: u32 = 8;
const FIRST_GIVEN_TIMESTAMP: u32 = FIRST_GIVEN_DATE + MAX_GIVEN as u32;

impl DateFormat {
    /// As a number.
    pub(super) fn code(self) -> u8 {
        match self {
            Given(number) => number.saturating_add(COMMON.len() as u8),
            common => COMMON.iter().position(|known| *known == common).unwrap_or(0) as u8,
        }
    }

    /// The format of a number that [`DateFormat::code`] gave.
    pub(super) fn of_code(code: u8) -> Self {
        COMMON.get(usize::from(code)).copied().unwrap_or(Given(code.saturating_sub(COMMON.len() as u8)))
    }

    /// Order and separator of a common format other than ISO's.
    fn order(self) -> Option<(Order, u8)> {
        match self {
            Iso | Given(_) => None,
            YearSlash => Some((Order::YearMonthDay, b'/')),
            DayDot => Some((Order::DayMonthYear, b'.')),
            MonthSlash => Some((Order::MonthDayYear, b'/')),
            DaySlash => Some((Order::DayMonthYear, b'/')),
            MonthDash => Some((Order::MonthDayYear, b'-')),
            DayDash => Some((Order::DayMonthYear, b'-')),
            DayName => Some((Order::DayNameYear, b'-')),
        }
    }
}

/// Formats of dates and timestamps given by the user, for all columns, tried before the common ones.
///
/// A column takes the first of them in which all its samples are written. Codes are those of `strftime`, as chrono has
/// them: `%Y %y %m %b %d %j %a`, `%H %I %p %M %S %f %z`, `%F %T %R %D`; days, months, hours, minutes and seconds may
/// lack a leading zero where no digit stands next to them, and a space stands for any number of spaces. Unlike chrono's,
/// `%Y` has four digits and `%f` is a decimal fraction. With `%z` the moment is that of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateFormats {
    given: Arc<[Pattern]>,
}

impl DateFormats {
    /// These formats.
    ///
    /// # Errors
    /// `Unsupported` for a format with unknown codes or that does not make a whole date, or for more than 24 formats.
    pub fn new<'a>(formats: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let given: Arc<[Pattern]> = formats.into_iter().map(Pattern::compile).collect::<Result<_>>()?;
        if given.len() > MAX_GIVEN {
            return Err(Error::new(ErrorKind::Unsupported, format!("more than {MAX_GIVEN} date formats are given")));
        }
        Ok(DateFormats { given })
    }

    /// These formats and one more.
    ///
    /// # Errors
    /// As [`DateFormats::new`].
    pub fn and(&self, format: &str) -> Result<Self> {
        DateFormats::new(self.given.iter().map(Pattern::text).chain([format]))
    }

    /// The formats, as they were given.
    pub(super) fn given(&self) -> Vec<String> {
        self.given.iter().map(|pattern| pattern.text().to_owned()).collect()
    }

    /// The format as `%` codes, for messages.
    pub fn describe(&self, format: DateFormat) -> &str {
        match format {
            Iso => "%Y-%m-%d",
            YearSlash => "%Y/%m/%d",
            DayDot => "%d.%m.%Y",
            MonthSlash => "%m/%d/%Y",
            DaySlash => "%d/%m/%Y",
            MonthDash => "%m-%d-%Y",
            DayDash => "%d-%m-%Y",
            DayName => "%d-%b-%Y",
            Given(number) => self.given.get(usize::from(number)).map_or("", Pattern::text),
        }
    }

    /// The format of a column whose samples say nothing: the first given, else ISO's.
    pub(super) fn fallback(&self) -> DateFormat {
        if self.given.is_empty() { Iso } else { Given(0) }
    }

    /// Days since 1970-01-01 of a text in this format, without a time of day.
    pub(super) fn date(&self, format: DateFormat, text: &[u8]) -> Option<i32> {
        match format.order() {
            Some((order, separator)) => parse_common_date(text, order, separator),
            None => match format {
                Given(number) => {
                    let pattern = self.given.get(usize::from(number)).filter(|pattern| !pattern.has_time())?;
                    pattern.read(text).map(|(day, _)| day)
                }
                _ => parse_date(text),
            },
        }
    }

    /// Microseconds since 1970-01-01T00:00:00 of a text in this format, with or without a time of day.
    pub(super) fn timestamp(&self, format: DateFormat, text: &[u8]) -> Option<i64> {
        match format.order() {
            Some((order, separator)) => parse_common_timestamp(text, order, separator),
            None => match format {
                Given(number) => self.given.get(usize::from(number))?.read(text).map(timestamp),
                _ => parse_timestamp(text),
            },
        }
    }

    /// `Date` or `Timestamp` if the text is one in this format.
    pub(super) fn type_in(&self, format: DateFormat, text: &[u8]) -> Option<ColumnType> {
        let date = self.date(format, text).map(|_| ColumnType::Date);
        date.or_else(|| self.timestamp(format, text).map(|_| ColumnType::Timestamp))
    }

    /// The given formats in which the text is written.
    pub(super) fn given_ways(&self, text: &[u8]) -> DateWays {
        let bit = |(number, pattern): (usize, &Pattern)| {
            let first = if pattern.has_time() { FIRST_GIVEN_TIMESTAMP } else { FIRST_GIVEN_DATE };
            pattern.read(text).map_or(0, |_| 1 << (first + number as u32))
        };
        DateWays(self.given.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit))
    }

    /// The common formats in which the text is written, and whether that makes it a date or a timestamp.
    pub(super) fn common_ways(&self, text: &[u8]) -> Option<(ColumnType, DateWays)> {
        // All begin with a digit, and none is a number.
        if !text.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let fits = COMMON.iter().enumerate().filter_map(|(bit, &way)| Some((self.type_in(way, text)?, 1 << bit)));
        fits.map(|(column_type, bit)| (column_type, DateWays(bit)))
            .reduce(|(column_type, ways), (_, way)| (column_type, ways.or(way)))
    }
}

/// The formats in which every value seen is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateWays(u64);

impl DateWays {
    /// No value has been seen.
    pub(super) const ALL: DateWays = DateWays(u64::MAX);

    /// Those of both.
    pub(super) fn and(self, other: DateWays) -> DateWays {
        DateWays(self.0 & other.0)
    }

    /// Those of either.
    pub(super) fn or(self, other: DateWays) -> DateWays {
        DateWays(self.0 | other.0)
    }

    /// The first given format left, and its type. Some value must have been seen.
    pub(super) fn given(self) -> Option<(DateFormat, ColumnType)> {
        let group = |first: u32| (self.0 >> first) & ((1 << MAX_GIVEN) - 1);
        let (dates, timestamps) = (group(FIRST_GIVEN_DATE), group(FIRST_GIVEN_TIMESTAMP));
        let number = (dates | timestamps).trailing_zeros();
        let column_type = if dates >> number.min(63) & 1 != 0 { ColumnType::Date } else { ColumnType::Timestamp };
        (dates | timestamps != 0).then_some((Given(number as u8), column_type))
    }

    /// The common formats left.
    pub(super) fn common(self) -> impl Iterator<Item = DateFormat> {
        COMMON.into_iter().enumerate().filter(move |(bit, _)| self.0 >> bit & 1 != 0).map(|(_, way)| way)
    }
}
