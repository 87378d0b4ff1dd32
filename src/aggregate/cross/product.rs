//! Exact products of doubles and their sums.

use crate::aggregate::exact_sum::{UNIT_EXPONENT, decompose, in_units};
use crate::aggregate::wide::{SQUARE_LIMBS, Wide};
use num_bigint::BigInt;

/// Exponent of the units that a [`Sum`] counts.
pub(super) const PRODUCT_EXPONENT: i64 = 2 * UNIT_EXPONENT as i64;
/// Exponent of the units that a [`WideSum`] counts.
pub(super) const WIDE_EXPONENT: i64 = -2148;

/// A double as ±significand · 2^shift units, where that has room in fixed point.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Factor {
    significand: u64,
    shift: u32,
    negative: bool,
}

impl Factor {
    #[inline(always)]
    pub(super) fn new(value: f64) -> Option<Self> {
        let (significand, shift) = in_units(value)?;
        Some(Factor { significand, shift, negative: value.is_sign_negative() })
    }
}

/// A sum of products in units of 2⁻¹⁶⁰, in 256 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    low: u128,
    high: i128,
}

impl Sum {
    pub(super) const BYTES: usize = 32;

    /// The product of two factors.
    #[inline(always)]
    pub(super) fn product(a: Factor, b: Factor) -> Self {
        let magnitude = u128::from(a.significand) * u128::from(b.significand);
        let (low, high) = match a.shift + b.shift {
            bits @ 0..=127 => (magnitude << bits, magnitude >> 1 >> (127 - bits)),
            bits => (0, magnitude << (bits - 128)),
        };
        let sum = Sum { low, high: high.cast_signed() };
        if a.negative != b.negative { sum.negated() } else { sum }
    }

    #[inline(always)]
    fn negated(self) -> Self {
        let (low, borrow) = 0_u128.overflowing_sub(self.low);
        Sum { low, high: 0_i128.wrapping_sub(self.high).wrapping_sub(borrow.into()) }
    }

    /// The sum with `other`, if 256 bits are enough.
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (low, carry) = self.low.overflowing_add(other.low);
        let (high, first) = self.high.overflowing_add(other.high);
        let (high, second) = high.overflowing_add(carry.into());
        // Both can only be so if they cancel each other out.
        (first == second).then_some(Sum { low, high })
    }

    pub(super) fn to_big(self) -> BigInt {
        (BigInt::from(self.high) << 128) + self.low
    }

    pub(super) fn to_bytes(self) -> [u8; Sum::BYTES] {
        let mut bytes = [0; Sum::BYTES];
        bytes[..16].copy_from_slice(&self.low.to_le_bytes());
        bytes[16..].copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Sum::BYTES]) -> Option<Self> {
        let low = u128::from_le_bytes(*bytes.first_chunk()?);
        Some(Sum { low, high: i128::from_le_bytes(*bytes.last_chunk()?) })
    }
}

/// A sum of products of any doubles, in units of 2⁻²¹⁴⁸.
pub(super) type WideSum = Wide<SQUARE_LIMBS>;

/// Adds the product of two finite doubles.
pub(super) fn add_product(sum: &mut WideSum, a: f64, b: f64) {
    let ((negative_a, a, bit_a), (negative_b, b, bit_b)) = (decompose(a), decompose(b));
    sum.add(negative_a != negative_b, u128::from(a) * u128::from(b), bit_a + bit_b);
}

/// Adds a sum in fixed point.
pub(super) fn add_fixed(wide: &mut WideSum, sum: Sum) {
    const UNIT_BIT: u32 = (PRODUCT_EXPONENT - WIDE_EXPONENT) as u32;
    // Its lower half is never negative.
    wide.add(false, sum.low, UNIT_BIT);
    wide.add(sum.high < 0, sum.high.unsigned_abs(), UNIT_BIT + 128);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(value: f64) -> BigInt {
        let (negative, significand, bit) = decompose(value);
        let magnitude = BigInt::from(significand) << bit;
        if negative { -magnitude } else { magnitude }
    }

    #[test]
    fn products_and_their_sums_are_exact_in_both_forms() {
        let values = [0.0, -0.0, 1.0, -1.5, 0.1, -70_368_744_177_663.0, 1e-6, 3.25e12, -4.656_612_873_077_393e-7];
        let (mut sum, mut wide, mut expected) = (Sum::default(), WideSum::zero(), BigInt::from(0));
        for a in values {
            for b in values {
                let product = Sum::product(Factor::new(a).unwrap(), Factor::new(b).unwrap());
                assert_eq!(product.to_big() << (PRODUCT_EXPONENT - WIDE_EXPONENT) as u32, big(a) * big(b), "{a} {b}");
                assert_eq!(Sum::from_bytes(&product.to_bytes()), Some(product));
                sum = sum.plus(product).unwrap();
                add_product(&mut wide, a, b);
                expected += big(a) * big(b);
            }
        }
        assert_eq!(sum.to_big() << (PRODUCT_EXPONENT - WIDE_EXPONENT) as u32, expected);
        assert_eq!(wide.to_big(), expected);
        add_fixed(&mut wide, sum);
        assert_eq!(wide.to_big(), expected * 2);
    }

    #[test]
    fn a_sum_beyond_256_bits_is_noticed_and_only_that() {
        let least = Sum { low: 0, high: i128::MIN };
        let most = Sum { low: u128::MAX, high: i128::MAX };
        let one = Sum { low: 1, high: 0 };
        assert_eq!(most.plus(one), None);
        assert_eq!(least.plus(one.negated()), None);
        assert_eq!(least.plus(most), Some(one.negated()));
        assert_eq!(most.plus(one.negated()).and_then(|sum| sum.plus(one)), Some(most));
        assert_eq!(least.plus(least), None);
        // A carry that brings an overflow back.
        let minus_one_high = Sum { low: u128::MAX, high: -1 };
        assert_eq!(least.plus(minus_one_high), None);
        assert_eq!(Sum { low: 1, high: i128::MIN }.plus(minus_one_high), Some(least));
    }
}
