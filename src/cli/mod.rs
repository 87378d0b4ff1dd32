//! The command line.

pub(crate) mod render;
