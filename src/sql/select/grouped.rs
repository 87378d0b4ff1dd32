//! A query block with groups: keys and aggregates first, then what is computed of them.

use super::inner::Inner;
use super::scope::Scope;
use super::sets::{Keys, groups_of_sets};
use super::windows::{NAMED_FIRST, Windows};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, col};
use crate::plan::{LogicalPlan, SortKey};
use std::sync::Arc;

/// A select list, its condition and its order, over groups of rows.
pub(super) struct Grouped<'a> {
    pub(super) scope: &'a Scope,
    pub(super) by: Keys,
    /// The keys of each `grouping(…)`, by number.
    pub(super) groupings: Vec<Vec<usize>>,
    /// With the names of the result.
    pub(super) columns: Vec<Expr>,
    pub(super) having: Option<Expr>,
    /// Over the groups, and which of these stay by them.
    pub(super) windows: Windows,
    pub(super) qualify: Option<Expr>,
    pub(super) sort: Vec<SortKey>,
    /// Queries whose values are used beside aggregates.
    pub(super) inner: Vec<Inner>,
}

impl Grouped<'_> {
    /// The plan over the rows of `input`; `cut` is asked of the groups in their order, before anything else is computed.
    pub(super) fn plan(
        mut self,
        input: Arc<LogicalPlan>,
        cut: impl FnOnce(Arc<LogicalPlan>) -> Arc<LogicalPlan>,
    ) -> Result<Arc<LogicalPlan>> {
        let mut calls: Vec<AggregateCall> = Vec::new();
        let mut inner = Vec::with_capacity(self.inner.len());
        for asked in self.inner.clone() {
            inner.push(asked.of_others(&mut |expr| self.of_groups(expr, &mut calls))?);
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(self.of_groups(column.unaliased(), &mut calls)?.alias(column.output_name()));
        }
        let having = self.having.as_ref().map(|having| self.of_groups(having, &mut calls)).transpose()?;
        let windows = self.windows.changed(&mut |expr| self.of_groups(expr, &mut calls))?;
        let qualify = self.qualify.as_ref().map(|qualify| self.of_groups(qualify, &mut calls)).transpose()?;
        let mut sort = Vec::with_capacity(self.sort.len());
        for key in &self.sort {
            sort.push(SortKey { expr: self.of_groups(&key.expr, &mut calls)?, descending: key.descending });
        }
        let keys = self.by.keys.iter().enumerate().map(|(at, key)| key.clone().alias(key_name(at)));
        let keys: Vec<Expr> = keys.collect();
        let aggregates = calls.into_iter().enumerate().map(|(at, call)| (call, aggregate_name(at))).collect();
        let mut plan = match self.by.has_sets || !self.groupings.is_empty() {
            false => Arc::new(LogicalPlan::Aggregate { input, keys, aggregates }),
            true => {
                let groupings = std::mem::take(&mut self.groupings).into_iter().enumerate();
                let groupings: Vec<_> = groupings.map(|(at, keys)| (keys, grouping_name(at))).collect();
                groups_of_sets(&input, &keys, &aggregates, &self.by.sets, &groupings)?
            }
        };
        for asked in inner {
            plan = asked.beside(plan);
        }
        if let Some(predicate) = having {
            plan = Arc::new(LogicalPlan::Filter { input: plan, predicate });
        }
        plan = windows.over(plan, qualify.as_ref(), columns.iter().chain(sort.iter().map(|key| &key.expr)))?;
        if !sort.is_empty() {
            plan = Arc::new(LogicalPlan::Sort { input: plan, keys: sort });
        }
        Ok(Arc::new(LogicalPlan::Project { input: cut(plan), columns }))
    }

    /// Whether an expression has the value of a window or of `grouping`, which come after groups.
    fn is_made_later(&self, expr: &Expr) -> bool {
        self.windows.are_in(expr) || expr.columns().iter().any(|name| is_grouping(name))
    }

    /// Columns of the groups in the place of keys and aggregates.
    fn of_groups(&self, expr: &Expr, calls: &mut Vec<AggregateCall>) -> Result<Expr> {
        if let Some(at) = self.by.keys.iter().position(|key| key == expr) {
            return Ok(col(key_name(at)));
        }
        match expr {
            Expr::Aggregate(call) if call.args.iter().any(|arg| self.is_made_later(arg)) => {
                let message = "a window function, or `grouping`, inside of an aggregate";
                let error = Error::new(ErrorKind::Syntax, message);
                Err(error.hint(NAMED_FIRST))
            }
            Expr::Aggregate(call) => {
                let known = calls.iter().position(|known| known == call);
                let at = known.unwrap_or_else(|| {
                    calls.push(call.clone());
                    calls.len() - 1
                });
                Ok(col(aggregate_name(at)))
            }
            Expr::Column(name) if is_grouping(name) => Ok(expr.clone()),
            Expr::Column(name) if self.inner.iter().any(|inner| inner.has(name)) => Ok(expr.clone()),
            Expr::Column(name) if self.windows.has(name) => Ok(expr.clone()),
            Expr::Column(name) => {
                let name = self.scope.own_name(name);
                let message = format!("the column `{name}` is neither a key nor inside an aggregate");
                Err(Error::new(ErrorKind::Name, message)
                    .hint(format!("group by it (`group by {name}`), or take min({name}) or first({name})")))
            }
            Expr::Function { function, .. } if function.is_of_row() => {
                let message = format!("`{expr}` is of one row, and is neither a key nor inside an aggregate");
                Err(Error::new(ErrorKind::Name, message))
            }
            other => other.map_children(&mut |child| self.of_groups(child, calls)),
        }
    }
}

/// Names that no column has by chance.
fn key_name(at: usize) -> String {
    format!("key {} of the query", at + 1)
}

/// What stands for the `at`th `grouping(…)` until the keys are known.
pub(super) fn grouping_name(at: usize) -> String {
    format!("{at}{GROUPING}")
}

fn is_grouping(name: &str) -> bool {
    name.ends_with(GROUPING)
}

const GROUPING: &str = " is a grouping of the groups";

fn aggregate_name(at: usize) -> String {
    format!("aggregate {} of the query", at + 1)
}
