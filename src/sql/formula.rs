//! R's formulas: `ArrDelay ~ DepDelay + Distance:Night + UniqueCarrier * log(Distance) + I(Distance^2) - 1`.

use super::parse_expr;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::types::ColumnType;
use std::ops::Range;

/// A model in a formula's words.
#[derive(Debug)]
pub(super) struct Formula {
    pub(super) response: Expr,
    /// What terms are products of; `.` is [`Expr::Wildcard`].
    pub(super) regressors: Vec<Expr>,
    /// The regressors of each term.
    pub(super) terms: Vec<Vec<usize>>,
    /// Regressors of terms that were taken away.
    pub(super) without: Vec<Expr>,
    pub(super) intercept: bool,
}

/// More terms than any model has.
const MOST_TERMS: usize = 2000;
/// How deep parentheses may be nested.
const MOST_NESTED: usize = 30;

impl Formula {
    /// Reads a formula: `a:b` is an interaction, `a * b` is `a + b + a:b`, `a / b` is `a + a:b`, `(a + b)^2` is all
    /// interactions of two, `- a` takes a term away, `.` is all other columns, `I(…)` is an expression of its own, `factor(…)` makes texts of numbers, `- 1` and `+ 0` leave the intercept out.
    ///
    /// # Errors
    /// `Syntax`, and those of the expressions in it, with the place in `text` underlined.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let whole = 0..text.len();
        let sides = split(text, whole.clone(), &['~']);
        let [response, right] = sides.as_slice() else {
            return Err(slip(text, whole, "a formula has one `~`, between the response and the terms")
                .hint("such as ols('ArrDelay ~ DepDelay + Distance')"));
        };
        let (response, right) = (response.1.clone(), right.1.clone());
        if text[right.clone()].trim().is_empty() {
            return Err(slip(text, right, "a formula has terms behind its `~`").hint("1 is the intercept alone"));
        }
        let mut reader = Reader { text, regressors: Vec::new() };
        let response = reader.expression(response)?;
        let Sum { mut terms, without, intercept } = reader.sum(right, 0)?;
        // As R does it.
        terms.sort_by_key(Vec::len);
        let without = without.iter().flatten().map(|at| reader.regressors[*at].clone()).collect();
        // Of regressors that are in no term nothing is needed.
        let used: Vec<usize> =
            (0..reader.regressors.len()).filter(|at| terms.iter().flatten().any(|own| own == at)).collect();
        let place = |at: &usize| used.iter().position(|own| own == at).unwrap_or_default();
        Ok(Formula {
            response,
            terms: terms.iter().map(|term| term.iter().map(place).collect()).collect(),
            regressors: used.iter().map(|at| reader.regressors[*at].clone()).collect(),
            without,
            intercept: intercept.unwrap_or(true),
        })
    }
}

fn slip(text: &str, at: Range<usize>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Syntax, message).underline(text, trimmed(text, at))
}

/// Terms, each a set of regressors by number, in the order in which they came.
#[derive(Default)]
struct Sum {
    terms: Vec<Vec<usize>>,
    /// Terms that were taken away and not there.
    without: Vec<Vec<usize>>,
    /// Whether the intercept was asked for, if anything was said of it.
    intercept: Option<bool>,
}

impl Sum {
    fn add(&mut self, term: Vec<usize>) {
        if !self.terms.iter().any(|known| same(known, &term)) {
            self.terms.push(term);
        }
    }
}

fn same(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().all(|part| b.contains(part))
}

/// Each of some terms with each of others; `None` when these are too many.
fn interactions(left: &[Vec<usize>], right: &[Vec<usize>]) -> Option<Vec<Vec<usize>>> {
    if left.len() * right.len() > MOST_TERMS {
        return None;
    }
    let mut sum = Sum::default();
    for a in left {
        for b in right {
            let mut term = a.clone();
            term.extend(b.iter().filter(|part| !a.contains(part)));
            sum.add(term);
        }
    }
    Some(sum.terms)
}

struct Reader<'a> {
    text: &'a str,
    regressors: Vec<Expr>,
}

impl Reader<'_> {
    fn too_many_terms(&self, range: Range<usize>) -> Error {
        slip(self.text, range, format!("a formula has at most {MOST_TERMS} terms"))
    }

    /// `a + b - c`.
    fn sum(&mut self, range: Range<usize>, depth: usize) -> Result<Sum> {
        if depth > MOST_NESTED {
            return Err(slip(self.text, range, "a formula is nested too deeply"));
        }
        let mut sum = Sum::default();
        for (at, (sign, part)) in split(self.text, range, &['+', '-']).into_iter().enumerate() {
            let taken = sign == '-';
            match self.text[part.clone()].trim() {
                // What stands before a sign at the beginning.
                "" if at == 0 => {}
                "" => {
                    let place = part.start.saturating_sub(1)..part.end;
                    return Err(slip(self.text, place, "a formula has nothing between two signs"));
                }
                "1" => sum.intercept = Some(!taken),
                "0" => sum.intercept = Some(taken),
                _ => {
                    let terms = self.crossed(part.clone(), depth)?;
                    if sum.terms.len() + terms.len() > MOST_TERMS {
                        return Err(self.too_many_terms(part));
                    }
                    for term in terms {
                        match taken {
                            false => sum.add(term),
                            true if sum.terms.iter().any(|known| same(known, &term)) => {
                                sum.terms.retain(|known| !same(known, &term));
                            }
                            true => sum.without.push(term),
                        }
                    }
                }
            }
        }
        Ok(sum)
    }

    /// `a * b / c`.
    fn crossed(&mut self, range: Range<usize>, depth: usize) -> Result<Vec<Vec<usize>>> {
        let mut all = Sum::default();
        for (at, (sign, part)) in split(self.text, range.clone(), &['*', '/']).into_iter().enumerate() {
            let own = self.interaction(part, depth)?;
            let left = std::mem::take(&mut all.terms);
            let more = match sign {
                // Within all that stands on the left together.
                '/' if at > 0 => {
                    let mut within: Vec<usize> = Vec::new();
                    left.iter().flatten().for_each(|part| {
                        if !within.contains(part) {
                            within.push(*part);
                        }
                    });
                    interactions(&[within], &own)
                }
                _ => interactions(&left, &own).map(|both| own.into_iter().chain(both).collect()),
            };
            let more = more.ok_or_else(|| self.too_many_terms(range.clone()))?;
            if left.len() + more.len() > MOST_TERMS {
                return Err(self.too_many_terms(range));
            }
            left.into_iter().chain(more).for_each(|term| all.add(term));
        }
        // Those of fewer regressors first.
        all.terms.sort_by_key(Vec::len);
        Ok(all.terms)
    }

    /// `a:b:c`.
    fn interaction(&mut self, range: Range<usize>, depth: usize) -> Result<Vec<Vec<usize>>> {
        let mut parts = split(self.text, range.clone(), &[':']).into_iter();
        let Some((_, first)) = parts.next() else { return Err(slip(self.text, range, "a term is missing")) };
        let mut all = self.power(first, depth)?;
        for (_, part) in parts {
            let own = self.power(part, depth)?;
            all = interactions(&all, &own).ok_or_else(|| self.too_many_terms(range.clone()))?;
        }
        Ok(all)
    }

    /// `(a + b)^2`.
    fn power(&mut self, range: Range<usize>, depth: usize) -> Result<Vec<Vec<usize>>> {
        let parts = split(self.text, range.clone(), &['^']);
        let [(_, base), exponents @ ..] = parts.as_slice() else {
            return Err(slip(self.text, range, "a term is missing"));
        };
        let base = self.part(base.clone(), depth)?;
        let mut all = Sum { terms: base.clone(), ..Sum::default() };
        for (_, exponent) in exponents {
            let times = self.text[exponent.clone()].trim().parse::<u32>().ok().filter(|times| (1..=20).contains(times));
            let times = times.ok_or_else(|| {
                slip(self.text, exponent.clone(), "behind `^`, a formula has a whole number from 1 to 20")
                    .hint("`I(x^2)` is a power of numbers, `(a + b)^2` all interactions of two")
            })?;
            for _ in 1..times {
                let next = interactions(&all.terms, &base).ok_or_else(|| self.too_many_terms(range.clone()))?;
                next.into_iter().for_each(|term| all.add(term));
                if all.terms.len() > MOST_TERMS {
                    return Err(self.too_many_terms(range));
                }
            }
        }
        Ok(all.terms)
    }

    /// A regressor, or a sum in parentheses.
    fn part(&mut self, range: Range<usize>, depth: usize) -> Result<Vec<Vec<usize>>> {
        let range = trimmed(self.text, range);
        let text = &self.text[range.clone()];
        if text.starts_with('(') && closes(text, 0) == Some(text.len() - 1) {
            let sum = self.sum(range.start + 1..range.end - 1, depth + 1)?;
            return match (sum.intercept, sum.without.is_empty()) {
                (None, true) => Ok(sum.terms),
                _ => Err(slip(self.text, range, "what is in parentheses is a sum of terms")),
            };
        }
        let regressor = if text == "." { Expr::Wildcard } else { self.expression(range)? };
        let known = self.regressors.iter().position(|known| *known == regressor);
        Ok(vec![vec![known.unwrap_or_else(|| {
            self.regressors.push(regressor);
            self.regressors.len() - 1
        })]])
    }

    /// An expression of columns.
    fn expression(&self, range: Range<usize>) -> Result<Expr> {
        let range = trimmed(self.text, range);
        if range.is_empty() {
            return Err(slip(self.text, range, "a term is missing"));
        }
        let inside = |name: &str| {
            let text = &self.text[range.clone()];
            let open = name.len();
            let all =
                text.starts_with(name) && text[open..].starts_with('(') && closes(text, open) == Some(text.len() - 1);
            all.then(|| range.start + open + 1..range.end - 1)
        };
        let factor = inside("factor").or_else(|| inside("as.factor"));
        let part = factor.clone().or_else(|| inside("I")).unwrap_or_else(|| range.clone());
        let expr = parse_expr(&self.text[part.clone()]).map_err(|error| self.placed(error, &part))?;
        Ok(if factor.is_some() { expr.cast(ColumnType::Utf8) } else { expr })
    }

    /// The error of an expression that is part of the formula.
    fn placed(&self, error: Error, part: &Range<usize>) -> Error {
        let inner = error.underlined().map(|underline| underline.range.clone());
        let place = inner.map_or(part.clone(), |place| part.start + place.start..part.start + place.end);
        let place = place.start.min(self.text.len())..place.end.min(self.text.len());
        let plain = Error::new(error.kind(), error.message()).underline(self.text, place);
        match error.hint_text() {
            Some(hint) => plain.hint(hint),
            None => plain,
        }
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// Where the parenthesis that opens at `open` closes.
fn closes(text: &str, open: usize) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, sign) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match (quote, sign) {
            (Some(mark), sign) if sign == mark => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(sign),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at signs outside parentheses and quotes: the sign before each part, of the first a space, and the part.
fn split(text: &str, range: Range<usize>, signs: &[char]) -> Vec<(char, Range<usize>)> {
    let (mut parts, mut start, mut before, mut depth, mut quote) = (Vec::new(), range.start, ' ', 0_i32, None);
    for (at, sign) in text[range.clone()].char_indices().map(|(at, sign)| (range.start + at, sign)) {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(sign),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, sign) if depth == 0 && signs.contains(&sign) => {
                parts.push((before, start..at));
                (before, start) = (sign, at + sign.len_utf8());
            }
            _ => {}
        }
    }
    parts.push((before, start..range.end));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let formula = Formula::parse(text).unwrap();
        let term =
            |term: &Vec<usize>| term.iter().map(|at| formula.regressors[*at].to_string()).collect::<Vec<_>>().join(":");
        let terms: Vec<String> = formula.terms.iter().map(term).collect();
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
            ("y ~ a * b", "y ~ a + b + a:b | true"),
            ("y ~ a + b:a + b + a:b", "y ~ a + b + b:a | true"),
            ("y ~ a*b*c", "y ~ a + b + c + a:b + a:c + b:c + a:b:c | true"),
            ("y ~ a*b*c - a:b:c", "y ~ a + b + c + a:b + a:c + b:c | true"),
            ("y ~ (a + b + c)^2", "y ~ a + b + c + a:b + a:c + b:c | true"),
            ("y ~ (a + b)^3 - a", "y ~ b + a:b | true"),
            ("y ~ x^2", "y ~ x | true"),
            ("y ~ a / b", "y ~ a + a:b | true"),
            ("y ~ (a + b):c", "y ~ a:c + b:c | true"),
            ("y ~ . - x", "y ~ * | true"),
            ("ln(y) ~ I(x - 1) + power(x, 2)", "ln(y) ~ x - 1 + power(x, 2) | true"),
            (
                "log(y) ~ log(x) + log10(x) + log(2, x) + I(x^2 * catalog)",
                "log(y) ~ log(x) + log10(x) + log(2, x) + power(x, 2) * catalog | true",
            ),
            ("y ~ factor(Month) + as.factor(b)", "y ~ cast(Month as utf8) + cast(b as utf8) | true"),
            ("y ~ Origin = 'a+b' + x", "y ~ Origin = 'a+b' + x | true"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
        for wrong in
            ["y", "y ~ x ~ z", "y ~ x + + z", "y ~", "y ~ x:", "~ x", "y ~ (x", "y ~ x^z", "y ~ (x - 1)", "y ~ a * (b"]
        {
            assert!(Formula::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Formula::parse("y ~ . - x").unwrap().without, [crate::col("x")]);
    }

    #[test]
    fn too_many_terms_are_refused_before_they_are_made() {
        let names = |count: usize| (0..count).map(|at| format!("x{at}")).collect::<Vec<_>>();
        assert_eq!(Formula::parse(&format!("y ~ {}", names(10).join(" * "))).unwrap().terms.len(), 1023);
        let sum = format!("({})", names(300).join(" + "));
        for terms in [names(40).join(" * "), format!("({})^8", names(20).join(" + ")), format!("{sum}:{sum}:{sum}")] {
            let start = std::time::Instant::now();
            let error = Formula::parse(&format!("y ~ {terms}")).unwrap_err();
            assert_eq!(error.message(), "a formula has at most 2000 terms", "{terms}");
            assert!(start.elapsed().as_secs() < 20, "{terms}");
        }
    }

    #[test]
    fn errors_are_placed_in_the_formula() {
        for (text, place) in
            [("y ~ a + sqrtt(b)", 8..13), ("y ~ a + + b", 6..7), ("y ~ I(a b)", 8..9), ("y ~ a^z", 6..7)]
        {
            let error = Formula::parse(text).unwrap_err();
            assert_eq!(error.underlined().map(|underline| underline.range.clone()), Some(place), "{text}: {error}");
        }
    }
}
