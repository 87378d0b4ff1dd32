//! Conditions on one column that a bound expression comes to, for sources that know what their values are between.

use super::bound::{BoundExpr, Node};
use super::tree::{BinaryOp, Literal};
use crate::types::ColumnType;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};

/// What a condition on one column asks of its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ColumnTest {
    /// The value compares so with a constant that is not null.
    Compare(BinaryOp, Literal),
    /// The value equals one of these constants, none of which is null.
    OneOf(Vec<Literal>),
    /// The value is null.
    IsNull,
    /// The value is not null.
    IsNotNull,
}

impl BoundExpr {
    /// The column and test that this is, if it is one. `column <> constant` is none.
    pub(crate) fn column_test(&self) -> Option<(usize, ColumnTest)> {
        match &self.node {
            Node::IsNull(input) => Some((input.as_column()?, ColumnTest::IsNull)),
            Node::IsNotNull(input) => Some((input.as_column()?, ColumnTest::IsNotNull)),
            Node::Compare(op, a, b) => {
                let (column, op, constant) = match (tested_column(a), tested_column(b)) {
                    (Some(column), _) => (column, *op, b),
                    (None, Some(column)) => (column, op.mirrored(), a),
                    (None, None) => return None,
                };
                let literal = constant.literal_value()?;
                (op != BinaryOp::NotEq).then_some((column, ColumnTest::Compare(op, literal)))
            }
            Node::InList { input, items, .. } => {
                let column = tested_column(input)?;
                // Null equals nothing; an item that is null adds no rows.
                let constants = items.iter().filter(|item| !item.is_null_constant());
                Some((column, ColumnTest::OneOf(constants.map(BoundExpr::literal_value).collect::<Option<_>>()?)))
            }
            Node::Column(column) if self.column_type == ColumnType::Boolean => {
                Some((*column, ColumnTest::Compare(BinaryOp::Eq, Literal::Boolean(true))))
            }
            Node::Not(input) if input.column_type == ColumnType::Boolean => {
                Some((input.as_column()?, ColumnTest::Compare(BinaryOp::Eq, Literal::Boolean(false))))
            }
            _ => None,
        }
    }

    fn is_null_constant(&self) -> bool {
        self.constant().is_some_and(|array| array.logical_null_count() > 0)
    }

    /// The constant this comes to, unless it is null.
    fn literal_value(&self) -> Option<Literal> {
        let array = self.constant()?;
        if array.len() != 1 || self.is_null_constant() {
            return None;
        }
        Some(match self.column_type {
            ColumnType::Null | ColumnType::List(_) => return None,
            ColumnType::Boolean => Literal::Boolean(array.as_boolean_opt()?.value(0)),
            ColumnType::Int64 => Literal::Int64(array.as_primitive_opt::<Int64Type>()?.value(0)),
            ColumnType::Float64 => Literal::Float64(array.as_primitive_opt::<Float64Type>()?.value(0)),
            ColumnType::Date => Literal::Date(array.as_primitive_opt::<Date32Type>()?.value(0)),
            ColumnType::Timestamp => Literal::Timestamp(array.as_primitive_opt::<TimestampMicrosecondType>()?.value(0)),
            ColumnType::Utf8 => Literal::Utf8(array.as_string_view_opt()?.value(0).into()),
        })
    }
}

/// The column, or the column of integers that is compared as doubles.
fn tested_column(expr: &BoundExpr) -> Option<usize> {
    match &expr.node {
        Node::Cast { input, .. }
            if (input.column_type, expr.column_type) == (ColumnType::Int64, ColumnType::Float64) =>
        {
            input.as_column()
        }
        _ => expr.as_column(),
    }
}
