//! The program as a user drives it: answers, formats, outputs, statistics, exit codes.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::io::Read;

const AIR: &str = "testdata/airline/*.csv.bz2";

fn outcrop(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap()
}

fn stdout_of(arguments: &[&str]) -> String {
    let output = outcrop(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout_of(arguments)).unwrap()
}

#[test]
fn the_three_questions_of_the_manual_are_answered_in_one_pass() {
    let output = outcrop(&[
        "ask",
        AIR,
        "-q",
        "min(DepDelay), max(DepDelay)",
        "-q",
        "count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 and DepDelay > 0 having n > 100 sort delay desc limit 3",
        "-q",
        "Year, Origin, Dest, ArrDelay where ArrDelay is not null sort ArrDelay desc limit 2",
        "--format",
        "json",
        "--stats=json",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers[0], json!([{"min(DepDelay)": -67, "max(DepDelay)": 1435}]));
    let carriers: Vec<&str> =
        answers[1].as_array().unwrap().iter().map(|row| row["UniqueCarrier"].as_str().unwrap()).collect();
    assert_eq!(carriers, ["OO", "MQ", "AS"]);
    assert_eq!(answers[1][0]["n"], 120);
    assert_eq!(answers[2][0], json!({"Year": 2008, "Origin": "CLT", "Dest": "MSP", "ArrDelay": 1016}));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let statistics: Value = serde_json::from_str(stderr.trim().lines().last().unwrap()).unwrap();
    assert_eq!(statistics["passes"], 1);
    assert_eq!(statistics["records_read"], 128_790);
    let (read, stored) = (statistics["bytes_read"].as_u64().unwrap(), statistics["bytes_stored"].as_u64().unwrap());
    assert!(read >= stored && read * 10 <= stored * 11, "{read} of {stored}");
}

#[test]
fn facts_of_the_sample_hold_in_the_language_of_questions() {
    let answer = json_of(&[
        "ask",
        AIR,
        "-q",
        "count(*) as n, sum(Year) as years, mean(ArrDelay > 15) as late",
        "--format",
        "json",
    ]);
    assert_eq!(answer[0]["n"], 128_790);
    assert_eq!(answer[0]["years"], 257_403_132);
    let late = answer[0]["late"].as_f64().unwrap();
    assert!((0.1..0.3).contains(&late));
}

#[test]
fn synonyms_and_clause_orders_mean_the_same() {
    let one = [
        "ask",
        "testdata/airline/2001.csv.bz2",
        "-q",
        "count(*) as n, avg(ArrDelay) as d by Origin where Dest = 'SFO' sort n desc, Origin limit 5",
    ];
    let two = [
        "ask",
        "testdata/airline/2001.csv.bz2",
        "-q",
        "LIMIT 5 ORDER BY n DESC, Origin WHERE Dest == \"SFO\" GROUP BY Origin SELECT",
    ];
    let other = [
        "ask",
        "testdata/airline/2001.csv.bz2",
        "-q",
        "count(*) as n, mean(ArrDelay) as d group by Origin limit 5 order by n desc, Origin where Dest == \"SFO\"",
    ];
    assert_eq!(stdout_of(&one), stdout_of(&other));
    assert_eq!(outcrop(&two).status.code(), Some(2), "a select list has no keyword");
}

#[test]
fn dates_group_and_print_as_iso_text() {
    let answer = json_of(&[
        "ask",
        "testdata/airline/2001.csv.bz2",
        "-q",
        "count(*) as n by date_trunc('month', make_date(Year, Month, DayofMonth)) as month limit 2",
        "--format",
        "json",
    ]);
    assert_eq!(answer[0]["month"], "2001-01-01");
    assert_eq!(answer[1]["month"], "2001-02-01");
}

#[test]
fn a_quoted_na_is_a_carrier_and_null_is_a_group() {
    let answer = json_of(&[
        "ask",
        "testdata/airline/carriers.csv",
        "-q",
        "Code, Description where Code = 'NA'",
        "--format",
        "json",
    ]);
    assert_eq!(answer.as_array().unwrap().len(), 1);
    let answer = json_of(&[
        "ask",
        "testdata/airline/2001.csv.bz2",
        "-q",
        "count(*) as n by ArrDelay is null as missing",
        "--format",
        "json",
    ]);
    assert_eq!(answer.as_array().unwrap().len(), 2);
}

#[test]
fn schema_head_count_and_explain_show_what_is_there() {
    let schema = stdout_of(&["schema", "testdata/airline/2001.csv.bz2", "--format", "csv"]);
    assert!(schema.contains("DepDelay,Int64\n") && schema.contains("UniqueCarrier,Utf8\n"), "{schema}");
    let head = stdout_of(&["head", "testdata/airline/carriers.csv", "-n", "2", "--format", "csv"]);
    assert_eq!(head, "Code,Description\n02Q,Titan Airways\n04Q,Tradewind Aviation\n");
    assert_eq!(stdout_of(&["count", AIR, "--format", "csv"]), "count\n128790\n");
    let plan = stdout_of(&["explain", AIR, "-q", "mean(ArrDelay) by UniqueCarrier", "-q", "max(DepDelay)"]);
    for words in ["pass 1", "22 files", "columns: 3 of 29", "UniqueCarrier", "question 2"] {
        assert!(plan.contains(words), "{words}\n{plan}");
    }
    assert!(!plan.contains("pass 2"), "{plan}");
}

#[test]
fn answers_go_to_a_file_each_and_the_ending_is_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = folder.path().join("q{}.json");
    let arguments = [
        "ask",
        "testdata/airline/carriers.csv",
        "-q",
        "count(*) as n",
        "-q",
        "max(Code)",
        "--output",
        pattern.to_str().unwrap(),
    ];
    assert_eq!(stdout_of(&arguments), "");
    let answer: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("q1.json")).unwrap()).unwrap();
    assert_eq!(answer, json!([{"n": 1491}]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left behind");
}

#[test]
fn a_file_of_questions_skips_comments() {
    let folder = tempfile::tempdir().unwrap();
    let questions = folder.path().join("questions");
    std::fs::write(&questions, "# how many\ncount(*) as n\n\nmax(Code) as last\n").unwrap();
    let answer =
        json_of(&["ask", "testdata/airline/carriers.csv", "-f", questions.to_str().unwrap(), "--format", "json"]);
    assert_eq!(answer.as_array().unwrap().len(), 2);
    assert_eq!(answer[0][0]["n"], 1491);
}

#[test]
fn every_question_is_checked_before_data_are_read() {
    let output = outcrop(&["ask", AIR, "-q", "count(*)", "-q", "mean(DepDelay) by", "--stats=json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("passes"));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let program = assert_cmd::cargo::cargo_bin("outcrop");
    let mut child = std::process::Command::new(program)
        .args(["ask", AIR, "-q", "*", "--format", "csv"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn streamed_rows_are_the_rows_of_the_file() {
    let rows = stdout_of(&["ask", "testdata/airline/1987.csv.bz2", "-q", "*", "--format", "csv", "--threads", "2"]);
    let mut text = String::new();
    bzip2::read::BzDecoder::new(std::fs::File::open("testdata/airline/1987.csv.bz2").unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let (mut ours, mut theirs) = (csv::Reader::from_reader(rows.as_bytes()), csv::Reader::from_reader(text.as_bytes()));
    let mut records = 0;
    for (our, their) in ours.records().zip(theirs.records()) {
        let their: Vec<String> =
            their.unwrap().iter().map(|field| if field == "NA" { String::new() } else { field.to_owned() }).collect();
        assert_eq!(our.unwrap().iter().collect::<Vec<_>>(), their);
        records += 1;
    }
    assert_eq!(records, text.lines().count() - 1);
}

#[test]
fn formats_agree_on_dates_nulls_and_special_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "d,x,t\n2001-02-03,nan,\"a,b\"\n,inf,\n2004-02-29,1.5,c\n").unwrap();
    let file = file.to_str().unwrap();
    let json = json_of(&["ask", file, "-q", "*", "--format", "json"]);
    assert_eq!(json[0], json!({"d": "2001-02-03", "x": "NaN", "t": "a,b"}));
    assert_eq!(json[1], json!({"d": null, "x": "Infinity", "t": null}));
    assert_eq!(json[2], json!({"d": "2004-02-29", "x": 1.5, "t": "c"}));
    assert!(stdout_of(&["ask", file, "-q", "*", "--format", "csv"]).contains("\"a,b\""));
    assert_eq!(stdout_of(&["ask", file, "-q", "*", "--format", "ndjson"]).lines().count(), 3);
    assert!(stdout_of(&["ask", file, "-q", "max(x), min(x)", "--format", "json"]).contains("NaN"));
}

#[test]
fn integer_sums_beyond_64_bits_are_errors_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("big.csv");
    std::fs::write(&file, "i\n9223372036854775807\n9223372036854775807\n-9223372036854775807\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(
        stdout_of(&["ask", file, "-q", "sum(i) as s", "--format", "csv"]),
        "s\n9223372036854775807\n",
        "128 bits inside"
    );
    let output = outcrop(&["ask", file, "-q", "sum(i) where i > 0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("64"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_scheduler_is_chosen_by_flag_or_environment_and_changes_nothing() {
    let question = ["ask", AIR, "-q", "mean(ArrDelay), std(DepDelay) by UniqueCarrier", "--format", "csv"];
    let threads = stdout_of(&question);
    let synchronous = stdout_of(&[&question[..], &["--scheduler", "synchronous"]].concat());
    assert_eq!(threads, synchronous);
    let output =
        Command::cargo_bin("outcrop").unwrap().args(question).env("OUTCROP_SCHEDULER", "dask").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_output_never_destroys_what_is_read_and_keeps_links_and_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let input = path("in.csv");
    std::fs::write(&input, "x\n1\n2\n").unwrap();
    let output = outcrop(&["ask", &input, "-q", "sum(x)", "--output", &input]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "x\n1\n2\n");
    std::fs::write(path("real.csv"), "old").unwrap();
    std::fs::set_permissions(path("real.csv"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(path("real.csv"), path("link.csv")).unwrap();
    stdout_of(&["ask", &input, "-q", "sum(x) as s", "--output", &path("link.csv")]);
    assert!(std::fs::symlink_metadata(path("link.csv")).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(path("real.csv")).unwrap(), "s\n3\n");
    assert_eq!(std::fs::metadata(path("real.csv")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn constants_where_columns_are_meant_are_refused() {
    for question in
        ["count(*) by 1", "Code sort 1 desc", "count(*) where \"Code\" = \"NA\"", "count(*) as n by \"Code\""]
    {
        let output = outcrop(&["ask", "testdata/airline/carriers.csv", "-q", question]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{question}\n{stderr}");
        assert!(stderr.contains("backticks"), "{stderr}");
    }
}

#[test]
fn an_interrupt_ends_the_program_soon_with_130_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("big.csv");
    std::fs::write(&input, "a,b,c\n".to_owned() + &"12345,text of some length,0.25\n".repeat(1_000_000)).unwrap();
    let answers = folder.path().join("answers");
    std::fs::create_dir(&answers).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("outcrop"))
        .args(["ask", input.to_str().unwrap(), "-q", "*, b || b as d sort d, a desc", "--output"])
        .arg(answers.join("a.csv"))
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let interrupted = std::time::Instant::now();
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(interrupted.elapsed().as_secs_f64() < 2.0, "half a second is the promise, a busy machine gets more");
    assert_eq!(std::fs::read_dir(&answers).unwrap().count(), 0);
}

#[test]
fn convert_writes_what_the_ending_says_and_ask_does_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let air = "testdata/airline/2001.csv.bz2";
    let starts = |name: &str, magic: &[u8]| std::fs::read(path(name)).unwrap().starts_with(magic);
    stdout_of(&[
        "convert",
        air,
        "--to",
        &path("a.parquet"),
        "--to",
        &path("a.csv.gz"),
        "--where",
        "ArrDelay > 60",
        "--select",
        "Origin,Dest,ArrDelay",
        "--sort-by",
        "ArrDelay desc, Origin",
    ]);
    assert!(starts("a.parquet", b"PAR1") && starts("a.csv.gz", &[0x1f, 0x8b]));
    let question = "Origin, Dest, ArrDelay where ArrDelay > 60 sort ArrDelay desc, Origin";
    let expected = stdout_of(&["ask", air, "-q", question, "--format", "csv"]);
    assert_eq!(stdout_of(&["ask", &path("a.csv.gz"), "-q", "*", "--format", "csv"]), expected);
    assert_eq!(stdout_of(&["convert", &path("a.csv.gz"), "--to", "-"]), expected);
    stdout_of(&["ask", air, "-q", question, "-o", &path("b.parquet")]);
    assert!(std::fs::read(path("a.parquet")).unwrap() == std::fs::read(path("b.parquet")).unwrap());
    stdout_of(&["ask", air, "-q", question, "-q", "count(*) as n", "-o", &path("q{}.arrow")]);
    assert!(starts("q1.arrow", b"ARROW1") && starts("q2.arrow", b"ARROW1"));
    stdout_of(&["ask", air, "-q", "count(*) as n", "-o", &path("n.json.zst")]);
    assert!(starts("n.json.zst", &[0x28, 0xb5, 0x2f, 0xfd]));
    stdout_of(&["schema", air, "-o", &path("schema.parquet")]);
    let stream = outcrop(&["convert", air, "--to", "-", "--format", "arrow"]).stdout;
    let rows: usize = arrow::ipc::reader::StreamReader::try_new(&stream[..], None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(format!("count\n{rows}\n"), stdout_of(&["count", air, "--format", "csv"]));
}

#[test]
fn convert_says_which_columns_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("flat.csv");
    let arguments = ["convert", "testdata/parquet/list_columns.parquet", "--to", target.to_str().unwrap()];
    let stderr = |arguments: &[&str]| String::from_utf8(outcrop(arguments).stderr).unwrap();
    let told = stderr(&arguments);
    assert!(told.contains("the column `int64_list` is left out: it is a list"), "{told}");
    let chosen = [&arguments[..], &["--select", "int64_list.length"]].concat();
    assert_eq!(stderr(&chosen), "", "whoever names columns knows");
    assert_eq!(std::fs::read_to_string(&target).unwrap().lines().next(), Some("int64_list.length"));
}

#[test]
fn convert_partitions_into_folders_and_counts_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("by-month");
    let arguments = [
        "convert",
        AIR,
        "--to",
        out.to_str().unwrap(),
        "--partition-by",
        "Year,Month",
        "--select",
        "Year,Month,ArrDelay",
        "--stats=json",
    ];
    let output = outcrop(&arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let statistics: Value = serde_json::from_str(stderr.trim().lines().last().unwrap()).unwrap();
    assert_eq!(statistics["rows_written"], 128_790);
    assert_eq!(statistics["passes"], 1);
    assert!(out.join("Year=2001/Month=9/part-0.parquet").is_file());
    let again = outcrop(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--overwrite"));
    stdout_of(&[
        "convert",
        AIR,
        "--to",
        out.to_str().unwrap(),
        "--partition-by",
        "Year",
        "--select",
        "Year,ArrDelay",
        "--overwrite",
        "--format",
        "csv",
    ]);
    assert!(out.join("Year=2001/part-0.csv").is_file() && !out.join("Year=2001/Month=9").exists());
}

#[test]
fn names_that_tell_no_format_and_formats_that_do_not_fit_are_slips_of_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = "testdata/airline/carriers.csv";
    for arguments in [
        &["ask", file, "-q", "*", "-o", &path("a.xlsx")][..],
        &["ask", file, "-q", "*", "-o", &path("a")],
        &["ask", file, "-q", "*", "-q", "count(*)", "-o", &path("a.parquet")],
        &["convert", file, "--to", &path("a")],
        &["convert", file, "--to", &path("a.parquet"), "--format", "csv"],
        &["convert", file, "--to", &path("a.csv"), "--compression", "zsdt"],
        &["convert", file, "--to", &path("a.csv"), "--where", "Cod = 'a'"],
        &["convert", file, "--to", &path("a.csv"), "--select", "Code,Descr"],
        &["convert", file, "--to", &path("a.csv"), "--sort-by", "Cod desc"],
        &["convert", file, "--to", file],
    ] {
        let output = outcrop(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_clear_error_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.csv");
    std::fs::write(&input, "a,b\n".to_owned() + &"12345,text of some length\n".repeat(100_000)).unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let device = outcrop(&["ask", input.to_str().unwrap(), "-q", "*", "-o", "/dev/full"]);
    assert_eq!(device.status.code(), Some(1));
    for target in ["a.csv", "a.arrow"] {
        // A file may not grow beyond 100 KiB; the signal that would end the process is ignored.
        let script = format!(
            "trap '' XFSZ; ulimit -f 100; exec {:?} convert {:?} --to {:?}",
            assert_cmd::cargo::cargo_bin("outcrop"),
            input,
            out.join(target)
        );
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot write") && stderr.contains(target), "{stderr}");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    }
}

#[test]
fn an_interrupt_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("big.csv");
    std::fs::write(&input, "a,b,c\n".to_owned() + &"12345,text of some length,0.25\n".repeat(1_000_000)).unwrap();
    let answers = folder.path().join("answers");
    std::fs::create_dir(&answers).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("outcrop"))
        .args(["convert", input.to_str().unwrap(), "--partition-by", "a", "--format", "csv", "--compression", "xz:9"])
        .arg("--to")
        .arg(answers.join("a"))
        .arg("--to")
        .arg(answers.join("b"))
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(child.try_wait().unwrap().is_none(), "still at work");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(&answers).unwrap().count(), 0);
}

#[test]
fn malformed_records_are_skipped_counted_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (input, rejects) = (path("a.csv"), path("rejects.csv"));
    std::fs::write(&input, "k,i\na,1\nb\nk,i\nc,x\nd,4\n").unwrap();
    let skip = ["ask", &input, "-q", "sum(i) as s", "--malformed", "skip", "--types", "i=int64"];
    let run = |more: &[&str]| outcrop(&[&skip[..], more].concat());
    let output = run(&["--rejects", &rejects, "--stats=json", "--format", "csv"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"s\n5\n"[..]), "{stderr}");
    let statistics: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    let expected = [("records_rejected", 1), ("records_padded", 0), ("headers_repeated", 1), ("values_rejected", 1)];
    for (name, count) in expected {
        assert_eq!(statistics[name], count, "{name}");
    }
    let file = std::fs::read_to_string(&rejects).unwrap();
    let lines: Vec<&str> = file.lines().map(|line| line.strip_prefix(&*input).unwrap_or(line)).collect();
    assert_eq!(lines[1], ",3,8,,\"the record has 1 field, too few\",\"b\"");
    assert_eq!(lines[2], ",5,14,i,\"the value is not Int64, the type given for its column\",\"c,x\"");
    for (target, code) in [(&input, 2), (&path("a.json"), 2), (&path("new.csv"), 0)] {
        let output = run(&["--rejects", target, "--output", &path("a.json")]);
        assert_eq!(output.status.code(), Some(code), "{target}");
    }
    assert_eq!(run(&["--keep-headers"]).status.code(), Some(0));
    assert_eq!(outcrop(&["count", &input, "--malformed", "ignore"]).status.code(), Some(2));
}

#[test]
fn tables_that_are_joined_are_read_once_and_by_their_own_options() {
    let by_name = "count(*) as n join 'testdata/airline/plane-data.csv' on TailNum = tailnum";
    let year = "testdata/airline/2008.csv.bz2";
    let output = outcrop(&["ask", year, "-q", by_name]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("plane-data.csv, record 374, line 375"), "{stderr}");
    assert!(stderr.contains("--file-options 'plane-data.csv: malformed=skip'"), "{stderr}");
    let output = outcrop(&[
        "ask",
        year,
        "-q",
        by_name,
        "-q",
        "count(*) as n semi join p on TailNum = tailnum",
        "--table",
        "p=testdata/airline/plane-data.csv",
        "--file-options",
        "plane*.csv: malformed=pad",
        "--stats=json",
        "--format",
        "json",
    ]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("apply to none"), "{stderr}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers[0], answers[1], "tail numbers are there once each");
    let statistics: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    let inputs = statistics["inputs"].as_array().unwrap();
    assert_eq!((inputs.len(), &statistics["records_padded"]), (2, &json!(515)));
    assert!(inputs.iter().all(|input| input["passes"] == 1), "{inputs:?}");
}

#[test]
fn what_is_joined_is_looked_for_and_never_overwritten() {
    let year = "testdata/airline/2008.csv.bz2";
    for (question, told, underlined) in [
        ("count(*) join 'nope.csv' on TailNum = a", "nope.csv: No such file", 10),
        ("count(*) join nope on TailNum = a", "no table `nope`", 4),
        (
            "count(*) join 'testdata/airline/carriers.csv' on UniqueCarier = Code",
            "no column `UniqueCarier` in the table before the join",
            12,
        ),
        ("count(*) join 'testdata/airline/carriers.csv' on Year = Code", "cannot join Int64 with Utf8", 11),
        ("Nam join 'testdata/airline/carriers.csv' on UniqueCarrier = Code", "no column `Nam`", 3),
    ] {
        let output = outcrop(&["ask", year, "-q", question]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(told) && stderr.contains(&format!(" {}\n", "^".repeat(underlined))), "{stderr}");
        assert_ne!(output.status.code(), Some(0));
    }
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("carriers.csv");
    std::fs::copy("testdata/airline/carriers.csv", &table).unwrap();
    let table = table.display().to_string();
    let question = format!("Description join '{table}' on UniqueCarrier = Code");
    for arguments in
        [vec!["ask", year, "-q", &question, "--output", &table], vec!["convert", year, "-q", &question, "--to", &table]]
    {
        assert_ne!(outcrop(&arguments).status.code(), Some(0), "{arguments:?}");
        assert_eq!(std::fs::read(&table).unwrap(), std::fs::read("testdata/airline/carriers.csv").unwrap());
    }
}
