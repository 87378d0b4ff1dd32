//! A fixed-point number wide enough for the sum of any doubles, or of their squares, without rounding.
//!
//! Limbs stand 32 bits apart in 64-bit integers, so an addition touches a few limbs and carries nothing; carries are
//! settled every 2³⁰ additions (the small superaccumulator of R. M. Neal, "Fast exact summation using small and large
//! superaccumulators", 2015).

use num_bigint::{BigInt, BigUint};

/// Limbs for a sum of doubles: bits 2⁻¹⁰⁷⁴ to 2¹⁰²⁴, and room for 2⁶⁴ summands.
pub(super) const SUM_LIMBS: usize = 68;
/// Limbs for a sum of squares of doubles: bits 2⁻²¹⁴⁸ to 2²⁰⁴⁸, and room for 2⁶⁴ summands.
pub(super) const SQUARE_LIMBS: usize = 134;

const ADDITIONS_UNTIL_CARRY: u32 = 1 << 30;

/// Limb `i` counts units of 2^(32·i); what a unit is, is the owner's business.
#[derive(Clone, Debug)]
pub(super) struct Wide<const LIMBS: usize> {
    limbs: [i64; LIMBS],
    /// Additions since carries were settled; each adds less than 2³² to a limb.
    additions: u32,
}

impl<const LIMBS: usize> Wide<LIMBS> {
    pub(super) fn zero() -> Self {
        Wide { limbs: [0; LIMBS], additions: 0 }
    }

    /// Adds `±magnitude · 2^bit`.
    #[inline]
    pub(super) fn add(&mut self, negative: bool, magnitude: u128, bit: u32) {
        let sign = if negative { -1 } else { 1 };
        let (mut limb, shift) = ((bit / 32) as usize, bit % 32);
        self.limbs[limb] += sign * i64::from(((magnitude as u64) << shift) as u32);
        let mut rest = magnitude >> (32 - shift);
        while rest != 0 {
            limb += 1;
            self.limbs[limb] += sign * i64::from(rest as u32);
            rest >>= 32;
        }
        self.additions += 1;
        if self.additions >= ADDITIONS_UNTIL_CARRY {
            self.carry();
        }
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        self.limbs.iter_mut().zip(other.limbs).for_each(|(mine, theirs)| *mine += theirs);
        self.additions = 2;
    }

    /// Brings all limbs but the last, which keeps the sign, into 0..2³².
    fn carry(&mut self) {
        let mut carry = 0;
        let (last, lower) = self.limbs.split_last_mut().expect("there are limbs");
        for limb in lower {
            let sum = *limb + carry;
            *limb = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
        *last += carry;
        self.additions = 1;
    }

    /// The value in units.
    pub(super) fn to_big(&self) -> BigInt {
        let mut settled = self.clone();
        settled.carry();
        let (last, lower) = settled.limbs.split_last().expect("there are limbs");
        let lower = BigUint::new(lower.iter().map(|limb| *limb as u32).collect());
        (BigInt::from(*last) << (32 * (LIMBS - 1))) + BigInt::from(lower)
    }

    /// The limbs, carries settled, little-endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut settled = self.clone();
        settled.carry();
        settled.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    }

    /// What [`Wide::to_bytes`] wrote; `None` for bytes it can't have written.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (limbs, rest) = bytes.as_chunks::<8>();
        let limbs: Vec<i64> = limbs.iter().map(|limb| i64::from_le_bytes(*limb)).collect();
        let settled = limbs.iter().take(LIMBS - 1).all(|limb| (0..1 << 32).contains(limb));
        (rest.is_empty() && settled).then_some(())?;
        Some(Wide { limbs: limbs.try_into().ok()?, additions: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_of_both_signs_merge_and_travel_exactly() {
        let (mut wide, mut expected) = (Wide::<8>::zero(), BigInt::from(0));
        let mut seed = 7u64;
        for round in 0..2000u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let magnitude = (u128::from(seed) * u128::from(seed.rotate_left(17))) >> (seed % 100);
            let (bit, negative) = (round % 90, seed & 1 << 33 == 0);
            wide.add(negative, magnitude, bit);
            let term = BigInt::from(magnitude) << bit;
            expected += if negative { -term } else { term };
            if round.is_multiple_of(7) {
                wide.carry();
            }
        }
        assert_eq!(wide.to_big(), expected);
        let bytes = wide.to_bytes();
        let read = Wide::<8>::read(&bytes).unwrap();
        wide.merge(&read);
        assert_eq!(wide.to_big(), expected * 2);
        assert!(Wide::<8>::read(&bytes[1..]).is_none() && Wide::<9>::read(&bytes).is_none());
    }
}
