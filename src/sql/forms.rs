//! Expressions that SQL writes in words of their own: `x is distinct from y`, `substring(t from 2)`, `exists (select …)`.

use super::convert::Converter;
use crate::error::{Error, Result};
use crate::expr::{Expr, Function, coalesce, lit, when};
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, Spanned, TrimWhereField};

impl Converter<'_> {
    /// What is no plain operator, function or name.
    pub(super) fn form(&self, tree: &ast::Expr, depth: usize) -> Result<Expr> {
        let convert = |expr: &ast::Expr| self.convert(expr, depth);
        let call = |function, args| Ok(Expr::Function { function, args });
        match tree {
            ast::Expr::IsTrue(expr) => Ok(coalesce([convert(expr)?, lit(false)])),
            ast::Expr::IsNotTrue(expr) => Ok(coalesce([convert(expr)?, lit(false)]).not()),
            ast::Expr::IsFalse(expr) => Ok(coalesce([convert(expr)?.not(), lit(false)])),
            ast::Expr::IsNotFalse(expr) => Ok(coalesce([convert(expr)?.not(), lit(false)]).not()),
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
            ast::Expr::Trim { .. } => Err(self.unsupported("`trim` of other characters than blanks", tree.span())),
            ast::Expr::Position { expr, r#in } => call(Function::Position, vec![convert(r#in)?, convert(expr)?]),
            ast::Expr::Subquery(query) => match self.names {
                Some(names) => self.placed(names.value_of(query), tree.span()),
                None => Err(self.in_question(tree)),
            },
            ast::Expr::Exists { subquery, negated } => match self.names {
                Some(names) => {
                    let found = self.placed(names.exists(subquery), tree.span())?;
                    Ok(if *negated { found.not() } else { found })
                }
                None => Err(self.in_question(tree)),
            },
            ast::Expr::InSubquery { expr, subquery, negated } => match self.names {
                Some(names) => {
                    let found = self.placed(names.member_of(&convert(expr)?, subquery), tree.span())?;
                    Ok(if *negated { found.not() } else { found })
                }
                None => Err(self.in_question(tree)),
            },
            ast::Expr::Interval(_) => Err(self
                .unsupported("an interval in this place", tree.span())
                .hint("it may stand behind `+` or `-`: d + interval '1 month'")),
            ast::Expr::SimilarTo { .. } => Err(self
                .unsupported("`similar to`", tree.span())
                .hint("regexp_full_match(s, '[a-z]+') and s ~ '^[a-z]+$' ask the same")),
            _ => Err(self.unsupported("this", tree.span())),
        }
    }

    fn in_question(&self, tree: &ast::Expr) -> Error {
        self.unsupported("a query inside a question", tree.span()).hint("`outcrop sql` has them")
    }
}

/// Whether two values differ, where null is a value like others.
fn differ(a: &Expr, b: &Expr) -> Expr {
    let (null_a, null_b) = (a.clone().is_null(), b.clone().is_null());
    let one_is_null = null_a.clone().or(null_b.clone());
    when(null_a.and(null_b)).then(lit(false)).when(one_is_null).then(lit(true)).otherwise(a.clone().not_eq(b.clone()))
}
