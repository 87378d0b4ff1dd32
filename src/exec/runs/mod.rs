//! Sorted runs: what a sink does with more rows than memory holds.
//!
//! **Problem.** Groups, sorted rows and distinct values can be more than memory, in any distribution.
//! **Idea.** One mechanism for all: what is held is sorted by its key, written as a *run*, and forgotten; in the end the runs
//! are merged, a few blocks of each in memory at a time. Rows of one key meet in the merge, so a group that is
//! everywhere costs a row a run and needs no care; and results leave in the order in which they are shown anyway.
//! (Partitions by hash, the other way, need a second sort for the result, and a remedy for skew.)
//! **Invariants.** The order is total, so the merged sequence does not depend on how rows were spread over runs; memory is
//! bounded by the number of runs merged at once times their blocks.

mod identity;
mod merge;
mod order;

use crate::error::Result;
use crate::memory::{Part, SpillFile};
use arrow::array::RecordBatch;
pub(super) use identity::Identities;
pub(super) use merge::Merge;
pub(super) use order::{Bound, Keys, Order};
use std::sync::Arc;

/// Rows of a block.
pub(super) const BLOCK_ROWS: usize = 8192;
/// A block is cut shorter where its rows are long.
const BLOCK_BYTES: usize = 256 << 10;
/// Runs that are merged at once.
const FAN_IN: usize = 64;

/// A sorted run: its rows in order, part by part.
pub(super) type Run = Vec<Part>;

/// How many rows of `batch` make a block.
pub(super) fn block_rows(batch: &RecordBatch) -> usize {
    let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
    (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS)
}

/// Writes rows that are in order behind the others of a run.
///
/// # Errors
/// Those of the disk.
pub(super) fn append(run: &mut Run, file: &Arc<SpillFile>, batch: &RecordBatch) -> Result<()> {
    let rows = block_rows(batch);
    for start in (0..batch.num_rows()).step_by(rows) {
        let block = file.append(&batch.slice(start, rows.min(batch.num_rows() - start)))?;
        run.push(Part::Spilled(Arc::clone(file), block));
    }
    Ok(())
}

/// Merges runs into fewer, until there are no more than can be merged at once. `limit` rows of each are wanted.
///
/// # Errors
/// Those of the disk.
pub(super) fn reduce(mut runs: Vec<Run>, order: &Order, file: &Arc<SpillFile>, limit: usize) -> Result<Vec<Run>> {
    while runs.len() > FAN_IN {
        // The fewest that have to be: runs merged now are written once more.
        let some = runs.drain(..FAN_IN.min(runs.len() - FAN_IN + 1).max(2)).collect();
        let mut merge = Merge::new(some, order)?;
        let mut merged = Run::new();
        let mut left = limit;
        while left > 0
            && let Some(batch) = merge.next(BLOCK_ROWS.min(left))?
        {
            left -= batch.num_rows();
            append(&mut merged, file, &batch)?;
        }
        runs.push(merged);
    }
    Ok(runs)
}
