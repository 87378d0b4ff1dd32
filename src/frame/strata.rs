//! Whole groups of a described table, given to a function or a program.

use super::group_by::GroupBy;
use super::lazy::{IntoExprs, LazyFrame, expand_wildcards, visible_names};
use crate::error::Result;
use crate::exec::{RunOptions, RunStatistics, Warning};
use crate::expr::{Expr, col};
use crate::parallel::Allocation;
use crate::source::memory::MemorySource;
use crate::strata::{self, OnError, StrataAnswer, StrataOptions, StrataQuestion, StrataStatistics, Stratum};
use arrow::array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// The groups of a table, each a *stratum*: all rows of one key together, in input order.
#[derive(Clone, Debug)]
pub struct Strata {
    frame: LazyFrame,
    keys: Vec<Expr>,
    columns: Option<Vec<Expr>>,
    data: Option<RecordBatch>,
    how: StrataOptions,
    options: RunOptions,
}

/// The results of all strata, and what the run did.
#[derive(Clone, Debug)]
pub struct StrataRun {
    /// A frame over the results: the keys, then the columns of the results, in the order of the keys.
    pub frame: LazyFrame,
    /// Of the pass that scattered the rows.
    pub statistics: RunStatistics,
    /// Of the work on the strata.
    pub strata: StrataStatistics,
    /// What the user should know: strata that were left out, for one.
    pub warnings: Vec<Warning>,
}

impl GroupBy {
    /// Gives each group, whole, to `function`, on all threads, and gathers what it returns in the order of the keys, which
    /// are put in front: a model for each carrier, say. The groups are read and worked on now; the frame is over the results.
    ///
    /// Rows of a group are in input order, and its columns are views of memory that is shared. Results may have any number
    /// of rows, and have the same columns for all groups; a column that is Int64 for one and Float64 for another is Float64.
    ///
    /// ```
    /// use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
    /// use arrow::datatypes::Int64Type;
    /// use outcrop::{arrow, scan_csv};
    /// use std::sync::Arc;
    ///
    /// let air = scan_csv("testdata/airline/200*.csv.bz2")?;
    /// let widest = air.group_by("UniqueCarrier").map_strata(|stratum| {
    ///     let delays = stratum.column("ArrDelay")?;
    ///     let delays: Vec<i64> = delays.as_primitive::<Int64Type>().iter().flatten().collect();
    ///     let jump = delays.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
    ///     let jump: ArrayRef = Arc::new(Float64Array::from(vec![jump.map(|jump| jump as f64)]));
    ///     Ok(RecordBatch::try_from_iter([("jump", jump)])?)
    /// })?;
    /// assert!(widest.ask("UniqueCarrier, jump sort jump desc limit 3")?.collect()?.rows() == 3);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// A wrong name or type, the first error in the data, or that of the first group, in the order of keys, that failed.
    pub fn map_strata(&self, function: impl Fn(&Stratum) -> Result<RecordBatch> + Sync) -> Result<LazyFrame> {
        Ok(self.strata().map(function)?.frame)
    }

    /// The groups, to be given to a function or a program, with options.
    pub fn strata(&self) -> Strata {
        let (frame, keys) = self.parts();
        Strata { frame, keys, columns: None, data: None, how: StrataOptions::default(), options: RunOptions::default() }
    }
}

impl Strata {
    /// The columns or expressions that each stratum has. Default: all columns.
    #[must_use]
    pub fn columns(mut self, columns: impl IntoExprs) -> Self {
        self.columns = Some(columns.into_exprs());
        self
    }

    /// What a function is given with each stratum, see [`Stratum::data`]: shared by all workers, not copied for each. Default:
    /// nothing.
    #[must_use]
    pub fn with(mut self, data: RecordBatch) -> Self {
        self.data = Some(data);
        self
    }

    /// How many strata are worked on at a time. Default: as many as the run has threads.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.how.workers = Some(workers.max(1));
        self
    }

    /// Who takes which stratum. Default: whoever is free takes the largest that is left.
    #[must_use]
    pub fn allocation(mut self, allocation: Allocation) -> Self {
        self.how.allocation = allocation;
        self
    }

    /// How often a stratum that failed is tried again. Default: never.
    #[must_use]
    pub fn retries(mut self, retries: usize) -> Self {
        self.how.retries = retries;
        self
    }

    /// A program that takes longer over a stratum is ended; functions are not. Default: none.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.how.timeout = Some(timeout);
        self
    }

    /// What becomes of a stratum that fails at every attempt. Default: the run fails, once all others are done.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.how.on_error = on_error;
        self
    }

    /// Told what a program that succeeded said on stderr: the keys of its stratum in words, and the end of what it said, some
    /// KiB; from any thread. What one says that fails stands in its error. Default: nobody.
    #[must_use]
    pub fn on_said(mut self, callback: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.how.on_said = Some(Arc::new(callback));
        self
    }

    /// How the run is done. Default: [`RunOptions::default`].
    #[must_use]
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Gives each stratum to `function`, see [`GroupBy::map_strata`].
    ///
    /// # Errors
    /// As [`GroupBy::map_strata`].
    pub fn map(&self, function: impl Fn(&Stratum) -> Result<RecordBatch> + Sync) -> Result<StrataRun> {
        let (question, data) = (self.question()?, self.data.as_ref());
        StrataRun::of(strata::map(&question, &function, data, &self.how, &self.options)?)
    }

    /// [`Strata::map`] with a function that captures nothing, so that every scheduler can run it: under
    /// [`Scheduler::Processes`](crate::exec::Scheduler::Processes), in worker processes, which are this program, executed
    /// again. The program must call [`init`](crate::init) first in `main`. What the function needs goes in
    /// [`Strata::with`].
    ///
    /// A worker that crashes, or takes longer than [`Strata::timeout`], costs its stratum.
    ///
    /// # Errors
    /// As [`GroupBy::map_strata`].
    pub fn map_named(&self, function: fn(&Stratum) -> Result<RecordBatch>) -> Result<StrataRun> {
        let (question, data) = (self.question()?, self.data.as_ref());
        StrataRun::of(strata::map_named(&question, function, data, &self.how, &self.options)?)
    }

    /// Gives each stratum to a shell command, a process for each: where `{}` stands in it, as the path of an Arrow IPC file,
    /// to be mapped; without it, the same on its standard input. It prints CSV with a header, or an Arrow file or stream;
    /// nothing at all is a result without rows. `OUTCROP_STRATUM` in its environment says which stratum it has.
    ///
    /// A program that fails, is killed, prints what is no table, or takes longer than [`Strata::timeout`] costs its stratum.
    /// All that it has started is killed with it.
    ///
    /// ```
    /// use outcrop::scan_csv;
    ///
    /// let air = scan_csv("testdata/airline/2001.csv.bz2")?;
    /// let sizes = air.group_by("UniqueCarrier").strata().columns("DepDelay");
    /// let sizes = sizes.exec("printf 'bytes\n'; wc -c < {}")?.frame.collect()?;
    /// assert_eq!(sizes.schema().field(1).name(), "bytes");
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`GroupBy::map_strata`].
    pub fn exec(&self, command: &str) -> Result<StrataRun> {
        StrataRun::of(strata::exec(&self.question()?, command, &self.how, &self.options)?)
    }

    /// The rows sorted by key, under names that cannot collide.
    fn question(&self) -> Result<StrataQuestion> {
        let schema = self.frame.plan()?.schema()?;
        let columns = match &self.columns {
            Some(columns) => expand_wildcards(columns.clone(), &schema),
            None => visible_names(&schema),
        };
        // Wrong names and types are told as those of the user's own expressions.
        self.frame.select(self.keys.clone()).plan()?;
        self.frame.select(columns.clone()).plan()?;
        let names = |exprs: &[Expr]| exprs.iter().map(|expr| expr.output_name().to_string()).collect::<Vec<_>>();
        let (keys, own) = (names(&self.keys), names(&columns));
        let hidden = |part: &str, at: usize| format!("{part} {at} of a stratum");
        let renamed = |part: &'static str, exprs: &[Expr]| {
            exprs.iter().enumerate().map(|(at, expr)| expr.clone().alias(hidden(part, at))).collect::<Vec<_>>()
        };
        let all = [renamed("key", &self.keys), renamed("column", &columns)].concat();
        let sorted_by: Vec<Expr> = (0..keys.len()).map(|at| col(hidden("key", at))).collect();
        let sorted = self.frame.select(all).sort(sorted_by);
        Ok(StrataQuestion { plan: sorted.plan()?.as_ref().clone(), keys, columns: own })
    }
}

impl StrataRun {
    fn of(answer: StrataAnswer) -> Result<Self> {
        let StrataAnswer { schema, rows, statistics, strata, warnings } = answer;
        let source = MemorySource::of_rows(schema, rows);
        let frame = LazyFrame::from_source(Arc::new(source));
        Ok(StrataRun { frame, statistics, strata, warnings })
    }
}
