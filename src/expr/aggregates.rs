//! Building aggregates in Rust: `col("DepDelay").mean()`.

use super::tree::{AggregateCall, Expr};
use crate::aggregate::holistic::Share;
use crate::aggregate::{
    self, Aggregate, ApproxFrequent, ApproxQuantile, Bootstrap, Frequent, Histogram, List, Quantile, StringAgg,
    WeightedQuantile,
};
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

pub(super) fn built_in(name: &str, args: Vec<Expr>) -> Expr {
    match aggregate::find(name, args.len()) {
        Ok(aggregate) => Expr::Aggregate(AggregateCall { aggregate, args }),
        Err(error) => unreachable!("`{name}` is a built-in aggregate: {error}"),
    }
}

macro_rules! aggregate_methods {
    ($($(#[$doc:meta])* $method:ident;)*) => {
        impl Expr {
            $($(#[$doc])* pub fn $method(self) -> Expr {
                built_in(stringify!($method), vec![self])
            })*
        }
    };
}

aggregate_methods! {
    /// The sum over rows; nulls are left out.
    sum;
    /// The mean over rows.
    mean;
    /// The least value.
    min;
    /// The greatest value.
    max;
    /// The greatest value less the least.
    range;
    /// The number of rows where this is not null.
    count;
    /// The sample variance (divided by n − 1).
    var;
    /// The sample standard deviation.
    std;
    /// The population variance (divided by n).
    var_pop;
    /// The population standard deviation.
    std_pop;
    /// The first value that is not null, in input order.
    first;
    /// The last value that is not null, in input order.
    last;
    /// The median; of an even number of values, the midpoint of the two in the middle.
    median;
    /// The number of distinct values; nulls are left out.
    n_unique;
    /// The most frequent value; of several, the smallest.
    mode;
    /// About the number of distinct values, with a standard error of 0.8 %.
    approx_n_unique;
    /// The skewness of a sample (DuckDB's, type 2).
    skewness;
    /// The skewness of a population (SciPy's and Polars' default, type 1).
    skewness_pop;
    /// The excess kurtosis of a sample (DuckDB's, type 2).
    kurtosis;
    /// The excess kurtosis of a population (SciPy's and Polars' default, type 1).
    kurtosis_pop;
    /// The standard error of the mean.
    sem;
    /// The geometric mean.
    geometric_mean;
    /// The harmonic mean.
    harmonic_mean;
    /// The product, as a double.
    product;
    /// The median of the distances from the median, without R's factor 1.4826.
    mad;
    /// The distance between the quartiles.
    iqr;
    /// Shannon's entropy of the distribution of values, in bits.
    entropy;
    /// Whether this is true in some row.
    any;
    /// Whether this is true in all rows.
    all;
    /// The number of rows in which this is true.
    count_if;
}

macro_rules! pair_methods {
    ($($(#[$doc:meta])* $method:ident($other:ident);)*) => {
        impl Expr {
            $($(#[$doc])* pub fn $method(self, $other: impl Into<Expr>) -> Expr {
                built_in(stringify!($method), vec![self, $other.into()])
            })*
        }
    };
}

pair_methods! {
    /// The covariance with another column, of a sample (divided by n − 1).
    cov(other);
    /// The covariance with another column, of a population (divided by n).
    cov_pop(other);
    /// Pearson's correlation with another column.
    corr(other);
    /// The mean, each value as often as `weight` says.
    weighted_mean(weight);
    /// The sample variance, each value as often as `weight` says.
    weighted_var(weight);
    /// The sample standard deviation, each value as often as `weight` says.
    weighted_std(weight);
    /// The smallest value that, with those below it, has half of the weights.
    weighted_median(weight);
    /// The value of the row in which `by` is smallest; of several, the first in input order.
    arg_min(by);
    /// The value of the row in which `by` is largest; of several, the first in input order.
    arg_max(by);
}

impl Expr {
    /// The quantile at `share`, between the two nearest values in proportion, as R and NumPy do by default.
    ///
    /// # Errors
    /// `Type` when `share` is not between 0 and 1.
    pub fn quantile(self, share: f64) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(Quantile::Interpolated(Share::new(share)?))))
    }

    /// The smallest value with at least `share` of the values at or below it.
    ///
    /// # Errors
    /// `Type` when `share` is not between 0 and 1.
    pub fn quantile_disc(self, share: f64) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(Quantile::Discrete(Share::new(share)?))))
    }

    /// About the quantile at `share`: that of a random sample of 32,768 values.
    ///
    /// # Errors
    /// `Type` when `share` is not between 0 and 1.
    pub fn approx_quantile(self, share: f64) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(ApproxQuantile::new(Share::new(share)?))))
    }

    /// The smallest value that, with those below it, has `share` of the weights.
    ///
    /// # Errors
    /// `Type` when `share` is not between 0 and 1.
    pub fn weighted_quantile(self, weight: impl Into<Expr>, share: f64) -> Result<Expr> {
        let aggregate = Arc::new(WeightedQuantile::At(Share::new(share)?));
        Ok(Expr::Aggregate(AggregateCall { aggregate, args: vec![self, weight.into()] }))
    }

    /// The `k` most frequent values, rows of `value` and `count`.
    ///
    /// # Errors
    /// `Type` unless `k` lies between 1 and 10,000.
    pub fn top_k(self, k: usize) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(Frequent::new(k as f64)?)))
    }

    /// About the `k` most frequent values, rows of `value`, `count`, `lower` and `upper`: of a random sample of 32,768 values.
    ///
    /// # Errors
    /// `Type` unless `k` lies between 1 and 1,000.
    pub fn approx_top_k(self, k: usize) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(ApproxFrequent::new(k as f64)?)))
    }

    /// How many values lie in each of at most so many ranges with round bounds, rows of `lower`, `upper` and `count`.
    ///
    /// # Errors
    /// `Type` unless there are from 1 to 1,000 ranges.
    pub fn histogram(self, ranges: usize) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(Histogram::nice(ranges as f64)?)))
    }

    /// How many values lie in each of so many equal ranges from `low` to `high`.
    ///
    /// # Errors
    /// `Type` unless the bounds ascend and there are from 1 to 1,000 ranges.
    pub fn histogram_between(self, low: f64, high: f64, ranges: usize) -> Result<Expr> {
        Ok(self.aggregate(Arc::new(Histogram::between(low, high, ranges as f64)?)))
    }

    /// The texts in input order, joined by `separator`.
    pub fn string_agg(self, separator: &str) -> Expr {
        self.aggregate(Arc::new(StringAgg::new(separator)))
    }

    /// The values in input order, as a list; missing ones are left out.
    pub fn list(self) -> Expr {
        self.aggregate(Arc::new(List))
    }

    /// This aggregate, such as `col("x").mean()`, over so many replicates of the rows: its estimate, standard error and bounds;
    /// another seed draws other replicates. See [`Bootstrap`].
    ///
    /// ```
    /// use outcrop::{col, scan_csv};
    ///
    /// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
    /// let delay = air.agg(col("ArrDelay").mean().bootstrap(200, 1)?).collect()?;
    /// assert_eq!(delay.schema().field(1).name(), "std_error");
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Type` when this is no aggregate that has replicates, or there are none of as many.
    pub fn bootstrap(self, replicates: u32, seed: u64) -> Result<Expr> {
        match self {
            Expr::Aggregate(AggregateCall { aggregate, args }) => {
                let aggregate = Arc::new(Bootstrap::new(aggregate, replicates, seed)?);
                Ok(Expr::Aggregate(AggregateCall { aggregate, args }))
            }
            other => Err(Error::new(ErrorKind::Type, format!("`bootstrap` takes an aggregate, not `{other}`"))
                .hint("such as bootstrap(mean(x), 1000)")),
        }
    }

    /// `aggregate` of this, for aggregates without a method of their own.
    pub fn aggregate(self, aggregate: Arc<dyn Aggregate>) -> Expr {
        Expr::Aggregate(AggregateCall { aggregate, args: vec![self] })
    }
}
