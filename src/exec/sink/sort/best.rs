//! Only the first rows of each partition.
//!
//! Rows behind them are dropped when rows are sorted, be it to keep the others, to write them, or in the end; and, once a
//! partition has as many as are wanted, on arrival.

use super::held::{Entry, Held, HeldOrder};
use crate::error::Result;
use crate::exec::runs::{Bound, Keys, Order};
use crate::plan::FirstRows;
use arrow::array::RecordBatch;
use arrow::row::Rows;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// When so many rows are held, it is looked for the first time which can be dropped.
const LOOK_ROWS: usize = 8192;
/// If it does not pay to look at more rows than this, hardly any partition has more than are wanted.
const MOST_LOOKED: usize = 16 * LOOK_ROWS;
/// The last wanted rows of so many partitions are remembered.
const MOST_BOUNDS: usize = 1 << 15;

/// Which rows a sort keeps of each partition.
pub(in crate::exec::sink) struct Best {
    first: FirstRows,
    /// Of what is alike within a partition. The order of rows begins with it.
    partition: Order,
    /// Of partitions that have as many rows as are wanted, by encoded key: rows behind it are not.
    bounds: HashMap<Box<[u8]>, Bound, FixedState>,
    /// Bytes on the heap behind the bounds.
    bound_bytes: usize,
    /// It is looked again when so many rows are held.
    look_at: usize,
}

impl Best {
    pub(in crate::exec::sink) fn new(first: FirstRows, partition: Order) -> Self {
        Best { first, partition, bounds: HashMap::default(), bound_bytes: 0, look_at: LOOK_ROWS }
    }

    /// How many rows are held when it is looked which can be dropped.
    pub(super) fn look_at(&self) -> usize {
        self.look_at
    }

    /// Whether it has paid to look; if not, it is looked much later again, and then not any more.
    pub(super) fn pays(&mut self, before: usize, after: usize) -> bool {
        let pays = after <= before / 2;
        self.look_at = match pays {
            true => LOOK_ROWS.max(2 * after),
            false if before <= MOST_LOOKED => before.saturating_mul(16),
            false => usize::MAX,
        };
        pays
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.bounds.capacity() * size_of::<(Box<[u8]>, Bound)>() + self.bound_bytes
    }

    /// Forgets the bounds.
    pub(super) fn forget(&mut self) {
        (self.bounds, self.bound_bytes) = (HashMap::default(), 0);
    }

    /// Those of the rows that may be among the first; `None` for all.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(super) fn candidates(&self, records: &RecordBatch, keys: &Keys) -> Result<Option<Vec<u32>>> {
        if self.bounds.is_empty() {
            return Ok(None);
        }
        let partitions = self.encoded(records)?;
        let is_candidate = |row: &u32| {
            let bound = self.bounds.get(of_row(partitions.as_ref(), *row as usize));
            bound.is_none_or(|bound| keys.compare_to(*row as usize, bound).is_le())
        };
        Ok(Some((0..records.num_rows() as u32).filter(is_candidate).collect()))
    }

    /// The keys of partitions, encoded; `None` where all rows are one.
    fn encoded(&self, records: &RecordBatch) -> Result<Option<Rows>> {
        self.partition.has_columns().then(|| self.partition.encode(records)).transpose()
    }

    /// What tells the partitions of rows that are held apart.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(super) fn partitions(&self, held: &[Held]) -> Result<Partitions> {
        let keys = held.iter().map(|held| self.partition.keys(&held.records)).collect::<Result<_>>()?;
        Ok(Partitions { first: self.first, keys })
    }

    /// Remembers the bounds of partitions, each by its last wanted row.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(super) fn remember(&mut self, order: &HeldOrder<'_>, last: &[Entry]) -> Result<()> {
        for entry in last {
            let (held, row) = (&order.held[entry.batch as usize], entry.row as usize);
            let encoded = self.encoded(&held.records.slice(row, 1))?;
            let partition = of_row(encoded.as_ref(), 0);
            let bound = held.keys.bound(row);
            let bound = if self.first.ties { bound.behind_its_peers() } else { bound };
            let has_room = self.bounds.len() < MOST_BOUNDS;
            match self.bounds.get_mut(partition) {
                Some(known) if bound < *known => *known = bound,
                None if has_room => {
                    self.bound_bytes += partition.len() + bound.bytes_held();
                    self.bounds.insert(partition.into(), bound);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The encoded key of the partition of a row.
fn of_row(encoded: Option<&Rows>, row: usize) -> &[u8] {
    encoded.map_or(&[], |rows| rows.row(row).data())
}

/// The partitions of rows that are held.
pub(super) struct Partitions {
    first: FirstRows,
    /// By batch.
    keys: Vec<Keys>,
}

impl Partitions {
    /// Drops rows behind the first of their partitions; of those that have as many as are wanted, the last one.
    pub(super) fn drop_behind(&self, order: &HeldOrder<'_>, entries: &mut Vec<Entry>) -> Vec<Entry> {
        let (mut number, mut of_peers, mut last) = (0, 0, Vec::new());
        let mut before = None;
        entries.retain(|entry| {
            let goes_on = before.as_ref().is_some_and(|before| self.are_of_one(before, entry));
            number = if goes_on { number + 1 } else { 0 };
            if !(goes_on && before.as_ref().is_some_and(|before| order.are_peers(before, entry))) {
                of_peers = number;
            }
            before = Some(*entry);
            if number + 1 == self.first.rows {
                last.push(*entry);
            }
            self.first.has(number, of_peers)
        });
        last
    }

    fn are_of_one(&self, a: &Entry, b: &Entry) -> bool {
        let (ours, theirs) = (&self.keys[a.batch as usize], &self.keys[b.batch as usize]);
        ours.compare(a.row as usize, theirs, b.row as usize).is_eq()
    }
}
