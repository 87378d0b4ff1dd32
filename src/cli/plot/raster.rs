//! A picture as PNG, for documents that take no SVG.
//!
//! Text is drawn with a font of our own (`font/`), so that a picture looks the same everywhere; a letter that it lacks is a box.

use super::canvas::{Anchor, Canvas, FONT_SIZE, GRID, POINT_OPACITY, POINT_RADIUS, SLANT, STROKE, SWATCH};
use crate::error::{Error, ErrorKind, Result};
use tiny_skia::{Color, FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

static FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// Dots for each unit of the picture, so that it is sharp where it is shown larger.
const SCALE: f32 = 2.0;

/// A picture that is being drawn.
pub(super) struct Raster {
    dots: Pixmap,
    font: Face<'static>,
}

impl Raster {
    /// A white picture of this size.
    pub(super) fn new(width: f64, height: f64) -> Result<Self> {
        let broken = || Error::internal("a picture of no size, or a font that cannot be read");
        let font = Face::parse(FONT, 0).map_err(|_| broken())?;
        let mut dots = Pixmap::new((width as f32 * SCALE) as u32, (height as f32 * SCALE) as u32).ok_or_else(broken)?;
        dots.fill(Color::WHITE);
        Ok(Raster { dots, font })
    }

    /// The bytes of the file.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.dots.encode_png().map_err(|error| Error::new(ErrorKind::Internal, format!("a picture as PNG: {error}")))
    }

    fn fill(&mut self, path: Option<Path>, colour: Color, transform: Transform) {
        let Some(path) = path else { return };
        let paint = paint(colour);
        self.dots.fill_path(&path, &paint, FillRule::Winding, transform, None);
    }

    fn box_of(&mut self, [x, y, width, height]: [f64; 4], fill: &str) {
        // A bar of no height is nowhere.
        let rect = Rect::from_xywh(x as f32, y as f32, width as f32, height as f32);
        self.fill(rect.map(PathBuilder::from_rect), colour(fill, 1.0), scale());
    }

    /// Draws text that begins at the origin of `transform`.
    fn letters(&mut self, glyphs: &[(GlyphId, f32)], transform: Transform) {
        let per_unit = self.per_unit();
        let mut x = 0.0;
        for &(glyph, width) in glyphs {
            let mut outline = Outline(PathBuilder::new());
            if self.font.outline_glyph(glyph, &mut outline).is_some() {
                let place = transform.pre_translate(x, 0.0).pre_scale(per_unit, -per_unit);
                self.fill(outline.0.finish(), Color::BLACK, place);
            }
            x += width;
        }
    }

    /// Units of the picture in one of the font.
    fn per_unit(&self) -> f32 {
        FONT_SIZE as f32 / f32::from(self.font.units_per_em())
    }

    /// The letters of a text and how wide each is, in units of the picture; and how wide all are.
    fn set(&self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let shown = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
        let glyph = |letter: char| {
            let glyph = self.font.glyph_index(letter).unwrap_or(GlyphId(0));
            (glyph, f32::from(self.font.glyph_hor_advance(glyph).unwrap_or_default()) * self.per_unit())
        };
        let glyphs: Vec<_> = shown.filter(|letter| !letter.is_control()).map(glyph).collect();
        let width = glyphs.iter().map(|(_, width)| width).sum();
        (glyphs, width)
    }
}

impl Canvas for Raster {
    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let (glyphs, width) = self.set(text);
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        self.letters(&glyphs, scale().pre_translate(x as f32 - before, y as f32));
    }

    fn slanted(&mut self, x: f64, y: f64, text: &str) {
        let (glyphs, width) = self.set(text);
        let turned = scale().pre_translate(x as f32, y as f32).pre_rotate(-SLANT as f32);
        self.letters(&glyphs, turned.pre_translate(-width, 0.0));
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4]) {
        let mut path = PathBuilder::new();
        path.move_to(x1 as f32, y1 as f32);
        path.line_to(x2 as f32, y2 as f32);
        if let Some(path) = path.finish() {
            self.dots.stroke_path(&path, &paint(colour(GRID, 1.0)), &Stroke::default(), scale(), None);
        }
    }

    fn swatch(&mut self, x: f64, y: f64, fill: &str) {
        self.box_of([x, y, SWATCH, SWATCH], fill);
    }

    fn rectangle(&mut self, place: [f64; 4], fill: &str, _: &str) {
        self.box_of(place, fill);
    }

    fn point(&mut self, x: f64, y: f64, fill: &str, _: &str) {
        let circle = PathBuilder::from_circle(x as f32, y as f32, POINT_RADIUS as f32);
        self.fill(circle, colour(fill, POINT_OPACITY), scale());
    }

    fn polyline(&mut self, points: &[(f64, f64)], line: &str) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in points.iter().enumerate() {
            match at {
                0 => path.move_to(*x as f32, *y as f32),
                _ => path.line_to(*x as f32, *y as f32),
            }
        }
        if let Some(path) = path.finish() {
            let stroke = Stroke { width: STROKE as f32, ..Stroke::default() };
            self.dots.stroke_path(&path, &paint(colour(line, 1.0)), &stroke, scale(), None);
        }
    }
}

fn scale() -> Transform {
    Transform::from_scale(SCALE, SCALE)
}

fn paint(colour: Color) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(colour);
    paint
}

/// The colour `#rrggbb`, of which so much hides what is below; black for anything else.
fn colour(name: &str, opacity: f64) -> Color {
    let part = |at: usize| name.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    Color::from_rgba8(part(1), part(3), part(5), (opacity * 255.0) as u8)
}

/// An outline of a letter as a path.
struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(raster: &Raster, [left, top, right, bottom]: [u32; 4]) -> usize {
        let is_dark = |x, y| raster.dots.pixel(x, y).is_some_and(|dot| dot.red() < 128);
        (left..right).flat_map(|x| (top..bottom).map(move |y| (x, y))).filter(|&(x, y)| is_dark(x, y)).count()
    }

    #[test]
    fn text_stands_where_it_is_anchored() {
        let mut raster = Raster::new(100.0, 60.0).unwrap();
        raster.text(50.0, 20.0, Anchor::Start, "Hé λ Ж");
        raster.text(50.0, 50.0, Anchor::End, "123");
        assert!(ink(&raster, [100, 0, 200, 60]) > 50, "letters right of their place");
        assert_eq!(ink(&raster, [0, 0, 98, 60]), 0, "and none left of it");
        assert!(ink(&raster, [0, 60, 102, 120]) > 50 && ink(&raster, [104, 60, 200, 120]) == 0);
        let bytes = raster.finish().unwrap();
        assert!(bytes.starts_with(b"\x89PNG\r\n"));
    }

    #[test]
    fn letters_that_the_font_lacks_are_boxes_and_nothing_fails() {
        let mut raster = Raster::new(100.0, 40.0).unwrap();
        raster.text(10.0, 20.0, Anchor::Start, "日本\u{0}\n");
        assert!(ink(&raster, [0, 0, 200, 80]) > 20);
        raster.rectangle([f64::NAN, 0.0, 1.0, 1.0], "#4e79a7", "");
        raster.polyline(&[(1.0, 1.0)], "red");
        raster.point(20.0, 30.0, "#000000", "");
        assert!(ink(&raster, [34, 54, 46, 66]) > 20);
    }
}
