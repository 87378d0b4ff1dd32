//! Answers: computed, and written where and how they are wanted.

use super::convert::write_all;
use super::flags::{Form, Input, Output, Run, Stats, TimelineFile};
use super::messages::Stop;
use super::plot::{Plot, Wanted};
use super::progress::Progress;
use super::render::{Answer, Format, Layout, Renderer, write_answers};
use super::run::{options, progress_of};
use super::stats;
use super::whole::write_whole;
use crate::error::{Error, ErrorKind};
use crate::exec::{RunOptions, RunStatistics, Timeline, flows_through, stream};
use crate::frame::{DataFrame, LazyFrame, Runner, StrataStatistics, Write as FileWrite};
use crate::panics::lock;
use crate::plan::LogicalPlan;
use crate::source::CancelToken;
use crate::source::memory::MemorySource;
use crate::source::paths::{IntoPaths, expand};
use crate::write::text::compress;
use crate::write::{Codec, Target, WriteOptions, refuse_inputs, refuse_rejects};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Rows that are held back before they are streamed, so that a run which fails early has written nothing.
const HELD_BYTES: usize = 16 << 20;

/// When the program began, or the last entry of the shell.
static STARTED: Mutex<Option<Instant>> = Mutex::new(None);

/// From here on, what an answer takes is counted.
pub(super) fn begin_clock() {
    *lock(&STARTED) = Some(Instant::now());
}

/// Computes the frames in one call and writes their answers.
pub(super) fn answer(
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
    output.form(output.place.is_terminal(), frames.len())
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
            progress.finish(done.is_ok());
            Ok(Some(done?.statistics))
        }
        Form::Text(format, _) if frames.len() == 1 && streams(&frames[0], *format, output, run)? => {
            let outcome = write_stream(&frames[0], options, *format, output);
            progress.finish(outcome.is_ok());
            outcome.map(|()| None)
        }
        Form::Text(format, codec) => {
            let done = Runner::with_options(options).run::<_, Vec<DataFrame>>(frames);
            progress.finish(done.is_ok());
            let done = done?;
            write(&done.value, titles, *format, *codec, output)?;
            Ok(Some(done.statistics))
        }
    }
}

/// As [`answer`], and draws the answer if a picture is wanted: then it is computed first, and written from memory or disk.
pub(super) fn answer_and_plot(
    input: &Input,
    frames: &[LazyFrame],
    titles: &[String],
    (output, plot): (&Output, &Plot),
    run: &Run,
    cancel: &CancelToken,
) -> Result<(), Stop> {
    let Some(wanted) = plot.wanted(frames.len())? else { return answer(input, frames, titles, output, run, cancel) };
    let form = checked_form(&input.files, frames, output, run)?;
    let progress = progress_of(run);
    let options = options(run, cancel, &progress)?;
    deliver_plotted(&frames[0], &titles[0], &wanted, &form, output, run, options, &progress)
}

/// Computes one frame, draws its answer, writes it, and tells what was done; that it could not be drawn is told last.
#[expect(clippy::too_many_arguments, reason = "as `deliver`, and what is drawn")]
pub(super) fn deliver_plotted(
    frame: &LazyFrame,
    title: &str,
    wanted: &Wanted,
    form: &Form,
    output: &Output,
    run: &Run,
    options: RunOptions,
    progress: &Progress,
) -> Result<(), Stop> {
    wanted.check(&*frame.schema()?)?;
    refuse_reading(frame, wanted)?;
    let timeline = options.timeline.clone();
    let done = Runner::with_options(options.clone()).run::<_, Vec<DataFrame>>(std::slice::from_ref(frame));
    progress.finish(done.is_ok());
    let done = drawn(done, timeline.as_ref(), run)?;
    let picture = done.value.iter().try_for_each(|answer| wanted.draw(title, answer));
    let rows = done
        .value
        .iter()
        .map(|answer| MemorySource::of_rows(Arc::clone(answer.schema()), answer.stored_rows().clone()));
    let frames: Vec<LazyFrame> = rows.map(|source| LazyFrame::from_source(Arc::new(source))).collect();
    // What was set aside has been told of.
    let options = RunOptions { rejects: None, on_progress: None, timeline: None, ..options };
    // Statistics are those of the first run, so rows may go out as they come.
    deliver(&frames, &[title.to_owned()], form, output, run, options, progress)?;
    report(&done.statistics, None, run);
    Ok(picture?)
}

/// A picture does not take the place of what is read.
pub(super) fn refuse_reading(frame: &LazyFrame, wanted: &Wanted) -> Result<(), Error> {
    let files = frame.plan()?.sources().into_iter().flat_map(|source| source.files());
    refuse_inputs(wanted.path(), files.map(|file| PathBuf::from(&*file)))
}

/// As a table for people looks.
pub(super) type Drawing<'a> = &'a dyn Fn(&DataFrame, Layout) -> io::Result<Vec<u8>>;

/// Computes a frame and writes its answer, drawn by `draw` where it is a table for people.
pub(super) fn answer_drawn(
    files: &[String],
    frame: &LazyFrame,
    output: &Output,
    run: &Run,
    cancel: &CancelToken,
    draw: Drawing<'_>,
) -> Result<(), Stop> {
    let form = checked_form(files, std::slice::from_ref(frame), output, run)?;
    let progress = progress_of(run);
    let options = options(run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    let done = deliver_drawn(frame, &form, output, run, options, &progress, draw);
    let statistics = drawn(done, timeline.as_ref(), run)?;
    statistics.iter().for_each(|statistics| report(statistics, None, run));
    Ok(())
}

/// As [`deliver`], of one frame, drawn by `draw` where it is a table for people.
pub(super) fn deliver_drawn(
    frame: &LazyFrame,
    form: &Form,
    output: &Output,
    run: &Run,
    options: RunOptions,
    progress: &Progress,
    draw: Drawing<'_>,
) -> Result<Option<RunStatistics>, Stop> {
    let Form::Text(Format::Table, codec) = form else {
        return deliver(std::slice::from_ref(frame), &[String::new()], form, output, run, options, progress);
    };
    let done = Runner::with_options(options).run::<_, Vec<DataFrame>>(std::slice::from_ref(frame));
    progress.finish(done.is_ok());
    let done = done?;
    let name = output.output.as_deref();
    for answer in &done.value {
        let text = draw(answer, layout(output)).map_err(|error| Stop::writing(name.unwrap_or("stdout"), &error))?;
        match name {
            Some(name) => write_bytes(&name.replace("{}", "1"), *codec, text)?,
            None => output.place.writer().write_all(&text).map_err(|error| Stop::writing("stdout", &error))?,
        }
    }
    Ok(Some(done.statistics))
}

/// How a table is laid out in the place that it goes to.
fn layout(output: &Output) -> Layout {
    match output.output {
        Some(_) => Layout::default(),
        None => output.place.layout(lock(&STARTED).map(|started| started.elapsed())),
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
    write_whole(path, text.as_bytes()).map_err(|error| {
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

/// Without a run there is nothing to be drawn or counted.
pub(super) fn refuse_accounts(run: &Run, command: &str) -> Result<(), Error> {
    let wrong = |more: &str| Err(Error::new(ErrorKind::Syntax, format!("`{command}` reads no rows that {more}")));
    match (&run.timeline, run.stats) {
        (Some(_), _) => wrong("`--timeline` could draw"),
        (None, Some(_)) => wrong("`--stats` could tell of"),
        (None, None) => Ok(()),
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
    let flows = matches!(format, Format::Csv | Format::Tsv | Format::Ndjson | Format::Json);
    if !flows || output.output.is_some() || run.stats.is_some() {
        return Ok(false);
    }
    flows_through(frame.plan()?)
}

fn write_stream(frame: &LazyFrame, options: RunOptions, format: Format, output: &Output) -> Result<(), Stop> {
    let batches = stream(LogicalPlan::clone(frame.plan()?), options, HELD_BYTES)?;
    let mut out = BufWriter::with_capacity(1 << 16, output.place.writer());
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
        let mut out = BufWriter::with_capacity(1 << 16, output.place.writer());
        let written = write_answers(format, &answers, layout(output), &mut out).and_then(|()| out.flush());
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

fn write_file(path: &str, format: Format, codec: Codec, answers: &[Answer<'_>]) -> Result<(), Stop> {
    let mut text = Vec::new();
    write_answers(format, answers, Layout::default(), &mut text).map_err(|error| Stop::writing(path, &error))?;
    write_bytes(path, codec, text)
}

fn write_bytes(path: &str, codec: Codec, text: Vec<u8>) -> Result<(), Stop> {
    let bytes = compress(text, codec.into())?;
    write_whole(Path::new(path), &bytes).map_err(|error| Stop::writing(path, &error))
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
