//! How fields and records are marked off in a text.

use crate::error::{Error, ErrorKind, Result};

/// Which bytes separate fields and quote them. Records always end at `\n` or `\r\n`; a quote inside a quoted field is
/// written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
}

impl Default for Dialect {
    /// Comma and double quote.
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comment: None }
    }
}

impl Dialect {
    /// A dialect with fields separated by `delimiter`, and quoted by `quote` (`None`: quotes are data).
    ///
    /// # Errors
    /// `Unsupported` for bytes that cannot play their part: line ends, NUL, bytes beyond ASCII, or both the same.
    pub fn new(delimiter: u8, quote: Option<u8>) -> Result<Self> {
        check("delimiter", Some(delimiter))?;
        check("quote", quote)?;
        if quote == Some(delimiter) {
            let message = format!("delimiter and quote are both {:?}", char::from(delimiter));
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Dialect { delimiter, quote, escape: None, comment: None })
    }

    /// The dialect with `escape`: the byte before a quote (or itself) inside a quoted field that stands for it.
    ///
    /// # Errors
    /// `Unsupported` for a byte that cannot play this part, or plays another.
    pub fn with_escape(self, escape: Option<u8>) -> Result<Self> {
        check("escape", escape)?;
        Ok(Dialect { escape: escape.filter(|&byte| self.quote != Some(byte)), ..self })
    }

    /// The dialect with `comment`: a line that begins with this byte, where a record could begin, is passed over.
    ///
    /// # Errors
    /// `Unsupported` for a byte that cannot play this part.
    pub fn with_comment(self, comment: Option<u8>) -> Result<Self> {
        check("comment", comment)?;
        Ok(Dialect { comment, ..self })
    }

    /// The byte between fields.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The byte around quoted fields, if fields can be quoted.
    pub fn quote(&self) -> Option<u8> {
        self.quote
    }

    /// The byte that escapes a quote inside a quoted field, where quotes are not doubled.
    pub fn escape(&self) -> Option<u8> {
        self.escape
    }

    /// The byte that begins a comment line.
    pub fn comment(&self) -> Option<u8> {
        self.comment
    }

    /// Whether `byte` is the quote.
    #[inline]
    pub(crate) fn is_quote(&self, byte: u8) -> bool {
        self.quote == Some(byte)
    }
}

fn check(role: &str, byte: Option<u8>) -> Result<()> {
    match byte {
        Some(byte) if byte == 0 || byte == b'\n' || byte == b'\r' || !byte.is_ascii() => {
            let message = format!("the {role} cannot be {:?}", char::from(byte));
            Err(Error::new(ErrorKind::Unsupported, message).hint("choose a printable ASCII byte or a tab"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_equal_bytes_are_refused() {
        assert!(Dialect::new(b'\t', Some(b'\'')).is_ok());
        assert!(Dialect::new(b';', None).is_ok());
        for (delimiter, quote) in [(b'\n', None), (b',', Some(b'\r')), (b',', Some(b',')), (0, None), (0xFF, None)] {
            assert_eq!(Dialect::new(delimiter, quote).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}
