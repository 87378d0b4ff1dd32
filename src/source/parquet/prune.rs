//! Whether a row group or page may hold a value that passes a test.

use super::statistics::{Bound, Known};
use crate::expr::Literal;
use crate::source::Test;
use crate::types::ColumnType;
use std::cmp::Ordering;

/// Whether some value may pass the test, given what is known of them. `column_type` is that of the source's column.
pub(super) fn is_possible(test: &Test, known: &Known, column_type: ColumnType) -> bool {
    let all_null = known.rows > 0 && known.nulls == Some(known.rows);
    let below = |literal: &Literal| compare(known.min.as_ref(), literal, column_type);
    let above = |literal: &Literal| compare(known.max.as_ref(), literal, column_type);
    let equals = |literal: &Literal| {
        let outside = below(literal) == Some(Ordering::Greater) || above(literal) == Some(Ordering::Less);
        !outside
    };
    match test {
        Test::IsNull => known.nulls != Some(0),
        _ if all_null => false,
        Test::IsNotNull => true,
        Test::Eq(literal) => equals(literal),
        Test::OneOf(literals) => literals.iter().any(equals),
        Test::Lt(literal) => !matches!(below(literal), Some(Ordering::Greater | Ordering::Equal)),
        Test::LtEq(literal) => below(literal) != Some(Ordering::Greater),
        // NaN is above all numbers.
        Test::Gt(_) | Test::GtEq(_) if known.may_hold_nan => true,
        Test::Gt(literal) => !matches!(above(literal), Some(Ordering::Less | Ordering::Equal)),
        Test::GtEq(literal) => above(literal) != Some(Ordering::Less),
    }
}

/// How a bound compares with a constant, as the engine compares values of the column; `None` when that is not known.
fn compare(bound: Option<&Bound>, literal: &Literal, column_type: ColumnType) -> Option<Ordering> {
    let doubles = |bound: &Bound, literal: f64| match bound {
        Bound::Integer(value) => (*value as f64).partial_cmp(&literal),
        Bound::Double(value) => value.partial_cmp(&literal),
        Bound::Text(_) => None,
    };
    match (bound?, literal, column_type) {
        (bound, Literal::Int64(literal), ColumnType::Float64) => doubles(bound, *literal as f64),
        (bound, Literal::Float64(literal), ColumnType::Float64 | ColumnType::Int64) => doubles(bound, *literal),
        (Bound::Integer(value), Literal::Int64(literal), ColumnType::Int64)
        | (Bound::Integer(value), Literal::Timestamp(literal), ColumnType::Timestamp) => Some(value.cmp(literal)),
        (Bound::Integer(value), Literal::Date(literal), ColumnType::Date) => Some(value.cmp(&i64::from(*literal))),
        (Bound::Integer(value), Literal::Boolean(literal), ColumnType::Boolean) => {
            Some(value.cmp(&i64::from(*literal)))
        }
        (Bound::Text(value), Literal::Utf8(literal), ColumnType::Utf8) => {
            Some(value.as_slice().cmp(literal.as_bytes()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubles(min: f64, max: f64, may_hold_nan: bool) -> Known {
        Known { rows: 10, min: Some(Bound::Double(min)), max: Some(Bound::Double(max)), nulls: Some(3), may_hold_nan }
    }

    #[test]
    fn a_nan_that_no_maximum_tells_of_passes_what_is_above() {
        let five = Literal::Float64(5.0);
        assert!(is_possible(&Test::Gt(five.clone()), &doubles(1.0, 4.0, true), ColumnType::Float64));
        assert!(!is_possible(&Test::Gt(five.clone()), &doubles(1.0, 4.0, false), ColumnType::Float64));
        assert!(!is_possible(&Test::Eq(five), &doubles(1.0, 4.0, true), ColumnType::Float64));
        assert!(is_possible(&Test::Eq(Literal::Float64(f64::NAN)), &doubles(1.0, 4.0, true), ColumnType::Float64));
        assert!(is_possible(&Test::Lt(Literal::Float64(f64::NAN)), &doubles(1.0, 4.0, true), ColumnType::Float64));
    }

    #[test]
    fn both_zeros_are_one_value() {
        assert!(is_possible(&Test::Eq(Literal::Float64(-0.0)), &doubles(0.0, 4.0, false), ColumnType::Float64));
        assert!(!is_possible(&Test::Lt(Literal::Float64(0.0)), &doubles(-0.0, 4.0, false), ColumnType::Float64));
        assert!(is_possible(&Test::GtEq(Literal::Float64(0.0)), &doubles(-4.0, -0.0, false), ColumnType::Float64));
    }

    #[test]
    fn nulls_pass_nothing_but_is_null() {
        let nulls = Known { rows: 7, nulls: Some(7), ..Known::default() };
        assert!(is_possible(&Test::IsNull, &nulls, ColumnType::Int64));
        assert!(!is_possible(&Test::IsNotNull, &nulls, ColumnType::Int64));
        assert!(!is_possible(&Test::Lt(Literal::Int64(5)), &nulls, ColumnType::Int64));
        let none = Known { rows: 7, nulls: Some(0), ..Known::default() };
        assert!(!is_possible(&Test::IsNull, &none, ColumnType::Int64));
        assert!(is_possible(&Test::IsNull, &Known::default(), ColumnType::Int64), "nothing is known");
        assert!(is_possible(&Test::Eq(Literal::Int64(5)), &Known::default(), ColumnType::Int64));
    }

    #[test]
    fn a_bound_of_another_type_settles_nothing() {
        let days = Known { rows: 1, min: Some(Bound::Integer(3)), max: Some(Bound::Integer(4)), ..Known::default() };
        assert!(is_possible(&Test::Eq(Literal::Date(9)), &days, ColumnType::Timestamp));
        assert!(!is_possible(&Test::Eq(Literal::Date(9)), &days, ColumnType::Date));
        assert!(!is_possible(&Test::Eq(Literal::Float64(4.5)), &days, ColumnType::Int64));
        assert!(is_possible(&Test::GtEq(Literal::Float64(3.5)), &days, ColumnType::Int64));
    }
}
