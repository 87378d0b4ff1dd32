//! The side of the worker: reading the files of a unit.

use super::order::Told;
use super::reader;
use super::reply::{Outbox, Sent};
use crate::error::{Error, Result};
use crate::exec::options::{RunOptions, Scheduler};
use crate::exec::outcome::PassOutcome;
use crate::exec::pass::{Collected, Pass, StageToRun};
use crate::exec::statistics::StageSeconds;
use crate::memory::{Budget, Spill};
use crate::parallel::Message;
use crate::parallel::process::{Payload, Reply};
use crate::plan::{lower, sent};
use crate::source::{CancelToken, Source, recipe};
use std::ops::Range;
use std::sync::Arc;

/// The first byte of an answer.
pub(super) const DONE: u8 = 0;
const FAILED: u8 = 1;

/// What a worker does with a unit. An error of the pass is an answer too: it is not the worker that has failed.
pub(super) fn in_worker(payload: Payload) -> Result<Reply> {
    let (start, end) = <(u32, u32)>::receive(&mut payload.bytes.as_slice())?;
    let order = payload.data.ok_or_else(|| Error::internal("a unit of no pass"))?;
    let (answer, file) = match read(&order, &(start..end)) {
        Ok(Sent { meta: mut bytes, inline, file }) => {
            bytes.extend(inline);
            (bytes, file)
        }
        Err(error) => {
            let mut bytes = vec![FAILED];
            error.send(&mut bytes)?;
            (bytes, None)
        }
    };
    Ok(Reply { bytes: answer, file })
}

fn read(mut order: &[u8], files: &Range<u32>) -> Result<Sent> {
    let read = reader()?;
    let told = Told::receive(&mut order)?;
    let source = recipe::open(&mut order, files)?;
    let stage = |(plan, recodings_told): (&Vec<u8>, &bool)| {
        let plan = sent::receive(&mut plan.as_slice(), &source, read)?;
        let stage = lower(&plan)?.into_iter().next().ok_or_else(|| Error::internal("a question without a stage"))?;
        Ok(StageToRun { stage, recodings_told: *recodings_told })
    };
    let stages = told.plans.iter().zip(&told.recodings_told).map(stage).collect::<Result<Vec<_>>>()?;
    let options = options(&told);
    let mut pass = Pass::new(&source, stages, &options, told.number)?;
    pass.request.skip = Some(others(&source, files));
    let mut outcome = PassOutcome::new(&pass.stages);
    outcome.begin_with(files.start);
    let mut seconds = StageSeconds::default();
    let collected = pass.on_threads(outcome, &mut [], &mut seconds)?;
    hand_over(collected, &seconds, &options)
}

/// By ordinal, the files that are not of the unit.
fn others(source: &Arc<dyn Source>, files: &Range<u32>) -> Arc<[bool]> {
    (0..source.files().len() as u32).map(|file| !files.contains(&file)).collect()
}

fn options(told: &Told) -> RunOptions {
    let budget = if told.share_bytes == usize::MAX { Budget::unlimited() } else { Budget::new(told.share_bytes) };
    RunOptions {
        threads: 1,
        scheduler: Scheduler::Synchronous,
        piece_bytes: told.piece_bytes,
        batch_bytes: told.batch_bytes,
        cancel: CancelToken::new(),
        rejects: None,
        budget,
        spill: Spill::new(told.spill_directory.clone(), told.spill_bytes),
        on_warning: None,
        on_progress: None,
        timeline: None,
    }
}

fn hand_over(collected: Collected, seconds: &StageSeconds, options: &RunOptions) -> Result<Sent> {
    let Collected { sinks, outcome, rejects, warnings, partitions, records, bytes_read, .. } = collected;
    let mut outbox = Outbox::new(options);
    for (at, sink) in sinks.into_iter().enumerate() {
        // What is to be read again is not wanted.
        if !outcome.stages[at].is_stale() {
            sink.export(&mut |part, records| outbox.put(at as u32, part, &records))?;
        }
    }
    let (inline, file) = outbox.close()?;
    let mut meta = vec![DONE];
    let mut held = options.budget.reservation("what is handed over");
    let warnings: Vec<String> = warnings.into_iter().map(|warning| warning.0).collect();
    (partitions, records, bytes_read, options.spill.written_bytes()).send(&mut meta)?;
    let StageSeconds { decompress, parse, evaluate, commit, absorb, finish, .. } = *seconds;
    vec![decompress, parse, evaluate, commit, absorb, finish].send(&mut meta)?;
    warnings.send(&mut meta)?;
    outcome.send(&mut meta)?;
    rejects.send(&mut meta, &mut held)?;
    Ok(Sent { meta, inline, file })
}
