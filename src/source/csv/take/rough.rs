//! Text with exceptions: separators first, then records of any number of fields.

use super::super::record::begins_comment;
use super::super::simd::separators;
use super::super::split::count_lines;
use super::taker::{Step, Taker};
use super::{LINE_END_BYTES, Long, Overlong, Trouble};
use memchr::memchr;
use std::ops::Range;

/// The usual window of text.
const WINDOW: usize = 64 << 10;
/// The least that a window holds where a batch ends.
const LEAST_WINDOW: usize = 4 << 10;
/// So many regular records are taken at once.
const RUN_RECORDS: usize = 32;
/// Records with quotes that are further apart than this are read one by one.
const SPARSE_BYTES: usize = 512;
/// How far a [`Taker`] has come.
struct Mark {
    records: usize,
    padded_in_index: usize,
    quotes: bool,
    consumed: usize,
    lines: u64,
    aside: usize,
    padded: usize,
    repeated: usize,
    broken: Option<(usize, Trouble)>,
    overlong: Overlong,
}
impl Taker<'_, '_> {
    /// Text with exceptions: separators first, then records of any number of fields.
    pub(super) fn rough(&mut self) -> Step {
        let at = self.taken.consumed;
        if begins_comment(self.span.text, at, &self.rules.dialect) {
            return self.precise();
        }
        let mut list = std::mem::take(&mut self.index.separators);
        let step = if self.sparse_quotes { self.sparse(&mut list) } else { self.quoted(&mut list) };
        self.index.separators = list;
        step
    }

    /// A window with few quotes: every record that holds one is read byte by byte, the others know nothing of quotes.
    ///
    /// Runs of records are believed to be regular until as many line ends have been met as there are; otherwise the
    /// window is read again, and every run is looked at.
    fn sparse(&mut self, list: &mut Vec<u32>) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let Some(unquoted) = self.unquoted else { return self.precise() };
        let end = at.saturating_add(WINDOW.min(self.cap - at).max(LEAST_WINDOW)).min(text.len());
        list.clear();
        let seen = separators(self.engine, &text[at..end], at as u32, &unquoted, list);
        let mark = self.mark();
        self.line_ends = 0;
        let (step, left) = self.walk_sparse(list, at..end);
        let is_line_end = |separator: &&u32| text[**separator as usize] == self.rules.dialect.line_end().byte();
        let line_ends_left = list.get(left..).map_or(0, |left| left.iter().filter(is_line_end).count());
        if self.believing && self.line_ends + line_ends_left != seen.newlines {
            self.go_back_to(mark);
            self.believing = false;
            return Step::On;
        }
        step
    }

    /// The records of a window whose separators are listed as if there were no quotes; also tells the first separator
    /// that is left.
    fn walk_sparse(&mut self, list: &[u32], window: Range<usize>) -> (Step, usize) {
        let text = self.span.text;
        let line_end = self.rules.dialect.line_end().byte();
        let (mut first, mut alone) = (0, 0);
        while self.taken.consumed < self.cap.min(window.end) {
            let start = self.taken.consumed;
            let find = |quote| memchr(quote, &text[start..window.end]).map(|distance| start + distance);
            let next_quote = self.rules.dialect.quote().and_then(find);
            first = self.walk(list, first, next_quote.unwrap_or(window.end), false);
            if self.taken.consumed >= self.cap || next_quote.is_none() && self.taken.consumed > window.start {
                // What is left of the window is the beginning of a record.
                break;
            }
            if let Step::Stop = self.precise() {
                return (Step::Stop, first);
            }
            while let Some(&separator) =
                list.get(first).filter(|&&separator| (separator as usize) < self.taken.consumed)
            {
                self.line_ends += usize::from(text[separator as usize] == line_end);
                first += 1;
            }
            alone += 1;
            self.sparse_quotes = alone * SPARSE_BYTES <= self.taken.consumed - window.start + LEAST_WINDOW;
            if self.overlong_left() || !self.sparse_quotes {
                break;
            }
        }
        (Step::On, first)
    }

    fn mark(&self) -> Mark {
        let (index, taken) = (&self.index, &self.taken);
        Mark {
            records: index.records(),
            padded_in_index: index.padded.len(),
            quotes: index.quotes,
            consumed: taken.consumed,
            lines: taken.lines,
            aside: taken.aside.len(),
            padded: taken.padded.starts.len(),
            repeated: taken.repeated.starts.len(),
            broken: self.broken,
            overlong: match &self.long {
                Long::Pass(_, overlong) => **overlong,
                Long::Stop => Overlong::default(),
            },
        }
    }

    /// Forgets what was taken since.
    fn go_back_to(&mut self, mark: Mark) {
        self.index.truncate(mark.records);
        self.index.padded.truncate(mark.padded_in_index);
        self.index.quotes = mark.quotes;
        self.taken.consumed = mark.consumed;
        self.taken.lines = mark.lines;
        self.taken.aside.truncate(mark.aside);
        self.taken.padded.starts.truncate(mark.padded);
        self.taken.repeated.starts.truncate(mark.repeated);
        self.taken.too_long = false;
        self.broken = mark.broken;
        if let Long::Pass(_, overlong) = &mut self.long {
            **overlong = mark.overlong;
        }
    }

    /// A window with quotes: the vectors tell inside from outside.
    fn quoted(&mut self, list: &mut Vec<u32>) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let mut window = WINDOW.min(self.cap - at).max(LEAST_WINDOW);
        loop {
            let end = at.saturating_add(window).min(text.len());
            list.clear();
            let seen = separators(self.engine, &text[at..end], at as u32, &self.rules.dialect, list);
            // Where the text turns out odd, the separators before are right nevertheless.
            self.walk(list, 0, end, true);
            if seen.odd || self.taken.consumed == at && end == text.len() {
                return if self.taken.consumed < self.cap { self.precise() } else { Step::On };
            }
            if self.taken.consumed > at {
                return Step::On;
            }
            window *= 2;
        }
    }

    /// Takes records that end before `before`, whose separators are listed from `first` on; returns the first that is
    /// left.
    fn walk(&mut self, list: &[u32], mut first: usize, before: usize, quotes: bool) -> usize {
        let text = self.span.text;
        let (fields, dialect) = (self.rules.fields, &self.rules.dialect);
        let line_end = dialect.line_end().byte();
        let is_line_end = |&separator: &u32| text[separator as usize] == line_end;
        self.index.quotes |= quotes;
        // So many records are taken one by one, since they were no run.
        let mut singly = 0;
        while self.taken.consumed < self.cap {
            let start = self.taken.consumed;
            if singly == 0 {
                match self.take_run(list, first, before, quotes) {
                    Ok(records) => {
                        first += records * fields;
                        singly = usize::from(records < RUN_RECORDS);
                    }
                    Err(records) => singly = records,
                }
                continue;
            }
            singly -= 1;
            let Some(distance) = list.get(first..).and_then(|rest| rest.iter().position(is_line_end)) else { break };
            let last = first + distance;
            let stop = list[last] as usize;
            let end = stop - usize::from(stop > start && text[stop - 1] == b'\r');
            if stop >= before || end - start > self.rules.max_record_bytes || begins_comment(text, start, dialect) {
                break;
            }
            let ends_before = self.index.ends.len();
            self.index.ends.extend_from_slice(&list[first..last.min(first + fields)]);
            if last < first + fields {
                self.index.ends.push(end as u32);
            }
            let lines = if quotes { count_lines(&text[start..=stop], dialect) } else { 1 };
            let found = last + 1 - first;
            self.judge(ends_before, found, found == 1 && end == start, start..end);
            self.line_ends += 1;
            self.taken.lines += lines;
            self.taken.consumed = stop + 1;
            first = last + 1;
        }
        first
    }

    /// Takes records without exceptions, as long as one follows the other: how many. An error if so many seemed to be
    /// such, but a line end lies within.
    fn take_run(&mut self, list: &[u32], first: usize, before: usize, quotes: bool) -> Result<usize, usize> {
        let text = self.span.text;
        let (rules, run_start) = (self.rules, self.taken.consumed);
        if rules.dialect.comment().is_some() {
            return Err(1);
        }
        let line_end = rules.dialect.line_end().byte();
        // Whatever is as long as the header is looked at one by one.
        let (mut start, mut records) = (run_start, 0);
        for record in list.get(first..).unwrap_or_default().chunks_exact(rules.fields).take(RUN_RECORDS) {
            let end = record[rules.fields - 1] as usize;
            let length = end - start;
            let like_header = rules.headers.has_length(length, LINE_END_BYTES);
            let ends_run = start >= self.cap || end >= before || length > rules.max_record_bytes;
            if text[end] != line_end || like_header || ends_run {
                break;
            }
            start = end + 1;
            records += 1;
        }
        if records == 0 {
            return Ok(0);
        }
        let believed = self.believing && !quotes;
        if !believed && count_lines(&text[run_start..start], &rules.dialect) != records as u64 {
            return Err(records);
        }
        self.line_ends += records;
        let ends_before = self.index.ends.len();
        self.index.ends.extend_from_slice(&list[first..first + records * rules.fields]);
        let mut start = run_start;
        for record in self.index.ends[ends_before..].chunks_exact_mut(rules.fields) {
            let end = &mut record[rules.fields - 1];
            let next = *end as usize + 1;
            *end -= u32::from(next - 1 > start && text[next - 2] == b'\r');
            self.index.starts.push(start as u32);
            start = next;
        }
        self.taken.lines += records as u64;
        self.taken.consumed = start;
        Ok(records)
    }
}
