//! Bytes of text fields to UTF-8.

use super::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::source::decompress::{InvalidText, TextFile, TextOptions};
use std::borrow::Cow;

/// How the text fields of a file are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not declared: UTF-8, and a field that is not is read as windows-1252 and counted.
    #[default]
    Undeclared,
    /// Declared to be UTF-8: a field that is not is a misfit.
    Utf8,
    /// Another declared encoding. One in which ASCII bytes may mean something else is undone below the reader: see
    /// [`Encoding::text_options`].
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
    /// `Name` for an unknown label, `Unsupported` for the encodings that the standard gives up.
    pub fn from_label(label: &str) -> Result<Self> {
        // As Python spells them.
        let of_python = label.trim().to_ascii_lowercase().replace("latin-", "latin").replace('_', "-");
        let known = |label: &str| encoding_rs::Encoding::for_label(label.as_bytes());
        let Some(encoding) = known(label.trim()).or_else(|| known(&of_python)) else {
            return Err(Error::new(ErrorKind::Name, format!("no encoding `{}`", label.trim()))
                .hint("use a label such as utf-8, windows-1252, iso-8859-15, shift_jis or gb18030"));
        };
        if encoding == encoding_rs::UTF_8 {
            Ok(Encoding::Utf8)
        } else if encoding == encoding_rs::REPLACEMENT {
            Err(Error::new(ErrorKind::Unsupported, format!("text in {} is not read", label.trim()))
                .hint("convert the file to UTF-8 first"))
        } else {
            Ok(Encoding::Other(encoding))
        }
    }

    /// How files in this encoding are opened: UTF-16 and the like become UTF-8 before records are looked for.
    pub fn text_options(self, invalid: InvalidText) -> TextOptions {
        let encoding = match self {
            Encoding::Undeclared => None,
            Encoding::Utf8 => Some(encoding_rs::UTF_8),
            Encoding::Other(encoding) => Some(encoding),
        };
        TextOptions { encoding, invalid }
    }

    /// The encoding of the fields of a file opened with [`Encoding::text_options`].
    pub fn of_fields(self, text: &TextFile) -> Self {
        if text.is_transcoded() { Encoding::Utf8 } else { self }
    }

    /// Checks that a delimiter, quote or escape cannot be part of another character.
    ///
    /// # Errors
    /// `Unsupported` for an encoding of several bytes a character together with an exotic delimiter, quote or escape.
    pub fn check(self, dialect: &Dialect) -> Result<()> {
        let Encoding::Other(encoding) = self else {
            return Ok(());
        };
        if !encoding.is_ascii_compatible() {
            return Ok(());
        }
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
pub fn byte_order_mark(text: &[u8]) -> usize {
    if text.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 }
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
    fn labels_are_those_of_the_standard() {
        assert_eq!(Encoding::from_label("utf-16le").unwrap(), Encoding::Other(encoding_rs::UTF_16LE));
        assert_eq!(Encoding::from_label("iso-2022-kr").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Encoding::from_label("klingon").unwrap_err().kind(), ErrorKind::Name);
        assert_eq!((byte_order_mark(b"\xEF\xBB\xBFa"), byte_order_mark(b"a")), (3, 0));
    }
}
