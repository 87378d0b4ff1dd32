//! An aggregate of your own: the geometric mean of positive values, as a mergeable state.
//!
//! The state is exact (a product of logarithms would round differently in another order): it counts how often each
//! integer value occurred and takes logarithms once, at the end, in ascending order of values.
//!
//! `cargo run --release --example custom_aggregate` or `… -- 'data/*.csv.bz2'`

use outcrop::aggregate::{Aggregate, Exactness, GroupStates, Rows};
use outcrop::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use outcrop::arrow::datatypes::{DataType, Int64Type};
use outcrop::error::{Error, ErrorKind, Result};
use outcrop::expr::col;
use outcrop::frame::{DataFrame, compute, scan_csv};
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

#[derive(Debug)]
struct GeometricMean;

impl Aggregate for GeometricMean {
    fn name(&self) -> &str {
        "geometric_mean"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Int64] => Ok(DataType::Float64),
            _ => Err(Error::new(ErrorKind::Type, "geometric_mean takes one Int64 column")),
        }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn states(&self, _arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Ok(Box::new(Counts::default()))
    }
}

/// For each group, how often each positive value occurred.
#[derive(Default)]
struct Counts(Vec<BTreeMap<i64, i64>>);

impl GroupStates for Counts {
    fn grow(&mut self, groups: usize) {
        self.0.resize_with(groups.max(self.0.len()), BTreeMap::new);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = arguments[0].as_primitive::<Int64Type>();
        for row in 0..values.len() {
            let masked = rows.mask.is_some_and(|mask| mask.is_null(row) || !mask.value(row));
            if !masked && values.is_valid(row) && values.value(row) > 0 {
                *self.0[rows.groups.of(row)].entry(values.value(row)).or_default() += 1;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        let other = other.as_any().downcast_ref::<Counts>();
        let other = other.ok_or_else(|| Error::internal("merged states of two kinds"))?;
        for (group, counts) in other.0.iter().enumerate() {
            for (value, count) in counts {
                *self.0[map[group] as usize].entry(*value).or_default() += count;
            }
        }
        Ok(())
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        let list = |pick: fn((&i64, &i64)) -> i64| -> ArrayRef {
            let groups = self.0[groups.clone()].iter();
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                groups.map(|counts| Some(counts.iter().map(pick).map(Some).collect::<Vec<_>>())),
            ))
        };
        Ok(vec![list(|(value, _)| *value), list(|(_, count)| *count)])
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        for (row, group) in map.iter().enumerate() {
            let list = |column: usize| columns[column].as_list::<i32>().value(row);
            let (values, counts) = (list(0), list(1));
            let (values, counts): (&Int64Array, &Int64Array) = (values.as_primitive(), counts.as_primitive());
            for (value, count) in values.values().iter().zip(counts.values()) {
                *self.0[*group as usize].entry(*value).or_default() += count;
            }
        }
        Ok(())
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef> {
        let mean = |counts: &BTreeMap<i64, i64>| {
            let n: i64 = counts.values().sum();
            let logs: f64 = counts.iter().map(|(value, count)| (*value as f64).ln() * *count as f64).sum();
            (n > 0).then(|| (logs / n as f64).exp())
        };
        Ok(Arc::new(self.0[groups].iter().map(mean).collect::<Float64Array>()))
    }

    fn bytes_held(&self) -> usize {
        self.0.iter().map(|counts| size_of_val(counts) + counts.len() * 3 * size_of::<i64>()).sum()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn main() -> Result<()> {
    let files = std::env::args().nth(1).unwrap_or_else(|| "testdata/airline/*.csv.bz2".to_owned());
    let air = scan_csv(files)?;
    let geometric_mean = col("Distance").aggregate(Arc::new(GeometricMean));
    let frame =
        air.group_by("Year").agg([col("Distance").mean().alias("mean"), geometric_mean.alias("geometric mean")]);
    let table: DataFrame = compute(frame)?;
    println!("{table}");
    Ok(())
}
