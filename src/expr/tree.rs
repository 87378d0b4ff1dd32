//! The expression tree and the questions a planner asks of it.

use super::function::Function;
use crate::aggregate::{Aggregate, Constant};
use crate::error::Result;
use crate::types::ColumnType;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A constant.
#[derive(Clone, Debug)]
pub enum Literal {
    /// No value; takes any type.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Int64(i64),
    /// A double.
    Float64(f64),
    /// Text.
    Utf8(Arc<str>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00.
    Timestamp(i64),
}

impl From<Constant> for Literal {
    fn from(constant: Constant) -> Self {
        match constant {
            // Whole numbers are shown as such.
            Constant::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Literal::Int64(number as i64),
            Constant::Number(number) => Literal::Float64(number),
            Constant::Text(text) => Literal::Utf8(text),
        }
    }
}

/// Doubles are compared by bits, so that equal expressions are those that give the same answers.
impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Literal::Null, Literal::Null) => true,
            (Literal::Boolean(a), Literal::Boolean(b)) => a == b,
            (Literal::Int64(a), Literal::Int64(b)) | (Literal::Timestamp(a), Literal::Timestamp(b)) => a == b,
            (Literal::Float64(a), Literal::Float64(b)) => a.to_bits() == b.to_bits(),
            (Literal::Utf8(a), Literal::Utf8(b)) => a == b,
            (Literal::Date(a), Literal::Date(b)) => a == b,
            _ => false,
        }
    }
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `not x`; null stays null.
    Not,
    /// `-x`.
    Negate,
    /// `x is null`; never null itself.
    IsNull,
    /// `x is not null`; never null itself.
    IsNotNull,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`; of a Date and an integer: days later.
    Add,
    /// `-`; of two Dates: days between; of a Date and an integer: days earlier.
    Sub,
    /// `*`.
    Mul,
    /// `/`, always Float64.
    Divide,
    /// `//`, rounded down.
    FloorDivide,
    /// `%`, with the sign of the divisor.
    Modulo,
    /// `||`, texts joined; null if either is null.
    Concat,
    /// `=`.
    Eq,
    /// `<>`.
    NotEq,
    /// `<`.
    Lt,
    /// `<=`.
    LtEq,
    /// `>`.
    Gt,
    /// `>=`.
    GtEq,
    /// `and`, three-valued: false and null is false.
    And,
    /// `or`, three-valued: true or null is true.
    Or,
}

impl BinaryOp {
    /// The comparison that holds when its sides are exchanged; any other operator is itself.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            BinaryOp::Lt => BinaryOp::Gt,
            BinaryOp::LtEq => BinaryOp::GtEq,
            BinaryOp::Gt => BinaryOp::Lt,
            BinaryOp::GtEq => BinaryOp::LtEq,
            other => other,
        }
    }
}

/// An aggregate and the expressions it takes; no argument means all rows, as in `count(*)`.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// Which aggregate.
    pub aggregate: Arc<dyn Aggregate>,
    /// Its arguments.
    pub args: Vec<Expr>,
}

impl PartialEq for AggregateCall {
    fn eq(&self, other: &Self) -> bool {
        let named = |call: &AggregateCall, at: usize| call.aggregate.argument_name(at).map(str::to_owned);
        self.aggregate.name() == other.aggregate.name()
            && self.args == other.args
            && (0..self.args.len()).all(|at| named(self, at) == named(other, at))
            && self.aggregate.constants() == other.aggregate.constants()
            && self.aggregate.opening() == other.aggregate.opening()
            && self.aggregate.suffix() == other.aggregate.suffix()
            && self.aggregate.ordering() == other.aggregate.ordering()
    }
}

/// A described computation over the columns of a row or, with aggregates, of many rows.
///
/// Built with [`col`](super::col), [`lit`](super::lit) and the methods here, or parsed from text; shown as text that
/// parses back to the same expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// The column of that name.
    Column(Arc<str>),
    /// `*`: all columns, only as a whole item of a select list.
    Wildcard,
    /// A constant.
    Literal(Literal),
    /// An expression under another name.
    Alias {
        /// The expression.
        expr: Box<Expr>,
        /// Its name in the result.
        name: Arc<str>,
    },
    /// An operator with one operand.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// The operand.
        expr: Box<Expr>,
    },
    /// An operator with two operands.
    Binary {
        /// The left operand.
        left: Box<Expr>,
        /// The operator.
        op: BinaryOp,
        /// The right operand.
        right: Box<Expr>,
    },
    /// A function of values of one row.
    Function {
        /// Which function.
        function: Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// A value converted to another type.
    Cast {
        /// The value.
        expr: Box<Expr>,
        /// The type wanted.
        to: ColumnType,
        /// Whether a value that does not convert gives null instead of an error.
        try_: bool,
    },
    /// The value of the first branch whose condition is true; only that branch is evaluated for a row.
    Case {
        /// Conditions and values.
        branches: Vec<(Expr, Expr)>,
        /// The value when no condition is true; null if absent.
        otherwise: Option<Box<Expr>>,
    },
    /// Whether a value equals one of a list.
    InList {
        /// The value.
        expr: Box<Expr>,
        /// The list.
        list: Vec<Expr>,
    },
    /// Whether a text matches a pattern, where `%` stands for any text and `_` for any character.
    Like {
        /// The text.
        expr: Box<Expr>,
        /// The pattern; `\` takes the next character as it is.
        pattern: Box<Expr>,
        /// Whether upper and lower case are the same (`ilike`).
        ignore_case: bool,
    },
    /// One value of many rows.
    Aggregate(AggregateCall),
}

impl Expr {
    /// The direct parts of this expression, in reading order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Column(_) | Expr::Wildcard | Expr::Literal(_) => Vec::new(),
            Expr::Alias { expr, .. } | Expr::Unary { expr, .. } | Expr::Cast { expr, .. } => vec![expr],
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::Like { expr, pattern, .. } => vec![expr, pattern],
            Expr::Function { args, .. } | Expr::Aggregate(AggregateCall { args, .. }) => args.iter().collect(),
            Expr::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(condition, value)| [condition, value]);
                branches.chain(otherwise.as_deref()).collect()
            }
            Expr::InList { expr, list } => std::iter::once(expr.as_ref()).chain(list).collect(),
        }
    }

    /// This expression with `change` applied to each direct part.
    ///
    /// # Errors
    /// The first that `change` gives.
    pub fn map_children(&self, change: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Expr> {
        let mut boxed = |expr: &Expr| change(expr).map(Box::new);
        Ok(match self {
            Expr::Column(_) | Expr::Wildcard | Expr::Literal(_) => self.clone(),
            Expr::Alias { expr, name } => Expr::Alias { expr: boxed(expr)?, name: name.clone() },
            Expr::Unary { op, expr } => Expr::Unary { op: *op, expr: boxed(expr)? },
            Expr::Cast { expr, to, try_ } => Expr::Cast { expr: boxed(expr)?, to: *to, try_: *try_ },
            Expr::Binary { left, op, right } => Expr::Binary { left: boxed(left)?, op: *op, right: boxed(right)? },
            Expr::Like { expr, pattern, ignore_case } => {
                Expr::Like { expr: boxed(expr)?, pattern: boxed(pattern)?, ignore_case: *ignore_case }
            }
            Expr::Function { function, args } => {
                Expr::Function { function: *function, args: args.iter().map(change).collect::<Result<_>>()? }
            }
            Expr::Aggregate(AggregateCall { aggregate, args }) => Expr::Aggregate(AggregateCall {
                aggregate: Arc::clone(aggregate),
                args: args.iter().map(change).collect::<Result<_>>()?,
            }),
            Expr::Case { branches, otherwise } => {
                let mut changed = Vec::with_capacity(branches.len());
                for (condition, value) in branches {
                    changed.push((change(condition)?, change(value)?));
                }
                let otherwise = otherwise.as_deref().map(change).transpose()?.map(Box::new);
                Expr::Case { branches: changed, otherwise }
            }
            Expr::InList { expr, list } => {
                let expr = Box::new(change(expr)?);
                Expr::InList { expr, list: list.iter().map(change).collect::<Result<_>>()? }
            }
        })
    }

    /// Calls `see` for this expression and all its parts, the whole before its parts.
    pub fn visit(&self, see: &mut dyn FnMut(&Expr)) {
        see(self);
        for child in self.children() {
            child.visit(see);
        }
    }

    /// This expression with every part replaced for which `replacement` gives something; the whole is asked before
    /// its parts, and a replacement is not looked into again.
    ///
    /// # Errors
    /// The first that `replacement` gives.
    pub fn replace(&self, replacement: &mut dyn FnMut(&Expr) -> Result<Option<Expr>>) -> Result<Expr> {
        match replacement(self)? {
            Some(new) => Ok(new),
            None => self.map_children(&mut |child| child.replace(replacement)),
        }
    }

    /// The names of all columns used, sorted.
    pub fn columns(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        self.visit(&mut |expr| {
            if let Expr::Column(name) = expr {
                names.insert(Arc::clone(name));
            }
        });
        names
    }

    /// The aggregate calls in this expression, each once, in reading order; arguments of a call are not searched.
    pub fn aggregates(&self) -> Vec<&AggregateCall> {
        fn collect<'a>(expr: &'a Expr, found: &mut Vec<&'a AggregateCall>) {
            match expr {
                Expr::Aggregate(call) if found.contains(&call) => {}
                Expr::Aggregate(call) => found.push(call),
                _ => expr.children().into_iter().for_each(|child| collect(child, found)),
            }
        }
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }

    /// Whether an aggregate occurs in this expression.
    pub fn contains_aggregate(&self) -> bool {
        matches!(self, Expr::Aggregate(_)) || self.children().into_iter().any(Expr::contains_aggregate)
    }

    /// The name of the column this gives in a result: its alias, or its text.
    pub fn output_name(&self) -> Arc<str> {
        match self {
            Expr::Alias { name, .. } | Expr::Column(name) => Arc::clone(name),
            _ => self.to_string().into(),
        }
    }

    /// This expression without the alias around it.
    pub fn unaliased(&self) -> &Expr {
        match self {
            Expr::Alias { expr, .. } => expr.unaliased(),
            _ => self,
        }
    }

    /// The operands of the outermost `and`s, in reading order: rows pass this expression if they pass each.
    pub fn conjuncts(&self) -> Vec<&Expr> {
        match self {
            Expr::Binary { left, op: BinaryOp::And, right } => {
                let mut all = left.conjuncts();
                all.extend(right.conjuncts());
                all
            }
            _ => vec![self],
        }
    }

    /// All of `conjuncts` joined by `and`; `None` if there are none.
    pub fn conjunction(conjuncts: impl IntoIterator<Item = Expr>) -> Option<Expr> {
        conjuncts.into_iter().reduce(Expr::and)
    }

    /// What an operator that may be asked in any grouping makes of all, as a tree whose depth hardly grows with their number; `None`
    /// of none.
    pub(crate) fn folded(exprs: Vec<Expr>, op: BinaryOp) -> Option<Expr> {
        let mut level = exprs;
        while level.len() > 1 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            let mut pairs = level.into_iter();
            while let Some(left) = pairs.next() {
                next.push(match pairs.next() {
                    Some(right) => Expr::Binary { left: Box::new(left), op, right: Box::new(right) },
                    None => left,
                });
            }
            level = next;
        }
        level.pop()
    }
}
