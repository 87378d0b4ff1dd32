//! The sample of a set of rows that depends on nothing but the set.

use std::fmt;

/// Rows of a full sample of numbers. By the inequality of Dvoretzky, Kiefer and Wolfowitz (with Massart's constant, 1990) the
/// share of the sample below any value is off by more than ε with a probability of at most 2 exp(−2 · 2¹⁵ · ε²): ε = 1.5 % for
/// one in a million.
pub(super) const SIZE: usize = 1 << 15;

/// A value that a sample may hold.
pub(super) trait Sampled: Ord + Clone + fmt::Debug {
    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;
}

impl Sampled for i64 {
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Sampled for Box<str> {
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

/// The first `N` of the entries given to it, and perhaps some more. An entry is the hash of a row, and its value: the rows
/// that come first by these are kept.
#[derive(Clone, Debug)]
pub(super) struct Sample<V = i64, const N: usize = SIZE> {
    entries: Vec<(u64, V)>,
    /// Once as many as are wanted come before it, those behind it are of no interest.
    worst: Option<(u64, V)>,
    /// Of the entries, on the heap.
    value_bytes: usize,
}

impl<V, const N: usize> Default for Sample<V, N> {
    fn default() -> Self {
        Sample { entries: Vec::new(), worst: None, value_bytes: 0 }
    }
}

impl<V: Sampled, const N: usize> Sample<V, N> {
    /// It grows beyond its size by half, before the last are dropped, so that dropping costs little a row.
    const MOST: usize = N + N / 2;

    /// Whether the row with this hash may be among the first.
    #[inline]
    pub(super) fn wants(&self, hash: u64) -> bool {
        self.worst.as_ref().is_none_or(|worst| hash <= worst.0)
    }

    #[inline]
    pub(super) fn add(&mut self, entry: (u64, V)) {
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
        self.value_bytes += entry.1.heap_bytes();
        self.entries.push(entry);
    }

    /// Drops what comes behind the first `N`.
    fn cut(&mut self) {
        if self.entries.len() > N {
            let (_, worst, _) = self.entries.select_nth_unstable(N);
            self.worst = Some(worst.clone());
            self.entries.truncate(N);
            self.value_bytes = self.entries.iter().map(|(_, value)| value.heap_bytes()).sum();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.entries.iter().for_each(|entry| self.add(entry.clone()));
    }

    /// The first entries, in any order.
    pub(super) fn entries(&self) -> Vec<(u64, V)> {
        let mut copy = self.clone();
        copy.cut();
        copy.entries
    }

    /// Bytes of the entries, at most, two copies included that are made to finish, but for what values have on the heap.
    pub(super) const MOST_BYTES: usize = 3 * Self::MOST * size_of::<(u64, V)>();

    /// Bytes on the heap.
    pub(super) fn bytes_held(&self) -> usize {
        self.entries.capacity() * size_of::<(u64, V)>() + self.value_bytes
    }
}

impl<const N: usize> Sample<i64, N> {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries();
        let (hashes, values) = (entries.iter().map(|entry| entry.0), entries.iter().map(|entry| entry.1 as u64));
        hashes.chain(values).flat_map(u64::to_le_bytes).collect()
    }

    /// `None` for bytes that are no sample.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || words.len() % 2 == 1 || words.len() / 2 > N {
            return None;
        }
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let (hashes, values) = words.split_at(words.len() / 2);
        let entries = hashes.iter().zip(values).map(|(hash, value)| (word(hash), word(value) as i64)).collect();
        Some(Sample { entries, worst: None, value_bytes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    type Entry = (u64, i64);

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
