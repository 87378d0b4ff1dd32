//! Window functions and queries in the expressions of a question.
//!
//! A question is read before its tables are known. So what a window function or a query gives stands as a column of a name of its
//! own in its expression until the question is planned; then queries become joins, and windows a verb, as those of SQL do.

use super::block::makes_rows;
use super::from::{conjuncts, existence};
use super::grouped::Grouped;
use super::inner::{self, Inner, beside_rows};
use super::query::Lowering;
use super::scope::Scope;
use super::sets::Keys;
use super::windows::{NAMED_FIRST, Windows};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col};
use crate::plan::{LogicalPlan, SortKey};
use crate::sql::convert::{Converter, Names, WINDOW_PLACES, column, parsed};
use crate::sql::over::Windowed;
use crate::sql::quantified::Quantified;
use crate::sql::rows::values_of;
use crate::sql::tables::Tables;
use crate::sql::words::Words;
use arrow::datatypes::Schema;
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// What the queries of a question call the table that it is about.
pub(in crate::sql) const OWN_TABLE: &str = "self";

/// What the expressions of a question ask beside its rows.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sql) struct Asides {
    words: Arc<Words>,
    windows: Windows,
    queries: Vec<InnerQuery>,
    members: Vec<Members>,
}

/// A query in an expression.
#[derive(Clone, Debug, PartialEq)]
struct InnerQuery {
    number: usize,
    wants: Wants,
    query: Arc<ast::Query>,
}

/// What an expression wants to know of a query.
#[derive(Clone, Debug, PartialEq)]
enum Wants {
    Value,
    Existence,
    Membership(Expr),
    Comparison(Expr, Quantified),
}

/// A condition of rows: that their values are those of a row of a query, or of none; without values, that it has rows, or none.
#[derive(Clone, Debug, PartialEq)]
struct Members {
    number: usize,
    values: Option<Vec<Expr>>,
    query: Arc<ast::Query>,
    negated: bool,
}

/// Reads the expressions of a question.
pub(in crate::sql) struct Reader {
    pub(in crate::sql) words: Arc<Words>,
    asides: RefCell<Asides>,
}

impl Reader {
    pub(in crate::sql) fn new(words: Words) -> Self {
        let words = Arc::new(words);
        Reader { asides: RefCell::new(Asides::new(Arc::clone(&words))), words }
    }

    /// The expression that the words `range` are, all of them.
    pub(in crate::sql) fn expression(&self, range: Range<usize>) -> Result<Expr> {
        self.convert(&parsed(&self.words, range.clone())?, range)
    }

    /// The condition of rows that the words `range` are, without those about members of queries.
    pub(in crate::sql) fn condition(&self, range: Range<usize>) -> Result<Option<Expr>> {
        let tree = parsed(&self.words, range.clone())?;
        let parts = conjuncts(&tree);
        let of_query = |part: &&ast::Expr| matches!(part, ast::Expr::InSubquery { .. }) || existence(part).is_some();
        if !parts.iter().any(of_query) {
            return self.of_rows(&tree, &range).map(Some);
        }
        let mut others = Vec::new();
        for part in parts {
            let (values, subquery, negated) = match (part, existence(part)) {
                (ast::Expr::InSubquery { expr, subquery, negated }, _) => {
                    let row = values_of(expr).unwrap_or(std::slice::from_ref(&**expr));
                    let values = row.iter().map(|value| self.of_rows(value, &range)).collect::<Result<_>>()?;
                    (Some(values), &**subquery, *negated)
                }
                (_, Some((query, negated))) => (None, query, negated),
                (_, None) => {
                    others.push(self.of_rows(part, &range)?);
                    continue;
                }
            };
            let mut asides = self.asides.borrow_mut();
            let (number, query, negated) = (asides.next_number(), Arc::new(subquery.clone()), negated);
            asides.members.push(Members { number, values, query, negated });
        }
        Ok(Expr::conjunction(others))
    }

    fn of_rows(&self, tree: &ast::Expr, range: &Range<usize>) -> Result<Expr> {
        let condition = self.convert(tree, range.clone())?;
        self.refuse_windows(&condition, "where", &self.words.bytes(range.clone()))?;
        Ok(condition)
    }

    /// Refuses a window function in a clause that is asked before there are any; the clause, or part of it, is at these bytes.
    pub(in crate::sql) fn refuse_windows(&self, expr: &Expr, clause: &str, bytes: &Range<usize>) -> Result<()> {
        if !self.asides.borrow().windows.are_in(expr) {
            return Ok(());
        }
        let message = format!("a window function in `{clause}`, which is asked before there are windows");
        let hint = match clause {
            "by" => WINDOW_PLACES,
            _ => "`qualify` asks rows that have been given their window functions",
        };
        Err(Error::new(ErrorKind::Syntax, message).hint(hint).underline(&self.words.text, bytes.clone()))
    }

    /// Whether the value of a window function or of a query is part of an expression.
    pub(in crate::sql) fn are_in(&self, expr: &Expr) -> bool {
        self.asides.borrow().are_in(expr)
    }

    pub(in crate::sql) fn finish(self) -> Asides {
        self.asides.into_inner()
    }

    fn convert(&self, tree: &ast::Expr, range: Range<usize>) -> Result<Expr> {
        Converter { words: &self.words, range, names: Some(self) }.convert(tree, 0)
    }

    fn noted(&self, query: &ast::Query, wants: Wants) -> Expr {
        let mut asides = self.asides.borrow_mut();
        let (number, query) = (asides.next_number(), Arc::new(query.clone()));
        asides.queries.push(InnerQuery { number, wants, query });
        col(inner::name(number))
    }
}

impl Names for Reader {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        column(parts)
    }

    fn value_of(&self, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(query, Wants::Value))
    }

    fn exists(&self, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(query, Wants::Existence))
    }

    fn window(&self, windowed: Windowed) -> Result<Expr> {
        self.asides.borrow_mut().windows.add(windowed).map_err(in_question)
    }

    fn member_of(&self, value: &Expr, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(query, Wants::Membership(value.clone())))
    }

    fn compared(&self, value: &Expr, how: Quantified, query: &ast::Query) -> Result<Expr> {
        Ok(self.noted(query, Wants::Comparison(value.clone(), how)))
    }

    fn predicts(&self) -> bool {
        true
    }

    fn grouping(&self, _keys: Vec<Expr>, _span: Span) -> Result<Expr> {
        let error = Error::new(ErrorKind::Unsupported, "`grouping` in a question is not supported");
        Err(error.hint("it is for `grouping sets`, `rollup` and `cube`, which `outcrop sql` has"))
    }
}

impl Asides {
    /// Nothing, in a question of these words.
    pub(in crate::sql) fn new(words: Arc<Words>) -> Self {
        Asides { words, windows: Windows::default(), queries: Vec::new(), members: Vec::new() }
    }

    /// Whether nothing is asked beside rows.
    pub(in crate::sql) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.queries.is_empty() && self.members.is_empty()
    }

    /// When the question was read, in microseconds since 1970.
    pub(in crate::sql) fn read_at(&self) -> i64 {
        self.words.read_at
    }

    fn next_number(&self) -> usize {
        self.queries.len() + self.members.len() + 1
    }

    fn are_in(&self, expr: &Expr) -> bool {
        self.windows.are_in(expr) || expr.columns().iter().any(|name| self.query_called(name).is_some())
    }

    fn query_called(&self, name: &str) -> Option<&InnerQuery> {
        self.queries.iter().find(|asked| inner::name(asked.number) == *name)
    }

    /// The same about other columns.
    ///
    /// # Errors
    /// Those of `change`.
    pub(in crate::sql) fn changed(&self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Self> {
        let mut changed = self.clone();
        changed.windows = self.windows.changed(change)?;
        for asked in &mut changed.queries {
            if let Wants::Membership(value) | Wants::Comparison(value, _) = &mut asked.wants {
                *value = change(value)?;
            }
        }
        for value in changed.members.iter_mut().flat_map(|members| members.values.iter_mut().flatten()) {
            *value = change(value)?;
        }
        Ok(changed)
    }

    /// The plans of the queries, which are about `tables` and the question's own one, `own`; rows of the question have the names of
    /// `scope`.
    ///
    /// # Errors
    /// As of SQL, with the places of what is wrong.
    pub(in crate::sql) fn planned<'a>(
        &'a self,
        own: Arc<LogicalPlan>,
        tables: &'a Tables,
        scope: Scope,
    ) -> Result<Planned<'a>> {
        let words = &*self.words;
        let lowering = Lowering::new(words, tables, 0..words.len()).with_named(OWN_TABLE, own);
        let (windows, members) = (self.windows.clone(), self.members.clone());
        let mut planned = Planned { lowering, scope, windows, inner: Vec::new(), values: Vec::new(), members };
        for InnerQuery { number, wants, query } in &self.queries {
            let is_open = |value: &Expr| {
                let later = |name: &Arc<str>| self.query_called(name).is_some_and(|asked| asked.number >= *number);
                value.columns().iter().any(later)
            };
            let own_value = match wants {
                Wants::Membership(value) | Wants::Comparison(value, _) if is_open(value) => {
                    return Err(planned.lowering.unsupported("a query that asks for its own result", query.span()));
                }
                Wants::Membership(value) | Wants::Comparison(value, _) if self.windows.are_in(value) => {
                    let error =
                        planned.lowering.unsupported("a window function that is compared with a query", query.span());
                    return Err(error.hint(IN_FROM));
                }
                Wants::Membership(value) | Wants::Comparison(value, _) => Some(planned.told(value)?),
                Wants::Value | Wants::Existence => None,
            };
            let Planned { lowering, scope, .. } = &planned;
            let asked = match (wants, &own_value) {
                (Wants::Membership(_), Some(value)) => lowering.membership_of(value, query, *number, scope),
                (Wants::Comparison(_, how), Some(value)) => lowering.comparison_of(value, *how, query, *number, scope),
                (Wants::Existence, _) => lowering.existence_of(query, *number, scope),
                _ => lowering.value_of(query, *number, scope),
            };
            let (inner, value) = lowering.placed(asked, query.span())?;
            planned.inner.push(inner);
            planned.values.push((inner::name(*number).into(), value));
        }
        planned.windows = planned.windows.changed(&mut |expr| told(&planned.values, expr))?;
        for value in planned.members.iter_mut().flat_map(|members| members.values.iter_mut().flatten()) {
            *value = told(&planned.values, value)?;
        }
        Ok(planned)
    }

    /// The texts in quotes of its queries, which may be files.
    pub(in crate::sql) fn texts(&self) -> Vec<String> {
        self.words.texts_of_queries()
    }
}

/// What a question asks beside its rows, with the plans of its queries.
pub(in crate::sql) struct Planned<'a> {
    lowering: Lowering<'a>,
    scope: Scope,
    windows: Windows,
    inner: Vec<Inner>,
    /// What stands for each query in expressions, and what it says.
    values: Vec<(Arc<str>, Expr)>,
    members: Vec<Members>,
}

/// A question about groups, in which names of results and keys have been put in their places.
pub(in crate::sql) struct Groups {
    pub(in crate::sql) keys: Vec<Expr>,
    /// With the names of the result.
    pub(in crate::sql) columns: Vec<Expr>,
    pub(in crate::sql) having: Option<Expr>,
    pub(in crate::sql) qualify: Option<Expr>,
    pub(in crate::sql) sort: Vec<SortKey>,
}

impl Planned<'_> {
    /// The expression with what queries say in it.
    pub(in crate::sql) fn told(&self, expr: &Expr) -> Result<Expr> {
        told(&self.values, expr)
    }

    /// Changes what windows are computed of.
    pub(in crate::sql) fn change_windows(&mut self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<()> {
        self.windows = self.windows.changed(change)?;
        Ok(())
    }

    /// Changes what queries are about that rows are told of.
    pub(in crate::sql) fn change_queries(&mut self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<()> {
        let inner = std::mem::take(&mut self.inner);
        self.inner = inner.into_iter().map(|inner| inner.of_others(change)).collect::<Result<_>>()?;
        Ok(())
    }

    /// What windows are computed of.
    pub(in crate::sql) fn of_windows(&self) -> impl Iterator<Item = &Expr> {
        self.windows.exprs()
    }

    /// Whether the value of a window function is part of an expression.
    pub(in crate::sql) fn has_window(&self, expr: &Expr) -> bool {
        self.windows.are_in(expr)
    }

    pub(in crate::sql) fn has_windows(&self) -> bool {
        !self.windows.is_empty()
    }

    /// Refuses names that no column has, in these expressions and in what windows are about, while no other columns stand beside those
    /// of `schema`; and windows inside of others, which names of results have brought there.
    pub(in crate::sql) fn check<'e>(
        &'e self,
        schema: &Schema,
        of_rows: impl Iterator<Item = &'e Expr>,
        others: impl Iterator<Item = &'e Expr>,
    ) -> Result<()> {
        let of_members = || self.members.iter().flat_map(|members| members.values.iter().flatten());
        if self.windows.exprs().chain(of_members()).any(|expr| self.windows.are_in(expr)) {
            let error = Error::new(ErrorKind::Syntax, "a window function inside of another one, or of `in`");
            return Err(error.hint(IN_FROM));
        }
        let is_own = |name: &str| self.windows.has(name) || self.inner.iter().any(|inner| inner.has(name));
        for expr in of_rows.chain(of_members()).chain(self.windows.exprs()).chain(others) {
            for name in expr.columns().iter().filter(|name| !is_own(name)) {
                col(&**name).bind(schema)?;
            }
        }
        Ok(())
    }

    /// The rows of `plan` beside what queries say of rows; those that only groups are asked stay for these.
    pub(in crate::sql) fn beside(
        &mut self,
        plan: Arc<LogicalPlan>,
        filter: Option<&Expr>,
        groups: Option<&Groups>,
    ) -> Arc<LogicalPlan> {
        let Planned { windows, inner, members, .. } = self;
        let below = filter.into_iter().chain(members.iter().flat_map(|members| members.values.iter().flatten()));
        let groups = groups.map(|Groups { keys, columns, having, qualify, sort }| {
            let sort = sort.iter().map(|key| &key.expr);
            let asked = columns.iter().chain(having).chain(qualify).chain(sort).chain(windows.exprs());
            (&keys[..], asked.collect())
        });
        let (plan, of_groups) = beside_rows(std::mem::take(inner), plan, below, groups);
        self.inner = of_groups;
        plan
    }

    /// The rows that fulfil the conditions about members of queries.
    pub(in crate::sql) fn among(&mut self, mut plan: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        for Members { number, values, query, negated } in std::mem::take(&mut self.members) {
            let among = match values {
                Some(values) => self.lowering.among(plan, values, &query, negated, number, &self.scope),
                None => self.lowering.existing(plan, &query, negated, number, &self.scope),
            };
            plan = self.lowering.placed(among, query.span())?;
            self.lowering.placed(plan.schema(), query.span())?;
        }
        Ok(plan)
    }

    /// The rows of `plan` with the columns of windows, those for which `qualify` is true; columns stay that `later` expressions use.
    pub(in crate::sql) fn over<'e>(
        &'e self,
        plan: Arc<LogicalPlan>,
        qualify: Option<&'e Expr>,
        later: impl Iterator<Item = &'e Expr>,
    ) -> Result<Arc<LogicalPlan>> {
        self.windows.over(plan, qualify, later)
    }

    /// Whether groups are asked more than their keys and aggregates.
    pub(in crate::sql) fn asks_groups(&self) -> bool {
        self.has_windows() || !self.inner.is_empty()
    }

    /// The answer about groups of the rows of `plan`, of which `cut` takes some in the end.
    ///
    /// # Errors
    /// `Name` for a column that is neither a key nor inside an aggregate, and those of windows.
    pub(in crate::sql) fn grouped(
        self,
        groups: Groups,
        plan: Arc<LogicalPlan>,
        cut: impl FnOnce(Arc<LogicalPlan>) -> Arc<LogicalPlan>,
    ) -> Result<Arc<LogicalPlan>> {
        let Groups { keys, columns, having, qualify, sort } = groups;
        if columns.iter().any(makes_rows) {
            let message = "a window function, or a query, beside an aggregate that makes rows is not supported";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let (by, groupings, Planned { scope, windows, inner, .. }) = (Keys::of(keys), Vec::new(), self);
        Grouped { scope: &scope, by, groupings, columns, having, windows, qualify, sort, inner }
            .plan(plan, cut)
            .map_err(in_question)
    }
}

/// [`NAMED_FIRST`], told to those who have no `from`.
const IN_FROM: &str = "in SQL, a query in `from` gives its result a name first";

fn in_question(error: Error) -> Error {
    if error.hint_text() == Some(NAMED_FIRST) { error.hint(IN_FROM) } else { error }
}

fn told(values: &[(Arc<str>, Expr)], expr: &Expr) -> Result<Expr> {
    expr.replace(&mut |part| {
        let Expr::Column(name) = part else { return Ok(None) };
        Ok(values.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    })
}
