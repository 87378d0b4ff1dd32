//! `first` and `last`.

use super::extreme::any_argument;
use super::fixed::Fixed;
use super::nothing::Nothing;
use super::store::{Store, column, exported, for_each_live, live_rows, not_an_export, typed};
use super::text::Texts;
use super::{Aggregate, Exactness, GroupStates, Rows};
use crate::batch::{Positions, RowId};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, StringViewArray, UInt32Array, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

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
            (Some(argument), _) => Box::new(Edges::new(FixedValues { values: Vec::new(), argument }, *self)),
            (None, ColumnType::Utf8) => Box::new(Edges::new(Texts::default(), *self)),
            _ => Box::new(Nothing(DataType::Null)),
        })
    }
}

/// Values of one type, one a group, without knowledge of which of them are set.
trait Values: Send + Sync + Sized + 'static {
    type Column;
    type Value<'a>;
    fn grow(&mut self, groups: usize);
    fn column_of(&self, columns: &[ArrayRef], index: usize) -> Result<Self::Column>;
    fn value(column: &Self::Column, row: usize) -> Self::Value<'_>;
    fn get(&self, group: usize) -> Self::Value<'_>;
    fn compare(a: Self::Value<'_>, b: Self::Value<'_>) -> Ordering;
    fn set(&mut self, group: usize, value: Self::Value<'_>);
    fn read(&self, column: Self::Column) -> Self;
    fn to_column(&self, groups: Range<usize>, nulls: NullBuffer) -> ArrayRef;
    fn bytes_held(&self) -> usize;
}

struct FixedValues {
    values: Vec<i64>,
    argument: Fixed,
}

impl Values for FixedValues {
    type Column = ScalarBuffer<i64>;
    type Value<'a> = i64;

    fn grow(&mut self, groups: usize) {
        self.values.resize(groups.max(self.values.len()), 0);
    }

    fn column_of(&self, columns: &[ArrayRef], index: usize) -> Result<Self::Column> {
        self.argument.encode(column(columns, index)?)
    }

    #[inline(always)]
    fn value(column: &Self::Column, row: usize) -> i64 {
        column[row]
    }

    fn get(&self, group: usize) -> i64 {
        self.values[group]
    }

    fn compare(a: i64, b: i64) -> Ordering {
        a.cmp(&b)
    }

    #[inline(always)]
    fn set(&mut self, group: usize, value: i64) {
        self.values[group] = value;
    }

    fn read(&self, column: Self::Column) -> Self {
        FixedValues { values: column.to_vec(), argument: self.argument }
    }

    fn to_column(&self, groups: Range<usize>, nulls: NullBuffer) -> ArrayRef {
        self.argument.decode(self.values[groups].to_vec(), Some(nulls))
    }

    fn bytes_held(&self) -> usize {
        self.values.capacity() * size_of::<i64>()
    }
}

impl Values for Texts {
    type Column = StringViewArray;
    type Value<'a> = &'a str;

    fn grow(&mut self, groups: usize) {
        self.grow(groups);
    }

    fn column_of(&self, columns: &[ArrayRef], index: usize) -> Result<StringViewArray> {
        typed::<StringViewArray>(columns, index).cloned()
    }

    fn value(column: &StringViewArray, row: usize) -> &str {
        column.value(row)
    }

    fn get(&self, group: usize) -> &str {
        self.get(group).unwrap_or_default()
    }

    fn compare(a: &str, b: &str) -> Ordering {
        a.cmp(b)
    }

    fn set(&mut self, group: usize, value: &str) {
        self.set(group, value);
    }

    fn read(&self, column: StringViewArray) -> Self {
        Texts::read(&column)
    }

    fn to_column(&self, groups: Range<usize>, _: NullBuffer) -> ArrayRef {
        self.column(groups)
    }

    fn bytes_held(&self) -> usize {
        self.bytes_held()
    }
}

/// The identity of the row that a value came from, if there is one.
type Mark = Option<RowId>;

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
        position: impl Fn(usize) -> u64,
    ) {
        let (file, first) = (rows.origin.file, self.edge == Edge::First);
        for_each_live(rows.groups.rows(), live, |row| {
            let (group, id) = (rows.groups.of(row), RowId { file, position: position(row) });
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
                self.absorb_rows(&column, rows, live.as_ref(), |row| start + row as u64);
            }
            Positions::Listed(list) => self.absorb_rows(&column, rows, live.as_ref(), |row| list[row]),
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
        let marks = &self.marks[groups.clone()];
        let files: UInt32Array = marks.iter().map(|mark| mark.map(|id| id.file)).collect();
        let positions: UInt64Array = marks.iter().map(|mark| mark.map(|id| id.position)).collect();
        Ok(vec![Arc::new(files), Arc::new(positions), self.finish(groups)?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let files = exported::<Self, UInt32Array>(columns, 0)?;
        let positions = exported::<Self, UInt64Array>(columns, 1)?;
        let mark = |(file, position): (Option<u32>, Option<u64>)| Some(RowId { file: file?, position: position? });
        let marks: Vec<Mark> = files.iter().zip(positions).map(mark).collect();
        let values = columns.get(2).ok_or_else(not_an_export::<Self>)?;
        if marks.iter().enumerate().any(|(row, mark)| mark.is_some() != values.is_valid(row)) {
            return Err(not_an_export::<Self>());
        }
        Ok(Edges { marks, values: self.values.read(self.values.column_of(columns, 2)?), edge: self.edge })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let seen = self.marks[groups.clone()].iter().map(Option::is_some);
        Ok(self.values.to_column(groups, NullBuffer::from_iter(seen)))
    }

    fn bytes_held(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.values.bytes_held()
    }
}
