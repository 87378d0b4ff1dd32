//! `approx_quantile`.

use super::hash::of_row;
use super::sample::Sample;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::holistic::Share;
use crate::aggregate::nothing::Nothing;
use crate::aggregate::store::{
    Store, column, for_each_live, live_rows, not_an_export, read_view_bytes, view_bytes_column,
};
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::{Aggregate, Constant, Exactness, GroupStates, Rows};
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// About `quantile`: exactly it over at most 32,768 values of a group, the quantile of a random sample of so many over more.
/// With a probability of all but one in a million, all quantiles of a group are those at shares that differ by less than
/// 1.5 percentage points (0.3 is the standard error of the median), in whatever order the values come. At most 768 KiB a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApproxQuantile {
    share: Share,
}

impl ApproxQuantile {
    /// The quantile at a share.
    pub fn new(share: Share) -> Self {
        ApproxQuantile { share }
    }
}

impl Aggregate for ApproxQuantile {
    fn name(&self) -> &str {
        "approx_quantile"
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::Number(self.share.value())]
    }

    fn most_state_bytes(&self) -> usize {
        Sample::<i64>::MOST_BYTES
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn uses_identities(&self) -> bool {
        true
    }

    fn exactness(&self) -> Exactness {
        Exactness::Approximate
    }

    fn order_sensitive(&self) -> bool {
        true
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(match Fixed::new(numeric_argument(self, arguments)?) {
            Some(argument) => Box::new(Samples { samples: Vec::new(), bytes: 0, share: self.share, argument }),
            None => Box::new(Nothing(DataType::Float64)),
        })
    }
}

struct Samples {
    samples: Vec<Sample>,
    /// Behind the samples.
    bytes: usize,
    share: Share,
    argument: Fixed,
}

impl Samples {
    #[inline]
    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sample)) {
        let sample = &mut self.samples[group];
        self.bytes -= sample.bytes_held();
        change(sample);
        self.bytes += sample.bytes_held();
    }

    fn quantile(&self, sample: &Sample) -> Option<f64> {
        let mut values: Vec<i64> = sample.entries().into_iter().map(|(_, value)| value).collect();
        let (whole, rest) = self.share.times((values.len() as u64).checked_sub(1)?);
        let (_, low, behind) = values.select_nth_unstable(whole as usize);
        let high = if rest == 0 { *low } else { behind.iter().min().copied().unwrap_or(*low) };
        Some(self.share.between(self.argument, *low, high, rest))
    }
}

impl Store for Samples {
    fn grow(&mut self, groups: usize) {
        self.samples.resize(groups.max(self.samples.len()), Sample::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (values, live) = (self.argument.encode(column)?, live_rows(rows, Some(column)));
        for_each_live(values.len(), live.as_ref(), |row| {
            let entry = (of_row(rows.origin.row_id(row)), values[row]);
            self.change(rows.groups.of(row), |sample| sample.add(entry));
        });
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.change(into, |sample| sample.merge(&other.samples[from]));
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![view_bytes_column(self.samples[groups].iter().map(Sample::to_bytes))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let read = |bytes: &[u8]| Sample::read(bytes).ok_or_else(not_an_export::<Self>);
        let samples: Vec<Sample> = read_view_bytes::<Self>(columns, 0)?.into_iter().map(read).collect::<Result<_>>()?;
        let bytes = samples.iter().map(Sample::bytes_held).sum();
        Ok(Samples { samples, bytes, share: self.share, argument: self.argument })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        Ok(Arc::new(self.samples[groups].iter().map(|sample| self.quantile(sample)).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>() + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::GroupIds;
    use crate::batch::RowOrigin;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Float64Type;

    /// The quantile of values in the order of their positions.
    fn found(values: impl Iterator<Item = i64>, share: f64) -> f64 {
        let aggregate = ApproxQuantile::new(Share::new(share).unwrap());
        let mut states = aggregate.states(&[DataType::Int64]).unwrap();
        states.grow(1);
        let values: ArrayRef = Arc::new(values.collect::<Int64Array>());
        let origin = RowOrigin::consecutive(0);
        let rows = Rows { groups: GroupIds::One(values.len()), mask: None, origin: &origin };
        states.update(&[values], &rows).unwrap();
        states.finish(0..1).unwrap().as_primitive::<Float64Type>().value(0)
    }

    #[test]
    fn ranks_stay_within_the_bound_in_orders_that_hurt_sketches() {
        const ROWS: i64 = 200_000;
        type Order = fn(i64) -> i64;
        let orders: [(&str, Order); 6] = [
            ("ascending", |row| row),
            ("descending", |row| ROWS - 1 - row),
            ("organ pipe", |row| if row % 2 == 0 { row / 2 } else { ROWS - 1 - row / 2 }),
            ("sawtooth of the size of a sample", |row| row % 32_768 * 6 + row / 32_768),
            ("low bits of the position first", |row| (row as u64).reverse_bits() as i64 >> 46),
            ("multiples of the position", |row| row * 65_537 % ROWS),
        ];
        for (name, order) in orders {
            let mut sorted: Vec<i64> = (0..ROWS).map(order).collect();
            sorted.sort_unstable();
            for share in [0.01, 0.25, 0.5, 0.95] {
                let value = found((0..ROWS).map(order), share);
                let rank = sorted.partition_point(|other| (*other as f64) < value) as f64 / ROWS as f64;
                assert!((rank - share).abs() < 0.015, "{name}: rank {rank} for {share}");
            }
        }
    }
}
