//! Groups with fits that take several passes: the question of each pass, and what the answers come to.
//!
//! The first pass computes all other aggregates beside the first step of each fit. Its result has a row a group, with a text
//! for each fit; as a right table it comes beside the rows of the next pass, of which it has the same groups.

use super::builds::same;
use super::over_groups::{beside, key_name};
use super::{BatchFunction, LogicalPlan};
use crate::aggregate::InSteps;
use crate::error::{Error, Result};
use crate::expr::{AggregateCall, Expr, col};
use crate::source::Source;
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::SchemaRef;
use std::ops::Range;
use std::sync::Arc;

/// An aggregation some of whose aggregates are computed in steps.
#[derive(Clone, Debug)]
pub(crate) struct StepwiseGroups {
    /// The verb.
    plan: LogicalPlan,
    /// One call of each fit; others tell of the same.
    fits: Vec<AggregateCall>,
}

/// The parts of the verb.
struct Parts<'a> {
    input: &'a Arc<LogicalPlan>,
    keys: &'a [Expr],
    aggregates: &'a [(AggregateCall, String)],
}

fn steps_of(call: &AggregateCall) -> Option<&dyn InSteps> {
    call.aggregate.in_steps()
}

fn step(call: &AggregateCall, before: Option<Expr>) -> Option<AggregateCall> {
    let aggregate = steps_of(call)?.step(before.is_none());
    Some(AggregateCall { aggregate, args: call.args.iter().cloned().chain(before).collect() })
}

fn fit_name(at: usize) -> String {
    format!("(fit {at})")
}

impl StepwiseGroups {
    /// The aggregations of these plans that have fits and stand on no other that has; each once.
    pub(crate) fn of(plans: &[LogicalPlan]) -> Result<Vec<Self>> {
        let mut found: Vec<StepwiseGroups> = Vec::new();
        for plan in plans {
            plan.replaced(&mut |verb| {
                if let Some(own) = StepwiseGroups::new(verb)
                    && !found.iter().any(|known| same(&known.plan, verb))
                {
                    found.push(own);
                }
                Ok(None)
            })?;
        }
        Ok(found)
    }

    fn new(verb: &LogicalPlan) -> Option<Self> {
        let LogicalPlan::Aggregate { input, aggregates, .. } = verb else { return None };
        let mut fits: Vec<AggregateCall> = Vec::new();
        for (call, _) in aggregates {
            if let Some(own) = step(call, None)
                && !fits.iter().any(|known| step(known, None).as_ref() == Some(&own))
            {
                fits.push(call.clone());
            }
        }
        (!fits.is_empty() && !has_fits(input)).then(|| StepwiseGroups { plan: verb.clone(), fits })
    }

    fn parts(&self) -> Result<Parts<'_>> {
        match &self.plan {
            LogicalPlan::Aggregate { input, keys, aggregates } => Ok(Parts { input, keys, aggregates }),
            _ => Err(Error::internal("groups that are none")),
        }
    }

    /// The verb.
    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The same groups of another plan, which differs in its sources.
    pub(crate) fn over(&self, plan: LogicalPlan) -> Self {
        StepwiseGroups { plan, fits: self.fits.clone() }
    }

    /// The fits.
    pub(crate) fn fits(&self) -> &[AggregateCall] {
        &self.fits
    }

    /// The columns of the fits in what [`StepwiseGroups::first`] and [`StepwiseGroups::next`] give.
    pub(crate) fn fit_columns(schema: &SchemaRef) -> Range<usize> {
        let is_fit = |at: &usize| schema.field(*at).name().starts_with("(fit ");
        let first = (0..schema.fields().len()).rev().take_while(is_fit).count();
        schema.fields().len() - first..schema.fields().len()
    }

    /// The question of the first pass: keys, other aggregates, and fits.
    pub(crate) fn first(&self) -> Result<LogicalPlan> {
        let Parts { input, keys, aggregates } = self.parts()?;
        let others = aggregates.iter().filter(|(call, _)| steps_of(call).is_none()).cloned();
        let steps = self.fits.iter().enumerate().filter_map(|(at, call)| Some((step(call, None)?, fit_name(at))));
        let (input, keys) = (Arc::clone(input), keys.to_vec());
        Ok(LogicalPlan::Aggregate { input, keys, aggregates: others.chain(steps).collect() })
    }

    /// The question of a further pass, when the one before gave `groups`: keys and fits.
    pub(crate) fn next(&self, groups: &Arc<dyn Source>) -> Result<LogicalPlan> {
        let Parts { input, keys, .. } = self.parts()?;
        let input = Arc::new(LogicalPlan::Join(beside(Arc::clone(input), keys, self.table(groups)?)?));
        let before = |at: usize| Some(col(fit_name(at)));
        let steps = self.fits.iter().enumerate().filter_map(|(at, call)| Some((step(call, before(at))?, fit_name(at))));
        Ok(LogicalPlan::Aggregate { input, keys: keys.to_vec(), aggregates: steps.collect() })
    }

    /// Keys and fits as a right table.
    fn table(&self, groups: &Arc<dyn Source>) -> Result<Arc<LogicalPlan>> {
        let Parts { keys, .. } = self.parts()?;
        let keys = keys.iter().enumerate().map(|(at, key)| col(key.output_name()).alias(key_name(at)));
        let columns = keys.chain((0..self.fits.len()).map(|at| col(fit_name(at)))).collect();
        Ok(Arc::new(LogicalPlan::Project { input: Arc::new(LogicalPlan::Scan(Arc::clone(groups))), columns }))
    }

    /// What stands for the verb when the first pass gave `first`, and the last `last`, in which all fits are settled.
    pub(crate) fn settled(&self, first: &Arc<dyn Source>, last: &Arc<dyn Source>) -> Result<LogicalPlan> {
        let Parts { keys, aggregates, .. } = self.parts()?;
        let schema = self.plan.schema()?;
        let own_keys: Vec<Expr> = keys.iter().map(|key| col(key.output_name())).collect();
        let others: Vec<&(AggregateCall, String)> =
            aggregates.iter().filter(|(call, _)| steps_of(call).is_none()).collect();
        let mut input = Arc::new(LogicalPlan::Scan(Arc::clone(last)));
        if !others.is_empty() {
            let columns = own_keys.iter().cloned().chain(others.iter().map(|(_, name)| col(name.as_str()))).collect();
            let without = Arc::new(LogicalPlan::Scan(Arc::clone(first)));
            let without = Arc::new(LogicalPlan::Project { input: without, columns });
            input = Arc::new(LogicalPlan::Join(beside(without, &own_keys, self.table(last)?)?));
        }
        let columns: Vec<Expr> = own_keys
            .into_iter()
            .chain(others.iter().map(|(_, name)| col(name.as_str())))
            .chain((0..self.fits.len()).map(|at| col(fit_name(at))))
            .collect();
        let input = Arc::new(LogicalPlan::Project { input, columns });
        // Of each aggregate, the column of the input, and how it is told if it is a fit.
        let mut next_other = keys.len();
        let mut told: Vec<(usize, Option<AggregateCall>)> = (0..keys.len()).map(|at| (at, None)).collect();
        for (call, _) in aggregates {
            let own = step(call, None);
            let fit = self.fits.iter().position(|fit| own.is_some() && step(fit, None) == own);
            told.push(match fit {
                Some(fit) => (keys.len() + others.len() + fit, Some(call.clone())),
                None => (next_other, None),
            });
            next_other += usize::from(fit.is_none());
        }
        let columns = Arc::clone(&schema);
        let function = move |batch: RecordBatch| tell(&batch, &told, &columns);
        Ok(LogicalPlan::Map { input, function: BatchFunction(Arc::new(function)), schema })
    }

    /// Whether the verb of `plan` is this one.
    pub(crate) fn is(&self, plan: &LogicalPlan) -> bool {
        same(&self.plan, plan)
    }
}

fn has_fits(plan: &LogicalPlan) -> bool {
    let own = match plan {
        LogicalPlan::Aggregate { aggregates, .. } => aggregates.iter().any(|(call, _)| steps_of(call).is_some()),
        LogicalPlan::Join(join) => has_fits(&join.right),
        _ => false,
    };
    own || plan.input().is_some_and(|input| has_fits(input))
}

/// Columns of a batch, those of fits as they are told.
fn tell(batch: &RecordBatch, told: &[(usize, Option<AggregateCall>)], schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |(at, call): &(usize, Option<AggregateCall>)| -> Result<ArrayRef> {
        let column = batch.column(*at);
        let Some(steps) = call.as_ref().and_then(steps_of) else { return Ok(Arc::clone(column)) };
        let fits = column.as_any().downcast_ref::<StringViewArray>();
        steps.told(fits.ok_or_else(|| Error::internal("fits that are no texts"))?)
    };
    Ok(RecordBatch::try_new(Arc::clone(schema), told.iter().map(column).collect::<Result<_>>()?)?)
}
