//! Errors, records and values set aside, late values, and limits.

use super::{ask, assert_in_processes, files, pattern, processes, run, runner, told, told_of_wanted};
use crate::common::shown;
use outcrop::error::ErrorKind;
use outcrop::exec::Scheduler;
use outcrop::frame::{CsvScan, DataFrame, Runner};
use outcrop::scan_csv;
use outcrop::source::csv::MalformedPolicy;
use outcrop::types::ColumnType;

pub(super) fn errors() {
    let good = format!("a,b\n{}", "1,2\n".repeat(2000));
    let ragged = |line: usize| format!("a,b\n{}3\n{}", "1,2\n".repeat(line), "1,2\n".repeat(2000));
    let folder = files(&[&good, &ragged(1500), &good, &ragged(7), &good]);
    let zero = files(&[&good, "a,b\n1,2\n1,0\n", "a,b\n0,0\n1,0\n"]);
    let typed = |folder| CsvScan::new(pattern(folder)).with_type("b", ColumnType::Boolean).open().unwrap();
    for frame in [
        scan_csv(pattern(&folder)).unwrap().ask("count(*), sum(a)").unwrap(),
        scan_csv(pattern(&zero)).unwrap().ask("sum(a // b)").unwrap(),
        scan_csv(pattern(&zero)).unwrap().ask("a // b as c sort c").unwrap(),
        typed(&zero).ask("count(b)").unwrap(),
    ] {
        let error = |runner: Runner| runner.run::<_, DataFrame>(frame.clone()).unwrap_err();
        let expected = error(runner(Scheduler::Threads, 2));
        for workers in [1, 3] {
            let found = error(processes(workers));
            assert_eq!((found.kind(), found.to_string()), (expected.kind(), expected.to_string()));
        }
    }
    // Two questions, one of which does not reach the error.
    let frames = ask(&scan_csv(pattern(&zero)).unwrap(), &["a // b as c limit 2001", "count(*)"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert_eq!(told_of_wanted(&run(&frames, &processes(3))), expected);
    // A file that has changed since it was opened.
    let changed = scan_csv(pattern(&zero)).unwrap().ask("count(*)").unwrap();
    std::fs::write(zero.path().join("1.csv"), "a,b\n9,9\n9,9\n").unwrap();
    let error = processes(2).run::<_, DataFrame>(changed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.to_string().contains("1.csv"), "{error}");
}

pub(super) fn set_aside() {
    let dirty = "k,i\na,1\nb\nc,3,,\nd,4,late\nk,i\ne,x\nf,7\n";
    let folder = files(&[dirty, "k,i\ng,1\nh,2\n", dirty, "k,i\nk,i\ni\nj,y\n"]);
    for policy in [MalformedPolicy::Skip, MalformedPolicy::Pad] {
        let frame = CsvScan::new(pattern(&folder)).malformed(policy).with_type("i", ColumnType::Int64).open().unwrap();
        for questions in [
            &["count(*) as n", "sum(i) by k", "k, i"][..],
            &["k, i limit 4", "k limit 5"],
            &["i limit 1", "count(*) as n"],
            &["k limit 2"],
        ] {
            let frames = ask(&frame, questions);
            let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
            let found = run(&frames, &processes(3));
            assert_eq!(told_of_wanted(&found), expected);
            assert_in_processes(&found.statistics, 3);
        }
        let rejects = folder.path().join("rejects");
        let frames = ask(&frame, &["sum(i) by k"]);
        let found = run(&frames, &processes(3).rejects(&rejects));
        assert_eq!(found.statistics.passes_in_processes, 0);
        assert!(found.statistics.on_threads[0].contains("written to a file"), "{:?}", found.statistics.on_threads);
        assert!(std::fs::read_to_string(&rejects).unwrap().lines().count() > 5);
    }
    // Not UTF-8, and nothing is declared.
    let text = |row: &[u8]| [b"k,i\n", row, &b"a,1\n".repeat(50)[..]].concat();
    for (file, row) in
        [("0.csv", &b"a,1\n"[..]), ("1.csv", b"caf\xe9,2\n"), ("2.csv", b"\xe4,3\n"), ("3.csv", b"b,4\n")]
    {
        std::fs::write(folder.path().join(file), text(row)).unwrap();
    }
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &["count(*) by k", "k limit 60"]);
    let expected = told_of_wanted(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("windows-1252"), "{expected}");
    assert_eq!(told_of_wanted(&run(&frames, &processes(2))), expected);
}

pub(super) fn late_values() {
    let usual: String = (0..40_000).map(|row| format!("{},{row}\n", row % 97)).collect();
    let late = |value: &str| format!("v,w\n{usual}{value},1\n{usual}");
    let folder = files(&[&format!("v,w\n{usual}"), &late("2.5"), &late("7.25"), &format!("v,w\n{usual}")]);
    let questions =
        ["sum(v), max(v)", "count(*) by w % 3 as r", "v, count(*) as n by v sort n desc, v limit 3", "w limit 5"];
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &questions[..2]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    assert!(expected.contains("it is read again as Float64"), "{expected}");
    let found = run(&frames, &processes(2));
    assert_eq!(told(&found), expected);
    assert_eq!(found.statistics.passes_in_processes, 2);
    std::fs::write(folder.path().join("3.csv"), late("word")).unwrap();
    let frame = scan_csv(pattern(&folder)).unwrap();
    let error = |runner: Runner| runner.run::<_, DataFrame>(frame.ask(questions[0]).unwrap()).unwrap_err().to_string();
    assert_eq!(error(processes(3)), error(runner(Scheduler::Threads, 2)));
}

pub(super) fn first_rows() {
    let rows = |from: usize| (from..from + 3000).map(|row| format!("{row}\n")).collect::<String>();
    let folder = files(&[
        &format!("n\n{}", rows(0)),
        &format!("n\n{}", rows(3000)),
        &format!("n\n{}x,y\n", rows(6000)),
        &format!("n\n{}", rows(9000)),
    ]);
    let frame = scan_csv(pattern(&folder)).unwrap();
    // The broken record stands behind what is wanted.
    for questions in [&["n limit 10"][..], &["n limit 4000", "n where n > 5990 limit 9"], &["n limit 0"]] {
        let frames = ask(&frame, questions);
        let answers = |runner: Runner| run(&frames, &runner).value.iter().map(shown).collect::<String>();
        let expected = answers(runner(Scheduler::Threads, 2));
        for workers in [1, 3] {
            assert_eq!(answers(processes(workers)), expected, "{questions:?}");
        }
    }
    let error = processes(2).run::<_, DataFrame>(frame.ask("n limit 9001").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}
