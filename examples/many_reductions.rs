//! The lecture's lesson: `min`, then `max`, reads everything twice; both in one compute read it once.
//!
//! `cargo run --release --example many_reductions` or `… -- 'data/*.csv.bz2'`

use outcrop::frame::Run;
use outcrop::{Result, Runner, scan_csv};

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/*.csv.bz2".to_owned());
    let air = scan_csv(files)?;
    let runner = Runner::new();

    let lo: Run<Option<i64>> = runner.run(air.min("DepDelay"))?;
    let hi: Run<Option<i64>> = runner.run(air.max("DepDelay"))?;
    let apart = lo.statistics.seconds.wall + hi.statistics.seconds.wall;
    let bytes = lo.statistics.bytes_read + hi.statistics.bytes_read;
    println!("one after the other: {apart:.2} s, {bytes} bytes read");

    let both: Run<(Option<i64>, Option<i64>)> = runner.run((air.min("DepDelay"), air.max("DepDelay")))?;
    println!("together:            {:.2} s, {} bytes read", both.statistics.seconds.wall, both.statistics.bytes_read);
    assert_eq!(both.value, (lo.value, hi.value));
    println!("min and max: {:?}", both.value);
    Ok(())
}
