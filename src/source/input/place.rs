//! Where streams are stored.

use crate::error::Result;
use crate::memory::{Unlinked, limit_of};
use std::path::PathBuf;

/// Environment variable: how many bytes of a stream may be stored.
pub(crate) const LIMIT_VARIABLE: &str = "OUTCROP_SPOOL_LIMIT";

/// Where a stream (a pipe, a terminal, stdin) is stored so that it can be read like a file, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct SpoolPlace {
    /// The directory. Default: `$OUTCROP_TMPDIR`; else the first of `$TMPDIR`, `/var/tmp` and the current directory
    /// that is writable and not in memory.
    pub directory: Option<PathBuf>,
    /// The largest number of bytes. Default: `$OUTCROP_SPOOL_LIMIT` (bytes, or with K, M, G or T behind the number);
    /// else nine tenths of what is free in the directory.
    pub limit_bytes: Option<u64>,
}

impl SpoolPlace {
    /// The limit that was asked for.
    ///
    /// # Errors
    /// `Syntax` when the environment variable is no number of bytes.
    pub(super) fn limit(&self) -> Result<Option<u64>> {
        self.limit_bytes.map_or_else(|| limit_of(LIMIT_VARIABLE), |given| Ok(Some(given)))
    }

    /// A new file.
    ///
    /// # Errors
    /// `Io` when no directory will do.
    pub(super) fn create(&self) -> Result<Unlinked> {
        Unlinked::create(self.directory.as_deref(), "a stream")
    }
}
