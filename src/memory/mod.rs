//! Memory: one account for whatever grows with rows or groups, and a place on disk for what does not fit.
//!
//! **Problem.** A limit on memory only holds if everything that grows asks first, and has somewhere to go when refused.
//! **Idea.** A [`Budget`] is an account of bytes. A holder keeps a [`Reservation`] and resizes it as it grows; the
//! bytes go back when it is dropped. A holder that is refused writes what it has to a [`Spill`], batch by batch, and goes
//! on; what cannot be written is an error with the limit, what is held and what was asked.
//! **Invariants.** Held never exceeds the limit; held is zero when every reservation is dropped; a spill file has no name,
//! so nothing is left of it however the process ends; what comes back from disk is what went there.

mod allocator;
mod budget;
mod disk;
mod held;
mod machine;
mod packed;
mod part;
mod rows;
mod segment;
mod size;
mod spill;
mod spill_file;
pub(crate) mod table;
mod temporary;
mod to_disk;

pub use budget::{Budget, Reservation};
#[doc(hidden)]
pub use disk::Disk;
pub(crate) use held::{HeldBuffers, held_bytes, used_bytes, without_unused_text};
pub use machine::MEMORY_VARIABLE;
pub(crate) use part::{MadeRows, Part};
pub(crate) use rows::RowStore;
pub use rows::StoredRows;
pub(crate) use segment::{Segment, SegmentFile, handle_path, map_handle};
pub use size::ByteSize;
pub use spill::{SPILL_LIMIT_VARIABLE, Spill};
pub(crate) use spill_file::{SpillFile, compact};
pub use temporary::DIRECTORY_VARIABLE;
pub(crate) use temporary::{Unlinked, limit_of};
pub(crate) use to_disk::ToDisk;
