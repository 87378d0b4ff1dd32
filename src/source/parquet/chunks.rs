//! Stored bytes for the decoder: positioned reads of an input file, each byte of a column chunk fetched once.
//!
//! The decoder walks a column chunk in small steps: a page header, its page, the next header. A chunk of moderate size
//! is therefore fetched whole at its first use and shared by all fragments of its row group; a larger one is fetched in
//! windows as one reader advances. Where pages are listed in an offset index, just the pages wanted are fetched. What is
//! kept goes with the last fragment of its row group, so that a scan holds the row groups under way and no others.

use crate::error::{Error, ErrorKind};
use crate::source::input::InputFile;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A window into a chunk that is too large to be kept whole.
const WINDOW_BYTES: usize = 1 << 20;

/// How the bytes of a column chunk are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    /// All at once, at the first use.
    Whole,
    /// A window at a time; for one reader that goes from front to back.
    Windows,
    /// As asked for; the first bytes, before the first data page, are kept.
    Pages {
        /// Length of what precedes the first data page.
        dictionary_bytes: u64,
    },
}

/// A column chunk and what is kept of it.
#[derive(Debug)]
struct Chunk {
    range: Range<u64>,
    fetch: Fetch,
    /// Where the bytes kept begin, and they themselves.
    kept: Mutex<(u64, Bytes)>,
}

/// The column chunks of a row group that a scan reads, shared by its fragments.
#[derive(Debug)]
pub(super) struct Chunks {
    input: Arc<InputFile>,
    chunks: Vec<Chunk>,
    /// Fragments that have not been read to their end.
    fragments: AtomicUsize,
}

impl Chunks {
    /// The chunks in these byte ranges, which lie within the file, for so many fragments.
    pub(super) fn new(
        input: Arc<InputFile>,
        ranges: impl IntoIterator<Item = (Range<u64>, Fetch)>,
        fragments: usize,
    ) -> Self {
        let chunk = |(range, fetch): (Range<u64>, Fetch)| {
            let kept = Mutex::new((range.start, Bytes::new()));
            Chunk { range, fetch, kept }
        };
        Chunks { input, chunks: ranges.into_iter().map(chunk).collect(), fragments: AtomicUsize::new(fragments) }
    }

    /// A fragment will not be read any further; behind the last of them nothing is kept.
    pub(super) fn leave(&self) {
        if self.fragments.fetch_sub(1, Ordering::AcqRel) == 1 {
            for chunk in &self.chunks {
                *chunk.kept() = (chunk.range.start, Bytes::new());
            }
        }
    }

    /// Bytes kept.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.kept().1.len()).sum()
    }

    fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        let holds = |chunk: &&Chunk| chunk.range.start <= range.start && range.end <= chunk.range.end;
        match self.chunks.iter().find(holds) {
            None => fetch(&self.input, range),
            Some(chunk) => chunk.bytes(&self.input, range),
        }
    }
}

impl Chunk {
    fn kept(&self) -> MutexGuard<'_, (u64, Bytes)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, input: &InputFile, range: Range<u64>) -> Result<Bytes> {
        let before = match self.fetch {
            Fetch::Pages { dictionary_bytes } => self.range.start + dictionary_bytes,
            Fetch::Whole | Fetch::Windows => self.range.end,
        };
        if range.end > before {
            return fetch(input, range);
        }
        let mut kept = self.kept();
        let kept_end = kept.0 + kept.1.len() as u64;
        if kept.0 <= range.start && range.end <= kept_end {
            let start = (range.start - kept.0) as usize;
            return Ok(kept.1.slice(start..start + (range.end - range.start) as usize));
        }
        if self.fetch != Fetch::Windows {
            kept.1 = fetch(input, self.range.start..before)?;
            let start = (range.start - self.range.start) as usize;
            return Ok(kept.1.slice(start..start + (range.end - range.start) as usize));
        }
        let end = range.end.max((range.start + WINDOW_BYTES as u64).min(self.range.end));
        // What the last window already holds is not fetched again.
        let overlap =
            if (kept.0..kept_end).contains(&range.start) { (range.start - kept.0) as usize } else { kept.1.len() };
        let known = kept.1.slice(overlap..);
        let window = if known.is_empty() {
            fetch(input, range.start..end)?
        } else {
            let rest = fetch(input, range.start + known.len() as u64..end)?;
            [known, rest].concat().into()
        };
        *kept = (range.start, window.clone());
        Ok(window.slice(..(range.end - range.start) as usize))
    }
}

/// Fetches a range, which need not lie within the file.
fn fetch(input: &InputFile, range: Range<u64>) -> Result<Bytes> {
    let external = |error: Error| ParquetError::External(Box::new(error));
    if range.start > range.end || range.end > input.length() {
        let message = format!("bytes {} to {} are asked for, beyond the end of the file", range.start, range.end);
        return Err(external(input.error(ErrorKind::Malformed, message)));
    }
    let length = usize::try_from(range.end - range.start)?;
    let mut buffer = vec![0; length];
    input.read_at(range.start, &mut buffer).map_err(external)?;
    Ok(buffer.into())
}

/// What the decoder is given to read from.
#[derive(Clone)]
pub(super) struct ChunkSource(pub(super) Arc<Chunks>);

impl ChunkSource {
    /// All of a file, nothing kept.
    pub(super) fn of_file(input: &Arc<InputFile>) -> Self {
        ChunkSource(Arc::new(Chunks::new(Arc::clone(input), [], 0)))
    }

    /// All of a file; a part of it is fetched at once and kept.
    pub(super) fn of_part(input: &Arc<InputFile>, part: Range<u64>) -> Self {
        ChunkSource(Arc::new(Chunks::new(Arc::clone(input), [(part, Fetch::Whole)], 0)))
    }
}

impl Length for ChunkSource {
    fn len(&self) -> u64 {
        self.0.input.length()
    }
}

impl ChunkReader for ChunkSource {
    type T = ChunkCursor;

    fn get_read(&self, start: u64) -> Result<ChunkCursor> {
        Ok(ChunkCursor { source: self.clone(), at: start, ahead: Bytes::new(), ended: false })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64).ok_or_else(|| ParquetError::EOF("a length overflows".into()))?;
        self.0.bytes(start..end)
    }
}

/// Reads on from a place; page headers are read so.
pub(super) struct ChunkCursor {
    source: ChunkSource,
    at: u64,
    ahead: Bytes,
    /// The end was told.
    ended: bool,
}

/// Most page headers are shorter.
const HEADER_BYTES: u64 = 128;

impl Read for ChunkCursor {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.ahead.is_empty() {
            let chunks = &self.source.0.chunks;
            let end = chunks.iter().map(|chunk| &chunk.range).find(|range| range.contains(&self.at));
            let end = end.map_or(self.source.len(), |range| range.end).min(self.at + HEADER_BYTES);
            if end <= self.at {
                // A damaged header may have billions of values to pass over, for each of which the decoder asks again.
                let message = "a page header goes beyond the end of the file";
                let again = std::mem::replace(&mut self.ended, true);
                return if again {
                    Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, message))
                } else {
                    Ok(0)
                };
            }
            self.ahead = self.source.0.bytes(self.at..end).map_err(std::io::Error::other)?;
        }
        let count = buffer.len().min(self.ahead.len());
        buffer[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead = self.ahead.slice(count..);
        self.at += count as u64;
        Ok(count)
    }
}
