//! `validate`: every record and value is read, and what is broken is counted by file and cause.
//!
//! What is set aside goes, as it would with `--rejects FILE`, into a pipe, at whose other end it is a table that is asked
//! a question.

use super::deliver::{checked_form, deliver, drawn, report};
use super::flags::Validate;
use super::look::of_files;
use super::messages::Stop;
use super::run::{open, options, progress_of};
use crate::error::{Error, ErrorKind};
use crate::exec::{RunOptions, RunStatistics, Warning};
use crate::expr::{Expr, col};
use crate::frame::{CsvScan, DataFrame, LazyFrame, Runner};
use crate::source::CancelToken;
use crate::source::csv::MalformedPolicy;
use crate::source::memory::MemorySource;
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::io::{self, IsTerminal, PipeReader, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const QUESTION: &str = "min(line) as line, count(*) as count by file, reason as cause sort file, line";

pub(super) fn validate(command: &Validate, cancel: &CancelToken) -> Result<(), Stop> {
    let mut input = command.input.clone();
    input.reading.malformed.get_or_insert(MalformedPolicy::Skip);
    let all = open(&input, &command.run)?;
    let form = checked_form(&input.files, std::slice::from_ref(&all), &command.output, &command.run)?;
    let progress = progress_of(&command.run);
    let options = options(&command.run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let checked = check(&all, &options);
    progress.finish();
    let (found, statistics) = drawn(checked, timeline.as_ref(), &command.run)?;
    let bad = found.rows() > 0;
    if bad || !io::stdout().is_terminal() || command.output.output.is_some() {
        let frame = LazyFrame::from_source(Arc::new(MemorySource::of_rows(
            Arc::clone(found.schema()),
            found.stored_rows().clone(),
        )));
        let options = RunOptions { rejects: None, on_progress: None, timeline: None, ..options };
        deliver(&[frame], &[String::new()], &form, &command.output, &command.run, options, &progress)?;
    } else {
        let text = format!("{} records, all sound\n", statistics.records_read);
        io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))?;
    }
    report(&statistics, None, &command.run);
    if bad { Err(Stop::Findings) } else { Ok(()) }
}

/// What is broken, and what was read.
fn check(all: &LazyFrame, options: &RunOptions) -> Result<(DataFrame, RunStatistics), Error> {
    match check_together(all, options) {
        // What cannot be read on is told of each file that has it.
        Err(error) if is_of_data(&error) => check_each(all, options),
        checked => checked,
    }
}

fn is_of_data(error: &Error) -> bool {
    error.underlined().is_none() && matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Io | ErrorKind::Value)
}

fn check_together(all: &LazyFrame, options: &RunOptions) -> Result<(DataFrame, RunStatistics), Error> {
    let schema = all.schema()?;
    let counts: Vec<Expr> = schema.fields().iter().map(|field| col(field.name().as_str()).count()).collect();
    let values = all.agg(counts);
    if options.rejects.is_some() {
        let run = Runner::with_options(options.clone()).run::<_, Vec<DataFrame>>(&[values][..])?;
        let path = options.rejects.clone().unwrap_or_default();
        return Ok((summed(&path)?, run.statistics));
    }
    let failed = |error: io::Error| Error::new(ErrorKind::Io, format!("cannot make a pipe: {error}"));
    let (reader, writer) = io::pipe().map_err(failed)?;
    let rejects = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
    let name = rejects.display().to_string();
    let told = options.on_warning.clone();
    let on_warning = told.map(|told| -> Arc<dyn Fn(&Warning) + Send + Sync> {
        Arc::new(move |warning: &Warning| {
            if !warning.to_string().contains(&name) {
                told(warning);
            }
        })
    });
    let options = RunOptions { rejects: Some(rejects), on_warning, ..options.clone() };
    let summing = std::thread::spawn(move || summed_of_pipe(&reader));
    let run = Runner::with_options(options).run::<_, Vec<DataFrame>>(&[values][..]);
    drop(writer);
    let found = summing.join().unwrap_or_else(|_| Err(Error::internal("the rejects could not be summed up")));
    let run = run?;
    Ok((found?, run.statistics))
}

/// What was set aside, as it was written to a pipe; nothing if nothing was.
fn summed_of_pipe(pipe: &PipeReader) -> Result<DataFrame, Error> {
    match summed(&PathBuf::from(format!("/dev/fd/{}", pipe.as_raw_fd()))) {
        Err(error) if error.kind() == ErrorKind::NoInput => nothing_found(),
        summed => summed,
    }
}

fn summed(path: &Path) -> Result<DataFrame, Error> {
    let scan = CsvScan::new(path).sniff(false).has_header(true).with_type("line", ColumnType::Int64);
    let texts = ["file", "column", "reason", "record"];
    let scan = texts.into_iter().fold(scan, |scan, name| scan.with_type(name, ColumnType::Utf8));
    scan.open()?.ask(QUESTION)?.collect()
}

/// Each file by itself, so that one that cannot be read hides no other.
fn check_each(all: &LazyFrame, options: &RunOptions) -> Result<(DataFrame, RunStatistics), Error> {
    let (mut found, mut statistics) = (Vec::new(), RunStatistics::default());
    for file in all.plan()?.source().files() {
        match check_together(&all.filter(of_files(std::slice::from_ref(&file))), options) {
            Ok((of_file, run)) => {
                statistics.records_read += run.records_read;
                found.extend(of_file.batches().collect::<Result<Vec<_>, _>>()?);
            }
            Err(error) if is_of_data(&error) => {
                let line = error.place().line;
                found.push(finding(&file, error.message(), line)?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((DataFrame::new(found_schema(), found), statistics))
}

fn found_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, ColumnType::Utf8.arrow(), true);
    let number = |name: &str| Field::new(name, ColumnType::Int64.arrow(), true);
    Arc::new(Schema::new(vec![text("file"), text("cause"), number("line"), number("count")]))
}

fn nothing_found() -> Result<DataFrame, Error> {
    Ok(DataFrame::new(found_schema(), Vec::new()))
}

/// A file that cannot be read on.
fn finding(file: &str, cause: &str, line: Option<u64>) -> Result<RecordBatch, Error> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from_iter_values([text])) };
    let line: ArrayRef = Arc::new(Int64Array::from(vec![line.map(u64::cast_signed)]));
    let columns = vec![text(file), text(cause), line, Arc::new(Int64Array::from(vec![1])) as ArrayRef];
    Ok(RecordBatch::try_new(found_schema(), columns)?)
}
