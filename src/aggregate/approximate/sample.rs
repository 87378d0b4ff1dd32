//! The sample of a set of rows that depends on nothing but the set.

/// Rows of a full sample. By the inequality of Dvoretzky, Kiefer and Wolfowitz (with Massart's constant, 1990) the share of
/// the sample below any value is off by more than ε with a probability of at most 2 exp(−2 · 2¹⁵ · ε²): ε = 1.5 % for
/// one in a million.
pub(super) const SIZE: usize = 1 << 15;
/// It grows beyond its size by half, before the last are dropped, so that dropping costs little a row.
const MOST: usize = SIZE + SIZE / 2;

/// The hash of a row, and its value: the rows that come first by these are kept.
pub(super) type Entry = (u64, i64);

/// The first [`SIZE`] of the entries given to it, and perhaps some more.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    entries: Vec<Entry>,
    /// Once as many as are wanted come before it, those behind it are of no interest.
    worst: Option<Entry>,
}

impl Sample {
    #[inline]
    pub(super) fn add(&mut self, entry: Entry) {
        if self.worst.is_some_and(|worst| entry >= worst) {
            return;
        }
        if self.entries.len() == MOST {
            self.cut();
            return self.add(entry);
        }
        if self.entries.len() == self.entries.capacity() {
            let more = self.entries.len().clamp(4, MOST - self.entries.len());
            self.entries.reserve_exact(more);
        }
        self.entries.push(entry);
    }

    /// Drops what comes behind the first [`SIZE`].
    fn cut(&mut self) {
        if self.entries.len() > SIZE {
            let (_, worst, _) = self.entries.select_nth_unstable(SIZE);
            self.worst = Some(*worst);
            self.entries.truncate(SIZE);
        }
    }

    pub(super) fn merge(&mut self, other: &Sample) {
        other.entries.iter().for_each(|entry| self.add(*entry));
    }

    /// The first entries, in any order.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut copy = self.clone();
        copy.cut();
        copy.entries
    }

    /// Bytes on the heap, at most, two copies included that are made to finish.
    pub(super) const MOST_BYTES: usize = 3 * MOST * size_of::<Entry>();

    /// Bytes on the heap.
    pub(super) fn bytes_held(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries();
        let (hashes, values) = (entries.iter().map(|entry| entry.0), entries.iter().map(|entry| entry.1 as u64));
        hashes.chain(values).flat_map(u64::to_le_bytes).collect()
    }

    /// `None` for bytes that are no sample.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || words.len() % 2 == 1 || words.len() / 2 > SIZE {
            return None;
        }
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let (hashes, values) = words.split_at(words.len() / 2);
        let entries = hashes.iter().zip(values).map(|(hash, value)| (word(hash), word(value) as i64)).collect();
        Some(Sample { entries, worst: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    fn first(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
        let mut sample = Sample::default();
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
        let mut halves = Sample::default();
        for half in 0..2 {
            let mut sample = Sample::default();
            (half * rows / 2..(half + 1) * rows / 2).for_each(|row| sample.add(entry(row)));
            halves.merge(&Sample::read(&sample.to_bytes()).unwrap());
        }
        assert_eq!(first(halves.entries().into_iter()), expected);
        assert!(halves.bytes_held() <= MOST * size_of::<Entry>());
    }
}
