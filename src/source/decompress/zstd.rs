//! Zstandard: frames one after another, skippable ones among them.

use super::sequential::{Decode, StoredReader};
use std::io::{self, Read};

/// The text of all frames of a Zstandard file.
pub(super) struct Zstd {
    decoder: ::zstd::stream::read::Decoder<'static, StoredReader>,
}

impl Zstd {
    pub(super) fn new(reader: StoredReader) -> io::Result<Self> {
        Ok(Zstd { decoder: ::zstd::stream::read::Decoder::with_buffer(reader)? })
    }
}

impl Decode for Zstd {
    const FORMAT: &'static str = "zstd";

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(into)
    }

    fn stored(&mut self) -> Option<&mut StoredReader> {
        Some(self.decoder.get_mut())
    }

    fn warning(&self) -> Option<String> {
        None
    }
}
