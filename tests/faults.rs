//! What goes wrong with memory and disk: refusals at every reservation, disks that are full, short, deaf or forgetful,
//! users' functions that panic. Always a right answer or one clear error, and nothing is held or left behind.

mod common;

use common::{Random, compress, shown};
use outcrop::aggregate::{Aggregate, Exactness, GroupStates, Rows};
use outcrop::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use outcrop::arrow::datatypes::{DataType, Int64Type};
use outcrop::error::{Error, ErrorKind};
use outcrop::expr::{Expr, col};
use outcrop::frame::{DataFrame, LazyFrame, Runner, scan};
use outcrop::memory::{Budget, Disk, Spill};
use outcrop::source::CancelToken;
use outcrop::sql::Session;
use outcrop::write::WriteOptions;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Groups, sorted rows, the first of them, and rows in input order.
const QUESTIONS: [&str; 5] = [
    "count(*) as n, mean(x), min(t), last(i) by i, t",
    "sum(x), count(t)",
    "k, i, x, t sort x desc, i, t",
    "t, i sort t, i desc limit 7",
    "i, t where i > -50",
];

/// Values of rows far away, frames of each kind, several orders.
const WINDOWS: [&str; 4] = [
    "select k, t, lag(t, 2) over w, ntile(3) over w, sum(x) over (partition by k) from t window w as (partition by k order by x)",
    "select i, max(x) over (order by i rows between 40 preceding and 9 preceding), sum(i) over (order by x range 30 preceding) from t",
    "select t, rank() over (order by t), last_value(t) over (partition by k order by i) from t qualify row_number() over () > 9",
    "select k, t, x, rank() over (partition by k order by x) as r from t qualify r <= 40",
];

fn table(folder: &Path, ending: &str, records: usize) -> PathBuf {
    let mut random = Random::new(5);
    let path = folder.join(format!("in.{ending}"));
    let mut text = String::from("k,i,x,t\n");
    for row in 0..records {
        let text_of_row = format!("\"a text, of some length {}\"", random.below(1000));
        writeln!(text, "{},{},{}.5,{text_of_row}", row % 7, random.below(200) as i64 - 100, random.below(500)).unwrap();
    }
    std::fs::write(&path, compress(text.as_bytes(), ending, &mut random)).unwrap();
    path
}

/// The file in another format.
fn converted(from: &Path, ending: &str) -> PathBuf {
    let path = from.with_file_name(format!("in.{ending}"));
    let options = WriteOptions::of_file_name(&path).unwrap();
    Runner::new().write(&scan(from).unwrap(), &path, options).unwrap();
    path
}

fn runner(threads: usize) -> Runner {
    Runner::new().threads(threads).piece_bytes(3000).batch_bytes(1500)
}

/// A question, or SQL over `t`.
fn asked(frame: &LazyFrame, question: &str) -> LazyFrame {
    if !question.starts_with("select ") {
        return frame.ask(question).unwrap();
    }
    let mut session = Session::new();
    session.register("t", frame.clone());
    session.sql(question).unwrap()
}

/// The answers, and the smallest limit for them.
fn expected(frame: &LazyFrame, question: &str) -> (String, usize) {
    let run = runner(1).run::<_, DataFrame>(asked(frame, question)).unwrap();
    (shown(&run.value), run.statistics.least_memory_bytes as usize)
}

/// Refuses each request for memory of a question, one after the other; adds how many runs gave the answer, and how many an
/// error.
fn refuse_each(frame: &LazyFrame, question: &str, counts: &mut [usize; 2]) {
    let (expected, least) = expected(frame, question);
    for lasting in [false, true] {
        for at in 1.. {
            // Scarce, so that what is refused has been asked for where there are runs on disk already.
            let budget = Budget::refusing(least + (96 << 10), at, lasting);
            let spill = Spill::default();
            let how = format!("{question}, refused at {at}, lasting {lasting}");
            let run = runner(1).budget(budget.clone()).spill(spill.clone());
            match run.compute::<_, DataFrame>(asked(frame, question)) {
                Ok(answer) => {
                    assert_eq!(expected, shown(&answer), "{how}");
                    counts[0] += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Limit, "{how}: {error}");
                    assert!(error.to_string().contains("memory limit"), "{how}: {error}");
                    counts[1] += 1;
                }
            }
            assert_eq!((budget.held_bytes(), spill.held_bytes()), (0, 0), "{how}");
            if budget.requests() < at {
                break;
            }
        }
    }
}

#[test]
fn a_refusal_at_any_reservation_ends_in_the_answer_or_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let csv = table(folder.path(), "csv", 120);
    let gz = table(folder.path(), "csv.gz", 120);
    let files = [converted(&csv, "parquet"), converted(&csv, "arrow"), converted(&csv, "ndjson"), gz, csv];
    let mut counts = [0, 0];
    for file in &files {
        println!("{}", file.display());
        let frame = scan(file).unwrap();
        QUESTIONS.iter().for_each(|question| refuse_each(&frame, question, &mut counts));
    }
    assert!(counts.iter().all(|count| *count > 100), "answered and refused: {counts:?}");
}

#[test]
fn a_refusal_in_windows_ends_in_the_answer_or_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let frame = scan(table(folder.path(), "csv", 400)).unwrap();
    let mut counts = [0, 0];
    WINDOWS.iter().for_each(|question| refuse_each(&frame, question, &mut counts));
    assert!(counts.iter().all(|count| *count > 30), "answered and refused: {counts:?}");
}

/// A table of which each key has so many rows.
fn right_table(folder: &Path, name: &str, rows_of_key: usize) -> String {
    let path = folder.join(name);
    let mut text = String::from("k,j,u\n");
    for row in 0..9 * rows_of_key {
        writeln!(text, "{},{row},\"another text of some length {row}\"", row % 9).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_refusal_in_a_join_ends_in_the_answer_or_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let frame = scan(table(folder.path(), "csv", 120)).unwrap();
    // Few rows of a key are looked up within the pass, many behind it.
    let [few, many] = [("few.csv", 2), ("many.csv", 20)].map(|(name, rows)| right_table(folder.path(), name, rows));
    let mut counts = [0, 0];
    for question in [
        format!("k, i, j, u join '{few}' on k = k"),
        format!("k, i, j full join '{few}' on i = j"),
        format!("count(*) as n, sum(j) as s by t join '{many}' on k = k"),
        format!("k, i, u left join '{many}' on k = k"),
        format!("k, i, t, j full join '{many}' on k = k"),
        format!("k, t anti join '{many}' on k = k"),
    ] {
        refuse_each(&frame, &question, &mut counts);
    }
    assert!(counts.iter().all(|count| *count > 50), "answered and refused: {counts:?}");
}

/// All files below a folder, by their paths within it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_dir() {
            found.extend(contents(&entry.path()).into_iter().map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn a_refusal_while_writing_leaves_the_whole_file_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let frame = scan(table(folder.path(), "csv", 250)).unwrap();
    let place = folder.path().join("out");
    let clean = || {
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).unwrap();
    };
    let (mut written, mut refused) = (0, 0);
    for (name, partitioned) in [("o.csv.gz", false), ("o.parquet", false), ("o.arrow", false), ("o.parquet", true)] {
        let options = WriteOptions::of_file_name(name).unwrap().row_group_rows(50).sync(false);
        let (path, options) = match partitioned {
            true => (place.join("folders"), options.partition_by(["k"]).partition_buffer_bytes(5000)),
            false => (place.join(name), options),
        };
        clean();
        runner(2).write(&frame, &path, options.clone()).unwrap();
        let expected = contents(&place);
        for lasting in [false, true] {
            for at in 1.. {
                clean();
                let budget = Budget::refusing(64 << 20, at, lasting);
                let how = format!("{name}, partitioned {partitioned}, refused at {at}, lasting {lasting}");
                match runner(2).budget(budget.clone()).write(&frame, &path, options.clone()) {
                    Ok(_) => {
                        assert!(expected == contents(&place), "{how}");
                        written += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Limit, "{how}: {error}");
                        assert_eq!(contents(&place), BTreeMap::new(), "{how}");
                        refused += 1;
                    }
                }
                assert_eq!(budget.held_bytes(), 0, "{how}");
                if budget.requests() < at {
                    break;
                }
            }
        }
    }
    // Each of the eight walks ends with a file.
    assert!(written >= 8 && refused > 20, "{written} written, {refused} refused");
}

/// What a disk does at the `at`-th read or write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    ShortWrite,
    InterruptedWrite,
    FullDisk,
    DeafDisk,
    ShortRead,
    LostRead,
    UnreadableRead,
    ChangedRead,
    Cancel,
    Panic,
}

#[derive(Debug)]
struct FaultyDisk {
    fault: Fault,
    at: u64,
    reads: AtomicU64,
    writes: AtomicU64,
    token: CancelToken,
}

impl Disk for FaultyDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let is_due = self.writes.fetch_add(1, Ordering::Relaxed) + 1 == self.at;
        match self.fault {
            Fault::ShortWrite if is_due => file.write_at(&bytes[..bytes.len().div_ceil(2)], offset),
            Fault::InterruptedWrite if is_due => Err(io::ErrorKind::Interrupted.into()),
            Fault::FullDisk if is_due => Err(io::ErrorKind::StorageFull.into()),
            Fault::DeafDisk if is_due => Ok(0),
            Fault::Panic if is_due => panic!("the disk driver panics"),
            Fault::Cancel if is_due => {
                self.token.cancel();
                file.write_at(bytes, offset)
            }
            _ => file.write_at(bytes, offset),
        }
    }

    fn read_at(&self, file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let is_due = self.reads.fetch_add(1, Ordering::Relaxed) + 1 == self.at;
        match self.fault {
            Fault::ShortRead if is_due => {
                let half = into.len().div_ceil(2);
                file.read_at(&mut into[..half], offset)
            }
            Fault::LostRead if is_due => Ok(0),
            Fault::UnreadableRead if is_due => Err(io::Error::other("input/output error")),
            Fault::ChangedRead if is_due => {
                let count = file.read_at(into, offset)?;
                into[count / 2] ^= 0x10;
                Ok(count)
            }
            _ => file.read_at(into, offset),
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_block_ends_in_the_answer_or_one_clear_error() {
    use Fault::{
        Cancel, ChangedRead, DeafDisk, FullDisk, InterruptedWrite, LostRead, Panic, ShortRead, ShortWrite,
        UnreadableRead,
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spill");
    std::fs::create_dir(&place).unwrap();
    let frame = scan(table(folder.path(), "csv", 1500)).unwrap();
    let (mut answered, mut failed) = (0, 0);
    for question in [QUESTIONS[0], QUESTIONS[2], QUESTIONS[4], WINDOWS[0], WINDOWS[1]] {
        let (expected, least) = expected(&frame, question);
        let faults = [
            ShortWrite,
            InterruptedWrite,
            FullDisk,
            DeafDisk,
            ShortRead,
            LostRead,
            UnreadableRead,
            ChangedRead,
            Cancel,
            Panic,
        ];
        for fault in faults {
            for at in [1, 2, 3, 5, 8, 13] {
                let token = CancelToken::new();
                let (reads, writes) = Default::default();
                let disk = Arc::new(FaultyDisk { fault, at, reads, writes, token: token.clone() });
                let spill = Spill::on_disk(Some(place.clone()), None, Arc::clone(&disk) as Arc<dyn Disk>);
                let budget = Budget::new(least + (64 << 10));
                let run = runner(2).budget(budget.clone()).spill(spill.clone()).cancel(token);
                let how = format!("{question}: {fault:?} at {at}");
                let outcome = run.compute::<_, DataFrame>(asked(&frame, question));
                let outcome = outcome.and_then(|answer| {
                    // What is on disk is read when it is wanted.
                    answer.batches().collect::<Result<Vec<RecordBatch>, Error>>()?;
                    Ok(shown(&answer))
                });
                assert!(disk.writes.load(Ordering::Relaxed) > 0, "{how}: nothing is spilled");
                match outcome {
                    Ok(answer) => {
                        assert_eq!(expected, answer, "{how}");
                        answered += 1;
                    }
                    Err(error) => {
                        let kind = match fault {
                            Cancel => ErrorKind::Cancelled,
                            Panic => ErrorKind::Internal,
                            _ => ErrorKind::Io,
                        };
                        assert_eq!(error.kind(), kind, "{how}: {error}");
                        assert!(!matches!(fault, ShortWrite | InterruptedWrite | ShortRead), "{how}: {error}");
                        failed += 1;
                    }
                }
                assert_eq!((budget.held_bytes(), spill.held_bytes()), (0, 0), "{how}");
                assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "{how}");
            }
        }
    }
    assert!(answered > 40 && failed > 40, "{answered} answered, {failed} failed");
}

#[test]
fn a_function_that_panics_ends_the_run_with_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spill");
    std::fs::create_dir(&place).unwrap();
    let frame = scan(table(folder.path(), "csv", 1500)).unwrap().select(["i", "t"]);
    let schema = frame.schema().unwrap();
    for at in [1, 4, 20] {
        let calls = Arc::new(AtomicU64::new(0));
        let panics = frame.map_partitions(Arc::clone(&schema), move |batch: RecordBatch| {
            assert!(calls.fetch_add(1, Ordering::Relaxed) + 1 < at, "a function of the user's");
            Ok(batch)
        });
        for question in ["count(*) by i, t", "i, t sort t", "i, t"] {
            for (threads, limit) in [(1, AMPLE), (2, AMPLE), (1, SCARCE), (2, SCARCE), (3, SCARCE)] {
                let (budget, spill) = (Budget::new(limit), Spill::new(Some(place.clone()), None));
                let run = runner(threads).budget(budget.clone()).spill(spill.clone());
                let error = run.compute::<_, DataFrame>(panics.ask(question).unwrap()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Internal, "{question} at {at}: {error}");
                assert_eq!((budget.held_bytes(), spill.held_bytes()), (0, 0), "{question} at {at}");
                assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
            }
        }
    }
}

/// Limits with which nothing is spilled, and with which groups are.
const AMPLE: usize = 1 << 30;
const SCARCE: usize = 1 << 20;

/// What is asked of states.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Update,
    Merge,
    Export,
    Import,
    Finish,
}

/// A sum whose states panic at the `at`-th call of a kind.
#[derive(Clone, Debug)]
struct Bomb {
    call: Call,
    at: u64,
    calls: Arc<AtomicU64>,
}

impl Bomb {
    fn tick(&self, call: Call) {
        let is_due = call == self.call && self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.at;
        assert!(!is_due, "an aggregate of the user's");
    }
}

impl Aggregate for Bomb {
    fn name(&self) -> &str {
        "bomb"
    }

    fn output_type(&self, _arguments: &[DataType]) -> Result<DataType, Error> {
        Ok(DataType::Int64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, _arguments: &[DataType]) -> Result<Box<dyn GroupStates>, Error> {
        Ok(Box::new(Bombs { bomb: self.clone(), sums: Vec::new() }))
    }
}

struct Bombs {
    bomb: Bomb,
    sums: Vec<i64>,
}

impl GroupStates for Bombs {
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), 0);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<(), Error> {
        self.bomb.tick(Call::Update);
        let values = arguments[0].as_primitive::<Int64Type>();
        (0..values.len()).for_each(|row| self.sums[rows.groups.of(row)] += values.value(row));
        Ok(())
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<(), Error> {
        self.bomb.tick(Call::Merge);
        let other = other.as_any().downcast_ref::<Bombs>().unwrap();
        other.sums.iter().zip(map).for_each(|(sum, group)| self.sums[*group as usize] += sum);
        Ok(())
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>, Error> {
        if !groups.is_empty() {
            self.bomb.tick(Call::Export);
        }
        Ok(vec![Arc::new(Int64Array::from(self.sums[groups].to_vec()))])
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<(), Error> {
        self.bomb.tick(Call::Import);
        let sums = columns[0].as_primitive::<Int64Type>().values();
        sums.iter().zip(map).for_each(|(sum, group)| self.sums[*group as usize] += sum);
        Ok(())
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef, Error> {
        self.bomb.tick(Call::Finish);
        Ok(Arc::new(Int64Array::from(self.sums[groups].to_vec())))
    }

    fn bytes_held(&self) -> usize {
        self.sums.capacity() * size_of::<i64>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn an_aggregate_that_panics_ends_the_run_with_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spill");
    std::fs::create_dir(&place).unwrap();
    let frame = scan(table(folder.path(), "csv", 1500)).unwrap();
    let (mut failed, mut answered) = (BTreeMap::new(), 0);
    for keys in [&["i", "t"][..], &[]] {
        let asked = |aggregate: Expr| match keys {
            [] => frame.agg([aggregate.alias("sum")]),
            keys => frame.group_by(keys.to_vec()).agg([aggregate.alias("sum")]),
        };
        let expected = shown(&asked(col("i").sum()).collect().unwrap());
        for call in [Call::Update, Call::Merge, Call::Export, Call::Import, Call::Finish] {
            for (at, limit, threads) in
                [1, 3, 8].into_iter().flat_map(|at| [(at, AMPLE, 1), (at, AMPLE, 2), (at, SCARCE, 1), (at, SCARCE, 2)])
            {
                let (budget, spill) = (Budget::new(limit), Spill::new(Some(place.clone()), None));
                let bomb = Bomb { call, at, calls: Arc::default() };
                let calls = Arc::clone(&bomb.calls);
                let run = runner(threads).budget(budget.clone()).spill(spill.clone());
                let how = format!("{keys:?}, {call:?} at {at} with {limit} bytes on {threads} threads");
                match run.compute::<_, DataFrame>(asked(col("i").aggregate(Arc::new(bomb)))) {
                    Ok(answer) => {
                        assert!(calls.load(Ordering::Relaxed) < at, "{how}");
                        assert_eq!(shown(&answer), expected, "{how}");
                        answered += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Internal, "{how}: {error}");
                        *failed.entry(format!("{call:?}")).or_insert(0) += 1;
                    }
                }
                assert_eq!((budget.held_bytes(), spill.held_bytes()), (0, 0), "{how}");
                assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "{how}");
            }
        }
    }
    assert!(failed.len() == 5 && answered > 0, "failed in {failed:?}, {answered} answered");
}
