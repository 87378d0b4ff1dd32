//! xz: streams one after another, each of blocks and an index of them at its end.
//!
//! Where the indexes of all streams are found and more than one block is in them, the file is read block by block, each
//! wrapped as a stream of its own; otherwise stream by stream.

mod index;

use super::Scratch;
use super::ahead::{Unit, Units};
use super::needs::{DecoderMemory, XZ_APART_BYTES};
use super::sequential::{Decode, Step};
use super::stored_reader::StoredReader;
use super::trailing::{Trailing, skip_rest, warning};
use index::{Block, Wrapping, find_blocks, wrapping};
use liblzma::stream::{Action, Error, Status, Stream, TELL_UNSUPPORTED_CHECK};
use std::io::{self, BufRead};

const STREAM_START: [u8; 6] = *b"\xfd7zXZ\0";
/// Memory that a decoder may take, nearly all of it for the dictionary.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// Blocks of a run; keeps one of empty blocks short.
const MAX_UNITS: usize = 1 << 12;

enum State {
    Between,
    Stream(Stream),
    /// A block, wrapped.
    Block {
        stream: Stream,
        /// Stored bytes of it that have not been decoded.
        left: u64,
        /// What stands before and behind it.
        wrapping: Wrapping,
        /// How much of that has been decoded.
        used: usize,
    },
    Over(Trailing),
}

/// How the file is taken to pieces.
enum Blocks {
    /// Nobody has asked for blocks yet.
    Unknown,
    /// By streams.
    Streams,
    /// By these blocks, of which so many are behind.
    Known { blocks: Vec<Block>, next: usize },
}

/// The text of all streams of an xz file.
pub(super) struct Xz {
    reader: StoredReader,
    memory: DecoderMemory,
    state: State,
    blocks: Blocks,
}

impl Xz {
    pub(super) fn new(reader: StoredReader, memory: DecoderMemory) -> Self {
        Xz { reader, memory, state: State::Between, blocks: Blocks::Unknown }
    }

    fn begin_unit(&mut self) -> io::Result<()> {
        let known = (self.memory.known_bytes() as u64).clamp(1, MAX_MEMORY_BYTES);
        let new_stream = || Stream::new_stream_decoder(known, TELL_UNSUPPORTED_CHECK).map_err(failure);
        if let Blocks::Known { blocks, next } = &mut self.blocks {
            let Some(block) = blocks.get(*next) else {
                // The indexes have accounted for every byte.
                self.reader.seek(self.reader.input().length());
                self.state = State::Over(Trailing::default());
                return Ok(());
            };
            *next += 1;
            self.reader.seek(block.at_byte);
            let (left, wrapping) = (block.stored_bytes(), wrapping(block));
            self.state = State::Block { stream: new_stream()?, left, wrapping, used: 0 };
            return Ok(());
        }
        self.state = if self.reader.at_byte() == 0 || self.follows_stream()? {
            State::Stream(new_stream()?)
        } else {
            State::Over(skip_rest(&mut self.reader, &STREAM_START)?)
        };
        Ok(())
    }

    /// Passes over padding; whether a stream follows: no for garbage, an error for what looks like a damaged one.
    fn follows_stream(&mut self) -> io::Result<bool> {
        loop {
            let next = self.reader.peek(STREAM_START.len())?;
            if next.starts_with(&[0; 4]) {
                self.reader.consume(4);
                continue;
            }
            let alike = next.iter().zip(STREAM_START).filter(|(byte, due)| **byte == *due).count();
            return match next.len() {
                0 => Ok(false),
                6 if alike == 6 => Ok(true),
                length if length == alike => Err(io::ErrorKind::UnexpectedEof.into()),
                _ if alike >= 4 => Err(io::Error::other("the header of an xz stream is damaged")),
                _ => Ok(false),
            };
        }
    }

    /// Decodes some bytes of the stream or block, maybe none.
    fn read_unit(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (stream, input, is_last) = match &mut self.state {
            State::Between | State::Over(_) => return Ok(0),
            State::Stream(stream) => {
                let input = self.reader.fill_buf()?;
                let is_last = input.is_empty();
                (stream, input, is_last)
            }
            State::Block { stream, left, wrapping, used } => {
                let before = wrapping.before.get(*used..).filter(|before| !before.is_empty());
                let input = match before {
                    Some(before) => before,
                    None if *left > 0 => {
                        let stored = self.reader.fill_buf()?;
                        let count = usize::try_from(*left).unwrap_or(usize::MAX).min(stored.len());
                        if count == 0 {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                        &stored[..count]
                    }
                    None => &wrapping.behind[*used - wrapping.before.len()..],
                };
                let is_last = input.is_empty();
                (stream, input, is_last)
            }
        };
        let (in_before, out_before) = (stream.total_in(), stream.total_out());
        let outcome = stream.process(input, into, Action::Run);
        let (consumed, written) = (stream.total_in() - in_before, stream.total_out() - out_before);
        let status = match outcome {
            Err(Error::MemLimit) => allow_more(stream, &mut self.memory).map(|()| None),
            outcome => outcome.map(Some).map_err(failure),
        };
        match &mut self.state {
            State::Block { left, wrapping, used, .. } => {
                if *used < wrapping.before.len() || *left == 0 {
                    *used += consumed as usize;
                } else {
                    *left -= consumed;
                    self.reader.consume(consumed as usize);
                }
            }
            _ => self.reader.consume(consumed as usize),
        }
        match status? {
            Some(Status::StreamEnd) => self.state = State::Between,
            Some(_) if is_last && consumed == 0 && written == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        Ok(written as usize)
    }
}

impl Decode for Xz {
    const FORMAT: &'static str = "xz";

    fn read(&mut self, into: &mut [u8]) -> io::Result<Step> {
        loop {
            match self.state {
                State::Over(_) => return Ok(Step::End),
                State::Between => self.begin_unit()?,
                State::Stream(_) | State::Block { .. } => {
                    let count = self.read_unit(into)?;
                    if count > 0 {
                        return Ok(Step::Text(count));
                    }
                    if matches!(self.state, State::Between) {
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
            State::Over(trailing) => warning(trailing.bytes, trailing.from, "xz stream"),
            _ => None,
        }
    }

    fn detach(&mut self, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
        if !matches!(self.state, State::Between) {
            return Ok(None);
        }
        if matches!(self.blocks, Blocks::Unknown) {
            let found = find_blocks(self.reader.input()).filter(|blocks| blocks.len() > 1);
            self.blocks = found.map_or(Blocks::Streams, |blocks| Blocks::Known { blocks, next: 0 });
        }
        let Blocks::Known { blocks, next } = &mut self.blocks else { return Ok(None) };
        let (mut units, mut stored, mut text_bytes, mut file_bytes) = (Vec::new(), Vec::new(), 0, 0);
        while let Some(block) = blocks.get(*next + units.len())
            && text_bytes < wanted_text
            && units.len() < MAX_UNITS
            && block.text_bytes <= most_text.saturating_sub(text_bytes) as u64
            && block.stored_bytes() <= 2 * most_text as u64
        {
            let (block_text, block_bytes) = (block.text_bytes as usize, block.stored_bytes() as usize);
            self.reader.seek(block.at_byte);
            let wrapping = wrapping(block);
            stored.extend_from_slice(&wrapping.before);
            stored.extend_from_slice(self.reader.peek(block_bytes)?);
            stored.extend_from_slice(&wrapping.behind);
            self.reader.consume(block_bytes);
            units.push(Unit { at_byte: block.at_byte, end: stored.len(), text_bytes: block_text });
            text_bytes += block_text;
            file_bytes += block_bytes as u64;
        }
        *next += units.len();
        Ok((!units.is_empty()).then_some(Units { stored, units, file_bytes }))
    }

    fn decode_apart(stored: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> bool {
        let most_bytes = scratch.decoder_bytes.map_or(XZ_APART_BYTES, |bytes| bytes.min(XZ_APART_BYTES));
        let Ok(mut stream) = Stream::new_stream_decoder(most_bytes as u64, TELL_UNSUPPORTED_CHECK) else {
            return false;
        };
        let start = text.len();
        text.resize(start + max_text, 0);
        // One call leaves nothing to do: all input and room for all text are there.
        let status = stream.process(stored, &mut text[start..], Action::Finish);
        status == Ok(Status::StreamEnd)
            && stream.total_in() == stored.len() as u64
            && stream.total_out() == max_text as u64
    }

    fn restart(&mut self, at_byte: u64) {
        self.state = State::Between;
        if let Blocks::Known { blocks, next } = &mut self.blocks {
            *next = blocks.partition_point(|block| block.at_byte < at_byte);
        }
        self.reader.seek(at_byte);
    }
}

/// Lets `stream` have the memory that it needs to go on, if the account agrees.
fn allow_more(stream: &mut Stream, memory: &mut DecoderMemory) -> io::Result<()> {
    let needed = memory_needed(stream);
    if needed > MAX_MEMORY_BYTES {
        let (needed, allowed) = (needed.div_ceil(1 << 20), MAX_MEMORY_BYTES >> 20);
        let message = format!(
            "the xz data need {needed} MiB of memory to be decompressed, and no more than {allowed} MiB are allowed"
        );
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
    }
    memory.hold(needed, "the xz data need so much memory to be decompressed:")
}

/// What `error` of liblzma means.
fn failure(error: Error) -> io::Error {
    let (kind, message) = match error {
        Error::Mem => (io::ErrorKind::OutOfMemory, "no memory is left for an xz decoder".to_owned()),
        Error::Options => (io::ErrorKind::Other, "a header asks for what this version of xz does not know".to_owned()),
        Error::UnsupportedCheck => {
            (io::ErrorKind::Unsupported, "the xz data have a kind of checksum that cannot be verified".to_owned())
        }
        Error::Format => (io::ErrorKind::Other, "this is not an xz stream".to_owned()),
        _ => (io::ErrorKind::Other, "the compressed data do not decode or do not match their checksum".to_owned()),
    };
    io::Error::new(kind, message)
}

/// What `stream` needs to go on, which is its limit then.
fn memory_needed(stream: &mut Stream) -> u64 {
    let (mut too_small, mut enough) = (stream.memlimit(), 1u64 << 40);
    while enough - too_small > 1 << 20 {
        let middle = too_small.midpoint(enough);
        match stream.set_memlimit(middle) {
            Ok(()) => enough = middle,
            Err(_) => too_small = middle,
        }
    }
    enough
}
