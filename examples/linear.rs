//! One measurement of vectorised columns or of linear algebra, as a line of JSON: `benches/peers/linear` runs it beside NumPy.
//!
//! ```text
//! cargo run --release --example linear -- draw 100000000 2      sum of normal draws, on 2 threads
//! cargo run --release --example linear -- draw-exp 100000000 2  sum of exp(x) + 3 * sin(x) over the same draws
//! cargo run --release --example linear -- exp 50000000 2        the same over a column in memory
//! cargo run --release --example linear -- crossprod 6000 2      XᵀX of a square matrix, and its Cholesky factor
//! ```

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use outcrop::exec::RunOptions;
use outcrop::frame::FromValue;
use outcrop::linalg::Matrix;
use outcrop::parallel::Tasks;
use outcrop::parallel::random::{Pcg64, Random};
use outcrop::source::memory::MemorySource;
use outcrop::{DataFrame, LazyFrame, Result, Runner};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const USAGE: &str = "usage: linear draw|draw-exp|exp|crossprod SIZE THREADS";
const EXPRESSION: &str = "sum(exp(x) + 3 * sin(x))";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
    let (Some(what), Some(size), Some(threads)) = (words.first(), number(1), number(2)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = match what.as_str() {
        "draw" => draws(size).and_then(|draws| sum(&draws, "sum(x)", threads)),
        "draw-exp" => draws(size).and_then(|draws| sum(&draws, EXPRESSION, threads)),
        "exp" => stored(size).and_then(|column| sum(&column, EXPRESSION, threads)),
        "crossprod" => crossprod(size, threads),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn draws(rows: usize) -> Result<LazyFrame> {
    LazyFrame::random_normal(rows as u64, 1)
}

/// Numbers that repeat, in batches that fit the cache of a core.
fn stored(rows: usize) -> Result<LazyFrame> {
    const BATCH: usize = 1 << 14;
    let batch = |start: usize| {
        let values = (start..(start + BATCH).min(rows)).map(|row| (row % 1000) as f64 / 100.0);
        Ok(RecordBatch::try_from_iter([("x", Arc::new(values.collect::<Float64Array>()) as ArrayRef)])?)
    };
    let batches = (0..rows).step_by(BATCH).map(batch).collect::<Result<Vec<_>>>()?;
    let schema =
        batches.first().map(RecordBatch::schema).unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty()));
    Ok(LazyFrame::from_source(Arc::new(MemorySource::new(schema, batches))))
}

fn sum(frame: &LazyFrame, question: &str, threads: usize) -> Result<String> {
    let options = RunOptions { threads, ..RunOptions::default() };
    let start = Instant::now();
    let answer: DataFrame = Runner::with_options(options).compute(frame.ask(&format!("{question} as sum"))?)?;
    let sum = f64::from_value(answer.value(0, "sum")?)?;
    Ok(format!("{{\"seconds\": {}, \"sum\": {sum:?}}}", start.elapsed().as_secs_f64()))
}

fn crossprod(order: usize, threads: usize) -> Result<String> {
    let mut random = Random::new(Pcg64::new(1));
    let x = Matrix::from_fn(order, order, |_, _| random.standard_normal());
    let tasks = Tasks::new().workers(threads);
    let start = Instant::now();
    let product = x.crossprod_on(&tasks)?;
    let middle = Instant::now();
    let factor = product.cholesky_on(&tasks)?;
    let (first, second) = ((middle - start).as_secs_f64(), middle.elapsed().as_secs_f64());
    Ok(format!("{{\"crossprod\": {first}, \"cholesky\": {second}, \"corner\": {:?}}}", factor.lower().get(0, 0)))
}
