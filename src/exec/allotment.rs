//! How the memory of a pass is divided before it begins.
//!
//! **Problem.** Who reads and who holds results compete for one limit, and what is read cannot be put back: a worker that
//! were refused in mid-partition could neither go on nor stop.
//! **Idea.** What reading takes at most is known beforehand ([`ReadNeeds`]); it is reserved for as many workers as half of
//! the memory is enough for, and no more are at work. A partition that has left its worker's hands, because others before
//! it are not read yet, is on the account of its own, or its worker waits for it.
//! **Invariants.** What is reserved is enough for the worker whose partition is to be committed next; one worker at least is at
//! work, or the pass is refused before it has read anything, with what it needs.

use super::floor::Floor;
use super::parallel::Hands;
use super::sink::Room;
use crate::error::Result;
use crate::memory::{Budget, Reservation, Spill};
use crate::plan::Stage;
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
    /// Of what rows are handed to.
    pub(super) writing: Reservation,
    /// The room of each sink.
    pub(super) room: Room,
}

/// What a pass needs, beside what reading takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    /// Each has a sink.
    pub(super) stages: usize,
    /// How many rows, at most, all of them make of one.
    pub(super) made_rows: usize,
    /// Bytes of states that cannot be written and forgotten, in the sinks of a worker.
    pub(super) undivided_bytes: usize,
    /// Bytes of what rows are handed to as they come.
    pub(super) writing_bytes: usize,
}

impl Beside {
    /// Of these stages, if nothing is written.
    pub(super) fn of(stages: &[Stage]) -> Self {
        Beside {
            stages: stages.len(),
            made_rows: stages.iter().map(Stage::made_rows).sum(),
            undivided_bytes: stages.iter().map(Stage::undivided_bytes).sum(),
            writing_bytes: 0,
        }
    }

    /// The least that the sinks of a worker have.
    pub(super) fn sinks_bytes(&self) -> usize {
        self.undivided_bytes.saturating_add(Room::LEAST_BYTES * self.stages)
    }
}

/// The smallest limit with which a pass can be run on one thread, if nothing else is held and nothing is written.
pub(super) fn least_bytes(needs: ReadNeeds, beside: Beside) -> usize {
    let rows = needs.of_rows(beside);
    let reading = needs.shared_bytes.saturating_add(needs.worker_bytes).saturating_add(rows);
    reading.saturating_add(beside.sinks_bytes())
}

/// A shorter length of partitions than `piece_bytes`, with which a scan has these needs, if that is too long for as many
/// workers.
pub(super) fn shorter(
    piece_bytes: usize,
    needs: ReadNeeds,
    workers: usize,
    beside: Beside,
    budget: &Budget,
) -> Option<usize> {
    let left = budget.free_bytes().saturating_sub(beside.writing_bytes);
    let share = left / PARTITIONS_SHARE / workers.max(1);
    let partition = needs.text_bytes.saturating_add(needs.of_rows(beside));
    let too_long = partition > share || least_bytes(needs, beside) > left;
    (too_long && piece_bytes > LEAST_PIECE_BYTES).then_some((piece_bytes / 2).max(LEAST_PIECE_BYTES))
}

impl ReadNeeds {
    /// Of a result that is read: the parts of it are shorter where memory is scarce.
    pub(super) fn of_short_parts(self) -> Self {
        ReadNeeds { rows_bytes: self.rows_bytes.min(2 * LEAST_PIECE_BYTES), ..self }
    }

    /// Bytes of the rows in a worker's hands, and of what stages make of them.
    fn of_rows(&self, beside: Beside) -> usize {
        self.rows_bytes.saturating_mul(1 + beside.made_rows.max(1)).saturating_add(self.row_texts_bytes)
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
        beside: Beside,
        budget: &Budget,
        spill: &Spill,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let Beside { stages, undivided_bytes, writing_bytes, .. } = beside;
        let (held, free) = (budget.held_bytes(), budget.free_bytes());
        let left = free.saturating_sub(writing_bytes);
        let hands = needs.worker_bytes.saturating_add(needs.of_rows(beside));
        let reading = |workers: usize| needs.shared_bytes.saturating_add(hands.saturating_mul(workers));
        let sinks = |workers: usize| beside.sinks_bytes().saturating_mul(workers);
        let fits = |&workers: &usize| reading(workers) <= left / READING_SHARE && sinks(workers) <= left / SINKS_SHARE;
        let workers = (1..=workers.max(1)).rev().find(fits).unwrap_or(1);
        if least_bytes(needs, beside) > left || writing_bytes > free {
            let (reading, answering, writing, several) = (reading(1), sinks(1), writing_bytes, stages > 1);
            let needed = Floor { held, reading, answering, writing, several, ..Floor::default() };
            return Err(needed.too_little(budget));
        }
        let writing = budget.reservation_of_at_least(writing_bytes, "writing")?;
        let reserved = |bytes| budget.reservation_of_at_least(bytes, "reading");
        let shared = reserved(needs.shared_bytes)?;
        let hands = (0..workers).map(|_| reserved(hands)).collect::<Result<Vec<_>>>()?;
        let room_hands = Hands { workers, cancel: cancel.clone() };
        let left = left - reading(workers) - undivided_bytes * workers;
        let room = Room::of_each(workers * stages, left, budget, spill, room_hands);
        Ok(Allotment { shared, hands, writing, room })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const NEEDS: ReadNeeds = ReadNeeds {
        shared_bytes: 1 << 20,
        worker_bytes: 2 << 20,
        text_bytes: 0,
        rows_bytes: 1 << 20,
        row_texts_bytes: 0,
        all_rows_bytes: usize::MAX,
        texts_are_shared: false,
    };

    fn of_pass(limit: usize, writing_bytes: usize) -> Result<Allotment> {
        with(limit, Beside { stages: 1, made_rows: 1, undivided_bytes: 0, writing_bytes })
    }

    fn with(limit: usize, beside: Beside) -> Result<Allotment> {
        Allotment::of_pass(NEEDS, 8, beside, &Budget::new(limit), &Spill::default(), &CancelToken::new())
    }

    #[test]
    fn scarce_memory_means_fewer_workers_and_too_little_is_refused_at_once() {
        let workers = |limit: usize| {
            let allotment = of_pass(limit, 0).unwrap();
            let workers = allotment.hands.len();
            assert_eq!(allotment.room.budget.held_bytes(), NEEDS.shared_bytes + workers * (4 << 20));
            assert!(allotment.room.floor_bytes * workers <= limit / 4);
            workers
        };
        assert_eq!([6 << 20, 40 << 20, 80 << 20, usize::MAX].map(workers), [1, 4, 8, 8]);
        let least = (5 << 20) + Room::LEAST_BYTES;
        let error = of_pass(least - 1, 0).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("at least") && error.to_string().contains("5 MiB to read"), "{error}");
        assert_eq!(of_pass(least, 0).unwrap().hands.len(), 1);
    }

    #[test]
    fn states_that_cannot_be_divided_are_weighed_for_every_worker() {
        let beside = Beside { stages: 1, made_rows: 1, undivided_bytes: 5 << 20, writing_bytes: 0 };
        assert_eq!(with(80 << 20, beside).unwrap().hands.len(), 3);
        let least = (10 << 20) + Room::LEAST_BYTES;
        assert_eq!(with(least, beside).unwrap().hands.len(), 1);
        assert!(with(least - 1, beside).is_err());
    }

    #[test]
    fn what_writing_needs_is_set_aside_first() {
        let allotment = of_pass(80 << 20, 40 << 20).unwrap();
        assert_eq!((allotment.hands.len(), allotment.writing.bytes()), (4, 40 << 20));
        let least = (5 << 20) + Room::LEAST_BYTES + (40 << 20);
        assert_eq!(of_pass(least, 40 << 20).unwrap().hands.len(), 1);
        let error = of_pass(least - 1, 40 << 20).err().unwrap();
        assert!(error.to_string().contains("40 MiB to write"), "{error}");
    }

    #[test]
    fn pieces_are_shorter_where_memory_is_scarce() {
        let beside = Beside { stages: 1, made_rows: 1, undivided_bytes: 0, writing_bytes: 0 };
        let shorter = |limit, workers, piece| shorter(piece, NEEDS, workers, beside, &Budget::new(limit));
        assert_eq!(shorter(usize::MAX, 8, 1 << 20), None);
        assert_eq!(shorter(64 << 20, 8, 1 << 20), None);
        assert_eq!(shorter(63 << 20, 8, 1 << 20), Some(1 << 19));
        assert_eq!(shorter(1 << 20, 8, 100_000), Some(64 << 10));
        assert_eq!(shorter(1 << 20, 8, 64 << 10), None);
        let joins = Beside { made_rows: 16, ..beside };
        assert_eq!(super::shorter(1 << 20, NEEDS, 2, joins, &Budget::new(128 << 20)), Some(1 << 19));
        assert_eq!(super::shorter(1 << 20, NEEDS, 2, beside, &Budget::new(128 << 20)), None);
    }
}
