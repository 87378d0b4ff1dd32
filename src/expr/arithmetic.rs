//! Arithmetic on integers (checked) and doubles (IEEE 754), and days on dates.

use super::tree::BinaryOp;
use super::value::{Numbers, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{ArrowPrimitiveType, PrimitiveArray};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use std::fmt::Display;

/// What arithmetic on one row came to, when it has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Beyond the range of the type.
    Overflow,
    /// Integer division by zero.
    Zero,
}

impl Fault {
    fn error(self, text: &str, operands: impl Display) -> Error {
        match self {
            Fault::Overflow => Error::new(
                ErrorKind::Arithmetic,
                format!("`{text}` is beyond the range of 64-bit integers for {operands}"),
            )
            .hint("cast an operand to float64"),
            Fault::Zero => Error::new(ErrorKind::Arithmetic, format!("`{text}` divides by zero for {operands}"))
                .hint("use nullif(…, 0) as the divisor to get null, or `/` for a Float64"),
        }
    }
}

/// The values of `step` over two operands, null where either is null; `text` names the expression in an error.
pub(crate) fn each_pair<A, B, C>(
    text: &str,
    left: &Value,
    right: &Value,
    step: impl Fn(A::Native, B::Native) -> Result<C::Native, Fault>,
) -> Result<Value>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    C: ArrowPrimitiveType,
    A::Native: Display,
    B::Native: Display,
{
    let operands = [left, right];
    let rows = result_rows(&operands);
    let nulls = valid_everywhere(&operands, rows);
    let (a, b) = (Numbers::<A>::of(left)?, Numbers::<B>::of(right)?);
    let mut values = vec![C::Native::default(); rows];
    let mut run = |row: usize| -> Result<()> {
        let (a, b) = (a.at(row), b.at(row));
        values[row] = step(a, b).map_err(|fault| fault.error(text, format_args!("{a} and {b}")))?;
        Ok(())
    };
    match &nulls {
        None => (0..rows).try_for_each(&mut run)?,
        Some(nulls) => nulls.valid_indices().try_for_each(&mut run)?,
    }
    Ok(Value::like(&operands, PrimitiveArray::<C>::new(values.into(), nulls).with_data_type(C::DATA_TYPE)))
}

/// `left op right` on integers.
pub(crate) fn integers(text: &str, op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    let run = |step: fn(i64, i64) -> Result<i64, Fault>| {
        each_pair::<Int64Type, Int64Type, Int64Type>(text, left, right, step)
    };
    match op {
        BinaryOp::Add => run(|a, b| a.checked_add(b).ok_or(Fault::Overflow)),
        BinaryOp::Sub => run(|a, b| a.checked_sub(b).ok_or(Fault::Overflow)),
        BinaryOp::Mul => run(|a, b| a.checked_mul(b).ok_or(Fault::Overflow)),
        BinaryOp::FloorDivide => run(floor_divide),
        BinaryOp::Modulo => run(floor_modulo),
        _ => Err(Error::internal(format!("`{}` is not integer arithmetic", op.symbol()))),
    }
}

fn floor_divide(a: i64, b: i64) -> Result<i64, Fault> {
    if b == 0 {
        return Err(Fault::Zero);
    }
    let quotient = a.checked_div(b).ok_or(Fault::Overflow)?;
    Ok(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn floor_modulo(a: i64, b: i64) -> Result<i64, Fault> {
    if b == 0 {
        return Err(Fault::Zero);
    }
    let rest = a.wrapping_rem(b);
    Ok(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

/// `left op right` on doubles: division by zero gives ±inf or NaN, `//` is the floor of the rounded quotient, and `%`
/// the exact remainder, with the sign of the divisor.
pub(crate) fn doubles(text: &str, op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    let run = |step: fn(f64, f64) -> f64| {
        each_pair::<Float64Type, Float64Type, Float64Type>(text, left, right, |a, b| Ok(step(a, b)))
    };
    let array = match op {
        BinaryOp::Add => numeric::add(left, right)?,
        BinaryOp::Sub => numeric::sub(left, right)?,
        BinaryOp::Mul => numeric::mul(left, right)?,
        BinaryOp::Divide => numeric::div(left, right)?,
        BinaryOp::FloorDivide => return run(|a, b| (a / b).floor()),
        BinaryOp::Modulo => return run(double_modulo),
        _ => return Err(Error::internal(format!("`{}` is not arithmetic", op.symbol()))),
    };
    Ok(Value::like_ref(&[left, right], array))
}

fn double_modulo(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

/// Days after (`sign` 1) or before (`sign` −1) a date.
pub(crate) fn shift_date(text: &str, sign: i64, date: &Value, days: &Value) -> Result<Value> {
    each_pair::<Date32Type, Int64Type, Date32Type>(text, date, days, |date, days| {
        let days = days.checked_mul(sign).and_then(|days| i64::from(date).checked_add(days));
        days.and_then(|days| i32::try_from(days).ok()).ok_or(Fault::Overflow)
    })
}

/// Days from `right` to `left`.
pub(crate) fn days_between(text: &str, left: &Value, right: &Value) -> Result<Value> {
    each_pair::<Date32Type, Date32Type, Int64Type>(text, left, right, |a, b| Ok(i64::from(a) - i64::from(b)))
}

/// The values of `step` over one operand, null where it is null.
pub(crate) fn each<A, C>(
    text: &str,
    operand: &Value,
    step: impl Fn(A::Native) -> Result<C::Native, Fault>,
) -> Result<Value>
where
    A: ArrowPrimitiveType,
    C: ArrowPrimitiveType,
    A::Native: Display,
{
    let rows = result_rows(&[operand]);
    let nulls = valid_everywhere(&[operand], rows);
    let numbers = Numbers::<A>::of(operand)?;
    let mut values = vec![C::Native::default(); rows];
    let mut run = |row: usize| -> Result<()> {
        values[row] = step(numbers.at(row)).map_err(|fault| fault.error(text, numbers.at(row)))?;
        Ok(())
    };
    match &nulls {
        None => (0..rows).try_for_each(&mut run)?,
        Some(nulls) => nulls.valid_indices().try_for_each(&mut run)?,
    }
    Ok(Value::like(&[operand], PrimitiveArray::<C>::new(values.into(), nulls)))
}
