//! Outcrop: an out-of-core chunked dataframe engine.

// Modules in layer order: each may use only those above it in this list.
pub mod aggregate;
pub mod batch;
#[cfg(feature = "cli")]
pub mod cli;
pub mod error;
pub mod exec;
pub mod expr;
pub mod frame;
pub mod groupby;
pub mod memory;
pub mod plan;
pub mod source;
pub mod sql;
pub mod types;

/// The Arrow version whose types stand in this crate's interface.
pub use arrow;
