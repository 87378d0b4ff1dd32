//! Opening: the footer of every file, read and checked, and one schema over all of them.

use super::chunks::ChunkSource;
use super::encryption::encrypted_leaves;
use super::schema::wanted_schema;
use crate::error::{Error, ErrorKind, Result};
use crate::source::arrow_types::columns::{FileColumn, FileColumns, Meaning};
use crate::source::arrow_types::guard::{attempted, guarded};
use crate::source::arrow_types::unify::{SetColumn, Unified, unify};
use crate::source::column_policy::ColumnPolicy;
use crate::source::input::{InputCounters, InputFile};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::SchemaDescriptor;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A file whose footer has been read.
#[derive(Clone, Debug)]
pub(super) struct ParquetFile {
    pub(super) input: Arc<InputFile>,
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) schema: FileColumns,
    /// By row group, how many rows precede it.
    pub(super) rows_before: Vec<u64>,
    /// For each column of the source, where it stands among those of the file, if it has it.
    pub(super) map: Vec<Option<usize>>,
}

impl ParquetFile {
    /// The file's own column for a column of the source; `None` where it has none.
    pub(super) fn column(&self, of_source: usize) -> Option<&FileColumn> {
        self.schema.columns.get((*self.map.get(of_source)?)?)
    }

    pub(super) fn row_groups(&self) -> usize {
        self.rows_before.len()
    }

    /// Rows of a row group; that they are not negative was checked when the file was opened.
    pub(super) fn rows(&self, row_group: usize) -> u64 {
        self.metadata.metadata().row_group(row_group).num_rows().unsigned_abs()
    }
}

/// What opening found.
pub(super) struct Opened {
    pub(super) files: Vec<ParquetFile>,
    pub(super) columns: Vec<SetColumn>,
    /// Names that cannot be asked for, and what they are.
    pub(super) refused: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// Opens the files at `paths`, several at a time.
pub(super) fn open(
    paths: &[PathBuf],
    counters: &Arc<InputCounters>,
    threads: usize,
    policy: ColumnPolicy,
) -> Result<Opened> {
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
    let named: Vec<_> = files.iter().map(|file| (Arc::clone(file.input.name()), &file.schema)).collect();
    let Unified { columns, maps, refused, warning } = unify(&named, policy)?;
    files.iter_mut().zip(maps).for_each(|(file, map)| file.map = map);
    let warnings = warning.into_iter().chain(warnings(&files)).collect();
    Ok(Opened { files, columns, refused, warnings })
}

/// The magic bytes at both ends, and those of a file whose footer is encrypted.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";
/// Both magics and the length of the footer.
const LEAST_BYTES: u64 = 12;

pub(super) fn open_file(input: InputFile) -> Result<ParquetFile> {
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
    let footer = length - 8 - footer_bytes..length;
    let source = ChunkSource::of_part(&input, footer.clone());
    // What is not used need not be right.
    let needed = ParquetMetaDataOptions::new()
        .with_encoding_stats_as_mask(true)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let read = || ParquetMetaDataReader::new().with_metadata_options(Some(needed)).parse_and_finish(&source);
    let metadata = Arc::new(guarded(&input, || "the footer".to_owned(), read)?);
    let footer = attempted(|| source.get_bytes(footer.start, (footer.end - footer.start) as usize));
    input.close();
    let rows_before = rows_before(&input, &metadata)?;
    let (arrow_metadata, mut schema) = file_schema(&input, &metadata)?;
    note_only_nulls(&mut schema, &metadata);
    refuse_encrypted(&mut schema, &footer.and_then(|footer| encrypted_leaves(&footer)).unwrap_or_default());
    let metadata = arrow_metadata;
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

/// The columns of a file with this Arrow schema; `None` when its leaves are not those of the Parquet schema.
fn columns_of(schema: &Schema, leaves: &SchemaDescriptor) -> Option<FileColumns> {
    let all = leaves.num_columns();
    let is_uuid = |leaf: usize| leaf < all && matches!(leaves.column(leaf).logical_type_ref(), Some(LogicalType::Uuid));
    let (columns, count) = FileColumns::of(schema, is_uuid);
    (count == all).then_some(columns)
}

/// The columns of a file, and how to ask the decoder for them. What the writer noted of its own Arrow types is used
/// unless it contradicts the file.
fn file_schema(input: &InputFile, metadata: &Arc<ParquetMetaData>) -> Result<(ArrowReaderMetadata, FileColumns)> {
    let leaves = metadata.file_metadata().schema_descr();
    let load = |options: ArrowReaderOptions| ArrowReaderMetadata::try_new(Arc::clone(metadata), options);
    let plain = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let noted = attempted(|| load(ArrowReaderOptions::new()));
    let noted = match noted.filter(|noted| columns_of(noted.schema(), leaves).is_some()) {
        Some(noted) => noted,
        None => guarded(input, || "the schema".to_owned(), || load(plain()))?,
    };
    let wanted = Arc::new(wanted_schema(noted.schema(), leaves));
    let wanted = attempted(|| load(ArrowReaderOptions::new().with_schema(wanted))).unwrap_or(noted);
    let unclear = || Err::<FileColumns, _>(ParquetError::General("its types do not match its columns".to_owned()));
    let schema = match columns_of(wanted.schema(), leaves) {
        Some(schema) => schema,
        None => guarded(input, || "the schema".to_owned(), unclear)?,
    };
    Ok((wanted, schema))
}

/// Marks the columns of which the statistics of every row group say that they hold no value.
fn note_only_nulls(schema: &mut FileColumns, metadata: &ParquetMetaData) {
    for column in schema.columns.iter_mut().filter(|column| column.meaning != Meaning::Lengths) {
        let &[leaf] = column.leaves.as_slice() else { continue };
        let is_null = |group: &RowGroupMetaData| {
            let nulls = group.columns().get(leaf)?.statistics()?.null_count_opt()?;
            (i64::try_from(nulls) == Ok(group.num_rows())).then_some(())
        };
        column.only_nulls |=
            metadata.row_groups().iter().all(|group| group.num_rows() == 0 || is_null(group).is_some());
    }
}

/// Takes back the columns whose bytes are encrypted.
fn refuse_encrypted(schema: &mut FileColumns, encrypted: &[usize]) {
    let is_encrypted = |column: &FileColumn| column.leaves.iter().any(|leaf| encrypted.contains(leaf));
    let (refused, kept) = std::mem::take(&mut schema.columns).into_iter().partition(is_encrypted);
    schema.columns = kept;
    let refused: Vec<FileColumn> = refused;
    schema.refused.extend(refused.into_iter().map(|column| (column.name, "encrypted".to_owned())));
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

/// Whether values of the column may fit no type of the engine, or not the type that the set has.
pub(super) fn may_misfit(column: &FileColumn, wanted: ColumnType) -> bool {
    let reach = matches!(
        column.stored,
        DataType::UInt64 | DataType::Date64 | DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)
    );
    column.meaning == Meaning::Values && (reach || column.column_type != wanted)
}
