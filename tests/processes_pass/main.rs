//! Passes in worker processes: the same answers, errors, warnings and counts as on threads, to the bit. This test has a `main` of
//! its own, because workers are the test program, executed again.

use outcrop::LazyFrame;
use outcrop::exec::{RunStatistics, Scheduler, Warning};
use outcrop::frame::{DataFrame, Run, Runner};
use std::fmt::Write as _;

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod inputs;
mod memory;
mod on_threads;
mod workers;

use common::{run_named, shown};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("without-init") {
        return on_threads::without_init();
    }
    outcrop::init();
    let tests: &[(&str, fn())] = &[
        ("many_questions_are_the_same_in_processes", answers::many_questions),
        ("windows_are_the_same_in_processes", answers::windows),
        ("every_aggregate_is_the_same_in_processes", answers::every_aggregate),
        ("many_groups_and_rows_are_the_same_where_memory_is_scarce", memory::scarce_memory),
        ("other_formats_are_the_same_in_processes", answers::other_formats),
        ("encodings_and_compressions_are_the_same_in_processes", answers::encodings),
        ("a_record_too_large_for_a_share_is_read_by_threads", memory::large_record),
        ("what_is_set_aside_beyond_a_share_is_for_threads", memory::many_rejects),
        ("memory_that_is_too_little_for_many_workers_is_for_fewer", memory::many_workers),
        ("folders_and_names_of_files_are_the_same_in_processes", answers::folders),
        ("the_first_error_is_the_same_in_processes", inputs::errors),
        ("what_is_set_aside_is_the_same_in_processes", inputs::set_aside),
        ("late_values_widen_their_columns_in_processes", inputs::late_values),
        ("first_rows_are_enough_in_processes", inputs::first_rows),
        ("workers_that_are_killed_cost_their_unit", workers::killed_workers),
        ("what_cannot_be_sent_runs_on_threads_and_says_why", on_threads::on_threads),
        ("a_program_without_init_is_told_what_to_do", on_threads::told_what_to_do),
        ("a_cancelled_run_ends_its_workers", workers::cancelled),
        ("the_program_answers_alike_in_processes", on_threads::the_program),
    ];
    run_named(tests);
}

const AIRLINE: [&str; 4] = [
    "testdata/airline/1987.csv.bz2",
    "testdata/airline/1995.csv.bz2",
    "testdata/airline/2001.csv.bz2",
    "testdata/airline/2008.csv.bz2",
];

const QUESTIONS: [&str; 13] = [
    "count(*)",
    "count(*) as n, min(DepDelay), max(DepDelay), sum(Distance), mean(ArrDelay), std(ArrDelay)",
    "count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 sort delay desc limit 5",
    "first(Origin), last(Dest), first(TailNum) by UniqueCarrier, DayOfWeek",
    "median(ArrDelay), quantile(ArrDelay, 0.95), n_unique(TailNum), mode(Origin) by Year",
    "string_agg(Origin, '-') by UniqueCarrier where ArrDelay > 200",
    "string_agg(Origin, '-' order by ArrDelay desc), sum(distinct Distance) by UniqueCarrier where TailNum ~ '^N' and ArrDelay > 200",
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
