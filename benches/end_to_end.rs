//! Whole questions over the airline sample in the repository: `cargo bench --bench end_to_end`.

use divan::{Bencher, black_box};
use outcrop::frame::{DataFrame, LazyFrame, Runner, scan_csv};
use std::path::PathBuf;

fn main() {
    divan::main();
}

/// The sample as plain text, one file of some 12 MB.
fn plain() -> PathBuf {
    static MADE: std::sync::OnceLock<(tempfile::TempDir, PathBuf)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("air.csv");
        let frame = scan_csv("testdata/airline/2*.csv.bz2").unwrap();
        let schema = frame.schema().unwrap();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut text = names.join(",");
        for batch in frame.iter_batches().unwrap() {
            let batch = batch.unwrap();
            let options = outcrop::arrow::util::display::FormatOptions::default().with_null("NA");
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| outcrop::arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
                text.push('\n');
                text.push_str(&cells.join(","));
            }
        }
        text.push('\n');
        std::fs::write(&path, text).unwrap();
        (folder, path)
    })
    .1
    .clone()
}

const QUESTIONS: [&str; 5] = [
    "min(DepDelay), max(DepDelay)",
    "mean(ArrDelay) by UniqueCarrier",
    "count(*) as n by Origin, Dest sort n desc limit 10",
    "std(AirTime), mean(Distance) where Month = 12",
    "Year, Origin, ArrDelay where ArrDelay is not null sort ArrDelay desc limit 10",
];

fn ask(bencher: Bencher, frame: &LazyFrame, questions: &[&str], threads: usize) {
    let frames: Vec<LazyFrame> = questions.iter().map(|question| frame.ask(question).unwrap()).collect();
    let runner = Runner::new().threads(threads);
    bencher.bench(|| black_box(runner.compute::<_, Vec<DataFrame>>(frames.clone()).unwrap()));
}

#[divan::bench(args = [1, 2], sample_count = 10)]
fn bz2_min_max(bencher: Bencher, threads: usize) {
    ask(bencher, &scan_csv("testdata/airline/2*.csv.bz2").unwrap(), &QUESTIONS[..1], threads);
}

#[divan::bench(args = [1, 2], sample_count = 10)]
fn bz2_five_questions(bencher: Bencher, threads: usize) {
    ask(bencher, &scan_csv("testdata/airline/2*.csv.bz2").unwrap(), &QUESTIONS, threads);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn plain_mean_by_carrier(bencher: Bencher, threads: usize) {
    ask(bencher, &scan_csv(plain()).unwrap(), &QUESTIONS[1..2], threads);
}

#[divan::bench(args = [1, 2], sample_count = 20)]
fn plain_five_questions(bencher: Bencher, threads: usize) {
    ask(bencher, &scan_csv(plain()).unwrap(), &QUESTIONS, threads);
}
