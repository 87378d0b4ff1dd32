//! Row identities as columns, so that they travel with rows that are sorted and written.

use crate::batch::{Positions, RowId, RowOrigin};
use crate::error::{Error, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, UInt32Type, UInt64Type};
use std::sync::Arc;

/// The identities of the rows of a batch.
#[derive(Debug)]
pub(in crate::exec) struct Identities {
    files: UInt32Array,
    positions: UInt64Array,
    /// Where rows may be copies of each other.
    copies: Option<UInt32Array>,
}

impl Identities {
    /// The columns, which stand from the `first` on, the last of a batch; a third if rows may be copies of each other.
    pub(in crate::exec) fn fields(first: usize, copies: bool) -> Vec<Field> {
        let field = |at: usize, of_type| Field::new((first + at).to_string(), of_type, false);
        let mut fields = vec![field(0, DataType::UInt32), field(1, DataType::UInt64)];
        fields.extend(copies.then(|| field(2, DataType::UInt32)));
        fields
    }

    /// Of the first `rows` rows from there.
    pub(in crate::exec) fn columns(origin: &RowOrigin, rows: usize, copies: bool) -> Vec<ArrayRef> {
        let ids = || (0..rows).map(|row| origin.row_id(row));
        let files: UInt32Array = ids().map(|id| id.file).collect();
        let positions: UInt64Array = ids().map(|id| id.position).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(files), Arc::new(positions)];
        if copies {
            columns.push(Arc::new(ids().map(|id| id.copy).collect::<UInt32Array>()));
        }
        columns
    }

    /// Of a batch with these columns.
    ///
    /// # Errors
    /// `Internal` when they are others.
    pub(in crate::exec) fn of(batch: &RecordBatch, first: usize) -> Result<Self> {
        let column = |at: usize| batch.columns().get(first + at);
        let files = column(0).and_then(|column| column.as_primitive_opt::<UInt32Type>());
        let positions = column(1).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let copies = column(2).and_then(|column| column.as_primitive_opt::<UInt32Type>()).cloned();
        match (files, positions) {
            (Some(files), Some(positions)) => {
                Ok(Identities { files: files.clone(), positions: positions.clone(), copies })
            }
            _ => Err(Error::internal("a batch without row identities")),
        }
    }

    #[inline(always)]
    pub(in crate::exec) fn get(&self, row: usize) -> RowId {
        let copy = self.copies.as_ref().map_or(0, |copies| copies.value(row));
        RowId { file: self.files.value(row), position: self.positions.value(row), copy }
    }

    /// All of them, of rows of one file.
    pub(in crate::exec) fn origin(&self) -> RowOrigin {
        let file = self.files.values().first().copied().unwrap_or_default();
        let positions: Arc<[u64]> = self.positions.values().iter().copied().collect();
        let copies = self.copies.as_ref().map(UInt32Array::values).filter(|copies| copies.iter().any(|copy| *copy > 0));
        let positions = match copies {
            Some(copies) => Positions::Repeated { positions, copies: copies.iter().copied().collect() },
            None => Positions::Listed(positions),
        };
        RowOrigin { file, positions }
    }

    /// The first and the last, if they ascend from row to row.
    pub(in crate::exec) fn span(&self) -> Option<(RowId, RowId)> {
        let last = self.files.len().checked_sub(1)?;
        let ascending = (0..last).all(|row| self.get(row) < self.get(row + 1));
        ascending.then(|| (self.get(0), self.get(last)))
    }
}
