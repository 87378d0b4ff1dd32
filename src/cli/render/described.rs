//! What `describe` shows on a terminal: as many of its columns as fit, the telling ones first.

use super::bar::columns;
use super::table::{Table, cell_text, grouped, printable, rounded_to, shortened};
use super::{Layout, Writer};
use crate::frame::DataFrame;
use crate::write::text::{Column, Value};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use std::io;
use unicode_width::UnicodeWidthStr;

/// Significant digits of a number.
const DIGITS: usize = 5;
/// Characters of a text.
const TEXT: usize = 16;
/// The histogram, or the most frequent values, are shown if there is so much room.
const VALUES: usize = 10;

/// A column of what is shown.
struct Shown {
    title: &'static str,
    right: bool,
    cells: Vec<String>,
    /// Those with smaller ones stay when there is little room.
    rank: usize,
}

impl Shown {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.width());
        let natural = cells.chain([self.title.width()]).max().unwrap_or(0);
        if self.title == "values" { natural.min(VALUES) } else { natural }
    }
}

/// The answer of [`LazyFrame::describe`](crate::frame::LazyFrame::describe) as a table.
///
/// # Errors
/// Those of reading it back from disk.
pub(super) fn described(frame: &DataFrame, layout: Layout) -> io::Result<Vec<u8>> {
    let facts = Facts { frame, numeric: Vec::new() };
    let types = facts.texts("type")?;
    let numeric = types.iter().map(|kind| matches!(kind.as_str(), "Int64" | "Float64")).collect();
    let facts = Facts { numeric, ..facts };
    let shown = |title, rank, cells| Shown { title, right: title != "column" && title != "type", cells, rank };
    let all = vec![
        shown("column", 0, facts.texts("column")?),
        shown("type", 1, types),
        shown("nulls", 2, facts.texts("nulls")?),
        shown("distinct", 3, facts.distinct()?),
        shown("min", 4, facts.values("min")?),
        shown("5 %", 12, facts.values("p5")?),
        shown("25 %", 10, facts.values("p25")?),
        shown("50 %", 8, facts.values("p50")?),
        shown("75 %", 11, facts.values("p75")?),
        shown("95 %", 13, facts.values("p95")?),
        shown("max", 5, facts.values("max")?),
        shown("mean", 7, facts.doubles("mean")?),
        shown("std", 9, facts.doubles("std")?),
        Shown { right: false, ..shown("values", 6, facts.pictures()?) },
    ];
    let fitting = fitting(&all, layout.width);
    let rows = (0..frame.rows()).map(|row| fitting.iter().map(|shown| shown.cells[row].clone()).collect());
    let names = fitting.iter().map(|shown| shown.title.to_owned()).collect();
    let right = fitting.iter().map(|shown| shown.right).collect();
    let layout = Layout { rows: None, ..layout };
    let of_all = facts.rows()?;
    let mut table = Table::of_cells(names, right, rows.collect(), layout);
    let columns = if frame.rows() == 1 { "column" } else { "columns" };
    table.say(format!("{} {columns} of {} rows", grouped(frame.rows() as u64), grouped(of_all)));
    let mut out = Vec::new();
    table.end(&mut out);
    if facts.is_estimated()? {
        out.extend_from_slice("≈ and what stands beside it is estimated; --exact counts all values\n".as_bytes());
    }
    Ok(out)
}

/// Those of the smallest ranks that fit, in order.
fn fitting(all: &[Shown], width: Option<usize>) -> Vec<&Shown> {
    let mut by_rank: Vec<&Shown> = all.iter().collect();
    by_rank.sort_by_key(|shown| shown.rank);
    let (mut taken, mut last) = (0, 0);
    for shown in by_rank {
        taken += shown.width() + 2;
        // The first few stay, and are narrowed.
        if shown.rank > 3 && width.is_some_and(|width| taken > width + 2) {
            break;
        }
        last = shown.rank;
    }
    all.iter().filter(|shown| shown.rank <= last).collect()
}

struct Facts<'a> {
    frame: &'a DataFrame,
    /// Which columns are of numbers.
    numeric: Vec<bool>,
}

impl Facts<'_> {
    fn array(&self, name: &str) -> io::Result<ArrayRef> {
        self.frame.column(name).map_err(io::Error::other)
    }

    fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        let array = self.array(name)?;
        let column = Column::of(&array)?;
        let cell = |row| match column.value(row) {
            Value::Null => String::new(),
            value => shortened(&cell_text(value), 2 * TEXT),
        };
        Ok((0..array.len()).map(cell).collect())
    }

    /// Extremes and quantiles, numbers with few digits.
    fn values(&self, name: &str) -> io::Result<Vec<String>> {
        let array = self.array(name)?;
        let texts = array.as_string_view();
        let cell = |(row, text): (usize, Option<&str>)| match text {
            None => String::new(),
            Some(text) if self.numeric[row] => brief(text),
            Some(text) => shortened(&printable(text), TEXT),
        };
        Ok(texts.iter().enumerate().map(cell).collect())
    }

    fn doubles(&self, name: &str) -> io::Result<Vec<String>> {
        let array = self.array(name)?;
        let doubles = array.as_primitive::<Float64Type>();
        Ok(doubles.iter().map(|value| value.map_or_else(String::new, |value| brief(&format!("{value:?}")))).collect())
    }

    fn distinct(&self) -> io::Result<Vec<String>> {
        let (array, estimated) = (self.texts("distinct")?, self.array("estimated")?);
        let estimated = estimated.as_boolean();
        let cell = |(row, text): (usize, String)| if estimated.value(row) { format!("≈ {text}") } else { text };
        Ok(array.into_iter().enumerate().map(cell).collect())
    }

    fn is_estimated(&self) -> io::Result<bool> {
        Ok(self.array("estimated")?.as_boolean().true_count() > 0)
    }

    /// Number of rows that are described.
    fn rows(&self) -> io::Result<u64> {
        let [values, nulls] = ["count", "nulls"].map(|name| self.array(name));
        let (values, nulls) = (values?, nulls?);
        let sum = |row| values.as_primitive::<Int64Type>().value(row) + nulls.as_primitive::<Int64Type>().value(row);
        Ok((0..self.frame.rows()).map(sum).max().unwrap_or(0).unsigned_abs())
    }

    /// A small histogram of numbers, the most frequent ones of other values.
    fn pictures(&self) -> io::Result<Vec<String>> {
        let lists = ["histogram", "top", "top_counts", "count"].map(|name| self.array(name));
        let [bins, top, counts, values] = lists;
        let (bins, top, counts, values) = (bins?, top?, counts?, values?);
        let numbers =
            |lists: &ArrayRef, row: usize| lists.as_list::<i32>().value(row).as_primitive::<Int64Type>().clone();
        let picture = |row: usize| {
            let bins = numbers(&bins, row);
            if !bins.is_empty() {
                return columns(bins.values());
            }
            let (top, counts) = (top.as_list::<i32>().value(row), numbers(&counts, row));
            let all = values.as_primitive::<Int64Type>().value(row).max(1);
            let top = top.as_string_view();
            let one = |(value, count): (Option<&str>, &i64)| {
                let percent = 100.0 * *count as f64 / all as f64;
                format!("{} {percent:.0} %", shortened(&printable(value.unwrap_or_default()), TEXT))
            };
            top.iter().zip(counts.values()).map(one).collect::<Vec<_>>().join(", ")
        };
        Ok((0..self.frame.rows()).map(picture).collect())
    }
}

/// A number with few digits, without a point if it is whole; an integer as it is.
pub(crate) fn brief(text: &str) -> String {
    if text.parse::<i64>().is_ok() {
        return text.to_owned();
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let rounded = rounded_to(value, DIGITS);
            rounded.strip_suffix(".0").map_or_else(|| rounded.clone(), str::to_owned)
        }
        _ => text.to_owned(),
    }
}
