//! Work behind a pass, on as many threads as the pass had, whose results leave in a fixed order.

use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use crate::source::CancelToken;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who does the work, and what stops it.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    pub(super) workers: usize,
    pub(super) cancel: CancelToken,
}

/// How far the jobs are.
struct State<T, F> {
    /// The next job to begin.
    next: usize,
    /// The next job whose result is to be taken.
    taken: usize,
    /// Results that came before their turn.
    waiting: BTreeMap<usize, Result<T>>,
    take: F,
    failed: Option<Error>,
}

impl Hands {
    /// The caller's thread only.
    pub(super) fn alone(&self) -> Self {
        self.of(1)
    }

    /// So many threads.
    pub(super) fn of(&self, workers: usize) -> Self {
        Hands { workers, cancel: self.cancel.clone() }
    }

    fn check(&self) -> Result<()> {
        match self.cancel.is_cancelled() {
            true => Err(Error::new(ErrorKind::Cancelled, "the run was cancelled")),
            false => Ok(()),
        }
    }

    /// Does jobs 0, 1, 2… in parallel and hands their results to `take` in this order. Few results wait for their turn.
    ///
    /// # Errors
    /// The first error in the order of the jobs.
    pub(super) fn in_order<T: Send>(
        &self,
        jobs: usize,
        work: impl Fn(usize) -> Result<T> + Sync,
        mut take: impl FnMut(T) -> Result<()> + Send,
    ) -> Result<()> {
        let work = |job| self.check().and_then(|()| work(job));
        let threads = self.workers.min(jobs);
        if threads <= 1 {
            return (0..jobs).try_for_each(|job| take(work(job)?));
        }
        let state = Mutex::new(State { next: 0, taken: 0, waiting: BTreeMap::new(), take, failed: None });
        let turned = Condvar::new();
        let worker = || loop {
            let mut now = lock(&state);
            while now.failed.is_none() && now.next < jobs && now.next >= now.taken + 2 * threads {
                now = turned.wait(now).unwrap_or_else(PoisonError::into_inner);
            }
            if now.failed.is_some() || now.next == jobs {
                return;
            }
            let job = now.next;
            now.next += 1;
            drop(now);
            let panicked = |_| Err(Error::internal("a worker thread panicked"));
            let result = catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or_else(panicked);
            let mut now = lock(&state);
            now.waiting.insert(job, result);
            let taken = catch_unwind(AssertUnwindSafe(|| take_what_is_due(&mut now)));
            if taken.is_err() {
                now.failed = Some(Error::internal("a worker thread panicked"));
            }
            turned.notify_all();
        };
        std::thread::scope(|scope| {
            // The caller's thread is one of them, so the work is done even where no other can be started.
            for at in 1..threads {
                let builder = std::thread::Builder::new().name(format!("outcrop-{at}"));
                let _ = builder.spawn_scoped(scope, worker);
            }
            worker();
        });
        state.into_inner().unwrap_or_else(PoisonError::into_inner).failed.map_or(Ok(()), Err)
    }

    /// The results of jobs 0, 1, 2…, done in parallel.
    ///
    /// # Errors
    /// The first error in the order of the jobs.
    pub(super) fn each<T: Send>(&self, jobs: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let mut results = Vec::with_capacity(jobs);
        self.in_order(jobs, work, |result| {
            results.push(result);
            Ok(())
        })?;
        Ok(results)
    }
}

fn take_what_is_due<T, F: FnMut(T) -> Result<()>>(now: &mut MutexGuard<'_, State<T, F>>) {
    while now.failed.is_none() {
        let due = now.taken;
        let Some(result) = now.waiting.remove(&due) else { return };
        now.taken += 1;
        if let Err(error) = result.and_then(|result| (now.take)(result)) {
            now.failed = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn hands(workers: usize) -> Hands {
        Hands { workers, cancel: CancelToken::new() }
    }

    #[test]
    fn results_leave_in_order_and_few_wait() {
        for workers in [1, 2, 5] {
            let (begun, mut next) = (AtomicUsize::new(0), 0);
            let work = |job: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                if job.is_multiple_of(7) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Ok(job)
            };
            let take = |job: usize| {
                assert_eq!(job, next);
                assert!(begun.load(Ordering::SeqCst) <= job + 1 + 2 * workers, "too many are ahead");
                next += 1;
                Ok(())
            };
            hands(workers).in_order(100, work, take).unwrap();
            assert_eq!(next, 100);
        }
    }

    #[test]
    fn the_first_error_in_order_counts_and_a_panic_is_one() {
        for workers in [1, 3] {
            let fail = |job: usize| match job {
                5.. => Err(Error::internal(format!("job {job}"))),
                _ => Ok(()),
            };
            let error = hands(workers).each(50, fail).unwrap_err();
            assert!(error.to_string().contains("job 5"), "{error}");
            let refused = hands(workers).in_order(50, Ok, |job| if job == 3 { fail(9) } else { Ok(()) });
            assert!(refused.unwrap_err().to_string().contains("job 9"));
        }
        let panics = |job: usize| if job == 4 { std::panic::resume_unwind(Box::new(())) } else { Ok(job) };
        assert_eq!(hands(3).each(20, panics).unwrap_err().kind(), ErrorKind::Internal);
        let stopped = hands(2);
        stopped.cancel.cancel();
        assert_eq!(stopped.each(20, Ok).unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
