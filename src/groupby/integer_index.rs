//! 64-bit integers to dense numbers: an array where they lie close together, a hash table for the others.

use super::keys::{ABSENT, NULL_HASH, next_id};
use super::order::NULL_HEAD;
use crate::batch::hash::mix;
use crate::error::Result;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// Any index may have an array of so many slots: 256 KiB, at home in the second-level cache.
const FREE_SLOTS: usize = 1 << 16;
/// Beyond that, so many slots for each group: no more memory than the hash table would take.
const SLOTS_PER_GROUP: usize = 4;

/// One seed for every run: group numbers do not depend on it, but run time should not vary either.
pub(super) const HASHER: FixedState = FixedState::with_seed(0x5eed_0f0c);

/// How many slots an array over the index space of so many groups may have.
pub(super) fn slots_allowed(groups: usize) -> usize {
    FREE_SLOTS.max(groups * SLOTS_PER_GROUP)
}

/// The hash of an integer as a key, wherever it stands.
#[inline(always)]
pub(super) fn integer_hash(value: i64) -> u64 {
    mix(value.cast_unsigned())
}

/// Numbers for distinct integers and for null.
pub(super) struct IntegerIndex {
    /// The number of integer `base + i`, or `ABSENT`. No integer of the window is in `table`.
    window: Vec<u32>,
    base: i64,
    table: HashTable<(i64, u32)>,
    /// The integers by number; anything for null.
    values: Vec<i64>,
    null: Option<u32>,
}

impl IntegerIndex {
    pub(super) fn new() -> Self {
        IntegerIndex { window: Vec::new(), base: 0, table: HashTable::new(), values: Vec::new(), null: None }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Appends the number of each value, or of null, to `ids`.
    pub(super) fn intern(&mut self, values: &[i64], nulls: Option<&NullBuffer>, ids: &mut Vec<u32>) -> Result<()> {
        ids.reserve(values.len());
        match nulls {
            None => {
                if let (Some(low), Some(high)) = (values.iter().min(), values.iter().max()) {
                    self.widen_window(*low, *high);
                }
                for value in values {
                    ids.push(self.number(*value)?);
                }
            }
            Some(nulls) => {
                let valid = || nulls.valid_indices().map(|row| values[row]);
                if let (Some(low), Some(high)) = (valid().min(), valid().max()) {
                    self.widen_window(low, high);
                }
                for (value, valid) in values.iter().zip(nulls) {
                    ids.push(if valid { self.number(*value)? } else { self.null_number()? });
                }
            }
        }
        Ok(())
    }

    /// Appends the number of each value, or of null, to `ids`; `ABSENT` for those that have none.
    pub(super) fn find(&self, values: &[i64], nulls: Option<&NullBuffer>, ids: &mut Vec<u32>) {
        match nulls {
            None => ids.extend(values.iter().map(|value| self.known(*value))),
            Some(nulls) => {
                let null = self.null.unwrap_or(ABSENT);
                ids.extend(
                    values.iter().zip(nulls).map(|(value, valid)| if valid { self.known(*value) } else { null }),
                );
            }
        }
    }

    #[inline(always)]
    fn known(&self, value: i64) -> u32 {
        match self.window.get(value.wrapping_sub(self.base) as u64 as usize) {
            Some(id) => *id,
            None if self.table.is_empty() => ABSENT,
            None => {
                let entry = self.table.find(HASHER.hash_one(value), |entry| entry.0 == value);
                entry.map_or(ABSENT, |entry| entry.1)
            }
        }
    }

    #[inline(always)]
    fn number(&mut self, value: i64) -> Result<u32> {
        match self.window.get(value.wrapping_sub(self.base) as u64 as usize) {
            Some(id) if *id != ABSENT => Ok(*id),
            Some(_) => self.number_in_window(value),
            None => self.number_in_table(value),
        }
    }

    #[cold]
    fn number_in_window(&mut self, value: i64) -> Result<u32> {
        let id = next_id(self.values.len())?;
        self.values.push(value);
        self.window[value.wrapping_sub(self.base) as u64 as usize] = id;
        Ok(id)
    }

    fn number_in_table(&mut self, value: i64) -> Result<u32> {
        let hash = HASHER.hash_one(value);
        match self.table.entry(hash, |entry| entry.0 == value, |entry| HASHER.hash_one(entry.0)) {
            Entry::Occupied(entry) => Ok(entry.get().1),
            Entry::Vacant(entry) => {
                let id = next_id(self.values.len())?;
                entry.insert((value, id));
                self.values.push(value);
                Ok(id)
            }
        }
    }

    fn null_number(&mut self) -> Result<u32> {
        if let Some(id) = self.null {
            return Ok(id);
        }
        let id = next_id(self.values.len())?;
        self.values.push(0);
        self.null = Some(id);
        Ok(id)
    }

    /// Makes the window include `low..=high` if it may be that large.
    fn widen_window(&mut self, low: i64, high: i64) {
        let (low, end) = (i128::from(low), i128::from(high) + 1);
        let (old_start, old_end) = match self.window.len() {
            0 => (low, low),
            slots => (self.base.into(), i128::from(self.base) + slots as i128),
        };
        let (start, end) = (low.min(old_start), end.max(old_end));
        let allowed = slots_allowed(self.values.len()) as i128;
        if (start, end) == (old_start, old_end) || end - start > allowed {
            return;
        }
        // Doubling on the side that grew bounds the number of rebuilds.
        let slots = (end - start).max((2 * self.window.len() as i128).min(allowed));
        let start = if start < old_start { end - slots } else { start };
        self.base = start as i64;
        self.window = vec![ABSENT; slots as usize];
        for (id, value) in self.values.iter().enumerate().filter(|(id, _)| self.null != Some(*id as u32)) {
            if let Some(slot) = self.window.get_mut(value.wrapping_sub(self.base) as u64 as usize) {
                *slot = id as u32;
            }
        }
        self.table.retain(|(value, _)| value.wrapping_sub(self.base) as u64 >= slots as u64);
        self.table.shrink_to_fit(|entry| HASHER.hash_one(entry.0));
    }

    /// The integers of numbers `groups`, and where they are null.
    pub(super) fn emit(&self, groups: &[u32]) -> (Vec<i64>, Option<NullBuffer>) {
        let null = self.null.filter(|id| groups.contains(id));
        let nulls =
            null.map(|null| NullBuffer::new(BooleanBuffer::collect_bool(groups.len(), |row| groups[row] != null)));
        (groups.iter().map(|group| self.values[*group as usize]).collect(), nulls)
    }

    /// A number that ascends with the integers, null last.
    pub(super) fn head(&self, id: u32) -> u128 {
        if self.null == Some(id) { NULL_HEAD } else { (self.values[id as usize].cast_unsigned() ^ 1 << 63).into() }
    }

    /// A hash of each integer, by number.
    pub(super) fn hashes(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.values.iter().map(|value| integer_hash(*value)).collect();
        if let Some(null) = self.null {
            hashes[null as usize] = NULL_HASH;
        }
        hashes
    }

    /// Lets go of what finds numbers.
    pub(super) fn seal(&mut self) {
        self.window = Vec::new();
        self.table = HashTable::new();
        self.values.shrink_to_fit();
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.window.capacity() * size_of::<u32>()
            + self.values.capacity() * size_of::<i64>()
            + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Interns batches and compares with a plain map, and emission with what went in.
    fn check(batches: &[Vec<i64>]) -> IntegerIndex {
        let (mut index, mut expected) = (IntegerIndex::new(), HashMap::new());
        for batch in batches {
            let mut ids = Vec::new();
            index.intern(batch, None, &mut ids).unwrap();
            for (value, id) in batch.iter().zip(ids) {
                let next = expected.len() as u32;
                assert_eq!(*expected.entry(*value).or_insert(next), id, "{value}");
            }
        }
        let all: Vec<u32> = (0..index.len() as u32).collect();
        let (values, nulls) = index.emit(&all);
        assert!(nulls.is_none() && values.len() == expected.len());
        assert!(values.iter().enumerate().all(|(id, value)| expected[value] == id as u32));
        index
    }

    #[test]
    fn numbers_stay_when_the_window_grows_over_hashed_values_and_wraps_at_the_ends() {
        check(&[vec![5, 7, 5], vec![i64::MAX, i64::MIN, 0], vec![-3, 70_000, 7], vec![i64::MIN, -60_000]]);
        check(&[vec![i64::MAX, i64::MAX - 3], vec![i64::MIN], vec![i64::MAX - 40_000], vec![i64::MIN + 1, 5]]);
        check(&[vec![i64::MIN, i64::MIN + 9], vec![i64::MIN + 30_000], vec![i64::MAX, i64::MIN + 60_000]]);
        let scattered: Vec<i64> = (0..200_000i64).map(|i| i.wrapping_mul(7919) % 200_003).collect();
        let batches: Vec<_> = scattered.chunks(1000).map(<[i64]>::to_vec).collect();
        let index = check(&batches);
        assert!(index.table.is_empty(), "a dense range ends in the window");
    }

    #[test]
    fn null_is_a_group_of_its_own_whatever_value_stands_there() {
        let mut index = IntegerIndex::new();
        let nulls = NullBuffer::from(vec![true, false, true, false]);
        let mut ids = Vec::new();
        index.intern(&[0, 0, 9, i64::MAX], Some(&nulls), &mut ids).unwrap();
        index.intern(&[0, 40_000], None, &mut ids).unwrap();
        assert_eq!(ids, [0, 1, 2, 1, 0, 3]);
        let (_, nulls) = index.emit(&[1, 2]);
        assert_eq!(nulls, Some(NullBuffer::from(vec![false, true])));
    }
}
