//! Flags of `shell`.

use super::{JoinedTables, Output, Reading, Run};
use clap::Args;

pub(super) const SHELL_HELP: &str = "\
What begins with select, with, values, copy, create, explain, describe or summarize is SQL and ends with `;`. Anything else is a \
question (outcrop help ask) about the table that was opened last, and ends with its line. Lines that begin with a dot are commands of \
the shell: `.help` lists them, `.open FILES` opens a table, `.quit` or Ctrl-D leaves. What stands on one line shares a pass.

In a terminal Ctrl-C stops what is running, Tab completes, Ctrl-R looks for what was typed before (kept in \
~/.local/state/outcrop/history), and `outcrop` alone begins a shell. From a pipe or a file, statements are run as their lines come (`outcrop < report.sql`), and \
the first error ends the run with its exit code.

Examples:
  outcrop shell 'data/*.csv.bz2'
  outcrop shell --table 'carriers=carriers.csv' --format csv < report.sql
  outcrop shell 2007.csv < questions.txt";

/// Flags of `shell`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shell {
    /// Files, patterns or directories to open as one table, about which questions are
    #[arg(value_name = "FILES", help_heading = None)]
    pub(crate) files: Vec<String>,
    #[command(flatten)]
    pub(crate) tables: JoinedTables,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}
