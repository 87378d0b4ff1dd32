//! What a raw field means: quotes taken off, null tokens recognised.

use super::date_formats::DateFormats;
use super::dialect::Dialect;
use super::encoding::{Decoded, Encoding, InvalidBytes};
use super::number::{parse_boolean, parse_float};
use super::number_style::NumberStyle;
use super::strings::{INLINE_BYTES, inline_view};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// How the fields of a file are to be read.
#[derive(Clone, Debug, Default)]
pub struct Format {
    /// What separates fields and records, and quotes fields.
    pub dialect: Dialect,
    /// Which fields are null.
    pub nulls: NullTokens,
    /// How text is encoded.
    pub encoding: Encoding,
    /// What becomes of bytes that the declared encoding does not have.
    pub invalid_bytes: InvalidBytes,
    /// How numbers are written.
    pub numbers: NumberStyle,
    /// How dates and timestamps may be written, besides the common ways.
    pub dates: DateFormats,
}

/// The texts that stand for a missing value.
#[derive(Clone, Debug)]
pub struct NullTokens {
    tokens: Vec<Box<[u8]>>,
    /// Bit `min(length, 63)` is set when a token has that length.
    lengths: u64,
    /// The tokens of up to twelve bytes as inline views.
    short: Vec<u128>,
    like_values: bool,
}

impl Default for NullTokens {
    /// The empty field and `NA`.
    fn default() -> Self {
        NullTokens::new(["", "NA"])
    }
}

impl NullTokens {
    /// Exactly these tokens; none at all is allowed.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let tokens: Vec<Box<[u8]>> = tokens.into_iter().map(|token| token.as_bytes().into()).collect();
        let lengths = tokens.iter().fold(0, |bits, token| bits | 1 << token.len().min(63));
        let short = tokens.iter().filter(|token| token.len() <= INLINE_BYTES).map(|token| inline_view(token)).collect();
        let like_values = tokens.iter().any(|token| {
            token.iter().any(u8::is_ascii_digit) || parse_float(token).is_some() || parse_boolean(token).is_some()
        });
        NullTokens { tokens, lengths, short, like_values }
    }

    /// Whether the text of an unquoted field is one of the tokens.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        self.lengths >> text.len().min(63) & 1 != 0 && self.tokens.iter().any(|token| **token == *text)
    }

    /// [`NullTokens::contains`] for a text of `length` ≤ 12 bytes given as an inline view.
    #[inline(always)]
    pub(super) fn contains_short(&self, length: usize, view: u128) -> bool {
        self.lengths >> length & 1 != 0 && self.short.contains(&view)
    }

    /// The tokens, in the order given.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.iter().map(|token| String::from_utf8_lossy(token).into_owned()).collect()
    }

    /// Whether they are the default ones.
    pub(super) fn is_default(&self) -> bool {
        self.tokens == NullTokens::default().tokens
    }

    /// Whether a token may read as a value of a type other than text, so that it must be looked for first.
    pub(super) fn like_values(&self) -> bool {
        self.like_values
    }
}

/// A raw field seen as a value of a type other than text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// An unquoted null token.
    Null,
    /// A null token in quotes or among spaces, which is a value in a text column.
    NullUnlessText,
    /// Anything else, without quotes and surrounding spaces.
    Text(Cow<'a, [u8]>),
}

impl Format {
    /// A field as UTF-8; `None` if it is not in the declared encoding, and that is an error.
    pub(super) fn decode<'a>(&self, field: &'a [u8]) -> Option<Decoded<'a>> {
        self.encoding.decode(field).or_else(|| match self.invalid_bytes {
            InvalidBytes::Error => None,
            InvalidBytes::Replace => Some(self.encoding.decode_replacing(field)),
        })
    }

    /// The raw field as a value of a type other than text: spaces and tabs around it do not count, nor do quotes.
    pub(super) fn value<'a>(&self, raw: &'a [u8]) -> Value<'a> {
        if self.nulls.contains(raw) {
            return Value::Null;
        }
        let inner = match unquote(raw, &self.dialect).unwrap_or(Cow::Borrowed(raw)) {
            Cow::Borrowed(inner) => Cow::Borrowed(trim(inner)),
            Cow::Owned(inner) => Cow::Owned(trim(&inner).to_vec()),
        };
        if self.nulls.contains(&inner) { Value::NullUnlessText } else { Value::Text(inner) }
    }
}

/// The content of a quoted field, doubled and escaped quotes made single; `None` if the field is not quoted.
pub fn unquote<'a>(raw: &'a [u8], dialect: &Dialect) -> Option<Cow<'a, [u8]>> {
    let quote = dialect.quote()?;
    let inner = raw.strip_prefix(&[quote])?;
    let inner = inner.strip_suffix(&[quote]).unwrap_or(inner);
    if let Some(escape) = dialect.escape() {
        return Some(unescape(inner, quote, escape));
    }
    let Some(mut at) = memchr(quote, inner) else {
        return Some(Cow::Borrowed(inner));
    };
    let mut content = Vec::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        content.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 1..];
        rest = rest.strip_prefix(&[quote]).unwrap_or(rest);
        match memchr(quote, rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    content.extend_from_slice(rest);
    Some(Cow::Owned(content))
}

/// What stands between quotes, the first byte of each pair of quotes, of escapes, or of escape and quote taken off.
fn unescape(inner: &[u8], quote: u8, escape: u8) -> Cow<'_, [u8]> {
    let mut content = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(distance) = inner.get(at..).and_then(|rest| memchr2(quote, escape, rest)) {
        at += distance;
        match inner.get(at + 1) {
            Some(&next) if next == quote || next == escape && inner[at] == escape => {
                content.extend_from_slice(&inner[from..at]);
                from = at + 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    if from == 0 {
        return Cow::Borrowed(inner);
    }
    content.extend_from_slice(&inner[from..]);
    Cow::Owned(content)
}

/// The text without spaces and tabs at both ends.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_come_off_and_doubled_ones_become_single() {
        let unquoted = |raw: &'static str| unquote(raw.as_bytes(), &Dialect::default()).map(Cow::into_owned);
        assert_eq!(unquoted("abc"), None);
        assert_eq!(unquoted(""), None);
        assert_eq!(unquoted("\"\"").unwrap(), b"");
        assert_eq!(unquoted("\"a,b\"").unwrap(), b"a,b");
        assert_eq!(unquoted("\"a \"\"b\"\"\"").unwrap(), b"a \"b\"");
        assert_eq!(unquoted("\"\"\"\"\"\"").unwrap(), b"\"\"");
    }

    #[test]
    fn an_escape_byte_comes_off_before_a_quote_or_itself_only() {
        let dialect = Dialect::default().with_escape(Some(b'\\')).unwrap();
        let unquoted = |raw: &'static str| unquote(raw.as_bytes(), &dialect).map(Cow::into_owned);
        assert_eq!(unquoted(r"a\\b"), None, "outside quotes it is data");
        assert_eq!(unquoted(r#""C:\temp""#).unwrap(), br"C:\temp");
        assert_eq!(unquoted(r#""\"a\" \\ ""b""""#).unwrap(), br#""a" \ "b""#);
        assert_eq!(unquoted(r#""\\\"""#).unwrap(), br#"\""#);
    }

    #[test]
    fn null_tokens_match_whole_fields_only() {
        let tokens = NullTokens::default();
        for (text, null) in [("", true), ("NA", true), ("NAN", false), ("na", false), (" ", false)] {
            assert_eq!(tokens.contains(text.as_bytes()), null, "{text:?}");
        }
        assert!(!NullTokens::new([]).contains(b""));
        let long = "x".repeat(70);
        assert!(NullTokens::new([&*long]).contains(long.as_bytes()));
        assert!(!NullTokens::new([&*long]).contains(&long.as_bytes()[1..]));
    }

    #[test]
    fn a_quoted_or_padded_null_token_is_null_except_in_text() {
        let format = Format::default();
        assert_eq!(format.value(b"NA"), Value::Null);
        for raw in [&b"\"NA\""[..], b" NA", b"\"\"", b"  "] {
            assert_eq!(format.value(raw), Value::NullUnlessText);
        }
        assert_eq!(format.value(b"\" 5 \""), Value::Text(b"5"[..].into()));
    }
}
