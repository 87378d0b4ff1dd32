//! The chain under a scripted stream: cuts anywhere, commits in any order, calls that overlap the end, text replaced
//! or damaged at its confirmation. Each record comes once, in order, at its place, and the file ends once.

use super::batches::Reader;
use super::column::ColumnSpec;
use super::fields::Format;
use super::options::{CsvOptions, MalformedPolicy};
use super::source::CsvSource;
use super::take::{Headers, Rules};
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::{Cell, Next, Piece, Scratch, TextStream};
use crate::source::text::{Chain, PieceRead, ReadText, TextReader};
use crate::source::{
    CancelToken, Committed, CommittedRows, Named, PartitionId, Read, Scan, ScanRequest, ScanScratch, Source,
    SourceBatch, Ticket,
};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// A header with a line end in it, and records as they stand in the file with the fields they hold. The last has no
/// line end.
const HEADER: &str = "\"long\nname\",v\n";
const RECORDS: [(&str, &str); 8] = [
    ("1,a\n", "1|a"),
    ("2,\"b\nb\"\n", "2|b\nb"),
    ("3,\"c,\"\"c\n4,x\n\"\r\n", "3|c,\"c\n4,x\n"),
    ("\n5,d\n", "5|d"),
    ("6,\"\"\n", "6|"),
    ("7,\"\n\n8,\"\n", "7|\n\n8,"),
    ("9,e\n", "9|e"),
    ("10,f", "10|f"),
];

fn text() -> String {
    HEADER.to_owned() + &RECORDS.map(|(raw, _)| raw).concat()
}

/// A row as it came: its fields, its position, and the byte, line and record that its place says.
pub(super) type Row = (String, u64, u64, u64, u64);

/// The rows that are right.
fn truth() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut before = HEADER.to_owned();
    for (record, (raw, fields)) in (1..).zip(RECORDS) {
        let blank = raw.len() - raw.trim_start_matches('\n').len();
        let byte = (before.len() + blank) as u64;
        let lines = before.matches('\n').count() + blank;
        rows.push((fields.to_owned(), byte, byte, lines as u64 + 1, record));
        before.push_str(raw);
    }
    rows
}

/// What happens to a piece when it is confirmed.
enum Fate {
    Replaced(Vec<u8>),
    DamagedFrom(usize),
}

/// Hands out the pieces of a text cut at given places, and confirms them as told.
pub(super) struct Script {
    next: Mutex<VecDeque<Next>>,
    fates: HashMap<u64, Fate>,
    finish: Result<Option<String>>,
}

impl Script {
    /// `cuts` ascend; equal ones make empty pieces.
    pub(super) fn new(text: &[u8], cuts: &[usize]) -> Self {
        let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([text.len()]).collect();
        let piece = |(ordinal, bounds): (usize, &[usize])| {
            Next::Piece(Piece {
                ordinal: ordinal as u64,
                text: text[bounds[0]..bounds[1]].to_vec(),
                cells: vec![Cell { at: 0, base: bounds[0] as u64 }],
                claim: Box::new(()),
                damage: None,
                stored_bytes: (bounds[1] - bounds[0]) as u64,
            })
        };
        let next = bounds.windows(2).enumerate().map(piece).collect();
        Script { next: Mutex::new(next), fates: HashMap::new(), finish: Ok(None) }
    }

    /// What the piece holds before its confirmation is replaced by `provisional`.
    fn replaced(mut self, at: u64, provisional: &[u8]) -> Self {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Next::Piece(piece)) = next.get_mut(at as usize) {
            let right = std::mem::replace(&mut piece.text, provisional.to_vec());
            self.fates.insert(at, Fate::Replaced(right));
        }
        drop(next);
        self
    }

    fn damaged(mut self, at: u64, from: usize) -> Self {
        self.fates.insert(at, Fate::DamagedFrom(from));
        self
    }
}

fn damage() -> Error {
    Error::new(ErrorKind::Malformed, "damaged")
}

impl TextStream for Script {
    fn next(&self, _: &mut Scratch, _: bool) -> Result<Next> {
        Ok(self.next.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Next::End))
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        match self.fates.get(&piece.ordinal) {
            None => Ok(false),
            Some(Fate::Replaced(right)) => {
                piece.text.clone_from(right);
                Ok(true)
            }
            Some(Fate::DamagedFrom(from)) => {
                piece.text.truncate(*from);
                Err(damage())
            }
        }
    }

    fn finish(&self) -> Result<Option<String>> {
        self.finish.clone()
    }
}

/// Numbers that look random (a linear congruential generator; its high bits are the better ones).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn reader(batch_bytes: usize) -> Reader {
    let column =
        |index| ColumnSpec { index, column_type: ColumnType::Utf8, declared: false, date_format: Default::default() };
    let field = |name: &str| Field::new(name, DataType::Utf8View, true);
    Reader {
        file: 0,
        rules: Rules {
            dialect: Format::default().dialect,
            fields: 2,
            malformed: MalformedPolicy::Error,
            headers: Headers::of(HEADER.trim_end().as_bytes(), &Format::default().dialect),
            max_record_bytes: 1 << 20,
        },
        format: Format::default(),
        specs: vec![column(0), column(1)],
        schema: Arc::new(Schema::new(vec![field("long\nname"), field("v")])),
        filter: None,
        batch_bytes,
    }
}

/// What came of a file.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) rows: Vec<Row>,
    pub(super) records: u64,
    next_sequence: u64,
    pub(super) files_done: usize,
    pub(super) error: Option<Error>,
    warning: Option<String>,
    /// Byte, line, reason and text of each.
    pub(super) rejects: Vec<(u64, u64, String, Vec<u8>)>,
    pub(super) padded: Vec<Named>,
    pub(super) headers: Vec<Named>,
}

impl Told {
    /// Takes what became certain; `read` are the batches that `Scan::read` gave for the partition.
    fn take(&mut self, item: Committed, read: impl FnOnce() -> Option<Vec<SourceBatch>>) {
        assert!(self.error.is_none() && self.files_done == 0, "something follows the end");
        assert_eq!(item.sequence, self.next_sequence, "commits are numbered in order");
        self.next_sequence += 1;
        let batches = match item.rows {
            CommittedRows::AsRead => {
                read().expect("a partition counts as read, but was not read or has counted before")
            }
            CommittedRows::Instead(batches) => {
                read().expect("a partition is replaced that was not read or has counted before");
                batches
            }
            CommittedRows::Between(batches) => batches,
        };
        for Batch { records, origin } in batches.into_iter().map(|source| source.batch) {
            for row in 0..records.num_rows() {
                let field = |column: &ArrayRef| match column.is_null(row) {
                    true => "∅".to_owned(),
                    false => column.as_string_view().value(row).to_owned(),
                };
                let id = origin.row_id(row);
                let place = item.locate.as_ref().expect("rows have places").place(id);
                let [byte, line, record] = [place.byte, place.line, place.record].map(Option::unwrap_or_default);
                let fields: Vec<String> = records.columns().iter().map(field).collect();
                self.rows.push((fields.join("|"), id.position, byte, line, record));
            }
        }
        self.records += item.records;
        for reject in &item.rejects.records {
            let place = item.rejects.place(reject);
            assert_eq!(Some(reject.position), place.byte);
            let raw = reject.raw(item.locate.as_ref().expect("rejects have a text").text()).to_vec();
            self.rejects.push((reject.byte, reject.line, item.rejects.reason(reject).to_string(), raw));
        }
        self.padded.push(item.padded);
        self.headers.push(item.repeated_headers);
        self.files_done += usize::from(item.file_done);
        self.error = item.error;
        self.warning = item.warning.or(self.warning.take());
    }
}

/// Workers of one file whose calls, reads and commits interleave by dice, in the steps that a scan takes.
pub(super) struct Interleaving {
    chain: Chain<Reader>,
    reader: Arc<Reader>,
    script: Script,
    calls: Vec<Next>,
    waiting: Vec<PieceRead<Reader>>,
    provisional: BTreeMap<u64, Vec<SourceBatch>>,
    told: Told,
    skip: usize,
}

impl Interleaving {
    fn run(script: Script, batch_bytes: usize, dice: &mut Dice) -> Told {
        Interleaving::over(script, reader(batch_bytes), HEADER, dice)
    }

    pub(super) fn over(script: Script, reader: Reader, header: &str, dice: &mut Dice) -> Told {
        let (skip, lines) = (header.len(), header.matches('\n').count() as u64);
        let reader = Arc::new(reader);
        let mut chain =
            Chain::new(Arc::from("f.csv"), Arc::clone(&reader), skip, lines, &crate::memory::Budget::unlimited());
        if dice.below(2) == 0 {
            chain.state.patient_from = dice.below(20);
        }
        let told = Told::default();
        let (calls, waiting, provisional) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut all = Interleaving { chain, reader, script, calls, waiting, provisional, told, skip };
        loop {
            let may_call = !all.chain.closed && !all.chain.ended && all.calls.len() < 3;
            match dice.below(3) {
                0 if may_call => all.begin_call(dice),
                1 if !all.calls.is_empty() => all.end_call(dice),
                2 if !all.waiting.is_empty() => all.commit(dice),
                _ if !may_call && all.calls.is_empty() && all.waiting.is_empty() => return all.told,
                _ => {}
            }
        }
    }

    fn begin_call(&mut self, dice: &mut Dice) {
        self.chain.calls += 1;
        let next = match dice.below(4) {
            0 => Next::Busy,
            _ => self.script.next(&mut Scratch::default(), false).unwrap(),
        };
        self.calls.push(next);
    }

    fn end_call(&mut self, dice: &mut Dice) {
        let next = self.calls.swap_remove(dice.below(self.calls.len()));
        self.chain.calls -= 1;
        match next {
            Next::Piece(piece) => {
                self.chain.handed_out += 1;
                self.read(piece);
            }
            // The end may have been found while this call was under way, and then waits for it.
            Next::Busy if self.chain.ended => self.advance(),
            Next::Busy => {}
            Next::End => {
                self.chain.ended = true;
                self.advance();
            }
        }
    }

    fn read(&mut self, piece: Piece) {
        let start = match piece.ordinal {
            0 => Some(self.skip).filter(|&start| start <= piece.text.len()),
            _ => self.reader.first_record(&piece.text),
        };
        let ordinal = piece.ordinal;
        let mut read = match start {
            Some(start) => self.reader.read(&piece.text, start, &piece.cells, &mut ScanScratch::default()).unwrap(),
            None => ReadText::from(piece.text.len()),
        };
        let batches = std::mem::take(&mut read.batches);
        let read = PieceRead { piece, start, read };
        self.provisional.insert(ordinal, batches);
        self.waiting.push(read);
    }

    fn commit(&mut self, dice: &mut Dice) {
        let read = self.waiting.swap_remove(dice.below(self.waiting.len()));
        self.chain.pending.insert(read.piece.ordinal, read);
        self.advance();
    }

    fn advance(&mut self) {
        let mut committed = Vec::new();
        self.chain.advance(&self.script, &mut committed);
        for item in committed {
            let ordinal = item.id.ordinal;
            self.told.take(item, || self.provisional.remove(&ordinal));
        }
    }
}

/// Cuts at every pair of places, and many at once.
fn all_cuts(length: usize, dice: &mut Dice) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..=length).flat_map(|a| (a..=length).map(move |b| vec![a, b])).collect();
    all.push((0..=length).collect());
    for _ in 0..200 {
        let mut cuts: Vec<usize> = (0..dice.below(12)).map(|_| dice.below(length + 1)).collect();
        cuts.sort_unstable();
        all.push(cuts);
    }
    all
}

fn is_whole(told: &Told, truth: &[Row], how: &dyn std::fmt::Debug) {
    assert_eq!(told.rows, truth, "{how:?}");
    assert_eq!((told.files_done, told.records), (1, truth.len() as u64), "{how:?}");
    assert!(told.error.is_none(), "{how:?}");
}

#[test]
fn each_record_comes_once_and_the_file_ends_once_wherever_it_is_cut() {
    let (text, truth, mut dice) = (text(), truth(), Dice(1));
    for cuts in all_cuts(text.len(), &mut dice) {
        let batch_bytes = [1, 1 << 18][dice.below(2)];
        let told = Interleaving::run(Script::new(text.as_bytes(), &cuts), batch_bytes, &mut dice);
        is_whole(&told, &truth, &cuts);
    }
}

#[test]
fn text_replaced_at_its_confirmation_is_read_anew() {
    let (text, truth, mut dice) = (text(), truth(), Dice(2));
    for cuts in all_cuts(text.len(), &mut dice) {
        let at = dice.below(cuts.len() + 1) as u64;
        let wrong: &[u8] = [&b"0,wrong\n0,wrong\n"[..], b"", b"0,\"wrong", b"ragged\nragged\n"][dice.below(4)];
        let script = Script::new(text.as_bytes(), &cuts).replaced(at, wrong);
        is_whole(&Interleaving::run(script, 1 << 18, &mut dice), &truth, &(cuts, at, wrong));
    }
}

#[test]
fn damage_ends_the_file_behind_the_records_that_are_whole_before_it() {
    let (text, truth, mut dice) = (text(), truth(), Dice(3));
    let ends: Vec<usize> = RECORDS
        .iter()
        .scan(HEADER.len(), |end, (raw, _)| {
            *end += raw.len();
            Some(*end)
        })
        .collect();
    for cuts in all_cuts(text.len(), &mut dice) {
        let at = dice.below(cuts.len() + 1);
        let start = if at == 0 { 0 } else { cuts[at - 1] };
        let length = cuts.get(at).copied().unwrap_or(text.len()) - start;
        let from = dice.below(length + 1);
        // The last record has no line end, so it is whole only where the file ends well.
        let whole = ends[..ends.len() - 1].iter().filter(|&&end| end <= start + from).count();
        let script = Script::new(text.as_bytes(), &cuts).damaged(at as u64, from);
        let told = Interleaving::run(script, 1 << 18, &mut dice);
        assert_eq!(told.rows, truth[..whole], "{cuts:?}, piece {at} from {from}");
        assert_eq!((told.files_done, told.records), (0, whole as u64), "{cuts:?}, piece {at} from {from}");
        assert_eq!(told.error.map(|error| error.to_string()), Some("damaged".to_owned()));
    }
}

#[test]
fn a_stream_that_ends_badly_has_no_file_done_and_no_last_record() {
    let (text, truth, mut dice) = (text(), truth(), Dice(4));
    for cuts in all_cuts(text.len(), &mut dice) {
        let script = Script { finish: Err(damage()), ..Script::new(text.as_bytes(), &cuts) };
        let told = Interleaving::run(script, 1 << 18, &mut dice);
        assert_eq!(told.rows, truth[..truth.len() - 1], "{cuts:?}");
        assert_eq!((told.files_done, told.error.is_some()), (0, true), "{cuts:?}");
        let script = Script { finish: Ok(Some("garbage".to_owned())), ..Script::new(text.as_bytes(), &cuts) };
        let told = Interleaving::run(script, 1 << 18, &mut dice);
        assert_eq!(told.warning.as_deref(), Some("garbage"), "{cuts:?}");
        is_whole(&told, &truth, &cuts);
    }
}

#[test]
fn a_malformed_record_is_reported_at_one_place_behind_what_precedes_it() {
    let truth = truth();
    for (trouble, kept) in [("x,y,z\n", 4), ("x\n", 4), ("x,\"y\"z\n", 4), ("x,\"never", 8)] {
        let mut dice = Dice(5);
        let records = RECORDS.map(|(raw, _)| raw);
        // Behind the last record, which lacks its line end, the trouble begins a line of its own.
        let line_end = if kept == records.len() { "\n" } else { "" };
        let (before, behind) = (records[..kept].concat(), records[kept..].concat());
        let text = [HEADER, &before, line_end, trouble, &behind].concat();
        let mut first: Option<String> = None;
        for cuts in all_cuts(text.len(), &mut dice) {
            let told = Interleaving::run(Script::new(text.as_bytes(), &cuts), 1 << 18, &mut dice);
            let error = told.error.expect("the record is malformed").to_string();
            assert_eq!(told.rows, truth[..kept], "{trouble:?} {cuts:?}");
            assert_eq!((told.files_done, told.records), (0, kept as u64), "{trouble:?} {cuts:?}");
            let first = first.get_or_insert_with(|| error.clone());
            assert_eq!(*first, error, "{trouble:?} {cuts:?}");
        }
    }
}

#[test]
fn files_without_records_end_once() {
    for text in ["", HEADER, &(HEADER.to_owned() + "\n\r\n\n")] {
        let mut dice = Dice(6);
        for cuts in all_cuts(text.len(), &mut dice) {
            // A file that lost its header between the samples and the pass has no records either.
            is_whole(&Interleaving::run(Script::new(text.as_bytes(), &cuts), 1, &mut dice), &[], &(text, cuts));
        }
    }
}

/// Reads real files through a scan, committing in the order of the dice.
fn scan(source: &CsvSource, piece_bytes: usize, dice: &mut Dice) -> Vec<Told> {
    let request = ScanRequest {
        columns: vec![0, 1],
        filter: None,
        coded: Arc::default(),
        skip: None,
        workers: 100,
        piece_bytes,
        batch_bytes: 1 + dice.below(100),
        cancel: CancelToken::new(),
        budget: crate::memory::Budget::unlimited(),
    };
    let scan: Box<dyn Scan> = source.scan(request).unwrap();
    let mut scratch = ScanScratch::default();
    let mut told: Vec<Told> = vec![Told::default(), Told::default()];
    let mut waiting: Vec<Ticket> = Vec::new();
    let mut provisional: BTreeMap<PartitionId, Vec<SourceBatch>> = BTreeMap::new();
    loop {
        let mut ended = false;
        let committed = if waiting.is_empty() || dice.below(3) > 0 {
            match scan.read(&mut scratch, false).unwrap() {
                Read::Partition(ticket, batches) => {
                    provisional.insert(ticket.id, batches);
                    waiting.push(ticket);
                    Vec::new()
                }
                Read::Committed(committed) => committed,
                Read::Busy => Vec::new(),
                Read::End => {
                    ended = waiting.is_empty();
                    Vec::new()
                }
            }
        } else {
            scan.commit(waiting.swap_remove(dice.below(waiting.len())))
        };
        for item in committed {
            let id = item.id;
            told[id.file as usize].take(item, || provisional.remove(&id));
        }
        if ended {
            return told;
        }
    }
}

#[test]
fn scans_of_real_files_commit_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let (text, truth) = (text(), truth());
    let paths: Vec<_> = ["0.csv", "1.csv.gz"].iter().map(|name| folder.path().join(name)).collect();
    std::fs::write(&paths[0], &text).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    std::fs::write(&paths[1], encoder.finish().unwrap()).unwrap();
    let types = vec![("long\nname".to_owned(), ColumnType::Utf8), ("v".to_owned(), ColumnType::Utf8)];
    let source = CsvSource::open(&paths, CsvOptions { types, ..CsvOptions::default() }).unwrap();
    let mut dice = Dice(7);
    for piece_bytes in 1..=text.len() {
        for told in scan(&source, piece_bytes, &mut dice) {
            is_whole(&told, &truth, &piece_bytes);
        }
    }
}
