//! `approx_n_unique`.

use super::hash::{mix, of_text};
use super::hyperloglog::Sketch;
use crate::aggregate::extreme::any_argument;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::store::{
    Store, column, for_each_live, live_rows, not_an_export, read_view_bytes, typed, view_bytes_column,
};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Rows};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// About the number of distinct values, with a standard error of 0.8 %: of a hundred answers one is off by more than 2.1 %.
/// Which values are one is as for `n_unique`. At most 16 KiB a group.
#[derive(Clone, Copy, Debug)]
pub struct ApproxDistinctCount;

impl Aggregate for ApproxDistinctCount {
    fn name(&self) -> &str {
        "approx_n_unique"
    }

    fn most_state_bytes(&self) -> usize {
        Sketch::MOST_BYTES
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(|_| DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Approximate
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(Box::new(Sketches { sketches: Vec::new(), bytes: 0, argument: any_argument(self, arguments)? }))
    }
}

struct Sketches {
    sketches: Vec<Sketch>,
    /// Behind the sketches.
    bytes: usize,
    argument: ColumnType,
}

impl Sketches {
    #[inline]
    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch)) {
        let sketch = &mut self.sketches[group];
        self.bytes -= sketch.bytes_held();
        change(sketch);
        self.bytes += sketch.bytes_held();
    }
}

impl Store for Sketches {
    fn grow(&mut self, groups: usize) {
        self.sketches.resize(groups.max(self.sketches.len()), Sketch::new());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let live = live_rows(rows, Some(column));
        match Fixed::new(self.argument) {
            Some(fixed) => {
                let values = fixed.encode(column)?;
                for_each_live(values.len(), live.as_ref(), |row| {
                    self.change(rows.groups.of(row), |sketch| sketch.add(mix(values[row] as u64)));
                });
            }
            None if self.argument == ColumnType::Utf8 => {
                let texts = typed::<StringViewArray>(arguments, 0)?;
                for_each_live(texts.len(), live.as_ref(), |row| {
                    self.change(rows.groups.of(row), |sketch| sketch.add(of_text(texts.value(row))));
                });
            }
            None => {}
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.change(into, |sketch| sketch.merge(&other.sketches[from]));
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![view_bytes_column(self.sketches[groups].iter().map(Sketch::to_bytes))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let read = |bytes: &[u8]| Sketch::read(bytes).ok_or_else(not_an_export::<Self>);
        let sketches: Vec<Sketch> =
            read_view_bytes::<Self>(columns, 0)?.into_iter().map(read).collect::<Result<_>>()?;
        let bytes = sketches.iter().map(Sketch::bytes_held).sum();
        Ok(Sketches { sketches, bytes, argument: self.argument })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let estimates = self.sketches[groups].iter().map(|sketch| sketch.estimate().round() as i64);
        Ok(Arc::new(estimates.collect::<Int64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.sketches.capacity() * size_of::<Sketch>() + self.bytes
    }
}
