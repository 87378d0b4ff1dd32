//! Stored rows as a source: results of an earlier stage, or batches of the user's.

use super::{Committed, CommittedRows, PartitionId, PartitionInfo, Read, ReadNeeds, Scan, ScanRequest, ScanScratch};
use super::{Source, SourceBatch, Ticket};
use crate::batch::{Batch, RowOrigin};
use crate::error::Result;
use crate::memory::{Part, StoredRows};
use crate::types::ColumnType;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows in memory, or on disk where they did not fit; a batch is a partition.
#[derive(Debug)]
pub struct MemorySource {
    schema: SchemaRef,
    rows: StoredRows,
    first_rows: Arc<[u64]>,
}

impl MemorySource {
    /// A source of these batches, all of schema `schema`.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        MemorySource::of_rows(schema, batches.into())
    }

    /// A source of these rows, all of schema `schema`.
    pub fn of_rows(schema: SchemaRef, rows: StoredRows) -> Self {
        let next_row = |next: &mut u64, part: &Part| {
            let first = *next;
            *next += part.rows() as u64;
            Some(first)
        };
        let first_rows = rows.parts().iter().scan(0, next_row).collect();
        MemorySource { schema, rows, first_rows }
    }
}

impl Source for MemorySource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        format!("memory ({} rows)", self.rows.rows())
    }

    fn key(&self) -> String {
        // All that have no rows share an address.
        format!("memory {:p} {:p}", self.rows.parts().as_ptr(), Arc::as_ptr(&self.schema))
    }

    fn files(&self) -> Vec<Arc<str>> {
        vec![Arc::from("memory")]
    }

    fn known_rows(&self) -> Option<usize> {
        Some(self.rows.rows())
    }

    fn partitions(&self, _piece_bytes: usize) -> Vec<PartitionInfo> {
        let info =
            |part: &Part| PartitionInfo { file: Arc::from("memory"), stored_bytes: 0..part.loaded_bytes() as u64 };
        self.rows.parts().iter().map(info).collect()
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        Ok(Box::new(MemoryScan {
            rows: self.rows.clone(),
            first_rows: Arc::clone(&self.first_rows),
            columns: request.columns,
            rows_bytes: self.rows.parts().iter().map(Part::loaded_bytes).max().unwrap_or(0),
            all_rows_bytes: self.rows.parts().iter().map(Part::rows_bytes).sum(),
            next: AtomicUsize::new(0),
        }))
    }

    fn widened(&self, _columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        None
    }
}

struct MemoryScan {
    rows: StoredRows,
    first_rows: Arc<[u64]>,
    columns: Vec<usize>,
    /// The most that a part takes.
    rows_bytes: usize,
    all_rows_bytes: usize,
    next: AtomicUsize,
}

impl Scan for MemoryScan {
    fn needs(&self) -> ReadNeeds {
        let MemoryScan { rows_bytes, all_rows_bytes, .. } = *self;
        ReadNeeds { rows_bytes, all_rows_bytes, ..ReadNeeds::default() }
    }

    fn read(&self, _scratch: &mut ScanScratch, _wait: bool) -> Result<Read> {
        let ordinal = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(part) = self.rows.parts().get(ordinal) else { return Ok(Read::End) };
        let records = part.load()?.project(&self.columns)?;
        let origin = RowOrigin::consecutive(self.first_rows[ordinal]);
        let ticket = Ticket {
            id: PartitionId { file: 0, ordinal: ordinal as u64 },
            notes: Box::new(part.rows()),
            held_bytes: 0,
        };
        let batch = SourceBatch { batch: Batch { records, origin }, misfits: Vec::new(), recoded: Vec::new() };
        Ok(Read::Partition(ticket, vec![batch]))
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let records = ticket.notes.downcast_ref::<usize>().copied().unwrap_or(0) as u64;
        vec![Committed { records, ..Committed::new(ticket.id, ticket.id.ordinal, CommittedRows::AsRead) }]
    }

    fn stop_from(&self, _file: u32) {
        self.next.fetch_max(self.rows.parts().len(), Ordering::Relaxed);
    }

    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    fn bytes_read(&self) -> u64 {
        0
    }
}
