//! What the program says on stderr, and the exit code it leaves.

use super::remedies::in_words;
use crate::error::{Error, ErrorKind};
use std::io::{self, Write};

/// Everything went well, or the reader of our output had seen enough.
pub(crate) const SUCCESS: u8 = 0;

/// The data or the run failed.
pub(crate) const FAILURE: u8 = 1;

/// What was typed is wrong: an option or a question. (clap leaves the same code.)
pub(crate) const USAGE: u8 = 2;

/// Why a command stopped early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody reads our output any more; not an error.
    ClosedPipe,
    /// There is something wrong with the data, which has been told as the answer.
    Findings,
    /// Something went wrong.
    Error(Error),
}

impl Stop {
    /// Failing to write an answer to `target`, such as `stdout` or the path of a file.
    pub(crate) fn writing(target: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::ClosedPipe;
        }
        Stop::Error(Error::new(ErrorKind::Io, format!("cannot write the answer: {error}")).in_file(target))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// Prints why the command stopped, if that is an error, and gives the exit code.
pub(crate) fn conclude(outcome: Result<(), Stop>, stderr: &mut dyn Write) -> u8 {
    match outcome {
        Ok(()) | Err(Stop::ClosedPipe) => SUCCESS,
        Err(Stop::Findings) => FAILURE,
        Err(Stop::Error(error)) => {
            print(stderr, "error", &error.to_string());
            exit_code(&error)
        }
    }
}

/// Prints a warning; a remedy stands in it on a line `hint: …`.
pub(crate) fn warn(text: &str, stderr: &mut dyn Write) {
    print(stderr, "warning", text);
}

/// Hands on what the program of a group said, each line behind the name of the group.
pub(crate) fn relay(group: &str, text: &str, stderr: &mut dyn Write) {
    // Of a line that was written over, as progress bars do, the last state.
    let lines = text.trim_end().lines().map(|line| line.rsplit('\r').next().unwrap_or(line));
    write_escaped(stderr, &lines.map(|line| format!("[{group}] {line}\n")).collect::<String>());
}

/// [`USAGE`] for what the user typed (text that does not parse, and whatever is underlined in it), else [`FAILURE`].
fn exit_code(error: &Error) -> u8 {
    let typed = error.kind() == ErrorKind::Syntax || error.underlined().is_some();
    if typed { USAGE } else { FAILURE }
}

fn print(stderr: &mut dyn Write, label: &str, text: &str) {
    write_escaped(stderr, &format!("{label}: {}\n", in_words(text)));
}

/// One write a message, so that messages of several threads do not mix. Control characters of the data are escaped.
/// A stderr that cannot be written to is no reason to fail.
fn write_escaped(stderr: &mut dyn Write, text: &str) {
    let mut message = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            message.extend(character.escape_default());
        } else {
            message.push(character);
        }
    }
    let _ = stderr.write_all(message.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concluded(outcome: Result<(), Stop>) -> (u8, String) {
        let mut stderr = Vec::new();
        let code = conclude(outcome, &mut stderr);
        (code, String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn a_closed_pipe_is_quiet_success_but_a_full_disk_is_not() {
        let closed = Stop::writing("stdout", &io::ErrorKind::BrokenPipe.into());
        assert_eq!(concluded(Err(closed)), (SUCCESS, String::new()));
        let (code, said) = concluded(Err(Stop::writing("out.csv", &io::ErrorKind::StorageFull.into())));
        assert_eq!(code, FAILURE);
        assert!(said.starts_with("error: out.csv: cannot write the answer: "), "{said}");
    }

    #[test]
    fn what_was_typed_is_usage_and_what_was_read_is_failure() {
        let typed = Error::new(ErrorKind::Name, "no column `DepDelys`").underline("min(DepDelys)", 4..12);
        let read = Error::new(ErrorKind::Malformed, "3 fields, expected 29").in_file("a.csv").hint("look at line 7");
        let (code, said) = concluded(Err(typed.into()));
        assert_eq!((code, said.as_str()), (USAGE, "error: no column `DepDelys`\n  min(DepDelys)\n      ^^^^^^^^\n"));
        let (code, said) = concluded(Err(read.into()));
        assert_eq!((code, said.as_str()), (FAILURE, "error: a.csv: 3 fields, expected 29\nhint: look at line 7\n"));
    }

    #[test]
    fn data_in_a_message_cannot_command_the_terminal() {
        let mut stderr = Vec::new();
        warn("value \u{1b}[2J", &mut stderr);
        assert_eq!(String::from_utf8(stderr).unwrap(), "warning: value \\u{1b}[2J\n");
    }

    #[test]
    fn lines_of_a_program_stand_behind_its_group() {
        let mut stderr = Vec::new();
        relay("k = 1", "50 %\rdone\nfit\t\u{1b}[1m\n\n", &mut stderr);
        assert_eq!(String::from_utf8(stderr).unwrap(), "[k = 1] done\n[k = 1] fit\\t\\u{1b}[1m\n");
    }
}
