//! Operators that evaluate an operand only on the rows that need it: `case`, `coalesce`, `and`, `or`.
//!
//! Where the operand cannot fail it is evaluated on all rows, which is the same and cheaper; where it can, its columns
//! are first cut down to the rows that reach it, so that `case when x <> 0 then y // x end` never divides by zero.

use super::bound::{BoundExpr, booleans};
use super::value::{Assembly, Input, Value};
use crate::batch::Mask;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::kernels::boolean;
use arrow::compute::take;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which entry of an array belongs to a row.
#[derive(Clone, Copy)]
enum Entry {
    /// The only one.
    Only,
    /// That of the row's number.
    Row,
    /// That of the row's place among the chosen rows.
    Place,
}

/// The values of an expression for chosen rows.
struct Part {
    array: ArrayRef,
    entry: Entry,
}

impl Part {
    fn at(&self, row: u32, place: usize) -> usize {
        match self.entry {
            Entry::Only => 0,
            Entry::Row => row as usize,
            Entry::Place => place,
        }
    }
}

impl BoundExpr {
    fn part(&self, input: &Input<'_>, rows: &[u32]) -> Result<Part> {
        if rows.is_empty() {
            return Ok(Part { array: new_null_array(&self.data_type(), 1), entry: Entry::Only });
        }
        let (value, entry) = if self.can_fail && rows.len() < input.rows {
            let mut used = BTreeSet::new();
            self.collect_columns(&mut used);
            let origin = input.origin.map(|origin| origin.picked(rows));
            let rows = UInt32Array::from(rows.to_vec());
            let mut columns = input.columns.to_vec();
            for index in used {
                if let Some(column) = columns.get_mut(index) {
                    *column = take(column, &rows, None)?;
                }
            }
            (self.value(&Input { columns: &columns, rows: rows.len(), origin: origin.as_ref() })?, Entry::Place)
        } else {
            (self.value(input)?, Entry::Row)
        };
        let entry = if value.is_scalar() { Entry::Only } else { entry };
        Ok(Part { array: Arc::clone(value.array()), entry })
    }

    pub(super) fn case(
        &self,
        branches: &[(BoundExpr, BoundExpr)],
        otherwise: Option<&BoundExpr>,
        input: &Input<'_>,
    ) -> Result<Value> {
        let mut column = Assembly::nulls(&self.data_type(), input.rows);
        let mut open = all_rows(input);
        for (condition, value) in branches {
            let condition = condition.part(input, &open)?;
            let truth = Value::Array(Arc::clone(&condition.array));
            let truth = booleans(&truth)?;
            let (mut hit, mut rest) = (Vec::new(), Vec::new());
            for (place, &row) in open.iter().enumerate() {
                let entry = condition.at(row, place);
                if truth.is_valid(entry) && truth.value(entry) { hit.push(row) } else { rest.push(row) }
            }
            fill(&mut column, value.part(input, &hit)?, &hit);
            open = rest;
        }
        if let Some(otherwise) = otherwise {
            fill(&mut column, otherwise.part(input, &open)?, &open);
        }
        Ok(Value::Array(column.finish()?))
    }

    pub(super) fn coalesce(&self, args: &[BoundExpr], input: &Input<'_>) -> Result<Value> {
        let mut column = Assembly::nulls(&self.data_type(), input.rows);
        let mut open = all_rows(input);
        for arg in args {
            let part = arg.part(input, &open)?;
            // Without nulls there is nothing to choose: the first argument is the answer, uncopied.
            if part.array.null_count() == 0 && open.len() == input.rows && matches!(part.entry, Entry::Row) {
                return Ok(Value::Array(part.array));
            }
            let nulls = part.array.logical_nulls();
            let mut rest = Vec::new();
            let mut filled = Vec::new();
            for (place, &row) in open.iter().enumerate() {
                let entry = part.at(row, place);
                match &nulls {
                    Some(nulls) if nulls.is_null(entry) => rest.push(row),
                    _ => filled.push((row as usize, entry)),
                }
            }
            column.fill(part.array, filled.into_iter());
            open = rest;
        }
        Ok(Value::Array(column.finish()?))
    }

    /// Which rows pass. Unlike the value of `a and b`, which is false or null, it is settled where `a` is null.
    pub(super) fn mask(&self, input: &Input<'_>) -> Result<BooleanArray> {
        let mut passing: Option<BooleanArray> = None;
        for conjunct in self.conjuncts() {
            let own = match &passing {
                Some(before) if conjunct.can_fail => {
                    let open: Vec<u32> =
                        all_rows(input).into_iter().filter(|&row| before.is_valid_and_true(row as usize)).collect();
                    let mut column = Assembly::nulls(&self.data_type(), input.rows);
                    fill(&mut column, conjunct.part(input, &open)?, &open);
                    Value::Array(column.finish()?)
                }
                _ => conjunct.value(input)?,
            };
            let own = own.into_booleans(input.rows)?;
            passing = Some(match passing {
                Some(before) => boolean::and_kleene(&before, &own)?,
                None => own,
            });
        }
        // There is always one conjunct at least.
        passing.ok_or_else(|| Error::internal("a condition of no parts"))
    }

    /// `a and b` (`deciding` false) or `a or b` (`deciding` true): a row where `a` is `deciding` does not ask `b`.
    pub(super) fn kleene(&self, a: &BoundExpr, b: &BoundExpr, input: &Input<'_>, deciding: bool) -> Result<Value> {
        let left = a.value(input)?.into_booleans(input.rows)?;
        let right = if b.can_fail {
            let open = all_rows(input).into_iter();
            let open: Vec<u32> =
                open.filter(|&row| !(left.is_valid(row as usize) && left.value(row as usize) == deciding)).collect();
            let mut column = Assembly::nulls(&self.data_type(), input.rows);
            fill(&mut column, b.part(input, &open)?, &open);
            Value::Array(column.finish()?)
        } else {
            b.value(input)?
        };
        let right = right.into_booleans(input.rows)?;
        let result = match deciding {
            false => boolean::and_kleene(&left, &right)?,
            true => boolean::or_kleene(&left, &right)?,
        };
        Ok(Value::Array(Arc::new(result)))
    }
}

fn fill(column: &mut Assembly, part: Part, rows: &[u32]) {
    let entries: Vec<_> = rows.iter().enumerate().map(|(place, &row)| (row as usize, part.at(row, place))).collect();
    column.fill(part.array, entries.into_iter());
}

/// Batches have far fewer rows than 2³².
fn all_rows(input: &Input<'_>) -> Vec<u32> {
    (0..u32::try_from(input.rows).unwrap_or(u32::MAX)).collect()
}
