//! Whole groups: all rows of a stratum together, given to a function or a program.

mod layout;
mod read;
mod write;
