//! An answer as what pictures are made of.

use super::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::DataFrame;
use crate::types::ColumnType;
use crate::write::text::{Column, Value};
use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use std::collections::HashMap;

/// More than these cannot be told apart.
const MOST_BARS: usize = 500;
const MOST_POINTS: usize = 50_000;
const MOST_SERIES: usize = 12;
/// Characters of a label.
const LONGEST: usize = 60;

/// A column of numbers.
pub(super) struct Series {
    pub(super) name: String,
    /// NaN where there is none.
    pub(super) values: Vec<f64>,
}

/// The different values of a column, numbered as they appear.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) labels: Vec<String>,
    /// The number of the value of each row.
    pub(super) of_rows: Vec<usize>,
}

pub(super) struct Table {
    pub(super) x_name: String,
    /// The first column as text.
    pub(super) labels: Vec<String>,
    /// Of a heatmap, the first two columns.
    pub(super) keys: [Keys; 2],
    pub(super) second_name: String,
    /// The first column as numbers, if that is what it is; days and microseconds of dates.
    pub(super) places: Option<Vec<f64>>,
    /// The first column is of dates or timestamps.
    pub(super) of_time: bool,
    pub(super) series: Vec<Series>,
}

impl Table {
    pub(super) fn of(answer: &DataFrame, kind: Kind) -> Result<Self> {
        let most = if matches!(kind, Kind::Bar) { MOST_BARS } else { MOST_POINTS };
        if answer.rows() > most {
            let message = format!("a picture of {} rows shows nothing; there may be {most}", answer.rows());
            return Err(Error::new(ErrorKind::Limit, message).hint("`limit`, `sample` or a coarser `by` gives fewer"));
        }
        let names: Vec<&str> = answer.schema().fields().iter().map(|field| field.name().as_str()).collect();
        // Types that were guessed may have been widened since they were looked at.
        refuse(answer.schema(), kind, ErrorKind::Type)?;
        let firsts = firsts(kind);
        let mut series = Vec::new();
        for name in &names[firsts..] {
            if let Some(values) = numbers(&answer.column(name)?)? {
                series.push(Series { name: (*name).to_owned(), values });
            }
        }
        if series.is_empty() {
            return Err(wrong(kind, ErrorKind::Type));
        }
        let first = answer.column(names[0])?;
        let keys = match kind {
            Kind::Heatmap => [keys(&first)?, keys(&answer.column(names[1])?)?],
            _ => Default::default(),
        };
        let of_time = matches!(column(&first)?, Column::Date(_) | Column::Timestamp(_));
        Ok(Table {
            x_name: names[0].to_owned(),
            labels: texts(&first)?,
            keys,
            second_name: names[1].to_owned(),
            places: numbers(&first)?,
            of_time,
            series,
        })
    }
}

/// How many columns are no series.
fn firsts(kind: Kind) -> usize {
    if kind == Kind::Heatmap { 2 } else { 1 }
}

fn wrong(kind: Kind, told_as: ErrorKind) -> Error {
    let (needed, example) = match kind {
        Kind::Heatmap => ("a heatmap needs three columns: x, y and a number".to_owned(), "Month, DayOfWeek"),
        _ => (format!("a picture needs a column for the x axis and one to {MOST_SERIES} of numbers"), "Month"),
    };
    Error::new(told_as, needed).hint(format!("such as 'mean(ArrDelay) as delay by {example}'"))
}

/// The error of a scatter whose first column is not of numbers.
pub(super) fn no_place(name: &str, told_as: ErrorKind) -> Error {
    let message = format!("the x axis of a scatter is of numbers, and `{name}` is not");
    Error::new(told_as, message).hint("--plot bar takes text")
}

/// Refuses columns that cannot be drawn so. One without a value may turn out to be of numbers.
pub(super) fn refuse(schema: &Schema, kind: Kind, told_as: ErrorKind) -> Result<()> {
    let types = schema.fields().iter().map(|field| ColumnType::from_arrow(field.data_type()));
    let types = types.collect::<Result<Vec<_>>>()?;
    let may_be_numbers = |of: &&ColumnType| !matches!(of, ColumnType::Utf8 | ColumnType::Boolean | ColumnType::List(_));
    let series = types.iter().skip(firsts(kind)).filter(may_be_numbers);
    let numbers = series.clone().filter(|of| **of != ColumnType::Null).count();
    if series.count() == 0 || numbers > MOST_SERIES || kind == Kind::Heatmap && types.len() != 3 {
        return Err(wrong(kind, told_as));
    }
    match types.first().filter(|first| kind == Kind::Scatter && !may_be_numbers(first)) {
        Some(_) => Err(no_place(schema.field(0).name(), told_as)),
        None => Ok(()),
    }
}

fn column(array: &ArrayRef) -> Result<Column<'_>> {
    Column::of(array).map_err(|error| Error::internal(error.to_string()))
}

fn numbers(array: &ArrayRef) -> Result<Option<Vec<f64>>> {
    let column = column(array)?;
    if matches!(column, Column::Text(_) | Column::Boolean(_) | Column::List(_) | Column::Null) {
        return Ok(None);
    }
    let number = |row| match column.value(row) {
        Value::Int64(value) | Value::Timestamp(value) => value as f64,
        Value::Float64(value) => value,
        Value::Date(value) => f64::from(value),
        _ => f64::NAN,
    };
    Ok(Some((0..array.len()).map(number).collect()))
}

/// A value as text; `None` where there is none.
fn text(value: Value<'_>) -> Option<Vec<u8>> {
    if matches!(value, Value::Null) {
        return None;
    }
    let mut text = Vec::new();
    value.append(&mut text);
    Some(text)
}

fn label(text: Option<&[u8]>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| String::from_utf8_lossy(text).chars().take(LONGEST).collect())
}

fn texts(array: &ArrayRef) -> Result<Vec<String>> {
    let column = column(array)?;
    Ok((0..array.len()).map(|row| label(text(column.value(row)).as_deref())).collect())
}

fn keys(array: &ArrayRef) -> Result<Keys> {
    let column = column(array)?;
    let (mut known, mut keys) = (HashMap::new(), Keys::default());
    for row in 0..array.len() {
        let text = text(column.value(row));
        let next = keys.labels.len();
        let number = match known.get(&text) {
            Some(number) => *number,
            None => {
                keys.labels.push(label(text.as_deref()));
                known.insert(text, next);
                next
            }
        };
        keys.of_rows.push(number);
    }
    Ok(keys)
}
