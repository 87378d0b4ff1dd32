//! How CSV text is to be read.

use super::fields::Format;
use crate::types::ColumnType;

/// How CSV text is to be read: the grammar, null tokens and encoding, the header, and types given by the user.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Delimiter, quote, null tokens and encoding. Default: comma, `"`, empty and `NA`, undeclared.
    pub format: Format,
    /// Whether the first record of every file holds the names. Default true.
    pub has_header: bool,
    /// Types given by the user, by column name. A value that does not fit such a type is an error.
    pub types: Vec<(String, ColumnType)>,
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
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            format: Format::default(),
            has_header: true,
            types: Vec::new(),
            malformed: MalformedPolicy::Error,
            repeated_headers: true,
            max_record_bytes: 64 << 20,
            sample_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
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
