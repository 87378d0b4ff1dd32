//! Values of an expression over the rows at hand: one a row, or one for all rows.

use crate::batch::{Batch, RowOrigin};
use crate::error::{Error, Result};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Datum, PrimitiveArray, StringViewArray,
};
use arrow::array::{UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The rows an expression is evaluated on.
pub(crate) struct Input<'a> {
    /// All columns of the schema the expression was bound to.
    pub(crate) columns: &'a [ArrayRef],
    /// Number of rows.
    pub(crate) rows: usize,
    /// Which rows they are, where that is known.
    pub(crate) origin: Option<&'a RowOrigin>,
}

impl<'a> Input<'a> {
    /// All rows of a batch.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        Input { columns: batch.records.columns(), rows: batch.rows(), origin: Some(&batch.origin) }
    }
}

/// The values of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// One a row.
    Array(ArrayRef),
    /// An array of one entry that holds for every row.
    Scalar(ArrayRef),
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array().as_ref(), self.is_scalar())
    }
}

impl Value {
    /// The values, or the one value.
    pub(crate) fn array(&self) -> &ArrayRef {
        match self {
            Value::Array(array) | Value::Scalar(array) => array,
        }
    }

    /// Whether there is one value for all rows.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self, Value::Scalar(_))
    }

    /// The result of a kernel over `operands`: a scalar if they all are.
    pub(crate) fn like(operands: &[&Value], array: impl Array + 'static) -> Value {
        Value::like_ref(operands, Arc::new(array))
    }

    /// As [`Value::like`], of a shared array.
    pub(crate) fn like_ref(operands: &[&Value], array: ArrayRef) -> Value {
        if operands.iter().all(|operand| operand.is_scalar()) { Value::Scalar(array) } else { Value::Array(array) }
    }

    /// One value a row.
    pub(crate) fn into_array(self, rows: usize) -> Result<ArrayRef> {
        match self {
            Value::Array(array) => Ok(array),
            Value::Scalar(array) if rows == 1 => Ok(array),
            Value::Scalar(array) if array.logical_null_count() == 1 => Ok(new_null_array(array.data_type(), rows)),
            Value::Scalar(array) => Ok(take(&array, &UInt32Array::from(vec![0; rows]), None)?),
        }
    }

    /// One Boolean a row.
    pub(crate) fn into_booleans(self, rows: usize) -> Result<BooleanArray> {
        let array = self.into_array(rows)?;
        array.as_boolean_opt().cloned().ok_or_else(|| mismatch(array.data_type()))
    }

    /// The one text that holds for all rows, if there is one and it is not null.
    pub(crate) fn scalar_text(&self) -> Option<&str> {
        match self {
            Value::Scalar(array) => {
                array.as_string_view_opt().filter(|texts| texts.is_valid(0)).map(|texts| texts.value(0))
            }
            Value::Array(_) => None,
        }
    }
}

fn mismatch(found: &DataType) -> Error {
    Error::internal(format!("an expression was bound to another type than {found}"))
}

/// How many results a kernel over `operands` has: one if they are all scalars, else one a row.
pub(crate) fn result_rows(operands: &[&Value]) -> usize {
    operands.iter().find(|operand| !operand.is_scalar()).map_or(1, |operand| operand.array().len())
}

/// The rows where every one of `operands` has a value; `None` if that is all of `rows`.
pub(crate) fn valid_everywhere(operands: &[&Value], rows: usize) -> Option<NullBuffer> {
    operands.iter().fold(None, |nulls, operand| {
        let own = match operand {
            Value::Scalar(array) if array.logical_null_count() == 0 => None,
            Value::Scalar(_) => Some(NullBuffer::new_null(rows)),
            Value::Array(array) => array.logical_nulls(),
        };
        NullBuffer::union(nulls.as_ref(), own.as_ref())
    })
}

/// The values of a primitive operand by row, null or not.
pub(crate) struct Numbers<'a, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    scalar: bool,
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    /// The values of `value`, which was bound to this type.
    pub(crate) fn of(value: &'a Value) -> Result<Self> {
        let array = value.array().as_primitive_opt().ok_or_else(|| mismatch(value.array().data_type()))?;
        Ok(Numbers { array, scalar: value.is_scalar() })
    }

    /// The value at `row`; arbitrary where null.
    pub(crate) fn at(&self, row: usize) -> T::Native {
        self.array.value(if self.scalar { 0 } else { row })
    }

    /// The one value for all rows, or all values.
    pub(crate) fn scalar_or_slice(&self) -> (Option<T::Native>, &'a [T::Native]) {
        (self.scalar.then(|| self.array.value(0)), self.array.values())
    }
}

/// The values of a text operand by row.
pub(crate) struct Texts<'a> {
    array: &'a StringViewArray,
    scalar: bool,
}

impl<'a> Texts<'a> {
    /// The values of `value`, which was bound to text.
    pub(crate) fn of(value: &'a Value) -> Result<Self> {
        let array = value.array().as_string_view_opt().ok_or_else(|| mismatch(value.array().data_type()))?;
        Ok(Texts { array, scalar: value.is_scalar() })
    }

    /// The text at `row`; empty where null.
    pub(crate) fn at(&self, row: usize) -> &'a str {
        self.array.value(if self.scalar { 0 } else { row })
    }
}

/// Puts a column together whose rows come from several arrays; rows nobody fills are null.
pub(crate) struct Assembly {
    parts: Vec<ArrayRef>,
    picks: Vec<(usize, usize)>,
}

impl Assembly {
    /// A column of `rows` nulls.
    pub(crate) fn nulls(data_type: &DataType, rows: usize) -> Self {
        Assembly { parts: vec![new_null_array(data_type, 1)], picks: vec![(0, 0); rows] }
    }

    /// Fills `rows`, given by row and by entry of `array`.
    pub(crate) fn fill(&mut self, array: ArrayRef, rows: impl Iterator<Item = (usize, usize)>) {
        for (row, entry) in rows {
            self.picks[row] = (self.parts.len(), entry);
        }
        self.parts.push(array);
    }

    /// The column.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = self.parts.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&parts, &self.picks)?)
    }
}
