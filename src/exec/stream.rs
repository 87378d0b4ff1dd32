//! Batches handed to the caller while the pass runs, in input order, never more than a few ahead of the caller.

use super::options::RunOptions;
use super::run::{run, stream_first_stage};
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::LogicalPlan;
use crate::source::CancelToken;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many batches may wait for the caller.
const AHEAD: usize = 8;

/// Lets the batches of a pass through in input order.
pub(super) struct Gate {
    /// The file and the commit in it whose turn it is.
    turn: Mutex<(u32, u64)>,
    moved: Condvar,
    out: SyncSender<Result<RecordBatch>>,
}

impl Gate {
    pub(super) fn new(out: SyncSender<Result<RecordBatch>>) -> Self {
        Gate { turn: Mutex::new((0, 0)), moved: Condvar::new(), out }
    }

    /// Waits for the turn of a commit and hands its batches to the caller. Whoever holds the earliest commit never
    /// waits for anyone but the caller.
    pub(super) fn emit(
        &self,
        file: u32,
        sequence: u64,
        last: bool,
        batches: impl Iterator<Item = Batch>,
        stopped: impl Fn() -> bool,
    ) -> Result<()> {
        let cancelled = || Error::new(ErrorKind::Cancelled, "the run was cancelled");
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while *turn != (file, sequence) {
            if stopped() {
                return Ok(());
            }
            let waited = self.moved.wait_timeout(turn, Duration::from_millis(50));
            turn = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        for batch in batches {
            // The caller has gone: so may we.
            self.out.send(Ok(batch.records)).map_err(|_| cancelled())?;
        }
        *turn = if last { (file + 1, 0) } else { (file, sequence + 1) };
        self.moved.notify_all();
        Ok(())
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
        if self.worker.as_ref().is_some_and(|worker| !worker.is_finished()) {
            self.cancel.cancel();
        }
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            // A panic of the worker was already turned into an error for the caller.
            drop(worker.join());
        }
    }
}

/// Starts a question and returns its batches as they become certain. A question that must see all rows before it can
/// answer is run first; then its result is handed out.
///
/// # Errors
/// The `Name` and `Type` errors of the plan. Errors of the data come as the last item.
pub fn stream(plan: LogicalPlan, mut options: RunOptions) -> Result<BatchStream> {
    let schema = plan.schema()?;
    let stages = crate::plan::lower(&plan)?;
    let (sender, receiver) = sync_channel(AHEAD);
    let cancel = options.cancel.clone();
    options.cancel = cancel.clone();
    let streams = stages.len() == 1 && matches!(stages[0].sink, crate::plan::SinkSpec::Collect { limit: None });
    let work = move || {
        let result = if streams {
            let gate = Gate::new(sender.clone());
            stream_first_stage(&plan, &options, &gate)
        } else {
            run(&[plan], &options).map(|output| {
                for answer in output.answers {
                    for batch in answer.batches {
                        if sender.send(Ok(batch)).is_err() {
                            return;
                        }
                    }
                }
            })
        };
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
