//! Random rows: tables of draws, samples, folds and bootstrap replicates, the same in every run.

mod common;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use common::shown;
use outcrop::error::ErrorKind;
use outcrop::expr::fold;
use outcrop::frame::FromValue;
use outcrop::memory::Budget;
use outcrop::plan::{LogicalPlan, explain};
use outcrop::source::random::Distribution;
use outcrop::{DataFrame, LazyFrame, Runner, col, compute, lit, scan_csv};

/// Rows that span three cells of streams.
const ROWS: u64 = 2 * 65_536 + 100;

fn draws(seed: u64) -> LazyFrame {
    let columns = [
        ("n", Distribution::Normal { mean: 0.0, deviation: 1.0 }),
        ("u", Distribution::Uniform { low: -1.0, high: 3.0 }),
        ("e", Distribution::Exponential { scale: 2.5 }),
        ("g", Distribution::Gamma { shape: 0.7, scale: 2.0 }),
    ];
    LazyFrame::random(ROWS, seed, columns).unwrap()
}

fn doubles(frame: &DataFrame, column: &str) -> Vec<f64> {
    frame.column(column).unwrap().as_primitive::<Float64Type>().values().to_vec()
}

fn number(frame: &DataFrame, row: usize, column: &str) -> f64 {
    f64::from_value(frame.value(row, column).unwrap()).unwrap()
}

/// A column, a row and what stands there.
type Entry = (&'static str, usize, f64);

/// Entries by seed; made by NumPy 2.4.6 as `source::random` tells.
const NUMPY: [(u64, [Entry; 11]); 2] = [
    (
        1,
        [
            ("n", 0, -0.05422897592095802),
            ("n", 1, 0.17917801719187315),
            ("n", 65_535, 0.8756998586987415),
            ("n", 65_536, -0.8477349125621335),
            ("n", 65_635, 0.6593885650237388),
            ("u", 65_536, 1.3326789375114627),
            ("u", 65_635, -0.45061079358876954),
            ("e", 65_536, 1.0231380068324512),
            ("e", 65_635, 11.772003415463242),
            ("g", 65_536, 1.1780213943905469),
            ("g", 65_635, 4.070903738132712),
        ],
    ),
    (
        (1 << 40) + 5,
        [
            ("n", 0, -1.1101908584206033),
            ("n", 1, 2.8095683161348832),
            ("n", 65_535, -0.9757889632336414),
            ("n", 65_536, 1.2550904913756005),
            ("n", 65_635, -0.32489825559529767),
            ("u", 65_536, 1.7714589362179636),
            ("u", 65_635, 1.8547521443890571),
            ("e", 65_536, 1.5217816328650648),
            ("e", 65_635, 0.30828075604268845),
            ("g", 65_536, 0.22166416102028172),
            ("g", 65_635, 0.25800183833257023),
        ],
    ),
];

#[test]
fn draws_are_those_of_numpy() {
    for (seed, expected) in NUMPY {
        let table: DataFrame = compute(draws(seed)).unwrap();
        assert_eq!(table.rows() as u64, ROWS);
        for (column, row, value) in expected {
            assert_eq!(doubles(&table, column)[row], value, "{column}, row {row}, seed {seed}");
        }
    }
}

#[test]
fn draws_do_not_depend_on_workers_or_on_the_columns_asked_for() {
    let question = "sum(n), mean(u), var(e), max(g), count(*) as rows";
    let runner = |threads| Runner::new().threads(threads);
    let expected: DataFrame = runner(1).compute(draws(3).ask(question).unwrap()).unwrap();
    for threads in [2, 5] {
        let found: DataFrame = runner(threads).compute(draws(3).ask(question).unwrap()).unwrap();
        assert_eq!(shown(&found), shown(&expected));
    }
    let alone: DataFrame = compute(draws(3).ask("var(e)").unwrap()).unwrap();
    assert_eq!(number(&alone, 0, "var(e)"), number(&expected, 0, "var(e)"));
    // Several questions over equal tables share a pass.
    let plans =
        ["max(u)", "min(g)"].map(|question| LogicalPlan::clone(draws(3).ask(question).unwrap().plan().unwrap()));
    let told = explain(&plans, 1 << 20, 1 << 30).unwrap();
    assert!(told.contains("pass 1") && !told.contains("pass 2"), "{told}");
}

#[test]
fn draws_have_the_moments_of_their_distributions() {
    let moments = "mean(n) as n, var(n) as vn, mean(u) as u, mean(e) as e, var(e) as ve, mean(g) as g, var(g) as vg";
    let table: DataFrame = compute(draws(9).ask(moments).unwrap()).unwrap();
    for (column, expected, error) in [
        ("n", 0.0, 0.014),
        ("vn", 1.0, 0.02),
        ("u", 1.0, 0.016),
        ("e", 2.5, 0.035),
        ("ve", 6.25, 0.25),
        ("g", 1.4, 0.024),
        ("vg", 2.8, 0.13),
    ] {
        // Five standard errors each.
        assert!((number(&table, 0, column) - expected).abs() < error, "{column}: {}", number(&table, 0, column));
    }
}

#[test]
fn parameters_are_checked_when_the_table_is_described() {
    let gamma = Distribution::Gamma { shape: -1.0, scale: 1.0 };
    assert_eq!(LazyFrame::random(10, 1, [("x", gamma)]).unwrap_err().kind(), ErrorKind::Type);
    let uniform = Distribution::Uniform { low: 0.0, high: 1.0 };
    assert_eq!(LazyFrame::random(10, 1, [("x", uniform), ("x", uniform)]).unwrap_err().kind(), ErrorKind::Name);
    assert_eq!(LazyFrame::random(u64::MAX, 1, [("x", uniform)]).unwrap_err().kind(), ErrorKind::Limit);
    let none: DataFrame = compute(LazyFrame::random_uniform(0, 1).unwrap()).unwrap();
    assert_eq!(none.rows(), 0);
}

fn air() -> LazyFrame {
    scan_csv("testdata/airline/199*.csv.bz2").unwrap()
}

#[test]
fn a_sample_is_of_the_rows_that_pass_and_keeps_their_order() {
    let kept: DataFrame =
        compute(air().ask("Year, Month, ArrDelay where Month > 6 sample 500 seed 3").unwrap()).unwrap();
    assert_eq!(kept.rows(), 500);
    let years = kept.column("Year").unwrap();
    let years = years.as_primitive::<Int64Type>().values();
    assert!(years.is_sorted(), "files come in order");
    assert!(kept.column("Month").unwrap().as_primitive::<Int64Type>().values().iter().all(|month| *month > 6));
    // About as many of each of ten years.
    for year in 1990..2000 {
        let own = years.iter().filter(|own| **own == year).count();
        assert!((20..=85).contains(&own), "{own} of {year}");
    }
    let other: DataFrame =
        compute(air().ask("Year, Month, ArrDelay where Month > 6 sample 500 seed 4").unwrap()).unwrap();
    assert_ne!(shown(&kept), shown(&other), "another seed");
    let verb: DataFrame =
        compute(air().filter(col("Month").gt(lit(6))).sample(500, 3).select(["Year", "Month", "ArrDelay"])).unwrap();
    assert_eq!(shown(&kept), shown(&verb));
}

#[test]
fn a_sample_does_not_depend_on_memory() {
    let frame = || air().ask("* sample 2000").unwrap();
    let expected: DataFrame = compute(frame()).unwrap();
    let budget = Budget::new(44 << 20);
    let found: DataFrame = Runner::new().threads(3).budget(budget).compute(frame()).unwrap();
    assert_eq!(shown(&found), shown(&expected));
}

#[test]
fn smaller_shares_are_among_larger_ones() {
    let rows = |share| -> DataFrame {
        compute(air().sample_fraction(share, 1).ask("Year, TailNum, DepTime").unwrap()).unwrap()
    };
    let all: i64 = compute(air().count()).unwrap();
    let (one, five) = (rows(0.01), rows(0.05));
    for (share, table) in [(0.01, &one), (0.05, &five)] {
        let expected = share * all as f64;
        assert!((table.rows() as f64 - expected).abs() < 5.0 * expected.sqrt(), "{} of {all}", table.rows());
    }
    let lines = |table: &DataFrame| shown(table).lines().map(str::to_owned).collect::<Vec<_>>();
    let larger: std::collections::HashSet<_> = lines(&five).into_iter().collect();
    assert!(lines(&one).iter().all(|line| larger.contains(line)));
    assert_eq!(rows(0.0).rows(), 0);
    assert_eq!(rows(1.0).rows() as i64, all);
    assert_eq!(air().sample_fraction(1.5, 1).schema().unwrap_err().kind(), ErrorKind::Type);
}

#[test]
fn the_clause_is_told_in_plans_and_its_errors_underlined() {
    let plan = air().ask("mean(ArrDelay) where Month = 1 sample 2.5% seed 7").unwrap().explain().unwrap();
    assert!(plan.contains("sample 2.5% seed 7"), "{plan}");
    for (question, message) in [
        ("Year sample 110%", "`110%` is not a share from 0% to 100%"),
        ("Year sample 1.5", "`1.5` is not a number of rows"),
        ("Year sample 10 seed", "`seed` is not a seed"),
        ("Year sample 10 sample 5", "a second `sample`"),
    ] {
        assert_eq!(air().ask(question).unwrap_err().message(), message);
    }
    // A column may be called so.
    let table = LazyFrame::random(10, 1, [("sample", Distribution::Exponential { scale: 1.0 })]).unwrap();
    assert!(table.ask("sample, sample * 2 as y where sample > 0 sort sample").is_ok());
}

#[test]
fn folds_part_the_rows() {
    let counts: DataFrame = compute(air().ask("count(*) as n by fold(4, 1) as part").unwrap()).unwrap();
    assert_eq!(counts.rows(), 4);
    let all: i64 = compute(air().count()).unwrap();
    let column = counts.column("n").unwrap();
    let parts = column.as_primitive::<Int64Type>().values();
    assert_eq!(parts.iter().sum::<i64>(), all);
    assert!(parts.iter().all(|part| (part - all / 4).abs() < all / 40));
    let one: i64 = compute(air().filter(fold(4, 1).eq(lit(2)).and(col("Month").gt(lit(0)))).count()).unwrap();
    assert_eq!(one, parts[2]);
    let error = air().ask("mean(ArrDelay), fold(5)").unwrap_err();
    assert_eq!(error.message(), "`fold(5)` is of one row, and is neither a key nor inside an aggregate");
}

#[test]
fn a_filter_on_folds_is_not_asked_before_a_join() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("months.csv");
    std::fs::write(&path, "m,half\n1,1\n2,1\n1,2\n2,2\n").unwrap();
    let question =
        format!("count(*) as n by fold(2) as part join '{}' on Month = m where fold(2) >= 0", path.display());
    let counts: DataFrame = compute(air().ask(&question).unwrap()).unwrap();
    // Copies of a row have folds of their own, whatever is asked of them.
    let filtered = question.replace(">= 0", "= 1");
    let one: DataFrame = compute(air().ask(&filtered).unwrap()).unwrap();
    assert_eq!((one.rows(), number_of(&one, 0)), (1, number_of(&counts, 1)));
}

fn number_of(frame: &DataFrame, row: usize) -> i64 {
    i64::from_value(frame.value(row, "n").unwrap()).unwrap()
}

#[test]
fn replicates_tell_what_theory_tells_of_means_by_group() {
    let question = "bootstrap(mean(ArrDelay), 200, 5) by UniqueCarrier";
    let theory = "mean(ArrDelay) as estimate, std(ArrDelay) / sqrt(count(ArrDelay)) as std_error by UniqueCarrier";
    let (found, expected): (DataFrame, DataFrame) =
        compute((air().ask(question).unwrap(), air().ask(theory).unwrap())).unwrap();
    assert_eq!(found.rows(), expected.rows());
    for row in 0..found.rows() {
        assert_eq!(number(&found, row, "estimate"), number(&expected, row, "estimate"));
        let ratio = number(&found, row, "std_error") / number(&expected, row, "std_error");
        // The standard deviation of 200 values is known to 5 %.
        assert!((0.8..1.25).contains(&ratio), "row {row}: {ratio}");
        let (low, high) = (number(&found, row, "lower"), number(&found, row, "upper"));
        assert!(low < number(&found, row, "estimate") && number(&found, row, "estimate") < high);
    }
    let again: DataFrame = Runner::new().threads(3).piece_bytes(5000).compute(air().ask(question).unwrap()).unwrap();
    assert_eq!(shown(&again), shown(&found));
}

#[test]
fn bootstrap_text_is_read_back_and_refusals_say_what_is_taken() {
    let frame = air().ask("bootstrap(mean(ArrDelay), 10, 3)").unwrap();
    assert!(frame.explain().unwrap().contains("bootstrap(mean(ArrDelay), 10, 3)"));
    for (question, message) in [
        ("bootstrap(median(ArrDelay), 10)", "`bootstrap` does not take `median`"),
        ("bootstrap(ArrDelay, 10)", "`bootstrap` takes an aggregate, not `ArrDelay`"),
        ("bootstrap(mean(ArrDelay), 1)", "`bootstrap` makes 2 to 100000 replicates, not 1"),
        (
            "bootstrap(mean(ArrDelay))",
            "`bootstrap` takes an aggregate, a number of replicates and, if so wanted, a seed",
        ),
    ] {
        assert_eq!(air().ask(question).unwrap_err().message(), message);
    }
}

#[test]
fn cross_products_are_those_of_their_columns() {
    let one: DataFrame = compute(air().ask("crossprod(1, DepDelay, Distance) where Month = 3").unwrap()).unwrap();
    let both = "DepDelay is not null and Distance is not null and Month = 3";
    let sums = format!("count(*) as n, sum(DepDelay) as s, sum(DepDelay * Distance) as p where {both}");
    let sums: DataFrame = compute(air().ask(&sums).unwrap()).unwrap();
    assert_eq!(one.rows(), 3);
    let whole = |name: &str| i64::from_value(sums.value(0, name).unwrap()).unwrap() as f64;
    assert_eq!(number(&one, 0, "1"), whole("n"));
    assert_eq!(number(&one, 1, "1"), whole("s"));
    assert_eq!(number(&one, 1, "Distance"), whole("p"));
    assert_eq!(number(&one, 2, "DepDelay"), whole("p"));
    assert_eq!(String::from_value(one.value(1, "term").unwrap()).unwrap(), "DepDelay");
}
