//! Lines as they are typed: editing, history, completion, colours.

use super::complete::{Names, Wanted, wanted};
use super::entry::entries;
use crate::cli::messages::warn;
use crate::error::{Error, ErrorKind, Result};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Behavior, ColorMode, CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Entries that are remembered.
const REMEMBERED: usize = 10_000;

const BOLD: &str = "\x1b[1m";
const FAINT: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// What was typed.
pub(super) enum Line {
    /// Something whole.
    Text(String),
    /// Ctrl-C: what was typed so far is thrown away.
    Abandoned,
    /// Ctrl-D.
    End,
}

/// Reads lines from the terminal.
pub(super) struct LineEditor {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

impl LineEditor {
    /// An editor that knows what was typed in earlier sessions.
    pub(super) fn new() -> Result<Self> {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let config = Config::builder()
            .behavior(Behavior::Stdio)
            .max_history_size(REMEMBERED)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .color_mode(if colours { ColorMode::Enabled } else { ColorMode::Disabled })
            .build();
        let mut editor = Editor::<Assistant, FileHistory>::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant {
            names: Arc::default(),
            files: FilenameCompleter::new(),
            earlier: HistoryHinter::new(),
            colours,
        }));
        let history = history_file();
        if let Some(path) = history.as_ref().filter(|path| path.exists())
            && let Err(error) = editor.load_history(path)
        {
            warn(&format!("{}: what was typed before cannot be read: {error}", path.display()), &mut io::stderr());
        }
        Ok(LineEditor { editor, history })
    }

    /// Completes these from now on.
    pub(super) fn know(&mut self, names: Arc<Names>) {
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.names = names;
        }
    }

    /// What is completed.
    pub(super) fn names(&self) -> Arc<Names> {
        self.editor.helper().map(|assistant| Arc::clone(&assistant.names)).unwrap_or_default()
    }

    /// Reads until an entry is whole.
    ///
    /// # Errors
    /// `Io` for a terminal that is gone.
    pub(super) fn line(&mut self) -> Result<Line> {
        let names = self.names();
        let prompt = format!("{}> ", names.current.as_deref().unwrap_or("outcrop"));
        match self.editor.readline(&prompt) {
            Ok(text) => {
                self.remember(&text);
                Ok(Line::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Abandoned),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(failed(error)),
        }
    }

    /// At once, so that nothing is lost however the session ends.
    fn remember(&mut self, text: &str) {
        let is_new = self.editor.add_history_entry(text.trim_end()).unwrap_or(false);
        let Some(path) = self.history.as_ref().filter(|_| is_new) else { return };
        let folder =
            path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder));
        let written = folder.map_err(ReadlineError::from).and_then(|()| self.editor.append_history(path));
        if let Err(error) = written {
            warn(&format!("{}: what is typed is not remembered: {error}", path.display()), &mut io::stderr());
            self.history = None;
        }
    }
}

/// `outcrop/history` among the files of state of the user.
fn history_file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    // A relative path there is to be ignored, says the XDG specification.
    let state = folder("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
    let state = state.or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("outcrop/history"))
}

fn failed(error: ReadlineError) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read from the terminal: {error}"))
}

/// Helps with what is being typed.
struct Assistant {
    names: Arc<Names>,
    files: FilenameCompleter,
    earlier: HistoryHinter,
    colours: bool,
}

impl Helper for Assistant {}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = entries(&format!("{}\n", context.input()), false).1.is_some();
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        match wanted(&self.names, &line[..at], &line[at..]) {
            Wanted::File(quote) => {
                let (start, mut files) = self.files.complete_path(line, at)?;
                if let ([only], Some(quote)) = (files.as_mut_slice(), quote)
                    && !only.replacement.ends_with('/')
                    && !line[at..].starts_with(quote)
                {
                    only.replacement.push(quote);
                }
                Ok((start, files))
            }
            Wanted::Words(start, words) => {
                let pairs = words.into_iter().map(|word| Pair { display: word.clone(), replacement: word });
                Ok((start, pairs.collect()))
            }
        }
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// What was typed before and began so. It would look typed where there are no colours.
    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<String> {
        let hint = self.colours.then(|| self.earlier.hint(line, at, context)).flatten()?;
        (!hint.contains('\n')).then_some(hint)
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(coloured(line))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(format!("{BOLD}{prompt}{PLAIN}"))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("{FAINT}{hint}{PLAIN}"))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

/// Words that stand out.
const KEYWORDS: [&str; 39] = [
    "select",
    "from",
    "where",
    "group",
    "by",
    "order",
    "having",
    "limit",
    "offset",
    "join",
    "left",
    "right",
    "full",
    "inner",
    "cross",
    "on",
    "as",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "between",
    "like",
    "case",
    "when",
    "then",
    "else",
    "end",
    "distinct",
    "with",
    "union",
    "sort",
    "asc",
    "desc",
    "qualify",
    "over",
    "partition",
];

/// The text with keywords bold, texts green and comments faint.
fn coloured(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (length, style) = match first {
            '\'' | '"' | '`' => (rest[1..].find(first).map_or(rest.len(), |at| at + 2), GREEN),
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), FAINT),
            letter if is_word(letter) => {
                let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                let known = KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(&rest[..length]));
                (length, if known { BOLD } else { "" })
            }
            other => (other.len_utf8(), ""),
        };
        let (part, behind) = rest.split_at(length);
        match style {
            "" => out.push_str(part),
            style => out.extend([style, part, PLAIN]),
        }
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_nothing_but_colours() {
        let text = "select 'é from', \"x\" -- where\nFrom fromage where 'open";
        let shown = coloured(text);
        let bare = [BOLD, FAINT, GREEN, PLAIN].iter().fold(shown.clone(), |text, code| text.replace(code, ""));
        assert_eq!(bare, text);
        assert!(
            shown.contains(&format!("{GREEN}'é from'{PLAIN}")) && shown.contains(&format!("{FAINT}-- where{PLAIN}"))
        );
        assert!(
            shown.contains(&format!("{BOLD}From{PLAIN} fromage")) && shown.ends_with(&format!("{GREEN}'open{PLAIN}"))
        );
    }
}
