//! Values of other rows: `lag` and `lead`, and the first, the last or some other row of a frame.

use super::Evaluation;
use super::frame::Frames;
use super::piece::Place;
use super::rows::{Cursor, SortedRows};
use crate::batch::compact;
use crate::error::{Error, Result};
use crate::plan::{WindowColumn, WindowFunction};
use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{concat, interleave};
use arrow::datatypes::DataType;
use std::collections::VecDeque;
use std::ops::Range;

/// Values are taken of so many batches at a time.
pub(super) const MOST_BATCHES: usize = 4;

/// Takes a value of another row for each row.
pub(super) struct Values<'a> {
    among: Among<'a>,
    /// Counted from the end of these rows, else from their beginning; from 1.
    from_end: bool,
    number: usize,
    column: usize,
    data_type: &'a DataType,
    /// The column of what stands in where there is no such row.
    default: Option<usize>,
    /// Where rows count that have a value: those seen last.
    present: Option<Present<'a>>,
    own: Cursor<'a>,
    rows: &'a SortedRows<'a>,
}

/// Which rows there are to take a value of.
enum Among<'a> {
    Frame(Box<Frames<'a>>),
    Before,
    Behind,
    Itself,
}

/// Rows that have a value, as far as they have been looked for.
struct Present<'a> {
    values: Cursor<'a>,
    next: usize,
    found: VecDeque<usize>,
    /// What rows were among before.
    last: Range<usize>,
}

impl Present<'_> {
    fn look(&mut self, column: usize) -> Result<()> {
        let (batch, at) = self.values.at(self.next)?;
        if batch.column(column).is_valid(at) {
            self.found.push_back(self.next);
        }
        self.next += 1;
        Ok(())
    }
}

impl<'a> Values<'a> {
    pub(super) fn new(
        call: &'a WindowColumn,
        evaluation: &'a Evaluation<'_>,
        rows: &'a SortedRows<'a>,
    ) -> Result<Self> {
        let Some(&column) = call.arguments.first() else { return Err(Error::internal("no argument")) };
        let frames = || Among::Frame(Box::new(Frames::new(call.frame, evaluation, rows)));
        let (among, from_end, number) = match call.function {
            WindowFunction::Shift(0) => (Among::Itself, false, 1),
            WindowFunction::Shift(by) if by < 0 => (Among::Before, true, by.unsigned_abs()),
            WindowFunction::Shift(by) => (Among::Behind, false, by.unsigned_abs()),
            WindowFunction::Nth(number) => (frames(), false, number),
            _ => (frames(), true, 1),
        };
        let present = Present { values: Cursor::new(rows), next: 0, found: VecDeque::new(), last: 0..0 };
        Ok(Values {
            among,
            from_end,
            number: usize::try_from(number).unwrap_or(usize::MAX).max(1),
            column,
            data_type: &evaluation.types[column],
            default: call.arguments.get(1).copied(),
            present: call.ignore_nulls.then_some(present),
            own: Cursor::new(rows),
            rows,
        })
    }

    /// The values for the rows from `first` on, all of one batch.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    pub(super) fn column(&mut self, first: usize, places: &[Place]) -> Result<ArrayRef> {
        let mut taken = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let row = first + at;
            let among = match &mut self.among {
                Among::Frame(frames) => frames.of(row, place)?,
                Among::Before => place.partition.start..row,
                Among::Behind => row + 1..place.partition.end,
                Among::Itself => row..row + 1,
            };
            taken.push(self.row(among)?);
        }
        let nothing = match self.default {
            Some(column) => {
                let (batch, at) = self.own.at(first)?;
                batch.column(column).slice(at, places.len())
            }
            None => new_null_array(self.data_type, 1),
        };
        self.gathered(&taken, &nothing)
    }

    /// The row to take the value of.
    fn row(&mut self, among: Range<usize>) -> Result<Option<usize>> {
        let Range { start, end } = among;
        let number = self.number;
        let Some(present) = &mut self.present else {
            let row = if self.from_end { end.checked_sub(number) } else { start.checked_add(number - 1) };
            return Ok(row.filter(|row| (start..end).contains(row)));
        };
        // Rows go forward, and so do, hardly ever not, the ends of what they are among; what is found stands behind what was found.
        if start < present.last.start || end < present.last.end {
            present.found.clear();
            present.next = start;
        }
        present.last = start..end;
        while present.found.front().is_some_and(|row| *row < start) {
            present.found.pop_front();
        }
        present.next = present.next.max(start);
        while present.next < end && (self.from_end || present.found.len() < number) {
            present.look(self.column)?;
            if self.from_end && present.found.len() > number {
                present.found.pop_front();
            }
        }
        let at = if self.from_end { present.found.len().checked_sub(number) } else { Some(number - 1) };
        Ok(at.and_then(|at| present.found.get(at)).copied().filter(|row| *row < end))
    }

    /// The values of these rows; where there is none, that of `nothing`, which has one value or one for each row.
    fn gathered(&self, taken: &[Option<usize>], nothing: &ArrayRef) -> Result<ArrayRef> {
        let mut batches: Vec<ArrayRef> = vec![nothing.clone()];
        let (mut picked, mut segments): (Vec<(usize, usize)>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        let mut current = 0..0;
        let gather = |batches: &[ArrayRef], picked: &[(usize, usize)]| -> Result<ArrayRef> {
            let arrays: Vec<&dyn Array> = batches.iter().map(AsRef::as_ref).collect();
            Ok(compact(&interleave(&arrays, picked)?))
        };
        for (at, row) in taken.iter().enumerate() {
            let Some(row) = *row else {
                picked.push((0, if nothing.len() > 1 { at } else { 0 }));
                continue;
            };
            if !current.contains(&row) {
                if batches.len() > MOST_BATCHES {
                    segments.push(gather(&batches, &picked)?);
                    batches.truncate(1);
                    picked.clear();
                }
                let part = self.rows.part_of(row);
                current = self.rows.range(part);
                batches.push(self.rows.load(part)?.column(self.column).clone());
            }
            picked.push((batches.len() - 1, row - current.start));
        }
        let last = gather(&batches, &picked)?;
        if segments.is_empty() {
            return Ok(last);
        }
        segments.push(last);
        Ok(concat(&segments.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
    }
}
