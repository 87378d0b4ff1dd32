//! Questions: a select list and its clauses, in any order.

use super::items::{items, sort_keys, split_at_commas};
use super::join::{self, JoinClause};
use super::select::{Asides, Reader};
use super::syntax::refuse_many_parts;
use super::words::Words;
use super::{locate, underline};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::plan::{SampleSize, SortKey};
use sqlparser::tokenizer::Token;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The byte ranges of a question's parts in its text, in the same order as the parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionSpans {
    /// Of each item of the select list.
    pub select: Vec<Range<usize>>,
    /// Of each key.
    pub by: Vec<Range<usize>>,
    /// Of the condition after `where`.
    pub filter: Option<Range<usize>>,
    /// Of the condition after `having`.
    pub having: Option<Range<usize>>,
    /// Of the condition after `qualify`.
    pub qualify: Option<Range<usize>>,
    /// Of each sort key; of one with `nulls first`, which are two keys, twice.
    pub sort: Vec<Range<usize>>,
    /// Of what stands after `sample`.
    pub sample: Option<Range<usize>>,
    /// Of the number after `limit`.
    pub limit: Option<Range<usize>>,
}

/// A question as it was asked; names and types are not checked yet. In its expressions, a window function or a query in parentheses
/// is a column of a name that no other has.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The text as typed.
    pub text: Arc<str>,
    /// What to compute or show; `as` gives [`Expr::Alias`], `*` gives [`Expr::Wildcard`].
    pub select: Vec<Expr>,
    /// Whether equal rows are shown once: `distinct` before the select list.
    pub distinct: bool,
    /// The keys of the groups; empty without `by`.
    pub by: Vec<Expr>,
    /// What is joined, in order.
    pub joins: Vec<JoinClause>,
    /// The condition rows must pass, but for `x in (select …)` beside others.
    pub filter: Option<Expr>,
    /// How many of the rows that pass are drawn for the question to be about, and the seed.
    pub sample: Option<(SampleSize, u64)>,
    /// The condition result rows must pass.
    pub having: Option<Expr>,
    /// The condition that rows, or groups, must pass that have been given their window functions.
    pub qualify: Option<Expr>,
    /// The order of the result; empty without `sort`.
    pub sort: Vec<SortKey>,
    /// Most rows of the result.
    pub limit: Option<u64>,
    /// Where each part stands in the text.
    pub spans: QuestionSpans,
    /// The window functions and queries of its expressions.
    pub(super) asides: Asides,
}

impl Question {
    /// Whether neither window functions nor queries are in its expressions, so that each is complete by itself.
    pub fn is_plain(&self) -> bool {
        self.asides.is_empty()
    }

    /// The files or patterns that it names: those of its joins, and all texts in quotes of its queries, any of which may be one.
    pub fn files(&self) -> Vec<String> {
        let joined = self.joins.iter().filter(|clause| !clause.is_name).map(|clause| clause.table.to_string());
        joined.chain(self.asides.texts()).collect()
    }

    /// Where the question names the column or function `name` first.
    pub fn locate(&self, name: &str) -> Option<Range<usize>> {
        locate(&self.text, name)
    }

    /// `error`, which arose from the part at `span`, with its place underlined: the name the error mentions, if the
    /// part has it, else the whole part. An error that is underlined already stays as it is.
    pub fn underline(&self, error: Error, span: &Range<usize>) -> Error {
        underline(error, &self.text, span.clone())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Select,
    Join,
    By,
    Where,
    Sample,
    Having,
    Qualify,
    Sort,
    Limit,
}

/// The words of one clause, without the words that open it.
struct Part {
    clause: Clause,
    opening: Range<usize>,
    body: Range<usize>,
}

/// The question written in `text`, such as `count(*) as n by Origin where Month = 12 sort n desc limit 10`.
///
/// # Errors
/// `Syntax`, `Name` (unknown function) or `Unsupported`, with the place underlined.
pub fn parse_question(text: &str) -> Result<Question> {
    parse_question_at(text, None)
}

/// The question of a text that is read at this time, in microseconds since 1970; `None` is the present.
pub(crate) fn parse_question_at(text: &str, time: Option<i64>) -> Result<Question> {
    let mut words = Words::of(text)?;
    words.read_at = time.unwrap_or(words.read_at);
    if words.is_word(0, "select") {
        return Err(words
            .error(ErrorKind::Syntax, "`select` is not needed", 0..1)
            .hint("a question begins with what to compute, and the files are named beside it"));
    }
    refuse_many_parts(&words, 0..words.len())?;
    let reader = Reader::new(words);
    let words = &*Arc::clone(&reader.words);
    let mut question = Question {
        text: Arc::clone(&words.text),
        select: Vec::new(),
        distinct: false,
        by: Vec::new(),
        joins: Vec::new(),
        filter: None,
        sample: None,
        having: None,
        qualify: None,
        sort: Vec::new(),
        limit: None,
        spans: QuestionSpans::default(),
        asides: Asides::new(Arc::clone(&reader.words)),
    };
    let mut seen: Vec<Clause> = Vec::new();
    for Part { clause, opening, body } in parts(words)? {
        if seen.contains(&clause) && clause != Clause::Join {
            let message = format!("a second `{}`", words.typed(opening.clone()).to_lowercase());
            return Err(words.error(ErrorKind::Syntax, message, opening).hint("each clause stands once"));
        }
        seen.push(clause);
        if body.is_empty() {
            return Err(empty_clause(words, clause, opening));
        }
        let spans = &mut question.spans;
        match clause {
            Clause::Select => {
                question.distinct = opens_distinct(words, &body);
                let body = body.start + usize::from(question.distinct)..body.end;
                (question.select, spans.select) = items(&reader, body, true)?;
            }
            Clause::Join => question.joins.push(join::clause(words, opening, body)?),
            Clause::By => {
                (question.by, spans.by) = items(&reader, body, false)?;
                let mut keys = question.by.iter().zip(&spans.by);
                keys.try_for_each(|(key, span)| reader.refuse_windows(key, "by", span))?;
            }
            Clause::Where => {
                spans.filter = Some(words.bytes(body.clone()));
                question.filter = reader.condition(body)?;
            }
            Clause::Sample => {
                spans.sample = Some(words.bytes(body.clone()));
                question.sample = Some(sample(words, body)?);
            }
            Clause::Having => {
                let (having, span) = (reader.expression(body.clone())?, words.bytes(body));
                reader.refuse_windows(&having, "having", &span)?;
                (question.having, spans.having) = (Some(having), Some(span));
            }
            Clause::Qualify => {
                spans.qualify = Some(words.bytes(body.clone()));
                question.qualify = Some(reader.expression(body)?);
            }
            Clause::Sort => {
                for key in split_at_commas(words, body) {
                    for key_of_sort in sort_keys(&reader, key.clone())? {
                        spans.sort.push(words.bytes(key.clone()));
                        question.sort.push(key_of_sort);
                    }
                }
            }
            Clause::Limit => {
                spans.limit = Some(words.bytes(body.clone()));
                question.limit = Some(limit(words, body)?);
            }
        }
    }
    question.asides = reader.finish();
    Ok(question)
}

/// The questions of a file: one a line; blank lines and lines that start with `#` are left out. `name` is the file's
/// name for errors.
///
/// # Errors
/// As [`parse_question`], with file and line.
pub fn parse_questions(name: &str, text: &str) -> Result<Vec<Question>> {
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1..);
    let questions = lines.map(|(line, number)| (line.trim(), number));
    questions
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            parse_question(line).map_err(|error| error.in_file(name).with_place(|place| place.line = Some(number)))
        })
        .collect()
}

/// The questions of the file at `path`, as [`parse_questions`].
///
/// # Errors
/// `Io` when the file cannot be read, `Malformed` when it is not UTF-8, else as [`parse_question`].
pub fn read_questions(path: impl AsRef<Path>) -> Result<Vec<Question>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, &error))?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() as u64;
        Error::new(ErrorKind::Malformed, "a file of questions is UTF-8 text, and this byte is not")
            .in_file(&name)
            .with_place(|place| place.byte = Some(at))
    })?;
    parse_questions(&name, &text)
}

/// Cuts a question at the clause words outside parentheses and brackets.
fn parts(words: &Words) -> Result<Vec<Part>> {
    let mut end = words.len();
    if end > 0 && words.token(end - 1) == Some(&Token::SemiColon) {
        end -= 1;
    }
    let mut parts = vec![Part { clause: Clause::Select, opening: 0..0, body: 0..end }];
    let mut opened = 0;
    for at in words.outermost(0..end) {
        // Behind a dot every word is a name.
        if at < opened || at > 0 && words.token(at - 1) == Some(&Token::Period) {
            continue;
        }
        if let Some((clause, length)) = clause_at(words, at)? {
            if let Some(last) = parts.last_mut() {
                last.body.end = at;
                if clause == Clause::Join && length == 1 {
                    join::refuse_unknown_kind(words, last.body.clone())?;
                }
            }
            opened = at + length;
            parts.push(Part { clause, opening: at..opened, body: opened..end });
        }
    }
    Ok(parts)
}

/// The clause that opens at the word `at`, and how many words open it.
fn clause_at(words: &Words, at: usize) -> Result<Option<(Clause, usize)>> {
    let is = |offset: usize, word: &str| words.is_word(at + offset, word);
    if let Some(length) = join::opening(words, at) {
        return Ok(Some((Clause::Join, length)));
    }
    Ok(Some(match () {
        () if is(0, "by") => (Clause::By, 1),
        () if is(0, "where") => (Clause::Where, 1),
        // A column may be called so, but no number stands behind it.
        () if is(0, "sample") && matches!(words.token(at + 1), Some(Token::Number(..))) => (Clause::Sample, 1),
        () if is(0, "having") => (Clause::Having, 1),
        // A column may be called so, but it does not stand behind an expression.
        () if is(0, "qualify") && (join::ends_expression(words, at) || is_behind_all(words, at)) => {
            (Clause::Qualify, 1)
        }
        () if is(0, "limit") => (Clause::Limit, 1),
        () if is(0, "sort") => (Clause::Sort, if is(1, "by") { 2 } else { 1 }),
        () if is(0, "group") && is(1, "by") => (Clause::By, 2),
        () if is(0, "order") && is(1, "by") => (Clause::Sort, 2),
        () if is(0, "group") && at > 0 && words.is_word(at - 1, "within") => return Ok(None),
        () if is(0, "group") || is(0, "order") => {
            let typed = words.typed(at..at + 1);
            return Err(words
                .error(ErrorKind::Syntax, format!("expected `by` after `{typed}`"), at..at + 1)
                .hint(format!("a column of that name is written in backticks: `{typed}`")));
        }
        () => return Ok(None),
    }))
}

/// Whether the word at `at` stands behind a `*` that is all columns, and no product.
fn is_behind_all(words: &Words, at: usize) -> bool {
    let is_all = at > 0 && words.token(at - 1) == Some(&Token::Mul);
    let begins = |before: usize| {
        matches!(words.token(before), Some(Token::Comma | Token::Period)) || words.is_word(before, "distinct")
    };
    is_all && at.checked_sub(2).is_none_or(begins)
}

/// Whether a select list begins with `distinct` for all that follows, and not with a column of that name.
fn opens_distinct(words: &Words, body: &Range<usize>) -> bool {
    let next = body.start + 1;
    if !words.is_word(body.start, "distinct") || next >= body.end {
        return false;
    }
    match words.token(next) {
        Some(Token::LParen) => true,
        Some(Token::Mul) => next + 1 == body.end || words.token(next + 1) == Some(&Token::Comma),
        Some(Token::Word(_)) => !["and", "or", "not", "is", "in", "between", "like", "ilike", "as"]
            .iter()
            .any(|word| words.is_word(next, word)),
        _ => false,
    }
}

fn empty_clause(words: &Words, clause: Clause, opening: Range<usize>) -> Error {
    let typed = words.typed(opening.clone()).to_lowercase();
    let error = |message: String, place: Range<usize>| words.error(ErrorKind::Syntax, message, place);
    let hint = match clause {
        Clause::Select => {
            let first = if words.len() > 0 { 0..1 } else { 0..0 };
            return error("a question begins with what to compute or show".to_string(), first)
                .hint("such as `count(*)`, `mean(x) by y`, or `*` for all columns");
        }
        Clause::Join => "name a table and what must be equal, such as `join 'carriers.csv' on UniqueCarrier = Code`",
        Clause::By => "name what makes a group, such as `by Year, Month`",
        Clause::Where => "give a condition, such as `where Month = 12`",
        Clause::Sample => "give a number of rows or a share of them, such as `sample 1000` or `sample 1%`",
        Clause::Having => "give a condition on the result, such as `having n > 100`",
        Clause::Qualify => {
            "give a condition on window functions, such as `qualify row_number() over (order by x) <= 3`"
        }
        Clause::Sort => "name what to sort by, such as `sort n desc`",
        Clause::Limit => "give the number of rows, such as `limit 10`",
    };
    error(format!("nothing after `{typed}`"), opening)
        .hint(format!("{hint}; a column of that name is written in backticks"))
}

/// `ROWS`, `SHARE%`, and a seed behind it if that is not 0.
fn sample(words: &Words, body: Range<usize>) -> Result<(SampleSize, u64)> {
    let number = |at: usize| match words.token(at) {
        Some(Token::Number(digits, false)) if at < body.end => Some(digits.as_str()),
        _ => None,
    };
    let wrong = |what: &str, place: Range<usize>| {
        words
            .error(ErrorKind::Syntax, format!("`{}` is not {what}", words.typed(place.clone())), place)
            .hint("such as `sample 1000`, `sample 1%` or `sample 1000 seed 7`")
    };
    let first = body.start..body.start + 1;
    let mut at = body.start + 1;
    let size = if at < body.end && words.token(at) == Some(&Token::Mod) {
        at += 1;
        let percent: Option<f64> = number(body.start).and_then(|digits| digits.parse().ok());
        let share = percent.map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share));
        SampleSize::Share(share.ok_or_else(|| wrong("a share from 0% to 100%", body.start..at))?)
    } else {
        let rows = number(body.start).and_then(|digits| digits.parse().ok());
        SampleSize::Rows(rows.ok_or_else(|| wrong("a number of rows", first))?)
    };
    if at == body.end {
        return Ok((size, 0));
    }
    let seed = number(at + 1).and_then(|digits| digits.parse().ok());
    match seed {
        Some(seed) if words.is_word(at, "seed") && at + 2 == body.end => Ok((size, seed)),
        _ => Err(wrong("a seed", at..body.end)),
    }
}

fn limit(words: &Words, body: Range<usize>) -> Result<u64> {
    match words.token(body.start) {
        Some(Token::Number(digits, false)) if body.len() == 1 => digits.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| {
        let message = format!("`{}` is not a number of rows", words.typed(body.clone()));
        let hint = match (words.token(body.start + 1), words.token(body.start + 2)) {
            (Some(Token::Mod), _) => "a share of the rows at random is `sample 10%`",
            (Some(Token::Comma), Some(Token::Number(..))) => {
                "`limit 10` has the first ten rows; in SQL, `limit 10 offset 5` leaves five out"
            }
            _ => "limit takes one whole number, such as `limit 10`",
        };
        words.error(ErrorKind::Syntax, message, body).hint(hint)
    })
}
