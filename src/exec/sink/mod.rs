//! Sinks: what a stage does with its batches.
//!
//! **Idea.** Each worker has an empty sink of its own and absorbs what is committed, in whatever order it comes; the sinks are
//! joined at the end and finished once. A sink that is refused memory writes what it has to disk and goes on.
//! **Invariant.** The result does not depend on which sink absorbed what, in which order, where batches were cut, or
//! what went to disk.

mod aggregate;
mod buckets;
mod collect;
mod common;
mod holistic;
mod in_order;
mod join;
mod merged;
mod rest;
mod sort;
mod tables;
#[cfg(test)]
mod tests;
mod window;

use self::aggregate::AggregateSink;
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::exec::parallel::Hands;
use crate::memory::{Budget, Reservation, RowStore, Spill, SpillFile, StoredRows};
use crate::plan::{SinkSpec, Stage};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::sync::Arc;

/// How often a piece of what a sink holds is in memory while it leaves it.
const PIECE_COPIES: usize = 4;

/// The result of a stage.
#[derive(Clone, Debug)]
pub struct Materialised {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub rows: StoredRows,
}

/// What a sink may use: memory by the account, of which so much is its own from the beginning, disk, and in the end
/// all threads of the pass.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) budget: Budget,
    pub(crate) spill: Spill,
    pub(crate) floor_bytes: usize,
    pub(crate) hands: Hands,
}

impl Room {
    /// The least that a sink has from the beginning.
    pub(crate) const LEAST_BYTES: usize = 16 << 10;
    /// The most that it has from the beginning.
    const MOST_BYTES: usize = 16 << 20;

    /// The room of each of so many sinks at work at a time: of the bytes that are left for them, a quarter is divided
    /// evenly among them, the rest is for who comes first. So a sink always has enough to be worth writing, whatever the
    /// others take.
    pub(crate) fn of_each(sinks: usize, left_bytes: usize, budget: &Budget, spill: &Spill, hands: Hands) -> Self {
        let floor_bytes = (left_bytes / 4 / sinks.max(1)).clamp(Room::LEAST_BYTES, Room::MOST_BYTES);
        Room { budget: budget.clone(), spill: spill.clone(), floor_bytes, hands }
    }

    /// The room of each of so many parts of a sink.
    fn divided(&self, parts: usize) -> Self {
        Room { floor_bytes: self.floor_bytes / parts.max(1), ..self.clone() }
    }

    fn reservation(&self, purpose: &'static str) -> Result<Reservation> {
        self.budget.reservation_of_at_least(self.floor_bytes, purpose)
    }

    /// What a worker takes to let a piece of what its sink holds go, be it to disk or into the result: the piece is
    /// gathered, exported or finished, and encoded.
    fn piece_bytes(&self) -> usize {
        PIECE_COPIES * self.budget.block_bytes()
    }

    /// A file for runs.
    fn file(&self) -> SpillFile {
        self.spill.file_of_blocks(self.budget.block_bytes())
    }

    fn results(&self) -> RowStore {
        RowStore::new(&self.budget, &self.spill)
    }
}

/// Takes what a sink hands over: a batch, and which part of the sink it is of.
pub(crate) type Handed<'a> = &'a mut (dyn FnMut(u32, RecordBatch) -> Result<()> + Send);

/// Takes the batches of a stage.
pub(crate) trait Sink: Send + Any {
    /// Takes a batch; batches come in any order.
    fn absorb(&mut self, batch: Batch) -> Result<()>;

    /// Takes all that another sink of the same kind holds.
    fn join(&mut self, other: Box<dyn Sink>) -> Result<()>;

    /// Lets go of memory, as far as it can.
    ///
    /// # Errors
    /// Those of the disk.
    fn relieve(&mut self) -> Result<()> {
        Ok(())
    }

    /// The last row wanted, when there is a limit on rows in input order and the rows held fill it.
    fn filled_by(&self) -> Option<RowId> {
        None
    }

    /// Hands over all that it holds, so that a sink of the same stage in another process takes it with [`Sink::import`].
    ///
    /// # Errors
    /// Those of `out`; `Internal` for a sink that stays in its process.
    fn export(self: Box<Self>, _out: Handed<'_>) -> Result<()> {
        Err(stays_here())
    }

    /// Takes what another sink has handed over; batches come in any order.
    ///
    /// # Errors
    /// Those of [`Sink::absorb`]; `Internal` for what is not of such a sink.
    fn import(&mut self, _part: u32, _records: RecordBatch) -> Result<()> {
        Err(stays_here())
    }

    /// The result.
    fn finish(self: Box<Self>) -> Result<Materialised>;

    /// For `join` to recognise its own kind.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

fn stays_here() -> Error {
    Error::internal("what this sink holds stays in its process")
}

/// The sinks of a stage, empty, one for each worker.
pub(crate) fn make(stage: &Stage, room: &Room, workers: usize) -> Result<Vec<Box<dyn Sink>>> {
    match &stage.sink {
        SinkSpec::Aggregate { keys, aggregates } if !holistic::HolisticSink::is_for(aggregates) => {
            let (schema, types) = (&stage.schema, stage.input_types());
            let sinks = AggregateSink::for_workers(workers, schema, &types, *keys, aggregates, room)?;
            Ok(sinks.into_iter().map(|sink| Box::new(sink) as Box<dyn Sink>).collect())
        }
        _ => (0..workers).map(|_| make_one(stage, room)).collect(),
    }
}

fn make_one(stage: &Stage, room: &Room) -> Result<Box<dyn Sink>> {
    let schema = Arc::clone(&stage.schema);
    Ok(match &stage.sink {
        SinkSpec::Aggregate { keys, aggregates } => Box::new(holistic::HolisticSink::new(
            schema,
            &stage.input_types(),
            *keys,
            aggregates,
            stage.multiplies(),
            room,
        )?),
        SinkSpec::Sort { keys, limit, width } => {
            let reservation = room.reservation("sorting")?;
            let wanted = sort::Wanted { limit: *limit, width: *width, copies: stage.multiplies() };
            Box::new(sort::SortSink::new(schema, &stage.input_types(), keys.clone(), wanted, room, reservation)?)
        }
        SinkSpec::Window(shape) => {
            let (shape, copies) = (Arc::clone(shape), stage.multiplies());
            Box::new(window::WindowSink::new(shape, schema, &stage.input_types(), copies, room)?)
        }
        SinkSpec::Join(side) => Box::new(join::JoinSink::new(side.clone(), schema, &stage.input_types(), room)?),
        SinkSpec::Rest(probe) => Box::new(rest::RestSink::new(schema, Arc::clone(probe), room)?),
        SinkSpec::Collect { limit } => Box::new(collect::CollectSink::new(schema, *limit, room)?),
    })
}
