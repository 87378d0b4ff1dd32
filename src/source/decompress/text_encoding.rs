//! Which encoding a text is in, where that decides what its bytes are: told by its mark, its look, or its user.

use crate::error::{Error, ErrorKind, Result};
use encoding_rs::{Encoding, REPLACEMENT, UTF_16BE, UTF_16LE};

/// Bytes looked at for the pattern of UTF-16 without a mark.
const LOOKED_AT_BYTES: usize = 4096;

/// What becomes of bytes that mean nothing in their encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidText {
    /// They are an error where the encoding was declared, and replaced by U+FFFD and counted where it was found out.
    #[default]
    AsDeclared,
    /// They are an error.
    Fail,
    /// They are replaced by U+FFFD and counted.
    Replace,
}

/// How the bytes of a text file become text.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// The encoding declared; `None` if it is to be found out. One in which ASCII bytes mean ASCII changes nothing
    /// here: the reader above decodes its fields.
    pub encoding: Option<&'static Encoding>,
    /// What becomes of bytes that mean nothing. Default: [`InvalidText::AsDeclared`].
    pub invalid: InvalidText,
}

/// An encoding that must be undone before records can be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextEncoding {
    pub(super) encoding: &'static Encoding,
    /// [`InvalidText::Fail`] or [`InvalidText::Replace`].
    pub(super) invalid: InvalidText,
}

impl TextOptions {
    /// What a text that begins with `head` must be transcoded from; `None` if it need not be. A byte order mark weighs
    /// more than a declaration, as browsers have it.
    ///
    /// # Errors
    /// `Unsupported` for an encoding that cannot be decoded.
    pub(super) fn detect(&self, head: &[u8]) -> Result<Option<TextEncoding>> {
        if matches!(head, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) {
            return Err(unsupported("UTF-32"));
        }
        let declared = self.encoding.filter(|encoding| !encoding.is_ascii_compatible());
        // Line ends alone have zeros in UTF-16.
        let is_utf_16 = declared.is_some_and(|encoding| encoding == UTF_16LE || encoding == UTF_16BE);
        if is_utf_16 && head.len() > 1 && head.is_ascii() && !head.contains(&0) {
            let message = "the text is ASCII, not UTF-16 as was declared";
            return Err(Error::new(ErrorKind::Malformed, message).hint("leave out --encoding"));
        }
        let found = match head {
            [0xFF, 0xFE, ..] => Some(UTF_16LE),
            [0xFE, 0xFF, ..] => Some(UTF_16BE),
            _ if self.encoding.is_none() => utf_16_by_zeros(head),
            _ => declared,
        };
        let Some(encoding) = found else { return Ok(None) };
        if encoding == REPLACEMENT {
            return Err(unsupported("this encoding"));
        }
        let invalid = match self.invalid {
            InvalidText::AsDeclared if self.encoding.is_some() => InvalidText::Fail,
            InvalidText::AsDeclared => InvalidText::Replace,
            given => given,
        };
        Ok(Some(TextEncoding { encoding, invalid }))
    }
}

fn unsupported(name: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("text in {name} is not read"))
        .hint("convert it to UTF-8 first: iconv -f ENCODING -t UTF-8 old.csv > new.csv")
}

/// UTF-16 without a mark: text that is mostly Latin has a zero in every other byte, and UTF-8 has none at all.
fn utf_16_by_zeros(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head[..head.len().min(LOOKED_AT_BYTES)].chunks_exact(2);
    let count = pairs.len();
    let (mut first, mut second) = (0, 0);
    for pair in pairs {
        first += usize::from(pair[0] == 0);
        second += usize::from(pair[1] == 0);
    }
    let is_pattern = |zeros: usize, others: usize| count >= 2 && zeros * 4 >= count * 3 && others * 50 <= count;
    if is_pattern(second, first) {
        Some(UTF_16LE)
    } else if is_pattern(first, second) {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8], label: Option<&str>) -> Option<&'static str> {
        let encoding = label.map(|label| Encoding::for_label(label.as_bytes()).unwrap());
        let found = TextOptions { encoding, ..TextOptions::default() }.detect(head).unwrap();
        found.map(|found| found.encoding.name())
    }

    #[test]
    fn utf_16_is_told_by_its_mark_by_its_zeros_or_by_its_user() {
        for (head, label, encoding) in [
            (&b"\xFF\xFEa\0"[..], None, Some("UTF-16LE")),
            (b"\xFE\xFF\0a", None, Some("UTF-16BE")),
            (b"\xFE\xFF\0a", Some("utf-16le"), Some("UTF-16BE")),
            (b"\xFE\xFF\0a", Some("latin1"), Some("UTF-16BE")),
            (b"a\0,\0b\0\n\0", None, Some("UTF-16LE")),
            (b"\0a\0,\0b\0\n", None, Some("UTF-16BE")),
            (b"a\0,\0b\0\n\0", Some("utf-8"), None),
            (b"a\0,\0b\0\n\0", Some("utf-16"), Some("UTF-16LE")),
            (b"a,b\n", Some("iso-2022-jp"), Some("ISO-2022-JP")),
            (b"a,b\n", Some("shift_jis"), None),
            (b"\0\0\0\0\0\0\0\0", None, None),
            (b"a,b\0\n1,2\0\n", None, None),
            (b"", None, None),
        ] {
            assert_eq!(name(head, label), encoding, "{head:?} {label:?}");
        }
        assert_eq!(TextOptions::default().detect(b"\xFF\xFE\0\0a\0\0\0").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
