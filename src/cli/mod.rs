//! The command line.

pub(crate) mod flags;
pub(crate) mod messages;
pub(crate) mod progress;
pub(crate) mod render;
