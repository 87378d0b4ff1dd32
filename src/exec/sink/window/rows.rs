//! Sorted rows by number, read as often as they are needed.

use super::Evaluation;
use crate::error::{Error, Result};
use crate::memory::{Part, Spill};
use arrow::array::RecordBatch;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;

/// Parts that were read last are kept, so many of them.
const RECENT: usize = 4;
/// So many batches are in memory while a range is gone through, beside those of its calls: the recent ones, that whose rows
/// are next, and those in which partitions and peers end.
pub(super) const BATCHES: usize = RECENT + 5;

/// The sorted rows, for one thread.
pub(super) struct SortedRows<'a> {
    parts: &'a [Part],
    firsts: &'a [usize],
    spill: &'a Spill,
    recent: RefCell<VecDeque<(usize, RecordBatch)>>,
}

impl<'a> SortedRows<'a> {
    pub(super) fn of(evaluation: &'a Evaluation<'_>) -> Self {
        let Evaluation { parts, firsts, room, .. } = evaluation;
        SortedRows { parts, firsts, spill: &room.spill, recent: RefCell::default() }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.firsts.last().copied().unwrap_or(0)
    }

    /// The part that has a row.
    pub(super) fn part_of(&self, row: usize) -> usize {
        self.firsts.partition_point(|first| *first <= row) - 1
    }

    /// The rows of a part, by number.
    pub(super) fn range(&self, part: usize) -> Range<usize> {
        self.firsts[part]..self.firsts[part + 1]
    }

    /// The rows of a part.
    ///
    /// # Errors
    /// Those of reading what was spilled, and `Cancelled`.
    pub(super) fn load(&self, part: usize) -> Result<RecordBatch> {
        self.spill.check()?;
        let of_memory = || match self.parts.get(part) {
            Some(Part::Memory(batch)) => Some(batch.clone()),
            _ => None,
        };
        let recent = || self.recent.borrow().iter().find(|(at, _)| *at == part).map(|(_, batch)| batch.clone());
        if let Some(batch) = of_memory().or_else(recent) {
            return Ok(batch);
        }
        let batch = self.parts.get(part).ok_or_else(|| Error::internal("a row behind the last one"))?.load()?;
        let mut recent = self.recent.borrow_mut();
        recent.truncate(RECENT - 1);
        recent.push_front((part, batch.clone()));
        Ok(batch)
    }
}

/// Reads rows, mostly one behind the other.
pub(super) struct Cursor<'a> {
    rows: &'a SortedRows<'a>,
    current: Option<(Range<usize>, RecordBatch)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rows: &'a SortedRows<'a>) -> Self {
        Cursor { rows, current: None }
    }

    /// The batch that has a row, and where it stands there.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(super) fn at(&mut self, row: usize) -> Result<(&RecordBatch, usize)> {
        let current = match self.current.take().filter(|(range, _)| range.contains(&row)) {
            Some(current) => current,
            None => {
                let part = self.rows.part_of(row);
                (self.rows.range(part), self.rows.load(part)?)
            }
        };
        let (range, batch) = self.current.insert(current);
        Ok((batch, row - range.start))
    }

    /// The rows, batch by batch, each with the number of its first row.
    ///
    /// # Errors
    /// Those of reading what was spilled, and of `see`.
    pub(super) fn each(
        &mut self,
        rows: Range<usize>,
        mut see: impl FnMut(&RecordBatch, Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut row = rows.start;
        while row < rows.end {
            let (batch, at) = self.at(row)?;
            let length = (batch.num_rows() - at).min(rows.end - row);
            see(batch, at..at + length, row)?;
            row += length;
        }
        Ok(())
    }
}
