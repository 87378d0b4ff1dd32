//! Which side of a join its conditions are about.

use super::join::{JoinClause, JoinCondition};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::{BinaryOp, Expr, lit};
use crate::plan::{Join, JoinKind, LogicalPlan};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// The tables of a join.
pub(super) struct Sides<'a> {
    pub(super) left: Arc<LogicalPlan>,
    pub(super) right: Arc<LogicalPlan>,
    pub(super) clause: &'a JoinClause,
    schemas: [SchemaRef; 2],
}

/// What a condition is about.
enum About {
    /// What must be equal.
    Both(Expr, Expr),
    Left,
    Right,
}

impl<'a> Sides<'a> {
    pub(super) fn new(left: Arc<LogicalPlan>, right: Arc<LogicalPlan>, clause: &'a JoinClause) -> Result<Self> {
        let schemas = [left.schema()?, right.schema()?];
        Ok(Sides { left, right, clause, schemas })
    }

    /// The join. A condition about one side is asked of its rows before, where rows that fail it are not shown anyway; else
    /// it is a key, which must be equal to `true`. `at_place` adds the place of a condition to an error.
    pub(super) fn joined(mut self, at_place: impl Fn(Error, &JoinCondition) -> Error) -> Result<Join> {
        use JoinKind::{Anti, Inner, Left, Right, Semi};
        let (kind, mut on, mut beside) = (self.clause.kind, Vec::new(), Vec::new());
        for condition in &self.clause.on {
            let asked = || -> Result<Expr> { Ok(condition.condition.clone()) };
            match self.about(condition).map_err(|error| at_place(error, condition))? {
                About::Both(ours, theirs) => on.push((ours, theirs)),
                about => {
                    let schema = &self.schemas[usize::from(matches!(about, About::Right))];
                    condition.condition.bind_condition(schema).map_err(|error| at_place(error, condition))?;
                    beside.push((about, asked()?));
                }
            }
        }
        if let ([], Some(first)) = (&on[..], self.clause.on.first()) {
            let error = Error::new(ErrorKind::Syntax, "a join says what of both tables must be equal");
            return Err(at_place(error, first)
                .hint("`cross join` takes every pair of rows, and `where` says which of them stay"));
        }
        for (about, condition) in beside {
            let is_left = matches!(about, About::Left);
            match (is_left, kind) {
                (true, Inner | Semi | Right) => self.left = filtered(self.left, condition),
                (false, Inner | Semi | Left | Anti) => self.right = filtered(self.right, condition),
                (true, _) => on.push((condition, lit(true))),
                (false, _) => on.push((lit(true), condition)),
            }
        }
        Ok(Join::new(self.left, self.right, on, kind))
    }

    /// Whether all names of an expression are on one side, if it has any.
    fn has(&self, side: usize, expr: &Expr) -> bool {
        let columns = expr.columns();
        !columns.is_empty() && columns.iter().all(|name| self.schemas[side].index_of(name).is_ok())
    }

    /// What a condition is about. Of an equation that fits both ways, the first side is of the left table.
    fn about(&self, condition: &JoinCondition) -> Result<About> {
        let whole = &condition.condition;
        if let Expr::Binary { left: first, op: BinaryOp::Eq, right: second } = whole {
            for (ours, theirs) in [(first, second), (second, first)] {
                if self.has(0, ours) && self.has(1, theirs) {
                    return Ok(About::Both((**ours).clone(), (**theirs).clone()));
                }
            }
        }
        if condition.is_using {
            return Err(self.not_in_both(whole));
        }
        match (self.has(0, whole), self.has(1, whole)) {
            (true, false) => Ok(About::Left),
            (false, true) => Ok(About::Right),
            (true, true) => {
                let message = format!("`{whole}` may be about either table");
                Err(Error::new(ErrorKind::Name, message)
                    .hint("`where` asks it of the table before the join; a question of its own can rename a column"))
            }
            (false, false) => Err(self.about_neither(whole)),
        }
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
        let error = Error::new(ErrorKind::Name, format!("no column `{name}` on either side of the join"));
        let odd = "texts stand in quotes, names with odd characters in backticks";
        error.hint(self.near(name).unwrap_or_else(|| odd.to_owned()))
    }

    /// A condition with an unknown name, without any, or of both tables and no equation.
    fn about_neither(&self, condition: &Expr) -> Error {
        let columns = condition.columns();
        let known = |name: &str| self.names(0).chain(self.names(1)).any(|known| known == name);
        if let Some(unknown) = columns.iter().find(|name| !known(name)) {
            return self.unknown(unknown);
        }
        if columns.is_empty() {
            return Error::new(ErrorKind::Syntax, format!("`{condition}` is about neither table"))
                .hint("`cross join` takes every pair of rows");
        }
        let equation = matches!(condition, Expr::Binary { op: BinaryOp::Eq, .. });
        let error = match equation {
            true => Error::new(ErrorKind::Name, format!("`{condition}` is not between the two tables")),
            false => Error::new(ErrorKind::Syntax, "a join is on `=` between the two tables"),
        };
        match (equation, self.clause.kind) {
            (true, _) => error
                .hint(format!("one side is about columns of {}, the other about those before the join", self.table())),
            (false, JoinKind::Inner) => error.hint("other conditions on both tables stand behind `where`"),
            _ => error.hint("other conditions may be about one of the tables, not about both"),
        }
    }
}

fn filtered(input: Arc<LogicalPlan>, predicate: Expr) -> Arc<LogicalPlan> {
    Arc::new(LogicalPlan::Filter { input, predicate })
}
