//! A run: the passes that answer a list of questions.

use super::misfits::Misfits;
use super::options::{RunOptions, Warning};
use super::output::{Gate, RowOutput, cannot_begin_again};
use super::pass::{PassEnd, Reading, StageEnd, StageToRun, run_pass};
use super::rejects::{self, PassRejects};
use super::sink::Materialised;
use super::statistics::RunStatistics;
use super::stream::flow;
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::StoredRows;
use crate::plan::{LogicalPlan, SinkSpec, Stage, StageInput, lower};
use crate::source::Source;
use crate::source::memory::MemorySource;
use arrow::datatypes::SchemaRef;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// The answer to one question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub rows: StoredRows,
}

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

/// A question on its way.
struct Question<'a> {
    plan: LogicalPlan,
    /// The key of its source before any types were widened.
    input: String,
    /// Where its rows go instead of into an answer.
    output: Option<&'a dyn RowOutput>,
    /// They have gone there.
    poured: bool,
    /// The stages still to run, first to last.
    stages: Vec<Stage>,
    repeated: bool,
    /// It shares no pass any more.
    alone: bool,
    recodings_told: bool,
    result: Option<Materialised>,
    kept: u64,
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
    let start = Instant::now();
    let spilled_before = options.spill.written_bytes();
    let mut statistics = RunStatistics { threads: options.workers(), ..RunStatistics::default() };
    let mut warnings = Vec::new();
    let question = |(at, plan): (usize, &LogicalPlan)| {
        Ok(Question {
            plan: plan.clone(),
            input: plan.source().key(),
            output: outputs.get(at).copied().flatten(),
            poured: false,
            stages: lower(plan)?,
            repeated: false,
            alone: false,
            recodings_told: false,
            result: None,
            kept: 0,
        })
    };
    let mut questions = plans.iter().enumerate().map(question).collect::<Result<Vec<_>>>()?;
    rejects::check_place(options.rejects.as_deref(), plans.iter().map(LogicalPlan::source))?;
    tell_of_inputs(&questions, options, &mut warnings);
    let mut set_aside = Vec::new();
    while let Some(members) = next_pass(&questions) {
        set_aside.push(scan_pass(&mut questions, &members, options, &mut statistics, &mut warnings)?);
    }
    for question in &mut questions {
        finish(question, options, &mut statistics, &mut warnings)?;
        pour(question, options, &mut statistics, &mut warnings)?;
    }
    rejects::finish(&set_aside, options, &mut statistics, &mut warnings)?;
    statistics.rows_kept = questions.iter().map(|question| question.kept).collect();
    statistics.bytes_spilled = options.spill.written_bytes() - spilled_before;
    statistics.seconds.wall = start.elapsed().as_secs_f64();
    let answer = |question: Question<'_>| {
        let result = question.result.ok_or_else(|| Error::internal("a question ended without an answer"))?;
        Ok(Answer { schema: result.schema, rows: result.rows })
    };
    Ok(RunOutput { answers: questions.into_iter().map(answer).collect::<Result<_>>()?, statistics, warnings })
}

/// Passes on what the sources have to say about their inputs, each source once.
fn tell_of_inputs(questions: &[Question<'_>], options: &RunOptions, warnings: &mut Vec<Warning>) {
    let mut told = HashSet::new();
    for question in questions {
        let source = question.plan.source();
        if told.insert(source.key()) {
            for warning in source.warnings() {
                tell(Warning(warning), options, warnings);
            }
        }
    }
}

/// Hands a warning to the caller's callback and keeps it for the result; each text once.
pub(super) fn tell(warning: Warning, options: &RunOptions, warnings: &mut Vec<Warning>) {
    if warnings.contains(&warning) {
        return;
    }
    if let Some(callback) = &options.on_warning {
        callback(&warning);
    }
    warnings.push(warning);
}

/// The questions of the next pass over files: the first that has not been scanned, and all that share its source, unless
/// it is to be alone.
fn next_pass(questions: &[Question<'_>]) -> Option<Vec<usize>> {
    let waiting = |question: &Question<'_>| question.result.is_none();
    let first = questions.iter().position(waiting)?;
    if questions[first].alone {
        return Some(vec![first]);
    }
    let key = questions[first].plan.source().key();
    let same = |(_, question): &(usize, &Question)| {
        waiting(question) && !question.alone && question.plan.source().key() == key
    };
    Some(questions.iter().enumerate().filter(same).map(|(at, _)| at).collect())
}

fn scan_pass(
    questions: &mut [Question<'_>],
    members: &[usize],
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<PassRejects> {
    let source = Arc::clone(questions[members[0]].plan.source());
    let input = questions[members[0]].input.clone();
    let first_stage = |&at: &usize| StageToRun {
        stage: questions[at].stages[0].clone(),
        recodings_told: questions[at].recodings_told,
    };
    let stages = members.iter().map(first_stage).collect();
    let bytes_before = statistics.bytes_read;
    let mut gates = members.iter().map(|&at| gate(&questions[at])).collect::<Result<Vec<_>>>()?;
    let PassEnd { stages: ends, rejects, wants } =
        run_pass(&source, stages, options, statistics, warnings, &mut gates)?;
    if members.iter().any(|&at| questions[at].repeated) {
        statistics.passes_repeated += 1;
        statistics.bytes_reread += statistics.bytes_read - bytes_before;
    }
    let mut first_error: Option<(RowId, Error)> = None;
    for (&at, end) in members.iter().zip(ends) {
        let question = &mut questions[at];
        let failed = match end {
            StageEnd::Done(result, kept) => {
                question.poured = question.output.is_some() && flow(&question.stages);
                question.result = Some(result);
                question.kept = kept;
                question.stages.remove(0);
                None
            }
            StageEnd::Again => {
                question.repeated = true;
                None
            }
            StageEnd::Failed(_, error)
                if members.len() > 1 && source.prunes() && is_of_input(&error) && can_begin_again(question) =>
            {
                // By itself, it may never read what it failed for.
                question.alone = true;
                question.repeated = true;
                None
            }
            StageEnd::Failed(row, error) => Some((row, error)),
            StageEnd::Widen(first, reading) => {
                question.recodings_told |= reading == Reading::Whole;
                widen(question, &Misfits { source: Arc::clone(&source), first }, options, warnings).err()
            }
        };
        if let Some((row, error)) = failed
            && first_error.as_ref().is_none_or(|(known, _)| row < *known)
        {
            first_error = Some((row, error));
        }
    }
    first_error.map_or(Ok(PassRejects { input, source, rejects, wants }), |(_, error)| Err(error))
}

/// Whether an error may be due to what a question reads, and not to what it does with it.
fn is_of_input(error: &Error) -> bool {
    use ErrorKind::{Limit, Malformed, Unsupported, Value};
    matches!(error.kind(), Malformed | Value | Limit | Unsupported)
}

fn can_begin_again(question: &Question<'_>) -> bool {
    question.output.is_none_or(RowOutput::can_begin_again)
}

/// Lowers a question again over wider types.
fn widen(
    question: &mut Question<'_>,
    misfits: &Misfits,
    options: &RunOptions,
    warnings: &mut Vec<Warning>,
) -> Result<(), (RowId, Error)> {
    if !can_begin_again(question) {
        return Err((misfits.row(), misfits.too_late()));
    }
    let plan = misfits.widen(&question.plan)?;
    question.stages = lower(&plan).map_err(|error| (misfits.row(), error))?;
    question.plan = plan;
    question.repeated = true;
    misfits.warn(options, warnings);
    Ok(())
}

/// Runs the stages behind the first, each over the result of the one before.
fn finish(
    question: &mut Question<'_>,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    for mut stage in std::mem::take(&mut question.stages) {
        let Some(before) = question.result.take() else {
            return Err(Error::internal("a stage without an input"));
        };
        let columns = (0..before.schema.fields().len()).collect();
        // A batch is a partition: short ones take little while they are evaluated, and there are some for everybody.
        let source: Arc<dyn Source> = Arc::new(MemorySource::of_rows(before.schema, before.rows.cut(STAGE_ROWS)));
        stage.input = StageInput::Scan { source: Arc::clone(&source), columns };
        for end in run_pass(&source, vec![alone(stage)], options, statistics, warnings, &mut [])?.stages {
            match end {
                StageEnd::Done(result, _) => question.result = Some(result),
                StageEnd::Failed(_, error) => return Err(error),
                StageEnd::Again | StageEnd::Widen(..) => return Err(Error::internal("a misfit in memory")),
            }
        }
    }
    Ok(())
}

fn alone(stage: Stage) -> StageToRun {
    StageToRun { stage, recodings_told: false }
}

/// The gate to the output of a question whose rows leave in input order.
fn gate<'a>(question: &Question<'a>) -> Result<Option<Gate<'a>>> {
    let Some(output) = question.output.filter(|_| flow(&question.stages)) else { return Ok(None) };
    if !output.can_begin_again() {
        return Err(cannot_begin_again());
    }
    output.begin(&question.stages[0].schema)?;
    Ok(Some(Gate::new(output)))
}

/// Rows of a partition of a result that is read by the next stage.
const STAGE_ROWS: usize = 1 << 16;

/// Rows handed to an output at once, of an answer that had to be whole first.
const POURED_ROWS: usize = 8192;

/// Hands an answer that had to be whole first to its output.
fn pour(
    question: &mut Question<'_>,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let Some(output) = question.output.filter(|_| !question.poured) else { return Ok(()) };
    let Some(whole) = question.result.take() else { return Err(Error::internal("an output without an answer")) };
    let schema = whole.schema;
    let source: Arc<dyn Source> = Arc::new(MemorySource::of_rows(Arc::clone(&schema), whole.rows.cut(POURED_ROWS)));
    let input = StageInput::Scan { source: Arc::clone(&source), columns: (0..schema.fields().len()).collect() };
    let sink = SinkSpec::Collect { limit: None };
    let stage = Stage { input, steps: Vec::new(), sink, schema: Arc::clone(&schema) };
    output.begin(&schema)?;
    let mut gates = [Some(Gate::new(output))];
    for end in run_pass(&source, vec![alone(stage)], options, statistics, warnings, &mut gates)?.stages {
        match end {
            StageEnd::Done(result, _) => question.result = Some(result),
            StageEnd::Failed(_, error) => return Err(error),
            StageEnd::Again | StageEnd::Widen(..) => return Err(Error::internal("a misfit in memory")),
        }
    }
    Ok(())
}
