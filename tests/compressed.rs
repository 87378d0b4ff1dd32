//! The same table by many compressors (testdata/compressed): whole, one behind another, with something behind it.

use outcrop::Result;
use outcrop::exec::RunStatistics;
use outcrop::frame::{Run, Runner, scan_csv};
use std::path::{Path, PathBuf};

/// Records, sum of DepDelay, sum of Distance: counted with awk when the files were made.
const FACTS: [i64; 3] = [2400, 22006, 1_802_880];

fn corpus() -> Vec<PathBuf> {
    let files = std::fs::read_dir("testdata/compressed").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    assert_eq!(files.len(), 16);
    files
}

fn ask(file: &Path, threads: usize) -> ([i64; 3], Vec<String>, RunStatistics) {
    let table = scan_csv(file).unwrap();
    let questions = (table.count(), table.sum("DepDelay"), table.sum("Distance"));
    let run: Run<(i64, i64, i64)> = Runner::new().threads(threads).piece_bytes(10_000).run(questions).unwrap();
    let warnings = run.warnings.iter().map(ToString::to_string).collect();
    ([run.value.0, run.value.1, run.value.2], warnings, run.statistics)
}

#[test]
fn every_compressor_gives_the_same_answers() {
    for file in corpus() {
        for threads in [1, 3] {
            let (answers, warnings, _) = ask(&file, threads);
            assert_eq!(answers, FACTS, "{file:?}");
            assert!(warnings.is_empty(), "{file:?}: {warnings:?}");
        }
    }
}

#[test]
fn files_of_one_format_may_stand_one_behind_another() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["bz2", "gz", "zst", "xz", "lz4"] {
        let mut all = Vec::new();
        let mut copies = 0;
        for file in corpus().iter().filter(|file| file.extension().is_some_and(|other| other == ending)) {
            all.extend(std::fs::read(file).unwrap());
            copies += 1;
        }
        // Headers in mid-stream may count as records or not.
        let path = folder.path().join(format!("all.{ending}"));
        std::fs::write(&path, &all).unwrap();
        let table = scan_csv(&path).unwrap();
        let run: Run<i64> = Runner::new().threads(2).run(table.count()).unwrap();
        let records = run.value;
        assert!((2400 * copies..2401 * copies).contains(&records), "{ending}: {records}");
        assert_eq!(run.statistics.bytes_stored, all.len() as u64);
    }
}

#[test]
fn garbage_behind_the_end_is_a_warning_and_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    for file in corpus() {
        let whole = std::fs::read(&file).unwrap();
        let path = folder.path().join(file.file_name().unwrap());
        std::fs::write(&path, [&whole[..], b"garbage\n"].concat()).unwrap();
        let (answers, warnings, _) = ask(&path, 2);
        assert_eq!(answers, FACTS, "{file:?}");
        assert!(warnings.len() == 1 && warnings[0].contains("8 bytes after the last"), "{file:?}: {warnings:?}");
        // What is cut is an error, and never an answer.
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let cut = scan_csv(&path).and_then(|table| -> Result<Run<i64>> { Runner::new().run(table.count()) });
        assert!(cut.is_err(), "{file:?}");
    }
}
