//! The left rows of a join, in blocks, in input order.

use crate::batch::{RowId, RowOrigin};
use crate::error::Result;
use crate::exec::join::rows_bytes;
use crate::exec::parallel::Hands;
use crate::exec::sink::Room;
use crate::memory::{HeldBuffers, Part, Reservation, RowStore, SpillFile, without_unused_text};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows that stand together in the input: their keys, and the other columns that are shown. The two are asked for at different
/// times.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) keys: Part,
    pub(super) shown: Part,
}

impl Block {
    pub(super) fn rows(&self) -> usize {
        self.shown.rows()
    }

    fn parts(&mut self) -> [&mut Part; 2] {
        [&mut self.keys, &mut self.shown]
    }
}

/// Rows of a block. Rounds find something for each block, so there are not too many of them; and a block is put together in
/// memory, so it is not too large.
const MOST_ROWS: usize = 1 << 16;

/// The share of the limit that the blocks in memory of all workers have. A block is written by itself, so there is nothing to
/// gain from gathering more before they are, and what one thread frees is of little use to the next.
const MEMORY_SHARE: usize = 4;

/// What is known of blocks on disk may take so much beyond what is reserved: where others have all memory there is nothing more
/// to let go of, and very short batches are many.
const UNASKED_BYTES: usize = 1 << 20;

/// What rows may take that are worked on together.
pub(super) fn block_bytes(room: &Room) -> usize {
    (room.budget.limit_bytes() / 128).clamp(32 << 10, 2 << 20)
}

pub(super) struct LeftRows {
    /// By the identity of the first row, with a number for those that share one.
    blocks: BTreeMap<(RowId, usize), Block>,
    /// Behind the parts in memory.
    buffers: HeldBuffers,
    file: Arc<SpillFile>,
    reservation: Reservation,
    /// What it has held from the beginning.
    floor_bytes: usize,
    block_bytes: usize,
    most_bytes: usize,
}

impl LeftRows {
    pub(super) fn new(room: &Room) -> Result<Self> {
        let reservation = room.reservation("joining")?;
        Ok(LeftRows {
            blocks: BTreeMap::new(),
            buffers: HeldBuffers::default(),
            file: Arc::new(room.spill.file()),
            floor_bytes: reservation.bytes(),
            reservation,
            block_bytes: block_bytes(room),
            most_bytes: room.budget.limit_bytes() / MEMORY_SHARE / room.hands.workers.max(1),
        })
    }

    /// Takes rows.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn push(&mut self, keys: &RecordBatch, shown: &RecordBatch, origin: &RowOrigin) -> Result<()> {
        let (rows, bytes) = (keys.num_rows(), rows_bytes(keys) + rows_bytes(shown));
        let of_block = (self.block_bytes.saturating_mul(rows) / bytes.max(1)).clamp(1, MOST_ROWS);
        for start in (0..rows).step_by(of_block) {
            let part =
                |batch: &RecordBatch| Part::Memory(without_unused_text(batch.slice(start, of_block.min(rows - start))));
            self.insert(origin.row_id(start), Block { keys: part(keys), shown: part(shown) });
        }
        if self.buffers.bytes() > self.most_bytes { self.spill() } else { self.settle() }
    }

    /// Asks for the memory of what is held; without it, that goes to disk.
    fn settle(&mut self) -> Result<()> {
        if self.reservation.resize(self.bytes()).is_err() { self.spill() } else { Ok(()) }
    }

    fn insert(&mut self, first: RowId, mut block: Block) {
        for part in block.parts() {
            if let Part::Memory(batch) = part {
                self.buffers.add(batch);
            }
        }
        let number = self.blocks.range((first, 0)..=(first, usize::MAX)).count();
        self.blocks.insert((first, number), block);
    }

    fn bytes(&self) -> usize {
        self.buffers.bytes() + self.blocks.len() * size_of::<((RowId, usize), Block)>()
    }

    /// Takes all that another holds.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn join(&mut self, other: LeftRows) -> Result<()> {
        self.floor_bytes += other.floor_bytes;
        self.reservation.absorb(other.reservation);
        other.blocks.into_iter().for_each(|((first, _), block)| self.insert(first, block));
        self.settle()
    }

    /// Writes what is in memory to disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn spill(&mut self) -> Result<()> {
        for part in self.blocks.values_mut().flat_map(Block::parts) {
            if let Part::Memory(batch) = part
                && batch.num_columns() > 0
            {
                *part = Part::Spilled(Arc::clone(&self.file), self.file.append(batch)?);
            }
        }
        self.buffers.clear();
        let bytes = self.bytes();
        match self.reservation.resize(bytes) {
            Err(_) if bytes <= self.reservation.bytes() + UNASKED_BYTES => Ok(()),
            settled => settled,
        }
    }

    /// All blocks in order, those in memory in `store` or on disk; and the reservation, for further use.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn finish(mut self, store: &RowStore, hands: &Hands) -> Result<(Vec<Block>, Reservation)> {
        self.reservation.resize(self.floor_bytes)?;
        let blocks: Vec<Block> = self.blocks.into_values().collect();
        let keep = |part: &Part| match part {
            Part::Memory(batch) if batch.num_columns() > 0 => store.keep(batch.clone()),
            other => Ok(other.clone()),
        };
        let kept = hands
            .each(blocks.len(), |at| Ok(Block { keys: keep(&blocks[at].keys)?, shown: keep(&blocks[at].shown)? }))?;
        Ok((kept, self.reservation))
    }
}
