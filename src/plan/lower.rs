//! From a logical plan to the chain of stages that answers it.

use super::logical::call_type;
use super::{AggregateColumn, LogicalPlan, SinkSpec, SortColumn, SortKey, Stage, StageInput, Step};
use crate::error::Result;
use crate::expr::{BoundExpr, Expr};
use crate::source::constants::visible_columns;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The stages of a plan, in the order they run. The first scans the plan's source, reading only the columns that the
/// plan uses; each later one reads the result of the one before.
///
/// # Errors
/// The `Name` and `Type` errors of [`LogicalPlan::schema`].
pub fn lower(plan: &LogicalPlan) -> Result<Vec<Stage>> {
    let output = plan.answer_schema()?;
    let mut chain = Vec::new();
    flatten(plan, &mut chain);
    let source = plan.source();
    let full = source.schema();
    let columns = columns_read(&chain, &full)?;
    let scanned = Arc::new(full.project(&columns)?);
    let mut builder = Builder {
        stages: Vec::new(),
        input: StageInput::Scan { source: Arc::clone(source), columns },
        steps: Vec::new(),
        schema: scanned,
    };
    let mut verbs = chain.into_iter().peekable();
    while let Some(verb) = verbs.next() {
        match verb {
            LogicalPlan::Scan(_) => {}
            LogicalPlan::Sort { keys, .. } => {
                let limit = match verbs.peek() {
                    Some(LogicalPlan::Limit { rows, .. }) => Some(*rows),
                    _ => None,
                };
                if limit.is_some() {
                    verbs.next();
                }
                builder.sort(keys, limit)?;
            }
            other => builder.add(other)?,
        }
    }
    builder.finish(output)
}

/// The verbs from the source upwards.
fn flatten<'a>(plan: &'a LogicalPlan, chain: &mut Vec<&'a LogicalPlan>) {
    match plan {
        LogicalPlan::Scan(_) => {}
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Map { input, .. }
        | LogicalPlan::Aggregate { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. } => flatten(input, chain),
    }
    chain.push(plan);
}

/// The columns of the source that the verbs use: up to the first verb that makes columns of its own.
fn columns_read(chain: &[&LogicalPlan], schema: &Schema) -> Result<Vec<usize>> {
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    for verb in chain {
        match verb {
            LogicalPlan::Scan(_) | LogicalPlan::Limit { .. } => {}
            LogicalPlan::Filter { predicate, .. } => names.extend(predicate.columns()),
            LogicalPlan::Sort { keys, .. } => names.extend(keys.iter().flat_map(|key| key.expr.columns())),
            LogicalPlan::Project { columns, .. } => {
                names.extend(columns.iter().flat_map(Expr::columns));
                return indices(&names, schema);
            }
            LogicalPlan::Aggregate { keys, aggregates, .. } => {
                names.extend(keys.iter().flat_map(Expr::columns));
                names.extend(aggregates.iter().flat_map(|(call, _)| call.args.iter().flat_map(Expr::columns)));
                return indices(&names, schema);
            }
            LogicalPlan::Map { .. } => break,
        }
    }
    // Virtual columns are read only when they are named.
    names.extend(visible_columns(schema).into_iter().map(|column| Arc::from(schema.field(column).name().as_str())));
    indices(&names, schema)
}

fn indices(names: &BTreeSet<Arc<str>>, schema: &Schema) -> Result<Vec<usize>> {
    let mut columns = names.iter().map(|name| Ok(schema.index_of(name)?)).collect::<Result<Vec<_>>>()?;
    columns.sort_unstable();
    Ok(columns)
}

struct Builder {
    stages: Vec<Stage>,
    input: StageInput,
    steps: Vec<Step>,
    schema: SchemaRef,
}

impl Builder {
    fn add(&mut self, verb: &LogicalPlan) -> Result<()> {
        match verb {
            LogicalPlan::Filter { predicate, .. } => {
                self.steps.push(Step::Filter(predicate.bind_condition(&self.schema)?));
            }
            LogicalPlan::Project { columns, .. } => {
                let bound = self.bind_all(columns)?;
                let names = columns.iter().map(|column| column.output_name().to_string());
                self.project(bound, names.collect());
            }
            LogicalPlan::Map { function, schema, .. } => {
                self.drop_virtual()?;
                self.steps.push(Step::Map(function.clone(), Arc::clone(schema)));
                self.schema = Arc::clone(schema);
            }
            LogicalPlan::Aggregate { keys, aggregates, .. } => {
                let mut bound = self.bind_all(keys)?;
                let mut names: Vec<String> = keys.iter().map(|key| key.output_name().to_string()).collect();
                let mut specs = Vec::with_capacity(aggregates.len());
                let mut fields: Vec<Field> =
                    bound.iter().zip(&names).map(|(key, name)| Field::new(name, key.data_type(), true)).collect();
                for (call, name) in aggregates {
                    fields.push(Field::new(name, call_type(call, &self.schema)?, true));
                    let mut arguments = Vec::with_capacity(call.args.len());
                    for argument in &call.args {
                        let text = argument.to_string();
                        let known = names[keys.len()..].iter().position(|name| *name == text);
                        arguments.push(known.map_or(names.len(), |at| at + keys.len()));
                        if known.is_none() {
                            bound.push(argument.bind(&self.schema)?);
                            names.push(text);
                        }
                    }
                    specs.push(AggregateColumn { aggregate: Arc::clone(&call.aggregate), arguments });
                }
                self.project(bound, names);
                self.cut(SinkSpec::Aggregate { keys: keys.len(), aggregates: specs }, Arc::new(Schema::new(fields)));
            }
            LogicalPlan::Limit { rows, .. } => {
                let schema = Arc::clone(&self.schema);
                self.cut(SinkSpec::Collect { limit: Some(*rows) }, schema);
            }
            LogicalPlan::Scan(_) | LogicalPlan::Sort { .. } => {}
        }
        Ok(())
    }

    /// Key columns are computed behind the others and dropped again by the sink.
    fn sort(&mut self, keys: &[SortKey], limit: Option<usize>) -> Result<()> {
        let schema = Arc::clone(&self.schema);
        let width = schema.fields().len();
        let mut columns: Vec<BoundExpr> = Vec::new();
        let mut sort_columns = Vec::with_capacity(keys.len());
        for key in keys {
            let column = match &key.expr {
                Expr::Column(name) => schema.index_of(name)?,
                other => {
                    columns.push(other.bind(&schema)?);
                    width + columns.len() - 1
                }
            };
            sort_columns.push(SortColumn { column, descending: key.descending });
        }
        if !columns.is_empty() {
            let names = schema.fields().iter().map(|field| Expr::Column(Arc::from(field.name().as_str())));
            let mut bound = names.map(|name| name.bind(&schema)).collect::<Result<Vec<_>>>()?;
            let mut titles: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            titles.extend((0..columns.len()).map(|at| format!("sort key {at}")));
            bound.append(&mut columns);
            self.project(bound, titles);
        }
        self.cut(SinkSpec::Sort { keys: sort_columns, limit, width }, schema);
        Ok(())
    }

    fn bind_all(&self, columns: &[Expr]) -> Result<Vec<BoundExpr>> {
        columns.iter().map(|column| column.bind(&self.schema)).collect()
    }

    fn project(&mut self, columns: Vec<BoundExpr>, names: Vec<String>) {
        let fields: Vec<Field> =
            names.iter().zip(&columns).map(|(name, column)| Field::new(name, column.data_type(), true)).collect();
        self.schema = Arc::new(Schema::new(fields));
        self.steps.push(Step::Project(columns, Arc::clone(&self.schema)));
    }

    fn cut(&mut self, sink: SinkSpec, schema: SchemaRef) {
        let input = std::mem::replace(&mut self.input, StageInput::Previous);
        let steps = std::mem::take(&mut self.steps);
        self.schema = Arc::clone(&schema);
        self.stages.push(Stage { input, steps, sink, schema });
    }

    /// Virtual columns that were named on the way are not part of what is delivered.
    fn drop_virtual(&mut self) -> Result<()> {
        let visible = visible_columns(&self.schema);
        if visible.len() == self.schema.fields().len() {
            return Ok(());
        }
        let names: Vec<String> = visible.iter().map(|&column| self.schema.field(column).name().clone()).collect();
        let columns: Vec<Expr> = names.iter().map(|name| Expr::Column(Arc::from(name.as_str()))).collect();
        let bound = self.bind_all(&columns)?;
        self.project(bound, names);
        Ok(())
    }

    fn finish(mut self, output: SchemaRef) -> Result<Vec<Stage>> {
        self.drop_virtual()?;
        if !self.steps.is_empty() || self.stages.is_empty() {
            self.cut(SinkSpec::Collect { limit: None }, output);
        }
        Ok(self.stages)
    }
}
