//! A set of Arrow IPC files as a [`Source`].

use super::bytes::FileBytes;
use super::index::FileIndex;
use super::scan::IpcScan;
use crate::error::{Error, Result};
use crate::expr::refuse_name;
use crate::parallel::Message;
use crate::source::arrow_types::columns::FileColumns;
use crate::source::arrow_types::unify::{SetColumn, Unified, unify};
use crate::source::column_policy::ColumnPolicy;
use crate::source::input::{InputCounters, InputFile, KnownFile};
use crate::source::recipe::{self, Recipe, SourceKind, put};
use crate::source::{PartitionInfo, Scan, ScanRequest, Source};
use crate::types::ColumnType;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// How Arrow IPC files are read.
#[derive(Clone, Debug)]
pub struct IpcOptions {
    /// Whether files are mapped into memory, without copies; they must then not change while they are read. Default
    /// true.
    pub memory_map: bool,
    /// Files opened at the same time. Default: the cores available to the process.
    pub threads: usize,
    /// What becomes of columns that not every file has. Default: an error.
    pub columns: ColumnPolicy,
}

impl Default for IpcOptions {
    fn default() -> Self {
        IpcOptions {
            memory_map: true,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            columns: ColumnPolicy::Error,
        }
    }
}

/// A file that has been indexed.
#[derive(Clone, Debug)]
pub(super) struct IpcFile {
    pub(super) bytes: Arc<FileBytes>,
    pub(super) index: Arc<FileIndex>,
    pub(super) columns: FileColumns,
    /// For each column of the source, where it stands among those of the file, if it has it.
    pub(super) map: Vec<Option<usize>>,
}

impl IpcFile {
    pub(super) fn name(&self) -> &Arc<str> {
        self.bytes.input.name()
    }
}

/// A set of Arrow IPC files or streams, their columns matched by name.
pub struct IpcSource {
    pub(super) files: Arc<[IpcFile]>,
    /// Names and types of the columns.
    pub(super) columns: Arc<[SetColumn]>,
    schema: SchemaRef,
    warning: Option<String>,
    counters: Arc<InputCounters>,
    /// Bytes of mapped files that were touched.
    touched: Arc<AtomicU64>,
    /// Bytes read that the statistics of some run have told of.
    told: Arc<AtomicU64>,
    /// Microseconds spent on opening that the statistics of no run have told of.
    open_micros: AtomicU64,
}

impl fmt::Debug for IpcSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcSource").field("files", &self.describe()).field("schema", &self.schema).finish()
    }
}

impl IpcSource {
    /// Opens the files at `paths` and finds out where their record batches lie.
    ///
    /// # Errors
    /// A file that cannot be opened, is cut short or contradicts itself; columns that the policy does not allow to
    /// differ.
    pub fn open(paths: &[PathBuf], options: IpcOptions) -> Result<Self> {
        let start = Instant::now();
        let counters = Arc::new(InputCounters::default());
        let mut files = open_all(paths, &options, &counters)?;
        let named: Vec<_> = files.iter().map(|file| (Arc::clone(file.name()), &file.columns)).collect();
        let Unified { columns, maps, refused, warning } = unify(&named, options.columns)?;
        files.iter_mut().zip(maps).for_each(|(file, map)| file.map = map);
        let field = |column: &SetColumn| Field::new(&column.name, column.column_type.arrow(), true);
        let notes: HashMap<String, String> = refused.iter().map(|(name, what)| refuse_name(name, what)).collect();
        let schema = Schema::new_with_metadata(columns.iter().map(field).collect::<Vec<_>>(), notes);
        Ok(IpcSource {
            files: files.into(),
            columns: columns.into(),
            schema: Arc::new(schema),
            warning,
            counters,
            touched: Arc::default(),
            told: Arc::default(),
            open_micros: AtomicU64::new(start.elapsed().as_micros() as u64),
        })
    }
}

fn open_all(paths: &[PathBuf], options: &IpcOptions, counters: &Arc<InputCounters>) -> Result<Vec<IpcFile>> {
    let slots: Vec<OnceLock<Result<IpcFile>>> = paths.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(path), Some(slot)) = (paths.get(at), slots.get(at)) else { break };
            // Nobody else has this number.
            let _ = slot.set(open_file(path, options, counters));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.clamp(1, paths.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let missing = || Err(Error::internal("a file was never opened"));
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(missing)).collect()
}

impl IpcSource {
    /// The source of a recipe, of which the files of these ordinals will be read: only they are indexed.
    ///
    /// # Errors
    /// As [`IpcSource::open`]; `Internal` for other bytes.
    pub(in crate::source) fn of_recipe(bytes: &mut &[u8], wanted: &Range<u32>) -> Result<Self> {
        let counters = Arc::new(InputCounters::default());
        let (columns, schema) = recipe::columns(bytes)?;
        let told = Vec::<(KnownFile, Vec<Option<usize>>, bool)>::receive(bytes)?;
        let open = |(known, map, mapped): &(KnownFile, Vec<Option<usize>>, bool)| {
            let input = InputFile::known(known, &counters);
            // Whether it is what it was.
            input.head(1)?;
            Ok(IpcFile { map: map.clone(), ..index_file(input, known.path(), *mapped)? })
        };
        let stand_in = |any: IpcFile, (known, map, _): &(KnownFile, Vec<Option<usize>>, bool)| {
            let bytes = FileBytes::new(InputFile::known(known, &counters), known.path(), false)?;
            Ok(IpcFile { bytes: Arc::new(bytes), map: map.clone(), ..any })
        };
        let files = recipe::files(&told, wanted, open, stand_in)?.into();
        let (touched, told, open_micros) = Default::default();
        Ok(IpcSource { files, columns, schema, warning: None, counters, touched, told, open_micros })
    }
}

fn open_file(path: &Path, options: &IpcOptions, counters: &Arc<InputCounters>) -> Result<IpcFile> {
    index_file(InputFile::open(path, counters)?, path, options.memory_map)
}

/// Finds out where the record batches of `input`, the file at `path`, lie.
fn index_file(input: InputFile, path: &Path, memory_map: bool) -> Result<IpcFile> {
    let bytes = FileBytes::new(input, path, memory_map)?;
    let index = FileIndex::of(&bytes)?;
    bytes.input.close();
    let (mut columns, _) = FileColumns::of(&index.schema, |_| false);
    for column in &mut columns.columns {
        // What stands within another value is null with it, which its own nodes do not tell.
        column.only_nulls |= column.path.len() == 1 && index.has_values.get(column.field) == Some(&false);
    }
    Ok(IpcFile { bytes: Arc::new(bytes), index: Arc::new(index), columns, map: Vec::new() })
}

impl Source for IpcSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        match &*self.files {
            [only] => only.name().to_string(),
            [first, .., last] => format!("{} files, {} … {}", self.files.len(), first.name(), last.name()),
            [] => "no files".to_owned(),
        }
    }

    fn key(&self) -> String {
        let names: Vec<String> = self.files().iter().map(ToString::to_string).collect();
        format!("ipc {names:?}")
    }

    fn files(&self) -> Vec<Arc<str>> {
        self.files.iter().map(|file| Arc::clone(file.name())).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.warning.iter().cloned().collect()
    }

    fn untold_sample_seconds(&self) -> f64 {
        self.open_micros.swap(0, Ordering::Relaxed) as f64 / 1e6
    }

    /// One a record batch; a scan may cut large ones further.
    fn partitions(&self, _piece_bytes: usize) -> Vec<PartitionInfo> {
        let of_file = |file: &IpcFile| {
            let name = Arc::clone(file.name());
            let info = move |place: super::index::Place| PartitionInfo {
                file: Arc::clone(&name),
                stored_bytes: place.at..place.at + place.bytes(),
            };
            file.index.batches.iter().map(|batch| info(batch.place)).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let (touched, told) = (Arc::clone(&self.touched), Arc::clone(&self.told));
        let counted = Counted { counters: Arc::clone(&self.counters), touched, told };
        Ok(Box::new(IpcScan::new(Arc::clone(&self.files), &self.columns, request, counted)))
    }

    fn recipe(&self) -> Result<Recipe, String> {
        let known = |file: &IpcFile| {
            let known = file.bytes.input.as_known();
            let known = known.ok_or_else(|| format!("{} comes only once", file.name()))?;
            Ok((known, file.map.clone(), file.bytes.is_mapped()))
        };
        let files = self.files.iter().map(known).collect::<Result<Vec<_>, String>>()?;
        Recipe::of(SourceKind::Ipc, |bytes| {
            put(&self.columns.to_vec(), bytes)?;
            put(&files, bytes)
        })
    }

    /// Types stand in the files.
    fn widened(&self, _columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        None
    }
}

/// Counts bytes: those read, and those of mapped files that were touched.
pub(super) struct Counted {
    counters: Arc<InputCounters>,
    pub(super) touched: Arc<AtomicU64>,
    told: Arc<AtomicU64>,
}

impl Counted {
    /// Bytes since the last call, by whatever run.
    pub(super) fn untold_bytes(&self) -> u64 {
        let now = self.counters.bytes_read() + self.touched.load(Ordering::Relaxed);
        now.saturating_sub(self.told.fetch_max(now, Ordering::Relaxed))
    }
}
