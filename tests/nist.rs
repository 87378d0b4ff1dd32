//! Answers beside the certified values of NIST's Statistical Reference Datasets, as a user gets them.

use outcrop::frame::{DataFrame, Runner, Value};
use outcrop::{compute, scan_csv};
use serde_json::Value as Json;
use std::path::PathBuf;

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/nist").join(file)
}

fn certified() -> Json {
    serde_json::from_str(&std::fs::read_to_string(data("certified.json")).unwrap()).unwrap()
}

fn number(value: &Json) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn answer(file: &str, question: &str) -> Vec<f64> {
    let frame = scan_csv(data(file)).unwrap();
    let found: DataFrame = compute(frame.ask(question).unwrap()).unwrap();
    let names: Vec<String> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    names
        .iter()
        .map(|name| match found.value(0, name).unwrap() {
            Value::Float64(found) => found,
            other => panic!("{name} is {other:?}"),
        })
        .collect()
}

/// Correct digits.
fn digits(found: f64, certified: f64) -> f64 {
    let error = ((found - certified) / certified).abs();
    if error == 0.0 { 16.0 } else { -error.log10() }
}

#[test]
fn means_and_standard_deviations_have_all_digits_that_doubles_allow() {
    let sets = certified();
    let mut count = 0;
    for (name, set) in sets["univariate"].as_object().unwrap() {
        let found = answer(set["file"].as_str().unwrap(), "mean(y) as m, std(y) as s");
        // What is exact for the data as doubles; the certified values are for the decimals.
        let ideal = &set["float64_ideal"];
        assert!(digits(found[0], number(&ideal["mean"])) > 15.0, "{name}: {}", found[0]);
        assert!(digits(found[1], number(&ideal["stddev_samp"])) > 15.0, "{name}: {}", found[1]);
        let attainable = ideal["max_attainable_LRE_stddev"].as_f64().unwrap().min(15.0);
        assert!(digits(found[1], number(&set["exact_decimal"]["stddev_samp"])) > attainable - 1.0, "{name}");
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn covariance_correlation_and_the_line_through_norris() {
    let sets = certified();
    let exact = &sets["linear"]["Norris"]["sql_simple"];
    let names = ["cov", "cov_pop", "corr", "regr_slope", "regr_intercept", "regr_r2"];
    let question = names.map(|name| format!("{name}(y, x) as {name}")).join(", ");
    let found = answer("csv/Norris.csv", &question);
    let keys = ["covar_samp", "covar_pop", "corr", "regr_slope", "regr_intercept", "regr_r2"];
    for (found, key) in found.into_iter().zip(keys) {
        assert!(digits(found, number(&exact[key])) > 12.0, "{key}: {found}");
    }
}

#[test]
fn ols_meets_the_certified_linear_regressions() {
    let sets = certified();
    let questions = [
        ("Norris", "x", 12.0),
        ("NoInt1", "x, intercept => false", 14.0),
        ("Longley", "x1, x2, x3, x4, x5, x6", 12.0),
        ("Wampler1", "x, x * x, x * x * x, x * x * x * x, x * x * x * x * x", 15.0),
        // Powers are rounded to doubles before they are regressed on, and this set makes the most of it.
        (
            "Filip",
            "x, power(x, 2), power(x, 3), power(x, 4), power(x, 5), power(x, 6), power(x, 7), power(x, 8), power(x, 9), power(x, 10)",
            7.0,
        ),
    ];
    for (name, regressors, least) in questions {
        let set = &sets["linear"][name];
        let frame = scan_csv(data(set["file"].as_str().unwrap())).unwrap();
        let question = format!("ols(y, {regressors})");
        let measures = ["n", "rank", "r_squared", "residual_std_error", "df_residual"];
        let measures = measures.map(|measure| format!("{question}.{measure} as {measure}")).join(", ");
        let fits = (frame.ask(&question).unwrap(), frame.ask(&measures).unwrap());
        let (terms, whole): (DataFrame, DataFrame) = compute(fits).unwrap();
        let first = usize::from(!set["intercept"].as_bool().unwrap());
        let number_of = |frame: &DataFrame, row: usize, column: &str| match frame.value(row, column).unwrap() {
            Value::Float64(found) => found,
            Value::Int64(found) => found as f64,
            other => panic!("{column} is {other:?}"),
        };
        for row in 0..terms.rows() {
            let certified = &set["certified"]["params"][format!("B{}", row + first)];
            for (column, key) in [("estimate", "estimate"), ("std_error", "se")] {
                let (found, certified) = (number_of(&terms, row, column), number(&certified[key]));
                let right = if certified == 0.0 { found == 0.0 } else { digits(found, certified) > least };
                assert!(right, "{name} {row} {column}: {found} for {certified}");
            }
        }
        assert_eq!(number_of(&whole, 0, "n"), set["n"].as_f64().unwrap());
        assert_eq!(number_of(&whole, 0, "rank"), terms.rows() as f64, "{name} has full rank");
        assert_eq!(number_of(&whole, 0, "df_residual"), set["certified"]["df_res"].as_f64().unwrap());
        assert!(digits(number_of(&whole, 0, "r_squared"), number(&set["certified"]["r_squared"])) > least);
    }
}

#[test]
fn fits_of_groups_are_the_same_whatever_the_threads_and_memory() {
    let frame = scan_csv("testdata/airline/200*.csv.bz2").unwrap();
    let question =
        "ols(ArrDelay, DepDelay, Distance, Origin = 'ORD') by UniqueCarrier having p < 0.5 sort estimate desc";
    let ask = |runner: Runner| -> DataFrame { runner.compute(frame.ask(question).unwrap()).unwrap() };
    let shown = |found: &DataFrame| format!("{:?}", found.batches().collect::<Result<Vec<_>, _>>().unwrap());
    let once = ask(Runner::new().threads(1));
    assert!(once.rows() > 30);
    for (threads, bytes) in [(2, 1000), (3, 1 << 20), (2, 70_000)] {
        assert_eq!(shown(&ask(Runner::new().threads(threads).batch_bytes(bytes).piece_bytes(bytes))), shown(&once));
    }
    let apart = frame.ask("ols(ArrDelay, DepDelay, Distance, Origin = 'ORD') where UniqueCarrier = 'AA'").unwrap();
    let apart: DataFrame = compute(apart).unwrap();
    let first = (0..once.rows()).find(|row| {
        (once.value(*row, "UniqueCarrier").unwrap(), once.value(*row, "term").unwrap())
            == (Value::Utf8("AA".to_owned()), Value::Utf8("DepDelay".to_owned()))
    });
    assert_eq!(once.value(first.unwrap(), "estimate").unwrap(), apart.value(1, "estimate").unwrap());
}
