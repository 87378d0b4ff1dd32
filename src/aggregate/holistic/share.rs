//! The share of a quantile.

use crate::aggregate::fixed::Fixed;
use crate::aggregate::interpolate::{between_floats, between_integers};
use crate::error::{Error, ErrorKind, Result};

/// A number from 0 to 1, taken as the fraction that was meant: 0.55 is 11/20, not the double next to it, so the
/// 0.55-quantile of 21 values is the twelfth of them and nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    value: f64,
    numerator: u64,
    denominator: u64,
}

impl Share {
    /// Half.
    pub const HALF: Share = Share { value: 0.5, numerator: 1, denominator: 2 };
    /// A quarter.
    pub const QUARTER: Share = Share { value: 0.25, numerator: 1, denominator: 4 };
    /// Three quarters.
    pub const THREE_QUARTERS: Share = Share { value: 0.75, numerator: 3, denominator: 4 };

    /// The first convergent of the continued fraction of `value` whose nearest double is `value`. What was meant as a
    /// fraction of small numbers is found, for no other convergent is as near (Legendre).
    ///
    /// # Errors
    /// `Type` outside 0 to 1.
    pub fn new(value: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&value) {
            let message = format!("a quantile's share lies between 0 and 1, and {value} does not");
            return Err(Error::new(ErrorKind::Type, message).hint("0.95 asks for the 95th percentile"));
        }
        // Below 2⁻⁶⁴ it is 0 for any number of values.
        let (mut above, mut below) = ((value * 2f64.powi(116)) as u128, 1u128 << 116);
        if above < 1 << 52 {
            return Ok(Share { value: value + 0.0, numerator: 0, denominator: 1 });
        }
        let (mut last, mut this) = ((1u128, 0u128), (0, 1));
        while below > 0 && this.0 as f64 / this.1 as f64 != value {
            std::mem::swap(&mut above, &mut below);
            let whole = above / below;
            (last, this) = (this, (whole * this.0 + last.0, whole * this.1 + last.1));
            above %= below;
        }
        Ok(Share { value, numerator: this.0 as u64, denominator: this.1 as u64 })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.value
    }

    /// `of` times this share: the whole part, and the numerator of the rest over its denominator, which is below 2⁶³.
    pub(in crate::aggregate) fn times(self, of: u64) -> (u64, u64) {
        let (product, denominator) = (u128::from(of) * u128::from(self.numerator), u128::from(self.denominator));
        ((product / denominator) as u64, (product % denominator) as u64)
    }

    /// Whether a part of a whole, sums of weights, is at least this share of it.
    pub(in crate::aggregate) fn is_reached(self, part: f64, whole: f64) -> bool {
        part * self.denominator as f64 >= whole * self.numerator as f64
    }

    /// The number `rest`, as [`Share::times`] gives it, of the way from one value to another, both as encoded by `fixed`.
    pub(in crate::aggregate) fn between(self, fixed: Fixed, low: i64, high: i64, rest: u64) -> f64 {
        match fixed.float(low).zip(fixed.float(high)) {
            Some((low, high)) => between_floats(low, high, rest, self.denominator),
            None => between_integers(low, high, rest, self.denominator),
        }
    }

    /// The same between two whole numbers, of less than 70 bits: the largest one that is not above.
    pub(in crate::aggregate) fn between_whole(self, low: i128, high: i128, rest: u64) -> i128 {
        let (way, rest, denominator) = (high - low, i128::from(rest), i128::from(self.denominator));
        low + way / denominator * rest + way % denominator * rest / denominator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: f64) -> (u64, u64) {
        let share = Share::new(value).unwrap();
        (share.numerator, share.denominator)
    }

    #[test]
    fn shares_are_the_fractions_that_were_meant() {
        assert_eq!([0.0, -0.0, 1.0, 0.5, 0.55].map(parts), [(0, 1), (0, 1), (1, 1), (1, 2), (11, 20)]);
        assert_eq!([0.1, 0.999, 1e-6].map(parts), [(1, 10), (999, 1000), (1, 1_000_000)]);
        for denominator in 1..300 {
            for numerator in 0..=denominator {
                let found = parts(numerator as f64 / denominator as f64);
                assert_eq!(found.0 * denominator, numerator * found.1, "{numerator}/{denominator}");
            }
        }
        assert_eq!(parts(5e-324), (0, 1));
        assert_eq!(Share::new(0.55).unwrap().times(20), (11, 0));
        assert_eq!(Share::new(1.0).unwrap().times(u64::MAX), (u64::MAX, 0));
        assert_eq!(Share::new(0.95).unwrap().times(10), (9, 10));
    }

    #[test]
    fn any_share_is_its_fraction_rounded() {
        let mut seed = 7u64;
        for round in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (seed >> 11) as f64 / (1u64 << 53) as f64 / 2f64.powi(round % 50);
            let (numerator, denominator) = parts(value);
            assert!(denominator < 1 << 63, "{value}");
            assert_eq!(numerator as f64 / denominator as f64, value);
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for value in [-0.01, 1.0001, 95.0, f64::NAN, f64::INFINITY] {
            let error = Share::new(value).unwrap_err();
            assert!(error.message().contains(&format!("{value} does not")), "{error}");
        }
    }
}
