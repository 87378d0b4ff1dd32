//! Tables of random numbers.

use super::LazyFrame;
use crate::error::Result;
use crate::source::random::{Distribution, RandomSource};
use std::sync::Arc;

impl LazyFrame {
    /// A table of `rows` rows of independent draws, a column for each name and distribution. Draws are made when they are
    /// read and never stored. They depend on `rows`, `seed` and the order of the columns alone, not on workers or memory; how
    /// NumPy makes the same is told in [`crate::source::random`].
    ///
    /// ```
    /// use outcrop::source::random::Distribution;
    /// use outcrop::{LazyFrame, compute};
    ///
    /// let uniform = Distribution::Uniform { low: -1.0, high: 1.0 };
    /// let square = LazyFrame::random(1_000_000, 1, [("x", uniform), ("y", uniform)])?;
    /// let inside: i64 = compute(square.ask("x where x * x + y * y <= 1")?.count())?;
    /// assert!((4.0 * inside as f64 / 1e6 - std::f64::consts::PI).abs() < 0.01);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Type` for parameters that a distribution does not have, `Name` for two columns of one name, `Limit` beyond 2⁴⁸ rows.
    pub fn random<N: Into<String>>(
        rows: u64,
        seed: u64,
        columns: impl IntoIterator<Item = (N, Distribution)>,
    ) -> Result<Self> {
        let columns: Vec<_> = columns.into_iter().map(|(name, distribution)| (name.into(), distribution)).collect();
        Ok(LazyFrame::from_source(Arc::new(RandomSource::new(rows, seed, &columns)?)))
    }

    /// One column `x` of normal draws with mean 0 and standard deviation 1.
    ///
    /// ```
    /// use outcrop::{LazyFrame, compute};
    ///
    /// let draws = LazyFrame::random_normal(1_000_000, 1)?;
    /// let mean: Option<f64> = compute(draws.ask("exp(x) as y")?.mean("y"))?;
    /// assert!((mean.unwrap_or(0.0) - 0.5_f64.exp()).abs() < 0.01);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`LazyFrame::random`].
    pub fn random_normal(rows: u64, seed: u64) -> Result<Self> {
        LazyFrame::random(rows, seed, [("x", Distribution::Normal { mean: 0.0, deviation: 1.0 })])
    }

    /// One column `x` of draws uniform over [0, 1).
    ///
    /// # Errors
    /// As [`LazyFrame::random`].
    pub fn random_uniform(rows: u64, seed: u64) -> Result<Self> {
        LazyFrame::random(rows, seed, [("x", Distribution::Uniform { low: 0.0, high: 1.0 })])
    }

    /// One column `x` of exponential draws with mean 1.
    ///
    /// # Errors
    /// As [`LazyFrame::random`].
    pub fn random_exponential(rows: u64, seed: u64) -> Result<Self> {
        LazyFrame::random(rows, seed, [("x", Distribution::Exponential { scale: 1.0 })])
    }

    /// One column `x` of gamma draws with this shape, at least 0, and scale 1.
    ///
    /// # Errors
    /// As [`LazyFrame::random`].
    pub fn random_gamma(rows: u64, shape: f64, seed: u64) -> Result<Self> {
        LazyFrame::random(rows, seed, [("x", Distribution::Gamma { shape, scale: 1.0 })])
    }
}
