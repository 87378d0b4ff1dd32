//! Queries inside of expressions, which become joins.

use super::from::filtered;
use super::query::Lowering;
use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col, count_rows, lit};
use crate::frame::visible_names;
use crate::plan::{Join, JoinKind, LogicalPlan};
use crate::types::ColumnType;
use sqlparser::ast::{self, Spanned};
use std::sync::Arc;

/// A query whose value stands in an expression: its plan has one column, of the name that the expression has.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    name: String,
    plan: Arc<LogicalPlan>,
    has_one_row: bool,
}

impl Inner {
    /// The name of its value.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The rows of `plan`, each with the value.
    pub(super) fn beside(self, plan: Arc<LogicalPlan>) -> Arc<LogicalPlan> {
        let (keys, kind) = match self.has_one_row {
            true => (Vec::new(), JoinKind::Cross),
            // Without a row, the value is missing.
            false => (vec![(lit(true), lit(true))], JoinKind::Left),
        };
        Arc::new(LogicalPlan::Join(Join::new(plan, self.plan, keys, kind)))
    }
}

/// A name that no column has by chance.
fn name(number: usize) -> String {
    format!("value of query {number}")
}

impl Lowering<'_> {
    /// The value of a query of one column and at most one row, as the `number`th in its block.
    pub(super) fn value_of(&self, query: &ast::Query, number: usize, outer: &Scope) -> Result<(Inner, Expr)> {
        let plan = self.only_column(query, &name(number), outer)?;
        let rows = row_count(&plan);
        if rows == RowCount::Unknown {
            return Err(self
                .unsupported("a query that may have several rows, in the place of a value,", query.span())
                .hint("take an aggregate, such as max(x), or add `limit 1`"));
        }
        Ok((Inner { name: name(number), plan, has_one_row: rows == RowCount::One }, col(name(number))))
    }

    /// Whether a query has rows.
    pub(super) fn existence_of(&self, query: &ast::Query, number: usize, outer: &Scope) -> Result<(Inner, Expr)> {
        let input = self.within(query, outer)?;
        let input = Arc::new(LogicalPlan::Limit { input, skip: 0, rows: 1 });
        let plan = Arc::new(counted(input, &[(count_rows(), name(number))])?);
        Ok((Inner { name: name(number), plan, has_one_row: true }, col(name(number)).gt(0)))
    }

    /// The rows of `plan` whose value is one of those of a query, or is none of them.
    pub(super) fn among(
        &self,
        plan: Arc<LogicalPlan>,
        value: Expr,
        query: &ast::Query,
        negated: bool,
        number: usize,
        outer: &Scope,
    ) -> Result<Arc<LogicalPlan>> {
        let member = name(number);
        let members = self.only_column(query, &member, outer)?;
        let types = [
            value.bind(&*plan.schema()?)?.column_type(),
            col(member.as_str()).bind(&*members.schema()?)?.column_type(),
        ];
        if types[0].unify(types[1]) == ColumnType::Utf8 && types.iter().any(|known| known.is_numeric()) {
            let message = format!("`in` compares {} with the {} of the query", types[0], types[1]);
            return self.placed(Err(Error::new(ErrorKind::Type, message).hint("`cast` one of them")), query.span());
        }
        let keys = vec![(value.clone(), col(member.as_str()))];
        if !negated {
            return Ok(Arc::new(LogicalPlan::Join(Join::new(plan, members, keys, JoinKind::Semi))));
        }
        // A missing value may be any, and where one of those of the query is missing, any may be among them.
        let (all, known) = (format!("{member}: all"), format!("{member}: known"));
        let counts = [(count_rows(), all.clone()), (col(member.as_str()).count(), known.clone())];
        let counts = Arc::new(counted(Arc::clone(&members), &counts)?);
        let plan = Arc::new(LogicalPlan::Join(Join::new(plan, counts, Vec::new(), JoinKind::Cross)));
        let (all, known) = (col(all), col(known));
        let is_told = all.clone().eq(0).or(all.eq(known).and(value.is_not_null()));
        Ok(Arc::new(LogicalPlan::Join(Join::new(filtered(plan, is_told), members, keys, JoinKind::Anti))))
    }

    /// The only column of a query, under another name.
    fn only_column(&self, query: &ast::Query, name: &str, outer: &Scope) -> Result<Arc<LogicalPlan>> {
        let plan = self.within(query, outer)?;
        let mut columns = visible_names(&plan.schema()?);
        let Some(column) = columns.pop().filter(|_| columns.is_empty()) else {
            let message = format!("the query has {} columns, and one is needed here", columns.len() + 1);
            return self.placed(Err(Error::new(ErrorKind::Type, message)), query.span());
        };
        Ok(Arc::new(LogicalPlan::Project { input: plan, columns: vec![column.alias(name)] }))
    }

    /// A query inside of another one, whose columns it cannot use.
    fn within(&self, query: &ast::Query, outer: &Scope) -> Result<Arc<LogicalPlan>> {
        self.query(query).map_err(|error| {
            let name = error.message().split('`').nth(1).unwrap_or_default();
            let is_around = outer.has_table(name) || outer.column(&[ast::Ident::new(name)]).is_ok();
            if error.kind() != ErrorKind::Name || !is_around {
                return error;
            }
            let message = "a query that uses columns of the query around it is not supported";
            let told = Error::new(ErrorKind::Unsupported, message).hint("a join with a grouped query does the same");
            match error.underlined() {
                Some(place) => told.underline(&place.text, place.range.clone()),
                None => told,
            }
        })
    }
}

/// One row of aggregates over all rows.
fn counted(input: Arc<LogicalPlan>, aggregates: &[(Expr, String)]) -> Result<LogicalPlan> {
    let call = |(expr, name): &(Expr, String)| match expr {
        Expr::Aggregate(call) => Ok((call.clone(), name.clone())),
        _ => Err(Error::internal("no aggregate")),
    };
    let aggregates = aggregates.iter().map(call).collect::<Result<_>>()?;
    Ok(LogicalPlan::Aggregate { input, keys: Vec::new(), aggregates })
}

/// How many rows a plan has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowCount {
    One,
    AtMostOne,
    Unknown,
}

fn row_count(plan: &LogicalPlan) -> RowCount {
    let below = plan.input().map_or(RowCount::Unknown, |input| row_count(input));
    match (plan, below) {
        (LogicalPlan::Aggregate { keys, .. }, _) if keys.is_empty() => RowCount::One,
        (LogicalPlan::Limit { skip: 0, rows: 1.., .. }, RowCount::One) => RowCount::One,
        (LogicalPlan::Limit { rows: 0 | 1, .. }, _) => RowCount::AtMostOne,
        (LogicalPlan::Project { .. } | LogicalPlan::Sort { .. }, below) => below,
        (LogicalPlan::Filter { .. } | LogicalPlan::Limit { .. }, RowCount::One | RowCount::AtMostOne) => {
            RowCount::AtMostOne
        }
        _ => RowCount::Unknown,
    }
}
