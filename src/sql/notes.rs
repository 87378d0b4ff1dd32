//! What is told of a text beside its answer: comparisons with `null`, which are never true.

use super::select::name_arguments;
use super::words::{Words, compares};
use crate::error::{Error, ErrorKind};
use sqlparser::tokenizer::Token;

/// Comparisons with `null` in SQL, each with its place and what to write.
pub(crate) fn of_sql(text: &str) -> Vec<Error> {
    // What is wrong with the text is told where it is read.
    Words::of_sql(text).map_or_else(|_| Vec::new(), |words| null_comparisons(&words))
}

/// Comparisons with `null` in a question or an expression, each with its place and what to write.
pub(crate) fn of_question(text: &str) -> Vec<Error> {
    Words::of(text).map_or_else(|_| Vec::new(), |words| null_comparisons(&words))
}

fn null_comparisons(words: &Words) -> Vec<Error> {
    // What stands behind the name of an argument is no comparison.
    let mut tokens = words.tokens(0..words.len());
    name_arguments(&mut tokens);
    let compared = |at: usize| words.is_word(at, "null") && compares(&tokens[at - 1].token);
    let told = |at: usize| {
        let hint = match words.token(at - 1) {
            Some(Token::Neq) => "write `x is not null`",
            _ => "write `x is null`",
        };
        words.error(ErrorKind::Syntax, "a comparison with `null` is never true", at - 1..at + 1).hint(hint)
    };
    (1..words.len()).filter(|&at| compared(at)).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_with_null_are_told_of() {
        assert_eq!(
            of_sql("select x from t where x = null")[0].to_string(),
            "a comparison with `null` is never true\n  select x from t where x = null\n                          ^^^^^^\nhint: write `x is null`"
        );
        assert!(of_question("x where y <> NULL").iter().all(|note| note.hint_text() == Some("write `x is not null`")));
        assert_eq!(of_question("x where y <> NULL").len(), 1);
        assert!(of_sql("from read_csv('a.csv', nullstr = null, sep = ';')").is_empty());
        assert!(of_sql("select null, x is null, 'x = null', \"a = null\" -- = null").is_empty());
    }
}
