//! Groups: a table of keys and states, and sorted runs of those that did not fit.

use super::{Materialised, Room, Sink};
use crate::aggregate::{Aggregate, GroupStates};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::runs::{BLOCK_ROWS, Merge, Order, Run, append, block_rows, reduce};
use crate::groupby::GroupTable;
use crate::memory::{Reservation, SpillFile, without_unused_text};
use crate::plan::AggregateColumn;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::any::Any;
use std::sync::Arc;

/// What a table needs besides itself to be sorted and written: its keys and states as columns, and the keys encoded.
const HEADROOM: usize = 3;

pub(super) struct AggregateSink {
    shape: Shape,
    table: GroupTable,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
}

/// What is grouped, and how.
struct Shape {
    schema: SchemaRef,
    key_types: Vec<DataType>,
    columns: Vec<AggregateColumn>,
    aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>,
}

impl Shape {
    fn table(&self) -> Result<GroupTable> {
        GroupTable::new(&self.key_types, self.aggregates.clone())
    }

    fn states(&self) -> Result<Vec<Box<dyn GroupStates>>> {
        self.aggregates.iter().map(|(aggregate, arguments)| aggregate.states(arguments)).collect()
    }

    /// Runs are sorted by the keys.
    fn order(&self) -> Result<Order> {
        Order::new(self.key_types.iter().cloned().enumerate().map(|(at, of_type)| (at, of_type, false)))
    }
}

impl AggregateSink {
    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: usize,
        columns: Vec<AggregateColumn>,
        room: &Room,
    ) -> Result<Self> {
        let typed = |column: &AggregateColumn| {
            let arguments = column.arguments.iter().map(|&at| types[at].clone()).collect();
            (Arc::clone(&column.aggregate), arguments)
        };
        let aggregates = columns.iter().map(typed).collect();
        let shape = Shape { schema, key_types: types[..keys].to_vec(), columns, aggregates };
        Ok(AggregateSink {
            table: shape.table()?,
            shape,
            runs: Vec::new(),
            file: Arc::new(room.spill.file()),
            room: room.clone(),
            reservation: room.reservation("grouping")?,
        })
    }

    /// Asks for the memory of the table as it is now; without it, the table goes to disk.
    fn settle(&mut self) -> Result<()> {
        if self.shape.key_types.is_empty() {
            // One group cannot be divided.
            return self.reservation.resize(self.table.bytes_held());
        }
        match self.reservation.resize(self.table.bytes_held().saturating_mul(HEADROOM)) {
            Err(_) if self.table.groups() > 0 => self.spill(),
            settled => settled,
        }
    }

    /// Writes the table as a sorted run and begins a new one.
    fn spill(&mut self) -> Result<()> {
        let table = std::mem::replace(&mut self.table, self.shape.table()?);
        let groups = table.groups();
        if groups == 0 {
            return Ok(());
        }
        let batch = of_columns(table.export()?, groups)?;
        drop(table);
        let order = self.shape.order()?.sorted(&batch)?;
        let rows = block_rows(&batch);
        let mut run = Run::new();
        for start in (0..groups).step_by(rows) {
            let block: UInt32Array = order.slice(start, rows.min(groups - start));
            append(&mut run, &self.file, &take_record_batch(&batch, &block)?)?;
        }
        self.runs.push(run);
        self.reservation.resize(0)
    }

    /// The groups of all runs, merged.
    fn finish_runs(mut self) -> Result<Materialised> {
        self.spill()?;
        let order = self.shape.order()?;
        let runs = reduce(self.runs, &order, &self.file, usize::MAX)?;
        let mut merge = Merge::new(runs, &order)?;
        let mut results = self.room.results();
        let mut open: Option<RecordBatch> = None;
        while let Some(batch) = merge.next(BLOCK_ROWS)? {
            let batch = match open.take() {
                Some(open) => concat_batches(&open.schema(), [&open, &batch])?,
                None => batch,
            };
            let mut groups = MergedGroups::of(&self.shape, &order, &batch)?;
            open = Some(groups.take_last()?);
            results.push(groups.finish(&self.shape)?)?;
        }
        if let Some(open) = open {
            results.push(MergedGroups::of(&self.shape, &order, &open)?.finish(&self.shape)?)?;
        }
        Ok(Materialised { schema: self.shape.schema, rows: results.finish() })
    }
}

/// A batch with these columns, whose names do not matter.
fn of_columns(columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(at.to_string(), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)?)
}

/// Adjacent rows of runs, those of one key put together.
struct MergedGroups {
    schema: SchemaRef,
    /// One row a group.
    keys: Vec<ArrayRef>,
    states: Vec<Box<dyn GroupStates>>,
    groups: usize,
}

impl MergedGroups {
    /// Of rows that are in order.
    fn of(shape: &Shape, order: &Order, batch: &RecordBatch) -> Result<Self> {
        let encoded = order.encode(batch)?;
        let (mut firsts, mut ids) = (Vec::new(), Vec::with_capacity(batch.num_rows()));
        for row in 0..batch.num_rows() {
            if row == 0 || encoded.row(row) != encoded.row(row - 1) {
                firsts.push(row as u32);
            }
            ids.push(firsts.len() as u32 - 1);
        }
        let groups = firsts.len();
        let firsts = UInt32Array::from(firsts);
        let (key_columns, mut exported) = batch.columns().split_at(shape.key_types.len());
        let keys = key_columns.iter().map(|column| Ok(take(column, &firsts, None)?)).collect::<Result<_>>()?;
        let mut states = shape.states()?;
        for states in &mut states {
            let width = states.export(0..0)?.len();
            let (own, others) =
                exported.split_at_checked(width).ok_or_else(|| Error::internal("a run lacks columns"))?;
            states.grow(groups);
            states.import(own, &ids)?;
            exported = others;
        }
        Ok(MergedGroups { schema: batch.schema(), keys, states, groups })
    }

    /// Takes the last group out, as a row of a run: more of it may follow.
    fn take_last(&mut self) -> Result<RecordBatch> {
        let last = self.groups - 1;
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(last, 1)).collect();
        for states in &self.states {
            columns.append(&mut states.export(last..last + 1)?);
        }
        self.groups = last;
        // It goes from batch to batch and would take the text of all of them along.
        Ok(without_unused_text(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }

    fn finish(mut self, shape: &Shape) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(0, self.groups)).collect();
        for states in &mut self.states {
            columns.push(states.finish(0..self.groups)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&shape.schema), columns)?)
    }
}

impl Sink for AggregateSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        let columns = batch.records.columns();
        let pick = |column: &AggregateColumn| column.arguments.iter().map(|&at| Arc::clone(&columns[at])).collect();
        let arguments: Vec<Vec<ArrayRef>> = self.shape.columns.iter().map(pick).collect();
        self.table.update(&columns[..self.shape.key_types.len()], &arguments, batch.rows(), &batch.origin)?;
        self.settle()
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<AggregateSink>();
        let mut other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        if !self.runs.is_empty() || !other.runs.is_empty() {
            // All of it goes to disk in the end.
            other.spill()?;
            self.runs.append(&mut other.runs);
            return Ok(());
        }
        self.table.merge(other.table)?;
        drop(other.reservation);
        self.settle()
    }

    fn relieve(&mut self) -> Result<()> {
        if self.shape.key_types.is_empty() { Ok(()) } else { self.spill() }
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        if !self.runs.is_empty() {
            return self.finish_runs();
        }
        let columns = self.table.finish()?;
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.shape.schema), columns, &options)?;
        drop(self.reservation);
        let mut results = self.room.results();
        results.push(batch)?;
        Ok(Materialised { schema: self.shape.schema, rows: results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
