//! Where work is done.

use crate::error::{Error, ErrorKind, Result};

/// Where the scheduler is looked for.
pub(crate) const SCHEDULER_VARIABLE: &str = "OUTCROP_SCHEDULER";

/// Where work is done. Results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// On worker threads, as many as the options say.
    #[default]
    Threads,
    /// On the calling thread, one partition after the other: for debugging. The answers are the same.
    Synchronous,
    /// In worker processes, as many as the options say, see [`init`](crate::init): passes over files, and strata and tasks given
    /// to functions. What cannot be sent there is done on threads.
    Processes,
}

impl Scheduler {
    /// The scheduler called `name`: `threads`, `synchronous` or `processes`.
    ///
    /// # Errors
    /// `Name` for any other.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "threads" => Ok(Scheduler::Threads),
            "synchronous" | "sync" => Ok(Scheduler::Synchronous),
            "processes" => Ok(Scheduler::Processes),
            _ => Err(Error::new(ErrorKind::Name, format!("no scheduler `{name}`"))
                .hint("schedulers are threads, synchronous and processes")),
        }
    }

    /// The scheduler that `$OUTCROP_SCHEDULER` names, else threads.
    pub(crate) fn of_environment() -> Self {
        let named = std::env::var(SCHEDULER_VARIABLE).ok();
        named.and_then(|name| Scheduler::parse(&name).ok()).unwrap_or_default()
    }
}
