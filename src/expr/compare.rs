//! Comparisons. Text compares bytewise; NaN equals itself and is above all numbers; −0.0 equals 0.0.

use super::tree::BinaryOp;
use super::value::{Numbers, Value, result_rows, valid_everywhere};
use crate::error::Result;
use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float64Type};

/// `left op right`, both of one type; null where either is null.
pub(crate) fn compare(op: BinaryOp, left: &Value, right: &Value) -> Result<BooleanArray> {
    if *left.array().data_type() == DataType::Float64 {
        return compare_doubles(op, left, right);
    }
    Ok(match op {
        BinaryOp::Eq => cmp::eq(left, right)?,
        BinaryOp::Lt => cmp::lt(left, right)?,
        BinaryOp::LtEq => cmp::lt_eq(left, right)?,
        BinaryOp::Gt => cmp::gt(left, right)?,
        BinaryOp::GtEq => cmp::gt_eq(left, right)?,
        _ => cmp::neq(left, right)?,
    })
}

/// Arrow orders doubles by their bits, which tells −0.0 from 0.0 and puts some NaNs below; hence our own loops.
fn compare_doubles(op: BinaryOp, left: &Value, right: &Value) -> Result<BooleanArray> {
    match op {
        BinaryOp::Eq => each_pair(left, right, |a, b| equal(a, b)),
        BinaryOp::Lt => each_pair(left, right, |a, b| below(a, b)),
        BinaryOp::LtEq => each_pair(left, right, |a, b| !below(b, a)),
        BinaryOp::Gt => each_pair(left, right, |a, b| below(b, a)),
        BinaryOp::GtEq => each_pair(left, right, |a, b| !below(a, b)),
        _ => each_pair(left, right, |a, b| !equal(a, b)),
    }
}

fn equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

fn below(a: f64, b: f64) -> bool {
    a < b || (b.is_nan() && !a.is_nan())
}

fn each_pair(left: &Value, right: &Value, test: impl Fn(f64, f64) -> bool) -> Result<BooleanArray> {
    let operands = [left, right];
    let rows = result_rows(&operands);
    let (a, b) = (Numbers::<Float64Type>::of(left)?, Numbers::<Float64Type>::of(right)?);
    // Written out for scalars so that the loop carries no branch on them.
    let bits = match (a.scalar_or_slice(), b.scalar_or_slice()) {
        ((None, a), (Some(b), _)) => BooleanBuffer::collect_bool(rows, |row| test(a[row], b)),
        ((Some(a), _), (None, b)) => BooleanBuffer::collect_bool(rows, |row| test(a, b[row])),
        ((_, a), (_, b)) => BooleanBuffer::collect_bool(rows, |row| test(a[row], b[row])),
    };
    Ok(BooleanArray::new(bits, valid_everywhere(&operands, rows)))
}

/// The greatest (`op` Gt) or least (`op` Lt) of two columns by row, leaving nulls out.
pub(crate) fn choose(op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    let rows = result_rows(&[left, right]);
    let better = compare(op, right, left)?;
    let (left_array, right_array) = (left.array(), right.array());
    let (left_nulls, right_nulls) = (left_array.logical_nulls(), right_array.logical_nulls());
    let is_null = |nulls: &Option<arrow::buffer::NullBuffer>, value: &Value, row: usize| {
        nulls.as_ref().is_some_and(|nulls| nulls.is_null(if value.is_scalar() { 0 } else { row }))
    };
    let take_right = BooleanBuffer::collect_bool(rows, |row| {
        if is_null(&left_nulls, left, row) {
            true
        } else if is_null(&right_nulls, right, row) {
            false
        } else {
            better.value(row)
        }
    });
    let picks: Vec<(usize, usize)> = (0..rows)
        .map(|row| match take_right.value(row) {
            true => (1, if right.is_scalar() { 0 } else { row }),
            false => (0, if left.is_scalar() { 0 } else { row }),
        })
        .collect();
    let chosen = arrow::compute::interleave(&[left_array.as_ref(), right_array.as_ref()], &picks)?;
    Ok(Value::like_ref(&[left, right], chosen))
}
