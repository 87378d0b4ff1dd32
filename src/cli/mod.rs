//! The command line: a thin layer over the library.
//!
//! `flags` is the table of commands and its help the manual; `run` turns a command into frames, computes them and
//! hands answers to `render`; `messages` says what went wrong. **Invariant.** Everything that can be wrong about the
//! words typed is found before any data are read, and stdout stays empty when a command fails, unless rows were already
//! streaming, or all is said but what a picture of it needs.

mod config;
mod convert;
mod deliver;
mod describe;
mod distribution;
pub(crate) mod flags;
mod kept;
mod look;
mod manual;
mod meant;
pub(crate) mod messages;
mod open;
mod place;
pub(crate) mod plot;
pub(crate) mod progress;
mod remedies;
pub(crate) mod render;
mod report;
mod run;
mod said;
mod shell;
mod signals;
mod sql;
mod stats;
mod strata;
mod validate;
mod whole;

pub use run::main;
