//! `x in (…)`: by hashing where the list is constant, else by comparing with each item.

use super::bound::{BoundExpr, Node};
use super::compare::compare;
use super::tree::BinaryOp;
use super::value::{Input, Value};
use crate::error::Result;
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::boolean;
use arrow::datatypes::Int64Type;
use std::collections::HashSet;

/// The constants of a list.
#[derive(Clone, Debug)]
pub(super) struct Set {
    values: Values,
    /// Whether null is among them: then no value is surely outside.
    has_null: bool,
}

#[derive(Clone, Debug)]
enum Values {
    Int64(HashSet<i64, foldhash::fast::FixedState>),
    Utf8(HashSet<String, foldhash::fast::FixedState>),
}

impl Set {
    /// The set of `items`, if all are constants of a type that hashes well.
    pub(super) fn of(items: &[BoundExpr]) -> Option<Set> {
        let arrays: Option<Vec<_>> = items.iter().map(BoundExpr::constant).collect();
        let arrays = arrays?;
        let values = match arrays.first()?.data_type() {
            arrow::datatypes::DataType::Int64 => Values::Int64(
                arrays.iter().flat_map(|array| array.as_primitive::<Int64Type>().iter().flatten()).collect(),
            ),
            arrow::datatypes::DataType::Utf8View => {
                let texts = arrays.iter().flat_map(|array| array.as_string_view().iter().flatten());
                Values::Utf8(texts.map(str::to_string).collect())
            }
            _ => return None,
        };
        Some(Set { values, has_null: arrays.iter().any(|array| array.null_count() > 0) })
    }

    fn contains(&self, value: &Value) -> BooleanArray {
        let array = value.array();
        let rows = array.len();
        let found = match &self.values {
            Values::Int64(set) => {
                let integers = array.as_primitive::<Int64Type>().values();
                BooleanBuffer::collect_bool(rows, |row| set.contains(&integers[row]))
            }
            Values::Utf8(set) => {
                let texts = array.as_string_view();
                BooleanBuffer::collect_bool(rows, |row| set.contains(texts.value(row)))
            }
        };
        let unknown = self.has_null.then(|| NullBuffer::new(found.clone()));
        BooleanArray::new(found, NullBuffer::union(array.nulls(), unknown.as_ref()))
    }
}

impl BoundExpr {
    pub(super) fn in_list(
        &self,
        value: &BoundExpr,
        items: &[BoundExpr],
        set: Option<&Set>,
        input: &Input<'_>,
    ) -> Result<Value> {
        let value = value.value(input)?;
        if let Some(set) = set {
            return Ok(Value::like(&[&value], set.contains(&value)));
        }
        let mut any = BooleanArray::from(vec![false; input.rows]);
        for item in items {
            let equal = compare(BinaryOp::Eq, &value, &item.value(input)?)?;
            let equal = match equal.len() {
                len if len == input.rows => equal,
                _ => Value::Scalar(std::sync::Arc::new(equal)).into_booleans(input.rows)?,
            };
            any = boolean::or_kleene(&any, &equal)?;
        }
        Ok(Value::Array(std::sync::Arc::new(any)))
    }
}

impl Node {
    /// Whether `value` is among `items`, all of one type.
    pub(super) fn in_list(value: BoundExpr, items: Vec<BoundExpr>) -> Node {
        let set = Set::of(&items).map(std::sync::Arc::new);
        Node::InList { input: Box::new(value), items, set }
    }
}
