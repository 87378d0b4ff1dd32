//! Text in an encoding in which ASCII bytes may mean something else, as UTF-8: a layer over any stream of text.
//!
//! Whether a byte starts a character is known only from the front (ISO-2022-JP shifts, UTF-16 pairs that straddle
//! pieces), so pieces are transcoded in order. The pieces themselves come from all workers in parallel: who brings one
//! that is not due yet leaves it for the worker that brings the one before.

use super::text_encoding::{InvalidText, TextEncoding};
use super::{Cell, Next, Piece, Scratch, TextStream};
use crate::error::{Error, ErrorKind, Result};
use crate::source::input::InputFile;
use encoding_rs::{Decoder, DecoderResult};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pieces that may wait for the one before them.
const MAX_PENDING: usize = 16;
/// How long a worker waits for the piece that is due before it looks whether it shall stop.
const PATIENCE: Duration = Duration::from_millis(50);
const REPLACEMENT: &str = "\u{FFFD}";

/// A stream of text in UTF-8, made of one in another encoding.
pub(super) struct Transcoded {
    stream: Box<dyn TextStream>,
    input: Arc<InputFile>,
    encoding: TextEncoding,
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    decoder: Decoder,
    /// The piece that is due.
    next: u64,
    pending: BTreeMap<u64, Piece>,
    /// Calls for pieces under way.
    calls: usize,
    has_ended: bool,
    is_over: bool,
    next_ordinal: u64,
    /// Bytes in, bytes out, and lines out.
    bytes_in: u64,
    bytes_out: u64,
    lines: u64,
    replaced: u64,
}

impl Transcoded {
    pub(super) fn new(stream: Box<dyn TextStream>, input: Arc<InputFile>, encoding: TextEncoding) -> Self {
        let state = State {
            decoder: encoding.encoding.new_decoder_with_bom_removal(),
            next: 0,
            pending: BTreeMap::new(),
            calls: 0,
            has_ended: false,
            is_over: false,
            next_ordinal: 0,
            bytes_in: 0,
            bytes_out: 0,
            lines: 0,
            replaced: 0,
        };
        Transcoded { stream, input, encoding, state: Mutex::new(state), moved: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Transcodes the piece that is due.
    fn transcode(&self, state: &mut State, mut piece: Piece, scratch: &mut Scratch) -> Piece {
        let damage = self.stream.confirm(&mut piece).err();
        let mut text = scratch.spare_text.pop().unwrap_or_default();
        let invalid = self.decode(state, &piece.text, &mut text, false);
        scratch.spare_text.push(piece.text);
        state.next += 1;
        let damage = invalid.or(damage);
        state.is_over |= damage.is_some();
        state.hand_out(text, damage, piece.stored_bytes)
    }

    /// Appends what `bytes` mean to `text`, which is emptied first; the error of bytes that mean nothing, unless they
    /// are replaced.
    fn decode(&self, state: &mut State, mut bytes: &[u8], text: &mut Vec<u8>, is_last: bool) -> Option<Error> {
        text.clear();
        loop {
            let room = state.decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
            let written = text.len();
            text.resize(written + room.max(REPLACEMENT.len()), 0);
            let (result, read, fresh) =
                state.decoder.decode_to_utf8_without_replacement(bytes, &mut text[written..], is_last);
            text.truncate(written + fresh);
            bytes = &bytes[read..];
            state.bytes_in += read as u64;
            match result {
                DecoderResult::InputEmpty => return None,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, _) if self.encoding.invalid == InvalidText::Replace => {
                    state.replaced += 1;
                    text.extend_from_slice(REPLACEMENT.as_bytes());
                }
                DecoderResult::Malformed(bad, behind) => {
                    let at = state.bytes_in.saturating_sub(u64::from(bad) + u64::from(behind));
                    return Some(self.invalid(at, state.lines + newlines(text) + 1));
                }
            }
        }
    }

    fn invalid(&self, at: u64, line: u64) -> Error {
        let name = self.encoding.encoding.name();
        let message = format!(
            "the bytes here are no {name}, the encoding that was declared (bytes are counted before it is decoded)"
        );
        self.input
            .error(ErrorKind::Malformed, message)
            .with_place(|place| {
                place.line = Some(line);
                place.byte = Some(at);
            })
            .hint("is --encoding right? without it the encoding is told by the byte order mark, and what does not fit is replaced")
    }
}

impl State {
    fn hand_out(&mut self, text: Vec<u8>, damage: Option<Error>, stored_bytes: u64) -> Piece {
        let piece = Piece {
            ordinal: self.next_ordinal,
            cells: vec![Cell { at: 0, base: self.bytes_out }],
            claim: Box::new(()),
            damage,
            stored_bytes,
            text,
        };
        self.next_ordinal += 1;
        self.bytes_out += piece.text.len() as u64;
        self.lines += newlines(&piece.text);
        piece
    }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

impl TextStream for Transcoded {
    fn next(&self, scratch: &mut Scratch, wait: bool) -> Result<Next> {
        loop {
            let mut state = self.state();
            if state.is_over {
                return Ok(Next::End);
            }
            let due = state.next;
            if let Some(piece) = state.pending.remove(&due) {
                let piece = self.transcode(&mut state, piece, scratch);
                drop(state);
                self.moved.notify_all();
                return Ok(Next::Piece(piece));
            }
            if state.has_ended && state.calls == 0 {
                state.is_over = true;
                let mut text = scratch.spare_text.pop().unwrap_or_default();
                let damage = self.decode(&mut state, &[], &mut text, true);
                if text.is_empty() && damage.is_none() {
                    return Ok(Next::End);
                }
                return Ok(Next::Piece(state.hand_out(text, damage, 0)));
            }
            if state.has_ended || state.pending.len() >= MAX_PENDING {
                if wait {
                    drop(self.moved.wait_timeout(state, PATIENCE));
                }
                return Ok(Next::Busy);
            }
            state.calls += 1;
            drop(state);
            let next = self.stream.next(scratch, wait);
            let mut state = self.state();
            state.calls -= 1;
            match next {
                Ok(Next::Piece(piece)) => {
                    state.pending.insert(piece.ordinal, piece);
                }
                Ok(Next::End) => state.has_ended = true,
                busy_or_failed => return busy_or_failed,
            }
            drop(state);
            self.moved.notify_all();
        }
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        piece.damage.take().map_or(Ok(false), Err)
    }

    fn finish(&self) -> Result<Option<String>> {
        let warning = self.stream.finish()?;
        let replaced = self.state().replaced;
        let replaced = (replaced > 0).then(|| {
            let (file, name) = (self.input.name(), self.encoding.encoding.name());
            let sequences = match replaced {
                1 => "1 sequence of bytes is no".to_owned(),
                more => format!("{more} sequences of bytes are no"),
            };
            let were = if replaced == 1 { "was" } else { "were" };
            format!("{file}: {sequences} {name} and {were} read as {REPLACEMENT}")
        });
        Ok(super::joined(warning, replaced))
    }
}
