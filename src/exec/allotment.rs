//! How the memory of a pass is divided before it begins.
//!
//! **Problem.** Who reads and who holds results compete for one limit, and what is read cannot be put back: a worker that
//! were refused in mid-partition could neither go on nor stop.
//! **Idea.** What reading takes at most is known beforehand ([`ReadNeeds`]); it is reserved for as many workers as half of
//! the memory is enough for, and no more are at work. A partition that has left its worker's hands, because others before
//! it are not read yet, is on the account of its own, or its worker waits for it.
//! **Invariants.** What is reserved is enough for the worker whose partition is to be committed next; one worker at least is at
//! work, or the pass is refused before it has read anything, with what it needs.

use super::parallel::Hands;
use super::sink::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, ByteSize, Reservation, Spill};
use crate::source::{CancelToken, ReadNeeds};

/// Reading may have this share of the memory when more than one worker reads.
const READING_SHARE: usize = 2;
/// And the least that their sinks have from the beginning, this.
const SINKS_SHARE: usize = 4;
/// The partitions in the hands of all workers have this share of the memory, if shorter ones are of use.
const PARTITIONS_SHARE: usize = 4;
/// Pieces need not be shorter than this for it.
pub(super) const LEAST_PIECE_BYTES: usize = 64 << 10;

/// The memory of a pass.
pub(super) struct Allotment {
    /// What all workers share of reading.
    pub(super) shared: Reservation,
    /// What each worker has in its hands.
    pub(super) hands: Vec<Reservation>,
    /// The room of each sink.
    pub(super) room: Room,
}

/// The smallest limit with which a pass can be run on one thread, if nothing else is held.
pub(super) fn least_bytes(needs: ReadNeeds, stages: usize) -> usize {
    let reading = needs.shared_bytes.saturating_add(needs.worker_bytes).saturating_add(needs.of_rows(stages));
    reading.saturating_add(Room::LEAST_BYTES * stages)
}

/// A shorter length of partitions than `piece_bytes`, with which a scan has these needs, if that is too long for as many
/// workers.
pub(super) fn shorter(
    piece_bytes: usize,
    needs: ReadNeeds,
    workers: usize,
    stages: usize,
    budget: &Budget,
) -> Option<usize> {
    let share = budget.limit_bytes().saturating_sub(budget.held_bytes()) / PARTITIONS_SHARE / workers.max(1);
    let partition = needs.text_bytes.saturating_add(needs.of_rows(stages));
    (partition > share && piece_bytes > LEAST_PIECE_BYTES).then_some((piece_bytes / 2).max(LEAST_PIECE_BYTES))
}

impl ReadNeeds {
    /// Bytes of the rows in a worker's hands, and of what each of so many stages makes of them.
    fn of_rows(&self, stages: usize) -> usize {
        self.rows_bytes.saturating_mul(1 + stages.max(1))
    }
}

impl Allotment {
    /// Divides what is left of the account among at most `workers` workers, with a sink for each of `stages`.
    ///
    /// # Errors
    /// `Limit` when it is too little for one worker.
    pub(super) fn of_pass(
        needs: ReadNeeds,
        workers: usize,
        stages: usize,
        budget: &Budget,
        spill: &Spill,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let held = budget.held_bytes();
        let left = budget.limit_bytes().saturating_sub(held);
        let hands = needs.worker_bytes.saturating_add(needs.of_rows(stages));
        let reading = |workers: usize| needs.shared_bytes.saturating_add(hands.saturating_mul(workers));
        let sinks = |workers: usize| Room::LEAST_BYTES * stages * workers;
        let fits = |&workers: &usize| reading(workers) <= left / READING_SHARE && sinks(workers) <= left / SINKS_SHARE;
        let workers = (1..=workers.max(1)).rev().find(fits).unwrap_or(1);
        if least_bytes(needs, stages) > left {
            return Err(too_little(budget, held, reading(1), sinks(1)));
        }
        let reserved = |bytes| budget.reservation_of_at_least(bytes, "reading");
        let shared = reserved(needs.shared_bytes)?;
        let hands = (0..workers).map(|_| reserved(hands)).collect::<Result<Vec<_>>>()?;
        let room_hands = Hands { workers, cancel: cancel.clone() };
        let room = Room::of_each(workers * stages, left - reading(workers), budget, spill, room_hands);
        Ok(Allotment { shared, hands, room })
    }
}

fn too_little(budget: &Budget, held: usize, reading: usize, sinks: usize) -> Error {
    let size = |bytes: usize| ByteSize(bytes as u64);
    let needed = size(held.saturating_add(reading).saturating_add(sinks));
    let mut parts = vec![format!("{} to read", size(reading)), format!("{} to answer", size(sinks))];
    if held > 0 {
        parts.push(format!("{} for results that are held", size(held)));
    }
    let message = format!(
        "the memory limit of {} is too little: at least {needed} are needed ({})",
        size(budget.limit_bytes()),
        parts.join(", ")
    );
    Error::new(ErrorKind::Limit, message)
        .hint("raise the memory limit (--memory, OUTCROP_MEMORY), or ask fewer questions at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: ReadNeeds = ReadNeeds {
        shared_bytes: 1 << 20,
        worker_bytes: 2 << 20,
        text_bytes: 0,
        rows_bytes: 1 << 20,
        texts_are_shared: false,
    };

    #[test]
    fn scarce_memory_means_fewer_workers_and_too_little_is_refused_at_once() {
        let spill = Spill::default();
        let workers = |limit: usize| {
            let budget = Budget::new(limit);
            let allotment = Allotment::of_pass(NEEDS, 8, 1, &budget, &spill, &CancelToken::new()).unwrap();
            let workers = allotment.hands.len();
            assert_eq!(budget.held_bytes(), NEEDS.shared_bytes + workers * (4 << 20));
            assert!(allotment.room.floor_bytes * workers <= limit / 4);
            workers
        };
        assert_eq!([6 << 20, 40 << 20, 80 << 20, usize::MAX].map(workers), [1, 4, 8, 8]);
        let least = (5 << 20) + Room::LEAST_BYTES;
        let error =
            Allotment::of_pass(NEEDS, 8, 1, &Budget::new(least - 1), &spill, &CancelToken::new()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("at least") && error.to_string().contains("5 MiB to read"), "{error}");
        assert_eq!(
            Allotment::of_pass(NEEDS, 8, 1, &Budget::new(least), &spill, &CancelToken::new()).unwrap().hands.len(),
            1
        );
    }

    #[test]
    fn pieces_are_shorter_where_memory_is_scarce() {
        let shorter = |limit, workers, piece| shorter(piece, NEEDS, workers, 1, &Budget::new(limit));
        assert_eq!(shorter(usize::MAX, 8, 1 << 20), None);
        assert_eq!(shorter(64 << 20, 8, 1 << 20), None);
        assert_eq!(shorter(63 << 20, 8, 1 << 20), Some(1 << 19));
        assert_eq!(shorter(1 << 20, 8, 100_000), Some(64 << 10));
        assert_eq!(shorter(1 << 20, 8, 64 << 10), None);
    }
}
