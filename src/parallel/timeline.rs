//! Who did what when: a bar for each task, as a picture.
//!
//! **Idea.** Whoever works takes a *lane* while it does, the lowest that is free, and adds a bar when a task is done. The
//! picture is one SVG without scripts or anything from elsewhere; a browser shows what a bar is when one points at it.
//! **Invariants.** There are never more lanes than were taken at one time; bars of a lane do not overlap; bars beyond
//! [`MOST_BARS`] are counted and not drawn, so a timeline does not grow with the data.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// So many bars are kept.
const MOST_BARS: usize = 20_000;
/// Longer texts are cut.
const MOST_LABEL: usize = 200;

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarKind {
    /// A partition of the input: read, evaluated and committed.
    Partition,
    /// A group, given to a function or a program.
    Stratum,
    /// A task or a delayed call.
    Task,
    /// A task or group that failed.
    Failed,
}

impl BarKind {
    const ALL: [BarKind; 4] = [BarKind::Partition, BarKind::Stratum, BarKind::Task, BarKind::Failed];

    fn name(self) -> &'static str {
        match self {
            BarKind::Partition => "partition",
            BarKind::Stratum => "stratum",
            BarKind::Task => "task",
            BarKind::Failed => "failed",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            BarKind::Partition => "#4e79a7",
            BarKind::Stratum => "#59a14f",
            BarKind::Task => "#f28e2b",
            BarKind::Failed => "#d62728",
        }
    }
}

/// A bar; times are seconds since the timeline began.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Who did it, counted from 0.
    pub lane: usize,
    /// What it was.
    pub kind: BarKind,
    /// Which it was.
    pub label: String,
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// Takes note of who did what when. Clones share what is noted; times count from when the first was made.
///
/// ```
/// use outcrop::parallel::{Tasks, Timeline};
///
/// let timeline = Timeline::new();
/// let squares = Tasks::new().workers(2).timeline(&timeline).map(&[1, 2, 3], |n: &i32| Ok(n * n));
/// assert_eq!((squares.len(), timeline.bars().len()), (3, 3));
/// assert!(timeline.svg().starts_with("<svg "));
/// ```
#[derive(Clone, Debug)]
pub struct Timeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    bars: Vec<Bar>,
    /// Bars that are not kept.
    more: u64,
    lanes: BTreeSet<usize>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline::new()
    }
}

/// A lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    timeline: Timeline,
    number: usize,
}

impl Timeline {
    /// A timeline that begins now.
    pub fn new() -> Self {
        Timeline(Arc::new(Inner { began: Instant::now(), noted: Mutex::default() }))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lowest lane that is free.
    pub(crate) fn lane(&self) -> Lane {
        let mut noted = self.noted();
        let mut number = 0;
        while !noted.lanes.insert(number) {
            number += 1;
        }
        Lane { timeline: self.clone(), number }
    }

    /// The bars, by lane and time.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = self.noted().bars.clone();
        bars.sort_by(|a, b| (a.lane, a.start).partial_cmp(&(b.lane, b.start)).unwrap_or(std::cmp::Ordering::Equal));
        bars
    }

    /// The picture, as SVG: a lane for each worker, a bar for each task, with what it was as its title.
    pub fn svg(&self) -> String {
        let more = self.noted().more;
        draw(&self.bars(), more)
    }

    /// [`Timeline::svg`] in an HTML page.
    pub fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><title>Timeline</title></head>\n<body>\n{}\
             </body>\n</html>\n",
            self.svg()
        )
    }
}

impl Lane {
    /// Something that began at `start` has been done; what, `label` says.
    pub(crate) fn done(&self, kind: BarKind, start: Instant, label: impl FnOnce() -> String) {
        let since = |at: Instant| at.saturating_duration_since(self.timeline.0.began).as_secs_f64();
        let (start, end) = (since(start), since(Instant::now()));
        let mut noted = self.timeline.noted();
        if noted.bars.len() < MOST_BARS {
            let label = label().chars().take(MOST_LABEL).collect();
            noted.bars.push(Bar { lane: self.number, kind, label, start, end });
        } else {
            noted.more += 1;
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.timeline.noted().lanes.remove(&self.number);
    }
}

/// Where the lanes begin, and how wide and high things are, in pixels.
const LEFT: f64 = 80.0;
const WIDTH: f64 = 1000.0;
const TOP: f64 = 60.0;
const LANE: f64 = 28.0;
const BAR: f64 = 20.0;
/// A bar is no narrower than can be pointed at.
const LEAST_WIDTH: f64 = 0.5;

fn draw(bars: &[Bar], more: u64) -> String {
    let lanes = bars.iter().map(|bar| bar.lane + 1).max().unwrap_or(0);
    let end = bars.iter().map(|bar| bar.end).fold(0.0, f64::max).max(1e-6);
    let bottom = TOP + lanes as f64 * LANE;
    let x = |seconds: f64| LEFT + seconds / end * WIDTH;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        w = LEFT + WIDTH + 40.0,
        h = bottom + 60.0
    );
    legend(&mut svg, bars);
    let step = step(end);
    for tick in 0..=(end / step) as usize {
        let (at, seconds) = (x(tick as f64 * step), tick as f64 * step);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.2} {TOP}V{bottom}\" stroke=\"#dddddd\"/><text x=\"{at:.2}\" y=\"{:.2}\" \
             text-anchor=\"middle\">{} s</text>",
            bottom + 18.0,
            shown(seconds)
        );
    }
    for lane in 0..lanes {
        let middle = TOP + (lane as f64 + 0.5) * LANE + 4.0;
        let _ = writeln!(svg, "<text x=\"8\" y=\"{middle:.2}\">worker {}</text>", lane + 1);
    }
    for bar in bars {
        let _ = writeln!(
            svg,
            "<rect class=\"bar {}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{BAR}\" fill=\"{}\" \
             stroke=\"#ffffff\" stroke-width=\"0.3\"><title>{} {}: {:.3} ms, from {:.3} s</title></rect>",
            bar.kind.name(),
            x(bar.start),
            TOP + bar.lane as f64 * LANE + (LANE - BAR) / 2.0,
            ((bar.end - bar.start) / end * WIDTH).max(LEAST_WIDTH),
            bar.kind.colour(),
            bar.kind.name(),
            escaped(&bar.label),
            (bar.end - bar.start) * 1e3,
            bar.start
        );
    }
    if more > 0 {
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.2}\">{more} more are not drawn</text>", bottom + 42.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The kinds that there are: how many, and seconds in all.
fn legend(svg: &mut String, bars: &[Bar]) {
    let mut left = LEFT;
    for kind in BarKind::ALL {
        let of_kind = bars.iter().filter(|bar| bar.kind == kind);
        let (count, busy) = of_kind.fold((0, 0.0), |(count, busy), bar| (count + 1, busy + bar.end - bar.start));
        if count > 0 {
            let text = format!("{}: {count}, {busy:.3} s busy", kind.name());
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.2}\" y=\"18\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{:.2}\" y=\"28\">{text}</text>",
                kind.colour(),
                left + 18.0
            );
            left += 60.0 + 7.0 * text.len() as f64;
        }
    }
}

/// Seconds between ticks: 1, 2 or 5 times a power of ten, for five to ten ticks.
fn step(end: f64) -> f64 {
    let decade = 10_f64.powf((end / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|times| times * decade).into_iter().find(|step| end / step <= 10.0).unwrap_or(end)
}

/// Seconds of a tick, without the noise of adding up.
fn shown(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// Text in XML, which has no control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lanes_are_the_lowest_that_are_free() {
        let timeline = Timeline::new();
        let (first, second) = (timeline.lane(), timeline.lane());
        assert_eq!((first.number, second.number), (0, 1));
        drop(first);
        let third = timeline.lane();
        assert_eq!(third.number, 0);
        drop((second, third));
        let again = timeline.lane();
        assert_eq!(again.number, 0);
    }

    #[test]
    fn each_bar_is_drawn_with_its_title_and_escaped() {
        let timeline = Timeline::new();
        let (first, second) = (timeline.lane(), timeline.lane());
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        first.done(BarKind::Stratum, start, || "k = <\"a&b\">\u{1}".to_owned());
        second.done(BarKind::Failed, start, || "x".repeat(1000));
        let bars = timeline.bars();
        assert!(bars.iter().all(|bar| bar.end - bar.start >= 0.002) && bars[1].label.len() == MOST_LABEL);
        let svg = timeline.svg();
        assert_eq!(svg.matches("class=\"bar ").count(), 2);
        assert!(svg.contains("<title>stratum k = &lt;&quot;a&amp;b&quot;&gt;\u{fffd}: "), "{svg}");
        assert!(svg.contains(">worker 2<") && !svg.contains("worker 3"), "{svg}");
        assert!(timeline.html().contains(&svg));
        assert!(Timeline::new().svg().ends_with("</svg>\n"), "an empty one is a picture too");
    }

    #[test]
    fn bars_beyond_the_most_are_counted() {
        let timeline = Timeline::new();
        let lane = timeline.lane();
        for _ in 0..MOST_BARS + 7 {
            lane.done(BarKind::Task, Instant::now(), String::new);
        }
        assert_eq!(timeline.bars().len(), MOST_BARS);
        assert!(timeline.svg().contains(">7 more are not drawn<"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!([0.0123, 0.9, 1.0, 3.0, 47.0, 100.0].map(step), [0.002, 0.1, 0.1, 0.5, 5.0, 10.0]);
    }
}
