//! `first` and `last`.

use super::extreme::any_argument;
use super::fixed::Fixed;
use super::marks::{Mark, columns, read, seen};
use super::nothing::Nothing;
use super::store::{Store, for_each_live, live_rows};
use super::text::Texts;
use super::values::{FixedValues, Values};
use super::{Aggregate, Exactness, GroupStates, Rows};
use crate::batch::{Positions, RowId};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use std::ops::Range;

/// The value that comes first or last in input order, by row identity. Nulls are ignored as in all aggregates, so it is
/// the first *value*, not the value of the first row (which some engines give). Doubles come with one NaN and without
/// −0.0. Among rows of one identity, the first or last of their batch; across batches, the smallest or largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The first value.
    First,
    /// The last value.
    Last,
}

impl Aggregate for Edge {
    fn name(&self) -> &str {
        match self {
            Edge::First => "first",
            Edge::Last => "last",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(ColumnType::arrow)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn order_sensitive(&self) -> bool {
        true
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let argument = any_argument(self, arguments)?;
        Ok(match (Fixed::new(argument), argument) {
            (Some(argument), _) => Box::new(Edges::new(FixedValues::new(argument), *self)),
            (None, ColumnType::Utf8) => Box::new(Edges::new(Texts::default(), *self)),
            _ => Box::new(Nothing(DataType::Null)),
        })
    }
}

/// Values and marks, one a group: 24 bytes, and 8 of a number or 16 and its bytes of a text.
struct Edges<V> {
    marks: Vec<Mark>,
    values: V,
    edge: Edge,
}

impl<V: Values> Edges<V> {
    fn new(values: V, edge: Edge) -> Self {
        Edges { marks: Vec::new(), values, edge }
    }

    /// Absorbs the rows that count, in order; within a batch a later row of equal identity is the later one.
    #[inline(always)]
    fn absorb_rows(
        &mut self,
        column: &V::Column,
        rows: &Rows<'_>,
        live: Option<&BooleanBuffer>,
        place: impl Fn(usize) -> (u64, u32),
    ) {
        let (file, first) = (rows.origin.file, self.edge == Edge::First);
        for_each_live(rows.groups.rows(), live, |row| {
            let (group, (position, copy)) = (rows.groups.of(row), place(row));
            let id = RowId { file, position, copy };
            let better = self.marks[group].is_none_or(|mark| if first { id < mark } else { id >= mark });
            if better {
                self.marks[group] = Some(id);
                self.values.set(group, V::value(column, row));
            }
        });
    }
}

impl<V: Values> Store for Edges<V> {
    fn grow(&mut self, groups: usize) {
        self.marks.resize(groups.max(self.marks.len()), None);
        self.values.grow(groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = self.values.column_of(arguments, 0)?;
        let live = live_rows(rows, arguments.first());
        match &rows.origin.positions {
            Positions::Consecutive(start) => {
                self.absorb_rows(&column, rows, live.as_ref(), |row| (start + row as u64, 0));
            }
            Positions::Listed(list) => self.absorb_rows(&column, rows, live.as_ref(), |row| (list[row], 0)),
            Positions::Repeated { positions, copies } => {
                self.absorb_rows(&column, rows, live.as_ref(), |row| (positions[row], copies[row]));
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            let Some(theirs) = other.marks[from] else { continue };
            let better = self.marks[into].is_none_or(|ours| {
                let tie = || V::compare(other.values.get(from), self.values.get(into));
                let order = theirs.cmp(&ours).then_with(tie);
                if self.edge == Edge::First { order.is_lt() } else { order.is_gt() }
            });
            if better {
                self.marks[into] = Some(theirs);
                self.values.set(into, other.values.get(from));
            }
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(columns(&self.marks[groups.clone()]).into_iter().chain([self.finish(groups)?]).collect())
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let marks = read::<Self>(columns, 1)?;
        Ok(Edges { marks, values: self.values.read(self.values.column_of(columns, 2)?), edge: self.edge })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let seen = seen(&self.marks[groups.clone()]);
        Ok(self.values.to_column(groups, seen))
    }

    fn bytes_held(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.values.bytes_held()
    }
}
