//! `ols(y, x1, x2, weights => w, intercept => false)`, `ols('y ~ x1 + x2 - 1')` and `ols(y, x).r_squared`, likewise `logistic` and
//! `poisson`; and matrices of covariances.

use super::chained::chained;
use super::convert::Converter;
use super::formula::Formula;
use crate::aggregate::{Aggregate, Family, Glm, GlmMeasure, Matrix, Measure, Ols, Pca};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, BinaryOp, Expr, Function, Literal};
use crate::types::ColumnType;
use arrow::datatypes::Schema;
use sqlparser::ast::{self, AccessExpr, FunctionArg, FunctionArgExpr, Spanned};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is written behind the regressors of a model.
#[derive(Default)]
struct Options {
    intercept: Option<bool>,
    weights: Option<Expr>,
    /// The regressors of each term, by number.
    terms: Option<Vec<Vec<usize>>>,
}

/// A regression by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Regression {
    Linear,
    Generalized(Family),
}

impl Regression {
    /// The names.
    pub(super) const NAMES: [&str; 4] = ["ols", "logistic", "logit", "poisson"];

    /// The regression that users call `name`.
    pub(super) fn find(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "ols" => Some(Regression::Linear),
            "logit" => Some(Regression::Generalized(Family::Logistic)),
            other => Family::find(other).map(Regression::Generalized),
        }
    }

    /// The aggregate that fits a model.
    fn of(self, model: Ols) -> Arc<dyn Aggregate> {
        match self {
            Regression::Linear => Arc::new(model),
            Regression::Generalized(family) => Arc::new(Glm::new(model, family)),
        }
    }

    /// The aggregate that tells of a fit what is called `measure`.
    fn measure(self, model: Ols, measure: &str) -> Result<Arc<dyn Aggregate>> {
        Ok(match self {
            Regression::Linear => Arc::new(model.measure(Measure::find(measure)?)),
            Regression::Generalized(family) => Arc::new(Glm::new(model, family).measure(GlmMeasure::find(measure)?)),
        })
    }
}

impl Converter<'_> {
    /// A fit of the first argument by the others, whose texts name its terms.
    pub(super) fn fit(
        &self,
        regression: Regression,
        list: &[FunctionArg],
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<Expr> {
        self.model(list, ident, depth).map(|(model, args)| call(regression.of(model), args))
    }

    /// A model and its columns.
    fn model(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<(Ols, Vec<Expr>)> {
        let (mut args, mut options) = (Vec::with_capacity(list.len()), Options::default());
        for arg in list {
            match arg {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                    let expr = self.convert(value, depth)?;
                    if !options.take(&name.value, expr.clone()) {
                        let message = match name.value.to_lowercase().as_str() {
                            "intercept" => format!("`intercept` is true or false, not `{expr}`"),
                            _ => takes(ident),
                        };
                        return Err(self.error(ErrorKind::Type, message, value.span()));
                    }
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => args.push(Expr::Wildcard),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => {
                    let expr = self.convert(value, depth)?;
                    let (name, value) = match as_option(&expr) {
                        Some(option) => option,
                        None => {
                            args.push(expr);
                            continue;
                        }
                    };
                    if !options.take(&name, value) {
                        args.push(expr);
                    }
                }
                other => {
                    return Err(self.error(ErrorKind::Syntax, takes(ident), other.span()));
                }
            }
        }
        let Options { intercept, weights, terms } = options;
        let (mut model, mut args) = match args.as_slice() {
            [Expr::Literal(Literal::Utf8(text))] => {
                let formula = Formula::parse(text).map_err(|error| self.in_formula(error, text, &list[0]))?;
                let names: Vec<String> = formula.regressors.iter().map(ToString::to_string).collect();
                let args = std::iter::once(formula.response).chain(formula.regressors).collect();
                let model = Ols::new(names, intercept.unwrap_or(true) && formula.intercept);
                let without = formula.without.iter().map(ToString::to_string);
                (model.terms(formula.terms)?.without(without), args)
            }
            [] | [_] if args.is_empty() || intercept == Some(false) => {
                let name = ident.value.to_lowercase();
                let message = format!("`{name}` takes a response and what it is regressed on");
                return Err(self
                    .error(ErrorKind::Type, message, ident.span)
                    .hint(format!("such as {name}(ArrDelay, DepDelay, Distance)")));
            }
            _ => (Ols::new(args[1..].iter().map(|term| term.to_string()), intercept.unwrap_or(true)), args),
        };
        if let Some(terms) = terms {
            let at = |error: Error| error.underline(&self.words.text, self.bytes(ident.span));
            model = model.terms(terms).map_err(at)?;
        }
        if let Some(weights) = weights {
            model = model.weighted();
            args.push(weights);
        }
        Ok((model, args))
    }

    /// What a fit predicts for a row, or how far the response is from that.
    pub(super) fn prediction(
        &self,
        list: &[FunctionArg],
        ident: &ast::Ident,
        residual: bool,
        depth: usize,
    ) -> Result<Expr> {
        let fit = match list {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Function(fit)))] => Some(fit),
            _ => None,
        };
        let parts = fit.and_then(|fit| match (fit.name.0.as_slice(), &fit.args) {
            ([ast::ObjectNamePart::Identifier(name)], ast::FunctionArguments::List(list)) => {
                Some((Regression::find(&name.value)?, name, list))
            }
            _ => None,
        });
        let Some((regression, name, list)) = parts else {
            let message = format!("`{}` takes a fit", ident.value.to_lowercase());
            return Err(self
                .error(ErrorKind::Type, message, ident.span)
                .hint("such as ArrDelay, predicted(ols(ArrDelay, DepDelay)) by UniqueCarrier"));
        };
        let (model, args) = self.model(&list.args, name, depth)?;
        let response = match regression {
            Regression::Linear => args[0].clone(),
            // Mostly a condition.
            Regression::Generalized(_) => args[0].clone().cast(ColumnType::Float64),
        };
        let predicted = prediction(AggregateCall { aggregate: regression.measure(model, "model")?, args });
        Ok(if residual { response - predicted } else { predicted })
    }

    /// The error of a formula that is the argument `arg`, with its place in the question.
    fn in_formula(&self, error: Error, formula: &str, arg: &FunctionArg) -> Error {
        let whole = self.bytes(arg.span());
        let start = whole.start + 1;
        let place = error.underlined().map(|underline| start + underline.range.start..start + underline.range.end);
        // Not where quotes in the formula are doubled.
        let is_verbatim = self.words.text.get(start..).is_some_and(|rest| rest.starts_with(formula));
        error.underline(&self.words.text, place.filter(|_| is_verbatim).unwrap_or(whole))
    }

    /// Covariances or correlations of columns, whose texts name them.
    pub(super) fn matrix(
        &self,
        list: &[FunctionArg],
        ident: &ast::Ident,
        correlation: bool,
        depth: usize,
    ) -> Result<Expr> {
        let mut args = Vec::with_capacity(list.len());
        for arg in list {
            args.push(match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => self.convert(value, depth)?,
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Expr::Wildcard,
                _ => {
                    let message = format!("`{}` takes columns", ident.value);
                    return Err(self.error(ErrorKind::Syntax, message, arg.span()));
                }
            });
        }
        let matrix = Matrix::new(args.iter().map(|arg| arg.output_name()), correlation);
        let matrix = matrix.map_err(|error| error.underline(&self.words.text, self.bytes(ident.span)))?;
        Ok(Expr::Aggregate(AggregateCall { aggregate: Arc::new(matrix), args }))
    }

    /// Principal components of columns, whose texts name them; `scale => true` scales these.
    pub(super) fn components(&self, list: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<Expr> {
        let (mut args, mut scaled) = (Vec::with_capacity(list.len()), false);
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => args.push(self.convert(value, depth)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => args.push(Expr::Wildcard),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
                    if name.value.eq_ignore_ascii_case("scale") =>
                {
                    scaled = match self.convert(value, depth)? {
                        Expr::Literal(Literal::Boolean(scaled)) => scaled,
                        other => {
                            let message = format!("`scale` is true or false, not `{other}`");
                            return Err(self.error(ErrorKind::Type, message, value.span()));
                        }
                    };
                }
                _ => {
                    let message = "`pca` takes columns and `scale => true`".to_owned();
                    return Err(self.error(ErrorKind::Syntax, message, arg.span()));
                }
            }
        }
        if args.is_empty() {
            let error = self.error(ErrorKind::Type, "`pca` takes columns".to_owned(), ident.span);
            return Err(error.hint("such as pca(ArrDelay, DepDelay, Distance, scale => true)"));
        }
        let components = Pca::new(args.iter().map(|arg| arg.output_name()), scaled);
        let components = components.map_err(|error| error.underline(&self.words.text, self.bytes(ident.span)))?;
        Ok(call(Arc::new(components), args))
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
            error.hint(chained(root, chain).unwrap_or_else(|| "only fits have such: ols(y, x).r_squared".to_owned()))
        };
        let ([AccessExpr::Dot(ast::Expr::Identifier(name))], ast::Expr::Function(fit)) = (chain, root) else {
            return Err(unsupported());
        };
        let ([ast::ObjectNamePart::Identifier(ident)], ast::FunctionArguments::List(list)) =
            (fit.name.0.as_slice(), &fit.args)
        else {
            return Err(unsupported());
        };
        let Some(regression) = Regression::find(&ident.value) else { return Err(unsupported()) };
        let (model, args) = self.model(&list.args, ident, depth)?;
        let told = regression.measure(model, &name.value);
        let told = told.map_err(|error| error.underline(&self.words.text, self.bytes(name.span)))?;
        Ok(call(told, args))
    }
}

fn call(aggregate: Arc<dyn Aggregate>, args: Vec<Expr>) -> Expr {
    Expr::Aggregate(AggregateCall { aggregate, args })
}

fn takes(ident: &ast::Ident) -> String {
    let name = ident.value.to_lowercase();
    format!("`{name}` takes a response, regressors, `weights => w` and `intercept => false`")
}

/// What the model that an aggregate makes predicts from its regressors.
fn prediction(model: AggregateCall) -> Expr {
    let is_regressor = |at: &usize| model.aggregate.argument_name(*at).is_none();
    let regressors = (1..model.args.len()).filter(is_regressor).map(|at| model.args[at].clone());
    let regressors: Vec<Expr> = regressors.collect();
    let args = std::iter::once(Expr::Aggregate(model)).chain(regressors).collect();
    Expr::Function { function: Function::Predict, args }
}

impl Options {
    /// Takes the option called `name`; whether there is one that may be `value`.
    fn take(&mut self, name: &str, value: Expr) -> bool {
        match (name.to_lowercase().as_str(), value) {
            ("intercept", Expr::Literal(Literal::Boolean(wanted))) => self.intercept = Some(wanted),
            ("weights", value) => self.weights = Some(value),
            ("terms", Expr::Literal(Literal::Utf8(text))) => match terms(&text) {
                Some(terms) => self.terms = Some(terms),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

/// Terms by the numbers of their regressors, from 1: `1 + 2 + 1:2`.
fn terms(text: &str) -> Option<Vec<Vec<usize>>> {
    let number = |part: &str| part.trim().parse::<usize>().ok()?.checked_sub(1);
    text.split('+').map(|term| term.split(':').map(number).collect()).collect()
}

/// What `intercept = false` or `weights = w`, which read as comparisons, say.
fn as_option(expr: &Expr) -> Option<(String, Expr)> {
    let Expr::Binary { left, op: BinaryOp::Eq, right } = expr else { return None };
    match (&**left, &**right) {
        (Expr::Column(name), value @ Expr::Literal(Literal::Boolean(_))) if name.eq_ignore_ascii_case("intercept") => {
            Some((name.to_string(), value.clone()))
        }
        (Expr::Column(name), value) if name.eq_ignore_ascii_case("weights") && !matches!(value, Expr::Literal(_)) => {
            Some((name.to_string(), value.clone()))
        }
        _ => None,
    }
}

/// An expression with all columns in place of `*` in aggregates that take it, but for those of the first argument before it
/// and those of `keys`, which do not vary in a group.
pub(super) fn expand_columns(expr: &Expr, schema: &Schema, keys: &BTreeSet<Arc<str>>) -> Result<Expr> {
    expr.replace(&mut |part| {
        if let Expr::Function { function: Function::Predict, args } = part
            && let Expr::Aggregate(AggregateCall { args: own, .. }) = &args[0]
            && own.contains(&Expr::Wildcard)
        {
            return Ok(match expand_columns(&args[0], schema, keys)? {
                Expr::Aggregate(model) => Some(prediction(model)),
                _ => None,
            });
        }
        let Expr::Aggregate(AggregateCall { aggregate, args }) = part else { return Ok(None) };
        let Some(at) = args.iter().position(|arg| *arg == Expr::Wildcard) else { return Ok(None) };
        let taken = if at == 0 { BTreeSet::new() } else { args[0].columns() };
        let is_other = |name: &str| !taken.contains(name) && !keys.contains(name);
        let fields = schema.fields().iter().filter(|field| is_other(field.name()));
        let columns: Vec<_> =
            fields.map(|field| (Arc::from(field.name().as_str()), field.data_type().clone())).collect();
        let Some((aggregate, chosen)) = aggregate.over_columns(at, &columns) else { return Ok(None) };
        let mut args = args.clone();
        args.splice(at..=at, chosen.into_iter().map(|column| Expr::Column(Arc::clone(&columns[column].0))));
        Ok(Some(Expr::Aggregate(AggregateCall { aggregate, args })))
    })
}
