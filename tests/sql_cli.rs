//! `outcrop sql` as a user drives it.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::path::Path;

fn outcrop(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn statements_over_the_same_files_share_a_pass_also_through_views_and_beside_copies() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("cancelled.csv");
    let copied = format!("copy (select Year, Origin from air where Cancelled = 1) to '{}'", copy.display());
    let output = outcrop(&[
        "sql",
        "--table",
        "air=testdata/airline/*.csv.bz2",
        "--format",
        "json",
        "--stats=json",
        "create temp view december as select * from air where Month = 12; select count(*) as n, max(ArrDelay) as worst from december",
        "select count(*) as n, sum(Year) as years from air",
        "with late as (select UniqueCarrier as c from air where ArrDelay > 60) select c, count(*) as n from late group by c order by n desc, c limit 1",
        &copied,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers[1], json!([{"n": 128_790, "years": 257_403_132}]));
    assert!(answers[0][0]["n"].as_i64().unwrap() > 10_000 && answers[2][0]["n"].as_i64().unwrap() > 100);
    let statistics: Value = serde_json::from_str(said(&output).trim().lines().last().unwrap()).unwrap();
    assert_eq!((&statistics["passes"], &statistics["records_read"]), (&json!(1), &json!(128_790)));
    assert!(text(&copy).starts_with("Year,Origin\n") && text(&copy).lines().count() > 1000);
}

#[test]
fn scripts_come_from_files_and_standard_input_and_answers_go_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let (script, target) = (folder.path().join("report.sql"), folder.path().join("answer{}.csv"));
    std::fs::write(&script, "-- two answers\nselect 1 as a;\nvalues (2, 'x');\n").unwrap();
    let output = outcrop(&["sql", "-f", script.to_str().unwrap(), "--output", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(text(&folder.path().join("answer1.csv")), "a\n1\n");
    assert_eq!(text(&folder.path().join("answer2.csv")), "col0,col1\n2,x\n");
    let piped =
        Command::cargo_bin("outcrop").unwrap().args(["sql", "-"]).write_stdin("select 40 + 2 as n").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&piped.stdout), "n\n42\n");
}

#[test]
fn what_is_read_or_copied_to_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a.csv"), "x\n1\n").unwrap();
    std::fs::write(path("r.csv"), "select 1").unwrap();
    let copy = format!("copy (select * from '{}') to '{}'", path("a.csv"), path("b.csv"));
    let cases = [
        vec![copy.clone(), "select 1".into(), "--output".into(), path("a.csv")],
        vec![copy, "select 1".into(), "--output".into(), path("b.csv")],
        vec!["-f".into(), path("r.csv"), "--output".into(), path("r.csv")],
    ];
    std::fs::write(path("b.csv"), "old\n").unwrap();
    for case in cases {
        let words: Vec<&str> = std::iter::once("sql").chain(case.iter().map(String::as_str)).collect();
        let output = outcrop(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert!(said(&output).contains("would overwrite"), "{}", said(&output));
    }
    assert_eq!((text(Path::new(&path("a.csv"))), text(Path::new(&path("b.csv")))), ("x\n1\n".into(), "old\n".into()));
}

#[test]
fn plans_and_columns_are_shown_and_errors_underlined() {
    let file = "'testdata/airline/1987.csv.bz2'";
    let explained = outcrop(&["sql", &format!("explain select count(*) from {file} where Month = 12")]);
    assert!(String::from_utf8_lossy(&explained.stdout).contains("filter Month = 12"), "{}", said(&explained));
    for shared in [
        format!("select Origin from {file} union all select Dest from {file}"),
        format!("select Month, Origin, count(*) from {file} group by cube (Month, Origin)"),
    ] {
        let explained = outcrop(&["sql", &format!("explain {shared}")]);
        let text = String::from_utf8_lossy(&explained.stdout);
        assert!(text.contains("pass 1: ") && !text.contains("pass 2: "), "{text}");
    }
    let described = outcrop(&["sql", &format!("describe select Year, TailNum from {file}")]);
    assert_eq!(String::from_utf8_lossy(&described.stdout).lines().next(), Some("column,type"));
    let wrong = outcrop(&["sql", &format!("select 1; select DepDelys from {file}")]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("did you mean `DepDelay`?") && said(&wrong).contains("^^^^^^^^"), "{}", said(&wrong));
    assert!(wrong.stdout.is_empty());
}

#[test]
fn a_file_that_is_not_there_is_underlined() {
    for sql in [
        "select 1 from 'nosuch.csv' where 2 = 1",
        "select 'nosuch.csv' from read_csv('nosuch.csv')",
        "select * from 'testdata/airline/carriers.csv' join 'nosuch.csv' using (Code)",
        "select * from read_csv(['testdata/airline/carriers.csv', 'nosuch.csv'])",
    ] {
        let wrong = outcrop(&["sql", sql]);
        let marked = " ".repeat(2 + sql.rfind("'nosuch").unwrap()) + &"^".repeat("'nosuch.csv'".len());
        assert_eq!(wrong.status.code(), Some(2));
        assert!(said(&wrong).contains(&format!("  {sql}\n{marked}\n")), "{}", said(&wrong));
    }
}

#[test]
fn options_of_files_are_for_the_files_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("odd.csv"), "k|v\n1|2\n").unwrap();
    std::fs::write(path("plain.csv"), "k,w\n1,3\n").unwrap();
    let query = format!("select v, w from '{}' o join '{}' p on o.k = p.k", path("odd.csv"), path("plain.csv"));
    let output = outcrop(&["sql", "--file-options", "odd.csv: delimiter=|", &query]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "v,w\n2,3\n", "{}", said(&output));
    assert!(output.stderr.is_empty(), "{}", said(&output));
}

#[test]
fn now_is_one_time_in_all_statements_of_a_call() {
    let output = outcrop(&[
        "sql",
        "select now() as t",
        "select count(*) as n from 'testdata/airline/1987.csv.bz2'; select current_timestamp as t",
    ]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: Vec<&str> = text.lines().filter(|line| line.contains(':')).collect();
    assert!(times.len() == 2 && times[0] == times[1], "{text} {}", said(&output));
}

#[test]
fn a_hundred_unions_are_one_statement() {
    let parts: Vec<String> = (1..=100).map(|part| format!("select {part} as n")).collect();
    let query = |between: &str| format!("select count(*) as rows, sum(n) as sum from ({})", parts.join(between));
    let output = outcrop(&["sql", &query(" union all "), &query(" union ")]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "rows,sum\n100,5050\n\nrows,sum\n100,5050\n",
        "{}",
        said(&output)
    );
}

#[test]
fn what_is_not_supported_is_underlined_where_it_stands() {
    let from = "from (select 1 as id, 'a' as k) t";
    for (query, place, words) in [
        (
            format!("select sum(id) over (order by id rows 1 preceding exclude ties) {from}"),
            "^^^^^^^^^^^^",
            "`exclude ties` in a frame",
        ),
        (format!("select id {from} where k > all (select 1)"), "^^^^^^^^^^^^^^^^^", "(select …)"),
        (
            format!("select exists (select 1 from (select 2 as w) u where u.w > t.id) {from}"),
            "^^^^^^^^^^",
            "behind `where`, of `exists`",
        ),
        (format!("select cast(id as hugeint) {from}"), "^^^^^^^", "no type"),
        (format!("select id {from} tablesample 10%"), "^^^^^^^^^^^", "`from t tablesample (1 percent)`"),
        (format!("select frobnicate(id) {from}"), "^^^^^^^^^^", "`outcrop help ask` lists"),
    ] {
        let output = outcrop(&["sql", &query]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{query}: {said}");
        assert!(said.lines().any(|line| line.trim() == place) && said.contains(words), "{query}: {said}");
        for internal in ["value of query", "left 0", "ParserError", "Expected:"] {
            assert!(!said.contains(internal), "{query}: {said}");
        }
    }
}

#[test]
fn a_view_that_was_dropped_stays_away_when_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.csv").display().to_string();
    std::fs::write(&file, "x\n1\n").unwrap();
    let script = format!(
        "create temp view v as select x from '{file}';\ncreate temp view w as select x + 1 as y from '{file}';\n\
         drop view v;\ncopy (select 5 as x union all select 6) to '{file}';\nselect sum(y) as s from w;\nselect x from v;\n"
    );
    let mut shell = Command::cargo_bin("outcrop").unwrap();
    let output = shell.arg("shell").env("OUTCROP_CONFIG", "").write_stdin(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\n13\n", "{}", said(&output));
    assert!(said(&output).contains("no table `v`"), "{}", said(&output));
}

#[test]
fn a_dropped_view_whose_file_is_gone_is_not_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("x.csv"), folder.path().join("y.csv").display().to_string());
    std::fs::write(&file, "x\n1\n").unwrap();
    std::fs::write(&other, "y\n1\n").unwrap();
    let file = file.display();
    let script = format!(
        "create temp view v as select x from '{file}';\ncreate temp view w as select y from '{other}';\ndrop view v;\n\
         copy (select 5 as z) to '{file}';\nselect sum(y) as s from w;\ndrop view v;\n"
    );
    let mut shell = Command::cargo_bin("outcrop").unwrap();
    let output = shell.arg("shell").env("OUTCROP_CONFIG", "").write_stdin(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\n1\n", "{}", said(&output));
    assert!(said(&output).contains("no view `v`") && !said(&output).contains("is gone"), "{}", said(&output));
}

#[test]
fn tables_of_a_call_and_of_the_shell_are_no_views() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.csv");
    std::fs::write(&file, "x\n1\n").unwrap();
    let table = format!("air={}", file.display());
    let output = outcrop(&["sql", "--table", &table, "drop view air; select * from air"]);
    assert!(said(&output).contains("`air` is a table, not a view"), "{}", said(&output));
    let output =
        outcrop(&["sql", "--table", &table, "create or replace view air as select x + 1 as x from air; drop view air"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut shell = Command::cargo_bin("outcrop").unwrap();
    let script = format!(".open {table}\ndrop view if exists AIR;\n");
    let output = shell.arg("shell").env("OUTCROP_CONFIG", "").write_stdin(script).output().unwrap();
    assert!(said(&output).contains("`AIR` is a table, not a view"), "{}", said(&output));
}

#[test]
fn questions_have_the_forms_of_sql_and_one_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.csv");
    std::fs::write(&file, "s,a,b,trim,similar,position,for\nxoxo,1.25,1,t,u,v,w\n,2,2,t,u,v,w\n").unwrap();
    let file = file.display().to_string();
    let ask = |question: &str| {
        let output = outcrop(&["ask", &file, "-q", question]);
        let lines = String::from_utf8_lossy(&output.stdout).lines().skip(1).collect::<Vec<_>>().join("|");
        if output.status.success() { lines } else { said(&output) }
    };
    for (question, answer) in [
        ("trim(both 'x' from s) as y limit 1", "oxo"),
        ("trim('xo' from s) as y limit 1", ""),
        ("trim(leading 'x' from s) || trim(s, 'x') as y limit 1", "oxooxo"),
        ("s similar to '(xo)+' as y limit 1", "true"),
        ("s not similar to 'xo' as y limit 1", "true"),
        ("cast(a as decimal(5, 1)) as y limit 1", "1.3"),
        ("substring(s from 2 for 2) || substring(s, 4) as y limit 1", "oxo"),
        ("substring(s for 1) as y limit 1", "x"),
        ("position('o' in s) as y limit 1", "2"),
        ("position(s, 'o') as y limit 1", "2"),
        ("count(*) as n where a is distinct from b", "1"),
        ("count(*) as n where s is not distinct from null", "1"),
        ("count(distinct `for`) as n", "1"),
        ("trim || similar || position || for as y limit 1", "tuvw"),
        ("trim(for) || substring(for, 1) || trim(trim(both 'w' from for) || for) as y limit 1", "www"),
    ] {
        assert_eq!(ask(question).trim_matches('"'), answer, "{question}");
    }
    let output = outcrop(&["ask", &file, "-q", "now() as a limit 1", "-q", "now() as a limit 1", "--format", "csv"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: Vec<&str> = text.lines().filter(|line| line.starts_with("20")).collect();
    assert!(times.len() == 2 && times[0] == times[1], "{text}{}", said(&output));
}

#[test]
fn a_row_before_a_list_is_asked_for_once() {
    let query = "explain select ((select max(x) from (values (1), (2)) v(x)), 1) in ((1, 1), (2, 1), (3, 1)) as y from (select 1 as z) t";
    let output = outcrop(&["sql", query]);
    let plan = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
    assert_eq!(plan.matches("cross join\n").count(), 1, "{plan}");
}

#[test]
fn many_arguments_and_long_rows_are_no_deep_expressions() {
    let many = |item: &str| vec![item; 5000].join(", ");
    let script = format!(
        "select length(concat({0})) as a, length(concat_ws('-', {0})) as b, ({1}) = ({1}) as c, 1 <= all ([{1}]) as d, (1, 1) in ({2}) as e",
        many("'x'"),
        many("1"),
        many("(1, 2)")
    );
    let piped = Command::cargo_bin("outcrop").unwrap().args(["sql", "-"]).write_stdin(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&piped.stdout), "a,b,c,d,e\n5000,9999,true,true,false\n", "{}", said(&piped));
    let long = format!("select ({0}) < ({0})", many("1"));
    let piped = Command::cargo_bin("outcrop").unwrap().args(["sql", "-"]).write_stdin(long).output().unwrap();
    assert!(piped.status.code() == Some(2) && said(&piped).contains("they may have 32 values"), "{}", said(&piped));
}

#[test]
fn wishes_for_all_columns_need_one_reading_of_a_pipe() {
    let rows: String = (1..=300_000).map(|row| format!("{row},{row}\n")).collect();
    for (wish, column) in [("all_varchar=true", "column_2"), ("columns={'a': 'varchar', 'b': 'varchar'}", "b")] {
        let statement = format!(
            "select count(*) as n, min(cast({column} as bigint)) as least, max(length({column})) as longest \
             from read_csv('/dev/stdin', header=false, {wish})"
        );
        let piped =
            Command::cargo_bin("outcrop").unwrap().args(["sql", &statement]).write_stdin(&*rows).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&piped.stdout), "n,least,longest\n300000,1,6\n", "{}", said(&piped));
    }
    let twice = "select count(*) from read_csv('/dev/stdin', header=false); select count(*) from read_csv('/dev/stdin', quote='')";
    let piped = Command::cargo_bin("outcrop").unwrap().args(["sql", twice]).write_stdin(&*rows).output().unwrap();
    assert!(piped.stdout.is_empty() && said(&piped).contains("has been opened already"), "{}", said(&piped));
}

#[test]
fn names_and_types_of_all_columns_are_of_those_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let year = folder.path().join("Year=2001");
    std::fs::create_dir(&year).unwrap();
    std::fs::write(year.join("x.csv"), "a,b\n1,2\n").unwrap();
    let files = folder.path().display();
    for (options, what, answer) in [
        ("names=['p','q']", "*", "p,q,Year\n1,2,2001\n"),
        ("all_varchar=true", "a || b as ab, Year + 1 as next", "ab,next\n12,2002\n"),
        ("names=['p','q'], all_varchar=true", "q || 'x' as q, file_name like '%/x.csv' as here", "q,here\n2x,true\n"),
        ("names=['p','q'], filename='f'", "p, q, Year, f like '%/x.csv' as here", "p,q,Year,here\n1,2,2001,true\n"),
        ("columns={'b': 'varchar'}", "a + 1 as a, b || 'x' as b", "a,b\n2,2x\n"),
        ("columns={'p': 'varchar', 'c': 'double'}", "p || 'x' as p, c", "p,c\n1x,2.0\n"),
        ("dtype={'b': 'varchar'}, sep=',', na_values='-'", "b || 'x' as b", "b\n2x\n"),
    ] {
        let output = outcrop(&["sql", &format!("select {what} from read_csv('{files}', {options})")]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), answer, "{options}: {}", said(&output));
    }
    for (options, told) in [
        ("names=['p','q'], columns={'a': 'varchar', 'b': 'varchar'}", "the columns are named twice"),
        ("names=['p','p']", "two columns are named `p`"),
        ("names=['p']", "1 column is named, and the files have 2"),
        ("columns={'a': 'varchar', 'bb': 'double'}", "no column `bb`, beside others that there are"),
        ("columns={'a': 'varchar', 'bb': 'double'}", "columns are a, b; names => ['…', …] gives all columns names"),
        ("colums={'a': 'varchar'}", "hint: did you mean `columns`?"),
        ("types=['varchar']", "types => {'a': 'bigint'} gives types to some"),
        ("types={'a': 'decimal(10,2)'}", "such numbers are read as float64, or as utf8"),
        ("columns=['a']", "names => ['a', 'b'] gives names alone"),
        ("nrows=3", "hint: `limit 3` behind the query has the first rows"),
        ("header=true delim=','", "hint: a comma stands between options"),
    ] {
        let output = outcrop(&["sql", &format!("select * from read_csv('{files}', {options})")]);
        assert!(output.status.code() == Some(2) && said(&output).contains(told), "{options}: {}", said(&output));
    }
}

#[test]
fn malformed_records_of_ndjson_are_set_aside_as_an_option_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ndjson").display().to_string();
    std::fs::write(&file, "{\"a\": 1}\n{\"a\": \n{\"a\": 3}\n").unwrap();
    let output = outcrop(&["sql", &format!("select sum(a) as s from read_ndjson('{file}', malformed='skip')")]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\n4\n", "{}", said(&output));
    let output = outcrop(&["sql", &format!("select sum(a) as s from read_ndjson('{file}')")]);
    assert!(said(&output).contains("read_ndjson('FILE', …) the option is malformed => 'skip'"), "{}", said(&output));
}
