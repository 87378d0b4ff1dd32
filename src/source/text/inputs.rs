//! Opening text files, some of which have been opened before to tell their format.

use crate::error::Result;
use crate::source::decompress::{TextFile, TextOptions};
use crate::source::input::{InputCounters, InputFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The inputs of a source in the making: what is read is counted together, and a stream comes only once, so whoever
/// looked at it hands it on.
#[derive(Debug, Default)]
pub(crate) struct TextInputs {
    pub(crate) counters: Arc<InputCounters>,
    stream: Option<(PathBuf, Arc<InputFile>)>,
}

impl TextInputs {
    /// The file at `path`, as [`TextFile::open_with`] opens it.
    ///
    /// # Errors
    /// As that.
    pub(crate) fn open(&self, path: &Path, options: TextOptions) -> Result<TextFile> {
        match &self.stream {
            Some((known, stored)) if known == path => TextFile::over(Arc::clone(stored), options),
            _ => TextFile::open_with(path, &self.counters, options),
        }
    }

    /// Opens a stream, which is kept for [`TextInputs::open`].
    ///
    /// # Errors
    /// As [`InputFile::open`].
    pub(crate) fn open_stream(&mut self, path: &Path) -> Result<Arc<InputFile>> {
        let stored = Arc::new(InputFile::open(path, &self.counters)?);
        self.stream = Some((path.to_path_buf(), Arc::clone(&stored)));
        Ok(stored)
    }
}
