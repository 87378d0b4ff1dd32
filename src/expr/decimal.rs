//! Numbers of so many decimal digits: `to_decimal(x, 4, 2)`, which `cast(x as decimal(4, 2))` is.

use super::bound::{BoundExpr, Node};
use super::cast;
use super::function::Function;
use super::tree::Expr;
use super::value::{Numbers, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType::{Boolean, Float64, Int64};
use arrow::array::{ArrowPrimitiveType, Int64Array, PrimitiveBuilder};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::fmt::Display;
use std::sync::Arc;

/// Whether there are numbers of `precision` digits, `scale` of them behind the point.
pub(crate) fn is_known(precision: i64, scale: i64) -> bool {
    (1..=38).contains(&precision) && (0..=precision).contains(&scale)
}

/// The call with its argument as a number, which is an Int64 where it was a whole number and stays one.
pub(super) fn bind(whole: &Expr, function: Function, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let [x, precision, scale] =
        <[BoundExpr; 3]>::try_from(args).map_err(|_| Error::internal("a decimal takes three"))?;
    let is_of_digits = matches!((number(&precision), number(&scale)), (Some(p), Some(s)) if is_known(p, s));
    if !is_of_digits {
        let message =
            format!("`{function}` takes from 1 to 38 digits, and no more of them behind the point, in `{whole}`");
        return Err(Error::new(ErrorKind::Type, message).hint(format!("such as {function}(x, 10, 2)")));
    }
    let stays_whole = matches!(x.column_type, Int64 | Boolean) && number(&scale) == Some(0);
    let to = if stays_whole { Int64 } else { Float64 };
    if !cast::is_possible(x.column_type, to) {
        let message = format!("no conversion from {} to a decimal in `{whole}`", x.column_type);
        return Err(Error::new(ErrorKind::Type, message));
    }
    let x = match x.column_type == to {
        true => x,
        false => BoundExpr::new(Node::Cast { input: Box::new(x), try_: function == Function::TryToDecimal }, to, whole),
    };
    Ok(BoundExpr::new(Node::Call(function, vec![x, precision, scale]), to, whole))
}

/// The constant that it is, if it is a whole number.
fn number(bound: &BoundExpr) -> Option<i64> {
    let array = bound.constant()?.as_any().downcast_ref::<Int64Array>()?;
    array.iter().next()?
}

/// The numbers rounded to `scale` digits behind the point; one of more than `precision` is an error, or null where it is only tried.
pub(super) fn rounded(text: &str, try_: bool, args: [&Value; 3], round: impl Fn(f64, i64) -> f64) -> Result<Value> {
    let [x, precision, scale] = args;
    let (precision, scale) = (Numbers::<Int64Type>::of(precision)?.at(0), Numbers::<Int64Type>::of(scale)?.at(0));
    let digits = u32::try_from(precision - scale).unwrap_or(0);
    let fit = Fit { text, try_, precision, scale };
    if *x.array().data_type() == DataType::Int64 {
        // A bound that no Int64 reaches is none.
        let bound = 10_u64.checked_pow(digits);
        return fit.each::<Int64Type>(x, |x| bound.is_none_or(|bound| x.unsigned_abs() < bound).then_some(x));
    }
    let bound = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    fit.each::<Float64Type>(x, |x| Some(round(x, scale)).filter(|x| x.abs() < bound))
}

/// What numbers are to fit.
struct Fit<'a> {
    text: &'a str,
    try_: bool,
    precision: i64,
    scale: i64,
}

impl Fit<'_> {
    fn each<A: ArrowPrimitiveType>(&self, x: &Value, fitted: impl Fn(A::Native) -> Option<A::Native>) -> Result<Value>
    where
        A::Native: Display,
    {
        let rows = result_rows(&[x]);
        let nulls = valid_everywhere(&[x], rows);
        let numbers = Numbers::<A>::of(x)?;
        let mut builder = PrimitiveBuilder::<A>::with_capacity(rows);
        for row in 0..rows {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                builder.append_null();
                continue;
            }
            match fitted(numbers.at(row)) {
                None if !self.try_ => {
                    let Fit { text, precision, scale, .. } = self;
                    let message = format!("`{text}`: {} does not fit decimal({precision}, {scale})", numbers.at(row));
                    return Err(Error::new(ErrorKind::Value, message).hint("try_cast gives null for such values"));
                }
                fitted => builder.append_option(fitted),
            }
        }
        Ok(Value::like_ref(&[x], Arc::new(builder.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_from_1_to_38_and_no_more_stand_behind_the_point() {
        assert!(is_known(38, 0) && is_known(4, 4) && is_known(1, 1));
        assert!(!is_known(0, 0) && !is_known(39, 0) && !is_known(4, 5) && !is_known(4, -1));
    }
}
