//! `product`.

use super::Fold;
use super::numbers::{self, Number, OfGroup};
use crate::aggregate::rounding::NAN;
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::datatypes::DataType;

/// The product of numbers, Booleans as 0 and 1, as a double. Null over no value.
///
/// Values are multiplied in ascending order, each as often as it occurs, with 106 bits and an exponent of any size (T. J.
/// Dekker, "A floating-point technique for extending the available precision", 1971), so the order of the rows does not
/// matter, and nothing over- or underflows on the way.
#[derive(Clone, Copy, Debug)]
pub struct Product;

impl Aggregate for Product {
    fn name(&self) -> &str {
        "product"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        numbers::fold(self, arguments, Running(None))
    }
}

/// (`high` + `low`) · 2^`exponent`, where `high`, unless it is 0, infinite or NaN, lies between 1 and 2.
#[derive(Clone, Copy, Debug)]
struct Scaled {
    high: f64,
    low: f64,
    exponent: i64,
}

impl Scaled {
    const ONE: Scaled = Scaled { high: 1.0, low: 0.0, exponent: 0 };

    fn of(value: f64) -> Self {
        Scaled { high: value, low: 0.0, exponent: 0 }.normal()
    }

    fn of_integer(value: i64) -> Self {
        let high = value as f64;
        // The difference has 11 bits.
        Scaled { high, low: (i128::from(value) - high as i128) as f64, exponent: 0 }.normal()
    }

    fn normal(self) -> Self {
        if self.high == 0.0 || !self.high.is_finite() {
            return Scaled { high: self.high, low: 0.0, exponent: 0 };
        }
        if !self.high.is_normal() {
            let up = 2f64.powi(64);
            return Scaled { high: self.high * up, low: 0.0, exponent: self.exponent - 64 }.normal();
        }
        let exponent = (self.high.to_bits() >> 52 & 0x7ff) as i64 - 1023;
        // Within the normal range the parts keep all their bits.
        let down =
            |value: f64| value * 2f64.powi(-(exponent / 2) as i32) * 2f64.powi(-(exponent - exponent / 2) as i32);
        Scaled { high: down(self.high), low: down(self.low), exponent: self.exponent + exponent }
    }

    fn times(self, other: Self) -> Self {
        let product = self.high * other.high;
        if product == 0.0 || !product.is_finite() {
            return Scaled { high: product, low: 0.0, exponent: 0 };
        }
        let rest = self.high.mul_add(other.high, -product) + (self.high * other.low + self.low * other.high);
        let high = product + rest;
        Scaled { high, low: rest - (high - product), exponent: self.exponent.saturating_add(other.exponent) }.normal()
    }

    fn power(self, mut times: u64) -> Self {
        let (mut result, mut square) = (Scaled::ONE, self);
        while times > 0 {
            if times & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            times >>= 1;
        }
        result
    }

    fn value(self) -> f64 {
        if self.high.is_nan() {
            return NAN;
        }
        // Half the way is normal, and the other rounds once.
        let exponent = self.exponent.clamp(-2200, 2200) as i32;
        let half = exponent.clamp(-1000, 1000);
        let rest = exponent - half;
        self.high * 2f64.powi(half) * 2f64.powi(rest) + 0.0
    }
}

/// The product of a group so far.
struct Running(Option<Scaled>);

impl OfGroup for Running {
    fn add(&mut self, value: Number, count: u64) {
        let value = match value {
            Number::Integer(value) => Scaled::of_integer(value),
            Number::Double(value) => Scaled::of(value),
        };
        self.0 = Some(self.0.unwrap_or(Scaled::ONE).times(value.power(count)));
    }

    fn end(&mut self) -> Option<f64> {
        self.0.take().map(Scaled::value)
    }

    fn bytes_held(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_do_not_overflow_on_the_way_and_are_rounded_once() {
        let product = |values: &[f64]| {
            values.iter().fold(Scaled::ONE, |product, value| product.times(Scaled::of(*value))).value()
        };
        assert_eq!(product(&[2f64.powi(1000), 1.5e300, 2f64.powi(-1000), 2.0]), 3e300);
        assert_eq!(product(&[5e-324, 2f64.powi(1000)]), 2f64.powi(-74));
        assert_eq!(product(&[1e300, 1e300]), f64::INFINITY);
        assert_eq!(product(&[-1e-300, 1e-300]), 0.0);
        assert_eq!(product(&[2f64.powi(-1000), 2f64.powi(-74)]), 5e-324);
        assert_eq!(
            (1..=20).map(Scaled::of_integer).fold(Scaled::ONE, Scaled::times).value(),
            2_432_902_008_176_640_000.0
        );
        assert_eq!(Scaled::of(1.1).power(1000).value(), 2.469_932_918_006_025_6e41);
        assert_eq!(Scaled::of_integer(i64::MAX).power(2).value(), 2f64.powi(126));
        assert!(product(&[0.0, f64::INFINITY]).is_nan());
    }
}
