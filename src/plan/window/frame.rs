//! Which rows of its partition a window function sees.

use super::{WindowFunction, WindowKey};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Interval;
use crate::types::ColumnType;
use arrow::datatypes::Schema;
use std::fmt;

/// The rows from one bound to another, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// What distances count.
    pub unit: FrameUnit,
    /// Where it begins.
    pub start: Bound,
    /// Where it ends.
    pub end: Bound,
}

/// What distances of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnit {
    /// Rows.
    Rows,
    /// Differences of the only key of the order; peers are in a frame together.
    Range,
    /// Groups of peers.
    Groups,
}

impl FrameUnit {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            FrameUnit::Rows => "rows",
            FrameUnit::Range => "range",
            FrameUnit::Groups => "groups",
        }
    }
}

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// With the first row of the partition.
    PartitionStart,
    /// So far before the row.
    Preceding(Distance),
    /// With the row; by range, with its first or last peer.
    CurrentRow,
    /// So far behind the row.
    Following(Distance),
    /// With the last row of the partition.
    PartitionEnd,
}

/// A distance, not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// Of rows, groups, integers or days.
    Whole(u64),
    /// Of doubles.
    Real(f64),
    /// Of dates and timestamps: none of the parts is negative.
    Interval {
        /// Calendar months.
        months: i64,
        /// Days.
        days: i64,
        /// Microseconds.
        micros: i64,
    },
}

impl Distance {
    /// An interval of which no part is negative.
    pub(crate) fn of_interval(interval: Interval) -> Option<Self> {
        let (months, days, micros) = interval.parts();
        (months >= 0 && days >= 0 && micros >= 0).then_some(Distance::Interval { months, days, micros })
    }

    /// Whether what is that far from a later time may be earlier: months end on different days.
    pub(crate) fn is_uneven(self) -> bool {
        matches!(self, Distance::Interval { months, .. } if months != 0)
    }

    /// The interval that it is, if it is one.
    pub(crate) fn interval(self) -> Option<Interval> {
        match self {
            Distance::Interval { months, days, micros } => Some(Interval::of_parts(months, days, micros)),
            Distance::Whole(_) | Distance::Real(_) => None,
        }
    }
}

impl Frame {
    /// All rows of the partition.
    pub const WHOLE: Frame = Frame { unit: FrameUnit::Rows, start: Bound::PartitionStart, end: Bound::PartitionEnd };

    /// The frame where none is given: up to the last peer, or everything without an order.
    pub fn by_default(has_order: bool) -> Self {
        match has_order {
            true => Frame { unit: FrameUnit::Range, start: Bound::PartitionStart, end: Bound::CurrentRow },
            false => Frame::WHOLE,
        }
    }

    /// Whether it is all rows of the partition in any case, if rows have that order.
    pub fn is_whole(&self, order: &[WindowKey]) -> bool {
        let by_peers = self.unit != FrameUnit::Rows && order.is_empty();
        let all = |bound: Bound, unbounded: Bound| bound == unbounded || by_peers && bound == Bound::CurrentRow;
        all(self.start, Bound::PartitionStart) && all(self.end, Bound::PartitionEnd)
    }

    /// Whether the function depends on it.
    pub(super) fn is_seen_by(&self, function: &WindowFunction) -> bool {
        matches!(function, WindowFunction::Nth(_) | WindowFunction::Last | WindowFunction::Aggregate(_))
    }

    /// Whether there can be such a frame over rows in that order.
    ///
    /// # Errors
    /// `Type` for distances of what has none; `Syntax` for bounds the wrong way round.
    pub(super) fn check(&self, order: &[WindowKey], input: &Schema) -> Result<()> {
        let place = |bound: Bound| match bound {
            Bound::PartitionStart => 0,
            Bound::Preceding(_) => 1,
            Bound::CurrentRow => 2,
            Bound::Following(_) => 3,
            Bound::PartitionEnd => 4,
        };
        if self.start == Bound::PartitionEnd || self.end == Bound::PartitionStart || place(self.start) > place(self.end)
        {
            return Err(Error::new(ErrorKind::Syntax, format!("the frame `{self}` ends before it begins")));
        }
        let by_distance = [self.start, self.end].into_iter().find_map(Bound::distance);
        match (self.unit, by_distance, order) {
            (_, None, _) | (FrameUnit::Rows | FrameUnit::Groups, Some(Distance::Whole(_)), _) => Ok(()),
            (unit @ (FrameUnit::Rows | FrameUnit::Groups), ..) => {
                Err(Error::new(ErrorKind::Type, format!("a distance of {} is a whole number", unit.name())))
            }
            (FrameUnit::Range, Some(_), [key]) => {
                let key = key.expr.bind(input)?.column_type();
                [self.start, self.end].into_iter().filter_map(Bound::distance).try_for_each(|by| by.check(key))
            }
            (FrameUnit::Range, Some(_), keys) => {
                let message = format!("`range` with a distance needs one key behind `order by`, not {}", keys.len());
                Err(Error::new(ErrorKind::Type, message).hint("`rows` counts rows"))
            }
        }
    }
}

impl Distance {
    /// Whether values of a type can be so far apart.
    fn check(self, key: ColumnType) -> Result<()> {
        use ColumnType::{Date, Float64, Int64, Timestamp};
        let error = |message: String, hint: &str| Err(Error::new(ErrorKind::Type, message).hint(hint));
        match (self, key) {
            (Distance::Interval { .. }, Date | Timestamp) => Ok(()),
            (Distance::Interval { .. }, Int64 | Float64) => error(
                format!("`range` with an interval needs a key that is a date or a timestamp, not {key}"),
                "write a number",
            ),
            (_, Int64 | Float64 | Date) => Ok(()),
            (_, Timestamp) => error(
                "the distance of a `range` over timestamps is an interval".to_owned(),
                "such as `range between interval '1 hour' preceding and current row`",
            ),
            _ => error(
                format!("`range` with a distance needs a key that is a number, a date or a timestamp, not {key}"),
                "`rows` counts rows",
            ),
        }
    }
}

impl Bound {
    /// How far it is from the row, if that is told.
    pub fn distance(self) -> Option<Distance> {
        match self {
            Bound::Preceding(distance) | Bound::Following(distance) => Some(distance),
            Bound::PartitionStart | Bound::CurrentRow | Bound::PartitionEnd => None,
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distance::Whole(number) => write!(f, "{number}"),
            Distance::Real(number) => write!(f, "{number}"),
            Distance::Interval { months, days, micros } => {
                write!(f, "interval '{}'", Interval::of_parts(*months, *days, *micros))
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::PartitionStart => f.write_str("unbounded preceding"),
            Bound::Preceding(distance) => write!(f, "{distance} preceding"),
            Bound::CurrentRow => f.write_str("current row"),
            Bound::Following(distance) => write!(f, "{distance} following"),
            Bound::PartitionEnd => f.write_str("unbounded following"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} between {} and {}", self.unit.name(), self.start, self.end)
    }
}
