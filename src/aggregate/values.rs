//! One value a group, for states and folds that choose among values of any type.

use super::fixed::Fixed;
use super::store::{column, typed};
use super::text::Texts;
use crate::error::Result;
use arrow::array::{ArrayRef, StringViewArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use std::cmp::Ordering;
use std::ops::Range;

/// Values of one type, one a group, without knowledge of which of them are set.
pub(super) trait Values: Send + Sync + Sized + 'static {
    type Column;
    type Value<'a>;
    /// No values yet, of the same type.
    fn empty(&self) -> Self;
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

pub(super) struct FixedValues {
    values: Vec<i64>,
    argument: Fixed,
}

impl FixedValues {
    pub(super) fn new(argument: Fixed) -> Self {
        FixedValues { values: Vec::new(), argument }
    }
}

impl Values for FixedValues {
    type Column = ScalarBuffer<i64>;
    type Value<'a> = i64;

    fn empty(&self) -> Self {
        FixedValues::new(self.argument)
    }

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

    fn empty(&self) -> Self {
        Texts::default()
    }

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
