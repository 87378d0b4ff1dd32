//! The values that have been seen: counts while they are few, a sample and a sketch for when they are many.

use super::super::hash::{mix, of_text};
use super::super::hyperloglog::Sketch;
use super::super::sample::{Kept, Sample};
use foldhash::fast::FixedState;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// More different values than this are not counted: as many as a hash table of 16,384 buckets takes.
const MOST_VALUES: usize = BUCKETS / 8 * 7;
const BUCKETS: usize = 1 << 14;
/// Nor are texts of more bytes in all.
const MOST_VALUE_BYTES: usize = 1 << 20;
/// A text in the sample is cut to so many bytes.
const SAMPLED_BYTES: usize = 96;
/// Rows of the sample.
const SAMPLE: usize = 1 << 13;

/// A value, as encoded or as text.
pub(super) trait Value: Hash + Eq + Ord {
    /// As it is kept.
    type Owned: Kept + Borrow<Self> + Hash + Eq;
    fn owned(&self) -> Self::Owned;
    /// As it is kept in the sample.
    fn sampled(&self) -> Self::Owned;
    fn hashed(&self) -> u64;
}

impl Value for i64 {
    type Owned = i64;

    fn owned(&self) -> i64 {
        *self
    }

    fn sampled(&self) -> i64 {
        *self
    }

    fn hashed(&self) -> u64 {
        mix(*self as u64)
    }
}

impl Value for str {
    type Owned = Box<str>;

    fn owned(&self) -> Box<str> {
        self.into()
    }

    fn sampled(&self) -> Box<str> {
        self[..self.floor_char_boundary(SAMPLED_BYTES)].into()
    }

    fn hashed(&self) -> u64 {
        of_text(self)
    }
}

pub(super) struct Seen<V: Value + ?Sized> {
    /// How often each value occurs; `None` once there are too many.
    counts: Option<HashMap<V::Owned, u64, FixedState>>,
    value_bytes: usize,
    /// Of the values, once they are not counted.
    sketch: Sketch,
    sample: Sample<V::Owned, SAMPLE>,
    /// Number of values.
    values: u64,
}

impl<V: Value + ?Sized> Default for Seen<V> {
    fn default() -> Self {
        Seen {
            counts: Some(HashMap::with_hasher(FixedState::default())),
            value_bytes: 0,
            sketch: Sketch::new(),
            sample: Sample::default(),
            values: 0,
        }
    }
}

/// Values and how often each occurs, ascending.
pub(super) struct Counted<T> {
    pub(super) pairs: Vec<(T, u64)>,
    /// How many different values there are.
    pub(super) distinct: i64,
    /// How many values there are.
    pub(super) values: u64,
    /// Whether the pairs are those of a sample, and the number of different values is estimated.
    pub(super) estimated: bool,
}

impl<V: Value + ?Sized> Seen<V> {
    /// Bytes on the heap, at most, what is made to finish included, but for the bytes of texts.
    pub(super) const MOST_BYTES: usize = {
        let pair = size_of::<(V::Owned, u64)>();
        // A table that grows has its old half beside it for a moment.
        let counts = 3 * BUCKETS / 2 * (pair + 1) + MOST_VALUES * pair;
        counts + Sample::<V::Owned, SAMPLE>::MOST_BYTES + Sketch::MOST_BYTES
    };

    /// Perhaps takes the value of the row with this hash into the sample.
    #[inline]
    pub(super) fn draw(&mut self, hash: u64, value: &V) {
        if self.sample.may_want(hash) {
            self.sample.add((hash, value.sampled()));
        }
    }

    /// Takes note of a value that occurs so many times.
    #[inline]
    pub(super) fn count(&mut self, value: &V, times: u64) {
        self.values += times;
        let Some(counts) = &mut self.counts else { return self.sketch.add(value.hashed()) };
        match counts.get_mut(value) {
            Some(count) => *count += times,
            None => self.count_new(value.owned(), times),
        }
    }

    fn count_new(&mut self, value: V::Owned, times: u64) {
        let Some(counts) = &mut self.counts else { return };
        self.value_bytes += value.bytes_behind();
        counts.insert(value, times);
        if counts.len() > MOST_VALUES || self.value_bytes > MOST_VALUE_BYTES {
            self.give_up();
        }
    }

    /// From here on values are not counted.
    fn give_up(&mut self) {
        for value in self.counts.take().iter().flat_map(HashMap::keys) {
            self.sketch.add(value.borrow().hashed());
        }
        self.value_bytes = 0;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sample.merge(&other.sample);
        match &other.counts {
            Some(counts) => counts.iter().for_each(|(value, times)| self.count(value.borrow(), *times)),
            None => {
                self.give_up();
                self.sketch.merge(&other.sketch);
                self.values += other.values;
            }
        }
    }

    pub(super) fn counted(&self) -> Counted<V::Owned> {
        if let Some(counts) = &self.counts {
            let mut pairs: Vec<_> = counts.iter().map(|(value, count)| (value.clone(), *count)).collect();
            pairs.sort_unstable();
            return Counted { distinct: pairs.len() as i64, pairs, values: self.values, estimated: false };
        }
        let mut drawn: Vec<V::Owned> = self.sample.entries().into_iter().map(|(_, value)| value).collect();
        drawn.sort_unstable();
        let pairs = drawn.chunk_by(|a, b| a == b).map(|same| (same[0].clone(), same.len() as u64)).collect();
        let distinct = self.sketch.estimate().round() as i64;
        Counted { pairs, distinct, values: self.values, estimated: true }
    }

    pub(super) fn bytes_held(&self) -> usize {
        let counts = self.counts.as_ref().map_or(0, |counts| counts.capacity() * 8 / 7);
        let counts = counts * (size_of::<(V::Owned, u64)>() + 1) + self.value_bytes;
        counts + self.sample.bytes_held() + self.sketch.bytes_held()
    }

    /// Whether values are counted, their number, those that are counted or the sketch, and the sample.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        append_number(u64::from(self.counts.is_some()), &mut out);
        append_number(self.values, &mut out);
        match &self.counts {
            Some(counts) => {
                append_number(counts.len() as u64, &mut out);
                for (value, count) in counts {
                    value.write(&mut out);
                    append_number(*count, &mut out);
                }
            }
            None => {
                let sketch = self.sketch.to_bytes();
                append_number(sketch.len() as u64, &mut out);
                out.extend(sketch);
            }
        }
        for (hash, value) in self.sample.entries() {
            append_number(hash, &mut out);
            value.write(&mut out);
        }
        out
    }

    /// `None` for bytes that are none of ours.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let mut seen = Seen::default();
        let counted = take_number(bytes)? != 0;
        let (values, length) = (take_number(bytes)?, usize::try_from(take_number(bytes)?).ok()?);
        if counted {
            for _ in 0..length {
                let value = V::Owned::read(bytes)?;
                seen.count_new(value, take_number(bytes)?);
            }
        } else {
            let (sketch, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            (seen.counts, seen.sketch) = (None, Sketch::read(sketch)?);
        }
        seen.values = values;
        while !bytes.is_empty() {
            seen.sample.add((take_number(bytes)?, V::Owned::read(bytes)?));
        }
        Some(seen)
    }
}

fn append_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}
