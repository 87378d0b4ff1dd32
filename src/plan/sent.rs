//! Plans as bytes, for another process of this program.
//!
//! **Problem.** A worker process is to do with rows exactly what the program would do; but a plan holds aggregates, and these
//! are objects.
//! **Idea.** Verbs are sent as such, expressions as text: every expression is shown as text that reads back as the same one.
//! Who sends reads the text back himself and compares, so what does not come as it is is never sent. Reading needs the
//! grammar, which is a layer above this one, so it is handed in.
//! **Invariant.** A plan that was received is lowered to the same stages as the one that was sent.

use super::{LogicalPlan, SampleSize, SortKey, window};
use crate::error::{Error, Result};
use crate::expr::{AggregateCall, Expr};
use crate::parallel::Message;
use crate::source::Source;
use std::sync::Arc;

/// Reads the text of an expression.
pub(crate) type ReadExpr = fn(&str) -> Result<Expr>;

/// The verbs, by their numbers.
#[derive(Clone, Copy)]
enum Verb {
    Scan,
    Filter,
    Project,
    Aggregate,
    Unnest,
    Sort,
    Limit,
    Sample,
    Window,
}

const VERBS: [Verb; 9] = [
    Verb::Scan,
    Verb::Filter,
    Verb::Project,
    Verb::Aggregate,
    Verb::Unnest,
    Verb::Sort,
    Verb::Limit,
    Verb::Sample,
    Verb::Window,
];

/// Puts a plan behind the bytes, all but its source.
///
/// # Errors
/// What of it cannot be sent, as a part of a sentence.
pub(crate) fn send(plan: &LogicalPlan, read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut begin = |verb: Verb| bytes.push(verb as u8);
    match plan {
        LogicalPlan::Scan(_) => begin(Verb::Scan),
        LogicalPlan::Filter { predicate, .. } => {
            begin(Verb::Filter);
            send_expr(predicate, read, bytes)?;
        }
        LogicalPlan::Project { columns, .. } => {
            begin(Verb::Project);
            send_all(columns, read, bytes)?;
        }
        LogicalPlan::Aggregate { keys, aggregates, .. } => {
            begin(Verb::Aggregate);
            send_all(keys, read, bytes)?;
            put(&aggregates.len(), bytes)?;
            for (call, name) in aggregates {
                send_expr(&Expr::Aggregate(call.clone()), read, bytes)?;
                put(name, bytes)?;
            }
        }
        LogicalPlan::Unnest { .. } => begin(Verb::Unnest),
        LogicalPlan::Sort { keys, .. } => {
            begin(Verb::Sort);
            put(&keys.len(), bytes)?;
            for key in keys {
                send_expr(&key.expr, read, bytes)?;
                put(&key.descending, bytes)?;
            }
        }
        LogicalPlan::Limit { skip, rows, .. } => {
            begin(Verb::Limit);
            put(&(*skip, *rows), bytes)?;
        }
        LogicalPlan::Sample { size, seed, .. } => {
            begin(Verb::Sample);
            let (rows, share) = match size {
                SampleSize::Rows(rows) => (Some(*rows), 0.0),
                SampleSize::Share(share) => (None, *share),
            };
            put(&(rows, share, *seed), bytes)?;
        }
        LogicalPlan::Map { .. } => return Err("it calls a function on batches".to_owned()),
        LogicalPlan::Join(_) => return Err("it joins tables".to_owned()),
        LogicalPlan::Window { windows, .. } => {
            begin(Verb::Window);
            window::sent::send(windows, read, bytes)?;
        }
    }
    plan.input().map_or(Ok(()), |input| send(input, read, bytes))
}

/// The plan that [`send`] told of, over this source.
///
/// # Errors
/// `Internal` for other bytes.
pub(crate) fn receive(bytes: &mut &[u8], source: &Arc<dyn Source>, read: ReadExpr) -> Result<LogicalPlan> {
    let unknown = || Error::internal("a plan with an unknown verb");
    let verb = *VERBS.get(usize::from(u8::receive(bytes)?)).ok_or_else(unknown)?;
    let input = |bytes: &mut &[u8]| receive(bytes, source, read).map(Arc::new);
    Ok(match verb {
        Verb::Scan => LogicalPlan::Scan(Arc::clone(source)),
        Verb::Filter => {
            let predicate = receive_expr(bytes, read)?;
            LogicalPlan::Filter { predicate, input: input(bytes)? }
        }
        Verb::Project => {
            let columns = receive_all(bytes, read)?;
            LogicalPlan::Project { columns, input: input(bytes)? }
        }
        Verb::Aggregate => {
            let keys = receive_all(bytes, read)?;
            let aggregates = (0..usize::receive(bytes)?).map(|_| receive_call(bytes, read));
            let aggregates = aggregates.collect::<Result<_>>()?;
            LogicalPlan::Aggregate { keys, aggregates, input: input(bytes)? }
        }
        Verb::Unnest => LogicalPlan::Unnest { input: input(bytes)? },
        Verb::Sort => {
            let count = usize::receive(bytes)?;
            let key = |_| Ok(SortKey { expr: receive_expr(bytes, read)?, descending: bool::receive(bytes)? });
            let keys = (0..count).map(key).collect::<Result<_>>()?;
            LogicalPlan::Sort { keys, input: input(bytes)? }
        }
        Verb::Limit => {
            let (skip, rows) = Message::receive(bytes)?;
            LogicalPlan::Limit { skip, rows, input: input(bytes)? }
        }
        Verb::Sample => {
            let (rows, share, seed): (Option<usize>, f64, u64) = Message::receive(bytes)?;
            let size = rows.map_or(SampleSize::Share(share), SampleSize::Rows);
            LogicalPlan::Sample { size, seed, input: input(bytes)? }
        }
        Verb::Window => {
            let windows = window::sent::receive(bytes, read)?;
            LogicalPlan::Window { windows, input: input(bytes)? }
        }
    })
}

pub(super) fn put(value: &impl Message, bytes: &mut Vec<u8>) -> Result<(), String> {
    value.send(bytes).map_err(|error| error.to_string())
}

pub(super) fn send_all(exprs: &[Expr], read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    put(&exprs.len(), bytes)?;
    exprs.iter().try_for_each(|expr| send_expr(expr, read, bytes))
}

/// An expression as its name, if it has another one than its text, and its text.
pub(super) fn send_expr(expr: &Expr, read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    let (name, inner) = match expr {
        Expr::Alias { expr, name } => (Some(Arc::clone(name)), &**expr),
        other => (None, other),
    };
    let text = inner.to_string();
    let mut refusal = None;
    inner.visit(&mut |part| {
        let Expr::Aggregate(AggregateCall { aggregate, .. }) = part else { return };
        if !aggregate.is_built_in() {
            refusal = Some(format!("`{}` is an aggregate of the program's own", aggregate.name()));
        } else if aggregate.is_step() || aggregate.in_steps().is_some() {
            refusal = Some("it is a step of a fit".to_owned());
        }
    });
    match (refusal, read(&text)) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(same)) if same == *inner => put(&(name, text), bytes),
        (None, _) => Err(format!("`{text}` means something else when it is read again")),
    }
}

pub(super) fn receive_all(bytes: &mut &[u8], read: ReadExpr) -> Result<Vec<Expr>> {
    (0..usize::receive(bytes)?).map(|_| receive_expr(bytes, read)).collect()
}

pub(super) fn receive_expr(bytes: &mut &[u8], read: ReadExpr) -> Result<Expr> {
    let (name, text) = <(Option<Arc<str>>, String)>::receive(bytes)?;
    let expr = read(&text)?;
    Ok(match name {
        Some(name) => Expr::Alias { expr: Box::new(expr), name },
        None => expr,
    })
}

pub(super) fn receive_call(bytes: &mut &[u8], read: ReadExpr) -> Result<(AggregateCall, String)> {
    match receive_expr(bytes, read)? {
        Expr::Aggregate(call) => Ok((call, String::receive(bytes)?)),
        other => Err(Error::internal(format!("`{other}` in place of an aggregate"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lower;
    use crate::scan_csv;
    use crate::sql::parse_expr;

    const QUESTIONS: [&str; 14] = [
        "*",
        "count(*)",
        "min(DepDelay), max(DepDelay) - 1 as `by`, sum(-Distance) * 2.5",
        "count(*) as n, mean(ArrDelay) as delay by UniqueCarrier where Month = 12 sort delay desc limit 5",
        "mean(ArrDelay > 15) as late by Origin having count(*) > 1000 sort late desc limit 10",
        "median(ArrDelay), quantile(ArrDelay, 0.95), n_unique(TailNum) by Year",
        "largest(ArrDelay, 3) as worst by Origin",
        "ols(ArrDelay, DepDelay, Distance, UniqueCarrier) by Month",
        "ols('ArrDelay ~ DepDelay + Distance - 1')",
        "bootstrap(mean(ArrDelay), 100, 7) by Month",
        "crossprod(1, ArrDelay, DepDelay)",
        "Year, case when ArrDelay > 15 then 'late, isn''t it' else null end as c where Origin like 'S%' or Dest in ('A', 'B')",
        "count(*) by date_trunc('month', make_date(Year, Month, DayofMonth)) as month, cast(Distance as utf8) as d",
        "Origin, try_cast(TailNum as int64) as t where ArrDelay between -5 and 5 sample 20% seed 3",
    ];

    #[test]
    fn plans_that_are_received_are_lowered_to_the_same_stages() {
        let air = scan_csv("testdata/airline/1987.csv.bz2").unwrap();
        for question in QUESTIONS {
            let frame = air.ask(question).unwrap();
            let plan = frame.plan().unwrap();
            let mut bytes = Vec::new();
            send(plan, parse_expr, &mut bytes).unwrap();
            let mut left = bytes.as_slice();
            let came = receive(&mut left, plan.source(), parse_expr).unwrap();
            assert!(left.is_empty(), "{question}");
            let stages = |plan: &LogicalPlan| format!("{:?}", lower(plan).unwrap());
            assert_eq!(stages(&came), stages(plan), "{question}");
            assert!(receive(&mut &bytes[..bytes.len() - 1], plan.source(), parse_expr).is_err());
        }
    }

    #[test]
    fn windows_come_as_they_were() {
        use crate::plan::{Bound, Distance, Frame, FrameUnit, Window, WindowCall, WindowFunction as Is, WindowKey};
        let air = scan_csv("testdata/airline/1987.csv.bz2").unwrap();
        let input = Arc::clone(air.plan().unwrap());
        let Expr::Aggregate(AggregateCall { aggregate, args }) = parse_expr("corr(ArrDelay, Distance)").unwrap() else {
            panic!("no aggregate");
        };
        let unit = FrameUnit::Range;
        let near =
            Frame { unit, start: Bound::Preceding(Distance::Real(2.5)), end: Bound::Following(Distance::Whole(3)) };
        let months = Distance::Interval { months: 1, days: 2, micros: 3 };
        let far = Frame { unit, start: Bound::Preceding(months), end: Bound::CurrentRow };
        let groups = Frame { unit: FrameUnit::Groups, ..near };
        let call = |function, args| WindowCall { function, args, frame: near, ignore_nulls: true };
        let mut calls = vec![call(Is::Aggregate(aggregate), args), call(Is::Ntile(7), Vec::new())];
        calls
            .extend([Is::Shift(-2), Is::Shift(3), Is::Nth(4), Is::Last].map(|is| call(is, vec![crate::col("Origin")])));
        for frame in [far, groups] {
            let args = vec![crate::col("Origin")];
            calls.push(WindowCall { function: Is::Last, args, frame, ignore_nulls: false });
        }
        for plain in [Is::RowNumber, Is::Rank, Is::DenseRank, Is::PercentRank, Is::CumeDist] {
            calls.push(WindowCall { function: plain, args: Vec::new(), frame: Frame::WHOLE, ignore_nulls: false });
        }
        let calls = calls.into_iter().enumerate().map(|(at, call)| (call, at.to_string())).collect();
        let order = vec![WindowKey { expr: crate::col("Distance"), descending: true, nulls_first: true }];
        let windows = vec![Window { partition: vec![crate::col("Year") + 1], order, calls }];
        let plan = LogicalPlan::Window { input, windows: windows.clone() };
        let mut bytes = Vec::new();
        send(&plan, parse_expr, &mut bytes).unwrap();
        let mut left = bytes.as_slice();
        let came = receive(&mut left, plan.source(), parse_expr).unwrap();
        assert!(left.is_empty() && matches!(&came, LogicalPlan::Window { windows: same, .. } if *same == windows));
        assert!(receive(&mut &bytes[..bytes.len() - 1], plan.source(), parse_expr).is_err());
    }

    #[test]
    fn an_expression_that_would_come_as_another_is_not_sent() {
        let air = scan_csv("testdata/airline/1987.csv.bz2").unwrap();
        let plan = air.filter(crate::col("ArrDelay").gt(0)).plan().unwrap().as_ref().clone();
        let wrong: ReadExpr = |_| parse_expr("ArrDelay > 1");
        let why = send(&plan, wrong, &mut Vec::new()).unwrap_err();
        assert_eq!(why, "`ArrDelay > 0` means something else when it is read again");
    }
}
