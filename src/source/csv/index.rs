//! Where the records and fields of a text lie.

use super::simd::Marks;
use std::ops::Range;

/// Record starts and field ends of a run of records, as offsets into the text they were split from.
///
/// Invariants: `ends` holds exactly `fields` entries a record; field 0 begins at the record's start, any other field
/// one byte after the end of the field before it; offsets ascend and lie within the text. Fields that a padded record
/// lacks are empty and end where it ends.
#[derive(Clone, Debug, Default)]
pub struct RecordIndex {
    pub(super) fields: usize,
    pub(super) starts: Vec<u32>,
    pub(super) ends: Vec<u32>,
    pub(super) quotes: bool,
    pub(super) newlines: u64,
    /// Records that were padded, ascending, and how many fields they have in the text.
    pub(super) padded: Vec<(u32, u32)>,
    /// Scratch memory for whoever fills the index.
    pub(super) marks: Marks,
    /// The last split met a malformed record, and others may follow: fast scans would be wasted on them.
    pub(super) careful: bool,
}

impl RecordIndex {
    /// An empty index.
    pub fn new() -> Self {
        RecordIndex::default()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
        self.padded.clear();
        self.quotes = false;
        self.newlines = 0;
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.starts.len()
    }

    /// Number of fields of every record; 0 before the first split.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// Offset at which record `record` starts.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn start(&self, record: usize) -> usize {
        self.starts[record] as usize
    }

    /// Offset at which record `record` ends, its line end excluded; surplus fields that were dropped are not counted.
    pub(super) fn end(&self, record: usize) -> usize {
        self.ends[(record + 1) * self.fields - 1] as usize
    }

    /// Drops the records from number `records` on, none of which is padded.
    pub(super) fn truncate(&mut self, records: usize) {
        self.starts.truncate(records);
        self.ends.truncate(records * self.fields);
    }

    /// Drops these records, ascending; none at or behind the first is padded.
    pub(super) fn remove(&mut self, records: &[usize]) {
        let Some(&first) = records.first() else { return };
        let mut gone = records.iter().peekable();
        let mut kept = first;
        for record in first..self.records() {
            if gone.next_if_eq(&&record).is_none() {
                self.starts[kept] = self.starts[record];
                self.ends.copy_within(record * self.fields..(record + 1) * self.fields, kept * self.fields);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Offsets at which the records start.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Where the raw text of a field lies, quotes included, line end excluded.
    ///
    /// # Panics
    /// If there is no such record or field.
    #[inline]
    pub fn field(&self, record: usize, field: usize) -> Range<usize> {
        let at = record * self.fields + field;
        let end = self.ends[at];
        // The field before a missing one ends where that ends.
        let start = if field == 0 { self.starts[record] } else { (self.ends[at - 1] + 1).min(end) };
        start as usize..end as usize
    }

    /// Whether the text of the record has no such field, and the record was padded.
    pub(super) fn lacks(&self, record: usize, field: usize) -> bool {
        let padded = self.padded.binary_search_by_key(&record, |&(padded, _)| padded as usize);
        padded.is_ok_and(|at| self.padded[at].1 as usize <= field)
    }

    /// Whether any field may be quoted; when false, no byte of the records is a quote at the start of a field.
    pub fn quotes(&self) -> bool {
        self.quotes
    }

    /// Line ends in the text that was consumed since the last `clear`, those in quoted fields and of blank lines
    /// included.
    pub fn newlines(&self) -> u64 {
        self.newlines
    }

    /// Bytes of memory held. At most 4 bytes a field and 4 a record are in use; text of nothing but line ends in one
    /// column so needs 8 times its size, airline text about 1.3 times.
    pub fn bytes_held(&self) -> usize {
        let padded = 2 * self.padded.capacity();
        (self.starts.capacity() + self.ends.capacity() + padded + self.marks.capacity()) * size_of::<u32>()
    }
}
