//! From windows to what a stage does: a sort, and functions over columns of its batches.

use super::{FirstRows, Frame, Window, WindowFunction};
use crate::error::Result;
use crate::expr::{BoundExpr, Expr};
use crate::plan::SortColumn;
use crate::types::ColumnType;
use arrow::datatypes::Schema;

/// A window over the columns of a stage's batches.
#[derive(Clone, Debug)]
pub struct WindowShape {
    /// What rows are sorted by: partitions, then the order within them.
    pub sort: Vec<SortColumn>,
    /// The columns that are alike within a partition.
    pub partition: Vec<usize>,
    /// Those that are alike in peers.
    pub order: Vec<usize>,
    /// The key that distances of a range are counted of.
    pub range_key: Option<RangeKey>,
    /// The columns of the batch that the result has; those of the calls come behind.
    pub shown: Vec<usize>,
    /// What is computed.
    pub calls: Vec<WindowColumn>,
    /// Rows behind these are not in the result; all are without.
    pub first: Option<FirstRows>,
}

/// The first key of the order.
#[derive(Clone, Copy, Debug)]
pub struct RangeKey {
    /// Column of the batch.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// Nulls stand before all values.
    pub nulls_first: bool,
}

/// A call and where its arguments stand in the stage's batches.
#[derive(Clone, Debug)]
pub struct WindowColumn {
    /// Which function.
    pub function: WindowFunction,
    /// Columns of the batch.
    pub arguments: Vec<usize>,
    /// Which rows it sees.
    pub frame: Frame,
    /// Rows in which the argument is null do not count.
    pub ignore_nulls: bool,
}

/// Columns of a batch, to which those are added that have to be computed.
pub(in crate::plan) struct Columns<'a> {
    schema: &'a Schema,
    pub(in crate::plan) bound: Vec<BoundExpr>,
    pub(in crate::plan) names: Vec<String>,
}

impl<'a> Columns<'a> {
    /// All columns of a schema.
    pub(in crate::plan) fn of(schema: &'a Schema) -> Result<Self> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let column = |name: &String| Expr::Column(name.as_str().into()).bind(schema);
        Ok(Columns { schema, bound: names.iter().map(column).collect::<Result<_>>()?, names })
    }

    /// Where a column stands that has been bound.
    pub(in crate::plan) fn add(&mut self, column: BoundExpr, name: String) -> usize {
        self.bound.push(column);
        self.names.push(name);
        self.bound.len() - 1
    }

    /// Where the values of an expression stand.
    fn at(&mut self, expr: &Expr) -> Result<usize> {
        if let Expr::Column(name) = expr.unaliased()
            && let Ok(at) = self.schema.index_of(name)
        {
            return Ok(at);
        }
        let name = format!("{} of a window", expr.unaliased());
        match self.names.iter().position(|known| *known == name) {
            Some(at) => Ok(at),
            None => Ok(self.add(expr.bind(self.schema)?, name)),
        }
    }
}

impl WindowShape {
    /// Of a window; `places` tell rows of one key apart where their own identities do not, and `shown` columns go on.
    pub(in crate::plan) fn of(
        window: &Window,
        columns: &mut Columns<'_>,
        places: &[usize],
        shown: Vec<usize>,
    ) -> Result<Self> {
        let partition: Vec<usize> = window.partition.iter().map(|key| columns.at(key)).collect::<Result<_>>()?;
        let ascending = |column: usize| SortColumn { column, descending: false };
        let mut sort: Vec<SortColumn> = partition.iter().copied().map(ascending).collect();
        let (mut order, mut range_key) = (Vec::with_capacity(window.order.len()), None);
        for key in &window.order {
            if key.nulls_first {
                sort.push(SortColumn { column: columns.at(&key.expr.clone().is_null())?, descending: true });
            }
            let column = columns.at(&key.expr)?;
            sort.push(SortColumn { column, descending: key.descending });
            order.push(column);
            range_key.get_or_insert(RangeKey { column, descending: key.descending, nulls_first: key.nulls_first });
        }
        sort.extend(places.iter().copied().map(ascending));
        let mut calls = Vec::with_capacity(window.calls.len());
        for (call, _) in &window.calls {
            let mut args = call.args.clone();
            if let [value, default] = &mut args[..]
                && matches!(call.function, WindowFunction::Shift(_))
            {
                let types = [value.bind(columns.schema)?.column_type(), default.bind(columns.schema)?.column_type()];
                let common = types[0].unify(types[1]);
                for (arg, own) in [value, default].into_iter().zip(types) {
                    if own != common && common != ColumnType::Null {
                        *arg = arg.clone().cast(common);
                    }
                }
            }
            let arguments = args.iter().map(|arg| columns.at(arg)).collect::<Result<_>>()?;
            let function = call.function.clone();
            calls.push(WindowColumn { function, arguments, frame: call.frame, ignore_nulls: call.ignore_nulls });
        }
        Ok(WindowShape { sort, partition, order, range_key, shown, calls, first: None })
    }
}
