//! Exact ratios rounded once to the nearest double, ties to even.

use num_bigint::{BigInt, BigUint, Sign};

/// The one pattern of NaN that results bear.
pub(crate) const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// `±numerator / denominator · 2^exponent`, for results in the normal range (`|exponent| ≤ 700` is always safe).
pub(super) fn ratio(negative: bool, numerator: u128, denominator: u64, exponent: i32) -> f64 {
    if numerator == 0 {
        return 0.0;
    }
    // The quotient has 64 bits or more, so its lowest bit can stand for all that lies below it.
    let shift = numerator.leading_zeros();
    let (shifted, denominator) = (numerator << shift, u128::from(denominator));
    let sticky = u128::from(!shifted.is_multiple_of(denominator));
    let rounded = ((shifted / denominator) | sticky) as f64 * power_of_two(exponent - shift as i32);
    if negative { -rounded } else { rounded }
}

/// `numerator / denominator · 2^exponent`, over the whole range of doubles: beyond it infinite, below it subnormal or 0.
pub(super) fn big_ratio(numerator: &BigInt, denominator: &BigUint, exponent: i64) -> f64 {
    let (sign, magnitude) = (numerator.sign(), numerator.magnitude());
    if sign == Sign::NoSign {
        return 0.0;
    }
    // 66 or 67 bits of quotient, the lowest one sticky.
    let shift = 66 + denominator.bits() as i64 - magnitude.bits() as i64;
    let (scaled, divisor) = match shift {
        0.. => (magnitude << shift, denominator.clone()),
        _ => (magnitude.clone(), denominator << -shift),
    };
    let quotient = &scaled / &divisor;
    let sticky = u128::from(&quotient * &divisor != scaled);
    let quotient = u128::try_from(quotient).unwrap_or(u128::MAX) | sticky;
    let rounded = round(quotient, exponent - shift);
    if sign == Sign::Minus { -rounded } else { rounded }
}

/// The square root of `numerator / denominator · 2^exponent`, which may lie beyond the range of doubles. Where it does not, these
/// are the bits of [`big_ratio`]'s root.
pub(super) fn big_root(numerator: &BigInt, denominator: &BigUint, exponent: i64) -> f64 {
    if numerator.sign() == Sign::NoSign {
        return 0.0;
    }
    let half = (numerator.bits() as i64 - denominator.bits() as i64 + exponent).div_euclid(2);
    let root = big_ratio(numerator, denominator, exponent - 2 * half).sqrt();
    let half = half.clamp(-2000, 2000) as i32;
    // In steps that are powers of two themselves; only the last may round.
    let first = half.clamp(-1000, 1000);
    root * power_of_two(first) * power_of_two(half - first)
}

/// The square root of `numerator / denominator`, rounded once; for roots in the normal range.
pub(super) fn nearest_root(numerator: &BigInt, denominator: &BigUint) -> f64 {
    let magnitude = numerator.magnitude();
    if numerator.sign() != Sign::Plus {
        return 0.0;
    }
    // A quotient of 134 bits or more has a root of 67 or more; the lowest one is sticky.
    let shift = (135 + denominator.bits() as i64 - magnitude.bits() as i64).max(0);
    let shift = shift + shift % 2;
    let (scaled, whole) = (magnitude << shift, denominator);
    let quotient = &scaled / whole;
    let root = quotient.sqrt();
    let sticky = u128::from(&root * &root * whole != scaled);
    match u128::try_from(&root) {
        Ok(root) => round(root | sticky, -shift / 2),
        // Far above 1: its bits are more than enough.
        Err(_) => big_ratio(&root.into(), &BigUint::from(1_u8), -shift / 2),
    }
}

/// `bits · 2^exponent` for `bits ≥ 2^65` whose lowest bit is sticky.
fn round(bits: u128, exponent: i64) -> f64 {
    let length = 128 - i64::from(bits.leading_zeros());
    let last_place = (exponent + length - 53).max(-1074);
    let dropped = last_place - exponent;
    if dropped > 127 {
        return 0.0;
    }
    if last_place > 971 {
        return f64::INFINITY;
    }
    let half = 1u128 << (dropped - 1);
    let (kept, rest) = (bits >> dropped, bits & (half * 2 - 1));
    let kept = kept + u128::from(rest > half || (rest == half && kept & 1 == 1));
    // Both factors are exact, and so is the product, or it is infinite.
    let (first, second) = (last_place.max(-1000) as i32, (last_place + 1000).min(0) as i32);
    kept as f64 * power_of_two(first) * power_of_two(second)
}

/// 2^exponent, for exponents of normal doubles.
fn power_of_two(exponent: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent));
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_with_division_of_exact_doubles() {
        // Quotients of integers below 2^53 are rounded once by the hardware.
        let mut seed = 1u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let a = seed >> (11 + seed % 50);
            let b = (seed.rotate_left(29) >> (11 + seed % 47)).max(1);
            let expected = a as f64 / b as f64;
            assert_eq!(ratio(false, a.into(), b, 0), expected);
            assert_eq!(big_ratio(&a.into(), &b.into(), 0), expected);
            assert_eq!(big_ratio(&-BigInt::from(a), &b.into(), 0), -expected);
        }
    }

    #[test]
    fn roots_are_rounded_once() {
        let root = |numerator: u64, denominator: u64| nearest_root(&numerator.into(), &denominator.into());
        assert_eq!((root(0, 7), root(9, 4), root(1, 1)), (0.0, 1.5, 1.0));
        let mut twice = 0;
        for n in 1..3000_u64 {
            // Roots of whole numbers are rounded once by the hardware; those of rounded quotients are not.
            assert_eq!(root(n, 1), (n as f64).sqrt());
            twice += u32::from(root(n, 3001) != (n as f64 / 3001.0).sqrt());
        }
        assert!((100..1500).contains(&twice), "{twice}");
        let far = BigInt::from(1) << 900;
        assert_eq!(nearest_root(&far, &BigUint::from(1_u8)), 2f64.powi(450));
        assert_eq!(nearest_root(&1.into(), far.magnitude()), 2f64.powi(-450));
    }

    #[test]
    fn what_lies_far_below_a_tie_breaks_it() {
        let tie = (1u128 << 53) + 1;
        let (denominator, up) = (u64::MAX, (1u64 << 53) as f64 + 2.0);
        let numerator = tie * u128::from(denominator) + 1;
        assert_eq!(ratio(false, numerator, denominator, 0), up);
        assert_eq!(big_ratio(&numerator.into(), &denominator.into(), 0), up);
        assert_eq!(ratio(true, numerator - 1, denominator, 0), -((1u64 << 53) as f64), "a true tie goes to even");
    }

    #[test]
    fn roots_are_those_of_ratios_and_go_beyond_them() {
        let mut seed = 7u64;
        for round in 0..10_000_i64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = (BigInt::from(seed >> (seed % 50)), BigUint::from((seed.rotate_left(29) >> 9) + 1));
            let exponent = round % 1600 - 800;
            assert_eq!(big_root(&a, &b, exponent), big_ratio(&a, &b, exponent).sqrt());
        }
        let (four, one) = (BigInt::from(4), BigUint::from(1u8));
        assert_eq!(big_root(&four, &one, -1300), 2f64.powi(-649));
        assert_eq!(big_root(&four, &one, 1300), 2f64.powi(651));
        assert_eq!(big_root(&four, &one, -2150), f64::from_bits(1));
        assert_eq!(big_root(&four, &one, 2 * 1022), 2f64.powi(1023));
        assert_eq!(big_root(&four, &one, 2 * 1023), f64::INFINITY);
        assert_eq!((big_root(&four, &one, -9000), big_root(&four, &one, 9000)), (0.0, f64::INFINITY));
        assert_eq!(big_root(&BigInt::ZERO, &one, 0), 0.0);
    }

    #[test]
    fn ends_of_the_range_round_as_ieee_says() {
        let one = BigUint::from(1u8);
        let round = |numerator: i64, exponent| big_ratio(&numerator.into(), &one, exponent);
        assert_eq!(round(1, -1074), f64::from_bits(1));
        assert_eq!(round(1, -1075), 0.0, "half of the smallest ties to even");
        assert_eq!(round(3, -1075), f64::from_bits(2), "one and a half ties to even");
        assert_eq!(round(5, -1077), f64::from_bits(1), "five eighths is nearer to one");
        assert_eq!(round((1 << 53) - 1, 971), f64::MAX);
        assert_eq!(round((1 << 54) - 1, 970), f64::INFINITY, "half a place above the largest");
        assert_eq!(round((1 << 55) - 3, 969), f64::MAX);
        assert_eq!(round(1, 5000), f64::INFINITY);
        assert_eq!(round(-1, -5000), 0.0);
    }
}
