//! Rows of the result, put together of left rows and what was found for them.

use super::left::Block;
use super::pairs::Piece;
use super::rounds::Found;
use crate::error::{Error, Result};
use crate::exec::join::keys::of_both;
use crate::exec::runs::BLOCK_ROWS;
use crate::memory::{MadeRows, Part, RowStore, ToDisk};
use crate::plan::{JoinColumn, JoinKind, JoinShape};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, SchemaRef, UInt32Type};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// Of a block that comes to more rows, or takes more memory to put together, the rows are put together piece by piece and kept.
const MOST_ROWS: usize = 1 << 17;
const MOST_BYTES: RangeInclusive<usize> = 64 << 10..=8 << 20;
/// The share of the limit that it may take.
const MOST_SHARE: usize = 32;

/// Puts rows together.
#[derive(Debug)]
pub(super) struct Assembly {
    kind: JoinKind,
    columns: Vec<JoinColumn>,
    /// Of the result.
    schema: SchemaRef,
    /// How many columns are keys; the others that are shown come behind.
    keys: usize,
    of_pairs: Vec<usize>,
    /// A key of a left row may be no value of the type that the key of both sides has.
    can_fail: bool,
    /// What rows may take that are made when they are asked for.
    most_bytes: usize,
}

impl Assembly {
    pub(super) fn new(shape: &JoinShape, schema: &SchemaRef, limit_bytes: usize) -> Self {
        let right = |column: &JoinColumn| match *column {
            JoinColumn::Right(at) => Some(at),
            JoinColumn::Left(_) | JoinColumn::Either(..) => None,
        };
        let is_either = |column: &JoinColumn| matches!(column, JoinColumn::Either(..));
        Assembly {
            kind: shape.kind,
            columns: shape.columns.clone(),
            schema: Arc::clone(schema),
            keys: shape.domains.len(),
            of_pairs: shape.columns.iter().filter_map(right).collect(),
            can_fail: shape.kind.keeps_left() && shape.columns.iter().any(is_either),
            most_bytes: (limit_bytes / MOST_SHARE).clamp(*MOST_BYTES.start(), *MOST_BYTES.end()),
        }
    }

    /// Which columns of right rows stand in pairs, behind the left row.
    pub(super) fn of_pairs(&self) -> &[usize] {
        &self.of_pairs
    }

    /// Rows of the result for right rows without a match.
    pub(super) fn unmatched_right(&self, records: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch> {
        let column = |(column, field): (&JoinColumn, &Arc<Field>)| match *column {
            JoinColumn::Left(_) => Ok(new_null_array(field.data_type(), rows.len())),
            JoinColumn::Right(at) => Ok(take(records.column(at), rows, None)?),
            JoinColumn::Either(_, at) => of_both(&take(records.column(at), rows, None)?, field.data_type()),
        };
        let columns = self.columns.iter().zip(self.schema.fields()).map(column).collect::<Result<_>>()?;
        self.batch(columns, rows.len())
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The rows that a block comes to: to be made when they are asked for, or where they are many, kept in `store`.
    ///
    /// # Errors
    /// Those of the disk; `Value` for a key that is no value of the type of both sides.
    pub(super) fn parts(self: &Arc<Self>, block: &Block, found: &Found, store: &RowStore) -> Result<Vec<Part>> {
        let matched = found.matched.as_ref().map_or(0, BooleanBuffer::count_set_bits);
        let alone = block.rows() - matched;
        let rows = match self.kind {
            JoinKind::Semi => matched,
            JoinKind::Anti => alone,
            kind => found.pairs + if kind.keeps_left() { alone } else { 0 },
        };
        if rows == 0 {
            return Ok(Vec::new());
        }
        let made = MadeBlock {
            assembly: Arc::clone(self),
            block: block.clone(),
            rounds: found.rounds.clone(),
            matched: found.matched.clone(),
            within: 0..block.rows(),
            rows,
        };
        let little = rows <= MOST_ROWS && made.loaded_bytes() <= self.most_bytes;
        if !self.kind.shows_right() || little && !self.can_fail {
            return Ok(vec![Part::Made(Arc::new(made))]);
        }
        if let ([only], false) = (&found.rounds[..], self.can_fail) {
            return Ok((0..only.len()).map(|at| Part::Made(Arc::new(made.piece(only, at)))).collect());
        }
        let mut parts = Vec::new();
        let mut together = Together::new(&made)?;
        while let Some(batch) = together.next(self.rows_at_once())? {
            parts.push(store.keep(batch)?);
        }
        Ok(parts)
    }

    fn takes_keys(&self) -> bool {
        let is_key = |column: &JoinColumn| match *column {
            JoinColumn::Left(at) | JoinColumn::Either(at, _) => at < self.keys,
            JoinColumn::Right(_) => false,
        };
        self.columns.iter().any(is_key)
    }

    /// Rows that are put together at once, if they are kept.
    pub(super) fn rows_at_once(&self) -> usize {
        (self.most_bytes / self.row_bytes().max(1)).clamp(1, BLOCK_ROWS)
    }

    fn row_bytes(&self) -> usize {
        let bytes = |field: &Arc<Field>| field.data_type().primitive_width().unwrap_or(size_of::<u128>());
        self.schema.fields().iter().map(bytes).sum()
    }
}

/// Rows that a block comes to.
#[derive(Clone, Debug)]
struct MadeBlock {
    assembly: Arc<Assembly>,
    block: Block,
    rounds: Vec<Vec<Piece>>,
    matched: Option<BooleanBuffer>,
    /// Of these left rows; those without a match are of them.
    within: Range<usize>,
    rows: usize,
}

impl MadeRows for MadeBlock {
    fn rows(&self) -> usize {
        self.rows
    }

    fn loaded_bytes(&self) -> usize {
        let keys = if self.assembly.takes_keys() { self.block.keys.loaded_bytes() } else { 0 };
        let pairs: usize = self.rounds.iter().flatten().map(|piece| piece.part.loaded_bytes()).sum();
        self.block.shown.loaded_bytes() + keys + pairs + self.rows * self.assembly.row_bytes()
    }

    fn make(&self) -> Result<RecordBatch> {
        if self.assembly.columns.is_empty() {
            // Rows that are only counted.
            return self.assembly.batch(Vec::new(), self.rows);
        }
        let made = match self.assembly.kind {
            JoinKind::Semi | JoinKind::Anti => Some(self.picked()?),
            _ => Together::new(self)?.next(self.rows)?,
        };
        made.ok_or_else(|| Error::internal("rows of a join that are none"))
    }

    fn on_disk(&self, disk: &mut ToDisk) -> Result<Part> {
        let block = Block { keys: disk.part(&self.block.keys)?, shown: disk.part(&self.block.shown)? };
        let mut stored = |pieces: &Vec<Piece>| {
            let piece = |piece: &Piece| Ok(Piece { first: piece.first, part: disk.part(&piece.part)? });
            pieces.iter().map(piece).collect::<Result<Vec<_>>>()
        };
        let rounds = self.rounds.iter().map(&mut stored).collect::<Result<_>>()?;
        Ok(Part::Made(Arc::new(MadeBlock { block, rounds, ..self.clone() })))
    }
}

impl MadeBlock {
    /// The rows that come of a piece of the only round, and of left rows without a match up to the next piece.
    fn piece(&self, pieces: &[Piece], at: usize) -> MadeBlock {
        let first = |at: usize| pieces.get(at).map(|piece| piece.first as usize);
        let start = if at == 0 { 0 } else { first(at).unwrap_or_default() };
        // The first left row of the next piece may have matches in this one.
        let end = first(at + 1).map_or(self.block.rows(), |next| next + 1);
        let mut rows = pieces[at].part.rows();
        if self.assembly.kind.keeps_left() {
            let matched = |matched: &BooleanBuffer| matched.slice(start, end - start).count_set_bits();
            rows += end - start - self.matched.as_ref().map_or(0, matched);
        }
        MadeBlock { rounds: vec![vec![pieces[at].clone()]], within: start..end, rows, ..self.clone() }
    }

    /// Left rows that have a match, or none.
    fn picked(&self) -> Result<RecordBatch> {
        let wanted = self.assembly.kind == JoinKind::Semi;
        let has = |row: usize| self.matched.as_ref().is_some_and(|matched| matched.value(row));
        let rows: Vec<u32> = (0..self.block.rows()).filter(|row| has(*row) == wanted).map(|row| row as u32).collect();
        Left::of(self)?.with(&UInt32Array::from(rows), &[])
    }
}

/// The left columns of a block.
struct Left<'a> {
    assembly: &'a Assembly,
    keys: Option<RecordBatch>,
    shown: RecordBatch,
}

impl<'a> Left<'a> {
    fn of(made: &'a MadeBlock) -> Result<Self> {
        let (assembly, block) = (&*made.assembly, &made.block);
        let keys = assembly.takes_keys().then(|| block.keys.load()).transpose()?;
        Ok(Left { assembly, keys, shown: block.shown.load()? })
    }

    fn column(&self, at: usize) -> Result<&ArrayRef> {
        let column = match &self.keys {
            Some(keys) if at < self.assembly.keys => keys.columns().get(at),
            _ => at.checked_sub(self.assembly.keys).and_then(|at| self.shown.columns().get(at)),
        };
        column.ok_or_else(|| Error::internal("a left column that was not kept"))
    }

    /// Rows of the result: these left rows, and beside them columns of the right ones.
    fn with(&self, rows: &UInt32Array, right: &[ArrayRef]) -> Result<RecordBatch> {
        let all = rows.len() == self.shown.num_rows() && rows.values().iter().zip(0..).all(|(row, at)| *row == at);
        let left = |at: usize| -> Result<ArrayRef> {
            let column = self.column(at)?;
            Ok(if all { Arc::clone(column) } else { take(column, rows, None)? })
        };
        let mut right = right.iter();
        let mut columns = Vec::with_capacity(self.assembly.columns.len());
        for (column, field) in self.assembly.columns.iter().zip(self.assembly.schema.fields()) {
            columns.push(match *column {
                JoinColumn::Left(at) => left(at)?,
                JoinColumn::Either(at, _) => of_both(&left(at)?, field.data_type())?,
                JoinColumn::Right(_) => {
                    right.next().cloned().ok_or_else(|| Error::internal("a right column that was not kept"))?
                }
            });
        }
        self.assembly.batch(columns, rows.len())
    }
}

/// Goes through the left rows of a block and the pairs that each round found.
struct Together<'a> {
    left: Left<'a>,
    rounds: Vec<Round<'a>>,
    /// Left rows without a match are wanted; of the others it is known that they have one.
    matched: Option<Option<&'a BooleanBuffer>>,
    /// The next left row, and the one behind the last.
    row: usize,
    end: usize,
}

/// Pairs of one round.
struct Round<'a> {
    pieces: std::slice::Iter<'a, Piece>,
    current: Option<RecordBatch>,
    at: usize,
    /// Where the current batch stands among those that rows are picked of.
    place: Option<usize>,
}

impl<'a> Round<'a> {
    fn new(pieces: &'a [Piece]) -> Result<Self> {
        let mut pieces = pieces.iter();
        let current = pieces.next().map(|piece| piece.part.load()).transpose()?;
        Ok(Round { pieces, current, at: 0, place: None })
    }

    /// The left row of the next pair.
    fn left_row(&self) -> Option<u32> {
        let rows = self.current.as_ref()?.column(0).as_primitive_opt::<UInt32Type>()?;
        rows.values().get(self.at).copied()
    }

    /// The next pair, as a batch and the row there.
    fn pick(&mut self, batches: &mut Vec<RecordBatch>) -> Result<(usize, usize)> {
        let Some(current) = &self.current else { return Err(Error::internal("no more pairs")) };
        let place = *self.place.get_or_insert_with(|| {
            batches.push(current.clone());
            batches.len()
        });
        let picked = (place, self.at);
        self.at += 1;
        if self.at == current.num_rows() {
            self.current = self.pieces.next().map(|piece| piece.part.load()).transpose()?;
            (self.at, self.place) = (0, None);
        }
        Ok(picked)
    }
}

impl<'a> Together<'a> {
    fn new(made: &'a MadeBlock) -> Result<Self> {
        let rounds = made.rounds.iter().map(|pieces| Round::new(pieces)).collect::<Result<_>>()?;
        let matched = made.assembly.kind.keeps_left().then_some(made.matched.as_ref());
        Ok(Together { left: Left::of(made)?, rounds, matched, row: made.within.start, end: made.within.end })
    }

    /// The next rows, at most `most`.
    fn next(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        if let Some(all) = self.only_pairs(most) {
            return Ok(Some(self.left.with(all.column(0).as_primitive(), &all.columns()[1..])?));
        }
        let (mut left, mut right, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        'rows: while self.row < self.end {
            for round in &mut self.rounds {
                while round.left_row() == Some(self.row as u32) {
                    if left.len() == most {
                        break 'rows;
                    }
                    left.push(self.row as u32);
                    right.push(round.pick(&mut batches)?);
                }
            }
            if self.matched.is_some_and(|matched| matched.is_none_or(|matched| !matched.value(self.row))) {
                if left.len() == most {
                    break;
                }
                left.push(self.row as u32);
                // A row of nulls stands before all batches.
                right.push((0, 0));
            }
            self.row += 1;
        }
        self.rounds.iter_mut().for_each(|round| round.place = None);
        if left.is_empty() {
            return Ok(None);
        }
        let right = self.right_columns(&right, &batches)?;
        Ok(Some(self.left.with(&UInt32Array::from(left), &right)?))
    }

    /// The pairs of the only round, if they are all that there is, as they are.
    fn only_pairs(&mut self, most: usize) -> Option<RecordBatch> {
        let [only] = &mut self.rounds[..] else { return None };
        let whole = only.at == 0 && only.pieces.len() == 0 && self.matched.is_none();
        let all = only.current.take_if(|all| whole && all.num_rows() <= most)?;
        self.row = self.end;
        Some(all)
    }

    fn right_columns(&self, picked: &[(usize, usize)], batches: &[RecordBatch]) -> Result<Vec<ArrayRef>> {
        let columns = self.left.assembly.columns.iter().zip(self.left.assembly.schema.fields());
        let types =
            columns.filter(|(column, _)| matches!(column, JoinColumn::Right(_))).map(|(_, field)| field.data_type());
        let column = |(at, of_type): (usize, &DataType)| -> Result<ArrayRef> {
            let nulls = new_null_array(of_type, 1);
            let arrays =
                std::iter::once(&*nulls as &dyn Array).chain(batches.iter().map(|batch| &**batch.column(at + 1)));
            Ok(interleave(&arrays.collect::<Vec<_>>(), picked)?)
        };
        types.enumerate().map(column).collect()
    }
}
