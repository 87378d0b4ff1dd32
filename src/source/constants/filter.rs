//! Filters over constants: which files they rule out, and what is left of them for the inner source.

use super::{Constant, Origin};
use crate::batch::{Mask, coded};
use crate::expr::Literal;
use crate::source::{Condition, RowFilter, Test};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Datum, Float64Array, Int64Array, RecordBatch, Scalar,
    StringViewArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::kernels::cmp;
use arrow::compute::{cast, is_not_null, is_null, or_kleene, take};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;

/// Files may differ in so many ways for the inner scan to filter by them; beyond, evaluating a filter once for each way
/// costs more than it saves.
const MAX_WAYS: usize = 8;

/// What a request's filter meets: for each column of the request, where it comes from.
pub(super) struct Columns<'a> {
    pub(super) origins: &'a [Origin],
    pub(super) constants: &'a [Constant],
    /// The columns of the request.
    pub(super) schema: &'a SchemaRef,
}

impl Columns<'_> {
    fn constant(&self, column: usize) -> Option<&ArrayRef> {
        match self.origins.get(column)? {
            Origin::Inner(_) => None,
            Origin::Constant(at) => self.constants.get(*at).map(|constant| &constant.values),
        }
    }
}

/// The files that may hold a row that passes.
pub(super) fn files_wanted(filter: &dyn RowFilter, columns: &Columns<'_>, files: usize) -> Vec<bool> {
    let mut wanted = vec![true; files];
    let alternatives = filter.alternatives();
    if !alternatives.is_empty() {
        for (file, wanted) in wanted.iter_mut().enumerate() {
            *wanted = alternatives.iter().any(|all| {
                all.iter().all(|condition| {
                    let values = columns.constant(condition.column).map(|values| values.slice(file, 1));
                    values.is_none_or(|value| may_hold(&value, &condition.test))
                })
            });
        }
    }
    // A filter over nothing but constants is evaluated outright, the files being its rows.
    let arrays: Option<Vec<ArrayRef>> =
        filter.columns().iter().map(|&column| columns.constant(column).cloned()).collect();
    let mask = arrays.and_then(|arrays| filter.keep(&records(columns.schema, filter.columns(), arrays, files)?));
    if let Some(mask) = mask.filter(|mask| mask.len() == files) {
        for (file, wanted) in wanted.iter_mut().enumerate() {
            *wanted &= mask.is_valid_and_true(file);
        }
    }
    wanted
}

fn records(schema: &SchemaRef, columns: &[usize], arrays: Vec<ArrayRef>, rows: usize) -> Option<RecordBatch> {
    let schema = Arc::new(schema.project(columns).ok()?);
    coded::records(&schema, arrays, rows).ok()
}

/// Whether a single value may fulfil a test; true where that cannot be told.
fn may_hold(value: &ArrayRef, test: &Test) -> bool {
    let truth = match test {
        Test::Eq(literal) => compare(value, literal, cmp::eq),
        Test::Lt(literal) => compare(value, literal, cmp::lt),
        Test::LtEq(literal) => compare(value, literal, cmp::lt_eq),
        Test::Gt(literal) => compare(value, literal, cmp::gt),
        Test::GtEq(literal) => compare(value, literal, cmp::gt_eq),
        Test::OneOf(list) => {
            return list.iter().any(|literal| compare(value, literal, cmp::eq).is_none_or(|truth| is_true(&truth)));
        }
        Test::IsNull => is_null(value).ok(),
        Test::IsNotNull => is_not_null(value).ok(),
    };
    truth.is_none_or(|truth| is_true(&truth))
}

fn is_true(truth: &BooleanArray) -> bool {
    !truth.is_empty() && truth.is_valid_and_true(0)
}

type Comparison = fn(&dyn Datum, &dyn Datum) -> Result<BooleanArray, arrow::error::ArrowError>;

fn compare(value: &ArrayRef, literal: &Literal, comparison: Comparison) -> Option<BooleanArray> {
    let constant: ArrayRef = match literal {
        Literal::Null => return Some(BooleanArray::from(vec![false])),
        Literal::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        Literal::Int64(value) => Arc::new(Int64Array::from(vec![*value])),
        Literal::Float64(value) if value.is_nan() => return None,
        Literal::Float64(value) => Arc::new(Float64Array::from(vec![*value])),
        Literal::Utf8(text) => Arc::new(StringViewArray::from(vec![text.as_ref()])),
        Literal::Date(days) => Arc::new(Date32Array::from(vec![*days])),
        Literal::Timestamp(micros) => Arc::new(TimestampMicrosecondArray::from(vec![*micros])),
    };
    let (left, right) = match (value.data_type(), constant.data_type()) {
        (a, b) if a == b => (Arc::clone(value), constant),
        (DataType::Int64, DataType::Float64) => (cast(value, &DataType::Float64).ok()?, constant),
        (DataType::Float64, DataType::Int64) => (Arc::clone(value), cast(&constant, &DataType::Float64).ok()?),
        _ => return None,
    };
    comparison(&ordered(left), &Scalar::new(ordered(right))).ok()
}

/// The values in the order in which questions compare them: both zeros are one, and so are all NaN.
fn ordered(values: ArrayRef) -> ArrayRef {
    let Some(doubles) = values.as_primitive_opt::<Float64Type>() else { return values };
    let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
    Arc::new(doubles.unary::<_, Float64Type>(one))
}

/// A column of the filter.
enum Part {
    /// The so-manieth column that the inner filter reads.
    Inner(usize),
    /// One value for each way in which the files that are read differ.
    Constant(ArrayRef),
}

/// The filter as the inner scan sees it: it does not know the file, so it keeps what passes for any of them.
pub(super) struct InnerFilter {
    outer: Arc<dyn RowFilter>,
    parts: Vec<Part>,
    /// The columns that the outer filter reads.
    schema: SchemaRef,
    columns: Vec<usize>,
    alternatives: Vec<Vec<Condition>>,
    /// 0 when there are too many to try.
    ways: usize,
}

impl InnerFilter {
    /// `inner_of` tells for each column of the request which column of the inner request it is.
    pub(super) fn new(
        outer: Arc<dyn RowFilter>,
        columns: &Columns<'_>,
        inner_of: &[Option<usize>],
        files: &[u32],
    ) -> Option<Self> {
        let distinct = ways(&*outer, columns, files);
        let mut parts = Vec::new();
        let mut inner_columns = Vec::new();
        for &column in outer.columns() {
            parts.push(match inner_of.get(column)? {
                Some(inner) => {
                    inner_columns.push(*inner);
                    Part::Inner(inner_columns.len() - 1)
                }
                None => Part::Constant(take(columns.constant(column)?, &distinct, None).ok()?),
            });
        }
        let below = |condition: &Condition| {
            let column = inner_of.get(condition.column).copied().flatten()?;
            Some(Condition { column, test: condition.test.clone() })
        };
        let alternatives = outer.alternatives().iter().map(|all| all.iter().filter_map(below).collect()).collect();
        let schema = Arc::new(columns.schema.project(outer.columns()).ok()?);
        let ways = if distinct.len() <= MAX_WAYS && !inner_columns.is_empty() { distinct.len() } else { 0 };
        Some(InnerFilter { outer, parts, schema, columns: inner_columns, alternatives, ways })
    }
}

/// One file for each way in which the constants that the filter reads differ.
fn ways(filter: &dyn RowFilter, columns: &Columns<'_>, files: &[u32]) -> UInt32Array {
    let constants: Vec<&ArrayRef> = filter.columns().iter().filter_map(|&column| columns.constant(column)).collect();
    let mut seen = HashSet::new();
    let shown = |file: u32| -> Vec<Option<String>> {
        let text = |values: &&ArrayRef| {
            let at = file as usize;
            values.is_valid(at).then(|| arrow::util::display::array_value_to_string(values, at).unwrap_or_default())
        };
        constants.iter().map(text).collect()
    };
    let distinct = files.iter().copied().filter(|&file| seen.insert(shown(file)));
    distinct.take(MAX_WAYS + 1).collect::<Vec<_>>().into()
}

impl RowFilter for InnerFilter {
    fn columns(&self) -> &[usize] {
        if self.ways == 0 { &[] } else { &self.columns }
    }

    fn keep(&self, seen: &RecordBatch) -> Option<BooleanArray> {
        let rows = seen.num_rows();
        let mut any: Option<BooleanArray> = None;
        for way in 0..self.ways {
            let array = |part: &Part| match part {
                Part::Inner(at) => seen.columns().get(*at).cloned(),
                Part::Constant(values) => repeated(values, way as u32, rows),
            };
            let arrays = self.parts.iter().map(array).collect::<Option<Vec<_>>>()?;
            let records = coded::records(&self.schema, arrays, rows).ok()?;
            let mask = self.outer.keep(&records)?;
            any = Some(match any {
                None => mask,
                Some(before) => or_kleene(&before, &mask).ok()?,
            });
        }
        any
    }

    fn alternatives(&self) -> &[Vec<Condition>] {
        &self.alternatives
    }
}

/// Value `at`, so many times.
pub(super) fn repeated(values: &ArrayRef, at: u32, rows: usize) -> Option<ArrayRef> {
    take(values, &UInt32Array::from(vec![at; rows]), None).ok()
}
