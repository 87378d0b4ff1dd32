//! One value as text.

use super::json::append_list;
use crate::types::ColumnType;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use std::io::{self, Write};

/// A column of one of the types that questions give.
pub(crate) enum Column<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Text(&'a StringViewArray),
    List(&'a ListArray),
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Int64(i64),
    Float64(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
    Text(&'a str),
    /// The list in a row.
    List(&'a ListArray, usize),
}

impl<'a> Column<'a> {
    /// The typed view of `array`.
    pub(crate) fn of(array: &'a ArrayRef) -> io::Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Column::Null,
            DataType::Boolean => Column::Boolean(array.as_boolean()),
            DataType::Int64 => Column::Int64(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Column::Float64(array.as_primitive::<Float64Type>()),
            DataType::Date32 => Column::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Column::Timestamp(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Utf8View => Column::Text(array.as_string_view()),
            DataType::List(item) if ColumnType::from_arrow(item.data_type()).is_ok() => Column::List(array.as_list()),
            other => {
                let message = format!("an answer has a column of Arrow type {other}, which has no text form");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        })
    }

    /// The value in `row`, which must exist.
    pub(crate) fn value(&self, row: usize) -> Value<'a> {
        match self {
            Column::Null => Value::Null,
            Column::Boolean(array) if array.is_valid(row) => Value::Boolean(array.value(row)),
            Column::Int64(array) if array.is_valid(row) => Value::Int64(array.value(row)),
            Column::Float64(array) if array.is_valid(row) => Value::Float64(array.value(row)),
            Column::Date(array) if array.is_valid(row) => Value::Date(array.value(row)),
            Column::Timestamp(array) if array.is_valid(row) => Value::Timestamp(array.value(row)),
            Column::Text(array) if array.is_valid(row) => Value::Text(array.value(row)),
            Column::List(array) if array.is_valid(row) => Value::List(array, row),
            _ => Value::Null,
        }
    }
}

impl Value<'_> {
    /// Appends the value; nothing for null, text as it is, a list as JSON has it.
    pub(crate) fn append(self, out: &mut Vec<u8>) {
        match self {
            Value::Null => {}
            Value::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Int64(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Value::Float64(value) => append_double(value, out),
            Value::Date(days) => append_date(i64::from(days), out),
            Value::Timestamp(microseconds) => append_timestamp(microseconds, out),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::List(list, row) => append_list(list, row, out),
        }
    }

    /// Whether the value is a finite number, so that JSON needs no quotes.
    pub(crate) fn is_json_literal(self) -> bool {
        match self {
            Value::Boolean(_) | Value::Int64(_) | Value::List(..) => true,
            Value::Float64(value) => value.is_finite(),
            Value::Null | Value::Date(_) | Value::Timestamp(_) | Value::Text(_) => false,
        }
    }
}

/// Whether columns of this type stand flush right.
#[cfg(feature = "cli")]
pub(crate) fn is_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::Float64)
}

fn append_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
}

/// `1987-10-01`; years beyond four digits bear a sign, as ISO 8601 wants.
fn append_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    let written = match year {
        0..=9999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        _ => write!(out, "{year:+05}-{month:02}-{day:02}"),
    };
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

/// `1987-10-01T06:30:00`, with as many decimals as there is something to say: none, three or six.
fn append_timestamp(microseconds: i64, out: &mut Vec<u8>) {
    const DAY: i64 = 86_400_000_000;
    append_date(microseconds.div_euclid(DAY), out);
    let within = microseconds.rem_euclid(DAY);
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let clock = format!("T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    out.extend_from_slice(clock.as_bytes());
    if fraction % 1000 != 0 {
        out.extend_from_slice(format!(".{fraction:06}").as_bytes());
    } else if fraction != 0 {
        out.extend_from_slice(format!(".{:03}", fraction / 1000).as_bytes());
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar, counted in eras of
/// 400 years that begin on the first of March. (Hinnant, "chrono-compatible low-level date algorithms".)
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
