//! Aligned columns for people.
//!
//! A table knows its widths only at the end, so it holds the text of the rows it will show: the head and a sliding
//! tail. Too wide a table first narrows its widest columns, cutting cells with `…`, then leaves out columns from the
//! right and says which. Widths are display widths, so East Asian text stays aligned.

use super::bar::bar;
use super::{Layout, Writer};
use crate::write::text::{Column, Value, is_number};
use arrow::datatypes::Schema;
use std::collections::VecDeque;
use unicode_width::UnicodeWidthStr;

/// Characters between columns.
const GAP: usize = 2;

/// Columns are not cut narrower than this.
const NARROWEST: usize = 6;

/// Significant digits of a double.
const DIGITS: usize = 7;

/// A bar is at most so wide, and at least, where there is no more room.
const WIDEST_BAR: usize = 40;
const NARROWEST_BAR: usize = 8;

/// A row as it is shown.
struct Row {
    cells: Vec<String>,
    /// How long its bar is, if there are bars.
    length: f64,
}

/// Gathers what will be shown.
pub(super) struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    layout: Layout,
    head: Vec<Row>,
    tail: VecDeque<Row>,
    rows_seen: u64,
    /// In place of the number of rows.
    said: Option<String>,
}

impl Table {
    /// A table of these columns.
    pub(super) fn new(schema: &Schema, layout: Layout) -> Self {
        Table {
            names: schema.fields().iter().map(|field| printable(field.name())).collect(),
            right: schema.fields().iter().map(|field| is_number(field.data_type())).collect(),
            layout,
            head: Vec::new(),
            tail: VecDeque::new(),
            rows_seen: 0,
            said: None,
        }
    }

    /// A table of these cells; columns stand flush right where `right` says so.
    pub(super) fn of_cells(names: Vec<String>, right: Vec<bool>, rows: Vec<Vec<String>>, layout: Layout) -> Self {
        let mut table =
            Table { names, right, layout, head: Vec::new(), tail: VecDeque::new(), rows_seen: 0, said: None };
        rows.into_iter().for_each(|cells| table.push(Row { cells, length: 0.0 }));
        table
    }

    /// What is said below it in place of the number of rows.
    pub(super) fn say(&mut self, text: String) {
        self.said = Some(text);
    }

    fn push(&mut self, row: Row) {
        self.rows_seen += 1;
        if self.head.len() < self.rows_of_head() {
            return self.head.push(row);
        }
        if self.tail.len() == self.rows_of_tail() {
            self.tail.pop_front();
        }
        if self.rows_of_tail() > 0 {
            self.tail.push_back(row);
        }
    }

    fn rows_of_head(&self) -> usize {
        self.layout.rows.map_or(usize::MAX, |rows| rows - rows / 2)
    }

    fn rows_of_tail(&self) -> usize {
        self.layout.rows.map_or(0, |rows| rows / 2)
    }

    /// How many columns fit, and how wide each is.
    fn widths(&self) -> Vec<usize> {
        let natural = |column: usize| {
            let cells = self.head.iter().chain(&self.tail).map(|row| row.cells[column].width());
            cells.chain([self.names[column].width(), 1]).max().unwrap_or(1)
        };
        let mut widths: Vec<usize> = (0..self.names.len()).map(natural).collect();
        let Some(limit) = self.layout.width else { return widths };
        let limit = if self.layout.bar.is_some() { limit.saturating_sub(GAP + NARROWEST_BAR) } else { limit };
        loop {
            let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            if total <= limit || widths.is_empty() {
                return widths;
            }
            let excess = total - limit;
            let widest = widths.iter().copied().max().unwrap_or(0);
            if widest > NARROWEST {
                let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(0).max(NARROWEST);
                let many = widths.iter().filter(|width| **width == widest).count();
                let narrower = next.max(widest.saturating_sub(excess.div_ceil(many)));
                widths.iter_mut().filter(|width| **width == widest).for_each(|width| *width = narrower);
            } else if widths.len() > 1 {
                widths.pop();
            } else {
                return widths;
            }
        }
    }

    fn line(&self, cells: &[String], bar: &str, widths: &[usize], out: &mut Vec<u8>) {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let cell = shortened(cell, *width);
            let padding = width.saturating_sub(cell.width());
            let before = if self.right[column] { padding } else { 0 };
            line.extend(std::iter::repeat_n(' ', before + if column > 0 { GAP } else { 0 }));
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', padding - before));
        }
        if !bar.is_empty() {
            line.extend(std::iter::repeat_n(' ', GAP));
            line.push_str(bar);
        }
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }

    /// What is said below the rows.
    fn footer(&self, shown: u64, columns: usize) -> String {
        let rows = if self.rows_seen == 1 { "row" } else { "rows" };
        let mut footer = self.said.clone().unwrap_or_else(|| format!("{} {rows}", grouped(self.rows_seen)));
        if shown < self.rows_seen {
            footer.push_str(&format!(", {} shown", grouped(shown)));
        }
        if let Some(elapsed) = self.layout.elapsed {
            footer.push_str(&format!(", {:.2} s", elapsed.as_secs_f64()));
        }
        if columns < self.names.len() {
            footer.push_str(&format!("; not shown for width: {}", self.names[columns..].join(", ")));
        }
        footer
    }
}

impl Writer for Table {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, _out: &mut Vec<u8>) {
        let (head, tail) = (self.rows_of_head(), self.rows_of_tail());
        for row in 0..rows {
            let shown = self.head.len() < head || row + tail >= rows;
            if !shown {
                self.rows_seen += 1;
                continue;
            }
            let length = self.layout.bar.and_then(|bar| Some((columns.get(bar.column)?.value(row), bar.most)));
            let length = match length {
                Some((Value::Int64(count), most)) => count as f64 / most,
                Some((Value::Float64(size), most)) => size / most,
                _ => 0.0,
            };
            let cells = columns.iter().map(|column| cell_text(column.value(row))).collect();
            self.push(Row { cells, length });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let widths = self.widths();
        let taken = widths.iter().sum::<usize>() + GAP * widths.len();
        let room = self.layout.width.map_or(WIDEST_BAR, |width| width.saturating_sub(taken));
        let room = room.clamp(NARROWEST_BAR, WIDEST_BAR);
        let bar_of = |row: &Row| self.layout.bar.map_or_else(String::new, |_| bar(row.length, room));
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.line(&self.names, "", &widths, out);
        self.line(&rule, "", &widths, out);
        self.head.iter().for_each(|row| self.line(&row.cells, &bar_of(row), &widths, out));
        let shown = (self.head.len() + self.tail.len()) as u64;
        if shown < self.rows_seen {
            self.line(&vec!["…".to_string(); widths.len()], "", &widths, out);
        }
        self.tail.iter().for_each(|row| self.line(&row.cells, &bar_of(row), &widths, out));
        out.extend_from_slice(format!("({})\n", self.footer(shown, widths.len())).as_bytes());
    }
}

pub(super) fn cell_text(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Text(text) => printable(text),
        Value::Float64(value) if value.is_finite() => rounded(value),
        value => {
            let mut text = Vec::new();
            value.append(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}

/// The value as [`cell_text`] has it, with all digits of doubles.
pub(super) fn cell_exact(value: Value<'_>) -> String {
    match value {
        Value::Float64(_) => {
            let mut text = Vec::new();
            value.append(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
        value => cell_text(value),
    }
}

/// Text with control characters escaped, so that data can neither break the table nor command the terminal.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A double to [`DIGITS`] significant digits, but never short of its whole part; always with a decimal point.
fn rounded(value: f64) -> String {
    rounded_to(value, DIGITS)
}

/// As [`rounded`], to so many digits.
pub(super) fn rounded_to(value: f64, digits: usize) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        return ryu::Buffer::new().format_finite(value).to_string();
    }
    let whole_digits = if magnitude < 1.0 { 1 } else { magnitude.log10() as usize + 1 };
    let text = format!("{value:.*}", digits.saturating_sub(whole_digits).max(1));
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_string() }
}

/// `text` cut to `width` columns of display, the last of them `…` if anything was cut.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        // Of all: a mark behind a character may change the width of both.
        if kept.width() + 1 > width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// A count with commas between thousands.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
