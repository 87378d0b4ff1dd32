//! Aggregates that are told more by their arguments than values: `bootstrap(mean(x), 1000)`, `crossprod(x, y)`.

use super::convert::Converter;
use crate::aggregate::Crossprod;
use crate::error::{ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, Literal};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Spanned};
use std::sync::Arc;

impl Converter<'_> {
    /// Sums of products of columns, which are called as they are written.
    pub(super) fn crossprod(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<Expr> {
        let mut args = Vec::with_capacity(list.len());
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(self.convert(arg, depth)?),
                _ => return Err(self.error(ErrorKind::Type, "`crossprod` takes columns".to_owned(), arg.span())),
            }
        }
        if args.is_empty() {
            let error = self.error(ErrorKind::Type, "`crossprod` takes columns".to_owned(), ident.span);
            return Err(error.hint("such as crossprod(1, x, y), whose first row has the number of rows and sums"));
        }
        let aggregate = Arc::new(Crossprod::new(args.iter().map(ToString::to_string)));
        Ok(Expr::Aggregate(AggregateCall { aggregate, args }))
    }

    /// Replicates of the aggregate that is the first argument.
    pub(super) fn bootstrap(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<Expr> {
        let wrong = || {
            let message = "`bootstrap` takes an aggregate, a number of replicates and, if so wanted, a seed".to_owned();
            self.error(ErrorKind::Type, message, ident.span)
                .hint("such as bootstrap(mean(x), 1000) or bootstrap(mean(x), 1000, 7)")
        };
        let mut args = Vec::with_capacity(list.len());
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(self.convert(arg, depth)?),
                _ => return Err(wrong()),
            }
        }
        let whole = |expr: &Expr| match expr {
            Expr::Literal(Literal::Int64(number)) => Some(*number),
            _ => None,
        };
        let (aggregate, replicates, seed) = match args.as_slice() {
            [aggregate, replicates] => (aggregate, whole(replicates), Some(0)),
            [aggregate, replicates, seed] => (aggregate, whole(replicates), whole(seed)),
            _ => return Err(wrong()),
        };
        let replicates = replicates.and_then(|replicates| u32::try_from(replicates).ok()).ok_or_else(wrong)?;
        let seed = seed.and_then(|seed| u64::try_from(seed).ok()).ok_or_else(wrong)?;
        let made = aggregate.clone().bootstrap(replicates, seed);
        made.map_err(|error| error.underline(&self.words.text, self.bytes(list[0].span())))
    }
}
