//! Work that goes on while its caller does something else.

use super::crew::Crew;
use super::map::{Tasks, attempt};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use std::thread::JoinHandle;

/// Work that has been submitted. Dropping it cancels the work, and does not wait for it.
#[derive(Debug)]
pub struct Handle<T> {
    thread: Option<JoinHandle<Result<T>>>,
    cancel: CancelToken,
}

/// Begins work on a thread of its own. It is told by its token when it is to stop; a run with this token as that of its
/// options does.
///
/// ```
/// use outcrop::exec::RunOptions;
/// use outcrop::{Runner, parallel::submit, scan_csv};
///
/// let air = scan_csv("testdata/airline/2001.csv.bz2")?;
/// let count = submit(move |cancel| {
///     let options = RunOptions { cancel: cancel.clone(), ..RunOptions::default() };
///     Runner::with_options(options).compute::<_, i64>(air.count())
/// })?;
/// // Meanwhile, something else.
/// assert_eq!(count.wait()?, 6165);
/// # Ok::<(), outcrop::Error>(())
/// ```
///
/// # Errors
/// `Io` when no thread can be started.
pub fn submit<T: Send + 'static>(work: impl FnOnce(&CancelToken) -> Result<T> + Send + 'static) -> Result<Handle<T>> {
    begin(CancelToken::new(), work)
}

/// [`submit`], with this token.
pub(crate) fn begin<T: Send + 'static>(
    cancel: CancelToken,
    work: impl FnOnce(&CancelToken) -> Result<T> + Send + 'static,
) -> Result<Handle<T>> {
    let (token, crew) = (cancel.clone(), Crew::of_this_thread());
    let work = move || attempt(|| work(&token));
    // What a task submits has the threads of the task.
    let work = move || match crew {
        Some(crew) => crew.busy(work),
        None => work(),
    };
    let thread = std::thread::Builder::new().name("outcrop-submitted".into()).spawn(work);
    let thread = thread.map_err(|error| Error::new(ErrorKind::Io, format!("cannot start a thread: {error}")))?;
    Ok(Handle { thread: Some(thread), cancel })
}

impl<T> Handle<T> {
    /// Whether the work has ended, well or not.
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the work and gives its result.
    ///
    /// # Errors
    /// That of the work; a panic is one of kind `Task`.
    pub fn wait(mut self) -> Result<T> {
        let thread = self.thread.take().ok_or_else(|| Error::internal("work that was waited for before"))?;
        thread.join().unwrap_or_else(|_| Err(Error::internal("submitted work panicked")))
    }
}

impl Tasks {
    /// Begins `work`, which has these tasks done, and goes on: the handle says whether it is done, waits and cancels;
    /// [`Tasks::on_progress`] is told how far it is. Whoever cancels the token of these tasks cancels it too.
    ///
    /// ```
    /// use outcrop::parallel::Tasks;
    ///
    /// let squares = Tasks::new().submit(|tasks| tasks.map(&[1, 2, 3], |n: &i32| Ok(n * n)).into_iter().collect())?;
    /// // Meanwhile, something else.
    /// let squares: Vec<i32> = squares.wait()?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Io` when no thread can be started.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tasks) -> Result<T> + Send + 'static,
    ) -> Result<Handle<T>> {
        let tasks = self.clone();
        begin(self.cancel.child(), move |cancel| work(&tasks.cancel(cancel.clone())))
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn until_cancelled(cancel: &CancelToken) -> Result<()> {
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        cancel.check()
    }

    #[test]
    fn work_goes_on_until_it_is_done_or_cancelled() {
        let waiting = submit(until_cancelled).unwrap();
        assert!(!waiting.is_done());
        waiting.cancel();
        assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(submit(|_| Ok(7)).unwrap().wait().unwrap(), 7);
        let panics = submit(|_| -> Result<()> { std::panic::resume_unwind(Box::new("bad")) }).unwrap();
        assert!(panics.wait().unwrap_err().message().contains("bad"));
    }

    #[test]
    fn tasks_that_are_submitted_are_cancelled_by_their_handle_and_by_their_token() {
        let token = CancelToken::new();
        let tasks = Tasks::new().workers(2).cancel(token.clone());
        let begin = || {
            tasks.submit(|tasks| {
                let cancel = tasks.cancel.clone();
                tasks.map(&[0; 8], |_| until_cancelled(&cancel)).into_iter().collect::<Result<Vec<()>>>()
            })
        };
        let (one, other) = (begin().unwrap(), begin().unwrap());
        one.cancel();
        assert_eq!(one.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(!other.is_done() && !token.is_cancelled());
        token.cancel();
        assert_eq!(other.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn what_a_task_submits_has_the_threads_of_the_task() {
        let threads = Tasks::new().workers(1).map(&[()], |()| submit(|_| Ok(super::super::threads_here()))?.wait());
        assert_eq!(threads.into_iter().collect::<Result<Vec<_>>>().unwrap(), [1]);
    }
}
