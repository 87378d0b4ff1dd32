//! Groups: a table of keys and states.

use super::{Materialised, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::groupby::GroupTable;
use crate::memory::{Budget, Reservation};
use crate::plan::AggregateColumn;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use std::any::Any;
use std::sync::Arc;

pub(super) struct AggregateSink {
    schema: SchemaRef,
    keys: usize,
    aggregates: Vec<AggregateColumn>,
    table: GroupTable,
    reservation: Reservation,
}

impl AggregateSink {
    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: usize,
        aggregates: Vec<AggregateColumn>,
        budget: &Budget,
    ) -> Result<Self> {
        let typed = |column: &AggregateColumn| {
            let arguments = column.arguments.iter().map(|&at| types[at].clone()).collect();
            (Arc::clone(&column.aggregate), arguments)
        };
        let table = GroupTable::new(&types[..keys], aggregates.iter().map(typed).collect())?;
        let reservation = budget.reservation("grouping");
        Ok(AggregateSink { schema, keys, aggregates, table, reservation })
    }
}

impl Sink for AggregateSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        let columns = batch.records.columns();
        let pick = |column: &AggregateColumn| column.arguments.iter().map(|&at| Arc::clone(&columns[at])).collect();
        let arguments: Vec<Vec<ArrayRef>> = self.aggregates.iter().map(pick).collect();
        self.table.update(&columns[..self.keys], &arguments, batch.rows(), &batch.origin)?;
        self.reservation.resize(self.table.bytes_held())
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<AggregateSink>();
        let other = other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.table.merge(other.table)?;
        self.reservation.resize(self.table.bytes_held())
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let columns = self.table.finish()?;
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(Materialised { schema: self.schema, batches: vec![batch] })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
