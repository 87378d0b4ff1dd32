//! The left rows of a join, in blocks, in input order.

use crate::batch::RowOrigin;
use crate::error::Result;
use crate::exec::join::rows_bytes;
use crate::exec::parallel::Hands;
use crate::exec::sink::Room;
use crate::exec::sink::in_order::{InOrder, Ordered};
use crate::memory::{Part, Reservation, RowStore, without_unused_text};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
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
}

/// Rows of a block. Rounds find something for each block, so there are not too many of them; and a block is put together in
/// memory, so it is not too large.
const MOST_ROWS: usize = 1 << 16;

/// The share of the limit that the blocks in memory of all workers have. A block is written by itself, so there is nothing to
/// gain from gathering more before they are, and what one thread frees is of little use to the next.
const MEMORY_SHARE: usize = 4;

/// What rows may take that are worked on together.
pub(super) fn block_bytes(room: &Room) -> usize {
    (room.budget.limit_bytes() / 128).clamp(32 << 10, 2 << 20)
}

pub(super) struct LeftRows {
    /// Keys, and the other columns.
    held: InOrder<2>,
    keys: usize,
    block_bytes: usize,
    most_bytes: usize,
}

/// All left rows.
pub(super) struct Blocks {
    /// In order, in memory or on disk.
    pub(super) blocks: Vec<Block>,
    /// Keeps the memory of some of them on the account.
    pub(super) held: Vec<Arc<Reservation>>,
    /// What the sink had from the beginning, for further use.
    pub(super) own: Reservation,
}

impl LeftRows {
    pub(super) fn new(schemas: &[SchemaRef; 2], room: &Room) -> Result<Self> {
        Ok(LeftRows {
            keys: schemas[0].fields().len(),
            held: InOrder::new(schemas, false, room, "joining")?,
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
            let part = |batch: &RecordBatch| without_unused_text(batch.slice(start, of_block.min(rows - start)));
            self.held.hold([part(keys), part(shown)], origin.row_id(start), origin)?;
        }
        if self.held.bytes_in_memory() > self.most_bytes { self.held.spill() } else { self.held.settle() }
    }

    /// Takes all that another holds.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn join(&mut self, other: LeftRows) -> Result<()> {
        self.held.join(other.held)?;
        self.held.settle()
    }

    /// Lets go of memory.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn relieve(&mut self) -> Result<()> {
        self.held.relieve()
    }

    /// All rows in order, in `store` where they are not on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn finish(self, store: &RowStore, hands: &Hands) -> Result<Blocks> {
        let keep = |part: Part| match part {
            Part::Memory(batch) if batch.num_columns() > 0 => store.keep(batch),
            other => Ok(other),
        };
        match self.held.finish()? {
            Ordered::AsTheyCame(batches, _, mut own) => {
                own.resize(0)?;
                let kept = |at: usize| {
                    let [keys, shown] = batches[at].clone();
                    Ok(Block { keys: keep(keys)?, shown: keep(shown)? })
                };
                let blocks = hands.each(batches.len(), kept)?;
                Ok(Blocks { blocks, held: Vec::new(), own })
            }
            Ordered::Sorted(rows, own) => {
                let keys: Vec<usize> = (0..self.keys).collect();
                let cut = |part: &Part| -> Result<Block> {
                    let (batch, on_disk) = (part.load()?, !matches!(part, Part::Memory(_)));
                    let shown: Vec<usize> = (self.keys..batch.num_columns()).collect();
                    let of = |columns: &[usize]| -> Result<Part> {
                        let columns = Part::Memory(batch.project(columns)?);
                        // What is in memory stays on the account of the rows.
                        if on_disk { keep(columns) } else { Ok(columns) }
                    };
                    Ok(Block { keys: of(&keys)?, shown: of(&shown)? })
                };
                let (parts, held) = rows.into_parts();
                Ok(Blocks { blocks: hands.each(parts.len(), |at| cut(&parts[at]))?, held, own })
            }
        }
    }
}
