//! The side of the program: units to workers, and what comes back into sinks.

use super::order::{Order, Unit};
use super::reply::{message_bytes, unpack};
use super::unit::in_worker;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::options::{Progress, Warning};
use crate::exec::outcome::PassOutcome;
use crate::exec::parallel::Hands;
use crate::exec::pass::{Collected, Pass, loud};
use crate::exec::rejects::Rejects;
use crate::exec::sink::{self, Room, Sink};
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
use std::time::Instant;

/// Sinks let go of theirs when less than this share of what the program has is free, so that one whose bookkeeping grows
/// is not refused for what another holds.
const FREE_SHARE: usize = 8;

/// How often a unit is done, at most, whose workers die.
const ATTEMPTS: usize = 3;

/// What has come of the units so far.
struct Gathered {
    sinks: Vec<Box<dyn Sink>>,
    outcome: PassOutcome,
    rejects: Rejects,
    warnings: Vec<Warning>,
    /// How many of them are of the last unit.
    new_warnings: usize,
    seconds: StageSeconds,
    partitions: u64,
    records: u64,
    bytes_read: u64,
    bytes_spilled: u64,
    /// Stored bytes of units that are done.
    bytes_done: u64,
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
    gathered: Mutex<Gathered>,
    bytes_stored: u64,
    names: Vec<Arc<str>>,
}

/// Has the units of a pass read by worker processes. `None` when a share of memory or disk was too little for one of them: then
/// the pass is one for threads, which have all of it.
///
/// # Errors
/// Those of reading that end the whole pass; `Task` when a unit has cost several workers their lives.
pub(in crate::exec) fn collect(
    pass: &Pass<'_>,
    order: &Order,
    statistics: &mut RunStatistics,
) -> Result<Option<Collected>> {
    let gathered = match gather(pass, order) {
        Ok(gathered) => Some(gathered).filter(|gathered| !gathered.collected.outcome.lacked_room()),
        Err(error) if error.kind() == ErrorKind::Limit => None,
        Err(error) => return Err(error),
    };
    let Some(Finished { collected, seconds, bytes_spilled }) = gathered else {
        let why = "a worker's share of the memory, or of the disk, was too little";
        statistics.note_on_threads(&pass.source.describe(), why);
        return Ok(None);
    };
    statistics.note_in_processes(order.workers);
    statistics.seconds.add(&seconds);
    statistics.bytes_spilled += bytes_spilled;
    Ok(Some(collected))
}

/// What came of all units.
struct Finished {
    collected: Collected,
    seconds: StageSeconds,
    bytes_spilled: u64,
}

fn gather(pass: &Pass<'_>, order: &Order) -> Result<Finished> {
    let options = pass.options;
    let spill = options.spill.until(&options.cancel);
    // Opened, not read: it tells of the inputs.
    let scan = pass.source.scan(pass.request.clone())?;
    let bytes_stored = scan.progress().1;
    let shares = if order.share_bytes == usize::MAX { 0 } else { order.share_bytes.saturating_mul(order.workers) };
    let of_workers = options.budget.reservation_of_at_least(shares, "worker processes")?;
    let hands = Hands { workers: options.workers(), cancel: options.cancel.clone() };
    let left = options.budget.free_bytes();
    let room = Room::of_each(pass.stages.len(), left, &options.budget, &spill, hands);
    let of_stage = |stage: &PassStage| sink::make(&stage.stage, &room, 1);
    let sinks = pass.stages.iter().map(of_stage).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let gathered = Gathered {
        sinks,
        outcome: PassOutcome::new(&pass.stages),
        rejects: pass.rejects(),
        warnings: Vec::new(),
        new_warnings: 0,
        seconds: StageSeconds::default(),
        partitions: 0,
        records: 0,
        bytes_read: 0,
        bytes_spilled: 0,
        bytes_done: 0,
    };
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
        bytes_stored,
        names: pass.source.files(),
    };
    dealing.work()?;
    drop(of_workers);
    let gathered = dealing.gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    let collected = Collected {
        sinks: gathered.sinks,
        outcome: gathered.outcome,
        rejects: gathered.rejects,
        warnings: gathered.warnings,
        partitions: gathered.partitions,
        records: gathered.records,
        bytes_read: scan.bytes_read() + gathered.bytes_read,
        bytes_stored,
    };
    Ok(Finished { collected, seconds: gathered.seconds, bytes_spilled: gathered.bytes_spilled })
}

impl Dealing<'_> {
    /// All units, on a thread for each worker, for a worker ends with the thread that has started it.
    fn work(&self) -> Result<()> {
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let start = |worker: usize| {
                let builder = std::thread::Builder::new().name(format!("outcrop-process-{worker}"));
                let serve = move || {
                    let served = loud(|| self.serve(worker));
                    if served.is_err() {
                        self.stop.cancel();
                    }
                    served
                };
                builder.spawn_scoped(scope, serve).inspect_err(|_| self.stop.cancel())
            };
            let threads: Vec<_> = (0..self.order.workers).map(start).collect();
            let panicked = |_| Err(Error::internal("a worker thread panicked"));
            let join = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, Result<()>>>| match thread {
                Ok(thread) => thread.join().unwrap_or_else(panicked),
                Err(error) => Err(Error::new(ErrorKind::Io, format!("cannot start a worker thread: {error}"))),
            };
            threads.into_iter().map(join).collect()
        });
        // An error stops the others; a cancellation that it causes is not the first cause.
        let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(|error| error.kind() == ErrorKind::Cancelled);
        errors.into_iter().next().map_or(Ok(()), Err)
    }

    fn serve(&self, at: usize) -> Result<()> {
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
    fn read(&self, unit: &Unit, worker: &mut Worker, room: &mut Reservation, token: &CancelToken) -> Result<()> {
        let mut bytes = Vec::new();
        (unit.files.start, unit.files.end).send(&mut bytes)?;
        for attempt in 1..=ATTEMPTS {
            if unit.files.start >= self.cut.load(Ordering::Relaxed) {
                return Ok(());
            }
            let call = Call { function: in_worker, bytes: &bytes, segment: None, timeout: None, cancel: token };
            let error = match worker.call(&call, room) {
                Ok(reply) => return self.take(unit, &reply).and_then(|()| room.resize(0)),
                Err(error) => error,
            };
            match error.kind() {
                // What it has found is more than usual: sinks let go of theirs for it.
                ErrorKind::Limit if attempt < ATTEMPTS => lock(&self.gathered).relieve()?,
                ErrorKind::Task if attempt < ATTEMPTS => {}
                ErrorKind::Task => {
                    let message = format!("{} ({ATTEMPTS} attempts): {}", self.label(unit), error.message());
                    return Err(
                        Error::new(ErrorKind::Task, message).hint("--scheduler threads reads it in one process")
                    );
                }
                // Nobody wants it any more.
                ErrorKind::Cancelled if !self.stop.is_cancelled() => return Ok(()),
                _ => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what a worker has found in a unit.
    fn take(&self, unit: &Unit, reply: &Reply) -> Result<()> {
        let mut bytes = reply.bytes.as_slice();
        if u8::receive(&mut bytes)? != 0 {
            return Err(Error::receive(&mut bytes)?);
        }
        let mut gathered = lock(&self.gathered);
        let options = self.pass.options;
        let least_free = if self.order.share_bytes == usize::MAX { 0 } else { self.order.share_bytes / FREE_SHARE };
        gathered.take(unit, &mut bytes, reply, &|| options.budget.free_bytes() < least_free)?;
        for warning in gathered.warnings.iter().rev().take(gathered.new_warnings) {
            options.on_warning.iter().for_each(|callback| callback(warning));
        }
        if let Some(cut) = gathered.outcome.new_cut() {
            self.cut.store(cut, Ordering::Relaxed);
            let under_way = lock(&self.under_way);
            let behind = under_way.iter().flatten().filter(|(first, _)| *first >= cut);
            behind.for_each(|(_, token)| token.cancel());
        }
        let (bytes_done, bytes_total) = (gathered.bytes_done, self.bytes_stored);
        options.spill.note_progress((bytes_done, bytes_total));
        if let Some(callback) = &options.on_progress {
            callback(Progress { pass: self.pass.number, bytes_done, bytes_total, records: gathered.records });
        }
        Ok(())
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
    fn relieve(&mut self) -> Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.relieve())
    }

    fn take(&mut self, unit: &Unit, bytes: &mut &[u8], reply: &Reply, is_scarce: &dyn Fn() -> bool) -> Result<()> {
        let (partitions, records, bytes_read, bytes_spilled) = <(u64, u64, u64, u64)>::receive(bytes)?;
        self.partitions += partitions;
        self.records += records;
        self.bytes_read += bytes_read;
        self.bytes_spilled += bytes_spilled;
        self.bytes_done += unit.bytes;
        if let [decompress, parse, evaluate, commit, absorb, finish] = Vec::<f64>::receive(bytes)?[..] {
            let of_unit =
                StageSeconds { decompress, parse, evaluate, commit, absorb, finish, ..StageSeconds::default() };
            self.seconds.add(&of_unit);
        }
        let warnings = Vec::<String>::receive(bytes)?;
        self.new_warnings = warnings.len();
        self.warnings.extend(warnings.into_iter().map(Warning));
        self.outcome.take(bytes)?;
        self.rejects.take(bytes)?;
        let (sinks, outcome) = (&mut self.sinks, &self.outcome);
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
