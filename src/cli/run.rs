//! The commands.

use super::config::with_settings;
use super::convert::convert;
use super::deliver::{answer_and_plot, begin_clock, refuse_accounts, refuse_overwriting};
use super::describe::describe;
use super::distribution::{freq, hist};
use super::flags::{Ask, Cli, Command, Explain, Input, JoinedTables, Questions, Reading, Run, SCHEDULER_VARIABLE};
use super::look::{count, head, sample, schema, tail};
use super::manual::{completions, man};
use super::meant::{Others, meant, tell_wrong_line};
use super::messages::{Stop, USAGE, conclude, warn};
use super::open::{open_any, tables};
use super::progress::{Mode, Progress};
use super::remedies::{Place, are_for};
use super::shell::shell;
use super::signals::on_signals;
use super::sql::sql;
use super::strata::strata;
use super::validate::validate;
use crate::atomic::remove_unfinished;
use crate::error::{Error, ErrorKind};
use crate::exec::{RunOptions, Scheduler, Timeline, explain_processes};
use crate::expr::refused_names;
use crate::frame::{CsvScan, LazyFrame};
use crate::memory::{Budget, Spill};
use crate::panics::is_caught;
use crate::plan::{LogicalPlan, explain};
use crate::source::CancelToken;
use crate::source::csv::{DateFormats, Encoding, FileRule};
use crate::sql::{notes, parse_question, read_questions};
use clap::Parser;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit code after Ctrl-C, as a shell gives it.
const INTERRUPTED: u8 = 130;
/// How long a run may take to stop after Ctrl-C.
const GRACE: Duration = Duration::from_millis(300);

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    quiet_caught_panics();
    // A worker process goes no further.
    crate::init();
    begin_clock();
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // Statements may come through a pipe; a person at a terminal whose output goes elsewhere is told what there is.
    if arguments.len() == 1 && has_statements() {
        arguments.push("shell".into());
    }
    let arguments = match with_settings(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(conclude(Err(error.into()), &mut io::stderr())),
    };
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            tell_wrong_line(&error, &arguments);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    let cancel = CancelToken::new();
    if !matches!(cli.command, Command::Shell(_)) {
        stop_on_interrupt(&cancel);
    }
    are_for(match cli.command {
        Command::Shell(_) => Place::Shell,
        Command::Sql(_) => Place::Statements,
        _ => Place::Flags,
    });
    let outcome = match cli.command {
        Command::Shell(command) => return ExitCode::from(shell(*command)),
        Command::Ask(command) => ask(&command, &cancel),
        Command::Sql(command) => sql(command, &cancel),
        Command::Convert(command) => convert(&command, &cancel),
        Command::Strata(command) => strata(&command, &cancel),
        Command::Schema(command) => schema(&command),
        Command::Head(command) => head(&command, &cancel),
        Command::Tail(command) => tail(&command, &cancel),
        Command::Sample(command) => sample(&command, &cancel),
        Command::Count(command) => count(&command, &cancel),
        Command::Describe(command) => describe(&command, &cancel),
        Command::Freq(command) => freq(&command, &cancel),
        Command::Hist(command) => hist(&command, &cancel),
        Command::Validate(command) => validate(&command, &cancel),
        Command::Explain(command) => explain_questions(&command),
        Command::Completions(command) => completions(&command),
        Command::Man(command) => man(&command),
    };
    match outcome {
        Err(Stop::Error(error)) if error.kind() == ErrorKind::Cancelled => ExitCode::from(INTERRUPTED),
        outcome => ExitCode::from(conclude(outcome, &mut io::stderr())),
    }
}

/// Whether somebody can type statements, or at least a byte of them comes through a pipe.
fn has_statements() -> bool {
    let stdin = io::stdin();
    // What is looked at here is kept for who reads standard input next.
    if stdin.is_terminal() {
        io::stdout().is_terminal()
    } else {
        stdin.lock().fill_buf().is_ok_and(|first| !first.is_empty())
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
    on_signals(move |_| {
        cancel.cancel();
        std::thread::sleep(GRACE);
        remove_unfinished();
        std::process::exit(i32::from(INTERRUPTED));
    });
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
    if !run.quiet {
        let notes = texts.iter().flat_map(|text| notes::of_question(text));
        notes.for_each(|note| warn(&note.to_string(), &mut io::stderr()));
    }
    let (tables, rules) = tables(input, joined, &questions)?;
    let all = open_with(&input.files, &input.reading, run, &rules);
    let all = all.map_err(|error| meant(error, &input.files, Others::Questions))?;
    if texts.iter().any(|text| text.trim_start().starts_with('*')) {
        tell_left_out(&all, run)?;
    }
    let tables = tables.at_one_time();
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
    let mode = match () {
        () if run.quiet || run.no_progress => Mode::Off,
        () if io::stderr().is_terminal() => Mode::Bar,
        () if run.progress => Mode::Lines,
        () => Mode::Off,
    };
    Arc::new(Progress::new(mode))
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
    let output = (&command.output, &command.plot);
    answer_and_plot(&command.input, &frames, &texts, output, &command.run, cancel)
}

fn explain_questions(command: &Explain) -> Result<(), Stop> {
    refuse_accounts(&command.run, "explain")?;
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
