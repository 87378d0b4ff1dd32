//! The memory limit holds, what does not fit goes to disk, and the answers are those of ample memory.
#![cfg(target_os = "linux")]

mod common;

use common::shown;
use outcrop::error::ErrorKind;
use outcrop::frame::{DataFrame, LazyFrame, Runner};
use outcrop::memory::{Budget, ByteSize, Spill};
use outcrop::scan_csv;
use outcrop::write::WriteOptions;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

const ROWS: usize = 300_000;
const LIMIT: ByteSize = ByteSize(24 << 20);

/// Each wants more than the limit for its groups, its sorted rows, all rows, or the table that it joins, which is the same.
const QUESTIONS: [&str; 15] = [
    "count(*) as n, mean(x), min(t), last(i), var(x) by t",
    "sum(x), count(t) by i % 100000 as a, i % 7 as b",
    "i, t, x sort x desc",
    "i, t where x >= 0",
    "median(i), quantile(x, 0.9), n_unique(t), mode(t), string_agg(t, ';') by i % 3000 as a",
    "approx_n_unique(t), approx_quantile(i, 0.9) by i % 50000 as a",
    "median(x), n_unique(t), mode(i), string_agg(t) by i % 50000 as k",
    "sum(x) as s, count(*) as n by i, t",
    "list(i), list(t) as ts by i % 3000 as a",
    "i, x, i_right, x_right, t join 'in.csv' on t = t",
    "count(*) as n, sum(x_right), count(t_right) full join 'in.csv' on i = i",
    "i, x anti join 'in.csv' on i + 1000 = i and t = t",
    // Rows by long keys, of which the first ones are kept while they are sorted.
    "i, row_number() over (partition by concat(t, t, t, t) order by x desc, i) as n qualify n <= 2",
    "i, x, sum(x) over (partition by t order by i) as s, lag(t) over (order by x, i) as l",
    // A key that has three hundred rows on both sides.
    "count(*) as n, sum(i_right), first(t_right) by x join 'in.csv' on x = x where i < 3000",
];

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn table(folder: &Path) -> LazyFrame {
    let mut text = String::from("i,t,x\n");
    for row in 0..ROWS {
        let scattered = row.wrapping_mul(2_654_435_761) % 1_000_003;
        writeln!(text, "{row},a text of some length {},{}.25", scattered % 200_000, scattered % 1000).unwrap();
    }
    std::fs::write(folder.join("in.csv"), &text).unwrap();
    scan_csv(folder.join("in.csv")).unwrap()
}

/// A question, which may join the table itself.
fn asked(table: &LazyFrame, folder: &Path, question: &str) -> LazyFrame {
    table.ask(&question.replace("in.csv", &folder.join("in.csv").display().to_string())).unwrap()
}

fn summary(answer: &DataFrame) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    // Batch by batch: the text of a whole answer is larger than the answer.
    for batch in answer.batches().map(Result::unwrap) {
        let rows = shown(&DataFrame::new(batch.schema(), vec![batch]));
        rows.lines().skip(1).for_each(|row| row.hash(&mut hasher));
    }
    (answer.rows(), hasher.finish())
}

/// One test, so that the peak is its own.
#[test]
fn the_memory_limit_holds_and_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let before = peak_bytes();
    let mut scarce = Vec::new();
    for question in QUESTIONS {
        let runner = Runner::new().threads(2).memory(LIMIT);
        let run = runner.run::<_, DataFrame>(asked(&table, folder.path(), question)).unwrap();
        // Packed: half a mebibyte stands for several in memory.
        assert!(run.statistics.bytes_spilled > 1 << 19, "{question}: {}", run.statistics.bytes_spilled);
        assert!(run.statistics.peak_held_bytes <= LIMIT.0);
        scarce.push(summary(&run.value));
    }
    let grown = peak_bytes() - before;
    assert!(grown <= LIMIT.0 + LIMIT.0 / 10 + (64 << 20), "memory grew by {}", ByteSize(grown));
    for (question, scarce) in QUESTIONS.iter().zip(scarce) {
        let runner = Runner::new().threads(2).memory(ByteSize(4 << 30));
        let run = runner.run::<_, DataFrame>(asked(&table, folder.path(), question)).unwrap();
        assert_eq!(run.statistics.bytes_spilled, 0);
        assert_eq!(scarce, summary(&run.value), "{question}");
    }
    an_answer_in_memory_gives_way_to_the_row_groups_that_it_is_written_in(&table, folder.path());
    spilling_beyond_its_cap_or_nowhere_is_one_clear_error(&table, folder.path());
    a_text_larger_than_memory_is_one_clear_error(&table);
}

/// Results may have half of the limit, and what is written here takes more than the other half.
fn an_answer_in_memory_gives_way_to_the_row_groups_that_it_is_written_in(table: &LazyFrame, folder: &Path) {
    let written = |question: &str, memory: ByteSize| {
        let path = folder.join("out.parquet");
        let options = WriteOptions::of_file_name(&path).unwrap().row_group_rows(80_000);
        let budget = Budget::of_size(memory);
        let runner = Runner::new().threads(2).budget(budget.clone());
        runner
            .write(&asked(table, folder, question), &path, options)
            .unwrap_or_else(|error| panic!("{question}: {error}"));
        assert_eq!(budget.held_bytes(), 0);
        std::fs::read(path).unwrap()
    };
    for question in ["* sort x", "i, x, i_right, x_right, t join 'in.csv' on t = t"] {
        assert!(written(question, LIMIT) == written(question, ByteSize(4 << 30)), "{question}");
    }
}

fn a_text_larger_than_memory_is_one_clear_error(table: &LazyFrame) {
    let runner = Runner::new().threads(2).memory(ByteSize(4 << 20));
    let error = runner.compute::<_, DataFrame>(table.ask("string_agg(t, ';')").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().starts_with("memory limit reached: values of groups asked for"), "{error}");
}

fn spilling_beyond_its_cap_or_nowhere_is_one_clear_error(table: &LazyFrame, folder: &Path) {
    let place = folder.join("spill");
    std::fs::create_dir(&place).unwrap();
    let asked = |spill: Spill| {
        let runner = Runner::new().threads(2).memory(LIMIT).spill(spill.clone());
        let error = runner.compute::<_, DataFrame>(table.ask(QUESTIONS[0]).unwrap()).unwrap_err();
        assert_eq!(spill.held_bytes(), 0, "all of it is given back");
        error
    };
    let capped = asked(Spill::new(Some(place.clone()), Some(1 << 20)));
    assert_eq!(capped.kind(), ErrorKind::Limit);
    assert!(capped.to_string().contains("the limit on spilling, 1 MiB, is too little: at least"), "{capped}");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    let nowhere = asked(Spill::new(Some(folder.join("absent")), None));
    assert_eq!(nowhere.kind(), ErrorKind::Io);
    assert!(nowhere.to_string().contains("absent"), "{nowhere}");
}
