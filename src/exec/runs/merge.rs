//! The merge of sorted runs.

use super::order::{Keys, Order};
use super::{Range, Run};
use crate::error::Result;
use crate::memory::{Part, held_bytes};
use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use std::cmp::Ordering;

/// A merged batch is cut shorter where its rows are long, as states of sketches are.
const MERGED_BYTES: usize = 4 << 20;

/// What a row of a part takes more when it has been read back, on average.
fn row_bytes(part: &Part, batch: &RecordBatch) -> usize {
    match part {
        Part::Memory(_) => 0,
        Part::Spilled(..) | Part::Made(_) => held_bytes(batch) / batch.num_rows().max(1),
    }
}

/// Merges runs, or a range of them; of rows with the same key, that of the earlier run comes first.
pub(in crate::exec) struct Merge<'a> {
    order: &'a Order,
    range: &'a Range,
    cursors: Vec<Cursor<'a>>,
    /// Cursors that have a row, as a binary heap: the first row on top.
    heap: Vec<usize>,
}

/// Where a run stands.
struct Cursor<'a> {
    parts: std::slice::Iter<'a, Part>,
    current: Current,
}

/// Rows of a part, from `at` to before `end`.
struct Current {
    batch: RecordBatch,
    keys: Keys,
    at: usize,
    end: usize,
    /// Of the batch.
    row_bytes: usize,
}

impl Current {
    /// The rows of the range of the next part that has any.
    fn next(parts: &mut std::slice::Iter<'_, Part>, order: &Order, range: &Range) -> Result<Option<Self>> {
        for part in parts {
            let batch = part.load()?;
            let keys = order.keys(&batch)?;
            let at = range.from.as_ref().map_or(0, |from| keys.rows_before(from));
            let end = range.to.as_ref().map_or(batch.num_rows(), |to| keys.rows_before(to));
            if at < end {
                let row_bytes = row_bytes(part, &batch);
                return Ok(Some(Current { batch, keys, at, end, row_bytes }));
            }
        }
        Ok(None)
    }
}

impl<'a> Merge<'a> {
    /// The merge of what these runs have of a range.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(in crate::exec) fn within(runs: &'a [Run], order: &'a Order, range: &'a Range) -> Result<Self> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let mut parts = run.parts_within(range).iter();
            if let Some(current) = Current::next(&mut parts, order, range)? {
                cursors.push(Cursor { parts, current });
            }
        }
        let mut merge = Merge { order, range, heap: (0..cursors.len()).collect(), cursors };
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
            let Cursor { parts, current } = &mut self.cursors[top];
            bytes += current.row_bytes;
            let batch = *place[top].get_or_insert_with(|| {
                batches.push(current.batch.clone());
                batches.len() - 1
            });
            picked.push((batch, current.at));
            current.at += 1;
            if current.at == current.end {
                place[top] = None;
                match Current::next(parts, self.order, self.range)? {
                    Some(next) => *current = next,
                    None => {
                        self.heap.swap_remove(0);
                    }
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
        let (left, right) = (&self.cursors[a].current, &self.cursors[b].current);
        left.keys.compare(left.at, &right.keys, right.at).then(a.cmp(&b)) == Ordering::Less
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
    use super::super::{Headroom, in_ranges, reduce};
    use super::*;
    use crate::exec::parallel::Hands;
    use crate::memory::Spill;
    use crate::source::CancelToken;
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray, UInt32Array};
    use arrow::compute::take_record_batch;
    use arrow::datatypes::{DataType, Int64Type};
    use proptest::prelude::*;
    use std::sync::Arc;

    const FAN_IN: usize = 64;

    fn order() -> Order {
        Order::new([(0, DataType::Int64, false)]).unwrap()
    }

    fn hands(workers: usize) -> Hands {
        Hands { workers, cancel: CancelToken::new() }
    }

    fn batch(keys: &[Option<i64>]) -> RecordBatch {
        let column: ArrayRef = Arc::new(keys.iter().copied().collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([("k", column, true)]).unwrap()
    }

    /// A run of blocks of `cut` rows, all in one file.
    fn run(keys: &[Option<i64>], cut: usize) -> Run {
        let (order, file, batch) = (order(), Arc::new(Spill::default().file()), batch(keys));
        let keys = order.keys(&batch).unwrap();
        let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        rows.sort_by(|a, b| keys.compare(*a as usize, &keys, *b as usize));
        let sorted = take_record_batch(&batch, &UInt32Array::from(rows)).unwrap();
        let mut run = Run::default();
        for start in (0..sorted.num_rows()).step_by(cut) {
            let slice = sorted.slice(start, cut.min(sorted.num_rows() - start));
            run.append(&order, &file, &slice).unwrap();
        }
        run
    }

    fn merged(runs: &[Run], rows: usize, workers: usize) -> Vec<Option<i64>> {
        let mut all = Vec::new();
        let keys = |mut merge: Merge<'_>| {
            let mut keys = Vec::new();
            while let Some(batch) = merge.next(rows)? {
                assert!(batch.num_rows() <= rows);
                keys.extend(batch.column(0).as_primitive::<Int64Type>().iter());
            }
            Ok(keys)
        };
        in_ranges(&hands(workers), runs, &order(), keys, |mut keys| {
            all.append(&mut keys);
            Ok(())
        })
        .unwrap();
        all
    }

    proptest! {
        #[test]
        fn merging_runs_sorts_all_rows_in_any_number_of_ranges(
            runs in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, -5i64..50), 0..60), 0..6),
            rows in 1usize..20, cut in 1usize..4, workers in 1usize..4,
        ) {
            let mut all: Vec<Option<i64>> = runs.concat();
            all.sort_by_key(|key| (key.is_none(), *key));
            let runs: Vec<Run> = runs.iter().map(|keys| run(keys, cut)).collect();
            prop_assert_eq!(merged(&runs, rows, workers), all);
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
            let mut run = Run::default();
            run.append(&order, &file, &batch).unwrap();
            run
        };
        let (runs, all) = ([run(0), run(1)], Range::default());
        let mut merge = Merge::within(&runs, &order, &all).unwrap();
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
        let runs = (0..200).map(|at| run(&[Some(at), Some(at + 200), None], 2)).collect();
        let headroom = |workers: usize| Headroom::unreserved(hands(workers), FAN_IN, 4);
        let runs = reduce(runs, &order, &file, usize::MAX, &headroom(2)).unwrap();
        assert!(runs.len() <= FAN_IN);
        assert!(runs.iter().all(|run| run.longest().0 <= 4), "no more rows leave at a time than there is room for");
        let expected: Vec<_> = (0..400).map(Some).chain(std::iter::repeat_n(None, 200)).collect();
        assert_eq!(merged(&runs, 1000, 2), expected);
        let runs = (0..100).map(|at| run(&[Some(at), Some(at + 100)], 2)).collect();
        let kept = merged(&reduce(runs, &order, &file, 1, &headroom(1)).unwrap(), 1000, 1);
        assert_eq!(kept[0], Some(0), "the first row is among the first of every run");
    }
}
