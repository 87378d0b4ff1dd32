//! Filters asked before a join instead of after it, where they are about left columns alone.

use super::{Join, JoinKind, LogicalPlan};
use crate::error::Result;
use crate::expr::Expr;
use std::sync::Arc;

/// The plan with filters as far down as they can be. A condition that may fail does not overtake those that are asked
/// before it, so that no row ends in an error which they would have turned away.
///
/// # Errors
/// The `Name` and `Type` errors of the plan.
pub(super) fn pushed(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let Some(input) = plan.input() else { return Ok(plan.clone()) };
    let input = Arc::new(pushed(input)?);
    let LogicalPlan::Filter { predicate, .. } = plan else { return Ok(plan.with_input(input)) };
    let LogicalPlan::Join(join) = &*input else { return Ok(plan.with_input(input)) };
    let (below, above) = split(join, predicate)?;
    let Some(below) = Expr::conjunction(below) else { return Ok(plan.with_input(input)) };
    let left = pushed(&LogicalPlan::Filter { input: Arc::clone(&join.left), predicate: below })?;
    let joined = LogicalPlan::Join(join.clone()).with_input(Arc::new(left));
    Ok(match Expr::conjunction(above) {
        None => joined,
        Some(predicate) => LogicalPlan::Filter { input: Arc::new(joined), predicate },
    })
}

/// The conditions that can be asked of left rows, and the others.
fn split(join: &Join, predicate: &Expr) -> Result<(Vec<Expr>, Vec<Expr>)> {
    // Right rows without a match have no left row to be asked of.
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        return Ok((Vec::new(), vec![predicate.clone()]));
    }
    let left = join.left.schema()?;
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for condition in predicate.conjuncts() {
        let of_left = condition.columns().iter().all(|name| left.index_of(name).is_ok());
        let moves = of_left && (above.is_empty() || !condition.bind_condition(&left)?.can_fail());
        (if moves { &mut below } else { &mut above }).push(condition.clone());
    }
    Ok((below, above))
}
