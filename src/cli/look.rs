//! The commands that show rows and columns as they are: `schema`, `head`, `tail`, `sample`, `count`.

use super::convert::write_all;
use super::deliver::{answer, checked_form, deliver, drawn, file_writes, refuse_accounts, write};
use super::flags::{Condition, Count, Ends, Form, Input, Picked, Run, Sample, Schema};
use super::meant::{Others, meant};
use super::messages::{Stop, warn};
use super::run::{open, options, progress_of, tell_left_out};
use crate::error::{Error, ErrorKind};
use crate::exec::{LastRows, RunOptions, last_rows};
use crate::expr::{Expr, col, count_rows, lit};
use crate::frame::{LazyFrame, Runner};
use crate::plan::{LogicalPlan, SampleSize};
use crate::source::CancelToken;
use crate::source::constants::FILE_NAME;
use crate::source::memory::MemorySource;
use crate::sql::{micros_now, notes, parse_expr_at, parse_question_at, underline};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// The rows and columns of the files that are wanted.
pub(super) fn picked(input: &Input, picked: &Picked, run: &Run) -> Result<LazyFrame, Error> {
    let all = open(input, run)?;
    tell_notes(picked.rows.condition.as_deref(), run);
    if picked.select.is_none() {
        tell_left_out(&all, run)?;
    }
    let rows = filtered(&all, &picked.rows)?;
    selected(&rows, picked)
}

/// The time at which the words of the command are read: `now()` is the same in all of them, however often they are.
fn time_of_command() -> i64 {
    static TIME: OnceLock<i64> = OnceLock::new();
    *TIME.get_or_init(micros_now)
}

/// The condition of a flag.
pub(super) fn condition(text: &str) -> Result<Expr, Error> {
    parse_expr_at(text, time_of_command())
}

/// Warns, once a command, of what always says the same in its condition.
pub(super) fn tell_notes(text: Option<&str>, run: &Run) {
    let notes = text.filter(|_| !run.quiet).map(notes::of_question).unwrap_or_default();
    notes.iter().for_each(|note| warn(&note.to_string(), &mut io::stderr()));
}

/// The rows that a condition holds for.
pub(super) fn filtered(all: &LazyFrame, rows: &Condition) -> Result<LazyFrame, Error> {
    let Some(text) = &rows.condition else { return Ok(all.clone()) };
    let rows = all.filter(condition(text)?);
    rows.plan().map_err(|error| underline(error, text, 0..text.len()))?;
    Ok(rows)
}

fn selected(rows: &LazyFrame, picked: &Picked) -> Result<LazyFrame, Error> {
    let Some(text) = &picked.select else { return Ok(rows.clone()) };
    let columns = rows.select(list(text, "--select")?);
    columns.plan().map_err(|error| underline(error, text, 0..text.len()))?;
    Ok(columns)
}

/// A list of columns and expressions, and nothing else.
pub(super) fn list(text: &str, flag: &str) -> Result<Vec<Expr>, Error> {
    let question = parse_question_at(text, Some(time_of_command()))?;
    let only_list = question.by.is_empty()
        && question.joins.is_empty()
        && question.filter.is_none()
        && question.having.is_none()
        && question.qualify.is_none()
        && question.sort.is_empty()
        && question.limit.is_none()
        && question.sample.is_none()
        && !question.distinct;
    let wrong = |others: &str| {
        let message = format!("{flag} takes columns and expressions, no {others}");
        Error::new(ErrorKind::Syntax, message).underline(text, 0..text.len())
    };
    match question.select.iter().any(Expr::contains_aggregate) {
        _ if !only_list => Err(wrong("other clauses")),
        _ if !question.is_plain() => Err(wrong("window functions and queries").hint("`outcrop ask` has them")),
        true => Err(wrong("aggregates")),
        false => Ok(question.select),
    }
}

pub(super) fn head(command: &Ends, cancel: &CancelToken) -> Result<(), Stop> {
    let rows = picked(&command.input, &command.picked, &command.run);
    let frame = rows.map_err(|error| meant(error, &command.input.files, Others::Rows))?.head(command.rows);
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

pub(super) fn sample(command: &Sample, cancel: &CancelToken) -> Result<(), Stop> {
    let all = open(&command.input, &command.run)?;
    tell_notes(command.picked.rows.condition.as_deref(), &command.run);
    if command.picked.select.is_none() {
        tell_left_out(&all, &command.run)?;
    }
    let rows = filtered(&all, &command.picked.rows)?;
    let rows = match command.size {
        SampleSize::Rows(size) => rows.sample(size, command.seed),
        SampleSize::Share(share) => rows.sample_fraction(share, command.seed),
    };
    let frame = selected(&rows, &command.picked)?;
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

pub(super) fn count(command: &Count, cancel: &CancelToken) -> Result<(), Stop> {
    let all = open(&command.input, &command.run)?;
    tell_notes(command.rows.condition.as_deref(), &command.run);
    let rows = filtered(&all, &command.rows)?;
    let frame = rows.agg(count_rows().alias("count"));
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

/// The last rows are looked for in the last file, then in the last two, four and so on.
pub(super) fn tail(command: &Ends, cancel: &CancelToken) -> Result<(), Stop> {
    if command.run.stats.is_some() {
        let message = "`tail` takes rows as they come, and has no statistics";
        return Err(Error::new(ErrorKind::Syntax, message).hint("leave out --stats").into());
    }
    let all = open(&command.input, &command.run);
    let all = all.map_err(|error| meant(error, &command.input.files, Others::Rows))?;
    tell_notes(command.picked.rows.condition.as_deref(), &command.run);
    if command.picked.select.is_none() {
        tell_left_out(&all, &command.run)?;
    }
    let form = checked_form(&command.input.files, std::slice::from_ref(&all), &command.output, &command.run)?;
    let progress = progress_of(&command.run);
    let options = options(&command.run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let files = all.plan()?.source().files();
    let mut last_files = if tells_files(&all)? { 1 } else { files.len() };
    let found = loop {
        let whole = last_files >= files.len();
        let some = if whole { all.clone() } else { all.filter(of_files(&files[files.len() - last_files..])) };
        let rows = filtered(&some, &command.picked.rows);
        let rows = rows.and_then(|rows| selected(&rows, &command.picked));
        match rows.and_then(|rows| last_rows(LogicalPlan::clone(rows.plan()?), command.rows, &options)) {
            Ok(found) if !whole && found.rows < command.rows => last_files *= 2,
            found => break found,
        }
    };
    progress.finish(found.is_ok());
    let LastRows { schema, batches, .. } = found?;
    let frame = LazyFrame::from_source(Arc::new(MemorySource::new(schema, batches)));
    // What was set aside has been told of; the rows are in memory.
    let options = RunOptions { rejects: None, on_progress: None, timeline: None, ..options };
    let done = deliver(&[frame], &[String::new()], &form, &command.output, &command.run, options, &progress);
    drawn(done, timeline.as_ref(), &command.run).map(|_| ())
}

/// Whether [`of_files`] can be asked of the rows: a column of the files that has that name hides which file a row is of.
pub(super) fn tells_files(all: &LazyFrame) -> Result<bool, Error> {
    Ok(all.schema()?.index_of(FILE_NAME).is_err())
}

/// That a row stands in one of these files.
pub(super) fn of_files(files: &[Arc<str>]) -> Expr {
    col(FILE_NAME).is_in(files.iter().map(|file| lit(&**file)))
}

pub(super) fn schema(command: &Schema) -> Result<(), Stop> {
    refuse_accounts(&command.run, "schema")?;
    let frame = open(&command.input, &command.run)?;
    let form = checked_form(&command.input.files, std::slice::from_ref(&frame), &command.output, &command.run)?;
    let schema = frame.schema()?;
    if !command.run.quiet {
        for warning in frame.plan()?.source().warnings() {
            warn(&warning, &mut io::stderr());
        }
    }
    if command.explain && command.output.is_chosen() {
        let error = Error::new(ErrorKind::Syntax, "--explain is text for people, which takes no --output or --format");
        return Err(error.hint("leave one of them out").into());
    }
    tell_left_out(&frame, &command.run)?;
    if command.explain
        && let Some(text) = frame.plan()?.source().explain_schema()
    {
        return io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error));
    }
    let table = columns_of(&schema)?;
    match form {
        Form::Text(format, codec) => write(&[table.collect()?], &[String::new()], format, codec, &command.output),
        Form::File(how) => write_all(&Runner::new(), &file_writes(&[table], &how, &command.output)).map(|_| ()),
    }
}

/// A table of the names and types of columns.
pub(super) fn columns_of(schema: &ArrowSchema) -> Result<LazyFrame, Error> {
    let types =
        schema.fields().iter().map(|field| ColumnType::from_arrow(field.data_type()).map(|kind| kind.to_string()));
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(schema.fields().iter().map(|field| field.name())));
    let types: ArrayRef = Arc::new(StringViewArray::from_iter_values(types));
    let field = |name| Field::new(name, DataType::Utf8View, false);
    let columns = Arc::new(ArrowSchema::new(vec![field("column"), field("type")]));
    let batch = RecordBatch::try_new(Arc::clone(&columns), vec![names, types])?;
    Ok(LazyFrame::from_source(Arc::new(MemorySource::new(columns, vec![batch]))))
}
