//! gzip: members one after another, each with a header and a checksum.

use super::sequential::{Decode, StoredReader};
use flate2::bufread::GzDecoder;
use std::io::{self, Read};

const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];

enum State {
    Member(Box<GzDecoder<StoredReader>>),
    /// After the last member; these many bytes are ignored, from here on.
    Over {
        reader: StoredReader,
        from: u64,
        ignored: u64,
    },
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
            let from = reader.at_byte();
            match is_member {
                Ok(true) => self.state = State::Member(Box::new(GzDecoder::new(reader))),
                Ok(false) => {
                    let ignored = skip_rest(&mut reader);
                    self.state = State::Over { reader, from, ignored: *ignored.as_ref().unwrap_or(&0) };
                    ignored?;
                }
                Err(error) => {
                    self.state = State::Over { reader, from, ignored: 0 };
                    return Err(error);
                }
            }
        }
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        match &mut self.state {
            State::Member(decoder) => Some(decoder.get_mut()),
            State::Over { reader, .. } => Some(reader),
            State::Between => None,
        }
    }

    fn warning(&self) -> Option<String> {
        match self.state {
            State::Over { from, ignored: ignored @ 1.., .. } => {
                Some(format!("{ignored} bytes after the last gzip member, from byte {from} on, are ignored"))
            }
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

/// Reads to the end of the file: how many bytes, except zeros that are mere padding.
fn skip_rest(reader: &mut StoredReader) -> io::Result<u64> {
    let (mut count, mut significant) = (0, 0);
    loop {
        let chunk = reader.peek(64 << 10)?;
        if chunk.is_empty() {
            return Ok(significant);
        }
        if chunk.windows(3).any(|window| window == MEMBER_START) {
            return Err(io::Error::other("a gzip member follows behind bytes that are not gzip"));
        }
        if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
            significant = count + last as u64 + 1;
        }
        // The last two bytes are looked at again, as a member may start in them.
        let step = if chunk.len() > 2 { chunk.len() - 2 } else { chunk.len() };
        count += step as u64;
        io::BufRead::consume(reader, step);
    }
}
