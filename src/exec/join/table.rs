//! The right rows of a join in memory, by key.

use super::keys::{as_keys, complete};
use crate::error::{Error, Result};
use crate::exec::options::RunOptions;
use crate::groupby::{ABSENT, GroupKeys, keys_for};
use crate::memory::{Budget, Reservation, StoredRows};
use crate::plan::JoinKind;
use crate::types::ColumnType;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter};
use arrow::datatypes::SchemaRef;
use std::fmt;
use std::sync::Arc;

/// Rows numbered at once.
const CHUNK_ROWS: usize = 1 << 16;
/// The share of the limit that tables leave to others.
const LEFT_TO_OTHERS: usize = 4;

/// The right rows, in one piece once a table has been made of them.
pub(super) enum TableRows {
    Stored(StoredRows),
    Whole(RecordBatch, Arc<Reservation>),
}

impl TableRows {
    pub(super) fn new(rows: StoredRows) -> Self {
        TableRows::Stored(rows)
    }

    /// The rows, for a join that goes through them in another order.
    pub(super) fn stored(&self) -> StoredRows {
        match self {
            TableRows::Stored(rows) => rows.clone(),
            TableRows::Whole(batch, held) => StoredRows::of_batch(batch.clone(), Arc::clone(held)),
        }
    }

    /// All rows in one batch; `None` where they do not fit.
    fn whole(&mut self, schema: &SchemaRef, budget: &Budget) -> Result<Option<(RecordBatch, Arc<Reservation>)>> {
        if let TableRows::Stored(rows) = self {
            if !rows.is_in_memory() || rows.rows() >= ABSENT as usize {
                return Ok(None);
            }
            let mut held = budget.reservation("joining");
            let bytes = rows.parts().iter().map(|part| part.held_bytes()).sum();
            if !room_for(&mut held, bytes, budget) {
                return Ok(None);
            }
            let batches = rows.batches().collect::<Result<Vec<_>>>()?;
            *self = TableRows::Whole(concat_batches(schema, &batches)?, Arc::new(held));
        }
        match self {
            TableRows::Whole(batch, held) => Ok(Some((batch.clone(), Arc::clone(held)))),
            TableRows::Stored(_) => Ok(None),
        }
    }
}

/// Makes a reservation so large, if enough is left for those that must have some.
fn room_for(held: &mut Reservation, bytes: usize, budget: &Budget) -> bool {
    let others = budget.limit_bytes() / LEFT_TO_OTHERS;
    held.resize(bytes.saturating_add(others)).is_ok() && held.resize(bytes).is_ok()
}

/// Right rows by key. Rows of which a key is null are in no list.
pub(super) struct Table {
    pub(super) records: RecordBatch,
    /// `None` without keys: then every row matches.
    index: Option<Box<dyn GroupKeys>>,
    /// The rows of each key, one key after the other, in the order of the table.
    rows: Vec<u32>,
    /// Where the rows of each key begin in `rows`; `None` when each has one.
    starts: Option<Vec<u32>>,
    /// The most rows of a key.
    most: usize,
    _held: (Arc<Reservation>, Reservation),
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("rows", &self.records.num_rows()).finish_non_exhaustive()
    }
}

impl Table {
    /// The table of these rows by the columns `keys`, compared as `domains`; `None` where it does not fit in memory.
    pub(super) fn build(
        rows: &mut TableRows,
        schema: &SchemaRef,
        keys: &[usize],
        domains: &[ColumnType],
        options: &RunOptions,
    ) -> Result<Option<Self>> {
        let budget = &options.budget;
        let Some((records, of_rows)) = rows.whole(schema, budget)? else { return Ok(None) };
        let mut held = budget.reservation("joining");
        if keys.is_empty() {
            let rows: Vec<u32> = (0..records.num_rows() as u32).collect();
            let most = rows.len();
            return Ok(Some(Table { records, index: None, rows, starts: None, most, _held: (of_rows, held) }));
        }
        let types: Vec<_> = domains.iter().map(|domain| domain.arrow()).collect();
        let mut index = keys_for(&types)?;
        // The key and the row of each row that has a key.
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        let mut chunk_ids = Vec::new();
        for start in (0..records.num_rows()).step_by(CHUNK_ROWS) {
            if options.cancel.is_cancelled() {
                return Err(Error::new(crate::error::ErrorKind::Cancelled, "the run was cancelled"));
            }
            let chunk = records.slice(start, CHUNK_ROWS.min(records.num_rows() - start));
            let columns = keys.iter().zip(domains).map(|(key, domain)| as_keys(chunk.column(*key), *domain));
            let mut columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
            let row = |row: usize| (start + row) as u32;
            match complete(&columns) {
                None => numbers.extend((0..chunk.num_rows()).map(row)),
                Some(valid) => {
                    let mask = BooleanArray::new(valid.inner().clone(), None);
                    columns = columns.iter().map(|column| Ok(filter(column, &mask)?)).collect::<Result<_>>()?;
                    numbers.extend(valid.valid_indices().map(row));
                }
            }
            index.intern(&columns, &mut chunk_ids)?;
            ids.extend_from_slice(&chunk_ids);
            let lists = 4 * ids.capacity().max(numbers.capacity()) * size_of::<u32>();
            if !room_for(&mut held, index.bytes_held() + lists, budget) {
                return Ok(None);
            }
        }
        let (rows, starts, most) = lists(&ids, numbers, index.len());
        let lists = (rows.capacity() + starts.as_ref().map_or(0, Vec::capacity)) * size_of::<u32>();
        held.resize(index.bytes_held() + lists)?;
        Ok(Some(Table { records, index: Some(index), rows, starts, most, _held: (of_rows, held) }))
    }

    /// The key of each row, [`ABSENT`] where the table has none like it.
    pub(super) fn find(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        match &self.index {
            Some(index) => index.find(keys, &mut ids)?,
            None => ids.resize(rows, if self.rows.is_empty() { ABSENT } else { 0 }),
        }
        Ok(ids)
    }

    /// The one row of a key, where no key has several.
    #[inline(always)]
    pub(super) fn only_row(&self, id: u32) -> u32 {
        self.rows[id as usize]
    }

    /// The rows of a key.
    pub(super) fn rows_of(&self, id: u32) -> &[u32] {
        let id = id as usize;
        match (&self.starts, &self.index) {
            (_, None) => &self.rows,
            (None, _) => &self.rows[id..=id],
            (Some(starts), _) => &self.rows[starts[id] as usize..starts[id + 1] as usize],
        }
    }

    /// How many rows a join of this kind makes of one.
    pub(super) fn copies(&self, kind: JoinKind) -> usize {
        if super::multiplies(kind) { self.most.max(1) } else { 1 }
    }
}

/// The rows of each of so many keys, where they begin, and the most that one has.
fn lists(ids: &[u32], numbers: Vec<u32>, keys: usize) -> (Vec<u32>, Option<Vec<u32>>, usize) {
    if ids.len() == keys {
        // Keys are numbered as they appear.
        return (numbers, None, 1.min(keys));
    }
    let mut starts = vec![0_u32; keys + 1];
    ids.iter().for_each(|id| starts[*id as usize + 1] += 1);
    let most = starts.iter().copied().max().unwrap_or(0) as usize;
    for key in 0..keys {
        starts[key + 1] += starts[key];
    }
    let mut next = starts.clone();
    let mut rows = vec![0; numbers.len()];
    for (id, row) in ids.iter().zip(numbers) {
        let place = &mut next[*id as usize];
        rows[*place as usize] = row;
        *place += 1;
    }
    (rows, Some(starts), most)
}
