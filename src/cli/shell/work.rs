//! The thread that does what is typed.

use super::complete::Names;
use super::entry::Entry;
use super::interrupt::{GRACE, INTERRUPTED, Interrupts};
use super::state::State;
use super::{Flags, told};
use crate::atomic::remove_unfinished;
use crate::error::{Error, ErrorKind};
use crate::source::CancelToken;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// As much as a main thread has: statements nest.
const STACK_BYTES: usize = 8 << 20;

/// How often it is looked whether what is done was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// What became of entries.
#[derive(Default)]
pub(super) struct Done {
    /// What the program would leave if it ended now, if something went wrong.
    pub(super) code: Option<u8>,
    /// The session is over.
    pub(super) quit: bool,
    /// What can be completed.
    pub(super) names: Arc<Names>,
}

/// Entries, and the token that cancels them.
type Job = (Vec<Entry>, CancelToken);

/// The thread, seen from the one that waits for it.
pub(super) struct Worker {
    jobs: Sender<Job>,
    done: Receiver<Done>,
    interrupts: Arc<Interrupts>,
    interactive: bool,
    quiet: bool,
    names: Arc<Names>,
    /// Jobs of which nobody waits for the end.
    left: usize,
}

impl Worker {
    /// Begins a session, whose tables are opened first: [`Worker::wait`] tells of them.
    pub(super) fn begin(flags: Flags, interactive: bool, interrupts: Arc<Interrupts>) -> Result<Self, Error> {
        let (jobs, to_do) = channel::<Job>();
        let (tell, done) = channel();
        let quiet = flags.run.quiet;
        let token = CancelToken::new();
        interrupts.begin(token.clone());
        let of_worker = Arc::clone(&interrupts);
        let work = move || {
            let mut state = match State::new(flags, interactive, of_worker, token.clone()) {
                Ok(state) => state,
                Err(error) => {
                    let code = told(Err(error.into()));
                    // Nobody may wait any more.
                    let _ = tell.send(Done { code, quit: true, ..Done::default() });
                    return;
                }
            };
            let code = token.is_cancelled().then_some(INTERRUPTED);
            let _ = tell.send(Done { code, quit: false, names: state.names() });
            for (entries, token) in to_do {
                let outcome = state.perform(&entries, &token);
                let code = told(outcome);
                let done = Done { code, quit: state.is_over(), names: state.names() };
                if tell.send(done).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("shell".to_owned()).stack_size(STACK_BYTES).spawn(work);
        thread.map_err(|error| Error::new(ErrorKind::Io, format!("cannot begin a thread: {error}")))?;
        Ok(Worker { jobs, done, interrupts, interactive, quiet, names: Arc::default(), left: 0 })
    }

    /// Whether nothing but answers is wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Does the entries, and waits until they are done or left to themselves.
    pub(super) fn perform(&mut self, entries: Vec<Entry>) -> Done {
        let token = CancelToken::new();
        self.interrupts.begin(token.clone());
        if self.jobs.send((entries, token)).is_err() {
            return Done { quit: true, ..Done::default() };
        }
        self.wait()
    }

    /// Waits for what was begun last.
    pub(super) fn wait(&mut self) -> Done {
        let done = loop {
            match self.done.recv_timeout(LOOK) {
                // Of one that was left, which had to end first.
                Ok(_) if self.left > 0 => self.left -= 1,
                Ok(done) => break done,
                Err(RecvTimeoutError::Disconnected) => break Done { quit: true, ..Done::default() },
                Err(RecvTimeoutError::Timeout) => {
                    if self.interrupts.cancelled().is_none_or(|at| at.elapsed() < GRACE) {
                        continue;
                    }
                    if !self.interactive {
                        remove_unfinished();
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                    self.left += 1;
                    break Done { code: Some(INTERRUPTED), quit: false, names: Arc::clone(&self.names) };
                }
            }
        };
        self.interrupts.end();
        if self.interactive && done.code == Some(INTERRUPTED) {
            super::say("interrupted");
        }
        self.names = Arc::clone(&done.names);
        done
    }
}
