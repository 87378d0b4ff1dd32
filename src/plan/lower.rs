//! From a logical plan to the chain of stages that answers it.

use super::logical::call_type;
use super::need::Need;
use super::push_down::pushed;
use super::unnest::unnested;
use super::window::Columns;
use super::{
    AggregateColumn, FirstRows, Join, JoinColumn, JoinShape, LogicalPlan, Residual, SampleSize, SinkSpec, SortColumn,
    SortKey,
};
use super::{Stage, StageInput, Step, Window, WindowShape};
use crate::error::{Error, Result};
use crate::expr::{BoundExpr, Expr, RowValue};
use crate::source::constants::visible_columns;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;

/// The stages of a plan, in the order they run. The first scans the plan's source, reading only the columns that the
/// plan uses; each later one reads the result of the one before.
///
/// # Errors
/// The `Name` and `Type` errors of [`LogicalPlan::schema`].
pub fn lower(plan: &LogicalPlan) -> Result<Vec<Stage>> {
    let output = plan.answer_schema()?;
    let plan = &pushed(plan)?;
    let mut chain = Vec::new();
    flatten(plan, &mut chain);
    let source = plan.source();
    let full = source.schema();
    let (mut joins, need) = Need::walk(plan)?;
    let columns = need.indices(&full);
    let scanned = Arc::new(full.project(&columns)?);
    let mut builder = Builder {
        stages: Vec::new(),
        input: StageInput::Scan { source: Arc::clone(source), columns },
        steps: Vec::new(),
        schema: scanned,
        joins: 0,
        mapped: false,
    };
    let mut verbs = chain.into_iter().peekable();
    while let Some(verb) = verbs.next() {
        match verb {
            LogicalPlan::Scan(_) => {}
            LogicalPlan::Sort { keys, .. } => {
                let (limit, skip) = match verbs.peek() {
                    Some(LogicalPlan::Limit { skip, rows, .. }) => (wanted(*skip, *rows), Some(*skip)),
                    _ => (None, None),
                };
                if skip.is_some() {
                    verbs.next();
                }
                builder.sort(keys, limit)?;
                builder.skip(skip.unwrap_or(0));
            }
            LogicalPlan::Window { windows, .. } => {
                let first = match verbs.peek() {
                    Some(LogicalPlan::Filter { predicate, .. }) => FirstRows::asked_for(windows, predicate),
                    _ => None,
                };
                builder.windows(windows, first)?;
            }
            LogicalPlan::Join(_) => {
                let (join, need) = joins.pop().ok_or_else(|| Error::internal("a join that nobody counted"))?;
                builder.join(join, &need)?;
            }
            other => builder.add(other)?,
        }
    }
    builder.finish(output)
}

/// The verbs from the source upwards.
fn flatten<'a>(plan: &'a LogicalPlan, chain: &mut Vec<&'a LogicalPlan>) {
    if let Some(input) = plan.input() {
        flatten(input, chain);
    }
    chain.push(plan);
}

/// How many rows there must be for those behind the first `skip`; `None` for all.
fn wanted(skip: usize, rows: usize) -> Option<usize> {
    skip.checked_add(rows).filter(|wanted| *wanted < usize::MAX)
}

/// A place is a file, a position and a number of a copy.
const PLACES: usize = 3;

struct Builder {
    stages: Vec<Stage>,
    input: StageInput,
    steps: Vec<Step>,
    schema: SchemaRef,
    /// Joins so far.
    joins: usize,
    /// Whether rows are those that a function has made of batches: their identities then tell where batches ended.
    mapped: bool,
}

impl Builder {
    fn add(&mut self, verb: &LogicalPlan) -> Result<()> {
        match verb {
            LogicalPlan::Filter { predicate, .. } => {
                let bound = predicate.bind_condition(&self.schema)?;
                self.number_rows(bound.reads_identity());
                self.steps.push(Step::Filter(bound));
            }
            LogicalPlan::Project { columns, .. } => {
                let bound = self.bind_all(columns)?;
                self.number_rows(bound.iter().any(BoundExpr::reads_identity));
                let names = columns.iter().map(|column| column.output_name().to_string());
                self.project(bound, names.collect());
            }
            LogicalPlan::Map { function, schema, .. } => {
                self.drop_virtual()?;
                self.steps.push(Step::Map(function.clone(), Arc::clone(schema)));
                self.schema = Arc::clone(schema);
                self.mapped = true;
            }
            LogicalPlan::Unnest { .. } => {
                let schema = unnested(&self.schema)?;
                self.steps.push(Step::Unnest(Arc::clone(&schema)));
                self.schema = schema;
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
                let uses_identities = specs.iter().any(|spec| spec.aggregate.uses_identities());
                self.number_rows(uses_identities || bound.iter().any(BoundExpr::reads_identity));
                self.project(bound, names);
                self.cut(SinkSpec::Aggregate { keys: keys.len(), aggregates: specs }, Arc::new(Schema::new(fields)));
            }
            LogicalPlan::Sample { size: SampleSize::Share(share), seed, .. } => {
                self.number_rows(true);
                self.steps.push(Step::Filter(BoundExpr::is_sampled(*share, *seed)));
            }
            LogicalPlan::Sample { size: SampleSize::Rows(rows), seed, .. } => self.sample(*rows, *seed)?,
            LogicalPlan::Limit { skip, rows, .. } => {
                let schema = Arc::clone(&self.schema);
                self.cut(SinkSpec::Collect { limit: wanted(*skip, *rows) }, schema);
                self.skip(*skip);
            }
            LogicalPlan::Scan(_) | LogicalPlan::Sort { .. } | LogicalPlan::Window { .. } | LogicalPlan::Join(_) => {}
        }
        Ok(())
    }

    /// Before a step that goes by identities of rows: those that a function has made are put together first, and are then the
    /// first, the second and so on, wherever the batches ended.
    fn number_rows(&mut self, is_needed: bool) {
        if is_needed && self.mapped {
            let schema = Arc::clone(&self.schema);
            self.cut(SinkSpec::Collect { limit: None }, schema);
        }
    }

    /// Of the columns of the result, only those that are used.
    fn join(&mut self, join: &Join, need: &Need) -> Result<()> {
        if join.waits && self.stages.is_empty() {
            let schema = Arc::clone(&self.schema);
            self.cut(SinkSpec::Collect { limit: None }, schema);
        }
        let (left_keys, domains) = join.keys(&self.schema)?;
        let full = join.left.schema()?;
        let here = |at: usize| self.schema.index_of(full.field(at).name());
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in join.columns(&full)?.into_iter().filter(|(field, _)| need.has(field)) {
            columns.push(match column {
                JoinColumn::Left(at) => JoinColumn::Left(here(at)?),
                JoinColumn::Right(at) => JoinColumn::Right(at),
                JoinColumn::Either(ours, theirs) => JoinColumn::Either(here(ours)?, theirs),
            });
            fields.push(field);
        }
        let residual = self.residual(join, &full)?;
        let schema = Arc::new(Schema::new(fields));
        let (kind, number) = (join.kind, self.joins);
        let right_keys = join.built().map(|built| built.keys.clone()).unwrap_or_default();
        let shape =
            JoinShape { kind, number, left_keys, right_keys, domains, residual, columns, schema: Arc::clone(&schema) };
        self.steps.push(Step::Join(Arc::new(shape), None));
        self.joins += 1;
        self.schema = schema;
        Ok(())
    }

    /// The condition of a join beside its keys.
    fn residual(&self, join: &Join, full: &Schema) -> Result<Option<Residual>> {
        let Some(condition) = join.residual() else { return Ok(None) };
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in join.columns_of_residual(full)? {
            columns.push(match column {
                JoinColumn::Left(at) => JoinColumn::Left(self.schema.index_of(full.field(at).name())?),
                other => other,
            });
            fields.push(field);
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Some(Residual { predicate: condition.bind_condition(&schema)?, columns, schema }))
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
        self.number_rows(columns.iter().any(BoundExpr::reads_identity));
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

    /// A stage for each window. What it needs is computed behind the columns there are, and dropped again by its sink. Where there
    /// are several, rows take their places along, so that ties are in input order in all of them. Of the last, only the `first` rows
    /// of each partition stay, if that is all.
    fn windows(&mut self, windows: &[Window], first: Option<FirstRows>) -> Result<()> {
        let input = self.schema.fields().len();
        self.number_rows(windows.len() > 1);
        for (number, window) in windows.iter().enumerate() {
            let schema = Arc::clone(&self.schema);
            let mut columns = Columns::of(&schema)?;
            if number == 0 && windows.len() > 1 {
                for (place, name) in
                    [(RowValue::File, "file"), (RowValue::Position, "position"), (RowValue::Copy, "copy")]
                {
                    columns.add(BoundExpr::of_row(place), format!("window {name}"));
                }
            }
            let places: Vec<usize> = if windows.len() > 1 { (input..input + PLACES).collect() } else { Vec::new() };
            let is_last = number + 1 == windows.len();
            let shown = (0..columns.names.len()).filter(|at| !(is_last && places.contains(at))).collect();
            // In the first stage, identities are the places.
            let ties = if number == 0 { &[] } else { &places[..] };
            let mut shape = WindowShape::of(window, &mut columns, ties, shown)?;
            shape.first = first.filter(|_| is_last);
            let Columns { bound, names, .. } = columns;
            self.number_rows(bound.iter().any(BoundExpr::reads_identity));
            self.project(bound, names);
            // Columns that there were stay as they were, virtual or not.
            let shown = shape.shown.iter().map(|&at| schema.fields().get(at).unwrap_or(&self.schema.fields()[at]));
            let mut fields: Vec<Arc<Field>> = shown.cloned().collect();
            let with_window = Window::schema(std::slice::from_ref(window), &schema)?;
            fields.extend(with_window.fields()[schema.fields().len()..].iter().cloned());
            self.cut(SinkSpec::Window(Arc::new(shape)), Arc::new(Schema::new(fields)));
        }
        Ok(())
    }

    /// The first rows by their hashes, put back in order by their places, which are dropped with the hashes.
    fn sample(&mut self, rows: usize, seed: u64) -> Result<()> {
        self.number_rows(true);
        let schema = Arc::clone(&self.schema);
        let width = schema.fields().len();
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut columns: Vec<BoundExpr> =
            names.iter().map(|name| Expr::Column(Arc::from(name.as_str())).bind(&schema)).collect::<Result<_>>()?;
        let places = [RowValue::File, RowValue::Position, RowValue::Copy];
        columns.extend(places.map(BoundExpr::of_row));
        columns.push(BoundExpr::of_row(RowValue::sample_hash(seed)));
        let hidden = ["sample file", "sample position", "sample copy", "sample hash"].map(str::to_owned);
        self.project(columns, names.into_iter().chain(hidden).collect());
        let with_places = Arc::new(self.schema.project(&(0..width + places.len()).collect::<Vec<_>>())?);
        let ascending = |column| SortColumn { column, descending: false };
        let hash = width + places.len();
        self.cut(SinkSpec::Sort { keys: vec![ascending(hash)], limit: Some(rows), width: hash }, with_places);
        let keys = (width..hash).map(ascending).collect();
        // What the sink is given is told by a step.
        let names: Vec<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        let columns =
            self.bind_all(&names.iter().map(|name| Expr::Column(name.as_str().into())).collect::<Vec<_>>())?;
        self.project(columns, names);
        self.cut(SinkSpec::Sort { keys, limit: None, width }, schema);
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
        self.mapped = false;
        self.schema = Arc::clone(&schema);
        self.stages.push(Stage { input, steps, sink, skip: 0, schema });
    }

    /// The last stage leaves out so many rows at the beginning.
    fn skip(&mut self, rows: usize) {
        if let Some(last) = self.stages.last_mut() {
            last.skip = rows;
        }
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

    /// Whether what is left to do gives the columns of the last stage, as it makes them, other names.
    fn only_renames(&self) -> bool {
        let makes_rows = |stage: &Stage| matches!(stage.sink, SinkSpec::Aggregate { .. } | SinkSpec::Sort { .. });
        let Some(last) = self.stages.last().filter(|last| makes_rows(last)) else { return false };
        let [Step::Project(columns, _)] = &*self.steps else { return false };
        columns.len() == last.schema.fields().len()
            && columns.iter().enumerate().all(|(at, column)| column.as_column() == Some(at))
    }

    fn finish(mut self, output: SchemaRef) -> Result<Vec<Stage>> {
        self.drop_virtual()?;
        if self.only_renames()
            && let Some(last) = self.stages.last_mut()
        {
            last.schema = output;
            return Ok(self.stages);
        }
        if !self.steps.is_empty() || self.stages.is_empty() {
            self.cut(SinkSpec::Collect { limit: None }, output);
        }
        Ok(self.stages)
    }
}
