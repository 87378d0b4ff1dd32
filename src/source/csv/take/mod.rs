//! Taking records under a policy: which count, which are set aside or padded, which only repeat the header.
//!
//! **Where records end** is a function of the file alone. A record with too few or too many fields ends where the
//! grammar says. One whose quotes are broken (text after a closing quote, a quote open where the file ends) or that is
//! longer than the limit has no end to go by: its first line is set aside, and reading goes on at its second, so that
//! one stray quote costs one line. Whoever begins at any line therefore soon agrees with whoever began before.
//! **Cost.** Windows of text become separators at vector speed, whatever the number of fields; only what
//! stands in a record behind an odd quote is read byte by byte. The lines behind a broken record up to its trouble cannot close a quote that they
//! open, so none of them is searched further than its own end: no text is read more than a few times over.

mod header;
mod rough;
mod taker;

use super::dialect::Dialect;
use super::index::RecordIndex;
use super::options::MalformedPolicy;
use super::record::{Malformed, MalformedKind};
use super::simd::Engine;
pub(super) use header::Headers;
use taker::Taker;

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
    /// Records like these are passed over.
    pub(super) headers: Headers,
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
            broken: None,
        };
        taker.run();
        let Taker { taken, index, .. } = taker;
        // Text much like this follows.
        index.careful = !taken.aside.is_empty() || !taken.padded.starts.is_empty();
        taken
    }

    /// A record or line without its line end.
    pub(super) fn without_line_end<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        match raw.strip_suffix(&[self.dialect.line_end().byte()]) {
            None => raw,
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        }
    }
}
