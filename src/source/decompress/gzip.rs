//! gzip: members one after another, each with a header and a checksum.

use super::sequential::{Decode, StoredReader};
use super::trailing::{Trailing, skip_rest, warning};
use flate2::bufread::GzDecoder;
use std::io::{self, Read};

const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];

enum State {
    Member(Box<GzDecoder<StoredReader>>),
    /// After the last member.
    Over(StoredReader, Trailing),
    /// Only while one of the others is made from its predecessor.
    Between,
}

/// The text of all members of a gzip file.
pub(super) struct Gzip {
    state: State,
}

impl Gzip {
    pub(super) fn new(reader: StoredReader) -> Self {
        Gzip { state: State::Member(Box::new(GzDecoder::new(reader))) }
    }
}

impl Decode for Gzip {
    const FORMAT: &'static str = "gzip";

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let State::Member(decoder) = &mut self.state else { return Ok(0) };
            let count = decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let State::Member(decoder) = std::mem::replace(&mut self.state, State::Between) else { return Ok(0) };
            let mut reader = decoder.into_inner();
            let is_member = match reader.peek(MEMBER_START.len()) {
                Ok(next) => follows_member(next),
                Err(error) => Err(error),
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
        }
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        match &mut self.state {
            State::Member(decoder) => Some(decoder.get_mut()),
            State::Over(reader, _) => Some(reader),
            State::Between => None,
        }
    }

    fn warning(&self) -> Option<String> {
        match self.state {
            // Zeros at the end are the padding of tapes.
            State::Over(_, trailing) => warning(trailing.bytes_before_padding, trailing.from, "gzip member"),
            _ => None,
        }
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
