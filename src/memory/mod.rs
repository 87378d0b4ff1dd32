//! Memory: one account for whatever grows with rows or groups.
//!
//! **Problem.** A limit on memory only holds if everything that grows asks first.
//! **Idea.** A [`Budget`] is an account of bytes. A holder keeps a [`Reservation`] and resizes it as it grows; the
//! bytes go back when it is dropped. Refusal is an error with the limit, what is held and what was asked.
//! **Invariants.** Held never exceeds the limit; held is zero when every reservation is dropped.

mod budget;

pub use budget::{Budget, Reservation};
