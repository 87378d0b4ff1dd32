//! Sums of integers (and of Booleans, as 0 and 1) in 128 bits, with counts: the states behind `sum` and `mean`.

use super::fixed::Fixed;
use super::rounding::ratio;
use super::store::{Store, bytes_column, column, for_each_live, for_each_word, live_rows, not_an_export, read_bytes};
use super::{GroupIds, Rows};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use std::ops::Range;
use std::sync::Arc;

/// What is asked of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Sum,
    Mean,
}

/// 24 bytes a group; a sum of fewer than 2⁶⁴ integers of 64 bits can't leave 128 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    low: u64,
    high: i64,
    count: u64,
}

impl Total {
    fn sum(self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    #[inline(always)]
    fn add(&mut self, sum: i128, count: u64) {
        let sum = self.sum().wrapping_add(sum);
        (self.low, self.high) = (sum as u64, (sum >> 64) as i64);
        self.count += count;
    }

    fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.sum().to_le_bytes());
        bytes[16..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 24]) -> Option<Self> {
        let mut total = Total::default();
        total.add(i128::from_le_bytes(*bytes.first_chunk()?), u64::from_le_bytes(*bytes.last_chunk()?));
        Some(total)
    }
}

/// The exported states of groups with these sums of so many values.
pub(super) fn exported_sums(sums: &[i128], counts: &[u64]) -> Result<Vec<ArrayRef>> {
    let total = |(sum, count): (&i128, &u64)| {
        let mut total = Total::default();
        total.add(*sum, *count);
        total.to_bytes()
    };
    Ok(vec![bytes_column(sums.iter().zip(counts).map(total))?])
}

/// Sums and counts, one a group.
pub(super) struct IntegerSums {
    totals: Vec<Total>,
    argument: Fixed,
    question: Question,
}

impl IntegerSums {
    pub(super) fn new(argument: Fixed, question: Question) -> Self {
        IntegerSums { totals: Vec::new(), argument, question }
    }
}

impl Store for IntegerSums {
    fn grow(&mut self, groups: usize) {
        self.totals.resize(groups.max(self.totals.len()), Total::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (values, live) = (self.argument.encode(column)?, live_rows(rows, Some(column)));
        match rows.groups {
            GroupIds::One(_) => {
                let count = live.as_ref().map_or(values.len(), BooleanBuffer::count_set_bits);
                self.totals[0].add(sum_live(&values, live.as_ref()), count as u64);
            }
            GroupIds::Each(ids) => for_each_live(ids.len(), live.as_ref(), |row| {
                self.totals[ids[row] as usize].add(values[row].into(), 1);
            }),
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            let total = other.totals[from];
            self.totals[into].add(total.sum(), total.count);
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![bytes_column(self.totals[groups].iter().map(|total| total.to_bytes()))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let totals = read_bytes::<Self, 24>(columns, 0)?.iter().map(Total::from_bytes).collect::<Option<_>>();
        Ok(IntegerSums { totals: totals.ok_or_else(not_an_export::<Self>)?, ..*self })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let totals = self.totals[groups].iter().map(|total| (total.count > 0).then_some(total));
        Ok(match self.question {
            Question::Sum => Arc::new(
                totals
                    .map(|total| total.map(|total| i64::try_from(total.sum()).map_err(|_| overflow(total))).transpose())
                    .collect::<Result<Int64Array>>()?,
            ),
            Question::Mean => Arc::new(
                totals
                    .map(|total| total.map(|total| (total.sum(), total.count)))
                    .map(|total| total.map(|(sum, count)| ratio(sum < 0, sum.unsigned_abs(), count, 0)))
                    .collect::<Float64Array>(),
            ),
        })
    }

    fn bytes_held(&self) -> usize {
        self.totals.capacity() * size_of::<Total>()
    }
}

fn overflow(total: &Total) -> Error {
    let message = format!("the sum of integers is {}, beyond the 64 bits of Int64", total.sum());
    Error::new(ErrorKind::Arithmetic, message).hint("sum doubles instead: sum(cast(x as float64))")
}

/// The sum of the values of the rows in `live`.
fn sum_live(values: &[i64], live: Option<&BooleanBuffer>) -> i128 {
    let Some(live) = live else { return sum_all(values) };
    let mut sum = 0i128;
    for_each_word(live, |start, length, word| {
        let values = &values[start..start + length];
        let dead = !word & (u64::MAX >> (64 - length));
        // Whichever is fewer is visited one by one; what stands in dead rows is taken out again exactly.
        let (mut rest, sign) = if dead.count_ones() <= word.count_ones() {
            sum += sum_all(values);
            (dead, -1)
        } else {
            (word, 1)
        };
        while rest != 0 {
            sum += sign * i128::from(values[rest.trailing_zeros() as usize]);
            rest &= rest - 1;
        }
    });
    sum
}

/// Sums the lower and upper 32 bits apart, in loops that vectorise; fewer than 2³² values a piece can't overflow.
fn sum_all(values: &[i64]) -> i128 {
    const BIAS: u64 = 1 << 63;
    let mut sum = 0i128;
    for piece in values.chunks(1 << 30) {
        let (mut lower, mut upper) = (0u64, 0u64);
        for value in piece {
            let biased = *value as u64 ^ BIAS;
            lower += biased & 0xffff_ffff;
            upper += biased >> 32;
        }
        sum += i128::from(lower) + (i128::from(upper) << 32) - (piece.len() as i128) * i128::from(BIAS);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_extremes_are_exact_with_any_rows_left_out() {
        let values: Vec<i64> = (0..300).map(|i| [i64::MIN, i64::MAX, -1, 0, 7, i64::MIN][i % 6] >> (i % 5)).collect();
        for keep_one_in in [1, 2, 3, 63, 500] {
            let live = BooleanBuffer::collect_bool(values.len(), |row| row % keep_one_in == 0);
            let expected: i128 = values.iter().step_by(keep_one_in).map(|value| i128::from(*value)).sum();
            assert_eq!(sum_live(&values, Some(&live)), expected, "one in {keep_one_in}");
            let others = !&live;
            let expected = values.iter().map(|value| i128::from(*value)).sum::<i128>() - expected;
            assert_eq!(sum_live(&values, Some(&others)), expected, "all but one in {keep_one_in}");
        }
    }
}
