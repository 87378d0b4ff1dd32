//! All columns at once: one row of facts about each.

use super::LazyFrame;
use super::lazy::visible_names;
use crate::aggregate::Summary;
use crate::error::{Error, Result};
use crate::expr::{Expr, count_rows};
use crate::plan::{BatchFunction, LogicalPlan};
use crate::types::ColumnType;
use crate::write::text::{Column, Value};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringViewArray,
    StringViewBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use std::sync::Arc;

impl LazyFrame {
    /// A row about each column, all in one pass: `column`, `type`, `count` (values), `nulls`, `distinct`, `estimated`, `min`,
    /// `p5`, `p25`, `p50`, `p75`, `p95`, `max`, `mean`, `std`, the most frequent values that occur more than once (`top`,
    /// `top_counts`), and of numbers a histogram (`histogram`, `bounds`).
    ///
    /// Extremes and quantiles are text, since columns have different types. Counts, extremes, mean and standard deviation
    /// are exact, and so is all else of a column of at most 14,336 different values (texts: of 1 MiB in all). Otherwise
    /// `estimated` is true, the number of distinct values is that of `approx_n_unique`, and quantiles, frequent values and
    /// histogram are those of a random sample of 8,192 rows.
    ///
    /// ```
    /// use outcrop::scan_csv;
    ///
    /// let facts = scan_csv("testdata/airline/2001.csv.bz2")?.describe().collect()?;
    /// assert_eq!(facts.rows(), 29);
    /// assert_eq!(facts.value(0, "distinct")?, outcrop::frame::Value::Int64(1), "one year");
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn describe(&self) -> Self {
        self.then(|input| plan(input, false))
    }

    /// As [`LazyFrame::describe`], with nothing estimated. All different values of all columns are counted, on disk as far as
    /// they do not fit in memory.
    #[must_use]
    pub fn describe_exact(&self) -> Self {
        self.then(|input| plan(input, true))
    }
}

/// Names of the quantiles, in the order of [`Summary::SHARES`].
const QUANTILES: [&str; Summary::SHARES.len()] = ["p5", "p25", "p50", "p75", "p95"];

/// What a column of aggregates is about.
#[derive(Clone, Copy, Debug)]
enum Role {
    Count,
    Min,
    Max,
    Mean,
    Std,
    Summary,
    Distinct,
    Quantile(usize),
    Top,
    Histogram,
}

/// The aggregates that are asked of a column.
fn asked(column: &Expr, kind: ColumnType, exact: bool) -> Result<Vec<(Role, Expr)>> {
    let x = || column.clone();
    let mut asked = vec![(Role::Count, x().count())];
    if matches!(kind, ColumnType::Null | ColumnType::List(_)) {
        return Ok(asked);
    }
    asked.extend([(Role::Min, x().min()), (Role::Max, x().max())]);
    if kind.is_numeric() {
        asked.extend([(Role::Mean, x().mean()), (Role::Std, x().std())]);
    }
    if !exact {
        asked.push((Role::Summary, x().aggregate(Arc::new(Summary))));
        return Ok(asked);
    }
    asked.push((Role::Distinct, x().n_unique()));
    asked.push((Role::Top, x().top_k(Summary::TOP)?));
    let shares = Summary::SHARES.into_iter().enumerate();
    match kind {
        ColumnType::Int64 | ColumnType::Float64 => {
            asked.push((Role::Histogram, x().histogram(Summary::RANGES)?));
            for (at, share) in shares {
                asked.push((Role::Quantile(at), x().quantile(share)?));
            }
        }
        ColumnType::Date | ColumnType::Timestamp => {
            for (at, share) in shares {
                asked.push((Role::Quantile(at), x().quantile_disc(share)?));
            }
        }
        _ => {}
    }
    Ok(asked)
}

fn plan(input: Arc<LogicalPlan>, exact: bool) -> Result<LogicalPlan> {
    let schema = input.schema()?;
    let mut aggregates = Vec::new();
    let mut add = |name: String, expr: Expr| match expr {
        Expr::Aggregate(call) => {
            aggregates.push((call, name));
            Ok(())
        }
        other => Err(Error::internal(format!("{other} is no aggregate"))),
    };
    add("rows".to_owned(), count_rows())?;
    let (mut columns, mut roles) = (Vec::new(), Vec::new());
    for (at, column) in visible_names(&schema).into_iter().enumerate() {
        let name = column.output_name();
        let kind = ColumnType::from_arrow(schema.field_with_name(&name)?.data_type())?;
        for (role, expr) in asked(&column, kind, exact)? {
            add(format!("{role:?} of {at}"), expr)?;
            roles.push((at, role));
        }
        columns.push((name.to_string(), kind));
    }
    let all = LogicalPlan::Aggregate { input, keys: Vec::new(), aggregates };
    let schema = described_schema();
    let of_schema = Arc::clone(&schema);
    let function = move |batch: RecordBatch| described(&batch, &columns, &roles, &of_schema);
    Ok(LogicalPlan::Map { input: Arc::new(all), function: BatchFunction(Arc::new(function)), schema })
}

/// The columns of [`LazyFrame::describe`].
pub(crate) fn described_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let double = |name: &str| Field::new(name, DataType::Float64, true);
    let list = |name: &str, item: DataType| Field::new(name, DataType::new_list(item, true), true);
    let mut fields = vec![text("column"), text("type"), number("count"), number("nulls"), number("distinct")];
    fields.extend([Field::new("estimated", DataType::Boolean, true), text("min")]);
    fields.extend(QUANTILES.map(text));
    fields.extend([text("max"), double("mean"), double("std")]);
    fields.extend([list("top", DataType::Utf8View), list("top_counts", DataType::Int64)]);
    fields.extend([list("histogram", DataType::Int64), list("bounds", DataType::Float64)]);
    Arc::new(Schema::new(fields))
}

/// What is known of a column.
#[derive(Clone, Debug, Default)]
struct Facts {
    count: i64,
    distinct: Option<i64>,
    estimated: bool,
    extremes: [Option<String>; 2],
    quantiles: [Option<String>; QUANTILES.len()],
    moments: [Option<f64>; 2],
    top: Vec<String>,
    top_counts: Vec<i64>,
    bins: Vec<i64>,
    bounds: Vec<f64>,
}

/// A row for each column in place of each row of aggregates.
fn described(
    batch: &RecordBatch,
    columns: &[(String, ColumnType)],
    roles: &[(usize, Role)],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut rows = Vec::new();
    for row in 0..batch.num_rows() {
        let all = integer(batch.column(0), row).unwrap_or(0);
        let mut facts = vec![Facts::default(); columns.len()];
        for (array, (at, role)) in batch.columns()[1..].iter().zip(roles) {
            facts[*at].take(*role, array, row, columns[*at].1)?;
        }
        rows.extend(facts.into_iter().zip(columns).map(|(facts, column)| (facts, column, all)));
    }
    let text = |of: &dyn Fn(&Facts) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(facts, ..)| of(facts)).collect::<StringViewArray>())
    };
    let number = |of: &dyn Fn(&Facts, i64) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(facts, _, all)| of(facts, *all)).collect::<arrow::array::Int64Array>())
    };
    let double = |at: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|(facts, ..)| facts.moments[at]).collect::<arrow::array::Float64Array>())
    };
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, (name, _), _)| name))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, (_, kind), _)| kind.to_string()))),
        number(&|facts, _| Some(facts.count)),
        number(&|facts, all| Some(all - facts.count)),
        number(&|facts, _| facts.distinct),
        Arc::new(rows.iter().map(|(facts, ..)| Some(facts.estimated)).collect::<BooleanArray>()),
        text(&|facts| facts.extremes[0].clone()),
    ];
    arrays.extend((0..QUANTILES.len()).map(|at| text(&|facts| facts.quantiles[at].clone())));
    arrays.extend([text(&|facts| facts.extremes[1].clone()), double(0), double(1)]);
    let mut top = ListBuilder::new(StringViewBuilder::new());
    let (mut top_counts, mut bins) = (ListBuilder::new(Int64Builder::new()), ListBuilder::new(Int64Builder::new()));
    let mut bounds = ListBuilder::new(Float64Builder::new());
    for (facts, ..) in &rows {
        top.append_value(facts.top.iter().map(Some));
        top_counts.append_value(facts.top_counts.iter().copied().map(Some));
        bins.append_value(facts.bins.iter().copied().map(Some));
        bounds.append_value(facts.bounds.iter().copied().map(Some));
    }
    arrays.extend([
        Arc::new(top.finish()) as ArrayRef,
        Arc::new(top_counts.finish()),
        Arc::new(bins.finish()),
        Arc::new(bounds.finish()),
    ]);
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

impl Facts {
    fn take(&mut self, role: Role, array: &ArrayRef, row: usize, kind: ColumnType) -> Result<()> {
        match role {
            Role::Count => self.count = integer(array, row).unwrap_or(0),
            Role::Min => self.extremes[0] = written(array, row, kind)?,
            Role::Max => self.extremes[1] = written(array, row, kind)?,
            Role::Mean => self.moments[0] = double(array, row),
            Role::Std => self.moments[1] = double(array, row),
            Role::Distinct => self.distinct = integer(array, row),
            Role::Quantile(at) => self.quantiles[at] = written(array, row, kind)?,
            Role::Top => {
                let pairs = items(array, row)?;
                let (values, counts) = (field(&pairs, 0)?, field(&pairs, 1)?);
                for at in 0..pairs.len() {
                    if let (Some(value), Some(count @ 2..)) = (written(values, at, kind)?, integer(counts, at)) {
                        self.top.push(value);
                        self.top_counts.push(count);
                    }
                }
            }
            Role::Histogram => {
                let ranges = items(array, row)?;
                let [lower, upper, counts] = [field(&ranges, 0)?, field(&ranges, 1)?, field(&ranges, 2)?];
                for at in 0..ranges.len() {
                    // Infinite values lie outside of all ranges.
                    if let (Some(lower), Some(upper)) = (double(lower, at), double(upper, at)) {
                        if self.bounds.is_empty() {
                            self.bounds.push(lower);
                        }
                        self.bounds.push(upper);
                        self.bins.push(integer(counts, at).unwrap_or(0));
                    }
                }
            }
            Role::Summary => {
                let summary = items(array, row)?;
                let lists = |at: usize| items_of_list(field(&summary, at)?, 0);
                self.distinct = integer(field(&summary, 0)?, 0);
                self.estimated = field(&summary, 1)?.as_boolean().value(0);
                let quantiles = lists(2)?;
                for at in 0..quantiles.len().min(QUANTILES.len()) {
                    self.quantiles[at] = written(&quantiles, at, kind)?;
                }
                let top = lists(3)?;
                for at in 0..top.len() {
                    self.top.extend(written(&top, at, kind)?);
                }
                self.top_counts = lists(4)?.as_primitive::<Int64Type>().values().to_vec();
                self.bounds = lists(5)?.as_primitive::<Float64Type>().values().to_vec();
                self.bins = lists(6)?.as_primitive::<Int64Type>().values().to_vec();
            }
        }
        Ok(())
    }
}

/// The structs in the list of a row.
fn items(array: &ArrayRef, row: usize) -> Result<StructArray> {
    Ok(items_of_list(array, row)?.as_struct_opt().ok_or_else(|| Error::internal("no list of rows"))?.clone())
}

fn items_of_list(array: &ArrayRef, row: usize) -> Result<ArrayRef> {
    let lists = array.as_list_opt::<i32>().filter(|lists| row < lists.len());
    Ok(lists.ok_or_else(|| Error::internal("no list of values"))?.value(row))
}

fn field(rows: &StructArray, at: usize) -> Result<&ArrayRef> {
    rows.columns().get(at).ok_or_else(|| Error::internal(format!("rows without a field {at}")))
}

fn integer(array: &ArrayRef, row: usize) -> Option<i64> {
    array.as_primitive_opt::<Int64Type>().filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row))
}

fn double(array: &ArrayRef, row: usize) -> Option<f64> {
    array.as_primitive_opt::<Float64Type>().filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row))
}

/// The value as text; what is computed of integers without decimals that are 0.
fn written(array: &ArrayRef, row: usize, kind: ColumnType) -> Result<Option<String>> {
    let column = Column::of(array).map_err(|error| Error::internal(error.to_string()))?;
    let value = column.value(row);
    if let Value::Null = value {
        return Ok(None);
    }
    let mut text = Vec::new();
    value.append(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let whole = text.strip_suffix(".0").filter(|_| kind == ColumnType::Int64 && matches!(value, Value::Float64(_)));
    Ok(Some(whole.map_or_else(|| text.clone(), str::to_owned)))
}
