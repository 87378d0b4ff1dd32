//! What is written reads back the same, is the same however it was written, and is whole or not there.

mod common;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use common::{Random, compress, random_csv};
use outcrop::error::ErrorKind;
use outcrop::frame::scan_parquet;
use outcrop::frame::{CsvScan, LazyFrame, Runner, Write};
use outcrop::source::memory::MemorySource;
use outcrop::types::ColumnType;
use outcrop::write::{Codec, FileFormat, Target, WriteOptions};
use outcrop::{col, lit, scan_csv};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

fn frame(batches: Vec<RecordBatch>) -> LazyFrame {
    LazyFrame::from_source(Arc::new(MemorySource::new(batches[0].schema(), batches)))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// One batch of the types that questions have, for comparisons.
fn whole(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    let whole = concat_batches(schema, batches).unwrap();
    let columns = whole.columns().iter().zip(schema.fields()).map(|(array, field)| {
        let array = match array.data_type() {
            DataType::Utf8 => cast(array, &DataType::Utf8View).unwrap(),
            _ => Arc::clone(array),
        };
        (field.name().clone(), array, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn collected(frame: &LazyFrame) -> RecordBatch {
    let answer = frame.collect().unwrap();
    whole(answer.schema(), &answer.batches().collect::<outcrop::Result<Vec<_>>>().unwrap())
}

fn read_parquet(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    whole(&schema, &batches)
}

fn read_ipc(path: &Path) -> RecordBatch {
    let reader = arrow::ipc::reader::FileReader::try_new(File::open(path).unwrap(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    whole(&schema, &batches)
}

/// Values in order, doubles by their bits.
fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let column = |array: &ArrayRef| -> Vec<String> {
        let bits = array.as_any().downcast_ref::<Float64Array>();
        let text = cast(array, &DataType::Utf8).unwrap();
        let text = text.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        let value = |row: usize| match bits {
            Some(doubles) if doubles.value(row).is_nan() => "NaN".to_string(),
            Some(doubles) => doubles.value(row).to_bits().to_string(),
            None => format!("{:?}", text.value(row)),
        };
        let missing = |row: usize| array.logical_nulls().is_some_and(|nulls| nulls.is_null(row));
        (0..array.len()).map(|row| if missing(row) { "null".into() } else { value(row) }).collect()
    };
    batch.columns().iter().map(column).collect()
}

fn types(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

#[track_caller]
fn assert_same(written: &RecordBatch, read: &RecordBatch) {
    assert_eq!(types(written), types(read));
    assert_eq!(shown(written), shown(read));
}

/// Every type with its extremes, and texts made to be misread.
fn awkward(random: &mut Random, rows: usize) -> RecordBatch {
    const TEXTS: [&str; 16] = [
        "NA",
        "",
        "plain",
        "a,b",
        "say \"hi\"",
        "two\nlines",
        "\r\n",
        " padded ",
        "#comment",
        "\u{feff}bom",
        "\"",
        ";|\t",
        "null",
        "caf\u{e9}",
        "NULL",
        "a text that is longer than what fits into a view of its own",
    ];
    let day = |random: &mut Random| random.below(3_652_425) as i64 - 719_528;
    let mut cell = |rows: usize, value: &mut dyn FnMut(&mut Random)| {
        for _ in 0..rows {
            value(random);
        }
    };
    let (mut texts, mut integers, mut doubles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut truths, mut days, mut times) = (Vec::new(), Vec::new(), Vec::new());
    cell(rows, &mut |random| {
        texts.push((!random.one_in(6)).then(|| TEXTS[random.below(TEXTS.len())]));
        integers.push((!random.one_in(6)).then(|| match random.below(4) {
            0 => i64::MIN,
            1 => i64::MAX,
            _ => random.next() as i64 >> random.below(64),
        }));
        doubles.push((!random.one_in(6)).then(|| match random.below(8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => f64::from_bits(1 + random.next() % 1000),
            5 => f64::MAX,
            _ => f64::from_bits(random.next() & 0x7FEF_FFFF_FFFF_FFFF),
        }));
        truths.push((!random.one_in(6)).then(|| random.one_in(2)));
        days.push((!random.one_in(6)).then(|| day(random) as i32));
        times.push((!random.one_in(6)).then(|| {
            let fraction = [0, 500_000, 1, 86_399_999_999][random.below(4)];
            day(random) * 86_400_000_000 + fraction
        }));
    });
    // Types are told by values: one of each that is no other.
    (texts[0], integers[0], doubles[0], truths[0]) = (Some("text"), Some(1), Some(0.5), Some(true));
    (days[0], times[0]) = (Some(0), Some(1));
    table(vec![
        ("a, \"text\"", Arc::new(StringViewArray::from(texts))),
        (" i ", Arc::new(Int64Array::from(integers))),
        ("#x", Arc::new(Float64Array::from(doubles))),
        ("b", Arc::new(BooleanArray::from(truths))),
        ("d", Arc::new(Date32Array::from(days))),
        ("t", Arc::new(TimestampMicrosecondArray::from(times))),
        ("nothing", Arc::new(NullArray::new(rows))),
    ])
}

#[test]
fn every_format_reads_back_exactly() {
    let seed = Random::seed_of_run();
    eprintln!("OUTCROP_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for round in 0..20 {
        let rows = 1 + random.below(400);
        let batch = awkward(&mut random, rows);
        let cut = random.below(rows);
        let written = frame(vec![batch.slice(0, cut), batch.slice(cut, rows - cut)]);
        for (name, delimiter, null) in
            [("a.csv", b',', ""), ("a.tsv", b'\t', "NA"), ("b.csv", b';', "NULL"), ("c.csv", b'|', "\\N")]
        {
            let options = WriteOptions::new(FileFormat::Csv).delimiter(delimiter).null(null).sync(false);
            Runner::new().write(&written, path(name), options).unwrap();
            let tokens = if null.is_empty() { vec!["", "NA"] } else { vec![null] };
            let scan = CsvScan::new(path(name)).delimiter(delimiter).null_tokens(tokens);
            assert_same(&batch, &collected(&scan.open().unwrap()));
        }
        for codec in [Codec::Zstd, Codec::Snappy, Codec::Gzip, Codec::Lz4, Codec::Brotli, Codec::None] {
            let options = WriteOptions::new(FileFormat::Parquet).compression(codec).row_group_rows(100).sync(false);
            let options = options.bloom_filters([" i ", "a, \"text\""]);
            Runner::new().write(&written, path("a.parquet"), options).unwrap();
            assert_same(&batch, &read_parquet(&path("a.parquet")));
            assert_same(&batch, &collected(&scan_parquet(path("a.parquet")).unwrap()));
        }
        // A columnar file as the input of a pass that writes.
        scan_parquet(path("a.parquet")).unwrap().write_ipc(path("again.arrow")).unwrap();
        assert_same(&batch, &read_ipc(&path("again.arrow")));
        for codec in [Codec::None, Codec::Zstd, Codec::Lz4] {
            let options = WriteOptions::new(FileFormat::Ipc).compression(codec).sync(false);
            Runner::new().write(&written, path("a.arrow"), options).unwrap();
            assert_same(&batch, &read_ipc(&path("a.arrow")));
        }
        written.write_ndjson(path("a.ndjson")).unwrap();
        let lines = std::fs::read_to_string(path("a.ndjson")).unwrap();
        let texts = shown(&batch);
        assert_eq!(lines.lines().count(), rows, "round {round}");
        for (row, line) in lines.lines().enumerate() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = object["a, \"text\""].as_str().map_or("null".into(), |text| format!("{text:?}"));
            assert_eq!(text, texts[0][row]);
            assert_eq!(object[" i "].as_i64().map_or("null".into(), |number| format!("\"{number}\"")), texts[1][row]);
        }
    }
}

#[test]
fn no_rows_are_a_header_or_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let none = frame(vec![awkward(&mut Random::new(1), 5)]).filter(lit(false));
    none.write_csv(path("a.csv.gz")).unwrap();
    assert_eq!(scan_csv(path("a.csv.gz")).unwrap().schema().unwrap().fields().len(), 7);
    none.write_parquet(path("a.parquet")).unwrap();
    assert_eq!(read_parquet(&path("a.parquet")).num_rows(), 0);
    none.write_ipc(path("a.arrow")).unwrap();
    assert_eq!(read_ipc(&path("a.arrow")).num_columns(), 7);
    none.write_ndjson(path("a.ndjson")).unwrap();
    assert_eq!(std::fs::read(path("a.ndjson")).unwrap(), b"");
    for (format, name) in [(FileFormat::Csv, "csv"), (FileFormat::Parquet, "parquet"), (FileFormat::Ipc, "arrow")] {
        let options = WriteOptions::new(format).partition_by(["b"]);
        assert_eq!(Runner::new().write(&none, path(name), options).unwrap().value.files, 1);
        let read = outcrop::scan(path(name)).unwrap();
        assert_eq!(read.collect().unwrap().rows(), 0);
        let names: Vec<String> = read.schema().unwrap().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["a, \"text\"", " i ", "#x", "d", "t", "nothing", "b"], "{format:?}");
        if format != FileFormat::Csv {
            assert_eq!(read.schema().unwrap().field(6).data_type(), &DataType::Boolean);
        }
    }
}

#[test]
fn compressed_text_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut random = Random::new(7);
    std::fs::write(path("in.csv"), random_csv(&mut random, 3000)).unwrap();
    let all = scan_csv(path("in.csv")).unwrap();
    all.write_csv(path("plain.csv")).unwrap();
    let plain = std::fs::read(path("plain.csv")).unwrap();
    for ending in ["gz", "zst", "bz2", "xz", "lz4"] {
        let name = path(&format!("a.csv.{ending}"));
        all.write_csv(&name).unwrap();
        let stored = std::fs::read(&name).unwrap();
        let mut text = Vec::new();
        match ending {
            "gz" => flate2::read::MultiGzDecoder::new(&stored[..]).read_to_end(&mut text).unwrap(),
            "zst" => zstd::Decoder::new(&stored[..]).unwrap().read_to_end(&mut text).unwrap(),
            "bz2" => bzip2::read::MultiBzDecoder::new(&stored[..]).read_to_end(&mut text).unwrap(),
            "xz" => liblzma::read::XzDecoder::new_multi_decoder(&stored[..]).read_to_end(&mut text).unwrap(),
            _ => {
                // One frame for the header, one for the rows.
                let mut frames = &stored[..];
                while !frames.is_empty() {
                    let mut decoder = lz4_flex::frame::FrameDecoder::new(&mut frames);
                    decoder.read_to_end(&mut text).unwrap();
                }
                text.len()
            }
        };
        assert!(text == plain, "{ending}");
        assert!(stored.len() < plain.len(), "{ending}");
    }
}

/// Names and bytes of all files in a folder.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn the_bytes_do_not_depend_on_threads_partitions_and_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(11);
    let mut inputs = Vec::new();
    for number in 0..3 {
        let ending = ["csv", "csv.bz2", "csv.gz"][number];
        let path = folder.path().join(format!("{number}.{ending}"));
        let text = random_csv(&mut random, 400);
        std::fs::write(&path, compress(&text, ending, &mut random)).unwrap();
        inputs.push(path);
    }
    let all = scan_csv(inputs).unwrap();
    let some = all.filter(col("i").gt(lit(0)));
    let sorted = all.sort_descending(["i"]);
    let parquet = || WriteOptions::new(FileFormat::Parquet).row_group_rows(177).bloom_filters(["k"]);
    // So small a buffer makes many epochs, and `i` has more values than files may be open.
    let folders = |options: WriteOptions| options.partition_by(["i", "k"]).partition_buffer_bytes(20_000);
    let write = |runner: Runner, out: &Path| {
        let target = |name: &str| Target::Path(out.join(name));
        let writes = [
            Write::new(&all, target("all.parquet"), parquet()),
            Write::new(&some, target("some.csv.zst"), WriteOptions::of_file_name("a.csv.zst").unwrap()),
            Write::new(&sorted, target("sorted.arrow"), WriteOptions::new(FileFormat::Ipc)),
            Write::new(&all.limit(100), target("limit.ndjson"), WriteOptions::new(FileFormat::Ndjson)),
            Write::new(&all, target("folders"), folders(WriteOptions::new(FileFormat::Csv).compression(Codec::Gzip))),
            Write::new(&all.limit(400), target("arrow"), folders(WriteOptions::new(FileFormat::Ipc))),
            Write::new(&all.limit(300), target("single"), folders(parquet()).row_group_rows(1)),
            Write::new(&some, target("by-date"), parquet().partition_by(["b"])),
        ];
        let run = runner.write_all(&writes).unwrap();
        assert_eq!(run.statistics.rows_written, run.value.iter().map(|written| written.rows).sum::<u64>());
        let bytes: usize = tree(out).values().map(Vec::len).sum();
        assert_eq!(run.statistics.bytes_written, bytes as u64);
        assert_eq!(run.statistics.files_written, tree(out).len() as u64);
    };
    let mut first: Option<BTreeMap<String, Vec<u8>>> = None;
    for (number, (threads, piece, batch)) in
        [(1, 1 << 20, 1 << 18), (2, 1000, 50), (4, 60, 1), (3, 20_000, 1 << 18)].into_iter().enumerate()
    {
        let out = folder.path().join(format!("out{number}"));
        std::fs::create_dir(&out).unwrap();
        write(Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch), &out);
        let files = tree(&out);
        match &first {
            None => first = Some(files),
            Some(first) => {
                let differ: Vec<&String> = first.keys().filter(|name| first.get(*name) != files.get(*name)).collect();
                assert!(differ.is_empty(), "{threads} threads, pieces of {piece}: {differ:?}");
                assert_eq!(first.len(), files.len());
            }
        }
    }
    let first = first.unwrap();
    assert!(first.keys().any(|name| name.ends_with("part-1.arrow")), "files were closed and others begun");
    assert!(!first.keys().any(|name| name.ends_with("part-1.csv.gz")), "text was appended");
}

#[test]
fn keys_of_folders_read_back_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["a/b=c%41", "caf\u{e9}", "", "..", "__HIVE_DEFAULT_PARTITION__", "+ &;$!~", " padded ", "NA", "007"];
    let texts = texts.map(Some).into_iter().chain([None]);
    let doubles = [1.5, -0.0, 1e300, 0.1, 2.0, 3.25, 1e-7, f64::MAX, 5e-324].map(Some).into_iter().chain([None]);
    let keys = table(vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef),
        ("t", Arc::new(StringViewArray::from_iter(texts))),
        ("x", Arc::new(Float64Array::from_iter(doubles))),
    ]);
    for format in [FileFormat::Parquet, FileFormat::Csv, FileFormat::Ipc, FileFormat::Ndjson] {
        let out = folder.path().join(format!("{format:?}"));
        let options = WriteOptions::new(format).partition_by(["t", "x"]);
        assert_eq!(Runner::new().write(&frame(vec![keys.clone()]), &out, options).unwrap().value.files, 10);
        assert_same(&keys, &collected(&outcrop::scan(&out).unwrap().sort(["n"])));
    }
}

#[test]
fn folders_hold_every_row_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "k,n,t\n".to_string();
    for row in 0..20_000 {
        text.push_str(&format!("{},{row},a text of more than twelve bytes {row}\n", (row * 7919) % 311));
    }
    std::fs::write(folder.path().join("in.csv"), text).unwrap();
    let all = scan_csv(folder.path().join("in.csv")).unwrap();
    for buffer in [1 << 28, 100_000] {
        let out = folder.path().join(format!("out{buffer}"));
        let options = WriteOptions::new(FileFormat::Csv).partition_by(["k"]).partition_buffer_bytes(buffer);
        let run = Runner::new().threads(2).write(&all, &out, options).unwrap();
        assert_eq!(run.value.rows, 20_000);
        let mut rows = 0;
        for key in 0..311 {
            let parts = out.join(format!("k={key}"));
            let count = std::fs::read_dir(&parts).unwrap().count();
            let files: Vec<_> = (0..count).map(|part| parts.join(format!("part-{part}.csv"))).collect();
            let read = collected(&scan_csv(files).unwrap());
            assert_eq!(types(&read), ["n Int64", "t Utf8View", "k Int64"], "the folder gives its key back");
            let keys = read.column(2).as_any().downcast_ref::<Int64Array>().unwrap();
            assert!(keys.values().iter().all(|&read| read == key));
            let numbers = read.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            assert!(numbers.values().iter().all(|row| (row * 7919) % 311 == key));
            assert!(numbers.values().is_sorted());
            rows += read.num_rows();
        }
        assert_eq!(rows, 20_000);
    }
}

#[test]
fn a_late_surprise_starts_the_file_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "n,m\n".to_string();
    for row in 0..1001 {
        text.push_str(&if row == 801 { "odd,1\n".to_string() } else { format!("{row},1\n") });
    }
    let input = folder.path().join("in.csv");
    std::fs::write(&input, &text).unwrap();
    let runner = || Runner::new().threads(2).piece_bytes(100).batch_bytes(50);
    let options = || WriteOptions::new(FileFormat::Parquet).row_group_rows(10);
    let out = folder.path().join("out.parquet");
    let all = scan_csv(&input).unwrap();
    assert_eq!(all.schema().unwrap().field(0).data_type(), &DataType::Int64, "samples did not show it");
    let late = runner().write(&all, &out, options()).unwrap();
    assert_eq!((late.value.rows, late.statistics.passes_repeated, late.warnings.len()), (1001, 1, 1));
    let bytes = std::fs::read(&out).unwrap();
    let known = CsvScan::new(&input).with_type("n", ColumnType::Utf8).open().unwrap();
    runner().write(&known, &out, options()).unwrap();
    assert!(bytes == std::fs::read(&out).unwrap(), "as if the type had been known from the start");
    assert_eq!(read_parquet(&out).num_rows(), 1001);
}

#[test]
fn an_error_leaves_neither_a_file_nor_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let input = path("in.csv");
    std::fs::write(&input, "n,m\n".to_owned() + &"1,2\n".repeat(50_000) + "1,2,3\n").unwrap();
    std::fs::create_dir(path("old")).unwrap();
    std::fs::write(path("old/file"), "old").unwrap();
    std::fs::write(path("old.csv"), "old").unwrap();
    let before = tree(folder.path());
    let all = scan_csv(&input).unwrap();
    let runner = Runner::new().threads(2).piece_bytes(1000);
    for (name, options) in [
        ("old.csv", WriteOptions::new(FileFormat::Csv)),
        ("new.parquet", WriteOptions::new(FileFormat::Parquet).row_group_rows(1000)),
        ("new.arrow", WriteOptions::new(FileFormat::Ipc)),
        ("new", WriteOptions::new(FileFormat::Parquet).partition_by(["m"])),
        ("old", WriteOptions::new(FileFormat::Parquet).partition_by(["m"]).overwrite(true)),
    ] {
        let error = runner.write(&all, path(name), options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert_eq!(error.place().line, Some(50_002));
        assert_eq!(tree(folder.path()), before, "{name}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "{name}");
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("in.csv"), "n,m\n1,2\n").unwrap();
    std::fs::create_dir(path("full")).unwrap();
    std::fs::write(path("full/x.csv"), "x\n1\n").unwrap();
    let all = scan_csv(path("in.csv")).unwrap();
    let parquet = || WriteOptions::new(FileFormat::Parquet);
    let csv = || WriteOptions::new(FileFormat::Csv);
    for (name, options, kind, words) in [
        ("in.csv", csv(), ErrorKind::Syntax, "overwrite"),
        ("full", csv(), ErrorKind::Io, "folder"),
        ("full", csv().partition_by(["n"]), ErrorKind::Io, "not empty"),
        ("in.csv", csv().partition_by(["n"]), ErrorKind::Syntax, "overwrite"),
        (".", csv().partition_by(["n"]).overwrite(true), ErrorKind::Syntax, "overwrite"),
        ("a.csv", csv().partition_by(["N"]), ErrorKind::Name, "no column `N`"),
        ("a.csv", csv().partition_by(["n", "m"]), ErrorKind::Unsupported, "no column is left"),
        ("a.parquet", parquet().bloom_filters(["o"]), ErrorKind::Name, "no column `o`"),
        ("a.parquet", parquet().compression(Codec::Xz), ErrorKind::Unsupported, "xz"),
        ("a.csv", csv().compression(Codec::Snappy), ErrorKind::Unsupported, "snappy"),
        ("a.csv", csv().null("0"), ErrorKind::Unsupported, "missing"),
        ("a.csv", csv().delimiter(b'1'), ErrorKind::Unsupported, "separate"),
        ("no/such/a.csv", csv(), ErrorKind::Io, "No such file"),
    ] {
        let error = Runner::new().write(&all, path(name), options).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
    let at = |name: &str| Target::Path(path(name));
    std::os::unix::fs::symlink(folder.path(), path("link")).unwrap();
    for (one, other, words) in [
        (Write::new(&all, at("a.csv"), csv()), Write::new(&all, at("a.csv"), csv()), "to one file"),
        (Write::new(&all, at("a.csv"), csv()), Write::new(&all, at("link/a.csv"), csv()), "to one file"),
        (Write::new(&all, Target::Stdout, csv()), Write::new(&all, Target::Stdout, csv()), "into one another"),
        (
            Write::new(&all, at("full/a.csv"), csv()),
            Write::new(&all, at("full"), csv().partition_by(["n"]).overwrite(true)),
            "into the folder",
        ),
    ] {
        let error = Runner::new().write_all(&[one, other]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let with_rejects = Runner::new().rejects(path("a.csv"));
    let error = with_rejects.write(&all, path("link/a.csv"), csv()).unwrap_err();
    assert!(error.to_string().contains("rejects"), "{error}");
    std::fs::remove_file(path("link")).unwrap();
    assert_eq!(tree(folder.path()).len(), 2);
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let all = frame(vec![awkward(&mut Random::new(3), 100)]);
    let schema = all.schema().unwrap();
    let bad = all.map_partitions(schema, |_| panic!("a function of the user's"));
    let result =
        Runner::new().threads(2).write(&bad, folder.path().join("a.parquet"), WriteOptions::new(FileFormat::Parquet));
    assert!(result.is_err());
    assert_eq!(tree(folder.path()).len(), 0);
}

#[test]
fn memory_is_bounded_and_a_limit_that_is_too_low_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.csv");
    std::fs::write(&input, "n,t\n".to_owned() + &"1,a text of more than twelve bytes\n".repeat(200_000)).unwrap();
    let all = scan_csv(&input).unwrap();
    let out = folder.path().join("a.csv.gz");
    let options = || WriteOptions::of_file_name("a.csv.gz").unwrap();
    let budget = outcrop::memory::Budget::new(40 << 20);
    let run = Runner::new().threads(2).budget(budget.clone()).write(&all, &out, options()).unwrap();
    assert_eq!(run.value.rows, 200_000);
    assert!(budget.peak_bytes() > 4 << 20 && budget.held_bytes() == 0, "{}", budget.peak_bytes());
    let small = outcrop::memory::Budget::new(1 << 20);
    let error = Runner::new().threads(2).budget(small).write(&all, folder.path().join("b.csv"), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(tree(folder.path()).len(), 2);
}
