//! What is said of all columns of a set at once, beside types for some of them.

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::types::ColumnType;
use std::collections::HashSet;

/// Names and types of all columns, rather than of some by their names.
#[derive(Clone, Debug, Default)]
pub struct WantedColumns {
    /// Whether a column without a type of its own is text. Default false.
    pub all_text: bool,
    /// The columns in order, as they are to be called, and types of them; or, where each has a type and is called as a
    /// column of the files, types of these alone. Default: as the files have it.
    pub columns: Vec<(String, Option<ColumnType>)>,
}

impl WantedColumns {
    /// For each column of the files: how it is to be called, and its type if that is wanted.
    ///
    /// # Errors
    /// `Name` when other columns are named than the files have, or one twice.
    pub(super) fn of(&self, own: &[String]) -> Result<Vec<(String, Option<ColumnType>)>> {
        let known: HashSet<&str> = own.iter().map(String::as_str).collect();
        if self.columns.iter().all(|(name, given)| given.is_some() && known.contains(name.as_str())) {
            let given = |own: &String| self.columns.iter().rev().find(|(name, _)| name == own)?.1;
            return Ok(own.iter().map(|own| (own.clone(), given(own))).collect());
        }
        // Where most names are those of columns, another one is a slip, and no new name.
        let others = || self.columns.iter().filter(|(name, _)| !known.contains(name.as_str()));
        let have_types = self.columns.iter().all(|(_, given)| given.is_some());
        let is_slip = have_types && 2 * others().count() <= self.columns.len();
        if let Some((unknown, _)) = others().next().filter(|_| is_slip) {
            let error = Error::new(ErrorKind::Name, format!("no column `{unknown}`, beside others that there are"));
            let renames = "names => ['…', …] gives all columns names of their own";
            return Err(match did_you_mean(unknown, own.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`? {renames}")),
                None => error.hint(format!("columns are {}; {renames}", own.join(", "))),
            });
        }
        if self.columns.len() != own.len() {
            let are_named =
                if self.columns.len() == 1 { "1 column is" } else { &format!("{} columns are", self.columns.len()) };
            let message = format!("{are_named} named, and the files have {}", own.len());
            return Err(Error::new(ErrorKind::Name, message).hint(format!(
                "these are {}; types => {{'{}': 'varchar'}} gives a type to some of them",
                own.join(", "),
                own.first().map_or("a", String::as_str)
            )));
        }
        let mut seen = HashSet::new();
        match self.columns.iter().find(|(name, _)| !seen.insert(name)) {
            Some((twice, _)) => Err(Error::new(ErrorKind::Name, format!("two columns are named `{twice}`"))),
            None => Ok(self.columns.clone()),
        }
    }
}
