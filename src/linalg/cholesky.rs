//! The Cholesky factor, tile by tile.
//!
//! Column after column of tiles, all tiles on and below the diagonal take the products of the tiles to their left (one task
//! each); the tile on the diagonal is then factored on one thread, and those below it are divided by its factor. Within a tile
//! the same is done with blocks of columns.

use super::gemm::{Part, View, add_product};
use super::{Matrix, blocks, tiles};
use crate::error::{Error, ErrorKind, Result};
use crate::parallel::Tasks;
use std::ops::Range;

/// Columns of a tile that are done one by one.
const BLOCK: usize = if cfg!(test) { 12 } else { 64 };

/// The lower triangular L of A = LLᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct Cholesky {
    lower: Matrix,
}

impl Matrix {
    /// The Cholesky factor of this symmetric, positive definite matrix, of which only the diagonal and what is below it is read,
    /// on all cores.
    ///
    /// # Errors
    /// `Type` when it is not square, `Value` when it is not positive definite, and for NaN.
    pub fn cholesky(&self) -> Result<Cholesky> {
        self.cholesky_on(&Tasks::new())
    }

    /// As [`Matrix::cholesky`], on as many threads as `tasks` has workers.
    ///
    /// # Errors
    /// As [`Matrix::cholesky`]; `Cancelled` when the tasks are.
    pub fn cholesky_on(&self, tasks: &Tasks) -> Result<Cholesky> {
        let order = self.order()?;
        let ranges = tiles(order);
        // By column of tiles, those from the diagonal down.
        let mut done: Vec<Vec<Vec<f64>>> = Vec::with_capacity(ranges.len());
        for (at, columns) in ranges.iter().enumerate() {
            let width = columns.len();
            let view = |row: usize, column: usize| {
                let (rows, columns) = (ranges[row].len(), ranges[column].len());
                View::new(&done[column][row - column], rows, columns, rows)
            };
            let below: Vec<usize> = (at..ranges.len()).collect();
            let reduced = tasks.map(&below, |&row| {
                let rows = &ranges[row];
                let of_column = |column| &self.column(column)[rows.clone()];
                let mut tile: Vec<f64> = columns.clone().flat_map(of_column).copied().collect();
                let part = if row == at { Part::Lower } else { Part::All };
                for left in 0..at {
                    add_product(&mut tile, rows.len(), view(row, left), view(at, left).transposed(), -1.0, part);
                }
                Ok(tile)
            });
            let mut reduced = reduced.into_iter().collect::<Result<Vec<_>>>()?;
            let mut corner = reduced.remove(0);
            factor(&mut corner, width).map_err(|column| not_positive(columns.start + column))?;
            let divided = tasks.map(&reduced, |tile| {
                let mut tile = tile.clone();
                divide(&mut tile, &corner, width);
                Ok(tile)
            });
            let divided = divided.into_iter().collect::<Result<Vec<_>>>()?;
            done.push(std::iter::once(corner).chain(divided).collect());
        }
        let mut lower = Matrix::zeros(order, order);
        for (at, column) in done.iter().enumerate() {
            ranges[at..].iter().zip(column).for_each(|(rows, tile)| lower.put(rows, &ranges[at], tile));
        }
        Ok(Cholesky { lower })
    }
}

fn not_positive(column: usize) -> Error {
    let message = format!("the matrix is not positive definite: its column {column} depends on those before it");
    Error::new(ErrorKind::Value, message).hint("leave a column out, or see svd and eigen_symmetric")
}

/// Takes `factor` times the column `from` from the entries of `into`, from `row` on.
fn take_column(into: &mut [f64], from: &[f64], factor: f64) {
    into.iter_mut().zip(from).for_each(|(own, other)| *own -= factor * other);
}

/// Puts the factor of a square tile in its place, zeros above the diagonal; the column that is not positive, if one is.
fn factor(tile: &mut [f64], order: usize) -> Result<(), usize> {
    for block in blocks(0..order, BLOCK) {
        let (left, own) = tile.split_at_mut(block.start * order);
        reduce(own, left, order, block.start..order, left, order, &block);
        for column in 0..block.len() {
            let diagonal = block.start + column;
            let (before, rest) = own.split_at_mut(column * order);
            for earlier in before.chunks_exact(order) {
                take_column(&mut rest[diagonal..order], &earlier[diagonal..], earlier[diagonal]);
            }
            let pivot = rest[diagonal];
            if pivot.is_nan() || pivot <= 0.0 || pivot.is_infinite() {
                return Err(diagonal);
            }
            let root = pivot.sqrt();
            rest[..diagonal].fill(0.0);
            rest[diagonal..order].iter_mut().for_each(|value| *value /= root);
        }
    }
    Ok(())
}

/// Puts XL⁻ᵀ in the place of X, a tile; L is `corner`, of this order.
fn divide(tile: &mut [f64], corner: &[f64], order: usize) {
    let height = tile.len() / order;
    for block in blocks(0..order, BLOCK) {
        let (left, own) = tile.split_at_mut(block.start * height);
        reduce(own, left, height, 0..height, corner, order, &block);
        for column in block.clone() {
            let (before, rest) = own.split_at_mut((column - block.start) * height);
            for (earlier, values) in block.clone().zip(before.chunks_exact(height)) {
                take_column(&mut rest[..height], values, corner[earlier * order + column]);
            }
            let root = corner[column * order + column];
            rest[..height].iter_mut().for_each(|value| *value /= root);
        }
    }
}

/// Takes from the columns `block`, in these rows, the products of the columns `left` of them with the rows `block` of `factors`.
fn reduce(
    own: &mut [f64],
    left: &[f64],
    height: usize,
    rows: Range<usize>,
    factors: &[f64],
    order: usize,
    block: &Range<usize>,
) {
    if block.start == 0 {
        return;
    }
    let start = rows.start;
    let left = View::new(left, height, block.start, height).of_rows(rows);
    let factors = View::new(factors, order, block.start, order).of_rows(block.clone());
    add_product(&mut own[start..], height, left, factors.transposed(), -1.0, Part::All);
}

impl Cholesky {
    /// L.
    pub fn lower(&self) -> &Matrix {
        &self.lower
    }

    /// The X of AX = `right`.
    ///
    /// # Errors
    /// `Type` when `right` has not as many rows as A.
    pub fn solve(&self, right: &Matrix) -> Result<Matrix> {
        let order = self.lower.rows();
        right.is_right_side_of(order)?;
        let mut solution = right.clone();
        for values in solution.values_mut().chunks_exact_mut(order.max(1)) {
            for column in 0..order {
                let own = self.lower.column(column);
                let (value, rest) = (values[column] / own[column], &mut values[column + 1..]);
                take_column(rest, &own[column + 1..], value);
                values[column] = value;
            }
            for column in (0..order).rev() {
                let own = self.lower.column(column);
                let known: f64 = own[column + 1..].iter().zip(&values[column + 1..]).map(|(a, b)| a * b).sum();
                values[column] = (values[column] - known) / own[column];
            }
        }
        Ok(solution)
    }

    /// The inverse of A.
    ///
    /// # Errors
    /// None of its own.
    pub fn inverse(&self) -> Result<Matrix> {
        self.solve(&Matrix::identity(self.lower.rows()))
    }

    /// The natural logarithm of the determinant of A.
    pub fn ln_determinant(&self) -> f64 {
        2.0 * (0..self.lower.rows()).map(|at| libm::log(self.lower.get(at, at))).sum::<f64>()
    }
}
