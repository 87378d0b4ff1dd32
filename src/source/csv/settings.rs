//! Options as text: `malformed=pad, delimiter=';', no-header`.

use super::dialect::LineEnd;
use super::encoding::{Encoding, InvalidBytes};
use super::fields::NullTokens;
use super::options::{CsvOptions, FileRule, MalformedPolicy};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::source::column_policy::ColumnPolicy;
use crate::types::ColumnType;

/// The names of options, as flags and SQL have them.
pub const KEYS: [&str; 20] = [
    "delimiter",
    "quote",
    "escape",
    "comment",
    "line-end",
    "skip-rows",
    "header",
    "no-header",
    "decimal",
    "thousands",
    "date-format",
    "null",
    "encoding",
    "invalid-bytes",
    "malformed",
    "keep-headers",
    "columns",
    "types",
    "sniff",
    "no-sniff",
];

impl CsvOptions {
    /// Sets the option `key` (the name of a flag, with `_` or `-`) to what `value` says; an empty value means "yes"
    /// where yes or no is asked. `null`, `types` and `date-format` take one entry and add it: the first `null` replaces the default.
    ///
    /// # Errors
    /// `Name` for an option that does not exist, with the nearest one, `Syntax` for a value that it cannot have.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let key = key.trim().replace('_', "-").to_lowercase();
        match key.as_str() {
            "delimiter" => self.delimiter = Some(keyed(&key, byte(value))?),
            "quote" => self.quote = Some(keyed(&key, byte_or_none(value))?),
            "escape" => self.escape = Some(keyed(&key, byte_or_none(value))?),
            "comment" => self.comment = Some(keyed(&key, byte_or_none(value))?),
            "line-end" => self.line_end = Some(keyed(&key, line_end(value))?),
            "skip-rows" => {
                let lines = value.trim().parse().map_err(|_| wrong(&key, value, "a number of lines"))?;
                self.skip_rows = Some(lines);
            }
            "header" => self.has_header = Some(truth(&key, value)?),
            "no-header" => self.has_header = Some(!truth(&key, value)?),
            "decimal" => self.decimal = Some(keyed(&key, decimal(value))?),
            "thousands" => self.thousands = keyed(&key, byte_or_none(value))?,
            "null" => self.nulls = self.nulls.and(value),
            "date-format" => self.dates = self.dates.and(value)?,
            "encoding" => self.encoding = Encoding::from_label(value)?,
            "invalid-bytes" => self.invalid_bytes = InvalidBytes::parse(value)?,
            "malformed" => self.malformed = MalformedPolicy::parse(value)?,
            "keep-headers" => self.repeated_headers = !truth(&key, value)?,
            "columns" => self.columns = ColumnPolicy::parse(value)?,
            "types" => {
                let (column, name) = value.rsplit_once('=').ok_or_else(|| wrong(&key, value, "COLUMN=TYPE"))?;
                self.types.push((column.trim().to_owned(), ColumnType::parse(name)?));
            }
            "sniff" => self.sniff = truth(&key, value)?,
            "no-sniff" => self.sniff = !truth(&key, value)?,
            _ => {
                let error = Error::new(ErrorKind::Name, format!("there is no option `{key}`"));
                return Err(match did_you_mean(&key, KEYS) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!("options are {}", KEYS.join(", "))),
                });
            }
        }
        Ok(())
    }

    /// Sets every option in a list such as `malformed=pad, delimiter=';', no-header`.
    ///
    /// # Errors
    /// As [`CsvOptions::set`], and `Syntax` for a quote that is not closed.
    pub fn set_all(&mut self, list: &str) -> Result<()> {
        for (key, value) in settings(list)? {
            self.set(&key, &value)?;
        }
        Ok(())
    }
}

impl FileRule {
    /// A rule from text such as `plane*.csv: malformed=pad, no-header`.
    ///
    /// # Errors
    /// As [`CsvOptions::set_all`] and [`FileRule::new`]; `Unsupported` for an option that concerns the whole set.
    pub fn parse(text: &str) -> Result<Self> {
        let (pattern, list) = text.split_once(": ").or_else(|| text.rsplit_once(':')).ok_or_else(|| {
            Error::new(ErrorKind::Syntax, format!("`{text}` has no `:`"))
                .hint("write a file pattern, a colon and options: 'plane*.csv: malformed=pad'")
        })?;
        let settings = settings(list)?;
        let mut trial = CsvOptions::default();
        for (key, value) in &settings {
            if ["types", "columns"].contains(&key.trim()) {
                let message = format!("`{key}` concerns all files together");
                return Err(Error::new(ErrorKind::Unsupported, message).hint("give it outside of the file options"));
            }
            trial.set(key, value)?;
        }
        FileRule::new(pattern.trim(), move |options| {
            for (key, value) in &settings {
                // Every one of them has been set once before.
                let _ = options.set(key, value);
            }
        })
    }
}

impl MalformedPolicy {
    /// The policy of this name: `error`, `skip` or `pad`.
    ///
    /// # Errors
    /// `Syntax` for another.
    pub fn parse(name: &str) -> Result<Self> {
        match name.trim() {
            "error" => Ok(MalformedPolicy::Error),
            "skip" => Ok(MalformedPolicy::Skip),
            "pad" => Ok(MalformedPolicy::Pad),
            other => Err(wrong("malformed", other, "error, skip or pad")),
        }
    }
}

impl ColumnPolicy {
    /// The policy of this name: `error`, `fill` or `union`.
    ///
    /// # Errors
    /// `Syntax` for another.
    pub fn parse(name: &str) -> Result<Self> {
        match name.trim() {
            "error" => Ok(ColumnPolicy::Error),
            "fill" => Ok(ColumnPolicy::Fill),
            "union" => Ok(ColumnPolicy::Union),
            other => Err(wrong("columns", other, "error, fill or union")),
        }
    }
}

impl InvalidBytes {
    /// The policy of this name: `error` or `replace`.
    ///
    /// # Errors
    /// `Syntax` for another.
    pub fn parse(name: &str) -> Result<Self> {
        match name.trim() {
            "error" => Ok(InvalidBytes::Error),
            "replace" => Ok(InvalidBytes::Replace),
            other => Err(wrong("invalid-bytes", other, "error or replace")),
        }
    }
}

impl NullTokens {
    /// These tokens and one more; the default ones are replaced.
    fn and(&self, token: &str) -> NullTokens {
        let mut tokens = if self.is_default() { Vec::new() } else { self.tokens() };
        tokens.push(token.to_owned());
        NullTokens::new(tokens.iter().map(String::as_str))
    }
}

/// One ASCII byte, or the name of one: `tab`, `\t`, `comma`, `semicolon`, `pipe`, `space`.
///
/// # Errors
/// `Syntax` for anything else.
pub fn byte(value: &str) -> Result<u8> {
    match (value, value.as_bytes()) {
        ("tab" | "\\t", _) => Ok(b'\t'),
        ("comma", _) => Ok(b','),
        ("semicolon", _) => Ok(b';'),
        ("pipe", _) => Ok(b'|'),
        ("space", _) => Ok(b' '),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(Error::new(
            ErrorKind::Syntax,
            format!("{value:?} is not one ASCII character, such as ';', nor the name of one, such as tab"),
        )),
    }
}

/// As [`byte`], or `none`.
///
/// # Errors
/// As [`byte`].
pub fn byte_or_none(value: &str) -> Result<Option<u8>> {
    if value == "none" { Ok(None) } else { byte(value).map(Some) }
}

/// What ends records: `newline`, or `return` for a carriage return alone.
///
/// # Errors
/// `Syntax` for anything else.
pub fn line_end(value: &str) -> Result<LineEnd> {
    match value.trim() {
        "newline" => Ok(LineEnd::Newline),
        "return" => Ok(LineEnd::CarriageReturn),
        _ => Err(Error::new(ErrorKind::Syntax, format!("{value:?} is no line end; newline and return are"))),
    }
}

/// A decimal mark: a point or a comma, as such or by name.
///
/// # Errors
/// `Syntax` for anything else.
pub fn decimal(value: &str) -> Result<u8> {
    match value {
        "." | "point" => Ok(b'.'),
        "," | "comma" => Ok(b','),
        _ => Err(Error::new(ErrorKind::Syntax, format!("{value:?} is no decimal mark; '.' and ',' are"))),
    }
}

/// The result, an error of it saying for which option.
fn keyed<T>(key: &str, read: Result<T>) -> Result<T> {
    read.map_err(|error| Error::new(error.kind(), format!("`{key}`: {}", error.message())))
}

fn truth(key: &str, value: &str) -> Result<bool> {
    match value.trim() {
        "" | "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        other => Err(wrong(key, other, "true or false")),
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Syntax, format!("`{key}` cannot be {value:?}: expected {expected}"))
}

/// Splits `key=value, key='a,b', key`. A value in single quotes is taken verbatim, a quote in it doubled.
fn settings(list: &str) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n']);
        if rest.is_empty() {
            return Ok(settings);
        }
        let key_end = rest.find(['=', ',']).unwrap_or(rest.len());
        let key = rest[..key_end].trim().to_owned();
        rest = &rest[key_end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = take_value(after)?;
        }
        rest = rest.trim_start_matches([' ', '\t', '\n']);
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').ok_or_else(|| {
                Error::new(ErrorKind::Syntax, format!("expected a comma between options, found {rest:?}"))
                    .hint("options look like: malformed=pad, delimiter=';', no-header")
            })?;
        }
        if !key.is_empty() {
            settings.push((key, value));
        }
    }
}

/// A value and what follows it.
fn take_value(text: &str) -> Result<(String, &str)> {
    let trimmed = text.trim_start_matches(' ');
    let Some(mut rest) = trimmed.strip_prefix('\'') else {
        let end = text.find(',').unwrap_or(text.len());
        // A lone comma or space is the value itself: `delimiter=,`.
        let value = &text[..end];
        return match (value.trim(), &text[end..]) {
            ("", after) if after == "," || after.starts_with(",,") => Ok((",".to_owned(), &after[1..])),
            (trimmed, after) => Ok((trimmed.to_owned(), after)),
        };
    };
    let mut value = String::new();
    loop {
        let Some(end) = rest.find('\'') else {
            return Err(Error::new(ErrorKind::Syntax, format!("a quote is never closed in {text:?}")));
        };
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Ok((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn set(list: &str) -> CsvOptions {
        let mut options = CsvOptions::default();
        options.set_all(list).unwrap();
        options
    }

    #[test]
    fn options_are_set_from_text() {
        let options = set("delimiter=';', quote=none, no-header, skip_rows=2, decimal=',', malformed=pad,escape=\\");
        assert_eq!((options.delimiter, options.quote, options.escape), (Some(b';'), Some(None), Some(Some(b'\\'))));
        assert_eq!((options.has_header, options.skip_rows, options.decimal), (Some(false), Some(2), Some(b',')));
        assert_eq!(options.malformed, MalformedPolicy::Pad);
        assert_eq!(set("delimiter=,").delimiter, Some(b','));
        assert_eq!(set("delimiter=,, header=no").has_header, Some(false));
        assert_eq!(set("quote=''''").quote, Some(Some(b'\'')));
        assert_eq!(set("delimiter=tab").delimiter, Some(b'\t'));
        let nulls = set("null=, null='N, A'").nulls;
        assert!(nulls.contains(b"") && nulls.contains(b"N, A") && !nulls.contains(b"NA"));
    }

    #[test]
    fn slips_are_named_with_what_was_meant() {
        let error = |list: &str| CsvOptions::default().set_all(list).unwrap_err();
        assert_eq!(error("delimeter=;").hint_text(), Some("did you mean `delimiter`?"));
        for list in ["delimiter=ab", "delimiter=", "malformed=never", "header=perhaps", "skip-rows=-1", "quote='"] {
            assert_eq!(error(list).kind(), ErrorKind::Syntax, "{list}");
        }
        assert_eq!(error("types=x=florin").kind(), ErrorKind::Name);
        assert_eq!(error("quote='x' header").kind(), ErrorKind::Syntax);
    }

    #[test]
    fn rules_change_the_files_they_match() {
        let rule = FileRule::parse("plane*.csv: malformed=pad, no-header").unwrap();
        let options = CsvOptions { for_files: vec![rule], ..CsvOptions::default() };
        let of = |path: &str| options.of_file(Path::new(path));
        assert_eq!(of("data/plane-data.csv").malformed, MalformedPolicy::Pad);
        assert_eq!(of("data/plane-data.csv").has_header, Some(false));
        assert_eq!(of("data/airports.csv").malformed, MalformedPolicy::Error);
        for bad in ["plane.csv", "a[: header", "a: headr", "a: types=x=int64"] {
            assert!(FileRule::parse(bad).is_err(), "{bad}");
        }
        assert!(FileRule::parse("2/*.csv: header").unwrap().applies_to(Path::new("2/a.csv")));
        assert!(!FileRule::parse("2/*.csv: header").unwrap().applies_to(Path::new("3/a.csv")));
    }
}
