//! The loop of a pass: read, evaluate, commit, absorb. All passes run this loop, on threads or not.

use super::options::{Progress, RunOptions, Warning};
use super::outcome::PassOutcome;
use super::output::{Gate, Passage, gate_of};
use super::pressure::{Idle, Pressure};
use super::rejects::{Found, Keeping, Rejects};
use super::sink::Sink;
use super::statistics::StageSeconds;
use super::work::{PartitionWork, PassStage, RecodedField, StageWork};
use crate::error::{Error, Result};
use crate::memory::{Reservation, SpillFile, used_bytes};
use crate::panics::lock;
use crate::parallel::{BarKind, Timeline};
use crate::source::{Committed, CommittedRows, Locate, PartitionId, Read, Scan, ScanScratch, SourceBatch};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Spent text buffers that a worker keeps where memory is limited.
const SPARE_TEXTS: usize = 2;

/// How long a worker waits for a partition before it looks whether it still has to.
const PATIENCE: Duration = Duration::from_millis(20);
/// So long all others must have been idle before a refusal is final.
const QUIET: Duration = Duration::from_millis(10);
/// How long a worker sleeps that has nothing to do at the moment.
const A_MOMENT: Duration = Duration::from_micros(200);

/// What the workers of a pass share.
pub(super) struct Shared<'a> {
    pub(super) scan: &'a dyn Scan,
    pub(super) stages: &'a [PassStage],
    pub(super) options: &'a RunOptions,
    pub(super) pass_number: u64,
    pub(super) outcome: Mutex<PassOutcome>,
    /// What each worker needs beside the partition in its hands.
    pub(super) beside_bytes: usize,
    /// The texts of rows are on the account of whoever holds the rows.
    pub(super) holds_texts: bool,
    pub(super) keeping: Keeping,
    pub(super) rejects: Mutex<Rejects>,
    /// Evaluated partitions that wait for their commit.
    pub(super) pending: Mutex<HashMap<PartitionId, PartitionWork>>,
    /// Where their rows go when memory is scarce.
    pub(super) waiting_file: Arc<SpillFile>,
    /// One of them was absorbed.
    pub(super) settled: Condvar,
    pub(super) pressure: Pressure,
    pub(super) stop: AtomicBool,
    pub(super) partitions: AtomicU64,
    pub(super) records: AtomicU64,
    /// Warnings of an attempt before.
    pub(super) told: &'a [Warning],
    pub(super) warnings: Mutex<Vec<Warning>>,
    pub(super) last_progress: Mutex<Instant>,
    /// By stage, where its batches go when they leave in input order.
    pub(super) gates: &'a [Option<Gate<'a>>],
    /// What the inputs are called, for the timeline if there is one.
    pub(super) names: Vec<Arc<str>>,
}

impl Shared<'_> {
    /// Makes every worker stop soon.
    pub(super) fn stop_all(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.scan.stop_from(0);
    }

    /// Lets partitions that wait, and are on their own account, wait on disk.
    fn put_waiting_on_disk(&self) -> Result<()> {
        let mut pending = lock(&self.pending);
        let mut waiting = pending.values_mut().filter(|work| work.reservation.is_some());
        waiting.try_for_each(|work| work.put_on_disk(&self.waiting_file))
    }

    /// A partition in words.
    fn label(&self, id: PartitionId) -> String {
        let name = self.names.get(id.file as usize).map_or("rows in memory", |name| name);
        format!("{} of {name}, pass {}", id.ordinal + 1, self.pass_number)
    }

    /// Whether the pass ends before its time.
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.options.cancel.is_cancelled()
    }
}

/// One worker of a pass: its sinks, one a stage, and where its time went.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    pub(super) sinks: Vec<Box<dyn Sink>>,
    /// For its decoder, and for the partition in its hands.
    pub(super) hands: Reservation,
    pub(super) seconds: StageSeconds,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, sinks: Vec<Box<dyn Sink>>, hands: Reservation) -> Self {
        Worker { shared, sinks, hands, seconds: StageSeconds::default() }
    }

    /// Makes every worker of the pass stop soon.
    pub(super) fn stop_all(&self) {
        self.shared.stop_all();
    }

    /// Works until there is nothing left to do for any stage.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut scratch = ScanScratch::default();
        if self.shared.options.budget.limit_bytes() != usize::MAX {
            scratch.text.spare_texts = Some(SPARE_TEXTS);
        }
        let result = self.work(&mut scratch);
        if result.is_err() {
            self.shared.stop_all();
        }
        self.seconds.decompress = scratch.times.decompress;
        self.seconds.parse = scratch.times.parse;
        result
    }

    fn work(&mut self, scratch: &mut ScanScratch) -> Result<()> {
        let shared = self.shared;
        let mut idle = None;
        let lane = shared.options.timeline.as_ref().map(Timeline::lane);
        loop {
            shared.options.cancel.check()?;
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if shared.pressure.is_on() {
                self.relieve()?;
            }
            let begun = lane.as_ref().map(|_| Instant::now());
            let read = shared.scan.read(scratch, true)?;
            if !matches!(read, Read::Busy) {
                idle = None;
            }
            match read {
                Read::Partition(ticket, batches) => {
                    let (id, beside) = (ticket.id, shared.beside_bytes + ticket.held_bytes);
                    let read = used_bytes(batches.iter().map(|batch| &batch.batch.records), shared.holds_texts);
                    self.hold(id, beside + read)?;
                    let mut work = self.evaluate_all(id, &batches)?;
                    drop(batches);
                    work.beside_bytes = ticket.held_bytes;
                    let held = ticket.held_bytes + work.held_bytes(shared.holds_texts);
                    self.hold(id, shared.beside_bytes + held)?;
                    lock(&shared.pending).insert(id, work);
                    let start = Instant::now();
                    let committed = shared.scan.commit(ticket);
                    self.seconds.commit += start.elapsed().as_secs_f64();
                    self.absorb_all(committed, scratch)?;
                    if let (Some(lane), Some(begun)) = (&lane, begun) {
                        lane.done(BarKind::Partition, begun, || shared.label(id));
                    }
                    if shared.scan.awaits_commit(id) {
                        self.put_aside(id, held)?;
                    }
                    self.hands.resize(0)?;
                }
                Read::Committed(committed) => self.absorb_all(committed, scratch)?,
                Read::Busy => {
                    self.yield_to_others(&mut idle)?;
                    std::thread::sleep(A_MOMENT);
                }
                Read::End => return self.wait_for_others(),
            }
        }
    }

    /// Has so many bytes of a partition in its hands; what sinks have, and what waits, may go to disk for it.
    fn hold(&mut self, id: PartitionId, bytes: usize) -> Result<()> {
        if self.hands.resize(bytes).is_ok() {
            return Ok(());
        }
        self.relieve()?;
        let asking = self.shared.pressure.ask(id);
        let mut since = None;
        loop {
            // Whoever is idle now has let go of its memory before: only a refusal after that is final.
            let is_last_hope = asking.is_last_hope();
            self.shared.put_waiting_on_disk()?;
            since = if is_last_hope { since.or(Some(Instant::now())) } else { None };
            let last = since.is_some_and(|since| since.elapsed() >= QUIET);
            match self.hands.resize(bytes) {
                Err(error) if last => return Err(error),
                Err(_) if !self.shared.stopped() => std::thread::sleep(A_MOMENT),
                _ => return Ok(()),
            }
        }
    }

    /// Writes what the sinks hold to disk.
    fn relieve(&mut self) -> Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.relieve())
    }

    /// A partition waits for those before it: on its own account, or in this worker's hands, which are not free then.
    fn put_aside(&mut self, id: PartitionId, bytes: usize) -> Result<()> {
        let shared = self.shared;
        let mut own = shared.options.budget.reservation("partitions that wait for their turn");
        if own.resize(bytes).is_ok() {
            if let Some(work) = lock(&shared.pending).get_mut(&id) {
                work.reservation = Some(own);
            }
            return Ok(());
        }
        let mut idle = None;
        // A file that has come to an error commits nothing more.
        while shared.scan.awaits_commit(id) && !shared.stopped() {
            if idle.is_none() && shared.pressure.is_on() {
                let waiting = lock(&shared.pending).get_mut(&id).map(|work| work.put_on_disk(&shared.waiting_file));
                waiting.transpose()?;
                self.hands.resize(0)?;
            }
            self.yield_to_others(&mut idle)?;
            let pending = lock(&shared.pending);
            if !pending.contains_key(&id) {
                break;
            }
            drop(shared.settled.wait_timeout(pending, PATIENCE));
        }
        Ok(())
    }

    /// What the sinks hold may still be asked for.
    fn wait_for_others(&mut self) -> Result<()> {
        let done = self.shared.pressure.done();
        let mut idle = None;
        while done.others_work() && !self.shared.stopped() {
            self.yield_to_others(&mut idle)?;
            std::thread::sleep(A_MOMENT);
        }
        Ok(())
    }

    /// Lets go of what the sinks hold, once, if another worker asks for memory while this one waits.
    fn yield_to_others<'b>(&mut self, idle: &mut Option<Idle<'b>>) -> Result<()>
    where
        'a: 'b,
    {
        let shared = self.shared;
        if idle.is_none() && shared.pressure.is_on() {
            self.relieve()?;
            *idle = Some(shared.pressure.idle());
        }
        Ok(())
    }

    /// What a partition means to all stages. Rows that a join makes of it are held beside all else.
    fn evaluate_all(&mut self, id: PartitionId, batches: &[SourceBatch]) -> Result<PartitionWork> {
        let start = Instant::now();
        let (stages, before) = (self.shared.stages, self.hands.bytes());
        let work = PartitionWork::of(stages, batches, &mut |bytes| self.hold(id, before.saturating_add(bytes)));
        self.seconds.evaluate += start.elapsed().as_secs_f64();
        Ok(work)
    }

    fn absorb_all(&mut self, committed: Vec<Committed>, scratch: &mut ScanScratch) -> Result<()> {
        for mut item in committed {
            let locate = item.locate.take();
            self.absorb(item, locate.as_deref())?;
            if let Some(locate) = locate {
                locate.recycle(scratch);
            }
        }
        let start = Instant::now();
        for gate in self.shared.gates.iter().flatten() {
            gate.help(&|| self.shared.stopped())?;
        }
        self.seconds.absorb += start.elapsed().as_secs_f64();
        self.report_progress();
        Ok(())
    }

    fn absorb(&mut self, mut item: Committed, locate: Option<&dyn Locate>) -> Result<()> {
        let (shared, held) = (self.shared, self.hands.bytes());
        let pending = || {
            let work = lock(&shared.pending).remove(&item.id);
            shared.settled.notify_all();
            work
        };
        let rows = std::mem::replace(&mut item.rows, CommittedRows::AsRead);
        let mut work = match rows {
            CommittedRows::AsRead => {
                shared.partitions.fetch_add(1, Ordering::Relaxed);
                pending().ok_or_else(|| Error::internal("a partition was committed that nobody read"))?
            }
            CommittedRows::Instead(batches) => {
                shared.partitions.fetch_add(1, Ordering::Relaxed);
                drop(pending());
                self.evaluate_all(item.id, &batches)?
            }
            CommittedRows::Between(batches) => self.evaluate_all(item.id, &batches)?,
        };
        shared.records.fetch_add(item.records, Ordering::Relaxed);
        if let Some(warning) = item.warning.take() {
            self.warn(Warning(warning));
        }
        let values: Vec<_> = work.stages.iter_mut().map(|stage| std::mem::take(&mut stage.rejected)).collect();
        let found = Found::of(&mut item, values, locate, shared.keeping);
        lock(&shared.rejects).note(item.id.file, item.sequence, found, locate)?;
        let recoded = work.recoded;
        let mut stages = work.stages;
        // A stand-in for a value that does not fit must not go out; rows before an error may.
        let misfit: Vec<bool> = stages.iter().map(|work| !work.misfits.is_empty()).collect();
        let failed = |work: &StageWork| item.error.is_some() || work.failure.is_some();
        let closes: Vec<bool> = stages.iter().zip(&misfit).map(|(work, misfit)| *misfit || failed(work)).collect();
        let live = self.note(&mut stages, recoded, &item.id, locate, item.error, item.file_done);
        let start = Instant::now();
        for (at, (work, live)) in stages.into_iter().zip(live).enumerate() {
            if let Some(gate) = gate_of(shared.gates, at) {
                let (on_disk, batches) = if misfit[at] { Default::default() } else { work.into_rows() };
                let (file, sequence) = (item.id.file, item.sequence);
                let passage =
                    Passage { file, sequence, ends_file: item.file_done, closes: closes[at], on_disk, batches };
                gate.pass(passage, &|| shared.stopped(), &shared.pressure, &mut || self.relieve())?;
                continue;
            }
            if live {
                work.into_batches().try_for_each(|batch| self.sinks[at].absorb(batch?))?;
            }
        }
        self.seconds.absorb += start.elapsed().as_secs_f64();
        self.hands.resize(held)
    }

    /// Notes failures and misfits; tells which stages still want rows.
    fn note(
        &self,
        work: &mut [StageWork],
        recoded: Vec<RecodedField>,
        id: &PartitionId,
        locate: Option<&dyn Locate>,
        error: Option<Error>,
        file_done: bool,
    ) -> Vec<bool> {
        let shared = self.shared;
        let mut outcome = lock(&shared.outcome);
        outcome.note_recoded(recoded, locate);
        for (stage, work) in work.iter_mut().enumerate() {
            outcome.note(stage, id.file, work, locate);
        }
        if let Some(error) = error {
            outcome.note_input_error(id.file, error);
        }
        if file_done {
            outcome.note_file_done(id.file);
        }
        if let Some(file) = outcome.new_cut() {
            shared.scan.stop_from(file);
        }
        outcome.stages.iter().map(|stage| !stage.is_stale()).collect()
    }

    fn warn(&self, warning: Warning) {
        if self.shared.told.contains(&warning) {
            return;
        }
        if let Some(callback) = &self.shared.options.on_warning {
            callback(&warning);
        }
        lock(&self.shared.warnings).push(warning);
    }

    fn report_progress(&self) {
        self.shared.options.spill.note_progress(self.shared.scan.progress());
        let Some(callback) = &self.shared.options.on_progress else { return };
        let mut last = lock(&self.shared.last_progress);
        if last.elapsed() < Duration::from_millis(100) {
            return;
        }
        *last = Instant::now();
        let (bytes_done, bytes_total) = self.shared.scan.progress();
        let records = self.shared.records.load(Ordering::Relaxed);
        callback(Progress { pass: self.shared.pass_number, bytes_done, bytes_total, records });
    }
}
