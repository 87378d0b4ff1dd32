//! What all processes that are started here have in common.

use rustix::event::Timespec;
use rustix::process::Pid;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How often is looked whether the time is up, or the run has been stopped.
pub(crate) const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// So much of the end of stderr is told.
pub(crate) const STDERR_BYTES: usize = 4 << 10;

/// Begins the error of a function that panicked.
pub(crate) const PANICKED: &str = "the function panicked: ";

/// Called between `fork` and `exec`, where only system calls are allowed: the process is to end with the thread that started
/// it, which is one of `parent`.
///
/// # Errors
/// `BrokenPipe` when the parent has been killed meanwhile; those of the system.
pub(crate) fn end_with(parent: Pid) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    match rustix::process::getppid() == Some(parent) {
        true => Ok(()),
        false => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// How a process ended that did not end well.
pub(crate) fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(9)) => "was killed (signal 9), perhaps because memory ran out".to_owned(),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
    }
}

/// What went wrong with a process, and the last that it said.
pub(crate) fn with_stderr(what: String, stderr: &str) -> String {
    let said = stderr.trim_end();
    if said.is_empty() { what } else { format!("{what}; it said:\n{said}") }
}
