//! One file's chain: pieces of text committed in order, records that straddle them, and the places of rows.
//!
//! A piece was read from behind its first line end. The text before that belongs to what the piece before left over
//! (the *carry*) and is read when both are there.

use super::count_newlines;
use super::reader::{ReadText, Reader};
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::source::decompress::{Cell, Piece, TextStream, cells_within, positions_of};
use crate::source::{Committed, CommittedRows, Locate, PartitionId, Reject, ScanScratch, SourceBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A piece as it was read, waiting for its commit.
pub(super) struct PieceRead {
    pub(super) piece: Piece,
    /// Where it was read from; `None` when no line begins in it.
    pub(super) start: Option<usize>,
    /// What was read, its batches taken out.
    pub(super) text: ReadText,
}

/// Records may not be longer, whatever is asked for: offsets are 32 bits wide.
const MAX_RECORD_BYTES: usize = 1 << 29;

/// What precedes some text in its file.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    bytes: u64,
    lines: u64,
    records: u64,
}

/// The state of a file between commits.
pub(super) struct Chain {
    name: Arc<str>,
    /// The piece to commit next.
    next: u64,
    pub(super) pending: BTreeMap<u64, PieceRead>,
    /// Bytes of a byte order mark still to be passed over.
    skip: usize,
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
    carry_cells: Vec<Cell>,
    /// What precedes the carry.
    before: Before,
    sequence: u64,
    /// Pieces handed out, and calls for pieces under way.
    pub(super) handed_out: u64,
    pub(super) calls: usize,
    /// The stream has no more pieces to hand out.
    pub(super) ended: bool,
    /// The file has been committed to its end or to an error.
    pub(super) closed: bool,
    max_record_bytes: usize,
    /// Records with keys that no sample showed, and the place of the first with such a key.
    unknown_records: u64,
    first_unknown: Option<(Place, String)>,
}

impl Chain {
    pub(super) fn new(name: Arc<str>, skip: usize, max_record_bytes: usize) -> Self {
        Chain {
            name,
            next: 0,
            pending: BTreeMap::new(),
            skip,
            carry: Vec::new(),
            carry_cells: Vec::new(),
            before: Before { bytes: skip as u64, lines: 0, records: 0 },
            sequence: 0,
            handed_out: 0,
            calls: 0,
            ended: false,
            closed: false,
            max_record_bytes: max_record_bytes.min(MAX_RECORD_BYTES),
            unknown_records: 0,
            first_unknown: None,
        }
    }

    /// Commits whatever has its predecessors committed.
    pub(super) fn advance(&mut self, stream: &dyn TextStream, reader: &Reader, out: &mut Vec<Committed>) {
        while !self.closed {
            let Some(read) = self.pending.remove(&self.next) else { break };
            let id = PartitionId { file: reader.file, ordinal: self.next };
            self.next += 1;
            if let Err(error) = self.commit(stream, reader, id, read, out) {
                self.fail(id, error, out);
            }
        }
        if self.closed {
            self.pending.clear();
        } else if self.ended && self.calls == 0 && self.next == self.handed_out {
            self.close(stream, reader, out);
        }
    }

    fn commit(
        &mut self,
        stream: &dyn TextStream,
        reader: &Reader,
        id: PartitionId,
        mut read: PieceRead,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        let confirmed = stream.confirm(&mut read.piece);
        let as_read = matches!(confirmed, Ok(false));
        let skipped = self.skip.min(read.piece.text.len());
        self.skip -= skipped;
        match read.start.filter(|&start| as_read && start >= skipped) {
            Some(start) => {
                self.tell_between(reader, id, &read.piece, skipped..start, out)?;
                self.accept(id, read, start, out)?;
            }
            None => self.read_again(reader, id, &read.piece, skipped, out)?,
        }
        confirmed.map(|_| ())
    }

    /// The line that the carry begins and this part of the piece ends.
    fn tell_between(
        &mut self,
        reader: &Reader,
        id: PartitionId,
        piece: &Piece,
        part: std::ops::Range<usize>,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        if part.is_empty() && self.carry.is_empty() {
            return Ok(());
        }
        let (text, cells) = self.with_carry(piece, part);
        self.carry.clear();
        // A piece of a file that starts with a byte order mark has no line end before its start.
        let read = reader.read(&text, 0, &cells, true)?;
        self.tell(id, Told { text, cells, start: 0 }, read, CommittedRows::Between, out)
    }

    /// The piece counts as it was read.
    fn accept(&mut self, id: PartitionId, read: PieceRead, start: usize, out: &mut Vec<Committed>) -> Result<()> {
        let PieceRead { piece, text, .. } = read;
        self.keep_tail(&piece.text, text.tail, &piece.cells);
        let told = Told { text: piece.text, cells: piece.cells, start };
        self.tell(id, told, text, |_| CommittedRows::AsRead, out)
    }

    /// Reads the carry and the piece from the carry's start on.
    fn read_again(
        &mut self,
        reader: &Reader,
        id: PartitionId,
        piece: &Piece,
        skipped: usize,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        if memchr::memchr(b'\n', &piece.text[skipped..]).is_none() {
            // The line goes on behind the piece.
            let moved = cells_within(&piece.cells, skipped, piece.text.len(), self.carry.len());
            if self.carry.is_empty() {
                self.carry_cells.clear();
            }
            self.carry_cells.extend(moved);
            self.carry.extend_from_slice(&piece.text[skipped..]);
            let told = Told { text: Vec::new(), cells: Vec::new(), start: 0 };
            return self.tell(id, told, ReadText::default(), CommittedRows::Instead, out);
        }
        let (text, cells) = self.with_carry(piece, skipped..piece.text.len());
        let read = reader.read(&text, 0, &cells, false)?;
        self.keep_tail(&text, read.tail, &cells);
        self.tell(id, Told { text, cells, start: 0 }, read, CommittedRows::Instead, out)
    }

    /// The carry, then this part of the piece, and where positions start anew in it.
    fn with_carry(&self, piece: &Piece, part: std::ops::Range<usize>) -> (Vec<u8>, Vec<Cell>) {
        let mut text = Vec::with_capacity(self.carry.len() + part.len());
        text.extend_from_slice(&self.carry);
        text.extend_from_slice(&piece.text[part.clone()]);
        let mut cells = if self.carry.is_empty() { Vec::new() } else { self.carry_cells.clone() };
        cells.extend(cells_within(&piece.cells, part.start, part.end, self.carry.len()));
        (text, cells)
    }

    /// Makes `text[tail..]` the carry.
    fn keep_tail(&mut self, text: &[u8], tail: usize, cells: &[Cell]) {
        self.carry.clear();
        self.carry.extend_from_slice(&text[tail..]);
        self.carry_cells = cells_within(cells, tail, text.len(), 0);
    }

    /// Tells of rows, counts what precedes the text behind them, and reports what is malformed there.
    fn tell(
        &mut self,
        id: PartitionId,
        told: Told,
        read: ReadText,
        rows: impl FnOnce(Vec<SourceBatch>) -> CommittedRows,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        let before = self.before;
        self.before.bytes += (read.tail - told.start) as u64;
        self.before.lines += read.newlines;
        self.before.records += read.records;
        let place = TextPlace { name: Arc::clone(&self.name), told, before };
        let rejects = read.rejected.iter().map(|(line, broken)| Reject {
            position: positions_of(std::iter::once(line.start), &place.told.cells).next().unwrap_or_default(),
            place: place.of_offset(line.start, broken.at),
            reason: broken.what.into(),
            raw: place.told.text.get(line.clone()).unwrap_or_default().trim_ascii_end().to_vec(),
        });
        let rejects = rejects.collect();
        let malformed = read.malformed.map(|broken| {
            Error::new(ErrorKind::Malformed, broken.what).at(place.of_offset(read.tail, broken.at)).hint(MALFORMED)
        });
        self.unknown_records += read.unknown.records;
        if let Some((start, key)) = read.unknown.first.filter(|_| self.first_unknown.is_none()) {
            self.first_unknown = Some((place.of_offset(start, start), key));
        }
        out.push(Committed {
            records: read.records,
            locate: Some(Box::new(place)),
            rejects,
            ..Committed::new(id, self.sequence, rows(read.batches))
        });
        self.sequence += 1;
        match malformed {
            Some(error) => Err(error),
            None if read.too_long || self.carry.len() > self.max_record_bytes => Err(self.too_long()),
            None => Ok(()),
        }
    }

    fn too_long(&self) -> Error {
        let message = format!("a line is longer than {} bytes", self.max_record_bytes);
        let Before { bytes, lines, records } = self.before;
        let place = Place {
            file: Some(Arc::clone(&self.name)),
            record: Some(records + 1),
            line: Some(lines + 1),
            byte: Some(bytes),
            ..Place::default()
        };
        Error::new(ErrorKind::Limit, message).at(place).hint("is this NDJSON, one object a line?")
    }

    /// The file ends here: the carry is its last line, without a line end.
    fn close(&mut self, stream: &dyn TextStream, reader: &Reader, out: &mut Vec<Committed>) {
        let id = PartitionId { file: reader.file, ordinal: self.next };
        let result = stream.finish().and_then(|warning| {
            let text = std::mem::take(&mut self.carry);
            let cells = std::mem::take(&mut self.carry_cells);
            let read = reader.read(&text, 0, &cells, true)?;
            self.tell(id, Told { text, cells, start: 0 }, read, CommittedRows::Between, out)?;
            Ok(warning)
        });
        match result {
            Ok(warning) => {
                self.closed = true;
                if let Some(last) = out.last_mut() {
                    last.file_done = true;
                    let both = [warning, self.unknown_keys()];
                    last.warning = both.into_iter().flatten().reduce(|one, other| format!("{one}\n{other}"));
                }
            }
            Err(error) => self.fail(id, error, out),
        }
    }

    /// Tells of keys that are no columns.
    fn unknown_keys(&mut self) -> Option<String> {
        let (place, key) = self.first_unknown.take()?;
        let records = match self.unknown_records {
            1 => "1 record has".to_owned(),
            more => format!("{more} records have"),
        };
        Some(format!(
            "{place}: {records} keys that the samples did not show and that are left out, the first `{key}`\nhint: --types {key}=utf8 makes it a column"
        ))
    }

    fn fail(&mut self, id: PartitionId, error: Error, out: &mut Vec<Committed>) {
        self.closed = true;
        let nothing = CommittedRows::Between(Vec::new());
        out.push(Committed { error: Some(error), ..Committed::new(id, self.sequence, nothing) });
        self.sequence += 1;
    }
}

const MALFORMED: &str = "every line must be one JSON object; in a compressed file look for damage";

/// Text whose rows can be found again.
struct TextPlace {
    name: Arc<str>,
    told: Told,
    /// What precedes the records.
    before: Before,
}

/// A text that rows were read from.
struct Told {
    text: Vec<u8>,
    cells: Vec<Cell>,
    /// Where the records begin.
    start: usize,
}

impl TextPlace {
    /// The place of byte `at` of the record whose line begins at `line_start`.
    fn of_offset(&self, line_start: usize, at: usize) -> Place {
        let Told { text, start, .. } = &self.told;
        let before = &text[*start..line_start.clamp(*start, text.len())];
        let records = before.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        Place {
            file: Some(Arc::clone(&self.name)),
            record: Some(self.before.records + records + 1),
            line: Some(self.before.lines + count_newlines(before) + 1),
            byte: Some(self.before.bytes + at.saturating_sub(*start) as u64),
            ..Place::default()
        }
    }
}

impl Locate for TextPlace {
    fn place(&self, row: RowId) -> Place {
        let Told { text, cells, start } = &self.told;
        let cell = cells.iter().rev().find(|cell| cell.base <= row.position);
        let offset = cell.map_or(*start, |cell| {
            let within = usize::try_from(row.position - cell.base).unwrap_or(usize::MAX);
            cell.at.saturating_add(within).clamp(*start, text.len())
        });
        self.of_offset(offset, offset)
    }

    fn recycle(self: Box<Self>, scratch: &mut ScanScratch) {
        if scratch.text.spare_text.len() < SPARE_TEXTS {
            scratch.text.spare_text.push(self.told.text);
        }
    }
}

/// Spent text buffers that a worker keeps.
const SPARE_TEXTS: usize = 4;
