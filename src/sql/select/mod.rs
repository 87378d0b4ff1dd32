//! SQL: statements over files and named tables.
//!
//! **Problem.** A `SELECT` names tables inside of itself, its clauses see different names, and it nests.
//! **Idea.** sqlparser makes the tree; each query block is turned into the same verbs that questions are made of
//! ([`crate::plan::LogicalPlan`]). Columns of all tables of a block get names that differ ([`scope`]), and what a name stands for
//! is settled once, when its expression is converted; from there on a plan knows nothing of tables. Inner queries become joins:
//! of one row, or of those that a value must be among. Window functions become columns under hidden names, and a verb that
//! computes them.
//! **Invariants.**
//! - Double quotes and backticks are names, single quotes are text; names are found in any case where that is clear.
//! - All statements of a call over the same files are answered in one pass.
//! - What is not supported is an error with its place, never another answer.

mod asides;
mod block;
mod clauses;
mod combine;
mod correlated;
mod from;
mod functions;
mod grouped;
mod inner;
mod query;
mod sample;
mod scope;
mod session;
mod sets;
mod values;
mod windows;
mod wishes;

pub(super) use asides::{Asides, Groups, OWN_TABLE, Planned, Reader};
pub(super) use functions::name_arguments;
pub(super) use scope::{Column, Scope, Table};
pub use session::{Asks, Session, Statement};
