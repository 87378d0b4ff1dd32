//! Sorting in parallel: entries go to buckets, between keys drawn from a sample, and each bucket is sorted by itself.
//!
//! A bucket is a batch of the result, so what is sorted leaves at once, in order, and all threads work to the end.

use crate::error::Result;
use crate::exec::parallel::Hands;
use std::cmp::Ordering;

/// Entries of a bucket, about: a batch of the result, and small enough for the second-level cache.
const BUCKET_ENTRIES: usize = 1 << 15;
/// Behind the entries of a bucket stand so many bytes, about, where they are few entries with much behind each: what is to be done
/// with them takes long.
const BUCKET_BYTES: usize = 1 << 18;
/// So many buckets are enough to divide such work.
const MOST_OF_FEW: usize = 32;
/// Entries drawn for each bucket.
const SAMPLES: usize = 32;
/// Entries that a thread puts into buckets at a time.
const CHUNK_ENTRIES: usize = 1 << 17;

/// What is sorted.
pub(super) trait Headed: Copy + Send + Sync {
    /// A number that does not descend where entries ascend.
    fn head(&self) -> u128;
}

/// Entries by bucket; those of one bucket come before those of the next.
pub(super) struct Buckets<E> {
    /// By chunk, then by bucket.
    parts: Vec<Vec<Vec<E>>>,
    buckets: usize,
}

impl<E: Headed> Buckets<E> {
    /// Of entries that stand in several sources of so many each, and behind each of which there are so many bytes. Entries that
    /// compare equal come into one bucket. How many there are depends on nothing else.
    ///
    /// # Errors
    /// When the run is cancelled.
    pub(super) fn fill(
        hands: &Hands,
        sources: &[usize],
        entry_bytes: usize,
        entry: impl Fn(usize, usize) -> E + Sync,
        compare: impl Fn(&E, &E) -> Ordering + Sync,
    ) -> Result<Self> {
        let entries: usize = sources.iter().sum();
        let of_bytes = entries.saturating_mul(entry_bytes).div_ceil(BUCKET_BYTES).min(MOST_OF_FEW).min(entries);
        let buckets = entries.div_ceil(BUCKET_ENTRIES).max(of_bytes);
        if buckets == 0 {
            return Ok(Buckets { parts: Vec::new(), buckets });
        }
        let splitters = splitters(sources, buckets, &entry, &compare);
        let buckets = splitters.len() + 1;
        let chunk = |(source, length): (usize, &usize)| {
            let length = *length;
            (0..length).step_by(CHUNK_ENTRIES).map(move |start| (source, start..length.min(start + CHUNK_ENTRIES)))
        };
        let chunks: Vec<_> = sources.iter().enumerate().flat_map(chunk).collect();
        let fill = |at: usize| {
            let (source, rows) = chunks[at].clone();
            let even = rows.len() / buckets;
            let mut parts: Vec<Vec<E>> = (0..buckets).map(|_| Vec::with_capacity(even + even / 8)).collect();
            for row in rows {
                let entry = entry(source, row);
                parts[splitters.partition_point(|splitter| compare(splitter, &entry).is_le())].push(entry);
            }
            Ok(parts)
        };
        Ok(Buckets { parts: hands.each(chunks.len(), fill)?, buckets })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.buckets
    }

    /// How many entries stand before each bucket.
    pub(super) fn firsts(&self) -> Vec<usize> {
        let entries = |bucket: usize| self.parts.iter().map(|parts| parts[bucket].len()).sum::<usize>();
        let first = |next: &mut usize, bucket: usize| Some(std::mem::replace(next, *next + entries(bucket)));
        (0..self.buckets).scan(0, first).collect()
    }

    /// The entries of a bucket, in order.
    pub(super) fn sorted(&self, bucket: usize, compare: impl Fn(&E, &E) -> Ordering) -> Vec<E> {
        let mut entries = Vec::with_capacity(self.parts.iter().map(|parts| parts[bucket].len()).sum());
        self.parts.iter().for_each(|parts| entries.extend_from_slice(&parts[bucket]));
        // Numbers are compared without a branch; the few that tie are looked at again.
        entries.sort_unstable_by_key(Headed::head);
        for alike in entries.chunk_by_mut(|a, b| a.head() == b.head()).filter(|alike| alike.len() > 1) {
            alike.sort_unstable_by(&compare);
        }
        entries
    }
}

/// Entries, different and ascending, that part all into `buckets` of about the same number.
fn splitters<E: Copy>(
    sources: &[usize],
    buckets: usize,
    entry: impl Fn(usize, usize) -> E,
    compare: impl Fn(&E, &E) -> Ordering,
) -> Vec<E> {
    if buckets == 1 {
        return Vec::new();
    }
    let step = sources.iter().sum::<usize>().div_ceil(buckets * SAMPLES).max(1);
    let mut samples = Vec::with_capacity(buckets * SAMPLES + sources.len());
    for (source, length) in sources.iter().enumerate() {
        // Not at equal distances, which rows may have a rhythm to.
        let scattered = |start: usize| start + (start / step).wrapping_mul(0x9e37_79b9) % step;
        let places = (0..*length).step_by(step).map(scattered).filter(|place| place < length);
        samples.extend(places.map(|place| entry(source, place)));
    }
    samples.sort_unstable_by(&compare);
    let every = samples.len().div_ceil(buckets).max(1);
    let mut splitters: Vec<E> = samples.into_iter().skip(every).step_by(every).collect();
    splitters.dedup_by(|later, earlier| compare(earlier, later).is_eq());
    splitters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::CancelToken;

    impl Headed for u32 {
        /// Several share one.
        fn head(&self) -> u128 {
            (*self / 5).into()
        }
    }

    #[test]
    fn buckets_hold_every_entry_once_in_order_of_about_their_size() {
        let hands = Hands { workers: 3, cancel: CancelToken::new() };
        let scattered = |source: usize, at: usize| (source * 1_000_003 + at).wrapping_mul(0x9e37_79b9) as u32;
        let rising = |source: usize, at: usize| (source + 3 * at) as u32;
        let few = |_: usize, at: usize| (at % 3) as u32;
        for entry in [&scattered as &(dyn Fn(usize, usize) -> u32 + Sync), &rising, &few] {
            for sources in [vec![], vec![5, 0, 7], vec![300_000, 1, 450_000]] {
                let buckets = Buckets::fill(&hands, &sources, 0, entry, u32::cmp).unwrap();
                let mut all: Vec<u32> = sources
                    .iter()
                    .enumerate()
                    .flat_map(|(source, rows)| (0..*rows).map(move |at| entry(source, at)))
                    .collect();
                all.sort_unstable();
                let sorted: Vec<Vec<u32>> = (0..buckets.len()).map(|at| buckets.sorted(at, u32::cmp)).collect();
                assert_eq!(sorted.concat(), all);
                let different = all.windows(2).filter(|pair| pair[0] != pair[1]).count() > 10;
                assert!(!different || sorted.iter().all(|bucket| bucket.len() < 2 * BUCKET_ENTRIES));
                assert!(sorted.windows(2).all(|pair| pair[0].last() < pair[1].first()));
            }
        }
    }

    #[test]
    fn few_entries_with_much_behind_them_are_divided_too() {
        let hands = Hands { workers: 2, cancel: CancelToken::new() };
        let count = |entries: usize, bytes: usize| {
            let buckets = Buckets::fill(&hands, &[entries], bytes, |_, at| at as u32, u32::cmp).unwrap();
            let largest = (0..buckets.len()).map(|at| buckets.sorted(at, u32::cmp).len()).max().unwrap_or(0);
            (buckets.len(), largest)
        };
        assert_eq!(count(20, 700).0, 1);
        assert_eq!(count(0, 1 << 20).0, 0);
        let (buckets, largest) = count(10_000, 700);
        assert!((20..=32).contains(&buckets) && largest < 1000, "{buckets} {largest}");
        assert_eq!(count(5, 1 << 20), (5, 1));
    }
}
