//! Text that is not compressed: cut anywhere, on a fixed grid, so every piece stands on the chain by nature.

use super::{Cell, Next, Piece, Scratch, TextStream};
use crate::error::Result;
use crate::source::input::InputFile;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a worker waits for a slow pipe before it looks whether it shall stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// A plain file in pieces of equal size.
pub(super) struct PlainStream {
    input: Arc<InputFile>,
    piece_bytes: u64,
    next_ordinal: AtomicU64,
    /// Of all pieces; when it reaches the length, no read is under way or to come.
    bytes_read: AtomicU64,
}

impl PlainStream {
    pub(super) fn new(input: Arc<InputFile>, piece_bytes: usize) -> Self {
        let piece_bytes = piece_bytes.max(1) as u64;
        PlainStream { input, piece_bytes, next_ordinal: AtomicU64::new(0), bytes_read: AtomicU64::new(0) }
    }
}

impl TextStream for PlainStream {
    fn next(&self, scratch: &mut Scratch, _wait: bool) -> Result<Next> {
        let mut ordinal = self.next_ordinal.load(Ordering::Relaxed);
        loop {
            if !self.input.is_ready(ordinal.saturating_add(1).saturating_mul(self.piece_bytes), PATIENCE) {
                return Ok(Next::Busy);
            }
            // Taken only once it has come: who waited inside could not be stopped.
            let taken =
                self.next_ordinal.compare_exchange_weak(ordinal, ordinal + 1, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => break,
                Err(now) => ordinal = now,
            }
        }
        let at = ordinal.saturating_mul(self.piece_bytes);
        let count = self.input.available(at, usize::try_from(self.piece_bytes).unwrap_or(usize::MAX))?;
        if count == 0 {
            return Ok(Next::End);
        }
        let mut text = scratch.spare_text.pop().unwrap_or_default();
        text.resize(count, 0);
        self.input.read_at(at, &mut text)?;
        let bytes = count as u64;
        if at == 0 {
            self.input.release_head_before(bytes);
        }
        if self.bytes_read.fetch_add(bytes, Ordering::Relaxed) + bytes == self.input.known_length().unwrap_or(u64::MAX)
        {
            self.input.close();
        }
        let cells = vec![Cell { at: 0, base: at }];
        Ok(Next::Piece(Piece { ordinal, text, cells, claim: Box::new(()), damage: None, stored_bytes: bytes }))
    }

    fn confirm(&self, _piece: &mut Piece) -> Result<bool> {
        Ok(false)
    }

    fn finish(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl Drop for PlainStream {
    fn drop(&mut self) {
        self.input.close();
    }
}
