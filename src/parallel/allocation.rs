//! Which worker does which task: told beforehand, or as they come.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How tasks are allotted to workers. Results do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// Whoever is free takes the next task, the largest first: nobody waits long for a task that was begun late.
    #[default]
    Dynamic,
    /// Before any task begins: chunks of so many tasks that follow each other, dealt out in turns; without a number, one
    /// chunk a worker. For tasks that take equally long.
    Static(Option<NonZeroUsize>),
}

impl Allocation {
    /// The allocation called so: `dynamic`, `static` or, with the length of chunks, `static(4)`.
    ///
    /// # Errors
    /// `Syntax` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let chunk = |text: &str| text.strip_prefix("static(")?.strip_suffix(')')?.trim().parse().ok();
        match text {
            "dynamic" => Ok(Allocation::Dynamic),
            "static" => Ok(Allocation::Static(None)),
            other => chunk(other).map(|chunk| Allocation::Static(Some(chunk))).ok_or_else(|| {
                Error::new(ErrorKind::Syntax, format!("no allocation `{other}`"))
                    .hint("allocations are dynamic, static and static(N), N tasks at a time")
            }),
        }
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allocation::Dynamic => f.write_str("dynamic"),
            Allocation::Static(None) => f.write_str("static"),
            Allocation::Static(Some(chunk)) => write!(f, "static({chunk})"),
        }
    }
}

/// Tasks up to this size are as good as equal, and come in their own order.
const SMALL: u64 = 4096;

/// Hands out the numbers of tasks.
#[derive(Debug)]
pub(crate) enum Deal {
    Dynamic { order: Vec<u32>, next: AtomicUsize },
    Static { tasks: usize, chunk: usize, workers: usize, done: Vec<AtomicUsize> },
}

impl Deal {
    /// Of `tasks` tasks to `workers` workers. Sizes that differ by less than a factor of two count as equal.
    pub(crate) fn new(allocation: Allocation, tasks: usize, workers: usize, size: impl Fn(usize) -> u64) -> Self {
        let workers = workers.max(1);
        match allocation {
            Allocation::Dynamic => {
                let mut order: Vec<u32> = (0..tasks as u32).collect();
                order.sort_by_key(|&task| std::cmp::Reverse(size(task as usize).max(SMALL).ilog2()));
                Deal::Dynamic { order, next: AtomicUsize::new(0) }
            }
            Allocation::Static(chunk) => {
                let chunk = chunk.map_or_else(|| tasks.div_ceil(workers).max(1), usize::from);
                Deal::Static { tasks, chunk, workers, done: (0..workers).map(|_| AtomicUsize::new(0)).collect() }
            }
        }
    }

    /// The next task of a worker.
    pub(crate) fn next(&self, worker: usize) -> Option<usize> {
        match self {
            Deal::Dynamic { order, next } => order.get(next.fetch_add(1, Ordering::Relaxed)).map(|&task| task as usize),
            Deal::Static { tasks, chunk, workers, done } => {
                let count = done.get(worker)?.fetch_add(1, Ordering::Relaxed);
                let task = (count / chunk * workers + worker) * chunk + count % chunk;
                (task < *tasks).then_some(task)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(allocation: &str, sizes: &[u64], workers: usize) -> Vec<Vec<usize>> {
        let deal = Deal::new(Allocation::parse(allocation).unwrap(), sizes.len(), workers, |task| sizes[task]);
        (0..workers).map(|worker| std::iter::from_fn(|| deal.next(worker)).collect()).collect()
    }

    #[test]
    fn the_largest_come_first_and_small_ones_in_their_order() {
        assert_eq!(dealt("dynamic", &[1, 9000, 5, 70_000, 8200, 3], 1), [[3, 1, 4, 0, 2, 5]]);
    }

    #[test]
    fn chunks_are_dealt_out_in_turns() {
        assert_eq!(dealt("static(2)", &[1; 9], 2), [vec![0, 1, 4, 5, 8], vec![2, 3, 6, 7]]);
        assert_eq!(dealt("static", &[1; 5], 2), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(dealt("static", &[], 3), [const { Vec::<usize>::new() }; 3]);
    }

    #[test]
    fn names_are_read_as_they_are_shown() {
        for name in ["dynamic", "static", "static(12)"] {
            assert_eq!(Allocation::parse(name).unwrap().to_string(), name);
        }
        for wrong in ["", "static(0)", "static(x)", "guided"] {
            assert_eq!(Allocation::parse(wrong).unwrap_err().kind(), ErrorKind::Syntax, "{wrong}");
        }
    }
}
