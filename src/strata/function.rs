//! Strata given to a function of the user's, on the threads of the run.

use super::options::StrataOptions;
use super::output::Outcome;
use super::run::{StrataAnswer, StrataQuestion, Task, Work, answer};
use super::stratum::Stratum;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::RunOptions;
use arrow::array::RecordBatch;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A function of strata.
pub type StratumFunction<'a> = dyn Fn(&Stratum) -> Result<RecordBatch> + Sync + 'a;

struct Function<'a>(&'a StratumFunction<'a>);

impl Work for Function<'_> {
    fn call(&self, task: &Task<'_>) -> Result<Outcome> {
        let stratum = Stratum::new(task.keys.clone(), task.schema, &task.segment.map()?)?;
        // Whatever the function says is about its stratum.
        let failed = |error: Error| match error.hint_text() {
            Some(hint) => Error::new(ErrorKind::Task, error.message()).hint(hint),
            None => Error::new(ErrorKind::Task, error.message()),
        };
        match catch_unwind(AssertUnwindSafe(|| (self.0)(&stratum))) {
            Ok(result) => Outcome::returned(&result.map_err(failed)?).map_err(failed),
            Err(panic) => Err(Error::new(ErrorKind::Task, format!("the function panicked: {}", said(&*panic)))),
        }
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

/// Gives each stratum to a function.
///
/// # Errors
/// As [`answer`].
pub fn map(
    question: &StrataQuestion,
    function: &StratumFunction<'_>,
    how: &StrataOptions,
    options: &RunOptions,
) -> Result<StrataAnswer> {
    answer(question, &Function(function), how, options)
}
