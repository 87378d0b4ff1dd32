//! Rows made of lists of rows.

use super::Reserve;
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The columns of a table whose last column holds lists of rows, with the fields of these in its place.
///
/// # Errors
/// `Name` when a column has the name of such a field, or two fields have one name; `Internal` when there are no such lists.
pub(crate) fn unnested(schema: &Schema) -> Result<SchemaRef> {
    let no_lists = || Error::internal("no list of rows to unnest");
    let (last, others) = schema.fields().split_last().ok_or_else(no_lists)?;
    let DataType::List(item) = last.data_type() else { return Err(no_lists()) };
    let DataType::Struct(own) = item.data_type() else { return Err(no_lists()) };
    if let Some(twice) = others.iter().find(|field| own.find(field.name()).is_some()) {
        let message = format!("the key `{0}` has the name of a column of `{1}`", twice.name(), last.name());
        return Err(
            Error::new(ErrorKind::Name, message).hint(format!("name it otherwise: by {0} as {0}_", twice.name()))
        );
    }
    if let Some((_, twice)) =
        own.iter().enumerate().find(|(at, field)| own[..*at].iter().any(|it| it.name() == field.name()))
    {
        let message = format!("`{}` would have two columns `{}`", last.name(), twice.name());
        return Err(Error::new(ErrorKind::Name, message));
    }
    let fields: Vec<Arc<Field>> = others.iter().chain(own).cloned().collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// What a key takes in a row that is made, and where the row came from.
const KEY_BYTES: usize = 16;
const ROW_BYTES: usize = 32;

/// One row for each item of the last column's lists. The items are not copied; for the keys, `reserve` is asked first.
pub(super) fn unnest(batch: Batch, schema: &SchemaRef, reserve: Reserve<'_>) -> Result<Batch> {
    let no_lists = || Error::internal("no list of rows to unnest");
    let (last, others) = batch.records.columns().split_last().ok_or_else(no_lists)?;
    let lists = last.as_list_opt::<i32>().ok_or_else(no_lists)?;
    let offsets = lists.value_offsets();
    let items = (offsets[lists.len()] - offsets[0]) as usize;
    reserve(items.saturating_mul(others.len() * KEY_BYTES + ROW_BYTES))?;
    let lengths = offsets.windows(2).map(|ends| (ends[1] - ends[0]) as usize);
    let rows: Vec<u32> = (0..).zip(lengths).flat_map(|(row, length)| std::iter::repeat_n(row, length)).collect();
    let (start, length) = (offsets[0] as usize, rows.len());
    let items = lists.values().slice(start, length);
    let items = items.as_struct_opt().ok_or_else(no_lists)?;
    let origin = batch.origin.repeated(&rows);
    let indices = UInt32Array::from(rows);
    let mut columns: Vec<ArrayRef> =
        others.iter().map(|column| Ok(take(column, &indices, None)?)).collect::<Result<_>>()?;
    columns.extend(items.columns().iter().cloned());
    let records = RecordBatch::try_new(Arc::clone(schema), columns)?;
    Ok(Batch { records, origin })
}
