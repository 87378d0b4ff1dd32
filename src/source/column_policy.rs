//! One list of names from files that may have other columns, in another order.

use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// What becomes of columns that not every file of a set has. Columns are matched by name, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnPolicy {
    /// It is an error.
    #[default]
    Error,
    /// The columns are those of the first file: null where a file lacks one; what else a file has is not read, with
    /// one warning.
    Fill,
    /// The columns are those of all files, in the order in which they first appear, null where a file lacks one.
    Union,
}

/// The names of a set, taken from one file after the other.
pub(in crate::source) struct ColumnNames {
    policy: ColumnPolicy,
    names: Vec<String>,
    positions: HashMap<String, usize>,
    first_file: Option<Arc<str>>,
    surplus: Surplus,
}

/// Columns that are not read because the first file does not have them.
#[derive(Default)]
struct Surplus {
    first: Option<(Arc<str>, String)>,
    columns: u64,
    files: u64,
}

impl ColumnNames {
    pub(in crate::source) fn new(policy: ColumnPolicy) -> Self {
        let (names, positions) = (Vec::new(), HashMap::new());
        ColumnNames { policy, names, positions, first_file: None, surplus: Surplus::default() }
    }

    /// The names so far.
    pub(in crate::source) fn names(&self) -> &[String] {
        &self.names
    }

    pub(in crate::source) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// Takes in the names of one more file; returns, for each name known so far, where it stands among them.
    ///
    /// # Errors
    /// The policy wants all files to have the same columns, and this one has others.
    pub(in crate::source) fn take(&mut self, file: &Arc<str>, names: &[&str]) -> Result<Vec<Option<usize>>> {
        let first_file = match &self.first_file {
            Some(first) => Arc::clone(first),
            None => {
                names.iter().for_each(|name| self.add(name));
                Arc::clone(self.first_file.insert(Arc::clone(file)))
            }
        };
        self.settle_surplus(names, file, &first_file)?;
        let here: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let map: Vec<Option<usize>> = self.names.iter().map(|name| here.get(&**name).copied()).collect();
        if self.policy == ColumnPolicy::Error
            && let Some(missing) = map.iter().position(Option::is_none)
        {
            return Err(differs(format!("the column `{}` of {first_file} is missing here", self.names[missing]), file));
        }
        Ok(map)
    }

    /// What the user should know of columns that are not read.
    pub(in crate::source) fn warning(&self) -> Option<String> {
        let (file, name) = self.surplus.first.as_ref()?;
        let Surplus { columns, files, .. } = self.surplus;
        let first_file = self.first_file.as_deref().unwrap_or_default();
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
    }

    fn settle_surplus(&mut self, names: &[&str], file: &Arc<str>, first_file: &str) -> Result<()> {
        let mut any = 0;
        for name in names {
            if self.positions.contains_key(*name) {
                continue;
            }
            match self.policy {
                ColumnPolicy::Error => {
                    return Err(differs(format!("the column `{name}` is not in {first_file}"), file));
                }
                ColumnPolicy::Union => self.add(name),
                ColumnPolicy::Fill => {
                    self.surplus.first.get_or_insert_with(|| (Arc::clone(file), (*name).to_owned()));
                    any += 1;
                }
            }
        }
        self.surplus.columns += any;
        self.surplus.files += u64::from(any > 0);
        Ok(())
    }
}

fn differs(message: String, file: &str) -> Error {
    Error::new(ErrorKind::Malformed, message).in_file(file).hint(
        "the files of one question must have the same columns, in any order; --columns fill reads those of the first file, --columns union those of all",
    )
}
