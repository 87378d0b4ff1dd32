//! The SQL suite: `tests/slt/*.slt`, in the form of sqllogictest, run with one thread and with several, with ample partitions
//! and with tiny ones, in ample memory and in little.

use outcrop::arrow::util::display::{ArrayFormatter, FormatOptions};
use outcrop::frame::{DataFrame, Runner};
use outcrop::memory::ByteSize;
use outcrop::sql::{Asks, Session};
use std::path::Path;

/// A block of a file.
struct Record {
    line: usize,
    sql: String,
    expected: Expected,
}

enum Expected {
    /// Rows, sorted before they are compared if the order does not matter.
    Rows(Vec<String>, bool),
    /// A part of the message.
    Error(String),
    Nothing,
}

fn records(text: &str) -> Vec<Record> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, head)) = lines.next() {
        let head = head.trim();
        if head.is_empty() || head.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = head.splitn(3, ' ').collect();
        let (mut sql, mut rows, mut in_rows) = (String::new(), Vec::new(), false);
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            match (in_rows, line) {
                (false, "----") => in_rows = true,
                (false, line) => sql.extend([line, "\n"]),
                (true, line) => rows.push(line.to_owned()),
            }
        }
        let expected = match words[..] {
            ["query"] => Expected::Rows(rows, false),
            ["query", "rowsort"] => Expected::Rows(rows, true),
            ["query", "error", part] => Expected::Error(part.to_owned()),
            ["statement"] => Expected::Nothing,
            _ => panic!("line {}: what is `{head}`?", at + 1),
        };
        found.push(Record { line: at + 1, sql, expected });
    }
    found
}

fn rows(frame: &DataFrame) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut found = Vec::new();
    for batch in frame.batches() {
        let batch = batch.unwrap();
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).to_string());
            let cells = cells.map(|cell| if cell.is_empty() { "(empty)".to_owned() } else { cell });
            found.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    found
}

/// Runs the records of a file; what went otherwise than expected.
fn failures(path: &Path, runner: &Runner) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut session = Session::new();
    let mut failures = Vec::new();
    for Record { line, sql, expected } in records(&text) {
        let outcome = session.run(&sql).and_then(|statements| {
            let mut found = None;
            for statement in statements {
                if let Asks::Query(frame) = statement.asks {
                    found = Some(rows(&runner.compute::<_, DataFrame>(frame)?));
                }
            }
            Ok(found.unwrap_or_default())
        });
        let place = format!("{}:{line}", path.display());
        match (outcome, expected) {
            (Ok(mut found), Expected::Rows(mut wanted, any_order)) => {
                if any_order {
                    found.sort();
                    wanted.sort();
                }
                if found != wanted {
                    failures.push(format!(
                        "{place}: {sql}expected\n{}\nfound\n{}\n",
                        wanted.join("\n"),
                        found.join("\n")
                    ));
                }
            }
            (Ok(_), Expected::Nothing) => {}
            (Err(error), Expected::Error(part)) if error.to_string().contains(&part) => {}
            (Err(error), _) => failures.push(format!("{place}: {sql}{error}\n")),
            (Ok(found), Expected::Error(part)) => {
                failures.push(format!("{place}: {sql}expected an error with `{part}`, found\n{}\n", found.join("\n")));
            }
        }
    }
    failures
}

#[test]
fn every_record_gives_what_is_expected_however_it_is_run() {
    let mut paths: Vec<_> = std::fs::read_dir("tests/slt").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4);
    let runners = [
        ("one thread", Runner::new().threads(1)),
        ("four threads, tiny partitions", Runner::new().threads(4).piece_bytes(300).batch_bytes(100)),
        ("little memory", Runner::new().threads(2).memory(ByteSize(48 << 20))),
    ];
    let mut all = Vec::new();
    for (how, runner) in runners {
        for path in &paths {
            all.extend(failures(path, &runner).into_iter().map(|failure| format!("[{how}] {failure}")));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
