//! Conversions between column types.

use super::civil;
use super::value::{Texts, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrowPrimitiveType, BooleanBuilder, PrimitiveBuilder};
use arrow::array::{
    ArrayRef, AsArray, BooleanArray, PrimitiveArray, StringViewArray, StringViewBuilder, new_null_array,
};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::fmt::Display;
use std::sync::Arc;

/// Whether values of `from` can be converted to `to`, each or some.
pub(crate) fn is_possible(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::{Boolean, Date, Float64, Int64, Null, Timestamp, Utf8};
    match (from, to) {
        (a, b) if a == b => true,
        (Null, _) | (_, Utf8) => true,
        (_, Null) => false,
        (Boolean | Int64 | Float64, Int64 | Float64) | (Int64, Boolean) | (Date | Timestamp, Date | Timestamp) => true,
        (Utf8, _) => true,
        _ => false,
    }
}

/// Whether converting `from` to `to` may fail for a value.
pub(crate) fn can_fail(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::{Date, Float64, Int64, Timestamp, Utf8};
    from != to && (from == Utf8 || matches!((from, to), (Float64, Int64) | (Date, Timestamp)))
}

/// The text `text` read as a value of type `to`, blanks at both ends left out.
fn parse<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    read(text.trim())
}

/// `input` converted from type `from` to `to`; with `try_`, what does not convert is null, else an error that names
/// the value and the expression `text`.
pub(crate) fn cast(text: &str, input: &Value, from: ColumnType, to: ColumnType, try_: bool) -> Result<Value> {
    if from == to {
        return Ok(input.clone());
    }
    let array = input.array();
    let cast = Cast { text, from, to, try_ };
    let result: ArrayRef = match (from, to) {
        (ColumnType::Null, _) => new_null_array(&to.arrow(), array.len()),
        (ColumnType::Utf8, ColumnType::Int64) => {
            cast.parsed::<Int64Type>(input, |text| parse(text, |text| text.parse().ok()))?
        }
        (ColumnType::Utf8, ColumnType::Float64) => {
            cast.parsed::<Float64Type>(input, |text| parse(text, |text| fast_float2::parse(text).ok()))?
        }
        (ColumnType::Utf8, ColumnType::Date) => {
            cast.parsed::<Date32Type>(input, |text| parse(text, civil::parse_date))?
        }
        (ColumnType::Utf8, ColumnType::Timestamp) => {
            cast.parsed::<TimestampMicrosecondType>(input, |text| parse(text, civil::parse_timestamp))?
        }
        (ColumnType::Utf8, ColumnType::Boolean) => cast.booleans(input)?,
        (ColumnType::Boolean, ColumnType::Int64) => {
            let values = array.as_boolean().values().iter().map(i64::from).collect();
            Arc::new(PrimitiveArray::<Int64Type>::new(values, array.nulls().cloned()))
        }
        (ColumnType::Boolean, ColumnType::Float64) => {
            let values = array.as_boolean().values().iter().map(|value| f64::from(u8::from(value))).collect();
            Arc::new(PrimitiveArray::<Float64Type>::new(values, array.nulls().cloned()))
        }
        (ColumnType::Int64, ColumnType::Float64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64))
        }
        (ColumnType::Int64, ColumnType::Boolean) => {
            let integers = array.as_primitive::<Int64Type>();
            Arc::new(BooleanArray::from_unary(integers, |value| value != 0))
        }
        (ColumnType::Float64, ColumnType::Int64) => cast.converted::<Float64Type, Int64Type>(input, |value| {
            // −2⁶³ is a double and so is 2⁶³, the first that does not fit.
            let whole = value.trunc();
            (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole).then_some(whole as i64)
        })?,
        (ColumnType::Date, ColumnType::Timestamp) => cast
            .converted::<Date32Type, TimestampMicrosecondType>(input, |days| {
                i64::from(days).checked_mul(civil::DAY_MICROS)
            })?,
        (ColumnType::Timestamp, ColumnType::Date) => cast
            .converted::<TimestampMicrosecondType, Date32Type>(input, |micros| {
                i32::try_from(micros.div_euclid(civil::DAY_MICROS)).ok()
            })?,
        (_, ColumnType::Utf8) => format(array, from)?,
        _ => return Err(Error::internal(format!("no conversion from {from} to {to}"))),
    };
    Ok(Value::like_ref(&[input], result))
}

struct Cast<'a> {
    text: &'a str,
    from: ColumnType,
    to: ColumnType,
    try_: bool,
}

impl Cast<'_> {
    fn error(&self, value: &str) -> Error {
        let shown: String = value.chars().take(60).collect();
        let dots = if shown.len() < value.len() { "…" } else { "" };
        let error = match self.from {
            ColumnType::Utf8 => format!("`{}`: '{shown}{dots}' is not {}", self.text, self.to),
            _ => format!("`{}`: {shown} does not fit {}", self.text, self.to),
        };
        Error::new(ErrorKind::Value, error).hint("try_cast gives null for such values")
    }

    fn parsed<T: ArrowPrimitiveType>(
        &self,
        input: &Value,
        read: impl Fn(&str) -> Option<T::Native>,
    ) -> Result<ArrayRef> {
        let rows = result_rows(&[input]);
        let nulls = valid_everywhere(&[input], rows);
        let texts = Texts::of(input)?;
        let mut builder = PrimitiveBuilder::<T>::with_capacity(rows);
        for row in 0..rows {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                builder.append_null();
                continue;
            }
            match read(texts.at(row)) {
                Some(value) => builder.append_value(value),
                None if self.try_ => builder.append_null(),
                None => return Err(self.error(texts.at(row))),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn booleans(&self, input: &Value) -> Result<ArrayRef> {
        let mut builder = BooleanBuilder::new();
        for text in input.array().as_string_view() {
            let Some(text) = text else {
                builder.append_null();
                continue;
            };
            match text.trim().to_lowercase().as_str() {
                "true" => builder.append_value(true),
                "false" => builder.append_value(false),
                _ if self.try_ => builder.append_null(),
                _ => return Err(self.error(text)),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn converted<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
        &self,
        input: &Value,
        convert: impl Fn(A::Native) -> Option<B::Native>,
    ) -> Result<ArrayRef>
    where
        A::Native: Display,
    {
        let mut builder = PrimitiveBuilder::<B>::with_capacity(input.array().len());
        for value in input.array().as_primitive::<A>() {
            match value {
                None => builder.append_null(),
                Some(value) => match convert(value) {
                    Some(converted) => builder.append_value(converted),
                    None if self.try_ => builder.append_null(),
                    None => return Err(self.error(&value.to_string())),
                },
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// Every value as text that reads back as the same value.
fn format(array: &ArrayRef, from: ColumnType) -> Result<ArrayRef> {
    fn shown<T>(values: impl Iterator<Item = Option<T>>, show: impl Fn(T, &mut String)) -> StringViewArray {
        let mut builder = StringViewBuilder::new();
        let mut text = String::new();
        for value in values {
            match value {
                None => builder.append_null(),
                Some(value) => {
                    text.clear();
                    show(value, &mut text);
                    builder.append_value(&text);
                }
            }
        }
        builder.finish()
    }
    let texts = match from {
        ColumnType::Boolean => {
            shown(array.as_boolean().iter(), |value, text| text.push_str(if value { "true" } else { "false" }))
        }
        ColumnType::Int64 => shown(array.as_primitive::<Int64Type>().iter(), |value, text| {
            text.push_str(itoa::Buffer::new().format(value));
        }),
        ColumnType::Float64 => shown(array.as_primitive::<Float64Type>().iter(), |value, text| {
            text.push_str(ryu::Buffer::new().format(value));
        }),
        ColumnType::Date => shown(array.as_primitive::<Date32Type>().iter(), |value, text| {
            text.push_str(&civil::Date(value).to_string());
        }),
        ColumnType::Timestamp => shown(array.as_primitive::<TimestampMicrosecondType>().iter(), |value, text| {
            text.push_str(&civil::Timestamp(value).to_string());
        }),
        ColumnType::Null | ColumnType::Utf8 | ColumnType::List(_) => {
            return Err(Error::internal(format!("{from} needs no formatting")));
        }
    };
    Ok(Arc::new(texts))
}
