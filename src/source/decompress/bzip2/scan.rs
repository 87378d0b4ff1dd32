//! Reading the stored file front to back, once, and cutting it at every block magic.

use super::block::MAX_STORED_BYTES;
use super::magic::find_block_magics;
use crate::error::Result;
use crate::source::input::{HEAD_BYTES, InputFile};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Stored bytes read at a time, a handful of blocks. The first window is what sampling has read already.
const WINDOW_BYTES: usize = 1 << 20;
/// A magic that straddles windows is found in the second, which repeats these many bytes of the first.
const OVERLAP_BYTES: usize = 8;

/// A part of the file in memory.
struct Window {
    at_byte: u64,
    bytes: Arc<Vec<u8>>,
}

impl Window {
    fn end_byte(&self) -> u64 {
        self.at_byte + self.bytes.len() as u64
    }
}

/// A place where a block may start, with the stored bytes up to the next such place.
pub(super) struct Candidate {
    /// 0, 1, 2…
    pub(super) ordinal: u64,
    /// Where the magic starts in the file.
    pub(super) start_bit: u64,
    /// Stored bytes not yet accounted for by earlier candidates.
    pub(super) stored_bytes: u64,
    /// Whether nothing follows in the file.
    pub(super) reaches_end: bool,
    parts: Vec<(Arc<Vec<u8>>, Range<usize>)>,
}

impl Candidate {
    /// The stored bytes from the one that holds [`Candidate::start_bit`] on; copied to `joined` if windows cut them.
    pub(super) fn stored<'a>(&'a self, joined: &'a mut Vec<u8>) -> &'a [u8] {
        if let [(bytes, range)] = &self.parts[..] {
            return &bytes[range.clone()];
        }
        joined.clear();
        self.parts.iter().for_each(|(bytes, range)| joined.extend_from_slice(&bytes[range.clone()]));
        joined
    }
}

/// The reading of one file.
pub(super) struct Scanner {
    windows: VecDeque<Window>,
    scanned_to: u64,
    found: VecDeque<u64>,
    last_found: Option<u64>,
    next_ordinal: u64,
    accounted_to: u64,
    /// Whether to keep what is read in the file's head cache, as sampling does.
    keeps_head: bool,
}

impl Scanner {
    pub(super) fn new(keeps_head: bool) -> Self {
        Scanner {
            windows: VecDeque::new(),
            scanned_to: 0,
            found: VecDeque::new(),
            last_found: None,
            next_ordinal: 0,
            accounted_to: 0,
            keeps_head,
        }
    }

    /// The next candidate, or `None` when the file has no more.
    pub(super) fn next(&mut self, input: &InputFile) -> Result<Option<Candidate>> {
        while self.scanned_to < input.length() && !self.knows_end_of_first() {
            self.read_window(input)?;
        }
        let Some(start_bit) = self.found.pop_front() else { return Ok(None) };
        let start = start_bit / 8;
        let next_start = self.found.front().map(|bit| bit / 8);
        let end = self.found.front().map_or(self.scanned_to, |bit| bit.div_ceil(8)).min(start + MAX_STORED_BYTES);
        let accounted_to = next_start.unwrap_or(self.scanned_to).max(self.accounted_to);
        let candidate = Candidate {
            ordinal: self.next_ordinal,
            start_bit,
            stored_bytes: accounted_to - self.accounted_to,
            reaches_end: end == input.length(),
            parts: self.parts(start..end),
        };
        self.next_ordinal += 1;
        self.accounted_to = accounted_to;
        self.drop_windows(accounted_to);
        Ok(Some(candidate))
    }

    fn knows_end_of_first(&self) -> bool {
        self.found.len() >= 2 || self.found.front().is_some_and(|bit| self.scanned_to >= bit / 8 + MAX_STORED_BYTES)
    }

    fn read_window(&mut self, input: &InputFile) -> Result<()> {
        if self.found.is_empty() {
            self.drop_windows(self.scanned_to);
        }
        let limit = if self.keeps_head || self.scanned_to == 0 { HEAD_BYTES } else { WINDOW_BYTES };
        let fresh = (input.length() - self.scanned_to).min(limit as u64);
        let mut bytes = Vec::with_capacity(OVERLAP_BYTES + fresh as usize);
        if let Some(window) = self.windows.back() {
            bytes.extend_from_slice(&window.bytes[window.bytes.len().saturating_sub(OVERLAP_BYTES)..]);
        }
        let overlap = bytes.len();
        let next_scanned_to = self.scanned_to + fresh;
        if self.keeps_head {
            let head = input.head(next_scanned_to as usize)?;
            bytes.extend_from_slice(&head[self.scanned_to as usize..]);
        } else {
            bytes.resize(overlap + fresh as usize, 0);
            input.read_at(self.scanned_to, &mut bytes[overlap..])?;
        }
        let at_byte = self.scanned_to - overlap as u64;
        let mut magics = vec![];
        find_block_magics(&bytes, &mut magics);
        let last_found = self.last_found;
        self.found.extend(magics.iter().map(|bit| bit + 8 * at_byte).filter(|&bit| Some(bit) > last_found));
        self.last_found = self.last_found.max(self.found.back().copied());
        self.windows.push_back(Window { at_byte, bytes: Arc::new(bytes) });
        self.scanned_to = next_scanned_to;
        Ok(())
    }

    /// Drops what no later candidate needs, except the end, which the next window repeats.
    fn drop_windows(&mut self, before_byte: u64) {
        while self.windows.len() > 1 && self.windows[0].end_byte() - OVERLAP_BYTES as u64 <= before_byte {
            self.windows.pop_front();
        }
    }

    fn parts(&self, bytes: Range<u64>) -> Vec<(Arc<Vec<u8>>, Range<usize>)> {
        let mut at = bytes.start;
        let mut parts = vec![];
        for window in &self.windows {
            let end = window.end_byte().min(bytes.end);
            if at < end && at >= window.at_byte {
                let range = (at - window.at_byte) as usize..(end - window.at_byte) as usize;
                parts.push((Arc::clone(&window.bytes), range));
                at = end;
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::magic::{BLOCK_MAGIC, MAGIC_BITS};
    use super::*;
    use crate::source::input::InputCounters;

    #[test]
    fn a_magic_across_windows_is_found_once_with_all_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let border = 8 * HEAD_BYTES as u64;
        for at in border - 80..border + 20 {
            let mut bytes: Vec<u8> = vec![0; HEAD_BYTES + 3000];
            for start in [100, at, at + 7000] {
                for bit in (0..MAGIC_BITS).filter(|bit| BLOCK_MAGIC >> (MAGIC_BITS - 1 - bit) & 1 == 1) {
                    bytes[((start + bit) / 8) as usize] |= 0x80 >> ((start + bit) % 8);
                }
            }
            std::fs::write(file.path(), &bytes).unwrap();
            for keeps_head in [false, true] {
                let counters = Arc::new(InputCounters::default());
                let input = InputFile::open(file.path(), &counters).unwrap();
                let mut scanner = Scanner::new(keeps_head);
                for (ordinal, (start, end)) in
                    [(100, at), (at, at + 7000), (at + 7000, 8 * bytes.len() as u64)].into_iter().enumerate()
                {
                    let candidate = scanner.next(&input).unwrap().unwrap();
                    assert_eq!((candidate.start_bit, candidate.ordinal), (start, ordinal as u64));
                    assert_eq!(candidate.reaches_end, ordinal == 2);
                    let mut joined = vec![];
                    let expected = &bytes[(start / 8) as usize..end.div_ceil(8) as usize];
                    assert!(candidate.stored(&mut joined) == expected, "{at}");
                }
                assert!(scanner.next(&input).unwrap().is_none());
                assert_eq!(counters.bytes_read(), bytes.len() as u64);
            }
        }
    }
}
