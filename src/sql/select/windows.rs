//! Window functions of a query block: columns that are computed when rows have been filtered and grouped.
//!
//! Where a call stands in an expression, the expression has a column in its place. All windows with one partition and one order
//! become one sort. Aggregates that need all rows of a group at once have no state that could follow a frame; those of whole
//! partitions are a join with groups.

use super::from::filtered;
use crate::aggregate::Over;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, col};
use crate::plan::{LogicalPlan, Window, WindowFunction, over_groups};
use crate::sql::over::Windowed;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The calls of a block, in the order in which they were met.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Windows {
    calls: Vec<Windowed>,
}

/// How the result of a window function becomes a column that others may be about.
pub(super) const NAMED_FIRST: &str = "a query in `from` gives its result a name first";

/// A name that no column has by chance.
fn name(at: usize) -> String {
    format!("window {} of the query", at + 1)
}

impl Windows {
    /// The column of a call; equal calls have one.
    ///
    /// # Errors
    /// `Syntax` for a window function inside of another one.
    pub(super) fn add(&mut self, new: Windowed) -> Result<Expr> {
        if new.exprs().any(|expr| self.are_in(expr)) {
            let error = Error::new(ErrorKind::Syntax, "a window function inside of another one");
            return Err(error.hint(NAMED_FIRST));
        }
        let at = self.calls.iter().position(|known| *known == new).unwrap_or_else(|| {
            self.calls.push(new);
            self.calls.len() - 1
        });
        Ok(col(name(at)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether an expression has the column of a call.
    pub(super) fn are_in(&self, expr: &Expr) -> bool {
        expr.columns().iter().any(|column| self.has(column))
    }

    /// Whether it is the column of a call.
    pub(super) fn has(&self, column: &str) -> bool {
        (0..self.calls.len()).any(|at| *name(at) == *column)
    }

    /// What calls are computed of.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.calls.iter().flat_map(Windowed::exprs)
    }

    /// The same calls over other columns.
    ///
    /// # Errors
    /// Those of `change`.
    pub(super) fn changed(&self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Self> {
        let mut calls = self.calls.clone();
        for (new, old) in calls.iter_mut().zip(&self.calls) {
            let keys = new.order.iter_mut().map(|key| &mut key.expr);
            for expr in new.partition.iter_mut().chain(keys).chain(&mut new.call.args) {
                *expr = old.placed(change(expr))?;
            }
        }
        Ok(Windows { calls })
    }

    /// The rows of `plan` with the columns of all calls, those for which `qualify` is true; of the others, columns are kept that
    /// `later` expressions use.
    ///
    /// # Errors
    /// `Name` and `Type` errors of what calls are computed of.
    pub(super) fn over<'a>(
        &'a self,
        mut plan: Arc<LogicalPlan>,
        qualify: Option<&'a Expr>,
        later: impl Iterator<Item = &'a Expr>,
    ) -> Result<Arc<LogicalPlan>> {
        if !self.is_empty() {
            // What is wrong before there are windows is not their fault.
            plan.schema()?;
        }
        let used: BTreeSet<Arc<str>> = later.chain(qualify).chain(self.exprs()).flat_map(Expr::columns).collect();
        let (whole, framed): (Vec<usize>, Vec<usize>) =
            (0..self.calls.len()).partition(|&at| is_whole(&self.calls[at]));
        let mut partitions: Vec<&Windowed> = Vec::new();
        for call in whole.iter().map(|&at| &self.calls[at]) {
            if !partitions.iter().any(|known| known.partition == call.partition) {
                partitions.push(call);
            }
        }
        for first in partitions {
            let of_partition = whole.iter().filter(|at| self.calls[**at].partition == first.partition);
            let aggregates: Vec<Expr> = of_partition.filter_map(|&at| aggregate(&self.calls[at], name(at))).collect();
            let schema = plan.schema()?;
            let (joined, made) = first.placed(over_groups(Arc::clone(&plan), &first.partition, &aggregates))?;
            first.placed(joined.schema())?;
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let kept = names.filter(|name| used.contains(*name)).map(col);
            plan = Arc::new(LogicalPlan::Project { input: joined, columns: kept.chain(made).collect() });
        }
        for (at, call) in framed.iter().map(|&at| (at, &self.calls[at])) {
            let Windowed { partition, order, call: function, .. } = call.clone();
            let alone = vec![Window { partition, order, calls: vec![(function, name(at))] }];
            let windows = LogicalPlan::Window { input: Arc::clone(&plan), windows: alone };
            call.placed(windows.schema())?;
        }
        let windows = self.shared(&framed);
        if !windows.is_empty() {
            plan = Arc::new(LogicalPlan::Window { input: plan, windows });
        }
        Ok(match qualify {
            Some(predicate) => filtered(plan, predicate.clone()),
            None => plan,
        })
    }

    /// Calls by partition and order. Aggregates over whole partitions go with any window of that partition.
    fn shared(&self, calls: &[usize]) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        let (last, first): (Vec<usize>, Vec<usize>) = calls.iter().partition(|at| fits_any_order(&self.calls[**at]));
        for at in first.into_iter().chain(last) {
            let Windowed { partition, order, call, .. } = &self.calls[at];
            let fits = |window: &&mut Window| {
                window.partition == *partition && (window.order == *order || fits_any_order(&self.calls[at]))
            };
            let call = (call.clone(), name(at));
            match windows.iter_mut().find(fits) {
                Some(window) => window.calls.push(call),
                None => {
                    windows.push(Window { partition: partition.clone(), order: order.clone(), calls: vec![call] });
                }
            }
        }
        windows
    }
}

/// Whether a call needs all rows of a partition at once, and is over all of them.
fn is_whole(windowed: &Windowed) -> bool {
    let WindowFunction::Aggregate(aggregate) = &windowed.call.function else { return false };
    let at_once = match aggregate.over() {
        Over::Rows => aggregate.in_steps().is_some(),
        Over::SortedValues => true,
        // Groups take values in input order only.
        Over::InputOrder => windowed.order.is_empty(),
    };
    at_once && windowed.call.frame.is_whole(&windowed.order)
}

/// Whether it has the same value in whichever order rows of a partition stand.
fn fits_any_order(windowed: &Windowed) -> bool {
    let WindowFunction::Aggregate(aggregate) = &windowed.call.function else { return false };
    let depends = aggregate.order_sensitive() || aggregate.uses_identities();
    !depends && windowed.order.is_empty() && windowed.call.frame.is_whole(&windowed.order)
}

/// The aggregate of a call, under a name.
fn aggregate(windowed: &Windowed, name: String) -> Option<Expr> {
    let WindowFunction::Aggregate(aggregate) = &windowed.call.function else { return None };
    let call = AggregateCall { aggregate: Arc::clone(aggregate), args: windowed.call.args.clone() };
    Some(Expr::Aggregate(call).alias(name))
}
