//! Windows as bytes, for another process of this program.

use super::{Bound, Distance, Frame, FrameUnit, Window, WindowCall, WindowFunction, WindowKey};
use crate::error::{Error, Result};
use crate::expr::{AggregateCall, Expr};
use crate::parallel::Message;
use crate::plan::sent::{ReadExpr, put, receive_all, receive_call, receive_expr, send_all, send_expr};
use std::sync::Arc;

/// Functions without a constant or an aggregate, by their numbers.
const PLAIN: [WindowFunction; 6] = [
    WindowFunction::RowNumber,
    WindowFunction::Rank,
    WindowFunction::DenseRank,
    WindowFunction::PercentRank,
    WindowFunction::CumeDist,
    WindowFunction::Last,
];
/// The numbers of the others.
const NTILE: u8 = 6;
const SHIFT: u8 = 7;
const NTH: u8 = 8;
const AGGREGATE: u8 = 9;

/// Puts windows behind the bytes.
///
/// # Errors
/// What of them cannot be sent, as a part of a sentence.
pub(in crate::plan) fn send(windows: &[Window], read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    put(&windows.len(), bytes)?;
    for window in windows {
        send_all(&window.partition, read, bytes)?;
        put(&window.order.len(), bytes)?;
        for key in &window.order {
            send_expr(&key.expr, read, bytes)?;
            put(&(key.descending, key.nulls_first), bytes)?;
        }
        put(&window.calls.len(), bytes)?;
        for (call, name) in &window.calls {
            send_call(call, read, bytes)?;
            put(name, bytes)?;
        }
    }
    Ok(())
}

fn send_call(call: &WindowCall, read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    let Frame { unit, start, end } = call.frame;
    put(&(unit_number(unit), call.ignore_nulls), bytes)?;
    put(&(bound_parts(start), bound_parts(end)), bytes)?;
    match &call.function {
        WindowFunction::Ntile(buckets) => put(&(NTILE, *buckets), bytes)?,
        WindowFunction::Shift(by) => put(&(SHIFT, by.cast_unsigned()), bytes)?,
        WindowFunction::Nth(number) => put(&(NTH, *number), bytes)?,
        WindowFunction::Aggregate(aggregate) => {
            put(&(AGGREGATE, 0_u64), bytes)?;
            let aggregate = AggregateCall { aggregate: Arc::clone(aggregate), args: call.args.clone() };
            return send_expr(&Expr::Aggregate(aggregate), read, bytes);
        }
        plain => {
            let at = PLAIN.iter().position(|known| known == plain).unwrap_or(PLAIN.len());
            put(&(at as u8, 0_u64), bytes)?;
        }
    }
    send_all(&call.args, read, bytes)
}

fn unit_number(unit: FrameUnit) -> u8 {
    match unit {
        FrameUnit::Rows => 0,
        FrameUnit::Range => 1,
        FrameUnit::Groups => 2,
    }
}

/// A bound and its distance by their numbers.
type BoundParts = ((u8, u8), (u64, u64, u64));

/// A bound by its number, the kind of its distance, and the distance.
fn bound_parts(bound: Bound) -> BoundParts {
    let number = match bound {
        Bound::PartitionStart => 0,
        Bound::Preceding(_) => 1,
        Bound::CurrentRow => 2,
        Bound::Following(_) => 3,
        Bound::PartitionEnd => 4,
    };
    match bound.distance() {
        None => ((number, 0), (0, 0, 0)),
        Some(Distance::Whole(whole)) => ((number, 0), (whole, 0, 0)),
        Some(Distance::Real(real)) => ((number, 1), (real.to_bits(), 0, 0)),
        Some(Distance::Interval { months, days, micros }) => {
            ((number, 2), (months.cast_unsigned(), days.cast_unsigned(), micros.cast_unsigned()))
        }
    }
}

fn bound_of(((number, kind), (first, second, third)): BoundParts) -> Bound {
    let distance = match kind {
        0 => Distance::Whole(first),
        1 => Distance::Real(f64::from_bits(first)),
        _ => {
            Distance::Interval { months: first.cast_signed(), days: second.cast_signed(), micros: third.cast_signed() }
        }
    };
    match number {
        0 => Bound::PartitionStart,
        1 => Bound::Preceding(distance),
        2 => Bound::CurrentRow,
        3 => Bound::Following(distance),
        _ => Bound::PartitionEnd,
    }
}

/// The windows that [`send`] told of.
///
/// # Errors
/// `Internal` for other bytes.
pub(in crate::plan) fn receive(bytes: &mut &[u8], read: ReadExpr) -> Result<Vec<Window>> {
    let windows = usize::receive(bytes)?;
    let window = |_| {
        let partition = receive_all(bytes, read)?;
        let mut order = Vec::new();
        for _ in 0..usize::receive(bytes)? {
            let expr = receive_expr(bytes, read)?;
            let (descending, nulls_first) = Message::receive(bytes)?;
            order.push(WindowKey { expr, descending, nulls_first });
        }
        let mut calls = Vec::new();
        for _ in 0..usize::receive(bytes)? {
            calls.push(receive_windowed(bytes, read)?);
        }
        Ok(Window { partition, order, calls })
    };
    (0..windows).map(window).collect()
}

fn receive_windowed(bytes: &mut &[u8], read: ReadExpr) -> Result<(WindowCall, String)> {
    let (unit, ignore_nulls): (u8, bool) = Message::receive(bytes)?;
    let (start, end) = Message::receive(bytes)?;
    let unit = match unit {
        0 => FrameUnit::Rows,
        1 => FrameUnit::Range,
        _ => FrameUnit::Groups,
    };
    let frame = Frame { unit, start: bound_of(start), end: bound_of(end) };
    let (function, number): (u8, u64) = Message::receive(bytes)?;
    let function = match function {
        AGGREGATE => {
            let (AggregateCall { aggregate, args }, name) = receive_call(bytes, read)?;
            let function = WindowFunction::Aggregate(aggregate);
            return Ok((WindowCall { function, args, frame, ignore_nulls }, name));
        }
        NTILE => WindowFunction::Ntile(number),
        SHIFT => WindowFunction::Shift(number.cast_signed()),
        NTH => WindowFunction::Nth(number),
        plain => {
            let known = PLAIN.get(usize::from(plain)).cloned();
            known.ok_or_else(|| Error::internal("an unknown window function"))?
        }
    };
    let args = receive_all(bytes, read)?;
    Ok((WindowCall { function, args, frame, ignore_nulls }, String::receive(bytes)?))
}
