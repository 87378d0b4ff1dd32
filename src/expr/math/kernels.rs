//! `exp`, `ln`, `sin` and `cos` without branches, so that a loop over them becomes vector code.
//!
//! The methods are the classical ones: the argument is reduced by a multiple of a constant that is held in several parts
//! (Cody and Waite, "Software Manual for the Elementary Functions", 1980), then comes a polynomial. The polynomials of `ln`,
//! `sin` and `cos` are those of Sun's fdlibm (1993); that of `exp` goes through (eʳ − 1 − r) / r² at Chebyshev nodes, with an
//! error of 2⁻⁶¹ of the value.

/// A function of one double.
pub(super) trait Kernel {
    /// Arguments of a larger magnitude have other values than [`Kernel::at`] gives: those of [`Kernel::beyond`].
    const LARGEST: f64 = f64::INFINITY;

    /// The value at `x`.
    fn at(x: f64) -> f64;

    /// The value at an `x` beyond the largest.
    fn beyond(x: f64) -> f64 {
        Self::at(x)
    }
}

/// Added to a double of a small magnitude, it leaves no room for a fraction: the sum holds the nearest integer (of two, the
/// even one) in its last bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const EXPONENT_BITS: u32 = 52;
const BIAS: u64 = 1023;

/// The polynomial with these coefficients, the lowest first.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum * x + coefficient;
    }
    sum
}

/// e to a power.
pub(super) struct Exp;

/// ln 2 in two parts; the first has zeros at the end, so that its product with an exponent is exact.
const LN_2: [f64; 2] = [0.693_147_180_559_663, 2.823_529_056_303_157_8e-13];

impl Kernel for Exp {
    #[inline(always)]
    fn at(x: f64) -> f64 {
        const BEHIND_LINE: [f64; 11] = [
            0.5,
            0.166_666_666_666_666_7,
            0.041_666_666_666_666_67,
            0.008_333_333_333_326_136,
            0.001_388_888_888_888_374_8,
            0.000_198_412_698_748_206_27,
            2.480_158_732_554_774_3e-5,
            2.755_725_540_020_642_2e-6,
            2.755_727_364_311_03e-7,
            2.510_521_700_472_074_5e-8,
            2.091_468_696_808_687_6e-9,
        ];
        // Beyond, all is infinite or 0; NaN stays.
        let x = if x > 710.0 { 710.0 } else { x };
        let x = if x < -746.0 { -746.0 } else { x };
        let power = x * std::f64::consts::LOG2_E + ROUNDER - ROUNDER;
        let high = x - power * LN_2[0];
        let low = power * LN_2[1];
        let r = high - low;
        let lost = (high - r) - low;
        let value = 1.0 + (r + (lost + r * r * polynomial(r, BEHIND_LINE)));
        // In two steps, for the power may be beyond those of normal doubles.
        let half = power * 0.5 + ROUNDER - ROUNDER;
        value * two_to(half) * two_to(power - half)
    }
}

/// 2 to a whole power from −1022 to 1023.
#[inline(always)]
fn two_to(power: f64) -> f64 {
    f64::from_bits((power + ROUNDER).to_bits().wrapping_add(BIAS) << EXPONENT_BITS)
}

/// The natural logarithm.
pub(super) struct Ln;

impl Kernel for Ln {
    #[inline(always)]
    fn at(x: f64) -> f64 {
        const EVEN: [f64; 3] = [0.399_999_999_994_094_2, 0.222_221_984_321_497_84, 0.153_138_376_992_093_73];
        const ODD: [f64; 4] =
            [0.666_666_666_666_673_5, 0.285_714_287_436_623_9, 0.181_835_721_616_180_5, 0.147_981_986_051_165_86];
        const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
        /// √½.
        const LEAST: u64 = 0x3fe6_a09e_667f_3bcd;
        const ONE: u64 = BIAS << EXPONENT_BITS;
        const MANTISSA: u64 = (1 << EXPONENT_BITS) - 1;
        /// A double that holds a small integer in its last bits.
        const HOLDER: f64 = 4_503_599_627_370_496.0;
        let tiny = x < f64::MIN_POSITIVE;
        let scaled = if tiny { x * 18_014_398_509_481_984.0 } else { x };
        let bits = scaled.to_bits().wrapping_add(ONE - LEAST);
        let biased = f64::from_bits(bits >> EXPONENT_BITS | HOLDER.to_bits()) - HOLDER;
        let power = biased - if tiny { BIAS as f64 + 54.0 } else { BIAS as f64 };
        let f = f64::from_bits((bits & MANTISSA).wrapping_add(LEAST)) - 1.0;
        let half_square = 0.5 * f * f;
        let s = f / (2.0 + f);
        let z = s * s;
        let w = z * z;
        let rest = w * polynomial(w, EVEN) + z * polynomial(w, ODD);
        let value = s * (half_square + rest) + power * LN_2[1] - half_square + f + power * LN_2[0];
        let value = if x == f64::INFINITY { x } else { value };
        let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
        if x >= 0.0 { value } else { f64::NAN }
    }
}

/// The sine of an angle in radians.
pub(super) struct Sin;

/// The cosine of an angle in radians.
pub(super) struct Cos;

/// π/2 in four parts; the products of the first three with integers up to 2²⁰ are exact.
const HALF_PI: [f64; 4] =
    [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_711_166_5e-21, 8.478_427_660_368_9e-32];

/// Multiples of π/2 up to about 2²⁰; further ones need more of the digits of π.
const LARGEST_ANGLE: f64 = 1_600_000.0;

/// The sum of two doubles and what rounding takes from it (Knuth).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// Sine (`shift` 0) or cosine (`shift` 1) by the distance from the nearest multiple of π/2, in two parts.
#[inline(always)]
fn by_quarter(x: f64, shift: u64) -> f64 {
    const SIN: [f64; 5] = [
        8.333_333_333_322_49e-3,
        -1.984_126_982_985_795e-4,
        2.755_731_370_707_006_8e-6,
        -2.505_076_025_340_686_3e-8,
        1.589_690_995_211_55e-10,
    ];
    const SIN_CUBE: f64 = -1.666_666_666_666_663_2e-1;
    const COS: [f64; 6] = [
        4.166_666_666_666_66e-2,
        -1.388_888_888_887_411e-3,
        2.480_158_728_947_673e-5,
        -2.755_731_435_139_066_3e-7,
        2.087_572_321_298_175e-9,
        -1.135_964_755_778_819_5e-11,
    ];
    let rounded = x * std::f64::consts::FRAC_2_PI + ROUNDER;
    let quarters = rounded - ROUNDER;
    let first = x - quarters * HALF_PI[0];
    let (second, lost_second) = two_sum(first, -(quarters * HALF_PI[1]));
    let (third, lost_third) = two_sum(second, -(quarters * HALF_PI[2]));
    let (r, low) = two_sum(third, (lost_second + lost_third) - quarters * HALF_PI[3]);
    let z = r * r;
    let cube = z * r;
    let sine = r - ((z * (0.5 * low - cube * polynomial(z, SIN)) - low) - cube * SIN_CUBE);
    let half = 0.5 * z;
    let near = 1.0 - half;
    let cosine = near + (((1.0 - near) - half) + (z * z * polynomial(z, COS) - r * low));
    let quarter = rounded.to_bits().wrapping_add(shift);
    // By bits, for a choice would be made a branch.
    let odd = 0_u64.wrapping_sub(quarter & 1);
    let value = sine.to_bits() & !odd | cosine.to_bits() & odd;
    f64::from_bits(value ^ (quarter >> 1 & 1) << 63)
}

impl Kernel for Sin {
    const LARGEST: f64 = LARGEST_ANGLE;

    #[inline(always)]
    fn at(x: f64) -> f64 {
        let value = by_quarter(x, 0);
        // With −0 its sign would be lost.
        if x.abs() < 1e-9 { x } else { value }
    }

    fn beyond(x: f64) -> f64 {
        libm::sin(x)
    }
}

impl Kernel for Cos {
    const LARGEST: f64 = LARGEST_ANGLE;

    #[inline(always)]
    fn at(x: f64) -> f64 {
        by_quarter(x, 1)
    }

    fn beyond(x: f64) -> f64 {
        libm::cos(x)
    }
}
