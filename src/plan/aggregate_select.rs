//! A select list over groups: which aggregates it needs, and what is computed from them afterwards.

use super::{LogicalPlan, SortKey};
use crate::aggregate::{self, Makes};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::{AggregateCall, Expr, col};
use std::sync::Arc;

/// A question with aggregates.
#[derive(Clone, Debug)]
pub struct AggregateSelect {
    /// Group keys; none for one group of all rows.
    pub keys: Vec<Expr>,
    /// The columns of the result, in order. Keys that are not among them are put in front.
    pub select: Vec<Expr>,
    /// Which groups to keep; may name columns of the result.
    pub having: Option<Expr>,
    /// The order of the result; may name columns of the result. Without it groups ascend by key.
    pub sort: Vec<SortKey>,
    /// How many rows stay.
    pub limit: Option<usize>,
}

impl AggregateSelect {
    /// The plan that answers it: aggregate, then filter, sort and limit, then the columns asked for.
    ///
    /// # Errors
    /// `Name` for a column that is neither a key nor inside an aggregate.
    pub fn plan(self, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
        let question = self.clone();
        self.plan_of_known(Arc::clone(&input)).map_err(|error| question.named(error, &input))
    }

    /// An error about a column that is nowhere, told as that.
    pub(crate) fn named(&self, error: Error, input: &LogicalPlan) -> Error {
        let Ok(schema) = input.schema() else { return error };
        let mentioned = error.message().strip_prefix("the column `").and_then(|rest| rest.split('`').next());
        let Some(name) = mentioned.filter(|name| schema.index_of(name).is_err()) else { return error };
        let results = self.outputs();
        let results = results.iter().map(|output| output.output_name().to_string());
        let results: Vec<String> = results.filter(|result| result != name).collect();
        let columns = schema.fields().iter().map(|field| field.name().as_str());
        let is_aggregate = aggregate::find(name, 1).is_ok();
        let hint = match did_you_mean(name, results.iter().map(String::as_str).chain(columns)) {
            // A slip of the keys is rarely the name of something else.
            Some(near) if !is_aggregate => format!("did you mean `{near}`?"),
            _ if is_aggregate => {
                format!("`{name}(x)` is the aggregate of a column x; `as {name}` behind it gives a result this name")
            }
            _ => format!("results are {}; columns stand inside of aggregates", results.join(", ")),
        };
        Error::new(ErrorKind::Name, format!("no column or result `{name}`")).hint(hint)
    }

    fn plan_of_known(self, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
        if let Some(call) = self.select.iter().find_map(makes_rows) {
            let call = call.clone();
            return self.plan_of_rows(call, input);
        }
        let outputs = self.outputs();
        let mut calls: Vec<AggregateCall> = Vec::new();
        let mut columns = Vec::with_capacity(outputs.len());
        for output in &outputs {
            let name = output.output_name();
            let rewritten = self.rewrite(output.unaliased(), &mut calls)?;
            columns.push(rewritten.alias(name));
        }
        let having = self.having.as_ref().map(|having| self.rewrite(&self.resolve(having)?, &mut calls)).transpose()?;
        let mut sort = Vec::with_capacity(self.sort.len());
        for key in &self.sort {
            let expr = self.rewrite(&self.resolve(&key.expr)?, &mut calls)?;
            sort.push(SortKey { expr, descending: key.descending });
        }
        let call_names: Vec<String> = calls.iter().map(text).collect();
        let key_names = self.keys.iter().map(|key| key.output_name().to_string());
        let produced: Vec<String> = key_names.chain(call_names.iter().cloned()).collect();
        let wanted: Vec<String> = columns.iter().map(|column| column.output_name().to_string()).collect();
        let plain = columns.iter().zip(&produced).all(|(column, name)| *column.unaliased() == col(name.as_str()));
        let aggregates = calls.into_iter().zip(call_names).collect();
        let mut plan = LogicalPlan::Aggregate { input, keys: self.keys, aggregates };
        if let Some(predicate) = having {
            plan = LogicalPlan::Filter { input: Arc::new(plan), predicate };
        }
        if !sort.is_empty() {
            plan = LogicalPlan::Sort { input: Arc::new(plan), keys: sort };
        }
        if let Some(rows) = self.limit {
            plan = LogicalPlan::Limit { input: Arc::new(plan), skip: 0, rows };
        }
        if plain && wanted == produced {
            return Ok(plan);
        }
        Ok(LogicalPlan::Project { input: Arc::new(plan), columns })
    }

    /// The plan for an aggregate that makes several rows of a group: conditions and order are over those rows.
    fn plan_of_rows(self, call: AggregateCall, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
        let outputs = self.outputs();
        let key_of = |column: &Expr| {
            let same =
                |key: &&Expr| key.unaliased() == column.unaliased() || col(key.output_name()) == *column.unaliased();
            self.keys.iter().find(same).map(|key| col(key.output_name()))
        };
        let name = text(&call);
        let groups =
            LogicalPlan::Aggregate { input, keys: self.keys.clone(), aggregates: vec![(call.clone(), name.clone())] };
        let mut plan = LogicalPlan::Unnest { input: Arc::new(groups) };
        let schema = plan.schema()?;
        let made: Vec<Expr> =
            schema.fields()[self.keys.len()..].iter().map(|field| col(field.name().as_str())).collect();
        let (mut columns, mut met) = (Vec::new(), false);
        for output in &outputs {
            let is_made = makes_rows(output) == Some(&call);
            let first = is_made && !met;
            met |= is_made;
            match (key_of(output), first) {
                (Some(key), _) => columns.push(key.alias(output.output_name())),
                (None, true) if call.aggregate.makes() == Makes::Values => {
                    columns.push(col(Makes::COLUMN).alias(output.output_name()));
                }
                (None, true) if *output == *output.unaliased() => columns.extend(made.iter().cloned()),
                (None, true) => {
                    let message = format!("`{name}` makes columns of its own, which one name cannot stand for");
                    return Err(Error::new(ErrorKind::Type, message));
                }
                (None, false) => {
                    let message = format!("`{name}` makes rows of its own, and `{output}` cannot stand beside it");
                    return Err(Error::new(ErrorKind::Type, message)
                        .hint("ask two questions; those of one call share its pass over the data"));
                }
            }
        }
        let as_made =
            columns.iter().map(Expr::output_name).eq(schema.fields().iter().map(|field| field.name().as_str().into()));
        if !as_made {
            plan = LogicalPlan::Project { input: Arc::new(plan), columns };
        }
        if let Some(predicate) = self.having {
            plan = LogicalPlan::Filter { input: Arc::new(plan), predicate };
        }
        if !self.sort.is_empty() {
            plan = LogicalPlan::Sort { input: Arc::new(plan), keys: self.sort };
        }
        if let Some(rows) = self.limit {
            plan = LogicalPlan::Limit { input: Arc::new(plan), skip: 0, rows };
        }
        Ok(plan)
    }

    /// Keys that the select list leaves out, then the select list.
    fn outputs(&self) -> Vec<Expr> {
        let listed = |key: &&Expr| {
            let same =
                |output: &Expr| output.unaliased() == key.unaliased() || *output.unaliased() == col(key.output_name());
            !self.select.iter().any(same)
        };
        self.keys.iter().filter(listed).chain(&self.select).cloned().collect()
    }

    /// Names of result columns stand for what they name, but inside aggregates they are columns of the input.
    fn resolve(&self, expr: &Expr) -> Result<Expr> {
        replace_names(expr, &mut |name| aliased(name, &self.select))
    }

    /// Puts columns of the aggregate node in place of keys and aggregates.
    fn rewrite(&self, expr: &Expr, calls: &mut Vec<AggregateCall>) -> Result<Expr> {
        if let Some(key) = self.keys.iter().find(|key| key.unaliased() == expr) {
            return Ok(col(key.output_name()));
        }
        match expr {
            Expr::Aggregate(call) if call.aggregate.makes() != Makes::Value => {
                let message = format!("the aggregate `{}` makes rows, not a value", text(call));
                Err(Error::new(ErrorKind::Type, message)
                    .hint("it is asked for by itself; of ols(…), .r_squared and the like are numbers"))
            }
            Expr::Aggregate(call) => {
                if !calls.contains(call) {
                    calls.push(call.clone());
                }
                Ok(col(text(call)))
            }
            Expr::Column(name) => {
                if self.keys.iter().any(|key| key.output_name() == *name) {
                    return Ok(expr.clone());
                }
                let message = format!("the column `{name}` is neither a key nor inside an aggregate");
                Err(Error::new(ErrorKind::Name, message)
                    .hint(format!("group by it (`by {name}`), or take min({name}) or first({name})")))
            }
            Expr::Function { function, .. } if function.is_of_row() => {
                let message = format!("`{expr}` is of one row, and is neither a key nor inside an aggregate");
                Err(Error::new(ErrorKind::Name, message).hint(format!("group by it (`by {expr}`)")))
            }
            other => other.map_children(&mut |child| self.rewrite(child, calls)),
        }
    }
}

/// The aggregate that a column of the select list is, if it makes several rows of a group.
fn makes_rows(column: &Expr) -> Option<&AggregateCall> {
    match column.unaliased() {
        Expr::Aggregate(call) if call.aggregate.makes() != Makes::Value => Some(call),
        _ => None,
    }
}

fn text(call: &AggregateCall) -> String {
    Expr::Aggregate(call.clone()).to_string()
}

/// What the column of a select list that bears the alias `name` computes.
pub fn aliased(name: &str, select: &[Expr]) -> Option<Expr> {
    select.iter().find_map(|column| match column {
        Expr::Alias { expr, name: alias } if **alias == *name => Some(Expr::clone(expr)),
        _ => None,
    })
}

/// The expression with column names replaced where `replacement` knows one; not inside aggregates, whose names are
/// those of the input.
///
/// # Errors
/// None of its own.
pub fn replace_names(expr: &Expr, replacement: &mut dyn FnMut(&str) -> Option<Expr>) -> Result<Expr> {
    expr.replace(&mut |part| {
        Ok(match part {
            Expr::Column(name) => replacement(name),
            Expr::Aggregate(_) => Some(part.clone()),
            _ => None,
        })
    })
}
