//! The commands.

use super::convert::{convert, write_all};
use super::flags::{
    Ask, Cli, Command, Count, Explain, Form, Head, Input, JoinedTables, Output, Questions, Reading, Run,
    SCHEDULER_VARIABLE, Schema, Stats, TimelineFile,
};
use super::messages::{Stop, conclude, warn};
use super::open::{open_any, tables};
use super::progress::Progress;
use super::render::{Answer, Format, Layout, Renderer, write_answers};
use super::sql::sql;
use super::stats;
use super::strata::strata;
use crate::atomic::{Partial, remove_unfinished};
use crate::error::{Error, ErrorKind};
use crate::exec::{RunOptions, RunStatistics, Scheduler, Timeline, explain_processes, flows_through, stream};
use crate::expr::{count_rows, refused_names};
use crate::frame::{CsvScan, DataFrame, LazyFrame, Runner, StrataStatistics, Write as FileWrite};
use crate::memory::{Budget, Spill};
use crate::panics::is_caught;
use crate::plan::{LogicalPlan, explain};
use crate::source::CancelToken;
use crate::source::csv::{DateFormats, Encoding, FileRule};
use crate::source::memory::MemorySource;
use crate::source::paths::{IntoPaths, expand};
use crate::sql::{parse_question, read_questions};
use crate::types::ColumnType;
use crate::write::text::compress;
use crate::write::{Codec, Target, WriteOptions, refuse_rejects};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use clap::Parser;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit code after Ctrl-C, as a shell gives it.
const INTERRUPTED: u8 = 130;
/// How long a run may take to stop after Ctrl-C.
const GRACE: Duration = Duration::from_millis(300);
/// Rows that are held back before they are streamed, so that a run which fails early has written nothing.
const HELD_BYTES: usize = 16 << 20;
/// Rows of an answer that a table shows on a terminal.
const TABLE_ROWS: usize = 60;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    quiet_caught_panics();
    crate::init();
    let cli = Cli::parse();
    let cancel = CancelToken::new();
    stop_on_interrupt(&cancel);
    let outcome = match cli.command {
        Command::Ask(command) => ask(&command, &cancel),
        Command::Sql(command) => sql(command, &cancel),
        Command::Convert(command) => convert(&command, &cancel),
        Command::Strata(command) => strata(&command, &cancel),
        Command::Schema(command) => schema(&command),
        Command::Head(command) => head(&command, &cancel),
        Command::Count(command) => count(&command, &cancel),
        Command::Explain(command) => explain_questions(&command),
    };
    match outcome {
        Err(Stop::Error(error)) if error.kind() == ErrorKind::Cancelled => ExitCode::from(INTERRUPTED),
        outcome => ExitCode::from(conclude(outcome, &mut io::stderr())),
    }
}

/// A panic in a decoder of others is told as an error, and needs no trace beside it.
fn quiet_caught_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_caught() {
            before(panic);
        }
    }));
}

/// Ctrl-C cancels the run; work that does not stop soon, such as sorting a large answer, ends with the process.
fn stop_on_interrupt(cancel: &CancelToken) {
    let cancel = cancel.clone();
    let handler = move || {
        cancel.cancel();
        std::thread::sleep(GRACE);
        remove_unfinished();
        std::process::exit(i32::from(INTERRUPTED));
    };
    // Without a handler Ctrl-C ends the process at once, which loses nothing but grace.
    let _ = ctrlc::set_handler(handler);
}

pub(super) fn open(input: &Input, run: &Run) -> Result<LazyFrame, Error> {
    open_with(&input.files, &input.reading, run, &input.reading.file_options)
}

/// The table in some files, read by the flags and by these rules.
pub(super) fn open_with(files: &[String], input: &Reading, run: &Run, rules: &[FileRule]) -> Result<LazyFrame, Error> {
    let mut scan = CsvScan::new(files);
    if input.no_sniff {
        scan = scan.sniff(false);
    }
    if input.header || input.no_header {
        scan = scan.has_header(input.header);
    }
    if let Some(threads) = run.threads {
        scan = scan.sample_threads(threads.get());
    }
    if let Some(delimiter) = input.delimiter {
        scan = scan.delimiter(delimiter);
    }
    if let Some(quote) = input.quote {
        scan = scan.quote(quote.0);
    }
    if let Some(policy) = input.malformed {
        scan = scan.malformed(policy);
    }
    scan = scan.repeated_headers(!input.keep_headers);
    if let Some(escape) = input.escape {
        scan = scan.escape(escape.0);
    }
    if let Some(comment) = input.comment {
        scan = scan.comment(comment.0);
    }
    if let Some(lines) = input.skip_rows {
        scan = scan.skip_rows(lines);
    }
    if let Some(decimal) = input.decimal {
        scan = scan.decimal(decimal);
    }
    if let Some(line_end) = input.line_end {
        scan = scan.line_end(line_end);
    }
    if !input.date_format.is_empty() {
        scan = scan.date_formats(DateFormats::new(input.date_format.iter().map(String::as_str))?);
    }
    if let Some(thousands) = input.thousands {
        scan = scan.thousands(thousands.0);
    }
    if let Some(policy) = input.invalid_bytes {
        scan = scan.invalid_bytes(policy);
    }
    if let Some(policy) = input.columns {
        scan = scan.columns(policy);
    }
    if let Some(files) = input.sample_files {
        scan = scan.sample_files(files);
    }
    if let Some(tokens) = &input.null {
        scan = scan.null_tokens(tokens.iter().map(String::as_str));
    }
    if let Some(label) = &input.encoding {
        scan = scan.encoding(Encoding::from_label(label)?);
    }
    for given in &input.types {
        scan = scan.with_type(&given.column, given.column_type);
    }
    // A type for a column that does not exist is a slip of the keys like one in a question.
    open_any(scan, input, rules).map_err(|error| {
        let given = input.types.iter().find(|given| error.message().contains(&format!("`{}`", given.column)));
        match given {
            Some(given) if error.kind() == ErrorKind::Name => {
                let text = format!("--types {}={}", given.column, given.column_type);
                error.underline(&text, 8..8 + given.column.len())
            }
            _ => error,
        }
    })
}

/// The texts of the questions, each checked for syntax.
fn texts(questions: &Questions) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for text in &questions.ask {
        parse_question(text)?;
        texts.push(text.clone());
    }
    for file in &questions.files {
        texts.extend(read_questions(file)?.iter().map(|question| question.text.to_string()));
    }
    if texts.is_empty() {
        return Err(Error::new(ErrorKind::Syntax, "the files of questions hold no question"));
    }
    Ok(texts)
}

fn frames(input: &Input, run: &Run, joined: &JoinedTables, texts: &[String]) -> Result<Vec<LazyFrame>, Error> {
    let questions = texts.iter().map(|text| parse_question(text)).collect::<Result<Vec<_>, _>>()?;
    let (tables, rules) = tables(input, joined, &questions)?;
    let all = open_with(&input.files, &input.reading, run, &rules)?;
    if texts.iter().any(|text| text.trim_start().starts_with('*')) {
        tell_left_out(&all, run)?;
    }
    texts.iter().map(|text| all.ask_with(text, &tables)).collect::<Result<_, _>>()
}

pub(super) fn options(run: &Run, cancel: &CancelToken, progress: &Arc<Progress>) -> Result<RunOptions, Error> {
    let mut options = RunOptions { cancel: cancel.clone(), ..RunOptions::default() };
    let variable = std::env::var(SCHEDULER_VARIABLE).ok();
    let chosen = run.scheduler(variable.as_deref());
    options.scheduler =
        chosen.map_err(|error| Error::new(ErrorKind::Syntax, format!("{SCHEDULER_VARIABLE}: {error}")))?;
    if let Some(threads) = run.workers(options.scheduler) {
        options.threads = threads.get();
    }
    options.budget = match run.memory {
        Some(limit) => Budget::of_size(limit),
        None => Budget::of_environment()?,
    };
    options.spill = Spill::new(run.spill_dir.clone(), run.spill_limit.map(|limit| limit.0));
    if let Some(bytes) = run.piece_bytes {
        options.piece_bytes = bytes.get();
    }
    if let Some(bytes) = run.batch_bytes {
        options.batch_bytes = bytes.get();
    }
    refuse_rejects_on_stdout(run.rejects.as_deref())?;
    options.rejects.clone_from(&run.rejects);
    options.timeline = run.timeline.as_ref().map(|_| Timeline::new());
    if !run.quiet {
        let bar = Arc::clone(progress);
        options.on_warning =
            Some(Arc::new(move |warning| bar.suspend(|| warn(&warning.to_string(), &mut io::stderr()))));
        let bar = Arc::clone(progress);
        options.on_progress =
            Some(Arc::new(move |now| bar.update(now.pass, now.bytes_done, now.bytes_total, now.records)));
    }
    Ok(options)
}

/// Answers go to standard output: rejects would overwrite them if it is a file, which they replace when they are whole.
fn refuse_rejects_on_stdout(rejects: Option<&Path>) -> Result<(), Error> {
    let Some(path) = rejects else { return Ok(()) };
    let real = std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    let is_stdout = real.is_some_and(|path| std::fs::canonicalize("/dev/stdout").is_ok_and(|stdout| stdout == path));
    if is_stdout || path == Path::new("-") {
        let message = format!("--rejects {} is no file of its own", path.display());
        return Err(Error::new(ErrorKind::Syntax, message).hint("name a file for the records that are set aside"));
    }
    Ok(())
}

pub(super) fn progress_of(run: &Run) -> Arc<Progress> {
    Arc::new(Progress::new(!run.quiet && !run.no_progress && io::stderr().is_terminal()))
}

/// Warns of columns that are in the files and not among all columns.
pub(super) fn tell_left_out(all: &LazyFrame, run: &Run) -> Result<(), Error> {
    if !run.quiet {
        for (name, what) in refused_names(&*all.schema()?) {
            warn(&format!("the column `{name}` is left out: it is {what}"), &mut io::stderr());
        }
    }
    Ok(())
}

fn ask(command: &Ask, cancel: &CancelToken) -> Result<(), Stop> {
    let texts = texts(&command.questions)?;
    let frames = frames(&command.input, &command.run, &command.tables, &texts)?;
    refuse_overwriting(&command.output, texts.len(), &command.questions.files)?;
    answer(&command.input, &frames, &texts, &command.output, &command.run, cancel)
}

fn head(command: &Head, cancel: &CancelToken) -> Result<(), Stop> {
    let all = open(&command.input, &command.run)?;
    tell_left_out(&all, &command.run)?;
    let frame = all.head(command.rows);
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

fn count(command: &Count, cancel: &CancelToken) -> Result<(), Stop> {
    let frame = open(&command.input, &command.run)?.agg(count_rows().alias("count"));
    answer(&command.input, &[frame], &[String::new()], &command.output, &command.run, cancel)
}

/// Computes the frames in one call and writes their answers.
fn answer(
    input: &Input,
    frames: &[LazyFrame],
    titles: &[String],
    output: &Output,
    run: &Run,
    cancel: &CancelToken,
) -> Result<(), Stop> {
    let form = checked_form(&input.files, frames, output, run)?;
    let progress = progress_of(run);
    let options = options(run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let statistics = drawn(deliver(frames, titles, &form, output, run, options, &progress), timeline.as_ref(), run)?;
    statistics.iter().for_each(|statistics| report(statistics, None, run));
    Ok(())
}

/// How answers to these frames are written, once it is clear that they would overwrite nothing that is read.
pub(super) fn checked_form(files: &[String], frames: &[LazyFrame], output: &Output, run: &Run) -> Result<Form, Error> {
    if output.output.is_some() {
        let mut inputs = if files.is_empty() { Vec::new() } else { expand(&files.into_paths())? };
        for frame in frames {
            let files = frame.plan()?.sources().into_iter().flat_map(|source| source.files());
            inputs.extend(files.map(|file| PathBuf::from(&*file)));
        }
        refuse_overwriting(output, frames.len(), &inputs)?;
    }
    for target in targets(output, frames.len()) {
        refuse_rejects(&target, run.rejects.as_deref())?;
    }
    output.form(io::stdout().is_terminal(), frames.len())
}

/// Computes the frames and writes their answers; the statistics, unless rows went out as they came.
pub(super) fn deliver(
    frames: &[LazyFrame],
    titles: &[String],
    form: &Form,
    output: &Output,
    run: &Run,
    options: RunOptions,
    progress: &Progress,
) -> Result<Option<RunStatistics>, Stop> {
    match form {
        Form::File(how) => {
            let done = write_all(&Runner::with_options(options), &file_writes(frames, how, output));
            progress.finish();
            Ok(Some(done?.statistics))
        }
        Form::Text(format, _) if frames.len() == 1 && streams(&frames[0], *format, output, run)? => {
            let outcome = write_stream(&frames[0], options, *format);
            progress.finish();
            outcome.map(|()| None)
        }
        Form::Text(format, codec) => {
            let done = Runner::with_options(options).run::<_, Vec<DataFrame>>(frames);
            progress.finish();
            let done = done?;
            write(&done.value, titles, *format, *codec, output)?;
            Ok(Some(done.statistics))
        }
    }
}

/// Every frame to the file of its number.
pub(super) fn file_writes(frames: &[LazyFrame], how: &WriteOptions, output: &Output) -> Vec<FileWrite> {
    let name = output.output.as_deref().unwrap_or_default();
    let target = |number: usize| Target::Path(name.replace("{}", &(number + 1).to_string()).into());
    frames.iter().enumerate().map(|(at, frame)| FileWrite::new(frame, target(at), how.clone())).collect()
}

/// Writes the timeline to its file, which has its name only once it is whole.
fn draw(timeline: Option<&Timeline>, run: &Run) -> Result<(), Stop> {
    let (Some(timeline), Some(TimelineFile { path, page })) = (timeline, &run.timeline) else { return Ok(()) };
    let text = if *page { timeline.html() } else { timeline.svg() };
    let write = || {
        let partial = Partial::file(path)?;
        partial.handle().and_then(|mut file| file.write_all(text.as_bytes()))?;
        partial.commit(false)
    };
    write().map_err(|error| {
        Stop::Error(
            Error::new(ErrorKind::Io, format!("cannot draw the timeline: {error}"))
                .in_file(&path.display().to_string()),
        )
    })
}

/// Draws the timeline of what has been done or has failed: a failure is seen best there, and is told before one of drawing.
pub(super) fn drawn<T, E>(done: Result<T, E>, timeline: Option<&Timeline>, run: &Run) -> Result<T, Stop>
where
    Stop: From<E>,
{
    let drawing = draw(timeline, run);
    let done = done?;
    drawing.map(|()| done)
}

/// Without a run there is nothing to be drawn.
fn refuse_timeline(run: &Run, command: &str) -> Result<(), Error> {
    match &run.timeline {
        None => Ok(()),
        Some(_) => {
            Err(Error::new(ErrorKind::Syntax, format!("`{command}` reads no rows that `--timeline` could draw")))
        }
    }
}

/// Tells what was done, if that is asked for; of groups too, if there were some.
pub(super) fn report(statistics: &RunStatistics, strata: Option<&StrataStatistics>, run: &Run) {
    let text = match run.stats {
        None => return,
        Some(Stats::Text) => stats::text(statistics, strata),
        Some(Stats::Json) => stats::json(statistics, strata),
    };
    // A stderr that cannot be written to is no reason to fail.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Rows in input order go out as they come, so that they need not fit in memory.
fn streams(frame: &LazyFrame, format: Format, output: &Output, run: &Run) -> Result<bool, Error> {
    let flows = matches!(format, Format::Csv | Format::Ndjson | Format::Json);
    if !flows || output.output.is_some() || run.stats.is_some() {
        return Ok(false);
    }
    flows_through(frame.plan()?)
}

fn write_stream(frame: &LazyFrame, options: RunOptions, format: Format) -> Result<(), Stop> {
    let batches = stream(LogicalPlan::clone(frame.plan()?), options, HELD_BYTES)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let closed = |error: io::Error| Stop::writing("stdout", &error);
    let mut renderer = None;
    for batch in batches {
        // Nothing is written before the first rows are certain.
        let batch = batch?;
        let renderer = renderer.get_or_insert_with(|| Renderer::new(format, &batch.schema(), Layout::default()));
        renderer.batch(&batch, &mut out).map_err(closed)?;
    }
    let renderer = match renderer {
        Some(renderer) => renderer,
        None => Renderer::new(format, &*frame.schema()?, Layout::default()),
    };
    renderer.finish(&mut out).map_err(closed)?;
    out.flush().map_err(closed)
}

pub(super) fn write(
    frames: &[DataFrame],
    titles: &[String],
    format: Format,
    codec: Codec,
    output: &Output,
) -> Result<(), Stop> {
    let answers: Vec<Answer<'_>> = frames.iter().zip(titles).map(|(frame, title)| Answer { title, frame }).collect();
    let Some(path) = &output.output else {
        let terminal = io::stdout().is_terminal();
        let layout = Layout { width: terminal.then(terminal_width).flatten(), rows: terminal.then_some(TABLE_ROWS) };
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let written = write_answers(format, &answers, layout, &mut out).and_then(|()| out.flush());
        return written.map_err(|error| Stop::writing("stdout", &error));
    };
    if !path.contains("{}") {
        return write_file(path, format, codec, &answers);
    }
    for (number, answer) in answers.iter().enumerate() {
        let path = path.replace("{}", &(number + 1).to_string());
        write_file(&path, format, codec, std::slice::from_ref(answer))?;
    }
    Ok(())
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// Writes beside the final name and renames, so that a half-written file never stands under it. A link is followed; a
/// pipe or device is written to as it is; a file that is replaced keeps its permissions.
fn write_file(path: &str, format: Format, codec: Codec, answers: &[Answer<'_>]) -> Result<(), Stop> {
    let failed = |error: io::Error| Stop::writing(path, &error);
    let mut text = Vec::new();
    write_answers(format, answers, Layout::default(), &mut text).map_err(failed)?;
    let bytes = compress(text, codec.into())?;
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        let file = File::options().write(true).open(path);
        return file.and_then(|mut file| file.write_all(&bytes)).map_err(failed);
    }
    let partial = Partial::file(Path::new(path)).map_err(failed)?;
    partial.handle().and_then(|mut file| file.write_all(&bytes)).map_err(failed)?;
    partial.commit(true).map_err(failed)
}

/// The files that answers are written to; none where they go to standard output.
fn targets(output: &Output, answers: usize) -> impl Iterator<Item = PathBuf> {
    let name = output.output.as_deref();
    let target = move |number: usize| name.map(|name| PathBuf::from(name.replace("{}", &number.to_string())));
    (1..=answers).filter_map(target)
}

/// Refuses to write an answer over a file that is read.
pub(super) fn refuse_overwriting(output: &Output, answers: usize, inputs: &[PathBuf]) -> Result<(), Error> {
    let same = |one: &Path, other: &Path| {
        std::fs::canonicalize(one).ok().is_some_and(|one| std::fs::canonicalize(other).ok() == Some(one))
    };
    for target in targets(output, answers) {
        if let Some(input) = inputs.iter().find(|input| same(input, &target)) {
            let message =
                format!("--output {} would overwrite what is read from {}", target.display(), input.display());
            return Err(Error::new(ErrorKind::Syntax, message).hint("name another file"));
        }
    }
    Ok(())
}

fn schema(command: &Schema) -> Result<(), Stop> {
    refuse_timeline(&command.run, "schema")?;
    let frame = open(&command.input, &command.run)?;
    let schema = frame.schema()?;
    if !command.run.quiet {
        for warning in frame.plan()?.source().warnings() {
            warn(&warning, &mut io::stderr());
        }
    }
    tell_left_out(&frame, &command.run)?;
    if command.explain
        && let Some(text) = frame.plan()?.source().explain_schema()
    {
        return io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error));
    }
    let table = columns_of(&schema)?;
    match command.output.form(io::stdout().is_terminal(), 1)? {
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

fn explain_questions(command: &Explain) -> Result<(), Stop> {
    refuse_timeline(&command.run, "explain")?;
    let texts = texts(&command.questions)?;
    let frames = frames(&command.input, &command.run, &command.tables, &texts)?;
    let plans = frames.iter().map(|frame| Ok(LogicalPlan::clone(frame.plan()?))).collect::<Result<Vec<_>, Error>>()?;
    let options = options(&command.run, &CancelToken::new(), &progress_of(&command.run))?;
    let mut text = explain(&plans, options.piece_bytes, options.budget.limit_bytes())?;
    if options.scheduler == Scheduler::Processes {
        text.push_str(&explain_processes(&plans, &options)?);
    }
    io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))
}
