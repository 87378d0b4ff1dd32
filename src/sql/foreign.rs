//! Forms of other dialects that the parser does not know, told in those that it does, and signs of other languages, refused where they
//! stand.

use super::words::{Words, compares};
use crate::error::{ErrorKind, Result};
use crate::expr::display::RESERVED;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use std::collections::BTreeMap;
use std::ops::Range;

/// The last row before each, in SQL that there is.
const AS_OF: &str = "`join u on t.k = u.k and u.time <= t.time`, and behind it `qualify row_number() over (partition by t.id \
                     order by u.time desc) = 1`, take the last row of `u` before each of `t`, of which `id` tells one from another";

/// Rows side by side, in SQL that there is.
const POSITIONAL: &str = "rows are numbered in both tables, and joined by that: from (select *, row_number() over () as n from t) a \
                          join (select *, row_number() over () as n from u) b using (n)";

/// What other dialects have in parentheses behind `explain`.
const EXPLAIN_OPTIONS: [&str; 8] = ["format", "verbose", "costs", "settings", "buffers", "timing", "summary", "wal"];

/// Signs that are no operators here, and what is written instead.
const SIGNS: [(Token, &str); 7] = [
    (Token::Overlap, "conditions are joined with `and`"),
    (Token::Ampersand, "conditions are joined with `and`"),
    (Token::Pipe, "conditions are joined with `or`"),
    (Token::ExclamationMark, "a condition is turned into its opposite by `not (…)`"),
    (
        Token::Arrow,
        "functions without a name are not known: an expression says what to do with a column, such as `x + 1`",
    ),
    (Token::Spaceship, "`is not distinct from` takes nulls for equal"),
    (Token::VerticalBarRightAngleBracket, "clauses stand one behind the other, without signs between them"),
];

/// Refuses signs and words that other languages have, in the words `range`.
///
/// # Errors
/// `Syntax` or `Unsupported`, with the place.
pub(super) fn refuse(words: &Words, range: Range<usize>) -> Result<()> {
    let refused = |place: Range<usize>, hint: &str| -> Result<()> {
        let message = format!("`{}` is no operator here", words.typed(place.clone()));
        Err(words.error(ErrorKind::Syntax, message, place).hint(hint))
    };
    for at in range.clone() {
        let Some(token) = words.token(at) else { break };
        if let Some((_, hint)) = SIGNS.iter().find(|(sign, _)| sign == token) {
            return refused(at..at + 1, hint);
        }
        let between = |word: &dyn Fn(usize) -> bool| {
            *token == Token::Mod && at + 2 < range.end && word(at + 1) && words.token(at + 2) == Some(&Token::Mod)
        };
        if between(&|at| words.is_word(at, "in")) {
            return refused(at..at + 3, "values in parentheses stand behind `in`: x in ('a', 'b')");
        }
        if between(&|at| words.token(at) == Some(&Token::Gt)) {
            return refused(at..at + 3, "clauses stand one behind the other, without signs between them");
        }
        let is_glued = || words.bytes(at..at + 1).end == words.bytes(at + 1..at + 2).start;
        if *token == Token::Mul && at + 1 < range.end && words.token(at + 1) == Some(&Token::Mul) && is_glued() {
            return refused(at..at + 2, "`x ^ 2` and `power(x, 2)` are powers");
        }
        if words.is_word(at, "asof") && words.is_word(at + 1, "join") && at + 1 < range.end {
            let error = words.error(ErrorKind::Unsupported, "`asof join` is not supported", at..at + 2);
            return Err(error.hint(AS_OF));
        }
        if words.is_word(at, "positional") && words.is_word(at + 1, "join") && at + 1 < range.end {
            let error = words.error(ErrorKind::Unsupported, "`positional join` is not supported", at..at + 2);
            return Err(error.hint(POSITIONAL));
        }
        let has_option = words.is_word(at, "explain")
            && at == range.start
            && words.token(at + 1) == Some(&Token::LParen)
            && EXPLAIN_OPTIONS.iter().any(|option| words.is_word(at + 2, option));
        if has_option {
            let typed = words.typed(at + 2..at + 3).to_lowercase();
            let message = format!("`{typed}` behind `explain` is not supported");
            let error = words.error(ErrorKind::Unsupported, message, at + 2..at + 3);
            return Err(error.hint("`explain select …` tells the plan as text, and `explain analyze select …` runs it"));
        }
    }
    Ok(())
}

/// What becomes of tokens.
#[derive(Default)]
struct Edits {
    /// Tokens that are put before one.
    before: BTreeMap<usize, Vec<Token>>,
    /// Tokens in the place of one; none leave it out.
    instead: BTreeMap<usize, Option<Token>>,
}

impl Edits {
    fn put_before(&mut self, at: usize, tokens: impl IntoIterator<Item = Token>) {
        self.before.entry(at).or_default().extend(tokens);
    }

    fn put(&mut self, at: usize, token: Token) {
        self.instead.insert(at, Some(token));
    }

    fn leave_out(&mut self, at: usize) {
        self.instead.insert(at, None);
    }

    fn applied(mut self, tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
        let mut told = Vec::with_capacity(tokens.len());
        for (at, token) in tokens.into_iter().enumerate() {
            // What is put in stands where what it belongs to does.
            let span = token.span;
            told.extend(self.before.remove(&at).into_iter().flatten().map(|token| TokenWithSpan { token, span }));
            match self.instead.remove(&at) {
                None => told.push(token),
                Some(Some(token)) => told.push(TokenWithSpan { token, span }),
                Some(None) => {}
            }
        }
        told
    }
}

/// What stands inside of a pair of parentheses or brackets, or in none.
#[derive(Default)]
struct Level {
    /// Whether these are the arguments of a function that joins texts.
    joins_texts: bool,
    /// Where they are ordered.
    order: Option<usize>,
    /// Whether there is a select list.
    has_list: bool,
    /// Where a query begins with its tables.
    from: Option<usize>,
}

/// The tokens of SQL or of a question, in forms that the parser knows.
pub(super) fn retold(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let (mut edits, pairs) = (Edits::default(), pairs(&tokens));
    let mut levels = vec![Level::default()];
    for at in 0..tokens.len() {
        let before = |back: usize| at.checked_sub(back).map(|at| &tokens[at].token);
        let next = |ahead: usize| tokens.get(at + ahead).map(|next| &next.token);
        match &tokens[at].token {
            Token::LParen | Token::LBracket => {
                let joins_texts = before(1)
                    .is_some_and(|name| ["group_concat", "string_agg", "listagg"].iter().any(|own| is(name, own)));
                levels.push(Level { joins_texts, ..Level::default() });
                continue;
            }
            Token::RParen | Token::RBracket if levels.len() > 1 => {
                levels.pop();
                continue;
            }
            Token::Word(_) => {}
            _ => continue,
        }
        let Some(level) = levels.last_mut() else { break };
        let word = &tokens[at].token;
        let opens_list = next(1) == Some(&Token::LParen) && before(1).is_some_and(compares);
        if opens_list && ["any", "all", "some"].iter().any(|own| is(word, own)) {
            if let Some(pair) = pairs.get(&(at + 1)) {
                list_of_any(&tokens, at + 1, *pair, &mut edits);
            }
        } else if is(word, "in") && next(1) == Some(&Token::LBracket) {
            if let Some(pair) = pairs.get(&(at + 1)) {
                edits.put(at + 1, Token::LParen);
                edits.put(pair.close, Token::RParen);
            }
        } else if is(word, "order") && next(1).is_some_and(|next| is(next, "by")) {
            level.order = Some(at);
        } else if is(word, "separator") && level.joins_texts {
            let Some(text @ Token::SingleQuotedString(_)) = next(1) else { continue };
            match level.order {
                None => edits.put(at, Token::Comma),
                Some(order) => {
                    edits.put_before(order, [Token::Comma, text.clone()]);
                    edits.leave_out(at);
                    edits.leave_out(at + 1);
                }
            }
        } else if is(word, "from") {
            let is_of_trim =
                ["both", "leading", "trailing"].iter().any(|end| before(1).is_some_and(|word| is(word, end)))
                    && before(2) == Some(&Token::LParen)
                    && before(3).is_some_and(|word| is(word, "trim"));
            if is_of_trim {
                edits.leave_out(at);
            }
            level.from = (!level.has_list && opens_query(&tokens, at)).then_some(at);
        } else if is(word, "select") {
            level.has_list = true;
        } else if is(word, "top")
            && !(before(1).is_some_and(|before| is(before, "select") || is(before, "distinct"))
                && matches!(next(1), Some(Token::Number(..) | Token::LParen)))
            && let Token::Word(name) = word
        {
            // A column.
            edits.put(at, Token::Word(Word { keyword: Keyword::NoKeyword, ..name.clone() }));
        } else if is_set_operation(&tokens, at) {
            level.has_list = false;
        } else if is(word, "except") && before(1) == Some(&Token::Mul) && next(1) == Some(&Token::LParen) {
            edits.put(at, Token::make_keyword("EXCLUDE"));
        } else if is(word, "minus")
            && let Token::Word(name) = word
        {
            // A column.
            edits.put(at, Token::Word(Word { keyword: Keyword::NoKeyword, ..name.clone() }));
        } else if (is(word, "isnull") || is(word, "notnull"))
            && next(1) != Some(&Token::LParen)
            && before(1).is_some_and(ends_value)
        {
            edits.put_before(at, [Token::make_keyword("IS")]);
            edits.put_before(at, is(word, "notnull").then(|| Token::make_keyword("NOT")));
            edits.put(at, Token::make_keyword("NULL"));
        } else if ["where", "group", "having", "window", "qualify"].iter().any(|clause| is(word, clause))
            && let Some(from) = level.from.take().filter(|_| !level.has_list)
        {
            level.has_list = true;
            edits.put_before(from, [Token::make_keyword("SELECT"), Token::Mul]);
        } else if is(word, "analyze") && at == 2 && is(&tokens[0].token, "explain") && next(1) == Some(&Token::RParen) {
            edits.leave_out(1);
            edits.leave_out(3);
        }
    }
    edits.applied(tokens)
}

/// Whether a token is this word, and no name in quotes.
fn is(token: &Token, name: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name))
}

/// Whether the word at `at` stands between two queries, and is no column called so, nor the `except` behind `*`.
fn is_set_operation(tokens: &[TokenWithSpan], at: usize) -> bool {
    const NEXT: [&str; 7] = ["select", "from", "values", "with", "all", "distinct", "by"];
    let before = at.checked_sub(1).map(|before| &tokens[before].token);
    let next = tokens.get(at + 1).map(|next| &next.token);
    let word = &tokens[at].token;
    if ["union", "intersect", "except"].iter().any(|own| is(word, own)) {
        return before != Some(&Token::Mul);
    }
    let ends_query = |before: &Token| ends_value(before) || ["all", "asc", "desc"].iter().any(|own| is(before, own));
    is(word, "minus")
        && before.is_some_and(ends_query)
        && next.is_some_and(|next| *next == Token::LParen || NEXT.iter().any(|word| is(next, word)))
}

/// Whether a value, or the name of a table, may end with a token.
fn ends_value(token: &Token) -> bool {
    const ENDS: [&str; 6] = ["end", "null", "true", "false", "isnull", "notnull"];
    const OTHERS: [&str; 19] = [
        "distinct",
        "on",
        "using",
        "qualify",
        "over",
        "union",
        "intersect",
        "except",
        "minus",
        "any",
        "all",
        "similar",
        "with",
        "window",
        "view",
        "describe",
        "summarize",
        "exists",
        "offset",
    ];
    match token {
        Token::Word(word) => {
            let is_any = |words: &[&str]| words.iter().any(|own| is(token, own));
            word.quote_style.is_some() || is_any(&ENDS) || !is_any(&RESERVED) && !is_any(&OTHERS)
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => true,
        Token::RParen | Token::RBracket => true,
        _ => false,
    }
}

/// Whether a query may begin at the `from` at `at`.
fn opens_query(tokens: &[TokenWithSpan], at: usize) -> bool {
    const WORDS: [&str; 7] = ["all", "name", "as", "explain", "analyze", "describe", "summarize"];
    let Some(before) = at.checked_sub(1) else { return true };
    let token = &tokens[before].token;
    matches!(token, Token::LParen | Token::RParen)
        || WORDS.iter().any(|word| is(token, word))
        || is_set_operation(tokens, before)
}

/// What is opened and closed.
#[derive(Clone, Copy)]
struct Pair {
    close: usize,
    /// Whether a comma stands in it, and in nothing that is opened within.
    has_comma: bool,
}

/// The pairs of parentheses and brackets, by where they are opened.
fn pairs(tokens: &[TokenWithSpan]) -> BTreeMap<usize, Pair> {
    let (mut found, mut open) = (BTreeMap::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => open.push((at, false)),
            Token::RParen | Token::RBracket => {
                if let Some((opened, has_comma)) = open.pop() {
                    found.insert(opened, Pair { close: at, has_comma });
                }
            }
            Token::Comma => {
                if let Some((_, has_comma)) = open.last_mut() {
                    *has_comma = true;
                }
            }
            _ => {}
        }
    }
    found
}

/// `any (1, 2)` as `any ([1, 2])`, and `any (values (1), (2))` as a query.
fn list_of_any(tokens: &[TokenWithSpan], open: usize, pair: Pair, edits: &mut Edits) {
    let first = &tokens[open + 1].token;
    if is(first, "values") || is(first, "from") {
        let query = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen];
        edits.put_before(open + 1, query);
        edits.put_before(pair.close, [Token::RParen]);
    } else if pair.has_comma && !["select", "with"].iter().any(|own| is(first, own)) {
        edits.put_before(open + 1, [Token::LBracket]);
        edits.put_before(pair.close, [Token::RBracket]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::words::Words;

    fn told(text: &str) -> String {
        let words = Words::of_sql(text).unwrap();
        let tokens = retold(words.tokens(0..words.len()));
        tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn forms_of_other_dialects_become_ours() {
        for (theirs, ours) in [
            ("trim(both from s)", "trim ( both s )"),
            ("trim(both 'x' from s)", "trim ( both 'x' from s )"),
            ("group_concat(x separator '-')", "group_concat ( x , '-' )"),
            ("group_concat(x order by y separator '-')", "group_concat ( x , '-' order by y )"),
            ("f(x separator '-')", "f ( x separator '-' )"),
            ("1 < any (values (0), (2))", "1 < any ( SELECT * FROM ( values ( 0 ) , ( 2 ) ) )"),
            ("1 = any (from t)", "1 = any ( SELECT * FROM ( from t ) )"),
            ("1 = any (1, 2)", "1 = any ( [ 1 , 2 ] )"),
            ("1 = any ([1, 2])", "1 = any ( [ 1 , 2 ] )"),
            ("any(x, y)", "any ( x , y )"),
            ("x in [1, 2]", "x in ( 1 , 2 )"),
            ("from t where x", "SELECT * from t where x"),
            ("from t select x where y", "from t select x where y"),
            ("select 1 union all from t where x", "select 1 union all SELECT * from t where x"),
            ("with a as (from t where x) from a limit 1", "with a as ( SELECT * from t where x ) from a limit 1"),
            ("select extract(year from d) from t where x", "select extract ( year from d ) from t where x"),
            ("delete from t where x", "delete from t where x"),
            ("select 1 where a is distinct from b", "select 1 where a is distinct from b"),
            ("select name from t where x", "select name from t where x"),
            ("select * except (a) from t where x", "select * EXCLUDE ( a ) from t where x"),
            ("select 1 except from t where x", "select 1 except SELECT * from t where x"),
            ("select minus from t where x", "select minus from t where x"),
            ("select x, minus, y from t where minus > 1", "select x , minus , y from t where minus > 1"),
            ("select x group by all minus from t where y", "select x group by all minus SELECT * from t where y"),
            ("select x order by x desc union from t where y", "select x order by x desc union SELECT * from t where y"),
            ("select x minus from t where y", "select x minus SELECT * from t where y"),
            ("select v isnull, x from t where v notnull", "select v IS NULL , x from t where v IS NOT NULL"),
            ("isnull(x, 0) isnull and not notnull", "isnull ( x , 0 ) IS NULL and not notnull"),
            ("with isnull as (select 1) from isnull", "with isnull as ( select 1 ) from isnull"),
            ("select isnull, t.notnull, x as isnull", "select isnull , t . notnull , x as isnull"),
            ("select (select 1) from t where x", "select ( select 1 ) from t where x"),
            ("explain (analyze) select 1", "explain analyze select 1"),
            ("explain analyze from t where x", "explain analyze SELECT * from t where x"),
        ] {
            assert_eq!(told(theirs), ours);
        }
    }
}
