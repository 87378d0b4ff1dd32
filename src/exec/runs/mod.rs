//! Sorted runs: what a sink does with more rows than memory holds.
//!
//! **Problem.** Groups, sorted rows and distinct values can be more than memory, in any distribution.
//! **Idea.** One mechanism for all: what is held is sorted by its key, written as a *run*, and forgotten; in the end the runs
//! are merged, a few blocks of each in memory at a time. Rows of one key meet in the merge, so a group that is
//! everywhere costs a row a run and needs no care; and results leave in the order in which they are shown anyway.
//! (Partitions by hash, the other way, need a second sort for the result, and a remedy for skew.)
//! The merge is cut into ranges of keys, which threads merge side by side: a run knows the first key of each block.
//! **Invariants.** The order is total, so the merged sequence does not depend on how rows were spread over runs; memory is
//! bounded by the number of runs merged at once times their blocks.

mod headroom;
mod identity;
mod merge;
mod order;

use super::parallel::Hands;
use crate::error::Result;
use crate::memory::{Part, SpillFile};
use arrow::array::RecordBatch;
pub(super) use headroom::Headroom;
pub(super) use identity::Identities;
pub(super) use merge::Merge;
pub(super) use order::{Bound, Keys, Order};
use std::sync::Arc;

/// Rows of a block, at most: its file says how many bytes it may have.
pub(super) const BLOCK_ROWS: usize = 8192;
/// Ranges for each thread, so that none waits long for the others at the end.
const RANGES_PER_THREAD: usize = 4;
/// A range has so many blocks of each run or more, because those at its ends are read twice.
const BLOCKS_PER_RANGE: usize = 4;

/// A sorted run: its rows in order, part by part, and the first key of each part.
#[derive(Debug, Default)]
pub(super) struct Run {
    parts: Vec<Part>,
    firsts: Vec<Bound>,
}

impl Run {
    /// Writes rows that are in order behind the others.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn append(&mut self, order: &Order, file: &Arc<SpillFile>, batch: &RecordBatch) -> Result<()> {
        let rows = file.block_rows(batch).min(BLOCK_ROWS);
        for start in (0..batch.num_rows()).step_by(rows) {
            let block = batch.slice(start, rows.min(batch.num_rows() - start));
            self.firsts.push(order.keys(&block.slice(0, 1))?.bound(0));
            self.parts.push(Part::Spilled(Arc::clone(file), file.append(&block)?));
        }
        Ok(())
    }

    /// Puts another run, whose rows come behind, behind this one.
    pub(super) fn extend(&mut self, mut other: Run) {
        self.parts.append(&mut other.parts);
        self.firsts.append(&mut other.firsts);
    }

    /// Its parts, in order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(Part::rows).sum()
    }

    /// The most rows, and the most bytes, that one of its parts takes when it is read.
    fn longest(&self) -> (usize, usize) {
        let longest =
            |(rows, bytes): (usize, usize), part: &Part| (rows.max(part.rows()), bytes.max(part.loaded_bytes()));
        self.parts.iter().fold((0, 0), longest)
    }

    /// The parts that may have rows of a range.
    fn parts_within(&self, range: &Range) -> &[Part] {
        let start = range.from.as_ref().map_or(0, |from| self.firsts.partition_point(|first| first < from));
        let end = range.to.as_ref().map_or(self.parts.len(), |to| self.firsts.partition_point(|first| first < to));
        // The part before may end with rows of the range.
        let start = start.saturating_sub(1);
        &self.parts[start..end.max(start)]
    }
}

/// A range of keys: from one, inclusive, to another, exclusive.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    from: Option<Bound>,
    to: Option<Bound>,
}

/// Ranges that part the rows of some runs evenly, in order.
fn ranges(runs: &[Run], threads: usize) -> Vec<Range> {
    let mut firsts: Vec<&Bound> = runs.iter().flat_map(|run| &run.firsts).collect();
    let most = if threads > 1 { threads * RANGES_PER_THREAD } else { 1 };
    let ranges = most.min(firsts.len() / (BLOCKS_PER_RANGE * runs.len().max(1))).max(1);
    firsts.sort_unstable();
    let mut cuts: Vec<&Bound> = (1..ranges).map(|at| firsts[at * firsts.len() / ranges]).collect();
    cuts.dedup();
    let ends = cuts.iter().map(|cut| Some((*cut).clone())).chain([None]);
    let mut from = None;
    ends.map(|to| Range { from: std::mem::replace(&mut from, to.clone()), to }).collect()
}

/// Merges runs range by range, in parallel. `work` gets the merge of a range; what comes of it goes to `take` in order.
///
/// # Errors
/// The first in order.
pub(super) fn in_ranges<T: Send>(
    hands: &Hands,
    runs: &[Run],
    order: &Order,
    work: impl Fn(Merge<'_>) -> Result<T> + Sync,
    take: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let ranges = ranges(runs, hands.workers);
    hands.in_order(ranges.len(), |at| work(Merge::within(runs, order, &ranges[at])?), take)
}

/// Merges runs into fewer, until there are no more than the headroom is for at a time. `limit` rows of each are wanted.
///
/// # Errors
/// Those of the disk.
pub(super) fn reduce(
    mut runs: Vec<Run>,
    order: &Order,
    file: &Arc<SpillFile>,
    limit: usize,
    headroom: &Headroom,
) -> Result<Vec<Run>> {
    let Headroom { fan_in, rows, .. } = *headroom;
    while runs.len() > fan_in {
        // The fewest that have to be: runs merged now are written once more.
        let some: Vec<Run> = runs.drain(..fan_in.min(runs.len() - fan_in + 1).max(2)).collect();
        let mut merged = Run::default();
        let written = |mut merge: Merge<'_>| {
            let (mut blocks, mut left) = (Run::default(), limit);
            while left > 0
                && let Some(batch) = merge.next(rows.min(left))?
            {
                left -= batch.num_rows();
                blocks.append(order, file, &batch)?;
            }
            Ok(blocks)
        };
        in_ranges(&headroom.hands, &some, order, written, |blocks| {
            merged.extend(blocks);
            Ok(())
        })?;
        runs.push(merged);
    }
    Ok(runs)
}
