//! `min` and `max`.

use super::fixed::Fixed;
use super::nothing::Nothing;
use super::store::{Store, column, exported, for_each_live, live_rows, typed};
use super::text::Texts;
use super::{Aggregate, Exactness, GroupIds, GroupStates, Rows, wrong_arguments};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use std::cmp::Ordering;
use std::ops::Range;

/// The smallest or the largest value. NaN is above all numbers (so the minimum is NaN only if all values are), −0.0
/// equals 0.0 and is given as 0.0, false is below true, text compares bytewise. Null over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Aggregate for Extreme {
    fn name(&self) -> &str {
        match self {
            Extreme::Min => "min",
            Extreme::Max => "max",
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(ColumnType::arrow)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let argument = any_argument(self, arguments)?;
        Ok(match (argument, Fixed::new(argument), self) {
            (_, Some(argument), Extreme::Min) => Box::new(FixedExtremes::<false>::new(argument)),
            (_, Some(argument), Extreme::Max) => Box::new(FixedExtremes::<true>::new(argument)),
            (ColumnType::Utf8, ..) => Box::new(TextExtremes { texts: Texts::default(), which: *self }),
            _ => Box::new(Nothing(DataType::Null)),
        })
    }
}

/// The one argument's type, whichever of the engine's types that is.
pub(super) fn any_argument(aggregate: &dyn Aggregate, arguments: &[DataType]) -> Result<ColumnType> {
    match arguments {
        [argument] => ColumnType::from_arrow(argument),
        _ => Err(wrong_arguments(aggregate, "one column", arguments)),
    }
}

/// Encoded extremes (9 bytes a group); before the first value, the neutral element.
struct FixedExtremes<const MAX: bool> {
    extremes: Vec<i64>,
    seen: Vec<bool>,
    argument: Fixed,
}

impl<const MAX: bool> FixedExtremes<MAX> {
    const NEUTRAL: i64 = if MAX { i64::MIN } else { i64::MAX };

    fn new(argument: Fixed) -> Self {
        FixedExtremes { extremes: Vec::new(), seen: Vec::new(), argument }
    }

    #[inline(always)]
    fn better(a: i64, b: i64) -> i64 {
        if MAX { a.max(b) } else { a.min(b) }
    }

    #[inline(always)]
    fn absorb_value(&mut self, group: usize, value: i64, seen: bool) {
        self.extremes[group] = Self::better(self.extremes[group], value);
        self.seen[group] |= seen;
    }
}

impl<const MAX: bool> Store for FixedExtremes<MAX> {
    fn grow(&mut self, groups: usize) {
        self.extremes.resize(groups.max(self.extremes.len()), Self::NEUTRAL);
        self.seen.resize(groups.max(self.seen.len()), false);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (values, live) = (self.argument.encode(column)?, live_rows(rows, Some(column)));
        match (rows.groups, &live) {
            (GroupIds::One(_), None) => {
                let best = values.iter().fold(Self::NEUTRAL, |best, value| Self::better(best, *value));
                self.absorb_value(0, best, !values.is_empty());
            }
            (GroupIds::One(_), Some(live)) => {
                let mut best = Self::NEUTRAL;
                for_each_live(values.len(), Some(live), |row| best = Self::better(best, values[row]));
                self.absorb_value(0, best, live.has_true());
            }
            (GroupIds::Each(ids), live) => {
                for_each_live(ids.len(), live.as_ref(), |row| self.absorb_value(ids[row] as usize, values[row], true));
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.absorb_value(into, other.extremes[from], other.seen[from]);
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish(groups)?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let column = column(columns, 0)?;
        let seen: Vec<bool> = (0..column.len()).map(|row| column.is_valid(row)).collect();
        let values = self.argument.encode(column)?;
        let extremes = values.iter().zip(&seen).map(|(value, seen)| if *seen { *value } else { Self::NEUTRAL });
        Ok(FixedExtremes { extremes: extremes.collect(), seen, argument: self.argument })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let nulls = NullBuffer::new(BooleanBuffer::from(&self.seen[groups.clone()]));
        Ok(self.argument.decode(self.extremes[groups].to_vec(), Some(nulls)))
    }

    fn bytes_held(&self) -> usize {
        self.extremes.capacity() * size_of::<i64>() + self.seen.capacity()
    }
}

/// Extreme texts; 16 bytes a group and the text.
struct TextExtremes {
    texts: Texts,
    which: Extreme,
}

impl TextExtremes {
    #[inline]
    fn absorb_text(&mut self, group: usize, text: &str) {
        let wanted = if self.which == Extreme::Min { Ordering::Less } else { Ordering::Greater };
        if self.texts.get(group).is_none_or(|best| text.cmp(best) == wanted) {
            self.texts.set(group, text);
        }
    }
}

impl Store for TextExtremes {
    fn grow(&mut self, groups: usize) {
        self.texts.grow(groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let texts = typed::<StringViewArray>(arguments, 0)?;
        let live = live_rows(rows, arguments.first());
        for_each_live(texts.len(), live.as_ref(), |row| self.absorb_text(rows.groups.of(row), texts.value(row)));
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            if let Some(text) = other.texts.get(from) {
                self.absorb_text(into, text);
            }
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish(groups)?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        Ok(TextExtremes { texts: Texts::read(exported::<Self, StringViewArray>(columns, 0)?), which: self.which })
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        Ok(self.texts.column(groups))
    }

    fn bytes_held(&self) -> usize {
        self.texts.bytes_held()
    }
}
