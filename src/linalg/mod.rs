//! Matrices of doubles in memory: products, Cholesky factors, equations, eigenvalues, singular values.
//!
//! **Problem.** Millions of rows come down to a small matrix in a pass, XᵀX say; what is asked of that is linear algebra, on
//! as many threads as all else, with the same answer on any number of them.
//! **Idea.** Large products and Cholesky factors are cut into tiles of a fixed size, one task each
//! ([`crate::parallel::Tasks`]), so a task within a task gets no threads of its own. A tile is computed on one thread by a blocked
//! product (`gemm.rs`) with vector instructions.
//! **Invariant.** Answers are the same to the bit for any number of threads and any instruction set: each entry is computed by
//! the same operations in the same order.
//!
//! A library for this (`faer`) would add some fifty crates to what is compiled. Eigenvalues, singular values and equations of any
//! kind are for matrices of up to some hundred columns: they go by methods that are short and precise, on one thread.
//!
//! ```
//! use outcrop::linalg::Matrix;
//!
//! let x = Matrix::from_fn(100, 3, |row, column| ((row + 1) as f64).powi(column as i32));
//! let y = Matrix::from_fn(100, 1, |row, _| 2.0 + 3.0 * (row + 1) as f64);
//! let fit = x.crossprod()?.cholesky()?.solve(&x.crossprod_with(&y)?)?;
//! assert!((fit.get(0, 0) - 2.0).abs() < 1e-6 && (fit.get(1, 0) - 3.0).abs() < 1e-6);
//! # Ok::<(), outcrop::Error>(())
//! ```

mod cholesky;
mod equations;
mod gemm;
mod matrix;
mod products;
mod spectra;
#[cfg(test)]
mod tests;

pub use cholesky::Cholesky;
pub use matrix::Matrix;
pub use spectra::{Eigen, Svd};

/// Rows and columns of a tile; in tests so few that small matrices have several.
const TILE: usize = if cfg!(test) { 40 } else { 768 };

/// The tiles of so many rows or columns.
fn tiles(length: usize) -> Vec<std::ops::Range<usize>> {
    blocks(0..length, TILE)
}

/// A range in parts of `size`.
fn blocks(range: std::ops::Range<usize>, size: usize) -> Vec<std::ops::Range<usize>> {
    range.clone().step_by(size).map(|start| start..(start + size).min(range.end)).collect()
}
