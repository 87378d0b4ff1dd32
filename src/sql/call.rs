//! Calls of functions and aggregates: which one is meant, and what stands in its parentheses and behind them.

use super::chained::behind_dot;
use super::convert::Converter;
use super::fits::Regression;
use super::names::aggregate_names;
use super::over;
use super::patterns::Ends;
use super::synonyms::{is_unit_word, of_dates, rewritten, takes, takes_unit};
use crate::aggregate::{self, Constant};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::elsewhere::written_here;
use crate::expr::function::suggest;
use crate::expr::{Expr, Function, Literal, lit};
use crate::types::ColumnType;
use sqlparser::ast::{self, DuplicateTreatment, Spanned};
use sqlparser::ast::{
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, NullTreatment,
};
use sqlparser::tokenizer::Span;

/// Functions whose arguments are not just values, beside regressions.
const OWN_ARGUMENTS: [&str; 8] =
    ["crossprod", "pca", "bootstrap", "predicted", "residual", "residuals", "cov_matrix", "corr_matrix"];

impl Converter<'_> {
    pub(super) fn call(&self, call: &ast::Function, tree: &ast::Expr, depth: usize) -> Result<Expr> {
        let [ast::ObjectNamePart::Identifier(ident)] = call.name.0.as_slice() else {
            let error = self.unsupported("a function name with a dot", tree.span());
            return Err(error.hint(behind_dot(call)));
        };
        if let Some(now) = self.now(call, ident)? {
            return Ok(now);
        }
        if ident.value.eq_ignore_ascii_case("unnest") {
            let error = self.unsupported("`unnest`", ident.span);
            return Err(error.hint(written_here("unnest").unwrap_or_default()));
        }
        let FunctionArguments::List(list) = &call.args else { return Err(self.without_parentheses(ident)) };
        if let Some(over) = &call.over {
            return self.windowed(call, ident, over, depth);
        }
        self.refuse_nulls(call, ident)?;
        if let Some(aggregate) = self.of_ordered_set(call, ident, depth)? {
            return Ok(aggregate);
        }
        let order = self.order_of(call, tree)?;
        let only = call.filter.as_deref().map(|condition| self.convert(condition, depth)).transpose()?;
        let name = ident.value.as_str();
        let name = match list.duplicate_treatment {
            Some(DuplicateTreatment::Distinct) if name.eq_ignore_ascii_case("count") => "n_unique",
            _ => name,
        };
        // The least of all values is the least of different ones.
        let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
            && !["n_unique", "min", "max"].iter().any(|own| name.eq_ignore_ascii_case(own));
        let has_own =
            Regression::find(name).is_some() || OWN_ARGUMENTS.iter().any(|own| name.eq_ignore_ascii_case(own));
        let is_no_aggregate = has_own || Function::find(name).is_some();
        let refused = [
            (only.is_some() && is_no_aggregate, "`filter` behind"),
            (is_distinct && is_no_aggregate, "`distinct` in"),
            (!order.is_empty() && is_no_aggregate, "`order by` in"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            let error = self.unsupported(&format!("{what} `{name}`"), ident.span);
            return Err(
                error.hint("aggregates such as sum, count and string_agg have it; `where` leaves rows out for all")
            );
        }
        if let Some(cast) = self.converted(name, &list.args, depth)? {
            return Ok(cast);
        }
        if let Some(own) = self.own_form(name, &list.args, ident, depth)? {
            return Ok(own);
        }
        let mut args = self.arguments(name, list, tree, ident, depth)?;
        if let Some(names) = self.names.filter(|_| is_grouping(name)) {
            return self.placed(names.grouping(args, ident.span), ident.span);
        }
        if ["date_part", "datepart"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            let (function, args) = (self.part_named(&args, tree)?, args.split_off(1));
            return Ok(Expr::Function { function, args });
        }
        if let Some(of_dates) = of_dates(name, &args) {
            return Ok(of_dates);
        }
        if let (Some(ends), [text, characters]) = (Ends::of_function(name).filter(|_| only.is_none()), &args[..]) {
            return self.trimmed(text.clone(), ends, characters, list.args[1].span());
        }
        if let Some(function) = Function::find(name) {
            return match function.wrong_count(args.len()) {
                None => {
                    self.check_pattern_of(function, &args, &list.args)?;
                    Ok(Expr::Function { function, args })
                }
                Some(message) => {
                    let error = self.error(ErrorKind::Type, message, ident.span);
                    Err(match function {
                        Function::Random => error.hint("it is a seed, such as random(1): the same in every run"),
                        _ => error,
                    })
                }
            };
        }
        if let Some(expr) = rewritten(name, &args).filter(|_| only.is_none() && !is_distinct && order.is_empty()) {
            return Ok(expr);
        }
        let constants = self.constants(name, &mut args, list, ident)?;
        if let Some(only) = only {
            // Aggregates leave rows out in which an argument is missing.
            let first = if args.is_empty() { lit(1) } else { args.remove(0) };
            args.insert(0, Expr::Case { branches: vec![(only, first)], otherwise: None });
        }
        match aggregate::find_with(name, args.len(), &constants) {
            Ok(aggregate) if is_distinct => self.of_different(aggregate, args, &order, ident, depth),
            Ok(aggregate) if !call.within_group.is_empty() && !aggregate.order_sensitive() => {
                let what = format!("`within group` behind `{}`, which has the same value in any order,", ident.value);
                let hint = "percentile_cont(0.9) within group (order by x) is a quantile of x; mode() and percentile_disc have it, too";
                Err(self.unsupported(&what, ident.span).hint(hint))
            }
            Ok(aggregate) => self.ordered(aggregate, args, &order, ident, depth),
            Err(error) if error.kind() == ErrorKind::Name => Err(self.unknown(ident)),
            Err(error) => Err(error.underline(&self.words.text, self.bytes(ident.span))),
        }
    }

    /// Refuses what is said of nulls, but for `ignore nulls` in `first`, `list` and their like, which do so anyway.
    fn refuse_nulls(&self, call: &ast::Function, ident: &ast::Ident) -> Result<()> {
        let takes_first = || aggregate::find(&ident.value, 1).is_ok_and(|aggregate| aggregate.order_sensitive());
        match nulls_of(call) {
            None => Ok(()),
            Some(NullTreatment::IgnoreNulls) if takes_first() => Ok(()),
            Some(_) => {
                let what = format!("`ignore nulls` or `respect nulls` behind `{}`", ident.value);
                let hint = "aggregates leave nulls out; first_value(x) over (…) and its like may take them";
                Err(self.unsupported(&what, ident.span).hint(hint))
            }
        }
    }

    /// A function whose arguments are not just values: matrices, replicates, fits and what is made of them.
    fn own_form(&self, name: &str, args: &[FunctionArg], ident: &ast::Ident, depth: usize) -> Result<Option<Expr>> {
        if name.eq_ignore_ascii_case("crossprod") {
            return self.crossprod(args, ident, depth).map(Some);
        }
        if name.eq_ignore_ascii_case("pca") {
            return self.components(args, ident, depth).map(Some);
        }
        if name.eq_ignore_ascii_case("bootstrap") {
            return self.bootstrap(args, ident, depth).map(Some);
        }
        if let Some(regression) = Regression::find(name) {
            return self.fit(regression, args, ident, depth).map(Some);
        }
        let of_fit = ["predicted", "residual", "residuals"].iter().position(|own| name.eq_ignore_ascii_case(own));
        if of_fit.is_some() && self.names.is_some_and(|names| !names.predicts()) {
            let error = self.unsupported(&format!("`{name}` in SQL"), ident.span);
            return Err(error.hint("questions of `outcrop ask` have it"));
        }
        if let Some(of_fit) = of_fit {
            return self.prediction(args, ident, of_fit > 0, depth).map(Some);
        }
        if let Some(correlation) = ["cov_matrix", "corr_matrix"].iter().position(|own| name.eq_ignore_ascii_case(own)) {
            return self.matrix(args, ident, correlation == 1, depth).map(Some);
        }
        Ok(None)
    }

    /// `convert(int, x)` and `try_convert(int, x)`, whose type stands first.
    fn converted(&self, name: &str, args: &[FunctionArg], depth: usize) -> Result<Option<Expr>> {
        let Some(tries) = ["convert", "try_convert"].iter().position(|own| name.eq_ignore_ascii_case(own)) else {
            return Ok(None);
        };
        let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(to))),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
        ] = args
        else {
            return Ok(None);
        };
        let Ok(to) = ColumnType::parse(&to.value) else { return Ok(None) };
        Ok(Some(Expr::Cast { expr: Box::new(self.convert(value, depth)?), to, try_: tries > 0 }))
    }

    /// What stands in the parentheses of a function or of a plain aggregate.
    fn arguments(
        &self,
        name: &str,
        list: &FunctionArgumentList,
        tree: &ast::Expr,
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<Vec<Expr>> {
        let mut args = Vec::with_capacity(list.args.len());
        if let (true, Some(second)) = (name.eq_ignore_ascii_case("n_unique"), list.args.get(1)) {
            return Err(self.several_at_once(second.span()));
        }
        for (at, arg) in list.args.iter().enumerate() {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(unit)))
                    if at == 0 && takes_unit(name, &list.args) && is_unit_word(unit) =>
                {
                    args.push(lit(unit.value.to_lowercase()));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(unit)))
                    if at == 0 && takes_unit(name, &list.args) && !name.eq_ignore_ascii_case("date_add") =>
                {
                    let error = self.error(ErrorKind::Name, format!("`{unit}` is no unit of time"), unit.span);
                    return Err(error.hint("units are year, quarter, month, week, day, hour, minute and second"));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Tuple(_)))
                    if name.eq_ignore_ascii_case("n_unique") =>
                {
                    return Err(self.several_at_once(arg.span()));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::BinaryOp { left, .. }))
                    if at > 0 && leaves_nulls_out(left) =>
                {
                    let message = format!("`{left}` is not needed");
                    let error = self.error(ErrorKind::Syntax, message, arg.span());
                    return Err(error.hint("leave it out: aggregates leave missing values out by themselves"));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => match self.interval_as_text(arg, depth)? {
                    Some(text) => args.push(text),
                    None => args.push(self.convert(arg, depth)?),
                },
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                    if list.args.len() == 1 && name.eq_ignore_ascii_case("count") => {}
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                    let message = format!("`{name}` does not take `*`");
                    let hint = written_here(name).unwrap_or("only count(*) does");
                    return Err(self.error(ErrorKind::Syntax, message, ident.span).hint(hint));
                }
                _ => {
                    let error = self.unsupported("an argument with a name", tree.span());
                    return Err(error.hint("arguments stand in their order, without names"));
                }
            }
        }
        Ok(args)
    }

    /// The error for a name that is not known here.
    fn unknown(&self, ident: &ast::Ident) -> Error {
        let name = ident.value.as_str();
        if over::NAMES.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            let message = format!("`{name}` is a window function");
            return self
                .error(ErrorKind::Syntax, message, ident.span)
                .hint("`over (…)` stands behind it: `row_number() over (partition by a order by b)`");
        }
        if let Some(takes) = takes(name) {
            return self.error(ErrorKind::Type, format!("`{}` {takes}", name.to_lowercase()), ident.span);
        }
        let names = aggregate_names();
        let hint = suggest(name, names.iter().map(String::as_str).chain(over::NAMES));
        self.error(ErrorKind::Name, format!("no function `{name}`"), ident.span).hint(hint)
    }

    /// The error for a name that is that of a function and has no arguments.
    pub(super) fn without_parentheses(&self, ident: &ast::Ident) -> Error {
        let error = self.unsupported("a function without parentheses", ident.span);
        error.hint(format!("its arguments stand there, if there are none nothing: {}()", ident.value))
    }

    /// The error for `count(distinct (a, b))`.
    fn several_at_once(&self, span: Span) -> Error {
        let error = self.unsupported("counting different rows in an aggregate", span);
        error.hint("in SQL, `select count(*) from (select distinct a, b from t)` counts them")
    }

    /// Takes the constants that belong to the description of the aggregate `name` from its arguments.
    fn constants(
        &self,
        name: &str,
        args: &mut Vec<Expr>,
        list: &FunctionArgumentList,
        ident: &ast::Ident,
    ) -> Result<Vec<Constant>> {
        if args.len() < 2 {
            return Ok(Vec::new());
        }
        let columns = args.len() - aggregate::constants_of(name, args.len()).min(args.len() - 1);
        let constant = |(arg, node): (Expr, &FunctionArg)| match arg {
            Expr::Literal(Literal::Int64(number)) => Ok(Constant::Number(number as f64)),
            Expr::Literal(Literal::Float64(number)) => Ok(Constant::Number(number)),
            Expr::Literal(Literal::Utf8(text)) => Ok(Constant::Text(text)),
            other => {
                let span = if node.span() == Span::empty() { ident.span } else { node.span() };
                let message = format!("the last argument of `{name}` is a constant, not `{other}`");
                Err(self.error(ErrorKind::Type, message, span))
            }
        };
        args.split_off(columns).into_iter().zip(&list.args[columns..]).map(constant).collect()
    }
}

/// What is said of nulls, in the parentheses of a call or behind them.
pub(super) fn nulls_of(call: &ast::Function) -> Option<NullTreatment> {
    let clauses = match &call.args {
        FunctionArguments::List(list) => &list.clauses[..],
        _ => &[],
    };
    let inside = clauses.iter().find_map(|clause| match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => Some(*treatment),
        _ => None,
    });
    inside.or(call.null_treatment)
}

/// Whether an argument such as `na.rm = TRUE` begins so.
fn leaves_nulls_out(name: &ast::Expr) -> bool {
    let name = name.to_string().to_lowercase();
    ["na.rm", "na_rm", "skipna", "skip_na", "ignore_nulls"].contains(&name.as_str())
}

fn is_grouping(name: &str) -> bool {
    ["grouping", "grouping_id"].iter().any(|own| name.eq_ignore_ascii_case(own))
}
