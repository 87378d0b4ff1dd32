//! Progress: stored bytes done of all, rows a second, time left.
//!
//! On a terminal it is a bar, one a pass, that shows only once a run has lasted a moment, so that quick answers do not
//! flicker. Elsewhere it is lines, if they are asked for.

use crate::panics::lock;
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Runs shorter than this show no bar.
const DELAY: Duration = Duration::from_millis(400);

/// Redraws a second.
const REDRAWS: u8 = 10;

/// Between lines.
const PAUSE: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{prefix}{bar:24} {percent:>3}%  {bytes}/{total_bytes}  {msg}  {eta} left";

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Off,
    /// On a terminal.
    Bar,
    /// Elsewhere.
    Lines,
}

/// Progress on stderr, fed from any thread.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    mode: Mode,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shown: bool,
    /// Nothing is shown any more.
    over: bool,
    pass: u64,
    /// When the pass began, and when the last line was written.
    pass_began: Option<Instant>,
    told: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(mode: Mode) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        // The template is a constant of ours; should it ever be wrong, a plain bar will do.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸ "));
        Progress { bar, started: Instant::now(), mode, state: Mutex::default() }
    }

    /// Takes note of how far the pass, numbered from 1, is.
    pub(crate) fn update(&self, pass: u64, bytes_done: u64, bytes_total: u64, rows: u64) {
        if self.mode == Mode::Off {
            return;
        }
        let mut state = lock(&self.state);
        if state.over {
            return;
        }
        let now = Instant::now();
        if pass != state.pass {
            (state.pass, state.pass_began) = (pass, Some(now));
            self.bar.reset_eta();
        }
        let (elapsed, done) = (now - self.started, bytes_done.min(bytes_total));
        if elapsed < DELAY {
            return;
        }
        match self.mode {
            Mode::Off => {}
            Mode::Bar => {
                if !std::mem::replace(&mut state.shown, true) {
                    self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
                }
                if pass > 1 {
                    self.bar.set_prefix(format!("pass {pass} "));
                }
                self.bar.set_length(bytes_total);
                self.bar.set_message(rows_text(rows, elapsed));
                self.bar.set_position(done);
            }
            Mode::Lines if state.told.is_none_or(|told| now - told >= PAUSE) => {
                state.told = Some(now);
                let of_pass = state.pass_began.map_or(elapsed, |began| now - began);
                let text = line(pass, done, bytes_total, &rows_text(rows, elapsed), of_pass);
                // A stderr that cannot be written to is no reason to fail.
                let _ = io::stderr().write_all(text.as_bytes());
            }
            Mode::Lines => {}
        }
    }

    /// Runs `print`, which writes to the terminal, without the bar in its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Removes the bar; the last line says that all is done, if it is.
    pub(crate) fn finish(&self, done: bool) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        self.bar.finish_and_clear();
        if self.mode == Mode::Lines && done && state.pass > 0 {
            let text = format!("progress: done, {:.1} s\n", self.started.elapsed().as_secs_f64());
            let _ = io::stderr().write_all(text.as_bytes());
        }
        state.pass = 0;
    }
}

/// One line of progress.
fn line(pass: u64, done: u64, total: u64, rows: &str, elapsed: Duration) -> String {
    let percent = if total == 0 { 100.0 } else { 100.0 * done as f64 / total as f64 };
    let left = if done == 0 { 0.0 } else { elapsed.as_secs_f64() * (total - done) as f64 / done as f64 };
    let pass = if pass > 1 { format!("pass {pass}, ") } else { String::new() };
    let (done, total) = (BinaryBytes(done), BinaryBytes(total));
    format!("progress: {pass}{percent:.0} %, {done} of {total}, {rows}, {left:.0} s left\n")
}

/// Rows, and rows a second.
fn rows_text(rows: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { rows as f64 / seconds } else { 0.0 };
    match rate {
        1e6.. => format!("{} rows, {:.1} M/s", HumanCount(rows), rate / 1e6),
        1e3.. => format!("{} rows, {:.0} k/s", HumanCount(rows), rate / 1e3),
        _ => format!("{} rows, {rate:.0}/s", HumanCount(rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_a_second_are_readable_at_every_scale() {
        let text = |rows| rows_text(rows, Duration::from_secs(2));
        assert_eq!(text(120_000_000), "120,000,000 rows, 60.0 M/s");
        assert_eq!(text(9_000), "9,000 rows, 4 k/s");
        assert_eq!(text(8), "8 rows, 4/s");
        assert_eq!(rows_text(5, Duration::ZERO), "5 rows, 0/s");
    }

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(1, 1 << 20, 4 << 20, "8 rows", second),
            "progress: 25 %, 1.00 MiB of 4.00 MiB, 8 rows, 3 s left\n"
        );
        assert_eq!(line(2, 0, 0, "8 rows", second), "progress: pass 2, 100 %, 0 B of 0 B, 8 rows, 0 s left\n");
    }

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn more_done_than_there_is_does_no_harm() {
        for mode in [Mode::Off, Mode::Lines] {
            let progress = Progress::new(mode);
            progress.update(2, 10, 5, 1);
            assert_eq!(progress.suspend(|| 7), 7);
            progress.finish(true);
        }
    }
}
