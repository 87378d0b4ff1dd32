//! Clauses of other dialects in a query block: done where that can mean one thing only, else refused with what to write.

use super::query::{Cut, Ending, Lowering};
use crate::error::Result;
use sqlparser::ast::{self, Spanned};

impl Lowering<'_> {
    /// Refuses clauses that only others have.
    pub(super) fn refuse_clauses(&self, select: &ast::Select) -> Result<()> {
        let refused = [
            (
                select.into.is_some(),
                "into",
                "`create temp view NAME as select …` names a query, and `copy` writes its rows",
            ),
            (!select.lateral_views.is_empty(), "lateral view", "lists are shown and written as they are"),
            (select.prewhere.is_some(), "prewhere", "conditions stand behind `where`"),
            (!select.connect_by.is_empty(), "connect by", "a table joined with itself has each row beside its parent"),
            (!select.cluster_by.is_empty(), "cluster by", "`order by` orders rows"),
            (!select.distribute_by.is_empty(), "distribute by", "rows are spread over the cores as they are read"),
            (!select.sort_by.is_empty(), "sort by", "it is `order by` in SQL"),
            (select.exclude.is_some(), "exclude", "it stands behind `*`: select * exclude (a)"),
        ];
        match refused.iter().find(|(given, ..)| *given) {
            Some((_, what, hint)) => {
                let error = self.unsupported(&format!("`{what}` in this place"), self.span_of(what, select.span()));
                Err(error.hint(*hint))
            }
            None => Ok(()),
        }
    }

    /// How the result ends, `top 5` behind `select` included, which is `limit 5`.
    pub(super) fn with_top<'a>(&self, select: &ast::Select, ending: Ending<'a>) -> Result<Ending<'a>> {
        let Some(top) = &select.top else { return Ok(ending) };
        let span = self.span_of("top", select.span());
        let rows = match &top.quantity {
            Some(ast::TopQuantity::Constant(rows)) => usize::try_from(*rows).unwrap_or(usize::MAX),
            Some(ast::TopQuantity::Expr(rows)) => self.number_of_rows(rows)?,
            None => return Err(self.unsupported("`top` without a number", span).hint("`limit 5` stands at the end")),
        };
        if top.percent || top.with_ties {
            let error = self.unsupported("`percent` or `with ties` behind `top`", span);
            return Err(error.hint("`qualify rank() over (order by x) <= 5` takes rows that tie, too"));
        }
        match ending.cut.is_none() {
            true => Ok(Ending { cut: Cut::first(rows), ..ending }),
            false => Err(self.unsupported("`top` beside `limit`", span).hint("either says how many rows there are")),
        }
    }
}
