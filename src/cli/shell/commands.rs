//! The commands that begin with a dot, and their words.

use crate::error::{Error, ErrorKind, Result, did_you_mean};

/// A command of the shell.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What stands behind it.
    pub(super) arguments: &'static str,
    pub(super) help: &'static str,
    pub(super) takes: Takes,
}

/// What a command is completed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Tables,
    Files,
    Formats,
    Switch,
    Commands,
    Kinds,
    Question,
}

const fn command(name: &'static str, arguments: &'static str, takes: Takes, help: &'static str) -> Command {
    Command { name, arguments, help, takes }
}

/// All of them, as `.help` lists them.
pub(super) const COMMANDS: [Command; 17] = [
    command(
        "open",
        "[NAME=]FILES",
        Takes::Files,
        "Open files, patterns or a folder as one table; questions are about it",
    ),
    command("use", "TABLE", Takes::Tables, "Questions are about this table from now on"),
    command("tables", "", Takes::Nothing, "Tables and views"),
    command("schema", "[TABLE]", Takes::Tables, "Columns and types of a table, a view or a file"),
    command("explain", "QUESTION", Takes::Question, "How a question would be answered (of SQL: explain select …)"),
    command("mode", "[FORMAT]", Takes::Formats, "The format of answers: table, csv, json, vertical, …"),
    command("rows", "[N|all]", Takes::Nothing, "So many rows of a long answer are shown [default: 60]"),
    command("once", "FILE", Takes::Files, "The next answer goes into FILE, whose ending is its format"),
    command("output", "[FILE]", Takes::Files, "All answers go into FILE as text; without FILE, to the screen again"),
    command("plot", "KIND FILE", Takes::Kinds, "The next answer is drawn, too, into FILE.svg, .png or .html"),
    command("read", "FILE", Takes::Files, "Do what is written in FILE"),
    command("timer", "[on|off]", Takes::Switch, "Tell how long each entry took"),
    command("memory", "[SIZE]", Takes::Nothing, "The most memory to take, such as 2GiB"),
    command("threads", "[N]", Takes::Nothing, "Threads to work on"),
    command("settings", "", Takes::Nothing, "What is set to what"),
    command("help", "[COMMAND]", Takes::Commands, "This list"),
    command("quit", "", Takes::Nothing, "Leave; so does Ctrl-D"),
];

/// The command of this name, or the only one that begins so.
///
/// # Errors
/// `Syntax` where there is none, or more than one.
pub(super) fn find(name: &str) -> Result<&'static Command> {
    let lower = name.to_ascii_lowercase();
    let lower = if lower == "exit" { "quit" } else { lower.as_str() };
    if let Some(found) = COMMANDS.iter().find(|command| command.name == lower) {
        return Ok(found);
    }
    let mut beginning = COMMANDS.iter().filter(|command| !lower.is_empty() && command.name.starts_with(lower));
    match (beginning.next(), beginning.next()) {
        (Some(found), None) => Ok(found),
        (Some(first), Some(second)) => {
            let message = format!("`.{name}` may be `.{}` or `.{}`", first.name, second.name);
            Err(Error::new(ErrorKind::Syntax, message).hint("type more of it"))
        }
        _ => {
            let error = Error::new(ErrorKind::Syntax, format!("there is no command `.{name}`"));
            Err(match did_you_mean(lower, COMMANDS.iter().map(|command| command.name)) {
                Some(near) => error.hint(format!("did you mean `.{near}`?")),
                None => error.hint("`.help` lists them"),
            })
        }
    }
}

/// The list of commands, or what is said of one.
pub(super) fn help(about: Option<&'static Command>) -> String {
    let typed = |command: &Command| format!(".{} {}", command.name, command.arguments);
    let width = COMMANDS.iter().map(|command| typed(command).len()).max().unwrap_or_default();
    let line = |command: &Command| format!("  {:width$}  {}\n", typed(command), command.help);
    if let Some(command) = about {
        return line(command);
    }
    let list: String = COMMANDS.iter().map(line).collect();
    format!(
        "SQL ends with `;`:          select Origin, count(*) from 'data/*.csv.bz2' group by all;\n\
         A question with its line:   mean(ArrDelay) as delay by Origin sort delay desc limit 10\n\
         What stands on one line is answered in one pass. Ctrl-C stops it, Tab completes, Ctrl-R looks for what was typed before.\n\n\
         {list}\nFunctions and clauses: `outcrop help ask`, `outcrop help sql`.\n"
    )
}

/// The words of a text; quotes keep blanks together, and so does a backslash before them.
///
/// # Errors
/// `Syntax` for a quote that is not closed.
pub(super) fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (Some(open), letter) if open == letter => quote = None,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Error::new(ErrorKind::Syntax, "a quote is opened and not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_what_they_begin_with() {
        assert_eq!(find("MODE").unwrap().name, "mode");
        assert_eq!(find("sch").unwrap().name, "schema");
        assert_eq!(find("exit").unwrap().name, "quit");
        assert!(find("t").unwrap_err().message().contains("`.tables` or `.timer`"));
        assert_eq!(find("tabels").unwrap_err().hint_text(), Some("did you mean `.tables`?"));
        assert_eq!(find("xyz").unwrap_err().hint_text(), Some("`.help` lists them"));
        assert!(find("").is_err());
    }

    #[test]
    fn quotes_keep_blanks_together() {
        assert_eq!(words(" a 'b c' d\"e f\"g '' h\\ i").unwrap(), ["a", "b c", "de fg", "", "h i"]);
        assert!(words("a 'b").is_err());
    }

    #[test]
    fn help_is_no_wider_than_a_terminal_of_its_time() {
        assert!(help(None).lines().all(|line| line.chars().count() <= 130));
        assert!(help(find("mode").ok()).starts_with("  .mode [FORMAT] "));
    }
}
