//! What one partition means to one stage, found out before the partition is certain.

use super::filter::leading_filters;
use super::rejects::RejectedValue;
use crate::batch::{Batch, Mask, RowId, RowOrigin, coded, compact};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Part, Reservation, SpillFile, used_bytes};
use crate::plan::{Reserve, Stage, Step};
use crate::source::{Misfit, Remedy, SourceBatch};
use arrow::array::{BooleanArray, RecordBatch};
use std::sync::Arc;

/// A stage of a pass, and where its columns stand among those of the pass.
pub(super) struct PassStage {
    pub(super) stage: Stage,
    pub(super) map: Vec<usize>,
    /// An earlier pass has told of the fields that were recoded for this stage.
    pub(super) recodings_told: bool,
}

/// What a partition means to all stages of a pass.
pub(super) struct PartitionWork {
    pub(super) stages: Vec<StageWork>,
    /// Fields that were read as windows-1252 and that some stage reads, ascending by row.
    pub(super) recoded: Vec<RecodedField>,
    /// Its memory while nobody has it in hands.
    pub(super) reservation: Option<Reservation>,
    /// Of this, what is not of its rows.
    pub(super) beside_bytes: usize,
}

/// A field that was read as windows-1252, and the stages that read it.
#[derive(Clone)]
pub(super) struct RecodedField {
    pub(super) row: RowId,
    pub(super) column: Arc<str>,
    pub(super) stages: Vec<usize>,
}

impl PartitionWork {
    /// Evaluates the steps of every stage on the batches of a partition. Where more rows are made than came, `hold` is asked
    /// before for the bytes of all that is made by then.
    pub(super) fn of(stages: &[PassStage], batches: &[SourceBatch], hold: Reserve<'_>) -> Self {
        let recoded = recoded(stages, batches);
        let mut making = Making { hold, kept_bytes: 0 };
        let stages = stages.iter().map(|stage| evaluate(stage, batches, &mut making)).collect();
        PartitionWork { stages, recoded, reservation: None, beside_bytes: 0 }
    }

    /// Lets its rows wait on disk, and gives back what is reserved for them.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn put_on_disk(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        self.stages.iter_mut().try_for_each(|stage| stage.put_on_disk(file))?;
        let origins = self.stages.iter().flat_map(|stage| &stage.on_disk).map(|(_, origin)| origin.held_bytes());
        let left = self.beside_bytes + origins.sum::<usize>();
        match &mut self.reservation {
            Some(reservation) if left < reservation.bytes() => reservation.resize(left),
            _ => Ok(()),
        }
    }

    /// Bytes that the rows of all stages take; with the texts behind them, or without.
    pub(super) fn held_bytes(&self, with_texts: bool) -> usize {
        let batches = || self.stages.iter().flat_map(|stage| &stage.batches);
        used_bytes(batches().map(|batch| &batch.records), with_texts)
            + batches().map(|batch| batch.origin.held_bytes()).sum::<usize>()
    }
}

/// Asks for the memory of what is made of a partition.
struct Making<'a> {
    hold: Reserve<'a>,
    /// Of what has been made.
    kept_bytes: usize,
}

impl Making<'_> {
    /// The batch after all steps, in the form that the sink takes.
    fn apply(&mut self, stage: &Stage, batch: &Batch) -> Result<Option<Batch>> {
        apply(stage, batch, &mut |bytes| (self.hold)(self.kept_bytes.saturating_add(bytes)))
    }

    fn keep(&mut self, batch: &Batch) {
        self.kept_bytes += used_bytes([&batch.records].into_iter(), false) + batch.origin.held_bytes();
    }
}

fn recoded(stages: &[PassStage], batches: &[SourceBatch]) -> Vec<RecodedField> {
    let mut found = Vec::new();
    for batch in batches.iter().filter(|batch| !batch.recoded.is_empty()) {
        let schema = batch.batch.records.schema_ref();
        let names: Vec<Arc<str>> = schema.fields().iter().map(|field| field.name().as_str().into()).collect();
        let mut readers: Vec<Concern<'_>> = stages.iter().map(|stage| Concern::new(stage, batch)).collect();
        for field in &batch.recoded {
            let concerned = readers
                .iter_mut()
                .enumerate()
                .filter_map(|(at, reader)| reader.is(field.row, field.column).then_some(at));
            let stages: Vec<usize> = concerned.collect();
            if !stages.is_empty() {
                let row = batch.batch.origin.row_id(field.row);
                found.push(RecodedField { row, column: Arc::clone(&names[field.column]), stages });
            }
        }
    }
    found
}

/// The rows of a partition that reach a stage's sink, and what stood in the way.
#[derive(Default)]
pub(super) struct StageWork {
    pub(super) batches: Vec<Batch>,
    /// Those that wait on disk, which stand before the others.
    on_disk: Vec<(Part, RowOrigin)>,
    /// Rows in all of them.
    pub(super) kept: usize,
    /// The first error of an expression; `batches` holds the rows before it.
    pub(super) failure: Option<(Option<RowId>, Error)>,
    /// Values that the stage reads and that do not fit, in row order.
    pub(super) misfits: Vec<StageMisfit>,
    /// Values for which the stage does without a row, in row order.
    pub(super) rejected: Vec<RejectedValue>,
}

impl StageWork {
    fn put_on_disk(&mut self, file: &Arc<SpillFile>) -> Result<()> {
        for batch in std::mem::take(&mut self.batches) {
            let part = Part::Spilled(Arc::clone(file), file.append(&batch.records)?);
            self.on_disk.push((part, batch.origin));
        }
        Ok(())
    }

    /// Its rows in order: those on disk, and behind them those in memory.
    pub(super) fn into_rows(self) -> (Vec<Part>, Vec<Batch>) {
        (self.on_disk.into_iter().map(|(part, _)| part).collect(), self.batches)
    }

    /// Its batches, one by one; those on disk are read back when they are due.
    pub(super) fn into_batches(self) -> impl Iterator<Item = Result<Batch>> {
        let read_back = |(part, origin): (Part, RowOrigin)| Ok(Batch { records: part.load()?, origin });
        self.on_disk.into_iter().map(read_back).chain(self.batches.into_iter().map(Ok))
    }
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
fn evaluate(stage: &PassStage, batches: &[SourceBatch], making: &mut Making<'_>) -> StageWork {
    let mut work = StageWork::default();
    for source in batches {
        let records = match source.batch.records.project(&stage.map) {
            Ok(records) => records,
            Err(error) => {
                work.failure = Some((None, error.into()));
                return work;
            }
        };
        let mut batch = Batch { records, origin: source.batch.origin.clone() };
        if let Some(kept) = note_misfits(stage, source, &mut work) {
            batch = match batch.filter(&kept) {
                Ok(batch) => batch,
                Err(error) => {
                    work.failure = Some((None, error));
                    return work;
                }
            };
        }
        match making.apply(&stage.stage, &batch) {
            Ok(None) => {}
            Ok(Some(batch)) => {
                making.keep(&batch);
                work.kept += batch.rows();
                work.batches.push(batch);
            }
            Err(error) => {
                work.failure = Some(locate(&stage.stage, &batch, error, &mut work.batches, making));
                work.kept = work.batches.iter().map(Batch::rows).sum();
                return work;
            }
        }
    }
    work
}

/// The batch after all steps, in the form that the sink takes; `None` when no row is left, so that a constant which fails does so only for a row.
fn apply(stage: &Stage, batch: &Batch, reserve: Reserve<'_>) -> Result<Option<Batch>> {
    let rows = batch.rows();
    let mut batch = batch.clone();
    for step in &stage.steps {
        if batch.rows() == 0 {
            return Ok(None);
        }
        batch = step.apply(batch, reserve)?;
    }
    if batch.rows() == 0 {
        return Ok(None);
    }
    let mut records = coded::plain_from(stage.coded_columns(), batch.records)?;
    if stage.holds_rows() && records.num_columns() > 0 && records.num_rows() < rows / 4 {
        records = RecordBatch::try_new(records.schema(), records.columns().iter().map(compact).collect())?;
    }
    Ok(Some(Batch { records, ..batch }))
}

/// Finds the first row at which the steps fail, by halving; keeps the rows before it.
fn locate(
    stage: &Stage,
    batch: &Batch,
    error: Error,
    kept: &mut Vec<Batch>,
    making: &mut Making<'_>,
) -> (Option<RowId>, Error) {
    let row_by_row = stage.steps.iter().all(|step| !matches!(step, Step::Map(..)));
    let of_a_row = !matches!(error.kind(), ErrorKind::Internal | ErrorKind::Cancelled | ErrorKind::Limit);
    if !row_by_row || !of_a_row || batch.rows() == 0 {
        return (batch.origin.row_id_checked(0), error);
    }
    let (mut good, mut bad) = (0, batch.rows());
    let mut error = error;
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match making.apply(stage, &batch.head(middle)) {
            Ok(_) => good = middle,
            Err(earlier) => {
                bad = middle;
                error = earlier;
            }
        }
    }
    if let Ok(Some(before)) = making.apply(stage, &batch.head(good)) {
        kept.push(before);
    }
    (Some(batch.origin.row_id(good)), error)
}

/// Notes values that the stage reads and that do not fit; the rows to keep, if the stage does without some. Other misfits
/// of a row that it does without do not matter to it.
fn note_misfits(stage: &PassStage, source: &SourceBatch, work: &mut StageWork) -> Option<BooleanArray> {
    let mut concern = Concern::new(stage, source);
    let concerning = source.misfits.iter().filter(|misfit| concern.is(misfit.row, misfit.column));
    let (rejected, others): (Vec<&Misfit>, Vec<&Misfit>) =
        concerning.partition(|misfit| matches!(misfit.remedy, Remedy::Reject(_)));
    let mut kept = vec![true; if rejected.is_empty() { 0 } else { source.batch.rows() }];
    for misfit in rejected {
        if let Remedy::Reject(reason) = &misfit.remedy {
            kept[misfit.row] = false;
            let (row, text) = (source.batch.origin.row_id(misfit.row), misfit.text.clone());
            let (column, reason) = (misfit.column, Arc::clone(reason));
            work.rejected.push(RejectedValue { row, column, text, reason });
        }
    }
    for misfit in others.into_iter().filter(|misfit| kept.get(misfit.row) != Some(&false)) {
        work.misfits.push(StageMisfit {
            row: source.batch.origin.row_id(misfit.row),
            column: misfit.column,
            text: misfit.text.clone(),
            remedy: misfit.remedy.clone(),
        });
    }
    (!kept.is_empty()).then(|| BooleanArray::from(kept))
}

/// Which fields of a batch a stage reads: those of its columns, but for rows that a leading filter which does not read
/// the column turns away first.
struct Concern<'a> {
    stage: &'a PassStage,
    source: &'a SourceBatch,
    /// The masks of the leading filters, as far as they were needed.
    masks: Vec<Option<BooleanArray>>,
}

impl<'a> Concern<'a> {
    fn new(stage: &'a PassStage, source: &'a SourceBatch) -> Self {
        Concern { stage, source, masks: Vec::new() }
    }

    /// Whether the stage reads the field of `row` in `column`, an index into the columns of the pass.
    fn is(&mut self, row: usize, column: usize) -> bool {
        let Some(own) = self.stage.map.iter().position(|&known| known == column) else { return false };
        for (at, predicate) in leading_filters(&self.stage.stage).enumerate() {
            if predicate.columns().contains(&own) {
                return true;
            }
            if self.masks.len() == at {
                let records = self.source.batch.records.project(&self.stage.map).ok();
                let batch = records.map(|records| Batch { records, origin: self.source.batch.origin.clone() });
                self.masks.push(batch.and_then(|batch| predicate.mask_rows(&batch).ok()));
            }
            if self.masks[at].as_ref().is_some_and(|mask| !mask.is_valid_and_true(row)) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Budget, Spill};
    use arrow::array::{ArrayRef, Int64Array};

    fn batch(values: std::ops::Range<i64>) -> Batch {
        let origin = RowOrigin::consecutive(values.start.unsigned_abs());
        let column: ArrayRef = Arc::new(values.collect::<Int64Array>());
        Batch { records: RecordBatch::try_from_iter([("n", column)]).unwrap(), origin }
    }

    #[test]
    fn rows_that_wait_on_disk_come_back_in_order_and_leave_their_memory() {
        let (budget, spill) = (Budget::new(10_000), Spill::default());
        let file = Arc::new(spill.file());
        let stage = StageWork { batches: vec![batch(0..50), batch(50..70)], ..StageWork::default() };
        let mut reservation = budget.reservation("test");
        reservation.resize(5000).unwrap();
        let (stages, recoded) = (vec![stage], Vec::new());
        let mut work = PartitionWork { stages, recoded, reservation: Some(reservation), beside_bytes: 300 };
        work.put_on_disk(&file).unwrap();
        assert_eq!(budget.held_bytes(), 300);
        work.put_on_disk(&file).unwrap();
        let back = work.stages.remove(0).into_batches().map(Result::unwrap);
        let rows = back.flat_map(|batch| (0..batch.rows()).map(move |row| batch.origin.row_id(row).position));
        assert_eq!(rows.collect::<Vec<_>>(), (0..70).collect::<Vec<_>>());
    }
}
