//! Frames of a Zstandard file as units that are decoded apart from each other.
//!
//! A frame does not say how long it is stored, but each of its blocks does, in three bytes before it. They are read
//! without what is between, until the frame's end is known or it is too long to be held.

use super::{FRAME_START, MAX_WINDOW_BYTES, SKIPPABLE_START};
use crate::source::decompress::Scratch;
use crate::source::decompress::ahead::{Unit, Units};
use crate::source::decompress::stored_reader::StoredReader;
use ::zstd::bulk::Decompressor;
use std::io::{self, BufRead};

/// Magic, descriptor, window, dictionary, length of the text.
pub(super) const MAX_HEADER_BYTES: usize = 4 + 1 + 1 + 4 + 8;
const MAX_BLOCK_BYTES: u64 = 128 << 10;
const BLOCK_HEADER_BYTES: u64 = 3;
const CHECKSUM_BYTES: u64 = 4;
/// Magic and length.
const SKIPPABLE_HEADER_BYTES: u64 = 8;
/// Longer ones are passed over in order.
const MAX_SKIPPABLE_BYTES: u64 = 1 << 20;
/// Units of a run; keeps one of empty frames short.
const MAX_UNITS: usize = 1 << 16;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    header_bytes: u64,
    window_bytes: u64,
    /// Length of the frame's text, if it is stated.
    text_bytes: Option<u64>,
    has_checksum: bool,
}

impl Header {
    /// `None` when the header is cut, or none.
    fn parse(bytes: &[u8]) -> Option<Header> {
        let (&descriptor, mut rest) = bytes.strip_prefix(&FRAME_START)?.split_first()?;
        let mut number = |length: usize| {
            let (digits, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(digits.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte)))
        };
        let is_single_segment = descriptor & 0x20 != 0;
        let window_byte = if is_single_segment { 0 } else { number(1)? };
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        number(dictionary_bytes)?;
        let length_bytes = match descriptor >> 6 {
            0 => usize::from(is_single_segment),
            log2 => 1 << log2,
        };
        let stated = number(length_bytes)?;
        let text_bytes = match length_bytes {
            0 => None,
            2 => Some(stated + 256),
            _ => Some(stated),
        };
        let window_base = 1u64 << (10 + (window_byte >> 3));
        let window_bytes = match text_bytes {
            Some(bytes) if is_single_segment => bytes,
            _ => window_base + window_base / 8 * (window_byte & 7),
        };
        let header_bytes = (bytes.len() - rest.len()) as u64;
        Some(Header { header_bytes, window_bytes, text_bytes, has_checksum: descriptor & 4 != 0 })
    }
}

/// The bytes of text that the frame with this header refers back to; `None` when it is not the header of a frame.
pub(in crate::source::decompress) fn window_bytes(header: &[u8]) -> Option<u64> {
    Header::parse(header).map(|header| header.window_bytes)
}

/// Takes frames from `reader`, which stands at the beginning of one, until they have about `wanted_text` bytes of
/// text, and never more than `most_text`. `None` when the first one is too long to be held whole, or the only one.
pub(super) fn cut_run(reader: &mut StoredReader, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
    let at_byte = reader.at_byte();
    let (mut units, mut end, mut text_bytes) = (Vec::new(), 0, 0);
    while text_bytes < wanted_text && units.len() < MAX_UNITS {
        let Some((stored, text)) = measure(reader, at_byte + end, most_text)? else { break };
        if !units.is_empty() && text_bytes + text > most_text {
            break;
        }
        text_bytes += text;
        let (Ok(stored_end), at_byte) = (usize::try_from(end + stored), at_byte + end) else { break };
        units.push(Unit { at_byte, end: stored_end, text_bytes: text });
        end += stored;
    }
    let is_only = at_byte == 0 && units.len() == 1 && end == reader.input().length();
    if units.is_empty() || is_only {
        return Ok(None);
    }
    let stored = reader.peek(end as usize)?.to_vec();
    reader.consume(end as usize);
    Ok(Some(Units { stored, units, file_bytes: end }))
}

/// Stored length of the frame at byte `at`, and how long its text may be; `None` when it is not whole, or too long.
fn measure(reader: &mut StoredReader, at: u64, most_text: usize) -> io::Result<Option<(u64, usize)>> {
    let mut buffer = [0; MAX_HEADER_BYTES];
    let head = reader.look_at(at, &mut buffer)?;
    let length = reader.input().length();
    if let [first, second, third, fourth, a, b, c, d, ..] = *head
        && [first & 0xf0, second, third, fourth] == SKIPPABLE_START
    {
        let stored = SKIPPABLE_HEADER_BYTES + u64::from(u32::from_le_bytes([a, b, c, d]));
        return Ok((stored <= MAX_SKIPPABLE_BYTES && at + stored <= length).then_some((stored, 0)));
    }
    let Some(header) = Header::parse(head) else { return Ok(None) };
    let max_text = most_text as u64;
    if header.text_bytes.is_some_and(|bytes| bytes > max_text) || header.window_bytes > MAX_WINDOW_BYTES {
        return Ok(None);
    }
    let max_block_text = header.window_bytes.min(MAX_BLOCK_BYTES);
    let (mut block_at, mut text_bytes) = (at + header.header_bytes, 0);
    loop {
        let mut buffer = [0; BLOCK_HEADER_BYTES as usize];
        let &[low, middle, high] = reader.look_at(block_at, &mut buffer)? else { return Ok(None) };
        let block_header = u32::from_le_bytes([low, middle, high, 0]);
        let block_bytes = u64::from(block_header >> 3);
        let (stored, text) = match block_header >> 1 & 3 {
            0 => (block_bytes, block_bytes),
            1 => (1, block_bytes),
            2 => (block_bytes, max_block_text),
            _ => return Ok(None),
        };
        text_bytes += text;
        block_at += BLOCK_HEADER_BYTES + stored;
        // A stated length has been looked at above.
        if block_at > length || header.text_bytes.is_none() && text_bytes > max_text {
            return Ok(None);
        }
        if block_header & 1 == 1 {
            break;
        }
    }
    let end = block_at + if header.has_checksum { CHECKSUM_BYTES } else { 0 };
    let text_bytes = header.text_bytes.unwrap_or(text_bytes);
    Ok((end <= length).then_some((end - at, text_bytes as usize)))
}

/// Appends the text of `frame`, at most `max_text` bytes of it; `None` unless it is whole and sound.
pub(super) fn decode(frame: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> Option<()> {
    if !frame.starts_with(&FRAME_START) {
        // Skippable: how long it is has been seen when it was cut.
        return Some(());
    }
    let start = text.len();
    text.resize(start + max_text, 0);
    let decoded = decoder_of(scratch)?.decompress_to_buffer(frame, &mut text[start..]).ok()?;
    text.truncate(start + decoded);
    Some(())
}

fn decoder_of(scratch: &mut Scratch) -> Option<&mut Decompressor<'static>> {
    if scratch.decoder.as_ref().is_none_or(|decoder| !decoder.is::<Decompressor<'static>>()) {
        scratch.decoder = Some(Box::new(Decompressor::new().ok()?));
    }
    scratch.decoder.as_mut()?.downcast_mut()
}
