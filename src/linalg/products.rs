//! Products of matrices, tile by tile.

use super::gemm::{View, add_product};
use super::{Matrix, tiles};
use crate::error::{Error, ErrorKind, Result};
use crate::parallel::Tasks;
use std::ops::Range;

fn wrong_shapes(verb: &str, left: &Matrix, right: &Matrix) -> Error {
    let (a, b, c, d) = (left.rows(), left.columns(), right.rows(), right.columns());
    Error::new(ErrorKind::Type, format!("a matrix of {a} × {b} is not {verb} one of {c} × {d}"))
}

/// The tiles of the product of two matrices in these rows and columns.
fn product(left: View<'_>, right: View<'_>, places: &[(Range<usize>, Range<usize>)], tasks: &Tasks) -> Result<Matrix> {
    let mut whole = Matrix::zeros(left.rows(), right.columns());
    let tile = |(rows, columns): &(Range<usize>, Range<usize>)| {
        let mut tile = vec![0.0; rows.len() * columns.len()];
        add_product(&mut tile, rows.len(), left.of_rows(rows.clone()), right.of_columns(columns.clone()), 1.0);
        Ok(tile)
    };
    for ((rows, columns), tile) in places.iter().zip(tasks.map(places, tile)) {
        whole.put(rows, columns, &tile?);
    }
    Ok(whole)
}

/// All tiles of a matrix of this shape.
fn all_tiles(rows: usize, columns: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let rows = tiles(rows);
    tiles(columns).into_iter().flat_map(|own| rows.iter().map(move |rows| (rows.clone(), own.clone()))).collect()
}

impl Matrix {
    /// This times `other`, on all cores.
    ///
    /// # Errors
    /// `Type` when `other` has not as many rows as this has columns.
    pub fn multiply(&self, other: &Matrix) -> Result<Matrix> {
        if self.columns() != other.rows() {
            return Err(wrong_shapes("multiplied by", self, other));
        }
        product(self.view(), other.view(), &all_tiles(self.rows(), other.columns()), &Tasks::new())
    }

    /// XᵀY of this X and `other` Y, on all cores.
    ///
    /// # Errors
    /// `Type` when they have not as many rows.
    pub fn crossprod_with(&self, other: &Matrix) -> Result<Matrix> {
        if self.rows() != other.rows() {
            return Err(wrong_shapes("crossed with", self, other));
        }
        let places = all_tiles(self.columns(), other.columns());
        product(self.view().transposed(), other.view(), &places, &Tasks::new())
    }

    /// XᵀX of this X, on all cores.
    ///
    /// # Errors
    /// None of its own.
    pub fn crossprod(&self) -> Result<Matrix> {
        self.crossprod_on(&Tasks::new())
    }

    /// As [`Matrix::crossprod`], on as many threads as `tasks` has workers.
    ///
    /// # Errors
    /// `Cancelled` when the tasks are.
    pub fn crossprod_on(&self, tasks: &Tasks) -> Result<Matrix> {
        let mut places = all_tiles(self.columns(), self.columns());
        places.retain(|(rows, columns)| rows.start >= columns.start);
        let mut whole = product(self.view().transposed(), self.view(), &places, tasks)?;
        whole.mirror();
        Ok(whole)
    }

    /// Puts the entries below the diagonal above it, too.
    fn mirror(&mut self) {
        /// A square of so many rows and columns fits the cache, so no column is fetched again for each of its rows.
        const SQUARE: usize = 64;
        let order = self.rows();
        let squares = super::blocks(0..order, SQUARE);
        let values = self.values_mut();
        for columns in &squares {
            for rows in squares.iter().filter(|rows| rows.start >= columns.start) {
                for column in columns.clone() {
                    for row in rows.start.max(column + 1)..rows.end {
                        values[row * order + column] = values[column * order + row];
                    }
                }
            }
        }
    }
}
