//! The commands that look at data, as a user drives them: on CSV that is stored as bzip2, and on Parquet.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::path::Path;

const AIR: &str = "testdata/airline/200[78].csv.bz2";
const LAST: &str = "testdata/airline/2008.csv.bz2";

fn outcrop(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout_of(arguments: &[&str]) -> String {
    let output = outcrop(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout_of(&[arguments, &["--format", "json"]].concat())).unwrap()
}

/// The airline files of some years as one Parquet file.
fn parquet(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("air.parquet").display().to_string();
    stdout_of(&["convert", AIR, "--to", &path]);
    path
}

#[test]
fn describe_and_summarize_say_the_same_of_either_format() {
    let folder = tempfile::tempdir().unwrap();
    let air = parquet(&folder);
    let facts = json_of(&["describe", AIR]);
    assert_eq!(facts.as_array().unwrap().len(), 29);
    let year = json!({"column": "Year", "type": "Int64", "nulls": 0, "distinct": 2, "min": "2007", "max": "2008"});
    for (name, value) in year.as_object().unwrap() {
        assert_eq!(facts[0][name], *value, "{name}");
    }
    assert_eq!(facts[8]["top"][0], "WN");
    assert_eq!(json_of(&["describe", &air]), facts);
    assert_eq!(json_of(&["sql", &format!("summarize '{AIR}'")]), facts);
    let some = json_of(&["describe", AIR, "--select", "ArrDelay, Origin", "--where", "Month = 12"]);
    let query = format!("SUMMARIZE select ArrDelay, Origin from '{air}' where Month = 12");
    assert_eq!(json_of(&["sql", &query]), some);
    assert_eq!(some[0]["column"], "ArrDelay");
    let table = stdout_of(&["describe", LAST, "--format", "table"]);
    assert!(table.contains("DepDelay") && table.contains('█') && table.contains("(29 columns of "), "{table}");
    assert!(!table.contains("estimated"), "{table}");
}

#[test]
fn describe_writes_a_page_that_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let odd = write(folder.path(), "odd.csv", b"<i>,t\n1,<script>\n2,<script>\n5,x\n");
    let page = folder.path().join("page.html");
    for (files, columns, bars) in [(odd.as_str(), 2, 3), (LAST, 29, 100), (&parquet(&folder), 29, 100)] {
        let output = outcrop(&["describe", files, "--html", page.to_str().unwrap(), "--quiet"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{}", said(&output));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(!text.contains("<script") && !text.contains("<i>") && !text.contains("src="), "{text}");
        let text = text.strip_prefix("<!DOCTYPE html>").unwrap();
        let parsed = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let count = |name: &str| parsed.descendants().filter(|node| node.tag_name().name() == name).count();
        assert_eq!(count("tr"), columns + 1);
        assert!(count("rect") >= bars, "{}", count("rect"));
    }
    let output = outcrop(&["describe", &odd, "--html", &odd]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let both = outcrop(&["describe", &odd, "--html", page.to_str().unwrap(), "--output", "a.csv"]);
    assert_eq!(both.status.code(), Some(2), "{}", said(&both));
}

#[test]
fn summarize_is_no_word_that_names_lose() {
    let text = "with summarize as (select 1 as summarize) select summarize from summarize";
    assert_eq!(stdout_of(&["sql", text]), "summarize\n1\n");
    let wrong = outcrop(&["sql", "summarize"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
}

#[test]
fn values_are_counted_and_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let air = parquet(&folder);
    let counts = json_of(&["freq", "UniqueCarrier", AIR]);
    let by_hand = json_of(&["ask", AIR, "-q", "count(*) as n by UniqueCarrier as v sort n desc, v"]);
    let counts_of = |rows: &Value, name: &str| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(counts_of(&counts, "count"), counts_of(&by_hand, "n"));
    assert_eq!(counts_of(&counts, "value"), counts_of(&by_hand, "v"));
    let percents: f64 = counts_of(&counts, "percent").iter().map(|percent| percent.as_f64().unwrap()).sum();
    assert!((percents - 100.0).abs() < 1e-9, "{percents}");
    assert_eq!(json_of(&["freq", "UniqueCarrier", &air]), counts);
    let missing = json_of(&["freq", "ArrDelay is null", &air, "--limit", "1"]);
    assert_eq!((missing.as_array().unwrap().len(), &missing[0]["value"]), (1, &json!(false)));
    let several = json_of(&["freq", "Origin,Year", AIR, "-n", "2", "--where", "Month = 12"]);
    assert_eq!(counts_of(&several, "column"), ["Origin", "Origin", "Year", "Year"]);
    let table = stdout_of(&["freq", "Year", AIR, "--format", "table"]);
    assert!(table.lines().nth(2).unwrap().ends_with(&"█".repeat(40)), "{table}");
    let wrong = outcrop(&["freq", "Orign", AIR]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("did you mean `Origin`?"), "{}", said(&wrong));
}

#[test]
fn numbers_are_counted_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let air = parquet(&folder);
    let ranges = json_of(&["hist", "ArrDelay", AIR, "--bins", "10"]);
    let by_hand = json_of(&["ask", &air, "-q", "histogram(ArrDelay, 10)"]);
    assert_eq!(ranges, by_hand);
    assert_eq!(json_of(&["hist", "ArrDelay", &air, "--bins", "10"]), ranges);
    let between = json_of(&["hist", "ArrDelay", AIR, "--from", "-60", "--to", "60", "--bins", "12"]);
    assert_eq!((between.as_array().unwrap().len(), &between[0]["lower"]), (13, &json!(-60.0)));
    let wrong = outcrop(&["hist", "Origin", AIR]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("outcrop freq 'Origin'"), "{}", said(&wrong));
    let table = stdout_of(&["hist", "Month", LAST, "--format", "table"]);
    assert_eq!(table.lines().count(), 15, "{table}");
}

#[test]
fn the_last_rows_are_those_of_the_last_files() {
    let folder = tempfile::tempdir().unwrap();
    let air = parquet(&folder);
    let all = stdout_of(&["ask", AIR, "-q", "Year, Month, Origin, ArrDelay"]);
    let rows: Vec<&str> = all.lines().skip(1).collect();
    for wanted in [0, 7, 9_000, rows.len() + 5] {
        for files in [AIR, &air] {
            let select = ["--select", "Year, Month, Origin, ArrDelay", "-n", &wanted.to_string()];
            let found = stdout_of(&[&["tail", files], &select[..]].concat());
            let found: Vec<&str> = found.lines().skip(1).collect();
            assert!(found == rows[rows.len() - wanted.min(rows.len())..], "{wanted} of {files}");
        }
    }
    // The first file is broken, and nobody looks there.
    let text = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    text("1.csv", &format!("a,b\n{}broken\n", "1,2\n".repeat(30_000)));
    text("2.csv", "a,b\n3,4\n5,6\n");
    let both = folder.path().join("*.csv").display().to_string();
    assert_eq!(stdout_of(&["tail", &both, "-n", "2", "--where", "a > 1"]), "a,b\n3,4\n5,6\n");
    assert_eq!(outcrop(&["tail", &both, "-n", "3"]).status.code(), Some(1));
}

#[test]
fn a_sample_is_the_same_in_every_run_and_another_for_another_seed() {
    let draw = |words: &[&str]| stdout_of(&[&["sample"], words].concat());
    let one = draw(&["50", AIR, "--seed", "7", "--threads", "1"]);
    assert_eq!(one.lines().count(), 51);
    assert_eq!(draw(&["50", AIR, "--seed", "7"]), one);
    assert_ne!(draw(&["50", AIR]), one);
    assert_eq!(draw(&["50", AIR, "--seed", "7", "--select", "Year"]).lines().count(), 51);
    let share = draw(&["10%", AIR, "--select", "Year"]).lines().count();
    assert!((800..2_500).contains(&share), "{share}");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(draw(&["50", &parquet(&folder)]).lines().count(), 51);
    for wrong in ["many", "101%", "-1"] {
        assert_eq!(outcrop(&["sample", wrong, AIR]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn count_takes_a_condition() {
    let all = json_of(&["count", LAST])[0]["count"].as_i64().unwrap();
    let late = json_of(&["count", LAST, "--where", "ArrDelay > 60"])[0]["count"].as_i64().unwrap();
    assert!(0 < late && late < all);
}

fn write(folder: &Path, name: &str, text: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn validate_counts_what_is_broken_by_file_and_cause() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(stdout_of(&["validate", AIR]), "file,cause,line,count\n");
    assert_eq!(stdout_of(&["validate", &parquet(&folder)]), "file,cause,line,count\n");
    let good = write(folder.path(), "good.csv", b"a,b\n1,2\n3,4\n");
    let bad = write(folder.path(), "bad.csv", b"a,b\n1,2\n3\n4,5\n6\n7,8,9\n");
    let output = outcrop(&["validate", &good, &bad, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cause = |cause: &str, line: i64, count: i64| json!({"file": bad, "cause": cause, "line": line, "count": count});
    let few = cause("the record has 1 field, too few", 3, 2);
    assert_eq!(found, json!([few, cause("the record has 3 fields, too many", 6, 1)]));
    assert_eq!(said(&output), "", "what is the answer is no warning");
    let kept = folder.path().join("rejects.csv").display().to_string();
    let output = outcrop(&["validate", &good, &bad, "--format", "json", "--rejects", &kept, "--quiet"]);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), found);
    assert_eq!(std::fs::read_to_string(&kept).unwrap().lines().count(), 4);
    let typed = outcrop(&["validate", &good, "--types", "b=boolean", "--quiet"]);
    assert_eq!(typed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&typed.stdout).contains(",2,2\n"), "{}", String::from_utf8_lossy(&typed.stdout));
}

/// A file whose damage samples do not meet: the checksum at its end is wrong.
fn damaged_at_its_end(folder: &Path, name: &str, header: &str) -> String {
    let mut text = format!("{header}\n");
    (0..200_000_u64).for_each(|row| text.push_str(&format!("x{},{row}\n", row * 2_654_435_761 % 4_294_967_296)));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    let mut packed = packed.finish().unwrap();
    let checksum = packed.len() - 6;
    packed[checksum] ^= 0x10;
    let path = write(folder, name, &packed);
    stdout_of(&["schema", &path]);
    path
}

#[test]
fn validate_tells_of_each_file_that_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let [late, few] =
        [damaged_at_its_end(folder.path(), "4.csv.gz", "a,b"), write(folder.path(), "5.csv", b"a,b\n1\n")];
    let found = findings(&[&few, &late, &few]);
    let files: Vec<&Value> = found.iter().map(|row| &row["file"]).collect();
    assert_eq!(files, [&few, &late], "{found:?}");
    let whole = std::fs::read(LAST).unwrap();
    let good = write(folder.path(), "1.csv.bz2", &whole);
    let last = write(folder.path(), "3.csv", b"Year\n1\n2,3\n");
    // In the only block, which samples meet.
    for place in [10, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        let bad = write(folder.path(), "2.csv.bz2", &damaged);
        let found = findings(&[&good, &bad, &last, "--columns", "fill"]);
        let files: Vec<&Value> = found.iter().map(|row| &row["file"]).collect();
        assert_eq!(files, [&bad, &last], "{place}: {found:?}");
        assert_eq!(findings(&[&bad])[0]["file"], json!(bad), "{place}");
        let of_pipe =
            Command::cargo_bin("outcrop").unwrap().args(["validate", "-"]).write_stdin(damaged).output().unwrap();
        assert_eq!(of_pipe.status.code(), Some(1), "{}", said(&of_pipe));
        assert!(String::from_utf8_lossy(&of_pipe.stdout).contains("\nstdin,"), "{place}: {}", said(&of_pipe));
    }
}

/// The rows of an answer in JSON that `validate` gave, of files that are not sound.
fn findings(arguments: &[&str]) -> Vec<Value> {
    let output = outcrop(&[&["validate"], arguments, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}\n{}", said(&output)));
    found.as_array().unwrap().clone()
}

#[test]
fn what_is_set_aside_is_kept_though_another_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let bad = |name: &str| write(folder.path(), name, b"a,b\n1,2\n3\n4,5\n");
    let (first, last) = (bad("1.csv"), bad("3.csv"));
    let damaged = damaged_at_its_end(folder.path(), "2.csv.gz", "a,b");
    let kept = folder.path().join("kept.csv").display().to_string();
    let columns = ["--rejects", &kept];
    let found = findings(&[&[&*first, &damaged, &last], &columns[..]].concat());
    let files: Vec<&Value> = found.iter().map(|row| &row["file"]).collect();
    assert_eq!(files, [&first, &damaged, &last]);
    let text = std::fs::read_to_string(&kept).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("file,") && lines[1].starts_with(&first) && lines[2].starts_with(&last), "{text}");
    // Nor does what is kept come from a pipe that is read back.
    let piped = findings(&[&first, "--rejects", "/dev/null"]);
    assert_eq!(piped.len(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_no_fault_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(folder.path(), "bad.csv", b"a,b\n1,2\n3\n");
    let nowhere = folder.path().join("none/kept.csv").display().to_string();
    let folder_itself = folder.path().display().to_string();
    for (place, code) in [(&nowhere, 1), (&bad, 2), (&folder_itself, 2)] {
        let output = outcrop(&["validate", &bad, "--rejects", place]);
        assert_eq!(output.status.code(), Some(code), "{place}: {}", said(&output));
        assert!(output.stdout.is_empty() && said(&output).starts_with("error: "), "{}", said(&output));
    }
    assert_eq!(std::fs::read(&bad).unwrap(), b"a,b\n1,2\n3\n");
}

#[test]
fn a_column_may_be_called_as_the_virtual_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| write(folder.path(), name, b"file_name,n\nx,1\ny,2\n");
    let files = [text("1.csv"), text("2.csv")];
    let both = folder.path().join("*.csv").display().to_string();
    assert_eq!(stdout_of(&["tail", &both, "-n", "3"]), "file_name,n\ny,2\nx,1\ny,2\n");
    let damaged = damaged_at_its_end(folder.path(), "3.csv.gz", "file_name,n");
    let bad = write(folder.path(), "4.csv", b"file_name,n\nx\n");
    let found = findings(&[&files[0], &damaged, &bad]);
    assert_eq!((&found[0]["file"], &found[1]["file"], found.len()), (&json!(damaged), &json!(bad), 2), "{found:?}");
}

#[test]
fn lists_of_columns_take_no_sample() {
    for words in [
        &["head", LAST, "--select", "Year sample 3"][..],
        &["freq", "Year sample 3", LAST],
        &["strata", LAST, "--by", "Year sample 3", "--exec", "cat"],
    ] {
        let output = outcrop(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert!(said(&output).contains("no other clauses"), "{}", said(&output));
    }
}

#[test]
fn what_is_described_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", b"a,b\n1,2\n");
    let statement = format!("describe '{path}'");
    for words in [&["schema", &path, "-o", &path][..], &["sql", &statement, "-o", &path]] {
        let output = outcrop(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", said(&output));
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\n1,2\n");
    }
    let other = folder.path().join("schema.csv");
    stdout_of(&["schema", &path, "-o", other.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(other).unwrap(), "column,type\na,Int64\nb,Int64\n");
}

#[test]
fn flags_that_say_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.csv", b"a,b\n1,2\n");
    let page = folder.path().join("page.html").display().to_string();
    for words in [
        &["describe", &good, "--html", &page, "--format", "json"][..],
        &["schema", &good, "--explain", "--format", "json"],
        &["schema", &good, "--explain", "--output", "s.json"],
        &["schema", &good, "--stats"],
        &["explain", &good, "-q", "count(*)", "--stats"],
    ] {
        let output = outcrop(words);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words:?}: {}", said(&output));
    }
    assert!(!Path::new(&page).exists());
}
