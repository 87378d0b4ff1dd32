//! Lists in questions: what to compute, with names, and what to sort by.

use super::select::Reader;
use super::words::Words;
use crate::error::{ErrorKind, Result};
use crate::expr::Expr;
use crate::expr::display::RESERVED;
use crate::plan::SortKey;
use sqlparser::tokenizer::Token;
use std::ops::Range;

/// The ranges of words between commas.
pub(super) fn split_at_commas(words: &Words, range: Range<usize>) -> Vec<Range<usize>> {
    let mut start = range.start;
    let mut items = Vec::new();
    for at in words.outermost(range.clone()).filter(|&at| words.token(at) == Some(&Token::Comma)) {
        items.push(start..at);
        start = at + 1;
    }
    items.push(start..range.end);
    items
}

type Items = (Vec<Expr>, Vec<Range<usize>>);

/// Items with optional names, separated by commas; `*` where `wildcard`.
pub(super) fn items(reader: &Reader, range: Range<usize>, wildcard: bool) -> Result<Items> {
    let words = &*reader.words;
    let mut exprs = Vec::new();
    let mut spans = Vec::new();
    for item in split_at_commas(words, range) {
        spans.push(words.bytes(item.clone()));
        let is = |at: usize, token: &Token| words.token(item.start + at) == Some(token);
        exprs.push(match item.len() {
            1 if wildcard && is(0, &Token::Mul) => Expr::Wildcard,
            3 if wildcard && is(1, &Token::Period) && is(2, &Token::Mul) => {
                Expr::Column(format!("{}.*", words.name(item.start).unwrap_or_default()).into())
            }
            _ => {
                let expr = named(words, item.clone(), &|range| reader.expression(range))?;
                let is_written = !matches!(expr, Expr::Alias { .. }) && reader.are_in(&expr);
                // What has no text as an expression is called as it is written.
                let name = || words.typed(item).split_whitespace().collect::<Vec<_>>().join(" ");
                if is_written { expr.alias(name()) } else { expr }
            }
        });
    }
    Ok((exprs, spans))
}

/// `EXPR` or `EXPR as NAME`, of which `read` reads the expression.
pub(super) fn named(words: &Words, item: Range<usize>, read: &dyn Fn(Range<usize>) -> Result<Expr>) -> Result<Expr> {
    let as_at = words.outermost(item.clone()).find(|&at| words.is_word(at, "as"));
    let Some(as_at) = as_at else { return read(item) };
    let expr = read(item.start..as_at)?;
    let bad = |message: String, place: Range<usize>| words.error(ErrorKind::Syntax, message, place);
    let after = as_at + 1;
    match words.token(after) {
        _ if after >= item.end => Err(bad("a name is missing after `as`".to_string(), item.end..item.end)),
        Some(Token::Word(word)) if after + 1 == item.end => {
            let reserved = RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&word.value));
            if reserved && word.quote_style.is_none() {
                return Err(bad(format!("`{}` is a word of the language", word.value), after..after + 1)
                    .hint(format!("a result of that name is written in backticks: `{}`", word.value)));
            }
            Ok(expr.alias(word.value.as_str()))
        }
        Some(Token::Word(_)) => {
            let typed = words.typed(after + 1..after + 2);
            Err(bad(format!("unexpected `{typed}`"), after + 1..after + 2)
                .hint("separate items with commas; a name with blanks is written in backticks"))
        }
        _ => Err(bad(format!("`{}` is not a name", words.typed(after..after + 1)), after..after + 1)
            .hint("an odd name is written in backticks")),
    }
}

/// `EXPR`, `EXPR asc` or `EXPR desc`, and `nulls first` behind it, for which another key comes before.
pub(super) fn sort_keys(reader: &Reader, key: Range<usize>) -> Result<Vec<SortKey>> {
    let words = &*reader.words;
    let (mut end, mut nulls_first) = (key.end, false);
    if end > key.start + 2 && words.is_word(end - 2, "nulls") {
        nulls_first = words.is_word(end - 1, "first");
        end -= if nulls_first || words.is_word(end - 1, "last") { 2 } else { 0 };
    }
    let is_direction = |at: &usize| words.is_word(*at, "asc") || words.is_word(*at, "desc");
    let direction = Some(end.saturating_sub(1)).filter(|at| *at > key.start).filter(is_direction);
    let range = key.start..direction.unwrap_or(end);
    let (expr, descending) = (reader.expression(range)?, direction.is_some_and(|at| words.is_word(at, "desc")));
    let nulls = nulls_first.then(|| SortKey { expr: expr.clone().is_null(), descending: true });
    Ok(nulls.into_iter().chain([SortKey { expr, descending }]).collect())
}
