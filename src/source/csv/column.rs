//! One column of split records to an Arrow array.
//!
//! Each type has a quick reading for what nearly all fields look like, straight from the text, and one slow reading
//! that knows quotes, spaces, null tokens and encodings. The quick one may only decline, never differ.

use super::date_formats::DateFormat;
use super::datetime::{parse_date, parse_timestamp};
use super::fields::{Format, NullTokens, Value, unquote};
use super::index::RecordIndex;
use super::number::{
    has_leading_zero, parse_boolean, parse_declared_boolean, parse_float, parse_inferred_float, parse_integer,
    small_integer,
};
use super::number_style::NumberStyle;
use super::strings::{INLINE_BYTES, StringViews, ascii_view};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, NullArray, PrimitiveArray, new_null_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::nullif;
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::ops::Range;
use std::sync::Arc;

/// Which field to read, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Number of the field in the record, from 0. Where the records have no such field, all is null.
    pub index: usize,
    /// The type of the column.
    pub column_type: ColumnType,
    /// The user named the type. In an inferred numeric column, integers with leading zeros do not fit, nor do decimal
    /// numbers beyond the doubles; in an inferred column of Booleans, only `true` and `false` do.
    pub declared: bool,
    /// How dates and timestamps are written, in a column of such. Default ISO 8601.
    pub date_format: DateFormat,
}

/// Why a field has no value in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// The text is not of the column's type.
    Type,
    /// The text is not in the declared encoding.
    Encoding,
}

/// A field that does not fit its column; the array has a null in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Row of the array.
    pub row: usize,
    /// Record of the index.
    pub record: usize,
    /// Where the raw field lies in the text.
    pub range: Range<usize>,
    /// What does not fit.
    pub kind: MisfitKind,
}

/// A column as read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// One value a row, of type [`ColumnType::arrow`].
    pub array: ArrayRef,
    /// What did not fit, ascending by row.
    pub misfits: Vec<Misfit>,
    /// Rows, ascending, whose field was read as windows-1252: it is not UTF-8, and no encoding was declared.
    pub recoded: Vec<u32>,
}

/// Reads one column of the records in `index`, which were split from `text`: of all of them, or of the records listed
/// in `rows`, in that order.
///
/// Unquoted null tokens are null in every type; in types other than text, so are quoted ones and ones among spaces,
/// and quotes and surrounding spaces of a value do not count. Text is taken verbatim, without its quotes.
///
/// # Panics
/// If `text` is not the text of `index`, or `rows` name what the index does not have: mistakes of the caller, which no
/// input can cause.
pub fn parse_column(
    text: &[u8],
    index: &RecordIndex,
    rows: Option<&[u32]>,
    spec: &ColumnSpec,
    format: &Format,
) -> Parsed {
    let length = rows.map_or(index.records(), <[u32]>::len);
    if spec.index >= index.fields() {
        let array = new_null_array(&spec.column_type.arrow(), length);
        return Parsed { array, misfits: Vec::new(), recoded: Vec::new() };
    }
    let codes = !spec.declared;
    let number = |parsed: Option<i64>, text: &[u8]| parsed.filter(|_| !(codes && has_leading_zero(text)));
    let double = |parsed: Option<f64>, text: &[u8]| parsed.filter(|_| !(codes && has_leading_zero(text)));
    let is_plain = format.numbers == NumberStyle::default();
    let float = if codes { parse_inferred_float } else { parse_float };
    let styled_double = |text: &[u8]| format.numbers.read(text, |plain| double(float(plain), plain));
    let signed = |value: u32, negative: bool| if negative { -i64::from(value) } else { i64::from(value) };
    let mut column = Column {
        text,
        fields: Fields { index, rows, field: spec.index, length },
        format,
        validity: Validity { bits: vec![0xFF; length.div_ceil(8)], nulls: 0 },
        misfits: Vec::new(),
        recoded: Vec::new(),
    };
    let array: ArrayRef = match spec.column_type {
        ColumnType::Null => column.nulls(),
        ColumnType::Boolean => column.booleans(if spec.declared { parse_declared_boolean } else { parse_boolean }),
        ColumnType::Int64 => column.primitives::<Int64Type>(
            |start, end| small_integer(text, start, end, !codes).map(|(negative, value)| signed(value, negative)),
            |text| format.numbers.read(text, |plain| number(parse_integer(plain), plain)),
        ),
        ColumnType::Float64 if !is_plain => column.primitives::<Float64Type>(
            |start, end| match small_integer(text, start, end, !codes) {
                Some((negative, value)) => Some(if negative { -f64::from(value) } else { f64::from(value) }),
                None => styled_double(&text[start..end]),
            },
            styled_double,
        ),
        ColumnType::Float64 => column.primitives::<Float64Type>(
            |start, end| match small_integer(text, start, end, !codes) {
                Some((true, value)) => Some(-f64::from(value)),
                Some((false, value)) => Some(f64::from(value)),
                None => double(float(&text[start..end]), &text[start..end]),
            },
            |text| double(float(text), text),
        ),
        ColumnType::Date if spec.date_format != DateFormat::Iso => {
            let read = |text: &[u8]| format.dates.date(spec.date_format, text);
            column.primitives::<Date32Type>(|start, end| read(&text[start..end]), read)
        }
        ColumnType::Timestamp if spec.date_format != DateFormat::Iso => {
            let read = |text: &[u8]| format.dates.timestamp(spec.date_format, text);
            column.primitives::<TimestampMicrosecondType>(|start, end| read(&text[start..end]), read)
        }
        ColumnType::Date => column.primitives::<Date32Type>(|start, end| parse_date(&text[start..end]), parse_date),
        ColumnType::Timestamp => column
            .primitives::<TimestampMicrosecondType>(|start, end| parse_timestamp(&text[start..end]), parse_timestamp),
        // No text is read as a list.
        ColumnType::Utf8 | ColumnType::List(_) => column.strings(),
    };
    let parsed = Parsed { array, misfits: column.misfits, recoded: column.recoded };
    // An empty field of the text means the same as one that is missing, unless only the latter is null.
    if index.padded.is_empty() || format.nulls.contains(b"") {
        parsed
    } else {
        without_missing(parsed, index, rows, spec)
    }
}

/// The column with nulls where a padded record lacks the field.
fn without_missing(mut parsed: Parsed, index: &RecordIndex, rows: Option<&[u32]>, spec: &ColumnSpec) -> Parsed {
    let lacks = |record: u32| {
        let found = index.padded.binary_search_by_key(&record, |&(padded, _)| padded);
        found.is_ok_and(|at| index.padded[at].1 as usize <= spec.index)
    };
    let mask: BooleanArray = match rows {
        Some(rows) => rows.iter().map(|&record| Some(lacks(record))).collect(),
        None => (0..index.records() as u32).map(|record| Some(lacks(record))).collect(),
    };
    parsed.misfits.retain(|misfit| !mask.value(misfit.row));
    if mask.true_count() > 0 && !parsed.array.data_type().is_null() {
        // Every other type has nulls.
        parsed.array = nullif(&parsed.array, &mask).unwrap_or_else(|_| Arc::clone(&parsed.array));
    }
    parsed
}

/// Whether the field is a null token; may decline where the slow reading would not.
#[inline(always)]
fn is_short_null(text: &[u8], range: &Range<usize>, nulls: &NullTokens) -> bool {
    let length = range.end - range.start;
    length <= INLINE_BYTES
        && ascii_view(text, range.start, length).is_some_and(|view| nulls.contains_short(length, view))
}

/// Bits that start out as valid.
struct Validity {
    bits: Vec<u8>,
    nulls: usize,
}

impl Validity {
    #[inline]
    fn clear(&mut self, row: usize) {
        self.bits[row / 8] &= !(1 << (row % 8));
        self.nulls += 1;
    }

    fn finish(&mut self, length: usize) -> Option<NullBuffer> {
        let bits = std::mem::take(&mut self.bits);
        (self.nulls > 0).then(|| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, length)))
    }
}

/// One field of the chosen records.
#[derive(Clone, Copy)]
struct Fields<'a> {
    index: &'a RecordIndex,
    rows: Option<&'a [u32]>,
    field: usize,
    length: usize,
}

impl Fields<'_> {
    #[inline(always)]
    fn record(&self, row: usize) -> usize {
        self.rows.map_or(row, |rows| rows[row] as usize)
    }

    #[inline(always)]
    fn range(&self, row: usize) -> Range<usize> {
        self.index.field(self.record(row), self.field)
    }
}

struct Column<'a> {
    text: &'a [u8],
    fields: Fields<'a>,
    format: &'a Format,
    validity: Validity,
    misfits: Vec<Misfit>,
    recoded: Vec<u32>,
}

impl<'a> Column<'a> {
    fn primitives<T: ArrowPrimitiveType>(
        &mut self,
        quick: impl Fn(usize, usize) -> Option<T::Native>,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> ArrayRef {
        let Column { text, fields, format, .. } = *self;
        let nulls_first = format.nulls.like_values();
        let values: Vec<T::Native> = (0..fields.length)
            .map(|row| {
                let range = fields.range(row);
                if !nulls_first && let Some(value) = quick(range.start, range.end) {
                    return value;
                }
                if is_short_null(text, &range, &format.nulls) {
                    self.validity.clear(row);
                    return T::Native::default();
                }
                self.slowly(row, range, &parse)
            })
            .collect();
        Arc::new(PrimitiveArray::<T>::new(values.into(), self.validity.finish(fields.length)))
    }

    fn booleans(&mut self, parse: fn(&[u8]) -> Option<bool>) -> ArrayRef {
        let fields = self.fields;
        let slowly = |row| self.slowly(row, fields.range(row), &parse);
        let values = BooleanBuffer::collect_bool(fields.length, slowly);
        Arc::new(BooleanArray::new(values, self.validity.finish(fields.length)))
    }

    fn nulls(&mut self) -> ArrayRef {
        for row in 0..self.fields.length {
            let range = self.fields.range(row);
            if !self.format.nulls.contains(&self.text[range.clone()]) {
                self.misfit(row, range, MisfitKind::Type);
            }
        }
        Arc::new(NullArray::new(self.fields.length))
    }

    /// The field's value, or the type's default with the row made null.
    #[inline(never)]
    fn slowly<N: Default>(&mut self, row: usize, range: Range<usize>, parse: &impl Fn(&[u8]) -> Option<N>) -> N {
        match self.format.value(&self.text[range.clone()]) {
            Value::Null | Value::NullUnlessText => self.validity.clear(row),
            Value::Text(text) => match parse(&text) {
                Some(value) => return value,
                None => self.misfit(row, range, MisfitKind::Type),
            },
        }
        N::default()
    }

    fn misfit(&mut self, row: usize, range: Range<usize>, kind: MisfitKind) {
        self.validity.clear(row);
        self.misfits.push(Misfit { row, record: self.fields.record(row), range, kind });
    }

    fn strings(&mut self) -> ArrayRef {
        let Column { text, fields, format, .. } = *self;
        let mut views = StringViews::with_capacity(fields.length);
        let quote = format.dialect.quote().filter(|_| fields.index.quotes());
        for row in 0..fields.length {
            let range = fields.range(row);
            let length = range.end - range.start;
            if length <= INLINE_BYTES
                && (quote.is_none() || text.get(range.start).copied() != quote)
                && let Some(view) = ascii_view(text, range.start, length)
            {
                if format.nulls.contains_short(length, view) {
                    self.validity.clear(row);
                    views.push_null();
                } else {
                    views.push_ascii(view);
                }
            } else {
                self.push_slowly(row, range, &mut views);
            }
        }
        Arc::new(views.finish(self.validity.finish(fields.length)))
    }

    #[inline(never)]
    fn push_slowly(&mut self, row: usize, range: Range<usize>, views: &mut StringViews) {
        let raw = &self.text[range.clone()];
        let unquoted = unquote(raw, &self.format.dialect);
        if unquoted.is_none() && self.format.nulls.contains(raw) {
            self.validity.clear(row);
            views.push_null();
            return;
        }
        match self.format.decode(unquoted.as_deref().unwrap_or(raw)) {
            Some(decoded) => {
                views.push(&decoded.text);
                if decoded.recoded {
                    self.recoded.push(row as u32);
                }
            }
            None => {
                self.misfit(row, range, MisfitKind::Encoding);
                views.push_null();
            }
        }
    }
}

#[cfg(test)]
mod tests;
