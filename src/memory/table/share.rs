//! A batch of the user's, as a table for all tasks.

use super::write::{Place, stored, write};
use crate::error::Result;
use crate::memory::{Budget, Segment, Spill};
use crate::types::convert::taken;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// A batch as a segment, its columns in the types of the engine; at most half of the limit is in memory.
///
/// # Errors
/// `Unsupported` for a type that columns do not have, `Value` for a value that its column's type does not hold, with the
/// name of the column; those of the disk.
pub(crate) fn share(data: &RecordBatch, budget: &Budget, spill: &Spill) -> Result<Segment> {
    let own = |(field, column): (&Arc<Field>, &ArrayRef)| {
        taken(column).map_err(|error| error.about(&format!("the column `{}`", field.name())))
    };
    let columns = data.schema_ref().fields().iter().zip(data.columns()).map(own).collect::<Result<Vec<_>>>()?;
    let fields = data.schema_ref().fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(data.num_rows()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let most_in_memory = (budget.limit_bytes() / 2) as u64;
    let place = Place { budget: budget.clone(), spill: spill.clone(), most_in_memory };
    write(&mut vec![batch], &*stored(&schema)?, &place)
}
