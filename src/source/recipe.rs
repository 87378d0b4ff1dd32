//! How another process of this program opens the same source.
//!
//! **Problem.** A worker process must read exactly the rows that the program would read, without looking at samples again and
//! without opening files that are not its own.
//! **Idea.** A source says, as bytes, what it has decided: which files there are and what they were when they were opened, how
//! each is read, names and types of the columns. Whoever opens such a recipe says which files it will read; of the others
//! nothing is read.
//! **Invariant.** Ordinals of files and columns are those of the source that gave the recipe.

use super::Source;
use super::arrow_types::unify::SetColumn;
use super::constants::ConstantColumns;
use super::csv::CsvSource;
use super::ipc::IpcSource;
use super::ndjson::NdjsonSource;
use super::parquet::ParquetSource;
use crate::error::{Error, Result};
use crate::parallel::Message;
use arrow::datatypes::{Field, Schema, SchemaRef};
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

impl Message for SetColumn {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.name.clone(), self.column_type).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (name, column_type) = Message::receive(bytes)?;
        Ok(SetColumn { name, column_type })
    }
}

/// The columns that were put behind the bytes, and their schema.
///
/// # Errors
/// `Internal` for other bytes.
pub(super) fn columns(bytes: &mut &[u8]) -> Result<(Arc<[SetColumn]>, SchemaRef)> {
    let columns: Arc<[SetColumn]> = Vec::receive(bytes)?.into();
    let field = |column: &SetColumn| Field::new(&column.name, column.column_type.arrow(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    Ok((columns, Arc::new(schema)))
}

/// Files of text that were put behind the bytes, each with whether it will be read.
///
/// # Errors
/// A file cannot be opened; `Internal` for other bytes.
pub(super) fn text_files<File>(
    bytes: &mut &[u8],
    wanted: &Range<u32>,
    mut receive: impl FnMut(&mut &[u8], bool) -> Result<File>,
) -> Result<Arc<[File]>> {
    let files = u32::receive(bytes)?;
    (0..files).map(|at| receive(bytes, wanted.contains(&at))).collect()
}

/// All files, of which those that are wanted are opened. Of the others only the place in the list and the name are asked for, so
/// one that was opened stands in for them.
///
/// # Errors
/// Those of opening; `Internal` when no file is wanted.
pub(super) fn files<Known, File: Clone>(
    known: &[Known],
    wanted: &Range<u32>,
    open: impl Fn(&Known) -> Result<File>,
    stand_in: impl Fn(File, &Known) -> Result<File>,
) -> Result<Vec<File>> {
    let is_wanted = |at: usize| wanted.contains(&(at as u32));
    let own = known.iter().enumerate().filter(|(at, _)| is_wanted(*at));
    let opened = own.map(|(_, known)| open(known)).collect::<Result<Vec<File>>>()?;
    let any = opened.first().cloned().ok_or_else(|| Error::internal("a recipe of files none of which is read"))?;
    let mut opened = opened.into_iter();
    let file = |(at, known): (usize, &Known)| match is_wanted(at).then(|| opened.next()).flatten() {
        Some(file) => Ok(file),
        None => stand_in(any.clone(), known),
    };
    known.iter().enumerate().map(file).collect()
}

/// Puts a value behind the bytes.
///
/// # Errors
/// As text, for who asks why there is no recipe.
pub(super) fn put(value: &impl Message, bytes: &mut Vec<u8>) -> Result<(), String> {
    value.send(bytes).map_err(|error| error.to_string())
}
