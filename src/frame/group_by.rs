//! Groups of a described table.

use super::lazy::{IntoExprs, LazyFrame};
use crate::expr::Expr;
use crate::plan::AggregateSelect;

/// A described table and the keys it is grouped by.
#[derive(Clone, Debug)]
pub struct GroupBy {
    frame: LazyFrame,
    keys: Vec<Expr>,
}

impl GroupBy {
    pub(super) fn new(frame: LazyFrame, keys: Vec<Expr>) -> Self {
        GroupBy { frame, keys }
    }

    /// The table and the keys.
    pub(super) fn parts(&self) -> (LazyFrame, Vec<Expr>) {
        (self.frame.clone(), self.keys.clone())
    }

    /// One row a group: the keys, then these aggregates and expressions over them. Rows ascend by key; nulls last.
    #[must_use]
    pub fn agg(&self, aggregates: impl IntoExprs) -> LazyFrame {
        self.frame.aggregate_select(AggregateSelect {
            keys: self.keys.clone(),
            select: aggregates.into_exprs(),
            having: None,
            sort: Vec::new(),
            limit: None,
        })
    }
}
