//! One value of an answer.

use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Missing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer.
    Int64(i64),
    /// A double.
    Float64(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00.
    Timestamp(i64),
    /// Text.
    Utf8(String),
    /// A list.
    List(Vec<Value>),
}

impl Value {
    /// The value of row `row`.
    ///
    /// # Errors
    /// `Unsupported` for Arrow types that columns of ours never have.
    pub fn of(array: &dyn Array, row: usize) -> Result<Value> {
        if array.is_null(row) {
            return Ok(Value::Null);
        }
        Ok(match array.data_type() {
            DataType::Null => Value::Null,
            DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
            DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
            DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::Utf8View => Value::Utf8(array.as_string_view().value(row).to_owned()),
            DataType::Utf8 => Value::Utf8(array.as_string::<i32>().value(row).to_owned()),
            DataType::List(_) => {
                let items = array.as_list::<i32>().value(row);
                Value::List((0..items.len()).map(|item| Value::of(&items, item)).collect::<Result<_>>()?)
            }
            other => return Err(Error::new(ErrorKind::Unsupported, format!("values of Arrow type {other}"))),
        })
    }

    /// What sort of value this is.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "Null",
            Value::Boolean(_) => "Boolean",
            Value::Int64(_) => "Int64",
            Value::Float64(_) => "Float64",
            Value::Date(_) => "Date",
            Value::Timestamp(_) => "Timestamp",
            Value::Utf8(_) => "Utf8",
            Value::List(_) => "List",
        }
    }
}

/// A Rust type that a value can be taken as.
pub trait FromValue: Sized {
    /// The value as this type.
    ///
    /// # Errors
    /// `Type` when the value is of another sort, or missing and this type has no room for that.
    fn from_value(value: Value) -> Result<Self>;
}

fn mismatch(value: &Value, wanted: &str) -> Error {
    Error::new(ErrorKind::Type, format!("the answer is {}, not {wanted}", value.type_name()))
        .hint(format!("ask for Option<{wanted}>, or cast the answer"))
}

macro_rules! from_value {
    ($rust:ty, $($pattern:pat => $result:expr),+) => {
        impl FromValue for $rust {
            fn from_value(value: Value) -> Result<Self> {
                match value {
                    $($pattern => Ok($result),)+
                    other => Err(mismatch(&other, stringify!($rust))),
                }
            }
        }
    };
}

from_value!(i64, Value::Int64(number) => number);
from_value!(f64, Value::Float64(number) => number);
from_value!(bool, Value::Boolean(truth) => truth);
from_value!(String, Value::Utf8(text) => text);

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self> {
        Ok(value)
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::List(items) => items.into_iter().map(T::from_value).collect(),
            other => Err(mismatch(&other, "Vec")),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}
