//! Groups: a table of keys and states, and sorted runs of those that did not fit.

mod sharing;

use super::buckets::{Buckets, Headed};
use super::common::CommonGroups;
use super::merged::MergedGroups;
use super::tables::{FULL, Shape, Tables};
use super::{Handed, Materialised, PIECE_COPIES, Room, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::parallel::Hands;
use crate::exec::runs::{BLOCK_ROWS, Headroom, Merge, Order, Run, in_ranges, reduce};
use crate::groupby::{Entry, GroupOrder, GroupTable};
use crate::memory::{Part, Reservation, RowStore, SpillFile};
use crate::plan::AggregateColumn;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::any::Any;
use std::sync::Arc;

pub(super) struct AggregateSink {
    schema: SchemaRef,
    columns: Vec<AggregateColumn>,
    shape: Arc<Shape>,
    /// Of runs: by the keys.
    order: Order,
    tables: Tables,
    /// Those of other workers, and what is reserved for them.
    joined: Vec<(Tables, Reservation)>,
    /// Groups that workers share.
    common: Option<Arc<CommonGroups>>,
    /// Those that were shared, in the end.
    gathered: Vec<GroupTable>,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
    /// Bytes that the states of a group may take, and what they have taken, as far as it is known.
    most_group_bytes: usize,
    group_bytes: usize,
}

/// States that may be larger are not all made at once, for a batch of groups: memory is asked for in between.
const LARGE_STATES: usize = 16 << 10;

impl AggregateSink {
    /// One for each worker, who may share their groups.
    pub(super) fn for_workers(
        workers: usize,
        schema: &SchemaRef,
        types: &[DataType],
        keys: usize,
        columns: &[AggregateColumn],
        room: &Room,
    ) -> Result<Vec<Self>> {
        let sink = |_| AggregateSink::new(Arc::clone(schema), types, keys, columns.to_vec(), room);
        let mut sinks = (0..workers).map(sink).collect::<Result<Vec<_>>>()?;
        if let [first, _, ..] = &*sinks
            && keys > 0
            && first.most_group_bytes < LARGE_STATES
        {
            let common = Arc::new(CommonGroups::new(Arc::clone(&first.shape), &room.budget));
            sinks.iter_mut().for_each(|sink| sink.common = Some(Arc::clone(&common)));
        }
        Ok(sinks)
    }

    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: usize,
        columns: Vec<AggregateColumn>,
        room: &Room,
    ) -> Result<Self> {
        let typed = |column: &AggregateColumn| {
            let arguments = column.arguments.iter().map(|&at| types[at].clone()).collect();
            (Arc::clone(&column.aggregate), arguments)
        };
        let aggregates = columns.iter().map(typed).collect();
        let shape = Arc::new(Shape { key_types: types[..keys].to_vec(), aggregates });
        // One group without a key cannot be divided.
        let most_group_bytes = columns.iter().map(|column| column.aggregate.most_state_bytes()).sum();
        let undivided_bytes = if keys == 0 { most_group_bytes } else { 0 };
        let floor_bytes = room.floor_bytes.max(undivided_bytes);
        let reservation = room.budget.reservation_of_at_least(floor_bytes, "grouping")?;
        Ok(AggregateSink {
            tables: Tables::new(&shape, FULL)?,
            order: Order::ascending(shape.key_types.iter().cloned())?,
            schema,
            columns,
            shape,
            joined: Vec::new(),
            common: None,
            gathered: Vec::new(),
            runs: Vec::new(),
            file: Arc::new(room.file()),
            room: room.clone(),
            reservation,
            most_group_bytes,
            group_bytes: most_group_bytes,
        })
    }

    /// Groups held, those of several runs once a run.
    pub(super) fn rows_held(&self) -> usize {
        self.tables.groups() + self.runs.iter().map(Run::rows).sum::<usize>()
    }

    /// Whether some of them are on disk.
    pub(super) fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Takes a run of keys and exported states, sorted by the keys.
    pub(super) fn add_run(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Writes all groups as a sorted run and begins anew.
    fn set_aside(&mut self) -> Result<()> {
        let hands = if self.joined.is_empty() { self.room.hands.alone() } else { self.room.hands.clone() };
        let tables = self.take_tables()?;
        if !tables.is_empty() {
            self.spill(&tables, &hands)?;
        }
        drop(tables);
        let joined = std::mem::take(&mut self.joined).into_iter();
        joined.for_each(|(_, reservation)| self.reservation.absorb(reservation));
        self.reservation.resize(0)
    }

    /// Bytes that the groups take, and what it takes to let a piece of them go.
    fn bytes(&self) -> usize {
        let piece_bytes = if self.shape.key_types.is_empty() { 0 } else { self.room.piece_bytes() };
        self.tables.bytes(&self.shape) + piece_bytes
    }

    /// Whether the groups take no more than the sink has from the beginning.
    fn keeps_groups(&self) -> bool {
        self.joined.is_empty() && self.reservation.keeps(self.tables.bytes(&self.shape))
    }

    /// So many rows may come before memory is asked for, were each a group of its own.
    fn rows_at_a_time(&self) -> usize {
        match self.shape.key_types.is_empty() || self.most_group_bytes < LARGE_STATES {
            true => usize::MAX,
            false => (self.room.floor_bytes / self.group_bytes.max(1)).max(1),
        }
    }

    /// Absorbs rows, whose memory is asked for afterwards.
    fn absorb_some(&mut self, batch: &Batch) -> Result<()> {
        let columns = batch.records.columns();
        let pick = |column: &AggregateColumn| column.arguments.iter().map(|&at| Arc::clone(&columns[at])).collect();
        let arguments: Vec<Vec<ArrayRef>> = self.columns.iter().map(pick).collect();
        let keys = &columns[..self.shape.key_types.len()];
        self.tables.update(&self.shape, keys, &arguments, batch.rows(), &batch.origin)?;
        if let Some(found) = self.tables.bytes(&self.shape).checked_div(self.tables.groups()) {
            self.group_bytes = found.min(self.most_group_bytes);
        }
        self.settle()
    }

    /// Asks for the memory of the groups as they are now; without it, they go to disk.
    fn settle(&mut self) -> Result<()> {
        if let Some(bytes) = self.tables.bytes_to_group() {
            let room = self.reservation.resize(self.bytes() + bytes).is_ok();
            self.tables.group(room)?;
        }
        if self.tables.hands_on() {
            self.hand_on(false)?;
        } else if self.common.as_ref().is_some_and(|common| common.is_open()) {
            // Another worker began to share, for want of memory that this one has.
            return self.make_way();
        }
        match self.reservation.resize(self.bytes()) {
            Err(_) if self.keeps_groups() => self.reservation.resize(0),
            Err(_) if self.tables.groups() > 0 && !self.shape.key_types.is_empty() => self.make_way(),
            settled => settled,
        }
    }

    /// Writes groups as a sorted run.
    fn spill(&mut self, tables: &[GroupTable], hands: &Hands) -> Result<()> {
        let mut run = Run::default();
        let rows = rows_within(tables, self.room.budget.block_bytes());
        let written = |entries: &[_], order: &GroupOrder<'_>| {
            let mut blocks = Run::default();
            for entries in entries.chunks(rows) {
                blocks.append(&self.order, &self.file, &exported(entries, order)?)?;
            }
            Ok(blocks)
        };
        in_order_of_keys(tables, hands, written, |blocks| {
            run.extend(blocks);
            Ok(())
        })?;
        self.runs.push(run);
        Ok(())
    }

    /// The tables of all workers.
    fn take_tables(&mut self) -> Result<Vec<GroupTable>> {
        let hands_on = self.tables.hands_on() && self.shares();
        let mut tables = std::mem::replace(&mut self.tables, Tables::new(&self.shape, FULL)?).into_tables()?;
        if hands_on {
            self.tables.hand_on(&self.shape)?;
        }
        for (joined, _) in &mut self.joined {
            tables.append(&mut std::mem::replace(joined, Tables::new(&self.shape, FULL)?).into_tables()?);
        }
        tables.append(&mut self.gathered);
        Ok(tables)
    }

    /// The groups of all runs, merged.
    fn finish_runs(mut self) -> Result<Materialised> {
        self.set_aside()?;
        let nothing = self.room.budget.reservation("grouping");
        let own = std::mem::replace(&mut self.reservation, nothing);
        let runs = std::mem::take(&mut self.runs);
        let headroom = Headroom::of(&runs, &self.room.hands, own)?;
        let runs = reduce(runs, &self.order, &self.file, usize::MAX, &headroom)?;
        let (results, mut parts) = (self.room.results(), Vec::new());
        let finished = |merge: Merge<'_>| self.finish_range(merge, headroom.rows, &results);
        in_ranges(&headroom.hands, &runs, &self.order, finished, |mut finished| {
            parts.append(&mut finished);
            Ok(())
        })?;
        Ok(Materialised { schema: self.schema, rows: results.finish_with(parts) })
    }

    /// The groups of a range of keys, so many rows of the merge at a time.
    fn finish_range(&self, mut merge: Merge<'_>, rows: usize, results: &RowStore) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut open: Option<RecordBatch> = None;
        while let Some(batch) = merge.next(rows)? {
            let batch = match open.take() {
                Some(open) => concat_batches(&open.schema(), [&open, &batch])?,
                None => batch,
            };
            let mut groups = MergedGroups::of(&self.shape, &self.order, &batch)?;
            open = Some(groups.take_last()?);
            if groups.groups > 0 {
                parts.push(results.keep(groups.finish(&self.schema)?)?);
            }
        }
        if let Some(open) = open {
            parts.push(results.keep(MergedGroups::of(&self.shape, &self.order, &open)?.finish(&self.schema)?)?);
        }
        Ok(parts)
    }

    /// The one group without a key.
    fn finish_one(self) -> Result<Materialised> {
        let mut table = self.tables.into_table();
        for (joined, _) in self.joined {
            table.absorb(&joined.into_table())?;
        }
        let mut results = self.room.results();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        results.push(RecordBatch::try_new_with_options(Arc::clone(&self.schema), table.finish()?, &options)?)?;
        Ok(Materialised { schema: self.schema, rows: results.finish() })
    }
}

/// Groups as rows of keys and states.
fn exported(entries: &[Entry], order: &GroupOrder<'_>) -> Result<RecordBatch> {
    let groups = order.gather(entries)?;
    let rows = groups.groups();
    of_columns(groups.export()?, rows)
}

/// Hands the groups of tables, bucket by bucket, to `work`, in parallel, and what comes of them to `take`, in key order.
fn in_order_of_keys<T: Send>(
    tables: &[GroupTable],
    hands: &Hands,
    work: impl Fn(&[Entry], &GroupOrder<'_>) -> Result<T> + Sync,
    take: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let order = GroupOrder::of(tables);
    let compare = |a: &Entry, b: &Entry| order.compare(a, b);
    let groups: Vec<usize> = tables.iter().map(GroupTable::groups).collect();
    let entry = |table, group| order.entry(table, group);
    let buckets = Buckets::fill(hands, &groups, bytes_of_each(tables), entry, compare)?;
    hands.in_order(buckets.len(), |bucket| work(&buckets.sorted(bucket, compare), &order), take)
}

/// How many groups like those of these tables have room in so many bytes.
fn rows_within(tables: &[GroupTable], bytes: usize) -> usize {
    (bytes / bytes_of_each(tables).max(1)).clamp(1, BLOCK_ROWS)
}

/// What a group takes.
fn bytes_of_each(tables: &[GroupTable]) -> usize {
    let groups = tables.iter().map(GroupTable::groups).sum::<usize>().max(1);
    tables.iter().map(GroupTable::bytes_held).sum::<usize>() / groups
}

/// Groups in pieces of so many or a few more: those of one key stay together.
fn of_whole_keys<'a>(
    mut entries: &'a [Entry],
    rows: usize,
    order: &GroupOrder<'_>,
) -> impl Iterator<Item = &'a [Entry]> {
    std::iter::from_fn(move || {
        let goes_on = |end: usize| end < entries.len() && order.compare(&entries[end - 1], &entries[end]).is_eq();
        let end = (rows.min(entries.len())..).find(|&end| end == 0 || !goes_on(end))?;
        let (piece, rest) = entries.split_at(end);
        entries = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

impl Headed for Entry {
    #[inline(always)]
    fn head(&self) -> u128 {
        Entry::head(self)
    }
}

/// A batch with these columns, whose names do not matter.
pub(super) fn of_columns(columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(at.to_string(), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)?)
}

impl Sink for AggregateSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        let mut first = 0;
        while batch.rows() - first > self.rows_at_a_time() {
            let rows = self.rows_at_a_time();
            self.absorb_some(&batch.slice(first..first + rows))?;
            first += rows;
        }
        if first == 0 { self.absorb_some(&batch) } else { self.absorb_some(&batch.slice(first..batch.rows())) }
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<AggregateSink>();
        let mut other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.runs.append(&mut other.runs);
        self.joined.append(&mut other.joined);
        self.joined.push((other.tables, other.reservation));
        Ok(())
    }

    fn relieve(&mut self) -> Result<()> {
        self.empty_common()?;
        let holds = self.tables.groups() > 0 || !self.joined.is_empty();
        match () {
            () if !holds || self.shape.key_types.is_empty() => Ok(()),
            () if self.keeps_groups() => self.reservation.resize(0),
            () => self.set_aside(),
        }
    }

    fn export(mut self: Box<Self>, out: Handed<'_>) -> Result<()> {
        self.gather_common()?;
        for part in self.runs.iter().flat_map(Run::parts) {
            out(0, part.load()?)?;
        }
        if self.shape.key_types.is_empty() {
            let joined = std::mem::take(&mut self.joined).into_iter().map(|(tables, _)| tables);
            let mut tables = joined.chain([self.tables]);
            return tables.try_for_each(|tables| out(0, of_columns(tables.into_table().export_one()?, 1)?));
        }
        let tables = self.take_tables()?;
        let rows = rows_within(&tables, self.room.budget.block_bytes());
        let hands = self.room.hands.alone();
        let pieces = |entries: &[Entry], order: &GroupOrder<'_>| {
            entries.chunks(rows).map(|entries| exported(entries, order)).collect::<Result<Vec<_>>>()
        };
        // On one thread, so each bucket leaves before the next is made.
        in_order_of_keys(&tables, &hands, pieces, |pieces| pieces.into_iter().try_for_each(|piece| out(0, piece)))
    }

    fn import(&mut self, _part: u32, records: RecordBatch) -> Result<()> {
        self.tables.import(&self.shape, records.columns(), records.num_rows())?;
        self.settle()
    }

    fn finish(mut self: Box<Self>) -> Result<Materialised> {
        if self.shape.key_types.is_empty() {
            return self.finish_one();
        }
        self.gather_common()?;
        if !self.runs.is_empty() {
            return self.finish_runs();
        }
        let tables = self.take_tables()?;
        let results = self.room.results();
        let mut parts = Vec::new();
        let rows = rows_within(&tables, self.room.piece_bytes() / PIECE_COPIES);
        let kept = |entries: &[Entry], order: &GroupOrder<'_>| {
            let keep = |entries| {
                let columns = order.gather(entries)?.finish()?;
                results.keep(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
            };
            of_whole_keys(entries, rows, order).map(keep).collect::<Result<Vec<Part>>>()
        };
        in_order_of_keys(&tables, &self.room.hands, kept, |mut kept| {
            parts.append(&mut kept);
            Ok(())
        })?;
        drop(tables);
        Ok(Materialised { schema: self.schema, rows: results.finish_with(parts) })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Aggregate, Bootstrap, Mean};
    use crate::batch::RowOrigin;
    use crate::memory::{Budget, Spill};
    use crate::source::CancelToken;
    use arrow::array::{AsArray, Float64Array, Int64Array};
    use arrow::datatypes::Int64Type;

    /// 2048 new groups of 6 KB and more, under a limit of 4 MB.
    #[test]
    fn memory_for_large_states_is_asked_for_between_the_rows_of_a_batch() {
        let hands = Hands { workers: 1, cancel: CancelToken::new() };
        let (budget, floor_bytes) = (Budget::new(4 << 20), 256 << 10);
        let room = Room { budget, spill: Spill::default(), floor_bytes, hands };
        let aggregate: Arc<dyn Aggregate> = Arc::new(Bootstrap::new(Arc::new(Mean), 200, 0).unwrap());
        let types = [DataType::Int64, DataType::Float64];
        let result = aggregate.output_type(&types[1..]).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("h", result, true)]));
        let columns = vec![AggregateColumn { aggregate, arguments: vec![1] }];
        let mut sink = AggregateSink::new(schema, &types, 1, columns, &room).unwrap();
        let keys: ArrayRef = Arc::new((0..2048).collect::<Int64Array>());
        let values: ArrayRef = Arc::new((0..2048).map(|value| f64::from(value % 10)).collect::<Float64Array>());
        let records = RecordBatch::try_from_iter([("k", keys), ("x", values)]).unwrap();
        sink.absorb(Batch { records, origin: RowOrigin::consecutive(0) }).unwrap();
        assert!(sink.runs.len() > 3, "{} runs", sink.runs.len());
        let rows = Box::new(sink).finish().unwrap();
        let mut keys = Vec::new();
        for part in rows.rows.batches().map(Result::unwrap) {
            keys.extend_from_slice(part.column(0).as_primitive::<Int64Type>().values());
        }
        assert_eq!(keys, (0..2048).collect::<Vec<i64>>());
    }
}
