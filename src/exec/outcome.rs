//! What a pass has learnt so far, shared by its workers: failures, misfits, and which stages have had enough.

mod sent;

use super::work::{PassStage, RecodedField, StageMisfit, StageWork};
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place};
use crate::plan::SinkSpec;
use crate::source::{Locate, Remedy};
use crate::types::ColumnType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The first misfit of a column in input order that needs this type.
#[derive(Clone, Debug)]
pub(super) struct FirstMisfit {
    pub(super) row: RowId,
    pub(super) text: String,
    pub(super) place: Place,
}

/// How a stage stands.
#[derive(Default)]
pub(super) struct StageOutcome {
    /// The first failure in input order.
    failure: Option<(RowId, Error)>,
    /// By column of the pass and type needed.
    misfits: BTreeMap<(usize, ColumnType), FirstMisfit>,
    /// Rows that reached the sink.
    kept: u64,
    /// Those of them in the files that are done without a gap from the first on, and in each other file.
    kept_in_prefix: u64,
    kept_beyond: BTreeMap<u32, u64>,
    /// All of them, by file; only who hands an outcome on needs that.
    kept_by_file: BTreeMap<u32, u64>,
    /// The stage wants only so many rows, the first in input order.
    limit: Option<u64>,
    /// An earlier pass has read all fields of this stage and told of those that were recoded.
    recodings_told: bool,
}

impl StageOutcome {
    /// Whether the sink need not absorb any more: the stage runs again over wider types. A stage with a limit goes on,
    /// since the misfit may stand behind the rows that it wants.
    pub(super) fn is_stale(&self) -> bool {
        self.limit.is_none() && !self.misfits.is_empty()
    }

    /// Rows that reached the sink.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// The file in which the first misfit stands.
    fn misfit_file(&self) -> Option<u32> {
        self.misfits.values().map(|misfit| misfit.row.file).min()
    }
}

/// What became of a stage when the pass ended.
pub(super) enum Verdict {
    /// Its sink holds all rows.
    Complete,
    /// The pass was cut short on behalf of another stage; it must run again.
    Again,
    /// It must run again over wider types, for these misfits.
    Widen(BTreeMap<(usize, ColumnType), FirstMisfit>),
    /// The first error in input order.
    Failed(RowId, Error),
}

/// How a pass stands.
pub(super) struct PassOutcome {
    pub(super) stages: Vec<StageOutcome>,
    /// The first error of the input itself, by file.
    input_error: Option<(u32, Error)>,
    /// Files before this one are done; so are those in the set.
    done_before: u32,
    done_beyond: BTreeSet<u32>,
    /// The scan was told to stop at this file.
    cut: Option<u32>,
    recodings: Recodings,
    /// The files that are done, for who hands the outcome on.
    done: Vec<u32>,
}

/// Workers note partitions a little out of order; after so many more, none from before a limit was filled is missing.
const NOTES_UNTIL_SETTLED: u64 = 1000;

/// Fields that were read as windows-1252.
#[derive(Default)]
struct Recodings {
    /// Fields that a stage without a limit reads.
    count: u64,
    /// Fields that only stages with a limit read; they count if they stand among the rows wanted.
    limited: Vec<RecodedField>,
    /// Partitions noted since every stage with a limit has had enough.
    notes_since_enough: u64,
    /// The first field that each stage reads, and its place.
    first: BTreeMap<usize, (RowId, Place)>,
}

impl PassOutcome {
    pub(super) fn new(stages: &[PassStage]) -> Self {
        let outcome = |stage: &PassStage| StageOutcome {
            limit: match stage.stage.sink {
                SinkSpec::Collect { limit } => limit.map(|rows| rows as u64),
                _ => None,
            },
            recodings_told: stage.recodings_told,
            ..StageOutcome::default()
        };
        PassOutcome {
            stages: stages.iter().map(outcome).collect(),
            input_error: None,
            done_before: 0,
            done_beyond: BTreeSet::new(),
            cut: None,
            recodings: Recodings::default(),
            done: Vec::new(),
        }
    }

    /// The pass begins with this file; those before it are done elsewhere.
    pub(super) fn begin_with(&mut self, file: u32) {
        self.done_before = file;
    }

    /// Notes the recoded fields of a committed partition, ascending by row.
    pub(super) fn note_recoded(&mut self, fields: Vec<RecodedField>, locate: Option<&dyn Locate>) {
        let mut limited = self.stages.iter().filter(|stage| stage.limit.is_some());
        let enough = limited.all(|stage| self.has_enough(stage));
        self.recodings.notes_since_enough += u64::from(enough);
        for mut field in fields {
            field.stages.retain(|&stage| !self.stages[stage].recodings_told);
            if field.stages.is_empty() {
                continue;
            }
            for &stage in &field.stages {
                if self.recodings.first.get(&stage).is_none_or(|(known, _)| field.row < *known) {
                    let place = locate.map(|locate| locate.place(field.row)).unwrap_or_default();
                    let place = Place { column: Some(Arc::clone(&field.column)), ..place };
                    self.recodings.first.insert(stage, (field.row, place));
                }
            }
            if field.stages.iter().any(|&stage| self.stages[stage].limit.is_none()) {
                self.recodings.count += 1;
            } else if self.recodings.notes_since_enough < NOTES_UNTIL_SETTLED {
                self.recodings.limited.push(field);
            }
        }
    }

    /// How many fields were recoded in rows that are wanted, and the place of the first; `filled_by` tells for each
    /// stage which row fills its limit.
    pub(super) fn recoded(&self, filled_by: &[Option<RowId>]) -> Option<(u64, Place)> {
        // A stage that was cut short runs again and counts then.
        let wanted = |stage: usize, row: RowId| match self.stages[stage].limit {
            None => self.cut.is_none(),
            Some(_) => self.stages[stage].wants(row, filled_by[stage]),
        };
        let in_limit = |field: &&RecodedField| field.stages.iter().any(|&stage| wanted(stage, field.row));
        let unlimited = if self.cut.is_none() { self.recodings.count } else { 0 };
        let count = unlimited + self.recodings.limited.iter().filter(in_limit).count() as u64;
        let firsts = self.recodings.first.iter().filter(|(stage, (row, _))| wanted(**stage, *row));
        let (_, (_, place)) = firsts.min_by_key(|(_, (row, _))| *row)?;
        Some((count, place.clone()))
    }

    /// Notes what a committed partition meant to a stage.
    pub(super) fn note(&mut self, stage: usize, file: u32, work: &mut StageWork, locate: Option<&dyn Locate>) {
        self.note_kept(stage, file, work.kept as u64);
        let outcome = &mut self.stages[stage];
        if let Some((row, error)) = work.failure.take() {
            let row = row.unwrap_or(RowId::new(file, 0));
            outcome.fail(row, || error, locate);
        }
        for misfit in work.misfits.drain(..) {
            outcome.note_misfit(misfit, locate);
        }
    }

    fn note_kept(&mut self, stage: usize, file: u32, kept: u64) {
        let outcome = &mut self.stages[stage];
        outcome.kept += kept;
        *outcome.kept_by_file.entry(file).or_default() += kept;
        if file < self.done_before {
            outcome.kept_in_prefix += kept;
        } else {
            *outcome.kept_beyond.entry(file).or_default() += kept;
        }
    }

    pub(super) fn note_input_error(&mut self, file: u32, error: Error) {
        if self.input_error.as_ref().is_none_or(|(known, _)| file < *known) {
            self.input_error = Some((file, error));
        }
    }

    pub(super) fn note_file_done(&mut self, file: u32) {
        self.done.push(file);
        self.done_beyond.insert(file);
        while self.done_beyond.remove(&self.done_before) {
            for stage in &mut self.stages {
                stage.kept_in_prefix += stage.kept_beyond.remove(&self.done_before).unwrap_or(0);
            }
            self.done_before += 1;
        }
    }

    /// What failed that might not have failed with more memory.
    pub(super) fn limit_reached(&self) -> Option<&Error> {
        let failures = self.stages.iter().filter_map(|stage| stage.failure.as_ref());
        let mut errors = failures.map(|(_, error)| error).chain(self.input_error.iter().map(|(_, error)| error));
        errors.find(|error| error.kind() == ErrorKind::Limit)
    }

    /// Whether what stands in a file matters, as far as is known.
    pub(super) fn wants_file(&self, file: u32) -> bool {
        self.cut.is_none_or(|cut| file < cut)
    }

    /// Whether all fields of all stages have been read.
    pub(super) fn is_whole(&self) -> bool {
        self.cut.is_none()
    }

    /// The file from which on nothing need be read, if there is one and it was not told before: an error stands there,
    /// or no stage wants more.
    pub(super) fn new_cut(&mut self) -> Option<u32> {
        let failed = |stage: &StageOutcome| match (&stage.failure, stage.limit, stage.misfits.is_empty()) {
            (Some((row, _)), None, true) => Some(row.file),
            _ => None,
        };
        let error = self.stages.iter().filter_map(failed).chain(self.input_error.iter().map(|(file, _)| *file)).min();
        let wanted = self.stages.iter().map(|stage| self.wants_before(stage)).max().unwrap_or(0);
        let cut = error.unwrap_or(u32::MAX).min(wanted);
        if cut == u32::MAX || self.cut.is_some_and(|known| known <= cut) {
            return None;
        }
        self.cut = Some(cut);
        self.cut
    }

    /// The stage can use rows of files before this one only.
    fn wants_before(&self, stage: &StageOutcome) -> u32 {
        if stage.is_stale() || self.has_enough(stage) {
            return 0;
        }
        let failed = stage.failure.as_ref().map(|(row, _)| row.file);
        failed.into_iter().chain(stage.misfit_file()).min().unwrap_or(u32::MAX)
    }

    /// Whether the files in order, up to the first that is not read to its end, hold enough rows for the limit.
    fn has_enough(&self, stage: &StageOutcome) -> bool {
        let in_order = stage.kept_in_prefix + stage.kept_beyond.get(&self.done_before).copied().unwrap_or(0);
        stage.limit.is_some_and(|limit| in_order >= limit)
    }

    /// What became of a stage. Errors and misfits behind the rows that a limit wants do not count; `filled_by` is
    /// the row that fills the limit.
    pub(super) fn verdict(&self, stage: usize, filled_by: Option<RowId>) -> Verdict {
        let outcome = &self.stages[stage];
        let wanted = |row: RowId| outcome.wants(row, filled_by);
        let input = self.input_error.iter().map(|(file, error)| (RowId::new(*file, u64::MAX), error));
        let own = outcome.failure.iter().map(|(row, error)| (*row, error));
        let failure = own.chain(input).filter(|(row, _)| wanted(*row)).min_by_key(|(row, _)| *row);
        let misfits = outcome.misfits.iter().filter(|(_, misfit)| wanted(misfit.row));
        let misfits = widening(misfits);
        // An error at or behind a misfit may be due to the null that stands in for the value.
        let first_misfit = misfits.values().map(|misfit| misfit.row).min();
        match (failure, first_misfit) {
            (Some((row, error)), misfit) if misfit.is_none_or(|misfit| misfit > row) => {
                Verdict::Failed(row, error.clone())
            }
            (_, Some(_)) => Verdict::Widen(misfits),
            _ if self.cut.is_some() && !self.has_enough(outcome) => Verdict::Again,
            _ => Verdict::Complete,
        }
    }
}

impl StageOutcome {
    /// Whether what stands at a row matters, when `filled_by` fills the limit.
    fn wants(&self, row: RowId, filled_by: Option<RowId>) -> bool {
        self.limit != Some(0) && filled_by.is_none_or(|last| row <= last)
    }

    fn fail(&mut self, row: RowId, error: impl FnOnce() -> Error, locate: Option<&dyn Locate>) {
        if self.failure.as_ref().is_some_and(|(known, _)| *known <= row) {
            return;
        }
        let error = match locate {
            Some(locate) => {
                let place = locate.place(row);
                error().with_place(|old| *old = merged(place, old))
            }
            None => error(),
        };
        self.failure = Some((row, error));
    }

    fn note_misfit(&mut self, misfit: StageMisfit, locate: Option<&dyn Locate>) {
        match misfit.remedy {
            Remedy::Fail(error) => self.fail(misfit.row, || error, locate),
            // Told of by the stage itself.
            Remedy::Reject(_) => {}
            Remedy::Widen(wider) => {
                let key = (misfit.column, wider);
                if self.misfits.get(&key).is_some_and(|known| known.row <= misfit.row) {
                    return;
                }
                let place = locate.map(|locate| locate.place(misfit.row)).unwrap_or_default();
                self.misfits.insert(key, FirstMisfit { row: misfit.row, text: misfit.text, place });
            }
        }
    }

    fn note_first_misfit(&mut self, key: (usize, ColumnType), misfit: FirstMisfit) {
        if self.misfits.get(&key).is_none_or(|known| misfit.row < known.row) {
            self.misfits.insert(key, misfit);
        }
    }
}

/// Those misfits that make their column wider than all before them do, so that it does not matter how many were seen.
fn widening<'a>(
    misfits: impl Iterator<Item = (&'a (usize, ColumnType), &'a FirstMisfit)>,
) -> BTreeMap<(usize, ColumnType), FirstMisfit> {
    let mut in_order: Vec<_> = misfits.collect();
    in_order.sort_by_key(|(_, misfit)| misfit.row);
    let mut widest: BTreeMap<usize, ColumnType> = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for (&(column, needed), misfit) in in_order {
        let before = widest.get(&column).copied().unwrap_or(ColumnType::Null);
        let wider = before.unify(needed);
        if wider != before {
            widest.insert(column, wider);
            kept.insert((column, needed), misfit.clone());
        }
    }
    kept
}

/// The place of a row, with what the error itself knew (column and value) kept.
fn merged(place: Place, known: &Place) -> Place {
    Place { column: known.column.clone().or(place.column), value: known.value.clone().or(place.value), ..place }
}
