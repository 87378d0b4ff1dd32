//! Tables that stay open: opened again when their files have changed.

use crate::cli::flags::NamedTable;
use crate::source::input::STDIN_WORD;
use crate::source::paths::{IntoPaths, bare_name, expand};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A table and the files that it was opened from.
pub(super) struct Opened {
    pub(super) name: String,
    /// Files, patterns and directories.
    pub(super) words: Vec<String>,
    /// Named files with options of their own.
    pub(super) options: Option<NamedTable>,
    stamp: Stamp,
}

/// The files, their lengths and when they were written last.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Opened {
    pub(super) fn new(name: String, words: Vec<String>, options: Option<NamedTable>) -> Self {
        let stamp = stamp(&words);
        Opened { name, words, options, stamp }
    }

    /// Whether files have changed, come or gone since this was asked last.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = stamp(&self.words);
        now != std::mem::replace(&mut self.stamp, now.clone())
    }
}

fn stamp(words: &[String]) -> Stamp {
    let known = |path: PathBuf| {
        let known = std::fs::metadata(&path).ok();
        let length = known.as_ref().map_or(0, std::fs::Metadata::len);
        let written = known.and_then(|known| known.modified().ok());
        (path, length, written)
    };
    // What cannot be found is told when it is opened.
    expand(&words.into_paths()).unwrap_or_default().into_iter().map(known).collect()
}

/// A name for the table in these files that SQL takes without quotes: of one file its name without endings, of several what their names
/// begin with, else the name of their folder.
pub(super) fn table_name(words: &[String]) -> String {
    let stems: Vec<String> = words.iter().map(|word| stem(word)).collect();
    let mut shared = stems.first().cloned().unwrap_or_default();
    while !stems.iter().all(|stem| stem.starts_with(&shared)) {
        shared.pop();
    }
    let folder = || {
        let folder = words.first().and_then(|word| Path::new(word).parent()?.file_name());
        folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let named = |text: &str| {
        let letters = text.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' });
        let name = letters.collect::<String>();
        let name = name.trim_matches('_');
        match name.chars().next() {
            None => None,
            Some(first) if first.is_numeric() => Some(format!("t{name}")),
            Some(_) => Some(name.to_owned()),
        }
    };
    // Years alone say little: `19` of 1987 and 1988.
    let telling = words.len() == 1 || shared.chars().any(char::is_alphabetic);
    let name = telling.then(|| named(&shared)).flatten();
    name.or_else(|| named(&folder())).unwrap_or_else(|| "t".to_owned())
}

/// What the names of a word begin with.
fn stem(word: &str) -> String {
    if word == STDIN_WORD {
        return "stdin".to_owned();
    }
    let path = Path::new(word);
    let bare = bare_name(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.get(..bare.len()).unwrap_or(&name);
    let literal = name.split(['*', '?', '[']).next().unwrap_or_default();
    literal.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_called_as_its_files_are() {
        for (words, expected) in [
            (&["data/flights.csv.bz2"][..], "flights"),
            (&["Plane-Data.CSV"], "Plane_Data"),
            (&["data/2001.csv"], "t2001"),
            (&["data/*.csv.bz2"], "data"),
            (&["data/air-*.csv"], "air"),
            (&["data/1987.csv", "data/1988.csv"], "data"),
            (&["a/air1.csv", "a/air2.csv"], "air"),
            (&["a/x.csv", "a/y.csv"], "a"),
            (&["/tmp/data/"], "data"),
            (&["-"], "stdin"),
            (&["*"], "t"),
            (&["Größe.csv"], "Größe"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(table_name(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn a_file_that_is_written_again_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a\n1\n").unwrap();
        let mut opened = Opened::new("a".to_owned(), vec![folder.path().join("*.csv").display().to_string()], None);
        assert!(!opened.has_changed());
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        assert!(opened.has_changed() && !opened.has_changed());
        std::fs::write(folder.path().join("b.csv"), "a,b\n1,2\n").unwrap();
        assert!(opened.has_changed() && !opened.has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(opened.has_changed());
    }
}
