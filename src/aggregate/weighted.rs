//! `weighted_mean`, `weighted_var` and `weighted_std`: rows that count more or less than once.

use super::exact_sum::{NEGATIVE_INFINITY, NOT_A_NUMBER, POSITIVE_INFINITY, special};
use super::powers::{Admitted, PowerStates, PowerSums, Powers, Term};
use super::rounding::{NAN, big_ratio, big_root};
use super::{Aggregate, Exactness, GroupStates, wrong_arguments};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::datatypes::DataType;
use num_bigint::BigInt;

/// Of a value and its weight, numbers, as doubles, or Booleans as 0 and 1, over the rows in which both have a value. Weights
/// are *frequencies*: `weighted_var(x, 3)` is `var(x)` over rows that each occur three times, as statsmodels and R's Hmisc
/// have it. Rows of weight 0 are as if they were not there; a weight that is negative, infinite or NaN makes NaN. Null
/// where all weights are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighted {
    /// Σwx / Σw, exact but for one rounding.
    Mean,
    /// Σw(x − mean)² / (Σw − 1); null where Σw is not above 1.
    Variance,
    /// Its square root.
    StandardDeviation,
    /// Σw(x − mean)² / Σw, which does not depend on the scale of the weights.
    PopulationVariance,
    /// Its square root.
    PopulationStandardDeviation,
}

/// Σw, Σwx, Σwx².
const TERMS: [Term; 3] =
    [Term { of: None, argument: 1 }, Term { of: Some(0), argument: 0 }, Term { of: Some(1), argument: 0 }];

impl Weighted {
    pub(super) const ALL: [Weighted; 5] = [
        Weighted::Mean,
        Weighted::Variance,
        Weighted::StandardDeviation,
        Weighted::PopulationVariance,
        Weighted::PopulationStandardDeviation,
    ];
}

impl Powers for Weighted {
    const ARGUMENTS: usize = 2;

    fn terms(&self) -> &'static [Term] {
        if *self == Weighted::Mean { &TERMS[..2] } else { &TERMS }
    }

    fn admit(&self, [value, weight]: [f64; 2]) -> Admitted {
        if weight == 0.0 {
            Admitted::LeftOut
        } else if weight.is_nan() || weight < 0.0 || weight.is_infinite() {
            Admitted::Special(NOT_A_NUMBER)
        } else if value.is_finite() {
            Admitted::Counts
        } else {
            Admitted::Special(special(value))
        }
    }

    fn of(&self, sums: &PowerSums) -> Option<f64> {
        if sums.count == 0 {
            return None;
        }
        match (sums.special, self) {
            (0, _) => {}
            (POSITIVE_INFINITY, Weighted::Mean) => return Some(f64::INFINITY),
            (NEGATIVE_INFINITY, Weighted::Mean) => return Some(f64::NEG_INFINITY),
            _ => return Some(NAN),
        }
        let (weights, exponent) = (&sums.sums[0], sums.exponent);
        if *self == Weighted::Mean {
            return Some(big_ratio(&sums.sums[1], weights.magnitude(), exponent));
        }
        let around_mean = weights * &sums.sums[2] - sums.sums[1].pow(2);
        let divisor: BigInt = match self {
            Weighted::Variance | Weighted::StandardDeviation => weights - (BigInt::from(1) << exponent.unsigned_abs()),
            _ => weights.clone(),
        };
        if divisor <= BigInt::ZERO {
            return None;
        }
        let root = matches!(self, Weighted::StandardDeviation | Weighted::PopulationStandardDeviation);
        let rounded = if root { big_root } else { big_ratio };
        Some(rounded(&around_mean, (divisor * weights).magnitude(), 2 * exponent))
    }
}

/// Checks that these are a value and a weight.
///
/// # Errors
/// `Type` unless these are two columns of numbers or Booleans.
pub(super) fn value_and_weight(aggregate: &dyn Aggregate, arguments: &[DataType]) -> Result<[ColumnType; 2]> {
    let known = |argument: &DataType| ColumnType::from_arrow(argument).ok();
    let fits = |column: &ColumnType| column.is_numeric() || *column == ColumnType::Null;
    let both = match arguments {
        [value, weight] => known(value).zip(known(weight)).filter(|(value, weight)| fits(value) && fits(weight)),
        _ => None,
    };
    both.map(|(value, weight)| [value, weight])
        .ok_or_else(|| wrong_arguments(aggregate, "a value and its weight, numbers or Booleans", arguments))
}

impl Aggregate for Weighted {
    fn name(&self) -> &str {
        match self {
            Weighted::Mean => "weighted_mean",
            Weighted::Variance => "weighted_var",
            Weighted::StandardDeviation => "weighted_std",
            Weighted::PopulationVariance => "weighted_var_pop",
            Weighted::PopulationStandardDeviation => "weighted_std_pop",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        value_and_weight(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        PowerStates::<Weighted>::MOST_BYTES
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        value_and_weight(self, arguments)?;
        Ok(PowerStates::boxed(*self))
    }
}
