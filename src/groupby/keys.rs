//! What an index of group keys does, and the choice of one.

use super::fixed_keys::FixedKeys;
use super::order::NULL_HEAD;
use super::text_keys::TextKeys;
use super::tuple_keys::TupleKeys;
use crate::aggregate::fixed::Fixed;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, NullArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Numbers the distinct keys of rows densely, in order of first appearance.
pub trait GroupKeys: Send + Sync {
    /// Replaces `ids` by the group of each row of the key columns. Numbers given before stay.
    ///
    /// # Errors
    /// `Limit` beyond 2³² − 1 groups; `Internal` for columns of other types than agreed.
    fn intern(&mut self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()>;

    /// Replaces `ids` by the group of each row of the key columns, [`ABSENT`] where it has none.
    ///
    /// # Errors
    /// `Internal` for columns of other types than agreed.
    fn find(&self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()>;

    /// Number of groups so far.
    fn len(&self) -> usize;

    /// Whether there is no group yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of these groups, one row a group, of the types interned.
    ///
    /// # Errors
    /// `Internal` when a key cannot be given back.
    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>>;

    /// A number that does not descend where keys ascend, from one index to another of the same type too; null has the
    /// largest. Of a text, what stands behind `skip` bytes that all have in common. Not asked of several columns.
    fn head(&self, group: u32, skip: usize) -> u128;

    /// What tells keys with the same head apart: of a text that is longer than its head, all of it.
    fn tail(&self, _group: u32) -> &[u8] {
        &[]
    }

    /// Shortens `prefix` to what the texts have in common with it (the first one is taken where there is none), and
    /// returns the length of the longest; 0 where keys are no texts.
    fn shorten_prefix(&self, _prefix: &mut Option<Vec<u8>>) -> usize {
        0
    }

    /// A hash of the key of each group, the same in every index of keys of this type.
    fn hashes(&self) -> Vec<u64>;

    /// The keys of several columns.
    fn tuples(&self) -> Option<Tuples<'_>> {
        None
    }

    /// Lets go of what finds groups: nothing more is interned.
    fn seal(&mut self);

    /// Bytes held on the heap.
    fn bytes_held(&self) -> usize;
}

/// Groups of several columns.
#[derive(Clone, Copy)]
pub struct Tuples<'a> {
    /// The index of each column.
    pub columns: &'a [Box<dyn GroupKeys>],
    /// Group after group, the number of its key in each column.
    pub numbers: &'a [u32],
}

/// The index suited to keys of types `types`.
///
/// # Errors
/// `Unsupported` for types that columns can't have, `Internal` when there is no key.
pub fn keys_for(types: &[DataType]) -> Result<Box<dyn GroupKeys>> {
    match types {
        [] => Err(Error::internal("an index of no keys")),
        [one] => {
            let key = ColumnType::from_arrow(one)?;
            Ok(match (Fixed::new(key), key) {
                (Some(fixed), _) => Box::new(FixedKeys::new(fixed)),
                (None, ColumnType::Utf8) => Box::new(TextKeys::default()),
                _ => Box::new(NullKeys::default()),
            })
        }
        several => {
            let columns = several.iter().map(|key| keys_for(std::slice::from_ref(key))).collect::<Result<_>>()?;
            Ok(Box::new(TupleKeys::new(columns)))
        }
    }
}

/// The hash of null.
pub(super) const NULL_HASH: u64 = 0x6a09_e667_f3bc_c909;

/// Stands for "no group" where groups are looked up.
pub const ABSENT: u32 = u32::MAX;

/// The number of a new group after `groups` others.
#[inline]
pub(super) fn next_id(groups: usize) -> Result<u32> {
    match u32::try_from(groups) {
        Ok(id) if id != ABSENT => Ok(id),
        _ => Err(Error::new(ErrorKind::Limit, "more than 2³² − 1 groups").hint("group by fewer or coarser keys")),
    }
}

/// The one key column of a single-key index.
pub(super) fn single(keys: &[ArrayRef]) -> Result<&ArrayRef> {
    match keys {
        [one] => Ok(one),
        _ => Err(Error::internal(format!("{} key columns for an index of one", keys.len()))),
    }
}

/// The index of a column of type Null: one group as soon as there is a row.
#[derive(Default)]
struct NullKeys {
    seen: bool,
}

impl GroupKeys for NullKeys {
    fn intern(&mut self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let rows = single(keys)?.len();
        ids.clear();
        ids.resize(rows, 0);
        self.seen |= rows > 0;
        Ok(())
    }

    fn find(&self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        ids.clear();
        ids.resize(single(keys)?.len(), if self.seen { 0 } else { ABSENT });
        Ok(())
    }

    fn len(&self) -> usize {
        self.seen.into()
    }

    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(NullArray::new(groups.len()))])
    }

    fn head(&self, _: u32, _: usize) -> u128 {
        NULL_HEAD
    }

    fn hashes(&self) -> Vec<u64> {
        vec![NULL_HASH; self.len()]
    }

    fn seal(&mut self) {}

    fn bytes_held(&self) -> usize {
        0
    }
}
