//! A question in words about a frame.

use super::fits::expand_columns;
use super::join::{JoinClause, JoinCondition};
use super::own_names::in_words;
use super::qualified::Qualifiers;
use super::question::{Question, parse_question_at};
use super::results::{groups, named_key, of_results, resolve, with_results, with_results_before};
use super::select::{Groups, Planned};
use super::sides::Sides;
use super::tables::Tables;
use super::times::with_present;
use super::why_text::with_reasons;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{BinaryOp, Expr, Function, Literal};
use crate::frame::LazyFrame;
use crate::frame::{expand_wildcards, visible_names};
use crate::plan::{AggregateSelect, LogicalPlan, SortKey, over_groups};
use crate::source::Source;
use crate::source::constants::visible_schema;
use arrow::datatypes::Schema;
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
            in_words(question.underline(error, &blamed))
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
        if let Some(span) = spans.qualify.as_ref().filter(|_| without(&|rest| rest.qualify = None)) {
            return span.clone();
        }
        for span in &spans.sort {
            let is_other = |(_, other): &(SortKey, &Range<usize>)| *other != span;
            let others =
                || question.sort.iter().cloned().zip(&spans.sort).filter(is_other).map(|(key, _)| key).collect();
            if without(&|rest| rest.sort = others()) {
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
        let joined = joined.chain(if question.is_plain() { Vec::new() } else { tables.known() });
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
        tell_time(&mut question, &schema)?;
        let shown = visible_schema(&schema);
        let keys: BTreeSet<Arc<str>> = question.by.iter().flat_map(Expr::columns).collect();
        let in_models = |expr: &mut Expr| expand_columns(expr, &shown, &keys).map(|expanded| *expr = expanded);
        let sorts = question.sort.iter_mut().map(|key| &mut key.expr);
        let conditions = question.having.iter_mut().chain(&mut question.qualify);
        question.select.iter_mut().chain(conditions).chain(sorts).try_for_each(in_models)?;
        refuse_constants(&question)?;
        let select = with_results_before(&expand_wildcards(std::mem::take(&mut question.select), &schema), &schema)?;
        let asides = question
            .asides
            .changed(&mut |expr| with_results(&expand_columns(expr, &shown, &keys)?, &select, &schema))?;
        let mut planned = asides.planned(Arc::clone(self.plan()?), tables, known.scope(&schema))?;
        let select = select.iter().map(|item| planned.told(item)).collect::<Result<Vec<_>>>()?;
        let sorts = question.sort.iter_mut().map(|key| &mut key.expr);
        let conditions = [&mut question.filter, &mut question.having, &mut question.qualify].into_iter().flatten();
        for expr in question.by.iter_mut().chain(sorts).chain(conditions) {
            *expr = planned.told(expr)?;
        }
        let question = &question;
        let keys: Vec<Expr> = question.by.iter().map(|key| named_key(key, &select, &schema)).collect();
        let predicate = question.filter.as_ref().map(|filter| resolve(filter, &select, &schema)).transpose()?;
        let limit = question.limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let beside = || select.iter().chain(planned.of_windows());
        let of_fits = beside().chain(&question.qualify).any(predicts);
        let grouped = !of_fits && (!question.by.is_empty() || beside().any(Expr::contains_aggregate));
        let groups = match grouped && !asides.is_empty() {
            true => Some(groups(question, &keys, &select, &mut planned)?),
            false => None,
        };
        let qualify = question.qualify.as_ref().map(|qualify| of_results(qualify, &select)).transpose()?;
        if !asides.is_empty() {
            let sort = question.sort.iter().map(|key| of_results(&key.expr, &select)).collect::<Result<Vec<_>>>()?;
            let of_rows = || predicate.iter().chain(&keys);
            let asked = || select.iter().chain(&qualify).chain(&sort);
            let in_aggregates =
                || asked().chain(&question.having).flat_map(Expr::aggregates).flat_map(|call| &call.args);
            match grouped {
                true => planned.check(&schema, of_rows(), in_aggregates())?,
                false => planned.check(&schema, of_rows(), asked())?,
            }
        }
        refuse_windows(&planned, question, predicate.as_ref(), &keys, groups.as_ref())?;
        let input = planned.beside(input, predicate.as_ref(), groups.as_ref());
        let filtered = match predicate {
            None => input,
            Some(predicate) => Arc::new(LogicalPlan::Filter { input, predicate }),
        };
        let filtered = planned.among(filtered)?;
        let filtered = match question.sample {
            None => filtered,
            Some((size, seed)) => Arc::new(LogicalPlan::Sample { input: filtered, size, seed }),
        };
        // A wrong name in `where` is told before one in the select list.
        filtered.schema()?;
        let plan = if of_fits {
            if question.distinct {
                return Err(Error::new(ErrorKind::Unsupported, "`distinct` beside predictions is not supported")
                    .hint("rows are told apart by what is predicted of them: leave out `distinct`"));
            }
            let all: Vec<Expr> = select.iter().chain(planned.of_windows()).chain(&qualify).cloned().collect();
            let (joined, mut all) = over_groups(filtered, &keys, &all)?;
            let mut beside = all.split_off(select.len()).into_iter().map(|expr| expr.unaliased().clone());
            planned.change_windows(&mut |expr| Ok(beside.next().unwrap_or_else(|| expr.clone())))?;
            rows(joined, all, question, limit, &planned, beside.next())?
        } else if question.distinct {
            let input = planned.over(filtered, qualify.as_ref(), select.iter())?;
            distinct(input, select, question, grouped, limit)?
        } else if grouped {
            let sort = question.sort.clone();
            let asked = AggregateSelect { keys, select, having: question.having.clone(), sort, limit };
            match groups.filter(|_| planned.asks_groups()) {
                None => asked.plan(filtered)?,
                Some(groups) => {
                    let input = Arc::clone(&filtered);
                    let plan = planned.grouped(groups, filtered, |plan| cut(plan, limit));
                    LogicalPlan::clone(&*plan.map_err(|error| asked.named(error, &input))?)
                }
            }
        } else {
            rows(filtered, select, question, limit, &planned, qualify)?
        };
        plan.schema()?;
        Ok(LazyFrame::from_plan(plan))
    }
}

/// Has `current_date` and its like mean the present where neither a column nor a result is called so.
fn tell_time(question: &mut Question, schema: &Schema) -> Result<()> {
    let named = question.select.iter().chain(&question.by).filter_map(|item| match item {
        Expr::Alias { name, .. } => Some(name.to_string()),
        _ => None,
    });
    let called: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).chain(named).collect();
    let is_called_so = |own: &str| called.iter().any(|name| name.eq_ignore_ascii_case(own));
    let at = question.asides.read_at();
    let mut told = |expr: &Expr| with_present(expr, at, &is_called_so);
    for item in question.select.iter_mut().chain(&mut question.by) {
        let changed = told(item)?;
        if changed != *item {
            *item = changed.unaliased().clone().alias(item.output_name());
        }
    }
    let sorts = question.sort.iter_mut().map(|key| &mut key.expr);
    let conditions = [&mut question.filter, &mut question.having, &mut question.qualify].into_iter().flatten();
    for expr in sorts.chain(conditions) {
        *expr = told(expr)?;
    }
    question.asides = question.asides.changed(&mut told)?;
    Ok(())
}

/// Refuses windows that names of results have brought where there are none yet, and `qualify` without any.
fn refuse_windows(
    planned: &Planned<'_>,
    question: &Question,
    predicate: Option<&Expr>,
    keys: &[Expr],
    groups: Option<&Groups>,
) -> Result<()> {
    let having = groups.and_then(|groups| groups.having.as_ref());
    let clauses = [("where", predicate), ("having", having), ("by", keys.iter().find(|key| planned.has_window(key)))];
    if let Some((clause, _)) = clauses.iter().find(|(_, expr)| expr.is_some_and(|expr| planned.has_window(expr))) {
        let message = format!("a window function in `{clause}`, which is asked before there are windows");
        let error = Error::new(ErrorKind::Syntax, message);
        return Err(error.hint("`qualify` asks rows that have been given their window functions"));
    }
    if question.qualify.is_some() && !planned.has_windows() {
        let error = Error::new(ErrorKind::Syntax, "`qualify` without a window function");
        return Err(error.hint("`where` asks rows, and `having` asks groups"));
    }
    Ok(())
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
    for condition in question.filter.iter().chain(&question.having).chain(&question.qualify) {
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
    planned: &Planned<'_>,
    qualify: Option<Expr>,
) -> Result<LogicalPlan> {
    if question.having.is_some() {
        return Err(Error::new(ErrorKind::Syntax, "`having` filters groups, and this question has none")
            .hint("use `where` to filter rows"));
    }
    // A name stands for the column of the result that bears it, before any column of the input. What is selected is
    // computed last, for the rows that stay.
    let key = |key: &SortKey| Ok(SortKey { expr: of_results(&key.expr, &select)?, descending: key.descending });
    let keys = question.sort.iter().map(key).collect::<Result<Vec<_>>>()?;
    let sorted_by = keys.iter().map(|key| &key.expr);
    let input = planned.over(input, qualify.as_ref(), select.iter().chain(sorted_by))?;
    let all = visible_names(&input.schema()?) == select;
    let project = |input: Arc<LogicalPlan>, columns: Vec<Expr>| match all {
        true => input,
        false => Arc::new(LogicalPlan::Project { input, columns }),
    };
    if keys.is_empty() {
        return Ok(LogicalPlan::clone(&*cut(project(input, select), limit)));
    }
    let sorted = Arc::new(LogicalPlan::Sort { input, keys });
    Ok(LogicalPlan::clone(&*project(cut(sorted, limit), select)))
}

/// The first rows, if not all are wanted.
fn cut(input: Arc<LogicalPlan>, limit: Option<usize>) -> Arc<LogicalPlan> {
    match limit {
        Some(rows) => Arc::new(LogicalPlan::Limit { input, skip: 0, rows }),
        None => input,
    }
}
