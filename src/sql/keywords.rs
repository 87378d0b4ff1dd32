//! Which words of a question are keywords.
//!
//! `Year`, `Date`, `count` and `first` are names of columns, and keywords of SQL: a word keeps the meaning of a keyword only where it
//! has one. The words of a query in parentheses are those of SQL; its parser tells them apart.

use super::syntax::MAX_NESTING;
use super::words::{Words, compares};
use crate::expr::display::RESERVED;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;
use std::collections::BTreeSet;

/// So many words may say of how many units an interval is.
const LONGEST_LENGTH: usize = 64;

/// Units of intervals.
pub(super) fn is_unit(keyword: Keyword) -> bool {
    use Keyword as K;
    let ones = [K::YEAR, K::QUARTER, K::MONTH, K::WEEK, K::DAY, K::HOUR, K::MINUTE, K::SECOND];
    let more = [K::YEARS, K::MONTHS, K::WEEKS, K::DAYS, K::HOURS, K::MINUTES, K::SECONDS];
    ones.contains(&keyword) || more.contains(&keyword)
}

/// What a word stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// No parentheses.
    Outside,
    Parentheses,
    /// Those behind `over`, and in no others there.
    Over,
    Query,
}

impl Words {
    /// Leaves the meaning of a keyword only to those words that have one where they stand.
    pub(super) fn settle_keywords(&mut self) {
        let places = self.take_places();
        let in_forms: BTreeSet<usize> = (0..self.tokens.len()).flat_map(|at| self.form_at(at)).collect();
        for (at, place) in places.into_iter().enumerate() {
            let Token::Word(word) = &self.tokens[at].token else { continue };
            let (keyword, is_inside, in_over) = (word.keyword, place != Place::Outside, place == Place::Over);
            let next_is = |word: &str| self.is_word(at + 1, word);
            let behind = |word: &str| at > 0 && self.is_word(at - 1, word);
            let next = self.tokens.get(at + 1).map(|next| &next.token);
            let before_parenthesis = next == Some(&Token::LParen);
            let before_text = matches!(next, Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)));
            let before_name = matches!(next, Some(Token::Word(_)));
            let in_extract = self.opens_extract(at);
            let is_argument = at > 0 && self.tokens[at - 1].token == Token::LParen;
            let is_cast = at > 0 && self.tokens[at - 1].token == Token::DoubleColon;
            let is_behind_call = at > 0 && self.tokens[at - 1].token == Token::RParen;
            let in_filter = at > 1 && self.is_word(at - 2, "filter");
            let is_comparison = behind("is") || behind("not") && at > 1 && self.is_word(at - 2, "is");
            let keep = match keyword {
                _ if in_forms.contains(&at) || place == Place::Query => true,
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
                Keyword::SIMILAR => next_is("to"),
                Keyword::TO => behind("similar"),
                Keyword::POSITION => before_parenthesis,
                Keyword::DECIMAL | Keyword::NUMERIC | Keyword::DEC => {
                    before_parenthesis && (behind("as") || is_cast || self.opens_convert(at.wrapping_sub(2)))
                }
                Keyword::CONVERT | Keyword::TRY_CONVERT => self.opens_convert(at),
                Keyword::FILTER => before_parenthesis && is_behind_call,
                Keyword::WHERE => is_argument && in_filter,
                Keyword::ORDER => is_inside && next_is("by"),
                Keyword::BY => is_inside && behind("order") || in_over && behind("partition"),
                Keyword::ASC | Keyword::DESC => is_inside,
                Keyword::NULLS if behind("ignore") || behind("respect") => self.treats_nulls(at - 1),
                Keyword::NULLS => is_inside && (next_is("first") || next_is("last")),
                Keyword::IGNORE | Keyword::RESPECT => self.treats_nulls(at),
                Keyword::FIRST | Keyword::LAST => is_inside && behind("nulls"),
                Keyword::WITHIN => is_behind_call && next_is("group"),
                Keyword::GROUP => behind("within"),
                Keyword::OVER => before_parenthesis && self.is_behind_call(at),
                Keyword::PARTITION => in_over && next_is("by"),
                Keyword::ROWS | Keyword::RANGE | Keyword::GROUPS => in_over && self.opens_frame(at),
                Keyword::UNBOUNDED => in_over && (next_is("preceding") || next_is("following")),
                Keyword::PRECEDING | Keyword::FOLLOWING => in_over && self.ends_bound(at),
                Keyword::CURRENT => in_over && next_is("row"),
                Keyword::ROW => in_over && behind("current"),
                // Behind `like` they are refused with a hint.
                Keyword::ANY | Keyword::ALL | Keyword::SOME => {
                    before_parenthesis && (self.is_behind_comparison(at) || behind("like") || behind("ilike"))
                }
                Keyword::EXISTS => before_parenthesis && self.opens_query(at + 1),
                Keyword::UNKNOWN => is_comparison,
                _ => false,
            };
            if let (false, Token::Word(word)) = (keep, &mut self.tokens[at].token) {
                word.keyword = Keyword::NoKeyword;
            }
        }
    }

    /// What each word stands in; the queries among these are taken down.
    fn take_places(&mut self) -> Vec<Place> {
        let (mut places, mut around, mut queries) = (Vec::with_capacity(self.len()), vec![Place::Outside], Vec::new());
        for at in 0..self.len() {
            let place = around.last().copied().unwrap_or(Place::Outside);
            places.push(place);
            match self.token(at) {
                Some(Token::LParen) => around.push(match place {
                    Place::Query => Place::Query,
                    _ if self.opens_query(at) => {
                        queries.push(at..self.len());
                        Place::Query
                    }
                    _ if at > 0 && self.is_word(at - 1, "over") && self.is_behind_call(at - 1) => Place::Over,
                    _ => Place::Parentheses,
                }),
                Some(Token::RParen) if around.len() > 1 => {
                    around.pop();
                    let is_around = around.last().is_some_and(|place| *place == Place::Query);
                    if let Some(query) = queries.last_mut().filter(|_| place == Place::Query && !is_around) {
                        query.end = at + 1;
                    }
                }
                _ => {}
            }
        }
        self.queries = queries;
        places
    }

    /// Whether the parenthesis at `at` is that of a query.
    fn opens_query(&self, at: usize) -> bool {
        let is = |offset: usize, word: &str| self.is_word(at + offset, word);
        let behind = |word: &str| at > 0 && self.is_word(at - 1, word);
        is(1, "select")
            || is(1, "with") && (is(3, "as") || self.token(at + 3) == Some(&Token::LParen))
            || (is(1, "from") || is(1, "values") && self.token(at + 2) == Some(&Token::LParen))
                && ["in", "exists", "any", "all", "some"].into_iter().any(behind)
    }

    /// Whether what stands before the word at `at` is a call, with what may stand between it and `over`.
    fn is_behind_call(&self, at: usize) -> bool {
        let before = |steps: usize| at.checked_sub(steps);
        let ends = |steps: usize| before(steps).is_some_and(|at| self.token(at) == Some(&Token::RParen));
        let treats = |steps: usize, word: &str| before(steps).is_some_and(|at| self.is_word(at, word));
        ends(1) || treats(1, "nulls") && (treats(2, "ignore") || treats(2, "respect")) && ends(3)
    }

    /// Whether the words at `at` are the `ignore nulls` of a call, or its `respect nulls`: behind its parentheses, or behind a value at
    /// the end of them.
    fn treats_nulls(&self, at: usize) -> bool {
        let is_ended = self.token(at + 2) == Some(&Token::RParen) || self.is_word(at + 2, "order");
        let is_behind = match at.checked_sub(1).and_then(|before| self.token(before)) {
            Some(Token::RParen) => true,
            Some(Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => {
                is_ended
            }
            _ => false,
        };
        is_behind && self.is_word(at + 1, "nulls")
    }

    /// Whether the word at `at` is that of `convert(decimal(10, 1), x)`: other types may be taken for names of columns.
    fn opens_convert(&self, at: usize) -> bool {
        ["convert", "try_convert"].iter().any(|name| self.is_word(at, name))
            && self.token(at + 1) == Some(&Token::LParen)
            && ["decimal", "numeric", "dec"].iter().any(|name| self.is_word(at + 2, name))
            && self.token(at + 3) == Some(&Token::LParen)
    }

    /// Whether a frame begins with the word at `at`.
    fn opens_frame(&self, at: usize) -> bool {
        let begins = ["between", "unbounded", "current", "interval"].iter().any(|word| self.is_word(at + 1, word));
        let is_name = self.is_word(at - 1, "by") || self.token(at - 1) == Some(&Token::Comma);
        !is_name && (begins || matches!(self.token(at + 1), Some(Token::Number(..) | Token::SingleQuotedString(_))))
    }

    /// Whether the bound of a frame ends with the word at `at`.
    fn ends_bound(&self, at: usize) -> bool {
        match self.token(at - 1) {
            Some(Token::Word(word)) => word.value.eq_ignore_ascii_case("unbounded") || is_unit(word.keyword),
            Some(token) => matches!(
                token,
                Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::RParen
            ),
            None => false,
        }
    }

    fn is_behind_comparison(&self, at: usize) -> bool {
        at.checked_sub(1).and_then(|before| self.token(before)).is_some_and(compares)
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
}
