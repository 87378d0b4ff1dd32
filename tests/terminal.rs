//! What a person at a terminal sees: tables that fit, and progress; and what others see in its place.
#![cfg(feature = "cli")]

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

const AIR: &str = "testdata/airline/*.csv.bz2";

/// What appears on a terminal of so many columns, carriage returns and all.
fn on_terminal(columns: u16, arguments: &[&str]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let open = || File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes())).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("outcrop"));
    command.args(arguments).env("OUTCROP_CONFIG", "").env("TERM", "xterm");
    let mut child = command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn().unwrap();
    drop(command);
    let (mut screen, mut piece) = (Vec::new(), [0; 4096]);
    let mut terminal = File::from(terminal);
    // Reading fails once nobody has the other end any more.
    while let Ok(length @ 1..) = terminal.read(&mut piece) {
        screen.extend_from_slice(&piece[..length]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(screen).unwrap()
}

#[test]
fn a_terminal_shows_a_bar_and_a_table_that_fits() {
    let screen = on_terminal(90, &["describe", AIR, "--exact"]);
    assert!(screen.contains('━') && screen.contains(" rows, ") && screen.contains(" left"), "{screen}");
    let table = &screen[screen.rfind("column  ").unwrap()..];
    assert!(table.lines().all(|line| line.trim_end().chars().count() <= 90), "{table}");
    assert!(table.contains("values") && table.contains("(29 columns of 128,790 rows, "), "{table}");
    let quiet = on_terminal(90, &["describe", AIR, "--exact", "--quiet"]);
    assert!(!quiet.contains('━') && quiet.starts_with("column  "), "{quiet}");
    let narrow = on_terminal(40, &["describe", AIR]);
    let table = &narrow[narrow.rfind("column  ").unwrap()..];
    assert!(table.contains("not shown") || table.lines().next().unwrap().trim_end().chars().count() <= 40, "{table}");
}

#[test]
fn a_table_says_how_many_rows_and_how_long_and_bars_fill_what_is_left() {
    let screen = on_terminal(60, &["freq", "Origin", "testdata/airline/2001.csv.bz2", "--no-progress"]);
    let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{screen}");
    assert!(lines[2].ends_with("████████"), "{screen}");
    assert!(lines.iter().any(|line| line.starts_with("…")), "a long table is shortened");
    let footer = lines.last().unwrap();
    assert!(footer.contains(" rows, 60 shown, 0.") || footer.contains(" s)"), "{footer}");
    let sound = on_terminal(60, &["validate", "testdata/airline/2001.csv.bz2", "--no-progress"]);
    assert_eq!(sound.trim_end(), "6165 records, all sound");
    assert!(!screen.contains('\u{1b}'), "no colours, no cursor: {screen:?}");
}

#[test]
fn elsewhere_progress_is_lines_and_only_if_it_is_asked_for() {
    let said = |flags: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("outcrop").unwrap();
        let output = command.args(["count", AIR]).args(flags).env("OUTCROP_CONFIG", "").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "count\n128790\n");
        String::from_utf8(output.stderr).unwrap()
    };
    let lines = said(&["--progress"]);
    assert!(lines.lines().all(|line| line.starts_with("progress: ")), "{lines}");
    assert!(lines.lines().last().unwrap().starts_with("progress: done, "), "{lines}");
    assert_eq!(said(&[]), "");
    assert_eq!(said(&["--progress", "--quiet"]), "");
    assert_eq!(said(&["--progress", "--no-progress"]), "");
}
