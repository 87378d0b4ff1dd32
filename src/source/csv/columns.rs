//! One list of columns from files that may have other columns, in another order.

use super::header::Header;
use super::look::{FieldGuess, Looked};
use super::options::ColumnPolicy;
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// The columns of a set, taken from one file after the other.
pub(super) struct Columns {
    policy: ColumnPolicy,
    pub(super) names: Vec<String>,
    positions: HashMap<String, usize>,
    /// One a column.
    pub(super) guesses: Vec<FieldGuess>,
    first_file: Arc<str>,
    surplus: Surplus,
}

/// Columns that are not read because the first file does not have them.
#[derive(Default)]
struct Surplus {
    first: Option<(Arc<str>, String)>,
    columns: u64,
    files: u64,
}

impl Columns {
    pub(super) fn new(policy: ColumnPolicy) -> Self {
        Columns {
            policy,
            names: Vec::new(),
            positions: HashMap::new(),
            guesses: Vec::new(),
            first_file: Arc::from(""),
            surplus: Surplus::default(),
        }
    }

    /// Takes in the columns of one more file; returns, for each column known so far, the number of its field there.
    pub(super) fn take(&mut self, looked: &Looked) -> Result<Vec<Option<usize>>> {
        let file = looked.text.input().name();
        let header = &looked.header;
        if self.names.is_empty() {
            self.first_file = Arc::clone(file);
            header.names.iter().for_each(|name| self.add(name));
        }
        self.settle_surplus(header, file)?;
        let here: HashMap<&str, usize> = header.names.iter().enumerate().map(|(at, name)| (&**name, at)).collect();
        let map: Vec<Option<usize>> = self.names.iter().map(|name| here.get(&**name).copied()).collect();
        if self.policy == ColumnPolicy::Error
            && let Some(missing) = map.iter().position(Option::is_none)
        {
            let name = &self.names[missing];
            let message = format!("the column `{name}` of {} is missing here", self.first_file);
            return Err(self.differs(message, file));
        }
        for (guess, &field) in self.guesses.iter_mut().zip(&map) {
            let Some(seen) = field.and_then(|field| looked.guesses.get(field)) else { continue };
            guess.why_text = guess.why_text.take().or_else(|| seen.why_text.clone());
            guess.take(|guess| guess.merge(seen.guess), || format!("{file} holds text there"));
        }
        Ok(map)
    }

    /// What the user should know of columns that are not read.
    pub(super) fn warning(&self) -> Option<String> {
        let (file, name) = self.surplus.first.as_ref()?;
        let Surplus { columns, files, .. } = self.surplus;
        let first_file = &self.first_file;
        Some(if columns == 1 {
            format!(
                "{file}: the column `{name}` is not in {first_file} and is not read\nhint: --columns union reads it"
            )
        } else {
            let files = if files == 1 { "one file".to_owned() } else { format!("{files} files") };
            format!(
                "{columns} columns of {files} are not in {first_file} and are not read, `{name}` of {file} first\nhint: --columns union reads them"
            )
        })
    }

    fn add(&mut self, name: &str) {
        self.positions.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.guesses.push(FieldGuess::default());
    }

    fn settle_surplus(&mut self, header: &Header, file: &Arc<str>) -> Result<()> {
        let mut any = 0;
        for name in &header.names {
            if self.positions.contains_key(name) {
                continue;
            }
            match self.policy {
                ColumnPolicy::Error => {
                    return Err(self.differs(format!("the column `{name}` is not in {}", self.first_file), file));
                }
                ColumnPolicy::Union => self.add(name),
                ColumnPolicy::Fill => {
                    self.surplus.first.get_or_insert_with(|| (Arc::clone(file), name.clone()));
                    any += 1;
                }
            }
        }
        self.surplus.columns += any;
        self.surplus.files += u64::from(any > 0);
        Ok(())
    }

    fn differs(&self, message: String, file: &str) -> Error {
        Error::new(ErrorKind::Malformed, message).in_file(file).with_place(|place| place.line = Some(1)).hint(
            "the files of one question must have the same columns, in any order; --columns fill reads those of the first file, --columns union those of all",
        )
    }
}
