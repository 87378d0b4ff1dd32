//! Tasks: many calls of a function, or a graph of calls that need each other's results.
//!
//! **Problem.** Tasks begin tasks: a simulation in each fold of a cross-validation. If each level starts as many threads as
//! there are cores, there are far too many.
//! **Idea.** A [`Crew`](crew::Crew) is a number of permits to be busy. Whoever has tasks done works on them itself, and gets
//! helpers as long as there are permits; a helper gives its permit back when no task is left. A task that has tasks of its own
//! belongs to the crew already, so it works on them itself, and with whatever permits are free.
//! **Invariants.** Never are more threads busy than the crew has permits, however deep tasks are nested; nobody waits for a
//! permit, so there is no deadlock; results are in the order of the tasks, whoever did them.

mod crew;
mod graph;
mod located;
mod map;
mod message;
mod named;
mod submit;

pub(crate) use crew::{alone, threads_here};
pub use graph::{Computed, Delayed, Inputs, delayed};
pub use map::{TaskProgress, Tasks, map};
pub use message::Message;
pub use named::NamedTask;
pub(crate) use submit::begin;
pub use submit::{Handle, submit};
