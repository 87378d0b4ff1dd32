//! Results of strata, which come in any order, as one table in the order of the keys.
//!
//! Results are brought together as files are: columns by name, integers widened to doubles and dates to timestamps, and a
//! column without values takes the type that it has elsewhere. A column of text output that is a number for one stratum and
//! a word for another is text, with the digits as they were printed: the output is kept until all have come.

use super::output::Outcome;
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

/// The columns of a result, and whether they were read from text.
type Shape = (Vec<(String, ColumnType)>, bool);

/// Reads what was printed, with these columns as text; the reservation is then also that of the rows.
type ReadAgain<'a> = dyn Fn(&[u8], &[String], &mut Reservation) -> Result<RecordBatch> + 'a;

/// What has come so far.
struct Come {
    /// By stratum: the result, with the keys in front, and what was printed.
    parts: BTreeMap<usize, (Vec<Part>, Option<Part>)>,
    /// Each shape and the first stratum that has it, with its label.
    shapes: BTreeMap<Shape, (usize, String)>,
}

/// Takes results.
pub(super) struct Gather {
    keys: SchemaRef,
    store: RowStore,
    come: Mutex<Come>,
    budget: Budget,
    spill: Spill,
}

/// A column of the table.
struct Unified {
    name: String,
    column_type: ColumnType,
}

impl Gather {
    pub(super) fn new(keys: SchemaRef, budget: &Budget, spill: &Spill) -> Self {
        let come = Mutex::new(Come { parts: BTreeMap::new(), shapes: BTreeMap::new() });
        Gather { keys, store: RowStore::new(budget, spill), come, budget: budget.clone(), spill: spill.clone() }
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
        let first = come.shapes.entry((shape, printed.is_some())).or_insert_with(|| (stratum, label.to_owned()));
        if stratum < first.0 {
            *first = (stratum, label.to_owned());
        }
        come.parts.insert(stratum, (parts, printed));
        Ok(())
    }

    /// The table of all results.
    ///
    /// # Errors
    /// Results that do not go together; those of the disk.
    pub(super) fn finish(self, read_again: &ReadAgain<'_>) -> Result<(SchemaRef, StoredRows)> {
        let come = self.come.into_inner().unwrap_or_else(PoisonError::into_inner);
        let columns = unify(&come.shapes)?;
        let results = columns.iter().map(|column| Field::new(&column.name, column.column_type.arrow(), true));
        let fields = self.keys.fields().iter().map(|field| field.as_ref().clone()).chain(results);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut table = Table {
            schema: Arc::clone(&schema),
            waiting: Vec::new(),
            rows: 0,
            room: self.budget.reservation("results of strata that are put together"),
            store: RowStore::new(&self.budget, &self.spill),
        };
        let width = self.keys.fields().len();
        for (_, (parts, printed)) in come.parts {
            let mut parts = parts.into_iter().map(|part| part.load());
            // There is one at least, which says what all are.
            let first = parts.next().ok_or_else(|| Error::internal("a result without parts"))??;
            let texts = digits_lost(&first, &columns);
            if let Some(printed) = printed.filter(|_| !texts.is_empty() && first.num_rows() > 0) {
                let mut room = self.budget.reservation("what a program has printed");
                if !matches!(printed, Part::Memory(_)) {
                    room.resize(printed.loaded_bytes())?;
                }
                let again = read_again(printed_of(&printed.load()?)?.value(0), &texts, &mut room)?;
                let keys = first.slice(0, 1).project(&(0..width).collect::<Vec<_>>())?;
                table.push(widened(&with_keys(&keys, &again)?, width, &columns, &schema)?)?;
                continue;
            }
            for batch in std::iter::once(Ok(first)).chain(parts) {
                table.push(widened(&batch?, width, &columns, &schema)?)?;
            }
        }
        table.flush()?;
        Ok((schema, table.store.finish()))
    }
}

/// The columns of a result that are text in the table and were read as something else.
fn digits_lost(batch: &RecordBatch, columns: &[Unified]) -> Vec<String> {
    let lost = |column: &&Unified| {
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

/// The columns of all results, those of the first stratum first.
fn unify(shapes: &BTreeMap<Shape, (usize, String)>) -> Result<Vec<Unified>> {
    // Results without columns, of programs that had nothing to print, have no say.
    let mut by_stratum: Vec<(&Shape, &(usize, String))> =
        shapes.iter().filter(|((shape, _), _)| !shape.is_empty()).collect();
    by_stratum.sort_by_key(|(_, (stratum, _))| *stratum);
    let Some(((first, _), (_, first_label))) = by_stratum.first() else { return Ok(Vec::new()) };
    let mut unified = Vec::with_capacity(first.len());
    for (name, _) in first {
        let mut common: Option<(ColumnType, &str)> = None;
        for ((shape, is_text), (_, label)) in &by_stratum {
            let own = shape.iter().find(|(known, _)| known == name);
            let Some((_, own)) = own else { return Err(lacks(name, label, first_label)) };
            let Some((before, where_before)) = common.filter(|(before, _)| *before != ColumnType::Null) else {
                common = Some((*own, label));
                continue;
            };
            let both = before.unify(*own);
            if both == ColumnType::Utf8 && !is_text && (before != both || *own != both) {
                let message = format!(
                    "results do not go together: `{name}` is {before} for {where_before} and {own} for {label}"
                );
                return Err(Error::new(ErrorKind::Type, message).hint("return the same type for all strata"));
            }
            common = Some((both, where_before));
        }
        let column_type = common.map_or(ColumnType::Null, |(column_type, _)| column_type);
        unified.push(Unified { name: name.clone(), column_type });
    }
    for ((shape, _), (_, label)) in &by_stratum {
        if let Some((name, _)) = shape.iter().find(|(name, _)| first.iter().all(|(known, _)| known != name)) {
            return Err(lacks(name, first_label, label));
        }
    }
    Ok(unified)
}

fn lacks(name: &str, without: &str, with: &str) -> Error {
    let message =
        format!("results do not go together: that for {without} has no column `{name}`, which that for {with} has");
    Error::new(ErrorKind::Name, message).hint("return the same columns for all strata; a value may be missing")
}

/// A result as part of the table.
fn widened(batch: &RecordBatch, width: usize, columns: &[Unified], schema: &SchemaRef) -> Result<RecordBatch> {
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
