//! The passes that answer a list of questions.

mod question;
mod wider;

use super::floor::{self, Asked, Floor, Planned};
use super::join::TableRoom;
use super::ledger::Ledger;
use super::misfits::Misfits;
use super::options::{RunOptions, Warning};
use super::output::{Gate, RowOutput, cannot_begin_again};
use super::pass::{PassEnd, Reading, StageEnd, StageToRun, run_pass};
use super::rejects::PassRejects;
use super::sink::Materialised;
use super::statistics::RunStatistics;
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Part, StoredRows};
use crate::plan::{Builds, LogicalPlan, SinkSpec, Stage, StageInput, lower, next_together};
use crate::source::Source;
use crate::source::memory::MemorySource;
use arrow::datatypes::SchemaRef;
use std::collections::HashSet;
use std::sync::Arc;

use question::{Question, Rights};

/// The answer to one question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub rows: StoredRows,
}

/// An answer, and the rows that reached the first sink of its question.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) kept: u64,
}

/// Answers questions without fits, which those over the same input do in one pass; the rows of those that have an output at their
/// place go there, as [`run_into`](super::run_into) has it.
pub(super) fn run_once(
    plans: &[LogicalPlan],
    outputs: &[Option<&dyn RowOutput>],
    ledger: &mut Ledger<'_>,
) -> Result<Vec<Answered>> {
    let options = ledger.options;
    let plans = plans.iter().map(|plan| ledger.widened(plan)).collect::<Result<Vec<_>>>()?;
    let builds = Builds::of(&plans)?;
    let mut questions = Vec::with_capacity(builds.builds.len() + plans.len());
    for build in &builds.builds {
        questions.push(Question::new(build.plan()?, &build.uses, true, None, ledger)?);
    }
    for (at, plan) in plans.iter().enumerate() {
        let output = outputs.get(at).copied().flatten();
        questions.push(Question::new(plan.clone(), &builds.uses[at], false, output, ledger)?);
    }
    let mut rights = Rights { builds, sides: Vec::new(), room: TableRoom::new(&options.budget) };
    tell_of_inputs(&questions, options, &mut ledger.warnings);
    let floor = plan_memory(&mut questions, options).beside(options.budget.held_bytes());
    let least = &mut ledger.statistics.least_memory_bytes;
    *least = (*least).max(floor.bytes() as u64);
    floor.check(&options.budget)?;
    make_ready(&mut questions, &mut rights, options)?;
    while let Some(members) = next_pass(&questions) {
        let Ledger { statistics, warnings, set_aside, .. } = ledger;
        set_aside.push(scan_pass(&mut questions, &members, &mut rights, options, statistics, warnings)?);
        // Those of nested joins stand before the ones that they are in.
        for at in 0..rights.builds.builds.len() {
            questions[at].decide_rest(&mut rights, options)?;
            if questions[at].whole && questions[at].result.is_some() {
                finish(&mut questions, at, options, statistics, warnings)?;
                rights.keep(at, &mut questions[at])?;
            }
        }
        make_ready(&mut questions, &mut rights, options)?;
    }
    questions.iter_mut().try_for_each(|question| question.decide_rest(&mut rights, options))?;
    questions.iter().for_each(|question| ledger.note_source(&question.input, question.plan.source()));
    questions.retain(|question| !question.is_build);
    // Stages have what they need of the right sides: nothing else holds it any more.
    rights.sides.clear();
    let Ledger { statistics, warnings, .. } = ledger;
    for at in 0..questions.len() {
        finish(&mut questions, at, options, statistics, warnings)?;
    }
    // No stage is left, so neither is a table.
    drop(rights);
    for at in 0..questions.len() {
        pour(&mut questions, at, options, statistics, warnings)?;
    }
    let answer = |question: Question<'_>| {
        let result = question.result.ok_or_else(|| Error::internal("a question ended without an answer"))?;
        Ok(Answered { answer: Answer { schema: result.schema, rows: result.rows }, kept: question.kept })
    };
    questions.into_iter().map(answer).collect()
}

/// What the passes of a run take, at least: in turn, as they will run.
fn plan_memory(questions: &mut [Question<'_>], options: &RunOptions) -> Floor {
    let keys: Vec<String> = questions.iter().map(|question| question.plan.source().key()).collect();
    let mut done = vec![false; questions.len()];
    let mut floor = Floor::default();
    loop {
        let ready = |at: usize| !done[at] && questions[at].needs().iter().all(|used| done[used.build]);
        let members = next_together(&keys, &ready, &|at| !done[at]);
        if members.is_empty() {
            return floor;
        }
        floor = floor.or(plan_pass(questions, &members, options));
        members.into_iter().for_each(|at| done[at] = true);
    }
}

/// What the pass of these questions takes, and what comes behind it. What cannot be planned is told of when it runs.
fn plan_pass(questions: &mut [Question<'_>], members: &[usize], options: &RunOptions) -> Floor {
    let lowered = members.iter().map(|&at| lower(&questions[at].plan)).collect::<Result<Vec<_>>>();
    let planned = lowered.and_then(|lowered| {
        let mut asked = Vec::with_capacity(lowered.len());
        for (&at, stages) in members.iter().zip(&lowered) {
            let Question { output, uses, .. } = &questions[at];
            asked.push(Asked { stages, output: *output, joins: !uses.is_empty() });
        }
        floor::of_pass(questions[members[0]].plan.source(), &asked, options)
    });
    let Ok(Planned { floor, pass_bytes, most_copies }) = planned else { return Floor::default() };
    for &at in members {
        (questions[at].pass_bytes, questions[at].most_copies) = (pass_bytes, most_copies);
    }
    floor
}

/// Puts what questions hold on disk, where so many bytes are not free otherwise.
fn make_room(
    questions: &mut [Question<'_>],
    rights: Option<&mut Rights>,
    bytes: usize,
    options: &RunOptions,
) -> Result<()> {
    if options.budget.free_bytes() >= bytes {
        return Ok(());
    }
    let spill = options.spill.until(&options.cancel);
    for result in questions.iter_mut().filter_map(|question| question.result.as_mut()) {
        result.rows = std::mem::take(&mut result.rows).on_disk(&spill)?;
    }
    let sides = rights.into_iter().flat_map(|rights| rights.sides.iter_mut().flatten());
    sides.into_iter().try_for_each(|side| side.put_on_disk(&spill))
}

/// Finds the stages of questions whose first stage has its right sides.
fn make_ready(questions: &mut [Question<'_>], rights: &mut Rights, options: &RunOptions) -> Result<()> {
    for question in questions.iter_mut().filter(|question| !question.ready) {
        if question.needs().iter().all(|used| rights.has(used.build)) {
            question.lower(rights, options)?;
            question.ready = true;
        }
    }
    Ok(())
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

/// The questions of the next pass over files: one that has not been scanned, and all that share its source, unless it is
/// to be alone.
fn next_pass(questions: &[Question<'_>]) -> Option<Vec<usize>> {
    let waiting = |at: usize| questions[at].result.is_none() && !questions[at].kept_as_right;
    let key = |(at, question): (usize, &Question<'_>)| {
        let key = question.plan.source().key();
        if question.alone { format!("{at} alone over {key}") } else { key }
    };
    let keys: Vec<String> = questions.iter().enumerate().map(key).collect();
    let ready = |at: usize| questions[at].ready && waiting(at);
    Some(next_together(&keys, &ready, &waiting)).filter(|members| !members.is_empty())
}

fn scan_pass(
    questions: &mut [Question<'_>],
    members: &[usize],
    rights: &mut Rights,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<PassRejects> {
    let source = Arc::clone(questions[members[0]].plan.source());
    let input = questions[members[0]].input.clone();
    if members.iter().any(|&at| questions[at].repeated) {
        // Over wider types it may take more.
        let floor = plan_pass(questions, members, options);
        statistics.least_memory_bytes = statistics.least_memory_bytes.max(floor.bytes() as u64);
        floor.check(&options.budget)?;
    }
    make_room(questions, Some(rights), questions[members[0]].pass_bytes, options)?;
    for &at in members {
        questions[at].read = Some(wider::columns_read(&questions[at]));
    }
    let first_stage = |&at: &usize| StageToRun {
        stage: questions[at].stages[0].clone(),
        recodings_told: questions[at].recodings_told,
    };
    let stages = members.iter().map(first_stage).collect();
    let plans: Vec<&LogicalPlan> = members.iter().map(|&at| &questions[at].plan).collect();
    let (read_before, reread_before) = (statistics.bytes_read, statistics.bytes_reread);
    let mut gates = members.iter().map(|&at| gate(&questions[at])).collect::<Result<Vec<_>>>()?;
    let PassEnd { stages: ends, rejects, wants } =
        run_pass(&source, stages, &plans, options, statistics, warnings, &mut gates)?;
    drop(plans);
    if members.iter().any(|&at| questions[at].repeated) {
        statistics.passes_repeated += 1;
        statistics.bytes_reread = reread_before + (statistics.bytes_read - read_before);
    }
    let mut misfits = Vec::new();
    let mut first_error: Option<(RowId, Error)> = None;
    for (&at, end) in members.iter().zip(ends) {
        let question = &mut questions[at];
        let failed = match end {
            StageEnd::Done(result, kept) => {
                question.poured = question.output.is_some() && question.flows();
                let done = question.stages.remove(0);
                question.result = Some(without_first(result, done.skip)?);
                question.kept = kept;
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
            StageEnd::Failed(row, error) if question.is_build => Some((row, of_right_side(error))),
            StageEnd::Failed(row, error) => Some((row, error)),
            StageEnd::Widen(first, reading) => {
                question.recodings_told |= reading == Reading::Whole;
                misfits.push((at, first));
                None
            }
        };
        if let Some((row, error)) = failed
            && first_error.as_ref().is_none_or(|(known, _)| row < *known)
        {
            first_error = Some((row, error));
        }
    }
    let of_misfits = wider::widen(questions, members, misfits, &source, rights, options, warnings);
    let first_error = [first_error, of_misfits].into_iter().flatten().min_by_key(|(row, _)| *row);
    first_error.map_or(Ok(PassRejects { input, source, rejects, wants }), |(_, error)| Err(error))
}

/// Options of the call are about its own files; those of a table that is joined are given another way.
fn of_right_side(error: Error) -> Error {
    match (error.hint_text(), error.place().file.as_deref()) {
        (Some(hint), Some(file)) if hint.contains("--malformed") => {
            let name = file.rsplit('/').next().unwrap_or(file);
            let hint =
                format!("{hint}; of a table that is joined, --file-options '{name}: malformed=skip' (or pad) does");
            error.hint(hint)
        }
        _ => error,
    }
}

/// Whether an error may be due to what a question reads, and not to what it does with it.
fn is_of_input(error: &Error) -> bool {
    use ErrorKind::{Limit, Malformed, Unsupported, Value};
    matches!(error.kind(), Malformed | Value | Limit | Unsupported)
}

fn can_begin_again(question: &Question<'_>) -> bool {
    question.output.is_none_or(RowOutput::can_begin_again)
}

/// Runs the stages of a question behind the first, each over the result of the one before.
fn finish(
    questions: &mut [Question<'_>],
    at: usize,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    while !questions[at].stages.is_empty() {
        let question = &mut questions[at];
        let mut gates = [gate(question)?];
        let mut stage = question.stages.remove(0);
        let Some(before) = question.result.take() else {
            return Err(Error::internal("a stage without an input"));
        };
        let columns = (0..before.schema.fields().len()).collect();
        question.poured = gates[0].is_some();
        // A batch is a partition: short ones take little while they are evaluated, and there are some for everybody.
        let rows = before.rows.cut(if gates[0].is_some() { POURED_ROWS } else { STAGE_ROWS });
        let rows =
            with_room(questions, rows, Some(&stage), gates[0].as_ref().map(|gate| (gate, &stage.schema)), options)?;
        let source: Arc<dyn Source> = Arc::new(MemorySource::of_rows(before.schema, rows));
        stage.input = StageInput::Scan { source: Arc::clone(&source), columns };
        let skip = stage.skip;
        for end in run_pass(&source, vec![alone(stage)], &[], options, statistics, warnings, &mut gates)?.stages {
            match end {
                StageEnd::Done(result, _) => questions[at].result = Some(without_first(result, skip)?),
                StageEnd::Failed(_, error) => return Err(error),
                StageEnd::Again | StageEnd::Widen(..) => return Err(Error::internal("a misfit in memory")),
            }
        }
    }
    Ok(())
}

/// A result but for its first rows.
fn without_first(result: Materialised, rows: usize) -> Result<Materialised> {
    let Materialised { schema, rows: all } = result;
    Ok(Materialised { schema, rows: all.without_first(rows)? })
}

fn alone(stage: Stage) -> StageToRun {
    StageToRun { stage, recodings_told: false }
}

/// The gate to the output of a question whose rows leave in input order.
fn gate<'a>(question: &Question<'a>) -> Result<Option<Gate<'a>>> {
    let Some(output) = question.output.filter(|_| question.flows()) else { return Ok(None) };
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

/// Rows that a pass is to read, which takes memory beside them: they, and what other questions hold, are on disk where there
/// is too little of it.
fn with_room(
    questions: &mut [Question<'_>],
    rows: StoredRows,
    stage: Option<&Stage>,
    gate: Option<(&Gate<'_>, &SchemaRef)>,
    options: &RunOptions,
) -> Result<StoredRows> {
    let writing = |(gate, schema): (&Gate<'_>, &SchemaRef)| {
        gate.output().needs(schema, rows.parts().iter().map(Part::rows_bytes).sum()).bytes
    };
    let bytes = floor::of_result(&rows, stage, gate.map_or(0, writing));
    make_room(questions, None, bytes, options)?;
    if options.budget.free_bytes() >= bytes { Ok(rows) } else { rows.on_disk(&options.spill.until(&options.cancel)) }
}

/// Hands an answer that had to be whole first to its output.
fn pour(
    questions: &mut [Question<'_>],
    at: usize,
    options: &RunOptions,
    statistics: &mut RunStatistics,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let question = &mut questions[at];
    let Some(output) = question.output.filter(|_| !question.poured) else { return Ok(()) };
    let Some(whole) = question.result.take() else { return Err(Error::internal("an output without an answer")) };
    let schema = whole.schema;
    output.begin(&schema)?;
    let gate = Gate::new(output);
    let rows = with_room(questions, whole.rows.cut(POURED_ROWS), None, Some((&gate, &schema)), options)?;
    let source: Arc<dyn Source> = Arc::new(MemorySource::of_rows(Arc::clone(&schema), rows));
    let input = StageInput::Scan { source: Arc::clone(&source), columns: (0..schema.fields().len()).collect() };
    let sink = SinkSpec::Collect { limit: None };
    let stage = Stage { input, steps: Vec::new(), sink, skip: 0, schema: Arc::clone(&schema) };
    let mut gates = [Some(gate)];
    for end in run_pass(&source, vec![alone(stage)], &[], options, statistics, warnings, &mut gates)?.stages {
        match end {
            StageEnd::Done(result, _) => questions[at].result = Some(result),
            StageEnd::Failed(_, error) => return Err(error),
            StageEnd::Again | StageEnd::Widen(..) => return Err(Error::internal("a misfit in memory")),
        }
    }
    Ok(())
}
