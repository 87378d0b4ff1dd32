//! Functions in worker processes. This test has a `main` of its own, because workers are the test program, executed again.

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int8Type, Int64Type};
use outcrop::exec::{RunOptions, Scheduler};
use outcrop::frame::{OnError, Strata, Stratum};
use outcrop::memory::Budget;
use outcrop::parallel::{Allocation, Tasks};
use outcrop::source::memory::MemorySource;
use outcrop::{LazyFrame, Result, scan_csv};
use std::path::Path;
use std::process::{Command, exit};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod common;
use common::{run_named, shown};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("without-init") {
        return without_init();
    }
    outcrop::init();
    if let [_, word, log] = &std::env::args().collect::<Vec<_>>()[..]
        && word == "endless"
    {
        return endless(log);
    }
    // Backtraces of panics that are meant take longer than the tasks may.
    // SAFETY: there is no other thread yet.
    unsafe { std::env::set_var("RUST_BACKTRACE", "0") };
    let tests: &[(&str, fn())] = &[
        ("a_named_function_gives_the_same_under_every_scheduler", every_scheduler),
        ("columns_are_views_of_the_mapping_and_private_memory_stays_small", views_of_the_mapping),
        ("a_write_costs_the_worker_its_life_and_the_run_one_stratum", a_write),
        ("workers_that_fail_cost_their_stratum", workers_that_fail),
        ("closures_and_programs_without_init_are_told_what_to_do", what_to_do),
        ("tasks_are_the_same_under_every_scheduler", tasks_under_every_scheduler),
        ("a_worker_that_was_stopped_is_no_wait_without_end", stopped_workers),
        ("no_worker_outlives_a_program_that_is_killed", no_orphan),
        ("nothing_leaks_when_workers_are_killed_at_random", nothing_leaks),
    ];
    run_named(tests);
}

fn one_row(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}

fn integer(value: impl Into<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value.into()]))
}

fn processes() -> RunOptions {
    RunOptions { scheduler: Scheduler::Processes, threads: 3, ..RunOptions::default() }
}

/// Rows `0..rows`, of `strata` groups.
fn numbered(rows: i64, strata: i64) -> Strata {
    let (k, n): (ArrayRef, ArrayRef) = (
        Arc::new((0..rows).map(|row| row % strata).collect::<Int64Array>()),
        Arc::new((0..rows).collect::<Int64Array>()),
    );
    let batch = RecordBatch::try_from_iter([("k", k), ("n", n)]).unwrap();
    let source = MemorySource::new(batch.schema(), vec![batch]);
    LazyFrame::from_source(Arc::new(source)).group_by("k").strata().columns("n").with_options(processes())
}

fn key(stratum: &Stratum) -> i64 {
    stratum.keys().column(0).as_primitive::<Int64Type>().value(0)
}

fn fit(stratum: &Stratum) -> Result<RecordBatch> {
    let delays = stratum.column("ArrDelay")?;
    let sum: i64 = delays.as_primitive::<Int64Type>().iter().flatten().sum();
    let tails = stratum.column("TailNum")?;
    let last = tails.as_string::<i32>().iter().flatten().last().map(str::to_owned);
    let factor = stratum.data()[0].column(0).as_primitive::<Float64Type>().value(0);
    let named = stratum.data()[0].column(1).as_string::<i32>().value(0).to_owned();
    let label = format!("{} {named}", stratum.label());
    let texts = |text: Option<String>| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    one_row(vec![
        ("n", integer(stratum.rows() as i64)),
        ("scaled", Arc::new(Float64Array::from(vec![sum as f64 * factor]))),
        ("last", texts(last)),
        ("label", texts(Some(label))),
    ])
}

fn every_scheduler() {
    let air = scan_csv("testdata/airline/2001.csv.bz2").unwrap();
    let data = one_row(vec![
        ("factor", Arc::new(Float64Array::from(vec![0.5])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec!["fitted"])) as ArrayRef),
    ]);
    let strata = air.group_by(["UniqueCarrier", "DayOfWeek"]).strata().columns(["ArrDelay", "TailNum"]);
    let strata = strata.with(data.unwrap());
    let run = |scheduler: Scheduler, limit: usize| {
        let budget = Budget::new(limit);
        let options = RunOptions { scheduler, budget: budget.clone(), threads: 2, ..RunOptions::default() };
        let found = strata.clone().with_options(options).map_named(fit).unwrap();
        let text = shown(&found.frame.collect().unwrap());
        drop(found);
        assert_eq!(budget.held_bytes(), 0);
        text
    };
    let expected = run(Scheduler::Synchronous, usize::MAX);
    assert!(expected.lines().count() > 70);
    for (scheduler, limit) in
        [(Scheduler::Threads, usize::MAX), (Scheduler::Processes, usize::MAX), (Scheduler::Processes, 40 << 20)]
    {
        assert_eq!(run(scheduler, limit), expected, "{scheduler:?} {limit}");
    }
}

/// Memory of this process alone. (`Private_Dirty` counts pages of a segment too, as long as no other process has touched
/// them.)
fn private_kib() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// The sum of the shared column, where its buffer lies, and what reading it has cost.
fn look(stratum: &Stratum) -> Result<RecordBatch> {
    let column = stratum.data()[0].column(0).as_primitive::<Float64Type>();
    let address = column.values().as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let end = rest.split(' ').next().unwrap();
        (usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()).contains(&address)
    });
    let before = private_kib();
    let sum: f64 = column.values().iter().sum();
    let grown = private_kib() - before;
    let mapping = line.unwrap_or_default().to_owned();
    one_row(vec![
        ("sum", Arc::new(Float64Array::from(vec![sum]))),
        ("grown", integer(grown)),
        ("aligned", integer(i64::from(address.is_multiple_of(64)))),
        ("mapping", Arc::new(StringArray::from(vec![mapping]))),
        ("pid", integer(i64::from(std::process::id()))),
    ])
}

fn views_of_the_mapping() {
    const ROWS: usize = 2_000_000;
    let column: ArrayRef = Arc::new(Float64Array::from(vec![0.25; ROWS]));
    let data = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let found = numbered(12, 6).with(data).map_named(look).unwrap().frame.collect().unwrap();
    let whole = |name: &str| found.column(name).unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert!(whole("pid").iter().all(|pid| *pid != i64::from(std::process::id())));
    let sums = found.column("sum").unwrap();
    assert!(sums.as_primitive::<Float64Type>().values().iter().all(|sum| *sum == 0.25 * ROWS as f64));
    assert_eq!(whole("aligned"), [1; 6]);
    for mapping in found.column("mapping").unwrap().as_string_view() {
        let mapping = mapping.unwrap();
        assert!(mapping.contains(" r--s ") && mapping.contains("/memfd:outcrop"), "{mapping}");
    }
    let column_kib = (ROWS * size_of::<f64>() / 1024) as i64;
    let grown = whole("grown");
    assert!(grown.iter().sum::<i64>() < column_kib / 20, "{grown:?} KiB of {column_kib}");
}

/// Writes to what is shared, for one stratum.
fn scribble(stratum: &Stratum) -> Result<RecordBatch> {
    if key(stratum) == 2 {
        let column = stratum.column("n")?;
        let start = column.as_primitive::<Int64Type>().values().as_ptr().cast_mut();
        // SAFETY: there is none; the system ends the process.
        unsafe { start.write_volatile(7) };
    }
    one_row(vec![("n", integer(stratum.rows() as i64))])
}

fn a_write() {
    let found = numbered(100, 5).on_error(OnError::Skip).map_named(scribble).unwrap();
    assert_eq!(found.frame.collect().unwrap().rows(), 4);
    let told = found.warnings[0].to_string();
    assert!(told.contains("k = 2: the worker process was ended by signal 11"), "{told}");
}

fn trouble(stratum: &Stratum) -> Result<RecordBatch> {
    match key(stratum) {
        1 => panic!("no fit"),
        2 => {
            eprintln!("last words");
            exit(3)
        }
        3 => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        4 => {
            eprintln!("pivot 3 is 0");
            Err(outcrop::Error::new(outcrop::error::ErrorKind::Value, "singular").hint("more rows"))
        }
        // Whatever it reads, it is not the next task.
        5 => one_row(vec![("n", integer(std::io::stdin().lines().count() as i64))]),
        _ => one_row(vec![("n", integer(stratum.rows() as i64))]),
    }
}

fn workers_that_fail() {
    let strata = numbered(700, 7).retries(1).on_error(OnError::Skip).timeout(Duration::from_secs(3));
    let found = strata.map_named(trouble).unwrap();
    let values = found.frame.collect().unwrap().column("n").unwrap();
    assert_eq!(values.as_primitive::<Int64Type>().values(), &[100, 0, 100]);
    let told: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "left out: stratum k = 1 (2 attempts): the function panicked: no fit",
        "left out: stratum k = 2 (2 attempts): the worker process ended with exit status 3; it said:\nlast words",
        "left out: stratum k = 3 (2 attempts): the task did not end within 3 s",
        "left out: stratum k = 4 (2 attempts): singular; it said:\npivot 3 is 0\nhint: more rows",
    ];
    assert_eq!(told, expected);
}

fn what_to_do() {
    let factor = 2;
    let closure = |stratum: &Stratum| one_row(vec![("n", integer(stratum.rows() as i64 * factor))]);
    let error = numbered(10, 2).map(closure).unwrap_err();
    assert!(error.to_string().contains("map_named"), "{error}");
    let output = Command::new(std::env::current_exe().unwrap()).arg("without-init").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn without_init() {
    let error = numbered(10, 2).map_named(trouble).unwrap_err();
    assert!(error.to_string().contains("call outcrop::init() first in main"), "{error}");
}

fn scaled(input: &(i64, String), data: &[RecordBatch]) -> Result<(String, f64)> {
    let factors = data[0].column(0).as_primitive::<Float64Type>();
    match input.0 {
        13 => Err(outcrop::Error::new(outcrop::error::ErrorKind::Value, "unlucky")),
        14 => panic!("unluckier"),
        _ => Ok((
            format!("{} {}", input.1, data[0].column(1).as_string::<i32>().value(0)),
            factors.value(0) * input.0 as f64 * data[0].column(2).as_primitive::<Int64Type>().value(0) as f64,
        )),
    }
}

fn abort(input: &i64, data: &[RecordBatch]) -> Result<i64> {
    assert!(data.is_empty());
    if *input == 3 { std::process::abort() } else { Ok(input + 1) }
}

fn tasks_under_every_scheduler() {
    let data = one_row(vec![
        ("factor", Arc::new(Float64Array::from(vec![0.5])) as ArrayRef),
        ("unit", Arc::new(StringArray::from(vec!["m"]).into_iter().collect::<DictionaryArray<Int8Type>>())),
        ("one", Arc::new(arrow::array::UInt16Array::from(vec![1]))),
    ]);
    let inputs: Vec<(i64, String)> = (0..40).map(|at| (at, format!("task {at}"))).collect();
    let tasks = Tasks::new().with(data.unwrap()).workers(3);
    let run = |scheduler: Scheduler, allocation: &str| -> Vec<Result<(String, f64), String>> {
        let tasks = tasks.clone().scheduler(scheduler).allocation(Allocation::parse(allocation).unwrap());
        let results = tasks.map_named(&inputs, scaled);
        results.into_iter().map(|result| result.map_err(|error| error.message().to_owned())).collect()
    };
    let expected = run(Scheduler::Synchronous, "dynamic");
    assert_eq!(expected[2], Ok(("task 2 m".to_owned(), 1.0)));
    assert_eq!(
        (&expected[13], &expected[14]),
        (&Err("unlucky".into()), &Err("the function panicked: unluckier".into()))
    );
    for (scheduler, allocation) in
        [(Scheduler::Threads, "dynamic"), (Scheduler::Processes, "dynamic"), (Scheduler::Processes, "static(2)")]
    {
        assert_eq!(run(scheduler, allocation), expected, "{scheduler:?} {allocation}");
    }
    let results = Tasks::new().workers(2).scheduler(Scheduler::Processes).map_named(&[1, 2, 3, 4, 5], abort);
    let values: Vec<Option<i64>> = results.iter().map(|result| result.as_ref().ok().copied()).collect();
    assert_eq!(values, [Some(2), Some(3), None, Some(5), Some(6)]);
    assert!(results[2].as_ref().unwrap_err().message().contains("ended by signal 6"));
}

fn stop_soon(input: &(u64, Vec<u8>), _: &[RecordBatch]) -> Result<u64> {
    use rustix::process::{Signal, getpid, kill_process};
    match input.0 {
        // While the next task is sent.
        1 => drop(std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            kill_process(getpid(), Signal::STOP).unwrap();
        })),
        // At work.
        3 => kill_process(getpid(), Signal::STOP).unwrap(),
        _ => {}
    }
    Ok(input.1.len() as u64)
}

fn stopped_workers() {
    let long = vec![1; 1 << 20];
    let inputs = [(1, vec![]), (2, long.clone()), (3, long.clone()), (4, long)];
    let tasks = Tasks::new().workers(1).scheduler(Scheduler::Processes).timeout(Duration::from_secs(4));
    let tasks = tasks.on_progress(|_| std::thread::sleep(Duration::from_millis(500)));
    let start = Instant::now();
    let results = tasks.map_named(&inputs, stop_soon);
    assert!(start.elapsed() < Duration::from_secs(60));
    let told: Vec<Result<u64, String>> =
        results.into_iter().map(|result| result.map_err(|error| error.message().to_owned())).collect();
    let late = || Err("the task did not end within 4 s".to_owned());
    assert_eq!(told, [Ok(0), late(), late(), Ok(1 << 20)]);
    let children = format!("/proc/self/task/{}/children", std::process::id());
    assert_eq!(std::fs::read_to_string(children).unwrap_or_default(), "", "a worker that was stopped is ended");
}

fn log_and_wait(stratum: &Stratum) -> Result<RecordBatch> {
    use std::io::Write;
    let log = stratum.data()[0].column(0).as_string::<i32>().value(0).to_owned();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
    // Whoever reads it sees the whole line or nothing.
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn endless(log: &str) {
    let data = one_row(vec![("log", Arc::new(StringArray::from(vec![log])) as ArrayRef)]).unwrap();
    numbered(10, 3).with(data).map_named(log_and_wait).unwrap();
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct KilledOnDrop(std::process::Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn no_orphan() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let child = Command::new(std::env::current_exe().unwrap()).args(["endless".as_ref(), log.as_os_str()]).spawn();
    let child = KilledOnDrop(child.unwrap());
    let pids =
        || -> Vec<String> { std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect() };
    wait_until("three workers work", || pids().len() == 3);
    assert!(pids().iter().all(|pid| is_alive(pid)));
    drop(child);
    wait_until("all are gone", || pids().iter().all(|pid| !is_alive(pid)));
}

fn open_handles() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Dies one time in twenty.
fn mortal(stratum: &Stratum) -> Result<RecordBatch> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    if (now.subsec_nanos() / 100).is_multiple_of(20) {
        std::process::abort();
    }
    one_row(vec![("sum", integer(stratum.column("n")?.as_primitive::<Int64Type>().values().iter().sum::<i64>()))])
}

fn nothing_leaks() {
    let strata: i64 = std::env::var("OUTCROP_TEST_STRATA").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let before = open_handles();
    let mut held_kib = Vec::new();
    // What the first round leaves is what the allocator keeps; what the second one adds would be a leak.
    for _ in 0..2 {
        let budget = Budget::new(256 << 20);
        let options = RunOptions { budget: budget.clone(), ..processes() };
        let run = numbered(3 * strata, strata).with_options(options).workers(8).retries(20).map_named(mortal).unwrap();
        let found = run.frame.collect().unwrap();
        let sums = found.column("sum").unwrap();
        let expected: Vec<i64> = (0..strata).map(|k| 3 * k + 3 * strata).collect();
        assert_eq!(sums.as_primitive::<Int64Type>().values(), &expected);
        drop((run, found, sums));
        assert_eq!((open_handles(), budget.held_bytes()), (before, 0));
        held_kib.push(private_kib());
    }
    assert!(held_kib[1] - held_kib[0] < 4 << 10, "memory grows: {held_kib:?} KiB");
    let children = format!("/proc/self/task/{}/children", std::process::id());
    assert_eq!(std::fs::read_to_string(children).unwrap_or_default(), "", "no child is left");
}
