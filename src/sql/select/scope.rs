//! What names stand for in a query block: columns of its tables.

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::elsewhere::value_written_here;
use crate::expr::{Expr, col, columns_there_are};
use crate::source::constants::is_virtual;
use arrow::datatypes::Schema;
use sqlparser::ast;
use std::collections::HashSet;
use std::sync::Arc;

/// The tables of a block, and how their columns are called in its plan.
#[derive(Clone, Debug, Default)]
pub(in crate::sql) struct Scope {
    pub(in crate::sql) tables: Vec<Table>,
}

/// A table in a scope.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Table {
    /// What it is called.
    pub(in crate::sql) name: Arc<str>,
    pub(in crate::sql) columns: Vec<Column>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Column {
    /// Its name in the table.
    pub(in crate::sql) name: Arc<str>,
    /// Its name in the plan.
    pub(in crate::sql) planned: Arc<str>,
    /// It can be named, and is not among all columns.
    pub(in crate::sql) is_hidden: bool,
    /// A column of the same name stands for it where no table is named: `using` made one of both.
    pub(in crate::sql) is_merged: bool,
}

impl Table {
    /// A table whose columns have their own names in the plan.
    pub(in crate::sql) fn of(name: impl Into<Arc<str>>, schema: &Schema) -> Self {
        let column = |field: &Arc<arrow::datatypes::Field>| {
            let name: Arc<str> = Arc::from(field.name().as_str());
            Column { planned: Arc::clone(&name), name, is_hidden: is_virtual(field), is_merged: false }
        };
        Table { name: name.into(), columns: schema.fields().iter().map(column).collect() }
    }
}

impl Scope {
    /// The only table of a block.
    pub(in crate::sql) fn of(table: Table) -> Self {
        Scope { tables: vec![table] }
    }

    /// The column that `parts`, a name or a table and a name, stand for.
    ///
    /// # Errors
    /// `Name` when there is none, or several.
    pub(in crate::sql) fn column(&self, parts: &[ast::Ident]) -> Result<Expr> {
        match parts {
            [name] => self.among(&self.tables, name, false),
            [table, name] => {
                let tables = self.tables_called(table)?;
                self.among(tables, name, true).map_err(|error| match error.hint_text() {
                    Some(_) => error,
                    None => error.hint(format!("`{}` has no such column", table.value)),
                })
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "a name of more than two parts is not supported")
                .hint("write `table.column`")),
        }
    }

    /// Whether a name, or a table before a name, is one of its own, be it clear which one or not.
    pub(super) fn knows(&self, parts: &[ast::Ident]) -> bool {
        match parts {
            [name] => self.tables.iter().flat_map(|table| &table.columns).any(|column| {
                *column.name == name.value
                    || name.quote_style.is_none() && column.name.eq_ignore_ascii_case(&name.value)
            }),
            [table, _] => self.tables_called(table).is_ok(),
            _ => false,
        }
    }

    /// Whether a column of the plan is one of a table.
    pub(in crate::sql) fn has_planned(&self, planned: &str) -> bool {
        self.tables.iter().flat_map(|table| &table.columns).any(|column| *column.planned == *planned)
    }

    /// Whether a column of a table is called in the plan by a name that begins so.
    pub(in crate::sql) fn has_planned_with(&self, beginning: &str) -> bool {
        self.tables.iter().flat_map(|table| &table.columns).any(|column| column.planned.starts_with(beginning))
    }

    /// How a column of the plan is called in its table.
    pub(in crate::sql) fn own_name(&self, planned: &Arc<str>) -> Arc<str> {
        let columns = self.tables.iter().flat_map(|table| &table.columns);
        let own = columns.filter(|column| column.planned == *planned).map(|column| Arc::clone(&column.name));
        own.into_iter().next().unwrap_or_else(|| Arc::clone(planned))
    }

    /// The columns of `*`, or of `table.*`: their names in the plan and in their tables. A column that two tables share comes once.
    ///
    /// # Errors
    /// `Name` when there is no such table.
    pub(in crate::sql) fn all(&self, table: Option<&ast::Ident>) -> Result<Vec<(Arc<str>, Arc<str>)>> {
        let tables = match table {
            Some(table) => self.tables_called(table)?,
            None => &self.tables,
        };
        let mut seen = HashSet::new();
        let shown = |column: &&Column| !(column.is_hidden || column.is_merged && table.is_none());
        let columns = tables.iter().flat_map(|table| &table.columns).filter(shown);
        let new = columns.filter(|column| seen.insert(Arc::clone(&column.planned)));
        Ok(new.map(|column| (Arc::clone(&column.planned), Arc::clone(&column.name))).collect())
    }

    fn tables_called(&self, name: &ast::Ident) -> Result<&[Table]> {
        let found = |same: &dyn Fn(&str) -> bool| self.tables.iter().position(|table| same(&table.name));
        let at = found(&|known| known == name.value)
            .or_else(|| found(&|known| name.quote_style.is_none() && known.eq_ignore_ascii_case(&name.value)));
        match at {
            Some(at) => Ok(&self.tables[at..=at]),
            None => {
                let error = Error::new(ErrorKind::Name, format!("no table `{}` in this query", name.value));
                let known: Vec<&str> = self.tables.iter().map(|table| &*table.name).collect();
                Err(match did_you_mean(&name.value, known.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!("tables are {}; `'file.csv' as x` gives one a name", known.join(", "))),
                })
            }
        }
    }

    /// Whether a table is called so, in any case.
    pub(in crate::sql) fn has_table(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The column called `name` of these tables: in this writing, or in another case if only one has it.
    fn among(&self, tables: &[Table], name: &ast::Ident, has_table: bool) -> Result<Expr> {
        let exact = |column: &Column| *column.name == name.value;
        let alike = |column: &Column| name.quote_style.is_none() && column.name.eq_ignore_ascii_case(&name.value);
        for same in [&exact as &dyn Fn(&Column) -> bool, &alike] {
            let mut found: Vec<(&Table, &Column)> = Vec::new();
            for table in tables {
                for column in table.columns.iter().filter(|column| same(column) && (has_table || !column.is_merged)) {
                    if found.iter().all(|(_, known)| known.planned != column.planned) {
                        found.push((table, column));
                    }
                }
            }
            match found[..] {
                [] => {}
                [(_, column)] => return Ok(col(&*column.planned)),
                [(one, a), (other, b), ..] => {
                    let message = format!("the column `{}` is in more than one table", name.value);
                    let hint = format!("write `{}.{}` or `{}.{}`", one.name, a.name, other.name, b.name);
                    return Err(Error::new(ErrorKind::Name, message).hint(hint));
                }
            }
        }
        let error = Error::new(ErrorKind::Name, format!("no column `{}`", name.value));
        let known = tables.iter().flat_map(|table| &table.columns).map(|column| &*column.name);
        let value = value_written_here(&name.value).filter(|_| name.quote_style.is_none());
        Err(match (value, did_you_mean(&name.value, known.clone())) {
            (Some(hint), _) => error.hint(hint),
            (None, Some(near)) => error.hint(format!("did you mean `{near}`?")),
            (None, None) if name.quote_style == Some('"') => {
                error.hint("double quotes are names in SQL; text takes single ones")
            }
            // A table of the block tells by itself that it has none.
            (None, None) if has_table || tables.is_empty() => error,
            (None, None) => error.hint(columns_there_are(known)),
        })
    }
}
