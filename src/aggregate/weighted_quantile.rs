//! `weighted_quantile` and `weighted_median`.

use super::cross::doubles;
use super::exact_sum::ExactSums;
use super::fixed::Fixed;
use super::holistic::Share;
use super::integer_sum::Question;
use super::nothing::Nothing;
use super::rounding::NAN;
use super::store::{
    Store, binary_column, bytes_column, column, exported, for_each_live, live_rows, not_an_export, read_bytes,
    read_view_bytes, view_bytes_column,
};
use super::weighted::value_and_weight;
use super::{Aggregate, Constant, Exactness, GroupIds, GroupStates, Rows};
use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Float64Type};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The smallest value such that the weights of those not above it are at least a share of all weights, as NumPy's
/// `quantile(weights=…, method='inverted_cdf')`; with equal weights, `quantile_disc`. Of a value and its weight, numbers or
/// Booleans as 0 and 1, as a double. Rows that lack one of them or have weight 0 are left out; a weight that is negative,
/// infinite or NaN makes NaN; NaN is above all numbers; null without a row. Distinct values of one group must fit in memory.
///
/// Weights of equal values are summed exactly, and these sums, rounded once each, in the order of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightedQuantile {
    /// At half of the weights.
    Median,
    /// At a share of the weights.
    At(Share),
}

impl Aggregate for WeightedQuantile {
    fn name(&self) -> &str {
        match self {
            WeightedQuantile::Median => "weighted_median",
            WeightedQuantile::At(_) => "weighted_quantile",
        }
    }

    fn constants(&self) -> Vec<Constant> {
        match self {
            WeightedQuantile::Median => Vec::new(),
            WeightedQuantile::At(share) => vec![Constant::Number(share.value())],
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        value_and_weight(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let [value, _] = value_and_weight(self, arguments)?;
        let share = if let WeightedQuantile::At(share) = self { *share } else { Share::HALF };
        Ok(match Fixed::new(value) {
            Some(value) => Box::new(WeightedValues::new(value, share)),
            None => Box::new(Nothing(DataType::Float64)),
        })
    }
}

/// Of a group, where the sum of the weights of each value is, by encoded values.
#[derive(Clone, Default)]
struct Group {
    values: BTreeMap<i64, u32>,
    /// A weight is not a weight.
    special: bool,
}

struct WeightedValues {
    groups: Vec<Group>,
    weights: ExactSums,
    sums: usize,
    argument: Fixed,
    share: Share,
}

impl WeightedValues {
    fn new(argument: Fixed, share: Share) -> Self {
        WeightedValues { groups: Vec::new(), weights: ExactSums::new(Question::Sum), sums: 0, argument, share }
    }

    /// Where the weights of a value of a group are summed.
    fn place(&mut self, group: usize, value: i64) -> u32 {
        let sums = &mut self.sums;
        *self.groups[group].values.entry(value).or_insert_with(|| {
            *sums += 1;
            *sums as u32 - 1
        })
    }

    fn quantile(&self, group: &Group) -> Result<Option<f64>> {
        if group.special {
            return Ok(Some(NAN));
        }
        let mut below = Vec::with_capacity(group.values.len());
        let mut total = 0.0;
        for (value, place) in &group.values {
            let place = *place as usize;
            total += Store::finish(&self.weights, place..place + 1)?.as_primitive::<Float64Type>().value(0);
            below.push((*value, total));
        }
        let value = below.iter().find(|(_, below)| self.share.is_reached(*below, total)).or(below.last());
        Ok(value.map(|(value, _)| self.argument.float(*value).unwrap_or(*value as f64)))
    }
}

impl Store for WeightedValues {
    fn grow(&mut self, groups: usize) {
        self.groups.resize(groups.max(self.groups.len()), Group::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let (value, weights) = (column(arguments, 0)?, doubles(column(arguments, 1)?)?);
        let values = self.argument.encode(value)?;
        let (mut places, mut counts) = (vec![0; values.len()], vec![false; values.len()]);
        let live = live_rows(rows, Some(value));
        for_each_live(values.len(), live.as_ref(), |row| {
            if weights.is_null(row) || weights.value(row) == 0.0 {
                return;
            }
            let (group, weight) = (rows.groups.of(row), weights.value(row));
            if weight.is_finite() && weight > 0.0 {
                places[row] = self.place(group, values[row]);
                counts[row] = true;
            } else {
                self.groups[group].special = true;
            }
        });
        Store::grow(&mut self.weights, self.sums);
        let mask = BooleanArray::new(BooleanBuffer::from(counts), None);
        let rows = Rows { groups: GroupIds::Each(&places), mask: Some(&mask), origin: rows.origin };
        Store::update(&mut self.weights, &[Arc::new(weights)], &rows)
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        let mut places = Vec::new();
        for (from, into) in pairs {
            self.groups[into].special |= other.groups[from].special;
            for (value, place) in &other.groups[from].values {
                places.push((*place as usize, self.place(into, *value) as usize));
            }
        }
        Store::grow(&mut self.weights, self.sums);
        self.weights.absorb(&other.weights, places.into_iter());
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let mut exported_groups = Vec::with_capacity(groups.len());
        for group in &self.groups[groups] {
            let mut bytes = vec![u8::from(group.special)];
            for (value, place) in &group.values {
                let place = *place as usize;
                let sums = Store::export(&self.weights, place..place + 1)?;
                let wide = exported::<Self, BinaryArray>(&sums, 1)?;
                let wide = if wide.is_valid(0) { wide.value(0) } else { &[] };
                bytes.extend(value.to_le_bytes());
                read_bytes::<Self, SUM_BYTES>(&sums, 0)?.iter().for_each(|sum| bytes.extend(sum));
                bytes.extend((wide.len() as u32).to_le_bytes());
                bytes.extend(wide);
            }
            exported_groups.push(bytes);
        }
        Ok(vec![view_bytes_column(exported_groups.into_iter())?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = WeightedValues::new(self.argument, self.share);
        let (mut sums, mut wides) = (Vec::new(), Vec::new());
        for (group, bytes) in read_view_bytes::<Self>(columns, 0)?.into_iter().enumerate() {
            let (special, mut bytes) = bytes.split_first().ok_or_else(not_an_export::<Self>)?;
            Store::grow(&mut read, group + 1);
            read.groups[group].special = *special != 0;
            while !bytes.is_empty() {
                let (value, sum, wide) = read_value(&mut bytes).ok_or_else(not_an_export::<Self>)?;
                read.place(group, value);
                sums.push(sum);
                wides.push(wide);
            }
        }
        if read.sums != sums.len() {
            return Err(not_an_export::<Self>());
        }
        read.weights = self.weights.read(&[bytes_column(sums.into_iter())?, binary_column(wides.into_iter())])?;
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let quantiles = self.groups[groups].iter().map(|group| self.quantile(group));
        Ok(Arc::new(quantiles.collect::<Result<Float64Array>>()?))
    }

    fn bytes_held(&self) -> usize {
        // Nodes of the maps are at least half full, but for the first of each.
        let firsts = self.groups.iter().filter(|group| !group.values.is_empty()).count();
        let values = 2 * self.sums * size_of::<(i64, u32)>() + firsts * FIRST_NODE_BYTES;
        self.groups.capacity() * size_of::<Group>() + values + Store::bytes_held(&self.weights)
    }
}

/// Bytes of the first node of a map, which has room for eleven values.
const FIRST_NODE_BYTES: usize = 160;
/// Bytes of an exported sum, apart from its wide number.
const SUM_BYTES: usize = 25;

/// Takes a value and the sum of its weights.
fn read_value(bytes: &mut &[u8]) -> Option<(i64, [u8; SUM_BYTES], Option<Vec<u8>>)> {
    let (value, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (wide, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some((i64::from_le_bytes(*value), *sum, (!wide.is_empty()).then(|| wide.to_vec())))
}
