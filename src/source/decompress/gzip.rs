//! gzip: members one after another, each with a header and a checksum.
//!
//! Members of bgzip say how long they are. Of others, the beginning of the next one is guessed from its first bytes,
//! as long as it is near; a wrong guess shows in a member that does not end there.

mod members;

use super::Scratch;
use super::ahead::Units;
use super::sequential::{Decode, Step};
use super::stored_reader::StoredReader;
use super::trailing::{Trailing, skip_rest, warning};
use flate2::bufread::GzDecoder;
use std::io::{self, Read};

const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];

enum State {
    Member(Box<GzDecoder<StoredReader>>),
    Between(StoredReader),
    /// After the last member.
    Over(StoredReader, Trailing),
    /// Only while one of the others is made from its predecessor, or after a panic.
    Lost,
}

/// The text of all members of a gzip file.
pub(super) struct Gzip {
    state: State,
}

impl Gzip {
    pub(super) fn new(reader: StoredReader) -> Self {
        Gzip { state: State::Between(reader) }
    }

    fn begin_member(&mut self, mut reader: StoredReader) -> io::Result<()> {
        let is_member = match reader.at_byte() {
            0 => Ok(true),
            _ => reader.peek(MEMBER_START.len()).and_then(follows_member),
        };
        match is_member {
            Ok(true) => self.state = State::Member(Box::new(GzDecoder::new(reader))),
            Ok(false) => {
                let trailing = skip_rest(&mut reader, &MEMBER_START);
                self.state = State::Over(reader, *trailing.as_ref().unwrap_or(&Trailing::default()));
                trailing?;
            }
            Err(error) => {
                self.state = State::Over(reader, Trailing::default());
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Decode for Gzip {
    const FORMAT: &'static str = "gzip";

    fn read(&mut self, into: &mut [u8]) -> io::Result<Step> {
        loop {
            match std::mem::replace(&mut self.state, State::Lost) {
                State::Member(mut decoder) => {
                    let outcome = decoder.read(into);
                    if let Ok(0) = outcome {
                        self.state = State::Between(decoder.into_inner());
                        return Ok(Step::UnitEnd);
                    }
                    self.state = State::Member(decoder);
                    return outcome.map(Step::Text);
                }
                State::Between(reader) => self.begin_member(reader)?,
                State::Over(reader, trailing) => {
                    self.state = State::Over(reader, trailing);
                    return Ok(Step::End);
                }
                State::Lost => return Err(io::Error::other("the decoder gave up")),
            }
        }
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        match &mut self.state {
            State::Member(decoder) => Some(decoder.get_mut()),
            State::Between(reader) | State::Over(reader, _) => Some(reader),
            State::Lost => None,
        }
    }

    fn warning(&self) -> Option<String> {
        match self.state {
            // Zeros at the end are the padding of tapes.
            State::Over(_, trailing) => warning(trailing.bytes_before_padding, trailing.from, "gzip member"),
            _ => None,
        }
    }

    fn detach(&mut self, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
        match &mut self.state {
            State::Between(reader) => members::cut_run(reader, wanted_text, most_text),
            _ => Ok(None),
        }
    }

    fn decode_apart(stored: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> bool {
        members::inflate(stored, max_text, scratch, text).is_some()
    }
}

/// Whether another member begins with `next`: no for padding and garbage, an error for what looks like a damaged one.
fn follows_member(next: &[u8]) -> io::Result<bool> {
    let alike = next.iter().zip(MEMBER_START).filter(|(byte, due)| **byte == *due).count();
    if alike == next.len() {
        return Ok(alike > 0);
    }
    if alike >= 2 { Err(io::Error::other("the header of a gzip member is damaged")) } else { Ok(false) }
}
