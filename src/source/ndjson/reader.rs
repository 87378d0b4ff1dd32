//! From text that begins at a record's start to batches of the columns wanted.

use super::column::{column, shown, value_type};
use super::keys::{KeyTree, Node};
use super::record::{Broken, Kind, Value, Visitor, read_record, unescape};
use super::{is_json_object, shorten};
use crate::batch::{Batch, Mask, Positions, RowOrigin};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::source::decompress::{Cell, positions_of};
use crate::source::text::{Before, Between, Flaw, Joint, ReadText, TextReader, Told};
use crate::source::{Committed, Misfit, Reject, Remedy, RowFilter, ScanRequest, ScanScratch, SourceBatch};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use memchr::memchr;
use std::ops::Range;
use std::sync::Arc;

/// A record has more bytes, and as many for each column, if it is not mostly empty.
const LEAST_RECORD_BYTES: usize = 3;
const LEAST_FIELD_BYTES: usize = 4;

/// What a file's records become.
pub(super) struct Reader {
    pub(super) file: u32,
    pub(super) tree: Arc<KeyTree>,
    /// For each column of the source, which of the columns wanted it is.
    pub(super) wanted: Vec<Option<usize>>,
    /// Type of each column wanted, and whether the user gave it.
    pub(super) types: Vec<(ColumnType, bool)>,
    pub(super) schema: SchemaRef,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
    pub(super) batch_bytes: usize,
    /// Malformed lines are set aside instead of ending the reading.
    pub(super) skips_malformed: bool,
    pub(super) max_record_bytes: usize,
}

/// Keys that are no columns, since no sample showed them.
#[derive(Default)]
pub(super) struct Unknown {
    /// The first record that has any.
    pub(super) first: Option<FirstUnknown>,
    /// Records that have any.
    pub(super) records: u64,
}

/// A record with a key that no sample showed.
pub(super) struct FirstUnknown {
    /// Offset of the record.
    pub(super) start: usize,
    /// Line ends and records before it.
    pub(super) lines: u64,
    pub(super) records: u64,
    /// The name that the key would have as a column.
    pub(super) key: String,
}

/// What is kept of a file from commit to commit.
#[derive(Default)]
pub(super) struct State {
    unknown_records: u64,
    /// Where the first of them stands, and its key.
    first_unknown: Option<(Place, String)>,
}

const MALFORMED: &str = "every line must be one JSON object; in a compressed file look for damage; --malformed skip sets \
    such lines aside; --input-format csv reads the file as CSV";

/// A filter that keeps more than this share of rows is not worth compacting for.
const COMPACT_BELOW: f64 = 0.75;

/// Rows in the making.
#[derive(Default)]
struct Rows {
    starts: Vec<u32>,
    /// Row by row, one value a column wanted.
    values: Vec<Value>,
}

struct RowVisitor<'a> {
    reader: &'a Reader,
    row: &'a mut [Value],
    /// The first key that is no column: of which object, and where.
    unknown: Option<(Node, Range<usize>)>,
}

impl Visitor for RowVisitor<'_> {
    #[inline]
    fn value(&mut self, node: Node, entry: usize, key: Range<usize>, value: Value) {
        match self.reader.tree.column(node, entry) {
            Some(column) => {
                if let Some(wanted) = self.reader.wanted[column] {
                    self.row[wanted] = value;
                }
            }
            None if value.kind == Kind::Null => {}
            // A plain value where samples had objects only.
            None => self.unknown(node, key),
        }
    }

    fn unknown(&mut self, node: Node, key: Range<usize>) {
        self.unknown.get_or_insert((node, key));
    }
}

impl Reader {
    /// Reads the complete lines of `text` from offset `from`, a line's start, on; the last needs no end if `at_end`.
    fn read_lines(&self, text: &[u8], from: usize, cells: &[Cell], at_end: bool) -> Result<ReadText<Reader>> {
        let width = self.types.len();
        let mut read = ReadText::<Reader>::from(from);
        let mut broken_at = Vec::new();
        let mut rows = Rows::default();
        let mut batch_start = from;
        let mut valid_to = valid_up_to(text, from);
        while read.tail < text.len() {
            let start = read.tail;
            let (end, next) = match memchr(b'\n', &text[start..]) {
                Some(length) => (start + length, start + length + 1),
                None if at_end => (text.len(), text.len()),
                None => break,
            };
            if end - start > self.max_record_bytes {
                read.too_long = true;
                break;
            }
            let ends_line = u64::from(next > end);
            if text[start..end].trim_ascii().is_empty() {
                read.tail = next;
                read.newlines += ends_line;
                continue;
            }
            rows.values.resize((rows.starts.len() + 1) * width, Value::default());
            let at = rows.starts.len() * width;
            let mut visitor = RowVisitor { reader: self, row: &mut rows.values[at..], unknown: None };
            let outcome = match valid_to < end {
                true => Err(Broken { at: valid_to, what: "this is not UTF-8" }),
                false => read_record(text, start..end, &mut &*self.tree, &mut visitor),
            };
            match outcome {
                Ok(()) => {
                    if let Some((node, key)) = visitor.unknown {
                        let notes = &mut read.notes;
                        notes.records += 1;
                        notes.first.get_or_insert_with(|| {
                            let mut path = self.tree.path(node);
                            path.push(unescape(text.get(key).unwrap_or_default()));
                            FirstUnknown { start, lines: read.newlines, records: read.records, key: path.join(".") }
                        });
                    }
                    rows.starts.push(start as u32);
                    read.records += 1;
                }
                Err(broken) => {
                    rows.values.truncate(at);
                    if !self.skips_malformed {
                        let Broken { at, what } = broken;
                        read.malformed = Some(Flaw { at, message: what.to_owned(), hint: MALFORMED });
                        break;
                    }
                    broken_at.push((start..end, broken.what, read.newlines));
                    if valid_to < end {
                        valid_to = valid_up_to(text, next);
                    }
                }
            }
            read.tail = next;
            read.newlines += ends_line;
            if read.tail - batch_start >= self.batch_bytes {
                self.flush(&mut rows, text, cells, &mut read.batches)?;
                batch_start = read.tail;
            }
        }
        self.flush(&mut rows, text, cells, &mut read.batches)?;
        set_aside(&broken_at, text, from, cells, &mut read);
        Ok(read)
    }

    fn flush(&self, rows: &mut Rows, text: &[u8], cells: &[Cell], batches: &mut Vec<SourceBatch>) -> Result<()> {
        if !rows.starts.is_empty() {
            batches.push(self.batch(rows, text, cells)?);
        }
        rows.starts.clear();
        rows.values.clear();
        Ok(())
    }

    fn batch(&self, rows: &Rows, text: &[u8], cells: &[Cell]) -> Result<SourceBatch> {
        let all = rows.starts.len();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.types.len()];
        let mut misfits = Vec::new();
        let mut kept: Option<Vec<u32>> = None;
        if let Some(row_filter) = &self.filter {
            let filter_columns = row_filter.columns();
            for &column in filter_columns {
                columns[column] = Some(self.column(rows, None, text, column, &mut misfits));
            }
            let arrays = filter_columns.iter().filter_map(|&column| columns[column].clone()).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(all));
            let schema = Arc::new(self.schema.project(filter_columns)?);
            let seen = RecordBatch::try_new_with_options(schema, arrays, &options)?;
            kept = row_filter.keep(&seen).and_then(|mask| rows_kept(&mask, &misfits));
            if let Some(kept) = &kept {
                let mut mask = vec![false; all];
                kept.iter().for_each(|&row| mask[row as usize] = true);
                let mask = BooleanArray::from(mask);
                for column in columns.iter_mut().flatten() {
                    *column = filter(column, &mask)?;
                }
                let place = |row: usize| kept.partition_point(|&kept| (kept as usize) < row);
                misfits.iter_mut().for_each(|misfit| misfit.row = place(misfit.row));
            }
        }
        for (at, column) in columns.iter_mut().enumerate() {
            if column.is_none() {
                *column = Some(self.column(rows, kept.as_deref(), text, at, &mut misfits));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(kept.as_ref().map_or(all, Vec::len)));
        let arrays = columns.into_iter().flatten().collect();
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        let positions = match &kept {
            None => positions(rows.starts.iter().copied(), cells),
            Some(kept) => positions(kept.iter().map(|&row| rows.starts[row as usize]), cells),
        };
        misfits.sort_by_key(|misfit| misfit.row);
        let origin = RowOrigin { file: self.file, positions: Positions::Listed(positions) };
        Ok(SourceBatch { batch: Batch { records, origin }, misfits, recoded: Vec::new() })
    }

    fn column(&self, rows: &Rows, kept: Option<&[u32]>, text: &[u8], at: usize, misfits: &mut Vec<Misfit>) -> ArrayRef {
        let width = self.types.len();
        let (column_type, declared) = self.types[at];
        let value = |row: usize| rows.values[row * width + at];
        let (array, unfit) = match kept {
            None => column((0..rows.starts.len()).map(value), text, column_type, declared),
            Some(kept) => column(kept.iter().map(|&row| value(row as usize)), text, column_type, declared),
        };
        for row in unfit {
            let value = value(kept.map_or(row, |kept| kept[row] as usize));
            misfits.push(self.misfit(row, at, &value, text));
        }
        array
    }

    fn misfit(&self, row: usize, at: usize, value: &Value, text: &[u8]) -> Misfit {
        let (column_type, declared) = self.types[at];
        let shown = shorten(&shown(value, text));
        let name = self.schema.field(at).name();
        let remedy = if declared {
            let message = format!("the value is not {column_type}, the type given for its column");
            let hint = match column_type.unify(value_type(value, text)) {
                wider if wider == ColumnType::Utf8 || wider == column_type => {
                    format!("--types {name}=utf8 keeps it as text")
                }
                wider => format!("--types {name}={} takes it as it is", wider.to_string().to_lowercase()),
            };
            let error = Error::new(ErrorKind::Value, message).hint(hint);
            Remedy::Fail(error.with_place(|place| {
                place.column = Some(name.as_str().into());
                place.value = Some(shown.clone());
            }))
        } else {
            let wider = column_type.unify(value_type(value, text));
            // A value that its own type cannot hold is kept as text.
            Remedy::Widen(if wider == column_type { ColumnType::Utf8 } else { wider })
        };
        Misfit { row, column: at, text: shown, remedy }
    }
}

/// Puts lines set aside, each with what is wrong with it and the line ends before it, among the rejects.
fn set_aside(
    lines: &[(Range<usize>, &'static str, u64)],
    text: &[u8],
    from: usize,
    cells: &[Cell],
    read: &mut ReadText<Reader>,
) {
    let positions = positions_of(lines.iter().map(|(line, ..)| line.start), cells);
    for ((line, what, newlines), position) in lines.iter().zip(positions) {
        // There are no more reasons than messages of the reader.
        let known = read.reasons.iter().position(|reason| **reason == **what);
        let reason = known.unwrap_or_else(|| {
            read.reasons.push((*what).into());
            read.reasons.len() - 1
        });
        let length = text[line.clone()].trim_ascii_end().len();
        read.rejects.push(Reject {
            position,
            line: *newlines,
            byte: (line.start - from) as u64,
            reason: reason as u32,
            text: line.start as u32..(line.start + length) as u32,
        });
    }
}

impl TextReader for Reader {
    type State = State;
    type Notes = Unknown;
    type Mark = ();

    fn file(&self) -> u32 {
        self.file
    }

    fn rows_bytes(&self, text_bytes: usize) -> usize {
        let rows = text_bytes / (LEAST_FIELD_BYTES * self.types.len()).max(LEAST_RECORD_BYTES);
        text_bytes + rows.saturating_mul(ScanRequest::row_bytes(&self.schema))
    }

    fn line_end(&self) -> u8 {
        b'\n'
    }

    fn first_record(&self, text: &[u8]) -> Option<usize> {
        memchr(b'\n', text).map(|end| end + 1)
    }

    fn read(&self, text: &[u8], start: usize, cells: &[Cell], _: &mut ScanScratch) -> Result<ReadText<Self>> {
        self.read_lines(text, start, cells, false)
    }

    fn read_certain(&self, _: &mut State, text: &[u8], cells: &[Cell], _: u64, at_end: bool) -> Result<ReadText<Self>> {
        self.read_lines(text, 0, cells, at_end)
    }

    /// Where a piece has a line end, a line begins behind it: the guess is never wrong.
    fn between(&self, _: &mut State, joint: &Joint<'_>) -> Result<Between<Self>> {
        if joint.length() == 0 {
            return Ok(Between::Nothing);
        }
        let (text, cells) = joint.text(0);
        let read = self.read_lines(&text, 0, &cells, true)?;
        Ok(Between::Text(text, cells, read))
    }

    fn waits(&self, _: &State, carry_bytes: usize, _: usize, more: &[u8]) -> bool {
        memchr(b'\n', more).is_none() && carry_bytes + more.len() <= self.max_record_bytes
    }

    fn mark(&self, _: &State) {}

    fn too_long(&self, was_met: bool, carry_bytes: usize) -> Option<(String, &'static str)> {
        let message = || format!("a line is longer than {} bytes", self.max_record_bytes);
        let hint = "is this NDJSON, one object a line? --input-format csv reads the file as CSV";
        (was_met || carry_bytes > self.max_record_bytes).then(|| (message(), hint))
    }

    fn tell(&self, state: &mut State, notes: Unknown, told: &Told<()>, before: &Before, committed: &mut Committed) {
        state.unknown_records += notes.records;
        if let Some(first) = notes.first.filter(|_| state.first_unknown.is_none()) {
            let place = Place {
                file: committed.rejects.file.clone(),
                record: Some(before.records + first.records + 1),
                line: Some(before.lines + first.lines + 1),
                byte: Some(before.bytes + (first.start - told.start) as u64),
                ..Place::default()
            };
            state.first_unknown = Some((place, first.key));
        }
    }

    fn last_warning(&self, state: &mut State) -> Option<String> {
        let (place, key) = state.first_unknown.take()?;
        let records = match state.unknown_records {
            1 => "1 record has".to_owned(),
            more => format!("{more} records have"),
        };
        Some(format!(
            "{place}: {records} keys that the samples did not show and that are left out, the first `{key}`\nhint: --types {key}=utf8 makes it a column"
        ))
    }

    fn records_until(&self, told: &Told<()>, _: &Before, offset: usize) -> u64 {
        let lines = told.text[told.start..offset].split(|&byte| byte == b'\n');
        lines.filter(|line| std::str::from_utf8(line).is_ok() && is_json_object(line)).count() as u64
    }

    fn end_of_record(&self, text: &[u8], offset: usize) -> usize {
        let end = memchr(b'\n', &text[offset..]).map_or(text.len(), |length| offset + length);
        offset + text[offset..end].trim_ascii_end().len()
    }
}

/// Where the text from `from` on ceases to be UTF-8.
fn valid_up_to(text: &[u8], from: usize) -> usize {
    match std::str::from_utf8(text.get(from..).unwrap_or_default()) {
        Ok(_) => text.len(),
        Err(error) => from + error.valid_up_to(),
    }
}

/// The rows to keep, when few enough to be worth it. Rows with misfits stay: whether those concern a question is for
/// the question to tell.
fn rows_kept(mask: &BooleanArray, misfits: &[Misfit]) -> Option<Vec<u32>> {
    if mask.true_count() as f64 > COMPACT_BELOW * mask.len() as f64 {
        return None;
    }
    let mut keep: Vec<bool> = (0..mask.len()).map(|row| mask.is_valid_and_true(row)).collect();
    misfits.iter().for_each(|misfit| keep[misfit.row] = true);
    Some((0..mask.len() as u32).filter(|&row| keep[row as usize]).collect())
}

fn positions(starts: impl Iterator<Item = u32>, cells: &[Cell]) -> Arc<[u64]> {
    positions_of(starts.map(|start| start as usize), cells).collect()
}
