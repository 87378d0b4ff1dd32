//! A set of NDJSON files as a [`Source`].

use super::keys::KeyTree;
use super::open::{NdjsonColumn, NdjsonFile, open};
use super::scan::scan;
use crate::error::Result;
use crate::parallel::Message;
use crate::source::csv::{CsvOptions, MalformedPolicy};
use crate::source::decompress::TextFile;
use crate::source::input::InputCounters;
use crate::source::recipe::{Recipe, SourceKind, put, text_files};
use crate::source::text::{self, TextInputs};
use crate::source::{PartitionInfo, Scan, ScanRequest, Source};
use crate::types::ColumnType;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How NDJSON text is to be read.
#[derive(Clone, Debug)]
pub struct NdjsonOptions {
    /// Types given by the user, by column name. A value that does not fit such a type is an error. A name that no sample
    /// shows becomes a column.
    pub types: Vec<(String, ColumnType)>,
    /// What becomes of a line that is not a JSON object. `Pad` does as `Skip`. Default: an error.
    pub malformed: MalformedPolicy,
    /// A record longer than so many bytes is an error rather than a use of memory. Default 64 MiB.
    pub max_record_bytes: usize,
    /// Files whose samples are read at the same time. Default: the cores available to the process.
    pub sample_threads: usize,
}

impl Default for NdjsonOptions {
    fn default() -> Self {
        NdjsonOptions::from(&CsvOptions::default())
    }
}

/// What CSV and NDJSON have in common.
impl From<&CsvOptions> for NdjsonOptions {
    fn from(options: &CsvOptions) -> Self {
        NdjsonOptions {
            types: options.types.clone(),
            malformed: options.malformed,
            max_record_bytes: options.max_record_bytes,
            sample_threads: options.sample_threads,
        }
    }
}

/// A set of NDJSON files, each plain or compressed.
#[derive(Clone)]
pub struct NdjsonSource {
    pub(super) files: Arc<[NdjsonFile]>,
    pub(super) columns: Vec<NdjsonColumn>,
    pub(super) tree: Arc<KeyTree>,
    schema: SchemaRef,
    pub(super) options: Arc<NdjsonOptions>,
    warnings: Arc<[String]>,
    pub(super) counters: Arc<InputCounters>,
    /// Microseconds spent on samples that the statistics of no run have told of.
    sample_micros: Arc<AtomicU64>,
}

impl fmt::Debug for NdjsonSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NdjsonSource").field("files", &self.describe()).field("schema", &self.schema).finish()
    }
}

impl NdjsonSource {
    /// Opens the files at `paths` and infers keys and types from samples of each.
    ///
    /// # Errors
    /// A file that cannot be opened, an unknown compression, a damaged beginning, a JSON array instead of lines.
    pub fn open(paths: &[PathBuf], options: NdjsonOptions) -> Result<Self> {
        NdjsonSource::over(paths, options, &TextInputs::default())
    }

    /// [`NdjsonSource::open`] of files some of which may be open.
    pub(crate) fn over(paths: &[PathBuf], options: NdjsonOptions, inputs: &TextInputs) -> Result<Self> {
        let start = Instant::now();
        let opened = open(paths, &options, inputs)?;
        Ok(NdjsonSource {
            files: opened.files.into(),
            schema: schema_of(&opened.columns),
            tree: tree_of(&opened.columns),
            columns: opened.columns,
            options: Arc::new(options),
            warnings: opened.warnings.into(),
            counters: Arc::clone(&inputs.counters),
            sample_micros: Arc::new(AtomicU64::new(start.elapsed().as_micros() as u64)),
        })
    }
}

impl NdjsonSource {
    /// The source of a recipe, of which the files of these ordinals will be read.
    ///
    /// # Errors
    /// A file cannot be opened; `Internal` for other bytes.
    pub(in crate::source) fn of_recipe(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Self> {
        let counters = Arc::new(InputCounters::default());
        let columns = Vec::<NdjsonColumn>::receive(bytes)?;
        let (malformed, max_record_bytes) = Message::receive(bytes)?;
        let files = text_files(bytes, wanted, |bytes, is_wanted| {
            let text = Arc::new(TextFile::receive(bytes, is_wanted, &counters)?);
            Ok(NdjsonFile { text, data_start: usize::receive(bytes)? })
        })?;
        Ok(NdjsonSource {
            files,
            schema: schema_of(&columns),
            tree: tree_of(&columns),
            columns,
            options: Arc::new(NdjsonOptions { malformed, max_record_bytes, ..NdjsonOptions::default() }),
            warnings: Arc::default(),
            counters,
            sample_micros: Arc::default(),
        })
    }
}

impl Message for NdjsonColumn {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.name.clone(), self.paths.clone(), self.column_type, self.declared).send(bytes)?;
        self.why_text.send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (name, paths, column_type, declared) = Message::receive(bytes)?;
        Ok(NdjsonColumn { name, paths, column_type, declared, why_text: Message::receive(bytes)? })
    }
}

fn tree_of(columns: &[NdjsonColumn]) -> Arc<KeyTree> {
    let paths = columns.iter().enumerate();
    Arc::new(KeyTree::of(paths.flat_map(|(at, column)| column.paths.iter().map(move |path| (at, path)))))
}

fn schema_of(columns: &[NdjsonColumn]) -> SchemaRef {
    let field = |column: &NdjsonColumn| Field::new(&column.name, column.column_type.arrow(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

impl Source for NdjsonSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        text::described(self.files.iter().map(|file| &*file.text))
    }

    fn key(&self) -> String {
        let names: Vec<String> = self.files.iter().map(|file| file.text.input().name().to_string()).collect();
        format!("ndjson {names:?} {:?} {:?}", self.options, self.columns)
    }

    fn files(&self) -> Vec<Arc<str>> {
        self.files.iter().map(|file| Arc::clone(file.text.input().name())).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.to_vec()
    }

    fn why_text(&self, column: usize) -> Option<String> {
        self.columns.get(column)?.why_text.clone()
    }

    fn untold_sample_seconds(&self) -> f64 {
        self.sample_micros.swap(0, Ordering::Relaxed) as f64 / 1e6
    }

    fn partitions(&self, piece_bytes: usize) -> Vec<PartitionInfo> {
        text::partitions(self.files.iter().map(|file| &*file.text), piece_bytes)
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        Ok(Box::new(scan(self, request)))
    }

    fn recipe(&self) -> Result<Recipe, String> {
        Recipe::of(SourceKind::Ndjson, |bytes| {
            put(&self.columns, bytes)?;
            put(&(self.options.malformed, self.options.max_record_bytes), bytes)?;
            put(&(self.files.len() as u32), bytes)?;
            self.files.iter().try_for_each(|file| {
                file.text.send(bytes)?;
                put(&file.data_start, bytes)
            })
        })
    }

    fn widened(&self, columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        let mut wider = self.clone();
        for (at, needed) in columns {
            let column = wider.columns.get_mut(*at)?;
            if column.declared {
                return None;
            }
            column.column_type = column.column_type.unify(*needed);
        }
        wider.schema = schema_of(&wider.columns);
        Some(Arc::new(wider))
    }
}
