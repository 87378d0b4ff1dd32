//! Memory for rows on their way into files.
//!
//! **Problem.** Rows wait until a chunk of them is whole. Where the rest of memory is taken meanwhile, writing could not go on,
//! and whether it is depends on who came first.
//! **Idea.** Before anything is read, enough is set aside for one chunk: for its rows, and for encoding it. As long as there is
//! memory beside, rows of further chunks take that.
//! **Invariant.** Encoding is for the chunk that is next to be appended only, so its memory comes back whatever waits.

use crate::error::Result;
use crate::memory::{Budget, Reservation};
use std::sync::{Mutex, PoisonError};

/// For whom rows are reserved that wait to be encoded, in messages.
const WRITING: &str = "writing";

/// Bytes for one chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkNeeds {
    /// The rows as they wait.
    pub(super) rows_bytes: usize,
    /// Copies of their columns, and what they become.
    pub(super) encoding_bytes: usize,
}

impl ChunkNeeds {
    pub(super) fn bytes(&self) -> usize {
        self.rows_bytes.saturating_add(self.encoding_bytes)
    }
}

/// What one writing may take.
pub(super) struct WriteRoom {
    budget: Budget,
    own: Mutex<Option<Own>>,
}

/// What is set aside: accounts of their own within one reservation.
struct Own {
    rows: Budget,
    encoding: Budget,
    _reservation: Reservation,
}

impl WriteRoom {
    /// With nothing set aside yet.
    pub(super) fn new(budget: &Budget) -> Self {
        WriteRoom { budget: budget.clone(), own: Mutex::default() }
    }

    /// So much is set aside.
    pub(super) fn set_aside(&self, needs: ChunkNeeds, reservation: Reservation) {
        let (rows, encoding) = (Budget::new(needs.rows_bytes), Budget::new(needs.encoding_bytes));
        let own = Own { rows, encoding, _reservation: reservation };
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    }

    /// Memory for rows.
    ///
    /// # Errors
    /// `Limit` when there is none now.
    pub(super) fn rows(&self, bytes: usize) -> Result<Reservation> {
        self.reserve(bytes, WRITING, |own| Some(&own.rows))
    }

    /// Memory to encode a chunk, which may be the next one.
    ///
    /// # Errors
    /// `Limit` when there is none now.
    pub(super) fn encoding(&self, bytes: usize, is_next: bool) -> Result<Reservation> {
        self.reserve(bytes, "encoding what is written", |own| is_next.then_some(&own.encoding))
    }

    fn reserve(
        &self,
        bytes: usize,
        purpose: &'static str,
        set_aside: impl Fn(&Own) -> Option<&Budget>,
    ) -> Result<Reservation> {
        let reserve = |budget: &Budget| {
            let mut reservation = budget.reservation(purpose);
            reservation.resize(bytes).map(|()| reservation)
        };
        reserve(&self.budget).or_else(|refusal| {
            let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.as_ref().and_then(set_aside).and_then(|own| reserve(own).ok()).ok_or(refusal)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_serves_one_chunk_where_others_have_all_the_rest() {
        let budget = Budget::new(100);
        let room = WriteRoom::new(&budget);
        let needs = ChunkNeeds { rows_bytes: 10, encoding_bytes: 20 };
        room.set_aside(needs, budget.reservation_of_at_least(needs.bytes(), "test").unwrap());
        let others = budget.reservation_of_at_least(65, "others").unwrap();
        let beside = room.rows(5).unwrap();
        let rows = room.rows(8).unwrap();
        assert!(room.rows(3).is_err() && room.encoding(16, false).is_err());
        let encoding = room.encoding(16, true).unwrap();
        assert!(room.encoding(5, true).is_err());
        drop(rows);
        assert_eq!((room.rows(10).unwrap().bytes(), budget.held_bytes()), (10, 100));
        drop((beside, encoding, others, room));
        assert_eq!(budget.held_bytes(), 0);
    }
}
