//! A described table.

use super::compute::Runner;
use super::dataframe::DataFrame;
use super::group_by::GroupBy;
use crate::error::Result;
use crate::exec::{BatchStream, RunOptions, stream};
use crate::expr::{Expr, col};
use crate::parallel::{Handle, begin};
use crate::plan::{AggregateSelect, BatchFunction, LogicalPlan, SortKey, explain, over_groups};
use crate::source::constants::visible_schema;
use crate::source::memory::MemorySource;
use crate::source::{CancelToken, PartitionInfo, Source};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// A table that is described, not read. Cloning is cheap; verbs return a new description.
///
/// A wrong name or type is found when the verb is called, kept, and returned by whatever is asked of the frame next
/// ([`LazyFrame::schema`], [`compute`](super::compute)): always before any row is read.
#[derive(Clone, Debug)]
pub struct LazyFrame {
    plan: Result<Arc<LogicalPlan>>,
}

/// An expression, or the name of a column.
pub trait IntoExpr {
    /// The expression.
    fn into_expr(self) -> Expr;
}

impl IntoExpr for Expr {
    fn into_expr(self) -> Expr {
        self
    }
}

impl IntoExpr for &str {
    fn into_expr(self) -> Expr {
        col(self)
    }
}

impl IntoExpr for String {
    fn into_expr(self) -> Expr {
        col(self)
    }
}

/// One expression or column name, or several.
pub trait IntoExprs {
    /// The expressions, in order.
    fn into_exprs(self) -> Vec<Expr>;
}

impl<T: IntoExpr> IntoExprs for T {
    fn into_exprs(self) -> Vec<Expr> {
        vec![self.into_expr()]
    }
}

impl<T: IntoExpr, const N: usize> IntoExprs for [T; N] {
    fn into_exprs(self) -> Vec<Expr> {
        self.into_iter().map(IntoExpr::into_expr).collect()
    }
}

impl<T: IntoExpr> IntoExprs for Vec<T> {
    fn into_exprs(self) -> Vec<Expr> {
        self.into_iter().map(IntoExpr::into_expr).collect()
    }
}

impl LazyFrame {
    /// All rows of a source.
    pub fn from_source(source: Arc<dyn Source>) -> Self {
        LazyFrame { plan: Ok(Arc::new(LogicalPlan::Scan(source))) }
    }

    /// A frame of a plan, whose names and types are checked now.
    pub fn from_plan(plan: LogicalPlan) -> Self {
        LazyFrame { plan: plan.schema().map(|_| Arc::new(plan)) }
    }

    /// The plan.
    ///
    /// # Errors
    /// The first wrong name or type of the verbs so far.
    pub fn plan(&self) -> Result<&Arc<LogicalPlan>> {
        self.plan.as_ref().map_err(Clone::clone)
    }

    /// Names and types of the columns, without the virtual `file_name`.
    ///
    /// # Errors
    /// The first wrong name or type of the verbs so far.
    pub fn schema(&self) -> Result<SchemaRef> {
        self.plan()?.answer_schema()
    }

    pub(super) fn then(&self, verb: impl FnOnce(Arc<LogicalPlan>) -> Result<LogicalPlan>) -> Self {
        let plan = self.plan().cloned().and_then(verb).and_then(|plan| plan.schema().map(|_| Arc::new(plan)));
        LazyFrame { plan }
    }

    /// The given columns or expressions only. With aggregates among them, one row over all rows.
    #[must_use]
    pub fn select(&self, columns: impl IntoExprs) -> Self {
        let columns = columns.into_exprs();
        self.then(|input| {
            if columns.iter().any(Expr::contains_aggregate) {
                return ungrouped(columns).plan(input);
            }
            let columns = expand_wildcards(columns, &input.schema()?);
            Ok(LogicalPlan::Project { input, columns })
        })
    }

    /// All columns, and the given expressions: in the place of a column of the same name, else behind.
    #[must_use]
    pub fn with_columns(&self, columns: impl IntoExprs) -> Self {
        let added = columns.into_exprs();
        self.then(|input| {
            let columns = with_added(visible_names(&input.schema()?), added);
            Ok(LogicalPlan::Project { input, columns })
        })
    }

    /// All columns, and the given expressions, in which aggregates are those of the rows that have the same `by` (of all rows
    /// where `by` is empty; null is a key like any other): what a fit predicts, the distance from a mean. The input is read
    /// twice.
    ///
    /// ```
    /// use outcrop::expr::predicted;
    /// use outcrop::{col, scan_csv};
    ///
    /// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
    /// let fit = predicted(col("ArrDelay"), [col("DepDelay")]);
    /// let rows = air.with_group_columns([(col("ArrDelay") - fit).alias("residual")], ["UniqueCarrier"]).collect()?;
    /// assert!(rows.schema().field_with_name("residual").is_ok());
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn with_group_columns(&self, columns: impl IntoExprs, by: impl IntoExprs) -> Self {
        let (columns, by) = (columns.into_exprs(), by.into_exprs());
        self.then(|input| {
            let own = visible_names(&input.schema()?);
            let (input, added) = over_groups(input, &by, &columns)?;
            Ok(LogicalPlan::Project { input, columns: with_added(own, added) })
        })
    }

    /// The rows for which `predicate` is true.
    #[must_use]
    pub fn filter(&self, predicate: Expr) -> Self {
        self.then(|input| Ok(LogicalPlan::Filter { input, predicate }))
    }

    /// Rows that are equal in all columns once. Rows ascend by the columns from the first to the last, as groups do by
    /// their keys; nulls are equal, and last.
    #[must_use]
    pub fn distinct(&self) -> Self {
        self.then(|input| {
            let keys = visible_names(&input.schema()?);
            AggregateSelect { keys, select: Vec::new(), having: None, sort: Vec::new(), limit: None }.plan(input)
        })
    }

    /// Groups of equal keys; follow with [`GroupBy::agg`]. Null is a group.
    pub fn group_by(&self, keys: impl IntoExprs) -> GroupBy {
        GroupBy::new(self.clone(), keys.into_exprs())
    }

    /// A question with aggregates in one piece.
    #[must_use]
    pub fn aggregate_select(&self, question: AggregateSelect) -> Self {
        self.then(|input| question.plan(input))
    }

    /// One row of aggregates over all rows.
    #[must_use]
    pub fn agg(&self, aggregates: impl IntoExprs) -> Self {
        let select = aggregates.into_exprs();
        self.aggregate_select(ungrouped(select))
    }

    /// All rows ordered by `keys`, ascending, the first key most significant; ties keep input order, nulls come last.
    #[must_use]
    pub fn sort(&self, keys: impl IntoExprs) -> Self {
        self.sort_by(keys.into_exprs().into_iter().map(|expr| SortKey { expr, descending: false }).collect())
    }

    /// Like [`LazyFrame::sort`], largest first; nulls still come last.
    #[must_use]
    pub fn sort_descending(&self, keys: impl IntoExprs) -> Self {
        self.sort_by(keys.into_exprs().into_iter().map(|expr| SortKey { expr, descending: true }).collect())
    }

    /// Like [`LazyFrame::sort`], with a direction for each key.
    #[must_use]
    pub fn sort_by(&self, keys: Vec<SortKey>) -> Self {
        self.then(|input| Ok(LogicalPlan::Sort { input, keys }))
    }

    /// The first `rows` rows.
    #[must_use]
    pub fn limit(&self, rows: usize) -> Self {
        self.slice(0, rows)
    }

    /// `rows` rows behind the first `skip` ones.
    #[must_use]
    pub fn slice(&self, skip: usize, rows: usize) -> Self {
        self.then(|input| Ok(LogicalPlan::Limit { input, skip, rows }))
    }

    /// The first `rows` rows; the scan stops when it has them.
    #[must_use]
    pub fn head(&self, rows: usize) -> Self {
        self.limit(rows)
    }

    /// Each batch as `function` returns it, with the columns `schema`. Batches have any size, so the function must
    /// treat each row by itself; it runs on the worker threads.
    #[must_use]
    pub fn map_partitions(
        &self,
        schema: SchemaRef,
        function: impl Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync + 'static,
    ) -> Self {
        let function = BatchFunction(Arc::new(function));
        self.then(|input| Ok(LogicalPlan::Map { input, function, schema }))
    }

    /// The pieces in which the input will be read, as far as they are known before reading.
    ///
    /// # Errors
    /// The first wrong name or type of the verbs so far.
    pub fn partitions(&self) -> Result<Vec<PartitionInfo>> {
        Ok(self.plan()?.source().partitions(RunOptions::default().piece_bytes))
    }

    /// The plan in words: what is asked, the passes, the columns read.
    ///
    /// # Errors
    /// The first wrong name or type of the verbs so far.
    pub fn explain(&self) -> Result<String> {
        let options = RunOptions::default();
        explain(&[LogicalPlan::clone(self.plan()?)], options.piece_bytes, options.budget.limit_bytes())
    }

    /// The answer in memory.
    ///
    /// # Errors
    /// A wrong name or type; else the first error in the data.
    pub fn collect(&self) -> Result<DataFrame> {
        Runner::new().compute(self.clone())
    }

    /// Begins what [`LazyFrame::collect`] does, and goes on; see [`Runner::submit`] for options and progress.
    ///
    /// ```
    /// use outcrop::scan_csv;
    ///
    /// let by_month = scan_csv("testdata/airline/2001.csv.bz2")?.ask("count(*) as n by Month")?.submit()?;
    /// // Meanwhile, something else.
    /// assert_eq!(by_month.wait()?.rows(), 12);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// A wrong name or type, at once; errors in the data are those of the handle. `Io` when no thread can be started.
    pub fn submit(&self) -> Result<Handle<DataFrame>> {
        let (frame, options) = (self.clone(), RunOptions::default());
        frame.plan()?;
        begin(CancelToken::new(), move |cancel| {
            Runner::with_options(RunOptions { cancel: cancel.clone(), ..options }).compute(frame)
        })
    }

    /// Runs the frame once and gives a frame over its rows, which later computes read in place of the files: from memory,
    /// or from disk as far as they do not fit there. They go when the last frame over them does.
    ///
    /// ```
    /// use outcrop::{compute, scan_csv};
    ///
    /// let air = scan_csv("testdata/airline/200*.csv.bz2")?;
    /// let late = air.ask("Origin, ArrDelay where ArrDelay > 60")?.persist()?;
    /// let n: i64 = compute(late.count())?;
    /// let by_airport = late.ask("count(*) as n by Origin sort n desc limit 3")?.collect()?;
    /// assert!(n > 1000 && by_airport.rows() == 3);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// A wrong name or type; else the first error in the data.
    pub fn persist(&self) -> Result<LazyFrame> {
        self.persist_with(RunOptions::default())
    }

    /// Like [`LazyFrame::persist`], with options. The rows stay on the account of `options.budget`, of which results may
    /// have half; give later runs a clone of it to have one limit for all.
    ///
    /// # Errors
    /// As [`LazyFrame::persist`].
    pub fn persist_with(&self, options: RunOptions) -> Result<LazyFrame> {
        let rows: DataFrame = Runner::with_options(options).compute(self.clone())?;
        let source = MemorySource::of_rows(Arc::clone(rows.schema()), rows.stored_rows().clone());
        Ok(LazyFrame::from_source(Arc::new(source)))
    }

    /// The rows in order, batch by batch, while the input is still being read; at most a few batches wait for the
    /// caller. Dropping the iterator stops the reading.
    ///
    /// # Errors
    /// A wrong name or type. Errors in the data come as the last item.
    pub fn iter_batches(&self) -> Result<BatchStream> {
        self.iter_batches_with(RunOptions::default())
    }

    /// Like [`LazyFrame::iter_batches`], with options.
    ///
    /// # Errors
    /// A wrong name or type. Errors in the data come as the last item.
    pub fn iter_batches_with(&self, options: RunOptions) -> Result<BatchStream> {
        stream(LogicalPlan::clone(self.plan()?), options, 0)
    }
}

/// Columns and added ones: in the place of a column of the same name, else behind.
fn with_added(mut columns: Vec<Expr>, added: Vec<Expr>) -> Vec<Expr> {
    for column in added {
        let name = column.output_name();
        match columns.iter().position(|known| known.output_name() == name) {
            Some(at) => columns[at] = column,
            None => columns.push(column),
        }
    }
    columns
}

fn ungrouped(select: Vec<Expr>) -> AggregateSelect {
    AggregateSelect { keys: Vec::new(), select, having: None, sort: Vec::new(), limit: None }
}

/// All columns in place of `*`.
pub(crate) fn expand_wildcards(columns: Vec<Expr>, schema: &SchemaRef) -> Vec<Expr> {
    let expand = |column: Expr| if column == Expr::Wildcard { visible_names(schema) } else { vec![column] };
    columns.into_iter().flat_map(expand).collect()
}

/// What `*` stands for.
pub(crate) fn visible_names(schema: &SchemaRef) -> Vec<Expr> {
    visible_schema(schema).fields().iter().map(|field| col(field.name().as_str())).collect()
}
