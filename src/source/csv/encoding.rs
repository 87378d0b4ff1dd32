//! Bytes of text fields to UTF-8.

use super::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use std::borrow::Cow;

/// How the text fields of a file are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not declared: UTF-8, and a field that is not is read as windows-1252 and counted.
    #[default]
    Undeclared,
    /// Declared to be UTF-8: a field that is not is a misfit.
    Utf8,
    /// Another declared encoding in which ASCII bytes mean ASCII.
    Other(&'static encoding_rs::Encoding),
}

/// What becomes of bytes that the declared encoding does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidBytes {
    /// The field is an error.
    #[default]
    Error,
    /// They are replaced by U+FFFD, and the field is counted.
    Replace,
}

/// A field as UTF-8, and whether it was read as windows-1252 for want of a declaration, or replaced in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// It was not in the encoding: read as windows-1252 where nothing was declared, else bytes of it were replaced.
    pub recoded: bool,
}

impl Encoding {
    /// The encoding with this label, such as `utf-8`, `latin1` or `windows-1252` (the names of the WHATWG standard).
    ///
    /// # Errors
    /// `Name` for an unknown label, `Unsupported` for an encoding in which ASCII bytes may mean something else.
    pub fn from_label(label: &str) -> Result<Self> {
        let Some(encoding) = encoding_rs::Encoding::for_label(label.trim().as_bytes()) else {
            return Err(Error::new(ErrorKind::Name, format!("no encoding `{}`", label.trim()))
                .hint("use a label such as utf-8, windows-1252, iso-8859-15, shift_jis or gb18030"));
        };
        if encoding == encoding_rs::UTF_8 {
            Ok(Encoding::Utf8)
        } else if encoding.is_ascii_compatible() {
            Ok(Encoding::Other(encoding))
        } else {
            Err(not_read(encoding.name()))
        }
    }

    /// Checks that a delimiter, quote or escape cannot be part of another character.
    ///
    /// # Errors
    /// `Unsupported` for an encoding of several bytes a character together with an exotic delimiter, quote or escape.
    pub fn check(self, dialect: &Dialect) -> Result<()> {
        let Encoding::Other(encoding) = self else {
            return Ok(());
        };
        // In these, no other byte follows a lead byte: space, tab, comma, semicolon and quotes are safe.
        let unsafe_byte = |byte: u8| !encoding.is_single_byte() && matches!(byte, b'0'..=b'9' | 0x40..);
        // A comment stands where a record could begin, hence not amid a character.
        match [Some(dialect.delimiter()), dialect.quote(), dialect.escape()]
            .into_iter()
            .flatten()
            .find(|&byte| unsafe_byte(byte))
        {
            None => Ok(()),
            Some(byte) => {
                let message =
                    format!("{:?} cannot delimit, quote or escape fields in {}", char::from(byte), encoding.name());
                Err(Error::new(ErrorKind::Unsupported, message).hint("convert the file to UTF-8 first"))
            }
        }
    }

    /// A field as UTF-8; `None` if it is not in the declared encoding.
    pub fn decode(self, field: &[u8]) -> Option<Decoded<'_>> {
        let valid = |text| Decoded { text, recoded: false };
        if let Encoding::Other(encoding) = self {
            return encoding.decode_without_bom_handling_and_without_replacement(field).map(valid);
        }
        match std::str::from_utf8(field) {
            Ok(text) => Some(valid(Cow::Borrowed(text))),
            Err(_) if self == Encoding::Utf8 => None,
            Err(_) => {
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(field);
                Some(Decoded { text, recoded: true })
            }
        }
    }
}

impl Encoding {
    /// A field as UTF-8, with U+FFFD for what is not in the declared encoding.
    pub fn decode_replacing(self, field: &[u8]) -> Decoded<'_> {
        let encoding = if let Encoding::Other(encoding) = self { encoding } else { encoding_rs::UTF_8 };
        let (text, recoded) = encoding.decode_without_bom_handling(field);
        Decoded { text, recoded }
    }

    /// The name of the encoding, as the WHATWG standard has it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Undeclared => "UTF-8, else windows-1252",
            Encoding::Utf8 => "UTF-8",
            Encoding::Other(encoding) => encoding.name(),
        }
    }
}

/// Length of the UTF-8 byte order mark that the file begins with, else 0.
///
/// # Errors
/// `Unsupported` for the byte order mark of UTF-16.
pub fn byte_order_mark(text: &[u8]) -> Result<usize> {
    match text {
        [0xEF, 0xBB, 0xBF, ..] => Ok(3),
        [0xFF, 0xFE, ..] => Err(not_read("UTF-16LE")),
        [0xFE, 0xFF, ..] => Err(not_read("UTF-16BE")),
        _ => Ok(0),
    }
}

fn not_read(name: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("text in {name} is not read")).hint("convert the file to UTF-8 first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_text_falls_back_to_windows_1252_and_says_so() {
        let decoded = Encoding::Undeclared.decode(b"N\xE9\x80").unwrap();
        assert_eq!((&*decoded.text, decoded.recoded), ("N\u{e9}\u{20ac}", true));
        let decoded = Encoding::Undeclared.decode("Né€".as_bytes()).unwrap();
        assert_eq!((&*decoded.text, decoded.recoded), ("Né€", false));
    }

    #[test]
    fn declared_encodings_are_strict() {
        assert_eq!(Encoding::from_label("UTF8").unwrap().decode(b"\xE9"), None);
        let latin = Encoding::from_label("latin1").unwrap();
        assert_eq!(latin.decode(b"\xE9").unwrap(), Decoded { text: "é".into(), recoded: false });
        let japanese = Encoding::from_label("shift_jis").unwrap();
        assert_eq!(japanese.decode(b"\x83\x65").unwrap().text, "テ");
        assert_eq!(japanese.decode(b"\x83"), None);
        assert!(japanese.check(&Dialect::default()).is_ok());
        assert!(japanese.check(&Dialect::new(b'|', None).unwrap()).is_err());
        assert!(latin.check(&Dialect::new(b'|', None).unwrap()).is_ok());
    }

    #[test]
    fn utf_16_is_refused_by_name_and_by_mark() {
        assert_eq!(Encoding::from_label("utf-16le").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Encoding::from_label("klingon").unwrap_err().kind(), ErrorKind::Name);
        assert_eq!(byte_order_mark(b"\xFF\xFEa\0").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(byte_order_mark(b"\xEF\xBB\xBFa").unwrap(), 3);
        assert_eq!(byte_order_mark(b"a").unwrap(), 0);
    }
}
