//! Many tasks at once: who does which, and random streams that are the same wherever a task runs.

mod allocation;
pub(crate) mod process;
pub mod random;

pub use allocation::Allocation;
pub(crate) use allocation::Deal;
pub use process::init;
