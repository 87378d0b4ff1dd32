//! Conditions on pairs of rows, beside equal keys.

use crate::batch::coded;
use crate::error::{Error, Result};
use crate::plan::{JoinColumn, Residual};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{prep_null_mask_filter, take};

/// Of which pairs a condition holds; unknown is no. Pairs are row numbers of `right` and of what `left` gives the columns of.
///
/// # Errors
/// Those of evaluating the condition, such as overflow.
pub(in crate::exec) fn holding<'a>(
    residual: &Residual,
    left: impl Fn(usize) -> Result<&'a ArrayRef>,
    right: &RecordBatch,
    pairs: (&UInt32Array, &UInt32Array),
) -> Result<BooleanArray> {
    let column = |column: &JoinColumn| match *column {
        JoinColumn::Left(at) => Ok(take(left(at)?, pairs.0, None)?),
        JoinColumn::Right(at) => Ok(take(right.column(at), pairs.1, None)?),
        JoinColumn::Either(..) => Err(Error::internal("a column of either side in the condition of a pair")),
    };
    let columns = residual.columns.iter().map(column).collect::<Result<Vec<ArrayRef>>>()?;
    let batch = coded::records(&residual.schema, columns, pairs.0.len())?;
    let mask = residual.predicate.evaluate_mask(&batch)?;
    Ok(if mask.null_count() > 0 { prep_null_mask_filter(&mask) } else { mask })
}
