//! Members of a gzip file as units that are inflated apart from each other.

use crate::source::decompress::Scratch;
use crate::source::decompress::ahead::{Unit, Units};
use crate::source::decompress::stored_reader::StoredReader;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use memchr::memmem;
use std::io::{self, BufRead};

/// Without the fields that its flags announce.
const HEADER_BYTES: usize = 10;
/// Checksum and length.
const TRAILER_BYTES: usize = 8;
const HAS_HEADER_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// Members with more stored bytes are inflated in order.
const MAX_MEMBER_BYTES: usize = 4 << 20;
/// Looked at first; enough for several members of bgzip.
const LOOK_BYTES: usize = 256 << 10;
/// Text of a run, even if smaller pieces are asked for.
const MIN_RUN_TEXT: usize = 128 << 10;
/// A length says no more about a member than this: deflate cannot do better.
const MAX_RATIO: usize = 1032;

/// Takes members from `reader`, which stands at the beginning of one, until they have about `wanted_text` bytes of
/// text. `None` when where the first one ends cannot be told cheaply, or it is the only one.
pub(super) fn cut_run(reader: &mut StoredReader, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
    let at_byte = reader.at_byte();
    let left = usize::try_from(reader.input().length() - at_byte).unwrap_or(usize::MAX);
    let mut look_bytes = LOOK_BYTES;
    let units = loop {
        let window = reader.peek(look_bytes)?;
        let units = find_members(window, at_byte, window.len() == left, wanted_text.max(MIN_RUN_TEXT), most_text);
        if !units.is_empty() || window.len() == left || look_bytes >= MAX_MEMBER_BYTES {
            break units;
        }
        look_bytes *= 4;
    };
    let Some(end) = units.last().map(|unit| unit.end) else { return Ok(None) };
    if at_byte == 0 && end == left && units.len() == 1 {
        return Ok(None);
    }
    let stored = reader.peek(end)?.to_vec();
    reader.consume(end);
    Ok(Some(Units { file_bytes: end as u64, stored, units }))
}

/// The members at the beginning of `window`, one after another.
fn find_members(window: &[u8], at_byte: u64, reaches_end: bool, wanted_text: usize, most_text: usize) -> Vec<Unit> {
    let (mut units, mut start, mut text_bytes) = (Vec::new(), 0, 0);
    while text_bytes < wanted_text && start < window.len() {
        let member = &window[start..];
        let length = match block_length(member) {
            Some(length) if length <= member.len() => length,
            Some(_) => break,
            None => match next_start(member) {
                Some(length) => length,
                None if reaches_end && is_plausible(member) => member.len(),
                None => break,
            },
        };
        let stated = member[..length].last_chunk().map_or(0, |length: &[u8; 4]| u32::from_le_bytes(*length) as usize);
        let member_text = stated.min(length.saturating_mul(MAX_RATIO));
        if text_bytes + member_text > most_text {
            break;
        }
        text_bytes += member_text;
        units.push(Unit { at_byte: at_byte + start as u64, end: start + length, text_bytes: member_text });
        start += length;
    }
    units
}

/// Length of a member that says so itself, as those of bgzip do.
fn block_length(member: &[u8]) -> Option<usize> {
    if !is_plausible(member) || member[3] & HAS_EXTRA == 0 {
        return None;
    }
    let extra_bytes = u16::from_le_bytes(*member.get(HEADER_BYTES..)?.first_chunk()?) as usize;
    let mut fields = member.get(HEADER_BYTES + 2..)?.get(..extra_bytes)?;
    while let [first, second, low, high, rest @ ..] = fields {
        let field_bytes = u16::from_le_bytes([*low, *high]) as usize;
        if (*first, *second, field_bytes) == (b'B', b'C', 2) {
            let length = u16::from_le_bytes(*rest.first_chunk()?) as usize + 1;
            return (length > HEADER_BYTES + 2 + extra_bytes + TRAILER_BYTES).then_some(length);
        }
        fields = rest.get(field_bytes..)?;
    }
    None
}

/// Where the member after the one at the beginning of `window` may start.
fn next_start(window: &[u8]) -> Option<usize> {
    let least = HEADER_BYTES + TRAILER_BYTES;
    let found = memmem::find_iter(window.get(least..)?, &super::MEMBER_START).map(|at| at + least);
    found.into_iter().find(|&at| is_plausible(&window[at..]))
}

/// Whether a member's header may stand here: as the usual programs write it.
fn is_plausible(header: &[u8]) -> bool {
    match header {
        [0x1f, 0x8b, 0x08, flags, _, _, _, _, extra_flags, system, ..] => {
            flags & RESERVED == 0 && matches!(extra_flags, 0 | 2 | 4) && matches!(system, 0..=13 | 255)
        }
        _ => false,
    }
}

/// Length of the header of a member; `None` when it is cut or has what is better left to the decoder in order.
fn header_length(member: &[u8]) -> Option<usize> {
    let &flags = member.get(3)?;
    if !member.starts_with(&super::MEMBER_START) || flags & (RESERVED | HAS_HEADER_CHECKSUM) != 0 {
        return None;
    }
    let mut length = HEADER_BYTES;
    if flags & HAS_EXTRA != 0 {
        length += 2 + u16::from_le_bytes(*member.get(length..)?.first_chunk()?) as usize;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            length += memchr::memchr(0, member.get(length..)?)? + 1;
        }
    }
    Some(length)
}

/// Appends the text of `member`, at most `max_text` bytes of it; `None` unless it ends with the last byte and its
/// checksum and length are right.
pub(super) fn inflate(member: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> Option<()> {
    let header_bytes = header_length(member)?;
    let (body, trailer) = member.get(header_bytes..)?.split_last_chunk::<TRAILER_BYTES>()?;
    let (checksum, length) = trailer.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length.first_chunk()?);
    if length as usize > max_text || length as usize > body.len().saturating_mul(MAX_RATIO) {
        return None;
    }
    let start = text.len();
    text.resize(start + length as usize + 1, 0);
    // One byte more than there should be, so that the end is met before the room is.
    let decoder = decoder_of(scratch);
    decoder.reset(false);
    let status = decoder.decompress(body, &mut text[start..], FlushDecompress::Finish).ok()?;
    text.truncate(start + length as usize);
    let is_whole = status == Status::StreamEnd
        && decoder.total_in() == body.len() as u64
        && decoder.total_out() == u64::from(length);
    let mut crc = Crc::new();
    crc.update(&text[start..]);
    (is_whole && crc.sum() == u32::from_le_bytes(*checksum)).then_some(())
}

fn decoder_of(scratch: &mut Scratch) -> &mut Decompress {
    if scratch.decoder.as_ref().is_none_or(|decoder| !decoder.is::<Decompress>()) {
        scratch.decoder = Some(Box::new(Decompress::new(false)));
    }
    match scratch.decoder.as_mut().and_then(|decoder| decoder.downcast_mut()) {
        Some(decoder) => decoder,
        None => unreachable!("put there above"),
    }
}
