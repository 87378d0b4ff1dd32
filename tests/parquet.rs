//! Parquet files as inputs: the same answers as from CSV, however the file is cut, pruned or damaged.

mod common;

use common::{Random, answers_to, shown, shown_with_one_nan};
use outcrop::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
    UInt64Array,
};
use outcrop::arrow::compute::cast;
use outcrop::arrow::datatypes::{DataType, Field, Schema};
use outcrop::error::ErrorKind;
use outcrop::exec::Scheduler;
use outcrop::frame::{CsvScan, DataFrame, LazyFrame, ParquetScan, Run, Runner, Value};
use outcrop::source::column_policy::ColumnPolicy;
use outcrop::types::ColumnType;
use outcrop::{compute, scan_csv, scan_parquet};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::data_type::{FixedLenByteArrayType, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows whose values rise, with noise, so that row groups and pages differ in what they hold.
struct Rows {
    k: Vec<Option<String>>,
    i: Vec<Option<i64>>,
    x: Vec<Option<f64>>,
    t: Vec<Option<String>>,
    b: Vec<Option<bool>>,
    d: Vec<Option<i32>>,
}

impl Rows {
    fn random(random: &mut Random, rows: usize) -> Self {
        let mut table = Rows { k: vec![], i: vec![], x: vec![], t: vec![], b: vec![], d: vec![] };
        let nulls_from = random.below(rows.max(1));
        for row in 0..rows {
            let missing = |random: &mut Random| random.one_in(12) || (nulls_from..nulls_from + 150).contains(&row);
            let rising = row as i64 + random.below(40) as i64;
            let key =
                ["AA", "WN", "UA", "DL", "a longer carrier name", "caf\u{e9}", ""][(row / 200 + random.below(2)) % 7];
            table.k.push((!missing(random)).then(|| key.to_owned()));
            table.i.push((!missing(random)).then_some(rising));
            table.x.push(match random.below(60) {
                0 => Some(f64::NAN),
                1 => Some(-0.0),
                2 => None,
                3 => Some(f64::NEG_INFINITY),
                _ => Some((rising as f64 - 500.0) / 8.0),
            });
            table.t.push((!missing(random)).then(|| format!("text number {rising:06}")));
            table.b.push((!missing(random)).then_some(row / 300 % 2 == 0));
            table.d.push((!missing(random)).then_some(10_000 + (rising / 10) as i32));
        }
        table
    }

    fn batch(&self) -> RecordBatch {
        let fields = [
            ("k", DataType::Utf8),
            ("i", DataType::Int64),
            ("x", DataType::Float64),
            ("t", DataType::Utf8),
            ("b", DataType::Boolean),
            ("d", DataType::Date32),
        ];
        let schema = Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.k.clone())),
            Arc::new(Int64Array::from(self.i.clone())),
            Arc::new(Float64Array::from(self.x.clone())),
            Arc::new(StringArray::from(self.t.clone())),
            Arc::new(BooleanArray::from(self.b.clone())),
            Arc::new(Date32Array::from(self.d.clone())),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    /// As CSV; empty text is quoted, what is missing is not.
    fn csv(&self) -> String {
        let mut text = String::from("k,i,x,t,b,d\n");
        let word = |value: &Option<String>| value.as_ref().map_or(String::new(), |value| format!("\"{value}\""));
        for row in 0..self.k.len() {
            let double = match self.x[row] {
                None => String::new(),
                Some(value) if value.is_nan() => "nan".to_owned(),
                Some(value) => format!("{value:?}"),
            };
            let date = self.d[row].map_or(String::new(), |days| {
                let text = cast(&Date32Array::from(vec![days]), &DataType::Utf8).unwrap();
                text.as_string::<i32>().value(0).to_owned()
            });
            let integer = self.i[row].map_or(String::new(), |value| value.to_string());
            let truth = self.b[row].map_or(String::new(), |value| value.to_string());
            let (key, word) = (word(&self.k[row]), word(&self.t[row]));
            text.push_str(&format!("{key},{integer},{double},{word},{truth},{date}\n"));
        }
        text
    }
}

fn write(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    // Pages are cut between writes.
    let mut row = 0;
    while row < batch.num_rows() {
        let rows = 50.min(batch.num_rows() - row);
        writer.write(&batch.slice(row, rows)).unwrap();
        row += rows;
    }
    writer.close().unwrap();
}

/// Some way of writing, with small row groups and pages.
fn properties(random: &mut Random) -> WriterPropertiesBuilder {
    let statistics = [EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page][random.below(3)];
    let codec = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW][random.below(3)];
    let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][random.below(2)];
    WriterProperties::builder()
        .set_max_row_group_row_count(Some([200, 700, 100_000][random.below(3)]))
        .set_data_page_row_count_limit([50, 100, 1000][random.below(3)])
        .set_write_batch_size(50)
        .set_statistics_enabled(statistics)
        .set_compression(codec)
        .set_writer_version(version)
        .set_dictionary_enabled(!random.one_in(4))
        .set_dictionary_page_size_limit([30, 2000, 1 << 20][random.below(3)])
        .set_bloom_filter_enabled(random.one_in(2))
        .set_offset_index_disabled(random.one_in(2))
}

const QUESTIONS: [&str; 16] = [
    "count(*) as n, count(x), sum(i), mean(i), min(i), max(i), var(i), first(i), last(i)",
    "sum(x), min(t), max(t), first(t), last(k), min(d), max(d), count(b)",
    "count(*) as n, mean(i), first(t), last(i) by k",
    "count(*) as n by k, b where i > 500",
    "k, i, x, t where i > 100 sort x desc, i limit 20",
    "t, i, d where k = 'WN' and x < 50",
    "k, t, x limit 13",
    "t limit 3",
    "i, k where x < 0",
    "*",
    "sum(i) where t = 'text number 000700'",
    "count(*) as n where i is null and d is not null",
    "count(*) as n, count(k), max(k) by k, t where length(k) < 5 or k is null",
    "count(*) as n, last(t) by upper(k) as big, b where k in ('WN', '', 'caf\u{e9}') or x > 100",
    "sum(i) as n, min(k) by coalesce(k, 'none') as key where k like '%A' or not (k <> 'DL')",
    "k, i where k <> 'UA' and i > 5",
];

#[test]
fn a_parquet_file_answers_like_its_csv_twin_however_it_is_written_cut_and_threaded() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    for round in 0..8 {
        let mut random = Random::new(seed.wrapping_add(round));
        let folder = tempfile::tempdir().unwrap();
        let (mut csv, mut parquet): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        for file in 0..1 + random.below(3) {
            let rows = [7, 900, 2500][random.below(3)];
            let rows = Rows::random(&mut random, rows);
            csv.push(folder.path().join(format!("{file}.csv")));
            std::fs::write(&csv[file], rows.csv()).unwrap();
            parquet.push(folder.path().join(format!("{file}.parquet")));
            write(&parquet[file], &rows.batch(), properties(&mut random).build());
        }
        let types = [("k", ColumnType::Utf8), ("i", ColumnType::Int64), ("x", ColumnType::Float64)];
        let types =
            [&types[..], &[("t", ColumnType::Utf8), ("b", ColumnType::Boolean), ("d", ColumnType::Date)]].concat();
        let twin = types.into_iter().fold(CsvScan::new(csv), |scan, (name, kind)| scan.with_type(name, kind));
        let twin = twin.null_tokens([""]).open().unwrap();
        let expected = answers_to(&QUESTIONS, &twin, &Runner::new().scheduler(Scheduler::Synchronous));
        let frame = scan_parquet(parquet).unwrap();
        for _ in 0..4 {
            let (threads, piece, batch) = (1 + random.below(4), 1 + random.below(90_000), 1 + random.below(90_000));
            let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
            let found = answers_to(&QUESTIONS, &frame, &runner);
            let how = format!("seed {seed} round {round} threads {threads} piece {piece} batch {batch}");
            for (question, (expected, found)) in QUESTIONS.iter().zip(expected.value.iter().zip(&found.value)) {
                assert_eq!(shown_with_one_nan(expected), shown_with_one_nan(found), "{question}\n{how}");
            }
            assert_eq!(expected.statistics.rows_kept, found.statistics.rows_kept, "{how}");
            assert_eq!(found.statistics.passes, 1);
        }
        for (question, expected) in QUESTIONS.iter().zip(&expected.value) {
            let alone: DataFrame = Runner::new().compute(frame.ask(question).unwrap()).unwrap();
            assert_eq!(
                shown_with_one_nan(expected),
                shown_with_one_nan(&alone),
                "{question} alone, seed {seed} round {round}"
            );
        }
    }
}

/// A condition on one column, or on two.
fn predicate(random: &mut Random, depth: usize) -> String {
    if depth > 0 && random.one_in(2) {
        let (a, b) = (predicate(random, depth - 1), predicate(random, depth - 1));
        return format!("({a}) {} ({b})", ["and", "or", "and"][random.below(3)]);
    }
    let op = ["=", "<", "<=", ">", ">=", "<>"][random.below(6)];
    let integer = random.below(2600);
    match random.below(14) {
        0 => format!("i {op} {integer}"),
        1 => format!("{integer} {op} i"),
        2 => format!("i {op} {integer}.5"),
        3 => format!("x {op} {}", (integer as f64 - 500.0) / 8.0),
        4 => format!("x {op} 0"),
        5 => format!("t {op} 'text number {integer:06}'"),
        6 => format!("k {op} '{}'", ["AA", "WN", "nobody", "", "a longer carrier name"][random.below(5)]),
        7 => format!("i in ({integer}, {}, -1)", integer + 7),
        8 => "k in ('WN', 'nobody')".to_owned(),
        9 => format!("{} is {}null", ["i", "x", "t", "b"][random.below(4)], ["", "not "][random.below(2)]),
        10 => format!("i between {integer} and {}", integer + random.below(100)),
        11 => ["b", "not b", "b = true"][random.below(3)].to_owned(),
        12 => format!("d {op} date '{}'", ["1997-05-19", "1997-10-01", "1998-01-15"][random.below(3)]),
        _ => format!("t in ('text number {integer:06}', 'text number 000001')"),
    }
}

/// Filters that say what they want and filters that hide it give the same rows.
#[test]
fn what_is_pruned_holds_no_row_that_passes() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let mut pruned = 0;
    for round in 0..25 {
        let mut random = Random::new(seed.wrapping_add(round));
        let folder = tempfile::tempdir().unwrap();
        let rows = Rows::random(&mut random, 2500);
        let path = folder.path().join("a.parquet");
        write(&path, &rows.batch(), properties(&mut random).build());
        let frame = scan_parquet([&path]).unwrap();
        for _ in 0..12 {
            let where_ = predicate(&mut random, 2);
            // A case is not looked into.
            let open = frame.ask(&format!("* where {where_}")).unwrap();
            let hidden = frame.ask(&format!("* where case when {where_} then 1 else 0 end = 1")).unwrap();
            let open: Run<DataFrame> = Runner::new().threads(2).run(open).unwrap();
            let hidden: Run<DataFrame> = Runner::new().threads(1).run(hidden).unwrap();
            assert_eq!(
                shown_with_one_nan(&hidden.value),
                shown_with_one_nan(&open.value),
                "{where_}\nseed {seed} round {round}"
            );
            assert_eq!(hidden.statistics.records_read, 2500);
            pruned += 2500 - open.statistics.records_read;
        }
    }
    assert!(pruned > 50_000, "only {pruned} rows were pruned");
}

fn rising(folder: &Path, rows: usize, properties: WriterProperties) -> PathBuf {
    let mut random = Random::new(7);
    let path = folder.join("rising.parquet");
    write(&path, &Rows::random(&mut random, rows).batch(), properties);
    path
}

#[test]
fn only_the_chunks_of_columns_in_question_are_read_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        rising(folder.path(), 20_000, WriterProperties::builder().set_max_row_group_row_count(Some(4000)).build());
    let frame = scan_parquet([&path]).unwrap();
    let frames = vec![frame.ask("sum(i)").unwrap(), frame.ask("max(i), count(*) as n").unwrap()];
    let run: Run<Vec<DataFrame>> = Runner::new().threads(2).run(frames).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    let footer = footer_bytes(&path);
    assert!(run.statistics.bytes_stored < length / 4, "one column of six");
    assert_eq!(run.statistics.bytes_read, run.statistics.bytes_stored + footer);
    assert_eq!((run.statistics.passes, run.statistics.records_read), (1, 20_000));
    let again: Run<Value> = Runner::new().run(frame.count()).unwrap();
    assert_eq!((again.value, again.statistics.bytes_read), (Value::Int64(20_000), 0), "the footer knows");
}

/// What opening reads: the footer, and its length and the magic twice.
fn footer_bytes(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let length: [u8; 4] = bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap();
    u64::from(u32::from_le_bytes(length)) + 16
}

#[test]
fn one_giant_row_group_is_shared_by_workers_and_its_bytes_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let integers = Int64Array::from_iter_values((0..400_000).map(|row| row * 7919 % 100_003));
    let schema = Arc::new(Schema::new(vec![Field::new("i", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(integers)]).unwrap();
    let path = folder.path().join("giant.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let frame = scan_parquet([&path]).unwrap();
    let expected: i64 = (0..400_000_i64).map(|row| row * 7919 % 100_003).sum();
    let run: Run<Value> = Runner::new().threads(3).run(frame.sum("i")).unwrap();
    assert_eq!(run.value, Value::Int64(expected));
    assert!(run.statistics.partitions > 3);
    assert_eq!(run.statistics.bytes_read, run.statistics.bytes_stored + footer_bytes(&path));
    // Ties and order are those of the file, whoever reads it.
    let first: DataFrame = Runner::new().threads(3).compute(frame.ask("i sort i desc limit 5").unwrap()).unwrap();
    let alone: DataFrame = Runner::new().threads(1).compute(frame.ask("i sort i desc limit 5").unwrap()).unwrap();
    assert_eq!(shown_with_one_nan(&first), shown_with_one_nan(&alone));
}

#[test]
fn a_selective_filter_reads_little_of_the_other_columns() {
    let folder = tempfile::tempdir().unwrap();
    let pages = WriterProperties::builder()
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(50)
        .set_dictionary_enabled(false)
        .build();
    let path = rising(folder.path(), 30_000, pages);
    let frame = scan_parquet([&path]).unwrap();
    let run: Run<DataFrame> = Runner::new().run(frame.ask("t, x where i between 15000 and 15010").unwrap()).unwrap();
    assert!(run.value.rows() > 0);
    assert!(run.statistics.records_read < 3000, "{} rows of some pages", run.statistics.records_read);
    assert!(run.statistics.bytes_read < run.statistics.bytes_stored / 4, "{:?}", run.statistics);
}

#[test]
fn damage_stops_only_those_who_read_it_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2000)).build();
    let path = rising(folder.path(), 6000, properties);
    let clean = scan_parquet([&path]).unwrap();
    let (sum, head) = (clean.ask("sum(i)").unwrap(), clean.ask("t limit 1500").unwrap());
    let expected = [sum.collect().unwrap(), head.collect().unwrap()].map(|frame| shown_with_one_nan(&frame));
    // A byte within the chunk of `t` in row group 1.
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&std::fs::File::open(&path).unwrap())
        .unwrap();
    let (start, length) = metadata.row_group(1).column(3).byte_range();
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[(start + length / 2) as usize..][..20] {
        *byte ^= 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    for (threads, batch) in [(1, 1), (3, 1), (2, 1 << 18)] {
        let runner = Runner::new().threads(threads).batch_bytes(batch).piece_bytes(batch);
        let frame = scan_parquet([&path]).unwrap();
        let both = vec![frame.ask("sum(i)").unwrap(), frame.ask("t limit 1500").unwrap()];
        let found: Vec<DataFrame> = runner.compute(both).unwrap();
        assert_eq!(
            expected.to_vec(),
            found.iter().map(shown_with_one_nan).collect::<Vec<_>>(),
            "threads {threads} batch {batch}"
        );
        let error = runner.compute::<_, DataFrame>(frame.ask("max(t)").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.message().starts_with("row group 1 cannot be read"), "{error}");
        assert_eq!(error.place().file.as_deref(), path.to_str());
        assert_eq!((error.place().column.as_deref(), error.place().record), (Some("t"), Some(2001)));
    }
}

#[test]
fn every_truncation_and_many_flipped_bits_end_in_an_error_or_an_answer() {
    let seed = Random::seed_of_run();
    println!("OUTCROP_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = rising(folder.path(), 300, properties(&mut random).set_max_row_group_row_count(Some(100)).build());
    let bytes = std::fs::read(&path).unwrap();
    let ask = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let frame = scan_parquet([&path])?.ask("*")?;
        let found = Runner::new().threads(1).compute::<_, DataFrame>(frame);
        found.inspect_err(|error| assert!(error.place().file.is_some(), "{error}"))
    };
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
        let error = ask(&bytes[..length]).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
    }
    for _ in 0..400 {
        let mut damaged = bytes.clone();
        let footer = footer_bytes(&path).min(bytes.len() as u64) as usize;
        let from = if random.one_in(2) { bytes.len() - footer.min(bytes.len()) } else { 0 };
        let at = from + random.below(bytes.len() - from);
        damaged[at] ^= 1 << random.below(8);
        if let Err(error) = ask(&damaged) {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}, seed {seed}, byte {at}");
        }
    }
}

#[test]
fn files_are_matched_by_name_and_types_widen() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let path = folder.path().join(name);
        write(&path, &RecordBatch::try_from_iter(columns).unwrap(), WriterProperties::default());
        path
    };
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let one = file("1.parquet", vec![("a", integers.clone()), ("b", texts.clone())]);
    let two = file("2.parquet", vec![("b", texts.slice(1, 1)), ("a", doubles)]);
    let frame = scan_parquet([&one, &two]).unwrap().ask("sum(a), max(b), first(a), last(a)").unwrap();
    let answer = frame.collect().unwrap();
    let first = answer.batches().next().unwrap().unwrap();
    let row: Vec<Value> = (0..4).map(|at| Value::of(first.column(at), 0).unwrap()).collect();
    assert_eq!(row, [Value::Float64(3.5), Value::Utf8("y".into()), Value::Float64(1.0), Value::Float64(0.5)]);
    let three = file("3.parquet", vec![("a", texts.clone()), ("b", texts.clone())]);
    let apart = scan_parquet([&one, &three]).unwrap();
    let error = apart.ask("count(a)").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("column `a` is Int64 in") && error.message().contains("and Utf8 in"), "{error}");
    assert_eq!(apart.ask("count(b) as n").unwrap().collect().unwrap().value(0, "n").unwrap(), Value::Int64(4));
    let four = file("4.parquet", vec![("a", integers)]);
    let error = scan_parquet([&one, &four]).unwrap_err();
    assert!(error.message().contains("the column `b` of"), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("--columns union")), "{error}");
}

fn parquet(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let path = folder.join(name);
    write(&path, &RecordBatch::try_from_iter(columns).unwrap(), WriterProperties::default());
    path
}

fn row(frame: &LazyFrame, question: &str) -> Vec<Value> {
    let answer = frame.ask(question).unwrap().collect().unwrap();
    let first = answer.batches().next().unwrap().unwrap();
    first.columns().iter().map(|column| Value::of(column, 0).unwrap()).collect()
}

#[test]
fn a_column_without_values_in_one_file_takes_the_type_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let one = parquet(folder.path(), "1.parquet", vec![("a", texts), ("k", keys.clone())]);
    let two = parquet(folder.path(), "2.parquet", vec![("a", numbers), ("k", keys)]);
    for files in [[&one, &two], [&two, &one]] {
        let frame = scan_parquet(files).unwrap();
        assert_eq!(row(&frame, "sum(a) as s, count(a) as n, count(*) as r"), [3, 1, 4].map(Value::Int64));
        assert_eq!(row(&frame, "count(*) as n where a > 2"), [Value::Int64(1)]);
        assert_eq!(row(&frame, "count(*) as n, sum(k) as s where a is null"), [Value::Int64(3), Value::Int64(5)]);
    }
}

#[test]
fn integers_become_doubles_only_where_that_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let inexact = (1_i64 << 53) + 1;
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 1 << 53, inexact]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let one = parquet(folder.path(), "1.parquet", vec![("a", integers)]);
    let two = parquet(folder.path(), "2.parquet", vec![("a", doubles)]);
    let frame = scan_parquet([&one, &two]).unwrap();
    assert_eq!(row(&frame, "count(*) as n"), [Value::Int64(4)]);
    for question in ["sum(a)", "count(*) as n where a < 0.7"] {
        let error = frame.ask(question).unwrap().collect().unwrap_err();
        assert_eq!((error.kind(), error.place().record), (ErrorKind::Value, Some(3)), "{question}: {error}");
        assert_eq!(error.place().value.as_deref(), Some("9007199254740993"));
    }
}

#[test]
fn columns_that_some_files_lack_follow_the_policy_and_are_null_there() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![3, 4]));
    let one = parquet(folder.path(), "1.parquet", vec![("a", numbers.clone())]);
    let two = parquet(folder.path(), "2.parquet", vec![("b", numbers.clone()), ("a", numbers)]);
    let open = |policy| ParquetScan::new([&one, &two]).columns(policy).open().unwrap();
    let union = open(ColumnPolicy::Union);
    assert_eq!(row(&union, "sum(a) as a, sum(b) as b, count(*) as n"), [14, 7, 4].map(Value::Int64));
    assert_eq!(row(&union, "sum(a) as a, count(*) as n where b is null"), [7, 2].map(Value::Int64));
    assert_eq!(row(&union, "count(b) as n, sum(a) as a where b > 3"), [1, 4].map(Value::Int64));
    assert_eq!(row(&union, "b, a limit 1"), [Value::Null, Value::Int64(3)]);
    let fill = open(ColumnPolicy::Fill);
    let run: Run<DataFrame> = Runner::new().run(fill.ask("*").unwrap()).unwrap();
    assert_eq!((run.value.schema().fields().len(), run.value.rows()), (1, 4));
    assert!(run.warnings.iter().any(|warning| warning.to_string().contains("the column `b` is not in")));
}

/// Where the values of a column stand that are damaged, and the file.
fn with_a_damaged_page(folder: &Path, index: bool) -> PathBuf {
    let path = folder.join(format!("damaged_{index}.parquet"));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..4000).map(|at| format!("text {at:05}"))));
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4000));
    let batch = RecordBatch::try_from_iter([("t", texts), ("i", keys)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(500)
        .set_offset_index_disabled(!index)
        .set_max_row_group_row_count(Some(2000));
    write(&path, &batch, properties.build());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(10).position(|window| window == b"text 01234").unwrap();
    bytes[at] = 0xFF;
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn damage_hurts_the_questions_that_need_its_rows_alone_and_in_company() {
    let folder = tempfile::tempdir().unwrap();
    for index in [true, false] {
        let frame = scan_parquet([with_a_damaged_page(folder.path(), index)]).unwrap();
        let sound = [
            "count(*) as n, max(t) as m where t > 'text 03000'",
            "max(t) as m where i = 1235",
            "count(t) as n where i <> 1234",
            "count(t) as n where i < 1234",
            "count(*) as n where i = 1234",
            "t where i >= 1230 limit 4",
        ];
        let broken = ["max(t)", "t where i = 1234", "i where t = 'text 01234'", "count(t) where i < 1500"];
        for (threads, size) in [(1, 1 << 20), (3, 1), (2, 9000)] {
            let runner = Runner::new().threads(threads).batch_bytes(size).piece_bytes(size);
            let ask = |question: &str| frame.ask(question).unwrap();
            let alone: Vec<String> =
                sound.iter().map(|question| shown(&runner.compute::<_, DataFrame>(ask(question)).unwrap())).collect();
            let company: Vec<DataFrame> = runner.compute(sound.iter().map(|one| ask(one)).collect::<Vec<_>>()).unwrap();
            assert_eq!(alone, company.iter().map(shown).collect::<Vec<_>>(), "index {index} threads {threads}");
            let everyone = vec![ask(sound[0]), ask("count(*) as n"), ask("sum(i) as s"), ask("t limit 1000")];
            assert_eq!(shown(&runner.compute::<_, Vec<DataFrame>>(everyone).unwrap()[0]), alone[0]);
            for question in broken {
                let error = runner.compute::<_, DataFrame>(ask(question)).unwrap_err();
                let place = (error.kind(), error.place().record, error.place().column.as_deref());
                assert_eq!(place, (ErrorKind::Malformed, Some(1235), Some("t")), "{question}: {error}");
                let both = runner.compute::<_, Vec<DataFrame>>(vec![ask(sound[0]), ask(question)]).unwrap_err();
                assert_eq!(error.to_string(), both.to_string());
            }
        }
    }
}

/// In a build without checks of arithmetic, the decoder may ask for more memory than there is, which ends the process.
#[test]
fn a_damaged_length_hides_the_rows_behind_it_on_its_page_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lengths.parquet");
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..4000).map(|at| format!("text {at:05}"))));
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4000));
    let batch = RecordBatch::try_from_iter([("t", texts), ("i", keys)]).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_row_count_limit(500);
    write(&path, &batch, properties.build());
    let mut bytes = std::fs::read(&path).unwrap();
    let text = bytes.windows(10).position(|window| window == b"text 01234").unwrap();
    bytes[text - 2] = 0xFF;
    std::fs::write(&path, bytes).unwrap();
    let frame = scan_parquet([&path]).unwrap();
    for (threads, size) in [(1, 1 << 20), (3, 1), (2, 9000)] {
        let runner = Runner::new().threads(threads).batch_bytes(size).piece_bytes(size);
        let ask = |question: &str| runner.compute::<_, DataFrame>(frame.ask(question).unwrap());
        let sound = ask("count(t) as n, max(t) as m where i < 1234 or i >= 1500").unwrap();
        assert_eq!(sound.value(0, "n").unwrap(), Value::Int64(3734));
        for (question, record) in [("max(t)", 1235), ("t where i = 1235", 1236), ("t where i > 1400", 1402)] {
            let error = ask(question).unwrap_err();
            assert_eq!((error.kind(), error.place().record), (ErrorKind::Malformed, Some(record)), "{error}");
        }
    }
}

/// A column of fixed width, of which each value would have so many bytes, and has none.
fn nulls_of_width(folder: &Path, width: u32) -> PathBuf {
    let path = folder.join(format!("nulls_{width}.parquet"));
    let schema = format!("message m {{ optional fixed_len_byte_array({width}) x; required int64 i; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<FixedLenByteArrayType>().write_batch(&[], Some(&[0; 3000]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&(0..3000).collect::<Vec<_>>(), None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn nulls_of_a_monstrous_width_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (width, refused) in [(16, false), (2_000_000_000, true)] {
        let frame = scan_parquet([nulls_of_width(folder.path(), width)]).unwrap();
        let ask = |question: &str| compute::<_, DataFrame>(frame.ask(question).unwrap());
        assert_eq!(ask("sum(i) as n").unwrap().value(0, "n").unwrap(), Value::Int64(4_498_500));
        match ask("count(x) as n") {
            Ok(found) => assert_eq!((found.value(0, "n").unwrap(), refused), (Value::Int64(0), false)),
            Err(error) => assert!(refused, "{error}"),
        }
    }
}

#[test]
fn damaged_codes_hurt_the_same_rows_whatever_the_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("codes.parquet");
    // A run of one text in the middle of others: the length of the run, then its code.
    let text =
        |row: usize| if (6000..9000).contains(&row) { "run".to_owned() } else { format!("text {}", row * 7 % 11) };
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..20_000).map(text)));
    let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let batch = RecordBatch::try_from_iter_with_nullable([("t", texts, false), ("i", rows, false)]).unwrap();
    let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let code = bytes.windows(3).position(|window| window == [0xF0, 0x2E, 11]).unwrap() + 2;
    bytes[code] = 0x7F;
    std::fs::write(&path, bytes).unwrap();
    let frame = scan_parquet([&path]).unwrap();
    for question in ["max(t)", "count(*) by t", "t where i >= 5000 limit 2000", "count(t) where i % 3 = 1"] {
        let asked = |size: usize| {
            let runner = Runner::new().threads(2).batch_bytes(size).piece_bytes(size);
            runner.compute::<_, DataFrame>(frame.ask(question).unwrap()).unwrap_err().to_string()
        };
        let expected = asked(1 << 20);
        assert!(expected.contains("record 600"), "{expected}");
        for size in [1, 9000, 40_000, 100_000] {
            assert_eq!(asked(size), expected, "{question}, batches of {size} bytes");
        }
    }
}

#[test]
fn a_question_whose_statistics_rule_damage_out_is_not_hurt_by_one_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let frame = scan_parquet([with_a_damaged_page(folder.path(), true)]).unwrap();
    // Without limit, the second would fail; together they read the damaged page, and the first filters by it.
    let questions =
        vec![frame.ask("count(*) as n where t > 'text 03000'").unwrap(), frame.ask("t limit 1234").unwrap()];
    for threads in [1, 3] {
        let runner = Runner::new().threads(threads).piece_bytes(1 << 20).batch_bytes(1 << 20);
        let found: Run<Vec<DataFrame>> = runner.run(questions.clone()).unwrap();
        assert_eq!(found.value[0].value(0, "n").unwrap(), Value::Int64(999));
        assert_eq!(found.value[1].rows(), 1234);
        assert_eq!(found.statistics.passes, 2, "the first is asked again, alone");
    }
}

/// A footer in which a column chunk has a key.
fn encrypt_in_footer(path: &Path, column: usize) {
    fn varint(value: i64, out: &mut Vec<u8>) {
        let mut rest = (value << 1) as u64;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&std::fs::File::open(path).unwrap())
        .unwrap();
    let chunk = metadata.row_group(0).column(column);
    let mut end = Vec::new();
    for (kind, value) in [
        (0x16, chunk.offset_index_offset().unwrap()),
        (0x15, i64::from(chunk.offset_index_length().unwrap())),
        (0x16, chunk.column_index_offset().unwrap()),
        (0x15, i64::from(chunk.column_index_length().unwrap())),
    ] {
        end.push(kind);
        varint(value, &mut end);
    }
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(end.len()).rposition(|window| window == end).unwrap() + end.len();
    bytes.splice(at..at, [0x1C, 0x1C, 0x00, 0x00]);
    let length = bytes.len() - 8;
    let footer = u32::from_le_bytes(bytes[length..length + 4].try_into().unwrap()) + 4;
    bytes[length..length + 4].copy_from_slice(&footer.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_encrypted_column_is_refused_by_name_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![3, 4]));
    let path =
        parquet(folder.path(), "e.parquet", vec![("a", numbers.clone()), ("x", numbers.clone()), ("b", numbers)]);
    encrypt_in_footer(&path, 1);
    let frame = scan_parquet([&path]).unwrap();
    assert_eq!(row(&frame, "sum(a) as a, sum(b) as b"), [7, 7].map(Value::Int64));
    let error = frame.ask("sum(x)").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, "not supported: column `x` is encrypted"));
}

#[test]
fn an_integer_beyond_int64_fails_only_the_questions_that_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u.parquet");
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![Some(5), None, Some(u64::MAX), Some(7)]));
    let small: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let batch = RecordBatch::try_from_iter([("u", large), ("i", small)]).unwrap();
    write(&path, &batch, WriterProperties::default());
    let frame = scan_parquet([&path]).unwrap();
    assert_eq!(Runner::new().compute::<_, Value>(frame.sum("i")).unwrap(), Value::Int64(10));
    // The last is true of no row, but asks every row for `u`.
    for question in ["sum(u)", "i where u > 6", "sum(u) where i > 2", "i where u > 6 and i > 100"] {
        let error = frame.ask(question).unwrap().collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{question}: {error}");
        let place = error.place();
        assert_eq!((place.record, place.column.as_deref()), (Some(3), Some("u")), "{error}");
        assert_eq!(place.value.as_deref(), Some("18446744073709551615"));
    }
    let error = frame.head(10).collect().unwrap_err().to_string();
    assert!(error.contains("row 3") || error.contains("record 3"), "{error}");
    assert!(error.contains("name the columns wanted, without `u`"), "{error}");
    assert_eq!(frame.ask("i limit 10").unwrap().collect().unwrap().rows(), 4);
    let found = frame.ask("sum(u) where i <> 3").unwrap().collect().unwrap();
    assert_eq!(found.value(0, "sum(u)").unwrap(), Value::Int64(12), "the row is turned away first");
}

#[test]
fn a_condition_that_may_fail_is_asked_before_what_stands_behind_it_prunes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zero.parquet");
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![3, 0, 1]));
    write(&path, &RecordBatch::try_from_iter([("i", integers)]).unwrap(), WriterProperties::default());
    let frame = scan_parquet([&path]).unwrap();
    let error = frame.ask("i where 10 // i > 0 and i > 100").unwrap().collect().unwrap_err();
    assert_eq!((error.kind(), error.place().record), (ErrorKind::Arithmetic, Some(2)));
    assert_eq!(frame.ask("i where i > 100 and 10 // i > 0").unwrap().collect().unwrap().rows(), 0);
}

#[test]
fn a_null_in_a_condition_settles_it_so_that_pruning_hides_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let a: ArrayRef = Arc::new(Int64Array::from(vec![None, None, Some(1), Some(1)]));
    let b: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("a", a), ("b", b)]).unwrap();
    for rows in [2, 4] {
        let path = folder.path().join(format!("groups_of_{rows}.parquet"));
        write(&path, &batch, WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build());
        for question in [
            "count() as n where a = 1 and b + 1 > 0",
            "count() as n where a is not null and a = 1 and (b + 1 > 0 and a < 5)",
            "count() as n where a > 0 and a = 1 and b + 1 > 0",
        ] {
            let frame = scan_parquet([&path]).unwrap();
            let found = frame.ask(question).unwrap().collect().unwrap();
            assert_eq!(found.value(0, "n").unwrap(), Value::Int64(2), "{question}, row groups of {rows} rows");
        }
    }
}

#[test]
fn fields_of_structs_are_columns_and_lists_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.parquet");
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    // The field itself is never null.
    let field = Arc::new(Field::new("b", DataType::Int64, false));
    let nulls = outcrop::arrow::buffer::NullBuffer::from(vec![true, false, true]);
    let outer: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![inner], Some(nulls)));
    let mut lists = outcrop::arrow::array::ListBuilder::new(outcrop::arrow::array::Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([]);
    let lists: ArrayRef = Arc::new(lists.finish());
    let batch = RecordBatch::try_from_iter([("a", outer), ("l", lists)]).unwrap();
    write(&path, &batch, WriterProperties::default());
    let frame = scan_parquet([&path]).unwrap();
    let found = frame.collect().unwrap();
    let column = |name: &str| (0..3).map(|row| found.value(row, name).unwrap()).collect::<Vec<_>>();
    assert_eq!(column("a.b"), [Value::Int64(1), Value::Null, Value::Int64(3)]);
    assert_eq!(column("l.length"), [Value::Int64(2), Value::Null, Value::Int64(0)]);
    let error = frame.ask("count(l)").and_then(|frame| frame.collect()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, "not supported: column `l` is a list"));
}

#[test]
fn a_csv_is_no_parquet_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "a,b\n1,2\n3,4\n5,6\n").unwrap();
    assert!(scan_csv([&path]).is_ok());
    let error = scan_parquet([&path]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    let encrypted = folder.path().join("e.parquet");
    std::fs::write(&encrypted, b"PARE....\0\0\0\0PARE").unwrap();
    assert_eq!(scan_parquet([&encrypted]).unwrap_err().kind(), ErrorKind::Unsupported);
}
