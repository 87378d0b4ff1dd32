//! Comparisons of a value with several: `x > all (…)`, `x = any (…)`.

use super::convert::Converter;
use super::rows::{compared, values_of};
use crate::error::Result;
use crate::expr::{BinaryOp, Expr, lit};
use sqlparser::ast::{self, BinaryOperator, Spanned};

/// How a value is compared with several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantified {
    op: BinaryOp,
    /// With all of them, and not with any.
    pub(super) all: bool,
}

impl Quantified {
    /// Whether it asks for a value that is among the others, or for one that is not; `None` for other comparisons.
    pub(super) fn is_membership(self) -> Option<bool> {
        match (self.op, self.all) {
            (BinaryOp::Eq, false) => Some(true),
            (BinaryOp::NotEq, true) => Some(false),
            _ => None,
        }
    }

    /// What the least and the greatest of the values tell of the comparison.
    pub(super) fn of_extremes(self, value: &Expr, least: &Expr, greatest: &Expr) -> Expr {
        let with = |other: &Expr| compared(value.clone(), self.op, other.clone());
        match (self.op, self.all) {
            (BinaryOp::Eq, _) => with(least).and(with(greatest)),
            (BinaryOp::NotEq, _) => with(least).or(with(greatest)),
            (BinaryOp::Gt | BinaryOp::GtEq, false) | (BinaryOp::Lt | BinaryOp::LtEq, true) => with(least),
            _ => with(greatest),
        }
    }
}

impl Converter<'_> {
    /// `x > any (…)` and `x > all (…)`, of a query or of a list.
    pub(super) fn quantified(
        &self,
        value: &ast::Expr,
        op: &BinaryOperator,
        set: &ast::Expr,
        all: bool,
        depth: usize,
    ) -> Result<Expr> {
        use BinaryOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        let word = if all { "all" } else { "any" };
        let how = match self.operator(op, value) {
            Ok(op @ (Eq | NotEq | Lt | LtEq | Gt | GtEq)) => Quantified { op, all },
            _ => {
                let error = self.unsupported(&format!("`{op}` before `{word}`"), value.span());
                return Err(error.hint("comparisons may stand there: = <> < <= > >="));
            }
        };
        let value = self.convert(value, depth)?;
        let items = match set {
            ast::Expr::Subquery(query) => {
                let Some(names) = self.names else { return Err(self.alone(set.span())) };
                return self.placed(names.compared(&value, how, query), set.span());
            }
            ast::Expr::Array(list) => &list.elem[..],
            other => match values_of(other) {
                Some(values) => values,
                None => {
                    let error =
                        self.unsupported(&format!("`{word}` of what is neither a query nor a list"), set.span());
                    return Err(error.hint(format!("write {word} (select …) or {word} (1, 2, 3)")));
                }
            },
        };
        let items = items.iter().map(|item| self.convert(item, depth)).collect::<Result<Vec<_>>>()?;
        match how.is_membership() {
            Some(is_member) if !items.is_empty() => {
                let found = Expr::InList { expr: Box::new(value), list: items };
                Ok(if is_member { found } else { found.not() })
            }
            _ => {
                let compared = items.into_iter().map(|item| compared(value.clone(), how.op, item)).collect();
                Ok(Expr::folded(compared, if all { BinaryOp::And } else { BinaryOp::Or }).unwrap_or_else(|| lit(all)))
            }
        }
    }
}
