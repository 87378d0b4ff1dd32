//! What a task costs beside its work: in a map, and in a graph; and the lecture's allocation of slow and fast tasks.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use outcrop::parallel::{Allocation, Delayed, Tasks, delayed};
use std::time::{Duration, Instant};

fn main() {
    divan::main();
}

const TASKS: usize = 100_000;

#[divan::bench(args = [1, 2])]
fn map_of_nothing(bencher: Bencher, workers: usize) {
    let inputs: Vec<usize> = (0..TASKS).collect();
    let tasks = Tasks::new().workers(workers);
    bencher.counter(ItemsCount::new(TASKS)).bench_local(|| tasks.map(black_box(&inputs), |input| Ok(*input)));
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
    let spin = |length: &u64| {
        let end = Instant::now() + Duration::from_millis(*length);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(())
    };
    bencher.bench_local(|| tasks.map_by_size(&lengths, |length| length << 20, spin));
}
