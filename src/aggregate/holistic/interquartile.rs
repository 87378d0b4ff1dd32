//! `iqr`: the interquartile range.

use super::quantile::nearest;
use super::{Chunk, Fold, Looks, Quantile, Share, Stretch};
use crate::aggregate::rounding::NAN;
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::binary;
use arrow::datatypes::{DataType, Float64Type};
use std::sync::Arc;

/// The distance between the quartiles, `quantile(x, 0.75)` less `quantile(x, 0.25)`, as R's `IQR` and SciPy's `iqr` have
/// it by default. Null over no value.
#[derive(Clone, Copy, Debug)]
pub struct InterquartileRange;

impl Aggregate for InterquartileRange {
    fn name(&self) -> &str {
        "iqr"
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

    fn looks_at(&self, values: u64) -> Looks {
        let ([a, b], _) = nearest(Share::QUARTER, values);
        let ([c, d], _) = nearest(Share::THREE_QUARTERS, values);
        Looks::AtPlaces([a, b, c, d])
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        let quartile = |share| Quantile::Interpolated(share).fold(arguments);
        Ok(Box::new(Quartiles { lower: quartile(Share::QUARTER)?, upper: quartile(Share::THREE_QUARTERS)? }))
    }
}

struct Quartiles {
    lower: Box<dyn Fold>,
    upper: Box<dyn Fold>,
}

impl Fold for Quartiles {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        self.lower.absorb(chunk, stretches)?;
        self.upper.absorb(chunk, stretches)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (lower, upper) = (self.lower.finish()?, self.upper.finish()?);
        let distance = |upper: f64, lower: f64| match upper - lower {
            distance if distance.is_nan() => NAN,
            distance => distance,
        };
        let distances: Float64Array =
            binary(upper.as_primitive::<Float64Type>(), lower.as_primitive::<Float64Type>(), distance)?;
        Ok(Arc::new(distances))
    }

    fn bytes_held(&self) -> usize {
        self.lower.bytes_held() + self.upper.bytes_held()
    }
}
