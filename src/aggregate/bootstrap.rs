//! `bootstrap(mean(x), 1000)`: how far an aggregate would stray if other rows had been drawn, found in the same pass.
//!
//! The bootstrap (Efron, 1979) computes the aggregate of many samples with replacement. Each sample is told by how often it
//! has each row; drawn independently, such a weight is Poisson distributed with mean 1 (the Poisson bootstrap; Chamandy et
//! al., "Estimating Uncertainty for Massive Data Streams", 2012). So a row can be given its weights when it comes, by hashes
//! of its identity, the replicate and the seed, whoever reads it. Unlike multinomial weights these do not add up to the number
//! of rows: errors of means and of other ratios come out the same but for a share of about 1/n, while counts and sums vary with
//! the number of rows, as they do where that is a matter of chance too.

mod sums;
mod weights;

use super::rounding::NAN;
use super::store::{for_each_live, live_rows, not_an_export};
use super::{Aggregate, Exactness, GroupIds, GroupStates, Makes, Rows};
use crate::batch::RowOrigin;
use crate::batch::hash::{Purpose, RowHash};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Field, Fields, Float64Type};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use sums::{LEAST_ROWS, MOST_ROWS, Summed, Sums};
use weights::draw;

/// What rows with weights can be given to as often as they weigh.
const TAKEN: [&str; 13] = [
    "count",
    "sum",
    "mean",
    "var",
    "std",
    "var_pop",
    "std_pop",
    "cov",
    "cov_pop",
    "corr",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
];
const MOST_REPLICATES: u32 = 100_000;
/// Rows that are repeated at a time.
const REPEATED_ROWS: usize = 64;
/// Shares of replicates that lie below the lower and the upper bound.
const BOUNDS: [f64; 2] = [0.025, 0.975];

/// Another aggregate over all rows, and over replicates of them. Makes one row: `estimate` over all rows, `std_error`, the
/// standard deviation of the replicates, and `lower` and `upper`, between which lie 95 % of them.
///
/// A group takes the memory of as many states of the other aggregate as there are replicates, and one more; a row as many
/// updates.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    inner: Arc<dyn Aggregate>,
    replicates: u32,
    seed: u64,
}

impl Bootstrap {
    /// So many replicates of `inner`; another seed draws others.
    ///
    /// # Errors
    /// `Type` unless `inner` is one of `count`, `sum`, `mean`, `var`, `std`, `cov`, `corr` and their relatives, and there are 2 to
    /// 100,000 replicates.
    pub fn new(inner: Arc<dyn Aggregate>, replicates: u32, seed: u64) -> Result<Self> {
        if !TAKEN.contains(&inner.name()) {
            let message = format!("`bootstrap` does not take `{}`", inner.name());
            return Err(Error::new(ErrorKind::Type, message).hint(format!("it takes {}", TAKEN.join(", "))));
        }
        if !(2..=MOST_REPLICATES).contains(&replicates) {
            let message = format!("`bootstrap` makes 2 to {MOST_REPLICATES} replicates, not {replicates}");
            return Err(Error::new(ErrorKind::Type, message).hint("1000 are usual"));
        }
        Ok(Bootstrap { inner, replicates, seed })
    }

    fn replicates(&self, arguments: &[DataType]) -> Result<Replicates> {
        let inner = self.inner.states(arguments)?;
        Ok(Replicates {
            summed: Summed::of(&*self.inner, arguments, &*inner)?,
            inner,
            each: self.states_a_group(),
            groups: 0,
            hash: RowHash::new(self.seed, Purpose::Bootstrap),
        })
    }

    /// States of the other aggregate for each group: that of all rows, and those of replicates.
    fn states_a_group(&self) -> usize {
        self.replicates as usize + 1
    }
}

fn fields() -> Fields {
    ["estimate", "std_error", "lower", "upper"]
        .into_iter()
        .map(|name| Field::new(name, DataType::Float64, true))
        .collect()
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

impl Aggregate for Bootstrap {
    fn name(&self) -> &str {
        "bootstrap"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.output_type(arguments)?;
        Ok(DataType::List(item()))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Approximate
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn is_built_in(&self) -> bool {
        self.inner.is_built_in()
    }

    fn opening(&self) -> String {
        format!("bootstrap({}", self.inner.opening())
    }

    fn suffix(&self) -> String {
        let seed = if self.seed == 0 { String::new() } else { format!(", {}", self.seed) };
        format!("{}, {}{seed})", self.inner.suffix(), self.replicates)
    }

    fn order_sensitive(&self) -> bool {
        true
    }

    fn uses_identities(&self) -> bool {
        true
    }

    fn most_state_bytes(&self) -> usize {
        self.states_a_group() * self.inner.most_state_bytes()
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(Box::new(self.replicates(arguments)?))
    }
}

/// The states of group `g` of the other aggregate are its groups from `g * each` on: that of all rows, then replicates.
struct Replicates {
    inner: Box<dyn GroupStates>,
    /// What it sums, if it does nothing else.
    summed: Option<Summed>,
    each: usize,
    groups: usize,
    hash: RowHash,
}

impl Replicates {
    fn fits(&self) -> bool {
        u32::try_from(self.groups * self.each).is_ok()
    }

    fn spread(&self, groups: &[u32]) -> Vec<u32> {
        let each = self.each as u32;
        groups.iter().flat_map(|group| group * each..(group + 1) * each).collect()
    }

    /// Whether all replicates have a number; otherwise they have no states.
    ///
    /// # Errors
    /// `Limit` when they have none.
    fn check(&self) -> Result<()> {
        if self.fits() {
            return Ok(());
        }
        let message = format!("{} groups are too many for {} replicates each", self.groups, self.each - 1);
        Err(Error::new(ErrorKind::Limit, message).hint("make fewer replicates, or fewer groups"))
    }

    /// Gives the rows `chosen` to the groups `ids`, one each.
    fn give(&mut self, arguments: &[ArrayRef], chosen: Vec<u32>, ids: &[u32]) -> Result<()> {
        let chosen = UInt32Array::from(chosen);
        let arguments = arguments.iter().map(|own| Ok(take(own, &chosen, None)?)).collect::<Result<Vec<_>>>()?;
        let origin = RowOrigin::consecutive(0);
        self.inner.update(&arguments, &Rows { groups: GroupIds::Each(ids), mask: None, origin: &origin })
    }
}

/// A row that is given to replicates.
#[derive(Clone, Copy)]
struct Drawn {
    row: u32,
    /// The state of all rows of its group.
    first: u32,
    hash: u64,
}

impl Replicates {
    /// Gives rows to replicates as often as they weigh.
    fn repeat(&mut self, arguments: &[ArrayRef], drawn: &[Drawn]) -> Result<()> {
        let mut weights = vec![0; self.each - 1];
        for drawn in drawn.chunks(REPEATED_ROWS) {
            let (mut chosen, mut ids) = (Vec::new(), Vec::new());
            for Drawn { row, first, hash } in drawn {
                draw(*hash, &mut weights);
                for (weight, replicate) in weights.iter().zip(first + 1..) {
                    chosen.extend(std::iter::repeat_n(*row, usize::from(*weight)));
                    ids.extend(std::iter::repeat_n(replicate, usize::from(*weight)));
                }
            }
            self.give(arguments, chosen, &ids)?;
        }
        Ok(())
    }

    /// Adds the values of rows, and returns those that it leaves to others.
    fn sum(&mut self, summed: Summed, column: &ArrayRef, mut drawn: Vec<Drawn>) -> Result<Vec<Drawn>> {
        let nulls = column.logical_nulls();
        drawn.retain(|drawn| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(drawn.row as usize)));
        drawn.sort_by_key(|drawn| drawn.first);
        let values = summed.values(column)?;
        let replicates = self.each - 1;
        let (mut sums, mut others) = (Sums::default(), Vec::new());
        for group in drawn.chunk_by(|a, b| a.first == b.first).flat_map(|group| group.chunks(MOST_ROWS)) {
            let row = |drawn: &Drawn| values[drawn.row as usize].map(|value| (drawn.hash, value));
            let rows: Vec<(u64, i128)> = group.iter().filter_map(row).collect();
            if rows.len() < LEAST_ROWS {
                others.extend_from_slice(group);
                continue;
            }
            others.extend(group.iter().filter(|drawn| values[drawn.row as usize].is_none()));
            let (sums, counts) = sums.of(&rows, replicates);
            let first = group[0].first + 1;
            let map: Vec<u32> = (first..first + replicates as u32).collect();
            self.inner.import(&summed.states(&sums, counts)?, &map)?;
        }
        Ok(others)
    }
}

impl GroupStates for Replicates {
    fn grow(&mut self, groups: usize) {
        self.groups = groups.max(self.groups);
        if self.fits() {
            self.inner.grow(self.groups * self.each);
        }
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        self.check()?;
        let live = live_rows(rows, None);
        let mut drawn = Vec::with_capacity(rows.groups.rows());
        for_each_live(rows.groups.rows(), live.as_ref(), |row| {
            let first = (rows.groups.of(row) * self.each) as u32;
            drawn.push(Drawn { row: row as u32, first, hash: self.hash.of(rows.origin.row_id(row)) });
        });
        let firsts: Vec<u32> = drawn.iter().map(|drawn| drawn.first).collect();
        self.give(arguments, drawn.iter().map(|drawn| drawn.row).collect(), &firsts)?;
        let others = match self.summed {
            Some(summed) => self.sum(summed, &arguments[0], drawn)?,
            None => drawn,
        };
        self.repeat(arguments, &others)
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        let other = same(self, other)?;
        self.check()?;
        let map = self.spread(map);
        self.inner.merge(&*other.inner, &map)
    }

    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        let other = same(self, other)?;
        self.check()?;
        let (from, into) = (self.spread(from), self.spread(into));
        self.inner.merge_some(&*other.inner, &from, &into)
    }

    /// Lists of as many states as a group has.
    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.check()?;
        let lengths = || OffsetBuffer::from_lengths(groups.clone().map(|_| self.each));
        let states = self.inner.export(groups.start * self.each..groups.end * self.each)?;
        let list = |states: ArrayRef| {
            let item = Arc::new(Field::new_list_field(states.data_type().clone(), true));
            Ok(Arc::new(ListArray::try_new(item, lengths(), states, None)?) as ArrayRef)
        };
        states.into_iter().map(list).collect()
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        let states = |column: &ArrayRef| -> Result<ArrayRef> {
            let lists = column.as_list_opt::<i32>().ok_or_else(not_an_export::<Self>)?;
            if lists.len() != map.len() || (0..lists.len()).any(|group| lists.value_length(group) as usize != self.each)
            {
                return Err(not_an_export::<Self>());
            }
            let parts: Vec<ArrayRef> = (0..lists.len()).map(|group| lists.value(group)).collect();
            match parts.as_slice() {
                [] => Ok(lists.values().slice(0, 0)),
                parts => Ok(concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
            }
        };
        let columns = columns.iter().map(states).collect::<Result<Vec<_>>>()?;
        self.check()?;
        let map = self.spread(map);
        self.inner.import(&columns, &map)
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef> {
        self.check()?;
        let values = self.inner.finish(groups.start * self.each..groups.end * self.each)?;
        let values = cast(&values, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        let mut columns = [const { Vec::new() }; 4];
        for first in (0..values.len()).step_by(self.each) {
            let estimate = values.is_valid(first).then(|| values.value(first));
            // A replicate without a row that counts has no value.
            let replicates: Vec<f64> = values.slice(first + 1, self.each - 1).iter().flatten().collect();
            let told = [estimate].into_iter().chain(spread_of(replicates));
            columns.iter_mut().zip(told).for_each(|(column, value)| column.push(value));
        }
        let rows = columns[0].len();
        let arrays = columns.map(|column| Arc::new(Float64Array::from(column)) as ArrayRef).to_vec();
        let items = Arc::new(StructArray::try_new(fields(), arrays, None)?);
        Ok(Arc::new(ListArray::try_new(item(), OffsetBuffer::from_lengths((0..rows).map(|_| 1)), items, None)?))
    }

    fn bytes_held(&self) -> usize {
        self.inner.bytes_held()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn same<'a>(ours: &Replicates, other: &'a dyn GroupStates) -> Result<&'a Replicates> {
    let other = other.as_any().downcast_ref::<Replicates>();
    let other = other.filter(|other| other.each == ours.each && other.hash == ours.hash);
    other.ok_or_else(|| Error::internal("merged other states into those of replicates"))
}

/// Standard deviation and bounds of the values of replicates; nothing of fewer than two.
fn spread_of(mut values: Vec<f64>) -> [Option<f64>; 3] {
    if values.len() < 2 {
        return [None; 3];
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    values.sort_unstable_by(f64::total_cmp);
    // Between the two nearest values in proportion, as R and NumPy do by default.
    let quantile = |share: f64| {
        let place = share * (count - 1.0);
        let below = values[place as usize];
        let above = values[(place as usize + 1).min(values.len() - 1)];
        if below == above { below } else { below + (above - below) * place.fract() }
    };
    let told = [(squares / (count - 1.0)).sqrt(), quantile(BOUNDS[0]), quantile(BOUNDS[1])];
    told.map(|value| Some(if value.is_nan() { NAN } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Mean;
    use arrow::array::Int64Array;

    /// States over the rows, with the sums of all replicates of a row at once or without.
    fn found(inner: &str, values: &ArrayRef, groups: &[u32], at_once: bool) -> String {
        let bootstrap = Bootstrap::new(super::super::find(inner, 1).unwrap(), 37, 3).unwrap();
        let arguments = [values.data_type().clone()];
        let mut states = bootstrap.replicates(&arguments).unwrap();
        assert!(states.summed.is_some());
        states.summed = states.summed.filter(|_| at_once);
        states.grow(4);
        let origin = RowOrigin::consecutive(5);
        let rows = Rows { groups: GroupIds::Each(groups), mask: None, origin: &origin };
        states.update(std::slice::from_ref(values), &rows).unwrap();
        format!("{:?}", states.inner.export(0..4 * states.each).unwrap())
    }

    #[test]
    fn replicates_at_once_have_the_sums_of_one_after_the_other() {
        let rows = 3 * sums::MOST_ROWS + 100;
        let groups: Vec<u32> =
            (0..rows).map(|row| [0, 1, 0, 2, 0][row % 5]).map(|own| if own == 2 { 3 } else { own }).collect();
        let few: Vec<u32> = (0..rows).map(|row| if row < 5 { 2 } else { (row % 2) as u32 }).collect();
        let doubles =
            |double: fn(usize) -> Option<f64>| Arc::new((0..rows).map(double).collect::<Float64Array>()) as ArrayRef;
        let columns: [ArrayRef; 5] = [
            Arc::new(
                (0..rows).map(|row| Some(row as i64 * 7 - 9000).filter(|own| own % 11 != 0)).collect::<Int64Array>(),
            ),
            Arc::new((0..rows).map(|row| Some([i64::MIN, i64::MAX, -1][row % 3])).collect::<Int64Array>()),
            doubles(|row| Some((row as f64 - 5000.0) * 0.25)),
            doubles(|row| Some((row as f64 - 5000.0).powi(3) / 7.0).filter(|_| row % 7 != 0)),
            doubles(|row| Some([1e300, f64::NAN, 1e-300, -0.0, f64::INFINITY, 1e12, -1e12, 0.1][row % 8])),
        ];
        for values in &columns {
            for groups in [&groups, &few] {
                for inner in ["sum", "mean"] {
                    let kind = values.data_type();
                    assert_eq!(
                        found(inner, values, groups, true),
                        found(inner, values, groups, false),
                        "{inner} {kind}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_standard_error_of_a_mean_is_that_of_theory() {
        let rows = 4000_u32;
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|row| f64::from(row % 100))));
        let bootstrap = Bootstrap::new(Arc::new(Mean), 500, 3).unwrap();
        let mut states = bootstrap.states(&[DataType::Float64]).unwrap();
        states.grow(1);
        let origin = RowOrigin::consecutive(0);
        let all = Rows { groups: GroupIds::One(rows as usize), mask: None, origin: &origin };
        states.update(&[values], &all).unwrap();
        let found = states.finish(0..1).unwrap();
        let found = found.as_list::<i32>().value(0);
        let told = |column: usize| found.as_struct().column(column).as_primitive::<Float64Type>().value(0);
        let expected = 28.866 / f64::from(rows).sqrt();
        assert_eq!(told(0), 49.5);
        // The standard deviation of 500 values is known to about 3 %.
        assert!((told(1) / expected - 1.0).abs() < 0.1, "{} and not {expected}", told(1));
        assert!((told(2) - (49.5 - 1.96 * expected)).abs() < 0.3 * expected);
        assert!((told(3) - (49.5 + 1.96 * expected)).abs() < 0.3 * expected);
    }

    #[test]
    fn only_sums_of_some_kind_are_taken_and_replicates_are_counted() {
        let error = Bootstrap::new(Arc::new(crate::aggregate::Extreme::Min), 10, 0).unwrap_err();
        assert_eq!(error.message(), "`bootstrap` does not take `min`");
        assert!(Bootstrap::new(Arc::new(Mean), 1, 0).is_err());
    }
}
