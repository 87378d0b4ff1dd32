//! Delays by carrier, late evening departures only, worst first; and the busiest origins, in the same pass.
//!
//! `cargo run --release --example group_by` or `… -- 'data/*.csv.bz2'`

use outcrop::expr::count_rows;
use outcrop::{DataFrame, Result, col, compute, lit, scan_csv};

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/*.csv.bz2".to_owned());
    let air = scan_csv(files)?;

    // With verbs …
    let carriers = air
        .filter(col("DepTime").gt_eq(lit(2000)))
        .group_by("UniqueCarrier")
        .agg([
            count_rows().alias("flights"),
            col("ArrDelay").mean().alias("mean delay"),
            col("ArrDelay").gt(lit(15)).mean().alias("share late"),
        ])
        .filter(col("flights").gt(lit(100)))
        .sort_descending("share late");
    // … or in words.
    let origins = air.ask("count(*) as flights, std(DepDelay) as sd by Origin sort flights desc limit 5")?;

    let [carriers, origins]: [DataFrame; 2] = compute([carriers, origins])?;
    println!("{carriers}\n\n{origins}");
    Ok(())
}
