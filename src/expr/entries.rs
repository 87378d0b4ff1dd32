//! Expressions over one text column that stands as codes: evaluated once an entry of its dictionary, not once a row.

use super::bound::{BoundExpr, Node};
use super::value::{Input, Value};
use crate::batch::Batch;
use crate::batch::coded::Coded;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many rows a batch must have for each entry of the dictionary.
const ROWS_PER_ENTRY: usize = 2;

impl BoundExpr {
    /// As [`BoundExpr::evaluate_rows`], but what merely names a column gives it as it stands in the batch, perhaps as codes.
    pub(crate) fn evaluate_as_is(&self, batch: &Batch) -> Result<ArrayRef> {
        match self.as_column().and_then(|at| batch.records.columns().get(at)) {
            Some(column) if Coded::of(column.as_ref()).is_some() => Ok(Arc::clone(column)),
            _ => self.evaluate_rows(batch),
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
                Node::Row(_) => false,
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
        let entries = self.value(&Input { columns: &columns, rows, origin: None })?.into_array(rows)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::coded::{plain, records};
    use crate::expr::{Expr, coalesce, col, lit, when};
    use crate::types::ColumnType;
    use arrow::array::{DictionaryArray, Int64Array, RecordBatch, StringViewArray};
    use arrow::datatypes::{Field, Int32Type, Schema};

    /// Columns t, as codes of a dictionary with an entry twice and one unused, and i; then the same with plain text.
    fn batches(nulls: bool) -> [RecordBatch; 2] {
        let schema = Arc::new(Schema::new(vec![
            Field::new("t", DataType::Utf8View, true),
            Field::new("i", DataType::Int64, true),
        ]));
        let entries: ArrayRef = Arc::new(StringViewArray::from(vec!["AA", "", "AA", "no number", "thirteen bytes"]));
        let codes = (0..40).map(|row| Some([0, 1, 2, 4][row % 4]).filter(|_| !nulls || row % 5 > 0));
        let codes: Int32Array = codes.collect();
        let coded: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(codes, entries));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..40).map(|row| (row % 3 > 0).then_some(row))));
        let text = plain(&coded).unwrap();
        [vec![coded, Arc::clone(&numbers)], vec![text, numbers]].map(|arrays| records(&schema, arrays, 40).unwrap())
    }

    fn expressions() -> Vec<Expr> {
        let t = || col("t");
        vec![
            t(),
            t().eq(lit("AA")),
            t().not_eq(lit("")).and(col("i").gt(lit(7))),
            t().is_null(),
            t().is_not_null().or(t().lt(lit("B"))),
            coalesce([t(), lit("none")]),
            t().is_in([lit("AA"), lit("x"), lit("y")]),
            when(t().is_null()).then(lit("null")).when(t().eq(lit(""))).then(lit("empty")).otherwise(t()),
            when(col("i").gt(lit(20))).then(t()).otherwise(lit("low")),
            t().eq(t()),
        ]
    }

    #[test]
    fn the_values_are_those_of_plain_text() {
        for nulls in [false, true] {
            let [coded, text] = batches(nulls);
            for expression in expressions() {
                let bound = expression.bind(&text.schema()).unwrap();
                let expected = bound.evaluate(&text).unwrap();
                assert_eq!(&bound.evaluate(&coded).unwrap(), &expected, "{expression}, nulls {nulls}");
                if *expected.data_type() == DataType::Boolean {
                    let masks = [&coded, &text].map(|batch| bound.evaluate_mask(batch).unwrap());
                    assert_eq!(masks[0], masks[1], "{expression}, nulls {nulls}");
                }
            }
        }
    }

    #[test]
    fn an_entry_that_no_row_names_ends_in_no_error() {
        let entries: ArrayRef = Arc::new(StringViewArray::from(vec!["1", "no number"]));
        let coded: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; 9]), entries));
        let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8View, true)]));
        let batch = records(&schema, vec![coded], 9).unwrap();
        let number = col("t").cast(ColumnType::Int64).bind(&schema).unwrap();
        assert_eq!(number.evaluate(&batch).unwrap().as_ref(), &Int64Array::from(vec![1; 9]));
    }

    #[test]
    fn only_what_computes_something_of_one_text_profits() {
        let [_, text] = batches(false);
        let found = |expression: Expr| {
            let mut found = BTreeSet::new();
            expression.bind(&text.schema()).unwrap().profits_from_codes(&mut found);
            found.into_iter().collect::<Vec<_>>()
        };
        assert!(found(col("t")).is_empty());
        assert_eq!(found(col("t").eq(lit("x")).and(col("i").gt(lit(1)))), [0]);
        assert!(found(col("i").gt(lit(1))).is_empty());
    }
}
