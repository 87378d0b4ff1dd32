//! Calls behind each other, as pandas and Polars have them: what to write in their place.

use crate::aggregate;
use crate::error::ErrorKind;
use crate::expr::Function;
use crate::expr::elsewhere::written_here;
use sqlparser::ast::{self, AccessExpr};

/// Names before a dot that are modules, and no values.
const MODULES: [&str; 6] = ["np", "numpy", "pd", "pl", "math", "stats"];

/// What to write for a call behind a dot: `x.mean()`, `s.str.upper()`, `np.mean(x)`.
pub(super) fn behind_dot(call: &ast::Function) -> String {
    let whole = call.name.to_string();
    let (of, last) = whole.rsplit_once('.').unwrap_or(("", &whole));
    if let Some(hint) = written_here(&whole).or_else(|| written_here(last).filter(|_| last.len() > 1)) {
        return hint.to_owned();
    }
    let of = of.strip_suffix(".str").or(of.strip_suffix(".dt")).unwrap_or(of);
    let values: Vec<String> = match &call.args {
        ast::FunctionArguments::List(list) => list.args.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let is_module = MODULES.contains(&of.to_lowercase().as_str());
    let values: Vec<&str> =
        Some(of).filter(|_| !is_module).into_iter().chain(values.iter().map(String::as_str)).collect();
    let is_aggregate = aggregate::find(last, 1).map_or_else(|error| error.kind() != ErrorKind::Name, |_| true);
    match is_aggregate || Function::find(last).is_some() {
        true => format!("what it is of stands in its parentheses: `{last}({})`", values.join(", ")),
        false => format!("functions have no dot in their names, and what they are of stands in parentheses: f({of})"),
    }
}

/// What to write for calls behind each other, as pandas and Polars have them.
pub(super) fn chained(root: &ast::Expr, chain: &[AccessExpr]) -> Option<String> {
    let names_of = |expr: &ast::Expr| match expr {
        ast::Expr::Function(call) => call.name.0.iter().map(ToString::to_string).collect(),
        ast::Expr::Identifier(name) => vec![name.value.clone()],
        ast::Expr::CompoundIdentifier(names) => names.iter().map(|name| name.value.clone()).collect(),
        _ => Vec::new(),
    };
    let mut names: Vec<String> = names_of(root);
    names.extend(chain.iter().flat_map(|access| match access {
        AccessExpr::Dot(expr) => names_of(expr),
        AccessExpr::Subscript(_) => Vec::new(),
    }));
    if matches!(chain, [AccessExpr::Subscript(_)]) && !matches!(root, ast::Expr::Function(_)) {
        return Some("`substring(x, 1, 2)` is a part of a text; of a list there are no parts".to_owned());
    }
    let has = |any: &[&str]| names.iter().any(|name| any.contains(&name.to_lowercase().as_str()));
    if has(&["isna", "isnull", "is_null"]) && has(&["sum"]) {
        return Some("`count_if(x is null)` counts missing values".to_owned());
    }
    let known = names.iter().skip(1).chain(&names[..names.len().min(1)]).find_map(|name| written_here(name));
    let last = names.iter().skip(1).rfind(|name| aggregate::find(name, 1).is_ok());
    known.map(str::to_owned).or_else(|| {
        let last = last?;
        Some(format!("what an aggregate is of stands in its parentheses: `{last}(x)`, of groups `{last}(x) by g`"))
    })
}
