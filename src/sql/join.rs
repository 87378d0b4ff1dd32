//! `join` clauses: `left join 'carriers.csv' on UniqueCarrier = Code`.

use super::convert::expression;
use super::words::Words;
use crate::error::{ErrorKind, Result};
use crate::expr::Expr;
use crate::plan::JoinKind;
use sqlparser::tokenizer::Token;
use std::ops::Range;
use std::sync::Arc;

/// A join of a question; whose side a name is on is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinClause {
    /// Which rows it gives.
    pub kind: JoinKind,
    /// The file or pattern, or the name of a table.
    pub table: Arc<str>,
    /// It is a name, and not a file.
    pub is_name: bool,
    /// What the table is called in this question: `as p`.
    pub alias: Option<Arc<str>>,
    /// What rows that belong together fulfil.
    pub on: Vec<JoinCondition>,
    /// The bytes of the table in the question.
    pub table_span: Range<usize>,
    /// The bytes of the whole clause.
    pub span: Range<usize>,
}

/// What rows that belong together fulfil: an equation between the two sides, or a condition on one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinCondition {
    /// The condition; of a name behind `using`, that it equals itself.
    pub condition: Expr,
    /// It stands behind `using`.
    pub is_using: bool,
    /// The bytes of the condition in the question.
    pub span: Range<usize>,
}

const KINDS: [&str; 7] = ["inner", "left", "right", "full", "semi", "anti", "cross"];

/// How many words from `at` on open a join: `join`, a kind before it, and `outer` between them.
pub(super) fn opening(words: &Words, at: usize) -> Option<usize> {
    let is = |offset: usize, word: &str| words.is_word(at + offset, word);
    match () {
        () if is(0, "join") => Some(1),
        () if !is_kind(words, at) => None,
        () if is(1, "join") => Some(2),
        () if is(1, "outer") && is(2, "join") => Some(3),
        () => None,
    }
}

/// A word before `join` that ends no expression must mean a kind; which one is not known.
///
/// # Errors
/// `Name` for such a word.
pub(super) fn refuse_unknown_kind(words: &Words, body: Range<usize>) -> Result<()> {
    let Some(last) = body.clone().next_back().filter(|last| *last > body.start) else { return Ok(()) };
    let Some(Token::Word(word)) = words.token(last) else { return Ok(()) };
    if word.quote_style.is_some() || !ends_expression(words, last) || closes_expression(&word.value) {
        return Ok(());
    }
    let Err(error) = JoinKind::parse(&word.value) else { return Ok(()) };
    let error = match word.value.to_lowercase().as_str() {
        "outer" => error.hint("an outer join is a `left`, `right` or `full` one"),
        "natural" => error.hint("`using (a, b)` joins on columns of the same names"),
        _ => error,
    };
    Err(error.underline(&words.text, words.bytes(last..last + 1)))
}

/// Whether an expression may end before the word at `at`.
pub(super) fn ends_expression(words: &Words, at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| words.token(before)) {
        Some(Token::RParen | Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => true,
        Some(Token::Word(before)) => before.quote_style.is_some() || !opens_word(&before.value),
        _ => false,
    }
}

/// Words behind which an expression or a name goes on.
fn opens_word(word: &str) -> bool {
    const OPENING: [&str; 22] = [
        "and",
        "or",
        "not",
        "is",
        "in",
        "between",
        "like",
        "ilike",
        "as",
        "by",
        "on",
        "case",
        "when",
        "then",
        "else",
        "where",
        "having",
        "sort",
        "limit",
        "distinct",
        "date",
        "timestamp",
    ];
    OPENING.iter().any(|opening| opening.eq_ignore_ascii_case(word))
}

/// Words that may follow an expression.
fn closes_expression(word: &str) -> bool {
    ["end", "asc", "desc", "null", "first", "last"].iter().any(|closing| closing.eq_ignore_ascii_case(word))
}

fn is_kind(words: &Words, at: usize) -> bool {
    KINDS.iter().any(|kind| words.is_word(at, kind))
}

/// The clause that the words `opening` open.
pub(super) fn clause(words: &Words, opening: Range<usize>, body: Range<usize>) -> Result<JoinClause> {
    let wrong = |message: &str, place: Range<usize>| words.error(ErrorKind::Syntax, message, place);
    let mut kinds: Vec<usize> = Vec::new();
    if is_kind(words, opening.start) {
        kinds.push(opening.start);
    }
    let (mut at, mut end) = (body.start, body.end);
    let names_table = |at: usize| at < end && matches!(words.token(at), Some(Token::Word(_))) && !opens_keys(words, at);
    let is_text = |at: usize| {
        at < end && matches!(words.token(at), Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)))
    };
    // `join left 'b.csv' on …`
    if is_kind(words, at) && (is_text(at + 1) || names_table(at + 1)) {
        kinds.push(at);
        at += 1;
    }
    let (table, is_name) = match words.token(at) {
        Some(Token::SingleQuotedString(file) | Token::DoubleQuotedString(file)) if at < end => (file.as_str(), false),
        Some(Token::Word(word)) if names_table(at) => (word.value.as_str(), true),
        _ => {
            return Err(wrong("a join needs a table", if at < end { at..at + 1 } else { opening })
                .hint("such as `join 'carriers.csv' on UniqueCarrier = Code`"));
        }
    };
    let table_at = at;
    at += 1;
    let mut alias = None;
    if at < end && words.is_word(at, "as") {
        match words.token(at + 1) {
            Some(Token::Word(word)) if at + 1 < end && !opens_keys(words, at + 1) => {
                alias = Some(word.value.as_str().into())
            }
            _ => {
                return Err(
                    wrong("a name is missing after `as`", at..at + 1).hint("such as `join 'planes.csv' as p on …`")
                );
            }
        }
        at += 2;
    }
    // `on a = b left`
    if end > at
        && is_kind(words, end - 1)
        && (end - 1 == at || !matches!(words.token(end - 2), Some(Token::Eq | Token::DoubleEq | Token::Period)))
    {
        kinds.push(end - 1);
        end -= 1;
    }
    if let [_, second, ..] = kinds[..] {
        return Err(wrong("a second kind of join", second..second + 1).hint("a kind stands once, as in `left join`"));
    }
    let kind = match kinds.first() {
        Some(&at) => JoinKind::parse(words.typed(at..at + 1))?,
        None => JoinKind::Inner,
    };
    let on = if at == end {
        Vec::new()
    } else if words.is_word(at, "on") {
        conditions(words, at + 1..end)?
    } else if words.is_word(at, "using") {
        same_names(words, at + 1..end)?
    } else {
        let error = wrong("expected `on` or `using` after the table", at..at + 1);
        return Err(match words.token(at) {
            Some(Token::Word(word)) if alias.is_none() && (at + 1 == end || opens_keys(words, at + 1)) => {
                error.hint(format!("a table is given a name with `as {}`", word.value))
            }
            _ if is_name => error.hint("a file stands in quotes: join 'carriers.csv' on …"),
            _ => error,
        });
    };
    if on.is_empty() != (kind == JoinKind::Cross) {
        let message = if on.is_empty() { "a join says what must be equal" } else { "a cross join has no keys" };
        let place = if on.is_empty() { opening.start..at } else { at..end };
        return Err(
            wrong(message, place).hint("write `on a = b` or `using (a)`; `cross join` takes every pair of rows")
        );
    }
    let table_span = words.bytes(table_at..table_at + 1);
    let span = words.bytes(opening.start..body.end);
    Ok(JoinClause { kind, table: table.into(), is_name, alias, on, table_span, span })
}

fn opens_keys(words: &Words, at: usize) -> bool {
    words.is_word(at, "on") || words.is_word(at, "using")
}

/// `a = b and c > 5`.
fn conditions(words: &Words, range: Range<usize>) -> Result<Vec<JoinCondition>> {
    let mut found = Vec::new();
    let of_between = ands_of_between(words, range.clone());
    for item in split(words, range, &|at| words.is_word(at, "and") && !of_between.contains(&at)) {
        let span = words.bytes(item.clone());
        found.push(JoinCondition { condition: expression(words, item)?, is_using: false, span });
    }
    Ok(found)
}

/// Each `and` that belongs to a `between`.
fn ands_of_between(words: &Words, range: Range<usize>) -> Vec<usize> {
    // How many of them are open, in each pair of parentheses.
    let (mut open, mut found) = (vec![0_usize], Vec::new());
    for at in range {
        match words.token(at) {
            Some(Token::LParen) => open.push(0),
            Some(Token::RParen) if open.len() > 1 => drop(open.pop()),
            _ if words.is_word(at, "between") => open.iter_mut().last().into_iter().for_each(|open| *open += 1),
            _ if words.is_word(at, "and") => {
                if let Some(open) = open.last_mut().filter(|open| **open > 0) {
                    *open -= 1;
                    found.push(at);
                }
            }
            _ => {}
        }
    }
    found
}

/// `(a, b)`.
fn same_names(words: &Words, range: Range<usize>) -> Result<Vec<JoinCondition>> {
    let closed = range.len() > 2
        && words.token(range.start) == Some(&Token::LParen)
        && words.token(range.end - 1) == Some(&Token::RParen);
    if !closed {
        let place = if range.is_empty() { range } else { range.start..range.start + 1 };
        return Err(words
            .error(ErrorKind::Syntax, "`using` takes names in parentheses", place)
            .hint("such as `using (Origin, Dest)`"));
    }
    let inside = range.start + 1..range.end - 1;
    let mut found = Vec::new();
    for item in split(words, inside, &|at| words.token(at) == Some(&Token::Comma)) {
        let span = words.bytes(item.clone());
        let name = expression(words, item.clone())?;
        if !matches!(name, Expr::Column(_)) {
            return Err(words.error(ErrorKind::Syntax, "`using` takes names of columns", item));
        }
        found.push(JoinCondition { condition: name.clone().eq(name), is_using: true, span });
    }
    Ok(found)
}

/// The words between separators outside parentheses, brackets and `case`.
fn split(words: &Words, range: Range<usize>, separates: &dyn Fn(usize) -> bool) -> Vec<Range<usize>> {
    let (mut depth, mut start) = (0_usize, range.start);
    let mut items = Vec::new();
    for at in words.outermost(range.clone()) {
        match () {
            _ if words.is_word(at, "case") => depth += 1,
            _ if words.is_word(at, "end") => depth = depth.saturating_sub(1),
            _ if depth == 0 && separates(at) => {
                items.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(start..range.end);
    items
}
