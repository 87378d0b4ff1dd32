//! Tables in segments: Arrow IPC files that processes and programs read in place.

mod layout;
mod read;
mod share;
mod write;

pub(crate) use read::batches;
pub(crate) use share::share;
pub(crate) use write::{Place, Slices, stored, write};
