//! What is wrong with a text before it is an expression: where its parser stops, and what is too deep.

use super::stopped::with_meaning;
use super::words::Words;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::elsewhere::written_here;
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token};
use std::ops::Range;

/// How deep the parser follows parentheses, prefixes and branches.
pub(super) const MAX_NESTING: usize = 50;
/// How deep a converted expression may be; chains such as `a + b + c` are as deep as they are long.
pub(super) const MAX_DEPTH: usize = 128;

/// Operators in a row give a tree as deep; it must not become so deep that merely dropping it overflows the stack.
pub(super) fn refuse_long_chains(words: &Words, range: Range<usize>) -> Result<()> {
    if longest_chain(words, range.clone()) > 8 * MAX_DEPTH { Err(too_deep(words, range)) } else { Ok(()) }
}

/// Words of which a text has so many at most: plans nest as deep.
const PARTS: [&str; 6] = ["union", "intersect", "except", "minus", "join", "select"];
const MOST_PARTS: usize = 200;
/// Words behind which a query may begin with its tables or its values.
const BEFORE_QUERIES: [&str; 6] = ["as", "all", "union", "intersect", "except", "minus"];

/// Many queries and joins in a statement or a question give a plan as deep.
pub(super) fn refuse_many_parts(words: &Words, range: Range<usize>) -> Result<()> {
    let is_any = |at: usize, any: &[&str]| any.iter().any(|word| words.is_word(at, word));
    let is_any_before = |at: usize, back: usize, any: &[&str]| at >= range.start + back && is_any(at - back, any);
    let opens = |at: usize| at > range.start && words.token(at - 1) == Some(&Token::LParen);
    let begins = |at: usize| {
        let by_name = is_any_before(at, 1, &["name"]) && is_any_before(at, 2, &["by"]);
        at == range.start || opens(at) || by_name || is_any_before(at, 1, &BEFORE_QUERIES)
    };
    // A list of values that is a table is no deeper than other tables.
    let is_table = |at: usize| opens(at) && is_any_before(at, 2, &["from", "join"]);
    let is_part = |&at: &usize| {
        is_any(at, &PARTS)
            || is_any(at, &["from"]) && begins(at)
            || is_any(at, &["values"]) && begins(at) && !is_table(at)
    };
    let parts = range.clone().filter(is_part).count();
    if parts <= MOST_PARTS {
        return Ok(());
    }
    let what = if words.is_question { "question" } else { "statement" };
    let message = format!("a {what} of {parts} queries and joins is too long");
    Err(words.error(ErrorKind::Limit, message, range).hint(format!("there may be {MOST_PARTS}")))
}

/// At least the number of operators that hang on each other somewhere in `range`. Those inside parentheses or `case`
/// are counted apart from those around them, and a comma, `when`, `then` or `else` starts anew.
fn longest_chain(words: &Words, range: Range<usize>) -> usize {
    let mut open = vec![0_usize];
    let mut longest = 0;
    for at in range {
        let Some(token) = words.token(at) else { break };
        let opens = matches!(token, Token::LParen) || is_keyword(token, &[Keyword::CASE]);
        let closes = matches!(token, Token::RParen) || is_keyword(token, &[Keyword::END]);
        let restarts = matches!(token, Token::Comma) || is_keyword(token, &RESTARTING);
        if opens {
            open.push(0);
        } else if closes && open.len() > 1 {
            open.pop();
        }
        let Some(links) = open.last_mut() else { break };
        if restarts {
            *links = 0;
        } else if !opens && !closes && !is_operand(token) {
            *links += 1;
            longest = longest.max(*links);
        }
    }
    longest
}

/// Words behind which another expression begins.
const RESTARTING: [Keyword; 13] = [
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::BY,
    Keyword::HAVING,
    Keyword::ON,
    Keyword::JOIN,
    Keyword::UNION,
    Keyword::INTERSECT,
    Keyword::EXCEPT,
];

fn is_keyword(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

fn is_operand(token: &Token) -> bool {
    matches!(token, Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
        || is_keyword(token, &[Keyword::NoKeyword, Keyword::NULL, Keyword::TRUE, Keyword::FALSE])
}

/// What samples tables.
const SAMPLES: &str = "`from t tablesample (1 percent)` and `tablesample (1000 rows) repeatable (7)` draw rows";

/// The error for a statement that could not be parsed and samples a table.
pub(super) fn refused_sample(words: &Words, range: Range<usize>) -> Option<Error> {
    let place = |at| match words.is_word(at, "using") && words.is_word(at + 1, "sample") {
        true => Some(at..at + 2),
        false => words.is_word(at, "tablesample").then_some(at..at + 1),
    };
    let place = range.into_iter().find_map(place)?;
    let message = format!("`{}` in this form is not supported", words.typed(place.clone()).to_lowercase());
    let error = words.error(ErrorKind::Unsupported, message, place);
    Some(error.hint(SAMPLES))
}

/// The words `exclude no others` behind frames, which say what holds without them; other ones are refused. The parser knows none.
pub(super) fn exclusions(words: &Words, range: Range<usize>) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for at in range.clone().skip(1).filter(|&at| words.is_word(at, "exclude")) {
        let is = |at: usize, any: &[&str]| any.iter().any(|word| words.is_word(at, word));
        if !is(at - 1, &["row", "preceding", "following"]) {
            continue;
        }
        if is(at + 1, &["no"]) && is(at + 2, &["others"]) {
            found.extend(at..at + 3);
        } else if is(at + 1, &["current", "group", "ties", "no"]) {
            let is_row = is(at + 1, &["current"]);
            let end = if is_row { at + 3 } else { at + 2 };
            let place = at..end.min(range.end);
            let message = format!("`{}` in a frame is not supported", words.typed(place.clone()).to_lowercase());
            let error = words.error(ErrorKind::Unsupported, message, place);
            return Err(error.hint(match is_row {
                true => "of a sum or a count, what the row itself adds can be taken away behind it",
                false => "all rows of a frame count, those that are equal in their order too",
            }));
        }
    }
    Ok(found)
}

pub(super) fn too_deep(words: &Words, range: Range<usize>) -> Error {
    words
        .error(ErrorKind::Limit, "the expression is nested too deeply", range)
        .hint("use `in (…)` for many comparisons with one column")
}

pub(super) fn left_over(words: &Words, at: usize) -> Error {
    let typed = words.typed(at..at + 1);
    let error = words.error(ErrorKind::Syntax, format!("unexpected `{typed}`"), at..at + 1);
    if words.is_word(at, "from") {
        return error.hint("a question has no `from`: the files are named beside it");
    }
    if words.is_word(at, "over") {
        return error.hint("a window stands in parentheses: sum(x) over (partition by k order by t)");
    }
    if words.is_word(at, "filter") {
        return error.hint("write `filter (where CONDITION)` behind an aggregate");
    }
    if words.is_word(at, "as") {
        return error.hint("only a whole item of a select list or of `by` can be named with `as`");
    }
    if typed == "~" {
        return error.hint("a formula is a text: ols('y ~ x')");
    }
    match words.name(at) {
        Some(name) => error.hint(format!("name a result with `as {name}`, or put a comma or an operator before it")),
        None => error.hint("put a comma or an operator before it"),
    }
}

pub(super) fn parser_error(words: &Words, range: &Range<usize>, error: &ParserError) -> Error {
    let ParserError::ParserError(message) = error else { return too_deep(words, range.clone()) };
    let (message, place) = match message.rsplit_once(" at Line: ") {
        Some((message, place)) => (message, parse_place(place)),
        None => (message.as_str(), None),
    };
    let at = place.and_then(|place| words.starting_at(place)).filter(|at| range.contains(at));
    let (bytes, found) = match at {
        Some(at) => (at..at + 1, format!("`{}`", words.typed(at..at + 1))),
        None => (range.end..range.end, "the end".to_string()),
    };
    let expected = message.strip_prefix("Expected: ").or_else(|| message.strip_prefix("Expected "));
    let message = match expected.and_then(|rest| rest.split_once(", found: ")) {
        Some((wanted, _)) if wanted.starts_with("[NOT] NULL") => {
            format!("expected `null` or `not null` after `is`, found {found}")
        }
        Some((wanted, _)) => {
            // Keywords are in capitals there.
            let are_keywords =
                wanted.split_whitespace().all(|word| word == "or" || !word.chars().any(char::is_lowercase));
            let plain = PLAIN.iter().find(|(theirs, _)| wanted.eq_ignore_ascii_case(theirs));
            let shown = match (plain, are_keywords, wanted.contains(' ')) {
                (Some((_, ours)), _, _) => (*ours).to_owned(),
                (None, true, true) => wanted.to_lowercase(),
                (None, false, true) => wanted.to_string(),
                (None, _, false) => format!("`{}`", wanted.to_lowercase()),
            };
            format!("expected {shown}, found {found}")
        }
        // The parser shows a token of its own there.
        None if message.starts_with("No infix parser") => format!("unexpected {found}"),
        None => format!("{}, found {found}", message.trim_end_matches('.')),
    };
    let error = words.error(ErrorKind::Syntax, message, bytes);
    let error = with_meaning(error, words, range, at.unwrap_or(range.end));
    match (expected.is_some_and(|rest| rest.starts_with("an SQL statement")), at) {
        (true, Some(at)) => error.hint(statement_like(words.typed(at..at + 1))),
        _ => error,
    }
}

/// What the parser calls what it expected, and what it is called here.
const PLAIN: [(&str, &str); 7] = [
    ("identifier", "a name"),
    ("literal string", "a text in single quotes"),
    ("literal int", "a whole number"),
    ("literal number", "a number"),
    ("joined table", "a table"),
    ("end of statement", "the end of the statement"),
    ("a list of columns in parentheses", "names of columns in parentheses"),
];

/// The statements that there are, by the words they begin with.
pub(crate) const STATEMENTS: [&str; 10] =
    ["select", "with", "values", "from", "copy", "create temp view", "drop view", "explain", "describe", "summarize"];

/// The first word of each of them.
pub(crate) fn statement_openers() -> impl Iterator<Item = &'static str> {
    STATEMENTS.iter().map(|statement| statement.split(' ').next().unwrap_or(statement))
}

/// What to begin with in place of a word.
fn statement_like(word: &str) -> String {
    match (did_you_mean(word, statement_openers()), written_here(word)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(hint)) => hint.to_owned(),
        (None, None) => format!("statements begin with {}", STATEMENTS.join(", ")),
    }
}

fn parse_place(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}
