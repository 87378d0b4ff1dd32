//! Only the first rows of each partition.
//!
//! Rows behind them are dropped when rows are sorted, be it to keep the others, to write them, or in the end; and, once a
//! partition has as many as are wanted, on arrival. Where that hardly drops any, it is given up, for others look at the rows again.
//!
//! The key of a row begins with that of its partition, so partitions need no keys of their own, only the lengths of these.

use super::held::{Entry, Held, HeldOrder};
use crate::error::Result;
use crate::exec::runs::{Bound, Keys, Order};
use crate::plan::FirstRows;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::row::Rows;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// When so many rows are held, it is looked for the first time which can be dropped.
const LOOK_ROWS: usize = 8192;
/// If it does not pay to look at more rows than this, hardly any partition has more than are wanted.
const MOST_LOOKED: usize = 16 * LOOK_ROWS;
/// The last wanted rows of so many partitions are remembered.
const MOST_BOUNDS: usize = 1 << 17;
/// A partition's key that is no longer than this is a part of the head of a row's.
const MOST_NARROW: usize = size_of::<u128>();

/// Which rows a sort keeps of each partition.
pub(in crate::exec::sink) struct Best {
    first: FirstRows,
    /// Of what is alike within a partition. The order of rows begins with it.
    partition: Order,
    /// How long the key of a partition is, where all are alike.
    bytes: Option<usize>,
    /// Of partitions that have as many rows as are wanted, the last of these: rows behind it are not.
    bounds: HashTable<Last>,
    /// Bytes on the heap behind the bounds.
    bound_bytes: usize,
    hasher: FixedState,
    /// It is looked again when so many rows are held; the most there is when that has been given up.
    look_at: usize,
}

impl Best {
    /// `types` are those of the columns of `partition`.
    ///
    /// # Errors
    /// `Internal` for types that columns can't have.
    pub(in crate::exec::sink) fn new(first: FirstRows, partition: Order, types: &[DataType]) -> Result<Self> {
        let is_fixed = |of_type: &DataType| of_type.is_primitive() || *of_type == DataType::Boolean;
        let bytes = types.iter().all(is_fixed).then(|| partition.bytes_of(types)).transpose()?;
        let hasher = FixedState::default();
        Ok(Best { first, partition, bytes, bounds: HashTable::new(), bound_bytes: 0, hasher, look_at: LOOK_ROWS })
    }

    /// How many rows are held when it is looked which can be dropped.
    pub(super) fn look_at(&self) -> usize {
        self.look_at
    }

    /// Whether rows are dropped at all.
    pub(super) fn is_of_use(&self) -> bool {
        self.look_at < usize::MAX
    }

    /// Whether it has paid to look; if not, it is looked much later again, and then not any more.
    pub(super) fn pays(&mut self, before: usize, after: usize) -> bool {
        let pays = after <= before / 2;
        self.look_at = match pays {
            true => LOOK_ROWS.max(3 * after),
            false if before <= MOST_LOOKED => before.saturating_mul(16),
            false => usize::MAX,
        };
        pays
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.bounds.capacity() * size_of::<Last>() + self.bound_bytes
    }

    /// What sorting rows with these keys takes for telling their partitions apart.
    pub(super) fn bytes_beside(&self, keys: &Keys) -> usize {
        if self.bytes.is_some() { 0 } else { keys.bytes_held() }
    }

    /// Forgets the bounds.
    pub(super) fn forget(&mut self) {
        (self.bounds, self.bound_bytes) = (HashTable::new(), 0);
    }

    /// Those of the rows that may be among the first; `None` for all.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(super) fn candidates(&self, records: &RecordBatch, keys: &Keys) -> Result<Option<Vec<u32>>> {
        if self.bounds.is_empty() {
            return Ok(None);
        }
        let rows = 0..records.num_rows() as u32;
        let is_wanted =
            |row: u32, last: Option<&Last>| last.is_none_or(|last| keys.compare_to(row as usize, &last.bound).is_le());
        if let Some(bytes) = self.narrow() {
            let last = |row: u32| {
                let partition = keys.begin(row as usize, bytes);
                let is_same = |last: &Last| last.bound.begin(bytes) == partition;
                self.bounds.find(self.hasher.hash_one(partition), is_same)
            };
            return Ok(Some(rows.filter(|row| is_wanted(*row, last(*row))).collect()));
        }
        let partitions = self.encoded(records)?;
        let last = |row: u32| {
            let partition = of_row(partitions.as_ref(), row as usize);
            self.bounds.find(self.hasher.hash_one(partition), |last| last.is_of(partition))
        };
        Ok(Some(rows.filter(|row| is_wanted(*row, last(*row))).collect()))
    }

    /// The length of all keys of partitions, if these are parts of heads.
    fn narrow(&self) -> Option<usize> {
        self.bytes.filter(|bytes| (1..=MOST_NARROW).contains(bytes))
    }

    /// The keys of partitions, encoded; `None` where all rows are one.
    fn encoded(&self, records: &RecordBatch) -> Result<Option<Rows>> {
        self.partition.has_columns().then(|| self.partition.encode(records)).transpose()
    }

    /// What tells the partitions of rows that are held apart.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(super) fn partitions(&self, held: &[Held]) -> Result<Partitions> {
        if let Some(bytes) = self.bytes {
            return Ok(Partitions { first: self.first, lengths: Lengths::Same(bytes) });
        }
        let of_batch = |held: &Held| {
            let encoded = self.encoded(&held.records)?;
            let rows = 0..held.records.num_rows();
            Ok(rows.map(|row| of_row(encoded.as_ref(), row).len() as u32).collect::<Vec<u32>>())
        };
        let lengths = held.iter().map(of_batch).collect::<Result<Vec<_>>>()?;
        let first = lengths.iter().flatten().next().copied().unwrap_or_default();
        let lengths = match lengths.iter().flatten().all(|length| *length == first) {
            true => Lengths::Same(first as usize),
            false => Lengths::Varied(lengths),
        };
        Ok(Partitions { first: self.first, lengths })
    }

    /// Remembers the bounds of partitions, each by its last wanted row.
    pub(super) fn remember(&mut self, order: &HeldOrder<'_>, last: &[Entry]) {
        let narrow = self.narrow();
        let hash = |last: &Last| match narrow {
            Some(bytes) => self.hasher.hash_one(last.bound.begin(bytes)),
            None => last.partition(|partition| self.hasher.hash_one(partition)),
        };
        let mut room = MOST_BOUNDS.saturating_sub(self.bounds.len());
        for entry in last {
            let bound = order.held[entry.batch as usize].keys.bound(entry.row as usize);
            let bound = if self.first.ties { bound.behind_its_peers() } else { bound };
            let last = Last { bound, bytes: order.partition_bytes(entry) };
            let is_same = |known: &Last| match narrow {
                Some(bytes) => known.bound.begin(bytes) == last.bound.begin(bytes),
                None => last.partition(|partition| known.is_of(partition)),
            };
            match self.bounds.find_mut(hash(&last), is_same) {
                Some(known) if last.bound < known.bound => {
                    self.bound_bytes = self.bound_bytes + last.bound.bytes_held() - known.bound.bytes_held();
                    *known = last;
                }
                None if room > 0 => {
                    room -= 1;
                    self.bound_bytes += last.bound.bytes_held();
                    self.bounds.insert_unique(hash(&last), last, hash);
                }
                _ => {}
            }
        }
    }
}

/// The last wanted row of a partition.
struct Last {
    bound: Bound,
    /// Of which the partition is told by so many bytes at the beginning.
    bytes: usize,
}

impl Last {
    fn partition<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        self.bound.with_bytes(|bytes| with(&bytes[..self.bytes]))
    }

    /// Whether it is of the partition of this key. None of these is the beginning of another.
    fn is_of(&self, partition: &[u8]) -> bool {
        self.bound.with_bytes(|bytes| bytes.starts_with(partition))
    }
}

/// The encoded key of the partition of a row.
fn of_row(encoded: Option<&Rows>, row: usize) -> &[u8] {
    encoded.map_or(&[], |rows| rows.row(row).data())
}

/// The partitions of rows that are held.
pub(super) struct Partitions {
    first: FirstRows,
    lengths: Lengths,
}

/// How many bytes of a row's key are that of its partition.
enum Lengths {
    Same(usize),
    /// By batch and row.
    Varied(Vec<Vec<u32>>),
}

impl Partitions {
    /// How many bytes of the key of a row are that of its partition.
    pub(super) fn bytes(&self, entry: &Entry) -> usize {
        match &self.lengths {
            Lengths::Same(bytes) => *bytes,
            Lengths::Varied(lengths) => lengths[entry.batch as usize][entry.row as usize] as usize,
        }
    }

    /// Drops rows behind the first of their partitions; of those that have as many as are wanted, the last one.
    pub(super) fn drop_behind(&self, order: &HeldOrder<'_>, entries: &mut Vec<Entry>) -> Vec<Entry> {
        let FirstRows { rows, ties } = self.first;
        let (mut number, mut of_peers, mut last) = (0, 0, Vec::new());
        let mut before: Option<Entry> = None;
        entries.retain(|entry| {
            let goes_on = before.as_ref().is_some_and(|before| order.begin_alike(before, entry, self.bytes(before)));
            number = if goes_on { number + 1 } else { 0 };
            if ties && !(goes_on && before.as_ref().is_some_and(|before| order.are_peers(before, entry))) {
                of_peers = number;
            }
            before = Some(*entry);
            if number + 1 == rows {
                last.push(*entry);
            }
            self.first.has(number, of_peers)
        });
        last
    }
}
