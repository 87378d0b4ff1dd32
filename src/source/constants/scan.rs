//! A scan of the inner source, with the constants added and without the files that they rule out.

use super::filter::{Columns, InnerFilter, files_wanted, repeated};
use super::{ConstantColumns, Origin};
use crate::batch::{Batch, coded};
use crate::error::{Error, Result};
use crate::source::{
    Committed, CommittedRows, PartitionId, Read, ReadNeeds, RowFilter, Scan, ScanRequest, ScanScratch, SourceBatch,
    Ticket,
};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts a scan of the inner source.
pub(super) fn start(source: &ConstantColumns, request: ScanRequest) -> Result<Box<dyn Scan>> {
    let schema = Arc::new(source.schema.project(&request.columns)?);
    let origins: Vec<Origin> = request.columns.iter().map(|&column| source.origins[column]).collect();
    let inner_columns: Vec<usize> = origins
        .iter()
        .filter_map(|origin| match origin {
            Origin::Inner(at) => Some(*at),
            Origin::Constant(_) => None,
        })
        .collect();
    if inner_columns.len() == origins.len() {
        return source.inner.scan(ScanRequest { columns: inner_columns, ..request });
    }
    let mut outer_of = Vec::with_capacity(inner_columns.len());
    let mut inner_of = vec![None; origins.len()];
    let mut parts = Vec::with_capacity(origins.len());
    for (column, origin) in origins.iter().enumerate() {
        parts.push(match origin {
            Origin::Inner(_) => {
                inner_of[column] = Some(outer_of.len());
                outer_of.push(column);
                Part::Inner(outer_of.len() - 1)
            }
            Origin::Constant(at) => Part::Constant(Arc::clone(&source.constants[*at].values)),
        });
    }
    let files = source.inner.files().len();
    let mut skip: Vec<bool> = vec![false; files];
    let mut told_by_caller = vec![false; files];
    if let Some(given) = &request.skip {
        told_by_caller.iter_mut().zip(given.iter()).for_each(|(skip, given)| *skip = *given);
        skip.clone_from(&told_by_caller);
    }
    let mut filter: Option<Arc<dyn RowFilter>> = None;
    if let Some(outer) = &request.filter {
        let columns = Columns { origins: &origins, constants: &source.constants, schema: &schema };
        for (skip, wanted) in skip.iter_mut().zip(files_wanted(&**outer, &columns, files)) {
            *skip |= !wanted;
        }
        let read: Vec<u32> = (0..files as u32).filter(|&file| !skip[file as usize]).collect();
        filter = InnerFilter::new(Arc::clone(outer), &columns, &inner_of, &read)
            .map(|inner| Arc::new(inner) as Arc<dyn RowFilter>);
    }
    // The caller tells of the files that it skips itself.
    let of_file = |(skip, told): (&bool, &bool)| match (told, skip) {
        (true, _) => Telling::Caller,
        (false, true) => Telling::This,
        (false, false) => Telling::Inner,
    };
    let told_by = skip.iter().zip(&told_by_caller).map(of_file).collect();
    let skip = skip.contains(&true).then(|| Arc::from(skip));
    let coded = request.coded.iter().filter_map(|&column| inner_of.get(column).copied().flatten()).collect();
    let inner = source.inner.scan(ScanRequest { columns: inner_columns, filter, skip, coded, ..request })?;
    Ok(Box::new(ConstantScan { inner, schema, parts, outer_of, told_by, begun: AtomicBool::new(false) }))
}

/// Where a column of a batch comes from.
enum Part {
    /// This column of the inner batch.
    Inner(usize),
    /// The file's value among these.
    Constant(ArrayRef),
}

/// Who tells that a file is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// Whoever has asked for the scan, without the file.
    Caller,
    /// This scan, which leaves it out.
    This,
    /// The inner scan, which reads it.
    Inner,
}

struct ConstantScan {
    inner: Box<dyn Scan>,
    schema: SchemaRef,
    parts: Vec<Part>,
    /// For each column of the inner request, which column of the request it is.
    outer_of: Vec<usize>,
    /// By ordinal of the file.
    told_by: Vec<Telling>,
    begun: AtomicBool,
}

impl ConstantScan {
    fn complete(&self, mut source: SourceBatch) -> Result<SourceBatch> {
        let Batch { records, origin } = source.batch;
        let missing = || Error::internal("a batch lacks a column or names a file that is not there");
        let array = |part: &Part| match part {
            Part::Inner(at) => records.columns().get(*at).cloned().ok_or_else(missing),
            Part::Constant(values) => repeated(values, origin.file, records.num_rows()).ok_or_else(missing),
        };
        let arrays = self.parts.iter().map(array).collect::<Result<Vec<_>>>()?;
        let records = coded::records(&self.schema, arrays, records.num_rows())?;
        source.batch = Batch { records, origin };
        source.misfits.iter_mut().for_each(|misfit| misfit.column = self.outer_of[misfit.column]);
        source.recoded.iter_mut().for_each(|field| field.column = self.outer_of[field.column]);
        Ok(source)
    }

    fn complete_all(&self, batches: Vec<SourceBatch>) -> Result<Vec<SourceBatch>> {
        batches.into_iter().map(|batch| self.complete(batch)).collect()
    }

    /// What the inner scan tells, and behind the end of each file the skipped ones that follow it: so that nobody who
    /// waits for the files before them has to tell of them himself.
    fn told(&self, committed: Vec<Committed>) -> Vec<Committed> {
        let mut out = Vec::with_capacity(committed.len());
        for mut item in committed {
            let rows = match item.rows {
                CommittedRows::AsRead => Ok(CommittedRows::AsRead),
                CommittedRows::Instead(batches) => self.complete_all(batches).map(CommittedRows::Instead),
                CommittedRows::Between(batches) => self.complete_all(batches).map(CommittedRows::Between),
            };
            item.rows = rows.unwrap_or_else(|error| {
                item.error = Some(error);
                CommittedRows::Instead(Vec::new())
            });
            let done = item.file_done.then_some(item.id.file);
            out.push(item);
            if let Some(file) = done {
                self.tell_skipped(file as usize + 1, &mut out);
            }
        }
        out
    }

    /// Tells of the files from this one up to the next that is read, but for those of the caller.
    fn tell_skipped(&self, from: usize, out: &mut Vec<Committed>) {
        let unread = (from..self.told_by.len()).take_while(|&file| self.told_by[file] != Telling::Inner);
        for file in unread.filter(|&file| self.told_by[file] == Telling::This) {
            let id = PartitionId { file: file as u32, ordinal: 0 };
            let nothing = CommittedRows::Between(Vec::new());
            out.push(Committed { file_done: true, ..Committed::new(id, 0, nothing) });
        }
    }
}

impl Scan for ConstantScan {
    fn needs(&self) -> ReadNeeds {
        self.inner.needs()
    }

    fn awaits_commit(&self, id: PartitionId) -> bool {
        self.inner.awaits_commit(id)
    }

    fn read(&self, scratch: &mut ScanScratch, wait: bool) -> Result<Read> {
        if !self.begun.swap(true, Ordering::Relaxed) {
            let mut first = Vec::new();
            self.tell_skipped(0, &mut first);
            if !first.is_empty() {
                return Ok(Read::Committed(first));
            }
        }
        Ok(match self.inner.read(scratch, wait)? {
            Read::Partition(ticket, batches) => Read::Partition(ticket, self.complete_all(batches)?),
            Read::Committed(committed) => Read::Committed(self.told(committed)),
            Read::Busy => Read::Busy,
            Read::End => Read::End,
        })
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        self.told(self.inner.commit(ticket))
    }

    fn stop_from(&self, file: u32) {
        self.inner.stop_from(file);
    }

    fn progress(&self) -> (u64, u64) {
        self.inner.progress()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }
}
