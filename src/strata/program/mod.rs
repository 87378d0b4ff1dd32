//! Strata given to a program of the user's, in any language.
//!
//! **Problem.** Programs crash, hang, start others and leave them behind; and whoever started them may be killed.
//! **Idea.** Each stratum gets a process of its own, the leader of a process group, which is killed as a whole when the
//! program has ended, when its time is up, or when the run ends. A [`Guard`] does the same should this process be killed.
//! **Invariants.** No process that was started here is left, however this one ends; what a program prints is on the account.

mod child;
mod guard;

use super::options::StrataOptions;
use super::output::{Outcome, Printed, reading};
use super::run::{Calls, StrataAnswer, StrataQuestion, Task, Work, answer, ends_the_run};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::RunOptions;
use crate::memory::handle_path;
use crate::parallel::process::{told, with_stderr};
use child::{Ended, Running, Stdin};
use guard::Guard;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands in a command for the path of a stratum.
pub const PATH_PLACEHOLDER: &str = "{}";
/// The environment variable that tells a program the keys of its stratum.
pub const STRATUM_VARIABLE: &str = "OUTCROP_STRATUM";
/// How a shell says that there is no such program.
const NOT_FOUND: i32 = 127;

struct Program<'a> {
    command: &'a str,
    guard: Guard,
    how: &'a StrataOptions,
    options: &'a RunOptions,
    /// It has run at least once.
    known: AtomicBool,
}

impl Work for Program<'_> {
    fn begin(&self) -> Calls<'_> {
        Box::new(|task| self.run(task))
    }
}

impl Program<'_> {
    fn run(&self, task: &Task<'_>) -> Result<Outcome> {
        let handle = task.segment.handle()?;
        let (command, stdin) = match self.command.contains(PATH_PLACEHOLDER) {
            true => {
                let path = handle_path(handle.as_raw_fd());
                (self.command.replace(PATH_PLACEHOLDER, &path), Stdin::Inherited(handle))
            }
            false => (self.command.to_owned(), Stdin::From(handle)),
        };
        let running = Running::start(&command, stdin, (STRATUM_VARIABLE, &task.label), &self.guard)?;
        let printed = self.options.budget.reservation("what a program prints");
        let Ended { status, stdout, room, stderr } = running.wait(self.how.timeout, printed, task.cancel)?;
        let failed = |what: String| Err(Error::new(ErrorKind::Task, with_stderr(what, &stderr)));
        let status = match status {
            Ok(status) => status,
            Err(stopped) => return failed(stopped),
        };
        if status.code() == Some(NOT_FOUND) && !self.known.load(Ordering::Relaxed) {
            // It would be no different for any other stratum.
            let message = with_stderr(format!("the program was not found: {}", self.command), &stderr);
            return Err(Error::new(ErrorKind::Io, message).hint("is it installed, and on the PATH?"));
        }
        if !status.success() {
            return failed(format!("the program {}", told(status)));
        }
        self.known.store(true, Ordering::Relaxed);
        let printed = Printed { bytes: stdout, room };
        let outcome = Outcome::read(printed, &reading(self.options, task.cancel)).map_err(|error| {
            if ends_the_run(&error) {
                return error;
            }
            let place = error.place().to_string();
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            let message = format!("the program printed what is no table: {place}{}", error.message());
            let told = Error::new(ErrorKind::Task, with_stderr(message, &stderr));
            told.hint(error.hint_text().unwrap_or("programs print CSV, with a line of names first, or Arrow"))
        })?;
        if let Some(callback) = self.how.on_said.as_ref().filter(|_| !stderr.trim().is_empty()) {
            callback(&task.label, &stderr);
        }
        Ok(outcome)
    }
}

/// Gives each stratum to a shell command: where `{}` stands in it, as the path of an Arrow IPC file that can be mapped, else
/// on its standard input. The command prints CSV or Arrow, with a header.
///
/// # Errors
/// As [`map`](super::map); `Io` when the program is not found.
pub fn exec(
    question: &StrataQuestion,
    command: &str,
    how: &StrataOptions,
    options: &RunOptions,
) -> Result<StrataAnswer> {
    if command.trim().is_empty() {
        return Err(Error::new(ErrorKind::Syntax, "the command for strata is empty"));
    }
    let program = Program { command, guard: Guard::start()?, how, options, known: AtomicBool::new(false) };
    answer(question, &program, how, options)
}
