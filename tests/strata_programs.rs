//! Whole groups, given to programs: `outcrop strata`.

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A table of flights from 2000 to 2008, some each month.
fn flights() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut text = "Year,Month,ArrDelay,TailNum\n".to_owned();
        for row in 0..2500 {
            let (year, month) = (2000 + row % 9, 1 + row / 9 % 12);
            let delay = if row % 11 == 0 { "NA".to_owned() } else { (row * 37 % 200 - 50).to_string() };
            text.push_str(&format!("{year},{month},{delay},N{}\n", row % 97));
        }
        let file = format!("{}/flights-{}.csv", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        fs::write(&file, text).unwrap();
        file
    })
}

fn strata(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("outcrop").unwrap();
    command.args(["strata", flights()]).args(words);
    command
}

fn printed(words: &[&str]) -> String {
    let output = strata(words).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

fn refused(words: &[&str], code: i32) -> String {
    let output = strata(words).assert().code(code).get_output().clone();
    assert_eq!(output.stdout, b"", "nothing was written");
    String::from_utf8(output.stderr).unwrap()
}

/// A program that prints a different table for two years.
const CASES: &str = r#"case "$OUTCROP_STRATUM" in
    *2003) printf 'a,b\n1.50,x\n' ;;
    *2004) printf 'b,a\nx,zz\ny,\n' ;;
    *2005) ;;
    *) printf 'a,b\n007,x\n' ;;
esac"#;

#[test]
fn results_stand_in_the_order_of_keys_and_keep_their_digits() {
    let lines = printed(&["--by", "Year", "--columns", "Month", "--exec", CASES]);
    let expected = "Year,a,b\n2000,007,x\n2001,007,x\n2002,007,x\n2003,1.50,x\n2004,zz,x\n2004,,y\n2006,007,x\n2007,007,x\n2008,007,x\n";
    assert_eq!(lines, expected);
    let some =
        printed(&["--by", "Year + 0 as y", "--where", "Year in (2001, 2003)", "--exec", CASES, "--workers", "1"]);
    assert_eq!(some, "y,a,b\n2001,007,x\n2003,1.50,x\n");
}

#[test]
fn output_goes_where_and_how_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.parquet");
    strata(&["--by", "Year", "--exec", CASES, "-o", file.to_str().unwrap(), "--stats=json"]).assert().success();
    let words = ["ask", file.to_str().unwrap(), "-q", "count(*) as n, min(a)", "--format", "json"];
    Command::cargo_bin("outcrop")
        .unwrap()
        .args(words)
        .assert()
        .success()
        .stdout("[\n{\"n\":9,\"min(a)\":\"007\"}\n]\n");
    let json = printed(&["--by", "Year", "--where", "Year = 2004", "--exec", CASES, "--format", "ndjson"]);
    assert_eq!(json, "{\"Year\":2004,\"b\":\"x\",\"a\":\"zz\"}\n{\"Year\":2004,\"b\":\"y\",\"a\":null}\n");
}

#[test]
fn programs_that_fail_cost_their_stratum() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let command = |what: &str| {
        format!("echo x >> {}; case $OUTCROP_STRATUM in *2003) {what} ;; *) printf 'n\\n1\\n' ;; esac", log.display())
    };
    for (what, told) in [
        ("echo broken >&2; exit 3", "Year = 2003 (2 attempts): the program ended with exit status 3; it said:\nbroken"),
        ("kill -SEGV $$", "Year = 2003 (2 attempts): the program was ended by signal 11"),
        ("kill -9 $$", "was killed (signal 9), perhaps because memory ran out"),
        ("sleep 100", "the program did not end within 3 s"),
        ("sleep 100 | cat", "the program did not end within 3 s"),
        ("printf 'a,b\\n1\\n'", "the program printed what is no table: its output, record 1, line 2"),
        ("printf 'ARROW1garbage'", "the program printed what is no table"),
        ("printf 'Year\\n1\\n'", "`Year`, which is a key"),
    ] {
        fs::write(&log, "").unwrap();
        let exec = command(what);
        let waits = what.starts_with("sleep");
        let limit = if waits { "3s" } else { "5m" };
        let words = ["--by", "Year", "--columns", "Month", "--exec", &exec, "--retries", "1", "--task-timeout", limit];
        let said = refused(&words, 1);
        assert!(said.contains(told), "{what}: {said}");
        let expected = 8 + 2;
        assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), expected, "{what}: the others were done once");
        if waits {
            continue;
        }
        let skipping = [&words[..], &["--on-error", "skip"]].concat();
        let output = strata(&skipping).assert().success().get_output().clone();
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 9, "{what}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("warning: left out: stratum Year = 2003"), "{what}");
    }
    let words = ["--by", "Year", "--exec", &command("printf 'm\\n1\\n'")];
    let said = refused(&words, 1);
    assert!(said.contains("error: stratum Year = 2003: ") && said.contains("Year = 2003 has no column `n`"), "{said}");
    assert!(said.contains("hint: the first line that a program prints names its columns"), "{said}");
    let output = strata(&[&words[..], &["--on-error", "skip"]].concat()).assert().success().get_output().clone();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.starts_with("Year,n\n2000,1\n") && lines.lines().count() == 9, "{lines}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: left out: stratum Year = 2003: results do not go together"), "{said}");
}

#[test]
fn a_program_that_fails_once_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let exec = format!(
        "f={}/$(printf %s \"$OUTCROP_STRATUM\" | tr -dc 0-9); if [ -e $f ]; then printf 'n\\n1\\n'; else touch $f; exit 1; fi",
        folder.path().display()
    );
    let lines = printed(&["--by", "Year", "--columns", "Month", "--exec", &exec, "--retries", "1"]);
    assert_eq!(lines.lines().count(), 10);
}

#[test]
fn what_is_typed_wrong_is_told_before_anything_is_read() {
    for (words, told) in [
        (&["--by", "Yeer", "--exec", "true"][..], "did you mean `Year`?"),
        (&["--by", "Year", "--columns", "ArrDely", "--exec", "true"], "did you mean `ArrDelay`?"),
        (&["--by", "Year where Month = 1", "--exec", "true"], "no other clauses"),
        (&["--by", "count(*)", "--exec", "true"], "no aggregates"),
        (&["--by", "Year", "--where", "Mont = 1", "--exec", "true"], "did you mean `Month`?"),
        (&["--by", "Year", "--exec", " "], "is empty"),
        (&["--by", "Year", "--exec", "true", "--task-timeout", "soon"], "a length of time"),
        (&["--by", "Year", "--exec", "true", "--allocation", "guided"], "static(N)"),
        (&["--by", "Year"], "--exec"),
    ] {
        let said = refused(words, 2);
        assert!(said.contains(told), "{words:?}: {said}");
    }
    let said = refused(&["--by", "Year", "--exec", "no-such-program-here {}"], 1);
    assert!(said.contains("the program was not found: no-such-program-here"), "{said}");
}

#[test]
fn strata_that_all_fail_and_programs_that_print_no_header_are_told_of() {
    let said = refused(&["--by", "Year", "--exec", "exit 3", "--on-error", "skip"], 1);
    assert!(said.contains("stratum Year = 2000") && said.contains("(8 more strata failed)"), "{said}");
    for (exec, line) in [("echo 3.5", "3.5"), ("printf 'AA,3.5\\nUA,7.25\\n'", "AA,3.5")] {
        let said = refused(&["--by", "Year", "--exec", exec], 1);
        let told = format!(
            "stratum Year = 2000: the program printed what is no table: its first line holds values, not the names of \
             columns: {line}"
        );
        assert!(said.contains(&told) && said.contains("hint: have it print a line of names first"), "{said}");
    }
    let output = strata(&["--by", "Year", "--exec", "echo fine"]).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Year,fine\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: no stratum gave a row; the first line that a program prints names"), "{said}");
}

#[test]
fn programs_may_print_other_dialects() {
    for exec in [
        "printf 'n;mean\\n3;1,5\\n4;2,25\\n'",
        "printf 'n\\tmean\\n3\\t1.5\\n4\\t2.25\\n'",
        "printf '\"n\" \"mean\"\\n3 1.5\\n4 2.25\\n'",
    ] {
        let lines = printed(&["--by", "Year", "--where", "Year = 2001", "--exec", exec]);
        assert_eq!(lines, "Year,n,mean\n2001,3,1.5\n2001,4,2.25\n", "{exec}");
    }
    let lines = printed(&["--by", "Year", "--where", "Year = 2001", "--exec", "printf 'n;mean\\n3;1,5\\n'"]);
    assert_eq!(lines, "Year,n,mean\n2001,3,1.5\n", "also of one row");
    let said = refused(&["--by", "Year", "--exec", "printf 'a,b\\n1,2,3\\n4,5\\n'"], 1);
    assert!(
        said.contains("its output") && said.contains("hint: programs print") && !said.contains("--malformed"),
        "hints about files do not apply: {said}"
    );
}

#[test]
fn what_programs_say_is_handed_on() {
    let exec = r#"echo "fitting $OUTCROP_STRATUM" >&2; echo loading >&2; printf 'n\n1\n'"#;
    let words = ["--by", "Year", "--columns", "Month", "--exec", exec];
    let output = strata(&words).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("[Year = 2003] fitting Year = 2003\n[Year = 2003] loading\n"), "{said}");
    assert_eq!(said.lines().count(), 18);
    let output = strata(&[&words[..], &["--quiet"]].concat()).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let exec = "for i in $(seq 3000); do echo line $i >&2; done; printf 'n\\n1\\n'";
    let output = strata(&["--by", "Year", "--exec", exec]).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.len() < 20_000 && said.contains("] …\n") && said.contains("] line 3000\n"), "{said}");
    assert!(said.contains("warning: the programs of 8 more groups said on stderr what that of Year = "), "{said}");
}

#[test]
fn statistics_tell_of_groups() {
    let exec = "case $OUTCROP_STRATUM in *2003) exit 3 ;; *) printf 'n\\n1\\n' ;; esac";
    let words = ["--by", "Year", "--columns", "Month", "--exec", exec, "--retries", "1", "--on-error", "skip"];
    let output =
        strata(&[&words[..], &["--stats=json", "--workers", "2"]].concat()).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    let stats: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let figure = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(
        ["strata", "strata_attempts", "strata_failed", "strata_workers", "strata_bytes_disk", "passes"].map(figure),
        [9, 10, 1, 2, 0, 1]
    );
    assert!(figure("strata_bytes_memory") > 2500 * 8 && stats["strata_seconds_busy"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_program_cannot_print_more_than_there_is_memory_for() {
    let words =
        ["--by", "Year", "--columns", "Month", "--where", "Year = 2001", "--exec", "yes 1,2", "--memory", "60MiB"];
    let said = refused(&words, 1);
    assert!(said.contains("printed too much"), "{said}");
    let said = refused(&[&words[..], &["--on-error", "skip"]].concat(), 1);
    assert!(said.contains("printed too much"), "a lack of memory is the run's, and costs no stratum: {said}");
}

#[test]
fn the_number_of_workers_and_the_allocation_do_not_show() {
    let exec = "printf 'bytes\\n'; wc -c < {}";
    let run =
        |more: &[&str]| printed(&[&["--by", "Year,Month", "--columns", "ArrDelay", "--exec", exec], more].concat());
    let expected = run(&["--workers", "1"]);
    assert_eq!(expected.lines().count(), 1 + 9 * 12);
    for more in [&["--workers", "8"][..], &["--allocation", "static(3)", "--workers", "3"], &["--memory", "60MiB"]] {
        assert_eq!(run(more), expected, "{more:?}");
    }
}

/// Processes of a group that are not dead.
fn alive(group: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = rest.split(' ').collect();
        if fields[2] == group.to_string() && fields[0] != "Z" && fields[0] != "X" {
            found.push(stat);
        }
    }
    found
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A run whose programs write their group to `log` and then wait, with others, for long.
fn endless(log: &Path, tail: &str) -> (Child, Vec<u32>) {
    let exec = format!("echo $$ >> {}; {tail}", log.display());
    let child = std::process::Command::new(cargo_bin("outcrop"))
        .args(["strata", flights(), "--by", "Year", "--columns", "Month", "--workers", "3"])
        .args(["--exec", &exec])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let groups = || -> Vec<u32> {
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    wait_until("programs run", || groups().len() == 3);
    let groups = groups();
    wait_until("they wait", || groups.iter().all(|group| alive(*group).len() >= 2));
    (child, groups)
}

#[cfg(target_os = "linux")]
#[test]
fn no_program_outlives_a_run_that_is_killed_or_interrupted() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, tail) in [
        (Signal::KILL, "sleep 1000 | sleep 1000"),
        (Signal::INT, "sleep 1000 | sleep 1000"),
        (Signal::TERM, "trap '' TERM INT HUP; sleep 1000; sleep 1000"),
        (Signal::KILL, "(trap '' HUP; sleep 1000 & sleep 1000); sleep 1000"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, groups) = endless(&folder.path().join("log"), tail);
        kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
        let status = child.wait().unwrap();
        if signal == Signal::INT {
            assert_eq!(status.code(), Some(130));
        }
        wait_until(&format!("all are gone, {signal:?} {tail}"), || groups.iter().all(|group| alive(*group).is_empty()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_program_leaves_behind_is_ended_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // The ones left behind hold the pipes open; one is in another group and ends when nobody reads any more.
    for left in ["sleep 1000", "while :; do echo x >&2; sleep 0.002; done", "setsid sh -c 'while echo 9; do :; done'"] {
        let exec = format!("echo $$ >> {}; printf 'n\\n1\\n'; {left} & sleep 0.1", log.display());
        let words = ["--by", "Year", "--columns", "Month", "--exec", &exec];
        let output = strata(&words).timeout(Duration::from_secs(60)).assert().success().get_output().clone();
        let lines = String::from_utf8(output.stdout).unwrap().lines().count();
        assert!(lines == 10 || left.starts_with("setsid") && lines > 10, "{left}: {lines}");
    }
    for group in fs::read_to_string(&log).unwrap().lines() {
        wait_until("it is gone", || alive(group.parse().unwrap()).is_empty());
    }
}

/// A Python that has pyarrow: `$OUTCROP_TEST_PYTHON`, else `python3`.
fn python() -> Option<String> {
    let python = std::env::var("OUTCROP_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = std::process::Command::new(&python).args(["-c", "import pyarrow"]).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} has no pyarrow; OUTCROP_TEST_PYTHON names one that has");
    None
}

#[test]
fn pyarrow_maps_a_stratum_without_allocating() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("look.py");
    let text = "\
import os, sys, pyarrow as pa
rows = pa.ipc.open_file(pa.memory_map(sys.argv[1])).read_all()
rows.validate(full=True)
allocated = pa.total_allocated_bytes()
try:
    os.pwrite(os.open(sys.argv[1], os.O_RDWR), b'x', 0)
    sealed = 'no'
except OSError:
    sealed = 'yes'
delays = [delay for delay in rows['ArrDelay'].to_pylist() if delay is not None]
print('n,mean,first,allocated,sealed')
print(rows.num_rows, sum(delays) / len(delays), rows['TailNum'][0], allocated, sealed, sep=',')
";
    fs::write(&script, text).unwrap();
    let exec = format!("{python} {} {{}}", script.display());
    let found = printed(&["--by", "Year", "--columns", "ArrDelay,TailNum", "--exec", &exec]);
    let question = "count(*) as n, mean(ArrDelay) as mean, first(TailNum) as first by Year";
    let words = ["ask", flights(), "-q", question, "--format", "csv"];
    let asked = Command::cargo_bin("outcrop").unwrap().args(words).assert().success().get_output().stdout.clone();
    let asked = String::from_utf8(asked).unwrap();
    let mut lines = asked.lines().map(|line| format!("{line},0,yes\n"));
    let header = lines.next().unwrap().replace(",0,yes", ",allocated,sealed");
    assert_eq!(found, header + &lines.collect::<String>());
}

#[test]
fn a_stratum_on_standard_input_is_the_same_file() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("double.py");
    let text = "\
import sys, pyarrow as pa
rows = pa.ipc.open_file(pa.memory_map('/dev/stdin')).read_all()
out = pa.table({'rows': pa.array([rows.num_rows], pa.int32()), 'text': ['ä']})
writer = pa.ipc.new_stream(sys.stdout.buffer, out.schema)
writer.write_table(out)
writer.close()
";
    fs::write(&script, text).unwrap();
    let exec = format!("{python} {}", script.display());
    let found = printed(&["--by", "Year", "--where", "Year < 2002", "--columns", "Month", "--exec", &exec]);
    let words = ["ask", flights(), "-q", "count(*) as rows by Year where Year < 2002", "--format", "csv"];
    let asked = Command::cargo_bin("outcrop").unwrap().args(words).assert().success().get_output().stdout.clone();
    let asked = String::from_utf8(asked).unwrap();
    assert_eq!(found, asked.replace('\n', ",ä\n").replace("rows,ä", "rows,text"));
}
