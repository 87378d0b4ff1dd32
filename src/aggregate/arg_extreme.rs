//! `arg_min(x, by)` and `arg_max(x, by)`: the value of the row in which another column is smallest or largest.

use super::fixed::Fixed;
use super::marks::{Mark, columns, read, seen};
use super::nothing::Nothing;
use super::store::{Store, for_each_live, live_rows};
use super::text::Texts;
use super::values::{FixedValues, Values};
use super::{Aggregate, Exactness, GroupStates, Rows, wrong_arguments};
use crate::batch::RowId;
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use std::ops::Range;

/// The value of the first argument in the row, among those in which both have a value, whose second is the smallest or the
/// largest, in the order of `min` and `max`; of several such rows, the first in input order. Null over no such row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgExtreme {
    /// Where the second is smallest.
    Min,
    /// Where the second is largest.
    Max,
}

impl Aggregate for ArgExtreme {
    fn name(&self) -> &str {
        match self {
            ArgExtreme::Min => "arg_min",
            ArgExtreme::Max => "arg_max",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let types = self.types(arguments)?;
        Ok(types[0].arrow())
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn order_sensitive(&self) -> bool {
        true
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let [value, by] = self.types(arguments)?;
        if value == ColumnType::Null || by == ColumnType::Null {
            return Ok(Box::new(Nothing(value.arrow())));
        }
        let which = *self;
        Ok(match (Fixed::new(value).map(FixedValues::new), Fixed::new(by).map(FixedValues::new)) {
            (Some(value), Some(by)) => Box::new(Best::new(value, by, which)),
            (Some(value), None) => Box::new(Best::new(value, Texts::default(), which)),
            (None, Some(by)) => Box::new(Best::new(Texts::default(), by, which)),
            (None, None) => Box::new(Best::new(Texts::default(), Texts::default(), which)),
        })
    }
}

impl ArgExtreme {
    fn types(self, arguments: &[DataType]) -> Result<[ColumnType; 2]> {
        let wrong = || wrong_arguments(&self, "two columns of single values", arguments);
        let [value, by] = arguments else { return Err(wrong()) };
        let both = [ColumnType::from_arrow(value)?, ColumnType::from_arrow(by)?];
        if both.iter().any(|one| matches!(one, ColumnType::List(_))) { Err(wrong()) } else { Ok(both) }
    }

    fn is_better(self, order: Ordering) -> bool {
        if self == ArgExtreme::Min { order.is_lt() } else { order.is_gt() }
    }
}

/// Of each group the best row so far: where it is, if there is one, what it is compared by, and its value.
struct Best<V, B> {
    marks: Vec<Mark>,
    values: V,
    by: B,
    which: ArgExtreme,
}

impl<V: Values, B: Values> Best<V, B> {
    fn new(values: V, by: B, which: ArgExtreme) -> Self {
        Best { marks: Vec::new(), values, by, which }
    }

    /// How another row compares with the best of a group, from better to worse.
    fn is_beaten(&self, group: usize, id: RowId, by: B::Value<'_>, value: V::Value<'_>) -> bool {
        let Some(mark) = self.marks[group] else { return true };
        match B::compare(by, self.by.get(group)) {
            // Rows of one identity have no order; then the smaller value counts.
            Ordering::Equal => id.cmp(&mark).then_with(|| V::compare(value, self.values.get(group))).is_lt(),
            order => self.which.is_better(order),
        }
    }
}

impl<V: Values, B: Values> Store for Best<V, B> {
    fn grow(&mut self, groups: usize) {
        self.marks.resize(groups.max(self.marks.len()), None);
        self.values.grow(groups);
        self.by.grow(groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let (values, by) = (self.values.column_of(arguments, 0)?, self.by.column_of(arguments, 1)?);
        let (first, second) = (live_rows(rows, arguments.first()), live_rows(rows, arguments.get(1)));
        let live = match (first, second) {
            (Some(first), Some(second)) => Some(&first & &second),
            (first, second) => first.or(second),
        };
        for_each_live(rows.groups.rows(), live.as_ref(), |row| {
            let (group, id) = (rows.groups.of(row), rows.origin.row_id(row));
            if self.is_beaten(group, id, B::value(&by, row), V::value(&values, row)) {
                self.marks[group] = Some(id);
                self.by.set(group, B::value(&by, row));
                self.values.set(group, V::value(&values, row));
            }
        });
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            let Some(theirs) = other.marks[from] else { continue };
            if self.is_beaten(into, theirs, other.by.get(from), other.values.get(from)) {
                self.marks[into] = Some(theirs);
                self.by.set(into, other.by.get(from));
                self.values.set(into, other.values.get(from));
            }
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let marks = &self.marks[groups.clone()];
        let (values, by) = (self.values.to_column(groups.clone(), seen(marks)), self.by.to_column(groups, seen(marks)));
        Ok(columns(marks).into_iter().chain([values, by]).collect())
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let marks = read::<Self>(columns, 2)?;
        let values = self.values.read(self.values.column_of(columns, 2)?);
        let by = self.by.read(self.by.column_of(columns, 3)?);
        Ok(Best { marks, values, by, which: self.which })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let seen = seen(&self.marks[groups.clone()]);
        Ok(self.values.to_column(groups, seen))
    }

    fn bytes_held(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.values.bytes_held() + self.by.bytes_held()
    }
}
