//! CSV and TSV text to Arrow columns.
//!
//! **Problem.** Text arrives in pieces cut anywhere, perhaps inside a quoted field, and must become typed columns near
//! the speed of memory, without ever turning a value into another one, or a record into none or two.
//! **Idea.** Two steps over plain byte slices. [`split()`] marks the records and fields of a batch of text in a
//! [`RecordIndex`], checking the structure of every record whatever is asked; [`parse_column`] converts one column of
//! those records. [`guess_record_start`] tells where to begin in a piece; whoever stitches the pieces checks the guess.
//! **Invariants.** Splitting depends on the text alone, not on engine, windows or cuts; every fast path has a slow
//! twin that the tests hold it to; a value that does not fit its column is reported as a [`Misfit`], never dropped.
//!
//! # The grammar
//! RFC 4180, and: a record ends at `\n` or `\r\n`; a quote matters only as the first byte of a field and from there
//! to its closing quote, where it is doubled to stand for itself; spaces belong to the field; NUL is data. A
//! [`Dialect`] may add an escape byte, comment lines, and carriage returns alone as line ends.
//!
//! # Deliberate differences from the `csv` crate
//! The crate is the judge of our splitter for valid input. Beyond that we differ, with a test each in
//! `tests/splitter.rs`:
//! - an unterminated quote is malformed (the crate ends the field with the file);
//! - text after a closing quote is malformed (the crate appends it to the field);
//! - a blank line in a file of one column is a record with an empty field (the crate skips it, and so do we when there
//!   are several columns);
//! - a carriage return without a line feed is data (the crate ends a record there);
//! - an escape byte before anything but a quote or an escape byte is data, so that `"C:\temp"` keeps its backslash (the
//!   crate drops it);
//! - a comment line that ends with the file is no record (in the crate it is, with one empty field);
//! - a record with too few or too many fields is malformed (as in the crate, unless it is told to be flexible).
//!
//! # Malformed records
//! They are an error, or set aside (see [`MalformedPolicy`]). A record with the wrong number of fields goes as a whole.
//! Where quotes are broken, its end is anyone's guess: its first line is set aside, and the next line begins a record.
//! A record longer than the limit loses its first line in the same way; its other lines, up to the limit, are read one
//! by one.
//!
//! # Headers that come again
//! A record that repeats the header is passed over and counted, whichever of its names stand in quotes, with a byte order
//! mark before it or not; files of one column excepted, for there a value may well be its name. A header with its names in
//! another order is a record like any other: what follows it belongs to other columns, which shows as values that fit no
//! type. Files with columns in another order are to be given one by one, not concatenated.

mod batches;
pub mod column;
mod columns;
mod date_common;
pub mod date_formats;
mod date_pattern;
pub mod datetime;
mod decisions;
pub mod dialect;
pub mod encoding;
pub mod fields;
pub mod guess;
pub mod header;
pub mod index;
pub mod infer;
mod look;
pub mod number;
pub mod number_style;
mod open;
mod options;
#[cfg(test)]
mod policy_tests;
mod reader;
mod recipe;
pub mod record;
mod scan;
#[cfg(test)]
mod scan_tests;
mod settings;
mod simd;
pub mod sniff;
mod source;
pub mod split;
mod strings;
mod take;
mod wanted;

pub use super::column_policy::ColumnPolicy;
pub use column::{ColumnSpec, Misfit, MisfitKind, Parsed, parse_column};
pub use date_formats::{DateFormat, DateFormats};
pub use decisions::{ColumnDecision, Decisions, FileDecision};
pub use dialect::{Dialect, LineEnd};
pub use encoding::{Encoding, InvalidBytes};
pub use fields::{Format, NullTokens};
pub use guess::guess_record_start;
pub use header::{Header, parse_header};
pub use index::RecordIndex;
pub use infer::{TypeGuess, widened_type};
pub use number_style::NumberStyle;
pub use options::{CsvOptions, FileRule, MalformedPolicy};
pub use record::{Malformed, MalformedKind};
pub use settings::{KEYS, byte, byte_or_none, decimal, line_end};
pub use simd::Engine;
pub use sniff::{Sniffed, sniff};
pub use source::CsvSource;
pub use split::{Limits, MAX_TEXT, Split, count_lines, split, split_with};
pub use wanted::WantedColumns;
