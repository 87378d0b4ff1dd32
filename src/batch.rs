//! A batch: rows in Arrow columns together with where they came from.
//!
//! A [`RowId`] names a row by the place where its record starts. It depends on the input alone, never on how the
//! input was cut into partitions or who read it, so ties, `first` and `last` come out the same on any machine.

pub(crate) mod coded;
pub(crate) mod gather;
pub(crate) mod hash;

use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, downcast_primitive_array};
use arrow::buffer::Buffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use std::ops::Range;
use std::sync::Arc;

/// The identity and input order of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// Ordinal of the file in the input set.
    pub file: u32,
    /// Ascending within the file. Plain, gzip and zstd text: byte offset of the record in the decompressed text.
    /// bzip2: byte offset of the block in the stored file, times 2²⁶, plus byte offset in the block's text.
    /// Results of an earlier stage: row number.
    pub position: u64,
    /// 0; of the rows that a join made of one row, their number.
    pub copy: u32,
}

impl RowId {
    /// The row at `position` of `file`.
    pub const fn new(file: u32, position: u64) -> Self {
        RowId { file, position, copy: 0 }
    }
}

/// The positions of a batch's rows within their file, ascending.
#[derive(Clone, Debug)]
pub enum Positions {
    /// Row `i` is at `start + i`.
    Consecutive(u64),
    /// Row `i` is at the `i`-th entry.
    Listed(Arc<[u64]>),
    /// Rows of which a join has made several: row `i` is copy `copies[i]` of the one at `positions[i]`.
    Repeated {
        /// Positions, ascending; equal ones stand together.
        positions: Arc<[u64]>,
        /// Ascending among equal positions.
        copies: Arc<[u32]>,
    },
}

/// Where the rows of a batch came from.
#[derive(Clone, Debug)]
pub struct RowOrigin {
    /// Ordinal of the file in the input set.
    pub file: u32,
    /// One position a row.
    pub positions: Positions,
}

impl RowOrigin {
    /// Rows `start, start + 1, …` of file 0.
    pub fn consecutive(start: u64) -> Self {
        RowOrigin { file: 0, positions: Positions::Consecutive(start) }
    }

    /// The identity of row `row` of the batch.
    ///
    /// # Panics
    /// If `row` is not a row of the batch.
    pub fn row_id(&self, row: usize) -> RowId {
        match &self.positions {
            Positions::Consecutive(start) => RowId::new(self.file, start + row as u64),
            Positions::Listed(list) => RowId::new(self.file, list[row]),
            Positions::Repeated { positions, copies } => {
                RowId { file: self.file, position: positions[row], copy: copies[row] }
            }
        }
    }

    /// The identity of row `row`, if there is such a row.
    pub(crate) fn row_id_checked(&self, row: usize) -> Option<RowId> {
        match &self.positions {
            Positions::Listed(list) | Positions::Repeated { positions: list, .. } if row >= list.len() => None,
            _ => Some(self.row_id(row)),
        }
    }

    /// Bytes of memory behind it.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.positions {
            Positions::Consecutive(_) => 0,
            Positions::Listed(list) => size_of_val(&**list),
            Positions::Repeated { positions, copies } => size_of_val(&**positions) + size_of_val(&**copies),
        }
    }

    /// Identities for `rows` rows that were made of this batch as a whole, as copies of its first row: they stand before
    /// those of the next batch, however many they are.
    pub(crate) fn copies_of_first(&self, rows: usize) -> Self {
        RowOrigin::copies_of(self.row_id_checked(0).unwrap_or(RowId::new(self.file, 0)), rows)
    }

    /// The row `first` and copies of it, so many rows in all.
    pub(crate) fn copies_of(first: RowId, rows: usize) -> Self {
        let positions = std::iter::repeat_n(first.position, rows).collect();
        let copies = (first.copy..).take(rows).collect();
        RowOrigin { file: first.file, positions: Positions::Repeated { positions, copies } }
    }

    fn pick(&self, rows: impl Iterator<Item = usize>) -> Self {
        let positions = match &self.positions {
            Positions::Consecutive(start) => Positions::Listed(rows.map(|row| start + row as u64).collect()),
            Positions::Listed(list) => Positions::Listed(rows.map(|row| list[row]).collect()),
            Positions::Repeated { positions, copies } => {
                let picked: (Vec<u64>, Vec<u32>) = rows.map(|row| (positions[row], copies[row])).unzip();
                Positions::Repeated { positions: picked.0.into(), copies: picked.1.into() }
            }
        };
        RowOrigin { file: self.file, positions }
    }

    /// The identities of the rows `rows`.
    pub(crate) fn picked(&self, rows: &[u32]) -> Self {
        self.pick(rows.iter().map(|row| *row as usize))
    }

    /// Identities for rows that were made of the rows `rows` of this batch, ascending: several of one row are numbered.
    pub(crate) fn repeated(&self, rows: &[u32]) -> Self {
        let mut positions: Vec<u64> = Vec::with_capacity(rows.len());
        let mut copies: Vec<u32> = Vec::with_capacity(rows.len());
        for row in rows {
            let position = self.row_id(*row as usize).position;
            let copy = match (positions.last(), copies.last()) {
                (Some(last), Some(copy)) if *last == position => copy + 1,
                _ => 0,
            };
            positions.push(position);
            copies.push(copy);
        }
        RowOrigin {
            file: self.file,
            positions: Positions::Repeated { positions: positions.into(), copies: copies.into() },
        }
    }
}

/// Rows in Arrow columns, in input order, and where they came from.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The columns. Texts may be coded until they reach a sink: `Dictionary(Int32, Utf8View)` in place of `Utf8View`.
    pub records: RecordBatch,
    /// One [`RowId`] a row.
    pub origin: RowOrigin,
}

impl Batch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.records.num_rows()
    }

    /// The rows for which `mask` is true (null counts as false).
    pub fn filter(&self, mask: &BooleanArray) -> Result<Batch> {
        let records = filter_record_batch(&self.records, mask)?;
        let kept = match mask.nulls() {
            None => mask.values().clone(),
            Some(valid) => mask.values() & valid.inner(),
        };
        let origin = self.origin.pick(kept.set_indices());
        Ok(Batch { records, origin })
    }

    /// The rows named by `rows`, in that order (ascending where positions must stay ascending).
    pub fn take(&self, rows: &UInt32Array) -> Result<Batch> {
        let records = take_record_batch(&self.records, rows)?;
        let origin = self.origin.pick(rows.values().iter().map(|&row| row as usize));
        Ok(Batch { records, origin })
    }

    /// The first `rows` rows (all, if there are fewer).
    pub fn head(&self, rows: usize) -> Batch {
        self.slice(0..rows.min(self.rows()))
    }

    /// These rows.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn slice(&self, rows: Range<usize>) -> Batch {
        let positions = match &self.origin.positions {
            Positions::Consecutive(start) => Positions::Consecutive(start + rows.start as u64),
            Positions::Listed(list) => Positions::Listed(list[rows.clone()].into()),
            Positions::Repeated { positions, copies } => {
                Positions::Repeated { positions: positions[rows.clone()].into(), copies: copies[rows.clone()].into() }
            }
        };
        let records = self.records.slice(rows.start, rows.len());
        Batch { records, origin: RowOrigin { file: self.origin.file, positions } }
    }
}

/// Texts of so many bytes stand in their views, longer ones in buffers.
pub(crate) const INLINE_BYTES: usize = 12;

/// Lets go of text that no row refers to.
pub(crate) fn compact(array: &ArrayRef) -> ArrayRef {
    match (array.as_string_view_opt(), array.as_binary_view_opt()) {
        (Some(texts), _) if !texts.data_buffers().is_empty() => Arc::new(texts.gc()),
        (_, Some(bytes)) if !bytes.data_buffers().is_empty() => Arc::new(bytes.gc()),
        _ => Arc::clone(array),
    }
}

/// The values of an array of a fixed width; `None` of other arrays.
pub(crate) fn natives(array: &dyn Array) -> Option<&Buffer> {
    downcast_primitive_array!(array => Some(array.values().inner()), _ => None)
}

/// Reading a mask where null is not true.
pub(crate) trait Mask {
    /// Whether `row` is true, null counting as false.
    fn is_valid_and_true(&self, row: usize) -> bool;
}

impl Mask for BooleanArray {
    fn is_valid_and_true(&self, row: usize) -> bool {
        self.is_valid(row) && self.value(row)
    }
}
