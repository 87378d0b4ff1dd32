//! Which side of a join its conditions are about.

use super::join::{JoinClause, JoinCondition};
use super::qualified::{LEFT, Qualifiers, RIGHT, behind};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::{BinaryOp, Expr, col, lit};
use crate::plan::{Join, JoinKind, LogicalPlan, RightName};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// So many names of a table are told where none is near.
const FEW_NAMES: usize = 8;

/// The tables of a join.
pub(super) struct Sides<'a> {
    pub(super) left: Arc<LogicalPlan>,
    pub(super) right: Arc<LogicalPlan>,
    pub(super) clause: &'a JoinClause,
    /// The tables before this one.
    known: &'a Qualifiers,
    schemas: [SchemaRef; 2],
}

/// What a condition is about: expressions over the columns of the tables.
enum About {
    /// What must be equal.
    Both(Expr, Expr),
    Left(Expr),
    Right(Expr),
    /// What must hold of a pair of rows; as it is written.
    Pairs(Expr),
}

impl<'a> Sides<'a> {
    pub(super) fn new(
        left: Arc<LogicalPlan>,
        right: Arc<LogicalPlan>,
        clause: &'a JoinClause,
        known: &'a Qualifiers,
    ) -> Result<Self> {
        let schemas = [left.schema()?, right.schema()?];
        Ok(Sides { left, right, clause, known, schemas })
    }

    /// The join. A condition about one side is asked of its rows before, where rows that fail it are not shown anyway; else
    /// it is a key, which must be equal to `true`. `at_place` adds the place of a condition to an error.
    pub(super) fn joined(mut self, at_place: impl Fn(Error, &JoinCondition) -> Error) -> Result<Join> {
        use JoinKind::{Anti, Inner, Left, Right, Semi};
        let (kind, mut on, mut beside, mut of_pairs) = (self.clause.kind, Vec::new(), Vec::new(), Vec::new());
        for condition in &self.clause.on {
            let (side, asked) = match self.about(condition).map_err(|error| at_place(error, condition))? {
                About::Both(ours, theirs) => {
                    on.push((ours, theirs));
                    continue;
                }
                About::Left(asked) => (0, asked),
                About::Right(asked) => (1, asked),
                About::Pairs(asked) => {
                    of_pairs.push((asked, condition));
                    continue;
                }
            };
            asked.bind_condition(&self.schemas[side]).map_err(|error| at_place(error, condition))?;
            beside.push((side == 0, asked));
        }
        if let ([], [], Some(first)) = (&on[..], &of_pairs[..], self.clause.on.first()) {
            let error = Error::new(ErrorKind::Syntax, "a join says what of both tables must be equal");
            return Err(at_place(error, first)
                .hint("`cross join` takes every pair of rows, and `where` says which of them stay"));
        }
        for (is_left, condition) in beside {
            match (is_left, kind) {
                (true, Inner | Semi | Right) => self.left = filtered(self.left, condition),
                (false, Inner | Semi | Left | Anti) => self.right = filtered(self.right, condition),
                (true, _) => on.push((condition, lit(true))),
                (false, _) => on.push((lit(true), condition)),
            }
        }
        if of_pairs.is_empty() {
            return Ok(Join::new(self.left, self.right, on, kind));
        }
        let pairs = Join::new(Arc::clone(&self.left), Arc::clone(&self.right), on.clone(), JoinKind::Inner);
        let names = pairs.of_pairs_with(lit(true)).right_names()?;
        let asked = of_pairs.into_iter().map(|(asked, condition)| {
            let asked = self.of_pair(&asked, &names).map_err(|error| at_place(error, condition))?;
            // Its types are looked at here, where its place is known.
            let pairs = Join::new(Arc::clone(&self.left), Arc::clone(&self.right), on.clone(), JoinKind::Inner);
            let pairs = LogicalPlan::Join(pairs.of_pairs_with(asked.clone()));
            pairs.schema().map_err(|error| at_place(error, condition))?;
            Ok(asked)
        });
        let asked = asked.collect::<Result<Vec<_>>>()?.into_iter().reduce(Expr::and);
        let join = Join::new(self.left, self.right, on, kind);
        Ok(match asked {
            Some(condition) => join.of_pairs_with(condition),
            None => join,
        })
    }

    /// A condition on both sides over the columns of pairs, in which those of the right side have these names.
    fn of_pair(&self, condition: &Expr, names: &[(String, RightName)]) -> Result<Expr> {
        condition.replace(&mut |part| {
            let Expr::Column(name) = part else { return Ok(None) };
            match (self.column(0, name)?, self.column(1, name)?) {
                (Some(_), Some(_)) => Err(self.either_table(condition, name)),
                (Some(left), None) => Ok(Some(col(left))),
                (None, Some(right)) => {
                    let known = names.iter().find(|(own, _)| *own == right).map(|(_, shown)| shown);
                    match known {
                        Some(RightName::Column(shown) | RightName::Key(shown)) => Ok(Some(col(shown.as_str()))),
                        _ => Err(Error::internal("a column of a pair without a name")),
                    }
                }
                (None, None) => Err(self.unknown(name)),
            }
        })
    }

    fn either_table(&self, condition: &Expr, name: &str) -> Error {
        Error::new(ErrorKind::Name, format!("`{condition}` may be about either table"))
            .hint(format!("say of which: `{LEFT}.{name}` or `{}.{name}`", self.called()))
    }

    /// The column of one side that a name means. A column that is called so, of either side, comes before one whose table is
    /// named.
    fn column(&self, side: usize, name: &str) -> Result<Option<String>> {
        let has = |side: usize, name: &str| self.schemas[side].index_of(name).is_ok();
        if has(0, name) || has(1, name) {
            return Ok(has(side, name).then(|| name.to_owned()));
        }
        let of_right = |rest: &str| has(1, rest).then(|| rest.to_owned());
        match (side, self.behind_right(name)) {
            (1, rest) => Ok(rest.and_then(of_right)),
            (_, Some(_)) => Ok(None),
            (_, None) => match behind(name, LEFT) {
                Some(rest) if has(0, rest) => Ok(Some(rest.to_owned())),
                _ => self.known.column(name),
            },
        }
    }

    /// What stands behind a name of the right table.
    fn behind_right<'n>(&self, name: &'n str) -> Option<&'n str> {
        let called = self.clause.name().and_then(|called| behind(name, called));
        called.or_else(|| behind(name, RIGHT))
    }

    /// An expression over the columns of one side, if all its names are on that side and there are any.
    fn on_side(&self, side: usize, expr: &Expr) -> Option<Expr> {
        let column = |name: Arc<str>| Some((self.column(side, &name).ok()??, name));
        let columns: Vec<(String, Arc<str>)> = expr.columns().into_iter().map(column).collect::<Option<_>>()?;
        let meant = |name: &Arc<str>| columns.iter().find(|(_, known)| known == name);
        let replaced = expr.replace(&mut |part| match part {
            Expr::Column(name) => Ok(meant(name).map(|(column, _)| col(column.as_str()))),
            _ => Ok(None),
        });
        replaced.ok().filter(|_| !columns.is_empty())
    }

    /// What a condition is about. Of an equation that fits both ways, the first side is of the left table.
    fn about(&self, condition: &JoinCondition) -> Result<About> {
        let whole = &condition.condition;
        if let Expr::Binary { left: first, op: BinaryOp::Eq, right: second } = whole {
            for (ours, theirs) in [(first, second), (second, first)] {
                if let (Some(ours), Some(theirs)) = (self.on_side(0, ours), self.on_side(1, theirs)) {
                    return Ok(About::Both(ours, theirs));
                }
            }
        }
        if condition.is_using {
            return Err(self.not_in_both(whole));
        }
        let sides = (self.on_side(0, whole), self.on_side(1, whole));
        let is_of_either = |name: &&Arc<str>| (0..2).all(|side| self.schemas[side].index_of(name).is_ok());
        if let (Some(_), _) | (_, Some(_)) = sides
            && let Some(name) = whole.columns().iter().find(is_of_either)
        {
            return Err(self.either_table(whole, name));
        }
        match sides {
            (Some(asked), _) => Ok(About::Left(asked)),
            (None, Some(asked)) => Ok(About::Right(asked)),
            (None, None) => self.about_both(whole),
        }
    }

    /// What the right table is called in names.
    fn called(&self) -> &str {
        self.clause.name().map_or(RIGHT, |name| name)
    }

    /// The other table, as it was called.
    fn table(&self) -> &str {
        &self.clause.table
    }

    fn names(&self, side: usize) -> impl Iterator<Item = &str> {
        self.schemas[side].fields().iter().map(|field| field.name().as_str())
    }

    /// The nearest of the names of both sides, and whose it is.
    fn near(&self, wanted: &str) -> Option<String> {
        let near = did_you_mean(wanted, self.names(0).chain(self.names(1)))?;
        let whose = match self.names(0).any(|name| name == near) {
            true => "of the table before the join".to_owned(),
            false => format!("of {}", self.table()),
        };
        Some(format!("did you mean `{near}` {whose}?"))
    }

    /// A name after `using` that one of the tables lacks.
    fn not_in_both(&self, condition: &Expr) -> Error {
        let columns = condition.columns();
        let Some(name) = columns.iter().next() else { return Error::internal("`using` without a name") };
        let lacks = |side: usize| !self.names(side).any(|known| known == &**name);
        let (side, table) = match (lacks(0), lacks(1)) {
            (true, true) => return self.unknown(name),
            (true, false) => (0, "the table before the join"),
            _ => (1, self.table()),
        };
        let error =
            Error::new(ErrorKind::Name, format!("no column `{name}` in {table}, and `using` takes names of both"));
        match did_you_mean(name, self.names(side)) {
            Some(near) if side == 0 => error.hint(format!("names that differ stand behind `on`: `on {near} = {name}`")),
            Some(near) => error.hint(format!("names that differ stand behind `on`: `on {name} = {near}`")),
            None => error.hint(format!("names that differ stand behind `on`, such as `on {name} = …`")),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        if let Some(rest) = self.behind_right(name) {
            return self.lacks(1, name, rest);
        }
        if let Some(rest) = behind(name, LEFT) {
            return self.lacks(0, name, rest);
        }
        if let Err(error) = self.known.column(name) {
            return error;
        }
        let error = Error::new(ErrorKind::Name, format!("no column `{name}` on either side of the join"));
        let odd = "texts stand in quotes, names with odd characters in backticks";
        error.hint(self.near(name).unwrap_or_else(|| odd.to_owned()))
    }

    /// A name, typed like this, that one side lacks.
    fn lacks(&self, side: usize, typed: &str, name: &str) -> Error {
        let table = if side == 0 { "the table before the join" } else { self.table() };
        let error = Error::new(ErrorKind::Name, format!("no column `{typed}` in {table}"));
        let qualifier = typed.strip_suffix(name).unwrap_or_default();
        let names: Vec<&str> = self.names(side).collect();
        match did_you_mean(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{qualifier}{near}`?")),
            None if names.len() <= FEW_NAMES => error.hint(format!("its columns are {}", names.join(", "))),
            None => error.hint(format!("its columns are {}, … ({})", names[..FEW_NAMES].join(", "), names.len())),
        }
    }

    /// An equation one side of which is of one table, so that the other must be of the other: the name which that lacks.
    fn missing_key(&self, condition: &Expr) -> Option<Error> {
        let Expr::Binary { left: first, op: BinaryOp::Eq, right: second } = condition else { return None };
        [(first, second, 1), (second, first, 0)].into_iter().find_map(|(known, other, side_by_place)| {
            let side = match (self.on_side(0, known), self.on_side(1, known)) {
                (Some(_), Some(_)) => side_by_place,
                (Some(_), None) => 1,
                (None, Some(_)) => 0,
                (None, None) => return None,
            };
            let is_plain = |name: &Arc<str>| self.behind_right(name).is_none() && behind(name, LEFT).is_none();
            let unknown = |name: &Arc<str>| {
                is_plain(name)
                    && matches!(self.column(0, name), Ok(None))
                    && matches!(self.column(1, name), Ok(None))
                    && self.near(name).is_none_or(|_| did_you_mean(name, self.names(side)).is_some())
            };
            other.columns().into_iter().find(unknown).map(|name| self.lacks(side, &name, &name))
        })
    }

    /// A condition of both tables that is no equation of one with the other, or an error: with an unknown name, or without any.
    fn about_both(&self, condition: &Expr) -> Result<About> {
        let columns = condition.columns();
        if let Some(error) = self.missing_key(condition) {
            return Err(error);
        }
        let known = |name: &str| (0..2).any(|side| matches!(self.column(side, name), Ok(Some(_))));
        if let Some(unknown) = columns.iter().find(|name| !known(name)) {
            return Err(self.unknown(unknown));
        }
        if columns.is_empty() {
            return Err(Error::new(ErrorKind::Syntax, format!("`{condition}` is about neither table"))
                .hint("`cross join` takes every pair of rows"));
        }
        Ok(About::Pairs(condition.clone()))
    }
}

fn filtered(input: Arc<LogicalPlan>, predicate: Expr) -> Arc<LogicalPlan> {
    Arc::new(LogicalPlan::Filter { input, predicate })
}
