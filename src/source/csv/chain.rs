//! One file's chain: pieces of text committed in order, records that straddle them, and the places of rows.
//!
//! A piece was read from a guessed record start on. The text before the guess, put behind what the piece before left
//! over (the *carry*), must be complete records; if so the guess was right and the piece counts as read. Otherwise
//! the carry and the piece are read again from the carry's start, which is certain.

use super::batches::{ReadText, Reader};
use super::dialect::Dialect;
use super::index::RecordIndex;
use super::open::place_in;
use super::record::{Malformed, MalformedKind};
use super::split::{Limits, count_lines, split};
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::source::decompress::{Cell, Piece, TextStream};
use crate::source::{Committed, CommittedRows, Locate, PartitionId, ScanScratch, SourceBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A piece as it was read, waiting for its commit.
pub(super) struct PieceRead {
    pub(super) piece: Piece,
    /// The record start it was read from; `None` when none was found.
    pub(super) start: Option<usize>,
    pub(super) tail: usize,
    pub(super) malformed: Option<Malformed>,
    pub(super) records: u64,
    pub(super) newlines: u64,
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
    /// Bytes of header still to be passed over.
    skip: usize,
    /// The beginning of a record whose end has not come yet.
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
    index: RecordIndex,
    max_record_bytes: usize,
}

impl Chain {
    pub(super) fn new(name: Arc<str>, skip: usize, header_lines: u64, max_record_bytes: usize) -> Self {
        Chain {
            name,
            next: 0,
            pending: BTreeMap::new(),
            skip,
            carry: Vec::new(),
            carry_cells: Vec::new(),
            before: Before { bytes: skip as u64, lines: header_lines, records: 0 },
            sequence: 0,
            handed_out: 0,
            calls: 0,
            ended: false,
            closed: false,
            index: RecordIndex::new(),
            max_record_bytes: max_record_bytes.min(MAX_RECORD_BYTES),
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
        // The header was passed over by the reader itself when all of it lies in the first piece.
        let skips_alike = self.skip == 0 || read.start == Some(self.skip);
        self.skip -= skipped;
        if as_read && skips_alike && self.confirm_start(reader, id, &read, skipped, out)? {
            self.accept(reader, id, read, out)?;
        } else {
            self.read_again(reader, id, &read.piece, skipped, out)?;
        }
        confirmed.map(|_| ())
    }

    /// Whether the carry and the text before the guess are complete records; if so they are told of.
    fn confirm_start(
        &mut self,
        reader: &Reader,
        id: PartitionId,
        read: &PieceRead,
        skipped: usize,
        out: &mut Vec<Committed>,
    ) -> Result<bool> {
        let Some(start) = read.start else { return Ok(false) };
        if start == skipped && self.carry.is_empty() {
            return Ok(true);
        }
        let (text, cells) = self.with_carry(&read.piece, skipped, start);
        self.index.clear();
        let part = split(&text, 0, &reader.format.dialect, reader.fields, false, Limits::NONE, &mut self.index);
        if part.malformed.is_none() && part.consumed < text.len() {
            return Ok(false);
        }
        let between = reader.read(&text, 0, &cells, false, &mut self.index)?;
        self.tell(reader, id, Told { text, cells, start: 0 }, between, CommittedRows::Between, out)?;
        self.carry.clear();
        Ok(true)
    }

    /// The piece counts as it was read.
    fn accept(&mut self, reader: &Reader, id: PartitionId, read: PieceRead, out: &mut Vec<Committed>) -> Result<()> {
        let PieceRead { piece, start, tail, malformed, records, newlines } = read;
        self.keep_tail(&piece.text, tail, &piece.cells);
        let done = ReadText { batches: Vec::new(), tail, malformed, records, newlines };
        let told = Told { text: piece.text, cells: piece.cells, start: start.unwrap_or(0) };
        self.tell(reader, id, told, done, |_| CommittedRows::AsRead, out)
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
        let (text, cells) = self.with_carry(piece, skipped, piece.text.len());
        let read = reader.read(&text, 0, &cells, false, &mut self.index)?;
        self.keep_tail(&text, read.tail, &cells);
        self.tell(reader, id, Told { text, cells, start: 0 }, read, CommittedRows::Instead, out)
    }

    /// The carry, then `piece.text[from..to]`, and where positions start anew in it.
    fn with_carry(&self, piece: &Piece, from: usize, to: usize) -> (Vec<u8>, Vec<Cell>) {
        let mut text = Vec::with_capacity(self.carry.len() + to - from);
        text.extend_from_slice(&self.carry);
        text.extend_from_slice(&piece.text[from..to]);
        let mut cells = if self.carry.is_empty() { Vec::new() } else { self.carry_cells.clone() };
        cells.extend(cells_within(&piece.cells, from, to, self.carry.len()));
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
        reader: &Reader,
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
        let malformed =
            read.malformed.map(|malformed| self.malformed(&told.text, read.tail, malformed, &reader.format.dialect));
        let name = Arc::clone(&self.name);
        let locate = TextPlace { name, told, before, dialect: reader.format.dialect, fields: reader.fields };
        out.push(Committed {
            records: read.records,
            locate: Some(Box::new(locate)),
            ..Committed::new(id, self.sequence, rows(read.batches))
        });
        self.sequence += 1;
        match malformed {
            Some(error) => Err(error),
            None if self.carry.len() > self.max_record_bytes => Err(self.too_long()),
            None => Ok(()),
        }
    }

    fn too_long(&self) -> Error {
        let message = format!("a record is longer than {} bytes", self.max_record_bytes);
        Error::new(ErrorKind::Limit, message)
            .at(self.place_of_carry())
            .hint("is a quote never closed? --quote none reads quotes as text")
    }

    fn place_of_carry(&self) -> Place {
        Place {
            record: Some(self.before.records + 1),
            line: Some(self.before.lines + 1),
            byte: Some(self.before.bytes),
            ..place_in(&self.name)
        }
    }

    /// The error for the malformed record at `tail`; what precedes it has been counted.
    fn malformed(&self, text: &[u8], tail: usize, malformed: Malformed, dialect: &Dialect) -> Error {
        let (message, hint) = match malformed.kind {
            MalformedKind::TooFew { found } => (format!("the record has {found} fields, too few"), RAGGED),
            MalformedKind::TooMany { found } => (format!("the record has {found} fields, too many"), RAGGED),
            MalformedKind::UnterminatedQuote => {
                ("a quote is opened here and never closed".to_owned(), "--quote none reads quotes as text")
            }
            MalformedKind::TextAfterQuote => (
                "text follows a closing quote".to_owned(),
                "inside quotes a quote is written twice; --quote none reads quotes as text",
            ),
        };
        let place = Place {
            record: Some(self.before.records + 1),
            line: Some(self.before.lines + 1 + count_lines(&text[tail..malformed.at], dialect)),
            byte: Some(self.before.bytes + (malformed.at - tail) as u64),
            ..place_in(&self.name)
        };
        Error::new(ErrorKind::Malformed, message).at(place).hint(hint)
    }

    /// The file ends here: the carry is its last record, without a line end.
    fn close(&mut self, stream: &dyn TextStream, reader: &Reader, out: &mut Vec<Committed>) {
        let id = PartitionId { file: reader.file, ordinal: self.next };
        let result = stream.finish().and_then(|warning| {
            let text = std::mem::take(&mut self.carry);
            let cells = std::mem::take(&mut self.carry_cells);
            let read = reader.read(&text, 0, &cells, true, &mut self.index)?;
            self.tell(reader, id, Told { text, cells, start: 0 }, read, CommittedRows::Between, out)?;
            Ok(warning)
        });
        match result {
            Ok(warning) => {
                self.closed = true;
                if let Some(last) = out.last_mut() {
                    last.file_done = true;
                    last.warning = warning;
                }
            }
            Err(error) => self.fail(id, error, out),
        }
    }

    fn fail(&mut self, id: PartitionId, error: Error, out: &mut Vec<Committed>) {
        self.closed = true;
        let nothing = CommittedRows::Between(Vec::new());
        out.push(Committed { error: Some(error), ..Committed::new(id, self.sequence, nothing) });
        self.sequence += 1;
    }
}

const RAGGED: &str = "every record needs as many fields as the header; look for a stray delimiter, quote or line end, \
    and in a gzip or zstd file for damage (gzip -t, zstd -t)";

/// The cells of `text[from..to]`, moved so that `from` lies at `to_offset`.
fn cells_within(cells: &[Cell], from: usize, to: usize, to_offset: usize) -> Vec<Cell> {
    let mut within: Vec<Cell> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.at < to || cell.at == from) {
        if cell.at <= from {
            within.clear();
            within.push(Cell { at: to_offset, base: cell.base + (from - cell.at) as u64 });
        } else {
            within.push(Cell { at: cell.at - from + to_offset, base: cell.base });
        }
    }
    within
}

/// Text whose rows can be found again.
struct TextPlace {
    name: Arc<str>,
    told: Told,
    /// What precedes the records.
    before: Before,
    dialect: Dialect,
    fields: usize,
}

/// A text that rows were read from.
struct Told {
    text: Vec<u8>,
    cells: Vec<Cell>,
    /// Where the records begin.
    start: usize,
}

impl Locate for TextPlace {
    fn place(&self, row: RowId) -> Place {
        let Told { text, cells, start } = &self.told;
        let cell = cells.iter().rev().find(|cell| cell.base <= row.position);
        let offset = cell.map_or(*start, |cell| {
            let within = usize::try_from(row.position - cell.base).unwrap_or(usize::MAX);
            cell.at.saturating_add(within).clamp(*start, text.len())
        });
        let lines = count_lines(&text[*start..offset], &self.dialect);
        let mut index = RecordIndex::new();
        split(&text[..offset], *start, &self.dialect, self.fields, true, Limits::NONE, &mut index);
        Place {
            record: Some(self.before.records + index.records() as u64 + 1),
            line: Some(self.before.lines + lines + 1),
            byte: Some(self.before.bytes + (offset - start) as u64),
            ..place_in(&self.name)
        }
    }

    fn recycle(self: Box<Self>, scratch: &mut ScanScratch) {
        if scratch.text.spare_text.len() < SPARE_TEXTS {
            scratch.text.spare_text.push(self.told.text);
        }
    }
}

/// Spent text buffers that a worker keeps.
const SPARE_TEXTS: usize = 4;
