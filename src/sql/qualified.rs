//! Names with the table before them: `p.year`, `left.year`.
//!
//! **Problem.** Both tables of a join may have a column of one name, and the result calls one of them otherwise.
//! **Idea.** A name with a dot is a name like others, and a column that is called so wins. Else what stands before the dot is
//! a table: what it was called behind `as`, or the name by which it was joined; `left` for what stands before a join, and
//! `right` for what is joined. What such a name means is put in its place before the question is planned.
//! **Invariant.** A qualified name never means a column of another table: a key of both tables that stands in the result once
//! has a table only where it has the value of that table in every row.

use super::join::JoinClause;
use super::question::Question;
use super::select::{Column, OWN_TABLE, Scope, Table as TableOfScope};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::{Expr, col};
use crate::plan::{Join, JoinKind, RightName, aliased};
use arrow::datatypes::Schema;
use std::ops::Range;
use std::sync::Arc;

/// The table before the first join, and before a join in its condition.
pub(super) const LEFT: &str = "left";
/// The table of a join.
pub(super) const RIGHT: &str = "right";

/// What a column of a table is in the result.
#[derive(Clone, Debug)]
enum Shown {
    As(String),
    /// A key of two tables, in rows without a match the other's.
    Merged(String),
    /// The join shows no columns of its table.
    Nowhere(JoinKind),
}

/// A table of the question.
#[derive(Clone, Debug)]
struct Table {
    /// What it is called; `None` for a file without a name.
    name: Option<Arc<str>>,
    columns: Vec<(String, Shown)>,
}

/// The tables of a question so far, the first one first.
#[derive(Clone, Debug)]
pub(super) struct Qualifiers {
    tables: Vec<Table>,
}

/// What stands behind the dot of a name that begins with this table.
pub(super) fn behind<'a>(name: &'a str, table: &str) -> Option<&'a str> {
    name.strip_prefix(table)?.strip_prefix('.')
}

impl JoinClause {
    /// What its table is called: behind `as`, or as it was joined.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.alias.as_ref().or(self.is_name.then_some(&self.table))
    }
}

impl Qualifiers {
    /// Of a question about a table with these columns.
    pub(super) fn of(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| (field.name().clone(), Shown::As(field.name().clone())));
        Qualifiers { tables: vec![Table { name: None, columns: columns.collect() }] }
    }

    /// Refuses a table that is called like one before.
    pub(super) fn check(&self, clause: &JoinClause) -> Result<()> {
        let Some(name) = clause.name() else { return Ok(()) };
        if self.tables.iter().all(|table| table.name.as_ref() != Some(name)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Name, format!("a second table called `{name}`"))
            .hint(format!("give it a name of its own: `join {name} as {name}2 on …`")))
    }

    /// Takes the table of a join, whose result is the question's table from now on.
    pub(super) fn add(&mut self, join: &Join, clause: &JoinClause) -> Result<()> {
        let kind = join.kind;
        let mut columns = Vec::new();
        for (column, name) in join.right_names()? {
            let shown = match name {
                RightName::Column(name) => Shown::As(name),
                RightName::Nowhere => Shown::Nowhere(kind),
                RightName::Key(name) => {
                    if kind.keeps_right() {
                        self.merge(&name);
                    }
                    if kind.keeps_left() { Shown::Merged(name) } else { Shown::As(name) }
                }
            };
            columns.push((column, shown));
        }
        self.tables.push(Table { name: clause.name().cloned(), columns });
        Ok(())
    }

    /// A column of the result has values of the right table from now on.
    fn merge(&mut self, name: &str) {
        for (_, shown) in self.tables.iter_mut().flat_map(|table| &mut table.columns) {
            if matches!(shown, Shown::As(known) if known == name) {
                *shown = Shown::Merged(name.to_owned());
            }
        }
    }

    /// The column of the result that a name with a table before it means; `None` if it begins with no table.
    ///
    /// # Errors
    /// `Name` where the table has no such column, or where the result does not show it.
    pub(super) fn column(&self, name: &str) -> Result<Option<String>> {
        let Some((called, table, rest)) = self.table(name)? else { return Ok(None) };
        let wrong = |message: String| Error::new(ErrorKind::Name, message);
        match table.columns.iter().find(|(column, _)| column == rest).map(|(_, shown)| shown) {
            Some(Shown::As(column)) => Ok(Some(column.clone())),
            Some(Shown::Merged(column)) => Err(wrong(format!("`{name}` is a key of both tables, and stands once"))
                .hint(format!("it is called `{column}`; rows without a match have the key of the other table"))),
            Some(Shown::Nowhere(kind)) => Err(wrong(format!("`{name}` is not shown by this join")).hint(format!(
                "`{kind} join` only asks whether `{called}` has a match; `join` and `left join` show it"
            ))),
            None => {
                let error = wrong(format!("no column `{name}`"));
                let names = table.columns.iter().map(|(column, _)| column.as_str());
                Err(match did_you_mean(rest, names) {
                    Some(near) => error.hint(format!("did you mean `{called}.{near}`?")),
                    None => error.hint(format!("`{called}` has no column `{rest}`")),
                })
            }
        }
    }

    /// The table that a name begins with, what it is called, and what stands behind the dot.
    fn table<'a>(&'a self, name: &'a str) -> Result<Option<(&'a str, &'a Table, &'a str)>> {
        let named = |table: &'a Table| {
            let called = &**table.name.as_ref()?;
            behind(name, called).map(|rest| (called, table, rest))
        };
        if let Some(found) = self.tables.iter().find_map(named) {
            return Ok(Some(found));
        }
        if let (Some(rest), Some(first)) = (behind(name, LEFT), self.tables.first()) {
            return Ok(Some((LEFT, first, rest)));
        }
        match (behind(name, RIGHT), &self.tables[1..]) {
            (Some(rest), [only]) => Ok(Some((RIGHT, only, rest))),
            (Some(_), [_, _, ..]) => Err(Error::new(ErrorKind::Name, format!("`{name}` may be of any table joined"))
                .hint("give the tables names: `join 'planes.csv' as p on …`, and write `p.year`")),
            _ => Ok(None),
        }
    }

    /// What the tables are called.
    fn names(&self) -> String {
        let right = (self.tables.len() == 2).then_some(RIGHT);
        let named = self.tables.iter().filter_map(|table| table.name.as_deref());
        [LEFT].into_iter().chain(right).chain(named).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// The question with columns of `schema` in place of names with a table before them.
    ///
    /// # Errors
    /// As [`Qualifiers::column`], the name underlined.
    pub(super) fn resolved(&self, question: &Question, schema: &Schema) -> Result<Question> {
        let mut resolved = question.clone();
        let (spans, select) = (&question.spans, &question.select);
        let one = |expr: &Expr, span: &Range<usize>| {
            self.expression(expr, schema, select).map_err(|error| question.underline(error, span))
        };
        let whole = 0..question.text.len();
        let span = |spans: &[Range<usize>], at: usize| spans.get(at).cloned().unwrap_or(whole.clone());
        resolved.select.clear();
        for (at, expr) in select.iter().enumerate() {
            match self.all_columns(expr, schema) {
                Some(mut columns) => resolved.select.append(&mut columns),
                None => resolved.select.push(one(expr, &span(&spans.select, at))?),
            }
        }
        for (at, key) in resolved.by.iter_mut().enumerate() {
            *key = one(key, &span(&spans.by, at))?;
        }
        for (at, key) in resolved.sort.iter_mut().enumerate() {
            key.expr = one(&key.expr, &span(&spans.sort, at))?;
        }
        let conditions = [
            (&mut resolved.filter, &spans.filter),
            (&mut resolved.having, &spans.having),
            (&mut resolved.qualify, &spans.qualify),
        ];
        for (condition, span) in conditions {
            if let Some(condition) = condition {
                *condition = one(condition, span.as_ref().unwrap_or(&whole))?;
            }
        }
        resolved.asides = question.asides.changed(&mut |expr| one(expr, &whole))?;
        Ok(resolved)
    }

    /// The tables for queries inside of the question, to whose rows they may refer: the question's table has all columns of `schema`,
    /// the others have those that they bring, for which their names stand.
    pub(super) fn scope(&self, schema: &Schema) -> Scope {
        let own = TableOfScope::of(LEFT, schema);
        let again = own.columns.iter().map(|column| Column { is_merged: true, ..column.clone() }).collect();
        let mut tables = vec![own, TableOfScope { name: Arc::from(OWN_TABLE), columns: again }];
        let right = (self.tables.len() == 2).then_some(RIGHT);
        for table in &self.tables[1..] {
            let column = |(name, shown): &(String, Shown)| match shown {
                Shown::As(planned) | Shown::Merged(planned) => {
                    let (name, planned) = (Arc::from(name.as_str()), Arc::from(planned.as_str()));
                    Some(Column { name, planned, is_hidden: false, is_merged: true })
                }
                Shown::Nowhere(_) => None,
            };
            let columns: Vec<Column> = table.columns.iter().filter_map(column).collect();
            let names = table.name.as_deref().into_iter().chain(right);
            tables.extend(names.map(|name| TableOfScope { name: Arc::from(name), columns: columns.clone() }));
        }
        Scope { tables }
    }

    /// What `p.*` stands for.
    fn all_columns(&self, expr: &Expr, schema: &Schema) -> Option<Vec<Expr>> {
        let Expr::Column(name) = expr else { return None };
        let (_, table, "*") = self.table(name).ok()?? else { return None };
        let column = |(_, shown): &(String, Shown)| match shown {
            Shown::As(name) | Shown::Merged(name) => Some(name.clone()),
            Shown::Nowhere(_) => None,
        };
        let visible = crate::frame::visible_names(&Arc::new(schema.clone()));
        let columns = table.columns.iter().filter_map(column).map(|name| col(name.as_str()));
        Some(columns.filter(|column| visible.contains(column)).collect())
    }

    fn expression(&self, expr: &Expr, schema: &Schema, select: &[Expr]) -> Result<Expr> {
        expr.replace(&mut |part| {
            let Expr::Column(name) = part else { return Ok(None) };
            if schema.index_of(name).is_ok() || aliased(name, select).is_some() {
                return Ok(None);
            }
            if let Some(column) = self.column(name)? {
                return Ok(Some(col(column.as_str())));
            }
            let known = schema.fields().iter().map(|field| field.name().as_str());
            match name.split_once('.') {
                Some((table, _)) if did_you_mean(name, known).is_none() => {
                    Err(Error::new(ErrorKind::Name, format!("no column `{name}`"))
                        .hint(format!("`{table}` is no table of this question; its tables are {}", self.names())))
                }
                _ => Ok(None),
            }
        })
    }
}
