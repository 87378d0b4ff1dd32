//! Rows as text: CSV and JSON.
//!
//! **Invariants.** Numbers stand in the shortest text that reads back as the same number. Missing values are never
//! mistaken for text.

mod cell;
mod compress;
mod delimited;
mod encoder;
mod json;

#[cfg(feature = "cli")]
pub(crate) use cell::is_number;
pub(crate) use cell::{Column, Value};
pub(crate) use compress::compress;
pub(crate) use delimited::Csv;
pub(super) use encoder::TextEncoder;
pub(crate) use json::Json;
#[cfg(feature = "cli")]
pub(crate) use json::append_string;
