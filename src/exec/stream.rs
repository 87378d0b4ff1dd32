//! Batches handed to the caller while the pass runs, in input order, never more than a few ahead of the caller.

use super::options::RunOptions;
use super::run::{run, stream_only_stage};
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{LogicalPlan, SinkSpec, lower};
use crate::source::CancelToken;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many batches may wait for the caller.
const AHEAD: usize = 8;

/// Lets the batches of a pass through in input order.
pub(super) struct Gate {
    turn: Mutex<Turn>,
    moved: Condvar,
    out: SyncSender<Result<RecordBatch>>,
    /// So many bytes are held back, so that a run that fails early has handed out nothing.
    hold_bytes: usize,
}

/// Whose turn it is, and what is held back.
#[derive(Default)]
struct Turn {
    file: u32,
    sequence: u64,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    /// Something has been handed out.
    flowing: bool,
    /// Nothing more is let through.
    closed: bool,
}

/// One commit on its way through the gate.
pub(super) struct Passage<B> {
    pub(super) file: u32,
    pub(super) sequence: u64,
    /// The last commit of its file.
    pub(super) ends_file: bool,
    /// Nothing behind this commit may pass: it met an error.
    pub(super) closes: bool,
    pub(super) batches: B,
}

impl Gate {
    fn new(out: SyncSender<Result<RecordBatch>>, hold_bytes: usize) -> Self {
        Gate { turn: Mutex::default(), moved: Condvar::new(), out, hold_bytes }
    }

    /// Waits for the turn of a commit and hands its batches to the caller. Whoever holds the earliest commit never
    /// waits for anyone but the caller.
    pub(super) fn pass(&self, passage: Passage<impl Iterator<Item = Batch>>, stopped: impl Fn() -> bool) -> Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while (turn.file, turn.sequence) != (passage.file, passage.sequence) && !turn.closed {
            if stopped() {
                return Ok(());
            }
            let waited = self.moved.wait_timeout(turn, Duration::from_millis(50));
            turn = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if turn.closed {
            return Ok(());
        }
        for batch in passage.batches {
            turn.held_bytes += batch.records.get_array_memory_size();
            turn.held.push(batch.records);
            if turn.flowing || turn.held_bytes > self.hold_bytes {
                self.flow(&mut turn, &stopped)?;
            }
        }
        turn.closed = passage.closes;
        (turn.file, turn.sequence) =
            if passage.ends_file { (passage.file + 1, 0) } else { (passage.file, passage.sequence + 1) };
        self.moved.notify_all();
        Ok(())
    }

    /// Hands out what is held back.
    fn flow(&self, turn: &mut Turn, stopped: &impl Fn() -> bool) -> Result<()> {
        turn.flowing = true;
        for records in std::mem::take(&mut turn.held) {
            let mut item = Ok(records);
            while let Err(refused) = self.out.try_send(item) {
                item = match refused {
                    TrySendError::Full(item) if !stopped() => item,
                    _ => return Err(Error::new(ErrorKind::Cancelled, "the run was cancelled")),
                };
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// The pass ended well: whatever is held back may go.
    fn finish(self, cancel: &CancelToken) -> Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.flow(&mut turn, &|| cancel.is_cancelled())
    }

    /// Whether anything has been handed out.
    fn has_flowed(&self) -> bool {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).flowing
    }
}

/// The batches of a question, in order. Dropping it stops the run.
pub struct BatchStream {
    schema: SchemaRef,
    receiver: Option<Receiver<Result<RecordBatch>>>,
    cancel: CancelToken,
    worker: Option<JoinHandle<()>>,
}

impl BatchStream {
    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Iterator for BatchStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.as_ref()?.recv().ok()
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            // A panic of the worker was already turned into an error for the caller.
            drop(worker.join());
        }
    }
}

/// Starts a question and returns its batches as they become certain. A question that must see all rows before it can
/// answer is run first; then its result is handed out. The first `hold_bytes` bytes are held back until more have come
/// or all is well: a run that fails before has handed out nothing.
///
/// # Errors
/// The `Name` and `Type` errors of the plan. Errors of the data come as the last item.
pub fn stream(plan: LogicalPlan, mut options: RunOptions, hold_bytes: usize) -> Result<BatchStream> {
    let schema = plan.answer_schema()?;
    let (sender, receiver) = sync_channel(AHEAD);
    let cancel = options.cancel.child();
    options.cancel = cancel.clone();
    let work = move || {
        let run = || answer(plan, &options, &sender, hold_bytes);
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Error::internal("a run panicked")));
        if let Err(error) = result {
            // The caller may have gone; then nobody wants the error.
            drop(sender.send(Err(error)));
        }
    };
    let worker = std::thread::Builder::new()
        .name("outcrop-stream".into())
        .spawn(work)
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot start a thread: {error}")))?;
    Ok(BatchStream { schema, receiver: Some(receiver), cancel, worker: Some(worker) })
}

fn answer(
    mut plan: LogicalPlan,
    options: &RunOptions,
    sender: &SyncSender<Result<RecordBatch>>,
    hold_bytes: usize,
) -> Result<()> {
    while flows_through(&plan)? {
        let gate = Gate::new(sender.clone(), hold_bytes);
        match stream_only_stage(&plan, options, &gate)? {
            None => return gate.finish(&options.cancel),
            Some(misfits) if gate.has_flowed() => return Err(misfits.too_late()),
            Some(misfits) => plan = misfits.widened_plan(&plan, options)?,
        }
    }
    for answer in run(&[plan], options)?.answers {
        for batch in answer.batches {
            if sender.send(Ok(batch)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether a plan is answered by rows in input order, so that they can be handed out as they come.
///
/// # Errors
/// The `Name` and `Type` errors of the plan.
pub fn flows_through(plan: &LogicalPlan) -> Result<bool> {
    let stages = lower(plan)?;
    Ok(matches!(stages.as_slice(), [only] if matches!(only.sink, SinkSpec::Collect { limit: None })))
}
