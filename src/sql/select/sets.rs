//! `group by`, with `grouping sets`, `rollup` and `cube`: several groupings of the same rows.
//!
//! Each set of keys is a grouping of its own, and the results stand one behind the other, in the order in which the sets are
//! written. All of them read the same rows, so they are found in one pass.

use super::combine::behind_each_other;
use super::query::Lowering;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, Literal, col, lit};
use crate::plan::LogicalPlan;
use crate::sql::convert::Names;
use sqlparser::ast::{self, Spanned};
use std::sync::Arc;

/// Sets of a query, at most: each has its own groups while rows are read.
const MOST_SETS: usize = 128;

/// What rows are grouped by.
pub(super) struct Keys {
    pub(super) keys: Vec<Expr>,
    /// The keys of each grouping, by number; one of all keys unless said otherwise.
    pub(super) sets: Vec<Vec<usize>>,
    /// There is a `group by` with something behind it.
    pub(super) are_given: bool,
    /// Sets were written, and not just keys.
    pub(super) has_sets: bool,
}

impl Keys {
    /// One grouping by all of these.
    pub(super) fn of(keys: Vec<Expr>) -> Self {
        let (sets, are_given) = (vec![(0..keys.len()).collect()], !keys.is_empty());
        Keys { keys, sets, are_given, has_sets: false }
    }

    /// The keys that each of some `grouping(…)` is about.
    ///
    /// # Errors
    /// `Name` for an argument that is no key, and its place in the list.
    pub(super) fn numbers(&self, args: &[Expr]) -> Result<Vec<usize>> {
        let number = |arg: &Expr| {
            let key = self.keys.iter().position(|key| key == arg);
            key.ok_or_else(|| {
                Error::new(ErrorKind::Name, format!("`{arg}` is no key of `group by`"))
                    .hint("`grouping` tells which keys a row is not grouped by")
            })
        };
        if args.is_empty() {
            return Err(Error::new(ErrorKind::Syntax, "`grouping` takes keys of `group by`"));
        }
        args.iter().map(number).collect()
    }

    fn number(&mut self, key: Expr) -> usize {
        self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        })
    }
}

impl Lowering<'_> {
    /// `is_key` says which columns are keys behind `group by all`.
    pub(super) fn group_keys(
        &self,
        clause: &ast::GroupByExpr,
        columns: &[Expr],
        names: &dyn Names,
        is_key: impl Fn(&Expr) -> bool,
    ) -> Result<Keys> {
        let (exprs, modifiers) = match clause {
            ast::GroupByExpr::All(modifiers) => (&[][..], modifiers),
            ast::GroupByExpr::Expressions(exprs, modifiers) => (exprs.as_slice(), modifiers),
        };
        if !modifiers.is_empty() {
            return Err(self
                .unsupported("`with` behind `group by`", clause.span())
                .hint("write `group by rollup (a, b)`"));
        }
        if let ast::GroupByExpr::All(_) = clause {
            let keys = columns.iter().filter(|column| is_key(column));
            return Ok(Keys::of(keys.map(|key| key.unaliased().clone()).collect()));
        }
        let mut found = Keys { sets: vec![Vec::new()], are_given: !exprs.is_empty(), ..Keys::of(Vec::new()) };
        for expr in exprs {
            let sets = match expr {
                ast::Expr::GroupingSets(sets) => self.parts(sets, columns, names, &mut found)?,
                ast::Expr::Rollup(parts) => {
                    let parts = self.parts(parts, columns, names, &mut found)?;
                    (0..=parts.len()).rev().map(|length| parts[..length].concat()).collect()
                }
                ast::Expr::Cube(parts) if parts.len() > MOST_SETS.ilog2() as usize => {
                    return Err(self.too_many_sets(expr));
                }
                ast::Expr::Cube(parts) => {
                    let parts = self.parts(parts, columns, names, &mut found)?;
                    let has = |set: usize, at: usize| set >> (parts.len() - 1 - at) & 1 == 1;
                    let chosen = |set: usize| (0..parts.len()).filter(move |&at| has(set, at));
                    let sets = (0..1 << parts.len()).rev();
                    sets.map(|set| chosen(set).flat_map(|at| parts[at].iter().copied()).collect()).collect()
                }
                ast::Expr::Tuple(none) if none.is_empty() => {
                    found.has_sets = true;
                    continue;
                }
                single => {
                    let key = self.by_position_or_name(single, columns, names)?;
                    let key = found.number(key);
                    found.sets.iter_mut().for_each(|set| set.push(key));
                    continue;
                }
            };
            found.has_sets = true;
            let sets: Vec<Vec<usize>> = sets;
            if found.sets.len().saturating_mul(sets.len()) > MOST_SETS {
                return Err(self.too_many_sets(expr));
            }
            let with = |known: &Vec<usize>| sets.iter().map(|set| [&known[..], set].concat()).collect::<Vec<_>>();
            found.sets = found.sets.iter().flat_map(with).collect();
        }
        for set in &mut found.sets {
            let mut seen = Vec::with_capacity(set.len());
            set.retain(|key| {
                !seen.contains(key) && {
                    seen.push(*key);
                    true
                }
            });
        }
        Ok(found)
    }

    /// Keys in parentheses, by number.
    fn parts(
        &self,
        parts: &[Vec<ast::Expr>],
        columns: &[Expr],
        names: &dyn Names,
        found: &mut Keys,
    ) -> Result<Vec<Vec<usize>>> {
        let mut number = |expr: &ast::Expr| Ok(found.number(self.by_position_or_name(expr, columns, names)?));
        parts.iter().map(|part| part.iter().map(&mut number).collect()).collect()
    }

    fn too_many_sets(&self, expr: &ast::Expr) -> Error {
        let error = Error::new(ErrorKind::Limit, format!("a query groups by {MOST_SETS} sets of keys at most"));
        match self.placed::<()>(Err(error), expr.span()) {
            Err(error) => error,
            Ok(()) => Error::internal("an error that is none"),
        }
    }
}

/// The groups of each set, which have all keys, null where the set has them not; behind them the aggregates, and then, for each of
/// `groupings`, which of these keys the set has not, as the bits of a number, the first key's the highest.
pub(super) fn groups_of_sets(
    input: &Arc<LogicalPlan>,
    keys: &[Expr],
    aggregates: &[(AggregateCall, String)],
    sets: &[Vec<usize>],
    groupings: &[(Vec<usize>, String)],
) -> Result<Arc<LogicalPlan>> {
    let groups = |set: &Vec<usize>| {
        let has = |key: &usize| set.contains(key);
        let of_key = |(at, key): (usize, &Expr)| match has(&at) {
            true => col(key.output_name()),
            false => Expr::Literal(Literal::Null).alias(key.output_name()),
        };
        let mut columns: Vec<Expr> = keys.iter().enumerate().map(of_key).collect();
        columns.extend(aggregates.iter().map(|(_, name)| col(name.as_str())));
        columns.extend(groupings.iter().map(|(keys, name)| {
            let bits = keys.iter().fold(0, |bits, key| bits << 1 | i64::from(!has(key)));
            lit(bits).alias(name.as_str())
        }));
        let keys = set.iter().map(|&key| keys[key].clone()).collect();
        let (input, aggregates) = (Arc::clone(input), aggregates.to_vec());
        let groups = LogicalPlan::Aggregate { input, keys, aggregates };
        Arc::new(LogicalPlan::Project { input: Arc::new(groups), columns })
    };
    behind_each_other(&sets.iter().map(groups).collect::<Vec<_>>())
}
