//! Counts, sums and sums of squares of doubles without any rounding: the states behind variances.
//!
//! As in `exact_sum`, but squares, exact products of 53-bit significands, go to a 256-bit fixed-point number with units
//! of 2⁻¹⁶⁰. (Splitting x² by FMA into two doubles would lose what under- or overflows.)

use super::exact_sum::{UNIT_EXPONENT, decompose, in_units};
use super::rounding::NAN;
use super::spread::Spread;
use super::store::{
    Store, binary_column, bytes_column, exported, for_each_live, live_rows, not_an_export, read_bytes, typed,
};
use super::wide::{SQUARE_LIMBS, SUM_LIMBS, Wide};
use super::{GroupIds, Rows};
use crate::error::Result;
use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array};
use num_bigint::BigInt;
use std::ops::Range;
use std::sync::Arc;

/// Position of the fixed-point units in the wide numbers, whose lowest bits are 2⁻¹⁰⁷⁴ and 2⁻²¹⁴⁸.
const UNIT_BIT: u32 = (1074 + UNIT_EXPONENT) as u32;

/// 64 bytes a group, and a wide pair where needed.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    /// Sum of what is neither in the wide numbers nor special, in units of 2⁻⁸⁰.
    sum: i128,
    /// Likewise of squares, in units of 2⁻¹⁶⁰.
    squares_low: u128,
    squares_high: u128,
    /// Special values included.
    count: u64,
    /// One more than the place of the group's wide pair; 0 for none.
    wide: u32,
    /// A value was infinite or NaN.
    special: bool,
}

/// What the fixed-point numbers can't hold.
#[derive(Clone, Debug)]
struct WidePair {
    sum: Wide<SUM_LIMBS>,
    squares: Wide<SQUARE_LIMBS>,
}

impl Moments {
    #[inline(always)]
    fn add(&mut self, wides: &mut Vec<WidePair>, value: f64) {
        self.count += 1;
        let Some((significand, shift)) = in_units(value) else { return self.add_other(wides, value) };
        let magnitude = i128::from(significand) << shift;
        let sign = i128::from(value.to_bits() as i64 >> 63);
        let square = u128::from(significand) * u128::from(significand);
        let (low, high) = match 2 * shift {
            bits @ 0..=127 => (square << bits, square >> 1 >> (127 - bits)),
            bits => (0, square << (bits - 128)),
        };
        self.add_fixed(wides, (magnitude ^ sign) - sign, low, high);
    }

    #[inline(always)]
    fn add_fixed(&mut self, wides: &mut Vec<WidePair>, sum: i128, low: u128, high: u128) {
        let (new_sum, sum_overflows) = self.sum.overflowing_add(sum);
        let (new_low, carry) = self.squares_low.overflowing_add(low);
        let (new_high, overflows) = self.squares_high.overflowing_add(high);
        let (new_high, carry_overflows) = new_high.overflowing_add(carry.into());
        if sum_overflows | overflows | carry_overflows {
            self.widen(wides);
            (self.sum, self.squares_low, self.squares_high) = (sum, low, high);
        } else {
            (self.sum, self.squares_low, self.squares_high) = (new_sum, new_low, new_high);
        }
    }

    /// Moves the fixed-point numbers to the wide ones.
    #[cold]
    fn widen(&mut self, wides: &mut Vec<WidePair>) {
        let Moments { sum, squares_low, squares_high, .. } = *self;
        let wide = self.wide(wides);
        wide.sum.add(sum < 0, sum.unsigned_abs(), UNIT_BIT);
        wide.squares.add(false, squares_low, 2 * UNIT_BIT);
        wide.squares.add(false, squares_high, 2 * UNIT_BIT + 128);
        (self.sum, self.squares_low, self.squares_high) = (0, 0, 0);
    }

    #[inline(never)]
    fn add_other(&mut self, wides: &mut Vec<WidePair>, value: f64) {
        if value.is_finite() {
            let (negative, significand, bit) = decompose(value);
            let wide = self.wide(wides);
            wide.sum.add(negative, significand.into(), bit);
            wide.squares.add(false, u128::from(significand) * u128::from(significand), 2 * bit);
        } else {
            self.special = true;
        }
    }

    fn wide<'a>(&mut self, wides: &'a mut Vec<WidePair>) -> &'a mut WidePair {
        if self.wide == 0 {
            wides.push(WidePair { sum: Wide::zero(), squares: Wide::zero() });
            self.wide = wides.len() as u32;
        }
        &mut wides[self.wide as usize - 1]
    }

    fn existing_wide<'a>(&self, wides: &'a [WidePair]) -> Option<&'a WidePair> {
        (self.wide as usize).checked_sub(1).map(|place| &wides[place])
    }

    fn merge(&mut self, wides: &mut Vec<WidePair>, other: &Moments, other_wides: &[WidePair]) {
        self.count += other.count;
        self.special |= other.special;
        self.add_fixed(wides, other.sum, other.squares_low, other.squares_high);
        if let Some(theirs) = other.existing_wide(other_wides) {
            let wide = self.wide(wides);
            wide.sum.merge(&theirs.sum);
            wide.squares.merge(&theirs.squares);
        }
    }

    fn spread(&self, wides: &[WidePair], spread: Spread) -> f64 {
        if self.special {
            return NAN;
        }
        let squares = || (BigInt::from(self.squares_high) << 128) + self.squares_low;
        match self.existing_wide(wides) {
            None => {
                let small = (self.squares_low, self.squares_high);
                spread
                    .of_small(self.count, self.sum, small, UNIT_EXPONENT)
                    .unwrap_or_else(|| spread.of_big(self.count, &self.sum.into(), &squares(), UNIT_EXPONENT.into()))
            }
            Some(wide) => {
                let sum = wide.sum.to_big() + (BigInt::from(self.sum) << UNIT_BIT);
                let squares = wide.squares.to_big() + (squares() << (2 * UNIT_BIT));
                spread.of_big(self.count, &sum, &squares, -1074)
            }
        }
    }

    fn to_bytes(self) -> [u8; 57] {
        let mut bytes = [u8::from(self.special); 57];
        bytes[..16].copy_from_slice(&self.sum.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.squares_low.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.squares_high.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 57]) -> Option<Self> {
        Some(Moments {
            sum: i128::from_le_bytes(*bytes.first_chunk()?),
            squares_low: u128::from_le_bytes(*bytes[16..].first_chunk()?),
            squares_high: u128::from_le_bytes(*bytes[32..].first_chunk()?),
            count: u64::from_le_bytes(*bytes[48..].first_chunk()?),
            wide: 0,
            special: bytes[56] != 0,
        })
    }
}

/// Moments, one a group.
pub(super) struct ExactMoments {
    moments: Vec<Moments>,
    wides: Vec<WidePair>,
    spread: Spread,
}

impl ExactMoments {
    pub(super) fn new(spread: Spread) -> Self {
        ExactMoments { moments: Vec::new(), wides: Vec::new(), spread }
    }
}

impl Store for ExactMoments {
    fn grow(&mut self, groups: usize) {
        self.moments.resize(groups.max(self.moments.len()), Moments::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = typed::<Float64Array>(arguments, 0)?.values().as_ref();
        let (live, wides) = (live_rows(rows, arguments.first()), &mut self.wides);
        match rows.groups {
            GroupIds::One(_) => {
                let mut moments = self.moments[0];
                for_each_live(values.len(), live.as_ref(), |row| moments.add(wides, values[row]));
                self.moments[0] = moments;
            }
            GroupIds::Each(ids) => {
                let moments = &mut self.moments;
                for_each_live(ids.len(), live.as_ref(), |row| moments[ids[row] as usize].add(wides, values[row]));
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.moments[into].merge(&mut self.wides, &other.moments[from], &other.wides);
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let moments = &self.moments[groups];
        let wides = || moments.iter().map(|moments| moments.existing_wide(&self.wides));
        Ok(vec![
            bytes_column(moments.iter().map(|moments| moments.to_bytes()))?,
            binary_column(wides().map(|wide| wide.map(|wide| wide.sum.to_bytes()))),
            binary_column(wides().map(|wide| wide.map(|wide| wide.squares.to_bytes()))),
        ])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = ExactMoments::new(self.spread);
        let sums = exported::<Self, BinaryArray>(columns, 1)?;
        let squares = exported::<Self, BinaryArray>(columns, 2)?;
        for (row, bytes) in read_bytes::<Self, 57>(columns, 0)?.iter().enumerate() {
            let mut moments = Moments::from_bytes(bytes).ok_or_else(not_an_export::<Self>)?;
            if sums.is_valid(row) {
                let pair = Wide::read(sums.value(row)).zip(Wide::read(squares.value(row)));
                let (sum, squares) = pair.ok_or_else(not_an_export::<Self>)?;
                *moments.wide(&mut read.wides) = WidePair { sum, squares };
            }
            read.moments.push(moments);
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let spread =
            |moments: &Moments| self.spread.exists(moments.count).then(|| moments.spread(&self.wides, self.spread));
        Ok(Arc::new(self.moments[groups].iter().map(spread).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.moments.capacity() * size_of::<Moments>() + self.wides.capacity() * size_of::<WidePair>()
    }
}
