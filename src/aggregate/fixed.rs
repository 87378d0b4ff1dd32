//! Values of fixed width as 64-bit integers and back, so that keys, extremes and first values have one code path.

use super::rounding::NAN;
use crate::error::{Error, Result};
use crate::types::ColumnType;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::sync::Arc;

/// A column type whose values fit 64 bits: all but Null, Utf8 and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed(ColumnType);

impl Fixed {
    /// `None` for text, lists and Null.
    pub(crate) fn new(column_type: ColumnType) -> Option<Self> {
        (!matches!(column_type, ColumnType::Null | ColumnType::Utf8 | ColumnType::List(_)))
            .then_some(Fixed(column_type))
    }

    /// One integer a row, in the order of the values; of doubles, NaN is above all and one, −0.0 is 0.0. What stands
    /// for a null is unspecified.
    pub(crate) fn encode(self, column: &dyn Array) -> Result<ScalarBuffer<i64>> {
        let encoded = match self.0 {
            ColumnType::Int64 => column.as_primitive_opt::<Int64Type>().map(|column| column.values().clone()),
            ColumnType::Timestamp => {
                column.as_primitive_opt::<TimestampMicrosecondType>().map(|column| column.values().clone())
            }
            ColumnType::Date => column
                .as_primitive_opt::<Date32Type>()
                .map(|column| column.values().iter().map(|day| i64::from(*day)).collect()),
            ColumnType::Float64 => column
                .as_primitive_opt::<Float64Type>()
                .map(|column| column.values().iter().map(|value| encode_float(*value)).collect()),
            ColumnType::Boolean => {
                column.as_boolean_opt().map(|column| column.values().iter().map(i64::from).collect())
            }
            ColumnType::Null | ColumnType::Utf8 | ColumnType::List(_) => None,
        };
        encoded.ok_or_else(|| Error::internal(format!("expected {} values, got {}", self.0, column.data_type())))
    }

    /// The double of which `encoded` is the encoding, if the column is of doubles.
    pub(super) fn float(self, encoded: i64) -> Option<f64> {
        (self.0 == ColumnType::Float64).then(|| decode_float(encoded))
    }

    /// The column whose encoding is `values`.
    pub(crate) fn decode(self, values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        match self.0 {
            ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::new(values.into(), nulls)),
            ColumnType::Date => {
                let days: Vec<i32> = values.into_iter().map(|day| day as i32).collect();
                Arc::new(Date32Array::new(days.into(), nulls))
            }
            ColumnType::Float64 => {
                let values: Vec<f64> = values.into_iter().map(decode_float).collect();
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            ColumnType::Boolean => {
                let bits = BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0);
                Arc::new(BooleanArray::new(bits, nulls))
            }
            ColumnType::Int64 | ColumnType::Null | ColumnType::Utf8 | ColumnType::List(_) => {
                Arc::new(Int64Array::new(values.into(), nulls))
            }
        }
    }
}

/// A column of doubles with one NaN, which is above all numbers, and without −0.0; any other column as it is.
pub(crate) fn normalise_floats(column: &ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<Float64Type>() {
        None => Arc::clone(column),
        Some(floats) => Arc::new(floats.unary::<_, Float64Type>(|value| decode_float(encode_float(value)))),
    }
}

/// IEEE 754 bits of negative numbers descend; flipping all but the sign makes them ascend.
fn encode_float(value: f64) -> i64 {
    // Adding 0.0 turns −0.0 into 0.0.
    let bits = if value.is_nan() { NAN.to_bits() } else { (value + 0.0).to_bits() } as i64;
    bits ^ ((bits >> 63) & i64::MAX)
}

fn decode_float(encoded: i64) -> f64 {
    f64::from_bits((encoded ^ ((encoded >> 63) & i64::MAX)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_ordered_by_their_encoding_and_come_back() {
        let ascending = [f64::NEG_INFINITY, f64::MIN, -1.5, -f64::from_bits(1), 0.0, 1e-300, 2.0, f64::INFINITY, NAN];
        let encoded = ascending.map(encode_float);
        assert!(encoded.is_sorted_by(|a, b| a < b));
        assert_eq!(encoded.map(|value| decode_float(value).to_bits()), ascending.map(f64::to_bits));
        assert_eq!(encode_float(-0.0), encode_float(0.0));
        assert_eq!(encode_float(-f64::NAN), encode_float(NAN));
    }
}
