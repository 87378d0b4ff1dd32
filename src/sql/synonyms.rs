//! Functions that say in one word what others say: `concat`, `if`, `left`, `last_day`.

use crate::expr::{BinaryOp, Expr, Function, Literal, coalesce, lit, when};
use crate::types::ColumnType;

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
        ("if" | "iif" | "ifelse" | "if_else", [condition, yes, no]) => {
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
        ("last_day", [date]) => {
            let first = call(Function::DateTrunc, vec![lit("month"), date.clone()]);
            Some(call(Function::DateAdd, vec![first, lit("1 month -1 day")]))
        }
        ("dayname", [date]) => Some(call(Function::Strftime, vec![date.clone(), lit("%A")])),
        ("monthname", [date]) => Some(call(Function::Strftime, vec![date.clone(), lit("%B")])),
        _ => None,
    }
}
