//! Aggregates that are others, of changed arguments: `geometric_mean`, `harmonic_mean`, `count_if`, `any` and `all`.

use super::cross::doubles;
use super::rounding::NAN;
use super::sum::numeric_argument;
use super::{Aggregate, Count, Exactness, Extreme, GroupStates, Mean, Rows, nothing::Nothing, wrong_arguments};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// A mean of positive numbers, Booleans as 0 and 1, in another scale. Values are rounded once on the way there, and once
/// back; their sum is exact. Null over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaledMean {
    /// e to the mean of logarithms: 0 as soon as a value is 0, NaN as soon as one is negative.
    Geometric,
    /// One over the mean of one over the values: 0 as soon as a value is 0, NaN as soon as one is negative, as SciPy has it.
    Harmonic,
}

impl ScaledMean {
    fn there(self, value: f64) -> f64 {
        match (self, value) {
            (_, value) if value < 0.0 => NAN,
            (ScaledMean::Geometric, value) => libm::log(value),
            (ScaledMean::Harmonic, 0.0) => f64::INFINITY,
            (ScaledMean::Harmonic, value) => 1.0 / value,
        }
    }

    fn back(self, mean: f64) -> f64 {
        let value = match self {
            ScaledMean::Geometric => libm::exp(mean),
            ScaledMean::Harmonic => 1.0 / mean,
        };
        if value.is_nan() { NAN } else { value }
    }
}

impl Aggregate for ScaledMean {
    fn name(&self) -> &str {
        match self {
            ScaledMean::Geometric => "geometric_mean",
            ScaledMean::Harmonic => "harmonic_mean",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        numeric_argument(self, arguments)?;
        Ok(Box::new(Mapped { inner: Mean.states(&[DataType::Float64])?, mapping: Mapping::Scaled(*self) }))
    }
}

/// The number of rows in which a condition is true; 0 over none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountIf;

impl Aggregate for CountIf {
    fn name(&self) -> &str {
        "count_if"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        condition(self, arguments).map(|()| DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        condition(self, arguments)?;
        Ok(Box::new(Mapped { inner: Count.states(&[DataType::Boolean])?, mapping: Mapping::TrueOnly }))
    }
}

/// Whether a condition is true in some row, or in all. Rows in which it is null are left out; null over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// In some row, SQL's `bool_or`.
    Any,
    /// In all rows, SQL's `bool_and` and `every`.
    All,
}

impl Aggregate for Truth {
    fn name(&self) -> &str {
        match self {
            Truth::Any => "bool_or",
            Truth::All => "bool_and",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        condition(self, arguments).map(|()| DataType::Boolean)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        condition(self, arguments)?;
        match (self, arguments) {
            (_, [DataType::Null]) => Ok(Box::new(Nothing(DataType::Boolean))),
            (Truth::Any, _) => Extreme::Max.states(arguments),
            (Truth::All, _) => Extreme::Min.states(arguments),
        }
    }
}

/// # Errors
/// `Type` unless this is one Boolean.
fn condition(aggregate: &dyn Aggregate, arguments: &[DataType]) -> Result<()> {
    match arguments {
        [DataType::Boolean | DataType::Null] => Ok(()),
        _ => Err(wrong_arguments(aggregate, "a condition", arguments).hint("such as x > 0")),
    }
}

/// What is done to arguments and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    Scaled(ScaledMean),
    /// False becomes null.
    TrueOnly,
}

impl Mapping {
    fn argument(self, argument: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Mapping::Scaled(mean) => Arc::new(doubles(argument)?.unary::<_, Float64Type>(|value| mean.there(value))),
            Mapping::TrueOnly => {
                let conditions = cast(argument, &DataType::Boolean)?;
                let conditions = conditions.as_boolean();
                let is_true = NullBuffer::new(conditions.values().clone());
                let valid = NullBuffer::union(Some(&is_true), conditions.nulls());
                Arc::new(BooleanArray::new(conditions.values().clone(), valid))
            }
        })
    }

    fn result(self, result: ArrayRef) -> ArrayRef {
        match (self, result.as_primitive_opt::<Float64Type>()) {
            (Mapping::Scaled(mean), Some(means)) => {
                let back: Float64Array = means.unary(|value| mean.back(value));
                Arc::new(back)
            }
            _ => result,
        }
    }
}

/// States of another aggregate.
struct Mapped {
    inner: Box<dyn GroupStates>,
    mapping: Mapping,
}

impl Mapped {
    fn same<'a>(&self, other: &'a dyn GroupStates) -> Result<&'a dyn GroupStates> {
        let other = other.as_any().downcast_ref::<Mapped>().filter(|other| other.mapping == self.mapping);
        other.map(|other| &*other.inner).ok_or_else(|| Error::internal("merged states of two aggregates"))
    }
}

impl GroupStates for Mapped {
    fn grow(&mut self, groups: usize) {
        self.inner.grow(groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let arguments: Vec<ArrayRef> =
            arguments.iter().map(|argument| self.mapping.argument(argument)).collect::<Result<_>>()?;
        self.inner.update(&arguments, rows)
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        self.inner.merge(other, map)
    }

    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        self.inner.merge_some(other, from, into)
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.inner.export(groups)
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        self.inner.import(columns, map)
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef> {
        self.inner.finish(groups).map(|result| self.mapping.result(result))
    }

    fn bytes_held(&self) -> usize {
        self.inner.bytes_held()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
