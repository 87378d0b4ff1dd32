//! The order of rows: keys encoded so that comparing bytes compares rows.
//!
//! The first 16 bytes of an encoded key, its *head*, stand together with those of the other rows, as numbers: most rows
//! are told apart without looking further. Where all keys are short, heads are all that is kept.

use super::identity::Identities;
use crate::batch::RowId;
use crate::error::Result;
use crate::groupby::normalise_floats;
use arrow::array::{RecordBatch, UInt32Array, new_null_array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use std::cmp::Ordering;

/// Sorts by some columns of a batch.
#[derive(Debug)]
pub(in crate::exec) struct Order {
    converter: RowConverter,
    columns: Vec<usize>,
    /// The first of the columns of row identities, which settle ties.
    identity: Option<usize>,
}

impl Order {
    /// By these columns, which have these types: nulls last.
    ///
    /// # Errors
    /// `Internal` for types that columns can't have.
    pub(in crate::exec) fn new(columns: impl IntoIterator<Item = (usize, DataType, bool)>) -> Result<Self> {
        let (columns, fields): (Vec<usize>, Vec<SortField>) = columns
            .into_iter()
            .map(|(column, of_type, descending)| {
                (column, SortField::new_with_options(of_type, SortOptions { descending, nulls_first: false }))
            })
            .unzip();
        Ok(Order { converter: RowConverter::new(fields)?, columns, identity: None })
    }

    /// By the first columns, which have these types, ascending.
    ///
    /// # Errors
    /// `Internal` for types that columns can't have.
    pub(in crate::exec) fn ascending(types: impl IntoIterator<Item = DataType>) -> Result<Self> {
        Order::new(types.into_iter().enumerate().map(|(at, of_type)| (at, of_type, false)))
    }

    /// The same, and rows of one key by the identities that stand in the columns from `first` on.
    pub(in crate::exec) fn then_by_identity(self, first: usize) -> Self {
        Order { identity: Some(first), ..self }
    }

    /// Whether there are any columns that rows are sorted by.
    pub(in crate::exec) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The keys of the rows, encoded, identities left aside.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(in crate::exec) fn encode(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<_> = self.columns.iter().map(|&column| normalise_floats(batch.column(column))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }

    /// How long the key of a row is, if its columns are of these types, none of them texts or lists.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(in crate::exec) fn bytes_of(&self, types: &[DataType]) -> Result<usize> {
        if !self.has_columns() {
            return Ok(0);
        }
        let columns: Vec<_> = types.iter().map(|of_type| new_null_array(of_type, 1)).collect();
        Ok(self.converter.convert_columns(&columns)?.row(0).data().len())
    }

    /// The rows of a batch in order; rows with the same key in any.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(in crate::exec) fn sorted(&self, batch: &RecordBatch) -> Result<UInt32Array> {
        let keys = self.keys(batch)?;
        let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        rows.sort_unstable_by(|&a, &b| keys.compare(a as usize, &keys, b as usize));
        Ok(rows.into())
    }

    /// The keys of the rows.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(in crate::exec) fn keys(&self, batch: &RecordBatch) -> Result<Keys> {
        let identities = self.identity.map(|first| Identities::of(batch, first)).transpose()?;
        if self.columns.is_empty() {
            return Ok(Keys { heads: vec![0; batch.num_rows()], rows: None, identities });
        }
        let rows = self.encode(batch)?;
        let (mut heads, mut longest) = (Vec::with_capacity(rows.num_rows()), 0);
        for row in &rows {
            let bytes = row.as_ref();
            longest = longest.max(bytes.len());
            heads.push(head(bytes));
        }
        Ok(Keys { heads, rows: (longest > HEAD_BYTES).then_some(rows), identities })
    }
}

const HEAD_BYTES: usize = size_of::<u128>();

/// The first bytes of an encoded key, zeros behind a shorter one. No encoded key is the beginning of another, so zeros
/// make no two alike.
#[inline(always)]
fn head(bytes: &[u8]) -> u128 {
    match bytes.first_chunk() {
        Some(first) => u128::from_be_bytes(*first),
        None => {
            let mut padded = [0; HEAD_BYTES];
            padded[..bytes.len()].copy_from_slice(bytes);
            u128::from_be_bytes(padded)
        }
    }
}

/// The first bytes of a head, as a number.
#[inline(always)]
fn begin(head: u128, bytes: usize) -> u128 {
    head >> (u128::BITS as usize - bytes * u8::BITS as usize)
}

/// The keys of the rows of a batch.
#[derive(Debug)]
pub(in crate::exec) struct Keys {
    heads: Vec<u128>,
    /// The whole keys, if any is longer than its head.
    rows: Option<Rows>,
    identities: Option<Identities>,
}

impl Keys {
    /// What is kept to compare a row by first, but for `skip` bytes that all have in common.
    #[inline(always)]
    pub(in crate::exec) fn head_behind(&self, row: usize, skip: usize) -> u128 {
        match &self.rows {
            Some(rows) if skip > 0 => head(rows.row(row).as_ref().get(skip..).unwrap_or_default()),
            _ => self.heads[row],
        }
    }

    /// Shortens `prefix` to what all keys begin with (that of the first is taken where there is none); whether keys are
    /// long enough for that to be of use.
    pub(in crate::exec) fn shorten_prefix(&self, prefix: &mut Option<Vec<u8>>) -> bool {
        let Some(rows) = &self.rows else { return false };
        for row in rows {
            let prefix = prefix.get_or_insert_with(|| row.as_ref().to_vec());
            if !row.as_ref().starts_with(prefix) {
                prefix.truncate(prefix.iter().zip(row.as_ref()).take_while(|(ours, theirs)| ours == theirs).count());
            }
        }
        true
    }

    /// The order of a row and one of another batch, identities included where they count.
    #[inline(always)]
    pub(in crate::exec) fn compare(&self, row: usize, other: &Keys, theirs: usize) -> Ordering {
        self.heads[row].cmp(&other.heads[theirs]).then_with(|| self.compare_tails(row, other, theirs))
    }

    /// The order of two rows with equal heads.
    pub(in crate::exec) fn compare_tails(&self, row: usize, other: &Keys, theirs: usize) -> Ordering {
        self.compare_rest(row, other, theirs).then_with(|| match (&self.identities, &other.identities) {
            (Some(ours), Some(others)) => ours.get(row).cmp(&others.get(theirs)),
            _ => Ordering::Equal,
        })
    }

    /// Whether so many first bytes of the keys of two rows with equal heads are the same.
    pub(in crate::exec) fn begin_alike(&self, row: usize, other: &Keys, theirs: usize, bytes: usize) -> bool {
        match (&self.rows, &other.rows) {
            (Some(ours), Some(others)) => ours.row(row).data().get(..bytes) == others.row(theirs).data().get(..bytes),
            // Where one batch has short keys only, equal heads are equal keys.
            _ => true,
        }
    }

    /// The first bytes of the key of a row, as many as a head has at most, as a number.
    #[inline(always)]
    pub(in crate::exec) fn begin(&self, row: usize, bytes: usize) -> u128 {
        begin(self.heads[row], bytes)
    }

    /// The order of the keys of two rows with equal heads, identities left aside.
    #[inline(always)]
    pub(in crate::exec) fn compare_rest(&self, row: usize, other: &Keys, theirs: usize) -> Ordering {
        match (&self.rows, &other.rows) {
            (Some(ours), Some(others)) => ours.row(row).cmp(&others.row(theirs)),
            // Where one batch has short keys only, equal heads are equal keys.
            _ => Ordering::Equal,
        }
    }

    /// The first and the last identity, if they ascend from row to row.
    pub(in crate::exec) fn span(&self) -> Option<(RowId, RowId)> {
        self.identities.as_ref().and_then(Identities::span)
    }

    /// The key of one row, to keep.
    pub(in crate::exec) fn bound(&self, row: usize) -> Bound {
        let rest = self.rows.as_ref().map(|rows| rows.row(row).owned());
        Bound { head: self.heads[row], rest, identity: self.identities.as_ref().map(|all| all.get(row)) }
    }

    /// The order of a row and a key that was kept.
    pub(in crate::exec) fn compare_to(&self, row: usize, bound: &Bound) -> Ordering {
        let rest = || match (&self.rows, &bound.rest) {
            (Some(ours), Some(theirs)) => ours.row(row).cmp(&theirs.row()),
            _ => Ordering::Equal,
        };
        let identity = || self.identities.as_ref().map(|all| all.get(row)).cmp(&bound.identity);
        self.heads[row].cmp(&bound.head).then_with(rest).then_with(identity)
    }

    /// How many rows of a sorted batch stand before a key.
    pub(in crate::exec) fn rows_before(&self, bound: &Bound) -> usize {
        let (mut start, mut end) = (0, self.heads.len());
        while start < end {
            let middle = start.midpoint(end);
            match self.compare_to(middle, bound) {
                Ordering::Less => start = middle + 1,
                _ => end = middle,
            }
        }
        start
    }

    /// Bytes held on the heap, those of identities excepted, which are columns of the batch.
    pub(in crate::exec) fn bytes_held(&self) -> usize {
        self.heads.capacity() * size_of::<u128>() + self.rows.as_ref().map_or(0, Rows::size)
    }
}

/// The key of one row. Keys of one order compare as their rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::exec) struct Bound {
    head: u128,
    rest: Option<OwnedRow>,
    identity: Option<RowId>,
}

impl Bound {
    /// A key behind those of all rows that only their identities tell from its row.
    pub(in crate::exec) fn behind_its_peers(mut self) -> Self {
        self.identity = self.identity.map(|_| RowId { file: u32::MAX, position: u64::MAX, copy: u32::MAX });
        self
    }

    /// Its first bytes, as many as a head has at most, as a number.
    #[inline(always)]
    pub(in crate::exec) fn begin(&self, bytes: usize) -> u128 {
        begin(self.head, bytes)
    }

    /// Hands its bytes on; zeros stand behind a short key.
    pub(in crate::exec) fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        match &self.rest {
            Some(rest) => with(rest.row().data()),
            None => with(&self.head.to_be_bytes()),
        }
    }

    /// Bytes held on the heap.
    pub(in crate::exec) fn bytes_held(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.as_ref().len())
    }
}
