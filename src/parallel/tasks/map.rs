//! A function of many inputs.

use super::crew::{Crew, cores};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::parallel::process::said;
use crate::parallel::{Allocation, BarKind, Deal, Lane, Scheduler, Timeline};
use arrow::array::RecordBatch;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// How far tasks have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskProgress {
    /// Tasks that are done.
    pub done: usize,
    /// All tasks.
    pub total: usize,
}

pub(super) type Callback = Arc<dyn Fn(TaskProgress) + Send + Sync>;

/// How tasks are done. In a task, the threads of the tasks that it is one of are shared: [`Tasks::workers`] then says nothing.
#[derive(Clone)]
pub struct Tasks {
    pub(super) workers: usize,
    pub(super) allocation: Allocation,
    pub(super) scheduler: Scheduler,
    pub(super) timeout: Option<Duration>,
    pub(super) data: Option<RecordBatch>,
    pub(super) cancel: CancelToken,
    pub(super) on_progress: Option<Callback>,
    pub(super) timeline: Option<Timeline>,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks {
            workers: cores(),
            allocation: Allocation::Dynamic,
            scheduler: Scheduler::of_environment(),
            timeout: None,
            data: None,
            cancel: CancelToken::new(),
            on_progress: None,
            timeline: None,
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("workers", &self.workers)
            .field("allocation", &self.allocation)
            .finish_non_exhaustive()
    }
}

/// The results of `function` for all inputs, in their order, with the defaults of [`Tasks`].
///
/// ```
/// use outcrop::parallel::{map, random::{Pcg64, Random, SeedSequence}};
///
/// let seeds = SeedSequence::new(1).spawn(100);
/// let means = map(&seeds, |seed| {
///     let mut random = Random::new(Pcg64::from_seed(seed));
///     Ok((0..1000).map(|_| random.standard_normal()).sum::<f64>() / 1000.0)
/// })?;
/// assert!(means.iter().all(|mean| mean.abs() < 0.2));
/// # Ok::<(), outcrop::Error>(())
/// ```
///
/// # Errors
/// That of the first input, in their order, for which the function fails; a panic is an error too.
pub fn map<T: Sync, R: Send>(inputs: &[T], function: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    Tasks::default().map(inputs, function).into_iter().collect()
}

/// What a worker leaves behind: the results of the tasks that it did.
type Done<R> = Vec<(usize, Result<R>)>;

/// What all workers of one call share.
struct Shared<'a, T, R, F> {
    inputs: &'a [T],
    /// Gives each worker the function that it calls, with what the worker has for itself.
    begin: F,
    deal: Deal,
    tasks: &'a Tasks,
    crew: Crew,
    /// Hands that nobody has taken.
    hands: Mutex<Vec<usize>>,
    count: AtomicUsize,
    done: Mutex<Vec<Done<R>>>,
}

impl Tasks {
    /// Tasks with the defaults: a worker for each core, the largest task first.
    pub fn new() -> Self {
        Tasks::default()
    }

    /// How many threads are busy at most. Default: the cores available to the process.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Which worker does which task; of [`Tasks::map`] and [`Tasks::map_by_size`]. Default: whoever is free takes the next.
    #[must_use]
    pub fn allocation(mut self, allocation: Allocation) -> Self {
        self.allocation = allocation;
        self
    }

    /// Where named functions are called, see [`Tasks::map_named`]; closures always are on threads. Default:
    /// `$OUTCROP_SCHEDULER`, else threads.
    #[must_use]
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// What named functions are given with each input: shared by all workers, not copied for each. Columns of other types
    /// than the engine's come as files with such columns are read: integers and floats of any width as Int64 and Float64,
    /// decimals as doubles, timestamps as microseconds, dictionaries as their values, text as `Utf8`. Default: nothing.
    #[must_use]
    pub fn with(mut self, data: RecordBatch) -> Self {
        self.data = Some(data);
        self
    }

    /// A task in a worker process that takes longer is ended with it. Default: none.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Stops the tasks from outside: those that have not begun end with an error of kind `Cancelled`. Default: nobody does.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Told after each task, from any thread. Default: nobody.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(TaskProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(callback));
        self
    }

    /// Takes note of which thread did which task when; see [`Timeline`]. Default: nobody does.
    #[must_use]
    pub fn timeline(mut self, timeline: &Timeline) -> Self {
        self.timeline = Some(timeline.clone());
        self
    }

    /// The result of `function` for each input, or its error, in the order of the inputs. All are done, whichever fail; a
    /// panic is an error of kind `Task`.
    pub fn map<T: Sync, R: Send>(&self, inputs: &[T], function: impl Fn(&T) -> Result<R> + Sync) -> Vec<Result<R>> {
        self.map_by_size(inputs, |_| 0, function)
    }

    /// [`Tasks::map`]; of the inputs, the largest by `size` come first, if the allocation is dynamic.
    pub fn map_by_size<T: Sync, R: Send>(
        &self,
        inputs: &[T],
        size: impl Fn(&T) -> u64,
        function: impl Fn(&T) -> Result<R> + Sync,
    ) -> Vec<Result<R>> {
        self.map_with(inputs, size, || &function)
    }

    /// [`Tasks::map_by_size`]; `begin` is called on each thread that works, for what this thread calls.
    pub(super) fn map_with<T: Sync, R: Send, C: FnMut(&T) -> Result<R>>(
        &self,
        inputs: &[T],
        size: impl Fn(&T) -> u64,
        begin: impl Fn() -> C + Sync,
    ) -> Vec<Result<R>> {
        let (crew, permit) = Crew::here(self.workers);
        let shared = Shared {
            deal: Deal::new(self.allocation, inputs.len(), self.workers, |task| size(&inputs[task])),
            inputs,
            begin,
            tasks: self,
            crew: crew.clone(),
            hands: Mutex::new((1..self.workers.min(inputs.len())).rev().collect()),
            count: AtomicUsize::new(0),
            done: Mutex::default(),
        };
        std::thread::scope(|scope| {
            crew.busy(|| shared.serve(0, scope));
            drop(permit);
        });
        let mut results: Vec<Option<Result<R>>> = inputs.iter().map(|_| None).collect();
        for (task, result) in shared.done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten() {
            results[task] = Some(result);
        }
        let never = || Err(Error::internal("a task that nobody did"));
        results.into_iter().map(|result| result.unwrap_or_else(never)).collect()
    }
}

impl<T: Sync, R: Send, C: FnMut(&T) -> Result<R>, F: Fn() -> C + Sync> Shared<'_, T, R, F> {
    /// Does the tasks of a hand and then of those that nobody has taken, with others as long as there are permits.
    fn serve<'scope>(&'scope self, hand: usize, scope: &'scope Scope<'scope, '_>) {
        let (mut call, mut done) = ((self.begin)(), Done::new());
        let lane = self.tasks.timeline.as_ref().map(Timeline::lane);
        for hand in std::iter::once(hand).chain(std::iter::from_fn(|| self.hand())) {
            while let Some(task) = self.deal.next(hand) {
                if self.crew.has_permit() {
                    self.recruit(scope);
                }
                let start = lane.as_ref().map(|_| Instant::now());
                let result = self.tasks.cancel.check().and_then(|()| attempt(|| call(&self.inputs[task])));
                note(&lane, start, result.is_ok(), task);
                done.push((task, result));
                self.tasks.tell(&self.count, self.inputs.len());
            }
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    /// A hand that nobody has taken.
    fn hand(&self) -> Option<usize> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn recruit<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        // The permit comes first: a hand that is taken in vain would be missed by those who look for what is left.
        while let Some(permit) = self.crew.permit() {
            let Some(hand) = self.hand() else { return };
            if !permit.help(scope, move || self.serve(hand, scope)) {
                // Whoever puts it back looks for it again at the end.
                return self.hands.lock().unwrap_or_else(PoisonError::into_inner).push(hand);
            }
        }
    }
}

impl Tasks {
    /// One more task of `total` is done.
    pub(super) fn tell(&self, count: &AtomicUsize, total: usize) {
        if let Some(callback) = &self.on_progress {
            callback(TaskProgress { done: count.fetch_add(1, Ordering::Relaxed) + 1, total });
        }
    }
}

/// Takes note of a task, by its number, that began at `start`.
pub(super) fn note(lane: &Option<Lane>, start: Option<Instant>, well: bool, task: usize) {
    if let (Some(lane), Some(start)) = (lane, start) {
        let kind = if well { BarKind::Task } else { BarKind::Failed };
        lane.done(kind, start, || (task + 1).to_string());
    }
}

/// Calls a function of the user's; a panic is an error.
pub(super) fn attempt<R>(call: impl FnOnce() -> Result<R>) -> Result<R> {
    let panicked = |panic: Box<dyn std::any::Any + Send>| {
        Err(Error::new(ErrorKind::Task, format!("the function panicked: {}", said(&*panic))))
    };
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn results_are_in_the_order_of_the_inputs_and_errors_are_of_their_task() {
        let inputs: Vec<u64> = (0..1000).collect();
        let square = |input: &u64| match input {
            77 => Err(Error::new(ErrorKind::Value, "unlucky")),
            78 => std::panic::resume_unwind(Box::new("unluckier")),
            input => Ok(input * input),
        };
        for allocation in ["dynamic", "static", "static(3)"] {
            for workers in [1, 3, 16] {
                let tasks = Tasks::new().workers(workers).allocation(Allocation::parse(allocation).unwrap());
                let results = tasks.map_by_size(&inputs, |input| input * 100, square);
                let values: Vec<u64> = results.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
                let expected: Vec<u64> =
                    (0..1000).filter(|input| ![77, 78].contains(input)).map(|input| input * input).collect();
                assert_eq!(values, expected, "{allocation} {workers}");
                let said = |task: usize| results[task].as_ref().unwrap_err().message().to_owned();
                assert_eq!((said(77), said(78)), ("unlucky".into(), "the function panicked: unluckier".into()));
            }
        }
        assert_eq!(map(&inputs, square).unwrap_err().message(), "unlucky");
        assert!(map(&[], square).unwrap().is_empty());
    }

    #[test]
    fn nested_tasks_are_never_busier_than_the_crew() {
        for (workers, allocation) in [(1, "dynamic"), (3, "dynamic"), (3, "static")] {
            let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let leaf = |_: &u32| {
                let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                busy.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            let inner: Vec<u32> = (0..6).collect();
            let outer: Vec<u32> = (0..5).collect();
            let tasks = Tasks::new().workers(workers).allocation(Allocation::parse(allocation).unwrap());
            // The inner ones ask for far more.
            let results = tasks.map(&outer, |_| {
                assert_eq!(crate::exec::RunOptions::default().threads, 1, "passes in tasks are no different");
                Tasks::new()
                    .workers(64)
                    .map(&inner, |input| map(&inner, leaf).and_then(|_| leaf(input)))
                    .into_iter()
                    .collect::<Result<Vec<()>>>()
            });
            assert!(results.iter().all(Result::is_ok));
            assert!(most.load(Ordering::SeqCst) <= workers, "{} of {workers}", most.load(Ordering::SeqCst));
            assert!(workers == 1 || most.load(Ordering::SeqCst) > 1);
        }
    }

    #[test]
    fn each_task_is_done_once_however_helpers_fight_for_permits() {
        let inputs: Vec<u32> = (0..24).collect();
        let rivals: Vec<u32> = (0..3).collect();
        let tasks = Tasks::new().workers(24).allocation(Allocation::Static(None));
        for _ in 0..300 {
            let done: Vec<AtomicUsize> = inputs.iter().map(|_| AtomicUsize::new(0)).collect();
            let results = Tasks::new().workers(4).map(&rivals, |rival| {
                let count = |input: &u32| {
                    if *rival == 0 {
                        done[*input as usize].fetch_add(1, Ordering::Relaxed);
                    }
                    std::thread::yield_now();
                    Ok(*input)
                };
                tasks.map(&inputs, count).into_iter().collect::<Result<Vec<u32>>>()
            });
            assert!(results.into_iter().all(|result| result.unwrap() == inputs));
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn tasks_that_have_not_begun_are_cancelled_and_progress_is_told() {
        let token = CancelToken::new();
        let told = Arc::new(AtomicUsize::new(0));
        let all_told = Arc::clone(&told);
        let tasks = Tasks::new().workers(2).cancel(token.clone()).on_progress(move |progress| {
            assert_eq!(progress.total, 100);
            all_told.fetch_max(progress.done, Ordering::SeqCst);
        });
        let inputs: Vec<usize> = (0..100).collect();
        let results = tasks.map(&inputs, |input| {
            if *input == 10 {
                token.cancel();
            }
            Ok(*input)
        });
        assert!(results[10].is_ok());
        assert_eq!(results[99].as_ref().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(told.load(Ordering::SeqCst), 100);
    }

    #[test]
    fn helpers_come_when_permits_become_free() {
        // One task of the outer call is long over; the other then has two threads.
        let both = AtomicBool::new(false);
        let (inside, inner) = (AtomicUsize::new(0), (0..2000).collect::<Vec<u32>>());
        let results = Tasks::new().workers(2).map(&[1, 2000], |length: &usize| {
            Tasks::new().map(&inner[..*length], |_| {
                if inside.fetch_add(1, Ordering::SeqCst) > 0 && *length > 1 {
                    both.store(true, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_micros(100));
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            });
            Ok(())
        });
        assert!(results.len() == 2 && both.load(Ordering::SeqCst));
    }
}
