//! Aggregates over frames.
//!
//! **Problem.** A frame moves, and states can take rows in but not give them back: an extreme has forgotten what came second.
//! **Idea.** A queue of two stacks. Rows at the end of the frame, the *back*, are in one state. Of the rows before them, the
//! *front*, there is a state for each suffix, so that the first row is dropped by going on to the next suffix; the answer is
//! the merge of a suffix and the back. When the front is used up, the rows of the frame become the front. Suffixes of all of
//! a long frame would be too many, so there is one at the end of each *block* of rows, and those within a block are made when
//! the frame begins there. A frame that begins with its partition never has a front.
//! **Invariant.** States merge exactly, so the answer does not depend on which rows are in the front, nor on whether rows are added
//! or their states merged. Each row is read four times at most.

use super::Evaluation;
use super::frame::Frames;
use super::piece::Place;
use super::rows::{Cursor, SortedRows};
use crate::aggregate::{Aggregate, GroupIds, GroupStates, Rows};
use crate::batch::RowOrigin;
use crate::error::Result;
use crate::memory::{Budget, Reservation};
use crate::plan::WindowColumn;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// The states of the rows of a block take about this at most.
const BLOCK_STATES_BYTES: usize = 256 << 10;
/// What states take is not asked for below this.
const UNASKED_BYTES: usize = 1 << 20;
/// It is looked at least so often what states take.
const LOOK_EVERY: usize = 64;
/// And after so many rows that are added.
pub(super) const LOOK_ROWS: usize = 1 << 16;
/// More rows are added at once.
const FEW_ROWS: usize = 8;

/// An aggregate of frames, one after the other.
pub(super) struct Sliding<'a> {
    states: StatesOf<'a>,
    frames: Frames<'a>,
    /// The frame before.
    last: Range<usize>,
    /// The rows of the back, and what they come to.
    rows: Range<usize>,
    back: Box<dyn GroupStates>,
    added: Cursor<'a>,
    singles: Singles<'a>,
    front: Option<Front<'a>>,
    /// Of the back and the front.
    memory: Memory,
    all: &'a SortedRows<'a>,
    block_rows: usize,
    /// States of results that take more are finished.
    most_bytes: usize,
}

/// What stays while a window is gone through.
pub(super) struct Memory(Reservation);

impl Memory {
    pub(super) fn of(budget: &Budget) -> Self {
        Memory(budget.reservation("windows"))
    }

    /// Holds so much.
    ///
    /// # Errors
    /// `Limit` without room for it, if it is worth asking for.
    pub(super) fn settle(&mut self, bytes: usize) -> Result<()> {
        match self.0.resize(bytes) {
            Err(refusal) if bytes > UNASKED_BYTES => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// Makes states, and adds rows to them.
#[derive(Clone, Copy)]
pub(super) struct StatesOf<'a> {
    aggregate: &'a Arc<dyn Aggregate>,
    types: &'a [DataType],
    columns: &'a [usize],
}

impl<'a> StatesOf<'a> {
    /// Of a call of this aggregate.
    pub(super) fn new(
        aggregate: &'a Arc<dyn Aggregate>,
        call: &'a WindowColumn,
        evaluation: &'a Evaluation<'_>,
    ) -> Self {
        StatesOf { aggregate, types: evaluation.types, columns: &call.arguments }
    }

    /// Empty states.
    pub(super) fn empty(&self, groups: usize) -> Result<Box<dyn GroupStates>> {
        let types: Vec<DataType> = self.columns.iter().map(|&column| self.types[column].clone()).collect();
        let mut states = self.aggregate.states(&types)?;
        states.grow(groups);
        Ok(states)
    }

    /// Adds rows to the only state.
    pub(super) fn add(&self, state: &mut dyn GroupStates, cursor: &mut Cursor<'_>, rows: Range<usize>) -> Result<()> {
        cursor.each(rows, |batch, within, first| {
            let groups = GroupIds::One(within.len());
            self.update(state, batch, within, first, groups)
        })
    }

    /// A state for each row.
    fn of_each(&self, cursor: &mut Cursor<'_>, rows: Range<usize>) -> Result<Box<dyn GroupStates>> {
        let mut states = self.empty(rows.len())?;
        cursor.each(rows.clone(), |batch, within, first| {
            let group = first - rows.start;
            let groups: Vec<u32> = (group..group + within.len()).map(|group| group as u32).collect();
            self.update(&mut *states, batch, within, first, GroupIds::Each(&groups))
        })?;
        Ok(states)
    }

    fn update(
        &self,
        states: &mut dyn GroupStates,
        batch: &RecordBatch,
        within: Range<usize>,
        first: usize,
        groups: GroupIds<'_>,
    ) -> Result<()> {
        let slice = |&column: &usize| batch.column(column).slice(within.start, within.len());
        let arguments: Vec<ArrayRef> = self.columns.iter().map(slice).collect();
        // Which row it is, is where it stands among the sorted ones.
        let origin = RowOrigin::consecutive(first as u64);
        states.update(&arguments, &Rows { groups, mask: None, origin: &origin })
    }
}

/// States of single rows, made of many at a time and merged one by one: adding rows one by one takes longer.
struct Singles<'a> {
    cursor: Cursor<'a>,
    rows: Range<usize>,
    states: Box<dyn GroupStates>,
}

impl Singles<'_> {
    /// Adds a row to the only state; rows behind it, up to `end`, may be next.
    fn add_to(&mut self, state: &mut dyn GroupStates, states: &StatesOf<'_>, row: usize, end: usize) -> Result<()> {
        if !self.rows.contains(&row) {
            self.states = states.of_each(&mut self.cursor, row..end)?;
            self.rows = row..end;
        }
        state.merge_some(&*self.states, &[(row - self.rows.start) as u32], &[0])
    }
}

/// States of suffixes of some rows.
struct Front<'a> {
    rows: Range<usize>,
    /// Of the suffixes that leave out 0, 1, 2… blocks, counted from the end, of all rows: so many blocks at the end.
    of_blocks: Box<dyn GroupStates>,
    /// Of those that begin with the rows `within`.
    suffixes: Box<dyn GroupStates>,
    within: Range<usize>,
    cursor: Cursor<'a>,
}

impl<'a> Sliding<'a> {
    /// For the rows of a range; `before` tells where it begins within the frames, and of which state: that of its group.
    pub(super) fn new(
        aggregate: &'a Arc<dyn Aggregate>,
        call: &'a WindowColumn,
        evaluation: &'a Evaluation<'_>,
        rows: &'a SortedRows<'a>,
        before: Option<(usize, &dyn GroupStates, u32)>,
    ) -> Result<Self> {
        let states = StatesOf::new(aggregate, call, evaluation);
        let (mut back, mut begin) = (states.empty(1)?, 0);
        if let Some((first, before, group)) = before {
            back.merge_some(before, &[group], &[0])?;
            begin = first;
        }
        let budget = &evaluation.room.budget;
        Ok(Sliding {
            states,
            frames: Frames::new(call.frame, evaluation, rows),
            last: 0..0,
            rows: 0..begin,
            back,
            added: Cursor::new(rows),
            singles: Singles { cursor: Cursor::new(rows), rows: 0..0, states: states.empty(0)? },
            front: None,
            all: rows,
            block_rows: (BLOCK_STATES_BYTES / aggregate.most_state_bytes().max(1)).clamp(16, 1024),
            memory: Memory::of(budget),
            most_bytes: BLOCK_STATES_BYTES.min(4 * budget.block_bytes()),
        })
    }

    /// The results for the rows from `first` on.
    ///
    /// # Errors
    /// Those of the aggregate, of reading what was spilled, and `Limit` where the states of a long frame have no room.
    pub(super) fn column(&mut self, first: usize, places: &[Place]) -> Result<ArrayRef> {
        let mut finished: Vec<ArrayRef> = Vec::new();
        // The states of different frames, and which of them each row has.
        let mut results = self.states.empty(0)?;
        let (mut groups, mut of_rows): (usize, Vec<u32>) = (0, Vec::with_capacity(places.len()));
        let (mut known, mut look_at): (Option<Range<usize>>, usize) = (None, 1);
        for (at, place) in places.iter().enumerate() {
            let frame = self.frames.of(first + at, place)?;
            if known.as_ref() != Some(&frame) {
                if groups == look_at {
                    let bytes = results.bytes_held();
                    if bytes > self.most_bytes {
                        finished.push(finish(&mut *results, groups, &of_rows)?);
                        of_rows.clear();
                        (results, groups) = (self.states.empty(0)?, 0);
                    }
                    look_at = groups + (self.most_bytes / (bytes / look_at).max(1)).clamp(1, LOOK_EVERY);
                }
                results.grow(groups + 1);
                if !frame.is_empty() {
                    self.slide(&frame, place)?;
                    self.merge_into(&mut *results, groups as u32, frame.start)?;
                }
                groups += 1;
                known = Some(frame);
            }
            of_rows.push(groups as u32 - 1);
        }
        finished.push(finish(&mut *results, groups, &of_rows)?);
        self.settle()?;
        match &finished[..] {
            [only] => Ok(only.clone()),
            all => Ok(concat(&all.iter().map(AsRef::as_ref).collect::<Vec<_>>())?),
        }
    }

    fn settle(&mut self) -> Result<()> {
        let of_front = self.front.as_ref().map_or(0, Front::bytes_held);
        self.memory.settle(self.back.bytes_held() + self.singles.states.bytes_held() + of_front)
    }

    /// Goes on to a frame, which hardly ever begins or ends earlier than the last one.
    fn slide(&mut self, frame: &Range<usize>, place: &Place) -> Result<()> {
        let goes_back = frame.start < self.last.start || frame.end < self.last.end;
        self.last = frame.clone();
        if frame.start > self.rows.start || goes_back {
            // No row of the back can be dropped: either nothing of the frame has been read yet, or all of it is read again.
            let begins = frame.start == place.partition.start;
            self.front = if begins { None } else { Some(self.new_front(frame.clone())?) };
            self.back = self.states.empty(1)?;
            let end = if begins { frame.start } else { frame.end };
            self.rows = end..end;
        }
        let next = self.rows.end..frame.end;
        if next.len() > FEW_ROWS {
            for start in next.clone().step_by(LOOK_ROWS) {
                let rows = start..next.end.min(start + LOOK_ROWS);
                self.states.add(&mut *self.back, &mut self.added, rows)?;
                self.settle()?;
            }
        } else {
            for row in next {
                let end = place.partition.end.min(row + self.block_rows);
                self.singles.add_to(&mut *self.back, &self.states, row, end)?;
            }
        }
        self.rows.end = self.rows.end.max(frame.end);
        Ok(())
    }

    fn new_front(&mut self, rows: Range<usize>) -> Result<Front<'a>> {
        let (states, block) = (&self.states, self.block_rows);
        let blocks = rows.len().div_ceil(block);
        let mut of_blocks = states.empty(blocks)?;
        let (mut suffix, mut cursor) = (states.empty(1)?, Cursor::new(self.all));
        for at in 1..blocks {
            let end = rows.end - (at - 1) * block;
            states.add(&mut *suffix, &mut cursor, end - block..end)?;
            of_blocks.merge_some(&*suffix, &[0], &[at as u32])?;
            if at.is_multiple_of(LOOK_EVERY) {
                self.memory.settle(of_blocks.bytes_held())?;
            }
        }
        Ok(Front { of_blocks, suffixes: states.empty(0)?, within: rows.start..rows.start, cursor, rows })
    }

    /// Merges the state of the frame that begins there into a group.
    fn merge_into(&mut self, results: &mut dyn GroupStates, group: u32, start: usize) -> Result<()> {
        if let Some(front) = self.front.as_mut().filter(|front| front.rows.contains(&start)) {
            if !front.within.contains(&start) {
                front.make_suffixes(&self.states, &mut self.memory, self.block_rows, start)?;
            }
            results.merge_some(&*front.suffixes, &[(start - front.within.start) as u32], &[group])?;
        }
        if self.rows.is_empty() { Ok(()) } else { results.merge_some(&*self.back, &[0], &[group]) }
    }
}

impl Front<'_> {
    /// Those of the suffixes that begin in the rest of a block, from `start` on.
    fn make_suffixes(
        &mut self,
        states: &StatesOf<'_>,
        memory: &mut Memory,
        block_rows: usize,
        start: usize,
    ) -> Result<()> {
        let block = (self.rows.end - 1 - start) / block_rows;
        let end = self.rows.end - block * block_rows;
        let mut suffix = states.empty(1)?;
        suffix.merge_some(&*self.of_blocks, &[block as u32], &[0])?;
        self.suffixes = states.empty(end - start)?;
        self.within = start..end;
        let singles = states.of_each(&mut self.cursor, start..end)?;
        for row in (start..end).rev() {
            let at = [(row - start) as u32];
            suffix.merge_some(&*singles, &at, &[0])?;
            self.suffixes.merge_some(&*suffix, &[0], &at)?;
            if (end - row).is_multiple_of(LOOK_EVERY) {
                memory.settle(self.bytes_held() + singles.bytes_held())?;
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.of_blocks.bytes_held() + self.suffixes.bytes_held()
    }
}

/// The results of the groups, one for each row.
fn finish(states: &mut dyn GroupStates, groups: usize, of_rows: &[u32]) -> Result<ArrayRef> {
    of_each_row(states.finish(0..groups)?, of_rows)
}

/// The value of its group for each row.
pub(super) fn of_each_row(values: ArrayRef, of_rows: &[u32]) -> Result<ArrayRef> {
    let is_each = values.len() == of_rows.len();
    Ok(if is_each { values } else { take(&*values, &UInt32Array::from(of_rows.to_vec()), None)? })
}
