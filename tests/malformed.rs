//! Malformed records, repeated headers, values of declared types: set aside, counted once, written to a file.

use outcrop::error::ErrorKind;
use outcrop::exec::RunStatistics;
use outcrop::expr::{col, count_rows, lit};
use outcrop::frame::{CsvScan, DataFrame, LazyFrame, Run, Runner, Value, Write};
use outcrop::source::csv::{ColumnPolicy, Encoding, MalformedPolicy};
use outcrop::types::ColumnType;
use outcrop::write::{FileFormat, Target, WriteOptions};
use std::path::{Path, PathBuf};

mod common;
use common::Random;

const DIRTY: &str = "k,i,x\n\
    a,1,0.5\n\
    b,2\n\
    c,3,1.5,,\n\
    d,4,2.5,late\n\
    \"e\"e,5,3.5\n\
    f,6,4.5\n\
    k,i,x\n\
    g,\"7,5.5\n\
    h,8,6.5\n";

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn scan(path: &Path, policy: MalformedPolicy) -> CsvScan {
    CsvScan::new(path).malformed(policy)
}

fn counts(statistics: &RunStatistics) -> [u64; 5] {
    let RunStatistics { records_read, records_rejected, records_padded, headers_repeated, values_rejected, .. } =
        statistics;
    [*records_read, *records_rejected, *records_padded, *headers_repeated, *values_rejected]
}

/// A file of rejects: line, column, reason and record of each.
fn rejects(path: &Path) -> Vec<[String; 4]> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["file", "line", "byte", "column", "reason", "record"]);
    reader.records().map(|row| [1, 3, 4, 5].map(|at| row.as_ref().unwrap()[at].to_owned())).collect()
}

fn cell(frame: &DataFrame, row: usize, column: &str) -> String {
    match frame.value(row, column).unwrap() {
        Value::Utf8(text) => text,
        Value::Int64(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn text(run: &Run<DataFrame>) -> String {
    run.value.to_string()
}

fn warnings<R>(run: &Run<R>, folder: &Path) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    run.warnings.iter().map(|warning| warning.to_string().replace(&folder, "")).collect()
}

#[test]
fn skipped_records_are_counted_named_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    let out = folder.path().join("rejects.csv");
    let frame = scan(&path, MalformedPolicy::Skip).open().unwrap();
    let run: Run<DataFrame> = Runner::new().rejects(&out).run(frame.select(["k", "i"])).unwrap();
    assert_eq!(counts(&run.statistics), [3, 5, 0, 1, 0]);
    let keys: Vec<_> = (0..run.value.rows()).map(|row| cell(&run.value, row, "k")).collect();
    assert_eq!(keys, ["a", "f", "h"]);
    let (few, many) = ("the record has 2 fields, too few", "the record has 5 fields, too many");
    let expected = [
        ["3", "", few, "b,2"],
        ["4", "", many, "c,3,1.5,,"],
        ["5", "", "the record has 4 fields, too many", "d,4,2.5,late"],
        ["6", "", "text follows a closing quote", "\"e\"e,5,3.5"],
        ["9", "", "a quote is opened here and never closed", "g,\"7,5.5"],
    ];
    assert_eq!(rejects(&out), expected);
    let said = warnings(&run, folder.path());
    assert!(
        said.contains(&format!(
            "5 records were set aside (they are in rejects.csv); the first: a.csv, line 3, byte 14: {few}"
        )),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("1 record repeats the header and was passed over (--keep-headers reads them as data); ")
            && said[1].ends_with("the first: a.csv, line 8, byte 60"),
        "{said:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn padded_records_are_kept_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    // The empty field is a text here; one that is missing is null all the same.
    let frame = scan(&path, MalformedPolicy::Pad).null_tokens(["-"]).open().unwrap();
    let run: Run<DataFrame> = Runner::new().run(frame.filter(col("x").is_null()).select(["k"])).unwrap();
    assert_eq!(counts(&run.statistics), [5, 3, 2, 1, 0]);
    assert_eq!((run.value.rows(), cell(&run.value, 0, "k")), (1, "b".into()));
    let said = warnings(&run, folder.path());
    assert!(said[1].starts_with("2 records were too short or too long"), "{said:?}");
}

#[test]
fn an_error_names_the_policy_that_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    let frame = scan(&path, MalformedPolicy::Error).open().unwrap();
    let error = Runner::new().run::<_, i64>(frame.count()).unwrap_err();
    assert_eq!((error.kind(), error.place().line), (ErrorKind::Malformed, Some(3)));
    assert!(error.hint_text().unwrap().contains("--malformed skip"));
}

fn dirty_csv(random: &mut Random, records: usize) -> Vec<u8> {
    let clean = common::random_csv(random, records);
    let header_end = clean.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let mut text = clean[..header_end].to_vec();
    for line in clean[header_end..].split_inclusive(|&byte| byte == b'\n') {
        match random.below(20) {
            0 => text.extend(line.iter().skip_while(|&&byte| byte != b',').skip(1)),
            1 => text.extend([b"spare,", line].concat()),
            2 => {
                let at = random.below(line.len());
                text.extend([&line[..at], b"\"", &line[at..]].concat());
            }
            3 => text.extend([&clean[..header_end], line].concat()),
            _ => text.extend_from_slice(line),
        }
    }
    text
}

/// Whatever the threads and pieces: answers, counts and the file of rejects are the same, byte by byte.
#[test]
fn the_file_of_rejects_does_not_depend_on_threads_or_pieces() {
    let mut random = Random::new(21);
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let mut paths = Vec::new();
        for (number, ending) in ["csv", "csv.bz2", "csv.gz"].iter().enumerate() {
            let text = dirty_csv(&mut random, 300);
            let stored = common::compress(&text, ending, &mut random);
            paths.push(write(folder.path(), &format!("{round}-{number}.{ending}"), stored));
        }
        let policy = [MalformedPolicy::Skip, MalformedPolicy::Pad][round % 2];
        let frame = CsvScan::new(paths)
            .malformed(policy)
            .has_header(true)
            .with_type("i", ColumnType::Int64)
            .with_type("d", ColumnType::Date)
            .open()
            .unwrap();
        let frames = vec![
            frame.group_by("k").agg([count_rows(), col("i").sum()]),
            frame.filter(col("d").is_not_null()).agg([count_rows()]),
            frame.filter(col("i").gt(lit(50))).select(["t"]).head(20),
        ];
        let mut first = None;
        for (threads, piece, batch) in [(1, 1 << 20, 1 << 18), (2, 97, 50), (4, 1000, 1 << 18), (3, 4000, 300)] {
            let out = folder.path().join("rejects.csv");
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch).rejects(&out);
            let run: Run<Vec<DataFrame>> = runner.run(frames.clone()).unwrap();
            let answers: Vec<String> = run.value.iter().map(ToString::to_string).collect();
            let said: Vec<String> = run.warnings.iter().map(ToString::to_string).collect();
            let found = (answers, counts(&run.statistics), said, std::fs::read(&out).unwrap());
            let lines = rejects(&out);
            let [_, records, _, _, values] = found.1;
            assert!(records > 0 && values > 0);
            assert_eq!(lines.len() as u64, records + values);
            assert_eq!(lines.iter().filter(|line| line[1].is_empty()).count() as u64, records);
            let first = first.get_or_insert_with(|| found.clone());
            assert!(*first == found, "{threads} threads, pieces of {piece}: {found:?}\n{first:?}");
            // Without a file the counts are the same.
            let run: Run<Vec<DataFrame>> =
                Runner::new().threads(threads).piece_bytes(piece).run(frames.clone()).unwrap();
            assert_eq!(counts(&run.statistics)[1..], first.1[1..]);
        }
    }
}

#[test]
fn a_value_of_a_declared_type_sets_its_record_aside_for_who_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", "k,i,j\na,1,1\nb,x,2\nc,3,y\nd,4,4\n");
    let frame = scan(&path, MalformedPolicy::Skip)
        .has_header(true)
        .with_type("i", ColumnType::Int64)
        .with_type("j", ColumnType::Int64)
        .open()
        .unwrap();
    let sums = |name: &str| frame.agg([count_rows().alias("n"), col(name).sum().alias("sum")]);
    let questions = [
        (frame.agg([count_rows().alias("n")]), 0),
        (sums("i"), 1),
        (sums("j"), 1),
        (frame.agg([count_rows().alias("n"), (col("i") + col("j")).sum().alias("sum")]), 2),
        // A filter that does not read the column turns the row away first.
        (frame.filter(col("k").not_eq(lit("b"))).agg([col("i").sum().alias("sum")]), 0),
        (frame.filter(col("i").is_null()).agg([count_rows().alias("n")]), 1),
    ];
    let frames: Vec<LazyFrame> = questions.iter().map(|(frame, _)| frame.clone()).collect();
    let out = folder.path().join("rejects.csv");
    let together: Run<Vec<DataFrame>> = Runner::new().rejects(&out).run(frames).unwrap();
    assert_eq!(counts(&together.statistics), [4, 0, 0, 0, 2], "each value counts once");
    let not_int = "the value is not Int64, the type given for its column";
    assert_eq!(rejects(&out), [["3", "i", not_int, "b,x,2"], ["4", "j", not_int, "c,3,y"]]);
    for ((frame, rejected), shared) in questions.into_iter().zip(&together.value) {
        let alone: Run<DataFrame> = Runner::new().run(frame).unwrap();
        assert_eq!(text(&alone), shared.to_string());
        assert_eq!(alone.statistics.values_rejected, rejected, "{shared}");
    }
    assert_eq!(cell(&together.value[1], 0, "n"), "3");
    assert_eq!(cell(&together.value[3], 0, "n"), "2");
}

#[test]
fn text_of_another_than_the_declared_encoding_is_a_reject_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", b"k,i\na,1\n\xE9t\xE9,2\n\"b\",3\n");
    let frame = scan(&path, MalformedPolicy::Skip).encoding(Encoding::Utf8).open().unwrap();
    let out = folder.path().join("rejects.csv");
    let run: Run<(DataFrame, Option<i64>)> =
        Runner::new().rejects(&out).run((frame.select(["k"]), frame.sum("i"))).unwrap();
    assert_eq!((run.value.0.rows(), run.value.1), (2, Some(6)));
    let reason = "the field is not valid in the declared encoding";
    assert_eq!(rejects(&out), [["3", "k", reason, "\\xE9t\\xE9,2"]]);
}

/// What stands there stays, and nothing is read for an answer that could not be told in full.
#[test]
fn rejects_that_have_no_place_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    let frame = scan(&path, MalformedPolicy::Skip).open().unwrap();
    let warned = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&warned);
    let runner = Runner::new().on_warning(move |warning| told.lock().unwrap().push(warning.to_string()));
    let missing = folder.path().join("missing/rejects.csv");
    for (place, kind) in
        [(&missing, ErrorKind::Io), (&folder.path().to_path_buf(), ErrorKind::Io), (&path, ErrorKind::Syntax)]
    {
        let run: Result<Run<DataFrame>, _> = runner.clone().rejects(place).run(frame.clone());
        assert_eq!(run.unwrap_err().kind(), kind, "{}", place.display());
    }
    let same = folder.path().join("same.csv");
    let to_same = Write::new(&frame, Target::Path(same.clone()), WriteOptions::new(FileFormat::Csv));
    let error = runner.clone().rejects(&same).write_all(&[to_same]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(*warned.lock().unwrap(), Vec::<String>::new(), "nothing was read");
}

/// A table of very many columns does not drown the user in warnings, nor take time that grows with their square.
#[test]
fn warnings_about_single_columns_stop_after_a_few() {
    let folder = tempfile::tempdir().unwrap();
    let row = |field: &str| vec![field; 20_000].join(",") + "\n";
    let path = write(folder.path(), "a.csv", row("c") + &row("1") + &row("2"));
    let frame = CsvScan::new(&path).has_header(true).open().unwrap();
    let run: Run<Option<i64>> = Runner::new().run(frame.sum("c_20000")).unwrap();
    assert_eq!(run.value, Some(3));
    assert_eq!(run.warnings.len(), 11);
    assert_eq!(
        warnings(&run, folder.path())[10],
        "a.csv: 19989 more columns have no name of their own and were given one"
    );
}

/// The header of the second file is none to one of them.
#[test]
fn tables_that_differ_in_options_for_single_files_are_read_each_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [write(folder.path(), "a.csv", "a,b\n1,2\n"), write(folder.path(), "b.csv", "5,6\n7,8\n")];
    let table = |header: bool| {
        let scan = CsvScan::new(paths.to_vec()).columns(ColumnPolicy::Fill);
        scan.for_files("b.csv", move |options| options.has_header = Some(header)).open().unwrap()
    };
    let run: Run<(Option<i64>, Option<i64>)> =
        Runner::new().run((table(false).sum("a"), table(true).sum("a"))).unwrap();
    assert_eq!(run.value, (Some(13), Some(1)));
}

/// A pass that repeats for a wider type meets the same records again.
#[test]
fn a_repeated_pass_counts_and_writes_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = String::from("k,i,j\n");
    for number in 0..30_000 {
        csv.push_str(&format!("a,{number},{number}\n"));
    }
    csv.push_str("short\nb,1,nine\nk,i,j\n");
    for number in 0..30_000 {
        csv.push_str(&format!("c,{number},{number}\n"));
    }
    csv.push_str("short too\nd,1.5,1\n");
    for number in 0..30_000 {
        csv.push_str(&format!("e,{number},{number}\n"));
    }
    let path = write(folder.path(), "a.csv", csv);
    let out = folder.path().join("rejects.csv");
    for piece_bytes in [1000, 1 << 20] {
        let frame = scan(&path, MalformedPolicy::Skip).with_type("j", ColumnType::Int64).open().unwrap();
        if frame.schema().unwrap().field(1).data_type() != &arrow::datatypes::DataType::Int64 {
            panic!("the samples show the late double");
        }
        let questions = || (frame.sum("i"), frame.sum("j"), frame.agg([(col("i") + col("j")).sum()]));
        let runner = Runner::new().piece_bytes(piece_bytes);
        let run: Run<(Value, Option<i64>, DataFrame)> = runner.clone().rejects(&out).run(questions()).unwrap();
        assert_eq!((run.statistics.passes, run.statistics.passes_repeated), (2, 1));
        assert_eq!(counts(&run.statistics)[1..], [2, 0, 1, 1]);
        let lines: Vec<String> = rejects(&out).into_iter().map(|[line, ..]| line).collect();
        assert_eq!(lines, ["30002", "30003", "60005"]);
        let run: Run<(Value, Option<i64>, DataFrame)> = runner.run(questions()).unwrap();
        assert_eq!(counts(&run.statistics)[1..], [2, 0, 1, 1], "without a file");
    }
}

#[test]
fn behind_the_last_row_of_a_limit_nothing_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    let frame = scan(&path, MalformedPolicy::Pad).open().unwrap();
    for (rows, expected) in [(0, [0, 0, 0]), (1, [0, 0, 0]), (2, [0, 1, 0]), (4, [2, 2, 0]), (5, [3, 2, 1])] {
        for threads in [1, 3] {
            let run: Run<DataFrame> = Runner::new().threads(threads).piece_bytes(7).run(frame.head(rows)).unwrap();
            assert_eq!(counts(&run.statistics)[1..4], expected, "{rows} rows");
        }
    }
    let run: Run<(DataFrame, i64)> = Runner::new().run((frame.head(2), frame.count())).unwrap();
    assert_eq!(counts(&run.statistics)[1..4], [3, 2, 1], "another question reads on");
}

#[test]
fn a_header_that_comes_again_is_passed_over_with_its_byte_order_mark() {
    let folder = tempfile::tempdir().unwrap();
    let one = "\"the key\",i\r\na,1\r\nb,2\r\n";
    let marked = format!("\u{FEFF}{one}");
    let path = write(folder.path(), "a.csv", format!("{marked}{one}{marked}\"the key\",i\n\"the key\",\"i\"\n"));
    for piece_bytes in 1..90 {
        let frame = CsvScan::new(&path).with_type("i", ColumnType::Utf8).open().unwrap();
        let run: Run<DataFrame> = Runner::new().piece_bytes(piece_bytes).run(frame).unwrap();
        assert_eq!((run.value.rows(), run.statistics.headers_repeated), (6, 4), "the last is quoted in another way");
    }
    let frame = CsvScan::new(&path).has_header(true).repeated_headers(false).open().unwrap();
    let error = Runner::new().run::<_, DataFrame>(frame.select(["i"])).map(|run| run.value.rows());
    assert_eq!(error.unwrap(), 10);
    // In a file of one column, a value may well be its name.
    let path = write(folder.path(), "b.csv", "name\nx\nname\n");
    let run: Run<DataFrame> = Runner::new().run(CsvScan::new(&path).has_header(true).open().unwrap()).unwrap();
    assert_eq!((run.value.rows(), run.statistics.headers_repeated), (2, 0));
}

#[test]
fn repeated_headers_do_not_make_columns_text() {
    let folder = tempfile::tempdir().unwrap();
    let part = format!("k,i\n{}", "a,1\n".repeat(50));
    let path = write(folder.path(), "a.csv", part.repeat(40));
    let run: Run<(Option<i64>, i64)> = {
        let frame = CsvScan::new(&path).open().unwrap();
        Runner::new().run((frame.sum("i"), frame.count())).unwrap()
    };
    assert_eq!(run.value, (Some(2000), 2000));
    assert_eq!((run.statistics.headers_repeated, run.statistics.passes), (39, 1));
}

#[test]
fn rejects_never_overwrite_an_input_nor_appear_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", DIRTY);
    let frame = scan(&path, MalformedPolicy::Skip).open().unwrap();
    let error = Runner::new().rejects(&path).run::<_, i64>(frame.count()).unwrap_err();
    assert!(error.message().contains("overwrite"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), DIRTY);
    let out = folder.path().join("rejects.csv");
    let failing = frame.ask("1 % (i - 6) as remainder").unwrap();
    assert!(Runner::new().rejects(&out).run::<_, DataFrame>(failing).is_err());
    assert!(!out.exists());
    let run: Run<i64> = Runner::new()
        .rejects(&out)
        .run(CsvScan::new(write(folder.path(), "b.csv", "k,i\na,1\n")).open().unwrap().count())
        .unwrap();
    assert_eq!((run.value, rejects(&out).len()), (1, 0));
}

#[test]
fn a_record_longer_than_the_limit_is_set_aside_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let open = format!("k,i\na,1\nb,\"{}\nc,3\n", "1,2\n".repeat(5000));
    let long = format!("k,i\na,1\nb,{}\nc,3\n", "9".repeat(5000));
    for (csv, rows, rejected) in [(open, 5001, 1), (long, 2, 1)] {
        let path = write(folder.path(), "a.csv", &csv);
        let frame = scan(&path, MalformedPolicy::Skip).max_record_bytes(1000).quote(Some(b'"')).open().unwrap();
        for piece_bytes in [10, 1000, 100_000] {
            let run: Run<i64> = Runner::new().piece_bytes(piece_bytes).run(frame.count()).unwrap();
            assert_eq!((run.value, run.statistics.records_rejected), (rows, rejected), "pieces of {piece_bytes}");
        }
    }
}

#[test]
fn samples_see_the_records_that_will_be_padded() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", "k,i,x\n1,2\n2,3\nlate,5\n4,5,1.5\n");
    let frame = scan(&path, MalformedPolicy::Pad).open().unwrap();
    assert_eq!(frame.schema().unwrap().field(0).data_type(), &outcrop::arrow::datatypes::DataType::Utf8View);
    assert_eq!(frame.schema().unwrap().field(2).data_type(), &outcrop::arrow::datatypes::DataType::Float64);
}

#[test]
fn a_header_that_comes_again_in_other_quotes_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for (first, again) in [("k,i", "\"k\",\"i\""), ("\"k\",\"i\"", "k,i")] {
        let path = write(folder.path(), "a.csv", format!("{first}\na,1\n{again}\nb,2\n"));
        for policy in [MalformedPolicy::Error, MalformedPolicy::Skip] {
            let run: Run<Option<i64>> = Runner::new().run(scan(&path, policy).open().unwrap().sum("i")).unwrap();
            assert_eq!((run.value, counts(&run.statistics)), (Some(3), [2, 0, 0, 1, 0]));
        }
    }
}
