//! From text that begins at a record's start to batches of the columns wanted.

use super::column::{ColumnSpec, Misfit as FieldMisfit, MisfitKind, parse_column};
use super::fields::Format;
use super::index::RecordIndex;
use super::infer::widened_type;
use super::options::MalformedPolicy;
use super::record::MalformedKind;
use super::take::{Aside, Counted, Long, Overlong, Rules, Span, Trouble};
use crate::batch::{Batch, Mask, Positions, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::{Cell, positions_of};
use crate::source::text::{Flaw, ReadText};
use crate::source::{Misfit, Recoded, Reject, Remedy, RowFilter, SourceBatch};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// What a file's records become.
pub(super) struct Reader {
    pub(super) file: u32,
    pub(super) rules: Rules,
    pub(super) format: Format,
    /// One a column wanted.
    pub(super) specs: Vec<ColumnSpec>,
    pub(super) schema: SchemaRef,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
    pub(super) batch_bytes: usize,
}

/// What a reading tells besides rows and records set aside.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) padded: Counted,
    pub(super) repeated_headers: Counted,
}

/// So much is kept of a record that is set aside for its length.
const LONG_SHOWN_BYTES: usize = 64 << 10;

/// How many reasons are compared with a new one; more than these are made anew.
const REASONS_COMPARED: usize = 40;

/// A filter that keeps more than this share of rows is not worth compacting for.
const COMPACT_BELOW: f64 = 0.75;

impl Reader {
    /// Reads the records of `span`, as far as they are complete. Places in what is told are relative: the numbers of bytes
    /// and of line ends between the start of the span and the record.
    pub(super) fn read_span(
        &self,
        span: Span<'_>,
        cells: &[Cell],
        index: &mut RecordIndex,
        mut overlong: Option<(u64, &mut Overlong)>,
    ) -> Result<ReadText<Reader>> {
        let mut read = ReadText::from(span.from);
        let mut troubles = Vec::new();
        while read.tail < span.until {
            index.clear();
            let long = match &mut overlong {
                None => Long::Stop,
                Some((base, overlong)) => Long::Pass(*base, overlong),
            };
            let taken = self.rules.take(Span { from: read.tail, ..span }, self.batch_bytes, index, long);
            set_aside(&taken.aside, span.from, cells, &mut troubles, &mut read);
            read.notes.padded.join(taken.padded, read.newlines);
            read.notes.repeated_headers.join(taken.repeated, read.newlines);
            read.records += index.records() as u64;
            read.newlines += taken.lines;
            if index.records() > 0 {
                read.batches.push(self.batch(span.text, index, cells)?);
            }
            let stuck = taken.consumed == read.tail;
            read.tail = taken.consumed;
            read.too_long = taken.too_long;
            if let Some(malformed) = taken.malformed {
                let (message, hint) = describe(Trouble::Malformed(malformed.kind));
                read.malformed = Some(Flaw { at: malformed.at, message, hint });
            }
            if stuck || read.malformed.is_some() || read.too_long {
                break;
            }
        }
        Ok(read)
    }

    fn batch(&self, text: &[u8], index: &RecordIndex, cells: &[Cell]) -> Result<SourceBatch> {
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.specs.len()];
        let mut notes = BatchNotes::default();
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

    fn column(
        &self,
        text: &[u8],
        index: &RecordIndex,
        rows: Option<&[u32]>,
        at: usize,
        notes: &mut BatchNotes,
    ) -> ArrayRef {
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
        let sets_aside = self.rules.malformed != MalformedPolicy::Error;
        let remedy = match misfit.kind {
            MisfitKind::Encoding if sets_aside => {
                Remedy::Reject("the field is not valid in the declared encoding".into())
            }
            MisfitKind::Type if spec.declared && sets_aside => {
                Remedy::Reject(format!("the value is not {}, the type given for its column", spec.column_type).into())
            }
            MisfitKind::Encoding => Remedy::Fail(located(
                Error::new(ErrorKind::Value, "the field is not valid in the declared encoding")
                    .hint("--encoding states another, without it such fields are read as windows-1252, and --invalid-bytes replace replaces such bytes"),
            )),
            MisfitKind::Type if spec.declared => {
                let message = format!("the value is not {}, the type given for its column", spec.column_type);
                let hint = match widened_type(spec, raw, &self.format) {
                    wider if wider == ColumnType::Utf8 || wider == spec.column_type => {
                        format!("--null '{shown}' reads it as missing; --types {name}=utf8 keeps it as text")
                    }
                    wider => format!("--types {name}={} takes it as it is", wider.to_string().to_lowercase()),
                };
                Remedy::Fail(located(Error::new(ErrorKind::Value, message).hint(hint)))
            }
            MisfitKind::Type => Remedy::Widen(widened_type(spec, raw, &self.format)),
        };
        Misfit { row: misfit.row, column: at, text: shown, remedy }
    }
}

/// Appends records set aside, of text that goes on where `read` has come to, to those of the text from `from` on.
/// `troubles` are those of the reasons, so that equal ones are made once.
fn set_aside(aside: &[Aside], from: usize, cells: &[Cell], troubles: &mut Vec<Trouble>, read: &mut ReadText<Reader>) {
    let positions = positions_of(aside.iter().map(|aside| aside.start), cells);
    read.rejects.reserve(aside.len());
    // The last reason met of each kind and number of fields, as far as they fall on different places.
    let mut near = [None; 64];
    for (aside, position) in aside.iter().zip(positions) {
        let near = &mut near[place_of(aside.trouble)];
        let reason = near.filter(|&known| troubles[known] == aside.trouble).unwrap_or_else(|| {
            let known = troubles.iter().rev().take(REASONS_COMPARED).position(|known| *known == aside.trouble);
            let reason = known.map_or(troubles.len(), |back| troubles.len() - 1 - back);
            if reason == troubles.len() {
                troubles.push(aside.trouble);
                read.reasons.push(describe(aside.trouble).0.into());
            }
            reason
        });
        *near = Some(reason);
        let end = match aside.trouble {
            Trouble::TooLong(_) => aside.end.min(aside.start + LONG_SHOWN_BYTES),
            Trouble::Malformed(_) => aside.end,
        };
        read.rejects.push(Reject {
            position,
            line: read.newlines + aside.lines,
            byte: (aside.start - from) as u64,
            reason: reason as u32,
            text: aside.start as u32..end as u32,
        });
    }
}

/// One of 64 places, different for most of the troubles that come together.
fn place_of(trouble: Trouble) -> usize {
    let mixed = match trouble {
        Trouble::Malformed(MalformedKind::TooFew { found } | MalformedKind::TooMany { found }) => found,
        Trouble::Malformed(MalformedKind::UnterminatedQuote) => 61,
        Trouble::Malformed(MalformedKind::TextAfterQuote) => 62,
        Trouble::TooLong(_) => 63,
    };
    mixed % 64
}

/// What is wrong with a record, and what to try.
pub(super) fn describe(trouble: Trouble) -> (String, &'static str) {
    match trouble {
        Trouble::Malformed(MalformedKind::TooFew { found }) => {
            (format!("the record has {}, too few", fields(found)), RAGGED)
        }
        Trouble::Malformed(MalformedKind::TooMany { found }) => {
            (format!("the record has {}, too many", fields(found)), RAGGED)
        }
        Trouble::Malformed(MalformedKind::UnterminatedQuote) => {
            ("a quote is opened here and never closed".to_owned(), UNQUOTED)
        }
        Trouble::Malformed(MalformedKind::TextAfterQuote) => ("text follows a closing quote".to_owned(), DOUBLED),
        Trouble::TooLong(most) => (format!("a record is longer than {most} bytes"), UNCLOSED),
    }
}

/// So many fields, in words.
pub(super) fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

const RAGGED: &str = "every record needs as many fields as the header; look for a stray delimiter, quote or line end, \
    and in a gzip or zstd file for damage (gzip -t, zstd -t); --malformed skip sets such records aside";
const UNQUOTED: &str = "--quote none reads quotes as text; --malformed skip sets such records aside";
const DOUBLED: &str = "inside quotes a quote is written twice; --quote none reads quotes as text; --malformed skip sets \
    such records aside";
const UNCLOSED: &str = "is a quote never closed? --quote none reads quotes as text; --malformed skip sets such records \
    aside";

/// Misfits and recoded fields of a batch in the making.
#[derive(Default)]
struct BatchNotes {
    misfits: Vec<Misfit>,
    recoded: Vec<Recoded>,
}

impl BatchNotes {
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

fn positions(starts: impl Iterator<Item = u32>, cells: &[Cell]) -> Arc<[u64]> {
    positions_of(starts.map(|start| start as usize), cells).collect()
}

/// A field for a message: at most 60 characters.
pub(super) fn shorten(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    match text.char_indices().nth(60) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
