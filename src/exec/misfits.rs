//! Values that do not fit the inferred type of their column, and what a question makes of them.

use super::options::{RunOptions, Warning};
use super::outcome::FirstMisfit;
use super::run::tell;
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{LogicalPlan, lower};
use crate::source::Source;
use crate::types::ColumnType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns whose widening is told of each; there may be very many.
const COLUMNS_TOLD: usize = 10;

/// Why a question must run again: by column of the source and type needed, the first value that needs it.
pub(super) struct Misfits {
    pub(super) source: Arc<dyn Source>,
    pub(super) first: BTreeMap<(usize, ColumnType), FirstMisfit>,
}

impl Misfits {
    /// The first of all in input order.
    fn earliest(&self) -> Option<(&(usize, ColumnType), &FirstMisfit)> {
        self.first.iter().min_by_key(|(_, misfit)| misfit.row)
    }

    pub(super) fn row(&self) -> RowId {
        self.earliest().map_or(RowId::new(0, 0), |(_, misfit)| misfit.row)
    }

    fn name(&self, column: usize) -> String {
        self.source.schema().field(column).name().clone()
    }

    /// The plan over wider types.
    pub(super) fn widen(&self, plan: &LogicalPlan) -> Result<LogicalPlan, (RowId, Error)> {
        let columns: Vec<(usize, ColumnType)> = self.first.keys().copied().collect();
        let broken = || (self.row(), Error::internal("a misfit in a source without inference"));
        let wider = self.source.widened(&columns).ok_or_else(broken)?;
        // Tables that are joined may have the same source; those that have been read may be read again.
        let narrow = self.source.key();
        let plan = plan.replaced(&mut |verb| match verb {
            LogicalPlan::Scan(source) if source.key() == narrow => Ok(Some(LogicalPlan::Scan(Arc::clone(&wider)))),
            LogicalPlan::Join(join) => Ok(Some(LogicalPlan::Join(join.with_built(None)))),
            _ => Ok(None),
        });
        let plan = plan.map_err(|error| (self.row(), error))?;
        match lower(&plan) {
            Ok(_) => Ok(plan),
            Err(error) => Err(self.useless(&error)),
        }
    }

    /// The question cannot use the wider type: an error at the first value that needs it.
    fn useless(&self, error: &Error) -> (RowId, Error) {
        let culprit = self.first.iter().max_by(|a, b| a.0.1.cmp(&b.0.1).then(b.1.row.cmp(&a.1.row)));
        let Some((&(column, needed), misfit)) = culprit else { return (self.row(), error.clone()) };
        let message = format!("this value makes the column {needed}, but {}", error.message());
        let name = self.name(column);
        // A number all the same, but for its size.
        let is_large = misfit.text.trim().parse::<f64>().is_ok_and(f64::is_infinite);
        let infinite = if is_large { format!("--types {name}=float64 reads it as infinite; ") } else { String::new() };
        let located = self.located(Error::new(error.kind(), message), column, misfit).hint(format!(
            "{infinite}--null '{}' reads it as missing; --types {name}=utf8 makes the column text from the start",
            misfit.text,
        ));
        (misfit.row, located)
    }

    fn located(&self, error: Error, column: usize, misfit: &FirstMisfit) -> Error {
        error.at(misfit.place.clone()).with_place(|place| {
            place.column = Some(self.name(column).as_str().into());
            place.value = Some(misfit.text.clone());
        })
    }

    /// Rows of the narrower type have already been handed out.
    pub(super) fn too_late(&self) -> Error {
        let Some((&(column, needed), misfit)) = self.earliest() else {
            return Error::internal("widening without a misfit");
        };
        let message = format!("this value needs {needed}, and rows of a narrower type have already been handed out");
        let name = self.name(column);
        self.located(Error::new(ErrorKind::Value, message), column, misfit)
            .hint(format!("use --types {name}={}, or write to a file", needed.to_string().to_lowercase()))
    }

    pub(super) fn warn(&self, options: &RunOptions, warnings: &mut Vec<Warning>) {
        let others = self.first.len().saturating_sub(COLUMNS_TOLD);
        let told = if others > 1 { COLUMNS_TOLD } else { self.first.len() };
        for ((column, needed), misfit) in self.first.iter().take(told) {
            let text = format!(
                "{}: column `{}` holds {:?}, which its samples did not show; it is read again as {needed}",
                misfit.place,
                self.name(*column),
                misfit.text
            );
            tell(Warning(text), options, warnings);
        }
        if told < self.first.len() {
            let text = format!(
                "{others} more values do not fit what the samples of their columns showed; those are read again, too"
            );
            tell(Warning(text), options, warnings);
        }
    }
}
