//! Golden texts of the program: plans, every format, help. `just bless` rewrites them.
#![cfg(feature = "cli")]

fn outcrop(arguments: &[&str]) -> String {
    let output = assert_cmd::Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const YEAR: &str = "testdata/airline/1987.csv.bz2";

const QUESTION: &str =
    "count(*) as n, mean(ArrDelay) as delay, first(TailNum) as tail by UniqueCarrier sort n desc limit 4";

#[test]
fn explain_of_many_questions() {
    insta::assert_snapshot!(outcrop(&[
        "explain",
        "testdata/airline/*.csv.bz2",
        "-q",
        "min(DepDelay), max(DepDelay)",
        "-q",
        "count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 and DepDelay > 0 having n > 100 sort delay desc limit 10",
        "-q",
        "Year, Origin, Dest, ArrDelay where ArrDelay is not null sort ArrDelay desc limit 10",
    ]));
}

const JOINS: [&str; 9] = [
    "testdata/airline/200[78].csv.bz2",
    "-q",
    "count(*) as n, mean(ArrDelay) as delay by Description join 'testdata/airline/carriers.csv' on UniqueCarrier = Code sort n desc limit 5",
    "-q",
    "count(*) as n, mean(ArrDelay) as delay by manufacturer left join planes on TailNum = tailnum where Month = 2 and engine_type is not null sort n desc limit 4",
    "-q",
    "count(*) as n, first(TailNum) join planes on TailNum = tailnum anti",
    "--table",
    "planes=testdata/airline/plane-data.csv: malformed=pad",
];

#[test]
fn joined_tables() {
    let with = |command, format: &[&'static str]| outcrop(&[&[command], &JOINS[..], format].concat());
    insta::assert_snapshot!("joins", with("ask", &["--format", "table"]));
    insta::assert_snapshot!("explain_joins", with("explain", &["--memory", "1GiB"]));
}

#[test]
fn schema_as_a_table() {
    insta::assert_snapshot!(outcrop(&["schema", YEAR, "--format", "table"]));
}

#[test]
fn answers_in_every_format() {
    for format in ["table", "csv", "tsv", "json", "ndjson", "markdown", "vertical"] {
        insta::assert_snapshot!(format, outcrop(&["ask", YEAR, "-q", QUESTION, "--format", format]));
    }
}

#[test]
fn lists_in_every_format() {
    let question = "list(Dest) as Dests, list(ArrDelay) as delays, list(Distance < 400) as near by DayofMonth \
                    where Origin = 'SFO' and DayofMonth < 5";
    for format in ["table", "csv", "json", "ndjson", "markdown"] {
        insta::assert_snapshot!(format!("lists_{format}"), outcrop(&["ask", YEAR, "-q", question, "--format", format]));
    }
}

/// Quantiles and distinct counts are those of DuckDB 2.0 on the same files.
#[test]
fn values_of_groups_at_once() {
    insta::assert_snapshot!(outcrop(&[
        "ask",
        "testdata/airline/*.csv.bz2",
        "-q",
        "median(ArrDelay), quantile(ArrDelay, 0.95) as q95, quantile_disc(Dest, 0.5), n_unique(FlightNum), mode(Dest) by UniqueCarrier",
        "-q",
        "string_agg(Dest, '-') as Dests by DayofMonth where Year = 1987 and Origin = 'SFO' and DayofMonth < 5",
        "-q",
        "distinct Year, UniqueCarrier where Year > 2006 sort Year desc, UniqueCarrier limit 3",
    ]));
}

#[test]
fn several_answers_as_tables() {
    insta::assert_snapshot!(outcrop(&["ask", YEAR, "-q", QUESTION, "-q", "max(Distance)", "--format", "table"]));
}

#[test]
fn help_is_the_manual() {
    for command in ["ask", "strata", "schema", "head", "count", "explain"] {
        insta::assert_snapshot!(format!("help_{command}"), outcrop(&[command, "--help"]));
    }
}
