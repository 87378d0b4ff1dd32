//! One file of a set: its dialect, its header, and the types that its samples suggest.

use super::batches::shorten;
use super::column::ColumnSpec;
use super::encoding::{Encoding, InvalidBytes, byte_order_mark};
use super::fields::Format;
use super::guess::guess_record_start;
use super::header::{Header, parse_header_at};
use super::index::RecordIndex;
use super::infer::{TypeGuess, widened_type};
use super::options::{CsvOptions, MalformedPolicy};
use super::sniff::{Sniffed, line_start, sniff};
use super::split::{MAX_TEXT, count_lines};
use super::take::{Headers, Long, Rules, Span};
use super::{Dialect, record};
use crate::error::{Error, ErrorKind, Result};
use crate::source::TextInputs;
use crate::source::decompress::{InvalidText, TextFile, TextSample};
use crate::source::paths::bare_name;
use crate::types::ColumnType;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Text looked at first in each file.
const SAMPLE_BYTES: usize = 64 << 10;
/// Where the head is not so many times as long as the header, it may hold no record below it to tell types by.
const HEADERS_IN_HEAD: usize = 4;
/// Records looked at in each sample, spread evenly.
const SAMPLE_RECORDS: usize = 1000;

/// What was seen of one file.
pub(super) struct Looked {
    pub(super) text: TextFile,
    pub(super) sniffed: Sniffed,
    pub(super) malformed: MalformedPolicy,
    pub(super) header: Header,
    /// Whether the names are those of the first file, the records having none of their own.
    pub(super) by_position: bool,
    pub(super) header_lines: u64,
    /// One a field; without evidence where the file was not sampled.
    pub(super) guesses: Vec<FieldGuess>,
    /// Positions of the samples that the types were taken from.
    pub(super) samples: Vec<u64>,
}

/// What the first file of the set tells about the others.
pub(super) struct First {
    format: Format,
    names: Vec<String>,
    /// The same, to be looked up: there may be very many.
    known: HashSet<String>,
    has_header: bool,
    columns: Vec<ColumnSpec>,
}

impl Looked {
    pub(super) fn first(&self) -> First {
        let dates = &self.sniffed.format.dates;
        let column = |(index, FieldGuess { guess, .. }): (usize, &FieldGuess)| ColumnSpec {
            index,
            column_type: guess.column_type(),
            declared: false,
            date_format: guess.date_format(dates),
        };
        First {
            format: self.sniffed.format.clone(),
            names: self.header.names.clone(),
            known: self.header.names.iter().cloned().collect(),
            has_header: self.sniffed.has_header,
            columns: self.guesses.iter().enumerate().map(column).collect(),
        }
    }
}

/// The type of a field as its samples suggest it, and the value that made it text after others were not.
#[derive(Clone, Default)]
pub(super) struct FieldGuess {
    pub(super) guess: TypeGuess,
    pub(super) why_text: Option<String>,
}

impl FieldGuess {
    /// Takes in what `change` sees; `why` tells of it if it makes text of what was not.
    pub(super) fn take(&mut self, change: impl FnOnce(&mut TypeGuess), why: impl FnOnce() -> String) {
        let before = self.guess.column_type();
        change(&mut self.guess);
        let is_new = before != ColumnType::Null && before != ColumnType::Utf8;
        if is_new && self.guess.column_type() == ColumnType::Utf8 && self.why_text.is_none() {
            self.why_text = Some(why());
        }
    }
}

/// Opens one file and looks at it; `None` when it holds no record at all. Types are taken from samples of all of it,
/// or, if it is not to be `sampled`, from its head and only where it has columns that the first file has not. `first`
/// is asked for once the file has been read.
pub(super) fn look_at<'a>(
    path: &Path,
    options: &CsvOptions,
    inputs: &TextInputs,
    sampled: bool,
    first: impl FnOnce() -> Option<&'a First>,
) -> Result<Option<Looked>> {
    let invalid = match (options.encoding, options.invalid_bytes) {
        (Encoding::Undeclared, _) => InvalidText::AsDeclared,
        (_, InvalidBytes::Error) => InvalidText::Fail,
        (_, InvalidBytes::Replace) => InvalidText::Replace,
    };
    let text = inputs.open(path, options.encoding.text_options(invalid))?;
    // What was transcoded on the way is UTF-8, whatever was declared.
    let options = &CsvOptions { encoding: options.encoding.of_fields(&text), ..options.clone() };
    let mut samples = read_samples(&text, SAMPLE_BYTES, sampled)?;
    let first = first();
    let Some((sniffed, header, by_position)) = read_header(&text, path, &mut samples, sampled, options, first)? else {
        return Ok(None);
    };
    let mut guesses = vec![FieldGuess::default(); header.names.len()];
    let has_new = first.is_none_or(|first| header.names.iter().any(|name| !first.known.contains(name)));
    let mut positions = Vec::new();
    for sample in samples.iter().filter(|_| sampled || has_new) {
        observe(sample, &header, &sniffed.format, options.malformed, text.input().name(), &mut guesses);
        positions.push(sample.position);
    }
    let header_lines =
        samples.first().map_or(0, |sample| count_lines(&sample.text[..header.data_start], &sniffed.format.dialect));
    let malformed = options.malformed;
    Ok(Some(Looked { text, sniffed, malformed, header, by_position, header_lines, guesses, samples: positions }))
}

fn read_samples(text: &TextFile, bytes: usize, all: bool) -> Result<Vec<TextSample>> {
    if all {
        return text.samples(bytes);
    }
    let head = text.sample_head(bytes)?;
    text.input().settle_head();
    Ok(vec![head])
}

/// The header of a file and how it is read; `None` when it holds no record at all. More is read where the samples do
/// not hold a complete record.
fn read_header(
    text: &TextFile,
    path: &Path,
    samples: &mut Vec<TextSample>,
    sampled: bool,
    options: &CsvOptions,
    first: Option<&First>,
) -> Result<Option<(Sniffed, Header, bool)>> {
    let mut sample_bytes = SAMPLE_BYTES;
    let likely = match first {
        _ if is_tsv(path) => Dialect::new(b'\t', Some(b'"')).ok(),
        first => first.map(|first| first.format.dialect),
    };
    let located = |error: Error| error.with_place(|place| place.file = Some(Arc::clone(text.input().name())));
    loop {
        let Some(head) = samples.first() else { return Ok(None) };
        let mut sniffed = sniff(&head.text, head.is_end, options, likely).map_err(located)?;
        sniffed.format.encoding.check(&sniffed.format.dialect).map_err(located)?;
        let start = byte_order_mark(&head.text);
        let start = line_start(&head.text, start, sniffed.skip_rows, sniffed.format.dialect.line_end());
        let read = |sniffed: &Sniffed| {
            let Sniffed { format, has_header, row_names, .. } = sniffed;
            parse_header_at(&head.text, start, format, *has_header, *row_names, head.is_end).map_err(located)
        };
        let may_grow = !head.is_end && head.text.len() >= sample_bytes && sample_bytes < options.max_record_bytes;
        let found = read(&sniffed)?;
        if may_grow && found.as_ref().is_some_and(|header| head.text.len() < HEADERS_IN_HEAD * header.data_start) {
            sample_bytes = (sample_bytes * 4).min(options.max_record_bytes);
            *samples = read_samples(text, sample_bytes, sampled)?;
            continue;
        }
        if let Some(mut header) = found {
            let mut by_position = false;
            if let Some(first) = first {
                let decided = sniffed.has_header;
                recognise(&head.text, start, head.is_end, options, first, &mut sniffed)?;
                if decided != sniffed.has_header
                    && let Some(again) = read(&sniffed)?
                {
                    header = again;
                }
                if first.has_header && !sniffed.has_header && header.names.len() == first.names.len() {
                    header.names.clone_from(&first.names);
                    by_position = true;
                }
            }
            return Ok(Some((sniffed, header, by_position)));
        }
        if head.is_end {
            return Ok(None);
        }
        if head.text.len() > options.max_record_bytes || head.text.len() < sample_bytes {
            let message = format!("the first {} bytes hold no complete record", head.text.len());
            return Err(located(
                Error::new(ErrorKind::Limit, message).hint("is this CSV? --quote and --delimiter state the dialect"),
            ));
        }
        sample_bytes = (sample_bytes * 4).min(options.max_record_bytes.saturating_add(1));
        *samples = read_samples(text, sample_bytes, sampled)?;
    }
}

/// Decides anew whether a file has a header, knowing the first file: a first record that has a name of it is a header;
/// one whose fields fit its types, in place, is data.
fn recognise(
    text: &[u8],
    start: usize,
    at_end: bool,
    options: &CsvOptions,
    first: &First,
    sniffed: &mut Sniffed,
) -> Result<()> {
    if options.has_header.is_some() || !options.sniff {
        return Ok(());
    }
    let format = &sniffed.format;
    let mut decide = |has_header: bool, why: &str| {
        sniffed.has_header = has_header;
        sniffed.reasons.retain(|reason| !reason.starts_with("header") && !reason.starts_with("no header"));
        sniffed.warnings.retain(|warning| !warning.starts_with("no header"));
        sniffed.reasons.push(format!("{}: {why}", if has_header { "header" } else { "no header" }));
        if first.has_header && !has_header {
            sniffed.warnings.push(format!(
                "no header: {why}; columns are those of the first file, in its order\nhint: --header takes the first record as names"
            ));
        }
    };
    let Ok(Some(header)) = parse_header_at(text, start, format, true, sniffed.row_names, at_end) else {
        return Ok(());
    };
    if first.has_header && header.names.iter().any(|name| first.known.contains(name)) {
        decide(true, "the first record has names of the first file");
        return Ok(());
    }
    if header.names.len() != first.names.len() || sniffed.row_names {
        return Ok(());
    }
    let mut ends = Vec::new();
    let mut at = start;
    while let Some(seen) = record::scan_record(text, at, &format.dialect, at_end, usize::MAX, &mut ends)
        && (seen.blank || seen.comment)
        && seen.next < text.len()
    {
        at = seen.next;
        ends.clear();
    }
    let fits = |(&end, column): (&u32, &ColumnSpec)| {
        let raw = &text[at..end as usize];
        at = end as usize + 1;
        widened_type(column, raw, format) == column.column_type
    };
    let is_typed = |column: &ColumnSpec| !matches!(column.column_type, ColumnType::Null | ColumnType::Utf8);
    if first.columns.iter().any(is_typed) && ends.iter().zip(&first.columns).all(fits) {
        decide(false, "the first record fits the types of the first file");
    }
    Ok(())
}

fn observe(
    sample: &TextSample,
    header: &Header,
    format: &Format,
    malformed: MalformedPolicy,
    file: &str,
    guesses: &mut [FieldGuess],
) {
    let fields = header.names.len();
    let start = if sample.is_start {
        Some(header.data_start)
    } else {
        guess_record_start(&sample.text, &format.dialect, fields)
    };
    let Some(start) = start else { return };
    let mut index = RecordIndex::new();
    // Malformed records are the pass's to report; the sample goes on behind them, with those that will be padded.
    let malformed = if malformed == MalformedPolicy::Pad { malformed } else { MalformedPolicy::Skip };
    let headers = match &*header.raw {
        raw if fields > 1 && !raw.is_empty() => Headers::of(raw, &format.dialect),
        _ => Headers::none(),
    };
    let rules = Rules { dialect: format.dialect, fields, malformed, headers, max_record_bytes: MAX_TEXT };
    let span = Span { text: &sample.text, from: start, until: sample.text.len(), at_end: sample.is_end };
    rules.take(span, usize::MAX, &mut index, Long::Stop);
    let step = index.records().div_ceil(SAMPLE_RECORDS).max(1);
    for (field, guess) in guesses.iter_mut().enumerate() {
        for record in (0..index.records()).step_by(step) {
            if index.lacks(record, field) {
                continue;
            }
            let range = index.field(record, field);
            let raw = &sample.text[range.clone()];
            let why = || {
                let line = sample
                    .is_start
                    .then(|| format!(", line {}", 1 + count_lines(&sample.text[..range.start], &format.dialect)));
                format!("{file}{} holds {:?}", line.unwrap_or_default(), shorten(raw))
            };
            guess.take(|guess| guess.observe(raw, format), why);
        }
    }
}

/// Whether the name says tab-separated, compressed or not.
fn is_tsv(file: &Path) -> bool {
    let name = bare_name(file);
    name.ends_with(".tsv") || name.ends_with(".tab")
}
