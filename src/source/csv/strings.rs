//! Building a column of text as Arrow string views.
//!
//! A view is 128 bits: the length, then for up to twelve bytes the text itself, else the first four bytes, the buffer's
//! number and the offset in it. Airline codes so need no memory but the view, and comparing them is comparing integers.

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};

/// The longest text that lies in its view.
pub(super) const INLINE_BYTES: usize = 12;

/// Arrow stores offsets as signed 32-bit numbers.
const MAX_BUFFER: usize = i32::MAX as usize;

/// The view of a text of at most [`INLINE_BYTES`] (what is beyond is cut off).
pub(super) fn inline_view(text: &[u8]) -> u128 {
    let length = text.len().min(INLINE_BYTES);
    let mut view = [0; 16];
    view[0] = length as u8;
    view[4..4 + length].copy_from_slice(&text[..length]);
    u128::from_le_bytes(view)
}

/// The view of the `length` ≤ 12 ASCII bytes at `start`. `None` if they are not ASCII, or so close to the end of the
/// text that sixteen bytes cannot be loaded at once.
#[inline(always)]
pub(super) fn ascii_view(text: &[u8], start: usize, length: usize) -> Option<u128> {
    const HIGH_BITS: u128 = u128::from_ne_bytes([0x80; 16]);
    let word = u128::from_le_bytes(*text.get(start..)?.first_chunk::<16>()?);
    let word = word & ((1 << (8 * length)) - 1);
    (word & HIGH_BITS == 0).then_some(word << 32 | length as u128)
}

/// Views under construction.
///
/// Invariant: every view is either inline with valid UTF-8, or names a range of valid UTF-8 in the buffer of its
/// number, where buffer `buffers.len()` is the one being filled.
pub(super) struct StringViews {
    views: Vec<u128>,
    buffers: Vec<Buffer>,
    filling: Vec<u8>,
}

impl StringViews {
    pub(super) fn with_capacity(rows: usize) -> Self {
        StringViews { views: Vec::with_capacity(rows), buffers: Vec::new(), filling: Vec::new() }
    }

    /// Appends the view of an ASCII text from [`ascii_view`].
    #[inline(always)]
    pub(super) fn push_ascii(&mut self, view: u128) {
        self.views.push(view);
    }

    /// Appends the place of a null.
    #[inline(always)]
    pub(super) fn push_null(&mut self) {
        self.views.push(0);
    }

    pub(super) fn push(&mut self, text: &str) {
        if text.len() <= INLINE_BYTES {
            self.views.push(inline_view(text.as_bytes()));
            return;
        }
        if !self.filling.is_empty() && self.filling.len() + text.len() > MAX_BUFFER {
            self.buffers.push(Buffer::from_vec(std::mem::take(&mut self.filling)));
        }
        let mut view = [0; 16];
        view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
        view[4..8].copy_from_slice(&text.as_bytes()[..4]);
        view[8..12].copy_from_slice(&(self.buffers.len() as u32).to_le_bytes());
        view[12..].copy_from_slice(&(self.filling.len() as u32).to_le_bytes());
        self.views.push(u128::from_le_bytes(view));
        self.filling.extend_from_slice(text.as_bytes());
    }

    pub(super) fn finish(mut self, nulls: Option<NullBuffer>) -> StringViewArray {
        if !self.filling.is_empty() {
            self.buffers.push(Buffer::from_vec(self.filling));
        }
        let views = ScalarBuffer::from(self.views);
        // SAFETY: the type's invariant; texts come as `&str` or as checked ASCII.
        unsafe { StringViewArray::new_unchecked(views, self.buffers.into(), nulls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_pass_the_checks_of_arrow() {
        let texts = ["", "a", "zwölf Byte!", "thirteen byte", "ein längerer Text als zwölf", "SFO"];
        let mut views = StringViews::with_capacity(0);
        for text in texts {
            views.push(text);
        }
        views.push_ascii(ascii_view(b"xABCDEFGHIJKLMNOPQ", 1, 12).unwrap());
        let array = views.finish(None);
        let (views, buffers, nulls) = array.clone().into_parts();
        let checked = StringViewArray::try_new(views, buffers, nulls).unwrap();
        let read: Vec<&str> = checked.iter().flatten().collect();
        assert_eq!(read[..6], texts);
        assert_eq!(read[6], "ABCDEFGHIJKL");
    }

    #[test]
    fn only_ascii_of_the_field_itself_counts() {
        assert!(ascii_view("ab\u{e9}ééééééé".as_bytes(), 0, 2).is_some());
        assert!(ascii_view("ab\u{e9}ééééééé".as_bytes(), 0, 3).is_none());
        assert!(ascii_view(b"short", 0, 2).is_none());
    }
}
