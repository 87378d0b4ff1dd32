//! `median`, `quantile` and `quantile_disc`.

use super::picks::Picks;
use super::share::Share;
use super::{Chunk, Fold, Looks, Nulls, Stretch};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::sum::numeric_argument;
use crate::aggregate::text::Texts;
use crate::aggregate::values::{FixedValues, Values};
use crate::aggregate::{Aggregate, Constant, Exactness, Over};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Float64Array, TimestampMicrosecondArray};
use arrow::datatypes::DataType;
use std::sync::Arc;

const DAY_MICROS: i64 = 86_400_000_000;

/// A quantile: the value below which a share of the values lies. Nulls are left out, NaN is above all numbers; null over
/// no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    /// Half of the values lie below it; interpolated.
    Median,
    /// Interpolated linearly between the two nearest values (type 7 of Hyndman and Fan 1996, the default of R and NumPy),
    /// rounded once. Of numbers, Booleans as 0 and 1; of dates and timestamps it is a timestamp, cut to microseconds.
    Interpolated(Share),
    /// The smallest value with at least that share of the values at or below it. Of any type.
    Discrete(Share),
}

impl Aggregate for Quantile {
    fn name(&self) -> &str {
        match self {
            Quantile::Median => "median",
            Quantile::Interpolated(_) => "quantile",
            Quantile::Discrete(_) => "quantile_disc",
        }
    }

    fn constants(&self) -> Vec<Constant> {
        match self {
            Quantile::Median => Vec::new(),
            Quantile::Interpolated(share) | Quantile::Discrete(share) => vec![Constant::Number(share.value())],
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if let Quantile::Discrete(_) = self {
            return any_argument(self, arguments).map(ColumnType::arrow);
        }
        if let Ok(ColumnType::Date | ColumnType::Timestamp) = any_argument(self, arguments) {
            return Ok(ColumnType::Timestamp.arrow());
        }
        numeric_argument(self, arguments).map(|_| DataType::Float64).map_err(|error| match arguments {
            [DataType::Utf8View] => Error::new(ErrorKind::Type, error.message())
                .hint("`quantile_disc` gives one of the values, of any type: quantile_disc(x, 0.5)"),
            _ => error,
        })
    }

    fn exactness(&self) -> Exactness {
        match self {
            Quantile::Discrete(_) => Exactness::Exact,
            _ => Exactness::Rounding,
        }
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn looks_at(&self, values: u64) -> Looks {
        let [low, high] = match self {
            Quantile::Median => nearest(Share::HALF, values).0,
            Quantile::Interpolated(share) => nearest(*share, values).0,
            Quantile::Discrete(share) => [first_at(*share, values); 2],
        };
        Looks::AtPlaces([low, high, high, high])
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        let argument = any_argument(self, arguments)?;
        let interpolated = |share| -> Box<dyn Fold> {
            match (argument, Fixed::new(argument)) {
                // A date is the timestamp at which it begins.
                (ColumnType::Date, Some(argument)) => Box::new(Times(Interpolated::new(share, argument), DAY_MICROS)),
                (ColumnType::Timestamp, Some(argument)) => Box::new(Times(Interpolated::new(share, argument), 1)),
                (_, Some(argument)) => Box::new(Interpolated::new(share, argument)),
                (_, None) => Box::new(Nulls::new(DataType::Float64)),
            }
        };
        Ok(match self {
            Quantile::Median => interpolated(Share::HALF),
            Quantile::Interpolated(share) => interpolated(*share),
            Quantile::Discrete(share) => match (Fixed::new(argument), argument) {
                (Some(argument), _) => Box::new(Discrete::new(*share, FixedValues::new(argument))),
                (None, ColumnType::Utf8) => Box::new(Discrete::new(*share, Texts::default())),
                _ => Box::new(Nulls::new(DataType::Null)),
            },
        })
    }
}

/// The places of the two values between which a quantile lies, and the numerator of the way from the first to the second.
pub(super) fn nearest(share: Share, values: u64) -> ([u64; 2], u64) {
    let (whole, rest) = share.times(values.saturating_sub(1));
    ([whole, whole + u64::from(rest > 0)], rest)
}

/// The place of the first value with that share of the values at or below it.
fn first_at(share: Share, values: u64) -> u64 {
    let (whole, rest) = share.times(values);
    (whole + u64::from(rest > 0)).saturating_sub(1)
}

/// Counts its way through the values of a group, to the value of a given index.
#[derive(Default)]
struct Search {
    /// The indices from 0 of the values sought, of which the second is the first or the one behind it.
    sought: [u64; 2],
    /// How many values stand before the next row.
    before: u64,
}

impl Search {
    /// The rows of a stretch that hold the values sought, of each that it holds.
    #[inline]
    fn find(&mut self, stretch: &Stretch, counts: &[i64]) -> [Option<usize>; 2] {
        let mut found = [None; 2];
        if self.before > self.sought[1] {
            return found;
        }
        for row in stretch.rows.clone() {
            let next = self.before + counts[row] as u64;
            for (found, sought) in found.iter_mut().zip(self.sought) {
                if (self.before..next).contains(&sought) {
                    *found = Some(row);
                }
            }
            self.before = next;
            if next > self.sought[1] {
                break;
            }
        }
        found
    }
}

/// Of numbers, `Value` is a double; of times, the microseconds of a timestamp.
struct Interpolated<Value = f64> {
    share: Share,
    argument: Fixed,
    search: Search,
    /// The numerator of the way from the first value to the second, and the two as encoded.
    rest: u64,
    nearest: [i64; 2],
    values: u64,
    results: Vec<Option<Value>>,
}

impl<Value> Interpolated<Value> {
    fn new(share: Share, argument: Fixed) -> Self {
        let (search, results) = (Search::default(), Vec::new());
        Interpolated { share, argument, search, rest: 0, nearest: [0; 2], values: 0, results }
    }

    fn take(
        &mut self,
        chunk: &Chunk<'_>,
        stretches: &[Stretch],
        between: impl Fn(&Self, i64, i64) -> Value,
    ) -> Result<()> {
        let (values, counts) = (self.argument.encode(chunk.values)?, chunk.counts.unwrap_or_default());
        for stretch in stretches {
            if let Some(all) = stretch.begins {
                let (sought, rest) = nearest(self.share, all);
                (self.values, self.rest) = (all, rest);
                self.search = Search { sought, before: 0 };
            }
            let found = self.search.find(stretch, counts);
            for (nearest, row) in self.nearest.iter_mut().zip(found) {
                *nearest = row.map_or(*nearest, |row| values[row]);
            }
            if stretch.ends {
                let [low, high] = self.nearest;
                let result = (self.values > 0).then(|| between(self, low, high));
                self.results.push(result);
            }
        }
        Ok(())
    }
}

impl Fold for Interpolated {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        self.take(chunk, stretches, |all, low, high| all.share.between(all.argument, low, high, all.rest))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(std::mem::take(&mut self.results))))
    }

    fn bytes_held(&self) -> usize {
        self.results.capacity() * size_of::<Option<f64>>()
    }
}

/// Quantiles of times, of which one has so many microseconds.
struct Times(Interpolated<i64>, i64);

impl Fold for Times {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let micros = |value: i64| i128::from(value) * i128::from(self.1);
        let (first, last) = (i128::from(i64::MIN), i128::from(i64::MAX));
        self.0.take(chunk, stretches, |all, low, high| {
            // Dates beyond all timestamps are the first and the last of these.
            all.share.between_whole(micros(low), micros(high), all.rest).clamp(first, last) as i64
        })
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(TimestampMicrosecondArray::from(std::mem::take(&mut self.0.results))))
    }

    fn bytes_held(&self) -> usize {
        self.0.results.capacity() * size_of::<Option<i64>>()
    }
}

struct Discrete<V> {
    share: Share,
    search: Search,
    picks: Picks<V>,
}

impl<V: Values> Discrete<V> {
    fn new(share: Share, values: V) -> Self {
        Discrete { share, search: Search::default(), picks: Picks::new(values) }
    }
}

impl<V: Values> Fold for Discrete<V> {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (column, counts) = (self.picks.column(chunk.values)?, chunk.counts.unwrap_or_default());
        for stretch in stretches {
            if let Some(all) = stretch.begins {
                self.search = Search { sought: [first_at(self.share, all); 2], before: 0 };
                self.picks.begin();
            }
            if let [Some(row), _] = self.search.find(stretch, counts) {
                self.picks.pick(V::value(&column, row));
            }
            if stretch.ends {
                self.picks.end();
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(self.picks.finish())
    }

    fn bytes_held(&self) -> usize {
        self.picks.bytes_held()
    }
}
