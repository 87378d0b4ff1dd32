//! `approx_top_k`: values that are frequent, how often about, and within which bounds.
//!
//! **Idea.** The sample of rows that `approx_quantile` takes depends on no order either. Of a value with a share p of all rows, the
//! share q of a random sample of n obeys, by Chernoff's bound with Hoeffding's extension to draws without replacement ("Probability
//! Inequalities for Sums of Bounded Random Variables", 1963), P(n · KL(q, p) ≥ t) ≤ 2 exp(−t), where KL is the relative entropy of
//! the two. With t = ln(2 / (δ p)), that is at most δ p; and these add up to δ over all values, however many there are. So but once
//! in 1 / δ, the p of *every* value lie among those with n · KL(q, p) < ln(2 / (δ p)), which are told as bounds.

use super::hash::of_row;
use super::sample::{Kept, SIZE, Sample};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::store::{
    Store, column, for_each_live, live_rows, not_an_export, read_view_bytes, typed, view_bytes_column,
};
use crate::aggregate::{Aggregate, Constant, Exactness, GroupStates, Makes, Rows, wrong_arguments};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Int64Array, ListArray, StringViewArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::ops::Range;
use std::sync::Arc;

/// So many values a group at most: with far fewer than 32 rows of the sample each, bounds tell little.
const MOST: usize = 1000;
/// The bounds hold but once in so many.
const ONCE_IN: f64 = 1e6;

/// About the most frequent values of a column, most frequent first and of equally frequent ones the smallest first: rows of
/// `value`, `count`, `lower` and `upper`. Exact over at most 32,768 values of a group; over more, from a random sample of so
/// many, whatever the order of the rows. With a probability of all but one in a million, the counts of all values lie within
/// their bounds: within about 1 % of all rows at a share of 10 %, and 0.1 % for the rarest. No row over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApproxFrequent {
    values: usize,
}

impl ApproxFrequent {
    /// So many values.
    ///
    /// # Errors
    /// `Type` unless that is a whole number from 1 to 1,000.
    pub fn new(values: f64) -> Result<Self> {
        if values.fract() == 0.0 && (1.0..=MOST as f64).contains(&values) {
            return Ok(ApproxFrequent { values: values as usize });
        }
        Err(Error::new(ErrorKind::Type, format!("`approx_top_k` gives from 1 to {MOST} values a group, not {values}")))
    }

    fn row(value: &DataType) -> Fields {
        let count = |name: &str| Field::new(name, DataType::Int64, true);
        Fields::from(vec![Field::new("value", value.clone(), true), count("count"), count("lower"), count("upper")])
    }

    fn item(value: &DataType) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(ApproxFrequent::row(value)), true))
    }
}

impl Aggregate for ApproxFrequent {
    fn name(&self) -> &str {
        "approx_top_k"
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::Number(self.values as f64)]
    }

    fn most_state_bytes(&self) -> usize {
        Sample::<Box<str>>::MOST_BYTES
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match any_argument(self, arguments)? {
            ColumnType::List(_) => Err(wrong_arguments(self, "one column of single values", arguments)),
            known => Ok(DataType::List(ApproxFrequent::item(&known.arrow()))),
        }
    }

    fn uses_identities(&self) -> bool {
        true
    }

    fn exactness(&self) -> Exactness {
        Exactness::Approximate
    }

    fn order_sensitive(&self) -> bool {
        true
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        let argument = any_argument(self, arguments)?;
        Ok(match Fixed::new(argument) {
            Some(_) => Box::new(Samples::<i64>::new(*self, argument)),
            None => Box::new(Samples::<Box<str>>::new(*self, argument)),
        })
    }
}

/// What is kept of a row, from a column and back.
trait Item: Kept {
    /// The value of each row that has one.
    fn values(column: &ArrayRef, argument: ColumnType) -> Result<impl Fn(usize) -> Self>;
    fn column(items: Vec<Self>, argument: ColumnType) -> ArrayRef;
}

impl Item for i64 {
    fn values(column: &ArrayRef, argument: ColumnType) -> Result<impl Fn(usize) -> Self> {
        let values = fixed(argument)?.encode(column)?;
        Ok(move |row: usize| values[row])
    }

    fn column(items: Vec<Self>, argument: ColumnType) -> ArrayRef {
        match Fixed::new(argument) {
            Some(fixed) => fixed.decode(items, None),
            None => new_empty_array(&argument.arrow()),
        }
    }
}

impl Item for Box<str> {
    fn values(column: &ArrayRef, argument: ColumnType) -> Result<impl Fn(usize) -> Self> {
        // Of a column without values nothing is asked.
        let texts = match argument {
            ColumnType::Utf8 => typed::<StringViewArray>(std::slice::from_ref(column), 0)?.clone(),
            _ => StringViewArray::new_null(column.len()),
        };
        Ok(move |row: usize| texts.value(row).into())
    }

    fn column(items: Vec<Self>, argument: ColumnType) -> ArrayRef {
        match argument {
            ColumnType::Utf8 => Arc::new(items.into_iter().map(Some).collect::<StringViewArray>()),
            _ => new_empty_array(&argument.arrow()),
        }
    }
}

fn fixed(argument: ColumnType) -> Result<Fixed> {
    Fixed::new(argument).ok_or_else(|| Error::internal("a column of no fixed width"))
}

struct Samples<V> {
    samples: Vec<Sample<V>>,
    /// Rows with a value, by group.
    rows: Vec<u64>,
    /// Behind the samples.
    bytes: usize,
    most: ApproxFrequent,
    argument: ColumnType,
}

/// A value with its count and bounds.
type Told<V> = (V, [i64; 3]);

impl<V: Item> Samples<V> {
    fn new(most: ApproxFrequent, argument: ColumnType) -> Self {
        Samples { samples: Vec::new(), rows: Vec::new(), bytes: 0, most, argument }
    }

    #[inline]
    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sample<V>)) {
        let sample = &mut self.samples[group];
        self.bytes -= sample.bytes_held();
        change(sample);
        self.bytes += sample.bytes_held();
    }

    /// The most frequent values of a group.
    fn told(&self, group: usize) -> Vec<Told<V>> {
        let mut values: Vec<V> = self.samples[group].entries().into_iter().map(|(_, value)| value).collect();
        let (drawn, rows) = (values.len() as u64, self.rows[group]);
        values.sort_unstable();
        let mut counted: Vec<(u64, V)> = Vec::new();
        for value in values {
            match counted.last_mut() {
                Some((count, last)) if *last == value => *count += 1,
                _ => counted.push((1, value)),
            }
        }
        // The order of the values stays where counts are equal.
        counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        counted.truncate(self.most.values);
        let told = |(count, value)| (value, bounds(count, drawn, rows).map(u64::cast_signed));
        counted.into_iter().map(told).collect()
    }
}

/// The estimate for all `rows`, and bounds, of a value that `count` of `drawn` rows have.
fn bounds(count: u64, drawn: u64, rows: u64) -> [u64; 3] {
    if drawn >= rows {
        return [count; 3];
    }
    let (n, all) = (drawn as f64, rows as f64);
    let q = count as f64 / n;
    // How far the sample is from what a share p makes it, less how far that may be.
    let too_far = |p: f64| n * entropy(q, p) - libm::log(2.0 * ONCE_IN / p);
    let (mut lower, mut upper) = (0.0, 1.0);
    let (mut below, mut above) = (q, q);
    for _ in 0..60 {
        let (low, high) = (f64::midpoint(lower, below), f64::midpoint(above, upper));
        *(if too_far(low) > 0.0 { &mut lower } else { &mut below }) = low;
        *(if too_far(high) > 0.0 { &mut upper } else { &mut above }) = high;
    }
    let estimate = (u128::from(count) * u128::from(rows) + u128::from(drawn) / 2) / u128::from(drawn);
    // The rows of the sample are known.
    let lower = ((lower * all).floor() as u64).max(count);
    let upper = ((upper * all).ceil() as u64).min(rows - (drawn - count));
    [estimate as u64, lower, upper]
}

/// The relative entropy of two shares, in natural units.
fn entropy(q: f64, p: f64) -> f64 {
    let part = |q: f64, p: f64| if q == 0.0 { 0.0 } else { q * libm::log(q / p) };
    part(q, p) + part(1.0 - q, 1.0 - p)
}

impl<V: Item> Store for Samples<V> {
    fn grow(&mut self, groups: usize) {
        self.samples.resize_with(groups.max(self.samples.len()), Sample::default);
        self.rows.resize(self.samples.len(), 0);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let column = column(arguments, 0)?;
        let (value, live) = (V::values(column, self.argument)?, live_rows(rows, Some(column)));
        for_each_live(column.len(), live.as_ref(), |row| {
            let (group, hash) = (rows.groups.of(row), of_row(rows.origin.row_id(row)));
            self.rows[group] += 1;
            if self.samples[group].may_want(hash) {
                self.change(group, |sample| sample.add((hash, value(row))));
            }
        });
        Ok(())
    }

    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, into) in pairs {
            self.rows[into] += other.rows[from];
            self.change(into, |sample| sample.merge(&other.samples[from]));
        }
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let bytes = |group: usize| [&self.rows[group].to_le_bytes(), &*self.samples[group].to_bytes()].concat();
        Ok(vec![view_bytes_column(groups.map(bytes))?])
    }

    fn read(&self, columns: &[ArrayRef]) -> Result<Self> {
        let mut read = Samples::new(self.most, self.argument);
        for bytes in read_view_bytes::<Self>(columns, 0)? {
            let (rows, sample) = bytes.split_first_chunk().ok_or_else(not_an_export::<Self>)?;
            let sample = Sample::read(sample).ok_or_else(not_an_export::<Self>)?;
            read.bytes += sample.bytes_held();
            read.samples.push(sample);
            read.rows.push(u64::from_le_bytes(*rows));
        }
        Ok(read)
    }

    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef> {
        let told: Vec<Vec<Told<V>>> = groups.map(|group| self.told(group)).collect();
        let lengths = OffsetBuffer::from_lengths(told.iter().map(Vec::len));
        let (values, counts): (Vec<V>, Vec<[i64; 3]>) = told.into_iter().flatten().unzip();
        let mut columns = vec![V::column(values, self.argument)];
        columns.extend((0..3).map(|at| Arc::new(counts.iter().map(|own| own[at]).collect::<Int64Array>()) as ArrayRef));
        let value = self.argument.arrow();
        let rows = StructArray::try_new(ApproxFrequent::row(&value), columns, None)?;
        Ok(Arc::new(ListArray::try_new(ApproxFrequent::item(&value), lengths, Arc::new(rows), None)?))
    }

    fn bytes_held(&self) -> usize {
        self.samples.capacity() * size_of::<Sample<V>>() + self.rows.capacity() * size_of::<u64>() + self.bytes
    }
}

const _: () = assert!(SIZE >= 32 * MOST);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::GroupIds;
    use crate::batch::RowOrigin;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use std::collections::HashMap;

    /// Values with counts and bounds, of rows in this order.
    fn found(values: &[i64], most: usize) -> Vec<[i64; 4]> {
        let aggregate = ApproxFrequent::new(most as f64).unwrap();
        let mut states = aggregate.states(&[DataType::Int64]).unwrap();
        states.grow(1);
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let rows = Rows { groups: GroupIds::One(values.len()), mask: None, origin: &RowOrigin::consecutive(0) };
        states.update(&[column], &rows).unwrap();
        let lists = states.finish(0..1).unwrap();
        let rows = lists.as_list::<i32>().value(0);
        let columns: Vec<Int64Array> =
            rows.as_struct().columns().iter().map(|column| column.as_primitive::<Int64Type>().clone()).collect();
        (0..rows.as_struct().column(0).len()).map(|row| [0, 1, 2, 3].map(|at| columns[at].value(row))).collect()
    }

    #[test]
    fn counts_stay_within_their_bounds_in_orders_that_hurt_sketches() {
        const ROWS: usize = 200_000;
        // A few frequent values, some of middling frequency, and many that occur once or twice.
        let mut sorted: Vec<i64> = Vec::with_capacity(ROWS);
        for (value, count) in [(7, 40_000), (3, 20_000), (-5, 19_000), (11, 2_000), (12, 1_900), (99, 400)] {
            sorted.extend(std::iter::repeat_n(value, count));
        }
        let rest = ROWS - sorted.len();
        sorted.extend((0..rest).map(|at| 1_000 + at as i64 / 2));
        let mut exact: HashMap<i64, i64> = HashMap::new();
        sorted.iter().for_each(|value| *exact.entry(*value).or_default() += 1);
        type Order = fn(usize) -> usize;
        let orders: [(&str, Order); 5] = [
            ("as counted", |row| row),
            ("the rare first", |row| ROWS - 1 - row),
            ("from both ends", |row| if row % 2 == 0 { row / 2 } else { ROWS - 1 - row / 2 }),
            ("sawtooth", |row| row * 441 % ROWS),
            ("multiples of the position", |row| row * 65_537 % ROWS),
        ];
        for (name, order) in orders {
            let values: Vec<i64> = (0..ROWS).map(|row| sorted[order(row)]).collect();
            let told = found(&values, 200);
            assert_eq!(told.len(), 200);
            assert_eq!(told[0][0], 7, "{name}");
            assert!([[3, -5], [-5, 3]].contains(&[told[1][0], told[2][0]]), "{name}");
            for [value, count, lower, upper] in &told {
                let exact = exact[value];
                assert!(
                    (*lower..=*upper).contains(&exact),
                    "{name}: {value} occurs {exact} times, not {lower} to {upper}"
                );
                assert!(lower <= count && count <= upper, "{name}: {value}");
            }
            // Within 1.3 % of all rows at a fifth of them, and 0.1 % where there are few.
            let width = |at: usize| (told[at][3] - told[at][2]) as f64 / ROWS as f64;
            assert!(width(0) < 0.026 && width(199) < 0.0025, "{name}: {} {}", width(0), width(199));
        }
    }

    #[test]
    fn bounds_are_no_wider_than_needed_and_exact_where_all_rows_are_known() {
        assert_eq!(bounds(5, 100, 100), [5, 5, 5]);
        let [estimate, lower, upper] = bounds(3_277, 32_768, 1_000_000);
        assert_eq!(estimate, 100_006);
        assert!((88_000..93_000).contains(&lower) && (107_000..112_000).contains(&upper), "{lower} {upper}");
        assert_eq!(bounds(32_768, 32_768, 32_769), [32_769, 32_768, 32_769]);
        assert!(bounds(1, 32_768, 1_000_000)[1] >= 1);
    }
}
