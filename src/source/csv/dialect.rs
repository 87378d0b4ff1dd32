//! How fields and records are marked off in a text.

use crate::error::{Error, ErrorKind, Result};

/// Which bytes separate fields and records, and quote, escape and comment. A quote inside a quoted field is written
/// twice, or after the escape byte if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
    line_end: LineEnd,
}

/// What ends a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// `\n` or `\r\n`, mixed at will; a `\r` elsewhere is data.
    #[default]
    Newline,
    /// `\r` alone, as old Macintosh programs write; `\n` is data.
    CarriageReturn,
}

impl LineEnd {
    /// The last byte of a record's line end.
    #[inline(always)]
    pub(crate) fn byte(self) -> u8 {
        match self {
            LineEnd::Newline => b'\n',
            LineEnd::CarriageReturn => b'\r',
        }
    }
}

impl Default for Dialect {
    /// Comma and double quote; lines end with `\n` or `\r\n`.
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comment: None, line_end: LineEnd::Newline }
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
        Ok(Dialect { delimiter, quote, ..Dialect::default() })
    }

    /// The dialect with `escape`: inside a quoted field, this byte before a quote or before itself makes that byte data
    /// and does not count. Before any other byte, and outside quotes, it is data. Doubled quotes go on being understood,
    /// so that the quote itself as escape byte changes nothing. Default none.
    ///
    /// # Errors
    /// `Unsupported` for a byte that cannot play this part, or plays another.
    pub fn with_escape(self, escape: Option<u8>) -> Result<Self> {
        let escape = escape.filter(|&byte| self.quote != Some(byte));
        check("escape", escape)?;
        distinct("escape", escape, [("delimiter", Some(self.delimiter)), ("comment", self.comment)])?;
        Ok(Dialect { escape, ..self })
    }

    /// The dialect with `comment`: a line that begins with this byte, where a record could begin, is passed over up to
    /// its line end, whatever it holds. Default none.
    ///
    /// # Errors
    /// `Unsupported` for a byte that cannot play this part, or plays another.
    pub fn with_comment(self, comment: Option<u8>) -> Result<Self> {
        check("comment", comment)?;
        let others = [("delimiter", Some(self.delimiter)), ("quote", self.quote), ("escape", self.escape)];
        distinct("comment", comment, others)?;
        Ok(Dialect { comment, ..self })
    }

    /// The dialect with `line_end` at the end of records. Default [`LineEnd::Newline`].
    #[must_use]
    pub fn with_line_end(self, line_end: LineEnd) -> Self {
        Dialect { line_end, ..self }
    }

    /// The byte between fields.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The byte around quoted fields, if fields can be quoted.
    pub fn quote(&self) -> Option<u8> {
        self.quote
    }

    /// The byte that escapes a quote inside a quoted field, if there is one.
    pub fn escape(&self) -> Option<u8> {
        self.escape
    }

    /// The byte that begins a comment line, if there is one.
    pub fn comment(&self) -> Option<u8> {
        self.comment
    }

    /// What ends a record.
    pub fn line_end(&self) -> LineEnd {
        self.line_end
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

fn distinct<const N: usize>(role: &str, byte: Option<u8>, others: [(&str, Option<u8>); N]) -> Result<()> {
    match others.iter().find(|(_, other)| byte.is_some() && *other == byte) {
        Some((other, _)) => {
            let shown = char::from(byte.unwrap_or_default());
            Err(Error::new(ErrorKind::Unsupported, format!("{role} and {other} are both {shown:?}")))
        }
        None => Ok(()),
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

    #[test]
    fn no_byte_plays_two_parts() {
        let dialect = Dialect::new(b';', Some(b'"')).unwrap().with_escape(Some(b'\\')).unwrap();
        assert_eq!(dialect.with_escape(Some(b'"')).unwrap().escape(), None, "quotes are doubled anyway");
        for refused in [
            dialect.with_escape(Some(b';')),
            dialect.with_escape(Some(b'\r')),
            dialect.with_comment(Some(b';')),
            dialect.with_comment(Some(b'"')),
            dialect.with_comment(Some(b'\\')),
            dialect.with_comment(Some(b'#')).and_then(|dialect| dialect.with_escape(Some(b'#'))),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}
