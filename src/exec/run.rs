//! A run: the passes that answer a list of questions.

use super::misfits::Misfits;
use super::options::{RunOptions, Warning};
use super::pass::{PassEnd, Reading, StageEnd, StageToRun, run_pass};
use super::rejects::{self, PassRejects};
use super::sink::Materialised;
use super::statistics::RunStatistics;
use super::stream::Gate;
use crate::batch::RowId;
use crate::error::{Error, Result};
use crate::plan::{LogicalPlan, Stage, StageInput, lower};
use crate::source::Source;
use crate::source::memory::MemorySource;
use arrow::array::RecordBatch;
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
    pub batches: Vec<RecordBatch>,
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
struct Question {
    plan: LogicalPlan,
    /// The key of its source before any types were widened.
    input: String,
    /// The stages still to run, first to last.
    stages: Vec<Stage>,
    repeated: bool,
    recodings_told: bool,
    result: Option<Materialised>,
    kept: u64,
}

/// Answers all questions; those over the same input share one pass.
///
/// # Errors
/// The `Name` and `Type` errors of any plan, before data are read; else the first error in input order.
pub fn run(plans: &[LogicalPlan], options: &RunOptions) -> Result<RunOutput> {
    let start = Instant::now();
    let mut statistics = RunStatistics { threads: options.workers(), ..RunStatistics::default() };
    let mut warnings = Vec::new();
    let question = |plan: &LogicalPlan| {
        Ok(Question {
            plan: plan.clone(),
            input: plan.source().key(),
            stages: lower(plan)?,
            repeated: false,
            recodings_told: false,
            result: None,
            kept: 0,
        })
    };
    let mut questions = plans.iter().map(question).collect::<Result<Vec<_>>>()?;
    rejects::refuse_overwriting(options.rejects.as_deref(), plans.iter().map(LogicalPlan::source))?;
    tell_of_inputs(&questions, options, &mut warnings);
    let mut set_aside = Vec::new();
    while let Some(members) = next_pass(&questions) {
        set_aside.push(scan_pass(&mut questions, &members, options, &mut statistics, &mut warnings)?);
    }
    for question in &mut questions {
        finish(question, options, &mut statistics, &mut warnings)?;
    }
    rejects::finish(&set_aside, options, &mut statistics, &mut warnings)?;
    statistics.rows_kept = questions.iter().map(|question| question.kept).collect();
    statistics.seconds.wall = start.elapsed().as_secs_f64();
    let answer = |question: Question| {
        let result = question.result.ok_or_else(|| Error::internal("a question ended without an answer"))?;
        Ok(Answer { schema: result.schema, batches: result.batches })
    };
    Ok(RunOutput { answers: questions.into_iter().map(answer).collect::<Result<_>>()?, statistics, warnings })
}

/// Passes on what the sources have to say about their inputs, each source once.
fn tell_of_inputs(questions: &[Question], options: &RunOptions, warnings: &mut Vec<Warning>) {
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

/// The questions of the next pass over files: the first that has not been scanned, and all that share its source.
fn next_pass(questions: &[Question]) -> Option<Vec<usize>> {
    let waiting = |question: &Question| question.result.is_none();
    let key = questions.iter().find(|question| waiting(question))?.plan.source().key();
    let same = |(_, question): &(usize, &Question)| waiting(question) && question.plan.source().key() == key;
    Some(questions.iter().enumerate().filter(same).map(|(at, _)| at).collect())
}

fn scan_pass(
    questions: &mut [Question],
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
    let PassEnd { stages: ends, rejects, wants } = run_pass(&source, stages, options, statistics, warnings, None)?;
    if members.iter().any(|&at| questions[at].repeated) {
        statistics.passes_repeated += 1;
        statistics.bytes_reread += statistics.bytes_read - bytes_before;
    }
    let mut first_error: Option<(RowId, Error)> = None;
    for (&at, end) in members.iter().zip(ends) {
        let question = &mut questions[at];
        let failed = match end {
            StageEnd::Done(result, kept) => {
                question.result = Some(result);
                question.kept = kept;
                question.stages.remove(0);
                None
            }
            StageEnd::Again => {
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

/// Lowers a question again over wider types.
fn widen(
    question: &mut Question,
    misfits: &Misfits,
    options: &RunOptions,
    warnings: &mut Vec<Warning>,
) -> Result<(), (RowId, Error)> {
    let plan = misfits.widen(&question.plan)?;
    question.stages = lower(&plan).map_err(|error| (misfits.row(), error))?;
    question.plan = plan;
    question.repeated = true;
    misfits.warn(options, warnings);
    Ok(())
}

/// Runs the stages behind the first, each over the result of the one before.
fn finish(
    question: &mut Question,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    for mut stage in std::mem::take(&mut question.stages) {
        let Some(before) = question.result.take() else {
            return Err(Error::internal("a stage without an input"));
        };
        let columns = (0..before.schema.fields().len()).collect();
        let source: Arc<dyn Source> = Arc::new(MemorySource::new(before.schema, before.batches));
        stage.input = StageInput::Scan { source: Arc::clone(&source), columns };
        for end in run_pass(&source, vec![alone(stage)], options, statistics, warnings, None)?.stages {
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

/// Runs the only stage of a plan, its batches going through `gate`; tells what must be widened first, if anything.
pub(super) fn stream_only_stage(plan: &LogicalPlan, options: &RunOptions, gate: &Gate) -> Result<Option<Misfits>> {
    let source = Arc::clone(plan.source());
    let (mut statistics, mut warnings) = (RunStatistics::default(), Vec::new());
    for warning in source.warnings() {
        tell(Warning(warning), options, &mut warnings);
    }
    let stages = lower(plan)?.into_iter().map(alone).collect();
    rejects::refuse_overwriting(options.rejects.as_deref(), [&source].into_iter())?;
    let end = run_pass(&source, stages, options, &mut statistics, &mut warnings, Some(gate))?;
    for end in end.stages {
        match end {
            StageEnd::Done(..) | StageEnd::Again => {}
            StageEnd::Failed(_, error) => return Err(error),
            StageEnd::Widen(first, _) => return Ok(Some(Misfits { source, first })),
        }
    }
    let set_aside = PassRejects { input: source.key(), source, rejects: end.rejects, wants: end.wants };
    rejects::finish(&[set_aside], options, &mut statistics, &mut warnings)?;
    Ok(None)
}
