//! Where runs of rows with equal keys end.

use super::rows::SortedRows;
use crate::error::Result;
use crate::exec::runs::{Keys, Order};
use std::cmp::Ordering;
use std::ops::Range;

/// Finds the ends of runs, forwards: of partitions, or of peers.
pub(super) struct Ends<'a> {
    rows: &'a SortedRows<'a>,
    order: &'a Order,
    /// Nobody asks beyond it, and a run ends there.
    last: usize,
    /// The part that was read last, and its keys.
    current: Option<(Range<usize>, Keys)>,
}

impl<'a> Ends<'a> {
    /// Of runs up to before the row `last`, where a run begins or rows end.
    pub(super) fn new(rows: &'a SortedRows<'a>, order: &'a Order, last: usize) -> Self {
        Ends { rows, order, last, current: None }
    }

    /// The row behind the last one that has the keys of `row` and all between.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(super) fn end_of(&mut self, row: usize) -> Result<usize> {
        if !self.order.has_columns() {
            return Ok(self.last);
        }
        let (mut range, mut keys) = self.keys_of(row)?;
        let mut end = row + 1;
        while end < self.last {
            if !range.contains(&end) {
                // A run goes on in the next part.
                let (next_range, next) = self.keys_of(end)?;
                let equal = keys.compare(end - 1 - range.start, &next, 0) == Ordering::Equal;
                (range, keys) = (next_range, next);
                if !equal {
                    break;
                }
            } else if keys.compare(end - 1 - range.start, &keys, end - range.start) != Ordering::Equal {
                break;
            }
            end += 1;
        }
        self.current = Some((range, keys));
        Ok(end)
    }

    fn keys_of(&mut self, row: usize) -> Result<(Range<usize>, Keys)> {
        if let Some(current) = self.current.take_if(|(range, _)| range.contains(&row)) {
            return Ok(current);
        }
        let part = self.rows.part_of(row);
        Ok((self.rows.range(part), self.order.keys(&self.rows.load(part)?)?))
    }
}
