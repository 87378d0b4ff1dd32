//! The progress bar: stored bytes done of all, rows a second, time left.
//!
//! It shows on a terminal only, and only once a run has lasted a moment, so that quick answers do not flicker.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs shorter than this show no bar.
const DELAY: Duration = Duration::from_millis(400);

/// Redraws a second.
const REDRAWS: u8 = 10;

const TEMPLATE: &str = "{prefix}{bar:24} {percent:>3}%  {bytes}/{total_bytes}  {msg}  {eta} left";

/// A progress bar on stderr, fed from any thread.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    enabled: bool,
    shown: AtomicBool,
}

impl Progress {
    /// A bar that shows when `enabled`: stderr is a terminal and the user did not ask for quiet.
    pub(crate) fn new(enabled: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        // The template is a constant of ours; should it ever be wrong, a plain bar will do.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸ "));
        Progress { bar, started: Instant::now(), enabled, shown: AtomicBool::new(false) }
    }

    /// Takes note of how far the pass, numbered from 1, is.
    pub(crate) fn update(&self, pass: u64, bytes_done: u64, bytes_total: u64, rows: u64) {
        if !self.enabled {
            return;
        }
        let elapsed = self.started.elapsed();
        if elapsed < DELAY {
            return;
        }
        if !self.shown.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        }
        if pass > 1 {
            self.bar.set_prefix(format!("pass {pass} "));
        }
        self.bar.set_length(bytes_total);
        self.bar.set_message(rows_text(rows, elapsed));
        self.bar.set_position(bytes_done.min(bytes_total));
    }

    /// Runs `print`, which writes to the terminal, without the bar in its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
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
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn more_done_than_there_is_does_no_harm() {
        let progress = Progress::new(false);
        progress.update(2, 10, 5, 1);
        assert_eq!(progress.suspend(|| 7), 7);
        progress.finish();
    }
}
