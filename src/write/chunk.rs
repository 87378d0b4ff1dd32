//! Where rows are cut into chunks.
//!
//! A chunk ends at a number of rows, or at the row with which the values in it reach a number of bytes. Both depend on
//! the values alone, not on the batches in which they come.

use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{ArrowNativeType, BinaryViewType, StringViewType};
use arrow::datatypes::{BinaryType, ByteArrayType, ByteViewType, DataType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use std::sync::Arc;

/// What a value counts for when its type does not say.
const NOMINAL_BYTES: u64 = 64;
/// Batches of fewer rows are put together when there are many, because each has a price of its own.
const SMALL_ROWS: usize = 1024;
const MANY_SMALL: usize = 32;

/// How large a chunk is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkLimits {
    /// Rows in a chunk.
    pub(super) rows: usize,
    /// Bytes of values that end a chunk.
    pub(super) bytes: u64,
}

/// The rows of a chunk.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) batches: Vec<RecordBatch>,
    /// Bytes of their values.
    pub(super) bytes: u64,
}

/// Rows on their way to a chunk.
#[derive(Debug, Default)]
pub(super) struct Chunker {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: u64,
    /// So many of the last batches are small.
    small: usize,
}

impl Chunker {
    /// Takes rows whose values have `bytes` bytes; gives the chunks that are complete.
    pub(super) fn push(&mut self, mut batch: RecordBatch, mut bytes: u64, limits: ChunkLimits) -> Result<Vec<Cut>> {
        let mut chunks = Vec::new();
        while self.rows + batch.num_rows() >= limits.rows || self.bytes + bytes >= limits.bytes {
            let most = batch.num_rows().min(limits.rows - self.rows);
            let taken = rows_until(&batch, most, limits.bytes.saturating_sub(self.bytes));
            let first = batch.slice(0, taken);
            let first_bytes = value_bytes(&first);
            self.add(first, first_bytes)?;
            batch = batch.slice(taken, batch.num_rows() - taken);
            bytes = bytes.saturating_sub(first_bytes);
            if self.rows >= limits.rows || self.bytes >= limits.bytes {
                chunks.push(self.take());
            }
            if batch.num_rows() == 0 {
                return Ok(chunks);
            }
        }
        self.add(batch, bytes)?;
        Ok(chunks)
    }

    fn add(&mut self, batch: RecordBatch, bytes: u64) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.small = if batch.num_rows() < SMALL_ROWS { self.small + 1 } else { 0 };
        self.batches.push(batch);
        if self.small >= MANY_SMALL {
            let small = self.batches.split_off(self.batches.len() - self.small);
            let joined = concat_batches(&small[0].schema(), &small)?;
            self.small = usize::from(joined.num_rows() < SMALL_ROWS);
            self.batches.push(joined);
        }
        Ok(())
    }

    /// The rows so far, as a chunk.
    pub(super) fn take(&mut self) -> Cut {
        let Chunker { batches, bytes, .. } = std::mem::take(self);
        Cut { batches, bytes }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// How many of the first `most` rows it takes to reach `bytes` bytes of values; `most` if they do not.
pub(super) fn rows_until(batch: &RecordBatch, most: usize, bytes: u64) -> usize {
    let mut per_row = vec![0_u64; most];
    for column in batch.columns() {
        add_bytes(&column.slice(0, most), &mut per_row);
    }
    let mut sum = 0;
    let reached = per_row.iter().position(|row| {
        sum += row;
        sum >= bytes
    });
    reached.map_or(most, |at| at + 1)
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
    use arrow::array::{Int64Array, StringViewArray};
    use proptest::prelude::*;

    fn batch(texts: &[Option<String>]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..texts.len() as i64));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts.iter().map(|text| text.as_deref())));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, true)]).unwrap()
    }

    fn cuts(batch: &RecordBatch, pieces: &[usize], limits: ChunkLimits) -> Vec<usize> {
        let rows = |chunk: &Cut| chunk.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let mut chunker = Chunker::default();
        let (mut cuts, mut start) = (Vec::new(), 0);
        for piece in pieces.iter().copied().chain([usize::MAX]) {
            let piece = batch.slice(start, piece.min(batch.num_rows() - start));
            start += piece.num_rows();
            let bytes = value_bytes(&piece);
            cuts.extend(chunker.push(piece, bytes, limits).unwrap().iter().map(rows));
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
    }

    #[test]
    fn a_few_rows_of_many_do_not_hold_the_memory_of_all() {
        let whole = batch(&vec![Some("text that does not fit into its view".to_string()); 1000]);
        let few = compacted(whole.slice(500, 2)).unwrap();
        assert_eq!(few, whole.slice(500, 2));
        assert!(few.column(1).get_buffer_memory_size() < 1000, "{}", few.column(1).get_buffer_memory_size());
    }

    #[test]
    fn many_small_batches_are_put_together() {
        let mut chunker = Chunker::default();
        let limits = ChunkLimits { rows: 1 << 20, bytes: 1 << 30 };
        for _ in 0..10_000 {
            chunker.push(batch(&[None]), 9, limits).unwrap();
        }
        assert!(chunker.batches.len() < 2 * MANY_SMALL, "{}", chunker.batches.len());
        assert_eq!(chunker.take().batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10_000);
    }
}
