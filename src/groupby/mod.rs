//! Grouping: key columns to dense group numbers, and the table that joins keys with aggregate states.
//!
//! **Problem.** Every row must find the state of its group; this is the hottest loop of a group-by.
//! **Idea.** Keys and states never meet: [`GroupKeys`] turns the key columns of a batch into group numbers 0, 1, 2…,
//! in order of first appearance, and the states are arrays indexed by them. A single key has an index made for its
//! type (a plain array where integers lie close together, a hash table else); several keys are numbered each by its
//! own index, and then the tuples of numbers are, so every type needs to be known only once. Texts that come as codes are
//! looked up once a dictionary (`code_numbers`).
//! **Invariants.** A group number never changes; null is a group, NaN is one group, −0.0 and 0.0 are one; hashing is
//! seeded the same in every run; results leave in ascending order of the keys, so no answer depends on who came first.

mod array_keys;
mod code_numbers;
mod fixed_keys;
mod integer_index;
mod keys;
mod order;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod text_keys;
mod tuple_keys;

pub(crate) use crate::aggregate::fixed::normalise_floats;
pub use keys::{ABSENT, GroupKeys, Tuples, keys_for};
pub(crate) use order::{Entry, GroupOrder};
pub(crate) use rows::RowTable;
pub use table::GroupTable;
pub(crate) use table::import_states;
