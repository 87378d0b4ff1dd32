//! What files that know their own types have in common: Parquet and Arrow IPC.
//!
//! **Problem.** Such files hold arrays of many types, nested ones too, and files read together need not agree on them.
//! **Idea.** Each file offers flat `columns` of the engine's types and refuses what has none, by name; the columns of
//! all files are brought together by name (`unify`), and what a decoder delivers is made what the set calls for
//! (`convert`). Decoders are third-party code and run under `guard`.
//! **Invariants.**
//! - A column of which files disagree is refused, and no other column with it.
//! - A value that its column's type does not hold is a misfit, never another value and never null.

pub(in crate::source) mod columns;
pub(in crate::source) mod convert;
pub(in crate::source) mod guard;
pub(in crate::source) mod unify;

use crate::error::{Error, ErrorKind, Result};
use arrow::array::ArrayRef;

/// An array of a user's, as the engine takes it.
///
/// # Errors
/// `Unsupported` for types that columns do not have, `Value` for a value that its column's type does not hold.
pub(crate) fn taken(array: &ArrayRef) -> Result<ArrayRef> {
    let refused = |what: String| Error::new(ErrorKind::Unsupported, format!("it is {what}, which is not supported"));
    let wanted = columns::column_type(array.data_type()).map_err(refused)?;
    let converted = convert::convert(array, columns::Meaning::Values, wanted)?;
    match converted.misfits.first() {
        None => Ok(converted.array),
        Some((_, value)) => Err(Error::new(ErrorKind::Value, format!("the value {value} is no {wanted}"))),
    }
}
