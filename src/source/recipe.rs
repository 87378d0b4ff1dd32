//! How another process of this program opens the same source.
//!
//! **Problem.** A worker process must read exactly the rows that the program would read, without looking at samples again and
//! without opening files that are not its own.
//! **Idea.** A source says, as bytes, what it has decided: which files there are and what they were when they were opened, how
//! each is read, names and types of the columns. Whoever opens such a recipe says which files it will read; of the others
//! nothing is read.
//! **Invariant.** Ordinals of files and columns are those of the source that gave the recipe.

use super::Source;
use super::constants::ConstantColumns;
use super::csv::CsvSource;
use super::ipc::IpcSource;
use super::ndjson::NdjsonSource;
use super::parquet::ParquetSource;
use crate::error::{Error, Result};
use crate::parallel::Message;
use std::ops::Range;
use std::sync::Arc;

/// What another process needs to open the same source; made by the sources of this crate.
#[derive(Clone, Debug)]
pub struct Recipe(Vec<u8>);

/// Sources that have recipes.
#[derive(Clone, Copy, Debug)]
pub(super) enum SourceKind {
    Constants,
    Csv,
    Ndjson,
    Parquet,
    Ipc,
}

const KINDS: [SourceKind; 5] =
    [SourceKind::Constants, SourceKind::Csv, SourceKind::Ndjson, SourceKind::Parquet, SourceKind::Ipc];

impl Recipe {
    /// The recipe of a source of this kind, which `write` tells of.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn of(kind: SourceKind, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<Self, String> {
        let mut bytes = vec![kind as u8];
        write(&mut bytes)?;
        Ok(Recipe(bytes))
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The source of a recipe, of which the files of these ordinals will be read and no others.
///
/// # Errors
/// A file cannot be opened or has changed; `Internal` for bytes that are no recipe.
pub(crate) fn open(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Arc<dyn Source>> {
    let kind = KINDS.get(usize::from(u8::receive(bytes)?)).ok_or_else(|| Error::internal("a recipe of no source"))?;
    Ok(match kind {
        SourceKind::Constants => Arc::new(ConstantColumns::of_recipe(bytes, wanted)?),
        SourceKind::Csv => Arc::new(CsvSource::of_recipe(bytes, wanted)?),
        SourceKind::Ndjson => Arc::new(NdjsonSource::of_recipe(bytes, wanted)?),
        SourceKind::Ipc => Arc::new(IpcSource::of_recipe(bytes, wanted)?),
        SourceKind::Parquet => Arc::new(ParquetSource::of_recipe(bytes, wanted)?),
    })
}

/// Puts a value behind the bytes.
///
/// # Errors
/// As text, for who asks why there is no recipe.
pub(super) fn put(value: &impl Message, bytes: &mut Vec<u8>) -> Result<(), String> {
    value.send(bytes).map_err(|error| error.to_string())
}
