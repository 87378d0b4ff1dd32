//! An answer as what pictures are made of.

use super::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::DataFrame;
use crate::write::text::{Column, Value};
use arrow::array::ArrayRef;

/// More than these cannot be told apart.
const MOST_BARS: usize = 500;
const MOST_POINTS: usize = 50_000;
const MOST_SERIES: usize = 12;

/// A column of numbers.
pub(super) struct Series {
    pub(super) name: String,
    /// NaN where there is none.
    pub(super) values: Vec<f64>,
}

pub(super) struct Table {
    pub(super) x_name: String,
    /// The first column as text, and, of a heatmap, the second.
    pub(super) labels: Vec<String>,
    pub(super) second: Vec<String>,
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
        let firsts = if kind == Kind::Heatmap { 2 } else { 1 };
        let wrong = || {
            let needed = match kind {
                Kind::Heatmap => "a heatmap needs three columns: x, y and a number",
                _ => "a picture needs a column for the x axis and one or more of numbers",
            };
            Error::new(ErrorKind::Type, needed).hint("such as 'mean(ArrDelay) as delay by Month'")
        };
        if names.len() <= firsts || kind == Kind::Heatmap && names.len() != 3 {
            return Err(wrong());
        }
        let mut series = Vec::new();
        for name in &names[firsts..] {
            if let Some(values) = numbers(&answer.column(name)?)? {
                series.push(Series { name: (*name).to_owned(), values });
            }
        }
        if series.is_empty() || series.len() > MOST_SERIES {
            return Err(wrong());
        }
        let first = answer.column(names[0])?;
        let second = if firsts == 2 { texts(&answer.column(names[1])?)? } else { Vec::new() };
        let of_time = matches!(column(&first)?, Column::Date(_) | Column::Timestamp(_));
        Ok(Table {
            x_name: names[0].to_owned(),
            labels: texts(&first)?,
            second,
            second_name: names[1].to_owned(),
            places: numbers(&first)?,
            of_time,
            series,
        })
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

fn texts(array: &ArrayRef) -> Result<Vec<String>> {
    let column = column(array)?;
    let text = |row| match column.value(row) {
        Value::Null => "null".to_owned(),
        value => {
            let mut text = Vec::new();
            value.append(&mut text);
            String::from_utf8_lossy(&text).chars().take(60).collect()
        }
    };
    Ok((0..array.len()).map(text).collect())
}
