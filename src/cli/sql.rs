//! `sql`: statements about files.

use super::convert::target_of_name;
use super::deliver::{checked_form, deliver, deliver_plotted, drawn, file_writes, refuse_overwriting, report, write};
use super::flags::{Form, Sql};
use super::look::columns_of;
use super::messages::Stop;
use super::open::named_tables;
use super::run::{open_with, options, progress_of, tell_left_out};
use crate::error::{Error, ErrorKind};
use crate::frame::{LazyFrame, Runner, Write as FileWrite};
use crate::plan::{LogicalPlan, explain};
use crate::source::CancelToken;
use crate::source::paths::{IntoPaths, expand};
use crate::sql::{Asks, Session, Statement};
use crate::write::is_closed_pipe;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What the statements of a call ask for.
#[derive(Default)]
struct Asked {
    frames: Vec<LazyFrame>,
    titles: Vec<String>,
    copies: Vec<FileWrite>,
    explained: Vec<LogicalPlan>,
    /// Files that an answer must not take the place of.
    taken: Vec<PathBuf>,
}

/// Answers the statements.
pub(super) fn sql(command: Box<Sql>, cancel: &CancelToken) -> Result<(), Stop> {
    let command = Arc::<Sql>::from(command);
    let asked = asked(&command)?;
    let wanted = command.plot.wanted(asked.frames.len())?;
    if wanted.is_some() && !(asked.copies.is_empty() && asked.explained.is_empty()) {
        let error = Error::new(
            ErrorKind::Syntax,
            "--plot draws the answer to a query, beside which nothing is copied or explained",
        );
        return Err(error.hint("leave out `copy` and `explain`").into());
    }
    let progress = progress_of(&command.run);
    let options = options(&command.run, cancel, &progress)?;
    let timeline = options.timeline.clone();
    if !asked.explained.is_empty() {
        let text = explain(&asked.explained, options.piece_bytes, options.budget.limit_bytes())?;
        io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::writing("stdout", &error))?;
    }
    let Asked { frames, titles, mut copies, mut taken, .. } = asked;
    taken.extend(command.files.iter().cloned());
    if frames.is_empty() && copies.is_empty() {
        return Ok(());
    }
    let (output, run) = (&command.output, &command.run);
    let form = checked_form(&[], &frames, output, run)?;
    refuse_overwriting(output, frames.len(), &taken)?;
    if let (Some(wanted), [frame]) = (wanted, frames.as_slice()) {
        return deliver_plotted(frame, &titles[0], &wanted, &form, output, run, options, &progress);
    }
    if copies.is_empty() {
        let statistics = deliver(&frames, &titles, &form, output, run, options, &progress);
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

fn asked(command: &Arc<Sql>) -> Result<Asked, Error> {
    let (rules, flags) = (&command.reading.file_options, Arc::clone(command));
    let tables = named_tables(rules, &command.tables)?.opened_by(move |word| {
        let files = expand(&word.into_paths()).unwrap_or_default();
        let about = flags.reading.file_options.iter().filter(|rule| files.iter().any(|file| rule.applies_to(file)));
        open_with(&[word.to_owned()], &flags.reading, &flags.run, &about.cloned().collect::<Vec<_>>())
    });
    let mut session = Session::with_tables(tables);
    let mut asked = Asked::default();
    let mut told = HashSet::new();
    for text in texts(command)? {
        for Statement { text, asks } in session.run(&text)? {
            let tells = text.contains('*') || matches!(asks, Asks::Summarize(_));
            if let (true, Asks::Query(frame) | Asks::Copy(frame, _) | Asks::Summarize(frame)) = (tells, &asks) {
                for source in frame.plan()?.sources().into_iter().filter(|source| told.insert(source.key())) {
                    tell_left_out(&LazyFrame::from_source(Arc::clone(source)), &command.run)?;
                }
            }
            match asks {
                Asks::Query(frame) | Asks::Summarize(frame) => asked.answer(frame, text),
                Asks::Describe(frame) => {
                    asked.taken.extend(files_of(&frame)?);
                    asked.answer(columns_of(&*frame.schema()?)?, text);
                }
                Asks::Explain(frame) => asked.explained.push(LogicalPlan::clone(frame.plan()?)),
                Asks::Copy(frame, file) => {
                    let (target, how) = target_of_name(&file)?;
                    asked.taken.extend(files_of(&frame)?.chain([PathBuf::from(&file)]));
                    asked.copies.push(FileWrite::new(&frame, target, how));
                }
                Asks::View(_) => {}
            }
        }
    }
    Ok(asked)
}

impl Asked {
    fn answer(&mut self, frame: LazyFrame, title: String) {
        self.frames.push(frame);
        self.titles.push(title);
    }
}

/// The files that a frame reads.
fn files_of(frame: &LazyFrame) -> Result<impl Iterator<Item = PathBuf>, Error> {
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
