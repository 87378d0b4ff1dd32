//! Rows as they come, put back in input order; or only the first of them.

use super::in_order::{InOrder, Ordered};
use super::{Handed, Materialised, Room, Sink};
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::memory::without_unused_text;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::sync::Arc;

pub(super) struct CollectSink {
    schema: SchemaRef,
    limit: Option<usize>,
    held: InOrder<1>,
    room: Room,
}

impl CollectSink {
    pub(super) fn new(schema: SchemaRef, limit: Option<usize>, room: &Room) -> Result<Self> {
        let held = InOrder::new(&[Arc::clone(&schema)], limit.is_some(), room, "collecting rows")?;
        Ok(CollectSink { schema, limit, held, room: room.clone() })
    }

    /// Drops last batches while the ones before them hold enough rows.
    fn drop_beyond_limit(&mut self) {
        let Some(limit) = self.limit else { return };
        let mut dropped = false;
        while self.held.drop_last_beyond(limit) {
            dropped = true;
        }
        if dropped {
            self.held.count_anew();
        }
    }
}

impl Sink for CollectSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        self.held.hold([without_unused_text(batch.records)], batch.origin.row_id(0), &batch.origin)?;
        self.drop_beyond_limit();
        self.held.settle()
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<CollectSink>();
        let other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.held.join(other.held)?;
        self.drop_beyond_limit();
        self.held.settle()
    }

    fn relieve(&mut self) -> Result<()> {
        self.held.relieve()
    }

    fn export(self: Box<Self>, out: Handed<'_>) -> Result<()> {
        self.held.export(out)
    }

    fn import(&mut self, part: u32, records: RecordBatch) -> Result<()> {
        self.held.import(part, records, &[Arc::clone(&self.schema)])?;
        self.drop_beyond_limit();
        self.held.settle()
    }

    fn filled_by(&self) -> Option<RowId> {
        let mut left = self.limit?.checked_sub(1)?;
        for (rows, origin) in self.held.batches() {
            if left < rows {
                return origin.map(|origin| origin.row_id(left));
            }
            left -= rows;
        }
        None
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut results = self.room.results();
        let (batches, mut leaving, mut reservation) = match self.held.finish()? {
            Ordered::Sorted(rows, _) => return Ok(Materialised { schema: self.schema, rows }),
            Ordered::AsTheyCame(batches, leaving, reservation) => (batches, leaving, reservation),
        };
        for [part] in batches {
            let rows = part.rows();
            reservation.resize(leaving.bytes_without(rows))?;
            if rows > left {
                results.push(part.load()?.slice(0, left))?;
                break;
            }
            left -= rows;
            results.push_part(part)?;
        }
        Ok(Materialised { schema: self.schema, rows: results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
