//! From files to a described table.

use super::lazy::LazyFrame;
use super::open::open_csv;
use crate::error::Result;
use crate::source::csv::{CsvOptions, Dialect, Encoding, NullTokens};
use crate::source::paths::{IntoPaths, expand};
use crate::types::ColumnType;
use std::path::{Path, PathBuf};

/// The table in CSV files: paths, globs (sorted by name) or directories, each file plain, bzip2, gzip or zstd.
///
/// Reads samples of every file for names and types, nothing more.
///
/// # Errors
/// No such file, no match, an unknown compression, a damaged beginning, headers that differ.
pub fn scan_csv(paths: impl IntoPaths) -> Result<LazyFrame> {
    CsvScan::new(paths).open()
}

/// [`scan_csv`] with options.
#[derive(Clone, Debug)]
pub struct CsvScan {
    pub(super) paths: Vec<PathBuf>,
    pub(super) options: CsvOptions,
    delimiter: Option<u8>,
    quote: Option<u8>,
}

impl CsvScan {
    /// A scan of these paths, globs or directories with default options.
    pub fn new(paths: impl IntoPaths) -> Self {
        CsvScan { paths: paths.into_paths(), options: CsvOptions::default(), delimiter: None, quote: Some(b'"') }
    }

    /// The byte between fields. Default `,`, and tab when every file is named `….tsv`, compressed or not.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// The byte around quoted fields, `None` if quotes are data. Default `"`.
    #[must_use]
    pub fn quote(mut self, quote: Option<u8>) -> Self {
        self.quote = quote;
        self
    }

    /// The texts of unquoted fields that mean "missing". Default empty and `NA`.
    #[must_use]
    pub fn null_tokens<'a>(mut self, tokens: impl IntoIterator<Item = &'a str>) -> Self {
        self.options.format.nulls = NullTokens::new(tokens);
        self
    }

    /// The encoding of text fields. Default: UTF-8, and fields that are not are read as windows-1252 and counted.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.options.format.encoding = encoding;
        self
    }

    /// Whether the first record of every file holds the names. Default true; without, columns are `column_1`, ….
    #[must_use]
    pub fn has_header(mut self, has_header: bool) -> Self {
        self.options.has_header = has_header;
        self
    }

    /// Gives a column its type; a value that does not fit is then an error. Default: inferred from samples.
    #[must_use]
    pub fn with_type(mut self, column: impl Into<String>, column_type: ColumnType) -> Self {
        self.options.types.push((column.into(), column_type));
        self
    }

    /// A record longer than so many bytes is an error. Default 64 MiB.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.options.max_record_bytes = bytes;
        self
    }

    /// Files whose samples are read at the same time. Default: the cores available to the process.
    #[must_use]
    pub fn sample_threads(mut self, threads: usize) -> Self {
        self.options.sample_threads = threads;
        self
    }

    /// The described table.
    ///
    /// # Errors
    /// As [`scan_csv`]; `Unsupported` for a dialect or encoding that cannot be read; `Name` for a type of no column.
    pub fn open(self) -> Result<LazyFrame> {
        let files = expand(&self.paths)?;
        self.open_files(files, true)
    }

    /// The table in these files, with the keys of their folders if `hive`.
    pub(super) fn open_files(mut self, files: Vec<PathBuf>, hive: bool) -> Result<LazyFrame> {
        let by_name = if files.iter().all(|file| is_tsv(file)) { b'\t' } else { b',' };
        self.options.format.dialect = Dialect::new(self.delimiter.unwrap_or(by_name), self.quote)?;
        open_csv(&files, self.options, hive)
    }
}

/// Whether the name says tab-separated, compressed or not.
fn is_tsv(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bare = [".bz2", ".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    bare.ends_with(".tsv")
}
