//! `validate`: every record and value is read, and what is broken is counted by file and cause.
//!
//! What is set aside goes, as with `--rejects FILE` of other commands, into a pipe, at whose other end it is a table that is
//! asked a question. On its way there it is copied into the FILE of `--rejects`, if there is one.

use super::deliver::{checked_form, deliver, drawn, report};
use super::flags::{Input, Run, Validate};
use super::kept::Kept;
use super::look::{of_files, tells_files};
use super::messages::Stop;
use super::run::{open, open_with, options, progress_of};
use crate::error::{Error, ErrorKind};
use crate::exec::{RunOptions, RunStatistics, Warning};
use crate::expr::{Expr, col};
use crate::frame::{CsvScan, DataFrame, LazyFrame, Runner};
use crate::source::CancelToken;
use crate::source::csv::MalformedPolicy;
use crate::source::input::shown_name;
use crate::source::memory::MemorySource;
use crate::source::paths::{IntoPaths, expand};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const QUESTION: &str = "min(line) as line, count(*) as count by file, reason as cause sort file, line";

pub(super) fn validate(command: &Validate, cancel: &CancelToken) -> Result<(), Stop> {
    let mut input = command.input.clone();
    input.reading.malformed.get_or_insert(MalformedPolicy::Skip);
    let nothing = LazyFrame::from_source(Arc::new(MemorySource::new(found_schema(), Vec::new())));
    let form = checked_form(&input.files, &[nothing], &command.output, &command.run)?;
    let progress = progress_of(&command.run);
    let mut options = options(&command.run, cancel, &progress)?;
    let (timeline, rejects) = (options.timeline.clone(), options.rejects.take());
    let all = open(&input, &command.run);
    let files = match &all {
        Ok(all) => all.plan()?.source().files(),
        Err(_) => expand(&input.files.as_slice().into_paths())?.iter().map(|file| shown_name(file).into()).collect(),
    };
    let inputs = files.iter().map(|file| PathBuf::from(&**file));
    let kept = rejects.map(|path| Kept::create(&path, inputs)).transpose()?;
    let mut check = Check { input: &input, run: &command.run, options: &options, files: &files, kept };
    let checked = check.all(all).and_then(|checked| check.kept.map_or(Ok(()), Kept::finish).map(|()| checked));
    progress.finish(checked.is_ok());
    let (found, statistics) = drawn(checked, timeline.as_ref(), &command.run)?;
    let bad = found.rows() > 0;
    if bad || !io::stdout().is_terminal() || command.output.is_chosen() {
        let frame = LazyFrame::from_source(Arc::new(MemorySource::of_rows(
            Arc::clone(found.schema()),
            found.stored_rows().clone(),
        )));
        let options = RunOptions { on_progress: None, timeline: None, ..options };
        deliver(&[frame], &[String::new()], &form, &command.output, &command.run, options, &progress)?;
    } else {
        let text = format!("{} records, all sound\n", statistics.records_read);
        io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))?;
    }
    report(&statistics, None, &command.run);
    if bad { Err(Stop::Findings) } else { Ok(()) }
}

/// What is checked, and how.
struct Check<'a> {
    input: &'a Input,
    run: &'a Run,
    /// Without a file of rejects, which is `kept`.
    options: &'a RunOptions,
    files: &'a [Arc<str>],
    kept: Option<Kept>,
}

type Checked = Result<(DataFrame, RunStatistics), Error>;

impl Check<'_> {
    /// What is broken, and what was read, of the files as they could be opened together.
    fn all(&mut self, all: Result<LazyFrame, Error>) -> Checked {
        let (error, all) = match all {
            Ok(all) => match self.rows(&all) {
                Err(error) => (error, tells_files(&all)?.then_some(all)),
                checked => return checked,
            },
            Err(error) => (error, None),
        };
        if !self.is_of_data(&error) {
            return Err(error);
        }
        match self.files {
            [file] => Ok((DataFrame::new(found_schema(), vec![finding(file, &error)?]), RunStatistics::default())),
            // What comes through a pipe comes once.
            files if all.is_none() && files.iter().any(|file| !Path::new(&**file).is_file()) => Err(error),
            _ => self.each(all.as_ref()),
        }
    }

    /// Each file by itself, so that one that cannot be read hides no other.
    fn each(&mut self, all: Option<&LazyFrame>) -> Checked {
        let (mut found, mut statistics) = (Vec::new(), RunStatistics::default());
        // What is filtered by name has all rows of a file that is named twice.
        let mut known = HashSet::new();
        for file in self.files.iter().filter(|file| all.is_none() || known.insert(*file)) {
            let part = match all {
                Some(all) => Ok(all.filter(of_files(std::slice::from_ref(file)))),
                None => self.open(file),
            };
            match part.and_then(|part| self.rows(&part)) {
                Ok((of_file, run)) => {
                    statistics.records_read += run.records_read;
                    found.extend(of_file.batches().collect::<Result<Vec<_>, _>>()?);
                }
                Err(error) if self.is_of_data(&error) => found.push(finding(file, &error)?),
                Err(error) => return Err(error),
            }
        }
        Ok((DataFrame::new(found_schema(), found), statistics))
    }

    fn open(&self, file: &str) -> Result<LazyFrame, Error> {
        let reading = &self.input.reading;
        let rules = reading.file_options.iter().filter(|rule| rule.applies_to(Path::new(file)));
        open_with(&[file.to_owned()], reading, self.run, &rules.cloned().collect::<Vec<_>>())
    }

    /// That it is a file that is broken, not a question or a place that is written to.
    fn is_of_data(&self, error: &Error) -> bool {
        error.underlined().is_none()
            && matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Io | ErrorKind::Value)
            && error.place().file.as_deref().is_some_and(|file| self.files.iter().any(|known| **known == *file))
    }

    fn rows(&mut self, rows: &LazyFrame) -> Checked {
        let schema = rows.schema()?;
        let counts: Vec<Expr> = schema.fields().iter().map(|field| col(field.name().as_str()).count()).collect();
        let values = rows.agg(counts);
        let (reader, writer) = pipe()?;
        let options = into_pipe(self.options, &writer);
        let quiet = RunOptions { on_progress: None, on_warning: None, timeline: None, ..self.options.clone() };
        let died = || Error::internal("the rejects could not be summed up");
        std::thread::scope(|scope| {
            let (reader, copying) = match &mut self.kept {
                None => (reader, None),
                Some(kept) => {
                    let (copy, mut to) = pipe()?;
                    (copy, Some(scope.spawn(move || kept.copy(reader, &mut to))))
                }
            };
            let summing = scope.spawn(move || summed(&reader, quiet));
            let run = Runner::with_options(options).run::<_, Vec<DataFrame>>(&[values][..]);
            drop(writer);
            let copied = copying.map_or(Ok(()), |copying| copying.join().unwrap_or_else(|_| Err(died())));
            let found = summing.join().unwrap_or_else(|_| Err(died()));
            // Whoever stops reading a pipe makes its writer fail.
            copied?;
            let found = found?;
            Ok((found, run?.statistics))
        })
    }
}

fn pipe() -> Result<(PipeReader, PipeWriter), Error> {
    io::pipe().map_err(|error| Error::new(ErrorKind::Io, format!("cannot make a pipe: {error}")))
}

/// What is set aside goes into the pipe; that it does is no warning.
fn into_pipe(options: &RunOptions, writer: &PipeWriter) -> RunOptions {
    let rejects = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
    let kept = format!("(they are in {})", rejects.display());
    let told = options.on_warning.clone();
    let on_warning = told.map(|told| -> Arc<dyn Fn(&Warning) + Send + Sync> {
        Arc::new(move |warning: &Warning| {
            if !warning.to_string().contains(&kept) {
                told(warning);
            }
        })
    });
    RunOptions { rejects: Some(rejects), on_warning, ..options.clone() }
}

/// What was set aside, as it was written to a pipe; nothing if nothing was.
fn summed(pipe: &PipeReader, options: RunOptions) -> Result<DataFrame, Error> {
    let scan = CsvScan::new(format!("/dev/fd/{}", pipe.as_raw_fd()));
    let scan = scan.sniff(false).has_header(true).with_type("line", ColumnType::Int64);
    let texts = ["file", "column", "reason", "record"];
    let scan = texts.into_iter().fold(scan, |scan, name| scan.with_type(name, ColumnType::Utf8));
    let nothing = || DataFrame::new(found_schema(), Vec::new());
    match scan.open() {
        Err(error) if error.kind() == ErrorKind::NoInput => Ok(nothing()),
        opened => {
            let answer = opened?.ask(QUESTION)?;
            let run = Runner::with_options(options).run::<_, Vec<DataFrame>>(std::slice::from_ref(&answer))?;
            Ok(run.value.into_iter().next().unwrap_or_else(nothing))
        }
    }
}

fn found_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, ColumnType::Utf8.arrow(), true);
    let number = |name: &str| Field::new(name, ColumnType::Int64.arrow(), true);
    Arc::new(Schema::new(vec![text("file"), text("cause"), number("line"), number("count")]))
}

/// A file that cannot be read on.
fn finding(file: &str, error: &Error) -> Result<RecordBatch, Error> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from_iter_values([text])) };
    let line: ArrayRef = Arc::new(Int64Array::from(vec![error.place().line.map(u64::cast_signed)]));
    let columns = vec![text(file), text(error.message()), line, Arc::new(Int64Array::from(vec![1])) as ArrayRef];
    Ok(RecordBatch::try_new(found_schema(), columns)?)
}
