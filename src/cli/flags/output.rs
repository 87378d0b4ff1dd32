//! How answers are written.

use crate::cli::render::Format;
use crate::error::{Error, ErrorKind, Result};
use crate::write::{Codec, FileFormat, WriteOptions, without_compression};
use clap::{Args, ValueEnum};
use std::path::Path;

/// How answers are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The format of answers [default: as --output is named, else table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT")]
    format: Option<AnswerFormat>,
    /// Write answers to FILE; with {} in it, such as 'q{}.csv', each to a file of its own, numbered from 1
    ///
    /// The ending tells the format: .csv, .tsv, .json, .ndjson, .md, .txt (a table), .parquet, .arrow; those of text
    /// also with .gz, .zst, .bz2, .xz or .lz4 behind them.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<String>,
}

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerFormat {
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
    /// Apache Parquet, into a file
    Parquet,
    /// Arrow IPC, into a file
    #[value(alias = "ipc", alias = "feather")]
    Arrow,
}

/// How answers leave the program.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// As text that is made at once, for people or for several answers in one place.
    Text(Format, Codec),
    /// As a file of one answer that is written as its rows come.
    File(WriteOptions),
}

impl AnswerFormat {
    fn of(format: Format) -> Self {
        match format {
            Format::Table => AnswerFormat::Table,
            Format::Csv => AnswerFormat::Csv,
            Format::Tsv => AnswerFormat::Tsv,
            Format::Json => AnswerFormat::Json,
            Format::Ndjson => AnswerFormat::Ndjson,
            Format::Markdown => AnswerFormat::Markdown,
            Format::Vertical => AnswerFormat::Vertical,
        }
    }

    fn form(self, codec: Codec) -> Form {
        match self {
            AnswerFormat::Table => Form::Text(Format::Table, codec),
            AnswerFormat::Csv => Form::Text(Format::Csv, codec),
            AnswerFormat::Tsv => Form::Text(Format::Tsv, codec),
            AnswerFormat::Json => Form::Text(Format::Json, codec),
            AnswerFormat::Ndjson => Form::Text(Format::Ndjson, codec),
            AnswerFormat::Markdown => Form::Text(Format::Markdown, codec),
            AnswerFormat::Vertical => Form::Text(Format::Vertical, codec),
            AnswerFormat::Parquet => Form::File(WriteOptions::new(FileFormat::Parquet)),
            AnswerFormat::Arrow => Form::File(WriteOptions::new(FileFormat::Ipc)),
        }
    }
}

impl Output {
    /// Whether the form was chosen, by a format or by a file.
    pub(crate) fn is_chosen(&self) -> bool {
        self.format.is_some() || self.output.is_some()
    }

    /// The form to write, given whether stdout is a terminal and how many answers there are.
    ///
    /// # Errors
    /// `Syntax` for a name that says nothing of a format, or another than was asked for, and for several answers in one
    /// file that can hold but one.
    pub(crate) fn form(&self, terminal: bool, answers: usize) -> Result<Form> {
        let Some(name) = &self.output else {
            let by_place = if terminal { AnswerFormat::Table } else { AnswerFormat::Csv };
            let form = self.format.unwrap_or(by_place).form(Codec::None);
            return match form {
                Form::Text(..) => Ok(form),
                Form::File(_) => Err(wrong("this format is written to files only".into(), "name one with --output")),
            };
        };
        let form = self.form_of_file(name)?;
        let single = answers == 1 || name.contains("{}");
        match form {
            Form::File(_) if !single => {
                Err(wrong(format!("{name} can hold one answer only"), "with {} in its name each has its own file"))
            }
            Form::Text(Format::Csv | Format::Ndjson, codec) if single => Ok(rows_as_they_come(name, form, codec)),
            form => Ok(form),
        }
    }

    fn form_of_file(&self, name: &str) -> Result<Form> {
        let (bare, codec) = without_compression(name);
        let codec = codec.unwrap_or(Codec::None);
        let by_name = WriteOptions::of_file_name(name);
        let columnar = |options: &WriteOptions| !matches!(options.format(), FileFormat::Csv | FileFormat::Ndjson);
        if let Some(format) = self.format {
            let form = format.form(codec);
            let files = matches!(form, Form::File(_));
            return match by_name {
                Some(options) if columnar(&options) != files || files && codec != Codec::None => {
                    Err(wrong(format!("{name} is not the name of a file of the format asked for"), "name another"))
                }
                Some(options) if files => Ok(Form::File(options)),
                _ => Ok(form),
            };
        }
        if let Some(options) = by_name.filter(|options| columnar(options) || is_tsv(bare)) {
            return Ok(Form::File(options));
        }
        if let Some(format) = Format::of_file_name(bare) {
            return Ok(AnswerFormat::of(format).form(codec));
        }
        // A pipe or a device has no ending to tell a format by.
        if std::fs::metadata(Path::new(name)).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
            return Ok(Form::Text(Format::Csv, Codec::None));
        }
        let known =
            "endings are .csv, .tsv, .json, .ndjson, .md, .txt, .parquet and .arrow; --format tells it otherwise";
        Err(wrong(format!("the ending of {name} tells no format"), known))
    }
}

fn is_tsv(bare: &str) -> bool {
    let lower = bare.to_ascii_lowercase();
    lower.ends_with(".tsv") || lower.ends_with(".tab")
}

/// CSV and NDJSON of one answer need not be whole before they are written.
fn rows_as_they_come(name: &str, form: Form, codec: Codec) -> Form {
    let format = match form {
        Form::Text(Format::Csv, _) => FileFormat::Csv,
        Form::Text(Format::Ndjson, _) => FileFormat::Ndjson,
        form => return form,
    };
    let options = WriteOptions::of_file_name(name).filter(|options| options.format() == format);
    Form::File(options.unwrap_or_else(|| WriteOptions::new(format).compression(codec)))
}

fn wrong(message: String, hint: &str) -> Error {
    Error::new(ErrorKind::Syntax, message).hint(hint)
}
