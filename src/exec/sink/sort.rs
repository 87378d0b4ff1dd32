//! All rows in order, or the first `limit` of them.
//!
//! Keys are encoded so that comparing bytes compares keys; ties are settled by row identity, which stands in two more
//! columns behind the others (three, where a join made several rows of one), so the order is total and does not depend on
//! how rows arrived. With a limit, rows behind the worst of the best are dropped on arrival. Rows that do not fit in memory
//! are sorted and written as a run; runs are merged in the end.

use super::{Materialised, Room, Sink};
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::exec::runs::{BLOCK_ROWS, Merge, Order, Run, append, reduce};
use crate::memory::{Reservation, SpillFile};
use crate::plan::SortColumn;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{OwnedRow, Rows};
use std::any::Any;
use std::sync::Arc;

/// Rows of a result batch.
const OUTPUT_ROWS: usize = 1 << 16;

pub(super) struct SortSink {
    /// Of the result.
    schema: SchemaRef,
    /// Of what is held: the columns of a batch and the two of the identity.
    held_schema: SchemaRef,
    limit: usize,
    width: usize,
    order: Order,
    held: Vec<Held>,
    rows: usize,
    /// Rows at or behind this one cannot be among the first.
    worst: Option<OwnedRow>,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
    /// Rows may be copies of each other, and a third column tells them apart.
    copies: bool,
}

struct Held {
    records: RecordBatch,
    keys: Rows,
}

impl Held {
    fn bytes(&self) -> usize {
        // One (batch, row) pair a row is needed to sort.
        self.records.get_array_memory_size() + self.keys.size() + self.records.num_rows() * size_of::<(usize, usize)>()
    }
}

/// Which rows a sort gives, and what they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Only so many.
    pub(super) limit: Option<usize>,
    /// So many leading columns.
    pub(super) width: usize,
    /// Rows may be copies of each other.
    pub(super) copies: bool,
}

impl SortSink {
    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: Vec<SortColumn>,
        wanted: Wanted,
        room: &Room,
        reservation: Reservation,
    ) -> Result<Self> {
        let by_key = keys.iter().map(|key| (key.column, types[key.column].clone(), key.descending));
        let mut identity = vec![(types.len(), DataType::UInt32, false), (types.len() + 1, DataType::UInt64, false)];
        let Wanted { limit, width, copies } = wanted;
        identity.extend(copies.then_some((types.len() + 2, DataType::UInt32, false)));
        let order = Order::new(by_key.chain(identity.clone()))?;
        let field = |(at, of_type): (usize, &DataType)| Field::new(at.to_string(), of_type.clone(), true);
        let mut fields: Vec<Field> = types.iter().enumerate().map(field).collect();
        fields.extend(identity.into_iter().map(|(at, of_type, _)| Field::new(at.to_string(), of_type, false)));
        Ok(SortSink {
            schema,
            held_schema: Arc::new(Schema::new(fields)),
            limit: limit.unwrap_or(usize::MAX),
            width,
            order,
            held: Vec::new(),
            rows: 0,
            worst: None,
            runs: Vec::new(),
            file: Arc::new(room.spill.file()),
            room: room.clone(),
            reservation,
            copies,
        })
    }

    fn push(&mut self, mut records: RecordBatch) -> Result<()> {
        let mut keys = self.order.encode(&records)?;
        if let Some(worst) = &self.worst {
            let better = |row: &u32| keys.row(*row as usize) < worst.row();
            let rows: Vec<u32> = (0..records.num_rows() as u32).filter(better).collect();
            if rows.is_empty() {
                return Ok(());
            }
            records = take_record_batch(&records, &UInt32Array::from(rows))?;
            keys = self.order.encode(&records)?;
        }
        self.rows += records.num_rows();
        self.held.push(Held { records, keys });
        if self.rows >= self.limit.saturating_mul(2).max(1024) {
            self.compact()?;
        }
        match self.reservation.resize(self.held.iter().map(Held::bytes).sum()) {
            Err(_) => self.spill(),
            settled => settled,
        }
    }

    /// Where every held row stands, as (batch, row).
    fn entries(&self) -> Vec<(usize, usize)> {
        let rows = |(at, held): (usize, &Held)| (0..held.records.num_rows()).map(move |row| (at, row));
        self.held.iter().enumerate().flat_map(rows).collect()
    }

    fn key(&self, entry: &(usize, usize)) -> arrow::row::Row<'_> {
        self.held[entry.0].keys.row(entry.1)
    }

    fn pick(&self, entries: &[(usize, usize)]) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.held.iter().map(|held| &held.records).collect();
        Ok(interleave_record_batch(&batches, entries)?)
    }

    /// Keeps only the first `limit` rows.
    fn compact(&mut self) -> Result<()> {
        let mut entries = self.entries();
        if self.limit == 0 || entries.len() <= self.limit {
            return Ok(());
        }
        entries.select_nth_unstable_by(self.limit - 1, |a, b| self.key(a).cmp(&self.key(b)));
        entries.truncate(self.limit);
        self.worst = Some(self.key(&entries[self.limit - 1]).owned());
        let records = self.pick(&entries)?;
        let keys = self.order.encode(&records)?;
        self.held = vec![Held { records, keys }];
        self.rows = self.limit;
        Ok(())
    }

    fn sorted_entries(&self) -> Vec<(usize, usize)> {
        let mut entries = self.entries();
        entries.sort_unstable_by(|a, b| self.key(a).cmp(&self.key(b)));
        entries.truncate(self.limit);
        entries
    }

    /// Writes the rows that are in memory as a sorted run.
    fn spill(&mut self) -> Result<()> {
        let entries = self.sorted_entries();
        if entries.len() == self.limit {
            // As many rows as are wanted stand before whatever comes behind the last of these.
            self.worst = entries.last().map(|last| self.key(last).owned());
        }
        let mut run = Run::new();
        for chunk in entries.chunks(BLOCK_ROWS) {
            append(&mut run, &self.file, &self.pick(chunk)?)?;
        }
        self.runs.push(run);
        self.held.clear();
        self.rows = 0;
        self.reservation.resize(0)
    }

    /// The rows as the question wants to see them.
    fn shown(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        let columns = records.columns()[..self.width].to_vec();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Sink for SortSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 || self.limit == 0 {
            return Ok(());
        }
        let ids: Vec<RowId> = (0..batch.rows()).map(|row| batch.origin.row_id(row)).collect();
        let mut columns: Vec<ArrayRef> = batch.records.columns().to_vec();
        columns.push(Arc::new(ids.iter().map(|id| id.file).collect::<UInt32Array>()));
        columns.push(Arc::new(ids.iter().map(|id| id.position).collect::<UInt64Array>()));
        if self.copies {
            columns.push(Arc::new(ids.iter().map(|id| id.copy).collect::<UInt32Array>()));
        }
        self.push(RecordBatch::try_new(Arc::clone(&self.held_schema), columns)?)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<SortSink>();
        let mut other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.runs.append(&mut other.runs);
        drop(other.reservation);
        other.held.into_iter().try_for_each(|held| self.push(held.records))
    }

    fn finish(mut self: Box<Self>) -> Result<Materialised> {
        let mut results = self.room.results();
        if self.runs.is_empty() {
            for chunk in self.sorted_entries().chunks(OUTPUT_ROWS) {
                results.push(self.shown(&self.pick(chunk)?)?)?;
            }
        } else {
            self.spill()?;
            let runs = reduce(std::mem::take(&mut self.runs), &self.order, &self.file, self.limit)?;
            let mut merge = Merge::new(runs, &self.order)?;
            let mut left = self.limit;
            while left > 0
                && let Some(batch) = merge.next(BLOCK_ROWS.min(left))?
            {
                left -= batch.num_rows();
                results.push(self.shown(&batch)?)?;
            }
        }
        Ok(Materialised { schema: self.schema, rows: results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
