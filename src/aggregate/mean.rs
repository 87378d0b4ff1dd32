//! `mean`.

use super::integer_sum::Question;
use super::sum::{numeric_argument, sums};
use super::{Aggregate, Exactness, GroupStates};
use crate::error::Result;
use arrow::datatypes::DataType;

/// The arithmetic mean of numbers, Booleans as 0 and 1: the exact sum over the count, rounded once. Null over no value.
#[derive(Clone, Copy, Debug)]
pub struct Mean;

impl Aggregate for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        sums(self, arguments, Question::Mean, DataType::Float64)
    }
}
