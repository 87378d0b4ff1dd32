//! Workers that are killed, and those of a run that is cancelled.

use super::{QUESTIONS, ask, assert_in_processes, processes, run, runner, told};
use outcrop::error::ErrorKind;
use outcrop::exec::Scheduler;
use outcrop::frame::DataFrame;
use outcrop::scan_csv;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The processes that this one has started.
fn children() -> Vec<i32> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    found
}

/// Says so when it is dropped, by a panic as well.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(super) fn killed_workers() {
    let frames = ask(&scan_csv("testdata/airline/*.csv.bz2").unwrap(), &QUESTIONS[..6]);
    let expected = told(&run(&frames, &runner(Scheduler::Threads, 2)));
    let (killed, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            // One after the other, so that no unit loses more workers than it may.
            while !done.load(Ordering::SeqCst) && killed.load(Ordering::SeqCst) < 2 {
                if let Some(child) = children().first().and_then(|pid| rustix::process::Pid::from_raw(*pid)) {
                    std::thread::sleep(Duration::from_millis(60));
                    let gone = rustix::process::kill_process(child, rustix::process::Signal::KILL);
                    killed.fetch_add(usize::from(gone.is_ok()), Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _done = Done(&done);
        run(&frames, &processes(2))
    });
    assert_eq!(killed.load(Ordering::SeqCst), 2);
    assert!(told(&found) == expected);
    assert_in_processes(&found.statistics, 2);
    assert_eq!(children(), Vec::<i32>::new(), "no child is left");
    // A unit that costs every worker its life ends the run.
    let done = AtomicBool::new(false);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for child in children().into_iter().filter_map(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
                }
            }
        });
        let _done = Done(&done);
        processes(1).run::<_, Vec<DataFrame>>(&frames[..]).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Task, "{error}");
    assert!(error.message().contains("(3 attempts): the worker process was killed"), "{error}");
    assert!(error.message().starts_with("testdata/airline/"), "{error}");
}

pub(super) fn cancelled() {
    let frames = ask(&scan_csv("testdata/airline/*.csv.bz2").unwrap(), &QUESTIONS);
    let token = outcrop::source::CancelToken::new();
    let error = std::thread::scope(|scope| {
        let token = &token;
        scope.spawn(move || {
            while children().is_empty() && !token.is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            token.cancel();
        });
        processes(2).cancel(token.clone()).run::<_, Vec<DataFrame>>(&frames[..]).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(children(), Vec::<i32>::new(), "no child is left");
}
