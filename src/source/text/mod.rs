//! What all formats of text have in common: pieces read by many workers, committed file by file in input order.
//!
//! **Problem.** A piece of text begins and ends anywhere, even amid a record; where a record begins is certain only once
//! everything before it is known, yet nobody shall wait for that.
//! **Idea.** [`TextScan`] takes pieces from the streams of its files, and each is read from where its format takes the
//! first record to begin. A [`Chain`] a file then commits them in order: the text before that place, behind what the
//! piece before left over (the *carry*), must be complete records; if so the piece counts as read. Otherwise carry and
//! piece are read again from the carry's start, which is certain. What a format brings is a [`TextReader`].
//! **Invariants.** Every record is told of once, at its place; what is told does not depend on cuts, workers or the order
//! of commits; a record that spans many pieces costs time in proportion to its length; files advance independently.

mod chain;
mod inputs;
mod look;
mod partitions;
mod place;
mod scan;

pub(super) use chain::Joint;
#[cfg(test)]
pub(super) use chain::{Chain, PieceRead};
pub(crate) use inputs::TextInputs;
pub(super) use look::look_at_all;
pub(super) use partitions::{described, partitions};
pub(super) use place::{Before, Told};
pub(super) use scan::{FilePlan, TextScan};

use super::decompress::Cell;
use super::{Committed, Reject, ScanScratch, SourceBatch};
use crate::error::Result;
use std::sync::Arc;

/// Records may not be longer, whatever is asked for: offsets are 32 bits wide.
pub(super) const MAX_RECORD_BYTES: usize = 1 << 29;

/// What a format makes of the text of one file.
pub(super) trait TextReader: Send + Sync + 'static {
    /// What is kept of a file from commit to commit.
    type State: Default + Send;
    /// What a reading tells besides rows and records set aside.
    type Notes: Default + Send;
    /// What must be known of the text before a text to find its records again.
    type Mark: Copy + Default + Send;

    /// Ordinal of the file.
    fn file(&self) -> u32;

    /// What the rows of so much text may take in memory, with what is made of them until they are absorbed.
    fn rows_bytes(&self, text_bytes: usize) -> usize;

    /// The byte that ends lines.
    fn line_end(&self) -> u8;

    /// Where the first record starts in a text that begins anywhere; a guess. `None` when none does.
    fn first_record(&self, text: &[u8]) -> Option<usize>;

    /// Reads the complete records of a piece from `start` on, taking that for a record's start. Where it cannot go on
    /// without what precedes the piece, it stops.
    fn read(&self, text: &[u8], start: usize, cells: &[Cell], scratch: &mut ScanScratch) -> Result<ReadText<Self>>;

    /// Reads text that is certain to begin with a record, and stands behind `bytes_before` of its file.
    fn read_certain(
        &self,
        state: &mut Self::State,
        text: &[u8],
        cells: &[Cell],
        bytes_before: u64,
        at_end: bool,
    ) -> Result<ReadText<Self>>;

    /// Whether the carry and the text before the guess are complete records, and if so which.
    fn between(&self, state: &mut Self::State, joint: &Joint<'_>) -> Result<Between<Self>>;

    /// Whether so much more text is no reason yet to look at the carry again, of which `looked_at` bytes are known not to
    /// be a complete record.
    fn waits(&self, state: &Self::State, carry_bytes: usize, looked_at: usize, more: &[u8]) -> bool;

    /// What is needed to find records again in text that is read now.
    fn mark(&self, state: &Self::State) -> Self::Mark;

    /// The message and the remedy for a record longer than the limit: one that was met, or a carry of so many bytes.
    fn too_long(&self, was_met: bool, carry_bytes: usize) -> Option<(String, &'static str)>;

    /// Tells what was noted, in `committed` or at the end of the file. `told` begins behind `before`.
    fn tell(
        &self,
        state: &mut Self::State,
        notes: Self::Notes,
        told: &Told<Self::Mark>,
        before: &Before,
        committed: &mut Committed,
    );

    /// What the user should know of the whole file.
    fn last_warning(&self, _state: &mut Self::State) -> Option<String> {
        None
    }

    /// Records between the start of a text that stands behind `before` and `offset`, a record's start.
    fn records_until(&self, told: &Told<Self::Mark>, before: &Before, offset: usize) -> u64;

    /// Where the record that starts at `offset` ends, its line end excluded.
    fn end_of_record(&self, text: &[u8], offset: usize) -> usize;
}

/// What reading a text came to.
pub(super) struct ReadText<R: TextReader + ?Sized> {
    pub(super) batches: Vec<SourceBatch>,
    /// Offset behind the last complete record.
    pub(super) tail: usize,
    /// Records in batches, or turned away by the filter.
    pub(super) records: u64,
    /// Line ends between the start and the tail.
    pub(super) newlines: u64,
    /// What stands at the tail, if it is malformed and that is an error.
    pub(super) malformed: Option<Flaw>,
    /// What stands at the tail is longer than a record may be, and that is an error or was not to be dealt with.
    pub(super) too_long: bool,
    /// Records set aside; bytes and lines are the numbers of those between the start and the record.
    pub(super) rejects: Vec<Reject>,
    /// Why, by the numbers that the rejects name.
    pub(super) reasons: Vec<Arc<str>>,
    pub(super) notes: R::Notes,
}

impl<R: TextReader + ?Sized> ReadText<R> {
    /// Nothing read yet.
    pub(super) fn from(start: usize) -> Self {
        ReadText {
            batches: Vec::new(),
            tail: start,
            records: 0,
            newlines: 0,
            malformed: None,
            too_long: false,
            rejects: Vec::new(),
            reasons: Vec::new(),
            notes: R::Notes::default(),
        }
    }
}

/// What is wrong with a malformed record.
pub(super) struct Flaw {
    /// Offset in the text.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Answer of [`TextReader::between`].
pub(super) enum Between<R: TextReader + ?Sized> {
    /// The guess was wrong, or cannot be confirmed.
    Wrong,
    /// It was right, and nothing stands before it.
    Nothing,
    /// It was right: this text stands before it, and was read.
    Text(Vec<u8>, Vec<Cell>, ReadText<R>),
}

/// Number of line ends in a text, those in quotes included.
pub(super) fn count_line_ends(text: &[u8], line_end: u8) -> u64 {
    memchr::memchr_iter(line_end, text).count() as u64
}
