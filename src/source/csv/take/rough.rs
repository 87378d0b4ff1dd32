//! Text with exceptions: separators first, then records of any number of fields.

use super::super::record::begins_comment;
use super::super::simd::{Marks, separators};
use super::super::split::count_lines;
use super::LINE_END_BYTES;
use super::taker::{Step, Taker};
use std::ops::Range;

/// The usual window of text.
const WINDOW: usize = 64 << 10;
/// The least that a window holds where a batch ends.
const LEAST_WINDOW: usize = 4 << 10;
/// So many regular records are taken at once.
const RUN_RECORDS: usize = 32;
/// Records with quotes that are further apart than this are looked at one by one.
const SPARSE_BYTES: usize = 512;

/// What is left of a window's [`Marks`].
struct Left<'a> {
    separators: &'a [u32],
    lines: &'a [u32],
    quotes: &'a [u32],
}

/// How many of the marks lie before an offset that is not far.
fn before(marks: &[u32], offset: usize) -> usize {
    marks.iter().take_while(|&&mark| (mark as usize) < offset).count()
}

impl<'a> Left<'a> {
    fn pass_to(&mut self, offset: usize) {
        for list in [&mut self.separators, &mut self.lines, &mut self.quotes] {
            *list = &list[before(list, offset)..];
        }
    }

    /// The ends of those fields of the first record that lie before its first quote, which is the first of all.
    fn before_quote(&self) -> &'a [u32] {
        let Some(&quote) = self.quotes.first() else { return &[] };
        if self.lines.first().is_some_and(|&line_end| line_end < quote) {
            return &[];
        }
        &self.separators[..before(self.separators, quote as usize)]
    }
}

impl Taker<'_, '_> {
    /// Text with exceptions: separators first, then records of any number of fields.
    pub(super) fn rough(&mut self) -> Step {
        let at = self.taken.consumed;
        if begins_comment(self.span.text, at, &self.rules.dialect) {
            return self.precise();
        }
        let mut marks = std::mem::take(&mut self.index.marks);
        let step = if self.sparse_quotes { self.sparse(&mut marks) } else { self.quoted(&mut marks.separators) };
        self.index.marks = marks;
        step
    }

    /// A window with few quotes: of every record that holds one, what stands behind it is read byte by byte; the others
    /// know nothing of quotes.
    fn sparse(&mut self, marks: &mut Marks) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let end = at.saturating_add(WINDOW.min(self.cap - at).max(LEAST_WINDOW)).min(text.len());
        marks.list(self.engine, &text[at..end], at as u32, &self.rules.dialect);
        let left = Left { separators: &marks.separators, lines: &marks.line_ends, quotes: &marks.quotes };
        self.walk_sparse(left, at..end)
    }

    /// The records of a window whose separators are listed as if there were no quotes.
    fn walk_sparse(&mut self, mut left: Left<'_>, window: Range<usize>) -> Step {
        let mut alone = 0;
        while self.taken.consumed < self.cap.min(window.end) {
            let next_quote = left.quotes.first().map(|&quote| quote as usize);
            self.walk_lines(&mut left, next_quote.unwrap_or(window.end));
            if self.taken.consumed >= self.cap || next_quote.is_none() && self.taken.consumed > window.start {
                // What is left of the window is the beginning of a record.
                break;
            }
            if let Step::Stop = self.precise_behind(left.before_quote()) {
                return Step::Stop;
            }
            left.pass_to(self.taken.consumed);
            alone += 1;
            self.sparse_quotes = alone * SPARSE_BYTES <= self.taken.consumed - window.start + LEAST_WINDOW;
            if self.overlong_left() || !self.sparse_quotes {
                break;
            }
        }
        Step::On
    }

    /// Takes records without quotes that end before `before`.
    fn walk_lines(&mut self, left: &mut Left<'_>, before: usize) {
        let text = self.span.text;
        let (fields, dialect) = (self.rules.fields, &self.rules.dialect);
        while self.taken.consumed < self.cap {
            self.take_lines(left, before);
            let start = self.taken.consumed;
            let Some(&stop) = left.lines.first().filter(|_| start < self.cap) else { break };
            let end = stop as usize - usize::from(stop as usize > start && text[stop as usize - 1] == b'\r');
            let is_long = end - start > self.rules.max_record_bytes;
            if stop as usize >= before || is_long || begins_comment(text, start, dialect) {
                break;
            }
            let near = &left.separators[..left.separators.len().min(fields)];
            let ends_near = near.last().is_some_and(|&last| last >= stop);
            let last = match ends_near {
                true => near.partition_point(|&separator| separator < stop),
                false => near.len() + self::before(&left.separators[near.len()..], stop as usize),
            };
            let ends_before = self.index.ends.len();
            self.index.ends.extend_from_slice(&left.separators[..last.min(fields)]);
            if last < fields {
                self.index.ends.push(end as u32);
            }
            self.judge(ends_before, last + 1, last == 0 && end == start, start..end);
            self.taken.lines += 1;
            self.taken.consumed = stop as usize + 1;
            left.separators = left.separators.get(last + 1..).unwrap_or_default();
            left.lines = &left.lines[1..];
        }
    }

    /// Takes records without exceptions, as long as one follows the other: those whose last separator is the first line
    /// end behind their start.
    fn take_lines(&mut self, left: &mut Left<'_>, before: usize) {
        let (text, rules) = (self.span.text, self.rules);
        if rules.dialect.comment().is_some() {
            return;
        }
        let (mut start, starts_before) = (self.taken.consumed, self.index.starts.len());
        let mut returns = false;
        for (record, &stop) in left.separators.chunks_exact(rules.fields).zip(left.lines) {
            let length = stop as usize - start;
            let ends_run = start >= self.cap || stop as usize >= before || length > rules.max_record_bytes;
            // Whatever is as long as the header is looked at one by one.
            let like_header = rules.headers.has_length(length, LINE_END_BYTES);
            if record[rules.fields - 1] != stop || ends_run || like_header {
                break;
            }
            returns |= length > 0 && text[stop as usize - 1] == b'\r';
            self.index.starts.push(start as u32);
            start = stop as usize + 1;
        }
        let records = self.index.starts.len() - starts_before;
        let (taken, separators) = left.separators.split_at(records * rules.fields);
        (left.separators, left.lines) = (separators, &left.lines[records..]);
        let ends_before = self.index.ends.len();
        self.index.ends.extend_from_slice(taken);
        if returns {
            let records = self.index.ends[ends_before..].chunks_exact_mut(rules.fields);
            for (record, &start) in records.zip(&self.index.starts[starts_before..]) {
                let end = &mut record[rules.fields - 1];
                *end -= u32::from(*end > start && text[*end as usize - 1] == b'\r');
            }
        }
        self.taken.lines += records as u64;
        self.taken.consumed = start;
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
            self.walk(list, end);
            if seen.odd || self.taken.consumed == at && end == text.len() {
                return if self.taken.consumed < self.cap { self.precise() } else { Step::On };
            }
            if self.taken.consumed > at {
                return Step::On;
            }
            window *= 2;
        }
    }

    /// Takes records that end before `before`, whose separators are listed; line ends may stand between quotes.
    fn walk(&mut self, list: &[u32], before: usize) {
        let mut first = 0;
        let text = self.span.text;
        let (fields, dialect) = (self.rules.fields, &self.rules.dialect);
        let line_end = dialect.line_end().byte();
        let is_line_end = |&separator: &u32| text[separator as usize] == line_end;
        self.index.quotes = true;
        // So many records are taken one by one, since they were no run.
        let mut singly = 0;
        while self.taken.consumed < self.cap {
            let start = self.taken.consumed;
            if singly == 0 {
                match self.take_run(list, first, before) {
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
            let lines = count_lines(&text[start..=stop], dialect);
            let found = last + 1 - first;
            self.judge(ends_before, found, found == 1 && end == start, start..end);
            self.taken.lines += lines;
            self.taken.consumed = stop + 1;
            first = last + 1;
        }
    }

    /// Takes records without exceptions, as long as one follows the other: how many. An error if so many seemed to be
    /// such, but a line end lies within.
    fn take_run(&mut self, list: &[u32], first: usize, before: usize) -> Result<usize, usize> {
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
        if count_lines(&text[run_start..start], &rules.dialect) != records as u64 {
            return Err(records);
        }
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
