//! `largest` and `smallest`: the first few values of each group by size, one row each.

use super::fixed::Fixed;
use super::nothing::Nothing;
use super::store::{Store, column, for_each_live, live_rows, not_an_export, read_view_bytes, view_bytes_column};
use super::{Aggregate, Constant, Exactness, GroupStates, Makes, Rows, wrong_arguments};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::ops::Range;
use std::sync::Arc;

/// So many values a group at most.
const MOST: usize = 10_000;

/// The largest or the smallest values of a column of numbers, Booleans or times, in order, equal ones included. NaN is above
/// all numbers. No row over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    values: usize,
    largest: bool,
}

impl Ranked {
    /// The `values` largest ones, or smallest.
    ///
    /// # Errors
    /// `Type` unless that is a whole number from 1 to 10,000.
    pub fn new(values: f64, largest: bool) -> Result<Self> {
        if values.fract() == 0.0 && (1.0..=MOST as f64).contains(&values) {
            return Ok(Ranked { values: values as usize, largest });
        }
        let name = if largest { "largest" } else { "smallest" };
        Err(Error::new(ErrorKind::Type, format!("`{name}` gives from 1 to {MOST} values a group, not {values}")))
    }

    /// The columns of the rows of a group.
    fn row(value: &DataType) -> Fields {
        Fields::from(vec![Field::new(Makes::COLUMN, value.clone(), true)])
    }

    fn item(value: &DataType) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(Ranked::row(value)), true))
    }

    fn argument(&self, arguments: &[DataType]) -> Result<(ColumnType, Option<Fixed>)> {
        let [argument] = arguments else { return Err(wrong_arguments(self, "one column and a number", arguments)) };
        let known = ColumnType::from_arrow(argument)?;
        let fixed = Fixed::new(known);
        if fixed.is_none() && known != ColumnType::Null {
            return Err(wrong_arguments(self, "one column of numbers, Booleans or times", arguments));
        }
        Ok((known, fixed))
    }
}

impl Aggregate for Ranked {
    fn name(&self) -> &str {
        if self.largest { "largest" } else { "smallest" }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.argument(arguments).map(|(known, _)| DataType::List(Ranked::item(&known.arrow())))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::Number(self.values as f64)]
    }

    fn makes(&self) -> Makes {
        Makes::Values
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(match self.argument(arguments)? {
            (_, Some(argument)) => Box::new(RankedValues::new(*self, argument)),
            (known, None) => Box::new(Nothing(DataType::List(Ranked::item(&known.arrow())))),
        })
    }
}

/// Encoded values, best first; a group has room for those that it has.
struct RankedValues {
    groups: Vec<Vec<i64>>,
    /// Bytes behind them.
    values_bytes: usize,
    ranked: Ranked,
    argument: Fixed,
}

impl RankedValues {
    fn new(ranked: Ranked, argument: Fixed) -> Self {
        RankedValues { groups: Vec::new(), values_bytes: 0, ranked, argument }
    }

    /// Adds a value, of which more is better.
    #[inline]
    fn add(&mut self, group: usize, value: i64) {
        let (own, most) = (&mut self.groups[group], self.ranked.values);
        if own.len() == most && own[most - 1] >= value {
            return;
        }
        let at = own.partition_point(|other| *other >= value);
        if own.len() == most {
            own[at..].rotate_right(1);
            own[at] = value;
            return;
        }
        let before = own.capacity();
        if own.len() == before {
            own.reserve_exact((2 * before).clamp(1, most) - before);
        }
        own.insert(at, value);
        self.values_bytes += (own.capacity() - before) * size_of::<i64>();
    }

    /// Encodings as they are compared: more is better. Its own inverse.
    #[inline(always)]
    fn compared(&self, encoded: i64) -> i64 {
        if self.ranked.largest { encoded } else { !encoded }
    }
}

impl Store for RankedValues {
    fn grow(&mut self, groups: usize) {
        self.groups.resize(groups.max(self.groups.len()), Vec::new());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (values, live) = (self.argument.encode(column)?, live_rows(rows, Some(column)));
        for_each_live(values.len(), live.as_ref(), |row| self.add(rows.groups.of(row), self.compared(values[row])));
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            other.groups[from].iter().for_each(|value| self.add(into, *value));
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let bytes = |values: &Vec<i64>| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(vec![view_bytes_column(self.groups[groups].iter().map(bytes))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = RankedValues::new(self.ranked, self.argument);
        for (group, bytes) in read_view_bytes::<Self>(columns, 0)?.into_iter().enumerate() {
            let (values, rest) = bytes.as_chunks::<8>();
            if values.len() > self.ranked.values || !rest.is_empty() {
                return Err(not_an_export::<Self>());
            }
            Store::grow(&mut read, group + 1);
            values.iter().for_each(|value| read.add(group, i64::from_le_bytes(*value)));
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let own = &self.groups[groups];
        let values = own.iter().flatten().map(|value| self.compared(*value)).collect();
        let values = self.argument.decode(values, None);
        let item = Ranked::item(values.data_type());
        let rows = StructArray::try_new(Ranked::row(values.data_type()), vec![values], None)?;
        let lengths = OffsetBuffer::from_lengths(own.iter().map(Vec::len));
        Ok(Arc::new(ListArray::try_new(item, lengths, Arc::new(rows), None)?))
    }

    fn bytes_held(&self) -> usize {
        self.groups.capacity() * size_of::<Vec<i64>>() + self.values_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::GroupIds;
    use crate::batch::{Positions, RowOrigin};
    use arrow::array::{AsArray, Float64Array};
    use arrow::datatypes::Float64Type;

    #[test]
    fn the_first_few_by_size_come_in_order_with_equal_ones() {
        let values = [3.0, f64::NAN, 7.0, -1.0, 7.0, 0.5, 9.0].map(Some).into_iter().chain([None]);
        let column: ArrayRef = Arc::new(values.collect::<Float64Array>());
        let origin = RowOrigin { file: 0, positions: Positions::Consecutive(0) };
        for (largest, most, expected) in [
            (true, 4.0, &[f64::NAN, 9.0, 7.0, 7.0][..]),
            (false, 3.0, &[-1.0, 0.5, 3.0]),
            (true, 100.0, &[f64::NAN, 9.0, 7.0, 7.0, 3.0, 0.5, -1.0]),
        ] {
            let ranked = Ranked::new(most, largest).unwrap();
            let mut states = ranked.states(&[DataType::Float64]).unwrap();
            states.grow(1);
            let rows = Rows { groups: GroupIds::One(8), mask: None, origin: &origin };
            states.update(std::slice::from_ref(&column), &rows).unwrap();
            let found = states.finish(0..1).unwrap().as_list::<i32>().value(0);
            let found = found.as_struct().column(0).as_primitive::<Float64Type>();
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(found.values()), bits(expected));
        }
        assert!(Ranked::new(0.0, true).is_err() && Ranked::new(1.5, true).is_err() && Ranked::new(1e9, true).is_err());
    }
}
