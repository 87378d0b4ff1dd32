//! The right rows of a join in memory, by key.

use super::keys::{as_keys, complete};
use crate::error::{Error, ErrorKind, Result};
use crate::groupby::{ABSENT, GroupKeys, keys_for};
use crate::memory::{Budget, Part, Reservation, StoredRows, compact, held_bytes};
use crate::plan::{JoinKind, JoinShape};
use crate::source::CancelToken;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter};
use arrow::datatypes::SchemaRef;
use std::fmt;

/// Rows numbered at once.
const CHUNK_ROWS: usize = 1 << 16;
/// The share of the limit that all tables of a run may have. Results may have half of it, and each sink of a pass has its
/// own from the last quarter.
const SHARE: usize = 4;

/// The memory of all tables of a run. They live as long as it does.
pub(in crate::exec) struct TableRoom {
    held: Reservation,
    most_bytes: usize,
}

impl TableRoom {
    pub(in crate::exec) fn new(budget: &Budget) -> Self {
        TableRoom { held: budget.reservation("joining"), most_bytes: budget.limit_bytes() / SHARE }
    }

    /// Holds so much, if there is room for it.
    fn resize(&mut self, bytes: usize) -> bool {
        bytes <= self.most_bytes && self.held.resize(bytes).is_ok()
    }
}

/// The right rows, in one piece once a table has been made of them.
pub(super) enum TableRows {
    Stored(StoredRows),
    Whole(RecordBatch),
}

impl TableRows {
    pub(super) fn new(rows: StoredRows) -> Self {
        TableRows::Stored(rows)
    }

    /// The rows, for a join that goes through them in another order.
    pub(super) fn stored(&self) -> StoredRows {
        match self {
            TableRows::Stored(rows) => rows.clone(),
            TableRows::Whole(batch) => vec![batch.clone()].into(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            TableRows::Stored(rows) => rows.parts().iter().map(bytes_in_memory).sum(),
            TableRows::Whole(_) => 0,
        }
    }

    /// All rows in one batch.
    fn whole(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let whole = match self {
            TableRows::Whole(batch) => return Ok(batch.clone()),
            TableRows::Stored(rows) => compact(&concat_batches(schema, &rows.batches().collect::<Result<Vec<_>>>()?)?)?,
        };
        *self = TableRows::Whole(whole.clone());
        Ok(whole)
    }
}

/// What a part takes once it is in memory.
fn bytes_in_memory(part: &Part) -> usize {
    match part {
        Part::Memory(batch) => held_bytes(batch),
        spilled => spilled.loaded_bytes(),
    }
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
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("rows", &self.records.num_rows()).finish_non_exhaustive()
    }
}

impl Table {
    /// The table of these rows by the columns `keys`, compared as `domains`; `None` where it does not fit in memory, or a
    /// key has more than `most_rows`.
    pub(super) fn build(
        rows: &mut TableRows,
        schema: &SchemaRef,
        shape: &JoinShape,
        most_rows: usize,
        room: &mut TableRoom,
        cancel: &CancelToken,
    ) -> Result<Option<Self>> {
        let stored = rows.stored();
        if !stored.is_in_memory() || stored.rows() >= ABSENT as usize {
            return Ok(None);
        }
        let before = room.held.bytes();
        let lists = if shape.domains.is_empty() {
            Some(Lists { index: None, rows: (0..stored.rows() as u32).collect(), starts: None, most: stored.rows() })
        } else {
            Lists::build(&stored, shape, room, cancel)?
        };
        drop(stored);
        let fitting =
            lists.filter(|lists| lists.most <= most_rows && room.resize(before + lists.bytes() + rows.bytes()));
        let Some(Lists { index, rows: by_key, starts, most }) = fitting else {
            room.held.resize(before)?;
            return Ok(None);
        };
        Ok(Some(Table { records: rows.whole(schema)?, index, rows: by_key, starts, most }))
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

/// The rows of each key.
struct Lists {
    index: Option<Box<dyn GroupKeys>>,
    rows: Vec<u32>,
    starts: Option<Vec<u32>>,
    most: usize,
}

impl Lists {
    /// `None` where they do not fit.
    fn build(
        stored: &StoredRows,
        shape: &JoinShape,
        room: &mut TableRoom,
        cancel: &CancelToken,
    ) -> Result<Option<Self>> {
        let before = room.held.bytes();
        let types: Vec<_> = shape.domains.iter().map(|domain| domain.arrow()).collect();
        let mut index = keys_for(&types)?;
        // The key and the row of each row that has a key.
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        let (mut chunk_ids, mut start) = (Vec::new(), 0);
        for chunk in stored.cut(CHUNK_ROWS).batches() {
            if cancel.is_cancelled() {
                return Err(Error::new(ErrorKind::Cancelled, "the run was cancelled"));
            }
            let chunk = chunk?;
            let keys = shape.right_keys.iter().zip(&shape.domains);
            let columns = keys.map(|(key, domain)| as_keys(chunk.column(*key), *domain));
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
            start += chunk.num_rows();
            // Those by row and those by key.
            let lists = (2 * ids.capacity() + 2 * numbers.capacity()) * size_of::<u32>();
            if !room.resize(before + index.bytes_held() + lists) {
                return Ok(None);
            }
        }
        let (rows, starts, most) = by_key(&ids, numbers, index.len());
        Ok(Some(Lists { index: Some(index), rows, starts, most }))
    }

    fn bytes(&self) -> usize {
        let lists = self.rows.capacity() + self.starts.as_ref().map_or(0, Vec::capacity);
        self.index.as_ref().map_or(0, |index| index.bytes_held()) + lists * size_of::<u32>()
    }
}

/// The rows of each of so many keys, where they begin, and the most that one has.
fn by_key(ids: &[u32], numbers: Vec<u32>, keys: usize) -> (Vec<u32>, Option<Vec<u32>>, usize) {
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
