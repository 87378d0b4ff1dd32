//! Remedies, worded for where the user is.
//!
//! What reads files names flags, as `outcrop ask` takes them. In SQL, files that `read_csv` reads take options in place of flags; in the
//! shell there are no flags but those it began with: commands set what they would, and options say how files are read.

use std::sync::OnceLock;

/// Where the user types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a command line about files.
    Flags,
    /// In statements that name files themselves.
    Statements,
    /// At the prompt of the shell.
    Shell,
}

static PLACE: OnceLock<Place> = OnceLock::new();

/// From here on, remedies are for this place.
pub(super) fn are_for(place: Place) {
    // A process serves one command.
    let _ = PLACE.set(place);
}

/// A message with its remedies, which stand on lines `hint: …` or in parentheses of the first line, for where the user is.
pub(super) fn in_words(text: &str) -> String {
    let place = *PLACE.get().unwrap_or(&Place::Flags);
    if place == Place::Flags { text.to_owned() } else { lines_worded(text, place) }
}

fn lines_worded(text: &str, place: Place) -> String {
    let line = |(at, line): (usize, &str)| match (line.strip_prefix("hint: "), line.find("(--").filter(|_| at == 0)) {
        (Some(hint), _) => format!("hint: {}", worded(hint, place)),
        (None, Some(open)) => {
            let close = line[open..].find(')').map_or(line.len(), |length| open + length);
            format!("{}{}{}", &line[..=open], worded(&line[open + 1..close], place), &line[close..])
        }
        (None, None) => line.to_owned(),
    };
    text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Flags that are options of `read_csv`, too, and whether a value may follow.
const OPTIONS: [(&str, bool); 18] = [
    ("types", true),
    ("null", true),
    ("delimiter", true),
    ("quote", true),
    ("escape", true),
    ("comment", true),
    ("skip-rows", true),
    ("decimal", true),
    ("thousands", true),
    ("line-end", true),
    ("date-format", true),
    ("encoding", true),
    ("invalid-bytes", true),
    ("malformed", true),
    ("columns", true),
    ("keep-headers", false),
    ("header", false),
    ("no-header", false),
];

/// Flags in whose place the shell has a command.
const COMMANDS: [(&str, &str); 4] =
    [("memory", ".memory"), ("threads", ".threads"), ("plot", ".plot"), ("table", ".open")];

/// Flags that the shell does not take.
const ELSEWHERE: [(&str, &str); 2] = [("rejects", "outcrop sql --rejects"), ("timeline", "outcrop sql --timeline")];

/// A remedy for this place.
fn worded(hint: &str, place: Place) -> String {
    let (mut text, mut options, mut rest) = (String::new(), Vec::new(), hint);
    while let Some(at) = rest.find("--") {
        let begins = rest[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '-');
        let name_end = rest[at + 2..].find(|next: char| !next.is_ascii_lowercase() && next != '-');
        let end = name_end.map_or(rest.len(), |end| at + 2 + end);
        let name = &rest[at + 2..end];
        let known = OPTIONS.iter().find(|(known, _)| begins && *known == name);
        let value = known.filter(|(_, takes)| *takes).and_then(|_| value(&rest[end..]));
        let whole = end + value.map_or(0, |value| value.len() + 1);
        text.push_str(&rest[..at]);
        match (known, place) {
            (Some(_), Place::Shell) => {
                text.push_str(&option(name, value));
                options.push(option(name, value));
            }
            (Some(_), _) => {
                text.push_str(&rest[at..whole]);
                let is_whole = known.is_some_and(|(_, takes)| !takes || value.is_some());
                options.extend(is_whole.then(|| option(name, value)));
            }
            (None, Place::Shell) if begins && !name.is_empty() => {
                let of =
                    |table: &[(&str, &'static str)]| table.iter().find(|(known, _)| *known == name).map(|(_, to)| *to);
                match of(&COMMANDS).or_else(|| of(&ELSEWHERE)) {
                    Some(command) => text.push_str(command),
                    None => text.push_str(&format!("outcrop shell --{name}")),
                }
            }
            _ => text.push_str(&rest[at..whole]),
        }
        rest = &rest[whole..];
    }
    text.push_str(rest);
    // The options that NDJSON has, too.
    let is_of_any = |option: &String| ["malformed", "types", "columns"].iter().any(|of_any| option.starts_with(of_any));
    let readers = match options.iter().all(is_of_any) {
        true => "read_csv('FILE', …) or read_ndjson('FILE', …)",
        false => "read_csv('FILE', …)",
    };
    match place {
        Place::Shell if !options.is_empty() => format!("{text}; options stand behind the file: from {readers}"),
        Place::Statements if !options.is_empty() => {
            format!("{text}; of {readers} the option is {}", options.join(" or "))
        }
        _ => text,
    }
}

/// The value behind the name of a flag, if one stands there and not the next word of a sentence.
fn value(rest: &str) -> Option<&str> {
    const WORDS: [&str; 9] = ["none", "skip", "pad", "fill", "union", "replace", "return", "newline", "VALUE"];
    let behind = rest.strip_prefix(' ')?;
    if let Some(quoted) = behind.strip_prefix('\'') {
        return quoted.find('\'').map(|end| &behind[..end + 2]);
    }
    let stop = |next: char| next.is_whitespace() || matches!(next, ',' | ';' | ')');
    let word = &behind[..behind.find(stop).unwrap_or(behind.len())];
    // The name of a column may have blanks in it.
    let type_end = || behind.find('=').map(|equals| &behind[..equals + 1 + letters(&behind[equals + 1..])]);
    match word {
        word if WORDS.contains(&word) || !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(word)
        }
        word if word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_punctuation()) => Some(word),
        _ => type_end().filter(|value| !value.contains("--")),
    }
}

fn letters(text: &str) -> usize {
    text.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(text.len())
}

/// A flag as an option of `read_csv`.
fn option(name: &str, value: Option<&str>) -> String {
    let key = name.replace('-', "_");
    let Some(value) = value else {
        return match name {
            "no-header" => "header => false".to_owned(),
            "header" | "keep-headers" => format!("{key} => true"),
            _ => key,
        };
    };
    match value.split_once('=') {
        Some((column, of_type)) if name == "types" => {
            format!("types => {{'{}': '{of_type}'}}", column.replace('\'', "''"))
        }
        _ if value.bytes().all(|byte| byte.is_ascii_digit()) => format!("{key} => {value}"),
        _ => format!("{key} => '{}'", value.trim_matches('\'')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_files_are_options_in_sql() {
        for (hint, statements, shell) in [
            (
                "--null 'x, y' reads it as missing; --types a b=utf8 makes the column text",
                "; of read_csv('FILE', …) the option is null => 'x, y' or types => {'a b': 'utf8'}",
                "null => 'x, y' reads it as missing; types => {'a b': 'utf8'} makes the column text; \
                 options stand behind the file: from read_csv('FILE', …)",
            ),
            (
                "--columns union reads them",
                "; of read_csv('FILE', …) or read_ndjson('FILE', …) the option is columns => 'union'",
                "columns => 'union' reads them; options stand behind the file: from read_csv('FILE', …) or \
                 read_ndjson('FILE', …)",
            ),
            (
                "--no-header --skip-rows 2 does",
                "; of read_csv('FILE', …) the option is header => false or skip_rows => 2",
                "header => false skip_rows => 2 does; options stand behind the file: from read_csv('FILE', …)",
            ),
            (
                "is --encoding right? without it …",
                "",
                "is encoding right? without it …; options stand behind the file: from read_csv('FILE', …)",
            ),
            ("raise the limit (--memory, OUTCROP_MEMORY)", "", "raise the limit (.memory, OUTCROP_MEMORY)"),
            ("--rejects FILE keeps them", "", "outcrop sql --rejects FILE keeps them"),
            ("begin with --spill-limit", "", "begin with outcrop shell --spill-limit"),
            ("did you mean `a--types`, or a -- b?", "", "did you mean `a--types`, or a -- b?"),
        ] {
            assert_eq!(worded(hint, Place::Statements), format!("{hint}{statements}"));
            assert_eq!(worded(hint, Place::Shell), shell);
            assert_eq!(worded(hint, Place::Flags), hint);
        }
    }

    #[test]
    fn remedies_in_parentheses_are_worded_in_the_first_line() {
        let text = "3 records repeat the header (--keep-headers reads them as data); the first is …\nwhere x > (--y)";
        assert_eq!(
            lines_worded(text, Place::Shell),
            "3 records repeat the header (keep_headers => true reads them as data; options stand behind the file: from \
             read_csv('FILE', …)); the first is …\nwhere x > (--y)"
        );
        assert_eq!(lines_worded("(--encoding states another", Place::Statements), "(--encoding states another");
    }

    #[test]
    fn a_word_of_the_sentence_is_no_value() {
        assert_eq!(value(" tells which"), None);
        assert_eq!(value(" . reads them"), Some("."));
        assert_eq!(value(" ';' splits there"), Some("';'"));
        assert_eq!(value(" x=utf8 keeps"), Some("x=utf8"));
        assert_eq!(value(""), None);
    }
}
