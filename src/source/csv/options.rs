//! How CSV text is to be read.

use super::date_formats::DateFormats;
use super::dialect::{Dialect, LineEnd};
use super::encoding::{Encoding, InvalidBytes};
use super::fields::{Format, NullTokens};
use super::number_style::NumberStyle;
use super::wanted::WantedColumns;
use crate::error::{Error, ErrorKind, Result};
use crate::source::column_policy::ColumnPolicy;
use crate::types::ColumnType;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How CSV text is to be read. What is `None` is told from the head of each file.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Whether what is `None` here is told from samples; otherwise it is as RFC 4180 has it. Default true.
    pub sniff: bool,
    /// The byte between fields. Default: sniffed; commas, unless another fits.
    pub delimiter: Option<u8>,
    /// The byte around quoted fields, `Some(None)` if quotes are data. Default: sniffed; `"`, unless another fits.
    pub quote: Option<Option<u8>>,
    /// The byte before a quote inside of quoted fields, `Some(None)` if quotes are doubled. Default: sniffed.
    pub escape: Option<Option<u8>>,
    /// The byte that begins comment lines, `Some(None)` if there are none. Default: sniffed, `#` if any.
    pub comment: Option<Option<u8>>,
    /// What ends records. Default: sniffed; carriage returns where there are no line feeds.
    pub line_end: Option<LineEnd>,
    /// Lines before the header, or before the data if there is none. Default: sniffed.
    pub skip_rows: Option<usize>,
    /// Whether the first record of every file holds the names. Default: sniffed; it does, unless it cannot.
    pub has_header: Option<bool>,
    /// The decimal mark, `.` or `,`. Default: sniffed; a comma only where it does not delimit.
    pub decimal: Option<u8>,
    /// The byte between groups of three digits. Default: none; it is never guessed.
    pub thousands: Option<u8>,
    /// How dates and timestamps may be written, besides the common ways. Default: none.
    pub dates: DateFormats,
    /// The texts of unquoted fields that mean "missing". Default: empty and `NA`.
    pub nulls: NullTokens,
    /// How text is encoded. Default: undeclared.
    pub encoding: Encoding,
    /// What becomes of bytes that are not text in the declared encoding. Default: an error.
    pub invalid_bytes: InvalidBytes,
    /// Types given by the user, by column name. A value that does not fit such a type is an error.
    pub types: Vec<(String, ColumnType)>,
    /// Names and types of all columns. Default: as the files have it.
    pub wanted: WantedColumns,
    /// What becomes of columns that not every file has. Default: an error.
    pub columns: ColumnPolicy,
    /// What becomes of a record that breaks the grammar or has too few or too many fields. Default: an error.
    pub malformed: MalformedPolicy,
    /// Whether records that stand in the file as its header does are passed over and counted, as concatenated files
    /// have them. Not in files of one column. Default true.
    pub repeated_headers: bool,
    /// A record longer than so many bytes is malformed, rather than a use of memory: an error, or set aside.
    /// Default 64 MiB.
    pub max_record_bytes: usize,
    /// Files whose samples are read at the same time. Default: the cores available to the process.
    pub sample_threads: usize,
    /// Files of which samples are read for types, spread evenly over the set, the first and the last included; of
    /// the others only the header is read. Default 100.
    pub sample_files: usize,
    /// Other options for some of the files, in order. Default: none.
    pub for_files: Vec<FileRule>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            sniff: true,
            delimiter: None,
            quote: None,
            escape: None,
            comment: None,
            line_end: None,
            skip_rows: None,
            has_header: None,
            decimal: None,
            thousands: None,
            dates: DateFormats::default(),
            nulls: NullTokens::default(),
            encoding: Encoding::default(),
            invalid_bytes: InvalidBytes::Error,
            types: Vec::new(),
            wanted: WantedColumns::default(),
            columns: ColumnPolicy::Error,
            malformed: MalformedPolicy::Error,
            repeated_headers: true,
            max_record_bytes: 64 << 20,
            sample_threads: std::thread::available_parallelism().map_or(1, usize::from),
            sample_files: 100,
            for_files: Vec::new(),
        }
    }
}

impl CsvOptions {
    /// What is not told from samples, the rest as RFC 4180 has it.
    pub(super) fn format(&self) -> Format {
        Format {
            nulls: self.nulls.clone(),
            encoding: self.encoding,
            invalid_bytes: self.invalid_bytes,
            numbers: self.numbers().unwrap_or_default(),
            dates: self.dates.clone(),
            dialect: Dialect::default(),
        }
    }

    /// How numbers are written, as far as it is given. A point between thousands means a decimal comma.
    pub(super) fn numbers(&self) -> Result<NumberStyle> {
        let usual = if self.thousands == Some(b'.') { b',' } else { b'.' };
        NumberStyle::new(self.decimal.unwrap_or(usual), self.thousands)
    }

    /// Options that leave nothing of the format to be told from samples.
    pub fn given(format: Format) -> Self {
        let Format { dialect, nulls, encoding, invalid_bytes, numbers, dates } = format;
        CsvOptions {
            delimiter: Some(dialect.delimiter()),
            quote: Some(dialect.quote()),
            escape: Some(dialect.escape()),
            comment: Some(dialect.comment()),
            line_end: Some(dialect.line_end()),
            skip_rows: Some(0),
            has_header: Some(true),
            decimal: Some(numbers.decimal),
            thousands: numbers.thousands,
            dates,
            nulls,
            encoding,
            invalid_bytes,
            ..CsvOptions::default()
        }
    }

    /// The options for one file: these, changed by every rule that applies, in order.
    pub(super) fn of_file(&self, path: &Path) -> CsvOptions {
        let mut options = self.clone();
        for rule in self.for_files.iter().filter(|rule| rule.applies_to(path)) {
            (rule.change)(&mut options);
        }
        options
    }
}

/// What becomes of a malformed record, and of a value that does not fit a type given by the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MalformedPolicy {
    /// The run ends with an error that names the place.
    #[default]
    Error,
    /// The record is set aside and counted.
    Skip,
    /// A record with too few fields is filled up with nulls, and surplus fields that are empty are dropped, both
    /// counted; any other malformed record is set aside and counted.
    Pad,
}

/// A change of the options for files whose name or path matches.
#[derive(Clone)]
pub struct FileRule {
    pattern: glob::Pattern,
    change: Arc<dyn Fn(&mut CsvOptions) + Send + Sync>,
}

impl FileRule {
    /// Applies `change` to the options of every file that `pattern` matches: its name, or, if the pattern has a `/`
    /// in it, its path as given. Dialect, header, null tokens, encoding and the malformed policy can be other ones for
    /// each file; what concerns the set as a whole, such as types, is taken from the options of the set.
    ///
    /// # Errors
    /// `Syntax` when the pattern is none.
    pub fn new(pattern: &str, change: impl Fn(&mut CsvOptions) + Send + Sync + 'static) -> Result<Self> {
        let pattern = glob::Pattern::new(pattern).map_err(|error| {
            let message = format!("`{pattern}` is no file pattern: {}", error.msg);
            Error::new(ErrorKind::Syntax, message)
        })?;
        Ok(FileRule { pattern, change: Arc::new(change) })
    }

    /// The pattern.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// Whether the rule applies to this file.
    pub fn applies_to(&self, path: &Path) -> bool {
        match path.file_name() {
            Some(name) if !self.pattern.as_str().contains('/') => self.pattern.matches(&name.to_string_lossy()),
            _ => self.pattern.matches_path(path),
        }
    }
}

impl fmt::Debug for FileRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileRule").field(&self.pattern.as_str()).finish()
    }
}
