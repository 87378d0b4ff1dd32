//! Passes in worker processes: the same answers, errors, warnings and counts as on threads, to the bit. This test has a `main` of
//! its own, because workers are the test program, executed again.

use arrow::datatypes::DataType;
use outcrop::aggregate::{self, Aggregate, Exactness, GroupStates, Makes};
use outcrop::error::ErrorKind;
use outcrop::exec::{RunStatistics, Scheduler, Warning};
use outcrop::expr::{AggregateCall, Expr, col, count_rows};
use outcrop::frame::{CsvScan, DataFrame, Run, Runner};
use outcrop::memory::Budget;
use outcrop::source::csv::MalformedPolicy;
use outcrop::types::ColumnType;
use outcrop::{LazyFrame, Result, scan, scan_csv};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

mod common;
use common::shown;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("without-init") {
        return without_init();
    }
    outcrop::init();
    let tests: &[(&str, fn())] = &[
        ("many_questions_are_the_same_in_processes", many_questions),
        ("every_aggregate_is_the_same_in_processes", every_aggregate),
        ("many_groups_and_rows_are_the_same_where_memory_is_scarce", scarce_memory),
        ("other_formats_are_the_same_in_processes", other_formats),
        ("encodings_and_compressions_are_the_same_in_processes", encodings),
        ("a_record_too_large_for_a_share_is_read_by_threads", large_record),
        ("memory_that_is_too_little_for_many_workers_is_for_fewer", many_workers),
        ("folders_and_names_of_files_are_the_same_in_processes", folders),
        ("the_first_error_is_the_same_in_processes", errors),
        ("what_is_set_aside_is_the_same_in_processes", set_aside),
        ("late_values_widen_their_columns_in_processes", late_values),
        ("first_rows_are_enough_in_processes", first_rows),
        ("workers_that_are_killed_cost_their_unit", killed_workers),
        ("what_cannot_be_sent_runs_on_threads_and_says_why", on_threads),
        ("a_program_without_init_is_told_what_to_do", told_what_to_do),
        ("a_cancelled_run_ends_its_workers", cancelled),
        ("the_program_answers_alike_in_processes", the_program),
    ];
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with('-')).unwrap_or_default();
    let chosen: Vec<_> = tests.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    println!("\nrunning {} tests", chosen.len());
    for (name, test) in &chosen {
        test();
        println!("test {name} ... ok");
    }
    let out = tests.len() - chosen.len();
    println!("\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; {out} filtered out\n", chosen.len());
}

const AIRLINE: [&str; 4] = [
    "testdata/airline/1987.csv.bz2",
    "testdata/airline/1995.csv.bz2",
    "testdata/airline/2001.csv.bz2",
    "testdata/airline/2008.csv.bz2",
];

const QUESTIONS: [&str; 12] = [
    "count(*)",
    "count(*) as n, min(DepDelay), max(DepDelay), sum(Distance), mean(ArrDelay), std(ArrDelay)",
    "count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 sort delay desc limit 5",
    "first(Origin), last(Dest), first(TailNum) by UniqueCarrier, DayOfWeek",
    "median(ArrDelay), quantile(ArrDelay, 0.95), n_unique(TailNum), mode(Origin) by Year",
    "string_agg(Origin, '-') by UniqueCarrier where ArrDelay > 200",
    "ols(ArrDelay, DepDelay, Distance) by UniqueCarrier",
    "bootstrap(mean(ArrDelay), 20) by DayOfWeek",
    "Year, Origin, Dest, ArrDelay where ArrDelay is not null sort ArrDelay desc, Origin",
    "Year, Origin, Dest, ArrDelay where ArrDelay is not null sort ArrDelay limit 25",
    "Year, UniqueCarrier || '-' || cast(FlightNum as utf8) as flight where ArrDelay > 60 and Origin like 'S%'",
    "Year, Origin, ArrDelay sample 100 seed 3",
];

fn runner(scheduler: Scheduler, workers: usize) -> Runner {
    Runner::new().scheduler(scheduler).threads(workers)
}

fn processes(workers: usize) -> Runner {
    runner(Scheduler::Processes, workers)
}

/// The answers, what was warned of, and all counts.
fn told(run: &Run<Vec<DataFrame>>) -> String {
    let RunStatistics { passes, records_read, rows_kept, .. } = &run.statistics;
    format!("{passes} {records_read} {rows_kept:?}\n{}", told_of_wanted(run))
}

/// The same without the counts that say how far was read: beyond what is wanted, that is a matter of chance.
fn told_of_wanted(run: &Run<Vec<DataFrame>>) -> String {
    let RunStatistics { records_rejected, records_padded, headers_repeated, values_rejected, fields_recoded, .. } =
        &run.statistics;
    let mut text = format!("{fields_recoded}\n");
    let _ = writeln!(text, "{records_rejected} {records_padded} {headers_repeated} {values_rejected}");
    let mut warnings: Vec<&Warning> = run.warnings.iter().collect();
    warnings.sort_by_key(|warning| &warning.0);
    let _ = writeln!(text, "{warnings:?}");
    run.value.iter().for_each(|frame| text.push_str(&shown(frame)));
    text
}

fn run(frames: &[LazyFrame], runner: &Runner) -> Run<Vec<DataFrame>> {
    runner.run(frames).unwrap()
}

fn ask(frame: &LazyFrame, questions: &[&str]) -> Vec<LazyFrame> {
    questions.iter().map(|question| frame.ask(question).unwrap()).collect()
}

/// All passes were done by this many processes.
fn assert_in_processes(statistics: &RunStatistics, processes: usize) {
    assert_eq!(statistics.on_threads, Vec::<String>::new());
    assert_eq!((statistics.passes_in_processes, statistics.processes), (statistics.passes, processes));
}

fn many_questions() {
    let frames = ask(&scan_csv(AIRLINE).unwrap(), &QUESTIONS);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.lines().count() > 10_000);
    for workers in [1, 2, 3] {
        let found = run(&frames, &processes(workers));
        assert!(told(&found) == expected, "{workers} workers");
        assert_in_processes(&found.statistics, workers);
        assert_eq!(found.statistics.passes, 1);
    }
}

/// An aggregate over columns of the airline files that it takes.
fn over_columns(aggregate: &Arc<dyn Aggregate>) -> Expr {
    let columns = ["ArrDelay", "Origin", "Cancelled"].map(|name| (name, vec![col(name)]));
    let two = vec![col("ArrDelay"), col("Distance")];
    let truth = vec![col("ArrDelay").gt(15)];
    let given = columns.into_iter().map(|(_, args)| args).chain([two, truth, vec![]]);
    let schema = scan_csv(AIRLINE[0]).unwrap().schema().unwrap();
    let takes = |args: &Vec<Expr>| {
        let types: Vec<_> = args.iter().map(|arg| arg.bind(&schema).unwrap().data_type()).collect();
        aggregate.output_type(&types).is_ok()
    };
    let args = given.into_iter().find(takes).unwrap_or_else(|| panic!("nothing for `{}`", aggregate.name()));
    Expr::Aggregate(AggregateCall { aggregate: Arc::clone(aggregate), args })
}

fn every_aggregate() {
    let air = scan_csv(AIRLINE).unwrap();
    let all = aggregate::all();
    assert!(all.len() > 50);
    let (values, rows): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.makes() == Makes::Value);
    let named = |(at, one)| over_columns(one).alias(format!("a{at}"));
    let values: Vec<Expr> = (0..).zip(values).map(named).collect();
    let rows: Vec<Expr> = rows.into_iter().map(over_columns).collect();
    assert!(rows.len() > 3);
    let mut frames = vec![air.group_by(["UniqueCarrier", "Month"]).agg(values.clone()), air.agg(values)];
    frames.extend(rows.into_iter().map(|expr| air.group_by("Month").agg(expr)));
    let expected = told(&run(&frames, &runner(Scheduler::Synchronous, 1)));
    let found = run(&frames, &processes(2));
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 2);
}

fn scarce_memory() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..4 {
        let mut csv = String::from("k,t,x\n");
        for row in 0..30_000_u64 {
            let k = (row * 7919 + file * 13) % 50_021;
            let _ = writeln!(csv, "{k},text number {},{}.5", k * k % 10_007, row % 501);
        }
        std::fs::write(folder.path().join(format!("{file}.csv")), csv).unwrap();
    }
    let frame = scan_csv(folder.path().join("*.csv")).unwrap();
    let questions = [
        "count(*) as n, sum(x) as s, first(t) as f by k",
        "k, t, x sort t, x desc",
        "n_unique(t), median(x) by k % 100 as h",
        "t where x > 250",
        "t, x limit 50000",
    ];
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(3));
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 3);
    let budget = Budget::new(24 << 20);
    let found = run(&frames, &processes(3).budget(budget.clone()));
    assert!(told(&found) == expected, "in 24 MiB");
    assert!(found.statistics.passes_in_processes > 0, "{:?}", found.statistics.on_threads);
    assert!(found.statistics.bytes_spilled > 0);
    drop(found);
    assert_eq!(budget.held_bytes(), 0);
    let found = run(&frames, &processes(2).budget(Budget::new(6 << 20)));
    assert!(told(&found) == expected, "in 6 MiB");
    assert_eq!(found.statistics.passes_in_processes, 0);
    assert!(found.statistics.on_threads[0].ends_with("memory is too scarce for two processes"));
}

fn other_formats() {
    let folder = tempfile::tempdir().unwrap();
    for (at, file) in AIRLINE.iter().enumerate() {
        let frame = scan_csv(*file).unwrap();
        frame.write_parquet(folder.path().join(format!("{at}.parquet"))).unwrap();
        frame.write_ipc(folder.path().join(format!("{at}.arrow"))).unwrap();
        frame.limit(900).write_ndjson(folder.path().join(format!("{at}.ndjson"))).unwrap();
    }
    for ending in ["parquet", "arrow", "ndjson"] {
        let frames = ask(&scan(folder.path().join(format!("*.{ending}"))).unwrap(), &QUESTIONS);
        let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
        for workers in [1, 2] {
            let found = run(&frames, &processes(workers));
            assert!(told(&found) == expected, "{ending}, {workers} workers");
            assert_in_processes(&found.statistics, workers);
        }
    }
}

fn encodings() {
    let text: String = (0..3000).map(|row| format!("{row};naïve {};03.02.2001;1.234,5\n", row % 7)).collect();
    let text = format!("n;t;d;x\n{text}");
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let gzip = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let twice = zstd::encode_all(&gzip()[..], 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("a.csv", &utf16[..]), ("b.csv.gz", &gzip()), ("c.csv.gz.zst", &twice), ("d.csv", text.as_bytes())]
    {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let questions = ["count(*), sum(n), sum(x), max(d) by t", "t, x where n % 1000 = 1"];
    let options = "delimiter=';', decimal=',', thousands=., date-format=%d.%m.%Y";
    let frame = CsvScan::new(folder.path()).set_all(options).unwrap().open().unwrap();
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("naïve 6") && expected.contains("Date"), "{expected}");
    let found = run(&frames, &processes(3));
    assert_eq!(told(&found), expected);
    assert_in_processes(&found.statistics, 3);
}

fn large_record() {
    let usual = "1,a\n".repeat(1000);
    let large = format!("n,t\n{usual}2,{}\n{usual}", "x".repeat(6 << 20));
    let folder = files(&[&format!("n,t\n{usual}"), &large, &format!("n,t\n{usual}")]);
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &["sum(n), sum(length(t))"]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 1).budget(Budget::new(180 << 20))));
    let found = run(&frames, &processes(2).budget(Budget::new(180 << 20)));
    assert_eq!(told(&found), expected);
    assert_eq!(found.statistics.passes_in_processes, 0);
    let RunStatistics { on_threads, inputs, bytes_read, bytes_reread, .. } = &found.statistics;
    assert!(on_threads[0].contains("share"), "{on_threads:?}");
    let of_inputs: u64 = inputs.iter().map(|input| input.bytes_read).sum();
    assert!(*bytes_reread > 6 << 20 && *bytes_read > 12 << 20, "what was read in vain counts: {:?}", found.statistics);
    assert_eq!((of_inputs, inputs[0].passes), (*bytes_read, 1));
}

fn folders() {
    let folder = tempfile::tempdir().unwrap();
    for (k, rows) in [("a", 3), ("b", 0), ("c", 40), ("d", 1)] {
        let of_key = folder.path().join(format!("key={k}"));
        std::fs::create_dir(&of_key).unwrap();
        let rows: String = (0..rows).map(|row| format!("{row};x{row}\n")).collect();
        std::fs::write(of_key.join("part.csv"), format!("n;t\n{rows}")).unwrap();
    }
    let frame = scan(folder.path()).unwrap();
    let questions =
        ["count(*), sum(n) by key, file_name", "key, n, t where key in ('a', 'd')", "count(*) where key = 'c'"];
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(2));
    assert_eq!(told(&found), expected);
    assert_in_processes(&found.statistics, 2);
    // A unit that begins with a file without a wanted row, and a broken record behind the rows that are enough.
    std::fs::write(folder.path().join("key=d/part.csv"), "n;t\n1;x\n2\n").unwrap();
    let frames = ask(&scan(folder.path()).unwrap(), &["n where key in ('a', 'c', 'd') limit 5"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    for workers in [1, 2, 4] {
        assert_eq!(told_of_wanted(&run(&frames, &processes(workers))), expected);
    }
}

fn many_workers() {
    let content = format!("k,n\n{}", "1,2\n".repeat(300));
    let folder = files(&vec![content.as_str(); 24]);
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &["count(*), sum(n) by k"]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(24).budget(Budget::new(100 << 20)));
    assert_eq!(told(&found), expected);
    let RunStatistics { on_threads, passes_in_processes, processes, .. } = &found.statistics;
    assert_eq!((on_threads, *passes_in_processes), (&Vec::new(), 1));
    assert!((8..24).contains(processes), "{processes}");
}

/// Files with these contents.
fn files(contents: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (at, content) in contents.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{at}.csv")), content).unwrap();
    }
    folder
}

fn pattern(folder: &tempfile::TempDir) -> String {
    folder.path().join("*.csv").display().to_string()
}

fn errors() {
    let good = format!("a,b\n{}", "1,2\n".repeat(2000));
    let ragged = |line: usize| format!("a,b\n{}3\n{}", "1,2\n".repeat(line), "1,2\n".repeat(2000));
    let folder = files(&[&good, &ragged(1500), &good, &ragged(7), &good]);
    let zero = files(&[&good, "a,b\n1,2\n1,0\n", "a,b\n0,0\n1,0\n"]);
    let typed = |folder| CsvScan::new(pattern(folder)).with_type("b", ColumnType::Boolean).open().unwrap();
    for frame in [
        scan_csv(pattern(&folder)).unwrap().ask("count(*), sum(a)").unwrap(),
        scan_csv(pattern(&zero)).unwrap().ask("sum(a // b)").unwrap(),
        scan_csv(pattern(&zero)).unwrap().ask("a // b as c sort c").unwrap(),
        typed(&zero).ask("count(b)").unwrap(),
    ] {
        let error = |runner: Runner| runner.run::<_, DataFrame>(frame.clone()).unwrap_err();
        let expected = error(runner(Scheduler::Threads, 2));
        for workers in [1, 3] {
            let found = error(processes(workers));
            assert_eq!((found.kind(), found.to_string()), (expected.kind(), expected.to_string()));
        }
    }
    // Two questions, one of which does not reach the error.
    let frames = ask(&scan_csv(pattern(&zero)).unwrap(), &["a // b as c limit 2001", "count(*)"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert_eq!(told_of_wanted(&run(&frames, &processes(3))), expected);
    // A file that has changed since it was opened.
    let changed = scan_csv(pattern(&zero)).unwrap().ask("count(*)").unwrap();
    std::fs::write(zero.path().join("1.csv"), "a,b\n9,9\n9,9\n").unwrap();
    let error = processes(2).run::<_, DataFrame>(changed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.to_string().contains("1.csv"), "{error}");
}

fn set_aside() {
    let dirty = "k,i\na,1\nb\nc,3,,\nd,4,late\nk,i\ne,x\nf,7\n";
    let folder = files(&[dirty, "k,i\ng,1\nh,2\n", dirty, "k,i\nk,i\ni\nj,y\n"]);
    for policy in [MalformedPolicy::Skip, MalformedPolicy::Pad] {
        let frame = CsvScan::new(pattern(&folder)).malformed(policy).with_type("i", ColumnType::Int64).open().unwrap();
        for questions in [
            &["count(*) as n", "sum(i) by k", "k, i"][..],
            &["k, i limit 4", "k limit 5"],
            &["i limit 1", "count(*) as n"],
            &["k limit 2"],
        ] {
            let frames = ask(&frame, questions);
            let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
            let found = run(&frames, &processes(3));
            assert_eq!(told_of_wanted(&found), expected);
            assert_in_processes(&found.statistics, 3);
        }
        let rejects = folder.path().join("rejects");
        let frames = ask(&frame, &["sum(i) by k"]);
        let found = run(&frames, &processes(3).rejects(&rejects));
        assert_eq!(found.statistics.passes_in_processes, 0);
        assert!(found.statistics.on_threads[0].contains("written to a file"), "{:?}", found.statistics.on_threads);
        assert!(std::fs::read_to_string(&rejects).unwrap().lines().count() > 5);
    }
    // Not UTF-8, and nothing is declared.
    let text = |row: &[u8]| [b"k,i\n", row, &b"a,1\n".repeat(50)[..]].concat();
    for (file, row) in
        [("0.csv", &b"a,1\n"[..]), ("1.csv", b"caf\xe9,2\n"), ("2.csv", b"\xe4,3\n"), ("3.csv", b"b,4\n")]
    {
        std::fs::write(folder.path().join(file), text(row)).unwrap();
    }
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &["count(*) by k", "k limit 60"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("windows-1252"), "{expected}");
    assert_eq!(told_of_wanted(&run(&frames, &processes(2))), expected);
}

fn late_values() {
    let usual: String = (0..40_000).map(|row| format!("{},{row}\n", row % 97)).collect();
    let late = |value: &str| format!("v,w\n{usual}{value},1\n{usual}");
    let folder = files(&[&format!("v,w\n{usual}"), &late("2.5"), &late("7.25"), &format!("v,w\n{usual}")]);
    let questions =
        ["sum(v), max(v)", "count(*) by w % 3 as r", "v, count(*) as n by v sort n desc, v limit 3", "w limit 5"];
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &questions[..2]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("it is read again as Float64"), "{expected}");
    let found = run(&frames, &processes(2));
    assert_eq!(told(&found), expected);
    assert_eq!(found.statistics.passes_in_processes, 2);
    std::fs::write(folder.path().join("3.csv"), late("word")).unwrap();
    let frame = scan_csv(pattern(&folder)).unwrap();
    let error = |runner: Runner| runner.run::<_, DataFrame>(frame.ask(questions[0]).unwrap()).unwrap_err().to_string();
    assert_eq!(error(processes(3)), error(runner(Scheduler::Threads, 2)));
}

fn first_rows() {
    let rows = |from: usize| (from..from + 3000).map(|row| format!("{row}\n")).collect::<String>();
    let folder = files(&[
        &format!("n\n{}", rows(0)),
        &format!("n\n{}", rows(3000)),
        &format!("n\n{}x,y\n", rows(6000)),
        &format!("n\n{}", rows(9000)),
    ]);
    let frame = scan_csv(pattern(&folder)).unwrap();
    // The broken record stands behind what is wanted.
    for questions in [&["n limit 10"][..], &["n limit 4000", "n where n > 5990 limit 9"], &["n limit 0"]] {
        let frames = ask(&frame, questions);
        let answers = |runner: Runner| run(&frames, &runner).value.iter().map(shown).collect::<String>();
        let expected = answers(runner(Scheduler::Threads, 2));
        for workers in [1, 3] {
            assert_eq!(answers(processes(workers)), expected, "{questions:?}");
        }
    }
    let error = processes(2).run::<_, DataFrame>(frame.ask("n limit 9001").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

/// The processes that this one has started.
fn children() -> Vec<i32> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    found
}

/// Says so when it is dropped, by a panic as well.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn killed_workers() {
    let frames = ask(&scan_csv("testdata/airline/*.csv.bz2").unwrap(), &QUESTIONS[..6]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let (killed, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            // One after the other, so that no unit loses more workers than it may.
            while !done.load(Ordering::SeqCst) && killed.load(Ordering::SeqCst) < 2 {
                if let Some(child) = children().first().and_then(|pid| rustix::process::Pid::from_raw(*pid)) {
                    std::thread::sleep(Duration::from_millis(60));
                    let gone = rustix::process::kill_process(child, rustix::process::Signal::KILL);
                    killed.fetch_add(usize::from(gone.is_ok()), Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _done = Done(&done);
        run(&frames, &processes(2))
    });
    assert_eq!(killed.load(Ordering::SeqCst), 2);
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 2);
    assert_eq!(children(), Vec::<i32>::new(), "no child is left");
    // A unit that costs every worker its life ends the run.
    let done = AtomicBool::new(false);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for child in children().into_iter().filter_map(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
                }
            }
        });
        let _done = Done(&done);
        processes(1).run::<_, Vec<DataFrame>>(&frames[..]).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Task, "{error}");
    assert!(error.message().contains("(3 attempts): the worker process was killed"), "{error}");
    assert!(error.message().starts_with("testdata/airline/"), "{error}");
}

/// An aggregate of the program's own that is called like another one.
#[derive(Debug)]
struct Own;

impl Aggregate for Own {
    fn name(&self) -> &str {
        "count"
    }

    fn output_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        aggregate::find("sum", 1)?.states(arguments)
    }
}

fn on_threads() {
    let folder = files(&["k,n\na,1\nb,2\n", "k,n\na,3\nc,4\n"]);
    let frame = scan_csv(pattern(&folder)).unwrap();
    let schema = frame.schema().unwrap();
    let mapped = frame.map_partitions(schema, Ok);
    let joined = frame.join(&frame.distinct(), ("k", "k"), outcrop::frame::JoinKind::Inner);
    let persisted = frame.persist().unwrap();
    let own = col("n").aggregate(Arc::new(Own));
    for (asked, why) in [
        (mapped.agg(count_rows()), "it calls a function on batches"),
        (joined.agg(count_rows()), "it joins tables"),
        (persisted.agg(count_rows()), "its rows are in this process"),
        (frame.agg(own), "`count` is an aggregate of the program's own"),
    ] {
        let found = run(&[asked.clone(), asked], &processes(2));
        assert!(
            found.statistics.on_threads.iter().any(|told| told.ends_with(why)),
            "{:?}",
            found.statistics.on_threads
        );
        assert_eq!(shown(&found.value[0]), shown(&found.value[1]));
        assert!(found.value[0].rows() == 1);
    }
    let found = run(&ask(&frame, &["logistic(n > 2, n)"]), &processes(2));
    let on_threads = &found.statistics.on_threads;
    let mut of_files = on_threads.iter().filter(|told| !told.starts_with("memory"));
    assert!(of_files.all(|told| told.ends_with("it is a step of a fit")), "{on_threads:?}");
    assert_eq!((on_threads.is_empty(), found.statistics.passes_in_processes), (false, 0));
    // One question that cannot be sent keeps those of its pass on threads, for they share one reading.
    let found = run(&[mapped.agg(count_rows()), frame.agg(count_rows())], &processes(2));
    assert_eq!((found.statistics.passes, found.statistics.passes_in_processes), (1, 0));
    let written = folder.path().join("out.parquet");
    let written = processes(2)
        .write(&frame, &written, outcrop::write::WriteOptions::new(outcrop::write::FileFormat::Parquet))
        .unwrap();
    assert!(written.statistics.on_threads[0].contains("leave in input order"), "{:?}", written.statistics.on_threads);
}

fn without_init() {
    let air = scan_csv(AIRLINE[0]).unwrap();
    let error = processes(2).run::<_, DataFrame>(air.agg(count_rows())).unwrap_err();
    println!("{error}");
}

fn told_what_to_do() {
    let exe = std::env::current_exe().unwrap();
    let output = Command::new(exe).arg("without-init").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("call outcrop::init() first in main, or use threads"), "{text}");
}

fn cancelled() {
    let frames = ask(&scan_csv("testdata/airline/*.csv.bz2").unwrap(), &QUESTIONS);
    let token = outcrop::source::CancelToken::new();
    let error = std::thread::scope(|scope| {
        let token = &token;
        scope.spawn(move || {
            while children().is_empty() && !token.is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            token.cancel();
        });
        processes(2).cancel(token.clone()).run::<_, Vec<DataFrame>>(&frames[..]).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(children(), Vec::<i32>::new(), "no child is left");
}

fn outcrop(arguments: &[&str], variable: Option<&str>) -> (String, String) {
    let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
    variable.iter().for_each(|scheduler| {
        command.env("OUTCROP_SCHEDULER", scheduler);
    });
    let output = command.args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn the_program() {
    assert!(Path::new(AIRLINE[0]).exists());
    let mut arguments = vec!["ask"];
    arguments.extend(AIRLINE);
    QUESTIONS.iter().for_each(|question| arguments.extend(["-q", question]));
    arguments.extend(["--format", "csv", "--stats=json", "--quiet"]);
    let (expected, _) = outcrop(&[&arguments[..], &["--scheduler", "threads"]].concat(), None);
    assert!(expected.lines().count() > 10_000);
    let flags = ["--scheduler", "processes", "--workers", "3", "--memory", "400MB"];
    for (more, variable) in [(&flags[..], None), (&["--workers", "2"], Some("processes"))] {
        let (found, stats) = outcrop(&[&arguments[..], more].concat(), variable);
        assert!(found == expected, "{more:?}");
        let stats: serde_json::Value = serde_json::from_str(stats.lines().last().unwrap()).unwrap();
        assert_eq!(stats["passes_in_processes"], 1, "{stats}");
        assert_eq!(stats["processes"].to_string(), more.iter().find(|word| word.len() == 1).unwrap().to_string());
    }
    let explained = |question| {
        let (text, errors) = outcrop(&["explain", AIRLINE[0], AIRLINE[1], "-q", question], Some("processes"));
        assert_eq!(errors, "");
        text.lines().last().unwrap().to_owned()
    };
    assert!(explained("count(*)").ends_with(" processes, in units of whole files: 2"), "{}", explained("count(*)"));
    let joined = explained("count(*) join 'testdata/airline/carriers.csv' on UniqueCarrier = Code");
    assert!(joined.ends_with("is read on threads: it joins tables"), "{joined}");
    let fit = explained("logistic(ArrDelay > 15, Distance)");
    assert!(fit.ends_with("is read on threads: it is a step of a fit"), "{fit}");
    let ragged = files(&["a,b\n1,2\n", "a,b\n1\n"]);
    let asked = ["ask", &pattern(&ragged), "-q", "count(*)"];
    let (_, expected) = outcrop(&asked, None);
    assert!(expected.contains("1.csv"), "{expected}");
    assert_eq!(outcrop(&asked, Some("processes")).1, expected);
}
