//! `var`, `std`, `var_pop`, `std_pop`: the spread of numbers around their mean.
//!
//! From the count n and the exact Σx and Σx² the variance is (n·Σx² − (Σx)²) / (n·(n − 1)), or over n² for a whole
//! population. The textbook's warning against this formula is about rounding, and nothing is rounded here before the
//! division.

use super::exact_moments::ExactMoments;
use super::fixed::Fixed;
use super::integer_moments::IntegerMoments;
use super::nothing::Nothing;
use super::rounding::{big_ratio, big_root, ratio};
use super::sum::numeric_argument;
use super::{Aggregate, Exactness, GroupStates};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::datatypes::DataType;
use num_bigint::{BigInt, BigUint};

/// Variance or standard deviation of numbers, Booleans as 0 and 1, of a sample (over n − 1, null for fewer than 2
/// values) or of a population (over n, null for no value). NaN as soon as a value is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Of a sample: divide by n − 1.
    pub sample: bool,
    /// The square root: the standard deviation.
    pub root: bool,
}

impl Aggregate for Spread {
    fn name(&self) -> &str {
        match (self.sample, self.root) {
            (true, false) => "var",
            (true, true) => "std",
            (false, false) => "var_pop",
            (false, true) => "std_pop",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let argument = numeric_argument(self, arguments)?;
        Ok(match (argument, Fixed::new(argument)) {
            (ColumnType::Float64, _) => Box::new(ExactMoments::new(*self)),
            (_, Some(argument)) => Box::new(IntegerMoments::new(argument, *self)),
            (_, None) => Box::new(Nothing(DataType::Float64)),
        })
    }
}

impl Spread {
    /// Whether `count` values have a spread.
    pub(super) fn exists(self, count: u64) -> bool {
        count > u64::from(self.sample)
    }

    /// From sums in units of 2^`exponent` and its square (lower and upper half), when they are small; `None` when they
    /// are not.
    pub(super) fn of_small(self, count: u64, sum: i128, squares: (u128, u128), exponent: i32) -> Option<f64> {
        let (low, high) = squares;
        let zeros = if low == 0 { 128 + high.trailing_zeros() } else { low.trailing_zeros() };
        let zeros = sum.trailing_zeros().min(zeros / 2).min(127);
        let (squares, beyond) = match 2 * zeros {
            bits @ 0..=127 => (low >> bits | high << 1 << (127 - bits), high >> bits),
            bits => (high >> (bits - 128), 0),
        };
        let sum = sum >> zeros;
        if count >> 32 != 0 || squares >> 64 != 0 || beyond != 0 {
            return None;
        }
        // (Σx)² ≤ n·Σx² < 2⁹⁶, by Cauchy and Schwarz.
        let sum = sum.unsigned_abs();
        let numerator = u128::from(count) * squares - sum * sum;
        let variance = ratio(false, numerator, self.divisor(count), 2 * (exponent + zeros as i32));
        Some(if self.root { variance.sqrt() } else { variance })
    }

    /// From sums in units of 2^`exponent` and its square.
    pub(super) fn of_big(self, count: u64, sum: &BigInt, squares: &BigInt, exponent: i64) -> f64 {
        let numerator = squares * count - sum * sum;
        let divisor = BigUint::from(count) * (count - u64::from(self.sample));
        let rounded = if self.root { big_root } else { big_ratio };
        rounded(&numerator, &divisor, 2 * exponent)
    }

    /// For counts below 2³².
    fn divisor(self, count: u64) -> u64 {
        count * (count - u64::from(self.sample))
    }
}
