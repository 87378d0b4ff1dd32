//! The side of the program: units to workers, and what comes back into sinks.

use super::order::{Order, Unit};
use super::reply::{message_bytes, unpack};
use super::unit::{DONE, in_worker};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::options::{Progress, Warning};
use crate::exec::outcome::PassOutcome;
use crate::exec::parallel::Hands;
use crate::exec::pass::{Collected, Pass, loud};
use crate::exec::sink::{self, Room};
use crate::exec::statistics::{RunStatistics, StageSeconds};
use crate::exec::work::PassStage;
use crate::memory::{Reservation, Spill};
use crate::panics::lock;
use crate::parallel::process::{Call, Reply, Worker};
use crate::parallel::{Allocation, BarKind, Deal, Message, Timeline};
use crate::plan::SinkSpec;
use crate::source::CancelToken;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sinks let go of theirs when less than this share of what the program has is free, so that one whose bookkeeping grows
/// is not refused for what another holds.
const FREE_SHARE: usize = 8;

/// How often a unit is done, at most, whose workers die.
const ATTEMPTS: usize = 3;

/// How often progress is told of, at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What has come of the units so far.
struct Gathered {
    collected: Collected,
    seconds: StageSeconds,
    bytes_spilled: u64,
    /// Stored bytes of units that are done.
    bytes_done: u64,
}

/// Why units are not read to the end.
enum Stop {
    /// The pass is one for threads after all, for this reason.
    GiveUp(String),
    Fail(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Limit => Stop::limit(&error),
            _ => Stop::Fail(error),
        }
    }
}

impl Stop {
    fn limit(error: &Error) -> Self {
        Stop::GiveUp(format!("a worker with a share of memory and disk came to a limit: {}", error.message()))
    }

    /// A cancellation that another cause has had is not the first one.
    fn rank(&self) -> u8 {
        match self {
            Stop::GiveUp(_) => 0,
            Stop::Fail(error) => 1 + u8::from(error.kind() == ErrorKind::Cancelled),
        }
    }
}

/// What the threads share that have a worker each.
struct Dealing<'a> {
    pass: &'a Pass<'a>,
    order: &'a Order,
    deal: Deal,
    spill: Spill,
    /// Ends all units.
    stop: CancelToken,
    /// Files from this one on need not be read.
    cut: AtomicU32,
    /// Units under way, by worker: the first file, and what ends it.
    under_way: Mutex<Vec<Option<(u32, CancelToken)>>>,
    gathered: Mutex<&'a mut Gathered>,
    /// The first unit whose reading has failed, by its first file.
    failure: Mutex<Option<(u32, Error)>>,
    last_progress: Mutex<Instant>,
    bytes_stored: u64,
    names: Vec<Arc<str>>,
}

/// Has the units of a pass read by worker processes. When there were none to be had, or a share of memory or disk was too little
/// for one of them, the pass is one for threads, which have all of it: then the warnings that have been told.
///
/// # Errors
/// Those of reading that end the whole pass; `Task` when a unit has cost several workers their lives.
pub(in crate::exec) fn collect(
    pass: &Pass<'_>,
    order: &Order,
    statistics: &mut RunStatistics,
) -> Result<std::result::Result<Collected, Vec<Warning>>> {
    let mut gathered = Gathered::new(pass);
    let ended = gather(pass, order, &mut gathered);
    let Gathered { collected, seconds, bytes_spilled, .. } = gathered;
    statistics.seconds.add(&seconds);
    statistics.bytes_spilled += bytes_spilled;
    match ended {
        Ok(()) => {
            statistics.note_in_processes(order.workers);
            Ok(Ok(collected))
        }
        Err(Stop::GiveUp(why)) => {
            statistics.note_given_up(&pass.source.describe(), &why, collected.bytes_read);
            Ok(Err(collected.warnings))
        }
        Err(Stop::Fail(error)) => Err(error),
    }
}

fn gather(pass: &Pass<'_>, order: &Order, gathered: &mut Gathered) -> Result<(), Stop> {
    let options = pass.options;
    let spill = options.spill.until(&options.cancel);
    // Opened, not read: it tells of the inputs.
    let scan = pass.source.scan(pass.request.clone())?;
    let bytes_stored = scan.progress().1;
    let shares = if order.share_bytes == usize::MAX { 0 } else { order.share_bytes.saturating_mul(order.workers) };
    let _of_workers = options.budget.reservation_of_at_least(shares, "worker processes")?;
    let _on_disk = spill.set_aside(order.spill_bytes.map_or(0, |bytes| bytes.saturating_mul(order.workers as u64)));
    let hands = Hands { workers: options.workers(), cancel: options.cancel.clone() };
    let left = options.budget.free_bytes();
    let room = Room::of_each(pass.stages.len(), left, &options.budget, &spill, hands);
    let of_stage = |stage: &PassStage| sink::make(&stage.stage, &room, 1);
    let sinks = pass.stages.iter().map(of_stage).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let collected = &mut gathered.collected;
    (collected.sinks, collected.bytes_stored, collected.bytes_read) = (sinks, bytes_stored, scan.bytes_read());
    // Where the first rows are enough, the first files come first.
    let in_order = pass.stages.iter().all(|stage| matches!(stage.stage.sink, SinkSpec::Collect { limit: Some(_) }));
    let size = |unit: usize| if in_order { 0 } else { order.units[unit].bytes };
    let dealing = Dealing {
        pass,
        order,
        deal: Deal::new(Allocation::Dynamic, order.units.len(), order.workers, size),
        spill,
        stop: options.cancel.child(),
        cut: AtomicU32::new(u32::MAX),
        under_way: Mutex::new(vec![None; order.workers]),
        gathered: Mutex::new(gathered),
        failure: Mutex::new(None),
        last_progress: Mutex::new(Instant::now()),
        bytes_stored,
        names: pass.source.files(),
    };
    dealing.work()?;
    let failure = dealing.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcome = &dealing.gathered.into_inner().unwrap_or_else(PoisonError::into_inner).collected.outcome;
    if let Some(error) = outcome.limit_reached() {
        return Err(Stop::limit(error));
    }
    failure.filter(|(file, _)| outcome.wants_file(*file)).map_or(Ok(()), |(_, error)| Err(error.into()))
}

impl Dealing<'_> {
    /// All units, on a thread for each worker, for a worker ends with the thread that has started it.
    fn work(&self) -> Result<(), Stop> {
        let results: Vec<Result<(), Stop>> = std::thread::scope(|scope| {
            let start = |worker: usize| {
                let builder = std::thread::Builder::new().name(format!("outcrop-process-{worker}"));
                let serve = move || {
                    let served = loud(|| Ok(self.serve(worker))).unwrap_or_else(|panic| Err(Stop::Fail(panic)));
                    if served.is_err() {
                        self.stop.cancel();
                    }
                    served
                };
                builder.spawn_scoped(scope, serve).inspect_err(|_| self.stop.cancel())
            };
            let threads: Vec<_> = (0..self.order.workers).map(start).collect();
            let panicked = |_| Err(Stop::Fail(Error::internal("a worker thread panicked")));
            let join = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, Result<(), Stop>>>| match thread {
                Ok(thread) => thread.join().unwrap_or_else(panicked),
                Err(error) => Err(Stop::GiveUp(format!("cannot start a worker thread: {error}"))),
            };
            threads.into_iter().map(join).collect()
        });
        results.into_iter().filter_map(Result::err).min_by_key(Stop::rank).map_or(Ok(()), Err)
    }

    fn serve(&self, at: usize) -> Result<(), Stop> {
        let mut worker = Worker::new(Some(self.order.told.clone()), &self.spill);
        let bytes = message_bytes(self.order.share_bytes);
        let mut room = self.pass.options.budget.reservation_of_at_least(bytes, "what a worker process has found")?;
        let lane = self.pass.options.timeline.as_ref().map(Timeline::lane);
        while let Some(unit) = self.deal.next(at).map(|unit| &self.order.units[unit]) {
            self.stop.check()?;
            let begun = Instant::now();
            let token = self.stop.child();
            lock(&self.under_way)[at] = Some((unit.files.start, token.clone()));
            let done = self.read(unit, &mut worker, &mut room, &token);
            lock(&self.under_way)[at] = None;
            done?;
            if let Some(lane) = &lane {
                lane.done(BarKind::Partition, begun, || format!("{}, pass {}", self.label(unit), self.pass.number));
            }
        }
        Ok(())
    }

    /// Has a unit read, unless nobody wants it; by another worker if one dies.
    fn read(&self, unit: &Unit, worker: &mut Worker, room: &mut Reservation, token: &CancelToken) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        (unit.files.start, unit.files.end).send(&mut bytes)?;
        for attempt in 1..=ATTEMPTS {
            if unit.files.start >= self.cut.load(Ordering::Relaxed) {
                return Ok(());
            }
            let call = Call { function: in_worker, bytes: &bytes, segment: None, timeout: None, cancel: token };
            let error = match worker.call(&call, room) {
                Ok(reply) => {
                    self.take(unit, &reply)?;
                    return Ok(room.resize(0)?);
                }
                Err(error) => error,
            };
            match error.kind() {
                // What it has found is more than usual: sinks let go of theirs for it.
                ErrorKind::Limit if attempt < ATTEMPTS => lock(&self.gathered).relieve()?,
                ErrorKind::Task if attempt < ATTEMPTS => {}
                ErrorKind::Task => {
                    let message = format!("{} ({ATTEMPTS} attempts): {}", self.label(unit), error.message());
                    let error = Error::new(ErrorKind::Task, message);
                    return Err(error.hint("--scheduler threads reads it in one process").into());
                }
                // There are no more processes, or no more handles.
                ErrorKind::Io => return Err(Stop::GiveUp(error.message().to_owned())),
                // Nobody wants it any more.
                ErrorKind::Cancelled if !self.stop.is_cancelled() => return Ok(()),
                _ => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what a worker has found in a unit.
    fn take(&self, unit: &Unit, reply: &Reply) -> Result<(), Stop> {
        let mut bytes = reply.bytes.as_slice();
        if u8::receive(&mut bytes)? != DONE {
            return self.fail(unit, Error::receive(&mut bytes)?);
        }
        let options = self.pass.options;
        let least_free = if self.order.share_bytes == usize::MAX { 0 } else { self.order.share_bytes / FREE_SHARE };
        let mut gathered = lock(&self.gathered);
        let told = gathered.collected.warnings.len();
        let taken = gathered.take(unit, &mut bytes, reply, &|| options.budget.free_bytes() < least_free);
        let warnings = gathered.collected.warnings[told..].to_vec();
        if let Some(cut) = gathered.collected.outcome.new_cut() {
            self.cut_from(cut);
        }
        options.spill.note_progress((gathered.bytes_done, self.bytes_stored));
        drop(gathered);
        if let Some(callback) = &options.on_warning {
            warnings.iter().for_each(|warning| callback(warning));
        }
        self.report_progress();
        Ok(taken?)
    }

    /// A unit cannot be read. Those before it are read all the same, so that the first error counts.
    fn fail(&self, unit: &Unit, error: Error) -> Result<(), Stop> {
        // How far it was read, a worker that fails does not say.
        lock(&self.gathered).collected.bytes_read += unit.bytes;
        if error.kind() == ErrorKind::Limit {
            return Err(error.into());
        }
        let file = unit.files.start;
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|(known, _)| file < *known) {
            *failure = Some((file, error));
        }
        self.cut_from(file);
        Ok(())
    }

    /// Nobody wants files from this one on.
    fn cut_from(&self, file: u32) {
        self.cut.fetch_min(file, Ordering::Relaxed);
        let under_way = lock(&self.under_way);
        let behind = under_way.iter().flatten().filter(|(first, _)| *first >= file);
        behind.for_each(|(_, token)| token.cancel());
    }

    fn report_progress(&self) {
        let Some(callback) = &self.pass.options.on_progress else { return };
        let mut last = lock(&self.last_progress);
        if last.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        *last = Instant::now();
        let (bytes_done, records) = {
            let gathered = lock(&self.gathered);
            (gathered.bytes_done, gathered.collected.records)
        };
        callback(Progress { pass: self.pass.number, bytes_done, bytes_total: self.bytes_stored, records });
    }

    fn label(&self, unit: &Unit) -> String {
        let first = self.names.get(unit.files.start as usize).map_or("?", |name| name);
        match unit.files.len() {
            1 => first.to_owned(),
            files => format!("{first} and {} more", files - 1),
        }
    }
}

impl Gathered {
    fn new(pass: &Pass<'_>) -> Self {
        let collected = Collected {
            sinks: Vec::new(),
            outcome: PassOutcome::new(&pass.stages),
            rejects: pass.rejects(),
            warnings: Vec::new(),
            partitions: 0,
            records: 0,
            bytes_read: 0,
            bytes_stored: 0,
        };
        Gathered { collected, seconds: StageSeconds::default(), bytes_spilled: 0, bytes_done: 0 }
    }

    fn relieve(&mut self) -> Result<()> {
        self.collected.sinks.iter_mut().try_for_each(|sink| sink.relieve())
    }

    fn take(&mut self, unit: &Unit, bytes: &mut &[u8], reply: &Reply, is_scarce: &dyn Fn() -> bool) -> Result<()> {
        let Gathered { collected, .. } = self;
        let (partitions, records, bytes_read, bytes_spilled) = <(u64, u64, u64, u64)>::receive(bytes)?;
        collected.partitions += partitions;
        collected.records += records;
        collected.bytes_read += bytes_read;
        self.bytes_spilled += bytes_spilled;
        self.bytes_done += unit.bytes;
        if let [decompress, parse, evaluate, commit, absorb, finish] = Vec::<f64>::receive(bytes)?[..] {
            let of_unit =
                StageSeconds { decompress, parse, evaluate, commit, absorb, finish, ..StageSeconds::default() };
            self.seconds.add(&of_unit);
        }
        collected.warnings.extend(Vec::<String>::receive(bytes)?.into_iter().map(Warning));
        collected.outcome.take(bytes)?;
        collected.rejects.take(bytes)?;
        let (sinks, outcome) = (&mut collected.sinks, &collected.outcome);
        unpack(reply.file.as_ref(), bytes, &mut |stage, part, records| {
            if is_scarce() {
                sinks.iter_mut().try_for_each(|sink| sink.relieve())?;
            }
            let stale = outcome.stages.get(stage).is_none_or(|stage| stage.is_stale());
            match sinks.get_mut(stage).filter(|_| !stale) {
                Some(sink) => sink.import(part, records),
                None => Ok(()),
            }
        })
    }
}
