//! A named function of many inputs, under any scheduler.

use super::map::Tasks;
use super::message::Message;
use crate::error::{Error, Result};
use crate::memory::table::{batches, share};
use crate::memory::{Budget, Segment, Spill};
use crate::parallel::Scheduler;
use crate::parallel::process::{Call, Payload, Reply, Worker, address, check, place};
use arrow::array::RecordBatch;

/// A function of an input and of what all tasks are given: one batch, or none.
pub type NamedTask<T, R> = fn(&T, &[RecordBatch]) -> Result<R>;

impl Tasks {
    /// [`Tasks::map`] with a function that captures nothing, so that every scheduler can run it: under
    /// [`Scheduler::Processes`] in worker processes, which are this program, executed again; the program must call
    /// [`init`](crate::init) first in `main`. The function is also given what is in [`Tasks::with`], which all workers share.
    ///
    /// A worker that crashes, or takes longer than [`Tasks::timeout`], costs its task.
    pub fn map_named<T, R>(&self, inputs: &[T], function: NamedTask<T, R>) -> Vec<Result<R>>
    where
        T: Message + Sync,
        R: Message + Send,
    {
        let all = |error: Error| inputs.iter().map(|_| Err(error.clone())).collect();
        let budget = Budget::of_environment().unwrap_or_else(|_| Budget::unlimited());
        let shared = self.data.as_ref().map(|data| share(data, &budget, &Spill::default())).transpose();
        let data = match shared {
            Ok(data) => data,
            Err(error) => return all(error),
        };
        match self.scheduler {
            Scheduler::Processes => match check(function as usize) {
                Ok(()) => self.in_processes(inputs, function, data.as_ref(), &budget),
                Err(error) => all(error),
            },
            scheduler => match data.as_ref().map(views).transpose() {
                Ok(data) => {
                    let workers = if scheduler == Scheduler::Synchronous { 1 } else { self.workers };
                    let data = data.unwrap_or_default();
                    self.clone().workers(workers).map(inputs, |input| function(input, &data))
                }
                Err(error) => all(error),
            },
        }
    }

    fn in_processes<T, R>(
        &self,
        inputs: &[T],
        function: NamedTask<T, R>,
        data: Option<&Segment>,
        budget: &Budget,
    ) -> Vec<Result<R>>
    where
        T: Message + Sync,
        R: Message + Send,
    {
        self.map_with(
            inputs,
            |_| 0,
            || {
                // A worker ends with the thread that starts it, so each thread has its own.
                let mut worker = Worker::new(data.cloned(), &Spill::default());
                move |input: &T| self.call(&mut worker, input, function, budget)
            },
        )
    }

    fn call<T: Message, R: Message>(
        &self,
        worker: &mut Worker,
        input: &T,
        function: NamedTask<T, R>,
        budget: &Budget,
    ) -> Result<R> {
        let mut bytes = place(function as usize)?.to_le_bytes().to_vec();
        input.send(&mut bytes)?;
        let call = Call {
            function: in_worker::<T, R>,
            bytes: &bytes,
            segment: None,
            timeout: self.timeout,
            cancel: &self.cancel,
        };
        let result = worker.call(&call, &mut budget.reservation("the result of a task"))?;
        R::receive(&mut result.bytes.as_slice())
    }
}

/// What a worker does with an input.
fn in_worker<T: Message, R: Message>(payload: Payload) -> Result<Reply> {
    let (function, mut input) =
        payload.bytes.split_first_chunk().ok_or_else(|| Error::internal("a task without a function"))?;
    let address = address(u64::from_le_bytes(*function))?;
    // SAFETY: the process that sent the place runs the same program, and has taken it from a function of this type.
    let function: NamedTask<T, R> = unsafe { std::mem::transmute::<usize, NamedTask<T, R>>(address) };
    let data = payload.data.as_ref().map(batches).transpose()?.map(|(_, batches)| batches).unwrap_or_default();
    let mut bytes = Vec::new();
    function(&T::receive(&mut input)?, &data)?.send(&mut bytes)?;
    Ok(bytes.into())
}

fn views(segment: &Segment) -> Result<Vec<RecordBatch>> {
    Ok(batches(&segment.map()?)?.1)
}
