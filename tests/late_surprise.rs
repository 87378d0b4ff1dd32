//! A value that fits no type the samples suggest, in the last record of the last partition: for every aggregate the
//! answer is the one that a type known from the start gives, and only the questions that read the column run again.

use outcrop::aggregate;
use outcrop::frame::{CsvScan, DataFrame, LazyFrame, Run, Runner, Value};
use outcrop::types::ColumnType::{self, Boolean, Date, Float64, Int64, Null, Timestamp, Utf8};
use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const RECORDS: usize = 40_000;

/// What the samples see, the late value, and the type that holds both.
const SURPRISES: [(ColumnType, &str, ColumnType); 12] = [
    (Int64, "2.5", Float64),
    (Int64, "word", Utf8),
    (Float64, "word", Utf8),
    (Date, "2001-02-03 04:05:06", Timestamp),
    (Date, "word", Utf8),
    (Timestamp, "word", Utf8),
    (Boolean, "word", Utf8),
    (Null, "7", Int64),
    (Null, "7.25", Float64),
    (Null, "2001-02-03", Date),
    (Null, "2001-02-03 04:05:06", Timestamp),
    (Null, "word", Utf8),
];

fn usual(kind: ColumnType, row: usize) -> String {
    match kind {
        Int64 => (row as i64 % 1000 - 300).to_string(),
        Float64 => format!("{}.{}", row % 77, row % 8),
        Date => format!("{}-0{}-1{}", 1990 + row % 20, 1 + row % 9, row % 10),
        Timestamp => format!("{}-0{}-1{} 0{}:30:00", 1990 + row % 20, 1 + row % 9, row % 10, row % 7),
        Boolean => (row.is_multiple_of(3)).to_string(),
        Null | Utf8 | ColumnType::List(_) => "NA".to_owned(),
    }
}

/// Compressed by gzip, so that the samples see the beginning alone.
fn file(folder: &Path, kind: ColumnType, late: &str) -> PathBuf {
    let mut csv = String::from("v,w\n");
    for row in 0..RECORDS {
        let _ = writeln!(csv, "{},{row}", usual(kind, row));
    }
    let _ = write!(csv, "{late},{RECORDS}");
    let path = folder.join("late.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(csv.as_bytes()).unwrap();
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    path
}

/// Types and values of an answer, doubles to the bit.
fn shown(frame: &DataFrame) -> String {
    let mut text = format!("{:?}", frame.schema().fields());
    for field in frame.schema().fields() {
        for row in 0..frame.rows() {
            match frame.value(row, field.name()).unwrap() {
                Value::Float64(number) => text.push_str(&format!(" {:016x}", number.to_bits())),
                other => text.push_str(&format!(" {other:?}")),
            }
        }
    }
    text
}

#[test]
fn every_aggregate_answers_as_if_the_type_had_been_known() {
    let folder = tempfile::tempdir().unwrap();
    for (narrow, late, wide) in SURPRISES {
        let path = file(folder.path(), narrow, late);
        let guessed = CsvScan::new(&path).has_header(true).open().unwrap();
        let known = CsvScan::new(&path).has_header(true).with_type("v", wide).open().unwrap();
        assert_eq!(guessed.schema().unwrap().field(0).data_type(), &narrow.arrow(), "{narrow} {late}");
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        for aggregate in aggregate::all() {
            let name = aggregate.name();
            let text = format!("{name}(v) as a, {name}(v) as b where w >= 0");
            let grouped = format!("{name}(v) as a by w % 3 as g sort g");
            let how = format!("{name} of {narrow}, then {late}");
            // Null fits every aggregate, and a type that fits none is an error in the end, located at the value.
            let (Ok(now), Ok(groups)) = (guessed.ask(&text), guessed.ask(&grouped)) else { continue };
            match known.ask(&text) {
                Ok(frame) => {
                    let run: Run<(DataFrame, DataFrame)> =
                        Runner::new().run((frame, known.ask(&grouped).unwrap())).unwrap();
                    assert_eq!(run.statistics.passes_repeated, 0);
                    answers.extend([shown(&run.value.0), shown(&run.value.1)]);
                    questions.extend([now, groups]);
                }
                Err(_) => {
                    let error = Runner::new().run::<_, DataFrame>(now).unwrap_err();
                    let place = error.place();
                    assert_eq!(place.line, Some(RECORDS as u64 + 2), "{how}: {error}");
                    assert_eq!((place.column.as_deref(), place.value.as_deref()), (Some("v"), Some(late)), "{how}");
                }
            }
        }
        assert!(!questions.is_empty());
        for (threads, piece_bytes) in [(1, 1 << 20), (3, 10_000)] {
            let runner = Runner::new().threads(threads).piece_bytes(piece_bytes);
            let run: Run<Vec<DataFrame>> = runner.run(questions.clone()).unwrap();
            let found: Vec<String> = run.value.iter().map(shown).collect();
            assert_eq!(found, answers, "{narrow}, then {late}");
            assert_eq!((run.statistics.passes, run.statistics.passes_repeated), (2, 1));
        }
    }
}

#[test]
fn only_who_reads_the_column_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let frame = CsvScan::new(file(folder.path(), Int64, "2.5")).has_header(true).open().unwrap();
    let ask = |text: &str| frame.ask(text).unwrap();
    let concerned = ask("sum(v) as a, last(v) as b");
    let others = [ask("sum(w) as a, first(w) as b"), ask("count(*) as n")];
    let alone: Run<Vec<DataFrame>> = Runner::new().run(others.to_vec()).unwrap();
    let (pass, reread) = (alone.statistics.bytes_read, alone.statistics.bytes_reread);
    assert_eq!((alone.statistics.passes, alone.statistics.passes_repeated, reread), (1, 0, 0));
    let mut all: Vec<LazyFrame> = vec![concerned];
    all.extend(others);
    let together: Run<Vec<DataFrame>> = Runner::new().run(all.clone()).unwrap();
    let statistics = &together.statistics;
    assert_eq!((statistics.passes, statistics.passes_repeated), (2, 1));
    assert!(statistics.bytes_reread > 0 && statistics.bytes_reread <= pass, "{statistics:?}");
    // The others keep what they had.
    assert_eq!(statistics.rows_kept[1..], alone.statistics.rows_kept);
    for (shared, alone) in together.value[1..].iter().zip(&alone.value) {
        assert_eq!(shown(shared), shown(alone));
    }
    // The types of the others are those of the samples, though the column is wider for the one that ran again.
    assert_eq!(together.value[0].schema().field(0).data_type(), &Float64.arrow());
    assert_eq!(together.value[1].schema().field(0).data_type(), &Int64.arrow());
}

#[test]
fn parts_of_a_query_that_share_a_pass_answer_as_if_the_type_had_been_known() {
    let folder = tempfile::tempdir().unwrap();
    for (narrow, late, wide) in SURPRISES {
        let path = file(folder.path(), narrow, late);
        let answer = |scan: CsvScan, query: &str| {
            let mut session = outcrop::sql::Session::new();
            session.register("t", scan.has_header(true).open().unwrap());
            let run: Run<DataFrame> = Runner::new().run(session.sql(query).unwrap()).unwrap();
            assert_eq!(run.value.schema().field(0).data_type(), &wide.arrow(), "{narrow} {late} {query}");
            shown(&run.value)
        };
        for query in [
            "select v, w % 2 as o, count(*), grouping(v, o) from t where w % 1000 < 3 or w >= 39999 group by cube (v, o)",
            "select v from t where w < 5 union all select v from t where w >= 39999",
            "select v from t where w < 500 union select v from t where w >= 39990",
            "select v from t where w >= 39990 except select v from t where w < 39990",
            "select max(v) as v, min(w) from t group by w % 7 having max(v) >= (select min(v) from t) order by 2",
        ] {
            let guessed = answer(CsvScan::new(&path), query);
            assert_eq!(guessed, answer(CsvScan::new(&path).with_type("v", wide), query), "{narrow} {late} {query}");
        }
    }
}

/// The answer of a query, or its error in words, over tables of these scans.
fn answer(tables: &[(&str, CsvScan)], query: &str) -> Result<String, outcrop::Error> {
    let mut session = outcrop::sql::Session::new();
    for (name, scan) in tables {
        session.register(*name, scan.clone().has_header(true).open()?);
    }
    let run: Run<DataFrame> = Runner::new().run(session.sql(query)?)?;
    Ok(shown(&run.value))
}

#[test]
fn right_sides_that_were_read_before_go_by_the_types_of_their_question() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.csv"), "w\n1\n3\n39999\n40000\n").unwrap();
    for (narrow, late, wide) in SURPRISES.into_iter().step_by(2) {
        let path = file(folder.path(), narrow, late);
        for query in [
            "select v from t where v in (select v from t where w < 5) or w = 40000",
            "select v, w from t where v in (select v from t where w < 5) and w < 3000 or w > 39990",
            "select max(v) as v, count(*) from t where v >= (select min(v) from t where w < 500)",
            "select t.v, s.w from t join (select v, w from t where w < 50) s on t.v = s.v where t.w > 39900 or t.w < 70",
            "select v from t where v not in (select v from t where w between 3 and 500) and w > 39000",
            "select v, rank() over (order by v) as r from t where w > 39900 and v >= (select min(v) from t where w < 9)",
            // Right sides of right sides, and one that several have.
            "select v from t where v in (select v from t where w < 40 and v in (select v from t where w < 20)) and w > 9",
            "select v from t where v in (select v from t where w < 9 and w in (select w from u)) or w >= 39999",
            "with s as (select v, w from t where w < 9) select t.v from t join s on t.v = s.v join s z on z.w = t.w",
        ] {
            let tables = |scan: CsvScan| [("t", scan), ("u", CsvScan::new(folder.path().join("w.csv")))];
            let known = answer(&tables(CsvScan::new(&path).with_type("v", wide)), query);
            let known = known.unwrap_or_else(|error| panic!("{narrow} {late} {query}: {error}"));
            let guessed = answer(&tables(CsvScan::new(&path)), query);
            let guessed = guessed.unwrap_or_else(|error| panic!("{narrow} {late} {query}: {error}"));
            assert_eq!(guessed, known, "{narrow} {late} {query}");
        }
    }
}

#[test]
fn a_union_of_other_files_widens_with_them_or_says_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.csv");
    for (narrow, late, wide) in SURPRISES {
        let path = file(folder.path(), narrow, late);
        std::fs::write(&other, format!("x\n{}\n{}\n", usual(narrow, 1), usual(narrow, 2))).unwrap();
        for query in [
            "select x from u union all select v from t where w > 39990",
            "select v from t where w > 39990 union all select x from u",
            "select max(x) as x from u group by x union select v from t where w > 39990",
            "select x from u where x in (select v from t where w > 39990)",
            "select x from u union all (select x from u union all select v from t where w > 39990)",
        ] {
            let tables = |scan: CsvScan| [("t", scan), ("u", CsvScan::new(&other))];
            match answer(&tables(CsvScan::new(&path).with_type("v", wide)), query) {
                Ok(known) => {
                    let guessed = answer(&tables(CsvScan::new(&path)), query);
                    let guessed = guessed.unwrap_or_else(|error| panic!("{narrow} {late} {query}: {error}"));
                    assert_eq!(guessed, known, "{narrow} {late} {query}");
                }
                Err(_) => {
                    let error = answer(&tables(CsvScan::new(&path)), query).unwrap_err();
                    let place = error.place();
                    assert_eq!(place.line, Some(RECORDS as u64 + 2), "{narrow} {late} {query}: {error}");
                    assert_eq!(place.value.as_deref(), Some(late), "{query}");
                    assert!(error.message().starts_with("this value makes the column"), "{query}: {error}");
                    assert!(!error.message().contains("left 0"), "{query}: {error}");
                }
            }
        }
    }
}
