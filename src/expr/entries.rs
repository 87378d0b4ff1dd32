//! Expressions over one text column that stands as codes: evaluated once an entry of its dictionary, not once a row.

use super::bound::{BoundExpr, Node};
use super::value::{Input, Value};
use crate::batch::coded::Coded;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many rows a batch must have for each entry of the dictionary.
const ROWS_PER_ENTRY: usize = 2;

impl BoundExpr {
    /// As [`BoundExpr::evaluate`], but what merely names a column gives it as it stands in the batch, perhaps as codes.
    pub(crate) fn evaluate_as_is(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        match self.as_column().and_then(|at| batch.columns().get(at)) {
            Some(column) if Coded::of(column.as_ref()).is_some() => Ok(Arc::clone(column)),
            _ => self.evaluate(batch),
        }
    }

    /// Adds the text columns of which this, or a part of it, would rather see codes.
    pub(crate) fn profits_from_codes(&self, found: &mut BTreeSet<usize>) {
        match self.only_column() {
            Some(column) if !self.can_fail => found.extend(self.reads_text().then_some(column)),
            _ => self.children().into_iter().for_each(|child| child.profits_from_codes(found)),
        }
    }

    fn reads_text(&self) -> bool {
        let is_text = |node: &BoundExpr| node.as_column().is_some() && node.data_type() == DataType::Utf8View;
        self.children().into_iter().any(|child| is_text(child) || child.reads_text())
    }

    /// The one column that this reads, if it computes something of it and reads no other.
    fn only_column(&self) -> Option<usize> {
        fn visit(expr: &BoundExpr, only: &mut Option<usize>) -> bool {
            match expr.node {
                Node::Column(column) => *only.get_or_insert(column) == column,
                _ => expr.children().into_iter().all(|child| visit(child, only)),
            }
        }
        let mut only = None;
        (self.as_column().is_none() && visit(self, &mut only)).then_some(only).flatten()
    }

    /// The value by way of the entries of a dictionary, where that is possible and pays. An entry that no row names must
    /// not end in an error, so nothing that may fail is evaluated so.
    pub(super) fn by_entries(&self, input: &Input<'_>) -> Result<Option<Value>> {
        if self.can_fail || !input.columns.iter().any(|column| Coded::of(column.as_ref()).is_some()) {
            return Ok(None);
        }
        let Some(at) = self.only_column() else { return Ok(None) };
        let Some(coded) = input.columns.get(at).and_then(|column| Coded::of(column.as_ref())) else { return Ok(None) };
        if coded.texts.len() * ROWS_PER_ENTRY > input.rows {
            return Ok(None);
        }
        let mut columns = input.columns.to_vec();
        // Null comes behind the entries: what it gives need not be null.
        columns[at] = concat(&[coded.texts, &new_null_array(&DataType::Utf8View, 1)])?;
        let rows = coded.texts.len() + 1;
        let entries = self.value(&Input { columns: &columns, rows })?.into_array(rows)?;
        let of_null = i32::try_from(rows - 1).map_err(|_| Error::internal("a dictionary beyond its codes"))?;
        let codes = match coded.nulls() {
            None => coded.codes.values().clone(),
            Some(nulls) => {
                let pairs = coded.codes.values().iter().zip(nulls);
                pairs.map(|(code, valid)| if valid { *code } else { of_null }).collect()
            }
        };
        Ok(Some(Value::Array(match entries.as_boolean_opt() {
            Some(truths) => Arc::new(by_code(truths, &codes)),
            None => take(&entries, &Int32Array::new(codes, None), None)?,
        })))
    }
}

/// The entry of each code, all of which are in range.
fn by_code(entries: &BooleanArray, codes: &[i32]) -> BooleanArray {
    let spread = |bits: &BooleanBuffer| {
        let bytes: Vec<bool> = bits.iter().collect();
        BooleanBuffer::collect_bool(codes.len(), |row| bytes.get(codes[row] as usize) == Some(&true))
    };
    let nulls = entries.nulls().filter(|nulls| nulls.null_count() > 0);
    BooleanArray::new(spread(entries.values()), nulls.map(|nulls| NullBuffer::new(spread(nulls.inner()))))
}
