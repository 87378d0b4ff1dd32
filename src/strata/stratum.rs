//! What a function is given.

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::memory::table::batches;
use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::buffer::Buffer;
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

/// All rows of one group, in input order. Columns are views of a segment that is shared, not copied; texts are Arrow
/// `Utf8`.
#[derive(Clone, Debug)]
pub struct Stratum {
    keys: RecordBatch,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    data: Arc<[RecordBatch]>,
}

impl Stratum {
    /// The stratum with these keys, one row, whose rows are in this segment, and with what all strata are given.
    pub(super) fn new(keys: RecordBatch, segment: &Buffer, data: Arc<[RecordBatch]>) -> Result<Self> {
        let (schema, batches) = batches(segment)?;
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        Ok(Stratum { keys, schema, batches, rows, data })
    }

    /// The keys, as one row.
    pub fn keys(&self) -> &RecordBatch {
        &self.keys
    }

    /// The keys in words, as in `UniqueCarrier = AA`.
    pub fn label(&self) -> String {
        label(&self.keys)
    }

    /// Number of rows; at least one.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names and types of the columns, without the keys.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows: one batch, or several where a column has more than 2 GiB of text.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// What all strata were given, see [`Strata::with`](crate::frame::Strata::with): one batch, or none.
    pub fn data(&self) -> &[RecordBatch] {
        &self.data
    }

    /// A column as one array: of the one batch, or put together of several.
    ///
    /// # Errors
    /// `Name` when there is no such column.
    pub fn column(&self, name: &str) -> Result<ArrayRef> {
        let at = self.schema.index_of(name).map_err(|_| {
            let error = Error::new(ErrorKind::Name, format!("no column `{name}` in the stratum"));
            match did_you_mean(name, self.schema.fields().iter().map(|field| field.name().as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            }
        })?;
        match self.batches.as_slice() {
            [] => Ok(new_empty_array(self.schema.field(at).data_type())),
            [only] => Ok(Arc::clone(only.column(at))),
            several => Ok(concat(&several.iter().map(|batch| batch.column(at).as_ref()).collect::<Vec<&dyn Array>>())?),
        }
    }
}

/// Keys in words.
pub(super) fn label(keys: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("null");
    let word = |(field, column): (&Arc<arrow::datatypes::Field>, &ArrayRef)| {
        let value = ArrayFormatter::try_new(column.as_ref(), &options).map(|format| format.value(0).to_string());
        format!("{} = {}", field.name(), value.unwrap_or_default())
    };
    let words: Vec<String> = keys.schema_ref().fields().iter().zip(keys.columns()).map(word).collect();
    if words.is_empty() { "all rows".to_owned() } else { words.join(", ") }
}
