//! Results of strata, which come in any order, as one table in the order of the keys.
//!
//! Results are brought together as files are: columns by name ([`unify`](super::unify)), integers widened to doubles and dates to timestamps, and a
//! column without values takes the type that it has elsewhere. A column of text output that is a number for one stratum and
//! a word for another is text, with the digits as they were printed: the output is kept until all have come.

use super::failures::Failures;
use super::output::Outcome;
use super::run::{ends_the_run, of_stratum};
use super::stratum::label;
use super::unify::{Column, Known, Shape, unify};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Part, Reservation, RowStore, Spill, StoredRows, used_bytes};
use crate::types::ColumnType;
use arrow::array::{
    Array, ArrayRef, AsArray, LargeBinaryArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a batch of the table.
const BATCH_ROWS: usize = 8192;

/// Reads what was printed, with these columns as text; the reservation is then also that of the rows.
type ReadAgain<'a> = dyn Fn(&[u8], &[String], &mut Reservation) -> Result<RecordBatch> + 'a;

/// The result of a stratum.
struct Kept {
    /// With the keys in front.
    parts: Vec<Part>,
    printed: Option<Part>,
    /// The number of its shape.
    shape: usize,
}

/// What has come so far.
#[derive(Default)]
struct Come {
    by_stratum: BTreeMap<usize, Kept>,
    shapes: BTreeMap<Shape, Known>,
}

/// Takes results.
pub(super) struct Gather {
    keys: SchemaRef,
    store: RowStore,
    come: Mutex<Come>,
    budget: Budget,
    spill: Spill,
}

/// Results of which all go together, once they have come.
pub(super) struct Gathered {
    keys: SchemaRef,
    columns: Vec<Column>,
    by_stratum: BTreeMap<usize, Kept>,
    budget: Budget,
    spill: Spill,
}

impl Gather {
    pub(super) fn new(keys: SchemaRef, budget: &Budget, spill: &Spill) -> Self {
        let (budget, spill, store) = (budget.clone(), spill.clone(), RowStore::new(budget, spill));
        Gather { keys, store, come: Mutex::default(), budget, spill }
    }

    /// Takes the result of a stratum.
    ///
    /// # Errors
    /// Those of the disk; a result with a column that is called as a key is.
    pub(super) fn take(&self, stratum: usize, label: &str, keys: &RecordBatch, outcome: Outcome) -> Result<()> {
        // What it holds is given back when all of it has been stored.
        let Outcome { batch, printed, room: _room } = outcome;
        for field in batch.schema_ref().fields() {
            if self.keys.index_of(field.name()).is_ok() {
                let message = format!("the result has a column `{}`, which is a key", field.name());
                return Err(Error::new(ErrorKind::Task, message).hint("keys are put in front of it; leave it out"));
            }
        }
        let mut shape = Vec::with_capacity(batch.num_columns());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let empty = column.logical_null_count() == column.len();
            let own = ColumnType::from_arrow(field.data_type())?;
            shape.push((field.name().clone(), if empty { ColumnType::Null } else { own }));
        }
        let parts = self.store.keep_cut(with_keys(keys, &batch)?)?;
        let printed = printed.map(|printed| self.store.keep(printed_batch(printed)?)).transpose()?;
        let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        let number = come.shapes.len();
        let new = || Known { number, strata: 0, first: stratum, label: label.to_owned() };
        let known = come.shapes.entry((shape, printed.is_some())).or_insert_with(new);
        known.strata += 1;
        if stratum < known.first {
            (known.first, known.label) = (stratum, label.to_owned());
        }
        let shape = known.number;
        come.by_stratum.insert(stratum, Kept { parts, printed, shape });
        Ok(())
    }

    /// The results that go together; the strata of others have failed. `label` gives the keys of a stratum in words.
    ///
    /// # Errors
    /// Those of `label`.
    pub(super) fn unify(
        self,
        failures: &mut Failures,
        label: &mut dyn FnMut(usize) -> Result<String>,
    ) -> Result<Gathered> {
        let Come { mut by_stratum, shapes } = self.come.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (columns, odd) = unify(&shapes);
        for (stratum, kept) in &by_stratum {
            if let Some(why) = odd.get(&kept.shape) {
                failures.note(*stratum, || {
                    let label = label(*stratum)?;
                    Ok(of_stratum(&label, 1, &why.error(&label)))
                })?;
            }
        }
        by_stratum.retain(|_, kept| !odd.contains_key(&kept.shape));
        Ok(Gathered { keys: self.keys, columns, by_stratum, budget: self.budget, spill: self.spill })
    }
}

impl Gathered {
    /// The table of all results. A stratum whose values do not fit the common type has failed.
    ///
    /// # Errors
    /// Those of the disk, and of the [run](ends_the_run).
    pub(super) fn finish(self, failures: &mut Failures, read_again: &ReadAgain<'_>) -> Result<(SchemaRef, StoredRows)> {
        let results = self.columns.iter().map(|column| Field::new(&column.name, column.column_type.arrow(), true));
        let fields = self.keys.fields().iter().map(|field| field.as_ref().clone()).chain(results);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut table = Table {
            schema: Arc::clone(&schema),
            waiting: Vec::new(),
            rows: 0,
            room: self.budget.reservation("results of strata that are put together"),
            store: RowStore::new(&self.budget, &self.spill),
        };
        for (stratum, kept) in &self.by_stratum {
            if let Err(error) = self.put(kept, read_again, &mut table) {
                let keys = kept.parts.first().map(Part::load).transpose()?.filter(|first| first.num_rows() > 0);
                let keys = keys.map(|first| self.key_row(&first)).transpose()?;
                match keys {
                    Some(keys) if !ends_the_run(&error) => {
                        failures.note(*stratum, || Ok(of_stratum(&label(&keys), 1, &error)))?;
                    }
                    _ => return Err(error),
                }
            }
        }
        table.flush()?;
        Ok((schema, table.store.finish()))
    }

    fn key_row(&self, first: &RecordBatch) -> Result<RecordBatch> {
        Ok(first.slice(0, 1).project(&(0..self.keys.fields().len()).collect::<Vec<_>>())?)
    }

    /// Puts the result of a stratum into the table: all of it, or nothing.
    fn put(&self, kept: &Kept, read_again: &ReadAgain<'_>, table: &mut Table) -> Result<()> {
        let width = self.keys.fields().len();
        let as_part = |batch: &RecordBatch| widened(batch, width, &self.columns, &table.schema);
        // There is one at least, which says what all are.
        let first = kept.parts.first().ok_or_else(|| Error::internal("a result without parts"))?.load()?;
        let texts = digits_lost(&first, &self.columns);
        if let Some(printed) = kept.printed.as_ref().filter(|_| !texts.is_empty() && first.num_rows() > 0) {
            let mut room = self.budget.reservation("what a program has printed");
            if !matches!(printed, Part::Memory(_)) {
                room.resize(printed.loaded_bytes())?;
            }
            let again = read_again(printed_of(&printed.load()?)?.value(0), &texts, &mut room)?;
            return table.push(as_part(&with_keys(&self.key_row(&first)?, &again)?)?);
        }
        if kept.parts.len() > 1 {
            // What does not fit must come to light before anything is in the table.
            kept.parts.iter().try_for_each(|part| as_part(&part.load()?).map(|_| ()))?;
        }
        let mut batches = std::iter::once(Ok(first)).chain(kept.parts[1..].iter().map(Part::load));
        batches.try_for_each(|batch| {
            let batch = widened(&batch?, width, &self.columns, &table.schema)?;
            table.push(batch)
        })
    }
}

/// The columns of a result that are text in the table and were read as something else.
fn digits_lost(batch: &RecordBatch, columns: &[Column]) -> Vec<String> {
    let lost = |column: &&Column| {
        let own = batch.column_by_name(&column.name).map(|own| own.data_type());
        column.column_type == ColumnType::Utf8
            && own.is_some_and(|own| !matches!(own, DataType::Utf8View | DataType::Null))
    };
    columns.iter().filter(lost).map(|column| column.name.clone()).collect()
}

/// Puts batches together that are short.
struct Table {
    schema: SchemaRef,
    waiting: Vec<RecordBatch>,
    rows: usize,
    /// Of what waits, and of what is made of it.
    room: Reservation,
    store: RowStore,
}

impl Table {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let bytes = 2 * used_bytes([&batch].into_iter(), true);
        if self.room.resize(self.room.bytes() + bytes).is_err() {
            self.flush()?;
            // The store cuts what is long, so there is nothing to be put together.
            return self.store.push(batch);
        }
        self.rows += batch.num_rows();
        self.waiting.push(batch);
        if self.rows >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.rows = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.store.push(concat_batches(&self.schema, &waiting)?)?;
        drop(waiting);
        self.room.resize(0)
    }
}

/// The keys, one row, in front of each row of a result.
fn with_keys(keys: &RecordBatch, result: &RecordBatch) -> Result<RecordBatch> {
    let rows = result.num_rows();
    let first = UInt32Array::from_value(0, rows);
    let mut columns = keys.columns().iter().map(|key| take(key, &first, None)).collect::<Result<Vec<_>, _>>()?;
    columns.extend(result.columns().iter().cloned());
    let fields = keys.schema_ref().fields().iter().chain(result.schema_ref().fields());
    let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn printed_batch(printed: Vec<u8>) -> Result<RecordBatch> {
    let offsets = OffsetBuffer::from_lengths([printed.len()]);
    let text: ArrayRef = Arc::new(LargeBinaryArray::try_new(offsets, Buffer::from_vec(printed), None)?);
    Ok(RecordBatch::try_from_iter([("printed", text)])?)
}

fn printed_of(batch: &RecordBatch) -> Result<&LargeBinaryArray> {
    batch.column(0).as_binary_opt::<i64>().ok_or_else(|| Error::internal("output that is no text"))
}

/// A result as part of the table.
fn widened(batch: &RecordBatch, width: usize, columns: &[Column], schema: &SchemaRef) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = batch.columns()[..width].to_vec();
    for column in columns {
        let wanted = column.column_type.arrow();
        arrays.push(match batch.column_by_name(&column.name) {
            None => new_null_array(&wanted, batch.num_rows()),
            Some(own) if *own.data_type() == wanted => Arc::clone(own),
            Some(own) if own.logical_null_count() == own.len() => new_null_array(&wanted, own.len()),
            Some(own) => exactly(own, &wanted, &column.name)?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// The same values as another type, which holds them.
fn exactly(array: &ArrayRef, wanted: &DataType, name: &str) -> Result<ArrayRef> {
    let wider = cast(array, wanted)?;
    if let (Some(whole), Some(real)) = (array.as_primitive_opt::<Int64Type>(), wider.as_primitive_opt::<Float64Type>())
    {
        let lost = |(whole, real): &(Option<i64>, Option<f64>)| match (whole, real) {
            (Some(whole), Some(real)) => *real as i128 != i128::from(*whole),
            _ => false,
        };
        if let Some((Some(value), _)) = whole.iter().zip(real.iter()).find(lost) {
            let message = format!("`{name}` is Float64 for some strata, and no double is {value}, as for another");
            return Err(Error::new(ErrorKind::Value, message).hint("return the same type for all strata"));
        }
    }
    Ok(wider)
}
