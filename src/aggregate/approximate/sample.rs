//! The sample of a set of rows that depends on nothing but the set.

use std::fmt;

/// Rows of a full sample of numbers. By the inequality of Dvoretzky, Kiefer and Wolfowitz (with Massart's constant, 1990) the share of
/// the sample below any value is off by more than ε with a probability of at most 2 exp(−2 · 2¹⁵ · ε²): ε = 1.5 % for
/// one in a million.
pub(super) const SIZE: usize = 1 << 15;

/// What is kept of a row.
pub(super) trait Kept: Ord + Clone + Send + Sync + fmt::Debug + 'static {
    /// Bytes behind it.
    fn bytes_behind(&self) -> usize;
    fn write(&self, bytes: &mut Vec<u8>);
    /// Takes what `write` wrote; `None` for other bytes.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

impl Kept for i64 {
    fn bytes_behind(&self) -> usize {
        0
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (value, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(i64::from_le_bytes(*value))
    }
}

impl Kept for Box<str> {
    fn bytes_behind(&self) -> usize {
        self.len()
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as i64).write(bytes);
        bytes.extend(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(i64::read(bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(std::str::from_utf8(text).ok()?.into())
    }
}

/// The hash of a row, and its value: the rows that come first by these are kept.
pub(super) type Entry<V = i64> = (u64, V);

/// The first `N` of the entries given to it, and perhaps some more.
#[derive(Clone, Debug)]
pub(super) struct Sample<V = i64, const N: usize = SIZE> {
    entries: Vec<Entry<V>>,
    /// Behind the values.
    bytes_behind: usize,
    /// Once as many as are wanted come before it, those behind it are of no interest.
    worst: Option<Entry<V>>,
}

impl<V, const N: usize> Default for Sample<V, N> {
    fn default() -> Self {
        Sample { entries: Vec::new(), bytes_behind: 0, worst: None }
    }
}

impl<V: Kept, const N: usize> Sample<V, N> {
    /// It grows beyond its size by half, before the last are dropped, so that dropping costs little a row.
    const MOST: usize = N + N / 2;

    /// Whether an entry with this hash may be among the first.
    #[inline]
    pub(super) fn may_want(&self, hash: u64) -> bool {
        self.worst.as_ref().is_none_or(|worst| hash <= worst.0)
    }

    #[inline]
    pub(super) fn add(&mut self, entry: Entry<V>) {
        if self.worst.as_ref().is_some_and(|worst| entry >= *worst) {
            return;
        }
        if self.entries.len() == Self::MOST {
            self.cut();
            return self.add(entry);
        }
        if self.entries.len() == self.entries.capacity() {
            let more = self.entries.len().clamp(4, Self::MOST - self.entries.len());
            self.entries.reserve_exact(more);
        }
        self.bytes_behind += entry.1.bytes_behind();
        self.entries.push(entry);
    }

    /// Drops what comes behind the first `N`.
    fn cut(&mut self) {
        if self.entries.len() > N {
            let (_, worst, _) = self.entries.select_nth_unstable(N);
            self.worst = Some(worst.clone());
            self.entries.truncate(N);
            self.bytes_behind = self.entries.iter().map(|(_, value)| value.bytes_behind()).sum();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.entries.iter().for_each(|entry| {
            if self.may_want(entry.0) {
                self.add(entry.clone());
            }
        });
    }

    /// The first entries, in any order.
    pub(super) fn entries(&self) -> Vec<Entry<V>> {
        let mut copy = self.clone();
        copy.cut();
        copy.entries
    }

    /// Bytes on the heap, at most, two copies included that are made to finish, and without what is behind the values.
    pub(super) const MOST_BYTES: usize = 3 * Self::MOST * size_of::<Entry<V>>();

    /// Bytes on the heap.
    pub(super) fn bytes_held(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<V>>() + self.bytes_behind
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries();
        let mut bytes: Vec<u8> = entries.iter().flat_map(|(hash, _)| hash.to_le_bytes()).collect();
        entries.iter().for_each(|(_, value)| value.write(&mut bytes));
        [(entries.len() as u64).to_le_bytes().to_vec(), bytes].concat()
    }

    /// `None` for bytes that are no sample.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length <= N)?;
        let (hashes, mut values) = rest.split_at_checked(length * size_of::<u64>())?;
        let (hashes, _) = hashes.as_chunks::<8>();
        let entry = |hash: &[u8; 8]| Some((u64::from_le_bytes(*hash), V::read(&mut values)?));
        let entries = hashes.iter().map(entry).collect::<Option<Vec<Entry<V>>>>()?;
        values.is_empty().then_some(())?;
        let bytes_behind = entries.iter().map(|(_, value)| value.bytes_behind()).sum();
        Some(Sample { entries, bytes_behind, worst: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    fn first(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
        let mut sample: Sample = Sample::default();
        entries.for_each(|entry| sample.add(entry));
        let mut kept = sample.entries();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn order_and_merging_change_nothing() {
        let rows = 4 * SIZE as u64 + 17;
        let entry = |row: u64| (mix(row) >> 40, row as i64);
        let mut expected: Vec<Entry> = (0..rows).map(entry).collect();
        expected.sort_unstable();
        expected.truncate(SIZE);
        assert_eq!(first((0..rows).map(entry)), expected);
        assert_eq!(first((0..rows).rev().map(entry)), expected);
        let mut halves: Sample = Sample::default();
        for half in 0..2 {
            let mut sample: Sample = Sample::default();
            (half * rows / 2..(half + 1) * rows / 2).for_each(|row| sample.add(entry(row)));
            halves.merge(&Sample::<i64>::read(&sample.to_bytes()).unwrap());
        }
        assert_eq!(first(halves.entries().into_iter()), expected);
        assert!(halves.bytes_held() <= Sample::<i64>::MOST * size_of::<Entry>());
    }
}
