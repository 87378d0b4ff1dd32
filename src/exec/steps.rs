//! A run: all questions, those with fits that take several passes among them.
//!
//! Fits are settled first, step after step; a step of all that are not settled shares a pass, and the first step one with the
//! questions that have no fits. Then what the fits came to is a table in memory, which the questions go on from.

use super::ledger::Ledger;
use super::options::{RunOptions, Warning};
use super::output::RowOutput;
use super::run::{Answer, Answered, run_once, tell};
use super::statistics::RunStatistics;
use crate::error::{Error, Result};
use crate::plan::{LogicalPlan, StepwiseGroups};
use crate::source::Source;
use crate::source::memory::MemorySource;
use arrow::array::AsArray;
use std::sync::Arc;

/// What a run returns.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// One answer a question, in the order asked.
    pub answers: Vec<Answer>,
    /// What the run did.
    pub statistics: RunStatistics,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Answers all questions; those over the same input share one pass.
///
/// # Errors
/// The `Name` and `Type` errors of any plan, before data are read; else the first error in input order.
pub fn run(plans: &[LogicalPlan], options: &RunOptions) -> Result<RunOutput> {
    run_into(plans, &[], options)
}

/// Like [`run`]; the rows of a question that has an output at its place in `outputs` go there in order, while the pass
/// runs where that can be, and its answer holds none. An output is complete when all is well, and not before.
///
/// # Errors
/// Those of [`run`], and those of the outputs.
pub fn run_into(plans: &[LogicalPlan], outputs: &[Option<&dyn RowOutput>], options: &RunOptions) -> Result<RunOutput> {
    let mut ledger = Ledger::new(plans, options)?;
    let output_of = |at: usize| outputs.get(at).copied().flatten();
    let mut waiting: Vec<Waiting> =
        plans.iter().map(|plan| Waiting { plan: plan.clone(), kept: None, answered: None }).collect();
    loop {
        let open: Vec<usize> = (0..waiting.len()).filter(|at| waiting[*at].answered.is_none()).collect();
        let plans: Vec<LogicalPlan> = open.iter().map(|at| waiting[*at].plan.clone()).collect();
        let groups = StepwiseGroups::of(&plans)?;
        let is_plain = |at: &usize| !groups.iter().any(|groups| contains(&waiting[*at].plan, groups));
        let plain: Vec<usize> = open.into_iter().filter(is_plain).collect();
        let firsts = groups.iter().map(StepwiseGroups::first).collect::<Result<Vec<_>>>()?;
        let together: Vec<LogicalPlan> =
            firsts.into_iter().chain(plain.iter().map(|at| waiting[*at].plan.clone())).collect();
        let own = vec![None; groups.len()].into_iter().chain(plain.iter().map(|at| output_of(*at)));
        let mut answered = run_once(&together, &own.collect::<Vec<_>>(), &mut ledger)?;
        for (at, answered) in plain.iter().zip(answered.split_off(groups.len())) {
            waiting[*at].answered = Some(answered);
        }
        if groups.is_empty() {
            break;
        }
        settle(&mut waiting, groups, answered, &mut ledger)?;
    }
    let mut answers = Vec::with_capacity(waiting.len());
    for Waiting { answered, kept, .. } in waiting {
        let answered = answered.ok_or_else(|| Error::internal("a question without an answer"))?;
        ledger.statistics.rows_kept.push(kept.unwrap_or(answered.kept));
        answers.push(answered.answer);
    }
    let (statistics, warnings) = ledger.close()?;
    Ok(RunOutput { answers, statistics, warnings })
}

/// A question.
struct Waiting {
    plan: LogicalPlan,
    /// The rows that its fits are of, if it is of nothing else.
    kept: Option<u64>,
    answered: Option<Answered>,
}

fn contains(plan: &LogicalPlan, groups: &StepwiseGroups) -> bool {
    let own = matches!(plan, LogicalPlan::Join(join) if contains(&join.right, groups));
    own || groups.is(plan) || plan.input().is_some_and(|input| contains(input, groups))
}

/// Groups whose fits are on their way.
struct Course {
    groups: StepwiseGroups,
    kept: u64,
    first: Arc<dyn Source>,
    last: Arc<dyn Source>,
    is_settled: bool,
}

fn source_of(answer: Answer) -> Arc<dyn Source> {
    Arc::new(MemorySource::of_rows(answer.schema, answer.rows))
}

/// Runs the steps behind the first, and puts what the fits came to in the place of their groups.
fn settle(
    waiting: &mut [Waiting],
    groups: Vec<StepwiseGroups>,
    firsts: Vec<Answered>,
    ledger: &mut Ledger<'_>,
) -> Result<()> {
    let mut courses = Vec::with_capacity(groups.len());
    for (groups, Answered { answer, kept }) in groups.into_iter().zip(firsts) {
        let is_settled = is_settled(&groups, &answer, ledger)?;
        let first = source_of(answer);
        courses.push(Course { groups, kept, last: Arc::clone(&first), first, is_settled });
    }
    loop {
        let going: Vec<usize> = (0..courses.len()).filter(|at| !courses[*at].is_settled).collect();
        if going.is_empty() {
            break;
        }
        let mut steps = Vec::with_capacity(going.len());
        for at in &going {
            let Course { groups, last, .. } = &courses[*at];
            steps.push(groups.over(ledger.widened(groups.plan())?).next(last)?);
        }
        for (at, Answered { answer, .. }) in going.into_iter().zip(run_once(&steps, &[], ledger)?) {
            courses[at].is_settled = is_settled(&courses[at].groups, &answer, ledger)?;
            courses[at].last = source_of(answer);
        }
    }
    for question in waiting.iter_mut().filter(|question| question.answered.is_none()) {
        let mut met = None;
        question.plan = question.plan.replaced(&mut |verb| {
            let Some(course) = courses.iter().find(|course| course.groups.is(verb)) else { return Ok(None) };
            let Course { groups, first, last, kept, .. } = course;
            met = Some(([first.key(), last.key()], *kept));
            groups.over(ledger.widened(groups.plan())?).settled(first, last).map(Some)
        })?;
        let below = question.plan.source().key();
        question.kept = met.filter(|(keys, _)| keys.contains(&below)).map(|(_, kept)| kept).or(question.kept);
    }
    Ok(())
}

/// Whether all fits of the answer to a step are settled; if so, what the user should know of them is told.
fn is_settled(groups: &StepwiseGroups, answer: &Answer, ledger: &mut Ledger<'_>) -> Result<bool> {
    let columns = StepwiseGroups::fit_columns(&answer.schema);
    let mut told: Vec<(usize, &'static str, usize)> = Vec::new();
    for batch in answer.rows.batches() {
        let batch = batch?;
        for ((fit, call), column) in groups.fits().iter().enumerate().zip(columns.clone()) {
            let Some(steps) = call.aggregate.in_steps() else { continue };
            let texts = batch.column(column).as_string_view();
            for text in texts.iter().flatten() {
                if !steps.is_settled(text) {
                    return Ok(false);
                }
                let Some(warning) = steps.warning(text) else { continue };
                match told.iter_mut().find(|(known, own, _)| *known == fit && *own == warning) {
                    Some((_, _, fits)) => *fits += 1,
                    None => told.push((fit, warning, 1)),
                }
            }
        }
    }
    let all = answer.rows.rows();
    for (fit, warning, count) in told {
        let among = if all > 1 { format!(" (in {count} of {all} groups)") } else { String::new() };
        let text = format!("{}: {warning}{among}", groups.fits()[fit]);
        tell(Warning(text), ledger.options, &mut ledger.warnings);
    }
    Ok(true)
}
