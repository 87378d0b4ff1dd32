//! All rows in order, each with values that are computed of the rows around it.
//!
//! **Problem.** A partition may be larger than memory, a function may need rows far behind the one that it is of (the number of
//! rows in the partition, `lead`), and frames move.
//! **Idea.** Rows are [sorted](super::sort) by partition and order, on disk where they must be. From then on a row is a number, and
//! any row can be [read again](rows): whoever needs one far away has a cursor of its own, which goes forward through the same
//! sorted rows. So where [partitions end](bounds), where [frames](frame) begin and end, which rows
//! [values are taken of](values) and what is [aggregated](aggregate) is found with a few batches in memory, whatever the size of
//! partitions and frames. The columns of windows are stored beside the sorted rows, which are not written once more. Where only
//! the first rows of each partition are asked for, the others are dropped while rows are sorted.
//! **Invariants.** A value depends on the sorted rows alone, and their order is total. Ranges of whole partitions are done side by
//! side, and so are those of a table that is one partition, where values need [little else](reach). What an aggregate keeps of a
//! frame is some hundred states, and one for each block of rows that the frame spans.

mod aggregate;
mod bounds;
mod counted;
mod folded;
mod frame;
mod piece;
mod reach;
mod rows;
mod values;

use super::sort::{Best, SortSink, Wanted};
use super::{Handed, Materialised, Room, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::parallel::Hands;
use crate::exec::runs::Order;
use crate::memory::{Part, Reservation, StoredRows};
use crate::plan::WindowShape;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bounds::Ends;
use piece::Windowed;
use reach::Reach;
use rows::SortedRows;
use std::any::Any;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct WindowSink {
    shape: Arc<WindowShape>,
    schema: SchemaRef,
    types: Vec<DataType>,
    sort: SortSink,
    /// For what comes when all rows are sorted.
    reservation: Reservation,
    room: Room,
}

/// Ranges for each thread, so that none waits long for the others at the end.
const RANGES_PER_THREAD: usize = 4;
/// If a range takes no more than this, one is done without asking: beside what a process takes anyway it is nothing.
const UNASKED_BYTES: usize = 3 << 20;

impl WindowSink {
    /// `types` are those of the batches that come.
    pub(super) fn new(
        shape: Arc<WindowShape>,
        schema: SchemaRef,
        types: &[DataType],
        copies: bool,
        room: &Room,
    ) -> Result<Self> {
        let field = |(at, of_type): (usize, &DataType)| Field::new(at.to_string(), of_type.clone(), true);
        let held = Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()));
        let room = room.divided(2);
        // Of one partition, the first rows are those of a sort.
        let limit = shape.first.filter(|first| shape.partition.is_empty() && !first.ties).map(|first| first.rows);
        let wanted = Wanted { limit, width: types.len(), copies };
        let mut sort = SortSink::new(held, types, shape.sort.clone(), wanted, &room, room.reservation("sorting")?)?;
        if let (Some(first), None) = (shape.first, limit) {
            let of_partition: Vec<DataType> = shape.partition.iter().map(|column| types[*column].clone()).collect();
            sort = sort.keeping(Best::new(first, order_of(&shape.partition, types)?, &of_partition)?);
        }
        let reservation = room.reservation("windows")?;
        Ok(WindowSink { shape, schema, types: types.to_vec(), sort, reservation, room })
    }
}

impl Sink for WindowSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        self.sort.absorb(batch)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<WindowSink>();
        let other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.reservation.absorb(other.reservation);
        self.sort.join(Box::new(other.sort))
    }

    fn relieve(&mut self) -> Result<()> {
        self.sort.relieve()
    }

    fn export(self: Box<Self>, out: Handed<'_>) -> Result<()> {
        Box::new(self.sort).export(out)
    }

    fn import(&mut self, part: u32, records: RecordBatch) -> Result<()> {
        self.sort.import(part, records)
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let WindowSink { shape, schema, types, sort, mut reservation, room } = *self;
        let (parts, mut held) = Box::new(sort).finish()?.rows.into_parts();
        let evaluation = Evaluation::new(&shape, &types, &parts, &room)?;
        let hands = evaluation.reserve(&mut reservation)?;
        let ranges = evaluation.ranges(hands.workers)?;
        let (ranges, before) = match reach::before(&evaluation, &ranges, &hands)? {
            Some(before) => (ranges, before),
            None => (iter::once(0..evaluation.rows()).collect(), shape.calls.iter().map(|_| None).collect()),
        };
        let (store, mut made) = (room.results(), Vec::with_capacity(parts.len()));
        let windowed = Windowed::new(&parts, &shape.shown, &schema, &store);
        hands.in_order(
            ranges.len(),
            |at| piece::of_range(&evaluation, ranges[at].clone(), (&before, at), &windowed),
            |mut pieces| {
                made.append(&mut pieces);
                Ok(())
            },
        )?;
        held.push(store.into_held());
        Ok(Materialised { schema, rows: StoredRows::of_parts(made, held) })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The ascending order of some columns.
fn order_of<'a>(columns: impl IntoIterator<Item = &'a usize>, types: &[DataType]) -> Result<Order> {
    Order::new(columns.into_iter().map(|&column| (column, types[column].clone(), false)))
}

/// What all ranges of sorted rows have in common.
struct Evaluation<'a> {
    shape: &'a WindowShape,
    types: &'a [DataType],
    parts: &'a [Part],
    /// The number of the first row of each part, and of all rows.
    firsts: Vec<usize>,
    partition: Order,
    /// By partition and order.
    peers: Order,
    room: &'a Room,
}

impl<'a> Evaluation<'a> {
    fn new(shape: &'a WindowShape, types: &'a [DataType], parts: &'a [Part], room: &'a Room) -> Result<Self> {
        let mut firsts = vec![0];
        for part in parts {
            firsts.push(firsts[firsts.len() - 1] + part.rows());
        }
        let partition = order_of(&shape.partition, types)?;
        let peers = order_of(shape.partition.iter().chain(&shape.order), types)?;
        Ok(Evaluation { shape, types, parts, firsts, partition, peers, room })
    }

    fn rows(&self) -> usize {
        self.firsts[self.parts.len()]
    }

    /// Asks for the batches that a range has in memory at a time; for how many ranges there is room.
    fn reserve(&self, reservation: &mut Reservation) -> Result<Hands> {
        let on_disk = self.parts.iter().filter(|part| !matches!(part, Part::Memory(_)));
        let longest = on_disk.map(Part::loaded_bytes).max().unwrap_or(0);
        let bytes = (rows::BATCHES + self.shape.calls.len() * piece::BATCHES_OF_CALL) * longest;
        let hands = &self.room.hands;
        for workers in (1..=hands.workers.max(1)).rev() {
            match reservation.resize(workers * bytes) {
                Err(refusal) if workers == 1 && bytes > UNASKED_BYTES => return Err(refusal),
                Err(_) if workers > 1 => {}
                _ => return Ok(hands.of(workers)),
            }
        }
        Ok(hands.alone())
    }

    /// Ranges of rows that can be done side by side, in order: they begin with partitions; of the only partition, where they may.
    fn ranges(&self, workers: usize) -> Result<Vec<Range<usize>>> {
        let rows = self.rows();
        let (order, wanted) = match self.shape.partition.is_empty() {
            _ if workers <= 1 => (None, 1),
            false => (Some(&self.partition), workers * RANGES_PER_THREAD),
            true => match Reach::of(self.shape) {
                None => (None, 1),
                // What is read twice is a small share.
                Some(reach) => {
                    let most = rows / reach.rows.saturating_mul(4).max(1);
                    (reach.peers.then_some(&self.peers), (workers * RANGES_PER_THREAD).min(most.max(1)))
                }
            },
        };
        let mut cuts = vec![0];
        for number in 1..wanted.min(self.parts.len()) {
            let row = self.firsts[number * self.parts.len() / wanted.min(self.parts.len())];
            // The partition, or the peers, of the row before it end where others begin.
            if row > cuts[cuts.len() - 1] {
                let sorted = SortedRows::of(self);
                cuts.push(match order {
                    Some(order) => Ends::new(&sorted, order, rows).end_of(row - 1)?,
                    None => row,
                });
            }
        }
        cuts.push(rows);
        let ranges = cuts.windows(2).map(|ends| ends[0]..ends[1]);
        Ok(ranges.filter(|range| !range.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Budget, Spill};
    use crate::plan::{Bound, Distance, Frame, FrameUnit, WindowColumn, WindowFunction};
    use crate::source::CancelToken;
    use arrow::array::{ArrayRef, Int64Array};

    const PARTS: i64 = 16;
    const ROWS_OF_PART: i64 = 100;

    /// The ranges of sorted rows whose keys are alike in so many, for this many workers.
    fn ranges(call: (WindowFunction, Frame), is_partition: bool, alike: i64, workers: usize) -> Vec<Range<usize>> {
        let (function, frame) = call;
        let (partition, order) = if is_partition { (vec![0], Vec::new()) } else { (Vec::new(), vec![0]) };
        let calls = vec![WindowColumn { function, arguments: vec![0], frame, ignore_nulls: false }];
        let shape =
            WindowShape { sort: Vec::new(), partition, order, range_key: None, shown: vec![0], calls, first: None };
        let part = |at: i64| {
            let keys = (at * ROWS_OF_PART..(at + 1) * ROWS_OF_PART).map(|row| row / alike);
            let keys: ArrayRef = Arc::new(keys.collect::<Int64Array>());
            Part::Memory(RecordBatch::try_from_iter([("0", keys)]).unwrap())
        };
        let parts: Vec<Part> = (0..PARTS).map(part).collect();
        let hands = Hands { workers, cancel: CancelToken::new() };
        let room = Room { budget: Budget::new(1 << 24), spill: Spill::default(), floor_bytes: 1 << 20, hands };
        Evaluation::new(&shape, &[DataType::Int64], &parts, &room).unwrap().ranges(workers).unwrap()
    }

    #[test]
    fn rows_are_cut_into_ranges_where_partitions_and_peers_end() {
        let sum = || WindowFunction::Aggregate(Arc::new(crate::aggregate::Sum));
        let moving = |rows| Frame {
            unit: FrameUnit::Rows,
            start: Bound::Preceding(Distance::Whole(rows)),
            end: Bound::CurrentRow,
        };
        let (number, rank) = ((WindowFunction::RowNumber, Frame::WHOLE), (WindowFunction::Rank, Frame::WHOLE));
        for (call, is_partition, alike, workers, expected) in [
            (number.clone(), true, 150, 2, 2 * RANGES_PER_THREAD),
            (number.clone(), true, 150, 1, 1),
            (number.clone(), true, PARTS * ROWS_OF_PART, 4, 1),
            // Two cuts that end in one partition are one.
            (number.clone(), true, 600, 2, 3),
            (number.clone(), false, 1, 3, 3 * RANGES_PER_THREAD),
            (rank.clone(), false, 150, 2, 2 * RANGES_PER_THREAD),
            ((sum(), Frame::WHOLE), false, 1, 4, 1),
            ((sum(), moving(100)), false, 1, 4, 4),
            ((sum(), moving(1000)), false, 1, 4, 1),
        ] {
            let what = format!("{:?} {is_partition} {alike} {workers}", call.0);
            let needs_ends = is_partition || matches!(call.0, WindowFunction::Rank);
            let found = ranges(call, is_partition, alike, workers);
            assert_eq!(found.len(), expected, "{what}: {found:?}");
            assert_eq!((found[0].start, found[expected - 1].end), (0, (PARTS * ROWS_OF_PART) as usize), "{what}");
            for pair in found.windows(2) {
                assert_eq!(pair[0].end, pair[1].start, "{what}: {found:?}");
                let begins = !needs_ends || pair[1].start as i64 % alike == 0;
                assert!(begins, "{what}: {found:?}");
            }
        }
    }
}
