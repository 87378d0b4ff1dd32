//! Which types go together, and what to say when they do not.
//!
//! Null goes with everything. Boolean, Int64 and Float64 mix to the widest, Booleans counting as 0 and 1; Date and
//! Timestamp mix to Timestamp. A constant text is read as a date next to dates. Nothing else converts by itself.

use super::bound::{BoundExpr, Node};
use super::call::TruncUnit;
use super::civil;
use super::function::Function;
use super::tree::{BinaryOp, Expr};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use ColumnType::{Boolean, Date, Float64, Int64, Null, Timestamp, Utf8};
use arrow::array::{Array, AsArray, Date32Array, Float64Array, TimestampMicrosecondArray};
use std::sync::Arc;

impl BoundExpr {
    /// This converted to a type it always converts to; `source` is the expression it stands in.
    pub(super) fn to(self, to: ColumnType, source: &Expr) -> BoundExpr {
        if self.column_type == to {
            return self;
        }
        BoundExpr::new(Node::Cast { input: Box::new(self), try_: false }, to, source)
    }

    pub(super) fn constant_text(&self) -> Option<&str> {
        let array = self.constant()?.as_string_view_opt()?;
        array.is_valid(0).then(|| array.value(0))
    }
}

/// The type that values of both types are compared in.
fn common_type(a: ColumnType, b: ColumnType) -> Option<ColumnType> {
    match (a, b) {
        (a, b) if a == b => Some(a),
        (Null, other) | (other, Null) => Some(other),
        (a, b) if a.is_numeric() && b.is_numeric() => Some(if a == Float64 || b == Float64 { Float64 } else { Int64 }),
        (Date, Timestamp) | (Timestamp, Date) => Some(Timestamp),
        _ => None,
    }
}

/// Two operands of one type.
pub(super) struct Coerced {
    pub(super) left: BoundExpr,
    pub(super) right: BoundExpr,
}

/// Both operands in their common type; `verb` says what `whole` wants to do with them.
pub(super) fn pair(whole: &Expr, verb: &str, left: BoundExpr, right: BoundExpr) -> Result<Coerced> {
    let (both, _) = to_common(whole, verb, vec![left, right])?;
    let [left, right] = <[BoundExpr; 2]>::try_from(both).map_err(|_| Error::internal("two operands stay two"))?;
    Ok(Coerced { left, right })
}

/// All of `values` in the one type they have in common, and that type.
pub(super) fn to_common(whole: &Expr, verb: &str, mut values: Vec<BoundExpr>) -> Result<(Vec<BoundExpr>, ColumnType)> {
    if values.iter().any(|value| matches!(value.column_type, Date | Timestamp)) {
        for value in &mut values {
            if let Some(text) = value.constant_text() {
                *value = date_constant(whole, text)?;
            }
        }
    }
    let mut common = Null;
    for value in &values {
        common = common_type(common, value.column_type)
            .ok_or_else(|| cannot_mix(whole, verb, common, value.column_type, &values))?;
    }
    let values = values.into_iter().map(|value| value.to(common, whole)).collect();
    Ok((values, common))
}

fn date_constant(whole: &Expr, text: &str) -> Result<BoundExpr> {
    if let Some(days) = civil::parse_date(text.trim()) {
        return Ok(BoundExpr::literal(Arc::new(Date32Array::from(vec![days])), Date));
    }
    if let Some(micros) = civil::parse_timestamp(text.trim()) {
        return Ok(BoundExpr::literal(Arc::new(TimestampMicrosecondArray::from(vec![micros])), Timestamp));
    }
    Err(Error::new(ErrorKind::Type, format!("'{text}' is not a date in `{whole}`"))
        .hint("dates are written '2001-12-31', times '2001-12-31 23:59:00'"))
}

fn cannot_mix(whole: &Expr, verb: &str, a: ColumnType, b: ColumnType, values: &[BoundExpr]) -> Error {
    let joint = if verb == "compare" { "with" } else { "and" };
    let error = Error::new(ErrorKind::Type, format!("cannot {verb} {a} {joint} {b} in `{whole}`"));
    let number = |text: &str| fast_float2::parse::<f64, _>(text).is_ok();
    let quoted_number = values.iter().filter_map(BoundExpr::constant_text).find(|text| number(text));
    let hint = match (a, b) {
        (Utf8, other) | (other, Utf8) if other.is_numeric() => match quoted_number {
            Some(text) => format!("a number is written without quotes: {text}"),
            None => "read the text as a number with cast(… as float64), or quote the number".to_string(),
        },
        (Utf8, other) | (other, Utf8) => format!("read the text with cast(… as {})", other.to_string().to_lowercase()),
        (Date | Timestamp, Int64) | (Int64, Date | Timestamp)
            if values.iter().any(|value| value.constant().is_some()) =>
        {
            "a date stands in quotes, such as '2001-12-31'; year(…), month(…) … are parts of one".to_string()
        }
        _ => "convert one of them with cast(… as …), or take year(…), month(…) … of the date".to_string(),
    };
    error.hint(hint)
}

/// `values` as exactly the types `wanted`, as far as they convert by themselves.
pub(super) fn exactly<const N: usize>(
    whole: &Expr,
    values: Vec<BoundExpr>,
    wanted: [ColumnType; N],
) -> Result<[BoundExpr; N]> {
    let values =
        values.into_iter().zip(wanted).map(|(value, to)| widen(whole, value, to)).collect::<Result<Vec<_>>>()?;
    <[BoundExpr; N]>::try_from(values).map_err(|_| Error::internal("as many operands as types"))
}

pub(super) fn widen(whole: &Expr, value: BoundExpr, to: ColumnType) -> Result<BoundExpr> {
    let from = value.column_type;
    if common_type(from, to) == Some(to) && to != Timestamp {
        return Ok(value.to(to, whole));
    }
    let operator = match whole {
        Expr::Function { function, .. } => function.name(),
        Expr::Binary { op, .. } => op.symbol(),
        _ => "like",
    };
    let error = Error::new(ErrorKind::Type, format!("`{operator}` takes {to}, not {from}, in `{whole}`"));
    Err(match (from, to) {
        (Float64, Int64) => error.hint("round with cast(… as int64)"),
        (Boolean, Utf8) if operator == BinaryOp::Concat.symbol() => error.hint("conditions are joined with `or`"),
        _ => error.hint(format!("convert with cast(… as {})", to.to_string().to_lowercase())),
    })
}

/// `left op right` for the arithmetic operators.
pub(super) fn arithmetic(whole: &Expr, op: BinaryOp, left: BoundExpr, right: BoundExpr) -> Result<BoundExpr> {
    let (a, b) = (left.column_type, right.column_type);
    let shift = |sign, date: BoundExpr, days: BoundExpr| {
        let node = Node::ShiftDate(sign, Box::new(date), Box::new(days.to(Int64, whole)));
        Ok(BoundExpr::new(node, Date, whole))
    };
    match (a, op, b) {
        (Null, _, Null) => return Ok(BoundExpr::null(if op == BinaryOp::Divide { Float64 } else { Null })),
        (Date, BinaryOp::Add, Int64 | Null) => return shift(1, left, right),
        (Int64 | Null, BinaryOp::Add, Date) => return shift(1, right, left),
        (Date, BinaryOp::Sub, Int64) => return shift(-1, left, right),
        (Date | Null, BinaryOp::Sub, Date) | (Date, BinaryOp::Sub, Null) => {
            let node = Node::DaysBetween(Box::new(left.to(Date, whole)), Box::new(right.to(Date, whole)));
            return Ok(BoundExpr::new(node, Int64, whole));
        }
        (Timestamp, BinaryOp::Sub, Timestamp | Date | Null) | (Date | Null, BinaryOp::Sub, Timestamp) => {
            let (left, right) = (Box::new(left.to(Timestamp, whole)), Box::new(right.to(Timestamp, whole)));
            return Ok(BoundExpr::new(Node::SecondsBetween(left, right), Float64, whole));
        }
        _ => {}
    }
    let target = match common_type(a, b) {
        _ if op == BinaryOp::Divide && [a, b].iter().all(|operand| operand.is_numeric() || *operand == Null) => Float64,
        Some(Boolean | Int64) => Int64,
        Some(Float64) => Float64,
        _ => {
            let message = format!("`{}` takes numbers, not {a} and {b}, in `{whole}`", op.symbol());
            let error = Error::new(ErrorKind::Type, message);
            return Err(match (a, b) {
                (Utf8, Utf8) if op == BinaryOp::Add => error.hint("texts are joined with `||`"),
                (Utf8, _) | (_, Utf8) => error.hint("read the text as a number with cast(… as float64)"),
                _ => error.hint(
                    "a Date takes `+ days`, Dates and Timestamps `+ interval '1 hour'`; two Dates give days with `-`",
                ),
            });
        }
    };
    let (left, right) = (Box::new(left.to(target, whole)), Box::new(right.to(target, whole)));
    Ok(BoundExpr::new(Node::Arithmetic(op, left, right), target, whole))
}

/// A function call: argument types checked and converted, the type of the result found.
pub(super) fn function(whole: &Expr, function: Function, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    if let Some(message) = function.wrong_count(args.len()) {
        return Err(Error::new(ErrorKind::Type, format!("{message}, in `{whole}`")));
    }
    let types: Vec<ColumnType> = args.iter().map(|arg| arg.column_type).collect();
    let (wanted, result): (Vec<ColumnType>, ColumnType) = match function {
        Function::Reverse => (vec![Utf8], Utf8),
        Function::Position => (vec![Utf8; 2], Int64),
        Function::Lpad | Function::Rpad => (vec![Utf8, Int64, Utf8], Utf8),
        Function::SplitPart => (vec![Utf8, Utf8, Int64], Utf8),
        Function::Strftime => return super::texts::bind_strftime(whole, args),
        Function::Upper | Function::Lower | Function::Trim | Function::Ltrim | Function::Rtrim => (vec![Utf8], Utf8),
        Function::Length => (vec![Utf8], Int64),
        Function::Substring => (vec![Utf8, Int64, Int64], Utf8),
        Function::Replace => (vec![Utf8; 3], Utf8),
        Function::StartsWith | Function::EndsWith | Function::Contains => (vec![Utf8; 2], Boolean),
        Function::Fold | Function::Random => return super::row::bind(whole, function, &args),
        Function::Pi => {
            return Ok(BoundExpr::literal(Arc::new(Float64Array::from(vec![std::f64::consts::PI])), Float64));
        }
        Function::Abs | Function::Sign | Function::Floor | Function::Ceil | Function::Round if args.len() == 1 => {
            let own = if types[0] == Float64 { Float64 } else { Int64 };
            (vec![own], own)
        }
        Function::Round => (vec![Float64, Int64], Float64),
        Function::Power | Function::Log | Function::Atan2 | Function::Hypot => (vec![Float64; 2], Float64),
        Function::IsNan | Function::IsFinite | Function::IsInfinite => (vec![Float64], Boolean),
        Function::MakeDate => (vec![Int64; 3], Date),
        Function::MakeTimestamp => (vec![Int64, Int64, Int64, Int64, Int64, Float64], Timestamp),
        Function::Predict => {
            let regressors = types[1..].iter().map(|own| if *own == Utf8 { Utf8 } else { Float64 });
            (std::iter::once(Utf8).chain(regressors).collect(), Float64)
        }
        Function::Coalesce | Function::Greatest | Function::Least => return choice(whole, function, args),
        Function::Nullif => return nullif(whole, args),
        Function::DateTrunc => return date_trunc(whole, args),
        Function::RegexpMatches | Function::RegexpFullMatch | Function::RegexpReplace | Function::RegexpExtract => {
            return super::regexp::bind(whole, function, args);
        }
        Function::ToDecimal | Function::TryToDecimal => return super::decimal::bind(whole, function, args),
        Function::DateAdd => return super::interval::date_add(whole, args),
        Function::DateDiff => return super::interval::date_diff(whole, args),
        Function::Epoch if types[0] != Date => (vec![if types[0] == Timestamp { Timestamp } else { Float64 }], Float64),
        Function::Epoch => {
            return Ok(BoundExpr::new(
                Node::Call(function, args.into_iter().map(|arg| arg.to(Timestamp, whole)).collect()),
                Float64,
                whole,
            ));
        }
        Function::Hour | Function::Minute | Function::Second if types[0] == Date => {
            let message = format!("`{function}` takes Timestamp, not Date, in `{whole}`");
            return Err(Error::new(ErrorKind::Type, message).hint("a Date has no time of day"));
        }
        Function::Hour | Function::Minute | Function::Second if types[0] == Int64 => {
            let message = format!("`{function}` takes Timestamp, not Int64, in `{whole}`");
            return Err(Error::new(ErrorKind::Type, message).hint("of a time written hhmm, `x // 100` is the hour"));
        }
        Function::Hour | Function::Minute | Function::Second => (vec![Timestamp], Int64),
        function if is_date_part(function) => (vec![if types[0] == Timestamp { Timestamp } else { Date }], Int64),
        // All others are functions of one double.
        _ => (vec![Float64], Float64),
    };
    let args = args
        .into_iter()
        .zip(wanted)
        .map(|(arg, to)| if arg.column_type == to { Ok(arg) } else { widen(whole, arg, to) })
        .collect::<Result<Vec<_>>>()?;
    Ok(BoundExpr::new(Node::Call(function, args), result, whole))
}

fn is_date_part(function: Function) -> bool {
    use Function::{Day, DayOfYear, Dow, IsoDow, Month, Quarter, Week, Year};
    matches!(function, Year | Quarter | Month | Week | Day | DayOfYear | IsoDow | Dow)
}

fn choice(whole: &Expr, function: Function, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let (args, common) = to_common(whole, "choose between", args)?;
    if common == Null {
        return Ok(BoundExpr::null(Null));
    }
    let node = match function {
        Function::Coalesce => Node::Coalesce(args),
        _ => Node::Call(function, args),
    };
    Ok(BoundExpr::new(node, common, whole))
}

/// `nullif(a, b)` is `case when a = b then null else a end`.
fn nullif(whole: &Expr, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let [a, b] = <[BoundExpr; 2]>::try_from(args).map_err(|_| Error::internal("nullif takes two"))?;
    if a.column_type == Null {
        return Ok(a);
    }
    let value = a.clone();
    let result = value.column_type;
    let Coerced { left, right } = pair(whole, "compare", a, b)?;
    let equal = BoundExpr::new(Node::Compare(BinaryOp::Eq, Box::new(left), Box::new(right)), Boolean, whole);
    let branches = vec![(equal, BoundExpr::null(result))];
    Ok(BoundExpr::new(Node::Case { branches, otherwise: Some(Box::new(value)) }, result, whole))
}

fn date_trunc(whole: &Expr, args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let unit = args[0].constant_text();
    if unit.and_then(TruncUnit::find).is_none() {
        let said = unit.map_or("an expression".to_string(), |unit| format!("'{unit}'"));
        return Err(Error::new(ErrorKind::Type, format!("{said} is not a unit of date_trunc in `{whole}`"))
            .hint("units are 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute' and 'second'"));
    }
    let result = if args[1].column_type == Timestamp { Timestamp } else { Date };
    let [unit, value] = <[BoundExpr; 2]>::try_from(args).map_err(|_| Error::internal("date_trunc takes two"))?;
    let value = if value.column_type == result { value } else { widen(whole, value, result)? };
    Ok(BoundExpr::new(Node::Call(Function::DateTrunc, vec![unit, value]), result, whole))
}
