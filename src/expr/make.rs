//! Times that are made of their parts.

use super::civil::{self, DAY_MICROS};
use super::value::{Numbers, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::PrimitiveArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

/// `make_timestamp(year, month, day, hour, minute, second)`, of whole numbers and a second that may have decimals.
pub(super) fn make_timestamp(text: &str, whole: &[Value], second: &Value) -> Result<Value> {
    let operands: Vec<&Value> = whole.iter().chain([second]).collect();
    let rows = result_rows(&operands);
    let nulls = valid_everywhere(&operands, rows);
    let whole = whole.iter().map(Numbers::<Int64Type>::of).collect::<Result<Vec<_>>>()?;
    let second = Numbers::<Float64Type>::of(second)?;
    let mut times = vec![0; rows];
    for (row, time) in times.iter_mut().enumerate() {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            let parts: Vec<i64> = whole.iter().map(|part| part.at(row)).collect();
            *time = micros(&parts, second.at(row)).ok_or_else(|| no_such_time(text, &parts, second.at(row)))?;
        }
    }
    Ok(Value::like(&operands, PrimitiveArray::<TimestampMicrosecondType>::new(times.into(), nulls)))
}

/// Microseconds since 1970, if there is such a time.
fn micros(parts: &[i64], second: f64) -> Option<i64> {
    let &[year, month, day, hour, minute] = parts else { return None };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second) {
        return None;
    }
    let days = i64::from(civil::checked_days(year, month, day)?);
    // A second that rounds up to the next minute is that.
    let of_day = (hour * 60 + minute) * 60_000_000 + (second * 1e6).round() as i64;
    days.checked_mul(DAY_MICROS)?.checked_add(of_day)
}

fn no_such_time(text: &str, parts: &[i64], second: f64) -> Error {
    let told = match parts {
        [year, month, day, hour, minute] => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second}"),
        _ => text.to_owned(),
    };
    Error::new(ErrorKind::Value, format!("`{text}`: there is no time {told}"))
        .hint("leave such rows out with `where`, or use `case when`")
}

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn times_that_there_are_not_are_none() {
        assert_eq!(micros(&[1970, 1, 2, 3, 4], 5.25), Some(86_400_000_000 + 11_045_250_000));
        assert_eq!(micros(&[1969, 12, 31, 23, 59], 59.0), Some(-1_000_000));
        for (parts, second) in [
            ([2001, 2, 29, 0, 0], 0.0),
            ([2001, 1, 1, 24, 0], 0.0),
            ([2001, 1, 1, 0, 60], 0.0),
            ([2001, 1, 1, 0, 0], 60.0),
            ([2001, 1, 1, 0, 0], f64::NAN),
            ([2001, 1, 1, -1, 0], 0.0),
            ([5_000_000, 1, 1, 0, 0], 0.0),
        ] {
            assert_eq!(micros(&parts, second), None, "{parts:?} {second}");
        }
    }
}
