//! Groups that a sink shares with those of other workers: when it begins to, what it hands on, and what becomes of them.

use super::{AggregateSink, rows_within};
use crate::error::Result;
use crate::groupby::GroupTable;

impl AggregateSink {
    /// Whether workers share their groups now.
    pub(in crate::exec::sink) fn shares(&self) -> bool {
        self.common.as_ref().is_some_and(|common| common.is_open())
    }

    /// Lets go of what the tables take, which is more than there is; from now on groups are shared if that helps.
    pub(super) fn make_way(&mut self) -> Result<()> {
        if self.tables.hands_on() {
            return self.hand_on(true);
        }
        let all = if self.common.is_some() { self.tables.bytes_of_all()? } else { None };
        self.set_aside()?;
        if let Some(common) = &self.common
            && common.open(all)?
        {
            self.tables.hand_on(&self.shape)?;
        }
        Ok(())
    }

    /// Adds what has been collected for it to the groups that are shared, if it is much, or `all` of it.
    pub(super) fn hand_on(&mut self, all: bool) -> Result<()> {
        let Some(common) = self.common.clone().filter(|_| self.tables.hands_on()) else { return Ok(()) };
        let hands = self.room.hands.alone();
        for table in self.tables.handed_on(&self.shape, all)? {
            let write = &mut |tables: &[GroupTable]| self.spill(tables, &hands);
            let rest = common.absorb(&table, write)?;
            if !rest.is_empty() {
                self.spill_some(&table, &rest)?;
            }
        }
        if !common.is_open() {
            // What is left of what was collected goes with the others.
            self.set_aside()?;
        } else if all && self.reservation.resize(self.bytes()).is_err() {
            self.reservation.resize(0)?;
        }
        Ok(())
    }

    /// Takes the groups that are shared: in memory if nothing is on disk and there is room to sort them.
    pub(super) fn gather_common(&mut self) -> Result<()> {
        let Some(common) = self.common.take() else { return Ok(()) };
        let (in_memory, hands) = (self.runs.is_empty(), self.room.hands.clone());
        let write = &mut |tables: &[GroupTable]| self.spill(tables, &hands);
        let (mut tables, reservation) = common.finish(write, in_memory)?;
        self.gathered.append(&mut tables);
        self.reservation.absorb(reservation);
        Ok(())
    }

    /// Writes some groups of a table as a sorted run.
    fn spill_some(&mut self, table: &GroupTable, groups: &[u32]) -> Result<()> {
        for groups in groups.chunks(rows_within(std::slice::from_ref(table), self.room.budget.block_bytes())) {
            let mut some = self.shape.table()?;
            some.absorb_some(table, groups)?;
            self.spill(&[some], &self.room.hands.alone())?;
        }
        Ok(())
    }

    /// Lets go of what is shared.
    pub(super) fn empty_common(&mut self) -> Result<()> {
        let Some(common) = self.common.clone() else { return Ok(()) };
        let hands = self.room.hands.alone();
        common.empty(&mut |tables: &[GroupTable]| self.spill(tables, &hands))
    }
}
