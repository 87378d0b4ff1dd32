//! An input file as text: its format, samples for the schema, and streams for passes.

use super::bzip2::{Bzip2Stream, KeptBlocks, decode_near};
use super::format::Format;
use super::gzip::Gzip;
use super::lz4::Lz4;
use super::needs::{DecoderMemory, DecoderNeeds};
use super::nested::{MAX_LAYERS, Watched, inside};
use super::plain::PlainStream;
use super::sequential::SequentialStream;
use super::stored_reader::StoredReader;
use super::text_encoding::{InvalidText, TextEncoding, TextOptions};
use super::transcode::Transcoded;
use super::xz::Xz;
use super::zstd::Zstd;
use super::{Next, Scratch, TextStream};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Budget;
use crate::parallel::Message;
use crate::source::input::{HEAD_BYTES, InputCounters, InputFile, KnownFile};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// A file must be this many times longer than what a sample from its middle reads, to keep within "read once".
const SAMPLE_SHARE: u64 = 64;
/// Text of a bzip2 block, but for one that repeats a byte very often.
const BZIP2_TEXT_BYTES: usize = 900_000;
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

/// Text looked at to tell what is inside a compression.
const LOOK_BYTES: usize = 64 << 10;

/// A file of text: plain or compressed, perhaps several times, in UTF-8 or an encoding that must be undone first.
pub struct TextFile {
    /// The file as the user named it.
    stored: Arc<InputFile>,
    /// What `format` is about: the stored file, or the text of the compression around it.
    input: Arc<InputFile>,
    format: Format,
    kept: Arc<KeptBlocks>,
    /// Stored bytes read, where `input` is not the stored file.
    done: Option<Arc<AtomicU64>>,
    encoding: Option<TextEncoding>,
    /// With which it was opened.
    options: TextOptions,
    needs: DecoderNeeds,
    /// The beginning of the text, from when the file was opened to when it is sampled.
    looked: Mutex<Option<TextSample>>,
}

impl TextFile {
    /// Opens the file at `path` and recognises its format by its first bytes, which are read and kept.
    ///
    /// # Errors
    /// As [`TextFile::open_with`].
    pub fn open(path: &Path, counters: &Arc<InputCounters>) -> Result<Self> {
        TextFile::open_with(path, counters, TextOptions::default())
    }

    /// Opens the file at `path`, recognises its compressions by the first bytes inside each, and the encoding of the
    /// text inside by `options`.
    ///
    /// # Errors
    /// As [`InputFile::open`]; `Unsupported` for other compressions, archives and encodings; `Limit` for too many
    /// compressions around each other.
    pub fn open_with(path: &Path, counters: &Arc<InputCounters>, options: TextOptions) -> Result<Self> {
        TextFile::over(Arc::new(InputFile::open(path, counters)?), options)
    }

    /// [`TextFile::open_with`] of a file that is open.
    ///
    /// # Errors
    /// As that.
    pub(crate) fn over(stored: Arc<InputFile>, options: TextOptions) -> Result<Self> {
        let mut file = TextFile::layer(Arc::clone(&stored), Arc::clone(&stored), &stored.head(HEAD_BYTES)?)?;
        let mut layers = 0;
        loop {
            // Damage before any text is for who reads it to report.
            file.options = options;
            let Ok(look) = file.sample_head(LOOK_BYTES) else { return Ok(file) };
            refuse_archive(&look.text).map_err(|error| error.in_file(stored.name()))?;
            let inner = if file.format == Format::Plain { Format::Plain } else { file.inner(&look.text)? };
            if inner == Format::Plain {
                file.encoding = options.detect(&look.text).map_err(|error| error.in_file(stored.name()))?;
                if file.encoding.is_none() && file.format != Format::Plain {
                    *file.looked.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(look);
                }
                return Ok(file);
            }
            layers += 1;
            if layers == MAX_LAYERS {
                let message = format!("more than {MAX_LAYERS} compressions are wrapped around each other");
                return Err(stored.error(ErrorKind::Limit, message).hint("decompress it with the tools that made it"));
            }
            let outer = file.needs;
            let (input, done) = inside(file);
            let input = Arc::new(input);
            let head = input.head(HEAD_BYTES)?;
            let inner = TextFile::layer(Arc::clone(&stored), input, &head)?;
            file = TextFile { done: Some(done), needs: inner.needs.and(outer), ..inner };
        }
    }

    fn layer(stored: Arc<InputFile>, input: Arc<InputFile>, head: &[u8]) -> Result<Self> {
        let format = Format::detect(head).map_err(|error| error.in_file(stored.name()))?;
        let kept = Arc::new(KeptBlocks::new(Arc::clone(stored.counters())));
        let needs = DecoderNeeds::of(format, head);
        Ok(TextFile {
            stored,
            input,
            format,
            kept,
            done: None,
            encoding: None,
            options: TextOptions::default(),
            needs,
            looked: Mutex::default(),
        })
    }

    /// Puts what another process needs to open the same file behind the bytes.
    ///
    /// # Errors
    /// Why that cannot be, of a stream.
    pub(crate) fn send(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let known = self.stored.as_known().ok_or_else(|| format!("{} comes only once", self.stored.name()))?;
        let TextOptions { encoding, invalid } = self.options;
        let invalid = match invalid {
            InvalidText::AsDeclared => 0_u8,
            InvalidText::Fail => 1,
            InvalidText::Replace => 2,
        };
        let sent = known.send(bytes);
        let sent = sent.and_then(|()| (encoding.map(|encoding| encoding.name().to_owned()), invalid).send(bytes));
        sent.map_err(|error| error.to_string())
    }

    /// The file that [`TextFile::send`] told of. Nothing is read of one that is not `wanted`, and nothing must be.
    ///
    /// # Errors
    /// As [`TextFile::open_with`]; `Internal` for other bytes.
    pub(crate) fn receive(bytes: &mut &[u8], wanted: bool, counters: &Arc<InputCounters>) -> Result<Self> {
        let known = KnownFile::receive(bytes)?;
        let (encoding, invalid) = <(Option<String>, u8)>::receive(bytes)?;
        let stored = Arc::new(InputFile::known(&known, counters));
        if !wanted {
            return TextFile::layer(Arc::clone(&stored), stored, &[]);
        }
        let encoding = encoding.and_then(|name| encoding_rs::Encoding::for_label(name.as_bytes()));
        let invalid = match invalid {
            0 => InvalidText::AsDeclared,
            1 => InvalidText::Fail,
            _ => InvalidText::Replace,
        };
        let text = TextFile::over(Arc::clone(&stored), TextOptions { encoding, invalid })?;
        stored.settle_head();
        Ok(text)
    }

    /// The format of what is inside this compression.
    fn inner(&self, text: &[u8]) -> Result<Format> {
        Format::detect(text).map_err(|error| {
            let message = format!("inside the {:?} compression, {}", self.format, error.message());
            let error = Error::new(error.kind(), message).hint(error.hint_text().unwrap_or_default());
            error.in_file(self.stored.name())
        })
    }

    /// The stored file.
    #[expect(clippy::misnamed_getters, reason = "what the layers inside are read from is nobody else's business")]
    pub fn input(&self) -> &Arc<InputFile> {
        &self.stored
    }

    /// How the file is compressed; the innermost compression, if there are several.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether the text is UTF-8 because it was transcoded, whatever was declared.
    pub fn is_transcoded(&self) -> bool {
        self.encoding.is_some()
    }

    /// The name of the encoding that the text is transcoded from, if it is.
    pub fn transcoded_from(&self) -> Option<&'static str> {
        self.encoding.map(|encoding| encoding.encoding.name())
    }

    /// Whether the text can be read from anywhere, at places in the order of the stored bytes: not that of a stream,
    /// of several compressions, or in an encoding to be undone.
    pub fn is_seekable(&self) -> bool {
        !self.stored.is_stream() && self.done.is_none() && self.encoding.is_none()
    }

    /// A reading of the whole file, in pieces of `piece_bytes` (bzip2: of one block).
    ///
    /// # Errors
    /// When a decoder cannot be set up.
    pub fn open_stream(&self, piece_bytes: usize) -> Result<Box<dyn TextStream>> {
        self.open_text(piece_bytes, false, &Budget::unlimited())
    }

    /// The same; what goes beyond [`TextFile::needs`] is on this account.
    ///
    /// # Errors
    /// When a decoder cannot be set up.
    pub(crate) fn open_stream_within(&self, piece_bytes: usize, budget: &Budget) -> Result<Box<dyn TextStream>> {
        self.open_text(piece_bytes, false, budget)
    }

    /// How many bytes of text there are, at most; `None` where the length of the file is not known.
    pub(crate) fn text_bytes(&self) -> Option<usize> {
        /// Text that is more regular hardly occurs.
        const MOST_PER_STORED: usize = 64;
        let stored = usize::try_from(self.input.known_length()?).ok()?;
        let is_plain = self.format == Format::Plain && self.done.is_none();
        Some(if is_plain { stored } else { stored.saturating_mul(MOST_PER_STORED) })
    }

    /// The longest piece, usually, where `piece_bytes` of text are asked for.
    pub(crate) fn piece_bytes(&self, piece_bytes: usize) -> usize {
        match self.format {
            Format::Bzip2 if self.encoding.is_none() => BZIP2_TEXT_BYTES,
            Format::Bzip2 => piece_bytes.max(BZIP2_TEXT_BYTES),
            Format::Plain if !self.input.is_stream() && self.done.is_none() => {
                piece_bytes.min(usize::try_from(self.input.length()).unwrap_or(usize::MAX))
            }
            _ => piece_bytes,
        }
    }

    /// What decoding takes in memory, beside the text.
    pub(crate) fn needs(&self) -> DecoderNeeds {
        self.needs
    }

    fn open_text(&self, piece_bytes: usize, is_sample: bool, budget: &Budget) -> Result<Box<dyn TextStream>> {
        let stream = self.open_as(piece_bytes, is_sample, budget)?;
        let watched = Box::new(Watched::new(stream, Arc::clone(&self.input), self.done.clone()));
        Ok(match self.encoding {
            Some(encoding) => Box::new(Transcoded::new(watched, Arc::clone(&self.stored), encoding)),
            None => watched,
        })
    }

    /// The text as it is stored; for a sample, nothing is decoded ahead and what is read is kept.
    pub(super) fn open_as(&self, piece_bytes: usize, is_sample: bool, budget: &Budget) -> Result<Box<dyn TextStream>> {
        let input = Arc::clone(&self.input);
        let reader = || StoredReader::new(Arc::clone(&self.input), is_sample);
        let memory = || DecoderMemory::new(self.needs.file_bytes, budget);
        let apart = (budget.limit_bytes() != usize::MAX).then_some(self.needs.worker_bytes);
        // To look for units means to wait for what is not there yet, in a pipe.
        let works_ahead = !is_sample && self.input.known_length().is_some();
        Ok(match self.format {
            Format::Plain => Box::new(PlainStream::new(input, piece_bytes)),
            Format::Bzip2 if is_sample => Box::new(Bzip2Stream::sample(input, Arc::clone(&self.kept))?),
            Format::Bzip2 => Box::new(Bzip2Stream::new(input, Arc::clone(&self.kept))?),
            Format::Gzip => {
                Box::new(SequentialStream::new(input, piece_bytes, works_ahead, Gzip::new(reader()), budget, apart))
            }
            Format::Zstd => {
                let decoder = Zstd::new(reader(), memory()).map_err(|error| Error::io(&**self.input.name(), &error))?;
                Box::new(SequentialStream::new(input, piece_bytes, works_ahead, decoder, budget, apart))
            }
            Format::Xz => {
                let decoder = Xz::new(reader(), memory());
                Box::new(SequentialStream::new(input, piece_bytes, works_ahead, decoder, budget, apart))
            }
            Format::Lz4 => {
                Box::new(SequentialStream::new(input, piece_bytes, works_ahead, Lz4::new(reader()), budget, apart))
            }
        })
    }

    /// The beginning of the text: about `max_text` bytes, for bzip2 whole blocks until there are as many. Stored bytes
    /// and blocks decoded for it are kept for the pass, while the cache has room.
    ///
    /// # Errors
    /// The file is damaged before any text.
    pub fn sample_head(&self, max_text: usize) -> Result<TextSample> {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(looked) = looked.filter(|looked| looked.is_end || looked.text.len() >= max_text) {
            return Ok(looked);
        }
        let mut sample = TextSample { text: vec![], position: 0, is_start: true, is_end: false };
        if self.format == Format::Plain && self.encoding.is_none() {
            let head = self.input.head(max_text)?;
            sample.text.extend_from_slice(&head[..head.len().min(max_text)]);
            sample.is_end = self.input.available(sample.text.len() as u64, 1)? == 0;
            return Ok(sample);
        }
        let stream = self.open_text(max_text, true, &Budget::unlimited())?;
        let mut scratch = Scratch::default();
        while sample.text.len() < max_text.max(1) {
            let mut piece = match stream.next(&mut scratch, true)? {
                Next::Piece(piece) => piece,
                Next::Busy => continue,
                Next::End => {
                    stream.finish()?;
                    sample.is_end = true;
                    break;
                }
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
        if !self.is_seekable() {
            return Ok(None);
        }
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
        let length = if self.is_seekable() { self.input.length() } else { 0 };
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

/// Several files in one are no table.
fn refuse_archive(text: &[u8]) -> Result<()> {
    if text.get(257..262) == Some(b"ustar") && text[..257].contains(&0) {
        let hint = "unpack it first, or read one file of it: tar -xOf archive.tar.gz table.csv | outcrop … -";
        return Err(Error::new(ErrorKind::Unsupported, "this is a tar archive, not a table").hint(hint));
    }
    Ok(())
}
