//! What follows the last member or frame of a file: ignored, unless it may be text that damage has hidden.

use super::stored_reader::StoredReader;
use std::io::{self, BufRead};

/// Bytes that were ignored at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailing {
    /// Where they start.
    pub(super) from: u64,
    /// How many they are.
    pub(super) bytes: u64,
    /// How many they are without the zeros at their end.
    pub(super) bytes_before_padding: u64,
}

/// Reads to the end of the file. A `start` of a member on the way is an error: the bytes before it were data once.
pub(super) fn skip_rest(reader: &mut StoredReader, start: &[u8]) -> io::Result<Trailing> {
    let mut trailing = Trailing { from: reader.at_byte(), ..Trailing::default() };
    loop {
        let chunk = reader.peek(64 << 10)?;
        if chunk.is_empty() {
            return Ok(trailing);
        }
        if chunk.windows(start.len()).any(|window| window == start) {
            return Err(io::Error::other("more compressed data follow behind bytes that are none"));
        }
        if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
            trailing.bytes_before_padding = trailing.bytes + last as u64 + 1;
        }
        // Bytes at the end of the chunk in which `start` may begin are looked at again.
        let again = start.len() - 1;
        let step = if chunk.len() > again { chunk.len() - again } else { chunk.len() };
        trailing.bytes += step as u64;
        reader.consume(step);
    }
}

/// A warning about `bytes` ignored from `from` on, after the last `unit`.
pub(super) fn warning(bytes: u64, from: u64, unit: &str) -> Option<String> {
    (bytes > 0).then(|| format!("{bytes} bytes after the last {unit}, from byte {from} on, are ignored"))
}
