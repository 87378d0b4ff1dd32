//! The values of one argument, group by group.

use crate::aggregate::{Count, Fold, Over};
use crate::batch::{Batch, RowOrigin, coded};
use crate::error::Result;
use crate::exec::sink::aggregate::{AggregateSink, of_columns};
use crate::exec::sink::sort::SortSink;
use crate::exec::sink::{Room, Sink};
use crate::memory::StoredRows;
use crate::plan::{AggregateColumn, SortColumn};
use arrow::array::{Array, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The values of one argument, and what is to be folded over them.
pub(super) struct Table {
    keys: usize,
    /// The column of a batch that holds the values.
    value: usize,
    over: Over,
    rows: Box<dyn Sink>,
    folds: Vec<Box<dyn Fold>>,
    value_type: DataType,
}

/// Values in the order of the keys, and what is to be folded over them.
pub(super) struct Sorted {
    /// Columns: the keys, the value, and the count if equal values were put together.
    pub(super) rows: StoredRows,
    pub(super) value_type: DataType,
    pub(super) counted: bool,
    pub(super) folds: Vec<Box<dyn Fold>>,
}

impl Table {
    /// An empty one. The first `keys` columns of a batch are the keys, column `value` is the argument of `folded`.
    pub(super) fn new(
        types: &[DataType],
        keys: usize,
        value: usize,
        over: Over,
        folded: &[AggregateColumn],
        copies: bool,
        room: &Room,
    ) -> Result<Self> {
        let value_type = types[value].clone();
        let mut own: Vec<DataType> = types[..keys].to_vec();
        own.push(value_type.clone());
        let rows: Box<dyn Sink> = if over == Over::InputOrder {
            let by = (0..keys).map(|column| SortColumn { column, descending: false }).collect();
            let reservation = room.reservation("texts of groups")?;
            Box::new(SortSink::new(of_types(own.clone()), &own, by, None, keys + 1, copies, room, reservation)?)
        } else {
            let schema = of_types(own.iter().cloned().chain([DataType::Int64]));
            let count = AggregateColumn { aggregate: Arc::new(Count), arguments: Vec::new() };
            Box::new(AggregateSink::new(schema, &own, keys + 1, vec![count], room)?)
        };
        let argument = std::slice::from_ref(&value_type);
        let folds = folded.iter().map(|column| column.aggregate.fold(argument)).collect::<Result<_>>()?;
        Ok(Table { keys, value, over, rows, folds, value_type })
    }

    /// Takes the values of a batch that are not null.
    pub(super) fn absorb(&mut self, batch: &Batch) -> Result<()> {
        let mut columns = batch.records.columns()[..self.keys].to_vec();
        columns.push(Arc::clone(batch.records.column(self.value)));
        let mask = columns[self.keys].logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let mask = mask.map(|nulls| BooleanArray::new(nulls.into_inner(), None));
        let mut records = of_columns(columns, batch.rows())?;
        let values = if self.over == Over::InputOrder {
            records = coded::plain_from(0, records)?;
            let batch = Batch { records, origin: batch.origin.clone() };
            mask.map_or_else(|| Ok(batch.clone()), |mask| batch.filter(&mask))?
        } else {
            if let Some(mask) = mask {
                records = filter_record_batch(&records, &mask)?;
            }
            Batch { records, origin: RowOrigin::consecutive(0) }
        };
        if values.rows() == 0 { Ok(()) } else { self.rows.absorb(values) }
    }

    /// Takes all that another table of the same kind holds.
    pub(super) fn join(&mut self, other: Table) -> Result<()> {
        self.rows.join(other.rows)
    }

    pub(super) fn finish(self) -> Result<Sorted> {
        let rows = self.rows.finish()?.rows;
        let counted = self.over == Over::SortedValues;
        Ok(Sorted { rows, value_type: self.value_type, counted, folds: self.folds })
    }
}

/// A schema whose names do not matter.
pub(super) fn of_types(types: impl IntoIterator<Item = DataType>) -> SchemaRef {
    let field = |(at, of_type): (usize, DataType)| Field::new(at.to_string(), of_type, true);
    Arc::new(Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>()))
}
