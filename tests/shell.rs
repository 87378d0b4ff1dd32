//! The shell as a person at a terminal has it, and as a program has it that writes into a pipe.
#![cfg(feature = "cli")]

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const YEAR: &str = "testdata/airline/2001.csv.bz2";
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// All that has appeared: as it came, and without what moves the cursor and colours.
    bytes: Vec<u8>,
    seen: String,
    /// So much of it has been looked at.
    looked: usize,
}

impl Terminal {
    fn open(arguments: &[&str], home: &Path, variables: &[(&str, &str)]) -> Self {
        // No program may inherit our end, or it would never see the terminal go.
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let open =
            || File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes())).unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("outcrop"));
        command.args(arguments).env("OUTCROP_CONFIG", "").env("TERM", "xterm").env("XDG_STATE_HOME", home);
        command.env_remove("NO_COLOR").envs(variables.iter().copied());
        command.stdin(open()).stdout(open()).stderr(open());
        // SAFETY: between fork and exec only calls that are safe there are made: setsid and an ioctl. They make the terminal the
        // one that controls the program, so that Ctrl-C becomes a signal.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let terminal = File::from(terminal);
        let (mut output, (tell, screen)) = (terminal.try_clone().unwrap(), channel());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                if tell.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keys: terminal, screen, bytes: Vec::new(), seen: String::new(), looked: 0 }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this appears; what came before it, and it.
    fn until(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(at) = self.seen[self.looked..].find(text) {
                let end = self.looked + at + text.len();
                let found = self.seen[self.looked..end].to_owned();
                self.looked = end;
                return found;
            }
            match self.screen.recv_timeout(Duration::from_millis(100)) {
                Ok(piece) => self.see(&piece),
                Err(RecvTimeoutError::Timeout) if began.elapsed() < PATIENCE => {}
                Err(_) => panic!("no {text:?} in {:?}", &self.seen[self.looked..]),
            }
        }
    }

    fn see(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // A piece may end within a letter or a sequence, and what comes next may change its end.
        self.seen = bare(&String::from_utf8_lossy(&self.bytes));
    }

    /// Waits until a line can be typed.
    fn ready(&mut self) -> String {
        self.until(READY)
    }

    /// Types a line and waits for the next; what came between.
    fn line(&mut self, text: &str) -> String {
        self.press(&format!("{text}\r"));
        self.until(ENTERED);
        self.ready()
    }

    /// Waits until the program ends; its exit code, and what was left to see.
    fn end(mut self) -> (i32, String) {
        while let Ok(piece) = self.screen.recv_timeout(PATIENCE) {
            self.see(&piece);
        }
        (self.child.wait().unwrap().code().unwrap_or(-1), self.seen[self.looked..].to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

/// A line can be typed, and one has been: what turns the pasting of brackets on and off.
const READY: &str = "\u{1b}[?2004h";
const ENTERED: &str = "\u{1b}[?2004l";

/// Text without what moves the cursor and colours it, but for these two.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let parts: Vec<&str> = text.split(READY).collect();
    if parts.len() > 1 {
        return parts.into_iter().map(bare).collect::<Vec<_>>().join(READY);
    }
    let parts: Vec<&str> = text.split(ENTERED).collect();
    if parts.len() > 1 {
        return parts.into_iter().map(bare).collect::<Vec<_>>().join(ENTERED);
    }
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            out.push(letter);
        } else if letters.next_if_eq(&'[').is_some() {
            while letters.next().is_some_and(|letter| !letter.is_ascii_alphabetic()) {}
        }
    }
    out
}

#[test]
fn a_session_in_a_terminal() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Terminal::open(&[], home.path(), &[]);
    let hello = shell.ready();
    assert!(hello.contains("SQL ends with `;`"), "{hello}");
    let opened = shell.line(&format!(".open air={YEAR}"));
    assert!(opened.contains("table air: 29 columns from testdata/airline/2001.csv.bz2"), "{opened}");
    assert!(shell.bytes.windows(4).any(|bytes| bytes == b"\x1b[1m"), "the prompt is bold");
    let asked = shell.line("count(*) as n by UniqueCarrier sort n desc limit 2");
    assert!(asked.contains("UniqueCarrier") && asked.contains("(2 rows, "), "{asked}");
    let both = shell.line("select count(*) as a from air; select max(Distance) as b from air;");
    assert!(both.contains("# select count(*) as a from air") && both.contains("6165"), "{both}");
    shell.press("select count(*) as n\r");
    shell.press("from air\r");
    let statement = shell.line("where Month = 1;");
    assert!(shell.seen.contains("late> ") || shell.seen.contains("air> "), "the prompt is the current table");
    assert!(statement.contains("(1 row, "), "{statement}");
    let view = shell.line("create temp view late as select * from air where ArrDelay > 60;");
    assert!(!view.contains("error"), "{view}");
    let tables = shell.line(".tables");
    assert!(tables.contains("late") && tables.contains("a query") && tables.contains(YEAR), "{tables}");
    let used = shell.line(".use LATE");
    assert!(!used.contains("error"), "{used}");
    let late = shell.line("count(*) as n, min(ArrDelay)");
    assert!(late.contains("61"), "{late}");
    let wrong = shell.line("mean(ArrDelya)");
    assert!(wrong.contains("error: no column `ArrDelya`") && wrong.contains("did you mean `ArrDelay`?"), "{wrong}");
    let mode = shell.line(".mode csv") + &shell.line("count(*) as n");
    assert!(mode.contains("n\r\n") && !mode.contains("(1 row"), "{mode}");
    shell.press("\u{4}");
    let (code, _) = shell.end();
    assert_eq!(code, 0);
}

#[test]
fn what_was_typed_is_remembered_for_the_user_alone() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Terminal::open(&["shell", "--quiet", YEAR], home.path(), &[]);
    shell.ready();
    shell.line("count(*) as remembered");
    shell.line("select 1 as\rtwo_lines;");
    shell.press(".quit\r");
    assert_eq!(shell.end().0, 0);
    let file = home.path().join("outcrop/history");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(fs::read_to_string(&file).unwrap().contains("count(*) as remembered"));
    let mut again = Terminal::open(&["shell", "--quiet", YEAR], home.path(), &[("NO_COLOR", "1")]);
    again.ready();
    // `.quit`, the statement, its first line, the question.
    let recalled = again.line("\u{1b}[A\u{1b}[A\u{1b}[A\u{1b}[A");
    assert!(recalled.contains("remembered\r\n") && recalled.contains("6165"), "{recalled}");
    again.press("\u{4}");
    assert_eq!(again.end().0, 0);
}

#[test]
fn tab_completes_commands_columns_and_tables() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Terminal::open(&["shell", "--quiet", YEAR], home.path(), &[("NO_COLOR", "1")]);
    shell.ready();
    let completed = shell.line("min(ArrDe\t) as least");
    assert!(completed.contains("least\r\n") && completed.contains("(1 row, "), "{completed}");
    let schema = shell.line(".sch\t");
    assert!(schema.contains("(29 rows, "), "{schema}");
    let selected = shell.line("sel\tcount(*) as n from t20\t;");
    assert!(selected.contains("6165"), "{selected}");
    let file = shell.line("select count(*) as n from 'testdata/airline/carr\t;");
    assert!(file.contains("1491"), "{file}");
    let screen = String::from_utf8_lossy(&shell.bytes).into_owned();
    assert!(!screen.contains("\u{1b}[1m") && !screen.contains("\u{1b}[32m"), "no colours: {screen:?}");
    shell.press("\u{4}");
    assert_eq!(shell.end().0, 0);
}

#[test]
fn a_terminal_that_goes_away_ends_the_session() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Terminal::open(&["shell", "--quiet"], home.path(), &[]);
    shell.ready();
    let signal = rustix::process::Pid::from_child(&shell.child);
    rustix::process::kill_process(signal, rustix::process::Signal::HUP).unwrap();
    assert_eq!(shell.end().0, 130);
}

#[test]
fn ctrl_c_stops_what_runs_and_keeps_the_session() {
    let (home, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = data.path().join("long.csv");
    let mut text = String::from("a,b\n");
    (0..200_000).for_each(|row| text.push_str(&format!("{row},{}\n", row % 7)));
    fs::write(&path, text).unwrap();
    let mut shell = Terminal::open(&["shell", "--quiet", "--threads", "1", path.to_str().unwrap()], home.path(), &[]);
    shell.ready();
    // Forty billion pairs.
    shell.press("select count(*) as n, sum(x.a * y.a) as s from long x cross join long y;\r");
    shell.until(ENTERED);
    std::thread::sleep(Duration::from_millis(700));
    let began = Instant::now();
    shell.press("\u{3}");
    shell.until("interrupted");
    shell.ready();
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    let after = shell.line("count(*) as n");
    assert!(after.contains("200000"), "{after}");
    // At the prompt it throws away what was typed.
    shell.press("select nonsense\u{3}");
    shell.until(ENTERED);
    shell.ready();
    let after = shell.line("min(b) as lowest");
    assert!(!after.contains("error"), "{after}");
    shell.press("\u{4}");
    assert_eq!(shell.end().0, 0);
}

#[test]
fn a_picture_is_told_of_where_somebody_looks() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("p.svg");
    let mut shell = Terminal::open(&["shell", "--quiet", YEAR], home.path(), &[]);
    shell.ready();
    shell.line(&format!(".plot bar {}", path.display()));
    let told = shell.line("count(*) as n by Month");
    assert!(told.contains(&format!("drawn into {}", path.display())) && path.exists(), "{told}");
    let told = shell.line("count(*) as n by Month");
    assert!(!told.contains("drawn"), "{told}");
    shell.press("\u{4}");
    assert_eq!(shell.end().0, 0);
}

/// What comes of text in a pipe to the shell.
fn piped(arguments: &[&str], text: &str) -> (Option<i32>, String, String) {
    piped_to(&[&["shell"], arguments].concat(), text)
}

/// What comes of text in a pipe to the program.
fn piped_to(arguments: &[&str], text: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("outcrop"));
    command.args(arguments).env("OUTCROP_CONFIG", "");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A shell that has ended reads no more.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_script_in_a_pipe_is_run_and_its_first_error_ends_it() {
    let script = "-- what there is\nselect count(*) as n\nfrom t2001;\ncount(*) as january where Month = 1\n.mode json\nselect 1 as a";
    let (code, answers, said) = piped(&[YEAR], script);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(answers.starts_with("n\n6165\njanuary\n") && answers.ends_with("[\n{\"a\":1}\n]\n"), "{answers}");
    let (code, answers, said) = piped(&[YEAR], "count(*) as n\nselect nonsense from t2001;\ncount(*) as never\n");
    assert_eq!((code, answers.as_str()), (Some(2), "n\n6165\n"));
    assert!(said.contains("no column `nonsense`"), "{said}");
    let (code, _, said) = piped(&[], "count(*)\n");
    assert!(code == Some(2) && said.contains("`.open FILES` opens one"), "{said}");
    for (statement, told) in [
        ("select * from nosuch", "`.open NAME=FILES` opens one"),
        ("show tables", "`.tables` lists tables"),
        ("drop table t2001", "there are select, with"),
    ] {
        let (code, _, said) = piped(&[YEAR], &format!("{statement};\n"));
        assert!(code == Some(2) && said.contains(told) && !said.contains("--table"), "{statement}: {said}");
    }
    let (code, _, said) = piped(&["nosuch.csv"], "");
    assert!(code == Some(1) && said.contains("nosuch.csv"), "{said}");
    let (code, _, said) = piped(&[], ".nonsense\n");
    assert!(code == Some(2) && said.contains("there is no command `.nonsense`"), "{said}");
}

#[test]
fn statements_in_a_pipe_need_no_command() {
    let (code, answers, said) = piped_to(&[], "select 1 as a;\nselect 2 as b");
    assert_eq!((code, answers.as_str(), said.as_str()), (Some(0), "a\n1\nb\n2\n", ""));
    let (code, answers, said) = piped_to(&[], "");
    assert!(code == Some(2) && answers.is_empty() && said.contains("Usage: outcrop"), "{said}");
    assert_eq!(piped_to(&[], "-- nothing"), (Some(0), String::new(), String::new()));
    let (code, answers, said) = piped_to(&[], "select nonsense;\nselect 1;");
    assert!(code == Some(2) && answers.is_empty() && said.contains("no column `nonsense`"), "{said}");
}

#[test]
fn remedies_are_worded_for_where_the_user_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv").display().to_string();
    fs::write(&path, "x,y\n1,2\nmany,3\n").unwrap();
    let sql = format!("select sum(x) from read_csv('{path}', types => {{'x': 'bigint'}})");
    let (code, _, said) = piped(&[], &format!("{sql};"));
    assert!(code == Some(1) && said.contains("types => {'x': 'utf8'}") && !said.contains("--"), "{said}");
    let (code, _, said) = piped_to(&["sql", &sql], "");
    assert!(code == Some(1) && said.contains("--types x=utf8"), "{said}");
    assert!(said.contains("of read_csv('FILE', …) the option is null => 'many' or types => {'x': 'utf8'}"), "{said}");
    let (code, _, said) = piped_to(&["ask", &path, "--types", "x=int64", "-q", "sum(x)"], "");
    assert!(code == Some(1) && said.contains("--types x=utf8") && !said.contains("read_csv"), "{said}");
    let (_, _, said) = piped(&[], ".memory 1KiB\nselect 1;");
    assert!(said.contains("(.memory, OUTCROP_MEMORY)"), "{said}");
    let (_, _, said) = piped(&[], ".plot pie a.svg");
    assert!(said.contains("kinds are bar, line, scatter and heatmap: .plot bar picture.svg"), "{said}");
}

#[test]
fn answers_go_where_they_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        ".once {}\nselect 1 as a;\n.output {}\nselect 2 as b;\nselect 3 as c;\n.output\nselect 4 as d;\n.plot bar {}\n\
         count(*) as count by Month\n.read {}\n",
        at("a.parquet"),
        at("all.csv"),
        at("p.png"),
        at("more.sql")
    );
    fs::write(at("more.sql"), "select 5 as e;\n.mode tsv\ncount(*) as n").unwrap();
    let (code, answers, said) = piped(&[YEAR], &script);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(answers.starts_with("d\n4\nMonth,count\n") && answers.ends_with("e\n5\nn\n6165\n"), "{answers}");
    assert_eq!(fs::read_to_string(at("all.csv")).unwrap(), "b\n2\nc\n3\n");
    assert!(fs::read(at("p.png")).unwrap().starts_with(b"\x89PNG"));
    let (_, answers, _) = piped(&[], &format!("select * from '{}';", at("a.parquet")));
    assert_eq!(answers, "a\n1\n");
    let (code, _, said) = piped(&[], &format!(".output {}", at("b.parquet")));
    assert!(code == Some(2) && said.contains(".once"), "{said}");
    let (code, _, said) = piped(&[], &format!(".read {}", at("loop.sql")));
    assert!(code == Some(1) && said.contains("loop.sql"), "{said}");
    fs::write(at("loop.sql"), format!(".read {}", at("loop.sql"))).unwrap();
    let (code, _, said) = piped(&[], &format!(".read {}", at("loop.sql")));
    assert!(code == Some(1) && said.contains("too deep"), "{said}");
}

#[test]
fn statements_see_files_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a.csv"), "x\n1\n").unwrap();
    // Written by one statement, and read by the next of the same line; read again once it has other columns.
    let script = format!(
        "copy (select 7 as y) to '{b}'; select * from '{b}';\ncopy (select 8 as z, 9 as w) to '{b}';\nselect * from '{b}';\n\
         copy (select 'grown' as x, 1 as more) to '{a}';\n* \n",
        a = at("a.csv"),
        b = at("b.csv")
    );
    let (code, answers, said) = piped(&[&at("a.csv")], &script);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(answers, "y\n7\nz,w\n8,9\nx,more\ngrown,1\n");
}

#[test]
fn settings_hold_for_what_follows() {
    let script = ".memory 64MiB\n.threads 1\n.timer on\n.memory\n.threads\n.mode vertical\n.settings\n";
    let (code, answers, said) = piped(&[], script);
    assert_eq!(code, Some(0));
    assert!(answers.contains("64 MiB\n1\n") && answers.contains("mode     vertical"), "{answers}");
    assert!(said.starts_with("time: 0.0"), "{said}");
    for (wrong, told) in [
        (".threads 0", "there must be one at least"),
        (".memory much", "no number of bytes"),
        (".mode tabel", "did you mean `table`?"),
        (".mode parquet", ".once FILE.parquet"),
        (".use", "`.use` takes TABLE"),
    ] {
        let (code, _, said) = piped(&[], wrong);
        assert!(code == Some(2) && said.contains(told), "{wrong}: {said}");
    }
    let (code, _, said) = piped(&["--rejects", "r.csv"], "");
    assert!(code == Some(2) && said.contains("--rejects tells of one run"), "{said}");
}

#[test]
fn names_mean_what_they_meant_when_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        "copy (select 1 as x) to '{y}'; copy (select 2 as z) to '{w}';\n.open y={y}\n.open w={w}\n\
         create temp view v as select x + 1 as x1 from y; create temp view f as select z * 10 as tens from '{w}';\n\
         create or replace temp view y as select 42 as x, count(*) as n from y; create temp view u as select z from w;\n\
         copy (select 7.5 as x union all select 8.5) to '{y}'; copy (select 'none' as other, 5 as z) to '{w}';\n\
         select * from v order by 1; select * from y; select * from f; select * from u;\n\
         copy (select 3 as a) to '{w}';\nselect * from y;\nselect * from w;\nselect * from u;\n",
        y = at("y.csv"),
        w = at("w.csv"),
    );
    let (code, answers, said) = piped(&[], &script);
    let expected = ["x1\n8.5\n9.5\n", "x,n\n42,2\n", "tens\n50\n", "z\n5\n", "x,n\n42,2\n", "a\n3\n"];
    assert_eq!(answers.replace("\n\n", "\n"), expected.concat(), "{said}");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("warning: the view u is gone, as a file has changed: no column `z`"), "{said}");
    assert!(said.contains("hint: create it again") && said.contains("no table `u`"), "{said}");
}

#[test]
fn a_table_that_cannot_be_opened_again_is_told_of_and_the_others_are_opened() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a.csv"), "x\n1\n").unwrap();
    fs::write(at("b.csv"), "y\n1\n").unwrap();
    let mut shell = Terminal::open(&["shell"], home.path(), &[]);
    shell.ready();
    shell.line(&format!(".open a={}", at("a.csv")));
    shell.line(&format!(".open b={}", at("b.csv")));
    fs::remove_file(at("a.csv")).unwrap();
    fs::write(at("b.csv"), "other,y\n77,1\n").unwrap();
    let found = shell.line("max(other) as m");
    assert!(found.contains("warning: the table a cannot be opened again"), "{found}");
    assert!(found.contains("77") && !found.contains("error: "), "{found}");
    let wrong = shell.line("select * from a;");
    assert!(wrong.contains("no table `a`") && wrong.contains("hint: the table a cannot be opened again"), "{wrong}");
    assert!(!wrong.contains("warning"), "{wrong}");
    fs::write(at("a.csv"), "x,second\n1,88\n").unwrap();
    let found = shell.line("select max(second) as m from a;");
    assert!(found.contains("88") && !found.contains("error: "), "{found}");
    shell.press("\u{4}");
    assert_eq!(shell.end().0, 0);
}

#[test]
fn output_is_what_its_name_tells_and_takes_the_place_of_nothing_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (code, _, said) = piped(&["-o", &at("flag.json")], "select 1 as a;");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(at("flag.json")).unwrap(), "[\n{\"a\":1}\n]\n");
    let script = format!(
        ".output {}\nselect 2 as b;\n.output {}\nselect 3 as c;\n.mode csv\nselect 4 as d;\n.output {}\n",
        at("out.ndjson"),
        at("out.md"),
        at("no/such.csv")
    );
    let (code, answers, _) = piped(&[], &script);
    assert_eq!((code, answers.as_str()), (Some(1), ""));
    assert_eq!(fs::read_to_string(at("out.ndjson")).unwrap(), "{\"b\":2}\n");
    let text = fs::read_to_string(at("out.md")).unwrap();
    assert!(text.starts_with("| c |") && text.ends_with("d\n4\n"), "{text}");
    fs::write(at("p.csv"), "x\n1\n").unwrap();
    let p = at("p.csv");
    for script in [
        format!("select * from '{p}'; .output {p}\n"),
        format!("select * from '{p}';\nselect 1;\n.output {p}\n"),
        format!("create temp view v as select * from '{p}';\n.output {p}\n"),
    ] {
        let (code, _, said) = piped(&[], &script);
        assert!(code == Some(2) && said.contains("would overwrite what is read"), "{said}");
        assert_eq!(fs::read_to_string(&p).unwrap(), "x\n1\n");
    }
    let script = format!(".output {own}\nselect 1 as a;\nselect * from '{own}';\n", own = at("own.csv"));
    let (code, _, said) = piped(&[], &script);
    assert!(code == Some(2) && said.contains("would overwrite what is read"), "{said}");
    assert_eq!(fs::read_to_string(at("own.csv")).unwrap(), "a\n1\n");
}

#[test]
fn what_is_for_the_next_answer_waits_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        ".once {}\n.plot bar {}\n.explain count(*)\nexplain select 1;\ncount(*) as n by Month sort Month limit 2\n",
        at("z.csv"),
        at("z.svg")
    );
    let (code, answers, said) = piped(&[YEAR], &script);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(!answers.contains("Month,n"), "{answers}");
    assert!(fs::read_to_string(at("z.csv")).unwrap().starts_with("Month,n\n1,"));
    assert!(fs::read_to_string(at("z.svg")).unwrap().contains("<svg"));
    let (code, _, said) = piped(&[YEAR], &format!(".plot bar {}\ncount(*); count(*)\n", at("y.svg")));
    assert!(code == Some(2) && said.contains("`.plot` draws one answer") && !said.contains("--plot"), "{said}");
}

#[test]
fn standard_input_is_no_table_where_it_holds_the_statements() {
    for (arguments, script) in [
        (&[][..], ".open -\n"),
        (&["-"], "count(*)\n"),
        (&["--table", "t=-"], "select 1;\n"),
        (&[], "select * from '-';\nx\n1\n"),
        (&[], "select * from '/dev/stdin';\nx\n1\n"),
    ] {
        let (code, answers, said) = piped(arguments, script);
        assert_eq!((code, answers.as_str()), (Some(2), ""), "{script}: {said}");
        assert!(said.contains("standard input holds the statements") && said.contains("`outcrop ask`"), "{said}");
    }
}

#[test]
fn a_long_statement_is_read_in_time_that_its_length_tells() {
    let mut script = "select 1 as a -- one\n".to_owned() + &"--\n".repeat(80_000);
    script.push_str(";\n/* a remark\nof two lines */\n.mode json\nselect 2 as b;\n");
    let began = Instant::now();
    let (code, answers, said) = piped(&[], &script);
    assert_eq!((code, answers.as_str(), said.as_str()), (Some(0), "a\n1\n[\n{\"b\":2}\n]\n", ""));
    // Looking at all of it for every line takes minutes.
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn ctrl_c_leaves_a_table_that_does_not_come_and_never_the_session() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("slow");
    let made = rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0);
    made.unwrap();
    let script = folder.path().join("more.sql");
    fs::write(&script, format!(".open slow={}\n.settings\n", path.display())).unwrap();
    let mut shell = Terminal::open(&["shell"], home.path(), &[("TERM", "dumb")]);
    shell.until("outcrop> ");
    shell.press(&format!(".read {}\r", script.display()));
    std::thread::sleep(Duration::from_millis(500));
    shell.press("\u{3}");
    shell.until("interrupted");
    shell.until("outcrop> ");
    // At the prompt it ends nothing either.
    shell.press("\u{3}");
    shell.press("\u{3}");
    std::thread::sleep(Duration::from_millis(700));
    fs::write(&path, "x\n1\n").unwrap();
    shell.press("select 99 as after;\r");
    let seen = shell.until("(1 row, ");
    assert!(seen.contains("99") && !seen.contains("table slow") && !seen.contains("memory "), "{seen}");
    shell.press("\u{4}");
    assert_eq!(shell.end().0, 0);
}
