//! The true structure of a file: streams one after another, each a header, blocks, and an end with a checksum.

use super::crc::combine;
use super::magic::{BLOCK_MAGIC, END_MAGIC, MAGIC_BITS, bits48};
use crate::error::{Error, Result};
use crate::source::input::InputFile;

const HEADER: &[u8; 3] = b"BZh";
const HEADER_BYTES: u64 = 4;
const CRC_BITS: u64 = 32;
const BLOCK_BYTES_PER_LEVEL: u32 = 100_000;

/// How far the file has been understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// Everything before this bit is understood.
    at_bit: u64,
    expects: Expects,
}

#[derive(Clone, Copy, Debug)]
enum Expects {
    /// A stream header, or, unless it is the first, the end of the file.
    Stream { is_first: bool },
    /// A block or the end of the stream.
    Record { level: u32, crc: u32 },
    /// Nothing: these many bytes are ignored.
    Nothing { ignored: u64 },
}

impl Chain {
    /// Nothing is understood yet.
    pub(super) fn new() -> Self {
        Chain { at_bit: 0, expects: Expects::Stream { is_first: true } }
    }

    /// The bit before which everything is understood.
    pub(super) fn at_bit(&self) -> u64 {
        self.at_bit
    }

    /// Bytes ignored after the last stream.
    pub(super) fn ignored(&self) -> u64 {
        if let Expects::Nothing { ignored } = self.expects { ignored } else { 0 }
    }

    /// Passes headers and ends of streams; returns the bit at which the next block starts, or `None` at the end.
    pub(super) fn next_block(&mut self, input: &InputFile) -> Result<Option<u64>> {
        loop {
            match self.expects {
                Expects::Nothing { .. } => return Ok(None),
                Expects::Stream { is_first } => self.pass_header(input, is_first)?,
                Expects::Record { level, crc } => {
                    let Some(magic) = peek48(input, self.at_bit)? else { return Err(self.cut(input)) };
                    match magic {
                        BLOCK_MAGIC => return Ok(Some(self.at_bit)),
                        END_MAGIC => self.pass_end(input, crc)?,
                        _ => {
                            let what =
                                format!("neither a block nor the end of the bzip2 stream (level {level}) is here");
                            return Err(damaged(input, self.at_bit / 8, what));
                        }
                    }
                }
            }
        }
    }

    /// Passes the block that is due, which ends at `end_bit`.
    pub(super) fn pass_block(&mut self, input: &InputFile, end_bit: u64, crc: u32, bytes: u32) -> Result<()> {
        let Expects::Record { level, crc: before } = self.expects else {
            return Err(Error::internal("a bzip2 block was passed where none was due"));
        };
        if bytes > level * BLOCK_BYTES_PER_LEVEL {
            return Err(damaged(input, self.at_bit / 8, "this bzip2 block is longer than its stream allows"));
        }
        self.at_bit = end_bit;
        self.expects = Expects::Record { level, crc: combine(before, crc) };
        Ok(())
    }

    fn pass_header(&mut self, input: &InputFile, is_first: bool) -> Result<()> {
        let at = self.at_bit / 8;
        let left = input.length() - at.min(input.length());
        let mut header = [0; HEADER_BYTES as usize];
        let present = left.min(HEADER_BYTES) as usize;
        let header = &mut header[..present];
        input.read_at(at, header)?;
        let alike = header.iter().zip(HEADER).filter(|(byte, due)| byte == due).count();
        match *header {
            [b'B', b'Z', b'h', level @ b'1'..=b'9'] => {
                self.expects = Expects::Record { level: u32::from(level - b'0'), crc: 0 };
                self.at_bit += 8 * HEADER_BYTES;
            }
            _ if present < header_length() && alike == present.min(3) && (is_first || present > 0) => {
                return Err(self.cut(input));
            }
            // Garbage after the last stream is ignored; what may be a damaged stream is not garbage.
            _ if is_first || alike == 3 || (alike == 2 && matches!(header.last(), Some(b'1'..=b'9'))) => {
                return Err(damaged(input, at, "the header of this bzip2 stream is damaged"));
            }
            _ => self.expects = Expects::Nothing { ignored: left },
        }
        Ok(())
    }

    fn pass_end(&mut self, input: &InputFile, crc: u32) -> Result<()> {
        let Some(low) = peek48(input, self.at_bit + CRC_BITS)? else { return Err(self.cut(input)) };
        if low as u32 != crc {
            return Err(damaged(
                input,
                self.at_bit / 8,
                "the checksum of the bzip2 stream that ends here does not match",
            ));
        }
        self.at_bit = (self.at_bit + MAGIC_BITS + CRC_BITS).next_multiple_of(8);
        self.expects = Expects::Stream { is_first: false };
        Ok(())
    }

    fn cut(&self, input: &InputFile) -> Error {
        damaged(input, self.at_bit / 8, "the file ends inside a bzip2 stream; what follows here is incomplete")
    }
}

const fn header_length() -> usize {
    HEADER_BYTES as usize
}

/// An error about damaged or cut compression, with what to do about it.
pub(super) fn damaged(input: &InputFile, at_byte: u64, what: impl Into<String>) -> Error {
    input.damage(at_byte, what).hint("the file is damaged or incomplete: copy or download it again")
}

fn peek48(input: &InputFile, at_bit: u64) -> Result<Option<u64>> {
    let first = at_bit / 8;
    let end = (at_bit + MAGIC_BITS).div_ceil(8);
    if end > input.length() {
        return Ok(None);
    }
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..(end - first) as usize];
    input.read_at(first, bytes)?;
    Ok(bits48(bytes, at_bit % 8))
}
