//! Doubles made of the numbers of each group, ascending: `mad`, `product` and the like.

use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::Aggregate;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::sum::numeric_argument;
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// A number as its column has it; Booleans are 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    pub(super) fn double(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Double(value) => value,
        }
    }
}

/// What is made of the group that began last.
pub(super) trait OfGroup: Send + 'static {
    /// Takes the next value, which occurs so often.
    fn add(&mut self, value: Number, count: u64);
    /// The result of the group, null over no value; the next begins.
    fn end(&mut self) -> Option<f64>;
    /// Bytes on the heap.
    fn bytes_held(&self) -> usize;
}

struct Numbers<G> {
    argument: Fixed,
    group: G,
    results: Vec<Option<f64>>,
}

/// The fold of `aggregate`, which takes one column of numbers, that makes `group` of each.
pub(super) fn fold(aggregate: &dyn Aggregate, arguments: &[DataType], group: impl OfGroup) -> Result<Box<dyn Fold>> {
    Ok(match Fixed::new(numeric_argument(aggregate, arguments)?) {
        Some(argument) => Box::new(Numbers { argument, group, results: Vec::new() }),
        None => Box::new(Nulls::new(DataType::Float64)),
    })
}

impl<G: OfGroup> Fold for Numbers<G> {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (values, counts) = (self.argument.encode(chunk.values)?, chunk.counts.unwrap_or_default());
        for stretch in stretches {
            for row in stretch.rows.clone() {
                let value = self.argument.float(values[row]).map_or(Number::Integer(values[row]), Number::Double);
                self.group.add(value, counts[row].unsigned_abs());
            }
            if stretch.ends {
                self.results.push(self.group.end());
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(std::mem::take(&mut self.results))))
    }

    fn bytes_held(&self) -> usize {
        self.group.bytes_held() + self.results.capacity() * size_of::<Option<f64>>()
    }
}
