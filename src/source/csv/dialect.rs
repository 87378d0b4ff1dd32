//! How fields and records are marked off in a text.

use crate::error::{Error, ErrorKind, Result};

/// Which bytes separate fields and quote them. Records always end at `\n` or `\r\n`; a quote inside a quoted field is
/// written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
}

impl Default for Dialect {
    /// Comma and double quote.
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"') }
    }
}

impl Dialect {
    /// A dialect with fields separated by `delimiter`, and quoted by `quote` (`None`: quotes are data).
    ///
    /// # Errors
    /// `Unsupported` for bytes that cannot play their part: line ends, NUL, bytes beyond ASCII, or both the same.
    pub fn new(delimiter: u8, quote: Option<u8>) -> Result<Self> {
        for (role, byte) in [("delimiter", Some(delimiter)), ("quote", quote)] {
            if let Some(byte) = byte
                && (byte == 0 || byte == b'\n' || byte == b'\r' || !byte.is_ascii())
            {
                let message = format!("the {role} cannot be {:?}", char::from(byte));
                return Err(Error::new(ErrorKind::Unsupported, message).hint("choose a printable ASCII byte or a tab"));
            }
        }
        if quote == Some(delimiter) {
            let message = format!("delimiter and quote are both {:?}", char::from(delimiter));
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Dialect { delimiter, quote })
    }

    /// The byte between fields.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The byte around quoted fields, if fields can be quoted.
    pub fn quote(&self) -> Option<u8> {
        self.quote
    }

    /// Whether `byte` is the quote.
    #[inline]
    pub(crate) fn is_quote(&self, byte: u8) -> bool {
        self.quote == Some(byte)
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
