//! Memory that is scarce, or too little for some of the workers.

use super::{ask, assert_in_processes, files, pattern, processes, run, runner, told};
use outcrop::exec::{RunStatistics, Scheduler, Warning};
use outcrop::frame::CsvScan;
use outcrop::memory::Budget;
use outcrop::scan_csv;
use outcrop::source::csv::MalformedPolicy;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

pub(super) fn scarce_memory() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..4 {
        let mut csv = String::from("k,t,x\n");
        for row in 0..30_000_u64 {
            let k = (row * 7919 + file * 13) % 50_021;
            let _ = writeln!(csv, "{k},text number {},{}.5", k * k % 10_007, row % 501);
        }
        std::fs::write(folder.path().join(format!("{file}.csv")), csv).unwrap();
    }
    let frame = scan_csv(folder.path().join("*.csv")).unwrap();
    let questions = [
        "count(*) as n, sum(x) as s, first(t) as f by k",
        "k, t, x sort t, x desc",
        "n_unique(t), median(x) by k % 100 as h",
        "t where x > 250",
        "t, x limit 50000",
    ];
    let frames = ask(&frame, &questions);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(3));
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 3);
    let budget = Budget::new(24 << 20);
    let found = run(&frames, &processes(3).budget(budget.clone()));
    assert!(told(&found) == expected, "in 24 MiB");
    assert!(found.statistics.passes_in_processes > 0, "{:?}", found.statistics.on_threads);
    assert!(found.statistics.bytes_spilled > 0);
    drop(found);
    assert_eq!(budget.held_bytes(), 0);
    let found = run(&frames, &processes(2).budget(Budget::new(6 << 20)));
    assert!(told(&found) == expected, "in 6 MiB");
    assert_eq!(found.statistics.passes_in_processes, 0);
    assert!(found.statistics.on_threads[0].ends_with("memory is too scarce for two processes"));
}

pub(super) fn large_record() {
    let usual = "1,a\n".repeat(1000);
    let large = format!("n,t\n{usual}2,{}\n{usual}", "x".repeat(6 << 20));
    let folder = files(&[&format!("n,t\n{usual}"), &large, &format!("n,t\n{usual}")]);
    // Behind it, a file of which there is something to tell.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(format!("n,t\n{usual}").as_bytes()).unwrap();
    let compressed = [encoder.finish().unwrap(), b"more".to_vec()].concat();
    std::fs::write(folder.path().join("3.csv.gz"), compressed).unwrap();
    let frames = ask(&scan_csv(folder.path()).unwrap(), &["sum(n), sum(length(t))"]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 1).budget(Budget::new(180 << 20))));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let listens = move |warning: &Warning| hears.lock().unwrap().push(warning.clone());
    let found = run(&frames, &processes(2).budget(Budget::new(180 << 20)).on_warning(listens));
    assert_eq!(told(&found), expected);
    assert_eq!((heard.lock().unwrap().len(), found.warnings.len()), (1, 1), "once: {:?}", found.warnings);
    assert_eq!(found.statistics.passes_in_processes, 0);
    let RunStatistics { on_threads, inputs, bytes_read, bytes_reread, .. } = &found.statistics;
    assert!(on_threads[0].contains("share"), "{on_threads:?}");
    let of_inputs: u64 = inputs.iter().map(|input| input.bytes_read).sum();
    assert!(*bytes_reread > 6 << 20 && *bytes_read > 12 << 20, "what was read in vain counts: {:?}", found.statistics);
    assert_eq!((of_inputs, inputs[0].passes), (*bytes_read, 1));
}

pub(super) fn many_workers() {
    let content = format!("k,n\n{}", "1,2\n".repeat(300));
    let folder = files(&vec![content.as_str(); 24]);
    let frames = ask(&scan_csv(pattern(&folder)).unwrap(), &["count(*), sum(n) by k"]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(24).budget(Budget::new(100 << 20)));
    assert_eq!(told(&found), expected);
    let RunStatistics { on_threads, passes_in_processes, processes, .. } = &found.statistics;
    assert_eq!((on_threads, *passes_in_processes), (&Vec::new(), 1));
    assert!((8..24).contains(processes), "{processes}");
}

pub(super) fn many_rejects() {
    let dirty = format!("k,i\na,1\n{}", "b\n".repeat(150_000));
    let folder = files(&[&dirty, &dirty]);
    let frame = CsvScan::new(pattern(&folder)).malformed(MalformedPolicy::Skip).open().unwrap();
    // One of them wants only records before its last row, so all records set aside are told of one by one.
    let frames = ask(&frame, &["count(*)", "k limit 2"]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let found = run(&frames, &processes(2));
    assert_eq!(told(&found), expected);
    assert_in_processes(&found.statistics, 2);
    let budget = Budget::new(15 << 20);
    let found = run(&frames, &processes(2).budget(budget.clone()));
    assert_eq!(told(&found), expected);
    assert!(found.statistics.on_threads[0].contains("what is handed over asked"), "{:?}", found.statistics.on_threads);
    drop(found);
    assert_eq!(budget.held_bytes(), 0);
}
