//! Who did what when, as a picture: `--timeline`.

use assert_cmd::Command;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The bars of a picture, as (kind, title), and the lanes that they lie in.
fn bars(file: &Path) -> (Vec<(String, String)>, usize) {
    let text = fs::read_to_string(file).unwrap();
    let text = text.strip_prefix("<!DOCTYPE html>").unwrap_or(&text);
    let picture = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let is_bar = |node: &roxmltree::Node| node.attribute("class").is_some_and(|class| class.starts_with("bar "));
    let found: Vec<_> = picture.descendants().filter(is_bar).collect();
    let lanes: BTreeSet<&str> = found.iter().map(|bar| bar.attribute("y").unwrap()).collect();
    let of_bar = |bar: &roxmltree::Node| {
        let title = bar.children().find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", "title"))).unwrap();
        (bar.attribute("class").unwrap()[4..].to_owned(), title.text().unwrap().to_owned())
    };
    (found.iter().map(of_bar).collect(), lanes.len())
}

fn run(words: &[&str], timeline: &Path) -> String {
    let mut command = Command::cargo_bin("outcrop").unwrap();
    let output = command.args(words).arg("--timeline").arg(timeline).assert().success().get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

fn of_kind<'a>(bars: &'a [(String, String)], kind: &str) -> Vec<&'a str> {
    bars.iter().filter(|(known, _)| known == kind).map(|(_, title)| title.as_str()).collect()
}

#[test]
fn a_pass_has_a_bar_for_each_partition() {
    let folder = tempfile::tempdir().unwrap();
    let question = "count(*) as n, mean(ArrDelay) by UniqueCarrier";
    for (name, words) in [
        ("ask.svg", &["ask", "testdata/airline/200*.csv.bz2", "-q", question, "--stats=json"][..]),
        (
            "ask.html",
            &["ask", "testdata/airline/200*.csv.bz2", "-q", question, "--stats=json", "--scheduler", "synchronous"],
        ),
        ("convert.svg", &["convert", "testdata/airline/200*.csv.bz2", "--to", "TARGET.parquet", "--stats=json"]),
    ] {
        let file = folder.path().join(name);
        let target = folder.path().join("rows.parquet");
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "TARGET.parquet" { target.to_str().unwrap() } else { word }).collect();
        let said = run(&[&words[..], &["--threads", "2"]].concat(), &file);
        let stats: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let (bars, lanes) = bars(&file);
        let partitions = of_kind(&bars, "partition");
        assert_eq!(partitions.len() as u64, stats["partitions"].as_u64().unwrap(), "{name}");
        assert_eq!(bars.len(), partitions.len());
        assert!(lanes <= if name == "ask.html" { 1 } else { 2 }, "{name}: {lanes}");
        assert!(
            partitions.iter().any(|title| title.contains(" of testdata/airline/2003.csv.bz2, pass 1: ")),
            "{partitions:?}"
        );
    }
}

#[test]
fn strata_have_a_bar_each_and_those_that_failed_are_red() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strata.html");
    let exec = "case $OUTCROP_STRATUM in *2003) exit 3 ;; *) printf 'n\\n1\\n' ;; esac";
    let words = ["strata", "testdata/airline/200*.csv.bz2", "--by", "Year", "--columns", "Month", "--exec", exec];
    run(&[&words[..], &["--on-error", "skip", "--workers", "3", "--threads", "2"]].concat(), &file);
    let (bars, lanes) = bars(&file);
    let (strata, failed) = (of_kind(&bars, "stratum"), of_kind(&bars, "failed"));
    assert_eq!((strata.len(), failed.len()), (8, 1));
    assert!(failed[0].starts_with("failed Year = 2003, ") && lanes <= 3, "{failed:?} {lanes}");
    assert!(!of_kind(&bars, "partition").is_empty());
}

#[test]
fn the_ending_tells_the_form_before_anything_is_read() {
    let words = ["count", "testdata/airline/2001.csv.bz2", "--timeline", "out.png"];
    let output = Command::cargo_bin("outcrop").unwrap().args(words).assert().code(2).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a file whose name ends in .svg or .html"), "{said}");
}

#[test]
fn runs_that_fail_are_drawn_and_what_reads_no_rows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("failed.svg");
    let input = "testdata/airline/200*.csv.bz2";
    let failing = ["ask", input, "-q", "sum(cast(UniqueCarrier as int64)) as s", "--threads", "1", "--timeline"];
    Command::cargo_bin("outcrop").unwrap().args(failing).arg(&file).assert().failure();
    bars(&file);
    let nothing = folder.path().join("nothing.svg");
    for words in [&["schema", input][..], &["explain", input, "-q", "count(*) as n"]] {
        let refused =
            Command::cargo_bin("outcrop").unwrap().args(words).arg("--timeline").arg(&nothing).assert().failure();
        let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(said.contains("reads no rows that `--timeline` could draw"), "{said}");
    }
    assert!(!nothing.exists());
}
