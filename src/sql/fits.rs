//! `ols(y, x1, x2, intercept => false)`, `ols('y ~ x1 + x2 - 1')` and `ols(y, x).r_squared`.

use super::convert::Converter;
use super::formula::Formula;
use crate::aggregate::{Measure, Ols};
use crate::error::{ErrorKind, Result};
use crate::expr::{AggregateCall, BinaryOp, Expr, Literal};
use sqlparser::ast::{self, AccessExpr, FunctionArg, FunctionArgExpr, Spanned};
use std::sync::Arc;

impl Converter<'_> {
    /// A fit of the first argument by the others, whose texts name its terms.
    pub(super) fn fit(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<Expr> {
        self.model(list, ident, depth).map(|(model, args)| call(model, args))
    }

    /// A model and its columns.
    fn model(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<(Ols, Vec<Expr>)> {
        let (mut args, mut intercept) = (Vec::with_capacity(list.len()), true);
        for arg in list {
            match arg {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
                    if name.value.eq_ignore_ascii_case("intercept") =>
                {
                    match self.convert(value, depth)? {
                        Expr::Literal(Literal::Boolean(wanted)) => intercept = wanted,
                        other => {
                            let message = format!("`intercept` is true or false, not `{other}`");
                            return Err(self.error(ErrorKind::Type, message, value.span()));
                        }
                    }
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => match self.convert(value, depth)? {
                    expr if intercept_of(&expr).is_some() => intercept = intercept_of(&expr) == Some(true),
                    expr => args.push(expr),
                },
                other => {
                    let message = "`ols` takes a response, regressors, and `intercept => false`".to_owned();
                    return Err(self.error(ErrorKind::Syntax, message, other.span()));
                }
            }
        }
        if let [Expr::Literal(Literal::Utf8(formula))] = args.as_slice() {
            let formula = Formula::parse(formula);
            let formula = formula.map_err(|error| error.underline(&self.words.text, self.bytes(list[0].span())))?;
            let names: Vec<String> = formula.terms.iter().map(ToString::to_string).collect();
            let args = std::iter::once(formula.response).chain(formula.terms).collect();
            return Ok((Ols::new(names, intercept && formula.intercept), args));
        }
        if args.is_empty() || (args.len() == 1 && !intercept) {
            let message = "`ols` takes a response and what it is regressed on".to_owned();
            return Err(self
                .error(ErrorKind::Type, message, ident.span)
                .hint("such as ols(ArrDelay, DepDelay, Distance)"));
        }
        let terms = args[1..].iter().map(|term| term.to_string());
        Ok((Ols::new(terms, intercept), args))
    }

    /// A measure of a fit, behind a dot.
    pub(super) fn measure_of_fit(
        &self,
        root: &ast::Expr,
        chain: &[AccessExpr],
        tree: &ast::Expr,
        depth: usize,
    ) -> Result<Expr> {
        let unsupported = || {
            let error = self.unsupported("a part of a value, behind a dot or in brackets,", tree.span());
            error.hint("only fits have such: ols(y, x).r_squared")
        };
        let ([AccessExpr::Dot(ast::Expr::Identifier(name))], ast::Expr::Function(fit)) = (chain, root) else {
            return Err(unsupported());
        };
        let ([ast::ObjectNamePart::Identifier(ident)], ast::FunctionArguments::List(list)) =
            (fit.name.0.as_slice(), &fit.args)
        else {
            return Err(unsupported());
        };
        if !ident.value.eq_ignore_ascii_case("ols") {
            return Err(unsupported());
        }
        let measure =
            Measure::find(&name.value).map_err(|error| error.underline(&self.words.text, self.bytes(name.span)))?;
        let (model, args) = self.model(&list.args, ident, depth)?;
        Ok(call(model.measure(measure), args))
    }
}

fn call(model: Ols, args: Vec<Expr>) -> Expr {
    Expr::Aggregate(AggregateCall { aggregate: Arc::new(model), args })
}

/// What `intercept = false`, which reads as a comparison, says.
fn intercept_of(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Binary { left, op: BinaryOp::Eq, right } => match (&**left, &**right) {
            (Expr::Column(name), Expr::Literal(Literal::Boolean(wanted))) if name.eq_ignore_ascii_case("intercept") => {
                Some(*wanted)
            }
            _ => None,
        },
        _ => None,
    }
}
