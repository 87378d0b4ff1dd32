//! Sums of products of several columns, without any rounding: the states behind covariances and linear regression.
//!
//! **Problem.** Least squares from XᵀX is notorious for losing half of the digits, so numerical libraries factor X itself.
//! But merged factors depend on the order of merging, in their last bits.
//! **Idea.** What loses digits is the rounding of XᵀX, and of what is computed from it. Products of doubles are added here
//! in fixed point, exactly, so order cannot matter; and what is asked of the sums is computed with hundreds of digits
//! and rounded once (`fit`).
//!
//! A row counts when all its columns have a value; others are counted apart.

mod cells;
mod columns;
mod comoment;
mod crossprod;
mod fit;
mod fixed;
mod glm;
mod matrix;
mod model;
#[cfg(test)]
mod nist;
mod ols;
mod pca;
mod product;
mod sums;

pub use comoment::Comoment;
pub use crossprod::Crossprod;
pub use glm::{Family, Glm, GlmMeasure};
pub use matrix::Matrix;
pub use model::Model;
pub use ols::{Measure, Ols};
pub use pca::Pca;
pub(super) use sums::doubles;
