//! Sums and means of replicates, all of a row's at once.
//!
//! **Problem.** A row goes to about as many replicates as there are, and each time to another state.
//! **Idea.** A sum is linear, so a replicate has it of weights times values. Over some thousand rows of a group, values are whole
//! numbers of a common unit, in limbs of 32 bits; for each limb a row adds its weights times the limb to a flat array with a number
//! for each replicate. In the end these numbers go into the exact states, as if they were states of other workers. Nothing is
//! rounded, so the states are those that row after row would give.

use super::weights::draw;
use crate::aggregate::exact_sum::{self, in_fixed_point};
use crate::aggregate::fixed::Fixed;
use crate::aggregate::integer_sum;
use crate::aggregate::{Aggregate, GroupStates};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};

/// Values of so many bits may be added so often (2¹² rows with weights up to 8) within 128 bits.
const MOST_BITS: u32 = 110;
/// Rows that are added before the sums go to the states.
pub(super) const MOST_ROWS: usize = 1 << 12;
/// Fewer are not worth it.
pub(super) const LEAST_ROWS: usize = 8;
const LIMB_BITS: u32 = 32;

/// The numbers that are summed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Summed {
    Integers(Fixed),
    Doubles,
}

impl Summed {
    /// Of an aggregate with such states, the numbers that it sums.
    pub(super) fn of(inner: &dyn Aggregate, arguments: &[DataType], states: &dyn GroupStates) -> Result<Option<Self>> {
        let ("sum" | "mean", [argument]) = (inner.name(), arguments) else { return Ok(None) };
        let Ok(argument) = ColumnType::from_arrow(argument) else { return Ok(None) };
        let summed = match (argument, Fixed::new(argument)) {
            (ColumnType::Float64, _) => Summed::Doubles,
            (_, Some(fixed)) => Summed::Integers(fixed),
            (_, None) => return Ok(None),
        };
        // An aggregate of the user's may have such a name.
        let types = |columns: Vec<ArrayRef>| columns.iter().map(|own| own.data_type().clone()).collect::<Vec<_>>();
        Ok((types(states.export(0..0)?) == types(summed.states(&[], &[])?)).then_some(summed))
    }

    /// The values of a column; `None` for those that have no place among the others.
    pub(super) fn values(self, column: &ArrayRef) -> Result<Vec<Option<i128>>> {
        let fits = |value: &i128| value.unsigned_abs() >> MOST_BITS == 0;
        Ok(match self {
            Summed::Integers(fixed) => fixed.encode(column)?.iter().map(|value| Some(i128::from(*value))).collect(),
            Summed::Doubles => {
                let values = column.as_primitive::<Float64Type>().values();
                values.iter().map(|value| in_fixed_point(*value).filter(fits)).collect()
            }
        })
    }

    /// States with these sums of so many values, as columns.
    pub(super) fn states(self, sums: &[i128], counts: &[u64]) -> Result<Vec<ArrayRef>> {
        match self {
            Summed::Integers(_) => integer_sum::exported_sums(sums, counts),
            Summed::Doubles => exact_sum::exported_sums(sums, counts),
        }
    }
}

/// Sums for each replicate.
#[derive(Default)]
pub(super) struct Sums {
    weights: Vec<u16>,
    counts: Vec<u64>,
    /// For each limb, one a replicate.
    limbs: Vec<Vec<i64>>,
}

impl Sums {
    /// The weighted sums of values, of which each comes with the hash of its row, and how many values went into each.
    pub(super) fn of(&mut self, rows: &[(u64, i128)], replicates: usize) -> (Vec<i128>, &[u64]) {
        // Zero has no bit, and does not matter.
        let bits = rows.iter().fold(0, |bits, (_, value)| bits | value.unsigned_abs());
        let shift = bits.trailing_zeros() % u128::BITS;
        let limbs = (u128::BITS - (bits >> shift).leading_zeros()).div_ceil(LIMB_BITS) as usize;
        self.weights.resize(replicates, 0);
        self.counts.clear();
        self.counts.resize(replicates, 0);
        self.limbs.resize_with(limbs.max(self.limbs.len()), Vec::new);
        for limb in &mut self.limbs[..limbs] {
            limb.clear();
            limb.resize(replicates, 0);
        }
        for &(hash, value) in rows {
            draw(hash, &mut self.weights);
            self.counts.iter_mut().zip(&self.weights).for_each(|(count, weight)| *count += u64::from(*weight));
            let magnitude = value.unsigned_abs() >> shift;
            for (at, sums) in self.limbs[..limbs].iter_mut().enumerate() {
                add(sums, &self.weights, (magnitude >> (LIMB_BITS * at as u32)) as u32, value < 0);
            }
        }
        let total = |replicate: usize| {
            let limbs = self.limbs[..limbs].iter().enumerate();
            let part = |(at, sums): (usize, &Vec<i64>)| i128::from(sums[replicate]) << (LIMB_BITS * at as u32);
            limbs.map(part).sum::<i128>() << shift
        };
        ((0..replicates).map(total).collect(), &self.counts)
    }
}

/// Adds weights times a limb, or takes them away.
#[inline]
fn add(sums: &mut [i64], weights: &[u16], limb: u32, negative: bool) {
    // Products of 32 bits each, which have an instruction of their own.
    let product = |weight: u16| (u64::from(weight) * u64::from(limb)).cast_signed();
    if negative {
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum -= product(*weight));
    } else {
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += product(*weight));
    }
}
