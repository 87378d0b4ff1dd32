//! Taking records under a policy: which count, which are set aside or padded, which only repeat the header.
//!
//! **Where records end** is a function of the file alone. A record with too few or too many fields ends where the
//! grammar says. One whose quotes are broken (text after a closing quote, a quote open where the file ends) or that is
//! longer than the limit has no end to go by: its first line is set aside, and reading goes on at its second, so that
//! one stray quote costs one line. Whoever begins at any line therefore soon agrees with whoever began before.
//! **Cost.** Windows of text become separators at vector speed, whatever the number of fields; only a record with an
//! odd quote is read byte by byte. The lines behind a broken record up to its trouble cannot close a quote that they
//! open, so none of them is searched further than its own end: no text is read more than a few times over.

use super::dialect::Dialect;
use super::index::RecordIndex;
use super::options::MalformedPolicy;
use super::record::{Malformed, MalformedKind, Scanned, after_line, begins_comment, scan_record};
use super::simd::{Engine, separators};
use super::split::{Limits, count_lines, split_with};
use memchr::memchr;
use std::sync::Arc;

/// The usual window of text.
const WINDOW: usize = 64 << 10;
/// The least that a window holds where a batch ends.
const LEAST_WINDOW: usize = 4 << 10;
/// So many regular records are taken at once.
const RUN_RECORDS: usize = 32;
/// Records with quotes that are further apart than this are read one by one.
const SPARSE_BYTES: usize = 512;
/// A line end takes up to two bytes, which do not count as the record's.
pub(super) const LINE_END_BYTES: usize = 2;

/// The byte order mark of UTF-8, which concatenated files leave before a repeated header.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a file's records must be like, and what becomes of those that are not.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) dialect: Dialect,
    pub(super) fields: usize,
    pub(super) malformed: MalformedPolicy,
    /// The header as it stands in the file, without its line end; records like it are passed over.
    pub(super) header: Option<Arc<[u8]>>,
    /// A record may not be longer.
    pub(super) max_record_bytes: usize,
}

/// The part of a text to take records from.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) text: &'a [u8],
    /// A record's start.
    pub(super) from: usize,
    /// No record is taken that starts here or behind.
    pub(super) until: usize,
    /// The file ends where the text does.
    pub(super) at_end: bool,
}

/// What is known of a record that was longer than the limit, in bytes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlong {
    /// Lines before this place are its remains, and read each on its own.
    pub(super) lines_until: u64,
    /// Its first line has not ended yet.
    pub(super) discarding: bool,
}

/// How over-long records are met.
pub(super) enum Long<'a> {
    /// Stop before them.
    Stop,
    /// Go on behind them; the text begins at this byte of the file.
    Pass(u64, &'a mut Overlong),
}

/// What is wrong with a record that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Malformed(MalformedKind),
    /// It is longer than so many bytes.
    TooLong(usize),
}

/// A record set aside: where its text lies, and the line ends between the start of the span and it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) lines: u64,
    pub(super) trouble: Trouble,
}

/// Records of one kind: where each starts, and how many line ends precede the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) starts: Vec<usize>,
    pub(super) lines_before_first: u64,
}

impl Counted {
    fn add(&mut self, start: usize, lines: u64) {
        if self.starts.is_empty() {
            self.lines_before_first = lines;
        }
        self.starts.push(start);
    }

    /// Adds those of text that goes on behind `lines` line ends.
    pub(super) fn join(&mut self, other: Counted, lines: u64) {
        if self.starts.is_empty() {
            *self = Counted { lines_before_first: lines + other.lines_before_first, ..other };
        } else {
            self.starts.extend(other.starts);
        }
    }
}

/// What became of the text, apart from the records in the index.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Everything before this offset has been dealt with.
    pub(super) consumed: usize,
    /// Line ends before it.
    pub(super) lines: u64,
    /// The record there is malformed, and the policy makes that an error.
    pub(super) malformed: Option<Malformed>,
    /// The record there is longer than the limit, which was not to be dealt with.
    pub(super) too_long: bool,
    pub(super) aside: Vec<Aside>,
    pub(super) padded: Counted,
    pub(super) repeated: Counted,
}

impl Rules {
    /// Takes records of about `batch_bytes` bytes of `span` (at least one) into the empty `index`.
    pub(super) fn take(&self, span: Span<'_>, batch_bytes: usize, index: &mut RecordIndex, long: Long<'_>) -> Taken {
        self.take_with(Engine::best(), span, batch_bytes, index, long)
    }

    /// [`Rules::take`] with a chosen engine; [`Engine::Scalar`] reads record by record.
    pub(super) fn take_with(
        &self,
        engine: Engine,
        span: Span<'_>,
        batch_bytes: usize,
        index: &mut RecordIndex,
        long: Long<'_>,
    ) -> Taken {
        let taken = Taken { consumed: span.from, ..Taken::default() };
        let cap = span.from.saturating_add(batch_bytes.max(1)).min(span.until);
        index.fields = self.fields;
        let mut taker = Taker {
            rules: self,
            engine,
            span,
            cap,
            rough: std::mem::take(&mut index.careful),
            index,
            long,
            taken,
            sparse_quotes: true,
            unquoted: Dialect::new(self.dialect.delimiter(), None)
                .ok()
                .map(|dialect| dialect.with_line_end(self.dialect.line_end())),
            broken: None,
        };
        taker.run();
        let Taker { taken, index, .. } = taker;
        // Text much like this follows.
        index.careful = !taken.aside.is_empty() || !taken.padded.starts.is_empty();
        taken
    }

    /// Whether a record's text is the header's, with a byte order mark before it or not.
    fn repeats_header(&self, raw: &[u8]) -> bool {
        let Some(header) = self.header.as_deref() else { return false };
        raw.len() == header.len() && raw == header
            || raw.len() == header.len() + BYTE_ORDER_MARK.len() && raw.strip_prefix(BYTE_ORDER_MARK) == Some(header)
    }

    /// Whether a header stands at `start` behind a byte order mark, which hides the quote that the header begins with.
    fn marked_header(&self, span: Span<'_>, start: usize) -> Marked {
        let (Some(header), Some(text)) = (self.header.as_deref(), span.text.get(start..)) else { return Marked::No };
        if BYTE_ORDER_MARK.len() + header.len() > self.max_record_bytes {
            return Marked::No;
        }
        let line_end = self.dialect.line_end().byte();
        let is_cut = |rest: &[u8], whole: &[u8]| !span.at_end && rest.len() <= whole.len() && whole.starts_with(rest);
        if is_cut(text, BYTE_ORDER_MARK) {
            return Marked::Unknown;
        }
        let Some(unmarked) = text.strip_prefix(BYTE_ORDER_MARK) else { return Marked::No };
        if is_cut(unmarked, header) {
            return Marked::Unknown;
        }
        match unmarked.strip_prefix(header) {
            Some([]) => Marked::Until(span.text.len()),
            Some(&[first, ref rest @ ..]) if first == line_end => Marked::Until(span.text.len() - rest.len()),
            Some(&[b'\r', second, ref rest @ ..]) if second == line_end => Marked::Until(span.text.len() - rest.len()),
            Some(b"\r") if !span.at_end => Marked::Unknown,
            _ => Marked::No,
        }
    }

    /// A record or line without its line end.
    pub(super) fn without_line_end<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        match raw.strip_suffix(&[self.dialect.line_end().byte()]) {
            None => raw,
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        }
    }
}

/// Whether a header stands somewhere.
enum Marked {
    /// Up to this offset, its line end included.
    Until(usize),
    No,
    /// The text ends too early to tell.
    Unknown,
}

/// What stopped a step.
enum Step {
    On,
    Stop,
}

struct Taker<'a, 'b> {
    rules: &'a Rules,
    engine: Engine,
    span: Span<'a>,
    /// The batch is large enough at this offset.
    cap: usize,
    /// The splitter is not tried any more: there are exceptions.
    rough: bool,
    index: &'b mut RecordIndex,
    long: Long<'b>,
    taken: Taken,
    /// The dialect without quotes, if that is one.
    unquoted: Option<Dialect>,
    /// Few records of this batch hold quotes.
    sparse_quotes: bool,
    /// The last broken record: lines that end before this offset cannot close a quote that they open, for this reason.
    broken: Option<(usize, Trouble)>,
}

impl Taker<'_, '_> {
    fn run(&mut self) {
        while self.taken.consumed < self.cap {
            if let Step::Stop = self.step() {
                break;
            }
        }
    }

    /// Whether something is left here of a record that was too long.
    fn overlong_left(&self) -> bool {
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
        let raw = |index: &RecordIndex, record| index.start(record)..index.end(record);
        let repeats = |record: &usize| self.rules.repeats_header(&text[raw(self.index, *record)]);
        let headers: Vec<usize> = (from..self.index.records()).filter(repeats).collect();
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

    /// Text with exceptions: separators first, then records of any number of fields.
    fn rough(&mut self) -> Step {
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
    fn sparse(&mut self, list: &mut Vec<u32>) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let Some(unquoted) = self.unquoted else { return self.precise() };
        let end = at.saturating_add(WINDOW.min(self.cap - at).max(LEAST_WINDOW)).min(text.len());
        list.clear();
        separators(self.engine, &text[at..end], at as u32, &unquoted, list);
        let (mut first, mut alone) = (0, 0);
        while self.taken.consumed < self.cap.min(end) {
            let start = self.taken.consumed;
            let find = |quote| memchr(quote, &text[start..end]).map(|distance| start + distance);
            let next_quote = self.rules.dialect.quote().and_then(find);
            first = self.walk(list, first, next_quote.unwrap_or(end), false);
            if self.taken.consumed >= self.cap || next_quote.is_none() && self.taken.consumed > at {
                // What is left of the window is the beginning of a record.
                break;
            }
            if let Step::Stop = self.precise() {
                return Step::Stop;
            }
            let behind = |separator: &&u32| (**separator as usize) < self.taken.consumed;
            first += list.get(first..).map_or(0, |rest| rest.iter().take_while(behind).count());
            alone += 1;
            self.sparse_quotes = alone * SPARSE_BYTES <= self.taken.consumed - at + LEAST_WINDOW;
            if self.overlong_left() || !self.sparse_quotes {
                break;
            }
        }
        Step::On
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
            self.walk(list, 0, end, seen.quotes || seen.odd);
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
            let lines = if quotes { count_lines(&text[start..=stop], dialect) } else { 1 };
            let found = last + 1 - first;
            self.judge(ends_before, found, found == 1 && end == start, start..end);
            self.taken.lines += lines;
            self.taken.consumed = stop + 1;
            first = last + 1;
        }
        first
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
        let header = rules.header.as_ref().map(|header| header.len());
        let most = BYTE_ORDER_MARK.len() + LINE_END_BYTES;
        let (mut start, mut records) = (run_start, 0);
        for record in list.get(first..).unwrap_or_default().chunks_exact(rules.fields).take(RUN_RECORDS) {
            let end = record[rules.fields - 1] as usize;
            let length = end - start;
            let like_header = header.is_some_and(|header| length.wrapping_sub(header) <= most);
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

    /// One record, byte by byte.
    fn precise(&mut self) -> Step {
        let Span { text, at_end, .. } = self.span;
        let (dialect, at) = (&self.rules.dialect, self.taken.consumed);
        if let Some((trouble, kind)) = self.broken.filter(|(trouble, _)| at < *trouble)
            && let Some(line_end) = after_line(text, at, dialect).filter(|&line_end| line_end <= trouble)
        {
            return self.line(line_end, kind);
        }
        let ends_before = self.index.ends.len();
        match scan_record(text, at, dialect, at_end, self.rules.fields, &mut self.index.ends) {
            None => self.incomplete(),
            Some(record) => self.scanned(ends_before, record),
        }
    }

    /// One line that cannot end a quoted field opened in it.
    fn line(&mut self, line_end: usize, trouble: Trouble) -> Step {
        let (text, at) = (self.span.text, self.taken.consumed);
        let ends_before = self.index.ends.len();
        let has_end = line_end > at && text[line_end - 1] == self.rules.dialect.line_end().byte();
        let at_end = self.span.at_end && !has_end;
        let ends = &mut self.index.ends;
        match scan_record(&text[..line_end], at, &self.rules.dialect, at_end, self.rules.fields, ends) {
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
        self.pass_to(record.next);
        Step::On
    }

    /// Decides about the record at `raw`, whose first field ends are those in the index from `ends_before` on. False
    /// when it is an error.
    fn judge(&mut self, ends_before: usize, found: usize, blank: bool, raw: std::ops::Range<usize>) -> bool {
        let (text, fields) = (self.span.text, self.rules.fields);
        let mut good = found == fields;
        let mut padded = false;
        if self.rules.repeats_header(&text[raw.clone()]) && good {
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
                self.line(line_end, Trouble::TooLong(self.rules.max_record_bytes))
            }
            None if (text.len() as u64) < lines_until => Step::Stop,
            // This line reaches beyond the remains.
            _ => {
                overlong.lines_until = 0;
                Step::On
            }
        }
    }

    /// The record here is set aside; the text goes on at `next`.
    fn set_aside(&mut self, next: usize, trouble: Trouble) {
        let start = self.taken.consumed;
        let end = start + self.rules.without_line_end(&self.span.text[start..next]).len();
        self.taken.aside.push(Aside { start, end, lines: self.taken.lines, trouble });
        self.pass_to(next);
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
