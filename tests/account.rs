//! The account against the allocator: what is allocated is on the account, but for a tenth and a constant.
//!
//! The other way round the account may say more: it holds what reading could take from the beginning, and for groups what
//! they need to be sorted. The library itself installs no allocator; this binary counts with one of its own.

mod common;

use common::{Random, compress};
use outcrop::frame::{DataFrame, LazyFrame, Runner, scan};
use outcrop::memory::Budget;
use outcrop::write::WriteOptions;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the bytes that are allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: all calls go to the system's allocator as they come.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rows of plain text, and of the other formats: these only differ in how they are read.
const ROWS: [usize; 2] = [120_000, 20_000];

/// What is not on the account: threads, plans, footers, messages, the block that is on its way to the disk.
const BESIDE: usize = 4 << 20;

const COMPRESSED: [&str; 4] = ["csv.bz2", "csv.gz", "csv.zst", "csv.xz"];

const QUESTIONS: [&str; 6] = [
    "count(*) as n, mean(x), min(t), last(i), var(x) by t",
    "sum(x), count(t) by i % 20000 as a, i % 7 as b",
    "i, t, x sort x desc, i",
    "i, t sort t limit 1000",
    "i, t where x >= 0",
    "count(*), sum(x), min(t)",
];

fn checked(frame: &LazyFrame, question: &str, limit: usize, threads: usize) -> (usize, usize) {
    let budget = Budget::new(limit);
    let runner = Runner::new().threads(threads).budget(budget.clone()).piece_bytes(64 << 10).batch_bytes(32 << 10);
    let asked = frame.ask(question).unwrap();
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let answer: DataFrame = runner.compute(asked).unwrap();
    let allocated = PEAK.load(Ordering::Relaxed) - before;
    let on_account = budget.peak_bytes();
    drop(answer);
    assert_eq!(budget.held_bytes(), 0);
    (allocated, on_account)
}

/// Each wants more than [`SCARCE`] for its groups or rows, and merges what it wrote.
const LARGE: [&str; 5] = [
    "count(*) as n, mean(x), min(t), last(i), var(x) by t",
    "sum(x) as s, count(t) as n by i % 50000 as a, i % 7 as b, t",
    "median(x), n_unique(t), mode(i), string_agg(t) by i % 20000 as k",
    "i, t, x sort x desc, i",
    "i, t where x >= 0",
];
const SCARCE: usize = 12 << 20;

/// What is allocated more than is on the account, at most, as far as that is seen by looking again and again.
fn most_beside_the_account(frame: &LazyFrame, question: &str) -> usize {
    let budget = Budget::new(SCARCE);
    let runner = Runner::new().threads(2).budget(budget.clone()).piece_bytes(64 << 10).batch_bytes(32 << 10);
    let asked = frame.ask(question).unwrap();
    let before = NOW.load(Ordering::Relaxed);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let held = budget.held_bytes();
                let allocated = NOW.load(Ordering::Relaxed).saturating_sub(before);
                // What was reserved or given back meanwhile is not held against it.
                let held = held.max(budget.held_bytes());
                most = most.max(allocated.saturating_sub(held + held / 10));
                std::thread::sleep(Duration::from_micros(200));
            }
            most
        });
        let run = runner.run::<_, DataFrame>(asked).unwrap();
        assert!(run.statistics.bytes_spilled > 0, "{question} has room");
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    })
}

/// One test: the counts are those of the process.
#[test]
fn what_is_allocated_is_on_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let text = |rows: usize| {
        let mut text = String::from("i,t,x\n");
        for row in 0..rows {
            let scattered = row.wrapping_mul(2_654_435_761) % 1_000_003;
            writeln!(text, "{row},a text of some length {},{}.25", scattered % 50_000, scattered % 1000).unwrap();
        }
        text
    };
    let mut random = Random::new(1);
    let mut files = Vec::new();
    for (ending, rows) in [("csv", ROWS[0])].into_iter().chain(COMPRESSED.map(|ending| (ending, ROWS[1]))) {
        let path = folder.path().join(format!("in.{ending}"));
        std::fs::write(&path, compress(text(rows).as_bytes(), ending, &mut random)).unwrap();
        files.push(path);
    }
    for ending in ["parquet", "arrow", "ndjson"] {
        let path = folder.path().join(format!("in.{ending}"));
        let options = WriteOptions::of_file_name(&path).unwrap();
        Runner::new().write(&scan(&files[2]).unwrap(), &path, options).unwrap();
        files.push(path);
    }
    let mut report = String::new();
    let mut failed = false;
    for (at, file) in files.iter().enumerate() {
        let frame = scan(file).unwrap();
        for (number, question) in QUESTIONS.iter().enumerate() {
            // Every format, every question, not every pair but for plain text.
            if at > 0 && (at + number) % 4 > 0 {
                continue;
            }
            for (limit, threads) in [(48 << 20, 2), (1 << 30, 1)] {
                let (allocated, on_account) = checked(&frame, question, limit, threads);
                let bad = allocated > on_account + on_account / 10 + BESIDE;
                failed |= bad;
                let name = file.file_name().unwrap().display();
                let mark = if bad { "  <--" } else { "" };
                let (k, l) = (allocated >> 10, on_account >> 10);
                writeln!(report, "{k:>8} KiB allocated, {l:>8} on the account: {name} {question}, {threads}{mark}")
                    .unwrap();
            }
        }
    }
    let frame = scan(&files[0]).unwrap();
    for question in LARGE {
        let beside = most_beside_the_account(&frame, question);
        failed |= beside > BESIDE;
        writeln!(report, "{:>8} KiB beside the account while it is scarce: {question}", beside >> 10).unwrap();
    }
    assert!(!failed, "\n{report}");
    println!("{report}");
}
