//! Opening: the footer of every file, read and checked, and one schema over all of them.

use super::chunks::ChunkSource;
use super::guard::{attempted, guarded};
use super::schema::{FileColumn, FileSchema, Meaning, wanted_schema};
use crate::error::{Error, ErrorKind, Result};
use crate::source::input::{InputCounters, InputFile};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A file whose footer has been read.
#[derive(Debug)]
pub(super) struct ParquetFile {
    pub(super) input: Arc<InputFile>,
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) schema: FileSchema,
    /// By row group, how many rows precede it.
    pub(super) rows_before: Vec<u64>,
    /// For each column of the source, where it stands among those of the file.
    pub(super) map: Vec<usize>,
}

impl ParquetFile {
    /// The file's own column for a column of the source.
    pub(super) fn column(&self, of_source: usize) -> &FileColumn {
        &self.schema.columns[self.map[of_source]]
    }

    pub(super) fn row_groups(&self) -> usize {
        self.rows_before.len()
    }

    /// Rows of a row group; that they are not negative was checked when the file was opened.
    pub(super) fn rows(&self, row_group: usize) -> u64 {
        self.metadata.metadata().row_group(row_group).num_rows().unsigned_abs()
    }
}

/// A column of all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceColumn {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
}

/// What opening found.
pub(super) struct Opened {
    pub(super) files: Vec<ParquetFile>,
    pub(super) columns: Vec<SourceColumn>,
    /// Names that cannot be asked for, and what they are.
    pub(super) refused: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// Opens the files at `paths`, several at a time.
pub(super) fn open(paths: &[PathBuf], counters: &Arc<InputCounters>, threads: usize) -> Result<Opened> {
    let next = AtomicUsize::new(0);
    let opened: Mutex<Vec<Option<Result<ParquetFile>>>> = Mutex::new(paths.iter().map(|_| None).collect());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { break };
            let file = InputFile::open(path, counters).and_then(open_file);
            if let Some(slot) = opened.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                *slot = Some(file);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, paths.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let opened = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut files = opened
        .into_iter()
        .map(|file| file.unwrap_or_else(|| Err(Error::internal("a file was never opened"))))
        .collect::<Result<Vec<_>>>()?;
    let columns = unify(&mut files)?;
    let refused = files.iter().flat_map(|file| file.schema.refused.iter().cloned()).collect();
    let warnings = warnings(&files);
    Ok(Opened { files, columns, refused, warnings })
}

/// The magic bytes at both ends, and those of a file whose footer is encrypted.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";
/// Both magics and the length of the footer.
const LEAST_BYTES: u64 = 12;

fn open_file(input: InputFile) -> Result<ParquetFile> {
    let length = input.length();
    let broken =
        |text: String| input.error(ErrorKind::Malformed, text).hint("was the file written, or copied, to its end?");
    if length < LEAST_BYTES {
        return Err(broken(format!("a file of {length} bytes is too short for Parquet")));
    }
    let mut tail = [0; 8];
    input.read_at(length - 8, &mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic == *ENCRYPTED_MAGIC {
        return Err(input.error(ErrorKind::Unsupported, "the footer is encrypted, which is not supported"));
    }
    if magic != *MAGIC {
        return Err(broken("the file does not end as a Parquet file does".to_owned()));
    }
    let footer_bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer_bytes > length - LEAST_BYTES {
        let text =
            format!("the footer claims to have {footer_bytes} bytes, more than the file of {length} bytes holds");
        return Err(broken(text));
    }
    let input = Arc::new(input);
    let source = ChunkSource::of_file(&input);
    // What is not used need not be right.
    let needed = ParquetMetaDataOptions::new()
        .with_encoding_stats_as_mask(true)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let read = || ParquetMetaDataReader::new().with_metadata_options(Some(needed)).parse_and_finish(&source);
    let metadata = Arc::new(guarded(&input, || "the footer".to_owned(), read)?);
    input.close();
    let rows_before = rows_before(&input, &metadata)?;
    let (metadata, schema) = file_schema(&input, &metadata)?;
    Ok(ParquetFile { input, metadata, schema, rows_before, map: Vec::new() })
}

fn rows_before(input: &InputFile, metadata: &ParquetMetaData) -> Result<Vec<u64>> {
    let mut before = Vec::with_capacity(metadata.num_row_groups());
    let mut rows = 0_u64;
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let own = u64::try_from(group.num_rows()).ok().and_then(|own| Some((own, rows.checked_add(own)?)));
        let Some((_, next)) = own.filter(|(_, next)| *next < 1 << 60) else {
            let text = format!("row group {at} claims to have {} rows", group.num_rows());
            return Err(input.error(ErrorKind::Malformed, text));
        };
        before.push(rows);
        rows = next;
    }
    let claimed = metadata.file_metadata().num_rows();
    if u64::try_from(claimed) != Ok(rows) {
        let text = format!("the footer claims to have {claimed} rows, but its row groups have {rows}");
        return Err(input.error(ErrorKind::Malformed, text));
    }
    Ok(before)
}

/// The columns of a file, and how to ask the decoder for them. What the writer noted of its own Arrow types is used
/// unless it contradicts the file.
fn file_schema(input: &InputFile, metadata: &Arc<ParquetMetaData>) -> Result<(ArrowReaderMetadata, FileSchema)> {
    let leaves = metadata.file_metadata().schema_descr();
    let load = |options: ArrowReaderOptions| ArrowReaderMetadata::try_new(Arc::clone(metadata), options);
    let plain = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let noted = attempted(|| load(ArrowReaderOptions::new()));
    let noted = match noted.filter(|noted| FileSchema::of(noted.schema(), leaves).is_some()) {
        Some(noted) => noted,
        None => guarded(input, || "the schema".to_owned(), || load(plain()))?,
    };
    let wanted = Arc::new(wanted_schema(noted.schema(), leaves));
    let wanted = attempted(|| load(ArrowReaderOptions::new().with_schema(wanted))).unwrap_or(noted);
    let unclear = || Err::<FileSchema, _>(ParquetError::General("its types do not match its columns".to_owned()));
    let schema = match FileSchema::of(wanted.schema(), leaves) {
        Some(schema) => schema,
        None => guarded(input, || "the schema".to_owned(), unclear)?,
    };
    Ok((wanted, schema))
}

/// The columns of the first file, each as wide as any file needs it; every file must have the same ones.
fn unify(files: &mut [ParquetFile]) -> Result<Vec<SourceColumn>> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let own = |column: &FileColumn| SourceColumn { name: column.name.clone(), column_type: column.column_type };
    let mut columns: Vec<SourceColumn> = first.schema.columns.iter().map(own).collect();
    let first_name = Arc::clone(first.input.name());
    for file in files {
        let place: HashMap<&str, usize> =
            file.schema.columns.iter().enumerate().map(|(at, column)| (column.name.as_str(), at)).collect();
        let known: HashMap<&str, ()> = columns.iter().map(|column| (column.name.as_str(), ())).collect();
        let differs = |text: String| {
            file.input.error(ErrorKind::Malformed, text).hint("files read together need the same columns, in any order")
        };
        if let Some(extra) = file.schema.columns.iter().find(|column| !known.contains_key(column.name.as_str())) {
            return Err(differs(format!("the column `{}` is not in {first_name}", extra.name)));
        }
        let mut map = Vec::with_capacity(columns.len());
        let mut types = Vec::with_capacity(columns.len());
        for column in &columns {
            let Some(&at) = place.get(column.name.as_str()) else {
                return Err(differs(format!("there is no column `{}`, which {first_name} has", column.name)));
            };
            let own = file.schema.columns[at].column_type;
            let both = column.column_type.unify(own);
            if both == ColumnType::Utf8
                && [column.column_type, own].iter().any(|&one| !matches!(one, ColumnType::Utf8 | ColumnType::Null))
            {
                let text =
                    format!("the column `{}` is {own} here and {} in {first_name}", column.name, column.column_type);
                return Err(differs(text).hint("read files of different types apart, or write them anew with one type"));
            }
            types.push(both);
            map.push(at);
        }
        for (column, column_type) in columns.iter_mut().zip(types) {
            column.column_type = column_type;
        }
        file.map = map;
    }
    Ok(columns)
}

/// Digits of a decimal that every double keeps.
const DOUBLE_DIGITS: u8 = 15;

/// What reading makes of values that the engine has no type for, one line a column.
fn warnings(files: &[ParquetFile]) -> Vec<String> {
    let mut told = BTreeMap::new();
    for file in files {
        for column in file.schema.columns.iter().filter(|column| column.meaning == Meaning::Values) {
            let precision = match &column.stored {
                DataType::Decimal32(precision, _)
                | DataType::Decimal64(precision, _)
                | DataType::Decimal128(precision, _)
                | DataType::Decimal256(precision, _) => *precision,
                _ => 0,
            };
            if column.column_type == ColumnType::Float64 && precision > DOUBLE_DIGITS {
                let text = format!(
                    "column `{}` holds decimals of {precision} digits; they are read as the nearest doubles",
                    column.name
                );
                told.entry(column.name.clone()).or_insert(text);
            }
        }
    }
    told.into_values().collect()
}

/// Whether values of the column may fit no type of the engine.
pub(super) fn may_misfit(column: &FileColumn, wanted: ColumnType) -> bool {
    let reach = matches!(
        column.stored,
        DataType::UInt64 | DataType::Date64 | DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)
    );
    column.meaning == Meaning::Values
        && (reach || (column.column_type == ColumnType::Date && wanted == ColumnType::Timestamp))
}
