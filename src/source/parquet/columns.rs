//! Columns of a fragment, batch after batch, and how damage in them is pinned down.
//!
//! The decoder reads all columns side by side and, when it meets damage, says neither in which column nor in which row.
//! From then on the fragment is read column by column, in *blocks* of rows whose bounds depend on the file alone: the
//! rows of a block that cannot be read are null, and each is a misfit that fails the questions which read it.

use super::chunks::ChunkSource;
use super::convert::{Converted, convert};
use super::fragments::{CELL_ROWS, FilePlan, Fragment};
use super::guard::guarded;
use super::open::{ParquetFile, SourceColumn};
use super::rows::{count, intersect, only, take_rows};
use super::schema::{FileColumn, Meaning};
use crate::batch::coded::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Misfit, Remedy, RowFilter, ScanRequest};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows of a block at most, and what they may take in memory.
const BLOCK_ROWS: u64 = 1024;
const BLOCK_BYTES: u64 = 1 << 20;
/// Batches of rows without columns that make a partition.
const EMPTY_BATCHES: u64 = 64;

/// A column to read from a file.
pub(super) struct ReadColumn {
    of_file: FileColumn,
    wanted: ColumnType,
    /// Its nanoseconds have been cut off, and that has been told.
    cut: Arc<AtomicBool>,
}

/// What is read of a file, shared by the workers.
pub(super) struct FileReader {
    files: Arc<[ParquetFile]>,
    pub(super) file: usize,
    plan: FilePlan,
    pub(super) columns: Vec<ReadColumn>,
    pub(super) schema: SchemaRef,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
    batch_bytes: u64,
    piece_bytes: u64,
}

impl FileReader {
    pub(super) fn new(
        files: Arc<[ParquetFile]>,
        file: usize,
        plan: FilePlan,
        columns: &[SourceColumn],
        request: &ScanRequest,
        cuts: &[Arc<AtomicBool>],
    ) -> Self {
        let read = |(&of_source, cut): (&usize, &Arc<AtomicBool>)| ReadColumn {
            of_file: files[file].column(of_source).clone(),
            wanted: columns[of_source].column_type,
            cut: Arc::clone(cut),
        };
        let read = request.columns.iter().zip(cuts).map(read).collect();
        let field = |&of_source: &usize| {
            let column = &columns[of_source];
            Field::new(&column.name, column.column_type.arrow(), true)
        };
        let schema = Arc::new(Schema::new(request.columns.iter().map(field).collect::<Vec<_>>()));
        FileReader {
            files,
            file,
            plan,
            columns: read,
            schema,
            filter: request.filter.clone(),
            batch_bytes: request.batch_bytes as u64,
            piece_bytes: request.piece_bytes as u64,
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
            let metadata = metadata.clone();
            let leaves = columns.iter().flat_map(|&column| self.columns[column].of_file.leaves.iter().copied());
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
            let source = ChunkSource(Arc::clone(&fragment.chunks));
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata)
                .with_row_groups(vec![fragment.row_group])
                .with_projection(mask)
                .with_batch_size(usize::try_from(batch_rows)?);
            if rows != only(0..in_all) {
                let ranges = rows.iter().map(|range| range.start as usize..range.end as usize);
                builder =
                    builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, usize::try_from(in_all)?));
            }
            builder.build()
        };
        guarded(&self.of_file().input, || format!("row group {}", fragment.row_group), build)
    }

    /// The next batch of a decoder, which must have `rows` rows.
    fn decode(&self, fragment: &Fragment, decoder: &mut ParquetRecordBatchReader, rows: u64) -> Result<RecordBatch> {
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
    fn extract(&self, column: usize, batch: &RecordBatch) -> Result<Converted> {
        let ReadColumn { of_file, wanted, cut } = &self.columns[column];
        let array = at_path(batch, &of_file.path)?;
        let converted = convert(&array, of_file.meaning, *wanted)?;
        if converted.cut {
            cut.store(true, Ordering::Relaxed);
        }
        Ok(converted)
    }

    fn misfit(&self, row: usize, column: usize, text: String) -> Misfit {
        let ReadColumn { of_file, wanted, .. } = &self.columns[column];
        let message = format!("this value of type {} does not fit {wanted}", of_file.stored);
        let error = Error::new(ErrorKind::Value, message).with_place(|place| {
            place.column = Some(of_file.name.as_str().into());
            place.value = Some(text.clone());
        });
        Misfit { row, column, text, remedy: Remedy::Fail(error) }
    }
}

/// The array under these names, null where a struct around it is.
pub(in crate::source) fn at_path(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef> {
    let missing = || Error::internal(format!("the decoder delivers no column `{}`", path.join(".")));
    let (root, rest) = path.split_first().ok_or_else(missing)?;
    let mut array = Arc::clone(batch.column_by_name(root).ok_or_else(missing)?);
    for name in rest {
        let parent = array.as_struct_opt().ok_or_else(missing)?;
        let child = parent.column_by_name(name).ok_or_else(missing)?;
        array = match parent.nulls() {
            Some(outer) if child.data_type() != &arrow::datatypes::DataType::Null => {
                let nulls = NullBuffer::union(Some(outer), child.nulls());
                make_array(child.to_data().into_builder().nulls(nulls).build()?)
            }
            _ => Arc::clone(child),
        };
    }
    Ok(array)
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
    /// `None` when it met damage.
    decoder: Option<ParquetRecordBatchReader>,
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
        let metadata = fragment.coded.as_ref().map_or(&reader.plan.metadata, |coded| &coded.metadata);
        let decoder = || reader.decoder(fragment, metadata, &columns, &rows, batch_rows).ok();
        let decoder = if rows.is_empty() { None } else { decoder() };
        let coders = columns.iter().map(|_| Coder::default()).collect();
        Columns { columns, rows, batch_rows, decoder, coders }
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
                    let converted = codes.map_or_else(|| reader.extract(column, &batch), |codes| Ok(codes.into()))?;
                    let misfits = converted.misfits.into_iter();
                    part.misfits.extend(misfits.map(|(row, text)| reader.misfit(row, column, text)));
                    part.arrays.push(converted.array);
                }
            }
            None => {
                self.decoder = None;
                for &column in &self.columns {
                    let array = read_blocks(reader, fragment, column, &part.rows, &mut part.misfits)?;
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
            let of_file = &reader.columns[column].of_file;
            match fragment.coded {
                Some(_) if of_file.meaning == Meaning::Values => coder.codes(&at_path(&batch, &of_file.path)?),
                _ => Ok(None),
            }
        });
        let codes = codes.collect::<Result<_>>().ok()?;
        Some((batch, codes))
    }
}

/// Reads a column block by block; rows of blocks that cannot be read are null and misfits.
fn read_blocks(
    reader: &FileReader,
    fragment: &Fragment,
    column: usize,
    rows: &[Range<u64>],
    misfits: &mut Vec<Misfit>,
) -> Result<ArrayRef> {
    let in_all = reader.of_file().rows(fragment.row_group);
    let block_rows = FileReader::block_rows(fragment);
    let name: Arc<str> = reader.columns[column].of_file.name.as_str().into();
    let mut pieces: Vec<ArrayRef> = Vec::new();
    let mut done = 0;
    let blocks = rows.iter().flat_map(|range| range.start / block_rows..range.end.div_ceil(block_rows));
    let mut blocks: Vec<u64> = blocks.collect();
    blocks.dedup();
    for block in blocks {
        let whole = block * block_rows..((block + 1) * block_rows).min(in_all);
        let decoded =
            reader.decoder(fragment, &reader.plan.metadata, &[column], std::slice::from_ref(&whole), block_rows);
        let decoded = decoded.and_then(|mut decoder| reader.decode(fragment, &mut decoder, whole.end - whole.start));
        let decoded = decoded.map(|batch| reader.extract(column, &batch));
        for range in intersect(rows, std::slice::from_ref(&whole)) {
            let length = (range.end - range.start) as usize;
            match &decoded {
                Ok(converted) => {
                    let converted = converted.as_ref().map_err(Error::clone)?;
                    let offset = (range.start - whole.start) as usize;
                    let own = converted.misfits.iter().filter(|(row, _)| (offset..offset + length).contains(row));
                    misfits.extend(own.map(|(row, text)| reader.misfit(row - offset + done, column, text.clone())));
                    pieces.push(converted.array.slice(offset, length));
                }
                Err(error) => {
                    let error = error.clone().with_place(|place| place.column = Some(Arc::clone(&name)));
                    let lost = |row| Misfit { row, column, text: String::new(), remedy: Remedy::Fail(error.clone()) };
                    misfits.extend((done..done + length).map(lost));
                    pieces.push(new_null_array(&reader.columns[column].wanted.arrow(), length));
                }
            }
            done += length;
        }
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    Ok(concat(&pieces)?)
}
