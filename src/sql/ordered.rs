//! `order by` inside of aggregates, and `within group`.

use super::convert::Converter;
use crate::aggregate::{Aggregate, Constant, Ordered, Unique, find_with};
use crate::error::{ErrorKind, Result};
use crate::expr::{AggregateCall, Expr, Literal};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArgumentClause, OrderByExpr, OrderBySort, Spanned};
use std::sync::Arc;

impl Converter<'_> {
    /// What the rows of a call are ordered by.
    pub(super) fn order_of<'a>(&self, call: &'a ast::Function, tree: &ast::Expr) -> Result<Vec<&'a OrderByExpr>> {
        let ast::FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
        let mut order: Vec<&OrderByExpr> = call.within_group.iter().collect();
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) if order.is_empty() => order.extend(keys),
                FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
                _ => {
                    let error = self.unsupported("a clause after the arguments of a function", tree.span());
                    return Err(error.hint("`order by` may stand there, and `filter (where …)` behind the parenthesis"));
                }
            }
        }
        Ok(order)
    }

    /// A call whose rows come in an order; where that does not matter, it is left out.
    pub(super) fn ordered(
        &self,
        aggregate: Arc<dyn Aggregate>,
        mut args: Vec<Expr>,
        order: &[&OrderByExpr],
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<Expr> {
        if order.is_empty() || !aggregate.order_sensitive() {
            return Ok(Expr::Aggregate(AggregateCall { aggregate, args }));
        }
        let mut descending = Vec::with_capacity(order.len());
        for key in order {
            let expr = self.convert(&key.expr, depth)?;
            if expr.contains_aggregate() {
                return Err(self.error(ErrorKind::Syntax, "an aggregate inside another one", key.span()));
            }
            if key.options.nulls_first == Some(true) {
                args.push(expr.clone().is_null());
                descending.push(true);
            }
            args.push(expr);
            descending.push(match key.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(_) => {
                    return Err(self
                        .unsupported("`order by … using`", key.span())
                        .hint("`asc` and `desc` say which way"));
                }
            });
        }
        let ordered = self.placed(Ordered::new(aggregate, descending), ident.span)?;
        Ok(Expr::Aggregate(AggregateCall { aggregate: Arc::new(ordered), args }))
    }

    /// A call over different values, which come in ascending order.
    pub(super) fn of_different(
        &self,
        aggregate: Arc<dyn Aggregate>,
        args: Vec<Expr>,
        order: &[&OrderByExpr],
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<Expr> {
        for key in order.iter().filter(|_| aggregate.order_sensitive()) {
            // A `filter` stands around the value.
            let own = match args.first() {
                Some(Expr::Case { branches, otherwise: None }) if branches.len() == 1 => Some(&branches[0].1),
                other => other,
            };
            let written = self.convert(&key.expr, depth)?;
            let is_own = own == Some(&written) || args.first() == Some(&written);
            if !is_own || key.options.sort == Some(OrderBySort::Desc) {
                let what = "`order by` beside `distinct`, but for the values themselves, ascending,";
                let error = self.unsupported(what, key.span());
                return Err(error.hint("a query in `from` takes each value once: … from (select distinct x, y from t)"));
            }
        }
        let aggregate = Arc::new(self.placed(Unique::new(aggregate), ident.span)?);
        Ok(Expr::Aggregate(AggregateCall { aggregate, args }))
    }

    /// `percentile_cont(0.95) within group (order by x)`, `percentile_disc` and `mode()`: the aggregates that take what is ordered as
    /// their argument; `None` for another call.
    pub(super) fn of_ordered_set(
        &self,
        call: &ast::Function,
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<Option<Expr>> {
        let ast::FunctionArguments::List(list) = &call.args else { return Ok(None) };
        let names = [("percentile_cont", "quantile"), ("percentile_disc", "quantile_disc"), ("mode", "mode")];
        let known = names.iter().find(|(name, _)| ident.value.eq_ignore_ascii_case(name));
        let (Some((_, name)), [key]) = (known, call.within_group.as_slice()) else { return Ok(None) };
        let descends = key.options.sort == Some(OrderBySort::Desc);
        let wrong = || {
            self.error(ErrorKind::Type, format!("`{}` takes a share between 0 and 1", ident.value), ident.span)
                .hint("such as percentile_cont(0.95) within group (order by x), or quantile(x, 0.95)")
        };
        let mut constants = Vec::with_capacity(1);
        for arg in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else { return Err(wrong()) };
            let share = match self.convert(arg, depth)? {
                Expr::Literal(Literal::Float64(share)) => share,
                Expr::Literal(Literal::Int64(share)) => share as f64,
                _ => return Err(wrong()),
            };
            constants.push(Constant::Number(if descends && *name == "quantile" { 1.0 - share } else { share }));
        }
        if descends && *name == "quantile_disc" {
            let error = self.unsupported("`percentile_disc` of a descending order", ident.span);
            return Err(error.hint("`percentile_cont` has it, and of an ascending order `percentile_disc`, too"));
        }
        let aggregate = self.placed(find_with(name, 1, &constants), ident.span)?;
        let value = self.convert(&key.expr, depth)?;
        let value = match call.filter.as_deref() {
            None => value,
            Some(only) => Expr::Case { branches: vec![(self.convert(only, depth)?, value)], otherwise: None },
        };
        Ok(Some(Expr::Aggregate(AggregateCall { aggregate, args: vec![value] })))
    }
}
