//! Expressions: what a user says about a row, bound to a schema and evaluated a column at a time.
//!
//! **Problem.** The same words come from Rust and from text, must be checked before any data is read, and are then
//! run over millions of rows.
//! **Idea.** Three forms. [`Expr`] is a plain tree that builders and the parser make and the planner rewrites; its
//! text parses back to itself. [`Expr::bind`] turns it into a [`BoundExpr`]: columns by index, one type everywhere,
//! conversions explicit, constants folded. Evaluation walks that tree once a batch, with one kernel call a node.
//! **Invariants.**
//! - A bound expression fails for values only: integer overflow, integer division by zero, text that does not convert.
//! - Constants stay single values (`Value::Scalar`) and columns are never copied.
//! - What reads one column of codes is evaluated on the entries of its dictionary (`entries`), with the same values.
//! - `case`, `coalesce`, `and` and `or` evaluate an operand that can fail only on the rows that reach it.
//! - Logic is three-valued. NaN equals itself and is above all numbers; −0.0 equals 0.0; text compares bytewise.

mod aggregates;
mod arithmetic;
mod bind;
mod bound;
mod branch;
mod build;
mod call;
mod cast;
pub(crate) mod civil;
mod coerce;
mod compare;
mod condition;
pub(crate) mod decimal;
pub(crate) mod display;
pub(crate) mod elsewhere;
mod entries;
pub(crate) mod function;
mod interval;
mod make;
mod math;
mod member;
mod predict;
pub(crate) mod regexp;
mod row;
mod texts;
mod tree;
mod value;

pub(crate) use bind::refuse_name;
pub(crate) use bind::{columns_there_are, refused_names};
pub use bound::BoundExpr;
pub use build::{
    Then, When, coalesce, col, count_rows, fold, greatest, least, len, lit, make_date, predicted, random, when,
};
pub(crate) use condition::ColumnTest;
pub use function::Function;
pub(crate) use interval::Interval;
pub(crate) use row::RowValue;
pub use tree::{AggregateCall, BinaryOp, Expr, Literal, UnaryOp};

#[cfg(test)]
mod tests;
