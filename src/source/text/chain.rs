//! One file's chain: pieces of text committed in order, and records that straddle them.

use super::place::{Before, TextPlace, Told};
use super::{Between, Flaw, ReadText, TextReader, count_line_ends};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::memory::{Budget, ByteSize, Reservation};
use crate::source::decompress::{Cell, Piece, TextStream, cells_within};
use crate::source::{Committed, CommittedRows, PartitionId, RejectedRecords, SourceBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A carry that is no longer is not accounted for by itself.
const SHORT_CARRY_BYTES: usize = 256 << 10;
/// How often a long carry is in memory while it is read.
const CARRY_COPIES: usize = 3;
/// No record is longer, so its end is not looked for any further.
const LONGEST_LOOKED_FOR: usize = 64 << 20;

/// A piece as it was read, waiting for its commit.
pub(in crate::source) struct PieceRead<R: TextReader> {
    pub(in crate::source) piece: Piece,
    /// The record start it was read from; `None` when none was found.
    pub(in crate::source) start: Option<usize>,
    /// What was read, its batches taken out.
    pub(in crate::source) read: ReadText<R>,
}

/// The state of a file between commits.
pub(in crate::source) struct Chain<R: TextReader> {
    name: Arc<str>,
    reader: Arc<R>,
    /// What the format keeps.
    pub(in crate::source) state: R::State,
    /// The piece to commit next.
    next: u64,
    pub(in crate::source) pending: BTreeMap<u64, PieceRead<R>>,
    /// Bytes before the first record still to be passed over.
    skip: usize,
    /// The beginning of a record whose end has not come yet.
    carry: Vec<u8>,
    carry_cells: Vec<Cell>,
    /// For a carry that is longer than what a worker has in its hands anyway.
    long_record: Reservation,
    /// It did not fit in memory: the error, and the bytes of the record so far. Its end is looked for, so that the error can say
    /// what would be enough.
    refused: Option<(Error, usize)>,
    /// So much of the carry is known not to be a complete record.
    looked_at: usize,
    /// What precedes the carry.
    before: Before,
    sequence: u64,
    /// Pieces handed out, and calls for pieces under way.
    pub(in crate::source) handed_out: u64,
    pub(in crate::source) calls: usize,
    /// The stream has no more pieces to hand out.
    pub(in crate::source) ended: bool,
    /// The file has been committed to its end or to an error.
    pub(in crate::source) closed: bool,
}

/// Where the carry and a piece meet.
pub(in crate::source) struct Joint<'a> {
    carry: &'a [u8],
    carry_cells: &'a [Cell],
    piece: &'a Piece,
    /// So much of the piece is passed over.
    skipped: usize,
    /// The guess: where a record starts in the piece.
    start: usize,
    /// Bytes of the file before the carry.
    pub(in crate::source) bytes_before: u64,
}

impl Joint<'_> {
    /// Length of the text up to the guess.
    pub(in crate::source) fn length(&self) -> usize {
        self.carry.len() + self.start - self.skipped
    }

    /// Bytes of the piece behind the guess.
    pub(in crate::source) fn bytes_behind(&self) -> usize {
        self.piece.text.len() - self.start
    }

    /// The carry, then the piece up to the guess and so much more of it, and where positions start anew in that.
    pub(in crate::source) fn text(&self, behind: usize) -> (Vec<u8>, Vec<Cell>) {
        joined(self.carry, self.carry_cells, self.piece, self.skipped, self.start + behind)
    }
}

/// The carry, then `piece.text[from..to]`, and where positions start anew in it.
fn joined(carry: &[u8], carry_cells: &[Cell], piece: &Piece, from: usize, to: usize) -> (Vec<u8>, Vec<Cell>) {
    let mut text = Vec::with_capacity(carry.len() + to - from);
    text.extend_from_slice(carry);
    text.extend_from_slice(&piece.text[from..to]);
    let mut cells = if carry.is_empty() { Vec::new() } else { carry_cells.to_vec() };
    cells.extend(cells_within(&piece.cells, from, to, carry.len()));
    (text, cells)
}

impl<R: TextReader> Chain<R> {
    /// Before the first piece of a file whose first record stands behind `skip` bytes and `lines` line ends. Records
    /// longer than a piece are on the account.
    pub(in crate::source) fn new(name: Arc<str>, reader: Arc<R>, skip: usize, lines: u64, budget: &Budget) -> Self {
        Chain {
            name,
            reader,
            state: R::State::default(),
            next: 0,
            pending: BTreeMap::new(),
            skip,
            carry: Vec::new(),
            carry_cells: Vec::new(),
            long_record: budget.reservation("a long record"),
            refused: None,
            looked_at: 0,
            before: Before { bytes: skip as u64, lines, records: 0 },
            sequence: 0,
            handed_out: 0,
            calls: 0,
            ended: false,
            closed: false,
        }
    }

    /// Commits whatever has its predecessors committed.
    pub(in crate::source) fn advance(&mut self, stream: &dyn TextStream, out: &mut Vec<Committed>) {
        while !self.closed {
            let Some(read) = self.pending.remove(&self.next) else { break };
            let id = self.id();
            self.next += 1;
            if let Err(error) = self.commit(stream, id, read, out) {
                self.fail(id, error, out);
            }
        }
        if self.closed {
            self.pending.clear();
            self.carry = Vec::new();
            // Giving back is never refused.
            let _ = self.long_record.resize(0);
        } else if self.ended && self.calls == 0 && self.next == self.handed_out {
            self.close(stream, out);
        }
    }

    fn id(&self) -> PartitionId {
        PartitionId { file: self.reader.file(), ordinal: self.next }
    }

    fn commit(
        &mut self,
        stream: &dyn TextStream,
        id: PartitionId,
        mut read: PieceRead<R>,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        let confirmed = stream.confirm(&mut read.piece);
        if self.refused.is_some() {
            confirmed?;
            return self.look_for_end(id, &read, out);
        }
        let as_read = matches!(confirmed, Ok(false));
        let skipped = self.skip.min(read.piece.text.len());
        // What is skipped was passed over by the reader itself when all of it lies in the first piece.
        let skips_alike = self.skip == 0 || read.start == Some(self.skip);
        self.skip -= skipped;
        let more = &read.piece.text[skipped..];
        if as_read && self.reader.waits(&self.state, self.carry.len(), self.looked_at, more) {
            self.put_off(id, &read.piece, skipped, out)?;
        } else if as_read && skips_alike && self.confirm_start(id, &read, skipped, out)? {
            self.accept(id, read, out)?;
        } else {
            self.read_again(id, &read.piece, skipped, out)?;
        }
        confirmed.map(|_| ())
    }

    /// The piece becomes part of the carry.
    fn put_off(&mut self, id: PartitionId, piece: &Piece, skipped: usize, out: &mut Vec<Committed>) -> Result<()> {
        if self.carry.is_empty() {
            self.carry_cells.clear();
        }
        self.carry_cells.extend(cells_within(&piece.cells, skipped, piece.text.len(), self.carry.len()));
        self.carry.extend_from_slice(&piece.text[skipped..]);
        out.push(Committed::new(id, self.sequence, CommittedRows::Instead(Vec::new())));
        self.sequence += 1;
        self.hold_carry()
    }

    /// Asks for the memory of a long carry: itself, joined to what follows, and the value that it becomes.
    fn hold_carry(&mut self) -> Result<()> {
        let length = self.carry.capacity();
        let bytes = if length > SHORT_CARRY_BYTES { CARRY_COPIES * length } else { 0 };
        if let Err(error) = self.long_record.resize(bytes) {
            self.refused = Some((error.at(self.place_of_carry()), self.carry.len()));
            (self.carry, self.carry_cells) = Default::default();
            // Giving back is never refused.
            let _ = self.long_record.resize(0);
        }
        Ok(())
    }

    /// Passes over a piece, up to the end of a record that did not fit in memory.
    fn look_for_end(&mut self, id: PartitionId, read: &PieceRead<R>, out: &mut Vec<Committed>) -> Result<()> {
        let Some((_, bytes)) = &mut self.refused else { return Ok(()) };
        *bytes += read.start.unwrap_or(read.piece.text.len());
        if read.start.is_some() || *bytes > LONGEST_LOOKED_FOR {
            return self.refused_record();
        }
        out.push(Committed::new(id, self.sequence, CommittedRows::Instead(Vec::new())));
        self.sequence += 1;
        Ok(())
    }

    /// The error of a record that did not fit, with a limit that has room for it.
    fn refused_record(&mut self) -> Result<()> {
        let Some((error, bytes)) = self.refused.take() else { return Ok(()) };
        // A carry that grows is at most twice as long as it need be; and rows, sinks and results have their part.
        let wanted = bytes.saturating_mul(2 * CARRY_COPIES);
        let limit = self.long_record.limit_bytes().saturating_add(wanted.saturating_mul(3));
        Err(error.hint(format!(
            "raise the memory limit (--memory, OUTCROP_MEMORY); {} would be enough for this record of some {}",
            ByteSize(limit as u64).rounded_up(),
            ByteSize(bytes as u64)
        )))
    }

    /// Whether the carry and the text before the guess are complete records; if so they are told of.
    fn confirm_start(
        &mut self,
        id: PartitionId,
        read: &PieceRead<R>,
        skipped: usize,
        out: &mut Vec<Committed>,
    ) -> Result<bool> {
        let Some(start) = read.start else { return Ok(false) };
        let joint = Joint {
            carry: &self.carry,
            carry_cells: &self.carry_cells,
            piece: &read.piece,
            skipped,
            start,
            bytes_before: self.before.bytes,
        };
        match self.reader.between(&mut self.state, &joint)? {
            Between::Wrong => Ok(false),
            Between::Nothing => Ok(true),
            Between::Text(text, cells, between) => {
                self.carry.clear();
                self.looked_at = 0;
                let told = Told { text, cells, ..Told::default() };
                self.tell(id, told, between, CommittedRows::Between, out)?;
                Ok(true)
            }
        }
    }

    /// The piece counts as it was read.
    fn accept(&mut self, id: PartitionId, read: PieceRead<R>, out: &mut Vec<Committed>) -> Result<()> {
        let PieceRead { piece, start, read } = read;
        self.keep_tail(&piece.text, read.tail, &piece.cells);
        let told = Told { text: piece.text, cells: piece.cells, start: start.unwrap_or(0), ..Told::default() };
        self.tell(id, told, read, |_| CommittedRows::AsRead, out)?;
        self.hold_carry()
    }

    /// Reads the carry and the piece from the carry's start on.
    fn read_again(&mut self, id: PartitionId, piece: &Piece, skipped: usize, out: &mut Vec<Committed>) -> Result<()> {
        let (text, cells) = joined(&self.carry, &self.carry_cells, piece, skipped, piece.text.len());
        let mark = self.reader.mark(&self.state);
        let read = self.reader.read_certain(&mut self.state, &text, &cells, self.before.bytes, false)?;
        self.keep_tail(&text, read.tail, &cells);
        self.tell(id, Told { text, cells, mark, ..Told::default() }, read, CommittedRows::Instead, out)?;
        self.hold_carry()
    }

    /// Makes `text[tail..]` the carry.
    fn keep_tail(&mut self, text: &[u8], tail: usize, cells: &[Cell]) {
        self.carry.clear();
        if self.carry.capacity() > SHORT_CARRY_BYTES {
            self.carry.shrink_to(text.len() - tail);
        }
        self.carry.extend_from_slice(&text[tail..]);
        self.looked_at = self.carry.len();
        self.carry_cells = cells_within(cells, tail, text.len(), 0);
    }

    /// Tells of rows, counts what precedes the text behind them, and reports what is malformed there.
    fn tell(
        &mut self,
        id: PartitionId,
        told: Told<R::Mark>,
        read: ReadText<R>,
        rows: impl FnOnce(Vec<SourceBatch>) -> CommittedRows,
        out: &mut Vec<Committed>,
    ) -> Result<()> {
        let before = self.before;
        let ReadText { batches, tail, records, newlines, malformed, too_long, rejects, reasons, notes } = read;
        self.before.bytes += (tail - told.start) as u64;
        self.before.lines += newlines;
        self.before.records += records;
        let malformed = malformed.map(|flaw| self.malformed(&told.text, tail, flaw));
        let mut committed = Committed::new(id, self.sequence, rows(batches));
        committed.records = records;
        let mut records = rejects;
        for reject in &mut records {
            reject.byte += before.bytes;
            reject.line += before.lines + 1;
        }
        committed.rejects = RejectedRecords { file: Some(Arc::clone(&self.name)), records, reasons };
        self.reader.tell(&mut self.state, notes, &told, &before, &mut committed);
        let (name, reader) = (Arc::clone(&self.name), Arc::clone(&self.reader));
        committed.locate = Some(Box::new(TextPlace { name, told, before, reader }));
        out.push(committed);
        self.sequence += 1;
        match malformed {
            Some(error) => Err(error),
            None => match self.reader.too_long(too_long, self.carry.len()) {
                None => Ok(()),
                Some((message, hint)) => {
                    Err(Error::new(ErrorKind::Limit, message).at(self.place_of_carry()).hint(hint))
                }
            },
        }
    }

    fn place_of_carry(&self) -> Place {
        Place {
            file: Some(Arc::clone(&self.name)),
            record: Some(self.before.records + 1),
            line: Some(self.before.lines + 1),
            byte: Some(self.before.bytes),
            ..Place::default()
        }
    }

    /// The error for the malformed record at `tail`; what precedes it has been counted.
    fn malformed(&self, text: &[u8], tail: usize, flaw: Flaw) -> Error {
        let place = Place {
            line: Some(self.before.lines + 1 + count_line_ends(&text[tail..flaw.at], self.reader.line_end())),
            byte: Some(self.before.bytes + (flaw.at - tail) as u64),
            ..self.place_of_carry()
        };
        Error::new(ErrorKind::Malformed, flaw.message).at(place).hint(flaw.hint)
    }

    /// The file ends here: the carry is its last record, without a line end.
    fn close(&mut self, stream: &dyn TextStream, out: &mut Vec<Committed>) {
        let id = self.id();
        let result = stream.finish().and_then(|warning| {
            self.refused_record()?;
            let text = std::mem::take(&mut self.carry);
            let cells = std::mem::take(&mut self.carry_cells);
            let mark = self.reader.mark(&self.state);
            let read = self.reader.read_certain(&mut self.state, &text, &cells, self.before.bytes, true)?;
            self.tell(id, Told { text, cells, start: 0, mark, at_end: true }, read, CommittedRows::Between, out)?;
            Ok(warning)
        });
        match result {
            Ok(warning) => {
                self.closed = true;
                if let Some(last) = out.last_mut() {
                    last.file_done = true;
                    let both = [warning, self.reader.last_warning(&mut self.state)];
                    last.warning = both.into_iter().flatten().reduce(|one, other| format!("{one}\n{other}"));
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
