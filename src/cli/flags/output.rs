//! How answers are written.

use crate::cli::place::Place;
use crate::cli::render::Format;
use crate::error::{Error, ErrorKind, Result};
use crate::write::{Codec, FileFormat, WriteOptions, without_compression};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::Path;

/// How answers are written.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The format of answers [default: as --output is named, else table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<AnswerFormat>,
    /// Write answers to FILE; with {} in it, such as 'q{}.csv', each to a file of its own, numbered from 1
    ///
    /// The ending tells the format: .csv, .tsv, .json, .ndjson, .md, .txt (a table), .parquet, .arrow; those of text
    /// also with .gz, .zst, .bz2, .xz or .lz4 behind them.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<String>,
    /// Where they go without --output.
    #[arg(skip)]
    pub(crate) place: Place,
}

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFormat {
    /// Text, which can be shown.
    Text(Format),
    /// Into a file, and only one answer.
    Columnar(FileFormat),
}

impl ValueEnum for AnswerFormat {
    fn value_variants<'a>() -> &'a [Self] {
        use AnswerFormat::{Columnar, Text};
        const ALL: [AnswerFormat; 9] = [
            Text(Format::Table),
            Text(Format::Csv),
            Text(Format::Tsv),
            Text(Format::Json),
            Text(Format::Ndjson),
            Text(Format::Markdown),
            Text(Format::Vertical),
            Columnar(FileFormat::Parquet),
            Columnar(FileFormat::Ipc),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            AnswerFormat::Text(format) => format.to_possible_value(),
            AnswerFormat::Columnar(FileFormat::Parquet) => {
                Some(PossibleValue::new("parquet").help("Apache Parquet, into a file"))
            }
            AnswerFormat::Columnar(FileFormat::Ipc) => {
                Some(PossibleValue::new("arrow").aliases(["ipc", "feather"]).help("Arrow IPC, into a file"))
            }
            AnswerFormat::Columnar(_) => None,
        }
    }
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
    fn form(self, codec: Codec) -> Form {
        match self {
            AnswerFormat::Text(format) => Form::Text(format, codec),
            AnswerFormat::Columnar(format) => Form::File(WriteOptions::new(format)),
        }
    }
}

impl Output {
    /// Whether the form was chosen, by a format or by a file.
    pub(crate) fn is_chosen(&self) -> bool {
        self.format.is_some() || self.output.is_some()
    }

    /// The form to write so many answers in, given whether people look at them.
    ///
    /// # Errors
    /// `Syntax` for a name that says nothing of a format, or another than was asked for, and for several answers in one
    /// file that can hold but one.
    pub(crate) fn form(&self, terminal: bool, answers: usize) -> Result<Form> {
        let Some(name) = &self.output else {
            let by_place = self.place.format.unwrap_or(if terminal { Format::Table } else { Format::Csv });
            let by_place = AnswerFormat::Text(by_place);
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
            return Ok(Form::Text(format, codec));
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
