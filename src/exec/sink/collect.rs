//! Rows as they come, put back in input order; or only the first of them.
//!
//! Batches that do not fit in memory go to disk as they are, for they only have to be put in order. Where all rows are wanted and
//! batches are short, as behind a filter that few rows pass, rows are sorted by their identities instead, in runs on disk.

use super::sort::{SortSink, Wanted};
use super::{Materialised, Room, Sink};
use crate::batch::{Batch, RowId, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{HeldBuffers, Part, Reservation, SpillFile, without_unused_text};
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Batches are short whose rows take less than this.
const SHORT_BYTES: usize = 16 << 10;

pub(super) struct CollectSink {
    schema: SchemaRef,
    limit: Option<usize>,
    /// Batches by the identity of their first row, with a number for batches whose rows share one identity.
    batches: BTreeMap<(RowId, usize), Held>,
    rows: usize,
    /// Behind the batches in memory.
    buffers: HeldBuffers,
    /// Of all batches, what they take beside that.
    beside_bytes: usize,
    /// Takes the rows instead, once they do not fit.
    sorted: Option<SortSink>,
    /// Some are on disk.
    spilled: bool,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
}

/// Rows that leave batch by batch, and the memory of those that are still there.
struct Leaving {
    rows: usize,
    row_bytes: usize,
}

impl Leaving {
    fn of(rows: usize, bytes: usize) -> Self {
        Leaving { rows, row_bytes: bytes / rows.max(1) }
    }

    /// What is left without so many more.
    fn bytes_without(&mut self, rows: usize) -> usize {
        self.rows = self.rows.saturating_sub(rows);
        self.rows * self.row_bytes
    }
}

/// Rows held, and where they came from. Of rows on disk that are all wanted, it is enough to know the first.
struct Held {
    part: Part,
    origin: Option<RowOrigin>,
}

impl Held {
    /// Beside the buffers of its rows.
    fn bytes_beside(&self) -> usize {
        self.origin.as_ref().map_or(0, RowOrigin::held_bytes) + size_of::<((RowId, usize), Held)>()
    }

    /// Where its rows came from, of which the first is known; or identities that order them alike.
    fn into_batch(self, first: RowId) -> Result<Batch> {
        let records = self.part.load()?;
        let origin = self.origin.unwrap_or_else(|| RowOrigin::copies_of(first, records.num_rows()));
        Ok(Batch { records, origin })
    }
}

impl CollectSink {
    pub(super) fn new(schema: SchemaRef, limit: Option<usize>, room: &Room) -> Result<Self> {
        Ok(CollectSink {
            schema,
            limit,
            batches: BTreeMap::new(),
            rows: 0,
            buffers: HeldBuffers::default(),
            beside_bytes: 0,
            sorted: None,
            spilled: false,
            file: Arc::new(room.spill.file()),
            room: room.clone(),
            reservation: room.reservation("collecting rows")?,
        })
    }

    fn push(&mut self, first: RowId, held: Held) -> Result<()> {
        self.hold(first, held);
        self.settle()
    }

    fn hold(&mut self, first: RowId, held: Held) {
        self.rows += held.part.rows();
        match &held.part {
            Part::Memory(batch) => self.buffers.add(batch),
            _ => self.spilled = true,
        }
        self.beside_bytes += held.bytes_beside();
        let number = self.batches.range((first, 0)..=(first, usize::MAX)).count();
        self.batches.insert((first, number), held);
        self.drop_beyond_limit();
    }

    /// Asks for the memory of the rows as they are now; without it, they go to disk.
    fn settle(&mut self) -> Result<()> {
        match self.reservation.resize(self.bytes()) {
            Err(_) if self.limit.is_none() && !self.spilled && self.is_of_short_batches() => self.sort(),
            Err(_) => match self.spill() {
                // Not even what is known of each batch has room.
                Err(refusal) if self.limit.is_none() && refusal.kind() == ErrorKind::Limit => self.sort(),
                settled => settled,
            },
            settled => settled,
        }
    }

    fn is_of_short_batches(&self) -> bool {
        self.buffers.bytes() / self.batches.len().max(1) < SHORT_BYTES
    }

    /// Hands all rows on to be sorted.
    fn sort(&mut self) -> Result<()> {
        let types: Vec<_> = self.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let wanted = Wanted { limit: None, width: types.len(), copies: true };
        let nothing = || self.room.budget.reservation("collecting rows");
        let mut own = std::mem::replace(&mut self.reservation, nothing());
        let mut sorted = SortSink::new(Arc::clone(&self.schema), &types, Vec::new(), wanted, &self.room, nothing())?;
        self.buffers.clear();
        self.beside_bytes = 0;
        let mut left = Leaving::of(self.rows, own.bytes());
        for ((first, _), held) in std::mem::take(&mut self.batches) {
            own.resize(left.bytes_without(held.part.rows()))?;
            sorted.absorb(held.into_batch(first)?)?;
        }
        sorted.take_reservation(own);
        self.sorted = Some(sorted);
        Ok(())
    }

    /// Writes all rows that are in memory to disk.
    fn spill(&mut self) -> Result<()> {
        for held in self.batches.values_mut() {
            if let Part::Memory(batch) = &held.part {
                let block = self.file.append(batch)?;
                held.part = Part::Spilled(Arc::clone(&self.file), block);
                if self.limit.is_none() {
                    self.beside_bytes -= held.origin.take().as_ref().map_or(0, RowOrigin::held_bytes);
                }
            }
        }
        self.spilled |= !self.batches.is_empty();
        self.buffers.clear();
        self.reservation.resize(self.bytes())
    }

    /// Bytes of memory that all batches take.
    fn bytes(&self) -> usize {
        self.buffers.bytes() + self.beside_bytes
    }

    /// Drops last batches while the ones before them hold enough rows.
    fn drop_beyond_limit(&mut self) {
        let Some(limit) = self.limit else { return };
        let before = self.batches.len();
        while let Some(last) = self.batches.last_entry() {
            let rows = last.get().part.rows();
            if self.rows - rows < limit {
                break;
            }
            self.rows -= rows;
            self.beside_bytes -= last.get().bytes_beside();
            last.remove();
        }
        if self.batches.len() < before {
            self.buffers.clear();
            for held in self.batches.values() {
                if let Part::Memory(batch) = &held.part {
                    self.buffers.add(batch);
                }
            }
        }
    }
}

impl Sink for CollectSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        match &mut self.sorted {
            Some(sorted) => sorted.absorb(batch),
            None if batch.rows() == 0 => Ok(()),
            None => {
                let part = Part::Memory(without_unused_text(batch.records));
                self.push(batch.origin.row_id(0), Held { part, origin: Some(batch.origin) })
            }
        }
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<CollectSink>();
        let mut other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        if self.sorted.is_none() && other.sorted.is_none() {
            self.reservation.absorb(other.reservation);
            other.batches.into_iter().for_each(|((first, _), held)| self.hold(first, held));
            return self.settle();
        }
        for sink in [&mut *self, &mut other] {
            if sink.sorted.is_none() {
                sink.sort()?;
            }
        }
        match (&mut self.sorted, other.sorted) {
            (Some(sorted), Some(others)) => sorted.join(Box::new(others)),
            _ => Err(Error::internal("rows that were to be sorted")),
        }
    }

    fn relieve(&mut self) -> Result<()> {
        match &mut self.sorted {
            Some(sorted) => sorted.relieve(),
            None => self.spill(),
        }
    }

    fn filled_by(&self) -> Option<RowId> {
        let mut left = self.limit?.checked_sub(1)?;
        for held in self.batches.values() {
            if left < held.part.rows() {
                return held.origin.as_ref().map(|origin| origin.row_id(left));
            }
            left -= held.part.rows();
        }
        None
    }

    fn finish(mut self: Box<Self>) -> Result<Materialised> {
        if let Some(sorted) = self.sorted {
            return Box::new(sorted).finish();
        }
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut results = self.room.results();
        let mut leaving = Leaving::of(self.rows, self.reservation.bytes());
        for held in self.batches.into_values() {
            let rows = held.part.rows();
            self.reservation.resize(leaving.bytes_without(rows))?;
            if rows > left {
                results.push(held.part.load()?.slice(0, left))?;
                break;
            }
            left -= rows;
            results.push_part(held.part)?;
        }
        Ok(Materialised { schema: self.schema, rows: results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
