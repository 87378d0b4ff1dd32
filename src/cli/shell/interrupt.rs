//! Ctrl-C: cancels what is being done. Of a session that a person has it ends nothing; other signals do.

use crate::atomic::remove_unfinished;
use crate::cli::progress::Progress;
use crate::cli::signals::on_signals;
use crate::panics::lock;
use crate::source::CancelToken;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Exit code after Ctrl-C, as a shell gives it.
pub(super) const INTERRUPTED: u8 = 130;

/// How long an entry may take to stop after Ctrl-C before it is left to itself.
pub(super) const GRACE: Duration = Duration::from_millis(300);

/// How long after Ctrl-C another one ends a session whose entry neither stops nor is left.
const STUBBORN: Duration = Duration::from_secs(2);

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
        on_signals(move |is_ctrl_c| if is_ctrl_c { interrupts.raise() } else { interrupts.end_program() });
    }

    fn raise(&self) {
        let mut current = lock(&self.current);
        let is_late = current.cancelled.is_none_or(|at| at.elapsed() > STUBBORN);
        match &current.token {
            Some(token) if !token.is_cancelled() => {
                token.cancel();
                current.cancelled = Some(Instant::now());
            }
            Some(_) if self.interactive && !is_late => {}
            // At the prompt of a terminal that does not edit lines, or just before it.
            None if self.interactive => {}
            _ => {
                drop(current);
                self.end_program();
            }
        }
    }

    /// Gives what is being done a little time to stop.
    fn end_program(&self) {
        let token = lock(&self.current).token.take();
        if let Some(token) = token {
            token.cancel();
            std::thread::sleep(GRACE);
        }
        remove_unfinished();
        std::process::exit(i32::from(INTERRUPTED));
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
