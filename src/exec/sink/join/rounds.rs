//! Left keys against one table of right rows after the other.

mod holding;

use super::assembly::Assembly;
use super::left::{Block, block_bytes};
use super::pairs::{Matches, PairsToMake, Piece};
use crate::error::Result;
use crate::exec::join::{Table, Tables, rows_bytes};
use crate::exec::sink::Room;
use crate::groupby::ABSENT;
use crate::memory::{Part, Reservation, RowStore};
use crate::plan::{JoinKind, JoinSide};
use arrow::array::{BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use holding::Asked;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the left rows of a block come to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of each round that found any, pairs: the left row, and columns of the right one. Left rows ascend.
    pub(super) rounds: Vec<Vec<Piece>>,
    /// How many pairs.
    pub(super) pairs: usize,
    /// Which left rows have a match, where that is asked for.
    pub(super) matched: Option<BooleanBuffer>,
}

/// What one round finds for a block.
struct Pairs {
    pieces: Vec<Piece>,
    matched: Option<BooleanBuffer>,
}

pub(super) struct Rounds<'a> {
    side: &'a JoinSide,
    assembly: &'a Assembly,
    blocks: &'a [Block],
    store: &'a RowStore,
    room: &'a Room,
    found: Vec<Found>,
    /// For the entries of what was found.
    entries: Reservation,
    /// So many blocks are enough for the rows that are wanted.
    enough: AtomicUsize,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(
        side: &'a JoinSide,
        assembly: &'a Assembly,
        blocks: &'a [Block],
        store: &'a RowStore,
        room: &'a Room,
    ) -> Self {
        let found = blocks.iter().map(|_| Found::default()).collect();
        let (entries, enough) = (room.budget.reservation("joining"), AtomicUsize::new(blocks.len()));
        Rounds { side, assembly, blocks, store, room, found, entries, enough }
    }

    /// What each block comes to, as far as they are wanted, rows of the result for right rows without a match, if these are
    /// wanted, and what keeps the memory of the former on the account. Tables take what `held` can grow to.
    ///
    /// # Errors
    /// `Limit` without room for a table of a few rows, those of the disk, and `Cancelled`.
    pub(super) fn run(mut self, held: Reservation) -> Result<(Vec<Found>, Vec<Part>, Reservation)> {
        let (hands, mut rest) = (&self.room.hands, Vec::new());
        let JoinSide { shape, right, right_schema, .. } = self.side;
        let mut tables = Tables::new(right, Arc::clone(right_schema), shape, held);
        let mut is_first = true;
        while let Some(table) = tables.next(&hands.cancel)? {
            let kept =
                if is_first { tables.keep_only(&table, self.room.budget.reservation_of_results())? } else { None };
            let table = Arc::new(Matches::new(table, kept, self.assembly.of_pairs()));
            is_first = false;
            let marked = if shape.residual.is_some() { table.records.num_rows() } else { table.keys() };
            let marks = Marks::new(if shape.kind.keeps_right() { marked } else { 0 });
            let rows = self.rows_at_once(&table.records);
            let blocks = self.enough.load(Ordering::Relaxed);
            let mut found = std::mem::take(&mut self.found);
            let mut entries = std::mem::replace(&mut self.entries, self.room.budget.reservation("joining"));
            let (mut at, mut before) = (0, 0);
            hands.in_order(
                blocks,
                |block| self.look_up(block, &table, &marks, rows),
                |pairs: Pairs| {
                    entries.resize(entries.bytes() + pairs.bytes())?;
                    found[at].add(pairs);
                    before += found[at].pairs;
                    at += 1;
                    if self.side.limit.is_some_and(|limit| before >= limit) {
                        self.enough.fetch_min(at, Ordering::Relaxed);
                    }
                    Ok(())
                },
            )?;
            (self.found, self.entries) = (found, entries);
            if shape.kind.keeps_right() {
                self.keep_unmatched(&table, &marks, rows, &mut rest)?;
            }
        }
        self.found.truncate(self.enough.into_inner());
        Ok((self.found, rest, self.entries))
    }

    /// Pairs that are kept together, of rows like these.
    fn rows_at_once(&self, right: &RecordBatch) -> usize {
        let row_bytes = rows_bytes(right) / right.num_rows().max(1);
        (block_bytes(self.room) / row_bytes.max(1)).clamp(1, self.assembly.rows_at_once())
    }

    /// What a round finds for a block.
    fn look_up(&self, block: usize, table: &Arc<Matches>, marks: &Marks, rows_at_once: usize) -> Result<Pairs> {
        let mut pairs = Pairs { pieces: Vec::new(), matched: None };
        if block >= self.enough.load(Ordering::Relaxed) {
            return Ok(pairs);
        }
        let stored = &self.blocks[block].keys;
        let keys = stored.load()?;
        let ids = table.find(keys.columns(), keys.num_rows())?;
        if let Some(residual) = &self.side.shape.residual {
            let left = Asked { keys, shown: self.blocks[block].shown.load()?, residual };
            return self.look_up_holding(&ids, &left, table, marks, rows_at_once);
        }
        drop(keys);
        let kind = self.side.shape.kind;
        if kind.keeps_left() || kind == JoinKind::Semi {
            pairs.matched = Some(BooleanBuffer::collect_bool(ids.len(), |row| ids[row] != ABSENT));
        }
        if kind.keeps_right() {
            ids.iter().filter(|id| **id != ABSENT).for_each(|id| marks.set(*id));
        }
        if !kind.shows_right() {
            return Ok(pairs);
        }
        let mut left_to_find = self.side.limit.unwrap_or(usize::MAX);
        if table.is_to_make(&ids) {
            pairs.pieces = PairsToMake::of(table, stored, &ids, rows_at_once, left_to_find);
            return Ok(pairs);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        'rows: for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != ABSENT) {
            for other in table.rows_of(*id) {
                if left_to_find == 0 {
                    break 'rows;
                }
                left_to_find -= 1;
                left.push(row as u32);
                right.push(other);
                if left.len() == rows_at_once {
                    pairs.pieces.push(self.keep(table, &mut left, &mut right)?);
                }
            }
        }
        if !left.is_empty() {
            pairs.pieces.push(self.keep(table, &mut left, &mut right)?);
        }
        Ok(pairs)
    }

    fn keep(&self, table: &Matches, left: &mut Vec<u32>, right: &mut Vec<u32>) -> Result<Piece> {
        let (left, right) = (std::mem::take(left), std::mem::take(right));
        let first = left.first().copied().unwrap_or_default();
        Ok(Piece { first, part: self.store.keep(table.pairs(left, right)?)? })
    }

    /// Right rows of a table without a match, in order.
    fn keep_unmatched(&self, table: &Table, marks: &Marks, rows_at_once: usize, rest: &mut Vec<Part>) -> Result<()> {
        let mut matched = BooleanBufferBuilder::new(table.records.num_rows());
        matched.append_n(table.records.num_rows(), false);
        if self.side.shape.residual.is_some() {
            let rows = (0..table.records.num_rows()).filter(|row| marks.has(*row as u32));
            rows.for_each(|row| matched.set_bit(row, true));
        } else {
            for id in (0..table.keys() as u32).filter(|id| marks.has(*id)) {
                table.rows_of(id).for_each(|row| matched.set_bit(row as usize, true));
            }
        }
        let unmatched: Vec<u32> = (!&matched.finish()).set_indices().map(|row| row as u32).collect();
        let chunks: Vec<&[u32]> = unmatched.chunks(rows_at_once).collect();
        let kept = |at: usize| {
            self.store.keep(self.assembly.unmatched_right(&table.records, &UInt32Array::from(chunks[at].to_vec()))?)
        };
        rest.append(&mut self.room.hands.each(chunks.len(), kept)?);
        Ok(())
    }
}

impl Pairs {
    /// What it takes beside the rows, twice: a block that rows are made of later has it, too.
    fn bytes(&self) -> usize {
        let matched = self.matched.as_ref().map_or(0, |matched| matched.len() / 8);
        let to_make = self.pieces.iter().filter(|piece| matches!(piece.part, Part::Made(_))).count();
        let pieces = size_of_val(&*self.pieces) + to_make * size_of::<PairsToMake>();
        2 * (size_of::<Pairs>() + pieces + matched)
    }
}

impl Found {
    fn add(&mut self, pairs: Pairs) {
        self.pairs += pairs.pieces.iter().map(|piece| piece.part.rows()).sum::<usize>();
        if !pairs.pieces.is_empty() {
            self.rounds.push(pairs.pieces);
        }
        self.matched = match (self.matched.take(), pairs.matched) {
            (Some(before), Some(now)) => Some(&before | &now),
            (before, now) => before.or(now),
        };
    }
}

/// Keys of a table that have a match; where a condition is asked of pairs, rows of it.
struct Marks(Vec<AtomicU64>);

impl Marks {
    fn new(keys: usize) -> Self {
        Marks((0..keys.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    fn set(&self, id: u32) {
        let (word, bit) = (&self.0[id as usize / 64], 1 << (id % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn has(&self, id: u32) -> bool {
        self.0[id as usize / 64].load(Ordering::Relaxed) & (1 << (id % 64)) != 0
    }
}
