//! Rows of two frames that belong together.

use super::lazy::{IntoExpr, LazyFrame};
use crate::expr::{Expr, col};
use crate::plan::{Join, JoinKind, LogicalPlan};
use std::sync::Arc;

/// What must be equal: a column that both frames have, or a pair, one of each frame.
pub trait JoinKey {
    /// The expression over the left frame, and that over the right one.
    fn into_pair(self) -> (Expr, Expr);
}

impl JoinKey for &str {
    fn into_pair(self) -> (Expr, Expr) {
        (col(self), col(self))
    }
}

impl JoinKey for String {
    fn into_pair(self) -> (Expr, Expr) {
        (col(self.as_str()), col(self.as_str()))
    }
}

impl JoinKey for Expr {
    fn into_pair(self) -> (Expr, Expr) {
        (self.clone(), self)
    }
}

impl<A: IntoExpr, B: IntoExpr> JoinKey for (A, B) {
    fn into_pair(self) -> (Expr, Expr) {
        (self.0.into_expr(), self.1.into_expr())
    }
}

/// One key or several, all of which must be equal.
pub trait IntoJoinKeys {
    /// The pairs, in order.
    fn into_pairs(self) -> Vec<(Expr, Expr)>;
}

impl<T: JoinKey> IntoJoinKeys for T {
    fn into_pairs(self) -> Vec<(Expr, Expr)> {
        vec![self.into_pair()]
    }
}

impl<T: JoinKey, const N: usize> IntoJoinKeys for [T; N] {
    fn into_pairs(self) -> Vec<(Expr, Expr)> {
        self.into_iter().map(JoinKey::into_pair).collect()
    }
}

impl<T: JoinKey> IntoJoinKeys for Vec<T> {
    fn into_pairs(self) -> Vec<(Expr, Expr)> {
        self.into_iter().map(JoinKey::into_pair).collect()
    }
}

impl LazyFrame {
    /// Rows of this frame with those of `right` that have equal keys. The right frame is read to its end first; if it is
    /// small, this one stays in the pass that it shares with other questions.
    ///
    /// The columns are those of this frame and then those of `right`, a key of one name on both sides only once, other
    /// columns of a name that this frame has with `_right` behind it. Rows keep the order of this frame, matches of one row
    /// that of `right`, and right rows without a match come last. Null equals nothing, NaN equals NaN, and numbers are equal
    /// whatever their types.
    ///
    /// ```
    /// use outcrop::frame::JoinKind;
    /// use outcrop::{col, scan_csv};
    ///
    /// let air = scan_csv("testdata/airline/1987.csv.bz2")?;
    /// let carriers = scan_csv("testdata/airline/carriers.csv")?;
    /// let named = air.join(&carriers, ("UniqueCarrier", "Code"), JoinKind::Left);
    /// let delays = named.group_by("Description").agg([col("ArrDelay").mean()]).collect()?;
    /// assert_eq!(delays.rows(), 14);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn join(&self, right: &LazyFrame, on: impl IntoJoinKeys, kind: JoinKind) -> Self {
        let on = on.into_pairs();
        self.then(|left| Ok(LogicalPlan::Join(Join::new(left, Arc::clone(right.plan()?), on, kind))))
    }

    /// As [`LazyFrame::join`], of those pairs only of which `condition` is true: over the columns of both frames, under the names
    /// that they have in an inner join. A row without such a pair is without a match. There may be no keys; then every pair of
    /// rows is looked at.
    ///
    /// ```
    /// use outcrop::frame::JoinKind;
    /// use outcrop::{col, sql::Session};
    ///
    /// let session = Session::new();
    /// let sales = session.sql("select * from (values ('a', 1), ('a', 9), ('b', 5)) v (item, day)")?;
    /// let prices = session.sql("select * from (values ('a', 1, 4, 10), ('a', 5, 9, 12)) v (item, since, until, price)")?;
    /// let valid = col("day").between(col("since"), col("until"));
    /// let priced = sales.join_where(&prices, "item", valid, JoinKind::Left).select(["item", "day", "price"]).collect()?;
    /// assert_eq!(priced.rows(), 3);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn join_where(&self, right: &LazyFrame, on: impl IntoJoinKeys, condition: Expr, kind: JoinKind) -> Self {
        let on = on.into_pairs();
        self.then(|left| {
            let join = Join::new(left, Arc::clone(right.plan()?), on, kind);
            Ok(LogicalPlan::Join(join.of_pairs_with(condition)))
        })
    }

    /// Every row of this frame with every row of `right`.
    #[must_use]
    pub fn cross_join(&self, right: &LazyFrame) -> Self {
        self.join(right, Vec::<Expr>::new(), JoinKind::Cross)
    }
}
