//! Values that depend on which row it is and on no column: folds, random numbers, places.
//!
//! They are hashes of a row's identity ([`crate::batch::RowId`]), so a row has the same in every run, whoever reads it and
//! however the input was cut. Rows of the same table in a file of another format, or joined, have other identities.

use super::bound::{BoundExpr, Node};
use super::function::Function;
use super::tree::{BinaryOp, Expr};
use crate::batch::hash::{Purpose, RowHash, unit_interval};
use crate::batch::{RowId, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

/// A value of a row's identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RowValue {
    /// The fold, from 0, of so many.
    Fold(u64, RowHash),
    /// Uniform over [0, 1).
    Uniform(RowHash),
    /// The hash, as an integer.
    Hash(RowHash),
    /// Ordinal of the file.
    File,
    /// Place in the file; integers ascend as places do.
    Position,
    /// Number among the rows that a join made of one.
    Copy,
}

impl RowValue {
    /// The hashes that samples under `seed` go by.
    pub(crate) fn sample_hash(seed: u64) -> Self {
        RowValue::Hash(RowHash::new(seed, Purpose::Sample))
    }

    pub(super) fn column_type(self) -> ColumnType {
        if matches!(self, RowValue::Uniform(_)) { ColumnType::Float64 } else { ColumnType::Int64 }
    }

    /// One value a row.
    pub(super) fn values(self, origin: Option<&RowOrigin>, rows: usize) -> Result<ArrayRef> {
        let origin = origin.ok_or_else(|| Error::internal("rows of unknown identity"))?;
        let ids = (0..rows).map(|row| origin.row_id(row));
        let integers = |of: &dyn Fn(RowId) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| of(id).cast_signed())))
        };
        Ok(match self {
            RowValue::Fold(folds, hash) => integers(&|id| scaled(hash.of(id), folds)),
            RowValue::Uniform(hash) => {
                Arc::new(Float64Array::from_iter_values(ids.map(|id| unit_interval(hash.of(id)))))
            }
            RowValue::Hash(hash) => integers(&|id| hash.of(id)),
            RowValue::File => integers(&|id| id.file.into()),
            RowValue::Position => integers(&|id| id.position ^ 1 << 63),
            RowValue::Copy => integers(&|id| id.copy.into()),
        })
    }
}

/// A number below `most`, each for the same share of hashes.
fn scaled(hash: u64, most: u64) -> u64 {
    ((u128::from(hash) * u128::from(most)) >> 64) as u64
}

impl Function {
    /// Whether its value depends on which row it is, not on its arguments alone.
    pub(crate) fn is_of_row(self) -> bool {
        matches!(self, Function::Fold | Function::Random)
    }
}

impl Expr {
    /// Whether its value depends on which row it is, not on columns alone.
    pub fn is_of_row(&self) -> bool {
        let mut found = false;
        self.visit(&mut |part| found |= matches!(part, Expr::Function { function, .. } if function.is_of_row()));
        found
    }
}

impl BoundExpr {
    /// A value of the row's identity.
    pub(crate) fn of_row(value: RowValue) -> Self {
        BoundExpr { node: Node::Row(value), column_type: value.column_type(), text: Arc::from(""), can_fail: false }
    }

    /// Whether a row is among a share of all rows, drawn under `seed`.
    pub(crate) fn is_sampled(share: f64, seed: u64) -> Self {
        let drawn = BoundExpr::of_row(RowValue::Uniform(RowHash::new(seed, Purpose::Sample)));
        let share = BoundExpr::literal(Arc::new(Float64Array::from(vec![share])), ColumnType::Float64);
        BoundExpr {
            node: Node::Compare(BinaryOp::Lt, Box::new(drawn), Box::new(share)),
            column_type: ColumnType::Boolean,
            text: Arc::from(""),
            can_fail: false,
        }
    }

    /// Whether this needs to know which row it is.
    pub(crate) fn reads_identity(&self) -> bool {
        matches!(self.node, Node::Row(_)) || self.children().into_iter().any(BoundExpr::reads_identity)
    }

    fn constant_integer(&self) -> Option<i64> {
        let array = self.constant()?.as_primitive_opt::<Int64Type>()?;
        array.is_valid(0).then(|| array.value(0))
    }
}

/// `fold(k, seed)` and `random(seed)`, whose arguments are constants.
pub(super) fn bind(whole: &Expr, function: Function, args: &[BoundExpr]) -> Result<BoundExpr> {
    let constants: Option<Vec<i64>> = args.iter().map(BoundExpr::constant_integer).collect();
    let value = match (function, constants.as_deref()) {
        (Function::Fold, Some([folds, seed @ ..])) if *folds > 0 => {
            let seed = seed.first().copied().unwrap_or(0).cast_unsigned();
            RowValue::Fold(folds.cast_unsigned(), RowHash::new(seed, Purpose::Fold))
        }
        (Function::Random, Some([seed])) => RowValue::Uniform(RowHash::new(seed.cast_unsigned(), Purpose::Random)),
        _ => {
            let takes = match function {
                Function::Fold => "a constant number of folds, at least 1, and a constant whole number as seed",
                _ => "a constant whole number as seed",
            };
            return Err(Error::new(ErrorKind::Type, format!("`{function}` takes {takes}, in `{whole}`")));
        }
    };
    Ok(BoundExpr::of_row(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, Positions};
    use crate::expr::{col, fold, lit, random, when};
    use arrow::array::{RecordBatch, StringViewArray};
    use arrow::datatypes::Float64Type;

    fn batch(rows: u64) -> Batch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows.cast_signed()));
        let positions = Positions::Listed((0..rows).map(|row| row * 37).collect());
        let records = RecordBatch::try_from_iter([("n", column)]).unwrap();
        Batch { records, origin: RowOrigin { file: 2, positions } }
    }

    fn values(expr: &Expr, batch: &Batch) -> ArrayRef {
        expr.bind(&batch.records.schema()).unwrap().evaluate_rows(batch).unwrap()
    }

    #[test]
    fn folds_have_about_the_same_number_of_rows() {
        let batch = batch(100_000);
        let folds = values(&fold(7, 1), &batch);
        let mut counts = [0_i64; 7];
        folds.as_primitive::<Int64Type>().values().iter().for_each(|fold| counts[*fold as usize] += 1);
        // Five standard deviations.
        assert!(counts.iter().all(|count| (count - 100_000 / 7).abs() < 554), "{counts:?}");
        assert_ne!(&values(&fold(7, 2), &batch), &folds, "another seed");
    }

    #[test]
    fn rows_keep_their_values_however_they_are_cut() {
        let batch = batch(1000);
        let mask = arrow::array::BooleanArray::from_iter((0..1000).map(|row| Some(row % 3 == 1)));
        for expr in [fold(5, 9), random(9)] {
            let whole = values(&expr, &batch);
            assert_eq!(&values(&expr, &batch.filter(&mask).unwrap()), &arrow::compute::filter(&whole, &mask).unwrap());
            assert_eq!(&values(&expr, &batch.head(10)), &whole.slice(0, 10));
        }
        let uniform = values(&random(3), &batch);
        let uniform = uniform.as_primitive::<Float64Type>().values();
        assert!(uniform.iter().all(|value| (0.0..1.0).contains(value)));
        assert!((uniform.iter().sum::<f64>() / 1000.0 - 0.5).abs() < 0.05);
    }

    #[test]
    fn branches_that_may_fail_see_the_identities_of_their_rows() {
        let batch = batch(1000);
        let may_fail = fold(1000, 0) + col("n") * lit(0);
        let chosen = when((col("n") % lit(2)).eq(lit(1))).then(may_fail.clone()).otherwise(lit(-1));
        let (all, some) = (values(&may_fail, &batch), values(&chosen, &batch));
        let (all, some) = (all.as_primitive::<Int64Type>(), some.as_primitive::<Int64Type>());
        assert!((0..1000).all(|row| some.value(row) == if row % 2 == 1 { all.value(row) } else { -1 }));
    }

    #[test]
    fn nothing_is_taken_for_a_constant_or_for_a_value_of_a_text() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["a"; 100]));
        let records = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        let batch = Batch { records, origin: RowOrigin::consecutive(0) };
        let chosen = when(random(1).lt(lit(0.5))).then(col("t")).otherwise(lit("b"));
        let chosen = values(&chosen, &batch);
        let distinct: std::collections::BTreeSet<_> = chosen.as_string_view().iter().flatten().collect();
        assert_eq!(distinct.len(), 2);
    }

    #[test]
    fn arguments_are_constants() {
        let schema = batch(1).records.schema();
        for (expr, message) in [
            (fold(0, 1), "`fold` takes a constant number of folds, at least 1, and a constant whole number as seed"),
            (Expr::Function { function: Function::Random, args: vec![col("n")] }, "`random` takes a constant whole"),
        ] {
            assert!(expr.bind(&schema).unwrap_err().message().starts_with(message));
        }
    }
}
