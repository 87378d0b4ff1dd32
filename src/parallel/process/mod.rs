//! Worker processes: this program, executed again.
//!
//! **Problem.** A task that may crash, or that uses a library which knows one thread only, wants a process of its own; but
//! processes share nothing, and `fork` in a program that has threads leaves locks locked.
//! **Idea.** The program executes itself again. [`init`](crate::init), called first in `main`, sees that it is in a worker, and serves:
//! it reads tasks from a socket until the socket ends. Functions are sent by their place in the program, which is the same in
//! both; data, as handles of segments that both map ([`crate::memory`]).
//! **Invariants.** A worker does one task at a time, and ends with the thread that started it, however that ends.

mod child;
mod function;
mod pool;
mod wire;
mod worker;

pub(crate) use child::{STDERR_BYTES, TICK, end_with, told, with_stderr};
pub(crate) use function::{Payload, Reply, address, place};
pub(crate) use pool::{Call, Worker, check};
pub(crate) use worker::{said, serve_if_worker};
