//! Window functions: `rank() over (partition by a order by b)`.

use super::call::nulls_of;
use super::convert::{Converter, Names};
use super::forms::ALONE;
use super::words::Words;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Literal};
use crate::plan::{Bound, Distance, Frame, FrameUnit, WindowCall, WindowFunction, WindowKey};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, NullTreatment};
use sqlparser::ast::{OrderBySort, Spanned, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType};
use sqlparser::tokenizer::Span;
use std::ops::Range;
use std::sync::Arc;

/// Functions that are none without `over`.
pub(super) const NAMES: [&str; 11] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// So many rows with a value are kept in mind where others do not count.
const MOST_PRESENT: u64 = 1 << 16;

/// A call with `over`.
#[derive(Clone, Debug)]
pub(super) struct Windowed {
    pub(super) partition: Vec<Expr>,
    pub(super) order: Vec<WindowKey>,
    pub(super) call: WindowCall,
    /// Where it is written.
    text: Arc<str>,
    bytes: Range<usize>,
}

/// The same values, wherever they are asked for.
impl PartialEq for Windowed {
    fn eq(&self, other: &Self) -> bool {
        self.partition == other.partition && self.order == other.order && self.call == other.call
    }
}

impl Windowed {
    /// The number of each row in its partition, asked for at these bytes of the text.
    pub(super) fn row_number(partition: Vec<Expr>, order: Vec<WindowKey>, words: &Words, bytes: Range<usize>) -> Self {
        let (function, frame) = (WindowFunction::RowNumber, Frame::WHOLE);
        let call = WindowCall { function, args: Vec::new(), frame, ignore_nulls: false };
        Windowed { partition, order, call, text: Arc::clone(&words.text), bytes }
    }

    /// All expressions of it.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.partition.iter().chain(self.order.iter().map(|key| &key.expr)).chain(&self.call.args)
    }

    /// The error with its place, if it has none yet.
    pub(super) fn placed<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error: Error| match error.underlined() {
            Some(_) => error,
            None => error.underline(&self.text, self.bytes.clone()),
        })
    }
}

/// What `over` says.
#[derive(Default)]
struct Over<'a> {
    partition: &'a [ast::Expr],
    order: &'a [ast::OrderByExpr],
    frame: Option<&'a ast::WindowFrame>,
}

impl Converter<'_> {
    /// The column of a call with `over`.
    pub(super) fn windowed(
        &self,
        call: &ast::Function,
        ident: &ast::Ident,
        over: &WindowType,
        depth: usize,
    ) -> Result<Expr> {
        let Some(names) = self.names else {
            return Err(self.unsupported("a window function in this place", ident.span).hint(ALONE));
        };
        let over = self.over(over, names, 0)?;
        let partition = over.partition.iter().map(|key| self.convert(key, depth)).collect::<Result<Vec<_>>>()?;
        let mut order = Vec::with_capacity(over.order.len());
        for key in over.order {
            let descending = match key.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(_) => {
                    return Err(self
                        .unsupported("`order by … using`", key.expr.span())
                        .hint("`asc` and `desc` say which way"));
                }
            };
            let nulls_first = key.options.nulls_first == Some(true);
            order.push(WindowKey { expr: self.convert(&key.expr, depth)?, descending, nulls_first });
        }
        let frame = over.frame.map(|frame| self.frame(frame, ident.span)).transpose()?;
        let frame = frame.unwrap_or_else(|| Frame::by_default(!order.is_empty()));
        let frame = if frame.is_whole(&order) { Frame::WHOLE } else { frame };
        let (function, args, ignore_nulls) = self.window_function(call, ident, depth)?;
        let call = WindowCall { function, args, frame, ignore_nulls };
        let (text, bytes) = (Arc::clone(&self.words.text), self.bytes(ident.span));
        self.placed(names.window(Windowed { partition, order, call, text, bytes }), ident.span)
    }

    /// What is said behind `over`, and by the windows that are named there.
    fn over<'a>(&self, over: &'a WindowType, names: &'a dyn Names, depth: usize) -> Result<Over<'a>> {
        match over {
            WindowType::WindowSpec(spec) => self.of_spec(spec, names, depth),
            WindowType::NamedWindow(name) => self.of_named(name, names, depth),
        }
    }

    fn of_named<'a>(&self, name: &ast::Ident, names: &'a dyn Names, depth: usize) -> Result<Over<'a>> {
        let known = names.named_windows();
        let found = known.iter().find(|known| known.0.value.eq_ignore_ascii_case(&name.value));
        // A window that is based on itself is deeper than there are windows.
        let found = found.filter(|_| depth <= known.len());
        match found.map(|known| &known.1) {
            Some(ast::NamedWindowExpr::WindowSpec(spec)) => self.of_spec(spec, names, depth + 1),
            Some(ast::NamedWindowExpr::NamedWindow(name)) => self.of_named(name, names, depth + 1),
            None => {
                let error = self.error(ErrorKind::Name, format!("no window `{}`", name.value), name.span);
                Err(match self.words.is_question {
                    true => error.hint("write `partition by` or `order by`; windows have names in SQL only"),
                    false => error.hint(format!("`window {} as (…)` behind `having` names one", name.value)),
                })
            }
        }
    }

    fn of_spec<'a>(&self, spec: &'a WindowSpec, names: &'a dyn Names, depth: usize) -> Result<Over<'a>> {
        let own = Over { partition: &spec.partition_by, order: &spec.order_by, frame: spec.window_frame.as_ref() };
        let Some(name) = &spec.window_name else { return Ok(own) };
        let base = self.of_named(name, names, depth)?;
        if !own.partition.is_empty() || !own.order.is_empty() && !base.order.is_empty() || base.frame.is_some() {
            let message = format!("the window `{}` says that already, or has a frame", name.value);
            let error = self.error(ErrorKind::Syntax, message, name.span);
            return Err(error.hint("a window that another one is based on is given an order or a frame that it lacks"));
        }
        let order = if own.order.is_empty() { base.order } else { own.order };
        Ok(Over { partition: base.partition, order, frame: own.frame })
    }

    fn frame(&self, frame: &ast::WindowFrame, span: Span) -> Result<Frame> {
        let unit = match frame.units {
            WindowFrameUnits::Rows => FrameUnit::Rows,
            WindowFrameUnits::Range => FrameUnit::Range,
            WindowFrameUnits::Groups => FrameUnit::Groups,
        };
        let bound = |bound: &WindowFrameBound| -> Result<Bound> {
            Ok(match bound {
                WindowFrameBound::CurrentRow => Bound::CurrentRow,
                WindowFrameBound::Preceding(None) => Bound::PartitionStart,
                WindowFrameBound::Following(None) => Bound::PartitionEnd,
                WindowFrameBound::Preceding(Some(distance)) => Bound::Preceding(self.distance(distance, span)?),
                WindowFrameBound::Following(Some(distance)) => Bound::Following(self.distance(distance, span)?),
            })
        };
        let start = bound(&frame.start_bound)?;
        let end = frame.end_bound.as_ref().map_or(Ok(Bound::CurrentRow), bound)?;
        Ok(Frame { unit, start, end })
    }

    fn distance(&self, expr: &ast::Expr, span: Span) -> Result<Distance> {
        let span = if expr.span() == Span::empty() { span } else { expr.span() };
        if let Some(length) = self.interval_of(expr, 0)? {
            let distance = length.constant().and_then(Distance::of_interval);
            let message = "the distance of a frame is a constant interval that is not negative";
            return distance.ok_or_else(|| self.error(ErrorKind::Type, message, span));
        }
        match self.convert(expr, 0)? {
            Expr::Literal(Literal::Int64(number)) if number >= 0 => Ok(Distance::Whole(number.unsigned_abs())),
            Expr::Literal(Literal::Float64(number)) if number >= 0.0 => Ok(Distance::Real(number)),
            other => {
                let message = format!("the distance of a frame is a constant that is not negative, not `{other}`");
                Err(self.error(ErrorKind::Type, message, span))
            }
        }
    }

    /// The function, its arguments, and whether nulls do not count.
    fn window_function(
        &self,
        call: &ast::Function,
        ident: &ast::Ident,
        depth: usize,
    ) -> Result<(WindowFunction, Vec<Expr>, bool)> {
        let name = ident.value.to_lowercase();
        let FunctionArguments::List(list) = &call.args else {
            return Err(self.without_parentheses(ident));
        };
        let treatment = nulls_of(call);
        let ignore_nulls = treatment == Some(NullTreatment::IgnoreNulls);
        if !NAMES.contains(&&*name) {
            let plain = ast::Function { over: None, ..call.clone() };
            return match self.call(&plain, &ast::Expr::Function(plain.clone()), depth)? {
                Expr::Aggregate(call) => Ok((WindowFunction::Aggregate(call.aggregate), call.args, false)),
                _ => {
                    let message = format!("`{name}` is neither an aggregate nor a window function");
                    Err(self.error(ErrorKind::Type, message, ident.span))
                }
            };
        }
        let refused = [
            (call.filter.is_some(), "filter"),
            (list.duplicate_treatment.is_some(), "distinct"),
            (list.clauses.len() > usize::from(treatment.is_some()) || !call.within_group.is_empty(), "a clause"),
        ];
        if let Some((_, what)) = refused.iter().find(|(given, _)| *given) {
            let error = self.unsupported(&format!("{what} with `{name}`"), ident.span);
            return Err(error.hint("a query in `from` leaves rows out first; aggregates have `filter (where …)`"));
        }
        let mut args = Vec::with_capacity(list.args.len());
        for arg in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else {
                let error = self.unsupported(&format!("this argument of `{name}`"), ident.span);
                return Err(error.hint("values stand there, as in lag(x, 1) over (order by t)"));
            };
            args.push(self.convert(arg, depth)?);
        }
        let takes = |what: &str| {
            let message = format!("`{name}` takes {what}");
            self.error(ErrorKind::Type, message, ident.span)
        };
        let number = |expr: &Expr| match expr {
            Expr::Literal(Literal::Int64(number)) => Some(*number),
            _ => None,
        };
        let from_one = |expr: &Expr| number(expr).filter(|number| *number > 0).map(i64::unsigned_abs);
        let function = match (&*name, &args[..]) {
            ("row_number", []) => WindowFunction::RowNumber,
            ("rank", []) => WindowFunction::Rank,
            ("dense_rank", []) => WindowFunction::DenseRank,
            ("percent_rank", []) => WindowFunction::PercentRank,
            ("cume_dist", []) => WindowFunction::CumeDist,
            ("ntile", [buckets]) => {
                let buckets = from_one(buckets).ok_or_else(|| takes("a constant number of buckets, 1 or more"))?;
                args.clear();
                WindowFunction::Ntile(buckets)
            }
            ("lag" | "lead", [_] | [_, _] | [_, _, _]) => {
                let by = args.get(1).map_or(Some(1), number);
                let by = by.ok_or_else(|| takes("a value, a constant number of rows, and a value in place of none"));
                let by = by.map_err(|error| error.hint("such as lag(x, 1) or lag(x, 1, 0)"))?;
                args.drain(1..args.len().min(2));
                let by = if name == "lag" { by.checked_neg() } else { Some(by) };
                WindowFunction::Shift(by.ok_or_else(|| takes("a smaller number of rows"))?)
            }
            ("first_value", [_]) => WindowFunction::Nth(1),
            ("last_value", [_]) => WindowFunction::Last,
            ("nth_value", [_, row]) => {
                let row = from_one(row).ok_or_else(|| takes("a value and a constant number of a row, 1 or more"))?;
                args.truncate(1);
                WindowFunction::Nth(row)
            }
            (name, _) => {
                return Err(takes(match name {
                    "ntile" => "a number of buckets",
                    "lag" | "lead" => "a value, a number of rows, and a value in place of none",
                    "first_value" | "last_value" => "one value",
                    "nth_value" => "a value and the number of a row",
                    _ => "nothing",
                }));
            }
        };
        let kept = match &function {
            WindowFunction::Shift(by) => by.unsigned_abs(),
            WindowFunction::Nth(number) => *number,
            WindowFunction::Last => 1,
            _ if treatment.is_some() => {
                let error = self.unsupported(&format!("`ignore nulls` or `respect nulls` behind `{name}`"), ident.span);
                return Err(error.hint("lag, lead, first_value, last_value and nth_value take it"));
            }
            _ => 1,
        };
        if ignore_nulls && kept > MOST_PRESENT {
            let what = format!("`ignore nulls` for more than {MOST_PRESENT} rows at a time");
            return Err(self
                .unsupported(&what, ident.span)
                .hint("a query in `from … where x is not null` leaves them out"));
        }
        Ok((function, args, ignore_nulls))
    }
}
