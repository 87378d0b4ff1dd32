//! Plans as bytes, for another process of this program.
//!
//! **Problem.** A worker process is to do with rows exactly what the program would do; but a plan holds aggregates, and these
//! are objects.
//! **Idea.** Verbs are sent as such, expressions as text: every expression is shown as text that reads back as the same one.
//! Who sends reads the text back himself and compares, so what does not come as it is is never sent. Reading needs the
//! grammar, which is a layer above this one, so it is handed in.
//! **Invariant.** A plan that was received is lowered to the same stages as the one that was sent.

use super::{LogicalPlan, SampleSize, SortKey};
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
}

const VERBS: [Verb; 8] =
    [Verb::Scan, Verb::Filter, Verb::Project, Verb::Aggregate, Verb::Unnest, Verb::Sort, Verb::Limit, Verb::Sample];

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
    })
}

fn put(value: &impl Message, bytes: &mut Vec<u8>) -> Result<(), String> {
    value.send(bytes).map_err(|error| error.to_string())
}

fn send_all(exprs: &[Expr], read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    put(&exprs.len(), bytes)?;
    exprs.iter().try_for_each(|expr| send_expr(expr, read, bytes))
}

/// An expression as its name, if it has another one than its text, and its text.
fn send_expr(expr: &Expr, read: ReadExpr, bytes: &mut Vec<u8>) -> Result<(), String> {
    let (name, inner) = match expr {
        Expr::Alias { expr, name } => (Some(Arc::clone(name)), &**expr),
        other => (None, other),
    };
    let text = inner.to_string();
    let mut own = None;
    inner.visit(&mut |part| {
        if let Expr::Aggregate(call) = part
            && !call.aggregate.is_built_in()
        {
            own = Some(format!("`{}` is an aggregate of the program's own", call.aggregate.name()));
        }
    });
    match (own, read(&text)) {
        (Some(own), _) => Err(own),
        (None, Ok(same)) if same == *inner => put(&(name, text), bytes),
        (None, _) => Err(format!("`{text}` means something else when it is read again")),
    }
}

fn receive_all(bytes: &mut &[u8], read: ReadExpr) -> Result<Vec<Expr>> {
    (0..usize::receive(bytes)?).map(|_| receive_expr(bytes, read)).collect()
}

fn receive_expr(bytes: &mut &[u8], read: ReadExpr) -> Result<Expr> {
    let (name, text) = <(Option<Arc<str>>, String)>::receive(bytes)?;
    let expr = read(&text)?;
    Ok(match name {
        Some(name) => Expr::Alias { expr: Box::new(expr), name },
        None => expr,
    })
}

fn receive_call(bytes: &mut &[u8], read: ReadExpr) -> Result<(AggregateCall, String)> {
    match receive_expr(bytes, read)? {
        Expr::Aggregate(call) => Ok((call, String::receive(bytes)?)),
        other => Err(Error::internal(format!("`{other}` in place of an aggregate"))),
    }
}
