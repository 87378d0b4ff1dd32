//! Groups put together that stand side by side in runs.

use super::tables::Shape;
use crate::aggregate::GroupStates;
use crate::error::Result;
use crate::exec::runs::Order;
use crate::groupby::import_states;
use crate::memory::without_unused_text;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Adjacent rows of runs, those of one key put together.
pub(super) struct MergedGroups {
    schema: SchemaRef,
    /// One row a group.
    keys: Vec<ArrayRef>,
    states: Vec<Box<dyn GroupStates>>,
    pub(super) groups: usize,
}

impl MergedGroups {
    /// Of rows that are in order.
    pub(super) fn of(shape: &Shape, order: &Order, batch: &RecordBatch) -> Result<Self> {
        let encoded = order.keys(batch)?;
        let (mut firsts, mut ids) = (Vec::new(), Vec::with_capacity(batch.num_rows()));
        for row in 0..batch.num_rows() {
            if row == 0 || encoded.compare(row - 1, &encoded, row).is_ne() {
                firsts.push(row as u32);
            }
            ids.push(firsts.len() as u32 - 1);
        }
        let groups = firsts.len();
        let firsts = UInt32Array::from(firsts);
        let (key_columns, exported) = batch.columns().split_at(shape.key_types.len());
        let keys = key_columns.iter().map(|column| Ok(take(column, &firsts, None)?)).collect::<Result<_>>()?;
        let mut states = shape.states()?;
        states.iter_mut().for_each(|states| states.grow(groups));
        import_states(&mut states, exported, &ids)?;
        Ok(MergedGroups { schema: batch.schema(), keys, states, groups })
    }

    /// Takes the last group out, as a row of a run: more of it may follow.
    pub(super) fn take_last(&mut self) -> Result<RecordBatch> {
        let last = self.groups - 1;
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(last, 1)).collect();
        for states in &self.states {
            columns.append(&mut states.export(last..last + 1)?);
        }
        self.groups = last;
        // It goes from batch to batch and would take the text of all of them along.
        Ok(without_unused_text(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }

    pub(super) fn finish(mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(0, self.groups)).collect();
        for states in &mut self.states {
            columns.push(states.finish(0..self.groups)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}
