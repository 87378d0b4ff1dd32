//! The interactive shell: statements and questions, one after another, about tables that stay open.
//!
//! **Problem.** Whoever explores data types, looks, and types again; must get back to the prompt at once when a query takes too long;
//! and may pipe a script into the same program.
//! **Idea.** What is typed is cut into [`entry`]s. A thread of its own, the [`worker`](work), owns the session and does them; the main
//! thread edits lines ([`editor`]), hands over, and waits. Ctrl-C cancels what is being done; work that does not stop in time is left to
//! end by itself, and what is typed next waits for it.
//! **Invariants.**
//! - What is typed on one line runs in one pass, up to a command.
//! - From a terminal errors are told and the session goes on; from elsewhere the first one ends it, with its exit code.
//! - Nothing is written to the screen for an entry that was left, and what stands behind it is not done.
//! - A view means what it would if all were typed again: it is lowered anew when a file has changed.

mod commands;
mod complete;
mod editor;
mod entry;
mod interrupt;
mod meanings;
mod meant;
mod opened;
mod state;
mod tables;
mod work;

use super::flags::Shell as Flags;
use super::messages::{Stop, conclude};
use crate::error::{Error, ErrorKind};
use crate::source::input::refuse_stdin;
use editor::{Line, LineEditor};
use entry::{Front, front};
use interrupt::Interrupts;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use work::{Done, Worker};

/// Runs the shell; gives the exit code.
pub(super) fn shell(flags: Flags) -> u8 {
    let interactive = io::stdin().is_terminal();
    let refused = Error::new(ErrorKind::Syntax, "standard input holds the statements, and is no table in the shell");
    refuse_stdin(
        refused.hint("`outcrop ask` and `outcrop sql` take `-` as a table; a file or a named pipe can be opened here"),
    );
    let interrupts = Arc::new(Interrupts::new(interactive));
    interrupts.listen();
    let begun = Worker::begin(flags, interactive, interrupts).and_then(|worker| match interactive {
        true => interact(worker),
        false => script(worker, &mut io::stdin().lock()),
    });
    begun.unwrap_or_else(|error| conclude(Err(error.into()), &mut io::stderr()))
}

/// A person types.
fn interact(mut worker: Worker) -> Result<u8, Error> {
    let mut editor = LineEditor::new()?;
    if !worker.is_quiet() {
        println!(
            "Outcrop {}: SQL ends with `;`, a question about a table with its line; `.help` tells more, Ctrl-D leaves.",
            env!("CARGO_PKG_VERSION")
        );
    }
    let mut done = worker.wait();
    loop {
        match done {
            Done { quit: true, .. } => return Ok(0),
            Done { names, .. } => editor.know(names),
        }
        let entries = match editor.line()? {
            Line::Text(text) => entry::entries(&text, true).0,
            Line::Abandoned => Vec::new(),
            Line::End => return Ok(0),
        };
        done = match entries.is_empty() {
            true => Done { names: editor.names(), ..Done::default() },
            false => worker.perform(entries),
        };
    }
}

/// Lines come from a file or another program; what a line completes is done before the next is read.
fn script(mut worker: Worker, lines: &mut dyn BufRead) -> Result<u8, Error> {
    let mut done = worker.wait();
    let (mut text, mut at_end) = (String::new(), false);
    // Of a statement that is not whole, lines without a semicolon are not looked at: there may be many.
    let mut in_statement = false;
    while !at_end && done.code.is_none() && !done.quit {
        let known = text.len();
        let read = lines.read_line(&mut text);
        let length = read.map_err(|error| Error::new(ErrorKind::Io, format!("cannot read standard input: {error}")))?;
        at_end = length == 0;
        if in_statement && !at_end && !text[known..].contains(';') {
            continue;
        }
        let (mut found, mut taken) = (Vec::new(), 0);
        in_statement = loop {
            match front(&text[taken..], at_end) {
                Front::Entry(entry, length) => {
                    found.push(entry);
                    taken += length;
                }
                Front::Unfinished { statement } => break statement,
                Front::Nothing => break false,
            }
        };
        text.drain(..taken);
        if !found.is_empty() {
            done = worker.perform(found);
        }
    }
    Ok(done.code.unwrap_or(0))
}

/// Tells what went wrong; gives the exit code that it would leave.
fn told(outcome: Result<(), Stop>) -> Option<u8> {
    match outcome {
        Ok(()) => None,
        Err(Stop::Error(error)) if error.kind() == ErrorKind::Cancelled => Some(interrupt::INTERRUPTED),
        Err(Stop::ClosedPipe) => Some(0),
        outcome => Some(conclude(outcome, &mut io::stderr())),
    }
}

/// Says something on the screen that is no answer.
fn say(text: &str) {
    // A stdout that cannot be written to is noticed when an answer is.
    let _ = writeln!(io::stdout(), "{text}");
}
