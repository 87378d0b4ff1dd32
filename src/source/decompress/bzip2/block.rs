//! One block: from stored bits to text.
//!
//! Layers, outermost last to be undone: Huffman codes, of which up to six alternate every fifty symbols; run lengths of
//! the front byte; move-to-front; Burrows-Wheeler; run lengths of four equal bytes; and a checksum over the text.

use super::bits::BitReader;
use super::bwt::{InverseBwt, Run};
use super::crc::block_crc;
use super::huffman::{Code, LAST_DIGIT, MAX_CODE_BITS, MAX_SYMBOLS, WIDE_BITS};
use super::magic::{BLOCK_MAGIC, MAGIC_BITS};
use super::mtf::MoveToFront;
use super::rle::expand_runs;

/// Bytes of a block before the last layer is undone, at the highest level.
pub(super) const MAX_BLOCK_BYTES: u32 = 900_000;

/// More stored bytes than any valid block has: 900,001 symbols of at most 20 bits and the tables before them.
pub(super) const MAX_STORED_BYTES: u64 = 2_400_000;

/// No decision looks further ahead than this.
const LOOKAHEAD_BITS: u64 = 64;
const GROUP: u32 = 50;
const MAX_SELECTORS: usize = 18_002;

/// A block that was decoded and whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecodedBlock {
    /// Bit offset after the block in the bytes given.
    pub(super) end_bit: u64,
    /// Checksum of the text.
    pub(super) crc: u32,
    /// Length before the last layer, which the stream's level bounds.
    pub(super) transformed_bytes: u32,
}

/// Why a block could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockFault {
    /// The bytes given end inside the block.
    Unfinished,
    /// This is wrong with it.
    Damaged(&'static str),
    /// It is valid, but of an obsolete kind.
    Unsupported(&'static str),
}

use BlockFault::{Damaged, Unfinished, Unsupported};

/// Decodes blocks; keeps its memory (about 21 MiB at most) from block to block.
pub(super) struct BlockDecoder {
    selectors: Vec<u8>,
    codes: [Code; 6],
    runs: Vec<Run>,
    inverse: InverseBwt,
    transformed: Vec<u8>,
}

struct Header {
    crc: u32,
    origin: u32,
    used: Vec<u8>,
}

impl BlockDecoder {
    pub(super) fn new() -> Box<Self> {
        Box::new(BlockDecoder {
            selectors: Vec::with_capacity(MAX_SELECTORS),
            codes: std::array::from_fn(|_| Code::new()),
            runs: vec![],
            inverse: InverseBwt::new(),
            transformed: vec![],
        })
    }

    /// Decodes the block whose magic is at bit `start_bit` of `stored` and appends its text to `text`, which is left
    /// as it was when there is a fault.
    pub(super) fn decode(
        &mut self,
        stored: &[u8],
        start_bit: u64,
        text: &mut Vec<u8>,
    ) -> Result<DecodedBlock, BlockFault> {
        let before = text.len();
        let mut reader = BitReader::new(stored, start_bit);
        let outcome = self.decode_all(&mut reader, text);
        if outcome.is_err() {
            text.truncate(before);
        }
        // Zeros stand in for bits that are not there, so a fault near the end says nothing.
        let is_at_end = reader.position() + LOOKAHEAD_BITS > 8 * stored.len() as u64;
        if reader.is_past_end() || (outcome.is_err() && is_at_end) { Err(Unfinished) } else { outcome }
    }

    fn decode_all(&mut self, reader: &mut BitReader, text: &mut Vec<u8>) -> Result<DecodedBlock, BlockFault> {
        let header = self.read_header(reader)?;
        let counts = self.read_symbols(reader, &header)?;
        let transformed_bytes: u32 = counts.iter().sum();
        if header.origin >= transformed_bytes {
            return Err(Damaged("its origin lies outside of it"));
        }
        self.inverse.invert(&self.runs, &counts, header.origin as usize, &mut self.transformed);
        let before = text.len();
        expand_runs(&self.transformed, text);
        if block_crc(&text[before..]) != header.crc {
            text.truncate(before);
            return Err(Damaged("its checksum does not match"));
        }
        Ok(DecodedBlock { end_bit: reader.position(), crc: header.crc, transformed_bytes })
    }

    fn read_header(&mut self, reader: &mut BitReader) -> Result<Header, BlockFault> {
        if reader.take(MAGIC_BITS as u32) != BLOCK_MAGIC {
            return Err(Damaged("it has no block magic"));
        }
        let crc = reader.take(32) as u32;
        let is_randomised = reader.take(1) == 1;
        let origin = reader.take(24) as u32;
        let groups = reader.take(16);
        let mut used = Vec::with_capacity(256);
        for group in (0..16u8).filter(|group| groups >> (15 - group) & 1 == 1) {
            let members = reader.take(16);
            used.extend((0..16u8).filter(|member| members >> (15 - member) & 1 == 1).map(|member| group * 16 + member));
        }
        if used.is_empty() {
            return Err(Damaged("it uses no byte value"));
        }
        let codes = reader.take(3) as usize;
        if !(2..=6).contains(&codes) {
            return Err(Damaged("its number of Huffman codes is not 2 to 6"));
        }
        self.read_selectors(reader, codes)?;
        self.read_codes(reader, codes, used.len() + 2)?;
        if is_randomised {
            return Err(Unsupported("it is randomised, as only bzip2 before 0.9.5 wrote"));
        }
        Ok(Header { crc, origin, used })
    }

    fn read_selectors(&mut self, reader: &mut BitReader, codes: usize) -> Result<(), BlockFault> {
        let count = reader.take(15) as usize;
        let mut recent = [0, 1, 2, 3, 4, 5];
        self.selectors.clear();
        for at in 0..count {
            reader.refill();
            let index = (!reader.peek(6) << 58).leading_zeros() as usize;
            if index >= codes {
                return Err(Damaged("it selects a Huffman code that it does not have"));
            }
            reader.consume(index as u32 + 1);
            recent[..=index].rotate_right(1);
            // Some compressors write more selectors than any block can need.
            if at < MAX_SELECTORS {
                self.selectors.push(recent[0]);
            }
        }
        Ok(())
    }

    fn read_codes(&mut self, reader: &mut BitReader, codes: usize, symbols: usize) -> Result<(), BlockFault> {
        let mut lengths = [0u8; MAX_SYMBOLS];
        for code in 0..codes {
            let mut length = reader.take(5) as u32;
            for slot in &mut lengths[..symbols] {
                loop {
                    if !(1..=MAX_CODE_BITS).contains(&length) {
                        return Err(Damaged("a Huffman code length is not 1 to 20"));
                    }
                    reader.refill();
                    match reader.peek(2) {
                        0b10 => length += 1,
                        0b11 => length -= 1,
                        _ => break,
                    }
                    reader.consume(2);
                }
                reader.consume(1);
                *slot = length as u8;
            }
            let is_selected = self.selectors.contains(&(code as u8));
            if is_selected && !self.codes[code].assign(&lengths[..symbols]) {
                return Err(Damaged("its Huffman code lengths contradict one another"));
            }
        }
        Ok(())
    }

    /// Undoes Huffman codes, front runs and move-to-front; returns how often each byte occurs in `self.runs`.
    fn read_symbols(&mut self, reader: &mut BitReader, header: &Header) -> Result<[u32; 256], BlockFault> {
        let end = header.used.len() as u16 + 1;
        let mut recent = MoveToFront::new(&header.used);
        let mut counts = [0u32; 256];
        self.runs.clear();
        // The byte at the front, how often it stands before further repetitions, and the run digits read since.
        let (mut byte, mut once) = (recent.first(), 0);
        let (mut digits, mut run) = (0, 0u64);
        let mut total = 0u64;
        for &selector in &self.selectors {
            let code = &self.codes[selector as usize];
            if reader.is_past_end() {
                return Err(Unfinished);
            }
            let mut left = GROUP;
            while left > 0 {
                reader.refill();
                let look = code.look(reader.peek(WIDE_BITS));
                let symbol = if look.symbols() <= left && !look.is_empty() {
                    reader.consume(look.bits());
                    left -= look.symbols();
                    run += u64::from(look.run()) << digits;
                    let symbol = look.symbol();
                    digits += look.symbols() - u32::from(symbol != 0);
                    symbol
                } else {
                    let Some((symbol, bits)) = code.symbol(reader.peek(MAX_CODE_BITS)) else {
                        return Err(Damaged("it has bits that are no Huffman code"));
                    };
                    reader.consume(bits);
                    left -= 1;
                    if symbol <= LAST_DIGIT {
                        run += u64::from(symbol + 1) << digits;
                        digits += 1;
                    }
                    if symbol <= LAST_DIGIT { 0 } else { symbol }
                };
                if symbol == 0 {
                    if digits > MAX_CODE_BITS {
                        return Err(Damaged("a run in it is longer than a block"));
                    }
                    continue;
                }
                run += once;
                total += run;
                if total > u64::from(MAX_BLOCK_BYTES) {
                    return Err(Damaged("it is longer than a block may be"));
                }
                self.runs.push(Run::new(byte, run as u32));
                counts[byte as usize] += run as u32;
                if symbol == end {
                    return Ok(counts);
                }
                byte = recent.pick((symbol - 1) as u8);
                (digits, run, once) = (0, 0, 1);
            }
        }
        Err(if reader.is_past_end() { Unfinished } else { Damaged("it has more symbols than selectors") })
    }
}
