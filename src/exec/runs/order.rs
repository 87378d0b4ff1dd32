//! The order of rows: keys encoded so that comparing bytes compares rows.

use crate::error::Result;
use crate::groupby::normalise_floats;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};

/// Sorts by some columns of a batch.
#[derive(Debug)]
pub(in crate::exec) struct Order {
    converter: RowConverter,
    columns: Vec<usize>,
}

impl Order {
    /// By these columns, which have these types: nulls last.
    ///
    /// # Errors
    /// `Internal` for types that columns can't have.
    pub(in crate::exec) fn new(columns: impl IntoIterator<Item = (usize, DataType, bool)>) -> Result<Self> {
        let (columns, fields): (Vec<usize>, Vec<SortField>) = columns
            .into_iter()
            .map(|(column, of_type, descending)| {
                (column, SortField::new_with_options(of_type, SortOptions { descending, nulls_first: false }))
            })
            .unzip();
        Ok(Order { converter: RowConverter::new(fields)?, columns })
    }

    /// The keys of the rows.
    pub(in crate::exec) fn encode(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<_> = self.columns.iter().map(|&column| normalise_floats(batch.column(column))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }

    /// The rows of a batch in order; rows with the same key in any.
    pub(in crate::exec) fn sorted(&self, batch: &RecordBatch) -> Result<UInt32Array> {
        let keys = self.encode(batch)?;
        let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        rows.sort_unstable_by(|&a, &b| keys.row(a as usize).cmp(&keys.row(b as usize)));
        Ok(rows.into())
    }
}
