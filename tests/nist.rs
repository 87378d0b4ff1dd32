//! Answers beside the certified values of NIST's Statistical Reference Datasets, as a user gets them.

mod common;

use common::shown;
use outcrop::frame::{DataFrame, Run, Runner, Value};
use outcrop::memory::Budget;
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
    let frame = scan_csv("testdata/airline/200[67].csv.bz2").unwrap();
    let question =
        "ols(ArrDelay, DepDelay, Distance, Origin = 'ORD') by UniqueCarrier having p < 0.5 sort estimate desc";
    let ask = |runner: Runner| -> DataFrame { runner.compute(frame.ask(question).unwrap()).unwrap() };
    let once = ask(Runner::new().threads(1));
    assert!(once.rows() > 20);
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

#[test]
fn a_factor_is_its_indicators() {
    let frame = scan_csv("testdata/airline/200[67].csv.bz2").unwrap();
    let ask = |question: &str| -> DataFrame { compute(frame.ask(question).unwrap()).unwrap() };
    // The levels of each factor, in order; the first is what the others are compared with.
    let (days, hours) = ("cast(DayOfWeek as utf8)", "case when CRSDepTime < 1200 then 'am' else 'pm' end");
    let indicators = (2..=7).map(|day| format!("{days} = '{day}'")).collect::<Vec<_>>().join(", ");
    let pm = format!("{hours} = 'pm'");
    for (factors, indicators) in [
        (days.to_owned(), indicators.clone()),
        (format!("{hours}, Distance, {days}"), format!("{pm}, Distance, {indicators}")),
        (format!("{days}, intercept => false"), format!("{days} = '1', {indicators}, intercept => false")),
    ] {
        let by_factor = ask(&format!("ols(ArrDelay, DepDelay, {factors}) by Year"));
        let by_indicators = ask(&format!("ols(ArrDelay, DepDelay, {indicators}) by Year"));
        assert_eq!(shown(&by_factor), shown(&by_indicators));
        let measures = |model: &str| {
            ["n", "rank", "r_squared", "f_p"].map(|measure| format!("ols(ArrDelay, {model}).{measure} as {measure}"))
        };
        let measured = |model: &str| shown(&ask(&format!("{} by Month", measures(model).join(", "))));
        assert_eq!(measured(&factors), measured(&indicators));
    }
}

#[test]
fn models_with_factors_spill_and_merge_to_the_same_bits() {
    let frame = scan_csv("testdata/airline/200[67].csv.bz2").unwrap();
    let question = "ols(ArrDelay, DepDelay, UniqueCarrier) by FlightNum sort estimate limit 200";
    let small = |threads| Runner::new().threads(threads).batch_bytes(20_000).piece_bytes(20_000);
    let ample: Run<DataFrame> = small(2).run(frame.ask(question).unwrap()).unwrap();
    let least = ample.statistics.least_memory_bytes as usize + (1 << 20);
    assert_eq!(ample.value.rows(), 200);
    for threads in [1, 2] {
        let runner = small(threads).budget(Budget::new(least));
        let run: Run<DataFrame> = runner.run(frame.ask(question).unwrap()).unwrap();
        assert!(run.statistics.bytes_spilled > 0);
        assert_eq!(shown(&run.value), shown(&ample.value));
    }
}

#[test]
fn formulas_are_models_and_slips_are_told() {
    let frame = scan_csv(data("csv/Longley.csv")).unwrap();
    let answer_to = |question: &str| {
        let found: DataFrame = compute(frame.ask(question).unwrap()).unwrap();
        common::shown(&found)
    };
    assert_eq!(answer_to("ols('y ~ x1 * x2 + x6')"), answer_to("ols(y, x1, x2, x6, x1 * x2)"));
    assert_eq!(
        answer_to("ols('y ~ x1 - 1').r_squared as r"),
        answer_to("ols(y, x1, intercept = false).r_squared as r")
    );
    for (question, message, hint) in [
        ("ols('y ~ x1 + x9')", "no column `x9`", None),
        ("ols('y ~ x1 + + x2')", "a formula has nothing between two signs", None),
        ("ols(y, x1).rsquared", "a fit has no `rsquared`", Some("did you mean `r_squared`?")),
        ("ols(y, x1), mean(y)", "`ols(y, x1)` makes rows of its own, and `mean(y)` cannot stand beside it", None),
        (
            "ols(y, x1) + 1",
            "the aggregate `ols(y, x1)` makes rows",
            Some("it is asked for by itself; of ols(…), .r_squared and the like are numbers"),
        ),
        ("ols(y, x1) by x2 as term", "the key `term` has the name of a column of `ols(y, x1)`", None),
        ("ols(y, x1) as fit", "`ols(y, x1)` makes columns of its own, which one name cannot stand for", None),
        (
            "largest(y, 2) as a, largest(y, 2) as b",
            "`largest(y, 2)` makes rows of its own, and `largest(y, 2) as b`",
            None,
        ),
        ("ols('y' , x1)", "`ols` takes a response, a number or Boolean, and", None),
        ("x1.r_squared", "no column `x1.r_squared`", None),
        ("mean(y).r_squared", "a part of a value, behind a dot or in brackets, is not supported", None),
    ] {
        let error = frame.ask(question).unwrap_err();
        assert!(error.message().starts_with(message), "{question}: {}", error.message());
        assert!(hint.is_none_or(|hint| error.hint_text() == Some(hint)), "{question}: {:?}", error.hint_text());
    }
}

#[test]
fn rows_of_groups_have_the_columns_that_were_asked_for_in_their_order() {
    let frame = scan_csv("testdata/airline/2007.csv.bz2").unwrap();
    let names = |question: &str| -> Vec<String> {
        let found: DataFrame = compute(frame.ask(question).unwrap()).unwrap();
        found.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names("largest(ArrDelay, 2) as top, Month by Month"), ["top", "Month"]);
    assert_eq!(names("Month as m, largest(ArrDelay, 2) by Month sort m desc limit 3"), ["m", "largest(ArrDelay, 2)"]);
    assert_eq!(names("largest(ArrDelay, 2) by Month as m"), ["m", "largest(ArrDelay, 2)"]);
    assert_eq!(names("ols(ArrDelay, DepDelay), Month by Month"), ["term", "estimate", "std_error", "t", "p", "Month"]);
}

#[test]
fn many_groups_with_few_values_take_the_memory_of_these() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    let text: String = (0..60_000).map(|row| format!("{row},{}\n", row % 7)).collect();
    std::fs::write(&path, format!("k,x\n{text}")).unwrap();
    let budget = Budget::new(48 << 20);
    let frame = scan_csv(&path).unwrap();
    let question = "largest(x, 10000) as x by k";
    let found: DataFrame = Runner::new().budget(budget.clone()).compute(frame.ask(question).unwrap()).unwrap();
    assert_eq!(found.rows(), 60_000);
    assert!(budget.peak_bytes() < 40 << 20, "{}", budget.peak_bytes());
}
