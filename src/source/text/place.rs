//! Text whose rows can be found again, for messages and for records that are set aside later.

use super::{TextReader, count_line_ends};
use crate::batch::RowId;
use crate::error::Place;
use crate::source::decompress::Cell;
use crate::source::{Locate, ScanScratch};
use std::sync::Arc;

/// What precedes some text in its file.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::source) struct Before {
    pub(in crate::source) bytes: u64,
    pub(in crate::source) lines: u64,
    pub(in crate::source) records: u64,
}

/// A text that rows were read from.
#[derive(Default)]
pub(in crate::source) struct Told<M> {
    pub(in crate::source) text: Vec<u8>,
    pub(in crate::source) cells: Vec<Cell>,
    /// Where the records begin.
    pub(in crate::source) start: usize,
    /// What the text before left behind.
    pub(in crate::source) mark: M,
    /// The file ends where the text does.
    pub(in crate::source) at_end: bool,
}

/// The same, and where it stands.
pub(super) struct TextPlace<R: TextReader> {
    pub(super) name: Arc<str>,
    pub(super) told: Told<R::Mark>,
    /// What precedes the records.
    pub(super) before: Before,
    pub(super) reader: Arc<R>,
}

impl<R: TextReader> TextPlace<R> {
    /// Offset of a row's record.
    fn offset(&self, row: RowId) -> usize {
        let Told { text, cells, start, .. } = &self.told;
        let cell = cells.iter().rev().find(|cell| cell.base <= row.position);
        cell.map_or(*start, |cell| {
            let within = usize::try_from(row.position - cell.base).unwrap_or(usize::MAX);
            cell.at.saturating_add(within).clamp(*start, text.len())
        })
    }

    fn place_at(&self, offset: usize, lines: u64) -> Place {
        Place {
            file: Some(Arc::clone(&self.name)),
            line: Some(self.before.lines + lines + 1),
            byte: Some(self.before.bytes + (offset - self.told.start) as u64),
            ..Place::default()
        }
    }
}

impl<R: TextReader> Locate for TextPlace<R> {
    fn place(&self, row: RowId) -> Place {
        let offset = self.offset(row);
        let lines = count_line_ends(&self.told.text[self.told.start..offset], self.reader.line_end());
        let records = self.reader.records_until(&self.told, &self.before, offset);
        Place { record: Some(self.before.records + records + 1), ..self.place_at(offset, lines) }
    }

    fn text(&self) -> &[u8] {
        &self.told.text
    }

    fn records(&self, rows: &[RowId]) -> Vec<(Place, Vec<u8>)> {
        let Told { text, start, .. } = &self.told;
        let (mut counted_to, mut lines) = (*start, 0);
        let record = |&row: &RowId| {
            let offset = self.offset(row).max(counted_to);
            lines += count_line_ends(&text[counted_to..offset], self.reader.line_end());
            counted_to = offset;
            let end = self.reader.end_of_record(text, offset);
            (self.place_at(offset, lines), text[offset..end].to_vec())
        };
        rows.iter().map(record).collect()
    }

    fn recycle(self: Box<Self>, scratch: &mut ScanScratch) {
        scratch.text.recycle(self.told.text);
    }
}
