//! Text to records: the fast splitter.
//!
//! A window of text is turned into a flat list of separators, then checked as a whole: there are as many line ends as
//! records, and every `fields`-th separator is one, hence no other is. A window that fails the check, or has a quote
//! in an odd place, is made smaller and, at the smallest size, read record by record ([`super::record`]), which
//! judges what is malformed. Odd text so costs about one wasted fast scan a byte, however often it occurs. A comment
//! line ends what a window gives; until it is passed over, the text before it is read as if it were a record, which
//! cannot change where earlier records end.

use super::dialect::Dialect;
use super::index::RecordIndex;
use super::record::{Malformed, MalformedKind, after_line, begins_comment, scan_record};
use super::simd::{Engine, separators};

/// Texts may not be longer: offsets are 32 bits wide, and text that is recoded may grow threefold.
pub const MAX_TEXT: usize = 1 << 30;

/// The usual window, small enough that its separators stay in the second-level cache.
const WINDOW: usize = 64 << 10;
/// The window for text with something odd in it.
const SMALL_WINDOW: usize = 4 << 10;

/// How much one call of [`split`] may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text; a first record that is longer is still taken, and so is the rest of a record begun.
    pub bytes: usize,
    /// Records in the index, those of earlier calls included.
    pub records: usize,
}

impl Limits {
    /// As much as there is.
    pub const NONE: Limits = Limits { bytes: usize::MAX, records: usize::MAX };
}

/// How far a call of [`split`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Offset after the last record taken and blank and comment lines after it. Go on from here.
    pub consumed: usize,
    /// The record at `consumed` is malformed; to set it aside, go on from its `next`.
    pub malformed: Option<Malformed>,
}

/// Appends the records of `text[from..]` to `index`, with [`Engine::best`].
///
/// `from` is a record's start; `fields` is the number every record must have; `at_end` tells that the text ends the
/// file, so that the last record may lack its line end. Stops at the limits, at the first malformed record, or before
/// a record that the text does not hold completely (`consumed` then stays put and nothing is malformed).
///
/// # Panics
/// If `text` is longer than [`MAX_TEXT`], `from` beyond its end or `fields` 0, or `index` holds records of another
/// field count: mistakes of the caller, which no input can cause.
pub fn split(
    text: &[u8],
    from: usize,
    dialect: &Dialect,
    fields: usize,
    at_end: bool,
    limits: Limits,
    index: &mut RecordIndex,
) -> Split {
    split_with(Engine::best(), text, from, dialect, fields, at_end, limits, index)
}

/// [`split`] with a chosen engine.
///
/// # Panics
/// As [`split`].
#[allow(clippy::too_many_arguments)]
pub fn split_with(
    engine: Engine,
    text: &[u8],
    from: usize,
    dialect: &Dialect,
    fields: usize,
    at_end: bool,
    limits: Limits,
    index: &mut RecordIndex,
) -> Split {
    assert!(text.len() <= MAX_TEXT && from <= text.len() && fields > 0, "split called with impossible arguments");
    assert!(index.fields == fields || index.records() == 0, "one index, one field count");
    index.fields = fields;
    let records_before = index.records();
    let mut splitter = Splitter { engine, text, dialect, fields, at_end, index, precise: false };
    let split = splitter.run(from, limits);
    let plain = !splitter.precise && !index.quotes;
    index.newlines += if plain {
        (index.records() - records_before) as u64
    } else {
        count_lines(&text[from..split.consumed], dialect)
    };
    split
}

/// Number of line ends in a text, those in quotes included.
pub fn count_lines(text: &[u8], dialect: &Dialect) -> u64 {
    memchr::memchr_iter(dialect.line_end().byte(), text).count() as u64
}

struct Splitter<'a> {
    engine: Engine,
    text: &'a [u8],
    dialect: &'a Dialect,
    fields: usize,
    at_end: bool,
    index: &'a mut RecordIndex,
    /// Some text was not read in windows, so that there may have been lines that are not records.
    precise: bool,
}

impl Splitter<'_> {
    fn run(&mut self, from: usize, limits: Limits) -> Split {
        let length = self.text.len();
        let mut most = limits.records;
        let mut cap = from.saturating_add(limits.bytes.max(1)).min(length);
        let mut window = if self.engine == Engine::Scalar { SMALL_WINDOW } else { WINDOW };
        let mut at = from;
        // Since the last progress the window was made small once; not again, or it would grow and shrink for ever.
        let mut shrunk = false;
        let mut careful = std::mem::take(&mut self.index.careful);
        if careful {
            window = SMALL_WINDOW;
        }
        while at < cap && self.index.records() < most {
            if begins_comment(self.text, at, self.dialect) {
                let Some(next) = after_line(self.text, at, self.dialect).or(self.at_end.then_some(length)) else {
                    break;
                };
                self.precise = true;
                // Others may follow, and each makes the rest of its window a wasted scan.
                window = SMALL_WINDOW;
                at = next;
                continue;
            }
            let end = at.saturating_add(window).min(cap);
            let taken = if careful { None } else { self.fast(at, end, most) };
            careful = false;
            match taken {
                Some(next) if next > at => {
                    at = next;
                    shrunk = false;
                    window = if window < WINDOW { window * 2 } else { WINDOW };
                    continue;
                }
                Some(_) if end < cap => {
                    window = window.saturating_mul(2);
                    continue;
                }
                Some(_) if cap < length => {
                    if at > from {
                        break;
                    }
                    // A record longer than the limit is taken alone.
                    most = most.min(self.index.records() + 1);
                    cap = (from + (cap - from).saturating_mul(2)).min(length);
                    window = WINDOW.max(cap - from);
                    continue;
                }
                // The text ends amid a record: the precise reader knows whether that will do.
                Some(_) if !self.at_end => break,
                Some(_) => {}
                None if window > SMALL_WINDOW && !shrunk => {
                    window = SMALL_WINDOW;
                    shrunk = true;
                    continue;
                }
                None => {}
            }
            let until = at.saturating_add(SMALL_WINDOW).min(cap);
            match self.precise(at, until, most) {
                Ok((next, true)) => {
                    at = next;
                    shrunk = false;
                }
                Ok((next, false)) => return Split { consumed: next, malformed: None },
                Err(malformed) => {
                    self.index.careful = true;
                    return Split { consumed: malformed.start, malformed: Some(malformed) };
                }
            }
        }
        Split { consumed: at, malformed: None }
    }

    /// Takes the complete records of `text[at..end]` and returns where the rest begins; `None` if the window is not
    /// plain and regular.
    fn fast(&mut self, at: usize, end: usize, max_records: usize) -> Option<usize> {
        let ends_before = self.index.ends.len();
        let seen = separators(self.engine, &self.text[at..end], at as u32, self.dialect, &mut self.index.ends);
        let complete = (self.index.ends.len() - ends_before) / self.fields;
        if seen.odd || seen.newlines > complete && self.dialect.comment().is_none() {
            self.index.ends.truncate(ends_before);
            return None;
        }
        let starts_before = self.index.starts.len();
        let mut take = seen.newlines.min(max_records - starts_before);
        let regular = &mut self.index.ends[ends_before..ends_before + seen.newlines.min(complete) * self.fields];
        let line_end_byte = self.dialect.line_end().byte();
        let mut start = at;
        let mut all_line_ends = true;
        let mut comment = false;
        self.index.starts.reserve(seen.newlines);
        for record in regular.chunks_exact_mut(self.fields) {
            if begins_comment(self.text, start, self.dialect) {
                comment = true;
                break;
            }
            let last = &mut record[self.fields - 1];
            let line_end = *last as usize;
            all_line_ends &= self.text[line_end] == line_end_byte;
            *last -= u32::from(line_end > start && self.text[line_end - 1] == b'\r');
            self.index.starts.push(start as u32);
            start = line_end + 1;
        }
        if comment {
            let before = self.index.starts.len() - starts_before;
            take = take.min(before);
            let records = self.index.ends[ends_before..ends_before + before * self.fields].chunks_exact(self.fields);
            let is_delimiter = |&end: &u32| self.text[end as usize] != line_end_byte;
            all_line_ends &= records.into_iter().all(|record| record[..self.fields - 1].iter().all(is_delimiter));
        } else {
            all_line_ends &= seen.newlines <= complete;
        }
        if !all_line_ends {
            self.index.ends.truncate(ends_before);
            self.index.starts.truncate(starts_before);
            return None;
        }
        if take < self.index.starts.len() - starts_before {
            start = self.index.starts[starts_before + take] as usize;
            self.index.starts.truncate(starts_before + take);
        }
        self.index.ends.truncate(ends_before + take * self.fields);
        self.index.quotes |= seen.quotes;
        Some(start)
    }

    /// Takes records one by one until `until` is reached. Returns where it stopped and whether the text goes on there
    /// with a complete record.
    fn precise(&mut self, mut at: usize, until: usize, max_records: usize) -> Result<(usize, bool), Malformed> {
        self.precise = true;
        while at < until && self.index.records() < max_records {
            let ends_before = self.index.ends.len();
            let ends = &mut self.index.ends;
            let Some(record) = scan_record(self.text, at, self.dialect, self.at_end, self.fields, ends) else {
                return Ok((at, false));
            };
            if record.comment || record.blank && self.fields > 1 {
                self.index.ends.truncate(ends_before);
                at = record.next;
                continue;
            }
            let found = record.fields;
            let trouble = record.trouble.or(match found.cmp(&self.fields) {
                std::cmp::Ordering::Less => Some((at, MalformedKind::TooFew { found })),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some((at, MalformedKind::TooMany { found })),
            });
            if let Some((trouble_at, kind)) = trouble {
                self.index.ends.truncate(ends_before);
                let next = record.next;
                return Err(Malformed { start: at, at: trouble_at, next, record: self.index.records(), kind });
            }
            self.index.quotes |= record.quotes;
            self.index.starts.push(at as u32);
            at = record.next;
        }
        Ok((at, true))
    }
}
