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
    /// The files as they were when it was opened.
    stamp: Stamp,
    /// Why it cannot be opened again, once that has been told.
    pub(super) told: Option<String>,
}

/// Regular files, their lengths and when they were written last; what comes through a pipe comes once.
pub(super) type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Opened {
    pub(super) fn new(name: String, words: Vec<String>, options: Option<NamedTable>) -> Self {
        let stamp = stamp_of_words(&words);
        Opened { name, words, options, stamp, told: None }
    }

    /// The files as they are, if some have changed, come or gone since they were opened, or could not be opened since.
    pub(super) fn changed(&self) -> Option<Stamp> {
        Some(stamp_of_words(&self.words)).filter(|now| *now != self.stamp || self.told.is_some())
    }

    /// They have been opened as they were then.
    pub(super) fn renewed(&mut self, stamp: Stamp) {
        (self.stamp, self.told) = (stamp, None);
    }

    /// They cannot be opened; whether that is news.
    pub(super) fn is_news(&mut self, trouble: &str) -> bool {
        self.told.replace(trouble.to_owned()).as_deref() != Some(trouble)
    }
}

fn stamp_of_words(words: &[String]) -> Stamp {
    // What cannot be found is told when it is opened.
    stamp(expand(&words.into_paths()).unwrap_or_default())
}

/// These files as they are.
pub(super) fn stamp(files: impl IntoIterator<Item = PathBuf>) -> Stamp {
    let known = |path: PathBuf| match std::fs::metadata(&path) {
        Ok(known) => known.is_file().then(|| (path, known.len(), known.modified().ok())),
        Err(_) => Some((path, 0, None)),
    };
    files.into_iter().filter_map(known).collect()
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
        let mut has_changed = || match opened.changed() {
            Some(stamp) => {
                assert!(opened.changed().is_some(), "as long as it has not been opened");
                opened.renewed(stamp);
                true
            }
            None => false,
        };
        assert!(!has_changed());
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        assert!(has_changed() && !has_changed());
        std::fs::write(folder.path().join("b.csv"), "a,b\n1,2\n").unwrap();
        assert!(has_changed() && !has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(has_changed());
    }
}
