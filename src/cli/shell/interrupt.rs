//! Ctrl-C: cancels what is being done, and ends the program where nothing is.

use crate::atomic::remove_unfinished;
use crate::cli::progress::Progress;
use crate::panics::lock;
use crate::source::CancelToken;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Exit code after Ctrl-C, as a shell gives it.
pub(super) const INTERRUPTED: u8 = 130;

/// How long an entry may take to stop after Ctrl-C before it is left to itself.
pub(super) const GRACE: Duration = Duration::from_millis(300);

/// What is being done, for the handler of signals.
pub(super) struct Interrupts {
    current: Mutex<Current>,
    /// The session goes on without what was cancelled.
    interactive: bool,
}

#[derive(Default)]
struct Current {
    /// Of the entries that are being done.
    token: Option<CancelToken>,
    cancelled: Option<Instant>,
    progress: Option<Arc<Progress>>,
}

impl Interrupts {
    pub(super) fn new(interactive: bool) -> Self {
        Interrupts { current: Mutex::default(), interactive }
    }

    /// Has signals handled from now on.
    pub(super) fn listen(self: &Arc<Self>) {
        let interrupts = Arc::clone(self);
        // Without a handler Ctrl-C ends the process at once, which loses the session.
        let _ = ctrlc::set_handler(move || interrupts.raise());
    }

    fn raise(&self) {
        let mut current = lock(&self.current);
        let patient = self.interactive && current.cancelled.is_some_and(|at| at.elapsed() <= GRACE);
        match &current.token {
            Some(token) if !token.is_cancelled() => {
                token.cancel();
                current.cancelled = Some(Instant::now());
            }
            Some(_) if patient => {}
            _ => {
                drop(current);
                remove_unfinished();
                std::process::exit(i32::from(INTERRUPTED));
            }
        }
    }

    /// Entries are being done from now on, with this token.
    pub(super) fn begin(&self, token: CancelToken) {
        *lock(&self.current) = Current { token: Some(token), ..Current::default() };
    }

    /// They show how far they are.
    pub(super) fn shows(&self, progress: &Arc<Progress>) {
        lock(&self.current).progress = Some(Arc::clone(progress));
    }

    /// When they were cancelled, if they were.
    pub(super) fn cancelled(&self) -> Option<Instant> {
        lock(&self.current).cancelled
    }

    /// They have been done, or left to themselves.
    pub(super) fn end(&self) {
        let current = std::mem::take(&mut *lock(&self.current));
        if let Some(progress) = current.progress {
            progress.finish(false);
        }
    }
}
