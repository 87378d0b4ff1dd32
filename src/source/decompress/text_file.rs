//! An input file as text: its format, samples for the schema, and streams for passes.

use super::bzip2::{Bzip2Stream, KeptBlocks, decode_near};
use super::format::Format;
use super::gzip::Gzip;
use super::lz4::Lz4;
use super::plain::PlainStream;
use super::sequential::{SequentialStream, StoredReader};
use super::xz::Xz;
use super::zstd::Zstd;
use super::{Next, Scratch, TextStream};
use crate::error::{Error, Result};
use crate::source::input::{HEAD_BYTES, InputCounters, InputFile};
use std::path::Path;
use std::sync::Arc;

/// A file must be this many times longer than what a sample from its middle reads, to keep within "read once".
const SAMPLE_SHARE: u64 = 64;
/// Stored bytes that a sample from the middle of a bzip2 file reads, typically.
const BZIP2_SAMPLE_BYTES: u64 = 512 << 10;

/// Text from one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSample {
    /// The text.
    pub text: Vec<u8>,
    /// Position of its first byte, as in [`super::Cell`].
    pub position: u64,
    /// Whether it starts where the file starts; otherwise it may start in the middle of a record.
    pub is_start: bool,
    /// Whether it ends where the file ends; otherwise it may end in the middle of a record.
    pub is_end: bool,
}

/// A file of text, compressed or not.
pub struct TextFile {
    input: Arc<InputFile>,
    format: Format,
    kept: Arc<KeptBlocks>,
}

impl TextFile {
    /// Opens the file at `path` and recognises its format by its first bytes, which are read and kept.
    ///
    /// # Errors
    /// As [`InputFile::open`]; `Unsupported` for other compressions.
    pub fn open(path: &Path, counters: &Arc<InputCounters>) -> Result<Self> {
        let input = InputFile::open(path, counters)?;
        let format = Format::detect(&input.head(HEAD_BYTES)?).map_err(|error| error.in_file(input.name()))?;
        Ok(TextFile { input: Arc::new(input), format, kept: Arc::new(KeptBlocks::new(Arc::clone(counters))) })
    }

    /// The stored file.
    pub fn input(&self) -> &Arc<InputFile> {
        &self.input
    }

    /// How the file is compressed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A reading of the whole file, in pieces of `piece_bytes` (bzip2: of one block).
    ///
    /// # Errors
    /// When a decoder cannot be set up.
    pub fn open_stream(&self, piece_bytes: usize) -> Result<Box<dyn TextStream>> {
        self.open_as(piece_bytes, false)
    }

    /// As [`TextFile::open_stream`]; for a sample, nothing is decoded ahead and what is read is kept.
    pub(super) fn open_as(&self, piece_bytes: usize, is_sample: bool) -> Result<Box<dyn TextStream>> {
        let input = Arc::clone(&self.input);
        let reader = || StoredReader::new(Arc::clone(&self.input), is_sample);
        Ok(match self.format {
            Format::Plain => Box::new(PlainStream::new(input, piece_bytes)),
            Format::Bzip2 if is_sample => Box::new(Bzip2Stream::sample(input, Arc::clone(&self.kept))?),
            Format::Bzip2 => Box::new(Bzip2Stream::new(input, Arc::clone(&self.kept))?),
            Format::Gzip if is_sample => Box::new(SequentialStream::in_order(input, piece_bytes, Gzip::new(reader()))),
            Format::Gzip => Box::new(SequentialStream::new(input, piece_bytes, Gzip::new(reader()))),
            Format::Zstd => {
                let decoder = Zstd::new(reader()).map_err(|error| Error::io(&**self.input.name(), &error))?;
                if is_sample {
                    Box::new(SequentialStream::in_order(input, piece_bytes, decoder))
                } else {
                    Box::new(SequentialStream::new(input, piece_bytes, decoder))
                }
            }
            Format::Xz if is_sample => Box::new(SequentialStream::in_order(input, piece_bytes, Xz::new(reader()))),
            Format::Xz => Box::new(SequentialStream::new(input, piece_bytes, Xz::new(reader()))),
            Format::Lz4 => Box::new(SequentialStream::in_order(input, piece_bytes, Lz4::new(reader()))),
        })
    }

    /// The beginning of the text: about `max_text` bytes, for bzip2 whole blocks until there are as many. Stored bytes
    /// and blocks decoded for it are kept for the pass, while the cache has room.
    ///
    /// # Errors
    /// The file is damaged before any text.
    pub fn sample_head(&self, max_text: usize) -> Result<TextSample> {
        let mut sample = TextSample { text: vec![], position: 0, is_start: true, is_end: false };
        if self.format == Format::Plain {
            let head = self.input.head(max_text)?;
            sample.text.extend_from_slice(&head[..head.len().min(max_text)]);
            sample.is_end = sample.text.len() as u64 == self.input.length();
            return Ok(sample);
        }
        let stream = self.open_as(max_text, true)?;
        let mut scratch = Scratch::default();
        while sample.text.len() < max_text.max(1) {
            let Next::Piece(mut piece) = stream.next(&mut scratch, true)? else {
                stream.finish()?;
                sample.is_end = true;
                break;
            };
            let confirmed = stream.confirm(&mut piece);
            if sample.text.is_empty()
                && let Some(cell) = piece.cells.first()
            {
                sample.position = cell.base;
            }
            sample.text.extend_from_slice(&piece.text);
            match confirmed {
                Ok(_) => {}
                Err(error) if sample.text.is_empty() => return Err(error),
                // The pass will come across the damage and say so in its order.
                Err(_) => break,
            }
        }
        Ok(sample)
    }

    /// Text from near stored byte `offset`: up to `max_text` bytes of plain text, or one bzip2 block; `None` where
    /// there is none, or none that is sound, and for formats that inflate from the front only.
    ///
    /// # Errors
    /// Reading the file failed.
    pub fn sample_at(&self, offset: u64, max_text: usize) -> Result<Option<TextSample>> {
        let length = self.input.length();
        match self.format {
            Format::Plain if offset < length => {
                let mut text = vec![0; (length - offset).min(max_text as u64) as usize];
                self.input.read_at(offset, &mut text)?;
                self.input.close();
                let is_end = offset + text.len() as u64 == length;
                Ok(Some(TextSample { text, position: offset, is_start: offset == 0, is_end }))
            }
            Format::Bzip2 => {
                let block = decode_near(&self.input, offset)?;
                self.input.close();
                Ok(block.map(|(position, text)| TextSample { text, position, is_start: false, is_end: false }))
            }
            _ => Ok(None),
        }
    }

    /// Samples for the schema: the head of about `max_text` bytes, and the middle and the tail where that reads little
    /// compared with the file. Leaves the file closed.
    ///
    /// # Errors
    /// As [`TextFile::sample_head`].
    pub fn samples(&self, max_text: usize) -> Result<Vec<TextSample>> {
        let mut samples = vec![self.sample_head(max_text)?];
        let length = self.input.length();
        let cost = if self.format == Format::Bzip2 { BZIP2_SAMPLE_BYTES } else { max_text as u64 };
        if length / SAMPLE_SHARE >= cost {
            for offset in [length / 2, length - length / 64] {
                samples.extend(self.sample_at(offset, max_text)?);
            }
        }
        self.input.settle_head();
        Ok(samples)
    }
}
