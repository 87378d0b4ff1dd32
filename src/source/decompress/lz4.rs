//! lz4: frames one after another, skippable ones among them.
//!
//! Frames are walked here rather than by the frame decoder of `lz4_flex`, which takes a file that is cut between two
//! blocks for a whole one. Blocks are decoded by that crate. See lz4_Frame_format.md of the lz4 project.

use super::sequential::{Decode, Step};
use super::stored_reader::StoredReader;
use super::trailing::{Trailing, skip_rest, warning};
use lz4_flex::block::{decompress_into, decompress_into_with_dict};
use std::hash::Hasher;
use std::io::{self, BufRead};
use twox_hash::XxHash32;

const FRAME_START: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Of frames as lz4 wrote them before 2013, and the Linux kernel does.
const LEGACY_START: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// The low half of its first byte is free.
const SKIPPABLE_START: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// Linked blocks refer back to so many bytes.
const WINDOW_BYTES: usize = 64 << 10;
/// In the length of a block: it is stored as it is.
const IS_STORED: u32 = 1 << 31;

/// A frame that is being decoded.
struct Frame {
    max_block_bytes: usize,
    is_linked: bool,
    has_block_checksums: bool,
    content_hash: Option<XxHash32>,
    /// Text that is still to come, if the frame says how much it has.
    text_left: Option<u64>,
}

enum State {
    Between,
    Frame(Frame),
    Over(Trailing),
}

/// The text of all frames of an lz4 file.
pub(super) struct Lz4 {
    reader: StoredReader,
    state: State,
    /// The last block, behind the window for the next one.
    text: Vec<u8>,
    /// Text in front of this has been given out.
    used: usize,
    /// Whether the frame before was one to be skipped.
    was_skippable: bool,
}

impl Lz4 {
    pub(super) fn new(reader: StoredReader) -> Self {
        Lz4 { reader, state: State::Between, text: Vec::new(), used: 0, was_skippable: false }
    }

    fn begin_frame(&mut self) -> io::Result<()> {
        let next = self.reader.peek(FRAME_START.len())?;
        let is_at_end = next.is_empty();
        let follows = follows_frame(next);
        if self.reader.at_byte() > 0 && !follows? {
            if self.was_skippable && !is_at_end {
                // The length of a frame to be skipped has no checksum: what it leads to is not taken for garbage.
                return Err(damaged("no frame begins where a frame to be skipped ends"));
            }
            self.state = State::Over(skip_rest(&mut self.reader, &FRAME_START)?);
            return Ok(());
        }
        let start = self.take::<4>()?;
        self.was_skippable = [start[0] & 0xf0, start[1], start[2], start[3]] == SKIPPABLE_START;
        if self.was_skippable {
            let length = u64::from(u32::from_le_bytes(self.take()?));
            self.reader.skip(length)?;
            return Ok(());
        }
        if start == LEGACY_START {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "lz4 frames of the legacy kind are not supported"));
        }
        if start != FRAME_START {
            return Err(damaged("the magic of the frame is wrong"));
        }
        self.state = State::Frame(self.read_header()?);
        self.text.clear();
        self.used = 0;
        Ok(())
    }

    fn read_header(&mut self) -> io::Result<Frame> {
        let [flags, block_descriptor] = self.take()?;
        let mut hash = XxHash32::with_seed(0);
        hash.write(&[flags, block_descriptor]);
        let (has_length, has_dictionary) = (flags & 0x08 != 0, flags & 0x01 != 0);
        let mut text_left = None;
        if has_length {
            let length: [u8; 8] = self.take()?;
            hash.write(&length);
            text_left = Some(u64::from_le_bytes(length));
        }
        if has_dictionary {
            hash.write(&self.take::<4>()?);
        }
        if self.take()? != [(hash.finish() >> 8) as u8] {
            return Err(damaged("the header of the frame does not match its checksum"));
        }
        let max_block_bytes = match (flags >> 6, block_descriptor >> 4) {
            (1, size @ 4..=7) => 1usize << (8 + 2 * size),
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "the lz4 frame is of an unknown version")),
        };
        if has_dictionary {
            let message = "the lz4 frame needs a dictionary, which is not supported";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(Frame {
            max_block_bytes,
            is_linked: flags & 0x20 == 0,
            has_block_checksums: flags & 0x10 != 0,
            content_hash: (flags & 0x04 != 0).then(|| XxHash32::with_seed(0)),
            text_left,
        })
    }

    /// Decodes the next block; false at the end of the frame.
    fn read_block(&mut self) -> io::Result<bool> {
        let header = u32::from_le_bytes(self.take()?);
        if header == 0 {
            self.end_frame()?;
            return Ok(false);
        }
        let State::Frame(frame) = &mut self.state else { return Ok(false) };
        let stored_bytes = (header & !IS_STORED) as usize;
        if stored_bytes > frame.max_block_bytes {
            return Err(damaged("a block is longer than the frame allows"));
        }
        let checksum_bytes = if frame.has_block_checksums { 4 } else { 0 };
        let stored = self.reader.peek(stored_bytes + checksum_bytes)?;
        let Some((block, checksum)) = stored.split_at_checked(stored_bytes) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if checksum.len() < checksum_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if frame.has_block_checksums && checksum != XxHash32::oneshot(0, block).to_le_bytes() {
            return Err(damaged("a block does not match its checksum"));
        }
        let window = if frame.is_linked { self.text.len().min(WINDOW_BYTES) } else { 0 };
        self.text.drain(..self.text.len() - window);
        self.used = window;
        if header & IS_STORED != 0 {
            self.text.extend_from_slice(block);
        } else {
            self.text.resize(window + frame.max_block_bytes, 0);
            let (before, into) = self.text.split_at_mut(window);
            let decoded = if before.is_empty() {
                decompress_into(block, into)
            } else {
                decompress_into_with_dict(block, into, before)
            };
            let length = decoded.map_err(|error| damaged(&format!("a block does not decode: {error}")))?;
            self.text.truncate(window + length);
        }
        let text = &self.text[window..];
        if let Some(hash) = &mut frame.content_hash {
            hash.write(text);
        }
        if let Some(left) = &mut frame.text_left {
            let Some(rest) = left.checked_sub(text.len() as u64) else {
                return Err(damaged("there is more text in the frame than it says"));
            };
            *left = rest;
        }
        self.reader.consume(stored_bytes + checksum_bytes);
        Ok(true)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let State::Frame(frame) = std::mem::replace(&mut self.state, State::Between) else { return Ok(()) };
        if let Some(hash) = frame.content_hash
            && self.take()? != (hash.finish() as u32).to_le_bytes()
        {
            return Err(damaged("the text does not match the checksum of the frame"));
        }
        if frame.text_left.is_some_and(|left| left > 0) {
            return Err(damaged("there is less text in the frame than it says"));
        }
        Ok(())
    }

    fn take<const COUNT: usize>(&mut self) -> io::Result<[u8; COUNT]> {
        let Some(&bytes) = self.reader.peek(COUNT)?.first_chunk() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.reader.consume(COUNT);
        Ok(bytes)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::other(what)
}

impl Decode for Lz4 {
    const FORMAT: &'static str = "lz4";

    fn read(&mut self, into: &mut [u8]) -> io::Result<Step> {
        loop {
            let rest = &self.text[self.used..];
            if !rest.is_empty() {
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                self.used += count;
                return Ok(Step::Text(count));
            }
            match self.state {
                State::Over(_) => return Ok(Step::End),
                State::Between => self.begin_frame()?,
                State::Frame(_) => {
                    if !self.read_block()? {
                        return Ok(Step::UnitEnd);
                    }
                }
            }
        }
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        Some(&mut self.reader)
    }

    fn warning(&self) -> Option<String> {
        match self.state {
            State::Over(trailing) => warning(trailing.bytes, trailing.from, "lz4 frame"),
            _ => None,
        }
    }
}

/// Whether another frame begins with `next`: no for garbage, an error for what looks like a cut or damaged one.
fn follows_frame(next: &[u8]) -> io::Result<bool> {
    if next.is_empty() {
        return Ok(false);
    }
    let alike = |start: [u8; 4], free_bits: u8| {
        let masks = [!free_bits, 0xff, 0xff, 0xff];
        next.iter().zip(start).zip(masks).filter(|((byte, due), mask)| **byte & mask == *due).count()
    };
    let (frame, skippable) = (alike(FRAME_START, 0), alike(SKIPPABLE_START, 0x0f));
    let best = frame.max(skippable).max(alike(LEGACY_START, 0));
    if best == FRAME_START.len() {
        return Ok(true);
    }
    if best == next.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if best >= 3 || frame == 2 { Err(damaged("the header of an lz4 frame is damaged")) } else { Ok(false) }
}
