//! Row identities as columns, so that they travel with rows that are sorted and written.

use crate::batch::{RowId, RowOrigin};
use crate::error::{Error, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, UInt32Type, UInt64Type};
use std::sync::Arc;

/// The identities of the rows of a batch.
#[derive(Debug)]
pub(in crate::exec) struct Identities {
    files: UInt32Array,
    positions: UInt64Array,
}

impl Identities {
    /// The columns, which stand from the `first` on.
    pub(in crate::exec) fn fields(first: usize) -> [Field; 2] {
        let field = |at: usize, of_type| Field::new((first + at).to_string(), of_type, false);
        [field(0, DataType::UInt32), field(1, DataType::UInt64)]
    }

    /// Of the first `rows` rows from there.
    pub(in crate::exec) fn columns(origin: &RowOrigin, rows: usize) -> [ArrayRef; 2] {
        let ids = || (0..rows).map(|row| origin.row_id(row));
        let files: UInt32Array = ids().map(|id| id.file).collect();
        let positions: UInt64Array = ids().map(|id| id.position).collect();
        [Arc::new(files), Arc::new(positions)]
    }

    /// Of a batch with these columns.
    ///
    /// # Errors
    /// `Internal` when they are others.
    pub(in crate::exec) fn of(batch: &RecordBatch, first: usize) -> Result<Self> {
        let column = |at: usize| batch.columns().get(first + at);
        let files = column(0).and_then(|column| column.as_primitive_opt::<UInt32Type>());
        let positions = column(1).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        match (files, positions) {
            (Some(files), Some(positions)) => Ok(Identities { files: files.clone(), positions: positions.clone() }),
            _ => Err(Error::internal("a batch without row identities")),
        }
    }

    #[inline(always)]
    pub(in crate::exec) fn get(&self, row: usize) -> RowId {
        RowId { file: self.files.value(row), position: self.positions.value(row) }
    }

    /// The first and the last, if they ascend from row to row.
    pub(in crate::exec) fn span(&self) -> Option<(RowId, RowId)> {
        let last = self.files.len().checked_sub(1)?;
        let ascending = (0..last).all(|row| self.get(row) < self.get(row + 1));
        ascending.then(|| (self.get(0), self.get(last)))
    }
}
