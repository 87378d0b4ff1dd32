//! Intervals, which stand behind `+` and `-`: `d + interval '1 month'`, `ts - interval 90 minute`.

use super::convert::Converter;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::civil::DAY_MICROS;
use crate::expr::{Expr, Function, Interval, Literal, lit};
use sqlparser::ast::{self, BinaryOperator, Spanned, Value};

/// An interval, and of how many, if that is no constant.
pub(super) struct Length {
    interval: Interval,
    times: Option<Expr>,
}

impl Length {
    /// The interval, if it is always the same.
    pub(super) fn constant(&self) -> Option<Interval> {
        self.times.is_none().then_some(self.interval)
    }
}

impl Converter<'_> {
    /// The interval that an operand is, if it is one.
    pub(super) fn interval_of(&self, tree: &ast::Expr, depth: usize) -> Result<Option<Length>> {
        match tree {
            ast::Expr::Nested(inner) => self.interval_of(inner, depth + 1),
            ast::Expr::Interval(interval) => self.length(interval, tree, depth).map(Some),
            _ => Ok(None),
        }
    }

    fn length(&self, interval: &ast::Interval, tree: &ast::Expr, depth: usize) -> Result<Length> {
        if interval.last_field.is_some() || interval.leading_precision.is_some() {
            let error = self.unsupported("an interval from one unit to another", tree.span());
            return Err(error.hint("units stand one behind the other: interval '1 year 2 months'"));
        }
        let wrong = |message: String| {
            let error = self.error(ErrorKind::Syntax, message, tree.span());
            error.hint("write interval '1 month', interval 90 minute or interval (n) day")
        };
        let unit = interval.leading_field.as_ref().map(ToString::to_string);
        let constant = |text: &str| {
            let found = Interval::parse(text, unit.as_deref());
            let length = found.map(|interval| Length { interval, times: None });
            length.ok_or_else(|| wrong(format!("'{text}' is no interval")))
        };
        match (self.convert(&interval.value, depth + 1)?, &unit) {
            (Expr::Literal(Literal::Utf8(text)), _) => constant(&text),
            (Expr::Literal(Literal::Int64(number)), Some(_)) => constant(&number.to_string()),
            (Expr::Literal(Literal::Float64(number)), Some(_)) => constant(&number.to_string()),
            (_, None) => Err(wrong("the interval has no unit".to_owned())),
            (times, Some(unit)) => {
                let interval = Interval::parse("1", Some(unit)).ok_or_else(|| wrong(format!("`{unit}` is no unit")))?;
                Ok(Length { interval, times: Some(times) })
            }
        }
    }

    /// `value + length` or `value - length`.
    pub(super) fn later(&self, value: Expr, op: &BinaryOperator, length: Length, tree: &ast::Expr) -> Result<Expr> {
        let interval = match op {
            BinaryOperator::Plus => Some(length.interval),
            BinaryOperator::Minus => length.interval.negated(),
            _ => {
                let error = self.unsupported("an interval in this place", tree.span());
                return Err(error.hint("it may stand behind `+` or `-`: d + interval '1 month'"));
            }
        };
        let interval = interval.ok_or_else(|| Error::internal("an interval without an opposite"))?;
        let args = [value, lit(interval.to_string())].into_iter().chain(length.times).collect();
        Ok(Expr::Function { function: Function::DateAdd, args })
    }

    /// `date_part('month', d)`, whose unit is the name of a function.
    pub(super) fn part_named(&self, args: &[Expr], tree: &ast::Expr) -> Result<Function> {
        let [Expr::Literal(Literal::Utf8(unit)), _] = args else {
            let error = self.error(ErrorKind::Type, "`date_part` takes a unit and a date", tree.span());
            return Err(error.hint("such as date_part('month', d)"));
        };
        self.part(unit, tree)
    }

    /// The time at which a text was read, and its date, in UTC: the same wherever it is asked for. `None` for other functions.
    pub(super) fn now(&self, call: &ast::Function, ident: &ast::Ident) -> Result<Option<Expr>> {
        let micros = self.words.read_at;
        let value = match ident.value.to_lowercase().as_str() {
            "now"
            | "current_timestamp"
            | "localtimestamp"
            | "transaction_timestamp"
            | "getdate"
            | "getutcdate"
            | "sysdatetime" => Literal::Timestamp(micros),
            "current_date" | "today" => Literal::Date(date_at(micros)?),
            "current_time" | "localtime" => {
                let error = self.unsupported("a time without a date", ident.span);
                return Err(error.hint("`now()` is a timestamp, `hour(now())` and `minute(now())` are parts of it"));
            }
            _ => return Ok(None),
        };
        let is_bare = match &call.args {
            ast::FunctionArguments::None => true,
            ast::FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty(),
            ast::FunctionArguments::Subquery(_) => false,
        };
        if is_bare && call.over.is_none() && call.filter.is_none() {
            return Ok(Some(Expr::Literal(value)));
        }
        Err(self.error(ErrorKind::Type, format!("`{}` takes nothing", ident.value.to_lowercase()), ident.span))
    }

    /// The interval that the argument of a function is, as the text that functions take.
    pub(super) fn interval_as_text(&self, arg: &ast::Expr, depth: usize) -> Result<Option<Expr>> {
        match self.interval_of(arg, depth)? {
            None => Ok(None),
            Some(Length { interval, times: None }) => Ok(Some(lit(interval.to_string()))),
            Some(_) => Err(self
                .unsupported("an interval of so many as an argument", arg.span())
                .hint("it may stand behind `+` or `-`: d + interval (n) day")),
        }
    }
}

/// The date at so many microseconds since 1970.
fn date_at(micros: i64) -> Result<i32> {
    i32::try_from(micros.div_euclid(DAY_MICROS)).map_err(|_| Error::internal("a clock beyond all dates"))
}

/// The expression of a text that was read at `micros`, in which `current_date` and its like stand for that time, as they may without
/// parentheses; not where something is called so.
pub(super) fn with_present(expr: &Expr, micros: i64, is_called_so: &dyn Fn(&str) -> bool) -> Result<Expr> {
    expr.replace(&mut |part| {
        let Expr::Column(name) = part else { return Ok(None) };
        let is = |own: &str| name.eq_ignore_ascii_case(own) && !is_called_so(own);
        if is("current_date") {
            return Ok(Some(Expr::Literal(Literal::Date(date_at(micros)?))));
        }
        let is_time = is("current_timestamp") || is("localtimestamp");
        Ok(is_time.then(|| Expr::Literal(Literal::Timestamp(micros))))
    })
}

/// The text that stands in quotes.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text),
        _ => None,
    }
}
