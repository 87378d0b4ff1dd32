//! Pairs of left and right rows: the left row, then columns of the right one.
//!
//! **Problem.** Where a key has thousands of rows on both sides, pairs are more than both tables by far, and even the numbers of
//! their left rows are more than there is memory for.
//! **Idea.** If all right rows are in one table, which may stay, it is enough to know where in the left rows a piece of pairs
//! begins: they are found again when somebody asks for them. That costs to look the keys up once more, which is nothing where
//! a row has many matches; elsewhere pairs are kept.

use crate::error::Result;
use crate::exec::join::{Table, rows_bytes};
use crate::groupby::ABSENT;
use crate::memory::{MadeRows, Part, Reservation, ToDisk};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Pairs are found again where there are so many for each left row.
const MANY: usize = 4;

/// Some pairs of a block, in order.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The left row of the first.
    pub(super) first: u32,
    pub(super) part: Part,
}

/// A table of right rows, and which of their columns stand in pairs.
pub(super) struct Matches {
    table: Table,
    columns: Vec<usize>,
    /// What the right columns of a pair take.
    row_bytes: usize,
    /// If the table may stay, keeps its memory on the account.
    kept: Option<Reservation>,
}

impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Deref for Matches {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl Matches {
    pub(super) fn new(table: Table, kept: Option<Reservation>, columns: &[usize]) -> Self {
        let row_bytes = rows_bytes(&table.records) / table.records.num_rows().max(1);
        Matches { table, columns: columns.to_vec(), row_bytes, kept }
    }

    /// Whether the pairs of rows with these keys are to be found again when they are asked for.
    pub(super) fn is_to_make(&self, ids: &[u32]) -> bool {
        let found = ids.iter().filter(|id| **id != ABSENT);
        self.kept.is_some() && found.map(|id| self.rows_of(*id).len()).sum::<usize>() >= MANY * ids.len().max(1)
    }

    /// Pairs of these rows.
    pub(super) fn pairs(&self, left: Vec<u32>, right: Vec<u32>) -> Result<RecordBatch> {
        let mut fields = vec![Field::new("row", DataType::UInt32, false)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(left))];
        let right = UInt32Array::from(right);
        for at in &self.columns {
            let column = self.table.records.column(*at);
            fields.push(Field::new(at.to_string(), column.data_type().clone(), true));
            columns.push(take(column, &right, None)?);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// Pairs that are found again when they are asked for.
#[derive(Debug)]
pub(super) struct PairsToMake {
    matches: Arc<Matches>,
    /// Of the left rows of the block.
    keys: Part,
    /// The left rows that have a part in it, the first of which has so many matches that are not of it.
    first: usize,
    left_rows: usize,
    skipped: usize,
    rows: usize,
}

impl PairsToMake {
    /// The first `limit` pairs of a block, `most` at a time; `ids` are its keys in the table.
    pub(super) fn of(matches: &Arc<Matches>, keys: &Part, ids: &[u32], most: usize, limit: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut left = limit;
        // Where the piece begins that is being filled, and how many pairs it has.
        let (mut first, mut skipped, mut rows) = (0, 0, 0);
        let mut close = |first: usize, last: usize, skipped: usize, rows: usize| {
            let (matches, keys, left_rows) = (Arc::clone(matches), keys.clone(), last + 1 - first);
            let part = Part::Made(Arc::new(PairsToMake { matches, keys, first, left_rows, skipped, rows }));
            pieces.push(Piece { first: first as u32, part });
        };
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != ABSENT) {
            let found = matches.rows_of(*id).len().min(left);
            left -= found;
            let mut taken = 0;
            while taken < found {
                if rows == 0 {
                    (first, skipped) = (row, taken);
                }
                let more = (found - taken).min(most - rows);
                (taken, rows) = (taken + more, rows + more);
                if rows == most {
                    close(first, row, skipped, rows);
                    rows = 0;
                }
            }
            if left == 0 {
                break;
            }
        }
        if rows > 0 {
            close(first, ids.len() - 1, skipped, rows);
        }
        pieces
    }
}

impl MadeRows for PairsToMake {
    fn rows(&self) -> usize {
        self.rows
    }

    fn loaded_bytes(&self) -> usize {
        self.rows * (2 * size_of::<u32>() + self.matches.row_bytes) + self.left_rows * size_of::<u32>()
    }

    fn make(&self) -> Result<RecordBatch> {
        let keys = self.keys.load()?.slice(self.first, self.left_rows);
        let ids = self.matches.find(keys.columns(), keys.num_rows())?;
        let (mut left, mut right) = (Vec::with_capacity(self.rows), Vec::with_capacity(self.rows));
        let mut skipped = self.skipped;
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != ABSENT) {
            right.extend(self.matches.some_rows_of(*id, skipped, self.rows - right.len()));
            left.resize(right.len(), (self.first + row) as u32);
            skipped = 0;
        }
        self.matches.pairs(left, right)
    }

    fn on_disk(&self, disk: &mut ToDisk) -> Result<Part> {
        disk.made(&self.make()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::join::Tables;
    use crate::memory::{Budget, StoredRows};
    use crate::plan::{JoinKind, JoinShape};
    use crate::source::CancelToken;
    use crate::types::ColumnType;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::UInt32Type;

    #[test]
    fn pairs_are_found_again_piece_by_piece() {
        let right: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 2, 5, 2, 1]));
        let right = RecordBatch::try_from_iter([("k", right)]).unwrap();
        let shape = JoinShape {
            kind: JoinKind::Inner,
            number: 0,
            left_keys: Vec::new(),
            right_keys: vec![0],
            domains: vec![ColumnType::Int64],
            residual: None,
            columns: Vec::new(),
            schema: right.schema(),
        };
        let (rows, budget) = (StoredRows::from(vec![right.clone()]), Budget::new(1 << 20));
        let mut tables = Tables::new(&rows, right.schema(), &shape, budget.reservation("test"));
        let table = tables.next(&CancelToken::new()).unwrap().unwrap();
        let kept = tables.keep_only(&table, budget.reservation_of_results()).unwrap();
        assert!(kept.as_ref().is_some_and(|kept| kept.bytes() > 0));
        let matches = Arc::new(Matches::new(table, kept, &[0]));
        let keys: ArrayRef =
            Arc::new(Int64Array::from(vec![Some(9), Some(2), None, Some(1), Some(5), Some(2), Some(9)]));
        let keys = RecordBatch::try_from_iter_with_nullable([("k", keys, true)]).unwrap();
        let ids = matches.find(keys.columns(), keys.num_rows()).unwrap();
        let all = [(1, 2), (1, 2), (1, 2), (3, 1), (3, 1), (4, 5), (5, 2), (5, 2), (5, 2)];
        for most in 1..12 {
            for limit in [0, 1, 4, 9, usize::MAX] {
                let pieces = PairsToMake::of(&matches, &Part::Memory(keys.clone()), &ids, most, limit);
                let mut found = Vec::new();
                for piece in &pieces {
                    let batch = piece.part.load().unwrap();
                    assert!(batch.num_rows() == piece.part.rows() && (1..=most).contains(&batch.num_rows()));
                    let left = batch.column(0).as_primitive::<UInt32Type>();
                    assert_eq!(left.value(0), piece.first);
                    let right = batch.column(1).as_primitive::<arrow::datatypes::Int64Type>();
                    found.extend(left.values().iter().copied().zip(right.values().iter().copied()));
                }
                assert_eq!(found, all[..limit.min(9)], "{most} at a time, {limit} in all");
            }
        }
        drop(matches);
        assert_eq!(budget.held_bytes(), 0);
    }
}
