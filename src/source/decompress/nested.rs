//! Compression inside compression, and what is asked of every file whatever its layers are.
//!
//! The text of the outer compression is pulled in order into an [`InputFile`] that is made while it is read, and the
//! inner format reads that like any other file: from anywhere, in parallel.

use super::text_file::TextFile;
use super::{Next, Piece, Scratch, TextStream, joined};
use crate::error::{Error, Result};
use crate::source::input::{InputFile, Pull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Compressions around a text, at most.
pub(super) const MAX_LAYERS: usize = 3;

/// Text of the outer compression taken at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The text of `outer` as an input, and how many stored bytes were read for it.
pub(super) fn inside(outer: TextFile) -> (InputFile, Arc<AtomicU64>) {
    let done = Arc::new(AtomicU64::new(0));
    let (name, counters) = (Arc::clone(outer.input().name()), Arc::clone(outer.input().counters()));
    let told = Arc::clone(&done);
    let maker = move || -> Result<Box<dyn Pull>> {
        told.store(0, Ordering::Relaxed);
        let stream = outer.open_stream(PIECE_BYTES)?;
        let told = Arc::clone(&told);
        Ok(Box::new(InOrder { stream, scratch: Scratch::default(), told, damage: None, warning: None }))
    };
    (InputFile::made(name, counters, Box::new(maker)), done)
}

/// A stream of text, front to back.
struct InOrder {
    stream: Box<dyn TextStream>,
    scratch: Scratch,
    told: Arc<AtomicU64>,
    /// Follows what has been pulled.
    damage: Option<Error>,
    warning: Option<String>,
}

impl Pull for InOrder {
    fn pull(&mut self, into: &mut Vec<u8>) -> Result<()> {
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        while into.is_empty() {
            match self.stream.next(&mut self.scratch, true)? {
                Next::Piece(mut piece) => {
                    self.damage = self.stream.confirm(&mut piece).err();
                    self.told.fetch_add(piece.stored_bytes, Ordering::Relaxed);
                    std::mem::swap(into, &mut piece.text);
                    self.scratch.spare_text.push(piece.text);
                    if let Some(damage) = self.damage.take_if(|_| into.is_empty()) {
                        return Err(damage);
                    }
                }
                Next::Busy => std::thread::yield_now(),
                Next::End => {
                    self.warning = self.stream.finish()?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }
}

/// A stream of text together with what became of the input it is read from.
pub(super) struct Watched {
    stream: Box<dyn TextStream>,
    input: Arc<InputFile>,
    /// Stored bytes of the outermost file that were read, where that is not `input`.
    done: Option<Arc<AtomicU64>>,
    told: AtomicU64,
}

impl Watched {
    pub(super) fn new(stream: Box<dyn TextStream>, input: Arc<InputFile>, done: Option<Arc<AtomicU64>>) -> Self {
        Watched { stream, input, done, told: AtomicU64::new(0) }
    }

    /// What a decoder takes for damage may be the end of a stream that broke off.
    fn cause(&self, error: Error) -> Error {
        self.input.failure().unwrap_or(error)
    }
}

impl TextStream for Watched {
    fn next(&self, scratch: &mut Scratch, wait: bool) -> Result<Next> {
        let mut next = self.stream.next(scratch, wait).map_err(|error| self.cause(error))?;
        if let (Next::Piece(piece), Some(done)) = (&mut next, &self.done) {
            let now = done.load(Ordering::Relaxed);
            piece.stored_bytes = now.saturating_sub(self.told.fetch_max(now, Ordering::Relaxed));
        }
        Ok(next)
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        self.stream.confirm(piece).map_err(|error| self.cause(error))
    }

    fn finish(&self) -> Result<Option<String>> {
        let warning = self.stream.finish().map_err(|error| self.cause(error))?;
        // Reads the end of a stream, and what it has to tell.
        self.input.length();
        match self.input.failure() {
            Some(error) => Err(error),
            None => Ok(joined(warning, self.input.warning())),
        }
    }
}
