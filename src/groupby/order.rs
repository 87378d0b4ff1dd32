//! The order of the groups of several tables by their keys, and the groups of equal keys put together in that order.
//!
//! **Idea.** Every key has a *head*, a number of 128 bits that ascends with the keys whichever table they stand in, so
//! that sorting compares numbers that lie side by side. A number, or a text of up to 15 bytes, is told by its head. Of
//! several columns, the distinct values of each are numbered in order, and a tuple packs these numbers.

use super::keys::GroupKeys;
use super::table::GroupTable;
use crate::aggregate::GroupStates;
use crate::error::Result;
use arrow::array::ArrayRef;
use arrow::compute::interleave;
use std::cmp::Ordering;

/// The head of the null key, above all others.
pub(super) const NULL_HEAD: u128 = u128::MAX;
/// Bytes of a text that its head holds, before its length.
const HEAD_BYTES: usize = 15;

/// The head of a text, of what stands behind `skip` bytes. (No byte of UTF-8 is 255, so it is not that of null.)
#[inline]
pub(super) fn text_head(text: &[u8], skip: usize) -> u128 {
    let text = text.get(skip..).unwrap_or_default();
    let mut bytes = [0; HEAD_BYTES + 1];
    let known = text.len().min(HEAD_BYTES);
    bytes[..known].copy_from_slice(&text[..known]);
    bytes[HEAD_BYTES] = text.len().min(HEAD_BYTES + 1) as u8;
    u128::from_be_bytes(bytes)
}

/// Shortens `prefix` to what it has in common with all texts; the length of the longest.
pub(super) fn shorten_prefix<'a>(prefix: &mut Option<Vec<u8>>, texts: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut longest = 0;
    for text in texts {
        let prefix = prefix.get_or_insert_with(|| text.to_vec());
        if !text.starts_with(prefix) {
            prefix.truncate(prefix.iter().zip(text).take_while(|(ours, theirs)| ours == theirs).count());
        }
        longest = longest.max(text.len());
    }
    longest
}

/// A group of a table, with its head in two halves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    head: (u64, u64),
    table: u32,
    group: u32,
}

impl Entry {
    /// Does not descend where keys ascend.
    #[inline(always)]
    pub(crate) fn head(&self) -> u128 {
        u128::from(self.head.0) << 64 | u128::from(self.head.1)
    }
}

/// The heads of the groups of some indices of the same keys.
struct Heads<'a> {
    indices: Vec<&'a dyn GroupKeys>,
    /// Of several columns.
    packing: Option<Packing<'a>>,
    /// Of texts: how many bytes all begin with alike, and whether any is longer than its head behind them.
    skip: usize,
    long: bool,
}

/// How tuples are made heads.
struct Packing<'a> {
    /// By index: its groups as tuples of numbers.
    tuples: Vec<&'a [u32]>,
    columns: Vec<Codes>,
    /// So many of the first columns have room in a head.
    fitting: usize,
}

/// Numbers of the values of a column that ascend with them, by index and number.
struct Codes {
    by_index: Vec<Vec<u64>>,
    bits: u32,
}

impl<'a> Heads<'a> {
    fn of(indices: Vec<&'a dyn GroupKeys>) -> Self {
        let width = indices.first().and_then(|index| index.tuples()).map(|tuples| tuples.columns.len());
        let packing = width.map(|width| Packing::of(width, &indices));
        let mut prefix = None;
        let longest = indices.iter().map(|index| index.shorten_prefix(&mut prefix)).max().unwrap_or(0);
        let skip = prefix.filter(|_| longest > HEAD_BYTES).map_or(0, |prefix| prefix.len());
        Heads { indices, packing, skip, long: longest > skip + HEAD_BYTES }
    }

    /// Numbers that ascend with the keys: how far each is above the least, if that is little enough.
    fn codes(&self) -> Codes {
        let heads =
            |index: &&'a dyn GroupKeys| (0..index.len() as u32).map(|group| index.head(group, self.skip)).collect();
        let heads: Vec<Vec<u128>> = self.indices.iter().map(heads).collect();
        let known = || heads.iter().flatten().filter(|head| **head != NULL_HEAD);
        let least = known().min().copied().unwrap_or(0);
        let range = known().max().map_or(0, |most| most - least);
        if range >= 1 << 63 {
            return self.ranks();
        }
        let null = range as u64 + 1;
        let code = |head: &u128| if *head == NULL_HEAD { null } else { (head - least) as u64 };
        let by_index = heads.iter().map(|heads| heads.iter().map(code).collect()).collect();
        Codes { by_index, bits: u64::BITS - null.leading_zeros() }
    }

    /// The ranks of the keys among all of them.
    fn ranks(&self) -> Codes {
        let mut by_index: Vec<Vec<u64>> = self.indices.iter().map(|index| vec![0; index.len()]).collect();
        let entries = |at: usize| (0..by_index[at].len()).map(move |group| self.entry(at, group));
        let mut entries: Vec<Entry> = (0..by_index.len()).flat_map(entries).collect();
        entries.sort_unstable_by(|a, b| self.compare(a, b));
        let mut rank = 0;
        for (at, entry) in entries.iter().enumerate() {
            rank += u64::from(at > 0 && self.compare(&entries[at - 1], entry).is_ne());
            by_index[entry.table as usize][entry.group as usize] = rank;
        }
        Codes { by_index, bits: u64::BITS - rank.leading_zeros() }
    }

    #[inline(always)]
    fn entry(&self, index: usize, group: usize) -> Entry {
        let head = match &self.packing {
            None => self.indices[index].head(group as u32, self.skip),
            Some(packing) => packing.head(index, group),
        };
        Entry { head: ((head >> 64) as u64, head as u64), table: index as u32, group: group as u32 }
    }

    /// Equal for equal keys.
    #[inline(always)]
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        a.head.cmp(&b.head).then_with(|| match &self.packing {
            // A head that holds all of a text says so.
            None if !self.long || a.head.1 as u8 <= HEAD_BYTES as u8 => Ordering::Equal,
            None => self.tail(a).cmp(self.tail(b)),
            Some(packing) => packing.compare_rest(a, b),
        })
    }

    fn tail(&self, entry: &Entry) -> &[u8] {
        self.indices[entry.table as usize].tail(entry.group)
    }
}

impl<'a> Packing<'a> {
    fn of(width: usize, indices: &[&'a dyn GroupKeys]) -> Self {
        let tuples = indices.iter().filter_map(|index| index.tuples()).map(|tuples| tuples.numbers).collect();
        let column = |column: usize| -> Heads<'a> {
            let column_of = |index: &&'a dyn GroupKeys| index.tuples().map(|tuples| &*tuples.columns[column]);
            Heads::of(indices.iter().filter_map(column_of).collect())
        };
        let heads: Vec<Heads<'a>> = (0..width).map(column).collect();
        let mut columns: Vec<Codes> = heads.iter().map(Heads::codes).collect();
        if columns.iter().map(|codes| codes.bits).sum::<u32>() > u128::BITS {
            columns = heads.iter().map(Heads::ranks).collect();
        }
        let mut bits = 0;
        let fits = |codes: &&Codes| {
            bits += codes.bits;
            bits <= u128::BITS
        };
        let fitting = columns.iter().take_while(fits).count();
        Packing { tuples, columns, fitting }
    }

    fn tuple(&self, index: usize, group: usize) -> impl Iterator<Item = (u64, u32)> {
        let width = self.columns.len();
        let numbers = &self.tuples[index][group * width..(group + 1) * width];
        numbers
            .iter()
            .zip(&self.columns)
            .map(move |(number, codes)| (codes.by_index[index][*number as usize], codes.bits))
    }

    #[inline]
    fn head(&self, index: usize, group: usize) -> u128 {
        let packed = |head: u128, (code, bits): (u64, u32)| head << bits | u128::from(code);
        self.tuple(index, group).take(self.fitting).fold(0, packed)
    }

    fn compare_rest(&self, a: &Entry, b: &Entry) -> Ordering {
        if self.fitting == self.columns.len() {
            return Ordering::Equal;
        }
        let rest = |entry: &Entry| self.tuple(entry.table as usize, entry.group as usize).skip(self.fitting);
        rest(a).cmp(rest(b))
    }
}

/// The groups of some tables of one shape, with keys.
pub(crate) struct GroupOrder<'a> {
    tables: &'a [GroupTable],
    heads: Heads<'a>,
}

impl<'a> GroupOrder<'a> {
    /// Of the groups of these tables.
    pub(crate) fn of(tables: &'a [GroupTable]) -> Self {
        GroupOrder { tables, heads: Heads::of(tables.iter().filter_map(GroupTable::index).collect()) }
    }

    /// Bytes that sorting the groups of a table takes besides it.
    pub(crate) fn bytes_to_sort(table: &GroupTable) -> usize {
        let keys = |index: &dyn GroupKeys| {
            index.tuples().map_or(0, |tuples| tuples.columns.iter().map(|column| column.len()).sum::<usize>())
        };
        // The codes of a column, and for the time being its heads and what ranks them.
        let codes = table.index().map_or(0, keys) * (size_of::<u64>() + size_of::<u128>() + size_of::<Entry>());
        // An entry each, and a little for buckets that grow and the one being sorted.
        table.groups() * size_of::<Entry>() * 4 / 3 + codes
    }

    /// How many groups of `other`, or rows, have a key of `one`.
    pub(crate) fn known_keys(one: &GroupTable, other: &GroupTable) -> usize {
        let heads = Heads::of([one, other].into_iter().filter_map(GroupTable::index).collect());
        let entries = |at: usize| (0..heads.indices[at].len()).map(move |group| (at, group));
        let all = (0..heads.indices.len()).flat_map(entries);
        let mut all: Vec<Entry> = all.map(|(at, group)| heads.entry(at, group)).collect();
        all.sort_unstable_by(|a, b| heads.compare(a, b));
        let known = |same: &[Entry]| {
            let of_other = same.iter().filter(|entry| entry.table == 1).count();
            if of_other < same.len() { of_other } else { 0 }
        };
        all.chunk_by(|a, b| heads.compare(a, b).is_eq()).map(known).sum()
    }

    /// A group of a table.
    pub(crate) fn entry(&self, table: usize, group: usize) -> Entry {
        self.heads.entry(table, group)
    }

    /// The order of keys: equal for equal ones.
    #[inline(always)]
    pub(crate) fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        self.heads.compare(a, b)
    }

    /// The keys and states of groups that are in order, those of one key put together.
    ///
    /// # Errors
    /// `Internal` when a key cannot be given back.
    pub(crate) fn gather(&self, entries: &[Entry]) -> Result<Gathered> {
        let mut from: Vec<Vec<u32>> = vec![Vec::new(); self.tables.len()];
        let (mut into, mut first) = (from.clone(), from.clone());
        // Of each key, one of its groups: the table, and which of the first ones there.
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let table = entry.table as usize;
            if at == 0 || self.compare(&entries[at - 1], entry).is_ne() {
                places.push((table, first[table].len()));
                first[table].push(entry.group);
            }
            from[table].push(entry.group);
            into[table].push(places.len() as u32 - 1);
        }
        let groups = places.len();
        let keys = self.emit(&first, places)?;
        let mut states = self.tables.first().map_or(Ok(Vec::new()), GroupTable::empty_states)?;
        states.iter_mut().for_each(|states| states.grow(groups));
        for (table, (from, into)) in
            self.tables.iter().zip(from.iter().zip(&into)).filter(|(_, (from, _))| !from.is_empty())
        {
            table.merge_into(&mut states, from, into)?;
        }
        Ok(Gathered { keys, states, groups })
    }

    /// The keys of groups of some tables, put in order: each by its table and which of the groups there.
    fn emit(&self, groups: &[Vec<u32>], mut places: Vec<(usize, usize)>) -> Result<Vec<ArrayRef>> {
        let mut taken: Vec<usize> = (0..groups.len()).filter(|table| !groups[*table].is_empty()).collect();
        if taken.is_empty() && !groups.is_empty() {
            taken.push(0);
        }
        let emit = |table: &usize| self.heads.indices[*table].emit(&groups[*table]);
        let mut emitted = taken.iter().map(emit).collect::<Result<Vec<_>>>()?;
        if emitted.len() <= 1 {
            return Ok(emitted.pop().unwrap_or_default());
        }
        places.iter_mut().for_each(|(table, _)| *table = taken.partition_point(|taken| taken < table));
        let column = |column: usize| -> Result<ArrayRef> {
            let parts: Vec<_> = emitted.iter().map(|keys| keys[column].as_ref()).collect();
            Ok(interleave(&parts, &places)?)
        };
        (0..emitted[0].len()).map(column).collect()
    }
}

/// Some groups in the order of their keys.
pub(crate) struct Gathered {
    keys: Vec<ArrayRef>,
    states: Vec<Box<dyn GroupStates>>,
    groups: usize,
}

impl Gathered {
    /// How many there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The key columns, then one column an aggregate.
    ///
    /// # Errors
    /// `Arithmetic` when an integer result is beyond 64 bits.
    pub(crate) fn finish(mut self) -> Result<Vec<ArrayRef>> {
        let results = self.states.iter_mut().map(|states| states.finish(0..self.groups)).collect::<Result<Vec<_>>>()?;
        self.keys.extend(results);
        Ok(self.keys)
    }

    /// The key columns, then the exported states of one aggregate after the other.
    ///
    /// # Errors
    /// Those of the states.
    pub(crate) fn export(mut self) -> Result<Vec<ArrayRef>> {
        for states in &self.states {
            self.keys.append(&mut states.export(0..self.groups)?);
        }
        Ok(self.keys)
    }
}
