//! `mad`: the median absolute deviation.

use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::fixed::Fixed;
use crate::aggregate::interpolate::between_floats;
use crate::aggregate::rounding::NAN;
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The median of how far numbers, as doubles, Booleans as 0 and 1, are from their median, as DuckDB and SciPy have it: not
/// multiplied with 1.4826, as R's `mad` is, to estimate the standard deviation of a normal distribution. Null over no
/// value. The distinct values of one group must fit in memory.
#[derive(Clone, Copy, Debug)]
pub struct MedianDeviation;

impl Aggregate for MedianDeviation {
    fn name(&self) -> &str {
        "mad"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(match Fixed::new(numeric_argument(self, arguments)?) {
            Some(argument) => Box::new(Deviations { argument, values: Vec::new(), results: Vec::new() }),
            None => Box::new(Nulls::new(DataType::Float64)),
        })
    }
}

struct Deviations {
    argument: Fixed,
    /// The values of the group that began last, ascending, and how often each occurs.
    values: Vec<(f64, u64)>,
    results: Vec<Option<f64>>,
}

/// The median of ascending values that occur so often.
fn median(values: &[(f64, u64)]) -> Option<f64> {
    let all: u64 = values.iter().map(|(_, count)| count).sum();
    let last = all.checked_sub(1)?;
    let at = |place: u64| {
        let mut before = 0;
        let found = values.iter().find(|(_, count)| {
            before += count;
            before > place
        });
        found.map(|(value, _)| *value)
    };
    Some(between_floats(at(last / 2)?, at(all / 2)?, 1 - all % 2, 2))
}

/// Consumes the values.
fn deviation(values: &mut [(f64, u64)]) -> Option<f64> {
    let middle = median(values)?;
    values.iter_mut().for_each(|(value, _)| *value = (*value - middle).abs());
    values.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    median(values).map(|found| if found.is_nan() { NAN } else { found })
}

impl Fold for Deviations {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (values, counts) = (self.argument.encode(chunk.values)?, chunk.counts.unwrap_or_default());
        for stretch in stretches {
            let value = |row: usize| self.argument.float(values[row]).unwrap_or(values[row] as f64);
            self.values.extend(stretch.rows.clone().map(|row| (value(row), counts[row].unsigned_abs())));
            if stretch.ends {
                self.results.push(deviation(&mut self.values));
                self.values.clear();
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(std::mem::take(&mut self.results))))
    }

    fn bytes_held(&self) -> usize {
        self.values.capacity() * size_of::<(f64, u64)>() + self.results.capacity() * size_of::<Option<f64>>()
    }
}
