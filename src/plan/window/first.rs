//! Windows of which only the first rows of each partition are asked for, as in `qualify row_number() over (…) <= 3`.

use super::{Window, WindowFunction};
use crate::expr::{BinaryOp, Expr, Literal};

/// The first rows of each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstRows {
    /// How many.
    pub rows: usize,
    /// And the peers of the last of them.
    pub ties: bool,
}

impl FirstRows {
    /// Those that a condition on the rows of windows lets through at most, where the values of the last window, which alone may
    /// go without the others, are the same without them.
    pub(in crate::plan) fn asked_for(windows: &[Window], condition: &Expr) -> Option<Self> {
        let window = windows.last().filter(|last| last.calls.iter().all(|(call, _)| looks_back(&call.function)))?;
        let asked = condition.conjuncts().into_iter().filter_map(|conjunct| {
            let (name, rows) = most(conjunct)?;
            let (call, _) = window.calls.iter().find(|(_, column)| column == name)?;
            match call.function {
                WindowFunction::RowNumber => Some(FirstRows { rows, ties: false }),
                // Of several windows, rows are sorted by their places too, and then no two are alike.
                WindowFunction::Rank if windows.len() == 1 => Some(FirstRows { rows, ties: true }),
                _ => None,
            }
        });
        asked.min_by_key(|first| (first.rows, first.ties))
    }

    /// Whether a row is among them: its number in its partition, and that of the first of its peers, both from 0.
    pub(crate) fn has(self, number: usize, of_peers: usize) -> bool {
        self.rows > if self.ties { of_peers } else { number }
    }
}

/// Whether a function sees nothing of the rows behind a row and its peers, and cannot fail.
fn looks_back(function: &WindowFunction) -> bool {
    use WindowFunction::{DenseRank, Rank, RowNumber, Shift};
    matches!(function, RowNumber | Rank | DenseRank) || matches!(function, Shift(by) if *by <= 0)
}

/// The column that a condition wants to be no more than a number of rows.
fn most(condition: &Expr) -> Option<(&str, usize)> {
    if let Expr::InList { expr, list } = condition {
        let Expr::Column(name) = expr.unaliased() else { return None };
        let most = list.iter().map(|item| number(item).map(f64::floor)).collect::<Option<Vec<_>>>()?;
        return Some((name, whole(most.into_iter().fold(0.0, f64::max))));
    }
    let Expr::Binary { left, op, right } = condition else { return None };
    let (column, op, bound) = match (left.unaliased(), right.unaliased()) {
        (Expr::Column(name), bound) => (name, *op, number(bound)?),
        (bound, Expr::Column(name)) => (name, op.mirrored(), number(bound)?),
        _ => return None,
    };
    match op {
        BinaryOp::LtEq | BinaryOp::Eq => Some((column, whole(bound.floor()))),
        BinaryOp::Lt => Some((column, whole(bound.ceil() - 1.0))),
        _ => None,
    }
}

/// A number that a double has exactly, or one next to it: rows are fewer.
fn number(expr: &Expr) -> Option<f64> {
    match expr.unaliased() {
        Expr::Literal(Literal::Int64(number)) => Some(*number as f64),
        Expr::Literal(Literal::Float64(number)) if !number.is_nan() => Some(*number),
        _ => None,
    }
}

/// As rows; no fewer than none.
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, WindowCall};
    use super::*;
    use crate::sql::parse_expr;

    fn window(functions: &[(WindowFunction, &str)]) -> Window {
        let call = |function: &WindowFunction| WindowCall {
            function: function.clone(),
            args: Vec::new(),
            frame: Frame::WHOLE,
            ignore_nulls: false,
        };
        let calls = functions.iter().map(|(function, name)| (call(function), (*name).to_owned())).collect();
        Window { partition: Vec::new(), order: Vec::new(), calls }
    }

    fn asked(windows: &[Window], condition: &str) -> Option<(usize, bool)> {
        FirstRows::asked_for(windows, &parse_expr(condition).unwrap()).map(|first| (first.rows, first.ties))
    }

    #[test]
    fn conditions_say_how_many_rows_of_a_partition_are_asked_for() {
        use WindowFunction::{DenseRank, Rank, RowNumber, Shift};
        let all = [window(&[(RowNumber, "n"), (Rank, "r"), (DenseRank, "d"), (Shift(-1), "l")])];
        for (condition, expected) in [
            ("n <= 3", Some((3, false))),
            ("n < 3", Some((2, false))),
            ("n < 2.5", Some((2, false))),
            ("n <= 2.5", Some((2, false))),
            ("n = 1", Some((1, false))),
            ("3 > n", Some((2, false))),
            ("3 >= n and x > 0", Some((3, false))),
            ("n between 2 and 4", Some((4, false))),
            ("n in (2, 5, 1)", Some((5, false))),
            ("n <= 0", Some((0, false))),
            ("n <= -7", Some((0, false))),
            ("r <= 2", Some((2, true))),
            ("r <= 2 and n <= 5", Some((2, true))),
            ("r <= 2 and n <= 2", Some((2, false))),
            ("n > 3", None),
            ("n <> 3", None),
            ("n <= 3 or x > 0", None),
            ("n + 1 <= 3", None),
            ("n <= x", None),
            ("d <= 3", None),
            ("l <= 3", None),
            ("x <= 3", None),
        ] {
            assert_eq!(asked(&all, condition), expected, "{condition}");
        }
    }

    #[test]
    fn rows_that_others_see_stay() {
        use WindowFunction::{CumeDist, Ntile, PercentRank, Rank, RowNumber, Shift};
        for other in [Ntile(2), PercentRank, CumeDist, Shift(1)] {
            assert_eq!(asked(&[window(&[(RowNumber, "n"), (other, "o")])], "n <= 3"), None);
        }
        let two = [window(&[(RowNumber, "m")]), window(&[(RowNumber, "n"), (Rank, "r")])];
        assert_eq!(asked(&two, "m <= 3"), None);
        assert_eq!(asked(&two, "r <= 3"), None);
        assert_eq!(asked(&two, "n <= 3"), Some((3, false)));
    }
}
