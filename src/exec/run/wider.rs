//! Types that turn out to be wider in the middle of a run.
//!
//! A question that met a value which its types do not hold is read again over wider ones. Questions that belong together, one the
//! right side of another, go by the same types: what such a question has found, of a column that another one reads, it finds
//! again, too. That holds for right sides that were read in an earlier pass: they are read again, and whoever looked rows up in
//! them waits. Questions that only have the other's files in a right side go by its types as well, and say so where they cannot.

use super::{Misfits, Question, Rights, can_begin_again};
use crate::batch::RowId;
use crate::error::Error;
use crate::exec::options::{RunOptions, Warning};
use crate::exec::outcome::FirstMisfit;
use crate::plan::StageInput;
use crate::source::Source;
use crate::types::ColumnType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By column of the source and type needed, the first value that needs it.
pub(super) type First = BTreeMap<(usize, ColumnType), FirstMisfit>;

/// Widens the questions that met such values in a pass over `source`, which had these `members`, and those that belong to them;
/// the first error of one that cannot be widened.
pub(super) fn widen(
    questions: &mut [Question<'_>],
    members: &[usize],
    found: Vec<(usize, First)>,
    source: &Arc<dyn Source>,
    rights: &mut Rights,
    options: &RunOptions,
    warnings: &mut Vec<Warning>,
) -> Option<(RowId, Error)> {
    let mut first_error: Option<(RowId, Error)> = None;
    let mut left = found;
    while let Some((at, mut first)) = left.pop() {
        let linked = linked(questions, members, at);
        let (same, others) = left.into_iter().partition(|(other, _)| linked.contains(other));
        left = others;
        let same: Vec<(usize, First)> = same;
        let mut met = vec![at];
        for (other, theirs) in same {
            met.push(other);
            for (key, misfit) in theirs {
                let known = first.get(&key).is_some_and(|known| known.row <= misfit.row);
                if !known {
                    first.insert(key, misfit);
                }
            }
        }
        let misfits = Misfits { source: Arc::clone(source), first };
        let narrow = source.key();
        let mut again = BTreeSet::new();
        for &one in &linked {
            let question = &mut questions[one];
            let reads = question.plan.source().key() == narrow
                && (met.contains(&one) || misfits.first.keys().any(|(column, _)| question.may_read(*column)));
            let names = || question.plan.sources().iter().skip(1).any(|source| source.key() == narrow);
            if !reads && !names() {
                continue;
            }
            match widen_one(question, reads, &misfits) {
                Ok(()) => again.extend(reads.then_some(one)),
                Err((row, error)) if first_error.as_ref().is_none_or(|(known, _)| row < *known) => {
                    first_error = Some((row, error));
                }
                Err(_) => {}
            }
        }
        if first_error.is_none() {
            begin_again(questions, &linked, again, rights);
            misfits.warn(options, warnings);
        }
    }
    first_error
}

/// The questions that belong to one: its right sides, also those that were read before, and the questions not answered yet whose
/// right side it is, and so on.
fn linked(questions: &[Question<'_>], members: &[usize], at: usize) -> Vec<usize> {
    let is_open = |at: usize| {
        let question = &questions[at];
        members.contains(&at) || !question.kept_as_right && (question.result.is_none() || !question.whole)
    };
    let mut found = vec![at];
    let mut next = 0;
    while let Some(&one) = found.get(next) {
        next += 1;
        for other in 0..questions.len() {
            let uses = |a: usize, b: usize| questions[a].uses.iter().any(|used| used.build == b);
            if !found.contains(&other) && (uses(one, other) || uses(other, one) && is_open(other)) {
                found.push(other);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Puts wider types into the plan of a question, which is to be read again if it `reads` such a column.
fn widen_one(question: &mut Question<'_>, reads: bool, misfits: &Misfits) -> Result<(), (RowId, Error)> {
    if reads && !can_begin_again(question) {
        return Err((misfits.row(), misfits.too_late()));
    }
    question.plan = misfits.widen(&question.plan)?;
    Ok(())
}

/// Has questions read again, and after them those that had looked rows up in what they gave.
fn begin_again(questions: &mut [Question<'_>], linked: &[usize], mut again: BTreeSet<usize>, rights: &mut Rights) {
    let uses =
        |uses: &[crate::plan::BuildUse], again: &BTreeSet<usize>| uses.iter().any(|used| again.contains(&used.build));
    loop {
        let known = again.len();
        for &at in linked {
            let question = &questions[at];
            let seen = if question.kept_as_right { &question.uses[..] } else { question.needs() };
            if (question.kept_as_right || question.ready) && uses(seen, &again) {
                again.insert(at);
            }
        }
        if again.len() == known {
            break;
        }
    }
    for &at in linked {
        let question = &mut questions[at];
        if again.contains(&at) {
            question.repeated |= question.ready;
            question.begin_again();
            rights.forget(at);
        } else if question.ready && uses(&question.uses, &again) {
            question.wait_again();
        }
    }
}

/// The columns of its source that a question reads.
pub(super) fn columns_read(question: &Question<'_>) -> Vec<usize> {
    match question.stages.first().map(|stage| &stage.input) {
        Some(StageInput::Scan { columns, .. }) => columns.clone(),
        _ => Vec::new(),
    }
}
