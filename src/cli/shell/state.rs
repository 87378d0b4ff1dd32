//! What a session knows, and how entries are done.

use super::commands::{self, Command};
use super::complete::Names;
use super::entry::{self, Entry};
use super::interrupt::Interrupts;
use super::meanings::{Meanings, named};
use super::meant::meant_otherwise;
use super::opened::{Opened, table_name};
use super::{Flags, say};
use crate::cli::config::home;
use crate::cli::deliver::begin_clock;
use crate::cli::flags::{AnswerFormat, Output, Run, thread_count};
use crate::cli::messages::{Stop, warn};
use crate::cli::plot::Plot;
use crate::cli::render::Format;
use crate::cli::run::{open_with, progress_of};
use crate::cli::sql::{Asked, files_of, tables};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::frame::LazyFrame;
use crate::memory::ByteSize;
use crate::source::CancelToken;
use crate::sql::{Session, notes};
use crate::write::{FileFormat, WriteOptions, refuse_inputs, without_compression};
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Files that read files nest so deep.
const MOST_READS: usize = 16;

/// A session.
pub(super) struct State {
    pub(super) session: Session,
    pub(super) flags: Arc<Flags>,
    /// What names stand for.
    pub(super) meanings: Meanings,
    /// Files that statements have read.
    read: BTreeSet<PathBuf>,
    /// The table that questions are about.
    pub(super) current: Option<String>,
    output: Output,
    /// The name of the file in place of the screen.
    file_name: Option<String>,
    /// The file for the next answer.
    once: Option<String>,
    plot: Plot,
    pub(super) run: Run,
    timer: bool,
    over: bool,
    reads: usize,
    pub(super) interactive: bool,
    interrupts: Arc<Interrupts>,
    /// Cancels what is being done.
    pub(super) token: CancelToken,
}

impl State {
    /// A session with the tables of the flags.
    pub(super) fn new(
        flags: Flags,
        interactive: bool,
        interrupts: Arc<Interrupts>,
        token: CancelToken,
    ) -> Result<Self> {
        let lone =
            flags.run.rejects.as_ref().map(|_| "--rejects").or(flags.run.timeline.as_ref().map(|_| "--timeline"));
        if let Some(flag) = lone {
            let message = format!("{flag} tells of one run, and the shell makes many");
            return Err(Error::new(ErrorKind::Syntax, message).hint("`outcrop ask` and `outcrop sql` take it"));
        }
        let flags = Arc::new(flags);
        let of_files = Arc::clone(&flags);
        let tables = tables(&flags.tables, &flags.reading, move |words, rules| {
            open_with(words, &of_files.reading, &of_files.run, rules)
        })?;
        let output = Output { output: None, ..flags.output.clone() };
        let mut state = State {
            session: Session::with_tables(tables),
            meanings: Meanings::default(),
            read: BTreeSet::new(),
            current: None,
            output,
            file_name: None,
            once: None,
            plot: Plot::default(),
            run: flags.run.clone(),
            timer: false,
            over: false,
            reads: 0,
            interactive,
            interrupts,
            token,
            flags: Arc::clone(&flags),
        };
        if let Some(name) = &flags.output.output {
            state.redirect(Some(name))?;
        }
        for table in &flags.tables.table {
            let opened = Opened::new(table.name.clone(), vec![table.files.clone()], Some(table.clone()));
            if let Some(frame) = named(&state.session, &table.name) {
                state.meanings.opened(opened, frame);
            }
        }
        if !flags.files.is_empty() {
            match state.open(table_name(&flags.files), flags.files.clone(), None) {
                // The session goes on without it.
                Err(error) if error.kind() == ErrorKind::Cancelled => {}
                opened => opened?,
            }
        } else if let [only] = flags.tables.table.as_slice() {
            state.current = Some(only.name.clone());
        }
        Ok(state)
    }

    /// Whether the session has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Does the entries, in order; those between two commands share a pass.
    pub(super) fn perform(&mut self, entries: &[Entry], token: &CancelToken) -> Result<(), Stop> {
        self.token = token.clone();
        token.check()?;
        let started = Instant::now();
        begin_clock();
        self.remember_files()?;
        self.open_again()?;
        let done = self.in_order(entries);
        match (done, self.token.is_cancelled()) {
            // Whatever it ran into, nobody waits to be told.
            (Err(_), true) => Ok(self.token.check()?),
            (done, cancelled) => {
                if self.timer && !cancelled {
                    eprintln!("time: {:.3} s", started.elapsed().as_secs_f64());
                }
                done
            }
        }
    }

    /// Has files that statements name opened again, and keeps in mind which have been read.
    fn remember_files(&mut self) -> Result<()> {
        for (_, frame) in self.session.files() {
            self.read.extend(files_of(&frame)?);
        }
        self.session.forget_files();
        Ok(())
    }

    fn in_order(&mut self, entries: &[Entry]) -> Result<(), Stop> {
        let mut asked = Asked::default();
        for entry in entries {
            self.token.check()?;
            // What is copied may be read by what stands behind it.
            if asked.copies_files() && !matches!(entry, Entry::Sql(text) if is_copy(text)) {
                self.answer(std::mem::take(&mut asked))?;
                self.remember_files()?;
            }
            match entry {
                Entry::Sql(text) => {
                    let stated = asked.statements(&mut self.session, text, &self.run);
                    for (name, text) in stated.map_err(|error| self.meanings.explained(in_shell(error, text)))? {
                        self.meanings.viewed(&self.session, name, text)?;
                    }
                }
                Entry::Question(text) => {
                    let frame = self.question(text, &mut asked)?;
                    asked.add(frame, text.clone());
                }
                Entry::Command(text) => {
                    self.answer(std::mem::take(&mut asked))?;
                    self.command(text)?;
                    if self.over {
                        return Ok(());
                    }
                }
            }
        }
        self.answer(asked)
    }

    pub(super) fn answer(&mut self, asked: Asked) -> Result<(), Stop> {
        if asked.is_empty() {
            return Ok(());
        }
        let (mut output, mut plot) = (self.output.clone(), Plot::default());
        output.place.cancel = self.token.clone();
        if asked.has_answers() {
            if self.plot.is_wanted() && !asked.is_one_answer() {
                let message = "`.plot` draws one answer, beside which nothing is asked for, copied or explained";
                return Err(Error::new(ErrorKind::Syntax, message).hint("ask one question; it is drawn, still").into());
            }
            plot = std::mem::take(&mut self.plot);
            if let Some(name) = self.once.take() {
                (output.output, output.format) = (Some(name), None);
            }
        }
        if let (Some(name), None) = (&self.file_name, &output.output) {
            refuse_inputs(Path::new(name), asked.files()?)?;
        }
        let progress = progress_of(&self.run);
        self.interrupts.shows(&progress);
        let picture = plot.wanted(1)?.map(|wanted| wanted.path().display().to_string());
        let done = asked.answer(&output, &plot, &self.run, &progress, &self.token);
        let tells = self.interactive && !self.token.is_cancelled();
        if let (Ok(()), Some(name), true) = (&done, &picture, tells) {
            say(&format!("drawn into {name}"));
        }
        if let (Ok(()), Some(name), true) = (&done, &output.output, tells) {
            say(&format!("written to {name}"));
        }
        match done {
            Err(Stop::ClosedPipe) if self.token.is_cancelled() => Ok(self.token.check()?),
            done => done,
        }
    }

    /// The frame that answers a question about the current table.
    fn question(&self, text: &str, asked: &mut Asked) -> Result<LazyFrame> {
        let Some(current) = &self.current else {
            let error = Error::new(ErrorKind::Syntax, "there is no table to ask this of");
            return Err(error.hint(meant_otherwise(text).unwrap_or_else(|| {
                "`.open FILES` opens one, `.use TABLE` chooses one; SQL ends with `;` and begins with `select`"
                    .to_owned()
            })));
        };
        let frame = self.session.ask(current, text).map_err(|error| {
            let word = text.split(char::is_whitespace).next().unwrap_or(text);
            let of_word = error.kind() == ErrorKind::Syntax || error.message().contains(&format!("`{word}`"));
            match meant_otherwise(text).filter(|_| of_word) {
                Some(hint) => error.hint(hint),
                None => self.meanings.explained(error),
            }
        })?;
        if !self.run.quiet {
            notes::of_question(text).iter().for_each(|note| warn(&note.to_string(), &mut std::io::stderr()));
        }
        if text.starts_with('*') {
            asked.tell_left_out(&frame, &self.run)?;
        }
        Ok(frame)
    }

    fn command(&mut self, text: &str) -> Result<(), Stop> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (command, rest) = (commands::find(name)?, rest.trim());
        if command.name == "explain" {
            let mut asked = Asked::default();
            let frame = self.question(rest, &mut asked)?;
            asked.explain(&frame)?;
            return self.answer(asked);
        }
        let words = commands::words(rest)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (command.name, words.as_slice()) {
            ("open", [_, ..]) => self.open_words(&words)?,
            ("use", [name]) => self.current = Some(self.table(name)?),
            ("tables", []) => return self.show(self.listed()?, "tables"),
            ("schema", [] | [_]) => return self.schema(words.first().copied()),
            ("mode", []) => say(&self.mode()),
            ("mode", [name]) => self.output.format = mode(name)?,
            ("rows", []) => say(&self.rows()),
            ("rows", [number]) => self.output.place.rows = rows(number)?,
            ("once", [file]) => self.once = Some(home(file)),
            ("output", [] | [_]) => self.redirect(words.first().copied())?,
            ("plot", [kind, file]) => {
                let plot = Plot::of(kind, &home(file));
                plot.wanted(1)?;
                self.plot = plot;
            }
            ("read", [file]) => return self.read(&home(file)),
            ("timer", []) => say(if self.timer { "on" } else { "off" }),
            ("timer", ["on"]) => self.timer = true,
            ("timer", ["off"]) => self.timer = false,
            ("memory", []) => say(&self.memory()),
            ("memory", [size]) => self.run.memory = Some(ByteSize::parse(size)?),
            ("threads", []) => say(&self.threads()),
            ("threads", [number]) => {
                let threads = thread_count(number).map_err(|wrong| Error::new(ErrorKind::Syntax, wrong))?;
                self.run.threads = Some(threads);
            }
            ("settings", []) => self.settings(),
            ("help", []) => say(commands::help(None).trim_end()),
            ("help", [name]) => say(commands::help(Some(commands::find(name.trim_start_matches('.'))?)).trim_end()),
            ("quit", []) => self.over = true,
            _ => return Err(wrong_words(command).into()),
        }
        Ok(())
    }

    pub(super) fn show(&mut self, frame: LazyFrame, title: &str) -> Result<(), Stop> {
        let mut asked = Asked::default();
        asked.add(frame, title.to_owned());
        self.answer(asked)
    }

    /// Sends answers into a file as text, or back to the screen.
    fn redirect(&mut self, name: Option<&str>) -> Result<()> {
        let Some(name) = name.map(home) else {
            (self.file_name, self.output.place.file, self.output.place.format) = (None, None, None);
            return Ok(());
        };
        let (_, codec) = without_compression(&name);
        let columnar = WriteOptions::of_file_name(&name)
            .is_some_and(|options| !matches!(options.format(), FileFormat::Csv | FileFormat::Ndjson));
        let format = Format::of_file_name(&name);
        if codec.is_some() || columnar && format.is_none() {
            let message = format!("`.output` writes plain text, and {name} would be something else");
            return Err(
                Error::new(ErrorKind::Syntax, message).hint(format!("`.once {name}` writes the next answer there"))
            );
        }
        let path = PathBuf::from(&name);
        refuse_inputs(&path, self.read.iter().cloned())?;
        let files = self.session.files();
        for frame in self.session.tables().map(|(_, frame)| frame).chain(files.iter().map(|(_, frame)| frame)) {
            refuse_inputs(&path, files_of(frame)?)?;
        }
        let file = File::create(&path).map_err(|error| Error::io(&path, &error))?;
        let place = &mut self.output.place;
        (self.file_name, place.file, place.format) = (Some(name), Some(Arc::new(file)), format);
        Ok(())
    }

    fn read(&mut self, name: &str) -> Result<(), Stop> {
        if self.reads == MOST_READS {
            let message = format!("`.read {name}` is read by itself, or too deep in files that read files");
            return Err(Error::new(ErrorKind::Limit, message).into());
        }
        let text = std::fs::read_to_string(name).map_err(|error| Error::io(name, &error))?;
        self.reads += 1;
        let done = self.in_order(&entry::entries(&text, true).0);
        self.reads -= 1;
        done.map_err(|stop| match stop {
            Stop::Error(error) if error.place().file.is_none() => Stop::Error(error.in_file(name)),
            stop => stop,
        })
    }

    fn mode(&self) -> String {
        let chosen = self.output.format.and_then(|format| format.to_possible_value());
        chosen.map_or_else(|| "table on a terminal, csv elsewhere".to_owned(), |value| value.get_name().to_owned())
    }

    fn rows(&self) -> String {
        self.output.place.rows.map_or_else(|| "all".to_owned(), |rows| rows.to_string())
    }

    fn memory(&self) -> String {
        self.run.memory.map_or_else(|| "60 % of what there is, or $OUTCROP_MEMORY".to_owned(), |size| size.to_string())
    }

    fn threads(&self) -> String {
        self.run.threads.map_or_else(|| "all cores".to_owned(), |threads| threads.to_string())
    }

    fn settings(&self) {
        let none = || "the screen".to_owned();
        for (name, value) in [
            ("mode", self.mode()),
            ("rows", self.rows()),
            ("output", self.file_name.clone().unwrap_or_else(none)),
            ("timer", if self.timer { "on" } else { "off" }.to_owned()),
            ("memory", self.memory()),
            ("threads", self.threads()),
            ("use", self.current.clone().unwrap_or_else(|| "no table".to_owned())),
        ] {
            say(&format!("{name:8} {value}"));
        }
    }

    /// What can be completed.
    pub(super) fn names(&self) -> Arc<Names> {
        let columns = |frame: &LazyFrame| {
            let schema = frame.schema().ok();
            schema.map_or_else(Vec::new, |schema| schema.fields().iter().map(|field| field.name().clone()).collect())
        };
        let tables = self.session.tables().map(|(name, frame)| (name.to_owned(), columns(frame))).collect();
        let files = self.session.files().into_iter().map(|(name, frame)| (name, columns(&frame))).collect();
        Arc::new(Names { tables, files, current: self.current.clone() })
    }
}

/// The error of a statement, with what the shell has for it.
fn in_shell(error: Error, text: &str) -> Error {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word));
    match error.kind() {
        ErrorKind::Name if error.hint_text().is_some_and(|hint| hint.contains("--table")) => {
            error.hint("`.tables` lists tables and `.open NAME=FILES` opens one; a file itself stands in single quotes")
        }
        ErrorKind::Unsupported if begins("show ") => {
            error.hint("`.tables` lists tables, `.schema TABLE` the columns of one")
        }
        _ => error,
    }
}

/// Whether a statement writes a file and nothing else.
fn is_copy(text: &str) -> bool {
    text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("copy"))
}

pub(super) fn wrong_words(command: &Command) -> Error {
    let message = format!(
        "`.{}` takes {}",
        command.name,
        if command.arguments.is_empty() { "nothing" } else { command.arguments }
    );
    Error::new(ErrorKind::Syntax, message).hint(format!("{}; quotes keep blanks together", command.help))
}

/// A format that can be shown; none is the default.
fn mode(name: &str) -> Result<Option<AnswerFormat>> {
    match AnswerFormat::from_str(name, true) {
        Ok(AnswerFormat::Columnar(_)) => {
            let error = Error::new(ErrorKind::Syntax, format!("`{name}` is for files, not for the screen"));
            Err(error.hint(format!("`.once FILE.{name}` writes the next answer into one")))
        }
        Ok(format) => Ok(Some(format)),
        Err(_) => {
            let known: Vec<_> = Format::value_variants().iter().filter_map(Format::to_possible_value).collect();
            let names = || known.iter().map(|value| value.get_name());
            let error = Error::new(ErrorKind::Syntax, format!("there is no format `{name}`"));
            Err(match did_you_mean(name, names()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("formats are {}", names().collect::<Vec<_>>().join(", "))),
            })
        }
    }
}

fn rows(text: &str) -> Result<Option<usize>> {
    match text.parse() {
        Ok(rows) => Ok(Some(rows)),
        Err(_) if text.eq_ignore_ascii_case("all") => Ok(None),
        Err(_) => {
            Err(Error::new(ErrorKind::Syntax, format!("`{text}` is not a number of rows")).hint("or `.rows all`"))
        }
    }
}
