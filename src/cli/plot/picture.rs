//! The picture, drawn on whatever there is.

use super::Kind;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas};
use super::raster::Raster;
use super::svg::Svg;
use super::table::{Table, no_place};
use crate::error::{Error, ErrorKind, Result};
use crate::write::text::Value;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
/// Of the field in which values are drawn.
const LEFT: f64 = 90.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = HEIGHT - 80.0;

const COLOURS: [&str; 12] = [
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#edc948", "#9c755f", "#ff9da7", "#5b8c5a",
    "#8884d8", "#79706e",
];

/// The picture of a table as SVG.
pub(super) fn svg(kind: Kind, title: &str, table: &Table) -> Result<String> {
    let title = shortened(title);
    let mut svg = Svg::new(WIDTH, HEIGHT, &title);
    draw(&mut svg, kind, &title, table)?;
    Ok(svg.finish())
}

/// The picture of a table as PNG.
pub(super) fn png(kind: Kind, title: &str, table: &Table) -> Result<Vec<u8>> {
    let mut raster = Raster::new(WIDTH, HEIGHT)?;
    draw(&mut raster, kind, &shortened(title), table)?;
    raster.finish()
}

fn shortened(title: &str) -> String {
    title.chars().take(120).collect()
}

fn draw(on: &mut dyn Canvas, kind: Kind, title: &str, table: &Table) -> Result<()> {
    on.text(WIDTH / 2.0, 20.0, Anchor::Middle, title);
    match kind {
        Kind::Bar => bars(on, table),
        Kind::Line | Kind::Scatter => points(on, table, kind == Kind::Line)?,
        Kind::Heatmap => heatmap(on, table)?,
    }
    Ok(())
}

fn number(value: f64) -> String {
    let text =
        if value != 0.0 && !(1e-4..1e15).contains(&value.abs()) { format!("{value:e}") } else { format!("{value:.6}") };
    if !text.contains('.') || text.contains('e') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The y axis and its marks, what the x axis is, and which colour is which series.
fn frame(on: &mut dyn Canvas, table: &Table, y: &Axis) {
    for mark in y.marks() {
        let place = y.place(mark);
        on.line([LEFT, place, RIGHT, place]);
        on.text(LEFT - 8.0, place + 4.0, Anchor::End, &number(mark));
    }
    on.text((LEFT + RIGHT) / 2.0, HEIGHT - 12.0, Anchor::Middle, &table.x_name);
    let mut x = LEFT;
    for (series, colour) in table.series.iter().zip(COLOURS) {
        let name: String = series.name.chars().take(40).collect();
        on.swatch(x, 31.0, colour);
        on.text(x + 14.0, 40.0, Anchor::Start, &name);
        x += 30.0 + 7.0 * name.chars().count() as f64;
    }
}

/// Names below the middles of columns of this width; of very many, some.
fn names(on: &mut dyn Canvas, labels: &[&str], width: f64) {
    let every = (14.0 / width).ceil().max(1.0) as usize;
    let slanted = labels.iter().any(|label| label.chars().count() as f64 * 7.0 > width);
    for (at, label) in labels.iter().enumerate().step_by(every) {
        let x = LEFT + (at as f64 + 0.5) * width;
        let label: String = label.chars().take(14).collect();
        if slanted {
            on.slanted(x, BOTTOM + 14.0, &label);
        } else {
            on.text(x, BOTTOM + 16.0, Anchor::Middle, &label);
        }
    }
}

fn bars(on: &mut dyn Canvas, table: &Table) {
    let all = table.series.iter().flat_map(|series| series.values.iter().copied());
    let y = Axis::over(all.chain([0.0]), true, BOTTOM, TOP);
    frame(on, table, &y);
    let width = (RIGHT - LEFT) / table.labels.len().max(1) as f64;
    let each = width * 0.8 / table.series.len() as f64;
    for (number_of, series) in table.series.iter().enumerate() {
        for (row, value) in series.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let x = LEFT + row as f64 * width + width * 0.1 + number_of as f64 * each;
            let (zero, end) = (y.place(0.0), y.place(*value));
            let title = format!("{}: {} = {}", table.labels[row], series.name, number(*value));
            on.rectangle([x, zero.min(end), each, (zero - end).abs()], COLOURS[number_of % COLOURS.len()], &title);
        }
    }
    names(on, &table.labels.iter().map(String::as_str).collect::<Vec<_>>(), width);
}

fn points(on: &mut dyn Canvas, table: &Table, joined: bool) -> Result<()> {
    let all = table.series.iter().flat_map(|series| series.values.iter().copied());
    let y = Axis::over(all, true, BOTTOM, TOP);
    frame(on, table, &y);
    let places = match &table.places {
        Some(places) => {
            let x = Axis::over(places.iter().copied(), false, LEFT, RIGHT);
            for mark in x.marks() {
                on.text(x.place(mark), BOTTOM + 16.0, Anchor::Middle, &mark_text(mark, table));
            }
            places.iter().map(|place| if place.is_finite() { x.place(*place) } else { f64::NAN }).collect()
        }
        None if joined => {
            let width = (RIGHT - LEFT) / table.labels.len().max(1) as f64;
            names(on, &table.labels.iter().map(String::as_str).collect::<Vec<_>>(), width);
            (0..table.labels.len()).map(|row| LEFT + (row as f64 + 0.5) * width).collect::<Vec<f64>>()
        }
        None => return Err(no_place(&table.x_name, ErrorKind::Type)),
    };
    for (series, colour) in table.series.iter().zip(COLOURS) {
        let seen = |row: &usize| places[*row].is_finite() && series.values[*row].is_finite();
        let rows: Vec<usize> = (0..places.len()).collect();
        for part in rows.split(|row| !seen(row)).filter(|part| joined && part.len() > 1) {
            let line: Vec<(f64, f64)> = part.iter().map(|&row| (places[row], y.place(series.values[row]))).collect();
            on.polyline(&line, colour);
        }
        for row in rows.into_iter().filter(seen) {
            let value = series.values[row];
            let title = format!("{}: {} = {}", table.labels[row], series.name, number(value));
            on.point(places[row], y.place(value), colour, &title);
        }
    }
    Ok(())
}

/// A mark on the x axis; of dates the day, of timestamps the minute.
fn mark_text(mark: f64, table: &Table) -> String {
    if !table.of_time {
        return number(mark);
    }
    let is_date = table.labels.iter().all(|label| !label.contains('T'));
    let mut text = Vec::new();
    if is_date { Value::Date(mark as i32) } else { Value::Timestamp(mark as i64) }.append(&mut text);
    String::from_utf8_lossy(&text).chars().take(16).collect()
}

/// Cells of x and y, the darker the larger.
fn heatmap(on: &mut dyn Canvas, table: &Table) -> Result<()> {
    let [across, down] = &table.keys;
    let (columns, rows) = (&across.labels, &down.labels);
    if columns.len() * rows.len() > 50_000 {
        let message = format!("a heatmap of {} times {} cells shows nothing", columns.len(), rows.len());
        return Err(Error::new(ErrorKind::Limit, message).hint("a coarser `by` gives fewer"));
    }
    let (width, height) = ((RIGHT - LEFT) / columns.len().max(1) as f64, (BOTTOM - TOP) / rows.len().max(1) as f64);
    let Some(series) = table.series.first() else { return Ok(()) };
    let depth = Axis::over(series.values.iter().copied(), false, 0.0, 1.0);
    for (row, value) in series.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let (column, line) = (across.of_rows[row], down.of_rows[row]);
        let (x, y) = (column as f64, line as f64);
        let shade = depth.place(*value);
        let mixed = |light: f64, dark: f64| (light + (dark - light) * shade) as u8;
        let fill = format!("#{:02x}{:02x}{:02x}", mixed(239.0, 8.0), mixed(243.0, 48.0), mixed(255.0, 107.0));
        let title = format!("{}, {}: {} = {}", columns[column], rows[line], series.name, number(*value));
        on.rectangle([LEFT + x * width, TOP + y * height, width, height], &fill, &title);
    }
    names(on, &columns.iter().map(String::as_str).collect::<Vec<_>>(), width);
    let every = (12.0 / height).ceil().max(1.0) as usize;
    for (at, label) in rows.iter().enumerate().step_by(every) {
        let label: String = label.chars().take(12).collect();
        on.text(LEFT - 6.0, TOP + (at as f64 + 0.5) * height + 4.0, Anchor::End, &label);
    }
    on.text((LEFT + RIGHT) / 2.0, HEIGHT - 12.0, Anchor::Middle, &table.x_name);
    on.text(LEFT, 40.0, Anchor::End, &table.second_name);
    let range = format!("{}: {} (light) to {} (dark)", series.name, number(depth.low), number(depth.high));
    on.text(RIGHT, 40.0, Anchor::End, &range);
    Ok(())
}
