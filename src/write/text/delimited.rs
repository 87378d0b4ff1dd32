//! CSV as RFC 4180 has it, but with `\n` line ends, any delimiter, and any text for missing values.

use super::Column;
use super::cell::Value;
use crate::error::{Error, ErrorKind, Result};
use arrow::datatypes::Schema;

/// How values become fields.
///
/// A missing value is the null text, by default nothing (so a row of one missing value is a blank line). A text that
/// would be read as missing is quoted, because a quoted field of a text column is never missing; so are texts that
/// begin with what could be taken for a comment or a byte order mark.
#[derive(Clone, Debug)]
pub(crate) struct Csv {
    delimiter: u8,
    null: Box<[u8]>,
}

impl Default for Csv {
    /// Commas, and nothing for a missing value.
    fn default() -> Self {
        Csv { delimiter: b',', null: Box::default() }
    }
}

impl Csv {
    /// Fields separated by `delimiter`, missing values written as `null`.
    ///
    /// # Errors
    /// `Unsupported` for a delimiter that could be part of a number, a date or a quoted field, and for a null text that
    /// could be a value, or would need quotes.
    pub(crate) fn new(delimiter: u8, null: &str) -> Result<Self> {
        let part_of_values = b"\"\r\n\0+-.:".contains(&delimiter) || delimiter.is_ascii_alphanumeric();
        if part_of_values || !delimiter.is_ascii() {
            let message = format!("{:?} cannot separate the fields of a file to be written", char::from(delimiter));
            return Err(Error::new(ErrorKind::Unsupported, message).hint("a comma, semicolon, tab or | can"));
        }
        let csv = Csv { delimiter, null: null.as_bytes().into() };
        let like_value = null.bytes().any(|byte| byte.is_ascii_digit())
            || null.parse::<f64>().is_ok()
            || ["true", "false"].iter().any(|word| null.eq_ignore_ascii_case(word));
        if like_value || csv.has_special(null.as_bytes()) || null.trim() != null {
            let message = format!("{null:?} cannot stand for a missing value: it could be a value, or needs quotes");
            return Err(Error::new(ErrorKind::Unsupported, message).hint("such as NA, NULL, or nothing"));
        }
        Ok(csv)
    }

    /// Tabs, and nothing for a missing value.
    #[cfg(feature = "cli")]
    pub(crate) fn of_tabs() -> Self {
        Csv { delimiter: b'\t', null: Box::default() }
    }

    /// Appends the header.
    pub(crate) fn header(&self, schema: &Schema, out: &mut Vec<u8>) {
        for (number, field) in schema.fields().iter().enumerate() {
            if number > 0 {
                out.push(self.delimiter);
            }
            let name = field.name();
            // Spaces around an unquoted name do not count.
            if name.trim_matches([' ', '\t']) == name { self.text(name, out) } else { append_quoted(name, out) }
        }
        out.push(b'\n');
    }

    /// Appends rows of these columns.
    pub(crate) fn rows(&self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        for row in 0..rows {
            for (number, column) in columns.iter().enumerate() {
                if number > 0 {
                    out.push(self.delimiter);
                }
                match column.value(row) {
                    Value::Null => out.extend_from_slice(&self.null),
                    Value::Text(text) => self.text(text, out),
                    Value::List(..) => {
                        let mut text = Vec::new();
                        column.value(row).append(&mut text);
                        self.text(&String::from_utf8_lossy(&text), out);
                    }
                    value => value.append(out),
                }
            }
            out.push(b'\n');
        }
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) {
        let bytes = text.as_bytes();
        let like_null = bytes.is_empty() || bytes == b"NA" || *bytes == *self.null;
        if like_null || bytes.starts_with(b"#") || text.starts_with('\u{feff}') || self.has_special(bytes) {
            append_quoted(text, out);
        } else {
            out.extend_from_slice(bytes);
        }
    }

    /// Whether there is a byte that may only stand between quotes.
    fn has_special(&self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || *byte == self.delimiter)
    }
}

fn append_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_and_null_texts_that_could_be_values_are_refused() {
        for delimiter in [b'"', b'\n', b'1', b'e', b'-', 0xC3] {
            assert_eq!(Csv::new(delimiter, "").unwrap_err().kind(), ErrorKind::Unsupported, "{delimiter}");
        }
        for null in ["0", "NaN", "inf", "TRUE", "a;b", " ", "2001-01-01", "\""] {
            assert!(Csv::new(b';', null).is_err(), "{null}");
        }
        for (delimiter, null) in [(b'\t', "NA"), (b'|', ""), (b';', "\\N"), (b' ', "NULL")] {
            assert!(Csv::new(delimiter, null).is_ok(), "{null}");
        }
    }
}
