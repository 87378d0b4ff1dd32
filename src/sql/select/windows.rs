//! Window functions of a query block: columns that are computed when rows have been filtered and grouped.
//!
//! Where a call stands in an expression, the expression has a column in its place. All windows with one partition and one order
//! become one sort. Aggregates that need all rows of a group at once have no state that could follow a frame; those of whole
//! partitions are a join with groups.

use super::from::filtered;
use crate::aggregate::Over;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, col};
use crate::plan::{LogicalPlan, Window, WindowCall, WindowFunction, WindowKey, over_groups};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The calls of a block, in the order in which they were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    calls: Vec<Call>,
}

/// A call and the rows that it is over.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    partition: Vec<Expr>,
    order: Vec<WindowKey>,
    call: WindowCall,
}

/// A name that no column has by chance.
fn name(at: usize) -> String {
    format!("window {at} of the block")
}

impl Windows {
    /// The column of a call; equal calls have one.
    ///
    /// # Errors
    /// `Syntax` for a window function inside of another one.
    pub(super) fn add(&mut self, partition: Vec<Expr>, order: Vec<WindowKey>, call: WindowCall) -> Result<Expr> {
        let new = Call { partition, order, call };
        if new.exprs().any(|expr| self.are_in(expr)) {
            let error = Error::new(ErrorKind::Syntax, "a window function inside of another one");
            return Err(error.hint("a query in `from` gives its result a name first"));
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
        self.calls.iter().flat_map(Call::exprs)
    }

    /// The same calls over other columns.
    ///
    /// # Errors
    /// Those of `change`.
    pub(super) fn changed(&self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Self> {
        let mut calls = self.calls.clone();
        for call in &mut calls {
            let keys = call.order.iter_mut().map(|key| &mut key.expr);
            for expr in call.partition.iter_mut().chain(keys).chain(&mut call.call.args) {
                *expr = change(expr)?;
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
        let used: BTreeSet<Arc<str>> = later.chain(qualify).chain(self.exprs()).flat_map(Expr::columns).collect();
        let (whole, framed): (Vec<usize>, Vec<usize>) = (0..self.calls.len()).partition(|&at| self.calls[at].is_whole());
        let mut partitions: Vec<&[Expr]> = Vec::new();
        for at in &whole {
            if !partitions.contains(&&*self.calls[*at].partition) {
                partitions.push(&self.calls[*at].partition);
            }
        }
        for partition in partitions {
            let of_partition = whole.iter().filter(|at| self.calls[**at].partition == partition);
            let aggregates: Vec<Expr> = of_partition.filter_map(|&at| self.calls[at].aggregate(name(at))).collect();
            let (joined, made) = over_groups(Arc::clone(&plan), partition, &aggregates)?;
            let schema = plan.schema()?;
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let kept = names.filter(|name| used.contains(*name)).map(col);
            let columns: Vec<Expr> = kept.chain(made).collect();
            plan = Arc::new(LogicalPlan::Project { input: joined, columns });
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
        let (last, first): (Vec<usize>, Vec<usize>) = calls.iter().partition(|at| self.calls[**at].fits_any_order());
        for at in first.into_iter().chain(last) {
            let Call { partition, order, call } = &self.calls[at];
            let fits = |window: &&mut Window| {
                window.partition == *partition && (window.order == *order || self.calls[at].fits_any_order())
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

impl Call {
    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.partition.iter().chain(self.order.iter().map(|key| &key.expr)).chain(&self.call.args)
    }

    /// Whether it needs all rows of a partition at once, and is over all of them.
    fn is_whole(&self) -> bool {
        match &self.call.function {
            WindowFunction::Aggregate(aggregate) => {
                let at_once = match aggregate.over() {
                    Over::Rows => aggregate.in_steps().is_some(),
                    Over::SortedValues => true,
                    // Groups take values in input order only.
                    Over::InputOrder => self.order.is_empty(),
                };
                at_once && self.call.frame.is_whole(&self.order)
            }
            _ => false,
        }
    }

    fn fits_any_order(&self) -> bool {
        match &self.call.function {
            WindowFunction::Aggregate(aggregate) => {
                let depends = aggregate.order_sensitive() || aggregate.uses_identities();
                !depends && self.order.is_empty() && self.call.frame.is_whole(&self.order)
            }
            _ => false,
        }
    }

    fn aggregate(&self, name: String) -> Option<Expr> {
        let WindowFunction::Aggregate(aggregate) = &self.call.function else { return None };
        let call = AggregateCall { aggregate: Arc::clone(aggregate), args: self.call.args.clone() };
        Some(Expr::Aggregate(call).alias(name))
    }
}
