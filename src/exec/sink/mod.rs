//! Sinks: what a stage does with its batches.
//!
//! **Idea.** Each worker has an empty sink of its own and absorbs what is committed, in whatever order it comes; the sinks are
//! joined at the end and finished once. **Invariant.** The result does not depend on which sink absorbed what, in
//! which order, or where batches were cut.

mod aggregate;
mod collect;
mod sort;

use crate::batch::{Batch, RowId};
use crate::error::Result;
use crate::memory::Budget;
use crate::plan::{SinkSpec, Stage};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::sync::Arc;

/// The result of a stage: ordered batches in memory.
#[derive(Clone, Debug)]
pub struct Materialised {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
}

/// Takes the batches of a stage.
pub(crate) trait Sink: Send + Any {
    /// Takes a batch; batches come in any order.
    fn absorb(&mut self, batch: Batch) -> Result<()>;

    /// Takes all that another sink of the same kind holds.
    fn join(&mut self, other: Box<dyn Sink>) -> Result<()>;

    /// The last row wanted, when there is a limit on rows in input order and the rows held fill it.
    fn filled_by(&self) -> Option<RowId> {
        None
    }

    /// The result.
    fn finish(self: Box<Self>) -> Result<Materialised>;

    /// For `join` to recognise its own kind.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The sink of a stage, empty.
pub(crate) fn make(stage: &Stage, budget: &Budget) -> Result<Box<dyn Sink>> {
    let schema = Arc::clone(&stage.schema);
    Ok(match &stage.sink {
        SinkSpec::Aggregate { keys, aggregates } => {
            Box::new(aggregate::AggregateSink::new(schema, &stage.input_types(), *keys, aggregates.clone(), budget)?)
        }
        SinkSpec::Sort { keys, limit, width } => {
            Box::new(sort::SortSink::new(schema, &stage.input_types(), keys.clone(), *limit, *width, budget)?)
        }
        SinkSpec::Collect { limit } => Box::new(collect::CollectSink::new(schema, *limit, budget)),
    })
}
