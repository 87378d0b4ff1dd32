//! Reading a fragment: the columns of the filter first, the others for the rows that it keeps.
//!
//! That pays where the decoder can pass over much of the other columns. Where the filter keeps most rows, or here one and
//! there one, all rows are delivered, and the questions apply the filter themselves.

use super::columns::{Columns, FileReader, Part};
use super::fragments::Fragment;
use super::rows::{choose, count, intersect, take_rows};
use crate::batch::{Batch, Positions, RowOrigin, coded, compact};
use crate::error::{Error, Result};
use crate::source::{Misfit, RowFilter, SourceBatch};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Passing over rows and stopping for some costs as much as decoding so many rows.
const ROWS_PER_RUN: u64 = 10;

/// What is delivered of a fragment at a time.
pub(super) struct PartitionRead {
    pub(super) batches: Vec<SourceBatch>,
    /// Rows that were looked at.
    pub(super) records: u64,
    /// The fragment ends here.
    pub(super) last: bool,
}

/// One fragment on its way.
pub(super) struct FragmentReader {
    pub(super) reader: Arc<FileReader>,
    pub(super) fragment: usize,
    /// Ordinal of the next partition of the fragment.
    pub(super) piece: u64,
    state: State,
    /// Rows before this one have been told of.
    told: u64,
    /// Text of the rows kept should not hold on to that of the others.
    sparse: bool,
}

enum State {
    New,
    /// All columns side by side.
    All(Columns),
    /// All rows, after the filter was tried on the first of them: its columns and the others.
    Both {
        tried: Option<Part>,
        first: Columns,
        others: Columns,
    },
    /// The columns of the filter have been read and the rows chosen; the others follow.
    Chosen {
        known: RecordBatch,
        misfits: Vec<Misfit>,
        at: usize,
        others: Columns,
    },
}

impl FragmentReader {
    pub(super) fn new(reader: Arc<FileReader>, fragment: usize) -> Self {
        let told = reader.fragments()[fragment].rows.start;
        FragmentReader { reader, fragment, piece: 0, state: State::New, told, sparse: false }
    }

    /// Ordinal of its file.
    pub(super) fn file(&self) -> usize {
        self.reader.file()
    }

    /// Reads the next partition.
    pub(super) fn next(&mut self) -> Result<PartitionRead> {
        let reader = Arc::clone(&self.reader);
        let fragment = &reader.fragments()[self.fragment];
        let (batch_rows, piece_rows) = reader.sizes(fragment);
        if matches!(self.state, State::New) {
            self.state = self.start(&reader, fragment, batch_rows)?;
        }
        let mut read = PartitionRead { batches: Vec::new(), records: 0, last: false };
        let (mut rows, mut end) = (0, fragment.rows.end);
        while rows < piece_rows {
            let Some(part) = self.next_part(&reader, fragment)? else {
                read.last = true;
                end = fragment.rows.end;
                break;
            };
            rows += part.len() as u64;
            end = part.rows.last().map_or(end, |range| range.end);
            read.batches.push(self.batch(&reader, fragment, part)?);
        }
        let looked_at = intersect(&fragment.wanted, std::slice::from_ref(&(self.told..end)));
        read.records = count(&looked_at);
        self.told = end;
        self.piece += 1;
        Ok(read)
    }

    fn start(&mut self, reader: &FileReader, fragment: &Fragment, batch_rows: u64) -> Result<State> {
        let all: Vec<usize> = (0..reader.columns.len()).collect();
        let rows = fragment.wanted.clone();
        let is_late = |filter: &&Arc<dyn RowFilter>| {
            !filter.columns().is_empty() && fragment.row_bytes.saturating_mul(count(&rows)) <= reader.late_bytes
        };
        let Some(filter) = reader.filter.as_ref().filter(is_late) else {
            return Ok(State::All(Columns::new(reader, fragment, all, rows, batch_rows)));
        };
        let first = filter.columns().to_vec();
        let others: Vec<usize> = all.iter().copied().filter(|column| first.binary_search(column).is_err()).collect();
        if others.is_empty() {
            return Ok(State::All(Columns::new(reader, fragment, all, rows, batch_rows)));
        }
        let schema = Arc::new(reader.schema.project(&first)?);
        let mut columns = Columns::new(reader, fragment, first, rows.clone(), batch_rows);
        let (mut chosen, mut known, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept_rows = 0;
        while let Some(part) = columns.next(reader, fragment)? {
            let length = part.len();
            let batch = coded::records(&schema, part.arrays.clone(), length)?;
            let mask = keep(filter.as_ref(), &batch, &part.misfits);
            if known.is_empty() && !pays(&mask) {
                let others = Columns::new(reader, fragment, others, rows, batch_rows);
                return Ok(State::Both { tried: Some(part), first: columns, others });
            }
            // Misfit rows are kept; each moves up by the rows left out before it.
            let moved = part.misfits.into_iter().map(|misfit| {
                let kept_before = mask.values().slice(0, misfit.row).count_set_bits();
                Misfit { row: kept_rows + kept_before, ..misfit }
            });
            misfits.extend(moved);
            kept_rows += mask.true_count();
            choose(&part.rows, &mask, &mut chosen);
            known.push(filter_record_batch(&batch, &mask)?);
        }
        let known = concatenated(&schema, known)?;
        self.sparse = count(&chosen) < count(&fragment.wanted) / 4;
        let others = Columns::new(reader, fragment, others, chosen, batch_rows);
        Ok(State::Chosen { known, misfits, at: 0, others })
    }

    /// The next rows, with all columns.
    fn next_part(&mut self, reader: &FileReader, fragment: &Fragment) -> Result<Option<Part>> {
        match &mut self.state {
            State::New => Ok(None),
            State::All(columns) if columns.columns.is_empty() => {
                let rows = take_rows(&mut columns.rows, columns.batch_rows);
                Ok(Some(Part { rows, arrays: Vec::new(), misfits: Vec::new() }).filter(|part| !part.rows.is_empty()))
            }
            State::All(columns) => columns.next(reader, fragment),
            State::Both { tried, first, others } => {
                let own = match tried.take() {
                    Some(part) => Some(part),
                    None => first.next(reader, fragment)?,
                };
                let (Some(own), Some(later)) = (own, others.next(reader, fragment)?) else { return Ok(None) };
                merge(reader, &others.columns, own.arrays, own.misfits, later).map(Some)
            }
            State::Chosen { known, misfits, at, others } => {
                let Some(later) = others.next(reader, fragment)? else { return Ok(None) };
                let (start, end) = (*at, *at + later.len());
                *at = end;
                let own = known.slice(start, end - start).columns().to_vec();
                let behind = misfits.partition_point(|misfit| misfit.row < end);
                let first = misfits.drain(..behind).map(|misfit| Misfit { row: misfit.row - start, ..misfit });
                merge(reader, &others.columns, own, first.collect(), later).map(Some)
            }
        }
    }

    fn batch(&self, reader: &FileReader, fragment: &Fragment, mut part: Part) -> Result<SourceBatch> {
        let rows = part.len();
        if self.sparse {
            part.arrays = part.arrays.iter().map(compact).collect();
        }
        let records = coded::records(&reader.schema, part.arrays, rows)?;
        let before = reader.of_file().rows_before[fragment.row_group];
        let positions = match part.rows.as_slice() {
            [only] => Positions::Consecutive(before + only.start),
            ranges => Positions::Listed(ranges.iter().cloned().flatten().map(|row| before + row).collect()),
        };
        let origin = RowOrigin { file: reader.file as u32, positions };
        Ok(SourceBatch { batch: Batch { records, origin }, misfits: part.misfits, recoded: Vec::new() })
    }
}

/// Read to its end or not, what is kept for it can go.
impl Drop for FragmentReader {
    fn drop(&mut self) {
        self.reader.fragments()[self.fragment].chunks.leave();
    }
}

/// Batches of this schema as one; as plain texts where some have codes and others, because of damage, have not.
fn concatenated(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
    let form = batches.first().map_or_else(|| Arc::clone(schema), |batch| batch.schema());
    if batches.iter().all(|batch| *batch.schema_ref() == form) {
        return Ok(concat_batches(&form, &batches)?);
    }
    let plain = batches.into_iter().map(|batch| coded::plain_from(0, batch)).collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(schema, &plain)?)
}

/// The columns that were read first and, of the same rows, the `others`, all in the order of the request.
fn merge(
    reader: &FileReader,
    others: &[usize],
    first: Vec<ArrayRef>,
    misfits: Vec<Misfit>,
    mut later: Part,
) -> Result<Part> {
    let mut second = others.iter().zip(std::mem::take(&mut later.arrays)).peekable();
    let mut first = first.into_iter();
    for column in 0..reader.columns.len() {
        let array = match second.next_if(|(at, _)| **at == column) {
            Some((_, array)) => Some(array),
            None => first.next(),
        };
        later.arrays.push(array.ok_or_else(|| Error::internal("a column was not read"))?);
    }
    later.misfits.extend(misfits);
    later.misfits.sort_by_key(|misfit| misfit.row);
    Ok(later)
}

/// Whether it pays to read other columns only where the mask is true.
fn pays(mask: &BooleanArray) -> bool {
    let (mut kept, mut runs) = (0, 0);
    for (start, end) in mask.values().set_slices() {
        kept += (end - start) as u64;
        runs += 1;
    }
    kept + ROWS_PER_RUN * runs <= mask.len() as u64 / 4 * 3
}

/// Which rows the filter wants, and those with misfits, for which it cannot tell.
fn keep(filter: &dyn RowFilter, batch: &RecordBatch, misfits: &[Misfit]) -> BooleanArray {
    let Some(mask) = filter.keep(batch) else { return BooleanArray::from(vec![true; batch.num_rows()]) };
    if mask.null_count() == 0 && misfits.is_empty() {
        return mask;
    }
    let mut kept: Vec<bool> = mask.iter().map(|keep| keep == Some(true)).collect();
    for misfit in misfits {
        if let Some(keep) = kept.get_mut(misfit.row) {
            *keep = true;
        }
    }
    kept.into()
}
