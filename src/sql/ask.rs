//! A question in words about a frame.

use super::fits::expand_columns;
use super::join::{JoinClause, JoinCondition};
use super::qualified::Qualifiers;
use super::question::{Question, parse_question_at};
use super::sides::Sides;
use super::tables::Tables;
use super::why_text::with_reasons;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{BinaryOp, Expr, Function, Literal};
use crate::frame::LazyFrame;
use crate::frame::{expand_wildcards, visible_names};
use crate::plan::{AggregateSelect, LogicalPlan, SortKey, aliased, over_groups, replace_names};
use crate::source::Source;
use crate::source::constants::visible_schema;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

impl LazyFrame {
    /// The frame that answers a question such as
    /// `count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 having n > 100 sort delay desc limit 10`.
    ///
    /// # Errors
    /// `Syntax`, `Name` and `Type` errors, the place in the text underlined; no data are read.
    pub fn ask(&self, question: &str) -> Result<LazyFrame> {
        self.ask_with(question, &Tables::new())
    }

    /// As [`LazyFrame::ask`], of a question that may join these tables by name.
    ///
    /// ```
    /// use outcrop::scan_csv;
    /// use outcrop::sql::Tables;
    ///
    /// let tables = Tables::new().with("carriers", scan_csv("testdata/airline/carriers.csv")?);
    /// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
    /// let flights = air.ask_with("count(*) as n by Description join carriers on UniqueCarrier = Code", &tables)?;
    /// assert_eq!(flights.collect()?.rows(), 14);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`LazyFrame::ask`], and those of opening files that are joined.
    pub fn ask_with(&self, question: &str, tables: &Tables) -> Result<LazyFrame> {
        let question = parse_question_at(question, tables.now())?;
        self.answer_to(&question, tables).map_err(|error| {
            let error = self.explain_text(error, &question, tables);
            let blamed = if error.underlined().is_none() { self.blamed(&question, tables) } else { 0..0 };
            question.underline(error, &blamed)
        })
    }

    /// The part of a question that is wrong about it: the one without which it would be answered; all, if that is not one.
    fn blamed(&self, question: &Question, tables: &Tables) -> Range<usize> {
        let (all, spans) = (0..question.text.len(), &question.spans);
        let without = |change: &dyn Fn(&mut Question)| {
            let mut rest = question.clone();
            change(&mut rest);
            self.answer_to(&rest, tables).is_ok()
        };
        if let Some(span) = spans.having.as_ref().filter(|_| without(&|rest| rest.having = None)) {
            return span.clone();
        }
        for (at, span) in spans.sort.iter().enumerate() {
            if without(&|rest| drop(rest.sort.remove(at))) {
                return span.clone();
            }
        }
        if let Some(span) = spans.filter.as_ref().filter(|_| without(&|rest| rest.filter = None)) {
            return span.clone();
        }
        // Of one item alone the rest is no question.
        if let [only] = spans.select.as_slice() {
            let no_other = question.by.is_empty() && question.joins.is_empty();
            return if no_other { only.clone() } else { all };
        }
        let item = spans.select.iter().enumerate().find(|(at, _)| without(&|rest| drop(rest.select.remove(*at))));
        item.map_or(all, |(_, span)| span.clone())
    }

    /// Says which value made text of a column that the question needs otherwise.
    fn explain_text(&self, error: Error, question: &Question, tables: &Tables) -> Error {
        let Ok(plan) = self.plan() else { return error };
        let mut sources: Vec<Arc<dyn Source>> = vec![Arc::clone(plan.source())];
        let joined = question.joins.iter().filter_map(|clause| tables.of(clause).ok());
        sources.extend(joined.filter_map(|right| Some(Arc::clone(right.plan().ok()?.source()))));
        with_reasons(error, &sources, &|name| question.locate(name).is_some())
    }

    fn answer_to(&self, question: &Question, tables: &Tables) -> Result<LazyFrame> {
        let mut input = Arc::clone(self.plan()?);
        let mut known = Qualifiers::of(&*input.schema()?);
        for clause in &question.joins {
            input = joined(input, clause, question, tables, &mut known)?;
        }
        let schema = input.schema()?;
        let mut question = match question.joins.is_empty() {
            true => question.clone(),
            false => known.resolved(question, &schema)?,
        };
        let shown = visible_schema(&schema);
        let keys: BTreeSet<Arc<str>> = question.by.iter().flat_map(Expr::columns).collect();
        let in_models = |expr: &mut Expr| expand_columns(expr, &shown, &keys).map(|expanded| *expr = expanded);
        let sorts = question.sort.iter_mut().map(|key| &mut key.expr);
        question.select.iter_mut().chain(&mut question.having).chain(sorts).try_for_each(in_models)?;
        let (question, select) = (&question, expand_wildcards(question.select.clone(), &schema));
        let filtered = match &question.filter {
            None => input,
            Some(predicate) => {
                let predicate = resolve(predicate, &select, &schema)?;
                Arc::new(LogicalPlan::Filter { input, predicate })
            }
        };
        let filtered = match question.sample {
            None => filtered,
            Some((size, seed)) => Arc::new(LogicalPlan::Sample { input: filtered, size, seed }),
        };
        refuse_constants(question)?;
        // A wrong name in `where` is told before one in the select list.
        filtered.schema()?;
        let limit = question.limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let of_fits = select.iter().any(predicts);
        let grouped = !of_fits && (!question.by.is_empty() || select.iter().any(Expr::contains_aggregate));
        let plan = if of_fits {
            if question.distinct {
                return Err(Error::new(ErrorKind::Unsupported, "`distinct` beside predictions is not supported")
                    .hint("rows are told apart by what is predicted of them: leave out `distinct`"));
            }
            let keys: Vec<Expr> = question.by.iter().map(|key| named_key(key, &select, &schema)).collect();
            let (joined, select) = over_groups(filtered, &keys, &select)?;
            rows(joined, select, question, limit, &schema)?
        } else if question.distinct {
            distinct(filtered, select, question, grouped, limit)?
        } else if grouped {
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

/// Whether rows are asked for, beside what a fit of them predicts.
fn predicts(column: &Expr) -> bool {
    let mut found = false;
    column.visit(&mut |part| {
        found |= matches!(part, Expr::Function { function: Function::Predict, args } if args[0].contains_aggregate());
    });
    found
}

/// The table with another one joined to it.
fn joined(
    left: Arc<LogicalPlan>,
    clause: &JoinClause,
    question: &Question,
    tables: &Tables,
    known: &mut Qualifiers,
) -> Result<Arc<LogicalPlan>> {
    known.check(clause).map_err(|error| error.underline(&question.text, clause.table_span.clone()))?;
    let right = tables.of(clause).and_then(|right| right.plan().cloned());
    let right = right.map_err(|error| error.underline(&question.text, clause.table_span.clone()))?;
    let at_place = |error: Error, condition: &JoinCondition| question.underline(error, &condition.span);
    let join = Sides::new(left, right, clause, known)?.joined(at_place)?;
    let span = match clause.on.as_slice() {
        [first, .., last] => first.span.start..last.span.end,
        [only] => only.span.clone(),
        [] => clause.span.clone(),
    };
    let plan = LogicalPlan::Join(join);
    plan.schema().map_err(|error| error.underline(&question.text, span))?;
    if let LogicalPlan::Join(join) = &plan {
        known.add(join, clause)?;
    }
    Ok(Arc::new(plan))
}

/// Constants where a column must have been meant: keys, and both sides of a comparison.
fn refuse_constants(question: &Question) -> Result<()> {
    let refuse = |what: &str, constant: &Expr| {
        Error::new(ErrorKind::Syntax, format!("{what} the constant `{constant}`, which is the same for every row"))
            .hint("a column with an odd name takes `backticks`; quotes of both kinds mean text, and numbers are no positions")
    };
    let is_constant = |expr: &Expr| matches!(expr.unaliased(), Expr::Literal(_));
    if let Some(key) = question.by.iter().find(|key| is_constant(key)) {
        return Err(refuse("groups by", key.unaliased()));
    }
    if let Some(key) = question.sort.iter().find(|key| is_constant(&key.expr)) {
        return Err(refuse("sorts by", &key.expr));
    }
    let mut found = None;
    for condition in question.filter.iter().chain(&question.having) {
        condition.visit(&mut |part| {
            if let Expr::Binary { left, op, right } = part
                && matches!((&**left, &**right), (Expr::Literal(Literal::Utf8(_)), Expr::Literal(Literal::Utf8(_))))
                && matches!(
                    op,
                    BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq
                )
            {
                found.get_or_insert_with(|| refuse("compares with a text", left));
            }
        });
    }
    found.map_or(Ok(()), Err)
}

/// A question that shows equal rows once: its columns are keys of groups.
fn distinct(
    input: Arc<LogicalPlan>,
    select: Vec<Expr>,
    question: &Question,
    grouped: bool,
    limit: Option<usize>,
) -> Result<LogicalPlan> {
    if grouped || question.having.is_some() {
        return Err(Error::new(ErrorKind::Syntax, "`distinct` is for rows, and this question makes groups")
            .hint("groups are distinct by themselves; count(distinct x) counts distinct values"));
    }
    let question = AggregateSelect { keys: select.clone(), select, having: None, sort: question.sort.clone(), limit };
    question.plan(input).map_err(|error| match error.kind() {
        ErrorKind::Name => error.hint("with `distinct`, a question sorts by what it selects"),
        _ => error,
    })
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
    let all = visible_names(schema) == select;
    let project = |input: Arc<LogicalPlan>, columns: Vec<Expr>| match all {
        true => input,
        false => Arc::new(LogicalPlan::Project { input, columns }),
    };
    let cut = |input: Arc<LogicalPlan>| match limit {
        Some(rows) => Arc::new(LogicalPlan::Limit { input, skip: 0, rows }),
        None => input,
    };
    if question.sort.is_empty() {
        return Ok(LogicalPlan::clone(&cut(project(input, select))));
    }
    // A name stands for the column of the result that bears it, before any column of the input. What is selected is
    // computed last, for the rows that stay.
    let key = |key: &SortKey| {
        let expr = replace_names(&key.expr, &mut |name| aliased(name, &select))?;
        Ok(SortKey { expr, descending: key.descending })
    };
    let keys = question.sort.iter().map(key).collect::<Result<_>>()?;
    let sorted = Arc::new(LogicalPlan::Sort { input, keys });
    Ok(LogicalPlan::clone(&project(cut(sorted), select)))
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
