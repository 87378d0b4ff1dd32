//! The values of one argument, group by group.

use super::values::Values;
use crate::aggregate::{Fold, Over};
use crate::batch::{Batch, coded};
use crate::error::{Error, Result};
use crate::exec::sink::aggregate::of_columns;
use crate::exec::sink::sort::{SortSink, Wanted};
use crate::exec::sink::{Handed, Room, Sink};
use crate::memory::StoredRows;
use crate::plan::{AggregateColumn, SortColumn};
use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The values of one argument, and what is to be folded over them.
pub(super) struct Table {
    keys: usize,
    /// The columns of a batch that hold the values, and then what these are ordered by.
    values: Vec<usize>,
    rows: Rows,
    folds: Vec<Box<dyn Fold>>,
    value_type: DataType,
}

enum Rows {
    /// Folded over in the order of the values.
    Values(Box<Values>),
    /// Folded over in the order of the input, or in one of their own.
    InOrder(Box<SortSink>),
}

/// Aggregates that share a table: over these columns, the value and what it is ordered by, in the same order.
pub(super) struct Folded {
    pub(super) values: Vec<usize>,
    pub(super) over: Over,
    pub(super) columns: Vec<AggregateColumn>,
}

/// Values in the order of the keys, and what is to be folded over them.
pub(super) struct Sorted {
    pub(super) batches: Batches,
    /// Whether the last two columns of a batch are values and counts; else the last one is the value.
    pub(super) counted: bool,
    pub(super) value_type: DataType,
    pub(super) folds: Vec<Box<dyn Fold>>,
}

/// Batches of a table.
pub(super) enum Batches {
    Stored(StoredRows),
    Made(Box<dyn Iterator<Item = Result<RecordBatch>>>),
}

impl Sorted {
    /// Puts batches that are made of what is in memory into the result, or on disk.
    pub(super) fn relieve(&mut self, room: &Room) -> Result<()> {
        if let Batches::Made(made) = &mut self.batches {
            let mut rows = room.results();
            made.try_for_each(|batch| rows.push(batch?))?;
            self.batches = Batches::Stored(rows.finish());
        }
        Ok(())
    }
}

impl Table {
    /// An empty one. The first `keys` columns of a batch are the keys, `of` are the arguments of its folds.
    pub(super) fn new(types: &[DataType], keys: usize, of: &Folded, copies: bool, room: &Room) -> Result<Self> {
        let Folded { values, over, columns: folded } = of;
        let value_type = types[values[0]].clone();
        let own: Vec<DataType> =
            types[..keys].iter().chain(values.iter().map(|&column| &types[column])).cloned().collect();
        let rows = if *over == Over::InputOrder {
            let ordering = folded[0].aggregate.ordering().iter().copied();
            let by = (0..keys).map(|column| (column, false)).chain((keys + 1..).zip(ordering));
            let by = by.map(|(column, descending)| SortColumn { column, descending }).collect();
            let reservation = room.reservation("texts of groups")?;
            let schema = of_types(own[..=keys].iter().cloned());
            let wanted = Wanted { limit: None, width: keys + 1, copies };
            Rows::InOrder(Box::new(SortSink::new(schema, &own, by, wanted, room, reservation)?))
        } else {
            Rows::Values(Box::new(Values::new(own, room)?))
        };
        let argument = std::slice::from_ref(&value_type);
        let folds = folded.iter().map(|column| column.aggregate.fold(argument)).collect::<Result<_>>()?;
        Ok(Table { keys, values: values.clone(), rows, folds, value_type })
    }

    /// Takes the values of a batch that are not null.
    pub(super) fn absorb(&mut self, batch: &Batch) -> Result<()> {
        let mut columns = batch.records.columns()[..self.keys].to_vec();
        columns.extend(self.values.iter().map(|&column| Arc::clone(batch.records.column(column))));
        let mask = columns[self.keys].logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let mask = mask.map(|nulls| BooleanArray::new(nulls.into_inner(), None));
        if batch.rows() == 0 || mask.as_ref().is_some_and(|mask| !mask.has_true()) {
            return Ok(());
        }
        let records = of_columns(columns, batch.rows())?;
        match &mut self.rows {
            Rows::Values(values) => values.absorb(match mask {
                Some(mask) => filter_record_batch(&records, &mask)?,
                None => records,
            }),
            Rows::InOrder(sorted) => {
                let records = coded::plain_from(0, records)?;
                let batch = Batch { records, origin: batch.origin.clone() };
                sorted.absorb(match mask {
                    Some(mask) => batch.filter(&mask)?,
                    None => batch,
                })
            }
        }
    }

    /// Takes all that another table of the same kind holds.
    pub(super) fn join(&mut self, other: Table) -> Result<()> {
        match (&mut self.rows, other.rows) {
            (Rows::Values(ours), Rows::Values(theirs)) => ours.join(*theirs),
            (Rows::InOrder(ours), Rows::InOrder(theirs)) => ours.join(theirs),
            _ => Err(Error::internal("joined tables of two kinds")),
        }
    }

    /// Writes what it holds to disk.
    pub(super) fn relieve(&mut self) -> Result<()> {
        match &mut self.rows {
            Rows::Values(values) => values.relieve(),
            Rows::InOrder(sorted) => sorted.relieve(),
        }
    }

    /// Hands all that it holds over.
    pub(super) fn export(self, out: Handed<'_>) -> Result<()> {
        match self.rows {
            Rows::Values(values) => values.export(out),
            Rows::InOrder(sorted) => sorted.export(out),
        }
    }

    /// Takes what another table of the same kind has handed over.
    pub(super) fn import(&mut self, records: RecordBatch) -> Result<()> {
        match &mut self.rows {
            Rows::Values(values) => values.import(records),
            Rows::InOrder(sorted) => sorted.import(0, records),
        }
    }

    pub(super) fn finish(self) -> Result<Sorted> {
        let (batches, counted) = match self.rows {
            Rows::Values(values) => (values.finish()?, true),
            Rows::InOrder(sorted) => (Batches::Stored(sorted.finish()?.rows), false),
        };
        Ok(Sorted { batches, counted, value_type: self.value_type, folds: self.folds })
    }
}

/// A schema whose names do not matter.
pub(super) fn of_types(types: impl IntoIterator<Item = DataType>) -> SchemaRef {
    let field = |(at, of_type): (usize, DataType)| Field::new(at.to_string(), of_type, true);
    Arc::new(Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>()))
}
