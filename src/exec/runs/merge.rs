//! The merge of sorted runs.

use super::order::Order;
use super::{Part, Run};
use crate::error::Result;
use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::Rows;
use std::cmp::Ordering;

/// A merged batch is cut shorter where its rows are long, as states of sketches are.
const MERGED_BYTES: usize = 4 << 20;

/// What a row of a part takes more when it has been read back, on average.
fn row_bytes(part: &Part, batch: &RecordBatch) -> usize {
    match part {
        Part::Memory(_) => 0,
        Part::Spilled(..) => batch.get_array_memory_size() / batch.num_rows().max(1),
    }
}

/// Merges runs; of rows with the same key, that of the earlier run comes first.
pub(in crate::exec) struct Merge<'a> {
    order: &'a Order,
    cursors: Vec<Cursor>,
    /// Cursors that have a row, as a binary heap: the first row on top.
    heap: Vec<usize>,
}

/// Where a run stands.
struct Cursor {
    parts: std::vec::IntoIter<Part>,
    batch: RecordBatch,
    keys: Rows,
    at: usize,
    /// Of the batch.
    row_bytes: usize,
}

impl Cursor {
    /// Goes to the first row of the next part that has any; whether there is one.
    fn load(&mut self, order: &Order) -> Result<bool> {
        for part in self.parts.by_ref() {
            if part.rows() > 0 {
                self.batch = part.load()?;
                self.keys = order.encode(&self.batch)?;
                self.at = 0;
                self.row_bytes = row_bytes(&part, &self.batch);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'a> Merge<'a> {
    /// A merge of these runs.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(in crate::exec) fn new(runs: Vec<Run>, order: &'a Order) -> Result<Self> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let mut parts = run.into_iter();
            let Some(first) = parts.by_ref().find(|part| part.rows() > 0) else { continue };
            let batch = first.load()?;
            let keys = order.encode(&batch)?;
            let row_bytes = row_bytes(&first, &batch);
            cursors.push(Cursor { parts, batch, keys, at: 0, row_bytes });
        }
        let mut merge = Merge { order, heap: (0..cursors.len()).collect(), cursors };
        for root in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(root);
        }
        Ok(merge)
    }

    /// The next rows, at most `rows`, and fewer where they are long; `None` at the end.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(in crate::exec) fn next(&mut self, rows: usize) -> Result<Option<RecordBatch>> {
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(rows);
        // Batches that rows have been picked of; the current one of a cursor is added when its first row is.
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut place: Vec<Option<usize>> = vec![None; self.cursors.len()];
        let mut bytes = 0;
        while picked.len() < rows
            && bytes < MERGED_BYTES
            && let Some(&top) = self.heap.first()
        {
            let cursor = &mut self.cursors[top];
            bytes += cursor.row_bytes;
            let batch = *place[top].get_or_insert_with(|| {
                batches.push(cursor.batch.clone());
                batches.len() - 1
            });
            picked.push((batch, cursor.at));
            cursor.at += 1;
            if cursor.at == cursor.batch.num_rows() {
                place[top] = None;
                if !cursor.load(self.order)? {
                    self.heap.swap_remove(0);
                }
            }
            self.sift_down(0);
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        Ok(Some(interleave_record_batch(&batches, &picked)?))
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let (left, right) = (&self.cursors[a], &self.cursors[b]);
        left.keys.row(left.at).cmp(&right.keys.row(right.at)).then(a.cmp(&b)) == Ordering::Less
    }

    fn sift_down(&mut self, mut root: usize) {
        loop {
            let mut first = root;
            for child in [2 * root + 1, 2 * root + 2] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == root {
                return;
            }
            self.heap.swap(root, first);
            root = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{append, reduce};
    use super::*;
    use crate::memory::Spill;
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray};
    use arrow::compute::take_record_batch;
    use arrow::datatypes::{DataType, Int64Type};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn order() -> Order {
        Order::new([(0, DataType::Int64, false)]).unwrap()
    }

    fn batch(keys: &[Option<i64>]) -> RecordBatch {
        let column: ArrayRef = Arc::new(keys.iter().copied().collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([("k", column, true)]).unwrap()
    }

    fn sorted_run(keys: &[Option<i64>], order: &Order) -> RecordBatch {
        let batch = batch(keys);
        take_record_batch(&batch, &order.sorted(&batch).unwrap()).unwrap()
    }

    fn merged(runs: Vec<Run>, order: &Order, rows: usize) -> Vec<Option<i64>> {
        let mut merge = Merge::new(runs, order).unwrap();
        let mut keys = Vec::new();
        while let Some(batch) = merge.next(rows).unwrap() {
            assert!(batch.num_rows() <= rows);
            keys.extend(batch.column(0).as_primitive::<Int64Type>().iter());
        }
        keys
    }

    proptest! {
        #[test]
        fn merging_runs_sorts_all_rows(
            runs in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, -5i64..50), 0..40), 0..9),
            rows in 1usize..20, cut in 1usize..7, on_disk in any::<bool>(),
        ) {
            let order = order();
            let file = Arc::new(Spill::default().file());
            let mut all: Vec<Option<i64>> = runs.concat();
            all.sort_by_key(|key| (key.is_none(), *key));
            let cut_run = |keys: &Vec<Option<i64>>| -> Run {
                let run = sorted_run(keys, &order);
                let starts = (0..run.num_rows()).step_by(cut);
                let slices = starts.map(|start| run.slice(start, cut.min(run.num_rows() - start)));
                if on_disk {
                    let mut parts = Run::new();
                    slices.for_each(|slice| append(&mut parts, &file, &slice).unwrap());
                    parts
                } else {
                    slices.map(Part::Memory).collect()
                }
            };
            prop_assert_eq!(merged(runs.iter().map(cut_run).collect(), &order, rows), all);
        }
    }

    #[test]
    fn long_rows_come_in_short_batches() {
        let (order, file) = (order(), Arc::new(Spill::default().file()));
        let run = |first: i64| {
            let keys: ArrayRef = Arc::new((0..100).map(|row| Some(first + 2 * row)).collect::<Int64Array>());
            let texts: ArrayRef =
                Arc::new((0..100).map(|row| Some("x".repeat(200_000 + row))).collect::<StringViewArray>());
            let batch = RecordBatch::try_from_iter_with_nullable([("k", keys, true), ("t", texts, true)]).unwrap();
            let mut run = Run::new();
            append(&mut run, &file, &batch).unwrap();
            run
        };
        let mut merge = Merge::new(vec![run(0), run(1)], &order).unwrap();
        let mut next = 0;
        while let Some(batch) = merge.next(8192).unwrap() {
            assert!(batch.num_rows() <= 30, "{}", batch.num_rows());
            for key in batch.column(0).as_primitive::<Int64Type>().values() {
                assert_eq!(*key, next);
                next += 1;
            }
        }
        assert_eq!(next, 200);
    }

    #[test]
    fn more_runs_than_can_be_merged_at_once_are_merged_in_steps() {
        let (order, file) = (order(), Arc::new(Spill::default().file()));
        let runs = (0..200).map(|run| vec![Part::Memory(batch(&[Some(run), Some(run + 200), None]))]).collect();
        let runs = reduce(runs, &order, &file, usize::MAX).unwrap();
        assert!(runs.len() <= super::super::FAN_IN);
        let expected: Vec<_> = (0..400).map(Some).chain(std::iter::repeat_n(None, 200)).collect();
        assert_eq!(merged(runs, &order, 1000), expected);
        let runs = (0..100).map(|run| vec![Part::Memory(batch(&[Some(run), Some(run + 100)]))]).collect();
        let kept = merged(reduce(runs, &order, &file, 1).unwrap(), &order, 1000);
        assert_eq!(kept[0], Some(0), "the first row is among the first of every run");
    }
}
