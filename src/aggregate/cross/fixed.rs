//! Numbers that fits are computed with: fixed point of two precisions.
//!
//! Most models are so well conditioned that 256 bits behind the point leave hundreds to spare, and these fit in registers
//! and need no allocation. The others are computed with 512.

use num_bigint::BigInt;
use num_bigint::Sign;

/// A number in fixed point. Operations cut off what lies beyond it; `None` is a result that has no room.
pub(super) trait Number: Clone {
    /// Bits behind the point.
    const FRACTION: u32;
    /// From units of the last bit.
    fn of_units(units: &BigInt) -> Option<Self>;
    /// In units of the last bit.
    fn units(&self) -> BigInt;
    fn times(&self, other: &Self) -> Option<Self>;
    fn minus(&self, other: &Self) -> Option<Self>;
    fn negated(&self) -> Self;
    /// One over it.
    fn inverse(&self) -> Option<Self> {
        let one = BigInt::from(1) << (2 * Self::FRACTION);
        let units = self.units();
        if units.sign() == Sign::NoSign { None } else { Self::of_units(&(one / units)) }
    }
}

/// As many bits before the point as it takes.
impl Number for BigInt {
    const FRACTION: u32 = 512;

    fn of_units(units: &BigInt) -> Option<Self> {
        Some(units.clone())
    }

    fn units(&self) -> BigInt {
        self.clone()
    }

    fn times(&self, other: &Self) -> Option<Self> {
        Some((self * other) >> Self::FRACTION)
    }

    fn minus(&self, other: &Self) -> Option<Self> {
        Some(self - other)
    }

    fn negated(&self) -> Self {
        -self
    }
}

/// Sign and magnitude, the lowest limb first: 256 bits behind the point and 64 before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    negative: bool,
    limbs: [u64; Short::LIMBS],
}

impl Short {
    const LIMBS: usize = 5;
}

impl Number for Short {
    const FRACTION: u32 = 256;

    fn of_units(units: &BigInt) -> Option<Self> {
        let (sign, digits) = units.to_u64_digits();
        let mut limbs = [0; Short::LIMBS];
        limbs.get_mut(..digits.len())?.copy_from_slice(&digits);
        Some(Short { negative: sign == Sign::Minus, limbs })
    }

    fn units(&self) -> BigInt {
        let bytes: Vec<u8> = self.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigInt::from_bytes_le(if self.negative { Sign::Minus } else { Sign::Plus }, &bytes)
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Option<Self> {
        const POINT: usize = Short::FRACTION as usize / 64;
        let mut product = [0u64; 2 * Short::LIMBS];
        for (at, a) in self.limbs.iter().enumerate() {
            let mut carry = 0u128;
            for (below, b) in other.limbs.iter().enumerate() {
                carry += u128::from(*a) * u128::from(*b) + u128::from(product[at + below]);
                product[at + below] = carry as u64;
                carry >>= 64;
            }
            product[at + Short::LIMBS] = carry as u64;
        }
        if product[POINT + Short::LIMBS..].iter().any(|limb| *limb != 0) {
            return None;
        }
        let mut limbs = [0; Short::LIMBS];
        limbs.copy_from_slice(&product[POINT..POINT + Short::LIMBS]);
        Some(Short { negative: self.negative != other.negative, limbs })
    }

    #[inline(always)]
    fn minus(&self, other: &Self) -> Option<Self> {
        if self.negative != other.negative {
            let (mut limbs, mut carry) = ([0; Short::LIMBS], false);
            for ((limb, a), b) in limbs.iter_mut().zip(self.limbs).zip(other.limbs) {
                let (first, one) = a.overflowing_add(b);
                let (second, two) = first.overflowing_add(carry.into());
                (*limb, carry) = (second, one | two);
            }
            return (!carry).then_some(Short { negative: self.negative, limbs });
        }
        let subtract = |a: &[u64; Short::LIMBS], b: &[u64; Short::LIMBS]| {
            let (mut limbs, mut borrow) = ([0; Short::LIMBS], false);
            for ((limb, a), b) in limbs.iter_mut().zip(a).zip(b) {
                let (first, one) = a.overflowing_sub(*b);
                let (second, two) = first.overflowing_sub(borrow.into());
                (*limb, borrow) = (second, one | two);
            }
            (limbs, borrow)
        };
        let (limbs, below) = subtract(&self.limbs, &other.limbs);
        Some(match below {
            false => Short { negative: self.negative, limbs },
            true => Short { negative: !self.negative, limbs: subtract(&other.limbs, &self.limbs).0 },
        })
    }

    fn negated(&self) -> Self {
        Short { negative: !self.negative, limbs: self.limbs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_compute_as_big_ones_do() {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed
        };
        let (mut products, mut overflows) = (0, 0);
        for round in 0..3000 {
            let [a, b] = [(); 2].map(|()| {
                let digits: Vec<u8> = (0..40 - next() as usize % 30).map(|_| (next() >> 32) as u8).collect();
                let sign = if next() >> 40 & 1 == 0 { Sign::Plus } else { Sign::Minus };
                BigInt::from_bytes_le(sign, &digits)
            });
            let [x, y] = [&a, &b].map(|units| Short::of_units(units).unwrap());
            assert_eq!([x.units(), y.units()], [a.clone(), b.clone()]);
            let fits = |units: &BigInt| units.bits() <= 320;
            // Magnitudes are cut off.
            let product = BigInt::from_biguint((&a * &b).sign(), (&a * &b).magnitude() >> 256);
            assert_eq!(x.times(&y).map(|z| z.units()), Some(product.clone()).filter(fits), "{round}");
            assert_eq!(x.minus(&y).map(|z| z.units()), Some(&a - &b).filter(fits), "{round}");
            assert_eq!(x.negated().units(), -&a);
            products += usize::from(fits(&product));
            overflows += usize::from(!fits(&product));
        }
        assert!(products > 100 && overflows > 100);
        let half = Short::of_units(&(BigInt::from(1) << 255)).unwrap();
        assert_eq!(half.inverse().unwrap().units(), BigInt::from(1) << 257);
    }
}
