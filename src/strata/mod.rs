//! Whole groups: all rows of a stratum together, given to a function or a program.
//!
//! **Problem.** A model for every group needs all rows of the group at once, in one place, and often in a program of another
//! language; the rows of all groups are more than memory, and copying them to workers costs more than the work.
//! **Idea.** One pass sorts rows by key, as any question does that sorts: in memory, or in runs on disk ([`crate::exec`]),
//! equal keys in input order. An index says where each key begins. A worker writes the rows of a stratum, slice by slice, into
//! a *segment* ([`crate::memory`]): an Arrow file in sealed shared memory, or on disk if it is large, laid out beforehand so
//! that it never stands anywhere else as a whole. Functions on threads get views of the mapped segment, programs a path to it.
//! Results are gathered in key order.
//!
//! ```text
//! pass ─ sorted rows ─ StrataIndex ─ Deal ─▶ worker: write ─ Segment ─▶ function | program ─ Outcome ─▶ Gather ─ table
//! ```
//!
//! **Invariants.** The results do not depend on workers, allocation or memory; a stratum that fails costs itself only; there
//! is one segment a worker at a time, and it is on the account.

mod failures;
mod function;
mod gather;
mod index;
mod options;
mod output;
mod program;
mod run;
mod statistics;
mod stratum;
mod unify;

pub use function::{NamedFunction, StratumFunction, map, map_named};
pub use options::{OnError, SaidCallback, StrataOptions};
pub use program::{PATH_PLACEHOLDER, STRATUM_VARIABLE, exec};
pub use run::{StrataAnswer, StrataQuestion};
pub use statistics::StrataStatistics;
pub use stratum::Stratum;
