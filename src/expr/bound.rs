//! Expressions bound to a schema, and their evaluation over batches, a column at a time.

use super::arithmetic::{Fault, days_between, doubles, each, integers, shift_date};
use super::call;
use super::cast;
use super::compare::compare;
use super::function::Function;
use super::interval::{self, Interval};
use super::member::Set;
use super::regexp::Regexp;
use super::row::RowValue;
use super::tree::BinaryOp;
use super::value::{Input, Value};
use crate::batch::Batch;
use crate::batch::coded::plain;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::kernels::{boolean, comparison};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An expression whose columns are indices into a schema and whose types are known to fit.
#[derive(Clone, Debug)]
pub struct BoundExpr {
    pub(super) node: Node,
    pub(super) column_type: ColumnType,
    /// The expression as text, for errors about values; empty where nothing can fail.
    pub(super) text: Arc<str>,
    pub(super) can_fail: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Column(usize),
    /// A value of the row's identity.
    Row(RowValue),
    /// An array of one entry.
    Literal(ArrayRef),
    Not(Box<BoundExpr>),
    Negate(Box<BoundExpr>),
    IsNull(Box<BoundExpr>),
    IsNotNull(Box<BoundExpr>),
    And(Box<BoundExpr>, Box<BoundExpr>),
    Or(Box<BoundExpr>, Box<BoundExpr>),
    /// Both of one type.
    Compare(BinaryOp, Box<BoundExpr>, Box<BoundExpr>),
    /// Both Int64 or both Float64.
    Arithmetic(BinaryOp, Box<BoundExpr>, Box<BoundExpr>),
    /// A Date and an Int64, with the sign of the days.
    ShiftDate(i64, Box<BoundExpr>, Box<BoundExpr>),
    DaysBetween(Box<BoundExpr>, Box<BoundExpr>),
    Concat(Box<BoundExpr>, Box<BoundExpr>),
    Call(Function, Vec<BoundExpr>),
    Cast {
        input: Box<BoundExpr>,
        try_: bool,
    },
    Case {
        branches: Vec<(BoundExpr, BoundExpr)>,
        otherwise: Option<Box<BoundExpr>>,
    },
    Coalesce(Vec<BoundExpr>),
    /// Items of the type of the input; the set holds those that are constants, where hashing pays.
    InList {
        input: Box<BoundExpr>,
        items: Vec<BoundExpr>,
        set: Option<Arc<Set>>,
    },
    /// What is done with a text.
    Regexp(Arc<Regexp>, Box<BoundExpr>),
    /// A Date or Timestamp later by an interval, or by so many.
    Later(Interval, Box<BoundExpr>, Option<Box<BoundExpr>>),
    /// Seconds from one Timestamp to another.
    SecondsBetween(Box<BoundExpr>, Box<BoundExpr>),
    Like {
        input: Box<BoundExpr>,
        pattern: Box<BoundExpr>,
        ignore_case: bool,
    },
}

impl BoundExpr {
    /// The Arrow type of the values.
    pub fn data_type(&self) -> DataType {
        self.column_type.arrow()
    }

    /// The type of the values.
    pub fn column_type(&self) -> ColumnType {
        self.column_type
    }

    /// The indices of the columns used, ascending.
    pub fn columns(&self) -> Vec<usize> {
        let mut indices = BTreeSet::new();
        self.collect_columns(&mut indices);
        indices.into_iter().collect()
    }

    /// The constant this comes to, if its value does not depend on the row.
    pub fn constant(&self) -> Option<&ArrayRef> {
        match &self.node {
            Node::Literal(array) => Some(array),
            _ => None,
        }
    }

    /// The column this merely names.
    pub fn as_column(&self) -> Option<usize> {
        match self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }

    /// The conditions that all must be true for this to be true, in the order in which they are asked.
    pub(crate) fn conjuncts(&self) -> Vec<&BoundExpr> {
        match &self.node {
            Node::And(a, b) => [a.conjuncts(), b.conjuncts()].concat(),
            _ => vec![self],
        }
    }

    /// Whether evaluation may end in an error for some values.
    pub fn can_fail(&self) -> bool {
        self.can_fail
    }

    pub(super) fn children(&self) -> Vec<&BoundExpr> {
        match &self.node {
            Node::Column(_) | Node::Row(_) | Node::Literal(_) => Vec::new(),
            Node::Not(a)
            | Node::Negate(a)
            | Node::IsNull(a)
            | Node::IsNotNull(a)
            | Node::Regexp(_, a)
            | Node::Cast { input: a, .. } => vec![a],
            Node::Later(_, a, times) => std::iter::once(a.as_ref()).chain(times.as_deref()).collect(),
            Node::And(a, b)
            | Node::Or(a, b)
            | Node::Compare(_, a, b)
            | Node::Arithmetic(_, a, b)
            | Node::ShiftDate(_, a, b)
            | Node::DaysBetween(a, b)
            | Node::SecondsBetween(a, b)
            | Node::Concat(a, b)
            | Node::Like { input: a, pattern: b, .. } => vec![a, b],
            Node::Call(_, args) | Node::Coalesce(args) => args.iter().collect(),
            Node::Case { branches, otherwise } => {
                branches.iter().flat_map(|(a, b)| [a, b]).chain(otherwise.as_deref()).collect()
            }
            Node::InList { input, items, .. } => std::iter::once(input.as_ref()).chain(items).collect(),
        }
    }

    pub(super) fn collect_columns(&self, indices: &mut BTreeSet<usize>) {
        if let Node::Column(index) = self.node {
            indices.insert(index);
        }
        for child in self.children() {
            child.collect_columns(indices);
        }
    }

    /// One value a row of `batch`, whose schema is the one this was bound to (texts may be coded). A mere column is not
    /// copied.
    ///
    /// # Errors
    /// `Arithmetic` for integer overflow and division by zero, `Value` for what does not convert, `Internal` for what
    /// depends on which row it is ([`BoundExpr::evaluate_rows`] tells).
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        self.value(&Input { columns: batch.columns(), rows, origin: None })?.into_array(rows)
    }

    /// As [`BoundExpr::evaluate`], of rows whose identities are known.
    ///
    /// # Errors
    /// `Arithmetic` for integer overflow and division by zero, `Value` for what does not convert.
    pub fn evaluate_rows(&self, batch: &Batch) -> Result<ArrayRef> {
        self.value(&Input::of(batch))?.into_array(batch.rows())
    }

    /// Which rows of `batch` pass; null is kept and counts as not passing. What is joined by `and` is asked from left to
    /// right, each of the rows only that have passed so far: so a row that is left out unseen, for one of these is known
    /// not to be true of it, would have met no error behind.
    ///
    /// # Errors
    /// As [`BoundExpr::evaluate`]; `Internal` when this is not Boolean.
    pub fn evaluate_mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        self.mask(&Input { columns: batch.columns(), rows: batch.num_rows(), origin: None })
    }

    /// As [`BoundExpr::evaluate_mask`], of rows whose identities are known.
    ///
    /// # Errors
    /// As [`BoundExpr::evaluate_rows`]; `Internal` when this is not Boolean.
    pub fn mask_rows(&self, batch: &Batch) -> Result<BooleanArray> {
        self.mask(&Input::of(batch))
    }

    pub(super) fn value(&self, input: &Input<'_>) -> Result<Value> {
        if let Some(value) = self.by_entries(input)? {
            return Ok(value);
        }
        let text = self.text.as_ref();
        match &self.node {
            Node::Column(index) => match input.columns.get(*index).map(plain).transpose()? {
                Some(column) if *column.data_type() == self.data_type() => Ok(Value::Array(column)),
                _ => Err(Error::internal(format!("a batch has no column {index} of type {}", self.column_type))),
            },
            Node::Row(value) => Ok(Value::Array(value.values(input.origin, input.rows)?)),
            Node::Literal(array) => Ok(Value::Scalar(Arc::clone(array))),
            Node::Not(a) => {
                let a = a.value(input)?;
                Ok(Value::like(&[&a], boolean::not(booleans(&a)?)?))
            }
            Node::Negate(a) => {
                let a = a.value(input)?;
                match a.array().data_type() {
                    DataType::Int64 => {
                        each::<Int64Type, Int64Type>(text, &a, |value| value.checked_neg().ok_or(Fault::Overflow))
                    }
                    _ => each::<Float64Type, Float64Type>(text, &a, |value| Ok(-value)),
                }
            }
            Node::IsNull(a) => {
                let a = a.value(input)?;
                Ok(Value::like(&[&a], boolean::is_null(a.array())?))
            }
            Node::IsNotNull(a) => {
                let a = a.value(input)?;
                Ok(Value::like(&[&a], boolean::is_not_null(a.array())?))
            }
            Node::And(a, b) => self.kleene(a, b, input, false),
            Node::Or(a, b) => self.kleene(a, b, input, true),
            Node::Compare(op, a, b) => {
                let (a, b) = (a.value(input)?, b.value(input)?);
                Ok(Value::like(&[&a, &b], compare(*op, &a, &b)?))
            }
            Node::Arithmetic(op, a, b) => {
                let (a, b) = (a.value(input)?, b.value(input)?);
                match self.column_type {
                    ColumnType::Int64 => integers(text, *op, &a, &b),
                    _ => doubles(text, *op, &a, &b),
                }
            }
            Node::ShiftDate(sign, a, b) => shift_date(text, *sign, &a.value(input)?, &b.value(input)?),
            Node::DaysBetween(a, b) => days_between(text, &a.value(input)?, &b.value(input)?),
            Node::SecondsBetween(a, b) => interval::seconds_between(text, &a.value(input)?, &b.value(input)?),
            Node::Later(by, a, times) => {
                let times = times.as_ref().map(|times| times.value(input)).transpose()?;
                interval::later(text, *by, &a.value(input)?, times.as_ref())
            }
            Node::Regexp(regexp, a) => regexp.evaluate(&a.value(input)?),
            Node::Concat(a, b) => call::concat(&a.value(input)?, &b.value(input)?),
            Node::Call(function, args) => {
                let args = args.iter().map(|arg| arg.value(input)).collect::<Result<Vec<_>>>()?;
                call::call(text, *function, &args)
            }
            Node::Cast { input: a, try_ } => cast::cast(text, &a.value(input)?, a.column_type, self.column_type, *try_),
            Node::Case { branches, otherwise } => self.case(branches, otherwise.as_deref(), input),
            Node::Coalesce(args) => self.coalesce(args, input),
            Node::InList { input: a, items, set } => self.in_list(a, items, set.as_deref(), input),
            Node::Like { input: a, pattern, ignore_case } => {
                matches_pattern(&a.value(input)?, &pattern.value(input)?, *ignore_case)
            }
        }
    }
}

/// `text like pattern`, or `ilike`.
pub(super) fn matches_pattern(text: &Value, pattern: &Value, ignore_case: bool) -> Result<Value> {
    let matched = if ignore_case { comparison::ilike(text, pattern) } else { comparison::like(text, pattern) };
    let matched = matched.map_err(|error| Error::new(ErrorKind::Limit, error.to_string()))?;
    Ok(Value::like(&[text, pattern], matched))
}

/// The Booleans of a value bound to Boolean.
pub(super) fn booleans(value: &Value) -> Result<&BooleanArray> {
    value.array().as_boolean_opt().ok_or_else(|| Error::internal("a condition was not bound to Boolean"))
}
