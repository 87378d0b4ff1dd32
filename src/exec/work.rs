//! What one partition means to one stage, found out before the partition is certain.

use super::filter::leading_filters;
use crate::batch::{Batch, RowId};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Stage, Step};
use crate::source::{Remedy, SourceBatch};
use arrow::array::{Array, BooleanArray};

/// A stage of a pass, and where its columns stand among those of the pass.
pub(super) struct PassStage {
    pub(super) stage: Stage,
    pub(super) map: Vec<usize>,
}

/// What a partition means to all stages of a pass.
pub(super) struct PartitionWork {
    pub(super) stages: Vec<StageWork>,
    pub(super) recoded: Option<RecodedFields>,
}

/// Fields that were read as windows-1252: how many, and the first.
pub(super) struct RecodedFields {
    pub(super) count: u64,
    pub(super) row: RowId,
    pub(super) column: String,
}

impl PartitionWork {
    /// Evaluates the steps of every stage on the batches of a partition.
    pub(super) fn of(stages: &[PassStage], batches: &[SourceBatch]) -> Self {
        PartitionWork {
            stages: stages.iter().map(|stage| evaluate(stage, batches)).collect(),
            recoded: recoded(batches),
        }
    }
}

fn recoded(batches: &[SourceBatch]) -> Option<RecodedFields> {
    let mut found: Option<RecodedFields> = None;
    for batch in batches {
        let Some(recoded) = &batch.recoded else { continue };
        match &mut found {
            Some(found) => found.count += recoded.count,
            None => {
                found = Some(RecodedFields {
                    count: recoded.count,
                    row: batch.batch.origin.row_id(recoded.row),
                    column: batch.batch.records.schema_ref().field(recoded.column).name().clone(),
                });
            }
        }
    }
    found
}

/// The rows of a partition that reach a stage's sink, and what stood in the way.
#[derive(Default)]
pub(super) struct StageWork {
    pub(super) batches: Vec<Batch>,
    /// Rows in `batches`.
    pub(super) kept: usize,
    /// The first error of an expression; `batches` holds the rows before it.
    pub(super) failure: Option<(Option<RowId>, Error)>,
    /// Values that the stage reads and that do not fit, in row order.
    pub(super) misfits: Vec<StageMisfit>,
}

/// A value that a stage reads and that does not fit its column.
pub(super) struct StageMisfit {
    pub(super) row: RowId,
    /// Index into the columns of the pass.
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) remedy: Remedy,
}

/// Evaluates the steps of a stage on the batches of a partition.
fn evaluate(stage: &PassStage, batches: &[SourceBatch]) -> StageWork {
    let mut work = StageWork::default();
    for source in batches {
        let records = match source.batch.records.project(&stage.map) {
            Ok(records) => records,
            Err(error) => {
                work.failure = Some((None, error.into()));
                return work;
            }
        };
        let batch = Batch { records, origin: source.batch.origin.clone() };
        if !source.misfits.is_empty() {
            note_misfits(stage, source, &batch, &mut work.misfits);
        }
        match apply(&stage.stage.steps, &batch) {
            Ok(None) => {}
            Ok(Some(batch)) => {
                work.kept += batch.rows();
                work.batches.push(batch);
            }
            Err(error) => {
                work.failure = Some(locate(&stage.stage.steps, &batch, error, &mut work.batches));
                work.kept = work.batches.iter().map(Batch::rows).sum();
                return work;
            }
        }
    }
    work
}

/// The batch after all steps; `None` when no row is left, so that a constant which fails does so only for a row.
fn apply(steps: &[Step], batch: &Batch) -> Result<Option<Batch>> {
    let mut batch = batch.clone();
    for step in steps {
        if batch.rows() == 0 {
            return Ok(None);
        }
        batch = step.apply(batch)?;
    }
    Ok(Some(batch).filter(|batch| batch.rows() > 0))
}

/// Finds the first row at which the steps fail, by halving; keeps the rows before it.
fn locate(steps: &[Step], batch: &Batch, error: Error, kept: &mut Vec<Batch>) -> (Option<RowId>, Error) {
    let row_by_row = steps.iter().all(|step| !matches!(step, Step::Map(..)));
    if !row_by_row || matches!(error.kind(), ErrorKind::Internal | ErrorKind::Cancelled) || batch.rows() == 0 {
        return (batch.origin.row_id_checked(0), error);
    }
    let (mut good, mut bad) = (0, batch.rows());
    let mut error = error;
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match apply(steps, &batch.head(middle)) {
            Ok(_) => good = middle,
            Err(earlier) => {
                bad = middle;
                error = earlier;
            }
        }
    }
    if let Ok(Some(before)) = apply(steps, &batch.head(good)) {
        kept.push(before);
    }
    (Some(batch.origin.row_id(good)), error)
}

/// A misfit concerns a stage that reads its column, unless a filter that does not read it turns the row away first.
fn note_misfits(stage: &PassStage, source: &SourceBatch, batch: &Batch, misfits: &mut Vec<StageMisfit>) {
    let mut masks: Vec<Option<BooleanArray>> = Vec::new();
    for misfit in &source.misfits {
        let Some(own) = stage.map.iter().position(|&column| column == misfit.column) else { continue };
        let mut concerned = true;
        for (at, predicate) in leading_filters(&stage.stage).enumerate() {
            if predicate.columns().contains(&own) {
                break;
            }
            if masks.len() == at {
                masks.push(predicate.evaluate_mask(&batch.records).ok());
            }
            if let Some(mask) = &masks[at]
                && !(mask.is_valid(misfit.row) && mask.value(misfit.row))
            {
                concerned = false;
                break;
            }
        }
        if concerned {
            misfits.push(StageMisfit {
                row: batch.origin.row_id(misfit.row),
                column: misfit.column,
                text: misfit.text.clone(),
                remedy: misfit.remedy.clone(),
            });
        }
    }
}
