//! Files that are not CSV, and what their paths say: the same questions give the same answers.

mod common;

use common::{Random, answers_to, compress, shown};
use outcrop::error::ErrorKind;
use outcrop::exec::Scheduler;
use outcrop::frame::{DataFrame, FileScan, LazyFrame, Run, Runner, Value};
use outcrop::source::detect::InputFormat;
use outcrop::types::ColumnType;
use outcrop::{scan, scan_csv};
use std::path::{Path, PathBuf};

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn answer(frame: &LazyFrame, question: &str) -> DataFrame {
    frame.ask(question).unwrap().collect().unwrap()
}

fn texts(frame: &DataFrame, column: &str) -> Vec<String> {
    (0..frame.rows())
        .map(|row| match frame.value(row, column).unwrap() {
            Value::Utf8(text) => text,
            other => format!("{other:?}"),
        })
        .collect()
}

/// A row for both formats; the text has none of what the formats spell differently, but for quotes and escapes.
struct Row {
    k: Option<&'static str>,
    i: Option<i64>,
    x: Option<f64>,
    t: String,
    b: bool,
    d: Option<String>,
}

fn rows(random: &mut Random, count: usize) -> Vec<Row> {
    let first =
        Row { k: Some("WN"), i: Some(1), x: Some(0.5), t: "text".into(), b: true, d: Some("2001-02-03".into()) };
    let texts = ["plain", "a, b", "say \"hi\"", "two\nlines\r\n", "caf\u{e9} \u{1F600}", "back\\slash", "\t"];
    let row = |random: &mut Random| Row {
        k: [None, Some("AA"), Some("a longer carrier name"), Some("UA")][random.below(4)],
        i: (!random.one_in(9)).then(|| random.below(200) as i64 - 100),
        x: (!random.one_in(9)).then(|| (random.below(2_000_001) as f64 - 1e6) / 1024.0),
        t: if random.one_in(9) { "y".repeat(1 + random.below(300)) } else { texts[random.below(7)].to_owned() },
        b: random.one_in(2),
        d: (!random.one_in(9)).then(|| format!("{:04}-{:02}-{:02}", 1987 + random.below(22), 1 + random.below(12), 5)),
    };
    std::iter::once(first).chain((0..count).map(|_| row(random))).collect()
}

fn as_csv(rows: &[Row]) -> Vec<u8> {
    let mut text = String::from("k,i,x,t,b,d\n");
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    for row in rows {
        let (i, x) = (row.i.map(|i| i.to_string()), row.x.map(|x| format!("{x:?}")));
        let quoted = row.t.replace('"', "\"\"");
        let k = row.k.unwrap_or_default();
        text += &format!("{k},{},{},\"{quoted}\",{},{}\n", optional(&i), optional(&x), row.b, optional(&row.d));
    }
    text.into_bytes()
}

/// Keys in any order, nulls given or left out, blank lines, both line ends.
fn as_ndjson(rows: &[Row], random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let mut fields = vec![
            ("k", serde_json::json!(row.k)),
            ("i", serde_json::json!(row.i)),
            ("x", serde_json::json!(row.x)),
            ("t", serde_json::json!(row.t)),
            ("b", serde_json::json!(row.b)),
            ("d", serde_json::json!(row.d)),
        ];
        if at > 0 {
            fields.retain(|(_, value)| !value.is_null() || random.one_in(2));
            let by = random.below(fields.len());
            fields.rotate_left(by);
        }
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        text += &format!("{{{}}}{}", fields.join(" ,"), if random.one_in(3) { "\r\n" } else { "\n" });
        if random.one_in(20) {
            text += " \n";
        }
    }
    text.into_bytes()
}

const QUESTIONS: [&str; 8] = [
    "count(*) as n, count(x), sum(i), mean(i), min(t), max(t), first(t), last(k)",
    "sum(x), var(x), min(x), max(x), min(d), max(d)",
    "count(*) as n, mean(x), sum(i), first(t), last(x) by k",
    "count(*) as n, sum(x) by t",
    "k, i, x, t where i > 0 sort x desc, i limit 20",
    "i, k, t where x < 0",
    "*",
    "mean(x > 0), sum(b), count(d) by b",
];

fn answers(frame: &LazyFrame, runner: &Runner) -> (Vec<String>, u64) {
    let run = answers_to(&QUESTIONS, frame, runner);
    (run.value.iter().map(shown).collect(), run.statistics.records_read)
}

#[test]
fn ndjson_gives_the_answers_of_its_csv_twin_however_it_is_cut() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    for round in 0..4 {
        let mut random = Random::new(seed.wrapping_add(round));
        let folder = tempfile::tempdir().unwrap();
        let (mut csv, mut ndjson) = (Vec::new(), Vec::new());
        for file in 0..1 + random.below(3) {
            let count = [2, 50, 900][random.below(3)];
            let rows = rows(&mut random, count);
            csv.push(write(folder.path(), &format!("{file}.csv"), as_csv(&rows)));
            let mut text = as_ndjson(&rows, &mut random);
            if random.one_in(2) {
                text.splice(0..0, *b"\xEF\xBB\xBF");
            }
            if random.one_in(2) && text.ends_with(b"\n") {
                text.pop();
            }
            let ending = ["csv", "csv.bz2", "csv.gz", "csv.zst"][random.below(4)];
            // The name says nothing.
            ndjson.push(write(folder.path(), &format!("{file}.data"), compress(&text, ending, &mut random)));
        }
        let baseline = Runner::new().scheduler(Scheduler::Synchronous).piece_bytes(1 << 28).batch_bytes(1 << 28);
        let expected = answers(&scan_csv(csv).unwrap(), &baseline);
        let frame = scan(ndjson).unwrap();
        assert_eq!(expected, answers(&frame, &baseline), "seed {seed} round {round}");
        for piece in [1, 7, 1 + random.below(3000), 1 + random.below(100_000)] {
            let (threads, batch) = (1 + random.below(4), 1 + random.below(5000));
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}");
            assert_eq!(expected, answers(&frame, &runner), "{how}");
        }
    }
}

/// Three years of two months each, the files as large as `records` say.
fn hive(folder: &Path, records: usize) -> PathBuf {
    for year in [1999, 2000, 2001] {
        for month in ["01", "12"] {
            let rows = (0..records).map(|at| format!("{},{}\n", at % 7, year * 10 + at as i64 % 3));
            let text = format!("a,b\n{}", rows.collect::<String>());
            write(folder, &format!("Year={year}/Month={month}/Carrier=A%41/part.csv"), text);
        }
    }
    folder.to_path_buf()
}

#[test]
fn folders_give_columns_typed_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let air = scan(hive(folder.path(), 5)).unwrap();
    let schema = air.schema().unwrap();
    let columns: Vec<String> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(columns, ["a Int64", "b Int64", "Year Int64", "Month Int64", "Carrier Utf8View"]);
    assert_eq!(texts(&answer(&air, "Carrier limit 1"), "Carrier"), ["AA"]);
    let by = answer(&air, "count(*) as n, sum(b) as s by Year, Month");
    assert_eq!(by.rows(), 6);
    assert_eq!(by.value(5, "Month").unwrap(), Value::Int64(12));
    assert_eq!(by.value(5, "s").unwrap(), Value::Int64(20_010 + 20_011 + 20_012 + 20_010 + 20_011));
    let glob = scan(folder.path().join("**/*.csv").display().to_string()).unwrap();
    assert_eq!(answer(&glob, "count(*) as n by Year").rows(), 3);
    assert_eq!(answer(&glob, "*").schema().fields().len(), 5);
}

#[test]
fn folders_that_a_filter_rules_out_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    hive(folder.path(), 100_000);
    let one = std::fs::metadata(folder.path().join("Year=1999/Month=01/Carrier=AA/part.csv"));
    let one = one.or_else(|_| std::fs::metadata(folder.path().join("Year=1999/Month=01/Carrier=A%41/part.csv")));
    let one = one.unwrap().len();
    let read = |question: &str, threads: usize| -> (DataFrame, u64) {
        let frame = scan(folder.path()).unwrap().ask(question).unwrap();
        let run: Run<DataFrame> = Runner::new().threads(threads).run(frame).unwrap();
        (run.value, run.statistics.bytes_read)
    };
    let (_, all) = read("count(*) as n", 2);
    assert!(all >= 6 * one);
    // Samples of all files are read for the schema.
    let samples = 6 * (256 << 10) + 12 * (64 << 10);
    for (question, files, rows) in [
        ("count(*) as n where Year = 2000", 2, 200_000),
        ("count(*) as n where Year % 2 = 1 and Month < 6", 2, 200_000),
        ("count(*) as n where file_name like '%Year=1999%'", 2, 200_000),
        ("count(*) as n where Year = 1850", 0, 0),
        ("count(*) as n where Month is null", 0, 0),
    ] {
        for threads in [1, 3] {
            let (frame, bytes) = read(question, threads);
            assert_eq!(frame.value(0, "n").unwrap(), Value::Int64(rows), "{question}");
            assert!(bytes <= files * one + samples, "{question}: {bytes} bytes of {all}");
        }
    }
}

#[test]
fn rows_stream_in_order_past_files_that_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let air = scan(hive(folder.path(), 50)).unwrap();
    for question in ["a, Year, Month where Year <> 2000", "a, Year where Month = 12", "a where Year > 3000"] {
        let frame = air.ask(question).unwrap();
        let collected = frame.collect().unwrap();
        for threads in [1, 4] {
            let options = Runner::new().threads(threads).piece_bytes(100).options().clone();
            let batches: Vec<_> = frame.iter_batches_with(options).unwrap().map(Result::unwrap).collect();
            let streamed = DataFrame::new(collected.schema().clone(), batches);
            assert_eq!(shown(&collected), shown(&streamed), "{question}");
        }
        let limited: DataFrame = Runner::new().threads(2).piece_bytes(64).compute(frame.head(60)).unwrap();
        assert_eq!(limited.rows(), collected.rows().min(60), "{question}");
    }
}

#[test]
fn a_filter_over_folders_and_columns_keeps_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let air = scan(hive(folder.path(), 40)).unwrap();
    for (question, rows) in [
        ("a where Year = 2001 and a = 3", 12),
        ("a where Year = 2001 or a = 3", 80 + 4 * 6),
        ("a where a = Year - 1998", 36),
        ("a where b = Year * 10 and Month > 1", 42),
    ] {
        for batch in [1, 60, 1 << 20] {
            let frame = air.ask(question).unwrap();
            let found: DataFrame = Runner::new().piece_bytes(97).batch_bytes(batch).compute(frame).unwrap();
            assert_eq!(found.rows(), rows, "{question}");
        }
    }
}

#[test]
fn folders_may_hold_nulls_texts_and_types_of_the_users() {
    let folder = tempfile::tempdir().unwrap();
    for (day, zip) in [("2001-02-03", "02134"), ("2001-02-04", "__HIVE_DEFAULT_PARTITION__")] {
        write(folder.path(), &format!("day={day}/zip={zip}/x.csv"), "a\n1\n");
    }
    let frame = scan(folder.path()).unwrap();
    let shown: Vec<String> =
        frame.schema().unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(shown, ["Int64", "Date32", "Utf8View"]);
    assert_eq!(texts(&answer(&frame, "zip"), "zip"), ["02134", "Null"]);
    assert_eq!(answer(&frame, "count(*) as n where zip is null").value(0, "n").unwrap(), Value::Int64(1));
    let typed = FileScan::new(folder.path()).with_type("zip", ColumnType::Int64).open().unwrap();
    assert_eq!(answer(&typed, "max(zip) as z").value(0, "z").unwrap(), Value::Int64(2134));
    let error = FileScan::new(folder.path()).with_type("day", ColumnType::Int64).open().unwrap_err();
    assert_eq!((error.kind(), error.place().value.as_deref()), (ErrorKind::Value, Some("2001-02-03")));
    let plain = FileScan::new(folder.path()).hive(false).open().unwrap();
    assert_eq!(plain.schema().unwrap().fields().len(), 1);
}

#[test]
fn a_folder_takes_the_place_of_a_column_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a=7/x.csv", "a,b\n1,2\n");
    let frame = scan(folder.path()).unwrap();
    let run: Run<DataFrame> = Runner::new().run(frame.clone()).unwrap();
    assert_eq!(run.value.schema().field(0).name(), "a");
    assert_eq!(run.value.value(0, "a").unwrap(), Value::Int64(7));
    assert!(run.warnings.iter().any(|warning| warning.to_string().contains("`a` is read from the names")));
    write(folder.path(), "a=7/b=1/x.csv", "a,b\n1,2\n");
    let error = scan(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.hint_text().unwrap().contains("--no-hive"), "{error}");
}

#[test]
fn every_row_knows_its_file_and_nobody_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<String> = ["b.csv", "a.csv"]
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let text = format!("x,y\n{at},p\n5,q\n");
            write(folder.path(), name, text).display().to_string()
        })
        .collect();
    let (b, a) = (paths[0].clone(), paths[1].clone());
    for frame in [scan(paths.clone()).unwrap(), scan_csv(paths.clone()).unwrap()] {
        let names = |question: &str| texts(&answer(&frame, question), "file_name");
        assert_eq!(names("count(*) as n by file_name"), [a.clone(), b.clone()]);
        assert_eq!(names("file_name, x"), [b.clone(), b.clone(), a.clone(), a.clone()]);
        assert_eq!(names("file_name where x = 1"), std::slice::from_ref(&a));
        assert_eq!(names("file_name, x sort file_name, x limit 3"), [a.clone(), a.clone(), b.clone()]);
        assert_eq!(texts(&answer(&frame, "max(file_name) as m"), "m"), std::slice::from_ref(&b));
        assert_eq!(texts(&answer(&frame, "upper(y) as u where file_name like '%b.csv' and x = 5"), "u"), ["Q"]);
        let width = |frame: LazyFrame| frame.collect().unwrap().schema().fields().len();
        assert_eq!(frame.schema().unwrap().fields().len(), 2);
        for all in ["*", "* where file_name like '%a.csv'", "* sort file_name", "* sort file_name limit 1"] {
            assert_eq!(width(frame.ask(all).unwrap()), 2, "{all}");
            let streamed = frame.ask(all).unwrap().iter_batches().unwrap();
            assert_eq!(streamed.schema().fields().len(), 2, "{all}");
            for batch in streamed {
                assert_eq!(batch.unwrap().num_columns(), 2, "{all}");
            }
        }
        assert_eq!(width(frame.ask("*, file_name").unwrap()), 3);
        assert_eq!(width(frame.clone()), 2);
        assert_eq!(width(frame.sort("file_name").filter(outcrop::col("x").gt(outcrop::lit(0)))), 2);
        assert_eq!(width(frame.with_columns([outcrop::col("file_name").alias("f")])), 3);
        let seen = frame.filter(outcrop::col("file_name").is_not_null());
        let schema = frame.schema().unwrap();
        let mapped = seen.map_partitions(schema, |batch| {
            assert_eq!(batch.num_columns(), 2);
            Ok(batch)
        });
        assert_eq!(mapped.collect().unwrap().rows(), 4);
        let error = frame.ask("count(*) by file_nam").unwrap_err();
        assert!(error.to_string().contains("did you mean `file_name`"), "{error}");
        assert!(!frame.ask("*").unwrap().explain().unwrap().contains("file_name"));
    }
}

#[test]
fn a_real_column_named_file_name_is_that_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "x.csv", "file_name,b\nmine,1\n");
    let frame = scan(path).unwrap();
    assert_eq!(frame.schema().unwrap().fields().len(), 2);
    assert_eq!(texts(&answer(&frame, "file_name"), "file_name"), ["mine"]);
}

#[test]
fn files_of_two_formats_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(folder.path(), "a.csv", "a,b\n1,2\n");
    let json = write(folder.path(), "b.csv", "{\"a\":1,\"b\":2}\n");
    let error = scan([csv.clone(), json.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("a.csv") && error.to_string().contains("b.csv"), "{error}");
    let empty = write(folder.path(), "c.csv", "");
    assert_eq!(scan([empty, json.clone()]).unwrap().schema().unwrap().fields().len(), 2);
    let one_key = write(folder.path(), "e.csv", "{\"a\":1}\n");
    let forced = FileScan::new(&one_key).format(InputFormat::Csv).open().unwrap();
    assert_eq!(forced.schema().unwrap().field(0).name(), "{\"a\":1}");
    let csv_only = FileScan::of(outcrop::frame::CsvScan::new(&json), Some("--delimiter"));
    let error = csv_only.open().unwrap_err();
    assert!(error.to_string().contains("--delimiter is for CSV"), "{error}");
    let array = write(folder.path(), "d.json", "[{\"a\":1}]");
    let hint = scan(array).unwrap_err().hint_text().unwrap().to_owned();
    assert!(hint.contains("jq") && hint.contains("--input-format csv"), "{hint}");
}

fn ndjson(text: &str) -> (tempfile::TempDir, LazyFrame) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "x.ndjson", text);
    let frame = FileScan::new(path).format(InputFormat::Ndjson).open().unwrap();
    (folder, frame)
}

#[test]
fn objects_become_columns_and_arrays_text() {
    let (_folder, frame) = ndjson(
        "{\"id\":1,\"at\":{\"lat\":1.5,\"name\":\"x\"},\"tags\":[\"a\", 1]}\n\n{\"at\":{\"lat\":null},\"id\":2,\"when\":\"2001-02-03\"}",
    );
    let schema = frame.schema().unwrap();
    let columns: Vec<String> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(columns, ["id Int64", "at.lat Float64", "at.name Utf8View", "tags Utf8View", "when Date32"]);
    assert_eq!(texts(&answer(&frame, "tags, `at.lat` where `at.lat` > 1"), "tags"), ["[\"a\", 1]"]);
    let (_folder, mixed) = ndjson("{\"a\":1}\n{\"a\":{\"b\":2}}\n{\"a\":\"x\"}\n");
    assert_eq!(texts(&answer(&mixed, "a"), "a"), ["1", "Null", "x"]);
    assert_eq!(answer(&mixed, "sum(`a.b`) as s").value(0, "s").unwrap(), Value::Int64(2));
}

#[test]
fn a_key_with_a_dot_is_not_the_field_of_an_object() {
    let (_folder, frame) =
        ndjson("{\"a\":{\"b\":2,\"b_2\":9},\"a.b\":1}\n{\"a.b\":3}\n{\"a\":{\"b\":4}}\n{\"a.b_2\":\"x\"}\n");
    let schema = frame.schema().unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["a.b_3", "a.b_2_2", "a.b", "a.b_2"]);
    assert_eq!(texts(&answer(&frame, "`a.b`"), "a.b"), ["Int64(1)", "Int64(3)", "Null", "Null"]);
    assert_eq!(texts(&answer(&frame, "`a.b_3`"), "a.b_3"), ["Int64(2)", "Null", "Int64(4)", "Null"]);
    let run = Runner::new().run::<_, DataFrame>(frame).unwrap();
    let warnings: Vec<String> = run.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("called `a.b_3`")), "{warnings:?}");
    // In files of their own, they are two columns all the same.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "x.ndjson", "{\"a.b\":1}\n");
    write(folder.path(), "y.ndjson", "{\"a\":{\"b\":2}}\n");
    let both = FileScan::new(folder.path()).format(InputFormat::Ndjson).open().unwrap();
    assert_eq!(texts(&answer(&both, "`a.b`"), "a.b"), ["Int64(1)", "Null"]);
    assert_eq!(texts(&answer(&both, "`a.b_2`"), "a.b_2"), ["Null", "Int64(2)"]);
}

/// Records enough that the samples do not show the last, then `last`.
fn late(last: &str) -> String {
    let mut text = "{\"a\":1,\"b\":\"x\"}\n".repeat(40_000);
    text += last;
    text += &"{\"a\":1,\"b\":\"x\"}\n".repeat(20_000);
    text
}

#[test]
fn a_late_value_widens_its_column_as_if_known_from_the_start() {
    for (last, sum, kind) in [("2.5", Value::Float64(60_002.5), "Float64"), ("2", Value::Int64(60_002), "Int64")] {
        let (_folder, frame) = ndjson(&late(&format!("{{\"a\":{last}}}\n")));
        let frame = frame.ask("sum(a) as s, count(*) as n").unwrap();
        let run: Run<DataFrame> = Runner::new().threads(2).piece_bytes(50_000).run(frame).unwrap();
        assert_eq!(run.value.value(0, "s").unwrap(), sum);
        assert_eq!(run.value.schema().field(0).data_type().to_string(), kind);
        assert_eq!(run.warnings.is_empty(), kind == "Int64");
    }
    let (folder, frame) = ndjson(&late("{\"a\":[1]}\n"));
    let error = frame.ask("mean(a)").unwrap().collect().unwrap_err();
    assert_eq!((error.place().line, error.place().byte), (Some(40_001), Some(40_000 * 16)), "{error}");
    assert_eq!(answer(&frame, "max(a) as m").value(0, "m").unwrap(), Value::Utf8("[1]".into()));
    assert_eq!(answer(&frame, "count(b) as n").value(0, "n").unwrap(), Value::Int64(60_000), "others do not mind");
    let typed = FileScan::new(folder.path().join("x.ndjson")).with_type("a", ColumnType::Int64).open().unwrap();
    let error = typed.ask("sum(a)").unwrap().collect().unwrap_err();
    assert_eq!((error.kind(), error.place().value.as_deref()), (ErrorKind::Value, Some("[1]")));
}

#[test]
fn a_late_key_is_warned_of_and_can_be_declared() {
    let (folder, frame) = ndjson(&late("{\"a\":1,\"zzz\":5}\n"));
    let run: Run<DataFrame> = Runner::new().run(frame.ask("count(*) as n").unwrap()).unwrap();
    let warning = run.warnings.iter().map(ToString::to_string).find(|warning| warning.contains("`zzz`")).unwrap();
    assert!(warning.contains("line 40001") && warning.contains("1 record has"), "{warning}");
    let path = folder.path().join("x.ndjson");
    let frame = FileScan::new(path).with_type("zzz", ColumnType::Int64).open().unwrap();
    let run: Run<DataFrame> = Runner::new().run(frame.ask("sum(zzz) as s").unwrap()).unwrap();
    assert_eq!((run.value.value(0, "s").unwrap(), run.warnings.len()), (Value::Int64(5), 0));
}

#[test]
fn the_name_that_a_late_key_is_warned_of_under_is_the_one_that_declares_it() {
    let before = "{\"o\":{\"a\":1},\"b\":\"x\"}\n".repeat(30_000);
    for (last, name) in [
        ("{\"o\":{\"late\":5}}\n", "o.late"),
        ("{\"o.late\":5}\n", "o.late"),
        ("{\"o\":{\"a\":1,\"l\\u0061te\":5}}\n", "o.late"),
    ] {
        let (folder, frame) = ndjson(&[&before, last, &before].concat());
        let run: Run<DataFrame> = Runner::new().run(frame.ask("count(*) as n").unwrap()).unwrap();
        let warnings: Vec<String> = run.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains(&format!("--types {name}=utf8"))), "{warnings:?}");
        let declared = FileScan::new(folder.path().join("x.ndjson")).with_type(name, ColumnType::Int64).open().unwrap();
        let question = declared.ask(&format!("sum(`{name}`) as s")).unwrap();
        let run: Run<DataFrame> = Runner::new().run(question).unwrap();
        assert_eq!((run.value.value(0, "s").unwrap(), run.warnings.len()), (Value::Int64(5), 0), "{last}");
    }
}

#[test]
fn malformed_lines_are_located_errors_wherever_they_stand_and_however_the_text_is_cut() {
    for bad in ["{\"a\":1,}", "{\"a\":tru}", "nonsense", "7", "{\"a\":1} {\"a\":2}", "{\"b\":\"\u{1}\"}", "{\"a\""] {
        for lines in [0, 1, 50, 3000] {
            let mut text = "{\"a\":1,\"b\":\"x\"}\r\n".repeat(lines);
            text += bad;
            text += "\n{\"a\":1}\n";
            let (_folder, frame) = ndjson(&text);
            for piece in [1 << 20, 100] {
                let frame = frame.ask("count(*)").unwrap();
                let error = Runner::new().threads(2).piece_bytes(piece).compute::<_, DataFrame>(frame).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Malformed, "{bad}");
                assert_eq!(error.place().line, Some(lines as u64 + 1), "{error}");
                assert_eq!(error.place().record, Some(lines as u64 + 1), "{error}");
                let start = 17 * lines as u64;
                assert!((start..=start + bad.len() as u64).contains(&error.place().byte.unwrap()), "{error}");
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "x", b"{\"a\":1}\n{\"a\":\"\xE9\"}\n");
    let error = scan(&path).unwrap().ask("count(*)").unwrap().collect().unwrap_err();
    assert_eq!((error.kind(), error.place().line, error.place().byte), (ErrorKind::Malformed, Some(2), Some(14)));
}

#[test]
fn a_line_without_end_is_a_limit_and_not_a_use_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "x", format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":2}}\n", "y".repeat(100_000)));
    let csv = outcrop::frame::CsvScan::new(&path).max_record_bytes(70_000);
    let frame = FileScan::of(csv, None).open().unwrap();
    for piece in [1000, 1 << 20] {
        let frame = frame.ask("count(*)").unwrap();
        let error = Runner::new().piece_bytes(piece).compute::<_, DataFrame>(frame).unwrap_err();
        assert_eq!((error.kind(), error.place().line), (ErrorKind::Limit, Some(2)), "{error}");
    }
}

fn as_ipc(rows: &[Row], chunk: usize, stream: bool, folder: &Path, name: &str) -> PathBuf {
    use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
    use outcrop::arrow;
    use std::sync::Arc;
    let days = |text: &String| outcrop::source::csv::datetime::parse_date(text.as_bytes()).unwrap();
    let batch = |rows: &[Row]| {
        let columns: [(&str, ArrayRef); 6] = [
            ("k", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.k)))),
            ("i", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.i)))),
            ("x", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.x)))),
            ("t", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.t)))),
            ("b", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.b))))),
            ("d", Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.d.as_ref().map(days))))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    };
    let mut bytes = Vec::new();
    let schema = batch(&rows[..1]).schema();
    if stream {
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &schema).unwrap();
        rows.chunks(chunk).for_each(|rows| writer.write(&batch(rows)).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut bytes, &schema).unwrap();
        rows.chunks(chunk).for_each(|rows| writer.write(&batch(rows)).unwrap());
        writer.finish().unwrap();
    }
    write(folder, name, bytes)
}

#[test]
fn arrow_gives_the_answers_of_its_csv_twin_with_folders_and_file_names() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut ipc = Vec::new();
    let mut csv = Vec::new();
    for file in 0..3 {
        let count = [2, 50, 900][random.below(3)];
        let rows = rows(&mut random, count);
        csv.push(write(folder.path(), &format!("csv/g={file}/x"), as_csv(&rows)));
        let (chunk, stream) = (1 + random.below(400), random.one_in(2));
        ipc.push(as_ipc(&rows, chunk, stream, folder.path(), &format!("ipc/g={file}/x")));
    }
    let twin = scan_csv(csv).unwrap();
    let frame = scan(ipc).unwrap();
    let baseline = Runner::new().scheduler(Scheduler::Synchronous);
    let expected = answers(&twin, &baseline);
    for (threads, piece, batch) in [(1, 1 << 20, 1 << 20), (3, 1, 1), (2, 900, 3000)] {
        let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
        assert_eq!(expected, answers(&frame, &runner), "seed {seed} piece {piece}");
    }
    for question in ["count(*) as n, sum(i) by g", "sum(x) where g = 1 and i > 0", "i, g where g > 0 and b limit 9"] {
        assert_eq!(shown(&answer(&twin, question)), shown(&answer(&frame, question)), "seed {seed} {question}");
    }
    assert_eq!(answer(&frame, "count(*) by file_name").rows(), 3);
    let typed = FileScan::new(folder.path().join("ipc/g=0/x")).with_type("i", ColumnType::Utf8).open();
    assert!(typed.unwrap_err().to_string().contains("state the types"));
}

#[test]
fn parquet_is_found_by_its_content_and_may_lie_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read("testdata/parquet/alltypes_plain.parquet").unwrap();
    let path = write(folder.path(), "g=7/x.csv", &bytes);
    let frame = scan(&path).unwrap();
    let found = answer(&frame, "count(*) as n, max(g) as g by file_name");
    assert_eq!(found.value(0, "g").unwrap(), Value::Int64(7));
    assert_eq!(answer(&frame, "id where g = 8").rows(), 0);
    let csv = write(folder.path(), "g=8/x.csv", "id\n1\n");
    assert_eq!(scan([path, csv]).unwrap_err().kind(), ErrorKind::Unsupported);
}
