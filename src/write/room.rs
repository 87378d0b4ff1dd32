//! Memory for rows on their way into files.
//!
//! **Problem.** Rows wait until a chunk of them is whole. Where the rest of memory is taken meanwhile, writing could not go on,
//! and whether it is depends on who came first.
//! **Idea.** Before anything is read, enough is set aside for a batch of rows, and for encoding the chunk that is next. As long as
//! there is memory beside, rows that wait and further chunks take that; then rows wait on disk.
//! **Invariant.** Encoding is for the chunk that is next to be appended only, so its memory comes back whatever waits.

use crate::error::Result;
use crate::memory::{Budget, Reservation};
use std::sync::{Mutex, PoisonError};

/// For whom rows are reserved that wait to be encoded, in messages.
const WRITING: &str = "writing";
/// And for a chunk that is encoded.
const ENCODING: &str = "encoding what is written";

/// Bytes for one chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkNeeds {
    /// A batch as it comes.
    pub(super) rows_bytes: usize,
    /// Copies of columns of the chunk that is next, and what they become.
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
        reserve(&self.budget, bytes, WRITING).or_else(|refusal| {
            let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.as_ref().and_then(|own| reserve(&own.rows, bytes, WRITING).ok()).ok_or(refusal)
        })
    }

    /// Memory to encode a chunk.
    ///
    /// # Errors
    /// `Limit` when there is none now.
    pub(super) fn encoding(&self, bytes: usize) -> Result<Reservation> {
        reserve(&self.budget, bytes, ENCODING)
    }

    /// Memory to encode the chunk that is next: what is set aside, and what it takes beyond that.
    ///
    /// # Errors
    /// `Limit` when there is none now.
    pub(super) fn encoding_next(&self, bytes: usize) -> Result<[Reservation; 2]> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let set_aside = match &*own {
            Some(own) => reserve(&own.encoding, bytes.min(own.encoding.free_bytes()), ENCODING)?,
            None => self.budget.reservation(ENCODING),
        };
        let beyond = reserve(&self.budget, bytes - set_aside.bytes(), ENCODING)?;
        Ok([set_aside, beyond])
    }
}

fn reserve(budget: &Budget, bytes: usize, purpose: &'static str) -> Result<Reservation> {
    let mut reservation = budget.reservation(purpose);
    reservation.resize(bytes).map(|()| reservation)
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
        assert!(room.rows(3).is_err() && room.encoding(16).is_err());
        let encoding = room.encoding_next(16).unwrap();
        assert!(room.encoding_next(5).is_err());
        drop(rows);
        assert_eq!((room.rows(10).unwrap().bytes(), budget.held_bytes()), (10, 100));
        drop(beside);
        assert_eq!(room.encoding_next(9).unwrap().map(|part| part.bytes()), [4, 5], "the rest is asked for");
        drop((encoding, others, room));
        assert_eq!(budget.held_bytes(), 0);
    }
}
