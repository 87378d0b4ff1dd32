//! Words that are taken for files and were meant otherwise: hints, and no guesses.

use crate::error::{Error, ErrorKind};
use crate::expr::display::RESERVED;
use crate::sql::parse_question;
use std::ffi::OsString;
use std::path::Path;

/// What other words a command has than files.
#[derive(Clone, Copy)]
pub(super) enum Others<'a> {
    /// Questions, behind `-q`.
    Questions,
    /// A number of rows, behind `-n`.
    Rows,
    /// A column, before the files.
    Column(&'a str),
}

/// The error of opening `files`, with what the file that is not there may have been meant as.
pub(super) fn meant(error: Error, files: &[String], others: Others<'_>) -> Error {
    let word = error.place().file.as_deref().map(str::to_owned);
    let is_missing = |word: &String| files.contains(word) && !Path::new(word).exists();
    let Some(word) = word.filter(is_missing).filter(|_| matches!(error.kind(), ErrorKind::Io | ErrorKind::NoInput))
    else {
        return error;
    };
    match others {
        Others::Questions if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&word)) => {
            error.hint("a question of several words stands between quotes: -q 'count(*) by Year'")
        }
        Others::Questions if is_question(&word) => error.hint(format!("a question stands behind -q: -q '{word}'")),
        Others::Rows if word.parse::<u64>().is_ok() => error.hint(format!("-n {word} says how many rows")),
        Others::Column(column) if Path::new(column).exists() => {
            error.hint(format!("the column stands before the files: {word} {column}"))
        }
        _ => error,
    }
}

/// The error of a column that cannot be read, which may be a file.
pub(super) fn column_first(error: Error, column: &str, files: &[String]) -> Error {
    match files.first().filter(|_| Path::new(column).exists()) {
        Some(file) => error.hint(format!("the column stands before the files: {file} {column}")),
        None => error,
    }
}

/// Whether a word can be nothing else.
fn is_question(word: &str) -> bool {
    word.contains(['(', ' ']) && parse_question(word).is_ok()
}

/// Tells what is wrong about a command line, and, where that is a question without its flag, where it stands.
pub(super) fn tell_wrong_line(error: &clap::Error, arguments: &[OsString]) {
    // A stderr that cannot be written to is no reason to fail otherwise.
    let _ = error.print();
    let asks = arguments.get(1).is_some_and(|command| command == "ask" || command == "explain");
    if asks && error.kind() == clap::error::ErrorKind::MissingRequiredArgument {
        let words = arguments[2..].iter().filter_map(|word| word.to_str());
        for word in words.filter(|word| !Path::new(word).exists() && is_question(word)) {
            eprintln!("\nhint: a question stands behind -q: -q '{word}'");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(word: &str, others: Others<'_>) -> Option<String> {
        let files = ["Cargo.toml".to_owned(), word.to_owned()];
        let error = Error::new(ErrorKind::Io, "no such file").in_file(word);
        meant(error, &files, others).hint_text().map(str::to_owned)
    }

    #[test]
    fn a_word_that_is_no_file_is_told_of_as_what_it_may_be() {
        let questions = Others::Questions;
        assert!(hint("by", questions).unwrap().contains("between quotes"));
        assert!(hint("mean(x) by y", questions).unwrap().ends_with("-q 'mean(x) by y'"));
        assert_eq!(hint("nosuch.csv", questions), None);
        assert_eq!(hint("my file (1).csv", questions), None);
        assert_eq!(hint("3", Others::Rows).as_deref(), Some("-n 3 says how many rows"));
        assert_eq!(hint("three", Others::Rows), None);
        assert!(hint("Origin", Others::Column("Cargo.toml")).unwrap().ends_with("Origin Cargo.toml"));
        assert_eq!(hint("Origin", Others::Column("Dest")), None);
    }
}
