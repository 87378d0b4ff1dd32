//! Headers that come again in mid-stream, as concatenated files bring them.

use super::super::dialect::Dialect;
use super::super::fields::unquote;
use super::super::record::scan_record;
use super::{BYTE_ORDER_MARK, Rules, Span};
use std::sync::Arc;

/// The ways in which a header may be written when it comes again: as it stands in the file, with quotes around every
/// name, and with quotes where a name needs them. Names in another order are not the header.
#[derive(Clone, Debug)]
pub(in crate::source::csv) struct Headers {
    forms: Arc<[Vec<u8>]>,
    /// Lengths of the shortest and the longest form.
    shortest: usize,
    longest: usize,
}

impl Headers {
    /// None.
    pub(in crate::source::csv) fn none() -> Self {
        Headers { forms: Arc::default(), shortest: usize::MAX, longest: 0 }
    }

    /// The forms of the header that stands in the file as `raw`, which is without its line end.
    pub(in crate::source::csv) fn of(raw: &[u8], dialect: &Dialect) -> Self {
        let mut forms = vec![raw.to_vec()];
        forms.extend(requoted(raw, dialect).into_iter().flatten());
        forms.dedup();
        let length = |of: fn(usize, usize) -> usize| forms.iter().map(Vec::len).reduce(of).unwrap_or(0);
        let (shortest, longest) = (length(usize::min), length(usize::max));
        Headers { shortest, longest, forms: forms.into() }
    }

    /// Whether a record of this length, its line end perhaps included, must be looked at: a byte order mark may stand
    /// before the header.
    #[inline]
    pub(super) fn has_length(&self, length: usize, line_end: usize) -> bool {
        length >= self.shortest && length <= self.longest + BYTE_ORDER_MARK.len() + line_end
    }

    /// Whether a record's text is the header, with a byte order mark before it or not.
    pub(super) fn repeats(&self, raw: &[u8]) -> bool {
        let unmarked = raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(raw);
        self.has_length(raw.len(), 0) && self.forms.iter().any(|form| raw == form || unmarked == form)
    }
}

/// Every name between quotes, and only those that need them; `None` where quotes are not doubled, or there are none.
fn requoted(raw: &[u8], dialect: &Dialect) -> Option<[Vec<u8>; 2]> {
    let quote = dialect.quote().filter(|_| dialect.escape().is_none())?;
    let mut ends = Vec::new();
    let record = scan_record(raw, 0, dialect, true, usize::MAX, &mut ends)?;
    if record.trouble.is_some() || record.comment || record.next != raw.len() {
        return None;
    }
    let (mut all, mut needed) = (Vec::new(), Vec::new());
    let mut at = 0;
    for end in ends {
        let field = &raw[at..end as usize];
        let name = unquote(field, dialect).unwrap_or(field.into());
        let mut quoted = vec![quote];
        for &byte in name.iter() {
            quoted.extend(std::iter::repeat_n(byte, 1 + usize::from(byte == quote)));
        }
        quoted.push(quote);
        let special = [quote, dialect.delimiter(), b'\n', b'\r'];
        let needs = name.iter().any(|byte| special.contains(byte));
        for (form, field) in [(&mut all, &quoted[..]), (&mut needed, if needs { &quoted } else { &name[..] })] {
            if at > 0 {
                form.push(dialect.delimiter());
            }
            form.extend_from_slice(field);
        }
        at = end as usize + 1;
    }
    Some([all, needed])
}

/// Whether a header stands somewhere.
pub(super) enum Marked {
    /// Up to this offset, its line end included.
    Until(usize),
    No,
    /// The text ends too early to tell.
    Unknown,
}

impl Rules {
    /// Whether a header stands at `start` behind a byte order mark, which hides the quote that the header begins with.
    pub(super) fn marked_header(&self, span: Span<'_>, start: usize) -> Marked {
        let Some(text) = span.text.get(start..) else { return Marked::No };
        if text.first().is_some_and(|&first| first != BYTE_ORDER_MARK[0]) {
            return Marked::No;
        }
        let fits = |form: &&Vec<u8>| BYTE_ORDER_MARK.len() + form.len() <= self.max_record_bytes;
        let mut marked = Marked::No;
        for form in self.headers.forms.iter().filter(fits) {
            match self.marked_form(span, text, form) {
                Marked::No => {}
                Marked::Unknown => marked = Marked::Unknown,
                until => return until,
            }
        }
        marked
    }

    fn marked_form(&self, span: Span<'_>, text: &[u8], header: &[u8]) -> Marked {
        let line_end = self.dialect.line_end().byte();
        let is_cut = |rest: &[u8], whole: &[u8]| !span.at_end && rest.len() <= whole.len() && whole.starts_with(rest);
        if is_cut(text, BYTE_ORDER_MARK) {
            return Marked::Unknown;
        }
        let Some(unmarked) = text.strip_prefix(BYTE_ORDER_MARK) else { return Marked::No };
        if is_cut(unmarked, header) {
            return Marked::Unknown;
        }
        match unmarked.strip_prefix(header) {
            Some([]) => Marked::Until(span.text.len()),
            Some(&[first, ref rest @ ..]) if first == line_end => Marked::Until(span.text.len() - rest.len()),
            Some(&[b'\r', second, ref rest @ ..]) if second == line_end => Marked::Until(span.text.len() - rest.len()),
            Some(b"\r") if !span.at_end => Marked::Unknown,
            _ => Marked::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_however_it_is_quoted() {
        let headers = Headers::of(b"k,\"v, \"\"w\"\"\",x", &Dialect::default());
        for again in [
            &b"k,\"v, \"\"w\"\"\",x"[..],
            b"\"k\",\"v, \"\"w\"\"\",\"x\"",
            b"\xEF\xBB\xBFk,\"v, \"\"w\"\"\",x",
            b"\xEF\xBB\xBF\"k\",\"v, \"\"w\"\"\",\"x\"",
        ] {
            assert!(headers.repeats(again), "{}", again.escape_ascii());
        }
        for other in [&b"k,v,x"[..], b"x,\"v, \"\"w\"\"\",k", b"", b"\xEF\xBB\xBF", b"k,\"v, \"\"w\"\"\",x "] {
            assert!(!headers.repeats(other), "{}", other.escape_ascii());
        }
        assert!(Headers::of(b"\"k\",\"v\"", &Dialect::default()).repeats(b"k,v"));
        assert!(!Headers::none().repeats(b"k,v") && !Headers::none().repeats(b""));
    }
}
