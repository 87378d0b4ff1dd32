//! What cannot be read twice, changes while it is read, or wears several coats: pipes, logs, nested compression, UTF-16.
#![cfg(feature = "cli")]

mod common;

use common::{Random, compress};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const COUNT: [&str; 4] = ["-q", "count(*) as n", "--format", "csv"];
const TOTALS: [&str; 6] =
    ["-q", "count(*) as n, sum(i) as s, min(k) as lo", "-q", "i, k sort k, i limit 3", "--format", "csv"];

fn outcrop() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("outcrop"));
    command.env_remove("OUTCROP_TMPDIR").env_remove("OUTCROP_SPOOL_LIMIT");
    command
}

/// Starts `outcrop ask INPUTS ARGUMENTS`.
fn start(inputs: &[&Path], arguments: &[&str], change: impl FnOnce(&mut Command)) -> Child {
    let mut command = outcrop();
    command.arg("ask").args(inputs).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    change(&mut command);
    command.spawn().unwrap()
}

/// The output after all of `bytes` have been written to stdin.
fn fed(mut child: Child, bytes: Vec<u8>) -> Output {
    let mut stdin = child.stdin.take().unwrap();
    // The program may end before it has read everything.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

fn answer(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("panicked") && !stderr.contains("internal"), "{stderr}");
    stderr
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "should say {word:?}:\n{text}");
    }
}

/// Records of a number and a key.
fn table(records: usize) -> String {
    let mut text = "i,k\n".to_owned();
    (0..records).for_each(|row| text.push_str(&format!("{row},key{}\n", row * 7919 % 1000)));
    text
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn stdin_answers_as_its_file_does_plain_or_compressed_in_memory_or_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    for records in [1000, 900_000] {
        let text = table(records);
        std::fs::write(&path, &text).unwrap();
        let due = answer(&outcrop().arg("ask").arg(&path).args(TOTALS).output().unwrap());
        for ending in ["csv", "csv.gz", "csv.bz2", "csv.zst"] {
            let bytes = compress(text.as_bytes(), ending, &mut Random::new(4));
            let child = start(&[Path::new("-")], &TOTALS, |command| {
                command.env("OUTCROP_TMPDIR", folder.path());
            });
            assert_eq!(answer(&fed(child, bytes)), due, "{ending}, {records} records");
        }
        let child = start(&[Path::new("-")], &TOTALS, |command| {
            command.stdin(std::fs::File::open(&path).unwrap());
        });
        assert_eq!(answer(&child.wait_with_output().unwrap()), due, "stdin is a file");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}

#[test]
fn a_value_that_fits_no_type_late_in_a_stream_widens_its_column() {
    let mut text = table(400_000);
    text.push_str("x,last\n");
    let child = start(&[Path::new("-")], &["-q", "max(i) as hi, count(*) as n", "--format", "csv"], |_| {});
    assert_eq!(answer(&fed(child, text.into_bytes())), "hi,n\nx,400001\n");
}

#[test]
fn the_head_of_an_endless_stream_is_there_at_once() {
    let mut child = start(&[Path::new("-")], &["-q", "* limit 2", "--format", "csv"], |_| {});
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        stdin.write_all(b"i,k\n").unwrap();
        while stdin.write_all(&b"x,y\n".repeat(10_000)).is_ok() {}
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(answer(&output), "i,k\nx,y\nx,y\n");
}

#[test]
fn pipes_by_name_are_read_beside_files() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, file) = (fifo(folder.path()), folder.path().join("a.csv"));
    std::fs::write(&file, table(10)).unwrap();
    let child = start(&[&file, &pipe], &COUNT, |_| {});
    std::fs::write(&pipe, table(20)).unwrap();
    assert_eq!(answer(&child.wait_with_output().unwrap()), "n\n30\n");
}

#[test]
fn a_stream_named_twice_or_empty_is_an_error_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (stdin, pipe) = (Path::new("-"), fifo(folder.path()));
    assert_says(&error(&fed(start(&[stdin, stdin], &COUNT, |_| {}), vec![]), 2), &["stdin", "twice"]);
    assert_says(&error(&fed(start(&[&pipe, &pipe], &COUNT, |_| {}), vec![]), 2), &["pipe", "twice"]);
    assert_says(&error(&fed(start(&[stdin], &COUNT, |_| {}), vec![]), 1), &["stdin", "empty"]);
    let ragged = error(&fed(start(&[stdin], &COUNT, |_| {}), b"a,b\n1,2\n3\n".to_vec()), 1);
    assert_says(&ragged, &["stdin, record 2, line 3"]);
}

#[test]
fn a_stream_beyond_the_limit_or_without_a_place_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let limited = start(&[Path::new("-")], &COUNT, |command| {
        command.env("OUTCROP_SPOOL_LIMIT", "1M").env("OUTCROP_TMPDIR", folder.path());
    });
    let text = error(&fed(limited, table(500_000).into_bytes()), 1);
    assert_says(&text, &["stdin", "longer than 1048576 bytes", "OUTCROP_SPOOL_LIMIT", "OUTCROP_TMPDIR"]);
    let nowhere = start(&[Path::new("-")], &COUNT, |command| {
        command.env("OUTCROP_TMPDIR", folder.path().join("absent"));
    });
    assert_says(&error(&fed(nowhere, table(900_000).into_bytes()), 1), &["absent", "OUTCROP_TMPDIR"]);
    let odd = start(&[Path::new("-")], &COUNT, |command| {
        command.env("OUTCROP_SPOOL_LIMIT", "much");
    });
    assert_says(&error(&fed(odd, table(10).into_bytes()), 2), &["OUTCROP_SPOOL_LIMIT", "much"]);
}

/// A program that has stored a part of its stdin and waits for more.
fn waiting(folder: &Path) -> (Child, impl Write + use<>) {
    let mut child = start(&[Path::new("-")], &COUNT, |command| {
        command.env("OUTCROP_TMPDIR", folder);
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(table(1_200_000).as_bytes()).unwrap();
    (child, stdin)
}

#[test]
fn nothing_is_left_behind_by_a_program_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _stdin) = waiting(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _stdin) = waiting(folder.path());
    let start = Instant::now();
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // Half a second, and as much again for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_run_over_a_stream_can_be_cancelled_from_another_thread() {
    use outcrop::exec::RunOptions;
    let folder = tempfile::tempdir().unwrap();
    let pipe = fifo(folder.path());
    let path = pipe.clone();
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
        // The run may be cancelled before it has read all of this.
        let _ = pipe.write_all(table(100_000).as_bytes());
        let _ = receive.recv();
    });
    let frame = outcrop::scan_csv(&pipe).unwrap();
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
        Instant::now()
    });
    let outcome = outcrop::Runner::with_options(options).run::<_, Option<i64>>(frame.max("i"));
    assert_eq!(outcome.err().unwrap().kind(), outcrop::error::ErrorKind::Cancelled);
    assert!(canceller.join().unwrap().elapsed() < Duration::from_secs(1));
    drop((send, frame));
    writer.join().unwrap();
}

/// Asks about `file` and a pipe; `change` is called after the file has been sampled and before it is read.
fn changed_before_the_pass(change: impl FnOnce(&Path)) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, file) = (fifo(folder.path()), folder.path().join("log.csv"));
    std::fs::write(&file, table(100_000)).unwrap();
    let child = start(&[&file, &pipe], &[&COUNT[..], &["--threads", "1"]].concat(), |_| {});
    // Opens when the program does, which looks at one file after the other.
    let mut pipe = OpenOptions::new().write(true).open(&pipe).unwrap();
    change(&file);
    pipe.write_all(table(5).as_bytes()).unwrap();
    drop(pipe);
    child.wait_with_output().unwrap()
}

#[test]
fn a_file_that_grows_is_read_as_it_was_and_one_that_changes_otherwise_is_an_error() {
    let grown = changed_before_the_pass(|path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"1,more\n").unwrap();
    });
    assert_eq!(answer(&grown), "n\n100005\n");
    assert_says(&String::from_utf8_lossy(&grown.stderr), &["log.csv", "grown by 7 bytes"]);
    let quiet = changed_before_the_pass(|_| {});
    assert_eq!((answer(&quiet).as_str(), quiet.stderr.len()), ("n\n100005\n", 0));

    let shrunk =
        changed_before_the_pass(|path| OpenOptions::new().write(true).open(path).unwrap().set_len(500_000).unwrap());
    assert_says(&error(&shrunk, 1), &["log.csv", "now has 500000", "do not change"]);
    let gone = changed_before_the_pass(|path| std::fs::remove_file(path).unwrap());
    assert_says(&error(&gone, 1), &["log.csv", "No such file", "moved or deleted"]);
    let replaced = changed_before_the_pass(|path| {
        let other = path.with_extension("new");
        std::fs::write(&other, table(100_000)).unwrap();
        std::fs::rename(other, path).unwrap();
    });
    assert_says(&error(&replaced, 1), &["log.csv", "another file has taken this name"]);
}

/// A part of the airline sample.
fn airline() -> Vec<u8> {
    let path = std::fs::read_dir("testdata/airline").unwrap().map(|entry| entry.unwrap().path());
    let path = path.filter(|path| path.to_string_lossy().ends_with(".csv.bz2")).min().unwrap();
    let mut text = String::new();
    bzip2::read::MultiBzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.into_bytes()
}

const AIRLINE: [&str; 8] = [
    "-q",
    "count(*) as n, min(DepDelay), mean(ArrDelay), sum(Distance) by UniqueCarrier sort UniqueCarrier",
    "-q",
    "Year, Origin, Dest, DepTime where DepDelay > 60 limit 20",
    "-q",
    "first(TailNum), last(Origin), count(*)",
    "--format",
    "csv",
];

#[test]
fn utf_16_and_nested_compression_answer_as_plain_utf_8_whatever_pieces_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let text = airline();
    let plain = write("plain.csv", &text);
    let due = answer(&outcrop().arg("ask").arg(&plain).args(AIRLINE).output().unwrap());
    let units =
        |mark: &str| -> Vec<u16> { format!("{mark}{}", std::str::from_utf8(&text).unwrap()).encode_utf16().collect() };
    let le: Vec<u8> = units("\u{FEFF}").iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let be: Vec<u8> = units("\u{FEFF}").iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let bare: Vec<u8> = units("").iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let pack = |text: &[u8], ending: &str| compress(text, ending, &mut Random::new(8));
    let nested = pack(&pack(&text, "csv.gz"), "csv.bz2");
    let thrice = pack(&pack(&pack(&le, "csv.bz2"), "csv.zst"), "csv.gz");
    let files = [
        write("le.csv", &le),
        write("be.csv", &be),
        write("bare.csv", &bare),
        write("le.csv.bz2", &pack(&le, "csv.bz2")),
        write("nested.csv.gz.bz2", &nested),
        write("thrice.csv.bz2.zst.gz", &thrice),
    ];
    for file in files {
        for (piece, threads) in [("3001", "1"), ("65536", "3"), ("1048576", "2")] {
            let output = outcrop()
                .arg("ask")
                .arg(&file)
                .args(AIRLINE)
                .args(["--piece-bytes", piece, "--threads", threads])
                .output();
            assert_eq!(answer(&output.unwrap()), due, "{} in pieces of {piece}", file.display());
        }
    }
    let labelled = outcrop()
        .arg("ask")
        .arg(folder.path().join("bare.csv"))
        .args(AIRLINE)
        .args(["--encoding", "utf-16be"])
        .output();
    assert_eq!(answer(&labelled.unwrap()), due);
    let wrong = outcrop().arg("ask").arg(&plain).args(AIRLINE).args(["--encoding", "utf-16le"]).output().unwrap();
    assert_says(&error(&wrong, 1), &["plain.csv", "ASCII", "--encoding"]);
}

#[test]
fn invalid_utf_16_is_an_error_where_it_was_declared_and_else_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let mut bytes: Vec<u8> = "\u{FEFF}i,k\n1,x\n2,".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.extend([0x00, 0xDC, b'\n', 0]);
    std::fs::write(&path, bytes).unwrap();
    let found = outcrop().arg("ask").arg(&path).args(["-q", "k", "--format", "csv"]).output().unwrap();
    assert_eq!(answer(&found), "k\nx\n\u{FFFD}\n");
    assert_says(&String::from_utf8_lossy(&found.stderr), &["a.csv", "1 sequence of bytes", "UTF-16LE"]);
    let declared = outcrop().arg("ask").arg(&path).args(COUNT).args(["--encoding", "utf-16le"]).output().unwrap();
    assert_says(&error(&declared, 1), &["a.csv, line 3, byte 22", "UTF-16LE", "--encoding"]);
}

#[test]
fn sockets_and_files_without_permission_come_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_says(
        &error(&outcrop().arg("ask").arg(&path).args(COUNT).output().unwrap(), 1),
        &["socket", "hint:", "pipe"],
    );
}

#[test]
fn the_format_of_a_stream_is_told_by_its_content() {
    let text: String = (0..5000).map(|row| format!("{{\"i\":{row},\"k\":\"key{}\"}}\n", row % 7)).collect();
    let ask = ["-q", "sum(i) as s, max(k) as hi", "--format", "csv"];
    let due = "s,hi\n12497500,key6\n";
    for ending in ["ndjson", "ndjson.gz"] {
        let bytes = compress(text.as_bytes(), ending, &mut Random::new(4));
        assert_eq!(answer(&fed(start(&[Path::new("-")], &ask, |_| {}), bytes)), due, "{ending}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pipe = fifo(folder.path());
    let child = start(&[&pipe], &ask, |_| {});
    std::fs::write(&pipe, &text).unwrap();
    assert_eq!(answer(&child.wait_with_output().unwrap()), due);
    // A log cut off at its beginning.
    let cut = fed(
        start(&[Path::new("-")], &["-q", "count(*) as n", "--malformed", "skip"], |_| {}),
        text.into_bytes()[3..].to_vec(),
    );
    assert_says(&answer(&cut), &["4999"]);
    assert_says(&String::from_utf8_lossy(&cut.stderr), &["1 record was set aside", "line 1, byte 0"]);
    let arrow = fed(start(&[Path::new("-")], &COUNT, |_| {}), b"ARROW1\0\0and so on".to_vec());
    assert_says(&error(&arrow, 1), &["stdin", "Arrow IPC", "store it in a file"]);
}
