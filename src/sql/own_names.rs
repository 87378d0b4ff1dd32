//! Names that only a plan has, told of in words: what a query in an expression gives, and what windows do.

use crate::error::Error;

/// How such a name begins behind its backtick, and what it stands for.
const NAMES: [(&str, &str); 4] = [
    ("`value of query ", "(select …)"),
    ("`window ", "(… over …)"),
    ("`aggregate ", "(an aggregate)"),
    ("`key ", "(a key)"),
];

/// The others are such names only if they end so.
const ENDINGS: [&str; 4] = ["", " of the query", " of the query", " of the query"];

/// The error without such names.
pub(super) fn in_words(error: Error) -> Error {
    error.with_texts(&|text| spoken(text))
}

fn spoken(text: &str) -> String {
    let (mut told, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('`') {
        told.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = rest[1..].find('`').map_or(rest.len(), |end| end + 2);
        let name = &rest[..length];
        let known = NAMES.iter().zip(ENDINGS).find(|((start, _), end)| {
            let number =
                name.strip_prefix(start).and_then(|name| name.strip_suffix('`')).and_then(|it| it.strip_suffix(end));
            number.is_some_and(|number| number.starts_with(|sign: char| sign.is_ascii_digit()))
        });
        match known {
            Some(((_, meant), _)) => {
                told.push_str(meant);
                rest = &rest[length..];
            }
            None => {
                told.push('`');
                rest = &rest[1..];
            }
        }
    }
    told + rest
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn names_of_a_plan_are_told_in_words_and_others_stay() {
        assert_eq!(spoken("no `v > `value of query 12: least`` and `v`"), "no `v > (select …)` and `v`");
        assert_eq!(spoken("`window 1 of the query` + `aggregate 3 of the query`"), "(… over …) + (an aggregate)");
        for same in ["", "`", "`window 3`", "`aggregate x of the query`", "`value of query `", "a ` b"] {
            assert_eq!(spoken(same), same);
        }
    }
}
