//! Evaluating functions whose arguments are already of the types they take.

use super::arithmetic::{Fault, each, each_pair};
use super::civil::{self, DAY_MICROS};
use super::compare::choose;
use super::function::Function;
use super::interval;
use super::make::make_timestamp;
use super::math;
use super::predict;
use super::tree::BinaryOp;
use super::value::{Numbers, Texts, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, BooleanArray, PrimitiveArray, StringViewBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::comparison;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use std::borrow::Cow;

/// The values of `function` over `args`; `text` names the call in an error.
pub(crate) fn call(text: &str, function: Function, args: &[Value]) -> Result<Value> {
    let all: Vec<&Value> = args.iter().collect();
    match (function, args) {
        (Function::Upper, [x]) => text_of(x, |text| text.to_uppercase().into()),
        (Function::Lower, [x]) => text_of(x, |text| text.to_lowercase().into()),
        (Function::Trim, [x]) => text_of(x, |text| text.trim().into()),
        (Function::Ltrim, [x]) => text_of(x, |text| text.trim_start().into()),
        (Function::Rtrim, [x]) => text_of(x, |text| text.trim_end().into()),
        (Function::Substring, [x, start, rest @ ..]) => {
            let (x, start) = (Texts::of(x)?, Numbers::<Int64Type>::of(start)?);
            let length = rest.first().map(Numbers::<Int64Type>::of).transpose()?;
            texts(&all, |row| {
                Ok(substring(x.at(row), start.at(row), length.as_ref().map(|length| length.at(row))).into())
            })
        }
        (Function::Replace, [x, from, to]) => {
            let (x, from, to) = (Texts::of(x)?, Texts::of(from)?, Texts::of(to)?);
            texts(&all, |row| match from.at(row) {
                "" => Ok(x.at(row).into()),
                from => Ok(x.at(row).replace(from, to.at(row)).into()),
            })
        }
        (Function::Reverse, [x]) => text_of(x, |text| text.chars().rev().collect::<String>().into()),
        (Function::Position, [x, part]) => super::texts::position(x, part),
        (Function::Lpad | Function::Rpad, _) => super::texts::padded(text, function, args),
        (Function::SplitPart, [x, separator, number]) => super::texts::split_part(x, separator, number),
        (Function::Strftime, [x, format]) => super::texts::strftime(x, format),
        (Function::Length, [x]) => {
            let rows = result_rows(&all);
            let texts = Texts::of(x)?;
            let lengths: Vec<i64> = (0..rows).map(|row| texts.at(row).chars().count() as i64).collect();
            Ok(Value::like(&all, PrimitiveArray::<Int64Type>::new(lengths.into(), valid_everywhere(&all, rows))))
        }
        (Function::StartsWith, [x, part]) => Ok(Value::like(&all, comparison::starts_with(x, part)?)),
        (Function::EndsWith, [x, part]) => Ok(Value::like(&all, comparison::ends_with(x, part)?)),
        (Function::Contains, [x, part]) => Ok(Value::like(&all, comparison::contains(x, part)?)),
        (Function::Abs, [x]) if *x.array().data_type() == DataType::Int64 => {
            each::<Int64Type, Int64Type>(text, x, |value| value.checked_abs().ok_or(Fault::Overflow))
        }
        // Integers are whole already.
        (Function::Round | Function::Floor | Function::Ceil, [x]) if *x.array().data_type() == DataType::Int64 => {
            Ok(x.clone())
        }
        (Function::Sign, [x]) if *x.array().data_type() == DataType::Int64 => {
            each::<Int64Type, Int64Type>(text, x, |value| Ok(value.signum()))
        }
        (Function::IsNan, [x]) => test(x, f64::is_nan),
        (Function::IsFinite, [x]) => test(x, f64::is_finite),
        (Function::IsInfinite, [x]) => test(x, f64::is_infinite),
        (Function::Round, [x, digits]) => {
            each_pair::<Float64Type, Int64Type, Float64Type>(text, x, digits, |x, digits| Ok(round(x, digits)))
        }
        (Function::ToDecimal | Function::TryToDecimal, [x, precision, scale]) => {
            super::decimal::rounded(text, function == Function::TryToDecimal, [x, precision, scale], round)
        }
        (Function::MakeDate, [year, month, day]) => make_date(text, year, month, day),
        (Function::MakeTimestamp, [whole @ .., second]) => make_timestamp(text, whole, second),
        (Function::DateTrunc, [unit, x]) => {
            let unit = unit.scalar_text().and_then(TruncUnit::find);
            truncate(text, unit.ok_or_else(|| Error::internal("the unit of date_trunc was not checked"))?, x)
        }
        (Function::Greatest, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |best, next| choose(BinaryOp::Gt, &best, next))
        }
        (Function::Least, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |best, next| choose(BinaryOp::Lt, &best, next))
        }
        (Function::Predict, [model, regressors @ ..]) => predict::predict(text, model, regressors),
        (Function::DateDiff, [unit, from, to]) => interval::units_between(text, unit, from, to),
        (Function::Epoch, [x]) if *x.array().data_type() == DataType::Float64 => Ok(x.clone()),
        (Function::Epoch, [x]) => interval::epoch(text, x),
        (Function::Log, [x]) => doubles(Function::Ln, x),
        (_, [x]) if *x.array().data_type() == DataType::Float64 => doubles(function, x),
        (_, [x]) => date_part(text, function, x),
        (_, [x, y]) => {
            let unknown = || Error::internal(format!("`{function}` was bound with two arguments"));
            let step = math::of_two(function).ok_or_else(unknown)?;
            each_pair::<Float64Type, Float64Type, Float64Type>(text, x, y, |x, y| Ok(step(x, y)))
        }
        _ => Err(Error::internal(format!("`{function}` was bound with {} arguments", args.len()))),
    }
}

/// Whether `function` may fail for a value of its types.
pub(crate) fn can_fail(function: Function, first: &DataType) -> bool {
    match function {
        Function::Abs => *first == DataType::Int64,
        Function::ToDecimal
        | Function::MakeDate
        | Function::MakeTimestamp
        | Function::DateTrunc
        | Function::Predict
        | Function::Lpad
        | Function::Rpad => true,
        _ => false,
    }
}

/// The values of a function of one double; those of nulls, whatever they are, are computed too.
fn doubles(function: Function, x: &Value) -> Result<Value> {
    let (_, values) = Numbers::<Float64Type>::of(x)?.scalar_or_slice();
    let mut values = values.to_vec();
    if !math::of_one(function, &mut values) {
        return Err(Error::internal(format!("`{function}` was bound to a Float64")));
    }
    let nulls = valid_everywhere(&[x], values.len());
    Ok(Value::like(&[x], PrimitiveArray::<Float64Type>::new(values.into(), nulls)))
}

fn test(x: &Value, step: impl Fn(f64) -> bool) -> Result<Value> {
    let numbers = Numbers::<Float64Type>::of(x)?;
    let rows = result_rows(&[x]);
    let truths = BooleanBuffer::collect_bool(rows, |row| step(numbers.at(row)));
    Ok(Value::like(&[x], BooleanArray::new(truths, valid_everywhere(&[x], rows))))
}

/// `x` to `digits` decimals; beyond what a double holds, `x` itself or zero.
fn round(x: f64, digits: i64) -> f64 {
    let digits = i32::try_from(digits.clamp(-400, 400)).unwrap_or(0);
    let scale = 10_f64.powi(digits.abs());
    let rounded = if digits >= 0 { (x * scale).round() / scale } else { (x / scale).round() * scale };
    match rounded.is_finite() {
        true => rounded,
        false if digits < 0 && x.is_finite() => 0.0_f64.copysign(x),
        false => x,
    }
}

/// So many bytes the texts that are made of a batch of rows may have beyond eight times those that they are made of: nothing is
/// reserved for them.
const MOST_GROWTH: usize = 32 << 20;

fn too_long() -> Error {
    Error::new(ErrorKind::Limit, "texts that are made of a few thousand rows would take more than 32 MiB")
        .hint("they grow from row to row by padding, replacing or joining: cut them before, with left(x, 1000)")
}

/// The results of `step` as a text column, null where an operand is null.
pub(super) fn texts<'a>(operands: &[&'a Value], step: impl Fn(usize) -> Result<Cow<'a, str>>) -> Result<Value> {
    let rows = result_rows(operands);
    let nulls = valid_everywhere(operands, rows);
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut room =
        MOST_GROWTH + 8 * operands.iter().map(|operand| operand.array().get_array_memory_size()).sum::<usize>();
    for row in 0..rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            builder.append_null();
        } else {
            let text = step(row)?;
            room = room.checked_sub(text.len()).ok_or_else(too_long)?;
            builder.try_append_value(&text).map_err(|error| Error::new(ErrorKind::Limit, error.to_string()))?;
        }
    }
    Ok(Value::like(operands, builder.finish()))
}

fn text_of(x: &Value, step: impl for<'t> Fn(&'t str) -> Cow<'t, str>) -> Result<Value> {
    let texts_in = Texts::of(x)?;
    texts(&[x], |row| Ok(step(texts_in.at(row))))
}

/// `left || right`.
pub(crate) fn concat(left: &Value, right: &Value) -> Result<Value> {
    let (a, b) = (Texts::of(left)?, Texts::of(right)?);
    texts(&[left, right], |row| Ok([a.at(row), b.at(row)].concat().into()))
}

/// Characters `start` to `start + length` as SQL counts them: the first is 1, and places before it count.
fn substring(text: &str, start: i64, length: Option<i64>) -> &str {
    let end = length.map(|length| start.saturating_add(length.max(0)));
    let byte_at = |character: i64| {
        let skip = usize::try_from(character.saturating_sub(1)).unwrap_or(0);
        text.char_indices().nth(skip).map_or(text.len(), |(byte, _)| byte)
    };
    let first = byte_at(start);
    let last = end.map_or(text.len(), byte_at);
    &text[first..last.max(first)]
}

fn make_date(text: &str, year: &Value, month: &Value, day: &Value) -> Result<Value> {
    let operands = [year, month, day];
    let rows = result_rows(&operands);
    let nulls = valid_everywhere(&operands, rows);
    let (year, month, day) =
        (Numbers::<Int64Type>::of(year)?, Numbers::<Int64Type>::of(month)?, Numbers::<Int64Type>::of(day)?);
    let mut days = vec![0; rows];
    for (row, days) in days.iter_mut().enumerate() {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            let (year, month, day) = (year.at(row), month.at(row), day.at(row));
            *days = civil::checked_days(year, month, day).ok_or_else(|| {
                let message = format!("`{text}`: there is no date {year}-{month:02}-{day:02}");
                Error::new(ErrorKind::Value, message).hint("leave such rows out with `where`, or use `case when`")
            })?;
        }
    }
    Ok(Value::like(&operands, PrimitiveArray::<Date32Type>::new(days.into(), nulls)))
}

fn date_part(text: &str, function: Function, x: &Value) -> Result<Value> {
    let part = move |micros: i64| -> i64 {
        let days = micros.div_euclid(DAY_MICROS);
        let seconds = micros.rem_euclid(DAY_MICROS) / 1_000_000;
        match function {
            Function::Hour => seconds / 3600,
            Function::Minute => seconds / 60 % 60,
            Function::Second => seconds % 60,
            _ => day_part(function, days),
        }
    };
    match x.array().data_type() {
        DataType::Date32 => each::<Date32Type, Int64Type>(text, x, |days| Ok(day_part(function, i64::from(days)))),
        _ => each::<TimestampMicrosecondType, Int64Type>(text, x, |micros| Ok(part(micros))),
    }
}

fn day_part(function: Function, days: i64) -> i64 {
    let (year, month, day) = civil::from_days(days);
    match function {
        Function::Year => year,
        Function::Quarter => (month + 2) / 3,
        Function::Month => month,
        Function::Week => civil::iso_week(days),
        Function::DayOfYear => days - civil::to_days(year, 1, 1) + 1,
        Function::IsoDow => civil::iso_day_of_week(days),
        Function::Dow => civil::iso_day_of_week(days) % 7,
        _ => day,
    }
}

/// A unit that dates and times are cut to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TruncUnit {
    /// So many years, counted from the year 0.
    Years(i64),
    Quarter,
    Month,
    Week,
    /// Microseconds in the unit.
    Even(i64),
}

impl TruncUnit {
    /// The unit called `name`, case ignored.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "year" => TruncUnit::Years(1),
            "quarter" => TruncUnit::Quarter,
            "month" => TruncUnit::Month,
            "week" => TruncUnit::Week,
            "day" => TruncUnit::Even(DAY_MICROS),
            "hour" => TruncUnit::Even(3_600_000_000),
            "minute" => TruncUnit::Even(60_000_000),
            "second" => TruncUnit::Even(1_000_000),
            _ => return None,
        })
    }

    fn day(self, days: i64) -> i64 {
        let (year, month, _) = civil::from_days(days);
        match self {
            TruncUnit::Years(many) => civil::to_days(year.div_euclid(many) * many, 1, 1),
            TruncUnit::Quarter => civil::to_days(year, (month - 1) / 3 * 3 + 1, 1),
            TruncUnit::Month => civil::to_days(year, month, 1),
            TruncUnit::Week => days - civil::iso_day_of_week(days) + 1,
            TruncUnit::Even(_) => days,
        }
    }

    fn micros(self, micros: i64) -> Option<i64> {
        match self {
            TruncUnit::Even(unit) => micros.div_euclid(unit).checked_mul(unit),
            _ => self.day(micros.div_euclid(DAY_MICROS)).checked_mul(DAY_MICROS),
        }
    }
}

fn truncate(text: &str, unit: TruncUnit, x: &Value) -> Result<Value> {
    match x.array().data_type() {
        DataType::Date32 => each::<Date32Type, Date32Type>(text, x, |days| {
            i32::try_from(unit.day(i64::from(days))).map_err(|_| Fault::Overflow)
        }),
        _ => each::<TimestampMicrosecondType, TimestampMicrosecondType>(text, x, |micros| {
            unit.micros(micros).ok_or(Fault::Overflow)
        }),
    }
}
