//! Who asks for memory that others hold.
//!
//! **Problem.** What a worker has read may be more than was reserved for it, while the sinks of other workers hold the rest.
//! **Idea.** It lets go of what its own sinks hold, then asks: others see that and let go of theirs, at the next partition or
//! where they wait, and of rows that wait for their turn. Of several that ask, the one with the earliest partition is
//! served first. Its request has failed for good when it was refused after all others had been idle for a moment.
//! **Invariants.**
//! - A worker that is idle has nothing in its sinks beyond what these have from the beginning, of its partition only what
//!   reading it took, and takes nothing before it is idle no more.
//! - Whoever waits for another worker becomes idle when one asks, so that nobody asks for ever.

use crate::source::PartitionId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The requests of the workers of a pass.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    workers: AtomicUsize,
    /// For which partitions.
    asking: Mutex<BTreeSet<PartitionId>>,
    idle: AtomicUsize,
    done: AtomicUsize,
}

impl Pressure {
    /// There are so many workers.
    pub(super) fn of(&self, workers: usize) {
        self.workers.store(workers, Ordering::SeqCst);
    }

    /// Whether a worker asks.
    pub(super) fn is_on(&self) -> bool {
        !self.asking().is_empty()
    }

    fn asking(&self) -> MutexGuard<'_, BTreeSet<PartitionId>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker asks for this partition that has let go of what it could, as long as this lives.
    pub(super) fn ask(&self, partition: PartitionId) -> Asking<'_> {
        self.asking().insert(partition);
        Asking { pressure: self, partition, _idle: self.idle() }
    }

    /// A worker has let go of what it could and waits, as long as this lives.
    pub(super) fn idle(&self) -> Idle<'_> {
        Idle { _idle: Counted::new(&self.idle) }
    }

    /// A worker has nothing more to do.
    pub(super) fn done(&self) -> Done<'_> {
        self.done.fetch_add(1, Ordering::SeqCst);
        Done(self)
    }
}

/// See [`Pressure::ask`].
pub(super) struct Asking<'a> {
    pressure: &'a Pressure,
    partition: PartitionId,
    _idle: Idle<'a>,
}

impl Asking<'_> {
    /// Whether nothing can be hoped for any more: nobody asks for an earlier partition, and all others are idle.
    pub(super) fn is_last_hope(&self) -> bool {
        self.pressure.asking().first() == Some(&self.partition)
            && self.pressure.idle.load(Ordering::SeqCst) >= self.pressure.workers.load(Ordering::SeqCst)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.pressure.asking().remove(&self.partition);
    }
}

/// See [`Pressure::idle`].
pub(super) struct Idle<'a> {
    _idle: Counted<'a>,
}

/// See [`Pressure::done`].
pub(super) struct Done<'a>(&'a Pressure);

impl Done<'_> {
    pub(super) fn others_work(&self) -> bool {
        self.0.done.load(Ordering::SeqCst) < self.0.workers.load(Ordering::SeqCst)
    }
}

/// One more, as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_when_all_others_are_idle_and_nobody_is_earlier() {
        let partition = |ordinal: u64| PartitionId { file: 0, ordinal };
        let pressure = Pressure::default();
        pressure.of(3);
        assert!(!pressure.is_on());
        let asking = pressure.ask(partition(5));
        assert!(pressure.is_on() && !asking.is_last_hope());
        let waits = pressure.idle();
        assert!(!asking.is_last_hope());
        let earlier = pressure.ask(partition(4));
        assert!(earlier.is_last_hope() && !asking.is_last_hope(), "the later one waits for the earlier");
        drop(waits);
        assert!(!earlier.is_last_hope());
        drop(earlier);
        assert!(pressure.is_on());
        drop(asking);
        assert!(!pressure.is_on());
        let first = pressure.done();
        let second = pressure.done();
        assert!(first.others_work() && second.others_work());
        pressure.done();
        assert!(!first.others_work());
    }
}
