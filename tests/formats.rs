//! Files that are not CSV, and what their paths say: the same questions give the same answers.

mod common;

use common::{Random, compress};
use outcrop::error::ErrorKind;
use outcrop::exec::Scheduler;
use outcrop::frame::{DataFrame, FileScan, LazyFrame, Run, Runner, Value};
use outcrop::source::detect::InputFormat;
use outcrop::types::ColumnType;
use outcrop::{scan, scan_csv};
use std::path::{Path, PathBuf};

fn shown(frame: &DataFrame) -> String {
    let mut text = format!("{:?}\n", frame.schema().fields());
    for batch in frame.batches() {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                match Value::of(column, row).unwrap() {
                    Value::Float64(number) => text.push_str(&format!("{:016x} ", number.to_bits())),
                    other => text.push_str(&format!("{other:?} ")),
                }
            }
            text.push('\n');
        }
    }
    text
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn answer(frame: &LazyFrame, question: &str) -> DataFrame {
    frame.ask(question).unwrap().collect().unwrap()
}

fn texts(frame: &DataFrame, column: &str) -> Vec<String> {
    (0..frame.rows())
        .map(|row| match frame.value(row, column).unwrap() {
            Value::Utf8(text) => text,
            other => format!("{other:?}"),
        })
        .collect()
}

/// A row for both formats; the text has none of what the formats spell differently, but for quotes and escapes.
struct Row {
    k: Option<&'static str>,
    i: Option<i64>,
    x: Option<f64>,
    t: String,
    b: bool,
    d: Option<String>,
}

fn rows(random: &mut Random, count: usize) -> Vec<Row> {
    let first =
        Row { k: Some("WN"), i: Some(1), x: Some(0.5), t: "text".into(), b: true, d: Some("2001-02-03".into()) };
    let texts = ["plain", "a, b", "say \"hi\"", "two\nlines\r\n", "caf\u{e9} \u{1F600}", "back\\slash", "\t"];
    let row = |random: &mut Random| Row {
        k: [None, Some("AA"), Some("a longer carrier name"), Some("UA")][random.below(4)],
        i: (!random.one_in(9)).then(|| random.below(200) as i64 - 100),
        x: (!random.one_in(9)).then(|| (random.below(2_000_001) as f64 - 1e6) / 1024.0),
        t: if random.one_in(9) { "y".repeat(1 + random.below(300)) } else { texts[random.below(7)].to_owned() },
        b: random.one_in(2),
        d: (!random.one_in(9)).then(|| format!("{:04}-{:02}-{:02}", 1987 + random.below(22), 1 + random.below(12), 5)),
    };
    std::iter::once(first).chain((0..count).map(|_| row(random))).collect()
}

fn as_csv(rows: &[Row]) -> Vec<u8> {
    let mut text = String::from("k,i,x,t,b,d\n");
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    for row in rows {
        let (i, x) = (row.i.map(|i| i.to_string()), row.x.map(|x| format!("{x:?}")));
        let quoted = row.t.replace('"', "\"\"");
        let k = row.k.unwrap_or_default();
        text += &format!("{k},{},{},\"{quoted}\",{},{}\n", optional(&i), optional(&x), row.b, optional(&row.d));
    }
    text.into_bytes()
}

/// Keys in any order, nulls given or left out, blank lines, both line ends.
fn as_ndjson(rows: &[Row], random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let mut fields = vec![
            ("k", serde_json::json!(row.k)),
            ("i", serde_json::json!(row.i)),
            ("x", serde_json::json!(row.x)),
            ("t", serde_json::json!(row.t)),
            ("b", serde_json::json!(row.b)),
            ("d", serde_json::json!(row.d)),
        ];
        if at > 0 {
            fields.retain(|(_, value)| !value.is_null() || random.one_in(2));
            let by = random.below(fields.len());
            fields.rotate_left(by);
        }
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        text += &format!("{{{}}}{}", fields.join(" ,"), if random.one_in(3) { "\r\n" } else { "\n" });
        if random.one_in(20) {
            text += " \n";
        }
    }
    text.into_bytes()
}

const QUESTIONS: [&str; 8] = [
    "count(*) as n, count(x), sum(i), mean(i), min(t), max(t), first(t), last(k)",
    "sum(x), var(x), min(x), max(x), min(d), max(d)",
    "count(*) as n, mean(x), sum(i), first(t), last(x) by k",
    "count(*) as n, sum(x) by t",
    "k, i, x, t where i > 0 sort x desc, i limit 20",
    "i, k, t where x < 0",
    "*",
    "mean(x > 0), sum(b), count(d) by b",
];

fn answers(frame: &LazyFrame, runner: &Runner) -> (Vec<String>, u64) {
    let frames: Vec<LazyFrame> = QUESTIONS.iter().map(|question| frame.ask(question).unwrap()).collect();
    let run: Run<Vec<DataFrame>> = runner.run(frames).unwrap();
    (run.value.iter().map(shown).collect(), run.statistics.records_read)
}

#[test]
fn ndjson_gives_the_answers_of_its_csv_twin_however_it_is_cut() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    for round in 0..4 {
        let mut random = Random::new(seed.wrapping_add(round));
        let folder = tempfile::tempdir().unwrap();
        let (mut csv, mut ndjson) = (Vec::new(), Vec::new());
        for file in 0..1 + random.below(3) {
            let count = [2, 50, 900][random.below(3)];
            let rows = rows(&mut random, count);
            csv.push(write(folder.path(), &format!("{file}.csv"), as_csv(&rows)));
            let mut text = as_ndjson(&rows, &mut random);
            if random.one_in(2) {
                text.splice(0..0, *b"\xEF\xBB\xBF");
            }
            if random.one_in(2) && text.ends_with(b"\n") {
                text.pop();
            }
            let ending = ["csv", "csv.bz2", "csv.gz", "csv.zst"][random.below(4)];
            // The name says nothing.
            ndjson.push(write(folder.path(), &format!("{file}.data"), compress(&text, ending, &mut random)));
        }
        let baseline = Runner::new().scheduler(Scheduler::Synchronous).piece_bytes(1 << 28).batch_bytes(1 << 28);
        let expected = answers(&scan_csv(csv).unwrap(), &baseline);
        let frame = scan(ndjson).unwrap();
        assert_eq!(expected, answers(&frame, &baseline), "seed {seed} round {round}");
        for piece in [1, 7, 1 + random.below(3000), 1 + random.below(100_000)] {
            let (threads, batch) = (1 + random.below(4), 1 + random.below(5000));
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}");
            assert_eq!(expected, answers(&frame, &runner), "{how}");
        }
    }
}
