//! Right rows that are too many for one table, as one table after the other.

use super::table::{Numbering, Table, TableRoom};
use crate::error::Result;
use crate::groupby::ABSENT;
use crate::memory::{Part, Reservation, StoredRows, held_bytes, used_bytes, without_unused_text};
use crate::plan::JoinShape;
use crate::source::CancelToken;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use std::sync::Arc;

/// Rows that are taken or left together.
const SLICE_ROWS: usize = 4096;
/// What an index takes for each key at most, while it grows.
const KEY_BYTES: usize = 80;

/// See the module.
pub(in crate::exec) struct Tables<'a> {
    shape: &'a JoinShape,
    schema: SchemaRef,
    rows: Slices<'a>,
    room: TableRoom,
    /// A table numbers its rows in 32 bits, of which one number stands for none.
    most_rows: usize,
}

impl<'a> Tables<'a> {
    /// Tables that may each take what `held` can grow to, a quarter of the limit at most.
    pub(in crate::exec) fn new(
        right: &'a StoredRows,
        schema: SchemaRef,
        shape: &'a JoinShape,
        held: Reservation,
    ) -> Self {
        let rows = Slices { parts: right.parts().iter(), left: Vec::new() };
        let most_rows = ABSENT as usize;
        Tables { shape, schema, rows, room: TableRoom::of(held), most_rows }
    }

    /// The table of the next rows, as many as there is room for; the one before is gone. `None` at the end.
    ///
    /// # Errors
    /// `Limit` where there is no room for any, those of reading what was spilled, and `Cancelled`.
    pub(in crate::exec) fn next(&mut self, cancel: &CancelToken) -> Result<Option<Table>> {
        self.room.held.resize(0)?;
        let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.schema.fields().len()];
        let (mut rows, mut made_bytes, mut bytes) = (0, 0, 0);
        let mut numbering = Numbering::new(self.shape)?;
        while let Some(slice) = self.rows.next()? {
            cancel.check()?;
            if rows > 0 && rows + slice.num_rows() > self.most_rows {
                self.rows.put_back(slice);
                break;
            }
            let [made, making] = self.bytes_of(&slice);
            (made_bytes, bytes) = (made_bytes + made, bytes + making);
            if made_bytes > self.room.most_bytes || self.room.held.resize(bytes).is_err() {
                if rows > 0 {
                    self.rows.put_back(slice);
                    break;
                }
                if slice.num_rows() > 1 {
                    let half = slice.num_rows() / 2;
                    self.rows.put_back(slice.slice(half, slice.num_rows() - half));
                    self.rows.put_back(slice.slice(0, half));
                    (made_bytes, bytes) = (0, 0);
                    continue;
                }
                // A row that is too large for its share is tried all the same.
                self.room.held.resize(bytes)?;
            }
            numbering.add(&slice, self.shape)?;
            rows += slice.num_rows();
            columns.iter_mut().zip(slice.columns()).for_each(|(column, part)| column.push(Arc::clone(part)));
        }
        if rows == 0 {
            return Ok(None);
        }
        let records = in_one_piece(&self.schema, columns, rows)?;
        let table = Table::of(records, numbering);
        self.room.held.resize((table.index_bytes() + held_bytes(&table.records)).min(bytes))?;
        Ok(Some(table))
    }

    /// Whether no rows come behind the last table.
    fn are_done(&self) -> bool {
        self.rows.left.is_empty() && self.rows.parts.len() == 0
    }

    /// What keeps the memory of the first table on the account of results, if it is the only one and there is room for it
    /// there.
    ///
    /// # Errors
    /// `Limit` when the memory that it had has gone to somebody else meanwhile.
    pub(in crate::exec) fn keep_only(
        &mut self,
        table: &Table,
        mut results: Reservation,
    ) -> Result<Option<Reservation>> {
        if !self.are_done() {
            return Ok(None);
        }
        let before = self.room.held.bytes();
        self.room.held.resize(0)?;
        if results.resize(table.index_bytes() + held_bytes(&table.records)).is_ok() {
            return Ok(Some(results));
        }
        self.room.held.resize(before)?;
        Ok(None)
    }

    /// What a table takes for these rows, and at most, while it is made: some column twice, an index that has just grown, lists
    /// by row and by key.
    fn bytes_of(&self, slice: &RecordBatch) -> [usize; 2] {
        let keys = || self.shape.right_keys.iter().map(|key| slice.column(*key));
        let (rows, texts): (usize, usize) = (rows_bytes(slice), keys().map(text_bytes).sum());
        let column = |column: &ArrayRef| text_bytes(column) + column.len() * width(column.data_type());
        let widest = slice.columns().iter().map(column).max().unwrap_or(0);
        let of_index = slice.num_rows() * KEY_BYTES * keys().count();
        let of_lists = slice.num_rows() * 4 * size_of::<u32>();
        [rows + texts + (of_index + of_lists) / 2, rows + widest + 2 * texts + of_index + of_lists]
    }
}

/// Rows in one batch, put together column by column, so that no more than one column is there twice.
fn in_one_piece(schema: &SchemaRef, columns: Vec<Vec<ArrayRef>>, rows: usize) -> Result<RecordBatch> {
    let whole = |parts: Vec<ArrayRef>| -> Result<ArrayRef> {
        Ok(concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<_>>())?)
    };
    let columns = columns.into_iter().map(whole).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(without_unused_text(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?))
}

fn width(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(size_of::<u128>())
}

/// Rows of parts, a slice at a time.
struct Slices<'a> {
    parts: std::slice::Iter<'a, Part>,
    /// Slices of the current part that are still to come, the last one first.
    left: Vec<RecordBatch>,
}

impl Slices<'_> {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left.is_empty() {
            let Some(part) = self.parts.next() else { return Ok(None) };
            let batch = part.load()?;
            let starts = (0..batch.num_rows()).step_by(SLICE_ROWS).rev();
            self.left = starts.map(|start| batch.slice(start, SLICE_ROWS.min(batch.num_rows() - start))).collect();
        }
        Ok(self.left.pop())
    }

    fn put_back(&mut self, slice: RecordBatch) {
        self.left.push(slice);
    }
}

/// What rows take that stand for themselves: of texts, only those of these rows.
pub(in crate::exec) fn rows_bytes(batch: &RecordBatch) -> usize {
    used_bytes([batch].into_iter(), false) + batch.columns().iter().map(text_bytes).sum::<usize>()
}

fn text_bytes(column: &ArrayRef) -> usize {
    column.as_string_view_opt().map_or(0, |texts| texts.total_buffer_bytes_used())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;
    use crate::plan::JoinKind;
    use crate::types::ColumnType;
    use arrow::array::Int64Array;

    #[test]
    fn a_table_takes_no_more_rows_than_it_can_number() {
        let column: ArrayRef = Arc::new((0..10_000).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter([("k", column)]).unwrap();
        let schema = batch.schema();
        let shape = JoinShape {
            kind: JoinKind::Inner,
            number: 0,
            left_keys: Vec::new(),
            right_keys: vec![0],
            domains: vec![ColumnType::Int64],
            residual: None,
            columns: Vec::new(),
            schema: Arc::clone(&schema),
        };
        let rows = StoredRows::from(vec![batch]);
        let mut tables = Tables::new(&rows, schema, &shape, Budget::unlimited().reservation("test"));
        tables.most_rows = 2 * SLICE_ROWS - 1;
        let mut taken = Vec::new();
        while let Some(table) = tables.next(&CancelToken::new()).unwrap() {
            taken.push(table.records.num_rows());
        }
        assert_eq!(taken, [SLICE_ROWS, 10_000 - SLICE_ROWS]);
    }
}
