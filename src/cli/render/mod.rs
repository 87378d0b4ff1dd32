//! Answers as text.
//!
//! **Problem.** The same rows go to a person at a terminal, to a spreadsheet, and to a program; there may be three of
//! them or many millions.
//! **Idea.** A [`Renderer`] takes batches as they come and writes them on, in one of the formats. Only the table,
//! which must know its widths, holds rows back, and never more than it will show.
//! **Invariants.**
//! - Except in tables, numbers stand in the shortest text that reads back as the same number.
//! - Missing values are never mistaken for text: CSV leaves the field empty and quotes an empty or null-like text.
//! - Two columns of one name both appear, in CSV as two columns, in JSON as the same key twice (most readers then keep
//!   the last); the question's `as` is the remedy.

mod bar;
mod described;
mod markdown;
mod table;
#[cfg(test)]
mod tests;
mod vertical;

use crate::frame::{DataFrame, described_schema};
use crate::write::text::{Column, Csv, Json};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
pub(crate) use described::brief;
use std::io::{self, Write};
use std::time::Duration;

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people; doubles are rounded to seven digits, long results shortened
    Table,
    /// RFC 4180; nothing for a missing value, "" for empty text
    Csv,
    /// As CSV, with tabs in place of commas
    Tsv,
    /// An array of row objects; an array of such arrays for several questions
    Json,
    /// One object a line
    #[value(alias = "jsonl")]
    Ndjson,
    /// A table for a Markdown document
    #[value(alias = "md")]
    Markdown,
    /// A line a value, for rows that are too wide for a table
    Vertical,
}

impl Format {
    /// The format that the name of an output file suggests.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "csv" => Format::Csv,
            "tsv" | "tab" => Format::Tsv,
            "json" => Format::Json,
            "ndjson" | "jsonl" => Format::Ndjson,
            "md" | "markdown" => Format::Markdown,
            "txt" => Format::Table,
            _ => return None,
        })
    }
}

/// How much of a table is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    /// Characters in a line of the terminal; default: no limit.
    pub(crate) width: Option<usize>,
    /// Rows of a table to show, half from its head and half from its tail; default: all.
    pub(crate) rows: Option<usize>,
    /// What the answer took, told below a table; default: nothing is said.
    pub(crate) elapsed: Option<Duration>,
    /// A bar behind each row of a table; default: none.
    pub(crate) bar: Option<Bar>,
}

/// Bars behind the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    /// The column that they show.
    pub(crate) column: usize,
    /// The value whose bar is the longest.
    pub(crate) most: f64,
}

/// One question's answer.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// The question, set above the table when there are several; may be empty.
    pub(crate) title: &'a str,
    /// The rows.
    pub(crate) frame: &'a DataFrame,
}

/// What the formats have in common.
trait Writer {
    /// Writes rows of these columns, or keeps them for [`Writer::end`].
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>);

    /// Writes what comes after the last row.
    fn end(&mut self, out: &mut Vec<u8>);
}

impl Writer for Csv {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        Csv::rows(self, columns, rows, out);
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

impl Writer for Json {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        Json::rows(self, columns, rows, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        Json::end(self, out);
    }
}

/// Text is handed on in pieces of about so many bytes.
const CHUNK_BYTES: usize = 1 << 16;

/// Rows whose text is written before the chunk's size is looked at again.
const CHUNK_ROWS: usize = 256;

/// Writes the rows of one result, batch by batch.
pub(crate) struct Renderer {
    writer: Box<dyn Writer>,
    chunk: Vec<u8>,
}

impl Renderer {
    /// A renderer of a result with these columns.
    pub(crate) fn new(format: Format, schema: &Schema, layout: Layout) -> Self {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        let writer: Box<dyn Writer> = match format {
            Format::Table => Box::new(table::Table::new(schema, layout)),
            Format::Csv | Format::Tsv => {
                let csv = if format == Format::Tsv { Csv::of_tabs() } else { Csv::default() };
                csv.header(schema, &mut chunk);
                Box::new(csv)
            }
            Format::Json => Box::new(Json::array(schema, &mut chunk)),
            Format::Ndjson => Box::new(Json::lines(schema)),
            Format::Markdown => Box::new(markdown::Markdown::begin(schema, &mut chunk)),
            Format::Vertical => Box::new(vertical::Vertical::new(schema)),
        };
        Renderer { writer, chunk }
    }

    /// Writes the rows of `batch`, which has the columns of the schema.
    ///
    /// # Errors
    /// Those of `out`; `InvalidInput` for a column of a type that no question gives.
    pub(crate) fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        for start in (0..batch.num_rows()).step_by(CHUNK_ROWS) {
            let rows = CHUNK_ROWS.min(batch.num_rows() - start);
            let slice = batch.slice(start, rows);
            let columns = slice.columns().iter().map(Column::of).collect::<io::Result<Vec<_>>>()?;
            self.writer.rows(&columns, rows, &mut self.chunk);
            if self.chunk.len() >= CHUNK_BYTES {
                out.write_all(&self.chunk)?;
                self.chunk.clear();
            }
        }
        Ok(())
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.end(&mut self.chunk);
        out.write_all(&self.chunk)?;
        out.flush()
    }
}

/// Writes one result.
///
/// # Errors
/// Those of [`Renderer::batch`], and of reading back what did not fit in memory.
pub(crate) fn write_result(format: Format, frame: &DataFrame, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    if format == Format::Table && *frame.schema() == described_schema() {
        return out.write_all(&described::described(frame, layout)?);
    }
    let mut renderer = Renderer::new(format, frame.schema(), layout);
    for batch in frame.batches() {
        renderer.batch(&batch.map_err(io::Error::other)?, out)?;
    }
    renderer.finish(out)
}

/// Writes the answers of a call in order: one by itself; several as an array of arrays in JSON, one after the other in
/// ndjson, and with a blank line between them otherwise (tables and Markdown under their questions).
///
/// # Errors
/// Those of [`Renderer::batch`].
pub(crate) fn write_answers(
    format: Format,
    answers: &[Answer<'_>],
    layout: Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let several = answers.len() > 1;
    let nested = answers.len() != 1 && format == Format::Json;
    if nested {
        out.write_all(b"[")?;
    }
    for (number, answer) in answers.iter().enumerate() {
        if number > 0 {
            match format {
                Format::Json => out.write_all(b",")?,
                Format::Ndjson => {}
                Format::Table | Format::Csv | Format::Tsv | Format::Markdown | Format::Vertical => {
                    out.write_all(b"\n")?
                }
            }
        }
        if several && !answer.title.is_empty() {
            match format {
                Format::Table | Format::Vertical => writeln!(out, "# {}\n", answer.title)?,
                Format::Markdown => writeln!(out, "`{}`\n", answer.title)?,
                Format::Csv | Format::Tsv | Format::Json | Format::Ndjson => {}
            }
        }
        write_result(format, answer.frame, layout, out)?;
    }
    if nested {
        out.write_all(b"]\n")?;
    }
    out.flush()
}
