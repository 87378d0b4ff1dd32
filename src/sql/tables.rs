//! The tables that questions can join: those with a name, and files.

use super::join::JoinClause;
use super::words::micros_now;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::frame::{CsvScan, FileScan, LazyFrame};
use crate::source::csv::FileRule;
use crate::source::detect::InputFormat;
use crate::source::paths::{IntoPaths, expand};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Tables to join by name, and how files are read that questions name. Each file is opened once.
#[derive(Debug, Default)]
pub struct Tables {
    named: BTreeMap<String, LazyFrame>,
    rules: Vec<FileRule>,
    opener: Option<Opener>,
    opened: Mutex<BTreeMap<String, LazyFrame>>,
    /// The time of `now()`, in microseconds since 1970; else each text has its own.
    now: Option<i64>,
}

/// Opens the files of a word.
#[derive(Clone)]
struct Opener(Arc<Open>);

type Open = dyn Fn(&str) -> Result<LazyFrame> + Send + Sync;

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

impl Tables {
    /// No named tables, files as they tell themselves.
    pub fn new() -> Self {
        Tables::default()
    }

    /// Gives a frame a name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, frame: LazyFrame) -> Self {
        self.named.insert(name.into(), frame);
        self
    }

    /// Adds a rule on how some files are read.
    #[must_use]
    pub fn rule(mut self, rule: FileRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Has files opened by a function of a file, pattern or directory. Default: as they tell themselves, and as the rules say.
    #[must_use]
    pub fn opened_by(mut self, open: impl Fn(&str) -> Result<LazyFrame> + Send + Sync + 'static) -> Self {
        self.opener = Some(Opener(Arc::new(open)));
        self
    }

    /// Has `now()` and its like mean the present time in all questions with these tables. Default: the time at which each is read.
    #[must_use]
    pub fn at_one_time(mut self) -> Self {
        self.fix_time();
        self
    }

    pub(super) fn fix_time(&mut self) {
        self.now = Some(micros_now());
    }

    /// The time of all texts, if it is one.
    pub(super) fn now(&self) -> Option<i64> {
        self.now
    }

    /// Gives a frame a name, or a name another frame.
    pub(super) fn name(&mut self, name: impl Into<String>, frame: LazyFrame) {
        self.named.insert(name.into(), frame);
    }

    /// Takes the name, written in any case, from its frame.
    pub(super) fn forget(&mut self, name: &str) {
        self.named.retain(|known, _| !known.eq_ignore_ascii_case(name));
    }

    /// Has files opened again when they are named next.
    pub(super) fn forget_files(&mut self) {
        self.opened.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The names, in alphabetical order, and their frames.
    pub(super) fn all_named(&self) -> impl Iterator<Item = (&str, &LazyFrame)> {
        self.named.iter().map(|(name, frame)| (name.as_str(), frame))
    }

    /// The files that have been opened so far, as they were named, and their frames.
    pub(super) fn all_files(&self) -> Vec<(String, LazyFrame)> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().map(|(word, frame)| (word.clone(), frame.clone())).collect()
    }

    /// The table of a clause.
    pub(super) fn of(&self, clause: &JoinClause) -> Result<LazyFrame> {
        if clause.is_name { self.named(&clause.table) } else { self.file(&clause.table) }
    }

    /// Those that have been opened so far.
    pub(super) fn known(&self) -> Vec<LazyFrame> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        self.named.values().chain(opened.values()).cloned().collect()
    }

    /// The table of this name.
    pub(super) fn named(&self, name: &str) -> Result<LazyFrame> {
        let in_any_case =
            || self.named.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, frame)| frame);
        if let Some(frame) = self.named.get(name).or_else(in_any_case) {
            return Ok(frame.clone());
        }
        let error = Error::new(ErrorKind::Name, format!("no table `{name}`"));
        Err(match did_you_mean(name, self.named.keys().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("--table '{name}=FILE' gives a file this name; a file itself stands in quotes")),
        })
    }

    /// The table in a file, or in those of a pattern or directory.
    pub(super) fn file(&self, word: &str) -> Result<LazyFrame> {
        let known = |tables: &Self| tables.opened.lock().unwrap_or_else(PoisonError::into_inner).get(word).cloned();
        if let Some(frame) = known(self) {
            return Ok(frame);
        }
        let frame = match &self.opener {
            Some(Opener(open)) => open(word)?,
            None => open_table(CsvScan::new(word), word, &self.rules)?,
        };
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(word.to_owned(), frame.clone());
        Ok(frame)
    }
}

impl Tables {
    /// The table in these files of a scan, as it and the rules say that are about them.
    pub(super) fn read(&self, scan: CsvScan, words: &[String], format: InputFormat) -> Result<LazyFrame> {
        let key = format!("{format} {words:?} {scan:?}");
        if let Some(frame) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(frame.clone());
        }
        let files = expand(&words.to_vec().into_paths())?;
        let about = self.rules.iter().filter(|rule| files.iter().any(|file| rule.applies_to(file)));
        let scan = about.fold(scan, |scan, rule| scan.rule(rule.clone()));
        let frame = FileScan::of(scan, None).format(format).open()?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(key, frame.clone());
        Ok(frame)
    }
}

/// Opens the files of `word`, as `scan` and those of the rules say that are about them.
///
/// # Errors
/// As [`FileScan::open`].
pub fn open_table(scan: CsvScan, word: &str, rules: &[FileRule]) -> Result<LazyFrame> {
    let files = expand(&word.into_paths())?;
    let about = rules.iter().filter(|rule| files.iter().any(|file| rule.applies_to(file)));
    FileScan::of(about.fold(scan, |scan, rule| scan.rule(rule.clone())), None).open()
}
