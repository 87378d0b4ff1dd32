//! How many runs are merged at a time, and by how many threads, so that it fits in memory.
//!
//! **Problem.** What was written to disk because memory is scarce takes memory again when it is merged: a block of each run.
//! **Idea.** How long the blocks are is known, so what a merge takes is reserved before it begins: as many runs as there are
//! and all threads where a quarter of the memory is enough for that, else fewer of them, in several levels.
//! **Invariant.** Two runs on one thread, which take a dozen short blocks, can be merged whatever others hold.

use super::Run;
use crate::error::Result;
use crate::exec::parallel::Hands;
use crate::memory::Reservation;

/// A merge may take this share of the memory.
const SHARE: usize = 4;
/// Runs merged at a time: at most, and so many that another level costs more than another thread is worth.
const MOST_RUNS: usize = 64;
const ENOUGH_RUNS: usize = 8;
/// Blocks that each run takes: the one that is read, and its keys.
const BLOCKS_OF_RUN: usize = 2;
/// Blocks beside those of runs: what has been merged and becomes a result, and blocks that are left behind in doing so.
const BLOCKS_BESIDE: usize = 8;

/// Two runs are merged without asking if that takes no more than this: beside what a process takes anyway it is nothing.
const UNASKED_BYTES: usize = 3 << 20;

/// What is reserved for a merge.
pub(in crate::exec) struct Headroom {
    _reservation: Reservation,
    /// Who merges.
    pub(in crate::exec) hands: Hands,
    /// How many runs at a time.
    pub(in crate::exec) fan_in: usize,
    /// How many rows are to leave at a time: a block of them.
    pub(in crate::exec) rows: usize,
}

impl Headroom {
    /// For these runs: of a reservation whose owner holds nothing else any more, and what is free beside.
    ///
    /// # Errors
    /// `Limit` when two runs cannot be merged.
    pub(in crate::exec) fn of(runs: &[Run], hands: &Hands, mut reservation: Reservation) -> Result<Self> {
        let longest = |(rows, bytes): (usize, usize), run: &Run| {
            let (rows_of_run, bytes_of_run) = run.longest();
            (rows.max(rows_of_run), bytes.max(bytes_of_run))
        };
        let (rows, block_bytes) = runs.iter().fold((1, 1), longest);
        let bytes = |threads: usize, runs: usize| threads * (BLOCKS_OF_RUN * runs + BLOCKS_BESIDE) * block_bytes;
        let own = reservation.bytes();
        let share = (reservation.limit_bytes() / SHARE).min(own + reservation.budget().free_bytes()).max(own);
        let affords = |threads: usize| (share / threads / block_bytes).saturating_sub(BLOCKS_BESIDE) / BLOCKS_OF_RUN;
        let wanted = runs.len().clamp(2, MOST_RUNS);
        let enough = |runs: usize| (1..=hands.workers.max(1)).rev().find(|&threads| affords(threads) >= runs);
        let workers = enough(wanted).or_else(|| enough(ENOUGH_RUNS)).unwrap_or(1);
        let (mut hands, mut fan_in) = (hands.of(workers), affords(workers).clamp(2, wanted));
        if reservation.resize(bytes(workers, fan_in)).is_err() {
            (hands, fan_in) = (hands.alone(), 2);
            match reservation.resize(bytes(1, fan_in)) {
                Err(refusal) if bytes(1, fan_in) > UNASKED_BYTES => return Err(refusal),
                _ => {}
            }
        }
        Ok(Headroom { _reservation: reservation, hands, fan_in, rows })
    }

    /// For tests: on no account.
    #[cfg(test)]
    pub(super) fn unreserved(hands: Hands, fan_in: usize, rows: usize) -> Self {
        let reservation = crate::memory::Budget::unlimited().reservation("test");
        Headroom { _reservation: reservation, hands, fan_in, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;
    use crate::error::ErrorKind;
    use crate::memory::{Budget, Spill};
    use crate::source::CancelToken;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::DataType;
    use std::sync::Arc;

    #[test]
    fn scarce_memory_means_fewer_threads_and_then_fewer_runs_at_a_time() {
        let order = Order::ascending([DataType::Int64]).unwrap();
        let file = Arc::new(Spill::default().file());
        let column: ArrayRef = Arc::new((0..10_000).collect::<Int64Array>());
        let columns = ["k", "a", "b", "c"].map(|name| (name, Arc::clone(&column)));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let run = || {
            let mut run = Run::default();
            run.append(&order, &file, &batch).unwrap();
            run
        };
        let runs: Vec<Run> = (0..20).map(|_| run()).collect();
        let block_bytes = runs[0].longest().1;
        let hands = Hands { workers: 3, cancel: CancelToken::new() };
        let merge = |blocks: usize, own: usize| -> Result<(usize, usize, usize)> {
            let budget = Budget::new(blocks * block_bytes);
            let own = budget.reservation_of_at_least(own * block_bytes, "test").unwrap();
            let headroom = Headroom::of(&runs, &hands, own)?;
            let held = budget.held_bytes().div_ceil(block_bytes);
            let found = (headroom.hands.workers, headroom.fan_in, held);
            assert_eq!(headroom.rows, runs[0].longest().0);
            drop(headroom);
            assert_eq!(budget.held_bytes(), 0);
            Ok(found)
        };
        assert_eq!(merge(10_000, 0).unwrap(), (3, 20, 144));
        assert_eq!(merge(4 * 100, 0).unwrap(), (2, 20, 96));
        assert_eq!(merge(4 * 80, 0).unwrap(), (1, 20, 48));
        assert_eq!(merge(4 * 30, 0).unwrap(), (1, 11, 30));
        assert_eq!(merge(40, 30).unwrap(), (1, 11, 30), "what is its own may be more than the share");
        assert_eq!(merge(13, 0).unwrap(), (1, 2, 12));
        assert_eq!(merge(11, 3).unwrap_err().kind(), ErrorKind::Limit);
    }
}
