//! Running plans: passes over inputs, on worker threads of their own.
//!
//! **Problem.** Many questions, one reading; many workers, one answer.
//! **Idea.** [`run`] takes the first stage of every question, puts those over the same input into one pass, and then
//! runs the stages that read their results. In a pass every worker repeats: read a partition, evaluate it for every
//! stage, commit it, and absorb what the commit made certain into sinks of its own; at the end the sinks are joined.
//! **Invariants.**
//! - One loop (`worker.rs`) drives every pass, on threads, on the caller's thread, or in worker processes, each of which runs
//!   it over some of the files (`processes/`).
//! - Evaluation happens before the commit, so its errors are provisional too; what is reported is the first error in
//!   input order, whoever met it first.
//! - A question's answer does not depend on which questions run beside it: it sees its own mask, its own misfits.
//! - A value that does not fit an inferred type makes only the questions that read it run again, over a wider type.

mod allotment;
mod filter;
mod floor;
mod join;
mod last;
mod ledger;
mod misfits;
mod options;
mod outcome;
mod output;
mod parallel;
mod pass;
mod pressure;
mod processes;
mod rejects;
mod run;
mod runs;
mod sink;
mod statistics;
mod steps;
mod stream;
mod work;
mod worker;

pub use last::{LastRows, last_rows};
pub use options::{Progress, ProgressCallback, RunOptions, Scheduler, Timeline, Warning, WarningCallback};
pub use output::{Prepared, RowOutput, WriteNeeds};
pub use processes::explain_processes;
pub(crate) use processes::read_expressions_by;
pub use run::Answer;
pub use sink::Materialised;
pub use statistics::{InputStatistics, RunStatistics, StageSeconds};
pub use steps::{RunOutput, run, run_into};
pub use stream::{BatchStream, flows_through, stream};
