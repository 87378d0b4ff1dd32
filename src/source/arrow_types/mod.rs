//! What files that know their own types have in common: Parquet and Arrow IPC.
//!
//! **Problem.** Such files hold arrays of many types, nested ones too, and files read together need not agree on them.
//! **Idea.** Each file offers flat `columns` of the engine's types and refuses what has none, by name; the columns of
//! all files are brought together by name (`unify`), and what a decoder delivers is made what the set calls for
//! ([`convert`]). Decoders are third-party code and run under `guard`.
//! **Invariants.**
//! - A column of which files disagree is refused, and no other column with it.
//! - A value that its column's type does not hold is a misfit, never another value and never null.

pub(in crate::source) mod columns;
pub(in crate::source) mod guard;
pub(in crate::source) mod unify;

pub(in crate::source) use crate::types::convert;

/// The remedy for a value that fits no type.
pub(in crate::source) fn leave_out(column: &str) -> String {
    format!(
        "name the columns wanted, without `{column}` (outcrop ask FILE -q 'a, b limit 10'), or turn such rows away by a \
         condition on another column"
    )
}
