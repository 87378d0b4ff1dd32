//! Memory and open files do not grow with the number of folders that are written.
#![cfg(all(feature = "cli", target_os = "linux"))]

use outcrop::frame::Runner;
use outcrop::scan_csv;
use outcrop::write::{FileFormat, WriteOptions};
use std::fmt::Write;
use std::path::Path;

/// The most memory that this process has held at any time.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries(folder).flat_map(|folder| entries(&folder).collect::<Vec<_>>()).collect()
}

/// The only test of this program, so that the peak is its own.
#[test]
fn a_row_in_each_of_very_many_folders_costs_little_more_than_its_values() {
    const FOLDERS: usize = 4_000;
    const ROWS: usize = 400_000;
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("k,n,x\n");
    for row in 0..ROWS {
        // Neighbours never share a folder.
        writeln!(text, "{},{row},{}.5", row * 7919 % FOLDERS, row % 100).unwrap();
    }
    std::fs::write(folder.path().join("in.csv"), &text).unwrap();
    drop(text);
    let all = scan_csv(folder.path().join("in.csv")).unwrap();
    let out = folder.path().join("out");
    let options = WriteOptions::new(FileFormat::Csv).partition_by(["k"]);
    let before = peak_bytes();
    let run = Runner::new().threads(2).write(&all, &out, options).unwrap();
    let grown = peak_bytes() - before;
    assert_eq!((run.value.rows, run.value.files), (ROWS as u64, FOLDERS as u64));
    let lines = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap().lines().count() - 1;
    assert_eq!(files(&out).iter().map(lines).sum::<usize>(), ROWS);
    assert!(grown < 100 << 20, "400,000 rows of 24 bytes made memory grow by {} MiB", grown >> 20);
}
