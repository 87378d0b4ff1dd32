//! A model per carrier: the arrival delay by departure delay and distance, in one pass over all files; then how sure the mean
//! delay of each carrier is, by 200 bootstrap replicates in the same way.
//!
//! `cargo run --release --example stratified_models` or `… -- 'data/*.csv.bz2'`

use outcrop::{DataFrame, Result, Runner, scan_csv};

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/*.csv.bz2".to_owned());
    let air = scan_csv(files)?;
    let models = air.ask("ols(ArrDelay, DepDelay, Distance) by UniqueCarrier where ArrDelay is not null")?;
    let sizes = air.ask(
        "ols(ArrDelay, DepDelay, Distance).r_squared as r_squared, ols(ArrDelay, DepDelay, Distance).n as n \
         by UniqueCarrier sort r_squared desc limit 5",
    )?;
    let means = air.ask("bootstrap(mean(ArrDelay), 200) by UniqueCarrier sort std_error limit 5")?;
    let run = Runner::new().run((models, sizes, means))?;
    let (models, sizes, means): (DataFrame, DataFrame, DataFrame) = run.value;
    println!("{models}\n{sizes}\n{means}");
    println!("all of it in {} pass, {} bytes read", run.statistics.passes, run.statistics.bytes_read);
    Ok(())
}
