//! What people who are new to the program type, and what it says to them.
#![cfg(feature = "cli")]

use std::fs;
use std::process::Output;

const YEAR: &str = "testdata/airline/2001.csv.bz2";

fn outcrop(arguments: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
    command.args(arguments).env("OUTCROP_CONFIG", "").output().unwrap()
}

/// What it says to a call that is refused with this exit code.
fn said(arguments: &[&str], code: i32) -> String {
    let output = outcrop(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    text
}

fn answer(arguments: &[&str]) -> String {
    let output = outcrop(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_word_that_is_no_file_is_told_of_as_what_it_was_meant_as() {
    let says = |arguments: &[&str], code, parts: &[&str]| {
        let text = said(arguments, code);
        assert!(parts.iter().all(|part| text.contains(part)), "{arguments:?}: {text}");
        assert_eq!(text.matches("hint:").count(), 1, "{arguments:?}: {text}");
    };
    says(&["head", YEAR, "3"], 1, &["error: 3: No such file", "hint: -n 3 says how many rows"]);
    says(&["tail", YEAR, "3"], 1, &["hint: -n 3 says how many rows"]);
    says(&["count", "nosuch.csv"], 1, &["nosuch.csv: No such file", "never was here\n"]);
    says(&["ask", YEAR, "mean(ArrDelay)"], 2, &["hint: a question stands behind -q: -q 'mean(ArrDelay)'"]);
    says(&["ask", YEAR, "max(Month)", "-q", "count(*)"], 1, &["max(Month): No such file", "-q 'max(Month)'"]);
    says(&["ask", YEAR, "-q", "count(*)", "by", "Year"], 1, &["by: No such file", "between quotes"]);
    says(&["freq", YEAR, "Origin"], 2, &["hint: the column stands before the files: Origin testdata"]);
    says(&["hist", "testdata", "ArrDelay"], 1, &["hint: the column stands before the files: ArrDelay testdata"]);
}

#[test]
fn settings_that_are_no_numbers_are_told_of_in_plain_words() {
    assert!(said(&["count", YEAR, "--threads", "0"], 2).contains("there must be one at least"));
    assert!(said(&["count", YEAR, "--threads", "many"], 2).contains("expected a whole number, such as 4"));
    assert!(said(&["count", YEAR, "--memory", "much"], 2).contains("for example 512MiB"));
    for (variable, value, told) in [
        ("OUTCROP_THREADS", "abc", "expected a whole number, such as 4"),
        ("OUTCROP_MEMORY", "abc", "is no number of bytes"),
    ] {
        let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
        let output = command.args(["count", YEAR]).env("OUTCROP_CONFIG", "").env(variable, value).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(variable) && text.contains(told), "{text}");
    }
}

#[test]
fn names_of_other_tools_lead_to_ours() {
    for (question, hint) in [
        ("percentile(ArrDelay, 95)", "use `quantile(x, 0.95)`"),
        ("lm(ArrDelay, DepDelay)", "use `ols(y, x)`"),
        ("tapply(ArrDelay)", "`mean(x) by g`"),
        ("n()", "`count(*)` counts rows"),
        ("var.s(ArrDelay)", "`var(x)` divides by n - 1"),
        ("is.na(ArrDelay)", "write `x is null`"),
        ("pmax(ArrDelay, DepDelay)", "use `greatest(x, y)`"),
    ] {
        let text = said(&["ask", YEAR, "-q", question], 2);
        assert!(text.contains(hint), "{question}: {text}");
    }
    for (question, hint) in [
        ("ArrDelay.isna().sum()", "`count_if(x is null)` counts missing values"),
        ("ArrDelay.rolling(3).mean()", "goes along with the row"),
        ("groupby(Year).mean(ArrDelay)", "`mean(x) by g`"),
        ("df.groupby('Year')['ArrDelay'].mean()", "`mean(x) by g`"),
        ("df['ArrDelay'].mean()", "`mean(x)`, of groups `mean(x) by g`"),
        ("mean(ArrDelay, na.rm = TRUE)", "leave missing values out by themselves"),
        ("quantile(ArrDelay, c(0.1, 0.9))", "`quantile(x, 0.1), quantile(x, 0.9)`"),
        ("table(Month)", "`count(*) by x` counts each value"),
        ("summary(ArrDelay)", "`outcrop describe`"),
        ("describe()", "`outcrop describe`"),
        ("str(ArrDelay)", "`outcrop schema`"),
        ("typeof(ArrDelay)", "`outcrop schema`"),
        ("Origin.str.upper()", "`upper(Origin)`"),
        ("np.mean(ArrDelay)", "`mean(ArrDelay)`"),
        ("ArrDelay.quantile(0.5)", "`quantile(ArrDelay, 0.5)`"),
        ("ArrDelay.apply(lambda v: v + 1)", "such as `x + 1`"),
        ("map(ArrDelay, x -> x + 1)", "functions without a name"),
        ("ArrDelay where ArrDelay = NaN", "`is_nan(x)` asks for it"),
        ("ArrDelay where is.null(ArrDelay)", "write `x is null`"),
        ("ArrDelay limit 5, 10", "in SQL, `limit 10 offset 5`"),
        ("ArrDelay limit 10%", "`sample 10%`"),
        ("Origin where Origin like any ('S%', 'L%')", "`x like 'a%' or x like 'b%'`"),
        ("sum(ArrDelay) over (partition Origin)", "write `partition by Origin`"),
        ("sum(ArrDelay) over (order Month)", "write `order by Month`"),
        ("sum(ArrDelay) over (order by Month range between 7 days preceding and current row)", "`interval '7 days'`"),
        ("date_sub(Month, 1)", "`d - interval '1 day'`"),
        ("rownum, Origin", "hint: `row_number() over ()` counts rows"),
        ("ArrDelay where Origin %in% c('SFO')", "x in ('a', 'b')"),
    ] {
        let text = said(&["ask", YEAR, "-q", question], 2);
        assert!(text.contains(hint), "{question}: {text}");
    }
    let none = said(&["ask", YEAR, "-q", "md5(Origin)"], 2);
    assert!(none.contains("`outcrop help ask` lists") && !none.contains("nearest"), "{none}");
    assert_eq!(
        answer(&["ask", YEAR, "-q", "count(*) as n where Month = any (1, 2) and Month in [1]", "--format", "csv"]),
        answer(&["ask", YEAR, "-q", "count(*) as n where Month = 1", "--format", "csv"])
    );
    let result =
        answer(&["ask", YEAR, "-q", "sd(ArrDelay), stddev(DepDelay), nunique(Month), n_distinct(Year), avg(Month)"]);
    assert_eq!(result.lines().count(), 2, "{result}");
}

#[test]
fn lists_of_columns_have_no_windows_and_no_queries() {
    for arguments in [
        &["head", YEAR, "--select", "Year, rank() over (order by Month)"][..],
        &["head", YEAR, "--select", "(select 1) as x"],
        &["convert", YEAR, "--sort-by", "row_number() over (order by Month)", "--to", "-"],
    ] {
        let text = said(arguments, 2);
        assert!(text.contains("window functions and queries") && text.contains("^^^"), "{text}");
    }
    let text = said(&["head", YEAR, "--where", "Month in (select 1)"], 2);
    assert!(text.contains("a query in this place") && text.contains("an expression by itself"), "{text}");
}

#[test]
fn a_condition_on_a_result_that_is_not_there_names_those_that_are() {
    let text = said(&["ask", YEAR, "-q", "mean(ArrDelay) as delay by Month having dely > 3"], 2);
    assert!(text.contains("`dely`") && text.contains("did you mean `delay`?") && text.contains("\n  "), "{text}");
    assert!(text.lines().any(|line| line.trim() == "^^^^"), "the word is underlined, not all: {text}");
}

#[test]
fn a_type_that_a_number_does_not_fit_is_answered_with_one_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a.csv"), "x,y\n1,a\n1.5,b\n").unwrap();
    fs::write(path("a.ndjson"), "{\"x\":1}\n{\"x\":1.5}\n").unwrap();
    for name in ["a.csv", "a.ndjson"] {
        let text = said(&["ask", &path(name), "-q", "sum(x)", "--types", "x=int"], 1);
        assert!(text.contains("hint: --types x=float64 takes it as it is"), "{text}");
    }
    let text = said(&["ask", &path("a.csv"), "-q", "sum(y)", "--types", "y=int"], 1);
    assert!(text.contains("--null 'a' reads it as missing"), "{text}");
}

#[test]
fn the_last_rows_have_the_types_that_all_rows_need() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.csv");
    // Far from the samples one value is no number.
    let rows = |from: usize, to: usize| (from..to).map(|row| format!("{row},{}\n", row % 10)).collect::<String>();
    fs::write(&path, format!("a,b\n{}x,1\n{}", rows(0, 400_000), rows(400_000, 800_000))).unwrap();
    let path = path.to_str().unwrap();
    for more in [&[][..], &["--threads", "1"], &["--where", "b < 10"]] {
        let output = outcrop(&[&["tail", path, "-n", "2", "--format", "ndjson"], more].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains("it is read again as Utf8"), "{told}");
        let rows = String::from_utf8(output.stdout).unwrap();
        assert!(rows.ends_with("{\"a\":\"799999\",\"b\":9}\n") && rows.lines().count() == 2, "{rows}");
    }
}

#[test]
fn numbers_that_json_lacks_are_read_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a.csv"), "k,x\n1,1.5\n2,NaN\n3,inf\n4,-inf\n5,\n").unwrap();
    answer(&["convert", &path("a.csv"), "--types", "x=float64", "--to", &path("a.ndjson")]);
    let text = fs::read_to_string(path("a.ndjson")).unwrap();
    assert!(text.contains("\"x\":\"NaN\"") && text.contains("\"x\":\"-Infinity\""), "{text}");
    assert_eq!(answer(&["schema", &path("a.ndjson")]), "column,type\nk,Int64\nx,Float64\n");
    assert_eq!(answer(&["head", &path("a.ndjson"), "--format", "ndjson"]), text);
    // Among texts they are texts.
    fs::write(path("b.ndjson"), "{\"x\":\"NaN\"}\n{\"x\":\"Nan\"}\n").unwrap();
    assert_eq!(answer(&["head", &path("b.ndjson")]), "x\nNaN\nNan\n");
}

#[test]
fn a_factor_with_one_level_is_seen_and_has_no_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "g,f,x,y\na,u,1,2\na,u,2,4\na,u,3,7\nb,u,1,1\nb,v,2,3\nb,v,3,4\nb,u,4,6\n").unwrap();
    let fits = answer(&["ask", path.to_str().unwrap(), "-q", "ols(y, x, f) by g"]);
    let lines: Vec<&str> = fits.lines().collect();
    assert_eq!(lines.len(), 7, "{fits}");
    let one = lines
        .iter()
        .find(|line| line.starts_with("a,") && line.contains("f = 'u'"))
        .unwrap_or_else(|| panic!("{fits}"));
    assert!(one.ends_with(",,,,"), "{fits}");
    assert!(lines.iter().any(|line| line.starts_with("a,x,2.5,")), "{fits}");
    assert!(lines.iter().any(|line| line.starts_with("b,f = 'v',") && !line.ends_with(",,,,")), "{fits}");
}

#[test]
fn the_kind_of_a_picture_is_no_file() {
    let text = said(&["freq", "Origin", YEAR, "--plot", "bar", "z.svg"], 2);
    assert!(
        text.contains("`--plot bar` names no file\nhint: bars are drawn") && text.contains("--plot z.svg"),
        "{text}"
    );
    assert!(said(&["hist", "ArrDelay", YEAR, "--plot", "line"], 2).contains("--plot FILE.svg"));
}

#[test]
fn a_comparison_with_null_is_told_of_and_stays_what_it_is() {
    let statement = format!("select count(*) as n from '{YEAR}' where ArrDelay = null");
    for arguments in [
        &["ask", YEAR, "-q", "count(*) as n where ArrDelay = null", "--format", "csv"][..],
        &["sql", &statement, "--format", "csv"],
        &["count", YEAR, "--where", "ArrDelay = null", "--format", "csv"],
    ] {
        let output = outcrop(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.stdout.ends_with(b"\n0\n"), "{arguments:?}: {text}");
        assert!(text.starts_with("warning: a comparison with `null` is never true\n"), "{arguments:?}: {text}");
        assert!(text.contains("^^^^^^\nhint: write `x is null`"), "{arguments:?}: {text}");
        let quiet = outcrop(&[arguments, &["--quiet"]].concat());
        assert_eq!(quiet.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn a_comparison_with_null_is_told_of_before_programs_run() {
    let arguments = ["strata", YEAR, "--by", "Month", "--where", "ArrDelay = null", "--exec", "cat"];
    let text = String::from_utf8(outcrop(&arguments).stderr).unwrap();
    assert!(text.starts_with("warning: a comparison with `null` is never true\n"), "{text}");
}

#[test]
fn the_text_of_a_plan_goes_to_no_file_of_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("z.txt").display().to_string();
    for statement in ["explain select 1", "explain analyze select 1"] {
        let text = said(&["sql", statement, "--output", &file], 2);
        assert!(text.contains("`explain` has none") && text.contains("hint: > "), "{text}");
    }
}

#[test]
fn explain_analyze_tells_what_a_query_took_and_not_its_rows() {
    let text = answer(&["sql", &format!("explain analyze select Origin, count(*) from '{YEAR}' group by 1")]);
    assert!(text.starts_with("question 1\n  select `key 1 of the query` as Origin, "), "{text}");
    assert!(text.contains("pass 1: ") && text.contains("  passes  1\n") && text.contains("records_read  "), "{text}");
    assert!(!text.contains("SFO"), "{text}");
}

#[test]
fn what_the_prompt_has_otherwise_is_told_there() {
    for (typed, hint) in [
        ("selct 1", "did you mean `select`? SQL ends with `;`"),
        ("freq Origin", "`freq` is a command of the command line; here `count(*) as n by x sort n desc`"),
        ("tables", "commands of the shell begin with a dot: `.tables`"),
    ] {
        for files in [&["shell", YEAR][..], &["shell"]] {
            let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
            let output =
                command.args(files).env("OUTCROP_CONFIG", "").write_stdin(format!("{typed}\n")).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(2) && text.contains(hint), "{typed}: {text}");
        }
    }
}

#[test]
fn a_distribution_of_dates_is_told_of_by_month() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.csv");
    fs::write(&file, "d\n2001-01-02\n2001-01-03\n").unwrap();
    let text = said(&["hist", "d", &file.display().to_string()], 2);
    assert!(text.contains("outcrop freq \"date_trunc('month', d)\" counts by month"), "{text}");
    assert_eq!(
        answer(&["freq", "date_trunc('month', d)", &file.display().to_string(), "--format", "csv"]).lines().nth(1),
        Some("2001-01-01,2,100.0")
    );
}
