//! Formats that inflate from the front: one decoder behind a lock, beside which other workers parse.
//!
//! Where a file has small units that stand alone, workers decode them ahead ([`super::ahead`]). That is an accelerator
//! and no more: a unit that does not decode to exactly what it should is decoded again from the front, in its turn, so
//! that text and errors are those of the decoder behind the lock, whatever the number of workers.

use super::ahead::{Ahead, Front, Units, decode_units};
use super::stored_reader::{READ_BYTES, StoredReader};
use super::{Cell, Next, Piece, Scratch, TextStream};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Budget;
use crate::panics::caught;
use crate::source::input::InputFile;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How long a worker waits for a slow pipe before it looks whether it shall stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// When units were looked for in vain, or did not decode apart, none are looked for in so many stored bytes behind: at
/// first, and at most. Else a file of many small units that are only good in order would take quadratic time.
const BACK_OFF_BYTES: [u64; 2] = [READ_BYTES as u64, 64 << 20];

/// What a call of [`Decode::read`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes of text, at least one.
    Text(usize),
    /// A member, frame or stream has ended; another may follow.
    UnitEnd,
    /// Nothing follows.
    End,
}

/// A decoder that gives text from the front to the back.
pub(super) trait Decode: Send {
    /// Name of the format, for messages.
    const FORMAT: &'static str;

    /// Decodes some bytes into `into`, which is not empty.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Step>;

    /// The stored file; `None` when a panic of the decoder has lost it.
    fn stored(&mut self) -> Option<&mut StoredReader>;

    /// A warning about what followed the last unit.
    fn warning(&self) -> Option<String>;

    /// Takes units that stand alone, of about `wanted_text` bytes of text in all and never more than `most_text`, if
    /// such follow; called at the beginning and behind the end of a unit.
    fn detach(&mut self, wanted_text: usize, most_text: usize) -> io::Result<Option<Units>> {
        let _ = (wanted_text, most_text);
        Ok(None)
    }

    /// Decodes one unit behind what `text` holds. False when anything at all is odd about it, or its text is longer
    /// than the `max_text` bytes that [`Decode::detach`] gave it; what has been added to `text` is void then.
    fn decode_apart(stored: &[u8], max_text: usize, scratch: &mut Scratch, text: &mut Vec<u8>) -> bool {
        let _ = (stored, max_text, scratch, text);
        false
    }

    /// Goes back to the unit at `at_byte`, which was detached; it is due for [`Decode::read`].
    fn restart(&mut self, at_byte: u64) {
        if let Some(stored) = self.stored() {
            stored.seek(at_byte);
        }
    }
}

struct State<D> {
    decoder: D,
    ahead: Ahead,
    /// Whether the decoder stands between units and has not been asked for some to be detached there.
    may_detach: bool,
    /// No units are looked for before this stored byte.
    detach_from: u64,
    back_off_bytes: u64,
    next_ordinal: u64,
    text_offset: u64,
    is_over: bool,
}

impl<D: Decode> State<D> {
    fn at_byte(&mut self) -> u64 {
        self.decoder.stored().map_or(0, |stored| stored.at_byte())
    }

    fn detach(&mut self, wanted_text: usize) -> Option<Units> {
        let at_byte = self.at_byte();
        if at_byte < self.detach_from {
            self.may_detach = false;
            return None;
        }
        let most_text = self.ahead.most_text();
        let mut detached = caught(|| self.decoder.detach(wanted_text, most_text));
        if let Ok(Ok(Some(units))) = &detached
            && !self.ahead.admits(units)
        {
            // They are decoded in order, piece by piece.
            self.decoder.restart(at_byte);
            detached = Ok(Ok(None));
        }
        self.may_detach = matches!(detached, Ok(Ok(Some(_))));
        if !self.may_detach {
            self.back_off(at_byte);
        }
        match detached {
            Ok(Ok(units)) => units,
            _ => {
                self.back_off(at_byte);
                // Reading goes on in order and comes across the same trouble.
                if let Some(stored) = self.decoder.stored() {
                    stored.forget_error();
                }
                None
            }
        }
    }

    fn back_off(&mut self, at_byte: u64) {
        self.may_detach = false;
        self.detach_from = at_byte + self.back_off_bytes;
        self.back_off_bytes = BACK_OFF_BYTES[1].min(2 * self.back_off_bytes);
    }

    fn piece(&mut self, text: Vec<u8>, damage: Option<Error>, stored_bytes: u64) -> Piece {
        let cells = vec![Cell { at: 0, base: self.text_offset }];
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        self.text_offset += text.len() as u64;
        Piece { ordinal, text, cells, claim: Box::new(()), damage, stored_bytes }
    }
}

/// One file in a format that inflates from the front.
pub(super) struct SequentialStream<D> {
    input: Arc<InputFile>,
    piece_bytes: usize,
    state: Mutex<State<D>>,
    /// Units that were decoded apart have come in.
    settled: Condvar,
    works_ahead: bool,
    decoder_bytes: Option<usize>,
    /// Stored bytes without which the decoder will wait.
    wanted_to: AtomicU64,
}

impl<D: Decode> SequentialStream<D> {
    /// `works_ahead` says whether units that stand alone, if the file has such, are decoded apart; their decoders may
    /// take `decoder_bytes` each, if that is given.
    pub(super) fn new(
        input: Arc<InputFile>,
        piece_bytes: usize,
        works_ahead: bool,
        decoder: D,
        budget: &Budget,
        decoder_bytes: Option<usize>,
    ) -> Self {
        let state = State {
            decoder,
            ahead: Ahead::new(Arc::clone(input.counters()), budget),
            may_detach: works_ahead,
            detach_from: 0,
            back_off_bytes: BACK_OFF_BYTES[0],
            next_ordinal: 0,
            text_offset: 0,
            is_over: false,
        };
        SequentialStream {
            input,
            piece_bytes: piece_bytes.max(1),
            state: Mutex::new(state),
            settled: Condvar::new(),
            works_ahead,
            decoder_bytes,
            wanted_to: AtomicU64::new(READ_BYTES as u64),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills `text` up to the length of a piece, or to the end, to units that can be decoded apart, or to the damage
    /// that is returned.
    fn fill(&self, state: &mut State<D>, text: &mut Vec<u8>) -> Option<Error> {
        text.resize(self.piece_bytes, 0);
        let mut filled = 0;
        let damage = loop {
            if filled == text.len() {
                break None;
            }
            // The decoder is not used again after a panic, so it may be left in any state.
            let step = caught(|| state.decoder.read(&mut text[filled..]));
            let failure = match step {
                Ok(Ok(Step::Text(count))) => {
                    filled += count;
                    continue;
                }
                Ok(Ok(Step::UnitEnd)) => {
                    if self.works_ahead
                        && let Some(units) = state.detach(self.piece_bytes)
                    {
                        state.ahead.put_waiting(units);
                        break None;
                    }
                    continue;
                }
                Ok(Ok(Step::End)) => {
                    state.is_over = true;
                    break None;
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(Err(error)) => Some(error),
                Err(_) => None,
            };
            state.is_over = true;
            break Some(self.damage(state, failure));
        };
        text.truncate(filled);
        damage
    }

    /// The error for a decoder that failed, or panicked.
    fn damage(&self, state: &mut State<D>, failure: Option<io::Error>) -> Error {
        let stored = state.decoder.stored();
        let at = stored.as_ref().map_or(self.input.length(), |stored| stored.at_byte());
        if let Some(error) = stored.and_then(StoredReader::take_error) {
            return error;
        }
        let (kind, what) = match failure {
            None => (ErrorKind::Malformed, "the decoder gave up".to_owned()),
            Some(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof => (ErrorKind::Malformed, "the file ends too early".to_owned()),
                io::ErrorKind::OutOfMemory => (ErrorKind::Limit, error.to_string()),
                io::ErrorKind::Unsupported => (ErrorKind::Unsupported, error.to_string()),
                _ => (ErrorKind::Malformed, error.to_string()),
            },
        };
        let (message, hint) = match kind {
            ErrorKind::Malformed => (
                format!("the {} data are damaged or cut before this byte: {what}", D::FORMAT),
                "copy or download the file again",
            ),
            _ => (what, "decompress the file with its own tool, or compress it anew with common settings"),
        };
        self.input.error(kind, message).with_place(|place| place.byte = Some(at)).hint(hint)
    }

    /// The next piece from the decoder behind the lock; `None` when it has come to units to be decoded apart, or to
    /// the end.
    fn next_in_order(&self, state: &mut State<D>, scratch: &mut Scratch) -> Option<Piece> {
        let mut text = scratch.spare_text.pop().unwrap_or_default();
        state.may_detach = false;
        let stored_before = state.at_byte();
        let damage = self.fill(state, &mut text);
        if text.is_empty() && damage.is_none() {
            scratch.spare_text.push(text);
            return None;
        }
        self.wanted_to.store(state.at_byte() + READ_BYTES as u64, Ordering::Relaxed);
        // Units that are waiting have been read, but account for their bytes themselves.
        let stored_to = state.ahead.waiting_at().unwrap_or_else(|| state.at_byte());
        Some(state.piece(text, damage, stored_to.saturating_sub(stored_before)))
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
            Err(TryLockError::WouldBlock) => self.lock(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        loop {
            match state.ahead.front() {
                Front::Text => {
                    let (text, stored_bytes) = state.ahead.cut(self.piece_bytes, &mut scratch.spare_text);
                    return Ok(Next::Piece(state.piece(text, None, stored_bytes)));
                }
                Front::Failed { at_byte } => {
                    state.ahead.clear();
                    state.decoder.restart(at_byte);
                    state.back_off(at_byte);
                    continue;
                }
                Front::None if state.is_over => return Ok(Next::End),
                Front::None | Front::Taken => {}
            }
            let mut work = state.ahead.take_waiting();
            if work.is_none() && state.may_detach && state.ahead.has_room() {
                work = state.detach(self.piece_bytes).map(|units| state.ahead.put(units));
            }
            if let Some((id, units)) = work {
                drop(state);
                scratch.decoder_bytes = self.decoder_bytes;
                let decoded = decode_units::<D>(&units, scratch);
                state = self.lock();
                if decoded.is_whole() {
                    state.back_off_bytes = BACK_OFF_BYTES[0];
                }
                state.ahead.settle(id, decoded);
                self.settled.notify_all();
            } else if state.ahead.is_empty() {
                if let Some(piece) = self.next_in_order(&mut state, scratch) {
                    return Ok(Next::Piece(piece));
                }
            } else if wait {
                state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                return Ok(Next::Busy);
            }
        }
    }

    fn confirm(&self, piece: &mut Piece) -> Result<bool> {
        piece.damage.take().map_or(Ok(false), Err)
    }

    fn finish(&self) -> Result<Option<String>> {
        let state = self.lock();
        Ok(state.decoder.warning().map(|warning| format!("{}: {warning}", self.input.name())))
    }
}
