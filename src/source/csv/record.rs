//! One record, byte by byte: the precise reading of the grammar, and the slow twin of the splitter.

use super::dialect::Dialect;
use memchr::{memchr, memchr2};

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedKind {
    /// Fewer fields than expected.
    TooFew {
        /// Number of fields in the record.
        found: usize,
    },
    /// More fields than expected.
    TooMany {
        /// Number of fields in the record.
        found: usize,
    },
    /// A quoted field is still open where the file ends.
    UnterminatedQuote,
    /// Something other than a delimiter or a line end follows a closing quote.
    TextAfterQuote,
}

/// A record that breaks the grammar or has the wrong number of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of the record's first byte.
    pub start: usize,
    /// Offset of the trouble: the opening quote, the byte after the closing quote; else the record's first byte.
    pub at: usize,
    /// Where to go on when it is set aside: after the record and its line end; if its quotes are broken, and with them
    /// what tells where it ends, after its first line.
    pub next: usize,
    /// How many records stood in the index before it.
    pub record: usize,
    /// What is wrong.
    pub kind: MalformedKind,
}

/// One record as found in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanned {
    /// Number of fields.
    pub(super) fields: usize,
    /// Offset after the record and its line end; after its first line, if its quotes are broken.
    pub(super) next: usize,
    /// Nothing but a line end.
    pub(super) blank: bool,
    /// A comment line, without fields.
    pub(super) comment: bool,
    /// Whether a field starts with a quote.
    pub(super) quotes: bool,
    /// The first breach of the grammar and its offset; what stands behind it is not looked at.
    pub(super) trouble: Option<(usize, MalformedKind)>,
}

/// Scans the record at `start`, which must lie in the text. Appends the ends of its first `keep` fields to `ends`.
/// `None` when the record does not end in the text and the file goes on (`ends` is then as before).
pub(super) fn scan_record(
    text: &[u8],
    start: usize,
    dialect: &Dialect,
    at_end: bool,
    keep: usize,
    ends: &mut Vec<u32>,
) -> Option<Scanned> {
    scan_record_behind(&[], text, start, dialect, at_end, keep, ends)
}

/// [`scan_record`], where the ends of the first fields are `known`: without quotes, these end at delimiters.
pub(super) fn scan_record_behind(
    known: &[u32],
    text: &[u8],
    start: usize,
    dialect: &Dialect,
    at_end: bool,
    keep: usize,
    ends: &mut Vec<u32>,
) -> Option<Scanned> {
    let mark = ends.len();
    let fields = known.len();
    let mut record = Scanned { fields, next: 0, blank: false, comment: false, quotes: false, trouble: None };
    if begins_comment(text, start, dialect) {
        let next = after_line(text, start, dialect).or(at_end.then_some(text.len()))?;
        return Some(Scanned { next, comment: true, ..record });
    }
    let first_unknown = known.last().map_or(start, |&end| end as usize + 1);
    ends.extend_from_slice(&known[..fields.min(keep)]);
    let mut at = first_unknown;
    let line_end = dialect.line_end().byte();
    loop {
        let field_start = at;
        if text.get(at).is_some_and(|&byte| dialect.is_quote(byte)) {
            record.quotes = true;
            match after_closing_quote(text, at, dialect.escape()) {
                Some(after) if after < text.len() || at_end => {
                    at = after;
                    if !ends_field(text, at, dialect) {
                        ends.truncate(mark);
                        // A carriage return may yet be followed by its line feed.
                        let is_cut = text[at..] == *b"\r" && !at_end;
                        let next = after_line(text, first_unknown, dialect).or(at_end.then_some(text.len()));
                        let trouble = Some((at, MalformedKind::TextAfterQuote));
                        return next.filter(|_| !is_cut).map(|next| Scanned { next, trouble, ..record });
                    }
                }
                None if at_end => {
                    ends.truncate(mark);
                    let next = after_line(text, first_unknown, dialect).unwrap_or(text.len());
                    return Some(Scanned { next, trouble: Some((at, MalformedKind::UnterminatedQuote)), ..record });
                }
                _ => {
                    ends.truncate(mark);
                    return None;
                }
            }
        }
        let separator = find_separator(text, at, dialect.delimiter(), line_end);
        if separator.is_none() && !at_end {
            ends.truncate(mark);
            return None;
        }
        let stop = separator.unwrap_or(text.len());
        let is_line_end = separator.is_some_and(|at| text[at] == line_end);
        let end = if is_line_end && stop > at && text[stop - 1] == b'\r' { stop - 1 } else { stop };
        record.fields += 1;
        if record.fields <= keep {
            ends.push(end as u32);
        }
        if is_line_end || separator.is_none() {
            record.next = if is_line_end { stop + 1 } else { stop };
            record.blank = is_line_end && record.fields == 1 && end == field_start;
            return Some(record);
        }
        at = stop + 1;
    }
}

/// Offset of the next delimiter or line end. Most fields are shorter than what a vector search costs to begin.
fn find_separator(text: &[u8], at: usize, delimiter: u8, line_end: u8) -> Option<usize> {
    let rest = &text[at..];
    let (near, far) = rest.split_at(rest.len().min(16));
    let is_separator = |&byte: &u8| byte == delimiter || byte == line_end;
    let distance = near
        .iter()
        .position(is_separator)
        .or_else(|| memchr2(delimiter, line_end, far).map(|distance| near.len() + distance))?;
    Some(at + distance)
}

/// Whether the record that could start at `at` is a comment line instead.
#[inline]
pub(super) fn begins_comment(text: &[u8], at: usize, dialect: &Dialect) -> bool {
    dialect.comment().is_some_and(|comment| text.get(at) == Some(&comment))
}

/// Offset after the line end of the line at `at`, quotes or not.
pub(super) fn after_line(text: &[u8], at: usize, dialect: &Dialect) -> Option<usize> {
    memchr(dialect.line_end().byte(), &text[at..]).map(|distance| at + distance + 1)
}

/// Offset after the quote that closes the field opened at `opening`.
fn after_closing_quote(text: &[u8], opening: usize, escape: Option<u8>) -> Option<usize> {
    let quote = text[opening];
    let mut at = opening + 1;
    loop {
        at += next_quote(text.get(at..)?, quote, escape)? + 1;
        if text.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// Offset of the first quote that is not escaped, in text inside quotes.
pub(super) fn next_quote(text: &[u8], quote: u8, escape: Option<u8>) -> Option<usize> {
    let Some(escape) = escape else { return memchr(quote, text) };
    let mut at = 0;
    loop {
        at += memchr2(quote, escape, text.get(at..)?)?;
        if text[at] == quote {
            return Some(at);
        }
        at += 2;
    }
}

fn ends_field(text: &[u8], at: usize, dialect: &Dialect) -> bool {
    let line_end = dialect.line_end().byte();
    match text.get(at) {
        None => true,
        Some(&byte) if byte == dialect.delimiter() || byte == line_end => true,
        Some(&byte) => byte == b'\r' && text.get(at + 1) == Some(&line_end),
    }
}
