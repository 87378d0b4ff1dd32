//! Random queries over random tables, answered by DuckDB, too, if a Python is there that has it: that of `benches/peers/venv`,
//! `python3`, or `OUTCROP_DUCKDB_PYTHON`. Without, nothing is compared, and a line on
//! standard error says so; a Python that is named and has no DuckDB is an error.
//!
//! `OUTCROP_DUCKDB_SEED=N` begins with another seed and `OUTCROP_DUCKDB_TABLES=N` makes so many pairs of tables; a failure names the
//! seed of its tables.

mod queries;

use outcrop::arrow::array::{Array, AsArray};
use outcrop::arrow::datatypes::{DataType, Float64Type, Int64Type};
use outcrop::arrow::util::display::array_value_to_string;
use outcrop::frame::{DataFrame, Runner};
use outcrop::sql::Session;
use queries::{COLUMNS, FILE, Random, file, query, rows};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const TABLES: u64 = 8;
const QUERIES: usize = 60;

/// A Python that has DuckDB.
fn python() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var("OUTCROP_DUCKDB_PYTHON").ok();
    let own = root.join("benches/peers/venv/bin/python").display().to_string();
    let has_duckdb = |python: &String| {
        let mut command = Command::new(python);
        let tried = command.args(["-c", "import duckdb"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    if let Some(given) = given {
        assert!(has_duckdb(&given), "OUTCROP_DUCKDB_PYTHON={given} has no duckdb");
        return Some(given);
    }
    [own, "python3".to_owned()].into_iter().find(has_duckdb)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

/// What DuckDB says to each query.
fn duckdb(python: &str, tables: &[String], queries: &[String]) -> Vec<Json> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/duckdb/answer.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let asked = json!({ "tables": tables, "queries": queries }).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A value as it is compared: numbers by nine digits, a midnight as its date.
fn cell(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Number(number) => match number.as_f64() {
            Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
            Some(number) => format!("{number:.8e}"),
            None => number.to_string(),
        },
        Json::String(text) => format!("'{}'", text.strip_suffix("T00:00:00").unwrap_or(text)),
        Json::Object(number) => number.values().map(ToString::to_string).collect(),
        other => other.to_string(),
    }
}

fn outcrop_cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return cell(&Json::Null);
    }
    match column.data_type() {
        DataType::Boolean => cell(&json!(column.as_boolean().value(row))),
        DataType::Int64 => cell(&json!(column.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            number if number.is_finite() => cell(&json!(number + 0.0)),
            number => format!("\"{}\"", number.to_string().to_lowercase()),
        },
        _ => cell(&json!(array_value_to_string(column, row).unwrap())),
    }
}

fn outcrop(frame: &DataFrame) -> Vec<String> {
    let mut found = Vec::new();
    for batch in frame.batches() {
        let batch = batch.unwrap();
        let row = |row| batch.columns().iter().map(|column| outcrop_cell(column, row)).collect::<Vec<_>>().join(" ");
        found.extend((0..batch.num_rows()).map(row));
    }
    found
}

#[test]
fn random_queries_are_answered_as_duckdb_answers_them() {
    let Some(python) = python() else {
        // Unlike what macros print, this is seen of a test that passes, too.
        let told = "\nno Python with duckdb was found: nothing is compared with DuckDB";
        writeln!(std::io::stderr(), "{told}").unwrap();
        return;
    };
    let first = setting("OUTCROP_DUCKDB_SEED", 1);
    let (mut compared, mut failures) = (0, Vec::new());
    for seed in first..first + setting("OUTCROP_DUCKDB_TABLES", TABLES) {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut session = Session::new();
        let mut tables = Vec::new();
        for name in ["t", "u"] {
            let rows = rows(&mut random);
            let typed =
                |(at, (column, own, _)): (usize, &(&str, &str, &str))| format!("cast(col{at} as {own}) as {column}");
            let columns: Vec<String> = COLUMNS.iter().enumerate().map(typed).collect();
            session
                .run(&format!("create view {name} as select {} from (values {rows}) v", columns.join(", ")))
                .unwrap();
            let columns: Vec<String> = COLUMNS.iter().map(|(column, _, theirs)| format!("{column} {theirs}")).collect();
            tables.push(format!("create table {name} ({})", columns.join(", ")));
            tables.push(format!("insert into {name} values {rows}"));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, file(&mut random)).unwrap();
        let query = |random: &mut Random| {
            let (text, is_ordered) = query(random);
            (text.replace(FILE, &path.display().to_string()), is_ordered)
        };
        let asked: Vec<(String, bool)> = (0..QUERIES).map(|_| query(&mut random)).collect();
        let texts: Vec<String> = asked.iter().map(|(text, _)| text.clone()).collect();
        let runner = Runner::new().threads(1 + random.below(3)).batch_bytes(64 << random.below(8));
        for ((text, is_ordered), theirs) in asked.iter().zip(duckdb(&python, &tables, &texts)) {
            let ours = session.sql(text).and_then(|frame| runner.compute::<_, DataFrame>(frame));
            let theirs = match theirs.get("rows").and_then(Json::as_array) {
                Some(rows) => rows,
                None => panic!("seed {seed}: DuckDB refuses {text}: {}", theirs["error"]),
            };
            let row = |row: &Json| row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(" ");
            let mut theirs: Vec<String> = theirs.iter().map(row).collect();
            let mut ours = match ours {
                Ok(frame) => outcrop(&frame),
                Err(error) => vec![error.to_string()],
            };
            if !is_ordered {
                ours.sort();
                theirs.sort();
            }
            compared += 1;
            if ours != theirs {
                failures.push(format!(
                    "seed {seed}: {text}\n  DuckDB\n{}\n  Outcrop\n{}",
                    theirs.join("\n"),
                    ours.join("\n")
                ));
            }
        }
    }
    println!("{compared} queries compared");
    assert!(
        failures.is_empty(),
        "{} of {compared} differ\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n\n")
    );
}
