//! Groups that two workers share under a limit, against plain sums.

use super::aggregate::AggregateSink;
use super::{Room, Sink};
use crate::aggregate::find;
use crate::batch::hash::mix;
use crate::batch::{Batch, RowOrigin};
use crate::exec::parallel::Hands;
use crate::memory::{Budget, Spill};
use crate::plan::AggregateColumn;
use crate::source::CancelToken;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use std::sync::Arc;

const BATCH: usize = 4096;

/// What became of a group-by: whether groups were shared at some time, whether to the end, and what was written.
struct Shared {
    ever: bool,
    to_the_end: bool,
    spilled_bytes: usize,
}

/// Groups rows with these keys, row `i` having the value `i`, with two workers that take batches in turn.
fn grouped(keys: &[i64], limit: usize, aggregate: &str) -> Shared {
    let hands = Hands { workers: 2, cancel: CancelToken::new() };
    let (budget, spill) = (Budget::new(limit), Spill::default());
    let room = Room { budget: budget.clone(), spill: spill.clone(), floor_bytes: 64 << 10, hands };
    let types = [DataType::Int64, DataType::Int64];
    let columns = [AggregateColumn { aggregate: find(aggregate, 1).unwrap(), arguments: vec![1] }];
    let field = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![field("key"), field(aggregate)]));
    let mut sinks = AggregateSink::for_workers(2, &schema, &types, 1, &columns, &room).unwrap();
    let mut ever = false;
    for (at, part) in keys.chunks(BATCH).enumerate() {
        let start = (at * BATCH) as i64;
        let values: ArrayRef = Arc::new((start..start + part.len() as i64).collect::<Int64Array>());
        let part: ArrayRef = Arc::new(Int64Array::from(part.to_vec()));
        let records = RecordBatch::try_from_iter([("key", part), ("value", values)]).unwrap();
        let origin = RowOrigin::consecutive(start as u64);
        sinks[at % 2].absorb(Batch { records, origin }).unwrap();
        ever |= sinks[0].shares();
    }
    let to_the_end = sinks[0].shares();
    let second = sinks.pop().unwrap();
    let mut first = Box::new(sinks.pop().unwrap());
    first.join(Box::new(second)).unwrap();
    let rows = first.finish().unwrap().rows;
    check(keys, aggregate, rows.batches().map(Result::unwrap));
    drop(rows);
    assert_eq!(budget.held_bytes(), 0);
    Shared { ever, to_the_end, spilled_bytes: spill.written_bytes() as usize }
}

fn check(keys: &[i64], aggregate: &str, batches: impl Iterator<Item = RecordBatch>) {
    let mut expected = std::collections::BTreeMap::new();
    for (key, value) in keys.iter().zip(0..) {
        let entry = expected.entry(*key).or_insert((0, value));
        entry.0 += value;
    }
    let mut found = Vec::with_capacity(expected.len());
    for batch in batches {
        let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
        found.extend(column(0).into_iter().zip(column(1)));
    }
    let expected = expected.into_iter().map(|(key, (sum, first))| (key, if aggregate == "sum" { sum } else { first }));
    assert!(found == expected.collect::<Vec<(i64, i64)>>(), "{} keys", found.len());
}

/// Each of so many keys about so often, in any order.
fn keys(keys: u64, times: u64) -> Vec<i64> {
    (0..keys * times).map(|row| (mix(row) % keys) as i64).collect()
}

#[test]
fn groups_that_have_room_once_are_shared_when_they_have_none_twice() {
    for aggregate in ["sum", "first"] {
        let all = keys(90_001, 6);
        let shared = grouped(&all, 24 << 20, aggregate);
        assert!(shared.ever && shared.to_the_end, "{aggregate}");
        // What was there before, but not what came after.
        assert!(shared.spilled_bytes < all.len() * 16 / 2, "{aggregate}: {} bytes", shared.spilled_bytes);
    }
}

#[test]
fn groups_that_were_thought_to_have_room_are_shared_no_more() {
    let mut all = keys(60_013, 4);
    all.extend(keys(400_009, 2));
    for aggregate in ["sum", "first"] {
        let shared = grouped(&all, 16 << 20, aggregate);
        assert!(shared.ever && !shared.to_the_end, "{aggregate} {}", shared.ever);
    }
}

#[test]
fn groups_for_which_there_is_no_room_at_all_are_not_shared() {
    let shared = grouped(&keys(400_009, 2), 8 << 20, "sum");
    assert!(!shared.ever && shared.spilled_bytes > 0);
}

#[test]
fn groups_are_not_shared_where_each_worker_has_room() {
    let shared = grouped(&keys(90_001, 3), 256 << 20, "sum");
    assert!(!shared.ever && shared.spilled_bytes == 0);
}
