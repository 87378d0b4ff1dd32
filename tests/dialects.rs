//! Tables in every dialect, number and date style: the same rows, whatever the threads, pieces and batches.

mod common;

use common::Random;
use outcrop::frame::{DataFrame, LazyFrame, Runner, Value};
use outcrop::source::csv::{CsvOptions, CsvSource, DateFormats, Dialect, Format, LineEnd, NumberStyle};
use outcrop::types::ColumnType;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path, format: Format, types: &[(&str, ColumnType)]) -> LazyFrame {
    let types = types.iter().map(|(name, column_type)| (name.to_string(), *column_type)).collect();
    let options = CsvOptions { types, ..CsvOptions::given(format) };
    LazyFrame::from_source(Arc::new(CsvSource::open(&[path.to_owned()], options).unwrap()))
}

fn rows(frame: &DataFrame) -> Vec<Vec<Value>> {
    let row = |batch: &outcrop::arrow::array::RecordBatch, row| {
        batch.columns().iter().map(|column| Value::of(column, row).unwrap()).collect()
    };
    frame
        .batches()
        .map(Result::unwrap)
        .flat_map(|batch| (0..batch.num_rows()).map(move |at| row(&batch, at)).collect::<Vec<_>>())
        .collect()
}

/// A table with the same values in any dialect: its text and its rows.
fn table(random: &mut Random, records: usize, format: &Format) -> (Vec<u8>, Vec<Vec<Value>>) {
    let dialect = format.dialect;
    let line_end = if dialect.line_end() == LineEnd::CarriageReturn { "\r" } else { "\n" };
    let delimiter = char::from(dialect.delimiter()).to_string();
    let quoted = |text: &str| {
        let text = match dialect.escape() {
            Some(b'\\') => text.replace('\\', "\\\\").replace('"', "\\\""),
            _ => text.replace('"', "\"\""),
        };
        format!("\"{text}\"")
    };
    let decimal = char::from(format.numbers.decimal);
    let mut text = ["id", "x", "day", "moment", "t"].join(&delimiter) + line_end;
    let mut rows = Vec::new();
    for id in 0..records as i64 {
        if dialect.comment().is_some() && random.below(9) == 0 {
            text += ["# ", "#it's \"odd", "#a;b,c"][random.below(3)];
            text += line_end;
        }
        let cents = random.below(2_000_000) as i64 - 1_000_000;
        let (whole, part) = ((cents / 100).abs(), (cents % 100).abs());
        let grouped = match format.numbers.thousands {
            Some(mark) if whole >= 1000 => format!("{}{}{:03}", whole / 1000, char::from(mark), whole % 1000),
            _ => whole.to_string(),
        };
        let sign = if cents < 0 { "-" } else { "" };
        let day = random.below(20_000) as i32;
        let date = outcrop::arrow::temporal_conversions::date32_to_datetime(day).unwrap();
        let word = ["plain", "", "a\\b", "\\", "say \"hi\"", "two\nlines", "re\rturn", "#5", "x;y,z"][random.below(9)];
        let fields = [
            id.to_string(),
            quoted(&format!("{sign}{grouped}{decimal}{part:02}")),
            date.format("%d.%m.%Y").to_string(),
            date.format("%m/%d/%Y 2:30 PM").to_string(),
            quoted(word),
        ];
        text += &(fields.join(&delimiter) + line_end);
        rows.push(vec![
            Value::Int64(id),
            Value::Float64(cents as f64 / 100.0),
            Value::Date(day),
            Value::Timestamp((i64::from(day) * 24 + 14) * 3_600_000_000 + 1_800_000_000),
            Value::Utf8(word.to_owned()),
        ]);
    }
    (text.into_bytes(), rows)
}

#[test]
fn every_dialect_holds_the_same_rows_under_every_cut() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    for round in 0..32_u64 {
        let mut random = Random::new(seed.wrapping_add(round));
        let set = |bit: u64| round >> bit & 1 == 1;
        let dialect = Dialect::new(if set(0) { b';' } else { b',' }, Some(b'"')).unwrap();
        let dialect = dialect.with_escape(set(1).then_some(b'\\')).unwrap();
        let dialect = dialect.with_comment(set(2).then_some(b'#')).unwrap();
        let dialect = dialect.with_line_end(if set(3) { LineEnd::CarriageReturn } else { LineEnd::Newline });
        let numbers = if set(4) { NumberStyle::new(b',', Some(b'.')) } else { NumberStyle::new(b'.', Some(b',')) };
        let format = Format { dialect, numbers: numbers.unwrap(), ..Format::default() };
        let (text, expected) = table(&mut random, 300, &format);
        let path = folder.path().join(format!("{round}.csv"));
        std::fs::write(&path, text).unwrap();
        let frame = open(&path, format, &[]);
        for _ in 0..4 {
            let (threads, piece, batch) = (1 + random.below(4), 1 + random.below(3000), 1 + random.below(3000));
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let read: DataFrame = runner.compute(frame.clone()).unwrap();
            assert!(rows(&read) == expected, "seed {seed} round {round} {dialect:?} threads {threads} piece {piece}");
        }
    }
}

/// Beyond the samples, the last record holds a value of another style: the column is what it would have been had that
/// been known from the start.
#[test]
fn a_late_value_in_another_style_makes_text_of_the_column_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.csv");
    let mut text = String::from("day,moment,n,k\n");
    for row in 0..40_000 {
        text += &format!("{:02}.02.2001,13/02/2001 10:00,\"1,{:03}\",{row}\n", row % 28 + 1, row % 1000);
    }
    text += "2001-02-03,02/13/2001 10:00,\"1,23\",40000\n";
    let middle = text.len() / 3;
    let line = text[middle..].find('\n').unwrap() + middle + 1;
    let last = text[..text.len() - 1].rfind('\n').unwrap() + 1;
    let odd = text.split_off(last);
    text.insert_str(line, &odd);
    std::fs::write(&path, &text).unwrap();
    let numbers = NumberStyle::new(b'.', Some(b',')).unwrap();
    let format = Format { numbers, ..Format::default() };
    let frame = open(&path, format.clone(), &[]);
    let types: Vec<String> =
        frame.schema().unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert!(types[0].starts_with("Date32") && types[1].starts_with("Timestamp") && types[2] == "Int64", "{types:?}");
    let known = [("day", ColumnType::Utf8), ("moment", ColumnType::Utf8), ("n", ColumnType::Utf8)];
    let expected = rows(&open(&path, format, &known).collect().unwrap());
    for threads in [1, 3] {
        let runner = Runner::new().threads(threads).piece_bytes(50_000);
        let read: DataFrame = runner.compute(frame.clone()).unwrap();
        assert!(rows(&read) == expected, "{threads} threads");
    }
}

#[test]
fn given_formats_settle_what_samples_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.csv");
    std::fs::write(&path, "a,b,c\n01/02/2001,20010203,5\n03/04/2001,20010204,6\n").unwrap();
    let read = |given: &[&str], types: &[(&str, ColumnType)]| {
        let dates = DateFormats::new(given.iter().copied()).unwrap();
        rows(&open(&path, Format { dates, ..Format::default() }, types).limit(1).collect().unwrap()).remove(0)
    };
    let text = Value::Utf8("01/02/2001".into());
    assert_eq!(read(&[], &[]), [text.clone(), Value::Int64(20_010_203), Value::Int64(5)]);
    let given = read(&["%Y%m%d", "%d/%m/%Y"], &[]);
    assert_eq!(given, [Value::Date(11_354), Value::Date(11_356), Value::Int64(5)]);
    let declared = read(&["%Y%m%d"], &[("b", ColumnType::Timestamp), ("c", ColumnType::Utf8)]);
    assert_eq!(declared[..2], [text, Value::Timestamp(11_356 * 86_400_000_000)]);
}
