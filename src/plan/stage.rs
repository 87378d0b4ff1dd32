//! The stages that answer a question, bound to their input.

use super::unnest::unnest;
use super::{BatchFunction, JoinColumn, JoinShape, MOST_COPIES, Probe, Reserve, WindowShape};
use crate::aggregate::Aggregate;
use crate::batch::{Batch, coded};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::BoundExpr;
use crate::memory::StoredRows;
use crate::source::Source;
use crate::types::ColumnType;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a stage reads.
#[derive(Clone, Debug)]
pub enum StageInput {
    /// A scan of these columns (ascending indices into the source's schema).
    Scan {
        /// The source.
        source: Arc<dyn Source>,
        /// The columns read.
        columns: Vec<usize>,
    },
    /// The result of the stage before it in the question's chain.
    Previous,
}

/// Something done to each batch, row by row.
#[derive(Clone, Debug)]
pub enum Step {
    /// Keeps the rows for which the expression is true.
    Filter(BoundExpr),
    /// Computes new columns.
    Project(Vec<BoundExpr>, SchemaRef),
    /// Calls a function of the user's.
    Map(BatchFunction, SchemaRef),
    /// Makes rows of the items of the last column.
    Unnest(SchemaRef),
    /// Finds the matches of each row; before the right rows have been read, nothing does.
    Join(Arc<JoinShape>, Option<Arc<dyn Probe>>),
}

impl Step {
    /// Applies the step to a batch. Where it makes more rows than came, it asks `reserve` for their bytes first.
    pub(crate) fn apply(&self, batch: Batch, reserve: Reserve<'_>) -> Result<Batch> {
        match self {
            Step::Filter(predicate) => {
                let mask = predicate.mask_rows(&batch)?;
                if mask.true_count() == batch.rows() { Ok(batch) } else { batch.filter(&mask) }
            }
            Step::Project(columns, schema) => {
                let arrays = columns.iter().map(|column| column.evaluate_as_is(&batch));
                let records = coded::records(schema, arrays.collect::<Result<Vec<ArrayRef>>>()?, batch.rows())?;
                Ok(Batch { records, origin: batch.origin })
            }
            Step::Map(function, schema) => {
                let before = batch.rows();
                let records = (function.0)(coded::plain_from(0, batch.records)?)?;
                check_mapped(&records, schema)?;
                let rows = records.num_rows();
                let origin = if rows == before { batch.origin } else { batch.origin.copies_of_first(rows) };
                Ok(Batch { records, origin })
            }
            Step::Unnest(schema) => unnest(batch, schema, reserve),
            Step::Join(_, Some(probe)) => probe.probe(batch, reserve),
            Step::Join(_, None) => Err(Error::internal("a join whose right side was not read")),
        }
    }
}

fn check_mapped(records: &RecordBatch, schema: &SchemaRef) -> Result<()> {
    let same = records
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type())
        .eq(schema.fields().iter().map(|field| field.data_type()));
    if same {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Type,
        format!("map_partitions promised the columns {schema:?} but its function returned {:?}", records.schema()),
    ))
}

/// An aggregate of a grouping stage and where its arguments stand in the stage's batches.
#[derive(Clone, Debug)]
pub struct AggregateColumn {
    /// The aggregate.
    pub aggregate: Arc<dyn Aggregate>,
    /// Columns of the batch.
    pub arguments: Vec<usize>,
}

/// A sort key and where it stands in the stage's batches.
#[derive(Clone, Debug)]
pub struct SortColumn {
    /// Column of the batch.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
}

/// Where the batches of a stage go.
#[derive(Clone, Debug)]
pub enum SinkSpec {
    /// Groups: the first `keys` columns of the batch are keys.
    Aggregate {
        /// How many leading columns are keys.
        keys: usize,
        /// The aggregates.
        aggregates: Vec<AggregateColumn>,
    },
    /// All rows in order, or the first of them; columns from `width` on are dropped from the result.
    Sort {
        /// The keys.
        keys: Vec<SortColumn>,
        /// How many rows stay.
        limit: Option<usize>,
        /// How many leading columns the result has.
        width: usize,
    },
    /// All rows in order, with values that are computed of the rows around them.
    Window(Arc<WindowShape>),
    /// The matches of all rows, once they have been seen.
    Join(JoinSide),
    /// The rows as they come in input order, and then the right rows that the last step has found no match for. It says
    /// in a last column which right row each row has.
    Rest(Arc<dyn Probe>),
    /// The rows as they come in input order.
    Collect {
        /// How many rows stay.
        limit: Option<usize>,
    },
}

/// A join of all rows of a stage: their keys come first, then the columns that the shape names.
#[derive(Clone, Debug)]
pub struct JoinSide {
    /// Keys and columns; the keys of left rows have been evaluated.
    pub shape: Arc<JoinShape>,
    /// The right rows.
    pub right: StoredRows,
    /// Their columns.
    pub right_schema: SchemaRef,
    /// So many rows of the result are wanted, the first ones.
    pub limit: Option<usize>,
}

/// Those of the expressions that merely name a column of texts.
fn texts<'a>(exprs: impl Iterator<Item = &'a BoundExpr>) -> impl Iterator<Item = usize> {
    exprs.filter(|expr| expr.column_type() == ColumnType::Utf8).filter_map(BoundExpr::as_column)
}

/// One scan of one input through steps into a sink.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it reads.
    pub input: StageInput,
    /// What is done to each batch, in order.
    pub steps: Vec<Step>,
    /// Where the batches go.
    pub sink: SinkSpec,
    /// How many rows at the beginning of the result are left out.
    pub skip: usize,
    /// The columns of the result.
    pub schema: SchemaRef,
}

impl Stage {
    /// How many leading columns its sink takes as codes.
    pub(crate) fn coded_columns(&self) -> usize {
        match self.sink {
            SinkSpec::Aggregate { keys, .. } => keys,
            SinkSpec::Sort { .. }
            | SinkSpec::Window(_)
            | SinkSpec::Collect { .. }
            | SinkSpec::Join(_)
            | SinkSpec::Rest(_) => 0,
        }
    }

    /// How many joins are among its steps.
    pub(crate) fn joins(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Join(..))).count()
    }

    /// Whether its rows stay in memory, or go out, as they are.
    pub(crate) fn holds_rows(&self) -> bool {
        !matches!(self.sink, SinkSpec::Aggregate { .. })
    }

    /// Bytes that its sink cannot do without: states that belong to no group cannot be written and forgotten.
    pub(crate) fn undivided_bytes(&self) -> usize {
        match &self.sink {
            SinkSpec::Aggregate { keys: 0, aggregates } => {
                aggregates.iter().map(|column| column.aggregate.most_state_bytes()).sum()
            }
            _ => 0,
        }
    }

    /// Whether several of its rows may have come of one row of its input.
    pub(crate) fn multiplies(&self) -> bool {
        self.made_rows() > 1
    }

    /// How many rows it may make of one, as far as that is to be reckoned with.
    pub(crate) fn made_rows(&self) -> usize {
        let copies = |step: &Step| match step {
            Step::Join(_, probe) => probe.as_ref().map_or(1, |probe| probe.copies()),
            Step::Map(..) | Step::Unnest(_) => MOST_COPIES,
            Step::Filter(_) | Step::Project(..) => 1,
        };
        self.steps.iter().map(copies).fold(1, usize::saturating_mul).min(MOST_COPIES)
    }

    /// The columns of its input, by index, that are of more use to it as codes than as texts.
    pub(crate) fn profits_from_codes(&self) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        // Which column of the input each column is, once a join has put others between them.
        let mut origins: Option<Vec<Option<usize>>> = None;
        for (at, step) in self.steps.iter().enumerate() {
            let mut here = BTreeSet::new();
            match step {
                Step::Filter(predicate) => predicate.profits_from_codes(&mut here),
                Step::Project(columns, _) => {
                    columns.iter().for_each(|column| column.profits_from_codes(&mut here));
                    if at + 1 == self.steps.len() {
                        here.extend(texts(columns.iter().take(self.coded_columns())));
                    }
                }
                Step::Join(shape, _) => here.extend(texts(shape.left_keys.iter())),
                Step::Map(..) | Step::Unnest(_) => break,
            }
            let origin = |at: usize| match &origins {
                None => Some(at),
                Some(origins) => origins.get(at).copied().flatten(),
            };
            found.extend(here.into_iter().filter_map(origin));
            match step {
                Step::Join(shape, _) => {
                    let of_left = |column: &JoinColumn| match column {
                        JoinColumn::Left(at) => origin(*at),
                        JoinColumn::Right(_) | JoinColumn::Either(..) => None,
                    };
                    origins = Some(shape.columns.iter().map(of_left).collect());
                }
                Step::Project(..) => break,
                _ => {}
            }
        }
        found
    }

    /// The types of the columns that reach the sink.
    pub(crate) fn input_types(&self) -> Vec<arrow::datatypes::DataType> {
        let last = self.steps.iter().rev().find_map(|step| match step {
            Step::Filter(_) => None,
            Step::Project(_, schema) | Step::Map(_, schema) | Step::Unnest(schema) => Some(schema),
            Step::Join(shape, _) => Some(&shape.schema),
        });
        // Without a step that changes columns, the sink collects or sorts the stage's own columns.
        last.unwrap_or(&self.schema).fields().iter().map(|field| field.data_type().clone()).collect()
    }
}
