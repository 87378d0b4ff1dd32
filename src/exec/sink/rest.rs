//! Rows that a join has found matches for, and behind them the right rows without one.
//!
//! What a step finds is provisional; only what is committed reaches a sink. So it is here that right rows are marked.

use super::collect::CollectSink;
use super::{Materialised, Room, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::runs::BLOCK_ROWS;
use crate::memory::Reservation;
use crate::plan::Probe;
use arrow::array::{AsArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{SchemaRef, UInt32Type};
use std::any::Any;
use std::sync::Arc;

pub(super) struct RestSink {
    schema: SchemaRef,
    rows: CollectSink,
    /// Right rows with a match.
    matched: BooleanBufferBuilder,
    probe: Arc<dyn Probe>,
    room: Room,
    _held: Reservation,
}

impl RestSink {
    pub(super) fn new(schema: SchemaRef, probe: Arc<dyn Probe>, room: &Room) -> Result<Self> {
        let rows = CollectSink::new(Arc::clone(&schema), None, room)?;
        let mut held = room.budget.reservation("joining");
        held.resize(probe.right_rows() / 8)?;
        let mut matched = BooleanBufferBuilder::new(probe.right_rows());
        matched.append_n(probe.right_rows(), false);
        Ok(RestSink { schema, rows, matched, probe, room: room.clone(), _held: held })
    }
}

impl Sink for RestSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        let Some((marks, columns)) = batch.records.columns().split_last() else {
            return Err(Error::internal("rows of a join without marks"));
        };
        let marks = marks.as_primitive_opt::<UInt32Type>();
        let marks = marks.ok_or_else(|| Error::internal("marks of a join are no row numbers"))?;
        marks.iter().flatten().for_each(|row| self.matched.set_bit(row as usize, true));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.rows()));
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.to_vec(), &options)?;
        self.rows.absorb(Batch { records, origin: batch.origin })
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<RestSink>();
        let RestSink { rows, matched, .. } = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        let ours = self.matched.as_slice_mut().iter_mut();
        ours.zip(matched.as_slice()).for_each(|(ours, theirs)| *ours |= theirs);
        self.rows.join(Box::new(rows))
    }

    fn relieve(&mut self) -> Result<()> {
        self.rows.relieve()
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let RestSink { schema, rows, mut matched, probe, room, .. } = *self;
        let rows = Box::new(rows).finish()?.rows;
        let matched = matched.finish();
        let rest = room.results();
        let unmatched: Vec<u32> = (!&matched).set_indices().map(|row| row as u32).collect();
        let chunks: Vec<&[u32]> = unmatched.chunks(BLOCK_ROWS).collect();
        let kept = |at: usize| {
            let records = probe.unmatched(chunks[at])?;
            let options = RecordBatchOptions::new().with_row_count(Some(chunks[at].len()));
            rest.keep(RecordBatch::try_new_with_options(Arc::clone(&schema), records.columns().to_vec(), &options)?)
        };
        let kept = room.hands.each(chunks.len(), kept)?;
        Ok(Materialised { schema, rows: rows.then(rest.finish_with(kept)) })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
