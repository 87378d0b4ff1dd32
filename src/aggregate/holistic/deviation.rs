//! `mad`: the median absolute deviation.

use super::Fold;
use super::numbers::{self, Number, OfGroup};
use crate::aggregate::interpolate::between_floats;
use crate::aggregate::rounding::NAN;
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::datatypes::DataType;

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
        numbers::fold(self, arguments, Deviation::default())
    }
}

/// The values of a group, ascending, and how often each occurs.
#[derive(Default)]
struct Deviation(Vec<(f64, u64)>);

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

impl OfGroup for Deviation {
    fn add(&mut self, value: Number, count: u64) {
        self.0.push((value.double(), count));
    }

    fn end(&mut self) -> Option<f64> {
        let found = deviation(&mut self.0);
        self.0.clear();
        found
    }

    fn bytes_held(&self) -> usize {
        self.0.capacity() * size_of::<(f64, u64)>()
    }
}
