//! Expressions that SQL writes in words of their own: `x is distinct from y`, `substring(t from 2)`, `exists (select …)`.

use super::convert::Converter;
use super::patterns::Ends;
use super::rows::values_of;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Function, Literal, lit, when};
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, Spanned, TrimWhereField};
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
                    None => Err(self.unsupported("`trim` of several lists of characters", tree.span())),
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
                if matches!(&written, Expr::Literal(Literal::Utf8(pattern)) if pattern.contains('%')) {
                    let message = "`similar to` takes a regular expression, in which `%` is no wildcard";
                    let error = self.error(ErrorKind::Syntax, message, pattern.span());
                    return Err(error.hint("`.*` stands for any text there; `like` has `%`"));
                }
                self.check_regexp(&written, pattern.span())?;
                let found = call(Function::RegexpFullMatch, vec![text, written])?;
                Ok(if *negated { found.not() } else { found })
            }
            ast::Expr::SimilarTo { .. } => Err(self
                .unsupported("`escape` behind `similar to`", tree.span())
                .hint("its pattern is a regular expression, in which `\\` takes the next sign as it is")),
            ast::Expr::Array(_) => Err(self
                .unsupported("a list in this place", tree.span())
                .hint("values in parentheses stand behind `in`: x in (1, 2)")),
            ast::Expr::Dictionary(_) | ast::Expr::Struct { .. } | ast::Expr::Map(_) => {
                Err(self.unsupported("a value with fields", tree.span()))
            }
            ast::Expr::Lambda(_) => Err(self.unsupported("a function without a name", tree.span())),
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

/// Whether two values differ, where null is a value like others.
fn differ(a: &Expr, b: &Expr) -> Expr {
    let (null_a, null_b) = (a.clone().is_null(), b.clone().is_null());
    let one_is_null = null_a.clone().or(null_b.clone());
    when(null_a.and(null_b)).then(lit(false)).when(one_is_null).then(lit(true)).otherwise(a.clone().not_eq(b.clone()))
}
