//! Rows in, rows in order out, in bounded memory: sorted runs for the work of one thread.

use crate::error::Result;
use crate::exec::runs::{BLOCK_ROWS, Merge, Order, Range, Run, reduce};
use crate::exec::sink::Room;
use crate::memory::{HeldBuffers, Reservation, SpillFile};
use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, take_record_batch};
use std::sync::Arc;

/// What is held, its copy in order, and its keys encoded.
const HEADROOM: usize = 3;

/// Takes batches of one schema.
pub(in crate::exec) struct Sorter {
    order: Order,
    held: Vec<RecordBatch>,
    buffers: HeldBuffers,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
}

impl Sorter {
    pub(in crate::exec) fn new(order: Order, room: &Room, reservation: Reservation) -> Self {
        let file = Arc::new(room.spill.file());
        Sorter {
            order,
            held: Vec::new(),
            buffers: HeldBuffers::default(),
            runs: Vec::new(),
            file,
            room: room.clone(),
            reservation,
        }
    }

    /// Takes rows.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::exec) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.buffers.add(&batch);
        self.held.push(batch);
        if self.reservation.resize(self.buffers.bytes().saturating_mul(HEADROOM)).is_err() {
            self.spill()?;
        }
        Ok(())
    }

    /// Takes all that another sorter of the same order holds.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::exec) fn join(&mut self, other: Sorter) -> Result<()> {
        let Sorter { held, mut runs, reservation, .. } = other;
        self.runs.append(&mut runs);
        drop(reservation);
        held.into_iter().try_for_each(|batch| self.push(batch))
    }

    /// What is held, in order.
    fn sorted(&mut self) -> Result<Option<RecordBatch>> {
        let held = std::mem::take(&mut self.held);
        self.buffers.clear();
        let Some(first) = held.first() else { return Ok(None) };
        let all = concat_batches(&first.schema(), &held)?;
        drop(held);
        Ok(Some(take_record_batch(&all, &self.order.sorted(&all)?)?))
    }

    /// Writes what is held to disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::exec) fn spill(&mut self) -> Result<()> {
        if let Some(sorted) = self.sorted()? {
            let mut run = Run::default();
            run.append(&self.order, &self.file, &sorted)?;
            self.runs.push(run);
        }
        self.reservation.resize(0)
    }

    /// All rows, in order.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::exec) fn finish(mut self) -> Result<Sorted> {
        if self.runs.is_empty() {
            let sorted = self.sorted()?;
            let runs = sorted.map(|sorted| Run::in_memory(&self.order, sorted)).transpose()?;
            return Ok(Sorted::new(self.order, runs.into_iter().collect(), self.reservation));
        }
        self.spill()?;
        let (fan_in, hands) = (self.room.fan_in(), &self.room.hands);
        let runs = reduce(self.runs, &self.order, &self.file, usize::MAX, fan_in, hands)?;
        Ok(Sorted::new(self.order, runs, self.reservation))
    }
}

/// Rows in order.
pub(in crate::exec) struct Sorted {
    order: Order,
    runs: Vec<Run>,
    all: Range,
    _held: Reservation,
}

impl Sorted {
    fn new(order: Order, runs: Vec<Run>, held: Reservation) -> Self {
        Sorted { order, runs, all: Range::default(), _held: held }
    }

    /// The rows.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(in crate::exec) fn rows(&self) -> Result<SortedRows<'_>> {
        Ok(SortedRows(Merge::within(&self.runs, &self.order, &self.all)?))
    }
}

/// Rows in order, block by block.
pub(in crate::exec) struct SortedRows<'a>(Merge<'a>);

impl SortedRows<'_> {
    /// The next rows.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(in crate::exec) fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.0.next(BLOCK_ROWS)
    }
}
