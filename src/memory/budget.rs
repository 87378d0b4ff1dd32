//! The account of reserved bytes.

use super::size::ByteSize;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An account of bytes with a limit; clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

impl Budget {
    /// An account that refuses to hold more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Budget(Arc::new(Account { limit_bytes, held_bytes: AtomicUsize::new(0), peak_bytes: AtomicUsize::new(0) }))
    }

    /// An account that only counts.
    pub fn unlimited() -> Self {
        Budget::new(usize::MAX)
    }

    /// The limit.
    pub fn limit_bytes(&self) -> usize {
        self.0.limit_bytes
    }

    /// Bytes held now.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Ordering::Relaxed)
    }

    /// The most bytes held at any time.
    pub fn peak_bytes(&self) -> usize {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    /// An empty reservation; `purpose` names its holder in messages.
    pub fn reservation(&self, purpose: &'static str) -> Reservation {
        Reservation { budget: self.clone(), purpose, bytes: 0, floor_bytes: 0 }
    }

    /// A reservation that never holds less than `floor_bytes`, so that its holder can always do with that much.
    ///
    /// # Errors
    /// `Limit` when the account refuses so much.
    pub fn reservation_of_at_least(&self, floor_bytes: usize, purpose: &'static str) -> Result<Reservation> {
        let mut reservation = self.reservation(purpose);
        reservation.resize(floor_bytes)?;
        reservation.floor_bytes = floor_bytes;
        Ok(reservation)
    }

    fn take(&self, bytes: usize) -> std::result::Result<(), usize> {
        let account = &*self.0;
        let update = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= account.limit_bytes);
        let before = account.held_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)?;
        account.peak_bytes.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes held for one purpose; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    purpose: &'static str,
    bytes: usize,
    floor_bytes: usize,
}

impl Reservation {
    /// Grows or shrinks to `bytes`, or to the least that it holds.
    ///
    /// # Errors
    /// `Limit` when the account refuses; the reservation is then unchanged.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        let bytes = bytes.max(self.floor_bytes);
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes).map_err(|held| self.refused(bytes, held))?;
        } else {
            self.budget.0.held_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn refused(&self, asked: usize, held: usize) -> Error {
        Error::new(
            ErrorKind::Limit,
            format!(
                "memory limit reached: {} asked for {} more, {} of {} are held",
                self.purpose,
                ByteSize((asked - self.bytes) as u64),
                ByteSize(held as u64),
                ByteSize(self.budget.0.limit_bytes as u64)
            ),
        )
        .hint("raise the memory limit (--memory, OUTCROP_MEMORY), or ask fewer questions at once")
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_back_on_drop_and_refusal_changes_nothing() {
        let budget = Budget::new(100);
        let mut first = budget.reservation("first");
        first.resize(60).unwrap();
        let mut second = budget.reservation("second");
        assert_eq!(second.resize(41).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!(budget.held_bytes(), 60);
        second.resize(40).unwrap();
        first.resize(10).unwrap();
        assert_eq!(budget.held_bytes(), 50);
        drop((first, second));
        assert_eq!((budget.held_bytes(), budget.peak_bytes()), (0, 100));
    }

    #[test]
    fn a_floor_is_held_from_the_beginning_to_the_end() {
        let budget = Budget::new(100);
        let mut floored = budget.reservation_of_at_least(40, "floored").unwrap();
        floored.resize(0).unwrap();
        assert_eq!(budget.held_bytes(), 40);
        floored.resize(70).unwrap();
        assert_eq!(budget.reservation_of_at_least(31, "late").unwrap_err().kind(), ErrorKind::Limit);
        drop(floored);
        assert_eq!(budget.held_bytes(), 0);
    }
}
