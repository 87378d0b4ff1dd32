//! The values of one key to an Arrow array.

use super::record::{Kind, Value, unescape};
use crate::source::csv::datetime::{parse_date, parse_timestamp};
use crate::source::csv::number::{parse_boolean, parse_float, parse_inferred_float, parse_integer};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, BooleanBuilder, NullArray, PrimitiveBuilder, StringViewBuilder};
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::borrow::Cow;
use std::sync::Arc;

/// What a value is to a user: the text of a string, the JSON of anything else.
pub(super) fn shown<'a>(value: &Value, text: &'a [u8]) -> Cow<'a, str> {
    match value.kind {
        Kind::EscapedText => Cow::Owned(unescape(value.raw(text))),
        _ => String::from_utf8_lossy(value.raw(text)),
    }
}

/// What JSON has no numbers for, as this program and the JSON form of Protocol Buffers write it: strings.
fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The narrowest type that holds a value. Strings that are dates or times are those, as in CSV, and those for what JSON has no
/// numbers for are numbers; other strings are text, whatever they look like.
pub(super) fn value_type(value: &Value, text: &[u8]) -> ColumnType {
    match value.kind {
        Kind::Null => ColumnType::Null,
        Kind::True | Kind::False => ColumnType::Boolean,
        Kind::Number if parse_integer(value.raw(text)).is_some() => ColumnType::Int64,
        Kind::Number if parse_inferred_float(value.raw(text)).is_some() => ColumnType::Float64,
        Kind::Text if special(value.raw(text)).is_some() => ColumnType::Float64,
        Kind::Text if parse_date(value.raw(text)).is_some() => ColumnType::Date,
        Kind::Text if parse_timestamp(value.raw(text)).is_some() => ColumnType::Timestamp,
        Kind::Number | Kind::Text | Kind::EscapedText | Kind::Nested => ColumnType::Utf8,
    }
}

/// The column of the values, one a row, and the rows whose value does not fit and is null instead. A column whose type
/// is declared takes a number or a Boolean from a string too.
pub(super) fn column(
    values: impl ExactSizeIterator<Item = Value>,
    text: &[u8],
    column_type: ColumnType,
    declared: bool,
) -> (ArrayRef, Vec<usize>) {
    let is_text = |value: &Value| declared && value.kind == Kind::Text;
    let is_number = |value: &Value| value.kind == Kind::Number || is_text(value);
    match column_type {
        ColumnType::Null => {
            let rows = values.len();
            let misfits = values.enumerate().filter(|(_, value)| value.kind != Kind::Null).map(|(row, _)| row);
            let misfits = misfits.collect();
            (Arc::new(NullArray::new(rows)), misfits)
        }
        ColumnType::Boolean => booleans(values, text, is_text),
        ColumnType::Int64 => {
            primitives::<Int64Type>(
                values,
                |value| {
                    if is_number(value) { parse_integer(value.raw(text)) } else { None }
                },
            )
        }
        ColumnType::Float64 => {
            let float = if declared { parse_float } else { parse_inferred_float };
            primitives::<Float64Type>(values, |value| {
                let special = if value.kind == Kind::Text { special(value.raw(text)) } else { None };
                special.or_else(|| if is_number(value) { float(value.raw(text)) } else { None })
            })
        }
        ColumnType::Date => primitives::<Date32Type>(values, |value| match value.kind {
            Kind::Text => parse_date(value.raw(text)),
            _ => None,
        }),
        ColumnType::Timestamp => primitives::<TimestampMicrosecondType>(values, |value| match value.kind {
            Kind::Text => parse_timestamp(value.raw(text)),
            _ => None,
        }),
        // No text is read as a list.
        ColumnType::Utf8 | ColumnType::List(_) => (strings(values, text), Vec::new()),
    }
}

fn primitives<T: ArrowPrimitiveType>(
    values: impl ExactSizeIterator<Item = Value>,
    parse: impl Fn(&Value) -> Option<T::Native>,
) -> (ArrayRef, Vec<usize>) {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len());
    let mut misfits = Vec::new();
    for (row, value) in values.enumerate() {
        let parsed = if value.kind == Kind::Null { None } else { parse(&value) };
        if parsed.is_none() && value.kind != Kind::Null {
            misfits.push(row);
        }
        builder.append_option(parsed);
    }
    (Arc::new(builder.finish()), misfits)
}

fn booleans(
    values: impl ExactSizeIterator<Item = Value>,
    text: &[u8],
    is_text: impl Fn(&Value) -> bool,
) -> (ArrayRef, Vec<usize>) {
    let mut builder = BooleanBuilder::with_capacity(values.len());
    let mut misfits = Vec::new();
    for (row, value) in values.enumerate() {
        let parsed = match value.kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ if is_text(&value) => parse_boolean(value.raw(text)),
            _ => None,
        };
        if parsed.is_none() && value.kind != Kind::Null {
            misfits.push(row);
        }
        builder.append_option(parsed);
    }
    (Arc::new(builder.finish()), misfits)
}

fn strings(values: impl ExactSizeIterator<Item = Value>, text: &[u8]) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(values.len());
    for value in values {
        match value.kind {
            Kind::Null => builder.append_null(),
            _ => builder.append_value(shown(&value, text)),
        }
    }
    Arc::new(builder.finish())
}
