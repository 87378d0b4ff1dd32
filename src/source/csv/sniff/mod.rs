//! Telling from the beginning of a file how it is to be read.
//!
//! **Problem.** A file does not say which byte delimits its fields, whether its first record holds names, or whether a
//! title stands above the table; a wrong guess gives a table that looks right and is not.
//! **Idea.** Read the head under every dialect that its bytes make possible, and take the reading whose records agree
//! best in their number of fields and whose columns are most often of one type. What is plain CSV is recognised at
//! once, by one vectorised split, and nothing else is tried.
//! **Invariants.**
//! - The answer depends on the bytes and the options alone; no bytes panic; what the user gave is never overruled.
//! - Doubt falls to commas, double quotes, and a first record of names, as RFC 4180 has it: another delimiter must fit
//!   nine records of ten, the first one included, and a file of one column stays one. What commas split evenly without
//!   exception is split at commas, however well something else would do it, unless all that the other one finds are
//!   numbers and the like (`1,5;2,5`).
//! - One record out of order never changes the dialect: it is the pass that reports it, in its place.
//!
//! The ideas of consistency and of types as evidence are those of van den Burg, Nazábal and Sutton, *Wrangling messy
//! CSV files by detecting row and type patterns* (2019).

mod kinds;
mod names;
mod reading;
#[cfg(test)]
mod tests;

use super::dialect::{Dialect, LineEnd};
use super::encoding::byte_order_mark;
use super::fields::Format;
use super::index::RecordIndex;
use super::options::CsvOptions;
use super::record::scan_record;
use super::split::{Limits, split};
use crate::error::Result;
use memchr::{memchr, memchr2, memchr2_iter, memchr3, memmem};
use reading::Reading;

/// Bytes of the head that are looked at.
const LOOK_BYTES: usize = 64 << 10;
/// As many are looked at where lines are longer than that.
const LOOK_BYTES_AT_MOST: usize = 4 << 20;
/// Delimiters that are looked for, the most usual first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// What begins a comment line, where any does.
const COMMENT: u8 = b'#';
/// What escapes a quote, where quotes are not doubled.
const ESCAPE: u8 = b'\\';

/// How a file is to be read, and why.
#[derive(Clone, Debug)]
pub struct Sniffed {
    /// Dialect, null tokens, encoding and number style, those given by the user included.
    pub format: Format,
    /// Whether the first record holds the names of the columns.
    pub has_header: bool,
    /// Whether every record begins with the name of its row, for which the header has no name.
    pub row_names: bool,
    /// Lines before the table.
    pub skip_rows: usize,
    /// From 0 to 1: the share of records in the head that have as many fields as the table, less half of it in the
    /// measure that a reading with another delimiter came close. 1 for plain CSV; at most 0.5 where nothing delimits
    /// evenly what could delimit.
    pub confidence: f64,
    /// Why, one sentence a decision.
    pub reasons: Vec<String>,
    /// What the user should be warned of.
    pub warnings: Vec<String>,
    /// The decimal mark, if it is given or numbers of the head have one.
    pub(super) decimal_seen: Option<u8>,
}

/// Decides how a file that begins with `head` (all of it, if `at_end`) is to be read. `likely` is the dialect to
/// prefer where it explains the file as well as any: that of the first file of a set, or of the file's name.
///
/// # Errors
/// `Unsupported` when the user's bytes cannot play their parts together.
pub fn sniff(head: &[u8], at_end: bool, options: &CsvOptions, likely: Option<Dialect>) -> Result<Sniffed> {
    let line_end = match options.line_end {
        Some(given) => given,
        None if options.sniff => line_end(head),
        None => LineEnd::default(),
    };
    let usual = usual_dialect(options, likely)?.with_line_end(line_end);
    options.numbers()?;
    let given_skip = options.skip_rows.unwrap_or(0);
    let start = line_start(head, byte_order_mark(head), given_skip, line_end);
    let head = Head { text: head, start, at_end, line_end, options };
    let mut sniffed = Sniffed {
        format: head.format(usual),
        has_header: options.has_header.unwrap_or(true),
        row_names: false,
        skip_rows: given_skip,
        confidence: 1.0,
        reasons: Vec::new(),
        warnings: Vec::new(),
        decimal_seen: options.decimal.or(options.thousands.map(|_| head.format(usual).numbers.decimal)),
    };
    if !options.sniff {
        sniffed.reasons.push("as given: sniffing is switched off".to_owned());
        return Ok(sniffed);
    }
    if line_end == LineEnd::CarriageReturn && options.line_end.is_none() {
        sniffed
            .reasons
            .push("lines end with a carriage return alone: no line feed stands outside of quotes".to_owned());
    }
    if head.is_plain(&usual) {
        sniffed.reasons.push(format!("every record of the head agrees when split at {}", show(usual.delimiter())));
        let reading = Reading::of(&head.shortened(), usual, 0);
        head.finish(&mut sniffed, reading.as_ref());
        return Ok(sniffed);
    }
    let readings = head.readings(usual);
    let mut best: Option<&Reading> = None;
    for reading in &readings {
        if best.is_none_or(|best| reading.score > best.score) {
            best = Some(reading);
        }
    }
    let Some(best) = best else {
        let reading = Reading::of_first_record(&head, usual);
        sniffed.confidence = reading.as_ref().map_or(0.0, |reading| head.confidence_without_evidence(reading));
        sniffed.reasons.push(match &reading {
            Some(reading) if reading.fields > 1 => {
                format!("no delimiter splits the head evenly; read with {} all the same", show(usual.delimiter()))
            }
            _ => "no delimiter splits the head evenly: one column".to_owned(),
        });
        head.finish(&mut sniffed, reading.as_ref());
        return Ok(sniffed);
    };
    let best = match readings.iter().find(|reading| reading.dialect == usual && reading.is_clean()) {
        Some(clean) if clean.dialect.delimiter() != best.dialect.delimiter() && !best.is_all_values(&head) => {
            sniffed.warnings.push(format!(
                "fields are split at {}, which fits every record; {} would do so, too\nhint: --delimiter '{}' splits there",
                show(clean.dialect.delimiter()),
                show(best.dialect.delimiter()),
                given_as(best.dialect.delimiter())
            ));
            clean
        }
        _ => best,
    };
    let is_other = |reading: &&Reading| reading.dialect.delimiter() != best.dialect.delimiter();
    let second = readings.iter().filter(is_other).map(|reading| reading.score).fold(0.0, f64::max);
    sniffed.confidence = best.consistency * (1.0 - 0.5 * second / best.score).max(0.0);
    sniffed.format = head.format(best.dialect);
    sniffed.skip_rows = given_skip + best.skip_lines;
    sniffed.reasons.extend(best.reasons(usual));
    if best.skip_lines > 0 {
        let lines = if best.skip_lines == 1 { "1 line".to_owned() } else { format!("{} lines", best.skip_lines) };
        sniffed.warnings.push(format!(
            "{lines} before the table are not read\nhint: --skip-rows {given_skip} reads the table from line {}",
            given_skip + 1
        ));
    }
    if options.comment.is_none() && best.has_comments(&head) {
        sniffed.warnings.push(format!(
            "lines that begin with {:?} are comments and not read\nhint: --comment none reads them",
            char::from(COMMENT)
        ));
    }
    head.finish(&mut sniffed, Some(best));
    Ok(sniffed)
}

/// A delimiter as flags name it.
fn given_as(delimiter: u8) -> String {
    if delimiter == b'\t' { "tab".to_owned() } else { char::from(delimiter).to_string() }
}

/// A byte as it is named in messages.
pub(super) fn show(byte: u8) -> String {
    match byte {
        b'\t' => "tabs".to_owned(),
        b',' => "commas".to_owned(),
        b';' => "semicolons".to_owned(),
        b' ' => "spaces".to_owned(),
        byte => format!("{:?}", char::from(byte)),
    }
}

/// Offset behind `lines` lines from `at` on, or the end of the text.
pub(super) fn line_start(text: &[u8], mut at: usize, lines: usize, line_end: LineEnd) -> usize {
    for _ in 0..lines {
        at = memchr(line_end.byte(), &text[at..]).map_or(text.len(), |end| at + end + 1);
    }
    at
}

/// Lines end with a carriage return alone where the first one does and no line feed stands outside of quotes.
fn line_end(head: &[u8]) -> LineEnd {
    let first = memchr2(b'\n', b'\r', head);
    if !first.is_some_and(|at| head[at] == b'\r' && head.get(at + 1) != Some(&b'\n')) {
        return LineEnd::Newline;
    }
    let mut quoted = false;
    for at in memchr2_iter(b'"', b'\n', head) {
        if head[at] == b'\n' && !quoted {
            return LineEnd::Newline;
        }
        quoted ^= head[at] == b'"';
    }
    LineEnd::CarriageReturn
}

/// The dialect that is tried first, and kept if nothing else fits.
fn usual_dialect(options: &CsvOptions, likely: Option<Dialect>) -> Result<Dialect> {
    let likely = likely.unwrap_or_default();
    let delimiter = options.delimiter.unwrap_or(likely.delimiter());
    let quote = options.quote.unwrap_or_else(|| likely.quote().filter(|&quote| quote != delimiter));
    let bare = Dialect::new(delimiter, quote)?;
    let escaped = match options.escape {
        Some(given) => bare.with_escape(given)?,
        // What is only likely gives way to what is given.
        None => bare.with_escape(likely.escape()).unwrap_or(bare),
    };
    match options.comment {
        Some(given) => escaped.with_comment(given),
        None => Ok(escaped.with_comment(likely.comment()).unwrap_or(escaped)),
    }
}

/// The beginning of a file.
#[derive(Clone, Copy)]
struct Head<'a> {
    text: &'a [u8],
    /// Where its first record may begin.
    start: usize,
    at_end: bool,
    line_end: LineEnd,
    options: &'a CsvOptions,
}

impl Head<'_> {
    fn format(&self, dialect: Dialect) -> Format {
        Format { dialect, ..self.options.format() }
    }

    /// The same, no longer than what is looked at in detail.
    fn shortened(&self) -> Self {
        let usual_end = self.text.len().min(self.start + LOOK_BYTES);
        let has_line = memchr(self.line_end.byte(), &self.text[self.start..usual_end]).is_some();
        let end = if has_line { usual_end } else { self.text.len().min(self.start + LOOK_BYTES_AT_MOST) };
        Head { text: &self.text[..end], at_end: self.at_end && end == self.text.len(), ..*self }
    }

    /// Whether the dialect splits every record into the same number of two or more fields, and nothing in the first
    /// line hints at another delimiter, at comments or at other quotes.
    fn is_plain(&self, dialect: &Dialect) -> bool {
        let Head { text, at_end, .. } = self.shortened();
        let mut ends = Vec::new();
        let Some(first) = scan_record(text, self.start, dialect, at_end, 0, &mut ends) else { return false };
        if first.blank || first.fields < 2 || first.trouble.is_some() {
            return false;
        }
        let line = &text[self.start..first.next];
        let is_other = |byte: &u8| *byte != dialect.delimiter() && DELIMITERS.contains(byte);
        if line.iter().any(is_other) && self.options.delimiter.is_none() {
            return false;
        }
        if self.has_comment_lines(text) && self.options.comment.is_none() && dialect.comment() != Some(COMMENT) {
            return false;
        }
        let second = &text[first.next..line_start(text, first.next, 1, self.line_end)];
        let single = |line: &[u8]| memchr(b'\'', line).is_some_and(|at| at == 0 || line[at - 1] == dialect.delimiter());
        if self.options.quote.is_none() && dialect.quote() != Some(b'\'') && (single(line) || single(second)) {
            return false;
        }
        let mut index = RecordIndex::new();
        let part = split(text, self.start, dialect, first.fields, at_end, Limits::NONE, &mut index);
        // A record longer than this is a quote that was opened by mistake, or rare enough for the slow way.
        part.malformed.is_none() && text.len() - part.consumed <= LOOK_BYTES / 2 && index.records() > 0
    }

    /// Whether lines of `text` begin as comments do.
    fn has_comment_lines(&self, text: &[u8]) -> bool {
        text.get(self.start) == Some(&COMMENT) || memmem::find(text, &[self.line_end.byte(), COMMENT]).is_some()
    }

    /// The readings that could be right.
    fn readings(&self, usual: Dialect) -> Vec<Reading> {
        let head = self.shortened();
        let text = &head.text[head.start.min(head.text.len())..];
        let options = self.options;
        let delimiters = match options.delimiter {
            Some(given) => vec![given],
            None => {
                let others = DELIMITERS.into_iter().filter(|&byte| byte != usual.delimiter());
                let all = std::iter::once(usual.delimiter()).chain(others);
                all.filter(|&byte| memchr(byte, text).is_some()).collect()
            }
        };
        let mut readings = Vec::new();
        for &delimiter in &delimiters {
            head.readings_at(delimiter, usual, &mut readings);
        }
        if readings.is_empty() && options.delimiter.is_none() && memchr(b' ', text).is_some() {
            head.readings_at(b' ', usual, &mut readings);
            readings.retain(Reading::is_surely_spaced);
        }
        readings
    }

    fn readings_at(&self, delimiter: u8, usual: Dialect, readings: &mut Vec<Reading>) {
        let text = &self.text[self.start.min(self.text.len())..];
        let options = self.options;
        let quotes = match options.quote {
            Some(given) => vec![given],
            None => {
                let usual = usual.quote().filter(|&quote| quote != delimiter).or(Some(b'"'));
                let is_possible = |quote: &Option<u8>| {
                    *quote != usual
                        && quote.is_none_or(|byte| byte != delimiter && memchr(byte, text).is_some())
                        && self.is_quoted_by(*quote, delimiter)
                };
                let others = [Some(b'"'), Some(b'\''), None].into_iter().filter(is_possible);
                std::iter::once(usual).chain(others).collect()
            }
        };
        let comments = match options.comment {
            Some(given) => vec![given],
            None if self.has_comment_lines(self.text) => vec![None, Some(COMMENT)],
            None => vec![None],
        };
        let rank = if delimiter == usual.delimiter() { 0 } else { 1 };
        for &quote in &quotes {
            let escapes = match (options.escape, quote) {
                (Some(given), _) => vec![given],
                (None, Some(quote)) if memmem::find(text, &[ESCAPE, quote]).is_some() => vec![None, Some(ESCAPE)],
                (None, _) => vec![None],
            };
            for &escape in &escapes {
                for &comment in &comments {
                    let dialect = Dialect::new(delimiter, quote)
                        .and_then(|dialect| dialect.with_escape(escape))
                        .and_then(|dialect| dialect.with_comment(comment))
                        .map(|dialect| dialect.with_line_end(self.line_end));
                    let Ok(dialect) = dialect else { continue };
                    let is_possible = |reading: &Reading| {
                        reading.is_possible(self) && (options.comment.is_some() || reading.comments_are_none(self))
                    };
                    readings.extend(Reading::of(self, dialect, rank).filter(is_possible));
                }
            }
        }
    }

    /// Whether the head speaks for an unusual quote: fields between single quotes, and none between double ones; or,
    /// for no quotes at all, double quotes that begin fields of text again and again without ending them. Those before
    /// numbers and the like are strays: they would make text of columns that hold none.
    fn is_quoted_by(&self, quote: Option<u8>, delimiter: u8) -> bool {
        let whole = |byte: u8| {
            let (mut opened, mut closed) = (0, 0);
            for line in
                self.text[self.start.min(self.text.len())..].split(|&byte| byte == self.line_end.byte()).take(1000)
            {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                for field in line.split(|&byte| byte == delimiter) {
                    let opens = field.first() == Some(&byte);
                    opened += usize::from(opens);
                    closed += usize::from(field.len() > 1 && field.last() == Some(&byte));
                }
            }
            (opened, closed)
        };
        match quote {
            Some(b'"') => true,
            Some(byte) => {
                let (opened, closed) = whole(byte);
                opened >= 2 && opened == closed && whole(b'"').0 == 0
            }
            None => {
                let (opened, closed) = whole(b'"');
                opened >= 3 && closed * 2 < opened && self.stray_quotes_stand_before_text(delimiter)
            }
        }
    }

    /// Whether of the double quotes that begin a field and do not end it at least half stand before text.
    fn stray_quotes_stand_before_text(&self, delimiter: u8) -> bool {
        let Ok(dialect) = Dialect::new(delimiter, None) else { return false };
        let format = self.format(dialect.with_line_end(self.line_end));
        let (mut text, mut all) = (0_usize, 0_usize);
        let lines = self.text[self.start.min(self.text.len())..].split(|&byte| byte == self.line_end.byte());
        for line in lines.take(1000) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            for field in line.split(|&byte| byte == delimiter) {
                let Some(inner) = field.strip_prefix(b"\"").filter(|inner| !inner.ends_with(b"\"")) else { continue };
                let kind = kinds::kind(inner, &format);
                text += usize::from(kind == kinds::Kind::Text);
                all += usize::from(kind != kinds::Kind::Null);
            }
        }
        2 * text >= all
    }

    fn confidence_without_evidence(&self, reading: &Reading) -> f64 {
        let none = |bytes: &[u8]| memchr3(b',', b';', b'\t', bytes).is_none() && memchr(b'|', bytes).is_none();
        match reading.fields {
            1 if none(&self.text[self.start.min(self.text.len())..]) => 1.0,
            _ => reading.consistency * 0.5,
        }
    }

    /// Decimal mark and header of the table as `reading` has it.
    fn finish(&self, sniffed: &mut Sniffed, reading: Option<&Reading>) {
        let Some(reading) = reading else { return };
        sniffed.row_names = reading.names_rows;
        if sniffed.decimal_seen.is_none() {
            sniffed.decimal_seen = kinds::decimal_mark(reading, self.text, &sniffed.format);
            if sniffed.decimal_seen == Some(b',') {
                sniffed.format.numbers.decimal = b',';
                sniffed.reasons.push("decimal comma: values such as 3,14, and none with a decimal point".to_owned());
                if kinds::has_grouped_commas(reading, self.text, &sniffed.format) {
                    let numbers = "numbers such as 1.234,5 are text";
                    sniffed.warnings.push(format!("{numbers}\nhint: --thousands . reads them as numbers"));
                }
            }
        }
        if sniffed.row_names {
            let why = "the header has one name less than the records have fields, as R writes the names of rows";
            sniffed.has_header = true;
            sniffed.reasons.push(format!("header: {why}"));
            sniffed.warnings.push(format!(
                "{why}; the first field of each record is the column `row_names`\nhint: --no-header --skip-rows {} \
                 --delimiter '{}' reads the records without names",
                sniffed.skip_rows + 1,
                given_as(reading.dialect.delimiter()),
            ));
        } else if self.options.has_header.is_none() {
            let (has_header, why) = names::has_header(reading, self.text, &sniffed.format);
            sniffed.has_header = has_header;
            if !has_header {
                sniffed.warnings.push(format!("no header: {why}\nhint: --header takes the first record as names"));
            }
            sniffed.reasons.push(format!("{}: {why}", if has_header { "header" } else { "no header" }));
        }
    }
}
