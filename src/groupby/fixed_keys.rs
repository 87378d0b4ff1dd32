//! One key of fixed width: integers, doubles, Booleans, dates, timestamps.

use super::integer_index::IntegerIndex;
use super::keys::{GroupKeys, single};
use crate::aggregate::fixed::Fixed;
use crate::error::Result;
use arrow::array::{Array, ArrayRef};

/// Numbers values by their encoding as integers.
pub(super) struct FixedKeys {
    key: Fixed,
    index: IntegerIndex,
}

impl FixedKeys {
    pub(super) fn new(key: Fixed) -> Self {
        FixedKeys { key, index: IntegerIndex::new() }
    }
}

impl GroupKeys for FixedKeys {
    fn intern(&mut self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let column = single(keys)?;
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        ids.clear();
        self.index.intern(&self.key.encode(column)?, nulls, ids)
    }

    fn find(&self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let column = single(keys)?;
        ids.clear();
        self.index.find(&self.key.encode(column)?, column.nulls().filter(|nulls| nulls.null_count() > 0), ids);
        Ok(())
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let (values, nulls) = self.index.emit(groups);
        Ok(vec![self.key.decode(values, nulls)])
    }

    fn head(&self, group: u32, _: usize) -> u128 {
        self.index.head(group)
    }

    fn hashes(&self) -> Vec<u64> {
        self.index.hashes()
    }

    fn seal(&mut self) {
        self.index.seal();
    }

    fn bytes_held(&self) -> usize {
        self.index.bytes_held()
    }
}
