//! The laws of folds: where values are cut into chunks and when results are taken changes nothing, and results are those
//! of a naive twin that has all values of a group at once.

use super::oracle::{BITS, nearest, normalised, units};
use super::samples::{Sample, samples};
use super::{GROUPS, show};
use crate::aggregate::holistic::{Chunk, Share, Stretch};
use crate::aggregate::rounding::NAN;
use crate::aggregate::{Aggregate, Constant, Edge, Fold, Ordered, Over, Quantile, StringAgg, all};
use crate::batch::Mask;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, UInt32Array, make_comparator, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, cast, concat, take};
use arrow::datatypes::{DataType, Date32Type, Field, Fields, Float64Type, Int64Type, TimestampMicrosecondType};
use num_bigint::BigInt;
use std::ops::Range;
use std::sync::Arc;

const SHARES: [(usize, usize); 6] = [(0, 1), (1, 10), (1, 3), (1, 2), (19, 20), (1, 1)];

/// Every aggregate with a fold, some more than once.
fn folded() -> Vec<Arc<dyn Aggregate>> {
    let mut folded: Vec<Arc<dyn Aggregate>> = all();
    folded.retain(|aggregate| aggregate.over() != Over::Rows);
    for (numerator, denominator) in SHARES {
        let share = Share::new(numerator as f64 / denominator as f64).unwrap();
        folded.push(Arc::new(Quantile::Interpolated(share)));
        folded.push(Arc::new(Quantile::Discrete(share)));
    }
    folded.push(Arc::new(StringAgg::new("")));
    for edge in [Edge::First, Edge::Last] {
        folded.push(Arc::new(Ordered::new(Arc::new(edge), Vec::new()).unwrap()));
    }
    folded
}

/// What a fold sees of a sample: values of all groups in order, their counts, and how many rows each group has.
struct Sorted {
    values: ArrayRef,
    counts: Vec<i64>,
    groups: Vec<usize>,
}

/// The rows of a group that count, in input order.
fn rows_of(sample: &Sample, group: usize) -> Vec<u32> {
    let nulls = sample.values.logical_nulls();
    (0..sample.groups.len())
        .filter(|row| sample.groups[*row] as usize == group)
        .filter(|row| sample.mask.as_ref().is_none_or(|mask| mask.is_valid_and_true(*row)))
        .filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
        .map(|row| row as u32)
        .collect()
}

fn sorted(sample: &Sample, over: Over) -> Sorted {
    let normal = normalised(&sample.values);
    let compare = make_comparator(&normal, &normal, SortOptions::default()).unwrap();
    let compare = |a: u32, b: u32| compare(a as usize, b as usize);
    let (mut kept, mut counts, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for group in 0..GROUPS {
        let (start, mut rows) = (kept.len(), rows_of(sample, group));
        if over == Over::SortedValues {
            rows.sort_by(|a, b| compare(*a, *b));
        }
        for row in rows {
            match kept.last() {
                Some(last) if over == Over::SortedValues && kept.len() > start && compare(*last, row).is_eq() => {
                    *counts.last_mut().unwrap() += 1;
                }
                _ => {
                    kept.push(row);
                    counts.push(1);
                }
            }
        }
        groups.push(kept.len() - start);
    }
    Sorted { values: take(&normal, &UInt32Array::from(kept), None).unwrap(), counts, groups }
}

impl Sorted {
    /// Stretches of the rows of a chunk; groups without rows end in the chunk where they would stand, the earlier of two.
    fn stretches(&self, chunk: &Range<usize>, is_first: bool) -> Vec<Stretch> {
        let (mut start, mut stretches) = (0, Vec::new());
        for rows in &self.groups {
            let group = start..start + rows;
            start = group.end;
            let begins_here = chunk.contains(&group.start) || (is_first && group.start == chunk.start);
            let begins_here = begins_here || (group.is_empty() && group.start == chunk.end && chunk.end > chunk.start);
            let ended_before = group.is_empty() && group.start == chunk.start && !is_first;
            let part = group.start.max(chunk.start)..group.end.min(chunk.end);
            if part.is_empty() && !group.is_empty() || !begins_here && group.is_empty() || ended_before {
                continue;
            }
            let counts = &self.counts[group.clone()];
            let all = counts.iter().sum::<i64>() as u64;
            stretches.push(Stretch {
                rows: part.start - chunk.start..part.end - chunk.start,
                begins: (part.start == group.start).then_some(all),
                ends: part.end == group.end,
            });
        }
        stretches
    }

    /// Folds in chunks that end at `cuts`; results are taken after every chunk if `eager`.
    fn fold(&self, aggregate: &dyn Aggregate, fold: &mut dyn Fold, cuts: &[usize], eager: bool) -> ArrayRef {
        let (mut start, mut results) = (0, Vec::new());
        for (at, end) in cuts.iter().chain([&self.counts.len()]).enumerate() {
            let values = self.values.slice(start, end - start);
            let counts = (aggregate.over() == Over::SortedValues).then_some(&self.counts[start..*end]);
            let stretches = self.stretches(&(start..*end), at == 0);
            fold.absorb(&Chunk { values: &values, counts }, &stretches).unwrap();
            if eager {
                results.push(fold.finish().unwrap());
            }
            start = *end;
        }
        results.push(fold.finish().unwrap());
        concat(&results.iter().map(|part| part.as_ref()).collect::<Vec<_>>()).unwrap()
    }
}

/// The result for the values of a group, in order, each as often as it occurs.
fn naive(aggregate: &dyn Aggregate, values: &ArrayRef, over: &Sorted, group: usize) -> ArrayRef {
    let start: usize = over.groups[..group].iter().sum();
    let rows = start..start + over.groups[group];
    let counts = &over.counts[rows.clone()];
    let all: Vec<u32> = rows.clone().flat_map(|row| vec![row as u32; over.counts[row] as usize]).collect();
    let pick = |at: Option<usize>| match at {
        None => new_null_array(values.data_type(), 1),
        Some(at) => values.slice(at, 1),
    };
    let share = || match aggregate.constants()[..] {
        [] => (1, 2),
        [Constant::Number(share)] => SHARES.into_iter().find(|(a, b)| *a as f64 / *b as f64 == share).unwrap(),
        _ => panic!("a share"),
    };
    let interpolated = || -> ArrayRef {
        let (numerator, denominator) = share();
        let rows: Vec<usize> = all.iter().map(|row| *row as usize).collect();
        if let DataType::Date32 | DataType::Timestamp(..) = values.data_type() {
            let times = TimestampMicrosecondArray::from(vec![time_between(values, rows, numerator, denominator)]);
            return Arc::new(times);
        }
        Arc::new(Float64Array::from(vec![quantile(values, rows, numerator, denominator)]))
    };
    match aggregate.name() {
        "n_unique" => Arc::new(Int64Array::from(vec![counts.len() as i64])),
        "entropy" => {
            let n = all.len() as f64;
            let terms = counts.iter().map(|count| *count as f64 / n * (n / *count as f64).log2());
            let sum: BigInt = terms.map(units).sum();
            Arc::new(Float64Array::from(vec![(n > 0.0).then(|| nearest(&(sum << BITS), &BigInt::from(1)))]))
        }
        "mad" => {
            let floats = doubles(values, &all);
            let middle = middle(floats.clone());
            let deviations = floats.iter().filter_map(|value| Some((value - middle?).abs())).collect();
            Arc::new(Float64Array::from(vec![self::middle(deviations)]))
        }
        "iqr" => {
            let rows = || all.iter().map(|row| *row as usize).collect();
            let range = quantile(values, rows(), 3, 4).zip(quantile(values, rows(), 1, 4)).map(|(a, b)| a - b);
            Arc::new(Float64Array::from(vec![range.map(|range| if range.is_nan() { NAN } else { range })]))
        }
        "product" => {
            let floats = doubles(values, &all);
            Arc::new(Float64Array::from(vec![(!floats.is_empty()).then(|| product(&floats, values, &all))]))
        }
        "top_k" => {
            let mut order: Vec<usize> = (0..counts.len()).collect();
            order.sort_by_key(|at| (-counts[*at], *at));
            order.truncate(3);
            let picked: UInt32Array = order.iter().map(|at| (start + at) as u32).collect();
            let (values, counts) = (take(values, &picked, None).unwrap(), order.iter().map(|at| counts[*at]));
            let columns: Vec<ArrayRef> = vec![values, Arc::new(counts.collect::<Int64Array>())];
            let fields = ["value", "count"].into_iter().zip(&columns);
            let fields: Fields =
                fields.map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
            let rows = StructArray::new(fields, columns, None);
            let field = Arc::new(Field::new_list_field(rows.data_type().clone(), true));
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([rows.len()]), Arc::new(rows), None))
        }
        "mode" => {
            let most = counts.iter().max();
            pick(most.map(|most| start + counts.iter().position(|count| count == most).unwrap()))
        }
        "median" | "quantile" => interpolated(),
        "quantile_disc" => {
            let (numerator, denominator) = share();
            let place = (all.len() * numerator).div_ceil(denominator).max(1) - 1;
            pick(all.get(place).map(|row| *row as usize))
        }
        "string_agg" => {
            let texts: Vec<&str> = all.iter().map(|row| values.as_string_view().value(*row as usize)).collect();
            let separator = match &aggregate.constants()[..] {
                [Constant::Text(separator)] => separator.to_string(),
                _ => panic!("a separator"),
            };
            Arc::new(StringViewArray::from(vec![(!texts.is_empty()).then(|| texts.join(&separator))]))
        }
        "first" => pick((!all.is_empty()).then_some(rows.start)),
        "last" => pick((!all.is_empty()).then(|| rows.end - 1)),
        "list" if values.data_type().is_null() => new_null_array(&DataType::Null, 1),
        "list" => {
            let items = take(values, &UInt32Array::from(all.clone()), None).unwrap();
            let valid = all.is_empty().then(|| NullBuffer::new_null(1));
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([all.len()]), items, valid))
        }
        other => panic!("no twin of `{other}`"),
    }
}

/// Numbers as doubles.
fn doubles(values: &ArrayRef, rows: &[u32]) -> Vec<f64> {
    let values = cast(values, &DataType::Float64).unwrap();
    rows.iter().map(|row| values.as_primitive::<Float64Type>().value(*row as usize)).collect()
}

/// The median.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let array: ArrayRef = Arc::new(Float64Array::from(values));
    Some(between(&array, last / 2, last.div_ceil(2), last % 2, 2))
}

/// The product of exact values, rounded once.
fn product(floats: &[f64], values: &ArrayRef, rows: &[u32]) -> f64 {
    if floats.iter().any(|value| !value.is_finite()) {
        let product: f64 = floats
            .iter()
            .map(|value| if value.is_finite() { value.signum() * f64::from(*value != 0.0) } else { *value })
            .product();
        return if product.is_nan() { NAN } else { product };
    }
    let exact = |row: &u32| match values.as_primitive_opt::<Int64Type>() {
        Some(integers) => BigInt::from(integers.value(*row as usize)) << BITS,
        None => units(floats[rows.iter().position(|other| other == row).unwrap()]),
    };
    let product: BigInt = rows.iter().map(exact).product();
    nearest(&(product << (2 * BITS)), &(BigInt::from(1) << (BITS * rows.len()))) + 0.0
}

/// The quantile of some rows, in rational arithmetic.
pub(super) fn quantile(values: &ArrayRef, mut rows: Vec<usize>, numerator: usize, denominator: usize) -> Option<f64> {
    if values.data_type().is_null() {
        return None;
    }
    let normal = normalised(values);
    let compare = make_comparator(&normal, &normal, SortOptions::default()).unwrap();
    rows.sort_by(|a, b| compare(*a, *b));
    let last = rows.len().checked_sub(1)?;
    let (place, rest) = (last * numerator / denominator, last * numerator % denominator);
    Some(between(&normal, rows[place], rows[(place + 1).min(last)], rest, denominator))
}

/// The quantile of some dates or timestamps, in rational arithmetic, cut to microseconds.
fn time_between(values: &ArrayRef, rows: Vec<usize>, numerator: usize, denominator: usize) -> Option<i64> {
    let micros = |row: usize| match values.as_primitive_opt::<Date32Type>() {
        Some(dates) => BigInt::from(dates.value(row)) * 86_400_000_000_i64,
        None => BigInt::from(values.as_primitive::<TimestampMicrosecondType>().value(row)),
    };
    let mut times: Vec<BigInt> = rows.into_iter().map(micros).collect();
    times.sort();
    let last = times.len().checked_sub(1)?;
    let (place, rest) = (last * numerator / denominator, last * numerator % denominator);
    let (low, high) = (&times[place], &times[(place + 1).min(last)]);
    let cut: BigInt = low + (high - low) * rest / denominator;
    Some(cut.clamp(i64::MIN.into(), i64::MAX.into()).try_into().unwrap())
}

/// The number `numerator / denominator` of the way from one row to another, in rational arithmetic.
fn between(values: &ArrayRef, low: usize, high: usize, numerator: usize, denominator: usize) -> f64 {
    let exact = |row: usize| match values.data_type() {
        DataType::Int64 => BigInt::from(values.as_primitive::<Int64Type>().value(row)) << BITS,
        DataType::Boolean => BigInt::from(values.as_boolean().value(row)) << BITS,
        _ => units(values.as_primitive::<Float64Type>().value(row)),
    };
    if let Some(floats) = values.as_primitive_opt::<Float64Type>() {
        let (low, high) = (floats.value(low), floats.value(high));
        if numerator == 0 || !low.is_finite() || !high.is_finite() {
            let sum = if numerator == 0 { low } else { low + high };
            return if sum.is_nan() { NAN } else { sum };
        }
    }
    let sum = exact(low) * (denominator - numerator) + exact(high) * numerator;
    nearest(&(sum << BITS), &BigInt::from(denominator))
}

#[test]
fn results_are_those_of_a_naive_twin_wherever_chunks_are_cut() {
    for aggregate in folded() {
        for sample in samples() {
            let argument = [sample.values.data_type().clone()];
            let Ok(output_type) = aggregate.output_type(&argument) else { continue };
            let name = format!("{}{:?} of {}", aggregate.name(), aggregate.constants(), sample.name);
            let sorted = sorted(&sample, aggregate.over());
            let folded = |cuts: &[usize], eager| {
                let mut fold = aggregate.fold(&argument).unwrap();
                sorted.fold(&*aggregate, &mut *fold, cuts, eager)
            };
            let whole = folded(&[], false);
            assert_eq!((whole.len(), whole.data_type()), (GROUPS, &output_type), "{name}");
            for group in 0..GROUPS {
                let (found, values) = (whole.slice(group, 1), &sorted.values);
                if *values.data_type() == DataType::Null {
                    let expected = usize::from(matches!(aggregate.name(), "n_unique" | "top_k"));
                    let valid = found.len() - found.logical_null_count();
                    assert_eq!(valid, expected, "{name}, group {group}");
                    continue;
                }
                let expected = naive(&*aggregate, values, &sorted, group);
                assert_eq!(show(&found), show(&expected), "{name}, group {group}");
            }
            for cut in 0..=sorted.counts.len() {
                for eager in [false, true] {
                    assert_eq!(show(&folded(&[cut], eager)), show(&whole), "{name} cut at {cut}");
                    let cuts = [cut / 3, cut / 2, cut];
                    assert_eq!(show(&folded(&cuts, eager)), show(&whole), "{name} cut at {cuts:?}");
                }
            }
        }
    }
}
