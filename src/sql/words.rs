//! Text cut into words that know their place.

use super::syntax::MAX_NESTING;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::display::{RESERVED, is_name_part, is_name_start};
use sqlparser::dialect::{Dialect, DuckDbDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::any::TypeId;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest text accepted, in bytes.
const MAX_BYTES: usize = 1 << 18;

/// How our expressions are written, for the tokeniser and the parser.
#[derive(Debug)]
pub(super) struct OutcropDialect;

impl Dialect for OutcropDialect {
    // `//` is built into sqlparser for DuckDB only.
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        is_name_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        is_name_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        precedence_of(precedence)
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    /// Keywords that are not names have been picked out before parsing, so none falls back to being a name.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        keyword != Keyword::NoKeyword
    }
}

/// A power binds more tightly than a product.
fn precedence_of(precedence: Precedence) -> u8 {
    match precedence {
        Precedence::Caret => DuckDbDialect {}.prec_value(Precedence::MulDivModOp) + 5,
        other => DuckDbDialect {}.prec_value(other),
    }
}

/// How SQL is written: as DuckDB has it, but for powers, and a query begins with `select`.
#[derive(Debug)]
pub(super) struct SqlDialect;

impl Dialect for SqlDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        is_name_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        is_name_part(ch)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        precedence_of(precedence)
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        true
    }

    fn convert_type_before_value(&self) -> bool {
        true
    }
}

/// Whether a sign compares two values.
pub(super) fn compares(token: &Token) -> bool {
    matches!(token, Token::Eq | Token::DoubleEq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq)
}

/// So many words may say of how many units an interval is.
const LONGEST_LENGTH: usize = 64;

/// Units of intervals.
pub(super) fn is_unit(keyword: Keyword) -> bool {
    use Keyword as K;
    let ones = [K::YEAR, K::QUARTER, K::MONTH, K::WEEK, K::DAY, K::HOUR, K::MINUTE, K::SECOND];
    let more = [K::YEARS, K::MONTHS, K::WEEKS, K::DAYS, K::HOURS, K::MINUTES, K::SECONDS];
    ones.contains(&keyword) || more.contains(&keyword)
}

/// A text and its words, white space left out.
pub(super) struct Words {
    pub(super) text: Arc<str>,
    tokens: Vec<TokenWithSpan>,
    /// The byte range of each token.
    ranges: Vec<Range<usize>>,
    /// When it was read, in microseconds since 1970, UTC.
    pub(super) read_at: i64,
}

impl Words {
    /// Cuts a question or an expression.
    pub(super) fn of(text: &str) -> Result<Words> {
        let mut words = Words::cut(text, &OutcropDialect, false)?;
        words.settle_keywords();
        Ok(words)
    }

    /// Cuts SQL, in which double quotes mean names and `--` a comment.
    pub(super) fn of_sql(text: &str) -> Result<Words> {
        Words::cut(text, &SqlDialect, true)
    }

    fn cut(text: &str, dialect: &dyn Dialect, has_comments: bool) -> Result<Words> {
        if text.len() > MAX_BYTES {
            return Err(Error::new(ErrorKind::Limit, format!("a text of {} bytes is too long", text.len()))
                .hint(format!("a question has at most {MAX_BYTES} bytes")));
        }
        let all = Tokenizer::new(dialect, text).tokenize_with_location().map_err(|error| {
            let mut cursor = Cursor::new(text);
            let start = cursor.byte_at(error.location);
            let message = error.message.trim_end_matches('.');
            let mut chars = message.chars();
            let lower = chars.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
            let end = if message.starts_with("Unterminated") { text.len() } else { start + 1 };
            Error::new(ErrorKind::Syntax, lower + chars.as_str()).underline(text, start..end)
        })?;
        let mut words = Words { text: Arc::from(text), tokens: Vec::new(), ranges: Vec::new(), read_at: micros_now() };
        let mut cursor = Cursor::new(text);
        for token in all {
            let range = cursor.byte_at(token.span.start)..cursor.byte_at(token.span.end);
            match &token.token {
                Token::Whitespace(Whitespace::SingleLineComment { .. }) if !has_comments => {
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

    /// Leaves the meaning of a keyword only to those words that have one where they stand.
    fn settle_keywords(&mut self) {
        let mut open = 0_usize;
        let in_forms: BTreeSet<usize> = (0..self.tokens.len()).flat_map(|at| self.form_at(at)).collect();
        for at in 0..self.tokens.len() {
            let Token::Word(word) = &self.tokens[at].token else {
                match self.tokens[at].token {
                    Token::LParen => open += 1,
                    Token::RParen => open = open.saturating_sub(1),
                    _ => {}
                }
                continue;
            };
            let (keyword, is_inside) = (word.keyword, open > 0);
            let next_is = |word: &str| self.is_word(at + 1, word);
            let behind = |word: &str| at > 0 && self.is_word(at - 1, word);
            let next = self.tokens.get(at + 1).map(|next| &next.token);
            let before_parenthesis = next == Some(&Token::LParen);
            let before_text = matches!(next, Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)));
            let before_name = matches!(next, Some(Token::Word(_)));
            let in_extract = self.opens_extract(at);
            let is_argument = at > 0 && self.tokens[at - 1].token == Token::LParen;
            let is_behind_call = at > 0 && self.tokens[at - 1].token == Token::RParen;
            let in_filter = at > 1 && self.is_word(at - 2, "filter");
            let is_comparison = behind("is") || behind("not") && at > 1 && self.is_word(at - 2, "is");
            let keep = match keyword {
                _ if in_forms.contains(&at) => true,
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::NULL | Keyword::IN => true,
                Keyword::BETWEEN | Keyword::LIKE | Keyword::ILIKE | Keyword::ESCAPE | Keyword::AS => true,
                Keyword::CASE | Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::END => true,
                Keyword::TRUE | Keyword::FALSE => true,
                Keyword::CAST | Keyword::TRY_CAST | Keyword::EXTRACT => before_parenthesis,
                Keyword::DATE | Keyword::TIMESTAMP => before_text,
                Keyword::INTERVAL => before_text || before_parenthesis || matches!(next, Some(Token::Number(..))),
                keyword if is_unit(keyword) => self.ends_length(at),
                Keyword::DISTINCT if next_is("from") => is_comparison,
                Keyword::DISTINCT => before_name || before_parenthesis && is_argument,
                Keyword::FROM => in_extract || behind("distinct") && self.compares_before(at),
                Keyword::ANY | Keyword::ALL | Keyword::SOME => before_parenthesis && self.compares_at(at),
                Keyword::SIMILAR => next_is("to"),
                Keyword::TO => behind("similar"),
                Keyword::POSITION => before_parenthesis,
                Keyword::DECIMAL | Keyword::NUMERIC | Keyword::DEC => behind("as") && before_parenthesis,
                Keyword::FILTER => before_parenthesis && is_behind_call,
                Keyword::WHERE => is_argument && in_filter,
                Keyword::ORDER => is_inside && next_is("by"),
                Keyword::BY => is_inside && behind("order"),
                Keyword::ASC | Keyword::DESC => is_inside,
                Keyword::NULLS => is_inside && (next_is("first") || next_is("last")),
                Keyword::FIRST | Keyword::LAST => is_inside && behind("nulls"),
                Keyword::WITHIN => is_behind_call && next_is("group"),
                Keyword::GROUP => behind("within"),
                _ => false,
            };
            if let (false, Token::Word(word)) = (keep, &mut self.tokens[at].token) {
                word.keyword = Keyword::NoKeyword;
            }
        }
    }

    /// The keywords of `trim(both 'x' from s)` or `substring(s from 2 for 3)`, if such a form begins at `at`; not those of plain calls.
    fn form_at(&self, at: usize) -> Vec<usize> {
        let opens = ["trim", "substring", "substr"].iter().any(|name| self.is_word(at, name));
        if !opens || self.token(at + 1) != Some(&Token::LParen) {
            return Vec::new();
        }
        let (mut found, mut depth) = (Vec::new(), 0_usize);
        for inner in at + 1..self.len() {
            match self.token(inner) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                Some(Token::Word(_)) if depth == 1 && self.joins_values(inner) => found.push(inner),
                _ => {}
            }
            // What is nested deeper is refused, and is not walked again for each level.
            if depth == 0 || depth > MAX_NESTING {
                break;
            }
        }
        if !found.is_empty() {
            found.push(at);
            let ends = ["both", "leading", "trailing"];
            found.extend(ends.iter().any(|end| self.is_word(at + 2, end)).then_some(at + 2));
        }
        found
    }

    /// Whether the word at `at` is a `from` or `for` behind a value, and no name.
    fn joins_values(&self, at: usize) -> bool {
        let is_value = match self.token(at - 1) {
            Some(Token::Word(word)) => {
                let ends = ["end", "null", "true", "false", "both", "leading", "trailing"];
                let is_reserved = RESERVED.iter().any(|reserved| word.value.eq_ignore_ascii_case(reserved));
                word.quote_style.is_some()
                    || !is_reserved
                    || ends.iter().any(|end| word.value.eq_ignore_ascii_case(end))
            }
            Some(Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::RParen) => {
                true
            }
            _ => false,
        };
        is_value && (self.is_word(at, "from") || self.is_word(at, "for"))
    }

    /// Whether the `distinct` before `at` is that of `is distinct from` or `is not distinct from`.
    fn compares_before(&self, at: usize) -> bool {
        at > 1 && self.is_word(at - 2, "is") || at > 2 && self.is_word(at - 2, "not") && self.is_word(at - 3, "is")
    }

    /// Whether a comparison stands before `at`.
    fn compares_at(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.token(before));
        before.is_some_and(compares)
    }

    /// Whether what stands before `at` is the number of an interval: `interval 3 …`, `interval (n + 1) …`.
    fn ends_length(&self, at: usize) -> bool {
        let (mut first, mut open) = (at, 0_usize);
        while let Some(before) = first.checked_sub(1).filter(|before| at - before <= LONGEST_LENGTH) {
            first = before;
            match self.tokens[first].token {
                Token::RParen => open += 1,
                Token::LParen => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        first > 0 && self.is_word(first - 1, "interval")
    }

    /// Whether the word at `at` is the `from` of `extract(unit from …`.
    fn opens_extract(&self, at: usize) -> bool {
        at >= 3 && self.tokens[at - 2].token == Token::LParen && self.is_word(at - 3, "extract")
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
