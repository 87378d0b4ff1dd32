//! Trouble and company: whatever goes wrong in a file, a question has the same answer or error, the same warnings and
//! the same count of recoded fields however the file is stored, cut and threaded, and whoever is asked beside it.
//!
//! Each situation states what is right; then it is asked alone, streamed, and beside companions that have troubles of
//! their own, in several ways of running. All differences are gathered before a test fails.

mod common;

use outcrop::error::Error;
use outcrop::frame::{CsvScan, DataFrame, LazyFrame, Runner, Value};
use outcrop::types::ColumnType;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Of so many records the schema looks at every other one, so that odd rows can surprise.
const RECORDS: usize = 1001;

/// The columns: `k` cycles through a, b, c; `i` through 0 to 6; `y` and `d` are the companions'; `t` is text.
const HEADER: &str = "k,i,y,d,t\n";
const I: usize = 1;
const Y: usize = 2;
const D: usize = 3;
const T: usize = 4;

/// Rows at which companions meet their own trouble.
const Y_WIDENS: usize = 801;
const D_IS_ZERO: usize = 901;

/// Questions that stand beside the one tested: plain, widening, stopping early, rejecting every row, failing.
const COMPANIONS: [&str; 5] =
    ["count(*) as n", "sum(y) as s", "k limit 3", "k where k = 'zzz'", "sum(10 // d) as quotient"];

/// How a file is stored, cut and read.
#[derive(Clone, Copy, Debug)]
struct Way {
    ending: &'static str,
    threads: usize,
    piece_bytes: usize,
    batch_bytes: usize,
}

const fn way(ending: &'static str, threads: usize, piece_bytes: usize, batch_bytes: usize) -> Way {
    Way { ending, threads, piece_bytes, batch_bytes }
}

/// The first is the one the others are held to.
const WAYS: [Way; 9] = [
    way("csv", 1, 1 << 20, 1 << 18),
    way("csv", 2, 1000, 50),
    way("csv.bz2", 3, 1, 50),
    way("csv", 3, 100, 1),
    way("csv.gz", 2, 100, 1 << 18),
    way("csv", 4, 7, 1 << 18),
    way("csv.gz", 4, 7, 1),
    way("csv.bz2", 1, 1 << 20, 1),
    way("csv", 1, 1, 50),
];

impl Way {
    fn runner(self) -> Runner {
        Runner::new().threads(self.threads).piece_bytes(self.piece_bytes).batch_bytes(self.batch_bytes)
    }
}

/// What is right for the question alone.
enum Expected {
    /// Types of the columns, and the number of rows.
    Rows(&'static str, usize),
    /// Types of the columns, and the values of the only row.
    Values(&'static str, &'static str),
    /// Words of the error, its kind among them.
    Error(&'static [&'static str]),
    /// Either; but always the same.
    Same,
}

struct Situation {
    name: &'static str,
    files: Vec<Vec<u8>>,
    /// The column `i` is declared to be Int64.
    declared: bool,
    question: &'static str,
    expected: Expected,
    /// Fields recoded and warnings given, where stated.
    notes: Option<(u64, usize)>,
}

fn situation(name: &'static str, edits: &[Edit], question: &'static str, expected: Expected) -> Situation {
    let notes = if matches!(expected, Expected::Same) { None } else { Some((0, 0)) };
    Situation { name, files: vec![file(edits)], declared: false, question, expected, notes }
}

impl Situation {
    fn declared(mut self) -> Self {
        self.declared = true;
        self
    }

    fn notes(mut self, recoded: u64, warnings: usize) -> Self {
        self.notes = Some((recoded, warnings));
        self
    }

    fn then_file(mut self, edits: &[Edit]) -> Self {
        self.files.push(file(edits));
        self
    }
}

/// Something put into a row, counted from 0: a raw field, or one field too many.
enum Edit {
    Field(usize, usize, &'static [u8]),
    Ragged(usize),
}

use Edit::{Field, Ragged};

fn file(edits: &[Edit]) -> Vec<u8> {
    let mut text = HEADER.as_bytes().to_vec();
    for row in 0..RECORDS {
        let i = (row % 7).to_string();
        let mut fields = [&b"abc"[row % 3..=row % 3], i.as_bytes(), b"1", b"2", b"w"];
        fields[Y] = if row == Y_WIDENS { b"2.5" } else { b"1" };
        fields[D] = if row == D_IS_ZERO { b"0" } else { b"2" };
        let mut line_end: &[u8] = b"\n";
        for edit in edits {
            match edit {
                Field(at, column, raw) if *at == row => fields[*column] = raw,
                Ragged(at) if *at == row => line_end = b",extra\n",
                _ => {}
            }
        }
        text.extend_from_slice(&fields.join(&b','));
        text.extend_from_slice(line_end);
    }
    text
}

/// The text as a file with this ending stores it, compressed in several streams or members.
fn stored(text: &[u8], ending: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in text.chunks(1500) {
        match ending {
            "csv.bz2" => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut bytes, bzip2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            "csv.gz" => {
                let mut encoder = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            }
            _ => bytes.extend_from_slice(part),
        }
    }
    bytes
}

/// The situation's files in every ending, described.
fn frames(folder: &Path, situation: &Situation) -> BTreeMap<&'static str, LazyFrame> {
    let open = |ending: &&'static str| {
        let write = |(at, text): (usize, &Vec<u8>)| {
            let path = folder.join(format!("{at}.{ending}"));
            std::fs::write(&path, stored(text, ending)).unwrap();
            path
        };
        let paths: Vec<_> = situation.files.iter().enumerate().map(write).collect();
        let mut scan = CsvScan::new(paths);
        if situation.declared {
            scan = scan.with_type("i", ColumnType::Int64);
        }
        (*ending, scan.open().unwrap())
    };
    ["csv", "csv.bz2", "csv.gz"].iter().map(open).collect()
}

/// An answer, doubles to the bit and without the bounds of batches; or an error with all it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Answer { types: String, rows: Vec<String> },
    Error(String),
}

impl Outcome {
    fn of(frame: &DataFrame) -> Self {
        let mut rows = Vec::new();
        for batch in frame.batches().map(Result::unwrap) {
            for row in 0..batch.num_rows() {
                let value = |column| match Value::of(column, row).unwrap() {
                    Value::Float64(number) => format!("{number}#{:016x}", number.to_bits()),
                    Value::Utf8(text) => text,
                    Value::Int64(number) => number.to_string(),
                    other => format!("{other:?}"),
                };
                rows.push(batch.columns().iter().map(|column| value(&**column)).collect::<Vec<_>>().join(" "));
            }
        }
        let fields = frame.schema().fields().iter();
        let types = fields.map(|field| ColumnType::from_arrow(field.data_type()).unwrap().to_string());
        Outcome::Answer { types: types.collect::<Vec<_>>().join(" "), rows }
    }

    fn failed(error: &Error, folder: &Path) -> Self {
        Outcome::Error(format!("{:?}: {}", error.kind(), plain_name(&error.to_string(), folder)))
    }

    /// At most a few rows of it, for messages.
    fn short(&self) -> String {
        match self {
            Outcome::Error(error) => error.clone(),
            Outcome::Answer { types, rows } => {
                format!("[{types}] {} rows {:?}", rows.len(), &rows[..rows.len().min(4)])
            }
        }
    }
}

/// Names of files as if they were neither compressed nor in a folder.
fn plain_name(message: &str, folder: &Path) -> String {
    message.replace(&format!("{}/", folder.display()), "").replace(".csv.bz2", ".csv").replace(".csv.gz", ".csv")
}

/// What one run gave: a list of answers or the one error, what was told, and the count of recoded fields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    outcomes: Result<Vec<Outcome>, Outcome>,
    told: BTreeSet<String>,
    recoded: u64,
}

impl Found {
    /// Of a run of one question.
    fn only(&self) -> &Outcome {
        self.outcomes.as_ref().map_or_else(|error| error, |answers| &answers[0])
    }

    fn short(&self) -> String {
        let outcomes = match &self.outcomes {
            Ok(answers) => answers.iter().map(Outcome::short).collect::<Vec<_>>().join("; "),
            Err(error) => error.short(),
        };
        format!("{outcomes}, {} recoded, told {:?}", self.recoded, self.told)
    }
}

fn compute(frame: &LazyFrame, folder: &Path, questions: &[&str], way: Way) -> Found {
    let frames: Vec<LazyFrame> = questions.iter().map(|question| frame.ask(question).unwrap()).collect();
    match way.runner().run::<_, Vec<DataFrame>>(frames) {
        Ok(run) => Found {
            outcomes: Ok(run.value.iter().map(Outcome::of).collect()),
            told: run.warnings.iter().map(|warning| plain_name(&warning.0, folder)).collect(),
            recoded: run.statistics.fields_recoded,
        },
        Err(error) => Found { outcomes: Err(Outcome::failed(&error, folder)), told: BTreeSet::new(), recoded: 0 },
    }
}

/// The outcome of a streamed question, what was told, and whether rows had gone out before an error.
fn streamed(frame: &LazyFrame, folder: &Path, question: &str, way: Way) -> (Outcome, BTreeSet<String>, bool) {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let (listener, name) = (Arc::clone(&told), folder.to_owned());
    let listen = move |warning: &outcrop::exec::Warning| {
        listener.lock().unwrap().insert(plain_name(&warning.0, &name));
    };
    let options = way.runner().on_warning(listen).options().clone();
    let stream = frame.ask(question).unwrap().iter_batches_with(options).unwrap();
    let mut schema = stream.schema();
    let (mut batches, mut error) = (Vec::new(), None);
    for item in stream {
        match item {
            Ok(batch) => batches.push(batch),
            Err(found) => error = Some(found),
        }
    }
    if let Some(batch) = batches.first() {
        schema = batch.schema();
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    let outcome = match &error {
        Some(error) => Outcome::failed(error, folder),
        None => Outcome::of(&DataFrame::new(schema, batches.clone())),
    };
    (outcome, told, batches.iter().any(|batch| batch.num_rows() > 0))
}

/// Whether the outcome is what the situation says it should be.
fn is_right(situation: &Situation, found: &Found) -> bool {
    let outcome = match (&situation.expected, found.only()) {
        (_, Outcome::Error(error)) if error.starts_with("Internal") => false,
        (Expected::Same, _) => true,
        (Expected::Rows(types, count), Outcome::Answer { types: found, rows }) => {
            types == found && rows.len() == *count
        }
        (Expected::Values(types, values), Outcome::Answer { types: found, rows }) => {
            let shown: Vec<String> = rows.iter().map(|row| without_bits(row)).collect();
            types == found && shown == [*values]
        }
        (Expected::Error(words), Outcome::Error(error)) => words.iter().all(|word| error.contains(word)),
        _ => false,
    };
    let answered = found.outcomes.is_ok();
    let noted = situation.notes.is_none_or(|notes| !answered || notes == (found.recoded, found.told.len()));
    outcome && noted
}

fn without_bits(row: &str) -> String {
    row.split(' ').map(|value| value.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

/// Holds a situation to everything said above; returns what is wrong.
fn faults(situation: &Situation, faults: &mut Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let frames = frames(folder, situation);
    let question = situation.question;
    let mut fault = |how: String, found: &str, right: &str| {
        faults.push(format!("{}: `{question}` {how}\n    found {found}\n    right {right}", situation.name));
    };
    let alone = compute(&frames["csv"], folder, &[question], WAYS[0]);
    if !is_right(situation, &alone) {
        fault("alone".into(), &alone.short(), "as the situation says");
    }
    for way in &WAYS[1..] {
        let found = compute(&frames[way.ending], folder, &[question], *way);
        if found != alone {
            fault(format!("alone, {way:?}"), &found.short(), &alone.short());
        }
    }
    for way in [WAYS[0], WAYS[1], WAYS[2], WAYS[5]] {
        let (outcome, told, went_out) = streamed(&frames[way.ending], folder, question, way);
        let too_late = went_out && matches!(&outcome, Outcome::Error(error) if error.contains("have already been"));
        let told_alike = alone.outcomes.is_err() || told == alone.told;
        let alike = outcome == *alone.only() && told_alike;
        if !too_late && !alike {
            fault(format!("streamed, {way:?}"), &format!("{}, told {told:?}", outcome.short()), &alone.short());
        }
    }
    for (at, companion) in COMPANIONS.iter().enumerate() {
        let other = compute(&frames["csv"], folder, &[companion], WAYS[0]);
        let mut first_error = None;
        for (turn, way) in [WAYS[0], WAYS[1 + at % 4], WAYS[5 + at % 4]].into_iter().enumerate() {
            let found = match turn % 2 {
                0 => compute(&frames[way.ending], folder, &[question, companion], way),
                _ => turned(compute(&frames[way.ending], folder, &[companion, question], way)),
            };
            if let Err(right) = in_company(&found, &alone, &other) {
                fault(format!("beside `{companion}`, {way:?}"), &found.short(), &right);
            }
            if let Err(error) = found.outcomes {
                let first = first_error.get_or_insert_with(|| error.clone());
                if *first != error {
                    fault(format!("beside `{companion}`, {way:?}"), &error.short(), &first.short());
                }
            }
        }
    }
}

/// With the answers in the opposite order.
fn turned(mut found: Found) -> Found {
    if let Ok(answers) = &mut found.outcomes {
        answers.reverse();
    }
    found
}

/// Two questions have the answers that each has alone, and all is told that each is told alone; or the run fails with
/// the error of one of them.
fn in_company(found: &Found, alone: &Found, other: &Found) -> Result<(), String> {
    let errors: Vec<&Outcome> = [alone, other].iter().filter_map(|one| one.outcomes.as_ref().err()).collect();
    if errors.is_empty() {
        let outcomes = Ok(vec![alone.only().clone(), other.only().clone()]);
        let told = alone.told.union(&other.told).cloned().collect();
        let right = Found { outcomes, told, recoded: alone.recoded + other.recoded };
        if *found == right { Ok(()) } else { Err(right.short()) }
    } else {
        let own = matches!(&found.outcomes, Err(error) if errors.contains(&error));
        if own { Ok(()) } else { Err(format!("one of {errors:?}")) }
    }
}

fn hold(situations: &[Situation]) {
    let mut found = Vec::new();
    for situation in situations {
        faults(situation, &mut found);
    }
    assert!(found.is_empty(), "{} faults\n{}", found.len(), found.join("\n"));
}

const NINE: &[u8] = b"9";
const HALF: &[u8] = b"2.5";
const WORD: &[u8] = b"word";
const LATIN: &[u8] = b"caf\xe9";

#[test]
fn what_stands_behind_the_last_row_of_a_limit_does_not_exist() {
    use Expected::Rows;
    let quotient = "k, 10 // (i - 9) as q limit 5";
    hold(&[
        situation("error far behind", &[Field(500, I, NINE)], quotient, Rows("Utf8 Int64", 5)),
        situation("error in the next row", &[Field(5, I, NINE)], quotient, Rows("Utf8 Int64", 5)),
        situation("widening far behind", &[Field(601, I, HALF)], "k, i limit 5", Rows("Utf8 Int64", 5)),
        situation("text in the next row", &[Field(5, I, WORD)], "k, i limit 5", Rows("Utf8 Int64", 5)),
        situation("text far behind", &[Field(601, I, WORD)], "k, i + 1 as j limit 5", Rows("Utf8 Int64", 5)),
        situation("ragged far behind", &[Ragged(950)], "k, i limit 5", Rows("Utf8 Int64", 5)),
        situation("ragged next", &[Ragged(5)], "k, i limit 5", Rows("Utf8 Int64", 5)),
        situation("recoded far behind", &[Field(601, T, LATIN)], "k, t limit 5", Rows("Utf8 Utf8", 5)),
        situation(
            "error behind the rows a filter keeps",
            &[Field(9, I, NINE)],
            "k, 10 // (i - 9) as q where k = 'a' limit 3",
            Rows("Utf8 Int64", 3),
        ),
        situation("misfit of a declared type behind", &[Field(601, I, WORD)], "i limit 5", Rows("Int64", 5)).declared(),
        situation("error in a later file", &[], quotient, Rows("Utf8 Int64", 5)).then_file(&[Field(1, I, NINE)]),
        situation("text behind in a later file", &[], "i limit 1003", Rows("Int64", 1003))
            .then_file(&[Field(3, I, WORD)]),
    ]);
}

#[test]
fn what_stands_before_the_last_row_of_a_limit_matters() {
    use Expected::{Error, Rows};
    let quotient = "k, 10 // (i - 9) as q limit 5";
    hold(&[
        situation("error in the last row", &[Field(4, I, NINE)], quotient, Error(&["Arithmetic", "0.csv", "line 6,"])),
        situation(
            "limit not met: error",
            &[Field(500, I, NINE)],
            "k, 10 // (i - 9) as q limit 5000",
            Error(&["Arithmetic", "0.csv", "line 502,"]),
        ),
        situation("limit not met: widening", &[Field(601, I, HALF)], "i limit 5000", Rows("Float64", RECORDS))
            .notes(0, 1),
        situation("limit not met: text", &[Field(601, I, WORD)], "k, i limit 5000", Rows("Utf8 Utf8", RECORDS))
            .notes(0, 1),
        situation("widening in the last row", &[Field(5, I, HALF)], "i limit 6", Rows("Float64", 6)).notes(0, 1),
        situation("limit not met: ragged", &[Ragged(950)], "k limit 5000", Error(&["Malformed", "0.csv", "line 952"])),
        situation("ragged before the last row", &[Ragged(3)], "k limit 5", Error(&["Malformed", "0.csv", "line 5"])),
        situation("sorted: all rows count", &[Field(601, I, HALF)], "i sort i desc limit 5", Rows("Float64", 5))
            .notes(0, 1),
        situation(
            "error in a later file",
            &[],
            "10 // (i - 9) as q limit 1003",
            Error(&["Arithmetic", "1.csv", "line 3,"]),
        )
        .then_file(&[Field(1, I, NINE)]),
        situation(
            "recoded within and behind",
            &[Field(3, T, LATIN), Field(600, T, LATIN)],
            "t limit 5",
            Rows("Utf8", 5),
        )
        .notes(1, 1),
    ]);
}

#[test]
fn a_filter_that_rejects_every_row_leaves_nothing_to_trouble() {
    use Expected::{Error, Rows, Values};
    hold(&[
        situation("no rows, text", &[Field(601, I, WORD)], "k, i where k = 'zzz'", Rows("Utf8 Int64", 0)),
        situation("no rows, sum", &[Field(601, I, WORD)], "sum(i) as s where k = 'zzz'", Values("Int64", "Null")),
        situation("no rows, error", &[Field(500, I, NINE)], "10 // (i - 9) as q where k = 'zzz'", Rows("Int64", 0)),
        situation("no rows, limit", &[Field(601, I, HALF)], "k, i where k = 'zzz' limit 5", Rows("Utf8 Int64", 0)),
        situation("no rows, constants", &[], "1 + 1 as two, 'x' as x where k = 'zzz'", Rows("Int64 Utf8", 0)),
        situation("no rows, sums of constants", &[], "sum(1 + 1) as s where k = 'zzz'", Values("Int64", "Null")),
        situation("no rows, declared", &[Field(601, I, WORD)], "i where k = 'zzz'", Rows("Int64", 0)).declared(),
        situation("no rows, recoded", &[Field(601, T, LATIN)], "t where k = 'zzz'", Rows("Utf8", 0)),
        situation("structure counts", &[Ragged(950)], "k where k = 'zzz'", Error(&["Malformed", "line 952"])),
    ]);
}

#[test]
fn a_late_value_widens_as_if_the_type_had_been_known() {
    use Expected::{Error, Rows, Values};
    hold(&[
        situation("double, rows", &[Field(601, I, HALF)], "k, i", Rows("Utf8 Float64", RECORDS)).notes(0, 1),
        situation(
            "double, sum",
            &[Field(607, I, HALF)],
            "max(i) as m, sum(i) as s",
            Values("Float64 Float64", "6 3000.5"),
        )
        .notes(0, 1),
        situation("double, groups", &[Field(601, I, HALF)], "count(*) as n by i", Rows("Float64 Int64", 8)).notes(0, 1),
        situation("text, rows", &[Field(601, I, WORD)], "k, i", Rows("Utf8 Utf8", RECORDS)).notes(0, 1),
        situation(
            "text, last",
            &[Field(601, I, WORD)],
            "max(i) as m, count(i) as n",
            Values("Utf8 Int64", "word 1001"),
        )
        .notes(0, 1),
        situation("text, sum", &[Field(601, I, WORD)], "sum(i) as s", Error(&["Type", "0.csv", "line 603,", "word"])),
        situation("text, turned away", &[Field(601, I, WORD)], "sum(i) as s where k = 'a'", Rows("Int64", 1)),
        situation("double, filtered by itself", &[Field(601, I, HALF)], "k where i > 5", Rows("Utf8", 142)).notes(0, 1),
        situation("text and a number beyond", &[Field(601, I, WORD)], "k where i > 5", Error(&["Type", "line 603"])),
        situation("first and last row", &[Field(1, I, HALF), Field(999, I, HALF)], "i", Rows("Float64", RECORDS))
            .notes(0, 1),
        situation(
            "recoded beside",
            &[Field(300, T, LATIN), Field(601, I, HALF)],
            "i, t",
            Rows("Float64 Utf8", RECORDS),
        )
        .notes(1, 2),
        situation("text in a later file", &[], "i", Rows("Utf8", 2 * RECORDS))
            .then_file(&[Field(601, I, WORD)])
            .notes(0, 1),
    ]);
}

#[test]
fn a_misfit_of_a_declared_type_fails_only_who_reads_it() {
    use Expected::{Error, Rows, Values};
    let misfit = || [Field(601, I, WORD)];
    let located: &[&str] = &["Value", "0.csv", "line 603,", "column `i`", "word"];
    hold(&[
        situation("sum", &misfit(), "sum(i) as s", Error(located)).declared(),
        situation("rows", &misfit(), "k, i", Error(located)).declared(),
        situation("not null only", &misfit(), "count(i) as n", Error(located)).declared(),
        situation("another column", &misfit(), "count(k) as n", Values("Int64", "1001")).declared(),
        situation("turned away", &misfit(), "sum(i) as s where k = 'a'", Values("Int64", "1003")).declared(),
        situation("its own filter", &misfit(), "k where i > 3", Error(located)).declared(),
        situation("its stand-in divides", &misfit(), "k where 10 // coalesce(i, 0) > 100 and i > 9", Expected::Same)
            .declared(),
        situation("first of two", &[Field(601, I, WORD), Field(700, I, HALF)], "sum(i) as s", Error(located))
            .declared(),
        situation("as text", &misfit(), "k limit 700", Rows("Utf8", 700)).declared(),
    ]);
}

#[test]
fn an_expression_fails_at_its_first_row() {
    use Expected::{Error, Rows};
    let located: &[&str] = &["Arithmetic", "0.csv", "line 502,"];
    let nines = || [Field(500, I, NINE), Field(502, I, NINE)];
    hold(&[
        situation("sum", &nines(), "sum(10 // (i - 9)) as s", Error(located)),
        situation("rows", &nines(), "k, 10 // (i - 9) as q", Error(located)),
        situation("filter", &nines(), "k where 10 // (i - 9) > 3", Error(located)),
        situation("key", &nines(), "count(*) as n by 10 // (i - 9) as q", Error(located)),
        // Row 500 is a `c`, row 502 a `b`.
        situation("turned away", &nines(), "10 // (i - 9) as q where k = 'a'", Rows("Int64", 334)),
        situation("in two files", &[], "10 // (i - 9) as q", Error(&["1.csv", "line 7,"]))
            .then_file(&[Field(5, I, NINE)]),
        situation("before a ragged record", &[Field(500, I, NINE), Ragged(950)], "10 // (i - 9) as q", Error(located)),
        situation(
            "behind a ragged record",
            &[Ragged(400), Field(500, I, NINE)],
            "10 // (i - 9) as q",
            Error(&["Malformed", "line 402"]),
        ),
        situation(
            "behind a value that widens",
            &[Field(301, I, HALF), Field(500, I, NINE)],
            "sum(10 // (i - 9)) as q",
            Expected::Same,
        ),
        situation(
            "before a value that widens",
            &[Field(500, I, NINE), Field(601, I, HALF)],
            "sum(10 // (i - 9)) as q",
            Expected::Same,
        ),
    ]);
}

#[test]
fn recoded_fields_are_those_that_a_question_reads() {
    use Expected::{Rows, Values};
    // Row 601 is a `b`.
    let latin = || [Field(601, T, LATIN)];
    hold(&[
        situation("kept", &latin(), "k, t", Rows("Utf8 Utf8", RECORDS)).notes(1, 1),
        situation("filtered, kept", &latin(), "t where k = 'b'", Rows("Utf8", 334)).notes(1, 1),
        situation("filtered away", &latin(), "t where k = 'a'", Rows("Utf8", 334)),
        situation("its own filter", &latin(), "k where t = 'nothing'", Rows("Utf8", 0)).notes(1, 1),
        situation("its own filter keeps it", &latin(), "t where t > 'caf' and t < 'd'", Values("Utf8", "café"))
            .notes(1, 1),
        situation("not asked for", &latin(), "k, i", Rows("Utf8 Int64", RECORDS)),
        situation(
            "many",
            &[Field(1, T, LATIN), Field(601, T, LATIN), Field(1000, T, LATIN)],
            "count(t) as n",
            Values("Int64", "1001"),
        )
        .notes(3, 1),
        situation("in two files", &latin(), "t where k = 'b'", Rows("Utf8", 668)).then_file(&latin()).notes(2, 1),
        situation("a group's key", &latin(), "count(*) as n by t where i < 100", Rows("Utf8 Int64", 2)).notes(1, 1),
    ]);
}

#[test]
fn several_misfits_in_a_column_end_in_one_answer() {
    use Expected::{Error, Rows};
    let half_word = || [Field(601, I, HALF), Field(701, I, WORD)];
    let word_half = || [Field(601, I, WORD), Field(701, I, HALF)];
    let many = || [Field(601, I, b"true"), Field(651, I, b"2001-02-03"), Field(701, I, HALF), Field(703, I, b"007")];
    // What is told of values that a wider type holds anyway is not stated here, only that it is always the same.
    let rows = |name, edits: &[Edit], question, count| Situation {
        notes: None,
        ..situation(name, edits, question, Rows("Utf8", count))
    };
    hold(&[
        rows("double, then text", &half_word(), "i", RECORDS),
        rows("text, then double", &word_half(), "i", RECORDS),
        rows("four kinds", &many(), "i", RECORDS),
        rows("limit behind both", &half_word(), "i limit 800", 800),
        rows("behind one filter", &word_half(), "i where k = 'b' or k = 'c'", 667),
        situation("limit between", &half_word(), "i limit 650", Rows("Float64", 650)).notes(0, 1),
        situation("limit before", &many(), "i limit 3", Rows("Int64", 3)),
        situation("number, double first", &half_word(), "sum(i) as s", Error(&["Type", "0.csv", "line 703,", "word"])),
        situation("number, text first", &word_half(), "sum(i) as s", Error(&["Type", "0.csv", "line 603,", "word"])),
        situation("number, four kinds", &many(), "sum(i) as s", Error(&["Type", "0.csv", "line 603,"])),
    ]);
}
