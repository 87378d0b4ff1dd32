//! Flags of `completions` and `man`, which are made from the table of flags.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  outcrop completions bash > ~/.local/share/bash-completion/completions/outcrop
  outcrop completions zsh > ~/.zfunc/_outcrop
  outcrop completions fish > ~/.config/fish/completions/outcrop.fish";

pub(super) const MAN_HELP: &str = "\
Examples:
  outcrop man ask | man -l -
  outcrop man --dir man1";

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell completes
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command [default: the program]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}
