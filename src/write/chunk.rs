//! Where rows are cut into chunks.
//!
//! A chunk ends at a number of rows, or at the row with which the values in it reach a number of bytes. Both depend on
//! the values alone, not on the batches in which they come.

use crate::error::{Error, Result};
use crate::memory::{Part as Stored, Reservation, SpillFile};
use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{ArrowNativeType, BinaryViewType, StringViewType};
use arrow::datatypes::{BinaryType, ByteArrayType, ByteViewType, DataType, LargeBinaryType, LargeUtf8Type};
use arrow::datatypes::{Schema, SchemaRef, Utf8Type};
use std::ops::Range;
use std::sync::Arc;

/// What a value counts for when its type does not say.
const NOMINAL_BYTES: u64 = 64;

/// How large a chunk is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkLimits {
    /// Rows in a chunk.
    pub(super) rows: usize,
    /// Bytes of values that end a chunk.
    pub(super) bytes: u64,
}

/// Rows that several chunks may need; given up with the last part of them.
#[derive(Debug)]
pub(super) struct Held {
    rows: Rows,
    _reservations: Arc<[Reservation]>,
}

#[derive(Debug)]
enum Rows {
    Memory(RecordBatch),
    /// Column by column, as they are asked for by formats that store columns.
    Disk(SchemaRef, Vec<Stored>),
}

impl Held {
    /// Rows, and what is reserved for them.
    pub(super) fn new(records: RecordBatch, reservations: Arc<[Reservation]>) -> Self {
        Held { rows: Rows::Memory(records), _reservations: reservations }
    }

    /// Rows that are written to disk.
    fn on_disk(records: &RecordBatch, file: &Arc<SpillFile>) -> Result<Self> {
        let column = |at: usize| Ok(Stored::Spilled(Arc::clone(file), file.append(&records.project(&[at])?)?));
        let columns = (0..records.num_columns()).map(column).collect::<Result<_>>()?;
        Ok(Held { rows: Rows::Disk(records.schema(), columns), _reservations: Arc::new([]) })
    }

    fn column(&self, at: usize) -> Result<ArrayRef> {
        match &self.rows {
            Rows::Memory(records) => Ok(Arc::clone(records.column(at))),
            Rows::Disk(_, columns) => {
                let column = columns.get(at).ok_or_else(|| Error::internal("a column that is not there"))?;
                Ok(Arc::clone(column.load()?.column(0)))
            }
        }
    }
}

/// Neighbouring rows of a batch. A few rows of each of many folders cost no more than this beside their values.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) held: Arc<Held>,
    pub(super) rows: Range<usize>,
}

/// What a row is taken to cost beside its value, if it is a part of its own.
pub(super) const ROW_OVERHEAD_BYTES: u64 = 48;

impl Part {
    /// The rows, read back if they are on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn records(&self) -> Result<RecordBatch> {
        match &self.held.rows {
            Rows::Memory(records) => Ok(records.slice(self.rows.start, self.rows.len())),
            Rows::Disk(schema, columns) => {
                let columns = (0..columns.len()).map(|at| self.column(at)).collect::<Result<_>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
                Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
            }
        }
    }

    /// One column of them.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn column(&self, at: usize) -> Result<ArrayRef> {
        Ok(self.held.column(at)?.slice(self.rows.start, self.rows.len()))
    }

    fn split_off(&mut self, rows: usize) -> Part {
        let first = Part { held: Arc::clone(&self.held), rows: self.rows.start..self.rows.start + rows };
        self.rows.start += rows;
        first
    }
}

/// Bytes of a column that go to disk together, about.
const DISK_BYTES_OF_COLUMN: u64 = 16 << 10;
/// And rows, at most.
const DISK_ROWS: usize = 8192;

/// Puts rows on disk that wait for their chunks to be whole, and says whether there were any. Those of several folders stand
/// together, so that many folders do not make many blocks.
///
/// # Errors
/// Those of the disk.
pub(super) fn put_on_disk(chunkers: &mut [&mut Chunker], file: &Arc<SpillFile>) -> Result<bool> {
    let in_memory = |part: &Part| matches!(part.held.rows, Rows::Memory(_));
    let (mut block, mut any) = (Block::default(), false);
    for at in 0..chunkers.len() {
        // What is on disk already stands before all else.
        let parts = &mut chunkers[at].parts;
        let first = parts.iter().position(in_memory).unwrap_or(parts.len());
        for part in parts.split_off(first) {
            any = true;
            let mut records = part.records()?;
            let most = DISK_BYTES_OF_COLUMN * records.num_columns() as u64;
            while records.num_rows() > 0 {
                let rows = records.num_rows().min(DISK_ROWS - block.rows);
                let taken = rows_until(&records, rows, most.saturating_sub(block.bytes), 0);
                let taken = records.slice(0, taken);
                records = records.slice(taken.num_rows(), records.num_rows() - taken.num_rows());
                block.rows += taken.num_rows();
                block.bytes += value_bytes(&taken);
                block.of.push((at, taken));
                if block.rows >= DISK_ROWS || block.bytes >= most {
                    std::mem::take(&mut block).write(chunkers, file)?;
                }
            }
        }
    }
    block.write(chunkers, file)?;
    Ok(any)
}

/// Rows that are written together, and for which chunkers.
#[derive(Default)]
struct Block {
    of: Vec<(usize, RecordBatch)>,
    rows: usize,
    bytes: u64,
}

impl Block {
    fn write(self, chunkers: &mut [&mut Chunker], file: &Arc<SpillFile>) -> Result<()> {
        let Some((_, first)) = self.of.first() else { return Ok(()) };
        let records = concat_batches(&first.schema(), self.of.iter().map(|(_, records)| records))?;
        let held = Arc::new(Held::on_disk(&records, file)?);
        let mut start = 0;
        for (at, records) in self.of {
            let rows = start..start + records.num_rows();
            start = rows.end;
            match chunkers[at].parts.last_mut() {
                Some(last) if Arc::ptr_eq(&last.held, &held) && last.rows.end == rows.start => last.rows.end = rows.end,
                _ => chunkers[at].parts.push(Part { held: Arc::clone(&held), rows }),
            }
        }
        Ok(())
    }
}

/// The rows of a chunk.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) parts: Vec<Part>,
    /// Bytes of their values.
    pub(super) bytes: u64,
}

/// Rows on their way to a chunk.
#[derive(Debug, Default)]
pub(super) struct Chunker {
    parts: Vec<Part>,
    rows: usize,
    bytes: u64,
}

impl Chunker {
    /// Takes rows whose values have `bytes` bytes; gives the chunks that are complete.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn push(&mut self, mut part: Part, mut bytes: u64, limits: ChunkLimits) -> Result<Vec<Cut>> {
        let mut chunks = Vec::new();
        while self.rows + part.rows.len() >= limits.rows || self.bytes + bytes >= limits.bytes {
            let most = part.rows.len().min(limits.rows - self.rows);
            let taken = rows_until(&part.records()?, most, limits.bytes.saturating_sub(self.bytes), 0);
            let first = part.split_off(taken);
            let first_bytes = value_bytes(&first.records()?);
            self.add(first, first_bytes);
            bytes = bytes.saturating_sub(first_bytes);
            if self.rows >= limits.rows || self.bytes >= limits.bytes {
                chunks.push(self.take());
            }
            if part.rows.is_empty() {
                return Ok(chunks);
            }
        }
        self.add(part, bytes);
        Ok(chunks)
    }

    fn add(&mut self, part: Part, bytes: u64) {
        if !part.rows.is_empty() {
            self.rows += part.rows.len();
            self.bytes += bytes;
            self.parts.push(part);
        }
    }

    /// The rows so far, as a chunk.
    pub(super) fn take(&mut self) -> Cut {
        let Chunker { parts, bytes, .. } = std::mem::take(self);
        Cut { parts, bytes }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// Batches so small that each costs more than its rows; they are put together before they go on.
#[derive(Debug, Default)]
pub(super) struct Small {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: u64,
}

/// Batches of fewer rows are small.
const SMALL_ROWS: usize = 1024;
/// So many bytes of values are not small, however few their rows.
const SMALL_BYTES: u64 = 1 << 20;

impl Small {
    /// Whether a batch is small.
    pub(super) fn is_small(records: &RecordBatch) -> bool {
        records.num_rows() < SMALL_ROWS
    }

    /// Takes a batch.
    pub(super) fn add(&mut self, records: RecordBatch) {
        self.rows += records.num_rows();
        self.bytes += value_bytes(&records);
        self.batches.push(records);
    }

    /// Whether there is enough to go on.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= SMALL_ROWS || self.bytes >= SMALL_BYTES
    }

    /// All rows in one batch, if there are any.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        let Small { mut batches, rows, .. } = std::mem::take(self);
        match batches.len() {
            _ if rows == 0 => Ok(None),
            1 => Ok(batches.pop()),
            _ => Ok(Some(concat_batches(&batches[0].schema(), &batches)?)),
        }
    }
}

/// What a row takes, where its texts are as long as most are.
#[derive(Clone, Copy, Debug)]
pub(super) struct NominalRow {
    /// What it counts for.
    pub(super) value_bytes: usize,
    /// Of this, the widest column.
    pub(super) widest_bytes: usize,
}

impl NominalRow {
    /// Bytes of a text.
    const TEXT_BYTES: usize = 32;

    pub(super) fn of(schema: &Schema) -> Self {
        let mut row = NominalRow { value_bytes: 0, widest_bytes: 1 };
        for field in schema.fields() {
            let value = match field.data_type() {
                DataType::Utf8View | DataType::BinaryView | DataType::Utf8 | DataType::Binary => {
                    ENTRY_BYTES as usize + Self::TEXT_BYTES
                }
                other => fixed_bytes(other) as usize,
            };
            row.value_bytes += value;
            row.widest_bytes = row.widest_bytes.max(value);
        }
        row.value_bytes = row.value_bytes.max(row.widest_bytes);
        row
    }
}

/// How many of the first `most` rows it takes to reach `bytes` bytes of values, each row counting `overhead` more;
/// `most` if they do not.
pub(super) fn rows_until(batch: &RecordBatch, most: usize, bytes: u64, overhead: u64) -> usize {
    let per_row = row_bytes(&batch.slice(0, most));
    let mut sum = 0;
    let reached = per_row.iter().position(|row| {
        sum += row + overhead;
        sum >= bytes
    });
    reached.map_or(most, |at| at + 1)
}

/// Bytes of the values of each row.
pub(super) fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut per_row = vec![0_u64; batch.num_rows()];
    for column in batch.columns() {
        add_bytes(column, &mut per_row);
    }
    per_row
}

/// Bytes of the values of all rows.
pub(super) fn value_bytes(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(column_bytes).sum()
}

fn column_bytes(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Null => array.len() as u64,
        data_type if data_type.is_primitive() || *data_type == DataType::Boolean => {
            fixed_bytes(data_type) * array.len() as u64
        }
        _ => {
            let mut per_row = vec![0; array.len()];
            add_bytes(array, &mut per_row);
            per_row.iter().sum()
        }
    }
}

fn fixed_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::Null | DataType::Boolean => 1,
        other => other.primitive_width().map_or(NOMINAL_BYTES, |width| width as u64),
    }
}

/// Adds to every row the bytes of its value.
fn add_bytes(array: &ArrayRef, per_row: &mut [u64]) {
    match array.data_type() {
        DataType::Utf8View => add_view_bytes::<StringViewType>(array, per_row),
        DataType::BinaryView => add_view_bytes::<BinaryViewType>(array, per_row),
        DataType::Utf8 => add_text_bytes::<Utf8Type>(array, per_row),
        DataType::LargeUtf8 => add_text_bytes::<LargeUtf8Type>(array, per_row),
        DataType::Binary => add_text_bytes::<BinaryType>(array, per_row),
        DataType::LargeBinary => add_text_bytes::<LargeBinaryType>(array, per_row),
        DataType::List(_) => add_list_bytes(array.as_list(), per_row),
        other => {
            let width = fixed_bytes(other);
            per_row.iter_mut().for_each(|row| *row += width);
        }
    }
}

/// What a text costs beside its bytes: the entry that finds them.
const ENTRY_BYTES: u64 = 8;

fn add_view_bytes<T: ByteViewType>(array: &ArrayRef, per_row: &mut [u64]) {
    let views = array.as_byte_view::<T>();
    for (at, (row, view)) in per_row.iter_mut().zip(views.views().iter()).enumerate() {
        // The view of a null may be anything.
        let length = if views.is_valid(at) { *view as u32 } else { 0 };
        *row += ENTRY_BYTES + u64::from(length);
    }
}

fn add_text_bytes<T: ByteArrayType>(array: &ArrayRef, per_row: &mut [u64]) {
    let texts = array.as_bytes::<T>();
    for (at, (row, ends)) in per_row.iter_mut().zip(texts.value_offsets().windows(2)).enumerate() {
        let length = if texts.is_valid(at) { ends[1].as_usize() - ends[0].as_usize() } else { 0 };
        *row += ENTRY_BYTES + length as u64;
    }
}

fn add_list_bytes(lists: &ListArray, per_row: &mut [u64]) {
    let mut of_items = vec![0; lists.values().len()];
    add_bytes(lists.values(), &mut of_items);
    for (row, ends) in per_row.iter_mut().zip(lists.value_offsets().windows(2)) {
        *row += ENTRY_BYTES + of_items[ends[0] as usize..ends[1] as usize].iter().sum::<u64>();
    }
}

/// The same rows without memory that only rows filtered away needed.
pub(super) fn compacted(batch: RecordBatch) -> Result<RecordBatch> {
    let wasteful = |array: &ArrayRef| match array.data_type() {
        DataType::Utf8View => {
            let views = array.as_string_view();
            let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
            held > 4096 && held > 2 * views.total_buffer_bytes_used()
        }
        _ => false,
    };
    if !batch.columns().iter().any(wasteful) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|array| match wasteful(array) {
        true => Arc::new(array.as_string_view().gc()) as ArrayRef,
        false => Arc::clone(array),
    });
    Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Budget, Spill};
    use arrow::array::{Int64Array, StringViewArray};
    use proptest::prelude::*;

    fn batch(texts: &[Option<String>]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..texts.len() as i64));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts.iter().map(|text| text.as_deref())));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, true)]).unwrap()
    }

    /// The rows of chunks; with `file`, what waits goes there again and again.
    fn chunks(
        batch: &RecordBatch,
        pieces: &[usize],
        limits: ChunkLimits,
        file: Option<&Arc<SpillFile>>,
    ) -> Vec<RecordBatch> {
        let whole = |cut: Cut| {
            let parts: Vec<RecordBatch> = cut.parts.iter().map(|part| part.records().unwrap()).collect();
            let whole = concat_batches(&batch.schema(), &parts).unwrap();
            for at in 0..whole.num_columns() {
                let columns: Vec<ArrayRef> = cut.parts.iter().map(|part| part.column(at).unwrap()).collect();
                let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
                assert!(columns.is_empty() || *arrow::compute::concat(&columns).unwrap() == **whole.column(at));
            }
            whole
        };
        let (mut chunker, mut other) = (Chunker::default(), Chunker::default());
        let (mut chunks, mut start) = (Vec::new(), 0);
        for piece in pieces.iter().copied().chain([usize::MAX]) {
            let records = batch.slice(start, piece.min(batch.num_rows() - start));
            start += records.num_rows();
            let (rows, bytes) = (0..records.num_rows(), value_bytes(&records));
            let held = Arc::new(Held::new(records, Arc::new([Budget::unlimited().reservation("test")])));
            let part = Part { held, rows };
            other.push(part.clone(), bytes, ChunkLimits { rows: usize::MAX, bytes: u64::MAX }).unwrap();
            chunks.extend(chunker.push(part, bytes, limits).unwrap().into_iter().map(whole));
            if let Some(file) = file {
                put_on_disk(&mut [&mut chunker, &mut other], file).unwrap();
                assert!(!put_on_disk(&mut [&mut chunker, &mut other], file).unwrap(), "nothing is left in memory");
            }
        }
        chunks.push(whole(chunker.take()));
        assert_eq!(whole(other.take()), *batch, "the rows of another folder");
        chunks
    }

    fn cuts(batch: &RecordBatch, pieces: &[usize], limits: ChunkLimits) -> Vec<usize> {
        let rows = |chunk: &Cut| chunk.parts.iter().map(|part| part.rows.len()).sum::<usize>();
        let mut chunker = Chunker::default();
        let (mut cuts, mut start) = (Vec::new(), 0);
        for piece in pieces.iter().copied().chain([usize::MAX]) {
            let records = batch.slice(start, piece.min(batch.num_rows() - start));
            start += records.num_rows();
            let (rows_of_piece, bytes) = (0..records.num_rows(), value_bytes(&records));
            let held = Held::new(records, Arc::new([Budget::unlimited().reservation("test")]));
            let part = Part { held: Arc::new(held), rows: rows_of_piece };
            cuts.extend(chunker.push(part, bytes, limits).unwrap().iter().map(rows));
        }
        cuts.push(rows(&chunker.take()));
        cuts
    }

    proptest! {
        #[test]
        fn chunks_do_not_depend_on_batches(
            texts in prop::collection::vec(prop::option::of("[a-z]{0,40}"), 0..300),
            pieces in prop::collection::vec(0_usize..60, 0..40),
            rows in 1_usize..100,
            bytes in 1_u64..2000,
        ) {
            let batch = batch(&texts);
            let limits = ChunkLimits { rows, bytes };
            let whole = cuts(&batch, &[], limits);
            prop_assert_eq!(&whole, &cuts(&batch, &pieces, limits));
            prop_assert_eq!(whole.iter().sum::<usize>(), texts.len());
            prop_assert!(whole.iter().all(|cut| *cut <= rows));
        }

        #[test]
        fn rows_that_wait_on_disk_make_the_same_chunks(
            texts in prop::collection::vec(prop::option::of("[a-z]{0,40}"), 0..300),
            pieces in prop::collection::vec(0_usize..60, 0..40),
            rows in 1_usize..100,
        ) {
            let (batch, file) = (batch(&texts), Arc::new(Spill::default().file()));
            let limits = ChunkLimits { rows, bytes: 2000 };
            let in_memory = chunks(&batch, &pieces, limits, None);
            prop_assert_eq!(in_memory, chunks(&batch, &pieces, limits, Some(&file)));
        }
    }

    #[test]
    fn a_few_rows_of_many_do_not_hold_the_memory_of_all() {
        let whole = batch(&vec![Some("text that does not fit into its view".to_string()); 1000]);
        let few = compacted(whole.slice(500, 2)).unwrap();
        assert_eq!(few, whole.slice(500, 2));
        assert!(few.column(1).get_buffer_memory_size() < 1000, "{}", few.column(1).get_buffer_memory_size());
    }

    #[test]
    fn small_batches_are_put_together_until_they_are_not_small() {
        let mut small = Small::default();
        for _ in 0..SMALL_ROWS {
            assert!(!small.is_full());
            small.add(batch(&[None]));
        }
        assert!(small.is_full());
        assert_eq!(small.take().unwrap().unwrap().num_rows(), SMALL_ROWS);
        assert!(small.take().unwrap().is_none());
        small.add(batch(&[Some("x".repeat(SMALL_BYTES as usize))]));
        assert!(small.is_full(), "one row may be large");
    }
}
