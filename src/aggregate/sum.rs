//! `sum`.

use super::exact_sum::ExactSums;
use super::fixed::Fixed;
use super::integer_sum::{IntegerSums, Question};
use super::nothing::Nothing;
use super::{Aggregate, Exactness, GroupStates, wrong_arguments};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::datatypes::DataType;

/// Sums numbers, Booleans as 0 and 1. Integers give Int64, computed in 128 bits, an error when beyond 64; doubles are
/// summed exactly and rounded once. Null over no value.
#[derive(Clone, Copy, Debug)]
pub struct Sum;

impl Aggregate for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match numeric_argument(self, arguments)? {
            ColumnType::Float64 => DataType::Float64,
            _ => DataType::Int64,
        })
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        sums(self, arguments, Question::Sum, DataType::Int64)
    }
}

/// The one argument's type, if sums and means of it exist or it has no value.
pub(super) fn numeric_argument(aggregate: &dyn Aggregate, arguments: &[DataType]) -> Result<ColumnType> {
    match arguments {
        [argument] => ColumnType::from_arrow(argument)
            .ok()
            .filter(|argument| argument.is_numeric() || *argument == ColumnType::Null),
        _ => None,
    }
    .ok_or_else(|| wrong_arguments(aggregate, "one column of numbers or Booleans", arguments))
}

/// States for `sum` and `mean`.
pub(super) fn sums(
    aggregate: &dyn Aggregate,
    arguments: &[DataType],
    question: Question,
    without_value: DataType,
) -> Result<Box<dyn GroupStates>> {
    let argument = numeric_argument(aggregate, arguments)?;
    Ok(match (argument, Fixed::new(argument)) {
        (ColumnType::Float64, _) => Box::new(ExactSums::new(question)),
        (_, Some(argument)) => Box::new(IntegerSums::new(argument, question)),
        (_, None) => Box::new(Nothing(without_value)),
    })
}
