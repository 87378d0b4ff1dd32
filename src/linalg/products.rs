//! Products of matrices, tile by tile.

use super::gemm::{Part, View, add_product};
use super::{Matrix, tiles};
use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use crate::parallel::Tasks;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

fn wrong_shapes(verb: &str, left: &Matrix, right: &Matrix) -> Error {
    let (a, b, c, d) = (left.rows(), left.columns(), right.rows(), right.columns());
    Error::new(ErrorKind::Type, format!("a matrix of {a} × {b} is not {verb} one of {c} × {d}"))
}

/// Rows and columns of a tile.
type Place = (Range<usize>, Range<usize>);

/// The product of two matrices.
fn product(left: View<'_>, right: View<'_>, tasks: &Tasks) -> Result<Matrix> {
    let whole = Mutex::new(Matrix::zeros(left.rows(), right.columns()));
    let tile = |(rows, columns): &Place| {
        let tile = tile(left, right, (rows, columns), Part::All);
        lock(&whole).put(rows, columns, &tile);
        Ok(())
    };
    tasks.map(&all_tiles(left.rows(), right.columns()), tile).into_iter().collect::<Result<()>>()?;
    Ok(whole.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A tile of the product of two matrices.
fn tile(left: View<'_>, right: View<'_>, (rows, columns): (&Range<usize>, &Range<usize>), part: Part) -> Vec<f64> {
    let mut tile = vec![0.0; rows.len() * columns.len()];
    add_product(&mut tile, rows.len(), left.of_rows(rows.clone()), right.of_columns(columns.clone()), 1.0, part);
    tile
}

/// All tiles of a matrix of this shape.
fn all_tiles(rows: usize, columns: usize) -> Vec<Place> {
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
        product(self.view(), other.view(), &Tasks::new())
    }

    /// XᵀY of this X and `other` Y, on all cores.
    ///
    /// # Errors
    /// `Type` when they have not as many rows.
    pub fn crossprod_with(&self, other: &Matrix) -> Result<Matrix> {
        if self.rows() != other.rows() {
            return Err(wrong_shapes("crossed with", self, other));
        }
        product(self.view().transposed(), other.view(), &Tasks::new())
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
        let whole = Mutex::new(Matrix::zeros(self.columns(), self.columns()));
        let (left, right) = (self.view().transposed(), self.view());
        let tile = |(rows, columns): &Place| {
            let part = if rows == columns { Part::Lower } else { Part::All };
            let mut tile = tile(left, right, (rows, columns), part);
            if rows == columns {
                mirror(&mut tile, rows.len());
                lock(&whole).put(rows, columns, &tile);
            } else {
                let across = transposed(&tile, rows.len(), columns.len());
                let mut whole = lock(&whole);
                whole.put(rows, columns, &tile);
                whole.put(columns, rows, &across);
            }
            Ok(())
        };
        tasks.map(&places, tile).into_iter().collect::<Result<()>>()?;
        Ok(whole.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// So many rows and columns fit the cache, so no line is fetched again for each of its entries.
const SQUARE: usize = 64;

/// Puts the entries below the diagonal above it, too.
fn mirror(values: &mut [f64], order: usize) {
    let squares = super::blocks(0..order, SQUARE);
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

/// Rows as columns.
fn transposed(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let mut across = vec![0.0; values.len()];
    for own in super::blocks(0..columns, SQUARE) {
        for below in super::blocks(0..rows, SQUARE) {
            for column in own.clone() {
                for row in below.clone() {
                    across[row * columns + column] = values[column * rows + row];
                }
            }
        }
    }
    across
}
