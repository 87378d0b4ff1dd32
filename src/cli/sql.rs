//! `sql`: statements about files.

use super::convert::target_of_name;
use super::deliver::{checked_form, deliver, deliver_plotted, drawn, file_writes, refuse_overwriting, report, write};
use super::flags::{Form, JoinedTables, Output, Reading, Run, Sql};
use super::look::columns_of;
use super::messages::{Stop, warn};
use super::open::named_tables;
use super::plot::Plot;
use super::progress::Progress;
use super::run::{open_with, options, progress_of, tell_left_out};
use super::stats;
use crate::error::{Error, ErrorKind};
use crate::exec::RunOptions;
use crate::frame::{DataFrame, LazyFrame, Runner, Write as FileWrite};
use crate::plan::{LogicalPlan, explain};
use crate::source::CancelToken;
use crate::source::csv::FileRule;
use crate::source::paths::{IntoPaths, expand};
use crate::sql::{Asks, Session, Statement, Tables, notes};
use crate::write::is_closed_pipe;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What the statements of a call ask for.
#[derive(Default)]
pub(super) struct Asked {
    frames: Vec<LazyFrame>,
    titles: Vec<String>,
    copies: Vec<FileWrite>,
    explained: Vec<LogicalPlan>,
    /// Of these the figures of a run are told, and not the rows.
    analyzed: Vec<LazyFrame>,
    /// Files that an answer must not take the place of.
    pub(super) taken: Vec<PathBuf>,
    /// Tables of which it has been told what is left out of them.
    told: HashSet<String>,
}

/// Answers the statements.
pub(super) fn sql(command: Box<Sql>, cancel: &CancelToken) -> Result<(), Stop> {
    let command = Arc::<Sql>::from(command);
    let flags = Arc::clone(&command);
    let tables = tables(&command.tables, &command.reading, move |word, rules| {
        open_with(word, &flags.reading, &flags.run, rules)
    })?;
    let mut session = Session::with_tables(tables);
    session.fix_time();
    let mut asked = Asked::default();
    for text in texts(&command)? {
        asked.statements(&mut session, &text, &command.run)?;
    }
    asked.taken.extend(command.files.iter().cloned());
    asked.answer(&command.output, &command.plot, &command.run, &progress_of(&command.run), cancel)
}

/// The tables with names, and how the files are opened that statements name.
pub(super) fn tables(
    named: &JoinedTables,
    reading: &Reading,
    open: impl Fn(&[String], &[FileRule]) -> Result<LazyFrame, Error> + Send + Sync + 'static,
) -> Result<Tables, Error> {
    let rules = reading.file_options.clone();
    Ok(named_tables(&rules, named)?.opened_by(move |word| {
        let files = expand(&word.into_paths()).unwrap_or_default();
        let about = rules.iter().filter(|rule| files.iter().any(|file| rule.applies_to(file)));
        open(&[word.to_owned()], &about.cloned().collect::<Vec<_>>())
    }))
}

impl Asked {
    /// Adds what the statements of a text ask for; the names that they give to queries or take away, and the statements that do.
    pub(super) fn statements(
        &mut self,
        session: &mut Session,
        text: &str,
        run: &Run,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut views = Vec::new();
        if !run.quiet {
            notes::of_sql(text).iter().for_each(|note| warn(&note.to_string(), &mut io::stderr()));
        }
        for Statement { text, asks } in session.run(text)? {
            let tells = text.contains('*') || matches!(asks, Asks::Summarize(_));
            if let (true, Asks::Query(frame) | Asks::Copy(frame, _) | Asks::Summarize(frame)) = (tells, &asks) {
                self.tell_left_out(frame, run)?;
            }
            match asks {
                Asks::Query(frame) | Asks::Summarize(frame) => self.add(frame, text),
                Asks::Describe(frame) => {
                    self.taken.extend(files_of(&frame)?);
                    self.add(columns_of(&*frame.schema()?)?, text);
                }
                Asks::Explain(frame) => self.explain(&frame)?,
                Asks::Analyze(frame) => {
                    self.explain(&frame)?;
                    self.analyzed.push(frame);
                }
                Asks::Copy(frame, file) => {
                    let (target, how) = target_of_name(&file)?;
                    self.taken.extend(files_of(&frame)?.chain([PathBuf::from(&file)]));
                    self.copies.push(FileWrite::new(&frame, target, how));
                }
                Asks::View(name) => views.push((name, text)),
                Asks::Dropped(names) => {
                    let drops = |name: &String| format!("drop view if exists \"{}\"", name.replace('"', "\"\""));
                    views.extend(names.iter().map(|name| (name.clone(), drops(name))));
                }
            }
        }
        Ok(views)
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.copies.is_empty() && self.explained.is_empty()
    }

    /// Whether rows are shown, and not only copied or explained.
    pub(super) fn has_answers(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Whether the rows of one frame are wanted, and nothing beside them.
    pub(super) fn is_one_answer(&self) -> bool {
        self.frames.len() == 1 && self.copies.is_empty() && self.explained.is_empty()
    }

    /// The files that are read, and those that are written besides answers.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = self.taken.clone();
        for frame in &self.frames {
            files.extend(files_of(frame)?);
        }
        Ok(files)
    }

    /// Whether files are written that what is asked for next may read.
    pub(super) fn copies_files(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Adds a frame whose rows are wanted.
    pub(super) fn add(&mut self, frame: LazyFrame, title: String) {
        self.frames.push(frame);
        self.titles.push(title);
    }

    /// Adds a frame of which it is wanted how it would be answered.
    pub(super) fn explain(&mut self, frame: &LazyFrame) -> Result<(), Error> {
        self.explained.push(LogicalPlan::clone(frame.plan()?));
        Ok(())
    }

    /// Warns, once a table, of columns that are not among all columns.
    pub(super) fn tell_left_out(&mut self, frame: &LazyFrame, run: &Run) -> Result<(), Error> {
        for source in frame.plan()?.sources() {
            if self.told.insert(source.key()) {
                tell_left_out(&LazyFrame::from_source(Arc::clone(source)), run)?;
            }
        }
        Ok(())
    }

    /// Answers all of it, in as few passes as it takes.
    pub(super) fn answer(
        self,
        output: &Output,
        plot: &Plot,
        run: &Run,
        progress: &Arc<Progress>,
        cancel: &CancelToken,
    ) -> Result<(), Stop> {
        let Asked { frames, titles, mut copies, explained, analyzed, taken, .. } = self;
        let wanted = plot.wanted(frames.len())?;
        if wanted.is_some() && !(copies.is_empty() && explained.is_empty()) {
            let message = "--plot draws the answer to a query, beside which nothing is copied or explained";
            return Err(Error::new(ErrorKind::Syntax, message).hint("leave out `copy` and `explain`").into());
        }
        if let (Some(file), true) = (&output.output, frames.is_empty() && !explained.is_empty()) {
            let message = format!("--output {file} is for the rows of answers, and `explain` has none");
            return Err(Error::new(ErrorKind::Syntax, message).hint(format!("> {file} keeps what is printed")).into());
        }
        let options = options(run, cancel, progress)?;
        let timeline = options.timeline.clone();
        if !explained.is_empty() {
            let text = explain(&explained, options.piece_bytes, options.budget.limit_bytes())?;
            output.place.writer().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))?;
        }
        if !analyzed.is_empty() {
            let alone = RunOptions { rejects: None, timeline: None, ..options.clone() };
            let done = Runner::with_options(alone).run::<_, Vec<DataFrame>>(&analyzed[..]);
            progress.finish(done.is_ok());
            let text = stats::text(&done?.statistics, None);
            output.place.writer().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))?;
        }
        if frames.is_empty() && copies.is_empty() {
            return Ok(());
        }
        let form = checked_form(&[], &frames, output, run)?;
        refuse_overwriting(output, frames.len(), &taken)?;
        if let (Some(wanted), [frame]) = (wanted, frames.as_slice()) {
            return deliver_plotted(frame, &titles[0], &wanted, &form, output, run, options, progress);
        }
        if copies.is_empty() {
            let statistics = deliver(&frames, &titles, &form, output, run, options, progress);
            let statistics = drawn(statistics, timeline.as_ref(), run)?;
            statistics.iter().for_each(|statistics| report(statistics, None, run));
            return Ok(());
        }
        let answers: &[LazyFrame] = match &form {
            Form::File(how) => {
                copies.append(&mut file_writes(&frames, how, output));
                &[]
            }
            Form::Text(..) => &frames,
        };
        let done = Runner::with_options(options).run_and_write(answers, &copies);
        progress.finish(done.is_ok());
        let done = done.map_err(|error| if is_closed_pipe(&error) { Stop::ClosedPipe } else { Stop::Error(error) });
        let done = drawn(done, timeline.as_ref(), run)?;
        if let (Form::Text(format, codec), false) = (&form, answers.is_empty()) {
            write(&done.value.0, &titles, *format, *codec, output)?;
        }
        report(&done.statistics, None, run);
        Ok(())
    }
}

/// The files that a frame reads.
pub(super) fn files_of(frame: &LazyFrame) -> Result<impl Iterator<Item = PathBuf>, Error> {
    let files = frame.plan()?.sources().into_iter().flat_map(|source| source.files());
    Ok(files.map(|file| PathBuf::from(&*file)))
}

/// The texts of the statements, in order.
fn texts(command: &Sql) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for text in &command.statements {
        if text == "-" {
            let mut all = String::new();
            let read = io::stdin().read_to_string(&mut all);
            read.map_err(|error| Error::new(ErrorKind::Io, format!("cannot read standard input: {error}")))?;
            texts.push(all);
        } else {
            texts.push(text.clone());
        }
    }
    for file in &command.files {
        texts.push(std::fs::read_to_string(file).map_err(|error| Error::io(file, &error))?);
    }
    Ok(texts)
}
