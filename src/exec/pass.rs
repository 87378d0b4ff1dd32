//! One pass: a scan of one source for the stages of many questions.

use super::allotment::{Allotment, Beside, shorter};
use super::filter::any_stage;
use super::floor::{bytes_to_write, writing_bytes};
use super::options::{RunOptions, Scheduler, Warning};
use super::outcome::{FirstMisfit, PassOutcome, Verdict};
use super::output::Gate;
use super::pressure::Pressure;
use super::processes;
use super::rejects::{Keeping, Rejects, Wants};
use super::run::tell;
use super::sink::{self, Materialised, Sink};
use super::statistics::{RunStatistics, StageSeconds};
use super::work::PassStage;
use super::worker::{Shared, Worker};
use crate::batch::RowId;
use crate::error::{Error, Place, Result};
use crate::plan::{LogicalPlan, SinkSpec, Stage, StageInput};
use crate::source::{ReadNeeds, ScanRequest, Source};
use crate::types::ColumnType;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What a pass found for one stage.
pub(super) enum StageEnd {
    /// Its result, and how many rows reached its sink.
    Done(Materialised, u64),
    /// It must run again over wider types: by column of the source and type needed, the first value that needs it.
    Widen(BTreeMap<(usize, ColumnType), FirstMisfit>, Reading),
    /// The pass was cut short on behalf of another stage; it must run again.
    Again,
    /// The first error in input order.
    Failed(RowId, Error),
}

/// What a pass found for all stages, and what it set aside.
pub(super) struct PassEnd {
    pub(super) stages: Vec<StageEnd>,
    pub(super) rejects: Rejects,
    /// One a stage: for which rows its result stands.
    pub(super) wants: Vec<Wants>,
}

/// How far a pass came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// To the end of every input.
    Whole,
    /// Until no stage wanted more.
    Cut,
}

/// A stage to run, and whether an earlier pass has told of the fields that were recoded for it.
pub(super) struct StageToRun {
    pub(super) stage: Stage,
    pub(super) recodings_told: bool,
}

/// The columns of the pass that are of more use to some stage as codes.
fn coded(stages: &[Stage], maps: &[Vec<usize>]) -> Arc<[usize]> {
    let of_stage = |(stage, map): (&Stage, &Vec<usize>)| {
        stage.profits_from_codes().into_iter().filter_map(|column| map.get(column).copied()).collect::<Vec<_>>()
    };
    let columns: BTreeSet<usize> = stages.iter().zip(maps).flat_map(of_stage).collect();
    columns.into_iter().collect()
}

/// What the stages of a pass read.
pub(super) struct Reads {
    /// The columns of the source that any of them reads.
    columns: Vec<usize>,
    /// Where those of each stand among these.
    maps: Vec<Vec<usize>>,
    pub(super) request: ScanRequest,
}

impl Reads {
    /// What these stages read of the source.
    ///
    /// # Errors
    /// None but broken invariants.
    pub(super) fn of(source: &Arc<dyn Source>, stages: &[Stage], options: &RunOptions) -> Result<Self> {
        let columns = union(stages);
        let maps: Vec<Vec<usize>> = stages.iter().map(|stage| positions(stage, &columns)).collect();
        let schema = Arc::new(source.schema().project(&columns)?);
        let request = ScanRequest {
            columns: columns.clone(),
            filter: any_stage(stages, &maps, schema),
            coded: coded(stages, &maps),
            skip: None,
            workers: options.workers(),
            piece_bytes: options.piece_bytes,
            batch_bytes: options.batch_bytes,
            cancel: options.cancel.clone(),
            budget: options.budget.clone(),
        };
        Ok(Reads { columns, maps, request })
    }
}

/// What a pass has read, when its stages are still to be finished.
pub(super) struct Collected {
    /// One a stage.
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) outcome: PassOutcome,
    pub(super) rejects: Rejects,
    pub(super) warnings: Vec<Warning>,
    pub(super) partitions: u64,
    pub(super) records: u64,
    pub(super) bytes_read: u64,
    /// Stored bytes of all inputs; 0 if they are rows in memory.
    pub(super) bytes_stored: u64,
}

/// A pass that is to run.
pub(super) struct Pass<'a> {
    pub(super) source: &'a Arc<dyn Source>,
    pub(super) stages: Vec<PassStage>,
    /// The columns of the source that any stage reads.
    pub(super) columns: Vec<usize>,
    pub(super) request: ScanRequest,
    pub(super) options: &'a RunOptions,
    /// From one on.
    pub(super) number: u64,
    pub(super) keeping: Keeping,
    /// Warnings of an attempt before, which need not be told again.
    pub(super) told: Vec<Warning>,
}

impl<'a> Pass<'a> {
    /// The pass of these stages.
    ///
    /// # Errors
    /// None but broken invariants.
    pub(super) fn new(
        source: &'a Arc<dyn Source>,
        stages: Vec<StageToRun>,
        options: &'a RunOptions,
        number: u64,
    ) -> Result<Self> {
        let (stages, told): (Vec<Stage>, Vec<bool>) =
            stages.into_iter().map(|run| (run.stage, run.recodings_told)).unzip();
        let Reads { columns, maps, request } = Reads::of(source, &stages, options)?;
        let of_pass = |((stage, map), recodings_told)| PassStage { stage, map, recodings_told };
        let stages: Vec<PassStage> = stages.into_iter().zip(maps).zip(told).map(of_pass).collect();
        let any_limit = stages.iter().any(|stage| matches!(stage.stage.sink, SinkSpec::Collect { limit: Some(_) }));
        let keeping = Keeping::new(options, any_limit);
        Ok(Pass { source, stages, columns, request, options, number, keeping, told: Vec::new() })
    }

    /// What it needs beside reading, if nothing is written.
    pub(super) fn beside(&self) -> Beside {
        let stages: Vec<Stage> = self.stages.iter().map(|stage| stage.stage.clone()).collect();
        Beside::of(&stages)
    }

    /// Nothing set aside yet.
    pub(super) fn rejects(&self) -> Rejects {
        Rejects::new(self.options, &self.columns, self.stages.len(), self.keeping)
    }

    /// Reads all of it on the threads of this process.
    ///
    /// # Errors
    /// Those of reading that end the whole pass.
    pub(super) fn on_threads(
        &self,
        outcome: PassOutcome,
        gates: &mut [Option<Gate<'_>>],
        seconds: &mut StageSeconds,
    ) -> Result<Collected> {
        let Pass { source, stages, options, .. } = self;
        let mut request = self.request.clone();
        for gate in gates.iter_mut().flatten() {
            gate.skip_files(request.skip.clone());
        }
        let beside = |needs: ReadNeeds| {
            let outputs = gates.iter().map(|gate| gate.as_ref().map(Gate::output));
            let writing = stages.iter().zip(outputs).map(|(stage, output)| writing_bytes(needs, &stage.stage, output));
            Beside { writing_bytes: writing.fold(0, usize::saturating_add), ..self.beside() }
        };
        let (scan, needs) = loop {
            let scan = source.scan(request.clone())?;
            let needs = scan.needs();
            match shorter(request.piece_bytes, needs, options.workers(), beside(needs), &options.budget) {
                None => break (scan, needs),
                Some(piece_bytes) => request.piece_bytes = piece_bytes,
            }
            request.batch_bytes = request.batch_bytes.min(request.piece_bytes);
        };
        let from_files = scan.progress().1 > 0;
        let beside = beside(needs);
        let shared = Shared {
            scan: &*scan,
            stages,
            options,
            pass_number: self.number,
            outcome: Mutex::new(outcome),
            beside_bytes: needs.worker_bytes.saturating_sub(needs.text_bytes),
            holds_texts: !needs.texts_are_shared,
            keeping: self.keeping,
            rejects: Mutex::new(self.rejects()),
            pending: Mutex::new(HashMap::new()),
            waiting_file: Arc::new(options.spill.until(&options.cancel).file()),
            settled: Condvar::new(),
            pressure: Pressure::default(),
            stop: AtomicBool::new(false),
            partitions: AtomicU64::new(0),
            records: AtomicU64::new(0),
            told: &self.told,
            warnings: Mutex::new(self.told.clone()),
            last_progress: Mutex::new(Instant::now()),
            gates,
            names: options.timeline.as_ref().map(|_| source.files()).unwrap_or_default(),
        };
        let sinks = work(&shared, needs, beside, seconds)?;
        let Shared { outcome, rejects, partitions, records, warnings, .. } = shared;
        Ok(Collected {
            sinks,
            outcome: outcome.into_inner().unwrap_or_else(PoisonError::into_inner),
            rejects: rejects.into_inner().unwrap_or_else(PoisonError::into_inner),
            warnings: warnings.into_inner().unwrap_or_else(PoisonError::into_inner),
            partitions: partitions.into_inner(),
            records: records.into_inner(),
            bytes_read: if from_files { scan.bytes_read() } else { 0 },
            bytes_stored: if from_files { scan.progress().1 } else { 0 },
        })
    }
}

/// Runs one pass. `plans`, one a stage, are the questions whose first stages these are; none are given where the rows are those
/// of an earlier stage. `gates`, by stage, take the batches of stages instead of their sinks; none need be given.
pub(super) fn run_pass(
    source: &Arc<dyn Source>,
    stages: Vec<StageToRun>,
    plans: &[&LogicalPlan],
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
    gates: &mut [Option<Gate<'_>>],
) -> Result<PassEnd> {
    let mut pass = Pass::new(source, stages, options, statistics.passes + 1)?;
    let in_processes = match processes::order(&pass, plans, gates, statistics)? {
        Some(order) => processes::collect(&pass, &order, statistics)?,
        None => Err(Vec::new()),
    };
    let collected = match in_processes {
        Ok(collected) => collected,
        Err(told) => {
            pass.told = told;
            pass.on_threads(PassOutcome::new(&pass.stages), gates, &mut statistics.seconds)?
        }
    };
    let Pass { stages, columns, .. } = pass;
    let Collected { sinks, outcome, rejects, warnings: mut told, .. } = collected;
    let mut finished = VecDeque::from(sinks);
    statistics.partitions += collected.partitions;
    if collected.bytes_stored > 0 {
        statistics.note_pass(source.describe(), collected.bytes_read, collected.records);
        statistics.seconds.sample += source.untold_sample_seconds();
        statistics.bytes_stored += collected.bytes_stored;
    }
    warnings.append(&mut told);
    let start = Instant::now();
    let filled_by: Vec<_> = finished.iter().map(|sink| sink.filled_by()).collect();
    if let Some((count, place)) = outcome.recoded(&filled_by) {
        report_recoded(count, &place, source.recoding(), options, statistics, warnings);
    }
    let mut ends = Vec::with_capacity(stages.len());
    let mut wants = Vec::with_capacity(stages.len());
    for (at, stage) in stages.iter().enumerate() {
        let Some(sink) = finished.pop_front() else { return Err(Error::internal("a stage without a sink")) };
        if options.budget.is_scarce() {
            // Those that wait let go of memory, so that this one has enough to merge what it wrote.
            finished.iter_mut().try_for_each(|sink| loud(|| sink.relieve()))?;
        }
        let filled_by = sink.filled_by();
        let end = end(&outcome, at, sink, &columns)?;
        wants.push(match (&end, &stage.stage.sink, filled_by) {
            (StageEnd::Done(..), SinkSpec::Collect { limit: Some(0) }, _) => Wants::Nothing,
            (StageEnd::Done(..), _, None) => Wants::All,
            (StageEnd::Done(..), _, Some(row)) => Wants::UpTo(row),
            _ => Wants::Nothing,
        });
        ends.push(end);
    }
    statistics.peak_held_bytes = statistics.peak_held_bytes.max(options.budget.peak_bytes() as u64);
    statistics.seconds.finish += start.elapsed().as_secs_f64();
    Ok(PassEnd { stages: ends, rejects, wants })
}

fn end(outcome: &PassOutcome, at: usize, sink: Box<dyn Sink>, columns: &[usize]) -> Result<StageEnd> {
    Ok(match outcome.verdict(at, sink.filled_by()) {
        Verdict::Complete => StageEnd::Done(loud(|| sink.finish())?, outcome.stages[at].kept()),
        Verdict::Again => StageEnd::Again,
        Verdict::Failed(row, error) => StageEnd::Failed(row, error),
        Verdict::Widen(misfits) => {
            let of_source = |((column, wider), misfit)| ((columns[column], wider), misfit);
            let reading = if outcome.is_whole() { Reading::Whole } else { Reading::Cut };
            StageEnd::Widen(misfits.into_iter().map(of_source).collect(), reading)
        }
    })
}

/// Lets the workers work and joins their sinks: one a stage.
fn work(
    shared: &Shared<'_>,
    needs: ReadNeeds,
    beside: Beside,
    seconds: &mut StageSeconds,
) -> Result<Vec<Box<dyn Sink>>> {
    let options = shared.options;
    let spill = options.spill.until(&options.cancel);
    let allotment = Allotment::of_pass(needs, options.workers(), beside, &options.budget, &spill, &options.cancel)?;
    let Allotment { shared: of_reading, hands, mut writing, room } = allotment;
    for (stage, gate) in shared.stages.iter().zip(shared.gates) {
        if let Some(gate) = gate {
            let (schema, all_bytes) = (&stage.stage.schema, bytes_to_write(needs, &stage.stage));
            let own = writing.part(gate.output().needs(schema, all_bytes).bytes);
            gate.output().set_aside(schema, all_bytes, own);
        }
    }
    let mut sinks: Vec<Vec<Box<dyn Sink>>> = hands.iter().map(|_| Vec::with_capacity(shared.stages.len())).collect();
    for stage in shared.stages {
        let of_stage = sink::make(&stage.stage, &room, hands.len())?;
        sinks.iter_mut().zip(of_stage).for_each(|(sinks, sink)| sinks.push(sink));
    }
    let mut workers: Vec<Worker<'_>> =
        hands.into_iter().zip(sinks).map(|(hands, sinks)| Worker::new(shared, sinks, hands)).collect();
    shared.pressure.of(workers.len());
    match shared.options.scheduler {
        Scheduler::Synchronous => {
            for worker in &mut workers {
                loud(|| worker.run())?;
            }
        }
        Scheduler::Threads | Scheduler::Processes => run_on_threads(shared, &mut workers)?,
    }
    drop(of_reading);
    let start = Instant::now();
    let mut joined: Option<Vec<Box<dyn Sink>>> = None;
    for worker in workers {
        seconds.add(&worker.seconds);
        drop(worker.hands);
        match &mut joined {
            None => joined = Some(worker.sinks),
            Some(all) => {
                for (sink, other) in all.iter_mut().zip(worker.sinks) {
                    loud(|| sink.join(other))?;
                }
            }
        }
    }
    seconds.finish += start.elapsed().as_secs_f64();
    Ok(joined.unwrap_or_default())
}

/// A panic, of a function of the user's perhaps, ends the run and not the program.
pub(super) fn loud<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("a run panicked")))
}

fn run_on_threads(shared: &Shared<'_>, workers: &mut [Worker<'_>]) -> Result<()> {
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let mut handles = Vec::with_capacity(workers.len());
        for (at, worker) in workers.iter_mut().enumerate() {
            let builder = std::thread::Builder::new().name(format!("outcrop-{at}"));
            let work = move || {
                catch_unwind(AssertUnwindSafe(|| worker.run())).unwrap_or_else(|_| {
                    worker.stop_all();
                    Err(Error::internal("a worker thread panicked"))
                })
            };
            let handle = builder.spawn_scoped(scope, work);
            if handle.is_err() {
                // The others would wait for a worker that never works.
                shared.stop_all();
            }
            handles.push(handle);
        }
        let join = |handle: std::io::Result<std::thread::ScopedJoinHandle<'_, Result<()>>>| match handle {
            Ok(handle) => handle.join().unwrap_or_else(|_| Err(Error::internal("a worker thread panicked"))),
            Err(error) => {
                Err(Error::new(crate::error::ErrorKind::Io, format!("cannot start a worker thread: {error}")))
            }
        };
        handles.into_iter().map(join).collect()
    });
    // An error stops the other workers; a cancellation that it causes is not the first cause.
    let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| error.kind() == crate::error::ErrorKind::Cancelled);
    errors.into_iter().next().map_or(Ok(()), Err)
}

fn report_recoded(
    count: u64,
    place: &Place,
    how: &str,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) {
    statistics.fields_recoded += count;
    let fields = if count == 1 { "1 field is" } else { &format!("{count} fields are") };
    let warning = Warning(format!("{place}: {fields} {how}"));
    tell(warning, options, warnings);
}

fn union(stages: &[Stage]) -> Vec<usize> {
    let mut columns: Vec<usize> = stages.iter().flat_map(columns_of).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn columns_of(stage: &Stage) -> &[usize] {
    match &stage.input {
        StageInput::Scan { columns, .. } => columns,
        StageInput::Previous => &[],
    }
}

/// Where the columns of a stage stand among those of the pass.
fn positions(stage: &Stage, columns: &[usize]) -> Vec<usize> {
    columns_of(stage).iter().filter_map(|column| columns.binary_search(column).ok()).collect()
}
