//! `values (1, 'a'), (2, 'b')`.

use super::query::{Lowering, NoNames};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::Expr;
use crate::plan::LogicalPlan;
use crate::source::memory::MemorySource;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, NullArray, RecordBatch};
use arrow::compute::concat;
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;
use std::sync::Arc;

impl Lowering<'_> {
    /// A table of constants, with the columns `col0`, `col1` and so on, each of the narrowest type for its values.
    pub(super) fn values(&self, values: &ast::Values, span: Span) -> Result<Arc<LogicalPlan>> {
        let nothing: ArrayRef = Arc::new(NullArray::new(1));
        let row = RecordBatch::try_from_iter([("nothing", nothing)])?;
        let mut cells: Vec<Vec<(Expr, Span)>> = Vec::new();
        for given in &values.rows {
            let cell = |expr: &ast::Expr| Ok((self.convert(expr, &NoNames)?, expr.span()));
            let converted = given.content.iter().map(cell).collect::<Result<Vec<_>>>()?;
            if cells.first().is_some_and(|first| first.len() != converted.len()) {
                let error = Error::new(ErrorKind::Syntax, "rows of `values` have different numbers of columns");
                return self.placed(Err(error), span);
            }
            cells.push(converted);
        }
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for at in 0..cells.first().map_or(0, Vec::len) {
            let mut column_type = ColumnType::Null;
            for (expr, span) in cells.iter().map(|row| &row[at]) {
                column_type = column_type.unify(self.placed(expr.bind(&row.schema()), *span)?.column_type());
            }
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(cells.len());
            for (expr, span) in cells.iter().map(|row| &row[at]) {
                let value = expr.clone().cast(column_type).bind(&row.schema())?.evaluate(&row);
                arrays.push(self.placed(value, *span)?);
            }
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            columns.push((format!("col{at}"), concat(&arrays)?));
        }
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?;
        let source = MemorySource::new(batch.schema(), vec![batch]);
        Ok(Arc::new(LogicalPlan::Scan(Arc::new(source))))
    }
}
