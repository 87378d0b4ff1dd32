//! Text to expressions and questions.
//!
//! **Problem.** Users type questions such as `mean(ArrDelay) as delay by UniqueCarrier where Month = 12 sort delay
//! desc limit 5`; a slip must be shown where it is, and no text may crash the program.
//! **Idea.** The text is cut into words once, each with its place. Clause words outside parentheses cut a question
//! into clauses; commas cut a clause into items; each item goes to sqlparser's expression parser, and what comes back
//! is turned into [`Expr`]. Window functions and queries in parentheses are planned as those of SQL (`select/asides.rs`).
//! **Invariants.**
//! - Only the words in `expr::display::RESERVED` mean something by themselves; all others, `Year`, `Date` and `count`
//!   among them, are column names unless a parenthesis follows. In backticks every word is a name.
//! - 'single' and "double" quotes both mean text. Names keep their case, keywords do not.
//! - Nothing is named implicitly: `a b` is an error.
//! - Errors underline the text. Depth is limited when parsing and again when converting, so no text overflows the
//!   stack.

mod ask;
mod call;
mod chained;
mod convert;
mod dialect;
mod fits;
mod foreign;
mod formats;
mod forms;
mod formula;
mod items;
mod join;
mod keywords;
mod names;
#[cfg(feature = "cli")]
pub(crate) mod notes;
mod ordered;
mod over;
mod own_names;
mod patterns;
mod qualified;
mod quantified;
mod question;
mod results;
mod rows;
mod select;
mod sides;
mod special;
mod stopped;
mod synonyms;
mod syntax;
mod tables;
mod times;
mod why_text;
mod words;

pub use join::{JoinClause, JoinCondition};
pub use names::function_names;
#[cfg(feature = "cli")]
pub(crate) use question::parse_question_at;
pub use question::{Question, QuestionSpans, parse_question, parse_questions, read_questions};
pub use select::{Asks, Session, Statement};
#[cfg(feature = "cli")]
pub(crate) use syntax::{STATEMENTS, statement_openers};
pub use tables::{Tables, open_table};
#[cfg(feature = "cli")]
pub(crate) use words::micros_now;

use crate::error::{Error, Result};
use crate::expr::Expr;
use sqlparser::tokenizer::Token;
use std::ops::Range;
use words::Words;

/// The expression written in `text`, such as `DepDelay > 15 and Origin = 'SFO'`.
///
/// It is written as those of questions and of SQL. By itself it has no table, so window functions (`over`) and queries in parentheses are
/// errors here: they stand in questions ([`LazyFrame::ask`](crate::LazyFrame::ask)) and in statements ([`Session::sql`]).
///
/// # Errors
/// `Syntax`, `Name` (unknown function) or `Unsupported`, with the place underlined.
///
/// # Example
/// ```
/// let expr = outcrop::sql::parse_expr("ArrDelay>15 AND Origin==\"SFO\"")?;
/// assert_eq!(expr.to_string(), "ArrDelay > 15 and Origin = 'SFO'");
/// # Ok::<(), outcrop::error::Error>(())
/// ```
pub fn parse_expr(text: &str) -> Result<Expr> {
    let words = Words::of(text)?;
    convert::expression(&words, 0..words.len())
}

/// As [`parse_expr`], of an expression that may have a name behind `as`.
///
/// ```
/// use outcrop::{expr, scan_csv};
///
/// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
/// let delays = air.group_by("UniqueCarrier").agg([expr("mean(ArrDelay) as arrival")?, expr("max(DepDelay) as departure")?]);
/// assert_eq!(delays.collect()?.rows(), 14);
/// # Ok::<(), outcrop::Error>(())
/// ```
///
/// # Errors
/// As [`parse_expr`].
pub fn expr(text: &str) -> Result<Expr> {
    let words = Words::of(text)?;
    items::named(&words, 0..words.len(), &|range| convert::expression(&words, range))
}

/// The expression of a text that is read at this time, in microseconds since 1970.
#[cfg(feature = "cli")]
pub(crate) fn parse_expr_at(text: &str, time: i64) -> Result<Expr> {
    let mut words = Words::of(text)?;
    words.read_at = time;
    convert::expression(&words, 0..words.len())
}

/// Where `text` names the column or function `name`: the byte range of its first mention.
pub fn locate(text: &str, name: &str) -> Option<Range<usize>> {
    locate_within(text, name, 0..text.len())
}

/// `error`, which arose when an expression of `text` within the bytes `within` was bound, with its place underlined:
/// the first name the error mentions in backticks if the text has it there, else all of `within`.
pub fn underline(error: Error, text: &str, within: Range<usize>) -> Error {
    if error.underlined().is_some() {
        return error;
    }
    let mentioned = error.message().split('`').nth(1);
    let place = mentioned.and_then(|name| locate_within(text, name, within.clone()));
    error.underline(text, place.unwrap_or(within))
}

fn locate_within(text: &str, name: &str, within: Range<usize>) -> Option<Range<usize>> {
    let words = Words::of(text).ok()?;
    let parts = |at: usize| match words.name(at) {
        Some(first) if first == name => Some(1),
        // `p.year` is one name.
        Some(first) => {
            let rest = name.strip_prefix(first)?.strip_prefix('.')?;
            (words.token(at + 1) == Some(&Token::Period) && words.name(at + 2) == Some(rest)).then_some(3)
        }
        None => None,
    };
    let mut places = (0..words.len()).filter_map(|at| Some(words.bytes(at..at + parts(at)?)));
    places.find(|place| within.start <= place.start && place.end <= within.end)
}

#[cfg(test)]
mod tests;
