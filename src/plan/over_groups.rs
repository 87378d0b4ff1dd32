//! Rows beside aggregates of their groups: a question of two passes, of which the first is a right table of the second.

use super::{Join, JoinKind, LogicalPlan};
use crate::aggregate::Makes;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, Literal, coalesce, col, lit};
use crate::types::ColumnType;
use std::sync::Arc;

/// The rows of `input` with columns for the aggregates in `columns`, each over the rows that have the same `keys` (all rows
/// without keys; null is a key like any other); and `columns` over these, with the names that they had.
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
    Ok((Arc::new(LogicalPlan::Join(beside(input, keys, groups)?)), columns))
}

/// What the key at `at` is called in a table of groups that comes beside rows.
pub(super) fn key_name(at: usize) -> String {
    format!("(key {at})")
}

/// Rows and, beside each, the row of `groups` that has the same keys; null is a key like any other. In `groups` keys have the
/// names of [`key_name`].
pub(super) fn beside(input: Arc<LogicalPlan>, keys: &[Expr], groups: Arc<LogicalPlan>) -> Result<Join> {
    let schema = input.schema()?;
    let mut on: Vec<(Expr, Expr)> = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let known = key.bind_single(&schema, "a key")?.column_type();
        let (ours, theirs) = (key.unaliased().clone(), col(key_name(at)));
        // A join takes no null for equal to another, so a key that is null is told apart by a second one.
        let Some(filler) = filler(known) else { continue };
        on.push((coalesce([ours.clone(), filler.clone()]), coalesce([theirs.clone(), filler])));
        on.push((ours.is_null(), theirs.is_null()));
    }
    let kind = if on.is_empty() { JoinKind::Cross } else { JoinKind::Left };
    Ok(Join::new(input, groups, on, kind))
}

/// Some value of a type, in place of null; `None` where there is nothing but null.
fn filler(column_type: ColumnType) -> Option<Expr> {
    Some(match column_type {
        ColumnType::Boolean => lit(false),
        ColumnType::Int64 => lit(0),
        ColumnType::Float64 => lit(0.0),
        ColumnType::Utf8 => lit(""),
        ColumnType::Date => Expr::Literal(Literal::Date(0)),
        ColumnType::Timestamp => Expr::Literal(Literal::Timestamp(0)),
        ColumnType::Null | ColumnType::List(_) => return None,
    })
}
