//! Queries in expressions whose conditions compare with columns of the query around them: `exists (select 1 from u where u.k = t.k)`.
//!
//! Equations between both become the keys of a join with the rows of the query, which is then about its own tables only; other
//! conditions are asked of the pairs of rows that this join makes, where it only matters whether there are any.

use super::from::{Plain, Tables, conjuncts, filtered};
use super::grouped::Grouped;
use super::inner::{Inner, by_key, name};
use super::query::{Lowering, distinct};
use super::scope::Scope;
use super::sets::Keys;
use super::windows::Windows;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, coalesce, col, lit};
use crate::plan::{Join, JoinKind, LogicalPlan};
use crate::sql::convert::Names;
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;
use std::sync::Arc;

/// What must be equal in rows of two tables.
pub(super) type KeyPairs = Vec<(Expr, Expr)>;

/// A query block whose tables are joined with the rows around it.
pub(super) struct Correlated<'a> {
    select: &'a ast::Select,
    /// The rows of its tables that fulfil its own conditions.
    plan: Arc<LogicalPlan>,
    scope: Scope,
    /// What must be equal: of the rows around it, and of its own.
    keys: KeyPairs,
    /// What else must hold of pairs of both, and where it says so.
    of_pairs: Option<(Expr, Span)>,
}

/// The names of a query block, and behind them those around it.
struct Both<'a> {
    own: &'a Scope,
    around: &'a Scope,
}

impl Names for Both<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        match self.own.knows(parts) {
            true => self.own.column(parts),
            false => self.around.column(parts),
        }
    }

    fn value_of(&self, query: &ast::Query) -> Result<Expr> {
        Plain(self.own).value_of(query)
    }
}

/// The names around a query block that it does not have itself.
struct Around<'a>(Both<'a>);

impl Names for Around<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        match self.0.own.knows(parts) {
            true => Err(Error::new(ErrorKind::Name, "a name of the query itself")),
            false => self.0.around.column(parts),
        }
    }

    fn value_of(&self, query: &ast::Query) -> Result<Expr> {
        self.0.value_of(query)
    }
}

/// How the names of the columns of a query begin beside those around it.
fn inner_beginning(outer: &Scope) -> String {
    let mut beginning = "inner: ".to_owned();
    let mut number = 2;
    while outer.has_planned_with(&beginning) {
        beginning = format!("inner {number}: ");
        number += 1;
    }
    beginning
}

/// Where conditions on pairs may stand.
const OF_PAIRS: &str = "behind `where`, of `exists`, `not exists` and `in` that stand there by themselves or beside other conditions \
    with `and`, it may; elsewhere equations may";

/// The names of the keys of a table that is joined.
fn key_name(at: usize, of: &str) -> String {
    format!("{of}: key {at}")
}

impl Correlated<'_> {
    /// The keys of its rows, each once, under names that begin with `of`, with a column of that name that is not null; and what they
    /// are equal to.
    pub(super) fn keys_once(self, of: &str) -> Result<(Arc<LogicalPlan>, KeyPairs)> {
        let named = self.keys.iter().enumerate();
        let columns = named.map(|(at, (_, theirs))| theirs.clone().alias(key_name(at, of))).collect();
        let input = Arc::new(distinct(Arc::new(LogicalPlan::Project { input: self.plan, columns }))?);
        let on: KeyPairs =
            self.keys.into_iter().enumerate().map(|(at, (ours, _))| (ours, col(key_name(at, of)))).collect();
        let mut columns: Vec<Expr> = on.iter().map(|(_, key)| key.clone()).collect();
        columns.push(lit(true).alias(of));
        Ok((Arc::new(LogicalPlan::Project { input, columns }), on))
    }

    /// The rows of `plan`, as far as a join of this kind with those of the query keeps them.
    fn joined(self, plan: Arc<LogicalPlan>, kind: JoinKind) -> Arc<LogicalPlan> {
        let join = Join::new(plan, self.plan, self.keys, kind);
        Arc::new(LogicalPlan::Join(match self.of_pairs {
            None => join,
            Some((condition, _)) => join.of_pairs_with(condition),
        }))
    }

    /// Whether conditions that are no equations compare its rows with those around it.
    pub(super) fn compares(&self) -> bool {
        self.of_pairs.is_some()
    }
}

impl Lowering<'_> {
    /// A query as one block about its own tables, and what its conditions say of the rows around it; `None` for a query that says
    /// nothing of these, or that is more than such a block.
    pub(super) fn correlated<'a>(&self, query: &'a ast::Query, outer: &Scope) -> Result<Option<Correlated<'a>>> {
        let is_ended = query.order_by.is_some() || query.limit_clause.is_some();
        if is_ended { Ok(None) } else { self.correlated_block(query, outer) }
    }

    /// The same where it only matters whether there are rows: their order does not, and neither how many of them are taken.
    pub(super) fn correlated_rows<'a>(&self, query: &'a ast::Query, outer: &Scope) -> Result<Option<Correlated<'a>>> {
        let takes_some = match &query.limit_clause {
            None => true,
            Some(ast::LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by }) => {
                limit_by.is_empty() && self.number_of_rows(rows).is_ok_and(|rows| rows > 0)
            }
            Some(_) => false,
        };
        if takes_some { self.correlated_block(query, outer) } else { Ok(None) }
    }

    fn correlated_block<'a>(&self, query: &'a ast::Query, outer: &Scope) -> Result<Option<Correlated<'a>>> {
        let ast::SetExpr::Select(select) = &*query.body else { return Ok(None) };
        let is_ended = query.with.is_some();
        let is_grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
        let is_narrowed = select.having.is_some() || select.qualify.is_some();
        if is_ended || is_grouped || is_narrowed || select.from.is_empty() {
            return Ok(None);
        }
        let conditions = select.selection.as_ref().map(conjuncts).unwrap_or_default();
        // What is wrong with its tables is told where it is asked by itself.
        let Ok((tables, conditions)) = self.from(&select.from, conditions) else { return Ok(None) };
        let own = Plain(&tables.scope);
        let around = Around(Both { own: &tables.scope, around: outer });
        let (mut plan, mut keys, mut of_pairs) = (tables.plan, Vec::new(), Vec::new());
        for condition in conditions {
            if let Ok(expr) = self.convert(condition, &own) {
                plan = filtered(plan, expr);
                continue;
            }
            let pair = |(ours, theirs)| Some((self.convert(ours, &around).ok()?, self.convert(theirs, &own).ok()?));
            let pair = match condition {
                ast::Expr::BinaryOp { left, op: ast::BinaryOperator::Eq, right } => {
                    [(&**left, &**right), (right, left)].into_iter().find_map(pair)
                }
                _ => None,
            };
            if let Some(pair) = pair {
                keys.push(pair);
                continue;
            }
            // A condition of the rows around it alone decides whether these have any of its own.
            match self.convert(condition, &around) {
                Ok(of_outer) => keys.push((of_outer, lit(true))),
                Err(_) if self.convert(condition, &around.0).is_ok() => of_pairs.push(condition),
                Err(_) => return Ok(None),
            }
        }
        if of_pairs.is_empty() {
            let scope = tables.scope;
            return Ok((!keys.is_empty()).then_some(Correlated { select, plan, scope, keys, of_pairs: None }));
        }
        // In a pair of rows every column has a name of its own.
        let beginning = inner_beginning(outer);
        let inner_name = |name: &str| format!("{beginning}{name}");
        let names: Vec<Arc<str>> =
            plan.schema()?.fields().iter().map(|field| Arc::from(field.name().as_str())).collect();
        let inner = |name: &Arc<str>| (Arc::clone(name), Arc::from(inner_name(name)));
        let renamed: Vec<(Arc<str>, Arc<str>)> = names.iter().map(inner).collect();
        let columns = names.iter().map(|name| col(&**name).alias(inner_name(name))).collect();
        let Tables { plan, scope } = Tables { plan, scope: tables.scope }.renamed(columns, &renamed);
        let renamed = |expr: &Expr| {
            expr.replace(&mut |part| match part {
                Expr::Column(name) => Ok(Some(col(inner_name(name)))),
                _ => Ok(None),
            })
        };
        let keys = keys.into_iter().map(|(ours, theirs)| Ok((ours, renamed(&theirs)?))).collect::<Result<_>>()?;
        let span = of_pairs[0].span();
        let both = Both { own: &scope, around: outer };
        let of_pairs = of_pairs.into_iter().map(|condition| self.convert(condition, &both));
        let of_pairs = of_pairs.collect::<Result<Vec<_>>>()?.into_iter().reduce(Expr::and);
        Ok(Some(Correlated { select, plan, scope, keys, of_pairs: of_pairs.map(|condition| (condition, span)) }))
    }

    /// Refuses conditions that are no equations, where more matters than whether there are rows.
    pub(super) fn refuse_conditions_of_pairs(&self, correlated: &Correlated<'_>) -> Result<()> {
        match &correlated.of_pairs {
            None => Ok(()),
            Some((_, span)) => {
                let what = "a condition on columns of the query around it that is no equation, in this place,";
                Err(self.unsupported(what, *span).hint(OF_PAIRS))
            }
        }
    }

    /// The rows of `plan` for which the query has rows, or has none.
    pub(super) fn with_rows_in(
        &self,
        plan: Arc<LogicalPlan>,
        correlated: Correlated<'_>,
        negated: bool,
    ) -> Arc<LogicalPlan> {
        let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
        correlated.joined(plan, kind)
    }

    /// The aggregate that is all of its select list, of the rows with the keys of a row.
    pub(super) fn value_by_key(
        &self,
        correlated: Correlated<'_>,
        query: &ast::Query,
        number: usize,
    ) -> Result<(Inner, Expr)> {
        self.refuse_conditions_of_pairs(&correlated)?;
        let Correlated { select, plan, scope, keys, .. } = correlated;
        let expr = self.only_expressions(select, query, &scope, 1)?.swap_remove(0);
        let calls: Vec<_> = expr.aggregates().into_iter().cloned().collect();
        if calls.is_empty() {
            return Err(self
                .unsupported("a query that may have several rows, in the place of a value,", query.span())
                .hint("take an aggregate, such as max(x)"));
        }
        let of = name(number);
        let aggregate_name = |at: usize| format!("{of}: aggregate {at}");
        let named = keys.iter().enumerate().map(|(at, (_, theirs))| theirs.clone().alias(key_name(at, &of)));
        let aggregates =
            calls.iter().enumerate().map(|(at, call)| Expr::Aggregate(call.clone()).alias(aggregate_name(at)));
        let groups = Grouped {
            scope: &scope,
            by: Keys::of(keys.iter().map(|(_, theirs)| theirs.clone()).collect()),
            groupings: Vec::new(),
            columns: named.chain(aggregates).collect(),
            having: None,
            windows: Windows::default(),
            qualify: None,
            sort: Vec::new(),
            inner: Vec::new(),
        };
        let table = self.placed(groups.plan(plan, |plan| plan), query.span())?;
        let on = keys.into_iter().enumerate().map(|(at, (ours, _))| (ours, col(key_name(at, &of)))).collect();
        let value = expr.replace(&mut |part| match part {
            Expr::Aggregate(call) => {
                let at = calls.iter().position(|known| known == call);
                let value = col(aggregate_name(at.ok_or_else(|| Error::internal("an unknown aggregate"))?));
                // Of no rows, a count is 0.
                let counts = ["count", "count_if", "n_unique", "approx_n_unique", "regr_count"];
                let is_count = counts.contains(&call.aggregate.name());
                Ok(Some(if is_count { coalesce([value, lit(0)]) } else { value }))
            }
            Expr::Column(_) => Err(Error::new(ErrorKind::Name, "a column beside an aggregate, and no group")),
            _ => Ok(None),
        });
        let value = self.placed(value, query.span())?;
        Ok((by_key((0..calls.len()).map(aggregate_name).collect(), table, on), value))
    }

    /// The rows of `plan` whose value is among those of the query that have the row's keys.
    pub(super) fn among_by_key(
        &self,
        plan: Arc<LogicalPlan>,
        values: Vec<Expr>,
        correlated: Correlated<'_>,
        query: &ast::Query,
        negated: bool,
    ) -> Result<Arc<LogicalPlan>> {
        if negated {
            let error =
                self.unsupported("`not in` with a query that uses columns of the query around it", query.span());
            return Err(error.hint(
                "`not exists (select … where … = …)` asks for rows without a match, those with a missing value among them",
            ));
        }
        let members = self.only_expressions(correlated.select, query, &correlated.scope, values.len())?;
        if members.iter().any(Expr::contains_aggregate) {
            let error =
                self.unsupported("an aggregate in a query that uses columns of the query around it", query.span());
            return Err(error.hint("compare with its value: x = (select max(u.x) from u where u.k = t.k)"));
        }
        let mut correlated = correlated;
        correlated.keys.extend(values.into_iter().zip(members));
        Ok(correlated.joined(plan, JoinKind::Semi))
    }

    /// Whether it has one row, whatever its tables hold; of a query around which there is `outer`.
    pub(super) fn has_aggregate(&self, correlated: &Correlated<'_>, outer: &Scope) -> bool {
        let expr = |item: &ast::SelectItem| match item {
            ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
                self.convert(expr, &Both { own: &correlated.scope, around: outer }).ok()
            }
            _ => None,
        };
        correlated.select.projection.iter().filter_map(expr).any(|expr| expr.contains_aggregate())
    }

    /// The expressions of a select list, which are `wanted`.
    fn only_expressions(
        &self,
        select: &ast::Select,
        query: &ast::Query,
        scope: &Scope,
        wanted: usize,
    ) -> Result<Vec<Expr>> {
        let expr = |item: &ast::SelectItem| match item {
            ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
                self.convert(expr, &Plain(scope)).map(Some)
            }
            _ => Ok(None),
        };
        let exprs = select.projection.iter().map(expr).collect::<Result<Option<Vec<_>>>>()?;
        exprs.filter(|exprs| exprs.len() == wanted).map_or_else(
            || {
                let message = match wanted {
                    1 => "the query has several columns, and one is needed here".to_owned(),
                    wanted => format!("the query has not the {wanted} columns that are needed here"),
                };
                self.placed(Err(Error::new(ErrorKind::Type, message)), query.span())
            },
            Ok,
        )
    }
}
