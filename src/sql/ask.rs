//! A question in words about a frame.

use super::question::{Question, parse_question};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col};
use crate::frame::LazyFrame;
use crate::frame::expand_wildcards;
use crate::plan::{AggregateSelect, LogicalPlan, SortKey, aliased, replace_names};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

impl LazyFrame {
    /// The frame that answers a question such as
    /// `count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 having n > 100 sort delay desc limit 10`.
    ///
    /// # Errors
    /// `Syntax`, `Name` and `Type` errors, the place in the text underlined; no data are read.
    pub fn ask(&self, question: &str) -> Result<LazyFrame> {
        let question = parse_question(question)?;
        self.answer_to(&question).map_err(|error| question.underline(error, &(0..question.text.len())))
    }

    fn answer_to(&self, question: &Question) -> Result<LazyFrame> {
        let input = Arc::clone(self.plan()?);
        let schema = input.schema()?;
        let select = expand_wildcards(question.select.clone(), &schema);
        let filtered = match &question.filter {
            None => input,
            Some(predicate) => {
                let predicate = resolve(predicate, &select, &schema)?;
                Arc::new(LogicalPlan::Filter { input, predicate })
            }
        };
        // A wrong name in `where` is told before one in the select list.
        filtered.schema()?;
        let limit = question.limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let grouped = !question.by.is_empty() || select.iter().any(Expr::contains_aggregate);
        let plan = if grouped {
            let keys = question.by.iter().map(|key| named_key(key, &select, &schema)).collect();
            let sort = question.sort.clone();
            AggregateSelect { keys, select, having: question.having.clone(), sort, limit }.plan(filtered)?
        } else {
            rows(filtered, select, question, limit, &schema)?
        };
        plan.schema()?;
        Ok(LazyFrame::from_plan(plan))
    }
}

/// A question without aggregates.
fn rows(
    input: Arc<LogicalPlan>,
    select: Vec<Expr>,
    question: &Question,
    limit: Option<usize>,
    schema: &SchemaRef,
) -> Result<LogicalPlan> {
    if question.having.is_some() {
        return Err(Error::new(ErrorKind::Syntax, "`having` filters groups, and this question has none")
            .hint("use `where` to filter rows"));
    }
    let mut plan = input;
    if !question.sort.is_empty() {
        // A name stands for the column of the result that bears it, before any column of the input.
        let key = |key: &SortKey| {
            let expr = replace_names(&key.expr, &mut |name| aliased(name, &select))?;
            Ok(SortKey { expr, descending: key.descending })
        };
        let keys = question.sort.iter().map(key).collect::<Result<_>>()?;
        plan = Arc::new(LogicalPlan::Sort { input: plan, keys });
    }
    if let Some(rows) = limit {
        plan = Arc::new(LogicalPlan::Limit { input: plan, rows });
    }
    let all = schema.fields().iter().map(|field| col(field.name().as_str())).eq(select.iter().cloned());
    if all {
        return Ok(LogicalPlan::clone(&plan));
    }
    Ok(LogicalPlan::Project { input: plan, columns: select })
}

/// A name that the input does not have stands for the column of the result that bears it.
fn resolve(expr: &Expr, select: &[Expr], schema: &SchemaRef) -> Result<Expr> {
    replace_names(expr, &mut |name| schema.index_of(name).is_err().then(|| aliased(name, select)).flatten())
}

/// A key that names a column of the result is that column.
fn named_key(key: &Expr, select: &[Expr], schema: &SchemaRef) -> Expr {
    match key {
        Expr::Column(name) if schema.index_of(name).is_err() => match aliased(name, select) {
            Some(expr) => expr.alias(Arc::clone(name)),
            None => key.clone(),
        },
        _ => key.clone(),
    }
}
