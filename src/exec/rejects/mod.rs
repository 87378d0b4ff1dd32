//! Records and values set aside: counted once a run, told of in one warning, and written to a file if asked for.
//!
//! **Problem.** Passes overlap: a question that runs again over wider types meets the same records again, and one with
//! a limit wants only those before its last row; yet each record counts once, whoever met it first.
//! **Idea.** While a pass runs, what it sets aside goes into a [`Log`] in input order, with the stages it concerns.
//! When the run is over, the logs of all passes over an input are merged by row, and what concerns a stage that kept
//! its result counts. A pass whose stages want every row needs no log of records that only count.
//! **Invariant.** Counts, warnings and file depend on the inputs and the questions alone.

mod file;
mod log;
mod merge;
mod sent;

use super::options::RunOptions;
use crate::batch::RowId;
use crate::error::{Place, Result};
use crate::source::{Committed, Locate, Named, RejectedRecords};
use log::Log;
pub(super) use merge::{PassRejects, Wants, check_place, finish};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a row is named: what was done with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The record was set aside.
    Record,
    /// A question did without it for its value in this column of the source.
    Value(u32),
    /// It was padded.
    Padded,
    /// It repeats the header.
    Header,
}

/// What a record counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Record,
    Value,
    Padded,
    Header,
}

/// All classes, by their numbers.
const CLASSES: [Class; 4] = [Class::Record, Class::Value, Class::Padded, Class::Header];

impl Cause {
    fn class(self) -> Class {
        match self {
            Cause::Record => Class::Record,
            Cause::Value(_) => Class::Value,
            Cause::Padded => Class::Padded,
            Cause::Header => Class::Header,
        }
    }

    /// As a number that sorts alike.
    fn code(self) -> u64 {
        match self {
            Cause::Record => 0,
            Cause::Value(column) => 1 + u64::from(column),
            Cause::Padded => 1 << 33,
            Cause::Header => 1 << 34,
        }
    }

    fn of_code(code: u64) -> Self {
        match code {
            0 => Cause::Record,
            code if code == 1 << 33 => Cause::Padded,
            code if code == 1 << 34 => Cause::Header,
            code => Cause::Value((code - 1) as u32),
        }
    }
}

/// The first record of a class that concerns a set of stages.
#[derive(Clone, Debug)]
struct First {
    row: RowId,
    place: Place,
    reason: Arc<str>,
}

/// A value for which a stage does without a row.
#[derive(Clone, Debug)]
pub(super) struct RejectedValue {
    pub(super) row: RowId,
    /// Index into the columns of the pass.
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) reason: Arc<str>,
}

/// The rejects of a pass under way.
pub(super) struct Rejects {
    log: Log,
    logs_all: bool,
    /// Sets of stages that entries of the log concern; the first is all of them.
    sets: Vec<Vec<usize>>,
    /// What is not in the log, by class.
    unlogged: BTreeMap<Class, u64>,
    /// By class and set.
    firsts: BTreeMap<(Class, usize), First>,
    /// The columns of the pass, as indices into the source's.
    columns: Vec<usize>,
}

/// What a commit set aside, put together without holding up other workers.
pub(super) struct Found {
    /// Entries of the log for records that were set aside, in input order, if they are wanted.
    records: Vec<u8>,
    /// How many there are, and the first.
    rejects: u64,
    first: Option<(u64, Place, Arc<str>)>,
    padded: Named,
    headers: Named,
    values: Vec<FoundValue>,
}

/// A value, the stages that do without its row, and its line for the file.
struct FoundValue {
    value: RejectedValue,
    stages: Vec<usize>,
    body: Vec<u8>,
}

/// What of rejects must be kept until the end.
#[derive(Clone, Copy)]
pub(super) struct Keeping {
    /// A file wants the records themselves.
    bodies: bool,
    /// It must be known where each record stands.
    all: bool,
}

impl Keeping {
    pub(super) fn new(options: &RunOptions, any_limit: bool) -> Self {
        Keeping { bodies: options.rejects.is_some(), all: any_limit || options.rejects.is_some() }
    }
}

impl Found {
    /// What was set aside of a commit, and `values` for each stage.
    pub(super) fn of(
        item: &mut Committed,
        values: Vec<Vec<RejectedValue>>,
        locate: Option<&dyn Locate>,
        keeping: Keeping,
    ) -> Self {
        let rejects = std::mem::take(&mut item.rejects);
        let text = locate.filter(|_| keeping.bodies).map(Locate::text);
        let first = rejects.records.first().map(|first| {
            let place = rejects.place(first);
            (first.position, place, rejects.reason(first))
        });
        let any_value = values.iter().any(|values| !values.is_empty());
        Found {
            records: if keeping.all { logged(&rejects, text) } else { Vec::new() },
            rejects: rejects.records.len() as u64,
            first,
            padded: std::mem::take(&mut item.padded),
            headers: std::mem::take(&mut item.repeated_headers),
            values: if any_value { FoundValue::all(values, locate.filter(|_| keeping.bodies)) } else { Vec::new() },
        }
    }
}

/// Entries for records that were set aside; with lines for the file, if the text that they lie in is given.
fn logged(rejects: &RejectedRecords, text: Option<&[u8]>) -> Vec<u8> {
    let Some(text) = text else {
        let mut out = Vec::with_capacity(rejects.records.len() * log::HEAD_BYTES);
        for reject in &rejects.records {
            log::write(&mut out, reject.position, Cause::Record.code(), 0, |_| ());
        }
        return out;
    };
    let lines = file::Lines::new(rejects.file.as_deref().unwrap_or_default(), &rejects.reasons);
    let raw_bytes: usize = rejects.records.iter().map(|reject| reject.raw(text).len()).sum();
    let mut out = Vec::with_capacity(raw_bytes + rejects.records.len() * (log::HEAD_BYTES + lines.longest()));
    for reject in &rejects.records {
        log::write(&mut out, reject.position, Cause::Record.code(), 0, |body| {
            lines.write(body, reject.line, reject.byte, reject.reason as usize, reject.raw(text));
        });
    }
    out
}

/// The entries of `records`, which are of records set aside, and `others`, in input order.
fn merged(records: Vec<u8>, mut others: Vec<Entry>) -> Vec<u8> {
    if others.is_empty() {
        return records;
    }
    others.sort_by_key(|entry| (entry.position, entry.cause));
    let mut out = Vec::with_capacity(records.len());
    let mut others = others.into_iter().peekable();
    for (position, entry) in log::split(&records) {
        while let Some(other) = others.next_if(|other| other.position < position) {
            other.write(&mut out);
        }
        out.extend_from_slice(entry);
    }
    others.for_each(|other| other.write(&mut out));
    out
}

impl FoundValue {
    fn all(values: Vec<Vec<RejectedValue>>, locate: Option<&dyn Locate>) -> Vec<Self> {
        let mut found: BTreeMap<(RowId, usize), FoundValue> = BTreeMap::new();
        for (stage, values) in values.into_iter().enumerate() {
            for value in values {
                let key = (value.row, value.column);
                let new = || FoundValue { value, stages: Vec::new(), body: Vec::new() };
                found.entry(key).or_insert_with(new).stages.push(stage);
            }
        }
        if let Some(locate) = locate {
            let mut rows: Vec<RowId> = found.keys().map(|(row, _)| *row).collect();
            rows.dedup();
            let records = locate.records(&rows);
            for ((row, _), found) in &mut found {
                let record = rows.binary_search(row).ok().and_then(|at| records.get(at));
                if let Some((place, raw)) = record {
                    found.body = file::line(place, &found.value.reason, raw);
                }
            }
        }
        found.into_values().collect()
    }
}

/// One line of the log in the making.
struct Entry {
    position: u64,
    cause: Cause,
    set: usize,
    body: Vec<u8>,
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        let body = |out: &mut Vec<u8>| out.extend_from_slice(&self.body);
        log::write(out, self.position, self.cause.code(), self.set as u32, body);
    }
}

impl Rejects {
    pub(super) fn new(options: &RunOptions, columns: &[usize], stages: usize, keeping: Keeping) -> Self {
        Rejects {
            log: Log::new(&options.budget, &options.spill.until(&options.cancel)),
            logs_all: keeping.all,
            sets: vec![(0..stages).collect()],
            unlogged: BTreeMap::new(),
            firsts: BTreeMap::new(),
            columns: columns.to_vec(),
        }
    }

    /// Notes what was found of the commit `sequence` of `file`.
    pub(super) fn note(&mut self, file: u32, sequence: u64, found: Found, locate: Option<&dyn Locate>) -> Result<()> {
        let mut entries = Vec::new();
        self.note_named(file, Cause::Padded, found.padded, &mut entries);
        self.note_named(file, Cause::Header, found.headers, &mut entries);
        if let Some((position, place, reason)) = found.first {
            self.note_first(Class::Record, 0, RowId::new(file, position), || (place, reason));
        }
        if !self.logs_all && found.rejects > 0 {
            *self.unlogged.entry(Class::Record).or_default() += found.rejects;
        }
        for FoundValue { value, stages, body } in found.values {
            let (set, row) = (self.set(stages), value.row);
            self.note_first(Class::Value, set, row, || {
                let place = locate.map(|locate| locate.place(row)).unwrap_or_default();
                (Place { record: None, value: Some(value.text), ..place }, value.reason)
            });
            let column = self.columns.get(value.column).copied().unwrap_or_default() as u32;
            entries.push(Entry { position: row.position, cause: Cause::Value(column), set, body });
        }
        self.log.add(file, sequence, merged(found.records, entries))
    }

    fn note_named(&mut self, file: u32, cause: Cause, named: Named, entries: &mut Vec<Entry>) {
        let Some(&position) = named.positions.first() else { return };
        let place = || (named.first.clone().unwrap_or_default(), Arc::from(""));
        self.note_first(cause.class(), 0, RowId::new(file, position), place);
        if self.logs_all {
            entries.extend(named.positions.iter().map(|&position| Entry { position, cause, set: 0, body: Vec::new() }));
        } else {
            *self.unlogged.entry(cause.class()).or_default() += named.positions.len() as u64;
        }
    }

    fn set(&mut self, stages: Vec<usize>) -> usize {
        self.sets.iter().position(|known| *known == stages).unwrap_or_else(|| {
            self.sets.push(stages);
            self.sets.len() - 1
        })
    }

    fn note_first(&mut self, class: Class, set: usize, row: RowId, tell: impl FnOnce() -> (Place, Arc<str>)) {
        if self.firsts.get(&(class, set)).is_none_or(|known| row < known.row) {
            let (place, reason) = tell();
            self.firsts.insert((class, set), First { row, place, reason });
        }
    }
}
