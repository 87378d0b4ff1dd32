//! Arrow IPC files and streams: the same rows however they are stored and cut; damage is located, and nothing panics.

use outcrop::arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int8Array, Int64Array, ListArray, RecordBatch, StringArray,
    StringViewArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use outcrop::arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Int64Type};
use outcrop::arrow::ipc::CompressionType;
use outcrop::arrow::ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use outcrop::error::ErrorKind;
use outcrop::frame::{DataFrame, LazyFrame, Runner, Value};
use outcrop::source::column_policy::ColumnPolicy;
use outcrop::source::ipc::{IpcOptions, IpcSource};
use std::path::Path;
use std::sync::Arc;

fn sample(first: i64, rows: usize) -> RecordBatch {
    let number = |row: usize| first + row as i64;
    let codes: DictionaryArray<Int32Type> =
        (0..rows).map(|row| Some(["AA", "a long carrier name", "WN"][number(row) as usize % 3])).collect();
    let inner: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| number(row) * 2)));
    let fields = vec![(Arc::new(Field::new("b", inner.data_type().clone(), true)), inner)];
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(|row| Some(vec![Some(1); row % 3])));
    RecordBatch::try_from_iter([
        ("i", Arc::new(Int64Array::from_iter((0..rows).map(|row| (row % 5 > 0).then(|| number(row))))) as ArrayRef),
        ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| number(row) as f64 / 4.0)))),
        ("k", Arc::new(codes)),
        ("t", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("text number {}", number(row)))))),
        ("v", Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| "v".repeat(row % 20))))),
        ("s", Arc::new(StructArray::from(fields))),
        ("l", Arc::new(list)),
    ])
    .unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    File,
    Stream,
}

fn encode(kind: Kind, batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let (mut out, schema) = (Vec::new(), batches[0].schema());
    match kind {
        Kind::File => {
            let mut writer = FileWriter::try_new_with_options(&mut out, &schema, options).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        Kind::Stream => {
            let mut writer = StreamWriter::try_new_with_options(&mut out, &schema, options).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    }
    out
}

fn open(path: &Path, memory_map: bool) -> outcrop::error::Result<LazyFrame> {
    let options = IpcOptions { memory_map, threads: 1, ..IpcOptions::default() };
    Ok(LazyFrame::from_source(Arc::new(IpcSource::open(&[path.to_path_buf()], options)?)))
}

const QUESTIONS: [&str; 7] = [
    "count(*) as n, count(i), sum(i), mean(x), first(t), last(v), sum(`s.b`), sum(`l.length`)",
    "count(*) as n, sum(x), last(i) by k",
    "i, k, t where x > 10 sort x desc limit 7",
    "*",
    "t limit 3",
    "count(*) as n where i is null",
    "v, i where k = 'WN'",
];

fn answers(frame: &LazyFrame, runner: &Runner) -> Vec<String> {
    let frames: Vec<LazyFrame> = QUESTIONS.iter().map(|question| frame.ask(question).unwrap()).collect();
    runner.compute::<_, Vec<DataFrame>>(frames).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn files_and_streams_compressed_or_not_mapped_or_not_cut_anyhow_hold_the_same_rows() {
    let batches = [sample(0, 700), sample(700, 0), sample(700, 1), sample(701, 300)];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let mut expected: Option<Vec<String>> = None;
    let plain = IpcWriteOptions::default;
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for kind in [Kind::File, Kind::Stream] {
            for handling in [DictionaryHandling::Resend, DictionaryHandling::Delta] {
                let options = plain().try_with_compression(compression).unwrap().with_dictionary_handling(handling);
                // Every batch has a dictionary of its own; a file allows one only.
                let whole = [outcrop::arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()];
                let written: &[RecordBatch] = if matches!(kind, Kind::File) { &whole } else { &batches };
                std::fs::write(&path, encode(kind, written, options)).unwrap();
                for memory_map in [true, false] {
                    let frame = open(&path, memory_map).unwrap();
                    for (threads, piece, batch) in [(1, 1 << 28, 1 << 28), (3, 1, 1), (2, 3000, 700), (2, 700, 3000)] {
                        let runner = Runner::new().threads(threads).piece_bytes(piece).batch_bytes(batch);
                        let found = answers(&frame, &runner);
                        let expected = expected.get_or_insert_with(|| found.clone());
                        assert_eq!(*expected, found, "{kind:?} {compression:?} mapped {memory_map} piece {piece}");
                    }
                }
            }
        }
    }
    let first = expected.unwrap().remove(0);
    assert!(first.contains("1001"), "{first}");
}

#[test]
fn types_of_arrow_become_those_of_the_engine_or_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let batch = RecordBatch::try_from_iter([
        ("u", Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])) as ArrayRef),
        ("n", Arc::new(TimestampNanosecondArray::from(vec![1_500, 2_000, -1]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([None, Some(vec![Some(1)]), Some(vec![])]))),
    ])
    .unwrap();
    std::fs::write(&path, encode(Kind::Stream, &[batch], IpcWriteOptions::default())).unwrap();
    let frame = open(&path, true).unwrap();
    let names: Vec<String> = frame.schema().unwrap().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["u", "n", "l.length"]);
    let error = frame.ask("sum(u)").unwrap().collect().unwrap_err();
    assert_eq!((error.kind(), error.place().record), (ErrorKind::Value, Some(3)), "{error}");
    assert_eq!(error.place().value.as_deref(), Some("18446744073709551615"));
    assert!(error.to_string().contains("name the columns wanted, without `u`"), "{error}");
    let lengths = frame.ask("sum(`l.length`) as s, count(`l.length`) as c").unwrap().collect().unwrap();
    assert_eq!(lengths.value(0, "s").unwrap(), Value::Int64(1));
    assert_eq!(lengths.value(0, "c").unwrap(), Value::Int64(2));
    let run = Runner::new().run::<_, DataFrame>(frame.ask("max(n) as m").unwrap()).unwrap();
    assert!(run.warnings.iter().any(|warning| warning.to_string().contains("nanoseconds")));
    let error = frame.ask("count(l)").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`l` is a list"), "{error}");
}

/// The answer, or the error that every such file must end in.
fn survey(path: &Path, question: &str) -> Option<String> {
    let run = |memory_map| -> Result<String, outcrop::error::Error> {
        let answer = Runner::new().threads(1).compute::<_, DataFrame>(open(path, memory_map)?.ask(question)?)?;
        Ok(answer.to_string())
    };
    let (mapped, read) = (run(true), run(false));
    match (mapped, read) {
        (Ok(mapped), Ok(read)) => {
            assert_eq!(mapped, read);
            Some(mapped)
        }
        (Err(mapped), Err(read)) => {
            assert_eq!(mapped.to_string(), read.to_string());
            // A schema that is damaged may still be one, without the columns asked for.
            let of_question = matches!(mapped.kind(), ErrorKind::Name | ErrorKind::Type | ErrorKind::Unsupported);
            assert!(of_question || mapped.place().file.as_deref() == path.to_str(), "{mapped}");
            assert!(!matches!(mapped.kind(), ErrorKind::Internal), "{mapped}");
            None
        }
        (mapped, read) => panic!("mapped {mapped:?}, read {read:?}"),
    }
}

#[test]
fn a_file_cut_anywhere_is_a_located_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for kind in [Kind::File, Kind::Stream] {
        let whole = encode(kind, &[sample(0, 40), sample(42, 3)], IpcWriteOptions::default());
        for length in (1..whole.len()).step_by(37).chain(whole.len() - 20..whole.len()) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let answer = survey(&path, "count(*) as n");
            // A stream may end behind any message.
            assert!(answer.is_none() || matches!(kind, Kind::Stream), "{kind:?} cut at {length}");
        }
    }
}

#[test]
fn a_flipped_byte_is_an_error_or_another_value_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for kind in [Kind::File, Kind::Stream] {
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
            let whole = encode(kind, &[sample(0, 12)], options);
            let mut errors = 0;
            for at in (0..whole.len()).step_by(19) {
                for flip in [0x01, 0xFF] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= flip;
                    std::fs::write(&path, &damaged).unwrap();
                    errors += usize::from(
                        survey(&path, "max(i) as i, max(t) as t, max(v) as v, count(k) as k, max(`s.b`)").is_none(),
                    );
                }
            }
            assert!(errors > 20, "{errors}");
        }
    }
}

#[test]
fn damage_in_one_column_concerns_only_questions_that_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let mut bytes = encode(Kind::File, &[sample(0, 100)], IpcWriteOptions::default());
    let at = bytes.windows(13).position(|window| window == b"text number 0").unwrap();
    bytes[at] = 0xFF;
    std::fs::write(&path, bytes).unwrap();
    let frame = open(&path, true).unwrap();
    let (sound, broken) = (frame.ask("sum(x) as s").unwrap(), frame.ask("max(t)").unwrap());
    assert_eq!(sound.collect().unwrap().value(0, "s").unwrap(), Value::Float64(1237.5));
    let error = Runner::new().compute::<_, Vec<DataFrame>>(vec![sound, broken]).unwrap_err();
    assert_eq!((error.kind(), error.place().column.as_deref()), (ErrorKind::Malformed, Some("t")), "{error}");
    assert_eq!(error.place().record, Some(1), "{error}");
}

#[test]
fn a_compressed_buffer_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        let batch = RecordBatch::try_from_iter([("i", Arc::new(Int64Array::from(vec![7; 1000])) as ArrayRef)]).unwrap();
        let mut bytes = encode(Kind::File, &[batch], options);
        let at = bytes.windows(8).position(|window| window == 8000_i64.to_le_bytes()).unwrap();
        for claimed in [1_i64 << 40, 1 << 62, i64::MAX] {
            bytes[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
            std::fs::write(&path, &bytes).unwrap();
            let error = open(&path, true).unwrap().ask("sum(i)").unwrap().collect().unwrap_err();
            assert!(error.to_string().contains("claim to become"), "{error}");
        }
    }
}

#[test]
fn a_column_that_grows_beyond_its_limit_is_refused_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let noise = |at: i64| at * 791_919 % 1_000_003;
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from_iter_values((0..1000).map(noise))) as ArrayRef),
        ("b", Arc::new(Int64Array::from(vec![7; 1001]).slice(0, 1000))),
    ])
    .unwrap();
    let mut bytes = encode(Kind::File, &[batch], options);
    let at = bytes.windows(8).position(|window| window == 8000_i64.to_le_bytes()).unwrap();
    bytes[at..at + 8].copy_from_slice(&(300_i64 << 20).to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let frame = open(&path, true).unwrap();
    let error = frame.ask("sum(a)").unwrap().collect().unwrap_err();
    assert_eq!((error.kind(), error.place().column.as_deref()), (ErrorKind::Limit, Some("a")), "{error}");
    let sound = frame.ask("sum(b) as s").unwrap().collect().unwrap();
    assert_eq!(sound.value(0, "s").unwrap(), Value::Int64(7000));
}

#[test]
fn columns_of_several_files_go_together_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let path = folder.path().join(name);
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        std::fs::write(&path, encode(Kind::File, &[batch], IpcWriteOptions::default())).unwrap();
        path
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let paths = [
        file("1", vec![("a", none), ("b", numbers.clone()), ("c", numbers.clone())]),
        file("2", vec![("b", texts), ("a", numbers)]),
    ];
    let open = |columns| {
        let options = IpcOptions { columns, ..IpcOptions::default() };
        Ok::<_, outcrop::Error>(LazyFrame::from_source(Arc::new(IpcSource::open(&paths, options)?)))
    };
    assert_eq!(open(ColumnPolicy::Error).unwrap_err().kind(), ErrorKind::Malformed);
    let frame = open(ColumnPolicy::Union).unwrap();
    let found = frame.ask("sum(a) as a, sum(c) as c, count(*) as n").unwrap().collect().unwrap();
    let row: Vec<Value> = ["a", "c", "n"].iter().map(|name| found.value(0, name).unwrap()).collect();
    assert_eq!(row, [3, 3, 4].map(Value::Int64));
    let error = frame.ask("count(b)").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn dictionaries_that_change_and_hold_nulls_and_doubles_group_as_their_texts_do() {
    let keys =
        [[Some(0), Some(1), None, Some(2), Some(3), Some(0)], [Some(3), Some(3), Some(1), None, Some(0), Some(2)]];
    let entries =
        [[Some("a"), None, Some("a"), Some("")], [Some(""), Some("longer than twelve bytes"), None, Some("a")]];
    let coded = |at: usize| {
        let keys = Int8Array::from(keys[at].to_vec());
        DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from(entries[at].to_vec())))
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..6));
    let batch = |key: ArrayRef| RecordBatch::try_from_iter([("k", key), ("i", Arc::clone(&numbers))]).unwrap();
    let plain = |at: usize| outcrop::arrow::compute::cast(&coded(at), &DataType::Utf8).unwrap();
    let order = [0, 1, 1, 0];
    let folder = tempfile::tempdir().unwrap();
    let answers = |name: &str, batches: Vec<RecordBatch>| -> Vec<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, encode(Kind::Stream, &batches, IpcWriteOptions::default())).unwrap();
        let questions = [
            "count(*) as n, sum(i) by k",
            "count(*) as n by k, i % 2 as odd where k is null or k <> 'a'",
            "count(*) as n, count(k), min(k), sum(i) by length(k) as bytes",
            "k, i where coalesce(k, 'a') = 'a'",
        ];
        let frame = open(&path, false).unwrap();
        let frames: Vec<LazyFrame> = questions.iter().map(|question| frame.ask(question).unwrap()).collect();
        let runs = [Runner::new().threads(2), Runner::new().batch_bytes(10).piece_bytes(20)];
        let shown = |runner: Runner| -> Vec<String> {
            let found: Vec<DataFrame> = runner.compute(frames.clone()).unwrap();
            found.iter().map(ToString::to_string).collect()
        };
        runs.into_iter().flat_map(shown).collect()
    };
    let expected = answers("plain", order.map(|at| batch(plain(at))).to_vec());
    assert!(expected[0].contains("longer than twelve bytes"));
    assert_eq!(answers("coded", order.map(|at| batch(Arc::new(coded(at)))).to_vec()), expected);
}
