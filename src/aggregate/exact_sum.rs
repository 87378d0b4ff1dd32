//! Sums of doubles that are exact until the end, and so the same to the bit in any order: behind `sum` and `mean`.
//!
//! **Idea.** A double whose lowest bit is 2⁻⁸⁰ or more and that is below 2⁴⁶ is added to a 128-bit fixed-point number:
//! a shift and an addition. All others, and sums that outgrow 128 bits, go to a [`Wide`] number that the group gets
//! when first needed. Infinities and NaN are flags. Only `finish` rounds.

use super::integer_sum::Question;
use super::rounding::{NAN, big_ratio, ratio};
use super::store::{
    Store, binary_column, bytes_column, exported, for_each_live, live_rows, not_an_export, read_bytes, typed,
};
use super::wide::{SUM_LIMBS, Wide};
use super::{GroupIds, Rows};
use crate::error::Result;
use arrow::array::{ArrayRef, BinaryArray, Float64Array};
use num_bigint::{BigInt, BigUint};
use std::ops::Range;
use std::sync::Arc;

/// The fixed-point numbers count units of 2⁻⁸⁰.
pub(super) const UNIT_EXPONENT: i32 = -80;
/// Position of the lowest fixed-point bit in the wide number, whose lowest is 2⁻¹⁰⁷⁴.
const UNIT_BIT: u32 = 1074 - 80;
/// Biased exponent of a double whose lowest bit is one unit.
const LOWEST_EXPONENT: u32 = 1075 - 80;
/// So far may its 53 bits be shifted up: to below 2¹²⁶ units, 2⁴⁶.
const LARGEST_SHIFT: u32 = 73;

pub(super) const POSITIVE_INFINITY: u8 = 1;
pub(super) const NEGATIVE_INFINITY: u8 = 2;
pub(super) const NOT_A_NUMBER: u8 = 4;

/// The flag that a double without a finite value raises.
pub(super) fn special(value: f64) -> u8 {
    if value.is_nan() {
        NOT_A_NUMBER
    } else if value > 0.0 {
        POSITIVE_INFINITY
    } else {
        NEGATIVE_INFINITY
    }
}

/// A finite double as ±significand · 2^(bit − 1074).
#[inline]
pub(super) fn decompose(value: f64) -> (bool, u64, u32) {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as u32, bits & ((1 << 52) - 1));
    match exponent {
        0 => (value.is_sign_negative(), fraction, 0),
        _ => (value.is_sign_negative(), fraction | 1 << 52, exponent - 1),
    }
}

/// The significand and how far to shift it to count units, for doubles in the range of the fixed-point numbers.
/// Zero is shifted by 0 and has no significand.
#[inline(always)]
pub(super) fn in_units(value: f64) -> Option<(u64, u32)> {
    let bits = value.to_bits();
    let shift = ((bits >> 52 & 0x7ff) as u32).wrapping_sub(LOWEST_EXPONENT);
    if shift <= LARGEST_SHIFT {
        Some((bits & ((1 << 52) - 1) | 1 << 52, shift))
    } else if value == 0.0 {
        Some((0, 0))
    } else {
        None
    }
}

/// A double in units, with its sign.
#[inline(always)]
fn fixed_point(value: f64) -> Option<i128> {
    let (significand, shift) = in_units(value)?;
    let magnitude = i128::from(significand) << shift;
    let sign = i128::from(value.to_bits() as i64 >> 63);
    Some((magnitude ^ sign) - sign)
}

/// A double in units of 2⁻⁸⁰, if it has room there.
pub(super) fn in_fixed_point(value: f64) -> Option<i128> {
    fixed_point(value)
}

/// The exported states of groups with these sums, in units, of so many values.
pub(super) fn exported_sums(sums: &[i128], counts: &[u64]) -> Result<Vec<ArrayRef>> {
    let total = |(sum, count): (&i128, &u64)| {
        let mut total = Total { count: *count, ..Total::default() };
        total.set_fixed(*sum);
        total.to_bytes()
    };
    Ok(vec![bytes_column(sums.iter().zip(counts).map(total))?, binary_column(sums.iter().map(|_| None))])
}

/// 32 bytes a group, and a wide number where needed.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// Sum of what is neither in the wide number nor special, in units.
    low: u64,
    high: i64,
    count: u64,
    /// One more than the place of the group's wide number; 0 for none.
    wide: u32,
    special: u8,
}

impl Total {
    #[inline(always)]
    fn fixed(&self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    #[inline(always)]
    fn set_fixed(&mut self, fixed: i128) {
        (self.low, self.high) = (fixed as u64, (fixed >> 64) as i64);
    }

    #[inline(always)]
    fn add(&mut self, wides: &mut Wides, value: f64) {
        self.count += 1;
        match fixed_point(value) {
            Some(fixed) => self.add_fixed(wides, fixed),
            None => self.add_other(wides, value),
        }
    }

    #[inline(always)]
    fn add_fixed(&mut self, wides: &mut Wides, fixed: i128) {
        match self.fixed().checked_add(fixed) {
            Some(sum) => self.set_fixed(sum),
            None => {
                self.widen(wides);
                self.set_fixed(fixed);
            }
        }
    }

    /// Moves the fixed-point number to the wide one.
    #[cold]
    fn widen(&mut self, wides: &mut Wides) {
        let fixed = self.fixed();
        self.wide(wides).add(fixed < 0, fixed.unsigned_abs(), UNIT_BIT);
        self.set_fixed(0);
    }

    #[inline(never)]
    fn add_other(&mut self, wides: &mut Wides, value: f64) {
        if value.is_finite() {
            let (negative, significand, bit) = decompose(value);
            self.wide(wides).add(negative, significand.into(), bit);
        } else {
            self.special |= special(value);
        }
    }

    fn wide<'a>(&mut self, wides: &'a mut Wides) -> &'a mut Wide<SUM_LIMBS> {
        if self.wide == 0 {
            wides.push(Wide::zero());
            self.wide = wides.len() as u32;
        }
        &mut wides[self.wide as usize - 1]
    }

    fn merge(&mut self, wides: &mut Wides, other: &Total, other_wides: &Wides) {
        self.count += other.count;
        self.special |= other.special;
        self.add_fixed(wides, other.fixed());
        if let Some(wide) = other.existing_wide(other_wides) {
            self.wide(wides).merge(wide);
        }
    }

    fn existing_wide<'a>(&self, wides: &'a Wides) -> Option<&'a Wide<SUM_LIMBS>> {
        (self.wide as usize).checked_sub(1).map(|place| &wides[place])
    }

    fn rounded(&self, wides: &Wides, divisor: u64) -> f64 {
        match self.special {
            0 => {}
            POSITIVE_INFINITY => return f64::INFINITY,
            NEGATIVE_INFINITY => return f64::NEG_INFINITY,
            _ => return NAN,
        }
        let fixed = self.fixed();
        match self.existing_wide(wides) {
            None => ratio(fixed < 0, fixed.unsigned_abs(), divisor, UNIT_EXPONENT),
            Some(wide) => {
                let sum = wide.to_big() + (BigInt::from(fixed) << UNIT_BIT);
                big_ratio(&sum, &BigUint::from(divisor), -1074)
            }
        }
    }

    fn to_bytes(self) -> [u8; 25] {
        let mut bytes = [self.special; 25];
        bytes[..16].copy_from_slice(&self.fixed().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 25]) -> Option<Self> {
        let mut total = Total { special: bytes[24], ..Total::default() };
        total.set_fixed(i128::from_le_bytes(*bytes.first_chunk()?));
        total.count = u64::from_le_bytes(*bytes[16..].first_chunk()?);
        Some(total)
    }
}

type Wides = Vec<Wide<SUM_LIMBS>>;

/// Exact sums and counts, one a group.
pub(super) struct ExactSums {
    totals: Vec<Total>,
    wides: Wides,
    question: Question,
}

impl ExactSums {
    pub(super) fn new(question: Question) -> Self {
        ExactSums { totals: Vec::new(), wides: Vec::new(), question }
    }
}

impl Store for ExactSums {
    fn grow(&mut self, groups: usize) {
        self.totals.resize(groups.max(self.totals.len()), Total::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = typed::<Float64Array>(arguments, 0)?.values().as_ref();
        let (live, wides) = (live_rows(rows, arguments.first()), &mut self.wides);
        match rows.groups {
            GroupIds::One(_) => {
                // A copy of its own stays in registers.
                let mut total = self.totals[0];
                for_each_live(values.len(), live.as_ref(), |row| total.add(wides, values[row]));
                self.totals[0] = total;
            }
            GroupIds::Each(ids) => {
                let totals = &mut self.totals;
                for_each_live(ids.len(), live.as_ref(), |row| totals[ids[row] as usize].add(wides, values[row]));
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.totals[into].merge(&mut self.wides, &other.totals[from], &other.wides);
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let totals = &self.totals[groups];
        let wides = totals.iter().map(|total| total.existing_wide(&self.wides).map(Wide::to_bytes));
        Ok(vec![bytes_column(totals.iter().map(|total| total.to_bytes()))?, binary_column(wides)])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = ExactSums::new(self.question);
        let wides = exported::<Self, BinaryArray>(columns, 1)?;
        for (bytes, wide) in read_bytes::<Self, 25>(columns, 0)?.iter().zip(wides) {
            let mut total = Total::from_bytes(bytes).ok_or_else(not_an_export::<Self>)?;
            if let Some(wide) = wide {
                *total.wide(&mut read.wides) = Wide::read(wide).ok_or_else(not_an_export::<Self>)?;
            }
            read.totals.push(total);
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let rounded = |total: &Total| {
            let divisor = if self.question == Question::Mean { total.count } else { 1 };
            (total.count > 0).then(|| total.rounded(&self.wides, divisor))
        };
        Ok(Arc::new(self.totals[groups].iter().map(rounded).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.totals.capacity() * size_of::<Total>() + self.wides.capacity() * size_of::<Wide<SUM_LIMBS>>()
    }
}
