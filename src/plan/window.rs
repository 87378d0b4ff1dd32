//! Window functions: values of rows that are computed of other rows of their partition.
//!
//! A [`Window`] says which rows belong together and how they are ordered; its calls say what is computed. Calls of one window
//! share a sort.

mod first;
mod frame;
mod lower;
pub(super) mod sent;

pub use first::FirstRows;
pub use frame::{Bound, Distance, Frame, FrameUnit};
pub(super) use lower::Columns;
pub use lower::{RangeKey, WindowColumn, WindowShape};

use crate::aggregate::{Aggregate, Makes};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{AggregateCall, Expr};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::fmt;
use std::sync::Arc;

/// One key of the order within partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowKey {
    /// What to sort by.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Nulls stand before all values; else behind, in both directions.
    pub nulls_first: bool,
}

/// Rows that belong together, and what is computed for each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Rows with the same values belong to one partition; null is a value like any other. Without, all rows are one.
    pub partition: Vec<Expr>,
    /// The order within a partition. Rows with equal keys are *peers*; they keep input order.
    pub order: Vec<WindowKey>,
    /// The calls, each with the name of its column.
    pub calls: Vec<(WindowCall, String)>,
}

/// A function over the rows of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowCall {
    /// Which function.
    pub function: WindowFunction,
    /// Its arguments, of which constants are part of the function.
    pub args: Vec<Expr>,
    /// Which rows it sees; those functions that number rows, and `lag` and `lead`, take no notice.
    pub frame: Frame,
    /// Rows in which the argument is null do not count.
    pub ignore_nulls: bool,
}

/// What is computed for a row.
#[derive(Clone, Debug)]
pub enum WindowFunction {
    /// Its number in the partition, from 1.
    RowNumber,
    /// The number of the first of its peers.
    Rank,
    /// The number of its peers among such groups.
    DenseRank,
    /// Its rank less one, as a share of the other rows; 0 in a partition of one row.
    PercentRank,
    /// The share of rows up to its last peer.
    CumeDist,
    /// The bucket, from 1, of so many that are as equal as can be, the first ones larger.
    Ntile(u64),
    /// The argument in the row so far ahead, or behind if negative; where there is none, the second argument, if there is one.
    Shift(i64),
    /// The argument in the frame's row of this number, from 1.
    Nth(u64),
    /// The argument in the last row of the frame.
    Last,
    /// An aggregate over the frame.
    Aggregate(Arc<dyn Aggregate>),
}

impl PartialEq for WindowFunction {
    fn eq(&self, other: &Self) -> bool {
        use WindowFunction::{Aggregate, Nth, Ntile, Shift};
        match (self, other) {
            (Ntile(a), Ntile(b)) | (Nth(a), Nth(b)) => a == b,
            (Shift(a), Shift(b)) => a == b,
            (Aggregate(a), Aggregate(b)) => of_no_arguments(a) == of_no_arguments(b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// For comparing aggregates; arguments are compared beside.
fn of_no_arguments(aggregate: &Arc<dyn Aggregate>) -> AggregateCall {
    AggregateCall { aggregate: Arc::clone(aggregate), args: Vec::new() }
}

impl Window {
    /// All expressions over the input.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let keys = self.order.iter().map(|key| &key.expr);
        self.partition.iter().chain(keys).chain(self.calls.iter().flat_map(|(call, _)| &call.args))
    }

    /// The columns of the input and behind them those of the windows.
    ///
    /// # Errors
    /// `Name` and `Type` errors of the expressions; `Type` and `Unsupported` for what cannot be computed over such frames.
    pub(super) fn schema(windows: &[Window], input: &SchemaRef) -> Result<SchemaRef> {
        let mut fields: Vec<Arc<Field>> = input.fields().iter().cloned().collect();
        for window in windows {
            for key in &window.partition {
                key.bind_single(input, "a key")?;
            }
            for key in &window.order {
                key.expr.bind_single(input, "a sort key")?;
            }
            for (call, name) in &window.calls {
                if fields.iter().any(|field| field.name() == name) {
                    return Err(Error::new(ErrorKind::Name, format!("two columns are named `{name}`")));
                }
                fields.push(Arc::new(Field::new(name, call.output_type(window, input)?, true)));
            }
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}

impl WindowCall {
    /// The type of its column.
    fn output_type(&self, window: &Window, input: &Schema) -> Result<DataType> {
        self.frame.check(&window.order, input)?;
        let of_argument = |at: usize| match self.args.get(at) {
            Some(argument) => Ok(argument.bind(input)?.column_type()),
            None => Err(Error::internal("a window function without its argument")),
        };
        Ok(match &self.function {
            WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank | WindowFunction::Ntile(_) => {
                DataType::Int64
            }
            WindowFunction::PercentRank | WindowFunction::CumeDist => DataType::Float64,
            WindowFunction::Shift(_) if self.args.len() > 1 => {
                let (value, default) = (of_argument(0)?, of_argument(1)?);
                let common = value.unify(default);
                let is_text = |known: ColumnType| matches!(known, ColumnType::Utf8 | ColumnType::Null);
                if common == ColumnType::Utf8 && !(is_text(value) && is_text(default)) {
                    let message = format!("`{self}` is {value} in some rows and {default} in others");
                    return Err(Error::new(ErrorKind::Type, message).hint("`cast` one of them"));
                }
                common.arrow()
            }
            WindowFunction::Shift(_) | WindowFunction::Nth(_) | WindowFunction::Last => of_argument(0)?.arrow(),
            WindowFunction::Aggregate(aggregate) => {
                if aggregate.makes() != Makes::Value {
                    let message = format!("`{self}` makes rows of its own, which rows cannot stand beside");
                    return Err(Error::new(ErrorKind::Type, message));
                }
                if aggregate.in_steps().is_some() {
                    let over = match self.frame == Frame::by_default(true) {
                        true => "with `order by` behind `over` it would be that of the rows so far, which",
                        false => "over a frame that moves it",
                    };
                    let message = format!("`{self}` needs all rows at once: {over} is not supported");
                    let hint = "without `order by` behind `over` it is the value of the whole partition";
                    return Err(Error::new(ErrorKind::Unsupported, message).hint(hint));
                }
                if !aggregate.ordering().is_empty() {
                    let message = format!("`{self}` has an order of its own, which a frame has from its window");
                    return Err(
                        Error::new(ErrorKind::Unsupported, message).hint("give `over (… order by …)` that order")
                    );
                }
                let argument = |at: usize| {
                    let bound = self.args[at].bind_single(input, "what is aggregated")?;
                    Ok(bound.data_type())
                };
                let types = (0..self.args.len()).map(argument).collect::<Result<Vec<_>>>()?;
                aggregate.output_type(&types)?
            }
        })
    }
}

impl fmt::Display for WindowCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = |f: &mut fmt::Formatter<'_>, name: &str, constants: &[String]| {
            let args = self.args.iter().map(ToString::to_string);
            let (first, rest): (Vec<String>, Vec<String>) = (args.clone().take(1).collect(), args.skip(1).collect());
            let all: Vec<String> = first.into_iter().chain(constants.iter().cloned()).chain(rest).collect();
            write!(f, "{name}({})", all.join(", "))
        };
        match &self.function {
            WindowFunction::RowNumber => args(f, "row_number", &[]),
            WindowFunction::Rank => args(f, "rank", &[]),
            WindowFunction::DenseRank => args(f, "dense_rank", &[]),
            WindowFunction::PercentRank => args(f, "percent_rank", &[]),
            WindowFunction::CumeDist => args(f, "cume_dist", &[]),
            WindowFunction::Ntile(buckets) => args(f, "ntile", &[buckets.to_string()]),
            WindowFunction::Shift(by) if *by < 0 => args(f, "lag", &[by.unsigned_abs().to_string()]),
            WindowFunction::Shift(by) => args(f, "lead", &[by.to_string()]),
            WindowFunction::Nth(1) => args(f, "first_value", &[]),
            WindowFunction::Nth(number) => args(f, "nth_value", &[number.to_string()]),
            WindowFunction::Last => args(f, "last_value", &[]),
            WindowFunction::Aggregate(aggregate) => {
                let call = AggregateCall { aggregate: Arc::clone(aggregate), args: self.args.clone() };
                write!(f, "{call}")
            }
        }?;
        if self.ignore_nulls { f.write_str(" ignore nulls") } else { Ok(()) }
    }
}

impl fmt::Display for WindowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descending = if self.descending { " desc" } else { "" };
        write!(f, "{}{descending}{}", self.expr, if self.nulls_first { " nulls first" } else { "" })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>| items.join(", ");
        let is_seen = |call: &WindowCall| call.frame != Frame::WHOLE && call.frame.is_seen_by(&call.function);
        let calls = self.calls.iter().map(|(call, name)| match is_seen(call) {
            true => format!("{call} over {} as {name}", call.frame),
            false => format!("{call} as {name}"),
        });
        write!(f, "window {}", list(calls.collect()))?;
        if !self.partition.is_empty() {
            write!(f, " partition by {}", list(self.partition.iter().map(ToString::to_string).collect()))?;
        }
        if !self.order.is_empty() {
            write!(f, " order by {}", list(self.order.iter().map(ToString::to_string).collect()))?;
        }
        Ok(())
    }
}
