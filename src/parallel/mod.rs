//! Many tasks at once: on threads, in worker processes, and random streams that are the same wherever a task runs.

mod allocation;
pub(crate) mod process;
pub mod random;
mod scheduler;
mod tasks;
mod timeline;

pub use allocation::Allocation;
pub(crate) use allocation::Deal;
pub(crate) use process::serve_if_worker;
pub(crate) use scheduler::SCHEDULER_VARIABLE;
pub use scheduler::Scheduler;
pub use tasks::{Computed, Delayed, Handle, Inputs, Message, NamedTask, TaskProgress, Tasks, delayed, map, submit};
pub(crate) use tasks::{alone, begin, threads_here};
pub(crate) use timeline::Lane;
pub use timeline::{Bar, BarKind, Timeline};
