//! Strata given to a function of the user's: on the threads of the run, or in worker processes.

use super::options::StrataOptions;
use super::output::Outcome;
use super::run::{Calls, StrataAnswer, StrataQuestion, Work, answer};
use super::stratum::Stratum;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{RunOptions, Scheduler};
use crate::memory::Segment;
use crate::memory::table::{batches, share};
use crate::parallel::alone;
use crate::parallel::process::{Call, Payload, Reply, Worker, address, check, place, said};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A function of strata.
pub type StratumFunction<'a> = dyn Fn(&Stratum) -> Result<RecordBatch> + Sync + 'a;
/// A function of strata that captures nothing, so that a worker process has it too.
pub type NamedFunction = fn(&Stratum) -> Result<RecordBatch>;

/// Gives each stratum to a function, on the threads of the run; `data` is what [`Stratum::data`] gives.
///
/// # Errors
/// Those of the pass; `Unsupported` under the scheduler `processes`; the first stratum in the order of keys that failed, if
/// that is not to be skipped; results that do not go together.
pub fn map(
    question: &StrataQuestion,
    function: &StratumFunction<'_>,
    data: Option<&RecordBatch>,
    how: &StrataOptions,
    options: &RunOptions,
) -> Result<StrataAnswer> {
    if options.scheduler == Scheduler::Processes {
        let message = "a closure cannot be sent to a worker process, with what it captures";
        return Err(Error::new(ErrorKind::Unsupported, message)
            .hint("name a function (map_named, with what it needs in with), or use the scheduler threads"));
    }
    let mapped = data.map(|data| shared(data, options)).transpose()?.map(|segment| segment.map()).transpose()?;
    let data = mapped.map(|mapped| batches(&mapped)).transpose()?.map(|(_, batches)| batches).unwrap_or_default();
    answer(question, &OnThreads { function, data: data.into() }, how, options)
}

/// [`map`] with a function that captures nothing: under the scheduler `processes`, in worker processes.
///
/// # Errors
/// As [`map`]; `Unsupported` where worker processes cannot be had.
pub fn map_named(
    question: &StrataQuestion,
    function: NamedFunction,
    data: Option<&RecordBatch>,
    how: &StrataOptions,
    options: &RunOptions,
) -> Result<StrataAnswer> {
    if options.scheduler != Scheduler::Processes {
        return map(question, &function, data, how, options);
    }
    check(function as usize)?;
    let data = data.map(|data| shared(data, options)).transpose()?;
    answer(question, &InProcesses { function, data, how, options }, how, options)
}

/// What all strata are given, as a segment.
fn shared(data: &RecordBatch, options: &RunOptions) -> Result<Segment> {
    share(data, &options.budget, &options.spill)
}

/// Whatever a function says is about its stratum.
fn of_function(error: Error) -> Error {
    let of_function = Error::new(ErrorKind::Task, error.message());
    match error.hint_text() {
        Some(hint) => of_function.hint(hint),
        None => of_function,
    }
}

struct OnThreads<'a> {
    function: &'a StratumFunction<'a>,
    data: Arc<[RecordBatch]>,
}

impl Work for OnThreads<'_> {
    fn begin(&self) -> Calls<'_> {
        Box::new(|task| {
            let stratum = Stratum::new(task.keys.clone(), &task.segment.map()?, Arc::clone(&self.data))?;
            match catch_unwind(AssertUnwindSafe(|| alone(|| (self.function)(&stratum)))) {
                Ok(result) => result.and_then(|batch| Outcome::returned(&batch)).map_err(of_function),
                Err(panic) => Err(Error::new(ErrorKind::Task, format!("the function panicked: {}", said(&*panic)))),
            }
        })
    }
}

struct InProcesses<'a> {
    function: NamedFunction,
    data: Option<Segment>,
    how: &'a StrataOptions,
    options: &'a RunOptions,
}

impl Work for InProcesses<'_> {
    fn begin(&self) -> Calls<'_> {
        let mut worker = Worker::new(self.data.clone(), &self.options.spill);
        Box::new(move |task| {
            let mut bytes = place(self.function as usize)?.to_le_bytes().to_vec();
            bytes.extend(encoded(&task.keys)?);
            let mut room = self.options.budget.reservation("the result of a stratum");
            let call = Call {
                function: in_worker,
                bytes: &bytes,
                segment: Some(&task.segment),
                timeout: self.how.timeout,
                cancel: task.cancel,
            };
            let result = worker.call(&call, &mut room)?;
            let outcome = Outcome::returned(&decoded(&result.bytes)?).map_err(of_function)?;
            Ok(Outcome { room: Some(room), ..outcome })
        })
    }
}

/// What a worker does with a stratum.
fn in_worker(payload: Payload) -> Result<Reply> {
    let (Some((function, keys)), Some(segment)) = (payload.bytes.split_first_chunk(), &payload.segment) else {
        return Err(Error::internal("a task without a stratum"));
    };
    let address = address(u64::from_le_bytes(*function))?;
    // SAFETY: the process that sent the place runs the same program, and has taken it from a function of this type.
    let function: NamedFunction = unsafe { std::mem::transmute::<usize, NamedFunction>(address) };
    let data = payload.data.as_ref().map(batches).transpose()?.map(|(_, batches)| batches).unwrap_or_default();
    encoded(&function(&Stratum::new(decoded(keys)?, segment, data.into())?)?).map(Reply::from)
}

fn encoded(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

fn decoded(bytes: &[u8]) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(bytes, None)?;
    Ok(reader.next().ok_or_else(|| Error::internal("a message without a batch"))??)
}
