//! A batch: rows in Arrow columns together with where they came from.
//!
//! A [`RowId`] names a row by the place where its record starts. It depends on the input alone, never on how the
//! input was cut into partitions or who read it, so ties, `first` and `last` come out the same on any machine.

pub(crate) mod coded;

use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
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
}

/// The positions of a batch's rows within their file, ascending.
#[derive(Clone, Debug)]
pub enum Positions {
    /// Row `i` is at `start + i`.
    Consecutive(u64),
    /// Row `i` is at the `i`-th entry.
    Listed(Arc<[u64]>),
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
        let position = match &self.positions {
            Positions::Consecutive(start) => start + row as u64,
            Positions::Listed(list) => list[row],
        };
        RowId { file: self.file, position }
    }

    /// The identity of row `row`, if there is such a row.
    pub(crate) fn row_id_checked(&self, row: usize) -> Option<RowId> {
        match &self.positions {
            Positions::Listed(list) if row >= list.len() => None,
            _ => Some(self.row_id(row)),
        }
    }

    /// Bytes of memory behind it.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.positions {
            Positions::Consecutive(_) => 0,
            Positions::Listed(list) => size_of_val(&**list),
        }
    }

    /// Identities for rows that were made of the rows of this batch: consecutive from the first one's on.
    pub(crate) fn renumbered(&self) -> Self {
        let first = self.row_id_checked(0).map_or(0, |row| row.position);
        RowOrigin { file: self.file, positions: Positions::Consecutive(first) }
    }

    fn pick(&self, rows: impl Iterator<Item = usize>) -> Self {
        let positions: Arc<[u64]> = match &self.positions {
            Positions::Consecutive(start) => rows.map(|row| start + row as u64).collect(),
            Positions::Listed(list) => rows.map(|row| list[row]).collect(),
        };
        RowOrigin { file: self.file, positions: Positions::Listed(positions) }
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
        let rows = rows.min(self.rows());
        let positions = match &self.origin.positions {
            Positions::Consecutive(start) => Positions::Consecutive(*start),
            Positions::Listed(list) => Positions::Listed(list[..rows].into()),
        };
        Batch { records: self.records.slice(0, rows), origin: RowOrigin { file: self.origin.file, positions } }
    }
}

/// Lets go of text that no row refers to.
pub(crate) fn compact(array: &ArrayRef) -> ArrayRef {
    match array.as_string_view_opt() {
        Some(texts) if !texts.data_buffers().is_empty() => Arc::new(texts.gc()),
        _ => Arc::clone(array),
    }
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
