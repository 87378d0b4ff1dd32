//! What the steps of a run have in common: counters, warnings, what was set aside, and which types were widened.

use super::options::{RunOptions, Warning};
use super::processes;
use super::rejects::{self, PassRejects};
use super::statistics::RunStatistics;
use crate::error::Result;
use crate::plan::{LogicalPlan, lower};
use crate::source::Source;
use std::sync::Arc;
use std::time::Instant;

/// A run under way.
pub(super) struct Ledger<'a> {
    pub(super) options: &'a RunOptions,
    pub(super) statistics: RunStatistics,
    pub(super) warnings: Vec<Warning>,
    pub(super) set_aside: Vec<PassRejects>,
    /// Sources that were found to need wider types: the key before, and the source since.
    widened: Vec<(String, Arc<dyn Source>)>,
    start: Instant,
    spilled_before: u64,
}

impl<'a> Ledger<'a> {
    /// Of a run that begins now, over the inputs of these plans.
    pub(super) fn new(plans: &[LogicalPlan], options: &'a RunOptions) -> Result<Self> {
        for plan in plans {
            // Wrong names and types are told before anything is read.
            lower(plan)?;
        }
        processes::check_program(options)?;
        rejects::check_place(options.rejects.as_deref(), plans.iter().flat_map(LogicalPlan::sources))?;
        Ok(Ledger {
            options,
            statistics: RunStatistics { threads: options.workers(), ..RunStatistics::default() },
            warnings: Vec::new(),
            set_aside: Vec::new(),
            widened: Vec::new(),
            start: Instant::now(),
            spilled_before: options.spill.written_bytes(),
        })
    }

    /// The plan over sources with the types that they are known to need.
    pub(super) fn widened(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if self.widened.is_empty() {
            return Ok(plan.clone());
        }
        plan.replaced(&mut |verb| {
            let LogicalPlan::Scan(source) = verb else { return Ok(None) };
            let key = source.key();
            let known = self.widened.iter().find(|(narrow, _)| *narrow == key);
            Ok(known.map(|(_, source)| LogicalPlan::Scan(Arc::clone(source))))
        })
    }

    /// The key of a source before any types were widened.
    pub(super) fn input_of(&self, source: &Arc<dyn Source>) -> String {
        let key = source.key();
        let known = self.widened.iter().find(|(_, wide)| wide.key() == key);
        known.map_or(key, |(narrow, _)| narrow.clone())
    }

    /// Notes the source that a question ended with, if it is another than that with the key `input`.
    pub(super) fn note_source(&mut self, input: &str, source: &Arc<dyn Source>) {
        if source.key() != input {
            self.widened.retain(|(narrow, _)| narrow != input);
            self.widened.push((input.to_owned(), Arc::clone(source)));
        }
    }

    /// The end of the run.
    pub(super) fn close(mut self) -> Result<(RunStatistics, Vec<Warning>)> {
        rejects::finish(&self.set_aside, self.options, &mut self.statistics, &mut self.warnings)?;
        self.statistics.bytes_spilled += self.options.spill.written_bytes() - self.spilled_before;
        self.statistics.seconds.wall = self.start.elapsed().as_secs_f64();
        Ok((self.statistics, self.warnings))
    }
}
