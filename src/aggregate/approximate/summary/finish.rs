//! Rows of a summary, from values and how often each occurs.

use super::seen::{Counted, Seen};
use super::{Summary, quantile_type};
use crate::aggregate::fixed::Fixed;
use crate::aggregate::histogram::nice;
use crate::aggregate::holistic::Share;
use crate::error::{Error, Result};
use crate::types::ColumnType;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray, StructArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Items of a list column.
struct Lists<T> {
    items: Vec<T>,
    lengths: Vec<usize>,
}

impl<T> Lists<T> {
    fn new() -> Self {
        Lists { items: Vec::new(), lengths: Vec::new() }
    }

    fn push(&mut self, items: impl IntoIterator<Item = T>) {
        let before = self.items.len();
        self.items.extend(items);
        self.lengths.push(self.items.len() - before);
    }

    fn finish(self, items: impl FnOnce(Vec<T>) -> ArrayRef) -> Result<ArrayRef> {
        let (lengths, items) = (OffsetBuffer::from_lengths(self.lengths), items(self.items));
        let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
        Ok(Arc::new(ListArray::try_new(field, lengths, items, None)?))
    }
}

/// The rows so far, by columns.
pub(super) struct Table {
    argument: ColumnType,
    shares: Vec<Share>,
    distinct: Vec<i64>,
    estimated: Vec<bool>,
    quantiles: Lists<f64>,
    /// Of dates and timestamps, as encoded.
    picks: Lists<i64>,
    top: Lists<i64>,
    top_texts: Lists<Box<str>>,
    top_counts: Lists<i64>,
    bounds: Lists<f64>,
    bins: Lists<i64>,
}

impl Table {
    pub(super) fn new(argument: ColumnType) -> Self {
        Table {
            argument,
            shares: Summary::SHARES.iter().filter_map(|share| Share::new(*share).ok()).collect(),
            distinct: Vec::new(),
            estimated: Vec::new(),
            quantiles: Lists::new(),
            picks: Lists::new(),
            top: Lists::new(),
            top_texts: Lists::new(),
            top_counts: Lists::new(),
            bounds: Lists::new(),
            bins: Lists::new(),
        }
    }

    pub(super) fn add_texts(&mut self, seen: &Seen<str>) {
        let counted = seen.counted();
        let (top, counts) = most_frequent(&counted);
        self.top_texts.push(top);
        self.add(&counted, counts, (Vec::new(), Vec::new()));
    }

    pub(super) fn add_fixed(&mut self, seen: &Seen<i64>) {
        let counted = seen.counted();
        let (top, counts) = most_frequent(&counted);
        self.top.push(top);
        let Some(fixed) = Fixed::new(self.argument) else { return };
        let ranks = Ranks::of(&counted);
        let (mut quantiles, mut picks, mut ranges) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
        match self.argument {
            ColumnType::Int64 | ColumnType::Float64 => {
                quantiles = self.shares.iter().filter_map(|share| ranks.between(*share, fixed)).collect();
                let float = |(value, count): &(i64, u64)| (fixed.float(*value).unwrap_or(*value as f64), *count);
                let values: Vec<(f64, u64)> = counted.pairs.iter().map(float).collect();
                ranges = nice(&values, Summary::RANGES, self.argument == ColumnType::Int64);
                ranges.1.iter_mut().for_each(|bin| *bin = scaled(bin.unsigned_abs(), &counted));
            }
            ColumnType::Date | ColumnType::Timestamp => {
                picks = self.shares.iter().filter_map(|share| ranks.pick(*share)).collect();
            }
            _ => {}
        }
        self.quantiles.push(quantiles);
        self.picks.push(picks);
        self.add(&counted, counts, ranges);
    }

    fn add<T>(&mut self, counted: &Counted<T>, counts: Vec<i64>, (bounds, bins): (Vec<f64>, Vec<i64>)) {
        self.distinct.push(counted.distinct);
        self.estimated.push(counted.estimated);
        self.top_counts.push(counts);
        self.bounds.push(bounds);
        self.bins.push(bins);
    }

    /// One list of one row for each group.
    pub(super) fn finish(self) -> Result<ArrayRef> {
        let (groups, argument) = (self.distinct.len(), self.argument);
        let numbers = |numbers: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(numbers)) };
        let doubles = |doubles: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(doubles)) };
        let empty = |item: DataType| {
            Lists::<i64> { items: Vec::new(), lengths: vec![0; groups] }.finish(|_| new_empty_array(&item))
        };
        let (quantiles, top) = match Fixed::new(argument) {
            None => {
                let texts = |texts: Vec<Box<str>>| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(texts)) };
                (empty(DataType::Float64)?, self.top_texts.finish(texts)?)
            }
            Some(fixed) => {
                let quantiles = match quantile_type(argument) {
                    DataType::Float64 => self.quantiles.finish(doubles)?,
                    _ => self.picks.finish(|values| fixed.decode(values, None))?,
                };
                (quantiles, self.top.finish(|values| fixed.decode(values, None))?)
            }
        };
        let columns: Vec<ArrayRef> = vec![
            numbers(self.distinct),
            Arc::new(BooleanArray::from(self.estimated)),
            quantiles,
            top,
            self.top_counts.finish(numbers)?,
            self.bounds.finish(doubles)?,
            self.bins.finish(numbers)?,
        ];
        let rows = StructArray::try_new(Summary::row(argument), columns, None)?;
        let one_each = OffsetBuffer::from_lengths(std::iter::repeat_n(1, groups));
        if rows.len() != groups {
            return Err(Error::internal("a summary without its row"));
        }
        Ok(Arc::new(ListArray::try_new(Summary::item(argument), one_each, Arc::new(rows), None)?))
    }
}

/// A count in a sample, as one of all values.
fn scaled<T>(count: u64, counted: &Counted<T>) -> i64 {
    if !counted.estimated {
        return count.cast_signed();
    }
    let drawn: u64 = counted.pairs.iter().map(|(_, count)| count).sum();
    let of_all = (u128::from(count) * u128::from(counted.values) + u128::from(drawn / 2)) / u128::from(drawn.max(1));
    i64::try_from(of_all).unwrap_or(i64::MAX)
}

/// The values that occur most often, of equally frequent ones the smallest first, and how often.
fn most_frequent<T: Clone>(counted: &Counted<T>) -> (Vec<T>, Vec<i64>) {
    let mut best: Vec<&(T, u64)> = Vec::new();
    for pair in counted.pairs.iter().filter(|(_, count)| *count > 1) {
        let at = best.partition_point(|other| other.1 >= pair.1);
        if at < Summary::TOP {
            best.insert(at, pair);
            best.truncate(Summary::TOP);
        }
    }
    best.into_iter().map(|(value, count)| (value.clone(), scaled(*count, counted))).unzip()
}

/// Values by their ranks.
struct Ranks {
    values: Vec<i64>,
    /// How many values are at or below each.
    ends: Vec<u64>,
}

impl Ranks {
    fn of(counted: &Counted<i64>) -> Self {
        let mut end = 0;
        let ends = counted.pairs.iter().map(|(_, count)| {
            end += count;
            end
        });
        Ranks { ends: ends.collect(), values: counted.pairs.iter().map(|(value, _)| *value).collect() }
    }

    fn number(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The value of a rank, counted from 0.
    fn at(&self, rank: u64) -> Option<i64> {
        self.values.get(self.ends.partition_point(|end| *end <= rank)).copied()
    }

    fn between(&self, share: Share, fixed: Fixed) -> Option<f64> {
        let (whole, rest) = share.times(self.number().checked_sub(1)?);
        let low = self.at(whole)?;
        let high = if rest == 0 { low } else { self.at(whole + 1)? };
        Some(share.between(fixed, low, high, rest))
    }

    fn pick(&self, share: Share) -> Option<i64> {
        let (whole, rest) = share.times(self.number());
        self.at((whole + u64::from(rest > 0)).saturating_sub(1))
    }
}
