//! Formats that inflate from the front only: one decoder behind a lock, beside which other workers parse.

use super::{Cell, Next, Piece, Scratch, TextStream};
use crate::error::{Error, Result};
use crate::source::input::InputFile;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

/// How long a worker waits for a slow pipe before it looks whether it shall stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Stored bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// The stored file as a [`BufRead`] from front to back; remembers the located error that `io::Error` cannot carry.
pub(super) struct StoredReader {
    input: Arc<InputFile>,
    buffer: Vec<u8>,
    used: usize,
    read_to: u64,
    error: Option<Error>,
    keeps_head: bool,
    is_over: bool,
}

impl StoredReader {
    pub(super) fn new(input: Arc<InputFile>, keeps_head: bool) -> Self {
        StoredReader { input, buffer: vec![], used: 0, read_to: 0, error: None, keeps_head, is_over: false }
    }

    /// Offset of the next stored byte.
    pub(super) fn at_byte(&self) -> u64 {
        self.read_to - (self.buffer.len() - self.used) as u64
    }

    /// Up to `count` bytes that follow; fewer only at the end of the file.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.used < count && !self.is_over {
            self.read_more()?;
        }
        let rest = &self.buffer[self.used..];
        Ok(&rest[..rest.len().min(count)])
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let held = self.buffer.len();
        let read = self.input.available(self.read_to, READ_BYTES).and_then(|fresh| {
            self.buffer.resize(held + fresh, 0);
            self.input.read_at(self.read_to, &mut self.buffer[held..]).map(|()| fresh)
        });
        let fresh = match read {
            Ok(fresh) => fresh,
            Err(error) => {
                self.buffer.truncate(held);
                self.error = Some(error);
                return Err(io::Error::other("reading failed"));
            }
        };
        self.read_to += fresh as u64;
        self.is_over = fresh < READ_BYTES || self.input.known_length() == Some(self.read_to);
        if self.is_over {
            self.input.close();
            if !self.keeps_head {
                self.input.release_head();
            }
        }
        Ok(())
    }
}

impl Drop for StoredReader {
    fn drop(&mut self) {
        self.input.close();
    }
}

impl Read for StoredReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for StoredReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() && !self.is_over {
            self.read_more()?;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.buffer.len());
    }
}

/// A decoder that gives text from the front to the back.
pub(super) trait Decode: Send {
    /// Name of the format, for messages.
    const FORMAT: &'static str;

    /// Decodes some bytes into `into`; zero at the end of the last member.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// The stored file; `None` when a panic of the decoder has lost it.
    fn stored(&mut self) -> Option<&mut StoredReader>;

    /// A warning about what followed the last member.
    fn warning(&self) -> Option<String>;
}

struct State<D> {
    decoder: D,
    next_ordinal: u64,
    text_offset: u64,
    is_over: bool,
}

impl<D: Decode> State<D> {
    fn at_byte(&mut self) -> u64 {
        self.decoder.stored().map_or(0, |stored| stored.at_byte())
    }
}

/// One file in a format that inflates from the front.
pub(super) struct SequentialStream<D> {
    input: Arc<InputFile>,
    piece_bytes: usize,
    state: Mutex<State<D>>,
    /// Stored bytes without which the decoder will wait.
    wanted_to: AtomicU64,
}

impl<D: Decode> SequentialStream<D> {
    pub(super) fn new(input: Arc<InputFile>, piece_bytes: usize, decoder: D) -> Self {
        let state = Mutex::new(State { decoder, next_ordinal: 0, text_offset: 0, is_over: false });
        SequentialStream { input, piece_bytes: piece_bytes.max(1), state, wanted_to: AtomicU64::new(READ_BYTES as u64) }
    }

    /// Fills `text` up to the length of a piece, or to the end, or to the damage that is returned.
    fn fill(&self, state: &mut State<D>, text: &mut Vec<u8>) -> Option<Error> {
        text.resize(self.piece_bytes, 0);
        let mut filled = 0;
        let damage = loop {
            if filled == text.len() {
                break None;
            }
            // The decoder is not used again after a panic, so it may be left in any state.
            let step = catch_unwind(AssertUnwindSafe(|| state.decoder.read(&mut text[filled..])));
            let failure = match step {
                Ok(Ok(0)) => {
                    state.is_over = true;
                    break None;
                }
                Ok(Ok(count)) => {
                    filled += count;
                    continue;
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => "the file ends too early".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the decoder gave up".to_owned(),
            };
            state.is_over = true;
            let stored = state.decoder.stored();
            let at = stored.as_ref().map_or(self.input.length(), |stored| stored.at_byte());
            break Some(stored.and_then(|stored| stored.error.take()).unwrap_or_else(|| {
                self.input
                    .damage(at, format!("the {} data are damaged or cut before this byte: {failure}", D::FORMAT))
                    .hint("copy or download the file again")
            }));
        };
        text.truncate(filled);
        damage
    }
}

impl<D: Decode> TextStream for SequentialStream<D> {
    fn next(&self, scratch: &mut Scratch, wait: bool) -> Result<Next> {
        if !self.input.is_ready(self.wanted_to.load(Ordering::Relaxed), PATIENCE) {
            return Ok(Next::Busy);
        }
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) if !wait => return Ok(Next::Busy),
            Err(TryLockError::WouldBlock) => self.state.lock().unwrap_or_else(PoisonError::into_inner),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        if state.is_over {
            return Ok(Next::End);
        }
        let mut text = scratch.spare_text.pop().unwrap_or_default();
        let stored_before = state.at_byte();
        let damage = self.fill(&mut state, &mut text);
        if text.is_empty() && damage.is_none() {
            scratch.spare_text.push(text);
            return Ok(Next::End);
        }
        self.wanted_to.store(state.at_byte() + READ_BYTES as u64, Ordering::Relaxed);
        let piece = Piece {
            ordinal: state.next_ordinal,
            cells: vec![Cell { at: 0, base: state.text_offset }],
            claim: Box::new(()),
            damage,
            stored_bytes: state.at_byte().saturating_sub(stored_before),
            text,
        };
        state.next_ordinal += 1;
        state.text_offset += piece.text.len() as u64;
        Ok(Next::Piece(piece))
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        piece.damage.take().map_or(Ok(false), Err)
    }

    fn finish(&self) -> Result<Option<String>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.decoder.warning().map(|warning| format!("{}: {warning}", self.input.name())))
    }
}
