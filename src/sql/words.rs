//! Text cut into words that know their place.

use super::dialect::Grammar;
use crate::error::{Error, ErrorKind, Result};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest text accepted, in bytes.
const MAX_BYTES: usize = 1 << 18;

/// Whether a sign compares two values.
pub(super) fn compares(token: &Token) -> bool {
    matches!(token, Token::Eq | Token::DoubleEq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq)
}

/// A text and its words, white space left out.
pub(super) struct Words {
    pub(super) text: Arc<str>,
    pub(super) tokens: Vec<TokenWithSpan>,
    /// The byte range of each token.
    ranges: Vec<Range<usize>>,
    /// They are a question or an expression, and not SQL.
    pub(super) is_question: bool,
    /// Of a question, the words of each query in parentheses, and these around them; those inside of others are in theirs.
    pub(super) queries: Vec<Range<usize>>,
    /// When it was read, in microseconds since 1970, UTC.
    pub(super) read_at: i64,
}

impl Words {
    /// Cuts a question or an expression.
    pub(super) fn of(text: &str) -> Result<Words> {
        let mut words = Words::cut(text, Grammar::QUESTION)?;
        words.settle_keywords();
        Ok(words)
    }

    /// Cuts SQL, in which double quotes mean names and `--` a comment.
    pub(super) fn of_sql(text: &str) -> Result<Words> {
        Words::cut(text, Grammar::SQL)
    }

    fn cut(text: &str, grammar: Grammar) -> Result<Words> {
        let is_question = !grammar.double_quotes_are_names;
        if text.len() > MAX_BYTES {
            return Err(Error::new(ErrorKind::Limit, format!("a text of {} bytes is too long", text.len()))
                .hint(format!("a question has at most {MAX_BYTES} bytes")));
        }
        let all = Tokenizer::new(&grammar, text).tokenize_with_location().map_err(|error| {
            let mut cursor = Cursor::new(text);
            let start = cursor.byte_at(error.location);
            let message = error.message.trim_end_matches('.');
            let mut chars = message.chars();
            let lower = chars.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
            let end = if message.starts_with("Unterminated") { text.len() } else { start + 1 };
            Error::new(ErrorKind::Syntax, lower + chars.as_str()).underline(text, start..end)
        })?;
        let (tokens, ranges, queries) = (Vec::new(), Vec::new(), Vec::new());
        let mut words = Words { text: Arc::from(text), tokens, ranges, is_question, queries, read_at: micros_now() };
        let mut cursor = Cursor::new(text);
        for token in all {
            let range = cursor.byte_at(token.span.start)..cursor.byte_at(token.span.end);
            match &token.token {
                Token::Whitespace(Whitespace::SingleLineComment { .. }) if is_question => {
                    // Silently dropping `--5` from `x --5` would change the answer.
                    return Err(Error::new(ErrorKind::Syntax, "`--` starts a comment in SQL")
                        .underline(text, range.start..range.start + 2)
                        .hint("write `- -` for two signs"));
                }
                Token::Whitespace(_) | Token::EOF => {}
                _ => {
                    words.tokens.push(token);
                    words.ranges.push(range);
                }
            }
        }
        Ok(words)
    }

    /// Whether a query in parentheses is among the words `range`.
    pub(super) fn has_query(&self, range: &Range<usize>) -> bool {
        self.queries.iter().any(|query| range.contains(&query.start))
    }

    /// The texts in quotes of the queries in parentheses.
    pub(super) fn texts_of_queries(&self) -> Vec<String> {
        let text = |at| match self.token(at)? {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text.clone()),
            _ => None,
        };
        self.queries.iter().flat_map(|query| query.clone()).filter_map(text).collect()
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The word at `at`.
    pub(super) fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|token| &token.token)
    }

    /// The words `range`, for the parser.
    pub(super) fn tokens(&self, range: Range<usize>) -> Vec<TokenWithSpan> {
        self.tokens[range].to_vec()
    }

    /// Whether the word at `at` is `word`, in any case and not in backticks.
    pub(super) fn is_word(&self, at: usize, word: &str) -> bool {
        match self.token(at) {
            Some(Token::Word(found)) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    /// The name the word at `at` stands for, if it is one.
    pub(super) fn name(&self, at: usize) -> Option<&str> {
        match self.token(at) {
            Some(Token::Word(word)) if word.keyword == Keyword::NoKeyword => Some(&word.value),
            _ => None,
        }
    }

    /// Whether the word at `at` is the name `name`, or would be if it were no keyword.
    pub(super) fn reads(&self, at: usize, name: &str) -> bool {
        matches!(self.token(at), Some(Token::Word(word)) if word.value.eq_ignore_ascii_case(name))
    }

    /// The bytes of the words `range`; an empty range is the place where a word is missing.
    pub(super) fn bytes(&self, range: Range<usize>) -> Range<usize> {
        let end_of = |at: usize| self.ranges.get(at).map_or(self.text.len(), |range| range.end);
        match range.is_empty() {
            false => self.ranges.get(range.start).map_or(self.text.len(), |range| range.start)..end_of(range.end - 1),
            true if range.start == 0 => 0..0,
            true => end_of(range.start - 1)..end_of(range.start - 1),
        }
    }

    /// Those of the words `range` that stand in no parentheses or brackets, which are left out, too.
    pub(super) fn outermost(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        range.filter(move |&at| {
            match self.token(at) {
                Some(Token::LParen | Token::LBracket) => depth += 1,
                Some(Token::RParen | Token::RBracket) => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
    }

    /// What was typed at the words `range`.
    pub(super) fn typed(&self, range: Range<usize>) -> &str {
        &self.text[self.bytes(range)]
    }

    /// The word that starts at a place reported by the parser.
    pub(super) fn starting_at(&self, place: Location) -> Option<usize> {
        self.tokens.binary_search_by_key(&place, |token| token.span.start).ok()
    }

    /// The bytes of a span reported by the parser, if it covers words of ours.
    pub(super) fn span_bytes(&self, span: Span) -> Option<Range<usize>> {
        let first = self.starting_at(span.start)?;
        let last = self.tokens.binary_search_by_key(&span.end, |token| token.span.end).ok()?;
        (first <= last).then(|| self.bytes(first..last + 1))
    }

    /// An error of `kind` at the words `range`.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>, range: Range<usize>) -> Error {
        Error::new(kind, message).underline(&self.text, self.bytes(range))
    }
}

/// By what was typed.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.is_question == other.is_question
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Words").field(&self.text).finish()
    }
}

/// The present time in microseconds since 1970, UTC.
pub(crate) fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Walks a text forward to turn lines and columns, both counted from one and in characters, into bytes.
struct Cursor<'a> {
    rest: std::str::CharIndices<'a>,
    line: u64,
    column: u64,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Cursor { rest: text.char_indices(), line: 1, column: 1, end: text.len() }
    }

    fn byte_at(&mut self, place: Location) -> usize {
        while (self.line, self.column) < (place.line, place.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => return self.end,
            }
        }
        self.rest.offset()
    }
}
