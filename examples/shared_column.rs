//! Eight tasks, one column of 50 million doubles (400 MB), no copies: the mean, on threads and in processes.
//!
//! `cargo run --release --example shared_column [ROWS [ROUNDS]]` prints, for each round, seconds and CPU seconds: of eight plain
//! scans of the column by as many threads as there are cores, and of the eight tasks on threads and in processes (of which the
//! CPU seconds are those within the tasks); seconds of copying the column into shared memory, once, which goes before either. Last, by
//! how much the private memory of all workers grew while they read it: looking at that takes longer than the scan, so those tasks
//! are not timed.

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use outcrop::exec::{RunOptions, Scheduler};
use outcrop::frame::Stratum;
use outcrop::source::memory::MemorySource;
use outcrop::{LazyFrame, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const TASKS: usize = 8;

fn main() -> Result<()> {
    outcrop::init();
    let mut words = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut number = |default| words.next().and_then(std::result::Result::ok).unwrap_or(default);
    let (rows, rounds) = (number(50_000_000), number(3));
    let column: Arc<Float64Array> = Arc::new((0..rows).map(|row| Some((row % 1000) as f64)).collect());
    let data = RecordBatch::try_from_iter([("x", Arc::clone(&column) as ArrayRef)])?;
    println!("{TASKS} means of {} MB", rows * 8 / 1_000_000);
    for _ in 0..rounds {
        let (seconds, cpu) = scans(column.values());
        println!("plain scans: {seconds:.3} s, {cpu:.3} s of CPU");
        for scheduler in [Scheduler::Threads, Scheduler::Processes] {
            let start = Instant::now();
            let options = RunOptions { scheduler, ..RunOptions::default() };
            let run = tasks().with(data.clone()).with_options(options).map_named(mean)?;
            let whole = start.elapsed().as_secs_f64();
            let found = run.frame.collect()?;
            let cpu: f64 = found.column("cpu")?.as_primitive::<Float64Type>().values().iter().sum();
            let (seconds, copy) = (run.strata.seconds_wall, whole - run.strata.seconds_wall);
            println!("{scheduler:?}: {seconds:.3} s, {cpu:.3} s of CPU, copy {copy:.3} s");
        }
    }
    for scheduler in [Scheduler::Threads, Scheduler::Processes] {
        let options = RunOptions { scheduler, ..RunOptions::default() };
        let found = tasks().with(data.clone()).with_options(options).map_named(grown)?.frame.collect()?;
        let grown: i64 = found.column("private_kib")?.as_primitive::<Int64Type>().values().iter().sum();
        println!("{scheduler:?}: private memory + {grown} KiB");
    }
    Ok(())
}

/// Seconds, and CPU seconds, that as many threads as there are cores take for as many scans as there are tasks: what memory
/// allows.
fn scans(values: &[f64]) -> (f64, f64) {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let scan = || {
        let before = cpu_seconds();
        while next.fetch_add(1, Ordering::Relaxed) < TASKS {
            std::hint::black_box(mean_of(values));
        }
        cpu_seconds() - before
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(scan)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).sum()
    });
    (start.elapsed().as_secs_f64(), cpu)
}

/// CPU seconds of this thread, where the system tells.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// As many strata as there are tasks; what they read is shared.
fn tasks() -> outcrop::frame::Strata {
    let numbers: ArrayRef = Arc::new((0..TASKS as i64).collect::<Int64Array>());
    let source =
        RecordBatch::try_from_iter([("task", numbers)]).map(|batch| MemorySource::new(batch.schema(), vec![batch]));
    let frame = source.map(|source| LazyFrame::from_source(Arc::new(source)));
    frame.expect("a column of numbers").group_by("task").strata()
}

/// Several sums side by side, as one alone waits for itself.
fn mean_of(values: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    (sums.iter().sum::<f64>() + rest.iter().sum::<f64>()) / values.len() as f64
}

/// Memory of this process that it shares with no other, in KiB, where the system tells.
fn private_kib() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

fn column(stratum: &Stratum) -> &[f64] {
    stratum.data()[0].column(0).as_primitive::<Float64Type>().values()
}

fn mean(stratum: &Stratum) -> Result<RecordBatch> {
    let start = cpu_seconds();
    let mean = mean_of(column(stratum));
    let columns: [(&str, ArrayRef); 2] = [
        ("mean", Arc::new(Float64Array::from(vec![mean]))),
        ("cpu", Arc::new(Float64Array::from(vec![cpu_seconds() - start]))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// By how much private memory grows while the column is read.
fn grown(stratum: &Stratum) -> Result<RecordBatch> {
    let before = private_kib();
    std::hint::black_box(mean_of(column(stratum)));
    let grown: ArrayRef = Arc::new(Int64Array::from(vec![private_kib() - before]));
    Ok(RecordBatch::try_from_iter([("private_kib", grown)])?)
}
