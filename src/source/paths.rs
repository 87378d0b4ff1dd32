//! From what the user names (files, globs, directories, lists) to a list of input files in a fixed order.

use super::input::{STDIN_WORD, io_error, shown_name};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// File name endings of tables as text, each also with an ending of [`COMPRESSIONS`] behind it.
const TEXT_ENDINGS: [&str; 4] = [".csv", ".tsv", ".ndjson", ".jsonl"];
/// File name endings of compressions.
const COMPRESSIONS: [&str; 7] = [".bz2", ".gz", ".zst", ".zstd", ".xz", ".lz4", ".bgz"];
/// File name endings of tables that are compressed inside.
const BINARY_ENDINGS: [&str; 5] = [".parquet", ".arrow", ".feather", ".ipc", ".arrows"];

/// The name in small letters without the endings of compressions, of which there may be several.
pub(crate) fn bare_name(path: &Path) -> String {
    let mut name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    while let Some(bare) = COMPRESSIONS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name.truncate(bare.len());
    }
    name
}

/// Whether a directory is searched for files named like this.
pub(crate) fn is_table_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bare = bare_name(path);
    let is_hidden = name.starts_with('.');
    !is_hidden
        && (TEXT_ENDINGS.iter().any(|ending| bare.ends_with(ending))
            || BINARY_ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

/// Paths, globs or directories, as the user gives them: one or a list.
pub trait IntoPaths {
    /// The words, in order.
    fn into_paths(self) -> Vec<PathBuf>;
}

impl IntoPaths for &str {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self.into()]
    }
}

impl IntoPaths for String {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self.into()]
    }
}

impl IntoPaths for &String {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self.into()]
    }
}

impl IntoPaths for &Path {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self.into()]
    }
}

impl IntoPaths for PathBuf {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self]
    }
}

impl IntoPaths for &PathBuf {
    fn into_paths(self) -> Vec<PathBuf> {
        vec![self.clone()]
    }
}

impl<T: Into<PathBuf>> IntoPaths for Vec<T> {
    fn into_paths(self) -> Vec<PathBuf> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<PathBuf> + Clone> IntoPaths for &[T] {
    fn into_paths(self) -> Vec<PathBuf> {
        self.iter().cloned().map(Into::into).collect()
    }
}

impl<T: Into<PathBuf>, const N: usize> IntoPaths for [T; N] {
    fn into_paths(self) -> Vec<PathBuf> {
        self.into_iter().map(Into::into).collect()
    }
}

/// The files meant by `words`: each word in the order given; a glob or directory expands by name; `-` is standard input
/// and stays as it is.
///
/// A word that names an existing file is that file, even when it looks like a glob.
///
/// # Errors
/// `Io` for a missing file, `NoInput` for a glob or directory without matches, each with the nearest name that exists;
/// `Syntax` for a pipe that is named twice.
pub fn expand(words: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for word in words {
        expand_word(word, &mut files)?;
    }
    refuse_twice(&files)?;
    if files.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "no input files were named"));
    }
    Ok(files)
}

fn expand_word(word: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let shown = word.display().to_string();
    if shown == STDIN_WORD {
        files.push(word.to_owned());
        return Ok(());
    }
    match std::fs::metadata(word) {
        Ok(metadata) if metadata.is_dir() => expand_directory(word, files),
        Ok(_) => {
            files.push(word.to_owned());
            Ok(())
        }
        Err(_) if shown.contains(['*', '?', '[']) => expand_glob(&shown, files),
        Err(error) => Err(missing(word, &error)),
    }
}

/// What comes through a pipe comes once, whatever its names are.
fn refuse_twice(files: &[PathBuf]) -> Result<()> {
    let mut seen = Vec::new();
    for file in files {
        let is_stdin = file.as_os_str() == STDIN_WORD;
        let Ok(metadata) = std::fs::metadata(if is_stdin { Path::new("/dev/stdin") } else { file }) else { continue };
        let kind = metadata.file_type();
        if !is_stdin && !kind.is_fifo() && !kind.is_socket() {
            continue;
        }
        let pipe = (metadata.dev(), metadata.ino());
        if seen.contains(&pipe) {
            return Err(Error::new(
                ErrorKind::Syntax,
                "is named twice, but what comes through it can be read only once",
            )
            .in_file(&shown_name(file))
            .hint("store it in a file to read it twice"));
        }
        seen.push(pipe);
    }
    Ok(())
}

fn missing(word: &Path, error: &std::io::Error) -> Error {
    let directory = word.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let siblings: Vec<String> = std::fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let name = word.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let located = io_error(word, error);
    match did_you_mean(&name, siblings.iter().map(String::as_str)) {
        Some(near) => located.hint(format!("did you mean {}?", word.with_file_name(near).display())),
        None if !directory.exists() => located.hint(format!("the directory {} does not exist", directory.display())),
        None => located,
    }
}

fn expand_directory(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut found = Vec::new();
    search(directory, &mut found)?;
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::NoInput,
            "the directory holds no .csv or .tsv files, plain or compressed, nor .parquet, .arrow or .ndjson",
        )
        .in_file(&directory.display().to_string())
        .hint("name the files, or quote a glob such as 'data/*.txt'"));
    }
    found.sort();
    files.append(&mut found);
    Ok(())
}

/// The files of a directory, and of its folders named `key=value`.
fn search(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(directory).map_err(|error| io_error(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| io_error(directory, &error))?.path();
        if path.is_dir() {
            let is_key = path.file_name().is_some_and(|name| name.to_string_lossy().contains('='));
            // A link may lead back to a folder above it, which would be searched for ever.
            if is_key && !path.is_symlink() {
                search(&path, found)?;
            }
        } else if is_table_name(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn expand_glob(pattern: &str, files: &mut Vec<PathBuf>) -> Result<()> {
    // As in a shell, `*` does not match hidden files.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matches = glob::glob_with(pattern, options)
        .map_err(|error| Error::new(ErrorKind::Syntax, format!("not a file pattern: {error}")).in_file(pattern))?;
    let mut found = Vec::new();
    for path in matches {
        let path = path.map_err(|error| Error::io(error.path(), error.error()))?;
        if path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "no file matches this pattern").in_file(pattern));
    }
    found.sort();
    files.append(&mut found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_and_directories_expand_by_name_and_hidden_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["b.csv", "a.csv.bz2", ".hidden.csv", "notes.txt", "c.TSV", "d.jsonl.xz", "e.parquet", "f.parquet.gz"]
        {
            std::fs::write(folder.path().join(name), "x\n").unwrap();
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(
            names(expand(&[folder.path().into()]).unwrap()),
            ["a.csv.bz2", "b.csv", "c.TSV", "d.jsonl.xz", "e.parquet"]
        );
        assert_eq!(bare_name(Path::new("x/Air.CSV.gz.bz2")), "air.csv");
        assert_eq!(names(expand(&[folder.path().join("*.csv*")]).unwrap()), ["a.csv.bz2", "b.csv"]);
    }

    #[test]
    fn standard_input_and_pipes_are_named_once() {
        assert_eq!(expand(&["-".into()]).unwrap(), [PathBuf::from("-")]);
        let error = expand(&["-".into(), "-".into()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax);
        assert!(error.message().contains("twice"), "{error}");
    }

    #[test]
    fn a_missing_file_suggests_its_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1987.csv"), "x\n").unwrap();
        let error = expand(&[folder.path().join("1986.csv")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.hint_text().unwrap().contains("1987.csv"), "{error}");
        assert_eq!(expand(&[folder.path().join("*.parquet")]).unwrap_err().kind(), ErrorKind::NoInput);
    }
}
