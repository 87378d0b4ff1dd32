//! Left rows, batch by batch, to rows of the result.

use super::keys::{as_keys, complete};
use super::table::Table;
use crate::batch::{Batch, coded};
use crate::error::{Error, Result};
use crate::groupby::ABSENT;
use crate::plan::{JoinColumn, JoinKind, JoinShape, Probe};
use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type};
use std::sync::Arc;

/// Texts of a table of so many rows are handed on as codes: its rows are the entries.
const CODED_ROWS: usize = 1 << 16;

/// Looks rows up in a table.
#[derive(Debug)]
pub(super) struct TableProbe {
    shape: Arc<JoinShape>,
    table: Arc<Table>,
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
        TableProbe { shape, table }
    }

    fn several(&self) -> bool {
        self.table.copies(self.shape.kind) > 1
    }

    /// The rows of the table that each left row matches, as numbers of keys.
    fn find(&self, batch: &Batch) -> Result<Vec<u32>> {
        let key = |(key, domain): (&crate::expr::BoundExpr, &crate::types::ColumnType)| {
            as_keys(&key.evaluate_as_is(&batch.records)?, *domain)
        };
        let keys = self.shape.left_keys.iter().zip(&self.shape.domains).map(key).collect::<Result<Vec<_>>>()?;
        let mut ids = self.table.find(&keys, batch.rows())?;
        // Several keys are looked up one by one, and what stands for a null may be among them.
        if let Some(valid) = complete(&keys) {
            (!valid.inner()).set_indices().for_each(|row| ids[row] = ABSENT);
        }
        Ok(ids)
    }

    /// The left rows that have a match, or have none.
    fn semi(&self, ids: &[u32]) -> BooleanArray {
        let wanted = self.shape.kind == JoinKind::Semi;
        BooleanArray::new(BooleanBuffer::collect_bool(ids.len(), |row| (ids[row] != ABSENT) == wanted), None)
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

    /// All right rows for each left row.
    fn all(&self, ids: &[u32], keeps: bool) -> Matches {
        let (mut left, mut right, mut has_right) = (Vec::new(), Vec::new(), Vec::new());
        for (row, id) in ids.iter().enumerate() {
            if *id != ABSENT {
                let rows = self.table.rows_of(*id);
                left.resize(left.len() + rows.len(), row as u32);
                right.extend_from_slice(rows);
                has_right.resize(right.len(), true);
            } else if keeps {
                left.push(row as u32);
                right.push(0);
                has_right.push(false);
            }
        }
        let has_right = has_right.contains(&false).then(|| NullBuffer::from(has_right));
        Matches { left: Some(left.into()), right, has_right }
    }

    /// A column of the table, by rows of the result.
    fn right_column(&self, at: usize, matches: &Matches, rows: &UInt32Array) -> Result<ArrayRef> {
        let column = self.table.records.column(at);
        if *column.data_type() != DataType::Utf8View || column.is_empty() || column.len() > CODED_ROWS {
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
    fn probe(&self, batch: Batch) -> Result<Batch> {
        let ids = self.find(&batch)?;
        let kind = self.shape.kind;
        let (batch, matches) = match kind {
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
        let column = |column: &JoinColumn| match (column, &matches.left) {
            (JoinColumn::Left(at), None) => Ok(Arc::clone(batch.records.column(*at))),
            (JoinColumn::Left(at), Some(left)) => Ok(take(batch.records.column(*at), left, None)?),
            (JoinColumn::Right(at), _) => self.right_column(*at, &matches, &right),
            (JoinColumn::Either(..), _) => Err(Error::internal("a right row without a left one in a step")),
        };
        let arrays = self.shape.columns.iter().map(column).collect::<Result<Vec<ArrayRef>>>()?;
        let records = coded::records(&self.shape.schema, arrays, rows)?;
        let origin = match &matches.left {
            None => batch.origin,
            Some(left) if self.several() => batch.origin.repeated(left.values()),
            Some(left) => batch.origin.picked(left.values()),
        };
        Ok(Batch { records, origin })
    }

    fn multiplies(&self) -> bool {
        self.several()
    }
}
