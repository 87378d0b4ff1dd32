//! The memory limit holds for every format of input and output, as the system sees the process; what cannot be done
//! within it is refused with what it needs.
#![cfg(target_os = "linux")]

mod common;

use common::{Random, compress};
use outcrop::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use outcrop::arrow::ipc::CompressionType;
use outcrop::arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

const ROWS: usize = 60_000;
const LIMIT: u64 = 40 << 20;

fn outcrop(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outcrop"));
    command.args(arguments).env_remove("OUTCROP_MEMORY").output().unwrap()
}

fn well(output: Output, what: &str) -> (String, serde_json::Value) {
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{what}: {told}");
    let statistics = told.lines().find(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap());
    (String::from_utf8(output.stdout).unwrap(), statistics.unwrap_or_default())
}

fn refused(arguments: &[&str]) -> String {
    let output = outcrop(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
    assert!(!told.contains("panicked") && !told.contains("bug"), "{told}");
    told
}

fn text_of(rows: usize) -> String {
    let mut text = String::from("i,t,x\n");
    for row in 0..rows {
        let scattered = row.wrapping_mul(2_654_435_761) % 1_000_003;
        writeln!(text, "{row},a text of some length {},{}.25", scattered % 40_000, scattered % 1000).unwrap();
    }
    text
}

/// The same table in all formats.
fn files(folder: &Path) -> Vec<PathBuf> {
    let text = text_of(ROWS);
    let mut random = Random::new(1);
    let mut files = Vec::new();
    for ending in ["csv", "csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"] {
        let path = folder.join(format!("in.{ending}"));
        std::fs::write(&path, compress(text.as_bytes(), ending, &mut random)).unwrap();
        files.push(path);
    }
    for ending in ["parquet", "arrow", "ndjson"] {
        let path = folder.join(format!("in.{ending}"));
        well(outcrop(&["convert", files[0].to_str().unwrap(), "--to", path.to_str().unwrap()]), ending);
        files.push(path);
    }
    files
}

#[test]
fn the_limit_holds_for_every_format_at_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let memory = LIMIT.to_string();
    let asked = |file: &Path, question: &str, memory: &str, threads: &str| {
        let file = file.to_str().unwrap();
        let arguments = ["ask", file, "-q", question, "--format", "csv", "--threads", threads, "--stats=json"];
        let arguments = [&arguments[..], &["--memory", memory]].concat();
        well(outcrop(&arguments), &format!("{file} {question} {threads}"))
    };
    let questions = ["count(*) as n, sum(x), max(i) by t", "i, t, x sort x desc, i", "i, t where x > 400"];
    let files = files(folder.path());
    let ample: Vec<String> = questions.iter().map(|question| asked(&files[0], question, "4GiB", "2").0).collect();
    for (at, file) in files.iter().enumerate() {
        for (question, threads) in [(at % 3, "8"), ((at + 1) % 3, "2")] {
            let (answer, statistics) = asked(file, questions[question], &memory, threads);
            assert!(answer == ample[question], "{file:?} {}", questions[question]);
            let figure = |name: &str| statistics[name].as_u64().unwrap();
            let what = format!("{file:?} {} on {threads} threads: {statistics}", questions[question]);
            assert!(figure("peak_resident_bytes") <= LIMIT + LIMIT / 10 + (64 << 20), "{what}");
            assert!(figure("peak_held_bytes") <= LIMIT && figure("least_memory_bytes") <= LIMIT, "{what}");
        }
    }
}

#[test]
fn a_limit_below_the_floor_is_refused_at_once_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv.bz2");
    std::fs::write(&path, compress(text_of(100).as_bytes(), "csv.bz2", &mut Random::new(1))).unwrap();
    let file = path.to_str().unwrap();
    let told = refused(&["ask", file, "-q", "sum(x)", "--memory", "4MiB"]);
    assert!(told.contains("the memory limit of 4 MiB is too little: at least ") && told.contains("to read"), "{told}");
    assert!(told.contains("--memory"), "{told}");
    // With what it says, it runs; so it does with what the statistics say.
    let needed = told.split("at least ").nth(1).unwrap().split(" are needed").next().unwrap().replace(' ', "");
    let more = format!("{}KiB", (needed.trim_end_matches("MiB").parse::<f64>().unwrap() * 1024.0) as u64 + 128);
    let (_, statistics) =
        well(outcrop(&["ask", file, "-q", "sum(x)", "--format", "csv", "--stats=json", "--memory", &more]), &more);
    let least = statistics["least_memory_bytes"].to_string();
    well(outcrop(&["ask", file, "-q", "sum(x)", "--format", "csv", "--memory", &least]), &least);
    let less = (statistics["least_memory_bytes"].as_u64().unwrap() - 1).to_string();
    assert!(refused(&["ask", file, "-q", "sum(x)", "--memory", &less]).contains("too little"));
}

/// The smallest limit that an error names, and a little more: it is rounded there.
fn needed(told: &str) -> String {
    let needed =
        told.split("at least ").nth(1).unwrap_or_else(|| panic!("{told}")).split(" are needed").next().unwrap();
    let (number, unit) = needed.split_once(' ').unwrap();
    let kib = number.parse::<f64>().unwrap() * if unit == "MiB" { 1024.0 } else { 1.0 };
    format!("{}KiB", kib as u64 + if unit == "MiB" { 128 } else { 1 })
}

#[test]
fn what_writing_needs_is_known_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in.csv");
    std::fs::write(&source, text_of(200_000)).unwrap();
    for ending in ["parquet", "arrow", "csv", "ndjson.gz"] {
        let [ample, scarce] = ["ample", "scarce"].map(|name| folder.path().join(format!("{name}.{ending}")));
        let [from, ample_name, scarce_name] = [&source, &ample, &scarce].map(|path| path.to_str().unwrap());
        well(outcrop(&["convert", from, "--to", ample_name]), ending);
        let told = refused(&["convert", from, "--to", scarce_name, "--memory", "6MiB", "--stats=json"]);
        assert!(told.contains("6 MiB is too little") && told.contains("to write"), "{ending}: {told}");
        assert!(!scarce.exists());
        for threads in ["1", "4"] {
            let memory = needed(&told);
            let arguments = ["convert", from, "--to", scarce_name, "--threads", threads, "--memory", &memory];
            let (_, statistics) =
                well(outcrop(&[&arguments[..], &["--stats=json"]].concat()), &format!("{ending} {memory}"));
            assert!(std::fs::read(&ample).unwrap() == std::fs::read(&scarce).unwrap(), "{ending} on {threads}");
            assert!(statistics["peak_resident_bytes"].as_u64().unwrap() < 64 << 20, "{statistics}");
            std::fs::remove_file(&scarce).unwrap();
        }
    }
}

#[test]
fn a_run_at_the_least_limit_completes_and_reports_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let questions = [
        "count(*) as n, sum(x), max(i) by t",
        "i, t, x sort x desc, i",
        "median(x), n_unique(t), string_agg(t) by i % 5000 as k having k > 7",
        "approx_quantile(x, 0.5), approx_n_unique(t)",
        "i, t where x > 400",
    ];
    for (at, file) in files(folder.path()).iter().enumerate() {
        let question = questions[at % questions.len()];
        let answer = |memory: &str| {
            let arguments = ["ask", file.to_str().unwrap(), "-q", question, "--format", "csv", "--threads", "2"];
            let arguments = [&arguments[..], &["--stats=json", "--memory", memory]].concat();
            let (answer, statistics) = well(outcrop(&arguments), &format!("{file:?} {question} within {memory}"));
            (answer, statistics["least_memory_bytes"].as_u64().unwrap())
        };
        let (ample, least) = answer("2GiB");
        let (scarce, again) = answer(&least.to_string());
        assert!(ample == scarce, "{file:?} {question}");
        assert!(again <= least, "{file:?} {question}: {least}, and then {again}");
        let fewer = (least / 3).to_string();
        assert!(refused(&["ask", file.to_str().unwrap(), "-q", question, "--memory", &fewer]).contains("too little"));
    }
}

#[test]
fn decoders_that_want_more_than_there_is_are_refused_before_they_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = text_of(2000);
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let xz = |level: u32| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), level);
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    // Windows of 64 MiB, one at the beginning and one that shows later.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(26).unwrap();
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    let zstd_wide = encoder.finish().unwrap();
    // A short frame needs no window: it is decoded at once.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(26).unwrap();
    std::io::Write::write_all(&mut encoder, text_of(80_000).as_bytes()).unwrap();
    let zstd_late = [zstd::encode_all(text.as_bytes(), 1).unwrap(), encoder.finish().unwrap()].concat();
    let files = [
        (write("first.csv.xz", xz(9)), "at least"),
        (write("late.csv.xz", [xz(0), xz(9)].concat()), "to be decompressed: 6"),
        (write("first.csv.zst", zstd_wide), "at least"),
        (write("late.csv.zst", zstd_late), "needs a window of 64 MiB"),
    ];
    for (file, expected) in files {
        let told = refused(&["ask", &file, "-q", "count(*)", "--memory", "40MiB"]);
        assert!(told.contains(expected) && told.contains("40 MiB"), "{file}: {told}");
        well(outcrop(&["ask", &file, "-q", "count(*)", "--memory", "400MiB"]), &file);
    }
}

#[test]
fn a_small_arrow_file_that_unpacks_to_much_is_refused_or_answered_within_the_limit() {
    const ZEROS: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros.arrow");
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; ZEROS]));
    let batch = RecordBatch::try_from_iter([("z", zeros)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    let file = path.to_str().unwrap();
    let told = refused(&["ask", file, "-q", "sum(z)", "--memory", "24MiB"]);
    assert!(told.contains("24 MiB"), "{told}");
    let (answer, statistics) = well(
        outcrop(&["ask", file, "-q", "sum(z) as s", "--format", "csv", "--stats=json", "--memory", "200MiB"]),
        file,
    );
    assert_eq!(answer, "s\n0\n");
    assert!(statistics["peak_resident_bytes"].as_u64().unwrap() <= 284 << 20, "{statistics}");
}
