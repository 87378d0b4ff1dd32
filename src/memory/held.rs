//! What rows take: every buffer counted once, however many arrays are views of it.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use std::collections::HashSet;
use std::sync::Arc;

/// An array beside its buffers, and the pointers to it.
const ARRAY_BYTES: usize = 160;
/// A batch beside its arrays.
const BATCH_BYTES: usize = 64;
/// Texts that use less than this share of the buffers behind them are copied rather than held.
const MOSTLY_UNUSED: usize = 2;

/// The buffers behind some batches, each counted once. Slices of one array, and the texts that a selection of rows still
/// refers to, share theirs.
#[derive(Debug, Default)]
pub(crate) struct HeldBuffers {
    seen: HashSet<usize, foldhash::fast::FixedState>,
    bytes: usize,
}

impl HeldBuffers {
    /// Counts a batch, which stays where it is as long as it counts.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.add_if(batch, |_| true);
    }

    /// Counts a batch if the bytes that all of them take then are agreed to; whether they are.
    pub(crate) fn add_if(&mut self, batch: &RecordBatch, agrees: impl FnOnce(usize) -> bool) -> bool {
        let before = self.bytes;
        let mut new = Vec::new();
        self.bytes += BATCH_BYTES + ARRAY_BYTES * batch.num_columns();
        for column in batch.columns() {
            self.add_data(&column.to_data(), &mut new);
        }
        let agreed = agrees(self.bytes);
        if !agreed {
            self.bytes = before;
            // What is not held may be gone soon, and something else stand in its place.
            new.iter().for_each(|start| {
                self.seen.remove(start);
            });
        }
        agreed
    }

    /// What all batches take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all batches.
    pub(crate) fn clear(&mut self) {
        *self = HeldBuffers::default();
    }

    fn add_data(&mut self, data: &ArrayData, new: &mut Vec<usize>) {
        self.add_buffers(data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer())), new);
        data.child_data().iter().for_each(|child| self.add_data(child, new));
    }

    fn add_buffers<'a>(&mut self, buffers: impl IntoIterator<Item = &'a Buffer>, new: &mut Vec<usize>) {
        for buffer in buffers {
            let start = buffer.data_ptr().as_ptr() as usize;
            if self.seen.insert(start) {
                self.bytes += buffer.capacity() + size_of::<Buffer>();
                new.push(start);
            }
        }
    }
}

/// What one batch takes.
pub(crate) fn held_bytes(batch: &RecordBatch) -> usize {
    let mut held = HeldBuffers::default();
    held.add(batch);
    held.bytes()
}

/// What the rows of some batches use: of a slice, its part of the whole, and of texts, the buffers behind them once, unless
/// these are on another account.
pub(crate) fn used_bytes<'a>(batches: impl Iterator<Item = &'a RecordBatch>, with_texts: bool) -> usize {
    let mut texts = HeldBuffers::default();
    let mut bytes = 0;
    for batch in batches {
        bytes += BATCH_BYTES + ARRAY_BYTES * batch.num_columns();
        for column in batch.columns() {
            let (own, buffers) = match column.data_type() {
                DataType::Utf8View => (column.len() * size_of::<u128>(), &column.as_string_view().data_buffers()[..]),
                DataType::BinaryView => (column.len() * size_of::<u128>(), &column.as_binary_view().data_buffers()[..]),
                DataType::Dictionary(keys, _) => (column.len() * keys.primitive_width().unwrap_or(0), &[][..]),
                _ => {
                    let sliced = column.to_data().get_slice_memory_size();
                    (sliced.unwrap_or_else(|_| column.get_buffer_memory_size()), &[][..])
                }
            };
            bytes += own + column.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
            if with_texts {
                texts.add_buffers(buffers, &mut Vec::new());
            }
        }
    }
    bytes + texts.bytes()
}

/// The rows without what their texts do not use of the buffers behind them, where that is most of it. To be asked of
/// rows that are to stay: others than these would be held with them.
pub(crate) fn without_unused_text(batch: RecordBatch) -> RecordBatch {
    if !batch.columns().iter().any(is_mostly_unused) {
        return batch;
    }
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View if is_mostly_unused(column) => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView if is_mostly_unused(column) => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options).unwrap_or(batch)
}

fn is_mostly_unused(column: &ArrayRef) -> bool {
    let unused =
        |buffers: &[Buffer], used: usize| buffers.iter().map(Buffer::capacity).sum::<usize>() / MOSTLY_UNUSED > used;
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            !texts.data_buffers().is_empty() && unused(texts.data_buffers(), texts.total_buffer_bytes_used())
        }
        DataType::BinaryView => {
            let bytes = column.as_binary_view();
            !bytes.data_buffers().is_empty() && unused(bytes.data_buffers(), bytes.total_buffer_bytes_used())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::compute::interleave_record_batch;

    fn batch(rows: i64) -> RecordBatch {
        let numbers: Int64Array = (0..rows).collect();
        let texts: StringViewArray = (0..rows).map(|row| Some(format!("longer than a view holds {row}"))).collect();
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("t", Arc::new(texts) as ArrayRef)]).unwrap()
    }

    #[test]
    fn slices_and_selections_count_what_they_share_once() {
        let (one, other) = (batch(1000), batch(1000));
        let both = held_bytes(&one) + held_bytes(&other);
        let mut held = HeldBuffers::default();
        held.add(&one);
        held.add(&other);
        assert_eq!(held.bytes(), both);
        held.add(&one.slice(3, 50));
        assert!(held.bytes() - both < 1000, "a slice adds its arrays");
        let before = held.bytes();
        let third = batch(10);
        assert!(!held.add_if(&third, |bytes| bytes == before));
        assert!(held.bytes() == before && held.add_if(&third, |bytes| bytes > before));
        let text_bytes = both - 2 * 1000 * (8 + 16);
        let mut held = HeldBuffers::default();
        let selections = (0..10).map(|at| {
            let rows: Vec<_> = (at * 100..at * 100 + 100).flat_map(|row| [(0, row), (1, row)]).collect();
            interleave_record_batch(&[&one, &other], &rows).unwrap()
        });
        let selections: Vec<_> = selections.collect();
        selections.iter().for_each(|selection| held.add(selection));
        let expected = text_bytes + 2 * 1000 * (8 + 16);
        assert!((expected..expected + expected / 5).contains(&held.bytes()), "{} for {expected}", held.bytes());
    }

    #[test]
    fn few_texts_of_many_are_copied_and_most_are_not() {
        let whole = batch(1000);
        let few = without_unused_text(whole.slice(10, 10));
        assert_eq!(few, whole.slice(10, 10));
        assert!(few.column(1).get_buffer_memory_size() < 1000);
        let most = without_unused_text(whole.slice(0, 900));
        let at = |batch: &RecordBatch| batch.column(1).as_string_view().data_buffers()[0].as_ptr();
        assert_eq!(at(&most), at(&whole));
    }
}
