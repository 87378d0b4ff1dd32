//! Comparisons of rows, `(a, b) = (c, d)` and `(a, b) in ((1, 2), …)`, and with several values, `x > all (…)`.

use super::convert::Converter;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{BinaryOp, Expr, lit};
use sqlparser::ast::{self, BinaryOperator, Spanned};
use sqlparser::tokenizer::Span;

/// Values of a row that is less or greater than another, at most: the comparison is as deep.
const MOST_ORDERED: usize = 32;

/// How a value is compared with several.
#[derive(Clone, Copy, Debug)]
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

fn compared(left: Expr, op: BinaryOp, right: Expr) -> Expr {
    Expr::Binary { left: Box::new(left), op, right: Box::new(right) }
}

/// The values of a row in parentheses; `None` for what is none.
pub(super) fn values_of(expr: &ast::Expr) -> Option<&[ast::Expr]> {
    match expr {
        ast::Expr::Tuple(values) => Some(values),
        ast::Expr::Nested(inner) => values_of(inner),
        _ => None,
    }
}

/// What an operator that may be asked in any grouping makes of all, as a tree whose depth hardly grows with their number.
pub(super) fn folded(exprs: Vec<Expr>, op: BinaryOp) -> Option<Expr> {
    let mut level = exprs;
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut pairs = level.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => compared(left, op, right),
                None => left,
            });
        }
        level = next;
    }
    level.pop()
}

impl Converter<'_> {
    /// A comparison of which one side is a row; `None` for others.
    pub(super) fn compared_rows(&self, tree: &ast::Expr, depth: usize) -> Result<Option<Expr>> {
        let ast::Expr::BinaryOp { left, op, right } = tree else { return Ok(None) };
        let (ours, theirs) = match (values_of(left), values_of(right)) {
            (None, None) => return Ok(None),
            (Some(ours), Some(theirs)) => (ours, theirs),
            (Some(_), None) => return Err(self.no_row(right)),
            (None, Some(_)) => return Err(self.no_row(left)),
        };
        let op = self.operator(op, tree)?;
        let pairs = self.pairs(ours, theirs, tree.span(), depth)?;
        let equal = |(ours, theirs): &(Expr, Expr)| compared(ours.clone(), BinaryOp::Eq, theirs.clone());
        let all_equal = || folded(pairs.iter().map(equal).collect(), BinaryOp::And);
        let strict = match op {
            BinaryOp::Eq => return Ok(all_equal()),
            BinaryOp::NotEq => return Ok(all_equal().map(Expr::not)),
            BinaryOp::Lt | BinaryOp::LtEq => BinaryOp::Lt,
            BinaryOp::Gt | BinaryOp::GtEq => BinaryOp::Gt,
            _ => return Err(self.unsupported("this operator between rows", tree.span())),
        };
        if pairs.len() > MOST_ORDERED {
            let message = format!("rows of {} values are compared by their order", pairs.len());
            let error = self.error(ErrorKind::Limit, message, tree.span());
            return Err(error.hint(format!("they may have {MOST_ORDERED} values")));
        }
        // By the first values that differ.
        let told = pairs.iter().rev().fold(None, |rest: Option<Expr>, (ours, theirs)| {
            Some(match rest {
                None => compared(ours.clone(), op, theirs.clone()),
                Some(rest) => {
                    let differs = compared(ours.clone(), strict, theirs.clone());
                    differs.or(compared(ours.clone(), BinaryOp::Eq, theirs.clone()).and(rest))
                }
            })
        });
        Ok(told)
    }

    /// Whether a row is one of a list of rows.
    pub(super) fn row_in_list(&self, row: &[ast::Expr], list: &[ast::Expr], span: Span, depth: usize) -> Result<Expr> {
        let mut found = Vec::with_capacity(list.len());
        for item in list {
            let Some(values) = values_of(item) else { return Err(self.no_row(item)) };
            let pairs = self.pairs(row, values, item.span(), depth)?;
            let equal = pairs.into_iter().map(|(ours, theirs)| compared(ours, BinaryOp::Eq, theirs)).collect();
            found.extend(folded(equal, BinaryOp::And));
        }
        folded(found, BinaryOp::Or).ok_or_else(|| self.error(ErrorKind::Syntax, "a list without rows", span))
    }

    fn pairs(&self, ours: &[ast::Expr], theirs: &[ast::Expr], span: Span, depth: usize) -> Result<Vec<(Expr, Expr)>> {
        if ours.len() != theirs.len() || ours.is_empty() {
            let message = format!("rows of {} and of {} values are compared", ours.len(), theirs.len());
            return Err(self.error(ErrorKind::Type, message, span).hint("each value is compared with one"));
        }
        let pair = |(ours, theirs)| Ok((self.convert(ours, depth)?, self.convert(theirs, depth)?));
        ours.iter().zip(theirs).map(pair).collect()
    }

    fn no_row(&self, other: &ast::Expr) -> Error {
        let error = self.error(ErrorKind::Type, "a row is compared with what is none", other.span());
        error.hint("a row is its values in parentheses: (a, b) = (1, 2), (a, b) in ((1, 2), (3, 4))")
    }

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
            _ => return Err(self.unsupported(&format!("`{op}` before `{word}`"), value.span())),
        };
        let value = self.convert(value, depth)?;
        let items = match set {
            ast::Expr::Subquery(query) => {
                let Some(names) = self.names else {
                    return Err(self.unsupported("a query inside a question", set.span()));
                };
                return self.placed(names.compared(&value, how, query), set.span());
            }
            ast::Expr::Array(list) => &list.elem[..],
            other => match values_of(other) {
                Some(values) => values,
                None => {
                    let error =
                        self.unsupported(&format!("`{word}` of what is neither a query nor a list"), set.span());
                    return Err(error.hint(format!("write {word} (select …) or {word} ([1, 2, 3])")));
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
                Ok(folded(compared, if all { BinaryOp::And } else { BinaryOp::Or }).unwrap_or_else(|| lit(all)))
            }
        }
    }
}
