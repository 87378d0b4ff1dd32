//! An answer.

use super::value::Value;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::memory::StoredRows;
use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt;
use std::sync::Arc;

/// Rows as Arrow batches in order: in memory, or on disk as far as a run had a limit on memory.
#[derive(Clone, Debug)]
pub struct DataFrame {
    schema: SchemaRef,
    rows: StoredRows,
}

impl DataFrame {
    /// A frame of these batches, all of schema `schema`.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        DataFrame::of_rows(schema, batches.into())
    }

    /// A frame of these rows, all of schema `schema`.
    pub fn of_rows(schema: SchemaRef, rows: StoredRows) -> Self {
        DataFrame { schema, rows }
    }

    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows, batch by batch. A batch that did not fit in memory is read back when the iterator comes to it, which
    /// fails when the disk does.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> + '_ {
        self.rows.batches()
    }

    /// The rows, wherever they stand.
    pub fn stored_rows(&self) -> &StoredRows {
        &self.rows
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.rows()
    }

    /// A column as one array.
    ///
    /// # Errors
    /// `Name` when there is no such column.
    pub fn column(&self, name: &str) -> Result<ArrayRef> {
        let at = self.index(name)?;
        let parts = self.batches().map(|batch| Ok(Arc::clone(batch?.column(at)))).collect::<Result<Vec<ArrayRef>>>()?;
        if parts.is_empty() {
            return Ok(new_empty_array(self.schema.field(at).data_type()));
        }
        Ok(concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<&dyn Array>>())?)
    }

    /// One value.
    ///
    /// # Errors
    /// `Name` when there is no such column, or no row `row`.
    pub fn value(&self, row: usize, name: &str) -> Result<Value> {
        let at = self.index(name)?;
        let mut row_in_batch = row;
        for part in self.rows.parts().iter() {
            if row_in_batch < part.rows() {
                return Value::of(part.load()?.column(at), row_in_batch);
            }
            row_in_batch -= part.rows();
        }
        Err(Error::new(ErrorKind::Name, format!("no row {row}: the frame has {} rows", self.rows())))
    }

    fn index(&self, name: &str) -> Result<usize> {
        self.schema.index_of(name).map_err(|_| {
            let error = Error::new(ErrorKind::Name, format!("no column `{name}`"));
            match did_you_mean(name, self.schema.fields().iter().map(|field| field.name().as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            }
        })
    }
}

/// Rows that `Display` shows.
const SHOWN_ROWS: usize = 40;

impl fmt::Display for DataFrame {
    /// A plain table: names, then at most 40 rows, then the number of rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = FormatOptions::default().with_null("null");
        let mut lines: Vec<Vec<String>> = vec![self.schema.fields().iter().map(|field| field.name().clone()).collect()];
        for batch in self.batches() {
            if lines.len() > SHOWN_ROWS {
                break;
            }
            let batch = batch.map_err(|_| fmt::Error)?;
            let columns: Result<Vec<_>, _> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options)).collect();
            let columns = columns.map_err(|_| fmt::Error)?;
            let left = (SHOWN_ROWS + 1).saturating_sub(lines.len());
            lines.extend(
                (0..batch.num_rows().min(left)).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()),
            );
        }
        let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.schema.fields().len()).map(width).collect();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            writeln!(f, "{}", cells.join("  "))?;
        }
        write!(f, "({} rows)", self.rows())
    }
}
