//! A picture as SVG, which shows the numbers of what one points at.

use super::canvas::{Anchor, Canvas, FONT_SIZE, GRID, POINT_OPACITY, POINT_RADIUS, SLANT, STROKE, SWATCH};
use std::fmt::Write;

/// Text that is markup nowhere; control characters are left out.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            // Not allowed in XML, even escaped.
            '\u{fffe}' | '\u{ffff}' => {}
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// A picture that is being drawn.
pub(super) struct Svg(String);

impl Svg {
    /// A white picture of this size, called so.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Svg(String::new());
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"{FONT_SIZE}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        ));
        svg.add(format_args!("<title>{}</title>\n", escaped(title)));
        svg
    }

    /// The text of the picture.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        let written = self.0.write_fmt(arguments);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }
}

impl Canvas for Svg {
    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escaped(text)));
    }

    fn slanted(&mut self, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" transform=\"rotate(-{SLANT} {x:.1} {y:.1})\">{text}</text>\n"
        ));
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4]) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{GRID}\"/>\n"
        ));
    }

    fn swatch(&mut self, x: f64, y: f64, fill: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{SWATCH}\" height=\"{SWATCH}\" fill=\"{fill}\"/>\n"
        ));
    }

    fn rectangle(&mut self, [x, y, width, height]: [f64; 4], fill: &str, says: &str) {
        self.add(format_args!(
            "<rect class=\"mark\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
             fill=\"{fill}\"><title>{}</title></rect>\n",
            escaped(says)
        ));
    }

    fn point(&mut self, x: f64, y: f64, fill: &str, says: &str) {
        self.add(format_args!(
            "<circle class=\"mark\" cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{POINT_RADIUS}\" fill=\"{fill}\" fill-opacity=\"{POINT_OPACITY}\">\
             <title>{}</title></circle>\n",
            escaped(says)
        ));
    }

    fn polyline(&mut self, points: &[(f64, f64)], colour: &str) {
        self.add(format_args!("<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{STROKE}\" points=\""));
        points.iter().for_each(|(x, y)| self.add(format_args!("{x:.2},{y:.2} ")));
        self.add(format_args!("\"/>\n"));
    }
}
