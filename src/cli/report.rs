//! `describe --html`: a page about all columns, which needs nothing from elsewhere.

use super::plot::escaped;
use super::render::brief;
use crate::error::Result;
use crate::frame::{DataFrame, Value};
use std::fmt::Write;

const STYLE: &str = "body{font-family:sans-serif;margin:2em;color:#222}table{border-collapse:collapse}\
th,td{padding:.35em .7em;border-bottom:1px solid #ddd;text-align:right;vertical-align:top;font-size:.85em}\
th{position:sticky;top:0;background:#fff}td:first-child,th:first-child,td.text,th.text{text-align:left}\
.note{color:#666;font-size:.85em}.bar{fill:#4e79a7}";

/// Of a histogram.
const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 40.0;

const NUMBERS: [(&str, &str); 11] = [
    ("nulls", "nulls"),
    ("distinct", "distinct"),
    ("min", "min"),
    ("p5", "5 %"),
    ("p25", "25 %"),
    ("p50", "50 %"),
    ("p75", "75 %"),
    ("p95", "95 %"),
    ("max", "max"),
    ("mean", "mean"),
    ("std", "std"),
];

/// The page about what [`LazyFrame::describe`](crate::frame::LazyFrame::describe) says of `files`.
///
/// # Errors
/// Those of reading the answer back from disk.
pub(super) fn page(files: &str, facts: &DataFrame) -> Result<String> {
    let mut out = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"/><title>{0}</title><style>{STYLE}</style></head><body>\
         <h1>{0}</h1>",
        escaped(files)
    );
    let mut add = |arguments: std::fmt::Arguments<'_>| {
        let written = out.write_fmt(arguments);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    };
    let rows = match facts.rows() {
        0 => 0,
        _ => whole(&facts.value(0, "count")?) + whole(&facts.value(0, "nulls")?),
    };
    add(format_args!(
        "<p>{rows} rows, {} columns</p>\n<table><tr><th>column</th><th class=\"text\">type</th>",
        facts.rows()
    ));
    for (_, title) in NUMBERS {
        add(format_args!("<th>{title}</th>"));
    }
    add(format_args!("<th class=\"text\">histogram</th><th class=\"text\">most frequent</th></tr>\n"));
    let mut any_estimated = false;
    for row in 0..facts.rows() {
        let value = |name: &str| facts.value(row, name);
        let estimated = value("estimated")? == Value::Boolean(true);
        any_estimated |= estimated;
        let kind = text(&value("type")?);
        add(format_args!(
            "<tr><td>{}</td><td class=\"text\">{}</td>",
            escaped(&text(&value("column")?)),
            escaped(&kind)
        ));
        for (name, _) in NUMBERS {
            let about = if estimated && name == "distinct" { "≈ " } else { "" };
            let is_number = matches!(kind.as_str(), "Int64" | "Float64") || matches!(name, "mean" | "std");
            let cell = text(&value(name)?);
            let cell = if is_number { brief(&cell) } else { cell.chars().take(40).collect() };
            add(format_args!("<td>{about}{}</td>", escaped(&cell)));
        }
        add(format_args!("<td class=\"text\">{}</td>", histogram(&value("histogram")?, &value("bounds")?)));
        let top = pairs(&value("top")?, &value("top_counts")?, whole(&value("count")?));
        add(format_args!("<td class=\"text\">{top}</td></tr>\n"));
    }
    add(format_args!("</table>"));
    if any_estimated {
        add(format_args!(
            "<p class=\"note\">Where the number of distinct values has ≈ before it, it, quantiles, histogram and frequent \
             values are estimated; <code>--exact</code> counts all values.</p>"
        ));
    }
    out.push_str("</body></html>\n");
    Ok(out)
}

fn whole(value: &Value) -> i64 {
    if let Value::Int64(number) = value { *number } else { 0 }
}

fn text(value: &Value) -> String {
    match value {
        Value::Utf8(text) => text.clone(),
        Value::Int64(number) => number.to_string(),
        Value::Float64(number) => number.to_string(),
        _ => String::new(),
    }
}

fn items(value: &Value) -> &[Value] {
    if let Value::List(items) = value { items } else { &[] }
}

fn histogram(bins: &Value, bounds: &Value) -> String {
    let (bins, bounds) = (items(bins), items(bounds));
    let Some(most) = bins.iter().map(whole).max().filter(|most| *most > 0) else { return String::new() };
    let width = WIDTH / bins.len() as f64;
    let mut svg = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" xmlns=\"http://www.w3.org/2000/svg\">");
    for (at, (bin, range)) in bins.iter().zip(bounds.windows(2)).enumerate() {
        let height = (HEIGHT * whole(bin) as f64 / most as f64).max(if whole(bin) > 0 { 1.0 } else { 0.0 });
        let written = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{} to {}: {}</title></rect>",
            at as f64 * width,
            HEIGHT - height,
            width - 1.0,
            text(&range[0]),
            text(&range[1]),
            whole(bin)
        );
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }
    svg + "</svg>"
}

fn pairs(top: &Value, counts: &Value, all: i64) -> String {
    let one = |(value, count): (&Value, &Value)| {
        let percent = 100.0 * whole(count) as f64 / all.max(1) as f64;
        let value: String = text(value).chars().take(60).collect();
        format!("{} <span class=\"note\">{percent:.1} %</span>", escaped(&value))
    };
    items(top).iter().zip(items(counts)).map(one).collect::<Vec<_>>().join("<br/>")
}
