//! Settings for all calls: from the environment and from a file.
//!
//! **Idea.** A setting is a flag that nobody typed: it is put in front of those that were, if the command has it. So it is
//! checked as a flag is, and precedence is a matter of which are left out: flag, environment, file, default.

use super::flags::Cli;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use clap::CommandFactory;
use clap::parser::ValueSource;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What names the file.
const FILE_VARIABLE: &str = "OUTCROP_CONFIG";

/// A flag that can be set.
struct Setting {
    /// Its name in the file, which is that of the flag.
    key: &'static str,
    variable: &'static str,
    /// The library reads the variable too.
    of_library: bool,
    /// True or false.
    switch: bool,
}

const fn setting(key: &'static str, variable: &'static str) -> Setting {
    Setting { key, variable, of_library: false, switch: false }
}

const SETTINGS: [Setting; 8] = [
    setting("threads", "OUTCROP_THREADS"),
    Setting { of_library: true, ..setting("scheduler", "OUTCROP_SCHEDULER") },
    Setting { of_library: true, ..setting("memory", "OUTCROP_MEMORY") },
    Setting { of_library: true, ..setting("spill-dir", "OUTCROP_TMPDIR") },
    Setting { of_library: true, ..setting("spill-limit", "OUTCROP_SPILL_LIMIT") },
    setting("format", "OUTCROP_FORMAT"),
    Setting { switch: true, ..setting("quiet", "OUTCROP_QUIET") },
    Setting { switch: true, ..setting("progress", "OUTCROP_PROGRESS") },
];

impl Setting {
    /// The flag for a value; `None` where that is the default.
    fn flag(&self, value: &str) -> std::result::Result<Option<String>, String> {
        if !self.switch {
            return Ok(Some(format!("--{}={value}", self.key)));
        }
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Some(format!("--{}", self.key))),
            "false" | "0" | "no" | "off" if self.key == "progress" => Ok(Some("--no-progress".to_owned())),
            "false" | "0" | "no" | "off" => Ok(None),
            _ => Err(format!("expected true or false, not `{value}`")),
        }
    }

    /// As [`Setting::flag`], and the value is one that the flag takes.
    fn checked(&self, value: &str) -> std::result::Result<Option<String>, String> {
        let flag = self.flag(value)?;
        let line = ["outcrop", "ask", "file", "-q", "question"].into_iter().chain(flag.as_deref());
        match Cli::command().try_get_matches_from(line) {
            Ok(_) => Ok(flag),
            Err(error) => {
                let text = error.to_string();
                Err(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
            }
        }
    }
}

/// The arguments of the process with those that are set elsewhere.
///
/// # Errors
/// `Syntax`, with its place, for what is wrong in the file or the environment; `Io` for a file that is named and not there.
pub(super) fn with_settings(arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    with_settings_of(arguments, &|name| std::env::var(name).ok())
}

fn with_settings_of(mut arguments: Vec<OsString>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<OsString>> {
    let program = Cli::command();
    // What is wrong with them is told when they are parsed in earnest.
    let Ok(matches) = program.clone().try_get_matches_from(&arguments) else { return Ok(arguments) };
    let Some((name, given)) = matches.subcommand() else { return Ok(arguments) };
    let Some(command) = program.find_subcommand(name) else { return Ok(arguments) };
    let known = |key: &str| command.get_arguments().find(|argument| argument.get_long() == Some(key));
    if known("threads").is_none() {
        return Ok(arguments);
    }
    let is_typed = |key: &str| {
        known(key).is_some_and(|it| given.value_source(it.get_id().as_str()) == Some(ValueSource::CommandLine))
    };
    let file = read_file(variable)?;
    let set_to = |setting: &Setting| variable(setting.variable).filter(|value| !value.is_empty());
    let shown_by_variable = !is_typed("no-progress")
        && SETTINGS.iter().filter(|setting| setting.key == "progress").any(|setting| {
            set_to(setting).is_some_and(|value| setting.flag(&value) == Ok(Some("--progress".to_owned())))
        });
    let mut added = Vec::new();
    for setting in &SETTINGS {
        let set = set_to(setting);
        let of_file = file.iter().find(|(key, _)| *key == setting.key).map(|(_, flag)| flag.clone());
        // The ending of a file says more of its format than a preference does, and a page or an explanation has its own.
        let overruled = match setting.key {
            "threads" => is_typed("workers") && name != "strata",
            "format" => known("output").is_none() || ["output", "html", "explain"].into_iter().any(is_typed),
            "progress" => is_typed("no-progress") || is_typed("quiet"),
            "quiet" => is_typed("progress") || set.is_none() && shown_by_variable,
            _ => false,
        };
        if overruled || known(setting.key).is_none() || is_typed(setting.key) {
            continue;
        }
        let flag = match set {
            Some(_) if setting.of_library => None,
            Some(value) => setting
                .checked(&value)
                .map_err(|wrong| Error::new(ErrorKind::Syntax, format!("{}: {wrong}", setting.variable)))?,
            None => of_file.flatten(),
        };
        added.extend(flag.map(OsString::from));
    }
    let place = 2.min(arguments.len());
    arguments.splice(place..place, added);
    Ok(arguments)
}

/// A path whose `~/` stands for the home of the user.
pub(super) fn home(path: &str) -> String {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

/// The flags that the file sets.
fn read_file(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<(&'static str, Option<String>)>> {
    let path = match variable(FILE_VARIABLE) {
        Some(name) if name.is_empty() => return Ok(Vec::new()),
        Some(name) => PathBuf::from(name),
        None => {
            let folder = variable("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
            let home = || Some(PathBuf::from(variable("HOME")?).join(".config"));
            match folder.or_else(home).map(|folder| folder.join("outcrop/config.toml")) {
                Some(path) if path.is_file() => path,
                _ => return Ok(Vec::new()),
            }
        }
    };
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, &error))?;
    parsed(&text, &path)
}

fn parsed(text: &str, path: &Path) -> Result<Vec<(&'static str, Option<String>)>> {
    let mut found: Vec<(&'static str, Option<String>)> = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |message: String| {
            let error = Error::new(ErrorKind::Syntax, message).in_file(&path.display().to_string());
            error.with_place(|place| place.line = Some(number))
        };
        let Some((key, value)) = line.split_once('=') else {
            return Err(
                wrong(format!("`{line}` is no setting")).hint("a setting is `key = value`, such as `threads = 4`")
            );
        };
        let key = key.trim();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let keys = SETTINGS.map(|setting| setting.key);
            let error = wrong(format!("there is no setting `{key}`"));
            return Err(match did_you_mean(key, keys) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("settings are {}", keys.join(", "))),
            });
        };
        if found.iter().any(|(known, _)| *known == setting.key) {
            return Err(wrong(format!("`{key}` is set twice")));
        }
        let value = unquoted(value.trim()).ok_or_else(|| wrong("a quote is opened and not closed".to_owned()))?;
        let flag = setting.checked(value).map_err(|message| wrong(format!("`{key}`: {message}")))?;
        found.push((setting.key, flag));
    }
    Ok(found)
}

/// The value without the quotes around it and the comment behind it.
fn unquoted(value: &str) -> Option<&str> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (inner, rest) = value[1..].split_once(quote)?;
            let rest = rest.trim_start();
            (rest.is_empty() || rest.starts_with('#')).then_some(inner)
        }
        _ => Some(value.split_once(" #").map_or(value, |(value, _)| value).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(line: &[&str], set: &[(&str, &str)], file: Option<&str>) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        let variable = |name: &str| match name {
            FILE_VARIABLE => Some(path.display().to_string()),
            name => set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        let arguments = ["outcrop"].iter().chain(line).map(OsString::from).collect();
        let found = with_settings_of(arguments, &variable)?;
        Ok(found.into_iter().skip(1).map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_file() {
        let file = Some("# mine\nthreads = 3\nmemory = \"2GiB\" # enough\nformat=json\nquiet = true\nprogress = no\n");
        let count = ["count", "a.csv"];
        let of_file = ["count", "--threads=3", "--memory=2GiB", "--format=json", "--quiet", "--no-progress", "a.csv"];
        assert_eq!(with(&count, &[], file).unwrap(), of_file);
        let set = [("OUTCROP_THREADS", "2"), ("OUTCROP_MEMORY", "1GiB"), ("OUTCROP_QUIET", "0")];
        let both = ["count", "--threads=2", "--format=json", "--no-progress", "a.csv"];
        assert_eq!(with(&count, &set, file).unwrap(), both);
        let typed = ["count", "--threads", "1", "--format", "csv", "--quiet", "a.csv"];
        assert_eq!(with(&typed, &set[..1], Some("threads = 3\nformat = json")).unwrap(), typed);
        let output = ["count", "a.csv", "--output", "n.parquet"];
        assert_eq!(with(&output, &[], Some("format = json")).unwrap(), output);
        assert_eq!(with(&["convert", "a", "--to", "b.csv"], &[], file).unwrap()[1], "--threads=3");
        assert_eq!(with(&["man", "ask"], &[], file).unwrap(), ["man", "ask"]);
        assert_eq!(with(&["cuont"], &[], file).unwrap(), ["cuont"], "told when it is parsed");
    }

    #[test]
    fn what_is_typed_is_stronger_than_another_flag_that_is_not() {
        let threads = [("OUTCROP_THREADS", "8")];
        let workers = ["count", "--workers", "2", "a.csv"];
        assert_eq!(with(&workers, &threads, Some("threads = 4")).unwrap(), workers);
        let strata = ["strata", "--workers", "2", "a.csv", "--by", "k", "--exec", "cat"];
        assert_eq!(with(&strata, &threads, None).unwrap()[1], "--threads=8", "workers are programs");
        let shown = ["count", "--progress", "a.csv"];
        assert_eq!(with(&shown, &[("OUTCROP_QUIET", "1")], Some("quiet = true")).unwrap(), shown);
        let progress = [("OUTCROP_PROGRESS", "1")];
        assert_eq!(with(&["count", "a.csv"], &progress, Some("quiet = true")).unwrap()[1..], ["--progress", "a.csv"]);
        let hidden = ["count", "--no-progress", "a.csv"];
        assert_eq!(with(&hidden, &progress, Some("quiet = true")).unwrap()[1], "--quiet");
        let wrong = [("OUTCROP_THREADS", "many"), ("OUTCROP_PROGRESS", "perhaps")];
        let overruled = ["count", "--threads", "2", "--no-progress", "a.csv"];
        assert_eq!(with(&overruled, &wrong, None).unwrap(), overruled);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (file, expected) in [
            ("\nthreds = 3", "line 2: there is no setting `threds`\nhint: did you mean `threads`?"),
            ("threads", "line 1: `threads` is no setting"),
            ("[run]", "line 1: `[run]` is no setting"),
            ("quiet = perhaps", "line 1: `quiet`: expected true or false, not `perhaps`"),
            ("memory = \"1GiB", "line 1: a quote is opened and not closed"),
            ("threads = 1\nthreads = 2", "line 2: `threads` is set twice"),
            ("format = xlsx", "line 1: `format`: invalid value 'xlsx' for '--format <FORMAT>'"),
        ] {
            let error = with(&["count", "a.csv"], &[], Some(file)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::Syntax);
        }
        let error = with(&["count", "a.csv"], &[("OUTCROP_THREADS", "many")], None).unwrap_err();
        assert!(error.message().starts_with("OUTCROP_THREADS: invalid value 'many'"), "{error}");
    }
}
