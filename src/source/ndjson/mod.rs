//! NDJSON (one JSON object a line) to Arrow columns.
//!
//! **Problem.** The same as of CSV: text comes in pieces cut anywhere and must become typed columns on all cores; but
//! each record names its own columns, in any order, and may leave some out.
//! **Idea.** A line end is never part of a JSON string, so it always ends a record: a piece is read from behind its
//! first line end on, and there is nothing to guess. One strict reading of a record (`record`) finds the places of the
//! values of the columns wanted (`keys`); columns are made of those places ([`column`]) as CSV's are of fields.
//! **Invariants.** Every line is checked whole, whatever is asked; a value that does not fit its column is reported,
//! never dropped; a key that no sample showed is warned of, never dropped in silence.
//!
//! # From JSON to columns
//! - Keys become columns in the order in which samples of all files show them; a key that a record lacks is null there.
//! - An object becomes columns: `{"a":{"b":1}}` has the column `a.b`. An array is text: its JSON. So is an object where
//!   other records hold a plain value, and whatever else stands in a column of values of several types.
//! - Whole numbers are Int64, others Float64, `true` and `false` Boolean, strings text, but Date or Timestamp if all of
//!   a column are ISO dates or times. `"12"` is text, `""` and `"NA"` are no nulls. Of a key given twice in one object
//!   the last value counts.
//! - The text is UTF-8, with or without a byte order mark; lines that are not are malformed.

mod column;
mod keys;
mod open;
mod reader;
mod record;
mod scan;
mod source;
#[cfg(test)]
mod tests;

pub use source::{NdjsonOptions, NdjsonSource};

use keys::{KeyTree, Node};
use record::{Value, Visitor, read_record};
use std::ops::Range;

/// Whether a line is a JSON object and nothing else.
pub(crate) fn is_json_object(line: &[u8]) -> bool {
    struct Ignore;
    impl Visitor for Ignore {
        fn value(&mut self, _node: Node, _entry: usize, _key: Range<usize>, _value: Value) {}
        fn unknown(&mut self, _node: Node, _key: Range<usize>) {}
    }
    let tree = KeyTree::default();
    // What was looked at may end within a character.
    read_record(line, 0..line.len(), &mut &tree, &mut Ignore).is_ok()
}

/// A value for a message: at most 60 characters.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
