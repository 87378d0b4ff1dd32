//! `compute`: all answers at once, one pass over each input.

use super::dataframe::DataFrame;
use super::lazy::LazyFrame;
use super::reduction::Reduction;
use super::value::{FromValue, Value};
use crate::error::{Error, Result};
use crate::exec::{Progress, RunOptions, RunStatistics, Scheduler, Timeline, Warning, run};
use crate::memory::{Budget, ByteSize, Spill};
use crate::parallel::{Handle, begin};
use crate::plan::LogicalPlan;
use crate::source::CancelToken;
use std::path::PathBuf;
use std::sync::Arc;

/// Something that can be computed.
pub trait Target {
    /// The frame whose rows are the answer.
    fn frame(&self) -> &LazyFrame;
}

impl Target for LazyFrame {
    fn frame(&self) -> &LazyFrame {
        self
    }
}

impl Target for &LazyFrame {
    fn frame(&self) -> &LazyFrame {
        self
    }
}

impl Target for Reduction {
    fn frame(&self) -> &LazyFrame {
        Reduction::frame(self)
    }
}

/// A Rust type that the answer to a target of type `T` can be taken as.
pub trait FromAnswer<T>: Sized {
    /// The answer as this type.
    ///
    /// # Errors
    /// `Type` when the answer is of another type.
    fn from_answer(answer: DataFrame) -> Result<Self>;
}

impl<T: Target> FromAnswer<T> for DataFrame {
    fn from_answer(answer: DataFrame) -> Result<Self> {
        Ok(answer)
    }
}

fn only_value(answer: &DataFrame) -> Result<Value> {
    let name = answer.schema().fields().first().map(|field| field.name().clone());
    answer.value(0, &name.ok_or_else(|| Error::internal("an answer without columns"))?)
}

macro_rules! from_reduction {
    ($($rust:ty),+) => {$(
        impl FromAnswer<Reduction> for $rust {
            fn from_answer(answer: DataFrame) -> Result<Self> {
                FromValue::from_value(only_value(&answer)?)
            }
        }
    )+};
}

from_reduction!(Value, i64, f64, bool, String, Option<i64>, Option<f64>, Option<bool>, Option<String>);

/// A collection of targets: one, a tuple, an array or a vector.
pub trait Targets {
    /// The frames, in order.
    fn frames(&self) -> Vec<LazyFrame>;
}

/// A Rust type that the answers to targets of type `T` can be taken as, of the same shape.
pub trait FromAnswers<T>: Sized {
    /// The answers as this type.
    ///
    /// # Errors
    /// `Type` when an answer is of another type.
    fn from_answers(answers: Vec<DataFrame>) -> Result<Self>;
}

fn next(answers: &mut std::vec::IntoIter<DataFrame>) -> Result<DataFrame> {
    answers.next().ok_or_else(|| Error::internal("fewer answers than questions"))
}

macro_rules! single_target {
    ($($target:ty),+) => {$(
        impl Targets for $target {
            fn frames(&self) -> Vec<LazyFrame> {
                vec![Target::frame(self).clone()]
            }
        }

        impl<R: FromAnswer<$target>> FromAnswers<$target> for R {
            fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
                R::from_answer(next(&mut answers.into_iter())?)
            }
        }
    )+};
}

single_target!(LazyFrame, Reduction);

impl<T: Target> Targets for Vec<T> {
    fn frames(&self) -> Vec<LazyFrame> {
        self.iter().map(|target| target.frame().clone()).collect()
    }
}

impl<T: Target> Targets for &[T] {
    fn frames(&self) -> Vec<LazyFrame> {
        self.iter().map(|target| target.frame().clone()).collect()
    }
}

impl<T: Target, const N: usize> Targets for [T; N] {
    fn frames(&self) -> Vec<LazyFrame> {
        self.iter().map(|target| target.frame().clone()).collect()
    }
}

fn each<T, R: FromAnswer<T>>(answers: Vec<DataFrame>) -> Result<Vec<R>> {
    answers.into_iter().map(R::from_answer).collect()
}

impl<T: Target, R: FromAnswer<T>> FromAnswers<Vec<T>> for Vec<R> {
    fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
        each(answers)
    }
}

impl<T: Target, R: FromAnswer<T>> FromAnswers<&[T]> for Vec<R> {
    fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
        each(answers)
    }
}

impl<T: Target, R: FromAnswer<T>, const N: usize> FromAnswers<[T; N]> for [R; N] {
    fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
        each(answers)?.try_into().map_err(|_| Error::internal("fewer answers than questions"))
    }
}

impl<T: Target, R: FromAnswer<T>, const N: usize> FromAnswers<[T; N]> for Vec<R> {
    fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
        each(answers)
    }
}

macro_rules! tuple_targets {
    ($($target:ident $answer:ident $at:tt),+) => {
        impl<$($target: Target),+> Targets for ($($target,)+) {
            fn frames(&self) -> Vec<LazyFrame> {
                vec![$(self.$at.frame().clone()),+]
            }
        }

        impl<$($target: Target, $answer: FromAnswer<$target>),+> FromAnswers<($($target,)+)> for ($($answer,)+) {
            fn from_answers(answers: Vec<DataFrame>) -> Result<Self> {
                let mut answers = answers.into_iter();
                Ok(($($answer::from_answer(next(&mut answers)?)?,)+))
            }
        }
    };
}

tuple_targets!(A RA 0);
tuple_targets!(A RA 0, B RB 1);
tuple_targets!(A RA 0, B RB 1, C RC 2);
tuple_targets!(A RA 0, B RB 1, C RC 2, D RD 3);
tuple_targets!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4);
tuple_targets!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5);
tuple_targets!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5, G RG 6);
tuple_targets!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5, G RG 6, H RH 7);

/// Answers all targets with default options; inputs that they share are read once.
///
/// # Errors
/// A wrong name or type in any target, before data are read; else the first error in the data.
pub fn compute<T: Targets, R: FromAnswers<T>>(targets: T) -> Result<R> {
    Runner::new().compute(targets)
}

/// Answers together with what the run did.
#[derive(Clone, Debug)]
pub struct Run<R> {
    /// The answers.
    pub value: R,
    /// What the run did: passes, bytes, records, seconds.
    pub statistics: RunStatistics,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Runs computations with options other than the defaults.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    options: RunOptions,
}

impl Runner {
    /// A runner with default options.
    pub fn new() -> Self {
        Runner::default()
    }

    /// A runner with these options.
    pub fn with_options(options: RunOptions) -> Self {
        Runner { options }
    }

    /// Worker threads, or worker processes. Default: the cores available to the process.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Where the work is done. Default: `OUTCROP_SCHEDULER`, else threads.
    #[must_use]
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.options.scheduler = scheduler;
        self
    }

    /// Bytes of text in a partition. Default 1 MiB. Answers do not depend on it.
    #[must_use]
    pub fn piece_bytes(mut self, bytes: usize) -> Self {
        self.options.piece_bytes = bytes.max(1);
        self
    }

    /// Bytes of text in a batch. Default 256 KiB. Answers do not depend on it.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.options.batch_bytes = bytes.max(1);
        self
    }

    /// Stops the run from outside. Default: a token that nobody else holds.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.options.cancel = token;
        self
    }

    /// The most memory that the run may take; what does not fit goes to disk. Default: see [`Budget::of_environment`].
    #[must_use]
    pub fn memory(self, limit: ByteSize) -> Self {
        self.budget(Budget::of_size(limit))
    }

    /// The memory account, perhaps one that several runs share. Default: as [`Runner::memory`].
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.options.budget = budget;
        self
    }

    /// Where what does not fit in memory goes. Default: see [`Spill::new`].
    #[must_use]
    pub fn spill(mut self, spill: Spill) -> Self {
        self.options.spill = spill;
        self
    }

    /// Where records and values that were set aside are written as CSV, see [`RunOptions::rejects`]. Default: nowhere.
    #[must_use]
    pub fn rejects(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.rejects = Some(path.into());
        self
    }

    /// Told of warnings as they arise. Default: nobody.
    #[must_use]
    pub fn on_warning(mut self, callback: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        self.options.on_warning = Some(Arc::new(callback));
        self
    }

    /// Takes note of which worker did which partition when. Default: nobody does.
    #[must_use]
    pub fn timeline(mut self, timeline: &Timeline) -> Self {
        self.options.timeline = Some(timeline.clone());
        self
    }

    /// Told of progress about ten times a second. Default: nobody.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.options.on_progress = Some(Arc::new(callback));
        self
    }

    /// The options.
    pub fn options(&self) -> &RunOptions {
        &self.options
    }

    /// Answers all targets; inputs that they share are read once.
    ///
    /// # Errors
    /// A wrong name or type in any target, before data are read; else the first error in the data.
    pub fn compute<T: Targets, R: FromAnswers<T>>(&self, targets: T) -> Result<R> {
        self.run(targets).map(|run| run.value)
    }

    /// Like [`Runner::compute`], with the statistics of the run.
    ///
    /// # Errors
    /// As [`Runner::compute`].
    pub fn run<T: Targets, R: FromAnswers<T>>(&self, targets: T) -> Result<Run<R>> {
        answer(&plans(&targets)?, &self.options)
    }

    /// Begins what [`Runner::run`] does, and goes on: the handle says whether it is done, waits and cancels;
    /// [`Runner::on_progress`] is told how far it is. Whoever cancels the token of this runner cancels it too.
    ///
    /// ```
    /// use outcrop::{Runner, scan_csv};
    /// use outcrop::frame::Run;
    ///
    /// let air = scan_csv("testdata/airline/2001.csv.bz2")?;
    /// let answers = Runner::new().submit((air.count(), air.max("ArrDelay")))?;
    /// // Meanwhile, something else.
    /// let run: Run<(i64, Option<i64>)> = answers.wait()?;
    /// assert_eq!((run.value.0, run.statistics.passes), (6165, 1));
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// A wrong name or type in any target, at once; errors in the data are those of the handle. `Io` when no thread can be
    /// started.
    pub fn submit<T: Targets, R: FromAnswers<T> + Send + 'static>(&self, targets: T) -> Result<Handle<Run<R>>> {
        let (plans, options) = (plans(&targets)?, self.options.clone());
        begin(self.options.cancel.child(), move |cancel| {
            answer::<T, R>(&plans, &RunOptions { cancel: cancel.clone(), ..options })
        })
    }
}

fn plans(targets: &impl Targets) -> Result<Vec<LogicalPlan>> {
    targets.frames().iter().map(|frame| Ok(LogicalPlan::clone(frame.plan()?))).collect()
}

fn answer<T: Targets, R: FromAnswers<T>>(plans: &[LogicalPlan], options: &RunOptions) -> Result<Run<R>> {
    let output = run(plans, options)?;
    let answers = output.answers.into_iter().map(|answer| DataFrame::of_rows(answer.schema, answer.rows)).collect();
    Ok(Run { value: R::from_answers(answers)?, statistics: output.statistics, warnings: output.warnings })
}
