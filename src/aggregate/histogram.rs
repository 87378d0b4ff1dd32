//! `histogram`: how many values lie in each of some ranges, one row a range.
//!
//! **Problem.** Good ranges are known only when the smallest and the largest value are, after the pass.
//! **Idea.** Values are counted in the *cells* of a decimal grid, [j·10ᵏ, (j + 1)·10ᵏ). When they span too many cells, ten
//! are made one. The grid depends on the extremes alone, and the counts on the grid, so order does not matter; and at the
//! end there are cells enough for ranges of 1, 2 or 5 times a power of ten to be made of whole ones.

mod cells;

use super::fixed::Fixed;
use super::interpolate::between_floats;
use super::store::{Store, column, for_each_live, live_rows, not_an_export, read_view_bytes, view_bytes_column};
use super::sum::numeric_argument;
use super::{Aggregate, Constant, Exactness, GroupStates, Makes, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use cells::{Cells, Table, cell};
use std::ops::Range;
use std::sync::Arc;

/// So many ranges at most.
const MOST: usize = 1000;

/// Counts of numbers, as doubles, Booleans as 0 and 1, in adjacent ranges: rows of `lower`, `upper` and `count`, ascending,
/// empty ranges included. A value belongs to the range whose lower bound it has. What lies below all ranges, or above them
/// (NaN included), has a row without that bound, if there is any. No row over no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Histogram {
    /// At most so many ranges, whose width is 1, 2 or 5 times a power of ten and whose bounds are multiples of it, over all
    /// finite values; of integers, at least 1 wide.
    Nice(usize),
    /// Equal ranges from `low` to `high`, which belongs to the last.
    Between {
        /// Lower bound of the first range.
        low: f64,
        /// Upper bound of the last.
        high: f64,
        /// Number of ranges.
        ranges: usize,
    },
}

impl Histogram {
    /// At most so many ranges with round bounds.
    ///
    /// # Errors
    /// `Type` unless that is a whole number from 1 to 1,000.
    pub fn nice(ranges: f64) -> Result<Self> {
        number_of_ranges(ranges).map(Histogram::Nice)
    }

    /// So many ranges of equal width between bounds.
    ///
    /// # Errors
    /// `Type` unless the bounds are finite and ascend, and the number is a whole one from 1 to 1,000.
    pub fn between(low: f64, high: f64, ranges: f64) -> Result<Self> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            let message = format!("a histogram's bounds ascend, and {low} and {high} do not");
            return Err(Error::new(ErrorKind::Type, message).hint("such as histogram(x, 0, 100, 20)"));
        }
        Ok(Histogram::Between { low, high, ranges: number_of_ranges(ranges)? })
    }

    fn row() -> Fields {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        Fields::from(vec![number("lower"), number("upper"), Field::new("count", DataType::Int64, true)])
    }

    fn item() -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(Histogram::row()), true))
    }

    /// More cells than this become fewer.
    fn most_cells(self) -> i64 {
        match self {
            // So many that ten times as wide ones are as narrow as any range may be.
            Histogram::Nice(ranges) => 10 * ranges as i64 + 20,
            Histogram::Between { ranges, .. } => ranges as i64,
        }
    }
}

fn number_of_ranges(ranges: f64) -> Result<usize> {
    if ranges.fract() == 0.0 && (1.0..=MOST as f64).contains(&ranges) {
        return Ok(ranges as usize);
    }
    Err(Error::new(ErrorKind::Type, format!("`histogram` has from 1 to {MOST} ranges, not {ranges}")))
}

/// Bounds and counts of at most so many ranges with round bounds, of finite values and how often each occurs.
pub(super) fn nice(values: &[(f64, u64)], ranges: usize, whole: bool) -> (Vec<f64>, Vec<i64>) {
    let mut cells = Cells::default();
    let finite = || values.iter().filter(|(value, _)| value.is_finite());
    let extremes = finite()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), (value, _)| (least.min(*value), most.max(*value)));
    if extremes.0 > extremes.1 {
        return (Vec::new(), Vec::new());
    }
    cells.cover(extremes.0, extremes.1, Histogram::Nice(ranges).most_cells(), whole);
    for (value, count) in finite() {
        cells.counts[(cell(*value, cells.k) - cells.first) as usize] += count;
    }
    let mut table = Table::default();
    cells.nice(ranges, &mut table);
    let last = table.upper.last().copied();
    (table.lower.into_iter().chain(last).flatten().collect(), table.counts)
}

impl Aggregate for Histogram {
    fn name(&self) -> &str {
        "histogram"
    }

    fn constants(&self) -> Vec<Constant> {
        match *self {
            Histogram::Nice(ranges) => vec![Constant::Number(ranges as f64)],
            Histogram::Between { low, high, ranges } => {
                [low, high, ranges as f64].into_iter().map(Constant::Number).collect()
            }
        }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        numeric_argument(self, arguments).map(|_| DataType::List(Histogram::item()))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn most_state_bytes(&self) -> usize {
        size_of::<Cells>() + 2 * self.most_cells() as usize * size_of::<u64>()
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let known = numeric_argument(self, arguments)?;
        Ok(Box::new(Histograms::new(*self, Fixed::new(known), known != ColumnType::Float64)))
    }
}

struct Histograms {
    groups: Vec<Cells>,
    /// Behind the groups.
    bytes: usize,
    histogram: Histogram,
    /// Of ranges between given bounds, these.
    edges: Vec<f64>,
    argument: Option<Fixed>,
    /// Whether all values are whole numbers.
    whole: bool,
}

impl Histograms {
    fn new(histogram: Histogram, argument: Option<Fixed>, whole: bool) -> Self {
        let edges = match histogram {
            Histogram::Nice(_) => Vec::new(),
            Histogram::Between { low, high, ranges } => {
                let ranges = ranges as u64;
                (0..ranges).map(|at| between_floats(low, high, at, ranges)).chain([high]).collect()
            }
        };
        Histograms { groups: Vec::new(), bytes: 0, histogram, edges, argument, whole }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Cells)) {
        let cells = &mut self.groups[group];
        self.bytes -= cells.bytes_held();
        change(cells);
        self.bytes += cells.bytes_held();
    }

    fn add(&mut self, group: usize, value: f64) {
        let (histogram, whole) = (self.histogram, self.whole);
        let edges = std::mem::take(&mut self.edges);
        self.change(group, |cells| match histogram {
            Histogram::Nice(_) if !value.is_finite() => {
                *if value < 0.0 { &mut cells.below } else { &mut cells.above } += 1
            }
            Histogram::Nice(_) => {
                cells.cover(value, value, histogram.most_cells(), whole);
                cells.counts[(cell(value, cells.k) - cells.first) as usize] += 1;
            }
            Histogram::Between { low, .. } if value < low => cells.below += 1,
            Histogram::Between { high, .. } if value > high || value.is_nan() => cells.above += 1,
            Histogram::Between { ranges, .. } => {
                cells.counts.resize(ranges, 0);
                let at = edges.partition_point(|edge| *edge <= value);
                cells.counts[at.saturating_sub(1).min(ranges - 1)] += 1;
            }
        });
        self.edges = edges;
    }

    fn merge_cells(&mut self, group: usize, other: &Cells) {
        let (histogram, whole) = (self.histogram, self.whole);
        self.change(group, |cells| {
            cells.below += other.below;
            cells.above += other.above;
            if other.counts.is_empty() {
                return;
            }
            match histogram {
                Histogram::Nice(_) => cells.cover(other.least, other.most, histogram.most_cells(), whole),
                Histogram::Between { ranges, .. } => cells.counts.resize(ranges, 0),
            }
            cells.add_counts(other.k, other.first, &other.counts);
        });
    }
}

impl Store for Histograms {
    fn grow(&mut self, groups: usize) {
        self.groups.resize(groups.max(self.groups.len()), Cells::default());
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let Some(argument) = self.argument else { return Ok(()) };
        let column = column(arguments, 0)?;
        let (values, live) = (argument.encode(column)?, live_rows(rows, Some(column)));
        for_each_live(values.len(), live.as_ref(), |row| {
            self.add(rows.groups.of(row), argument.float(values[row]).unwrap_or(values[row] as f64));
        });
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.merge_cells(into, &other.groups[from]);
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Ok(vec![view_bytes_column(self.groups[groups].iter().map(Cells::to_bytes))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = Histograms::new(self.histogram, self.argument, self.whole);
        let cells = |bytes: &[u8]| {
            let most = self.histogram.most_cells() as usize;
            Cells::read(bytes).filter(|cells| cells.counts.len() <= most).ok_or_else(not_an_export::<Self>)
        };
        read.groups = read_view_bytes::<Self>(columns, 0)?.into_iter().map(cells).collect::<Result<_>>()?;
        read.bytes = read.groups.iter().map(Cells::bytes_held).sum();
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let (mut table, mut lengths) = (Table::default(), Vec::with_capacity(groups.len()));
        for cells in &self.groups[groups] {
            let before = table.counts.len();
            match self.histogram {
                Histogram::Nice(ranges) => cells.nice(ranges, &mut table),
                Histogram::Between { .. } => cells.between(&self.edges, &mut table),
            }
            lengths.push(table.counts.len() - before);
        }
        let Table { lower, upper, counts } = table;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(lower)),
            Arc::new(Float64Array::from(upper)),
            Arc::new(Int64Array::from(counts)),
        ];
        let rows = StructArray::try_new(Histogram::row(), columns, None)?;
        let lengths = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Histogram::item(), lengths, Arc::new(rows), None)?))
    }

    fn bytes_held(&self) -> usize {
        self.groups.capacity() * size_of::<Cells>() + self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f64], ranges: usize) -> Vec<(f64, f64, i64)> {
        let mut states = Histograms::new(Histogram::Nice(ranges), Fixed::new(ColumnType::Float64), false);
        Store::grow(&mut states, 1);
        values.iter().for_each(|value| states.add(0, *value));
        let mut table = Table::default();
        states.groups[0].nice(ranges, &mut table);
        let bounds = table.lower.iter().zip(&table.upper).zip(&table.counts);
        bounds.map(|((lower, upper), count)| (lower.unwrap_or(-1e9), upper.unwrap_or(1e9), *count)).collect()
    }

    #[test]
    fn bounds_are_round_and_belong_to_what_lies_above_them() {
        assert_eq!(rows(&[0.1, 0.2, 0.3, 0.3, 0.45], 5), [(0.1, 0.2, 1), (0.2, 0.3, 1), (0.3, 0.4, 2), (0.4, 0.5, 1)]);
        assert_eq!(
            rows(&[3.0, 17.0, 4.0, 39.9], 4),
            [(0.0, 10.0, 2), (10.0, 20.0, 1), (20.0, 30.0, 0), (30.0, 40.0, 1)]
        );
        assert_eq!(rows(&[-1.0, 1e9 - 1.0], 1), [(-1e9, 0.0, 1), (0.0, 1e9, 1)]);
        assert_eq!(rows(&[1e9 + 0.25, 1e9 + 0.75], 2), [(1e9, 1e9 + 0.5, 1), (1e9 + 0.5, 1e9 + 1.0, 1)]);
        assert_eq!(rows(&[f64::NEG_INFINITY, 5.0, f64::NAN], 3), [(-1e9, 5.0, 1), (5.0, 6.0, 1), (6.0, 1e9, 1)]);
        assert_eq!(rows(&[0.0, 0.0], 3), [(0.0, 1.0, 2)]);
        assert_eq!(rows(&[0.0, 2e-6], 2), [(0.0, 2e-6, 1), (2e-6, 4e-6, 1)]);
        let wide = rows(&[-1.7e308, 1.7e308, 5e-324, 1e-300], 8);
        assert_eq!((wide.len(), wide.iter().map(|(_, _, count)| count).sum()), (8, 4));
    }

    /// Widths are the smallest round ones that give at most so many ranges.
    #[test]
    fn any_values_are_counted_once_in_as_many_ranges_as_fit() {
        let mut seed = 7u64;
        for round in 0..300 {
            let mut next = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 11) as f64 / (1u64 << 53) as f64
            };
            let (scale, offset) = (10f64.powf(next() * 12.0 - 6.0), (next() - 0.5) * 10f64.powf(next() * 8.0));
            let values: Vec<f64> = (0..40).map(|_| offset + next() * scale).collect();
            let ranges = 1 + round % 30;
            let found = rows(&values, ranges);
            assert!(found.len() <= ranges.max(2) && (ranges < 6 || found.len() * 3 >= ranges), "{found:?}");
            for (lower, upper, count) in found {
                let inside = values.iter().filter(|value| (lower..upper).contains(value)).count();
                assert_eq!(inside as i64, count, "{lower}..{upper}");
            }
        }
    }
}
