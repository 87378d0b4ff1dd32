//! Answers as pictures: `--plot`.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use std::fs;
use std::process::Output;

const AIR: &str = "testdata/airline/2001.csv.bz2";

fn outcrop(arguments: &[&str]) -> Output {
    Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap()
}

/// What the marks of a picture say, and all of its other text.
fn drawn(words: &[&str], kind: &str, ending: &str) -> (Vec<String>, Vec<String>) {
    drawn_by(&[words, &["--plot", kind]].concat(), ending)
}

/// The same, of words behind which the file stands.
fn drawn_by(words: &[&str], ending: &str) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("picture.{ending}"));
    let output = outcrop(&[words, &[path.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty(), "the answer is written too");
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("<script") && !text.replace("http://www.w3.org/2000/svg", "").contains("http"));
    let text = text.strip_prefix("<!DOCTYPE html>").unwrap_or(&text).replace("<meta charset=\"utf-8\"/>", "");
    let picture = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let is_mark = |node: &roxmltree::Node| node.attribute("class") == Some("mark");
    let title = |node: roxmltree::Node| node.first_element_child().unwrap().text().unwrap().to_owned();
    let marks = picture.descendants().filter(is_mark).map(title).collect();
    let texts = picture.descendants().filter(|node| node.tag_name().name() == "text");
    (marks, texts.map(|node| node.text().unwrap_or_default().to_owned()).collect())
}

#[test]
fn bars_stand_for_rows_and_series() {
    let question = "count(*) as n, sum(Cancelled) as c by DayOfWeek where Month = 12";
    let (marks, texts) = drawn(&["ask", AIR, "-q", question], "bar", "svg");
    assert_eq!(marks.len(), 14);
    assert!(marks[0].starts_with("1: n = ") && marks[13].starts_with("7: c = "), "{marks:?}");
    for text in [question, "DayOfWeek", "n", "c", "7"] {
        assert!(texts.iter().any(|known| known == text), "{text} of {texts:?}");
    }
}

#[test]
fn lines_points_and_heatmaps_show_each_value() {
    let daily = "mean(ArrDelay) as delay by make_date(Year, Month, DayofMonth) as day where Month < 3";
    let (marks, texts) = drawn(&["ask", AIR, "-q", daily], "line", "html");
    assert!(marks.len() > 50 && marks[0].starts_with("2001-01-01: delay = "), "{marks:?}");
    assert!(texts.iter().any(|text| text.starts_with("2001-0")), "dates on the axis: {texts:?}");
    let rows = format!("select Distance, ArrDelay from '{AIR}' where Month = 1 and ArrDelay is not null");
    let counted = outcrop(&["ask", AIR, "-q", "count(*) where Month = 1 and ArrDelay is not null"]);
    let rows_of = String::from_utf8(counted.stdout).unwrap().lines().nth(1).unwrap().parse::<usize>().unwrap();
    assert_eq!(drawn(&["sql", &rows], "scatter", "svg").0.len(), rows_of);
    let cells = format!("select Month, DayOfWeek, count(*) as n from '{AIR}' group by all");
    assert_eq!(drawn(&["sql", &cells], "heatmap", "svg").0.len(), 84);
    let none = drawn(&["ask", AIR, "-q", "Distance, ArrDelay where Month = 13"], "scatter", "svg");
    assert_eq!(none.0.len(), 0);
}

#[test]
fn counts_of_values_and_ranges_are_bars() {
    let (marks, texts) = drawn_by(&["freq", "DayOfWeek", AIR, "--plot"], "svg");
    assert!(marks.len() == 7 && marks.iter().any(|mark| mark.starts_with("1: count = ")), "{marks:?}");
    assert!(texts.iter().any(|text| text == "value") && !texts.iter().any(|text| text == "percent"), "{texts:?}");
    let range = ["--from", "0", "--to", "60", "--bins", "6", "--plot"];
    let (marks, _) = drawn_by(&[&["hist", "ArrDelay", AIR][..], &range].concat(), "html");
    assert!(marks.len() == 6 && marks[0].starts_with("0.0: count = "), "{marks:?}");
    for (words, told) in [
        (&["freq", "Origin,Dest", AIR, "--plot", "a.svg"][..], "one column"),
        (&["freq", "Origin", AIR, "--plot", "bar"], "names end in .svg"),
        (&["hist", "ArrDelay", AIR, "--plot", "a.pdf"], "rsvg-convert"),
        (&["hist", "ArrDelay", "plot.svg", "--plot", "plot.svg"], "plot.svg"),
    ] {
        let output = outcrop(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains(told), "{words:?}: {said}");
    }
}

#[test]
fn a_png_has_the_dots_of_the_same_drawing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png").display().to_string();
    let dots_of = |words: &[&str], kind: &str, colour: (u8, u8, u8)| {
        let output = outcrop(&[words, &["--plot", kind, &path]].concat());
        assert!(output.status.success() && !output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let picture = tiny_skia::Pixmap::load_png(&path).unwrap();
        assert_eq!((picture.width(), picture.height()), (1720, 960));
        let is = |dot: &tiny_skia::PremultipliedColorU8, (red, green, blue)| {
            (dot.red(), dot.green(), dot.blue(), dot.alpha()) == (red, green, blue, 255)
        };
        let black = picture.pixels().iter().filter(|dot| is(dot, (0, 0, 0))).count();
        assert!(black > 1_000, "letters: {black} dots of {words:?}");
        picture.pixels().iter().filter(|dot| is(dot, colour)).count()
    };
    let blue = (0x4e, 0x79, 0xa7);
    let bars = |condition: &str| {
        let question = format!("count(*) as n by Month where {condition}");
        dots_of(&["ask", AIR, "-q", &question], "bar", blue)
    };
    let (all, half) = (bars("true"), bars("Month < 7"));
    assert!(all > 200_000, "{all} dots of bars");
    assert!(half > 200_000, "fewer bars are wider: {half}");
    let line = dots_of(&["ask", AIR, "-q", "count(*) as n by Month"], "line", blue);
    assert!(line > 500 && line < all / 10, "{line} dots of a line");
    let cells = format!("select Month, DayOfWeek, count(*) as n from '{AIR}' group by all");
    assert!(dots_of(&["sql", &cells], "heatmap", (8, 48, 107)) > 1_000, "the darkest cell");
}

#[test]
fn text_of_the_data_is_no_markup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.csv");
    fs::write(&path, "k,<b>\n\"<script>alert(1)</script>&\u{1}\",1\n\"a\"\"b\",nan\n,3\n").unwrap();
    let (marks, _) = drawn(&["ask", path.to_str().unwrap(), "-q", "k, `<b>`"], "bar", "html");
    assert_eq!(marks, ["<script>alert(1)</script>&: <b> = 1", "null: <b> = 3"]);
}

#[test]
fn what_cannot_be_drawn_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("p.svg").display().to_string();
    let source = folder.path().join("in.svg").display().to_string();
    fs::write(&source, "a,b\nx,1\n").unwrap();
    for (words, expected) in [
        (vec!["ask", AIR, "-q", "count(*)", "--plot", "pie", &picture], "no pictures of kind `pie`"),
        (vec!["ask", AIR, "-q", "count(*)", "--plot", "bar", "p.txt"], "names end in .svg, .html or .png"),
        (vec!["ask", AIR, "-q", "count(*)", "--plot", "bar", "p.pdf"], "from an SVG: rsvg-convert"),
        (vec!["ask", AIR, "-q", "count(*)", "-q", "count(*)", "--plot", "bar", &picture], "one answer, not 2"),
        (vec!["ask", AIR, "-q", "count(*)", "--plot", "bar", &picture], "a column for the x axis"),
        (vec!["ask", AIR, "-q", "count(*) by Origin", "--plot", "heatmap", &picture], "three columns"),
        (vec!["ask", AIR, "-q", "count(*) by Origin", "--plot", "scatter", &picture], "takes text"),
        (vec!["ask", AIR, "-q", "FlightNum, ArrDelay", "--plot", "bar", &picture], "there may be 500"),
        (vec!["ask", &source, "-q", "a, b", "--plot", "bar", &source], "in.svg"),
    ] {
        let output = outcrop(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{words:?}: {said}");
    }
    assert!(!std::path::Path::new(&picture).exists());
    assert_eq!(fs::read_to_string(&source).unwrap(), "a,b\nx,1\n");
}

#[test]
fn a_picture_stands_beside_nothing_but_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [picture, copied] = ["p.svg", "copy.parquet"].map(|name| folder.path().join(name).display().to_string());
    let copy = format!("copy (select Year, Month from '{AIR}') to '{copied}'");
    let query = format!("select Month, count(*) as n from '{AIR}' group by all");
    let explain = format!("explain {query}");
    for statements in [&[&*copy][..], &[&copy, &query], &[&explain], &[&query, &explain]] {
        let output = outcrop(&[&["sql"], statements, &["--plot", "bar", &picture]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{statements:?}: {said}");
        assert!(said.contains("--plot draws") && output.stdout.is_empty(), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_columns_tell_is_refused_before_and_what_rows_tell_after_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("p.svg").display().to_string();
    let before = outcrop(&["ask", AIR, "-q", "count(*) by Origin", "--plot", "scatter", &picture]);
    assert_eq!((before.status.code(), before.stdout.len()), (Some(2), 0));
    let after = outcrop(&["ask", AIR, "-q", "FlightNum, ArrDelay limit 501", "--plot", "bar", &picture]);
    assert_eq!(after.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&after.stdout).lines().count(), 502);
}

#[test]
fn cells_of_a_heatmap_are_told_apart_by_all_of_their_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.csv").display().to_string();
    let long = "x".repeat(70);
    fs::write(&path, format!("a,b,n\n{long}1,k,1\n{long}2,k,2\n\"null\",k,3\n,k,4\n")).unwrap();
    let picture = folder.path().join("p.svg").display().to_string();
    let output = outcrop(&["ask", &path, "-q", "a, b, n", "--plot", "heatmap", &picture]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&picture).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let places = document.descendants().filter(|node| node.attribute("class") == Some("mark"));
    let places: std::collections::HashSet<_> = places.map(|node| node.attribute("x").unwrap().to_owned()).collect();
    assert_eq!(places.len(), 4, "{text}");
}
