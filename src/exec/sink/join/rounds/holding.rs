//! Pairs of rows with equal keys for which a condition holds: they are made, some at a time, and those are kept of which it does.

use super::{Marks, Pairs, Rounds};
use crate::error::{Error, Result};
use crate::exec::join::holding;
use crate::exec::sink::join::pairs::Matches;
use crate::groupby::ABSENT;
use crate::plan::{JoinKind, Residual};
use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};

/// Left rows of a block, which a condition is asked of.
pub(super) struct Asked<'a> {
    pub(super) keys: RecordBatch,
    pub(super) shown: RecordBatch,
    pub(super) residual: &'a Residual,
}

impl Asked<'_> {
    /// Of which pairs the condition holds.
    fn holding(&self, right: &RecordBatch, pairs: (&UInt32Array, &UInt32Array)) -> Result<BooleanArray> {
        let keys = self.keys.num_columns();
        let column = |at: usize| {
            let column = if at < keys { self.keys.columns().get(at) } else { self.shown.columns().get(at - keys) };
            column.ok_or_else(|| Error::internal("a left column that was not kept"))
        };
        holding(self.residual, column, right, pairs)
    }
}

impl Rounds<'_> {
    /// What a round finds for a block, of pairs for which a condition holds. Those of right rows are marked.
    pub(super) fn look_up_holding(
        &self,
        ids: &[u32],
        left: &Asked<'_>,
        table: &Matches,
        marks: &Marks,
        rows_at_once: usize,
    ) -> Result<Pairs> {
        let kind = self.side.shape.kind;
        let mut matched = BooleanBufferBuilder::new(ids.len());
        matched.append_n(ids.len(), false);
        let (mut tried, mut kept) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let mut pieces = Vec::new();
        let mut left_to_find = self.side.limit.unwrap_or(usize::MAX);
        let mut found = ids.iter().zip(0_u32..).filter(|(id, _)| **id != ABSENT);
        let mut open = found.next().map(|(id, row)| (*id, row, 0));
        while let Some((id, row, from)) = open.filter(|_| left_to_find > 0) {
            let (left_rows, right_rows): &mut (Vec<u32>, Vec<u32>) = &mut tried;
            if !kind.shows_right() && matched.get_bit(row as usize) && right_rows.is_empty() {
                // One match tells all that is asked.
                open = found.next().map(|(id, row)| (*id, row, 0));
                continue;
            }
            right_rows.extend(table.some_rows_of(id, from, rows_at_once - right_rows.len()));
            let taken = right_rows.len() - left_rows.len();
            left_rows.resize(right_rows.len(), row);
            let is_whole = from + taken == table.rows_of(id).len();
            open = if is_whole { found.next().map(|(id, row)| (*id, row, 0)) } else { Some((id, row, from + taken)) };
            if right_rows.len() < rows_at_once && open.is_some() {
                continue;
            }
            self.room.hands.cancel.check()?;
            let (left_rows, right_rows) = (std::mem::take(left_rows), std::mem::take(right_rows));
            let (left_rows, right_rows) = (UInt32Array::from(left_rows), UInt32Array::from(right_rows));
            let mask = left.holding(&table.records, (&left_rows, &right_rows))?;
            for pair in mask.values().set_indices() {
                let (row, other) = (left_rows.value(pair), right_rows.value(pair));
                if left_to_find == 0 {
                    break;
                }
                matched.set_bit(row as usize, true);
                if kind.keeps_right() {
                    marks.set(other);
                }
                if !kind.shows_right() {
                    continue;
                }
                left_to_find -= 1;
                kept.0.push(row);
                kept.1.push(other);
                if kept.0.len() == rows_at_once {
                    pieces.push(self.keep(table, &mut kept.0, &mut kept.1)?);
                }
            }
        }
        if !kept.0.is_empty() {
            pieces.push(self.keep(table, &mut kept.0, &mut kept.1)?);
        }
        let asks = kind.keeps_left() || kind == JoinKind::Semi;
        Ok(Pairs { pieces, matched: asks.then(|| matched.finish()) })
    }
}
