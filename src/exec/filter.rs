//! The filter that a scan applies for all stages of a pass: a row is kept when any stage wants it.

use crate::batch::coded;
use crate::expr::{BinaryOp, BoundExpr, ColumnTest};
use crate::plan::{Stage, Step};
use crate::source::{Condition, RowFilter, Test};
use arrow::array::{BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{and_kleene, or_kleene};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// OR over the stages of (AND over the filters with which the stage begins).
pub(super) struct AnyStage {
    /// Columns read by some filter, as indices into the columns of the pass.
    columns: Vec<usize>,
    /// The schema of the columns of the pass.
    schema: SchemaRef,
    stages: Vec<Vec<BoundExpr>>,
    /// For each stage, where its columns stand among those of the pass.
    maps: Vec<Vec<usize>>,
    /// For each stage, conditions that its rows fulfil.
    alternatives: Vec<Vec<Condition>>,
}

/// The filters with which a stage begins.
pub(super) fn leading_filters(stage: &Stage) -> impl Iterator<Item = &BoundExpr> {
    stage.steps.iter().map_while(|step| match step {
        Step::Filter(predicate) => Some(predicate),
        Step::Project(..) | Step::Map(..) | Step::Unnest(_) | Step::Join(..) => None,
    })
}

/// The filter for these stages; `None` when one of them wants every row. `maps[i]` tells where the columns of stage
/// `i` stand among the columns of the pass, whose schema is `schema`.
pub(super) fn any_stage(stages: &[Stage], maps: &[Vec<usize>], schema: SchemaRef) -> Option<Arc<dyn RowFilter>> {
    let filters: Vec<Vec<BoundExpr>> = stages.iter().map(|stage| for_scan(leading_filters(stage))).collect();
    if filters.iter().any(Vec::is_empty) {
        return None;
    }
    let read = filters.iter().zip(maps).flat_map(|(list, map)| {
        list.iter().flat_map(|predicate| predicate.columns().into_iter().map(|column| map[column]))
    });
    let mut columns: Vec<usize> = read.collect();
    columns.sort_unstable();
    columns.dedup();
    let alternatives = filters.iter().zip(maps).map(|(filters, map)| conditions(filters, map)).collect();
    Some(Arc::new(AnyStage { columns, schema, stages: filters, maps: maps.to_vec(), alternatives }))
}

/// What a scan can ask of these filters: a scan that asks does not know which row it is. Of a filter that has to know, the
/// other conditions, up to the first that may fail: there it would be asked of rows that it would not have been asked of.
fn for_scan<'a>(filters: impl Iterator<Item = &'a BoundExpr>) -> Vec<BoundExpr> {
    let mut asked = Vec::new();
    for filter in filters {
        if !filter.reads_identity() {
            asked.push(filter.clone());
            continue;
        }
        for conjunct in filter.conjuncts() {
            match (conjunct.reads_identity(), conjunct.can_fail()) {
                (_, true) => return asked,
                (true, false) => {}
                (false, false) => asked.push(conjunct.clone()),
            }
        }
    }
    asked
}

/// What the rows that pass these filters have in common. A row that is not looked at cannot end in an error, so only
/// the conditions count that are asked before any that may fail.
fn conditions(filters: &[BoundExpr], map: &[usize]) -> Vec<Condition> {
    let asked = filters.iter().flat_map(BoundExpr::conjuncts).take_while(|conjunct| !conjunct.can_fail());
    let condition = |conjunct: &BoundExpr| {
        let (column, test) = conjunct.column_test()?;
        let test = match test {
            ColumnTest::Compare(BinaryOp::Eq, literal) => Test::Eq(literal),
            ColumnTest::Compare(BinaryOp::Lt, literal) => Test::Lt(literal),
            ColumnTest::Compare(BinaryOp::LtEq, literal) => Test::LtEq(literal),
            ColumnTest::Compare(BinaryOp::Gt, literal) => Test::Gt(literal),
            ColumnTest::Compare(BinaryOp::GtEq, literal) => Test::GtEq(literal),
            ColumnTest::Compare(..) => return None,
            ColumnTest::OneOf(literals) => Test::OneOf(literals),
            ColumnTest::IsNull => Test::IsNull,
            ColumnTest::IsNotNull => Test::IsNotNull,
        };
        Some(Condition { column: *map.get(column)?, test })
    };
    asked.filter_map(condition).collect()
}

impl RowFilter for AnyStage {
    fn columns(&self) -> &[usize] {
        &self.columns
    }

    fn alternatives(&self) -> &[Vec<Condition>] {
        &self.alternatives
    }

    fn keep(&self, records: &RecordBatch) -> Option<BooleanArray> {
        // The predicates are bound to their stage's columns; those that no filter reads are never looked at.
        let rows = records.num_rows();
        let column = |at: &usize| match self.columns.binary_search(at) {
            Ok(known) => Arc::clone(records.column(known)),
            Err(_) => new_null_array(self.schema.field(*at).data_type(), rows),
        };
        let mut any: Option<BooleanArray> = None;
        for (filters, map) in self.stages.iter().zip(&self.maps) {
            let schema = Arc::new(self.schema.project(map).ok()?);
            let arrays = map.iter().map(column).collect();
            let view = coded::records(&schema, arrays, rows).ok()?;
            let mut all: Option<BooleanArray> = None;
            for predicate in filters {
                let mask = predicate.evaluate_mask(&view).ok()?;
                all = Some(match all {
                    None => mask,
                    Some(before) => and_kleene(&before, &mask).ok()?,
                });
            }
            any = Some(match (any, all?) {
                (None, mask) => mask,
                (Some(before), mask) => or_kleene(&before, &mask).ok()?,
            });
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Literal, col, lit};
    use arrow::datatypes::{DataType, Field, Schema};

    /// The conditions in `filters` over columns i (Int64) and t (text), which stand at 4 and 7 of the pass.
    fn of(filters: &[crate::expr::Expr]) -> Vec<(usize, Test)> {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Schema::new(vec![field("i", DataType::Int64), field("t", DataType::Utf8View)]);
        let bound: Vec<BoundExpr> = filters.iter().map(|filter| filter.bind_condition(&schema).unwrap()).collect();
        conditions(&bound, &[4, 7]).into_iter().map(|condition| (condition.column, condition.test)).collect()
    }

    #[test]
    fn comparisons_are_read_from_both_sides_and_through_and() {
        let filter = col("i").gt(lit(3)).and(lit("x").gt_eq(col("t")));
        let expected = [(4, Test::Gt(Literal::Int64(3))), (7, Test::LtEq(Literal::Utf8("x".into())))];
        assert_eq!(of(std::slice::from_ref(&filter)), expected);
        assert_eq!(of(&[col("i").gt(lit(3)), lit("x").gt_eq(col("t"))]), expected);
        assert_eq!(of(&[col("i").lt(lit(2.5))]), [(4, Test::Lt(Literal::Float64(2.5)))]);
        assert_eq!(of(&[col("t").is_null()]), [(7, Test::IsNull)]);
    }

    #[test]
    fn what_says_nothing_about_one_column_is_left_out() {
        assert_eq!(of(&[col("i").gt(lit(3)).or(col("t").eq(lit("x")))]), []);
        assert_eq!(of(&[col("i").not_eq(lit(3))]), []);
        assert_eq!(of(&[col("i").gt(col("i"))]), []);
    }

    #[test]
    fn nothing_counts_behind_a_condition_that_may_fail() {
        let may_fail = (lit(10) + col("i")).gt(lit(0));
        let sure = col("i").eq(lit(1));
        assert_eq!(of(&[sure.clone(), may_fail.clone(), col("t").is_null()]), [(4, Test::Eq(Literal::Int64(1)))]);
        assert_eq!(of(&[may_fail.and(sure)]), []);
    }
}
