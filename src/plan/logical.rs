//! What is asked: a chain of verbs over one source, with names not yet bound.

use super::unnest::unnested;
use super::{Join, Window};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr};
use crate::source::Source;
use crate::source::constants::visible_schema;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// A function of the user's on batches. It sees batches of arbitrary size and must treat rows one by one.
#[derive(Clone)]
pub struct BatchFunction(pub(crate) Arc<dyn Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync>);

impl fmt::Debug for BatchFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchFunction")
    }
}

/// One key of a sort. Nulls come last in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What to sort by.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
}

/// A described table: a source, or a verb on another described table.
#[derive(Clone, Debug)]
pub enum LogicalPlan {
    /// All rows of a source.
    Scan(Arc<dyn Source>),
    /// The rows for which the predicate is true.
    Filter {
        /// What is filtered.
        input: Arc<LogicalPlan>,
        /// A Boolean expression; null counts as false.
        predicate: Expr,
    },
    /// New columns in place of the old.
    Project {
        /// What the expressions are over.
        input: Arc<LogicalPlan>,
        /// One expression a column, without wildcards.
        columns: Vec<Expr>,
    },
    /// A function of the user's on every batch.
    Map {
        /// What the function is given.
        input: Arc<LogicalPlan>,
        /// The function.
        function: BatchFunction,
        /// The schema that it promises.
        schema: SchemaRef,
    },
    /// One row a group: keys, then aggregates. Without keys, one row.
    Aggregate {
        /// What is grouped.
        input: Arc<LogicalPlan>,
        /// Key expressions.
        keys: Vec<Expr>,
        /// Aggregates, each with the name of its column.
        aggregates: Vec<(AggregateCall, String)>,
    },
    /// One row for each item of the last column, a list of rows, whose fields are columns in its place.
    Unnest {
        /// What has the lists.
        input: Arc<LogicalPlan>,
    },
    /// All rows in order; ties keep input order.
    Sort {
        /// What is sorted.
        input: Arc<LogicalPlan>,
        /// Most significant first.
        keys: Vec<SortKey>,
    },
    /// All rows with values that are computed of the rows around them, in the order of the last window: by its partition and its
    /// order, ties in input order.
    Window {
        /// What the windows are over.
        input: Arc<LogicalPlan>,
        /// All over the same rows.
        windows: Vec<Window>,
    },
    /// The first rows, or some behind them.
    Limit {
        /// What is cut.
        input: Arc<LogicalPlan>,
        /// How many rows at the beginning are left out.
        skip: usize,
        /// How many of the others stay, at most.
        rows: usize,
    },
    /// Some rows, in input order, by hashes of their identities.
    Sample {
        /// What they are drawn from.
        input: Arc<LogicalPlan>,
        /// How many.
        size: SampleSize,
        /// Another seed draws other rows.
        seed: u64,
    },
    /// Rows of two tables that belong together.
    Join(Join),
}

/// How many rows are drawn, without replacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleSize {
    /// So many, or all if there are fewer.
    Rows(usize),
    /// Each row with this probability, from 0 to 1.
    Share(f64),
}

impl fmt::Display for SampleSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleSize::Rows(rows) => write!(f, "{rows}"),
            SampleSize::Share(share) => write!(f, "{}%", (share * 1e12).round() / 1e10),
        }
    }
}

impl LogicalPlan {
    /// The columns that expressions over this table can name, virtual ones included; checks all names and types below
    /// on the way.
    ///
    /// # Errors
    /// `Name` and `Type` errors of the expressions.
    pub fn schema(&self) -> Result<SchemaRef> {
        match self {
            LogicalPlan::Scan(source) => Ok(source.schema()),
            LogicalPlan::Filter { input, predicate } => {
                let schema = input.schema()?;
                predicate.bind_condition(&schema)?;
                Ok(schema)
            }
            LogicalPlan::Project { input, columns } => {
                let schema = input.schema()?;
                let field =
                    |column: &Expr| Ok(Field::new(&*column.output_name(), column.bind(&schema)?.data_type(), true));
                unique_schema(columns.iter().map(field).collect::<Result<_>>()?)
            }
            LogicalPlan::Map { input, schema, .. } => {
                input.schema()?;
                Ok(Arc::clone(schema))
            }
            LogicalPlan::Aggregate { input, keys, aggregates } => {
                let schema = input.schema()?;
                let mut fields = Vec::with_capacity(keys.len() + aggregates.len());
                for key in keys {
                    fields.push(Field::new(&*key.output_name(), key.bind_single(&schema, "a key")?.data_type(), true));
                }
                for (call, name) in aggregates {
                    fields.push(Field::new(name, call_type(call, &schema)?, true));
                }
                unique_schema(fields)
            }
            LogicalPlan::Unnest { input } => unnested(&*input.schema()?),
            LogicalPlan::Sort { input, keys } => {
                let schema = input.schema()?;
                for key in keys {
                    key.expr.bind_single(&schema, "a sort key")?;
                }
                Ok(schema)
            }
            LogicalPlan::Window { input, windows } => Window::schema(windows, &input.schema()?),
            LogicalPlan::Limit { input, .. } | LogicalPlan::Sample { input, .. } => input.schema(),
            LogicalPlan::Join(join) => join.schema(),
        }
    }

    /// The columns of the answer: those of [`LogicalPlan::schema`] without virtual ones.
    ///
    /// # Errors
    /// As [`LogicalPlan::schema`].
    pub fn answer_schema(&self) -> Result<SchemaRef> {
        Ok(visible_schema(&self.schema()?))
    }

    /// What the verb is on, of a join the left table; `None` for a source.
    pub fn input(&self) -> Option<&Arc<LogicalPlan>> {
        match self {
            LogicalPlan::Scan(_) => None,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Map { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Unnest { input }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Window { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Sample { input, .. } => Some(input),
            LogicalPlan::Join(join) => Some(&join.left),
        }
    }

    /// The same verb on something else.
    #[must_use]
    pub(super) fn with_input(&self, new: Arc<LogicalPlan>) -> LogicalPlan {
        let mut plan = self.clone();
        match &mut plan {
            LogicalPlan::Scan(_) => {}
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Map { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Unnest { input }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Window { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Sample { input, .. } => *input = new,
            LogicalPlan::Join(join) => *join = join.with_left(new),
        }
        plan
    }

    /// The source at the bottom, of joins that of the left table.
    pub fn source(&self) -> &Arc<dyn Source> {
        match self {
            LogicalPlan::Scan(source) => source,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Map { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Unnest { input }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Window { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Sample { input, .. } => input.source(),
            LogicalPlan::Join(join) => join.left.source(),
        }
    }

    /// All sources, that of [`LogicalPlan::source`] first.
    pub fn sources(&self) -> Vec<&Arc<dyn Source>> {
        let mut found = vec![self.source()];
        let mut verb = Some(self);
        while let Some(plan) = verb {
            if let LogicalPlan::Join(join) = plan {
                found.extend(join.right.sources());
            }
            verb = plan.input().map(Arc::as_ref);
        }
        found
    }

    /// The plan with others in place of some of its verbs and sources, those of right tables too: of each, from the sources
    /// upwards, `new` is asked for another.
    ///
    /// # Errors
    /// Those of `new`.
    pub(crate) fn replaced(
        &self,
        new: &mut dyn FnMut(&LogicalPlan) -> Result<Option<LogicalPlan>>,
    ) -> Result<LogicalPlan> {
        let mut plan = match self.input() {
            None => self.clone(),
            Some(input) => self.with_input(Arc::new(input.replaced(new)?)),
        };
        if let LogicalPlan::Join(join) = &mut plan {
            *join = join.with_right(Arc::new(join.right.replaced(new)?));
        }
        Ok(new(&plan)?.unwrap_or(plan))
    }
}

/// The type of an aggregate's result.
pub(super) fn call_type(call: &AggregateCall, schema: &Schema) -> Result<DataType> {
    let data_type = |argument: &Expr| Ok(argument.bind_single(schema, "what is aggregated")?.data_type());
    let types = call.args.iter().map(data_type).collect::<Result<Vec<_>>>()?;
    call.aggregate.output_type(&types)
}

fn unique_schema(fields: Vec<Field>) -> Result<SchemaRef> {
    let mut seen = HashSet::new();
    for field in &fields {
        if !seen.insert(field.name().as_str()) {
            return Err(Error::new(ErrorKind::Name, format!("two columns are named `{}`", field.name()))
                .hint("give one of them another name with `as`"));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
