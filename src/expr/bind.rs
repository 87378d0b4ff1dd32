//! Binding: names to columns, types to operators, constants folded.

use super::bound::{BoundExpr, Node, matches_pattern};
use super::cast;
use super::coerce::{self, Coerced};
use super::elsewhere::value_written_here;
use super::tree::{BinaryOp, Expr, Literal, UnaryOp};
use super::value::{Input, Value};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::types::ColumnType;
use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringViewArray};
use arrow::datatypes::Schema;
use std::sync::Arc;

impl Expr {
    /// This expression over the rows of `schema`: names resolved, types checked, constants folded.
    ///
    /// # Errors
    /// `Name` for a column that does not exist, with the name that was probably meant; `Type` for operands that do
    /// not fit, and for an aggregate, which has no value in one row.
    pub fn bind(&self, schema: &Schema) -> Result<BoundExpr> {
        let binder = Binder { schema };
        match self.unaliased() {
            // A list is a value that nothing is computed of.
            Expr::Column(name) => binder.column(name),
            whole => binder.bind(whole),
        }
    }

    /// As [`Expr::bind`], for `what` cannot be a list, such as a key.
    ///
    /// # Errors
    /// As [`Expr::bind`]; `Type` for a list.
    pub fn bind_single(&self, schema: &Schema, what: &str) -> Result<BoundExpr> {
        let bound = self.bind(schema)?;
        match bound.column_type {
            ColumnType::List(_) => Err(list_where_there_can_be_none(self, what)),
            _ => Ok(bound),
        }
    }

    /// As [`Expr::bind`], for a condition that rows must pass.
    ///
    /// # Errors
    /// As [`Expr::bind`]; `Type` when the expression is not Boolean.
    pub fn bind_condition(&self, schema: &Schema) -> Result<BoundExpr> {
        let binder = Binder { schema };
        binder.condition(self, self)
    }
}

impl BoundExpr {
    /// The node, folded to a constant when all its operands are constants and it has a value.
    pub(super) fn new(node: Node, column_type: ColumnType, source: &Expr) -> BoundExpr {
        let mut bound = BoundExpr { node, column_type, text: Arc::from(""), can_fail: false };
        let children = bound.children();
        let constant = !children.is_empty() && children.iter().all(|child| child.constant().is_some());
        let own = bound.own_failure();
        let can_fail = own || bound.children().iter().any(|child| child.can_fail);
        bound.can_fail = can_fail;
        if own {
            bound.text = source.to_string().into();
        }
        if constant {
            // An error is left for evaluation, for it may stand in a branch that no row reaches.
            let folded =
                bound.value(&Input { columns: &[], rows: 1, origin: None }).and_then(|value| value.into_array(1));
            if let Ok(array) = folded {
                return BoundExpr::literal(array, column_type);
            }
        }
        bound
    }

    pub(super) fn literal(array: ArrayRef, column_type: ColumnType) -> BoundExpr {
        BoundExpr { node: Node::Literal(array), column_type, text: Arc::from(""), can_fail: false }
    }

    pub(super) fn null(column_type: ColumnType) -> BoundExpr {
        BoundExpr::literal(arrow::array::new_null_array(&column_type.arrow(), 1), column_type)
    }

    fn own_failure(&self) -> bool {
        match &self.node {
            Node::Arithmetic(..) | Node::Negate(_) => self.column_type == ColumnType::Int64,
            Node::ShiftDate(..) | Node::Later(..) => true,
            Node::Cast { input, try_ } => !try_ && cast::can_fail(input.column_type, self.column_type),
            Node::Call(function, args) => args.iter().any(|arg| super::call::can_fail(*function, &arg.data_type())),
            // A constant pattern was tried when it was bound; one that varies is compiled by row and may be too large.
            Node::Like { pattern, .. } => pattern.constant().is_none(),
            _ => false,
        }
    }

    /// This constant's Boolean, if it is one and not null.
    fn truth(&self) -> Option<bool> {
        let array = self.constant()?.as_boolean_opt()?;
        array.is_valid(0).then(|| array.value(0))
    }
}

/// The first of the columns that there are, as a hint.
pub(crate) fn columns_there_are<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.peekable();
    let shown: Vec<&str> = names.by_ref().take(12).collect();
    let more = if names.peek().is_some() { ", …" } else { "" };
    format!("columns are {}{more}; texts stand in quotes", shown.join(", "))
}

fn list_where_there_can_be_none(expr: &Expr, what: &str) -> Error {
    Error::new(ErrorKind::Type, format!("`{expr}` is a list, and {what} cannot be one"))
        .hint("lists are shown and written as they are; string_agg makes a text of values")
}

/// An entry for the metadata of a source's schema: a question that names the column `name` is told that it is `what`.
pub(crate) fn refuse_name(name: &str, what: &str) -> (String, String) {
    (refused_key(name), what.to_owned())
}

/// The names that [`refuse_name`] put into the metadata of a schema, in order, and what they are.
pub(crate) fn refused_names(schema: &Schema) -> Vec<(&str, &str)> {
    let entries = schema.metadata().iter();
    let mut names: Vec<_> =
        entries.filter_map(|(key, what)| Some((key.strip_prefix(REFUSED)?, what.as_str()))).collect();
    names.sort_unstable();
    names
}

const REFUSED: &str = "outcrop.refused.";

fn refused_key(name: &str) -> String {
    format!("{REFUSED}{name}")
}

pub(super) struct Binder<'a> {
    schema: &'a Schema,
}

impl Binder<'_> {
    pub(super) fn bind(&self, expr: &Expr) -> Result<BoundExpr> {
        match expr {
            Expr::Column(name) => match self.column(name)? {
                list if list.column_type.is_list() => Err(list_where_there_can_be_none(expr, "an operand")),
                bound => Ok(bound),
            },
            Expr::Wildcard => Err(Error::new(ErrorKind::Type, "`*` stands for all columns, not for a value")
                .hint("`*` can only be a whole item of a select list")),
            Expr::Literal(literal) => Ok(bind_literal(literal)),
            Expr::Alias { expr, .. } => self.bind(expr),
            Expr::Unary { op, expr: operand } => self.unary(expr, *op, operand),
            Expr::Binary { left, op, right } => self.binary(expr, left, *op, right),
            Expr::Function { function, args } => {
                let args = args.iter().map(|arg| self.bind(arg)).collect::<Result<Vec<_>>>()?;
                coerce::function(expr, *function, args)
            }
            Expr::Cast { expr: operand, to, try_ } => {
                let input = self.bind(operand)?;
                if !cast::is_possible(input.column_type, *to) {
                    let message = format!("no conversion from {} to {to} in `{expr}`", input.column_type);
                    return Err(Error::new(ErrorKind::Type, message));
                }
                Ok(BoundExpr::new(Node::Cast { input: Box::new(input), try_: *try_ }, *to, expr))
            }
            Expr::Case { branches, otherwise } => self.case(expr, branches, otherwise.as_deref()),
            Expr::InList { expr: operand, list } => {
                let mut all = vec![self.bind(operand)?];
                for item in list {
                    all.push(self.bind(item)?);
                }
                let (mut all, _) = coerce::to_common(expr, "compare", all)?;
                let value = all.remove(0);
                Ok(BoundExpr::new(Node::in_list(value, all), ColumnType::Boolean, expr))
            }
            Expr::Like { expr: operand, pattern, ignore_case } => {
                let wanted = [ColumnType::Utf8; 2];
                let bound = vec![self.bind(operand)?, self.bind(pattern)?];
                let [input, pattern] = coerce::exactly(expr, bound, wanted)?.map(Box::new);
                if let Some(constant) = pattern.constant() {
                    let text = Value::Scalar(Arc::new(StringViewArray::from(vec![""])));
                    matches_pattern(&text, &Value::Scalar(Arc::clone(constant)), *ignore_case)?;
                }
                let node = Node::Like { input, pattern, ignore_case: *ignore_case };
                Ok(BoundExpr::new(node, ColumnType::Boolean, expr))
            }
            Expr::Aggregate(call) => {
                Err(Error::new(ErrorKind::Type, format!("`{call}` is made of many rows and has no value in one row"))
                    .hint("aggregates stand in the select list, `having` and `sort`, and not inside each other"))
            }
        }
    }

    fn column(&self, name: &str) -> Result<BoundExpr> {
        let mut found = self.schema.fields().iter().enumerate().filter(|(_, field)| field.name() == name);
        let Some((index, field)) = found.next() else { return Err(self.no_column(name)) };
        if found.next().is_some() {
            return Err(Error::new(ErrorKind::Name, format!("there are several columns `{name}`"))
                .hint("give the columns names of their own with `as`"));
        }
        let column_type = ColumnType::from_arrow(field.data_type())?;
        Ok(BoundExpr { node: Node::Column(index), column_type, text: Arc::from(""), can_fail: false })
    }

    fn no_column(&self, name: &str) -> Error {
        let names = || self.schema.fields().iter().map(|field| field.name().as_str());
        if let Some(what) = self.schema.metadata().get(&refused_key(name)) {
            let error = Error::new(ErrorKind::Unsupported, format!("not supported: column `{name}` is {what}"));
            let length = format!("{name}.length");
            return if names().any(|known| known == length) {
                error.hint(format!("`{length}` is its length"))
            } else {
                error
            };
        }
        let error = Error::new(ErrorKind::Name, format!("no column `{name}`"));
        if let Some(hint) = value_written_here(name) {
            return error.hint(hint);
        }
        match did_you_mean(name, names()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(columns_there_are(names())),
        }
    }

    /// `expr` as a Boolean; `whole` is the expression it is a condition of.
    fn condition(&self, expr: &Expr, whole: &Expr) -> Result<BoundExpr> {
        let bound = self.bind(expr)?;
        match bound.column_type {
            ColumnType::Boolean => Ok(bound),
            ColumnType::Null => Ok(bound.to(ColumnType::Boolean, expr)),
            other => {
                let place = if std::ptr::eq(expr, whole) { String::new() } else { format!(" in `{whole}`") };
                let error = Error::new(ErrorKind::Type, format!("`{expr}` is {other}, not true or false{place}"));
                let sample = match other {
                    ColumnType::Int64 | ColumnType::Float64 => "<> 0".to_string(),
                    ColumnType::Utf8 => "= '…'".to_string(),
                    _ => "is not null".to_string(),
                };
                Err(error.hint(format!("compare it with something, as in `{expr} {sample}`")))
            }
        }
    }

    fn unary(&self, whole: &Expr, op: UnaryOp, operand: &Expr) -> Result<BoundExpr> {
        if op == UnaryOp::Not {
            let operand = self.condition(operand, whole)?;
            return Ok(BoundExpr::new(Node::Not(Box::new(operand)), ColumnType::Boolean, whole));
        }
        let bound = Box::new(self.bind(operand)?);
        let column_type = bound.column_type;
        match op {
            UnaryOp::IsNull => Ok(BoundExpr::new(Node::IsNull(bound), ColumnType::Boolean, whole)),
            UnaryOp::IsNotNull => Ok(BoundExpr::new(Node::IsNotNull(bound), ColumnType::Boolean, whole)),
            _ => match column_type {
                ColumnType::Null => Ok(BoundExpr::null(ColumnType::Null)),
                ColumnType::Int64 | ColumnType::Float64 => Ok(BoundExpr::new(Node::Negate(bound), column_type, whole)),
                ColumnType::Boolean => {
                    let bound = Box::new(bound.to(ColumnType::Int64, operand));
                    Ok(BoundExpr::new(Node::Negate(bound), ColumnType::Int64, whole))
                }
                other => Err(Error::new(ErrorKind::Type, format!("`-` takes numbers, not {other}, in `{whole}`"))
                    .hint(format!("cast({operand} as float64) reads text as a number"))),
            },
        }
    }

    fn binary(&self, whole: &Expr, left: &Expr, op: BinaryOp, right: &Expr) -> Result<BoundExpr> {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (a, b) = (self.condition(left, whole)?, self.condition(right, whole)?);
                Ok(logical(whole, op, a, b))
            }
            BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq => {
                let Coerced { left, right, .. } = coerce::pair(whole, "compare", self.bind(left)?, self.bind(right)?)?;
                if left.column_type == ColumnType::Null {
                    return Ok(BoundExpr::null(ColumnType::Boolean));
                }
                let node = Node::Compare(op, Box::new(left), Box::new(right));
                Ok(BoundExpr::new(node, ColumnType::Boolean, whole))
            }
            BinaryOp::Concat => {
                let bound = vec![self.bind(left)?, self.bind(right)?];
                let [a, b] = coerce::exactly(whole, bound, [ColumnType::Utf8; 2])?.map(Box::new);
                Ok(BoundExpr::new(Node::Concat(a, b), ColumnType::Utf8, whole))
            }
            _ => coerce::arithmetic(whole, op, self.bind(left)?, self.bind(right)?),
        }
    }

    fn case(&self, whole: &Expr, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<BoundExpr> {
        let mut conditions = Vec::with_capacity(branches.len());
        let mut values = Vec::with_capacity(branches.len() + 1);
        for (condition, value) in branches {
            conditions.push(self.condition(condition, whole)?);
            values.push(self.bind(value)?);
        }
        values.extend(otherwise.map(|value| self.bind(value)).transpose()?);
        let (mut values, common) = coerce::to_common(whole, "choose between", values)?;
        if common == ColumnType::Null {
            return Ok(BoundExpr::null(ColumnType::Null));
        }
        let otherwise = if values.len() > conditions.len() { values.pop().map(Box::new) } else { None };
        let branches = conditions.into_iter().zip(values).collect();
        Ok(BoundExpr::new(Node::Case { branches, otherwise }, common, whole))
    }
}

/// `a and b` or `a or b`, without an operand that decides nothing.
fn logical(whole: &Expr, op: BinaryOp, a: BoundExpr, b: BoundExpr) -> BoundExpr {
    let neutral = op == BinaryOp::And;
    if a.truth() == Some(neutral) {
        return b;
    }
    // The right operand is not asked where the left decides.
    if b.truth() == Some(neutral) || a.truth() == Some(!neutral) {
        return a;
    }
    let node = match op {
        BinaryOp::And => Node::And(Box::new(a), Box::new(b)),
        _ => Node::Or(Box::new(a), Box::new(b)),
    };
    BoundExpr::new(node, ColumnType::Boolean, whole)
}

fn bind_literal(literal: &Literal) -> BoundExpr {
    let (array, column_type): (ArrayRef, _) = match literal {
        Literal::Null => (Arc::new(NullArray::new(1)), ColumnType::Null),
        Literal::Boolean(value) => (Arc::new(BooleanArray::from(vec![*value])), ColumnType::Boolean),
        Literal::Int64(value) => (Arc::new(Int64Array::from(vec![*value])), ColumnType::Int64),
        Literal::Float64(value) => (Arc::new(Float64Array::from(vec![*value])), ColumnType::Float64),
        Literal::Utf8(text) => (Arc::new(StringViewArray::from(vec![text.as_ref()])), ColumnType::Utf8),
        Literal::Date(days) => (Arc::new(Date32Array::from(vec![*days])), ColumnType::Date),
        Literal::Timestamp(micros) => (Arc::new(TimestampMicrosecondArray::from(vec![*micros])), ColumnType::Timestamp),
    };
    BoundExpr::literal(array, column_type)
}
