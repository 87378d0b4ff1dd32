//! The groups that a worker holds in memory: a table of groups, or rows that wait to be grouped.
//!
//! **Problem.** Where nearly every row is a group of its own, a table does not reduce; it only grows, and then each row
//! waits for memory, twice: to find its group, and to reach its states.
//! **Idea.** When a table is large for the cache and has not halved its rows, it is put aside, and further rows are kept as
//! they come: they are grouped when they are sorted, which is due anyway. How many of them have a key of the
//! first table tells how many keys there are in all; once that is far fewer than the rows, looking for groups
//! pays, and all are put into one table again. (Not where states keep identities of rows: these are not kept.)
//! Where groups are [shared](super::common), a table only collects what is handed on.

use crate::aggregate::{Aggregate, GroupStates};
use crate::batch::RowOrigin;
use crate::error::Result;
use crate::groupby::{GroupOrder, GroupTable, RowTable};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// When tables are full.
#[derive(Clone, Copy)]
pub(super) struct Full {
    /// With so many groups, a table is large for the cache.
    groups: usize,
    /// So many rows are sorted as one source.
    rows: usize,
}

pub(super) const FULL: Full = Full { groups: 1 << 16, rows: 1 << 18 };
/// So many rows a key, on average, are worth looking for their groups.
const REPEATS: usize = 2;

/// What is grouped by, and what is aggregated over which types.
pub(super) struct Shape {
    pub(super) key_types: Vec<DataType>,
    pub(super) aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>,
}

impl Shape {
    pub(super) fn table(&self) -> Result<GroupTable> {
        GroupTable::new(&self.key_types, self.aggregates.clone())
    }

    pub(super) fn states(&self) -> Result<Vec<Box<dyn GroupStates>>> {
        self.aggregates.iter().map(|(aggregate, arguments)| aggregate.states(arguments)).collect()
    }
}

/// The groups of a worker.
pub(super) struct Tables {
    table: GroupTable,
    /// Rows that came into the table.
    rows: usize,
    /// What further rows come into, once the table does not pay.
    waiting: Option<RowTable>,
    /// A table of groups, then tables of rows.
    full: Vec<GroupTable>,
    full_groups: usize,
    full_bytes: usize,
    /// Whether the table grows whatever it reduces.
    grows: bool,
    /// Bytes of a group of the first table, when groups could still be found in it.
    group_bytes: usize,
    /// How many keys there are in all, when they are few enough to group the rows that wait.
    few_keys: Option<usize>,
    /// Identities of rows are kept, so rows cannot wait.
    ordered: bool,
    /// What comes is put aside soon, to be handed on.
    hands_on: bool,
    limits: Full,
}

impl Tables {
    /// Of no rows.
    pub(super) fn new(shape: &Shape, limits: Full) -> Result<Self> {
        let ordered = shape.aggregates.iter().any(|(aggregate, _)| aggregate.order_sensitive());
        let grows = shape.key_types.is_empty() || ordered;
        Ok(Tables {
            table: shape.table()?,
            rows: 0,
            waiting: None,
            full: Vec::new(),
            full_groups: 0,
            full_bytes: 0,
            grows,
            group_bytes: 0,
            few_keys: None,
            ordered,
            hands_on: false,
            limits,
        })
    }

    /// Absorbs rows, as [`GroupTable::update`] does.
    pub(super) fn update(
        &mut self,
        shape: &Shape,
        keys: &[ArrayRef],
        arguments: &[Vec<ArrayRef>],
        rows: usize,
        origin: &RowOrigin,
    ) -> Result<()> {
        let Some(waiting) = &mut self.waiting else {
            self.table.update(keys, arguments, rows, origin)?;
            self.rows += rows;
            let pays = self.grows || self.rows >= REPEATS * self.table.groups();
            if self.table.groups() >= self.limits.groups && (self.hands_on || !pays) {
                let full = std::mem::replace(&mut self.table, shape.table()?);
                self.group_bytes = full.bytes_held() / full.groups();
                self.put_aside(full);
                if !self.ordered {
                    self.waiting = Some(RowTable::new(&shape.key_types, shape.aggregates.clone())?);
                }
            }
            return Ok(());
        };
        waiting.append(keys, arguments, rows)?;
        // Several columns are numbered anew in every table, which should not be often.
        let most = if self.hands_on { self.limits.groups } else { self.limits.rows * keys.len().min(4) };
        if waiting.rows() >= most {
            let empty = RowTable::new(&shape.key_types, shape.aggregates.clone())?;
            let full = std::mem::replace(waiting, empty).into_table()?;
            self.put_aside(full);
            if !self.hands_on && (self.full.len() - 1).is_power_of_two() {
                self.look_for_few_keys();
            }
        }
        Ok(())
    }

    /// Absorbs groups that another process has exported: keys, then states.
    pub(super) fn import(&mut self, shape: &Shape, columns: &[ArrayRef], rows: usize) -> Result<()> {
        self.table.import(shape.key_types.len(), columns, rows)?;
        self.rows += rows;
        Ok(())
    }

    fn put_aside(&mut self, mut full: GroupTable) {
        full.seal();
        self.full_groups += full.groups();
        self.full_bytes += full.bytes_held() + GroupOrder::bytes_to_sort(&full);
        self.full.push(full);
    }

    fn look_for_few_keys(&mut self) {
        self.few_keys = self.keys_of_waiting().filter(|keys| self.full_groups >= REPEATS * keys);
    }

    /// How many keys there are in all, by the rows that wait.
    fn keys_of_waiting(&self) -> Option<usize> {
        let [first, .., last] = &*self.full else { return None };
        // The share of rows that have one of so many keys is their share among all keys.
        let known = GroupOrder::known_keys(first, last).max(1);
        Some(first.groups().saturating_mul(last.groups()) / known)
    }

    /// About how many bytes the groups of all keys would take in one table, and a group of them; `None` where nothing is
    /// known. To be asked before all groups are let go of.
    pub(super) fn bytes_of_all(&mut self) -> Result<Option<(usize, usize)>> {
        if let Some(waiting) = self.waiting.take().filter(|waiting| waiting.rows() > 0) {
            self.put_aside(waiting.into_table()?);
        }
        let groups = self.table.groups();
        let (keys, group_bytes) = match &*self.full {
            [] if 8 * self.rows >= 9 * groups => {
                (Some(keys_behind(self.rows, groups)), self.table.bytes_held() / groups.max(1))
            }
            [] => (None, 0),
            _ => (self.keys_of_waiting(), self.group_bytes),
        };
        // A table that has just grown has room for twice as many groups.
        let group_bytes = group_bytes * 2 / 3;
        Ok(keys.map(|keys| (keys.saturating_mul(group_bytes), group_bytes)))
    }

    /// Collects from now on, and puts aside what has come so far.
    pub(super) fn hand_on(&mut self, shape: &Shape) -> Result<()> {
        self.hands_on = true;
        if self.table.groups() > 0 {
            let full = std::mem::replace(&mut self.table, shape.table()?);
            self.put_aside(full);
        }
        if !self.ordered && self.waiting.is_none() {
            self.waiting = Some(RowTable::new(&shape.key_types, shape.aggregates.clone())?);
        }
        Ok(())
    }

    /// Whether what comes is handed on.
    pub(super) fn hands_on(&self) -> bool {
        self.hands_on
    }

    /// What is to be handed on, if it is much or if `all` is.
    pub(super) fn handed_on(&mut self, shape: &Shape, all: bool) -> Result<Vec<GroupTable>> {
        if all {
            self.hand_on(shape)?;
            if let Some(waiting) = self.waiting.take().filter(|waiting| waiting.rows() > 0) {
                self.put_aside(waiting.into_table()?);
            }
            self.hand_on(shape)?;
        }
        (self.full_groups, self.full_bytes) = (0, 0);
        Ok(std::mem::take(&mut self.full))
    }

    /// What it would take, more than now, to group the rows that wait; `None` when that would not pay.
    pub(super) fn bytes_to_group(&self) -> Option<usize> {
        // A table that grows is copied.
        Some(self.few_keys? * self.group_bytes * 3)
    }

    /// Groups the rows that wait, and lets the table grow from now on; or lets them wait on.
    pub(super) fn group(&mut self, groups: bool) -> Result<()> {
        self.few_keys = None;
        if groups {
            let waiting =
                self.waiting.take().filter(|waiting| waiting.rows() > 0).map(RowTable::into_table).transpose()?;
            for (at, full) in std::mem::take(&mut self.full).into_iter().chain(waiting).enumerate() {
                self.table.absorb(&full)?;
                // The rows of the first table are known already.
                self.rows += if at == 0 { 0 } else { full.groups() };
            }
            (self.full_groups, self.full_bytes, self.grows) = (0, 0, true);
        }
        Ok(())
    }

    /// Groups, and rows that wait.
    pub(super) fn groups(&self) -> usize {
        self.full_groups + self.table.groups() + self.waiting.as_ref().map_or(0, RowTable::rows)
    }

    /// Bytes that the groups take, and what it takes to sort them.
    pub(super) fn bytes(&self, shape: &Shape) -> usize {
        if shape.key_types.is_empty() {
            return self.table.bytes_held();
        }
        // What is not full may double, be it by growing or by being put together, before it is asked again.
        let sorting = if self.hands_on { 16 } else { 64 };
        let waiting = self.waiting.as_ref().map_or(0, |waiting| 3 * waiting.bytes_held() + sorting * waiting.rows());
        self.full_bytes + waiting + 2 * self.table.bytes_held() + GroupOrder::bytes_to_sort(&self.table)
    }

    /// All tables that are not empty.
    pub(super) fn into_tables(mut self) -> Result<Vec<GroupTable>> {
        self.table.seal();
        self.full.push(self.table);
        if let Some(waiting) = self.waiting.filter(|waiting| waiting.rows() > 0) {
            self.full.push(waiting.into_table()?);
        }
        self.full.retain(|table| table.groups() > 0);
        Ok(self.full)
    }

    /// The one table of groups without keys.
    pub(super) fn into_table(self) -> GroupTable {
        self.table
    }
}

/// How many keys there are in all, if so many rows have so many keys and all are as frequent.
fn keys_behind(rows: usize, groups: usize) -> usize {
    let (rows, groups) = (rows as f64, groups as f64);
    let found = |keys: f64| keys * (1.0 - (-rows / keys).exp());
    let mut keys = groups;
    while found(keys) < groups * 0.999 && keys < 64.0 * groups {
        keys *= 1.125;
    }
    keys as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::find;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    const FEW: Full = Full { groups: 64, rows: 100 };

    /// The tables over rows with these keys, and whether the last one grows.
    fn tables(keys: impl Iterator<Item = i64>) -> Tables {
        let aggregates = vec![(find("count", 0).unwrap(), vec![])];
        let shape = Shape { key_types: vec![DataType::Int64], aggregates };
        let mut tables = Tables::new(&shape, FEW).unwrap();
        let keys: Vec<i64> = keys.collect();
        for keys in keys.chunks(16) {
            let column: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
            tables.update(&shape, &[column], &[vec![]], keys.len(), &RowOrigin::consecutive(0)).unwrap();
            if tables.bytes_to_group().is_some() {
                tables.group(true).unwrap();
            }
        }
        tables
    }

    /// Keys in order, and how many rows each has.
    fn counts(tables: Tables) -> Vec<(i64, i64)> {
        let tables = tables.into_tables().unwrap();
        let order = GroupOrder::of(&tables);
        let groups = |(table, of): (usize, &GroupTable)| (0..of.groups()).map(move |group| (table, group));
        let groups = tables.iter().enumerate().flat_map(groups);
        let mut entries: Vec<_> = groups.map(|(table, group)| order.entry(table, group)).collect();
        entries.sort_unstable_by(|a, b| order.compare(a, b));
        let columns = order.gather(&entries).unwrap().finish().unwrap();
        let column = |at: usize| columns[at].as_primitive::<Int64Type>().values().to_vec();
        column(0).into_iter().zip(column(1)).collect()
    }

    #[test]
    fn rows_that_no_table_reduces_wait_and_are_grouped_in_the_end() {
        let ascending = tables(0..1000);
        assert!(ascending.full.len() > 5 && ascending.waiting.is_some());
        assert_eq!(counts(ascending), (0..1000).map(|key| (key, 1)).collect::<Vec<_>>());
        let twice = tables((0..1000).chain((0..1000).rev()));
        assert!(!twice.full.is_empty());
        assert_eq!(counts(twice), (0..1000).map(|key| (key, 2)).collect::<Vec<_>>());
    }

    #[test]
    fn a_table_that_reduces_grows() {
        let doubled = tables((0..2000).map(|row| row / 3));
        assert!(doubled.full.is_empty());
        assert_eq!(counts(doubled).len(), 667);
    }

    #[test]
    fn rows_that_turn_out_alike_are_grouped_again() {
        let alike = tables((0..4000).map(|row| row * 7919 % 500));
        assert!(alike.grows && alike.full.is_empty() && alike.waiting.is_none());
        assert_eq!(counts(alike), (0..500).map(|key| (key, 8)).collect::<Vec<_>>());
    }
}
