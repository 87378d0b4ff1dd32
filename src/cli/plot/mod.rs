//! `--plot`: an answer as a picture that needs nothing from elsewhere.
//!
//! **Idea.** The first column says where on the x axis, each other column of numbers is a series; a heatmap takes three
//! columns, x, y and the value. One drawing, onto a canvas
//! that is an SVG without scripts, in which a browser shows the numbers of what one points at, or a PNG.
//! **Invariant.** Nothing of the data is markup: all text is escaped.

mod axis;
mod canvas;
mod picture;
mod raster;
mod svg;
mod table;

use crate::cli::whole::write_whole;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::DataFrame;
use arrow::datatypes::Schema;
use clap::Args;
use std::path::PathBuf;
pub(super) use svg::escaped;
use table::{Table, refuse};

/// Flags of pictures.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Plot {
    /// Draw the answer too, as a picture: bar, line, scatter or heatmap, into FILE.svg, FILE.html or FILE.png
    ///
    /// The first column is the x axis, the others of numbers are series; a heatmap has three columns: x, y and a number.
    #[arg(long, value_names = ["KIND", "FILE"], num_args = 2)]
    plot: Option<Vec<String>>,
}

/// What a picture shows values as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bar,
    Line,
    Scatter,
    Heatmap,
}

const KINDS: [(&str, Kind); 4] =
    [("bar", Kind::Bar), ("line", Kind::Line), ("scatter", Kind::Scatter), ("heatmap", Kind::Heatmap)];

/// A picture that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    kind: Kind,
    path: PathBuf,
    form: Form,
}

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    /// A page with an SVG in it.
    Page,
    Png,
}

/// The endings of names.
const FORMS: [(&str, Form); 4] =
    [(".svg", Form::Svg), (".html", Form::Page), (".htm", Form::Page), (".png", Form::Png)];

impl Plot {
    /// A picture of this kind, into this file.
    pub(crate) fn of(kind: &str, file: &str) -> Self {
        Plot { plot: Some(vec![kind.to_owned(), file.to_owned()]) }
    }

    /// Refuses the kind of a picture where a file alone stands: bars are drawn there.
    ///
    /// # Errors
    /// `Syntax`.
    pub(crate) fn refuse_kind(name: Option<&str>, others: &[String]) -> Result<()> {
        let Some(kind) = name.filter(|name| KINDS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))) else {
            return Ok(());
        };
        let is_picture = |file: &&String| FORMS.iter().any(|(ending, _)| file.to_ascii_lowercase().ends_with(ending));
        let file = others.iter().find(is_picture).map_or("FILE.svg", String::as_str);
        let error = Error::new(ErrorKind::Syntax, format!("`--plot {kind}` names no file"));
        Err(error.hint(format!("bars are drawn into a file: --plot {file}; names end in .svg, .html or .png")))
    }

    /// Whether a picture is wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.plot.is_some()
    }

    /// What is wanted, of so many answers.
    ///
    /// # Errors
    /// `Syntax` for an unknown kind, a name that is not of a picture, and more than one answer.
    pub(crate) fn wanted(&self, answers: usize) -> Result<Option<Wanted>> {
        let Some([kind, name]) = self.plot.as_deref() else { return Ok(None) };
        let wrong = |message: String| Error::new(ErrorKind::Syntax, message);
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind)) else {
            return Err(wrong(format!("there are no pictures of kind `{kind}`"))
                .hint("kinds are bar, line, scatter and heatmap: --plot bar picture.svg"));
        };
        if answers != 1 {
            return Err(wrong(format!("--plot draws one answer, not {answers}")).hint("ask one question"));
        }
        let lower = name.to_ascii_lowercase();
        let Some((_, form)) = FORMS.iter().find(|(ending, _)| lower.ends_with(ending)) else {
            let error = wrong(format!("{name} is not the name of a picture"));
            let others = [".pdf", ".jpg", ".jpeg", ".webp", ".gif", ".eps", ".tiff"];
            return Err(match others.iter().any(|ending| lower.ends_with(ending)) {
                true => error.hint("names end in .svg, .html or .png; other programs make the rest from an SVG: rsvg-convert, inkscape"),
                false => error.hint("names end in .svg, .html or .png"),
            });
        };
        Ok(Some(Wanted { kind: *kind, path: name.into(), form: *form }))
    }
}

impl Wanted {
    /// The file.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Refuses, before anything is read, what the columns of the answer tell cannot be drawn.
    ///
    /// # Errors
    /// `Syntax`, as it is the question that is wrong.
    pub(crate) fn check(&self, answer: &Schema) -> Result<()> {
        refuse(answer, self.kind, ErrorKind::Syntax)
    }

    /// Draws the answer to a question into the file, which has its name only once it is whole.
    ///
    /// # Errors
    /// `Type` for columns that cannot be drawn so, `Limit` for more than can be seen, `Io` of the file.
    pub(crate) fn draw(&self, title: &str, answer: &DataFrame) -> Result<()> {
        let table = Table::of(answer, self.kind)?;
        let bytes = match self.form {
            Form::Png => picture::png(self.kind, title, &table)?,
            Form::Svg => picture::svg(self.kind, title, &table)?.into_bytes(),
            Form::Page => {
                let (svg, title) = (picture::svg(self.kind, title, &table)?, escaped(title));
                let head =
                    format!("<!DOCTYPE html><html><head><meta charset=\"utf-8\"/><title>{title}</title></head><body>");
                format!("{head}{svg}</body></html>\n").into_bytes()
            }
        };
        write_whole(&self.path, &bytes).map_err(|error| Error::io(&self.path, &error))
    }
}
