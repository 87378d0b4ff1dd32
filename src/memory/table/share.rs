//! A batch of the user's, as a table for all tasks.

use super::write::{Place, stored, write};
use crate::error::Result;
use crate::memory::{Budget, Segment, Spill};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// A batch as a segment, its columns as `taken` gives them; at most half of the limit is in memory.
///
/// # Errors
/// Those of `taken` and of the disk.
pub(crate) fn share(
    data: &RecordBatch,
    taken: impl Fn(&ArrayRef) -> Result<ArrayRef>,
    budget: &Budget,
    spill: &Spill,
) -> Result<Segment> {
    let columns = data.columns().iter().map(taken).collect::<Result<Vec<_>>>()?;
    let fields = data.schema_ref().fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(data.num_rows()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let most_in_memory = (budget.limit_bytes() / 2) as u64;
    let place = Place { budget: budget.clone(), spill: spill.clone(), most_in_memory };
    write(&mut vec![batch], &*stored(&schema)?, &place)
}
