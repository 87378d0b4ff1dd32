//! `cov`, `cov_pop`, `corr` and SQL's `regr_…`: how two columns go together.

use super::sums::{Answer, CrossProducts, CrossSums, Design, doubles_column};
use crate::aggregate::nothing::Nothing;
use crate::aggregate::rounding::{NAN, big_ratio, nearest_root};
use crate::aggregate::{Aggregate, Exactness, GroupStates, wrong_arguments};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use num_bigint::{BigInt, BigUint};
use std::sync::Arc;

/// Two columns of numbers, Booleans as 0 and 1, over the rows in which both have a value. NaN as soon as one of those is
/// NaN or infinite. Of `regr_…(y, x)`, as in SQL, the first is what is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comoment {
    /// Covariance of a sample (over n − 1), null for fewer than 2 rows.
    Covariance,
    /// Covariance of a population (over n), null for no row.
    PopulationCovariance,
    /// Pearson's correlation, null where a column does not vary.
    Correlation,
    /// Slope of the least-squares line, null where x does not vary.
    Slope,
    /// Value of that line at x = 0.
    Intercept,
    /// Share of the variation that the line explains; 1 where y does not vary, null where x does not.
    Determination,
    /// Rows in which both have a value.
    Rows,
}

/// Arguments, in the order of the columns of sums.
const FIRST: usize = 1;
const SECOND: usize = 2;

impl Comoment {
    pub(in crate::aggregate) const ALL: [Comoment; 7] = [
        Comoment::Covariance,
        Comoment::PopulationCovariance,
        Comoment::Correlation,
        Comoment::Slope,
        Comoment::Intercept,
        Comoment::Determination,
        Comoment::Rows,
    ];

    fn value(self, sums: &CrossSums) -> Option<f64> {
        let count = sums.count;
        let least = if self == Comoment::PopulationCovariance { 1 } else { 2 };
        if count < least {
            return None;
        }
        if sums.special {
            return Some(NAN);
        }
        let (y, x) = (FIRST, SECOND);
        let both = sums.around_means(x, y);
        let zero = BigInt::ZERO;
        match self {
            Comoment::Covariance | Comoment::PopulationCovariance => {
                let divisor = BigUint::from(count) * (count + 1 - least);
                Some(big_ratio(&both, &divisor, 2 * sums.exponent))
            }
            Comoment::Correlation => correlation(&both, sums.around_means(x, x), sums.around_means(y, y)),
            Comoment::Determination => {
                let (of_x, of_y) = (sums.around_means(x, x), sums.around_means(y, y));
                match (of_x == zero, of_y == zero) {
                    (true, _) => None,
                    (false, true) => Some(1.0),
                    (false, false) => Some(big_ratio(&(&both * &both), (of_x * of_y).magnitude(), 0)),
                }
            }
            Comoment::Slope => {
                let of_x = sums.around_means(x, x);
                (of_x != zero).then(|| big_ratio(&both, of_x.magnitude(), 0))
            }
            Comoment::Intercept => {
                let of_x = sums.around_means(x, x);
                let numerator = sums.sum(y) * &of_x - sums.sum(x) * both;
                (of_x != zero).then(|| big_ratio(&numerator, (of_x * count).magnitude(), sums.exponent))
            }
            Comoment::Rows => None,
        }
    }
}

/// Of sums of products around the means; `None` where a column does not vary.
pub(super) fn correlation(both: &BigInt, of_x: BigInt, of_y: BigInt) -> Option<f64> {
    if of_x == BigInt::ZERO || of_y == BigInt::ZERO {
        return None;
    }
    let magnitude = nearest_root(&(both * both), (of_x * of_y).magnitude());
    Some(if *both < BigInt::ZERO { -magnitude } else { magnitude })
}

impl Aggregate for Comoment {
    fn name(&self) -> &str {
        match self {
            Comoment::Covariance => "cov",
            Comoment::PopulationCovariance => "cov_pop",
            Comoment::Correlation => "corr",
            Comoment::Slope => "regr_slope",
            Comoment::Intercept => "regr_intercept",
            Comoment::Determination => "regr_r2",
            Comoment::Rows => "regr_count",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        two_numbers(self, arguments)?;
        Ok(if *self == Comoment::Rows { DataType::Int64 } else { DataType::Float64 })
    }

    fn exactness(&self) -> Exactness {
        if *self == Comoment::Rows { Exactness::Exact } else { Exactness::Rounding }
    }

    fn most_state_bytes(&self) -> usize {
        // Six sums, beyond 256 bits in wide numbers.
        6 * (32 + 1100)
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let some = two_numbers(self, arguments)?;
        let nothing = !some && *self != Comoment::Rows;
        Ok(if nothing {
            Box::new(Nothing(DataType::Float64))
        } else {
            Box::new(CrossProducts::new(Design::plain(arguments.len()), *self))
        })
    }
}

/// Whether both columns have values.
///
/// # Errors
/// `Type` unless these are two columns of numbers or Booleans.
fn two_numbers(aggregate: &Comoment, arguments: &[DataType]) -> Result<bool> {
    let types: Vec<ColumnType> =
        arguments.iter().filter_map(|argument| ColumnType::from_arrow(argument).ok()).collect();
    let fits = |column: &ColumnType| column.is_numeric() || *column == ColumnType::Null;
    match types.as_slice() {
        both @ [_, _] if arguments.len() == 2 && both.iter().all(fits) => Ok(!both.contains(&ColumnType::Null)),
        _ => Err(wrong_arguments(aggregate, "two columns of numbers or Booleans", arguments)),
    }
}

impl Answer for Comoment {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        Ok(match self {
            Comoment::Rows => Arc::new(groups.map(|sums| sums.count.cast_signed()).collect::<Int64Array>()),
            _ => doubles_column(groups.map(|sums| self.value(&sums))),
        })
    }
}
