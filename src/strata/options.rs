//! How strata are worked on.

use crate::error::{Error, ErrorKind, Result};
use crate::parallel::Allocation;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a stratum that fails at every attempt, once all others are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run ends with its error.
    #[default]
    Fail,
    /// It is left out, with a warning.
    Skip,
}

impl OnError {
    /// `fail` or `skip`.
    ///
    /// # Errors
    /// `Syntax` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "fail" => Ok(OnError::Fail),
            "skip" => Ok(OnError::Skip),
            other => Err(Error::new(ErrorKind::Syntax, format!("`{other}` is neither fail nor skip"))),
        }
    }
}

/// Told what a program said on stderr: the keys of its stratum in words, and the end of what it said, some KiB.
pub type SaidCallback = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How strata are worked on.
#[derive(Clone, Default)]
pub struct StrataOptions {
    /// How many are worked on at a time. Default: as many as the run has threads.
    pub workers: Option<usize>,
    /// Who takes which stratum. Default: whoever is free the largest that is left.
    pub allocation: Allocation,
    /// How often a stratum that failed is tried again. Default: never.
    pub retries: usize,
    /// A program that takes longer over a stratum is ended; functions are not. Default: none.
    pub timeout: Option<Duration>,
    /// What becomes of a stratum that fails at every attempt. Default: the run fails.
    pub on_error: OnError,
    /// Told what a program that succeeded said on stderr; called from any thread. What one says that fails stands in its
    /// error. Default: nobody.
    pub on_said: Option<SaidCallback>,
}

impl fmt::Debug for StrataOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrataOptions")
            .field("workers", &self.workers)
            .field("allocation", &self.allocation)
            .field("retries", &self.retries)
            .field("timeout", &self.timeout)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}
