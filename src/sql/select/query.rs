//! Queries: `with`, set operations, `order by`, `limit`.

use super::combine::Combined;
use super::scope::{Scope, Table};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::{Expr, Literal};
use crate::frame::{LazyFrame, visible_names};
use crate::plan::{LogicalPlan, SortKey};
use crate::sql::convert::{Converter, Names};
use crate::sql::tables::Tables;
use crate::sql::words::Words;
use sqlparser::ast::{self, SetExpr, Spanned};
use sqlparser::tokenizer::{Span, Token};
use std::ops::Range;
use std::sync::Arc;

/// Makes plans of the queries of a text.
#[derive(Clone)]
pub(super) struct Lowering<'a> {
    pub(super) words: &'a Words,
    /// Those that have names, and files.
    pub(super) tables: &'a Tables,
    /// The words of the statement.
    range: Range<usize>,
    /// Queries that have a name, the innermost last.
    named: Vec<(String, Arc<LogicalPlan>)>,
}

/// Which rows of a result stay.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    skip: usize,
    rows: Option<usize>,
}

impl Cut {
    /// The first rows alone.
    pub(super) fn first(rows: usize) -> Self {
        Cut { skip: 0, rows: Some(rows) }
    }

    /// Whether all rows stay.
    pub(super) fn is_none(self) -> bool {
        self.skip == 0 && self.rows.is_none()
    }

    pub(super) fn of(self, input: Arc<LogicalPlan>) -> Arc<LogicalPlan> {
        match self {
            Cut { skip: 0, rows: None } => input,
            Cut { skip, rows } => Arc::new(LogicalPlan::Limit { input, skip, rows: rows.unwrap_or(usize::MAX) }),
        }
    }
}

/// How a result ends: its order, and which of its rows stay.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) order: Option<&'a ast::OrderBy>,
    pub(super) cut: Cut,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(words: &'a Words, tables: &'a Tables, range: Range<usize>) -> Self {
        Lowering { words, tables, range, named: Vec::new() }
    }

    /// The same, in which a table has one more name, unless a table has it already.
    pub(super) fn with_named(mut self, name: &str, plan: Arc<LogicalPlan>) -> Self {
        if self.tables.named(name).is_err() {
            self.named.push((name.to_owned(), plan));
        }
        self
    }

    /// The plan of a query.
    pub(super) fn query(&self, query: &ast::Query) -> Result<Arc<LogicalPlan>> {
        let refused = [
            (
                query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties || fetch.percent),
                "`percent` or `with ties` behind `fetch`",
                "`fetch first 3 rows only`; `qualify rank() over (order by x) <= 3` takes rows that tie, too",
            ),
            (
                query.fetch.is_some() && has_limit(query),
                "`fetch` beside `limit`",
                "either says how many rows there are",
            ),
            (
                !query.locks.is_empty() || query.for_clause.is_some(),
                "`for` behind a query",
                "files are read, never locked",
            ),
            (query.settings.is_some(), "`settings`", "flags and variables say how a query runs: outcrop help sql"),
            (query.format_clause.is_some(), "`format`", "`--format json` says how an answer is shown"),
        ];
        if let Some((_, what, hint)) = refused.iter().find(|(given, ..)| *given) {
            let word = what.rsplit('`').nth(1).unwrap_or_default();
            return Err(self.unsupported(what, self.span_of(word, query.span())).hint(*hint));
        }
        let mut inner = self.clone();
        if let Some(with) = &query.with {
            if with.recursive {
                let error = self.unsupported("`with recursive`", self.span_of("recursive", query.span()));
                return Err(error.hint("a known number of steps is as many queries: with a as (…), b as (… from a)"));
            }
            for table in &with.cte_tables {
                let plan = inner.query(&table.query)?;
                let plan = inner.with_names(plan, &table.alias)?;
                inner.named.push((table.alias.name.value.clone(), plan));
            }
        }
        let mut cut = inner.cut(query.limit_clause.as_ref())?;
        if let Some(fetch) = &query.fetch {
            cut.rows = Some(fetch.quantity.as_ref().map_or(Ok(1), |rows| inner.number_of_rows(rows))?);
        }
        let ending = Ending { order: query.order_by.as_ref(), cut };
        inner.body(&query.body, ending)
    }

    fn body(&self, body: &SetExpr, ending: Ending<'_>) -> Result<Arc<LogicalPlan>> {
        let plan = match body {
            SetExpr::Select(select) => return self.block(select, ending),
            SetExpr::Query(query) => self.query(query)?,
            SetExpr::SetOperation { .. } => self.operations(body)?,
            SetExpr::Values(values) => self.values(values, body.span())?,
            _ => {
                return Err(self
                    .unsupported("this statement in a query", body.span())
                    .hint("`select` or `values` stands there"));
            }
        };
        self.ended(plan, ending)
    }

    /// Set operations, which lean to the left: `a union b union c` is walked in a loop.
    fn operations(&self, body: &SetExpr) -> Result<Arc<LogicalPlan>> {
        let nothing = Ending { order: None, cut: Cut::default() };
        let (mut first, mut spine) = (body, Vec::new());
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            spine.push((*op, *set_quantifier, &**right));
            first = left;
        }
        let mut combined = Combined::of(self.body(first, nothing)?)?;
        for (op, quantifier, right) in spine.into_iter().rev() {
            let plan = self.body(right, nothing)?;
            // Where it is, is not asked before something is wrong: that takes a walk through all of it.
            combined = combined.with(op, quantifier, plan).or_else(|error| self.placed(Err(error), right.span()))?;
        }
        combined.plan().or_else(|error| self.placed(Err(error), body.span()))
    }

    /// A result in its order and cut; keys are about its columns.
    pub(super) fn ended(&self, plan: Arc<LogicalPlan>, ending: Ending<'_>) -> Result<Arc<LogicalPlan>> {
        let schema = plan.schema()?;
        let scope = Scope::of(Table::of("", &schema));
        let columns = visible_names(&schema);
        let names = OutputNames(&scope);
        let keys = self.sort_keys(ending.order, &columns, &names, &names)?;
        let sorted = if keys.is_empty() { plan } else { Arc::new(LogicalPlan::Sort { input: plan, keys }) };
        Ok(ending.cut.of(sorted))
    }

    /// The keys of `order by`, of which numbers are positions in `columns`.
    pub(super) fn sort_keys(
        &self,
        order: Option<&ast::OrderBy>,
        columns: &[Expr],
        names: &dyn Names,
        results: &dyn Names,
    ) -> Result<Vec<SortKey>> {
        let Some(order) = order else { return Ok(Vec::new()) };
        let all;
        let keys: Vec<(Expr, &ast::OrderByOptions)> = match &order.kind {
            ast::OrderByKind::All(options) => {
                all = options;
                columns.iter().map(|column| (column.unaliased().clone(), all)).collect()
            }
            ast::OrderByKind::Expressions(exprs) => {
                // The name of a result comes before that of a column where it stands alone.
                let key = |key: &'_ ast::OrderByExpr| match key.expr {
                    ast::Expr::Identifier(_) => self.by_position_or_name(&key.expr, columns, results),
                    _ => self.by_position_or_name(&key.expr, columns, names),
                };
                exprs.iter().map(|one| Ok((key(one)?, &one.options))).collect::<Result<_>>()?
            }
        };
        let mut sort = Vec::with_capacity(keys.len());
        for (expr, options) in keys {
            let descending = match options.sort {
                None | Some(ast::OrderBySort::Asc) => false,
                Some(ast::OrderBySort::Desc) => true,
                Some(_) => {
                    return Err(self
                        .unsupported("`order by … using`", order.span())
                        .hint("`asc` and `desc` say which way"));
                }
            };
            if options.nulls_first == Some(true) {
                sort.push(SortKey { expr: expr.clone().is_null(), descending: true });
            }
            sort.push(SortKey { expr, descending });
        }
        Ok(sort)
    }

    /// A whole number is the column at that position, anything else what it says.
    pub(super) fn by_position_or_name(&self, expr: &ast::Expr, columns: &[Expr], names: &dyn Names) -> Result<Expr> {
        let is_written = matches!(expr, ast::Expr::Value(value) if matches!(value.value, ast::Value::Number(..)));
        match self.convert(expr, names)? {
            Expr::Literal(Literal::Int64(at)) if is_written => {
                let column = usize::try_from(at).ok().and_then(|at| columns.get(at.checked_sub(1)?));
                let error = || {
                    let message = format!("there is no column {at}: the query has {}", columns.len());
                    Error::new(ErrorKind::Name, message)
                };
                self.placed(column.ok_or_else(error), expr.span()).map(|column| column.unaliased().clone())
            }
            other => Ok(other),
        }
    }

    /// The names that stand behind the alias of a query, given to its columns.
    fn with_names(&self, plan: Arc<LogicalPlan>, alias: &ast::TableAlias) -> Result<Arc<LogicalPlan>> {
        if alias.columns.is_empty() {
            return Ok(plan);
        }
        let columns = visible_names(&plan.schema()?);
        if columns.len() != alias.columns.len() {
            let message = format!("`{}` has {} columns", alias.name.value, columns.len());
            return self.placed(Err(Error::new(ErrorKind::Name, message)), alias.name.span);
        }
        let renamed = columns.into_iter().zip(&alias.columns);
        let columns = renamed.map(|(column, given)| column.alias(given.name.value.as_str())).collect();
        Ok(Arc::new(LogicalPlan::Project { input: plan, columns }))
    }

    fn cut(&self, clause: Option<&ast::LimitClause>) -> Result<Cut> {
        let (limit, offset) = match clause {
            None => return Ok(Cut::default()),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(ast::LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            Some(ast::LimitClause::LimitOffset { limit_by, .. }) => {
                let error = self.unsupported("`limit … by`", limit_by[0].span());
                return Err(error.hint("`qualify row_number() over (partition by g) <= 3` takes three rows of each g"));
            }
        };
        let number = |expr: &ast::Expr| self.number_of_rows(expr);
        Ok(Cut { skip: offset.map(number).transpose()?.unwrap_or(0), rows: limit.map(number).transpose()? })
    }

    pub(super) fn number_of_rows(&self, expr: &ast::Expr) -> Result<usize> {
        match self.convert(expr, &NoNames)? {
            Expr::Literal(Literal::Int64(number)) if number >= 0 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            other => {
                let error = Error::new(ErrorKind::Syntax, format!("`{other}` is not a number of rows"));
                self.placed(Err(error), expr.span())
            }
        }
    }

    /// The table or query of this name, and what it is called if nothing else is said.
    pub(super) fn named(&self, name: &ast::ObjectName) -> Result<(Arc<LogicalPlan>, String)> {
        let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
            return Err(self
                .unsupported("a table name with a dot", name.span())
                .hint("a file stands in quotes, such as from 'carriers.csv'"));
        };
        if matches!((ident.quote_style, self.words.is_question), (Some('\''), _) | (Some('"'), true)) {
            let frame = self.tables.file(&ident.value).map_err(|error| self.at_text(error, &ident.value))?;
            return Ok((Arc::clone(frame.plan()?), stem(&ident.value).to_owned()));
        }
        let known = self.named.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(&ident.value));
        if let Some((_, plan)) = known {
            return Ok((Arc::clone(plan), ident.value.clone()));
        }
        let with: Vec<&str> = self.named.iter().map(|(name, _)| name.as_str()).collect();
        let frame = table_called(self.tables, &ident.value, &with)?;
        Ok((Arc::clone(frame.plan()?), ident.value.clone()))
    }

    /// The error at a text in quotes, of which the parser does not tell where it stands.
    pub(super) fn at_text(&self, error: Error, text: &str) -> Error {
        let is_it = |at: &usize| matches!(self.words.token(*at), Some(Token::SingleQuotedString(it) | Token::DoubleQuotedString(it)) if it == text);
        let is_file = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| self.words.token(before));
            let opens = matches!(before, Some(Token::LParen | Token::LBracket | Token::Comma));
            is_it(at) && (opens || ["from", "join"].iter().any(|word| *at > 0 && self.words.is_word(at - 1, word)))
        };
        match self.range.clone().find(is_file).or_else(|| self.range.clone().find(is_it)) {
            Some(at) if error.underlined().is_none() => error.underline(&self.words.text, self.words.bytes(at..at + 1)),
            _ => error,
        }
    }

    pub(super) fn convert(&self, expr: &ast::Expr, names: &dyn Names) -> Result<Expr> {
        Converter { names: Some(names), ..self.converter() }.convert(expr, 0)
    }

    fn converter(&self) -> Converter<'_> {
        Converter { words: self.words, range: self.range.clone(), names: None }
    }

    /// The error with its place, if it has none yet.
    pub(super) fn placed<T>(&self, result: Result<T>, span: Span) -> Result<T> {
        self.converter().placed(result, span)
    }

    /// Where a span of the parser stands in the text.
    pub(super) fn bytes(&self, span: Span) -> Range<usize> {
        self.converter().bytes(span)
    }

    /// Where a word stands first in a part of the statement; the part, if it does not.
    pub(super) fn span_of(&self, word: &str, part: Span) -> Span {
        let (first, within) = (word.split(' ').next().unwrap_or(word), self.bytes(part));
        let is_it = |at: &usize| {
            // Parts that the parser tells of may begin behind the word that opens them.
            self.words.is_word(*at, first) && self.words.bytes(*at..*at + 1).start < within.end
        };
        let found =
            self.range.clone().rfind(is_it).or_else(|| self.range.clone().rfind(|at| self.words.is_word(*at, first)));
        found.and_then(|at| self.words.tokens(at..at + 1).pop()).map_or(part, |token| token.span)
    }

    pub(super) fn unsupported(&self, what: &str, span: Span) -> Error {
        self.converter().unsupported(what, span)
    }
}

fn has_limit(query: &ast::Query) -> bool {
    matches!(&query.limit_clause, Some(ast::LimitClause::LimitOffset { limit: Some(_), .. }))
}

/// The view or table of this name; `with` are names beside them, for hints.
pub(super) fn table_called(tables: &Tables, name: &str, with: &[&str]) -> Result<LazyFrame> {
    tables.named(name).map_err(|error| match did_you_mean(name, with.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if error.hint_text().is_some_and(|hint| hint.starts_with("did")) => error,
        None if name.contains(['.', '/']) => error.hint(format!("a file stands in single quotes: from '{name}'")),
        None => error.hint(format!("a file stands in quotes: from '{name}.csv'; --table '{name}=FILE' names one")),
    })
}

/// Columns of a result.
pub(super) struct OutputNames<'a>(pub(super) &'a Scope);

impl Names for OutputNames<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        self.0.column(&parts[parts.len() - 1..])
    }

    fn value_of(&self, _query: &ast::Query) -> Result<Expr> {
        Err(Error::new(ErrorKind::Unsupported, "a query behind `order by` is not supported")
            .hint("it may stand in the select list under a name, and the name here"))
    }
}

/// A place where only constants may stand.
pub(super) struct NoNames;

impl Names for NoNames {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        let name = parts.last().map_or("", |part| part.value.as_str());
        Err(Error::new(ErrorKind::Name, format!("no column `{name}` here: only constants may stand in this place")))
    }

    fn value_of(&self, _query: &ast::Query) -> Result<Expr> {
        Err(Error::new(ErrorKind::Unsupported, "a query in this place is not supported").hint("a number stands here"))
    }
}

/// What a file is called: its name without folders and endings.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// Equal rows once.
pub(super) fn distinct(input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let keys = visible_names(&input.schema()?);
    Ok(LogicalPlan::Aggregate { input, keys, aggregates: Vec::new() })
}
