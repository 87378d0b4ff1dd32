//! All rows in order, or the first `limit` of them.
//!
//! Keys are encoded so that comparing bytes compares keys; ties are settled by row identity, so the order is total and
//! does not depend on how rows arrived. With a limit, rows behind the worst of the best are dropped on arrival.

use super::{Materialised, Sink};
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::groupby::normalise_floats;
use crate::memory::{Budget, Reservation};
use crate::plan::SortColumn;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave_record_batch, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use std::any::Any;
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows of a result batch.
const OUTPUT_ROWS: usize = 1 << 16;

pub(super) struct SortSink {
    schema: SchemaRef,
    keys: Vec<SortColumn>,
    limit: Option<usize>,
    width: usize,
    converter: RowConverter,
    held: Vec<Held>,
    rows: usize,
    /// With a limit: rows at or behind this one cannot be among the first.
    worst: Option<(OwnedRow, RowId)>,
    reservation: Reservation,
}

struct Held {
    records: RecordBatch,
    keys: Rows,
    ids: Vec<RowId>,
}

impl Held {
    fn bytes(&self) -> usize {
        self.records.get_array_memory_size() + self.keys.size() + self.ids.len() * size_of::<RowId>()
    }
}

impl SortSink {
    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: Vec<SortColumn>,
        limit: Option<usize>,
        width: usize,
        budget: &Budget,
    ) -> Result<Self> {
        let field = |key: &SortColumn| {
            let options = SortOptions { descending: key.descending, nulls_first: false };
            SortField::new_with_options(types[key.column].clone(), options)
        };
        let converter = RowConverter::new(keys.iter().map(field).collect())?;
        Ok(SortSink {
            schema,
            keys,
            limit,
            width,
            converter,
            held: Vec::new(),
            rows: 0,
            worst: None,
            reservation: budget.reservation("sorting"),
        })
    }

    fn encode(&mut self, records: &RecordBatch) -> Result<Rows> {
        let columns: Vec<_> = self.keys.iter().map(|key| normalise_floats(records.column(key.column))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }

    fn push(&mut self, records: RecordBatch, ids: Vec<RowId>) -> Result<()> {
        let keys = self.encode(&records)?;
        let held = match &self.worst {
            None => Held { records, keys, ids },
            Some((worst, worst_id)) => {
                let worst = worst.row();
                let better = |row: &u32| {
                    let at = *row as usize;
                    keys.row(at).cmp(&worst).then_with(|| ids[at].cmp(worst_id)) == Ordering::Less
                };
                let rows: Vec<u32> = (0..records.num_rows() as u32).filter(better).collect();
                if rows.is_empty() {
                    return Ok(());
                }
                let ids = rows.iter().map(|&row| ids[row as usize]).collect();
                let records = take_record_batch(&records, &UInt32Array::from(rows))?;
                let keys = self.encode(&records)?;
                Held { records, keys, ids }
            }
        };
        self.rows += held.ids.len();
        self.held.push(held);
        match self.limit {
            Some(limit) if self.rows >= limit.saturating_mul(2).max(1024) => self.compact(limit)?,
            _ => {}
        }
        self.reservation.resize(self.held.iter().map(Held::bytes).sum())
    }

    /// Where every held row stands, as (batch, row).
    fn entries(&self) -> Vec<(usize, usize)> {
        let rows = |(at, held): (usize, &Held)| (0..held.ids.len()).map(move |row| (at, row));
        self.held.iter().enumerate().flat_map(rows).collect()
    }

    fn compare(&self, a: &(usize, usize), b: &(usize, usize)) -> Ordering {
        let (left, right) = (&self.held[a.0], &self.held[b.0]);
        left.keys.row(a.1).cmp(&right.keys.row(b.1)).then_with(|| left.ids[a.1].cmp(&right.ids[b.1]))
    }

    /// Keeps only the first `limit` rows.
    fn compact(&mut self, limit: usize) -> Result<()> {
        let mut entries = self.entries();
        if limit == 0 || entries.len() <= limit {
            return Ok(());
        }
        entries.select_nth_unstable_by(limit - 1, |a, b| self.compare(a, b));
        entries.truncate(limit);
        let last = entries[limit - 1];
        self.worst = Some((self.held[last.0].keys.row(last.1).owned(), self.held[last.0].ids[last.1]));
        let batches: Vec<&RecordBatch> = self.held.iter().map(|held| &held.records).collect();
        let records = interleave_record_batch(&batches, &entries)?;
        let ids = entries.iter().map(|entry| self.held[entry.0].ids[entry.1]).collect();
        let keys = self.encode(&records)?;
        self.held = vec![Held { records, keys, ids }];
        self.rows = limit;
        Ok(())
    }
}

impl Sink for SortSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 || self.limit == Some(0) {
            return Ok(());
        }
        let ids = (0..batch.rows()).map(|row| batch.origin.row_id(row)).collect();
        self.push(batch.records, ids)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<SortSink>();
        let mut other = other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        other.reservation.resize(0)?;
        for held in other.held {
            self.push(held.records, held.ids)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Materialised> {
        let mut entries = self.entries();
        entries.sort_unstable_by(|a, b| self.compare(a, b));
        entries.truncate(self.limit.unwrap_or(usize::MAX));
        let batches: Vec<&RecordBatch> = self.held.iter().map(|held| &held.records).collect();
        let visible: Vec<usize> = (0..self.width).collect();
        let mut result = Vec::with_capacity(entries.len().div_ceil(OUTPUT_ROWS));
        for chunk in entries.chunks(OUTPUT_ROWS) {
            let records = interleave_record_batch(&batches, chunk)?.project(&visible)?;
            result.push(records.with_schema(Arc::clone(&self.schema))?);
        }
        Ok(Materialised { schema: self.schema, batches: result })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
