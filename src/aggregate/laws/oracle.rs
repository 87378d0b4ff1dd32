//! The slow twin: one group at a time, in rational arithmetic without any rounding.

use super::samples::Sample;
use crate::aggregate::fixed::normalise_floats;
use crate::batch::Mask;
use arrow::array::{Array, ArrayRef, AsArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{Float64Type, Int64Type};
use num_bigint::BigInt;
use std::cmp::Ordering;

/// All numbers are integers in units of 2^−1074, squares in units of 2^−2148.
pub(super) const BITS: usize = 1074;

/// Panics unless row `group` of `column` is the right result of `aggregate`.
pub(super) fn check(name: &str, aggregate: &str, sample: &Sample, group: usize, column: Option<&ArrayRef>) {
    let column = column.expect("a result");
    let rows = rows_of(sample, group);
    let name = format!("{name}, group {group}, {} values", rows.len());
    match aggregate {
        "count" => {
            let counts_rows = name.starts_with("count(0)");
            let expected = if counts_rows { selected(sample, group).len() } else { rows.len() };
            assert_eq!(column.as_primitive::<Int64Type>().value(group), expected as i64, "{name}");
        }
        // So few hashes rarely meet in a register.
        "approx_n_unique" => {
            let estimate = column.as_primitive::<Int64Type>().value(group);
            assert!((estimate - distinct(sample, &rows) as i64).abs() <= 1, "{name}: {estimate}");
        }
        // Of so few values nothing is estimated.
        "summary" => {
            let list = column.as_list::<i32>();
            assert_eq!(list.value_length(group), 1, "{name}");
            let (row, at) = (list.values().as_struct(), list.value_offsets()[group] as usize);
            let (found, estimated) = (row.column(0).as_primitive::<Int64Type>(), row.column(1).as_boolean());
            assert_eq!((found.value(at), estimated.value(at)), (distinct(sample, &rows) as i64, false), "{name}");
        }
        // So few values are all in the sample.
        "approx_quantile" => {
            let expected = super::folds::quantile(&sample.values, rows, 1, 2);
            let found = column.as_primitive::<Float64Type>();
            let found = found.is_valid(group).then(|| found.value(group).to_bits());
            assert_eq!(found, expected.map(f64::to_bits), "{name}");
        }
        "approx_top_k" => check_top(&name, sample, &rows, &column.as_list::<i32>().value(group)),
        "range" => check_range(&name, sample, &rows, column, group),
        "regr_count" => {
            let count = pairs(sample, group).map_or(0, |pairs| pairs.len());
            assert_eq!(column.as_primitive::<Int64Type>().value(group), count as i64, "{name}");
        }
        "cov" | "cov_pop" | "corr" | "regr_slope" | "regr_intercept" | "regr_r2" => {
            check_pairs(&name, aggregate, sample, column.as_primitive::<Float64Type>(), group);
        }
        "largest" | "smallest" => {
            let list = column.as_list::<i32>();
            let found = list.value(group);
            assert_eq!(found.len(), rows.len().min(1), "{name}");
            let which = if aggregate == "largest" { "max" } else { "min" };
            if !rows.is_empty() {
                check_choice(&name, which, sample, &rows, found.as_struct().column(0), 0);
            }
        }
        "skewness" | "skewness_pop" | "kurtosis" | "kurtosis_pop" | "sem" => {
            check_shape(&name, aggregate, sample, &rows, found_float(column, group));
        }
        "geometric_mean" | "harmonic_mean" => {
            check_scaled_mean(&name, aggregate, sample, &rows, found_float(column, group));
        }
        _ if aggregate.starts_with("weighted_") => {
            check_weighted(&name, aggregate, sample, group, found_float(column, group));
        }
        "bool_or" | "bool_and" | "count_if" => {
            let values = sample.values.as_boolean_opt();
            let truths: Vec<bool> = rows.iter().filter_map(|row| Some(values?.value(*row))).collect();
            if aggregate == "count_if" {
                let expected = truths.iter().filter(|truth| **truth).count() as i64;
                return assert_eq!(column.as_primitive::<Int64Type>().value(group), expected, "{name}");
            }
            let expected = if aggregate == "bool_or" { truths.contains(&true) } else { !truths.contains(&false) };
            let found = column.is_valid(group).then(|| column.as_boolean().value(group));
            assert_eq!(found, (!truths.is_empty()).then_some(expected), "{name}");
        }
        "arg_min" | "arg_max" => check_place(&name, aggregate, sample, &rows, column, group),
        "histogram" => check_ranges(&name, sample, &rows, &column.as_list::<i32>().value(group)),
        // The estimate; of covariances too, but for the second argument.
        "bootstrap" => {
            let list = column.as_list::<i32>();
            let estimates = list.values().as_struct().column(0);
            assert_eq!(list.value_length(group), 1, "{name}");
            match name.contains("(2)") {
                false => check_rounded(&name, "mean", sample, &rows, estimates.as_primitive::<Float64Type>(), group),
                true => check_pairs(&name, "cov", sample, estimates.as_primitive::<Float64Type>(), group),
            }
        }
        "min" | "max" | "first" | "last" => check_choice(&name, aggregate, sample, &rows, column, group),
        "sum" if !is_float(sample) => {
            let column = column.as_primitive::<Int64Type>();
            let sum: Option<BigInt> = values(sample, &rows).map(|values| values.iter().map(|(value, _)| value).sum());
            match sum.filter(|_| !rows.is_empty()) {
                None => assert!(column.is_null(group), "{name}"),
                Some(sum) => assert_eq!(BigInt::from(column.value(group)) << BITS, sum, "{name}"),
            }
        }
        _ => check_rounded(&name, aggregate, sample, &rows, column.as_primitive::<Float64Type>(), group),
    }
}

/// Panics unless some sum really is beyond 64 bits.
pub(super) fn check_overflow(name: &str, aggregate: &str, sample: &Sample, groups: usize) {
    assert!(["sum", "range"].contains(&aggregate), "{name}");
    let fits = |group: usize| {
        if aggregate == "range" {
            let values: Vec<BigInt> =
                values(sample, &rows_of(sample, group)).unwrap().into_iter().map(|(value, _)| value >> BITS).collect();
            let range = values.iter().max().zip(values.iter().min()).map(|(most, least)| most - least);
            return range.is_none_or(|range| i64::try_from(range).is_ok());
        }
        let sum: BigInt = values(sample, &rows_of(sample, group)).unwrap().iter().map(|(value, _)| value).sum();
        i64::try_from(sum >> BITS).is_ok()
    };
    assert!(!(0..groups).all(fits), "{name}");
}

/// So few values are all in the sample, so counts are exact.
fn check_top(name: &str, sample: &Sample, rows: &[usize], found: &ArrayRef) {
    let all = normalise_floats(&sample.values);
    let compare = make_comparator(&all, &all, SortOptions::default()).unwrap();
    let same = |a: usize, b: usize| compare(a, b) == Ordering::Equal;
    let count = |row: usize| rows.iter().filter(|other| same(row, **other)).count() as i64;
    let mut firsts: Vec<usize> = Vec::new();
    for row in rows {
        if !firsts.iter().any(|first| same(*first, *row)) {
            firsts.push(*row);
        }
    }
    firsts.sort_by(|a, b| count(*b).cmp(&count(*a)).then(compare(*a, *b)));
    firsts.truncate(3);
    let counts: Vec<i64> = firsts.iter().map(|row| count(*row)).collect();
    for column in &found.as_struct().columns()[1..] {
        assert_eq!(column.as_primitive::<Int64Type>().values(), &counts[..], "{name}");
    }
    let values = found.as_struct().column(0);
    if !values.is_empty() {
        let compare = make_comparator(values, &all, SortOptions::default()).unwrap();
        assert!(firsts.iter().enumerate().all(|(at, row)| compare(at, *row) == Ordering::Equal), "{name}");
    }
}

fn check_range(name: &str, sample: &Sample, rows: &[usize], column: &ArrayRef, group: usize) {
    let values = values(sample, rows).unwrap_or_default();
    assert_eq!(column.is_valid(group), !values.is_empty(), "{name}");
    if values.is_empty() {
        return;
    }
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let all = || values.iter().map(|(_, value)| *value);
        let expected = match all().any(f64::is_nan) {
            true => super::super::rounding::NAN,
            false => all().fold(f64::NEG_INFINITY, f64::max) - all().fold(f64::INFINITY, f64::min),
        };
        let expected = if expected.is_nan() { super::super::rounding::NAN } else { expected };
        return assert_eq!(floats.value(group).to_bits(), (expected + 0.0).to_bits(), "{name}");
    }
    let all = || values.iter().map(|(value, _)| value);
    let expected: BigInt = (all().max().unwrap() - all().min().unwrap()) >> BITS;
    assert_eq!(BigInt::from(column.as_primitive::<Int64Type>().value(group)), expected, "{name}");
}

fn selected(sample: &Sample, group: usize) -> Vec<usize> {
    (0..sample.groups.len())
        .filter(|row| sample.groups[*row] as usize == group)
        .filter(|row| sample.mask.as_ref().is_none_or(|mask| mask.is_valid_and_true(*row)))
        .collect()
}

fn rows_of(sample: &Sample, group: usize) -> Vec<usize> {
    let nulls = sample.values.logical_nulls();
    selected(sample, group).into_iter().filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))).collect()
}

fn is_float(sample: &Sample) -> bool {
    sample.values.as_primitive_opt::<Float64Type>().is_some()
}

/// Value and whether it is finite; `None` for what can't be summed.
fn values(sample: &Sample, rows: &[usize]) -> Option<Vec<(BigInt, f64)>> {
    let column = &sample.values;
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        return Some(rows.iter().map(|row| floats.value(*row)).map(|value| (units(value), value)).collect());
    }
    let integers: Vec<i64> = if let Some(integers) = column.as_primitive_opt::<Int64Type>() {
        rows.iter().map(|row| integers.value(*row)).collect()
    } else if let Some(bits) = column.as_boolean_opt() {
        rows.iter().map(|row| bits.value(*row).into()).collect()
    } else {
        return None;
    };
    Some(integers.into_iter().map(|value| (BigInt::from(value) << BITS, 0.0)).collect())
}

/// A finite double in units.
pub(super) fn units(value: f64) -> BigInt {
    let (exponent, fraction) = (value.to_bits() >> 52 & 0x7ff, value.to_bits() & ((1 << 52) - 1));
    let magnitude = match exponent {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction | 1 << 52) << (exponent - 1),
    };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

fn check_rounded(
    name: &str,
    aggregate: &str,
    sample: &Sample,
    rows: &[usize],
    column: &arrow::array::Float64Array,
    group: usize,
) {
    let values = values(sample, rows).unwrap_or_default();
    let count = values.len();
    let least = if matches!(aggregate, "var" | "std") { 2 } else { 1 };
    assert_eq!(column.is_valid(group), count >= least, "{name}");
    if count < least {
        return;
    }
    let result = column.value(group);
    let special: f64 = values.iter().map(|(_, value)| value).filter(|value| !value.is_finite()).sum();
    let sums = matches!(aggregate, "sum" | "mean");
    if values.iter().any(|(_, value)| !value.is_finite()) {
        let expected = if special.is_nan() || !sums { super::super::rounding::NAN } else { special };
        assert_eq!(result.to_bits(), expected.to_bits(), "{name}");
        return;
    }
    let sum: BigInt = values.iter().map(|(value, _)| value).sum();
    let squares: BigInt = values.iter().map(|(value, _)| value * value).sum();
    let count = BigInt::from(count);
    let (numerator, denominator) = match aggregate {
        "sum" => (sum << BITS, BigInt::from(1)),
        "mean" => (sum << BITS, count),
        "var" | "std" => (squares * &count - &sum * &sum, &count * (&count - 1)),
        _ => (squares * &count - &sum * &sum, &count * &count),
    };
    if aggregate.starts_with("std") {
        assert_eq!(result, nearest_root(&numerator, &denominator), "{name}");
    } else {
        assert_eq!(result.to_bits(), nearest(&numerator, &denominator).to_bits(), "{name}");
    }
}

/// The root of the double nearest to numerator / denominator · 2^−2148, were there doubles so far from 1.
fn nearest_root(numerator: &BigInt, denominator: &BigInt) -> f64 {
    let up = (2148 + denominator.bits() as i64 - numerator.bits() as i64) & !1;
    let scaled = match up {
        0.. => nearest(&(numerator << up), denominator),
        _ => nearest(numerator, &(denominator << -up)),
    };
    libm::scalbn(scaled.sqrt(), (-up / 2) as i32)
}

/// Whether the root of numerator / denominator is nearer to this double than to those beside it, or as near.
fn is_nearest_root(found: f64, numerator: &BigInt, denominator: &BigInt) -> bool {
    if *numerator == BigInt::ZERO || found == 0.0 || !found.is_finite() {
        return *numerator == BigInt::ZERO && found == 0.0;
    }
    // Twice the middle between two doubles, in units, squared.
    let middle = |other: f64| (units(found) + units(other)).pow(2) * denominator;
    let root: BigInt = numerator << (2 * BITS + 2);
    middle(found.next_down()) <= root && root <= middle(found.next_up())
}

/// The double nearest to numerator / denominator · 2^−2148, by bisection over all doubles.
pub(super) fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
    let zero = BigInt::from(0);
    if *numerator < zero {
        return -nearest(&-numerator, denominator);
    }
    let scaled = |bits: u64| (units(f64::from_bits(bits)) << BITS) * denominator;
    let (mut below, mut above) = (0, f64::INFINITY.to_bits());
    while above - below > 1 {
        let middle = (below + above) / 2;
        if scaled(middle) <= *numerator { below = middle } else { above = middle }
    }
    // `units` of infinity continues the doubles: it is 2^1024.
    let (down, up) = (numerator - scaled(below), scaled(above) - numerator);
    let nearer_up = match down.cmp(&up) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => below % 2 == 1,
    };
    f64::from_bits(if nearer_up { above } else { below })
}

/// Values and their partners of the rows that have both; `None` for what can't be computed with.
fn pairs(sample: &Sample, group: usize) -> Option<Vec<[(BigInt, f64); 2]>> {
    let partner = |row: usize| sample.values.len() - 1 - row;
    let nulls = sample.values.logical_nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let rows: Vec<usize> =
        selected(sample, group).into_iter().filter(|row| valid(*row) && valid(partner(*row))).collect();
    let partners: Vec<usize> = rows.iter().map(|row| partner(*row)).collect();
    Some(doubles(sample, &rows)?.into_iter().zip(doubles(sample, &partners)?).map(|(y, x)| [y, x]).collect())
}

/// As [`values`], integers taken as doubles.
fn doubles(sample: &Sample, rows: &[usize]) -> Option<Vec<(BigInt, f64)>> {
    let values = values(sample, rows)?.into_iter();
    if is_float(sample) {
        return Some(values.collect());
    }
    let one = BigInt::from(1) << BITS;
    let double = |(value, _): (BigInt, f64)| i64::try_from(value / &one).unwrap() as f64;
    Some(values.map(double).map(|value| (units(value), value)).collect())
}

fn found_float(column: &ArrayRef, group: usize) -> Option<u64> {
    column.is_valid(group).then(|| (column.as_primitive::<Float64Type>().value(group) + 0.0).to_bits())
}

const NAN: Option<u64> = Some(super::super::rounding::NAN.to_bits());

/// From deviations from the mean, times the count.
fn check_shape(name: &str, aggregate: &str, sample: &Sample, rows: &[usize], found: Option<u64>) {
    let values = doubles(sample, rows).unwrap_or_default();
    let n = BigInt::from(values.len());
    let least = match aggregate {
        "kurtosis" => 4,
        "skewness" => 3,
        "sem" => 2,
        _ => 1,
    };
    if values.len() < least {
        return assert_eq!(found, None, "{name}");
    }
    if values.iter().any(|(_, value)| !value.is_finite()) {
        return assert_eq!(found, NAN, "{name}");
    }
    let sum: BigInt = values.iter().map(|(value, _)| value).sum();
    let moment = |power: u32| values.iter().map(|(value, _)| (value * &n - &sum).pow(power)).sum::<BigInt>();
    let (m2, m3) = (moment(2), moment(3));
    let share = |numerator: BigInt, denominator: &BigInt| nearest(&(numerator << (2 * BITS)), denominator);
    let expected = match aggregate {
        "sem" => Some(nearest_root(&m2, &(n.pow(3) * (&n - 1)))),
        _ if m2 == BigInt::ZERO => None,
        "skewness" | "skewness_pop" => {
            let (mut numerator, mut denominator) = (m3.pow(2) * &n, m2.pow(3));
            if aggregate == "skewness" {
                numerator *= &n * (&n - 1);
                denominator *= (&n - 2) * (&n - 2);
            }
            let magnitude = found.map_or(f64::NAN, |found| f64::from_bits(found).abs());
            assert!(is_nearest_root(magnitude, &numerator, &denominator), "{name}: {magnitude}");
            Some(if m3 < BigInt::ZERO { -magnitude } else { magnitude })
        }
        _ => {
            let excess = moment(4) * &n - m2.pow(2) * 3;
            Some(match aggregate {
                "kurtosis_pop" => share(excess, &m2.pow(2)),
                _ => share((excess * (&n + 1) + m2.pow(2) * 6) * (&n - 1), &(m2.pow(2) * (&n - 2) * (&n - 3))),
            })
        }
    };
    assert_eq!(found, expected.map(|expected| (expected + 0.0).to_bits()), "{name}");
}

fn check_scaled_mean(name: &str, aggregate: &str, sample: &Sample, rows: &[usize], found: Option<u64>) {
    let values = doubles(sample, rows).unwrap_or_default();
    let scaled = |value: f64| match (aggregate, value) {
        (_, value) if value < 0.0 => f64::NAN,
        ("geometric_mean", value) => value.ln(),
        (_, 0.0) => f64::INFINITY,
        (_, value) => 1.0 / value,
    };
    let scaled: Vec<f64> = values.iter().map(|(_, value)| scaled(*value)).collect();
    let mean = match scaled.iter().all(|value| value.is_finite()) {
        true if scaled.is_empty() => return assert_eq!(found, None, "{name}"),
        true => nearest(&(scaled.iter().map(|value| units(*value)).sum::<BigInt>() << BITS), &scaled.len().into()),
        false => scaled.iter().filter(|value| !value.is_finite()).sum(),
    };
    let expected = if aggregate == "geometric_mean" { mean.exp() } else { 1.0 / mean };
    let expected = if expected.is_nan() { NAN } else { Some(expected.to_bits()) };
    assert_eq!(found, expected, "{name}");
}

/// Values and weights that are not 0.
fn check_weighted(name: &str, aggregate: &str, sample: &Sample, group: usize, found: Option<u64>) {
    let mut pairs = pairs(sample, group).unwrap_or_default();
    pairs.retain(|[_, weight]| weight.1 != 0.0);
    if pairs.is_empty() {
        return assert_eq!(found, None, "{name}");
    }
    let is_quantile = matches!(aggregate, "weighted_quantile" | "weighted_median");
    let bad_weight = pairs.iter().any(|[_, weight]| !weight.1.is_finite() || weight.1 < 0.0);
    let special: f64 = pairs.iter().map(|[value, _]| value.1).filter(|value| !value.is_finite()).sum();
    if bad_weight || (special != 0.0 && !is_quantile) {
        let mean = aggregate == "weighted_mean" && !bad_weight && special.is_infinite();
        return assert_eq!(found, if mean { Some(special.to_bits()) } else { NAN }, "{name}");
    }
    let weights: BigInt = pairs.iter().map(|[_, weight]| &weight.0).sum();
    if is_quantile {
        // By the order of values; NaN is last.
        pairs.sort_by(|[a, _], [b, _]| {
            a.1.is_nan().cmp(&b.1.is_nan()).then(a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal))
        });
        let mut below = BigInt::ZERO;
        let reached = pairs.iter().find(|[_, weight]| {
            below += &weight.0;
            &below * 2 >= weights
        });
        let value = reached.map_or(f64::NAN, |[value, _]| value.1 + 0.0);
        return assert_eq!(found, if value.is_nan() { NAN } else { Some(value.to_bits()) }, "{name}");
    }
    let sum: BigInt = pairs.iter().map(|[value, weight]| &value.0 * &weight.0).sum();
    // Σw(x·W − Σwx)² is W² times the sum of squares; units of 2^−5370.
    let squares: BigInt = pairs.iter().map(|[value, weight]| (&value.0 * &weights - &sum).pow(2) * &weight.0).sum();
    let divisor = match aggregate {
        "weighted_mean" => {
            return assert_eq!(found, Some((nearest(&(sum << BITS), &weights) + 0.0).to_bits()), "{name}");
        }
        "weighted_var" | "weighted_std" => &weights - (BigInt::from(1) << BITS),
        _ => weights.clone(),
    };
    if divisor <= BigInt::ZERO {
        return assert_eq!(found, None, "{name}");
    }
    let rounded = if aggregate.starts_with("weighted_std") { nearest_root } else { nearest };
    let expected = rounded(&squares, &(divisor * weights.pow(2)));
    assert_eq!(found, Some(expected.to_bits()), "{name}");
}

fn check_place(name: &str, aggregate: &str, sample: &Sample, rows: &[usize], column: &ArrayRef, group: usize) {
    let normal = normalised(&sample.values);
    let compare = make_comparator(&normal, &normal, SortOptions::default()).unwrap();
    let partner = |row: usize| sample.values.len() - 1 - row;
    let nulls = sample.values.logical_nulls();
    let mut best: Option<usize> = None;
    for row in rows.iter().copied().filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(partner(*row)))) {
        let order = |best: usize| compare(partner(row), partner(best));
        let wanted = if aggregate == "arg_min" { Ordering::Less } else { Ordering::Greater };
        if best.is_none_or(|best| order(best) == wanted) {
            best = Some(row);
        }
    }
    match best {
        None => assert!(column.logical_nulls().is_some_and(|nulls| nulls.is_null(group)), "{name}"),
        Some(row) => assert_eq!(super::show(&column.slice(group, 1)), super::show(&normal.slice(row, 1)), "{name}"),
    }
}

fn check_ranges(name: &str, sample: &Sample, rows: &[usize], found: &ArrayRef) {
    let values: Vec<f64> = doubles(sample, rows).unwrap_or_default().into_iter().map(|(_, value)| value).collect();
    let ranges = found.as_struct();
    let bounds = |at: usize| ranges.column(at).as_primitive::<Float64Type>();
    let counts = ranges.column(2).as_primitive::<Int64Type>();
    assert!(ranges.len() <= 7 && (ranges.is_empty() == values.is_empty()), "{name}: {} ranges", ranges.len());
    for range in 0..ranges.len() {
        let (lower, upper) = (bounds(0), bounds(1));
        let bound = |bounds: &arrow::array::Float64Array| bounds.is_valid(range).then(|| bounds.value(range));
        let inside = |value: f64| match (bound(lower), bound(upper)) {
            (Some(lower), Some(upper)) => lower <= value && value < upper,
            (Some(lower), None) => value >= lower || value.is_nan(),
            (None, Some(upper)) => value < upper,
            // Nothing finite.
            (None, None) => true,
        };
        let expected = values.iter().filter(|value| inside(**value)).count();
        if bound(lower).is_some() || bound(upper).is_some() {
            assert_eq!(counts.value(range), expected as i64, "{name}: {:?} to {:?}", bound(lower), bound(upper));
        }
    }
    assert_eq!(counts.iter().flatten().sum::<i64>(), values.len() as i64, "{name}");
}

fn check_pairs(name: &str, aggregate: &str, sample: &Sample, column: &arrow::array::Float64Array, group: usize) {
    let pairs = pairs(sample, group).unwrap_or_default();
    let found = column.is_valid(group).then(|| column.value(group));
    let count = BigInt::from(pairs.len());
    if pairs.len() < if aggregate == "cov_pop" { 1 } else { 2 } {
        assert_eq!(found, None, "{name}");
        return;
    }
    if pairs.iter().flatten().any(|(_, value)| !value.is_finite()) {
        assert_eq!(found.map(f64::to_bits), Some(super::super::rounding::NAN.to_bits()), "{name}");
        return;
    }
    let sum = |at: usize| pairs.iter().map(|pair| &pair[at].0).sum::<BigInt>();
    let around = |a: usize, b: usize| {
        let products: BigInt = pairs.iter().map(|pair| &pair[a].0 * &pair[b].0).sum();
        products * &count - sum(a) * sum(b)
    };
    let (both, of_y, of_x, zero) = (around(0, 1), around(0, 0), around(1, 1), BigInt::from(0));
    let squared = || nearest(&((&both * &both) << (2 * BITS)), &(&of_x * &of_y));
    let correlation = || {
        let magnitude = found.map_or(f64::NAN, f64::abs);
        assert!(is_nearest_root(magnitude, &(&both * &both), &(&of_x * &of_y)), "{name}: {magnitude}");
        if both < zero { -magnitude } else { magnitude }
    };
    let expected = match aggregate {
        "cov" => Some(nearest(&both, &(&count * (&count - 1)))),
        "cov_pop" => Some(nearest(&both, &(&count * &count))),
        _ if of_x == zero => None,
        "regr_slope" => Some(nearest(&(&both << (2 * BITS)), &of_x)),
        "regr_intercept" => Some(nearest(&((sum(0) * &of_x - sum(1) * &both) << BITS), &(&of_x * &count))),
        "regr_r2" if of_y == zero => Some(1.0),
        _ if of_y == zero => None,
        "regr_r2" => Some(squared()),
        _ => Some(correlation()),
    };
    assert_eq!(found.map(|found| found + 0.0), expected.map(|expected| expected + 0.0), "{name}");
}

fn check_choice(name: &str, aggregate: &str, sample: &Sample, rows: &[usize], column: &ArrayRef, group: usize) {
    if rows.is_empty() {
        assert!(column.logical_nulls().is_some_and(|nulls| nulls.is_null(group)), "{name}");
        return;
    }
    let normal = normalised(&sample.values);
    let compare = make_comparator(&normal, &normal, SortOptions::default()).unwrap();
    let expected = match aggregate {
        "min" => *rows.iter().min_by(|a, b| compare(**a, **b)).unwrap(),
        "max" => *rows.iter().max_by(|a, b| compare(**a, **b)).unwrap(),
        "first" => rows[0],
        _ => rows[rows.len() - 1],
    };
    assert_eq!(super::show(&column.slice(group, 1)), super::show(&normal.slice(expected, 1)), "{name}");
}

fn distinct(sample: &Sample, rows: &[usize]) -> usize {
    let normal = normalised(&sample.values);
    let compare = make_comparator(&normal, &normal, SortOptions::default()).unwrap();
    let is_first = |at: &usize| rows[..*at].iter().all(|row| compare(*row, rows[*at]).is_ne());
    (0..rows.len()).filter(is_first).count()
}

/// The values with one NaN and one zero.
pub(super) fn normalised(values: &ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<Float64Type>() {
        None => values.clone(),
        Some(floats) => std::sync::Arc::new(floats.unary::<_, Float64Type>(|value| match value {
            value if value.is_nan() => super::super::rounding::NAN,
            0.0 => 0.0,
            value => value,
        })),
    }
}
