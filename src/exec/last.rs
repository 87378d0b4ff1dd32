//! The last rows of a question, of which no more are held than are wanted, and the batch that the first of them stands in.

use super::options::RunOptions;
use super::output::{Prepared, RowOutput};
use super::steps::run_into;
use crate::error::Result;
use crate::memory::Reservation;
use crate::panics::lock;
use crate::plan::LogicalPlan;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Rows that were the last ones.
#[derive(Debug)]
pub struct LastRows {
    /// Their columns, as wide as all rows of the question need them.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
    /// How many they are.
    pub rows: usize,
}

/// The last `wanted` rows of a question, or all if it has fewer.
///
/// # Errors
/// Those of [`run_into`]; `Limit` when they do not fit in memory.
pub fn last_rows(plan: LogicalPlan, wanted: usize, options: &RunOptions) -> Result<LastRows> {
    let kept = Kept { schema: Arc::new(Schema::empty()), batches: VecDeque::new(), rows: 0, bytes: 0 };
    let output = LastOutput { wanted, held: Mutex::new((kept, options.budget.reservation("the last rows"))) };
    run_into(&[plan], &[Some(&output)], options)?;
    let (Kept { schema, mut batches, mut rows, .. }, _) = output.held.into_inner().unwrap_or_else(|it| it.into_inner());
    if let Some(first) = batches.front_mut().filter(|_| rows > wanted) {
        let surplus = rows - wanted;
        *first = first.slice(surplus, first.num_rows() - surplus);
        rows = wanted;
    }
    Ok(LastRows { schema, batches: batches.into(), rows })
}

struct Kept {
    schema: SchemaRef,
    batches: VecDeque<RecordBatch>,
    rows: usize,
    bytes: usize,
}

struct LastOutput {
    wanted: usize,
    held: Mutex<(Kept, Reservation)>,
}

impl RowOutput for LastOutput {
    fn begin(&self, schema: &SchemaRef) -> Result<()> {
        let (kept, reservation) = &mut *lock(&self.held);
        *kept = Kept { schema: Arc::clone(schema), batches: VecDeque::new(), rows: 0, bytes: 0 };
        reservation.resize(0)
    }

    fn can_begin_again(&self) -> bool {
        true
    }

    fn take(&self, prepared: Prepared, _stopped: &dyn Fn() -> bool) -> Result<()> {
        let (kept, reservation) = &mut *lock(&self.held);
        let batch = prepared.records;
        (kept.rows, kept.bytes) = (kept.rows + batch.num_rows(), kept.bytes + batch.get_array_memory_size());
        kept.batches.push_back(batch);
        while let Some(first) = kept.batches.pop_front_if(|first| kept.rows - first.num_rows() >= self.wanted) {
            (kept.rows, kept.bytes) = (kept.rows - first.num_rows(), kept.bytes - first.get_array_memory_size());
        }
        reservation.resize(kept.bytes)
    }
}
