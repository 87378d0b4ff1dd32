//! Groups that all workers share, where memory is too scarce for each worker to have its own.
//!
//! **Problem.** A table of its own for each worker holds most groups once a worker. Where that does not fit, each writes its
//! table whenever it is full and begins anew, so that hardly a row finds its group in memory any more.
//! **Idea.** The groups stand in one set of tables, divided by a hash of their keys, each table behind a lock. A worker collects
//! rows, or groups of few rows, and hands them on together, so that locks are few and what it touches lies close together.
//! This is begun when a worker is refused memory, and only if all keys there seem to be have room in it.
//! **Invariant.** What a part takes at most more is reserved before it grows; when that is refused, all parts are emptied into
//! runs. Where that happens again and again, there are too many keys, and everybody goes on alone.

use super::tables::Shape;
use crate::error::Result;
use crate::groupby::{GroupOrder, GroupTable};
use crate::memory::{Budget, Reservation};
use crate::panics::lock;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Parts are of about this size, were they a few or many.
const PART_BYTES: usize = 1 << 20;
/// There are at least so many, and an eighth of them is emptied at a time, to have little to sort.
const PORTIONS: usize = 8;
const MOST_PARTS: usize = 64;
/// Fewer bytes than this are not worth parts.
const LEAST_BYTES: usize = 2 * PART_BYTES;
/// When there was no room so often, there are too many keys.
const MOST_OVERFLOWS: usize = 2;

/// The groups that the sinks of one stage share.
pub(super) struct CommonGroups {
    shape: Arc<Shape>,
    state: RwLock<State>,
    memory: Mutex<Memory>,
    /// Held by the one who empties them.
    emptying: Mutex<()>,
}

/// Where the groups stand.
#[derive(Default)]
struct State {
    /// None until they are shared.
    parts: Vec<Mutex<GroupTable>>,
    /// About how many bytes a group takes.
    group_bytes: usize,
    /// How often they have been emptied, and how often of that because there was no room for more.
    emptied: usize,
    overflowed: usize,
    /// Nobody shares any more.
    closed: bool,
}

/// What they take.
struct Memory {
    reservation: Reservation,
    /// Of the parts, and to sort them.
    held_bytes: usize,
    sort_bytes: usize,
    /// What parts that are being added to may take more.
    promised_bytes: usize,
}

impl Memory {
    /// Asks for what there is; a portion of it may have to be sorted.
    fn settle(&mut self) -> Result<()> {
        let sorting = self.sort_bytes / (PORTIONS / 2);
        self.reservation.resize(self.held_bytes + self.promised_bytes + sorting)
    }
}

/// What a part holds, and what it takes to sort it.
fn sizes(part: &GroupTable) -> (usize, usize) {
    (part.bytes_held(), GroupOrder::bytes_to_sort(part))
}

/// What takes groups that must leave memory, as a sorted run.
pub(super) type Writer<'a> = dyn FnMut(&[GroupTable]) -> Result<()> + 'a;

impl CommonGroups {
    /// Nothing is shared yet.
    pub(super) fn new(shape: Arc<Shape>, budget: &Budget) -> Self {
        let memory =
            Memory { reservation: budget.reservation("grouping"), held_bytes: 0, sort_bytes: 0, promised_bytes: 0 };
        CommonGroups { shape, state: RwLock::default(), memory: Mutex::new(memory), emptying: Mutex::new(()) }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_to_change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shares groups from now on, if all keys have room of which so many bytes are known to be needed, and so many for each; or if
    /// they are shared already.
    ///
    /// # Errors
    /// None but broken invariants.
    pub(super) fn open(&self, needed: Option<(usize, usize)>) -> Result<bool> {
        let mut state = self.state_to_change();
        if state.closed || !state.parts.is_empty() {
            return Ok(!state.closed);
        }
        let Some((bytes, group_bytes)) = needed.filter(|(bytes, _)| *bytes >= LEAST_BYTES) else { return Ok(false) };
        let memory = lock(&self.memory);
        let budget = memory.reservation.budget();
        // It is not all reserved yet: others give theirs back when they come to share.
        if budget.limit_bytes() / 8 * 5 < bytes || budget.free_bytes() < bytes / 2 {
            return Ok(false);
        }
        let parts = (bytes / PART_BYTES).clamp(PORTIONS, MOST_PARTS).next_power_of_two();
        state.parts = (0..parts).map(|_| Ok(Mutex::new(self.shape.table()?))).collect::<Result<_>>()?;
        state.group_bytes = group_bytes;
        Ok(true)
    }

    /// Whether groups are shared now.
    pub(super) fn is_open(&self) -> bool {
        let state = self.state();
        !state.closed && !state.parts.is_empty()
    }

    /// Adds the groups of a table. Where there is no room for more, those there are go to `write` first. Returns the groups that
    /// have no room even then.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn absorb(&self, table: &GroupTable, write: &mut Writer<'_>) -> Result<Vec<u32>> {
        let parts = self.state().parts.len();
        let groups = table.by_hash(parts.max(1));
        let mut rest = Vec::new();
        for (part, groups) in groups.iter().enumerate().filter(|(_, groups)| !groups.is_empty()) {
            let emptied = self.state().emptied;
            if !self.add(part, table, groups)? {
                self.make_room(emptied, write)?;
                if !self.add(part, table, groups)? {
                    rest.extend_from_slice(groups);
                }
            }
        }
        Ok(rest)
    }

    /// Adds groups to a part, if there is room.
    fn add(&self, part: usize, table: &GroupTable, groups: &[u32]) -> Result<bool> {
        let state = self.state();
        let Some(part) = state.parts.get(part) else { return Ok(false) };
        let mut part = lock(part);
        let (held_before, sort_before) = sizes(&part);
        // What grows is copied.
        let promise = held_before + 2 * state.group_bytes * groups.len();
        {
            let mut memory = lock(&self.memory);
            memory.promised_bytes += promise;
            if memory.settle().is_err() {
                memory.promised_bytes -= promise;
                return Ok(false);
            }
        }
        let added = part.absorb_some(table, groups);
        let (held, sort) = sizes(&part);
        let mut memory = lock(&self.memory);
        memory.promised_bytes -= promise;
        memory.held_bytes = (memory.held_bytes + held).saturating_sub(held_before);
        memory.sort_bytes = (memory.sort_bytes + sort).saturating_sub(sort_before);
        let _ = memory.settle();
        added.map(|()| true)
    }

    /// Lets go of all groups, unless somebody has since they had been emptied so often.
    fn make_room(&self, emptied: usize, write: &mut Writer<'_>) -> Result<()> {
        let _alone = lock(&self.emptying);
        if self.state().emptied != emptied {
            return Ok(());
        }
        {
            let mut state = self.state_to_change();
            state.overflowed += 1;
            state.closed |= state.overflowed >= MOST_OVERFLOWS;
        }
        self.write_all(write)
    }

    /// Takes all groups out and hands them to `write`.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn empty(&self, write: &mut Writer<'_>) -> Result<()> {
        let _alone = lock(&self.emptying);
        self.write_all(write)
    }

    fn write_all(&self, write: &mut Writer<'_>) -> Result<()> {
        let (mut tables, portion) = self.take()?;
        while !tables.is_empty() {
            let portion: Vec<GroupTable> = tables.drain(..tables.len().min(portion)).collect();
            let sizes = portion.iter().map(sizes).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            write(&portion)?;
            drop(portion);
            let mut memory = lock(&self.memory);
            memory.held_bytes = memory.held_bytes.saturating_sub(sizes.0);
            memory.sort_bytes = memory.sort_bytes.saturating_sub(sizes.1);
            let _ = memory.settle();
        }
        Ok(())
    }

    /// The tables that are not empty, in whose places there are others, and how many are a portion.
    fn take(&self) -> Result<(Vec<GroupTable>, usize)> {
        let mut state = self.state_to_change();
        let mut tables = Vec::with_capacity(state.parts.len());
        for part in &state.parts {
            let mut part = lock(part);
            if part.groups() > 0 {
                tables.push(std::mem::replace(&mut *part, self.shape.table()?));
            }
        }
        state.emptied += usize::from(!tables.is_empty());
        Ok((tables, state.parts.len().div_ceil(PORTIONS)))
    }

    /// All groups and their memory, if there is enough of it to sort them; else they go to `write`.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn finish(&self, write: &mut Writer<'_>, in_memory: bool) -> Result<(Vec<GroupTable>, Reservation)> {
        let mut memory = lock(&self.memory);
        let nothing = memory.reservation.budget().reservation("grouping");
        let bytes = memory.held_bytes + memory.sort_bytes;
        if !in_memory || memory.reservation.resize(bytes).is_err() {
            drop(memory);
            self.empty(write)?;
            return Ok((Vec::new(), nothing));
        }
        let reservation = std::mem::replace(&mut memory.reservation, nothing);
        (memory.held_bytes, memory.sort_bytes) = (0, 0);
        drop(memory);
        let (mut tables, _) = self.take()?;
        tables.iter_mut().for_each(GroupTable::seal);
        Ok((tables, reservation))
    }
}
