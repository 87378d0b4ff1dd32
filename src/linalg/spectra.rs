//! Singular values and eigenvalues by Jacobi rotations.
//!
//! Singular values by the one-sided method (Hestenes, 1958; Demmel and Veselić, "Jacobi's Method is More Accurate than QR",
//! 1992): pairs of columns are rotated until all are orthogonal; their lengths are the singular values. Eigenvalues of a
//! symmetric matrix by the two-sided one (Golub and Van Loan, "Matrix Computations", § 8.5).

use super::Matrix;
use crate::error::{Error, ErrorKind, Result};

/// Rounds over all pairs; ten are plenty for a thousand columns.
const MOST_SWEEPS: usize = 60;

/// Eigenvalues and eigenvectors of a symmetric matrix: A = V diag(values) Vᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigen {
    values: Vec<f64>,
    vectors: Matrix,
}

impl Eigen {
    /// The eigenvalues, ascending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// A column of length 1 for each eigenvalue; its sign is arbitrary.
    pub fn vectors(&self) -> &Matrix {
        &self.vectors
    }
}

/// A singular value decomposition: A = U diag(values) Vᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd {
    values: Vec<f64>,
    left: Matrix,
    right: Matrix,
}

impl Svd {
    /// The singular values, descending; as many as A has rows or columns, whichever are fewer.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// U, a column for each singular value; zeros for one that is 0.
    pub fn left(&self) -> &Matrix {
        &self.left
    }

    /// V, a column for each singular value.
    pub fn right(&self) -> &Matrix {
        &self.right
    }
}

/// A rotation in the plane of two coordinates. It is applied in Rutishauser's form ("The Jacobi Method for Real Symmetric
/// Matrices", 1966), which adds to each what is small, so that many of them do not add up to a scaling.
#[derive(Clone, Copy)]
struct Rotation {
    tangent: f64,
    sine: f64,
    /// Tangent of half the angle.
    half: f64,
}

impl Rotation {
    /// The one that makes `cross` vanish between two entries of the diagonal.
    fn new(first: f64, second: f64, cross: f64) -> Self {
        let slope = (second - first) / (2.0 * cross);
        let tangent = slope.signum() / (slope.abs() + (1.0 + slope * slope).sqrt());
        let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
        let sine = cosine * tangent;
        Rotation { tangent, sine, half: sine / (1.0 + cosine) }
    }

    fn of(self, a: f64, b: f64) -> (f64, f64) {
        (a - self.sine * (b + self.half * a), b + self.sine * (a - self.half * b))
    }
}

/// Two of some columns, the first before the second.
fn pair(columns: &mut [Vec<f64>], first: usize, second: usize) -> (&mut [f64], &mut [f64]) {
    let (before, rest) = columns.split_at_mut(second);
    (&mut before[first], &mut rest[0])
}

fn rotate((first, second): (&mut [f64], &mut [f64]), by: Rotation) {
    for (a, b) in first.iter_mut().zip(second) {
        (*a, *b) = by.of(*a, *b);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The columns of a matrix, multiplied with a power of two so that the largest entry is near 1 and squares of entries that matter
/// have room; and what the values found are to be multiplied with, as an exponent of two.
fn scaled_columns_of(matrix: &Matrix) -> (Vec<Vec<f64>>, i32) {
    let largest = matrix.values().iter().map(|value| value.abs()).fold(0.0, f64::max);
    let exponent = if largest == 0.0 { 0 } else { libm::ilogb(largest) };
    let mut columns = columns_of(matrix);
    columns.iter_mut().flatten().for_each(|value| *value = libm::scalbn(*value, -exponent));
    (columns, exponent)
}

fn columns_of(matrix: &Matrix) -> Vec<Vec<f64>> {
    (0..matrix.columns()).map(|at| matrix.column(at).to_vec()).collect()
}

fn of_columns(rows: usize, columns: &[Vec<f64>], order: &[usize]) -> Matrix {
    Matrix::from_fn(rows, order.len(), |row, at| columns[order[at]][row])
}

fn no_convergence(what: &str) -> Error {
    Error::new(ErrorKind::Arithmetic, format!("the {what} of a matrix were not found"))
}

impl Matrix {
    /// Eigenvalues and eigenvectors of this symmetric matrix, of which only the diagonal and what is below it is read. Meant for up
    /// to some hundred columns.
    ///
    /// # Errors
    /// `Type` when it is not square, `Value` for NaN and infinities.
    pub fn eigen_symmetric(&self) -> Result<Eigen> {
        let order = self.order()?;
        self.finite()?;
        let whole = Matrix::from_fn(order, order, |row, column| self.get(row.max(column), row.min(column)));
        let ((mut own, exponent), mut vectors) = (scaled_columns_of(&whole), columns_of(&Matrix::identity(order)));
        let size = own.iter().flatten().map(|value| value.abs()).fold(0.0, f64::max);
        let negligible = size * f64::EPSILON * f64::EPSILON;
        for sweep in 0.. {
            let mut rotated = false;
            for second in 1..order {
                for first in 0..second {
                    let cross = own[first][second];
                    let (a, b) = (own[first][first], own[second][second]);
                    if cross.abs() <= negligible || cross.abs() <= f64::EPSILON * 0.25 * a.abs().sqrt() * b.abs().sqrt()
                    {
                        continue;
                    }
                    rotated = true;
                    let by = Rotation::new(a, b, cross);
                    rotate(pair(&mut own, first, second), by);
                    for column in &mut own {
                        (column[first], column[second]) = by.of(column[first], column[second]);
                    }
                    (own[first][first], own[second][second]) = (a - by.tangent * cross, b + by.tangent * cross);
                    (own[first][second], own[second][first]) = (0.0, 0.0);
                    rotate(pair(&mut vectors, first, second), by);
                }
            }
            if !rotated {
                break;
            }
            if sweep == MOST_SWEEPS {
                return Err(no_convergence("eigenvalues"));
            }
        }
        let mut ascending: Vec<usize> = (0..order).collect();
        ascending.sort_by(|a, b| own[*a][*a].total_cmp(&own[*b][*b]));
        let values = ascending.iter().map(|at| libm::scalbn(own[*at][*at], exponent)).collect();
        Ok(Eigen { values, vectors: of_columns(order, &vectors, &ascending) })
    }

    /// The singular value decomposition of this matrix. Meant for up to some hundred columns, of any number of rows.
    ///
    /// # Errors
    /// `Value` for NaN and infinities.
    pub fn svd(&self) -> Result<Svd> {
        self.finite()?;
        if self.rows() < self.columns() {
            let Svd { values, left, right } = self.transposed().svd()?;
            return Ok(Svd { values, left: right, right: left });
        }
        let ((mut own, exponent), mut right) = (scaled_columns_of(self), columns_of(&Matrix::identity(self.columns())));
        let enough = f64::EPSILON * (self.rows() as f64).sqrt();
        for sweep in 0.. {
            let mut rotated = false;
            for second in 1..own.len() {
                for first in 0..second {
                    let (a, b) = (dot(&own[first], &own[first]), dot(&own[second], &own[second]));
                    let cross = dot(&own[first], &own[second]);
                    if cross.abs() <= enough * a.sqrt() * b.sqrt() || cross == 0.0 {
                        continue;
                    }
                    rotated = true;
                    let by = Rotation::new(a, b, cross);
                    rotate(pair(&mut own, first, second), by);
                    rotate(pair(&mut right, first, second), by);
                }
            }
            if !rotated {
                break;
            }
            if sweep == MOST_SWEEPS {
                return Err(no_convergence("singular values"));
            }
        }
        let lengths: Vec<f64> = own.iter().map(|column| dot(column, column).sqrt()).collect();
        let mut descending: Vec<usize> = (0..own.len()).collect();
        descending.sort_by(|a, b| lengths[*b].total_cmp(&lengths[*a]));
        for (column, length) in own.iter_mut().zip(&lengths).filter(|(_, length)| **length > 0.0) {
            column.iter_mut().for_each(|value| *value /= length);
        }
        Ok(Svd {
            values: descending.iter().map(|at| libm::scalbn(lengths[*at], exponent)).collect(),
            left: of_columns(self.rows(), &own, &descending),
            right: of_columns(self.columns(), &right, &descending),
        })
    }
}
