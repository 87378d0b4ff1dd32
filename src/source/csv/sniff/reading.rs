//! One way to read the head, and how well it fits.

use super::kinds::{self, Kind};
use super::{Head, show};
use crate::source::csv::dialect::Dialect;
use crate::source::csv::record::{MalformedKind, scan_record};
use crate::source::csv::split::count_lines;
use memchr::memchr_iter;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Records looked at under each dialect.
const RECORDS: usize = 500;
/// Records whose fields are looked at for types.
const TYPED_RECORDS: usize = 50;
/// Share of the columns of one type other than text from which on spaces may delimit.
const SPACED_TYPED: f64 = 0.8;
/// Records of a preamble, at most.
const PREAMBLE: usize = 30;

/// The head under one dialect.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) dialect: Dialect,
    /// Fields of the table's records.
    pub(super) fields: usize,
    /// Lines before the table.
    pub(super) skip_lines: usize,
    /// Share of the table's records that have its number of fields.
    pub(super) consistency: f64,
    /// Higher is better.
    pub(super) score: f64,
    /// The records of the table that have its number of fields, the first record first: the ranges of their fields.
    pub(super) rows: Vec<Vec<Range<usize>>>,
    /// Records of the table.
    records: usize,
    /// Share of the columns with values whose values are of one type other than text.
    typed: f64,
    /// Records that break the grammar.
    breaches: usize,
    is_blank_before: bool,
    /// The first record is a header without a name for the first field of the others, which is the name of their row.
    pub(super) names_rows: bool,
}

/// A record of the head.
struct Seen {
    start: usize,
    fields: usize,
    breach: bool,
    after_blank: bool,
}

impl Reading {
    /// Reads the head under `dialect`; `None` when it holds no complete record. `rank` is 0 for the delimiter to
    /// prefer.
    pub(super) fn of(head: &Head<'_>, dialect: Dialect, rank: usize) -> Option<Reading> {
        let (records, covered) = see(head, &dialect);
        Reading::with_row_names(head, dialect, rank, &records, covered).or_else(|| {
            let first = first_of_table(&records)?;
            Reading::from(head, dialect, rank, &records, first, covered)
        })
    }

    /// The reading in which the first record is that of the table whatever follows.
    pub(super) fn of_first_record(head: &Head<'_>, dialect: Dialect) -> Option<Reading> {
        let head = &head.shortened();
        let (records, covered) = see(head, &dialect);
        Reading::from(head, dialect, 0, &records, 0, covered)
    }

    fn from(
        head: &Head<'_>,
        dialect: Dialect,
        rank: usize,
        records: &[Seen],
        first: usize,
        covered: f64,
    ) -> Option<Reading> {
        let Seen { start, fields, after_blank, .. } = *records.get(first)?;
        let table = &records[first..];
        let even = table.iter().filter(|record| record.fields == fields).count();
        let breaches = table.iter().filter(|record| record.breach).count();
        let is_even = |record: &&Seen| record.fields == fields && !record.breach;
        let rows: Vec<_> = table
            .iter()
            .filter(is_even)
            .take(TYPED_RECORDS + 1)
            .map(|record| fields_of(head, &dialect, record.start))
            .collect();
        let skip_lines = if first > 0 { count_lines(&head.text[head.start..start], &dialect) as usize } else { 0 };
        let mut reading = Reading {
            dialect,
            fields,
            skip_lines,
            consistency: covered * even as f64 / table.len() as f64,
            score: 0.0,
            typed: typed_share(&rows, fields, head, dialect),
            rows,
            records: table.len(),
            breaches,
            is_blank_before: after_blank,
            names_rows: false,
        };
        reading.score = reading.fit() * if rank == 0 { 1.05 } else { 1.0 };
        Some(reading)
    }

    /// The table that R and its like write with the names of rows, none standing above them: every record has one field
    /// more than the first, no two begin alike, and what the last field holds is not always empty, as behind a delimiter
    /// too many.
    fn with_row_names(
        head: &Head<'_>,
        dialect: Dialect,
        rank: usize,
        records: &[Seen],
        covered: f64,
    ) -> Option<Reading> {
        let (header, table) = records.split_first()?;
        let fields = header.fields + 1;
        if header.breach || table.len() < 2 || head.options.has_header == Some(false) {
            return None;
        }
        let names = fields_of(head, &dialect, header.start);
        let raw = &head.text[header.start..names.last()?.end];
        let is_even = |record: &Seen| match record.fields == fields {
            true => !record.breach,
            // The header comes again.
            false => record.fields == header.fields && head.text[record.start..].starts_with(raw),
        };
        if !table.iter().all(is_even) {
            return None;
        }
        let mut reading = Reading::from(head, dialect, rank, records, 1, covered)?;
        let field = |range: &Range<usize>| &head.text[range.clone()];
        let is_quoted =
            |range: &Range<usize>| dialect.quote().is_some_and(|quote| field(range).first() == Some(&quote));
        let format = head.format(dialect);
        let are_names = names.iter().all(|name| kinds::kind(field(name), &format) == Kind::Text);
        let first: BTreeSet<&[u8]> = reading.rows.iter().filter_map(|row| row.first()).map(field).collect();
        let all_quoted = names.iter().chain(reading.rows.iter().filter_map(|row| row.first())).all(is_quoted);
        let ends_empty = reading.rows.iter().filter_map(|row| row.last()).all(Range::is_empty);
        // A single name above two columns may be a title.
        let is_sure = all_quoted || fields > 2 && (dialect.delimiter() != b' ' || reading.typed >= SPACED_TYPED);
        if !are_names || !is_sure || first.len() < reading.rows.len() || ends_empty {
            return None;
        }
        reading.rows.insert(0, names);
        reading.skip_lines = 0;
        reading.consistency = covered;
        reading.names_rows = true;
        reading.score = reading.fit() * if rank == 0 { 1.05 } else { 1.0 };
        Some(reading)
    }

    /// Consistency counts most, then types; more columns are better than fewer; what takes a preamble, comments or
    /// breaches of the grammar to explain is worse than what does not.
    fn fit(&self) -> f64 {
        let columns = 1.0 - 1.0 / self.fields as f64;
        let unbroken = 1.0 - self.breaches as f64 / self.records as f64;
        let preamble = if self.skip_lines > 0 { 0.8 } else { 1.0 };
        let comment = if self.dialect.comment().is_some() { 0.95 } else { 1.0 };
        let escape = if self.dialect.escape().is_some() { 0.95 } else { 1.0 };
        let consistency = self.consistency * self.consistency;
        consistency * (0.75 + 0.25 * columns) * (0.6 + 0.4 * self.typed) * unbroken * preamble * comment * escape
    }

    /// Whether there is evidence enough to take this reading.
    pub(super) fn is_possible(&self, head: &Head<'_>) -> bool {
        let is_given = head.options.delimiter.is_some() || self.dialect.delimiter() == b',';
        let enough = if is_given { 0.5 } else { 0.9 };
        let several = self.rows.len() >= 2 || self.records == 1 && self.is_line_of_names(head);
        let preamble = self.skip_lines == 0
            || self.consistency >= 0.9
                && self.rows.len() >= 2
                && (self.fields >= 3 || self.is_blank_before || self.has_typed_columns_below_text(head));
        self.fields >= 2 && self.score > 0.0 && self.consistency >= enough && several && preamble
    }

    /// Where comment lines below the first record begin.
    fn comments<'a>(&self, head: &Head<'a>) -> impl Iterator<Item = usize> + use<'a> {
        let (text, comment) = (head.text, self.dialect.comment());
        let first = self.rows.first().and_then(|row| row.first()).map_or(head.start, |field| field.start);
        let line_ends = memchr_iter(self.dialect.line_end().byte(), &text[first..]);
        line_ends.map(move |at| first + at + 1).filter(move |&at| comment.is_some() && text.get(at).copied() == comment)
    }

    /// Whether comments stand below the first record.
    pub(super) fn has_comments(&self, head: &Head<'_>) -> bool {
        self.comments(head).next().is_some()
    }

    /// Whether most of what would be comments below the first record are not records of as many fields as the others.
    pub(super) fn comments_are_none(&self, head: &Head<'_>) -> bool {
        let Ok(dialect) = self.dialect.with_comment(None) else { return true };
        let (mut records, mut others) = (0, 0);
        let mut ends = Vec::new();
        for start in self.comments(head) {
            match scan_record(head.text, start, &dialect, head.at_end, 0, &mut ends) {
                Some(record) if record.fields == self.fields && record.trouble.is_none() => records += 1,
                _ => others += 1,
            }
        }
        records <= others
    }

    /// Whether every record has as many fields as the others, two or more, and there is nothing to explain away.
    pub(super) fn is_clean(&self) -> bool {
        self.fields >= 2 && self.consistency >= 1.0 && self.breaches == 0 && self.skip_lines == 0
    }

    /// Whether there are numbers, dates and truth values only, the first record included.
    pub(super) fn is_all_values(&self, head: &Head<'_>) -> bool {
        let format = head.format(self.dialect);
        let is_value = |field: &Range<usize>| kinds::kind(&head.text[field.clone()], &format) != Kind::Text;
        self.is_clean() && self.typed >= 1.0 && self.rows.iter().flatten().all(is_value)
    }

    /// Spaces stand in prose too: only a table of numbers without exception is split at them.
    pub(super) fn is_surely_spaced(&self) -> bool {
        let is_even = self.consistency >= 1.0 && self.skip_lines == 0 && self.rows.len() >= 3;
        is_even && (self.typed >= SPACED_TYPED || self.names_rows)
    }

    /// A single record whose fields look like names.
    fn is_line_of_names(&self, head: &Head<'_>) -> bool {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.\"' ".contains(byte) || !byte.is_ascii();
        self.rows.iter().flatten().all(|field| {
            let field = &head.text[field.clone()];
            (1..=64).contains(&field.len()) && field.iter().all(is_part)
        })
    }

    fn has_typed_columns_below_text(&self, head: &Head<'_>) -> bool {
        let format = head.format(self.dialect);
        let first = self.rows.first().map(Vec::as_slice).unwrap_or_default();
        self.typed > 0.0 && first.iter().all(|field| kinds::kind(&head.text[field.clone()], &format) == Kind::Text)
    }

    /// The rows but for the first, which may hold names, unless it is the only one.
    pub(super) fn data(&self) -> &[Vec<Range<usize>>] {
        if self.rows.len() > 1 { &self.rows[1..] } else { &self.rows }
    }

    /// Sentences about what is not usual.
    pub(super) fn reasons(&self, usual: Dialect) -> Vec<String> {
        let mut reasons = vec![format!(
            "{:.0} % of {} records have {} fields when split at {}, {:.0} % of the columns are of one type other than text",
            100.0 * self.consistency,
            self.records,
            self.fields,
            show(self.dialect.delimiter()),
            100.0 * self.typed,
        )];
        match self.dialect.quote() {
            quote if quote == usual.quote() => {}
            Some(quote) => reasons.push(format!("fields stand between {:?}", char::from(quote))),
            None => reasons.push("quotes begin fields that they do not end, so they are data".to_owned()),
        }
        if let Some(escape) = self.dialect.escape() {
            reasons.push(format!("{:?} stands before quotes inside of quoted fields", char::from(escape)));
        }
        if let Some(comment) = self.dialect.comment() {
            reasons.push(format!(
                "lines that begin with {:?} are comments: most of them do not fit the table",
                char::from(comment)
            ));
        }
        if self.skip_lines > 0 {
            reasons.push(format!("{} lines before the table have fewer fields", self.skip_lines));
        }
        reasons
    }
}

/// The records of the head that are not blank, and which share of it they cover.
fn see(head: &Head<'_>, dialect: &Dialect) -> (Vec<Seen>, f64) {
    let (text, mut at) = (head.text, head.start);
    let mut records = Vec::new();
    let mut ends = Vec::new();
    let mut after_blank = false;
    while at < text.len() && records.len() < RECORDS {
        let Some(record) = scan_record(text, at, dialect, head.at_end, 0, &mut ends) else {
            // What is left may be long because a quote swallows it, or short because the head is cut there.
            let covered = (at - head.start) as f64 / (text.len() - head.start) as f64;
            return (records, if covered < 0.75 { covered } else { 1.0 });
        };
        if !record.blank && !record.comment {
            let breach = record.trouble.is_some_and(|(_, kind)| {
                matches!(kind, MalformedKind::UnterminatedQuote | MalformedKind::TextAfterQuote)
            });
            records.push(Seen { start: at, fields: record.fields, breach, after_blank });
        }
        after_blank = record.blank;
        at = record.next;
    }
    (records, 1.0)
}

/// The first record of the table: the first with the commonest number of fields, if those before it look like titles,
/// else the first of all.
fn first_of_table(records: &[Seen]) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for record in records {
        *counts.entry(record.fields).or_default() += 1;
    }
    let (&fields, _) = counts.iter().max_by_key(|&(fields, count)| (count, fields))?;
    let first = records.iter().position(|record| record.fields == fields)?;
    let is_title = |record: &Seen| !record.breach && (record.fields == 1 || record.fields * 2 <= fields);
    let titles = records[..first].iter().all(is_title) && first <= PREAMBLE;
    Some(if titles { first } else { 0 })
}

fn fields_of(head: &Head<'_>, dialect: &Dialect, start: usize) -> Vec<Range<usize>> {
    let mut ends = Vec::new();
    // The record was seen before, so it is complete.
    let _ = scan_record(head.text, start, dialect, head.at_end, usize::MAX, &mut ends);
    let mut at = start;
    ends.iter()
        .map(|&end| {
            let field = at..end as usize;
            at = field.end + 1;
            field
        })
        .collect()
}

fn typed_share(rows: &[Vec<Range<usize>>], fields: usize, head: &Head<'_>, dialect: Dialect) -> f64 {
    let format = head.format(dialect);
    let data = if rows.len() > 1 { &rows[1..] } else { rows };
    let kinds = (0..fields).map(|field| kinds::of_column(data, field, head.text, &format));
    let (mut with_values, mut typed) = (0_usize, 0_usize);
    for kind in kinds {
        with_values += usize::from(kind != Kind::Null);
        typed += usize::from(!matches!(kind, Kind::Null | Kind::Text));
    }
    typed as f64 / with_values.max(1) as f64
}
