//! Reading a fragment: batch after batch, the columns of the filter first.
//!
//! The decoder reads all columns side by side and, when it meets damage, says neither in which column nor in which row.
//! From then on the fragment is read column by column, in *blocks* of rows whose bounds depend on the file alone: the
//! rows of a block that cannot be read are null, and each is a misfit that fails the questions which read it.

use super::chunks::ChunkSource;
use super::convert::{Converted, convert};
use super::fragments::{CELL_ROWS, FilePlan, Fragment};
use super::guard::guarded;
use super::open::{ParquetFile, SourceColumn};
use super::prune::{intersect, unite};
use super::schema::FileColumn;
use crate::batch::{Batch, Positions, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Misfit, Remedy, RowFilter, ScanRequest, SourceBatch};
use crate::types::ColumnType;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, make_array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
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
struct ReadColumn {
    of_file: FileColumn,
    wanted: ColumnType,
    /// Its nanoseconds have been cut off, and that has been told.
    cut: Arc<AtomicBool>,
}

/// What is read of a file, shared by the workers.
pub(super) struct FileReader {
    files: Arc<[ParquetFile]>,
    file: usize,
    plan: FilePlan,
    columns: Vec<ReadColumn>,
    schema: SchemaRef,
    filter: Option<Arc<dyn RowFilter>>,
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

    fn of_file(&self) -> &ParquetFile {
        &self.files[self.file]
    }

    /// Rows of a block of a fragment: a power of two.
    fn block_rows(fragment: &Fragment) -> u64 {
        let rows = (BLOCK_BYTES / fragment.row_bytes.max(1)).clamp(1, BLOCK_ROWS);
        1 << rows.ilog2()
    }

    /// Rows of a batch and of a partition: whole blocks.
    fn sizes(&self, fragment: &Fragment) -> (u64, u64) {
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
        columns: &[usize],
        rows: &[Range<u64>],
        batch_rows: u64,
    ) -> Result<ParquetRecordBatchReader> {
        let in_all = self.of_file().rows(fragment.row_group);
        let build = || -> std::result::Result<ParquetRecordBatchReader, ParquetError> {
            let metadata = self.plan.metadata.clone();
            let leaves = columns.iter().flat_map(|&column| self.columns[column].of_file.leaves.iter().copied());
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
            let source = ChunkSource(Arc::clone(&fragment.chunks));
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata)
                .with_row_groups(vec![fragment.row_group])
                .with_projection(mask)
                .with_batch_size(usize::try_from(batch_rows)?);
            if rows != [0..in_all] {
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
struct Part {
    /// The rows, counted from the start of the row group.
    rows: Vec<Range<u64>>,
    arrays: Vec<ArrayRef>,
    misfits: Vec<Misfit>,
}

impl Part {
    fn len(&self) -> usize {
        count(&self.rows) as usize
    }
}

/// Reads some columns of a fragment.
struct Columns {
    /// Indices into [`FileReader::columns`].
    columns: Vec<usize>,
    /// Rows still to be read.
    rows: Vec<Range<u64>>,
    batch_rows: u64,
    /// `None` when it met damage.
    decoder: Option<ParquetRecordBatchReader>,
}

impl Columns {
    fn new(
        reader: &FileReader,
        fragment: &Fragment,
        columns: Vec<usize>,
        rows: Vec<Range<u64>>,
        batch_rows: u64,
    ) -> Self {
        // Damage that shows at once is found again, column by column.
        let decoder = reader.decoder(fragment, &columns, &rows, batch_rows).ok();
        Columns { columns, rows, batch_rows, decoder }
    }

    fn next(&mut self, reader: &FileReader, fragment: &Fragment) -> Result<Option<Part>> {
        let rows = take_rows(&mut self.rows, self.batch_rows);
        if rows.is_empty() {
            return Ok(None);
        }
        let batch = self.decoder.as_mut().map(|decoder| reader.decode(fragment, decoder, count(&rows)));
        let mut part = Part { rows, arrays: Vec::new(), misfits: Vec::new() };
        match batch {
            Some(Ok(batch)) => {
                for &column in &self.columns {
                    let converted = reader.extract(column, &batch)?;
                    let misfits = converted.misfits.into_iter();
                    part.misfits.extend(misfits.map(|(row, text)| reader.misfit(row, column, text)));
                    part.arrays.push(converted.array);
                }
            }
            Some(Err(_)) | None => {
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
        let decoded = reader.decoder(fragment, &[column], std::slice::from_ref(&whole), block_rows);
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

/// What is delivered of a fragment at a time.
pub(super) struct PartitionRead {
    pub(super) batches: Vec<SourceBatch>,
    /// Rows that were looked at.
    pub(super) records: u64,
    /// The fragment ends here.
    pub(super) last: bool,
}

/// One fragment on its way.
pub(super) struct FragmentReader {
    pub(super) reader: Arc<FileReader>,
    pub(super) fragment: usize,
    /// Ordinal of the next partition of the fragment.
    pub(super) piece: u64,
    state: State,
    /// Rows before this one have been told of.
    told: u64,
    /// Text of the rows kept should not hold on to that of the others.
    sparse: bool,
}

enum State {
    New,
    /// All columns side by side.
    All(Columns),
    /// The columns of the filter have been read and the rows chosen; the others follow.
    Chosen {
        known: RecordBatch,
        misfits: Vec<Misfit>,
        at: usize,
        others: Others,
    },
}

enum Others {
    None { rows: Vec<Range<u64>>, batch_rows: u64 },
    Read(Columns),
}

impl FragmentReader {
    pub(super) fn new(reader: Arc<FileReader>, fragment: usize) -> Self {
        let told = reader.fragments()[fragment].rows.start;
        FragmentReader { reader, fragment, piece: 0, state: State::New, told, sparse: false }
    }

    /// Reads the next partition.
    pub(super) fn file(&self) -> usize {
        self.reader.file()
    }

    /// Reads the next partition.
    pub(super) fn next(&mut self) -> Result<PartitionRead> {
        let reader = Arc::clone(&self.reader);
        let fragment = &reader.fragments()[self.fragment];
        let (batch_rows, piece_rows) = reader.sizes(fragment);
        if matches!(self.state, State::New) {
            self.state = self.start(&reader, fragment, batch_rows)?;
        }
        let mut read = PartitionRead { batches: Vec::new(), records: 0, last: false };
        let (mut rows, mut end) = (0, fragment.rows.end);
        while rows < piece_rows {
            let Some(part) = self.next_part(&reader, fragment)? else {
                read.last = true;
                end = fragment.rows.end;
                break;
            };
            rows += part.len() as u64;
            end = part.rows.last().map_or(end, |range| range.end);
            read.batches.push(self.batch(&reader, fragment, part)?);
        }
        let looked_at = intersect(&fragment.wanted, std::slice::from_ref(&(self.told..end)));
        read.records = count(&looked_at);
        self.told = end;
        self.piece += 1;
        Ok(read)
    }

    fn start(&mut self, reader: &FileReader, fragment: &Fragment, batch_rows: u64) -> Result<State> {
        let all: Vec<usize> = (0..reader.columns.len()).collect();
        let rows = fragment.wanted.clone();
        let Some(filter) = reader.filter.as_ref().filter(|filter| !filter.columns().is_empty()) else {
            return Ok(State::All(Columns::new(reader, fragment, all, rows, batch_rows)));
        };
        let first = filter.columns().to_vec();
        let schema = Arc::new(reader.schema.project(&first)?);
        let mut columns = Columns::new(reader, fragment, first.clone(), rows, batch_rows);
        let (mut chosen, mut known, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept_rows = 0;
        while let Some(part) = columns.next(reader, fragment)? {
            let batch = RecordBatch::try_new(Arc::clone(&schema), part.arrays)?;
            let mask = keep(filter.as_ref(), &batch, &part.misfits);
            let mut place = vec![None; if part.misfits.is_empty() { 0 } else { batch.num_rows() }];
            let mut kept = 0;
            for (row, place) in place.iter_mut().enumerate().filter(|(row, _)| mask.value(*row)) {
                *place = Some(kept_rows + kept);
                kept += 1;
                debug_assert!(row < mask.len());
            }
            let moved =
                part.misfits.into_iter().filter_map(|misfit| Some(Misfit { row: place[misfit.row]?, ..misfit }));
            misfits.extend(moved);
            kept_rows += mask.true_count();
            choose(&part.rows, &mask, &mut chosen);
            known.push(filter_record_batch(&batch, &mask)?);
        }
        let known = concat_batches(&schema, &known)?;
        let others: Vec<usize> = all.into_iter().filter(|column| first.binary_search(column).is_err()).collect();
        self.sparse = count(&chosen) < count(&fragment.wanted) / 4;
        let others = if others.is_empty() || chosen.is_empty() {
            Others::None { rows: chosen, batch_rows }
        } else {
            Others::Read(Columns::new(reader, fragment, others, chosen, batch_rows))
        };
        Ok(State::Chosen { known, misfits, at: 0, others })
    }

    /// The next rows, with all columns.
    fn next_part(&mut self, reader: &FileReader, fragment: &Fragment) -> Result<Option<Part>> {
        match &mut self.state {
            State::New => Ok(None),
            State::All(columns) if columns.columns.is_empty() => {
                let rows = take_rows(&mut columns.rows, columns.batch_rows);
                Ok(Some(Part { rows, arrays: Vec::new(), misfits: Vec::new() }).filter(|part| !part.rows.is_empty()))
            }
            State::All(columns) => columns.next(reader, fragment),
            State::Chosen { known, misfits, at, others } => {
                let (mut part, read) = match others {
                    Others::None { rows, batch_rows } => {
                        let rows = take_rows(rows, *batch_rows);
                        (Part { rows, arrays: Vec::new(), misfits: Vec::new() }, &[][..])
                    }
                    Others::Read(columns) => match columns.next(reader, fragment)? {
                        Some(part) => (part, columns.columns.as_slice()),
                        None => return Ok(None),
                    },
                };
                if part.rows.is_empty() {
                    return Ok(None);
                }
                let (start, end) = (*at, *at + part.len());
                *at = end;
                let own = known.slice(start, end - start);
                let mut later = read.iter().zip(std::mem::take(&mut part.arrays)).peekable();
                let mut earlier = own.columns().iter();
                for column in 0..reader.columns.len() {
                    let array = match later.next_if(|(at, _)| **at == column) {
                        Some((_, array)) => Some(array),
                        None => earlier.next().map(Arc::clone),
                    };
                    part.arrays.push(array.ok_or_else(|| Error::internal("a column was not read"))?);
                }
                let behind = misfits.partition_point(|misfit| misfit.row < end);
                let first = misfits.drain(..behind).map(|misfit| Misfit { row: misfit.row - start, ..misfit });
                part.misfits.extend(first);
                part.misfits.sort_by_key(|misfit| misfit.row);
                Ok(Some(part))
            }
        }
    }

    fn batch(&self, reader: &FileReader, fragment: &Fragment, mut part: Part) -> Result<SourceBatch> {
        let rows = part.len();
        if self.sparse {
            part.arrays.iter_mut().for_each(compact);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let records = RecordBatch::try_new_with_options(Arc::clone(&reader.schema), part.arrays, &options)?;
        let before = reader.of_file().rows_before[fragment.row_group];
        let positions = match part.rows.as_slice() {
            [only] => Positions::Consecutive(before + only.start),
            ranges => Positions::Listed(ranges.iter().cloned().flatten().map(|row| before + row).collect()),
        };
        let origin = RowOrigin { file: reader.file as u32, positions };
        Ok(SourceBatch { batch: Batch { records, origin }, misfits: part.misfits, recoded: Vec::new() })
    }
}

/// Lets go of text that no row refers to.
fn compact(array: &mut ArrayRef) {
    if let Some(texts) = array.as_string_view_opt()
        && !texts.data_buffers().is_empty()
    {
        *array = Arc::new(texts.gc());
    }
}

/// Which rows the filter wants, and those with misfits, for which it cannot tell.
fn keep(filter: &dyn RowFilter, batch: &RecordBatch, misfits: &[Misfit]) -> BooleanArray {
    let Some(mask) = filter.keep(batch) else { return BooleanArray::from(vec![true; batch.num_rows()]) };
    if mask.null_count() == 0 && misfits.is_empty() {
        return mask;
    }
    let mut kept: Vec<bool> = mask.iter().map(|keep| keep == Some(true)).collect();
    for misfit in misfits {
        if let Some(keep) = kept.get_mut(misfit.row) {
            *keep = true;
        }
    }
    kept.into()
}

/// Appends the rows of `rows` that the mask, which has one entry for each, keeps.
fn choose(rows: &[Range<u64>], mask: &BooleanArray, chosen: &mut Vec<Range<u64>>) {
    let mut runs = mask.values().set_slices().map(|(start, end)| start as u64..end as u64).peekable();
    let mut before = 0;
    for range in rows {
        let length = range.end - range.start;
        while let Some(run) = runs.peek() {
            let start = run.start.max(before);
            if start >= before + length {
                break;
            }
            let end = run.end.min(before + length);
            let row = range.start + (start - before);
            match chosen.last_mut() {
                Some(last) if last.end == row => last.end += end - start,
                _ => chosen.push(row..row + (end - start)),
            }
            if run.end > before + length {
                break;
            }
            runs.next();
        }
        before += length;
    }
}

/// Takes the first `limit` rows off.
fn take_rows(rows: &mut Vec<Range<u64>>, limit: u64) -> Vec<Range<u64>> {
    let mut taken = Vec::new();
    let mut missing = limit;
    let mut whole = 0;
    for range in rows.iter_mut() {
        let length = range.end - range.start;
        if missing == 0 {
            break;
        }
        let end = range.start + length.min(missing);
        taken.push(range.start..end);
        missing -= end - range.start;
        if end == range.end {
            whole += 1;
        } else {
            range.start = end;
        }
    }
    rows.drain(..whole);
    unite(taken, Vec::new())
}

fn count(rows: &[Range<u64>]) -> u64 {
    rows.iter().map(|range| range.end - range.start).sum()
}
