//! Types that turn out to be wider in the middle of a pass.
//!
//! A question that met a value which its types do not hold is read again over wider ones. Questions that belong together, one the
//! right side of another, go by the same types: what such a question has found in this pass, of a column that another one has to
//! read again, it finds again, too.

use super::{Misfits, Question, Rights, can_begin_again};
use crate::batch::RowId;
use crate::error::Error;
use crate::exec::options::{RunOptions, Warning};
use crate::exec::outcome::FirstMisfit;
use crate::plan::StageInput;
use crate::source::Source;
use crate::types::ColumnType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// By column of the source and type needed, the first value that needs it.
pub(super) type First = BTreeMap<(usize, ColumnType), FirstMisfit>;

/// Widens the questions that met such values in a pass over `source`, whose `members` had read these `columns`, and those that
/// belong to them; the first error of one that cannot be widened.
pub(super) fn widen(
    questions: &mut [Question<'_>],
    (members, columns): (&[usize], &[Vec<usize>]),
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
        for question in linked {
            let place = members.iter().position(|member| *member == question);
            let has_read = |column: &usize| place.is_none_or(|place| columns[place].contains(column));
            let is_concerned = met.contains(&question) || misfits.first.keys().any(|(column, _)| has_read(column));
            if !is_concerned || questions[question].plan.source().key() != source.key() {
                continue;
            }
            let failed = widen_one(&mut questions[question], &misfits, rights, options).err();
            if let Some((row, error)) = failed
                && first_error.as_ref().is_none_or(|(known, _)| row < *known)
            {
                first_error = Some((row, error));
            }
        }
        if first_error.is_none() {
            misfits.warn(options, warnings);
        }
    }
    first_error
}

/// The questions that belong to one: its right sides, and whose right side it is, and so on, as far as they have not been answered
/// before this pass.
fn linked(questions: &[Question<'_>], members: &[usize], at: usize) -> Vec<usize> {
    let is_open = |at: usize| {
        let question = &questions[at];
        members.contains(&at) || question.result.is_none() && !question.kept_as_right
    };
    let mut found = vec![at];
    let mut next = 0;
    while let Some(&one) = found.get(next) {
        next += 1;
        for other in (0..questions.len()).filter(|&other| is_open(other)) {
            let uses = |a: usize, b: usize| questions[a].uses.iter().any(|used| used.build == b);
            if !found.contains(&other) && (uses(one, other) || uses(other, one)) {
                found.push(other);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Lowers a question again over wider types.
fn widen_one(
    question: &mut Question<'_>,
    misfits: &Misfits,
    rights: &mut Rights,
    options: &RunOptions,
) -> Result<(), (RowId, Error)> {
    if !can_begin_again(question) {
        return Err((misfits.row(), misfits.too_late()));
    }
    question.plan = misfits.widen(&question.plan)?;
    if question.ready {
        question.result = None;
        question.lower(rights, options).map_err(|error| (misfits.row(), error))?;
        question.repeated = true;
    }
    Ok(())
}

/// The columns of its source that a question reads.
pub(super) fn columns_read(question: &Question<'_>) -> Vec<usize> {
    match question.stages.first().map(|stage| &stage.input) {
        Some(StageInput::Scan { columns, .. }) => columns.clone(),
        _ => Vec::new(),
    }
}
