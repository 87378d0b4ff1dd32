//! What a pass has learnt so far, shared by its workers: failures, misfits, and which stages have had enough.

use super::work::{PassStage, StageMisfit, StageWork};
use crate::batch::RowId;
use crate::error::{Error, Place};
use crate::plan::SinkSpec;
use crate::source::{Locate, Remedy};
use crate::types::ColumnType;
use std::collections::BTreeMap;

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
    pub(super) failure: Option<(RowId, Error)>,
    /// By column of the pass and type needed.
    pub(super) misfits: BTreeMap<(usize, ColumnType), FirstMisfit>,
    /// Rows that reached the sink, by file.
    kept: BTreeMap<u32, u64>,
    limit: Option<u64>,
}

impl StageOutcome {
    /// Whether the stage runs again over wider types, so that its sink is of no use any more.
    pub(super) fn is_stale(&self) -> bool {
        !self.misfits.is_empty()
    }

    /// Rows that reached the sink.
    pub(super) fn kept(&self) -> u64 {
        self.kept.values().sum()
    }
}

/// How a pass stands.
pub(super) struct PassOutcome {
    pub(super) stages: Vec<StageOutcome>,
    /// The first error of the input itself, by file.
    pub(super) input_error: Option<(u32, Error)>,
    files_done: Vec<u32>,
}

impl PassOutcome {
    pub(super) fn new(stages: &[PassStage]) -> Self {
        let outcome = |stage: &PassStage| StageOutcome {
            limit: match stage.stage.sink {
                SinkSpec::Collect { limit } => limit.map(|rows| rows as u64),
                _ => None,
            },
            ..StageOutcome::default()
        };
        PassOutcome { stages: stages.iter().map(outcome).collect(), input_error: None, files_done: Vec::new() }
    }

    /// Notes what a committed partition meant to a stage. Returns the file from which on nothing need be read.
    pub(super) fn note(&mut self, stage: usize, file: u32, work: &mut StageWork, locate: Option<&dyn Locate>) {
        let outcome = &mut self.stages[stage];
        *outcome.kept.entry(file).or_default() += work.kept as u64;
        if let Some((row, error)) = work.failure.take() {
            let row = row.unwrap_or(RowId { file, position: 0 });
            outcome.fail(row, || error, locate);
        }
        for misfit in work.misfits.drain(..) {
            outcome.note_misfit(misfit, locate);
        }
    }

    pub(super) fn note_input_error(&mut self, file: u32, error: Error) {
        if self.input_error.as_ref().is_none_or(|(known, _)| file < *known) {
            self.input_error = Some((file, error));
        }
    }

    pub(super) fn note_file_done(&mut self, file: u32) {
        self.files_done.push(file);
    }

    /// The file from which on nothing need be read, if any: an error stands there, or no stage wants more.
    pub(super) fn stop_from(&self) -> Option<u32> {
        let failed = self.stages.iter().filter_map(|stage| stage.failure.as_ref().map(|(row, _)| row.file));
        let first_error = failed.chain(self.input_error.iter().map(|(file, _)| *file)).min();
        if self.stages.iter().all(|stage| stage.is_stale() || self.has_enough(stage)) {
            return Some(0);
        }
        first_error
    }

    /// Whether the files in order, up to the first that is not read to its end, hold enough rows for the limit.
    fn has_enough(&self, stage: &StageOutcome) -> bool {
        let Some(limit) = stage.limit else { return false };
        let mut sum = 0;
        for file in 0.. {
            sum += stage.kept.get(&file).copied().unwrap_or(0);
            if sum >= limit || !self.files_done.contains(&file) {
                break;
            }
        }
        sum >= limit
    }

    /// The error of the pass for a stage, if it has one: the first in input order. Rows enough for a limit that stand
    /// before the error make it harmless.
    pub(super) fn error_for(&self, stage: usize, rows_before: impl Fn(RowId) -> u64) -> Option<(RowId, Error)> {
        let outcome = &self.stages[stage];
        let input = self.input_error.iter().map(|(file, error)| (RowId { file: *file, position: u64::MAX }, error));
        let own = outcome.failure.iter().map(|(row, error)| (*row, error));
        let (row, error) = own.chain(input).min_by_key(|(row, _)| *row)?;
        if outcome.limit.is_some_and(|limit| rows_before(row) >= limit) {
            return None;
        }
        Some((row, error.clone()))
    }
}

impl StageOutcome {
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
}

/// The place of a row, with what the error itself knew (column and value) kept.
fn merged(place: Place, known: &Place) -> Place {
    Place { column: known.column.clone().or(place.column), value: known.value.clone().or(place.value), ..place }
}
