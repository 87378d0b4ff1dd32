//! Every example of the help texts and of the documentation is run, completions complete, and manual pages are whole.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

fn outcrop(arguments: &[&str]) -> Output {
    Command::cargo_bin("outcrop").unwrap().args(arguments).output().unwrap()
}

fn stdout_of(arguments: &[&str]) -> String {
    let output = outcrop(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn commands() -> Vec<String> {
    let help = stdout_of(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() >= 16, "{names:?}");
    names.into_iter().filter(|name| name != "help").collect()
}

/// The calls of `outcrop` among the lines that are indented by `indent`. A call goes on while a quote is open, or behind `\`.
fn calls(text: &str, indent: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if open {
            let last = found.last_mut().unwrap();
            last.push('\n');
            last.push_str(line);
        } else if line.strip_prefix(indent).is_some_and(|line| line.trim_start().starts_with("outcrop ")) {
            found.push(line.trim_start().to_owned());
        } else {
            continue;
        }
        open = is_open(found.last().unwrap());
    }
    found
}

/// Whether a shell would wait for more.
fn is_open(text: &str) -> bool {
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), character) if open == character => quote = None,
            _ => {}
        }
    }
    quote.is_some() || text.ends_with('\\')
}

/// A folder with files under the names that the examples use, and programs that stand in for those that a machine may lack.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    for name in ["data", "dirty", "answers", "bin", "home/.zfunc", "home/.config/fish/completions"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    fs::create_dir_all(path("home/.local/share/bash-completion/completions")).unwrap();
    let write = |year: u32, to: &str| {
        let from = format!("testdata/airline/{year}.csv.bz2");
        stdout_of(&["convert", &from, "-q", "* limit 300", "--to", path(to).to_str().unwrap()]);
    };
    write(2001, "data/2001.csv.bz2");
    write(2001, "2001.csv.bz2");
    write(2007, "data/2007.csv.bz2");
    write(2007, "2007.csv");
    write(2007, "report.csv");
    fs::create_dir_all(path("testdata")).unwrap();
    std::os::unix::fs::symlink(fs::canonicalize("testdata/airline").unwrap(), path("testdata/airline")).unwrap();
    fs::copy("testdata/airline/carriers.csv", path("carriers.csv")).unwrap();
    let planes = path("plane-data.csv").display().to_string();
    let read = ["--malformed", "pad", "--null", "None", "--null", "", "--types", "year=int64", "--quiet"];
    stdout_of(&[&["convert", "testdata/airline/plane-data.csv", "--to", &planes], &read[..]].concat());
    text("dirty/a.csv", "carrier,n\nAA,1\nBB\n");
    text("questions.txt", "count(*)\nmean(ArrDelay) by UniqueCarrier\n");
    text("report.sql", "select count(*) from 'data';\nselect max(ArrDelay) from 'data'\n");
    for name in ["python3", "Rscript", "man", "zcat", "../fit"] {
        let path = path(&format!("bin/{name}"));
        fs::write(&path, "#!/bin/sh\nprintf 'n,x\\n1,2\\n'\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn shell(call: &str, folder: &Path) -> Output {
    let program = assert_cmd::cargo::cargo_bin("outcrop");
    let path = format!("{}:{}:/usr/bin:/bin", folder.join("bin").display(), program.parent().unwrap().display());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", call]).current_dir(folder).env("PATH", path).env("HOME", folder.join("home"));
    command.env("OUTCROP_CONFIG", "").stdin(std::process::Stdio::null()).output().unwrap()
}

fn run_all(calls: &[String], of: &str) {
    let (folder, mut failed) = (scratch(), String::new());
    for call in calls {
        let output = shell(call, folder.path());
        if !output.status.success() {
            let (stderr, stdout) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
            failed.push_str(&format!("{of}: {call}\n{stderr}{stdout}\n"));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_example_of_the_help_can_be_typed() {
    let mut all = Vec::new();
    for command in commands() {
        let page = stdout_of(&["man", &command]);
        let details = page.split(".SH DETAILS\n").nth(1).unwrap_or_else(|| panic!("{command} has no details"));
        let details = details.replace("\\-", "-").replace("\\e", "\\");
        let own = calls(&details, "  ");
        let about = format!("outcrop {command} ");
        assert!(own.iter().any(|call| call.starts_with(&about)), "{command} has no example of its own:\n{details}");
        all.extend(own);
    }
    assert!(all.len() > 30, "{all:?}");
    run_all(&all, "help");
}

#[test]
fn every_example_of_the_documentation_can_be_typed() {
    let mut pages: Vec<PathBuf> = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.push("README.md".into());
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let found = calls(&text, "    ");
        // What stands for more in a synopsis cannot be typed.
        let found: Vec<String> = found.into_iter().filter(|call| !call.contains('…')).collect();
        run_all(&found, &page.display().to_string());
    }
}

#[test]
fn completions_know_commands_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout_of(&["completions", shell]);
        for word in ["describe", "validate", "spill-dir", "markdown"] {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("outcrop.bash");
    fs::write(&script, stdout_of(&["completions", "bash"])).unwrap();
    let check = format!(
        "COMP_WORDS=(outcrop des) COMP_CWORD=1; . {}; _outcrop outcrop des outcrop; echo ${{COMPREPLY[@]}}",
        script.display()
    );
    let output = std::process::Command::new("bash").args(["-c", &check]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "describe",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    stdout_of(&["man", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), commands().len() + 1);
    let page = fs::read_to_string(folder.path().join("outcrop-freq.1")).unwrap();
    assert!(page.contains(".SH SYNOPSIS") && page.contains("COLUMN"), "{page}");
    assert_eq!(page, stdout_of(&["man", "freq"]));
    let wrong = outcrop(&["man", "frek"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `freq`?"));
}

#[test]
fn settings_come_from_a_file_and_a_wrong_one_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "format = \"json\"\nthreads = 1\n").unwrap();
    let count = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = Command::cargo_bin("outcrop").unwrap();
        command.env("OUTCROP_CONFIG", &path).envs(variables.iter().copied());
        command.args(["count", "testdata/airline/carriers.csv"]).args(flags).output().unwrap()
    };
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    assert_eq!(text(count(&[], &[])), "[\n{\"count\":1491}\n]\n");
    assert_eq!(text(count(&[("OUTCROP_FORMAT", "ndjson")], &[])), "{\"count\":1491}\n");
    assert_eq!(text(count(&[("OUTCROP_FORMAT", "ndjson")], &["--format", "tsv"])), "count\n1491\n");
    fs::write(&path, "# mine\nthread = 1\n").unwrap();
    let wrong = count(&[], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        said.contains("config.toml, line 2: there is no setting `thread`\nhint: did you mean `threads`?"),
        "{said}"
    );
}
