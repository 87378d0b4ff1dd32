//! Units of a file (members, frames, blocks) that workers decode apart from each other, put back into order.
//!
//! Units are taken from the front of the file in *runs*; a run has a slot in a queue from when it is cut until its
//! text has been handed out. Text leaves at the front only, so pieces come in order whoever decoded them.

#[cfg(test)]
mod tests;

use super::Scratch;
use super::sequential::Decode;
use crate::memory::{Budget, Reservation};
use crate::panics::caught;
use crate::source::input::InputCounters;
use std::collections::VecDeque;
use std::sync::Arc;

/// Units with a longer text are decoded in order, piece by piece: apart from the others their text is held whole.
pub(super) const MAX_TEXT_APART: usize = 64 << 20;
/// No further run is cut while the runs of all files that are read together hold so much text.
const READ_AHEAD_BYTES: u64 = 96 << 20;

/// Of the memory limit, one run may take a sixteenth, and all runs an eighth.
const SHARES: [usize; 2] = [16, 8];

/// A run of whole units, with no more than [`Ahead::most_text`] bytes of text.
pub(super) struct Units {
    pub(super) stored: Vec<u8>,
    pub(super) units: Vec<Unit>,
    /// Stored bytes that the run accounts for.
    pub(super) file_bytes: u64,
}

impl Units {
    /// The stored bytes of the last unit.
    pub(super) fn last_stored(&self) -> Option<&[u8]> {
        let start = self.units.len().checked_sub(2).and_then(|at| self.units.get(at)).map_or(0, |unit| unit.end);
        self.stored.get(start..)
    }
}

/// A unit of a run.
pub(super) struct Unit {
    /// Where it starts in the file.
    pub(super) at_byte: u64,
    /// Where it ends in [`Units::stored`]; the next one starts there.
    pub(super) end: usize,
    /// Its text is not longer, if it is what it seems.
    pub(super) text_bytes: usize,
}

/// The text of a run.
pub(super) struct Decoded {
    text: Vec<u8>,
    /// The unit that could not be decoded, where the text ends; `None` when all could.
    failed_at: Option<u64>,
}

impl Decoded {
    /// Whether all units could be decoded.
    pub(super) fn is_whole(&self) -> bool {
        self.failed_at.is_none()
    }
}

/// Decodes units until one fails.
pub(super) fn decode_units<D: Decode>(run: &Units, scratch: &mut Scratch) -> Decoded {
    let mut text = scratch.spare_text.pop().unwrap_or_default();
    text.clear();
    let mut start = 0;
    for unit in &run.units {
        let good_to = text.len();
        let stored = run.stored.get(start..unit.end).unwrap_or_default();
        let decoded = caught(|| D::decode_apart(stored, unit.text_bytes, scratch, &mut text));
        if decoded.is_err() {
            // What a panic left of the decoder is not used again.
            scratch.decoder = None;
        }
        if !matches!(decoded, Ok(true)) {
            text.truncate(good_to);
            return Decoded { text, failed_at: Some(unit.at_byte) };
        }
        start = unit.end;
    }
    Decoded { text, failed_at: None }
}

enum Work {
    /// Cut, and nobody is at work on it yet.
    Waiting(Units),
    Taken,
    Done(Decoded),
}

struct Slot {
    id: u64,
    work: Work,
    /// How much of the text has been handed out.
    used: usize,
    /// Where the run starts in the file.
    at_byte: u64,
    /// Stored bytes not accounted for yet.
    file_bytes: u64,
    /// What the slot holds, as the counters know it.
    booked: u64,
    /// And as the account of the run does.
    held_bytes: usize,
}

/// What stands at the front of the queue.
pub(super) enum Front {
    /// The queue is empty.
    None,
    /// The first run is being decoded, or is about to be.
    Taken,
    /// Text to hand out.
    Text,
    /// The first run's text has been handed out up to this unit, which must be decoded in order.
    Failed {
        /// Where the unit starts in the file.
        at_byte: u64,
    },
}

/// The queue of runs.
pub(super) struct Ahead {
    slots: VecDeque<Slot>,
    next_id: u64,
    counters: Arc<InputCounters>,
    limit_bytes: usize,
    /// For what all slots hold.
    reservation: Reservation,
}

impl Ahead {
    pub(super) fn new(counters: Arc<InputCounters>, budget: &Budget) -> Self {
        let (limit_bytes, reservation) = (budget.limit_bytes(), budget.reservation("decompressing ahead"));
        Ahead { slots: VecDeque::new(), next_id: 0, counters, limit_bytes, reservation }
    }

    /// The most text of a run.
    pub(super) fn most_text(&self) -> usize {
        MAX_TEXT_APART.min(self.limit_bytes / SHARES[0])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether one more run may be cut. A file without any always may, so that no file waits for others.
    pub(super) fn has_room(&self) -> bool {
        let most = READ_AHEAD_BYTES.min((self.limit_bytes / SHARES[1]) as u64);
        self.slots.is_empty() || self.counters.ahead() < most
    }

    /// Whether there is memory for a run, its stored bytes and its text; if so, it is taken.
    pub(super) fn admits(&mut self, units: &Units) -> bool {
        let bytes = units.stored.capacity() + units.units.iter().map(|unit| unit.text_bytes).sum::<usize>();
        self.reservation.resize(self.reservation.bytes().saturating_add(bytes)).is_ok()
    }

    /// Takes in a run that whoever asks for is to decode: returned with the id to settle it by.
    pub(super) fn put(&mut self, units: Units) -> (u64, Units) {
        self.push(&units, Work::Taken);
        (self.next_id - 1, units)
    }

    /// Takes in a run that [`Ahead::take_waiting`] gives to the next who asks.
    pub(super) fn put_waiting(&mut self, units: Units) {
        self.push(&units, Work::Taken);
        if let Some(slot) = self.slots.back_mut() {
            slot.work = Work::Waiting(units);
        }
    }

    fn push(&mut self, units: &Units, work: Work) {
        let booked = units.units.iter().map(|unit| unit.text_bytes.min(MAX_TEXT_APART) as u64).sum();
        self.counters.book_ahead(booked);
        let held_bytes = units.stored.capacity() + booked as usize;
        let at_byte = units.units.first().map_or(0, |unit| unit.at_byte);
        self.slots.push_back(Slot {
            id: self.next_id,
            work,
            used: 0,
            at_byte,
            file_bytes: units.file_bytes,
            booked,
            held_bytes,
        });
        self.next_id += 1;
    }

    pub(super) fn take_waiting(&mut self) -> Option<(u64, Units)> {
        // A run waits only while it is alone.
        let slot = self.slots.front_mut()?;
        match std::mem::replace(&mut slot.work, Work::Taken) {
            Work::Waiting(units) => Some((slot.id, units)),
            other => {
                slot.work = other;
                None
            }
        }
    }

    /// Where the run that waits starts in the file.
    pub(super) fn waiting_at(&self) -> Option<u64> {
        match &self.slots.front()?.work {
            Work::Waiting(units) => units.units.first().map(|unit| unit.at_byte),
            _ => None,
        }
    }

    /// Takes in the text of a run; that of one that has been cleared away meanwhile is dropped.
    pub(super) fn settle(&mut self, id: u64, decoded: Decoded) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) {
            let booked = decoded.text.len() as u64;
            self.counters.give_back_ahead(slot.booked);
            self.counters.book_ahead(booked);
            slot.booked = booked;
            slot.held_bytes = decoded.text.capacity();
            if let Some(failed_at) = decoded.failed_at {
                slot.file_bytes = failed_at.saturating_sub(slot.at_byte);
            }
            slot.work = Work::Done(decoded);
        }
        self.settle_account();
    }

    /// Gives back what is held no more; should a text be longer than it seemed, it is there all the same.
    fn settle_account(&mut self) {
        let held = self.slots.iter().map(|slot| slot.held_bytes).sum();
        let _ = self.reservation.resize(held);
    }

    /// Looks at the front; runs that have been handed out whole are dropped.
    pub(super) fn front(&mut self) -> Front {
        loop {
            let Some(slot) = self.slots.front() else { return Front::None };
            let Work::Done(decoded) = &slot.work else { return Front::Taken };
            if slot.used < decoded.text.len() {
                return Front::Text;
            }
            if let Some(at_byte) = decoded.failed_at {
                return Front::Failed { at_byte };
            }
            self.pop();
        }
    }

    /// Takes about `piece_bytes` of the text at the front, and the stored bytes that it accounts for.
    pub(super) fn cut(&mut self, piece_bytes: usize, spare: &mut Vec<Vec<u8>>) -> (Vec<u8>, u64) {
        let Some(Slot { work: Work::Done(decoded), used, file_bytes, .. }) = self.slots.front_mut() else {
            return (Vec::new(), 0);
        };
        let rest = &decoded.text[*used..];
        // The last piece of a run may be half as long again, rather than be followed by a short one.
        let is_last = rest.len() <= piece_bytes.saturating_add(piece_bytes / 2);
        let stored_bytes = std::mem::take(file_bytes);
        if is_last && *used == 0 {
            return (std::mem::take(&mut decoded.text), stored_bytes);
        }
        let count = if is_last { rest.len() } else { piece_bytes };
        let mut text = spare.pop().unwrap_or_default();
        text.clear();
        text.extend_from_slice(&rest[..count]);
        *used += count;
        (text, stored_bytes)
    }

    /// Drops all runs; those in work are not waited for.
    pub(super) fn clear(&mut self) {
        while !self.slots.is_empty() {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.counters.give_back_ahead(slot.booked);
        }
        self.settle_account();
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.clear();
    }
}
