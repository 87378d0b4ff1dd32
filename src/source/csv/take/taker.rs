//! Taking records one by one: what is said of each, and what is left of those that are too long.

use super::super::index::RecordIndex;
use super::super::options::MalformedPolicy;
use super::super::record::{Malformed, MalformedKind, Scanned, after_line, begins_comment, scan_record_behind};
use super::super::simd::Engine;
use super::super::split::{Limits, count_lines, split_with};
use super::header::Marked;
use super::{Aside, LINE_END_BYTES, Long, Rules, Span, Taken, Trouble};
use std::ops::Range;

/// What stopped a step.
pub(super) enum Step {
    On,
    Stop,
}

/// The work of one call of [`Rules::take`].
pub(super) struct Taker<'a, 'b> {
    pub(super) rules: &'a Rules,
    pub(super) engine: Engine,
    pub(super) span: Span<'a>,
    /// The batch is large enough at this offset.
    pub(super) cap: usize,
    /// The splitter is not tried any more: there are exceptions.
    pub(super) rough: bool,
    pub(super) index: &'b mut RecordIndex,
    pub(super) long: Long<'b>,
    pub(super) taken: Taken,
    /// Few records of this batch hold quotes.
    pub(super) sparse_quotes: bool,
    /// The last broken record: lines that end before this offset cannot close a quote that they open, for this reason.
    pub(super) broken: Option<(usize, Trouble)>,
}

impl Taker<'_, '_> {
    pub(super) fn run(&mut self) {
        while self.taken.consumed < self.cap {
            if let Step::Stop = self.step() {
                break;
            }
        }
    }

    /// Whether something is left here of a record that was too long.
    pub(super) fn overlong_left(&self) -> bool {
        match &self.long {
            Long::Pass(base, overlong) => {
                overlong.discarding || overlong.lines_until > base + self.taken.consumed as u64
            }
            Long::Stop => false,
        }
    }

    fn step(&mut self) -> Step {
        if self.overlong_left() {
            return self.remains();
        }
        if self.engine != Engine::Scalar && !self.rough {
            return self.smooth();
        }
        if self.rules.malformed == MalformedPolicy::Error || self.engine == Engine::Scalar {
            return self.precise();
        }
        self.rough()
    }

    /// Text without exceptions: the splitter takes it.
    fn smooth(&mut self) -> Step {
        let Span { text, at_end, .. } = self.span;
        let at = self.taken.consumed;
        // A record in which the limit lies is taken by the next call, alone.
        let limits = Limits { bytes: self.cap - at, records: usize::MAX };
        let (records, lines, lines_before) = (self.index.records(), self.index.newlines, self.taken.lines);
        let part =
            split_with(self.engine, text, at, &self.rules.dialect, self.rules.fields, at_end, limits, self.index);
        self.index.careful = false;
        self.taken.consumed = part.consumed;
        self.taken.lines += self.index.newlines - lines;
        if text.len() - at > self.rules.max_record_bytes
            && let Some(start) = self.drop_overlong(records)
        {
            self.taken.consumed = start;
            self.taken.lines = lines_before + count_lines(&text[at..start], &self.rules.dialect);
            self.drop_headers(records, at, lines_before);
            return self.overlong();
        }
        self.drop_headers(records, at, lines_before);
        match part.malformed {
            Some(_) => {
                self.rough = true;
                self.precise()
            }
            None if part.consumed == at => self.incomplete(),
            None => Step::On,
        }
    }

    /// Takes repeated headers out of the index again, where they are among the records from number `from` on.
    fn drop_headers(&mut self, from: usize, at: usize, lines_before: u64) {
        let text = self.span.text;
        let (index, known) = (&*self.index, &self.rules.headers);
        let ends = index.ends.chunks_exact(self.rules.fields).map(|ends| ends[ends.len() - 1]);
        let records = index.starts.iter().zip(ends).enumerate().skip(from);
        let repeats = |&(_, (&start, end)): &(usize, (&u32, u32))| {
            known.has_length((end - start) as usize, 0) && known.repeats(&text[start as usize..end as usize])
        };
        let headers: Vec<usize> = records.filter(repeats).map(|(record, _)| record).collect();
        for &record in &headers {
            let start = self.index.start(record);
            let is_first = self.taken.repeated.starts.is_empty();
            let lines = if is_first { count_lines(&text[at..start], &self.rules.dialect) } else { 0 };
            self.taken.repeated.add(start, lines_before + lines);
        }
        self.index.remove(&headers);
    }

    /// Drops the first record from number `from` on that is longer than the limit, and those behind it; tells where it
    /// starts.
    fn drop_overlong(&mut self, from: usize) -> Option<usize> {
        let index = &mut self.index;
        let is_overlong = |record: &usize| index.end(*record) - index.start(*record) > self.rules.max_record_bytes;
        let first = (from..index.records()).find(is_overlong)?;
        let start = index.start(first);
        index.truncate(first);
        Some(start)
    }

    /// One record, byte by byte.
    pub(super) fn precise(&mut self) -> Step {
        self.precise_behind(&[])
    }

    /// One record, byte by byte from where the fields end whose ends are `known`.
    pub(super) fn precise_behind(&mut self, known: &[u32]) -> Step {
        let Span { text, at_end, .. } = self.span;
        let (dialect, at) = (&self.rules.dialect, self.taken.consumed);
        if let Some((trouble, kind)) = self.broken.filter(|(trouble, _)| at < *trouble)
            && let Some(line_end) = after_line(text, at, dialect).filter(|&line_end| line_end <= trouble)
        {
            return self.line(known, line_end, kind);
        }
        let ends_before = self.index.ends.len();
        match scan_record_behind(known, text, at, dialect, at_end, self.rules.fields, &mut self.index.ends) {
            None => self.incomplete(),
            Some(record) => self.scanned(ends_before, record),
        }
    }

    /// One line that cannot end a quoted field opened in it.
    fn line(&mut self, known: &[u32], line_end: usize, trouble: Trouble) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let ends_before = self.index.ends.len();
        let has_end = line_end > at && text[line_end - 1] == self.rules.dialect.line_end().byte();
        let at_end = self.span.at_end && !has_end;
        let (dialect, ends) = (&self.rules.dialect, &mut self.index.ends);
        match scan_record_behind(known, &text[..line_end], at, dialect, at_end, self.rules.fields, ends) {
            Some(record) => self.scanned(ends_before, record),
            None => {
                self.set_aside(line_end, trouble);
                Step::On
            }
        }
    }

    /// A record was read, its first ends put into the index.
    fn scanned(&mut self, ends_before: usize, record: Scanned) -> Step {
        let text = self.span.text;
        let start = self.taken.consumed;
        let odd = record.trouble.is_some() || record.fields != self.rules.fields && !record.blank && !record.comment;
        match if odd { self.rules.marked_header(self.span, start) } else { Marked::No } {
            Marked::No => {}
            Marked::Unknown => {
                self.index.ends.truncate(ends_before);
                return self.incomplete();
            }
            Marked::Until(next) => {
                self.index.ends.truncate(ends_before);
                self.taken.repeated.add(start, self.taken.lines);
                self.pass_to(next);
                return Step::On;
            }
        }
        // What is not certain within this many bytes is not certain for whoever has no more of the text.
        let most = start.saturating_add(self.rules.max_record_bytes).saturating_add(LINE_END_BYTES);
        if let Some((at, kind)) = record.trouble {
            self.index.ends.truncate(ends_before);
            let known_at = match kind {
                MalformedKind::UnterminatedQuote => text.len(),
                _ => (at + 1 + usize::from(text.get(at) == Some(&b'\r'))).max(record.next),
            };
            if known_at > most {
                return self.overlong();
            }
            if self.rules.malformed == MalformedPolicy::Error {
                return self.stop_at(at, kind, record.next);
            }
            self.broken = Some((at, Trouble::Malformed(kind)));
            self.set_aside(record.next, Trouble::Malformed(kind));
            return Step::On;
        }
        let raw = self.rules.without_line_end(&text[start..record.next]);
        if raw.len() > self.rules.max_record_bytes && !record.comment {
            self.index.ends.truncate(ends_before);
            return self.overlong();
        }
        if record.comment {
            self.pass_to(record.next);
            return Step::On;
        }
        self.index.quotes |= record.quotes;
        let end = start + raw.len();
        if !self.judge(ends_before, record.fields, record.blank, start..end) {
            let found = record.fields;
            let kind = match found < self.rules.fields {
                true => MalformedKind::TooFew { found },
                false => MalformedKind::TooMany { found },
            };
            return self.stop_at(start, kind, record.next);
        }
        match record.quotes {
            true => self.pass_to(record.next),
            false => self.pass_line(record.next),
        }
        Step::On
    }

    /// Decides about the record at `raw`, whose first field ends are those in the index from `ends_before` on. False
    /// when it is an error.
    pub(super) fn judge(&mut self, ends_before: usize, found: usize, blank: bool, raw: Range<usize>) -> bool {
        let (text, fields) = (self.span.text, self.rules.fields);
        let mut good = found == fields;
        let mut padded = false;
        if self.rules.headers.repeats(&text[raw.clone()]) {
            self.taken.repeated.add(raw.start, self.taken.lines);
            good = false;
        } else if !(good || blank && fields > 1) {
            match self.rules.malformed {
                MalformedPolicy::Error => {
                    self.index.ends.truncate(ends_before);
                    return false;
                }
                MalformedPolicy::Pad if found < fields => {
                    // An empty field at the end of the record each.
                    self.index.ends.resize(ends_before + fields, raw.end as u32);
                    self.index.padded.push((self.index.starts.len() as u32, found as u32));
                    padded = true;
                }
                MalformedPolicy::Pad => {
                    let last = self.index.ends.last().map_or(raw.end, |&end| end as usize);
                    padded = text[last..raw.end].iter().all(|&byte| byte == self.rules.dialect.delimiter());
                }
                MalformedPolicy::Skip => {}
            }
            good = padded;
            if padded {
                self.taken.padded.add(raw.start, self.taken.lines);
            } else {
                let kind = match found < fields {
                    true => MalformedKind::TooFew { found },
                    false => MalformedKind::TooMany { found },
                };
                let trouble = Trouble::Malformed(kind);
                self.taken.aside.push(Aside { start: raw.start, end: raw.end, lines: self.taken.lines, trouble });
            }
        }
        if good {
            self.index.starts.push(raw.start as u32);
        } else {
            self.index.ends.truncate(ends_before);
        }
        true
    }

    /// The text ends amid the record.
    fn incomplete(&mut self) -> Step {
        let at = self.taken.consumed;
        if self.span.text.len() - at <= self.rules.max_record_bytes.saturating_add(LINE_END_BYTES) {
            return Step::Stop;
        }
        match &mut self.long {
            // A comment may be as long as it likes.
            Long::Pass(_, overlong) if begins_comment(self.span.text, at, &self.rules.dialect) => {
                overlong.discarding = true;
                self.pass_to(self.span.text.len());
                Step::On
            }
            _ => self.overlong(),
        }
    }

    /// The record here is longer than the limit.
    fn overlong(&mut self) -> Step {
        let at = self.taken.consumed;
        match &mut self.long {
            Long::Pass(base, overlong) if self.rules.malformed != MalformedPolicy::Error => {
                let most = self.rules.max_record_bytes.saturating_add(LINE_END_BYTES);
                overlong.lines_until = base.saturating_add(at as u64).saturating_add(most as u64);
                let near = &self.span.text[..self.span.text.len().min(at.saturating_add(most))];
                match after_line(near, at, &self.rules.dialect) {
                    Some(line_end) => self.set_aside(line_end, Trouble::TooLong(self.rules.max_record_bytes)),
                    None => {
                        overlong.discarding = true;
                        self.set_aside(near.len(), Trouble::TooLong(self.rules.max_record_bytes));
                    }
                }
                Step::On
            }
            _ => {
                self.taken.too_long = true;
                Step::Stop
            }
        }
    }

    /// What is left of a record longer than the limit.
    fn remains(&mut self) -> Step {
        let Span { text, at_end, .. } = self.span;
        let at = self.taken.consumed;
        let Long::Pass(base, overlong) = &mut self.long else { return Step::Stop };
        let line_end = after_line(text, at, &self.rules.dialect);
        if overlong.discarding {
            overlong.discarding = line_end.is_none();
            self.pass_to(line_end.unwrap_or(text.len()));
            return Step::On;
        }
        let lines_until = overlong.lines_until - *base;
        match line_end.or(at_end.then_some(text.len())) {
            Some(line_end) if line_end as u64 <= lines_until => {
                self.line(&[], line_end, Trouble::TooLong(self.rules.max_record_bytes))
            }
            None if (text.len() as u64) < lines_until => Step::Stop,
            // This line reaches beyond the remains.
            _ => {
                overlong.lines_until = 0;
                Step::On
            }
        }
    }

    /// The record here is set aside; the text goes on at `next`, behind its first line.
    fn set_aside(&mut self, next: usize, trouble: Trouble) {
        let start = self.taken.consumed;
        let end = start + self.rules.without_line_end(&self.span.text[start..next]).len();
        self.taken.aside.push(Aside { start, end, lines: self.taken.lines, trouble });
        self.pass_line(next);
    }

    /// Passes to `next`, which lies in this line or at its end.
    fn pass_line(&mut self, next: usize) {
        let line = &self.span.text[self.taken.consumed..next];
        self.taken.lines += u64::from(line.last() == Some(&self.rules.dialect.line_end().byte()));
        self.taken.consumed = next;
    }

    fn pass_to(&mut self, next: usize) {
        self.taken.lines += count_lines(&self.span.text[self.taken.consumed..next], &self.rules.dialect);
        self.taken.consumed = next;
    }

    fn stop_at(&mut self, at: usize, kind: MalformedKind, next: usize) -> Step {
        let (start, record) = (self.taken.consumed, self.index.records());
        self.taken.malformed = Some(Malformed { start, at, next, record, kind });
        Step::Stop
    }
}
