//! One line to the places of its values: a strict reading of the JSON grammar (RFC 8259), without copies.
//!
//! Why not arrow-json: its reader takes missing and surplus commas for granted, does not tell which row a value that
//! does not fit stands in, and keeps the tape that would tell to itself.

use super::keys::{Keys, Node};
use memchr::memchr;
use std::ops::Range;

/// Objects and arrays may be nested no deeper, so that no text overflows the stack.
const MAX_DEPTH: usize = 128;

/// What sort of value stands somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`, or no value at all.
    #[default]
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number.
    Number,
    /// A string; the place is that of its text, without the quotes.
    Text,
    /// A string with escapes in it.
    EscapedText,
    /// An array, or an object where other records hold a value.
    Nested,
}

/// A value and its place in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Value {
    pub(super) kind: Kind,
    start: u32,
    end: u32,
}

impl Value {
    fn new(kind: Kind, range: Range<usize>) -> Self {
        Value { kind, start: range.start as u32, end: range.end as u32 }
    }

    /// The text of the value, escapes included.
    pub(super) fn raw<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Byte offset in the text.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// Receives what is found in a record.
pub(super) trait Visitor {
    /// A value of the key `entry` of `node`; `key` is its place.
    fn value(&mut self, node: Node, entry: usize, key: Range<usize>, value: Value);
    /// A key of a record that nobody knows, and the value of which is not null.
    fn unknown(&mut self, node: Node, key: Range<usize>);
}

/// Reads the object in `text[line]`, which must be all there is on the line but for spaces.
pub(super) fn read_record(
    text: &[u8],
    line: Range<usize>,
    keys: &mut impl Keys,
    visitor: &mut impl Visitor,
) -> Result<(), Broken> {
    let mut reader = RecordReader { text: &text[..line.end], at: line.start, keys, visitor };
    reader.skip_spaces();
    if reader.peek() != Some(b'{') {
        return reader.broken("a record must be an object, { … }");
    }
    reader.object(Some(Node::ROOT), 0)?;
    reader.skip_spaces();
    if reader.at < reader.text.len() {
        return reader.broken("text follows the record on its line");
    }
    Ok(())
}

struct RecordReader<'a, K, V> {
    text: &'a [u8],
    at: usize,
    keys: &'a mut K,
    visitor: &'a mut V,
}

impl<K: Keys, V: Visitor> RecordReader<'_, K, V> {
    fn broken<T>(&self, what: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at.min(self.text.len()), what })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// An object, whose values are of interest if `node` is known.
    fn object(&mut self, node: Option<Node>, depth: usize) -> Result<(), Broken> {
        if depth >= MAX_DEPTH {
            return self.broken("objects and arrays are nested too deep");
        }
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut expected = 0;
        loop {
            if self.peek() != Some(b'"') {
                return self.broken("a key in quotes should stand here");
            }
            let key = self.string()?;
            self.skip_spaces();
            if self.peek() != Some(b':') {
                return self.broken("`:` should stand here");
            }
            self.at += 1;
            self.skip_spaces();
            let range = key.start as usize..key.end as usize;
            let entry = match node {
                None => None,
                Some(node) if key.kind == Kind::EscapedText => {
                    self.keys.find(node, unescape(key.raw(self.text)).as_bytes(), expected)
                }
                Some(node) => self.keys.find(node, key.raw(self.text), expected),
            };
            expected = entry.map_or(expected, |entry| entry + 1);
            self.field(node, entry, range, depth)?;
            self.skip_spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.broken("`,` or `}` should stand here"),
            }
            self.skip_spaces();
        }
    }

    /// The value of a key.
    fn field(
        &mut self,
        node: Option<Node>,
        entry: Option<usize>,
        key: Range<usize>,
        depth: usize,
    ) -> Result<(), Broken> {
        let start = self.at;
        if self.peek() == Some(b'{') {
            let child = node.zip(entry).and_then(|(node, entry)| self.keys.child(node, entry));
            self.object(child, depth + 1)?;
            if let (Some(node), None) = (node, child) {
                match entry {
                    // An object among plain values is kept as text.
                    Some(entry) => self.visitor.value(node, entry, key, Value::new(Kind::Nested, start..self.at)),
                    None => self.visitor.unknown(node, key),
                }
            }
            return Ok(());
        }
        let value = self.value(depth)?;
        match (node, entry) {
            (Some(node), Some(entry)) => self.visitor.value(node, entry, key, value),
            (Some(node), None) if value.kind != Kind::Null => self.visitor.unknown(node, key),
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Broken> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => return self.string(),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b't') => self.word(b"true", Kind::True)?,
            Some(b'f') => self.word(b"false", Kind::False)?,
            Some(b'n') => self.word(b"null", Kind::Null)?,
            Some(b'{') => {
                self.object(None, depth + 1)?;
                Kind::Nested
            }
            Some(b'[') => {
                self.array(depth + 1)?;
                Kind::Nested
            }
            _ => return self.broken("a value should stand here"),
        };
        Ok(Value::new(kind, start..self.at))
    }

    fn array(&mut self, depth: usize) -> Result<(), Broken> {
        if depth >= MAX_DEPTH {
            return self.broken("objects and arrays are nested too deep");
        }
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_spaces();
            self.value(depth)?;
            self.skip_spaces();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.broken("`,` or `]` should stand here"),
            }
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, Broken> {
        if !self.text[self.at..].starts_with(word) {
            return self.broken("a value should stand here");
        }
        self.at += word.len();
        Ok(kind)
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.broken("a digit should stand here") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Broken> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Value, Broken> {
        self.at += 1;
        let start = self.at;
        let mut kind = Kind::Text;
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20) else {
                self.at = self.text.len();
                return self.broken("a string is not closed on its line");
            };
            self.at += length;
            match rest[length] {
                b'"' => {
                    self.at += 1;
                    return Ok(Value::new(kind, start..self.at - 1));
                }
                b'\\' => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                _ => return self.broken("a control character in a string must be escaped"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Broken> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match escaped_character(&self.text[self.at..]) {
                Some((_, length)) => {
                    self.at += length;
                    Ok(())
                }
                None => self.broken("this escape is no character"),
            },
            _ => self.broken("there is no such escape"),
        }
    }
}

/// The character of a `\uXXXX` escape, or of the two that make a surrogate pair, and its length in bytes.
fn escaped_character(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(6).filter(|second| (0xDC00..0xE000).contains(second))?;
    Some((char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, 12))
}

/// The text of a string that [`read_record`] has passed.
pub(super) fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let plain = |byte: u8, rest: &mut &[u8], out: &mut Vec<u8>| {
            out.push(byte);
            *rest = rest.get(2..).unwrap_or_default();
        };
        match rest.get(1) {
            Some(b'u') => {
                let (character, length) = escaped_character(rest).unwrap_or((char::REPLACEMENT_CHARACTER, rest.len()));
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
            Some(b'b') => plain(8, &mut rest, &mut out),
            Some(b'f') => plain(12, &mut rest, &mut out),
            Some(b'n') => plain(b'\n', &mut rest, &mut out),
            Some(b'r') => plain(b'\r', &mut rest, &mut out),
            Some(b't') => plain(b'\t', &mut rest, &mut out),
            Some(&other) => plain(other, &mut rest, &mut out),
            None => rest = &[],
        }
    }
    out.extend_from_slice(rest);
    String::from_utf8_lossy(&out).into_owned()
}
