//! Outcrop: an out-of-core chunked dataframe engine.
//!
//! Describe tables lazily, ask for all answers in one [`compute`], and every input is read once, on all
//! cores, in bounded memory:
//!
//! ```
//! use outcrop::{compute, scan_csv};
//!
//! let air = scan_csv("testdata/airline/*.csv.bz2")?;
//! let (lo, hi): (Option<i64>, Option<i64>) = compute((air.min("DepDelay"), air.max("DepDelay")))?;
//! assert!(lo < hi);
//! # Ok::<(), outcrop::Error>(())
//! ```
//!
//! The verbs are in [`frame`], expressions in [`mod@expr`], questions in words in [`sql`]; the life of a query is told in
//! `ARCHITECTURE.md`. The library prints nothing, installs no signal handler, no panic hook and no allocator, and works on threads of
//! its own; progress and warnings go to callbacks of [`frame::Runner`].

#![deny(missing_docs)]

// Modules in layer order: each may use only those above it in this list.

pub mod error;

pub mod panics;

pub mod types;

pub mod cancel;

pub mod batch;

pub mod memory;

pub mod parallel;

pub mod linalg;

pub mod atomic;

pub mod aggregate;

pub mod expr;

pub mod groupby;

pub mod source;

pub mod plan;

pub mod exec;

pub mod strata;

pub mod write;

pub mod frame;

pub mod sql;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::{Error, Result};
pub use expr::{col, lit};
pub use frame::{DataFrame, LazyFrame, Runner, compute, scan, scan_csv, scan_parquet};
pub use sql::expr;

/// To be called first in `main` by a program that has worker processes, which are the program itself, executed again: there it
/// serves and does not return. Elsewhere it returns at once.
///
/// ```
/// // First in main:
/// outcrop::init();
/// ```
pub fn init() {
    exec::read_expressions_by(sql::parse_expr);
    parallel::serve_if_worker();
}

/// The Arrow version whose types stand in this crate's interface.
pub use arrow;
