//! What a session knows, and how entries are done.

use super::commands::{self, Command};
use super::complete::Names;
use super::entry::{self, Entry};
use super::interrupt::Interrupts;
use super::opened::{Opened, table_name};
use super::{Flags, say};
use crate::cli::config::home;
use crate::cli::deliver::begin_clock;
use crate::cli::flags::{AnswerFormat, NamedTable, Output, Run, thread_count};
use crate::cli::look::columns_of;
use crate::cli::messages::Stop;
use crate::cli::open::open_named;
use crate::cli::plot::Plot;
use crate::cli::render::Format;
use crate::cli::run::{open_with, progress_of};
use crate::cli::sql::{Asked, tables};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::frame::LazyFrame;
use crate::memory::ByteSize;
use crate::source::CancelToken;
use crate::source::memory::MemorySource;
use crate::sql::Session;
use crate::write::{FileFormat, WriteOptions, refuse_inputs, without_compression};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use clap::ValueEnum;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Files that read files nest so deep.
const MOST_READS: usize = 16;

/// A session.
pub(super) struct State {
    session: Session,
    flags: Arc<Flags>,
    opened: Vec<Opened>,
    /// The table that questions are about.
    current: Option<String>,
    output: Output,
    /// The name of the file in place of the screen.
    file_name: Option<String>,
    /// The file for the next answer.
    once: Option<String>,
    plot: Plot,
    run: Run,
    timer: bool,
    over: bool,
    reads: usize,
    interactive: bool,
    interrupts: Arc<Interrupts>,
    /// Cancels what is being done.
    token: CancelToken,
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
            opened: Vec::new(),
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
            state.opened.push(Opened::new(table.name.clone(), vec![table.files.clone()], Some(table.clone())));
        }
        if !flags.files.is_empty() {
            state.open(table_name(&flags.files), flags.files.clone(), None)?;
        } else if let [only] = state.opened.as_slice() {
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
        self.session.forget_files();
        self.open_again()?;
        let done = self.in_order(entries);
        if self.timer {
            eprintln!("time: {:.3} s", started.elapsed().as_secs_f64());
        }
        done
    }

    fn in_order(&mut self, entries: &[Entry]) -> Result<(), Stop> {
        let mut asked = Asked::default();
        for entry in entries {
            // What is copied may be read by what stands behind it.
            if asked.copies_files() && !matches!(entry, Entry::Sql(text) if is_copy(text)) {
                self.answer(std::mem::take(&mut asked))?;
                self.session.forget_files();
            }
            match entry {
                Entry::Sql(text) => {
                    let stated = asked.statements(&mut self.session, text, &self.run);
                    stated.map_err(|error| in_shell(error, text))?;
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

    fn answer(&mut self, asked: Asked) -> Result<(), Stop> {
        if asked.is_empty() {
            return Ok(());
        }
        let (once, mut output) = (self.once.take(), self.output.clone());
        output.place.cancel = self.token.clone();
        if once.is_some() {
            (output.output, output.format) = (once, None);
        }
        let plot = std::mem::take(&mut self.plot);
        let progress = progress_of(&self.run);
        self.interrupts.shows(&progress);
        let done = asked.answer(&output, &plot, &self.run, &progress, &self.token);
        if let (Ok(()), Some(name), true) = (&done, &output.output, self.interactive) {
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
            return Err(error.hint(
                "`.open FILES` opens one, `.use TABLE` chooses one; SQL ends with `;` and begins with `select`",
            ));
        };
        let frame = self.session.ask(current, text)?;
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

    /// The table or view of this name, as it is written.
    fn table(&self, name: &str) -> Result<String> {
        let known = || self.session.tables().map(|(known, _)| known);
        if let Some(found) = known().find(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(found.to_owned());
        }
        let error = Error::new(ErrorKind::Name, format!("no table `{name}`"));
        Err(match did_you_mean(name, known()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`.tables` lists them, `.open FILES` opens one"),
        })
    }

    fn open_words(&mut self, words: &[&str]) -> Result<()> {
        if let [word] = words
            && !std::path::Path::new(word).exists()
            && word
                .split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'))
        {
            let mut table: NamedTable = word.parse().map_err(|wrong: String| Error::new(ErrorKind::Syntax, wrong))?;
            table.files = home(&table.files);
            return self.open(table.name.clone(), vec![table.files.clone()], Some(table));
        }
        let words: Vec<String> = words.iter().map(|word| home(word)).collect();
        let mut name = table_name(&words);
        let is_other = |opened: &Opened, name: &str| opened.name.eq_ignore_ascii_case(name) && opened.words != words;
        let mut number = 1;
        while self.opened.iter().any(|opened| is_other(opened, &name)) {
            number += 1;
            name = format!("{}_{number}", table_name(&words));
        }
        self.open(name, words, None)
    }

    /// Opens a table and makes it the current one.
    fn open(&mut self, name: String, words: Vec<String>, options: Option<NamedTable>) -> Result<()> {
        let opened = Opened::new(name.clone(), words, options);
        let frame = self.frame_of(&opened)?;
        let columns = frame.schema()?.fields().len();
        self.session.forget(&name);
        self.session.register(name.clone(), frame);
        self.opened.retain(|other| !other.name.eq_ignore_ascii_case(&name));
        if self.interactive && !self.run.quiet {
            let columns = if columns == 1 { "1 column".to_owned() } else { format!("{columns} columns") };
            say(&format!("table {name}: {columns} from {}", opened.words.join(", ")));
        }
        self.opened.push(opened);
        self.current = Some(name);
        Ok(())
    }

    fn frame_of(&self, opened: &Opened) -> Result<LazyFrame> {
        match &opened.options {
            Some(table) => open_named(table, &self.flags.reading.file_options),
            None => open_with(&opened.words, &self.flags.reading, &self.run, &self.flags.reading.file_options),
        }
    }

    /// Opens tables again whose files have changed, unless their names have other meanings by now.
    fn open_again(&mut self) -> Result<()> {
        let mut opened = std::mem::take(&mut self.opened);
        let again = opened
            .iter_mut()
            .filter_map(|table| table.has_changed().then(|| (table.name.clone(), self.frame_of(table))));
        let again: Vec<(String, Result<LazyFrame>)> = again.collect();
        self.opened = opened;
        for (name, frame) in again {
            self.session.register(name, frame?);
        }
        Ok(())
    }

    fn show(&mut self, frame: LazyFrame, title: &str) -> Result<(), Stop> {
        let mut asked = Asked::default();
        asked.add(frame, title.to_owned());
        self.answer(asked)
    }

    /// The tables and views.
    fn listed(&self) -> Result<LazyFrame> {
        let tables: Vec<(&str, &LazyFrame)> = self.session.tables().collect();
        let columns = tables.iter().map(|(_, frame)| Ok(frame.schema()?.fields().len() as i64));
        let columns = columns.collect::<Result<Vec<i64>>>()?;
        let from =
            |name: &str| self.opened.iter().find(|opened| opened.name == name).map(|opened| opened.words.join(", "));
        let from = tables.iter().map(|(name, _)| from(name).unwrap_or_else(|| "a query".to_owned()));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from_iter_values(tables.iter().map(|(name, _)| name))),
            Arc::new(Int64Array::from(columns)),
            Arc::new(StringViewArray::from_iter_values(from)),
        ];
        let types = [("table", DataType::Utf8View), ("columns", DataType::Int64), ("from", DataType::Utf8View)];
        let fields: Vec<Field> = types.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        Ok(LazyFrame::from_source(Arc::new(MemorySource::new(schema, vec![batch]))))
    }

    fn schema(&mut self, name: Option<&str>) -> Result<(), Stop> {
        let name = match (name, &self.current) {
            (Some(name), _) => name.to_owned(),
            (None, Some(current)) => current.clone(),
            (None, None) => return Err(wrong_words(commands::find("schema")?).into()),
        };
        let known = self.session.tables().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        if let Some((_, frame)) = known {
            return self.show(columns_of(&*frame.schema()?)?, &name);
        }
        if !name.contains(['.', '/', '*', '-']) {
            self.table(&name)?;
        }
        let mut asked = Asked::default();
        asked.statements(&mut self.session, &format!("describe '{}'", home(&name).replace('\'', "''")), &self.run)?;
        self.answer(asked)
    }

    /// Sends answers into a file as text, or back to the screen.
    fn redirect(&mut self, name: Option<&str>) -> Result<()> {
        (self.file_name, self.output.place.file) = (None, None);
        let Some(name) = name.map(home) else { return Ok(()) };
        let (_, codec) = without_compression(&name);
        let columnar = WriteOptions::of_file_name(&name)
            .is_some_and(|options| !matches!(options.format(), FileFormat::Csv | FileFormat::Ndjson));
        if codec.is_some() || columnar && Format::of_file_name(&name).is_none() {
            let message = format!("`.output` writes plain text, and {name} would be something else");
            return Err(
                Error::new(ErrorKind::Syntax, message).hint(format!("`.once {name}` writes the next answer there"))
            );
        }
        let path = PathBuf::from(&name);
        for (_, frame) in self.session.tables() {
            let files = frame.plan()?.sources().into_iter().flat_map(|source| source.files());
            refuse_inputs(&path, files.map(|file| PathBuf::from(&*file)))?;
        }
        let file = File::create(&path).map_err(|error| Error::io(&path, &error))?;
        (self.file_name, self.output.place.file) = (Some(name), Some(Arc::new(file)));
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

fn wrong_words(command: &Command) -> Error {
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
