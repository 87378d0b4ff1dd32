//! Rows beside aggregates of their groups: a question of two passes, of which the first is a right table of the second.

use super::{Join, JoinKind, LogicalPlan};
use crate::aggregate::Makes;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, col};
use std::sync::Arc;

/// The rows of `input` with columns for the aggregates in `columns`, each over the rows that have the same `keys` (all rows
/// without keys); and `columns` over these, with the names that they had. Rows that lack a key have null for aggregates.
///
/// # Errors
/// `Type` for an aggregate that makes rows of its own; `Name` and `Type` errors of the keys and arguments.
pub fn over_groups(input: Arc<LogicalPlan>, keys: &[Expr], columns: &[Expr]) -> Result<(Arc<LogicalPlan>, Vec<Expr>)> {
    let mut calls: Vec<AggregateCall> = Vec::new();
    for call in columns.iter().flat_map(Expr::aggregates) {
        if call.aggregate.makes() != Makes::Value {
            let message = format!("`{call}` makes rows of its own, which rows cannot stand beside");
            return Err(Error::new(ErrorKind::Type, message));
        }
        if !calls.contains(call) {
            calls.push(call.clone());
        }
    }
    let name = |at: usize| format!("(aggregate {at})");
    let key_name = |at: usize| format!("(key {at})");
    let replaced = |column: &Expr| {
        let name_of_result = column.output_name();
        let new = column.unaliased().replace(&mut |part| {
            Ok(match part {
                Expr::Aggregate(call) => calls.iter().position(|known| known == call).map(|at| col(name(at))),
                _ => None,
            })
        })?;
        Ok(if new == *column { new } else { new.alias(name_of_result) })
    };
    let columns = columns.iter().map(replaced).collect::<Result<Vec<_>>>()?;
    let named: Vec<Expr> =
        keys.iter().enumerate().map(|(at, key)| key.unaliased().clone().alias(key_name(at))).collect();
    let aggregates = calls.iter().cloned().enumerate().map(|(at, call)| (call, name(at))).collect();
    let groups = Arc::new(LogicalPlan::Aggregate { input: Arc::clone(&input), keys: named, aggregates });
    let on: Vec<(Expr, Expr)> =
        keys.iter().enumerate().map(|(at, key)| (key.unaliased().clone(), col(key_name(at)))).collect();
    let kind = if on.is_empty() { JoinKind::Cross } else { JoinKind::Left };
    Ok((Arc::new(LogicalPlan::Join(Join::new(input, groups, on, kind))), columns))
}
