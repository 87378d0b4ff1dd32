//! Folding over sorted values, one group after the other.

use super::table::{Batches, Sorted};
use crate::aggregate::Fold;
use crate::aggregate::holistic::{Chunk, Stretch};
use crate::error::{Error, Result};
use crate::exec::runs::BLOCK_ROWS;
use crate::memory::Reservation;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::Int64Type;
use std::sync::Arc;

/// Where the folds over a table stand.
pub(super) struct Cursor<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>,
    /// Whether values have counts.
    counted: bool,
    values: ArrayRef,
    counts: Option<ScalarBuffer<i64>>,
    /// The next row, and the first that the folds have not seen.
    next: usize,
    unseen: usize,
    folds: Vec<Box<dyn Fold>>,
    /// Scratch.
    stretches: Vec<Stretch>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sorted: &'a mut Sorted) -> Self {
        Cursor {
            batches: match &mut sorted.batches {
                Batches::Stored(rows) => Box::new(rows.batches()),
                Batches::Made(batches) => Box::new(batches),
            },
            counted: sorted.counted,
            values: new_empty_array(&sorted.value_type),
            counts: None,
            next: 0,
            unseen: 0,
            folds: std::mem::take(&mut sorted.folds),
            stretches: Vec::new(),
        }
    }

    /// Folds over the next groups, which have so many values each. The reservation covers what the folds hold, and so many
    /// bytes of others.
    pub(super) fn walk(&mut self, groups: &[i64], others: usize, reservation: &mut Reservation) -> Result<()> {
        for &values in groups {
            let mut left = values;
            let mut begins = Some(values.unsigned_abs());
            loop {
                let start = self.next;
                left -= self.advance(left);
                let rows = start - self.unseen..self.next - self.unseen;
                self.stretches.push(Stretch { rows, begins: begins.take(), ends: left == 0 });
                if left == 0 {
                    break;
                }
                if left < 0 {
                    return Err(Error::internal("a group has more values than were counted"));
                }
                self.fold()?;
                reservation.resize(others + self.bytes_held())?;
                if self.next == self.values.len() {
                    self.load()?;
                }
            }
        }
        self.fold()?;
        reservation.resize(others + self.bytes_held())
    }

    /// Goes on by rows, at most so many values, and no more rows than folds are given at once; how many values there were.
    fn advance(&mut self, values: i64) -> i64 {
        let end = self.values.len().min(self.unseen + BLOCK_ROWS);
        let Some(counts) = &self.counts else {
            let rows = (end - self.next).min(values as usize);
            self.next += rows;
            return rows as i64;
        };
        let mut sum = 0;
        while sum < values && self.next < end {
            sum += counts[self.next];
            self.next += 1;
        }
        sum
    }

    /// Gives the rows passed to the folds.
    fn fold(&mut self) -> Result<()> {
        let values = self.values.slice(self.unseen, self.next - self.unseen);
        let counts = self.counts.as_ref().map(|counts| &counts[self.unseen..self.next]);
        let chunk = Chunk { values: &values, counts };
        self.folds.iter_mut().try_for_each(|fold| fold.absorb(&chunk, &self.stretches))?;
        self.stretches.clear();
        self.unseen = self.next;
        Ok(())
    }

    fn load(&mut self) -> Result<()> {
        let batch =
            self.batches.next().ok_or_else(|| Error::internal("a group has fewer values than were counted"))??;
        let mut columns = batch.columns().iter().rev();
        let mut last = || columns.next().ok_or_else(|| Error::internal("a table of values lacks columns"));
        self.counts = match self.counted {
            true => last()?.as_primitive_opt::<Int64Type>().map(|counts| counts.values().clone()),
            false => None,
        };
        self.values = Arc::clone(last()?);
        (self.next, self.unseen) = (0, 0);
        Ok(())
    }

    /// One column a fold, one row for each group walked since the last call.
    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.folds.iter_mut().map(|fold| fold.finish()).collect()
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.folds.iter().map(|fold| fold.bytes_held()).sum()
    }

    /// Whether all values belonged to a group.
    pub(super) fn check_end(&mut self) -> Result<()> {
        let more = self.next < self.values.len() || self.batches.next().is_some();
        if more { Err(Error::internal("values without a group")) } else { Ok(()) }
    }
}
