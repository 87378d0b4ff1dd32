//! Counts, sums and sums of squares of integers, exactly: the states behind variances.

use super::fixed::Fixed;
use super::spread::Spread;
use super::store::{Store, bytes_column, column, for_each_live, live_rows, not_an_export, read_bytes};
use super::{GroupIds, Rows};
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array};
use num_bigint::BigInt;
use std::ops::Range;
use std::sync::Arc;

/// 48 bytes a group. Squares are below 2¹²⁶, so 192 bits hold the sum of 2⁶⁴ of them.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    sum: i128,
    squares_low: u128,
    squares_high: u64,
    count: u64,
}

impl Moments {
    #[inline(always)]
    fn add(&mut self, value: i64) {
        let magnitude = u128::from(value.unsigned_abs());
        self.count += 1;
        self.sum = self.sum.wrapping_add(value.into());
        self.add_squares(magnitude * magnitude, 0);
    }

    #[inline(always)]
    fn add_squares(&mut self, low: u128, high: u64) {
        let (sum, carry) = self.squares_low.overflowing_add(low);
        self.squares_low = sum;
        self.squares_high = self.squares_high.wrapping_add(high).wrapping_add(carry.into());
    }

    fn merge(&mut self, other: &Moments) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.add_squares(other.squares_low, other.squares_high);
    }

    fn spread(&self, spread: Spread) -> f64 {
        let small = spread.of_small(self.count, self.sum, (self.squares_low, self.squares_high.into()), 0);
        small.unwrap_or_else(|| {
            let squares = (BigInt::from(self.squares_high) << 128) + self.squares_low;
            spread.of_big(self.count, &self.sum.into(), &squares, 0)
        })
    }

    fn to_bytes(self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(&self.sum.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.squares_low.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.squares_high.to_le_bytes());
        bytes[40..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 48]) -> Option<Self> {
        Some(Moments {
            sum: i128::from_le_bytes(*bytes.first_chunk()?),
            squares_low: u128::from_le_bytes(*bytes[16..].first_chunk()?),
            squares_high: u64::from_le_bytes(*bytes[32..].first_chunk()?),
            count: u64::from_le_bytes(*bytes[40..].first_chunk()?),
        })
    }
}

/// Moments, one a group.
pub(super) struct IntegerMoments {
    moments: Vec<Moments>,
    argument: Fixed,
    spread: Spread,
}

impl IntegerMoments {
    pub(super) fn new(argument: Fixed, spread: Spread) -> Self {
        IntegerMoments { moments: Vec::new(), argument, spread }
    }
}

impl Store for IntegerMoments {
    fn grow(&mut self, groups: usize) {
        self.moments.resize(groups.max(self.moments.len()), Moments::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (values, live) = (self.argument.encode(column)?, live_rows(rows, Some(column)));
        match rows.groups {
            GroupIds::One(_) => {
                let mut moments = self.moments[0];
                for_each_live(values.len(), live.as_ref(), |row| moments.add(values[row]));
                self.moments[0] = moments;
            }
            GroupIds::Each(ids) => {
                for_each_live(ids.len(), live.as_ref(), |row| self.moments[ids[row] as usize].add(values[row]));
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        pairs.for_each(|(from, into)| self.moments[into].merge(&other.moments[from]));
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![bytes_column(self.moments[groups].iter().map(|moments| moments.to_bytes()))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let moments = read_bytes::<Self, 48>(columns, 0)?.iter().map(Moments::from_bytes).collect::<Option<_>>();
        Ok(IntegerMoments { moments: moments.ok_or_else(not_an_export::<Self>)?, ..*self })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let spread = |moments: &Moments| self.spread.exists(moments.count).then(|| moments.spread(self.spread));
        Ok(Arc::new(self.moments[groups].iter().map(spread).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.moments.capacity() * size_of::<Moments>()
    }
}
