//! `range`: how far the greatest value is from the least.

use super::nothing::Nothing;
use super::rounding::NAN;
use super::store::not_an_export;
use super::sum::numeric_argument;
use super::{Aggregate, Exactness, Extreme, GroupStates, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::any::Any;
use std::sync::Arc;

/// The greatest less the least of numbers, Booleans as 0 and 1. Of integers an Int64, an error when beyond 64 bits. Null over no
/// value; NaN as soon as a value is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range;

impl Aggregate for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let argument =
            numeric_argument(self, arguments).map_err(|error| error.hint("min(x) and max(x) are of any type"));
        Ok(if argument? == ColumnType::Float64 { DataType::Float64 } else { DataType::Int64 })
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(match self.output_type(arguments)? {
            _ if *arguments == [DataType::Null] => Box::new(Nothing(DataType::Int64)),
            _ => Box::new(Ends { least: Extreme::Min.states(arguments)?, greatest: Extreme::Max.states(arguments)? }),
        })
    }
}

struct Ends {
    least: Box<dyn GroupStates>,
    greatest: Box<dyn GroupStates>,
}

impl Ends {
    fn same<'a>(&self, other: &'a dyn GroupStates) -> Result<&'a Self> {
        other.as_any().downcast_ref().ok_or_else(not_an_export::<Self>)
    }
}

impl GroupStates for Ends {
    fn grow(&mut self, groups: usize) {
        self.least.grow(groups);
        self.greatest.grow(groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        self.least.update(arguments, rows)?;
        self.greatest.update(arguments, rows)
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        self.least.merge(&*other.least, map)?;
        self.greatest.merge(&*other.greatest, map)
    }

    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        let other = self.same(other)?;
        self.least.merge_some(&*other.least, from, into)?;
        self.greatest.merge_some(&*other.greatest, from, into)
    }

    fn export(&self, groups: std::ops::Range<usize>) -> Result<Vec<ArrayRef>> {
        let mut columns = self.least.export(groups.clone())?;
        columns.extend(self.greatest.export(groups)?);
        Ok(columns)
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        let (least, greatest) = columns.split_at(columns.len() / 2);
        self.least.import(least, map)?;
        self.greatest.import(greatest, map)
    }

    fn finish(&mut self, groups: std::ops::Range<usize>) -> Result<ArrayRef> {
        let (least, greatest) = (self.least.finish(groups.clone())?, self.greatest.finish(groups)?);
        if let (Some(least), Some(greatest)) =
            (least.as_primitive_opt::<Float64Type>(), greatest.as_primitive_opt::<Float64Type>())
        {
            let distance = |greatest: f64, least: f64| match greatest - least {
                distance if distance.is_nan() => NAN,
                distance => distance,
            };
            let distances: Float64Array = binary(greatest, least, distance)?;
            return Ok(Arc::new(distances));
        }
        let (least, greatest) = (cast(&least, &DataType::Int64)?, cast(&greatest, &DataType::Int64)?);
        let (least, greatest) = (least.as_primitive::<Int64Type>(), greatest.as_primitive::<Int64Type>());
        let distance = |row: usize| {
            if least.is_null(row) {
                return Ok(None);
            }
            let distance = greatest.value(row).checked_sub(least.value(row));
            distance.map(Some).ok_or_else(|| {
                Error::new(ErrorKind::Arithmetic, "the range of integers is beyond 64 bits")
                    .hint("cast(x as float64) takes the range of doubles")
            })
        };
        Ok(Arc::new((0..least.len()).map(distance).collect::<Result<Int64Array>>()?))
    }

    fn bytes_held(&self) -> usize {
        self.least.bytes_held() + self.greatest.bytes_held()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
