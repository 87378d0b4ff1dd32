//! Who asks for memory that others hold.
//!
//! **Problem.** What a worker has read may be more than was reserved for it, while the sinks of other workers hold the rest.
//! **Idea.** It lets go of what its own sinks hold, then asks: others see that and let go of theirs, at the next partition or
//! where they wait. Its request has failed for good when it was refused after all others had been idle for a moment, or when
//! it has waited long (others may wait for what it has in its hands).
//! **Invariant.** A worker that is idle has nothing in its sinks and takes nothing before it is idle no more.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The requests of the workers of a pass.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    workers: AtomicUsize,
    asking: AtomicUsize,
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
        self.asking.load(Ordering::SeqCst) > 0
    }

    /// A worker asks that has let go of what it could, as long as this lives.
    pub(super) fn ask(&self) -> Asking<'_> {
        Asking { pressure: self, _asking: Counted::new(&self.asking), _idle: self.idle() }
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
    _asking: Counted<'a>,
    _idle: Idle<'a>,
}

impl Asking<'_> {
    pub(super) fn others_are_idle(&self) -> bool {
        self.pressure.idle.load(Ordering::SeqCst) >= self.pressure.workers.load(Ordering::SeqCst)
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
    fn a_refusal_is_final_when_all_others_are_idle() {
        let pressure = Pressure::default();
        pressure.of(3);
        assert!(!pressure.is_on());
        let asking = pressure.ask();
        assert!(pressure.is_on() && !asking.others_are_idle());
        let waits = pressure.idle();
        assert!(!asking.others_are_idle());
        let also = pressure.ask();
        assert!(asking.others_are_idle() && also.others_are_idle());
        drop(waits);
        assert!(!also.others_are_idle());
        drop((asking, also));
        assert!(!pressure.is_on());
        let first = pressure.done();
        let second = pressure.done();
        assert!(first.others_work() && second.others_work());
        pressure.done();
        assert!(!first.others_work());
    }
}
