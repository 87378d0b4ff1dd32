//! The first program: two numbers about all files, in one pass.
//!
//! `cargo run --release --example first_query` or `… -- 'data/*.csv.bz2'`

use outcrop::{Result, compute, scan_csv};

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/*.csv.bz2".to_owned());
    let air = scan_csv(files)?;
    let (lo, hi): (Option<i64>, Option<i64>) = compute((air.min("DepDelay"), air.max("DepDelay")))?;
    println!("departures are between {} and {} minutes late", lo.unwrap_or(0), hi.unwrap_or(0));
    Ok(())
}
