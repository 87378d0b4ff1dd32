//! The table of a group-by: an index of keys and, for each aggregate, the states of all groups.

use super::keys::{GroupKeys, keys_for};
use super::order::{Entry, GroupOrder};
use crate::aggregate::{Aggregate, GroupIds, GroupStates, Rows};
use crate::batch::RowOrigin;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Groups and the states of their aggregates. Without keys there is exactly one group, even over no rows.
pub struct GroupTable {
    /// `None` without keys.
    keys: Option<Box<dyn GroupKeys>>,
    states: Vec<Box<dyn GroupStates>>,
    aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>,
    /// Of rows that are kept as they came, in place of states: the arguments of each aggregate, one row a group.
    arguments: Option<Vec<Vec<ArrayRef>>>,
    /// Scratch: the groups of a batch.
    ids: Vec<u32>,
}

impl GroupTable {
    /// A table of no rows for keys of types `key_types` and for aggregates over arguments of the given types.
    ///
    /// # Errors
    /// `Type` or `Unsupported` when a type fits neither keys nor the aggregate.
    pub fn new(key_types: &[DataType], aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>) -> Result<Self> {
        let keys = if key_types.is_empty() { None } else { Some(keys_for(key_types)?) };
        let mut table = GroupTable { keys, states: Vec::new(), aggregates, arguments: None, ids: Vec::new() };
        table.states = table.empty_states()?;
        table.grow();
        Ok(table)
    }

    /// Number of groups so far.
    pub fn groups(&self) -> usize {
        self.keys.as_ref().map_or(1, |keys| keys.len())
    }

    /// The index of the keys, if there are any.
    pub(super) fn index(&self) -> Option<&dyn GroupKeys> {
        self.keys.as_deref()
    }

    /// A table whose groups are rows with these keys, which may repeat, and these arguments of aggregates to which the
    /// identities of rows are nothing. Sealed.
    pub(super) fn of_rows(
        keys: Box<dyn GroupKeys>,
        arguments: Vec<Vec<ArrayRef>>,
        aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>,
    ) -> Result<Self> {
        Ok(GroupTable { keys: Some(keys), states: Vec::new(), aggregates, arguments: Some(arguments), ids: Vec::new() })
    }

    /// Adds group `from[i]` to group `into[i]` of the states of other groups, which are those of the same aggregates.
    pub(super) fn merge_into(&self, states: &mut [Box<dyn GroupStates>], from: &[u32], into: &[u32]) -> Result<()> {
        let Some(arguments) = &self.arguments else {
            let pairs = states.iter_mut().zip(&self.states);
            return pairs.into_iter().try_for_each(|(states, ours)| states.merge_some(&**ours, from, into));
        };
        let (rows, origin) = (UInt32Array::from(from.to_vec()), RowOrigin::consecutive(0));
        let groups = Rows { groups: GroupIds::Each(into), mask: None, origin: &origin };
        for (states, arguments) in states.iter_mut().zip(arguments) {
            let arguments =
                arguments.iter().map(|argument| Ok(take(argument, &rows, None)?)).collect::<Result<Vec<_>>>()?;
            states.update(&arguments, &groups)?;
        }
        Ok(())
    }

    /// States of no group, one an aggregate.
    pub(super) fn empty_states(&self) -> Result<Vec<Box<dyn GroupStates>>> {
        self.aggregates.iter().map(|(aggregate, arguments)| aggregate.states(arguments)).collect()
    }

    fn grow(&mut self) {
        let groups = self.groups();
        self.states.iter_mut().for_each(|states| states.grow(groups));
    }

    /// Absorbs a batch of `rows` rows: its key columns, the arguments of each aggregate, and where the rows came from.
    ///
    /// # Errors
    /// `Limit` beyond 2³² − 1 groups; `Internal` for columns other than agreed.
    pub fn update(
        &mut self,
        keys: &[ArrayRef],
        arguments: &[Vec<ArrayRef>],
        rows: usize,
        origin: &RowOrigin,
    ) -> Result<()> {
        if let Some(index) = &mut self.keys {
            index.intern(keys, &mut self.ids)?;
        }
        self.update_states(arguments, rows, origin)
    }

    fn update_states(&mut self, arguments: &[Vec<ArrayRef>], rows: usize, origin: &RowOrigin) -> Result<()> {
        if arguments.len() != self.states.len() {
            let message = format!("arguments of {} aggregates, not {}", arguments.len(), self.states.len());
            return Err(Error::internal(message));
        }
        self.grow();
        let groups = if self.keys.is_some() { GroupIds::Each(&self.ids) } else { GroupIds::One(rows) };
        let rows = Rows { groups, mask: None, origin };
        self.states.iter_mut().zip(arguments).try_for_each(|(states, arguments)| states.update(arguments, &rows))
    }

    /// Absorbs another table of the same keys and aggregates, which may be sealed.
    pub(crate) fn absorb(&mut self, other: &GroupTable) -> Result<()> {
        if self.aggregates.len() != other.aggregates.len() || self.keys.is_some() != other.keys.is_some() {
            return Err(Error::internal("merged group tables of different queries"));
        }
        match (&mut self.keys, &other.keys) {
            (Some(index), Some(theirs)) => index.intern(&theirs.emit(&all(theirs.len()))?, &mut self.ids)?,
            _ => self.ids = vec![0],
        }
        self.grow();
        if other.arguments.is_some() {
            return other.merge_into(&mut self.states, &all(other.groups()), &self.ids);
        }
        let pairs = self.states.iter_mut().zip(&other.states);
        pairs.into_iter().try_for_each(|(states, theirs)| states.merge(&**theirs, &self.ids))
    }

    /// Absorbs these groups of another table of the same keys and aggregates, which may be sealed.
    pub(crate) fn absorb_some(&mut self, other: &GroupTable, groups: &[u32]) -> Result<()> {
        let (Some(index), Some(theirs)) = (&mut self.keys, &other.keys) else {
            return Err(Error::internal("some groups of a table without keys"));
        };
        index.intern(&theirs.emit(groups)?, &mut self.ids)?;
        self.grow();
        other.merge_into(&mut self.states, groups, &self.ids)
    }

    /// The groups by a hash of their keys, in so many parts: a key is in the same part of every table.
    pub(crate) fn by_hash(&self, parts: usize) -> Vec<Vec<u32>> {
        let hashes = self.keys.as_ref().map_or_else(Vec::new, |keys| keys.hashes());
        let mut groups: Vec<Vec<u32>> = (0..parts).map(|_| Vec::with_capacity(hashes.len() / parts + 16)).collect();
        for (group, hash) in hashes.into_iter().enumerate() {
            // Tables use the lower bits.
            groups[((u128::from(hash) * parts as u128) >> 64) as usize].push(group as u32);
        }
        groups
    }

    /// Absorbs groups that were exported: key columns, then the states of each aggregate.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(crate) fn import(&mut self, keys: usize, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let (keys, exported) = columns.split_at_checked(keys).ok_or_else(lack_columns)?;
        match &mut self.keys {
            Some(index) => index.intern(keys, &mut self.ids)?,
            None => self.ids = vec![0; rows],
        }
        self.grow();
        import_states(&mut self.states, exported, &self.ids)
    }

    /// The states of the one group without a key.
    ///
    /// # Errors
    /// None but broken invariants.
    pub(crate) fn export_one(&self) -> Result<Vec<ArrayRef>> {
        let exported = self.states.iter().map(|states| states.export(0..1)).collect::<Result<Vec<_>>>()?;
        Ok(exported.into_iter().flatten().collect())
    }

    /// The key columns, then one column an aggregate; one row a group, ascending by the key columns from the first to
    /// the last: nulls last, NaN above all numbers, text bytewise.
    ///
    /// # Errors
    /// `Arithmetic` when an integer result is beyond 64 bits.
    pub fn finish(mut self) -> Result<Vec<ArrayRef>> {
        if self.keys.is_none() {
            return self.states.iter_mut().map(|states| states.finish(0..1)).collect();
        }
        let tables = [self];
        let order = GroupOrder::of(&tables);
        let mut entries: Vec<Entry> = (0..tables[0].groups()).map(|group| order.entry(0, group)).collect();
        entries.sort_unstable_by(|a, b| order.compare(a, b));
        order.gather(&entries)?.finish()
    }

    /// Lets go of what finds groups: no more rows and no other table come.
    pub(crate) fn seal(&mut self) {
        if let Some(index) = &mut self.keys {
            index.seal();
        }
        self.ids = Vec::new();
    }

    /// Bytes held on the heap.
    pub fn bytes_held(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.bytes_held())
            + self.ids.capacity() * size_of::<u32>()
            + self.states.iter().map(|states| states.bytes_held()).sum::<usize>()
            + self.arguments.iter().flatten().flatten().map(|argument| argument.get_array_memory_size()).sum::<usize>()
    }
}

fn lack_columns() -> Error {
    Error::internal("exported groups lack columns")
}

/// Adds exported states, those of one aggregate after the other: row `i` to group `ids[i]`.
///
/// # Errors
/// `Internal` for columns other than agreed.
pub(crate) fn import_states(states: &mut [Box<dyn GroupStates>], mut columns: &[ArrayRef], ids: &[u32]) -> Result<()> {
    for states in states {
        let width = states.export(0..0)?.len();
        let (own, others) = columns.split_at_checked(width).ok_or_else(lack_columns)?;
        states.import(own, ids)?;
        columns = others;
    }
    Ok(())
}

fn all(groups: usize) -> Vec<u32> {
    (0..groups as u32).collect()
}
