//! Which columns are used above a verb, so that no others are read below it.

use super::{Join, JoinColumn, LogicalPlan};
use crate::error::Result;
use crate::expr::Expr;
use crate::source::constants::is_virtual;
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Columns of a table that are used.
#[derive(Clone, Debug, Default)]
pub(super) struct Need {
    /// All that are not virtual.
    all: bool,
    names: BTreeSet<Arc<str>>,
}

impl Need {
    /// What the reader of an answer needs.
    fn everything() -> Self {
        Need { all: true, names: BTreeSet::new() }
    }

    fn of<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Self {
        let mut need = Need::default();
        need.add(exprs);
        need
    }

    fn add<'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        self.names.extend(exprs.into_iter().flat_map(Expr::columns));
    }

    /// Whether a column is used.
    pub(super) fn has(&self, field: &Field) -> bool {
        (self.all && !is_virtual(field)) || self.names.contains(field.name().as_str())
    }

    /// The columns used, as ascending indices.
    pub(super) fn indices(&self, schema: &Schema) -> Vec<usize> {
        (0..schema.fields().len()).filter(|&at| self.has(schema.field(at))).collect()
    }

    /// What a verb needs of its input, if `self` is needed of the verb.
    fn below(self, verb: &LogicalPlan) -> Result<Self> {
        let mut need = self;
        match verb {
            LogicalPlan::Scan(_) | LogicalPlan::Limit { .. } | LogicalPlan::Sample { .. } => {}
            LogicalPlan::Filter { predicate, .. } => need.add([predicate]),
            LogicalPlan::Sort { keys, .. } => need.add(keys.iter().map(|key| &key.expr)),
            LogicalPlan::Window { windows, .. } => {
                for (_, name) in windows.iter().flat_map(|window| &window.calls) {
                    need.names.remove(name.as_str());
                }
                need.add(windows.iter().flat_map(|window| window.exprs()));
            }
            LogicalPlan::Project { columns, .. } => need = Need::of(columns),
            LogicalPlan::Map { .. } | LogicalPlan::Unnest { .. } => need = Need::everything(),
            LogicalPlan::Aggregate { keys, aggregates, .. } => {
                need = Need::of(keys);
                need.add(aggregates.iter().flat_map(|(call, _)| &call.args));
            }
            LogicalPlan::Join(join) => {
                let left = join.left.schema()?;
                need.names.retain(|name| left.index_of(name).is_ok());
                need.add(join.on.iter().map(|(ours, _)| ours));
                let of_residual = join.columns_of_residual(&left)?.into_iter();
                let of_left = of_residual.filter(|(_, column)| matches!(column, JoinColumn::Left(_)));
                need.names.extend(of_left.map(|(field, _)| Arc::from(field.name().as_str())));
            }
        }
        Ok(need)
    }

    /// What is used of each join of a plan, from the source upwards.
    pub(super) fn of_joins(plan: &LogicalPlan) -> Result<Vec<(&Join, Need)>> {
        let (mut joins, _) = Need::walk(plan)?;
        joins.reverse();
        Ok(joins)
    }

    /// What is used of each join, from the top down, and of the source.
    pub(super) fn walk(plan: &LogicalPlan) -> Result<(Vec<(&Join, Need)>, Need)> {
        let mut joins = Vec::new();
        let mut need = Need::everything();
        let mut verb = plan;
        loop {
            if let LogicalPlan::Join(join) = verb {
                joins.push((join, need.clone()));
            }
            need = need.below(verb)?;
            match verb.input() {
                Some(input) => verb = input,
                None => return Ok((joins, need)),
            }
        }
    }
}
