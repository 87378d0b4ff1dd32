//! Eight workers, one column of 50 million doubles (400 MB), no copies: the mean, on threads and in processes.
//!
//! `cargo run --release --example shared_column [ROWS]` prints seconds, and by how much the private memory of all workers grew
//! while they read the column. Copying the column into shared memory, once, is told apart.

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::Float64Type;
use outcrop::exec::{RunOptions, Scheduler};
use outcrop::frame::Stratum;
use outcrop::source::memory::MemorySource;
use outcrop::{LazyFrame, Result};
use std::sync::Arc;
use std::time::Instant;

const TASKS: i64 = 8;

fn main() -> Result<()> {
    outcrop::init();
    let rows = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(50_000_000);
    let column: Vec<f64> = (0..rows).map(|row| (row % 1000) as f64).collect();
    let mut scan = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        std::hint::black_box(mean_of(&column));
        scan = scan.min(start.elapsed().as_secs_f64());
    }
    println!("one scan of {} MB: {scan:.3} s", rows * 8 / 1_000_000);
    let data = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(column)) as ArrayRef)])?;
    for scheduler in [Scheduler::Threads, Scheduler::Processes] {
        let start = Instant::now();
        let options = RunOptions { scheduler, ..RunOptions::default() };
        let run = tasks().with(data.clone()).workers(TASKS as usize).with_options(options).map_named(mean)?;
        let whole = start.elapsed().as_secs_f64();
        let table = run.frame.agg([
            outcrop::col("mean").min().alias("mean"),
            outcrop::col("seconds").sum().alias("seconds"),
            outcrop::col("private_kib").sum().alias("private_kib"),
        ]);
        let table = table.collect()?;
        println!("{scheduler:?}: {whole:.3} s with the copy into shared memory");
        println!("{table}");
    }
    Ok(())
}

/// As many strata as there are tasks; what they read is shared.
fn tasks() -> outcrop::frame::Strata {
    let numbers: ArrayRef = Arc::new((0..TASKS).collect::<Int64Array>());
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

fn mean(stratum: &Stratum) -> Result<RecordBatch> {
    let (before, start) = (private_kib(), Instant::now());
    let mean = mean_of(stratum.data()[0].column(0).as_primitive::<Float64Type>().values());
    let seconds = start.elapsed().as_secs_f64();
    let columns: [(&str, ArrayRef); 3] = [
        ("mean", Arc::new(Float64Array::from(vec![mean]))),
        ("seconds", Arc::new(Float64Array::from(vec![seconds]))),
        ("private_kib", Arc::new(Int64Array::from(vec![private_kib() - before]))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
