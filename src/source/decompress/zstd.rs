//! Zstandard: frames one after another, skippable ones among them.

mod frames;

pub(super) use frames::window_bytes;

use super::Scratch;
use super::ahead::Units;
use super::needs::DecoderMemory;
use super::sequential::{Decode, Step};
use super::stored_reader::StoredReader;
use super::trailing::{Trailing, skip_rest, warning};
use ::zstd::stream::raw::{self, Operation};
use std::io::{self, BufRead};

const FRAME_START: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The low half of its first byte is free.
const SKIPPABLE_START: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// The length of a frame to be skipped has no checksum: what it leads to is not taken for garbage.
const NO_FRAME: &str = "no frame begins where a frame to be skipped ends";
/// What the decoder needs first.
const FIRST_BYTES: usize = 5;
/// What a frame may ask to be held in memory, as `zstd` has it unless told otherwise.
const MAX_WINDOW_BYTES: u64 = 128 << 20;

enum State {
    BetweenFrames,
    InFrame,
    FrameEnd,
    Over(Trailing),
}

/// The text of all frames of a Zstandard file.
pub(super) struct Zstd {
    decoder: raw::Decoder<'static>,
    reader: StoredReader,
    memory: DecoderMemory,
    state: State,
    /// Stored bytes that the decoder asks for.
    wanted: usize,
    /// Whether the frame, or the one before, is one to be skipped.
    is_skippable: bool,
}

impl Zstd {
    pub(super) fn new(reader: StoredReader, memory: DecoderMemory) -> io::Result<Self> {
        Ok(Zstd {
            decoder: raw::Decoder::new()?,
            reader,
            memory,
            state: State::BetweenFrames,
            wanted: 0,
            is_skippable: false,
        })
    }

    /// Decodes some bytes of the frame, maybe none.
    fn read_frame(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let stored = self.reader.fill_buf()?;
        let is_at_end = stored.is_empty();
        // No more than the decoder asks for, a block at a time, so that an error is known to lie in it.
        let stored = &stored[..stored.len().min(self.wanted)];
        let status = match self.decoder.run_on_buffers(stored, into) {
            Ok(status) => status,
            Err(error) => {
                let count = stored.len();
                self.reader.consume(count);
                return Err(error);
            }
        };
        self.reader.consume(status.bytes_read);
        self.wanted = status.remaining;
        if status.remaining == 0 {
            self.state = State::FrameEnd;
        } else if is_at_end && status.bytes_written == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(status.bytes_written)
    }

    fn pass_to_next_frame(&mut self) -> io::Result<()> {
        let is_first = self.reader.at_byte() == 0;
        let next = self.reader.peek(FRAME_START.len())?;
        self.state = if is_first || follows_frame(next)? {
            self.is_skippable = !next.starts_with(&FRAME_START);
            let window_bytes = frames::window_bytes(self.reader.peek(frames::MAX_HEADER_BYTES)?);
            if let Some(bytes) = window_bytes.filter(|&bytes| bytes > MAX_WINDOW_BYTES) {
                let (needed, allowed) = (bytes.div_ceil(1 << 20), MAX_WINDOW_BYTES >> 20);
                let message = format!(
                    "the zstd frame needs a window of {needed} MiB, and no more than {allowed} MiB are allowed"
                );
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
            }
            self.memory.hold(window_bytes.unwrap_or(0), "the zstd frame needs a window of")?;
            self.decoder.reinit()?;
            self.wanted = FIRST_BYTES;
            State::InFrame
        } else if self.is_skippable && !next.is_empty() {
            return Err(io::Error::other(NO_FRAME));
        } else {
            State::Over(skip_rest(&mut self.reader, &FRAME_START)?)
        };
        Ok(())
    }
}

impl Decode for Zstd {
    const FORMAT: &'static str = "zstd";

    fn read(&mut self, into: &mut [u8]) -> io::Result<Step> {
        loop {
            match self.state {
                State::Over(_) => return Ok(Step::End),
                State::BetweenFrames => self.pass_to_next_frame()?,
                State::InFrame => match self.read_frame(into)? {
                    0 => {}
                    count => return Ok(Step::Text(count)),
                },
                State::FrameEnd => {
                    self.state = State::BetweenFrames;
                    return Ok(Step::UnitEnd);
                }
            }
        }
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        Some(&mut self.reader)
    }

    fn warning(&self) -> Option<String> {
        match self.state {
            // Unlike gzip, zstd knows no padding, so zeros are worth a word too.
            State::Over(trailing) => warning(trailing.bytes, trailing.from, "zstd frame"),
            _ => None,
        }
    }

    fn detach(&mut self, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
        match self.state {
            State::BetweenFrames => {
                let run = frames::cut_run(&mut self.reader, wanted_text, most_text)?;
                if let Some(run) = &run {
                    self.is_skippable = run.last_stored().is_some_and(|frame| !frame.starts_with(&FRAME_START));
                }
                Ok(run)
            }
            _ => Ok(None),
        }
    }

    fn decode_apart(stored: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> bool {
        frames::decode(stored, max_text, scratch, text).is_some()
    }

    fn restart(&mut self, at_byte: u64) {
        self.state = State::BetweenFrames;
        self.reader.seek(at_byte);
    }
}

/// Whether another frame begins with `next`: no for garbage, an error for what looks like a cut or damaged one.
fn follows_frame(next: &[u8]) -> io::Result<bool> {
    if next.is_empty() {
        return Ok(false);
    }
    let alike = |start: [u8; 4], free_bits: u8| {
        let is_alike = |(at, (byte, due)): (usize, (&u8, u8))| byte & !(if at == 0 { free_bits } else { 0 }) == due;
        next.iter().zip(start).enumerate().filter(|&pair| is_alike(pair)).count()
    };
    let (frame, skippable) = (alike(FRAME_START, 0), alike(SKIPPABLE_START, 0x0f));
    if frame.max(skippable) == FRAME_START.len() {
        return Ok(true);
    }
    if frame.max(skippable) == next.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if frame >= 2 || skippable >= 3 {
        Err(io::Error::other("the header of a zstd frame is damaged"))
    } else {
        Ok(false)
    }
}
