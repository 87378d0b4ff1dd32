//! Equations of any kind, by Gaussian elimination with partial pivoting.

use super::Matrix;
use crate::error::{Error, ErrorKind, Result};

impl Matrix {
    /// The X of AX = `right`, for any square A.
    ///
    /// # Errors
    /// `Type` when this is not square or `right` has not as many rows, `Value` for NaN and infinities and where there is no single
    /// solution.
    pub fn solve(&self, right: &Matrix) -> Result<Matrix> {
        let order = self.order()?;
        right.is_right_side_of(order)?;
        self.finite()?;
        let singular =
            || Error::new(ErrorKind::Value, "the matrix is singular, so its equations have no single solution");
        // Rows as columns: a row is taken from others as a whole.
        let mut rows: Vec<Vec<f64>> = (0..order)
            .map(|row| {
                let own = (0..order).map(|column| self.get(row, column));
                own.chain((0..right.columns()).map(|column| right.get(row, column))).collect()
            })
            .collect();
        for column in 0..order {
            let size = |row: &usize| rows[*row][column].abs();
            let pivot = (column..order).max_by(|a, b| size(a).total_cmp(&size(b))).ok_or_else(singular)?;
            if rows[pivot][column] == 0.0 {
                return Err(singular());
            }
            rows.swap(column, pivot);
            let (done, rest) = rows.split_at_mut(column + 1);
            let pivot = &done[column];
            for row in rest {
                let factor = row[column] / pivot[column];
                row[column..].iter_mut().zip(&pivot[column..]).for_each(|(own, other)| *own -= factor * other);
            }
        }
        let mut solution = Matrix::zeros(order, right.columns());
        for (at, values) in solution.values_mut().chunks_exact_mut(order.max(1)).enumerate() {
            for row in (0..order).rev() {
                let known: f64 = (row + 1..order).map(|column| rows[row][column] * values[column]).sum();
                values[row] = (rows[row][order + at] - known) / rows[row][row];
            }
        }
        Ok(solution)
    }

    /// # Errors
    /// `Type` unless this has a row for each of so many equations.
    pub(super) fn is_right_side_of(&self, equations: usize) -> Result<()> {
        if self.rows() == equations {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Type, format!("{equations} equations with {} right sides", self.rows())))
    }
}
