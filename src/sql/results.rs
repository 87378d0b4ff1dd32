//! What names of results, and of keys, stand for in a question.
//!
//! Behind `having`, `qualify` and `sort` a name is a result before it is a column; elsewhere it is a column if there is one. In a select
//! list, and in what its windows and queries are about, results may be named that stand before.

use super::question::Question;
use super::select::{Groups, Planned};
use crate::error::Result;
use crate::expr::{Expr, col};
use crate::plan::{SortKey, aliased, replace_names};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Names of results stand for what they name, before any column; not inside of aggregates.
pub(super) fn of_results(expr: &Expr, select: &[Expr]) -> Result<Expr> {
    replace_names(expr, &mut |name| aliased(name, select))
}

/// A name that the input does not have stands for the result that bears it, also inside of aggregates.
pub(super) fn with_results(expr: &Expr, select: &[Expr], schema: &SchemaRef) -> Result<Expr> {
    expr.replace(&mut |part| match part {
        Expr::Column(name) if schema.index_of(name).is_err() => Ok(aliased(name, select)),
        _ => Ok(None),
    })
}

/// A select list in which results may be named that stand before.
pub(super) fn with_results_before(select: &[Expr], schema: &SchemaRef) -> Result<Vec<Expr>> {
    let mut known: Vec<Expr> = Vec::with_capacity(select.len());
    for item in select {
        let name = item.output_name();
        let told = with_results(item, &known, schema)?;
        known.push(if told == *item { told } else { told.unaliased().clone().alias(name) });
    }
    Ok(known)
}

/// A name that the input does not have stands for the column of the result that bears it.
pub(super) fn resolve(expr: &Expr, select: &[Expr], schema: &SchemaRef) -> Result<Expr> {
    replace_names(expr, &mut |name| schema.index_of(name).is_err().then(|| aliased(name, select)).flatten())
}

/// A key that names a column of the result is that column.
pub(super) fn named_key(key: &Expr, select: &[Expr], schema: &SchemaRef) -> Expr {
    match key {
        Expr::Column(name) if schema.index_of(name).is_err() => match aliased(name, select) {
            Some(expr) => expr.alias(Arc::clone(name)),
            None => key.clone(),
        },
        _ => key.clone(),
    }
}

/// What a question about groups asks, with keys and results in the places of their names. What windows and queries are about is
/// changed so, too.
pub(super) fn groups(question: &Question, keys: &[Expr], select: &[Expr], planned: &mut Planned<'_>) -> Result<Groups> {
    let key_called = |name: &str| {
        let called = keys.iter().find(|key| matches!(key, Expr::Alias { name: own, .. } if **own == *name));
        called.map(|key| key.unaliased().clone())
    };
    let of_keys = |expr: &Expr| replace_names(expr, &mut |name| key_called(name));
    let of_results = |expr: &Expr| of_keys(&of_results(expr, select)?);
    let is_listed = |key: &&Expr| {
        let same = |item: &Expr| item.unaliased() == key.unaliased() || *item.unaliased() == col(key.output_name());
        select.iter().any(same)
    };
    let unlisted = keys.iter().filter(|key| !is_listed(key)).cloned();
    let item = |item: Expr| Ok(of_keys(item.unaliased())?.alias(item.output_name()));
    let columns = unlisted.chain(select.iter().cloned()).map(item).collect::<Result<_>>()?;
    planned.change_windows(&mut |expr| of_keys(expr))?;
    planned.change_queries(&mut |expr| of_keys(expr))?;
    let sort = |key: &SortKey| Ok(SortKey { expr: of_results(&key.expr)?, descending: key.descending });
    Ok(Groups {
        keys: keys.iter().map(|key| key.unaliased().clone()).collect(),
        columns,
        having: question.having.as_ref().map(of_results).transpose()?,
        qualify: question.qualify.as_ref().map(of_results).transpose()?,
        sort: question.sort.iter().map(sort).collect::<Result<_>>()?,
    })
}
