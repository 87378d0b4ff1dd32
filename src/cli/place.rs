//! Where answers go that no `--output` names a file for: standard output, or, in the shell, a file in its place.

use super::render::{Format, Layout};
use crate::source::CancelToken;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// Rows of an answer that a table shows on a terminal.
const TABLE_ROWS: usize = 60;

/// Standard output, or what stands in for it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// In place of standard output.
    pub(crate) file: Option<Arc<File>>,
    /// The format that its name tells.
    pub(crate) format: Option<Format>,
    /// Rows that a table shows on a terminal.
    pub(crate) rows: Option<usize>,
    /// Nothing more is wanted once this is cancelled.
    pub(crate) cancel: CancelToken,
}

impl Default for Place {
    fn default() -> Self {
        Place { file: None, format: None, rows: Some(TABLE_ROWS), cancel: CancelToken::new() }
    }
}

impl Place {
    /// Whether people look at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_none() && io::stdout().is_terminal()
    }

    /// How a table is laid out in it that took so long.
    pub(crate) fn layout(&self, elapsed: Option<Duration>) -> Layout {
        if !self.is_terminal() {
            return Layout::default();
        }
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Layout { width, rows: self.rows, elapsed, bar: None }
    }

    /// What writes to it.
    pub(crate) fn writer(&self) -> impl Write {
        Writer { file: self.file.clone(), cancel: self.cancel.clone() }
    }
}

struct Writer {
    file: Option<Arc<File>>,
    cancel: CancelToken,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody waits for more"));
        }
        match &self.file {
            Some(file) => (&**file).write(bytes),
            None => io::stdout().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.file {
            Some(file) => (&**file).flush(),
            None => io::stdout().flush(),
        }
    }
}
