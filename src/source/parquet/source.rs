//! A set of Parquet files as a [`Source`].

use super::fragments::stored_bytes;
use super::open::{Opened, ParquetFile, open, open_file};
use super::scan::ParquetScan;
use crate::error::Result;
use crate::expr::refuse_name;
use crate::parallel::Message;
use crate::source::arrow_types::unify::SetColumn;
use crate::source::column_policy::ColumnPolicy;
use crate::source::input::{InputCounters, InputFile, KnownFile};
use crate::source::recipe::{self, Recipe, SourceKind, put};
use crate::source::{PartitionInfo, Scan, ScanRequest, Source};
use crate::types::ColumnType;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A set of Parquet files, their columns matched by name.
pub struct ParquetSource {
    files: Arc<[ParquetFile]>,
    columns: Arc<[SetColumn]>,
    schema: SchemaRef,
    warnings: Vec<String>,
    counters: Arc<InputCounters>,
    /// Microseconds spent on footers that the statistics of no run have told of.
    footer_micros: AtomicU64,
}

impl fmt::Debug for ParquetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetSource").field("files", &self.describe()).field("schema", &self.schema).finish()
    }
}

impl ParquetSource {
    /// Opens the files at `paths` and reads their footers, `threads` at a time.
    ///
    /// # Errors
    /// A file that cannot be opened, a footer that is broken, encrypted or contradicts the file, columns that `policy`
    /// does not allow to differ.
    pub fn open(paths: &[PathBuf], threads: usize, policy: ColumnPolicy) -> Result<Self> {
        let start = Instant::now();
        let counters = Arc::new(InputCounters::default());
        let Opened { files, columns, refused, warnings } = open(paths, &counters, threads, policy)?;
        let field = |column: &SetColumn| Field::new(&column.name, column.column_type.arrow(), true);
        let notes: HashMap<String, String> = refused.iter().map(|(name, what)| refuse_name(name, what)).collect();
        let schema = Schema::new_with_metadata(columns.iter().map(field).collect::<Vec<_>>(), notes);
        Ok(ParquetSource {
            files: files.into(),
            columns: columns.into(),
            schema: Arc::new(schema),
            warnings,
            counters,
            footer_micros: AtomicU64::new(start.elapsed().as_micros() as u64),
        })
    }
}

impl ParquetSource {
    /// The source of a recipe, of which the files of these ordinals will be read: only their footers are.
    ///
    /// # Errors
    /// As [`ParquetSource::open`]; `Internal` for other bytes.
    pub(in crate::source) fn of_recipe(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Self> {
        let counters = Arc::new(InputCounters::default());
        let (columns, schema) = recipe::columns(bytes)?;
        let told = Vec::<(KnownFile, Vec<Option<usize>>)>::receive(bytes)?;
        let open = |(known, map): &(KnownFile, Vec<Option<usize>>)| {
            Ok(ParquetFile { map: map.clone(), ..open_file(InputFile::known(known, &counters))? })
        };
        let stand_in = |any: ParquetFile, (known, _): &(KnownFile, Vec<Option<usize>>)| {
            Ok(ParquetFile { input: Arc::new(InputFile::known(known, &counters)), ..any })
        };
        let files = recipe::files(&told, wanted, open, stand_in)?.into();
        Ok(ParquetSource { files, columns, schema, warnings: Vec::new(), counters, footer_micros: AtomicU64::new(0) })
    }
}

impl Source for ParquetSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        let name = |file: &ParquetFile| file.input.name().to_string();
        match &*self.files {
            [only] => name(only),
            [first, .., last] => format!("{} files, {} … {}", self.files.len(), name(first), name(last)),
            [] => "no files".to_owned(),
        }
    }

    fn key(&self) -> String {
        let names: Vec<String> = self.files().iter().map(ToString::to_string).collect();
        format!("parquet {names:?}")
    }

    fn files(&self) -> Vec<Arc<str>> {
        self.files.iter().map(|file| Arc::clone(file.input.name())).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn untold_sample_seconds(&self) -> f64 {
        self.footer_micros.swap(0, Ordering::Relaxed) as f64 / 1e6
    }

    fn prunes(&self) -> bool {
        true
    }

    /// One a row group; a scan may cut large ones further.
    fn partitions(&self, _piece_bytes: usize) -> Vec<PartitionInfo> {
        let mut partitions = Vec::new();
        for file in self.files.iter() {
            let leaves: Vec<usize> = (0..file.metadata.parquet_schema().num_columns()).collect();
            let mut start = 0;
            for row_group in 0..file.row_groups() {
                let end = start + stored_bytes(file, &leaves, row_group);
                partitions.push(PartitionInfo { file: Arc::clone(file.input.name()), stored_bytes: start..end });
                start = end;
            }
        }
        partitions
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let (files, columns) = (Arc::clone(&self.files), Arc::clone(&self.columns));
        Ok(Box::new(ParquetScan::new(files, columns, request, Arc::clone(&self.counters))))
    }

    fn recipe(&self) -> Result<Recipe, String> {
        let known = |file: &ParquetFile| {
            let known = file.input.as_known();
            Ok((known.ok_or_else(|| format!("{} comes only once", file.input.name()))?, file.map.clone()))
        };
        let files = self.files.iter().map(known).collect::<Result<Vec<_>, String>>()?;
        Recipe::of(SourceKind::Parquet, |bytes| {
            put(&self.columns.to_vec(), bytes)?;
            put(&files, bytes)
        })
    }

    /// Types stand in the files.
    fn widened(&self, _columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        None
    }
}
