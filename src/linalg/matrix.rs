//! The matrix type.

use super::gemm::View;
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use std::ops::Range;
use std::sync::Arc;

/// A matrix of doubles, column after column.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of `values`, column after column.
    ///
    /// # Errors
    /// `Type` when there are not `rows` times `columns` values.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self> {
        if rows.checked_mul(columns) != Some(values.len()) {
            let message = format!("{} values make no matrix of {rows} rows and {columns} columns", values.len());
            return Err(Error::new(ErrorKind::Type, message));
        }
        Ok(Matrix { rows, columns, values })
    }

    /// A matrix of the values of `entry` by row and column, both from 0.
    pub fn from_fn(rows: usize, columns: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let values = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
        let values = values.map(|(row, column)| entry(row, column)).collect();
        Matrix { rows, columns, values }
    }

    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Matrix { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// The identity of this order.
    pub fn identity(order: usize) -> Self {
        Matrix::from_fn(order, order, |row, column| f64::from(row == column))
    }

    /// The numbers and Booleans, as 0 and 1, of batches of one schema, one below the other.
    ///
    /// ```
    /// use outcrop::linalg::Matrix;
    /// use outcrop::scan_csv;
    ///
    /// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
    /// let x = air.ask("ArrDelay, DepDelay, Distance where ArrDelay is not null and Distance is not null")?.collect()?;
    /// let singular = Matrix::from_batches(&x.batches().collect::<Result<Vec<_>, _>>()?)?.svd()?.values().to_vec();
    /// assert_eq!(singular.len(), 3);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Value` for a null, `Type` for a column of another type or batches with other columns.
    pub fn from_batches<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<Self> {
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for (at, batch) in batches.into_iter().enumerate() {
            if at == 0 {
                columns.resize(batch.num_columns(), Vec::new());
            }
            if columns.len() != batch.num_columns() {
                return Err(Error::new(ErrorKind::Type, "batches of a matrix have the same columns"));
            }
            for ((column, array), field) in columns.iter_mut().zip(batch.columns()).zip(batch.schema().fields()) {
                let number = array.data_type().is_numeric() || *array.data_type() == DataType::Boolean;
                if !number {
                    let message = format!("a matrix is of numbers, and `{}` is {}", field.name(), array.data_type());
                    return Err(Error::new(ErrorKind::Type, message));
                }
                if array.null_count() > 0 {
                    let message = format!("a matrix has a value everywhere, and `{}` lacks some", field.name());
                    let hint = format!("leave such rows out: where {} is not null", field.name());
                    return Err(Error::new(ErrorKind::Value, message).hint(hint));
                }
                column.extend_from_slice(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().values());
            }
        }
        let rows = columns.first().map_or(0, Vec::len);
        Ok(Matrix { rows, columns: columns.len(), values: columns.concat() })
    }

    /// The columns under these names, as Arrow columns.
    ///
    /// # Errors
    /// `Type` when there are not as many names as columns.
    pub fn to_batch(&self, names: &[&str]) -> Result<RecordBatch> {
        if names.len() != self.columns || names.is_empty() {
            let message = format!("{} names for {} columns", names.len(), self.columns);
            return Err(Error::new(ErrorKind::Type, message));
        }
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect();
        let arrays = (0..self.columns).map(|at| Arc::new(Float64Array::from(self.column(at).to_vec())) as _).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The entry in a row and column, both from 0.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.column(column)[row]
    }

    /// A column, from 0.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn column(&self, column: usize) -> &[f64] {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        &self.values[column * self.rows..][..self.rows]
    }

    /// All entries, column after column.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Rows as columns.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Matrix::from_fn(self.columns, self.rows, |row, column| self.get(column, row))
    }

    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    pub(super) fn view(&self) -> View<'_> {
        View::new(&self.values, self.rows, self.columns, self.rows)
    }

    /// Puts `part`, column after column, in place of the entries in these rows and columns.
    pub(super) fn put(&mut self, rows: &Range<usize>, columns: &Range<usize>, part: &[f64]) {
        for (column, values) in columns.clone().zip(part.chunks_exact(rows.len())) {
            self.values[column * self.rows..][rows.clone()].copy_from_slice(values);
        }
    }

    /// Its number of rows and columns.
    ///
    /// # Errors
    /// `Type` when it is not square.
    pub(super) fn order(&self) -> Result<usize> {
        if self.rows != self.columns {
            let message =
                format!("a square matrix is needed, not one of {} rows and {} columns", self.rows, self.columns);
            return Err(Error::new(ErrorKind::Type, message));
        }
        Ok(self.rows)
    }

    /// # Errors
    /// `Value` when an entry is NaN or infinite.
    pub(super) fn finite(&self) -> Result<()> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => {
                let (row, column) = (at % self.rows, at / self.rows);
                let message = format!("the entry in row {row} and column {column} of a matrix is {}", self.values[at]);
                Err(Error::new(ErrorKind::Value, message))
            }
        }
    }
}
