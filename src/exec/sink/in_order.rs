//! Rows kept in input order, batch by batch, in memory or on disk: what [`collect`](super::collect) and the left side of a
//! [`join`](super::join) hold.
//!
//! **Problem.** Batches that only have to be put in order go to disk as they are, and of each is known where it stands. But
//! behind a filter that few rows pass, or in the short pieces of scarce memory, a batch is a few rows, and what is known of
//! all of them is as much as the rows.
//! **Idea.** Short batches are put together before they are written. Between those of one worker stand others, so their rows
//! take their identities along and are sorted by them: in blocks of decent length in runs on disk, of each of which is known
//! what is known of a long batch.
//! **Invariant.** No row of one batch stands between two of another. So it is enough to order batches by their first rows.

use super::aggregate::of_columns;
use super::sort::{SortSink, Wanted};
use super::{Handed, Room};
use crate::batch::{Batch, RowId, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::runs::Identities;
use crate::exec::sink::Sink;
use crate::memory::{HeldBuffers, Part, Reservation, SpillFile, StoredRows};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Batches are short whose rows take less than this.
const SHORT_BYTES: usize = 16 << 10;

/// Parts of what is handed over: rows in the batches in which they came, and rows that have been put together.
const HELD_PART: u32 = 0;
const SORTED_PART: u32 = 1;

/// Rows in input order. Their columns stand in `N` parts, which are read back one by one.
pub(super) struct InOrder<const N: usize> {
    /// The columns of all parts.
    joined: SchemaRef,
    /// It is known which rows there are, so they stay in the batches in which they came.
    identified: bool,
    /// Batches by the identity of their first row, with a number for batches whose rows share one identity.
    batches: BTreeMap<(RowId, usize), Held<N>>,
    rows: usize,
    /// Behind the batches in memory.
    buffers: HeldBuffers,
    /// Of all batches, what they take beside that.
    beside_bytes: usize,
    /// Takes the rows instead, once they do not fit.
    sorted: Option<SortSink>,
    /// Some are on disk.
    spilled: bool,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
    purpose: &'static str,
}

/// Rows held. Where it is not asked which they are, it is enough to know the first.
struct Held<const N: usize> {
    parts: [Part; N],
    origin: Option<RowOrigin>,
}

impl<const N: usize> Held<N> {
    fn rows(&self) -> usize {
        self.parts.first().map_or(0, Part::rows)
    }

    /// Beside the buffers of its rows.
    fn bytes_beside(&self) -> usize {
        self.origin.as_ref().map_or(0, RowOrigin::held_bytes) + size_of::<((RowId, usize), Held<N>)>()
    }
}

/// Rows that leave batch by batch, and the memory of those that are still there.
pub(super) struct Leaving {
    rows: usize,
    row_bytes: usize,
}

impl Leaving {
    fn of(rows: usize, bytes: usize) -> Self {
        Leaving { rows, row_bytes: bytes / rows.max(1) }
    }

    /// What is left without so many more.
    pub(super) fn bytes_without(&mut self, rows: usize) -> usize {
        self.rows = self.rows.saturating_sub(rows);
        self.rows * self.row_bytes
    }
}

/// All rows in order.
pub(super) enum Ordered<const N: usize> {
    /// In the batches in which they came, whose memory is that of the reservation.
    AsTheyCame(Vec<[Part; N]>, Leaving, Reservation),
    /// Sorted, all columns side by side.
    Sorted(StoredRows, Reservation),
}

impl<const N: usize> InOrder<N> {
    /// Of no rows. `identified` says whether it is to be known which rows there are; `purpose` names the holder in messages.
    pub(super) fn new(schemas: &[SchemaRef; N], identified: bool, room: &Room, purpose: &'static str) -> Result<Self> {
        let fields: Vec<FieldRef> = schemas.iter().flat_map(|schema| schema.fields()).cloned().collect();
        Ok(InOrder {
            joined: Arc::new(Schema::new(fields)),
            identified,
            batches: BTreeMap::new(),
            rows: 0,
            buffers: HeldBuffers::default(),
            beside_bytes: 0,
            sorted: None,
            spilled: false,
            file: Arc::new(room.spill.file()),
            room: room.clone(),
            reservation: room.reservation(purpose)?,
            purpose,
        })
    }

    /// Bytes of rows in memory.
    pub(super) fn bytes_in_memory(&self) -> usize {
        self.buffers.bytes()
    }

    /// Rows held, batch by batch, and which they are, if that is known.
    pub(super) fn batches(&self) -> impl Iterator<Item = (usize, Option<&RowOrigin>)> {
        self.batches.values().map(|held| (held.rows(), held.origin.as_ref()))
    }

    /// Takes rows, one at least, without asking for memory.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn hold(&mut self, records: [RecordBatch; N], first: RowId, origin: &RowOrigin) -> Result<()> {
        if let Some(sorted) = &mut self.sorted {
            return sorted.absorb(side_by_side(&self.joined, first, records)?);
        }
        let origin = self.identified.then(|| origin.clone());
        self.insert(first, Held { parts: records.map(Part::Memory), origin });
        Ok(())
    }

    fn insert(&mut self, first: RowId, held: Held<N>) {
        self.rows += held.rows();
        for part in &held.parts {
            match part {
                Part::Memory(batch) => self.buffers.add(batch),
                _ => self.spilled = true,
            }
        }
        self.beside_bytes += held.bytes_beside();
        let number = self.batches.range((first, 0)..=(first, usize::MAX)).count();
        self.batches.insert((first, number), held);
    }

    /// Drops the last batch if the ones before it hold `enough` rows; whether it was dropped.
    pub(super) fn drop_last_beyond(&mut self, enough: usize) -> bool {
        let Some(last) = self.batches.last_entry() else { return false };
        let rows = last.get().rows();
        if self.rows - rows < enough {
            return false;
        }
        self.rows -= rows;
        self.beside_bytes -= last.get().bytes_beside();
        last.remove();
        true
    }

    /// Counts anew what the batches in memory take, when some have been dropped.
    pub(super) fn count_anew(&mut self) {
        self.buffers.clear();
        for part in self.batches.values().flat_map(|held| &held.parts) {
            if let Part::Memory(batch) = part {
                self.buffers.add(batch);
            }
        }
    }

    /// Asks for the memory of the rows as they are now; without it, they go to disk.
    ///
    /// # Errors
    /// Those of the disk; `Limit` where not even what is known of identified batches has room.
    pub(super) fn settle(&mut self) -> Result<()> {
        if self.sorted.is_some() {
            return Ok(());
        }
        if self.reservation.resize(self.bytes()).is_err() { self.spill() } else { Ok(()) }
    }

    fn is_of_short_batches(&self) -> bool {
        !self.identified && self.buffers.bytes() / self.batches.len().max(1) < SHORT_BYTES
    }

    /// Puts short batches together: hands all rows on to be sorted.
    fn sort(&mut self) -> Result<()> {
        let schema = Arc::clone(&self.joined);
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let wanted = Wanted { limit: None, width: types.len(), copies: true };
        let nothing = || self.room.budget.reservation(self.purpose);
        let mut own = std::mem::replace(&mut self.reservation, nothing());
        let mut sorted = SortSink::new(schema, &types, Vec::new(), wanted, &self.room, nothing())?;
        self.buffers.clear();
        self.beside_bytes = 0;
        // What it has from the beginning goes with the first rows, or each of them would be a run.
        sorted.take_reservation(own.part(usize::MAX));
        let mut left = Leaving::of(self.rows, own.bytes());
        for ((first, _), held) in std::mem::take(&mut self.batches) {
            own.resize(left.bytes_without(held.rows()))?;
            let mut records = Vec::with_capacity(N);
            for part in &held.parts {
                records.push(part.load()?);
            }
            sorted.absorb(side_by_side(&self.joined, first, records)?)?;
        }
        sorted.take_reservation(own);
        self.sorted = Some(sorted);
        Ok(())
    }

    /// Writes all rows that are in memory to disk, or begins to put them together.
    ///
    /// # Errors
    /// As [`InOrder::settle`].
    pub(super) fn spill(&mut self) -> Result<()> {
        if !self.spilled && !self.batches.is_empty() && self.is_of_short_batches() {
            return self.sort();
        }
        for part in self.batches.values_mut().flat_map(|held| &mut held.parts) {
            if let Part::Memory(batch) = part
                && batch.num_columns() > 0
            {
                *part = Part::Spilled(Arc::clone(&self.file), self.file.append(batch)?);
            }
        }
        self.spilled |= !self.batches.is_empty();
        self.buffers.clear();
        match self.reservation.resize(self.bytes()) {
            // Not even what is known of each batch has room.
            Err(refusal) if refusal.kind() == ErrorKind::Limit && !self.identified => self.sort(),
            settled => settled,
        }
    }

    /// Lets go of memory beyond what it has from the beginning.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn relieve(&mut self) -> Result<()> {
        if self.sorted.is_none() {
            if self.reservation.keeps(self.bytes()) {
                return self.reservation.resize(0);
            }
            self.spill()?;
        }
        self.sorted.as_mut().map_or(Ok(()), SortSink::relieve)
    }

    /// Bytes of memory that all batches take.
    fn bytes(&self) -> usize {
        self.buffers.bytes() + self.beside_bytes
    }

    /// Takes all that another holds, without asking for memory.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn join(&mut self, mut other: Self) -> Result<()> {
        if self.sorted.is_none() && other.sorted.is_none() {
            self.reservation.absorb(other.reservation);
            other.batches.into_iter().for_each(|((first, _), held)| self.insert(first, held));
            return Ok(());
        }
        for rows in [&mut *self, &mut other] {
            if rows.sorted.is_none() {
                rows.sort()?;
            }
        }
        match (&mut self.sorted, other.sorted) {
            (Some(sorted), Some(others)) => sorted.join(Box::new(others)),
            _ => Ok(()),
        }
    }

    /// Hands all rows over, with their identities in three more columns: those in the batches in which they came as part 0,
    /// those that have been put together as part 1.
    ///
    /// # Errors
    /// Those of the disk and of `out`.
    pub(super) fn export(self, out: Handed<'_>) -> Result<()> {
        if let Some(sorted) = self.sorted {
            return Box::new(sorted).export(&mut |_, records| out(SORTED_PART, records));
        }
        for ((first, _), held) in self.batches {
            let (mut columns, rows) = (Vec::new(), held.rows());
            for part in &held.parts {
                columns.extend_from_slice(part.load()?.columns());
            }
            let origin = held.origin.unwrap_or_else(|| RowOrigin::copies_of(first, rows));
            columns.extend(Identities::columns(&origin, rows, true));
            out(HELD_PART, of_columns(columns, rows)?)?;
        }
        Ok(())
    }

    /// Takes what rows of the same kind in another process have handed over. Nothing stands between them.
    ///
    /// # Errors
    /// As [`InOrder::settle`]; `Internal` for other columns.
    pub(super) fn import(&mut self, part: u32, records: RecordBatch, schemas: &[SchemaRef; N]) -> Result<()> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        if part == SORTED_PART {
            if self.sorted.is_none() {
                self.sort()?;
            }
            return self.sorted.as_mut().map_or(Ok(()), |sorted| sorted.import(0, records));
        }
        let (rows, width) = (records.num_rows(), self.joined.fields().len());
        let identities = Identities::of(&records, width)?;
        let mut columns = records.columns().iter();
        let mut parts = Vec::with_capacity(N);
        for schema in schemas {
            let own = columns.by_ref().take(schema.fields().len()).cloned().collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            parts.push(RecordBatch::try_new_with_options(Arc::clone(schema), own, &options)?);
        }
        let parts = parts.try_into().map_err(|_| Error::internal("rows in another number of parts"))?;
        self.hold(parts, identities.get(0), &identities.origin())
    }

    /// All rows in order.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn finish(self) -> Result<Ordered<N>> {
        if let Some(sorted) = self.sorted {
            return Ok(Ordered::Sorted(Box::new(sorted).finish()?.rows, self.reservation));
        }
        let leaving = Leaving::of(self.rows, self.reservation.bytes());
        let batches = self.batches.into_values().map(|held| held.parts).collect();
        Ok(Ordered::AsTheyCame(batches, leaving, self.reservation))
    }
}

/// The columns of all parts of a batch, and identities that order its rows as they are.
fn side_by_side(joined: &SchemaRef, first: RowId, records: impl IntoIterator<Item = RecordBatch>) -> Result<Batch> {
    let (mut columns, mut rows) = (Vec::new(), 0);
    for part in records {
        rows = part.num_rows();
        columns.extend_from_slice(part.columns());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let records = RecordBatch::try_new_with_options(Arc::clone(joined), columns, &options)?;
    Ok(Batch { records, origin: RowOrigin::copies_of(first, rows) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::parallel::Hands;
    use crate::memory::{Budget, Spill};
    use crate::source::CancelToken;
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    const FLOOR_BYTES: usize = 32 << 10;

    fn batch(first: i64, rows: i64) -> [RecordBatch; 2] {
        let column = |factor: i64| -> ArrayRef {
            Arc::new((first..first + rows).map(|value| value * factor).collect::<Int64Array>())
        };
        [("k", 1), ("v", 10)].map(|(name, factor)| RecordBatch::try_from_iter([(name, column(factor))]).unwrap())
    }

    /// Two workers that take every other batch of so many rows where others hold all memory; all rows, and what was written.
    fn in_two_hands(batches: i64, rows: i64) -> (Vec<i64>, u64) {
        let (budget, spill) = (Budget::new(4 << 20), Spill::default());
        let hands = Hands { workers: 2, cancel: CancelToken::new() };
        let room = Room { budget: budget.clone(), spill: spill.clone(), floor_bytes: FLOOR_BYTES, hands };
        let schemas = batch(0, 1).map(|batch| batch.schema());
        let new = || InOrder::new(&schemas, false, &room, "test").unwrap();
        let mut workers = [new(), new()];
        let mut others = budget.reservation("others");
        others.resize(budget.free_bytes()).unwrap();
        for at in 0..batches {
            let first = RowId::new(0, (at * rows) as u64);
            let worker = &mut workers[(at % 2) as usize];
            worker.hold(batch(at * rows, rows), first, &RowOrigin::consecutive(first.position)).unwrap();
            worker.settle().unwrap();
            if at % 50 == 0 {
                worker.relieve().unwrap();
            }
        }
        let [mut all, other] = workers;
        all.join(other).unwrap();
        all.settle().unwrap();
        let written = spill.written_bytes();
        // The sinks of others have been finished.
        drop(others);
        let mut found = Vec::new();
        let mut take = |key: &RecordBatch, value: &RecordBatch, at: usize| {
            let [keys, values] = [key.column(0), value.column(at)].map(|column| column.as_primitive::<Int64Type>());
            assert!(keys.values().iter().zip(values.values()).all(|(key, value)| key * 10 == *value));
            found.extend_from_slice(keys.values());
        };
        match all.finish().unwrap() {
            Ordered::AsTheyCame(blocks, ..) => {
                blocks.iter().for_each(|[key, value]| take(&key.load().unwrap(), &value.load().unwrap(), 0));
            }
            Ordered::Sorted(rows, _) => {
                rows.batches().map(Result::unwrap).for_each(|batch| take(&batch, &batch, 1));
            }
        }
        assert_eq!(budget.held_bytes(), 0);
        (found, written)
    }

    #[test]
    fn short_batches_are_put_together_before_they_are_written_and_long_ones_go_as_they_are() {
        for (batches, rows) in [(8000, 1), (2000, 7), (40, 4000)] {
            let (found, written) = in_two_hands(batches, rows);
            assert!(found == (0..batches * rows).collect::<Vec<_>>(), "{batches} batches of {rows} rows");
            // Twice the values and identities; a block of one row would take a KiB.
            let most = batches * rows * 2 * (2 * 8 + 16) + 40_000;
            assert!(written > 0 && written < most as u64, "{written} bytes for {batches} batches of {rows} rows");
        }
    }
}
