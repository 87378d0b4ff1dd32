//! Bad input, each kind by name: one clear error with its place and remedy, on stderr, exit 1, stdout empty.
#![cfg(feature = "cli")]

mod common;

use common::{Random, compress};
use std::path::{Path, PathBuf};
use std::process::Output;

const HEADER: &str = "k,i,x\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn ask(file: &Path, arguments: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
    command.arg("ask").arg(file).args(arguments).output().unwrap()
}

/// The error on stderr about the data; the program must have failed cleanly.
fn error_of(file: &Path, arguments: &[&str]) -> String {
    failure(file, arguments, 1)
}

/// The error on stderr about what was typed.
fn usage_error_of(file: &Path, arguments: &[&str]) -> String {
    failure(file, arguments, 2)
}

fn failure(file: &Path, arguments: &[&str], code: i32) -> String {
    let output = ask(file, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "exit code\n{stderr}");
    assert!(output.stdout.is_empty(), "stdout must stay empty: {}", String::from_utf8_lossy(&output.stdout));
    assert!(!stderr.contains("panicked") && !stderr.contains("internal"), "{stderr}");
    stderr
}

fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "the error should say {word:?}:\n{error}");
    }
}

fn answer(file: &Path, arguments: &[&str]) -> (String, String) {
    let output = ask(file, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

const COUNT: [&str; 4] = ["-q", "count(*) as n", "--format", "csv"];

#[test]
fn a_missing_file_names_itself_and_its_neighbour() {
    let folder = Folder::new();
    folder.file("flights.csv", HEADER);
    assert_says(&error_of(&folder.0.path().join("flight.csv"), &COUNT), &["flight.csv", "No such file", "flights.csv"]);
}

#[test]
fn an_empty_glob_and_a_directory_without_matches_are_errors() {
    let folder = Folder::new();
    folder.file("notes.txt", "x");
    assert_says(&error_of(&folder.0.path().join("*.csv"), &COUNT), &["no file matches", "*.csv"]);
    assert_says(&error_of(folder.0.path(), &COUNT), &["no .csv or .tsv files"]);
}

#[test]
fn an_empty_file_is_an_error_and_a_header_alone_is_no_rows() {
    let folder = Folder::new();
    assert_says(&error_of(&folder.file("empty.csv", ""), &COUNT), &["empty.csv", "empty"]);
    let header = folder.file("header.csv", HEADER);
    assert_eq!(answer(&header, &["-q", "count(*) as n, min(i) as lo", "--format", "csv"]).0, "n,lo\n0,\n");
}

#[test]
fn an_unknown_column_is_underlined_with_a_suggestion() {
    let folder = Folder::new();
    let file = folder.file("a.csv", "DepDelay\n1\n");
    let error = usage_error_of(&file, &["-q", "mean(DepDelys)"]);
    assert_says(&error, &["no column `DepDelys`", "did you mean `DepDelay`", "mean(DepDelys)", "^^^^^^^^"]);
}

#[test]
fn a_type_mismatch_says_what_the_aggregate_takes() {
    let folder = Folder::new();
    let file = folder.file("a.csv", "k,i\nAA,1\n");
    assert_says(&usage_error_of(&file, &["-q", "mean(k)"]), &["mean", "Utf8"]);
    assert_says(&usage_error_of(&file, &["-q", "k + 1"]), &["+"]);
}

#[test]
fn a_ragged_row_is_located() {
    let folder = Folder::new();
    let few = folder.file("few.csv", format!("{HEADER}a,1,2\nb,1\nc,1,2\n"));
    assert_says(&error_of(&few, &COUNT), &["few.csv", "record 2", "line 3", "byte 12", "2 fields, too few"]);
    let many = folder.file("many.csv", format!("{HEADER}a,1,2\nb,1,2,3\n"));
    assert_says(&error_of(&many, &COUNT), &["line 3", "4 fields, too many"]);
}

#[test]
fn a_ragged_row_deep_in_a_large_file_is_located_whatever_the_partitions() {
    let folder = Folder::new();
    let mut text = HEADER.to_owned();
    for row in 0..50_000 {
        text.push_str(&format!("key{row},{row},\"a\nb\"\n"));
    }
    text.push_str("short\n");
    text.push_str(&"x,1,2\n".repeat(10_000));
    let file = folder.file("deep.csv", &text);
    let line = 2 + 2 * 50_000;
    for partition in ["1000", "65536", "100000000"] {
        let error = error_of(&file, &["-q", "count(*)", "--piece-bytes", partition]);
        assert_says(&error, &["record 50001", &format!("line {line}"), "1 field, too few"]);
    }
}

#[test]
fn an_unterminated_quote_is_located_at_its_opening() {
    let folder = Folder::new();
    let file = folder.file("quote.csv", format!("{HEADER}a,1,2\nb,\"1,2\nc,1,2\n"));
    assert_says(&error_of(&file, &COUNT), &["quote.csv", "line 3", "never closed", "--quote"]);
}

#[test]
fn text_after_a_closing_quote_is_an_error() {
    let folder = Folder::new();
    let file = folder.file("after.csv", format!("{HEADER}\"a\"b,1,2\n"));
    assert_says(&error_of(&file, &COUNT), &["line 2", "closing quote"]);
}

#[test]
fn invalid_utf8_is_read_with_one_warning_or_refused_when_declared() {
    let folder = Folder::new();
    let file = folder.file("latin.csv", b"k,i\nA,1\nM\xFCnchen,2\n\xE9t\xE9,3\n");
    let (stdout, stderr) = answer(&file, &["-q", "k", "--format", "csv"]);
    assert_eq!(stdout, "k\nA\nMünchen\nété\n");
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    assert_says(&stderr, &["latin.csv", "line 3", "`k`", "2 fields", "windows-1252"]);
    let error = error_of(&file, &["-q", "k", "--encoding", "utf-8"]);
    assert_says(&error, &["latin.csv", "line 3", "`k`", "encoding"]);
    let (_, silent) = answer(&file, &["-q", "sum(i)", "--encoding", "utf-8"]);
    assert!(silent.is_empty(), "a column that no question uses stops nothing: {silent}");
}

#[test]
fn nul_bytes_are_data_in_text_and_misfits_in_numbers() {
    let folder = Folder::new();
    let file = folder.file("nul.csv", b"k,i\na\0b,1\nc,2\n");
    assert_eq!(answer(&file, &["-q", "max(i) as hi", "--format", "csv"]).0, "hi\n2\n");
    let file = folder.file("nul2.csv", b"k,i\na,1\nb,\0\n");
    assert_says(&error_of(&file, &["-q", "sum(i)", "--types", "i=int64"]), &["line 3", "`i`"]);
}

#[test]
fn a_late_value_that_is_no_number_is_located_with_the_remedies() {
    let folder = Folder::new();
    let mut text = HEADER.to_owned();
    for row in 0..200_000 {
        text.push_str(&format!("a,{row},0.5\n"));
    }
    text.push_str("b,12 knots,1\n");
    text.push_str(&"c,1,1\n".repeat(20_000));
    let file = folder.file("late.csv", &text);
    let error = error_of(&file, &["-q", "mean(i)"]);
    assert_says(&error, &["late.csv", "line 200002", "`i`", "12 knots", "--types", "--null"]);
    let alone = answer(&file, &["-q", "max(i) as hi", "--format", "csv"]).0;
    assert_eq!(alone, "hi\n99999\n", "as text, bytewise, as if known from the start");
    let (both, warnings) = answer(&file, &["-q", "max(i) as hi", "-q", "count(*) as n, sum(x)", "--format", "csv"]);
    assert!(both.starts_with("hi\n99999\n"), "{both}");
    assert_eq!(warnings.matches("warning").count(), 1, "{warnings}");
    let (nulled, _) = answer(&file, &["-q", "count(i) as n", "--null", "12 knots", "--format", "csv"]);
    assert_eq!(nulled, "n\n220000\n");
    let unused = answer(&file, &["-q", "count(*) as n", "--format", "csv"]).0;
    assert_eq!(unused, "n\n220001\n");
}

#[test]
fn a_late_double_widens_integers_as_if_known_from_the_start() {
    let folder = Folder::new();
    let mut text = "i\n".to_owned();
    text.push_str(&"1\n".repeat(100_000));
    text.push_str("2.5\n");
    text.push_str(&"1\n".repeat(100_000));
    let file = folder.file("widen.csv", &text);
    let (stdout, stderr) = answer(&file, &["-q", "sum(i) as s, max(i) as hi", "--format", "csv"]);
    assert_eq!(stdout, "s,hi\n200002.5,2.5\n");
    assert_says(&stderr, &["warning", "line 100002", "Float64"]);
}

#[test]
fn a_declared_type_makes_a_misfit_an_error() {
    let folder = Folder::new();
    let file = folder.file("declared.csv", "i\n1\n2\nx\n");
    let error = error_of(&file, &["-q", "sum(i)", "--types", "i=int64"]);
    assert_says(&error, &["declared.csv", "line 4", "`i`", "\"x\"", "Int64"]);
    let error = usage_error_of(&file, &["-q", "sum(i)", "--types", "j=int64"]);
    assert_says(&error, &["`j`", "no such column"]);
}

fn table(records: usize) -> String {
    let mut text = HEADER.to_owned();
    let mut random = Random::new(7);
    for _ in 0..records {
        text.push_str(&format!("k{},{},{}\n", random.below(50), random.below(10_000), random.below(1000)));
    }
    text
}

#[test]
fn truncated_streams_never_give_an_answer() {
    let folder = Folder::new();
    let text = table(30_000);
    for ending in ["csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"] {
        let mut random = Random::new(1);
        let stored = compress(text.as_bytes(), ending, &mut random);
        for cut in [stored.len() / 2, stored.len() - 1, stored.len() - 5, stored.len() - 11] {
            let file = folder.file(&format!("cut.{ending}"), &stored[..cut]);
            let error = error_of(&file, &COUNT);
            assert_says(&error, &[&format!("cut.{ending}")]);
        }
    }
}

#[test]
fn flipped_bits_never_give_a_wrong_answer() {
    let folder = Folder::new();
    let text = table(3_000);
    for ending in ["csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"] {
        let whole = {
            let mut random = Random::new(3);
            let mut encoded = compress(text.as_bytes(), ending, &mut random);
            if ending == "csv.zst" {
                // zstd checks content only when asked to.
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(true).unwrap();
                std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
                encoded = encoder.finish().unwrap();
            }
            encoded
        };
        let right = answer(&folder.file(&format!("whole.{ending}"), &whole), &["-q", "count(*), sum(i), sum(x)"]).0;
        let mut random = Random::new(9);
        for _ in 0..25 {
            let mut damaged = whole.clone();
            let at = random.below(damaged.len());
            damaged[at] ^= 1 << random.below(8);
            let file = folder.file(&format!("flip.{ending}"), &damaged);
            let output = ask(&file, &["-q", "count(*), sum(i), sum(x)"]);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{stderr}");
            match output.status.code() {
                // Damage within a sample can make a column look like text; then the question is refused.
                Some(1 | 2) => assert!(output.stdout.is_empty()),
                Some(0) => {
                    assert_eq!(String::from_utf8_lossy(&output.stdout), right, "byte {at} of {ending}\n{stderr}")
                }
                other => panic!("exit {other:?}: {stderr}"),
            }
        }
    }
}

#[test]
fn empty_streams_hold_no_records_and_garbage_after_the_end_is_ignored_with_a_warning() {
    let folder = Folder::new();
    for ending in ["csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"] {
        let mut random = Random::new(5);
        let empty = compress(b"", ending, &mut Random::new(2));
        let mut stored = empty.clone();
        stored.extend(compress(table(100).as_bytes(), ending, &mut random));
        stored.extend(&empty);
        let (stdout, _) = answer(&folder.file(&format!("streams.{ending}"), &stored), &COUNT);
        assert_eq!(stdout, "n\n100\n", "{ending}");
        assert_says(&error_of(&folder.file(&format!("none.{ending}"), &empty), &COUNT), &["empty"]);
        stored.extend_from_slice(b"garbage");
        let (stdout, stderr) = answer(&folder.file(&format!("garbage.{ending}"), &stored), &COUNT);
        assert_eq!(stdout, "n\n100\n", "{ending}");
        assert_says(&stderr, &["warning", "garbage.", "ignored"]);
    }
}

#[test]
fn compression_is_told_by_content_not_by_name() {
    let folder = Folder::new();
    let stored = compress(table(10).as_bytes(), "csv.bz2", &mut Random::new(1));
    assert_eq!(answer(&folder.file("wrong.csv.gz", &stored), &COUNT).0, "n\n10\n");
    assert_eq!(answer(&folder.file("wrong.csv.bz2", table(10)), &COUNT).0, "n\n10\n");
    assert_says(&error_of(&folder.file("a.csv", b"PK\x03\x04....."), &COUNT), &["zip", "not supported"]);
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let file = folder.file("secret.csv", HEADER);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&file).is_ok() {
        // The superuser may read everything; a directory posing as a file will do instead.
        let posing = folder.0.path().join("posing.csv");
        std::fs::create_dir(&posing).unwrap();
        assert_says(&error_of(&posing, &COUNT), &["posing.csv"]);
        return;
    }
    assert_says(&error_of(&file, &COUNT), &["secret.csv", "ermission"]);
}

#[test]
fn files_with_other_columns_are_refused_and_other_orders_are_not() {
    let folder = Folder::new();
    folder.file("1.csv", "a,b\n1,2\n");
    folder.file("2.csv", "b,a\n20,10\n");
    let (stdout, _) = answer(&folder.0.path().join("*.csv"), &["-q", "sum(a) as a, sum(b) as b", "--format", "csv"]);
    assert_eq!(stdout, "a,b\n11,22\n");
    folder.file("3.csv", "a,c\n1,2\n");
    assert_says(&error_of(&folder.0.path().join("*.csv"), &COUNT), &["3.csv", "`c`", "1.csv"]);
}

#[test]
fn a_blank_line_in_one_column_is_a_record_and_in_many_is_skipped() {
    let folder = Folder::new();
    assert_eq!(answer(&folder.file("one.csv", "a\n1\n\n3\n"), &COUNT).0, "n\n3\n");
    assert_eq!(answer(&folder.file("two.csv", "a,b\n1,2\n\n3,4\n"), &COUNT).0, "n\n2\n");
}

#[test]
fn an_error_behind_the_rows_that_a_limit_wants_is_not_reached() {
    let folder = Folder::new();
    let file = folder.file("tail.csv", "a,b\n1,2\n3,4\n5\n");
    for partition in ["1", "1000000"] {
        let arguments = ["-q", "a, b limit 2", "--format", "csv", "--piece-bytes", partition];
        assert_eq!(answer(&file, &arguments).0, "a,b\n1,2\n3,4\n");
        assert_says(&error_of(&file, &["-q", "a limit 3", "--piece-bytes", partition]), &["line 4"]);
    }
}

#[test]
fn arithmetic_errors_are_located_at_the_first_row() {
    let folder = Folder::new();
    let mut text = "a,b\n".to_owned();
    text.push_str(&"6,3\n".repeat(5000));
    text.push_str("1,0\n");
    text.push_str(&"6,3\n".repeat(5000));
    text.push_str("1,0\n");
    let file = folder.file("zero.csv", &text);
    for partition in ["64", "4096", "1000000"] {
        let error = error_of(&file, &["-q", "sum(a // b)", "--piece-bytes", partition]);
        assert_says(&error, &["zero.csv", "line 5002", "zero"]);
    }
}

#[test]
fn another_delimiter_and_lone_carriage_returns_are_told_unless_sniffing_is_off() {
    let folder = Folder::new();
    let question = ["-q", "sum(v) as s", "--format", "csv"];
    for (name, text) in [
        ("cr.csv", "g,v\r1,3\r1,4\r"),
        ("semi.csv", "g;v\n1;3\n1;4\n"),
        ("tabs.tsv", "g\tv\n1\t3\n1\t4\n"),
        ("tabs.csv", "g\tv\n1\t3\n1\t4\n"),
    ] {
        assert_eq!(answer(&folder.file(name, text), &question), ("s\n7\n".to_owned(), String::new()), "{name}");
    }
    let (stdout, stderr) = answer(&folder.0.path().join("semi.csv"), &[&COUNT[..], &["--no-sniff"]].concat());
    assert_eq!(stdout, "n\n2\n");
    assert_says(&stderr, &["warning", "g;v", "--delimiter ';'"]);
}

#[test]
fn a_text_among_the_numbers_of_a_sample_is_named_when_a_number_is_needed() {
    let folder = Folder::new();
    let file = folder.file("mixed.csv", "k,i\na,1\nb,2\nc,oops\nd,4\n");
    let error = usage_error_of(&file, &["-q", "mean(i) by k"]);
    assert_says(&error, &["mean", "`i` is text", "mixed.csv, line 4", "oops", "--null"]);
    assert_eq!(
        answer(&file, &["-q", "mean(i) as m", "--null", "oops", "--format", "csv"]).0,
        "m\n2.3333333333333335\n"
    );
}
