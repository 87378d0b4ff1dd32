//! The rows of a frame.
//!
//! Frames of later rows begin and end no earlier than those of the rows before them, so edges by distance go forward; but for
//! distances of months: a month behind the 30th of January at noon is no later than one behind the 29th in the evening.

use super::Evaluation;
use super::bounds::Ends;
use super::piece::Place;
use super::rows::{Cursor, SortedRows};
use crate::error::{Error, Result};
use crate::expr::civil::DAY_MICROS;
use crate::plan::{Bound, Distance, Frame, FrameUnit, RangeKey};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::cmp::Ordering;
use std::ops::Range;

/// The frames of rows, one after the other.
pub(super) struct Frames<'a> {
    frame: Frame,
    key: Option<RangeKey>,
    /// Of the row itself.
    keys: Cursor<'a>,
    edges: [Edge<'a>; 2],
}

/// Where a frame begins, or ends, that goes by distance.
struct Edge<'a> {
    keys: Cursor<'a>,
    row: usize,
    groups: Groups<'a>,
}

/// Groups of peers, one after the other.
struct Groups<'a> {
    ends: Ends<'a>,
    /// The first row of the partition, and how many of its groups have been passed.
    partition: Option<usize>,
    passed: usize,
}

/// A key that distances are counted of.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    /// Dates are as fine as the distance is; `None` is null.
    fn at(keys: &mut Cursor<'_>, column: usize, row: usize, distance: Distance) -> Result<Option<Self>> {
        let (batch, row) = keys.at(row)?;
        let column = batch.column(column);
        if column.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match column.data_type() {
            DataType::Int64 => Number::Whole(column.as_primitive::<Int64Type>().value(row).into()),
            DataType::Date32 => {
                let days = i128::from(column.as_primitive::<Date32Type>().value(row));
                let is_interval = matches!(distance, Distance::Interval { .. });
                Number::Whole(if is_interval { days * i128::from(DAY_MICROS) } else { days })
            }
            DataType::Timestamp(..) => {
                Number::Whole(column.as_primitive::<TimestampMicrosecondType>().value(row).into())
            }
            DataType::Float64 => Number::Real(column.as_primitive::<Float64Type>().value(row)),
            other => return Err(Error::internal(format!("distances of {other}"))),
        }))
    }

    /// So much more, or less.
    fn plus(self, distance: Distance, sign: i8) -> Self {
        match (self, distance) {
            (Number::Whole(number), Distance::Whole(by)) => Number::Whole(number + i128::from(by) * i128::from(sign)),
            // Between whole numbers, what is beyond the last whole one makes no difference.
            (Number::Whole(number), Distance::Real(by)) => {
                let by = by.floor().min(u64::MAX as f64) as i128;
                Number::Whole(number + by * i128::from(sign))
            }
            (Number::Real(number), Distance::Whole(by)) => Number::Real(number + by as f64 * f64::from(sign)),
            (Number::Real(number), Distance::Real(by)) => Number::Real(number + by * f64::from(sign)),
            (Number::Whole(micros), by @ Distance::Interval { .. }) => {
                let by = by.interval().and_then(|by| if sign < 0 { by.negated() } else { Some(by) });
                let later = by.zip(i64::try_from(micros).ok()).and_then(|(by, micros)| by.later_timestamp(micros));
                // What is beyond all times is beyond all rows.
                Number::Whole(later.map_or(i128::MAX * i128::from(sign), i128::from))
            }
            (Number::Real(number), Distance::Interval { .. }) => Number::Real(number),
        }
    }

    /// As rows are sorted: NaN is above all numbers, and all zeros are alike.
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => one.cmp(&other),
            (Number::Real(one), Number::Real(other)) => {
                one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
            }
            // The numbers of a column are of one kind.
            _ => Ordering::Equal,
        }
    }
}

impl<'a> Frames<'a> {
    pub(super) fn new(frame: Frame, evaluation: &'a Evaluation<'_>, rows: &'a SortedRows<'a>) -> Self {
        let groups = || Groups { ends: Ends::new(rows, &evaluation.peers, rows.len()), partition: None, passed: 0 };
        let edge = || Edge { keys: Cursor::new(rows), row: 0, groups: groups() };
        Frames { frame, key: evaluation.shape.range_key, keys: Cursor::new(rows), edges: [edge(), edge()] }
    }

    /// The frame of the next row, empty where it has no rows.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(super) fn of(&mut self, row: usize, place: &Place) -> Result<Range<usize>> {
        let Place { partition, peers, .. } = place;
        let rows = |distance: Distance| match distance {
            Distance::Whole(rows) => usize::try_from(rows).unwrap_or(usize::MAX),
            Distance::Real(_) | Distance::Interval { .. } => 0,
        };
        let by_rows = self.frame.unit == FrameUnit::Rows;
        let start = match self.frame.start {
            Bound::PartitionStart => partition.start,
            Bound::CurrentRow if by_rows => row,
            Bound::CurrentRow => peers.start,
            Bound::Preceding(distance) if by_rows => row.saturating_sub(rows(distance)),
            Bound::Following(distance) if by_rows => row.saturating_add(rows(distance)),
            bound => self.edge(0, bound, row, place)?,
        };
        let end = match self.frame.end {
            Bound::PartitionEnd => partition.end,
            Bound::CurrentRow if by_rows => row + 1,
            Bound::CurrentRow => peers.end,
            Bound::Preceding(distance) if by_rows => (row + 1).saturating_sub(rows(distance)),
            Bound::Following(distance) if by_rows => (row + 1).saturating_add(rows(distance)),
            bound => self.edge(1, bound, row, place)?,
        };
        let start = start.clamp(partition.start, partition.end);
        Ok(start..end.clamp(start, partition.end))
    }

    /// The first row of the group that the bound is in, or the first behind that group.
    fn edge_of_groups(&mut self, which: usize, bound: Bound, place: &Place) -> Result<usize> {
        let own = place.groups.saturating_sub(1);
        let wanted = match bound {
            Bound::Preceding(Distance::Whole(by)) => {
                usize::try_from(by).ok().and_then(|by| (own + which).checked_sub(by))
            }
            Bound::Following(Distance::Whole(by)) => {
                Some((own + which).saturating_add(usize::try_from(by).unwrap_or(usize::MAX)))
            }
            _ => return Err(Error::internal("a bound without a number of groups")),
        };
        let Some(wanted) = wanted else { return Ok(place.partition.start) };
        let Edge { row, groups, .. } = &mut self.edges[which];
        if groups.partition != Some(place.partition.start) {
            (groups.partition, groups.passed, *row) = (Some(place.partition.start), 0, place.partition.start);
        }
        while groups.passed < wanted && *row < place.partition.end {
            *row = groups.ends.end_of(*row)?;
            groups.passed += 1;
        }
        Ok(*row)
    }

    /// The first row that is not before the bound, or the first that is behind it.
    fn edge(&mut self, which: usize, bound: Bound, row: usize, place: &Place) -> Result<usize> {
        if self.frame.unit == FrameUnit::Groups {
            return self.edge_of_groups(which, bound, place);
        }
        let Some(key) = self.key else { return Err(Error::internal("a distance without a key")) };
        let (distance, ahead) = match bound {
            Bound::Preceding(distance) => (distance, false),
            Bound::Following(distance) => (distance, true),
            _ => return Err(Error::internal("a bound without a distance")),
        };
        let Some(own) = Number::at(&mut self.keys, key.column, row, distance)? else {
            // Of nulls, only nulls are at any distance.
            return Ok(if which == 0 { place.peers.start } else { place.peers.end });
        };
        let target = own.plus(distance, if ahead == key.descending { -1 } else { 1 });
        let Edge { keys, row: at, .. } = &mut self.edges[which];
        let mut is_passed = |row: usize| -> Result<bool> {
            Ok(match Number::at(keys, key.column, row, distance)? {
                None => key.nulls_first,
                Some(number) => {
                    let order = number.compare(target);
                    let order = if key.descending { order.reverse() } else { order };
                    if which == 0 { order == Ordering::Less } else { order != Ordering::Greater }
                }
            })
        };
        *at = (*at).max(place.partition.start);
        while *at < place.partition.end && is_passed(*at)? {
            *at += 1;
        }
        while distance.is_uneven() && *at > place.partition.start && !is_passed(*at - 1)? {
            *at -= 1;
        }
        Ok(*at)
    }
}
