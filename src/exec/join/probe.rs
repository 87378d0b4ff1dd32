//! Left rows, batch by batch, to rows of the result.

use super::keys::{as_keys, of_both};
use super::residual::holding;
use super::table::Table;
use crate::batch::{Batch, RowId, coded};
use crate::error::Result;
use crate::groupby::ABSENT;
use crate::plan::{JoinColumn, JoinKind, JoinShape, Probe, Reserve, Residual};
use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, UInt32Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use std::sync::Arc;

/// Texts of a table that take no more memory than this are handed on as codes, the rows of the table being the entries: whoever
/// groups by them keeps that dictionary.
const CODED_BYTES: usize = 256 << 10;

/// Looks rows up in a table.
#[derive(Debug)]
pub(super) struct TableProbe {
    shape: Arc<JoinShape>,
    table: Arc<Table>,
    /// What is given: the result, and for a sink that wants right rows without a match, the right row of each.
    schema: SchemaRef,
}

/// Which left rows the result has, and the right row of each.
struct Matches {
    /// `None`: each left row once.
    left: Option<UInt32Array>,
    /// Anything where there is none.
    right: Vec<u32>,
    has_right: Option<NullBuffer>,
}

impl TableProbe {
    pub(super) fn new(shape: Arc<JoinShape>, table: Arc<Table>) -> Self {
        let mut schema = Arc::clone(&shape.schema);
        if shape.kind.keeps_right() {
            let mark = Arc::new(Field::new("row of the right side", DataType::UInt32, true));
            schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain([mark]).collect::<Vec<_>>()));
        }
        TableProbe { shape, table, schema }
    }

    /// A key that is of both sides, as its type in the result.
    fn of_either(&self, at: usize, key: &ArrayRef) -> Result<ArrayRef> {
        of_both(&coded::plain(key)?, self.schema.field(at).data_type())
    }

    fn several(&self) -> bool {
        self.table.copies(self.shape.multiplies()) > 1
    }

    /// The rows of the table that each left row matches, as numbers of keys.
    fn find(&self, batch: &Batch) -> Result<Vec<u32>> {
        let key = |(key, domain): (&crate::expr::BoundExpr, &crate::types::ColumnType)| {
            as_keys(&key.evaluate_as_is(batch)?, *domain)
        };
        let keys = self.shape.left_keys.iter().zip(&self.shape.domains).map(key).collect::<Result<Vec<_>>>()?;
        self.table.find(&keys, batch.rows())
    }

    /// The left rows that have a match, or have none.
    fn semi(&self, ids: &[u32]) -> BooleanArray {
        let wanted = self.shape.kind == JoinKind::Semi;
        BooleanArray::new(BooleanBuffer::collect_bool(ids.len(), |row| (ids[row] != ABSENT) == wanted), None)
    }

    /// The right rows of each left row for which a condition holds.
    fn holding(&self, residual: &Residual, batch: &Batch, ids: &[u32]) -> Result<Matches> {
        let (left, right) = self.pairs(ids);
        let (left, right) = (UInt32Array::from(left), UInt32Array::from(right));
        let column = |at: usize| Ok(batch.records.column(at));
        let mask = holding(residual, column, &self.table.records, (&left, &right))?;
        let (mut rows, mut matches, mut has_right) = (Vec::new(), Vec::new(), Vec::new());
        let mut pairs = mask.values().set_indices().map(|pair| (left.value(pair), right.value(pair))).peekable();
        let kind = self.shape.kind;
        for row in 0..batch.rows() as u32 {
            let before = rows.len();
            while let Some((_, right)) = pairs.next_if(|(left, _)| *left == row) {
                rows.push(row);
                matches.push(right);
                has_right.push(true);
            }
            let is_alone = rows.len() == before;
            match kind {
                JoinKind::Semi | JoinKind::Anti => {
                    rows.truncate(before);
                    if is_alone == (kind == JoinKind::Anti) {
                        rows.push(row);
                    }
                }
                _ if is_alone && kind.keeps_left() => {
                    rows.push(row);
                    matches.push(0);
                    has_right.push(false);
                }
                _ => {}
            }
        }
        let has_right = has_right.contains(&false).then(|| NullBuffer::from(has_right));
        Ok(Matches { left: Some(rows.into()), right: matches, has_right })
    }

    /// At most one right row for each left row.
    fn single(&self, ids: &[u32], keeps: bool) -> Matches {
        let missing = ids.iter().filter(|id| **id == ABSENT).count();
        let row = |id: &u32| if *id == ABSENT { 0 } else { self.table.only_row(*id) };
        if missing == 0 {
            return Matches { left: None, right: ids.iter().map(row).collect(), has_right: None };
        }
        if keeps {
            let found = BooleanBuffer::collect_bool(ids.len(), |row| ids[row] != ABSENT);
            let has_right = Some(NullBuffer::new(found));
            return Matches { left: None, right: ids.iter().map(row).collect(), has_right };
        }
        let found = ids.iter().enumerate().filter(|(_, id)| **id != ABSENT);
        let (left, right): (Vec<u32>, Vec<u32>) = found.map(|(at, id)| (at as u32, self.table.only_row(*id))).unzip();
        Matches { left: Some(left.into()), right, has_right: None }
    }

    /// All left rows with a match, and these.
    fn pairs(&self, ids: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != ABSENT) {
            right.extend(self.table.rows_of(*id));
            left.resize(right.len(), row as u32);
        }
        (left, right)
    }

    /// All right rows for each left row.
    fn all(&self, ids: &[u32], keeps: bool) -> Matches {
        if !keeps {
            let (left, right) = self.pairs(ids);
            return Matches { left: Some(left.into()), right, has_right: None };
        }
        let (mut left, mut right, mut has_right) = (Vec::new(), Vec::new(), Vec::new());
        for (row, id) in ids.iter().enumerate() {
            if *id != ABSENT {
                right.extend(self.table.rows_of(*id));
                has_right.resize(right.len(), true);
            } else {
                right.push(0);
                has_right.push(false);
            }
            left.resize(right.len(), row as u32);
        }
        let has_right = has_right.contains(&false).then(|| NullBuffer::from(has_right));
        Matches { left: Some(left.into()), right, has_right }
    }

    /// At most how many rows come of these.
    fn rows_made(&self, ids: &[u32]) -> usize {
        ids.iter().map(|id| if *id == ABSENT { 1 } else { self.table.rows_of(*id).len() }).sum()
    }

    /// What a row of the result takes, and what says which it is; texts stand elsewhere.
    fn bytes_made(&self) -> usize {
        let bytes = |field: &Arc<Field>| field.data_type().primitive_width().unwrap_or(size_of::<u128>());
        let of_condition = self.shape.residual.iter().flat_map(|residual| residual.schema.fields());
        let columns: usize = self.schema.fields().iter().chain(of_condition).map(bytes).sum();
        columns + 2 * size_of::<u32>() + size_of::<RowId>()
    }

    /// A column of the table, by rows of the result.
    fn right_column(&self, at: usize, matches: &Matches, rows: &UInt32Array) -> Result<ArrayRef> {
        let column = self.table.records.column(at);
        let is_text = *column.data_type() == DataType::Utf8View;
        if !is_text || column.is_empty() || column.get_array_memory_size() > CODED_BYTES {
            return Ok(take(column, rows, None)?);
        }
        let codes: ScalarBuffer<i32> = matches.right.iter().map(|row| *row as i32).collect();
        let nulls = match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => matches.has_right.clone(),
            Some(nulls) => {
                let of_entries = BooleanBuffer::collect_bool(codes.len(), |row| nulls.is_valid(codes[row] as usize));
                NullBuffer::union(matches.has_right.as_ref(), Some(&NullBuffer::new(of_entries)))
            }
        };
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::new(codes, nulls), Arc::clone(column))?))
    }
}

impl Probe for TableProbe {
    fn probe(&self, batch: Batch, reserve: Reserve<'_>) -> Result<Batch> {
        let ids = self.find(&batch)?;
        let kind = self.shape.kind;
        if self.several() {
            reserve(self.rows_made(&ids) * self.bytes_made())?;
        }
        let (batch, matches) = match kind {
            _ if let Some(residual) = &self.shape.residual => {
                let matches = self.holding(residual, &batch, &ids)?;
                (batch, matches)
            }
            JoinKind::Semi | JoinKind::Anti => {
                let mask = self.semi(&ids);
                let batch = if mask.true_count() == batch.rows() { batch } else { batch.filter(&mask)? };
                (batch, Matches { left: None, right: Vec::new(), has_right: None })
            }
            _ if self.several() => {
                let matches = self.all(&ids, kind.keeps_left());
                (batch, matches)
            }
            _ => {
                let matches = self.single(&ids, kind.keeps_left());
                (batch, matches)
            }
        };
        let rows = matches.left.as_ref().map_or(batch.rows(), |left| left.len());
        let right = UInt32Array::new(matches.right.clone().into(), matches.has_right.clone());
        let left_column = |at: usize| match &matches.left {
            None => Ok(Arc::clone(batch.records.column(at))),
            Some(left) => take(batch.records.column(at), left, None),
        };
        let column = |(place, column): (usize, &JoinColumn)| match *column {
            JoinColumn::Left(at) => Ok(left_column(at)?),
            JoinColumn::Right(at) => self.right_column(at, &matches, &right),
            JoinColumn::Either(at, _) => self.of_either(place, &left_column(at)?),
        };
        let mut arrays = self.shape.columns.iter().enumerate().map(column).collect::<Result<Vec<ArrayRef>>>()?;
        if kind.keeps_right() {
            arrays.push(Arc::new(right));
        }
        let records = coded::records(&self.schema, arrays, rows)?;
        let origin = match &matches.left {
            None => batch.origin,
            Some(left) if self.copies() > 1 => batch.origin.repeated(left.values()),
            Some(left) => batch.origin.picked(left.values()),
        };
        Ok(Batch { records, origin })
    }

    fn copies(&self) -> usize {
        self.table.copies(self.shape.kind.shows_right())
    }

    fn right_rows(&self) -> usize {
        self.table.records.num_rows()
    }

    fn unmatched(&self, rows: &[u32]) -> Result<RecordBatch> {
        let picked = UInt32Array::from(rows.to_vec());
        let column = |(place, column): (usize, &JoinColumn)| match *column {
            JoinColumn::Left(_) => Ok(new_null_array(self.shape.schema.field(place).data_type(), rows.len())),
            JoinColumn::Right(at) => Ok(take(self.table.records.column(at), &picked, None)?),
            JoinColumn::Either(_, at) => self.of_either(place, &take(self.table.records.column(at), &picked, None)?),
        };
        let arrays = self.shape.columns.iter().enumerate().map(column).collect::<Result<Vec<ArrayRef>>>()?;
        coded::records(&self.shape.schema, arrays, rows.len())
    }
}
