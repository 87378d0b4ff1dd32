//! What a picture is drawn on: lines, boxes, points and text, in the units of the picture.

/// Where a text stands, seen from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Something to draw on. Colours are `#rrggbb`; what a mark `says` is shown where one can point at it.
pub(super) trait Canvas {
    /// Text with its baseline at y; data, so nothing of it is markup.
    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str);

    /// Text that ends at a place and rises to it.
    fn slanted(&mut self, x: f64, y: f64, text: &str);

    /// A line of a grid, from x and y to x and y.
    fn line(&mut self, ends: [f64; 4]);

    /// A small box that shows a colour.
    fn swatch(&mut self, x: f64, y: f64, fill: &str);

    /// A box: x, y, width and height.
    fn rectangle(&mut self, place: [f64; 4], fill: &str, says: &str);

    /// A point that lets others shine through.
    fn point(&mut self, x: f64, y: f64, fill: &str, says: &str);

    /// A line through points.
    fn polyline(&mut self, points: &[(f64, f64)], colour: &str);
}

/// Degrees by which slanted text rises.
pub(super) const SLANT: f64 = 40.0;
/// The colour of grids.
pub(super) const GRID: &str = "#dddddd";
/// Height of letters.
pub(super) const FONT_SIZE: f64 = 12.0;
/// Of a swatch.
pub(super) const SWATCH: f64 = 10.0;
pub(super) const POINT_RADIUS: f64 = 3.0;
pub(super) const POINT_OPACITY: f64 = 0.7;
pub(super) const STROKE: f64 = 1.5;
