//! Speed of splitting and parsing on one core, on airline text from `testdata` or `OUTCROP_BENCH_CSV`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use outcrop::source::csv::{
    ColumnSpec, CsvOptions, CsvSource, DateFormat, Dialect, Engine, Format, Limits, MalformedPolicy, RecordIndex,
    parse_column, parse_header, split, split_with,
};
use outcrop::types::ColumnType;
use outcrop::{DataFrame, LazyFrame, Runner};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

const BATCH_BYTES: usize = 256 << 10;
const FIELDS: usize = 29;

fn main() {
    divan::main();
}

/// Airline text without its header: the file named by `OUTCROP_BENCH_CSV`, or made up in its likeness.
static AIRLINE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    if let Some(path) = std::env::var_os("OUTCROP_BENCH_CSV") {
        let text = std::fs::read(path).expect("OUTCROP_BENCH_CSV can be read");
        let header = parse_header(&text, &Format::default(), true, true).expect("a header").expect("a header");
        return text[header.data_start..].to_vec();
    }
    let mut text = String::new();
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..130_000 {
        let (month, day, time, delay) = (below(12) + 1, below(28) + 1, below(2400), below(120) as i64 - 20);
        let (carrier, tail) = (["WN", "AA", "DL", "UA"][below(4) as usize], below(9000));
        let _ = writeln!(
            text,
            "2003,{month},{day},3,{time},{time},{time},{time},{carrier},{},N{tail}AA,99,104,80,{delay},{},SFO,LAX,337,{},{},0,,0,NA,NA,NA,NA,NA",
            below(3000),
            delay / 2,
            below(20),
            below(30),
        );
    }
    text.into_bytes()
});

/// The same with every text field quoted.
static QUOTED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = Vec::with_capacity(AIRLINE.len() * 5 / 4);
    for field in AIRLINE.split_inclusive(|byte| matches!(byte, b',' | b'\n')) {
        let (content, end) = field.split_at(field.len() - 1);
        if content.first().is_some_and(u8::is_ascii_alphabetic) {
            text.extend([b"\"", content, b"\"", end].concat());
        } else {
            text.extend_from_slice(field);
        }
    }
    text
});

/// Every tenth record has a field too few and is set aside.
#[divan::bench]
fn split_ragged(bencher: Bencher) {
    let rows = AIRLINE.split_inclusive(|&byte| byte == b'\n').enumerate();
    let ragged: Vec<u8> = rows.flat_map(|(row, text)| &text[if row % 10 == 0 { 5 } else { 0 }..]).copied().collect();
    let mut index = RecordIndex::new();
    bencher.counter(BytesCount::new(ragged.len())).bench_local(|| {
        let (mut at, mut rejects) = (0, 0);
        index.clear();
        loop {
            let end = split(&ragged, at, &Dialect::default(), FIELDS, true, Limits::NONE, &mut index);
            let Some(malformed) = end.malformed else { break };
            at = malformed.next;
            rejects += 1;
        }
        black_box(rejects)
    });
}

/// Every tenth record of the airline text is broken: half of these lack fields, the others have a quote amid their
/// fields that is never closed, or one with text behind it.
static DIRTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = Vec::with_capacity(AIRLINE.len());
    for (row, record) in AIRLINE.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let mut fields: Vec<Vec<u8>> = record.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect();
        let field = row / 10 * 7 % (FIELDS - 1);
        match row % 40 {
            0 | 20 => {
                fields.truncate(field + 1);
                fields[field].push(b'\n');
            }
            10 => fields[field].insert(0, b'"'),
            30 => fields[field] = [b"\"", &*fields[field], b"\"x"].concat(),
            _ => {}
        }
        text.extend(fields.join(&b','));
    }
    text
});

/// A whole question on one thread, over the clean text and the dirty one, whose broken records are set aside and kept.
#[divan::bench(args = [("clean", false), ("dirty", false), ("dirty", true)])]
fn mean_by_carrier(bencher: Bencher, (text, rejects): (&str, bool)) {
    ask(bencher, text, "mean(c14) by c8", rejects);
}

/// The same for a bare count, which of clean text only splits the records.
#[divan::bench(args = [("clean", false), ("dirty", false), ("dirty", true)])]
fn count(bencher: Bencher, (text, rejects): (&str, bool)) {
    ask(bencher, text, "count(*)", rejects);
}

fn ask(bencher: Bencher, text: &str, question: &str, rejects: bool) {
    let text = if text == "clean" { &*AIRLINE } else { &*DIRTY };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, kept) = (folder.path().join("text.csv"), folder.path().join("rejects.csv"));
    let header: Vec<String> = (0..FIELDS).map(|field| format!("c{field}")).collect();
    std::fs::write(&path, [header.join(",").as_bytes(), b"\n", text].concat()).expect("a file");
    let options = CsvOptions { malformed: MalformedPolicy::Skip, ..CsvOptions::default() };
    let frame = LazyFrame::from_source(Arc::new(CsvSource::open(&[path], options).expect("a table")));
    let frame = frame.ask(question).expect("a question");
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let runner = Runner::new().threads(1);
        let runner = if rejects { runner.rejects(&kept) } else { runner };
        black_box(runner.compute::<_, DataFrame>(frame.clone()).expect("an answer"))
    });
}

fn split_in_batches(engine: Engine, text: &[u8], mut each: impl FnMut(&RecordIndex)) -> usize {
    let (mut index, mut at, mut records) = (RecordIndex::new(), 0, 0);
    while at < text.len() {
        index.clear();
        let limits = Limits { bytes: BATCH_BYTES, records: usize::MAX };
        let end = split_with(engine, text, at, &Dialect::default(), FIELDS, true, limits, &mut index);
        assert_eq!(end.malformed, None);
        at = end.consumed;
        records += index.records();
        each(&index);
    }
    records
}

#[divan::bench(args = Engine::available())]
fn split_plain(bencher: Bencher, engine: Engine) {
    bencher.counter(BytesCount::new(AIRLINE.len())).bench(|| black_box(split_in_batches(engine, &AIRLINE, |_| {})));
}

#[divan::bench(args = Engine::available())]
fn split_quoted(bencher: Bencher, engine: Engine) {
    bencher.counter(BytesCount::new(QUOTED.len())).bench(|| black_box(split_in_batches(engine, &QUOTED, |_| {})));
}

/// DepDelay and ArrDelay as integers, UniqueCarrier as text: items are rows.
#[divan::bench(args = [("DepDelay", 15, ColumnType::Int64), ("DepTime", 4, ColumnType::Int64), ("ArrDelay", 14, ColumnType::Float64), ("UniqueCarrier", 8, ColumnType::Utf8), ("CarrierDelay", 24, ColumnType::Int64)])]
fn parse(bencher: Bencher, (_, column, column_type): (&str, usize, ColumnType)) {
    let end = AIRLINE.len().min(BATCH_BYTES);
    let text = &AIRLINE[..end];
    let mut index = RecordIndex::new();
    split(text, 0, &Dialect::default(), FIELDS, false, Limits::NONE, &mut index);
    let (spec, format) =
        (ColumnSpec { index: column, column_type, declared: false, date_format: DateFormat::Iso }, Format::default());
    bencher
        .counter(ItemsCount::new(index.records()))
        .bench(|| black_box(parse_column(text, &index, None, &spec, &format)));
}

/// Splitting and two integer columns and one short text, batch by batch.
#[divan::bench]
fn split_and_parse_three_columns(bencher: Bencher) {
    let specs = [(14, ColumnType::Int64), (15, ColumnType::Int64), (8, ColumnType::Utf8)]
        .map(|(index, column_type)| ColumnSpec { index, column_type, declared: false, date_format: DateFormat::Iso });
    let format = Format::default();
    bencher.counter(BytesCount::new(AIRLINE.len())).bench(|| {
        let mut at = 0;
        split_in_batches(Engine::best(), &AIRLINE, |index| {
            for spec in &specs {
                at += black_box(parse_column(&AIRLINE, index, None, spec, &format)).array.len();
            }
        })
    });
}
