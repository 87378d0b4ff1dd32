//! What aggregates over several columns of numbers, known by their names, have in common.

use super::comoment::correlation;
use super::sums::CrossSums;
use crate::aggregate::rounding::{NAN, big_ratio};
use crate::aggregate::{Aggregate, wrong_arguments};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::datatypes::DataType;
use num_bigint::BigUint;
use std::sync::Arc;

/// Whether the arguments are one number or Boolean, or more, and as many as there are names.
///
/// # Errors
/// `Type` when they are not.
pub(super) fn check(aggregate: &dyn Aggregate, names: &[Arc<str>], arguments: &[DataType]) -> Result<()> {
    let fits = |argument: &DataType| {
        ColumnType::from_arrow(argument).is_ok_and(|known| known.is_numeric() || known == ColumnType::Null)
    };
    match !arguments.is_empty() && arguments.len() == names.len() && arguments.iter().all(fits) {
        true => Ok(()),
        false => Err(wrong_arguments(aggregate, "columns of numbers or Booleans", arguments)),
    }
}

/// The names with all columns of numbers in the place `at`, but for those that are wanted already; and which columns these are.
pub(super) fn with_all(
    names: &[Arc<str>],
    at: usize,
    columns: &[(Arc<str>, DataType)],
    is_wanted: impl Fn(&Arc<str>) -> bool,
) -> (Arc<[Arc<str>]>, Vec<usize>) {
    let is_number = |known: &DataType| ColumnType::from_arrow(known).is_ok_and(ColumnType::is_numeric);
    let fits = |(name, known): &(Arc<str>, DataType)| is_number(known) && !is_wanted(name);
    let chosen: Vec<usize> = (0..columns.len()).filter(|column| fits(&columns[*column])).collect();
    let mut all = names.to_vec();
    all.splice(at..=at, chosen.iter().map(|column| Arc::clone(&columns[*column].0)));
    (all.into(), chosen)
}

/// The covariance of two columns of sums, or else their correlation.
pub(super) fn together(sums: &CrossSums, a: usize, b: usize, correlated: bool) -> Option<f64> {
    if sums.count < 2 {
        return None;
    }
    if sums.special {
        return Some(NAN);
    }
    let both = sums.around_means(a, b);
    if correlated {
        return correlation(&both, sums.around_means(a, a), sums.around_means(b, b));
    }
    Some(big_ratio(&both, &(BigUint::from(sums.count) * (sums.count - 1)), 2 * sums.exponent))
}
