//! From Parquet files to a described table.

use super::lazy::LazyFrame;
use super::open::with_constants;
use crate::error::Result;
use crate::source::column_policy::ColumnPolicy;
use crate::source::parquet::ParquetSource;
use crate::source::paths::{IntoPaths, expand};
use std::path::PathBuf;

/// The table in Parquet files: paths, globs (sorted by name) or directories.
///
/// Reads the footer of every file, nothing more. Bytes that are not UTF-8 are shown as `\xNN`. The files need the same
/// columns, in any order ([`ParquetScan::columns`] allows others); a field of a struct is a column `struct.field`, and of
/// a list its length can be asked for, as `list.length`. A column whose types in several files do not go together is
/// refused when it is asked for.
///
/// # Errors
/// No such file, no match, a footer that is broken, encrypted or contradicts its file, columns that differ.
pub fn scan_parquet(paths: impl IntoPaths) -> Result<LazyFrame> {
    ParquetScan::new(paths).open()
}

/// [`scan_parquet`] with options.
#[derive(Clone, Debug)]
pub struct ParquetScan {
    paths: Vec<PathBuf>,
    footer_threads: usize,
    columns: ColumnPolicy,
}

impl ParquetScan {
    /// A scan of these paths, globs or directories with default options.
    pub fn new(paths: impl IntoPaths) -> Self {
        let footer_threads = std::thread::available_parallelism().map_or(1, usize::from);
        ParquetScan { paths: paths.into_paths(), footer_threads, columns: ColumnPolicy::Error }
    }

    /// Files whose footers are read at the same time. Default: the cores available to the process.
    #[must_use]
    pub fn footer_threads(mut self, threads: usize) -> Self {
        self.footer_threads = threads;
        self
    }

    /// What becomes of columns that not every file has. Default: an error.
    #[must_use]
    pub fn columns(mut self, policy: ColumnPolicy) -> Self {
        self.columns = policy;
        self
    }

    /// The described table.
    ///
    /// # Errors
    /// As [`scan_parquet`].
    pub fn open(self) -> Result<LazyFrame> {
        let files = expand(&self.paths)?;
        with_constants(&files, true, Vec::new(), |_| ParquetSource::open(&files, self.footer_threads, self.columns))
    }
}
