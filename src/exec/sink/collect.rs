//! Rows as they come, put back in input order; or only the first of them.

use super::{Materialised, Sink};
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::memory::{Budget, Reservation};
use arrow::datatypes::SchemaRef;
use std::any::Any;
use std::collections::BTreeMap;

pub(super) struct CollectSink {
    schema: SchemaRef,
    limit: Option<usize>,
    /// Batches by the identity of their first row, with a number for batches whose rows share one identity.
    batches: BTreeMap<(RowId, usize), Batch>,
    rows: usize,
    bytes: usize,
    reservation: Reservation,
}

impl CollectSink {
    pub(super) fn new(schema: SchemaRef, limit: Option<usize>, budget: &Budget) -> Self {
        CollectSink {
            schema,
            limit,
            batches: BTreeMap::new(),
            rows: 0,
            bytes: 0,
            reservation: budget.reservation("collecting rows"),
        }
    }

    fn push(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let first = batch.origin.row_id(0);
        self.rows += batch.rows();
        self.bytes += batch.records.get_array_memory_size();
        let number = self.batches.range((first, 0)..=(first, usize::MAX)).count();
        self.batches.insert((first, number), batch);
        self.drop_beyond_limit();
        self.reservation.resize(self.bytes)
    }

    /// Drops last batches while the ones before them hold enough rows.
    fn drop_beyond_limit(&mut self) {
        let Some(limit) = self.limit else { return };
        while let Some(last) = self.batches.last_entry() {
            let rows = last.get().rows();
            if self.rows - rows < limit {
                break;
            }
            self.bytes -= last.get().records.get_array_memory_size();
            self.rows -= rows;
            last.remove();
        }
    }
}

impl Sink for CollectSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        self.push(batch)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<CollectSink>();
        let mut other = other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        other.reservation.resize(0)?;
        for (_, batch) in std::mem::take(&mut other.batches) {
            self.push(batch)?;
        }
        Ok(())
    }

    fn filled_by(&self) -> Option<RowId> {
        let mut left = self.limit?.checked_sub(1)?;
        for batch in self.batches.values() {
            if left < batch.rows() {
                return Some(batch.origin.row_id(left));
            }
            left -= batch.rows();
        }
        None
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut batches = Vec::with_capacity(self.batches.len());
        for batch in self.batches.into_values() {
            if left == 0 {
                break;
            }
            let batch = batch.head(left);
            left -= batch.rows();
            batches.push(batch.records);
        }
        Ok(Materialised { schema: self.schema, batches })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
