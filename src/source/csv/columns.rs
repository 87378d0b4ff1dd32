//! One list of columns from files that may have other columns, in another order.

use super::look::{FieldGuess, Looked};
use crate::error::Result;
use crate::source::column_policy::{ColumnNames, ColumnPolicy};

/// The columns of a set, taken from one file after the other.
pub(super) struct Columns {
    names: ColumnNames,
    /// One a column.
    pub(super) guesses: Vec<FieldGuess>,
}

impl Columns {
    pub(super) fn new(policy: ColumnPolicy) -> Self {
        Columns { names: ColumnNames::new(policy), guesses: Vec::new() }
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        self.names.names()
    }

    /// Takes in the columns of one more file; returns, for each column known so far, the number of its field there.
    pub(super) fn take(&mut self, looked: &Looked) -> Result<Vec<Option<usize>>> {
        let file = looked.text.input().name();
        let here: Vec<&str> = looked.header.names.iter().map(String::as_str).collect();
        let map = self.names.take(file, &here).map_err(|error| error.with_place(|place| place.line = Some(1)))?;
        self.guesses.resize_with(self.names().len(), FieldGuess::default);
        for (guess, &field) in self.guesses.iter_mut().zip(&map) {
            let Some(seen) = field.and_then(|field| looked.guesses.get(field)) else { continue };
            guess.why_text = guess.why_text.take().or_else(|| seen.why_text.clone());
            guess.take(|guess| guess.merge(seen.guess), || format!("{file} holds text there"));
        }
        Ok(map)
    }

    /// The names and what was seen of their values.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<FieldGuess>) {
        (self.names.into_names(), self.guesses)
    }

    /// What the user should know of columns that are not read.
    pub(super) fn warning(&self) -> Option<String> {
        self.names.warning()
    }
}
