//! From files to a described table.

use super::lazy::LazyFrame;
use super::open::open_csv;
use crate::error::{Error, Result};
use crate::source::TextInputs;
use crate::source::csv::{
    ColumnPolicy, CsvOptions, DateFormats, Encoding, FileRule, InvalidBytes, LineEnd, MalformedPolicy, NullTokens,
};
use crate::source::paths::{IntoPaths, expand};
use crate::types::ColumnType;
use std::path::PathBuf;

/// The table in CSV files: paths, globs (sorted by name) or directories, each file plain, bzip2, gzip or zstd.
///
/// Reads samples of every file for names and types, nothing more.
///
/// # Errors
/// No such file, no match, an unknown compression, a damaged beginning, headers that differ.
pub fn scan_csv(paths: impl IntoPaths) -> Result<LazyFrame> {
    CsvScan::new(paths).open()
}

/// [`scan_csv`] with options. What is not given is told from samples; `outcrop schema --explain` and
/// [`CsvSource::decisions`](crate::source::csv::CsvSource::decisions) say what was decided and why.
#[derive(Clone, Debug)]
pub struct CsvScan {
    pub(super) paths: Vec<PathBuf>,
    pub(super) options: CsvOptions,
    failed: Option<Error>,
}

impl CsvScan {
    /// A scan of these paths, globs or directories with default options.
    pub fn new(paths: impl IntoPaths) -> Self {
        CsvScan { paths: paths.into_paths(), options: CsvOptions::default(), failed: None }
    }

    /// Whether what is not given is told from samples; otherwise it is as RFC 4180 has it: commas, doubled double
    /// quotes, a header. Default true.
    #[must_use]
    pub fn sniff(mut self, sniff: bool) -> Self {
        self.options.sniff = sniff;
        self
    }

    /// The byte between fields. Default: told from samples.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.options.delimiter = Some(delimiter);
        self
    }

    /// The byte around quoted fields, `None` if quotes are data. Default: told from samples.
    #[must_use]
    pub fn quote(mut self, quote: Option<u8>) -> Self {
        self.options.quote = Some(quote);
        self
    }

    /// The byte before a quote inside of quoted fields, `None` if such quotes are doubled. Default: told from samples.
    #[must_use]
    pub fn escape(mut self, escape: Option<u8>) -> Self {
        self.options.escape = Some(escape);
        self
    }

    /// The byte that begins comment lines, `None` if there are none. Default: told from samples.
    #[must_use]
    pub fn comment(mut self, comment: Option<u8>) -> Self {
        self.options.comment = Some(comment);
        self
    }

    /// Lines before the header, or before the data where there is none. Default: told from samples.
    #[must_use]
    pub fn skip_rows(mut self, lines: usize) -> Self {
        self.options.skip_rows = Some(lines);
        self
    }

    /// What ends records. Default: told from samples.
    #[must_use]
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.options.line_end = Some(line_end);
        self
    }

    /// How dates and timestamps may be written, besides the common ways. Default: none.
    #[must_use]
    pub fn date_formats(mut self, formats: DateFormats) -> Self {
        self.options.dates = formats;
        self
    }

    /// The decimal mark, `.` or `,`. Default: told from samples.
    #[must_use]
    pub fn decimal(mut self, mark: u8) -> Self {
        self.options.decimal = Some(mark);
        self
    }

    /// The byte between groups of three digits. Default none: it is never guessed.
    #[must_use]
    pub fn thousands(mut self, mark: Option<u8>) -> Self {
        self.options.thousands = mark;
        self
    }

    /// The texts of unquoted fields that mean "missing". Default empty and `NA`.
    #[must_use]
    pub fn null_tokens<'a>(mut self, tokens: impl IntoIterator<Item = &'a str>) -> Self {
        self.options.nulls = NullTokens::new(tokens);
        self
    }

    /// The encoding of text fields. Default: UTF-8, and fields that are not are read as windows-1252 and counted.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.options.encoding = encoding;
        self
    }

    /// What becomes of bytes that are not in the encoding given. Default: an error.
    #[must_use]
    pub fn invalid_bytes(mut self, policy: InvalidBytes) -> Self {
        self.options.invalid_bytes = policy;
        self
    }

    /// Whether the first record of every file holds the names; without, columns are `column_1`, …. Default: told from
    /// samples; it does, unless it holds nothing but values, or values that come again.
    #[must_use]
    pub fn has_header(mut self, has_header: bool) -> Self {
        self.options.has_header = Some(has_header);
        self
    }

    /// What becomes of columns that not every file has. Default: an error.
    #[must_use]
    pub fn columns(mut self, policy: ColumnPolicy) -> Self {
        self.options.columns = policy;
        self
    }

    /// Files of which samples are read for types, spread evenly over the set, the first and the last included; of the
    /// others only the header is read. Default 100.
    #[must_use]
    pub fn sample_files(mut self, files: usize) -> Self {
        self.options.sample_files = files;
        self
    }

    /// Other options for the files that `pattern` matches: their name, or, with a `/` in it, their path.
    ///
    /// ```
    /// use outcrop::frame::CsvScan;
    /// use outcrop::source::csv::MalformedPolicy;
    ///
    /// let planes = CsvScan::new("testdata/airline/plane-data.csv")
    ///     .for_files("plane*.csv", |options| options.malformed = MalformedPolicy::Pad)
    ///     .open()?;
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn for_files(mut self, pattern: &str, change: impl Fn(&mut CsvOptions) + Send + Sync + 'static) -> Self {
        match FileRule::new(pattern, change) {
            Ok(rule) => self.options.for_files.push(rule),
            Err(error) => self.failed = self.failed.or(Some(error)),
        }
        self
    }

    /// Sets any option by its name, as in a flag; see [`CsvOptions::set`].
    ///
    /// # Errors
    /// As [`CsvOptions::set`].
    pub fn set(mut self, key: &str, value: &str) -> Result<Self> {
        self.options.set(key, value)?;
        Ok(self)
    }

    /// Sets every option in a list such as `malformed=pad, delimiter=';'`; see [`CsvOptions::set_all`].
    ///
    /// # Errors
    /// As [`CsvOptions::set_all`].
    pub fn set_all(mut self, list: &str) -> Result<Self> {
        self.options.set_all(list)?;
        Ok(self)
    }

    /// Adds a rule for some of the files.
    #[must_use]
    pub fn rule(mut self, rule: FileRule) -> Self {
        self.options.for_files.push(rule);
        self
    }

    /// Gives a column its type; a value that does not fit is then an error. Default: inferred from samples.
    #[must_use]
    pub fn with_type(mut self, column: impl Into<String>, column_type: ColumnType) -> Self {
        self.options.types.push((column.into(), column_type));
        self
    }

    /// Whether a column that is given no type is text. Default false.
    #[must_use]
    pub fn all_text(mut self, all_text: bool) -> Self {
        self.options.wanted.all_text = all_text;
        self
    }

    /// The columns in order, as they are to be called, and types of them; or, where each has a type and is called as a
    /// column of the files, types of these alone. Default: as the files have it.
    ///
    /// ```
    /// use outcrop::frame::CsvScan;
    ///
    /// let carriers = CsvScan::new("testdata/airline/carriers.csv").named_columns([("code", None), ("name", None)]).open()?;
    /// assert!(carriers.schema()?.index_of("name").is_ok());
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn named_columns<N: Into<String>>(
        mut self,
        columns: impl IntoIterator<Item = (N, Option<ColumnType>)>,
    ) -> Self {
        self.options.wanted.columns = columns.into_iter().map(|(name, given)| (name.into(), given)).collect();
        self
    }

    /// What becomes of a record that breaks the grammar or has too few or too many fields, and of a value that does not
    /// fit a type or encoding given here. Default: an error.
    ///
    /// A record whose quotes are broken costs its first line; reading goes on at the next. A value that does not fit
    /// sets its record aside for the questions that read it, and for no other.
    #[must_use]
    pub fn malformed(mut self, policy: MalformedPolicy) -> Self {
        self.options.malformed = policy;
        self
    }

    /// Whether records that stand in a file as its header does are passed over and counted. Default true.
    #[must_use]
    pub fn repeated_headers(mut self, passed_over: bool) -> Self {
        self.options.repeated_headers = passed_over;
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
    /// As [`scan_csv`]; `Unsupported` for a dialect or encoding that cannot be read; `Name` for a type of no column;
    /// `Syntax` for a pattern of [`CsvScan::for_files`] that is none.
    pub fn open(self) -> Result<LazyFrame> {
        let files = expand(&self.paths)?;
        self.open_files(files, true, &TextInputs::default())
    }

    /// The table in these files, with the keys of their folders if `hive`.
    pub(super) fn open_files(self, files: Vec<PathBuf>, hive: bool, inputs: &TextInputs) -> Result<LazyFrame> {
        match self.failed {
            Some(error) => Err(error),
            None => open_csv(&files, self.options, hive, inputs),
        }
    }
}
