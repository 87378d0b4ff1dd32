//! A flag that stops a run from outside.

use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that stops a run from outside; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<CancelToken>>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        CancelToken::default()
    }

    /// Asks every run that holds a clone of this token to stop; it returns an error of kind `Cancelled`.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.parent.as_deref().is_some_and(CancelToken::is_cancelled)
    }

    /// Whether work may go on.
    ///
    /// # Errors
    /// `Cancelled` when it may not.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::new(ErrorKind::Cancelled, "the run was cancelled")) } else { Ok(()) }
    }

    /// A token that is cancelled by this one, and those above it, but does not cancel it.
    pub(crate) fn child(&self) -> Self {
        CancelToken { flag: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }
}
