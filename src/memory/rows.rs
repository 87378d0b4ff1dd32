//! Rows in order, in memory or on disk: the results of stages.

use super::budget::{Budget, Reservation};
use super::held::{HeldBuffers, used_bytes, without_unused_text};
use super::part::Part;
use super::spill::Spill;
use super::spill_file::SpillFile;
use super::to_disk::ToDisk;
use crate::error::Result;
use arrow::array::RecordBatch;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows in order; what does not fit in memory is on disk, and is read back as it is asked for. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StoredRows {
    parts: Arc<[Part]>,
    /// Give the memory back when the last clone is dropped.
    held: Vec<Arc<Reservation>>,
}

impl StoredRows {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(Part::rows).sum()
    }

    /// The rows, batch by batch; each is read back when the iterator comes to it.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> + '_ {
        self.parts.iter().map(Part::load)
    }

    /// Rows that stand in these parts, and what keeps their memory on the account.
    pub(crate) fn of_parts(parts: Vec<Part>, held: Vec<Arc<Reservation>>) -> Self {
        StoredRows { parts: parts.into(), held }
    }

    /// Whether all rows stand in memory.
    pub fn is_in_memory(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Memory(_)))
    }

    /// The same rows, those in memory in batches of at most `rows`.
    pub(crate) fn cut(self, rows: usize) -> StoredRows {
        let cut = |part: &Part| match part {
            Part::Memory(batch) => {
                let starts = (0..batch.num_rows()).step_by(rows);
                starts.map(|start| Part::Memory(batch.slice(start, rows.min(batch.num_rows() - start)))).collect()
            }
            spilled => vec![spilled.clone()],
        };
        StoredRows { parts: self.parts.iter().flat_map(cut).collect(), held: self.held }
    }

    /// These rows and then others.
    pub(crate) fn then(mut self, mut others: StoredRows) -> StoredRows {
        self.held.append(&mut others.held);
        StoredRows { parts: self.parts.iter().chain(others.parts.iter()).cloned().collect(), held: self.held }
    }

    /// The rows behind the first so many.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn without_first(self, rows: usize) -> Result<StoredRows> {
        let (mut left, mut parts) = (rows, Vec::with_capacity(self.parts.len()));
        for part in self.parts.iter() {
            let here = part.rows();
            match left {
                0 => parts.push(part.clone()),
                _ if left < here => parts.push(Part::Memory(part.load()?.slice(left, here - left))),
                _ => {}
            }
            left = left.saturating_sub(here);
        }
        Ok(StoredRows { parts: parts.into(), held: self.held })
    }

    /// The same rows, of which none stands in memory any more. What these hold is free once no other clone is left.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn on_disk(mut self, spill: &Spill) -> Result<StoredRows> {
        let mut disk = ToDisk::new(spill);
        let parts = self.parts.iter().map(|part| disk.part(part)).collect::<Result<_>>()?;
        // What is held beside the rows, for finding them, stays.
        self.held.retain(|held| !held.is_of_results());
        Ok(StoredRows { parts, held: self.held })
    }

    /// The parts, and what keeps their memory on the account.
    pub(crate) fn into_parts(self) -> (Arc<[Part]>, Vec<Arc<Reservation>>) {
        (self.parts, self.held)
    }

    pub(crate) fn parts(&self) -> &Arc<[Part]> {
        &self.parts
    }
}

impl From<Vec<RecordBatch>> for StoredRows {
    /// Rows that stay in memory and on no account.
    fn from(batches: Vec<RecordBatch>) -> Self {
        StoredRows { parts: batches.into_iter().map(Part::Memory).collect(), held: Vec::new() }
    }
}

/// A part of a result is of so many blocks at most.
const PART_BLOCKS: usize = 4;

/// What the parts in memory take.
#[derive(Debug)]
struct Held {
    buffers: HeldBuffers,
    reservation: Reservation,
}

/// Takes rows in order; those that do not fit go to disk.
#[derive(Debug)]
pub(crate) struct RowStore {
    parts: Vec<Part>,
    held: Mutex<Held>,
    block_bytes: usize,
    spill: Spill,
    file: Arc<SpillFile>,
}

impl RowStore {
    pub(crate) fn new(budget: &Budget, spill: &Spill) -> Self {
        let held = Held { buffers: HeldBuffers::default(), reservation: budget.reservation_of_results() };
        let (block_bytes, file) = (budget.block_bytes(), Arc::new(spill.file()));
        RowStore { parts: Vec::new(), held: Mutex::new(held), block_bytes, spill: spill.clone(), file }
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// Those of the disk, and `Cancelled`.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() > 0 {
            let mut parts = self.keep_cut(batch)?;
            self.parts.append(&mut parts);
        }
        Ok(())
    }

    /// [`RowStore::keep`], in parts that whoever reads them back has room for: one at least, also of no rows.
    ///
    /// # Errors
    /// Those of the disk, and `Cancelled`.
    pub(crate) fn keep_cut(&self, batch: RecordBatch) -> Result<Vec<Part>> {
        let row_bytes = used_bytes([&batch].into_iter(), true) / batch.num_rows().max(1);
        let rows = (PART_BLOCKS * self.block_bytes / row_bytes.max(1)).max(1);
        let starts = (0..batch.num_rows().max(1)).step_by(rows);
        starts.map(|start| self.keep(batch.slice(start, rows.min(batch.num_rows() - start)))).collect()
    }

    /// Finds room for rows whose place is told at the end.
    ///
    /// # Errors
    /// Those of the disk, and `Cancelled`.
    pub(crate) fn keep(&self, batch: RecordBatch) -> Result<Part> {
        self.spill.check()?;
        let batch = without_unused_text(batch);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { buffers, reservation } = &mut *held;
        if buffers.add_if(&batch, |bytes| reservation.resize(bytes).is_ok()) {
            return Ok(Part::Memory(batch));
        }
        drop(held);
        let block = self.file.append(&batch)?;
        Ok(Part::Spilled(Arc::clone(&self.file), block))
    }

    /// Places what stands in memory, if it has room there, or on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn push_part(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Memory(batch) => self.push(batch),
            spilled => {
                self.parts.push(spilled);
                Ok(())
            }
        }
    }

    /// The rows taken, and behind them those that were kept, in this order.
    pub(crate) fn finish_with(mut self, mut kept: Vec<Part>) -> StoredRows {
        self.parts.append(&mut kept);
        self.finish()
    }

    /// What keeps the memory of the rows that were kept on the account.
    pub(crate) fn into_held(self) -> Arc<Reservation> {
        Arc::new(self.held.into_inner().unwrap_or_else(PoisonError::into_inner).reservation)
    }

    pub(crate) fn finish(self) -> StoredRows {
        let held = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        StoredRows { parts: self.parts.into(), held: vec![Arc::new(held.reservation)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};

    #[test]
    fn rows_that_are_cut_and_go_to_disk_leave_their_memory_and_what_is_beside_them_stays() {
        let budget = Budget::new(1 << 20);
        let mut store = RowStore::new(&budget, &Spill::default());
        let column: ArrayRef = Arc::new((0..10_000).collect::<Int64Array>());
        store.push(RecordBatch::try_from_iter([("n", column)]).unwrap()).unwrap();
        let beside = Arc::new(budget.reservation_of_at_least(500, "test").unwrap());
        let rows = StoredRows { held: vec![beside], ..StoredRows::default() }.then(store.finish());
        let wanted: Vec<_> = rows.clone().cut(3000).batches().map(Result::unwrap).collect();
        assert!(rows.is_in_memory() && budget.held_bytes() > 80_000);
        let rows = rows.cut(3000).on_disk(&Spill::default()).unwrap();
        assert_eq!(budget.held_bytes(), 500);
        assert!(rows.parts().iter().all(|part| matches!(part, Part::Spilled(..))));
        assert_eq!(rows.batches().map(Result::unwrap).collect::<Vec<_>>(), wanted);
        drop(rows);
        assert_eq!(budget.held_bytes(), 0);
    }

    #[test]
    fn rows_beyond_half_of_the_limit_go_to_disk_and_all_come_back_in_order() {
        let budget = Budget::new(64 << 10);
        let mut store = RowStore::new(&budget, &Spill::default());
        for start in 0..10 {
            let column: ArrayRef = Arc::new((start * 1000..(start + 1) * 1000).collect::<Int64Array>());
            store.push(RecordBatch::try_from_iter([("n", column)]).unwrap()).unwrap();
        }
        let rows = store.finish();
        assert!(!rows.is_in_memory() && rows.rows() == 10_000);
        assert!((1..=32 << 10).contains(&budget.held_bytes()));
        let mut next = 0;
        for batch in rows.batches().map(Result::unwrap) {
            let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().clone();
            column.values().iter().for_each(|value| {
                assert_eq!(*value, next);
                next += 1;
            });
        }
        drop(rows);
        assert_eq!((next, budget.held_bytes()), (10_000, 0));
    }
}
