//! `skewness`, `kurtosis` and `sem`: the shape of a distribution, and how well its mean is known.
//!
//! From the count n and the exact sums Sₖ = Σxᵏ, with A₂ = n·S₂ − S₁², A₃ = n²·S₃ − 3n·S₁·S₂ + 2·S₁³ and
//! A₄ = n³·S₄ − 4n²·S₁·S₃ + 6n·S₁²·S₂ − 3·S₁⁴, which are nᵏ times the central moments, in integers.

use super::exact_sum::special;
use super::powers::{Admitted, PowerStates, PowerSums, Powers, Term};
use super::rounding::{NAN, big_ratio, big_root, nearest_root};
use super::sum::numeric_argument;
use super::{Aggregate, Exactness, GroupStates};
use crate::error::Result;
use arrow::datatypes::DataType;
use num_bigint::{BigInt, BigUint};

/// Of numbers, as doubles, Booleans as 0 and 1. NaN as soon as a value is NaN or infinite. Skewness and kurtosis are null
/// where values do not vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `skewness`, of a sample: G₁ = g₁·√(n(n − 1)) / (n − 2), as DuckDB, SAS and Excel have it (type 2 of Joanes and
    /// Gill, 1998, and of R's e1071); null for fewer than 3 values.
    Skewness,
    /// `skewness_pop`: g₁ = m₃ / m₂^1.5, as SciPy and Polars have it by default (type 1).
    PopulationSkewness,
    /// `kurtosis`, the excess over that of a normal distribution, of a sample: G₂ = (n − 1)·((n + 1)·g₂ + 6) /
    /// ((n − 2)(n − 3)), as DuckDB has it (type 2); null for fewer than 4 values.
    Kurtosis,
    /// `kurtosis_pop`: g₂ = m₄ / m₂² − 3, as SciPy, Polars and DuckDB's `kurtosis_pop` have it (type 1).
    PopulationKurtosis,
    /// `sem`, the standard error of the mean: the sample standard deviation over √n; null for fewer than 2 values.
    MeanError,
}

const POWERS: [Term; 4] = [
    Term { of: None, argument: 0 },
    Term { of: Some(0), argument: 0 },
    Term { of: Some(1), argument: 0 },
    Term { of: Some(2), argument: 0 },
];

impl Shape {
    pub(super) const ALL: [Shape; 5] =
        [Shape::Skewness, Shape::PopulationSkewness, Shape::Kurtosis, Shape::PopulationKurtosis, Shape::MeanError];

    /// So few values have it.
    fn least_values(self) -> u64 {
        match self {
            Shape::PopulationSkewness | Shape::PopulationKurtosis => 1,
            Shape::MeanError => 2,
            Shape::Skewness => 3,
            Shape::Kurtosis => 4,
        }
    }
}

impl Powers for Shape {
    const ARGUMENTS: usize = 1;

    fn terms(&self) -> &'static [Term] {
        match self {
            Shape::MeanError => &POWERS[..2],
            Shape::Skewness | Shape::PopulationSkewness => &POWERS[..3],
            Shape::Kurtosis | Shape::PopulationKurtosis => &POWERS,
        }
    }

    fn admit(&self, [value, _]: [f64; 2]) -> Admitted {
        if value.is_finite() { Admitted::Counts } else { Admitted::Special(special(value)) }
    }

    fn of(&self, sums: &PowerSums) -> Option<f64> {
        let n = sums.count;
        if n < self.least_values() {
            return None;
        }
        if sums.special != 0 {
            return Some(NAN);
        }
        let s = &sums.sums;
        let a2: BigInt = &s[1] * n - &s[0] * &s[0];
        if *self == Shape::MeanError {
            let divisor = BigUint::from(n) * n * (n - 1);
            return Some(big_root(&a2, &divisor, 2 * sums.exponent));
        }
        if a2 == BigInt::ZERO {
            return None;
        }
        Some(match self {
            Shape::Skewness | Shape::PopulationSkewness => {
                let a3: BigInt = &s[2] * n * n - &s[0] * &s[1] * n * 3 + s[0].pow(3) * 2;
                let (mut numerator, mut divisor) = (a3.pow(2), a2.pow(3));
                if *self == Shape::Skewness {
                    numerator = numerator * n * (n - 1);
                    divisor = divisor * (n - 2) * (n - 2);
                }
                let magnitude = nearest_root(&numerator, divisor.magnitude());
                if a3 < BigInt::ZERO { -magnitude } else { magnitude }
            }
            _ => {
                let squared = a2.pow(2);
                let a4: BigInt =
                    &s[3] * n * n * n - &s[0] * &s[2] * n * n * 4 + s[0].pow(2) * &s[1] * n * 6 - s[0].pow(4) * 3;
                let excess = a4 - &squared * 3;
                if *self == Shape::PopulationKurtosis {
                    big_ratio(&excess, squared.magnitude(), 0)
                } else {
                    let numerator = (excess * (n + 1) + &squared * 6) * (n - 1);
                    big_ratio(&numerator, (squared * (n - 2) * (n - 3)).magnitude(), 0)
                }
            }
        })
    }
}

impl Aggregate for Shape {
    fn name(&self) -> &str {
        match self {
            Shape::Skewness => "skewness",
            Shape::PopulationSkewness => "skewness_pop",
            Shape::Kurtosis => "kurtosis",
            Shape::PopulationKurtosis => "kurtosis_pop",
            Shape::MeanError => "sem",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        PowerStates::<Shape>::MOST_BYTES
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        numeric_argument(self, arguments)?;
        Ok(PowerStates::boxed(*self))
    }
}
