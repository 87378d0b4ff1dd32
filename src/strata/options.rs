//! How strata are worked on.

use crate::error::{Error, ErrorKind, Result};
use crate::parallel::Allocation;
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

/// How strata are worked on.
#[derive(Clone, Debug, Default)]
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
}
