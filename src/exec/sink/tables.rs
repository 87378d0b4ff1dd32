//! The groups that a worker holds in memory: a table that rows go into, and tables that are full.
//!
//! **Problem.** Where nearly every row is a group of its own, a table does not reduce; it only grows, and then each row
//! waits for memory.
//! **Idea.** A table that is large for the cache and has not halved its rows is put aside without what finds its groups,
//! and a small one begun. Groups of one key meet when all tables are sorted. What two tables have in common
//! tells how many keys there are in all; once that is far fewer than the groups put aside, they are put together and
//! the table may grow.

use crate::aggregate::{Aggregate, GroupStates};
use crate::batch::RowOrigin;
use crate::error::Result;
use crate::groupby::{GroupOrder, GroupTable};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Groups with which a table is large for the cache.
pub(super) const FULL_GROUPS: usize = 1 << 16;
/// So many groups a key, on average, are too many to keep apart.
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
    /// Rows that came since the table was begun.
    rows: usize,
    full: Vec<GroupTable>,
    full_groups: usize,
    full_bytes: usize,
    /// Whether the table grows whatever it reduces.
    grows: bool,
    limit_groups: usize,
}

impl Tables {
    /// Of no rows. A table is full with `limit_groups` groups.
    pub(super) fn new(shape: &Shape, limit_groups: usize) -> Result<Self> {
        let table = shape.table()?;
        Ok(Tables { table, rows: 0, full: Vec::new(), full_groups: 0, full_bytes: 0, grows: false, limit_groups })
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
        self.table.update(keys, arguments, rows, origin)?;
        self.rows += rows;
        if !self.grows && self.table.groups() >= self.limit_groups && self.rows < REPEATS * self.table.groups() {
            let mut full = std::mem::replace(&mut self.table, shape.table()?);
            full.seal();
            self.rows = 0;
            self.full_groups += full.groups();
            self.full_bytes += full.bytes_held() + GroupOrder::bytes_to_sort(&full);
            self.full.push(full);
            if self.full.len().is_power_of_two() {
                self.put_together_if_alike()?;
            }
        }
        Ok(())
    }

    /// Puts all groups into one table if there are few keys among them.
    fn put_together_if_alike(&mut self) -> Result<()> {
        let [first, .., last] = &*self.full else { return Ok(()) };
        // Of two samples of all keys, the share in common is that of one sample among all keys.
        let common = GroupOrder::common_keys(first, last).max(1);
        let keys = first.groups().saturating_mul(last.groups()) / common;
        if self.full_groups >= REPEATS * keys {
            for full in std::mem::take(&mut self.full) {
                self.table.absorb(&full)?;
            }
            (self.full_groups, self.full_bytes, self.grows) = (0, 0, true);
        }
        Ok(())
    }

    pub(super) fn groups(&self) -> usize {
        self.full_groups + self.table.groups()
    }

    /// Bytes that the groups take, and what it takes to sort them.
    pub(super) fn bytes(&self, shape: &Shape) -> usize {
        if shape.key_types.is_empty() {
            return self.table.bytes_held();
        }
        // The table may double before it is asked again.
        self.full_bytes + 2 * self.table.bytes_held() + GroupOrder::bytes_to_sort(&self.table)
    }

    /// All tables.
    pub(super) fn into_tables(mut self) -> Vec<GroupTable> {
        self.table.seal();
        self.full.push(self.table);
        self.full
    }

    /// The one table of groups without keys.
    pub(super) fn into_table(self) -> GroupTable {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::find;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    const FULL: usize = 64;

    /// The tables over rows with these keys, and whether the last one grows.
    fn tables(keys: impl Iterator<Item = i64>) -> Tables {
        let aggregates = vec![(find("count", 0).unwrap(), vec![])];
        let shape = Shape { key_types: vec![DataType::Int64], aggregates };
        let mut tables = Tables::new(&shape, FULL).unwrap();
        let keys: Vec<i64> = keys.collect();
        for keys in keys.chunks(16) {
            let column: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
            tables.update(&shape, &[column], &[vec![]], keys.len(), &RowOrigin::consecutive(0)).unwrap();
        }
        tables
    }

    /// Keys in order, and how many rows each has.
    fn counts(tables: Tables) -> Vec<(i64, i64)> {
        let tables = tables.into_tables();
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
    fn tables_that_do_not_reduce_are_put_aside_and_count_together() {
        let ascending = tables(0..1000);
        assert!(ascending.full.len() > 10 && !ascending.grows);
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
    fn tables_that_turn_out_alike_are_put_together() {
        let alike = tables((0..4000).map(|row| row * 7919 % 500));
        assert!(alike.grows && alike.full.is_empty());
        assert_eq!(counts(alike), (0..500).map(|key| (key, 8)).collect::<Vec<_>>());
    }
}
