//! Filters asked before a join instead of after it, where they are about left columns alone, and before columns are chosen, so
//! that a scan knows of them; and columns that are chosen of columns that were chosen.

use super::{Join, JoinKind, LogicalPlan};
use crate::error::Result;
use crate::expr::{AggregateCall, Expr};
use std::sync::Arc;

/// The plan with filters as far down as they can be. A condition that may fail does not overtake those that are asked
/// before it, so that no row ends in an error which they would have turned away.
///
/// # Errors
/// The `Name` and `Type` errors of the plan.
pub(super) fn pushed(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let Some(input) = plan.input() else { return Ok(plan.clone()) };
    let input = Arc::new(pushed(input)?);
    if let LogicalPlan::Project { input: below, columns } = &*input
        && let Some(merged) = merged(plan, columns, below)?
    {
        return Ok(merged);
    }
    let LogicalPlan::Filter { predicate, .. } = plan else { return Ok(plan.with_input(input)) };
    if let LogicalPlan::Project { input: below, columns } = &*input {
        return Ok(match before_choice(predicate, columns, below)? {
            None => plan.with_input(input),
            Some(predicate) => {
                let filtered = pushed(&LogicalPlan::Filter { input: Arc::clone(below), predicate })?;
                LogicalPlan::Project { input: Arc::new(filtered), columns: columns.clone() }
            }
        });
    }
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

/// Columns or groups over the table of which columns are chosen, if they use only some that merely get another name: what nobody
/// uses need be neither read nor computed.
fn merged(verb: &LogicalPlan, chosen: &[Expr], below: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let mut is_plain = true;
    let mut of_below = |expr: &Expr| {
        expr.replace(&mut |part| {
            let Expr::Column(name) = part else { return Ok(None) };
            let column = chosen.iter().find(|column| *column.output_name() == **name).map(Expr::unaliased);
            is_plain &= matches!(column, Some(Expr::Column(_)));
            Ok(column.cloned())
        })
    };
    let mut named = |expr: &Expr| -> Result<Expr> {
        let replaced = of_below(expr.unaliased())?;
        Ok(if replaced.output_name() == expr.output_name() { replaced } else { replaced.alias(expr.output_name()) })
    };
    let input = Arc::clone(below);
    let merged = match verb {
        LogicalPlan::Project { columns, .. } => {
            let columns = columns.iter().map(named).collect::<Result<_>>()?;
            LogicalPlan::Project { input, columns }
        }
        LogicalPlan::Aggregate { keys, aggregates, .. } => {
            let keys = keys.iter().map(&mut named).collect::<Result<_>>()?;
            let mut calls = Vec::with_capacity(aggregates.len());
            for (call, name) in aggregates {
                let args = call.args.iter().map(|arg| Ok(named(arg)?.unaliased().clone())).collect::<Result<_>>()?;
                calls.push((AggregateCall { aggregate: Arc::clone(&call.aggregate), args }, name.clone()));
            }
            LogicalPlan::Aggregate { input, keys, aggregates: calls }
        }
        _ => return Ok(None),
    };
    Ok(is_plain.then_some(merged))
}

/// The condition over the table of which columns are chosen: if it is about columns that merely get another name, and the
/// others cannot fail for a row that it turns away.
fn before_choice(predicate: &Expr, columns: &[Expr], below: &LogicalPlan) -> Result<Option<Expr>> {
    let schema = below.schema()?;
    for column in columns.iter().filter(|column| !matches!(column.unaliased(), Expr::Column(_))) {
        if column.bind(&schema)?.can_fail() {
            return Ok(None);
        }
    }
    let mut is_plain = !predicate.is_of_row();
    let renamed = predicate.replace(&mut |part| {
        let Expr::Column(name) = part else { return Ok(None) };
        let chosen = columns.iter().find(|column| *column.output_name() == **name).map(Expr::unaliased);
        is_plain &= matches!(chosen, Some(Expr::Column(_)));
        Ok(chosen.cloned())
    })?;
    Ok(is_plain.then_some(renamed))
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
        // A left join turns no row away; the others might turn away the row in question.
        let in_order = above.is_empty() && join.kind == JoinKind::Left;
        // Which row it is, is not the same before the join.
        let moves = of_left && !condition.is_of_row() && (in_order || !condition.bind_condition(&left)?.can_fail());
        (if moves { &mut below } else { &mut above }).push(condition.clone());
    }
    Ok((below, above))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{col, lit};
    use crate::source::Source;
    use crate::source::memory::MemorySource;
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn conditions_pass_columns_that_get_other_names_unless_others_may_fail() {
        let chosen = |columns: Vec<Expr>, predicate: Expr| {
            let input = Arc::new(LogicalPlan::Project { input: table("a"), columns });
            match pushed(&LogicalPlan::Filter { input, predicate }).unwrap() {
                LogicalPlan::Project { input, .. } => match &*input {
                    LogicalPlan::Filter { predicate, .. } => predicate.to_string(),
                    other => panic!("{other:?}"),
                },
                LogicalPlan::Filter { .. } => "above".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(chosen(vec![col("k").alias("a"), col("a").alias("b")], col("a").gt(lit(1))), "k > 1");
        assert_eq!(
            chosen(
                vec![col("k"), (col("a").cast(crate::types::ColumnType::Float64) / lit(2)).alias("h")],
                col("k").lt(col("k"))
            ),
            "k < k"
        );
        assert_eq!(
            chosen(vec![col("k"), (col("a") + col("a")).alias("sum")], col("k").gt(lit(1))),
            "above",
            "it may overflow"
        );
        assert_eq!(chosen(vec![col("k").is_null().alias("n")], col("n")), "above", "computed");
    }

    fn table(name: &str) -> Arc<LogicalPlan> {
        let field = |name: String| Field::new(name, DataType::Int64, true);
        let schema = Schema::new(vec![field("k".into()), field(name.into())]);
        let source: Arc<dyn Source> = Arc::new(MemorySource::new(Arc::new(schema), Vec::new()));
        Arc::new(LogicalPlan::Scan(source))
    }

    /// The filters above the joins and below them, from the top down.
    fn filters(kind: JoinKind, predicate: Expr) -> (Vec<String>, Vec<String>) {
        let on = || vec![(col("k"), col("k"))];
        let inner = Arc::new(LogicalPlan::Join(Join::new(table("a"), table("b"), on(), JoinKind::Inner)));
        let joined = Arc::new(LogicalPlan::Join(Join::new(inner, table("c"), on(), kind)));
        let plan = pushed(&LogicalPlan::Filter { input: joined, predicate }).unwrap();
        let (mut above, mut below, mut joins) = (Vec::new(), Vec::new(), 0);
        let mut verb = Some(&plan);
        while let Some(plan) = verb {
            match plan {
                LogicalPlan::Filter { predicate, .. } => {
                    (if joins == 0 { &mut above } else { &mut below }).push(format!("{joins}: {predicate}"));
                }
                LogicalPlan::Join(_) => joins += 1,
                _ => {}
            }
            verb = plan.input().map(Arc::as_ref);
        }
        (above, below)
    }

    #[test]
    fn conditions_go_below_the_joins_that_they_do_not_need() {
        let all = col("a").gt(lit(1)).and(col("b").gt(lit(2))).and(col("c").gt(lit(3)));
        let expected = (vec!["0: c > 3".to_owned()], vec!["1: b > 2".to_owned(), "2: a > 1".to_owned()]);
        assert_eq!(filters(JoinKind::Left, all.clone()), expected);
        assert_eq!(filters(JoinKind::Full, all.clone()), (vec![format!("0: {all}")], vec![]));
    }

    #[test]
    fn what_may_fail_does_not_overtake_what_was_asked_before() {
        let may_fail = (lit(10) + col("a")).gt(lit(0));
        let sure = col("a").gt(lit(1));
        let late = col("c").gt(lit(3)).and(may_fail.clone()).and(sure.clone());
        let expected = (vec![format!("0: c > 3 and {may_fail}")], vec!["2: a > 1".to_owned()]);
        assert_eq!(filters(JoinKind::Inner, late), expected);
        let both = may_fail.clone().and(sure);
        // Past the left join, not past the inner one below it.
        let below = vec![format!("1: {may_fail}"), "2: a > 1".to_owned()];
        assert_eq!(filters(JoinKind::Left, both.clone()), (vec![], below));
        for kind in [JoinKind::Inner, JoinKind::Semi, JoinKind::Anti] {
            let expected = (vec![format!("0: {may_fail}")], vec!["2: a > 1".to_owned()]);
            assert_eq!(filters(kind, both.clone()), expected, "an error of a row that the join drops");
        }
    }
}
