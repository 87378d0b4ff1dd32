//! Sets of more files than a process may have open.
#![cfg(all(feature = "cli", unix))]

mod common;

use common::{Random, compress};

#[test]
fn a_set_may_have_more_files_than_a_process_may_open() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..120 {
        let ending = ["csv", "csv.bz2", "csv.gz", "csv.zst", "csv.xz", "csv.lz4"][at % 6];
        let stored = compress(format!("i\n{at}\n").as_bytes(), ending, &mut Random::new(at as u64));
        std::fs::write(folder.path().join(format!("{at}.{ending}")), stored).unwrap();
    }
    let program = assert_cmd::cargo::cargo_bin("outcrop");
    let question = r#"ulimit -n 40 && exec "$0" ask "$1"/* -q 'count(*) as n, sum(i) as s' --format csv"#;
    let mut shell = std::process::Command::new("sh");
    let output = shell.arg("-c").arg(question).arg(program).arg(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n,s\n120,7140\n");
}
