//! `completions` and `man`: made from the table of flags.

use super::flags::{Cli, Completions, Man};
use super::messages::Stop;
use crate::error::{Error, ErrorKind, did_you_mean};
use clap::{Command, CommandFactory};
use std::fmt::Write as _;
use std::io::{self, Write};

pub(super) fn completions(command: &Completions) -> Result<(), Stop> {
    let mut text = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "outcrop", &mut text);
    to_stdout(&text)
}

pub(super) fn man(command: &Man) -> Result<(), Stop> {
    let mut program = Cli::command();
    program.build();
    let shown = |command: &&Command| command.get_name() != "help";
    if let Some(folder) = &command.dir {
        for command in std::iter::once(&program).chain(program.get_subcommands().filter(shown)) {
            let path = folder.join(format!("{}.1", name(command)));
            let failed = |error: io::Error| Stop::Error(Error::io(&path, &error));
            let page = page(command).map_err(failed)?;
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, page)).map_err(failed)?;
        }
        return Ok(());
    }
    let wanted = match &command.command {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| unknown(name, &program))?,
    };
    to_stdout(&page(wanted).map_err(|error| Stop::writing("stdout", &error))?)
}

fn unknown(name: &str, program: &Command) -> Error {
    let error = Error::new(ErrorKind::Syntax, format!("there is no command `{name}`"));
    match did_you_mean(name, program.get_subcommands().map(Command::get_name)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`outcrop help` lists them"),
    }
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

/// The page in roff; what stands below the flags keeps its lines where they are indented.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let (page, mut out) = (clap_mangen::Man::new(command.clone()), Vec::new());
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    if let Some(help) = command.get_after_help() {
        out.extend_from_slice(details(&help.to_string()).as_bytes());
    }
    Ok(out)
}

fn details(help: &str) -> String {
    let (mut text, mut verbatim) = (".SH DETAILS\n".to_owned(), false);
    for line in help.lines() {
        let indented = line.starts_with(' ');
        if indented != verbatim {
            text.push_str(if indented { ".nf\n" } else { ".fi\n" });
            verbatim = indented;
        }
        let escaped = line.replace('\\', "\\e").replace('-', "\\-");
        let written = match escaped.as_str() {
            "" => writeln!(text, ".PP"),
            // A line that begins so would be a command of roff.
            line if line.starts_with(['.', '\'']) => writeln!(text, "\\&{line}"),
            line if verbatim => writeln!(text, "{line}"),
            line => writeln!(text, "{line}\n.br"),
        };
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }
    text
}

fn to_stdout(text: &[u8]) -> Result<(), Stop> {
    io::stdout().write_all(text).map_err(|error| Stop::writing("stdout", &error))
}
