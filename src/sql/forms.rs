//! Expressions that SQL writes in words of their own: `x is distinct from y`, `substring(t from 2)`, `exists (select …)`.

use super::convert::Converter;
use super::patterns::Ends;
use super::rows::values_of;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Function, Literal, lit, when};
use sqlparser::ast::{self, CastKind, CeilFloorKind, DateTimeField, Spanned, TrimWhereField, UnaryOperator};
use sqlparser::tokenizer::Span;

impl Converter<'_> {
    /// What is no plain operator, function or name.
    pub(super) fn form(&self, tree: &ast::Expr, depth: usize) -> Result<Expr> {
        let convert = |expr: &ast::Expr| self.convert(expr, depth);
        let call = |function, args| Ok(Expr::Function { function, args });
        match tree {
            ast::Expr::IsTrue(expr) => Ok(holds(convert(expr)?)),
            ast::Expr::IsNotTrue(expr) => Ok(holds(convert(expr)?).not()),
            ast::Expr::IsFalse(expr) => Ok(holds(convert(expr)?.not())),
            ast::Expr::IsNotFalse(expr) => Ok(holds(convert(expr)?.not()).not()),
            ast::Expr::IsUnknown(expr) => Ok(convert(expr)?.is_null()),
            ast::Expr::IsNotUnknown(expr) => Ok(convert(expr)?.is_not_null()),
            ast::Expr::IsDistinctFrom(a, b) => Ok(differ(&convert(a)?, &convert(b)?)),
            ast::Expr::IsNotDistinctFrom(a, b) => Ok(differ(&convert(a)?, &convert(b)?).not()),
            ast::Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                call(Function::Ceil, vec![convert(expr)?])
            }
            ast::Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                call(Function::Floor, vec![convert(expr)?])
            }
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![convert(expr)?];
                args.push(substring_from.as_deref().map_or_else(|| Ok(lit(1)), convert)?);
                args.extend(substring_for.as_deref().map(convert).transpose()?);
                call(Function::Substring, args)
            }
            ast::Expr::Trim { expr, trim_where, trim_what: None, trim_characters: None } => {
                let function = match trim_where {
                    None | Some(TrimWhereField::Both) => Function::Trim,
                    Some(TrimWhereField::Leading) => Function::Ltrim,
                    Some(TrimWhereField::Trailing) => Function::Rtrim,
                };
                call(function, vec![convert(expr)?])
            }
            ast::Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
                let ends = match trim_where {
                    None | Some(TrimWhereField::Both) => Ends::BOTH,
                    Some(TrimWhereField::Leading) => Ends::START,
                    Some(TrimWhereField::Trailing) => Ends::END,
                };
                let behind = trim_characters.as_ref().and_then(|characters| match &characters[..] {
                    [one] => Some(one),
                    _ => None,
                });
                match trim_what.as_deref().or(behind) {
                    Some(characters) => self.trimmed(convert(expr)?, ends, &convert(characters)?, characters.span()),
                    None => Err(self
                        .unsupported("`trim` of several lists of characters", tree.span())
                        .hint("the characters stand in one text: trim(x, 'ab')")),
                }
            }
            ast::Expr::Position { expr, r#in } => call(Function::Position, vec![convert(r#in)?, convert(expr)?]),
            ast::Expr::Subquery(query) => match self.names {
                Some(names) => self.placed(names.value_of(query), tree.span()),
                None => Err(self.alone(tree.span())),
            },
            ast::Expr::Exists { subquery, negated } => match self.names {
                Some(names) => {
                    let found = self.placed(names.exists(subquery), tree.span())?;
                    Ok(if *negated { found.not() } else { found })
                }
                None => Err(self.alone(tree.span())),
            },
            ast::Expr::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false, depth),
            ast::Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true, depth),
            ast::Expr::InSubquery { expr, .. } if values_of(expr).is_some() => Err(self
                .unsupported("a row before `in (select …)` in this place", tree.span())
                .hint("behind `where` it may stand, beside other conditions with `and`")),
            ast::Expr::InSubquery { expr, subquery, negated } => match self.names {
                Some(names) => {
                    let found = self.placed(names.member_of(&convert(expr)?, subquery), tree.span())?;
                    Ok(if *negated { found.not() } else { found })
                }
                None => Err(self.alone(tree.span())),
            },
            ast::Expr::Interval(_) => Err(self
                .unsupported("an interval in this place", tree.span())
                .hint("it may stand behind `+` or `-`: d + interval '1 month'")),
            ast::Expr::SimilarTo { negated, expr, pattern, escape_char: None } => {
                let (text, written) = (convert(expr)?, convert(pattern)?);
                if !matches!(written, Expr::Literal(Literal::Utf8(_) | Literal::Null)) {
                    return Err(self.error(
                        ErrorKind::Type,
                        "the pattern of `similar to` is a constant text",
                        pattern.span(),
                    ));
                }
                if let Expr::Literal(Literal::Utf8(text)) = &written
                    && let Some((sign, means)) = wildcard_of_like(text)
                {
                    let message = format!("`similar to` takes a regular expression, in which `{sign}` is no wildcard");
                    let error = self.error(ErrorKind::Syntax, message, pattern.span());
                    return Err(
                        error.hint(format!("{means} there; `like` has `{sign}`; `[{sign}]` is the sign itself"))
                    );
                }
                self.check_regexp(&written, pattern.span())?;
                let found = call(Function::RegexpFullMatch, vec![text, written])?;
                Ok(if *negated { found.not() } else { found })
            }
            ast::Expr::SimilarTo { .. } => Err(self
                .unsupported("`escape` behind `similar to`", tree.span())
                .hint("its pattern is a regular expression, in which `\\` takes the next sign as it is")),
            ast::Expr::Array(list) => {
                let error = self.unsupported("a list in this place", tree.span());
                Err(match list.elem.as_slice() {
                    // SQL Server writes names so.
                    [ast::Expr::Identifier(name)] => {
                        error.hint(format!("a name stands in double quotes or backticks: `{}`", name.value))
                    }
                    _ => error.hint(
                        "values in parentheses stand behind `in`: x in (1, 2); a function takes one at a time: quantile(x, 0.1), quantile(x, 0.9)",
                    ),
                })
            }
            ast::Expr::Dictionary(_) | ast::Expr::Struct { .. } | ast::Expr::Map(_) => Err(self
                .unsupported("a value with fields", tree.span())
                .hint("each of them is a column of its own: `1 as a, 2 as b`")),
            ast::Expr::Lambda(_) => Err(self
                .unsupported("a function without a name", tree.span())
                .hint("an expression says what to do with a column, such as `x + 1`")),
            ast::Expr::Convert { is_try, expr, data_type: Some(to), charset: None, styles, .. }
                if styles.is_empty() =>
            {
                let kind = if *is_try { CastKind::TryCast } else { CastKind::Cast };
                let cast = self.cast(&kind, expr, to, depth);
                cast.map_err(|error| match (error.kind(), expr.as_ref()) {
                    // MySQL has the type behind the value.
                    (ErrorKind::Name, ast::Expr::Identifier(name)) => {
                        error.hint(format!("the type stands first, or: cast({to} as {name})"))
                    }
                    _ => error,
                })
            }
            ast::Expr::Convert { .. } => Err(self
                .unsupported("this kind of `convert`", tree.span())
                .hint("`cast(x as int64)` takes a value for another type, and `strftime(d, '%Y-%m')` writes a date")),
            ast::Expr::AtTimeZone { .. } => Err(self
                .unsupported("`at time zone`", tree.span())
                .hint("timestamps have no zone; `t + interval '1 hour'` is an hour later")),
            ast::Expr::Like { any: true, .. } | ast::Expr::ILike { any: true, .. } => Err(self
                .unsupported("`like any`", tree.span())
                .hint("write `x like 'a%' or x like 'b%'`, or a regular expression: x ~ '^(a|b)'")),
            ast::Expr::UnaryOp { op: UnaryOperator::BitwiseNot, .. } => Err(self
                .unsupported("`~` before a value", tree.span())
                .hint("a condition is turned into its opposite by `not (…)`")),
            ast::Expr::Collate { .. } => Err(self
                .unsupported("`collate`", tree.span())
                .hint("texts are compared by their bytes; `lower(x)` takes capitals for small letters")),
            ast::Expr::Overlay { .. } => Err(self
                .unsupported("`overlay`", tree.span())
                .hint("`substring(x, 1, n) || y || substring(x, m)` puts a text in the place of a part")),
            other => {
                let written: String = other.to_string().chars().take(40).collect();
                Err(self.unsupported(&format!("`{written}`"), tree.span()))
            }
        }
    }

    /// The error for a query in an expression that has no tables.
    pub(super) fn alone(&self, span: Span) -> Error {
        self.unsupported("a query in this place", span).hint(ALONE)
    }
}

/// Where queries and windows may stand, and where not.
pub(super) const ALONE: &str = "window functions and queries stand in questions and in SQL, which have tables; an expression by \
    itself, and the condition of a join, have none";

/// Whether a condition is true, and neither false nor unknown.
fn holds(condition: Expr) -> Expr {
    when(condition).then(true).otherwise(false)
}

/// A sign of the patterns of `like` in what must be a regular expression, and what means there what it does: `%`, or `_` in a pattern
/// in which nothing says that it is one.
fn wildcard_of_like(pattern: &str) -> Option<(char, &'static str)> {
    let plain = ["[%]", "[_]", "\\%", "\\_"].iter().fold(pattern.to_owned(), |rest, own| rest.replace(own, ""));
    let is_regexp = || pattern.contains(|sign: char| !sign.is_alphanumeric() && !matches!(sign, '_' | ' ' | '-'));
    match () {
        () if plain.contains('%') => Some(('%', "`.*` stands for any text")),
        () if plain.contains('_') && !is_regexp() => Some(('_', "`.` stands for any sign")),
        () => None,
    }
}

/// Whether two values differ, where null is a value like others.
fn differ(a: &Expr, b: &Expr) -> Expr {
    let (null_a, null_b) = (a.clone().is_null(), b.clone().is_null());
    let one_is_null = null_a.clone().or(null_b.clone());
    when(null_a.and(null_b)).then(lit(false)).when(one_is_null).then(lit(true)).otherwise(a.clone().not_eq(b.clone()))
}
