//! Where all rows are one partition: which of them may be done side by side.
//!
//! A value that is told by the rows around it needs no others, so rows may be cut anywhere, or between peers. An aggregate that runs
//! from the first row on begins each range with the state of all rows before it, which is merged of those of the ranges.

use super::Evaluation;
use super::aggregate::{LOOK_ROWS, StatesOf};
use super::rows::{Cursor, SortedRows};
use crate::aggregate::{Aggregate, GroupStates, Over};
use crate::error::Result;
use crate::exec::parallel::Hands;
use crate::plan::{Bound, Distance, Frame, FrameUnit, WindowColumn, WindowFunction, WindowShape};
use std::ops::Range;
use std::sync::Arc;

/// If states of all rows take more than this, the rows are gone through one after the other.
const MOST_STATE_BYTES: usize = 1 << 20;

/// What calls have to see for the rows of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// All peers of these rows.
    pub(super) peers: bool,
    /// So many rows before and behind.
    pub(super) rows: usize,
}

impl Reach {
    /// Of all calls over one partition; `None` if one needs all rows.
    pub(super) fn of(shape: &WindowShape) -> Option<Self> {
        shape.calls.iter().try_fold(Reach::default(), |all, call| {
            let Reach { peers, rows } = of_call(call).filter(|reach| !(reach.peers && shape.order.is_empty()))?;
            Some(Reach { peers: all.peers || peers, rows: all.rows.max(rows) })
        })
    }
}

fn of_call(call: &WindowColumn) -> Option<Reach> {
    use WindowFunction::{Aggregate, CumeDist, DenseRank, Last, Nth, Ntile, PercentRank, Rank, RowNumber, Shift};
    match &call.function {
        RowNumber | Ntile(_) => Some(Reach::default()),
        Rank | PercentRank | CumeDist => Some(Reach { peers: true, rows: 0 }),
        Shift(_) | Nth(_) | Last if call.ignore_nulls => None,
        Shift(_) => Some(Reach::default()),
        Nth(_) | Last => Some(Reach { rows: 0, ..of_frame(call.frame)? }),
        Aggregate(_) if runs(call).is_some() => Some(Reach { rows: 0, ..of_frame(call.frame)? }),
        Aggregate(_) if call.frame.start == Bound::PartitionStart || call.frame.end == Bound::PartitionEnd => None,
        Aggregate(_) => of_frame(call.frame),
        DenseRank => None,
    }
}

/// The aggregate of a call whose frames begin with the partition and end with the row or behind it.
fn runs(call: &WindowColumn) -> Option<&Arc<dyn Aggregate>> {
    let ends_behind = matches!(call.frame.end, Bound::CurrentRow | Bound::Following(_));
    match &call.function {
        WindowFunction::Aggregate(aggregate) if call.frame.start == Bound::PartitionStart && ends_behind => {
            Some(aggregate).filter(|aggregate| aggregate.over() == Over::Rows)
        }
        _ => None,
    }
}

/// Distances of values are looked for, and groups counted, from the first row on.
fn of_frame(frame: Frame) -> Option<Reach> {
    let distances = [frame.start.distance(), frame.end.distance()];
    match frame.unit {
        FrameUnit::Range | FrameUnit::Groups if distances.iter().any(Option::is_some) => None,
        FrameUnit::Range | FrameUnit::Groups => Some(Reach { peers: true, rows: 0 }),
        FrameUnit::Rows => {
            let rows = |distance: Distance| match distance {
                Distance::Whole(rows) => usize::try_from(rows).unwrap_or(usize::MAX),
                Distance::Real(_) | Distance::Interval { .. } => 0,
            };
            Some(Reach { peers: false, rows: distances.into_iter().flatten().map(rows).max().unwrap_or(0) })
        }
    }
}

/// Of each call that runs, the states of all rows before each range.
pub(super) type Before = Vec<Option<Box<dyn GroupStates>>>;

/// For these ranges of one partition, side by side; `None` if the states are too large.
///
/// # Errors
/// Those of the disk, and of the aggregates.
pub(super) fn before(evaluation: &Evaluation<'_>, ranges: &[Range<usize>], hands: &Hands) -> Result<Option<Before>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for call in &evaluation.shape.calls {
        let Some(aggregate) = runs(call).filter(|_| evaluation.shape.partition.is_empty() && ranges.len() > 1) else {
            all.push(None);
            continue;
        };
        let states = StatesOf::new(aggregate, call, evaluation);
        let most_bytes = MOST_STATE_BYTES / (2 * ranges.len());
        let total_of = |range: &Range<usize>| -> Result<Option<Box<dyn GroupStates>>> {
            let sorted = SortedRows::of(evaluation);
            let (mut total, mut cursor) = (states.empty(1)?, Cursor::new(&sorted));
            for start in range.clone().step_by(LOOK_ROWS) {
                if total.bytes_held() > most_bytes {
                    return Ok(None);
                }
                states.add(&mut *total, &mut cursor, start..range.end.min(start + LOOK_ROWS))?;
            }
            Ok(Some(total))
        };
        if aggregate.most_state_bytes() > most_bytes {
            return Ok(None);
        }
        let totals = hands.each(ranges.len() - 1, |at| total_of(&ranges[at]))?;
        let Some(totals) = totals.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        bytes += totals.iter().map(|total| total.bytes_held()).sum::<usize>() * 2;
        if bytes > MOST_STATE_BYTES {
            return Ok(None);
        }
        let (mut sofar, mut before) = (states.empty(1)?, states.empty(ranges.len())?);
        for (at, total) in totals.iter().enumerate() {
            sofar.merge_some(&**total, &[0], &[0])?;
            before.merge_some(&*sofar, &[0], &[at as u32 + 1])?;
        }
        all.push(Some(before));
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(function: WindowFunction, frame: (FrameUnit, Bound, Bound), order: &[usize]) -> Option<(bool, usize)> {
        let (unit, start, end) = frame;
        let frame = Frame { unit, start, end };
        let call = WindowColumn { function, arguments: vec![0], frame, ignore_nulls: false };
        let shape = WindowShape {
            sort: Vec::new(),
            partition: Vec::new(),
            order: order.to_vec(),
            range_key: None,
            shown: Vec::new(),
            calls: vec![call],
            first: None,
        };
        Reach::of(&shape).map(|reach| (reach.peers, reach.rows))
    }

    #[test]
    fn values_reach_as_far_as_their_frames() {
        use Bound::{CurrentRow, Following, PartitionEnd, PartitionStart, Preceding};
        use FrameUnit::{Groups, Range, Rows};
        use WindowFunction::{Aggregate, DenseRank, Last, Nth, Rank, RowNumber, Shift};
        let sum = || Aggregate(Arc::new(crate::aggregate::Sum));
        let median = || Aggregate(Arc::new(crate::aggregate::Quantile::Median));
        let by = Distance::Whole;
        let whole = (Range, PartitionStart, PartitionEnd);
        for (function, frame, expected) in [
            (RowNumber, whole, Some((false, 0))),
            (Shift(-900), whole, Some((false, 0))),
            (Rank, whole, Some((true, 0))),
            (DenseRank, whole, None),
            (Nth(3), (Rows, PartitionStart, Following(by(7))), Some((false, 0))),
            (Last, (Range, PartitionStart, CurrentRow), Some((true, 0))),
            (Last, (Range, Preceding(by(2)), CurrentRow), None),
            (sum(), (Rows, Preceding(by(100)), Following(by(3))), Some((false, 100))),
            (sum(), (Rows, PartitionStart, CurrentRow), Some((false, 0))),
            (sum(), (Range, PartitionStart, CurrentRow), Some((true, 0))),
            (sum(), (Rows, PartitionStart, Preceding(by(1))), None),
            (sum(), (Rows, CurrentRow, PartitionEnd), None),
            (sum(), (Range, Preceding(by(1)), CurrentRow), None),
            (sum(), (Groups, PartitionStart, CurrentRow), Some((true, 0))),
            (Last, (Groups, CurrentRow, Following(by(1))), None),
            (sum(), whole, None),
            (median(), (Rows, PartitionStart, CurrentRow), None),
            (median(), (Rows, Preceding(by(7)), CurrentRow), Some((false, 7))),
        ] {
            assert_eq!(reach(function.clone(), frame, &[1]), expected, "{function:?} {frame:?}");
            // Without an order all rows are peers.
            let without = expected.filter(|(peers, _)| !peers);
            assert_eq!(reach(function.clone(), frame, &[]), without, "{function:?} {frame:?}");
        }
    }
}
