//! The one error type: what went wrong, where, and what to try.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused: missing file, no permission, disk full.
    Io,
    /// No input: an empty glob, a directory without matches.
    NoInput,
    /// The input's structure is broken: ragged record, unterminated quote, damaged compressed block.
    Malformed,
    /// A value does not fit the type that the question or the user gave its column.
    Value,
    /// A name that does not exist, or exists twice.
    Name,
    /// An operation that the operand types do not have.
    Type,
    /// Text that does not parse: a question, an option.
    Syntax,
    /// Arithmetic on values: overflow, integer division by zero.
    Arithmetic,
    /// A limit on memory, spill or record length was reached.
    Limit,
    /// The caller cancelled the run.
    Cancelled,
    /// A valid wish that this version does not fulfil.
    Unsupported,
    /// A function or a program of the user's failed.
    Task,
    /// An invariant of ours is broken: a bug.
    Internal,
}

/// Where in the input an error arose; what is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Path of the input as the user gave it.
    pub file: Option<Arc<str>>,
    /// One-based number of the record, the header not counted.
    pub record: Option<u64>,
    /// One-based line number in the decompressed text, the header counted.
    pub line: Option<u64>,
    /// Zero-based byte offset: in the decompressed text, or, for damaged compression, in the stored file.
    pub byte: Option<u64>,
    /// Name of the column.
    pub column: Option<Arc<str>>,
    /// The offending text, shortened.
    pub value: Option<String>,
}

/// A half-open range of bytes of the text the user typed, for underlining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underline {
    /// The text as typed.
    pub text: Arc<str>,
    /// Byte range in `text`.
    pub range: std::ops::Range<usize>,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    place: Place,
    hint: Option<String>,
    underline: Option<Underline>,
}

/// What went wrong, where, and what to try. One word wide; cheap to return.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` that says `message` (no full stop, no place: those are added).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), place: Place::default(), hint: None, underline: None }))
    }

    /// A bug of ours; the message says which invariant broke.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// An error of the operating system at `path`.
    pub fn io(path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        Error::new(ErrorKind::Io, error.to_string()).in_file(path.as_ref().display().to_string().as_str())
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Puts in front of the message what it is about.
    #[must_use]
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Says the message and the hint in other words.
    pub(crate) fn with_texts(mut self, change: &dyn Fn(&str) -> String) -> Self {
        self.0.message = change(&self.0.message);
        self.0.hint = self.0.hint.take().map(|hint| change(&hint));
        self
    }

    /// Names the input file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.0.place.file = Some(Arc::from(file));
        self
    }

    /// Sets the whole place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = place;
        self
    }

    /// Changes the place, keeping what is known.
    #[must_use]
    pub fn with_place(mut self, change: impl FnOnce(&mut Place)) -> Self {
        change(&mut self.0.place);
        self
    }

    /// Underlines a part of the text the user typed.
    #[must_use]
    pub fn underline(mut self, text: &str, range: std::ops::Range<usize>) -> Self {
        self.0.underline = Some(Underline { text: Arc::from(text), range });
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without place and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it went wrong.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What to try.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The part of the user's text to underline.
    pub fn underlined(&self) -> Option<&Underline> {
        self.0.underline.as_ref()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(file) = &self.file {
            f.write_str(file)?;
            separator = ", ";
        }
        for (name, number) in [("record", self.record), ("line", self.line), ("byte", self.byte)] {
            if let Some(number) = number {
                write!(f, "{separator}{name} {number}")?;
                separator = ", ";
            }
        }
        if let Some(column) = &self.column {
            write!(f, "{separator}column `{column}`")?;
            separator = ", ";
        }
        if let Some(value) = &self.value {
            write!(f, "{separator}value {value:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.place != Place::default() {
            write!(f, "{}: ", self.0.place)?;
        }
        f.write_str(&self.0.message)?;
        if let Some(underline) = &self.0.underline {
            write_underlined(f, underline)?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

fn write_underlined(f: &mut fmt::Formatter<'_>, underline: &Underline) -> fmt::Result {
    let text = &underline.text;
    let start = text.floor_char_boundary(underline.range.start.min(text.len()));
    let end = text.floor_char_boundary(underline.range.end.clamp(start, text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = &text[line_start..line_end];
    let before = text[line_start..start].chars().count();
    let marked = text[start..end.min(line_end)].chars().count().max(1);
    write!(f, "\n  {line}\n  {}{}", " ".repeat(before), "^".repeat(marked))
}

impl std::error::Error for Error {}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError;
        match error {
            ArrowError::ArithmeticOverflow(message) => Error::new(ErrorKind::Arithmetic, message),
            ArrowError::DivideByZero => Error::new(ErrorKind::Arithmetic, "division by zero"),
            other => Error::new(ErrorKind::Internal, other.to_string()),
        }
    }
}

/// The name in `known` nearest to `wanted`, when near enough to be a slip of the keys.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            let shorter = name.chars().count().min(wanted.chars().count());
            *distance < shorter && *distance <= 1.max(shorter / 3)
        })
        .min()
        .map(|(_, name)| name)
}

/// A hint for a name that nothing is near enough to: the nearest ones that have at least two thirds of its letters, or half of them and begin
/// as it does, three at most, and where all of them are listed.
pub(crate) fn nearest_of<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            let longer = name.chars().count().max(wanted.chars().count());
            let begins_so = || wanted.chars().zip(name.chars()).take_while(|(a, b)| a == b).count() >= 4;
            3 * distance <= longer || 2 * distance <= longer && begins_so()
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<String> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "`outcrop help ask` lists functions and aggregates".to_owned(),
        near => format!("the nearest: {}; `outcrop help ask` lists all", near.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_hint_are_shown_in_reading_order() {
        let error = Error::new(ErrorKind::Value, "`x1` is not Int64")
            .in_file("a.csv")
            .with_place(|place| place.line = Some(3))
            .hint("use --types DepDelay=utf8");
        assert_eq!(error.to_string(), "a.csv, line 3: `x1` is not Int64\nhint: use --types DepDelay=utf8");
    }

    #[test]
    fn underline_marks_characters_not_bytes() {
        let error = Error::new(ErrorKind::Syntax, "unexpected `)`").underline("Größe = )", 10..11);
        assert_eq!(error.to_string(), "unexpected `)`\n  Größe = )\n          ^");
    }

    #[test]
    fn suggestions_are_near_or_none() {
        let names = ["DepDelay", "ArrDelay", "Month"];
        assert_eq!(did_you_mean("DepDelys", names), Some("DepDelay"));
        assert_eq!(did_you_mean("depdelay", names), Some("DepDelay"));
        assert_eq!(did_you_mean("xyz", names), None);
        assert_eq!(did_you_mean("x", ["y"]), None, "one letter is like any other");
    }
}
