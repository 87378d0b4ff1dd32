//! Batches handed to the caller while the pass runs, in input order, never more than a few ahead of the caller.

use super::options::RunOptions;
use super::output::{Prepared, RowOutput};
use super::steps::run_into;
use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use crate::plan::{LogicalPlan, Stage, lower};
use crate::source::CancelToken;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// No more than this share of the memory limit is held back.
const HELD_SHARE: usize = 16;

/// How many batches may wait for the caller.
const AHEAD: usize = 8;

/// Hands rows to the caller of a stream.
struct StreamOutput {
    out: SyncSender<Result<RecordBatch>>,
    /// So many bytes are held back, so that a run that fails early has handed out nothing.
    hold_bytes: usize,
    cancel: CancelToken,
    held: Mutex<Held>,
}

/// What is held back.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// Something has been handed out.
    flowing: bool,
}

impl StreamOutput {
    /// Hands out what is held back.
    fn flow(&self, held: &mut Held, stopped: &dyn Fn() -> bool) -> Result<()> {
        held.flowing = true;
        for records in std::mem::take(&mut held.batches) {
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

    /// The run ended well: whatever is held back may go.
    fn finish(&self) -> Result<()> {
        self.flow(&mut lock(&self.held), &|| self.cancel.is_cancelled())
    }
}

impl RowOutput for StreamOutput {
    fn begin(&self, _schema: &SchemaRef) -> Result<()> {
        let mut held = lock(&self.held);
        if held.flowing {
            return Err(Error::internal("a stream that has handed out rows was begun again"));
        }
        *held = Held::default();
        Ok(())
    }

    fn can_begin_again(&self) -> bool {
        !lock(&self.held).flowing
    }

    fn take(&self, prepared: Prepared, stopped: &dyn Fn() -> bool) -> Result<()> {
        let mut held = lock(&self.held);
        held.bytes += prepared.records.get_array_memory_size();
        held.batches.push(prepared.records);
        if held.flowing || held.bytes > self.hold_bytes {
            self.flow(&mut held, stopped)?;
        }
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
    // What is held back is not on the account: it is little beside it.
    let hold_bytes = hold_bytes.min(options.budget.limit_bytes() / HELD_SHARE);
    let cancel = options.cancel.child();
    options.cancel = cancel.clone();
    let work = move || {
        let output =
            StreamOutput { out: sender.clone(), hold_bytes, cancel: options.cancel.clone(), held: Mutex::default() };
        let run = || run_into(&[plan], &[Some(&output)], &options).and_then(|_| output.finish());
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

/// Whether a plan is answered by rows in input order, so that they can be handed out as they come.
///
/// # Errors
/// The `Name` and `Type` errors of the plan.
pub fn flows_through(plan: &LogicalPlan) -> Result<bool> {
    Ok(flow(&lower(plan)?))
}

/// Whether stages hand their rows on in input order.
pub(super) fn flow(stages: &[Stage]) -> bool {
    use crate::plan::SinkSpec;
    matches!(stages, [only] if only.skip == 0 && matches!(only.sink, SinkSpec::Collect { limit: None }))
}
