//! `from`: the tables of a query block, joined.

use super::query::Lowering;
use super::sample;
use super::scope::{Column, Scope, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::elsewhere::written_here;
use crate::expr::{BinaryOp, Expr, Literal, coalesce, col, lit};
use crate::frame::visible_names;
use crate::plan::{Join, JoinKind, LogicalPlan};
use crate::source::constants::visible_schema;
use crate::source::memory::MemorySource;
use crate::sql::convert::Names;
use arrow::array::{ArrayRef, NullArray, RecordBatch};
use sqlparser::ast::{self, JoinConstraint, JoinOperator, Spanned, TableFactor};
use sqlparser::tokenizer::Span;
use std::collections::HashSet;
use std::sync::Arc;

/// What a query in `from` is called without a name of its own, and the columns that `using` made of two.
const UNNAMED: &str = "query";

/// A table, or several that have been joined.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) plan: Arc<LogicalPlan>,
    pub(super) scope: Scope,
}

/// What rows of two tables fulfil that belong together.
#[derive(Default)]
struct Condition {
    keys: Vec<(Expr, Expr)>,
    of_left: Vec<Expr>,
    of_right: Vec<Expr>,
    /// Conditions on both that are no equations.
    of_both: Vec<Expr>,
}

/// The names of a scope, in a place where no query may stand.
pub(super) struct Plain<'a>(pub(super) &'a Scope);

impl Names for Plain<'_> {
    fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        self.0.column(parts)
    }

    fn value_of(&self, _query: &ast::Query) -> Result<Expr> {
        Err(Error::new(ErrorKind::Unsupported, "a query in the condition of a join is not supported")
            .hint("it may stand behind `where`, or be joined as a table of its own"))
    }
}

impl Lowering<'_> {
    /// The tables of `from`. Of the conditions behind `where`, those that say what tables separated by commas have in common
    /// become keys of joins; the others come back.
    pub(super) fn from<'a>(
        &self,
        from: &[ast::TableWithJoins],
        mut conditions: Vec<&'a ast::Expr>,
    ) -> Result<(Tables, Vec<&'a ast::Expr>)> {
        let Some((first, others)) = from.split_first() else { return Ok((one_row()?, conditions)) };
        let mut tables = self.joined(first)?;
        let mut taken = Vec::new();
        for other in others {
            let (left, right) = (tables, self.joined(other)?);
            self.refuse_same_name(&left, &right, other.relation.span())?;
            let (right, both) = right.apart_from(&left)?;
            let mut condition = Condition::default();
            conditions.retain(|candidate| {
                let before = condition.keys.len();
                if let Ok(expr) = self.convert(candidate, &Plain(&both)) {
                    condition.take_keys(&expr, &left, &right);
                }
                let is_taken = condition.keys.len() > before;
                taken.extend(is_taken.then_some(*candidate));
                !is_taken
            });
            let kind = if condition.keys.is_empty() { JoinKind::Cross } else { JoinKind::Inner };
            tables = Tables { plan: joined(left.plan, right.plan, condition, kind), scope: both };
        }
        // A name that was clear among the first tables may not be among all.
        taken.into_iter().try_for_each(|condition| self.convert(condition, &Plain(&tables.scope)).map(|_| ()))?;
        Ok((tables, conditions))
    }

    fn joined(&self, tables: &ast::TableWithJoins) -> Result<Tables> {
        let mut joined = self.table(&tables.relation)?;
        for join in &tables.joins {
            joined = self.join(joined, join)?;
        }
        Ok(joined)
    }

    /// Two tables that are joined have different names.
    fn refuse_same_name(&self, left: &Tables, right: &Tables, span: Span) -> Result<()> {
        let twice =
            right.scope.tables.iter().find(|table| *table.name != *UNNAMED && left.scope.has_table(&table.name));
        match twice {
            None => Ok(()),
            Some(table) => {
                let error = Error::new(ErrorKind::Name, format!("a second table is called `{}`", table.name));
                self.placed(Err(error.hint(format!("give it another name: `as {}2`", table.name))), span)
            }
        }
    }

    fn table(&self, factor: &TableFactor) -> Result<Tables> {
        if let Some((whole, sample)) = sample::apart(factor) {
            return self.sampled(self.table(&whole)?, sample, factor.span());
        }
        let (plan, name, alias) = match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } => {
                let (plan, own_name) = self.placed(self.named(name), name.span())?;
                (plan, own_name, alias)
            }
            TableFactor::Table { name, alias, args: Some(args), sample: None, version: None, .. } => {
                let (frame, own_name) = self.read_by(name, args)?;
                (Arc::clone(frame.plan()?), own_name, alias)
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                (self.query(subquery)?, UNNAMED.to_owned(), alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.joined(table_with_joins),
            TableFactor::Derived { lateral: true, .. } => {
                let error = self.unsupported("`lateral`", factor.span());
                return Err(error.hint("queries in expressions may use columns of the query around them, in equations"));
            }
            TableFactor::UNNEST { .. } => return Err(self.no_such_rows("unnest", factor.span())),
            TableFactor::Pivot { .. } => return Err(self.no_such_rows("pivot", factor.span())),
            TableFactor::Unpivot { .. } => return Err(self.no_such_rows("unpivot", factor.span())),
            other => {
                let error = self.unsupported("this kind of table", other.span());
                return Err(error.hint("tables are files in single quotes, names, and queries in parentheses"));
            }
        };
        let Some(alias) = alias else {
            let scope = Scope::of(Table::of(name, &*plan.schema()?));
            return Ok(Tables { plan, scope });
        };
        let mut table = Table::of(alias.name.value.as_str(), &*plan.schema()?);
        let visible = table.columns.iter_mut().filter(|column| !column.is_hidden);
        let (count, named) = (visible.size_hint().1.unwrap_or(0), alias.columns.len());
        for (column, given) in visible.zip(&alias.columns) {
            column.name = Arc::from(given.name.value.as_str());
        }
        if named > count {
            let message = format!("`{}` has fewer columns than names", alias.name.value);
            return self.placed(Err(Error::new(ErrorKind::Name, message)), alias.name.span);
        }
        Ok(Tables { plan, scope: Scope::of(table) })
    }

    /// The error for a table of rows that are made and not read.
    fn no_such_rows(&self, what: &str, span: Span) -> Error {
        let error = self.unsupported(&format!("`{what}`"), self.span_of(what, span));
        error.hint(written_here(what).unwrap_or("lists are shown and written as they are"))
    }

    fn join(&self, left: Tables, join: &ast::Join) -> Result<Tables> {
        use JoinOperator as Op;
        let (kind, constraint) = match &join.join_operator {
            Op::Join(on) | Op::Inner(on) => (JoinKind::Inner, on),
            Op::Left(on) | Op::LeftOuter(on) => (JoinKind::Left, on),
            Op::Right(on) | Op::RightOuter(on) => (JoinKind::Right, on),
            Op::FullOuter(on) => (JoinKind::Full, on),
            Op::Semi(on) | Op::LeftSemi(on) => (JoinKind::Semi, on),
            Op::Anti(on) | Op::LeftAnti(on) => (JoinKind::Anti, on),
            Op::CrossJoin(on) => (JoinKind::Cross, on),
            _ => {
                let error = self.unsupported("this kind of join", join.relation.span());
                return Err(error.hint("there are join, left, right, full, semi, anti, cross and natural join"));
            }
        };
        let right = self.table(&join.relation)?;
        let shared = match constraint {
            JoinConstraint::Using(names) => {
                let name = |name: &ast::ObjectName| match name.0.as_slice() {
                    [ast::ObjectNamePart::Identifier(ident)] => Ok(ident.clone()),
                    _ => Err(self
                        .unsupported("a name of several parts behind `using`", name.span())
                        .hint("names of columns stand there without their tables")),
                };
                names.iter().map(name).collect::<Result<Vec<_>>>()?
            }
            JoinConstraint::Natural => left.common_names(&right)?,
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        let column = |scope: &Scope, name: &ast::Ident| {
            let found = scope.column(std::slice::from_ref(name));
            match self.placed(found, if name.span == Span::empty() { join.relation.span() } else { name.span })? {
                Expr::Column(column) => Ok(column),
                _ => Err(Error::internal("a name that is no column")),
            }
        };
        self.refuse_same_name(&left, &right, join.relation.span())?;
        let ours = shared.iter().map(|name| column(&left.scope, name)).collect::<Result<Vec<_>>>()?;
        let (right, both) = right.apart_from(&left)?;
        let theirs = shared.iter().map(|name| column(&right.scope, name)).collect::<Result<Vec<_>>>()?;
        let pairs: Vec<(Arc<str>, Arc<str>)> = ours.into_iter().zip(theirs).collect();
        let mut condition = Condition {
            keys: pairs.iter().map(|(ours, theirs)| (col(&**ours), col(&**theirs))).collect(),
            ..Condition::default()
        };
        if let JoinConstraint::On(on) = constraint {
            for part in conjuncts(on) {
                condition.take(self.convert(part, &Plain(&both))?, &left, &right);
            }
        } else if shared.is_empty() && kind != JoinKind::Cross {
            if matches!(constraint, JoinConstraint::None) {
                let error = Error::new(ErrorKind::Syntax, "a join says what must be equal");
                let error = error.hint("write `on a = b` or `using (a)`; `cross join` takes every pair of rows");
                return self.placed(Err(error), join.relation.span());
            }
            let error = self.unsupported("a natural join of tables without a common column", join.relation.span());
            return Err(error.hint("write `on a = b`; `cross join` takes every pair of rows"));
        }
        let (kind, scope) = match kind {
            JoinKind::Inner if condition.keys.is_empty() => (JoinKind::Cross, both),
            JoinKind::Semi | JoinKind::Anti => (kind, left.scope.clone()),
            kind => (kind, both),
        };
        let mut plan = joined(left.plan, right.plan, condition, kind);
        self.placed(plan.schema(), join.relation.span())?;
        let mut scope = scope;
        if kind.shows_right() && !pairs.is_empty() {
            plan = merge(plan, &mut scope, &pairs, kind)?;
        }
        Ok(Tables { plan, scope })
    }
}

impl Tables {
    /// The table without virtual columns, which a right side of a join does not have.
    fn beside(self) -> Result<Self> {
        let visible = visible_schema(&self.plan.schema()?);
        let mut scope = self.scope;
        let stays = |column: &Column| visible.index_of(&column.planned).is_ok();
        scope.tables.iter_mut().for_each(|table| table.columns.retain(stays));
        Ok(Tables { plan: self.plan, scope })
    }

    /// The table as the right one beside `left`: columns whose names `left` has get others, and virtual ones are left behind.
    /// And the scope of both.
    fn apart_from(self, left: &Tables) -> Result<(Tables, Scope)> {
        let right = self.beside()?;
        let schema = visible_schema(&right.plan.schema()?);
        let mut taken: HashSet<String> =
            left.plan.schema()?.fields().iter().map(|field| field.name().clone()).collect();
        let mut renamed: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let name = field.name().as_str();
            let mut new = name.to_owned();
            let mut number = 1;
            while taken.contains(&new) || (number > 1 && schema.index_of(&new).is_ok()) {
                new = if number == 1 { format!("{name}_right") } else { format!("{name}_right_{number}") };
                number += 1;
            }
            taken.insert(new.clone());
            if new == name {
                columns.push(col(name));
            } else {
                columns.push(col(name).alias(new.as_str()));
                renamed.push((Arc::from(name), Arc::from(new)));
            }
        }
        let right = if renamed.is_empty() { right } else { right.renamed(columns, &renamed) };
        let mut both = left.scope.clone();
        both.tables.extend(right.scope.tables.iter().cloned());
        Ok((right, both))
    }

    pub(super) fn renamed(self, columns: Vec<Expr>, renamed: &[(Arc<str>, Arc<str>)]) -> Tables {
        let mut scope = self.scope;
        for column in scope.tables.iter_mut().flat_map(|table| &mut table.columns) {
            if let Some((_, new)) = renamed.iter().find(|(old, _)| *old == column.planned) {
                column.planned = Arc::clone(new);
            }
        }
        Tables { plan: Arc::new(LogicalPlan::Project { input: self.plan, columns }), scope }
    }

    /// Names that columns of both have.
    fn common_names(&self, right: &Tables) -> Result<Vec<ast::Ident>> {
        let ours = self.scope.all(None)?;
        let theirs: HashSet<Arc<str>> = right.scope.all(None)?.into_iter().map(|(_, name)| name).collect();
        let common = ours.into_iter().filter(|(_, name)| theirs.contains(name));
        Ok(common.map(|(_, name)| ast::Ident::with_quote('"', name.to_string())).collect())
    }

    fn has_all(&self, expr: &Expr) -> bool {
        let has = |name: &Arc<str>| {
            self.scope.tables.iter().flat_map(|table| &table.columns).any(|column| column.planned == *name)
        };
        let columns = expr.columns();
        !columns.is_empty() && columns.iter().all(has)
    }
}

impl Condition {
    /// Takes an equation between the two tables.
    fn take_keys(&mut self, expr: &Expr, left: &Tables, right: &Tables) -> bool {
        if let Expr::Binary { left: first, op: BinaryOp::Eq, right: second } = expr {
            for (ours, theirs) in [(first, second), (second, first)] {
                if left.has_all(ours) && right.has_all(theirs) {
                    self.keys.push(((**ours).clone(), (**theirs).clone()));
                    return true;
                }
            }
        }
        false
    }

    fn take(&mut self, expr: Expr, left: &Tables, right: &Tables) {
        if self.take_keys(&expr, left, right) {
            return;
        }
        match (left.has_all(&expr), right.has_all(&expr)) {
            (true, false) => self.of_left.push(expr),
            (false, true) => self.of_right.push(expr),
            _ if expr == Expr::Literal(Literal::Boolean(true)) => {}
            _ => self.of_both.push(expr),
        }
    }
}

/// The join of two tables whose columns have different names, but for keys that become one.
fn joined(left: Arc<LogicalPlan>, right: Arc<LogicalPlan>, condition: Condition, kind: JoinKind) -> Arc<LogicalPlan> {
    use JoinKind::{Anti, Cross, Inner, Left, Right, Semi};
    let (mut left, mut right, mut keys) = (left, right, condition.keys);
    for expr in condition.of_left {
        match kind {
            Inner | Semi | Right | Cross => left = filtered(left, expr),
            _ => keys.push((expr, lit(true))),
        }
    }
    for expr in condition.of_right {
        match kind {
            Inner | Semi | Left | Anti | Cross => right = filtered(right, expr),
            _ => keys.push((lit(true), expr)),
        }
    }
    let of_pairs = condition.of_both.into_iter().reduce(Expr::and);
    let shows_pairs = matches!(kind, Inner | Cross);
    if keys.is_empty() && kind != Cross && (shows_pairs || of_pairs.is_none()) {
        // Every pair of rows belongs together.
        keys.push((lit(true), lit(true)));
    }
    let join = Join::new(left, right, keys, kind);
    match of_pairs {
        None => Arc::new(LogicalPlan::Join(join)),
        Some(condition) if shows_pairs => filtered(Arc::new(LogicalPlan::Join(join)), condition),
        Some(condition) => Arc::new(LogicalPlan::Join(join.of_pairs_with(condition))),
    }
}

/// Makes one column of the two keys of each pair, for whoever names no table: the one that is never missing.
fn merge(
    plan: Arc<LogicalPlan>,
    scope: &mut Scope,
    pairs: &[(Arc<str>, Arc<str>)],
    kind: JoinKind,
) -> Result<Arc<LogicalPlan>> {
    let mut columns = visible_names(&plan.schema()?);
    let mut merged = Table { name: Arc::from(UNNAMED), columns: Vec::new() };
    let known = columns.len();
    for (ours, theirs) in pairs {
        let stays = |column: &&mut Column| column.planned == *ours || column.planned == *theirs;
        let name = scope.own_name(ours);
        let tables = scope.tables.iter_mut().flat_map(|table| &mut table.columns);
        let is_left = |column: &Column| column.planned == *ours && kind != JoinKind::Right && kind != JoinKind::Full;
        tables.filter(stays).for_each(|column| column.is_merged |= !is_left(column));
        if !matches!(kind, JoinKind::Right | JoinKind::Full) {
            continue;
        }
        let planned: Arc<str> = match kind {
            JoinKind::Right => Arc::clone(theirs),
            _ => Arc::from(format!("{name} of both tables, {}", columns.len())),
        };
        if kind == JoinKind::Full {
            columns.push(coalesce([col(&**ours), col(&**theirs)]).alias(&*planned));
        }
        merged.columns.push(Column { name, planned, is_hidden: false, is_merged: false });
    }
    if !merged.columns.is_empty() {
        scope.tables.insert(0, merged);
    }
    if columns.len() == known {
        return Ok(plan);
    }
    Ok(Arc::new(LogicalPlan::Project { input: plan, columns }))
}

pub(super) fn filtered(input: Arc<LogicalPlan>, predicate: Expr) -> Arc<LogicalPlan> {
    Arc::new(LogicalPlan::Filter { input, predicate })
}

/// Conditions that all must hold.
pub(super) fn conjuncts(expr: &ast::Expr) -> Vec<&ast::Expr> {
    let (mut found, mut open) = (Vec::new(), vec![expr]);
    while let Some(next) = open.pop() {
        match next {
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => open.extend([&**right, &**left]),
            ast::Expr::Nested(inner) => open.push(inner),
            other => found.push(other),
        }
    }
    found
}

/// The query of `exists (…)`, and whether it must have no rows: `not exists (…)`, `not (exists (…))`.
pub(super) fn existence(condition: &ast::Expr) -> Option<(&ast::Query, bool)> {
    match condition {
        ast::Expr::Exists { subquery, negated } => Some((subquery, *negated)),
        ast::Expr::Nested(inner) => existence(inner),
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Not, expr } => {
            existence(expr).map(|(query, negated)| (query, !negated))
        }
        _ => None,
    }
}

/// What a query without `from` is about.
fn one_row() -> Result<Tables> {
    let nothing: ArrayRef = Arc::new(NullArray::new(1));
    let batch = RecordBatch::try_from_iter([("nothing", nothing)])?;
    let source = MemorySource::new(batch.schema(), vec![batch]);
    Ok(Tables { plan: Arc::new(LogicalPlan::Scan(Arc::new(source))), scope: Scope::default() })
}
