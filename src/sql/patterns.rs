//! Patterns of texts: `like … escape`, `~`, and regular expressions that are checked where they are written.

use super::convert::Converter;
use super::times::text_of;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::regexp::check_pattern;
use crate::expr::{Expr, Function, Literal, lit};
use sqlparser::ast::{self, BinaryOperator, Spanned};
use sqlparser::tokenizer::Span;

/// What `~` and its relatives ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    negated: bool,
    ignore_case: bool,
}

impl Match {
    /// The operators `~`, `!~`, `~*` and `!~*`.
    pub(super) fn of(op: &BinaryOperator) -> Option<Match> {
        let (negated, ignore_case) = match op {
            BinaryOperator::PGRegexMatch => (false, false),
            BinaryOperator::PGRegexNotMatch => (true, false),
            BinaryOperator::PGRegexIMatch => (false, true),
            BinaryOperator::PGRegexNotIMatch => (true, true),
            _ => return None,
        };
        Some(Match { negated, ignore_case })
    }

    /// As `regexp`, `rlike` and their negations ask.
    pub(super) fn plain(negated: bool) -> Match {
        Match { negated, ignore_case: false }
    }
}

/// Where characters are taken from a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    start: bool,
    end: bool,
}

impl Ends {
    pub(super) const BOTH: Ends = Ends { start: true, end: true };
    pub(super) const START: Ends = Ends { start: true, end: false };
    pub(super) const END: Ends = Ends { start: false, end: true };

    /// Those of the function of this name, in any case.
    pub(super) fn of_function(name: &str) -> Option<Ends> {
        match Function::find(name)? {
            Function::Trim => Some(Ends::BOTH),
            Function::Ltrim => Some(Ends::START),
            Function::Rtrim => Some(Ends::END),
            _ => None,
        }
    }
}

impl Converter<'_> {
    /// A text without any of some characters at its ends.
    pub(super) fn trimmed(&self, text: Expr, ends: Ends, characters: &Expr, span: Span) -> Result<Expr> {
        let Expr::Literal(Literal::Utf8(characters)) = characters else {
            return Err(self.error(ErrorKind::Type, "the characters that `trim` takes away are a constant text", span));
        };
        if characters.is_empty() {
            return Ok(text);
        }
        let class: String = characters.chars().map(|sign| format!("\\x{{{:X}}}", u32::from(sign))).collect();
        let patterns = [(ends.start, format!("^[{class}]+")), (ends.end, format!("[{class}]+$"))];
        let wanted = patterns.into_iter().filter_map(|(wanted, pattern)| wanted.then_some(pattern));
        Ok(wanted.fold(text, |text, pattern| Expr::Function {
            function: Function::RegexpReplace,
            args: vec![text, lit(pattern), lit("")],
        }))
    }

    /// `text ~ 'pattern'`: whether a match is somewhere in the text.
    pub(super) fn found(&self, how: Match, text: Expr, pattern: Expr, span: Span) -> Result<Expr> {
        if !matches!(pattern, Expr::Literal(Literal::Utf8(_) | Literal::Null)) {
            let error = self.error(ErrorKind::Type, "the pattern of `~` is a constant text", span);
            return Err(error.hint(match self.words.is_question {
                false => "such as s ~ '^[A-Z]'",
                true => "a formula is a text: ols('y ~ x')",
            }));
        }
        self.check_regexp(&pattern, span)?;
        let mut args = vec![text, pattern];
        args.extend(how.ignore_case.then(|| lit("i")));
        let found = Expr::Function { function: Function::RegexpMatches, args };
        Ok(if how.negated { found.not() } else { found })
    }

    /// Refuses the pattern of a call that is no regular expression, with its place.
    pub(super) fn check_regexp(&self, pattern: &Expr, span: Span) -> Result<()> {
        match pattern {
            Expr::Literal(Literal::Utf8(pattern)) => self.placed(check_pattern(pattern), span),
            _ => Ok(()),
        }
    }

    /// A pattern of `like` in which `escape` takes the next sign as it is, as one in which `\` does.
    pub(super) fn escaped(&self, pattern: Expr, escape: Option<&ast::Expr>, span: Span) -> Result<Expr> {
        let Some(escape) = escape else { return Ok(pattern) };
        let wrong = |message: &str| Err(self.error(ErrorKind::Syntax, message, span));
        let text = match escape {
            ast::Expr::Value(value) => text_of(&value.value).unwrap_or_default(),
            _ => "",
        };
        let mut signs = text.chars();
        let (escape, None) = (signs.next(), signs.next()) else {
            return wrong("what stands behind `escape` is one sign in quotes");
        };
        let Expr::Literal(Literal::Utf8(written)) = &pattern else {
            let error = self.unsupported("`escape` behind a pattern that is no constant", span);
            return Err(error.hint("in patterns `\\` takes the next sign as it is"));
        };
        let mut plain = String::with_capacity(written.len());
        let mut signs = written.chars();
        while let Some(sign) = signs.next() {
            let (next, as_it_is) = match Some(sign) == escape {
                false => (Some(sign), sign == '\\'),
                true => (signs.next(), true),
            };
            let Some(next) = next else { return wrong("the pattern ends with its escape sign") };
            if as_it_is && matches!(next, '%' | '_' | '\\') {
                plain.push('\\');
            }
            plain.push(next);
        }
        Ok(lit(plain))
    }

    /// Whether arguments of a function are fit to be those of a regular expression.
    pub(super) fn check_pattern_of(&self, function: Function, args: &[Expr], list: &[ast::FunctionArg]) -> Result<()> {
        use Function::{RegexpExtract, RegexpFullMatch, RegexpMatches, RegexpReplace};
        if !matches!(function, RegexpMatches | RegexpFullMatch | RegexpReplace | RegexpExtract) {
            return Ok(());
        }
        match (args.get(1), list.get(1)) {
            (Some(pattern), Some(written)) => self.check_regexp(pattern, written.span()),
            _ => Err(Error::internal("a regular expression without a pattern")),
        }
    }
}
