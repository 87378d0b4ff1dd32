//! `tablesample`: some rows of a table, drawn at random.

use super::from::Tables;
use super::query::Lowering;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{LogicalPlan, SampleSize};
use sqlparser::ast::{self, TableFactor, TableSampleKind, TableSampleMethod, TableSampleUnit};
use sqlparser::tokenizer::Span;
use std::sync::Arc;

/// What a sample looks like.
const SUCH_AS: &str = "such as `from t tablesample (1 percent)` or `tablesample (1000 rows) repeatable (7)`";

/// The table without its sample, and that.
pub(super) fn apart(factor: &TableFactor) -> Option<(TableFactor, &ast::TableSample)> {
    let (TableFactor::Table { sample: Some(kind), .. } | TableFactor::Derived { sample: Some(kind), .. }) = factor
    else {
        return None;
    };
    let (TableSampleKind::BeforeTableAlias(drawn) | TableSampleKind::AfterTableAlias(drawn)) = kind;
    let mut whole = factor.clone();
    if let TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } = &mut whole {
        *sample = None;
    }
    Some((whole, drawn))
}

impl Lowering<'_> {
    /// Rows of tables that a sample draws: so many without replacement, or each with a probability. The same ones for each seed.
    pub(super) fn sampled(&self, tables: Tables, sample: &ast::TableSample, span: Span) -> Result<Tables> {
        let wrong = |what: &str| {
            let error = Error::new(ErrorKind::Syntax, format!("a sample {what}"));
            self.placed(Err(error.hint(SUCH_AS)), span)
        };
        let number = |expr: &ast::Expr| match expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) => digits.parse::<f64>().ok(),
                _ => None,
            },
            _ => None,
        };
        if sample.bucket.is_some() || sample.offset.is_some() {
            return Err(self.unsupported("a sample by buckets", span).hint(SUCH_AS));
        }
        let Some(quantity) = &sample.quantity else { return wrong("says how many rows are drawn") };
        let Some(amount) = number(&quantity.value) else { return wrong("takes a number of rows or of percent") };
        let is_share = match (&quantity.unit, &sample.name) {
            (Some(TableSampleUnit::Percent), _) => true,
            (Some(TableSampleUnit::Rows), _) => false,
            (None, Some(TableSampleMethod::Bernoulli | TableSampleMethod::System)) => true,
            (None, _) => return wrong("says whether it is of rows or of percent"),
        };
        let size = match is_share {
            true if (0.0..=100.0).contains(&amount) => SampleSize::Share(amount / 100.0),
            false if amount >= 0.0 && amount.fract() == 0.0 => SampleSize::Rows(amount as usize),
            true => return wrong("is of 0 to 100 percent"),
            false => return wrong("is of a whole number of rows"),
        };
        let seed = match &sample.seed {
            None => 0,
            Some(seed) => match &seed.value.value {
                ast::Value::Number(digits, _) if digits.parse::<u64>().is_ok() => digits.parse().unwrap_or_default(),
                _ => return wrong("is repeatable by a whole number"),
            },
        };
        let Tables { plan, scope } = tables;
        Ok(Tables { plan: Arc::new(LogicalPlan::Sample { input: plan, size, seed }), scope })
    }
}
