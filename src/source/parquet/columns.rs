//! Columns of a fragment, batch after batch.
//!
//! The decoder reads all columns side by side and, when it meets damage, says neither in which column nor in which row.
//! From then on the fragment is read column by column (`damage`): values that cannot be read are null, and each is a
//! misfit that fails the questions which read it.

use super::chunks::ChunkSource;
use super::damage::Lone;
use super::fragments::{CELL_ROWS, FilePlan, Fragment};
use super::needs::late_bytes;
use super::open::ParquetFile;
use super::pages::RowGroupPages;
use super::rows::{count, only, take_rows, unite};
use super::schema::{Coded, checked_schema};
use crate::batch::coded::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::source::arrow_types::columns::{FileColumn, Meaning, at_path};
use crate::source::arrow_types::convert::{Converted, convert};
use crate::source::arrow_types::guard::{attempted, guarded};
use crate::source::arrow_types::leave_out;
use crate::source::arrow_types::unify::SetColumn;
use crate::source::{Misfit, Remedy, RowFilter, ScanRequest};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Batches hold whole multiples of so many rows, or, of wide rows, of what takes so much memory.
const BLOCK_ROWS: u64 = 1024;
const BLOCK_BYTES: u64 = 1 << 20;
/// Batches of rows without columns that make a partition.
const EMPTY_BATCHES: u64 = 64;

/// A column to read from a file.
pub(super) struct ReadColumn {
    name: Arc<str>,
    /// `None` where the file lacks it: it is null in every row.
    of_file: Option<FileColumn>,
    wanted: ColumnType,
    /// Its nanoseconds have been cut off, and that has been told.
    cut: Arc<AtomicBool>,
}

/// What is read of a file, shared by the workers.
pub(super) struct FileReader {
    files: Arc<[ParquetFile]>,
    pub(super) file: usize,
    plan: FilePlan,
    /// By row group, what the decoder is to know where it will meet damage.
    checked: Box<[OnceLock<Option<ArrowReaderMetadata>>]>,
    pub(super) columns: Vec<ReadColumn>,
    pub(super) schema: SchemaRef,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
    batch_bytes: u64,
    piece_bytes: u64,
    /// Of a fragment with more bytes, all columns are read side by side.
    pub(super) late_bytes: u64,
}

impl FileReader {
    pub(super) fn new(
        files: Arc<[ParquetFile]>,
        file: usize,
        plan: FilePlan,
        columns: &[SetColumn],
        request: &ScanRequest,
        cuts: &[Arc<AtomicBool>],
    ) -> Self {
        let read = |(&of_source, cut): (&usize, &Arc<AtomicBool>)| ReadColumn {
            name: columns[of_source].name.as_str().into(),
            of_file: files[file].column(of_source).cloned(),
            wanted: columns[of_source].column_type,
            cut: Arc::clone(cut),
        };
        let read = request.columns.iter().zip(cuts).map(read).collect();
        let field = |&of_source: &usize| {
            let column = &columns[of_source];
            Field::new(&column.name, column.column_type.arrow(), true)
        };
        let schema = Arc::new(Schema::new(request.columns.iter().map(field).collect::<Vec<_>>()));
        let checked = (0..files[file].row_groups()).map(|_| OnceLock::new()).collect();
        FileReader {
            files,
            file,
            plan,
            checked,
            columns: read,
            schema,
            filter: request.filter.clone(),
            batch_bytes: request.batch_bytes as u64,
            piece_bytes: request.piece_bytes as u64,
            late_bytes: late_bytes(request),
        }
    }

    pub(super) fn fragments(&self) -> &[Fragment] {
        &self.plan.fragments
    }

    /// Ordinal of the file.
    pub(super) fn file(&self) -> usize {
        self.file
    }

    pub(super) fn of_file(&self) -> &ParquetFile {
        &self.files[self.file]
    }

    /// Rows of a block of a fragment: a power of two.
    fn block_rows(fragment: &Fragment) -> u64 {
        let rows = (BLOCK_BYTES / fragment.row_bytes.max(1)).clamp(1, BLOCK_ROWS);
        1 << rows.ilog2()
    }

    /// Rows of a batch and of a partition: whole blocks.
    pub(super) fn sizes(&self, fragment: &Fragment) -> (u64, u64) {
        if self.columns.is_empty() {
            return (CELL_ROWS, CELL_ROWS * EMPTY_BATCHES);
        }
        let block = FileReader::block_rows(fragment);
        let blocks = |bytes: u64| (bytes / fragment.row_bytes.max(1) / block * block).clamp(block, CELL_ROWS);
        let batch = blocks(self.batch_bytes);
        (batch, blocks(self.piece_bytes).max(batch))
    }

    /// Whether the column is made of lists.
    pub(super) fn is_list(&self, column: usize) -> bool {
        let leaves = self.plan.metadata.metadata().file_metadata().schema_descr();
        let own = self.columns.get(column).and_then(|column| column.of_file.as_ref());
        own.is_some_and(|own| own.leaves.iter().any(|&leaf| leaves.column(leaf).max_rep_level() > 0))
    }

    /// A reader of a column that will meet damage.
    pub(super) fn checked_decoder(
        &self,
        fragment: &Fragment,
        column: usize,
        rows: &[Range<u64>],
        batch_rows: u64,
    ) -> Result<ParquetRecordBatchReader> {
        let checked = self.checked[fragment.row_group].get_or_init(|| {
            let group = self.plan.metadata.metadata().row_group(fragment.row_group);
            let coded = |leaf| group.columns().get(leaf).map_or(Coded::Otherwise, Coded::of);
            let schema = Arc::new(checked_schema(self.plan.metadata.schema(), coded));
            let options = ArrowReaderOptions::new().with_schema(schema);
            attempted(|| ArrowReaderMetadata::try_new(Arc::clone(self.plan.metadata.metadata()), options))
        });
        self.decoder(fragment, checked.as_ref().unwrap_or(&self.plan.metadata), &[column], rows, batch_rows)
    }

    /// A reader of some columns of a fragment's row group, in these rows.
    fn decoder(
        &self,
        fragment: &Fragment,
        metadata: &ArrowReaderMetadata,
        columns: &[usize],
        rows: &[Range<u64>],
        batch_rows: u64,
    ) -> Result<ParquetRecordBatchReader> {
        let in_all = self.of_file().rows(fragment.row_group);
        let build = || -> std::result::Result<ParquetRecordBatchReader, ParquetError> {
            let leaves = columns.iter().filter_map(|&column| self.columns[column].of_file.as_ref());
            let leaves = leaves.flat_map(|own| own.leaves.iter().copied());
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
            let fields = Some(metadata.schema().fields());
            let levels = parquet_to_arrow_field_levels(metadata.parquet_schema(), mask, fields)?;
            let pages = RowGroupPages {
                source: Arc::new(ChunkSource(Arc::clone(&fragment.chunks))),
                metadata: Arc::clone(metadata.metadata()),
                row_group: fragment.row_group,
            };
            let total = usize::try_from(in_all)?;
            let ranges = rows.iter().map(|range| range.start as usize..range.end as usize);
            let selection = (rows != only(0..in_all)).then(|| RowSelection::from_consecutive_ranges(ranges, total));
            let batch_rows = usize::try_from(batch_rows.min(in_all))?;
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, batch_rows, selection)
        };
        guarded(&self.of_file().input, || format!("row group {}", fragment.row_group), build)
    }

    /// The next batch of a decoder, which must have `rows` rows.
    pub(super) fn decode(
        &self,
        fragment: &Fragment,
        decoder: &mut ParquetRecordBatchReader,
        rows: u64,
    ) -> Result<RecordBatch> {
        let next = || match decoder.next().transpose()? {
            Some(batch) if batch.num_rows() as u64 == rows => Ok(batch),
            found => {
                let found = found.map_or(0, |batch| batch.num_rows());
                Err(ArrowError::ParquetError(format!("{rows} rows were expected, and {found} found")))
            }
        };
        guarded(&self.of_file().input, || format!("row group {}", fragment.row_group), next)
    }

    /// The values of a column in a decoded batch.
    pub(super) fn extract(&self, column: usize, batch: &RecordBatch) -> Result<Converted> {
        let ReadColumn { of_file, wanted, cut, .. } = &self.columns[column];
        let Some(of_file) = of_file else {
            return Ok(new_null_array(&wanted.arrow(), batch.num_rows()).into());
        };
        let array = at_path(batch, &of_file.path)?;
        let converted = convert(&array, of_file.meaning, *wanted)?;
        if converted.cut {
            cut.store(true, Ordering::Relaxed);
        }
        Ok(converted)
    }

    /// Why a column of a fragment's row group is known to be unreadable, if it is.
    fn unreadable(&self, fragment: &Fragment, column: usize) -> Option<&Error> {
        let own = self.columns[column].of_file.as_ref()?;
        own.leaves.iter().find_map(|&leaf| self.plan.unreadable.get(&(fragment.row_group, leaf)))
    }

    /// Nulls in place of values that cannot be read, for this reason, in these rows of a batch.
    pub(super) fn lost(&self, column: usize, rows: Range<usize>, why: &Error, misfits: &mut Vec<Misfit>) -> ArrayRef {
        let name = &self.columns[column].name;
        let why = why.clone().with_place(|place| {
            place.column.get_or_insert_with(|| Arc::clone(name));
        });
        let lost = |row| Misfit { row, column, text: String::new(), remedy: Remedy::Fail(why.clone()) };
        misfits.extend(rows.clone().map(lost));
        new_null_array(&self.columns[column].wanted.arrow(), rows.len())
    }

    pub(super) fn misfit(&self, row: usize, column: usize, text: String) -> Misfit {
        let ReadColumn { name, of_file, wanted, .. } = &self.columns[column];
        let stored = of_file.as_ref().map(|own| format!(" of type {}", own.stored)).unwrap_or_default();
        let message = format!("this value{stored} does not fit {wanted}");
        let error = Error::new(ErrorKind::Value, message).with_place(|place| {
            place.column = Some(Arc::clone(name));
            place.value = Some(text.clone());
        });
        Misfit { row, column, text, remedy: Remedy::Fail(error.hint(leave_out(name))) }
    }
}

/// Some columns of some rows.
pub(super) struct Part {
    /// The rows, counted from the start of the row group.
    pub(super) rows: Vec<Range<u64>>,
    pub(super) arrays: Vec<ArrayRef>,
    pub(super) misfits: Vec<Misfit>,
}

impl Part {
    pub(super) fn len(&self) -> usize {
        count(&self.rows) as usize
    }
}

/// Reads some columns of a fragment.
pub(super) struct Columns {
    /// Indices into [`FileReader::columns`].
    pub(super) columns: Vec<usize>,
    /// Rows still to be read.
    pub(super) rows: Vec<Range<u64>>,
    pub(super) batch_rows: u64,
    /// Of those columns whose chunk is not known to be unreadable, side by side; `None` when it met damage.
    decoder: Option<ParquetRecordBatchReader>,
    /// From then on, each column by itself.
    alone: Option<Vec<Lone>>,
    /// One a column.
    coders: Vec<Coder>,
}

impl Columns {
    pub(super) fn new(
        reader: &FileReader,
        fragment: &Fragment,
        columns: Vec<usize>,
        rows: Vec<Range<u64>>,
        batch_rows: u64,
    ) -> Self {
        // Damage that shows at once is found again, column by column.
        let readable: Vec<usize> =
            columns.iter().copied().filter(|&column| reader.unreadable(fragment, column).is_none()).collect();
        let metadata = fragment.coded.as_ref().map_or(&reader.plan.metadata, |coded| &coded.metadata);
        let decoder = || reader.decoder(fragment, metadata, &readable, &rows, batch_rows).ok();
        let decoder = if rows.is_empty() { None } else { decoder() };
        let coders = columns.iter().map(|_| Coder::default()).collect();
        Columns { columns, rows, batch_rows, decoder, alone: None, coders }
    }

    pub(super) fn next(&mut self, reader: &FileReader, fragment: &Fragment) -> Result<Option<Part>> {
        let rows = take_rows(&mut self.rows, self.batch_rows);
        if rows.is_empty() {
            return Ok(None);
        }
        let batch = self.decode(reader, fragment, count(&rows));
        let mut part = Part { rows, arrays: Vec::new(), misfits: Vec::new() };
        match batch {
            Some((batch, codes)) => {
                for (&column, codes) in self.columns.iter().zip(codes) {
                    if let Some(why) = reader.unreadable(fragment, column) {
                        part.arrays.push(reader.lost(column, 0..part.len(), why, &mut part.misfits));
                        continue;
                    }
                    let converted = codes.map_or_else(|| reader.extract(column, &batch), |codes| Ok(codes.into()))?;
                    let misfits = converted.misfits.into_iter();
                    part.misfits.extend(misfits.map(|(row, text)| reader.misfit(row, column, text)));
                    part.arrays.push(converted.array);
                }
            }
            None => {
                self.decoder = None;
                let rest = unite(part.rows.clone(), self.rows.clone());
                let lone = |&column: &usize| Lone::new(column, rest.clone(), self.batch_rows);
                let alone = self.alone.get_or_insert_with(|| self.columns.iter().map(lone).collect());
                for (column, alone) in self.columns.iter().zip(alone) {
                    let array = match reader.unreadable(fragment, *column) {
                        Some(why) => reader.lost(*column, 0..part.len(), why, &mut part.misfits),
                        None => alone.next(reader, fragment, &part.rows, &self.rows, &mut part.misfits)?,
                    };
                    part.arrays.push(array);
                }
            }
        }
        part.misfits.sort_by_key(|misfit| misfit.row);
        Ok(Some(part))
    }

    /// The next batch, and the columns of it that come as codes; `None` where there is damage.
    fn decode(
        &mut self,
        reader: &FileReader,
        fragment: &Fragment,
        rows: u64,
    ) -> Option<(RecordBatch, Vec<Option<ArrayRef>>)> {
        let batch = reader.decode(fragment, self.decoder.as_mut()?, rows).ok()?;
        let codes = self.columns.iter().zip(&mut self.coders).map(|(&column, coder)| {
            let of_file = reader.columns[column].of_file.as_ref().filter(|own| own.meaning == Meaning::Values);
            match of_file.filter(|_| fragment.coded.is_some() && reader.unreadable(fragment, column).is_none()) {
                Some(own) => coder.codes(&at_path(&batch, &own.path)?),
                None => Ok(None),
            }
        });
        let codes = codes.collect::<Result<_>>().ok()?;
        Some((batch, codes))
    }
}
