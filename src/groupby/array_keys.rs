//! Keys of rows that are kept as they came: row `i` is group `i`, and keys may repeat.

use super::integer_index::integer_hash;
use super::keys::{GroupKeys, NULL_HASH};
use super::order::{NULL_HEAD, text_head};
use super::text_keys::text_hash;
use crate::aggregate::fixed::{Fixed, normalise_floats};
use crate::error::{Error, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;

/// The keys of one column.
pub(super) struct ArrayKeys {
    column: ArrayRef,
    /// Of all but texts, numbers that ascend with the values.
    encoded: Option<ScalarBuffer<i64>>,
}

impl ArrayKeys {
    pub(super) fn new(column: ArrayRef) -> Result<Self> {
        let fixed = Fixed::new(ColumnType::from_arrow(column.data_type())?);
        let encoded = fixed.map(|fixed| fixed.encode(&column)).transpose()?;
        Ok(ArrayKeys { column: normalise_floats(&column), encoded })
    }

    fn text(&self, row: u32) -> Option<&[u8]> {
        let texts = self.column.as_string_view_opt()?;
        texts.is_valid(row as usize).then(|| texts.value(row as usize).as_bytes())
    }
}

impl GroupKeys for ArrayKeys {
    fn intern(&mut self, _: &[ArrayRef], _: &mut Vec<u32>) -> Result<()> {
        Err(Error::internal("rows that are kept as they came find no groups"))
    }

    fn find(&self, _: &[ArrayRef], _: &mut Vec<u32>) -> Result<()> {
        Err(Error::internal("rows that are kept as they came find no groups"))
    }

    fn len(&self) -> usize {
        self.column.len()
    }

    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![take(&self.column, &UInt32Array::from(groups.to_vec()), None)?])
    }

    fn head(&self, group: u32, skip: usize) -> u128 {
        match &self.encoded {
            Some(encoded) if self.column.is_valid(group as usize) => {
                (encoded[group as usize].cast_unsigned() ^ 1 << 63).into()
            }
            Some(_) => NULL_HEAD,
            None => self.text(group).map_or(NULL_HEAD, |text| text_head(text, skip)),
        }
    }

    fn hashes(&self) -> Vec<u64> {
        let of_row = |row: usize| match &self.encoded {
            Some(encoded) if self.column.is_valid(row) => integer_hash(encoded[row]),
            Some(_) => NULL_HASH,
            None => self.text(row as u32).map_or(NULL_HASH, text_hash),
        };
        (0..self.column.len()).map(of_row).collect()
    }

    fn tail(&self, group: u32) -> &[u8] {
        self.text(group).unwrap_or_default()
    }

    fn shorten_prefix(&self, prefix: &mut Option<Vec<u8>>) -> usize {
        let Some(texts) = self.column.as_string_view_opt() else { return 0 };
        super::order::shorten_prefix(prefix, texts.iter().flatten().map(str::as_bytes))
    }

    fn seal(&mut self) {}

    fn bytes_held(&self) -> usize {
        self.column.get_array_memory_size()
            + self.encoded.as_ref().map_or(0, |encoded| encoded.len() * size_of::<i64>())
    }
}
