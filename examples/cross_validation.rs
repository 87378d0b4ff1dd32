//! Cross-validation in two passes: five folds by hashes of rows, a regression without each fold, and its errors in that fold.
//!
//! `cargo run --release --example cross_validation` or `… -- 'data/*.csv.bz2'`

use outcrop::expr::fold;
use outcrop::frame::{FromValue, Run};
use outcrop::parallel::Tasks;
use outcrop::{DataFrame, Result, Runner, col, lit, scan_csv};

const FOLDS: i64 = 5;
const SEED: i64 = 42;
const MODELS: [&str; 2] = ["ols(ArrDelay, DepDelay)", "ols(ArrDelay, DepDelay, Distance, TaxiOut)"];

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/200*.csv.bz2".to_owned());
    let air = scan_csv(files)?;
    let complete = col("ArrDelay").is_not_null().and(col("TaxiOut").is_not_null());
    let air = air.filter(complete);

    // First pass: both models without each fold, ten fits at once.
    let rest = |part: i64| air.filter(fold(FOLDS, SEED).not_eq(lit(part)));
    let fits: Vec<_> = (0..FOLDS).flat_map(|part| MODELS.map(|model| rest(part).ask(model))).collect::<Result<_>>()?;
    let run: Run<Vec<DataFrame>> = Runner::new().run(fits)?;
    println!("{} fits in {} pass", run.value.len(), run.statistics.passes);

    // Second pass: the mean square of the errors of each fit in the fold that it has not seen.
    let questions = Tasks::new().map(&(0..run.value.len()).collect::<Vec<_>>(), |&at| {
        let (part, fit) = ((at / MODELS.len()) as i64, &run.value[at]);
        let mut error = col("ArrDelay") * lit(1.0);
        for row in 0..fit.rows() {
            let (term, estimate) =
                (String::from_value(fit.value(row, "term")?)?, f64::from_value(fit.value(row, "estimate")?)?);
            error = error - if term == "(Intercept)" { lit(estimate) } else { col(term) * lit(estimate) };
        }
        Ok(air.filter(fold(FOLDS, SEED).eq(lit(part))).agg((error.clone() * error).mean().alias("square")))
    });
    let questions = questions.into_iter().collect::<Result<Vec<_>>>()?;
    let answers: Vec<DataFrame> = Runner::new().compute(questions)?;
    let square = |answer: &DataFrame| f64::from_value(answer.value(0, "square")?);
    let squares = answers.iter().map(square).collect::<Result<Vec<f64>>>()?;
    for (at, model) in MODELS.iter().enumerate() {
        let own: Vec<f64> = squares.iter().skip(at).step_by(MODELS.len()).map(|square| square.sqrt()).collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        println!("{model}: off by {mean:.3} minutes in rows not seen ({own:.3?} by fold)");
    }
    Ok(())
}
