//! Comparisons of rows: `(a, b) = (c, d)` and `(a, b) in ((1, 2), …)`.

use super::convert::Converter;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{BinaryOp, Expr};
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;

/// Values of a row that is less or greater than another, at most: the comparison is as deep.
const MOST_ORDERED: usize = 32;

pub(super) fn compared(left: Expr, op: BinaryOp, right: Expr) -> Expr {
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
        let pairs = self.pairs(&self.values(ours, depth)?, theirs, tree.span(), depth)?;
        let equal = |(ours, theirs): &(Expr, Expr)| compared(ours.clone(), BinaryOp::Eq, theirs.clone());
        let all_equal = || Expr::folded(pairs.iter().map(equal).collect(), BinaryOp::And);
        let strict = match op {
            BinaryOp::Eq => return Ok(all_equal()),
            BinaryOp::NotEq => return Ok(all_equal().map(Expr::not)),
            BinaryOp::Lt | BinaryOp::LtEq => BinaryOp::Lt,
            BinaryOp::Gt | BinaryOp::GtEq => BinaryOp::Gt,
            _ => {
                let error = self.unsupported("this operator between rows", tree.span());
                return Err(error.hint("rows are compared with = <> < <= > >="));
            }
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
        let (row, mut found) = (self.values(row, depth)?, Vec::with_capacity(list.len()));
        for item in list {
            let Some(values) = values_of(item) else { return Err(self.no_row(item)) };
            let pairs = self.pairs(&row, values, item.span(), depth)?;
            let equal = pairs.into_iter().map(|(ours, theirs)| compared(ours, BinaryOp::Eq, theirs)).collect();
            found.extend(Expr::folded(equal, BinaryOp::And));
        }
        Expr::folded(found, BinaryOp::Or).ok_or_else(|| self.error(ErrorKind::Syntax, "a list without rows", span))
    }

    fn values(&self, row: &[ast::Expr], depth: usize) -> Result<Vec<Expr>> {
        row.iter().map(|value| self.convert(value, depth)).collect()
    }

    fn pairs(&self, ours: &[Expr], theirs: &[ast::Expr], span: Span, depth: usize) -> Result<Vec<(Expr, Expr)>> {
        if ours.len() != theirs.len() || ours.is_empty() {
            let message = format!("rows of {} and of {} values are compared", ours.len(), theirs.len());
            return Err(self.error(ErrorKind::Type, message, span).hint("each value is compared with one"));
        }
        let pair = |(ours, theirs): (&Expr, _)| Ok((ours.clone(), self.convert(theirs, depth)?));
        ours.iter().zip(theirs).map(pair).collect()
    }

    fn no_row(&self, other: &ast::Expr) -> Error {
        let error = self.error(ErrorKind::Type, "a row is compared with what is none", other.span());
        error.hint("a row is its values in parentheses: (a, b) = (1, 2), (a, b) in ((1, 2), (3, 4))")
    }
}
