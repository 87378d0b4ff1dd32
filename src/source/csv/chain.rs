//! One file's chain: pieces of text committed in order, records that straddle them, and the places of rows.
//!
//! A piece was read from a guessed record start on. The text before the guess, put behind what the piece before left
//! over (the *carry*), must be complete records; if so the guess was right and the piece counts as read. Otherwise
//! the carry and the piece are read again from the carry's start, which is certain. Where broken records are set aside,
//! what follows the guess may be needed to tell that a record before it is broken.
//!
//! A record that spans many pieces is looked at again only when the carry has doubled, so that it costs time in
//! proportion to its length.

use super::batches::{ReadText, Reader, Tally, describe};
use super::index::RecordIndex;
use super::open::place_in;
use super::options::MalformedPolicy;
use super::record::{Malformed, scan_record};
use super::split::count_lines;
use super::take::{Counted, LINE_END_BYTES, Long, Overlong, Rules, Span, Trouble};
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::source::decompress::{Cell, Piece, TextStream, cells_within, positions_of};
use crate::source::{Committed, CommittedRows, Locate, Named, PartitionId, Reject, ScanScratch, SourceBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A piece as it was read, waiting for its commit.
pub(super) struct PieceRead {
    pub(super) piece: Piece,
    /// The record start it was read from; `None` when none was found.
    pub(super) start: Option<usize>,
    pub(super) tail: usize,
    pub(super) malformed: Option<Malformed>,
    pub(super) tally: Tally,
}

/// Records may not be longer, whatever is asked for: offsets are 32 bits wide.
pub(super) const MAX_RECORD_BYTES: usize = 1 << 29;

/// A carry from this length on waits until it has doubled before it is looked at again.
const PATIENT_FROM_BYTES: usize = 1 << 20;

/// Text behind a guess that is looked at first for the end of a record before it.
const NEAR_BYTES: usize = 16 << 10;

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
    /// So much of the carry is known not to be a complete record.
    carry_read: usize,
    pub(super) patient_from: usize,
    /// What a record longer than the limit has left behind.
    overlong: Overlong,
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
}

impl Chain {
    pub(super) fn new(name: Arc<str>, skip: usize, header_lines: u64) -> Self {
        Chain {
            name,
            next: 0,
            pending: BTreeMap::new(),
            skip,
            carry: Vec::new(),
            carry_cells: Vec::new(),
            carry_read: 0,
            patient_from: PATIENT_FROM_BYTES,
            overlong: Overlong::default(),
            before: Before { bytes: skip as u64, lines: header_lines, records: 0 },
            sequence: 0,
            handed_out: 0,
            calls: 0,
            ended: false,
            closed: false,
            index: RecordIndex::new(),
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
        if as_read && self.is_patient(reader, read.piece.text.len() - skipped) {
            self.put_off(id, &read.piece, skipped, out);
        } else if as_read && skips_alike && self.confirm_start(reader, id, &read, skipped, out)? {
            self.accept(reader, id, read, out)?;
        } else {
            self.read_again(reader, id, &read.piece, skipped, out)?;
        }
        confirmed.map(|_| ())
    }

    /// Whether so much more text is no reason yet to look at the carry again.
    fn is_patient(&self, reader: &Reader, more: usize) -> bool {
        let length = self.carry.len() + more;
        self.carry.len() >= self.patient_from.max(1)
            && length < 2 * self.carry_read
            && length <= reader.rules.max_record_bytes
    }

    /// The piece becomes part of the carry.
    fn put_off(&mut self, id: PartitionId, piece: &Piece, skipped: usize, out: &mut Vec<Committed>) {
        let length = piece.text.len();
        self.carry_cells.extend(cells_within(&piece.cells, skipped, length, self.carry.len()));
        self.carry.extend_from_slice(&piece.text[skipped..]);
        out.push(Committed::new(id, self.sequence, CommittedRows::Instead(Vec::new())));
        self.sequence += 1;
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
        let until = self.carry.len() + start - skipped;
        if self.overlong.discarding || self.overlong.lines_until > self.before.bytes {
            return Ok(false);
        }
        if until == 0 {
            return Ok(true);
        }
        let length = read.piece.text.len();
        let mut end = start;
        loop {
            let (text, cells) = self.with_carry(&read.piece, skipped, end);
            let span = Span { text: &text, from: 0, until, at_end: false };
            self.index.clear();
            let taken = reader.rules.take(span, usize::MAX, &mut self.index, Long::Stop);
            if taken.consumed == until || taken.malformed.is_some() {
                let between = reader.read(span, &cells, &mut self.index, None)?;
                self.carry.clear();
                self.carry_read = 0;
                self.tell(
                    reader,
                    id,
                    Told { text, cells, start: 0, overlong: Overlong::default(), at_end: false },
                    between,
                    CommittedRows::Between,
                    out,
                )?;
                return Ok(true);
            }
            let may_be_broken = reader.rules.malformed != MalformedPolicy::Error && taken.consumed < until;
            if !may_be_broken || taken.too_long || end == length {
                return Ok(false);
            }
            end = length.min(end + NEAR_BYTES.max(4 * (end - start)));
        }
    }

    /// The piece counts as it was read.
    fn accept(&mut self, reader: &Reader, id: PartitionId, read: PieceRead, out: &mut Vec<Committed>) -> Result<()> {
        let PieceRead { piece, start, tail, malformed, tally } = read;
        self.keep_tail(&piece.text, tail, &piece.cells);
        let done = ReadText { tail, malformed, tally, ..ReadText::default() };
        let (start, overlong) = (start.unwrap_or(0), Overlong::default());
        let told = Told { text: piece.text, cells: piece.cells, start, overlong, at_end: false };
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
        let overlong = self.overlong;
        let read = self.read_certain(reader, &text, &cells, false)?;
        self.keep_tail(&text, read.tail, &cells);
        self.tell(
            reader,
            id,
            Told { text, cells, start: 0, overlong, at_end: false },
            read,
            CommittedRows::Instead,
            out,
        )
    }

    /// Reads text that begins where the carry does.
    fn read_certain(&mut self, reader: &Reader, text: &[u8], cells: &[Cell], at_end: bool) -> Result<ReadText> {
        let span = Span { text, from: 0, until: text.len(), at_end };
        reader.read(span, cells, &mut self.index, Some((self.before.bytes, &mut self.overlong)))
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
        self.carry_read = self.carry.len();
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
        let place = |bytes: u64, lines: u64| Place {
            line: Some(before.lines + lines + 1),
            byte: Some(before.bytes + bytes),
            ..place_in(&self.name)
        };
        let placed = |reject: Reject| {
            let at = place(reject.place.byte.unwrap_or(0), reject.place.line.unwrap_or(0));
            Reject { place: at, ..reject }
        };
        let named = |counted: &Counted| Named {
            positions: positions_of(counted.starts.iter().copied(), &told.cells).collect(),
            first: counted.starts.first().map(|at| place((at - told.start) as u64, counted.lines_before_first)),
        };
        let Tally { records, newlines, rejects, padded, repeated_headers } = read.tally;
        let (padded, repeated_headers) = (named(&padded), named(&repeated_headers));
        let rejects = rejects.into_iter().map(placed).collect();
        self.before.bytes += (read.tail - told.start) as u64;
        self.before.lines += newlines;
        self.before.records += records;
        let malformed = read.malformed.map(|malformed| self.malformed(reader, &told.text, read.tail, malformed));
        let name = Arc::clone(&self.name);
        let locate = TextPlace { name, told, before, rules: reader.rules.clone() };
        out.push(Committed {
            records,
            locate: Some(Box::new(locate)),
            rejects,
            padded,
            repeated_headers,
            ..Committed::new(id, self.sequence, rows(read.batches))
        });
        self.sequence += 1;
        let most = reader.rules.max_record_bytes.saturating_add(LINE_END_BYTES);
        let is_error = reader.rules.malformed == MalformedPolicy::Error;
        match malformed {
            Some(error) => Err(error),
            None if is_error && (read.too_long || self.carry.len() > most) => Err(self.too_long(reader)),
            None => Ok(()),
        }
    }

    fn too_long(&self, reader: &Reader) -> Error {
        let (message, hint) = describe(Trouble::TooLong(reader.rules.max_record_bytes));
        Error::new(ErrorKind::Limit, message).at(self.place_of_carry()).hint(hint)
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
    fn malformed(&self, reader: &Reader, text: &[u8], tail: usize, malformed: Malformed) -> Error {
        let (message, hint) = describe(Trouble::Malformed(malformed.kind));
        let place = Place {
            record: Some(self.before.records + 1),
            line: Some(self.before.lines + 1 + count_lines(&text[tail..malformed.at], &reader.rules.dialect)),
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
            let overlong = self.overlong;
            let read = self.read_certain(reader, &text, &cells, true)?;
            self.tell(
                reader,
                id,
                Told { text, cells, start: 0, overlong, at_end: true },
                read,
                CommittedRows::Between,
                out,
            )?;
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

/// Text whose rows can be found again.
struct TextPlace {
    name: Arc<str>,
    told: Told,
    /// What precedes the records.
    before: Before,
    rules: Rules,
}

/// A text that rows were read from.
struct Told {
    text: Vec<u8>,
    cells: Vec<Cell>,
    /// Where the records begin.
    start: usize,
    /// What a record before them left behind.
    overlong: Overlong,
    /// The file ends where the text does.
    at_end: bool,
}

impl TextPlace {
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
            line: Some(self.before.lines + lines + 1),
            byte: Some(self.before.bytes + (offset - self.told.start) as u64),
            ..place_in(&self.name)
        }
    }
}

impl Locate for TextPlace {
    fn place(&self, row: RowId) -> Place {
        let Told { text, start, overlong, at_end, .. } = &self.told;
        let offset = self.offset(row);
        let mut index = RecordIndex::new();
        let span = Span { text, from: *start, until: offset, at_end: *at_end };
        let base = self.before.bytes.saturating_sub(*start as u64);
        self.rules.take(span, usize::MAX, &mut index, Long::Pass(base, &mut overlong.clone()));
        Place {
            record: Some(self.before.records + index.records() as u64 + 1),
            ..self.place_at(offset, count_lines(&text[*start..offset], &self.rules.dialect))
        }
    }

    fn records(&self, rows: &[RowId]) -> Vec<(Place, Vec<u8>)> {
        let Told { text, start, .. } = &self.told;
        let (mut counted_to, mut lines) = (*start, 0);
        let record = |&row: &RowId| {
            let offset = self.offset(row).max(counted_to);
            lines += count_lines(&text[counted_to..offset], &self.rules.dialect);
            counted_to = offset;
            let found = scan_record(text, offset, &self.rules.dialect, true, 0, &mut Vec::new());
            let end = found.map_or(text.len(), |record| record.next);
            (self.place_at(offset, lines), self.rules.without_line_end(&text[offset..end]).to_vec())
        };
        rows.iter().map(record).collect()
    }

    fn recycle(self: Box<Self>, scratch: &mut ScanScratch) {
        if scratch.text.spare_text.len() < SPARE_TEXTS {
            scratch.text.spare_text.push(self.told.text);
        }
    }
}

/// Spent text buffers that a worker keeps.
const SPARE_TEXTS: usize = 4;
