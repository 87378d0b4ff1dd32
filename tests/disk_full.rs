//! Disks that are really full: a small file system in memory, mounted in a namespace of its own, and a limit on the size of
//! files. Whatever is being written, the run ends with one clear error that tells sizes, and leaves nothing behind.

#![cfg(target_os = "linux")]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

/// What cannot be written, and the words of a shell that try. `$P` is the program, `$IN` the input, `$OUT` the folder
/// without room, where temporary files go, too.
const CASES: [(&str, &str); 6] = [
    ("spilling", "$P ask $IN -q '* sort t, i' --memory 8MiB"),
    ("spilling for a result that is written", "$P ask $IN -q '* sort t, i' --memory 8MiB -o $ELSEWHERE/sorted.csv"),
    ("a result", "$P ask $IN -q '*' -o $OUT/all.csv"),
    ("a result in columns", "$P ask $IN -q '*' -o $OUT/all.parquet"),
    ("rejects", "$P ask $IN --types t=int64 --malformed skip --rejects $OUT/rejects.csv -q 'sum(t)'"),
    ("a pipe", "cat $IN | $P ask - -q 'count(*)' -q 'median(i) by t'"),
];

fn input(folder: &Path) {
    let mut text = String::from("i,t,x\n");
    for row in 0..200_000_u64 {
        let number = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(text, "{row},a text like no other {number:016x},{}.25", number % 1000).unwrap();
    }
    std::fs::write(folder.join("in.csv"), text).unwrap();
}

/// Runs `script` before which `setting` is done, and then lists what stands in the folder without room.
fn run(setting: &str, script: &str, folder: &Path, wrap: &[&str]) -> Output {
    let script = format!("{setting}\n{script} >/dev/null\nCODE=$?\nls -A $OUT $ELSEWHERE\nexit $CODE");
    let mut words = wrap.to_vec();
    words.extend(["sh", "-c", &script]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("P", env!("CARGO_BIN_EXE_outcrop")).env("IN", folder.join("in.csv"));
    let out = folder.join("out");
    command.env("OUT", &out).env("OUTCROP_TMPDIR", &out).env("ELSEWHERE", folder.join("elsewhere")).output().unwrap()
}

fn check(how: &str, setting: &str, wrap: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    input(folder.path());
    for place in ["out", "elsewhere"] {
        std::fs::create_dir(folder.path().join(place)).unwrap();
    }
    for (what, script) in CASES {
        let Output { status, stdout, stderr } = run(setting, script, folder.path(), wrap);
        let (listed, said) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(1), "{how}, {what}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{how}, {what}: {said}");
        let told = ["space", "too large", "too little", "than", "full"].iter().any(|word| said.contains(word));
        assert!(told, "{how}, {what}: {said}");
        let sized = said.split_whitespace().any(|word| word.contains("KiB") || word.contains("MiB") || word == "bytes");
        assert!(sized, "{how}, {what} tells no size: {said}");
        let names: Vec<&str> = listed.lines().filter(|line| !line.is_empty() && !line.ends_with(':')).collect();
        assert!(names.is_empty(), "{how}, {what} leaves {names:?}");
    }
}

#[test]
fn a_full_file_system_ends_a_run_with_one_clear_error_and_leaves_nothing() {
    let wrap = ["unshare", "--map-root-user", "--mount"];
    let probe = Command::new(wrap[0]).args(&wrap[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: this system lets nobody mount a file system in a namespace of its own ({probe:?})");
        return;
    }
    check("a full file system", "mount -t tmpfs -o size=1m none $OUT", &wrap);
}

#[test]
fn a_limit_on_the_size_of_files_does_so_too() {
    // 512 bytes each.
    check("a limit on files", "trap '' XFSZ; ulimit -f 1000", &["env"]);
}
