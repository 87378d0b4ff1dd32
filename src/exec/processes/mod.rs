//! A pass in worker processes.
//!
//! **Problem.** Under the scheduler `processes` the questions of a pass are to be answered by processes, which share nothing, and
//! the answers are to be the same as on threads, to the bit; so are errors, warnings and counts.
//! **Idea.** Files are independent of each other: within a file commits come in input order, between files there is none. So a
//! *unit* is some files that follow each other in the input. Workers are told of the pass once ([`order`]): how the source is
//! opened without looking at samples again ([`crate::source::recipe`]), and the questions ([`crate::plan::sent`]). For each unit a
//! worker runs the very pass that a thread would run, over a scan that skips all other files ([`unit`]), and hands over what
//! its sinks hold, as rows in the form in which sinks write to disk, with what the pass has learnt ([`reply`]). The program
//! puts that into sinks of its own ([`deal`]) and finishes them as if it had read the files itself.
//! **Invariants.**
//! - File ordinals, and so row identities, are those of the whole input, whoever reads.
//! - What a unit gives counts once and as a whole: a worker that dies has given nothing, and its unit is done again.
//! - Memory and disk are divided among the workers and the program before the pass begins.
//! - A pass that cannot be sent runs on threads, and the statistics say why.

mod deal;
mod order;
mod reply;
mod unit;

pub(super) use deal::collect;
pub use order::explain_processes;
pub(super) use order::order;

use super::options::{RunOptions, Scheduler};
use crate::error::{Error, Result};
use crate::parallel::process::check;
use crate::plan::sent::ReadExpr;
use std::sync::OnceLock;

/// How expressions are read, which the grammar knows.
static READ: OnceLock<ReadExpr> = OnceLock::new();

/// Says how expressions are read that go to worker processes. Until then there can be none.
pub(crate) fn read_expressions_by(read: ReadExpr) {
    READ.get_or_init(|| read);
}

fn reader() -> Result<ReadExpr> {
    READ.get().copied().ok_or_else(|| Error::internal("nobody has said how expressions are read"))
}

/// Whether worker processes can be had, if they are asked for.
///
/// # Errors
/// `Unsupported` with what is to be done.
pub(super) fn check_program(options: &RunOptions) -> Result<()> {
    match options.scheduler {
        Scheduler::Processes => check(unit::in_worker as fn(_) -> _ as usize),
        Scheduler::Threads | Scheduler::Synchronous => Ok(()),
    }
}
