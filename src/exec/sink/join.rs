//! The matches of all left rows, when the right ones are too many to look them up in memory, or when those without a
//! match are wanted, too: both sides are sorted by key and gone through side by side.
//!
//! What comes of it is sorted by the left row and then by the right one, so that the answer has the same order as that of
//! rows which are looked up as they come. Rows without a key match nothing and take no part.

mod merge;

use super::aggregate::of_columns;
use super::{Materialised, Room, Sink};
use crate::batch::{Batch, RowId};
use crate::error::{Error, Result};
use crate::exec::join::keys::{as_keys, divide, of_both};
use crate::exec::join::sorter::Sorter;
use crate::exec::runs::{BLOCK_ROWS, Order};
use crate::plan::{JoinColumn, JoinSide};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use merge::MergeJoin;
use std::any::Any;
use std::sync::Arc;

/// Columns that name a row of the result: file, position and copy of the left row, number of the right one.
const IDENTITY: usize = 4;

pub(super) struct JoinSink {
    side: JoinSide,
    schema: SchemaRef,
    /// Keys, identity of the row, columns that the result shows.
    left: Sorter,
    /// Rows of the result that are known already.
    done: Option<Sorter>,
    room: Room,
}

impl JoinSink {
    pub(super) fn new(side: JoinSide, schema: SchemaRef, room: &Room) -> Result<Self> {
        let keys = Keys::of(&side);
        let by_key = keys.types().into_iter().chain([DataType::UInt32, DataType::UInt64, DataType::UInt32]);
        let order = Order::ascending(by_key)?;
        let left = Sorter::new(order, room, room.reservation("joining")?);
        Ok(JoinSink { side, schema, left, done: None, room: room.clone() })
    }

    /// Takes rows of the result, their identities in front.
    fn done(&mut self) -> Result<&mut Sorter> {
        if self.done.is_none() {
            self.done = Some(result_sorter(&self.room)?);
        }
        self.done.as_mut().ok_or_else(|| Error::internal("no place for results"))
    }
}

/// Sorts rows of a result by their identities.
fn result_sorter(room: &Room) -> Result<Sorter> {
    let types = [DataType::UInt32, DataType::UInt64, DataType::UInt32, DataType::UInt64];
    let order = Order::ascending(types)?;
    Ok(Sorter::new(order, room, room.budget.reservation("joining")))
}

/// The keys of a join, of which there is always one: of a cross join, the same for every row.
struct Keys<'a>(&'a JoinSide);

impl<'a> Keys<'a> {
    fn of(side: &'a JoinSide) -> Self {
        Keys(side)
    }

    fn types(&self) -> Vec<DataType> {
        match self.0.shape.domains.as_slice() {
            [] => vec![DataType::Int64],
            domains => domains.iter().map(|domain| domain.arrow()).collect(),
        }
    }

    fn columns<'b>(&self, given: impl Iterator<Item = &'b ArrayRef>, rows: usize) -> Result<Vec<ArrayRef>> {
        let domains = &self.0.shape.domains;
        if domains.is_empty() {
            return Ok(vec![Arc::new(Int64Array::from(vec![0; rows]))]);
        }
        given.zip(domains).map(|(column, domain)| as_keys(column, *domain)).collect()
    }

    fn count(&self) -> usize {
        self.0.shape.domains.len().max(1)
    }

    /// Orders rows whose first columns are the keys.
    fn order(&self) -> Result<Order> {
        Order::ascending(self.types())
    }
}

impl Sink for JoinSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let ids: Vec<RowId> = (0..batch.rows()).map(|row| batch.origin.row_id(row)).collect();
        let given = self.side.shape.domains.len();
        let keys = Keys::of(&self.side);
        let count = keys.count();
        let mut columns = keys.columns(batch.records.columns().iter(), batch.rows())?;
        columns.push(Arc::new(ids.iter().map(|id| id.file).collect::<UInt32Array>()));
        columns.push(Arc::new(ids.iter().map(|id| id.position).collect::<UInt64Array>()));
        columns.push(Arc::new(ids.iter().map(|id| id.copy).collect::<UInt32Array>()));
        columns.extend(batch.records.columns().iter().skip(given).cloned());
        let (with_key, without) = divide(of_columns(columns, ids.len())?, count)?;
        self.left.push(with_key)?;
        if let Some(without) = without.filter(|_| self.side.shape.kind.keeps_left()) {
            let rows = Shown::of(&self.side).unmatched_left(&without)?;
            self.done()?.push(rows)?;
        }
        Ok(())
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<JoinSink>();
        let other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.left.join(other.left)?;
        match other.done {
            Some(done) => self.done()?.join(done),
            None => Ok(()),
        }
    }

    fn relieve(&mut self) -> Result<()> {
        self.left.spill()?;
        self.done.as_mut().map_or(Ok(()), Sorter::spill)
    }

    fn finish(mut self: Box<Self>) -> Result<Materialised> {
        self.done()?;
        let JoinSink { side, schema, left, done, room } = *self;
        let mut done = done.ok_or_else(|| Error::internal("no place for results"))?;
        let left = left.finish()?;
        let right = sorted_right(&side, &room, &mut done)?.finish()?;
        MergeJoin::new(&side, &room, &mut done)?.run(left.rows()?, right.rows()?)?;
        drop((left, right));
        let mut results = room.results();
        let done = done.finish()?;
        let mut rows = done.rows()?;
        while let Some(batch) = rows.next()? {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns()[IDENTITY..].to_vec();
            results.push(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)?;
        }
        Ok(Materialised { schema, rows: results.finish() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The right rows by key: keys, number of the row, and all its columns. Rows without a key that are wanted are done.
fn sorted_right(side: &JoinSide, room: &Room, done: &mut Sorter) -> Result<Sorter> {
    let keys = Keys::of(side);
    let by_key = keys.types().into_iter().chain([DataType::UInt64]);
    let order = Order::ascending(by_key)?;
    let mut sorter = Sorter::new(order, room, room.budget.reservation("joining"));
    let mut number = 0;
    for records in side.right.cut(BLOCK_ROWS).batches() {
        let records = records?;
        let rows = records.num_rows();
        let given = side.shape.right_keys.iter().map(|key| records.column(*key));
        let mut columns = keys.columns(given, rows)?;
        columns.push(Arc::new((number..number + rows as u64).collect::<UInt64Array>()));
        columns.extend(records.columns().iter().cloned());
        number += rows as u64;
        let (with_key, without) = divide(of_columns(columns, rows)?, keys.count())?;
        sorter.push(with_key)?;
        if let Some(without) = without.filter(|_| side.shape.kind.keeps_right()) {
            done.push(Shown::of(side).unmatched_right(&without)?)?;
        }
    }
    Ok(sorter)
}

/// Makes rows of the result: identity, then the columns that it shows.
struct Shown<'a> {
    side: &'a JoinSide,
    keys: usize,
}

impl<'a> Shown<'a> {
    fn of(side: &'a JoinSide) -> Self {
        Shown { side, keys: Keys::of(side).count() }
    }

    /// Where a column of a left row stands, given its place behind the keys that came.
    fn left_place(&self, at: usize) -> usize {
        at - self.side.shape.domains.len() + self.keys + IDENTITY - 1
    }

    fn right_place(&self, at: usize) -> usize {
        at + self.keys + 1
    }

    /// Rows of which there is a left part, a right part or both, row by row.
    fn rows(&self, left: Option<&RecordBatch>, right: Option<&RecordBatch>, rows: usize) -> Result<RecordBatch> {
        let null = |of_type: &DataType| arrow::array::new_null_array(of_type, rows);
        let of_left = |at: usize, of_type: &DataType| match left {
            Some(left) => Arc::clone(left.column(at)),
            None => null(of_type),
        };
        let mut columns = vec![
            of_left(self.keys, &DataType::UInt32),
            of_left(self.keys + 1, &DataType::UInt64),
            of_left(self.keys + 2, &DataType::UInt32),
        ];
        columns.push(match right {
            Some(right) => Arc::clone(right.column(self.keys)),
            None => null(&DataType::UInt64),
        });
        let fields = self.side.shape.schema.fields();
        for (column, field) in self.side.shape.columns.iter().zip(fields) {
            let of_type = field.data_type();
            let part = |side: Option<&RecordBatch>, at: usize| side.map(|side| Arc::clone(side.column(at)));
            let column = match *column {
                JoinColumn::Left(at) => part(left, self.left_place(at)),
                JoinColumn::Right(at) => part(right, self.right_place(at)),
                JoinColumn::Either(ours, theirs) => {
                    part(left, self.left_place(ours)).or_else(|| part(right, self.right_place(theirs)))
                }
            };
            columns.push(match column {
                None => null(of_type),
                Some(column) if column.data_type() == of_type => column,
                Some(column) => of_both(&column, of_type)?,
            });
        }
        of_columns(columns, rows)
    }

    fn unmatched_left(&self, left: &RecordBatch) -> Result<RecordBatch> {
        self.rows(Some(left), None, left.num_rows())
    }

    fn unmatched_right(&self, right: &RecordBatch) -> Result<RecordBatch> {
        self.rows(None, Some(right), right.num_rows())
    }
}
