//! `freq` and `hist`: how often values, or values of a range, occur.

use super::deliver::{answer_drawn, checked_form, deliver_drawn, drawn, refuse_reading, report};
use super::flags::{Freq, Hist, Output, Run};
use super::look::{filtered, list, tell_notes};
use super::meant::{Others, column_first, meant};
use super::messages::Stop;
use super::plot::{Plot, Wanted};
use super::render::{Bar, Format, Layout, write_result};
use super::run::{open, options, progress_of};
use crate::error::{Error, ErrorKind};
use crate::exec::RunOptions;
use crate::expr::{Expr, col, count_rows, lit};
use crate::frame::{DataFrame, LazyFrame, Runner, Value};
use crate::plan::SortKey;
use crate::source::CancelToken;
use crate::source::memory::MemorySource;
use crate::sql::underline;
use crate::types::ColumnType;
use arrow::array::{AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Int64Type, Schema};
use std::io;
use std::sync::Arc;

/// Of several columns, so many values each unless said otherwise.
const OF_SEVERAL: usize = 10;

pub(super) fn freq(command: &Freq, cancel: &CancelToken) -> Result<(), Stop> {
    let text = &command.keys;
    Plot::refuse_kind(command.plot.as_deref(), &command.input.files)?;
    let columns = list(text, "COLUMN").map_err(|error| column_first(error, text, &command.input.files))?;
    let all = open(&command.input, &command.run);
    let all = all.map_err(|error| meant(error, &command.input.files, Others::Column(text)))?;
    all.select(columns.clone()).plan().map_err(|error| in_words(error, text))?;
    tell_notes(command.rows.condition.as_deref(), &command.run);
    let rows = filtered(&all, &command.rows)?;
    let several = columns.len() > 1;
    let picture = picture_of(command.plot.as_deref(), &all)?;
    if picture.is_some() && several {
        let error =
            Error::new(ErrorKind::Syntax, "--plot draws the values of one column").underline(text, 0..text.len());
        return Err(error.into());
    }
    let limit = command.limit.or(several.then_some(OF_SEVERAL));
    let counts = columns.iter().map(|column| counts(&rows, column, limit));
    let frames: Vec<LazyFrame> = counts.chain([rows.agg(count_rows().alias("count"))]).collect();
    for frame in &frames {
        frame.plan()?;
    }
    let told = Told {
        files: &command.input.files,
        output: &command.output,
        run: &command.run,
        title: text,
        picture,
        bars: usize::from(several) + 1,
    };
    told.tell(&frames, cancel, |done, options| {
        let Some((total, counted)) = done.split_last() else { return Err(Error::internal("nothing was counted")) };
        let total = match total.value(0, "count")? {
            Value::Int64(total) => total,
            _ => 0,
        };
        let frame = match counted {
            [one] => stored(one),
            some => stacked(some, &columns, options)?,
        };
        let percent = (col("count") * lit(100.0) / lit(total as f64)).alias("percent");
        let frame = frame.with_columns(percent);
        let drawn = frame.select([col("value"), col("count")]);
        Ok((frame, drawn))
    })
}

/// How counts are told.
struct Told<'a> {
    files: &'a [String],
    output: &'a Output,
    run: &'a Run,
    title: &'a str,
    picture: Option<Wanted>,
    /// The column of the table for whose counts there are bars.
    bars: usize,
}

impl Told<'_> {
    /// Runs the frames in one pass, delivers the table that is made of what they gave, and draws the other one if a picture is wanted.
    fn tell(
        &self,
        frames: &[LazyFrame],
        cancel: &CancelToken,
        made: impl FnOnce(&[DataFrame], &RunOptions) -> Result<(LazyFrame, LazyFrame), Error>,
    ) -> Result<(), Stop> {
        let form = checked_form(self.files, &frames[..1], self.output, self.run)?;
        let progress = progress_of(self.run);
        let options = options(self.run, cancel, &progress)?;
        let timeline = options.timeline.clone();
        let done = Runner::with_options(options.clone()).run::<_, Vec<DataFrame>>(frames);
        progress.finish(done.is_ok());
        let done = drawn(done, timeline.as_ref(), self.run)?;
        // What was set aside has been told of; the counts are in memory or on disk.
        let options = RunOptions { rejects: None, on_progress: None, timeline: None, ..options };
        let (table, counts) = made(&done.value, &options)?;
        let picture = self.picture.as_ref().map(|wanted| draw(wanted, self.title, counts, &options));
        let bars = |frame: &DataFrame, layout: Layout| with_bars(frame, self.bars, layout);
        deliver_drawn(&table, &form, self.output, self.run, options, &progress, &bars)?;
        report(&done.statistics, None, self.run);
        // That it could not be drawn is told last.
        Ok(picture.unwrap_or(Ok(()))?)
    }
}

/// The picture that is wanted, of values that are not in the file which it takes the place of.
fn picture_of(name: Option<&str>, all: &LazyFrame) -> Result<Option<Wanted>, Error> {
    let picture = name.map_or_else(Plot::default, |name| Plot::of("bar", name)).wanted(1)?;
    picture.iter().try_for_each(|wanted| refuse_reading(all, wanted))?;
    Ok(picture)
}

/// Draws counts that have been made.
fn draw(wanted: &Wanted, title: &str, counts: LazyFrame, options: &RunOptions) -> Result<(), Error> {
    let counts = Runner::with_options(options.clone()).run::<_, DataFrame>(counts)?.value;
    wanted.draw(title, &counts)
}

/// The values of a column and how often each occurs, the most frequent first.
fn counts(rows: &LazyFrame, column: &Expr, limit: Option<usize>) -> LazyFrame {
    let groups = rows.group_by(column.unaliased().clone().alias("value")).agg(count_rows().alias("count"));
    let key = |name: &str, descending| SortKey { expr: col(name), descending };
    let sorted = groups.sort_by(vec![key("count", true), key("value", false)]);
    limit.map_or(sorted.clone(), |limit| sorted.limit(limit))
}

fn stored(frame: &DataFrame) -> LazyFrame {
    let source = MemorySource::of_rows(Arc::clone(frame.schema()), frame.stored_rows().clone());
    LazyFrame::from_source(Arc::new(source))
}

/// The counts of several columns below each other, values as text.
fn stacked(counted: &[DataFrame], columns: &[Expr], options: &RunOptions) -> Result<LazyFrame, Error> {
    let text = |name: &str| Field::new(name, ColumnType::Utf8.arrow(), true);
    let fields = vec![text("column"), text("value"), Field::new("count", ColumnType::Int64.arrow(), true)];
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::new();
    for (frame, column) in counted.iter().zip(columns) {
        let as_text = stored(frame).select([col("value").cast(ColumnType::Utf8), col("count")]);
        let runner = Runner::with_options(options.clone());
        let as_text = runner.run::<_, Vec<DataFrame>>(std::slice::from_ref(&as_text))?.value;
        for batch in as_text.iter().flat_map(DataFrame::batches) {
            let batch = batch?;
            let name = StringViewArray::from_iter_values(std::iter::repeat_n(column.output_name(), batch.num_rows()));
            let arrays = vec![Arc::new(name) as _, Arc::clone(batch.column(0)), Arc::clone(batch.column(1))];
            batches.push(RecordBatch::try_new(Arc::clone(&schema), arrays)?);
        }
    }
    Ok(LazyFrame::from_source(Arc::new(MemorySource::new(schema, batches))))
}

pub(super) fn hist(command: &Hist, cancel: &CancelToken) -> Result<(), Stop> {
    let text = &command.key;
    Plot::refuse_kind(command.plot.as_deref(), &command.input.files)?;
    let columns = list(text, "COLUMN").map_err(|error| column_first(error, text, &command.input.files))?;
    let [column] = columns.as_slice() else {
        let error = Error::new(ErrorKind::Syntax, "`hist` is of one column").underline(text, 0..text.len());
        return Err(error.into());
    };
    let all = open(&command.input, &command.run);
    let all = all.map_err(|error| meant(error, &command.input.files, Others::Column(text)))?;
    all.select(columns.clone()).plan().map_err(|error| in_words(error, text))?;
    let bins = command.bins.get();
    let column = column.unaliased().clone();
    let histogram = match (command.from, command.to) {
        (Some(from), Some(to)) => column.clone().histogram_between(from, to, bins)?,
        _ => column.clone().histogram(bins)?,
    };
    tell_notes(command.rows.condition.as_deref(), &command.run);
    let frame = filtered(&all, &command.rows)?.agg(histogram);
    frame.plan().map_err(|error| match error.kind() {
        ErrorKind::Type if is_time(&all, &column) => {
            in_words(error, text).hint(format!("outcrop freq \"date_trunc('month', {text})\" counts by month"))
        }
        ErrorKind::Type => in_words(error, text).hint(format!("outcrop freq '{text}' counts values of any type")),
        _ => in_words(error, text),
    })?;
    let with_bars = |frame: &DataFrame, layout: Layout| with_bars(frame, 2, layout);
    let Some(wanted) = picture_of(command.plot.as_deref(), &all)? else {
        return answer_drawn(&command.input.files, &frame, &command.output, &command.run, cancel, &with_bars);
    };
    let told = Told {
        files: &command.input.files,
        output: &command.output,
        run: &command.run,
        title: text,
        picture: Some(wanted),
        bars: 2,
    };
    told.tell(&[frame], cancel, |done, _| {
        let [histogram] = done else { return Err(Error::internal("there is no histogram")) };
        let frame = stored(histogram);
        // What lies outside of all ranges has no place on the axis.
        let ranges = frame.filter(col("lower").is_not_null().and(col("upper").is_not_null()));
        let drawn = ranges.select([col("lower"), col("count")]);
        Ok((frame, drawn))
    })
}

/// Whether a column holds dates or times.
fn is_time(all: &LazyFrame, column: &Expr) -> bool {
    let bound = all.schema().and_then(|schema| column.bind(&schema));
    bound.is_ok_and(|bound| matches!(bound.column_type(), ColumnType::Date | ColumnType::Timestamp))
}

/// A table with bars for the counts in a column.
fn with_bars(frame: &DataFrame, column: usize, layout: Layout) -> io::Result<Vec<u8>> {
    let mut most = 1;
    for batch in frame.batches() {
        let batch = batch.map_err(io::Error::other)?;
        let counts = batch.column(column).as_primitive_opt::<Int64Type>();
        most = counts.into_iter().flat_map(|counts| counts.iter().flatten()).fold(most, i64::max);
    }
    let layout = Layout { bar: Some(Bar { column, most: most as f64 }), ..layout };
    let mut out = Vec::new();
    write_result(Format::Table, frame, layout, &mut out)?;
    Ok(out)
}

fn in_words(error: Error, text: &str) -> Error {
    underline(error, text, 0..text.len())
}
