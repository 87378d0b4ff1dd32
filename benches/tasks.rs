//! What a task costs beside its work: in a map, in a graph, in worker processes, and in rayon; and the lecture's allocation
//! of slow and fast tasks.

use arrow::array::RecordBatch;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use outcrop::Result;
use outcrop::parallel::{Allocation, Delayed, Scheduler, Tasks, delayed};
use rayon::prelude::*;
use std::time::Duration;

fn main() {
    // Worker processes are this program, executed again.
    outcrop::init();
    divan::main();
}

const TASKS: usize = 100_000;

#[divan::bench(args = [1, 2])]
fn map_of_nothing(bencher: Bencher, workers: usize) {
    let inputs: Vec<usize> = (0..TASKS).collect();
    let tasks = Tasks::new().workers(workers);
    bencher.counter(ItemsCount::new(TASKS)).bench_local(|| tasks.map(black_box(&inputs), |input| Ok(*input)));
}

/// The same in rayon, a job for each input.
#[divan::bench(args = [1, 2])]
fn rayon_map_of_nothing(bencher: Bencher, workers: usize) {
    let inputs: Vec<usize> = (0..TASKS).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    let all = |inputs: &[usize]| -> Vec<Result<usize>> {
        inputs.par_iter().with_max_len(1).map(|input| Ok(*input)).collect()
    };
    bencher.counter(ItemsCount::new(TASKS)).bench_local(|| pool.install(|| all(black_box(&inputs))));
}

fn same(input: &u64, _: &[RecordBatch]) -> Result<u64> {
    Ok(*input)
}

/// In worker processes: what starts them is paid once for all tasks of a call, so the cost of a task is the difference between
/// many and few, by their number.
#[divan::bench(args = [(1, 1_000), (1, 11_000), (2, 1_000), (2, 11_000)], sample_count = 11)]
fn process_map_of_nothing(bencher: Bencher, (workers, count): (usize, u64)) {
    let inputs: Vec<u64> = (0..count).collect();
    let tasks = Tasks::new().workers(workers).scheduler(Scheduler::Processes);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let results = tasks.map_named(black_box(&inputs), same);
        assert!(results.iter().all(Result::is_ok));
    });
}

#[divan::bench(args = [1, 2])]
fn graph_of_nothing(bencher: Bencher, workers: usize) {
    const WIDE: usize = 1000;
    let tasks = Tasks::new().workers(workers);
    let graph = || {
        let leaves: Vec<Delayed<usize>> = (0..WIDE).map(|at| delayed(move || Ok(at), ())).collect();
        delayed(|all: &[&usize]| Ok(all.iter().copied().sum::<usize>()), &leaves[..])
    };
    bencher.counter(ItemsCount::new(WIDE + 1)).with_inputs(graph).bench_local_values(|sum| tasks.compute(&sum));
}

/// Four slow tasks, then twelve fast ones, on two workers.
#[divan::bench(args = ["dynamic", "static", "static(2)"], sample_count = 5)]
fn four_slow_twelve_fast(bencher: Bencher, allocation: &str) {
    let tasks = Tasks::new().workers(2).allocation(Allocation::parse(allocation).unwrap());
    let lengths: Vec<u64> = (0..16).map(|task| if task < 4 { 40 } else { 2 }).collect();
    // Asleep, they do not depend on who else uses the cores.
    let sleep = |length: &u64| {
        std::thread::sleep(Duration::from_millis(*length));
        Ok(())
    };
    bencher.bench_local(|| tasks.map_by_size(&lengths, |length| length << 20, sleep));
}
