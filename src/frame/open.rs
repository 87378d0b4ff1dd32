//! From files of any format to a described table.

use super::lazy::LazyFrame;
use super::scan::CsvScan;
use crate::error::{Error, ErrorKind, Result};
use crate::source::column_policy::ColumnPolicy;
use crate::source::constants::{ConstantColumns, hive_keys};
use crate::source::csv::{CsvOptions, CsvSource};
use crate::source::detect::{InputFormat, detect_all};
use crate::source::ipc::{IpcOptions, IpcSource};
use crate::source::ndjson::{NdjsonOptions, NdjsonSource};
use crate::source::parquet::ParquetSource;
use crate::source::paths::{IntoPaths, expand};
use crate::source::{Source, TextInputs};
use crate::types::ColumnType;
use std::path::PathBuf;
use std::sync::Arc;

/// The table in files of one format, which is told by their content and never by their name: CSV or NDJSON (plain or
/// compressed), Parquet, Arrow IPC.
///
/// Paths are files, globs (sorted by name; `**` goes down) or directories. Reads what the schema needs, nothing more.
///
/// # Errors
/// No such file, no match, an unknown format, files of different formats, and what the format's own reader finds.
///
/// # Example
/// ```
/// let air = outcrop::scan("testdata/airline/*.csv.bz2")?;
/// assert!(air.schema()?.index_of("DepDelay").is_ok());
/// # Ok::<(), outcrop::Error>(())
/// ```
pub fn scan(paths: impl IntoPaths) -> Result<LazyFrame> {
    FileScan::new(paths).open()
}

/// [`scan`] with options.
#[derive(Clone, Debug)]
pub struct FileScan {
    csv: CsvScan,
    /// What the user calls an option that was given and that only CSV has.
    csv_only: Option<String>,
    format: Option<InputFormat>,
    hive: bool,
    memory_map: bool,
}

impl FileScan {
    /// A scan of these paths, globs or directories with default options.
    pub fn new(paths: impl IntoPaths) -> Self {
        FileScan::of(CsvScan::new(paths), None)
    }

    /// A scan with the paths and options of `csv`, should the files turn out to be CSV. `csv_only` is what the user
    /// calls an option that was given and that other formats do not have: with them it is an error.
    pub fn of(csv: CsvScan, csv_only: Option<&str>) -> Self {
        FileScan { csv, csv_only: csv_only.map(str::to_owned), format: None, hive: true, memory_map: true }
    }

    /// Takes the files to be of this format. Default: told by their content.
    #[must_use]
    pub fn format(mut self, format: InputFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Whether folders `key=value` in the paths are columns. Default true.
    #[must_use]
    pub fn hive(mut self, hive: bool) -> Self {
        self.hive = hive;
        self
    }

    /// Whether Arrow IPC files are mapped into memory, without copies. A mapped file must not change while it is read:
    /// one that is cut short meanwhile ends the process with SIGBUS. Default true.
    #[must_use]
    pub fn memory_map(mut self, memory_map: bool) -> Self {
        self.memory_map = memory_map;
        self
    }

    /// What becomes of columns that not every file has; those of NDJSON files are always those of all of them. Default:
    /// an error.
    #[must_use]
    pub fn columns(mut self, policy: ColumnPolicy) -> Self {
        self.csv = self.csv.columns(policy);
        self
    }

    /// Gives a column its type; a value that does not fit is then an error. Default: inferred, or as the file says.
    #[must_use]
    pub fn with_type(mut self, column: impl Into<String>, column_type: ColumnType) -> Self {
        self.csv = self.csv.with_type(column, column_type);
        self
    }

    /// The described table.
    ///
    /// # Errors
    /// As [`scan`]; `Syntax` for an option that the format does not have.
    pub fn open(self) -> Result<LazyFrame> {
        let files = expand(&self.csv.paths)?;
        let mut inputs = TextInputs::default();
        let format = match self.format {
            Some(given) => given,
            None => detect_all(&files, &mut inputs)?,
        };
        if let Some(option) = self.csv_only.as_ref().filter(|_| format != InputFormat::Csv) {
            return Err(Error::new(ErrorKind::Syntax, format!("{option} is for CSV, and the files are {format}"))
                .hint("leave it out, or use --input-format csv"));
        }
        let (hive, columns) = (self.hive, self.csv.options.columns);
        if format == InputFormat::Ndjson && columns == ColumnPolicy::Fill {
            let message = "the columns of NDJSON files are those of all of them, not those of the first (fill)";
            return Err(Error::new(ErrorKind::Syntax, message).hint("leave out --columns fill"));
        }
        let (types, threads) = (self.csv.options.types.clone(), self.csv.options.sample_threads);
        match format {
            InputFormat::Csv => self.csv.open_files(files, hive, &inputs),
            InputFormat::Ndjson => {
                let options = NdjsonOptions::from(&self.csv.options);
                with_constants(&files, hive, options.types.clone(), |types| {
                    NdjsonSource::over(&files, NdjsonOptions { types, ..options }, &inputs)
                })
            }
            InputFormat::Parquet => with_constants(&files, hive, types, |types| {
                refuse_types(&types, format)?;
                ParquetSource::open(&files, threads, columns)
            }),
            InputFormat::Ipc => with_constants(&files, hive, types, |types| {
                refuse_types(&types, format)?;
                IpcSource::open(&files, IpcOptions { memory_map: self.memory_map, threads, columns })
            }),
        }
    }
}

/// The table of a source with the columns that its paths give. Types given for keys of folders are taken out of `types`
/// before `open` is called, for the files need not have such columns.
pub(super) fn with_constants<S: Source + 'static>(
    files: &[PathBuf],
    hive: bool,
    types: Vec<(String, ColumnType)>,
    open: impl FnOnce(Vec<(String, ColumnType)>) -> Result<S>,
) -> Result<LazyFrame> {
    let keys = files.first().filter(|_| hive).map(|file| hive_keys(&file.display().to_string())).unwrap_or_default();
    let is_key = |name: &String| keys.iter().any(|(key, _)| key == name);
    let (of_keys, of_columns): (Vec<_>, Vec<_>) = types.into_iter().partition(|(name, _)| is_key(name));
    let source = Arc::new(open(of_columns)?);
    Ok(LazyFrame::from_source(Arc::new(ConstantColumns::new(source, hive, &of_keys)?)))
}

/// Files that state the types of their columns are read with those.
fn refuse_types(types: &[(String, ColumnType)], format: InputFormat) -> Result<()> {
    let Some((name, column_type)) = types.first() else { return Ok(()) };
    let message = format!("a type is given for `{name}`, but {format} files state the types of their columns");
    Err(Error::new(ErrorKind::Syntax, message).hint(format!("cast({name} as {column_type}) in a question converts it")))
}

/// A set of CSV files as a table.
pub(super) fn open_csv(
    files: &[PathBuf],
    mut options: CsvOptions,
    hive: bool,
    inputs: &TextInputs,
) -> Result<LazyFrame> {
    let types = std::mem::take(&mut options.types);
    with_constants(files, hive, types, |types| {
        options.types = types;
        CsvSource::over(files, options, inputs)
    })
}
