//! Groups some of whose aggregates need all values at once ([`crate::aggregate::holistic`]).
//!
//! **Idea.** Beside the groups stands one table for each argument of such aggregates, itself a sink: of the groups (keys,
//! value) with their counts ([`values`]), or of the values sorted by (keys, row identity). Each keeps to its room and
//! spills by itself. The groups hold, in hidden columns, how many values each table has for a group, so at the end, when groups and
//! tables all ascend by key, the counts alone say where a group's values end ([`cursor`]).

mod appended;
mod cursor;
mod table;
mod values;

use super::aggregate::AggregateSink;
use super::{Handed, Materialised, Room, Sink};
use crate::aggregate::{Count, Over};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::memory::{Reservation, RowStore};
use crate::plan::AggregateColumn;
use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use cursor::Cursor;
use std::any::Any;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use table::{Folded, Sorted, Table, of_types};

pub(super) struct HolisticSink {
    schema: SchemaRef,
    keys: usize,
    /// The keys, aggregates with states, and for each table the number of its values.
    groups: Box<dyn Sink>,
    tables: Vec<Table>,
    /// Where each aggregate of the result comes from.
    places: Vec<Place>,
    room: Room,
    /// For results that are being made.
    reservation: Reservation,
}

/// Where a column comes from.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A column of the groups.
    Groups(usize),
    /// A fold over a table.
    Fold { table: usize, fold: usize },
}

impl HolisticSink {
    /// Whether these aggregates need this sink.
    pub(super) fn is_for(aggregates: &[AggregateColumn]) -> bool {
        aggregates.iter().any(|column| column.aggregate.over() != Over::Rows)
    }

    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: usize,
        aggregates: &[AggregateColumn],
        copies: bool,
        room: &Room,
    ) -> Result<Self> {
        let mut with_states = Vec::new();
        let mut tables: Vec<Folded> = Vec::new();
        let mut places = Vec::with_capacity(aggregates.len());
        for column in aggregates {
            let over = column.aggregate.over();
            if over == Over::Rows {
                places.push(Place::Groups(keys + with_states.len()));
                with_states.push(column.clone());
                continue;
            }
            let ordering = column.aggregate.ordering();
            if column.arguments.len() != 1 + ordering.len() {
                return Err(Error::internal(format!("`{}` is folded over one argument", column.aggregate.name())));
            }
            let same = |known: &Folded| {
                let same_order = || known.columns.iter().all(|other| other.aggregate.ordering() == ordering);
                known.values == column.arguments && known.over == over && same_order()
            };
            let known = tables.iter().position(same);
            let table = known.unwrap_or(tables.len());
            if known.is_none() {
                tables.push(Folded { values: column.arguments.clone(), over, columns: Vec::new() });
            }
            places.push(Place::Fold { table, fold: tables[table].columns.len() });
            tables[table].columns.push(column.clone());
        }
        let results: Vec<DataType> = aggregates
            .iter()
            .zip(&schema.fields()[keys..])
            .filter(|(column, _)| column.aggregate.over() == Over::Rows)
            .map(|(_, field)| field.data_type().clone())
            .collect();
        let counts = tables.iter().map(|_| DataType::Int64);
        let group_types = types[..keys].iter().cloned().chain(results).chain(counts);
        let count = |value: usize| AggregateColumn { aggregate: Arc::new(Count), arguments: vec![value] };
        with_states.extend(tables.iter().map(|table| count(table.values[0])));
        let room = room.divided(2 + tables.len());
        let groups = AggregateSink::new(of_types(group_types), types, keys, with_states, &room)?;
        let tables =
            tables.iter().map(|folded| Table::new(types, keys, folded, copies, &room)).collect::<Result<_>>()?;
        let reservation = room.reservation("values of groups")?;
        Ok(HolisticSink { schema, keys, groups: Box::new(groups), tables, places, room, reservation })
    }
}

impl Sink for HolisticSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        for table in &mut self.tables {
            table.absorb(&batch)?;
        }
        self.groups.absorb(batch)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<HolisticSink>();
        let other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.groups.join(other.groups)?;
        self.tables.iter_mut().zip(other.tables).try_for_each(|(table, other)| table.join(other))
    }

    fn relieve(&mut self) -> Result<()> {
        self.groups.relieve()?;
        self.tables.iter_mut().try_for_each(Table::relieve)
    }

    fn export(self: Box<Self>, out: Handed<'_>) -> Result<()> {
        // Part 0 is the groups, part 1 the first table, and so on.
        self.groups.export(&mut |_, records| out(0, records))?;
        let mut tables = (1..).zip(self.tables);
        tables.try_for_each(|(part, table)| table.export(&mut |_, records| out(part, records)))
    }

    fn import(&mut self, part: u32, records: RecordBatch) -> Result<()> {
        let table = (part as usize).checked_sub(1);
        match table.map(|table| self.tables.get_mut(table)) {
            None => self.groups.import(0, records),
            Some(Some(table)) => table.import(records),
            Some(None) => Err(Error::internal("values of a table that is not there")),
        }
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let HolisticSink { schema, keys, groups, tables, places, room, reservation } = *self;
        let mut tables = VecDeque::from(tables);
        let mut sorted = Vec::with_capacity(tables.len());
        make_room(&mut tables, &mut sorted, &room)?;
        let groups = groups.finish()?.rows;
        while let Some(table) = tables.pop_front() {
            make_room(&mut tables, &mut sorted, &room)?;
            sorted.push(table.finish()?);
        }
        let cursors = sorted.iter_mut().map(Cursor::new).collect();
        let (results, floor_bytes) = (room.results(), room.floor_bytes);
        let mut walk = Walk { schema, keys, places, cursors, results, reservation, floor_bytes };
        for batch in groups.batches() {
            walk.finish_groups(&batch?)?;
        }
        walk.cursors.iter_mut().try_for_each(Cursor::check_end)?;
        Ok(Materialised { schema: walk.schema, rows: walk.results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What waits to be finished, or to be folded over, lets go of memory that is scarce.
fn make_room(waiting: &mut VecDeque<Table>, sorted: &mut [Sorted], room: &Room) -> Result<()> {
    if room.budget.is_scarce() {
        waiting.iter_mut().try_for_each(Table::relieve)?;
    }
    if room.budget.is_scarce() {
        sorted.iter_mut().try_for_each(|table| table.relieve(room))?;
    }
    Ok(())
}

/// Groups and tables, side by side.
struct Walk<'a> {
    schema: SchemaRef,
    keys: usize,
    places: Vec<Place>,
    cursors: Vec<Cursor<'a>>,
    results: RowStore,
    reservation: Reservation,
    /// What the reservation has at least. Only a text longer than that asks for more.
    floor_bytes: usize,
}

impl Walk<'_> {
    /// The results of the next groups, whose keys, aggregates and counts are `batch`.
    fn finish_groups(&mut self, batch: &RecordBatch) -> Result<()> {
        let counts: Vec<ArrayRef> = batch.columns()[batch.num_columns() - self.cursors.len()..].to_vec();
        let counts: Vec<&[i64]> = counts.iter().map(|counts| &**counts.as_primitive::<Int64Type>().values()).collect();
        let (mut first, mut next) = (0, 0);
        while next < batch.num_rows() {
            let step = next..end_of_step(&counts, next, self.floor_bytes);
            for (table, counts) in counts.iter().enumerate() {
                let others = self.bytes_held() - self.cursors[table].bytes_held();
                self.cursors[table].walk(&counts[step.clone()], others, &mut self.reservation)?;
            }
            next = step.end;
            if self.bytes_held() > self.floor_bytes / 4 {
                self.push(batch, first..next)?;
                first = next;
            }
        }
        self.push(batch, first..next)
    }

    fn bytes_held(&self) -> usize {
        self.cursors.iter().map(Cursor::bytes_held).sum()
    }

    /// The results of groups that have been folded.
    fn push(&mut self, batch: &RecordBatch, groups: Range<usize>) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let own = |column: &ArrayRef| -> Result<ArrayRef> {
            if groups.len() == batch.num_rows() {
                return Ok(Arc::clone(column));
            }
            let rows: UInt32Array = (groups.start as u32..groups.end as u32).collect();
            Ok(take(column, &rows, None)?)
        };
        let mut columns = batch.columns()[..self.keys].iter().map(own).collect::<Result<Vec<_>>>()?;
        let folded = self.cursors.iter_mut().map(Cursor::finish).collect::<Result<Vec<_>>>()?;
        for place in &self.places {
            columns.push(match *place {
                Place::Groups(column) => own(batch.column(column))?,
                Place::Fold { table, fold } => Arc::clone(&folded[table][fold]),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.results.push(batch)?;
        self.reservation.resize(0)
    }
}

/// Where the groups from `start` on have had so many values that it is time to look at the folds.
fn end_of_step(counts: &[&[i64]], start: usize, floor_bytes: usize) -> usize {
    let most = (floor_bytes / 128) as i64;
    let groups = counts.first().map_or(0, |counts| counts.len());
    let mut values = 0;
    for group in start..groups {
        values += 1 + counts.iter().map(|counts| counts[group]).sum::<i64>();
        if values >= most {
            return group + 1;
        }
    }
    groups
}
