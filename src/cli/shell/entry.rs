//! What is typed, cut into entries: commands that begin with a dot, SQL statements, and questions.
//!
//! A command ends with its line, a statement with `;`, a question with either; but a line does not end a question inside of quotes or
//! parentheses, or behind a comma or a backslash.

use crate::sql::statement_openers;
use std::ops::Range;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `.name arguments`, without the dot.
    Command(String),
    /// A statement, without its semicolon.
    Sql(String),
    /// A question about the current table.
    Question(String),
}

/// Words that begin a statement which there is not, where a name or a text follows; a column may be called so.
const FOREIGN: [&str; 17] = [
    "insert", "update", "delete", "alter", "set", "show", "use", "attach", "detach", "begin", "commit", "pragma",
    "load", "install", "truncate", "grant", "call",
];
/// What people type who want to leave, or to be told how.
const PLAIN: [(&str, &str); 6] =
    [("quit", "quit"), ("exit", "quit"), ("quit()", "quit"), ("exit()", "quit"), ("help", "help"), ("?", "help")];

/// What stands at the front of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Nothing, but white space and comments perhaps.
    Nothing,
    /// The beginning of something that goes on; up to a semicolon, if it is a statement.
    Unfinished { statement: bool },
    /// An entry; the text behind it begins at this byte.
    Entry(Entry, usize),
}

/// The first entry of a text, which ends where the text does if `ended`.
pub(super) fn front(text: &str, ended: bool) -> Front {
    let start = begin(text);
    let rest = &text[start..];
    if rest.is_empty() {
        return Front::Nothing;
    }
    let kind = kind(rest);
    let (end, next) = match kind {
        Kind::Command => end_of_line(rest),
        Kind::Sql => match semicolon(rest) {
            Some(at) => (at, at + 1),
            None if ended => (rest.len(), rest.len()),
            // What stands behind a comment that is open need not be a statement.
            None => return Front::Unfinished { statement: !rest.starts_with("/*") },
        },
        Kind::Question => match end_of_question(rest) {
            Some(end) => end,
            None if ended => (rest.len(), rest.len()),
            None => return Front::Unfinished { statement: false },
        },
    };
    let entry = rest[..end].trim();
    let plain = PLAIN.iter().find(|(typed, _)| entry.eq_ignore_ascii_case(typed));
    let entry = match (plain, kind) {
        (Some((_, command)), _) => Entry::Command((*command).to_owned()),
        (None, Kind::Command) => Entry::Command(entry[1..].trim().to_owned()),
        (None, Kind::Sql) => Entry::Sql(entry.to_owned()),
        (None, Kind::Question) => Entry::Question(joined(entry)),
    };
    Front::Entry(entry, start + next)
}

/// All entries of a text; `None` if the last one goes on.
pub(super) fn entries(text: &str, ended: bool) -> (Vec<Entry>, Option<Range<usize>>) {
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        match front(&text[at..], ended) {
            Front::Nothing => return (found, None),
            Front::Unfinished { .. } => return (found, Some(at..text.len())),
            Front::Entry(entry, length) => {
                found.push(entry);
                at += length;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Sql,
    Question,
}

/// Where something begins, behind white space, comments and lone semicolons.
fn begin(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        match rest.as_bytes() {
            [b';', ..] => at += 1,
            [b'#', ..] | [b'-', b'-', ..] => at += end_of_line(rest).1,
            [b'/', b'*', ..] => match rest.find("*/") {
                Some(end) => at += end + 2,
                None => return at,
            },
            _ => return at,
        }
    }
}

fn kind(text: &str) -> Kind {
    if text.strip_prefix('.').is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_alphabetic())) {
        return Kind::Command;
    }
    if text.starts_with('(') && kind(text.trim_start_matches(['(', ' ', '\n'])) == Kind::Sql || text.starts_with("/*") {
        return Kind::Sql;
    }
    let end = text.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let is = |known: &&str| word.eq_ignore_ascii_case(known);
    let stands_alone = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let named = || rest.trim_start().starts_with(|next: char| next.is_alphabetic() || matches!(next, '\'' | '"'));
    let behind = rest.trim_start();
    // A column may have the name of a statement, and a function, too.
    let used = behind.starts_with([',', '=', '<', '>', '+', '-', '/', '.'])
        || behind.starts_with("as ")
        || behind.starts_with("by ");
    match stands_alone {
        true if (statement_openers().any(|opener| is(&opener)) || is(&"desc")) && !used => Kind::Sql,
        true if FOREIGN.iter().any(is) && !used && named() => Kind::Sql,
        _ => Kind::Question,
    }
}

/// Where the line ends, and where the next begins.
fn end_of_line(text: &str) -> (usize, usize) {
    text.find('\n').map_or((text.len(), text.len()), |at| (at, at + 1))
}

/// Calls `visit` with every byte outside of quotes and comments, until it says where to stop.
fn outside(text: &str, mut visit: impl FnMut(usize, u8) -> Option<usize>) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => at += 1 + text[at + 1..].find(char::from(quote))?,
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                // The line ends all the same.
                at += end_of_line(&text[at..]).0;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += 3 + text[at + 2..].find("*/")?,
            other => {
                if let Some(stop) = visit(at, other) {
                    return Some(stop);
                }
            }
        }
        at += 1;
    }
    None
}

/// A blank in place of each backslash at the end of a line, and the end of that line.
fn joined(text: &str) -> String {
    let mut ends = Vec::new();
    outside(text, |at, byte| {
        let behind = text[at..].strip_prefix('\\').filter(|_| byte == b'\\');
        if let Some(rest) = behind.and_then(|rest| rest.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')) {
            ends.push(at..text.len() - rest.len());
        }
        None
    });
    let (mut line, mut from) = (String::with_capacity(text.len()), 0);
    for end in ends {
        line.extend([&text[from..end.start], " "]);
        from = end.end;
    }
    line + &text[from..]
}

fn semicolon(text: &str) -> Option<usize> {
    outside(text, |at, byte| (byte == b';').then_some(at))
}

/// Where a question ends, and what comes next begins.
fn end_of_question(text: &str) -> Option<(usize, usize)> {
    let (mut depth, mut last) = (0_usize, b' ');
    let end = outside(text, |at, byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b';' => return Some(at),
            b'\n' if depth == 0 && !matches!(last, b',' | b'\\') => return Some(at),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        None
    })?;
    Some((end, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> (Vec<String>, bool) {
        let (entries, open) = entries(text, false);
        let shown = entries.into_iter().map(|entry| match entry {
            Entry::Command(text) => format!(".{text}"),
            Entry::Sql(text) => format!("sql {text}"),
            Entry::Question(text) => format!("ask {text}"),
        });
        (shown.collect(), open.is_some())
    }

    #[test]
    fn commands_end_with_lines_statements_with_semicolons_and_questions_with_either() {
        let text = ".open a.csv\nselect 1;mean(x) by y; count(*)\n  # a remark\n-- another\n;;WITH a as (select ';' from b) -- ; \n\
                    select * from a;\n(select 1);\nquit\n";
        let expected = [
            ".open a.csv",
            "sql select 1",
            "ask mean(x) by y",
            "ask count(*)",
            "sql WITH a as (select ';' from b) -- ; \nselect * from a",
            "sql (select 1)",
            ".quit",
        ];
        assert_eq!(all(text), (expected.map(str::to_owned).to_vec(), false));
    }

    #[test]
    fn what_goes_on_is_told_from_what_is_whole() {
        for open in [
            "select 1",
            "mean(x,\n",
            "mean(x),\n",
            "mean(x) \\\n",
            "x where y = 'a;\n",
            "select '--;",
            "/* a",
            "select 1 /* ; ",
        ] {
            assert_eq!(all(open), (vec![], true), "{open}");
        }
        for whole in ["", " \n", "-- select", "# x", ";"] {
            assert_eq!(all(whole), (vec![], false), "{whole}");
        }
        assert_eq!(all("mean(x),\nmax(x)\n"), (vec!["ask mean(x),\nmax(x)".to_owned()], false));
        assert_eq!(all("mean(x) \\\nby y\n"), (vec!["ask mean(x)  by y".to_owned()], false));
        assert_eq!(all("mean(x)\\ \r\nby y\n"), (vec!["ask mean(x) by y".to_owned()], false));
        let quoted = "x where y = 'é\\\nb' \\\nlimit 2";
        assert_eq!(all(&format!("{quoted}\n")).0, ["ask x where y = 'é\\\nb'  limit 2"]);
        assert_eq!(all("x\n.mode csv"), (vec!["ask x".to_owned(), ".mode csv".to_owned()], false));
        assert_eq!(entries("select 1", true).0, [Entry::Sql("select 1".to_owned())]);
    }

    #[test]
    fn columns_may_be_called_as_statements_are() {
        for question in [
            ".5 * x",
            "values, from by x",
            "set > 3",
            "show",
            "use = 1",
            "selected",
            "describe as d",
            "(a + b) as c",
            "load(x)",
        ] {
            assert_eq!(all(&format!("{question}\n")).0, [format!("ask {question}")]);
        }
        for statement in
            ["drop table x", "SHOW tables", "values (1)", "from 'a'", "insert into x values (1)", "describe x"]
        {
            assert_eq!(all(&format!("{statement};")).0, [format!("sql {statement}")]);
        }
    }
}
