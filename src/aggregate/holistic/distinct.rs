//! `n_unique`.

use super::{Chunk, Fold, Looks, Stretch};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The number of distinct values, SQL's `count(distinct x)`: nulls are left out, all NaN are one value, and so are −0.0
/// and 0.0. 0 over no value.
#[derive(Clone, Copy, Debug)]
pub struct DistinctCount;

impl Aggregate for DistinctCount {
    fn name(&self) -> &str {
        "n_unique"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(|_| DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn looks_at(&self, _: u64) -> Looks {
        Looks::AtNumber
    }

    fn fold(&self, _: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(Box::new(DistinctCounts::default()))
    }
}

#[derive(Default)]
struct DistinctCounts {
    /// Of the groups that have begun; the last may go on.
    counts: Vec<i64>,
    open: bool,
}

impl Fold for DistinctCounts {
    fn absorb(&mut self, _: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        for stretch in stretches {
            if stretch.begins.is_some() {
                self.counts.push(0);
            }
            if let Some(count) = self.counts.last_mut() {
                *count += stretch.rows.len() as i64;
            }
            self.open = !stretch.ends;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let ended = self.counts.len() - usize::from(self.open);
        let open = self.counts.split_off(ended);
        Ok(Arc::new(Int64Array::from(std::mem::replace(&mut self.counts, open))))
    }

    fn bytes_held(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
