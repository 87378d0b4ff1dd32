//! A run over strata: scatter, work, gather.

use super::failures::Failures;
use super::gather::Gather;
use super::index::{Reader, StrataIndex};
use super::options::{OnError, StrataOptions};
use super::output::{Outcome, read_text, reading};
use super::statistics::{Counters, StrataStatistics};
use super::stratum::label;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Progress, RunOptions, RunStatistics, Warning, run};
use crate::memory::table::{Place, stored, write};
use crate::memory::{Reservation, Segment, StoredRows};
use crate::panics::lock;
use crate::parallel::{BarKind, Deal, Timeline};
use crate::plan::LogicalPlan;
use crate::source::CancelToken;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What is asked: rows sorted by their keys, which are the first columns.
#[derive(Clone, Debug)]
pub struct StrataQuestion {
    /// The keys and then the other columns, sorted by the keys.
    pub plan: LogicalPlan,
    /// What the keys are called.
    pub keys: Vec<String>,
    /// What the other columns are called.
    pub columns: Vec<String>,
}

/// The results of all strata.
#[derive(Clone, Debug)]
pub struct StrataAnswer {
    /// The keys, then the columns of the results.
    pub schema: SchemaRef,
    /// The rows, in the order of the keys.
    pub rows: StoredRows,
    /// Of the pass that scattered the rows.
    pub statistics: RunStatistics,
    /// Of the work on strata.
    pub strata: StrataStatistics,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// One stratum to be worked on.
pub(super) struct Task<'a> {
    /// One row.
    pub(super) keys: RecordBatch,
    pub(super) label: String,
    pub(super) segment: Segment,
    pub(super) cancel: &'a CancelToken,
}

/// Gives the result of a stratum. Of its errors, `Cancelled`, `Limit` and `Io` end the run; any other costs the stratum.
pub(super) type Calls<'a> = Box<dyn FnMut(&Task<'_>) -> Result<Outcome> + 'a>;

/// Works on strata.
pub(super) trait Work: Sync {
    /// What one thread does with strata, one after the other, and drops before it ends.
    fn begin(&self) -> Calls<'_>;
}

/// Whether an error is the run's and not a stratum's.
pub(super) fn ends_the_run(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Limit | ErrorKind::Io)
}

/// What all workers share.
struct Shared<'a> {
    index: &'a StrataIndex,
    deal: Deal,
    work: &'a dyn Work,
    keys: SchemaRef,
    /// Of segments.
    stored: SchemaRef,
    place: Place,
    gather: Gather,
    how: &'a StrataOptions,
    options: &'a RunOptions,
    cancel: CancelToken,
    failures: Mutex<Failures>,
    /// What ended the run.
    fatal: Mutex<Option<Error>>,
    counters: Counters,
    passes: u64,
    done: AtomicU64,
    total: u64,
    last_progress: Mutex<Instant>,
}

/// Answers a question.
///
/// # Errors
/// Those of the pass; the first stratum in the order of keys that failed, if that is not to be skipped; results that do
/// not go together.
pub(super) fn answer(
    question: &StrataQuestion,
    work: &dyn Work,
    how: &StrataOptions,
    options: &RunOptions,
) -> Result<StrataAnswer> {
    let spilled_before = options.spill.written_bytes();
    let mut scattered = run(std::slice::from_ref(&question.plan), options)?;
    let rows = scattered.answers.pop().ok_or_else(|| Error::internal("no answer"))?;
    let names = question.keys.iter().chain(&question.columns);
    let named = names.zip(rows.schema.fields()).map(|(name, field)| Field::new(name, field.data_type().clone(), true));
    let (keys, values) = {
        let mut fields: Vec<Field> = named.collect();
        let values = fields.split_off(question.keys.len());
        (Schema::new(fields), Schema::new(values))
    };
    let keys = SchemaRef::new(keys);
    let cancel = options.cancel.child();
    let spill = options.spill.until(&cancel);
    let index = StrataIndex::new(rows.rows, question.keys.len(), &options.budget)?;
    let wanted = how.workers.unwrap_or_else(|| options.workers()).clamp(1, index.len().max(1));
    let hands = hands(wanted, &index, options)?;
    let place = Place {
        budget: options.budget.clone(),
        spill: spill.clone(),
        most_in_memory: (options.budget.limit_bytes() / 2 / hands.len()) as u64,
    };
    let shared = Shared {
        deal: Deal::new(how.allocation, index.len(), hands.len(), |stratum| index.rows_of(stratum)),
        index: &index,
        work,
        stored: stored(&values)?,
        place,
        gather: Gather::new(SchemaRef::clone(&keys), &options.budget, &spill),
        keys,
        how,
        options,
        cancel,
        failures: Mutex::default(),
        fatal: Mutex::default(),
        counters: Counters::default(),
        passes: scattered.statistics.passes,
        done: AtomicU64::new(0),
        total: (0..index.len()).map(|stratum| index.rows_of(stratum)).sum(),
        last_progress: Mutex::new(Instant::now()),
    };
    let start = Instant::now();
    work_on(&shared, hands.len());
    let Shared { fatal, failures, gather, keys, counters, .. } = shared;
    options.cancel.check()?;
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut done =
        StrataStatistics { workers: hands.len(), seconds_wall: start.elapsed().as_secs_f64(), ..counters.counted() };
    let gathered = {
        let mut reader = Reader::new(&index);
        gather.unify(&mut failures, &mut |stratum| reader.keys(stratum, &keys).map(|keys| label(&keys)))?
    };
    drop(hands);
    let strata = index.len();
    drop(index);
    if how.on_error == OnError::Fail {
        failures.settle(OnError::Fail, strata)?;
    }
    let reading = reading(options, &options.cancel);
    let read_again = |printed: &[u8], texts: &[String], room: &mut _| read_text(printed, texts, room, &reading);
    let (schema, rows) = gathered.finish(&mut failures, &read_again)?;
    (done.strata, done.failed) = (strata as u64, failures.count() as u64);
    let mut told = failures.settle(how.on_error, strata)?;
    if rows.rows() == 0 && done.strata > done.failed {
        told.push(Warning("no stratum gave a row; the first line that a program prints names its columns".to_owned()));
    }
    let mut warnings = scattered.warnings;
    for warning in told {
        if let Some(callback) = &options.on_warning {
            callback(&warning);
        }
        warnings.push(warning);
    }
    let mut statistics = scattered.statistics;
    statistics.bytes_spilled = options.spill.written_bytes() - spilled_before;
    statistics.peak_held_bytes = statistics.peak_held_bytes.max(options.budget.peak_bytes() as u64);
    Ok(StrataAnswer { schema, rows, statistics, strata: done, warnings })
}

/// Room for what each worker reads back, for as many workers as there is room for.
fn hands(wanted: usize, index: &StrataIndex, options: &RunOptions) -> Result<Vec<Reservation>> {
    let bytes = index.part_bytes();
    let mut hands = vec![options.budget.reservation_of_at_least(bytes, "reading strata")?];
    while hands.len() < wanted
        && let Ok(more) = options.budget.reservation_of_at_least(bytes, "reading strata")
    {
        hands.push(more);
    }
    Ok(hands)
}

/// All strata that are dealt out, on so many threads.
fn work_on(shared: &Shared<'_>, workers: usize) {
    if workers == 1 {
        return shared.serve(0);
    }
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let builder = std::thread::Builder::new().name(format!("outcrop-stratum-{worker}"));
            if let Err(error) = builder.spawn_scoped(scope, move || shared.serve(worker)) {
                shared.end(Error::new(ErrorKind::Io, format!("cannot start a worker thread: {error}")));
            }
        }
    });
}

/// What became of a stratum.
struct Done {
    label: String,
    well: bool,
}

impl Shared<'_> {
    /// Works on all strata that a worker is dealt.
    fn serve(&self, worker: usize) {
        let (mut reader, mut calls) = (Reader::new(self.index), self.work.begin());
        let lane = self.options.timeline.as_ref().map(Timeline::lane);
        while let Some(stratum) = self.deal.next(worker).filter(|_| !self.cancel.is_cancelled()) {
            let start = Instant::now();
            let result = self.stratum(stratum, &mut reader, &mut calls);
            self.counters.busy(start.elapsed());
            let done = match result {
                Ok(done) => done,
                Err(error) => return self.end(error),
            };
            if let Some(lane) = &lane {
                let kind = if done.well { BarKind::Stratum } else { BarKind::Failed };
                lane.done(kind, start, || format!("{}, {} rows", done.label, self.index.rows_of(stratum)));
            }
            self.note_done(self.index.rows_of(stratum));
        }
    }

    /// Ends the run with an error, unless another has ended it.
    fn end(&self, error: Error) {
        lock(&self.fatal).get_or_insert(error);
        self.cancel.cancel();
    }

    fn stratum(&self, stratum: usize, reader: &mut Reader<'_>, calls: &mut Calls<'_>) -> Result<Done> {
        let keys = reader.keys(stratum, &self.keys)?;
        let segment = write(&mut reader.slices(stratum), &self.stored, &self.place)?;
        self.counters.segment(&segment);
        let label = label(&keys);
        let task = Task { keys, label, segment, cancel: &self.cancel };
        let attempts = self.how.retries + 1;
        for attempt in 1..=attempts {
            self.cancel.check()?;
            self.counters.attempt();
            let result = calls(&task);
            let taken = result.and_then(|outcome| self.gather.take(stratum, &task.label, &task.keys, outcome));
            match taken {
                Ok(()) => return Ok(Done { label: task.label, well: true }),
                Err(error) if ends_the_run(&error) => return Err(error),
                Err(error) if attempt == attempts => {
                    lock(&self.failures).note(stratum, || Ok(of_stratum(&task.label, attempts, &error)))?;
                }
                Err(_) => {}
            }
        }
        Ok(Done { label: task.label, well: false })
    }

    fn note_done(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        let Some(callback) = &self.options.on_progress else { return };
        let mut last = lock(&self.last_progress);
        if last.elapsed().as_millis() < 100 && done < self.total {
            return;
        }
        *last = Instant::now();
        drop(last);
        callback(Progress { pass: self.passes + 1, bytes_done: done, bytes_total: self.total, records: done });
    }
}

/// What is said of a stratum, tried so often, whose result or work is wrong.
pub(super) fn of_stratum(label: &str, attempts: usize, error: &Error) -> Error {
    let tried = if attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() };
    let place = error.place().to_string();
    let place = if place.is_empty() { place } else { format!("{place}: ") };
    let of_stratum = Error::new(ErrorKind::Task, format!("stratum {label}{tried}: {place}{}", error.message()));
    match error.hint_text() {
        Some(hint) => of_stratum.hint(hint),
        None => of_stratum,
    }
}
