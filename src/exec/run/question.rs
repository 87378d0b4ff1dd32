//! A question on its way through passes, and the right sides of joins that it waits for.

use crate::error::{Error, Result};
use crate::exec::join::{RightSide, TableRoom, decide};
use crate::exec::ledger::Ledger;
use crate::exec::options::RunOptions;
use crate::exec::output::RowOutput;
use crate::exec::sink::Materialised;
use crate::exec::stream::flow;
use crate::plan::{BuildUse, Builds, LogicalPlan, MOST_COPIES, Stage, lower};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// A question on its way: one that was asked, or the right side of a join.
pub(super) struct Question<'a> {
    pub(super) plan: LogicalPlan,
    /// The right sides of its joins that must be read before.
    pub(super) uses: Vec<BuildUse>,
    /// It is a right side.
    pub(super) is_build: bool,
    /// Its answer has been handed on.
    pub(super) kept_as_right: bool,
    /// All that its first stage needs has been read, and that stage is known.
    pub(super) ready: bool,
    /// The columns of its source that its pass has read, or reads; `None` before.
    pub(super) read: Option<Vec<usize>>,
    /// So many of its stages, as the plan has them, have been decided; those behind wait for right sides.
    pub(super) decided: usize,
    /// No stage is still to be decided.
    pub(super) whole: bool,
    /// The right sides that the first stage needs.
    pub(super) first_uses: usize,
    /// The key of its source before any types were widened.
    pub(super) input: String,
    /// Where its rows go instead of into an answer.
    pub(super) output: Option<&'a dyn RowOutput>,
    /// They have gone there.
    pub(super) poured: bool,
    /// The stages still to run, first to last.
    pub(super) stages: Vec<Stage>,
    pub(super) repeated: bool,
    /// What its pass takes, and how many rows may be made of one there.
    pub(super) pass_bytes: usize,
    pub(super) most_copies: usize,
    /// It shares no pass any more.
    pub(super) alone: bool,
    pub(super) recodings_told: bool,
    pub(super) result: Option<Materialised>,
    pub(super) kept: u64,
}

impl<'a> Question<'a> {
    pub(super) fn new(
        plan: LogicalPlan,
        uses: &[BuildUse],
        is_build: bool,
        output: Option<&'a dyn RowOutput>,
        ledger: &Ledger<'_>,
    ) -> Result<Self> {
        let first_uses = if uses.is_empty() { 0 } else { lower(&plan)?.first().map_or(0, Stage::joins) };
        Ok(Question {
            input: ledger.input_of(plan.source()),
            plan,
            uses: uses.to_vec(),
            is_build,
            kept_as_right: false,
            ready: false,
            read: None,
            decided: 0,
            whole: false,
            first_uses,
            output,
            poured: false,
            stages: Vec::new(),
            repeated: false,
            pass_bytes: 0,
            most_copies: MOST_COPIES,
            alone: false,
            recodings_told: false,
            result: None,
            kept: 0,
        })
    }

    /// The right sides that must have been read before it is.
    pub(super) fn needs(&self) -> &[BuildUse] {
        &self.uses[..self.first_uses]
    }

    /// Whether it reads this column of its source, as far as is known.
    pub(super) fn may_read(&self, column: usize) -> bool {
        self.read.as_ref().is_none_or(|read| read.contains(&column))
    }

    /// Nothing of it has been read.
    pub(super) fn begin_again(&mut self) {
        (self.result, self.kept_as_right, self.poured, self.kept) = (None, false, false, 0);
        (self.ready, self.whole, self.decided) = (false, false, 0);
        self.stages.clear();
    }

    /// Its stages behind the first wait for right sides again.
    pub(super) fn wait_again(&mut self) {
        let first = usize::from(self.result.is_none());
        self.stages.truncate(first);
        (self.whole, self.decided) = (false, self.decided.min(1));
    }

    /// Its stages from the first, as far as what they need has been read.
    pub(super) fn lower(&mut self, rights: &mut Rights, options: &RunOptions) -> Result<()> {
        (self.stages, self.decided) = (Vec::new(), 0);
        self.decide(None, rights, options)
    }

    /// The stages that waited for right sides, once all of these have been read.
    pub(super) fn decide_rest(&mut self, rights: &mut Rights, options: &RunOptions) -> Result<()> {
        let waits = self.ready && !self.whole && self.uses.iter().all(|used| rights.has(used.build));
        let before = self.stages.last().map(|stage| Arc::clone(&stage.schema));
        let before = before.or_else(|| self.result.as_ref().map(|result| Arc::clone(&result.schema)));
        match before.filter(|_| waits) {
            None => Ok(()),
            before => self.decide(before, rights, options),
        }
    }

    /// Decides further stages; `before` are the columns that come to them.
    pub(super) fn decide(
        &mut self,
        before: Option<SchemaRef>,
        rights: &mut Rights,
        options: &RunOptions,
    ) -> Result<()> {
        self.plan = self.plan.with_builds(&rights.builds, &self.uses, &|at| rights.schema(at))?;
        let stages = lower(&self.plan)?;
        let all = stages.len();
        let mut joins = 0;
        let known = |stage: &&Stage| {
            joins += stage.joins();
            self.uses[..joins].iter().all(|used| rights.has(used.build))
        };
        let until = stages.iter().take_while(known).count();
        let (from, until) = (std::mem::replace(&mut self.decided, until), until);
        self.whole = until == all;
        let next = stages.into_iter().take(until).skip(from).collect();
        let numbers: Vec<usize> = self.uses.iter().map(|used| used.build).collect();
        rights.room.least_free_bytes = self.pass_bytes;
        rights.room.most_copies = self.most_copies;
        let spill = options.spill.until(&options.cancel);
        let (sides, room) = (&mut rights.sides, &mut rights.room);
        self.stages.extend(decide(next, before, sides, &numbers, room, &spill, &options.cancel)?);
        Ok(())
    }

    /// Whether its rows leave in input order as they come.
    pub(super) fn flows(&self) -> bool {
        self.whole && flow(&self.stages)
    }
}

/// The right sides of joins.
pub(super) struct Rights {
    pub(super) builds: Builds,
    /// By number; those that have been read.
    pub(super) sides: Vec<Option<RightSide>>,
    pub(super) room: TableRoom,
}

impl Rights {
    /// Keeps the answer of a right side.
    pub(super) fn keep(&mut self, number: usize, question: &mut Question<'_>) -> Result<()> {
        let result = question.result.take().ok_or_else(|| Error::internal("a right side without rows"))?;
        question.kept_as_right = true;
        self.sides.resize_with(self.builds.builds.len(), || None);
        self.sides[number] = Some(RightSide::new(result));
        Ok(())
    }

    /// A right side that is to be read again.
    pub(super) fn forget(&mut self, number: usize) {
        if let Some(side) = self.sides.get_mut(number) {
            *side = None;
        }
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.sides.get(number).is_some_and(Option::is_some)
    }

    /// The columns of one that has been read.
    pub(super) fn schema(&self, number: usize) -> Option<SchemaRef> {
        self.sides.get(number)?.as_ref().map(|side| Arc::clone(side.schema()))
    }
}
