//! `union`, `intersect` and `except`, and rows of several plans one after the other.
//!
//! Rows of one plan behind those of another are a full join in which nothing matches. Where both read the same files, the left rows
//! are kept until all have come, so that both come out of one pass; and where only different rows are wanted, equal ones are made
//! one before they are kept.

use super::from::filtered;
use super::query::distinct;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Literal, coalesce, col, lit};
use crate::frame::visible_names;
use crate::plan::{Join, JoinKind, LogicalPlan};
use crate::source::constants::visible_schema;
use crate::types::ColumnType;
use arrow::datatypes::SchemaRef;
use sqlparser::ast::{SetOperator, SetQuantifier};
use std::sync::Arc;

/// What a set operation gives.
///
/// # Errors
/// `Type` for columns that do not go together, `Unsupported` for operations that are not there.
pub(super) fn combine(
    left: &Arc<LogicalPlan>,
    right: &Arc<LogicalPlan>,
    op: SetOperator,
    quantifier: SetQuantifier,
) -> Result<Arc<LogicalPlan>> {
    let (ours, theirs) = (visible_schema(&left.schema()?), visible_schema(&right.schema()?));
    if ours.fields().len() != theirs.fields().len() {
        let message = format!("the queries have {} and {} columns", ours.fields().len(), theirs.fields().len());
        return Err(Error::new(ErrorKind::Type, message).hint("a set operation needs as many columns on both sides"));
    }
    let unsupported = |what: &str| Err(Error::new(ErrorKind::Unsupported, format!("`{what}` is not supported")));
    let all = match quantifier {
        SetQuantifier::All => true,
        SetQuantifier::None | SetQuantifier::Distinct => false,
        other => return unsupported(&format!("{op} {other}")),
    };
    match (op, all) {
        (SetOperator::Union, true) => one_after_the_other(left, right),
        (SetOperator::Union, false) => {
            let (left, right) = each_once(left, right)?;
            Ok(Arc::new(distinct(one_after_the_other(&left, &right)?)?))
        }
        (SetOperator::Intersect, false) => {
            let in_both = col(LEAST_SIDE).eq(0).and(col(GREATEST_SIDE).eq(1));
            by_sides(left, right, in_both)
        }
        (SetOperator::Except | SetOperator::Minus, false) => by_sides(left, right, col(GREATEST_SIDE).eq(0)),
        (op, true) => unsupported(&format!("{op} all").to_lowercase()),
    }
}

const SIDE: &str = "side of the operation";
const LEAST_SIDE: &str = "least side";
const GREATEST_SIDE: &str = "greatest side";

/// Equal rows of each side made one before they are kept: those of the right side always, those of the left one where they are
/// not taken as they come.
fn each_once(left: &Arc<LogicalPlan>, right: &Arc<LogicalPlan>) -> Result<(Arc<LogicalPlan>, Arc<LogicalPlan>)> {
    let once = |plan: &Arc<LogicalPlan>| match &**plan {
        LogicalPlan::Aggregate { aggregates, .. } if aggregates.is_empty() => Ok(Arc::clone(plan)),
        _ => distinct(Arc::clone(plan)).map(Arc::new),
    };
    let key = left.source().key();
    let is_kept = right.sources().iter().any(|source| source.key() == key);
    Ok((if is_kept { once(left)? } else { Arc::clone(left) }, once(right)?))
}

/// Distinct rows of which the sides they are on fulfil a condition.
fn by_sides(left: &Arc<LogicalPlan>, right: &Arc<LogicalPlan>, condition: Expr) -> Result<Arc<LogicalPlan>> {
    let (ours, theirs) = (visible_schema(&left.schema()?), visible_schema(&right.schema()?));
    let (left, right) = each_once(left, right)?;
    let marked = |plan: &Arc<LogicalPlan>, schema: &SchemaRef, side: i64| {
        let mut columns = visible_names(schema);
        columns.push(lit(side).alias(SIDE));
        Arc::new(LogicalPlan::Project { input: Arc::clone(plan), columns })
    };
    let (left, right) = (marked(&left, &ours, 0), marked(&right, &theirs, 1));
    let input = one_after_the_other(&left, &right)?;
    let call = |expr: Expr| match expr {
        Expr::Aggregate(call) => Ok(call),
        _ => Err(Error::internal("no aggregate")),
    };
    let aggregates =
        vec![(call(col(SIDE).min())?, LEAST_SIDE.to_owned()), (call(col(SIDE).max())?, GREATEST_SIDE.to_owned())];
    let columns = visible_names(&ours);
    let groups = Arc::new(LogicalPlan::Aggregate { input, keys: columns.clone(), aggregates });
    Ok(Arc::new(LogicalPlan::Project { input: filtered(groups, condition), columns }))
}

/// Rows of `left`, then rows of `right`, under the names that they have in `left`.
///
/// # Errors
/// `Type` for columns that do not go together.
pub(super) fn one_after_the_other(left: &Arc<LogicalPlan>, right: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    let (ours, theirs) = (visible_schema(&left.schema()?), visible_schema(&right.schema()?));
    let name = |side: &str, at: usize| format!("{side} {at}");
    let numbered = |plan: &Arc<LogicalPlan>, schema: &SchemaRef, side: &str| {
        let columns = visible_names(schema).into_iter().enumerate();
        let columns = columns.map(|(at, column)| column.alias(name(side, at))).collect();
        Arc::new(LogicalPlan::Project { input: Arc::clone(plan), columns })
    };
    let (left, right) = (numbered(left, &ours, "left"), numbered(right, &theirs, "right"));
    let never = || Expr::Literal(Literal::Null).cast(ColumnType::Boolean);
    let joined = Join::new(left, right, vec![(never(), never())], JoinKind::Full).in_one_pass();
    let input = Arc::new(LogicalPlan::Join(joined));
    for (at, (one, other)) in ours.fields().iter().zip(theirs.fields()).enumerate() {
        let types = [ColumnType::from_arrow(one.data_type())?, ColumnType::from_arrow(other.data_type())?];
        let of_both = types[0].unify(types[1]);
        if of_both == ColumnType::Utf8
            && types.iter().any(|known| !matches!(known, ColumnType::Utf8 | ColumnType::Null))
        {
            let message = format!("column {} of the queries is {} here and {} there", at + 1, types[0], types[1]);
            return Err(Error::new(ErrorKind::Type, message).hint("`cast(x as varchar)` makes text of either"));
        }
    }
    let column = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| {
        coalesce([col(name("left", at)), col(name("right", at))]).alias(field.name().as_str())
    };
    let columns = ours.fields().iter().enumerate().map(column).collect();
    let plan = LogicalPlan::Project { input, columns };
    plan.schema()?;
    Ok(Arc::new(plan))
}
