//! How to run: chosen apart from what is asked.

use crate::memory::{Budget, Spill};
pub use crate::parallel::{Scheduler, Timeline};
use crate::source::CancelToken;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Something the user should know, though the answer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a pass has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// One-based number of the pass.
    pub pass: u64,
    /// Stored bytes handed out to workers.
    pub bytes_done: u64,
    /// Stored bytes in all inputs of the pass.
    pub bytes_total: u64,
    /// Records committed.
    pub records: u64,
}

/// A callback for warnings; called from any thread.
pub type WarningCallback = Arc<dyn Fn(&Warning) + Send + Sync>;
/// A callback for progress; called from any thread, at most about ten times a second.
pub type ProgressCallback = Arc<dyn Fn(Progress) + Send + Sync>;

/// How to run.
#[derive(Clone)]
pub struct RunOptions {
    /// Worker threads, or worker processes. Default: the cores available to the process; in a [task](crate::parallel::Tasks), 1.
    pub threads: usize,
    /// Where the work is done. Default: `OUTCROP_SCHEDULER`, else threads.
    pub scheduler: Scheduler,
    /// Bytes of text in a partition. Default 1 MiB.
    pub piece_bytes: usize,
    /// Bytes of text in a batch. Default 256 KiB.
    pub batch_bytes: usize,
    /// Stops the run from outside.
    pub cancel: CancelToken,
    /// Where records that were set aside, and values for which a question did without a record, are written as CSV,
    /// with file, line, byte, column, reason and the record as it stands there (bytes that are not UTF-8 as `\xE9`).
    /// The rows are in input order. The file appears when the run has ended well. Default: nowhere.
    pub rejects: Option<PathBuf>,
    /// The memory account. Default: see [`Budget::of_environment`].
    pub budget: Budget,
    /// Where what does not fit in memory goes.
    pub spill: Spill,
    /// Told of warnings. Default: nobody (they also come back with the result).
    pub on_warning: Option<WarningCallback>,
    /// Told of progress. Default: nobody.
    pub on_progress: Option<ProgressCallback>,
    /// Takes note of which worker did which partition, or stratum, when. Default: nobody does.
    pub timeline: Option<Timeline>,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            threads: crate::parallel::threads_here(),
            scheduler: Scheduler::of_environment(),
            piece_bytes: 1 << 20,
            batch_bytes: 1 << 18,
            cancel: CancelToken::new(),
            rejects: None,
            budget: Budget::of_environment().unwrap_or_else(|_| Budget::unlimited()),
            spill: Spill::default(),
            on_warning: None,
            on_progress: None,
            timeline: None,
        }
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("threads", &self.threads)
            .field("scheduler", &self.scheduler)
            .field("piece_bytes", &self.piece_bytes)
            .field("batch_bytes", &self.batch_bytes)
            .finish_non_exhaustive()
    }
}

impl RunOptions {
    /// How many workers a pass has.
    pub(crate) fn workers(&self) -> usize {
        match self.scheduler {
            Scheduler::Threads | Scheduler::Processes => self.threads.max(1),
            Scheduler::Synchronous => 1,
        }
    }
}
