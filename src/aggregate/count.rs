//! `count()` of rows and `count(x)` of values that are not null.

use super::store::{Store, exported, for_each_live, live_rows};
use super::{Aggregate, Exactness, GroupIds, GroupStates, Rows, wrong_arguments};
use crate::error::Result;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// Counts rows (no argument) or values that are not null (one argument of any type). 0 over nothing.
#[derive(Clone, Copy, Debug)]
pub struct Count;

impl Aggregate for Count {
    fn name(&self) -> &str {
        "count"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [] | [_] => Ok(DataType::Int64),
            _ => Err(wrong_arguments(self, "nothing or one column", arguments)),
        }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(Box::new(Counts(Vec::new())))
    }
}

struct Counts(Vec<i64>);

impl Store for Counts {
    fn grow(&mut self, groups: usize) {
        self.0.resize(groups.max(self.0.len()), 0);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let live = live_rows(rows, arguments.first());
        match rows.groups {
            GroupIds::One(rows) => self.0[0] += live.map_or(rows, |live| live.count_set_bits()) as i64,
            GroupIds::Each(ids) => for_each_live(ids.len(), live.as_ref(), |row| self.0[ids[row] as usize] += 1),
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        pairs.for_each(|(from, into)| self.0[into] += other.0[from]);
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish(groups)?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        Ok(Counts(exported::<Self, Int64Array>(columns, 0)?.values().to_vec()))
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(self.0[groups].to_vec())))
    }

    fn bytes_held(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}
