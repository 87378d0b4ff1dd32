//! Keys of both sides in one form, so that equal keys are equal bytes.

use crate::batch::coded::Coded;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use std::sync::Arc;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A column of keys as values of `domain`; what is no value of it equals nothing, and so is null.
pub(in crate::exec) fn as_keys(column: &ArrayRef, domain: ColumnType) -> Result<ArrayRef> {
    use ColumnType::{Boolean, Date, Float64, Int64, Null, Timestamp};
    if Coded::of(column.as_ref()).is_some() && domain == ColumnType::Utf8 {
        return Ok(Arc::clone(column));
    }
    let own = ColumnType::from_arrow(column.data_type())?;
    if own == domain {
        return Ok(Arc::clone(column));
    }
    let keys: Option<ArrayRef> = match (own, domain) {
        (Null, _) => Some(new_null_array(&domain.arrow(), column.len())),
        (Boolean, Int64) => column.as_boolean_opt().map(|truths| {
            Arc::new(truths.iter().map(|truth| truth.map(i64::from)).collect::<Int64Array>()) as ArrayRef
        }),
        (Float64, Int64) => column
            .as_primitive_opt::<Float64Type>()
            .map(|doubles| Arc::new(doubles.unary_opt::<_, Int64Type>(as_integer)) as ArrayRef),
        (Date, Timestamp) => column.as_primitive_opt::<Date32Type>().map(|days| {
            let micros = days.iter().map(|day| day.and_then(|day| i64::from(day).checked_mul(MICROS_PER_DAY)));
            Arc::new(micros.collect::<TimestampMicrosecondArray>()) as ArrayRef
        }),
        _ => None,
    };
    keys.ok_or_else(|| Error::internal(format!("keys of type {own} for a join of {domain}")))
}

/// A column of keys that is to be a column of both tables, as the type that it has there.
///
/// # Errors
/// `Value` for an integer that no double is.
pub(in crate::exec) fn of_both(column: &ArrayRef, of_type: &DataType) -> Result<ArrayRef> {
    let common = cast(column, of_type)?;
    if let (Some(integers), Some(doubles)) =
        (column.as_primitive_opt::<Int64Type>(), common.as_primitive_opt::<Float64Type>())
    {
        let lost = |(integer, double): &(Option<i64>, Option<f64>)| double.and_then(as_integer) != *integer;
        if let Some((Some(integer), _)) = integers.iter().zip(doubles.iter()).find(lost) {
            let message = format!("the key {integer} is no double, and the key of the other table is a double");
            return Err(Error::new(ErrorKind::Value, message)
                .hint("join on keys of one type: cast(key as int64) on the side of the doubles"));
        }
    }
    Ok(common)
}

/// The integer that a double is.
fn as_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let is_integer = value.trunc() == value && (-LIMIT..LIMIT).contains(&value);
    is_integer.then_some(value as i64)
}

/// Which rows have a value in every key; `None` when all have.
pub(in crate::exec) fn complete(keys: &[ArrayRef]) -> Option<NullBuffer> {
    let nulls = keys.iter().map(|key| key.logical_nulls());
    let all = nulls.fold(None, |all, nulls| NullBuffer::union(all.as_ref(), nulls.as_ref()));
    all.filter(|nulls| nulls.null_count() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Float64Array};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

    #[test]
    fn doubles_are_integers_only_exactly() {
        let values = [0.0, -0.0, 1.5, 3.0, f64::NAN, 9_223_372_036_854_775_808.0, -9_223_372_036_854_775_808.0, 1e300];
        let doubles: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        let keys = as_keys(&doubles, ColumnType::Int64).unwrap();
        let keys: Vec<Option<i64>> = keys.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(keys, [Some(0), Some(0), None, Some(3), None, None, Some(i64::MIN), None]);
    }

    #[test]
    fn dates_are_midnights_and_those_out_of_range_are_none() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), None, Some(i32::MAX)]));
        let keys = as_keys(&days, ColumnType::Timestamp).unwrap();
        let keys: Vec<Option<i64>> = keys.as_primitive::<TimestampMicrosecondType>().iter().collect();
        assert_eq!(keys, [Some(MICROS_PER_DAY), None, None]);
    }
}
