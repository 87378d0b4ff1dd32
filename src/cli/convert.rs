//! `convert`: rows of the input, or the answer to a question, into files.

use super::deliver::{drawn, report};
use super::flags::{Convert, Rows, WriteFlags, WriteFormat};
use super::look::{filtered, tell_notes};
use super::messages::Stop;
use super::open::tables;
use super::run::{open_with, options, progress_of, tell_left_out};
use crate::error::{Error, ErrorKind};
use crate::frame::{LazyFrame, Runner, Write};
use crate::source::CancelToken;
use crate::sql::{Tables, parse_question, underline};
use crate::write::{FileFormat, Target, WriteOptions, is_closed_pipe};

/// Writes what is asked for.
pub(super) fn convert(command: &Convert, cancel: &CancelToken) -> Result<(), Stop> {
    let targets = command.write.to.iter().map(|target| target_of(target, &command.write));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let questions = command.rows.question.iter().map(|text| parse_question(text)).collect::<Result<Vec<_>, _>>()?;
    let (tables, rules) = tables(&command.input, &command.tables, &questions)?;
    let all = open_with(&command.input.files, &command.input.reading, &command.run, &rules)?;
    if command.rows.question.is_none() && command.rows.select.is_empty() {
        tell_left_out(&all, &command.run)?;
    }
    tell_notes(command.rows.rows.condition.as_deref().or(command.rows.question.as_deref()), &command.run);
    let frame = chosen(&all, &command.rows, &tables)?;
    let progress = progress_of(&command.run);
    let options = options(&command.run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let writes: Vec<Write> = targets.into_iter().map(|(target, how)| Write::new(&frame, target, how)).collect();
    let done = write_all(&Runner::with_options(options), &writes);
    progress.finish(done.is_ok());
    let done = drawn(done, timeline.as_ref(), &command.run)?;
    report(&done.statistics, None, &command.run);
    Ok(())
}

/// Writes; nobody reading a pipe any more is not an error.
pub(super) fn write_all(
    runner: &Runner,
    writes: &[Write],
) -> Result<crate::frame::Run<Vec<crate::write::Written>>, Stop> {
    runner.write_all(writes).map_err(|error| if is_closed_pipe(&error) { Stop::ClosedPipe } else { Stop::Error(error) })
}

/// The rows and columns asked for.
fn chosen(all: &LazyFrame, rows: &Rows, tables: &Tables) -> Result<LazyFrame, Error> {
    if let Some(question) = &rows.question {
        return all.ask_with(question, tables);
    }
    let mut frame = filtered(all, &rows.rows)?;
    if let Some(text) = &rows.sort_by {
        const BEFORE: &str = "* sort ";
        let question = format!("{BEFORE}{text}");
        let question = parse_question(&question)?;
        if !question.is_plain() {
            let error = Error::new(ErrorKind::Syntax, "--sort-by takes no window functions and queries");
            return Err(error.underline(text, 0..text.len()).hint("-q 'QUESTION' has them"));
        }
        frame = frame.sort_by(question.sort);
        frame.plan().map_err(|error| underline(error, text, 0..text.len()))?;
    }
    if !rows.select.is_empty() {
        frame = frame.select(rows.select.clone());
        let list = rows.select.join(",");
        frame.plan().map_err(|error| underline(error, &list, 0..list.len()))?;
    }
    Ok(frame)
}

/// A target and how it is written, by its name alone.
pub(super) fn target_of_name(name: &str) -> Result<(Target, WriteOptions), Error> {
    target_of(name, &WriteFlags::default())
}

/// A target and how it is written, by its name and the flags.
fn target_of(name: &str, flags: &WriteFlags) -> Result<(Target, WriteOptions), Error> {
    let stdout = name == "-";
    let format = match (flags.format, stdout) {
        (Some(WriteFormat::Arrow), true) => Some(FileFormat::IpcStream),
        (Some(format), _) => Some(format.into()),
        (None, true) => Some(FileFormat::Csv),
        (None, false) => None,
    };
    let by_name = WriteOptions::of_file_name(name);
    let mut options = match (format, by_name) {
        (Some(format), Some(options)) if options.format() == format => options,
        (Some(_), Some(_)) => {
            let message = format!("{name} is not the name of a file of the format asked for");
            return Err(Error::new(ErrorKind::Syntax, message).hint("leave --format out, or name another file"));
        }
        (Some(format), None) => WriteOptions::new(format),
        (None, Some(options)) => options,
        (None, None) if !flags.partition_by.is_empty() => WriteOptions::new(FileFormat::Parquet),
        (None, None) => {
            return Err(Error::new(ErrorKind::Syntax, format!("the ending of {name} tells no format"))
                .hint("endings are .csv, .tsv, .ndjson, .parquet and .arrow; --format tells it otherwise"));
        }
    };
    if let Some(compression) = flags.compression {
        options = options.compression(compression);
    }
    if let Some(delimiter) = flags.out_delimiter {
        options = options.delimiter(delimiter);
    }
    if let Some(null) = &flags.out_null {
        options = options.null(null.clone());
    }
    if let Some(rows) = flags.row_group_rows {
        options = options.row_group_rows(rows.get());
    }
    let options = options
        .partition_by(flags.partition_by.clone())
        .overwrite(flags.overwrite)
        .bloom_filters(flags.bloom_filter.clone());
    let target = if stdout { Target::Stdout } else { Target::Path(name.into()) };
    Ok((target, options))
}
