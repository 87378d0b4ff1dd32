//! States over a column of type Null: there is no value, so every result is null.

use super::Rows;
use super::store::Store;
use crate::error::Result;
use arrow::array::{ArrayRef, NullArray, new_null_array};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// Nulls of the given type, in any number.
pub(super) struct Nothing(pub(super) DataType);

impl Store for Nothing {
    fn grow(&mut self, _: usize) {}

    fn update(&mut self, _: &[ArrayRef], _: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    fn absorb(&mut self, _: &Self, _: impl Iterator<Item = (usize, usize)>) {}

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(NullArray::new(groups.len()))])
    }

    fn read(&self, _: &[ArrayRef]) -> Result<Self> {
        Ok(Nothing(self.0.clone()))
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        Ok(new_null_array(&self.0, groups.len()))
    }

    fn bytes_held(&self) -> usize {
        0
    }
}
