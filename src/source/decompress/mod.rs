//! From stored bytes to text, one file at a time, on many threads.
//!
//! **Problem.** A bzip2 file has independent blocks at unaligned bit positions that can only be guessed from a magic
//! number; plain text can be cut anywhere; gzip, zstd, xz and lz4 inflate from the front, but for files of many members,
//! frames or blocks. The reader above wants one thing:
//! pieces of text in order, produced in parallel.
//! **Idea.** A [`TextStream`] hands out *pieces*. Any worker may call [`TextStream::next`] at any time and gets a
//! piece with an ordinal: its text is *provisional*. Pieces are then confirmed one by one, in ordinal order, by
//! [`TextStream::confirm`], which knows where the piece before ended and so tells truth from a lucky guess.
//! **Invariants.** Confirmed pieces, concatenated, are exactly the decompressed file; an error is reported only from
//! `confirm`, `finish`, or, for failing reads, `next`; no piece is lost or repeated; text is bounded in size.

mod ahead;
mod bzip2;
mod cells;
mod format;
mod gzip;
mod lz4;
mod needs;
mod nested;
mod plain;
mod sequential;
mod stored_reader;
mod text_encoding;
mod text_file;
mod trailing;
mod transcode;
mod xz;
mod zstd;

#[cfg(test)]
mod layer_tests;
#[cfg(test)]
mod tests;

pub use cells::Cell;
pub(crate) use cells::{cells_within, positions_of};
pub use format::Format;
pub use text_encoding::{InvalidText, TextOptions};
pub use text_file::{TextFile, TextSample};

use crate::error::{Error, Result};
use std::any::Any;

/// A piece of decompressed text, provisional until confirmed.
#[derive(Debug)]
pub struct Piece {
    /// 0, 1, 2… within the file, in text order, without gaps.
    pub ordinal: u64,
    /// The text; may be empty.
    pub text: Vec<u8>,
    /// Where the row positions of this text start anew, ascending by `at`; the first has `at == 0`.
    pub cells: Vec<Cell>,
    /// What the codec needs to confirm the piece.
    pub claim: Box<dyn Any + Send>,
    /// The text ends early because of this damage; reported only if the piece is confirmed to stand on the chain.
    pub damage: Option<Error>,
    /// Stored bytes that this piece accounts for, for progress.
    pub stored_bytes: u64,
}

/// What [`TextStream::next`] has to offer.
#[derive(Debug)]
pub enum Next {
    /// A piece to work on.
    Piece(Piece),
    /// Another worker is inside the sequential decoder, and `wait` was false.
    Busy,
    /// All pieces have been handed out (they may not all be confirmed yet).
    End,
}

/// Scratch memory of one worker, kept from piece to piece. Each codec keeps its own kind in it.
#[derive(Default)]
pub struct Scratch {
    /// Decoder state of whichever codec ran last on this worker.
    pub decoder: Option<Box<dyn Any + Send>>,
    /// Spent text buffers, for reuse, the largest last.
    pub spare_text: Vec<Vec<u8>>,
    /// What a decoder that works beside others may take; `None`: what is usual.
    pub(crate) decoder_bytes: Option<usize>,
    /// How many spent text buffers are kept; `None`: a few.
    pub(crate) spare_texts: Option<usize>,
}

/// Spent text buffers that a worker keeps where memory is not scarce.
const SPARE_TEXTS: usize = 4;

impl Scratch {
    /// Keeps a spent text buffer, if it is one of the largest. What lies between two pieces is short, and would else
    /// push out what the next piece fits in.
    pub(crate) fn recycle(&mut self, text: Vec<u8>) {
        let at = self.spare_text.partition_point(|spare| spare.capacity() <= text.capacity());
        self.spare_text.insert(at, text);
        while self.spare_text.len() > self.spare_texts.unwrap_or(SPARE_TEXTS) {
            self.spare_text.remove(0);
        }
    }
}

/// One file's text, produced in parallel and confirmed in order.
pub trait TextStream: Send + Sync {
    /// The next piece; `wait` says whether to wait for a sequential decoder that is in use.
    ///
    /// # Errors
    /// Reading the file failed.
    fn next(&self, scratch: &mut Scratch, wait: bool) -> Result<Next>;

    /// Confirms the piece, called once a piece in ordinal order, from one thread at a time. May replace the text
    /// and cells (a wrong guess decoded anew); returns true when it did.
    ///
    /// # Errors
    /// The file is damaged here; the text before the damage is left in `piece`.
    fn confirm(&self, piece: &mut Piece) -> Result<bool>;

    /// Called after the last piece was confirmed: whether the stream ended as it should. Returns a warning when bytes
    /// after the end were ignored.
    ///
    /// # Errors
    /// The file is cut short.
    fn finish(&self) -> Result<Option<String>>;
}

/// Both warnings, one a line.
fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}\n{other}")),
        (one, other) => one.or(other),
    }
}
