//! What is typed at the prompt and is no question: commands of the command line, those of the shell without their dot, statements with a
//! slip of the keys.

use super::commands::COMMANDS;
use crate::error::did_you_mean;
use crate::sql::statement_openers;

/// Commands of the command line, and what the shell has for them.
const ELSEWHERE: [(&str, &str); 12] = [
    ("ask", "a question stands alone: `mean(x) by g`"),
    ("sql", "a statement stands alone and ends with `;`: `select …;`"),
    ("freq", "`count(*) as n by x sort n desc` counts each value"),
    ("hist", "`histogram(x, 20)` counts those of ranges"),
    ("schema", "`.schema` has columns and types"),
    ("head", "`* limit 10` has the first rows"),
    ("tail", "it stands on the command line: outcrop tail FILES"),
    ("sample", "`* sample 100` has rows at random"),
    ("count", "`count(*)` counts rows"),
    ("convert", "`copy (select …) to 'FILE.parquet';` writes rows"),
    ("validate", "it stands on the command line: outcrop validate FILES"),
    ("strata", "it stands on the command line: outcrop strata FILES --by KEYS --exec COMMAND"),
];

/// What a text that is no question is meant as by its first word, behind which another one stands.
pub(super) fn meant_otherwise(text: &str) -> Option<String> {
    let end = text.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let follows = rest.starts_with(char::is_whitespace)
        && rest
            .trim_start()
            .starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '*' | '\'' | '"' | '-'));
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if let Some((name, hint)) = ELSEWHERE.iter().find(|(name, _)| is(name) && (follows || rest.trim().is_empty())) {
        return Some(format!("`{name}` is a command of the command line; here {hint}"));
    }
    if let Some(command) = COMMANDS.iter().find(|command| is(command.name) && (follows || rest.trim().is_empty())) {
        return Some(format!("commands of the shell begin with a dot: `.{}`", command.name));
    }
    let near = did_you_mean(word, statement_openers().filter(|opener| !is(opener)));
    near.filter(|_| follows).map(|near| format!("did you mean `{near}`? SQL ends with `;`"))
}

#[cfg(test)]
mod tests {
    use super::meant_otherwise;

    #[test]
    fn first_words_tell_what_is_meant() {
        for (typed, hint) in [
            ("selct 1", Some("did you mean `select`? SQL ends with `;`")),
            (
                "freq g",
                Some(
                    "`freq` is a command of the command line; here `count(*) as n by x sort n desc` counts each value",
                ),
            ),
            ("tables", Some("commands of the shell begin with a dot: `.tables`")),
            ("mode csv", Some("commands of the shell begin with a dot: `.mode`")),
            ("count(*) by g", None),
            ("selct", None),
            ("head + 1", None),
            ("mean(x) by y", None),
        ] {
            assert_eq!(meant_otherwise(typed).as_deref(), hint, "{typed}");
        }
    }
}
