//! R's formulas: `ArrDelay ~ DepDelay + Distance:Night + I(Distance // 100) - 1`.

use super::parse_expr;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::types::ColumnType;

/// A model in a formula's words.
pub(super) struct Formula {
    pub(super) response: Expr,
    pub(super) terms: Vec<Expr>,
    pub(super) intercept: bool,
}

impl Formula {
    /// Reads a formula: `a:b` is a product, `a * b` is `a + b + a:b`, `I(…)` is an expression of its own, `factor(…)` makes
    /// texts of numbers, `- 1` and `+ 0` leave the intercept out.
    ///
    /// # Errors
    /// `Syntax`, and those of the expressions in it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let [response, right] = split(text, '~')[..] else {
            return Err(Error::new(ErrorKind::Syntax, "a formula has one `~`, between the response and the terms")
                .hint("such as ols('ArrDelay ~ DepDelay + Distance')"));
        };
        if right.trim().is_empty() {
            return Err(
                Error::new(ErrorKind::Syntax, "a formula has terms behind its `~`").hint("1 is the intercept alone")
            );
        }
        let mut formula = Formula { response: parse_expr(response)?, terms: Vec::new(), intercept: true };
        for part in split(right, '+') {
            let mut signed = split(part, '-').into_iter();
            formula.add(signed.next().unwrap_or_default().trim())?;
            for taken in signed {
                if taken.trim() != "1" {
                    let message = format!("`- {}` takes away a term; only `- 1`, the intercept, can be", taken.trim());
                    return Err(Error::new(ErrorKind::Syntax, message));
                }
                formula.intercept = false;
            }
        }
        Ok(formula)
    }

    fn add(&mut self, term: &str) -> Result<()> {
        match term {
            "1" => self.intercept = true,
            "0" => self.intercept = false,
            // What stands before a sign at the beginning.
            "" if !self.intercept || self.terms.is_empty() => {}
            "" => return Err(Error::new(ErrorKind::Syntax, "a formula has nothing between two signs")),
            term => {
                let crossed = split(term, '*').into_iter().map(product).collect::<Result<Vec<_>>>()?;
                // Every combination of the factors, those of fewer first.
                let mut all: Vec<(u32, Expr)> = Vec::new();
                for factor in crossed {
                    let combined = all.iter().map(|(count, other)| (count + 1, other.clone() * factor.clone()));
                    let combined: Vec<(u32, Expr)> = std::iter::once((1, factor.clone())).chain(combined).collect();
                    all.extend(combined);
                }
                all.sort_by_key(|(count, _)| *count);
                for (_, term) in all {
                    if !self.terms.contains(&term) {
                        self.terms.push(term);
                    }
                }
            }
        }
        Ok(())
    }
}

/// `a:b:c`.
fn product(text: &str) -> Result<Expr> {
    let factors = split(text, ':').into_iter().map(|factor| {
        let factor = factor.trim();
        let inside = |name: &str| factor.strip_prefix(name).and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = inside("factor(").or_else(|| inside("as.factor(")) {
            return Ok(parse_expr(inner)?.cast(ColumnType::Utf8));
        }
        parse_expr(inside("I(").unwrap_or(factor))
    });
    let product = factors.reduce(|a, b| Ok(a? * b?));
    product.unwrap_or_else(|| Err(Error::new(ErrorKind::Syntax, "a term is missing")))
}

/// Splits at `separator` outside parentheses and quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(sign),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, sign) if sign == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + sign.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let formula = Formula::parse(text).unwrap();
        let terms: Vec<String> = formula.terms.iter().map(ToString::to_string).collect();
        format!("{} ~ {} | {}", formula.response, terms.join(" + "), formula.intercept)
    }

    #[test]
    fn formulas_mean_what_they_mean_in_r() {
        for (text, meant) in [
            ("y ~ x", "y ~ x | true"),
            ("y~x + z - 1", "y ~ x + z | false"),
            ("y ~ 0 + x", "y ~ x | false"),
            ("y ~ -1 + x", "y ~ x | false"),
            ("y ~ 1", "y ~  | true"),
            ("y ~ a * b", "y ~ a + b + a * b | true"),
            ("y ~ a + a:b + b", "y ~ a + a * b + b | true"),
            ("y ~ a*b*c", "y ~ a + b + c + a * b + a * c + b * c + a * b * c | true"),
            ("ln(y) ~ I(x - 1) + power(x, 2)", "ln(y) ~ x - 1 + power(x, 2) | true"),
            ("y ~ factor(Month) + as.factor(b)", "y ~ cast(Month as utf8) + cast(b as utf8) | true"),
            ("y ~ Origin = 'a+b' + x", "y ~ Origin = 'a+b' + x | true"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
        for wrong in ["y", "y ~ x ~ z", "y ~ x - z", "y ~ x + + z", "y ~", "y ~ x:", "~ x", "y ~ (x"] {
            assert!(Formula::parse(wrong).is_err(), "{wrong}");
        }
    }
}
