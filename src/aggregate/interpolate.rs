//! Points on the way from one number to another, rounded once.

use super::rounding::{NAN, big_ratio, ratio};
use num_bigint::{BigInt, BigUint};

/// `low + (high − low) · numerator / denominator`, for `numerator < denominator < 2⁶³`.
pub(super) fn between_integers(low: i64, high: i64, numerator: u64, denominator: u64) -> f64 {
    // At most 2⁶³ · 2⁶³.
    let sum = i128::from(low) * i128::from(denominator - numerator) + i128::from(high) * i128::from(numerator);
    ratio(sum < 0, sum.unsigned_abs(), denominator, 0)
}

/// As [`between_integers`]; NaN if one of them is NaN, or if they are infinities of both signs. `numerator` 0 gives `low`.
pub(super) fn between_floats(low: f64, high: f64, numerator: u64, denominator: u64) -> f64 {
    if numerator == 0 || low == high {
        return low;
    }
    if !(low.is_finite() && high.is_finite()) {
        let sum = low + high;
        return if sum.is_nan() { NAN } else { sum };
    }
    close(low, high, numerator, denominator).unwrap_or_else(|| far(low, high, numerator, denominator))
}

/// A finite double as `significand · 2^exponent`.
fn parts(value: f64) -> (i128, i32) {
    let (exponent, fraction) = ((value.to_bits() >> 52 & 0x7ff) as i32, value.to_bits() & ((1 << 52) - 1));
    let magnitude = i128::from(if exponent == 0 { fraction } else { fraction | 1 << 52 });
    (if value.is_sign_negative() { -magnitude } else { magnitude }, exponent.max(1) - 1075)
}

/// In 128 bits, if the weighted sum has room there and its exponent is moderate.
fn close(low: f64, high: f64, numerator: u64, denominator: u64) -> Option<f64> {
    let ((a, a_exponent), (b, b_exponent)) = (parts(low), parts(high));
    let exponent = a_exponent.min(b_exponent);
    let (a_shift, b_shift) = (a_exponent - exponent, b_exponent - exponent);
    // 53 bits of the larger, its shift, the weights' bits, and one for the sum.
    let bits = 54 + a_shift.max(b_shift) + (u64::BITS - denominator.leading_zeros()) as i32;
    if bits > 126 || exponent.abs() > 600 {
        return None;
    }
    let sum = (a << a_shift) * i128::from(denominator - numerator) + (b << b_shift) * i128::from(numerator);
    Some(ratio(sum < 0, sum.unsigned_abs(), denominator, exponent))
}

/// In as many bits as it takes.
fn far(low: f64, high: f64, numerator: u64, denominator: u64) -> f64 {
    let ((a, a_exponent), (b, b_exponent)) = (parts(low), parts(high));
    let exponent = a_exponent.min(b_exponent);
    let weighted = |value: i128, shift: i32, weight: u64| (BigInt::from(value) << shift) * weight;
    let sum =
        weighted(a, a_exponent - exponent, denominator - numerator) + weighted(b, b_exponent - exponent, numerator);
    big_ratio(&sum, &BigUint::from(denominator), exponent.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_and_halves_are_midpoints() {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 11
        };
        for _ in 0..5000 {
            let exponents = [1020 + next() % 60, 1020 + next() % 60];
            let [a, b] = exponents
                .map(|exponent| f64::from_bits(next() & 1 << 52 << 11 | exponent << 52 | next() & ((1 << 52) - 1)));
            let denominator = [2, 10, 100, 10u64.pow(17)][next() as usize % 4];
            let numerator = 1 + next() % (denominator - 1);
            let expected = far(a, b, numerator, denominator);
            if let Some(found) = close(a, b, numerator, denominator) {
                assert_eq!(found.to_bits(), expected.to_bits(), "{a} {b} {numerator}/{denominator}");
            }
            assert_eq!(between_floats(a, b, 1, 2), (a + b) / 2.0);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_met() {
        assert_eq!(between_floats(f64::MAX, f64::MAX / 2.0, 1, 2), f64::MAX * 0.75);
        assert_eq!(between_floats(-f64::MAX, f64::MAX, 1, 2), 0.0);
        assert_eq!(between_floats(-f64::MAX, f64::MAX, 3, 4), f64::MAX / 2.0);
        assert_eq!(between_floats(0.0, f64::from_bits(3), 1, 2), f64::from_bits(2), "a tie goes to even");
        assert_eq!(between_floats(1.0, f64::NAN, 0, 2), 1.0);
        assert!(between_floats(1.0, f64::NAN, 1, 2).is_nan());
        assert_eq!(between_floats(f64::NEG_INFINITY, 1.0, 1, 2), f64::NEG_INFINITY);
        assert_eq!(between_floats(f64::NEG_INFINITY, f64::INFINITY, 1, 2).to_bits(), NAN.to_bits());
        assert_eq!(between_integers(i64::MIN, i64::MAX, 1, 2), -0.5);
        assert_eq!(between_integers(i64::MAX - 1, i64::MAX, 1, 2), 9_223_372_036_854_775_807.0);
        assert_eq!(between_integers(i64::MIN, i64::MIN, 1, u64::MAX >> 1), i64::MIN as f64);
        assert_eq!(between_integers(1, 2, 19, 20), 1.95);
    }
}
