//! Sorted rows with the columns of their windows, piece by piece.

use super::Evaluation;
use super::aggregate::Sliding;
use super::bounds::Ends;
use super::folded::{OfFrames, of_frames};
use super::reach::Before;
use super::rows::SortedRows;
use super::values::Values;
use crate::aggregate::{GroupStates, Over};
use crate::error::Result;
use crate::memory::{MadeRows, Part, RowStore, ToDisk};
use crate::plan::{FirstRows, FrameUnit, WindowColumn, WindowFunction};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;

/// Batches that a call has in memory at a time, at most: of its frame's edges, of rows that are added, and of those that values
/// are taken of.
pub(super) const BATCHES_OF_CALL: usize = 5 + super::values::MOST_BATCHES;

/// Where a row stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The rows of its partition.
    pub(super) partition: Range<usize>,
    /// Those with its keys.
    pub(super) peers: Range<usize>,
    /// So many groups of peers begin in the partition up to this row.
    pub(super) groups: usize,
}

/// The pieces of a range of whole partitions, or of rows of the only one, in order; `before` has the states that runs begin with, of
/// the range of this number.
///
/// # Errors
/// Those of the disk, and `Arithmetic` of aggregates.
pub(super) fn of_range(
    evaluation: &Evaluation<'_>,
    range: Range<usize>,
    (before, number): (&Before, usize),
    windowed: &Windowed<'_>,
) -> Result<Vec<Part>> {
    let sorted = SortedRows::of(evaluation);
    let mut partitions = Ends::new(&sorted, &evaluation.partition, range.end);
    let mut peers = Ends::new(&sorted, &evaluation.peers, range.end);
    let calls = &evaluation.shape.calls;
    let mut functions = Vec::with_capacity(calls.len());
    for (call, before) in calls.iter().zip(before) {
        let before = before.as_ref().map(|before| (range.start, &**before, number as u32));
        functions.push(Function::new(call, evaluation, &sorted, before)?);
    }
    let goes_by_peers = calls.iter().any(goes_by_peers);
    let is_one = evaluation.shape.partition.is_empty();
    let partition = if is_one { 0..evaluation.rows() } else { range.start..range.start };
    let mut place = Place { partition, peers: range.start..range.start, groups: 0 };
    let (mut pieces, mut row) = (Vec::new(), range.start);
    while row < range.end {
        let part = sorted.part_of(row);
        let of_part = sorted.range(part);
        let end = of_part.end.min(range.end);
        let mut places = Vec::with_capacity(end - row);
        for at in row..end {
            if at == place.partition.end {
                place = Place { partition: at..partitions.end_of(at)?, peers: at..at, groups: 0 };
            }
            if at == place.peers.end {
                place.peers = at..match (evaluation.shape.order.is_empty(), goes_by_peers) {
                    (true, _) => place.partition.end.min(range.end),
                    (false, true) => peers.end_of(at)?,
                    (false, false) => at + 1,
                };
                place.groups += 1;
            }
            places.push(place.clone());
        }
        let columns = functions.iter_mut().map(|function| function.column(row, &places)).collect::<Result<_>>()?;
        let first = row - of_part.start;
        match evaluation.shape.first.map(|first| wanted(first, row, &places)) {
            Some(wanted) if wanted.contains(&false) => {
                let of_part = sorted.load(part)?.slice(first, places.len());
                pieces.extend(windowed.some_of(&of_part, columns, &wanted.into())?);
            }
            _ => pieces.push(windowed.piece(part, first, places.len(), columns)?),
        }
        row = end;
    }
    Ok(pieces)
}

/// Which rows are among the first of their partitions.
fn wanted(first: FirstRows, row: usize, places: &[Place]) -> Vec<bool> {
    let is_wanted = |(at, place): (usize, &Place)| {
        let start = place.partition.start;
        first.has(row + at - start, place.peers.start - start)
    };
    places.iter().enumerate().map(is_wanted).collect()
}

fn goes_by_peers(call: &WindowColumn) -> bool {
    use WindowFunction::{CumeDist, DenseRank, Ntile, PercentRank, Rank, RowNumber, Shift};
    match call.function {
        Rank | DenseRank | PercentRank | CumeDist => true,
        RowNumber | Ntile(_) | Shift(_) => false,
        _ => call.frame.unit != FrameUnit::Rows,
    }
}

/// A call on its way through the rows.
enum Function<'a> {
    /// Told by the place of a row alone.
    Number(WindowFunction),
    Value(Box<Values<'a>>),
    Aggregate(Box<Sliding<'a>>),
    Folded(Box<dyn OfFrames + 'a>),
}

impl<'a> Function<'a> {
    fn new(
        call: &'a WindowColumn,
        evaluation: &'a Evaluation<'_>,
        rows: &'a SortedRows<'a>,
        before: Option<(usize, &dyn GroupStates, u32)>,
    ) -> Result<Self> {
        Ok(match &call.function {
            WindowFunction::Shift(_) | WindowFunction::Nth(_) | WindowFunction::Last => {
                Function::Value(Box::new(Values::new(call, evaluation, rows)?))
            }
            WindowFunction::Aggregate(aggregate) if aggregate.over() != Over::Rows => {
                Function::Folded(of_frames(aggregate, call, evaluation, rows)?)
            }
            WindowFunction::Aggregate(aggregate) => {
                Function::Aggregate(Box::new(Sliding::new(aggregate, call, evaluation, rows, before)?))
            }
            number => Function::Number(number.clone()),
        })
    }

    /// Its values for the rows from `first` on.
    fn column(&mut self, first: usize, places: &[Place]) -> Result<ArrayRef> {
        match self {
            Function::Number(function) => Ok(numbers(function, first, places)),
            Function::Value(values) => values.column(first, places),
            Function::Aggregate(sliding) => sliding.column(first, places),
            Function::Folded(folded) => folded.column(first, places),
        }
    }
}

fn numbers(function: &WindowFunction, first: usize, places: &[Place]) -> ArrayRef {
    let integers = |of: &dyn Fn(usize, &Place) -> usize| -> ArrayRef {
        let values = places.iter().enumerate().map(|(at, place)| of(first + at, place) as i64);
        Arc::new(Int64Array::from_iter_values(values))
    };
    let shares = |of: &dyn Fn(&Place) -> (usize, usize)| -> ArrayRef {
        let share = |(part, whole): (usize, usize)| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Arc::new(Float64Array::from_iter_values(places.iter().map(|place| share(of(place)))))
    };
    match function {
        WindowFunction::Rank => integers(&|_, place| place.peers.start - place.partition.start + 1),
        WindowFunction::DenseRank => integers(&|_, place| place.groups),
        WindowFunction::PercentRank => {
            shares(&|place| (place.peers.start - place.partition.start, place.partition.len() - 1))
        }
        WindowFunction::CumeDist => shares(&|place| (place.peers.end - place.partition.start, place.partition.len())),
        WindowFunction::Ntile(buckets) => {
            integers(&|row, place| bucket(row - place.partition.start, place.partition.len(), *buckets))
        }
        _ => integers(&|row, place| row - place.partition.start + 1),
    }
}

/// The bucket, from 1, of a row: the first `rows % buckets` of them have one row more than the others.
fn bucket(row: usize, rows: usize, buckets: u64) -> usize {
    let buckets = usize::try_from(buckets).unwrap_or(usize::MAX).max(1);
    let (least, longer) = (rows / buckets, rows % buckets);
    let in_longer = longer * (least + 1);
    if row < in_longer { row / (least + 1) + 1 } else { longer + (row - in_longer) / least.max(1) + 1 }
}

/// Puts rows and the columns of their windows together.
pub(super) struct Windowed<'a> {
    parts: &'a [Part],
    shown: Arc<[usize]>,
    /// Of the result, and of the columns of windows.
    schemas: [SchemaRef; 2],
    store: &'a RowStore,
}

impl<'a> Windowed<'a> {
    /// Of these sorted rows, with those of their columns that are `shown`; what windows add is kept in `store`.
    pub(super) fn new(parts: &'a [Part], shown: &[usize], schema: &SchemaRef, store: &'a RowStore) -> Self {
        let added: Vec<_> = schema.fields().iter().skip(shown.len()).cloned().collect();
        let schemas = [Arc::clone(schema), Arc::new(Schema::new(added))];
        Windowed { parts, shown: shown.into(), schemas, store }
    }

    /// Some rows of a part, from `first` on, and columns beside them.
    fn piece(&self, part: usize, first: usize, rows: usize, columns: Vec<ArrayRef>) -> Result<Part> {
        let added = RecordBatch::try_new(Arc::clone(&self.schemas[1]), columns)?;
        let (sorted, added) = (self.parts[part].clone(), self.store.keep(added)?);
        let in_memory = matches!((&sorted, &added), (Part::Memory(_), Part::Memory(_)));
        let (schema, shown) = (Arc::clone(&self.schemas[0]), Arc::clone(&self.shown));
        let piece = Piece { sorted, first, rows, shown, added, schema };
        Ok(if in_memory { Part::Memory(piece.make()?) } else { Part::Made(Arc::new(piece)) })
    }

    /// Those of some sorted rows that are wanted, which are few, and so are copied; `None` if there are none.
    fn some_of(&self, sorted: &RecordBatch, columns: Vec<ArrayRef>, wanted: &BooleanArray) -> Result<Option<Part>> {
        if wanted.true_count() == 0 {
            return Ok(None);
        }
        let all = beside(sorted, &self.shown, &columns, &self.schemas[0])?;
        self.store.keep(filter_record_batch(&all, wanted)?).map(Some)
    }
}

/// Sorted rows and the columns beside them.
#[derive(Debug)]
struct Piece {
    sorted: Part,
    /// The first row of the part that is of the piece, and how many are.
    first: usize,
    rows: usize,
    /// The columns of sorted rows that are of the piece.
    shown: Arc<[usize]>,
    added: Part,
    schema: SchemaRef,
}

/// Those columns of rows that are `shown`, and others beside them.
fn beside(rows: &RecordBatch, shown: &[usize], added: &[ArrayRef], schema: &SchemaRef) -> Result<RecordBatch> {
    let shown = shown.iter().map(|&column| rows.column(column).clone());
    let columns = shown.chain(added.iter().cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

impl MadeRows for Piece {
    fn rows(&self) -> usize {
        self.rows
    }

    fn loaded_bytes(&self) -> usize {
        self.sorted.loaded_bytes() + self.added.loaded_bytes()
    }

    fn make(&self) -> Result<RecordBatch> {
        let (sorted, added) = (self.sorted.load()?, self.added.load()?);
        beside(&sorted.slice(self.first, self.rows), &self.shown, added.columns(), &self.schema)
    }

    fn on_disk(&self, disk: &mut ToDisk) -> Result<Part> {
        let (sorted, added) = (disk.part(&self.sorted)?, disk.part(&self.added)?);
        let (shown, schema) = (Arc::clone(&self.shown), Arc::clone(&self.schema));
        Ok(Part::Made(Arc::new(Piece { sorted, added, shown, schema, ..*self })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_differ_by_one_row_and_the_first_are_the_longer_ones() {
        let buckets = |rows: usize, buckets: u64| (0..rows).map(|row| bucket(row, rows, buckets)).collect::<Vec<_>>();
        assert_eq!(buckets(7, 3), [1, 1, 1, 2, 2, 3, 3]);
        assert_eq!(buckets(6, 3), [1, 1, 2, 2, 3, 3]);
        assert_eq!(buckets(2, 5), [1, 2]);
        assert_eq!(buckets(3, u64::MAX), [1, 2, 3]);
        assert_eq!(buckets(3, 1), [1, 1, 1]);
    }
}
