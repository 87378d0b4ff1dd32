//! CSV as pieces of text: which guesses are right, and when a long record is looked at.
//!
//! Where broken records are set aside, what follows a guess may be needed to tell that a record before it is broken.
//! A record that spans many pieces is looked at again only when the carry has doubled, so that it costs time in
//! proportion to its length.

use super::batches::{Notes, Reader, describe};
use super::guess::guess_record_start;
use super::index::RecordIndex;
use super::options::MalformedPolicy;
use super::record::scan_record;
use super::take::{Counted, LINE_END_BYTES, Long, Overlong, Span, Trouble};
use crate::error::{Place, Result};
use crate::source::decompress::{Cell, positions_of};
use crate::source::text::{Before, Between, Joint, ReadText, TextReader, Told};
use crate::source::{Committed, Named, ScanRequest, ScanScratch};

/// Bytes of an index of the fields of a batch, a byte of text.
const INDEX_BYTES_PER_TEXT: usize = 4;
/// Bytes of a field and what ends it; records may have shorter ones, if they are few.
const LEAST_FIELD_BYTES: usize = 2;

/// A carry from this length on waits until it has doubled before it is looked at again.
const PATIENT_FROM_BYTES: usize = 1 << 20;

/// Text behind a guess that is looked at first for the end of a record before it.
const NEAR_BYTES: usize = 16 << 10;

/// What is kept of a file from commit to commit.
pub(super) struct State {
    pub(super) patient_from: usize,
    /// What a record longer than the limit has left behind.
    overlong: Overlong,
    index: RecordIndex,
}

impl Default for State {
    fn default() -> Self {
        State { patient_from: PATIENT_FROM_BYTES, overlong: Overlong::default(), index: RecordIndex::new() }
    }
}

impl TextReader for Reader {
    type State = State;
    type Notes = Notes;
    type Mark = Overlong;

    fn file(&self) -> u32 {
        self.file
    }

    fn rows_bytes(&self, text_bytes: usize) -> usize {
        // A field is rarely a single character; an index points at the fields of a batch.
        let rows = text_bytes / (LEAST_FIELD_BYTES * self.rules.fields.max(2));
        let index_bytes = INDEX_BYTES_PER_TEXT * self.batch_bytes.min(text_bytes);
        text_bytes + rows.saturating_mul(ScanRequest::row_bytes(&self.schema)) + index_bytes
    }

    fn line_end(&self) -> u8 {
        self.rules.dialect.line_end().byte()
    }

    fn first_record(&self, text: &[u8]) -> Option<usize> {
        guess_record_start(text, &self.rules.dialect, self.rules.fields)
    }

    fn read(&self, text: &[u8], start: usize, cells: &[Cell], scratch: &mut ScanScratch) -> Result<ReadText<Self>> {
        let mut index = scratch.reader.take().and_then(|kept| kept.downcast::<RecordIndex>().ok()).unwrap_or_default();
        let read =
            self.read_span(Span { text, from: start, until: text.len(), at_end: false }, cells, &mut index, None);
        scratch.reader = Some(index);
        read
    }

    fn read_certain(
        &self,
        state: &mut State,
        text: &[u8],
        cells: &[Cell],
        bytes_before: u64,
        at_end: bool,
    ) -> Result<ReadText<Self>> {
        let span = Span { text, from: 0, until: text.len(), at_end };
        self.read_span(span, cells, &mut state.index, Some((bytes_before, &mut state.overlong)))
    }

    fn between(&self, state: &mut State, joint: &Joint<'_>) -> Result<Between<Self>> {
        let until = joint.length();
        if state.overlong.discarding || state.overlong.lines_until > joint.bytes_before {
            return Ok(Between::Wrong);
        }
        if until == 0 {
            return Ok(Between::Nothing);
        }
        let most = joint.bytes_behind();
        let mut behind = 0;
        loop {
            let (text, cells) = joint.text(behind);
            let span = Span { text: &text, from: 0, until, at_end: false };
            state.index.clear();
            let taken = self.rules.take(span, usize::MAX, &mut state.index, Long::Stop);
            if taken.consumed == until || taken.malformed.is_some() {
                let read = self.read_span(span, &cells, &mut state.index, None)?;
                return Ok(Between::Text(text, cells, read));
            }
            let may_be_broken = self.rules.malformed != MalformedPolicy::Error && taken.consumed < until;
            if !may_be_broken || taken.too_long || behind == most {
                return Ok(Between::Wrong);
            }
            behind = most.min(behind + NEAR_BYTES.max(4 * behind));
        }
    }

    fn waits(&self, state: &State, carry_bytes: usize, looked_at: usize, more: &[u8]) -> bool {
        let length = carry_bytes + more.len();
        carry_bytes >= state.patient_from.max(1) && length < 2 * looked_at && length <= self.rules.max_record_bytes
    }

    fn mark(&self, state: &State) -> Overlong {
        state.overlong
    }

    fn too_long(&self, was_met: bool, carry_bytes: usize) -> Option<(String, &'static str)> {
        let most = self.rules.max_record_bytes;
        let is_error = self.rules.malformed == MalformedPolicy::Error;
        let is_long = was_met || carry_bytes > most.saturating_add(LINE_END_BYTES);
        (is_error && is_long).then(|| describe(Trouble::TooLong(most)))
    }

    fn tell(&self, _: &mut State, notes: Notes, told: &Told<Overlong>, before: &Before, committed: &mut Committed) {
        let place = |counted: &Counted, start: usize| Place {
            file: committed.rejects.file.clone(),
            line: Some(before.lines + counted.lines_before_first + 1),
            byte: Some(before.bytes + (start - told.start) as u64),
            ..Place::default()
        };
        let named = |counted: &Counted| Named {
            positions: positions_of(counted.starts.iter().copied(), &told.cells).collect(),
            first: counted.starts.first().map(|&start| place(counted, start)),
        };
        let (padded, repeated_headers) = (named(&notes.padded), named(&notes.repeated_headers));
        (committed.padded, committed.repeated_headers) = (padded, repeated_headers);
    }

    fn records_until(&self, told: &Told<Overlong>, before: &Before, offset: usize) -> u64 {
        let mut index = RecordIndex::new();
        let span = Span { text: &told.text, from: told.start, until: offset, at_end: told.at_end };
        let base = before.bytes.saturating_sub(told.start as u64);
        self.rules.take(span, usize::MAX, &mut index, Long::Pass(base, &mut told.mark.clone()));
        index.records() as u64
    }

    fn end_of_record(&self, text: &[u8], offset: usize) -> usize {
        let found = scan_record(text, offset, &self.rules.dialect, true, 0, &mut Vec::new());
        let end = found.map_or(text.len(), |record| record.next);
        offset + self.rules.without_line_end(&text[offset..end]).len()
    }
}
