//! The account of reserved bytes.

use super::allocator::Retention;
use super::size::ByteSize;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// An account of bytes with a limit; clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
    /// Of them, those of results, which may have half of the limit: the work that is still to do needs the rest.
    results_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
    /// Requests for more, and which of them is refused whatever there is, for tests.
    requests: AtomicU64,
    refused: Option<Refused>,
    retention: Retention,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    at: u64,
    lasting: bool,
}

impl Budget {
    /// An account that refuses to hold more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Budget::with(limit_bytes, None)
    }

    fn with(limit_bytes: usize, refused: Option<Refused>) -> Self {
        let [held_bytes, results_bytes, peak_bytes] = Default::default();
        let (requests, retention) = Default::default();
        let account = Account { limit_bytes, held_bytes, results_bytes, peak_bytes, requests, refused, retention };
        Budget(Arc::new(account))
    }

    /// An account that refuses its `at`-th request, counted from one, whatever there is, and if `lasting` all behind it.
    #[doc(hidden)]
    pub fn refusing(limit_bytes: usize, at: u64, lasting: bool) -> Self {
        Budget::with(limit_bytes, Some(Refused { at, lasting }))
    }

    /// How often more was asked of an account that [refuses](Budget::refusing).
    #[doc(hidden)]
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// An account that refuses to hold more than `limit`.
    pub fn of_size(limit: ByteSize) -> Self {
        Budget::new(usize::try_from(limit.0).unwrap_or(usize::MAX))
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

    /// How long a block of rows on disk is at most, so that some of them have room in memory side by side.
    pub(crate) fn block_bytes(&self) -> usize {
        (self.limit_bytes() / 256).clamp(16 << 10, 256 << 10)
    }

    /// Bytes that nobody holds now.
    pub(crate) fn free_bytes(&self) -> usize {
        self.limit_bytes().saturating_sub(self.held_bytes())
    }

    /// Whether so little is free that whoever can let go of memory should do so before a result is made.
    pub(crate) fn is_scarce(&self) -> bool {
        self.free_bytes() < self.limit_bytes() / 4
    }

    /// The most bytes held at any time.
    pub fn peak_bytes(&self) -> usize {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    /// An empty reservation; `purpose` names its holder in messages.
    pub fn reservation(&self, purpose: &'static str) -> Reservation {
        Reservation { budget: self.clone(), purpose, of_results: false, bytes: 0, floor_bytes: 0 }
    }

    /// An empty reservation for results, which together may have half of the limit.
    pub(crate) fn reservation_of_results(&self) -> Reservation {
        let mut reservation = self.reservation("results");
        reservation.of_results = true;
        reservation
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

    /// Books bytes; or tells how many are held.
    fn take(&self, bytes: usize, of_results: bool) -> std::result::Result<(), usize> {
        let account = &*self.0;
        if let Some(refused) = account.refused {
            let request = account.requests.fetch_add(1, Ordering::Relaxed) + 1;
            if request == refused.at || refused.lasting && request > refused.at {
                return Err(self.held_bytes());
            }
        }
        let book = |bytes_held: &AtomicUsize, limit: usize| {
            let sum = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= limit);
            bytes_held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
        };
        if of_results {
            book(&account.results_bytes, account.limit_bytes / 2)?;
        }
        match book(&account.held_bytes, account.limit_bytes) {
            Ok(before) => {
                account.peak_bytes.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(held) => {
                if of_results {
                    account.results_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(held)
            }
        }
    }

    fn give_back(&self, bytes: usize, of_results: bool) {
        self.0.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if of_results {
            self.0.results_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes held for one purpose; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    purpose: &'static str,
    of_results: bool,
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
            self.budget.take(bytes - self.bytes, self.of_results).map_err(|held| self.refused(bytes, held))?;
        } else {
            self.budget.give_back(self.bytes - bytes, self.of_results);
        }
        self.bytes = bytes;
        let account = &*self.budget.0;
        account.retention.moved(self.budget.held_bytes(), account.limit_bytes);
        Ok(())
    }

    /// Takes over what another holds of the same account, and the least that it holds.
    pub(crate) fn absorb(&mut self, mut other: Reservation) {
        debug_assert!(Arc::ptr_eq(&self.budget.0, &other.budget.0) && self.of_results == other.of_results);
        self.bytes += std::mem::take(&mut other.bytes);
        self.floor_bytes += std::mem::take(&mut other.floor_bytes);
    }

    /// So many of the bytes that it never holds less than, for another holder.
    pub(crate) fn part(&mut self, bytes: usize) -> Reservation {
        let bytes = bytes.min(self.floor_bytes);
        self.bytes -= bytes;
        self.floor_bytes -= bytes;
        Reservation { budget: self.budget.clone(), bytes, floor_bytes: bytes, ..*self }
    }

    /// Whether so many bytes are no more than it holds in any case: nothing is gained from letting go of them.
    pub(crate) fn keeps(&self, bytes: usize) -> bool {
        bytes <= self.floor_bytes
    }

    /// It is for the rows of results.
    pub(crate) fn is_of_results(&self) -> bool {
        self.of_results
    }

    /// The account.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The limit of the account.
    pub fn limit_bytes(&self) -> usize {
        self.budget.limit_bytes()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn refused(&self, asked: usize, held: usize) -> Error {
        // What others have from the beginning grows with the limit, but leaves more than a third of what is added.
        let enough = self.budget.0.limit_bytes.saturating_add(asked.saturating_mul(3));
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
        .hint(format!(
            "raise the memory limit (--memory, OUTCROP_MEMORY); {} would be enough for this",
            ByteSize(enough as u64).rounded_up()
        ))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes, self.of_results);
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
    fn results_never_have_more_than_half() {
        let budget = Budget::new(100);
        let [mut first, mut second] = [budget.reservation_of_results(), budget.reservation_of_results()];
        first.resize(30).unwrap();
        assert!(second.resize(21).is_err());
        second.resize(20).unwrap();
        let mut work = budget.reservation("work");
        work.resize(50).unwrap();
        first.resize(0).unwrap();
        work.resize(80).unwrap();
        assert!(first.resize(1).is_err());
        work.resize(0).unwrap();
        first.resize(30).unwrap();
        drop((first, second));
        assert_eq!(budget.held_bytes(), 0);
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
