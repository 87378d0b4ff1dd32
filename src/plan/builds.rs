//! The right sides of joins: what must be read before a question can be.
//!
//! Questions that join the same table share one reading of it, whatever columns each uses; and a right side may itself
//! contain joins, whose right sides come before it. A question is read as soon as the joins of its first stage have their
//! right sides; those of later stages may come out of the same pass.

use super::join::{Built, JoinColumn, SUFFIX};
use super::need::Need;
use super::{BatchFunction, Join, LogicalPlan, SortKey};
use crate::error::{Error, Result};
use crate::expr::{AggregateCall, Expr, col, lit};
use arrow::datatypes::Field;
use std::sync::Arc;

/// Questions and, before them, the right sides of their joins, each of which is a question of its own.
#[derive(Clone, Debug, Default)]
pub struct Builds {
    /// The right sides, those of nested joins before the ones that they stand in.
    pub builds: Vec<BuildPlan>,
    /// For each question, what the joins of its plan use, from the source upwards.
    pub uses: Vec<Vec<BuildUse>>,
}

/// A right side.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// The plan of the table as it was joined.
    table: Arc<LogicalPlan>,
    columns: Vec<String>,
    /// Keys that are more than a column.
    computed: Vec<Expr>,
    /// What the joins inside of it use.
    pub uses: Vec<BuildUse>,
}

/// Which right side a join uses, and which of its keys.
#[derive(Clone, Debug)]
pub struct BuildUse {
    /// Its number.
    pub build: usize,
    keys: Vec<Expr>,
}

impl BuildUse {
    /// Whether no two rows of a right side can have the same keys: it is grouped by some of them.
    pub(super) fn has_each_key_once(&self, table: &LogicalPlan) -> bool {
        let name = |key: &Expr| match key {
            Expr::Column(name) => Some(name.to_string()),
            _ => None,
        };
        groups_by(table, &self.keys.iter().filter_map(name).collect::<Vec<_>>())
    }
}

/// Whether each combination of these columns stands in one row at most.
fn groups_by(plan: &LogicalPlan, names: &[String]) -> bool {
    match plan {
        LogicalPlan::Aggregate { keys, .. } => {
            keys.iter().all(|key| names.iter().any(|name| *name == *key.output_name()))
        }
        LogicalPlan::Filter { input, .. } | LogicalPlan::Sort { input, .. } | LogicalPlan::Limit { input, .. } => {
            groups_by(input, names)
        }
        LogicalPlan::Project { input, columns } => {
            let of_input = |column: &Expr| match column.unaliased() {
                Expr::Column(name) if names.iter().any(|wanted| *wanted == *column.output_name()) => {
                    Some(name.to_string())
                }
                _ => None,
            };
            groups_by(input, &columns.iter().filter_map(of_input).collect::<Vec<_>>())
        }
        _ => false,
    }
}

impl Builds {
    /// What the joins of these plans need.
    ///
    /// # Errors
    /// The `Name` and `Type` errors of the plans.
    pub fn of(plans: &[LogicalPlan]) -> Result<Self> {
        let mut found = Builds::default();
        for plan in plans {
            let uses = found.add(plan)?;
            found.uses.push(uses);
        }
        Ok(found)
    }

    fn add(&mut self, plan: &LogicalPlan) -> Result<Vec<BuildUse>> {
        let mut uses = Vec::new();
        for (join, need) in Need::of_joins(plan)? {
            let mut columns: Vec<String> = need_of_right(join, &need)?;
            let keys: Vec<Expr> = join.on.iter().map(|(_, theirs)| theirs.unaliased().clone()).collect();
            let right = join.right_schema()?;
            // A virtual column is no column of the table.
            let is_plain = |key: &Expr| matches!(key, Expr::Column(name) if right.index_of(name).is_ok());
            let (plain, computed): (Vec<Expr>, Vec<Expr>) = keys.iter().cloned().partition(is_plain);
            columns.extend(plain.iter().map(|key| key.output_name().to_string()));
            let build = match self.builds.iter().position(|known| same(&known.table, &join.right)) {
                Some(known) => known,
                None => {
                    let uses = self.add(&join.right)?;
                    let (table, columns, computed) = (Arc::clone(&join.right), Vec::new(), Vec::new());
                    self.builds.push(BuildPlan { table, columns, computed, uses });
                    self.builds.len() - 1
                }
            };
            let known = &mut self.builds[build];
            columns.into_iter().for_each(|name| insert(&mut known.columns, name));
            computed.into_iter().for_each(|key| insert(&mut known.computed, key));
            uses.push(BuildUse { build, keys });
        }
        Ok(uses)
    }
}

fn insert<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The columns of the right table that are used above the join, and in its condition.
fn need_of_right(join: &Join, need: &Need) -> Result<Vec<String>> {
    use JoinColumn::{Either, Left, Right};
    let (left, right) = (join.left.schema()?, join.right_schema()?);
    let (columns, of_residual) = (join.columns(&left)?, join.columns_of_residual(&left)?);
    let used = || columns.iter().filter(|(field, _)| need.has(field)).chain(&of_residual);
    // Where several names are taken, they are numbered by what the right table has, so it keeps all of it.
    let is_numbered = |(field, column): &(Field, JoinColumn)| match *column {
        Right(at) => {
            let own = right.field(at).name();
            field.name().strip_prefix(own.as_str()).is_none_or(|rest| !rest.is_empty() && rest != SUFFIX)
        }
        Left(_) | Either(..) => false,
    };
    if used().any(is_numbered) {
        return Ok(right.fields().iter().map(|field| field.name().clone()).collect());
    }
    let names = used().filter_map(|(_, column)| match column {
        Left(_) => None,
        Right(at) | Either(_, at) => Some(right.field(*at).name().clone()),
    });
    Ok(names.collect())
}

impl BuildPlan {
    /// The question whose answer are the rows of the right side: the columns used, in the order of the table, then keys
    /// that are computed.
    ///
    /// # Errors
    /// The `Name` and `Type` errors of the table.
    pub fn plan(&self) -> Result<LogicalPlan> {
        let schema = self.table.schema()?;
        let names = schema.fields().iter().map(|field| field.name());
        let mut columns: Vec<Expr> =
            names.filter(|name| self.columns.contains(name)).map(|name| col(name.as_str())).collect();
        columns.extend(self.computed.iter().enumerate().map(|(at, key)| key.clone().alias(computed_name(at))));
        if columns.is_empty() {
            // Rows that are only counted.
            columns.push(lit(true).alias(computed_name(0)));
        }
        Ok(LogicalPlan::Project { input: Arc::clone(&self.table), columns })
    }

    /// The table as it was joined.
    pub fn table(&self) -> &LogicalPlan {
        &self.table
    }
}

/// Names that no table has by chance.
fn computed_name(at: usize) -> String {
    format!("key {at} of the join")
}

impl LogicalPlan {
    /// The plan with the right sides of its joins, from the source upwards, taken as read as far as they have schemas: their
    /// rows have these.
    ///
    /// # Errors
    /// `Internal` when the right sides are others than those of [`Builds`].
    pub fn with_builds(
        &self,
        builds: &Builds,
        uses: &[BuildUse],
        schema: &dyn Fn(usize) -> Option<arrow::datatypes::SchemaRef>,
    ) -> Result<LogicalPlan> {
        let mut built = Vec::with_capacity(uses.len());
        for used in uses {
            let build = builds.builds.get(used.build).ok_or_else(|| Error::internal("no such right side"))?;
            let Some(schema) = schema(used.build) else {
                built.push(None);
                continue;
            };
            let key = |key: &Expr| match build.computed.iter().position(|known| known == key) {
                Some(at) => schema.index_of(&computed_name(at)),
                None => schema.index_of(&key.output_name()),
            };
            let keys = used.keys.iter().map(key).collect::<Result<_, _>>()?;
            let width = build.columns.len();
            built.push(Some(Arc::new(Built { schema, width, keys })));
        }
        let mut next = built.into_iter();
        let plan = self.put(&mut next)?;
        if next.next().is_some() { Err(Error::internal("more right sides than joins")) } else { Ok(plan) }
    }

    fn put(&self, built: &mut dyn Iterator<Item = Option<Arc<Built>>>) -> Result<LogicalPlan> {
        let Some(input) = self.input() else { return Ok(self.clone()) };
        let input = Arc::new(input.put(built)?);
        match self {
            LogicalPlan::Join(join) => {
                let built = built.next().ok_or_else(|| Error::internal("fewer right sides than joins"))?;
                Ok(LogicalPlan::Join(join.with_built(built).with_left(input)))
            }
            _ => Ok(self.with_input(input)),
        }
    }
}

/// Whether two plans are sure to give the same rows.
pub(super) fn same(a: &LogicalPlan, b: &LogicalPlan) -> bool {
    let inputs = || match (a.input(), b.input()) {
        (Some(a), Some(b)) => std::ptr::eq(Arc::as_ptr(a), Arc::as_ptr(b)) || same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let verbs = match (a, b) {
        (LogicalPlan::Scan(a), LogicalPlan::Scan(b)) => a.key() == b.key(),
        (LogicalPlan::Filter { predicate: a, .. }, LogicalPlan::Filter { predicate: b, .. }) => a == b,
        (LogicalPlan::Project { columns: a, .. }, LogicalPlan::Project { columns: b, .. }) => a == b,
        (LogicalPlan::Map { function: a, schema: x, .. }, LogicalPlan::Map { function: b, schema: y, .. }) => {
            let (BatchFunction(a), BatchFunction(b)) = (a, b);
            Arc::ptr_eq(a, b) && x == y
        }
        (
            LogicalPlan::Aggregate { keys: a, aggregates: x, .. },
            LogicalPlan::Aggregate { keys: b, aggregates: y, .. },
        ) => {
            let equal = |(x, y): (&(AggregateCall, String), &(AggregateCall, String))| x.1 == y.1 && x.0 == y.0;
            a == b && x.len() == y.len() && x.iter().zip(y).all(equal)
        }
        (LogicalPlan::Sort { keys: a, .. }, LogicalPlan::Sort { keys: b, .. }) => {
            let equal = |(a, b): (&SortKey, &SortKey)| a == b;
            a.len() == b.len() && a.iter().zip(b).all(equal)
        }
        (LogicalPlan::Unnest { .. }, LogicalPlan::Unnest { .. }) => true,
        (LogicalPlan::Window { windows: a, .. }, LogicalPlan::Window { windows: b, .. }) => a == b,
        (LogicalPlan::Sample { size: a, seed: s, .. }, LogicalPlan::Sample { size: b, seed: t, .. }) => {
            a == b && s == t
        }
        (LogicalPlan::Limit { skip: a, rows: x, .. }, LogicalPlan::Limit { skip: b, rows: y, .. }) => (a, x) == (b, y),
        (LogicalPlan::Join(a), LogicalPlan::Join(b)) => {
            a.on == b.on && a.residual() == b.residual() && a.kind == b.kind && same(&a.right, &b.right)
        }
        _ => false,
    };
    verbs && inputs()
}

/// The next questions that may share a pass: of those that are `ready`, the first whose source no other waits for, so that
/// nothing is read once more for it; or just the first. `None` when nothing is ready.
pub fn next_together(keys: &[String], ready: &dyn Fn(usize) -> bool, waiting: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let all_ready =
        |at: &usize| (0..keys.len()).all(|other| keys[other] != keys[*at] || ready(other) || !waiting(other));
    let mut candidates = (0..keys.len()).filter(|&at| ready(at));
    let Some(first) = candidates.clone().find(all_ready).or_else(|| candidates.next()) else { return Vec::new() };
    (0..keys.len()).filter(|&at| ready(at) && keys[at] == keys[first]).collect()
}
