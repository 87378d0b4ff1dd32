//! The rows that a sort has in memory, and their order.

use super::best::{Best, Partitions};
use crate::batch::RowId;
use crate::batch::gather::Gather;
use crate::error::Result;
use crate::exec::parallel::Hands;
use crate::exec::runs::Keys;
use crate::exec::sink::buckets::{Buckets, Headed};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::cmp::Ordering;

/// A batch of them.
pub(super) struct Held {
    pub(super) records: RecordBatch,
    pub(super) keys: Keys,
    /// The first and the last identity, where they ascend.
    pub(super) span: Option<(RowId, RowId)>,
}

/// Batches of fewer rows are short.
const SHORT_ROWS: usize = 64;

impl Held {
    pub(super) fn is_short(&self) -> bool {
        self.records.num_rows() < SHORT_ROWS
    }

    /// Beside the records: the keys, and the entry of each row that sorting needs, in buckets that may be a little larger.
    pub(super) fn bytes_beside(&self) -> usize {
        self.keys.bytes_held() + self.records.num_rows() * size_of::<Entry>() * 4 / 3
    }
}

/// A row that is held.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    head: (u64, u64),
    pub(super) batch: u32,
    pub(super) row: u32,
}

impl Entry {
    pub(super) fn place(&self) -> (usize, usize) {
        (self.batch as usize, self.row as usize)
    }
}

impl Headed for Entry {
    #[inline(always)]
    fn head(&self) -> u128 {
        u128::from(self.head.0) << 64 | u128::from(self.head.1)
    }
}

/// The order of the rows that are held.
pub(super) struct HeldOrder<'a> {
    pub(super) held: &'a [Held],
    /// Whether rows that stand behind others have greater identities: then ties are settled without looking at these.
    by_place: bool,
    /// How many bytes the encoded keys have in common.
    skip: usize,
    /// Only the first rows of each are wanted.
    partitions: Option<Partitions>,
    gather: Gather<'a>,
}

impl<'a> HeldOrder<'a> {
    /// Puts batches, of this schema, in input order.
    pub(super) fn of(held: &'a mut [Held], schema: &'a SchemaRef, best: Option<&Best>) -> Result<Self> {
        held.sort_by_key(|held| held.span);
        let apart = |pair: &[Held]| matches!((pair[0].span, pair[1].span), (Some(one), Some(next)) if one.1 < next.0);
        let by_place = held.first().is_some_and(|held| held.span.is_some()) && held.windows(2).all(apart);
        let mut prefix = None;
        let long = held.iter().all(|held| held.keys.shorten_prefix(&mut prefix));
        let skip = prefix.filter(|_| long).map_or(0, |prefix| prefix.len());
        let partitions = best.filter(|best| best.is_of_use()).map(|best| best.partitions(held)).transpose()?;
        let records: Vec<&RecordBatch> = held.iter().map(|held| &held.records).collect();
        Ok(HeldOrder { held, by_place, skip, partitions, gather: Gather::of(schema, &records) })
    }

    pub(super) fn rows(&self) -> Vec<usize> {
        self.held.iter().map(|held| held.records.num_rows()).collect()
    }

    #[inline(always)]
    pub(super) fn entry(&self, batch: usize, row: usize) -> Entry {
        let head = self.held[batch].keys.head_behind(row, self.skip);
        Entry { head: ((head >> 64) as u64, head as u64), batch: batch as u32, row: row as u32 }
    }

    #[inline(always)]
    pub(super) fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        a.head.cmp(&b.head).then_with(|| self.compare_rest(a, b))
    }

    fn compare_rest(&self, a: &Entry, b: &Entry) -> Ordering {
        let (ours, theirs) = (&self.held[a.batch as usize].keys, &self.held[b.batch as usize].keys);
        let (row, other) = (a.row as usize, b.row as usize);
        match self.by_place {
            true => ours.compare_rest(row, theirs, other).then_with(|| a.place().cmp(&b.place())),
            false => ours.compare_tails(row, theirs, other),
        }
    }

    /// Whether nothing but their identities tells two rows apart.
    pub(super) fn are_peers(&self, a: &Entry, b: &Entry) -> bool {
        let (ours, theirs) = (&self.held[a.batch as usize].keys, &self.held[b.batch as usize].keys);
        a.head == b.head && ours.compare_rest(a.row as usize, theirs, b.row as usize).is_eq()
    }

    /// Whether so many first bytes of the keys of two rows are the same.
    pub(super) fn begin_alike(&self, a: &Entry, b: &Entry, bytes: usize) -> bool {
        let (ours, theirs) = (a.head(), b.head());
        let alike = self.skip + ((ours ^ theirs).leading_zeros() / u8::BITS) as usize;
        let rest = || {
            let (ours, theirs) = (&self.held[a.batch as usize].keys, &self.held[b.batch as usize].keys);
            ours.begin_alike(a.row as usize, theirs, b.row as usize, bytes)
        };
        alike >= bytes || ours == theirs && rest()
    }

    /// How many bytes of the key of a row are that of its partition.
    pub(super) fn partition_bytes(&self, entry: &Entry) -> usize {
        self.partitions.as_ref().map_or(0, |partitions| partitions.bytes(entry))
    }

    /// Drops what is not wanted of rows that are in order.
    pub(super) fn drop_behind(&self, entries: &mut Vec<Entry>) -> Vec<Entry> {
        self.partitions.as_ref().map_or_else(Vec::new, |partitions| partitions.drop_behind(self, entries))
    }

    /// Rows by their places.
    pub(super) fn pick(&self, entries: &[Entry]) -> Result<RecordBatch> {
        self.gather.pick(entries.iter().map(Entry::place))
    }

    /// Hands the first `limit` rows in order to `work`, in parallel, a piece at a time, and what comes of them to `take`.
    pub(super) fn sorted<T: Send>(
        &self,
        limit: usize,
        hands: &Hands,
        work: impl Fn(&[Entry]) -> Result<T> + Sync,
        take: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let compare = |a: &Entry, b: &Entry| self.compare(a, b);
        let buckets = Buckets::fill(hands, &self.rows(), 0, |batch, row| self.entry(batch, row), compare)?;
        let firsts = buckets.firsts();
        let wanted = firsts.partition_point(|first| *first < limit);
        let sorted = |bucket: usize| {
            let mut entries = buckets.sorted(bucket, compare);
            entries.truncate(limit - firsts[bucket]);
            self.drop_behind(&mut entries);
            work(&entries)
        };
        hands.in_order(wanted, sorted, take)
    }
}
