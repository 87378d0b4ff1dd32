//! Who may be busy.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Scope;

thread_local! {
    /// The crew that this thread is busy for.
    static CREW: RefCell<Option<Crew>> = const { RefCell::new(None) };
}

/// Permits to be busy; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Crew(Arc<Permits>);

#[derive(Debug)]
struct Permits {
    free: AtomicUsize,
}

/// How many threads the system would like to be busy.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many threads a pass may use here: in a task, which is busy itself, only its own.
pub(crate) fn threads_here() -> usize {
    let in_task = CREW.with_borrow(Option::is_some);
    if in_task { 1 } else { cores() }
}

/// Does work on a thread that is one of several already: tasks and passes in it get no other threads.
pub(crate) fn alone<T>(work: impl FnOnce() -> T) -> T {
    Crew::new(1).busy(work)
}

/// A permit, given back on drop.
pub(super) struct Permit(Crew);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.free.fetch_add(1, Ordering::AcqRel);
    }
}

impl Crew {
    /// A new crew, of which this thread has the first permit.
    fn new(workers: usize) -> Self {
        Crew(Arc::new(Permits { free: AtomicUsize::new(workers.max(1) - 1) }))
    }

    /// The crew of this thread, else a new one, with this thread's permit: others may have it when nothing is left to be done
    /// here but to wait.
    pub(super) fn here(workers: usize) -> (Self, Option<Permit>) {
        let new = || {
            let crew = Crew::new(workers);
            (crew.clone(), Some(Permit(crew)))
        };
        CREW.with_borrow(Clone::clone).map_or_else(new, |crew| (crew, None))
    }

    /// The crew that this thread is busy for, in a task.
    pub(super) fn of_this_thread() -> Option<Self> {
        CREW.with_borrow(Clone::clone)
    }

    /// A permit, if there is one.
    pub(super) fn permit(&self) -> Option<Permit> {
        let take = |free: usize| free.checked_sub(1);
        let taken = self.0.free.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take);
        taken.is_ok().then(|| Permit(self.clone()))
    }

    /// Whether there is a permit.
    pub(super) fn has_permit(&self) -> bool {
        self.0.free.load(Ordering::Relaxed) > 0
    }

    /// Runs `work` as one of the crew, on this thread.
    pub(super) fn busy<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Leaves the crew, also after a panic.
        struct Leave(Option<Crew>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CREW.set(self.0.take());
            }
        }
        let _leave = Leave(CREW.replace(Some(self.clone())));
        work()
    }
}

impl Permit {
    /// Has `work` done on another thread, if there is one; whether it is.
    pub(super) fn help<'scope>(self, scope: &'scope Scope<'scope, '_>, work: impl FnOnce() + Send + 'scope) -> bool {
        let builder = std::thread::Builder::new().name("outcrop-task".into());
        builder.spawn_scoped(scope, move || self.0.busy(work)).is_ok()
    }
}
