//! From text that begins at a record's start to batches of the columns wanted.

use super::column::{ColumnSpec, Misfit as FieldMisfit, MisfitKind, parse_column};
use super::fields::Format;
use super::index::RecordIndex;
use super::infer::widened_type;
use super::record::Malformed;
use super::split::{Limits, split};
use crate::batch::{Batch, Mask, Positions, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::Cell;
use crate::source::{Misfit, Recoded, Remedy, RowFilter, SourceBatch};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// What a file's records become.
pub(super) struct Reader {
    pub(super) file: u32,
    pub(super) fields: usize,
    pub(super) format: Format,
    /// One a column wanted.
    pub(super) specs: Vec<ColumnSpec>,
    pub(super) schema: SchemaRef,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
    pub(super) batch_bytes: usize,
}

/// The records of a text.
pub(super) struct ReadText {
    pub(super) batches: Vec<SourceBatch>,
    /// Offset behind the last complete record.
    pub(super) tail: usize,
    /// What stands there, if it is malformed.
    pub(super) malformed: Option<Malformed>,
    pub(super) records: u64,
    /// Line ends between the start and the tail.
    pub(super) newlines: u64,
}

/// A filter that keeps more than this share of rows is not worth compacting for.
const COMPACT_BELOW: f64 = 0.75;

impl Reader {
    /// Reads the complete records of `text` from offset `from`, a record's start, on.
    pub(super) fn read(
        &self,
        text: &[u8],
        from: usize,
        cells: &[Cell],
        at_end: bool,
        index: &mut RecordIndex,
    ) -> Result<ReadText> {
        let mut read = ReadText { batches: Vec::new(), tail: from, malformed: None, records: 0, newlines: 0 };
        let limits = Limits { bytes: self.batch_bytes, records: usize::MAX };
        while read.tail < text.len() {
            index.clear();
            let part = split(text, read.tail, &self.format.dialect, self.fields, at_end, limits, index);
            read.records += index.records() as u64;
            read.newlines += index.newlines();
            if index.records() > 0 {
                read.batches.push(self.batch(text, index, cells)?);
            }
            let stuck = part.consumed == read.tail;
            read.tail = part.consumed;
            read.malformed = part.malformed;
            if stuck || part.malformed.is_some() {
                break;
            }
        }
        Ok(read)
    }

    fn batch(&self, text: &[u8], index: &RecordIndex, cells: &[Cell]) -> Result<SourceBatch> {
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.specs.len()];
        let mut notes = Notes::default();
        let mut kept: Option<Vec<u32>> = None;
        if let Some(row_filter) = &self.filter {
            let filter_columns = row_filter.columns();
            for &column in filter_columns {
                columns[column] = Some(self.column(text, index, None, column, &mut notes));
            }
            let arrays = filter_columns.iter().filter_map(|&column| columns[column].clone()).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(index.records()));
            let schema = Arc::new(self.schema.project(filter_columns)?);
            let seen = RecordBatch::try_new_with_options(schema, arrays, &options)?;
            kept = row_filter.keep(&seen).and_then(|mask| notes.rows_kept(&mask));
            if let Some(rows) = &kept {
                let mask = mask_of(rows, index.records());
                for column in columns.iter_mut().flatten() {
                    *column = filter(column, &mask)?;
                }
                notes.compact(rows);
            }
        }
        for (at, column) in columns.iter_mut().enumerate() {
            if column.is_none() {
                *column = Some(self.column(text, index, kept.as_deref(), at, &mut notes));
            }
        }
        let rows = kept.as_ref().map_or(index.records(), Vec::len);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let arrays = columns.into_iter().flatten().collect();
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        let positions = match &kept {
            None => positions(index.starts().iter().copied(), cells),
            Some(rows) => positions(rows.iter().map(|&row| index.starts()[row as usize]), cells),
        };
        let origin = RowOrigin { file: self.file, positions: Positions::Listed(positions) };
        notes.misfits.sort_by_key(|misfit| misfit.row);
        notes.recoded.sort_by_key(|field| (field.row, field.column));
        Ok(SourceBatch { batch: Batch { records, origin }, misfits: notes.misfits, recoded: notes.recoded })
    }

    fn column(&self, text: &[u8], index: &RecordIndex, rows: Option<&[u32]>, at: usize, notes: &mut Notes) -> ArrayRef {
        let spec = &self.specs[at];
        let parsed = parse_column(text, index, rows, spec, &self.format);
        for misfit in parsed.misfits {
            notes.misfits.push(self.misfit(text, at, misfit));
        }
        notes.recoded.extend(parsed.recoded.iter().map(|&row| Recoded { row: row as usize, column: at }));
        parsed.array
    }

    fn misfit(&self, text: &[u8], at: usize, misfit: FieldMisfit) -> Misfit {
        let spec = &self.specs[at];
        let raw = &text[misfit.range];
        let shown = shorten(raw);
        let name = self.schema.field(at).name();
        let located = |error: Error| {
            error.with_place(|place| {
                place.column = Some(name.as_str().into());
                place.value = Some(shown.clone());
            })
        };
        let remedy = match misfit.kind {
            MisfitKind::Encoding => Remedy::Fail(located(
                Error::new(ErrorKind::Value, "the field is not valid in the declared encoding")
                    .hint("--encoding states another, without it such fields are read as windows-1252, and --invalid-bytes replace replaces such bytes"),
            )),
            MisfitKind::Type if spec.declared => Remedy::Fail(located(
                Error::new(
                    ErrorKind::Value,
                    format!("the value is not {}, the type given for its column", spec.column_type),
                )
                .hint(format!("--null '{shown}' reads it as missing; --types {name}=utf8 keeps it as text")),
            )),
            MisfitKind::Type => Remedy::Widen(widened_type(spec, raw, &self.format)),
        };
        Misfit { row: misfit.row, column: at, text: shown, remedy }
    }
}

/// Misfits and recoded fields of a batch in the making.
#[derive(Default)]
struct Notes {
    misfits: Vec<Misfit>,
    recoded: Vec<Recoded>,
}

impl Notes {
    /// The rows to keep, when few enough to be worth it. Rows of which something is noted stay: whether that concerns
    /// a question is for the question to tell.
    fn rows_kept(&self, mask: &BooleanArray) -> Option<Vec<u32>> {
        if mask.true_count() as f64 > COMPACT_BELOW * mask.len() as f64 {
            return None;
        }
        let mut keep: Vec<bool> = (0..mask.len()).map(|row| mask.is_valid_and_true(row)).collect();
        for row in self.misfits.iter().map(|misfit| misfit.row).chain(self.recoded.iter().map(|field| field.row)) {
            keep[row] = true;
        }
        Some((0..mask.len() as u32).filter(|&row| keep[row as usize]).collect())
    }

    /// Renumbers rows after all but `rows` were dropped.
    fn compact(&mut self, rows: &[u32]) {
        let renumber = |row: &mut usize| *row = rows.partition_point(|&kept| (kept as usize) < *row);
        self.misfits.iter_mut().for_each(|misfit| renumber(&mut misfit.row));
        self.recoded.iter_mut().for_each(|field| renumber(&mut field.row));
    }
}

fn mask_of(rows: &[u32], length: usize) -> BooleanArray {
    let mut mask = vec![false; length];
    for &row in rows {
        mask[row as usize] = true;
    }
    BooleanArray::from(mask)
}

/// Row positions of records that start at `starts`, ascending offsets into the text of `cells`.
fn positions(starts: impl Iterator<Item = u32>, cells: &[Cell]) -> Arc<[u64]> {
    let mut cell = 0;
    starts
        .map(|start| {
            let start = start as usize;
            while cells.get(cell + 1).is_some_and(|next| next.at <= start) {
                cell += 1;
            }
            cells.get(cell).map_or(start as u64, |cell| cell.base + (start - cell.at) as u64)
        })
        .collect()
}

/// A field for a message: at most 60 characters.
pub(super) fn shorten(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    match text.char_indices().nth(60) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
