//! The blocks of an xz file, from the indexes at the ends of its streams. See the .xz file format, sections 2 and 4.

use super::STREAM_START;
use crate::source::input::InputFile;
use flate2::Crc;

/// A header and a footer are of this length.
const STREAM_HEADER_BYTES: u64 = 12;
const FOOTER_END: [u8; 2] = *b"YZ";
/// Longer indexes are not held, nor are more streams looked for.
const MAX_INDEX_BYTES: u64 = 16 << 20;
const MAX_BLOCKS: usize = 1 << 20;
const MAX_STREAMS: usize = 1 << 16;
const MAX_PADDING_BYTES: u64 = 1 << 20;

/// A block as its index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it starts in the file.
    pub(super) at_byte: u64,
    /// Stored length without the padding at its end.
    pub(super) unpadded_bytes: u64,
    /// Length of its text.
    pub(super) text_bytes: u64,
    /// Of its stream: which checksum follows a block.
    flags: [u8; 2],
}

impl Block {
    /// Stored length.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.unpadded_bytes.next_multiple_of(4)
    }
}

/// What makes a stream of a block.
pub(super) struct Wrapping {
    pub(super) before: [u8; STREAM_HEADER_BYTES as usize],
    pub(super) behind: Vec<u8>,
}

/// The header, index and footer of a stream that has `block` alone.
pub(super) fn wrapping(block: &Block) -> Wrapping {
    let mut before = [0; STREAM_HEADER_BYTES as usize];
    before[..6].copy_from_slice(&STREAM_START);
    before[6..8].copy_from_slice(&block.flags);
    before[8..].copy_from_slice(&crc(&block.flags));
    let mut behind = vec![0, 1];
    put_number(&mut behind, block.unpadded_bytes);
    put_number(&mut behind, block.text_bytes);
    behind.resize(behind.len().next_multiple_of(4), 0);
    let checksum = crc(&behind);
    behind.extend_from_slice(&checksum);
    let mut tail = (behind.len() as u32 / 4 - 1).to_le_bytes().to_vec();
    tail.extend_from_slice(&block.flags);
    behind.extend_from_slice(&crc(&tail));
    behind.extend_from_slice(&tail);
    behind.extend_from_slice(&FOOTER_END);
    Wrapping { before, behind }
}

/// The blocks of all streams, in order; `None` unless headers, indexes, footers and padding account for every byte.
pub(super) fn find_blocks(input: &InputFile) -> Option<Vec<Block>> {
    let (mut end, mut streams, mut blocks_found, mut padding_bytes) = (input.length(), Vec::new(), 0, 0);
    while end > 0 {
        let footer: [u8; STREAM_HEADER_BYTES as usize] = read(input, end.checked_sub(STREAM_HEADER_BYTES)?)?;
        if footer.ends_with(&[0; 4]) {
            end -= 4;
            padding_bytes += 4;
            if padding_bytes > MAX_PADDING_BYTES {
                return None;
            }
            continue;
        }
        let (start, blocks) = read_stream(input, end, &footer)?;
        blocks_found += blocks.len();
        streams.push(blocks);
        if blocks_found > MAX_BLOCKS || streams.len() > MAX_STREAMS {
            return None;
        }
        end = start;
    }
    Some(streams.into_iter().rev().flatten().collect())
}

/// Where the stream with `footer` at its `end` starts, and its blocks.
fn read_stream(input: &InputFile, end: u64, footer: &[u8; 12]) -> Option<(u64, Vec<Block>)> {
    let flags = [footer[8], footer[9]];
    if footer[10..] != FOOTER_END || footer[..4] != crc(&footer[4..10]) {
        return None;
    }
    let index_bytes = (u64::from(u32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]])) + 1) * 4;
    let index_at = end.checked_sub(STREAM_HEADER_BYTES + index_bytes)?;
    if index_bytes > MAX_INDEX_BYTES {
        return None;
    }
    let mut index = vec![0; index_bytes as usize];
    input.read_at(index_at, &mut index).ok()?;
    let (records, checksum) = index.split_last_chunk::<4>()?;
    if crc(records) != *checksum {
        return None;
    }
    let sizes = parse_index(records)?;
    let mut at_byte = index_at;
    for &(unpadded_bytes, _) in &sizes {
        at_byte = at_byte.checked_sub(unpadded_bytes.checked_next_multiple_of(4)?)?;
    }
    let start = at_byte.checked_sub(STREAM_HEADER_BYTES)?;
    let header: [u8; 12] = read(input, start)?;
    if !header.starts_with(&STREAM_START) || header[6..8] != flags || header[8..] != crc(&flags) {
        return None;
    }
    let blocks = sizes.into_iter().map(|(unpadded_bytes, text_bytes)| {
        let block = Block { at_byte, unpadded_bytes, text_bytes, flags };
        at_byte += block.stored_bytes();
        block
    });
    Some((start, blocks.collect()))
}

/// The stored length and the length of the text of each block.
fn parse_index(records: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut rest = records.strip_prefix(&[0])?;
    let count = usize::try_from(take_number(&mut rest)?).ok().filter(|&count| count <= rest.len().min(MAX_BLOCKS))?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push((take_number(&mut rest)?, take_number(&mut rest)?));
    }
    (rest.len() < 4 && rest.iter().all(|&byte| byte == 0)).then_some(sizes)
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

fn read<const COUNT: usize>(input: &InputFile, at: u64) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    (at + COUNT as u64 <= input.length()).then_some(())?;
    input.read_at(at, &mut bytes).ok()?;
    Some(bytes)
}
