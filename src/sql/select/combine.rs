//! `union`, `intersect` and `except`, and rows of several plans one behind the other.
//!
//! Rows of one plan behind those of another are a full join in which nothing matches. Where both read the same files, the left rows
//! are kept until all have come, so that both come out of one pass; and where only different rows are wanted, equal ones are made
//! one before they are kept. Many plans behind each other are a tree that is as deep as their number has digits. Where each row
//! counts, equal rows of a side are told apart by their numbers.

use super::from::filtered;
use super::query::distinct;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Literal, coalesce, col, lit};
use crate::frame::visible_names;
use crate::plan::{Frame, Join, LogicalPlan, Window, WindowCall, WindowFunction, stacked_type};
use crate::source::constants::visible_schema;
use crate::types::ColumnType;
use arrow::datatypes::{Field, SchemaRef};
use sqlparser::ast::{SetOperator, SetQuantifier};
use std::sync::Arc;

/// What set operations have given so far.
pub(super) struct Combined {
    /// Plans whose rows stand one behind the other.
    parts: Vec<Arc<LogicalPlan>>,
    /// Of so many of them, the first ones, equal rows are one.
    distinct: usize,
    /// Names and types of the columns of the result.
    columns: Vec<(Arc<str>, ColumnType)>,
}

impl Combined {
    /// The first plan.
    pub(super) fn of(plan: Arc<LogicalPlan>) -> Result<Self> {
        let columns = columns_of(&plan)?;
        Ok(Combined { parts: vec![plan], distinct: 0, columns })
    }

    /// What an operation gives with one more plan.
    ///
    /// # Errors
    /// `Type` for columns that do not go together, `Unsupported` for operations that are not there.
    pub(super) fn with(self, op: SetOperator, quantifier: SetQuantifier, right: Arc<LogicalPlan>) -> Result<Self> {
        let (all, by_name) = match quantifier {
            SetQuantifier::All => (true, false),
            SetQuantifier::AllByName => (true, true),
            SetQuantifier::ByName | SetQuantifier::DistinctByName => (false, true),
            SetQuantifier::None | SetQuantifier::Distinct => (false, false),
        };
        let is_union = matches!(op, SetOperator::Union);
        if by_name && !is_union {
            let what = format!("`{op} … by name` is not supported").to_lowercase();
            return Err(Error::new(ErrorKind::Unsupported, what).hint("`union by name` and `union all by name` are"));
        }
        let (mut left, right) = if by_name { self.by_name(&right)? } else { (self, right) };
        left.unify(&right)?;
        if is_union {
            left.parts.push(right);
            left.distinct = if all { left.distinct } else { left.parts.len() };
            return Ok(left);
        }
        let columns = std::mem::take(&mut left.columns);
        let left = left.plan()?;
        let plan = match (op, all) {
            (SetOperator::Intersect, false) => by_sides(&left, &right, in_both())?,
            (SetOperator::Intersect, true) => by_sides_and_numbers(&left, &right, in_both())?,
            (_, false) => by_sides(&left, &right, only_left())?,
            (_, true) => by_sides_and_numbers(&left, &right, only_left())?,
        };
        Ok(Combined { parts: vec![plan], distinct: 0, columns })
    }

    /// Takes the types of one more plan.
    fn unify(&mut self, right: &LogicalPlan) -> Result<()> {
        let theirs = columns_of(right)?;
        if self.columns.len() != theirs.len() {
            let message = format!("the queries have {} and {} columns", self.columns.len(), theirs.len());
            return Err(
                Error::new(ErrorKind::Type, message).hint("a set operation needs as many columns on both sides")
            );
        }
        for (at, ((_, ours), (_, theirs))) in self.columns.iter_mut().zip(theirs).enumerate() {
            *ours = stacked_type(at, *ours, theirs)?;
        }
        Ok(())
    }

    /// Both with the same columns: those of the result so far and those that only `right` has, null where one lacks them.
    fn by_name(mut self, right: &Arc<LogicalPlan>) -> Result<(Self, Arc<LogicalPlan>)> {
        let theirs = columns_of(right)?;
        let known = self.columns.len();
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let of_right = |name: &str| theirs.iter().find(|(own, _)| same(own, name)).map(|(own, _)| col(&**own));
        let missing = |name: &str| Expr::Literal(Literal::Null).alias(name);
        for (name, _) in &theirs {
            if !self.columns.iter().any(|(own, _)| same(own, name)) {
                self.columns.push((Arc::clone(name), ColumnType::Null));
            }
        }
        let names: Vec<Arc<str>> = self.columns.iter().map(|(name, _)| Arc::clone(name)).collect();
        if names.len() > known {
            for part in &mut self.parts {
                let mut columns = visible_names(&part.schema()?);
                columns.extend(names[known..].iter().map(|name| missing(name)));
                *part = Arc::new(LogicalPlan::Project { input: Arc::clone(part), columns });
            }
        }
        let columns = names.iter().map(|name| of_right(name).unwrap_or_else(|| missing(name))).collect();
        let right = Arc::new(LogicalPlan::Project { input: Arc::clone(right), columns });
        Ok((self, right))
    }

    /// The rows of all.
    pub(super) fn plan(self) -> Result<Arc<LogicalPlan>> {
        let Combined { mut parts, distinct: of_first, .. } = self;
        if of_first > 0 {
            let rest = parts.split_off(of_first);
            let once = behind_each_other(&each_once(&parts)?)?;
            parts = vec![Arc::new(distinct(once)?)];
            parts.extend(rest);
        }
        behind_each_other(&parts)
    }
}

fn columns_of(plan: &LogicalPlan) -> Result<Vec<(Arc<str>, ColumnType)>> {
    let schema = visible_schema(&plan.schema()?);
    let column =
        |field: &Arc<Field>| Ok((Arc::from(field.name().as_str()), ColumnType::from_arrow(field.data_type())?));
    schema.fields().iter().map(column).collect()
}

const SIDE: &str = "side of the operation";
const LEAST_SIDE: &str = "least side";
const GREATEST_SIDE: &str = "greatest side";
const NUMBER: &str = "number among equal rows";

fn in_both() -> Expr {
    col(LEAST_SIDE).eq(0).and(col(GREATEST_SIDE).eq(1))
}

fn only_left() -> Expr {
    col(GREATEST_SIDE).eq(0)
}

/// Equal rows of each plan made one before they are kept: those of the first one only if it reads files that another reads, too,
/// since its rows are taken as they come otherwise.
fn each_once(plans: &[Arc<LogicalPlan>]) -> Result<Vec<Arc<LogicalPlan>>> {
    let once = |plan: &Arc<LogicalPlan>| match &**plan {
        LogicalPlan::Aggregate { aggregates, .. } if aggregates.is_empty() => Ok(Arc::clone(plan)),
        _ => distinct(Arc::clone(plan)).map(Arc::new),
    };
    let Some((first, others)) = plans.split_first() else { return Ok(Vec::new()) };
    let key = first.source().key();
    let is_kept = others.iter().flat_map(|other| other.sources()).any(|source| source.key() == key);
    let first = if is_kept { once(first) } else { Ok(Arc::clone(first)) };
    std::iter::once(first).chain(others.iter().map(once)).collect()
}

/// Distinct rows of which the sides they are on fulfil a condition.
fn by_sides(left: &Arc<LogicalPlan>, right: &Arc<LogicalPlan>, condition: Expr) -> Result<Arc<LogicalPlan>> {
    let ours = visible_schema(&left.schema()?);
    let sides = each_once(&[Arc::clone(left), Arc::clone(right)])?;
    let marked = |(side, plan): (i64, &Arc<LogicalPlan>)| {
        let mut columns = visible_names(&plan.schema()?);
        columns.push(lit(side).alias(SIDE));
        Ok(Arc::new(LogicalPlan::Project { input: Arc::clone(plan), columns }))
    };
    let sides = (0..).zip(&sides).map(marked).collect::<Result<Vec<_>>>()?;
    let input = behind_each_other(&sides)?;
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

/// The same, where the second of equal rows is another row than the first.
fn by_sides_and_numbers(
    left: &Arc<LogicalPlan>,
    right: &Arc<LogicalPlan>,
    condition: Expr,
) -> Result<Arc<LogicalPlan>> {
    let columns = visible_names(&left.schema()?);
    let input = by_sides(&numbered(left)?, &numbered(right)?, condition)?;
    Ok(Arc::new(LogicalPlan::Project { input, columns }))
}

/// Rows with their numbers among those that are equal to them.
fn numbered(plan: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    let columns = visible_names(&plan.schema()?);
    let input = Arc::new(LogicalPlan::Project { input: Arc::clone(plan), columns: columns.clone() });
    let number =
        WindowCall { function: WindowFunction::RowNumber, args: Vec::new(), frame: Frame::WHOLE, ignore_nulls: false };
    let window = Window { partition: columns, order: Vec::new(), calls: vec![(number, NUMBER.to_owned())] };
    Ok(Arc::new(LogicalPlan::Window { input, windows: vec![window] }))
}

/// The rows of all plans, those of each behind those of the one before, under the names that they have in the first.
///
/// # Errors
/// `Type` for columns that do not go together; `Internal` for no plans.
pub(super) fn behind_each_other(plans: &[Arc<LogicalPlan>]) -> Result<Arc<LogicalPlan>> {
    match plans {
        [] => Err(Error::internal("rows of no plan")),
        [one] => Ok(Arc::clone(one)),
        more => {
            let (first, second) = more.split_at(more.len().div_ceil(2));
            one_after_the_other(&behind_each_other(first)?, &behind_each_other(second)?)
        }
    }
}

fn one_after_the_other(left: &Arc<LogicalPlan>, right: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    let (ours, theirs) = (visible_schema(&left.schema()?), visible_schema(&right.schema()?));
    let name = |side: &str, at: usize| format!("{side} {at}");
    let numbered = |plan: &Arc<LogicalPlan>, schema: &SchemaRef, side: &str| {
        let columns = visible_names(schema).into_iter().enumerate();
        let columns = columns.map(|(at, column)| column.alias(name(side, at))).collect();
        Arc::new(LogicalPlan::Project { input: Arc::clone(plan), columns })
    };
    let (left, right) = (numbered(left, &ours, "left"), numbered(right, &theirs, "right"));
    let input = Arc::new(LogicalPlan::Join(Join::stacked(left, right)));
    let column = |(at, field): (usize, &Arc<Field>)| {
        coalesce([col(name("left", at)), col(name("right", at))]).alias(field.name().as_str())
    };
    let columns = ours.fields().iter().enumerate().map(column).collect();
    let plan = LogicalPlan::Project { input, columns };
    plan.schema()?;
    Ok(Arc::new(plan))
}
