//! One number about a described table.

use super::lazy::LazyFrame;
use crate::expr::{Expr, col};

/// A described value: an aggregate over all rows of a frame. Its type is chosen where it is computed: `Option<i64>`,
/// `Option<f64>`, `Option<String>`, [`Value`](super::Value), or a one-row [`DataFrame`](super::DataFrame).
#[derive(Clone, Debug)]
pub struct Reduction {
    frame: LazyFrame,
}

impl Reduction {
    /// The one-row frame that holds the value.
    pub fn frame(&self) -> &LazyFrame {
        &self.frame
    }
}

impl LazyFrame {
    /// The value of one aggregate expression, such as `(col("a") * col("b")).sum()`, over all rows.
    pub fn reduce(&self, aggregate: Expr) -> Reduction {
        Reduction { frame: self.agg(aggregate) }
    }

    /// The number of rows.
    pub fn count(&self) -> Reduction {
        self.reduce(crate::expr::count_rows())
    }

    /// The sum of a column; null over no value.
    pub fn sum(&self, column: &str) -> Reduction {
        self.reduce(col(column).sum())
    }

    /// The mean of a column; null over no value.
    pub fn mean(&self, column: &str) -> Reduction {
        self.reduce(col(column).mean())
    }

    /// The smallest value of a column; null over no value.
    pub fn min(&self, column: &str) -> Reduction {
        self.reduce(col(column).min())
    }

    /// The largest value of a column; null over no value. NaN is larger than any number.
    pub fn max(&self, column: &str) -> Reduction {
        self.reduce(col(column).max())
    }

    /// The sample variance of a column (divisor n − 1); null over fewer than two values.
    pub fn var(&self, column: &str) -> Reduction {
        self.reduce(col(column).var())
    }

    /// The sample standard deviation of a column (divisor n − 1); null over fewer than two values.
    pub fn std(&self, column: &str) -> Reduction {
        self.reduce(col(column).std())
    }

    /// The median of a column; null over no value.
    pub fn median(&self, column: &str) -> Reduction {
        self.reduce(col(column).median())
    }

    /// The number of distinct values of a column.
    pub fn n_unique(&self, column: &str) -> Reduction {
        self.reduce(col(column).n_unique())
    }
}
