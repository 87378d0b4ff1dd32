//! `join` clauses: `left join 'carriers.csv' on UniqueCarrier = Code`.

use super::convert::expression;
use super::words::Words;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{BinaryOp, Expr};
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
    /// What must be equal.
    pub on: Vec<JoinCondition>,
    /// The bytes of the table in the question.
    pub table_span: Range<usize>,
    /// The bytes of the whole clause.
    pub span: Range<usize>,
}

/// Two expressions that must be equal, one of each side.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinCondition {
    /// What stands before `=`.
    pub first: Expr,
    /// What stands behind `=`.
    pub second: Expr,
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
    // `on a = b left`
    if end > at
        && is_kind(words, end - 1)
        && (end - 1 == at || !matches!(words.token(end - 2), Some(Token::Eq | Token::DoubleEq)))
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
        return Err(if is_name { error.hint("a file stands in quotes: join 'carriers.csv' on …") } else { error });
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
    Ok(JoinClause { kind, table: table.into(), is_name, on, table_span, span })
}

fn opens_keys(words: &Words, at: usize) -> bool {
    words.is_word(at, "on") || words.is_word(at, "using")
}

/// `a = b and c = d`.
fn conditions(words: &Words, range: Range<usize>) -> Result<Vec<JoinCondition>> {
    let mut found = Vec::new();
    for item in split(words, range, &|at| words.is_word(at, "and")) {
        let span = words.bytes(item.clone());
        let Expr::Binary { left, op: BinaryOp::Eq, right } = expression(words, item.clone())? else {
            return Err(words
                .error(ErrorKind::Syntax, "a join is on `=` between the two tables", item)
                .hint("other conditions stand behind `where`"));
        };
        found.push(JoinCondition { first: *left, second: *right, span });
    }
    Ok(found)
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
        found.push(JoinCondition { first: name.clone(), second: name, span });
    }
    Ok(found)
}

/// The words between separators outside parentheses and `case`.
fn split(words: &Words, range: Range<usize>, separates: &dyn Fn(usize) -> bool) -> Vec<Range<usize>> {
    let (mut depth, mut start) = (0_usize, range.start);
    let mut items = Vec::new();
    for at in range.clone() {
        match words.token(at) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
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

impl JoinCondition {
    /// The expression over the left table and that over the right one, as far as their names tell; where both ways fit, the
    /// first is of the left table. `None` where neither fits.
    pub(super) fn sides(
        &self,
        on_left: &dyn Fn(&Expr) -> bool,
        on_right: &dyn Fn(&Expr) -> bool,
    ) -> Option<(Expr, Expr)> {
        let fits =
            |left: &Expr, right: &Expr| (on_left(left) && on_right(right)).then(|| (left.clone(), right.clone()));
        fits(&self.first, &self.second).or_else(|| fits(&self.second, &self.first))
    }
}

/// A name that is on neither side, or what is on the wrong one.
pub(super) fn no_sides(condition: &JoinCondition, names: &[&str], table: &str) -> Error {
    let mentioned = condition.first.columns().into_iter().chain(condition.second.columns());
    if let Some(unknown) = mentioned.into_iter().find(|name| !names.contains(&&**name)) {
        let error = Error::new(ErrorKind::Name, format!("no column `{unknown}` on either side of the join"));
        return match crate::error::did_you_mean(&unknown, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("texts stand in quotes, names with odd characters in backticks"),
        };
    }
    let message = format!("`{} = {}` is not between the two tables", condition.first, condition.second);
    Error::new(ErrorKind::Name, message)
        .hint(format!("one side is about columns of {table}, the other about those before the join"))
}
