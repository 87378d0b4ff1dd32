//! Calls that need each other's results.

use super::crew::Crew;
use super::map::{TaskProgress, Tasks, attempt, note};
use crate::error::{Error, Result};
use crate::parallel::{Lane, Timeline};
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// How often whoever waits looks whether the tasks have been cancelled.
const LOOK: Duration = Duration::from_millis(20);

type Value = Arc<dyn Any + Send + Sync>;
type Call = Box<dyn FnOnce(&[Value]) -> Result<Value> + Send>;

/// One call.
struct Node {
    /// Until it is made.
    call: Mutex<Option<Call>>,
    inputs: Vec<Arc<Node>>,
    value: OnceLock<Result<Value>>,
}

impl Node {
    /// Makes the call, whose inputs are known, unless it has been made.
    fn run(&self) {
        self.value.get_or_init(|| {
            let known = |node: &Arc<Node>| match node.value.get() {
                Some(value) => value.clone(),
                None => Err(Error::internal("a call before its inputs")),
            };
            let inputs = self.inputs.iter().map(known).collect::<Result<Vec<Value>>>()?;
            let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
            let call = call.ok_or_else(|| Error::internal("a call that was made before"))?;
            attempt(|| call(&inputs))
        });
    }
}

/// The result of a call that is made when it is [computed](Tasks::compute), once, however many others need it. Clones share
/// it.
pub struct Delayed<T> {
    node: Arc<Node>,
    of_type: PhantomData<fn() -> T>,
}

impl<T> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Delayed { node: Arc::clone(&self.node), of_type: PhantomData }
    }
}

impl<T> fmt::Debug for Delayed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delayed")
            .field("inputs", &self.node.inputs.len())
            .field("made", &self.node.value.get().is_some())
            .finish()
    }
}

impl<T: Send + Sync + 'static> Delayed<T> {
    fn value(&self) -> Result<Arc<T>> {
        let value = self.node.value.get().cloned().ok_or_else(|| Error::internal("a call that was not made"))?;
        value?.downcast().map_err(|_| Error::internal("a call of another type"))
    }
}

/// What a function of type `F` needs: results of other calls.
pub trait Inputs<F, T> {
    #[doc(hidden)]
    fn delay(self, function: F) -> Delayed<T>;
}

fn node<T: Send + Sync + 'static>(
    inputs: Vec<Arc<Node>>,
    call: impl FnOnce(&[Value]) -> Result<T> + Send + 'static,
) -> Delayed<T> {
    let call: Call = Box::new(move |inputs| Ok(Arc::new(call(inputs)?) as Value));
    let node = Node { call: Mutex::new(Some(call)), inputs, value: OnceLock::new() };
    Delayed { node: Arc::new(node), of_type: PhantomData }
}

fn input<T: 'static>(inputs: &[Value], at: usize) -> Result<&T> {
    inputs.get(at).and_then(|value| value.downcast_ref()).ok_or_else(|| Error::internal("an input of another type"))
}

macro_rules! inputs {
    ($($input:ident $at:tt),*) => {
        impl<$($input: Send + Sync + 'static,)* F, R> Inputs<F, R> for ($(&Delayed<$input>,)*)
        where
            F: FnOnce($(&$input),*) -> Result<R> + Send + 'static,
            R: Send + Sync + 'static,
        {
            fn delay(self, function: F) -> Delayed<R> {
                node(vec![$(Arc::clone(&self.$at.node)),*], move |_inputs| function($(input::<$input>(_inputs, $at)?),*))
            }
        }
    };
}

inputs!();
inputs!(A 0);
inputs!(A 0, B 1);
inputs!(A 0, B 1, C 2);
inputs!(A 0, B 1, C 2, D 3);
inputs!(A 0, B 1, C 2, D 3, E 4);

impl<A, F, R> Inputs<F, R> for &[Delayed<A>]
where
    A: Send + Sync + 'static,
    F: FnOnce(&[&A]) -> Result<R> + Send + 'static,
    R: Send + Sync + 'static,
{
    fn delay(self, function: F) -> Delayed<R> {
        let nodes = self.iter().map(|delayed| Arc::clone(&delayed.node)).collect();
        node(nodes, move |inputs| {
            let values = (0..inputs.len()).map(|at| input::<A>(inputs, at)).collect::<Result<Vec<&A>>>()?;
            function(&values)
        })
    }
}

/// A call of `function` with the results of other calls, to be made when it is computed.
///
/// ```
/// use outcrop::parallel::{Tasks, delayed};
///
/// let data = delayed(|| Ok(vec![3.0, 1.0, 2.0]), ());
/// let sum = delayed(|data: &Vec<f64>| Ok(data.iter().sum::<f64>()), (&data,));
/// let largest = delayed(|data: &Vec<f64>| Ok(data.iter().copied().fold(f64::MIN, f64::max)), (&data,));
/// let share = delayed(|largest: &f64, sum: &f64| Ok(largest / sum), (&largest, &sum));
/// let (share, sum) = Tasks::new().compute((&share, &sum))?;
/// assert_eq!((*share, *sum), (0.5, 6.0));
/// # Ok::<(), outcrop::Error>(())
/// ```
pub fn delayed<F, T, I: Inputs<F, T>>(function: F, inputs: I) -> Delayed<T> {
    inputs.delay(function)
}

/// Calls that are computed together: a tuple, or a slice.
pub trait Computed {
    /// Their results, of the same shape.
    type Results;

    #[doc(hidden)]
    fn nodes(&self) -> Vec<NodeRef>;

    #[doc(hidden)]
    fn results(self) -> Result<Self::Results>;
}

#[doc(hidden)]
pub struct NodeRef(Arc<Node>);

impl<T: Send + Sync + 'static> Computed for &[Delayed<T>] {
    type Results = Vec<Arc<T>>;

    fn nodes(&self) -> Vec<NodeRef> {
        self.iter().map(|delayed| NodeRef(Arc::clone(&delayed.node))).collect()
    }

    fn results(self) -> Result<Vec<Arc<T>>> {
        self.iter().map(Delayed::value).collect()
    }
}

impl<T: Send + Sync + 'static> Computed for &Delayed<T> {
    type Results = Arc<T>;

    fn nodes(&self) -> Vec<NodeRef> {
        vec![NodeRef(Arc::clone(&self.node))]
    }

    fn results(self) -> Result<Arc<T>> {
        self.value()
    }
}

macro_rules! computed {
    ($($target:ident $at:tt),+) => {
        impl<$($target: Send + Sync + 'static),+> Computed for ($(&Delayed<$target>,)+) {
            type Results = ($(Arc<$target>,)+);

            fn nodes(&self) -> Vec<NodeRef> {
                vec![$(NodeRef(Arc::clone(&self.$at.node))),+]
            }

            fn results(self) -> Result<Self::Results> {
                Ok(($(self.$at.value()?,)+))
            }
        }
    };
}

computed!(A 0);
computed!(A 0, B 1);
computed!(A 0, B 1, C 2);
computed!(A 0, B 1, C 2, D 3);
computed!(A 0, B 1, C 2, D 3, E 4);

/// A worker takes calls one at a time, unless so many a worker are ready; of more, more, but not more than so many.
const READY_A_WORKER: usize = 4;
const MOST_AT_A_TIME: usize = 32;

/// The calls to be made for some targets, by number.
struct Plan {
    nodes: Vec<Arc<Node>>,
    /// Who needs each.
    needed_by: Vec<Vec<usize>>,
}

/// How far the calls are.
struct State {
    ready: VecDeque<usize>,
    /// Inputs that each still waits for.
    missing: Vec<usize>,
    /// Calls that have been made.
    made: usize,
    /// The thread that asked for the targets has nothing to do.
    leader_waits: bool,
}

/// What all workers of one compute share.
struct Graph<'a> {
    plan: Plan,
    state: Mutex<State>,
    moved: Condvar,
    tasks: &'a Tasks,
    crew: Crew,
}

impl Plan {
    /// All calls behind these that have not been made, each once, and how many inputs each waits for.
    fn of(targets: Vec<NodeRef>) -> (Plan, State) {
        let mut numbers: HashMap<*const Node, usize> = HashMap::new();
        let mut plan = Plan { nodes: Vec::new(), needed_by: Vec::new() };
        let mut waiting: Vec<Arc<Node>> = targets.into_iter().map(|target| target.0).collect();
        while let Some(node) = waiting.pop() {
            if node.value.get().is_none() && !numbers.contains_key(&Arc::as_ptr(&node)) {
                numbers.insert(Arc::as_ptr(&node), plan.nodes.len());
                waiting.extend(node.inputs.iter().cloned());
                plan.nodes.push(node);
            }
        }
        plan.needed_by = vec![Vec::new(); plan.nodes.len()];
        let mut missing = vec![0; plan.nodes.len()];
        for (at, node) in plan.nodes.iter().enumerate() {
            for input in node.inputs.iter().filter_map(|input| numbers.get(&Arc::as_ptr(input))) {
                plan.needed_by[*input].push(at);
                missing[at] += 1;
            }
        }
        let ready = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
        (plan, State { ready, missing, made: 0, leader_waits: false })
    }
}

impl Graph<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes calls on a thread of its own while there are any that are ready.
    fn help<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        self.make_ready(&self.tasks.timeline.as_ref().map(Timeline::lane), scope);
    }

    /// Makes calls while there are any that are ready. Where many are, it takes several at a time, for the lock of the graph is
    /// what short calls wait for.
    fn make_ready<'scope>(&'scope self, lane: &Option<Lane>, scope: &'scope Scope<'scope, '_>) {
        let mut state = self.lock();
        loop {
            let count = state.ready.len() / (READY_A_WORKER * self.tasks.workers);
            let count = count.clamp(1, MOST_AT_A_TIME).min(state.ready.len());
            if count == 0 || self.tasks.cancel.is_cancelled() {
                return;
            }
            let calls: Vec<usize> = state.ready.drain(..count).collect();
            drop(state);
            for &call in &calls {
                if self.tasks.cancel.is_cancelled() {
                    return;
                }
                let (start, node) = (lane.as_ref().map(|_| Instant::now()), &self.plan.nodes[call]);
                node.run();
                note(lane, start, node.value.get().is_some_and(Result::is_ok), call);
            }
            state = self.settle(&calls, scope);
        }
    }

    /// Makes calls until all are made, and waits where others make those that are needed first.
    fn lead<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let lane = self.tasks.timeline.as_ref().map(Timeline::lane);
        let more = self.lock().ready.len().saturating_sub(1);
        self.recruit(more, scope);
        loop {
            self.make_ready(&lane, scope);
            let mut state = self.lock();
            if state.made == self.plan.nodes.len() || self.tasks.cancel.is_cancelled() {
                return;
            }
            if state.ready.is_empty() {
                state.leader_waits = true;
                let mut waited = self.moved.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
                waited.0.leader_waits = false;
            }
        }
    }

    /// Notes that these calls have been made: others may be ready now, and who waits for them or could help is told.
    fn settle<'scope>(&'scope self, calls: &[usize], scope: &'scope Scope<'scope, '_>) -> MutexGuard<'scope, State> {
        let mut state = self.lock();
        state.made += calls.len();
        for needs in calls.iter().flat_map(|&call| &self.plan.needed_by[call]) {
            state.missing[*needs] -= 1;
            if state.missing[*needs] == 0 {
                state.ready.push_back(*needs);
            }
        }
        let (more, waits) = (state.ready.len().saturating_sub(1), state.leader_waits);
        let progress = TaskProgress { done: state.made, total: self.plan.nodes.len() };
        let idle = more > 0 && self.crew.has_permit();
        if !waits && !idle && self.tasks.on_progress.is_none() {
            return state;
        }
        drop(state);
        if waits {
            self.moved.notify_all();
        }
        if idle {
            self.recruit(more, scope);
        }
        if let Some(callback) = &self.tasks.on_progress {
            callback(progress);
        }
        self.lock()
    }

    /// Has others help with so many calls, as far as there are permits.
    fn recruit<'scope>(&'scope self, more: usize, scope: &'scope Scope<'scope, '_>) {
        let help = || self.crew.permit().is_some_and(|permit| permit.help(scope, move || self.help(scope)));
        let _ = (0..more).all(|_| help());
    }
}

impl Tasks {
    /// Makes the calls that are needed for the results of these, each once; results are kept for later computes.
    ///
    /// # Errors
    /// The first error of the targets, in their order; `Cancelled`. A call whose input failed fails with its error.
    pub fn compute<C: Computed>(&self, targets: C) -> Result<C::Results> {
        let (plan, state) = Plan::of(targets.nodes());
        let (crew, _permit) = Crew::here(self.workers);
        let graph = Graph { plan, state: Mutex::new(state), moved: Condvar::new(), tasks: self, crew: crew.clone() };
        std::thread::scope(|scope| crew.busy(|| graph.lead(scope)));
        self.cancel.check()?;
        targets.results()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelToken;
    use crate::error::ErrorKind;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_node_that_several_need_runs_once_also_in_a_later_compute() {
        for workers in [1, 4] {
            let runs = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&runs);
            let count = move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(7)
            };
            let top = delayed(count, ());
            let left = delayed(|top: &i32| Ok(top + 1), (&top,));
            let right = delayed(|top: &i32| Ok(top * 2), (&top,));
            let bottom = delayed(|left: &i32, right: &i32| Ok(left * right), (&left, &right));
            let tasks = Tasks::new().workers(workers);
            let (bottom, right) = tasks.compute((&bottom, &right)).unwrap();
            assert_eq!((*bottom, *right), (8 * 14, 14));
            assert_eq!(*tasks.compute(&left).unwrap(), 8);
            assert_eq!(runs.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn an_error_is_that_of_all_that_need_it_and_of_no_others() {
        let good = delayed(|| Ok(1), ());
        let bad = delayed(|| -> Result<i32> { Err(Error::new(ErrorKind::Value, "no data")) }, ());
        let behind = delayed(|bad: &i32, good: &i32| Ok(bad + good), (&bad, &good));
        let tasks = Tasks::new().workers(3);
        assert_eq!(tasks.compute((&good, &behind)).unwrap_err().message(), "no data");
        assert_eq!(*tasks.compute(&good).unwrap(), 1);
        let panics = delayed(|| -> Result<i32> { std::panic::resume_unwind(Box::new("singular")) }, ());
        assert!(tasks.compute(&panics).unwrap_err().message().contains("singular"));
    }

    #[test]
    fn a_long_chain_over_a_wide_layer_ends() {
        let mut layer: Vec<Delayed<u64>> = (0..200).map(|at| delayed(move || Ok(at), ())).collect();
        for _ in 0..20 {
            let sum = delayed(|all: &[&u64]| Ok(all.iter().copied().sum::<u64>() % 1000), &layer[..]);
            layer = (0..200).map(|at| delayed(move |sum: &u64| Ok(sum + at), (&sum,))).collect();
        }
        let alone = Tasks::new().workers(1).compute(&layer[..]).unwrap();
        assert_eq!(alone.len(), 200);
        assert_eq!(Tasks::new().workers(8).compute(&layer[..]).unwrap(), alone);
    }

    #[test]
    fn cancelled_calls_are_not_made() {
        let token = CancelToken::new();
        let cancels = token.clone();
        let cancel = move || {
            cancels.cancel();
            Ok(())
        };
        let first = delayed(cancel, ());
        let second = delayed(|_: &()| -> Result<()> { panic!("not made") }, (&first,));
        let error = Tasks::new().cancel(token).compute(&second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
