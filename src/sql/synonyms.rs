//! Functions that say in one word what others say: `concat`, `if`, `left`, `last_day`.

use super::formats::as_strftime;
use crate::expr::{BinaryOp, Expr, Function, Interval, Literal, coalesce, lit, when};
use crate::types::ColumnType;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Ident};

/// `left || right`.
fn joined(left: Expr, right: Expr) -> Expr {
    Expr::Binary { left: Box::new(left), op: BinaryOp::Concat, right: Box::new(right) }
}

/// Texts that are joined in a row, so that it reads as it is written; more are joined as a tree, which is not as deep.
const IN_A_ROW: usize = 16;

/// All texts, one behind the other; `None` for none.
fn all_joined(texts: Vec<Expr>) -> Option<Expr> {
    match texts.len() {
        ..=IN_A_ROW => texts.into_iter().reduce(joined),
        _ => Expr::folded(texts, BinaryOp::Concat),
    }
}

/// What is wrong with a call of a function that is written for others and has other arguments; `None` for other names.
pub(super) fn takes(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "if" | "iif" | "iff" | "ifelse" | "if_else" => "takes a condition and two values",
        "left" | "right" => "takes a text and a constant number of characters",
        "concat" => "takes one text or more",
        "concat_ws" => "takes a separator and one text or more",
        "mod" => "takes two numbers",
        "trunc" => "takes one number",
        "nvl2" => "takes a value, what stands for it where it is there, and what does where it is missing",
        "date" | "last_day" | "eomonth" | "dayname" | "monthname" => "takes a date",
        _ => return None,
    })
}

/// Units that stand first in functions of dates, as whole words: letters mean one thing here and another there.
const UNITS: [&str; 16] = [
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "dayofyear",
    "doy",
    "isodow",
    "dow",
    "epoch",
    "decade",
];

/// Whether the first of the arguments of a function is a unit, which others write without quotes.
pub(super) fn takes_unit(name: &str, args: &[FunctionArg]) -> bool {
    let is_any = |names: &[&str]| names.iter().any(|own| name.eq_ignore_ascii_case(own));
    // `date_add(day, '1 month', n)` is how an interval of so many is written.
    let is_interval = |arg: &FunctionArg| {
        matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Interval(_))))
            || arg.to_string().starts_with('\'')
    };
    let by_interval = || is_any(&["date_add"]) && is_interval(&args[1]);
    match args.len() {
        2 => is_any(&["date_part", "datepart", "date_trunc", "datetrunc"]),
        3 => {
            is_any(&["dateadd", "date_add", "timestampadd", "datediff", "date_diff", "timestampdiff"]) && !by_interval()
        }
        _ => false,
    }
}

/// Whether a name is that of a unit.
pub(super) fn is_unit_word(name: &Ident) -> bool {
    name.quote_style.is_none() && is_unit(&name.value)
}

fn is_unit(word: &str) -> bool {
    let lower = word.to_lowercase();
    UNITS.contains(&lower.as_str()) || lower.strip_suffix('s').is_some_and(|one| UNITS[..10].contains(&one))
}

/// `dateadd(unit, n, date)`, in which the unit stands first, and `datediff(later, earlier)`, which counts days; `None` for other calls.
pub(super) fn of_dates(name: &str, args: &[Expr]) -> Option<Expr> {
    if let ([later, earlier], true) = (args, name.eq_ignore_ascii_case("datediff")) {
        let args = vec![lit("day"), earlier.clone(), later.clone()];
        return Some(Expr::Function { function: Function::DateDiff, args });
    }
    let [Expr::Literal(Literal::Utf8(unit)), times, date] = args else { return None };
    let is_it = ["dateadd", "date_add", "timestampadd"].iter().any(|own| name.eq_ignore_ascii_case(own));
    if !is_it || !is_unit(unit) || Interval::parse("1", Some(unit)).is_none() {
        return None;
    }
    let args = match times {
        Expr::Literal(Literal::Int64(times)) => vec![date.clone(), lit(format!("{times} {unit}"))],
        times => vec![date.clone(), lit(format!("1 {unit}")), times.clone()],
    };
    Some(Expr::Function { function: Function::DateAdd, args })
}

/// What a call of such a function stands for; `None` for others, and for a wrong number of arguments.
pub(super) fn rewritten(name: &str, args: &[Expr]) -> Option<Expr> {
    let call = |function, args: Vec<Expr>| Expr::Function { function, args };
    match (name.to_lowercase().as_str(), args) {
        ("concat", args @ [_, ..]) => {
            // Missing texts are empty here, and only here.
            let text = |arg: &Expr| match arg {
                Expr::Literal(Literal::Utf8(_)) => arg.clone(),
                other => coalesce([other.clone().cast(ColumnType::Utf8), lit("")]),
            };
            all_joined(args.iter().map(text).collect())
        }
        ("concat_ws", [separator, args @ ..]) => {
            // What is missing is left out, and its separator with it.
            let part = |arg: &Expr| {
                let text = arg.clone().cast(ColumnType::Utf8);
                coalesce([joined(separator.clone(), text), lit("")])
            };
            let all = all_joined(args.iter().map(part).collect())?;
            let start = call(Function::Length, vec![separator.clone()]) + lit(1);
            Some(call(Function::Substring, vec![all, start]))
        }
        ("if" | "iif" | "iff" | "ifelse" | "if_else", [condition, yes, no]) => {
            Some(Expr::Case { branches: vec![(condition.clone(), yes.clone())], otherwise: Some(Box::new(no.clone())) })
        }
        ("left", [text, Expr::Literal(Literal::Int64(count @ 0..))]) => {
            Some(call(Function::Substring, vec![text.clone(), lit(1), lit(*count)]))
        }
        // All but the last so many characters, and all but the first, as in DuckDB.
        ("left", [text, Expr::Literal(Literal::Int64(count))]) => {
            let kept = call(Function::Length, vec![text.clone()]) + lit(*count);
            Some(call(Function::Substring, vec![text.clone(), lit(1), kept]))
        }
        ("right", [text, Expr::Literal(Literal::Int64(count @ ..0))]) => {
            Some(call(Function::Substring, vec![text.clone(), lit(1_i64.saturating_sub(*count))]))
        }
        ("right", [text, Expr::Literal(Literal::Int64(count @ 0..))]) => {
            let start = call(Function::Length, vec![text.clone()]) - lit(*count) + lit(1);
            let start = call(Function::Greatest, vec![start, lit(1)]);
            Some(call(Function::Substring, vec![text.clone(), start]))
        }
        ("mod", [a, b]) => {
            // `%` has the sign of `b`; SQL's function that of `a`.
            let rest = a.clone() % b.clone();
            let differs = a.clone().lt(0).not_eq(b.clone().lt(0)).and(rest.clone().not_eq(0));
            Some(when(differs).then(rest.clone() - b.clone()).otherwise(rest))
        }
        ("trunc", [x]) => {
            let (up, down) = (call(Function::Ceil, vec![x.clone()]), call(Function::Floor, vec![x.clone()]));
            Some(when(x.clone().lt(0)).then(up).otherwise(down))
        }
        ("isnull" | "nvl" | "zn", [value, other]) => Some(coalesce([value.clone(), other.clone()])),
        ("nvl2", [value, there, missing]) => {
            Some(when(value.clone().is_not_null()).then(there.clone()).otherwise(missing.clone()))
        }
        // The part comes first.
        ("charindex" | "locate", [part, text]) => Some(call(Function::Position, vec![text.clone(), part.clone()])),
        ("date", [value]) => Some(value.clone().cast(ColumnType::Date)),
        ("last_day" | "eomonth", [date]) => {
            let first = call(Function::DateTrunc, vec![lit("month"), date.clone()]);
            Some(call(Function::DateAdd, vec![first, lit("1 month -1 day")]))
        }
        (name @ ("to_char" | "date_format"), [date, Expr::Literal(Literal::Utf8(format))]) => {
            Some(call(Function::Strftime, vec![date.clone(), lit(as_strftime(name, format)?)]))
        }
        ("dayname", [date]) => Some(call(Function::Strftime, vec![date.clone(), lit("%A")])),
        ("monthname", [date]) => Some(call(Function::Strftime, vec![date.clone(), lit("%B")])),
        _ => None,
    }
}
