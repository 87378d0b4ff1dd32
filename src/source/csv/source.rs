//! A set of CSV files as a [`Source`].

use super::decisions::Decisions;
use super::encoding::Encoding;
use super::open::{CsvColumn, CsvFile, open};
use super::options::CsvOptions;
use super::scan::scan;
use crate::error::Result;
use crate::parallel::Message;
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

/// A set of CSV files with the same columns, each plain or compressed.
#[derive(Clone)]
pub struct CsvSource {
    files: Arc<[CsvFile]>,
    columns: Vec<CsvColumn>,
    schema: SchemaRef,
    options: Arc<CsvOptions>,
    warnings: Arc<[String]>,
    counters: Arc<InputCounters>,
    /// Microseconds spent on samples that the statistics of no run have told of.
    sample_micros: Arc<AtomicU64>,
}

impl fmt::Debug for CsvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSource").field("files", &self.describe()).field("schema", &self.schema).finish()
    }
}

impl CsvSource {
    /// Opens the files at `paths` and infers the schema from samples of each.
    ///
    /// # Errors
    /// A file that cannot be opened, an unknown compression, a damaged beginning, headers that differ.
    pub fn open(paths: &[PathBuf], options: CsvOptions) -> Result<Self> {
        CsvSource::over(paths, options, &TextInputs::default())
    }

    /// [`CsvSource::open`] of files some of which may be open.
    pub(crate) fn over(paths: &[PathBuf], options: CsvOptions, inputs: &TextInputs) -> Result<Self> {
        let start = Instant::now();
        let opened = open(paths, &options, inputs)?;
        let schema = schema_of(&opened.columns);
        Ok(CsvSource {
            files: opened.files.into(),
            columns: opened.columns,
            schema,
            options: Arc::new(options),
            warnings: opened.warnings.into(),
            counters: Arc::clone(&inputs.counters),
            sample_micros: Arc::new(AtomicU64::new(start.elapsed().as_micros() as u64)),
        })
    }

    /// How each file is read, and why.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(&self.files, &self.columns)
    }

    /// The source of a recipe, of which the files of these ordinals will be read.
    ///
    /// # Errors
    /// A file cannot be opened; `Internal` for other bytes.
    pub(in crate::source) fn of_recipe(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Self> {
        let counters = Arc::new(InputCounters::default());
        let columns = Vec::<CsvColumn>::receive(bytes)?;
        let (repeated_headers, max_record_bytes) = Message::receive(bytes)?;
        let files = text_files(bytes, wanted, |bytes, is_wanted| CsvFile::receive(bytes, is_wanted, &counters))?;
        Ok(CsvSource {
            files,
            schema: schema_of(&columns),
            columns,
            options: Arc::new(CsvOptions { repeated_headers, max_record_bytes, ..CsvOptions::default() }),
            warnings: Arc::default(),
            counters,
            sample_micros: Arc::default(),
        })
    }
}

fn schema_of(columns: &[CsvColumn]) -> SchemaRef {
    let field = |column: &CsvColumn| Field::new(&column.name, column.column_type.arrow(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

impl Source for CsvSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        text::described(self.files.iter().map(|file| &*file.text))
    }

    fn key(&self) -> String {
        let names: Vec<String> = self.files.iter().map(|file| file.text.input().name().to_string()).collect();
        let types: Vec<String> = self.columns.iter().map(|column| format!("{column:?}")).collect();
        // Options for single files do not show in the options of the set, only in what became of them.
        let format = |file: &CsvFile| {
            let CsvFile { format, malformed, data_start, header, decision, .. } = file;
            format!("{format:?} {malformed:?} {} {data_start} {}", decision.encoding, header.is_some())
        };
        let formats: Vec<String> = self.files.iter().map(format).collect();
        format!("csv {names:?} {:?} {formats:?} {types:?}", self.options)
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

    fn explain_schema(&self) -> Option<String> {
        Some(self.decisions().to_string())
    }

    fn recoding(&self) -> &'static str {
        let declared = self.files.iter().filter(|file| file.format.encoding != Encoding::Undeclared).count();
        match declared {
            0 => {
                "not UTF-8 and read as windows-1252; this is the first (--encoding states another, or makes it an error)"
            }
            all if all == self.files.len() => {
                "not in the encoding given, and bytes were replaced by U+FFFD; this is the first"
            }
            _ => {
                "not in their encoding, and read as windows-1252, or with bytes replaced by U+FFFD if one was given; this is the first"
            }
        }
    }

    fn untold_sample_seconds(&self) -> f64 {
        self.sample_micros.swap(0, Ordering::Relaxed) as f64 / 1e6
    }

    fn partitions(&self, piece_bytes: usize) -> Vec<PartitionInfo> {
        text::partitions(self.files.iter().map(|file| &*file.text), piece_bytes)
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        Ok(Box::new(scan(&self.files, &self.columns, &self.options, request, Arc::clone(&self.counters))))
    }

    fn recipe(&self) -> Result<Recipe, String> {
        Recipe::of(SourceKind::Csv, |bytes| {
            put(&self.columns, bytes)?;
            put(&(self.options.repeated_headers, self.options.max_record_bytes), bytes)?;
            put(&(self.files.len() as u32), bytes)?;
            self.files.iter().try_for_each(|file| file.send(bytes))
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
