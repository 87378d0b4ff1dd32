//! The right rows of a join in memory, by key.

use super::keys::{as_keys, complete};
use crate::error::Result;
use crate::groupby::{ABSENT, GroupKeys, keys_for};
use crate::memory::{Budget, Part, Reservation, Spill, StoredRows, compact, held_bytes};
use crate::plan::{JoinShape, MOST_COPIES, TABLE_SHARE};
use crate::source::CancelToken;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter};
use arrow::datatypes::SchemaRef;
use std::fmt;
use std::ops::Range;

/// Rows numbered at once.
const CHUNK_ROWS: usize = 1 << 16;

/// The memory of all tables of a run. They live as long as it does.
pub(in crate::exec) struct TableRoom {
    pub(super) held: Reservation,
    pub(super) most_bytes: usize,
    /// What must be free beside rows that wait to be joined.
    pub(in crate::exec) least_free_bytes: usize,
    /// No more rows may be made of one.
    pub(in crate::exec) most_copies: usize,
}

impl TableRoom {
    pub(in crate::exec) fn new(budget: &Budget) -> Self {
        TableRoom::of(budget.reservation("joining"))
    }

    pub(super) fn of(held: Reservation) -> Self {
        let most_bytes = held.limit_bytes() / TABLE_SHARE;
        TableRoom { held, most_bytes, least_free_bytes: 0, most_copies: MOST_COPIES }
    }

    /// Whether too little is free, if tables come to take all that they may.
    pub(super) fn is_scarce(&self) -> bool {
        let to_come = self.most_bytes.saturating_sub(self.held.bytes());
        self.held.budget().free_bytes() < self.least_free_bytes.saturating_add(to_come)
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

    /// Lets go of the memory of rows that are in no table.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn put_on_disk(&mut self, spill: &Spill) -> Result<()> {
        if let TableRows::Stored(rows) = self {
            *rows = std::mem::take(rows).on_disk(spill)?;
        }
        Ok(())
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
pub(in crate::exec) struct Table {
    pub(in crate::exec) records: RecordBatch,
    /// `None` without keys: then every row matches.
    index: Option<Box<dyn GroupKeys>>,
    lists: Lists,
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
        let on_disk = stored.parts().iter().any(|part| matches!(part, Part::Spilled(..)));
        if on_disk || rows.bytes() > room.most_bytes || stored.rows() >= ABSENT as usize {
            return Ok(None);
        }
        let before = room.held.bytes();
        let mut numbering = Numbering::new(shape)?;
        for chunk in stored.cut(CHUNK_ROWS).batches() {
            cancel.check()?;
            numbering.add(&chunk?, shape)?;
            if !room.resize(before + numbering.bytes()) {
                room.held.resize(before)?;
                return Ok(None);
            }
        }
        let (index, lists) = numbering.finish();
        let bytes = index.as_ref().map_or(0, |index| index.bytes_held()) + lists.bytes();
        if lists.most() > most_rows || !room.resize(before + bytes + rows.bytes()) {
            room.held.resize(before)?;
            return Ok(None);
        }
        Ok(Some(Table { records: rows.whole(schema)?, index, lists }))
    }

    /// The table of rows whose keys have been numbered.
    pub(super) fn of(records: RecordBatch, numbering: Numbering) -> Self {
        let (index, lists) = numbering.finish();
        Table { records, index, lists }
    }

    /// Bytes beside the rows.
    pub(super) fn index_bytes(&self) -> usize {
        self.index.as_ref().map_or(0, |index| index.bytes_held()) + self.lists.bytes()
    }

    /// The key of each row, [`ABSENT`] where the table has none like it.
    pub(in crate::exec) fn find(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        match &self.index {
            Some(index) => index.find(keys, &mut ids)?,
            None => ids.resize(rows, if self.records.num_rows() == 0 { ABSENT } else { 0 }),
        }
        // Several keys are looked up one by one, and what stands for a null may be among them.
        if let Some(valid) = complete(keys) {
            (!valid.inner()).set_indices().for_each(|row| ids[row] = ABSENT);
        }
        Ok(ids)
    }

    /// The one row of a key, where no key has several.
    #[inline(always)]
    pub(super) fn only_row(&self, id: u32) -> u32 {
        match &self.lists {
            Lists::One(rows) => rows[id as usize],
            _ => id,
        }
    }

    /// Where the rows of a key stand among these, or, if there are none, which they are.
    #[inline]
    fn places(&self, id: u32) -> (&[u32], Range<u32>) {
        let at = id as usize;
        match &self.lists {
            Lists::Same(_) => (&[], id..id + 1),
            Lists::All(rows) => (&[], 0..*rows),
            Lists::One(rows) => (rows, id..id + 1),
            Lists::Several { rows, starts, .. } => (rows, starts[at]..starts[at + 1]),
        }
    }

    /// The rows of a key.
    #[inline]
    pub(in crate::exec) fn rows_of(&self, id: u32) -> impl ExactSizeIterator<Item = u32> + '_ {
        let (rows, range) = self.places(id);
        range.map(move |at| rows.get(at as usize).copied().unwrap_or(at))
    }

    /// Some rows of a key: at most `most`, without the first `from`.
    pub(in crate::exec) fn some_rows_of(&self, id: u32, from: usize, most: usize) -> impl Iterator<Item = u32> + '_ {
        let (from, most) = (from as u32, u32::try_from(most).unwrap_or(u32::MAX));
        let (rows, range) = self.places(id);
        let start = range.start.saturating_add(from).min(range.end);
        let end = start.saturating_add(most).min(range.end);
        (start..end).map(move |at| rows.get(at as usize).copied().unwrap_or(at))
    }

    /// How many keys there are.
    pub(in crate::exec) fn keys(&self) -> usize {
        self.index.as_ref().map_or(1, |index| index.len())
    }

    /// How many rows a join makes of one that shows all pairs, or that does not.
    pub(super) fn copies(&self, of_pairs: bool) -> usize {
        if of_pairs { self.lists.most().max(1) } else { 1 }
    }
}

/// The rows of each key, in the order of the table.
enum Lists {
    /// So many keys of one row each, which has the number of its key.
    Same(usize),
    /// No keys: all of so many rows.
    All(u32),
    /// Each key has one row.
    One(Vec<u32>),
    /// One key after the other; where the rows of each begin, and the most that one has.
    Several { rows: Vec<u32>, starts: Vec<u32>, most: usize },
}

impl Lists {
    /// The most rows of a key.
    fn most(&self) -> usize {
        match self {
            Lists::Same(keys) => 1.min(*keys),
            Lists::All(rows) => *rows as usize,
            Lists::One(rows) => 1.min(rows.len()),
            Lists::Several { most, .. } => *most,
        }
    }

    fn bytes(&self) -> usize {
        let entries = match self {
            Lists::Same(_) | Lists::All(_) => 0,
            Lists::One(rows) => rows.capacity(),
            Lists::Several { rows, starts, .. } => rows.capacity() + starts.capacity(),
        };
        entries * size_of::<u32>()
    }
}

/// Numbers the keys of rows.
pub(super) struct Numbering {
    /// `None` without keys.
    index: Option<Box<dyn GroupKeys>>,
    /// The key and the row of each row that has a key; nothing while every row has one that no row before it has.
    listed: Option<(Vec<u32>, Vec<u32>)>,
    rows: usize,
    /// Scratch.
    ids: Vec<u32>,
}

impl Numbering {
    pub(super) fn new(shape: &JoinShape) -> Result<Self> {
        let types: Vec<_> = shape.domains.iter().map(|domain| domain.arrow()).collect();
        let index = if types.is_empty() { None } else { Some(keys_for(&types)?) };
        Ok(Numbering { index, listed: None, rows: 0, ids: Vec::new() })
    }

    /// Takes the next rows.
    pub(super) fn add(&mut self, records: &RecordBatch, shape: &JoinShape) -> Result<()> {
        let start = self.rows;
        self.rows += records.num_rows();
        let Some(index) = &mut self.index else { return Ok(()) };
        let keys = shape.right_keys.iter().zip(&shape.domains);
        let columns = keys.map(|(key, domain)| as_keys(records.column(*key), *domain));
        let mut columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let valid = complete(&columns);
        if let Some(valid) = &valid {
            let mask = BooleanArray::new(valid.inner().clone(), None);
            columns = columns.iter().map(|column| Ok(filter(column, &mask)?)).collect::<Result<_>>()?;
        }
        index.intern(&columns, &mut self.ids)?;
        // Keys are numbered as they appear.
        if self.listed.is_none() && valid.is_none() && index.len() == self.rows {
            return Ok(());
        }
        let (ids, rows) = self.listed.get_or_insert_with(|| {
            let before: Vec<u32> = (0..start as u32).collect();
            (before.clone(), before)
        });
        ids.extend_from_slice(&self.ids);
        let row = |row: usize| (start + row) as u32;
        match &valid {
            None => rows.extend((0..records.num_rows()).map(row)),
            Some(valid) => rows.extend(valid.valid_indices().map(row)),
        }
        Ok(())
    }

    /// Bytes held, and those that lists by key take beside those by row.
    fn bytes(&self) -> usize {
        let lists = self.listed.as_ref().map_or(0, |(ids, rows)| 2 * ids.capacity() + 2 * rows.capacity());
        self.index.as_ref().map_or(0, |index| index.bytes_held()) + (lists + self.ids.capacity()) * size_of::<u32>()
    }

    fn finish(self) -> (Option<Box<dyn GroupKeys>>, Lists) {
        let Numbering { index, listed, rows, .. } = self;
        let lists = match (&index, listed) {
            (None, _) => Lists::All(rows as u32),
            (Some(index), None) => Lists::Same(index.len()),
            (Some(index), Some((ids, rows))) => by_key(&ids, rows, index.len()),
        };
        (index, lists)
    }
}

/// The rows of each of so many keys.
fn by_key(ids: &[u32], numbers: Vec<u32>, keys: usize) -> Lists {
    if ids.len() == keys {
        return Lists::One(numbers);
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
    Lists::Several { rows, starts, most }
}
