//! What is meant where the parser stops: hints that depend on the words around that place.

use super::keywords::is_unit;
use super::words::Words;
use crate::error::Error;
use sqlparser::tokenizer::Token;
use std::ops::Range;

/// The error with what is meant where the parser stopped, if that can be told.
pub(super) fn with_meaning(error: Error, words: &Words, range: &Range<usize>, at: usize) -> Error {
    match meant_at(words, range, at) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What is meant where the parser stopped at the word `at`, behind what it could read.
fn meant_at(words: &Words, range: &Range<usize>, at: usize) -> Option<String> {
    let behind = |back: usize| at.checked_sub(back).filter(|at| range.contains(at));
    let is_behind = |back: usize, word: &str| behind(back).is_some_and(|at| words.is_word(at, word));
    let number_behind = |back: usize| match words.token(behind(back)?) {
        Some(Token::Number(digits, _)) => Some(digits.as_str()),
        _ => None,
    };
    let is = |word: &str| words.is_word(at, word);
    let typed = || words.typed(at..at + 1).to_lowercase();
    if (is("partition") || is("order") || is("group")) && !words.is_word(at + 1, "by") && at + 1 < range.end {
        return Some(format!("write `{} by {}`", typed(), words.typed(at + 1..at + 2)));
    }
    let opens_view = words.is_word(range.start, "create") && !(range.start..at).any(|at| words.is_word(at, "as"));
    if is("select") && opens_view {
        return Some("`as` stands before it: create temp view NAME as select …".to_owned());
    }
    if is("exists") && words.is_word(at + 1, "select") || is("select") && at > range.start {
        return Some(
            match words.is_word(range.start, "from") {
                true => "`select` stands at the front, or right behind the tables: from t select x where y > 1",
                false => "a query inside of another one stands in parentheses",
            }
            .to_owned(),
        );
    }
    // The words of a question are no keywords where these have no meaning.
    let in_over = behind(3).is_some_and(|over| words.is_word(over, "over"));
    if let (true, Some(clause)) = (in_over, ["partition", "order"].into_iter().find(|word| is_behind(1, word))) {
        return Some(format!("write `{clause} by {}`", words.typed(at..at + 1)));
    }
    let is_unit = match words.token(at) {
        Some(Token::Word(word)) => match Token::make_keyword(&word.value) {
            Token::Word(word) => is_unit(word.keyword),
            _ => false,
        },
        _ => false,
    };
    if let Some(number) = number_behind(1).filter(|_| is_unit) {
        return Some(format!("a length of time is `interval '{number} {}'`", typed()));
    }
    let is_share = |back: usize| is_behind(back + 1, "limit");
    let share = match behind(1).and_then(|at| words.token(at)) {
        Some(Token::Mod) => number_behind(2).filter(|_| is_share(2)),
        _ => number_behind(1).filter(|_| is("percent") && is_share(1)),
    };
    if let Some(share) = share {
        let draws = format!("`from t tablesample ({share} percent)` draws a share of them at random");
        return Some(format!("`limit` takes a number of rows; {draws}"));
    }
    if is_behind(1, "lambda") || words.token(at) == Some(&Token::LParen) && words.is_word(at + 1, "lambda") {
        return Some("an expression says what to do with a column, such as `x + 1`".to_owned());
    }
    if is_behind(1, "is") && (is("nan") || is("na")) {
        return Some(
            match is("nan") {
                true => "`is_nan(x)` asks for it",
                false => "write `x is null`",
            }
            .to_owned(),
        );
    }
    let is_sign = |back: usize, sign: &Token| behind(back).and_then(|at| words.token(at)) == Some(sign);
    if words.token(at) == Some(&Token::LParen)
        && is_behind(1, "null")
        && is_sign(2, &Token::Period)
        && is_behind(3, "is")
    {
        return Some("write `x is null`".to_owned());
    }
    let is_filter = |back: usize| is_behind(back, "filter") && is_sign(back + 1, &Token::RParen);
    if (1..=4).any(is_filter) && !range.clone().any(|at| words.is_word(at, "filter") && words.is_word(at + 2, "where"))
    {
        return Some("write `filter (where CONDITION)`".to_owned());
    }
    let is_named =
        matches!(words.token(at + 1), Some(Token::Eq | Token::RArrow | Token::Assignment)) && at + 1 < range.end;
    if is_named && matches!(words.token(at), Some(Token::Word(_))) && reads_a_file(words, range, at) {
        return Some("a comma stands between options".to_owned());
    }
    None
}

/// Whether the parenthesis around the word at `at` is that of a function that reads files.
fn reads_a_file(words: &Words, range: &Range<usize>, at: usize) -> bool {
    let mut closed = 0_usize;
    for before in (range.start..at).rev() {
        match words.token(before) {
            Some(Token::RParen) => closed += 1,
            Some(Token::LParen) if closed > 0 => closed -= 1,
            Some(Token::LParen) => {
                let name = before.checked_sub(1).map(|name| words.typed(name..name + 1).to_lowercase());
                return name.is_some_and(|name| name.starts_with("read_") || name.contains("scan"));
            }
            _ => {}
        }
    }
    false
}
