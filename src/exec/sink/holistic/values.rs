//! The distinct values of every group, and how often each occurs.

use super::appended::Appended;
use super::table::{Batches, of_types};
use crate::aggregate::Count;
use crate::aggregate::fixed::Fixed;
use crate::batch::{Batch, RowOrigin};
use crate::error::Result;
use crate::exec::sink::aggregate::AggregateSink;
use crate::exec::sink::{Handed, Room, Sink};
use crate::plan::AggregateColumn;
use crate::types::ColumnType;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use std::sync::Arc;

/// After so many rows it is decided whether values repeat.
const SAMPLE_ROWS: usize = 1 << 16;

/// Values are counted in place; those that hardly repeat, if they have a fixed width, are appended instead.
pub(super) struct Values {
    /// Keys and value.
    types: Vec<DataType>,
    room: Room,
    counting: Box<AggregateSink>,
    /// How many rows were counted.
    counted_rows: usize,
    sample_rows: usize,
    appended: Option<Appended>,
}

impl Values {
    /// Of rows that have columns of these types: the keys, and the value.
    pub(super) fn new(types: Vec<DataType>, room: &Room) -> Result<Self> {
        let counting = Box::new(new_counting(&types, room)?);
        Ok(Values { types, room: room.clone(), counting, counted_rows: 0, sample_rows: SAMPLE_ROWS, appended: None })
    }

    /// Takes rows without null values.
    pub(super) fn absorb(&mut self, records: RecordBatch) -> Result<()> {
        if let Some(appended) = &mut self.appended {
            let (keys, value) = records.columns().split_at(self.types.len() - 1);
            return appended.absorb(keys, &value[0], None);
        }
        let before = self.counted_rows;
        self.counted_rows += records.num_rows();
        self.counting.absorb(Batch { records, origin: RowOrigin::consecutive(0) })?;
        let decides = before < self.sample_rows && self.counted_rows >= self.sample_rows;
        if decides && self.counting.rows_held() > self.counted_rows / 2 { self.append_from_now_on() } else { Ok(()) }
    }

    fn append_from_now_on(&mut self) -> Result<()> {
        let (value, keys) = self.types.split_last().map_or((&DataType::Null, &[][..]), |split| split);
        let Some(fixed) = Fixed::new(ColumnType::from_arrow(value)?) else { return Ok(()) };
        let purpose = "values of groups";
        let reservation = self.room.reservation(purpose).unwrap_or_else(|_| self.room.budget.reservation(purpose));
        let (file, cancel) = (Arc::new(self.room.file()), &self.room.hands.cancel);
        let appended = Appended::new(keys, fixed, file, reservation, cancel)?;
        if self.counting.has_runs() {
            // They are merged with those that come.
            self.appended = Some(appended);
            return self.counting.relieve();
        }
        // It counts no more, and takes nothing from those who do.
        let empty = new_counting(&self.types, &self.room.divided(usize::MAX))?;
        let counted = std::mem::replace(&mut self.counting, Box::new(empty));
        self.counted_rows = 0;
        append_counted(self.appended.insert(appended), counted, self.types.len())
    }

    /// Takes all that another table of the same kind holds.
    pub(super) fn join(&mut self, other: Values) -> Result<()> {
        self.counting.join(other.counting)?;
        self.counted_rows += other.counted_rows;
        match (&mut self.appended, other.appended) {
            (Some(ours), Some(theirs)) => ours.join(theirs),
            (None, theirs) => {
                self.appended = theirs;
                Ok(())
            }
            (Some(_), None) => Ok(()),
        }
    }

    /// Writes what it holds to disk.
    pub(super) fn relieve(&mut self) -> Result<()> {
        self.counting.relieve()?;
        self.appended.as_mut().map_or(Ok(()), Appended::relieve)
    }

    /// Hands all that it holds over: keys, values and counts, be they counted or appended.
    pub(super) fn export(self, out: Handed<'_>) -> Result<()> {
        self.counting.export(out)?;
        self.appended.map_or(Ok(()), |appended| appended.export(out))
    }

    /// Takes keys, values and counts that another table has handed over.
    pub(super) fn import(&mut self, records: RecordBatch) -> Result<()> {
        // Not appended: each would be there as often as it occurs.
        self.counted_rows += records.num_rows();
        self.counting.import(0, records)
    }

    /// Batches whose last two columns are values and counts, in the order of keys and values.
    pub(super) fn finish(self) -> Result<Batches> {
        let Some(mut appended) = self.appended else { return Ok(Batches::Stored(self.counting.finish()?.rows)) };
        let mut counting = Some(self.counting);
        // Few rows are those of workers that had too few to decide.
        let in_memory = !appended.has_runs() && counting.as_ref().is_some_and(|counting| !counting.has_runs());
        if in_memory && self.counted_rows <= 8 * self.sample_rows {
            counting.take().map(|counted| append_counted(&mut appended, counted, self.types.len())).transpose()?;
        }
        if counting.is_none() && !appended.has_runs() {
            return Ok(Batches::Made(Box::new(appended.into_batches()?)));
        }
        let runs = appended.into_runs()?;
        let mut merging = match counting {
            Some(counting) => counting,
            None => Box::new(new_counting(&self.types, &self.room.divided(usize::MAX))?),
        };
        runs.into_iter().for_each(|run| merging.add_run(run));
        Ok(Batches::Stored(merging.finish()?.rows))
    }
}

/// Appends what was counted, each value as often as it occurs; `width` is the number of keys and the value.
fn append_counted(appended: &mut Appended, counted: Box<AggregateSink>, width: usize) -> Result<()> {
    for batch in counted.finish()?.rows.batches() {
        let batch = batch?;
        let counts = batch.column(width).as_primitive::<Int64Type>();
        appended.absorb(&batch.columns()[..width - 1], batch.column(width - 1), Some(counts.values()))?;
    }
    Ok(())
}

/// A table of nothing yet that counts keys and values.
fn new_counting(types: &[DataType], room: &Room) -> Result<AggregateSink> {
    let schema = of_types(types.iter().cloned().chain([DataType::Int64]));
    let count = AggregateColumn { aggregate: Arc::new(Count), arguments: Vec::new() };
    AggregateSink::new(schema, types, types.len(), vec![count], room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::parallel::Hands;
    use crate::exec::sink::holistic::table::Batches;
    use crate::memory::{Budget, Spill};
    use crate::source::CancelToken;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray};
    use proptest::prelude::*;

    /// A row: two keys and a value.
    type Row = (Option<i64>, u8, f64);

    fn records(rows: &[Row], keys: usize) -> RecordBatch {
        let first: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
        let second: ArrayRef =
            Arc::new(rows.iter().map(|row| Some(format!("k{}", row.1))).collect::<StringViewArray>());
        let value: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Float64Array>());
        let columns = [first, second].into_iter().take(keys).chain([value]);
        RecordBatch::try_from_iter_with_nullable(columns.enumerate().map(|(at, column)| (at.to_string(), column, true)))
            .unwrap()
    }

    /// Values and counts of tables that take the rows in turn, joined.
    fn answer(rows: &[Row], keys: usize, tables: usize, sample_rows: usize, room: &Room) -> Vec<(u64, i64)> {
        let types = [DataType::Int64, DataType::Utf8View].into_iter().take(keys).chain([DataType::Float64]);
        let types: Vec<DataType> = types.collect();
        let mut all: Vec<Values> = (0..tables).map(|_| Values::new(types.clone(), room).unwrap()).collect();
        all.iter_mut().for_each(|table| table.sample_rows = sample_rows);
        for (at, batch) in rows.chunks(7).enumerate() {
            // The first tables get most of the rows, so that some decide and some do not.
            all[at * at % tables].absorb(records(batch, keys)).unwrap();
        }
        let joined = all.into_iter().reduce(|mut joined, table| {
            joined.join(table).unwrap();
            joined
        });
        let mut pairs = Vec::new();
        let mut take = |batch: RecordBatch| {
            let (values, counts) = (batch.num_columns() - 2, batch.num_columns() - 1);
            let values = batch.column(values).as_primitive::<arrow::datatypes::Float64Type>().values().clone();
            let counts = batch.column(counts).as_primitive::<Int64Type>().values().clone();
            pairs.extend(values.iter().map(|value| value.to_bits()).zip(counts.iter().copied()));
        };
        match joined.unwrap().finish().unwrap() {
            Batches::Stored(rows) => rows.batches().for_each(|batch| take(batch.unwrap())),
            Batches::Made(batches) => batches.for_each(|batch| take(batch.unwrap())),
        }
        pairs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn counted_appended_and_spilled_values_are_the_same(
            rows in prop::collection::vec(
                (prop::option::weighted(0.9, 0i64..5), 0u8..3, prop_oneof![
                    (-3i32..40).prop_map(|value| f64::from(value) / 2.0), Just(f64::NAN), Just(-0.0), any::<f64>(),
                ]),
                0..400,
            ),
            keys in 0usize..3, tables in 1usize..4,
        ) {
            let hands = Hands { workers: 2, cancel: CancelToken::new() };
            let room = |bytes, floor_bytes| {
                let (budget, spill) = (Budget::new(bytes), Spill::default());
                Room { budget, spill, floor_bytes, hands: hands.clone() }
            };
            let expected = answer(&rows, keys, 1, usize::MAX, &room(1 << 30, 1 << 20));
            for sample_rows in [1, 10, 50] {
                prop_assert_eq!(&answer(&rows, keys, tables, sample_rows, &room(1 << 30, 1 << 10)), &expected);
                let scarce = room(40 << 10, 1 << 10);
                prop_assert_eq!(&answer(&rows, keys, tables, sample_rows, &scarce), &expected);
                prop_assert_eq!(scarce.budget.held_bytes(), 0);
            }
        }
    }
}
