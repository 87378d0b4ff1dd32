//! One column of split records to an Arrow array.
//!
//! Each type has a quick reading for what nearly all fields look like, straight from the text, and one slow reading
//! that knows quotes, spaces, null tokens and encodings. The quick one may only decline, never differ.

use super::datetime::{parse_date, parse_timestamp};
use super::fields::{Format, Value, unquote};
use super::index::RecordIndex;
use super::number::{has_leading_zero, parse_boolean, parse_float, parse_integer, small_integer};
use super::strings::{INLINE_BYTES, StringViews, ascii_view};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, NullArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::ops::Range;
use std::sync::Arc;

/// Which field to read, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Number of the field in the record, from 0.
    pub index: usize,
    /// The type of the column.
    pub column_type: ColumnType,
    /// The user named the type. In an inferred numeric column, integers with leading zeros do not fit.
    pub declared: bool,
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

/// Fields that were read as windows-1252 because they are not UTF-8 and no encoding was declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recoded {
    /// How many.
    pub count: u64,
    /// Record and raw range of the first.
    pub first: Option<(usize, Range<usize>)>,
}

/// A column as read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// One value a row, of type [`ColumnType::arrow`].
    pub array: ArrayRef,
    /// What did not fit, ascending by row.
    pub misfits: Vec<Misfit>,
    /// What was recoded.
    pub recoded: Recoded,
}

/// Reads one column of the records in `index`, which were split from `text`: of all of them, or of the records listed
/// in `rows`, in that order.
///
/// Unquoted null tokens are null in every type; in types other than text, so are quoted ones and ones among spaces,
/// and quotes and surrounding spaces of a value do not count. Text is taken verbatim, without its quotes.
///
/// # Panics
/// If `text` is not the text of `index`, or `rows` or `spec` name what the index does not have: mistakes of the
/// caller, which no input can cause.
pub fn parse_column(
    text: &[u8],
    index: &RecordIndex,
    rows: Option<&[u32]>,
    spec: &ColumnSpec,
    format: &Format,
) -> Parsed {
    let length = rows.map_or(index.records(), <[u32]>::len);
    assert!(length == 0 || spec.index < index.fields(), "no such field");
    let codes = !spec.declared;
    let number = |parsed: Option<i64>, text: &[u8]| parsed.filter(|_| !(codes && has_leading_zero(text)));
    let double = |parsed: Option<f64>, text: &[u8]| parsed.filter(|_| !(codes && has_leading_zero(text)));
    let signed = |value: u32, negative: bool| if negative { -i64::from(value) } else { i64::from(value) };
    let mut column = Column {
        text,
        index,
        rows,
        field: spec.index,
        length,
        format,
        validity: Validity { bits: vec![0xFF; length.div_ceil(8)], nulls: 0 },
        misfits: Vec::new(),
        recoded: Recoded::default(),
    };
    let array: ArrayRef = match spec.column_type {
        ColumnType::Null => column.nulls(),
        ColumnType::Boolean => column.booleans(),
        ColumnType::Int64 => column.primitives::<Int64Type>(
            |start, end| small_integer(text, start, end, !codes).map(|(negative, value)| signed(value, negative)),
            |text| number(parse_integer(text), text),
        ),
        ColumnType::Float64 => column.primitives::<Float64Type>(
            |start, end| match small_integer(text, start, end, !codes) {
                Some((true, value)) => Some(-f64::from(value)),
                Some((false, value)) => Some(f64::from(value)),
                None => double(parse_float(&text[start..end]), &text[start..end]),
            },
            |text| double(parse_float(text), text),
        ),
        ColumnType::Date => column.primitives::<Date32Type>(|start, end| parse_date(&text[start..end]), parse_date),
        ColumnType::Timestamp => column
            .primitives::<TimestampMicrosecondType>(|start, end| parse_timestamp(&text[start..end]), parse_timestamp),
        ColumnType::Utf8 => column.strings(),
    };
    Parsed { array, misfits: column.misfits, recoded: column.recoded }
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

struct Column<'a> {
    text: &'a [u8],
    index: &'a RecordIndex,
    rows: Option<&'a [u32]>,
    field: usize,
    length: usize,
    format: &'a Format,
    validity: Validity,
    misfits: Vec<Misfit>,
    recoded: Recoded,
}

impl Column<'_> {
    #[inline(always)]
    fn record(&self, row: usize) -> usize {
        self.rows.map_or(row, |rows| rows[row] as usize)
    }

    #[inline(always)]
    fn range(&self, row: usize) -> Range<usize> {
        self.index.field(self.record(row), self.field)
    }

    fn primitives<T: ArrowPrimitiveType>(
        &mut self,
        quick: impl Fn(usize, usize) -> Option<T::Native>,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> ArrayRef {
        let nulls_first = self.format.nulls.like_values();
        let values: Vec<T::Native> = (0..self.length)
            .map(|row| {
                let range = self.range(row);
                let value = if nulls_first { None } else { quick(range.start, range.end) };
                value.unwrap_or_else(|| self.slowly(row, range, &parse))
            })
            .collect();
        Arc::new(PrimitiveArray::<T>::new(values.into(), self.validity.finish(self.length)))
    }

    fn booleans(&mut self) -> ArrayRef {
        let values = BooleanBuffer::collect_bool(self.length, |row| self.slowly(row, self.range(row), &parse_boolean));
        Arc::new(BooleanArray::new(values, self.validity.finish(self.length)))
    }

    fn nulls(&mut self) -> ArrayRef {
        for row in 0..self.length {
            let range = self.range(row);
            if !self.format.nulls.contains(&self.text[range.clone()]) {
                self.misfit(row, range, MisfitKind::Type);
            }
        }
        Arc::new(NullArray::new(self.length))
    }

    /// The field's value, or the type's default with the row made null.
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
        self.misfits.push(Misfit { row, record: self.record(row), range, kind });
    }

    fn strings(&mut self) -> ArrayRef {
        let mut views = StringViews::with_capacity(self.length);
        let quote = self.format.dialect.quote().filter(|_| self.index.quotes());
        for row in 0..self.length {
            let range = self.range(row);
            let length = range.end - range.start;
            if length <= INLINE_BYTES
                && (quote.is_none() || self.text.get(range.start).copied() != quote)
                && let Some(view) = ascii_view(self.text, range.start, length)
            {
                if self.format.nulls.contains_short(length, view) {
                    self.validity.clear(row);
                    views.push_null();
                } else {
                    views.push_ascii(view);
                }
            } else {
                self.push_slowly(row, range, &mut views);
            }
        }
        Arc::new(views.finish(self.validity.finish(self.length)))
    }

    fn push_slowly(&mut self, row: usize, range: Range<usize>, views: &mut StringViews) {
        let raw = &self.text[range.clone()];
        let unquoted = unquote(raw, &self.format.dialect);
        if unquoted.is_none() && self.format.nulls.contains(raw) {
            self.validity.clear(row);
            views.push_null();
            return;
        }
        match self.format.encoding.decode(unquoted.as_deref().unwrap_or(raw)) {
            Some(decoded) => {
                views.push(&decoded.text);
                if decoded.recoded {
                    self.recoded.count += 1;
                    let place = (self.record(row), range);
                    self.recoded.first.get_or_insert(place);
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
